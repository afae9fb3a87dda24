/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Forwarding through the reconciler: what is switched on and remembered, given back, put back when
 * somebody switches it off, and left alone.
 */
#include "reconcile-world.h"

#define V4 "net/ipv4/ip_forward"
#define V6 "net/ipv6/conf/all/forwarding"
#define RA(dev) "net/ipv6/conf/" dev "/accept_ra"
#define ONE_V4 "masquerade: [{name: out, out: [eth0]}]\n"
#define BOTH "masquerade: [{name: out, out: [eth0], family: [ipv4, ipv6]}]\n"

/* ---- what the state directory says ---- */

static size_t remembered(struct world *w)
{
    nsh_autofree struct nsh_sysctl_before *list = NULL;
    size_t n = 0;

    assert_int_equal(nsh_state_sysctls_load(w->state, &list, &n), 0);
    return n;
}

static bool is_remembered(struct world *w, const char *key, int before, int ours)
{
    nsh_autofree struct nsh_sysctl_before *list = NULL;
    size_t n = 0;

    assert_int_equal(nsh_state_sysctls_load(w->state, &list, &n), 0);
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i].key, key) == 0)
            return list[i].before == before && list[i].ours == ours;
    return false;
}

/* Whatever is switched on stands in the file by then, whole. */
static void is_saved_first(struct world *w, const char *key, int value)
{
    if (value > 0 && !is_remembered(w, key, value - 1, value))
        fail_msg("%s is written before it is remembered", key);
    if (strcmp(key, V6) == 0 && value == 1) {
        assert_int_equal(sysctl_value(w, RA("eth0")), 2);
        assert_true(is_remembered(w, RA("eth0"), 1, 2));
    }
}

static void test_it_is_remembered_before_it_is_written_and_given_back(void **state)
{
    struct world *w = world_with_state();

    (void)state;
    somebody(w, "sysctl net/ipv6/conf/eth1/accept_ra=0");
    somebody(w, "ip -6 route add default via fe80::1 dev eth0 proto 9");
    w->before_sysctl = is_saved_first;
    start(w, BOTH);
    assert_int_equal(sysctl_value(w, V4), 1);
    assert_int_equal(sysctl_value(w, V6), 1);
    assert_int_equal(sysctl_value(w, RA("eth0")), 2);
    assert_int_equal(sysctl_value(w, RA("eth1")), 0);
    assert_int_equal(sysctl_value(w, RA("all")), 1);
    assert_int_equal(sysctl_value(w, RA("default")), 1);
    assert_int_equal(sysctl_value(w, RA("lo")), 1);
    assert_int_equal(remembered(w), 3);
    /* The default route that was learned is still there. */
    assert_route(w, "default", "");
    assert_int_equal(count_routes(w, AF_INET6, "9"), 1);
    w->before_sysctl = NULL;
    assert_stable(w);

    /* Another process knows it too, and the family that is not needed goes back. */
    world_restart(w);
    start(w, ONE_V4);
    assert_int_equal(sysctl_value(w, V6), 0);
    assert_int_equal(sysctl_value(w, RA("eth0")), 1);
    assert_int_equal(sysctl_value(w, V4), 1);
    assert_int_equal(remembered(w), 1);
    assert_int_equal(count_routes(w, AF_INET6, "9"), 1);
    the_told(w, NSH_REPORT_REMOVED, "accept-ra", "eth0");
    the_told(w, NSH_REPORT_REMOVED, "forwarding", "ipv6");
    want(w, "", NSH_OCCASION_STOP);
    run(w);
    assert_int_equal(sysctl_value(w, V4), 0);
    assert_int_equal(remembered(w), 0);
}

/* Not to be touched any more, it stays as it is, and is not ours from then on. */
static void test_it_is_left(void **state)
{
    struct world *w = world_with_state();

    (void)state;
    start(w, BOTH);
    assert_true(is_remembered(w, V4, 0, 1));
    forget(w);
    reload(w, "settings: {forwarding: leave}\n" BOTH);
    assert_log(w, "");
    assert_told(w, 0);
    assert_int_equal(remembered(w), 0);
    reload(w, "settings: {forwarding: leave}\n");
    assert_int_equal(sysctl_value(w, V4), 1);
    assert_int_equal(sysctl_value(w, V6), 1);
    assert_int_equal(sysctl_value(w, RA("eth0")), 2);
    /* Nor is it when it is to be switched again. */
    reload(w, BOTH);
    assert_int_equal(remembered(w), 0);
    reload(w, "");
    assert_int_equal(sysctl_value(w, V4), 1);
}

static void test_what_was_on_is_not_ours(void **state)
{
    struct world *w = world_with_state();

    (void)state;
    somebody(w, "sysctl net/ipv4/ip_forward=1");
    somebody(w, "sysctl net/ipv6/conf/all/forwarding=1");
    start(w, BOTH);
    assert_state(w, "forwarding", "ipv4", NSH_OBJECT_HELD);
    assert_int_equal(count_told(w, NSH_REPORT_ADDED),
            3); /* the rules: a policy, and connections in each family */
    assert_int_equal(remembered(w), 0);
    assert_int_equal(sysctl_value(w, RA("eth0")), 1);
    /* Drift of it is repaired, and it is still not ours. */
    somebody(w, "sysctl net/ipv4/ip_forward=0");
    run(w);
    assert_int_equal(sysctl_value(w, V4), 1);
    want(w, "", NSH_OCCASION_STOP);
    run(w);
    assert_int_equal(sysctl_value(w, V4), 1);
    assert_int_equal(sysctl_value(w, V6), 1);
}

static void test_what_somebody_changed_since_stays(void **state)
{
    struct world *w = world_with_state();

    (void)state;
    start(w, BOTH);
    somebody(w, "sysctl net/ipv6/conf/eth0/accept_ra=0");
    want(w, "", NSH_OCCASION_RELOAD);
    somebody(w, "sysctl net/ipv4/ip_forward=0");
    somebody(w, "ip link del eth1");
    forget(w);
    run(w);
    assert_int_equal(sysctl_value(w, RA("eth0")), 0);
    assert_int_equal(sysctl_value(w, V4), 0);
    assert_int_equal(sysctl_value(w, V6), 0);
    assert_non_null(strstr(w->log, "sysctl " V6 "=0\n"));
    assert_null(strstr(w->log, V4));
    assert_null(strstr(w->log, "accept_ra"));
    assert_int_equal(remembered(w), 0);
}

/* A restart in between must not take our own 1 for what was before. */
static void test_a_restart_keeps_what_was_before(void **state)
{
    struct world *w = world_with_state();

    (void)state;
    start(w, BOTH);
    for (int i = 0; i < 3; i++) {
        world_restart(w);
        forget(w);
        start(w, BOTH);
        assert_log(w, "");
        assert_true(is_remembered(w, V4, 0, 1));
        assert_true(is_remembered(w, RA("eth0"), 1, 2));
    }
    want(w, "", NSH_OCCASION_STOP);
    run(w);
    assert_int_equal(sysctl_value(w, V4), 0);
    assert_int_equal(sysctl_value(w, RA("eth0")), 1);
}

/* ---- drift ---- */

static void test_switched_off_is_switched_on_again(void **state)
{
    static const char *const keys[] = {V4, V6};
    static const char *const names[] = {"ipv4", "ipv6"};
    struct world *w = world_with_state();

    (void)state;
    start(w, BOTH);
    for (int f = 0; f < 2; f++) {
        char command[64], log[64];
        const struct told *t;

        snprintf(command, sizeof(command), "sysctl %s=0", keys[f]);
        snprintf(log, sizeof(log), "sysctl %s=1\n", keys[f]);
        forget(w);
        somebody(w, command);
        run(w);
        assert_log(w, log);
        assert_told(w, 1);
        t = the_told(w, NSH_REPORT_RESTORED, "forwarding", names[f]);
        assert_string_equal(t->cause, "switched off");
        assert_int_equal(t->sender, NSH_FIB_FAKE_SOMEBODY);
        assert_int_equal(repairs_of(w, "forwarding", names[f]), 1);
    }
    reload(w, BOTH "routes: [{to: 10.20.0.0/16, via: 192.168.1.1}]\n");
    assert_int_equal(repairs_of(w, "forwarding", "ipv4"), 1);
    assert_stable(w);
}

static void test_a_device_that_comes_back_is_guarded_again(void **state)
{
    struct world *w = world_with_state();

    (void)state;
    start(w, BOTH);
    somebody(w, "ip link del eth1");
    run(w);
    somebody(w, "ip link add eth1");
    assert_int_equal(sysctl_value(w, RA("eth1")), 1);
    run(w);
    assert_int_equal(sysctl_value(w, RA("eth1")), 2);
}

static void test_a_fight_over_forwarding(void **state)
{
    struct world *w = world_with_state();
    uint64_t delay = SECOND;

    (void)state;
    start(w, ONE_V4 "routes: [{to: 10.20.0.0/16, via: 192.168.1.1, dev: eth0}]\n");
    forget(w);
    for (int i = 0; i < 8; i++) {
        somebody(w, "sysctl net/ipv4/ip_forward=0");
        run(w);
        assert_int_equal(sysctl_value(w, V4), 1);
    }
    for (int i = 0; i < 11; i++) {
        forget(w);
        somebody(w, "sysctl net/ipv4/ip_forward=0");
        run(w);
        assert_log(w, "");
        assert_state(w, "forwarding", "ipv4", NSH_OBJECT_WRONG);
        assert_int_equal(count_told(w, NSH_REPORT_FIGHT), i == 0);
        assert_int_equal(nsh_reconciler_next(w->r), w->now + delay);
        somebody(w, "ip route del 10.20.0.0/16");
        run(w);
        resync(w);
        pass_time(w, delay - 1);
        assert_log(w, "add 10.20.0.0/16\n");
        pass_time(w, 1);
        assert_log(w, "add 10.20.0.0/16\nsysctl " V4 "=1\n");
        delay = delay * 2 > 300 * SECOND ? 300 * SECOND : delay * 2;
    }
    pass_time(w, 2 * SECOND);
    somebody(w, "sysctl net/ipv4/ip_forward=0");
    run(w);
    assert_int_equal(sysctl_value(w, V4), 1);
    assert_stable(w);
}

/* Whoever keeps undoing one policy does not hold up the forwarding of all. */
static void test_a_fight_over_rules_is_none_over_forwarding(void **state)
{
    struct world *w = world_with_state();

    (void)state;
    start(w, ONE_V4);
    for (int i = 0; i < 10; i++) {
        somebody(w, "iptables -t nat -F NETSHARED-out");
        poll_tables(w);
    }
    assert_state(w, "masquerade", "out", NSH_OBJECT_WRONG);
    assert_reason(w, "masquerade", "out", "backing off");
    forget(w);
    somebody(w, "sysctl net/ipv4/ip_forward=0");
    run(w);
    assert_log(w, "sysctl " V4 "=1\n");
    the_told(w, NSH_REPORT_RESTORED, "forwarding", "ipv4");
    assert_state(w, "forwarding", "ipv4", NSH_OBJECT_HELD);
    assert_state(w, "masquerade", "out", NSH_OBJECT_WRONG);
    rw_free(w);
}

#define SHARE "share: [{name: home, lan: eth1, wan: eth0, family: ipv4}]\n"
#define DROPS "-i eth0 -o eth1 -j DROP"

/* However often its filter is undone, forwarding is on only with it. */
static void is_filtered(struct world *w, const char *key, int value)
{
    if (strcmp(key, V4) == 0 && value == 1)
        assert_true(table_has(w, AF_INET, NSH_TABLE_FILTER, DROPS));
}

static void test_a_fight_over_a_filter_keeps_forwarding_off(void **state)
{
    struct world *w = world_with_state();

    (void)state;
    w->before_sysctl = is_filtered;
    start(w, SHARE);
    for (int i = 0; i < 10; i++) {
        somebody(w, "iptables -t filter -F NETSHARED-home");
        poll_tables(w);
    }
    assert_reason(w, "share", "home", "backing off");
    somebody(w, "sysctl " V4 "=0");
    run(w);
    assert_int_equal(sysctl_value(w, V4), 0);
    assert_state(w, "forwarding", "ipv4", NSH_OBJECT_PENDING);
    assert_reason(w, "forwarding", "ipv4", "until the filter rules hold");
    forget(w);
    pass_time(w, 120 * SECOND);
    assert_log(w, "commit ipv4 filter\nsysctl " V4 "=1\n");
    the_told(w, NSH_REPORT_RESTORED, "forwarding", "ipv4");
    assert_state(w, "share", "home", NSH_OBJECT_HELD);
    assert_stable(w);
    rw_free(w);
}

/* That of a share stands while its translation is fought over. */
static void test_a_fight_over_the_nat_of_a_share_does_not(void **state)
{
    struct world *w = world_with_state();

    (void)state;
    w->before_sysctl = is_filtered;
    start(w, SHARE);
    for (int i = 0; i < 10; i++) {
        somebody(w, "iptables -t nat -F NETSHARED-home");
        poll_tables(w);
    }
    assert_reason(w, "share", "home", "backing off");
    somebody(w, "sysctl " V4 "=0");
    run(w);
    assert_int_equal(sysctl_value(w, V4), 1);

    /* Until somebody takes that along, too. */
    somebody(w, "iptables -t filter -F NETSHARED-home");
    somebody(w, "sysctl " V4 "=0");
    run(w);
    assert_int_equal(sysctl_value(w, V4), 0);
    pass_time(w, 120 * SECOND);
    assert_int_equal(sysctl_value(w, V4), 1);
    assert_stable(w);
    rw_free(w);
}

/* Nobody has told of it yet, or nobody can look before the lock is free. */
static void test_a_filter_that_went_unseen(void **state)
{
    (void)state;
    for (unsigned int busy = 0; busy < 4; busy++) {
        struct world *w = world_with_state();

        w->before_sysctl = is_filtered;
        start(w, SHARE);
        forget(w);
        nsh_firewall_fake_busy(w->tables, busy);
        somebody(w, "iptables -t filter -F NETSHARED-home");
        somebody(w, "sysctl " V4 "=0");
        run(w);
        pass_time(w, SECOND);
        assert_log(w, "commit ipv4 filter\nsysctl " V4 "=1\n");
        assert_int_equal(count_told(w, NSH_REPORT_RESTORED), 2);
        assert_state(w, "share", "home", NSH_OBJECT_HELD);
        assert_stable(w);
        rw_free(w);
    }
}

/* Other tables can be written: that says nothing of this one. */
static void test_a_filter_that_can_not_be_written(void **state)
{
    struct world *w = world_with_state();

    (void)state;
    start(w, SHARE);
    nsh_firewall_fake_fail_chain(w->tables, NSH_TABLE_FILTER, "NETSHARED-home", -EINVAL, "no");
    somebody(w, "iptables -t filter -F NETSHARED-home");
    somebody(w, "sysctl " V4 "=0");
    run(w);
    for (int i = 0; i < 10; i++)
        pass_time(w, SECOND);
    assert_int_equal(sysctl_value(w, V4), 0);
    nsh_firewall_fake_fail_chain(w->tables, NSH_TABLE_FILTER, NULL, 0, NULL);
    pass_time(w, 120 * SECOND);
    assert_int_equal(sysctl_value(w, V4), 1);
    rw_free(w);
}

/* A look needs no lock. */
static void test_a_filter_that_stands_while_the_lock_is_held(void **state)
{
    struct world *w = world_with_state();

    (void)state;
    start(w, SHARE);
    forget(w);
    nsh_firewall_fake_busy(w->tables, 100);
    somebody(w, "sysctl " V4 "=0");
    run(w);
    assert_int_equal(sysctl_value(w, V4), 1);
    assert_state(w, "forwarding", "ipv4", NSH_OBJECT_HELD);
    nsh_firewall_fake_busy(w->tables, 0);
    assert_stable(w);
    rw_free(w);
}

/* Without rules that ever held it would send packets out untranslated. */
static void test_forwarding_of_others_waits_for_the_rules(void **state)
{
    struct world *w = world_with_state();

    (void)state;
    somebody(w, "sysctl net/ipv4/ip_forward=1");
    nsh_firewall_fake_fail_chain(w->tables, NSH_TABLE_NAT, "NETSHARED-out", -EINVAL, "no");
    start(w, ONE_V4);
    assert_state(w, "forwarding", "ipv4", NSH_OBJECT_HELD);
    somebody(w, "sysctl net/ipv4/ip_forward=0");
    run(w);
    assert_int_equal(sysctl_value(w, V4), 0);
    assert_state(w, "forwarding", "ipv4", NSH_OBJECT_PENDING);
    rw_free(w);
}

/* ---- where the list can't be read ---- */

/* Nothing is known of before, and everything else is done. */
static void test_a_list_that_can_not_be_read(void **state)
{
    struct world *w = world_with_state();
    char path[96];
    FILE *file;

    (void)state;
    snprintf(path, sizeof(path), "%s/sysctls", w->dir);
    file = fopen(path, "w");
    assert_non_null(file);
    fputs("rubbish", file);
    fclose(file);
    start(w, ONE_V4 "routes: [{to: 10.20.0.0/16, via: 192.168.1.1, dev: eth0}]\n");
    assert_true(nsh_reconciler_complete(w->r));
    assert_int_equal(count_told(w, NSH_REPORT_WARNING), 1);
    assert_int_equal(count_told(w, NSH_REPORT_FAILED), 0);
    assert_state(w, "route", "10.20.0.0/16", NSH_OBJECT_HELD);
    assert_int_equal(sysctl_value(w, V4), 1);
    assert_true(is_remembered(w, V4, 0, 1));
    assert_stable(w);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            rw_test(test_it_is_remembered_before_it_is_written_and_given_back),
            rw_test(test_it_is_left),
            rw_test(test_what_was_on_is_not_ours),
            rw_test(test_what_somebody_changed_since_stays),
            rw_test(test_a_restart_keeps_what_was_before),
            rw_test(test_switched_off_is_switched_on_again),
            rw_test(test_a_device_that_comes_back_is_guarded_again),
            rw_test(test_a_fight_over_forwarding),
            rw_test(test_a_fight_over_rules_is_none_over_forwarding),
            rw_test(test_a_fight_over_a_filter_keeps_forwarding_off),
            rw_test(test_a_fight_over_the_nat_of_a_share_does_not),
            rw_test(test_a_filter_that_went_unseen),
            rw_test(test_a_filter_that_can_not_be_written),
            rw_test(test_a_filter_that_stands_while_the_lock_is_held),
            rw_test(test_forwarding_of_others_waits_for_the_rules),
            rw_test(test_a_list_that_can_not_be_read),
    };

    rw_leave_the_network();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
