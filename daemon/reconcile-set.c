/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A new configuration comes into force.
 *
 * It is the wanted one at once. What is known of a million routes from the configuration before is
 * carried over a piece at a time, by the first job, and of a single one as soon as it matters.
 * Where that one was in force, its routes are at the same time what the new ones are compared
 * with: the difference is written without a look at the kernel, which follows behind it.
 */
#include "reconcile-internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "resolve.h"

/* A flag of a route whose turn to be carried over has not come yet, and who is carried already. */
#define CARRIED 0x40U

/* ---- routes ---- */

struct nsh_route reconcile_seen_as(
        const struct nsh_desired *d, size_t wanted, union nsh_route_room *room)
{
    struct nsh_route seen = nsh_desired_effective(d, &d->routes[wanted], room);
    struct nsh_route_props *props = &room->props;
    uint32_t present = 0;

    if (seen.props != props)
        memcpy(props, seen.props, nsh_route_props_size(seen.props->n_nexthops));
    for (uint32_t n = 0; n < props->n_nexthops; n++) {
        struct nsh_nexthop nh = props->nexthops[n];

        if (nsh_nexthop_is_absent(&nh, d->links))
            continue;
        if (nh.link != NSH_NO_LINK)
            nh.ifindex = d->links[nh.link].ifindex;
        nh.link = NSH_NO_LINK;
        props->nexthops[present++] = nh;
    }
    props->n_nexthops = present;
    memset(props->vrf, 0, sizeof props->vrf);
    seen.props = props;
    seen.origin = NSH_ORIGIN_NONE; /* the kernel knows none */
    seen.protocol = d->protocol;
    seen.origin = NSH_ORIGIN_NONE; /* of what is seen; and that of another configuration, too */
    return seen;
}

static int observe_before(struct nsh_reconciler *r, size_t i)
{
    union nsh_route_room room;
    struct nsh_route seen = reconcile_seen_as(r->previous.desired, i, &room);

    return nsh_route_plan_observe(r->route_plan, &seen);
}

static bool still_equal(struct nsh_reconciler *r, size_t i, size_t to)
{
    struct previous *p = &r->previous;
    const struct nsh_route *is = &r->desired->routes[to];
    union nsh_route_room room;
    struct nsh_route seen;

    if (is->props->varies != 0 || p->desired->routes[i].props->varies != 0)
        return false;
    if (p->was != p->desired->routes[i].props || p->is != is->props) {
        seen = reconcile_seen_as(p->desired, i, &room);
        p->equal = nsh_route_equal(is, &seen, r->desired->links);
        p->was = p->desired->routes[i].props;
        p->is = is->props;
    }
    return p->equal;
}

static int carry_notes(struct nsh_reconciler *r, size_t i, size_t to)
{
    struct previous *p = &r->previous;

    r->route_flags[to] |= p->flags[i] & (NSH_ROUTE_WAS_HELD | ROUTE_SHADOW_TOLD);
    reconcile_set_state(r, to, (enum nsh_object_state)p->states[i]);
    return nsh_notes_move(p->notes, i, r->notes, to);
}

static int carry_pair(struct nsh_reconciler *r, size_t i, size_t to)
{
    if (r->route_flags[to] & CARRIED) {
        r->route_flags[to] &= (uint8_t)~CARRIED;
        return 0;
    }
    if (r->job.delta && r->previous.states[i] == NSH_OBJECT_HELD) {
        int q = 0;

        /* What is withdrawn is looked at as what is not wanted: that has to be known first. */
        if (r->desired->routes[to].props->varies != 0)
            reconcile_skip(r, to, reconcile_now(r));
        if (still_equal(r, i, to))
            nsh_route_plan_hold(r->route_plan, to);
        else
            q = observe_before(r, i);
        if (q < 0)
            return q;
    }
    return carry_notes(r, i, to);
}

int reconcile_carry(struct nsh_reconciler *r, size_t most)
{
    struct previous *p = &r->previous;
    size_t n_before = p->desired ? p->desired->n_routes : 0;

    for (; p->at < n_before && most > 0; most--) {
        int order = p->to < r->desired->n_routes ? nsh_route_id_cmp(&p->desired->routes[p->at],
                                                           &r->desired->routes[p->to])
                                                 : -1;
        int q = 0;

        if (order == 0)
            q = carry_pair(r, p->at, p->to);
        else if (order < 0 && r->job.delta && p->states[p->at] == NSH_OBJECT_HELD)
            q = observe_before(r, p->at);
        if (q < 0)
            return q;
        p->at += order <= 0;
        p->to += order >= 0;
    }
    if (p->at < n_before)
        return 1;
    reconcile_previous_done(r);
    return 0;
}

int reconcile_carry_one(struct nsh_reconciler *r, size_t wanted)
{
    struct previous *p = &r->previous;
    size_t i;

    if (!p->desired || wanted < p->to || (r->route_flags[wanted] & CARRIED))
        return 0;
    i = nsh_desired_find_route(p->desired, &r->desired->routes[wanted]);
    if (i == SIZE_MAX)
        return 0;
    r->route_flags[wanted] |= CARRIED;
    return carry_notes(r, i, wanted);
}

void reconcile_previous_done(struct nsh_reconciler *r)
{
    nsh_desired_free(r->previous.desired);
    nsh_notes_free(r->previous.notes);
    free(r->previous.flags);
    free(r->previous.states);
    r->previous = (struct previous){0};
}

/* ---- the rest ---- */

static int carry_chains(struct nsh_reconciler *r, struct nsh_chain *to,
        const struct nsh_chain_index *index, uint8_t *states, struct nsh_notes *notes)
{
    for (size_t i = 0; r->desired && i < r->desired->n_chains; i++) {
        const struct nsh_chain *c = &r->desired->chains[i];
        size_t k = nsh_chain_index_find(index, c->family, c->table, c->name);

        if (k == SIZE_MAX)
            continue;
        states[k] = r->chain_states[i];
        to[k].came = reconcile_came_before(c, &to[k]);
        to[k].open_told = c->open_told;
        to[k].was_first = to[k].position == NSH_POSITION_LAST &&
                          (c->position == NSH_POSITION_FIRST || c->was_first);
        if (nsh_notes_move(r->notes, NSH_OBJECT_CHAIN + i, notes, NSH_OBJECT_CHAIN + k) < 0 ||
                nsh_notes_move(r->notes, NSH_OBJECT_AHEAD + i, notes, NSH_OBJECT_AHEAD + k) < 0 ||
                nsh_notes_move(r->notes, NSH_OBJECT_ABSENT + i, notes, NSH_OBJECT_ABSENT + k) < 0 ||
                nsh_notes_move(r->notes, NSH_OBJECT_PARTLY + i, notes, NSH_OBJECT_PARTLY + k) < 0 ||
                nsh_notes_move(r->notes, NSH_OBJECT_BAN + i, notes, NSH_OBJECT_BAN + k) < 0 ||
                (to[k].kind == NSH_POLICY_MASQUERADE &&
                        nsh_notes_move(r->notes, NSH_OBJECT_DROP + i, notes, NSH_OBJECT_DROP + k) <
                                0))
            return -ENOMEM;
    }
    return 0;
}

/* What has the same number in every configuration. */
static int carry_fixed(struct nsh_reconciler *r, struct nsh_notes *notes)
{
    int q = 0;

    for (unsigned i = 0; q == 0 && i < NSH_FAMILIES; i++)
        q = nsh_notes_move(r->notes, NSH_OBJECT_FORWARDING + i, notes, NSH_OBJECT_FORWARDING + i);
    for (unsigned i = 0; q == 0 && i < NSH_FAMILIES * NSH_TABLE_COUNT; i++)
        q = nsh_notes_move(r->notes, NSH_OBJECT_TABLE + i, notes, NSH_OBJECT_TABLE + i);
    return q;
}

/*
 * What events told of routes that stay wanted is still to be seen to. Everything is compared
 * anyhow; but that the foreign ones were to be looked at too stays.
 */
static void carry_marks(struct nsh_reconciler *r, const struct nsh_desired *to)
{
    size_t n = 0;

    for (size_t i = 0; i < r->n_keys; i++) {
        size_t wanted = nsh_desired_find_route(to, &r->desired->routes[r->keys[i].wanted]);

        if (wanted == SIZE_MAX)
            continue;
        r->keys[n] = r->keys[i];
        r->keys[n++].wanted = wanted;
    }
    r->n_keys = n;
    r->n_rule_marks = 0;
    /* What was to be looked for among all routes is so still. */
    if (r->routes_dirty != ROUTES_ALL)
        r->routes_dirty = r->behind == ROUTES_ALL ? ROUTES_ALL : ROUTES_CLEAN;
    /* Flows from a gap are still there; the search that began goes by the chains as they were. */
    if (r->flows_family != AF_UNSPEC)
        r->flows_wanted[nsh_family_index(r->flows_family)] = true;
    r->flows_family = AF_UNSPEC;
    r->trigger = (struct trigger){0};
}

/* The protocol with which routes of ours are marked now, if it is another one than is to be. */
static uint8_t earlier_protocol(const struct nsh_reconciler *r, const struct nsh_desired *to)
{
    uint8_t earlier = r->also_ours != to->protocol ? r->also_ours : 0, now = 0;

    if (r->desired)
        now = r->desired->protocol;
    else if (r->state && nsh_state_protocol_load(r->state, &now) < 0)
        now = 0;
    if (now == to->protocol || now == 0)
        return earlier;
    /* Of two changes in a row the second may come before the first was carried out. */
    return r->settling && earlier != 0 ? earlier : now;
}

static bool any_ipv6_source(const struct nsh_desired *d)
{
    for (size_t i = 0; i < d->n_routes; i++)
        if (d->routes[i].family == AF_INET6 && d->routes[i].props->has_source)
            return true;
    return false;
}

/* All that a configuration needs beside itself. */
struct outfit {
    uint8_t *flags, *states, *rule_flags, *rule_states, *chains, *news;
    struct set_mark *sets;
    struct gate_mark *gate_marks;
    struct nsh_route_plan *plan, *key_plan;
    struct nsh_rule_plan *rule_plan;
    struct nsh_notes *notes;
    struct nsh_chain_index chain_index;
};

static void outfit_done(struct outfit *o)
{
    free(o->flags);
    free(o->states);
    free(o->rule_flags);
    free(o->rule_states);
    free(o->chains);
    free(o->news);
    free(o->sets);
    free(o->gate_marks);
    nsh_route_plan_free(o->plan);
    nsh_route_plan_free(o->key_plan);
    nsh_rule_plan_free(o->rule_plan);
    nsh_notes_free(o->notes);
    nsh_chain_index_done(&o->chain_index);
}

static int outfit_new(const struct nsh_desired *desired, uint8_t also_ours, struct outfit *o)
{
    o->flags = calloc(desired->n_routes + 1, 1);
    o->states = calloc(desired->n_routes + 1, 1);
    o->rule_flags = calloc(desired->n_rules + 1, 1);
    o->rule_states = calloc(desired->n_rules + 1, 1);
    o->chains = calloc(desired->n_chains + 1, 1);
    o->news = calloc(desired->n_chains + 1, 1);
    o->sets = calloc(desired->n_sets + 1, sizeof *o->sets);
    o->gate_marks = calloc(desired->n_gates + 1, sizeof *o->gate_marks);
    if (nsh_chain_index_make(desired->chains, desired->n_chains, &o->chain_index) < 0)
        return -ENOMEM;
    if (!o->flags || !o->states || !o->rule_flags || !o->rule_states || !o->chains || !o->news ||
            !o->sets || !o->gate_marks || nsh_notes_new(&o->notes) < 0)
        return -ENOMEM;
    if (nsh_route_plan_new(desired, o->flags, also_ours, &o->plan) < 0 ||
            nsh_rule_plan_new(desired, o->rule_flags, also_ours, &o->rule_plan) < 0)
        return -ENOMEM;
    return nsh_route_plan_new(desired, o->flags, also_ours, &o->key_plan);
}

/* The present configuration becomes the one before. */
static void set_aside(struct nsh_reconciler *r, enum nsh_occasion why)
{
    nsh_route_plan_free(r->route_plan);
    nsh_route_plan_free(r->key_plan);
    nsh_rule_plan_free(r->rule_plan);
    free(r->rule_flags);
    free(r->rule_states);
    free(r->chain_states);
    free(r->chain_news);
    free(r->set_marks);
    free(r->gate_marks);
    if (!r->desired)
        return;
    r->previous = (struct previous){
            .desired = r->desired,
            .flags = r->route_flags,
            .states = r->route_states,
            .notes = r->notes,
            .delta = why == NSH_OCCASION_RELOAD && !r->settling && r->also_ours == 0,
    };
    r->notes = NULL;
}

static void put_on(struct nsh_reconciler *r, struct nsh_desired *desired, struct outfit *o)
{
    nsh_notes_free(r->notes);
    nsh_chain_index_done(&r->chain_index);
    r->chain_index = o->chain_index;
    o->chain_index = (struct nsh_chain_index){0};
    r->desired = desired;
    r->n_hosted = 0;
    r->notes = NSH_TAKE_PTR(o->notes);
    r->route_plan = NSH_TAKE_PTR(o->plan);
    r->key_plan = NSH_TAKE_PTR(o->key_plan);
    r->rule_plan = NSH_TAKE_PTR(o->rule_plan);
    r->rule_flags = NSH_TAKE_PTR(o->rule_flags);
    r->rule_states = NSH_TAKE_PTR(o->rule_states);
    r->route_flags = NSH_TAKE_PTR(o->flags);
    r->route_states = NSH_TAKE_PTR(o->states);
    r->chain_states = NSH_TAKE_PTR(o->chains);
    r->chain_news = NSH_TAKE_PTR(o->news);
    r->set_marks = NSH_TAKE_PTR(o->sets);
    r->gate_marks = NSH_TAKE_PTR(o->gate_marks);
    r->gates_marked = false;
    memset(r->route_counts, 0, sizeof r->route_counts);
    r->route_counts[NSH_OBJECT_UNKNOWN] = desired->n_routes;
    r->n_unlearned = 0;
}

/* A job for the configuration before is given up; what it should have carried over is, now. */
static int end_job(struct nsh_reconciler *r)
{
    int q = 0;

    if (!r->desired)
        return 0;
    reconcile_job_cancel(r);
    while (q >= 0 && r->previous.desired)
        q = reconcile_carry(r, SIZE_MAX);
    return q;
}

int reconcile_set(struct nsh_reconciler *r, struct nsh_desired *desired, enum nsh_occasion why)
{
    NSH_CLEANUP(outfit_done) struct outfit o = {0};
    uint8_t also_ours = earlier_protocol(r, desired);

    if (outfit_new(desired, also_ours, &o) < 0 || end_job(r) < 0 ||
            reconcile_carry_rules(r, desired, o.rule_flags, o.rule_states, o.notes) < 0 ||
            carry_chains(r, desired->chains, &o.chain_index, o.chains, o.notes) < 0 ||
            reconcile_carry_sets(r, desired, o.sets, o.notes, why) < 0 ||
            carry_fixed(r, o.notes) < 0 || reconcile_carry_gates(r, desired, o.notes) < 0 ||
            (r->desired && reconcile_remember_kinds(r) < 0))
        return -ENOMEM;
    if (r->desired) {
        carry_marks(r, desired);
        reconcile_carry_devices(r->desired, desired);
    }
    reconcile_flows_change(r, why == NSH_OCCASION_RELOAD ? &desired->config->settings : NULL);
    r->also_ours = also_ours;
    r->earlier_seen = r->earlier_rules = also_ours != 0;
    set_aside(r, why);
    put_on(r, desired, &o);
    reconcile_settle_chains(r);
    reconcile_learn_what(r);
    reconcile_follow_foreign(r);
    r->routes_wait = r->rules_wait = NSH_NEVER;
    r->settling = true;
    r->behind = ROUTES_CLEAN;
    r->occasion = why;
    r->lock_since = 0;
    r->pause = 0;
    for (int f = 0; f < NSH_FAMILIES; f++) {
        r->firewall_wait[f] = r->firewall_again[f] = r->forwarding_wait[f] = 0;
        reconcile_forwarding_forget(r, f, !desired->forwarding[f]);
    }
    if (why != NSH_OCCASION_RELOAD)
        r->other_dirty = r->other != NULL;
    r->sources = any_ipv6_source(desired);
    reconcile_mark_everything(r);
    if (why == NSH_OCCASION_START)
        reconcile_mark_routes(r, ROUTES_ALL);
    return 0;
}

int nsh_reconciler_set(struct nsh_reconciler *r, struct nsh_desired *desired, enum nsh_occasion why)
{
    bool changed = false;

    /* Where the kernel can't be asked the first pass does, and says so. */
    (void)nsh_desired_resolve_vrfs(r->fib, desired, &changed);
    if (changed && nsh_desired_place(desired) < 0)
        return -ENOMEM;
    return reconcile_set(r, desired, why);
}
