/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The step of `explain` that routes: which rule and which route decide, what of the file would have
 * decided but is not there, and where the packet leaves. The kernel says where it goes; the rule it
 * does not say, so one is only named if it leads to the kernel's answer.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "explain.h"
#include "resolve.h"
#include "text-json.h"
#include "text.h"

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

/* ---- the rule ---- */

static void tell_rule(struct explain *e, const struct nsh_rule *r)
{
    char text[NSH_RULE_TEXT], who[576];

    by_whom(e, r->protocol, origin_of_rule(e, r), who, sizeof who);
    explain_say(e, "Rule %u decides where its way is looked up: %s%s.", r->priority,
            nsh_rule_format(r, text, sizeof text), who);
    explain_set(e, "rule", nsh_text_json(text));
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
    explain_set(e, "route", nsh_text_json(text));
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

    explain_set(e, "out", nsh_text_json(w->dev));
    if (several)
        explain_say(e, "Each flow goes by one of its %u nexthops; what follows is for %s.",
                route->props->n_nexthops, w->dev);
    if (w->error == 0 && w->answer.via_family != AF_UNSPEC) {
        nsh_addr_format(w->answer.via_family, &w->answer.via, via);
        explain_set(e, "gateway", nsh_text_json(via));
        explain_say(e, "It leaves by %s to the gateway %s.", w->dev, via);
    } else {
        explain_say(e, "It leaves by %s.", w->dev);
    }
}

/* ---- what stops it ---- */

/* Its routes went with the link. */
static bool is_in_down_link(struct explain *e, const union nsh_addr *to, char *buf, size_t size)
{
    char dev[IFNAMSIZ], word[NSH_TEXT_DEVICE];
    uint32_t down = explain_down_link(e, to);

    if (down == 0 || e->fib->ops->link_name(e->fib, down, dev) < 0)
        return false;
    snprintf(buf, size, "run: ip link set %s up", nsh_text_word(dev, word, sizeof word));
    return true;
}

static bool has_default(const struct explain *e)
{
    for (size_t i = 0; i < e->ways.n_routes; i++)
        if (e->ways.routes[i].family == e->now.family && e->ways.routes[i].dst_length == 0)
            return true;
    return false;
}

/* The first of whose LAN it comes from; "": there is none. */
static const char *wan_of(const struct explain *e)
{
    const struct nsh_config *c = e->desired->config;

    for (size_t i = 0; i < c->n_shares; i++)
        if (!c->shares[i].policy.disabled && c->shares[i].wan.n == 1 &&
                nsh_device_list_has(&c->shares[i].lan, e->first.in))
            return c->shares[i].wan.items[0];
    return "";
}

/* A route to one address of the world would mend that one alone. */
static void fix_nowhere(const struct explain *e, const union nsh_addr *to, char *buf, size_t size)
{
    const char *wan = wan_of(e);
    char text[NSH_ADDR_TEXT];

    if (nsh_addr_is_private(e->now.family, to) || has_default(e))
        snprintf(buf, size, "a route to %s in the file", nsh_addr_format(e->now.family, to, text));
    else
        snprintf(buf, size,
                "a default route, by DHCP or in the file: {to: default, via: GATEWAY%s%s}, with "
                "the "
                "address of the provider's router",
                *wan ? ", dev: " : "", wan);
}

/* The file may have a route that is not there. */
const char *explain_fix_route(
        struct explain *e, const struct explain_way *way, char *buf, size_t size)
{
    const union nsh_addr *to = &way->asked.to;
    char route[128], place[512];
    const struct nsh_route *r;

    fix_nowhere(e, to, buf, size);
    if (is_in_down_link(e, to, buf, size))
        return buf;
    r = explain_lacking_route(e, way);
    if (r)
        snprintf(buf, size, "the file's route %s%s, which leads there: %s",
                nsh_route_format_key(r, route, sizeof route),
                explain_place(e, r->origin, place, sizeof place),
                e->idle ? "systemctl start netshared"
                        : "netshared status, which says why it is not there");
    return buf;
}

/* What refuses is written for that, and only stands in for another route while that is not there.
 */
static void fix_refused(struct explain *e, const struct explain_way *way, char *buf, size_t size)
{
    const struct nsh_route *r = way->found.route;
    char table[32] = "";

    if (r->table != RT_TABLE_MAIN)
        snprintf(table, sizeof table, ", with 'table: %" PRIu32 "'", r->table);
    if (explain_lacking_route(e, way))
        explain_fix_route(e, way, buf, size);
    else
        snprintf(buf, size, "nothing, if that is meant; else %s in the file%s",
                origin_of_route(e, r) != NSH_ORIGIN_NONE
                        ? "another route in its place"
                        : "a route to a longer prefix or with a smaller metric",
                table);
}

/* Another may have its priority; but a name of somebody's is not for a shell to see. */
static const char *name_of_rule(const struct nsh_rule *r, char *buf, size_t size)
{
    if (strpbrk(nsh_rule_format(r, buf, size), "!\"#$&'()*;<>?[\\]^`{|}~"))
        snprintf(buf, size, "priority %" PRIu32, r->priority);
    return buf;
}

static void fix_refusing_rule(
        const struct explain *e, const struct nsh_rule *r, char *buf, size_t size)
{
    char name[320], own[400] = "";

    if (origin_of_rule(e, r) == NSH_ORIGIN_NONE)
        snprintf(own, sizeof own, ", or this one taken away: ip %s rule del %s",
                r->family == AF_INET6 ? "-6" : "-4", name_of_rule(r, name, sizeof name));
    snprintf(buf, size,
            "nothing, if that is meant; else a rule in the file with a 'priority' below %" PRIu32
            " that leads it elsewhere%s",
            r->priority, own);
}

static void stop_refused(struct explain *e, const struct explain_way *way)
{
    const struct nsh_way *w = &way->found;
    char text[512], place[512], fix[768];

    if (w->route) {
        tell_rule(e, w->rule);
        tell_route(e, w->route);
        fix_refused(e, way, fix, sizeof fix);
        explain_stop(e, fix, "the route %s%s lets nothing through",
                nsh_route_format_seen(e->fib, w->route, text, sizeof text),
                explain_place(e, origin_of_route(e, w->route), place, sizeof place));
        return;
    }
    tell_rule(e, w->rule);
    fix_refusing_rule(e, w->rule, fix, sizeof fix);
    explain_stop(e, fix, "rule %u (%s)%s lets nothing through", w->rule->priority,
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
        stop_refused(e, w);
    } else if (!w->found.rule && explain_is_multicast(e->now.family, &e->now.dst)) {
        explain_say(e, "%s is a multicast address, and this machine has not joined it.", to);
        explain_stop(e, "a program for multicast routing, which netshared is not",
                "multicast is not forwarded by routes such as these");
    } else if (!w->found.rule) {
        explain_say(e, "No rule and no route leads to %s.", to);
        explain_stop(e, explain_fix_route(e, w, fix, sizeof fix), "there is no route to %s", to);
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

/* What a policy leads to somebody private goes out into the world, by where it came in. */
static bool is_led_astray(struct explain *e)
{
    const struct nsh_route *r = e->forth.found.route;
    char policy[576], to[NSH_ADDR_TEXT], fix[768];

    if (!e->led_by || !r || r->dst_length != 0 || e->forth.ifindex != e->in ||
            !nsh_addr_is_private(e->now.family, &e->now.dst))
        return false;
    nsh_addr_format(e->now.family, &e->now.dst, to);
    explain_policy(e, e->leader, policy, sizeof policy);
    snprintf(fix, sizeof fix, "the address of a machine behind this one in %s, or a route to %s",
            policy, to);
    explain_say(e, "So it leaves by the interface by which it came in, by the default route.");
    explain_stop(e, fix, "no network of this machine has %s, to which %s leads it", to, policy);
    return true;
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
    explain_lacking(e, w);
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
        if (!is_led_astray(e) && !explain_is_dead(e, w->ifindex, w->dev))
            explain_is_silent(e);
    }
}
