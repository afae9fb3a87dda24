/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The step of `explain` that routes: which rule and which route decide, what of the file would have
 * decided but is not there, and where the packet leaves. The kernel says where it goes; the rule it
 * does not say, so one is only named if it leads to the kernel's answer.
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

/* ---- who wrote it ---- */

static void by_whom(
        const struct explain *e, uint8_t protocol, nsh_origin origin, char *buf, size_t size)
{
    const char *name = nsh_route_protocol_name(protocol);

    if (protocol == e->desired->protocol && origin != NSH_ORIGIN_NONE)
        explain_place(e, origin, buf, size);
    else if (protocol == e->desired->protocol)
        snprintf(buf, size, " (netshared's, but not in the file)");
    else if (protocol == RTPROT_UNSPEC)
        buf[0] = '\0';
    else if (name)
        snprintf(buf, size, " (%s)", name);
    else
        snprintf(buf, size, " (protocol %u)", protocol);
}

static nsh_origin origin_of_route(const struct explain *e, const struct nsh_route *r)
{
    size_t i =
            r->protocol == e->desired->protocol ? nsh_desired_find_route(e->desired, r) : SIZE_MAX;

    return i == SIZE_MAX ? NSH_ORIGIN_NONE : e->desired->routes[i].origin;
}

static nsh_origin origin_of_rule(const struct explain *e, const struct nsh_rule *r)
{
    size_t i =
            r->protocol == e->desired->protocol ? nsh_desired_find_rule(e->desired, r) : SIZE_MAX;

    return i == SIZE_MAX ? NSH_ORIGIN_NONE : e->desired->rules[i].origin;
}

/* ---- what is not there ---- */

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

static const char *said_of(const struct explain *e, const char *kind, const char *name)
{
    json_t *objects = json_object_get(e->status, "objects"), *o;
    size_t i;

    json_array_foreach(objects, i, o)
    {
        const char *k = json_string_value(json_object_get(o, "kind"));
        const char *n = json_string_value(json_object_get(o, "name"));

        if (k && n && strcmp(k, kind) == 0 && strcmp(n, name) == 0)
            return json_string_value(json_object_get(o, "reason"));
    }
    return NULL;
}

static const char *why_lacking(
        struct explain *e, const struct nsh_route *want, const char *name, char *buf, size_t size)
{
    const struct nsh_route *other = holder(e, want);
    const char *missing = nsh_desired_missing_link(e->desired, want);
    const char *reason = said_of(e, "route", name);
    char text[512];
    struct nsh_hold hold;
    enum nsh_standing standing = nsh_desired_standing(e->desired, want, &hold);

    if (reason)
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

/* A table that a rule leads to, or the one in which a route was found. */
static bool is_asked(const struct explain *e, const struct nsh_way *w, uint32_t table)
{
    if (w->route)
        return table == w->route->table;
    for (size_t i = 0; i < e->ways.n_rules; i++)
        if (e->ways.rules[i].family == e->now.family && e->ways.rules[i].action == FR_ACT_TO_TBL &&
                e->ways.rules[i].table == table)
            return true;
    return false;
}

static bool is_lacking(const struct explain *e, const struct nsh_way *w, const struct nsh_route *r,
        const union nsh_addr *to)
{
    return nsh_way_route_covers(r, e->now.family, to) && is_asked(e, w, r->table) &&
           (!w->route || nsh_way_is_better(r, w->route)) && !is_there(e, r) &&
           !nsh_probes_route_is(e->desired->config, r);
}

static void tell_lacking_routes(
        struct explain *e, const struct nsh_way *w, const union nsh_addr *to)
{
    char text[512], place[512], why[640];
    unsigned n = 0;

    for (size_t i = 0; n < LACKING_MAX && i < e->desired->n_routes; i++) {
        const struct nsh_route *r = &e->desired->routes[i];

        if (!is_lacking(e, w, r, to))
            continue;
        nsh_route_format(r, e->desired->links, text, sizeof text);
        explain_say(e, "The file's route %s%s would decide, but is not there: %s.", text,
                explain_place(e, r->origin, place, sizeof place),
                why_lacking(e, r, text, why, sizeof why));
        n++;
    }
}

static bool rule_is_there(const struct explain *e, const struct nsh_rule *want)
{
    for (size_t i = 0; i < e->ways.n_rules; i++)
        if (nsh_rule_equal(&e->ways.rules[i], want))
            return true;
    return false;
}

static void tell_lacking_rules(struct explain *e, const struct nsh_way *w)
{
    struct nsh_way_query q = {.family = e->now.family,
            .protocol = e->now.protocol,
            .to = &e->now.dst,
            .from = &e->now.src,
            .mark = e->now.mark,
            .source_port = e->now.source_port,
            .destination_port = e->now.destination_port};
    char text[NSH_RULE_TEXT], place[512];
    unsigned n = 0;

    snprintf(q.iif, sizeof q.iif, "%s", e->in ? e->first.in : "lo");
    for (size_t i = 0; n < LACKING_MAX && i < e->desired->n_rules; i++) {
        const struct nsh_rule *r = &e->desired->rules[i];
        bool open = nsh_desired_is_open(e->desired, r->when);

        if (!nsh_way_rule_matches(r, &q) || (w->rule && r->priority >= w->rule->priority) ||
                rule_is_there(e, r) || nsh_probes_rule_is(e->desired->config, r))
            continue;
        explain_say(e, "The file's rule %s%s would be asked before, but is not there%s%s.",
                nsh_rule_format(r, text, sizeof text),
                explain_place(e, r->origin, place, sizeof place), open ? "" : ": ",
                open ? "" : e->reasons[r->when]);
        n++;
    }
}

/* ---- the rule ---- */

static void tell_rule(struct explain *e, const struct nsh_rule *r)
{
    char text[NSH_RULE_TEXT], who[576];

    by_whom(e, r->protocol, origin_of_rule(e, r), who, sizeof who);
    explain_say(e, "Rule %u decides where its way is looked up: %s%s.", r->priority,
            nsh_rule_format(r, text, sizeof text), who);
    explain_set(e, "rule", json_string(text));
    explain_set(e, "rule_priority", json_integer(r->priority));
}

/* ---- the route ---- */

static void tell_route(struct explain *e, const struct nsh_route *r)
{
    nsh_origin origin = origin_of_route(e, r);
    char text[512], who[576];

    by_whom(e, r->protocol, origin, who, sizeof who);
    explain_say(e, "The route that decides is %s%s.",
            nsh_route_format_seen(e->fib, r, text, sizeof text), who);
    explain_set(e, "route", json_string(text));
    explain_set(e, "table", json_integer(r->table));
    explain_set_place(e, origin);
}

struct copy {
    struct nsh_route route;
    union nsh_route_room *room;
};

static int take_entry(void *userdata, const struct nsh_route *seen)
{
    struct copy *c = userdata;

    c->route = *seen;
    memcpy(c->room, seen->props, nsh_route_props_size(seen->props->n_nexthops));
    c->route.props = &c->room->props;
    return 0;
}

/* What was gone through led to what the kernel says. */
static bool agrees(const struct explain_way *w, const struct nsh_route *entry)
{
    return w->found.route && w->found.route->table == entry->table &&
           w->found.route->dst_length == entry->dst_length;
}

/* The kernel takes it: its answer is what is told. */
static void tell_answer(struct explain *e, const struct explain_way *w)
{
    nsh_autofree union nsh_route_room *room = malloc(sizeof *room);
    struct copy entry = {.room = room};
    int q = room ? e->fib->ops->entry(e->fib, &w->asked, take_entry, &entry) : -ENOMEM;
    const struct nsh_route *route = q == 0 ? &entry.route : w->found.route;

    if (route && w->found.rule && w->found.certain && agrees(w, route))
        tell_rule(e, w->found.rule);
    else if (route && w->found.vrf && !agrees(w, route))
        tell_rule(e, w->found.vrf);
    else if (w->answer.type == RTN_UNICAST)
        explain_say(e, "Which rule leads there can't be told for certain.");
    if (route)
        tell_route(e, route);
}

static void tell_leaving(struct explain *e, const struct explain_way *w)
{
    const struct nsh_route *route = w->found.route;
    bool several = route && route->props->n_nexthops > 1;
    char via[NSH_ADDR_TEXT];

    explain_set(e, "out", json_string(w->dev));
    if (several)
        explain_say(e, "Each flow goes by one of its %u nexthops; what follows is for %s.",
                route->props->n_nexthops, w->dev);
    if (w->error == 0 && w->answer.via_family != AF_UNSPEC) {
        nsh_addr_format(w->answer.via_family, &w->answer.via, via);
        explain_set(e, "gateway", json_string(via));
        explain_say(e, "It leaves by %s to the gateway %s.", w->dev, via);
    } else {
        explain_say(e, "It leaves by %s.", w->dev);
    }
}

/* ---- what stops it ---- */

static bool is_any_lacking(
        const struct explain *e, const struct nsh_way *w, const union nsh_addr *to)
{
    for (size_t i = 0; i < e->desired->n_routes; i++)
        if (is_lacking(e, w, &e->desired->routes[i], to) &&
                e->desired->routes[i].props->type == RTN_UNICAST)
            return true;
    return false;
}

/* Its routes went with the link. */
static bool is_in_down_link(struct explain *e, const union nsh_addr *to, char *buf, size_t size)
{
    char dev[IFNAMSIZ], word[NSH_TEXT_DEVICE];

    for (size_t i = 0; i < e->n_addresses; i++) {
        const struct nsh_fib_address *a = &e->addresses[i];

        if (a->family != e->now.family || !nsh_prefix_contains(&a->net, a->family, to) ||
                explain_link_state(e, a->ifindex) != EXPLAIN_LINK_DOWN ||
                e->fib->ops->link_name(e->fib, a->ifindex, dev) < 0)
            continue;
        snprintf(buf, size, "run: ip link set %s up", nsh_text_word(dev, word, sizeof word));
        return true;
    }
    return false;
}

/* The file may have a route that is not there. */
const char *explain_fix_route(struct explain *e, const struct nsh_way *w, const union nsh_addr *to,
        char *buf, size_t size)
{
    char text[NSH_ADDR_TEXT], route[128], place[512];

    nsh_addr_format(e->now.family, to, text);
    snprintf(buf, size, "a route to %s in the file", text);
    if (is_in_down_link(e, to, buf, size))
        return buf;
    for (size_t i = 0; i < e->desired->n_routes; i++) {
        const struct nsh_route *r = &e->desired->routes[i];

        if (!is_lacking(e, w, r, to) || r->props->type != RTN_UNICAST)
            continue;
        snprintf(buf, size, "the file's route %s%s, which leads there: %s",
                nsh_route_format_key(r, route, sizeof route),
                explain_place(e, r->origin, place, sizeof place),
                e->idle ? "systemctl start netshared"
                        : "netshared status, which says why it is not there");
        return buf;
    }
    return buf;
}

/* What refuses is written for that, and only stands in for another route while that is not there.
 */
static void fix_refused(struct explain *e, const struct nsh_way *w, char *buf, size_t size)
{
    if (is_any_lacking(e, w, &e->now.dst))
        explain_fix_route(e, w, &e->now.dst, buf, size);
    else
        snprintf(buf, size, "nothing, if that is meant; else %s in the file",
                origin_of_route(e, w->route) != NSH_ORIGIN_NONE
                        ? "another route in its place"
                        : "a route to a longer prefix or with a smaller metric");
}

static void stop_refused(struct explain *e, const struct nsh_way *w)
{
    char text[512], place[512], fix[768];

    if (w->route) {
        tell_rule(e, w->rule);
        tell_route(e, w->route);
        fix_refused(e, w, fix, sizeof fix);
        explain_stop(e, fix, "the route %s%s lets nothing through",
                nsh_route_format_seen(e->fib, w->route, text, sizeof text),
                explain_place(e, origin_of_route(e, w->route), place, sizeof place));
        return;
    }
    tell_rule(e, w->rule);
    explain_stop(e, "", "rule %u (%s)%s lets nothing through", w->rule->priority,
            nsh_rule_format(w->rule, text, sizeof text),
            explain_place(e, origin_of_rule(e, w->rule), place, sizeof place));
}

static bool leads_nowhere(const struct nsh_route *r)
{
    return r->props->type == RTN_BLACKHOLE || r->props->type == RTN_UNREACHABLE ||
           r->props->type == RTN_PROHIBIT;
}

/* IPv4 has no answer for what came in while forwarding is off; the next step tells of that. */
static bool is_forwarding_off(struct explain *e)
{
    return e->in != 0 && e->now.family == AF_INET &&
           explain_sysctl(e, "net/ipv4/conf/*/forwarding", e->first.in) == 0;
}

static void tell_failure(struct explain *e, const struct explain_way *w)
{
    char fix[768], to[NSH_ADDR_TEXT];

    nsh_addr_format(e->now.family, &e->now.dst, to);
    if (w->found.rule && (!w->found.route || leads_nowhere(w->found.route))) {
        stop_refused(e, &w->found);
    } else if (!w->found.rule && explain_is_multicast(e->now.family, &e->now.dst)) {
        explain_say(e, "%s is a multicast address, and this machine has not joined it.", to);
        explain_stop(e, "a program for multicast routing, which netshared is not",
                "multicast is not forwarded by routes such as these");
    } else if (!w->found.rule) {
        explain_say(e, "No rule and no route leads to %s.", to);
        explain_stop(e, explain_fix_route(e, &w->found, &e->now.dst, fix, sizeof fix),
                "there is no route to %s", to);
    } else if (is_forwarding_off(e)) {
        tell_rule(e, w->found.rule);
        tell_route(e, w->found.route);
        if (w->ifindex != 0)
            tell_leaving(e, w);
    } else {
        tell_rule(e, w->found.rule);
        tell_route(e, w->found.route);
        explain_stop(e, "", "the kernel refuses it: %s", strerror(-w->error));
    }
}

void explain_route(struct explain *e)
{
    const struct explain_way *w = &e->forth;
    char to[NSH_ADDR_TEXT];

    explain_step(e, "route");
    if (w->error != 0)
        tell_failure(e, w);
    else
        tell_answer(e, w);
    tell_lacking_rules(e, &w->found);
    tell_lacking_routes(e, &w->found, &e->now.dst);
    if (w->error != 0)
        return;
    if (e->here) {
        explain_set(e, "out", json_null());
        explain_say(e, "%s is %s.", nsh_addr_format(e->now.family, &e->now.dst, to),
                w->answer.type == RTN_BROADCAST
                        ? "a broadcast address: all machines on its link get it, and nobody else"
                : w->answer.type == RTN_MULTICAST ? "a multicast address, which this machine takes"
                                                  : "this machine itself");
    } else {
        tell_leaving(e, w);
        if (!explain_is_dead(e, w->ifindex, w->dev))
            explain_is_silent(e);
    }
}
