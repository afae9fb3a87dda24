/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Somebody undoes a repair of rules again and again.
 */
#include "reconcile-nat.h"

static void fight_over(const char *command, const char *name)
{
    struct world *w = world_new();
    uint64_t delay = SECOND;

    start(w, ROUTE POLICIES);
    forget(w);
    for (int i = 0; i < 8; i++) {
        somebody(w, command);
        poll_tables(w);
        assert_nat(w, nat_text);
        w->now += 500000;
    }
    for (int i = 0; i < 11; i++) {
        forget(w);
        somebody(w, command);
        poll_tables(w);
        assert_log(w, "");
        assert_state(w, "masquerade", name, NSH_OBJECT_WRONG);
        assert_reason(w, "masquerade", name, "backing off");
        assert_int_equal(nsh_reconciler_next(w->r), w->now + delay);
        assert_int_equal(count_told(w, NSH_REPORT_FIGHT) > 0, i == 0);
        if (i == 0)
            assert_non_null(strstr(the_told(w, NSH_REPORT_FIGHT, "masquerade", name)->detail,
                    "8 times in 4.0 s; next try in 1 s"));
        /* Others are repaired meanwhile; polls and comparisons do not shorten the wait. */
        forget(w);
        somebody(w, "ip route del 10.20.0.0/16");
        run(w);
        poll_tables(w);
        resync(w);
        pass_time(w, delay - 1);
        poll_tables(w);
        assert_log(w, "add 10.20.0.0/16\n");
        pass_time(w, 1);
        assert_log(w, "add 10.20.0.0/16\ncommit ipv4 nat\n");
        assert_nat(w, nat_text);
        delay = delay * 2 > 300 * SECOND ? 300 * SECOND : delay * 2;
    }
    pass_time(w, 2 * SECOND);
    forget(w);
    somebody(w, command);
    poll_tables(w);
    assert_nat(w, nat_text);
    assert_int_equal(count_told(w, NSH_REPORT_FIGHT), 0);
    assert_stable(w);
    rw_free(w);
}

static void test_a_fight_over_the_table(void **state)
{
    (void)state;
    fight_over("iptables -t nat -F", "lan");
}

/* What is undone need not be the first policy of the file. */
static void test_a_fight_over_one_policy(void **state)
{
    (void)state;
    fight_over("iptables -t nat -F NETSHARED-guest", "guest");
}

/* Whoever keeps undoing one policy does not hold the repair of the others, nor are they named. */
static void test_a_fight_over_one_policy_is_nobody_elses(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, POLICIES);
    for (int i = 0; i < 8; i++) {
        somebody(w, "iptables -t nat -F NETSHARED-guest");
        poll_tables(w);
    }
    forget(w);
    for (int i = 0; i < 3; i++) {
        somebody(w, "iptables -t nat -F NETSHARED-guest");
        poll_tables(w);
        if (i < 2)
            pass_time(w, SECOND << i);
    }
    assert_int_equal(count_told(w, NSH_REPORT_FIGHT), 1);
    assert_non_null(the_told(w, NSH_REPORT_FIGHT, "masquerade", "guest"));
    assert_state(w, "masquerade", "lan", NSH_OBJECT_HELD);
    /* It waits for four seconds now. */
    forget(w);
    somebody(w, "iptables -t nat -F NETSHARED-lan");
    poll_tables(w);
    pass_time(w, SECOND);
    assert_log(w, "commit ipv4 nat\n");
    assert_nat(w, nat_text);
    assert_int_equal(count_told(w, NSH_REPORT_FIGHT), 0);
    assert_non_null(the_told(w, NSH_REPORT_RESTORED, "masquerade", "lan"));

    /* What is undone here and there is no fight. */
    pass_time(w, 2 * SECOND);
    forget(w);
    for (int i = 0; i < 20; i++) {
        somebody(w,
                i % 2 ? "iptables -t nat -F NETSHARED-guest" : "iptables -t nat -F NETSHARED-lan");
        poll_tables(w);
        assert_nat(w, nat_text);
        w->now += 800000;
    }
    assert_int_equal(count_told(w, NSH_REPORT_FIGHT), 0);
    rw_free(w);
}

static void test_a_fight_over_a_table_goes_on_over_a_reload(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, POLICIES);
    for (int i = 0; i < 8; i++) {
        somebody(w, "iptables -t nat -F");
        poll_tables(w);
    }
    reload(w, "masquerade: [" GUEST "]\n");
    forget(w);
    somebody(w, "iptables -t nat -F");
    poll_tables(w);
    assert_int_equal(count_told(w, NSH_REPORT_FIGHT), 1);
    assert_log(w, "");
}

/* A policy that is refused has pauses of its own, whatever is fought over meanwhile. */
static void test_what_is_refused_beside_a_fight(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, POLICIES "share: [{name: home, lan: eth1, wan: eth0, family: ipv4}]\n");
    for (int i = 0; i < 8; i++) {
        somebody(w, "iptables -t nat -F NETSHARED-guest");
        poll_tables(w);
    }
    nsh_firewall_fake_fail_chain(
            w->tables, NSH_TABLE_FILTER, "NETSHARED-home", EINVAL, "not this one");
    somebody(w, "iptables -t filter -F NETSHARED-home");
    poll_tables(w);
    pass_time(w, SECOND / 2);
    for (int i = 0; i < 4; i++) {
        somebody(w, "iptables -t nat -F NETSHARED-guest");
        poll_tables(w);
        pass_time(w, SECOND << i);
    }
    assert_state(w, "share", "home", NSH_OBJECT_WRONG);
    assert_int_equal(count_told(w, NSH_REPORT_FIGHT), 1);
    nsh_firewall_fake_fail_chain(w->tables, NSH_TABLE_FILTER, NULL, 0, NULL);
    pass_time(w, 300 * SECOND);
    assert_state(w, "share", "home", NSH_OBJECT_HELD);
    assert_state(w, "masquerade", "guest", NSH_OBJECT_HELD);
    assert_stable(w);
    rw_free(w);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            rw_test(test_a_fight_over_the_table),
            rw_test(test_a_fight_over_one_policy),
            rw_test(test_a_fight_over_one_policy_is_nobody_elses),
            rw_test(test_a_fight_over_a_table_goes_on_over_a_reload),
            rw_test(test_what_is_refused_beside_a_fight),
    };

    rw_leave_the_network();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
