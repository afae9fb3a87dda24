/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The part of `plan` about routes and policy routing rules.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "cmd-plan.h"
#include "learn.h"
#include "plan-rule.h"
#include "probes.h"
#include "resolve.h"

NSH_DEFINE_CLEANUP(struct nsh_route_plan *, nsh_route_plan_free)
NSH_DEFINE_CLEANUP(struct nsh_rule_plan *, nsh_rule_plan_free)
NSH_DEFINE_CLEANUP(struct nsh_learner *, nsh_learner_free)

/* The protocol that an earlier configuration marked ours with; 0: the same as now. */
static uint8_t earlier_protocol(const struct planner *p)
{
    uint8_t before;

    if (!p->state || nsh_state_protocol_load(p->state, &before) < 0 ||
            before == p->desired->protocol)
        return 0;
    return before;
}

/* ---- gateways that others learn ---- */

struct look {
    struct nsh_learner *learner;
    uint8_t ours, also_ours;
};

static int see_route(void *userdata, const struct nsh_route *seen)
{
    struct look *look = userdata;

    if (seen->protocol == look->ours || seen->protocol == look->also_ours)
        return 0;
    return nsh_learner_see(look->learner, seen);
}

static bool learns(const struct nsh_desired *d)
{
    for (size_t i = 0; i < d->n_links; i++)
        if (d->links[i].learns != AF_UNSPEC)
            return true;
    return false;
}

int plan_learn(struct planner *p)
{
    NSH_CLEANUP(nsh_learner_freep) struct nsh_learner *learner = NULL;
    struct look look = {.ours = p->desired->protocol, .also_ours = earlier_protocol(p)};
    int q;

    if (!learns(p->desired))
        return 0;
    q = nsh_learner_new(&learner);
    if (q < 0)
        return q;
    look.learner = learner;
    nsh_learner_begin(learner);
    q = nsh_fib_dump(p->fib, &(struct nsh_fib_filter){0}, see_route, &look);
    if (q < 0)
        return q;
    nsh_learner_end(learner);
    for (size_t i = 0; i < p->desired->n_links; i++)
        if (p->desired->links[i].learns != AF_UNSPEC)
            nsh_learner_choose(learner, &p->desired->links[i]);
    return 0;
}

/* ---- routes ---- */

struct observing {
    struct planner *planner;
    uint8_t before;
    struct nsh_route_plan *plan;
};

static int observe_route(void *userdata, const struct nsh_route *seen)
{
    struct observing *o = userdata;
    struct planner *p = o->planner;

    nsh_default_routes_see(&p->defaults, p->fib, p->desired, o->before, seen);
    return nsh_route_plan_observe(o->plan, seen);
}

/* A wanted route without a gateway that covers the address and has not yet its place. */
static bool will_be_on_link(
        const struct nsh_route_step *steps, size_t n, int family, const union nsh_addr *via)
{
    for (size_t i = 0; i < n; i++) {
        const struct nsh_route *r = &steps[i].route;
        struct nsh_prefix p = {.addr = r->dst, .family = r->family, .length = r->dst_length};

        if (steps[i].action != NSH_ROUTE_DELETE && r->props->n_nexthops > 0 &&
                r->props->nexthops[0].via_family == AF_UNSPEC && r->props->type == RTN_UNICAST &&
                nsh_prefix_contains(&p, family, via))
            return true;
    }
    return false;
}

const struct nsh_nexthop *plan_unreachable(struct planner *p, const struct nsh_route_step *s,
        const struct nsh_route_step *steps, size_t n)
{
    for (uint32_t i = 0; !p->held && i < s->route.props->n_nexthops; i++) {
        const struct nsh_nexthop *nh = &s->route.props->nexthops[i];
        uint32_t ifindex = nh->link == NSH_NO_LINK ? 0 : p->desired->links[nh->link].ifindex;
        struct nsh_fib_path path;
        int q;

        if (nh->via_family == AF_UNSPEC || (nh->flags & RTNH_F_ONLINK) != 0 ||
                nsh_addr_is_link_local(nh->via_family, &nh->via))
            continue;
        q = nsh_desired_look_up(
                p->fib, p->desired, s->route.props->vrf, nh->via_family, &nh->via, &path);
        if (q == 0 && path.on_link && (ifindex == 0 || ifindex == path.ifindex))
            continue;
        if (!will_be_on_link(steps, n, nh->via_family, &nh->via))
            return nh;
    }
    return NULL;
}

static const char *route_noun(const struct planner *p, const struct nsh_route *route)
{
    return nsh_probes_route_is(p->desired->config, route) ? "probe route" : "route";
}

static const char *rule_noun(const struct planner *p, const struct nsh_rule *rule)
{
    return nsh_probes_rule_is(p->desired->config, rule) ? "probe rule" : "rule";
}

static void print_route_step(struct planner *p, const struct nsh_route_step *s)
{
    static const char marks[] = {
            [NSH_ROUTE_ADD] = '+',
            [NSH_ROUTE_REPLACE] = '~',
            [NSH_ROUTE_ADOPT] = '~',
            [NSH_ROUTE_DELETE] = '-',
    };
    char text[512];

    if (s->action == NSH_ROUTE_DELETE)
        nsh_route_format_seen(p->fib, &s->route, text, sizeof text);
    else
        nsh_route_format(&s->route, p->desired->links, text, sizeof text);
    plan_line(p, "%c %s %s%s", marks[s->action], route_noun(p, &s->route), text,
            s->action == NSH_ROUTE_ADOPT ? " (adopted: it stands there without our mark)" : "");
}

static void print_pending(
        struct planner *p, const struct nsh_route *route, const struct nsh_nexthop *nh)
{
    char text[512], via[NSH_ADDR_TEXT];

    nsh_route_format(route, p->desired->links, text, sizeof text);
    plan_remark(p, "# %s %s is pending: no way to the gateway %s now", route_noun(p, route), text,
            nsh_addr_format(nh->via_family, &nh->via, via));
}

static void print_unplanned(struct planner *p, const struct nsh_route_plan *plan, size_t i)
{
    const struct nsh_route *other = nsh_route_plan_conflict(plan, i);
    const char *missing = nsh_desired_missing_link(p->desired, &p->desired->routes[i]);
    const char *noun = route_noun(p, &p->desired->routes[i]);
    char text[512], foreign[512];
    struct nsh_hold hold;

    nsh_route_format(&p->desired->routes[i], p->desired->links, text, sizeof text);
    switch (nsh_desired_standing(p->desired, &p->desired->routes[i], &hold)) {
    case NSH_STANDING_STANDBY:
        plan_standby(p, "route", text, hold.gate);
        return;
    case NSH_STANDING_UNLEARNED:
        plan_remark(p, "# %s %s is pending: no default route of others over %s tells its gateway",
                noun, text, p->desired->links[hold.link].name);
        return;
    case NSH_STANDING_UNPLACED:
        plan_remark(p, "# route %s is pending: %s", text,
                nsh_desired_unplaced(p->desired, &p->desired->routes[i], foreign, sizeof foreign));
        return;
    case NSH_STANDING_WANTED:
    case NSH_STANDING_UNDECIDED:
        break;
    }
    if (other)
        plan_remark(p, "# %s %s is held by another: %s", noun, text,
                nsh_route_format_seen(p->fib, other, foreign, sizeof foreign));
    else if (missing)
        plan_remark(p, "# %s %s is pending: interface %s does not exist", noun, text, missing);
}

static uint8_t route_flags(const struct planner *p, const struct nsh_route *route)
{
    if (nsh_desired_standing(p->desired, route, NULL) != NSH_STANDING_WANTED)
        return NSH_ROUTE_WITHDRAWN;
    return nsh_desired_missing_link(p->desired, route) ? NSH_ROUTE_SKIP : 0;
}

int plan_compare_routes(struct planner *p, uint8_t **ret_flags, struct nsh_route_plan **ret)
{
    NSH_CLEANUP(nsh_route_plan_freep) struct nsh_route_plan *plan = NULL;
    nsh_autofree uint8_t *flags = calloc(p->desired->n_routes + 1, 1);
    struct observing o = {.planner = p, .before = earlier_protocol(p)};
    int q;

    if (!flags)
        return -ENOMEM;
    for (size_t i = 0; i < p->desired->n_routes; i++)
        flags[i] = route_flags(p, &p->desired->routes[i]);
    q = nsh_route_plan_new(p->desired, flags, o.before, &plan);
    o.plan = plan;
    if (q == 0)
        q = nsh_route_plan_begin(plan, NSH_SCOPE_ALL, NULL, 0);
    if (q == 0)
        q = nsh_fib_dump(p->fib, &(struct nsh_fib_filter){0}, observe_route, &o);
    if (q == 0)
        q = nsh_route_plan_finish(plan);
    if (q < 0)
        return q;
    *ret_flags = NSH_TAKE_PTR(flags);
    *ret = NSH_TAKE_PTR(plan);
    return 0;
}

/* Another file stands for no machine that could lose its way out. */
static void print_lost_defaults(struct planner *p)
{
    char buf[512];

    for (int f = 0; !p->held && f < NSH_FAMILIES; f++) {
        const char *text = nsh_default_routes_lost(
                &p->defaults, p->desired, nsh_family_of(f), buf, sizeof buf);

        if (text)
            plan_remark(p, "# %s; %s", text, NSH_DEFAULT_ROUTE_FIX);
    }
}

int plan_routes(struct planner *p)
{
    nsh_autofree uint8_t *flags = NULL;
    NSH_CLEANUP(nsh_route_plan_freep) struct nsh_route_plan *plan = NULL;
    const struct nsh_route_step *steps;
    size_t n;
    int q = plan_compare_routes(p, &flags, &plan);

    if (q < 0)
        return q;
    steps = nsh_route_plan_steps(plan, &n);
    for (size_t i = 0; i < n; i++) {
        const struct nsh_nexthop *nh = steps[i].action == NSH_ROUTE_DELETE
                                               ? NULL
                                               : plan_unreachable(p, &steps[i], steps, n);

        if (nh)
            print_pending(p, &steps[i].route, nh);
        else
            print_route_step(p, &steps[i]);
    }
    for (size_t i = 0; i < p->desired->n_routes; i++)
        if (nsh_route_plan_verdict(plan, i) == NSH_ROUTE_CONFLICT || flags[i] != 0)
            print_unplanned(p, plan, i);
    print_lost_defaults(p);
    return 0;
}

/* ---- rules ---- */

static int observe_rule(void *userdata, const struct nsh_rule *seen)
{
    return nsh_rule_plan_observe(userdata, seen);
}

/* A rule that is only written anew so that another can be deleted stays as it is. */
static void print_rule_steps(struct planner *p, const struct nsh_rule_plan *plan)
{
    nsh_autofree bool *again = calloc(p->desired->n_rules + 1, sizeof(*again));
    char text[NSH_RULE_TEXT];
    size_t n;
    const struct nsh_rule_step *steps = nsh_rule_plan_steps(plan, &n);

    for (size_t i = 0; again && i < n; i++) {
        const struct nsh_rule_step *s = &steps[i];

        nsh_rule_format_name(&s->rule, text, sizeof text);
        if (s->action == NSH_RULE_ADD_AGAIN)
            again[s->wanted] = true;
        else if (s->action == NSH_RULE_DELETE_DOUBLE && again[s->wanted])
            again[s->wanted] = false;
        else if (s->action == NSH_RULE_DELETE_DOUBLE)
            plan_line(p, "- %s %s (it stands twice)", rule_noun(p, &s->rule), text);
        else
            plan_line(p, "%c %s %s", s->action == NSH_RULE_ADD ? '+' : '-', rule_noun(p, &s->rule),
                    text);
    }
}

int plan_compare_rules(struct planner *p, uint8_t **ret_flags, struct nsh_rule_plan **ret)
{
    NSH_CLEANUP(nsh_rule_plan_freep) struct nsh_rule_plan *plan = NULL;
    nsh_autofree uint8_t *flags = calloc(p->desired->n_rules + 1, 1);
    int q;

    if (!flags)
        return -ENOMEM;
    for (size_t i = 0; i < p->desired->n_rules; i++)
        if (!nsh_desired_is_open(p->desired, p->desired->rules[i].when))
            flags[i] = NSH_RULE_WITHDRAWN;
    q = nsh_rule_plan_new(p->desired, flags, earlier_protocol(p), &plan);
    if (q < 0)
        return q;
    nsh_rule_plan_begin(plan);
    q = p->fib->ops->rules_dump(p->fib, observe_rule, plan);
    if (q == 0)
        q = nsh_rule_plan_finish(plan, SIZE_MAX);
    if (q < 0)
        return q;
    *ret_flags = NSH_TAKE_PTR(flags);
    *ret = NSH_TAKE_PTR(plan);
    return 0;
}

int plan_rules(struct planner *p)
{
    nsh_autofree uint8_t *flags = NULL;
    NSH_CLEANUP(nsh_rule_plan_freep) struct nsh_rule_plan *plan = NULL;
    char text[NSH_RULE_TEXT];
    int q = plan_compare_rules(p, &flags, &plan);

    if (q < 0)
        return q;
    for (size_t i = 0; i < p->desired->n_rules; i++)
        if (flags[i] != 0)
            plan_standby(p, "rule", nsh_rule_format_name(&p->desired->rules[i], text, sizeof text),
                    p->desired->rules[i].when);
    print_rule_steps(p, plan);
    return 0;
}
