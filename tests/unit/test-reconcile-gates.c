/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The reconciler and gates: what names a closed one is not wanted, goes in the right order without
 * being told as drift, and comes back.
 */
#include "reconcile-world.h"

#define WHEN ", when: {address: 10.0.0.254}"
#define ROUTE "routes:\n  - {to: 10.20.0.0/16, via: 192.168.1.1, dev: eth0, table: 100" WHEN "}\n"
#define RULE "rules:\n  - {from: 10.0.0.0/24, table: 100, priority: 1000" WHEN "}\n"
#define POLICY "masquerade:\n  - {name: lan, out: [eth0], from: [10.0.0.0/24]" WHEN "}\n"
#define ALL ROUTE RULE POLICY
#define RULE_NAME "from 10.0.0.0/24 lookup 100 priority 1000"
#define ROUTE_NAME "10.20.0.0/16 via 192.168.1.1 dev eth0 table 100"
#define ROUTE_LINE "10.20.0.0/16 via 192.168.1.1 dev eth0 table 100 proto 110\n"
#define VIP_ADD "ip addr add 10.0.0.254/24 dev eth1"
#define VIP_DEL "ip addr del 10.0.0.254/24 dev eth1"

static void assert_all(struct world *w, enum nsh_object_state state)
{
    bool there = state == NSH_OBJECT_HELD;

    assert_route(w, "10.20.0.0/16", there ? ROUTE_LINE : "");
    assert_rules(w, AF_INET, there ? RULE_NAME " proto 110\n" : "");
    assert_int_equal(table_has(w, AF_INET, NSH_TABLE_NAT, "NETSHARED-lan"), there);
    assert_int_equal(table_has(w, AF_INET, NSH_TABLE_RAW, "NETSHARED-conntrack"), there);
    assert_int_equal(sysctl_value(w, "net/ipv4/ip_forward"), there);
    assert_state(w, "route", ROUTE_NAME, state);
    assert_state(w, "rule", RULE_NAME, state);
    assert_state(w, "masquerade", "lan", state);
}

static void test_everything_moves_with_an_address(void **state)
{
    struct world *w = world_with_state();
    const struct told *t;

    (void)state;
    start(w, ALL);
    assert_log(w, "");
    assert_all(w, NSH_OBJECT_STANDBY);
    assert_reason(w, "route", ROUTE_NAME, "10.0.0.254 is not an address of this machine");
    assert_reason(w, "rule", RULE_NAME, "10.0.0.254 is not an address of this machine");
    assert_reason(w, "masquerade", "lan", "10.0.0.254 is not an address of this machine");
    t = the_told(w, NSH_REPORT_CLOSED, "condition", "address 10.0.0.254");
    assert_string_equal(t->detail, "10.0.0.254 is not an address of this machine; 1 route, 1 rule, "
                                   "1 policy on standby");
    assert_told(w, 1);
    assert_stable(w);
    assert_false(nsh_reconciler_wants_poll(w->r));

    forget(w);
    somebody(w, VIP_ADD);
    run(w);
    assert_log(w, "commit ipv4 raw\ncommit ipv4 nat\nsysctl net/ipv4/ip_forward=1\n"
                  "add 10.20.0.0/16 table 100\nadd rule " RULE_NAME "\n");
    assert_all(w, NSH_OBJECT_HELD);
    t = the_told(w, NSH_REPORT_OPENED, "condition", "address 10.0.0.254");
    assert_string_equal(t->detail, "1 route, 1 rule, 1 policy back");
    the_told(w, NSH_REPORT_ADDED, "forwarding", "ipv4");
    assert_told(w, 2);
    assert_stable(w);
    assert_true(nsh_reconciler_wants_poll(w->r));

    forget(w);
    somebody(w, VIP_DEL);
    run(w);
    assert_log(w, "delete rule " RULE_NAME "\ndelete 10.20.0.0/16 table 100\n"
                  "sysctl net/ipv4/ip_forward=0\ncommit ipv4 nat\ncommit ipv4 raw\n");
    assert_all(w, NSH_OBJECT_STANDBY);
    t = the_told(w, NSH_REPORT_CLOSED, "condition", "address 10.0.0.254");
    assert_string_equal(t->detail, "10.0.0.254 is not an address of this machine; 1 route, 1 rule, "
                                   "1 policy withdrawn");
    assert_string_equal(t->cause, "an address was removed");
    assert_int_equal(count_told(w, NSH_REPORT_REMOVED), 1); /* forwarding */
    assert_told(w, 2);
    assert_stable(w);
}

/* Whatever its families and chains. */
static void test_policy_counts_once(void **state)
{
    struct world *w = world_with_state();
    const struct told *t;

    (void)state;
    start(w, "share: [{name: home, lan: eth0, wan: eth1, when: {address: 10.0.0.254}}]\n");
    t = the_told(w, NSH_REPORT_CLOSED, "condition", "address 10.0.0.254");
    assert_string_equal(
            t->detail, "10.0.0.254 is not an address of this machine; 1 policy on standby");
    forget(w);
    somebody(w, VIP_ADD);
    run(w);
    t = the_told(w, NSH_REPORT_OPENED, "condition", "address 10.0.0.254");
    assert_string_equal(t->detail, "1 policy back");
}

/* A router whose address comes and goes all the time is no fight. */
static void test_to_and_fro_is_no_fight(void **state)
{
    struct world *w = world_with_state();

    (void)state;
    start(w, ALL);
    for (int i = 0; i < 40; i++) {
        somebody(w, VIP_ADD);
        run(w);
        assert_all(w, NSH_OBJECT_HELD);
        somebody(w, VIP_DEL);
        run(w);
        assert_all(w, NSH_OBJECT_STANDBY);
    }
    assert_int_equal(count_told(w, NSH_REPORT_FIGHT), 0);
    assert_int_equal(count_told(w, NSH_REPORT_RESTORED), 0);
    assert_int_equal(repairs_of(w, "masquerade", "lan"), 0);
}

static void test_a_restart_touches_nothing(void **state)
{
    struct world *w = world_with_state();

    (void)state;
    somebody(w, VIP_ADD);
    start(w, ALL);
    assert_all(w, NSH_OBJECT_HELD);
    assert_int_equal(count_told(w, NSH_REPORT_OPENED), 0);
    world_restart(w);
    forget(w);
    start(w, ALL);
    assert_all(w, NSH_OBJECT_HELD);
    assert_log(w, "");
    assert_told(w, 0);

    /* What moved while nobody looked goes at the next start. */
    somebody(w, VIP_DEL);
    world_restart(w);
    forget(w);
    start(w, ALL);
    assert_all(w, NSH_OBJECT_STANDBY);
    assert_stable(w);
}

static void test_what_came_while_events_were_lost(void **state)
{
    struct world *w = world_with_state();

    (void)state;
    start(w, ALL);
    nsh_fib_fake_set_queue(w->kernel, 0);
    somebody(w, VIP_ADD);
    run(w);
    assert_all(w, NSH_OBJECT_HELD);
    nsh_fib_fake_set_queue(w->kernel, 1000);
    assert_stable(w);
}

static void test_a_reload_keeps_what_holds(void **state)
{
    struct world *w = world_with_state();

    (void)state;
    somebody(w, VIP_ADD);
    start(w, ALL);
    forget(w);
    reload(w, ALL);
    assert_log(w, "");
    assert_told(w, 0);
    /* A condition is added to what is held, and one is taken away. */
    reload(w, "routes:\n  - {to: 10.20.0.0/16, via: 192.168.1.1, dev: eth0, table: 100, "
              "when: {dev-up: eth1}}\n" RULE POLICY);
    assert_log(w, "");
    assert_told(w, 0);
    reload(w, "routes:\n  - {to: 10.20.0.0/16, via: 192.168.1.1, dev: eth0, table: 100}\n" RULE
                      POLICY);
    assert_log(w, "");
    assert_told(w, 0);
    reload(w, "routes:\n  - {to: 10.20.0.0/16, via: 192.168.1.1, dev: eth0, table: 100, "
              "when: {dev-up: eth7}}\n" RULE POLICY);
    assert_log(w, "delete 10.20.0.0/16 table 100\n");
    assert_state(w, "route", ROUTE_NAME, NSH_OBJECT_STANDBY);
    assert_reason(w, "route", ROUTE_NAME, "interface eth7 does not exist");
    assert_stable(w);
    /* On standby it is written when it is wanted without a condition. */
    forget(w);
    reload(w, "routes:\n  - {to: 10.20.0.0/16, via: 192.168.1.1, dev: eth0, table: 100}\n" RULE
                      POLICY);
    assert_log(w, "add 10.20.0.0/16 table 100\n");
    the_told(w, NSH_REPORT_ADDED, "route", ROUTE_NAME);
    assert_stable(w);
}

static void test_a_device_is_up(void **state)
{
    struct world *w = world_new();
    char line[] = "10.20.0.0/16 via 192.168.1.1 dev eth0 proto 110\n";

    (void)state;
    start(w,
            "routes:\n  - {to: 10.20.0.0/16, via: 192.168.1.1, dev: eth0, when: {dev-up: eth1}}\n");
    assert_route(w, "10.20.0.0/16", line);
    somebody(w, "ip link set eth1 down");
    run(w);
    assert_route(w, "10.20.0.0/16", "");
    assert_reason(w, "route", "10.20.0.0/16", "eth1 is down");
    somebody(w, "ip link set eth1 up");
    run(w);
    assert_route(w, "10.20.0.0/16", line);
    nsh_fib_fake_link_carrier(w->kernel, "eth1", false);
    run(w);
    assert_route(w, "10.20.0.0/16", "");
    assert_reason(w, "route", "10.20.0.0/16", "eth1 has no carrier");
    nsh_fib_fake_link_carrier(w->kernel, "eth1", true);
    run(w);
    assert_route(w, "10.20.0.0/16", line);
    somebody(w, "ip link del eth1");
    run(w);
    assert_reason(w, "route", "10.20.0.0/16", "interface eth1 does not exist");
    assert_int_equal(count_told(w, NSH_REPORT_RESTORED), 0);
    assert_stable(w);
}

static void test_both_must_hold(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, "routes:\n  - {to: 10.20.0.0/16, via: 192.168.1.1, dev: eth0, "
             "when: {dev-up: eth1, address: 10.0.0.254}}\n");
    assert_state(w, "route", "10.20.0.0/16", NSH_OBJECT_STANDBY);
    somebody(w, VIP_ADD);
    run(w);
    assert_state(w, "route", "10.20.0.0/16", NSH_OBJECT_HELD);
    the_told(w, NSH_REPORT_OPENED, "condition", "address 10.0.0.254 with device eth1 up");
    nsh_fib_fake_link_carrier(w->kernel, "eth1", false);
    run(w);
    assert_state(w, "route", "10.20.0.0/16", NSH_OBJECT_STANDBY);
    assert_reason(w, "route", "10.20.0.0/16", "eth1 has no carrier");
}

static void test_a_tentative_address_does_not_count(void **state)
{
    struct world *w = world_new();

    (void)state;
    somebody(w, "ip addr add fd00:2::fe/64 dev eth1");
    nsh_fib_fake_address_tentative(w->kernel, "fd00:2::fe", true);
    start(w, "routes:\n  - {to: 10.20.0.0/16, via: 192.168.1.1, dev: eth0, "
             "when: {address: \"fd00:2::fe\"}}\n");
    assert_state(w, "route", "10.20.0.0/16", NSH_OBJECT_STANDBY);
    assert_reason(w, "route", "10.20.0.0/16", "not confirmed by duplicate address detection");
    nsh_fib_fake_address_tentative(w->kernel, "fd00:2::fe", false);
    run(w);
    assert_state(w, "route", "10.20.0.0/16", NSH_OBJECT_HELD);
}

/* Other addresses and links are none of its business: it asks the kernel nothing. */
static void test_what_others_do_costs_nothing(void **state)
{
    struct world *w = world_new();
    const struct nsh_fib_fake_counts *counts = nsh_fib_fake_counts(w->kernel);
    size_t asked;

    (void)state;
    somebody(w, VIP_ADD);
    start(w, ALL);
    asked = counts->calls[NSH_FIB_FAKE_ADDRESSES];
    assert_int_equal(counts->calls[NSH_FIB_FAKE_LINKS], 0);
    somebody(w, "ip addr add 10.9.0.1/24 dev eth1");
    run(w);
    assert_int_equal(counts->calls[NSH_FIB_FAKE_ADDRESSES], asked);
    somebody(w, VIP_DEL);
    run(w);
    assert_int_equal(counts->calls[NSH_FIB_FAKE_ADDRESSES], asked + 1);
}

/* ---- what others do meanwhile ---- */

static void test_while_on_standby(void **state)
{
    struct world *w = world_new();
    char one[] = "routes:\n  - {to: 10.20.0.0/16, via: 192.168.1.1, dev: eth0" WHEN "}\n";

    (void)state;
    somebody(w, VIP_ADD);
    start(w, one);
    somebody(w, VIP_DEL);
    run(w);
    /* Another's route on the key is none of ours now... */
    somebody(w, "ip route add 10.20.0.0/16 via 192.168.1.9 dev eth0");
    run(w);
    assert_route(w, "10.20.0.0/16", "10.20.0.0/16 via 192.168.1.9 dev eth0\n");
    assert_state(w, "route", "10.20.0.0/16", NSH_OBJECT_STANDBY);
    assert_stable(w);
    /* ...and was there first when ours is wanted again. */
    somebody(w, VIP_ADD);
    run(w);
    assert_route(w, "10.20.0.0/16", "10.20.0.0/16 via 192.168.1.9 dev eth0\n");
    assert_state(w, "route", "10.20.0.0/16", NSH_OBJECT_CONFLICTING);
    somebody(w, VIP_DEL);
    run(w);
    somebody(w, "ip route del 10.20.0.0/16");
    run(w);
    assert_state(w, "route", "10.20.0.0/16", NSH_OBJECT_STANDBY);
    /* With our mark it does not stay. */
    somebody(w, "ip route add 10.20.0.0/16 via 192.168.1.1 dev eth0 proto 110");
    run(w);
    assert_route(w, "10.20.0.0/16", "");
    assert_stable(w);
}

static void test_gone_already(void **state)
{
    struct world *w = world_new();

    (void)state;
    somebody(w, VIP_ADD);
    start(w, ALL);
    forget(w);
    somebody(w, "ip route del 10.20.0.0/16 table 100");
    somebody(w, VIP_DEL);
    run(w);
    assert_all(w, NSH_OBJECT_STANDBY);
    assert_int_equal(count_told(w, NSH_REPORT_RESTORED), 0);
    assert_int_equal(count_told(w, NSH_REPORT_FAILED), 0);
    assert_stable(w);
}

/* ---- checks ---- */

#define CHECKED \
    "routes:\n  - {to: 10.20.0.0/16, via: 192.168.1.1, dev: eth0, when: {dev-up: check-1}}\n"

static void test_a_check_fails(void **state)
{
    struct world *w = world_new();
    const struct told *t;

    (void)state;
    start(w, CHECKED);
    assert_state(w, "route", "10.20.0.0/16", NSH_OBJECT_HELD);
    forget(w);
    tell_check(w, false, 1, true, "");
    run(w);
    assert_told(w, 0);
    tell_check(w, false, 1, false, "no answer 3 times");
    run(w);
    assert_log(w, "delete 10.20.0.0/16\n");
    t = the_told(w, NSH_REPORT_CLOSED, "check", "ping 198.0.0.1");
    assert_string_equal(t->detail, "no answer 3 times; 1 route withdrawn");
    assert_told(w, 1);
    assert_state(w, "route", "10.20.0.0/16", NSH_OBJECT_STANDBY);
    assert_reason(w, "route", "10.20.0.0/16", "check ping 198.0.0.1 fails: no answer 3 times");
    assert_stable(w);
    /* A reload does not forget it, a restart does. */
    forget(w);
    reload(w, CHECKED);
    assert_log(w, "");
    assert_reason(w, "route", "10.20.0.0/16", "check ping 198.0.0.1 fails: no answer 3 times");
    tell_check(w, false, 1, true, "after 14 s");
    run(w);
    assert_log(w, "add 10.20.0.0/16\n");
    t = the_told(w, NSH_REPORT_OPENED, "check", "ping 198.0.0.1");
    assert_string_equal(t->detail, "after 14 s; 1 route back");
    assert_told(w, 1);
    assert_stable(w);
}

/* Told in the moment before a reload: it is not lost. */
static void test_a_check_fails_at_a_reload(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, CHECKED);
    tell_check(w, false, 1, false, "no answer 3 times");
    reload(w, CHECKED);
    assert_state(w, "route", "10.20.0.0/16", NSH_OBJECT_STANDBY);
    assert_route(w, "10.20.0.0/16", "");
    assert_stable(w);
}

#define HOPS(to, a, b)                                                                            \
    "routes:\n  - to: " to "\n    nexthops: [{via: " a ", dev: eth0}, {via: " b ", dev: eth1}]\n" \
    "    when: {dev-up: hop-1}\n"

static void test_a_nexthop_leaves_and_returns(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, HOPS("10.20.0.0/16", "192.168.1.1", "10.0.0.9"));
    assert_state(w, "route", "10.20.0.0/16", NSH_OBJECT_HELD);
    forget(w);
    tell_check(w, true, 1, false, "no answer 3 times");
    run(w);
    assert_log(w, "replace 10.20.0.0/16\n");
    assert_route(w, "10.20.0.0/16", "10.20.0.0/16 via 192.168.1.1 dev eth0 proto 110\n");
    assert_state(w, "route", "10.20.0.0/16", NSH_OBJECT_HELD);
    assert_string_equal(the_told(w, NSH_REPORT_CLOSED, "check", "ping")->detail,
            "no answer 3 times; 1 route goes on by other nexthops");
    assert_told(w, 1);
    assert_stable(w);

    forget(w);
    tell_check(w, true, 1, true, "after 3 s");
    run(w);
    assert_log(w, "replace 10.20.0.0/16\n");
    assert_told(w, 1);
    assert_int_equal(repairs_of(w, "route", "10.20.0.0/16"), 0);
    assert_stable(w);
    /* Drift is drift still. */
    somebody(w, "ip route del 10.20.0.0/16");
    run(w);
    assert_int_equal(count_told(w, NSH_REPORT_RESTORED), 1);

    /* Without the other one there is nothing left. */
    somebody(w, "ip link del eth0");
    run(w);
    tell_check(w, true, 1, false, "no answer 3 times");
    run(w);
    assert_route(w, "10.20.0.0/16", "");
    assert_state(w, "route", "10.20.0.0/16", NSH_OBJECT_STANDBY);
    assert_stable(w);
}

static void test_an_ipv6_nexthop_leaves_and_returns(void **state)
{
    struct world *w = world_new();
    nsh_autofree char *before = NULL, *after = NULL;

    (void)state;
    start(w, HOPS("\"fd00:9::/48\"", "\"fd00:1::9\"", "\"fd00:2::9\""));
    before = nsh_fib_fake_show(w->kernel, AF_INET6);
    forget(w);
    tell_check(w, true, 1, false, "no answer 3 times");
    run(w);
    assert_log(w, "replace fd00:9::/48\n");
    assert_stable(w);
    forget(w);
    tell_check(w, true, 1, true, "after 3 s");
    run(w);
    assert_log(w, "replace fd00:9::/48\n");
    after = nsh_fib_fake_show(w->kernel, AF_INET6);
    assert_string_equal(before, after);
    assert_stable(w);
}

/* More than are marked one by one. */
static void test_many_routes(void **state)
{
    struct world *w = world_new();
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);

    (void)state;
    fprintf(to, "routes:\n");
    for (unsigned i = 0; i < 3000; i++)
        fprintf(to, "  - {to: 10.%u.%u.0/24, via: 192.168.1.1, dev: eth0%s}\n", 20 + i / 256,
                i % 256, i % 2 ? WHEN : "");
    fclose(to);
    somebody(w, VIP_ADD);
    start(w, text);
    assert_int_equal(count_routes(w, AF_INET, "110"), 3000);
    forget(w);
    somebody(w, VIP_DEL);
    run(w);
    assert_int_equal(count_routes(w, AF_INET, "110"), 1500);
    assert_string_equal(the_told(w, NSH_REPORT_CLOSED, "condition", "")->detail,
            "10.0.0.254 is not an address of this machine; 1500 routes withdrawn");
    assert_told(w, 1);
    forget(w);
    somebody(w, VIP_ADD);
    run(w);
    assert_int_equal(count_routes(w, AF_INET, "110"), 3000);
    assert_told(w, 1);
    assert_stable(w);
    free(text);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            rw_test(test_everything_moves_with_an_address),
            rw_test(test_policy_counts_once),
            rw_test(test_to_and_fro_is_no_fight),
            rw_test(test_a_restart_touches_nothing),
            rw_test(test_what_came_while_events_were_lost),
            rw_test(test_a_reload_keeps_what_holds),
            rw_test(test_a_device_is_up),
            rw_test(test_both_must_hold),
            rw_test(test_a_tentative_address_does_not_count),
            rw_test(test_what_others_do_costs_nothing),
            rw_test(test_while_on_standby),
            rw_test(test_gone_already),
            rw_test(test_a_check_fails),
            rw_test(test_a_check_fails_at_a_reload),
            rw_test(test_a_nexthop_leaves_and_returns),
            rw_test(test_an_ipv6_nexthop_leaves_and_returns),
            rw_test(test_many_routes),
    };

    rw_leave_the_network();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
