/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "route-text.h"

static int setup(void **state)
{
    *state = nsh_arena_new();
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    nsh_arena_free(*state);
    return 0;
}

/* ---- normalisation ---- */

static void test_normalize_ipv6(void **state)
{
    struct nsh_route r = rt(*state, "2001:db8::/32 via fe80::1 dev #2 tos 8 scope 253 weight 7");

    assert_int_equal(r.metric, 1024);
    assert_int_equal(r.tos, 0);
    assert_int_equal(r.props->scope, 0);
    assert_int_equal(r.props->nexthops[0].weight, 1);
    r = rt(*state, "2001:db8::/32 via fe80::1 dev #2 metric 5");
    assert_int_equal(r.metric, 5);
}

static void test_normalize_ipv4_keeps(void **state)
{
    struct nsh_route r = rt(*state, "10.0.0.0/8 via 192.0.2.1 tos 8 scope 200");

    assert_int_equal(r.metric, 0);
    assert_int_equal(r.tos, 8);
    assert_int_equal(r.props->scope, 200);
}

static void test_normalize_host_bits(void **state)
{
    struct nsh_route_props *props;
    struct nsh_route r = rt_raw(*state, "10.0.0.0/8 dev #2", &props), same = r;

    r.dst.bytes[3] = 1;
    r.dst.bytes[9] = 1;
    nsh_route_normalize(&r, props);
    assert_int_equal(nsh_route_id_cmp(&r, &same), 0);
}

/* What the kernel cuts or forgets must not look like a difference for ever. */
static void test_normalize_metrics(void **state)
{
    struct nsh_route r = rt(*state, "10.0.0.0/8 dev #2 mtu 70000 advmss 0");

    assert_int_equal(r.props->metrics_set, 1U << RTAX_MTU);
    assert_int_equal(r.props->metrics[RTAX_MTU], 65520);
}

static void test_normalize_no_nexthops(void **state)
{
    static const char *const none[] = {"blackhole", "unreachable", "prohibit", "throw"};

    for (size_t i = 0; i < 4; i++) {
        char text[64];

        snprintf(text, sizeof(text), "%s 2001:db8::/32 dev #1", none[i]);
        assert_int_equal(rt(*state, text).props->n_nexthops, 0);
    }
    assert_int_equal(rt(*state, "local 192.0.2.1 dev #1").props->n_nexthops, 1);
}

static void test_normalize_idempotent(void **state)
{
    static const char *const texts[] = {
            "10.0.0.0/8 via 192.0.2.1 dev #2 metric 100 src 192.0.2.9",
            "default nexthop via 192.0.2.2 dev #2 weight 3 nexthop via 192.0.2.1 dev #3",
            "default6 nexthop via fe80::2 dev #2 weight 3 nexthop via fe80::1 dev #3",
            "blackhole 2001:db8::/32 metric 7",
            "10.0.0.0/8 via inet6 fe80::1 dev #2 mtu lock 70000",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct nsh_route_props *props;
        struct nsh_route once = rt_raw(*state, texts[i], &props), twice;
        unsigned char bytes[sizeof(*props) + 4 * sizeof(struct nsh_nexthop)];

        nsh_route_normalize(&once, props);
        memcpy(bytes, props, sizeof(bytes));
        twice = once;
        nsh_route_normalize(&twice, props);
        assert_memory_equal(bytes, props, sizeof(bytes));
        assert_memory_equal(&once, &twice, sizeof(once));
        assert_true(nsh_route_equal(&once, &twice, NULL));
    }
}

/* IPv6 nexthops are a set: one form, however they were written. */
static void test_normalize_order(void **state)
{
    struct nsh_route a = rt(*state, "default6 nexthop via fe80::2 dev @1 nexthop via fe80::1");
    struct nsh_route b = rt(*state, "default6 nexthop via fe80::1 nexthop via fe80::2 dev @1");

    assert_memory_equal(a.props, b.props, nsh_route_props_size(2));
    a = rt(*state, "default nexthop via 192.0.2.2 nexthop via 192.0.2.1");
    assert_int_equal(a.props->nexthops[0].via.bytes[3], 2);
}

/* ---- identity ---- */

static void test_identity(void **state)
{
    static const char *const ordered[] = {
            "default dev #1",
            "default dev #1 metric 5",
            "10.0.0.0/8 dev #1",
            "10.0.0.0/16 dev #1",
            "10.0.0.0/16 dev #1 tos 8",
            "10.0.0.0/16 dev #1 metric 1",
            "10.1.0.0/16 dev #1",
            "10.0.0.0/8 dev #1 table 300",
            "default6 dev #1",
            "2001:db8::/32 dev #1 metric 5",
            "2001:db8::/32 dev #1",
    };
    const size_t n = sizeof(ordered) / sizeof(ordered[0]);

    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < n; k++) {
            struct nsh_route a = rt(*state, ordered[i]), b = rt(*state, ordered[k]);
            int r = nsh_route_id_cmp(&a, &b);

            assert_int_equal((r > 0) - (r < 0), (i > k) - (i < k));
        }
}

static void test_identity_is_not_equality(void **state)
{
    struct nsh_route a = rt(*state, "10.0.0.0/8 via 192.0.2.1 dev #1 proto 4");
    struct nsh_route b = rt(*state, "blackhole 10.0.0.0/8");

    assert_int_equal(nsh_route_id_cmp(&a, &b), 0);
    assert_false(nsh_route_equal(&a, &b, NULL));
}

/* ---- equality ---- */

static const struct nsh_link links[] = {
        {.name = "eth0", .ifindex = 3},
        {.name = "eth1", .ifindex = 2},
        {.name = "gone", .ifindex = 0},
        {.gateway_family = AF_INET, .ifindex = 0},
        {.gateway_family = AF_INET, .ifindex = 5},
        {.name = "eth2", .ifindex = 7},
};

static const struct {
    const char *want, *seen;
    bool equal;
} pairs[] = {
        {"10.0.0.0/8 via 192.0.2.1 dev @0", "10.0.0.0/8 via 192.0.2.1 dev #3", true},
        {"10.0.0.0/8 via 192.0.2.1 dev @0", "10.0.0.0/8 via 192.0.2.1 dev #3 proto 4", true},
        {"10.0.0.0/8 via 192.0.2.1 dev @0 replace", "10.0.0.0/8 via 192.0.2.1 dev #3", true},
        {"10.0.0.0/8 via 192.0.2.1 dev @0", "10.0.0.0/8 via 192.0.2.1 dev #2", false},
        {"10.0.0.0/8 via 192.0.2.1 dev @0", "10.0.0.0/8 via 192.0.2.2 dev #3", false},
        {"10.0.0.0/8 via 192.0.2.1 dev @0", "10.0.0.0/8 dev #3", false},
        {"10.0.0.0/8 via 192.0.2.1 dev @0", "10.0.0.0/8 via 192.0.2.1 dev #3 onlink", false},
        {"10.0.0.0/8 via 192.0.2.1 dev @0", "10.0.0.0/8 via inet6 fe80::1 dev #3", false},
        /* no device, a device that is not there, one that the kernel chooses */
        {"10.0.0.0/8 via 192.0.2.1", "10.0.0.0/8 via 192.0.2.1 dev #77", true},
        {"10.0.0.0/8 dev @2", "10.0.0.0/8 dev #3", false},
        {"10.0.0.0/8 dev @2", "10.0.0.0/8 scope 253", false},
        {"10.0.0.0/8 via 192.0.2.1 dev @3", "10.0.0.0/8 via 192.0.2.1 dev #77", true},
        {"10.0.0.0/8 via 192.0.2.1 dev @4", "10.0.0.0/8 via 192.0.2.1 dev #77", false},
        {"10.0.0.0/8 via 192.0.2.1 dev @4", "10.0.0.0/8 via 192.0.2.1 dev #5", true},
        /* type, scope, source, metrics */
        {"blackhole 10.0.0.0/8", "blackhole 10.0.0.0/8", true},
        {"blackhole 10.0.0.0/8", "unreachable 10.0.0.0/8", false},
        {"10.0.0.0/8 dev @0", "10.0.0.0/8 dev #3 scope 0", false},
        {"2001:db8::/32 dev @0", "2001:db8::/32 dev #3 scope 200", true},
        {"10.0.0.0/8 dev @0 src 192.0.2.9", "10.0.0.0/8 dev #3 src 192.0.2.9", true},
        {"10.0.0.0/8 dev @0 src 192.0.2.9", "10.0.0.0/8 dev #3", false},
        {"10.0.0.0/8 dev @0", "10.0.0.0/8 dev #3 src 192.0.2.9", false},
        {"10.0.0.0/8 dev @0 src 192.0.2.9", "10.0.0.0/8 dev #3 src 192.0.2.8", false},
        {"10.0.0.0/8 dev @0 mtu 1400", "10.0.0.0/8 dev #3 mtu 1400", true},
        {"10.0.0.0/8 dev @0 mtu 1400", "10.0.0.0/8 dev #3 mtu 1401", false},
        {"10.0.0.0/8 dev @0 mtu 1400", "10.0.0.0/8 dev #3 mtu lock 1400", false},
        {"10.0.0.0/8 dev @0 mtu 1400", "10.0.0.0/8 dev #3", false},
        {"10.0.0.0/8 dev @0", "10.0.0.0/8 dev #3 advmss 1000", false},
        /* IPv4 nexthops are a list */
        {"default nexthop via 192.0.2.1 dev @0 weight 2 nexthop via 192.0.2.2 dev @1",
                "default nexthop via 192.0.2.1 dev #3 weight 2 nexthop via 192.0.2.2 dev #2", true},
        {"default nexthop via 192.0.2.1 dev @0 weight 2 nexthop via 192.0.2.2 dev @1",
                "default nexthop via 192.0.2.1 dev #3 weight 3 nexthop via 192.0.2.2 dev #2",
                false},
        {"default nexthop via 192.0.2.1 dev @0 nexthop via 192.0.2.2 dev @1",
                "default nexthop via 192.0.2.2 dev #2 nexthop via 192.0.2.1 dev #3", false},
        {"default nexthop via 192.0.2.1 dev @0 nexthop via 192.0.2.2 dev @1",
                "default via 192.0.2.1 dev #3", false},
        /* IPv6 ones a set, though link indexes and ifindexes sort differently */
        {"default6 nexthop via fe80::1 dev @0 nexthop via fe80::1 dev @1",
                "default6 nexthop via fe80::1 dev #2 nexthop via fe80::1 dev #3", true},
        {"default6 nexthop via fe80::1 dev @0 nexthop via fe80::2 dev @1",
                "default6 nexthop via fe80::2 dev #2 nexthop via fe80::1 dev #3", true},
        {"default6 nexthop via fe80::1 dev @0 nexthop via fe80::1 dev @0",
                "default6 nexthop via fe80::1 dev #2 nexthop via fe80::1 dev #3", false},
        /* one that any device will do for must not take the other's partner */
        {"default6 nexthop via fe80::1 nexthop via fe80::1 dev @0",
                "default6 nexthop via fe80::1 dev #3 nexthop via fe80::1 dev #2", true},
        {"default6 nexthop via fe80::1 dev @1 nexthop via fe80::1",
                "default6 nexthop via fe80::1 dev #3 nexthop via fe80::1 dev #2", true},
        {"default6 nexthop via fe80::1 dev @0 nexthop via fe80::1",
                "default6 nexthop via fe80::1 dev #5 nexthop via fe80::1 dev #2", false},
        {"default6 nexthop via fe80::1 dev @3 nexthop via fe80::1 dev @5",
                "default6 nexthop via fe80::1 dev #7 nexthop via fe80::1 dev #9", true},
        {"default dev @0", "default6 dev #3", false},
        {"10.0.0.0/8 via 192.0.2.1 dev @2", "10.0.0.0/8 via 192.0.2.1", false},
};

static void test_equal(void **state)
{
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        struct nsh_route want = rt(*state, pairs[i].want), seen = rt(*state, pairs[i].seen);

        if (nsh_route_equal(&want, &seen, links) != pairs[i].equal)
            fail_msg("%s\n    and %s", pairs[i].want, pairs[i].seen);
    }
}

/* ---- text ---- */

static const struct {
    const char *route, *text;
} texts[] = {
        {"default via 192.168.1.1 dev @0 metric 100",
                "default via 192.168.1.1 dev eth0 metric 100"},
        {"blackhole 192.0.2.0/24", "blackhole 192.0.2.0/24"},
        {"10.20.0.0/16 via inet6 fe80::1 dev @0", "10.20.0.0/16 via inet6 fe80::1 dev eth0"},
        {"10.20.0.0/16 via 192.168.1.1", "10.20.0.0/16 via 192.168.1.1"},
        {"10.20.0.0/16 via 192.168.1.1 dev @4", "10.20.0.0/16 via 192.168.1.1"},
        {"10.20.0.0/16 via 192.168.1.1 dev #3", "10.20.0.0/16 via 192.168.1.1 dev #3"},
        {"192.0.2.1 dev @0", "192.0.2.1 dev eth0"},
        {"192.0.2.1 dev @0 scope 0", "192.0.2.1 dev eth0 scope global"},
        {"192.0.2.1 via 192.0.2.2 scope 253", "192.0.2.1 via 192.0.2.2 scope link"},
        {"local 192.0.2.1 dev @0 table 255", "local 192.0.2.1 dev eth0 table local"},
        {"10.0.0.0/8 dev @0 tos 16 table 100 src 192.0.2.9 metric 5 mtu 1400 advmss 1000",
                "10.0.0.0/8 tos 0x10 dev eth0 table 100 src 192.0.2.9 metric 5 mtu 1400 "
                "advmss 1000"},
        {"10.0.0.0/8 via 192.0.2.1 dev @0 onlink mtu lock 1400",
                "10.0.0.0/8 via 192.0.2.1 dev eth0 onlink mtu lock 1400"},
        {"2001:db8::/48 via fe80::1 dev @1", "2001:db8::/48 via fe80::1 dev eth1"},
        {"2001:db8::/48 via fe80::1 dev @1 metric 7",
                "2001:db8::/48 via fe80::1 dev eth1 metric 7"},
        {"default6 via fe80::1 dev @1", "default via fe80::1 dev eth1"},
        {"10.40.0.0/16 nexthop via 10.0.0.2 dev @0 weight 2 nexthop via 10.0.1.2 dev @1 onlink",
                "10.40.0.0/16 nexthop via 10.0.0.2 dev eth0 weight 2 nexthop via 10.0.1.2 dev eth1 "
                "weight 1 onlink"},
};

static void test_format(void **state)
{
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct nsh_route r = rt(*state, texts[i].route);
        char buf[256];

        assert_string_equal(nsh_route_format(&r, links, buf, sizeof(buf)), texts[i].text);
    }
}

static void test_format_cut(void **state)
{
    struct nsh_route r = rt(*state, "10.40.0.0/16 via 10.0.0.2 metric 100");
    char whole[64];

    nsh_route_format(&r, NULL, whole, sizeof(whole));
    for (size_t size = 1; size < sizeof(whole); size++) {
        char *buf = malloc(size); /* its end is watched by the sanitizer */

        assert_non_null(buf);
        nsh_route_format(&r, NULL, buf, size);
        assert_true(strlen(buf) < size);
        assert_memory_equal(buf, whole, strlen(buf));
        free(buf);
    }
}

static void test_format_key(void **state)
{
    struct nsh_route r = rt(*state, "10.20.0.0/16 via 192.0.2.1 table 100 metric 5");
    char buf[64];

    assert_string_equal(
            nsh_route_format_key(&r, buf, sizeof(buf)), "10.20.0.0/16 table 100 metric 5");
}

static void test_names(void **state)
{
    (void)state;
    for (int i = 1; i < __RTN_MAX; i++)
        assert_int_equal(nsh_route_type_parse(nsh_route_type_name((uint8_t)i)), i);
    assert_null(nsh_route_type_name(RTN_UNSPEC));
    assert_null(nsh_route_type_name(200));
    assert_int_equal(nsh_route_type_parse("unicasts"), -1);
    assert_string_equal(nsh_route_protocol_name(16), "dhcp");
    assert_null(nsh_route_protocol_name(110));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_normalize_ipv6),
            cmocka_unit_test(test_normalize_ipv4_keeps),
            cmocka_unit_test(test_normalize_host_bits),
            cmocka_unit_test(test_normalize_metrics),
            cmocka_unit_test(test_normalize_no_nexthops),
            cmocka_unit_test(test_normalize_idempotent),
            cmocka_unit_test(test_normalize_order),
            cmocka_unit_test(test_identity),
            cmocka_unit_test(test_identity_is_not_equality),
            cmocka_unit_test(test_equal),
            cmocka_unit_test(test_format),
            cmocka_unit_test(test_format_cut),
            cmocka_unit_test(test_format_key),
            cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
