/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Policies with more than one chain through the reconciler: all of a share or none of it, told as
 * one object, and nobody else is held up by it.
 */
#include "reconcile-internal.h"
#include "reconcile-policies.h"

#define LAN "masquerade: [{name: lan, out: [eth0], from: [10.0.0.0/24]}]\n"
#define FORWARD "net/ipv4/ip_forward"
#define FORWARD6 "net/ipv6/conf/all/forwarding"

static struct nsh_desired *share(const char *yaml)
{
    struct nsh_desired *d = rw_load(yaml);

    rp_add_share(d, "home", AF_INET);
    return d;
}

static bool has(struct world *w, enum nsh_table table)
{
    return table_has(w, AF_INET, table, "NETSHARED-home");
}

static void assert_none_of_it(struct world *w)
{
    assert_false(has(w, NSH_TABLE_FILTER));
    assert_false(has(w, NSH_TABLE_NAT));
    assert_false(has(w, NSH_TABLE_MANGLE));
}

static void test_up_and_down_in_order(void **state)
{
    struct world *w = world_with_state();

    (void)state;
    want_desired(w, share(""), NSH_OCCASION_START);
    run(w);
    assert_log(w, "commit ipv4 raw\ncommit ipv4 filter\ncommit ipv4 nat\ncommit ipv4 mangle\n"
                  "sysctl net/ipv4/ip_forward=1\n");
    the_told(w, NSH_REPORT_ADDED, "share", "home");
    assert_int_equal(count_told(w, NSH_REPORT_ADDED), 3); /* conntrack, forwarding */
    assert_state(w, "share", "home", NSH_OBJECT_HELD);
    assert_stable(w);
    forget(w);
    reload(w, "");
    assert_log(w, "sysctl net/ipv4/ip_forward=0\ncommit ipv4 mangle\ncommit ipv4 nat\n"
                  "commit ipv4 filter\ncommit ipv4 raw\n");
    the_told(w, NSH_REPORT_REMOVED, "share", "home");
    assert_none_of_it(w);
    assert_stable(w);
}

static void test_it_counts_once(void **state)
{
    struct world *w = world_new();
    struct nsh_desired *d = share(LAN);
    struct nsh_counts counts;

    (void)state;
    rp_add_share(d, "home", AF_INET6);
    want_desired(w, d, NSH_OCCASION_START);
    run(w);
    nsh_reconciler_count(w->r, &counts);
    assert_int_equal(counts.policies[NSH_OBJECT_HELD], 2);
    assert_int_equal(sysctl_value(w, FORWARD6), 1);
}

/* A step that fails undoes the earlier ones; who else is in the table is not held up. */
static void test_a_step_fails(void **state)
{
    static const struct {
        enum nsh_table table;
        const char *why;
    } cases[] = {
            {NSH_TABLE_FILTER, "its filter rules: no such thing"},
            {NSH_TABLE_NAT, "its nat rules: no such thing"},
            {NSH_TABLE_MANGLE, "its mangle rules: no such thing"},
    };

    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(cases); i++) {
        struct world *w = world_new();

        want_desired(w, share(LAN), NSH_OCCASION_START);
        nsh_firewall_fake_fail_chain(
                w->tables, cases[i].table, "NETSHARED-home", EOPNOTSUPP, "no such thing");
        run(w);
        assert_none_of_it(w);
        assert_state(w, "share", "home", NSH_OBJECT_PENDING);
        assert_reason(w, "share", "home", cases[i].why);
        assert_string_equal(the_told(w, NSH_REPORT_PENDING, "share", "home")->detail, cases[i].why);
        assert_state(w, "masquerade", "lan", NSH_OBJECT_HELD);
        assert_int_equal(count_told(w, NSH_REPORT_FAILED), 0);
        assert_int_equal(sysctl_value(w, FORWARD), 1); /* the masquerade's */
        assert_true(nsh_reconciler_complete(w->r));
        rw_free(w);
    }
}

static void fail_for_ever(struct world *w)
{
    nsh_firewall_fake_no_table(w->tables, AF_INET, NSH_TABLE_MANGLE, ENOENT, "no mangle here");
}

/* Tried again, more and more rarely, without a word; and forwarding is not switched on by it. */
static void test_it_is_tried_again(void **state)
{
    struct world *w = world_new();
    uint64_t delay = SECOND;

    (void)state;
    fail_for_ever(w);
    want_desired(w, share(""), NSH_OCCASION_START);
    run(w);
    assert_reason(w, "share", "home", "its mangle rules: no mangle here");
    assert_none_of_it(w);
    assert_int_equal(sysctl_value(w, FORWARD), 0);
    assert_int_equal(count_told(w, NSH_REPORT_PENDING), 1);
    for (int i = 0; i < 9; i++) {
        uint64_t next = nsh_reconciler_next(w->r);

        assert_int_equal(next, w->now + delay);
        forget(w);
        pass_time(w, delay);
        assert_told(w, 0);
        assert_none_of_it(w);
        assert_int_equal(sysctl_value(w, FORWARD), 0);
        delay = delay < 64 * SECOND ? delay * 2 : delay;
    }
    nsh_firewall_fake_no_table(w->tables, AF_INET, NSH_TABLE_MANGLE, 0, NULL);
    pass_time(w, delay);
    assert_state(w, "share", "home", NSH_OBJECT_HELD);
    the_told(w, NSH_REPORT_ADDED, "share", "home");
    assert_true(has(w, NSH_TABLE_MANGLE));
    assert_int_equal(sysctl_value(w, FORWARD), 1);
    assert_stable(w);
    /* All is forgotten: the next failure is the first. */
    somebody(w, "iptables -t nat -F");
    poll_tables(w);
    assert_int_equal(w->r->firewall_failures[NSH_V4], 0);
}

/* The other family is another matter. */
static void test_the_other_family_holds(void **state)
{
    struct world *w = world_new();
    struct nsh_desired *d = share("");

    (void)state;
    rp_add_share(d, "home", AF_INET6);
    nsh_firewall_fake_no_table(w->tables, AF_INET6, NSH_TABLE_FILTER, ENOENT, "no filter here");
    want_desired(w, d, NSH_OCCASION_START);
    run(w);
    assert_state(w, "share", "home (ipv4)", NSH_OBJECT_HELD);
    assert_state(w, "share", "home (ipv6)", NSH_OBJECT_PENDING);
    assert_int_equal(sysctl_value(w, FORWARD), 1);
    assert_int_equal(sysctl_value(w, FORWARD6), 0);
}

static void test_forwarding_is_its_last_step(void **state)
{
    struct world *w = world_new();

    (void)state;
    w->sysctl_refused = "ip_forward";
    w->sysctl_error = -EROFS;
    want_desired(w, share(LAN), NSH_OCCASION_START);
    run(w);
    assert_none_of_it(w);
    assert_state(w, "share", "home", NSH_OBJECT_PENDING);
    assert_reason(w, "share", "home", "cannot write /proc/sys/net/ipv4/ip_forward");
    assert_state(w, "masquerade", "lan", NSH_OBJECT_HELD);
    forget(w);
    pass_time(w, 10 * SECOND);
    assert_told(w, 0);
    assert_none_of_it(w);
    w->sysctl_refused = NULL;
    pass_time(w, 64 * SECOND);
    assert_state(w, "share", "home", NSH_OBJECT_HELD);
    assert_int_equal(sysctl_value(w, FORWARD), 1);
    assert_stable(w);
}

/* What held and is only repaired is not taken down when the repair fails once. */
static void test_a_repair_that_fails_takes_nothing_down(void **state)
{
    struct world *w = world_new();

    (void)state;
    want_desired(w, share(LAN), NSH_OCCASION_START);
    run(w);
    forget(w);
    somebody(w, "iptables -t mangle -F");
    nsh_firewall_fake_fail_commit(w->tables, 1, ENOMEM, "not now");
    poll_tables(w);
    assert_state(w, "share", "home", NSH_OBJECT_WRONG);
    assert_true(has(w, NSH_TABLE_FILTER));
    assert_true(has(w, NSH_TABLE_NAT));
    pass_time(w, SECOND);
    assert_state(w, "share", "home", NSH_OBJECT_HELD);
    assert_stable(w);
}

static void test_drift_is_told_with_its_table(void **state)
{
    struct world *w = world_new();
    const struct told *t;

    (void)state;
    want_desired(w, share(LAN), NSH_OCCASION_START);
    run(w);
    forget(w);
    somebody(w, "iptables -t filter -F NETSHARED-home");
    poll_tables(w);
    t = the_told(w, NSH_REPORT_RESTORED, "share", "home");
    assert_string_equal(t->cause, "flushed");
    assert_string_equal(t->detail, "filter");
    assert_int_equal(repairs_of(w, "share", "home"), 1);
    assert_stable(w);
    /* A rule of somebody's in front of it is overtaken. */
    somebody(w, "iptables -t filter -I FORWARD -j DROP");
    poll_tables(w);
    assert_true(table_has(
            w, AF_INET, NSH_TABLE_FILTER, "-A FORWARD -j NETSHARED-home\n-A FORWARD -j DROP\n"));
}

/* A share that loses one of its chains has changed; it is not gone. */
static void test_a_reload_that_takes_one_chain(void **state)
{
    struct world *w = world_new();
    struct nsh_desired *d = share("");

    (void)state;
    want_desired(w, d, NSH_OCCASION_START);
    run(w);
    forget(w);
    d = share("");
    for (size_t i = 0; i < d->n_chains; i++)
        if (d->chains[i].table == NSH_TABLE_MANGLE) {
            memmove(&d->chains[i], &d->chains[i + 1], (d->n_chains - i - 1) * sizeof(d->chains[0]));
            d->n_chains--;
        }
    want_desired(w, d, NSH_OCCASION_RELOAD);
    run(w);
    assert_log(w, "commit ipv4 mangle\n");
    the_told(w, NSH_REPORT_CHANGED, "share", "home");
    assert_told(w, 1);
    assert_false(has(w, NSH_TABLE_MANGLE));
    assert_stable(w);
}

/* A configuration that changes a share which then fails leaves nothing of it. */
static void test_a_reload_that_fails(void **state)
{
    struct world *w = world_new();

    (void)state;
    want_desired(w, rw_load(LAN), NSH_OCCASION_START);
    run(w);
    forget(w);
    nsh_firewall_fake_no_table(w->tables, AF_INET, NSH_TABLE_FILTER, ENOENT, "no filter here");
    want_desired(w, share(LAN), NSH_OCCASION_RELOAD);
    run(w);
    assert_none_of_it(w);
    assert_state(w, "masquerade", "lan", NSH_OBJECT_HELD);
    assert_state(w, "share", "home", NSH_OBJECT_PENDING);
    forget(w);
    reload(w, LAN);
    assert_int_equal(count_told(w, NSH_REPORT_REMOVED), 0);
    assert_stable(w);
}

/* One that the file switches off is shown among the others, and nothing of it is there. */
static void test_one_is_switched_off(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, "masquerade:\n- {name: lan, out: eth0, family: ipv4}\n"
             "- {name: off, out: eth1, family: ipv4, enabled: false}\n");
    assert_state(w, "masquerade", "lan", NSH_OBJECT_HELD);
    assert_state(w, "masquerade", "off", NSH_OBJECT_DISABLED);
    assert_false(table_has(w, AF_INET, NSH_TABLE_NAT, "NETSHARED-off"));
    assert_stable(w);
}

/* ---- who it was ---- */

static void test_the_culprit_is_named(void **state)
{
    struct world *w = world_new();
    const struct told *t;

    (void)state;
    start(w, LAN);
    forget(w);
    /* A process that has ended, as far as anybody can tell. */
    nsh_firewall_fake_culprit(w->tables, 4194303, "iptables-legacy");
    somebody(w, "iptables -t nat -F");
    somebody(w, "iptables -t nat -X");
    poll_tables(w);
    t = the_told(w, NSH_REPORT_RESTORED, "masquerade", "lan");
    if (t->culprit_pid == 0) {
        print_message("# not in the initial pid namespace: nobody is named\n");
        assert_string_equal(t->culprit, "");
        assert_string_equal(t->cause, "missing");
        return;
    }
    assert_string_equal(t->cause, "removed");
    assert_string_equal(t->culprit, "iptables-legacy");
    assert_int_equal(t->culprit_pid, 4194303);

    /* Somebody else has the number now. */
    forget(w);
    nsh_firewall_fake_culprit(w->tables, (uint32_t)getpid(), "iptables-legacy");
    somebody(w, "iptables -t nat -F NETSHARED-lan");
    poll_tables(w);
    assert_string_equal(the_told(w, NSH_REPORT_RESTORED, "masquerade", "lan")->culprit, "");
}

#define BEHIND "iptables -t nat -I POSTROUTING -s 10.0.0.0/16 -j ACCEPT"

/* Told when it begins and when it ends, and shown as it is in between. */
static void test_a_rule_of_others_comes_first(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, LAN);
    forget(w);
    somebody(w, "iptables -t nat -I POSTROUTING -s 172.16.0.0/12 -j ACCEPT");
    somebody(w, "iptables -t nat -I POSTROUTING -o eth7 -j ACCEPT");
    somebody(w, "iptables -t nat -A POSTROUTING -j ACCEPT");
    poll_tables(w);
    assert_told(w, 0);
    somebody(w, BEHIND);
    poll_tables(w);
    assert_string_equal(the_told(w, NSH_REPORT_BEHIND, "masquerade", "lan")->detail,
            "-A POSTROUTING -s 10.0.0.0/16 -j ACCEPT; left alone (position: first goes before it)");
    assert_state(w, "masquerade", "lan", NSH_OBJECT_HELD);
    assert_reason(w, "masquerade", "lan", "behind -A POSTROUTING -s 10.0.0.0/16 -j ACCEPT");
    somebody(w, "iptables -t nat -I POSTROUTING -j ACCEPT");
    poll_tables(w);
    assert_reason(w, "masquerade", "lan", "behind -A POSTROUTING -j ACCEPT");
    reload(w, LAN);
    assert_stable(w);
    assert_told(w, 1);
    somebody(w, "iptables -t nat -D POSTROUTING 1");
    somebody(w, "iptables -t nat -D POSTROUTING 1");
    poll_tables(w);
    assert_string_equal(the_told(w, NSH_REPORT_CHANGED, "masquerade", "lan")->cause,
            "no rule of others comes first any more");
    assert_reason(w, "masquerade", "lan", "");
    assert_told(w, 2);
    /* With position first there is nothing before it. */
    somebody(w, BEHIND);
    poll_tables(w);
    forget(w);
    reload(w, "masquerade: [{name: lan, out: [eth0], from: [10.0.0.0/24], position: first}]\n");
    assert_reason(w, "masquerade", "lan", "");
    assert_stable(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            rw_test(test_up_and_down_in_order),
            rw_test(test_it_counts_once),
            rw_test(test_a_step_fails),
            rw_test(test_it_is_tried_again),
            rw_test(test_the_other_family_holds),
            rw_test(test_forwarding_is_its_last_step),
            rw_test(test_a_repair_that_fails_takes_nothing_down),
            rw_test(test_drift_is_told_with_its_table),
            rw_test(test_a_reload_that_takes_one_chain),
            rw_test(test_a_reload_that_fails),
            rw_test(test_one_is_switched_off),
            rw_test(test_the_culprit_is_named),
            rw_test(test_a_rule_of_others_comes_first),
    };

    rw_leave_the_network();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
