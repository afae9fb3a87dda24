/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Routes written, read back, and deleted: nothing lost, nothing foreign touched.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fib-world.h"

/* ---- round trips ---- */

static const struct spec round_trips[] = {
        {"10.1.0.0/16", .hops = {{.via = "192.0.2.9", .link = V0 + 1}}},
        {"10.1.0.0/16", .hops = {{.via = "192.0.2.9"}}},
        {"10.1.0.0/16", .hops = {{.via = "192.0.2.9", .link = GATEWAY + 1}}},
        {"10.1.0.0/16", .scope = RT_SCOPE_LINK, .hops = {{.link = V0 + 1}}},
        {"0.0.0.0/0", .metric = 4000000000U, .hops = {{.via = "192.0.2.9", .link = V0 + 1}}},
        {"10.1.2.3", .table = 100, .hops = {{.via = "192.0.2.9", .link = V0 + 1}}},
        {"10.1.0.0/16", .table = 4294967295U, .hops = {{.via = "192.0.2.9", .link = V0 + 1}}},
        {"10.1.0.0/16", .table = 256, .tos = 0x10, .hops = {{.via = "192.0.2.9", .link = V0 + 1}}},
        {"10.1.0.0/16", .source = "192.0.2.2", .hops = {{.via = "192.0.2.9", .link = V0 + 1}}},
        {"10.1.0.0/16", .hops = {{.via = "10.255.0.1", .link = V0 + 1, .flags = RTNH_F_ONLINK}}},
        {"10.1.0.0/16", .hops = {{.via = "fe80::1", .link = V0 + 1}}},
        {"10.1.0.0/16", .metrics = {{RTAX_MTU, 1400}},
                .hops = {{.via = "192.0.2.9", .link = V0 + 1}}},
        {"10.1.0.0/16", .metrics_lock = 1U << RTAX_MTU,
                .metrics = {{RTAX_MTU, 1400}, {RTAX_ADVMSS, 1360}, {RTAX_INITCWND, 20},
                        {RTAX_INITRWND, 30}},
                .hops = {{.via = "192.0.2.9", .link = V0 + 1}}},
        {"10.1.0.0/16",
                .metrics = {{RTAX_RTT, 800}, {RTAX_CWND, 7}, {RTAX_HOPLIMIT, 300},
                        {RTAX_QUICKACK, 1}},
                .hops = {{.via = "192.0.2.9", .link = V0 + 1}}},
        {"10.1.0.0/16", .metrics = {{RTAX_MTU, 70000}, {RTAX_ADVMSS, 70000}, {RTAX_RTO_MIN, 200}},
                .hops = {{.via = "192.0.2.9", .link = V0 + 1}}},
        {"10.1.0.0/16", .metric = 7,
                .hops = {{.via = "192.0.2.9", .link = V0 + 1, .weight = 2},
                        {.via = "198.51.100.9", .link = V1 + 1, .weight = 256}}},
        {"10.1.0.0/16",
                .hops = {{.via = "198.51.100.9", .weight = 3}, {.link = V0 + 1, .weight = 1},
                        {.via = "10.255.0.1",
                                .link = V1 + 1,
                                .weight = 1,
                                .flags = RTNH_F_ONLINK}}},
        {"10.1.0.0/16", .hops = {{.via = "2001:db8:1::9", .link = V0 + 1, .weight = 2},
                                {.via = "198.51.100.9", .link = V1 + 1}}},
        {"10.1.0.0/16", .type = RTN_BLACKHOLE},
        {"10.1.0.0/16", .type = RTN_UNREACHABLE, .metric = 9},
        {"10.1.0.0/16", .type = RTN_PROHIBIT},
        {"10.1.0.0/16", .type = RTN_THROW, .table = 300},
        {"10.1.0.0/16", .type = RTN_LOCAL, .scope = RT_SCOPE_HOST, .hops = {{.link = V0 + 1}}},
        {"2001:db8:9::/48", .hops = {{.via = "2001:db8:1::9", .link = V0 + 1}}},
        {"2001:db8:9::/48", .hops = {{.via = "2001:db8:1::9"}}},
        {"2001:db8:9::/48", .hops = {{.via = "fe80::1", .link = V0 + 1}}},
        {"2001:db8:9::/48", .hops = {{.link = V0 + 1}}},
        {"::/0", .metric = 4000000000U, .hops = {{.via = "fe80::1", .link = V0 + 1}}},
        {"2001:db8:9::1", .table = 4294967295U, .hops = {{.via = "fe80::1", .link = V0 + 1}}},
        {"2001:db8:9::/48", .source = "2001:db8:1::1",
                .hops = {{.via = "fe80::1", .link = V0 + 1}}},
        {"2001:db8:9::/48",
                .hops = {{.via = "2001:db8:77::1", .link = V0 + 1, .flags = RTNH_F_ONLINK}}},
        {"2001:db8:9::/48", .metrics_lock = 1U << RTAX_MTU,
                .metrics = {{RTAX_MTU, 1400}, {RTAX_ADVMSS, 1360}, {RTAX_INITCWND, 20},
                        {RTAX_HOPLIMIT, 9}},
                .hops = {{.via = "fe80::1", .link = V0 + 1}}},
        {"2001:db8:9::/48",
                .metrics = {{RTAX_MTU, 70000}, {RTAX_ADVMSS, 70000}, {RTAX_HOPLIMIT, 300}},
                .hops = {{.via = "fe80::1", .link = V0 + 1}}},
        {"2001:db8:9::/48", .metric = 5,
                .hops = {{.via = "fe80::2", .link = V1 + 1, .weight = 2},
                        {.via = "fe80::1", .link = V0 + 1, .weight = 256},
                        {.via = "2001:db8:2::9", .weight = 1}}},
        {"2001:db8:9::/48", .hops = {{.via = "2001:db8:77::1",
                                             .link = V0 + 1,
                                             .weight = 1,
                                             .flags = RTNH_F_ONLINK},
                                    {.via = "fe80::1", .link = V1 + 1}}},
        {"2001:db8:9::/48", .type = RTN_BLACKHOLE},
        {"2001:db8:9::/48", .type = RTN_UNREACHABLE, .metric = 9},
        {"2001:db8:9::/48", .type = RTN_PROHIBIT},
        {"2001:db8:9::/48", .type = RTN_THROW, .table = 300},
};

static void test_round_trips(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < NSH_ARRAY_SIZE(round_trips); i++) {
        nsh_autofree struct nsh_route_props *props = NULL;
        struct nsh_route want = world_make(&round_trips[i], &props);
        struct seen s = {0};

        world_expect_written(world_submit_one(w, NSH_FIB_ADD, &want));
        world_expect_same(w, &want, &s);
        assert_int_equal(world_submit_one(w, NSH_FIB_ADD, &want).error, -EEXIST);
        world_expect_written(world_submit_one(w, NSH_FIB_REPLACE, &want));
        world_expect_same(w, &want, &s);
        world_expect_written(world_submit_one(w, NSH_FIB_DELETE, &s.routes[0]));
        assert_int_equal(world_count(w, (struct nsh_fib_filter){.protocol = OURS}), 0);
        assert_int_equal(world_submit_one(w, NSH_FIB_DELETE, &s.routes[0]).error, -ESRCH);
        world_forget(&s);
    }
}

/* A wanted route is deleted by what is wanted, too. */
static void test_delete_wanted(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < NSH_ARRAY_SIZE(round_trips); i++) {
        world_expect_written(world_submit_spec(w, NSH_FIB_ADD, &round_trips[i]));
        world_expect_written(world_submit_spec(w, NSH_FIB_DELETE, &round_trips[i]));
    }
    assert_int_equal(world_count(w, (struct nsh_fib_filter){.protocol = OURS}), 0);
}

static void expect_unlike(struct world *w, const char *add, const struct spec *spec)
{
    nsh_autofree struct nsh_route_props *props = NULL;
    struct nsh_route want = world_make(spec, &props);
    struct seen s = {0};

    world_command("%s", add);
    world_dump(w, (struct nsh_fib_filter){.family = want.family, .protocol = OURS}, &s);
    assert_int_equal(s.n, 1);
    assert_int_equal(nsh_route_id_cmp(&want, &s.routes[0]), 0);
    assert_false(nsh_route_equal(&want, &s.routes[0], w->links));
    world_expect_written(world_submit_one(w, NSH_FIB_REPLACE, &want));
    world_expect_same(w, &want, &s);
    world_expect_written(world_submit_one(w, NSH_FIB_DELETE, &s.routes[0]));
    world_forget(&s);
}

/* Routes that say more than a value holds equal none; what differs in one thing does not either. */
static void test_unlike(void **state)
{
    struct world *w = *state;
    static const struct spec v4 = {"10.1.0.0/16", .hops = {{.via = "192.0.2.9", .link = V0 + 1}}};
    static const struct spec v6 = {"2001:db8:9::/48", .hops = {{.via = "fe80::1", .link = V0 + 1}}};

#define V4 "ip route add 10.1.0.0/16 proto 110 via 192.0.2.9 dev v0 "
#define V6 "ip route add 2001:db8:9::/48 proto 110 via fe80::1 dev v0 "
    expect_unlike(w, V4 "congctl reno", &v4);
    expect_unlike(w, V6 "congctl reno", &v6);
    expect_unlike(w, V6 "expires 1000", &v6);
    expect_unlike(w, V4 "mtu 1400", &v4);
    expect_unlike(w, V4 "onlink", &v4);
    expect_unlike(w, V4 "src 192.0.2.1", &v4);
    expect_unlike(w, V6 "src 2001:db8:1::1", &v6);
    expect_unlike(w, "ip route add 10.1.0.0/16 proto 110 via inet6 fe80::1 dev v0", &v4);
    expect_unlike(w, "ip route add 10.1.0.0/16 proto 110 via 198.51.100.9 dev v1", &v4);
    expect_unlike(w,
            "ip route add 10.1.0.0/16 proto 110 nexthop via 192.0.2.9 dev v0"
            " nexthop via 198.51.100.9 dev v1",
            &v4);
    expect_unlike(w, "ip -6 route add blackhole 2001:db8:9::/48 proto 110", &v6);
}

static void test_nexthop_object(void **state)
{
    struct world *w = *state;
    static const struct spec spec = {"10.1.0.0/16", .hops = {{.via = "192.0.2.9", .link = V0 + 1}}};
    nsh_autofree struct nsh_route_props *props = NULL;
    struct nsh_route want = world_make(&spec, &props);
    struct seen s = {0};

    IP("nexthop add id 7 via 192.0.2.9 dev v0");
    IP("route add 10.1.0.0/16 nhid 7 proto 110");
    world_expect_same(w, &want, &s);
    world_forget(&s);
}

static void add_many_nexthops(const char *prefix, const char *format, int n)
{
    char text[16384];
    size_t used = (size_t)snprintf(text, sizeof(text), "ip route add %s proto 110", prefix);

    for (int i = 1; i <= n; i++) {
        used += (size_t)snprintf(
                text + used, sizeof(text) - used, " nexthop via %s%d dev v0", format, i);
        assert_true(used < sizeof(text));
    }
    assert_int_equal(system(text), 0);
}

static void test_too_many_nexthops(void **state)
{
    static const char *const hosts[] = {"192.0.2.", "fe80::"};
    static const char *const prefixes[] = {"10.1.0.0/16", "2001:db8:9::/48"};
    struct world *w = *state;
    struct nsh_fib_filter ours = {.protocol = OURS};

    for (size_t i = 0; i < 2; i++) {
        struct seen s = {0};

        add_many_nexthops(prefixes[i], hosts[i], NSH_NEXTHOPS_MAX);
        world_dump(w, ours, &s);
        assert_int_equal(s.n, 1);
        assert_int_equal(s.routes[0].props->n_nexthops, NSH_NEXTHOPS_MAX);
        assert_true(nsh_route_equal(&s.routes[0], &s.routes[0], NULL));
        world_expect_written(world_submit_one(w, NSH_FIB_DELETE, &s.routes[0]));

        add_many_nexthops(prefixes[i], hosts[i], NSH_NEXTHOPS_MAX + 6);
        world_dump(w, ours, &s);
        assert_int_equal(s.n, 1);
        assert_int_equal(s.routes[0].props->n_nexthops, NSH_NEXTHOPS_MAX);
        assert_true(s.routes[0].props->metrics_set & NSH_FIBNL_INEXACT);
        world_expect_written(world_submit_one(w, NSH_FIB_DELETE, &s.routes[0]));
        /* IPv6: the nexthops that were not read are the next one's business. */
        world_dump(w, ours, &s);
        assert_int_equal(s.n, i);
        if (s.n)
            world_expect_written(world_submit_one(w, NSH_FIB_DELETE, &s.routes[0]));
        assert_int_equal(world_count(w, ours), 0);
        world_forget(&s);
    }
}

/* ---- deletion ---- */

static void test_delete_leaves_foreign_v4(void **state)
{
    struct world *w = *state;
    struct spec ours = {"10.1.0.0/16", .metric = 5, .hops = {{.via = "192.0.2.9", .link = V0 + 1}}};
    struct spec none = {"10.2.0.0/16", .hops = {{.via = "192.0.2.9", .link = V0 + 1}}};

    /* The same nexthop, another protocol, before and after ours. */
    world_expect_written(world_submit_spec(w, NSH_FIB_ADD, &ours));
    IP("route prepend 10.1.0.0/16 via 192.0.2.9 dev v0 metric 5 proto 4 mtu 1300");
    IP("route append 10.1.0.0/16 via 192.0.2.9 dev v0 metric 5 proto 4");
    world_expect_written(world_submit_spec(w, NSH_FIB_DELETE, &ours));
    assert_int_equal(world_count(w, (struct nsh_fib_filter){.protocol = OURS}), 0);
    assert_int_equal(world_count(w, (struct nsh_fib_filter){.protocol = FOREIGN}), 2);
    world_expect_failure(world_submit_spec(w, NSH_FIB_DELETE, &ours), -ESRCH, "");
    assert_int_equal(world_count(w, (struct nsh_fib_filter){.protocol = FOREIGN}), 2);

    /* Our protocol, but another nexthop, source, type or metrics: not what was to be deleted. */
    IP("route add 10.2.0.0/16 via 192.0.2.8 dev v0 proto 110");
    world_expect_failure(world_submit_spec(w, NSH_FIB_DELETE, &none), -ESRCH, "");
    IP("route replace 10.2.0.0/16 via 192.0.2.9 dev v0 proto 110 mtu 1300");
    none.metrics[0].metric = RTAX_MTU;
    none.metrics[0].value = 1400;
    world_expect_failure(world_submit_spec(w, NSH_FIB_DELETE, &none), -ESRCH, "");
    IP("route replace blackhole 10.2.0.0/16 proto 110");
    world_expect_failure(world_submit_spec(w, NSH_FIB_DELETE, &none), -ESRCH, "");
    assert_int_equal(world_count(w, (struct nsh_fib_filter){.protocol = OURS}), 1);
}

static void test_delete_leaves_foreign_v6(void **state)
{
    struct world *w = *state;
    struct spec ours = {
            "2001:db8:9::/48", .metric = 5, .hops = {{.via = "fe80::1", .link = V0 + 1}}};
    struct spec black = {"2001:db8:9::/48", .metric = 5, .type = RTN_BLACKHOLE};
    struct spec two = {"2001:db8:9::/48", .metric = 5,
            .hops = {{.via = "fe80::1", .link = V0 + 1}, {.via = "fe80::2", .link = V1 + 1}}};

    /* A foreign nexthop that was merged into our route. */
    world_expect_written(world_submit_spec(w, NSH_FIB_ADD, &ours));
    IP("route append 2001:db8:9::/48 via fe80::3 dev v1 metric 5 proto 4");
    world_expect_written(world_submit_spec(w, NSH_FIB_DELETE, &ours));
    world_command("ip -6 route show 2001:db8:9::/48 | grep -q 'via fe80::3 dev v1 proto static'");
    assert_int_equal(world_count(w, (struct nsh_fib_filter){.protocol = OURS}), 0);
    world_expect_failure(world_submit_spec(w, NSH_FIB_DELETE, &ours), -ESRCH, "");
    IP("route del 2001:db8:9::/48");

    world_expect_written(world_submit_spec(w, NSH_FIB_ADD, &two));
    IP("route append 2001:db8:9::/48 via fe80::3 dev v1 metric 5 proto 4");
    world_expect_written(world_submit_spec(w, NSH_FIB_DELETE, &two));
    assert_int_equal(world_count(w, (struct nsh_fib_filter){.protocol = OURS}), 0);
    assert_int_equal(world_count(w, (struct nsh_fib_filter){.protocol = FOREIGN}), 1);
    IP("route del 2001:db8:9::/48");

    /* One that leads nowhere is not the one that leads somewhere. */
    world_expect_written(world_submit_spec(w, NSH_FIB_ADD, &two));
    assert_int_equal(world_submit_spec(w, NSH_FIB_DELETE, &black).error, -ESRCH);
    world_expect_written(world_submit_spec(w, NSH_FIB_REPLACE, &ours));
    assert_int_equal(world_count(w, (struct nsh_fib_filter){.protocol = OURS}), 1);
}

/* Nexthops of others that the kernel merged into our route go with a replacement, or stay. */
static void test_merged_v6(void **state)
{
    struct world *w = *state;
    static const struct spec spec = {"2001:db8:9::/48",
            .hops = {{.via = "fe80::1", .link = V0 + 1}, {.via = "fe80::2", .link = V1 + 1}}};
    nsh_autofree struct nsh_route_props *props = NULL;
    struct nsh_route want = world_make(&spec, &props);
    struct seen s = {0};

    world_expect_written(world_submit_one(w, NSH_FIB_ADD, &want));
    IP("route append 2001:db8:9::/48 via fe80::3 dev v1 proto 4");
    world_dump(w, (struct nsh_fib_filter){AF_INET6, OURS, 0}, &s);
    assert_int_equal(s.n, 1);
    assert_int_equal(s.routes[0].props->n_nexthops, 3);
    assert_false(nsh_route_equal(&want, &s.routes[0], w->links));
    world_expect_written(world_submit_one(w, NSH_FIB_REPLACE, &want));
    world_expect_same(w, &want, &s);
    assert_int_equal(world_count(w, (struct nsh_fib_filter){AF_INET6, FOREIGN, 0}), 0);

    /* Deleted as observed: the foreign one is not found under our protocol. */
    IP("route append 2001:db8:9::/48 via fe80::3 dev v1 proto 4");
    world_dump(w, (struct nsh_fib_filter){AF_INET6, OURS, 0}, &s);
    world_expect_failure(world_submit_one(w, NSH_FIB_DELETE, &s.routes[0]), -ESRCH, "");
    assert_int_equal(world_count(w, (struct nsh_fib_filter){AF_INET6, OURS, 0}), 0);
    assert_int_equal(world_count(w, (struct nsh_fib_filter){AF_INET6, FOREIGN, 0}), 1);
    world_forget(&s);
}

/* Whatever stands in a message, nothing is read beyond it; as many as show under a sanitizer. */
static void test_parse_rubbish(void **state)
{
    struct world *w = *state;
    nsh_autofree struct nsh_route_props *scratch = malloc(nsh_route_props_size(NSH_NEXTHOPS_MAX));
    uint32_t random = 1;

    assert_non_null(scratch);
    for (size_t i = 0; i < NSH_ARRAY_SIZE(round_trips); i++) {
        nsh_autofree struct nsh_route_props *props = NULL;
        struct nsh_route want = world_make(&round_trips[i], &props);

        for (size_t round = 0; round < 2000; round++) {
            nsh_autofree uint8_t *copy = NULL;
            struct nsh_route got;
            size_t size;

            copy = nsh_fibnl_test_message(w->fib, w->links, &want, &size);
            assert_non_null(copy);
            for (size_t k = 0; k < 1 + round % 4; k++) {
                random = random * 1664525U + 1013904223U;
                /* The frame around the message was checked before. */
                copy[NLMSG_HDRLEN + (random >> 8) % (size - NLMSG_HDRLEN)] =
                        (uint8_t)(random & 0x10 ? random >> 24 : (random >> 24) % 32);
            }
            if (nsh_fibnl_parse_route((struct nlmsghdr *)(void *)copy, &got, scratch) == 1)
                assert_true(got.props->n_nexthops <= NSH_NEXTHOPS_MAX);
        }
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            TEST(test_round_trips),
            TEST(test_delete_wanted),
            TEST(test_unlike),
            TEST(test_nexthop_object),
            TEST(test_too_many_nexthops),
            TEST(test_delete_leaves_foreign_v4),
            TEST(test_delete_leaves_foreign_v6),
            TEST(test_merged_v6),
            TEST(test_parse_rubbish),
    };

    return world_run(tests, NSH_ARRAY_SIZE(tests));
}
