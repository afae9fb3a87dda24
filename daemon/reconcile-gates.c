/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Gates: what is wanted only while a condition holds or a check succeeds.
 *
 * A gate that opens or closes changes what is wanted, not what the kernel holds: no drift is told,
 * but one line for the gate, with what depends on it. Routes that name it are marked one by one
 * with what stands there as far as is known, so that it costs no look at the kernel.
 */
#include "reconcile-internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "judge.h"
#include "probes.h"

/* ---- marks ---- */

void nsh_reconciler_gate(struct nsh_reconciler *r, nsh_gate_id gate, bool open, const char *reason)
{
    struct gate_mark *m;

    if (!r->desired || gate == NSH_NO_GATE || gate >= r->desired->n_gates)
        return;
    m = &r->gate_marks[gate];
    *m = (struct gate_mark){.marked = true, .open = open};
    snprintf(m->reason, sizeof m->reason, "%s", reason ? reason : "");
    r->gates_marked = true;
    reconcile_set_trigger(r, 0, open ? "a check succeeds again" : "a check failed");
}

bool nsh_reconciler_leads_probes(const struct nsh_reconciler *r, nsh_gate_id gate)
{
    const struct nsh_desired *d = r->desired;
    struct nsh_rule rule = nsh_probes_rule(&d->gates[gate].check, &d->config->settings);
    size_t i = nsh_desired_find_rule(d, &rule);

    return i != SIZE_MAX && r->rule_states[i] == NSH_OBJECT_HELD;
}

void reconcile_gate_event(struct nsh_reconciler *r, const struct nsh_fib_event *e, const char *text)
{
    if (!nsh_desired_judges(r->desired, e))
        return;
    r->gates_dirty = true;
    reconcile_set_trigger(r, e->sender, text);
}

/* ---- telling ---- */

struct words {
    char *at;
    size_t left;
    unsigned n;
};

static void add_words(struct words *w, size_t count, const char *one, const char *many)
{
    int n;

    if (count == 0 || w->left == 0)
        return;
    n = snprintf(
            w->at, w->left, "%s%zu %s", w->n++ > 0 ? ", " : "", count, count == 1 ? one : many);
    n = n < 0 ? 0 : n;
    w->left -= (size_t)n < w->left ? (size_t)n : w->left;
    w->at += n;
}

/* "2 routes, 1 rule withdrawn", "1 route goes on by other nexthops"; "" for nothing. */
static void effect_text(const struct gate_effect *e, bool open, bool first, char *buf, size_t size)
{
    struct words w = {buf, size, 0};

    buf[0] = '\0';
    add_words(&w, open ? e->back : e->withdrawn, "route", "routes");
    add_words(&w, e->rules, "rule", "rules");
    add_words(&w, e->policies, "policy", "policies");
    if (w.n > 0 && w.left > 0)
        snprintf(w.at, w.left, " %s", open ? "back" : first ? "on standby" : "withdrawn");
    if (w.n > 0) {
        size_t used = strlen(buf);

        w.at = buf + used;
        w.left = size - used;
    }
    add_words(&w, e->changed, "route goes on by other nexthops", "routes go on by other nexthops");
}

static void tell_gate(struct nsh_reconciler *r, nsh_gate_id gate, bool open, bool first,
        const struct gate_effect *e, const char *reason)
{
    const struct nsh_gate *g = &r->desired->gates[gate];
    char name[NSH_GATE_TEXT], effect[160], detail[sizeof effect + GATE_REASON_TEXT];
    struct report_args args = {
            .kind = open ? NSH_REPORT_OPENED : NSH_REPORT_CLOSED,
            .detail = detail,
            .count = e->withdrawn + e->back + e->changed + e->rules + e->policies,
    };

    effect_text(e, open, first, effect, sizeof effect);
    snprintf(detail, sizeof detail, "%s%s%s", reason, reason[0] && effect[0] ? "; " : "", effect);
    report_gate(r, nsh_gate_noun(g), nsh_gate_format(g, name, sizeof name), &args, g->origin);
}

const char *reconcile_gate_reason(
        const struct nsh_reconciler *r, nsh_gate_id gate, char *buf, size_t size)
{
    const struct nsh_gate *g = &r->desired->gates[gate];
    const char *reason = nsh_notes_reason(r->notes, NSH_OBJECT_GATE + gate);
    char name[NSH_GATE_TEXT];

    if (g->kind == NSH_GATE_WHEN && reason)
        snprintf(buf, size, "%s", reason);
    else
        snprintf(buf, size, "%s %s %s%s%s", nsh_gate_noun(g), nsh_gate_format(g, name, sizeof name),
                g->kind == NSH_GATE_WHEN ? "does not hold" : "fails", reason ? ": " : "",
                reason ? reason : "");
    return buf;
}

/* ---- routes ---- */

void reconcile_prepare(struct nsh_reconciler *r, size_t wanted, bool own, bool in_job)
{
    const struct nsh_desired *d = r->desired;
    enum nsh_object_state state;
    bool changing = (r->route_flags[wanted] & ROUTE_OWN_CHANGE) != 0;

    if (nsh_desired_standing(d, &d->routes[wanted], NULL) == NSH_STANDING_WANTED)
        r->route_flags[wanted] |= ROUTE_WAS_WANTED;
    if (own)
        r->route_flags[wanted] |= ROUTE_OWN_CHANGE;
    if (in_job) {
        nsh_route_plan_settle(r->route_plan, wanted);
        r->job.learned = true;
        return;
    }
    /* A comparison that is yet to begin sees all of them; or it changed a moment ago already. */
    if (changing || (r->routes_dirty >= ROUTES_OURS && r->job.phase == JOB_NONE))
        return;
    if (r->settling || reconcile_carry_one(r, wanted) < 0) {
        reconcile_mark_routes(r, ROUTES_OURS);
        return;
    }
    state = r->route_states[wanted];
    if (state == NSH_OBJECT_HELD || state == NSH_OBJECT_STANDBY ||
            r->route_flags[wanted] & ROUTE_UNLEARNED)
        reconcile_mark_own(r, wanted);
    else
        reconcile_mark_routes(r, ROUTES_OURS);
}

void reconcile_changed(struct nsh_reconciler *r, size_t wanted, struct gate_effect *e)
{
    const struct nsh_desired *d = r->desired;
    bool was = (r->route_flags[wanted] & ROUTE_WAS_WANTED) != 0;
    bool is = nsh_desired_standing(d, &d->routes[wanted], NULL) == NSH_STANDING_WANTED;

    r->route_flags[wanted] &= (uint8_t)~ROUTE_WAS_WANTED;
    e->withdrawn += was && !is;
    e->back += is && !was;
    e->changed += was && is;
    reconcile_skip(r, wanted, reconcile_now(r));
}

/* ---- rules and policies ---- */

static void touch_rules(struct nsh_reconciler *r, nsh_gate_id gate, struct gate_effect *e)
{
    for (size_t i = 0; i < r->desired->n_rules; i++)
        e->rules += r->desired->rules[i].when == gate;
    r->rules_dirty = r->rules_dirty || e->rules > 0;
}

void reconcile_settle_chains(struct nsh_reconciler *r)
{
    for (size_t i = 0; i < r->desired->n_chains; i++) {
        if (!r->desired->chains[i].standby || r->desired->chains[i].blocked)
            continue;
        r->chain_states[i] = NSH_OBJECT_STANDBY;
        nsh_notes_set_reason(r->notes, NSH_OBJECT_CHAIN + i, NULL);
    }
    reconcile_settle_sets(r);
}

/* Its chains of both families are next to each other. */
static bool begins_policy(const struct nsh_desired *d, size_t chain)
{
    return chain == 0 || strcmp(d->chains[chain - 1].policy, d->chains[chain].policy) != 0;
}

static void touch_chains(struct nsh_reconciler *r, nsh_gate_id gate, struct gate_effect *e)
{
    for (size_t i = 0; i < r->desired->n_chains; i++) {
        const struct nsh_chain *c = &r->desired->chains[i];

        if (c->when != gate)
            continue;
        r->firewall_dirty[nsh_family_index(c->family)] = true;
        e->policies += begins_policy(r->desired, i);
    }
    if (e->policies == 0)
        return;
    nsh_desired_settle(r->desired);
    reconcile_settle_chains(r);
    r->forwarding_dirty = r->unwanted_dirty = r->drops_dirty = true;
    reconcile_mark_devices(r, DEVICES_TELL);
}

static bool names_chain(const struct nsh_desired *d, nsh_gate_id gate)
{
    for (size_t i = 0; i < d->n_chains; i++)
        if (d->chains[i].when == gate)
            return true;
    return false;
}

/* ---- a change ---- */

static struct gate_effect change_gate(
        struct nsh_reconciler *r, nsh_gate_id gate, bool open, bool own)
{
    size_t n;
    const uint32_t *routes = nsh_desired_of_gate(r->desired, gate, &n);
    struct gate_effect e = {0};

    for (size_t i = 0; i < n; i++)
        reconcile_prepare(r, routes[i], own, false);
    if (own && names_chain(r->desired, gate))
        reconcile_flows_change(r, &r->desired->config->settings);
    r->desired->gate_states[gate].open = open;
    for (size_t i = 0; i < n; i++)
        reconcile_changed(r, routes[i], &e);
    touch_rules(r, gate, &e);
    touch_chains(r, gate, &e);
    return e;
}

/* What names a condition that does not hold when it is first looked at. */
static struct gate_effect count_closed(struct nsh_reconciler *r, nsh_gate_id gate)
{
    struct gate_effect e = {0};

    nsh_desired_of_gate(r->desired, gate, &e.withdrawn);
    touch_rules(r, gate, &e);
    for (size_t i = 0; i < r->desired->n_chains; i++)
        e.policies += r->desired->chains[i].when == gate && begins_policy(r->desired, i);
    return e;
}

static void set_gate(struct nsh_reconciler *r, nsh_gate_id gate, bool open, const char *reason)
{
    struct nsh_gate_state *state = &r->desired->gate_states[gate];
    bool first = !state->judged && r->desired->gates[gate].kind == NSH_GATE_WHEN;
    bool change = state->open != open;
    struct gate_effect e = {0};

    state->judged = true;
    nsh_notes_set_reason(r->notes, NSH_OBJECT_GATE + gate, open || !reason[0] ? NULL : reason);
    if (change)
        e = change_gate(r, gate, open, !first);
    else if (first && !open)
        e = count_closed(r, gate);
    /* That a condition holds at start is as expected. */
    if (first ? !open : change)
        tell_gate(r, gate, open, first, &e, reason);
}

/* ---- a pass ---- */

static void take_judged(void *userdata, nsh_gate_id gate, bool holds, const char *why)
{
    set_gate(userdata, gate, holds, why);
}

int reconcile_gates(struct nsh_reconciler *r)
{
    int q = r->gates_dirty ? nsh_desired_judge(r->fib, r->desired, take_judged, r) : 0;

    if (q < 0)
        return q;
    r->gates_dirty = false;
    for (size_t i = 0; r->gates_marked && i < r->desired->n_gates; i++) {
        struct gate_mark *m = &r->gate_marks[i];

        if (m->marked)
            set_gate(r, (nsh_gate_id)i, m->open, m->reason);
        m->marked = false;
    }
    r->gates_marked = false;
    return 0;
}

/* ---- a new configuration ---- */

/* The gate of the present configuration whose state is that of `gate`; NSH_NO_GATE: none. */
static size_t find_present(const struct nsh_desired *d, const struct nsh_gate *gate)
{
    size_t alike = NSH_NO_GATE;

    for (size_t i = 1; i < d->n_gates; i++) {
        if (nsh_gate_equal(&d->gates[i], gate))
            return i;
        if (alike == NSH_NO_GATE && nsh_gate_alike(&d->gates[i], gate))
            alike = i;
    }
    return alike;
}

int reconcile_carry_gates(
        const struct nsh_reconciler *r, struct nsh_desired *to, struct nsh_notes *notes)
{
    for (size_t i = 1; r->desired && i < to->n_gates; i++) {
        size_t present = find_present(r->desired, &to->gates[i]);
        const struct gate_mark *m = &r->gate_marks[present];
        const char *reason = nsh_notes_reason(r->notes, NSH_OBJECT_GATE + present);

        if (present == NSH_NO_GATE)
            continue;
        to->gate_states[i] = r->desired->gate_states[present];
        if (m->marked) {
            to->gate_states[i].open = m->open;
            reason = m->reason;
        }
        if (to->gate_states[i].open || !reason || reason[0] == '\0')
            continue;
        if (nsh_notes_set_reason(notes, NSH_OBJECT_GATE + i, reason) < 0)
            return -ENOMEM;
    }
    nsh_desired_settle(to);
    return 0;
}
