/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Routes of the fake kernel.
 *
 * Both families live in one array sorted by identity. What the families do differently is what
 * matters to netshared:
 *
 * IPv4 keeps whole routes. Several may stand on one key, in an order of their own: an exclusive
 * add is refused, an append goes last, a prepend first, a replace takes the place of the first
 * and is refused when it would equal one further back. Protocol counts for being equal.
 *
 * IPv6 keeps nexthops. Those with a gateway on one key are siblings and are shown as one route,
 * whoever made them, with the protocol of the first; deleting without naming a gateway takes all.
 */
#include "fib-fake-kernel.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>

struct nsh_route_props *fake_props_copy(const struct nsh_route_props *props)
{
    size_t size = nsh_route_props_size(props->n_nexthops);
    struct nsh_route_props *copy = malloc(size);

    if (copy)
        memcpy(copy, props, size);
    return copy;
}

void fake_route_clear(struct fake_route *r)
{
    free(r->props);
    r->props = NULL;
    r->r.props = NULL;
}

void fake_route_drop(struct nsh_fib_fake *k, size_t i)
{
    fake_route_clear(&k->routes[i]);
    memmove(&k->routes[i], &k->routes[i + 1], (k->n_routes - i - 1) * sizeof(*k->routes));
    k->n_routes--;
}

int fake_route_put(struct nsh_fib_fake *k, size_t i, const struct nsh_route *route)
{
    struct nsh_route_props *props = fake_props_copy(route->props);
    struct fake_route *grown =
            props ? realloc(k->routes, (k->n_routes + 1) * sizeof(*k->routes)) : NULL;
    uint16_t weight;

    if (!grown) {
        free(props);
        return -ENOMEM;
    }
    k->routes = grown;
    memmove(&k->routes[i + 1], &k->routes[i], (k->n_routes - i) * sizeof(*k->routes));
    k->n_routes++;
    k->routes[i] = (struct fake_route){.r = *route, .props = props};
    k->routes[i].r.props = props;
    k->routes[i].r.origin = NSH_ORIGIN_NONE;
    props->on_conflict = 0;
    weight = props->n_nexthops == 1 ? props->nexthops[0].weight : 0;
    nsh_route_normalize(&k->routes[i].r, props);
    /* It counts once there is a sibling. */
    if (route->family == AF_INET6 && props->n_nexthops == 1 && weight > 0)
        props->nexthops[0].weight = weight;
    return 0;
}

size_t fake_route_end_of_key(const struct nsh_fib_fake *k, const struct nsh_route *key)
{
    size_t i = 0;

    while (i < k->n_routes && nsh_route_id_cmp(&k->routes[i].r, key) <= 0)
        i++;
    return i;
}

static size_t start_of_key(const struct nsh_fib_fake *k, const struct nsh_route *key)
{
    size_t i = 0;

    while (i < k->n_routes && nsh_route_id_cmp(&k->routes[i].r, key) < 0)
        i++;
    return i;
}

static bool on_key(const struct nsh_fib_fake *k, size_t i, const struct nsh_route *key)
{
    return i < k->n_routes && nsh_route_id_cmp(&k->routes[i].r, key) == 0;
}

/* ---- the way to an address ---- */

/* The first nexthop that is up, for a lookup. */
static uint32_t alive_nexthop(
        const struct nsh_fib_fake *k, const struct nsh_route_props *props, uint32_t oif)
{
    for (uint32_t n = 0; n < props->n_nexthops; n++) {
        const struct fake_link *link = fake_link_by_index(k, props->nexthops[n].ifindex);

        if (link && link->up && (!oif || oif == link->ifindex))
            return link->ifindex;
    }
    return 0;
}

static bool has_devices(uint8_t type)
{
    return type == RTN_UNICAST || type == RTN_LOCAL;
}

static bool entry_matches(const struct nsh_fib_fake *k, const struct fake_route *e,
        const struct fake_query *q, uint32_t *ret_ifindex)
{
    struct nsh_prefix dst = {.addr = e->r.dst, .family = e->r.family, .length = e->r.dst_length};

    if (e->r.family != q->family || !nsh_prefix_contains(&dst, q->family, q->addr))
        return false;
    if (q->family == AF_INET && (e->props->scope < q->min_scope || e->r.tos))
        return false;
    *ret_ifindex = 0;
    if (!has_devices(e->props->type))
        return true;
    *ret_ifindex = alive_nexthop(k, e->props, q->oif);
    return *ret_ifindex != 0;
}

static size_t lookup_in(const struct nsh_fib_fake *k, const struct fake_query *q, uint32_t table,
        uint32_t *ret_ifindex)
{
    size_t best = SIZE_MAX;
    uint32_t ifindex;

    for (size_t i = 0; i < k->n_routes; i++) {
        const struct fake_route *e = &k->routes[i];

        if (e->r.table != table || !entry_matches(k, e, q, &ifindex))
            continue;
        if (best != SIZE_MAX && (e->r.dst_length < k->routes[best].r.dst_length ||
                                        (e->r.dst_length == k->routes[best].r.dst_length &&
                                                e->r.metric >= k->routes[best].r.metric)))
            continue;
        best = i;
        *ret_ifindex = ifindex;
    }
    return best;
}

size_t fake_lookup(const struct nsh_fib_fake *k, const struct fake_query *q, uint32_t *ret_ifindex)
{
    const uint32_t tables[] = {q->table, FAKE_TABLE_LOCAL, FAKE_TABLE_MAIN};

    for (size_t t = 0; t < NSH_ARRAY_SIZE(tables); t++) {
        size_t i = tables[t] ? lookup_in(k, q, tables[t], ret_ifindex) : SIZE_MAX;

        if (i != SIZE_MAX && k->routes[i].props->type != RTN_THROW)
            return i;
    }
    return SIZE_MAX;
}

/* ---- may it stand? ---- */

static int refuse(int error, const char *why, const char **ret_why)
{
    *ret_why = why;
    return error;
}

static int check_device(
        const struct nsh_fib_fake *k, uint32_t ifindex, const char *down_why, const char **ret_why)
{
    const struct fake_link *link = fake_link_by_index(k, ifindex);

    if (!link)
        return refuse(-ENODEV, "", ret_why);
    if (!link->up)
        return refuse(-ENETDOWN, down_why, ret_why);
    return 0;
}

static int check_gateway_v4(const struct nsh_fib_fake *k, const struct nsh_route *r,
        struct nsh_nexthop *nh, const char **ret_why)
{
    struct fake_query q = {
            .family = AF_INET,
            .addr = &nh->via,
            .oif = nh->ifindex,
            .min_scope = r->props->scope + 1 < RT_SCOPE_LINK ? RT_SCOPE_LINK
                                                             : (uint8_t)(r->props->scope + 1),
            .table = r->table != FAKE_TABLE_MAIN ? r->table : 0,
    };
    size_t found;

    if (nh->flags & RTNH_F_ONLINK) {
        if (!nh->ifindex)
            return refuse(-EINVAL, "Nexthop device required for onlink", ret_why);
        return check_device(k, nh->ifindex, "Nexthop device is not up", ret_why);
    }
    found = fake_lookup(k, &q, &nh->ifindex);
    if (found == SIZE_MAX)
        return refuse(-ENETUNREACH, "Nexthop has invalid gateway", ret_why);
    if (!has_devices(k->routes[found].props->type))
        return refuse(-EINVAL, "Nexthop has invalid gateway", ret_why);
    return 0;
}

static int check_gateway_v6(const struct nsh_fib_fake *k, const struct nsh_route *r,
        struct nsh_nexthop *nh, const char **ret_why)
{
    struct fake_query q = {
            .family = AF_INET6,
            .addr = &nh->via,
            .oif = nh->ifindex,
            .table = r->family == AF_INET6 && r->table != FAKE_TABLE_MAIN ? r->table : 0,
    };
    size_t found;

    if (fake_address_is_local(k, AF_INET6, &nh->via))
        return refuse(-EINVAL, "Gateway can not be a local address", ret_why);
    if (!nsh_addr_is_link_local(AF_INET6, &nh->via) && !(nh->flags & RTNH_F_ONLINK)) {
        uint32_t ifindex = 0;

        found = fake_lookup(k, &q, &ifindex);
        if (found == SIZE_MAX || !has_devices(k->routes[found].props->type) ||
                k->routes[found].props->nexthops[0].via_family)
            return refuse(-EHOSTUNREACH, "", ret_why);
        nh->ifindex = ifindex;
    }
    if (!nh->ifindex)
        return refuse(-EINVAL, "Egress device not specified", ret_why);
    return check_device(k, nh->ifindex, "Nexthop device is not up", ret_why);
}

static int check_nexthop(const struct nsh_fib_fake *k, const struct nsh_route *r,
        struct nsh_nexthop *nh, const char **ret_why)
{
    if (nh->via_family == AF_INET)
        return check_gateway_v4(k, r, nh, ret_why);
    if (nh->via_family == AF_INET6)
        return check_gateway_v6(k, r, nh, ret_why);
    return check_device(k, nh->ifindex,
            r->family == AF_INET ? "Device for nexthop is not up" : "Nexthop device is not up",
            ret_why);
}

/* Judges the route as the kernel does, and fills in the devices it chooses. */
static int check_route(const struct nsh_fib_fake *k, const struct nsh_route *r,
        struct nsh_route_props *props, const char **ret_why)
{
    if (has_devices(props->type) && props->n_nexthops == 0)
        return refuse(-ENODEV, "", ret_why);
    for (uint32_t n = 0; n < props->n_nexthops; n++) {
        int rc = check_nexthop(k, r, &props->nexthops[n], ret_why);

        if (rc < 0)
            return rc;
    }
    if (props->has_source && !fake_address_is_local(k, r->family, &props->source))
        return refuse(-EINVAL,
                r->family == AF_INET ? "Invalid prefsrc address" : "Invalid source address",
                ret_why);
    return 0;
}

/* ---- IPv4 ---- */

static bool same_entry_v4(const struct fake_route *a, const struct nsh_route *b)
{
    size_t size = nsh_route_props_size(b->props->n_nexthops);

    return a->r.protocol == b->protocol && a->props->n_nexthops == b->props->n_nexthops &&
           memcmp(a->props, b->props, size) == 0;
}

static uint16_t event_flags(uint16_t asked, bool first_of_key)
{
    if (first_of_key)
        return NLM_F_CREATE | NLM_F_EXCL;
    return NLM_F_CREATE | (asked & NLM_F_APPEND);
}

static int write_v4(struct nsh_fib_fake *k, const struct nsh_route *r, uint16_t flags,
        const struct fake_author *author)
{
    size_t start = start_of_key(k, r), end = fake_route_end_of_key(k, r), equal = start;
    int rc;

    if (start < end && (flags & NLM_F_EXCL))
        return -EEXIST;
    while (equal < end && !same_entry_v4(&k->routes[equal], r))
        equal++;
    if (equal < end)
        return (flags & NLM_F_REPLACE) && equal == start ? 0 : -EEXIST;
    if (start < end && (flags & NLM_F_REPLACE)) {
        rc = fake_route_put(k, start, r);
        if (rc < 0)
            return rc;
        fake_route_drop(k, start + 1);
        fake_emit_route(k, author, NSH_FIB_ROUTE_NEW, &k->routes[start].r, NLM_F_REPLACE);
        return 0;
    }
    rc = fake_route_put(k, flags & NLM_F_APPEND ? end : start, r);
    if (rc < 0)
        return rc;
    fake_emit_route(k, author, NSH_FIB_ROUTE_NEW, &k->routes[flags & NLM_F_APPEND ? end : start].r,
            event_flags(flags, start == end));
    return 0;
}

static bool nexthop_matches(const struct nsh_nexthop *has, const struct nsh_nexthop *asked)
{
    return (!asked->ifindex || asked->ifindex == has->ifindex) &&
           (!asked->via_family || (asked->via_family == has->via_family &&
                                          nsh_addr_cmp(&asked->via, &has->via) == 0));
}

static bool nexthops_match(const struct nsh_route_props *has, const struct nsh_route_props *asked)
{
    if (asked->n_nexthops == 0)
        return true;
    if (asked->n_nexthops != has->n_nexthops)
        return false;
    for (uint32_t n = 0; n < has->n_nexthops; n++)
        if (!nexthop_matches(&has->nexthops[n], &asked->nexthops[n]))
            return false;
    return true;
}

static int delete_v4(
        struct nsh_fib_fake *k, const struct nsh_route *r, const struct fake_author *author)
{
    for (size_t i = start_of_key(k, r); on_key(k, i, r); i++) {
        struct fake_route *e = &k->routes[i];

        if ((r->protocol && r->protocol != e->r.protocol) ||
                (r->props->type && r->props->type != e->props->type) ||
                !nexthops_match(e->props, r->props))
            continue;
        fake_emit_route(k, author, NSH_FIB_ROUTE_GONE, &e->r, 0);
        fake_route_drop(k, i);
        return 0;
    }
    return -ESRCH;
}

/* ---- IPv6 ---- */

/* Can be a sibling: only what has a gateway. */
static bool merges(const struct nsh_route_props *p)
{
    return p->type == RTN_UNICAST && p->n_nexthops > 0 && p->nexthops[0].via_family;
}

static bool same_nexthop(const struct nsh_route_props *a, const struct nsh_route_props *b)
{
    if (a->n_nexthops != b->n_nexthops)
        return false;
    return a->n_nexthops == 0 ||
           (a->nexthops[0].ifindex == b->nexthops[0].ifindex &&
                   a->nexthops[0].via_family == b->nexthops[0].via_family &&
                   nsh_addr_cmp(&a->nexthops[0].via, &b->nexthops[0].via) == 0);
}

int fake_route_next(const struct nsh_fib_fake *k, size_t *i, struct fake_route *ret)
{
    const struct fake_route *first = &k->routes[*i];
    size_t end = *i + 1;
    struct nsh_route_props *props;

    if (first->r.family == AF_INET6 && merges(first->props))
        while (on_key(k, end, &first->r) && merges(k->routes[end].props))
            end++;
    props = calloc(1, nsh_route_props_size((uint32_t)(end - *i) + first->props->n_nexthops));
    if (!props)
        return -ENOMEM;
    memcpy(props, first->props, nsh_route_props_size(first->props->n_nexthops));
    for (size_t n = *i + 1; n < end; n++)
        props->nexthops[props->n_nexthops++] = k->routes[n].props->nexthops[0];
    *ret = (struct fake_route){.r = first->r, .props = props};
    ret->r.props = props;
    *i = end;
    return 0;
}

/* The group that entry i belongs to, told with the protocol of what was written. */
static void emit_group_v6(struct nsh_fib_fake *k, const struct fake_author *author,
        enum nsh_fib_event_type type, const struct nsh_route *key, bool of_gateways, uint16_t flags)
{
    size_t i = start_of_key(k, key);
    struct fake_route group;

    while (on_key(k, i, key) && merges(k->routes[i].props) != of_gateways)
        i++;
    if (!on_key(k, i, key) || fake_route_next(k, &i, &group) < 0)
        return;
    group.r.protocol = key->protocol;
    nsh_route_normalize(&group.r, group.props);
    fake_emit_route(k, author, type, &group.r, flags);
    fake_route_clear(&group);
}

/* Puts in the one nexthop of `r`, as an exclusive add, an append, or a replacement. */
static int insert_v6(struct nsh_fib_fake *k, const struct nsh_route *r, uint16_t flags)
{
    size_t start = start_of_key(k, r), end = fake_route_end_of_key(k, r), old = start;
    bool siblings;
    int rc;

    if (start < end && (flags & NLM_F_EXCL))
        return -EEXIST;
    if (start == end || !(flags & NLM_F_REPLACE)) {
        for (size_t i = start; i < end; i++)
            if (same_nexthop(k->routes[i].props, r->props))
                return -EEXIST;
        /* Behind its siblings, so that they stay neighbours. */
        while (end > start && merges(r->props) && !merges(k->routes[end - 1].props))
            end--;
        return fake_route_put(k, end, r);
    }
    while (old < end && merges(k->routes[old].props) != merges(r->props))
        old++;
    if (old == end)
        old = start;
    siblings = merges(k->routes[old].props);
    rc = fake_route_put(k, old, r);
    if (rc < 0)
        return rc;
    fake_route_drop(k, old + 1);
    while (siblings && on_key(k, old + 1, r) && merges(k->routes[old + 1].props))
        fake_route_drop(k, old + 1);
    return 0;
}

/* A route of one nexthop each; a blackhole and its like has none. */
struct single {
    struct nsh_route_props *props;
    struct nsh_route r;
};

static int split_v6(const struct nsh_route *r, uint32_t n, struct single *ret)
{
    struct nsh_route_props *props = calloc(1, nsh_route_props_size(1));

    if (!props)
        return -ENOMEM;
    memcpy(props, r->props, nsh_route_props_size(0));
    props->n_nexthops = r->props->n_nexthops ? 1 : 0;
    if (props->n_nexthops)
        props->nexthops[0] = r->props->nexthops[n];
    *ret = (struct single){.props = props, .r = *r};
    ret->r.props = props;
    return 0;
}

static int write_v6(struct nsh_fib_fake *k, const struct nsh_route *r, uint16_t flags,
        const struct fake_author *author)
{
    bool first_of_key = start_of_key(k, r) == fake_route_end_of_key(k, r);
    uint16_t told = flags & NLM_F_REPLACE && !first_of_key ? NLM_F_REPLACE
                                                           : event_flags(flags, first_of_key);
    uint32_t n = 0;

    do {
        struct single one;
        int rc = split_v6(r, n, &one);

        if (rc == 0) {
            rc = insert_v6(k, &one.r, flags);
            free(one.props);
        }
        if (rc < 0)
            return rc;
        flags &= (uint16_t) ~(NLM_F_EXCL | NLM_F_REPLACE);
    } while (++n < r->props->n_nexthops);
    if (r->props->n_nexthops > 1)
        told &= (uint16_t)~NLM_F_EXCL;
    emit_group_v6(k, author, NSH_FIB_ROUTE_NEW, r, merges(r->props), told);
    return 0;
}

/* Deletes every sibling of entry i, told as one route. */
static void delete_siblings_v6(struct nsh_fib_fake *k, size_t i, const struct fake_author *author)
{
    size_t end = i;
    struct fake_route group;

    if (merges(k->routes[i].props))
        while (i > 0 && on_key(k, i - 1, &k->routes[i].r) && merges(k->routes[i - 1].props))
            i--;
    end = i;
    if (fake_route_next(k, &end, &group) < 0)
        return;
    nsh_route_normalize(&group.r, group.props);
    fake_emit_route(k, author, NSH_FIB_ROUTE_GONE, &group.r, 0);
    fake_route_clear(&group);
    for (size_t n = end - i; n > 0; n--)
        fake_route_drop(k, i);
}

static int delete_one_v6(
        struct nsh_fib_fake *k, const struct nsh_route *r, const struct fake_author *author)
{
    for (size_t i = start_of_key(k, r); on_key(k, i, r); i++) {
        struct fake_route *e = &k->routes[i];

        if ((r->protocol && r->protocol != e->r.protocol) ||
                (r->props->type && r->props->type != e->props->type) ||
                !nexthops_match(e->props, r->props))
            continue;
        if (r->props->n_nexthops == 0 || !r->props->nexthops[0].via_family) {
            delete_siblings_v6(k, i, author);
        } else {
            fake_emit_route(k, author, NSH_FIB_ROUTE_GONE, &e->r, 0);
            fake_route_drop(k, i);
        }
        return 0;
    }
    return -ESRCH;
}

static int delete_v6(
        struct nsh_fib_fake *k, const struct nsh_route *r, const struct fake_author *author)
{
    uint32_t n = 0;
    int first = 0;

    do {
        struct single one;
        int rc = split_v6(r, n, &one);

        if (rc == 0) {
            rc = delete_one_v6(k, &one.r, author);
            free(one.props);
        }
        if (rc < 0 && first == 0)
            first = rc;
    } while (++n < r->props->n_nexthops);
    return first;
}

/* ---- both ---- */

int fake_route_write(struct nsh_fib_fake *k, const struct nsh_route *route, uint16_t flags,
        const struct fake_author *author, const char **ret_why)
{
    nsh_autofree struct nsh_route_props *props = fake_props_copy(route->props);
    struct nsh_route r = *route;
    int rc;

    *ret_why = "";
    if (!props)
        return -ENOMEM;
    r.props = props;
    props->on_conflict = 0;
    for (uint32_t n = 0; n < props->n_nexthops; n++)
        props->nexthops[n].link = NSH_NO_LINK;
    rc = check_route(k, &r, props, ret_why);
    if (rc < 0)
        return rc;
    /* As it is kept, and with the nexthops in the order in which they were given. */
    if (r.family == AF_INET6 && r.metric == 0)
        r.metric = 1024;
    if (r.family == AF_INET)
        nsh_route_normalize(&r, props);
    return r.family == AF_INET ? write_v4(k, &r, flags, author) : write_v6(k, &r, flags, author);
}

int fake_route_delete(
        struct nsh_fib_fake *k, const struct nsh_route *route, const struct fake_author *author)
{
    struct nsh_route r = *route;

    if (r.family == AF_INET6 && r.metric == 0)
        r.metric = 1024;
    return r.family == AF_INET ? delete_v4(k, &r, author) : delete_v6(k, &r, author);
}
