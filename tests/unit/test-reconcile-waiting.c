/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Routes that can't stand yet, and those whose place somebody else has.
 */
#include "reconcile-world.h"

#define ONE "routes:\n  - {to: 10.20.0.0/16, via: 192.168.1.1, dev: eth0}\n"
#define ONE_LINE "10.20.0.0/16 via 192.168.1.1 dev eth0 proto 110\n"

/* ---- what waits ---- */

static void test_an_absent_device_is_waited_for(void **state)
{
    struct world *w = world_new();
    const struct told *t;

    (void)state;
    start(w, "routes:\n  - {to: 10.20.0.0/16, dev: eth7}\n");
    assert_true(nsh_reconciler_complete(w->r));
    assert_log(w, "");
    t = the_told(w, NSH_REPORT_PENDING, "route", "10.20.0.0/16 dev eth7");
    assert_string_equal(t->detail, "interface eth7 does not exist");
    resync(w);
    somebody(w, "ip link add eth5");
    somebody(w, "ip link set eth5 up");
    run(w);
    assert_told(w, 1);

    somebody(w, "ip link add eth7");
    run(w);
    assert_state(w, "route", "10.20.0.0/16", NSH_OBJECT_PENDING);
    assert_reason(w, "route", "10.20.0.0/16", "Device for nexthop is not up");
    forget(w);
    somebody(w, "ip link set eth7 up");
    run(w);
    assert_state(w, "route", "10.20.0.0/16", NSH_OBJECT_HELD);
    assert_reason(w, "route", "10.20.0.0/16", "");
    assert_told(w, 1);
    the_told(w, NSH_REPORT_ADDED, "route", "10.20.0.0/16");

    /* By another name it is not that device. */
    forget(w);
    somebody(w, "ip link set eth7 name lan0");
    somebody(w, "ip link set eth5 name eth7");
    run(w);
    assert_route(w, "10.20.0.0/16", "10.20.0.0/16 dev eth7 proto 110 scope 253\n");
    assert_stable(w);
}

static void test_an_unreachable_gateway_is_waited_for_in_the_kernels_words(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, "routes:\n  - {to: 10.20.0.0/16, via: 172.16.0.1}\n"
             "  - {to: 10.30.0.0/16, via: 172.17.0.1}\n");
    assert_told(w, 2);
    assert_string_equal(the_told(w, NSH_REPORT_PENDING, "route", "10.20.0.0/16")->detail,
            "Nexthop has invalid gateway");
    for (int i = 0; i < 5; i++) {
        resync(w);
        somebody(
                w, i & 1 ? "ip addr del 10.6.0.1/24 dev eth1" : "ip addr add 10.6.0.1/24 dev eth1");
        run(w);
        pass_time(w, SECOND);
    }
    assert_told(w, 2);

    /* An address makes the one possible, somebody's on-link route the other. */
    forget(w);
    somebody(w, "ip addr add 172.16.0.2/24 dev eth1");
    run(w);
    assert_route(w, "10.20.0.0/16", "10.20.0.0/16 via 172.16.0.1 dev eth1 proto 110\n");
    assert_told(w, 1);
    somebody(w, "ip route add 172.17.0.0/24 dev eth0");
    run(w);
    pass_time(w, SECOND); /* one after the other they are gathered for a moment */
    assert_route(w, "10.30.0.0/16", "10.30.0.0/16 via 172.17.0.1 dev eth0 proto 110\n");
    assert_told(w, 2);
    assert_int_equal(count_told(w, NSH_REPORT_ADDED), 2);
    assert_stable(w);
}

static void test_a_link_goes_down_and_comes_up(void **state)
{
    struct world *w = world_new();
    struct nsh_counts counts;

    (void)state;
    start(w, ONE "  - {to: \"fd00:9::/48\", via: \"fe80::9\", dev: eth0}\n");
    forget(w);
    somebody(w, "ip link set eth0 down");
    run(w);
    assert_int_equal(count_told(w, NSH_REPORT_PENDING), 2);
    nsh_reconciler_count(w->r, &counts);
    assert_int_equal(counts.routes[NSH_OBJECT_PENDING], 2);
    resync(w);
    assert_told(w, 2);
    forget(w);
    somebody(w, "ip link set eth0 up");
    run(w);
    assert_told(w, 2);
    assert_string_equal(
            the_told(w, NSH_REPORT_RESTORED, "route", "10.20.0.0/16")->detail, "link eth0 is up");
    the_told(w, NSH_REPORT_RESTORED, "route", "fd00:9::/48");
    assert_route(w, "10.20.0.0/16", ONE_LINE);
    /* That the kernel took it away while it could not stand is no fight. */
    assert_int_equal(repairs_of(w, "route", "10.20.0.0/16"), 0);
    assert_stable(w);
}

static void test_a_device_is_deleted_and_made_anew(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, "routes:\n  - {to: 10.20.0.0/16, via: 10.0.0.9, dev: eth1}\n");
    forget(w);
    somebody(w, "ip link del eth1");
    run(w);
    assert_reason(w, "route", "10.20.0.0/16", "interface eth1 does not exist");
    somebody(w, "ip link add eth1");
    somebody(w, "ip link set eth1 up");
    somebody(w, "ip addr add 10.0.0.1/24 dev eth1");
    run(w);
    assert_route(w, "10.20.0.0/16", "10.20.0.0/16 via 10.0.0.9 dev eth1 proto 110\n");
    assert_stable(w);
}

static void test_without_a_device_it_follows_the_gateway(void **state)
{
    struct world *w = world_new();

    (void)state;
    somebody(w, "ip addr add 10.9.0.2/24 dev eth0");
    start(w, "routes:\n  - {to: 10.50.0.0/16, via: 10.9.0.1}\n"
             "  - {to: \"fd00:9::/48\", via: \"fd00:2::9\"}\n");
    assert_route(w, "10.50.0.0/16", "10.50.0.0/16 via 10.9.0.1 dev eth0 proto 110\n");
    assert_route(w, "fd00:9::/48", "fd00:9::/48 via fd00:2::9 dev eth1 proto 110 metric 1024\n");
    somebody(w, "ip addr del 10.9.0.2/24 dev eth0");
    somebody(w, "ip addr add 10.9.0.2/24 dev eth1");
    run(w);
    assert_route(w, "10.50.0.0/16", "10.50.0.0/16 via 10.9.0.1 dev eth1 proto 110\n");
    assert_stable(w);
}

/* A wanted route may be the way to another one's gateway, and then it is in one go. */
static void test_a_gateway_behind_a_wanted_route(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, "routes:\n  - {to: 10.50.0.0/16, via: 192.168.1.1}\n"
             "  - {to: 192.168.1.1, dev: eth1}\n"
             "  - {to: 10.60.0.0/16, via: 172.16.0.1}\n"
             "  - {to: 172.16.0.0/24, dev: eth1}\n");
    assert_route(w, "10.60.0.0/16", "10.60.0.0/16 via 172.16.0.1 dev eth1 proto 110\n");
    assert_route(w, "10.50.0.0/16", "10.50.0.0/16 via 192.168.1.1 dev eth1 proto 110\n");
    assert_stable(w);
    /* Both gone: what leads to the gateway comes back first. */
    somebody(w, "ip route del 10.60.0.0/16");
    somebody(w, "ip route del 172.16.0.0/24");
    run(w);
    assert_route(w, "10.60.0.0/16", "10.60.0.0/16 via 172.16.0.1 dev eth1 proto 110\n");
    reload(w, "routes:\n  - {to: 10.50.0.0/16, via: 192.168.1.1}\n"
              "  - {to: 10.60.0.0/16, via: 172.16.0.1}\n");
    assert_route(w, "10.50.0.0/16", "10.50.0.0/16 via 192.168.1.1 dev eth0 proto 110\n");
}

/* ---- conflicts ---- */

static void test_a_foreign_route_on_the_key_is_told_once_and_left_alone(void **state)
{
    static const char foreign[] = "10.20.0.0/16 via 192.168.1.77 dev eth0 proto 4\n";
    struct world *w = world_new();
    const struct told *t;

    (void)state;
    somebody(w, "ip route add 10.20.0.0/16 via 192.168.1.77 dev eth0 proto 4");
    start(w, ONE);
    t = the_told(w, NSH_REPORT_CONFLICT, "route", "10.20.0.0/16 via 192.168.1.1");
    assert_string_equal(t->detail, "10.20.0.0/16 via 192.168.1.77 dev eth0 proto static");
    assert_state(w, "route", "10.20.0.0/16", NSH_OBJECT_CONFLICTING);
    assert_true(nsh_reconciler_complete(w->r));
    for (int i = 0; i < 3; i++)
        resync(w);
    somebody(w, "ip link set eth1 down");
    somebody(w, "ip link set eth1 up");
    run(w);
    assert_told(w, 1);
    assert_route(w, "10.20.0.0/16", foreign);

    /* Another one there is news. */
    somebody(w, "ip route replace 10.20.0.0/16 via 192.168.1.78 dev eth0 proto 4");
    resync(w);
    assert_told(w, 2);
    forget(w);
    somebody(w, "ip route del 10.20.0.0/16 proto 4");
    resync(w);
    assert_told(w, 1);
    the_told(w, NSH_REPORT_ADDED, "route", "10.20.0.0/16");
    assert_route(w, "10.20.0.0/16", ONE_LINE);

    /* It was held: what replaces it now is drift. */
    forget(w);
    somebody(w, "ip route replace 10.20.0.0/16 via 192.168.1.77 dev eth0 proto 4");
    run(w);
    the_told(w, NSH_REPORT_RESTORED, "route", "10.20.0.0/16");
    assert_route(w, "10.20.0.0/16", ONE_LINE);
}

static void test_on_conflict_replace_and_adoption(void **state)
{
    struct world *w = world_new();

    (void)state;
    somebody(w, "ip route add 10.20.0.0/16 via 192.168.1.1 dev eth0");
    somebody(w, "ip route add 10.30.0.0/16 via 192.168.1.77 dev eth0");
    start(w, ONE "  - {to: 10.30.0.0/16, via: 192.168.1.1, dev: eth0, on-conflict: replace}\n");
    assert_log(w, "replace 10.20.0.0/16\nreplace 10.30.0.0/16\n");
    assert_told(w, 2);
    the_told(w, NSH_REPORT_ADOPTED, "route", "10.20.0.0/16");
    the_told(w, NSH_REPORT_CHANGED, "route", "10.30.0.0/16");
    assert_route(w, "10.20.0.0/16", ONE_LINE);
    assert_route(w, "10.30.0.0/16", "10.30.0.0/16 via 192.168.1.1 dev eth0 proto 110\n");
    assert_stable(w);
}

/* A conflict is judged anew when the file says otherwise. */
static void test_a_reload_settles_a_conflict(void **state)
{
    struct world *w = world_new();

    (void)state;
    somebody(w, "ip route add 10.20.0.0/16 via 192.168.1.77 dev eth0");
    start(w, ONE);
    assert_state(w, "route", "10.20.0.0/16", NSH_OBJECT_CONFLICTING);
    reload(w, ONE);
    assert_int_equal(count_told(w, NSH_REPORT_CONFLICT), 1);
    reload(w, "routes:\n"
              "  - {to: 10.20.0.0/16, via: 192.168.1.1, dev: eth0, on-conflict: replace}\n");
    assert_route(w, "10.20.0.0/16", ONE_LINE);
    assert_stable(w);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            rw_test(test_an_absent_device_is_waited_for),
            rw_test(test_an_unreachable_gateway_is_waited_for_in_the_kernels_words),
            rw_test(test_a_link_goes_down_and_comes_up),
            rw_test(test_a_device_is_deleted_and_made_anew),
            rw_test(test_without_a_device_it_follows_the_gateway),
            rw_test(test_a_gateway_behind_a_wanted_route),
            rw_test(test_a_foreign_route_on_the_key_is_told_once_and_left_alone),
            rw_test(test_on_conflict_replace_and_adoption),
            rw_test(test_a_reload_settles_a_conflict),
    };

    rw_leave_the_network();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
