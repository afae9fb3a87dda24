/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Policy routing rules: they are few, so all are compared whenever one may be wrong. Where there is
 * much to write it is done in slices, a pass each, so that the event loop is not held.
 */
#include "reconcile-internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "apply-rules.h"

#define DUMP_TRIES 3
/* The kernel looks through all rules for each that is written. */
#define STEPS_MAX 128
#define ROUNDS_MAX 2 /* once more when a rule was in the way that had not been seen */

/* In rule_flags, beside NSH_RULE_SKIP. */
#define RULE_WAS_HELD 0x02U /* netshared put it there: if it is missing, that is drift */
#define RULE_AGAIN 0x04U    /* it stands twice, by our own doing; the deletion follows */

struct round {
    struct nsh_reconciler *r;
    bool last;
    bool occupied; /* an addition met a rule that was not observed */
};

/* ---- marks ---- */

static const struct rule_mark *find_mark(const struct nsh_reconciler *r, size_t wanted)
{
    for (size_t i = r->n_rule_marks; i-- > 0;)
        if (r->rule_marks[i].wanted == wanted)
            return &r->rule_marks[i];
    return NULL;
}

void reconcile_rule_event(struct nsh_reconciler *r, const struct nsh_fib_event *e)
{
    size_t wanted = nsh_desired_find_rule(r->desired, &e->rule);
    struct rule_mark *m;

    if (e->gone && wanted == SIZE_MAX)
        return; /* it was not wanted anyhow */
    r->rules_dirty = true;
    if (!e->gone)
        reconcile_set_trigger(r, e->sender,
                wanted == SIZE_MAX ? "an unknown rule with our mark appeared"
                                   : "a rule was added a second time");
    else if (r->n_rule_marks == RULE_MARKS_MAX)
        reconcile_set_trigger(r, e->sender, "many rules changed");
    if (!e->gone || r->n_rule_marks == RULE_MARKS_MAX)
        return;
    m = &r->rule_marks[r->n_rule_marks];
    *m = (struct rule_mark){.wanted = wanted, .sender = e->sender, .at = reconcile_now(r)};
    if (r->n_rule_marks < CULPRITS_MAX &&
            !nsh_culprit_find(e->sender, m->at, m->culprit, &m->culprit_pid))
        m->culprit_pid = 0;
    r->n_rule_marks++;
}

/* ---- states ---- */

static void tell(struct nsh_reconciler *r, size_t wanted, enum nsh_report_kind kind,
        const char *cause, const char *detail)
{
    const struct rule_mark *mark = find_mark(r, wanted);
    struct report_args args = {
            .kind = kind,
            .cause = cause,
            .detail = detail,
            .sender = mark ? mark->sender : 0,
            .at = mark ? mark->at : 0,
            .culprit = mark && mark->culprit_pid > 0 ? mark->culprit : NULL,
            .culprit_pid = mark ? mark->culprit_pid : 0,
    };

    report_rule(r, &r->desired->rules[wanted], &args);
}

static void become_held(struct nsh_reconciler *r, size_t wanted)
{
    r->rule_states[wanted] = NSH_OBJECT_HELD;
    r->rule_flags[wanted] |= RULE_WAS_HELD;
    nsh_notes_set_reason(r->notes, NSH_OBJECT_RULE + wanted, NULL);
}

static void become_wrong(struct nsh_reconciler *r, size_t wanted, const char *why)
{
    bool news = nsh_notes_set_reason(r->notes, NSH_OBJECT_RULE + wanted, why) != 0;

    if (r->rule_states[wanted] == NSH_OBJECT_WRONG && !news)
        return;
    r->rule_states[wanted] = NSH_OBJECT_WRONG;
    tell(r, wanted, NSH_REPORT_FAILED, NULL, why);
}

int reconcile_carry_rules(struct nsh_reconciler *r, const struct nsh_desired *to, uint8_t *flags,
        uint8_t *states, struct nsh_notes *notes)
{
    for (size_t i = 0; r->desired && i < r->desired->n_rules; i++) {
        size_t j = nsh_desired_find_rule(to, &r->desired->rules[i]);

        if (j == SIZE_MAX)
            continue;
        flags[j] = r->rule_flags[i] & RULE_WAS_HELD;
        states[j] = r->rule_states[i];
        if (nsh_notes_move(r->notes, NSH_OBJECT_RULE + i, notes, NSH_OBJECT_RULE + j) < 0)
            return -ENOMEM;
    }
    return 0;
}

/* ---- fights ---- */

static void wait_until(struct nsh_reconciler *r, uint64_t when)
{
    if (when < r->rules_wait)
        r->rules_wait = when;
}

/* A gate is closed. That was told of the gate. */
static void become_standby(struct nsh_reconciler *r, size_t wanted)
{
    r->rule_states[wanted] = NSH_OBJECT_STANDBY;
    r->rule_flags[wanted] &= (uint8_t)~RULE_WAS_HELD;
    r->rule_flags[wanted] |= NSH_RULE_WITHDRAWN;
    nsh_notes_set_reason(r->notes, NSH_OBJECT_RULE + wanted, NULL);
}

static void mark_skips(struct nsh_reconciler *r)
{
    uint64_t now = reconcile_now(r);

    r->rules_wait = NSH_NEVER;
    for (size_t i = 0; i < r->desired->n_rules; i++) {
        const struct nsh_repairs *repairs;

        r->rule_flags[i] &= (uint8_t) ~(NSH_RULE_SKIP | NSH_RULE_WITHDRAWN);
        if (!nsh_desired_is_open(r->desired, r->desired->rules[i].when)) {
            become_standby(r, i);
            continue;
        }
        if (r->rule_states[i] != NSH_OBJECT_WRONG)
            continue;
        repairs = nsh_notes_find_repairs(r->notes, NSH_OBJECT_RULE + i);
        if (!repairs || repairs->backoff.not_before <= now)
            continue;
        r->rule_flags[i] |= NSH_RULE_SKIP;
        wait_until(r, repairs->backoff.not_before);
    }
}

/* True if the repair has to wait. */
static bool hold_back(struct nsh_reconciler *r, size_t wanted)
{
    nsh_object_id id = NSH_OBJECT_RULE + wanted;
    char text[96];
    uint64_t until;
    bool fight;

    if (!(r->rule_flags[wanted] & RULE_WAS_HELD) || reconcile_may_repair(r, id, &until, &fight))
        return false;
    r->rule_flags[wanted] |= NSH_RULE_SKIP;
    r->rule_states[wanted] = NSH_OBJECT_WRONG;
    nsh_notes_set_reason(r->notes, id, "something keeps undoing the repair; backing off");
    wait_until(r, until);
    if (fight)
        tell(r, wanted, NSH_REPORT_FIGHT, NULL, reconcile_fight_text(r, id, text, sizeof text));
    return true;
}

static bool hold_back_fights(struct nsh_reconciler *r)
{
    size_t n;
    const struct nsh_rule_step *steps = nsh_rule_plan_steps(r->rule_plan, &n);
    bool held_back = false;

    for (size_t i = 0; !r->settling && i < n; i++)
        if (steps[i].action == NSH_RULE_ADD && hold_back(r, steps[i].wanted))
            held_back = true;
    return held_back;
}

/* ---- outcomes ---- */

static void added(struct nsh_reconciler *r, size_t wanted)
{
    bool was_held = (r->rule_flags[wanted] & RULE_WAS_HELD) != 0;
    const struct rule_mark *mark = find_mark(r, wanted);
    bool own = r->rule_states[wanted] == NSH_OBJECT_STANDBY;

    become_held(r, wanted);
    if (own && !r->settling)
        return; /* told with what it depends on */
    if (r->settling || !was_held) {
        tell(r, wanted, NSH_REPORT_ADDED, NULL, NULL);
        return;
    }
    reconcile_repaired(
            r, NSH_OBJECT_RULE + wanted, mark ? mark->culprit : NULL, mark ? mark->culprit_pid : 0);
    if (mark)
        tell(r, wanted, NSH_REPORT_RESTORED, "removed", NULL);
    else
        tell(r, wanted, NSH_REPORT_RESTORED, "missing",
                r->account.trigger.text[0] ? r->account.trigger.text : NULL);
}

/* Not wanted now, and that was told with what it depends on. */
static bool was_withdrawn(const struct nsh_reconciler *r, const struct nsh_rule *rule)
{
    size_t wanted = nsh_desired_find_rule(r->desired, rule);

    return wanted != SIZE_MAX && r->rule_flags[wanted] & NSH_RULE_WITHDRAWN && !r->settling;
}

static void deleted(
        struct nsh_reconciler *r, const struct nsh_rule_step *step, int error, const char *why)
{
    bool twice = step->action == NSH_RULE_DELETE_DOUBLE;
    struct report_args args = {.kind = error < 0 ? NSH_REPORT_FAILED : NSH_REPORT_REMOVED};

    if (twice && r->rule_flags[step->wanted] & RULE_AGAIN && error == 0) {
        r->rule_flags[step->wanted] &= (uint8_t)~RULE_AGAIN;
        return;
    }
    if (error == 0 && was_withdrawn(r, &step->rule))
        return;
    args.detail = error < 0 ? why : twice ? "it stood there twice" : NULL;
    report_rule(r, &step->rule, &args);
}

static void written(void *userdata, const struct nsh_rule_step *step, int error, const char *why)
{
    struct round *round = userdata;
    struct nsh_reconciler *r = round->r;

    r->work.rules++;
    switch (step->action) {
    case NSH_RULE_ADD:
        if (error == 0)
            added(r, step->wanted);
        else if (error == -EEXIST && !round->last)
            round->occupied = true;
        else
            become_wrong(r, step->wanted, why);
        break;
    case NSH_RULE_ADD_AGAIN:
        if (error == 0)
            r->rule_flags[step->wanted] |= RULE_AGAIN;
        break; /* else it stands as it did, and so does what was to be deleted */
    case NSH_RULE_DELETE:
    case NSH_RULE_DELETE_DOUBLE:
        deleted(r, step, error, why);
        break;
    }
}

/* ---- rounds ---- */

static int observe(void *userdata, const struct nsh_rule *seen)
{
    return nsh_rule_plan_observe(userdata, seen);
}

/* A dump that was disturbed is begun again. */
static int feed(struct nsh_reconciler *r)
{
    int q = -EAGAIN;

    for (int i = 0; i < DUMP_TRIES && q == -EAGAIN; i++) {
        nsh_rule_plan_begin(r->rule_plan);
        q = r->fib->ops->rules_dump(r->fib, observe, r->rule_plan);
    }
    return q == 0 ? nsh_rule_plan_finish(r->rule_plan, STEPS_MAX) : q;
}

static int round_of(struct round *round)
{
    struct nsh_reconciler *r = round->r;
    size_t n;
    int q;

    mark_skips(r);
    q = feed(r);
    if (q == 0 && hold_back_fights(r))
        q = feed(r);
    if (q < 0)
        return q;
    r->earlier_rules = nsh_rule_plan_saw_earlier(r->rule_plan);
    for (size_t i = 0; i < r->desired->n_rules; i++)
        if (nsh_rule_plan_stands(r->rule_plan, i))
            become_held(r, i);
    nsh_rule_plan_steps(r->rule_plan, &n);
    r->account.rules_told.many = n > NSH_REPORT_SINGLE_MAX || nsh_rule_plan_more(r->rule_plan);
    return nsh_apply_rules(r->fib, r->rule_plan, written, round);
}

int reconcile_rules(struct nsh_reconciler *r)
{
    if (r->rules_wait <= reconcile_now(r))
        r->rules_dirty = true;
    for (int i = 1; i <= ROUNDS_MAX && r->rules_dirty; i++) {
        struct round round = {.r = r, .last = i == ROUNDS_MAX};
        int q = round_of(&round);

        if (q < 0)
            return q;
        r->rules_dirty = round.occupied;
        if (nsh_rule_plan_more(r->rule_plan)) {
            r->rules_dirty = true;
            return 0;
        }
    }
    return 0;
}
