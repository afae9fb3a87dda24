/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Jumps of ours in chains of others that drop what our policies let through. They come last of all
 * packet rules, and are compared whenever the others' rules may have changed.
 *
 * On nftables the firewall itself knows where they are to stand. In iptables, while the policies
 * stand in nftables, it is an ordinary chain, the only one that is wanted there.
 */
#include "reconcile-internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "apply.h"
#include "cleanup.h"

#define COMMIT_TRIES 8
#define RETRY_USEC 50000ULL
/* A failure is tried again after that, and each further one after twice as long, 64 s at last. */
#define FAILURE_RETRY_USEC 1000000ULL
#define FAILURES_MAX 6
#define WHY_SIZE 256

NSH_DEFINE_CLEANUP(struct nsh_firewall_plan *, nsh_firewall_plan_free)

/* ---- places that have one ---- */

static struct guest_mark *find_mark(const struct nsh_reconciler *r, const char *where)
{
    for (size_t i = 0; i < r->n_guest_marks; i++)
        if (strcmp(r->guest_marks[i].where, where) == 0)
            return &r->guest_marks[i];
    return NULL;
}

static struct guest_mark *add_mark(struct nsh_reconciler *r, const char *where)
{
    struct guest_mark *m = find_mark(r, where);

    if (m)
        return m;
    m = reallocarray(r->guest_marks, r->n_guest_marks + 1, sizeof *m);
    if (!m)
        return NULL;
    r->guest_marks = m;
    m = &m[r->n_guest_marks++];
    *m = (struct guest_mark){0};
    snprintf(m->where, sizeof m->where, "%s", where);
    return m;
}

/* Chains that are gone, or drop nothing any more, need none. */
static void drop_unseen(struct nsh_reconciler *r)
{
    size_t n = 0;

    for (size_t i = 0; i < r->n_guest_marks; i++)
        if (r->guest_marks[i].seen)
            r->guest_marks[n++] = r->guest_marks[i];
    r->n_guest_marks = n;
}

/* ---- in iptables ---- */

const char *reconcile_place_in_iptables(int family)
{
    return family == AF_INET6 ? "the legacy ip6tables chain FORWARD"
                              : "the legacy iptables chain FORWARD";
}

static bool is_wanted(const struct nsh_reconciler *r, int family)
{
    for (size_t i = 0; i < r->guests.desired.n_chains; i++)
        if (r->guests.desired.chains[i].family == family)
            return true;
    return false;
}

static int observe(void *userdata, const struct nsh_chain_seen *seen)
{
    return nsh_firewall_plan_observe(userdata, seen);
}

static void tell(void *userdata, const struct nsh_guest_seen *seen);
static void note(void *userdata, const struct nsh_guest_seen *seen);

static void tell_family(
        struct nsh_reconciler *r, int family, const char *reason, nsh_guest_told *told)
{
    struct nsh_guest_seen seen = {.where = reconcile_place_in_iptables(family), .reason = reason};

    if (!reason)
        seen.verb = NSH_GUEST_STANDS;
    else
        seen.verb = strcmp(reason, "missing") == 0 ? NSH_GUEST_ADD : NSH_GUEST_CHANGE;
    told(r, &seen);
}

static int look_at_family(struct nsh_reconciler *r, int family)
{
    NSH_CLEANUP(nsh_firewall_plan_freep) struct nsh_firewall_plan *plan = NULL;
    size_t n, at = r->guests.desired.chains[0].family == family ? 0 : 1;
    int q = nsh_firewall_plan_new(&r->guests.desired, family, NSH_TABLE_FILTER, &plan);

    if (q < 0)
        return q;
    nsh_firewall_plan_begin(plan);
    q = r->other->ops->observe(r->other, family, NSH_TABLE_FILTER, observe, plan);
    if (q == 0)
        q = nsh_firewall_plan_finish(plan, NSH_PHASE_UP);
    if (q < 0)
        return q;
    nsh_firewall_plan_steps(plan, &n);
    tell_family(r, family, n > 0 ? nsh_firewall_plan_reason(plan, at) : NULL, note);
    return 0;
}

/* One that is not wanted any more goes with what netshared left there. */
static int look_at_iptables(struct nsh_reconciler *r)
{
    int q = 0;

    for (int f = 0; f < NSH_FAMILIES; f++)
        if (!is_wanted(r, nsh_family_of(f)) &&
                find_mark(r, reconcile_place_in_iptables(nsh_family_of(f))))
            r->other_dirty = r->unwanted_dirty = true;
    if (r->guests.desired.n_chains == 0)
        return 0;
    q = r->other->ops->open(r->other, NSH_FIREWALL_READ);
    if (q != NSH_FIREWALL_OK)
        return q < 0 ? q : -EBUSY;
    for (int f = 0; q == 0 && f < NSH_FAMILIES; f++)
        if (is_wanted(r, nsh_family_of(f)))
            q = look_at_family(r, nsh_family_of(f));
    r->other->ops->close(r->other);
    return q;
}

static int write_family(struct nsh_reconciler *r, int family, char *why, size_t size)
{
    NSH_CLEANUP(nsh_firewall_plan_freep) struct nsh_firewall_plan *plan = NULL;
    size_t n, at = r->guests.desired.chains[0].family == family ? 0 : 1;
    int q = nsh_firewall_plan_new(&r->guests.desired, family, NSH_TABLE_FILTER, &plan);

    if (q == 0)
        q = nsh_apply_firewall(
                r->other, plan, family, NSH_TABLE_FILTER, NSH_PHASE_UP, COMMIT_TRIES, why, size);
    if (q != NSH_FIREWALL_OK)
        return q < 0 ? q : -EAGAIN;
    nsh_firewall_plan_steps(plan, &n);
    tell_family(r, family, n > 0 ? nsh_firewall_plan_reason(plan, at) : NULL, tell);
    return 0;
}

/* -EAGAIN: another program holds the lock, or writes as well. */
static int write_iptables(struct nsh_reconciler *r, char *why, size_t size)
{
    int q;

    if (r->guests.desired.n_chains == 0)
        return 0;
    q = r->other->ops->open(r->other, NSH_FIREWALL_WRITE);
    if (q != NSH_FIREWALL_OK)
        return q < 0 ? q : -EAGAIN;
    for (int f = 0; q == 0 && f < NSH_FAMILIES; f++)
        if (is_wanted(r, nsh_family_of(f)))
            q = write_family(r, nsh_family_of(f), why, size);
    r->other->ops->close(r->other);
    return q;
}

/* ---- looking ---- */

static struct unjudged_mark *find_unjudged(const struct nsh_reconciler *r, const char *where)
{
    for (size_t i = 0; i < r->n_unjudged_marks; i++)
        if (strcmp(r->unjudged_marks[i].where, where) == 0)
            return &r->unjudged_marks[i];
    return NULL;
}

/* NULL: it is known already, or can't be kept. */
static struct unjudged_mark *add_unjudged(struct nsh_reconciler *r, const char *where)
{
    struct unjudged_mark *m = find_unjudged(r, where);

    if (m) {
        m->seen = true;
        return NULL;
    }
    m = reallocarray(r->unjudged_marks, r->n_unjudged_marks + 1, sizeof *m);
    if (!m)
        return NULL;
    r->unjudged_marks = m;
    m = &m[r->n_unjudged_marks++];
    *m = (struct unjudged_mark){.seen = true};
    snprintf(m->where, sizeof m->where, "%s", where);
    return m;
}

/* What is all judged now, or gone, is told again when it is not. */
static void drop_judged(struct nsh_reconciler *r)
{
    size_t n = 0;

    for (size_t i = 0; i < r->n_unjudged_marks; i++)
        if (r->unjudged_marks[i].seen)
            r->unjudged_marks[n++] = r->unjudged_marks[i];
    r->n_unjudged_marks = n;
}

/* Once of each. */
static void note_unjudged(struct nsh_reconciler *r, const struct nsh_guest_seen *seen)
{
    struct report_args args = {.kind = NSH_REPORT_WARNING};
    char text[256];

    if (!add_unjudged(r, seen->where))
        return;
    snprintf(text, sizeof text, "whether it drops what policies let through is not all judged: %s",
            seen->reason);
    args.detail = text;
    report_plain(r, "the", seen->where, &args);
}

static void note(void *userdata, const struct nsh_guest_seen *seen)
{
    struct nsh_reconciler *r = userdata;
    struct guest_mark *m;

    if (seen->verb == NSH_GUEST_UNJUDGED) {
        note_unjudged(r, seen);
        return;
    }
    m = seen->verb == NSH_GUEST_STANDS ? add_mark(r, seen->where) : find_mark(r, seen->where);

    if (m)
        m->seen = seen->verb != NSH_GUEST_REMOVE;
    if (m && seen->verb != NSH_GUEST_STANDS)
        m->wrong = true;
    if (seen->verb != NSH_GUEST_STANDS)
        r->guests_dirty = true;
}

static bool is_in_iptables(const struct guest_mark *m)
{
    return strcmp(m->where, reconcile_place_in_iptables(AF_INET)) == 0 ||
           strcmp(m->where, reconcile_place_in_iptables(AF_INET6)) == 0;
}

/* In iptables it is an ordinary chain of the firewall that does not hold the policies. */
static struct nsh_firewall *firewall_of(const struct nsh_reconciler *r, const struct guest_mark *m)
{
    bool tells = strcmp(r->firewall->ops->name, "iptables") != 0;

    return is_in_iptables(m) || !tells ? r->other : r->firewall;
}

/*
 * Who took them away, as far as it is certain: asked as soon as they are missed. One that was
 * missed before and waits is not laid at the door of whom this look tells of.
 */
static void look_for_culprits(struct nsh_reconciler *r)
{
    struct nsh_firewall_culprit who;

    for (size_t i = 0; i < r->n_guest_marks; i++) {
        struct guest_mark *m = &r->guest_marks[i];
        struct nsh_firewall *fw = firewall_of(r, m);

        if (m->wrong && !m->was_wrong && fw && fw->ops->pass_culprit &&
                fw->ops->pass_culprit(fw, &who) &&
                nsh_culprit_confirm(who.pid, who.name, m->culprit))
            m->culprit_pid = (pid_t)who.pid;
    }
}

static void remember_hosted(struct nsh_reconciler *r, const struct nsh_passages *p)
{
    free(r->hosted);
    r->n_hosted = 0;
    r->hosted_print = 0;
    r->hosted = calloc(p->n + 1, sizeof *r->hosted);
    for (size_t i = 0; r->hosted && i < p->n; i++) {
        if (!p->items[i].hosted || p->items[i].barred)
            continue;
        r->hosted[r->n_hosted++] = reconcile_lead(r, p->chains[i]);
        r->hosted_print = r->hosted_print * 31 + p->chains[i] + 1;
    }
}

int reconcile_guests_look(struct nsh_reconciler *r, struct nsh_passages *p)
{
    int q;

    for (size_t i = 0; i < r->n_unjudged_marks; i++)
        r->unjudged_marks[i].seen = false;
    for (size_t i = 0; i < r->n_guest_marks; i++) {
        r->guest_marks[i].was_wrong = r->guest_marks[i].wrong;
        r->guest_marks[i].seen = r->guest_marks[i].wrong = false;
    }
    q = nsh_passages_ask(p, r->firewall, r->other, NSH_FIREWALL_READ, note, r);
    if (q == 0)
        q = nsh_guests_want(&r->guests, p);
    if (q == 0)
        q = look_at_iptables(r);
    if (q == 0)
        drop_unseen(r);
    remember_hosted(r, p);
    look_for_culprits(r);
    if (q == 0)
        drop_judged(r);
    return q;
}

/* ---- policies that wait for one ---- */

const char *reconcile_guest_reason(const struct nsh_reconciler *r, size_t lead)
{
    return nsh_notes_reason(r->notes, NSH_OBJECT_UNHOSTED + lead);
}

/* Of those whose packets need a jump; NULL: all of these stand. */
static void set_reason(struct nsh_reconciler *r, const struct nsh_passages *p, const char *reason)
{
    for (size_t i = 0; i < p->n; i++) {
        bool waits = reason && p->items[i].hosted && !p->items[i].barred;

        if (p->items[i].exit)
            continue;
        nsh_notes_set_reason(r->notes, NSH_OBJECT_UNHOSTED + reconcile_lead(r, p->chains[i]),
                waits ? reason : NULL);
    }
}

/* ---- writing ---- */

static const char *culprit_of(const struct guest_mark *m)
{
    return m->culprit_pid != 0 ? m->culprit : NULL;
}

/* What is wrong is in the chain that the jump leads to. */
static bool is_behind(const char *reason)
{
    return strcmp(reason, "flushed") == 0 || strcmp(reason, "changed") == 0 ||
           (*reason >= '0' && *reason <= '9');
}

static struct report_args restored(const struct guest_mark *m, const char *reason)
{
    bool of_jump = strncmp(reason, "jump ", 5) == 0;
    struct report_args args = {.kind = NSH_REPORT_RESTORED,
            .cause = of_jump ? reason + 5 : reason,
            .culprit = culprit_of(m),
            .culprit_pid = m->culprit_pid};

    if (args.culprit && strcmp(args.cause, "missing") == 0)
        args.cause = "removed";
    return args;
}

static void tell(void *userdata, const struct nsh_guest_seen *seen)
{
    static const enum nsh_report_kind kinds[] = {
            [NSH_GUEST_ADD] = NSH_REPORT_ADDED,
            [NSH_GUEST_CHANGE] = NSH_REPORT_CHANGED,
            [NSH_GUEST_REMOVE] = NSH_REPORT_REMOVED,
    };
    struct nsh_reconciler *r = userdata;
    struct guest_mark *m = find_mark(r, seen->where);
    struct report_args args = {0};
    bool behind, drift;

    if (seen->verb == NSH_GUEST_STANDS || seen->verb == NSH_GUEST_UNJUDGED)
        return;
    args.kind = kinds[seen->verb];
    behind = seen->verb == NSH_GUEST_CHANGE && is_behind(seen->reason);
    drift = m && !r->settling && seen->verb != NSH_GUEST_REMOVE;
    if (behind && r->hosted_print != r->hosted_put)
        drift = false; /* it is to let through other policies than before */
    if (drift) {
        args = restored(m, seen->reason);
        nsh_backoff_repaired(&m->backoff, reconcile_now(r));
    }
    report_plain(r, drift && behind ? "chain behind the jump in" : "jump in", seen->where, &args);
    m = seen->verb == NSH_GUEST_REMOVE ? m : add_mark(r, seen->where);
    if (m) {
        m->seen = seen->verb != NSH_GUEST_REMOVE;
        m->wrong = false;
        m->culprit_pid = 0;
    }
}

/* What the policies lack meanwhile. */
static void say_waiting(struct nsh_reconciler *r, const char *where, uint64_t until)
{
    uint64_t now = reconcile_now(r);
    time_t at = time(NULL) + (time_t)((until > now ? until - now : 0) / 1000000);
    char clock[16] = "", text[sizeof r->guest_marks->where + 160];
    struct tm tm;

    if (localtime_r(&at, &tm))
        strftime(clock, sizeof clock, "%H:%M:%S", &tm);
    snprintf(text, sizeof text,
            "not in force: %s drops what it forwards, and something keeps removing our jump there; "
            "backing off until %s",
            where, clock);
    for (size_t i = 0; i < r->n_hosted; i++)
        nsh_notes_set_reason(r->notes, NSH_OBJECT_UNHOSTED + r->hosted[i], text);
}

/* Asked of each once: a repair is undone only once. False: not before `until`. */
static bool may_mend(struct nsh_reconciler *r, struct guest_mark *m, uint64_t *until)
{
    uint64_t its;
    bool fight, may = nsh_backoff_may_repair(&m->backoff, reconcile_now(r), &its, &fight);
    char text[96];
    struct report_args args = {.kind = NSH_REPORT_FIGHT,
            .detail = text,
            .culprit = culprit_of(m),
            .culprit_pid = m->culprit_pid};

    if (!may && its < *until)
        *until = its;
    if (fight) {
        reconcile_backoff_text(r, &m->backoff, text, sizeof text);
        report_plain(r, "jump in", m->where, &args);
    }
    return may;
}

/*
 * Drift that is undone again and again: true if it has to wait. What is undone in one chain holds
 * the repair in no other, and that takes the one that waits along.
 */
static bool hold_back(struct nsh_reconciler *r)
{
    const struct guest_mark *wrong = NULL;
    uint64_t until = UINT64_MAX;
    bool may = false;

    for (size_t i = 0; !r->settling && i < r->n_guest_marks; i++) {
        struct guest_mark *m = &r->guest_marks[i];

        if (!m->wrong)
            continue;
        wrong = wrong ? wrong : m;
        may = may_mend(r, m, &until) || may;
    }
    if (!wrong || may)
        return false;
    say_waiting(r, wrong->where, until);
    reconcile_retry_at(r, until);
    return true;
}

static void failed(
        struct nsh_reconciler *r, const struct nsh_passages *p, int error, const char *why)
{
    struct report_args args = {.kind = NSH_REPORT_FAILED, .detail = why};
    char text[WHY_SIZE + 64];

    /* Somebody else writes: it is told if that does not end. */
    if (error == -EAGAIN) {
        reconcile_retry_at(r, reconcile_now(r) + RETRY_USEC);
        r->disturbed = true;
        return;
    }
    if (r->guests_failure != error)
        report_plain(r, "jump in", "chains of others", &args);
    r->guests_failure = error;
    r->guests_again = reconcile_now(r) + (FAILURE_RETRY_USEC << r->guests_failures);
    if (r->guests_failures < FAILURES_MAX)
        r->guests_failures++;
    reconcile_retry_at(r, r->guests_again);
    snprintf(text, sizeof text, "not in force: our jump in chains of others: %s", why);
    set_reason(r, p, text);
}

/* What failed has its time, unless somebody asks for all of it. */
static bool is_put_off(struct nsh_reconciler *r)
{
    if (r->settling || r->guests_again <= reconcile_now(r))
        return false;
    reconcile_retry_at(r, r->guests_again);
    return true;
}

void reconcile_guests(struct nsh_reconciler *r)
{
    NSH_CLEANUP(nsh_passages_done) struct nsh_passages p = {0};
    char why[WHY_SIZE] = "";
    int q;

    if (!r->guests_dirty || is_put_off(r) || hold_back(r))
        return;
    q = nsh_passages_new(r->desired, NULL, &p);
    if (q == 0)
        q = nsh_passages_ask(&p, r->firewall, r->other, NSH_FIREWALL_WRITE, tell, r);
    if (q == 0)
        q = nsh_guests_want(&r->guests, &p);
    if (q == 0)
        q = write_iptables(r, why, sizeof why);
    if (q < 0) {
        failed(r, &p, q, why[0] ? why : strerror(-q));
        return;
    }
    drop_unseen(r);
    r->hosted_put = r->hosted_print;
    set_reason(r, &p, NULL);
    r->guests_failure = 0;
    r->guests_failures = 0;
    r->guests_again = 0;
    r->guests_dirty = false;
}
