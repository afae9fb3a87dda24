/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Routes: their one form, their order, and when two of them say the same.
 *
 * The one form is what the kernel would show of a route after taking it. Whatever it changes,
 * drops or does not know is changed in nsh_route_normalize too, or a comparison would find the
 * same difference for ever: it cuts metrics at limits of its own, forgets those that are zero,
 * and has no scope and no tos in IPv6.
 */
#include <linux/icmpv6.h>
#include <stdlib.h>
#include <string.h>

#include "route.h"

/* Largest values the kernel keeps; what is above is cut (RFC 791 and 8200 sizes less a header). */
#define ADVMSS_MAX (65535U - 40U)
#define MTU_MAX (65535U - 15U)
#define HOPLIMIT_MAX 255U

#define METRIC_IPV6_DEFAULT 1024U

/* RTAX_UNSPEC and RTAX_LOCK are no metrics. */
#define METRICS_ALL (((2U << RTAX_MAX) - 1U) & ~((1U << RTAX_UNSPEC) | (1U << RTAX_LOCK)))

size_t nsh_route_props_size(uint32_t n_nexthops)
{
    return sizeof(struct nsh_route_props) + (size_t)n_nexthops * sizeof(struct nsh_nexthop);
}

/* ---- normalisation ---- */

static bool type_has_nexthops(uint8_t type)
{
    switch (type) {
    case RTN_BLACKHOLE:
    case RTN_UNREACHABLE:
    case RTN_PROHIBIT:
    case RTN_THROW:
        return false;
    default:
        return true;
    }
}

uint8_t nsh_route_default_scope(int family, const struct nsh_route_props *props)
{
    if (family != AF_INET)
        return RT_SCOPE_UNIVERSE;
    switch (props->type) {
    case RTN_LOCAL:
    case RTN_NAT:
        return RT_SCOPE_HOST;
    case RTN_BROADCAST:
    case RTN_MULTICAST:
    case RTN_ANYCAST:
        return RT_SCOPE_LINK;
    case RTN_UNSPEC:
    case RTN_UNICAST:
        /* Several nexthops count as a gateway whatever they are. */
        if (props->n_nexthops == 1 && props->nexthops[0].via_family == AF_UNSPEC)
            return RT_SCOPE_LINK;
        return RT_SCOPE_UNIVERSE;
    default:
        return RT_SCOPE_UNIVERSE;
    }
}

/* Clears the bytes behind an address of `family`. */
static void clear_tail(int family, union nsh_addr *addr)
{
    size_t size = family == AF_UNSPEC ? 0 : nsh_addr_size(family);

    memset(addr->bytes + size, 0, sizeof(addr->bytes) - size);
}

/* Nothing but zeros behind the name, and the bit of its metric says whether there is one. */
static void normalize_name(struct nsh_route_props *props)
{
    size_t n = strnlen(props->congestion_control, sizeof(props->congestion_control) - 1);

    memset(props->congestion_control + n, 0, sizeof(props->congestion_control) - n);
    props->metrics_set &= ~(1U << RTAX_CC_ALGO);
    props->metrics[RTAX_CC_ALGO] = 0;
    if (n > 0) {
        props->metrics_set |= 1U << RTAX_CC_ALGO;
        props->metrics[RTAX_CC_ALGO] = 1;
    }
}

/* IPv6 only, and not where the route leads nowhere: the kernel forgets it there. */
static void normalize_preference(int family, struct nsh_route_props *props)
{
    if (family != AF_INET6 || !type_has_nexthops(props->type) ||
            (props->preference != ICMPV6_ROUTER_PREF_LOW &&
                    props->preference != ICMPV6_ROUTER_PREF_HIGH))
        props->preference = ICMPV6_ROUTER_PREF_MEDIUM;
}

static void normalize_metrics(struct nsh_route_props *props)
{
    static const struct {
        uint8_t metric;
        uint32_t max;
    } cuts[] = {
            {RTAX_ADVMSS, ADVMSS_MAX},
            {RTAX_MTU, MTU_MAX},
            {RTAX_HOPLIMIT, HOPLIMIT_MAX},
    };

    for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++)
        if (props->metrics[cuts[i].metric] > cuts[i].max)
            props->metrics[cuts[i].metric] = cuts[i].max;

    props->metrics_set &= METRICS_ALL;
    props->metrics_lock &= METRICS_ALL;
    normalize_name(props);
    for (unsigned i = 0; i <= RTAX_MAX; i++) {
        if (!(props->metrics_set & (1U << i)))
            props->metrics[i] = 0;
        else if (props->metrics[i] == 0)
            props->metrics_set &= ~(1U << i);
    }
}

static int nexthop_cmp(const struct nsh_nexthop *a, const struct nsh_nexthop *b)
{
    int r = (a->via_family > b->via_family) - (a->via_family < b->via_family);

    if (r == 0)
        r = memcmp(a->via.bytes, b->via.bytes, sizeof(a->via.bytes));
    if (r == 0)
        r = (a->link > b->link) - (a->link < b->link);
    if (r == 0)
        r = (a->ifindex > b->ifindex) - (a->ifindex < b->ifindex);
    if (r == 0)
        r = (a->weight > b->weight) - (a->weight < b->weight);
    if (r == 0)
        r = (a->flags > b->flags) - (a->flags < b->flags);
    return r;
}

static int nexthop_cmp_qsort(const void *a, const void *b)
{
    return nexthop_cmp(a, b);
}

static void normalize_nexthops(int family, struct nsh_route_props *props)
{
    if (!type_has_nexthops(props->type)) {
        memset(props->nexthops, 0, (size_t)props->n_nexthops * sizeof(props->nexthops[0]));
        props->n_nexthops = 0;
        return;
    }

    for (uint32_t i = 0; i < props->n_nexthops; i++) {
        struct nsh_nexthop *n = &props->nexthops[i];

        clear_tail(n->via_family, &n->via);
        n->flags &= RTNH_F_ONLINK;
        if (n->weight == 0 || props->n_nexthops == 1)
            n->weight = 1;
    }
    /* In IPv4 their order counts: the kernel tells two orders apart. */
    if (family == AF_INET6 && props->n_nexthops > 1)
        qsort(props->nexthops, props->n_nexthops, sizeof(props->nexthops[0]), nexthop_cmp_qsort);
}

void nsh_route_normalize(struct nsh_route *r, struct nsh_route_props *props)
{
    struct nsh_prefix dst = {.addr = r->dst, .family = r->family, .length = r->dst_length};

    nsh_prefix_mask(&dst);
    clear_tail(r->family, &dst.addr);
    r->dst = dst.addr;

    if (r->family == AF_INET6) {
        r->tos = 0;
        props->scope = RT_SCOPE_UNIVERSE;
        if (r->metric == 0)
            r->metric = METRIC_IPV6_DEFAULT;
    }

    props->has_source = props->has_source != 0;
    clear_tail(props->has_source ? r->family : AF_UNSPEC, &props->source);
    normalize_preference(r->family, props);
    normalize_metrics(props);
    normalize_nexthops(r->family, props);
}

/* ---- comparison ---- */

int nsh_route_id_cmp(const struct nsh_route *a, const struct nsh_route *b)
{
    /* By address before length: nearly the order of the kernel's dumps. */
    int r = (a->family > b->family) - (a->family < b->family);

    if (r == 0)
        r = (a->table > b->table) - (a->table < b->table);
    if (r == 0)
        r = memcmp(a->dst.bytes, b->dst.bytes, sizeof(a->dst.bytes));
    if (r == 0)
        r = (a->dst_length > b->dst_length) - (a->dst_length < b->dst_length);
    if (r == 0)
        r = (a->metric > b->metric) - (a->metric < b->metric);
    if (r == 0)
        r = (a->tos > b->tos) - (a->tos < b->tos);
    if (r == 0 && a->table == NSH_NO_TABLE && a->props && b->props)
        r = strncmp(a->props->vrf, b->props->vrf, sizeof(a->props->vrf));
    return r;
}

static bool metrics_equal(const struct nsh_route_props *a, const struct nsh_route_props *b)
{
    if (a->metrics_set != b->metrics_set || a->metrics_lock != b->metrics_lock)
        return false;
    for (unsigned i = 0; i <= RTAX_MAX; i++)
        if ((a->metrics_set & (1U << i)) && a->metrics[i] != b->metrics[i])
            return false;
    return memcmp(a->congestion_control, b->congestion_control, sizeof(a->congestion_control)) == 0;
}

/* True if the kernel chose, or is to choose, the device of a wanted nexthop. */
static bool any_device(const struct nsh_nexthop *want, const struct nsh_link *links)
{
    if (want->link == NSH_NO_LINK)
        return want->ifindex == 0;
    return links && links[want->link].ifindex == 0 && links[want->link].gateway_family != AF_UNSPEC;
}

static uint32_t device_of(const struct nsh_nexthop *n, const struct nsh_link *links)
{
    if (n->link == NSH_NO_LINK)
        return n->ifindex;
    return links ? links[n->link].ifindex : 0;
}

bool nsh_nexthop_is_absent(const struct nsh_nexthop *n, const struct nsh_link *links)
{
    return links && n->link != NSH_NO_LINK && links[n->link].ifindex == 0 &&
           links[n->link].gateway_family == AF_UNSPEC;
}

uint32_t nsh_route_count_present(const struct nsh_route_props *props, const struct nsh_link *links)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < props->n_nexthops; i++)
        n += !nsh_nexthop_is_absent(&props->nexthops[i], links);
    return n;
}

/* `alone`: the kernel knows no weight then. */
static bool nexthop_equal(const struct nsh_nexthop *want, const struct nsh_nexthop *seen,
        const struct nsh_link *links, bool alone)
{
    uint32_t device;

    if (want->via_family != seen->via_family || (!alone && want->weight != seen->weight) ||
            want->flags != seen->flags ||
            memcmp(want->via.bytes, seen->via.bytes, sizeof(want->via.bytes)) != 0)
        return false;
    if (any_device(want, links))
        return true;
    device = device_of(want, links);
    return device != 0 && device == seen->ifindex;
}

/*
 * As sets: each wanted nexthop finds a partner of its own. The two sides are sorted by different
 * numbers (link, ifindex), so position says nothing. Those that any device will do for choose
 * last, lest they take the partner of one that is particular; then the first that fits is as good
 * as any other.
 */
static bool nexthop_sets_equal(const struct nsh_route_props *want,
        const struct nsh_route_props *seen, const struct nsh_link *links)
{
    bool alone = seen->n_nexthops == 1;
    uint64_t taken = 0;

    _Static_assert(NSH_NEXTHOPS_MAX <= 64, "one bit for each");
    if (want->n_nexthops > NSH_NEXTHOPS_MAX)
        return false;
    for (int pass = 0; pass < 2; pass++)
        for (uint32_t i = 0; i < want->n_nexthops; i++) {
            const struct nsh_nexthop *n = &want->nexthops[i];
            uint32_t k = 0;

            if (any_device(n, links) != (pass == 1) || nsh_nexthop_is_absent(n, links))
                continue;
            while (k < seen->n_nexthops &&
                    ((taken & (1ULL << k)) || !nexthop_equal(n, &seen->nexthops[k], links, alone)))
                k++;
            if (k == seen->n_nexthops)
                return false;
            taken |= 1ULL << k;
        }
    return true;
}

static bool nexthop_lists_equal(const struct nsh_route_props *want,
        const struct nsh_route_props *seen, const struct nsh_link *links)
{
    bool alone = seen->n_nexthops == 1;
    const struct nsh_nexthop *other = seen->nexthops;

    for (uint32_t i = 0; i < want->n_nexthops; i++) {
        if (nsh_nexthop_is_absent(&want->nexthops[i], links))
            continue;
        if (!nexthop_equal(&want->nexthops[i], other++, links, alone))
            return false;
    }
    return true;
}

static bool nexthops_equal(int family, const struct nsh_route_props *want,
        const struct nsh_route_props *seen, const struct nsh_link *links)
{
    uint32_t present = nsh_route_count_present(want, links);

    if (present != seen->n_nexthops || (present == 0 && want->n_nexthops > 0))
        return false;
    return family == AF_INET6 ? nexthop_sets_equal(want, seen, links)
                              : nexthop_lists_equal(want, seen, links);
}

bool nsh_route_equal(
        const struct nsh_route *want, const struct nsh_route *seen, const struct nsh_link *links)
{
    const struct nsh_route_props *w = want->props, *s = seen->props;

    if (want->family != seen->family || w->type != s->type || w->preference != s->preference ||
            (want->family == AF_INET && w->scope != s->scope))
        return false;
    if (w->has_source != s->has_source ||
            (w->has_source && nsh_addr_cmp(&w->source, &s->source) != 0))
        return false;
    if (!metrics_equal(w, s))
        return false;
    return nexthops_equal(want->family, w, s, links);
}
