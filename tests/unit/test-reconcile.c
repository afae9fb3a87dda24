/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Routes through the reconciler: the order of a pass, repairs, fights, and what `status` is shown.
 */
#include "reconcile-world.h"

#define ONE "routes:\n  - {to: 10.20.0.0/16, via: 192.168.1.1, dev: eth0}\n"
#define ONE_LINE "10.20.0.0/16 via 192.168.1.1 dev eth0 proto 110\n"
#define TWO "  - {to: 10.30.0.0/16, via: 192.168.1.1, dev: eth0}\n"

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

/* Of several events the last tells what stands there. */
static void test_removed_and_added_otherwise(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, ONE);
    forget(w);
    somebody(w, "ip route del 10.20.0.0/16");
    somebody(w, "ip route add 10.20.0.0/16 via 192.168.1.7 dev eth0 proto 110");
    run(w);
    assert_log(w, "replace 10.20.0.0/16\n");
    assert_route(w, "10.20.0.0/16", ONE_LINE);
    assert_told(w, 1);
    assert_string_equal(
            the_told(w, NSH_REPORT_RESTORED, "route", "10.20.0.0/16")->cause, "replaced");

    /* One without our mark is not heard of, but met. */
    forget(w);
    somebody(w, "ip route del 10.20.0.0/16");
    somebody(w, "ip route add 10.20.0.0/16 via 192.168.1.7 dev eth0");
    run(w);
    assert_log(w, "add 10.20.0.0/16\nreplace 10.20.0.0/16\n");
    assert_route(w, "10.20.0.0/16", ONE_LINE);
    assert_told(w, 1);
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

/* Each loss is compared; who loses all the time says so now and then. */
static void test_losses_are_told_now_and_then(void **state)
{
    struct world *w = world_new();
    struct nsh_fib_event event = {.type = NSH_FIB_OVERRUN};

    (void)state;
    start(w, ONE);
    forget(w);
    for (int i = 0; i < 21; i++) {
        nsh_reconciler_event(w->r, &event);
        assert_true(nsh_reconciler_due(w->r));
        run(w);
        assert_false(nsh_reconciler_due(w->r));
        pass_time(w, SECOND);
    }
    assert_int_equal(count_told(w, NSH_REPORT_OVERRUN), 3);
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
            rw_test(test_losses_are_told_now_and_then),
            rw_test(test_a_lost_event_of_a_shadow),
            rw_test(test_a_fight_is_told_once_and_backs_off),
            rw_test(test_a_fight_goes_on_over_a_reload),
            rw_test(test_a_fight_may_end_without_us),
            rw_test(test_each_shows_what_is_not_held_first),
            rw_test(test_without_a_configuration),
    };

    rw_leave_the_network();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
