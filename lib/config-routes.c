/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The section `routes`. `to` appends its prefixes to the configuration's own array as they are
 * read; when the object is complete, the other keys are judged once and given to all of them.
 */
#include "config-routes.h"

#include <linux/icmpv6.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

#define MTU_MIN_IPV4 68       /* RFC 791 */
#define ADVMSS_MAX 65495      /* what the kernel cuts it at */
#define CONGESTION_MAX 65535  /* segments; more than any window */
#define RTO_MIN_MAX 120000000 /* TCP's longest, in microseconds */

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

static const struct nsh_word preferences[] = {
        {"low", ICMPV6_ROUTER_PREF_LOW},
        {"medium", ICMPV6_ROUTER_PREF_MEDIUM},
        {"high", ICMPV6_ROUTER_PREF_HIGH},
        {NULL, 0},
};

static const struct nsh_word features[] = {
        {"ecn", RTAX_FEATURE_ECN},
        {NULL, 0},
};

static const struct nsh_word on_conflict[] = {
        {"keep", NSH_CONFLICT_KEEP},
        {"replace", NSH_CONFLICT_REPLACE},
        {NULL, 0},
};

static const struct nsh_key_type type_nexthops = {.shape = NSH_SHAPE_OBJECTS,
        .what = "a list of nexthops",
        .hint = "begin each nexthop with '- ', as in '- {via: 192.168.1.1, dev: eth0}'",
        .object = &nsh_object_hop};

#define FIELD(member) .offset = offsetof(struct route_draft, member)

static const struct nsh_key keys[] = {
        [KEY_TO] = {"to", &nsh_type_to, .flags = NSH_KEY_REQUIRED | NSH_KEY_LIST,
                .missing = "say where it leads: to: default, a prefix or an address",
                .known_as = "destination dst prefix network",
                .help = "where traffic goes: default, a prefix, an address, {file: PATH} with "
                        "prefixes, or a list of these"},
        [KEY_VIA] = {"via", &nsh_type_gateway, FIELD(via), .known_as = "gateway gw router",
                .help = "the gateway, or {learned-on: DEVICE}: the one that DHCP, PPP or router "
                        "advertisements put there"},
        [KEY_DEV] = {"dev", &nsh_type_device, FIELD(dev),
                .known_as = "device interface iface oif out oifname",
                .help = "the device; without it the kernel takes the one the gateway is behind"},
        [KEY_NEXTHOPS] = {"nexthops", &type_nexthops, .known_as = "nexthop multipath gateways",
                .help = "several ways, by each of which a share of the traffic goes"},
        [KEY_METRIC] = {"metric", &nsh_type_integer, FIELD(metric), .max = UINT32_MAX,
                .known_as = "priority prio distance",
                .help = "of two routes to one prefix the one with the lower metric is taken"},
        [KEY_TABLE] = {"table", &nsh_type_table, FIELD(table), .min = 1, .max = UINT32_MAX,
                .known_as = "routing-table lookup", .otherwise = "main",
                .help = "the routing table"},
        [KEY_VRF] = {"vrf", &nsh_type_device, FIELD(vrf), .known_as = "l3mdev vrf-name",
                .help = "the VRF in whose table it is"},
        [KEY_TYPE] = {"type", &nsh_type_word, FIELD(type), .words = types, .known_as = "kind",
                .otherwise = "unicast", .help = "what happens to the packet"},
        [KEY_SOURCE] = {"source", &nsh_type_address, FIELD(source),
                .known_as = "src preferred-source prefsrc",
                .help = "source address of what this host sends along the route"},
        [KEY_FROM] = {"from", .flags = NSH_KEY_ALIAS, .same_as = KEY_SOURCE},
        [KEY_SCOPE] = {"scope", &nsh_type_scope, FIELD(scope), .words = scopes, .max = 255,
                .help = "how far away the destination is (IPv4)"},
        [KEY_TOS] = {"tos", &nsh_type_tos, FIELD(tos), .known_as = "dsfield type-of-service",
                .help = "only for packets with this type of service, as in 0x10 (IPv4)"},
        [KEY_PREFERENCE] = {"preference", &nsh_type_word, FIELD(preference), .words = preferences,
                .known_as = "pref ipv6-preference", .otherwise = "medium",
                .help = "of two routes with one metric the one that is preferred (IPv6)"},
        [KEY_ON_LINK] = {"on-link", &nsh_type_bool, FIELD(on_link), .known_as = "onlink on_link",
                .otherwise = "false",
                .help = "the gateway is on the link, whatever the addresses say"},
        [KEY_MTU] = {"mtu", &nsh_type_integer, FIELD(mtu), .min = MTU_MIN_IPV4, .max = 65535,
                .known_as = "mtu-bytes", .help = "largest packet along the route"},
        [KEY_MTU_LOCK] = {"mtu-lock", &nsh_type_bool, FIELD(mtu_lock), .known_as = "lock",
                .otherwise = "false", .help = "the mtu stands whatever path MTU discovery finds"},
        [KEY_ADVERTISED_MSS] = {"advertised-mss", &nsh_type_integer, FIELD(advertised_mss),
                .min = 1, .max = ADVMSS_MAX, .known_as = "advmss mss",
                .help = "the largest TCP segment we tell the other side to send"},
        [KEY_CONGESTION_WINDOW] = {"congestion-window", &nsh_type_integer, FIELD(congestion_window),
                .min = 1, .max = CONGESTION_MAX,
                .known_as = "initcwnd cwnd initial-congestion-window",
                .help = "TCP segments sent before the first acknowledgement"},
        [KEY_ADVERTISED_RECEIVE_WINDOW] = {"advertised-receive-window", &nsh_type_integer,
                FIELD(advertised_receive_window), .min = 1, .max = CONGESTION_MAX,
                .known_as = "initrwnd window initial-advertised-receive-window",
                .help = "TCP segments we say at first that we take"},
        [KEY_HOPLIMIT] = {"hoplimit", &nsh_type_integer, FIELD(hoplimit), .min = 1, .max = 255,
                .known_as = "hop-limit ttl", .help = "the hop limit of what this host sends"},
        [KEY_RTO_MIN] = {"rto-min", &nsh_type_unit_duration, FIELD(rto_min), .min = 1000,
                .max = RTO_MIN_MAX, .known_as = "rto_min tcp-rto min-rto",
                .help = "the shortest time before TCP sends again"},
        [KEY_QUICK_ACK] = {"quick-ack", &nsh_type_bool, FIELD(quick_ack), .known_as = "quickack",
                .otherwise = "false", .help = "TCP acknowledges at once"},
        [KEY_FEATURES] = {"features", &nsh_type_flags, FIELD(features), .flags = NSH_KEY_LIST,
                .words = features, .known_as = "feature ecn",
                .help = "ecn: TCP asks for explicit congestion notification"},
        [KEY_CONGESTION_CONTROL] = {"congestion-control", &nsh_type_congestion_control,
                FIELD(congestion_control), .known_as = "congctl congestion tcp-congestion-control",
                .help = "TCP's algorithm along the route, as in bbr"},
        [KEY_FAMILY] = {"family", &nsh_type_families, FIELD(families), .flags = NSH_KEY_LIST,
                .help = "ipv4, ipv6 or both; needed where no address tells"},
        [KEY_ON_CONFLICT] = {"on-conflict", &nsh_type_word, FIELD(on_conflict),
                .words = on_conflict, .otherwise = "keep",
                .help = "what to do about another's route on the same key"},
        [KEY_WHEN] = {"when", &nsh_type_when, .known_as = "if condition only-if",
                .help = "only while an address is this machine's, or a device is up"},
        [KEY_CHECK] = {"check", &nsh_type_check, .known_as = "health probe monitor track",
                .help = "only while something answers by its nexthop"},
};

const char *nsh_route_draft_type(const struct route_draft *d)
{
    for (const struct nsh_word *w = types; w->text; w++)
        if (w->value == d->type)
            return w->text;
    return "";
}

static void begin_route(struct nsh_loader *l, void *draft)
{
    struct route_draft *d = draft;

    d->first = l->config->n_routes;
    d->type = RTN_UNICAST;
    l->hops.n = 0;
    l->when = NSH_NO_GATE;
    l->learned_on[0] = '\0';
    l->n_object_lists = 0;
}

/* ---- making the routes ---- */

static void set_nexthop(struct nsh_loader *l, const struct route_draft *d, const struct nsh_hop *h,
        int family, struct nsh_nexthop *nh)
{
    struct nsh_link link = {0};

    nh->weight = (uint16_t)h->weight;
    nh->via = h->via.addr;
    nh->via_family = h->via.family;
    if (h->on_link)
        nh->flags = RTNH_F_ONLINK;
    if (h->dev[0] != '\0') {
        memcpy(link.name, h->dev, sizeof(link.name));
        link.learns = h->learned ? (uint8_t)family : AF_UNSPEC;
        nh->learned = h->learned;
    } else {
        link.gateway = nh->via;
        link.gateway_family = nh->via_family;
        memcpy(link.vrf, d->vrf, sizeof(link.vrf));
    }
    nh->link = nsh_loader_link(l, &link);
    nh->check = nsh_route_check_gate(l, d, h, family, nh->link);
}

static void set_metric(struct nsh_route_props *p, unsigned metric, uint32_t value)
{
    if (value == 0)
        return;
    p->metrics_set |= 1U << metric;
    p->metrics[metric] = value;
}

/* A key that is absent or wrong leaves its field 0, and 0 is "not set" to the kernel too. */
static void set_metrics(const struct route_draft *d, struct nsh_route_props *p)
{
    set_metric(p, RTAX_MTU, d->mtu);
    set_metric(p, RTAX_ADVMSS, d->advertised_mss);
    set_metric(p, RTAX_INITCWND, d->congestion_window);
    set_metric(p, RTAX_INITRWND, d->advertised_receive_window);
    set_metric(p, RTAX_HOPLIMIT, d->hoplimit);
    set_metric(p, RTAX_RTO_MIN, (uint32_t)(d->rto_min / 1000));
    set_metric(p, RTAX_QUICKACK, d->quick_ack);
    set_metric(p, RTAX_FEATURES, d->features);
    memcpy(p->congestion_control, d->congestion_control, sizeof(p->congestion_control));
    if (d->mtu_lock && d->mtu != 0)
        p->metrics_lock |= 1U << RTAX_MTU;
    /* TCP looks at it only when it is locked, which is why `ip route` always does that. */
    if (d->rto_min != 0)
        p->metrics_lock |= 1U << RTAX_RTO_MIN;
}

static void set_varies(
        const struct nsh_loader *l, const struct route_draft *d, struct nsh_route_props *p)
{
    if (p->when != NSH_NO_GATE)
        p->varies |= NSH_VARIES_GATE;
    for (size_t i = 0; i < l->hops.n; i++) {
        if (l->hops.items[i].learned)
            p->varies |= NSH_VARIES_LEARNED;
        if (p->nexthops[i].check != NSH_NO_GATE)
            p->varies |= NSH_VARIES_GATE;
    }
    /* One nexthop's scope is that of its gateway, if it has one. */
    if (p->varies & NSH_VARIES_LEARNED && l->hops.n == 1 && nsh_absent(&d->draft, KEY_SCOPE))
        p->varies |= NSH_VARIES_SCOPE;
}

static void make_props(
        struct nsh_loader *l, const struct route_draft *d, int family, struct nsh_route_props *p)
{
    memset(p, 0, nsh_route_props_size((uint32_t)l->hops.n));
    p->type = (uint8_t)d->type;
    p->on_conflict = (uint8_t)d->on_conflict;
    p->when = l->when;
    p->preference = d->preference;
    if (nsh_given(&d->draft, KEY_SOURCE)) {
        p->has_source = 1;
        p->source = d->source.addr;
    }
    memcpy(p->vrf, d->vrf, sizeof(p->vrf));
    set_metrics(d, p);
    p->n_nexthops = (uint32_t)l->hops.n;
    for (size_t i = 0; i < l->hops.n; i++)
        set_nexthop(l, d, &l->hops.items[i], family, &p->nexthops[i]);
    set_varies(l, d, p);
    p->scope = nsh_given(&d->draft, KEY_SCOPE) ? (uint8_t)d->scope
                                               : nsh_route_default_scope(family, p);
}

/* As a rule the properties are those of the object before: what was interned last serves again. */
static const struct nsh_route_props *intern_props(
        struct nsh_loader *l, const struct nsh_route_props *p)
{
    size_t size = nsh_route_props_size(p->n_nexthops);

    if (!l->props || l->props_size != size || memcmp(l->props, p, size) != 0)
        l->props = nsh_arena_intern(l->config->arena, p, size);
    l->props_size = size;
    if (!l->props)
        nsh_loader_no_memory(l);
    return l->props;
}

/* The VRFs that are named, each once. */
static void note_vrf(struct nsh_loader *l, const char name[static IFNAMSIZ])
{
    for (size_t i = 0; i < l->n_vrfs; i++)
        if (strcmp(l->vrfs[i].name, name) == 0)
            return;
    if (!nsh_loader_grow(l, &l->vrfs, l->n_vrfs, &l->vrfs_room, sizeof(*l->vrfs)))
        return;
    l->vrfs[l->n_vrfs] = (struct nsh_vrf){0};
    memcpy(l->vrfs[l->n_vrfs++].name, name, IFNAMSIZ);
}

static uint32_t table_of(const struct route_draft *d)
{
    if (nsh_given(&d->draft, KEY_VRF))
        return NSH_NO_TABLE;
    if (nsh_given(&d->draft, KEY_TABLE))
        return d->table;
    return d->type == RTN_LOCAL ? RT_TABLE_LOCAL : RT_TABLE_MAIN;
}

/* All of the object's routes of one family have in common; false: no memory. */
static bool make_model(
        struct nsh_loader *l, const struct route_draft *d, int family, struct nsh_route *ret)
{
    union nsh_route_room made;

    *ret = (struct nsh_route){
            .table = table_of(d),
            .metric = d->metric,
            .family = (uint8_t)family,
            .tos = (uint8_t)d->tos,
    };
    make_props(l, d, family, &made.props);
    if (l->failure == 0)
        nsh_route_normalize(ret, &made.props);
    ret->props = l->failure == 0 ? intern_props(l, &made.props) : NULL;
    return ret->props != NULL;
}

/* Fills in the routes of one family; their destinations are right already. */
static void make_routes(struct nsh_loader *l, const struct route_draft *d, int family)
{
    struct nsh_config *c = l->config;
    struct nsh_route model;

    if (!nsh_route_find_family(l, d, family) || !make_model(l, d, family, &model))
        return;
    for (size_t i = d->first; i < c->n_routes; i++) {
        struct nsh_route *r = &c->routes[i];

        if (r->family != family)
            continue;
        model.dst = r->dst;
        model.dst_length = r->dst_length;
        model.origin = r->origin;
        *r = model;
    }
}

/* What the prefixes in the object's files become, for when they are read. */
static void make_lists(struct nsh_loader *l, const struct route_draft *d)
{
    static const int families[] = {AF_INET, AF_INET6};
    struct nsh_list_use use[2] = {0};

    if (l->n_object_lists == 0)
        return;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(families); i++) {
        if (nsh_given(&d->draft, KEY_FAMILY) && !(d->families & nsh_family_bit(families[i])))
            continue;
        use[i].why = nsh_route_list_refusal(l, d, families[i]);
        /* Where the family was asked for by name, the key was said to be wrong. */
        if (use[i].why && nsh_given(&d->draft, KEY_FAMILY))
            use[i].why = NULL;
        else if (!use[i].why && !make_model(l, d, families[i], &use[i].route))
            return;
    }
    for (size_t i = l->lists.n_entries - l->n_object_lists; i < l->lists.n_entries; i++)
        memcpy(l->lists.entries[i].use, use, sizeof(use));
}

static void finish_route(struct nsh_loader *l, void *draft)
{
    const uint64_t identity =
            1ULL << KEY_METRIC | 1ULL << KEY_TABLE | 1ULL << KEY_VRF | 1ULL << KEY_TOS;
    struct route_draft *d = draft;

    nsh_route_single_hop(l, d);
    nsh_route_check(l, d);
    if (l->failure != 0)
        return;
    /* Wrong routes are kept as long as their identity is known: they may be given twice as well. */
    if (d->draft.bad & identity) {
        l->config->n_routes = d->first;
        return;
    }
    if (nsh_given(&d->draft, KEY_VRF))
        note_vrf(l, d->vrf);
    make_routes(l, d, AF_INET);
    make_routes(l, d, AF_INET6);
    make_lists(l, d);
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
