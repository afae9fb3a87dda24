/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The reconciler and VRFs: routes are in the table that the device has now.
 */
#include "reconcile-world.h"

#define BLUE                                                                 \
    "routes:\n  - {to: 10.20.0.0/16, via: 10.0.0.9, dev: eth1, vrf: blue}\n" \
    "  - {to: \"2001:db8:20::/48\", via: \"fd00:2::9\", dev: eth1, vrf: blue}\n"
#define NAME "10.20.0.0/16 via 10.0.0.9 dev eth1 vrf blue"

static void assert_table(struct world *w, unsigned table)
{
    char v4[128] = "", v6[128] = "";

    if (table != 0) {
        snprintf(v4, sizeof(v4), "10.20.0.0/16 via 10.0.0.9 dev eth1 table %u proto 110\n", table);
        snprintf(v6, sizeof(v6),
                "2001:db8:20::/48 via fd00:2::9 dev eth1 table %u proto 110 metric 1024\n", table);
    }
    assert_route(w, "10.20.0.0/16", v4);
    assert_route(w, "2001:db8:20::/48", v6);
}

static void test_it_comes_and_goes(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, BLUE);
    assert_state(w, "route", NAME, NSH_OBJECT_PENDING);
    assert_reason(w, "route", NAME, "VRF blue does not exist");
    the_told(w, NSH_REPORT_PENDING, "route", NAME);
    assert_told(w, 2);
    assert_table(w, 0);
    assert_stable(w);

    forget(w);
    somebody(w, "ip link add blue type vrf table 10");
    run(w);
    assert_table(w, 10);
    assert_state(w, "route", NAME, NSH_OBJECT_HELD);
    the_told(w, NSH_REPORT_ADDED, "route", NAME);
    assert_told(w, 2);
    assert_stable(w);

    forget(w);
    somebody(w, "ip link del blue");
    run(w);
    assert_table(w, 0);
    assert_state(w, "route", NAME, NSH_OBJECT_PENDING);
    the_told(w, NSH_REPORT_REMOVED, "route", "10.20.0.0/16 via 10.0.0.9 dev eth1 table 10");
    the_told(w, NSH_REPORT_PENDING, "route", NAME);
    assert_stable(w);

    somebody(w, "ip link add blue type vrf table 4000000000");
    run(w);
    assert_table(w, 4000000000);
    assert_stable(w);

    forget(w);
    somebody(w, "ip route del 10.20.0.0/16 table 4000000000");
    run(w);
    the_told(w, NSH_REPORT_RESTORED, "route", NAME);
    assert_table(w, 4000000000);
    assert_stable(w);
}

/* Between two looks: it is deleted and made anew. */
static void test_it_changes_at_once(void **state)
{
    struct world *w = world_new();

    (void)state;
    somebody(w, "ip link add blue type vrf table 10");
    start(w, BLUE);
    assert_table(w, 10);
    assert_told(w, 2);
    forget(w);
    somebody(w, "ip link del blue");
    somebody(w, "ip link add blue type vrf table 11");
    run(w);
    assert_table(w, 11);
    assert_log(w, "add 10.20.0.0/16 vrf blue\nadd 2001:db8:20::/48 vrf blue\n"
                  "delete 10.20.0.0/16 table 10\ndelete 2001:db8:20::/48 table 10\n");
    assert_stable(w);
    somebody(w, "ip link set blue name red");
    run(w);
    assert_table(w, 0);
    assert_stable(w);
    somebody(w, "ip link set red name blue");
    run(w);
    assert_table(w, 11);
    assert_stable(w);
}

static void test_no_vrf(void **state)
{
    struct world *w = world_new();

    (void)state;
    somebody(w, "ip link add blue");
    start(w, BLUE);
    assert_reason(w, "route", NAME, "device blue is no VRF");
    somebody(w, "ip link del blue");
    run(w);
    assert_reason(w, "route", NAME, "VRF blue does not exist");
    assert_stable(w);
}

/* A restart and a reload find what is there, and write nothing but the difference. */
static void test_nothing_is_touched(void **state)
{
    struct world *w = world_new();

    (void)state;
    somebody(w, "ip link add blue type vrf table 10");
    start(w, BLUE);
    forget(w);
    reload(w, BLUE);
    assert_log(w, "");
    assert_told(w, 0);
    reload(w, BLUE "  - {to: 10.0.0.0/8, type: blackhole, vrf: blue}\n");
    assert_log(w, "add 10.0.0.0/8 vrf blue\n");
    forget(w);
    world_restart(w);
    start(w, BLUE "  - {to: 10.0.0.0/8, type: blackhole, vrf: blue}\n");
    assert_log(w, "");
    assert_told(w, 0);
    /* The table by its number is the same route. */
    reload(w, "routes:\n  - {to: 10.20.0.0/16, via: 10.0.0.9, dev: eth1, table: 10}\n");
    assert_log(w, "delete 2001:db8:20::/48 table 10\ndelete 10.0.0.0/8 table 10\n");
    assert_stable(w);
}

static void test_one_key_twice(void **state)
{
    static const char both[] = BLUE "  - {to: 10.20.0.0/16, via: 10.0.0.7, dev: eth1, table: 10}\n"
                                    "  - {to: 10.20.0.0/16, via: 10.0.0.6, dev: eth1, vrf: red}\n";
    struct world *w = world_new();

    (void)state;
    somebody(w, "ip link add blue type vrf table 10");
    start(w, both);
    assert_route(w, "10.20.0.0/16", "10.20.0.0/16 via 10.0.0.7 dev eth1 table 10 proto 110\n");
    assert_state(w, "route", NAME, NSH_OBJECT_PENDING);
    assert_reason(w, "route", NAME, "VRF blue is table 10, and the route at ");
    assert_reason(w, "route", NAME, ":5 has its place there");
    the_told(w, NSH_REPORT_PENDING, "route", NAME);
    assert_stable(w);

    somebody(w, "ip link del blue");
    somebody(w, "ip link add blue type vrf table 20");
    somebody(w, "ip link add red type vrf table 20");
    run(w);
    assert_route(w, "10.20.0.0/16",
            "10.20.0.0/16 via 10.0.0.7 dev eth1 table 10 proto 110\n"
            "10.20.0.0/16 via 10.0.0.9 dev eth1 table 20 proto 110\n");
    assert_state(w, "route", NAME, NSH_OBJECT_HELD);
    assert_reason(w, "route", "10.20.0.0/16 via 10.0.0.6", "VRF red is table 20, and the route at");
    assert_stable(w);
    somebody(w, "ip link del blue");
    run(w);
    assert_state(w, "route", "10.20.0.0/16 via 10.0.0.6", NSH_OBJECT_HELD);
    assert_reason(w, "route", NAME, "VRF blue does not exist");
    assert_stable(w);
}

/* A gateway without a device is looked for in the VRF, before it is anywhere else. */
static void test_a_gateway_in_the_vrf(void **state)
{
    struct world *w = world_new();

    (void)state;
    somebody(w, "ip link add blue type vrf table 10");
    somebody(w, "ip route add 10.0.0.0/24 dev eth0 table 10");
    start(w, "routes:\n  - {to: 10.20.0.0/16, via: 10.0.0.9, vrf: blue}\n"
             "  - {to: 10.21.0.0/16, via: 10.0.0.9}\n"
             "  - {to: 10.22.0.0/16, via: 192.168.1.9, vrf: blue}\n");
    assert_route(w, "10.20.0.0/16", "10.20.0.0/16 via 10.0.0.9 dev eth0 table 10 proto 110\n");
    assert_route(w, "10.21.0.0/16", "10.21.0.0/16 via 10.0.0.9 dev eth1 proto 110\n");
    assert_route(w, "10.22.0.0/16", "10.22.0.0/16 via 192.168.1.9 dev eth0 table 10 proto 110\n");
    assert_stable(w);
}

/* While its VRF is missing a route waits for no other route. */
static void test_it_waits_at_no_cost(void **state)
{
    struct world *w = world_new();
    const struct nsh_fib_fake_counts *counts = nsh_fib_fake_counts(w->kernel);
    size_t events, dumps;

    (void)state;
    start(w, BLUE);
    events = counts->events;
    dumps = counts->calls[NSH_FIB_FAKE_DUMP_BEGIN];
    somebody(w, "ip route add 10.99.0.0/16 dev eth1 proto 12");
    somebody(w, "ip route del 10.99.0.0/16 dev eth1");
    run(w);
    assert_int_equal(counts->events, events);
    assert_int_equal(counts->calls[NSH_FIB_FAKE_DUMP_BEGIN], dumps);
}

/* It is not held up by what else changes at that moment. */
static void test_conditions_and_failures(void **state)
{
    static const char gated[] =
            "routes:\n  - {to: 10.20.0.0/16, via: 10.0.0.9, dev: eth1, vrf: blue, "
            "when: {address: 10.0.0.254}}\n";
    struct world *w = world_new();

    (void)state;
    start(w, gated);
    assert_state(w, "route", NAME, NSH_OBJECT_STANDBY);
    somebody(w, "ip addr add 10.0.0.254/24 dev eth1");
    run(w);
    assert_state(w, "route", NAME, NSH_OBJECT_PENDING);
    somebody(w, "ip link add blue type vrf table 10");
    somebody(w, "ip addr del 10.0.0.254/24 dev eth1");
    run(w);
    assert_state(w, "route", NAME, NSH_OBJECT_STANDBY);
    assert_route(w, "10.20.0.0/16", "");
    somebody(w, "ip addr add 10.0.0.254/24 dev eth1");
    run(w);
    assert_route(w, "10.20.0.0/16", "10.20.0.0/16 via 10.0.0.9 dev eth1 table 10 proto 110\n");
    assert_stable(w);
    /* The kernel can't be asked for a while. */
    somebody(w, "ip link del blue");
    somebody(w, "ip link add blue type vrf table 11");
    nsh_fib_fake_fail(w->kernel, NSH_FIB_FAKE_LINK_INDEX, 1, -EIO);
    pass_time(w, 10 * SECOND);
    assert_route(w, "10.20.0.0/16", "10.20.0.0/16 via 10.0.0.9 dev eth1 table 11 proto 110\n");
    assert_stable(w);
}

/* Of two the second can't be asked for: the first one is not forgotten for that. */
static void test_a_look_that_ends_half_way(void **state)
{
    static const char two[] = BLUE "  - {to: 10.21.0.0/16, via: 10.0.0.9, dev: eth1, vrf: red}\n";
    struct world *w = world_new();

    (void)state;
    start(w, "");
    somebody(w, "ip link add blue type vrf table 10");
    somebody(w, "ip link add red type vrf table 11");
    nsh_fib_fake_fail(w->kernel, NSH_FIB_FAKE_LINK_INDEX, 2, -EIO);
    reload(w, two);
    pass_time(w, 10 * SECOND);
    assert_table(w, 10);
    assert_route(w, "10.21.0.0/16", "10.21.0.0/16 via 10.0.0.9 dev eth1 table 11 proto 110\n");
    assert_stable(w);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            rw_test(test_it_comes_and_goes),
            rw_test(test_it_changes_at_once),
            rw_test(test_no_vrf),
            rw_test(test_nothing_is_touched),
            rw_test(test_one_key_twice),
            rw_test(test_a_gateway_in_the_vrf),
            rw_test(test_it_waits_at_no_cost),
            rw_test(test_conditions_and_failures),
            rw_test(test_a_look_that_ends_half_way),
    };

    rw_leave_the_network();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
