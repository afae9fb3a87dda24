/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `plan`: what would change in the kernel, a line each. It only reads: no lock is taken and no
 * iptables table is brought into being.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "cmd-plan.h"
#include "common.h"
#include "diag.h"
#include "firewall-choice.h"
#include "judge.h"
#include "learn.h"
#include "offline.h"
#include "options.h"
#include "plan-rule.h"
#include "plan.h"
#include "probes.h"
#include "reload.h"
#include "resolve.h"
#include "state.h"

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

const char *plan_family(int family)
{
    return family == AF_INET6 ? "ipv6" : "ipv4";
}

/* ---- gates ---- */

/* Checks count as working: only a daemon can tell. */
static void take_judged(void *userdata, nsh_gate_id gate, bool holds, const char *why)
{
    struct planner *p = userdata;

    p->desired->gate_states[gate].open = holds;
    snprintf(p->reasons[gate], sizeof *p->reasons, "%s", why);
}

static void print_checks(struct planner *p)
{
    char text[NSH_GATE_TEXT];

    for (size_t i = 1; i < p->desired->n_gates; i++)
        if (p->held)
            plan_remark(p, "# condition %s counts as holding: only a machine can tell",
                    nsh_gate_format(&p->desired->gates[i], text, sizeof text));
        else if (p->desired->gates[i].kind == NSH_GATE_CHECK)
            plan_remark(p, "# check %s counts as working: only the daemon asks",
                    nsh_gate_format(&p->desired->gates[i], text, sizeof text));
}

static void open_gates(struct nsh_desired *d)
{
    for (size_t i = 0; i < d->n_gates; i++)
        d->gate_states[i].open = true;
}

static int judge_gates(struct planner *p)
{
    int q = 0;

    p->reasons = calloc(p->desired->n_gates + 1, sizeof *p->reasons);
    if (!p->reasons)
        return -ENOMEM;
    if (p->held)
        open_gates(p->desired);
    else
        q = nsh_desired_judge(p->fib, p->desired, take_judged, p);
    nsh_desired_settle(p->desired);
    print_checks(p);
    return q;
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

static int learn(struct planner *p)
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

void plan_standby(struct planner *p, const char *kind, const char *name, nsh_gate_id gate)
{
    plan_remark(p, "# %s %s is on standby: %s", kind, name, p->reasons[gate]);
}

static int observe_route(void *userdata, const struct nsh_route *seen)
{
    return nsh_route_plan_observe(userdata, seen);
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

/* The gateway that the kernel would refuse now, or NULL: what a daemon calls pending. */
static const struct nsh_nexthop *unreachable(struct planner *p, const struct nsh_route_step *s,
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

static int plan_routes(struct planner *p)
{
    NSH_CLEANUP(nsh_route_plan_freep) struct nsh_route_plan *plan = NULL;
    nsh_autofree uint8_t *flags = calloc(p->desired->n_routes + 1, 1);
    const struct nsh_route_step *steps;
    size_t n;
    int q;

    if (!flags)
        return -ENOMEM;
    for (size_t i = 0; i < p->desired->n_routes; i++)
        flags[i] = route_flags(p, &p->desired->routes[i]);
    q = nsh_route_plan_new(p->desired, flags, earlier_protocol(p), &plan);
    if (q == 0)
        q = nsh_route_plan_begin(plan, NSH_SCOPE_ALL, NULL, 0);
    if (q == 0)
        q = nsh_fib_dump(p->fib, &(struct nsh_fib_filter){0}, observe_route, plan);
    if (q == 0)
        q = nsh_route_plan_finish(plan);
    if (q < 0)
        return q;
    steps = nsh_route_plan_steps(plan, &n);
    for (size_t i = 0; i < n; i++) {
        const struct nsh_nexthop *nh =
                steps[i].action == NSH_ROUTE_DELETE ? NULL : unreachable(p, &steps[i], steps, n);

        if (nh)
            print_pending(p, &steps[i].route, nh);
        else
            print_route_step(p, &steps[i]);
    }
    for (size_t i = 0; i < p->desired->n_routes; i++)
        if (nsh_route_plan_verdict(plan, i) == NSH_ROUTE_CONFLICT || flags[i] != 0)
            print_unplanned(p, plan, i);
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

static int plan_rules(struct planner *p)
{
    NSH_CLEANUP(nsh_rule_plan_freep) struct nsh_rule_plan *plan = NULL;
    nsh_autofree uint8_t *flags = calloc(p->desired->n_rules + 1, 1);
    int q;

    if (!flags)
        return -ENOMEM;
    for (size_t i = 0; i < p->desired->n_rules; i++) {
        const struct nsh_rule *rule = &p->desired->rules[i];
        char text[NSH_RULE_TEXT];

        if (nsh_desired_is_open(p->desired, rule->when))
            continue;
        flags[i] = NSH_RULE_WITHDRAWN;
        plan_standby(p, "rule", nsh_rule_format_name(rule, text, sizeof text), rule->when);
    }
    q = nsh_rule_plan_new(p->desired, flags, earlier_protocol(p), &plan);
    if (q < 0)
        return q;
    nsh_rule_plan_begin(plan);
    q = p->fib->ops->rules_dump(p->fib, observe_rule, plan);
    if (q == 0)
        q = nsh_rule_plan_finish(plan, SIZE_MAX);
    if (q == 0)
        print_rule_steps(p, plan);
    return q;
}

/* ---- forwarding ---- */

static void plan_accept_ra(void *userdata, const char *name)
{
    struct planner *p = userdata;
    char key[128];
    int value;

    if (strcmp(name, "all") == 0 || strcmp(name, "default") == 0 || strcmp(name, "lo") == 0)
        return;
    snprintf(key, sizeof key, "net/ipv6/conf/%s/accept_ra", name);
    if (p->fib->ops->sysctl_get(p->fib, key, &value) == 0 && value == 1)
        plan_line(p, "~ accept-ra %s: 2", name);
}

static void plan_forwarding(struct planner *p)
{
    static const char *const keys[] = {"net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"};
    nsh_autofree struct nsh_sysctl_before *before = NULL;
    size_t n = 0;
    int value;

    for (int f = 0; f < NSH_FAMILIES; f++)
        if (p->desired->forwarding[f] && p->fib->ops->sysctl_get(p->fib, keys[f], &value) == 0 &&
                value == 0) {
            if (f == NSH_V6)
                p->fib->ops->sysctl_each_ipv6_conf(p->fib, plan_accept_ra, p);
            plan_line(p, "+ forwarding %s", plan_family(nsh_family_of(f)));
        }
    for (int f = 0; p->held && f < NSH_FAMILIES; f++)
        if (p->held->forwarding[f] && !p->desired->forwarding[f])
            plan_line(p, "- forwarding %s", plan_family(nsh_family_of(f)));
    if (!p->state || nsh_state_sysctls_load(p->state, &before, &n) < 0)
        return;
    for (size_t i = 0; i < n; i++) {
        int f = strcmp(before[i].key, keys[NSH_V4]) == 0 ? NSH_V4 : NSH_V6;

        if (!p->desired->forwarding[f] && strcmp(before[i].key, keys[f]) == 0 &&
                p->fib->ops->sysctl_get(p->fib, keys[f], &value) == 0 && value == before[i].ours)
            plan_line(p, "- forwarding %s", plan_family(nsh_family_of(f)));
    }
}

static int plan_all(struct planner *p)
{
    bool changed;
    int q = nsh_desired_resolve_vrfs(p->fib, p->desired, &changed);

    if (q == 0 && changed)
        q = nsh_desired_place(p->desired);
    if (q == 0)
        q = nsh_desired_resolve(p->fib, p->desired, &changed);
    if (q < 0)
        return nsh_complain("cannot ask rtnetlink for links: %s", strerror(-q));
    q = judge_gates(p);
    if (q < 0)
        return nsh_complain("cannot ask rtnetlink for addresses and links: %s", strerror(-q));
    q = plan_drops(p);
    if (q == 0)
        q = plan_firewall(p, NSH_PHASE_UP);
    if (q == 0)
        q = plan_guests(p);
    if (q < 0)
        return nsh_complain("cannot read the iptables rules: %s", strerror(-q));
    plan_standby_chains(p);
    plan_forwarding(p);
    q = learn(p);
    if (q == 0)
        q = plan_routes(p);
    if (q < 0)
        return nsh_complain("cannot read the routes: %s", strerror(-q));
    q = plan_rules(p);
    if (q < 0)
        return nsh_complain("cannot read the rules: %s", strerror(-q));
    q = plan_firewall(p, NSH_PHASE_DOWN);
    if (q < 0)
        return nsh_complain("cannot read the iptables rules: %s", strerror(-q));
    return p->changes > 0 ? NSH_EXIT_CHANGES : NSH_EXIT_OK;
}

static int plan_here(struct planner *p, const struct nsh_options *o)
{
    struct nsh_firewalls firewalls = {0};
    int code = NSH_EXIT_FAILED;

    /* Without it `plan` does not know what an earlier configuration switched on: fine. */
    if (nsh_state_open_reader(o->state_directory, &p->state) < 0)
        p->state = NULL;
    if (nsh_fib_netlink_new(&p->fib) < 0 || nsh_firewalls_open(&firewalls) < 0) {
        nsh_complain("cannot open rtnetlink, iptables and nftables");
    } else {
        nsh_firewalls_choose(&firewalls, p->desired, true);
        p->firewall = firewalls.chosen;
        p->other = nsh_firewalls_other(&firewalls);
        if (nsh_firewalls_look_at_both(&firewalls) == NSH_BOTH_BEGUN)
            plan_remark(p, "# %s", firewalls.both);
        code = plan_all(p);
    }
    nsh_firewalls_done(&firewalls);
    return code;
}

/* ---- against another file ---- */

/* All that it says holds. Twice, for gateways that are found by the devices of other routes. */
static int hold_all(struct planner *p)
{
    bool changed;
    int q = nsh_desired_resolve_vrfs(p->fib, p->held, &changed);

    if (q == 0 && changed)
        q = nsh_desired_place(p->held);
    for (int i = 0; i < 2 && q == 0; i++)
        q = nsh_desired_resolve(p->fib, p->held, &changed);
    open_gates(p->held);
    nsh_desired_settle(p->held);
    return q;
}

static int plan_offline(struct planner *p, const char *path)
{
    NSH_CLEANUP(nsh_loaded_done) struct nsh_loaded loaded = {0};
    int q, code;

    nsh_load_now(path, NSH_TRUST_WARN, NULL, &loaded);
    if (loaded.diags)
        nsh_diags_print(loaded.diags, stderr);
    if (loaded.error != 0)
        return NSH_EXIT_FAILED;
    p->held = loaded.desired;
    q = nsh_offline_fib_new(p->held, p->desired->protocol, &p->fib);
    if (q == 0)
        q = nsh_offline_firewall_new(p->held, &p->firewall);
    if (q == 0)
        q = hold_all(p);
    code = q == 0 ? plan_all(p) : nsh_complain("cannot compare: %s", strerror(-q));
    nsh_firewall_free(p->firewall);
    return code;
}

static int print_plan(struct planner *p, const struct nsh_options *o)
{
    int q = plan_output_begin(&p->output, o->json), code = NSH_EXIT_FAILED;

    if (q == 0)
        code = o->offline ? plan_offline(p, o->offline) : plan_here(p, o);
    if (q == 0 && code != NSH_EXIT_FAILED)
        q = plan_output_end(&p->output);
    plan_output_done(&p->output);
    return q < 0 ? nsh_complain("cannot write the plan: %s", strerror(-q)) : code;
}

int nsh_command_plan(const struct nsh_options *o)
{
    struct planner p = {0};
    struct nsh_loaded loaded;
    int code = NSH_EXIT_FAILED;

    nsh_load_now(o->config, NSH_TRUST_WARN, NULL, &loaded);
    if (loaded.diags)
        nsh_diags_print(loaded.diags, stderr);
    p.desired = loaded.desired;
    if (loaded.error == 0)
        code = print_plan(&p, o);
    free(p.reasons);
    nsh_fib_free(p.fib);
    nsh_state_free(p.state);
    nsh_loaded_done(&loaded);
    return code;
}
