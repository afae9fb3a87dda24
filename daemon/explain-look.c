/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The part of `explain` that looks: at the configuration, the kernel's addresses, rules, routes and
 * packet rules, and at what a daemon says. Nothing is written or brought into use.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "common.h"
#include "explain.h"
#include "plan.h"
#include "resolve.h"

NSH_DEFINE_CLEANUP(struct nsh_firewall_plan *, nsh_firewall_plan_free)

/* ---- what is wanted now ---- */

/* Checks count as working: only a daemon can tell. */
static void take_judged(void *userdata, nsh_gate_id gate, bool holds, const char *why)
{
    struct explain *e = userdata;

    e->desired->gate_states[gate].open = holds;
    snprintf(e->reasons[gate], sizeof *e->reasons, "%s", why);
}

static int look_at_wanted(struct explain *e)
{
    bool changed;
    int q = nsh_desired_resolve_vrfs(e->fib, e->desired, &changed);

    if (q == 0 && changed)
        q = nsh_desired_place(e->desired);
    if (q == 0)
        q = nsh_desired_resolve(e->fib, e->desired, &changed);
    if (q == 0)
        q = nsh_desired_resolve_devices(e->fib, e->desired, &changed);
    e->reasons = calloc(e->desired->n_gates + 1, sizeof *e->reasons);
    if (q == 0)
        q = e->reasons ? nsh_desired_judge(e->fib, e->desired, take_judged, e) : -ENOMEM;
    nsh_desired_settle(e->desired);
    return q;
}

/* ---- what stands of it ---- */

struct look {
    struct explain *e;
    struct nsh_firewall_plan *plan;
};

static int observe_chain(void *userdata, const struct nsh_chain_seen *seen)
{
    struct look *look = userdata;

    explain_ahead_see(look->e, seen);
    return nsh_firewall_plan_observe(look->plan, seen);
}

static void note_chains(
        struct explain *e, const struct nsh_firewall_plan *plan, int family, enum nsh_table table)
{
    for (size_t i = 0; i < e->desired->n_chains; i++) {
        const struct nsh_chain *c = &e->desired->chains[i];

        if (c->family != family || c->table != table)
            continue;
        e->lacks[i] = nsh_firewall_plan_touches(plan, i);
        if (e->lacks[i])
            snprintf(e->chains[i].reason, sizeof e->chains[i].reason, "%s",
                    nsh_firewall_plan_reason(plan, i));
    }
}

static int look_at_table(struct explain *e, int family, enum nsh_table table)
{
    NSH_CLEANUP(nsh_firewall_plan_freep) struct nsh_firewall_plan *plan = NULL;
    struct nsh_firewall *fw = e->firewalls.chosen;
    int q = nsh_firewall_plan_new(e->desired, family, table, &plan);

    if (q < 0)
        return q;
    nsh_firewall_plan_begin(plan);
    if (fw->ops->observe(fw, family, table, observe_chain, &(struct look){.e = e, .plan = plan}) !=
            0)
        return -EACCES;
    q = nsh_firewall_plan_finish(plan, NSH_PHASE_UP);
    if (q == 0)
        note_chains(e, plan, family, table);
    return q;
}

/* What the daemon says of the policy in the chain's family; NULL: nothing. */
static const json_t *object_of(const struct explain *e, const struct nsh_chain *c)
{
    json_t *objects = json_object_get(e->status, "objects"), *o;
    const char *family = c->family == AF_INET6 ? "ipv6" : "ipv4";
    size_t i;

    json_array_foreach(objects, i, o)
    {
        const char *kind = json_string_value(json_object_get(o, "kind"));
        const char *name = json_string_value(json_object_get(o, "policy"));
        const char *of = json_string_value(json_object_get(o, "family"));

        if (kind && name && of && strcmp(kind, nsh_policy_noun(c->kind)) == 0 &&
                strcmp(name, c->policy) == 0 && strcmp(of, family) == 0)
            return o;
    }
    return NULL;
}

/* Who may not look believes the daemon, and, where that does not answer, the file. */
static void believe(struct explain *e)
{
    for (size_t i = 0; i < e->desired->n_chains; i++) {
        const json_t *o = object_of(e, &e->desired->chains[i]);
        const char *state = json_string_value(json_object_get(o, "state"));

        e->lacks[i] = state && strcmp(state, "held") != 0;
        if (e->lacks[i])
            snprintf(e->chains[i].reason, sizeof e->chains[i].reason, "it is %s", state);
    }
    e->blind = true;
}

static int look_at_chains(struct explain *e)
{
    struct nsh_firewall *fw = e->firewalls.chosen;
    int q = 0;

    e->lacks = calloc(e->desired->n_chains + 1, sizeof *e->lacks);
    e->chains = calloc(e->desired->n_chains + 1, sizeof *e->chains);
    e->ahead = calloc(NSH_AHEAD_MAX, sizeof *e->ahead);
    if (!e->lacks || !e->chains || !e->ahead)
        return -ENOMEM;
    if (fw->ops->open(fw, NSH_FIREWALL_READ) != NSH_FIREWALL_OK) {
        believe(e);
        return 0;
    }
    for (int t = 0; q == 0 && t < NSH_TABLE_COUNT; t++)
        q = look_at_table(e, e->first.family, (enum nsh_table)t);
    fw->ops->close(fw);
    if (q == -EACCES)
        believe(e);
    explain_ahead_ask(e, "PREROUTING");
    explain_ahead_ask(e, "POSTROUTING");
    return e->blind ? 0 : q;
}

const char *explain_lack(const struct explain *e, const struct nsh_chain *c, char *buf, size_t size)
{
    const char *reason = json_string_value(json_object_get(object_of(e, c), "reason"));
    size_t i = (size_t)(c - e->desired->chains);

    if (reason)
        snprintf(buf, size, "%s", reason);
    else if (c->standby && !nsh_desired_is_open(e->desired, c->when))
        snprintf(buf, size, "%s", e->reasons[c->when]);
    else if (e->blind)
        snprintf(buf, size, "%s", e->chains[i].reason);
    else if (strcmp(e->chains[i].reason, "missing") == 0)
        snprintf(buf, size, "its chain is missing in %s%s", e->firewalls.chosen->ops->name,
                e->idle ? ", and no daemon runs" : "");
    else
        snprintf(buf, size, "in %s: %s", e->firewalls.chosen->ops->name, e->chains[i].reason);
    return buf;
}

/* ---- addresses ---- */

static void take_address(void *userdata, const struct nsh_fib_address *address)
{
    struct explain *e = userdata;
    struct nsh_fib_address *more =
            reallocarray(e->addresses, e->n_addresses + 1, sizeof *e->addresses);

    if (!more)
        return;
    e->addresses = more;
    more[e->n_addresses++] = *address;
}

static int look_at_addresses(struct explain *e)
{
    int q = -EAGAIN;

    for (int i = 0; i < 5 && q == -EAGAIN; i++) {
        e->n_addresses = 0;
        q = e->fib->ops->addresses(e->fib, take_address, e);
    }
    return q;
}

bool explain_is_own(const struct explain *e, const union nsh_addr *addr, uint32_t ifindex)
{
    for (size_t i = 0; i < e->n_addresses; i++)
        if (e->addresses[i].family == e->first.family &&
                nsh_addr_cmp(&e->addresses[i].address, addr) == 0 &&
                (ifindex == 0 || e->addresses[i].ifindex == ifindex))
            return true;
    return false;
}

/* ---- the interface ---- */

static int take_length(void *userdata, const struct nsh_route *seen)
{
    *(uint8_t *)userdata = seen->dst_length;
    return 0;
}

/* No network that is known here has the source. */
static bool is_by_default(struct explain *e, const struct nsh_fib_question *back)
{
    uint8_t length = 1;

    return e->fib->ops->entry(e->fib, back, take_length, &length) == 0 && length == 0;
}

/* By the way back to it, or by the link whose network it is in, if that is only switched off. */
static int assume_in(struct explain *e)
{
    struct nsh_fib_question q = {.family = e->first.family, .to = e->first.src};
    struct nsh_fib_answer answer;
    int r = e->fib->ops->path(e->fib, &q, &answer);
    bool nowhere = r < 0 || answer.ifindex == 0;
    uint32_t down;

    if (!nowhere && answer.type == RTN_LOCAL)
        return 0;
    e->in_default = !nowhere && is_by_default(e, &q);
    down = nowhere || e->in_default ? explain_down_link(e, &e->first.src) : 0;
    if (nowhere && down == 0) {
        nsh_complain("no route leads back to the source, so nobody can know by which interface it "
                     "comes: say it with --in");
        return r < 0 ? r : -ENETUNREACH;
    }
    e->in = down != 0 ? down : answer.ifindex;
    e->in_down = down != 0;
    e->in_assumed = true;
    return e->fib->ops->link_name(e->fib, e->in, e->first.in);
}

static int find_in(struct explain *e)
{
    const char *dev = e->options->in;
    int r;

    if (dev) {
        r = e->fib->ops->link_index(e->fib, dev, &e->in);
        if (r < 0)
            return nsh_complain("there is no interface %s", dev), r;
        return e->fib->ops->link_name(e->fib, e->in, e->first.in);
    }
    if (explain_is_own(e, &e->first.src, 0) || explain_is_senseless(e))
        return 0;
    return assume_in(e);
}

/* ---- rules and routes ---- */

static void clear_rules(struct nsh_ways *w)
{
    w->n_rules = 0;
}

static int look_at_ways(struct explain *e)
{
    struct nsh_fib_filter filter = {.family = e->first.family};
    int q = -EAGAIN;

    nsh_ways_want(&e->ways, e->first.family, &e->first.src);
    nsh_ways_want(&e->ways, e->first.family, &e->first.dst);
    nsh_ways_want(&e->ways, e->first.family, &e->now.dst);
    for (int i = 0; i < 5 && q == -EAGAIN; i++) {
        clear_rules(&e->ways);
        q = e->fib->ops->rules_dump(e->fib, nsh_ways_see_rule, &e->ways);
    }
    return q < 0 ? q : nsh_fib_dump(e->fib, &filter, nsh_ways_see_route, &e->ways);
}

void explain_query(
        const struct explain *e, const struct explain_way *way, struct nsh_way_query *ret)
{
    const struct nsh_fib_question *asked = &way->asked;

    *ret = (struct nsh_way_query){
            .family = asked->family,
            .protocol = asked->protocol,
            .to = &asked->to,
            .from = &asked->from,
            .mark = asked->mark,
            .source_port = asked->source_port,
            .destination_port = asked->destination_port,
    };
    if (asked->iif == 0 || e->fib->ops->link_name(e->fib, asked->iif, ret->iif) < 0)
        snprintf(ret->iif, sizeof ret->iif, "lo");
}

void explain_ask(
        struct explain *e, const struct nsh_packet *p, uint32_t iif, struct explain_way *ret)
{
    struct nsh_way_query query;
    uint32_t ifindex;

    *ret = (struct explain_way){.asked = {.family = p->family,
                                        .protocol = p->protocol,
                                        .has_from = true,
                                        .to = p->dst,
                                        .from = p->src,
                                        .iif = iif,
                                        .mark = p->mark,
                                        .source_port = p->source_port,
                                        .destination_port = p->destination_port}};
    explain_query(e, ret, &query);
    nsh_way_find(&e->ways, &query, &ret->found);
    ret->error = e->fib->ops->path(e->fib, &ret->asked, &ret->answer);
    ifindex = ret->answer.ifindex;
    if (ret->error != 0 && ret->found.route && ret->found.route->props->n_nexthops > 0)
        ifindex = ret->found.route->props->nexthops[0].ifindex;
    if (ifindex != 0 && e->fib->ops->link_name(e->fib, ifindex, ret->dev) == 0)
        ret->ifindex = ifindex;
}

int explain_sysctl(struct explain *e, const char *format, const char *dev)
{
    char key[128];
    int value;
    const char *at = strchr(format, '*');

    snprintf(key, sizeof key, "%.*s%s%s", (int)(at - format), format, dev, at + 1);
    return e->fib->ops->sysctl_get(e->fib, key, &value) < 0 ? -1 : value;
}

struct nsh_packet explain_answer(const struct nsh_packet *p)
{
    struct nsh_packet r = *p;

    r.src = p->dst;
    r.dst = p->src;
    r.source_port = p->destination_port;
    r.destination_port = p->source_port;
    r.mark = 0;
    r.state = NSH_STATE_ESTABLISHED;
    memcpy(r.in, p->out, sizeof r.in);
    memcpy(r.out, p->in, sizeof r.out);
    return r;
}

/* ---- all of it ---- */

int explain_look(struct explain *e)
{
    int q = look_at_wanted(e);

    if (q < 0)
        return nsh_complain(
                       "cannot ask rtnetlink for addresses and links: %s", nsh_unreadable_why(q)),
               q;
    nsh_firewalls_choose(&e->firewalls, e->desired, true);
    q = look_at_chains(e);
    if (q == 0)
        q = look_at_addresses(e);
    if (q < 0)
        return nsh_complain("cannot look at this machine: %s", nsh_unreadable_why(q)), q;
    q = find_in(e);
    if (q < 0)
        return q;
    explain_foresee(e);
    q = look_at_ways(e);
    if (q < 0)
        return nsh_complain("cannot read rules and routes: %s", nsh_unreadable_why(q)), q;
    explain_ask(e, &e->now, e->in, &e->forth);
    e->here = e->forth.error == 0 && e->forth.answer.type != RTN_UNICAST;
    if (!e->here)
        memcpy(e->now.out, e->forth.dev, sizeof e->now.out);
    return 0;
}

void explain_done(struct explain *e)
{
    free(e->reasons);
    free(e->lacks);
    free(e->chains);
    free(e->ahead);
    free(e->addresses);
    nsh_ways_done(&e->ways);
    nsh_firewalls_done(&e->firewalls);
    nsh_fib_free(e->fib);
    json_decref(e->status);
    json_decref(e->steps);
    json_decref(e->notes);
    json_decref(e->stop);
    json_decref(e->doubt);
}
