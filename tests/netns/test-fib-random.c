/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random routes of every attribute: written, dumped, and compared equal; formatted, given to `ip`
 * for another table, and compared equal again. NSH_SEED repeats a run.
 */
#include <linux/icmpv6.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fib-world.h"
#include "resolve.h"

#define ROUTES 400
#define TABLE 1000
#define TABLE_COPY 2000
#define HOPS_MAX 6

struct made {
    struct nsh_route route;
    struct nsh_route_props *props;
    bool seen;
};

static uint64_t seed, first_seed;

/* 0..n-1; splitmix64. */
static uint32_t pick(uint32_t n)
{
    uint64_t z = (seed += 0x9e3779b97f4a7c15ULL);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return (uint32_t)((z ^ (z >> 31)) % n);
}

static bool one_in(uint32_t n)
{
    return pick(n) == 0;
}

/* The address that begins so and ends in `n`. */
static void set_address(union nsh_addr *ret, uint8_t *ret_family, const char *beginning, unsigned n)
{
    char text[NSH_ADDR_TEXT];

    if (strchr(beginning, ':'))
        snprintf(text, sizeof(text), "%s%x", beginning, n);
    else
        snprintf(text, sizeof(text), "%s%u", beginning, n);
    assert_true(nsh_addr_parse(text, ret_family, ret));
}

/* `n` makes it unlike the others of its route. */
static void make_hop(struct nsh_nexthop *h, int family, unsigned n, bool bare)
{
    static const char *const gateways[2][2] = {
            {"192.0.2.", "198.51.100."}, {"2001:db8:1::", "2001:db8:2::"}};
    uint32_t link = pick(2), way = pick(bare ? 5 : 4);

    *h = (struct nsh_nexthop){.link = link, .weight = (uint16_t)(1 + pick(256))};
    if (way == 4)
        return;
    if (way == 3 || (way == 2 && family == AF_INET6)) {
        set_address(&h->via, &h->via_family, "fe80::", 0x100 + n);
    } else if (way == 2) {
        set_address(&h->via, &h->via_family, "10.255.0.", 10 + n);
        h->flags = RTNH_F_ONLINK;
    } else {
        set_address(&h->via, &h->via_family, gateways[family == AF_INET6][link], 10 + n);
        if (one_in(4))
            h->link = NSH_NO_LINK;
        else if (one_in(4))
            h->flags = RTNH_F_ONLINK;
    }
}

static void make_hops(struct nsh_route_props *p, int family)
{
    p->n_nexthops = one_in(3) ? 2 + pick(HOPS_MAX - 1) : 1;
    for (uint32_t i = 0; i < p->n_nexthops; i++)
        make_hop(&p->nexthops[i], family, i, p->n_nexthops == 1 || family == AF_INET);
}

static void set_metric(struct nsh_route_props *p, unsigned metric, uint32_t value, bool lock)
{
    p->metrics_set |= 1U << metric;
    p->metrics[metric] = value;
    if (lock)
        p->metrics_lock |= 1U << metric;
}

/* `ip route` writes times in milliseconds, and has no word for some locks. */
static void make_metrics(struct nsh_route_props *p)
{
    static const struct {
        unsigned metric;
        uint32_t min, max, step;
        int lock; /* 1: sometimes, 2: always */
    } ranges[] = {
            {RTAX_MTU, 1280, 65520, 1, 1},
            {RTAX_WINDOW, 1, 1000000, 1, 1},
            {RTAX_RTT, 8, 80000, 8, 1},
            {RTAX_RTTVAR, 4, 40000, 4, 1},
            {RTAX_SSTHRESH, 1, 1000, 1, 1},
            {RTAX_CWND, 1, 1000, 1, 1},
            {RTAX_ADVMSS, 1, 65495, 1, 1},
            {RTAX_REORDERING, 1, 100, 1, 1},
            {RTAX_HOPLIMIT, 1, 255, 1, 1},
            {RTAX_INITCWND, 1, 65535, 1, 1},
            {RTAX_FEATURES, RTAX_FEATURE_ECN, RTAX_FEATURE_ECN, 1, 0},
            {RTAX_RTO_MIN, 1, 120000, 1, 2},
            {RTAX_INITRWND, 1, 65535, 1, 1},
            {RTAX_QUICKACK, 1, 1, 1, 0},
            {RTAX_FASTOPEN_NO_COOKIE, 1, 1, 1, 0},
    };
    static const char *const algorithms[] = {"reno", "cubic"};
    uint32_t rarely = 1 + pick(8);

    for (size_t i = 0; i < NSH_ARRAY_SIZE(ranges); i++)
        if (one_in(rarely))
            set_metric(p, ranges[i].metric,
                    ranges[i].min + pick((ranges[i].max - ranges[i].min) / ranges[i].step + 1) *
                                            ranges[i].step,
                    ranges[i].lock == 2 || (ranges[i].lock == 1 && one_in(2)));
    if (!one_in(rarely))
        return;
    snprintf(p->congestion_control, sizeof(p->congestion_control), "%s",
            algorithms[pick(NSH_ARRAY_SIZE(algorithms))]);
    if (one_in(2))
        p->metrics_lock |= 1U << RTAX_CC_ALGO;
}

static void make_type(struct nsh_route_props *p, int family)
{
    static const uint8_t others[] = {
            RTN_BLACKHOLE, RTN_UNREACHABLE, RTN_PROHIBIT, RTN_THROW, RTN_LOCAL};

    p->type = one_in(4) ? others[pick(NSH_ARRAY_SIZE(others))] : RTN_UNICAST;
    if (p->type == RTN_UNICAST) {
        make_hops(p, family);
    } else if (p->type == RTN_LOCAL) {
        p->n_nexthops = 1;
        p->nexthops[0] = (struct nsh_nexthop){.link = V0, .weight = 1};
    }
}

static void make_route(struct made *m, int family, unsigned n)
{
    struct nsh_route_props *p = calloc(1, nsh_route_props_size(HOPS_MAX));

    assert_non_null(p);
    *m = (struct made){.props = p,
            .route = {.table = TABLE, .protocol = OURS, .props = p, .metric = 1 + pick(3)}};
    /* No gateway is in there: the kernel looks for one in the route's own table first. */
    set_address(
            &m->route.dst, &m->route.family, family == AF_INET ? "10.0.0." : "2001:db8:8000::", 0);
    m->route.dst.bytes[1 + (family == AF_INET6) * 4] = (uint8_t)(n % 200);
    m->route.dst.bytes[2 + (family == AF_INET6) * 4] = (uint8_t)(n / 200);
    m->route.dst_length = (uint8_t)(family == AF_INET ? 24 + pick(9) : 64 + pick(65));
    make_type(p, family);
    make_metrics(p);
    if (one_in(4) && p->type == RTN_UNICAST) {
        p->has_source = 1;
        set_address(&p->source, &(uint8_t){0}, family == AF_INET ? "192.0.2." : "2001:db8:1::", 1);
    }
    if (family == AF_INET && one_in(4))
        m->route.tos = (uint8_t)(pick(64) * 4);
    if (family == AF_INET6 && one_in(2))
        p->preference = one_in(2) ? ICMPV6_ROUTER_PREF_LOW : ICMPV6_ROUTER_PREF_HIGH;
    p->scope = nsh_route_default_scope(family, p);
    if (p->scope == RT_SCOPE_UNIVERSE && p->type == RTN_UNICAST && one_in(6))
        p->scope = RT_SCOPE_SITE;
    nsh_route_normalize(&m->route, p);
}

/* ---- written and seen ---- */

struct look {
    struct world *w;
    struct made *routes;
    uint32_t table;
    size_t n;
    FILE *batch; /* what `ip` is to add; NULL: nothing */
};

static const char *text_of(const struct nsh_route *r)
{
    static struct nsh_link links[] = {{.name = "v0"}, {.name = "v1"}};
    static char text[2][1024];
    static unsigned at;

    at ^= 1U;
    return nsh_route_format(r, links, text[at], sizeof(text[at]));
}

static struct made *find(struct look *l, const struct nsh_route *seen)
{
    struct nsh_route key = *seen;

    key.table = TABLE;
    for (size_t i = 0; i < ROUTES; i++)
        if (nsh_route_id_cmp(&l->routes[i].route, &key) == 0)
            return &l->routes[i];
    return NULL;
}

static int look_at(void *userdata, const struct nsh_route *seen)
{
    struct look *l = userdata;
    struct nsh_route copy = *seen;
    struct made *m = find(l, seen);
    char text[1024];

    copy.table = TABLE_COPY;
    nsh_route_format_seen(l->w->fib, &copy, text, sizeof(text));
    if (!m || m->seen) {
        fail_msg("NSH_SEED=%llu: nobody wanted %s", (unsigned long long)first_seed, text);
        return -1;
    }
    if (!nsh_route_equal(&m->route, seen, l->w->links))
        fail_msg("NSH_SEED=%llu: wanted %s, seen %s", (unsigned long long)first_seed,
                text_of(&m->route), text);
    m->seen = true;
    l->n++;
    if (l->batch)
        fprintf(l->batch, "route add proto %d %s\n", OURS, text);
    return 0;
}

static void refused(void *userdata, size_t op, int error, const char *why)
{
    const struct made *routes = userdata;

    fail_msg("NSH_SEED=%llu: %s: error %d %s", (unsigned long long)first_seed,
            text_of(&routes[op].route), error, why);
}

static void look_at_all(struct look *l, int family)
{
    const struct nsh_fib_filter filter = {
            .family = (uint8_t)family, .protocol = OURS, .table = l->table};

    l->n = 0;
    for (size_t i = 0; i < ROUTES; i++)
        l->routes[i].seen = false;
    assert_int_equal(nsh_fib_dump(l->w->fib, &filter, look_at, l), 0);
    assert_int_equal(l->n, ROUTES);
}

static void write_all(struct world *w, enum nsh_fib_verb verb, struct made *routes)
{
    static struct nsh_fib_op ops[ROUTES];

    for (size_t i = 0; i < ROUTES; i++)
        ops[i] = (struct nsh_fib_op){.verb = verb, .route = routes[i].route};
    assert_int_equal(w->fib->ops->submit(w->fib, w->links, ops, ROUTES, refused, routes), 0);
}

static void run_family(struct world *w, int family)
{
    static struct made routes[ROUTES];
    struct look l = {.w = w, .routes = routes, .table = TABLE};
    char path[] = "/tmp/nsh-test-fib-random-XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    l.batch = fdopen(fd, "w");
    assert_non_null(l.batch);
    for (unsigned i = 0; i < ROUTES; i++)
        make_route(&routes[i], family, i);
    write_all(w, NSH_FIB_ADD, routes);
    look_at_all(&l, family);
    assert_int_equal(fclose(l.batch), 0);
    l.batch = NULL;

    world_command("ip -%d -batch %s", family == AF_INET ? 4 : 6, path);
    (void)unlink(path);
    l.table = TABLE_COPY;
    look_at_all(&l, family);
    world_command("ip -%d route flush table %d", family == AF_INET ? 4 : 6, TABLE_COPY);

    l.table = TABLE;
    write_all(w, NSH_FIB_REPLACE, routes);
    look_at_all(&l, family);
    write_all(w, NSH_FIB_DELETE, routes);
    assert_int_equal(world_count(w, (struct nsh_fib_filter){(uint8_t)family, OURS, TABLE}), 0);
    for (unsigned i = 0; i < ROUTES; i++)
        free(routes[i].props);
}

static void test_random(void **state)
{
    for (int round = 0; round < 5; round++) {
        run_family(*state, AF_INET);
        run_family(*state, AF_INET6);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {TEST(test_random)};
    const char *given = getenv("NSH_SEED");

    seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    first_seed = seed;
    (void)fprintf(stderr, "# NSH_SEED=%llu\n", (unsigned long long)seed);
    return world_run(tests, NSH_ARRAY_SIZE(tests));
}
