/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Routes as text, in the words and the order of `ip route`, so that what the journal says can be
 * typed.
 */
#include <linux/icmpv6.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "route.h"

/* ---- names ---- */

static const char *const type_names[RTN_MAX + 1] = {
        [RTN_UNICAST] = "unicast",
        [RTN_LOCAL] = "local",
        [RTN_BROADCAST] = "broadcast",
        [RTN_ANYCAST] = "anycast",
        [RTN_MULTICAST] = "multicast",
        [RTN_BLACKHOLE] = "blackhole",
        [RTN_UNREACHABLE] = "unreachable",
        [RTN_PROHIBIT] = "prohibit",
        [RTN_THROW] = "throw",
        [RTN_NAT] = "nat",
        [RTN_XRESOLVE] = "xresolve",
};

const char *nsh_route_type_name(uint8_t type)
{
    return type <= RTN_MAX ? type_names[type] : NULL;
}

int nsh_route_type_parse(const char *text)
{
    for (int i = 0; i <= RTN_MAX; i++)
        if (type_names[i] && strcmp(type_names[i], text) == 0)
            return i;
    return -1;
}

struct number_name {
    uint32_t number;
    const char *name;
};

static const char *name_of(const struct number_name *names, size_t n, uint32_t number)
{
    for (size_t i = 0; i < n; i++)
        if (names[i].number == number)
            return names[i].name;
    return NULL;
}

#define NAME_OF(names, number) name_of((names), sizeof(names) / sizeof((names)[0]), (number))

static const struct number_name protocol_names[] = {
        {0, "unspec"},
        {1, "redirect"},
        {2, "kernel"},
        {3, "boot"},
        {4, "static"},
        {8, "gated"},
        {9, "ra"},
        {10, "mrt"},
        {11, "zebra"},
        {12, "bird"},
        {13, "dnrouted"},
        {14, "xorp"},
        {15, "ntk"},
        {16, "dhcp"},
        {18, "keepalived"},
        {42, "babel"},
        {99, "openr"},
        {186, "bgp"},
        {187, "isis"},
        {188, "ospf"},
        {189, "rip"},
        {192, "eigrp"},
};

const char *nsh_route_protocol_name(uint8_t protocol)
{
    return NAME_OF(protocol_names, protocol);
}

static const struct number_name scope_names[] = {
        {RT_SCOPE_UNIVERSE, "global"},
        {RT_SCOPE_SITE, "site"},
        {RT_SCOPE_LINK, "link"},
        {RT_SCOPE_HOST, "host"},
        {RT_SCOPE_NOWHERE, "nowhere"},
};

static const struct number_name table_names[] = {
        {RT_TABLE_DEFAULT, "default"},
        {RT_TABLE_LOCAL, "local"},
};

/*
 * `scale`: raw units in one that is written; the kernel keeps some round-trip times in fractions.
 * `locks`: `ip route` has a word for the lock; it locks rto_min without one.
 */
static const struct {
    const char *name;
    const char *unit;
    uint32_t scale;
    bool locks;
} metric_names[RTAX_MAX + 1] = {
        [RTAX_MTU] = {"mtu", "", 1, true},
        [RTAX_WINDOW] = {"window", "", 1, true},
        [RTAX_RTT] = {"rtt", "ms", 8, true},
        [RTAX_RTTVAR] = {"rttvar", "ms", 4, true},
        [RTAX_SSTHRESH] = {"ssthresh", "", 1, true},
        [RTAX_CWND] = {"cwnd", "", 1, true},
        [RTAX_ADVMSS] = {"advmss", "", 1, true},
        [RTAX_REORDERING] = {"reordering", "", 1, true},
        [RTAX_HOPLIMIT] = {"hoplimit", "", 1, true},
        [RTAX_INITCWND] = {"initcwnd", "", 1, true},
        [RTAX_RTO_MIN] = {"rto_min", "ms", 1, false},
        [RTAX_INITRWND] = {"initrwnd", "", 1, true},
        [RTAX_QUICKACK] = {"quickack", "", 1, false},
        [RTAX_FASTOPEN_NO_COOKIE] = {"fastopen_no_cookie", "", 1, false},
};

/* ---- text ---- */

/* A buffer that fills up; what no longer fits is left out. */
struct text {
    char *at;
    size_t left; /* with the place of the NUL */
};

static void text_begin(struct text *t, char *buf, size_t size)
{
    *t = (struct text){buf, size};
    if (size > 0)
        buf[0] = '\0';
}

/* Words are separated by spaces: each call is a word or several. */
__attribute__((format(printf, 2, 3))) static void text_add(struct text *t, const char *format, ...)
{
    va_list ap;
    int n;

    if (t->left == 0)
        return;
    va_start(ap, format);
    n = vsnprintf(t->at, t->left, format, ap);
    va_end(ap);
    if (n < 0)
        return;
    if ((size_t)n >= t->left) {
        t->left = 0;
        return;
    }
    t->at += n;
    t->left -= (size_t)n;
}

static void add_destination(struct text *t, const struct nsh_route *r)
{
    const struct nsh_prefix dst = {.addr = r->dst, .family = r->family, .length = r->dst_length};
    char buf[NSH_PREFIX_TEXT];

    text_add(t, "%s", r->dst_length == 0 ? "default" : nsh_prefix_format(&dst, buf));
    if (r->tos != 0)
        text_add(t, " tos 0x%02x", r->tos);
}

static void add_table(struct text *t, const struct nsh_route *r)
{
    const char *name = NAME_OF(table_names, r->table);

    if (r->props && r->props->vrf[0] != '\0') {
        text_add(t, " vrf %s", r->props->vrf);
        return;
    }
    if (r->table == RT_TABLE_MAIN)
        return;
    if (name)
        text_add(t, " table %s", name);
    else
        text_add(t, " table %u", r->table);
}

static void add_metric(struct text *t, const struct nsh_route *r)
{
    if (r->metric != (r->family == AF_INET6 ? 1024U : 0U))
        text_add(t, " metric %u", r->metric);
}

static void add_via(
        struct text *t, const struct nsh_route *r, uint8_t family, const union nsh_addr *via)
{
    char text[NSH_ADDR_TEXT];

    if (family != AF_UNSPEC)
        text_add(t, " via %s%s",
                family == r->family  ? ""
                : family == AF_INET6 ? "inet6 "
                                     : "inet ",
                nsh_addr_format(family, via, text));
}

/* A device left to the kernel to choose is not written: the user did not either. */
static void add_nexthop(struct text *t, const struct nsh_route *r, const struct nsh_nexthop *n,
        const struct nsh_link *links)
{
    const struct nsh_link *link = links && n->link != NSH_NO_LINK ? &links[n->link] : NULL;

    if (n->learned && (!link || link->learned < NSH_LEARNED_DEVICE)) {
        text_add(t, " via learned-on %s", link ? link->name : "?");
        return;
    }
    if (n->learned)
        add_via(t, r, link->via_family, &link->via);
    else
        add_via(t, r, n->via_family, &n->via);
    if (n->link == NSH_NO_LINK) {
        if (n->ifindex != 0)
            text_add(t, " dev #%u", n->ifindex);
    } else if (links && links[n->link].name[0] != '\0') {
        text_add(t, " dev %s", links[n->link].name);
    }
}

static void add_scope(struct text *t, const struct nsh_route *r)
{
    uint8_t scope = r->props->scope;
    const char *name = NAME_OF(scope_names, scope);

    if (r->family != AF_INET || r->props->varies & NSH_VARIES_SCOPE ||
            scope == nsh_route_default_scope(r->family, r->props))
        return;
    if (name)
        text_add(t, " scope %s", name);
    else
        text_add(t, " scope %u", scope);
}

static void add_features(struct text *t, uint32_t features)
{
    if (features & RTAX_FEATURE_ECN)
        text_add(t, " features ecn");
    if (features & ~(uint32_t)RTAX_FEATURE_ECN)
        text_add(t, " features 0x%x", features & ~(uint32_t)RTAX_FEATURE_ECN);
}

static void add_metrics(struct text *t, const struct nsh_route_props *p)
{
    for (unsigned i = 0; i <= RTAX_MAX; i++) {
        bool lock = (p->metrics_lock & (1U << i)) && metric_names[i].locks;

        if (!(p->metrics_set & (1U << i)) || !metric_names[i].name)
            continue;
        text_add(t, " %s %s%u%s", metric_names[i].name, lock ? "lock " : "",
                p->metrics[i] / metric_names[i].scale, metric_names[i].unit);
    }
    add_features(t, p->metrics[RTAX_FEATURES]);
    if (p->congestion_control[0] != '\0')
        text_add(t, " congctl %s%s", p->metrics_lock & (1U << RTAX_CC_ALGO) ? "lock " : "",
                p->congestion_control);
}

static void add_preference(struct text *t, const struct nsh_route_props *p)
{
    if (p->preference == ICMPV6_ROUTER_PREF_LOW)
        text_add(t, " pref low");
    else if (p->preference == ICMPV6_ROUTER_PREF_HIGH)
        text_add(t, " pref high");
}

static void add_multipath(struct text *t, const struct nsh_route *r, const struct nsh_link *links)
{
    for (uint32_t i = 0; i < r->props->n_nexthops; i++) {
        const struct nsh_nexthop *n = &r->props->nexthops[i];

        text_add(t, " nexthop");
        add_nexthop(t, r, n, links);
        text_add(t, " weight %u", n->weight);
        if (n->flags & RTNH_F_ONLINK)
            text_add(t, " onlink");
    }
}

const char *nsh_route_format(
        const struct nsh_route *r, const struct nsh_link *links, char *buf, size_t size)
{
    const struct nsh_route_props *p = r->props;
    const char *type = nsh_route_type_name(p->type);
    char source[NSH_ADDR_TEXT];
    struct text t;

    text_begin(&t, buf, size);
    if (!type)
        text_add(&t, "type %u ", p->type);
    else if (p->type != RTN_UNICAST)
        text_add(&t, "%s ", type);
    add_destination(&t, r);
    if (p->n_nexthops == 1)
        add_nexthop(&t, r, &p->nexthops[0], links);
    add_table(&t, r);
    add_scope(&t, r);
    if (p->has_source)
        text_add(&t, " src %s", nsh_addr_format(r->family, &p->source, source));
    add_metric(&t, r);
    if (p->n_nexthops == 1 && (p->nexthops[0].flags & RTNH_F_ONLINK))
        text_add(&t, " onlink");
    add_metrics(&t, p);
    add_preference(&t, p);
    if (p->n_nexthops > 1)
        add_multipath(&t, r, links);
    return buf;
}

const char *nsh_route_format_key(const struct nsh_route *r, char *buf, size_t size)
{
    struct text t;

    text_begin(&t, buf, size);
    add_destination(&t, r);
    add_table(&t, r);
    add_metric(&t, r);
    return buf;
}
