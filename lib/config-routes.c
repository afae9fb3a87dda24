/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The section `routes`. `to` appends its prefixes to the configuration's own array as they are
 * read; when the object is complete, the other keys are judged once and given to all of them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "config-loader.h"

#define MTU_MIN_IPV4 68   /* RFC 791 */
#define MTU_MIN_IPV6 1280 /* RFC 8200 */

enum route_key {
    KEY_TO,
    KEY_VIA,
    KEY_DEV,
    KEY_METRIC,
    KEY_TABLE,
    KEY_TYPE,
    KEY_SOURCE,
    KEY_FROM,
    KEY_SCOPE,
    KEY_ON_LINK,
    KEY_MTU,
    KEY_FAMILY,
    KEY_ON_CONFLICT,
    KEY_NEXTHOPS,
    KEY_ADVERTISED_MSS,
    KEY_CONGESTION_WINDOW,
    KEY_ADVERTISED_RECEIVE_WINDOW,
};

struct route_draft {
    struct nsh_draft draft;
    size_t first; /* index of its first route */
    struct nsh_prefix via, source;
    char dev[IFNAMSIZ];
    uint32_t metric, table, mtu, scope;
    unsigned type, on_conflict, families;
    bool on_link;
};

static const struct nsh_word types[] = {
        {"unicast", RTN_UNICAST},
        {"local", RTN_LOCAL},
        {"blackhole", RTN_BLACKHOLE},
        {"unreachable", RTN_UNREACHABLE},
        {"prohibit", RTN_PROHIBIT},
        {"throw", RTN_THROW},
        {NULL, 0},
};

static const struct nsh_word scopes[] = {
        {"global", RT_SCOPE_UNIVERSE},
        {"universe", RT_SCOPE_UNIVERSE},
        {"site", RT_SCOPE_SITE},
        {"link", RT_SCOPE_LINK},
        {"host", RT_SCOPE_HOST},
        {"nowhere", RT_SCOPE_NOWHERE},
        {NULL, 0},
};

static const struct nsh_word on_conflict[] = {
        {"keep", NSH_CONFLICT_KEEP},
        {"replace", NSH_CONFLICT_REPLACE},
        {NULL, 0},
};

#define FIELD(member) .offset = offsetof(struct route_draft, member)

static const struct nsh_key keys[] = {
        [KEY_TO] = {"to", &nsh_type_to, .flags = NSH_KEY_REQUIRED | NSH_KEY_LIST,
                .missing = "say where it leads: to: default, a prefix or an address",
                .known_as = "destination dst prefix network",
                .help = "where traffic goes: default, a prefix, an address, or a list of these"},
        [KEY_VIA] = {"via", &nsh_type_address, FIELD(via), .known_as = "gateway gw nexthop router",
                .help = "the gateway"},
        [KEY_DEV] = {"dev", &nsh_type_device, FIELD(dev),
                .known_as = "device interface iface oif out oifname",
                .help = "the device; without it the kernel takes the one the gateway is behind"},
        [KEY_METRIC] = {"metric", &nsh_type_integer, FIELD(metric), .max = UINT32_MAX,
                .known_as = "priority preference prio distance",
                .help = "of two routes to one prefix the one with the lower metric is taken"},
        [KEY_TABLE] = {"table", &nsh_type_table, FIELD(table), .min = 1, .max = UINT32_MAX,
                .known_as = "routing-table lookup vrf", .help = "the routing table"},
        [KEY_TYPE] = {"type", &nsh_type_word, FIELD(type), .words = types, .known_as = "kind",
                .help = "what happens to the packet"},
        [KEY_SOURCE] = {"source", &nsh_type_address, FIELD(source),
                .known_as = "src preferred-source prefsrc",
                .help = "source address of what this host sends along the route"},
        [KEY_FROM] = {"from", .flags = NSH_KEY_ALIAS, .same_as = KEY_SOURCE},
        [KEY_SCOPE] = {"scope", &nsh_type_scope, FIELD(scope), .words = scopes, .max = 255,
                .help = "how far away the destination is (IPv4)"},
        [KEY_ON_LINK] = {"on-link", &nsh_type_bool, FIELD(on_link), .known_as = "onlink on_link",
                .help = "the gateway is on the link, whatever the addresses say"},
        [KEY_MTU] = {"mtu", &nsh_type_integer, FIELD(mtu), .min = MTU_MIN_IPV4, .max = 65535,
                .help = "largest packet along the route"},
        [KEY_FAMILY] = {"family", &nsh_type_families, FIELD(families), .flags = NSH_KEY_LIST,
                .help = "ipv4, ipv6 or both; needed where no address tells"},
        [KEY_ON_CONFLICT] = {"on-conflict", &nsh_type_word, FIELD(on_conflict),
                .words = on_conflict, .help = "what to do about another's route on the same key"},
        [KEY_NEXTHOPS] = {"nexthops", .flags = NSH_KEY_LATER},
        [KEY_ADVERTISED_MSS] = {"advertised-mss", .flags = NSH_KEY_LATER},
        [KEY_CONGESTION_WINDOW] = {"congestion-window", .flags = NSH_KEY_LATER},
        [KEY_ADVERTISED_RECEIVE_WINDOW] = {"advertised-receive-window", .flags = NSH_KEY_LATER},
};

static unsigned family_bit(int family)
{
    return family == AF_INET6 ? NSH_FAMILY_IPV6 : family == AF_INET ? NSH_FAMILY_IPV4 : 0;
}

static const char *family_name(int family)
{
    return family == AF_INET6 ? "IPv6" : "IPv4";
}

static bool has_gateway(const struct route_draft *d)
{
    return nsh_given(&d->draft, KEY_VIA);
}

static const char *type_name(const struct route_draft *d)
{
    for (const struct nsh_word *w = types; w->text; w++)
        if (w->value == d->type)
            return w->text;
    return "";
}

static const char *format_dst(const struct nsh_route *r, char buf[static NSH_PREFIX_TEXT])
{
    return nsh_prefix_format(
            &(struct nsh_prefix){.addr = r->dst, .family = r->family, .length = r->dst_length},
            buf);
}

static void begin_route(struct nsh_loader *l, void *draft)
{
    struct route_draft *d = draft;

    d->first = l->config->n_routes;
    d->type = RTN_UNICAST;
}

/* ---- judging the object ---- */

/* Every check sees a key only when that is right by itself, so that one mistake is told once. */
typedef void check(struct nsh_loader *l, struct route_draft *d);

/* Which of via and dev the type wants. */
static void check_type(struct nsh_loader *l, struct route_draft *d)
{
    const struct nsh_draft *head = &d->draft;
    bool forwards = d->type == RTN_UNICAST;
    bool takes_dev = forwards || d->type == RTN_LOCAL;

    if (head->bad >> KEY_TYPE & 1)
        return;
    if (!forwards && has_gateway(d))
        nsh_loader_error(l, head->marks[KEY_VIA], "leave out 'via', or the type",
                "a route of type '%s' has no gateway", type_name(d));
    if (!takes_dev && nsh_given(head, KEY_DEV))
        nsh_loader_error(l, head->marks[KEY_DEV], "leave out 'dev', or the type",
                "a route of type '%s' has no device", type_name(d));
    if (forwards && nsh_absent(head, KEY_VIA) && nsh_absent(head, KEY_DEV))
        nsh_loader_error(l, head->at,
                "say where it goes: 'via' and the gateway, 'dev' and the device, or both",
                "the route has neither 'via' nor 'dev'");
    if (d->type == RTN_LOCAL && nsh_absent(head, KEY_DEV))
        nsh_loader_error(l, head->at, "write dev: lo", "a route of type 'local' needs a 'dev'");
}

static void check_gateway(struct nsh_loader *l, struct route_draft *d)
{
    const struct nsh_draft *head = &d->draft;
    char shown[NSH_PREFIX_TEXT];

    if (has_gateway(d) && nsh_absent(head, KEY_DEV) &&
            nsh_addr_is_link_local(d->via.family, &d->via.addr))
        nsh_loader_error(l, head->marks[KEY_VIA], "add 'dev' with the device it is behind",
                "the link-local gateway %s needs a 'dev'", nsh_prefix_format(&d->via, shown));
    if (!nsh_given(head, KEY_ON_LINK) || !d->on_link)
        return;
    if (nsh_absent(head, KEY_VIA))
        nsh_loader_error(l, head->marks[KEY_ON_LINK], "add 'via', or leave it out",
                "'on-link' is about a gateway, and the route has none");
    else if (nsh_absent(head, KEY_DEV))
        nsh_loader_error(l, head->marks[KEY_ON_LINK], "add 'dev' with the device of that link",
                "'on-link' needs a 'dev'");
}

static void check_table(struct nsh_loader *l, struct route_draft *d)
{
    if (nsh_given(&d->draft, KEY_TABLE) && d->table == RT_TABLE_LOCAL && d->type != RTN_LOCAL &&
            !(d->draft.bad >> KEY_TYPE & 1))
        nsh_loader_error(l, d->draft.marks[KEY_TABLE],
                "leave the key out for the table 'main', or add type: local",
                "table 'local' (255) is the kernel's own and takes routes of type 'local' only");
}

static void check_scope(struct nsh_loader *l, struct route_draft *d)
{
    struct nsh_yaml_mark at = d->draft.marks[KEY_SCOPE];

    if (!nsh_given(&d->draft, KEY_SCOPE) || d->draft.bad >> KEY_TYPE & 1)
        return;
    if (d->type == RTN_LOCAL && d->scope < RT_SCOPE_HOST)
        nsh_loader_error(l, at, "leave the key out, or write host",
                "a route of type 'local' has the scope 'host'");
    else if (has_gateway(d) && d->scope >= RT_SCOPE_LINK)
        nsh_loader_error(l, at, "leave the key out",
                "behind a gateway is further away than the link: the scope is 'global'");
}

/* The family of `to: default`, which has none of its own: from the key, or the other addresses. */
static unsigned default_families(const struct nsh_loader *l, const struct route_draft *d)
{
    unsigned families = 0;

    if (nsh_given(&d->draft, KEY_FAMILY))
        return d->families;
    if (has_gateway(d))
        return family_bit(d->via.family);
    if (nsh_given(&d->draft, KEY_SOURCE))
        return family_bit(d->source.family);
    for (size_t i = d->first; i < l->config->n_routes; i++)
        families |= family_bit(l->config->routes[i].family);
    return families;
}

/* Whether what would tell the family is there but wrong: no second complaint then. */
static bool family_is_unclear(const struct route_draft *d)
{
    const uint64_t keys_that_tell =
            1ULL << KEY_TO | 1ULL << KEY_VIA | 1ULL << KEY_SOURCE | 1ULL << KEY_FAMILY;

    return (d->draft.bad & keys_that_tell) != 0;
}

static void drop_routes(
        struct nsh_loader *l, size_t from, bool (*unwanted)(const struct nsh_route *))
{
    struct nsh_config *c = l->config;
    size_t kept = from;

    for (size_t i = from; i < c->n_routes; i++)
        if (!unwanted(&c->routes[i]))
            c->routes[kept++] = c->routes[i];
    c->n_routes = kept;
}

static bool has_no_family(const struct nsh_route *r)
{
    return r->family == AF_UNSPEC;
}

static bool is_any(const struct nsh_route *r)
{
    (void)r;
    return true;
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
            drop_routes(l, d->first, has_no_family);
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

/* The first of the object's routes that is of `family`; NULL: none. */
static const struct nsh_route *find_family(
        const struct nsh_loader *l, const struct route_draft *d, int family)
{
    for (size_t i = d->first; i < l->config->n_routes; i++)
        if (l->config->routes[i].family == family)
            return &l->config->routes[i];
    return NULL;
}

/* `family` against the prefixes: each of the one is among the other. */
static void check_family_key(struct nsh_loader *l, struct route_draft *d)
{
    static const char hint[] = "leave the key out: the prefixes tell the family";
    const struct nsh_route *v4 = find_family(l, d, AF_INET), *v6 = find_family(l, d, AF_INET6);
    const struct nsh_route *stranger = NULL;
    char dst[NSH_PREFIX_TEXT];

    if (!nsh_given(&d->draft, KEY_FAMILY) || !nsh_given(&d->draft, KEY_TO))
        return;
    if (!(d->families & NSH_FAMILY_IPV4))
        stranger = v4;
    if (!(d->families & NSH_FAMILY_IPV6))
        stranger = v6;
    if (stranger)
        nsh_loader_error(l, d->draft.marks[KEY_FAMILY], hint, "the family is %s, and %s is %s",
                family_name(stranger->family == AF_INET ? AF_INET6 : AF_INET),
                format_dst(stranger, dst), family_name(stranger->family));
    else if ((d->families & NSH_FAMILY_IPV4 && !v4) || (d->families & NSH_FAMILY_IPV6 && !v6))
        nsh_loader_error(l, d->draft.marks[KEY_FAMILY], hint, "none of the prefixes is %s",
                family_name(v4 ? AF_INET6 : AF_INET));
}

/* An IPv4 gateway can't take IPv6; the other way round the kernel knows how (RFC 5549). */
static void check_gateway_family(struct nsh_loader *l, struct route_draft *d)
{
    const struct nsh_route *r;
    char via[NSH_PREFIX_TEXT], dst[NSH_PREFIX_TEXT];

    if (!has_gateway(d) || d->via.family != AF_INET || !(r = find_family(l, d, AF_INET6)))
        return;
    nsh_loader_error(l, d->draft.marks[KEY_VIA], "an IPv6 route needs an IPv6 gateway",
            "%s is an IPv4 gateway, and the route to %s is IPv6", nsh_prefix_format(&d->via, via),
            format_dst(r, dst));
}

static void check_source_family(struct nsh_loader *l, struct route_draft *d)
{
    int other = d->source.family == AF_INET ? AF_INET6 : AF_INET;
    const struct nsh_route *r;
    char source[NSH_PREFIX_TEXT], dst[NSH_PREFIX_TEXT];

    if (!nsh_given(&d->draft, KEY_SOURCE) || !(r = find_family(l, d, other)))
        return;
    nsh_loader_error(l, d->draft.marks[KEY_SOURCE], "write the routes of each family by themselves",
            "the source %s is %s, and the route to %s is %s", nsh_prefix_format(&d->source, source),
            family_name(d->source.family), format_dst(r, dst), family_name(other));
}

static void check_mtu_family(struct nsh_loader *l, struct route_draft *d)
{
    if (nsh_given(&d->draft, KEY_MTU) && d->mtu < MTU_MIN_IPV6 && find_family(l, d, AF_INET6))
        nsh_loader_error(l, d->draft.marks[KEY_MTU], "it can be 1280 to 65535",
                "'mtu' is out of range for IPv6: %u", d->mtu);
}

static void check_scope_family(struct nsh_loader *l, struct route_draft *d)
{
    if (nsh_given(&d->draft, KEY_SCOPE) && l->config->n_routes > d->first &&
            !find_family(l, d, AF_INET))
        nsh_loader_error(
                l, d->draft.marks[KEY_SCOPE], "leave the key out", "IPv6 routes have no scope");
}

static check *const checks[] = {
        check_type,
        check_gateway,
        check_table,
        check_scope,
        settle_defaults,
        check_family_key,
        check_gateway_family,
        check_source_family,
        check_mtu_family,
        check_scope_family,
};

/* ---- making the routes ---- */

/* Properties with room for the one nexthop of this version. */
union props {
    struct nsh_route_props props;
    unsigned char bytes[sizeof(struct nsh_route_props) + sizeof(struct nsh_nexthop)];
};

static void set_nexthop(
        struct nsh_loader *l, const struct route_draft *d, struct nsh_route_props *p)
{
    struct nsh_nexthop *nh = p->nexthops;
    struct nsh_link link = {0};

    p->n_nexthops = 1;
    nh->weight = 1;
    if (has_gateway(d)) {
        nh->via = d->via.addr;
        nh->via_family = d->via.family;
    }
    if (d->on_link)
        nh->flags = RTNH_F_ONLINK;
    if (nsh_given(&d->draft, KEY_DEV)) {
        memcpy(link.name, d->dev, sizeof(link.name));
    } else {
        link.gateway = nh->via;
        link.gateway_family = nh->via_family;
    }
    nh->link = nsh_loader_link(l, &link);
}

static void make_props(
        struct nsh_loader *l, const struct route_draft *d, int family, struct nsh_route_props *p)
{
    p->type = (uint8_t)d->type;
    p->on_conflict = (uint8_t)d->on_conflict;
    if (nsh_given(&d->draft, KEY_SOURCE)) {
        p->has_source = 1;
        p->source = d->source.addr;
    }
    if (nsh_given(&d->draft, KEY_MTU)) {
        p->metrics_set |= 1U << RTAX_MTU;
        p->metrics[RTAX_MTU] = d->mtu;
    }
    if (has_gateway(d) || nsh_given(&d->draft, KEY_DEV))
        set_nexthop(l, d, p);
    p->scope = nsh_given(&d->draft, KEY_SCOPE) ? (uint8_t)d->scope
                                               : nsh_route_default_scope(family, p);
}

/*
 * Fills in the routes of one family. As a rule the properties are those of the route before, in
 * this object or the one before it, and what was interned last serves again.
 */
static void make_routes(struct nsh_loader *l, const struct route_draft *d, int family)
{
    struct nsh_config *c = l->config;
    union props made, props;
    uint32_t table = d->type == RTN_LOCAL ? RT_TABLE_LOCAL : RT_TABLE_MAIN;

    if (!find_family(l, d, family))
        return;
    memset(&made, 0, sizeof(made));
    make_props(l, d, family, &made.props);
    for (size_t i = d->first; i < c->n_routes && l->failure == 0; i++) {
        struct nsh_route *r = &c->routes[i];
        size_t size;

        if (r->family != family)
            continue;
        memcpy(&props, &made, sizeof(props));
        r->table = nsh_given(&d->draft, KEY_TABLE) ? d->table : table;
        r->metric = d->metric;
        nsh_route_normalize(r, &props.props);
        size = nsh_route_props_size(props.props.n_nexthops);
        if (!l->props || l->props_size != size || memcmp(l->props, &props, size) != 0)
            l->props = nsh_arena_intern(c->arena, &props, size);
        l->props_size = size;
        if (!l->props)
            nsh_loader_no_memory(l);
        r->props = l->props;
    }
}

static void finish_route(struct nsh_loader *l, void *draft)
{
    const uint64_t identity = 1ULL << KEY_METRIC | 1ULL << KEY_TABLE;
    struct route_draft *d = draft;

    for (size_t i = 0; i < NSH_ARRAY_SIZE(checks); i++)
        checks[i](l, d);
    if (l->failure != 0)
        return;
    /* Wrong routes are kept as long as their identity is known: they may be given twice as well. */
    if (d->draft.bad & identity) {
        drop_routes(l, d->first, is_any);
        return;
    }
    make_routes(l, d, AF_INET);
    make_routes(l, d, AF_INET6);
}

_Static_assert(NSH_ARRAY_SIZE(keys) <= NSH_KEYS_MAX, "a draft has room for every key");
_Static_assert(sizeof(struct route_draft) <= NSH_DRAFT_MAX, "the draft fits");

const struct nsh_object nsh_object_route = {
        .noun = "route",
        .keys = keys,
        .n_keys = NSH_ARRAY_SIZE(keys),
        .size = sizeof(struct route_draft),
        .begin = begin_route,
        .finish = finish_route,
};
