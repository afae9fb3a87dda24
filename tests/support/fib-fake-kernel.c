/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Links and addresses of the fake kernel, and what their changes do to routes.
 *
 * Much of it goes without a word: IPv4 routes vanish with their link or with the last address on
 * it, an IPv6 route loses its preferred source. Where the kernel does tell, so does this.
 */
#include "fib-fake-kernel.h"

#include <errno.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>

static const struct fake_author kernel_itself = {.handle = NULL, .port = 0};
static const struct fake_author somebody = {.handle = NULL, .port = NSH_FIB_FAKE_SOMEBODY};

void *fake_grow(void **array, size_t n, size_t size)
{
    char *grown = realloc(*array, (n + 1) * size);

    if (!grown)
        return NULL;
    *array = grown;
    return memset(grown + n * size, 0, size);
}

/* ---- links ---- */

struct fake_link *fake_link_by_index(const struct nsh_fib_fake *k, uint32_t ifindex)
{
    for (size_t i = 0; i < k->n_links; i++)
        if (k->links[i].ifindex == ifindex)
            return &k->links[i];
    return NULL;
}

struct fake_link *fake_link_by_name(const struct nsh_fib_fake *k, const char *name)
{
    for (size_t i = 0; i < k->n_links; i++)
        if (strcmp(k->links[i].name, name) == 0)
            return &k->links[i];
    return NULL;
}

uint32_t nsh_fib_fake_link_index(const struct nsh_fib_fake *k, const char *name)
{
    const struct fake_link *link = fake_link_by_name(k, name);

    return link ? link->ifindex : 0;
}

static void emit_link(struct nsh_fib_fake *k, const struct fake_link *link, bool gone)
{
    struct nsh_fib_event event = {
            .type = NSH_FIB_LINK, .ifindex = link->ifindex, .up = link->up, .gone = gone};
    char key[96];
    int value;

    snprintf(key, sizeof(key), "net/ipv6/conf/%s/accept_ra", link->name);
    event.ipv6 = nsh_fib_fake_sysctl_get(k, key, &value) == 0;
    memcpy(event.name, link->name, sizeof(event.name));
    fake_emit(k, &somebody, &event);
}

int nsh_fib_fake_link_add(struct nsh_fib_fake *k, const char *name, bool up)
{
    struct fake_link *link;

    if (fake_link_by_name(k, name))
        return -EEXIST;
    link = fake_grow((void **)&k->links, k->n_links, sizeof(*link));
    if (!link || fake_sysctls_put(k, name) < 0)
        return -ENOMEM;
    *link = (struct fake_link){.ifindex = k->next_ifindex++};
    snprintf(link->name, sizeof(link->name), "%s", name);
    k->n_links++;
    emit_link(k, link, false);
    if (up)
        nsh_fib_fake_link_up(k, name, true);
    return (int)k->links[k->n_links - 1].ifindex;
}

int nsh_fib_fake_vrf_add(struct nsh_fib_fake *k, const char *name, uint32_t table)
{
    int rc = nsh_fib_fake_link_add(k, name, false);

    if (rc > 0)
        fake_link_by_index(k, (uint32_t)rc)->table = table;
    return rc;
}

/* ---- addresses and the routes they bring ---- */

bool fake_address_is_local(const struct nsh_fib_fake *k, int family, const union nsh_addr *addr)
{
    for (size_t i = 0; i < k->n_addresses; i++)
        if (k->addresses[i].family == family && nsh_addr_cmp(&k->addresses[i].addr, addr) == 0)
            return true;
    return false;
}

static bool has_address(const struct nsh_fib_fake *k, uint32_t ifindex, int family)
{
    for (size_t i = 0; i < k->n_addresses; i++)
        if (k->addresses[i].ifindex == ifindex && k->addresses[i].family == family)
            return true;
    return false;
}

static struct nsh_prefix subnet_of(const struct fake_address *a)
{
    struct nsh_prefix p = {.addr = a->addr, .family = a->family, .length = a->length};

    nsh_prefix_mask(&p);
    return p;
}

/* A route as the kernel makes for an address or a link. */
static void kernel_route(struct nsh_fib_fake *k, const struct nsh_prefix *dst, uint32_t ifindex,
        uint32_t table, const union nsh_addr *source)
{
    nsh_autofree struct nsh_route_props *props = calloc(1, nsh_route_props_size(1));
    bool local = table == FAKE_TABLE_LOCAL && dst->length == nsh_addr_bits(dst->family);
    struct nsh_route r = {
            .dst = dst->addr,
            .dst_length = dst->length,
            .family = dst->family,
            .table = table,
            .metric = dst->family == AF_INET6 ? 256 : 0,
            .protocol = RTPROT_KERNEL,
            .props = props,
    };

    if (!props)
        return;
    props->type = local ? RTN_LOCAL : RTN_UNICAST;
    if (dst->family == AF_INET) {
        props->scope = local ? RT_SCOPE_HOST : RT_SCOPE_LINK;
        props->has_source = 1;
        props->source = *source;
    }
    props->n_nexthops = 1;
    props->nexthops[0] = (struct nsh_nexthop){.link = NSH_NO_LINK, .ifindex = ifindex, .weight = 1};
    if (fake_route_put(k, fake_route_end_of_key(k, &r), &r) == 0)
        fake_emit_route(k, &kernel_itself, NSH_FIB_ROUTE_NEW, &r, NLM_F_CREATE | NLM_F_EXCL);
}

/* True if an address before the ith has the same subnet: an IPv4 secondary brings no route. */
static bool is_secondary(const struct nsh_fib_fake *k, size_t i)
{
    const struct fake_address *a = &k->addresses[i];
    struct nsh_prefix subnet = subnet_of(a);

    for (size_t n = 0; n < i; n++) {
        struct nsh_prefix other = subnet_of(&k->addresses[n]);

        if (k->addresses[n].ifindex == a->ifindex && nsh_prefix_cmp(&subnet, &other) == 0)
            return true;
    }
    return false;
}

static void connect_address(struct nsh_fib_fake *k, size_t i)
{
    const struct fake_address *a = &k->addresses[i];
    struct nsh_prefix subnet = subnet_of(a);

    if (a->ifindex == k->links[0].ifindex || is_secondary(k, i))
        return;
    /* An IPv6 host address brings a route of its own, an IPv4 one doesn't. */
    if (a->family == AF_INET6 || a->length < nsh_addr_bits(a->family))
        kernel_route(k, &subnet, a->ifindex, FAKE_TABLE_MAIN, &a->addr);
}

static void drop_kernel_routes(
        struct nsh_fib_fake *k, const struct nsh_prefix *dst, uint32_t ifindex, uint32_t table)
{
    for (size_t i = k->n_routes; i-- > 0;) {
        struct fake_route *e = &k->routes[i];
        struct nsh_prefix has = {
                .addr = e->r.dst, .family = e->r.family, .length = e->r.dst_length};

        if (e->r.protocol != RTPROT_KERNEL || e->r.table != table ||
                nsh_prefix_cmp(&has, dst) != 0 || e->props->nexthops[0].ifindex != ifindex)
            continue;
        fake_emit_route(k, &kernel_itself, NSH_FIB_ROUTE_GONE, &e->r, 0);
        fake_route_drop(k, i);
    }
}

static int parse_address(
        const struct nsh_fib_fake *k, const char *dev, const char *text, struct fake_address *ret)
{
    const struct fake_link *link = fake_link_by_name(k, dev);
    char copy[NSH_PREFIX_TEXT];
    char *slash;
    struct fake_address a = {0};
    unsigned length;

    if (!link)
        return -ENODEV;
    snprintf(copy, sizeof(copy), "%s", text);
    slash = strchr(copy, '/');
    if (slash)
        *slash = '\0';
    if (!nsh_addr_parse(copy, &a.family, &a.addr))
        return -EINVAL;
    length = slash ? (unsigned)strtoul(slash + 1, NULL, 10) : nsh_addr_bits(a.family);
    if (length > nsh_addr_bits(a.family))
        return -EINVAL;
    a.length = (uint8_t)length;
    a.ifindex = link->ifindex;
    *ret = a;
    return 0;
}

static void emit_address(struct nsh_fib_fake *k, const struct fake_address *a, bool gone)
{
    struct nsh_fib_event event = {.type = NSH_FIB_ADDRESS,
            .ifindex = a->ifindex,
            .family = a->family,
            .address = a->addr,
            .gone = gone};

    fake_emit(k, &somebody, &event);
}

int nsh_fib_fake_address_add(struct nsh_fib_fake *k, const char *dev, const char *address)
{
    struct fake_address a, *slot;
    struct nsh_prefix host;
    int rc = parse_address(k, dev, address, &a);

    if (rc < 0)
        return rc;
    if (fake_address_is_local(k, a.family, &a.addr))
        return -EEXIST;
    slot = fake_grow((void **)&k->addresses, k->n_addresses, sizeof(*slot));
    if (!slot)
        return -ENOMEM;
    *slot = a;
    k->n_addresses++;
    emit_address(k, &a, false);
    host = (struct nsh_prefix){
            .addr = a.addr, .family = a.family, .length = nsh_addr_bits(a.family)};
    kernel_route(k, &host, a.ifindex, FAKE_TABLE_LOCAL, &a.addr);
    if (fake_link_by_index(k, a.ifindex)->up)
        connect_address(k, k->n_addresses - 1);
    return 0;
}

static bool uses_device(const struct nsh_route_props *props, uint32_t ifindex)
{
    for (uint32_t n = 0; n < props->n_nexthops; n++)
        if (props->nexthops[n].ifindex == ifindex)
            return true;
    return false;
}

/* No nexthop has a device that is up, leaving out `except`. */
static bool all_dead(
        const struct nsh_fib_fake *k, const struct nsh_route_props *props, uint32_t except)
{
    for (uint32_t n = 0; n < props->n_nexthops; n++) {
        const struct fake_link *link = fake_link_by_index(k, props->nexthops[n].ifindex);

        if (link && link->up && link->ifindex != except)
            return false;
    }
    return true;
}

/* IPv4 routes through a device that no longer carries them: without a word. */
static void silent_drop_v4(struct nsh_fib_fake *k, uint32_t ifindex, bool deleted, bool keep_local)
{
    for (size_t i = k->n_routes; i-- > 0;) {
        const struct fake_route *e = &k->routes[i];

        if (e->r.family != AF_INET || !uses_device(e->props, ifindex) ||
                (keep_local && e->props->type == RTN_LOCAL && e->r.protocol == RTPROT_KERNEL))
            continue;
        if (deleted || all_dead(k, e->props, ifindex))
            fake_route_drop(k, i);
    }
}

/*
 * What becomes of routes with this preferred source. IPv4 deletes and tells, in the main table
 * alone; an IPv6 route loses it without a word.
 */
static void source_gone(struct nsh_fib_fake *k, const struct fake_address *a)
{
    for (size_t i = k->n_routes; i-- > 0;) {
        struct fake_route *e = &k->routes[i];

        if (e->r.family != a->family || !e->props->has_source ||
                nsh_addr_cmp(&e->props->source, &a->addr) != 0)
            continue;
        if (a->family == AF_INET && e->r.table == FAKE_TABLE_MAIN) {
            fake_emit_route(k, &kernel_itself, NSH_FIB_ROUTE_GONE, &e->r, 0);
            fake_route_drop(k, i);
        } else if (a->family == AF_INET6) {
            e->props->has_source = 0;
            memset(&e->props->source, 0, sizeof(e->props->source));
        }
    }
}

/* An IPv6 address that goes with its link (`with_link`) leaves the preferred sources alone. */
static void remove_address(struct nsh_fib_fake *k, size_t i, bool with_link)
{
    struct fake_address a = k->addresses[i];
    struct nsh_prefix subnet = subnet_of(&a);
    struct nsh_prefix host = {
            .addr = a.addr, .family = a.family, .length = nsh_addr_bits(a.family)};
    bool primary = !is_secondary(k, i);

    memmove(&k->addresses[i], &k->addresses[i + 1],
            (k->n_addresses - i - 1) * sizeof(*k->addresses));
    k->n_addresses--;
    emit_address(k, &a, true);
    drop_kernel_routes(k, &host, a.ifindex, FAKE_TABLE_LOCAL);
    if (primary)
        drop_kernel_routes(k, &subnet, a.ifindex, FAKE_TABLE_MAIN);
    if (!with_link || a.family == AF_INET)
        source_gone(k, &a);
    if (a.family == AF_INET && !has_address(k, a.ifindex, AF_INET))
        silent_drop_v4(k, a.ifindex, false, false);
}

static size_t find_address(const struct nsh_fib_fake *k, const struct fake_address *a)
{
    size_t i = 0;

    while (i < k->n_addresses &&
            (k->addresses[i].ifindex != a->ifindex || k->addresses[i].family != a->family ||
                    k->addresses[i].length != a->length ||
                    nsh_addr_cmp(&k->addresses[i].addr, &a->addr) != 0))
        i++;
    return i;
}

int nsh_fib_fake_address_delete(struct nsh_fib_fake *k, const char *dev, const char *address)
{
    struct fake_address a;
    struct nsh_prefix subnet;
    size_t i;
    bool primary;
    int rc = parse_address(k, dev, address, &a);

    if (rc < 0)
        return rc;
    i = find_address(k, &a);
    if (i == k->n_addresses)
        return -EADDRNOTAVAIL;
    /* An IPv4 primary takes its secondaries with it. */
    subnet = subnet_of(&a);
    primary = a.family == AF_INET && !is_secondary(k, i);
    for (size_t n = k->n_addresses; primary && n-- > i + 1;) {
        struct nsh_prefix other = subnet_of(&k->addresses[n]);

        if (k->addresses[n].ifindex == a.ifindex && nsh_prefix_cmp(&subnet, &other) == 0)
            remove_address(k, n, false);
    }
    remove_address(k, i, false);
    return 0;
}

/* ---- links that come and go ---- */

/* IPv6 routes through a device that goes: each is told. */
static void drop_v6(struct nsh_fib_fake *k, uint32_t ifindex)
{
    for (size_t i = k->n_routes; i-- > 0;) {
        struct fake_route *e = &k->routes[i];

        if (e->r.family != AF_INET6 || !uses_device(e->props, ifindex))
            continue;
        fake_emit_route(k, &kernel_itself, NSH_FIB_ROUTE_GONE, &e->r, 0);
        fake_route_drop(k, i);
    }
}

static void drop_addresses(struct nsh_fib_fake *k, uint32_t ifindex, int family)
{
    for (size_t i = k->n_addresses; i-- > 0;)
        if (k->addresses[i].ifindex == ifindex && k->addresses[i].family == family)
            remove_address(k, i, true);
}

static void link_goes_up(struct nsh_fib_fake *k, struct fake_link *link)
{
    struct nsh_prefix local = {.family = AF_INET6, .length = 64};
    uint32_t ifindex = link->ifindex;

    link->up = true;
    emit_link(k, link, false);
    local.addr.bytes[0] = 0xfe;
    local.addr.bytes[1] = 0x80;
    kernel_route(k, &local, ifindex, FAKE_TABLE_MAIN, NULL);
    for (size_t i = 0; i < k->n_addresses; i++)
        if (k->addresses[i].ifindex == ifindex)
            connect_address(k, i);
}

int nsh_fib_fake_link_up(struct nsh_fib_fake *k, const char *name, bool up)
{
    struct fake_link *link = fake_link_by_name(k, name);

    if (!link)
        return -ENODEV;
    if (link->up == up)
        return 0;
    if (up) {
        link_goes_up(k, link);
        return 0;
    }
    link->up = false;
    drop_v6(k, link->ifindex);
    drop_addresses(k, link->ifindex, AF_INET6);
    silent_drop_v4(k, link->ifindex, false, true);
    emit_link(k, link, false);
    return 0;
}

int nsh_fib_fake_link_delete(struct nsh_fib_fake *k, const char *name)
{
    struct fake_link *link = fake_link_by_name(k, name);
    struct fake_link gone;

    if (!link || link == &k->links[0])
        return -ENODEV;
    link->up = false;
    drop_v6(k, link->ifindex);
    silent_drop_v4(k, link->ifindex, true, false);
    emit_link(k, link, false);
    drop_addresses(k, link->ifindex, AF_INET6);
    drop_addresses(k, link->ifindex, AF_INET);
    gone = *link;
    memmove(link, link + 1, (size_t)(&k->links[k->n_links] - link - 1) * sizeof(*link));
    k->n_links--;
    fake_sysctls_drop(k, gone.name);
    emit_link(k, &gone, true);
    return 0;
}

int nsh_fib_fake_link_rename(struct nsh_fib_fake *k, const char *name, const char *new_name)
{
    struct fake_link *link = fake_link_by_name(k, name);

    if (!link)
        return -ENODEV;
    if (fake_link_by_name(k, new_name))
        return -EEXIST;
    fake_sysctls_rename(k, name, new_name);
    snprintf(link->name, sizeof(link->name), "%s", new_name);
    emit_link(k, link, false);
    return 0;
}

int nsh_fib_fake_link_mtu(struct nsh_fib_fake *k, const char *name, uint32_t mtu)
{
    struct fake_link *link = fake_link_by_name(k, name);
    bool was = link && link->small;

    if (!link)
        return -ENODEV;
    link->small = mtu < 1280;
    emit_link(k, link, false); /* as it has been until now: rtnetlink tells before IPv6 knows */
    if (link->small && !was) {
        drop_v6(k, link->ifindex);
        drop_addresses(k, link->ifindex, AF_INET6);
        fake_sysctls_drop(k, name);
    }
    return was && !link->small ? fake_sysctls_put(k, name) : 0;
}

int nsh_fib_fake_link_carrier(struct nsh_fib_fake *k, const char *name, bool carrier)
{
    struct fake_link *link = fake_link_by_name(k, name);

    if (!link)
        return -ENODEV;
    link->unplugged = !carrier;
    emit_link(k, link, false);
    return 0;
}

int nsh_fib_fake_address_tentative(struct nsh_fib_fake *k, const char *address, bool tentative)
{
    union nsh_addr addr = {0};
    uint8_t family;

    if (!nsh_addr_parse(address, &family, &addr))
        return -EINVAL;
    for (size_t i = 0; i < k->n_addresses; i++) {
        struct fake_address *a = &k->addresses[i];

        if (a->family != family || nsh_addr_cmp(&a->addr, &addr) != 0)
            continue;
        a->tentative = tentative;
        emit_address(k, a, false);
        return 0;
    }
    return -EADDRNOTAVAIL;
}

/* ---- the kernel as a whole ---- */

static int boot(struct nsh_fib_fake *k)
{
    int rc;

    if (fake_sysctls_init(k) < 0)
        return -ENOMEM;
    rc = nsh_fib_fake_link_add(k, "lo", false);
    if (rc < 0)
        return rc;
    k->links[0].up = true;
    rc = nsh_fib_fake_address_add(k, "lo", "127.0.0.1/8");
    return rc < 0 ? rc : nsh_fib_fake_address_add(k, "lo", "::1/128");
}

int nsh_fib_fake_new(struct nsh_fib_fake **ret)
{
    NSH_CLEANUP(nsh_fib_fake_freep) struct nsh_fib_fake *k = calloc(1, sizeof(*k));
    int rc;

    if (!k)
        return -ENOMEM;
    k->next_ifindex = 1;
    k->next_port = 1000;
    k->queue_limit = 10000;
    k->chunk = 3;
    rc = boot(k);
    if (rc == 0)
        rc = fake_rules_init(k);
    if (rc < 0)
        return rc;
    memset(&k->counts, 0, sizeof(k->counts));
    *ret = NSH_TAKE_PTR(k);
    return 0;
}

void nsh_fib_fake_free(struct nsh_fib_fake *k)
{
    if (!k)
        return;
    while (k->n_routes > 0)
        fake_route_drop(k, k->n_routes - 1);
    free(k->routes);
    free(k->rules);
    free(k->links);
    free(k->addresses);
    free(k->sysctls);
    free(k);
}

void nsh_fib_fake_fail(struct nsh_fib_fake *k, enum nsh_fib_fake_call call, unsigned nth, int error)
{
    k->fail_nth[call] = nth;
    k->fail_error[call] = error < 0 ? error : -error;
}

void nsh_fib_fake_fail_if(
        struct nsh_fib_fake *k, nsh_fib_fake_judge *judge, void *userdata, int error)
{
    k->judge = judge;
    k->judge_userdata = userdata;
    k->judge_error = error < 0 ? error : -error;
}

void nsh_fib_fake_set_queue(struct nsh_fib_fake *k, size_t limit)
{
    k->queue_limit = limit;
}

void nsh_fib_fake_set_telling(struct nsh_fib_fake *k, enum nsh_fib_fake_telling telling)
{
    k->telling = telling;
}

void nsh_fib_fake_set_chunk(struct nsh_fib_fake *k, size_t routes)
{
    k->chunk = routes;
}

const struct nsh_fib_fake_counts *nsh_fib_fake_counts(const struct nsh_fib_fake *k)
{
    return &k->counts;
}
