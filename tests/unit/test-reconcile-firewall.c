/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packet rules through the reconciler: repairs found by the poll, a lock that somebody holds,
 * races, and a kernel that refuses.
 */
#include "reconcile-nat.h"

/* ---- repairs ---- */

static void test_a_poll_finds_what_somebody_did(void **state)
{
    static const struct {
        const char *commands[4];
        const char *reason;
    } cases[] = {
            {{"iptables -t nat -F"}, NULL},
            {{"iptables -t nat -F", "iptables -t nat -X"}, "missing"},
            {{"iptables -t nat -F NETSHARED-lan"}, "flushed"},
            {{"iptables -t nat -D POSTROUTING 1"}, "jump missing"},
            {{"iptables -t nat -A POSTROUTING -j NETSHARED-lan"}, "jump doubled"},
            {{"iptables -t nat -R NETSHARED-lan 1 -j MASQUERADE"}, "1 of 1 rules changed"},
    };
    struct world *w = world_new();

    (void)state;
    start(w, POLICIES);
    assert_nat(w, nat_text);
    assert_true(nsh_reconciler_wants_poll(w->r));
    for (size_t i = 0; i < NSH_ARRAY_SIZE(cases); i++) {
        const struct told *t;

        w->now += 5 * SECOND;
        forget(w);
        poll_tables(w);
        assert_log(w, "");
        for (size_t n = 0; n < 4 && cases[i].commands[n]; n++)
            somebody(w, cases[i].commands[n]);
        poll_tables(w);
        assert_log(w, "commit ipv4 nat\n");
        assert_nat(w, nat_text);
        t = the_told(w, NSH_REPORT_RESTORED, "masquerade", "lan");
        if (cases[i].reason)
            assert_string_equal(t->cause, cases[i].reason);
        assert_int_equal(repairs_of(w, "masquerade", "lan"), i + 1);
        assert_stable(w);
    }
    /* What was not hurt was not repaired. */
    assert_int_equal(repairs_of(w, "masquerade", "guest"), 2);
}

static void test_the_conntrack_chain_is_kept_too(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, POLICIES);
    forget(w);
    somebody(w, "iptables -t raw -F");
    somebody(w, "iptables -t raw -X");
    poll_tables(w);
    assert_log(w, "commit ipv4 raw\n");
    the_told(w, NSH_REPORT_RESTORED, "conntrack", "ipv4");
    assert_true(table_has(w, AF_INET, NSH_TABLE_RAW, "ctstate INVALID"));
    assert_null(w->r->conntrack); /* nothing went untranslated */
}

/* What keeps connections translated over a gap is there while a policy is in force. */
static void test_connections_are_held(void **state)
{
    static const char when[] =
            "masquerade: [{name: lan, out: [eth0], family: ipv4, when: {address: 10.0.0.254}}]\n";
    struct world *w = world_new();

    (void)state;
    start(w, POLICIES);
    assert_true(nsh_firewall_fake_holds(w->tables, AF_INET));
    assert_false(nsh_firewall_fake_holds(w->tables, AF_INET6));
    somebody(w, "iptables -t nat -F");
    poll_tables(w);
    assert_true(nsh_firewall_fake_holds(w->tables, AF_INET));
    reload(w, when);
    assert_false(nsh_firewall_fake_holds(w->tables, AF_INET));
    somebody(w, "ip addr add 10.0.0.254/24 dev eth0");
    read_events(w);
    run(w);
    assert_true(nsh_firewall_fake_holds(w->tables, AF_INET));
    reload(w, "");
    assert_false(nsh_firewall_fake_holds(w->tables, AF_INET));
}

/* After a gap in translation flows born in it are looked for. */
static void test_flows_are_looked_for_after_a_repair_only(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, POLICIES);
    assert_null(w->r->conntrack);
    somebody(w, "iptables -t nat -F");
    nsh_reconciler_poll(w->r);
    assert_false(w->r->flows_wanted[NSH_V4]);
    nsh_reconciler_run(w->r);
    /* In pieces: until they are through, run is called again and again. */
    assert_true(w->r->conntrack || nsh_reconciler_due(w->r) || w->r->flows_family == AF_UNSPEC);
    run(w);
    assert_int_equal(w->r->flows_family, AF_UNSPEC);
    assert_false(w->r->flows_wanted[NSH_V4]);
    assert_non_null(w->r->conntrack);
    assert_false(nsh_reconciler_due(w->r));
}

static void test_flows_are_looked_for_after_a_reload_in_between(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, POLICIES);
    somebody(w, "iptables -t nat -F");
    nsh_reconciler_poll(w->r);
    nsh_reconciler_run(w->r);
    w->r->flows_wanted[NSH_V4] = w->r->flows_family == AF_UNSPEC;
    want(w, POLICIES, NSH_OCCASION_RELOAD);
    assert_true(w->r->flows_wanted[NSH_V4]);
    run(w);
    assert_false(w->r->flows_wanted[NSH_V4]);
    assert_int_equal(w->r->flows_family, AF_UNSPEC);
}

/* What an earlier run of ours held and is missing at start was a gap as well. */
static void test_flows_are_looked_for_at_a_start_after_another(void **state)
{
    struct world *w = world_with_state();

    (void)state;
    start(w, POLICIES);
    assert_null(w->r->conntrack);
    world_restart(w);
    start(w, POLICIES);
    assert_null(w->r->conntrack);
    somebody(w, "iptables -t nat -F");
    world_restart(w);
    start(w, POLICIES);
    assert_non_null(w->r->conntrack);
}

static void test_foreign_rules_stay_as_they_are(void **state)
{
    static const char before[] = "-A POSTROUTING -s 172.17.0.0/16 -o eth1 -j MASQUERADE\n"
                                 "-A POSTROUTING -p tcp -j SNAT --to-source 192.168.1.2\n";
    struct world *w = world_new();

    (void)state;
    somebody(w, "iptables -t nat -A POSTROUTING -s 172.17.0.0/16 -o eth1 -j MASQUERADE");
    somebody(w, "iptables -t nat -A POSTROUTING -p tcp -j SNAT --to-source 192.168.1.2");
    start(w, "masquerade: [" LAN "]\n");
    assert_nat(w, "-A POSTROUTING -s 172.17.0.0/16 -o eth1 -j MASQUERADE\n"
                  "-A POSTROUTING -p tcp -j SNAT --to-source 192.168.1.2\n"
                  "-A POSTROUTING -j NETSHARED-lan\n"
                  "-A NETSHARED-lan -s 10.0.0.0/24 -o eth0 -j MASQUERADE\n");
    want(w, "", NSH_OCCASION_STOP);
    run(w);
    assert_nat(w, before);
}

static void test_a_reload_writes_what_changed(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, POLICIES);
    somebody(w, "iptables -t nat -F NETSHARED-guest");
    poll_tables(w);
    forget(w);
    reload(w, "masquerade: [" GUEST ", {name: lan, out: [eth1]}]\n");
    assert_int_equal(repairs_of(w, "masquerade", "guest"), 1);
    assert_int_equal(repairs_of(w, "masquerade", "lan"), 0);
    the_told(w, NSH_REPORT_CHANGED, "masquerade", "lan");
    assert_stable(w);
    forget(w);
    reload(w, "masquerade: [" GUEST "]\n");
    assert_log(w, "commit ipv4 nat\n");
    the_told(w, NSH_REPORT_REMOVED, "masquerade", "lan");
    assert_told(w, 1);
    assert_int_equal(repairs_of(w, "masquerade", "guest"), 1);
}

/* With ten thousand policies a look is what costs. */
static void test_each_table_is_read_once(void **state)
{
    enum { TABLES = NSH_FAMILIES * NSH_TABLE_COUNT };
    struct world *w = world_new();
    const struct nsh_firewall_fake_counts *counts = nsh_firewall_fake_counts(w->tables);
    size_t before;

    (void)state;
    start(w, POLICIES);
    assert_int_equal(counts->observes, TABLES);
    before = counts->observes;
    somebody(w, "iptables -t nat -F NETSHARED-guest");
    poll_tables(w);
    assert_int_equal(repairs_of(w, "masquerade", "guest"), 1);
    assert_int_equal(counts->observes - before, TABLES);
}

/* What was first until then leaves the first place, once: foreign rules may come behind it later.
 */
static void test_a_reload_moves_what_is_no_longer_first(void **state)
{
    static const char first[] = "masquerade: [{name: lan, out: [eth0], from: [10.0.0.0/24], "
                                "ipsec: include, position: first}, " GUEST "]\n";
    static const char theirs[] = "-A POSTROUTING -o eth3 -j MASQUERADE\n";
    static const char jump[] = "-A POSTROUTING -j NETSHARED-lan\n";
    struct world *w = world_new();
    nsh_autofree char *before = NULL, *after = NULL;

    (void)state;
    start(w, first);
    somebody(w, "iptables -t nat -I POSTROUTING 2 -o eth3 -j MASQUERADE");
    poll_tables(w);
    before = table_text(w, AF_INET, NSH_TABLE_NAT);
    assert_true(strstr(before, jump) < strstr(before, theirs));
    forget(w);
    nsh_firewall_fake_busy(w->tables, 1000000);
    reload(w, POLICIES);
    reload(w, POLICIES);
    nsh_firewall_fake_busy(w->tables, 0);
    pass_time(w, 200000);
    assert_log(w, "commit ipv4 nat\n");
    after = table_text(w, AF_INET, NSH_TABLE_NAT);
    assert_true(strstr(after, jump) > strstr(after, theirs));
    assert_stable(w);
    somebody(w, "iptables -t nat -D POSTROUTING -o eth3 -j MASQUERADE");
    somebody(w, "iptables -t nat -A POSTROUTING -o eth3 -j MASQUERADE");
    poll_tables(w);
    reload(w, POLICIES);
    assert_log(w, "");
}

/* ---- the lock ---- */

static void test_at_start_the_rest_waits_for_the_lock_but_not_for_ever(void **state)
{
    struct world *w = world_new();

    (void)state;
    nsh_firewall_fake_busy(w->tables, 1000000);
    start(w, ROUTE POLICIES);
    assert_log(w, "");
    assert_false(nsh_reconciler_complete(w->r));
    assert_int_equal(nsh_reconciler_next(w->r), w->now + 50000);
    pass_time(w, 4900000);
    assert_log(w, "");
    pass_time(w, 200000);
    assert_log(w, "add 10.20.0.0/16\n");
    assert_state(w, "route", "10.20.0.0/16", NSH_OBJECT_HELD);
    assert_state(w, "forwarding", "ipv4", NSH_OBJECT_PENDING);
    assert_reason(w, "forwarding", "ipv4", "until the masquerade rules hold");
    pass_time(w, 60 * SECOND);
    assert_false(nsh_reconciler_complete(w->r));
    assert_log(w, "add 10.20.0.0/16\n");
    assert_int_equal(sysctl_value(w, FORWARD), 0);
    assert_told(w, 2);

    forget(w);
    nsh_firewall_fake_busy(w->tables, 0);
    pass_time(w, SECOND);
    assert_log(w, "commit ipv4 raw\ncommit ipv4 nat\nsysctl net/ipv4/ip_forward=1\n");
    assert_true(nsh_reconciler_complete(w->r));
    assert_stable(w);
}

static void test_at_start_the_lock_is_free_soon(void **state)
{
    struct world *w = world_new();

    (void)state;
    nsh_firewall_fake_busy(w->tables, 3);
    start(w, ROUTE POLICIES);
    pass_time(w, 100000);
    assert_log(w, "");
    pass_time(w, 50000);
    assert_log(w, "commit ipv4 raw\ncommit ipv4 nat\nsysctl net/ipv4/ip_forward=1\n"
                  "add 10.20.0.0/16\n");
    assert_true(nsh_reconciler_complete(w->r));
}

static void test_while_it_runs_routes_do_not_wait_for_the_lock(void **state)
{
    struct world *w = world_new();
    struct nsh_work before, after;

    (void)state;
    start(w, ROUTE POLICIES);
    forget(w);
    nsh_firewall_fake_busy(w->tables, 1000000);
    somebody(w, "iptables -t nat -F");
    nsh_reconciler_poll(w->r);
    somebody(w, "ip route del 10.20.0.0/16");
    somebody(w, "sysctl net/ipv4/ip_forward=0");
    run(w);
    assert_log(w, "sysctl net/ipv4/ip_forward=1\nadd 10.20.0.0/16\n");
    assert_int_equal(count_told(w, NSH_REPORT_RESTORED), 2);
    nsh_reconciler_work(w->r, &before);
    pass_time(w, SECOND);
    nsh_reconciler_work(w->r, &after);
    assert_in_range(after.passes - before.passes, 10, 30);
    nsh_firewall_fake_busy(w->tables, 0);
    pass_time(w, 50000);
    assert_nat(w, nat_text);
    assert_stable(w);
}

/* Going down, nothing but the rules waits for it. */
static void test_the_lock_is_held_when_rules_are_to_go(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, ROUTE POLICIES);
    forget(w);
    nsh_firewall_fake_busy(w->tables, 10);
    want(w, "", NSH_OCCASION_RELOAD);
    run(w);
    assert_log(w, "delete 10.20.0.0/16\nsysctl net/ipv4/ip_forward=0\n");
    assert_false(nsh_reconciler_complete(w->r));
    pass_time(w, 10 * SECOND);
    assert_true(nsh_reconciler_complete(w->r));
    assert_nat(w, "");
}

/* ---- races ---- */

static void meanwhile(void *userdata)
{
    somebody(userdata, "iptables -t nat -A POSTROUTING -o ppp0 -j MASQUERADE");
}

static void test_a_race_is_run_again_from_the_start(void **state)
{
    struct world *w = world_new();

    (void)state;
    nsh_firewall_fake_race(w->tables, 2, meanwhile, w);
    start(w, "masquerade: [" LAN "]\n");
    assert_nat(w, "-A POSTROUTING -o ppp0 -j MASQUERADE\n-A POSTROUTING -o ppp0 -j MASQUERADE\n"
                  "-A POSTROUTING -j NETSHARED-lan\n"
                  "-A NETSHARED-lan -s 10.0.0.0/24 -o eth0 -j MASQUERADE\n");
    assert_stable(w);
}

static void test_when_every_commit_is_raced_it_is_tried_later(void **state)
{
    struct world *w = world_new();

    (void)state;
    nsh_firewall_fake_race(w->tables, 40, NULL, NULL);
    start(w, ROUTE "masquerade: [" LAN "]\n");
    assert_int_equal(sysctl_value(w, FORWARD), 0);
    assert_false(nsh_reconciler_complete(w->r));
    assert_true(nsh_reconciler_next(w->r) > w->now);
    pass_time(w, SECOND);
    assert_true(nsh_reconciler_complete(w->r));
    assert_int_equal(sysctl_value(w, FORWARD), 1);
    assert_int_equal(count_told(w, NSH_REPORT_FAILED), 0);
    assert_stable(w);
}

/* ---- a kernel that can't ---- */

static void test_without_tables_forwarding_stays_off(void **state)
{
    static const char words[] = "this kernel has no legacy tables";
    struct world *w = world_new();

    (void)state;
    nsh_firewall_fake_unsupported(w->tables, AF_INET6, -ENOPROTOOPT, words);
    start(w, ROUTE "masquerade: [{name: out, out: [eth0], family: [ipv4, ipv6]}]\n");
    assert_true(nsh_reconciler_complete(w->r));
    assert_state(w, "masquerade", "out (ipv4)", NSH_OBJECT_HELD);
    assert_state(w, "masquerade", "out (ipv6)", NSH_OBJECT_WRONG);
    assert_reason(w, "masquerade", "out (ipv6)", words);
    assert_string_equal(the_told(w, NSH_REPORT_FAILED, "masquerade", "out (ipv6)")->detail, words);
    assert_int_equal(sysctl_value(w, FORWARD), 1);
    assert_int_equal(sysctl_value(w, "net/ipv6/conf/all/forwarding"), 0);
    assert_state(w, "forwarding", "ipv6", NSH_OBJECT_PENDING);
    assert_route(w, "10.20.0.0/16", "10.20.0.0/16 via 192.168.1.1 dev eth0 proto 110\n");
    forget(w);
    for (int i = 0; i < 3; i++) {
        pass_time(w, SECOND);
        poll_tables(w);
        resync(w);
    }
    assert_told(w, 0);

    /* The module is there now. */
    nsh_firewall_fake_unsupported(w->tables, AF_INET6, 0, NULL);
    pass_time(w, SECOND);
    poll_tables(w);
    assert_state(w, "masquerade", "out (ipv6)", NSH_OBJECT_HELD);
    assert_int_equal(sysctl_value(w, "net/ipv6/conf/all/forwarding"), 1);
    assert_stable(w);
}

static void test_a_commit_may_fail_with_anything(void **state)
{
    static const int errors[] = {EPERM, ENOENT, EINVAL, ENOMEM, EAGAIN, ENOPROTOOPT, E2BIG, EBUSY,
            ENOBUFS, EOPNOTSUPP, ELOOP, EIO};

    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(errors); i++)
        for (unsigned nth = 1; nth <= 2; nth++) {
            struct world *w = world_new();
            const char *kind = nth == 1 ? "conntrack" : "masquerade";

            nsh_firewall_fake_fail_commit(w->tables, nth, -errors[i], "no such target");
            start(w, ROUTE "masquerade: [" LAN "]\n");
            assert_true(nsh_reconciler_complete(w->r));
            assert_string_equal(the_told(w, NSH_REPORT_FAILED, kind, "")->detail, "no such target");
            assert_int_equal(sysctl_value(w, FORWARD), nth == 1);
            assert_route(w, "10.20.0.0/16", "10.20.0.0/16 via 192.168.1.1 dev eth0 proto 110\n");
            if (nth == 2)
                assert_state(w, "masquerade", "lan", NSH_OBJECT_WRONG);
            resync(w);
            assert_state(w, "masquerade", "lan", NSH_OBJECT_HELD);
            assert_int_equal(sysctl_value(w, FORWARD), 1);
            assert_stable(w);
            rw_free(w);
        }
}

static int refused_open(struct nsh_firewall *fw, enum nsh_firewall_mode mode)
{
    (void)fw;
    (void)mode;
    return -EACCES;
}

static void test_the_lock_can_not_be_opened(void **state)
{
    struct world *w = world_new();

    (void)state;
    w->firewall_ops.open = refused_open;
    start(w, ROUTE POLICIES);
    assert_true(nsh_reconciler_complete(w->r));
    assert_reason(w, "masquerade", "lan", "xtables lock: Permission denied");
    assert_int_equal(sysctl_value(w, FORWARD), 0);
    assert_state(w, "route", "10.20.0.0/16", NSH_OBJECT_HELD);
    forget(w);
    poll_tables(w);
    resync(w);
    assert_told(w, 0);
    w->firewall_ops.open = w->real_firewall->open;
    poll_tables(w);
    assert_nat(w, nat_text);
    assert_int_equal(sysctl_value(w, FORWARD), 1);
}

/* A table is kept even where forwarding is somebody else's business. */
static void test_forwarding_left_alone(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, "settings: {forwarding: leave}\n" POLICIES);
    assert_log(w, "commit ipv4 raw\ncommit ipv4 nat\n");
    somebody(w, "iptables -t nat -F");
    poll_tables(w);
    assert_nat(w, nat_text);
    somebody(w, "sysctl net/ipv4/ip_forward=1");
    somebody(w, "sysctl net/ipv4/ip_forward=0");
    run(w);
    assert_int_equal(sysctl_value(w, FORWARD), 0);

    /* Also after a refusal. */
    somebody(w, "iptables -t nat -F");
    nsh_firewall_fake_fail_commit(w->tables, 1, -EIO, "it is not so");
    poll_tables(w);
    assert_state(w, "masquerade", "lan", NSH_OBJECT_WRONG);
    somebody(w, "iptables -t nat -A POSTROUTING -o eth1 -j MASQUERADE");
    poll_tables(w);
    assert_state(w, "masquerade", "lan", NSH_OBJECT_HELD);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            rw_test(test_a_poll_finds_what_somebody_did),
            rw_test(test_the_conntrack_chain_is_kept_too),
            rw_test(test_connections_are_held),
            rw_test(test_flows_are_looked_for_after_a_repair_only),
            rw_test(test_flows_are_looked_for_after_a_reload_in_between),
            rw_test(test_flows_are_looked_for_at_a_start_after_another),
            rw_test(test_foreign_rules_stay_as_they_are),
            rw_test(test_a_reload_writes_what_changed),
            rw_test(test_each_table_is_read_once),
            rw_test(test_a_reload_moves_what_is_no_longer_first),
            rw_test(test_at_start_the_rest_waits_for_the_lock_but_not_for_ever),
            rw_test(test_at_start_the_lock_is_free_soon),
            rw_test(test_while_it_runs_routes_do_not_wait_for_the_lock),
            rw_test(test_the_lock_is_held_when_rules_are_to_go),
            rw_test(test_a_race_is_run_again_from_the_start),
            rw_test(test_when_every_commit_is_raced_it_is_tried_later),
            rw_test(test_without_tables_forwarding_stays_off),
            rw_test(test_a_commit_may_fail_with_anything),
            rw_test(test_the_lock_can_not_be_opened),
            rw_test(test_forwarding_left_alone),
    };

    rw_leave_the_network();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
