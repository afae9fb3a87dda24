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

#include "apply.h"
#include "cleanup.h"

#define COMMIT_TRIES 8
#define RETRY_USEC 50000ULL
#define FAILURE_RETRY_USEC 1000000ULL
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

static const char *place_in_iptables(int family)
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
    struct nsh_guest_seen seen = {.where = place_in_iptables(family), .reason = reason};

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
        if (!is_wanted(r, nsh_family_of(f)) && find_mark(r, place_in_iptables(nsh_family_of(f))))
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

/* -EBUSY: another program holds the lock. */
static int write_iptables(struct nsh_reconciler *r, char *why, size_t size)
{
    int q;

    if (r->guests.desired.n_chains == 0)
        return 0;
    q = r->other->ops->open(r->other, NSH_FIREWALL_WRITE);
    if (q != NSH_FIREWALL_OK)
        return q < 0 ? q : -EBUSY;
    for (int f = 0; q == 0 && f < NSH_FAMILIES; f++)
        if (is_wanted(r, nsh_family_of(f)))
            q = write_family(r, nsh_family_of(f), why, size);
    r->other->ops->close(r->other);
    return q;
}

/* ---- looking ---- */

static void note(void *userdata, const struct nsh_guest_seen *seen)
{
    struct nsh_reconciler *r = userdata;
    struct guest_mark *m =
            seen->verb == NSH_GUEST_STANDS ? add_mark(r, seen->where) : find_mark(r, seen->where);

    if (m)
        m->seen = seen->verb != NSH_GUEST_REMOVE;
    if (m && seen->verb != NSH_GUEST_STANDS)
        m->wrong = true;
    if (seen->verb != NSH_GUEST_STANDS)
        r->guests_dirty = true;
}

int reconcile_guests_look(struct nsh_reconciler *r, struct nsh_passages *p)
{
    int q;

    for (size_t i = 0; i < r->n_guest_marks; i++)
        r->guest_marks[i].seen = r->guest_marks[i].wrong = false;
    q = nsh_passages_ask(p, r->firewall, r->other, NSH_FIREWALL_READ, note, r);
    if (q == 0)
        q = nsh_guests_want(&r->guests, p);
    if (q == 0)
        q = look_at_iptables(r);
    if (q == 0)
        drop_unseen(r);
    return q;
}

/* ---- writing ---- */

static void tell(void *userdata, const struct nsh_guest_seen *seen)
{
    static const enum nsh_report_kind kinds[] = {
            [NSH_GUEST_ADD] = NSH_REPORT_ADDED,
            [NSH_GUEST_CHANGE] = NSH_REPORT_CHANGED,
            [NSH_GUEST_REMOVE] = NSH_REPORT_REMOVED,
    };
    struct nsh_reconciler *r = userdata;
    struct guest_mark *m = find_mark(r, seen->where);
    struct report_args args = {.kind = kinds[seen->verb]};

    if (seen->verb == NSH_GUEST_STANDS)
        return;
    if (m && !r->settling && seen->verb != NSH_GUEST_REMOVE) {
        args = (struct report_args){.kind = NSH_REPORT_RESTORED, .cause = seen->reason};
        reconcile_repaired(r, NSH_OBJECT_GUEST);
    }
    m = seen->verb == NSH_GUEST_REMOVE ? m : add_mark(r, seen->where);
    if (m) {
        m->seen = seen->verb != NSH_GUEST_REMOVE;
        m->wrong = false;
    }
    report_plain(r, "jump in", seen->where, &args);
}

/* Drift that is undone again and again: true if it has to wait. */
static bool hold_back(struct nsh_reconciler *r)
{
    struct report_args args = {.kind = NSH_REPORT_FIGHT};
    uint64_t until;
    bool fight, drift = false;
    char text[96];

    for (size_t i = 0; i < r->n_guest_marks; i++)
        drift = drift || r->guest_marks[i].wrong;
    if (!drift || r->settling || reconcile_may_repair(r, NSH_OBJECT_GUEST, &until, &fight))
        return false;
    args.detail = reconcile_fight_text(r, NSH_OBJECT_GUEST, text, sizeof text);
    for (size_t i = 0; fight && i < r->n_guest_marks; i++)
        if (r->guest_marks[i].wrong)
            report_plain(r, "jump in", r->guest_marks[i].where, &args);
    reconcile_retry_at(r, until);
    return true;
}

static void failed(struct nsh_reconciler *r, int error, const char *why)
{
    struct report_args args = {.kind = NSH_REPORT_FAILED, .detail = why};

    /* Somebody else writes: it is told if that does not end. */
    if (error != -EBUSY && error != -EAGAIN && r->guests_failure != error)
        report_plain(r, "jump in", "chains of others", &args);
    r->guests_failure = error;
    reconcile_retry_at(
            r, reconcile_now(r) +
                       (error == -EBUSY || error == -EAGAIN ? RETRY_USEC : FAILURE_RETRY_USEC));
}

void reconcile_guests(struct nsh_reconciler *r)
{
    NSH_CLEANUP(nsh_passages_done) struct nsh_passages p = {0};
    char why[WHY_SIZE] = "";
    int q;

    if (!r->guests_dirty || hold_back(r))
        return;
    q = nsh_passages_new(r->desired, NULL, &p);
    if (q == 0)
        q = nsh_passages_ask(&p, r->firewall, r->other, NSH_FIREWALL_WRITE, tell, r);
    if (q == 0)
        q = nsh_guests_want(&r->guests, &p);
    if (q == 0)
        q = write_iptables(r, why, sizeof why);
    if (q < 0) {
        failed(r, q, why[0] ? why : strerror(-q));
        return;
    }
    drop_unseen(r);
    r->guests_failure = 0;
    r->guests_dirty = false;
}
