/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The reconciler and checks as they are written in the file: the ways of the probes are kept
 * whatever becomes of the route, and what is known of a check outlives a reload.
 */
#include "reconcile-world.h"

#define CHECK(more) "check: {ping: 198.51.100.1" more "}"
#define ONE(more) "routes:\n  - {to: 10.20.0.0/16, via: 192.168.1.1, dev: eth0, " CHECK(more) "}\n"
#define ROUTE_LINE "10.20.0.0/16 via 192.168.1.1 dev eth0 proto 110\n"
#define WAY "default via 192.168.1.1 dev eth0 table 11000"
#define LAST "unreachable default table 11000 metric 4294967295"
#define RULE "from all fwmark 0x6e000000 lookup 11000 priority 1"
#define NAME "ping 198.51.100.1 via 192.168.1.1 dev eth0"

/* A probe tells of the first check. */
static void tell(struct world *w, bool works, const char *reason)
{
    const struct nsh_desired *d = nsh_reconciler_desired(w->r);
    size_t g = 1;

    while (d->gates[g].kind != NSH_GATE_CHECK)
        g++;
    nsh_reconciler_gate(w->r, (nsh_gate_id)g, works, reason);
    run(w);
}

static void assert_way(struct world *w)
{
    assert_state(w, "probe route", WAY, NSH_OBJECT_HELD);
    assert_state(w, "probe route", LAST, NSH_OBJECT_HELD);
    assert_state(w, "probe rule", RULE, NSH_OBJECT_HELD);
}

static void test_the_way_stays(void **state)
{
    struct world *w = world_with_state();
    struct nsh_counts counts;

    (void)state;
    start(w, ONE(""));
    assert_route(w, "10.20.0.0/16", ROUTE_LINE);
    assert_rules(w, AF_INET, RULE " proto 110\n");
    assert_way(w);
    nsh_reconciler_count(w->r, &counts);
    assert_int_equal(counts.routes[NSH_OBJECT_HELD], 1);
    assert_int_equal(counts.rules[NSH_OBJECT_HELD], 0);
    assert_int_equal(counts.probes[NSH_OBJECT_HELD], 3);
    the_told(w, NSH_REPORT_ADDED, "probe route", WAY);
    the_told(w, NSH_REPORT_ADDED, "probe route", LAST);
    the_told(w, NSH_REPORT_ADDED, "probe rule", RULE);
    assert_stable(w);

    forget(w);
    tell(w, false, "no answer 3 times");
    assert_log(w, "delete 10.20.0.0/16\n");
    assert_reason(w, "route", "10.20.0.0/16", "check " NAME " fails: no answer 3 times");
    assert_way(w);
    assert_stable(w);
    forget(w);
    tell(w, true, "after 14 s");
    assert_log(w, "add 10.20.0.0/16\n");
    assert_stable(w);

    /* A restart finds all of it. */
    world_restart(w);
    forget(w);
    start(w, ONE(""));
    assert_log(w, "");
    assert_told(w, 0);

    /* Without the check, all of it goes: the rule before the routes it leads to. */
    reload(w, "routes:\n  - {to: 10.20.0.0/16, via: 192.168.1.1, dev: eth0}\n");
    assert_log(w, "delete rule " RULE " (ipv4)\ndelete default table 11000\n"
                  "delete default table 11000 metric 4294967295\n");
    the_told(w, NSH_REPORT_REMOVED, "probe rule", RULE);
    the_told(w, NSH_REPORT_REMOVED, "probe route", WAY);
    assert_stable(w);
}

static void test_the_way_is_repaired(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, ONE(""));
    assert_true(nsh_reconciler_leads_probes(w->r, 1));
    forget(w);
    somebody(w, "ip rule del priority 1 lookup 11000");
    run(w);
    the_told(w, NSH_REPORT_RESTORED, "probe rule", RULE);
    somebody(w, "ip route del default table 11000");
    run(w);
    the_told(w, NSH_REPORT_RESTORED, "probe route", WAY);
    assert_way(w);
    /* Nobody else has any business there. */
    somebody(w, "ip route replace default via 192.168.1.9 dev eth0 table 11000");
    run(w);
    assert_way(w);
    assert_stable(w);
}

/* Its table is netshared's even if somebody was there before. */
static void test_somebody_was_there(void **state)
{
    struct world *w = world_new();

    (void)state;
    somebody(w, "ip route add default via 192.168.1.9 dev eth0 table 11000");
    start(w, ONE(""));
    assert_way(w);
    assert_stable(w);
}

static void test_a_missing_device(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, ONE(""));
    somebody(w, "ip link del eth0");
    run(w);
    assert_state(w, "probe route", WAY, NSH_OBJECT_PENDING);
    /* Probes are not to find another way meanwhile. */
    assert_state(w, "probe route", LAST, NSH_OBJECT_HELD);
    assert_state(w, "probe rule", RULE, NSH_OBJECT_HELD);
    assert_stable(w);
}

static void test_a_reload_keeps_what_failed(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, ONE(""));
    tell(w, false, "no answer 3 times");
    forget(w);
    reload(w, ONE(", interval: 5s, fail: 9"));
    assert_log(w, "");
    assert_told(w, 0);
    assert_reason(w, "route", "10.20.0.0/16", "check " NAME " fails: no answer 3 times");
    /* A condition before it moves its number. */
    reload(w, "routes:\n  - {to: 10.19.0.0/16, via: 192.168.1.1, dev: eth0, when: {dev-up: eth9}}\n"
              "  - {to: 10.20.0.0/16, via: 192.168.1.1, dev: eth0, " CHECK("") "}\n");
    assert_log(w, "");
    assert_reason(w, "route", "10.20.0.0/16", "check " NAME " fails: no answer 3 times");
    /* By another nexthop it is another check, and works at first. */
    reload(w, "routes:\n  - {to: 10.20.0.0/16, via: 192.168.1.2, dev: eth0, " CHECK("") "}\n");
    assert_state(w, "route", "10.20.0.0/16", NSH_OBJECT_HELD);
    assert_stable(w);
}

static void test_a_change_of_numbers(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, ONE(""));
    tell(w, false, "no answer 3 times");
    forget(w);
    reload(w, "settings: {check-mark: 7, check-table: 700, check-priority: 9}\n" ONE(""));
    assert_rules(w, AF_INET, "from all fwmark 0x7 lookup 700 priority 9 proto 110\n");
    assert_state(w, "route", "10.20.0.0/16", NSH_OBJECT_STANDBY);
    assert_true(nsh_reconciler_leads_probes(w->r, 1));
    assert_stable(w);
}

static void test_shared(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, "routes:\n"
             "  - {to: 10.20.0.0/16, via: 192.168.1.1, dev: eth0, " CHECK(
                     "") "}\n"
                         "  - {to: 10.21.0.0/16, via: 192.168.1.1, dev: eth0, " CHECK(
                                 "") "}\n"
                                     "  - to: 10.22.0.0/16\n"
                                     "    nexthops: [{via: 192.168.1.1, dev: eth0, " CHECK(
                                             "") "},\n"
                                                 "      {via: 10.0.0.9, dev: eth1, check: {tcp: "
                                                 "198.51.100.1, port: 443}}]\n");
    assert_rules(w, AF_INET,
            RULE " proto 110\nfrom all fwmark 0x6e000001 lookup 11001 priority 1 "
                 "proto 110\n");
    forget(w);
    tell(w, false, "no answer 3 times");
    assert_string_equal(the_told(w, NSH_REPORT_CLOSED, "check", NAME)->detail,
            "no answer 3 times; 2 routes withdrawn, 1 route goes on by other nexthops");
    assert_log(w, "replace 10.22.0.0/16\ndelete 10.20.0.0/16\ndelete 10.21.0.0/16\n");
    assert_stable(w);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            rw_test(test_the_way_stays),
            rw_test(test_the_way_is_repaired),
            rw_test(test_somebody_was_there),
            rw_test(test_a_missing_device),
            rw_test(test_a_reload_keeps_what_failed),
            rw_test(test_a_change_of_numbers),
            rw_test(test_shared),
    };

    rw_leave_the_network();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
