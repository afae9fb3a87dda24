/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ways are those of way.h, once through the rules and routes that stand, and once through what
 * would stand after the steps of the plan.
 */
#include "reply-path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "cmd-plan.h"
#include "resolve.h"
#include "tcp-peers.h"
#include "way.h"

#define SSH_PORT 22

NSH_DEFINE_CLEANUP(struct nsh_route_plan *, nsh_route_plan_free)
NSH_DEFINE_CLEANUP(struct nsh_rule_plan *, nsh_rule_plan_free)

struct comparison {
    struct planner planner;
    struct nsh_tcp_peer peers[NSH_WAYS_MAX];
    uint16_t ports[NSH_WAYS_MAX]; /* ours, of each */
    size_t n_peers;
    bool more;
    struct nsh_ways now, then;
};

static void comparison_done(struct comparison *c)
{
    nsh_ways_done(&c->now);
    nsh_ways_done(&c->then);
    plan_output_done(&c->planner.output);
    free(c->planner.reasons);
    free(c->planner.altered);
    nsh_fib_free(c->planner.fib);
    nsh_state_free(c->planner.state);
}

/* ---- who is connected ---- */

/* sshd(8): client address, client port, server address, server port. */
static bool own_session(uint16_t *ret_port, uint8_t *ret_family, union nsh_addr *ret_client)
{
    const char *text = getenv("SSH_CONNECTION");
    char client[NSH_ADDR_TEXT], server[NSH_ADDR_TEXT];
    unsigned int client_port, port;

    if (!text || sscanf(text, "%45s %5u %45s %5u", client, &client_port, server, &port) != 4 ||
            port == 0 || port > UINT16_MAX || !nsh_addr_parse(client, ret_family, ret_client))
        return false;
    *ret_port = (uint16_t)port;
    return true;
}

static int find_peers(struct comparison *c)
{
    uint16_t ports[2] = {SSH_PORT, 0};
    union nsh_addr client;
    uint8_t family;
    bool more;

    if (!own_session(&ports[1], &family, &client) || ports[1] == SSH_PORT)
        ports[1] = 0;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(ports) && ports[i] != 0; i++) {
        size_t n;
        int q = nsh_tcp_peers(
                ports[i], c->peers + c->n_peers, NSH_WAYS_MAX - c->n_peers, &n, &more);

        if (q < 0)
            return q;
        c->more |= more;
        while (n-- > 0)
            c->ports[c->n_peers++] = ports[i];
    }
    for (size_t i = 0; i < c->n_peers; i++) {
        nsh_ways_want(&c->now, c->peers[i].family, &c->peers[i].remote);
        nsh_ways_want(&c->then, c->peers[i].family, &c->peers[i].remote);
    }
    return 0;
}

static bool is_own(const struct comparison *c, size_t i)
{
    union nsh_addr client;
    uint8_t family;
    uint16_t port;

    return own_session(&port, &family, &client) && port == c->ports[i] &&
           family == c->peers[i].family && nsh_addr_cmp(&client, &c->peers[i].remote) == 0;
}

/* ---- routes as they would be ---- */

static bool goes(const struct nsh_route *seen, const struct nsh_route_step *steps, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (steps[i].action != NSH_ROUTE_ADD && nsh_route_id_cmp(&steps[i].route, seen) == 0 &&
                (steps[i].action != NSH_ROUTE_DELETE || steps[i].route.protocol == seen->protocol))
            return true;
    return false;
}

/* As it would be seen: with the devices themselves. */
static int comes(struct comparison *c, const struct nsh_route *route)
{
    size_t size = nsh_route_props_size(route->props->n_nexthops);
    nsh_autofree struct nsh_route_props *props = malloc(size);
    struct nsh_route seen = *route;

    if (!props)
        return -ENOMEM;
    memcpy(props, route->props, size);
    for (uint32_t i = 0; i < props->n_nexthops; i++) {
        struct nsh_nexthop *n = &props->nexthops[i];

        if (n->link != NSH_NO_LINK)
            n->ifindex = c->planner.desired->links[n->link].ifindex;
        n->link = NSH_NO_LINK;
    }
    seen.props = props;
    return nsh_ways_see_route(&c->then, &seen);
}

static int change_routes(struct comparison *c)
{
    nsh_autofree uint8_t *flags = NULL;
    NSH_CLEANUP(nsh_route_plan_freep) struct nsh_route_plan *plan = NULL;
    const struct nsh_route_step *steps;
    size_t n;
    int q = plan_compare_routes(&c->planner, &flags, &plan);

    if (q < 0)
        return q;
    steps = nsh_route_plan_steps(plan, &n);
    for (size_t i = 0; i < c->now.n_routes && q == 0; i++)
        if (!goes(&c->now.routes[i], steps, n))
            q = nsh_ways_see_route(&c->then, &c->now.routes[i]);
    for (size_t i = 0; i < n && q == 0; i++)
        if (steps[i].action != NSH_ROUTE_DELETE &&
                !plan_unreachable(&c->planner, &steps[i], steps, n))
            q = comes(c, &steps[i].route);
    return q;
}

/* ---- rules as they would be ---- */

/* The kernel puts a rule behind those of the same priority. Here each family has its own part. */
static void insert_rule(struct nsh_ways *w, const struct nsh_rule *rule)
{
    size_t at = w->n_rules - 1;

    for (; at > 0 &&
            (w->rules[at - 1].family != rule->family || w->rules[at - 1].priority > rule->priority);
            at--)
        w->rules[at] = w->rules[at - 1];
    w->rules[at] = *rule;
}

static void remove_rule(struct nsh_ways *w, const struct nsh_rule *rule)
{
    for (size_t i = 0; i < w->n_rules; i++)
        if (nsh_rule_delete_takes(rule, &w->rules[i])) {
            memmove(&w->rules[i], &w->rules[i + 1], (w->n_rules - i - 1) * sizeof *w->rules);
            w->n_rules--;
            return;
        }
}

static int change_rules(struct comparison *c)
{
    nsh_autofree uint8_t *flags = NULL;
    NSH_CLEANUP(nsh_rule_plan_freep) struct nsh_rule_plan *plan = NULL;
    const struct nsh_rule_step *steps;
    size_t n;
    int q = plan_compare_rules(&c->planner, &flags, &plan);

    for (size_t i = 0; i < c->now.n_rules && q == 0; i++)
        q = nsh_ways_see_rule(&c->then, &c->now.rules[i]);
    if (q < 0)
        return q;
    steps = nsh_rule_plan_steps(plan, &n);
    for (size_t i = 0; i < n && q == 0; i++)
        if (steps[i].action == NSH_RULE_DELETE || steps[i].action == NSH_RULE_DELETE_DOUBLE) {
            remove_rule(&c->then, &steps[i].rule);
        } else {
            q = nsh_ways_see_rule(&c->then, &steps[i].rule);
            if (q == 0)
                insert_rule(&c->then, &steps[i].rule);
        }
    return q;
}

/* ---- the two ---- */

static bool is_same(const struct nsh_way *a, const struct nsh_way *b)
{
    const struct nsh_route_props *p, *q;

    if (!a->route || !b->route)
        return !a->route && !b->route;
    p = a->route->props;
    q = b->route->props;
    if (p->type != q->type || p->n_nexthops != q->n_nexthops)
        return false;
    for (uint32_t i = 0; i < p->n_nexthops; i++)
        if (p->nexthops[i].ifindex != q->nexthops[i].ifindex ||
                p->nexthops[i].via_family != q->nexthops[i].via_family ||
                nsh_addr_cmp(&p->nexthops[i].via, &q->nexthops[i].via) != 0)
            return false;
    return true;
}

static const char *way_text(struct comparison *c, const struct nsh_way *w, char *buf, size_t size)
{
    if (w->route)
        return nsh_route_format_seen(c->planner.fib, w->route, buf, size);
    return w->rule ? nsh_rule_format_name(w->rule, buf, size) : "no route leads there";
}

/* 1 if it changes. */
static size_t tell_peer(struct comparison *c, size_t i, FILE *to)
{
    const struct nsh_tcp_peer *p = &c->peers[i];
    const struct nsh_way_query query = {
            .family = p->family,
            .protocol = IPPROTO_TCP,
            .to = &p->remote,
            .from = &p->local,
            .iif = "lo",
            .source_port = c->ports[i],
            .destination_port = p->remote_port,
    };
    char now[512], then[512], peer[NSH_ADDR_TEXT];
    struct nsh_way way_now, way_then;

    nsh_way_find(&c->now, &query, &way_now);
    nsh_way_find(&c->then, &query, &way_then);
    if (is_same(&way_now, &way_then))
        return 0;
    fprintf(to,
            "warning: the way back to %s, which is connected by SSH%s, changes%s\n"
            "  now:  %s\n"
            "  then: %s\n",
            nsh_addr_format(p->family, &p->remote, peer),
            is_own(c, i) ? " (this very session)" : "",
            way_now.certain && way_then.certain ? ":" : ", as far as that is certain:",
            way_text(c, &way_now, now, sizeof now), way_text(c, &way_then, then, sizeof then));
    return 1;
}

static int compare(struct comparison *c, const struct nsh_options *o)
{
    struct planner *p = &c->planner;
    int q = nsh_fib_netlink_new(&p->fib);

    if (q == 0)
        q = plan_output_begin(&p->output, true); /* what it says goes nowhere */
    if (q == 0 && nsh_state_open_reader(o->state_directory, &p->state) < 0)
        p->state = NULL;
    if (q == 0)
        q = plan_resolve(p->fib, p->desired);
    if (q == 0)
        q = plan_judge(p);
    if (q == 0)
        q = plan_learn(p);
    if (q == 0)
        q = nsh_fib_dump(p->fib, &(struct nsh_fib_filter){0}, nsh_ways_see_route, &c->now);
    if (q == 0)
        q = p->fib->ops->rules_dump(p->fib, nsh_ways_see_rule, &c->now);
    if (q == 0)
        q = change_routes(c);
    return q == 0 ? change_rules(c) : q;
}

size_t nsh_reply_paths_tell(struct nsh_desired *desired, const struct nsh_options *o, FILE *to)
{
    NSH_CLEANUP(comparison_done) struct comparison c = {.planner.desired = desired};
    size_t n = 0;
    int q = find_peers(&c);

    if (q == 0 && c.n_peers > 0)
        q = compare(&c, o);
    if (q < 0) {
        fprintf(to,
                "note: whether it changes the way back to those who are connected by SSH could "
                "not be seen: %s\n",
                strerror(-q));
        return 0;
    }
    for (size_t i = 0; i < c.n_peers; i++)
        n += tell_peer(&c, i, to);
    if (c.more)
        fprintf(to, "note: of those who are connected by SSH only %zu were looked at\n", c.n_peers);
    return n;
}
