/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ways by which probes leave. A probe has to leave by the nexthop it is about whether or not
 * the route is in force, so each nexthop that is checked has a table of its own with nothing but
 * that in it, and a rule that leads a mark of its own there. Where the nexthop can't be used now,
 * its probes are not to find another way: that is what the unreachable route is for.
 */
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "config-loader.h"
#include "probes.h"

/* Behind any other. */
#define METRIC_LAST UINT32_MAX

static bool is_check(const struct nsh_loader *l, size_t gate)
{
    return gate != NSH_NO_GATE && l->gates[gate].kind == NSH_GATE_CHECK;
}

/* ---- what is another's ---- */

static void report(struct nsh_loader *l, nsh_origin at, const char *hint, const char *text)
{
    uint32_t line;

    l->path = nsh_origins_resolve(l->config->origins, at, &line);
    nsh_loader_error(l, (struct nsh_yaml_mark){.line = line}, hint, "%s", text);
}

static void check_table(struct nsh_loader *l, nsh_origin at, uint32_t table)
{
    uint32_t first = l->config->settings.check_table;
    char text[160];

    if (!nsh_probes_table(&l->config->settings, table))
        return;
    (void)snprintf(text, sizeof(text), "table %u is one of those of checks, %u to %u", table, first,
            first + NSH_GATES_MAX - 1);
    report(l, at, "use another one, or set 'check-table'", text);
}

/* Whether probes could be what the rule matches; what came in by a device they are not. */
static bool takes_probes(const struct nsh_loader *l, const struct nsh_rule *r)
{
    if (r->iif[0] != '\0' && strcmp(r->iif, "lo") != 0)
        return false;
    for (size_t i = 1; i < l->n_gates; i++) {
        struct nsh_rule probes;

        if (!is_check(l, i))
            continue;
        probes = nsh_probes_rule(&l->gates[i].check, &l->config->settings);
        if (nsh_rule_may_overlap(r, &probes))
            return true;
    }
    return false;
}

static void check_rule(struct nsh_loader *l, const struct nsh_rule *r)
{
    uint32_t priority = l->config->settings.check_priority, line;
    char text[64], shown[NSH_RULE_TEXT];

    if (r->action == FR_ACT_TO_TBL)
        check_table(l, r->origin, r->table);
    if (r->priority == priority) {
        (void)snprintf(text, sizeof(text), "priority %u is that of the rules of checks", priority);
        report(l, r->origin, "use another one, or set 'check-priority'", text);
    } else if (r->priority < priority && takes_probes(l, r)) {
        l->path = nsh_origins_resolve(l->config->origins, r->origin, &line);
        nsh_loader_warning(l, (struct nsh_yaml_mark){.line = line},
                "give it a higher number, or 'check-priority' a lower one",
                "the rule %s is tried before those of checks, and may take their probes",
                nsh_rule_format_name(r, shown, sizeof(shown)));
    }
}

/* ---- routes and rules ---- */

static void add_route(struct nsh_loader *l, const struct nsh_gate *g, uint32_t metric,
        struct nsh_route_props *props)
{
    struct nsh_config *c = l->config;
    struct nsh_route route = {
            .table = g->check.table,
            .metric = metric,
            .family = g->check.family,
            .origin = g->origin,
    };

    props->on_conflict = NSH_CONFLICT_REPLACE;
    props->scope = nsh_route_default_scope(route.family, props);
    nsh_route_normalize(&route, props);
    route.props = nsh_arena_intern(c->arena, props, nsh_route_props_size(props->n_nexthops));
    if (!route.props)
        nsh_loader_no_memory(l);
    else if (nsh_loader_grow(l, &c->routes, c->n_routes, &l->routes_room, sizeof(*c->routes)))
        c->routes[c->n_routes++] = route;
}

static void add_way(struct nsh_loader *l, const struct nsh_gate *g)
{
    const struct nsh_check *c = &g->check;
    union nsh_route_room room;
    struct nsh_route_props *p = &room.props;

    memset(p, 0, nsh_route_props_size(1));
    p->type = RTN_UNICAST;
    p->n_nexthops = 1;
    p->nexthops[0] = (struct nsh_nexthop){
            .via = c->via,
            .via_family = c->via_family,
            .link = c->link,
            .weight = 1,
            .flags = c->flags,
            .learned = c->learned,
    };
    if (c->learned)
        p->varies = NSH_VARIES_LEARNED | NSH_VARIES_SCOPE;
    p->has_source = c->has_source;
    p->source = c->source;
    add_route(l, g, 0, p);
    memset(p, 0, nsh_route_props_size(0));
    p->type = RTN_UNREACHABLE;
    add_route(l, g, METRIC_LAST, p);
    if (nsh_loader_grow(l, &l->rules, l->n_rules, &l->rules_room, sizeof(*l->rules))) {
        l->rules[l->n_rules] = nsh_probes_rule(c, &l->config->settings);
        l->rules[l->n_rules++].origin = g->origin;
    }
}

/* An earlier check of the same nexthop; `at` if this is the first. */
static size_t first_of_way(const struct nsh_loader *l, size_t at)
{
    for (size_t i = 1; i < at; i++)
        if (is_check(l, i) && nsh_check_same_way(&l->gates[i].check, &l->gates[at].check))
            return i;
    return at;
}

/* What is in the file, now that the numbers are known. */
static void check_clashes(struct nsh_loader *l)
{
    const struct nsh_config *c = l->config;

    for (size_t i = 0; i < c->n_routes; i++)
        check_table(l, c->routes[i].origin, c->routes[i].table);
    for (size_t i = 0; i < l->n_rules; i++)
        check_rule(l, &l->rules[i]);
}

/* Gives out the numbers, in the order of the files. */
static void number_ways(struct nsh_loader *l)
{
    struct nsh_config *c = l->config;

    for (size_t i = 1; i < l->n_gates; i++) {
        struct nsh_check *check = &l->gates[i].check;
        size_t first;

        if (!is_check(l, i))
            continue;
        first = first_of_way(l, i);
        check->mark = first < i ? l->gates[first].check.mark
                                : c->settings.check_mark + (uint32_t)c->n_ways;
        check->table = first < i ? l->gates[first].check.table
                                 : c->settings.check_table + (uint32_t)c->n_ways;
        c->n_ways += first == i;
    }
}

void nsh_finish_checks(struct nsh_loader *l)
{
    size_t errors = nsh_diags_errors(l->diags);

    number_ways(l);
    if (l->config->n_ways == 0)
        return;
    check_clashes(l);
    if (nsh_diags_errors(l->diags) > errors)
        return; /* they would be told once more as doubles */
    for (size_t i = 1; i < l->n_gates && l->failure == 0; i++)
        if (is_check(l, i) && first_of_way(l, i) == i)
            add_way(l, &l->gates[i]);
}
