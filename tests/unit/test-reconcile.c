/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Routes through the reconciler: the order of a pass, repairs, what waits and what conflicts,
 * reloads, and what `status` is shown.
 */
#include "reconcile-world.h"

#define ONE "routes:\n  - {to: 10.20.0.0/16, via: 192.168.1.1, dev: eth0}\n"
#define ONE_LINE "10.20.0.0/16 via 192.168.1.1 dev eth0 proto 110\n"

static const char one_of_each[] = "routes:\n"
                                  "  - {to: 10.20.0.0/16, via: 192.168.1.1, dev: eth0}\n"
                                  "  - {to: \"fd00:9::/48\", via: \"fd00:1::9\", dev: eth0}\n"
                                  "masquerade:\n"
                                  "  - {name: out, out: [eth0], family: [ipv4, ipv6]}\n";

/* ---- the order ---- */

static void test_start_goes_up_in_order_and_a_second_run_writes_nothing(void **state)
{
    struct world *w = world_with_state();

    (void)state;
    somebody(w, "ip route add 10.99.0.0/16 via 192.168.1.1 dev eth0 proto 110");
    somebody(w, "iptables -t nat -N NETSHARED-old");
    start(w, one_of_each);
    assert_log(w, "commit ipv4 raw\ncommit ipv4 nat\ncommit ipv6 raw\ncommit ipv6 nat\n"
                  "sysctl net/ipv4/ip_forward=1\n"
                  "sysctl net/ipv6/conf/eth0/accept_ra=2\nsysctl net/ipv6/conf/eth1/accept_ra=2\n"
                  "sysctl net/ipv6/conf/all/forwarding=1\n"
                  "add 10.20.0.0/16\nadd fd00:9::/48\ndelete 10.99.0.0/16\n"
                  "commit ipv4 nat\n");
    assert_string_equal(the_told(w, NSH_REPORT_ADDED, "route", "10.20.0.0/16")->cause, "start");
    the_told(w, NSH_REPORT_REMOVED, "route", "10.99.0.0/16");
    the_told(w, NSH_REPORT_REMOVED, "masquerade", "old");
    assert_true(nsh_reconciler_complete(w->r));
    forget(w);
    assert_stable(w);

    /* Nor does another process. */
    world_restart(w);
    start(w, one_of_each);
    assert_log(w, "");
    assert_told(w, 0);
    assert_true(nsh_reconciler_complete(w->r));
}

static void test_everything_goes_down_the_other_way_round(void **state)
{
    struct world *w = world_with_state();

    (void)state;
    start(w, one_of_each);
    forget(w);
    want(w, "", NSH_OCCASION_STOP);
    run(w);
    assert_log(w, "delete 10.20.0.0/16\ndelete fd00:9::/48\n"
                  "sysctl net/ipv4/ip_forward=0\nsysctl net/ipv6/conf/all/forwarding=0\n"
                  "sysctl net/ipv6/conf/eth0/accept_ra=1\nsysctl net/ipv6/conf/eth1/accept_ra=1\n"
                  "commit ipv4 nat\ncommit ipv4 raw\ncommit ipv6 nat\ncommit ipv6 raw\n");
    assert_string_equal(the_told(w, NSH_REPORT_REMOVED, "route", "10.20.0.0/16")->cause, "stop");
    assert_true(nsh_reconciler_complete(w->r));
    assert_false(table_has(w, AF_INET, NSH_TABLE_NAT, "NETSHARED"));
}

static void test_additions_come_before_deletions(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, ONE "  - {to: 10.10.0.0/16, via: 192.168.1.1, dev: eth0}\n");
    forget(w);
    reload(w, ONE "  - {to: 10.30.0.0/16, via: 192.168.1.1, dev: eth0}\n");
    assert_log(w, "add 10.30.0.0/16\ndelete 10.10.0.0/16\n");
}

/* ---- repairs ---- */

static void test_deleted_is_put_back(void **state)
{
    struct world *w = world_new();
    const struct told *t;

    (void)state;
    start(w, ONE);
    forget(w);
    somebody(w, "ip route del 10.20.0.0/16");
    read_events(w);
    w->now += 700;
    run(w);
    assert_log(w, "add 10.20.0.0/16\n");
    assert_told(w, 1);
    t = the_told(w, NSH_REPORT_RESTORED, "route", "10.20.0.0/16 via 192.168.1.1 dev eth0");
    assert_string_equal(t->cause, "removed");
    assert_int_equal(t->sender, NSH_FIB_FAKE_SOMEBODY);
    assert_int_equal(t->duration, 700);
    assert_route(w, "10.20.0.0/16", ONE_LINE);
    assert_int_equal(repairs_of(w, "route", "10.20.0.0/16"), 1);
    assert_stable(w);
}

static void test_replaced_is_put_back(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, ONE);
    forget(w);
    somebody(w, "ip route replace 10.20.0.0/16 via 192.168.1.7 dev eth0");
    run(w);
    assert_log(w, "replace 10.20.0.0/16\n");
    assert_told(w, 1);
    assert_string_equal(
            the_told(w, NSH_REPORT_RESTORED, "route", "10.20.0.0/16")->cause, "replaced");
    assert_route(w, "10.20.0.0/16", ONE_LINE);
    assert_stable(w);
}

/* Removed and added again by somebody with another mark: the last event tells what stands. */
static void test_removed_and_added_otherwise(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, ONE);
    forget(w);
    somebody(w, "ip route del 10.20.0.0/16");
    somebody(w, "ip route add 10.20.0.0/16 via 192.168.1.7 dev eth0");
    run(w);
    assert_route(w, "10.20.0.0/16", ONE_LINE);
    assert_told(w, 1);
    the_told(w, NSH_REPORT_RESTORED, "route", "10.20.0.0/16");
    assert_stable(w);
}

static void test_one_that_shadows_is_replaced_and_one_behind_stays(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, ONE);
    forget(w);
    somebody(w, "ip route append 10.20.0.0/16 via 192.168.1.7 dev eth0");
    run(w);
    assert_log(w, "");
    assert_told(w, 0);
    assert_route(w, "10.20.0.0/16", ONE_LINE "10.20.0.0/16 via 192.168.1.7 dev eth0\n");

    somebody(w, "ip route prepend 10.20.0.0/16 via 192.168.1.8 dev eth0");
    run(w);
    assert_route(w, "10.20.0.0/16", ONE_LINE "10.20.0.0/16 via 192.168.1.7 dev eth0\n");
    assert_told(w, 1);
    the_told(w, NSH_REPORT_RESTORED, "route", "10.20.0.0/16");
    assert_stable(w);
}

#define SIX "  - {to: \"fd00:9::/48\", via: \"fd00:1::9\", dev: eth0}\n"
#define SIX_LINE "fd00:9::/48 via fd00:1::9 dev eth0 proto 110 metric 1024\n"

static void test_ipv6_nexthops_that_merged_with_ours_go(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, "routes:\n" SIX);
    forget(w);
    somebody(w, "ip -6 route append fd00:9::/48 via fd00:1::7 dev eth0");
    run(w);
    assert_told(w, 1);
    assert_route(w, "fd00:9::/48", SIX_LINE);

    /* Ours is gone from among them, or all went with the foreign one. */
    forget(w);
    somebody(w, "ip -6 route append fd00:9::/48 via fd00:1::7 dev eth0");
    somebody(w, "ip -6 route del fd00:9::/48 via fd00:1::9 dev eth0");
    run(w);
    assert_told(w, 1);
    assert_route(w, "fd00:9::/48", SIX_LINE);
    forget(w);
    somebody(w, "ip -6 route append fd00:9::/48 via fd00:1::7 dev eth0");
    somebody(w, "ip -6 route del fd00:9::/48");
    run(w);
    assert_told(w, 1);
    assert_string_equal(the_told(w, NSH_REPORT_RESTORED, "route", "fd00:9::/48")->cause, "removed");
    assert_route(w, "fd00:9::/48", SIX_LINE);
    assert_stable(w);
}

static void test_unwanted_with_our_mark_goes_and_foreign_stays(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, ONE);
    somebody(w, "ip route add 10.77.0.0/16 via 192.168.1.1 dev eth0");
    somebody(w, "ip route add 10.78.0.0/16 via 192.168.1.1 dev eth0");
    run(w);
    forget(w);
    somebody(w, "ip route add 10.79.0.0/16 via 192.168.1.1 dev eth0 proto 110");
    run(w);
    assert_log(w, "delete 10.79.0.0/16\n");
    the_told(w, NSH_REPORT_REMOVED, "route", "10.79.0.0/16");
    assert_route(w, "10.77.0.0/16", "10.77.0.0/16 via 192.168.1.1 dev eth0\n");
    assert_route(w, "10.78.0.0/16", "10.78.0.0/16 via 192.168.1.1 dev eth0\n");
}

static void test_lost_events_lose_no_repair(void **state)
{
    static const char yaml[] = ONE "  - {to: 10.30.0.0/16, via: 192.168.1.1, dev: eth0}\n"
                                   "  - {to: 10.40.0.0/16, via: 192.168.1.1, dev: eth0}\n"
                                   "  - {to: \"fd00:9::/48\", via: \"fd00:1::9\", dev: eth0}\n"
                                   "masquerade: [{name: out, out: [eth0]}]\n";
    struct world *w = world_new();
    struct nsh_work work;

    (void)state;
    start(w, yaml);
    forget(w);
    nsh_fib_fake_set_queue(w->kernel, 1);
    somebody(w, "ip route add 10.88.0.0/16 via 192.168.1.1 dev eth0 proto 110"); /* fills it */
    somebody(w, "ip route del 10.20.0.0/16");
    somebody(w, "ip route replace 10.30.0.0/16 via 192.168.1.7 dev eth0");
    somebody(w, "ip route prepend 10.40.0.0/16 via 192.168.1.7 dev eth0");
    somebody(w, "ip -6 route append fd00:9::/48 via fd00:1::7 dev eth0");
    somebody(w, "sysctl net/ipv4/ip_forward=0");
    run(w);
    assert_int_equal(count_told(w, NSH_REPORT_OVERRUN), 1);
    assert_int_equal(count_told(w, NSH_REPORT_RESTORED), 5);
    assert_string_equal(
            the_told(w, NSH_REPORT_RESTORED, "route", "10.20.0.0/16")->detail, "events were lost");
    assert_route(w, "10.20.0.0/16", ONE_LINE);
    assert_route(w, "10.30.0.0/16", "10.30.0.0/16 via 192.168.1.1 dev eth0 proto 110\n");
    assert_route(w, "10.40.0.0/16", "10.40.0.0/16 via 192.168.1.1 dev eth0 proto 110\n");
    assert_route(w, "fd00:9::/48", "fd00:9::/48 via fd00:1::9 dev eth0 proto 110 metric 1024\n");
    assert_route(w, "10.88.0.0/16", "");
    assert_int_equal(sysctl_value(w, "net/ipv4/ip_forward"), 1);
    nsh_reconciler_work(w->r, &work);
    assert_int_equal(work.overruns, 1);
    assert_stable(w);
}

/* One that only shadows ours takes nothing away that a look at our own routes could miss. */
static void test_a_lost_event_of_a_shadow(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, ONE);
    nsh_fib_fake_set_queue(w->kernel, 0);
    somebody(w, "ip route prepend 10.20.0.0/16 via 192.168.1.7 dev eth0");
    forget(w);
    run(w);
    assert_route(w, "10.20.0.0/16", ONE_LINE);
    assert_told(w, 2);
    the_told(w, NSH_REPORT_RESTORED, "route", "10.20.0.0/16");
    assert_stable(w);
}

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
    assert_log(w, "add 10.20.0.0/16\nadd 10.30.0.0/16\n" /* refused */
                  "replace 10.20.0.0/16\nreplace 10.30.0.0/16\n");
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

/* ---- reload ---- */

static void test_a_reload_carries_over_what_is_known(void **state)
{
    struct world *w = world_new();
    uint64_t at;

    (void)state;
    start(w, ONE "  - {to: 10.30.0.0/16, via: 192.168.1.1, dev: eth0}\n"
                 "  - {to: 10.40.0.0/16, via: 192.168.1.1, dev: eth9}\n"
                 "  - {to: 10.50.0.0/16, via: 192.168.1.1, dev: eth0}\n");
    assert_null(nsh_reconciler_last_repair(w->r, &at));
    for (int i = 0; i < 3; i++) {
        somebody(w, "ip route del 10.50.0.0/16");
        run(w);
    }
    assert_string_equal(
            nsh_reconciler_last_repair(w->r, &at), "route 10.50.0.0/16 via 192.168.1.1 dev eth0");
    assert_int_equal(at, w->now);
    forget(w);
    /* One changed, one new before all others, one gone. */
    reload(w, "routes:\n"
              "  - {to: 10.10.0.0/16, via: 192.168.1.1, dev: eth0}\n"
              "  - {to: 10.30.0.0/16, via: 192.168.1.7, dev: eth0}\n"
              "  - {to: 10.40.0.0/16, via: 192.168.1.1, dev: eth9}\n"
              "  - {to: 10.50.0.0/16, via: 192.168.1.1, dev: eth0}\n");
    assert_log(w, "add 10.10.0.0/16\nreplace 10.30.0.0/16\ndelete 10.20.0.0/16\n");
    assert_told(w, 3);
    assert_string_equal(the_told(w, NSH_REPORT_CHANGED, "route", "10.30.0.0/16")->cause, "reload");
    the_told(w, NSH_REPORT_ADDED, "route", "10.10.0.0/16");
    the_told(w, NSH_REPORT_REMOVED, "route", "10.20.0.0/16");
    assert_int_equal(repairs_of(w, "route", "10.50.0.0/16"), 3);
    assert_int_equal(repairs_of(w, "route", "10.30.0.0/16"), 0);
    assert_state(w, "route", "10.40.0.0/16", NSH_OBJECT_PENDING);
    assert_reason(w, "route", "10.40.0.0/16", "eth9");

    forget(w);
    reload(w, "routes:\n  - {to: 10.30.0.0/16, via: 192.168.1.8, dev: eth0}\n"
              "  - {to: 10.10.0.0/16, via: 192.168.1.1, dev: eth0}\n"
              "  - {to: 10.50.0.0/16, via: 192.168.1.1, dev: eth0}\n");
    assert_log(w, "replace 10.30.0.0/16\n");
}

static void test_events_before_a_reload_are_not_lost(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, ONE);
    somebody(w, "ip route del 10.20.0.0/16");
    read_events(w);
    reload(w, "routes:\n  - {to: 10.10.0.0/16, via: 192.168.1.1, dev: eth0}\n"
              "  - {to: 10.20.0.0/16, via: 192.168.1.1, dev: eth0}\n");
    assert_route(w, "10.20.0.0/16", ONE_LINE);
    assert_stable(w);
}

#define TWO "  - {to: 10.30.0.0/16, via: 192.168.1.1, dev: eth0}\n"
#define PROTOCOL(n) "settings: {route-protocol: " #n "}\n"

static void never_delete(struct world *w, const struct nsh_fib_op *op)
{
    (void)w;
    assert_int_not_equal(op->verb, NSH_FIB_DELETE);
}

static void test_another_protocol_marks_every_route_anew(void **state)
{
    struct world *w = world_with_state();
    uint8_t protocol = 0;

    (void)state;
    start(w, ONE TWO);
    assert_int_equal(nsh_state_protocol_load(w->state, &protocol), 0);
    assert_int_equal(protocol, 110);
    w->before_write = never_delete;
    forget(w);
    reload(w, PROTOCOL(111) ONE TWO);
    assert_log(w, "replace 10.20.0.0/16\nreplace 10.30.0.0/16\n");
    assert_int_equal(count_routes(w, AF_INET, "110"), 0);
    assert_int_equal(count_routes(w, AF_INET, "111"), 2);
    assert_stable(w);
    assert_int_equal(nsh_state_protocol_load(w->state, &protocol), 0);
    assert_int_equal(protocol, 111);

    /* And once more, and back. */
    reload(w, PROTOCOL(112) ONE TWO);
    assert_int_equal(count_routes(w, AF_INET, "112"), 2);
    w->before_write = NULL;
    reload(w, PROTOCOL(113) ONE);
    assert_int_equal(count_routes(w, AF_INET, "112"), 0);
    assert_int_equal(count_routes(w, AF_INET, "113"), 1);
    reload(w, ONE TWO);
    assert_int_equal(count_routes(w, AF_INET, "113"), 0);
    assert_int_equal(count_routes(w, AF_INET, "110"), 2);
    assert_stable(w);
}

/* When nothing of ours carries it any more, the old mark is anybody's. */
static void test_the_old_protocol_is_foreign_in_the_end(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, PROTOCOL(111) ONE);
    reload(w, ONE);
    somebody(w, "ip route add 10.77.0.0/16 via 192.168.1.1 dev eth0 proto 111");
    resync(w);
    assert_route(w, "10.77.0.0/16", "10.77.0.0/16 via 192.168.1.1 dev eth0 proto 111\n");
}

static void test_the_protocol_of_the_run_before(void **state)
{
    struct world *w = world_with_state();

    (void)state;
    start(w, ONE TWO);
    world_restart(w);
    start(w, PROTOCOL(111) ONE);
    assert_int_equal(count_routes(w, AF_INET, "110"), 0);
    assert_int_equal(count_routes(w, AF_INET, "111"), 1);
}

/* ---- fights ---- */

static void test_a_fight_is_told_once_and_backs_off(void **state)
{
    struct world *w = world_new();
    uint64_t delay = SECOND;
    const struct told *t;

    (void)state;
    start(w, ONE TWO);
    forget(w);
    for (int i = 0; i < 8; i++) {
        somebody(w, "ip route del 10.20.0.0/16");
        run(w);
        assert_state(w, "route", "10.20.0.0/16", NSH_OBJECT_HELD);
        w->now += 1000;
    }
    assert_int_equal(count_told(w, NSH_REPORT_RESTORED), 8);
    /* The ninth waits, and longer each time. */
    for (int i = 0; i < 12; i++) {
        forget(w);
        somebody(w, "ip route del 10.20.0.0/16");
        run(w);
        assert_log(w, "");
        assert_state(w, "route", "10.20.0.0/16", NSH_OBJECT_WRONG);
        assert_reason(w, "route", "10.20.0.0/16", "backing off");
        assert_int_equal(nsh_reconciler_next(w->r), w->now + delay);
        if (i == 0) {
            assert_told(w, 1);
            t = the_told(w, NSH_REPORT_FIGHT, "route", "10.20.0.0/16");
            assert_string_equal(t->detail, "8 times in 0.0 s; next try in 1 s");
            assert_int_equal(t->sender, NSH_FIB_FAKE_SOMEBODY);
        } else {
            assert_told(w, 0);
        }
        /* Others are repaired meanwhile, and nothing else shortens the wait. */
        somebody(w, "ip route del 10.30.0.0/16");
        run(w);
        assert_log(w, "add 10.30.0.0/16\n");
        resync(w);
        assert_log(w, "add 10.30.0.0/16\n");
        pass_time(w, delay - 1);
        assert_log(w, "add 10.30.0.0/16\n");
        assert_route(w, "10.20.0.0/16", "");
        pass_time(w, 1);
        assert_route(w, "10.20.0.0/16", ONE_LINE);
        assert_state(w, "route", "10.20.0.0/16", NSH_OBJECT_HELD);
        delay = delay * 2 > 300 * SECOND ? 300 * SECOND : delay * 2;
    }
    /* Nobody undoes this one: the fight is over. */
    assert_int_equal(nsh_reconciler_next(w->r), UINT64_MAX);
    pass_time(w, 2 * SECOND);
    forget(w);
    somebody(w, "ip route del 10.20.0.0/16");
    run(w);
    assert_log(w, "add 10.20.0.0/16\n");
    assert_stable(w);
}

static void test_a_fight_goes_on_over_a_reload(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, ONE);
    for (int i = 0; i < 9; i++) {
        somebody(w, "ip route del 10.20.0.0/16");
        run(w);
    }
    assert_state(w, "route", "10.20.0.0/16", NSH_OBJECT_WRONG);
    forget(w);
    reload(w, ONE TWO);
    assert_log(w, "add 10.30.0.0/16\n");
    assert_told(w, 1);
    pass_time(w, SECOND);
    assert_route(w, "10.20.0.0/16", ONE_LINE);
    assert_stable(w);
}

/* Mended by somebody else while it waits. */
static void test_a_fight_may_end_without_us(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, ONE);
    for (int i = 0; i < 9; i++) {
        somebody(w, "ip route del 10.20.0.0/16");
        run(w);
    }
    somebody(w, "ip route add 10.20.0.0/16 via 192.168.1.1 dev eth0 proto 110");
    run(w);
    assert_state(w, "route", "10.20.0.0/16", NSH_OBJECT_HELD);
    forget(w);
    pass_time(w, 10 * SECOND);
    assert_log(w, "");
    assert_stable(w);
}

/* ---- many ---- */

static char *many(unsigned n, const char *dev)
{
    char *yaml = NULL;
    size_t size;
    FILE *file = open_memstream(&yaml, &size);

    assert_non_null(file);
    fprintf(file, "routes:\n");
    for (unsigned i = 0; i < n; i++)
        fprintf(file, "  - {to: 172.%u.%u.0/24, via: 192.168.1.1, dev: %s}\n", 20 + i / 256,
                i % 256, dev);
    fclose(file);
    return yaml;
}

static void delete_many(struct world *w, unsigned n)
{
    char command[64];

    for (unsigned i = 0; i < n; i++) {
        snprintf(command, sizeof(command), "ip route del 172.%u.%u.0/24", 20 + i / 256, i % 256);
        somebody(w, command);
    }
}

static void test_many_are_one_line_and_more_marks_than_fit_are_a_dump(void **state)
{
    nsh_autofree char *yaml = many(1500, "eth0");
    struct world *w = world_new();
    struct nsh_work work;
    struct nsh_counts counts;
    const struct told *t;
    uint64_t full;

    (void)state;
    nsh_fib_fake_set_chunk(w->kernel, 50);
    start(w, yaml);
    assert_told(w, 1);
    t = the_told(w, NSH_REPORT_SUMMARY, "route", "");
    assert_int_equal(t->count, 1500);
    assert_string_equal(t->detail, "added");
    nsh_reconciler_work(w->r, &work);
    assert_int_equal(work.writes, 1500);
    full = work.full;

    /* Up to 1024 need no dump. */
    forget(w);
    delete_many(w, 1000);
    run(w);
    nsh_reconciler_work(w->r, &work);
    assert_int_equal(work.full, full);
    assert_int_equal(work.writes, 2500);
    assert_told(w, 1);
    assert_int_equal(the_told(w, NSH_REPORT_SUMMARY, "route", "")->count, 1000);

    forget(w);
    w->now += 2 * SECOND;
    delete_many(w, 1100);
    run(w);
    nsh_reconciler_work(w->r, &work);
    assert_int_equal(work.full, full + 1);
    assert_int_equal(work.writes, 3600);
    nsh_reconciler_count(w->r, &counts);
    assert_int_equal(counts.routes[NSH_OBJECT_HELD], 1500);
    assert_int_equal(count_routes(w, AF_INET, "110"), 1500);
    assert_told(w, 1);
    assert_int_equal(the_told(w, NSH_REPORT_SUMMARY, "route", "")->count, 1100);
}

static void test_twenty_are_told_singly(void **state)
{
    nsh_autofree char *twenty = many(20, "eth0"), *more = many(21, "eth0");
    struct world *w = world_new();

    (void)state;
    start(w, twenty);
    assert_told(w, 20);
    assert_int_equal(count_told(w, NSH_REPORT_ADDED), 20);
    rw_free(w);
    w = world_new();
    start(w, more);
    assert_told(w, 1);
    assert_int_equal(count_told(w, NSH_REPORT_SUMMARY), 1);
}

static void test_of_many_that_wait_some_are_told_as_examples(void **state)
{
    nsh_autofree char *yaml = many(100, "eth7");
    struct world *w = world_new();

    (void)state;
    start(w, yaml);
    assert_int_equal(count_told(w, NSH_REPORT_PENDING), 20);
    assert_told(w, 21);
    assert_int_equal(the_told(w, NSH_REPORT_SUMMARY, "route", "")->count, 100);
    assert_string_equal(the_told(w, NSH_REPORT_SUMMARY, "route", "")->detail, "pending");
    resync(w);
    assert_told(w, 21);
}

/* ---- what status sees ---- */

struct seen {
    size_t n;
    enum nsh_object_state states[8];
    char kinds[8][16];
};

static void on_view(void *userdata, const struct nsh_object_view *view)
{
    struct seen *s = userdata;

    assert_true(s->n < NSH_ARRAY_SIZE(s->states));
    assert_non_null(view->name);
    if (strcmp(view->kind, "forwarding") != 0) {
        assert_non_null(view->path);
        assert_true(view->line > 1);
    }
    s->states[s->n] = view->state;
    snprintf(s->kinds[s->n++], sizeof(s->kinds[0]), "%s", view->kind);
}

static void test_each_shows_what_is_not_held_first(void **state)
{
    struct world *w = world_new();
    struct seen s = {0};

    (void)state;
    assert_int_equal(nsh_reconciler_each(w->r, 8, on_view, &s), 0);
    start(w, ONE TWO "  - {to: 10.40.0.0/16, dev: eth9}\n"
                     "masquerade: [{name: out, out: [eth0]}]\n");
    assert_int_equal(nsh_reconciler_each(w->r, 8, on_view, &s), 5);
    assert_int_equal(s.n, 5);
    assert_int_equal(s.states[0], NSH_OBJECT_PENDING);
    assert_string_equal(s.kinds[1], "masquerade");
    assert_string_equal(s.kinds[2], "forwarding");
    assert_string_equal(s.kinds[4], "route");
    for (size_t i = 1; i < 5; i++)
        assert_int_equal(s.states[i], NSH_OBJECT_HELD);
    s = (struct seen){0};
    assert_int_equal(nsh_reconciler_each(w->r, 2, on_view, &s), 5);
    assert_int_equal(s.n, 2);
    assert_int_equal(s.states[0], NSH_OBJECT_PENDING);
    s = (struct seen){0};
    assert_int_equal(nsh_reconciler_each(w->r, 0, on_view, &s), 5);
    assert_int_equal(s.n, 0);
}

/* Before there is a configuration, everything is harmless. */
static void test_without_a_configuration(void **state)
{
    struct world *w = world_new();
    struct nsh_counts counts;
    struct nsh_fib_event event = {.type = NSH_FIB_OVERRUN};

    (void)state;
    nsh_reconciler_event(w->r, &event);
    nsh_reconciler_poll(w->r);
    assert_false(nsh_reconciler_due(w->r));
    assert_false(nsh_reconciler_complete(w->r));
    assert_false(nsh_reconciler_wants_poll(w->r));
    assert_int_equal(nsh_reconciler_next(w->r), UINT64_MAX);
    assert_int_equal(nsh_reconciler_run(w->r), 0);
    nsh_reconciler_count(w->r, &counts);
    assert_int_equal(counts.routes[NSH_OBJECT_HELD], 0);
    assert_null(nsh_reconciler_desired(w->r));
    nsh_reconciler_free(NULL);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            rw_test(test_start_goes_up_in_order_and_a_second_run_writes_nothing),
            rw_test(test_everything_goes_down_the_other_way_round),
            rw_test(test_additions_come_before_deletions),
            rw_test(test_deleted_is_put_back),
            rw_test(test_replaced_is_put_back),
            rw_test(test_removed_and_added_otherwise),
            rw_test(test_one_that_shadows_is_replaced_and_one_behind_stays),
            rw_test(test_ipv6_nexthops_that_merged_with_ours_go),
            rw_test(test_unwanted_with_our_mark_goes_and_foreign_stays),
            rw_test(test_lost_events_lose_no_repair),
            rw_test(test_a_lost_event_of_a_shadow),
            rw_test(test_an_absent_device_is_waited_for),
            rw_test(test_an_unreachable_gateway_is_waited_for_in_the_kernels_words),
            rw_test(test_a_link_goes_down_and_comes_up),
            rw_test(test_a_device_is_deleted_and_made_anew),
            rw_test(test_without_a_device_it_follows_the_gateway),
            rw_test(test_a_gateway_behind_a_wanted_route),
            rw_test(test_a_foreign_route_on_the_key_is_told_once_and_left_alone),
            rw_test(test_on_conflict_replace_and_adoption),
            rw_test(test_a_reload_settles_a_conflict),
            rw_test(test_a_reload_carries_over_what_is_known),
            rw_test(test_events_before_a_reload_are_not_lost),
            rw_test(test_another_protocol_marks_every_route_anew),
            rw_test(test_the_old_protocol_is_foreign_in_the_end),
            rw_test(test_the_protocol_of_the_run_before),
            rw_test(test_a_fight_is_told_once_and_backs_off),
            rw_test(test_a_fight_goes_on_over_a_reload),
            rw_test(test_a_fight_may_end_without_us),
            rw_test(test_many_are_one_line_and_more_marks_than_fit_are_a_dump),
            rw_test(test_twenty_are_told_singly),
            rw_test(test_of_many_that_wait_some_are_told_as_examples),
            rw_test(test_each_shows_what_is_not_held_first),
            rw_test(test_without_a_configuration),
    };

    rw_leave_the_network();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
