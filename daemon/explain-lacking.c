/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What of the file would decide on a way, and is not there: a route counts if the packet would come
 * to it, past all rules that are asked before, were it there with the file's other rules.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "explain.h"
#include "probes.h"
#include "resolve.h"
#include "text.h"

#define LACKING_MAX 3

/* ---- what is there ---- */

static bool is_there(const struct explain *e, const struct nsh_route *want)
{
    for (size_t i = 0; i < e->ways.n_routes; i++)
        if (e->ways.routes[i].protocol == e->desired->protocol &&
                nsh_route_id_cmp(&e->ways.routes[i], want) == 0)
            return true;
    return false;
}

static const struct nsh_route *holder(const struct explain *e, const struct nsh_route *want)
{
    for (size_t i = 0; i < e->ways.n_routes; i++)
        if (nsh_route_id_cmp(&e->ways.routes[i], want) == 0)
            return &e->ways.routes[i];
    return NULL;
}

/* What the daemon says of it; NULL: nothing. */
static const json_t *said_of(const struct explain *e, const char *kind, const char *name)
{
    json_t *objects = json_object_get(e->status, "objects"), *o;
    size_t i;

    json_array_foreach(objects, i, o)
    {
        const char *k = json_string_value(json_object_get(o, "kind"));
        const char *n = json_string_value(json_object_get(o, "name"));

        if (k && n && strcmp(k, kind) == 0 && strcmp(n, name) == 0)
            return o;
    }
    return NULL;
}

static const char *why_lacking(
        struct explain *e, const struct nsh_route *want, const char *name, char *buf, size_t size)
{
    const struct nsh_route *other = holder(e, want);
    const char *missing = nsh_desired_missing_link(e->desired, want);
    const json_t *said = said_of(e, "route", name);
    const char *reason = json_string_value(json_object_get(said, "reason"));
    const char *state = json_string_value(json_object_get(said, "state"));
    char text[512];
    struct nsh_hold hold;
    enum nsh_standing standing = nsh_desired_standing(e->desired, want, &hold);

    if (reason && state && strcmp(state, "conflicting") == 0)
        snprintf(buf, size, "another's stands in its place: %s", reason);
    else if (reason)
        snprintf(buf, size, "%s", reason);
    else if (standing == NSH_STANDING_STANDBY)
        snprintf(buf, size, "it is on standby: %s", e->reasons[hold.gate]);
    else if (standing == NSH_STANDING_UNPLACED)
        nsh_desired_unplaced(e->desired, want, buf, size);
    else if (missing)
        snprintf(buf, size, "interface %s does not exist", missing);
    else if (other)
        snprintf(buf, size, "another's stands in its place: %s",
                nsh_route_format_seen(e->fib, other, text, sizeof text));
    else
        snprintf(buf, size, "the kernel does not have it%s", e->idle ? ", and no daemon runs" : "");
    return buf;
}

/* ---- rules ---- */

static bool rule_is_there(const struct explain *e, const struct nsh_rule *want)
{
    for (size_t i = 0; i < e->ways.n_rules; i++)
        if (nsh_rule_equal(&e->ways.rules[i], want))
            return true;
    return false;
}

static bool is_rule_lacking(const struct explain *e, const struct nsh_rule *r)
{
    return !rule_is_there(e, r) && !nsh_probes_rule_is(e->desired->config, r);
}

static void tell_rules(struct explain *e, const struct explain_way *way)
{
    const struct nsh_way *w = &way->found;
    struct nsh_way_query q;
    char text[NSH_RULE_TEXT], place[512];
    unsigned n = 0;

    explain_query(e, way, &q);
    for (size_t i = 0; n < LACKING_MAX && i < e->desired->n_rules; i++) {
        const struct nsh_rule *r = &e->desired->rules[i];
        bool open = nsh_desired_is_open(e->desired, r->when);

        if (!nsh_way_rule_matches(r, &q) || (w->rule && r->priority >= w->rule->priority) ||
                !is_rule_lacking(e, r))
            continue;
        explain_say(e, "The file's rule %s%s would be asked before, but is not there%s%s.",
                nsh_rule_format(r, text, sizeof text),
                explain_place(e, r->origin, place, sizeof place), open ? "" : ": ",
                open ? "" : e->reasons[r->when]);
        n++;
    }
}

/* ---- as it would be ---- */

/* What was seen with all rules of the file, and room for a route of it. */
struct imagined {
    struct nsh_way_query query;
    struct nsh_ways ways;
};

static void imagined_done(struct imagined *i)
{
    free(i->ways.rules);
    free(i->ways.routes);
}

/* Behind those of its priority, where the kernel puts it. */
static void insert_rule(struct nsh_ways *ways, const struct nsh_rule *r)
{
    size_t at = ways->n_rules++;

    for (; at > 0 && ways->rules[at - 1].priority > r->priority; at--)
        ways->rules[at] = ways->rules[at - 1];
    ways->rules[at] = *r;
}

static int imagine(const struct explain *e, const struct explain_way *way, struct imagined *ret)
{
    const struct nsh_ways *seen = &e->ways;

    *ret = (struct imagined){0};
    explain_query(e, way, &ret->query);
    ret->ways.rules = calloc(seen->n_rules + e->desired->n_rules + 1, sizeof *seen->rules);
    ret->ways.routes = calloc(seen->n_routes + 1, sizeof *seen->routes);
    if (!ret->ways.rules || !ret->ways.routes)
        return -ENOMEM;
    for (; ret->ways.n_rules < seen->n_rules; ret->ways.n_rules++)
        ret->ways.rules[ret->ways.n_rules] = seen->rules[ret->ways.n_rules];
    for (; ret->ways.n_routes < seen->n_routes; ret->ways.n_routes++)
        ret->ways.routes[ret->ways.n_routes] = seen->routes[ret->ways.n_routes];
    for (size_t i = 0; i < e->desired->n_rules; i++)
        if (is_rule_lacking(e, &e->desired->rules[i]))
            insert_rule(&ret->ways, &e->desired->rules[i]);
    return 0;
}

/* Were it there: in place of another's that has its key, for which it is kept out. */
static bool would_decide(struct imagined *i, const struct nsh_route *r)
{
    size_t at = 0, n = i->ways.n_routes;
    struct nsh_route before;
    struct nsh_way way;

    while (at < n && nsh_route_id_cmp(&i->ways.routes[at], r) != 0)
        at++;
    before = i->ways.routes[at];
    i->ways.routes[at] = *r;
    i->ways.n_routes += at == n;
    nsh_way_find(&i->ways, &i->query, &way);
    i->ways.n_routes = n;
    i->ways.routes[at] = before;
    return way.route == &i->ways.routes[at];
}

/* The next one from `from` on; NULL: there is none. */
static const struct nsh_route *next_lacking(
        const struct explain *e, struct imagined *imagined, size_t *from)
{
    while (*from < e->desired->n_routes) {
        const struct nsh_route *r = &e->desired->routes[(*from)++];

        if (nsh_way_route_covers(r, imagined->query.family, imagined->query.to) &&
                !is_there(e, r) && !nsh_probes_route_is(e->desired->config, r) &&
                would_decide(imagined, r))
            return r;
    }
    return NULL;
}

/* ---- routes ---- */

static void tell_routes(struct explain *e, const struct explain_way *way)
{
    NSH_CLEANUP(imagined_done) struct imagined imagined;
    char text[512], place[512], why[640];
    const struct nsh_route *r;
    size_t from = 0;

    if (imagine(e, way, &imagined) < 0)
        return;
    for (unsigned n = 0; n < LACKING_MAX && (r = next_lacking(e, &imagined, &from)); n++) {
        nsh_route_format(r, e->desired->links, text, sizeof text);
        explain_say(e, "The file's route %s%s would decide, but is not there: %s.", text,
                explain_place(e, r->origin, place, sizeof place),
                why_lacking(e, r, text, why, sizeof why));
    }
}

void explain_lacking(struct explain *e, const struct explain_way *way)
{
    tell_rules(e, way);
    tell_routes(e, way);
}

const struct nsh_route *explain_lacking_route(
        const struct explain *e, const struct explain_way *way)
{
    NSH_CLEANUP(imagined_done) struct imagined imagined;
    const struct nsh_route *r;
    size_t from = 0;

    if (imagine(e, way, &imagined) < 0)
        return NULL;
    while ((r = next_lacking(e, &imagined, &from)) && r->props->type != RTN_UNICAST)
        ;
    return r;
}
