/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sets of prefixes: there before the rules that refer to them, and gone after those.
 *
 * A set may hold a hundred thousand prefixes. After a reload it is compared with what was wanted
 * before, so that one changed prefix is one that is written; what it really holds is compared
 * behind that, as at every resync. In between nothing but its header is looked at, which tells a
 * flush or a single deletion, but not an exchange. A pass reads or writes one set after the other
 * until its time is up; the rest has its turn after what else is waiting.
 */
#include "reconcile-internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

#define WHY_SIZE 512
#define SLICE_USEC 10000ULL

static const struct nsh_set *set_of(const struct nsh_reconciler *r, size_t i)
{
    return &r->desired->sets[i];
}

static bool can(const struct nsh_reconciler *r)
{
    return r->firewall->ops->sets && r->desired->n_sets > 0;
}

static int compare_key(const struct nsh_set *s, int family, const char *name)
{
    return s->family != family ? (int)s->family - family : strcmp(s->name, name);
}

/* Index of the wanted set of that name, or SIZE_MAX. */
static size_t find_set(const struct nsh_desired *d, int family, const char *name)
{
    size_t low = 0, high = d->n_sets;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int q = compare_key(&d->sets[middle], family, name);

        if (q == 0)
            return middle;
        if (q < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return SIZE_MAX;
}

/* ---- names ---- */

static const struct nsh_chain *policy_of(const struct nsh_reconciler *r, const struct nsh_set *s)
{
    size_t i = nsh_chain_index_policy(&r->chain_index, s->family, s->policy);

    return i != SIZE_MAX ? &r->desired->chains[i] : NULL;
}

const char *reconcile_set_name(const struct nsh_reconciler *r, size_t set, char *buf, size_t size)
{
    const struct nsh_chain *c = policy_of(r, set_of(r, set));

    snprintf(buf, size, "%s of %s %s", set_of(r, set)->name,
            nsh_policy_noun(c ? c->kind : NSH_POLICY_MASQUERADE), set_of(r, set)->policy);
    return buf;
}

/* ---- marks ---- */

void reconcile_mark_sets(struct nsh_reconciler *r)
{
    for (size_t i = 0; r->desired && i < r->desired->n_sets; i++) {
        r->set_marks[i].dirty = true;
        r->set_marks[i].urgent = r->set_marks[i].urgent || r->settling;
    }
    if (r->desired)
        reconcile_count_set_marks(r);
}

/* Reading it would bring nothing new, as far as the firewall knows. */
static bool is_sure(struct nsh_reconciler *r, size_t i)
{
    const struct nsh_firewall_ops *ops = r->firewall->ops;

    return ops->sets_told && ops->sets_told(r->firewall) &&
           ops->set_changed(r->firewall, set_of(r, i)->family, set_of(r, i)->name) == 0;
}

void reconcile_spare_sets(struct nsh_reconciler *r)
{
    for (size_t i = 0; can(r) && i < r->desired->n_sets; i++) {
        struct set_mark *m = &r->set_marks[i];

        if (m->dirty && !m->urgent && m->state == NSH_OBJECT_HELD && is_sure(r, i))
            m->dirty = false;
    }
    reconcile_count_set_marks(r);
}

bool reconcile_poll_sets(struct nsh_reconciler *r, int family)
{
    bool any = false;

    for (size_t i = 0; can(r) && i < r->desired->n_sets; i++) {
        const struct nsh_set *s = set_of(r, i);

        if (s->family != family || s->standby ||
                r->firewall->ops->set_changed(r->firewall, family, s->name) <= 0)
            continue;
        r->set_marks[i].dirty = r->set_marks[i].urgent = true;
        any = true;
    }
    if (any)
        reconcile_count_set_marks(r);
    return any;
}

void reconcile_retry_sets(struct nsh_reconciler *r, int family)
{
    for (size_t i = 0; i < r->desired->n_sets; i++)
        if (set_of(r, i)->family == family && r->set_marks[i].state == NSH_OBJECT_WRONG)
            r->set_marks[i].dirty = r->set_marks[i].urgent = true;
}

void reconcile_settle_sets(struct nsh_reconciler *r)
{
    for (size_t i = 0; i < r->desired->n_sets; i++) {
        struct set_mark *m = &r->set_marks[i];

        if (set_of(r, i)->standby)
            *m = (struct set_mark){.state = NSH_OBJECT_STANDBY, .before = SIZE_MAX};
        else if (m->state == NSH_OBJECT_STANDBY)
            *m = (struct set_mark){.dirty = true, .urgent = true, .before = SIZE_MAX};
        else
            continue;
        nsh_notes_set_reason(r->notes, NSH_OBJECT_SET + i, NULL);
    }
    reconcile_count_set_marks(r);
}

static bool is_due(const struct nsh_reconciler *r, size_t i, int family, bool urgent)
{
    const struct set_mark *m = &r->set_marks[i];

    return set_of(r, i)->family == family && !set_of(r, i)->standby && m->dirty &&
           (m->urgent || !urgent) && m->wait <= reconcile_now(r);
}

bool reconcile_sets_due(const struct nsh_reconciler *r, int family)
{
    for (size_t i = 0; can(r) && i < r->desired->n_sets; i++)
        if (is_due(r, i, family, r->settling))
            return true;
    return false;
}

void reconcile_count_set_marks(struct nsh_reconciler *r)
{
    uint64_t now = reconcile_now(r);

    r->sets_dirty = r->sets_urgent = false;
    r->sets_wait = NSH_NEVER;
    for (size_t i = 0; can(r) && i < r->desired->n_sets; i++) {
        const struct set_mark *m = &r->set_marks[i];

        if (!m->dirty || set_of(r, i)->standby)
            continue;
        if (m->wait > now) {
            r->sets_wait = m->wait < r->sets_wait ? m->wait : r->sets_wait;
            continue;
        }
        r->sets_dirty = true;
        r->sets_urgent = r->sets_urgent || m->urgent;
    }
}

/* ---- comparing ---- */

static int observe(void *userdata, const struct nsh_prefix *element)
{
    return nsh_set_plan_observe(userdata, element);
}

/* -EINPROGRESS: it is still being read. */
static int compare_with_kernel(struct nsh_reconciler *r, size_t i, struct nsh_set_plan *plan)
{
    const struct nsh_set *s = set_of(r, i);
    int q;

    nsh_set_plan_begin(plan, true);
    q = r->firewall->ops->set_read(r->firewall, s->family, s->name, observe, plan);
    if (q == -EINPROGRESS)
        return q;
    if (q == -ENOENT) {
        nsh_set_plan_begin(plan, false);
        q = 0;
    }
    r->work.sets_read++;
    return q < 0 ? q : nsh_set_plan_finish(plan);
}

static int compare_with_before(const struct nsh_set *before, struct nsh_set_plan *plan)
{
    int q = 0;

    nsh_set_plan_begin(plan, true);
    for (size_t i = 0; q == 0 && i < before->n; i++)
        q = nsh_set_plan_observe(plan, &before->prefixes[i]);
    return q < 0 ? q : nsh_set_plan_finish(plan);
}

/* ---- writing ---- */

static void set_failed(struct nsh_reconciler *r, size_t i, const char *why)
{
    struct report_args args = {.kind = NSH_REPORT_FAILED, .detail = why};
    bool news = nsh_notes_set_reason(r->notes, NSH_OBJECT_SET + i, why) != 0;

    if (news || r->set_marks[i].state != NSH_OBJECT_WRONG)
        report_set(r, i, &args);
    r->set_marks[i].state = NSH_OBJECT_WRONG;
    reconcile_failed(r, nsh_family_index(set_of(r, i)->family));
}

/* Without its set a policy can't be; one that is only not as it should be goes on as it is. */
static void block_policy(struct nsh_reconciler *r, size_t i, const char *why)
{
    const struct nsh_chain *c = policy_of(r, set_of(r, i));
    char text[WHY_SIZE + 64];

    snprintf(text, sizeof text, "its set %s: %s", set_of(r, i)->name, why);
    if (c && !c->standby)
        reconcile_block(r, (size_t)(c - r->desired->chains), text);
}

static void report_written(
        struct nsh_reconciler *r, size_t i, const struct nsh_set_plan *plan, bool drift)
{
    const struct nsh_set_op *op = nsh_set_plan_op(plan);
    struct report_args args = {.kind = drift ? NSH_REPORT_RESTORED : NSH_REPORT_CHANGED};
    char detail[64];

    if (drift) {
        reconcile_repaired(r, NSH_OBJECT_SET + i, r->set_work.culprit, r->set_work.culprit_pid);
        reconcile_flows_want(r, nsh_family_index(set_of(r, i)->family));
        args.cause = nsh_set_plan_reason(plan);
        args.detail = r->set_work.resync ? "resync" : NULL;
        args.at = r->set_work.noticed;
        args.culprit_pid = r->set_work.culprit_pid;
        args.culprit = r->set_work.culprit_pid != 0 ? r->set_work.culprit : NULL;
    } else if (op->verb == NSH_SET_CREATE) {
        return; /* told with its policy */
    } else if (op->verb == NSH_SET_UPDATE) {
        snprintf(detail, sizeof detail, "%zu in, %zu out", op->n_add, op->n_remove);
        args.detail = detail;
    }
    report_set(r, i, &args);
}

static bool hold_back(struct nsh_reconciler *r, size_t i)
{
    struct report_args args = {.kind = NSH_REPORT_FIGHT};
    uint64_t until;
    bool fight;
    char text[96];

    if (reconcile_may_repair(r, NSH_OBJECT_SET + i, &until, &fight))
        return false;
    r->set_marks[i].wait = until;
    r->set_marks[i].state = NSH_OBJECT_WRONG;
    nsh_notes_set_reason(
            r->notes, NSH_OBJECT_SET + i, "something keeps undoing the repair; backing off");
    args.detail = reconcile_fight_text(r, NSH_OBJECT_SET + i, text, sizeof text);
    args.culprit_pid = r->set_work.culprit_pid;
    args.culprit = args.culprit_pid != 0 ? r->set_work.culprit : NULL;
    if (fight)
        report_set(r, i, &args);
    return true;
}

static void set_held(struct nsh_reconciler *r, size_t i)
{
    struct set_mark *m = &r->set_marks[i];

    m->state = NSH_OBJECT_HELD;
    m->dirty = m->urgent = false;
    m->wait = 0;
    nsh_notes_set_reason(r->notes, NSH_OBJECT_SET + i, NULL);
}

/* -EINPROGRESS: it is still being written. */
static int write_set(
        struct nsh_reconciler *r, const struct nsh_set_plan *plan, char *why, size_t size)
{
    int q;

    why[0] = '\0';
    q = r->firewall->ops->set_write(r->firewall, nsh_set_plan_op(plan), why, size);
    if (q == -EINPROGRESS)
        return q;
    r->work.sets_written += q == 0;
    if (q < 0 && why[0] == '\0')
        snprintf(why, size, "%s", strerror(-q));
    return q;
}

static void work_done(struct nsh_reconciler *r)
{
    nsh_set_plan_free(r->set_work.plan);
    r->set_work = (struct set_work){0};
}

void reconcile_drop_set_work(struct nsh_reconciler *r)
{
    if (r->set_work.plan && r->firewall && r->firewall->ops->set_drop)
        r->firewall->ops->set_drop(r->firewall);
    work_done(r);
}

/*
 * The difference from what was wanted before is written as it is, without reading. The set is read
 * later on, where somebody may have changed it unheard.
 */
static bool begin_delta(struct nsh_reconciler *r, size_t i, struct nsh_set_plan *plan)
{
    size_t before = r->set_marks[i].before;

    r->set_marks[i].before = SIZE_MAX;
    return before != SIZE_MAX && r->previous.desired &&
           compare_with_before(&r->previous.desired->sets[before], plan) == 0;
}

/* Who changed it, as far as it is certain; asked as soon as it is noticed. */
static void look_for_culprit(struct nsh_reconciler *r, struct set_work *w)
{
    struct nsh_firewall_culprit who;

    if (r->firewall->ops->set_culprit && r->firewall->ops->set_culprit(r->firewall, &who) &&
            nsh_culprit_confirm(who.pid, who.name, w->culprit))
        w->culprit_pid = (pid_t)who.pid;
}

static int begin_set(struct nsh_reconciler *r, size_t i)
{
    struct set_work *w = &r->set_work;
    const struct set_mark *m = &r->set_marks[i];
    int q;

    if (w->plan && w->set == i)
        return 0;
    reconcile_drop_set_work(r);
    q = nsh_set_plan_new(set_of(r, i), &w->plan);
    if (q < 0)
        return q;
    w->set = i;
    w->resync = strcmp(r->account.trigger.text, "resync") == 0 && !m->urgent;
    w->noticed = r->account.noticed;
    w->drift = !r->settling && (m->state == NSH_OBJECT_HELD || m->state == NSH_OBJECT_WRONG);
    w->delta = w->writing = begin_delta(r, i, w->plan);
    if (w->drift && !w->resync)
        look_for_culprit(r, w);
    return 0;
}

/* It is tried again as what failed. */
static void set_unknown(struct nsh_reconciler *r, size_t i, int error)
{
    r->set_marks[i].dirty = r->set_marks[i].urgent = false;
    set_failed(r, i, strerror(-error));
}

/* Compares, unless that is done; -EINPROGRESS, or what went wrong. */
static int look_at_set(struct nsh_reconciler *r, size_t i)
{
    int q = r->set_work.writing ? 0 : compare_with_kernel(r, i, r->set_work.plan);

    if (q < 0 && q != -EINPROGRESS)
        set_unknown(r, i, q);
    return q;
}

static int set_not_written(struct nsh_reconciler *r, size_t i, int error, const char *why)
{
    if (r->set_work.delta) {
        r->set_work.delta = r->set_work.writing = false;
        return -EAGAIN; /* then it is to be read */
    }
    r->set_marks[i].dirty = r->set_marks[i].urgent = false;
    set_failed(r, i, why);
    if (nsh_set_plan_op(r->set_work.plan)->verb == NSH_SET_CREATE)
        block_policy(r, i, why);
    return error;
}

/* Writes what differs; as above, and -EAGAIN: it is to be compared first. */
static int mend_set(struct nsh_reconciler *r, size_t i)
{
    struct set_work *w = &r->set_work;
    char why[WHY_SIZE];
    int q;

    if (!nsh_set_plan_op(w->plan))
        return 0;
    if (!w->writing && w->drift && hold_back(r, i))
        return 1;
    w->writing = true;
    q = write_set(r, w->plan, why, sizeof why);
    if (q == -EINPROGRESS)
        return q;
    if (q < 0)
        return set_not_written(r, i, q, why);
    report_written(r, i, w->plan, w->drift && !w->delta);
    return 0;
}

/* -EINPROGRESS: it goes on in the next pass. */
static int one_set(struct nsh_reconciler *r, size_t i)
{
    int q = begin_set(r, i);

    if (q < 0) {
        set_unknown(r, i, q);
        return q;
    }
    do {
        q = look_at_set(r, i);
        if (q == 0)
            q = mend_set(r, i);
    } while (q == -EAGAIN && r->set_marks[i].dirty);
    if (q == -EINPROGRESS)
        return q;
    if (q == 0 && r->set_work.delta && !is_sure(r, i))
        r->set_marks[i].urgent = false;
    else if (q == 0)
        set_held(r, i);
    work_done(r);
    return q;
}

/* What was begun is gone on with. */
static bool is_later(const struct nsh_reconciler *r, size_t i, int family, bool urgent)
{
    const struct set_work *w = &r->set_work;

    return w->plan && w->set != i && is_due(r, w->set, family, urgent);
}

int reconcile_sets_up(struct nsh_reconciler *r, int family, bool urgent)
{
    uint64_t until = reconcile_now(r) + SLICE_USEC;

    for (size_t i = 0; can(r) && i < r->desired->n_sets; i++) {
        if (!is_due(r, i, family, urgent) || is_later(r, i, family, urgent))
            continue;
        if (reconcile_now(r) > until || one_set(r, i) == -EINPROGRESS) {
            reconcile_count_set_marks(r);
            return 1;
        }
    }
    reconcile_count_set_marks(r);
    return 0;
}

/* ---- down ---- */

struct names {
    char (*items)[NSH_SET_NAME];
    size_t n, size;
    const struct nsh_reconciler *r; /* NULL: none is wanted */
    int family;
};

static void names_done(struct names *n)
{
    free(n->items);
}

static int note_unwanted(void *userdata, const char *name)
{
    struct names *n = userdata;
    size_t i = n->r ? find_set(n->r->desired, n->family, name) : SIZE_MAX;

    if (i != SIZE_MAX && !set_of(n->r, i)->standby)
        return 0;
    if (n->n == n->size) {
        size_t size = n->size > 0 ? n->size * 2 : 8;
        void *grown = reallocarray(n->items, size, sizeof *n->items);

        if (!grown)
            return -ENOMEM;
        n->items = grown;
        n->size = size;
    }
    snprintf(n->items[n->n++], sizeof *n->items, "%s", name);
    return 0;
}

/* False: not yet, while one is being written. Where sets can't be listed there are none of ours. */
static bool list_unwanted(struct nsh_firewall *fw, struct names *n)
{
    return !fw->ops->sets || fw->ops->sets(fw, n->family, note_unwanted, n) != -EINPROGRESS;
}

bool reconcile_sets_unwanted(struct nsh_reconciler *r, int family)
{
    NSH_CLEANUP(names_done) struct names n = {.r = r, .family = family};

    return !list_unwanted(r->firewall, &n) || n.n > 0;
}

int reconcile_sets_down(struct nsh_reconciler *r, int family)
{
    NSH_CLEANUP(names_done) struct names n = {.r = r, .family = family};

    if (!list_unwanted(r->firewall, &n))
        return 1;
    for (size_t i = 0; i < n.n; i++) {
        struct nsh_set_op op = {.verb = NSH_SET_DESTROY, .family = (uint8_t)family};
        struct report_args args = {.kind = NSH_REPORT_FAILED};
        char why[WHY_SIZE] = "";
        int q;

        memcpy(op.name, n.items[i], sizeof op.name);
        q = r->firewall->ops->set_write(r->firewall, &op, why, sizeof why);
        if (q == -EINPROGRESS)
            return 1;
        r->work.sets_written += q == 0;
        if (q == 0 || !r->settling)
            continue; /* that it stays was said before */
        args.detail = q == -EBUSY ? "it stays, because a foreign rule refers to it"
                      : why[0]    ? why
                                  : strerror(-q);
        report_plain(r, "set", op.name, &args);
    }
    return 0;
}

int reconcile_sets_clear(struct nsh_firewall *fw, int family)
{
    NSH_CLEANUP(names_done) struct names n = {.family = family};

    if (!list_unwanted(fw, &n))
        return 1;
    for (size_t i = 0; i < n.n; i++) {
        struct nsh_set_op op = {.verb = NSH_SET_DESTROY, .family = (uint8_t)family};

        memcpy(op.name, n.items[i], sizeof op.name);
        fw->ops->set_write(fw, &op, NULL, 0);
    }
    return 0;
}

/* ---- a new configuration ---- */

int reconcile_carry_sets(struct nsh_reconciler *r, const struct nsh_desired *to,
        struct set_mark *marks, struct nsh_notes *notes, enum nsh_occasion why)
{
    bool delta = why == NSH_OCCASION_RELOAD && !r->settling;
    size_t written = r->set_work.plan && r->set_work.writing ? r->set_work.set : SIZE_MAX;

    reconcile_drop_set_work(r);
    for (size_t i = 0; i < to->n_sets; i++)
        marks[i].before = SIZE_MAX;
    for (size_t i = 0; r->desired && i < r->desired->n_sets; i++) {
        const struct nsh_set *s = set_of(r, i);
        size_t k = find_set(to, s->family, s->name);

        if (k == SIZE_MAX)
            continue;
        marks[k].state = r->set_marks[i].state;
        if (delta && marks[k].state == NSH_OBJECT_HELD && !r->set_marks[i].urgent && i != written)
            marks[k].before = i;
        if (nsh_notes_move(r->notes, NSH_OBJECT_SET + i, notes, NSH_OBJECT_SET + k) < 0)
            return -ENOMEM;
    }
    return 0;
}
