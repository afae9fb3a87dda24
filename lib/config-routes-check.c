/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Judging a route as a whole. Every check sees a key only when that is right by itself, so that
 * one mistake is told once.
 */
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "config-routes.h"

#define MTU_MIN_IPV6 1280 /* RFC 8200 */

typedef void check(struct nsh_loader *l, struct route_draft *d);

static bool is_bad(const struct route_draft *d, unsigned key)
{
    return d->draft.bad >> key & 1;
}

static const char *format_dst(const struct nsh_route *r, char buf[static NSH_PREFIX_TEXT])
{
    return nsh_prefix_format(
            &(struct nsh_prefix){.addr = r->dst, .family = r->family, .length = r->dst_length},
            buf);
}

const struct nsh_route *nsh_route_find_family(
        const struct nsh_loader *l, const struct route_draft *d, int family)
{
    for (size_t i = d->first; i < l->config->n_routes; i++)
        if (l->config->routes[i].family == family)
            return &l->config->routes[i];
    return NULL;
}

/* ---- the object by itself ---- */

/* `nexthops`, or `via` and its companions. */
static void check_exclusion(struct nsh_loader *l, struct route_draft *d)
{
    static const struct {
        unsigned key;
        const char *name;
    } companions[] = {
            {KEY_VIA, "via"}, {KEY_DEV, "dev"}, {KEY_ON_LINK, "on-link"}, {KEY_CHECK, "check"}};

    if (nsh_absent(&d->draft, KEY_NEXTHOPS))
        return;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(companions); i++)
        if (nsh_given(&d->draft, companions[i].key))
            nsh_loader_error(l, d->draft.marks[companions[i].key], "move it into 'nexthops'",
                    "'%s' and 'nexthops' exclude each other", companions[i].name);
}

/* Which of via, dev and nexthops the type wants. */
static void check_type(struct nsh_loader *l, struct route_draft *d)
{
    const struct nsh_draft *head = &d->draft;
    bool forwards = d->type == RTN_UNICAST;
    bool takes_dev = forwards || d->type == RTN_LOCAL;
    const char *type = nsh_route_draft_type(d);

    if (is_bad(d, KEY_TYPE))
        return;
    if (!forwards && nsh_given(head, KEY_VIA))
        nsh_loader_error(l, head->marks[KEY_VIA], "leave out 'via', or the type",
                "a route of type '%s' has no gateway", type);
    if (!forwards && !nsh_absent(head, KEY_NEXTHOPS))
        nsh_loader_error(l, head->marks[KEY_NEXTHOPS], "leave out 'nexthops', or the type",
                "a route of type '%s' has no nexthops", type);
    if (!takes_dev && nsh_given(head, KEY_DEV))
        nsh_loader_error(l, head->marks[KEY_DEV], "leave out 'dev', or the type",
                "a route of type '%s' has no device", type);
    if (!forwards && nsh_given(head, KEY_CHECK))
        nsh_loader_error(l, head->marks[KEY_CHECK], "leave out 'check', or the type",
                "a route of type '%s' has no nexthop to check", type);
    if (forwards && nsh_absent(head, KEY_VIA) && nsh_absent(head, KEY_DEV) &&
            nsh_absent(head, KEY_NEXTHOPS))
        nsh_loader_error(l, head->at,
                "say where it goes: 'via' and the gateway, 'dev' and the device, or both",
                "the route has neither 'via' nor 'dev'");
    if (d->type == RTN_LOCAL && nsh_absent(head, KEY_DEV))
        nsh_loader_error(l, head->at, "write dev: lo", "a route of type 'local' needs a 'dev'");
}

static void check_table(struct nsh_loader *l, struct route_draft *d)
{
    if (nsh_given(&d->draft, KEY_TABLE) && nsh_given(&d->draft, KEY_VRF))
        nsh_loader_error(l, d->draft.marks[KEY_VRF], "leave one of them out",
                "'vrf' says the table as well, and may say another one than 'table'");
    if (nsh_given(&d->draft, KEY_TABLE) && d->table == RT_TABLE_LOCAL && d->type != RTN_LOCAL &&
            !is_bad(d, KEY_TYPE))
        nsh_loader_error(l, d->draft.marks[KEY_TABLE],
                "leave the key out for the table 'main', or add type: local",
                "table 'local' (255) is the kernel's own and takes routes of type 'local' only");
}

static void check_scope(struct nsh_loader *l, struct route_draft *d)
{
    struct nsh_yaml_mark at = d->draft.marks[KEY_SCOPE];

    if (!nsh_given(&d->draft, KEY_SCOPE) || is_bad(d, KEY_TYPE))
        return;
    if (d->type == RTN_LOCAL && d->scope < RT_SCOPE_HOST)
        nsh_loader_error(l, at, "leave the key out, or write host",
                "a route of type 'local' has the scope 'host'");
    else if (nsh_route_gateway_family(l) != 0 && d->scope >= RT_SCOPE_LINK)
        nsh_loader_error(l, at, "leave the key out",
                "behind a gateway is further away than the link: the scope is 'global'");
}

static void check_preference(struct nsh_loader *l, struct route_draft *d)
{
    if (nsh_given(&d->draft, KEY_PREFERENCE) && d->type != RTN_UNICAST && d->type != RTN_LOCAL &&
            !is_bad(d, KEY_TYPE))
        nsh_loader_error(l, d->draft.marks[KEY_PREFERENCE], "leave the key out, or use 'metric'",
                "a route of type '%s' has no preference", nsh_route_draft_type(d));
}

static void check_mtu_lock(struct nsh_loader *l, struct route_draft *d)
{
    if (nsh_given(&d->draft, KEY_MTU_LOCK) && d->mtu_lock && nsh_absent(&d->draft, KEY_MTU))
        nsh_loader_error(l, d->draft.marks[KEY_MTU_LOCK], "add 'mtu', or leave it out",
                "'mtu-lock' is about the 'mtu', and the route has none");
}

/* ---- default routes ---- */

/* The family of `to: default`, which has none of its own: from the key, or the other addresses. */
static unsigned default_families(const struct nsh_loader *l, const struct route_draft *d)
{
    unsigned families = 0;

    if (nsh_given(&d->draft, KEY_FAMILY))
        return d->families;
    if (nsh_route_gateway_family(l) != 0)
        return nsh_family_bit(nsh_route_gateway_family(l));
    if (nsh_given(&d->draft, KEY_SOURCE))
        return nsh_family_bit(d->source.family);
    for (size_t i = 0; i < l->hops.n; i++)
        if (l->hops.items[i].checked)
            return nsh_family_bit(l->hops.items[i].check.check.family);
    for (size_t i = d->first; i < l->config->n_routes; i++)
        families |= nsh_family_bit(l->config->routes[i].family);
    return families;
}

/* Whether what would tell the family is there but wrong: no second complaint then. */
static bool family_is_unclear(const struct route_draft *d)
{
    const uint64_t keys_that_tell = 1ULL << KEY_TO | 1ULL << KEY_VIA | 1ULL << KEY_NEXTHOPS |
                                    1ULL << KEY_SOURCE | 1ULL << KEY_FAMILY | 1ULL << KEY_CHECK;

    return (d->draft.bad & keys_that_tell) != 0;
}

static void drop_without_family(struct nsh_loader *l, const struct route_draft *d)
{
    struct nsh_config *c = l->config;
    size_t kept = d->first;

    for (size_t i = d->first; i < c->n_routes; i++)
        if (c->routes[i].family != AF_UNSPEC)
            c->routes[kept++] = c->routes[i];
    c->n_routes = kept;
}

/* Gives each `default` its family, and a second route where it is to be of both. */
static void settle_defaults(struct nsh_loader *l, struct route_draft *d)
{
    struct nsh_config *c = l->config;
    unsigned families = default_families(l, d);
    size_t n = c->n_routes;

    for (size_t i = d->first; i < n; i++) {
        if (c->routes[i].family != AF_UNSPEC)
            continue;
        if (families == 0) {
            if (!family_is_unclear(d))
                nsh_loader_error(l, d->draft.marks[KEY_TO],
                        "add family: ipv4, family: ipv6 or family: [ipv4, ipv6]",
                        "nothing tells the family of 'default'");
            drop_without_family(l, d);
            return;
        }
        c->routes[i].family = families & NSH_FAMILY_IPV4 ? AF_INET : AF_INET6;
        if (families != (NSH_FAMILY_IPV4 | NSH_FAMILY_IPV6))
            continue;
        if (!nsh_loader_grow(l, &c->routes, c->n_routes, &l->routes_room, sizeof(*c->routes)))
            return;
        c->routes[c->n_routes] = c->routes[i];
        c->routes[c->n_routes++].family = AF_INET6;
    }
}

/* ---- the other keys against the families of the prefixes ---- */

/* `family` against the prefixes: each of the one is among the other. */
static void check_family_key(struct nsh_loader *l, struct route_draft *d)
{
    static const char hint[] = "leave the key out: the prefixes tell the family";
    const struct nsh_route *v4 = nsh_route_find_family(l, d, AF_INET);
    const struct nsh_route *v6 = nsh_route_find_family(l, d, AF_INET6), *stranger = NULL;
    char dst[NSH_PREFIX_TEXT];

    if (!nsh_given(&d->draft, KEY_FAMILY) || !nsh_given(&d->draft, KEY_TO))
        return;
    if (!(d->families & NSH_FAMILY_IPV4))
        stranger = v4;
    if (!(d->families & NSH_FAMILY_IPV6))
        stranger = v6;
    if (stranger)
        nsh_loader_error(l, d->draft.marks[KEY_FAMILY], hint, "the family is %s, and %s is %s",
                nsh_family_name(stranger->family == AF_INET ? AF_INET6 : AF_INET),
                format_dst(stranger, dst), nsh_family_name(stranger->family));
    else if (l->n_object_lists == 0 &&
             ((d->families & NSH_FAMILY_IPV4 && !v4) || (d->families & NSH_FAMILY_IPV6 && !v6)))
        nsh_loader_error(l, d->draft.marks[KEY_FAMILY], hint, "none of the prefixes is %s",
                nsh_family_name(v4 ? AF_INET6 : AF_INET));
}

/* An IPv4 gateway can't take IPv6; the other way round the kernel knows how (RFC 5549). */
static void check_gateway_family(struct nsh_loader *l, struct route_draft *d)
{
    const struct nsh_route *r = nsh_route_find_family(l, d, AF_INET6);
    char via[NSH_PREFIX_TEXT], dst[NSH_PREFIX_TEXT];

    for (size_t i = 0; r && i < l->hops.n; i++)
        if (l->hops.items[i].via.family == AF_INET)
            nsh_loader_error(l, l->hops.items[i].via_at, "an IPv6 route needs an IPv6 gateway",
                    "%s is an IPv4 gateway, and the route to %s is IPv6",
                    nsh_prefix_format(&l->hops.items[i].via, via), format_dst(r, dst));
}

/* The kernel says so too, but only when it is written. */
static void check_bare_hops(struct nsh_loader *l, struct route_draft *d)
{
    if (l->hops.n < 2 || !nsh_route_find_family(l, d, AF_INET6))
        return;
    for (size_t i = 0; i < l->hops.n; i++)
        if (!nsh_hop_has_via(&l->hops.items[i]))
            nsh_loader_error(l, l->hops.items[i].at, "add 'via' with the gateway behind it",
                    "in IPv6 each of several nexthops needs a 'via'");
}

static void check_source_family(struct nsh_loader *l, struct route_draft *d)
{
    int other = d->source.family == AF_INET ? AF_INET6 : AF_INET;
    const struct nsh_route *r;
    char source[NSH_PREFIX_TEXT], dst[NSH_PREFIX_TEXT];

    if (!nsh_given(&d->draft, KEY_SOURCE) || !(r = nsh_route_find_family(l, d, other)))
        return;
    nsh_loader_error(l, d->draft.marks[KEY_SOURCE], "write the routes of each family by themselves",
            "the source %s is %s, and the route to %s is %s", nsh_prefix_format(&d->source, source),
            nsh_family_name(d->source.family), format_dst(r, dst), nsh_family_name(other));
}

static void check_checks(struct nsh_loader *l, struct route_draft *d)
{
    char target[NSH_ADDR_TEXT], dst[NSH_PREFIX_TEXT];

    for (size_t i = 0; i < l->hops.n; i++) {
        const struct nsh_written_check *w = &l->hops.items[i].check;
        int other = w->check.family == AF_INET ? AF_INET6 : AF_INET;
        const struct nsh_route *r = nsh_route_find_family(l, d, other);

        if (l->hops.items[i].checked && nsh_given(&d->draft, KEY_VRF) &&
                l->hops.items[i].dev[0] == '\0' && w->check.dev[0] == '\0')
            nsh_loader_error(l, w->at, "add 'dev' with the device it is behind",
                    "a check of a nexthop in a VRF needs a 'dev'");
        if (l->hops.items[i].checked && r)
            nsh_loader_error(l, w->target_at, "write the routes of each family by themselves",
                    "the check asks %s, which is %s, and the route to %s is %s",
                    nsh_addr_format(w->check.family, &w->check.target, target),
                    nsh_family_name(w->check.family), format_dst(r, dst), nsh_family_name(other));
    }
}

static void check_mtu_family(struct nsh_loader *l, struct route_draft *d)
{
    if (nsh_given(&d->draft, KEY_MTU) && d->mtu < MTU_MIN_IPV6 &&
            nsh_route_find_family(l, d, AF_INET6))
        nsh_loader_error(l, d->draft.marks[KEY_MTU], "it can be 1280 to 65535",
                "'mtu' is out of range for IPv6: %u", d->mtu);
}

static void check_tos_family(struct nsh_loader *l, struct route_draft *d)
{
    if (nsh_given(&d->draft, KEY_TOS) && nsh_route_find_family(l, d, AF_INET6))
        nsh_loader_error(
                l, d->draft.marks[KEY_TOS], "leave the key out", "IPv6 routes have no 'tos'");
}

/* Keys that mean nothing to one family, and nothing at all if there is no other. */
static void check_useless(struct nsh_loader *l, struct route_draft *d)
{
    if (l->config->n_routes == d->first)
        return;
    if (nsh_given(&d->draft, KEY_SCOPE) && !nsh_route_find_family(l, d, AF_INET))
        nsh_loader_error(
                l, d->draft.marks[KEY_SCOPE], "leave the key out", "IPv6 routes have no scope");
    if (nsh_given(&d->draft, KEY_PREFERENCE) && !nsh_route_find_family(l, d, AF_INET6))
        nsh_loader_error(l, d->draft.marks[KEY_PREFERENCE], "leave the key out, or use 'metric'",
                "IPv4 routes have no preference");
}

static bool all_gateways_are_ipv6(const struct nsh_loader *l)
{
    return l->hops.n > 0 && !nsh_route_bare_hop(l) && nsh_route_gateway_family(l) == AF_INET6;
}

const char *nsh_route_list_refusal(
        const struct nsh_loader *l, const struct route_draft *d, int family)
{
    const struct nsh_draft *head = &d->draft;

    if (nsh_given(head, KEY_SOURCE) && d->source.family != family)
        return family == AF_INET ? "the source is IPv6" : "the source is IPv4";
    for (size_t i = 0; i < l->hops.n; i++)
        if (l->hops.items[i].checked && l->hops.items[i].check.check.family != family)
            return family == AF_INET ? "the check asks an IPv6 address"
                                     : "the check asks an IPv4 address";
    if (family == AF_INET) {
        /* It can be so, but hardly is meant in a list of both unless the family is said. */
        if (nsh_absent(head, KEY_FAMILY) && all_gateways_are_ipv6(l))
            return "the gateway is IPv6";
        return NULL;
    }
    if (nsh_route_gateway_family(l) == AF_INET)
        return "the gateway is IPv4";
    if (l->hops.n > 1 && nsh_route_bare_hop(l))
        return "one of several nexthops has no gateway";
    if (nsh_given(head, KEY_MTU) && d->mtu < MTU_MIN_IPV6)
        return "the 'mtu' is less than 1280";
    if (nsh_given(head, KEY_TOS))
        return "'tos' is for IPv4 only";
    return NULL;
}

/* What is asked for by name, and can't be. */
static void check_list_families(struct nsh_loader *l, struct route_draft *d)
{
    static const int families[] = {AF_INET, AF_INET6};

    if (l->n_object_lists == 0 || !nsh_given(&d->draft, KEY_FAMILY))
        return;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(families); i++) {
        const char *why = nsh_route_list_refusal(l, d, families[i]);

        if (why && d->families & nsh_family_bit(families[i]) &&
                !nsh_route_find_family(l, d, families[i]))
            nsh_loader_error(l, d->draft.marks[KEY_FAMILY], NULL, "the family is %s, and %s",
                    nsh_family_name(families[i]), why);
    }
}

void nsh_route_check(struct nsh_loader *l, struct route_draft *d)
{
    static check *const checks[] = {
            check_exclusion,
            check_type,
            check_table,
            check_scope,
            check_preference,
            check_mtu_lock,
            settle_defaults,
            check_family_key,
            check_gateway_family,
            check_bare_hops,
            check_source_family,
            check_checks,
            check_mtu_family,
            check_tos_family,
            check_useless,
            check_list_families,
    };

    for (size_t i = 0; i < NSH_ARRAY_SIZE(checks); i++)
        checks[i](l, d);
}
