/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is told of policies with several chains: a line a policy and a repair, with the family only
 * where it tells something, and the resync and culprits only where they were it.
 */
#include "reconcile-internal.h"
#include "reconcile-world.h"

#define WEB                                                                          \
    "port-forwards: [{name: web, in: eth1, protocol: tcp, port: 443, to: 10.0.0.2, " \
    "hairpin: true}]\n"
#define HOME "share: [{name: home, lan: eth0, wan: eth1}]\n"
#define LAN "masquerade: [{name: lan, out: [eth1], from: [10.0.0.0/24]}]\n"

static void assert_line(const struct world *w, enum nsh_report_kind kind, const char *object,
        const char *name, const char *cause, const char *detail)
{
    const struct told *t = the_told(w, kind, object, name);

    assert_string_equal(t->name, name);
    assert_string_equal(t->cause, cause);
    assert_string_equal(t->detail, detail);
}

static void all_gone(struct world *w, const char *program)
{
    static const char *const tables[] = {"filter", "nat", "mangle"};
    char command[64];

    for (size_t i = 0; i < NSH_ARRAY_SIZE(tables); i++) {
        snprintf(command, sizeof command, "%s -t %s -F", program, tables[i]);
        somebody(w, command);
        snprintf(command, sizeof command, "%s -t %s -X", program, tables[i]);
        somebody(w, command);
    }
}

static void test_one_line_for_several_chains(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, WEB);
    forget(w);
    all_gone(w, "iptables");
    poll_tables(w);
    assert_told(w, 1);
    assert_line(w, NSH_REPORT_RESTORED, "port-forward", "web", "missing", "");

    w->now += 60 * SECOND;
    forget(w);
    somebody(w, "iptables -t nat -F NETSHARED-web");
    somebody(w, "iptables -t nat -F NETSHARED-web_h");
    poll_tables(w);
    assert_told(w, 1);
    assert_line(w, NSH_REPORT_RESTORED, "port-forward", "web", "flushed", "nat");

    w->now += 60 * SECOND;
    forget(w);
    somebody(w, "iptables -t nat -D POSTROUTING 1");
    somebody(w, "iptables -t filter -F NETSHARED-web");
    poll_tables(w);
    assert_told(w, 1);
    assert_line(w, NSH_REPORT_RESTORED, "port-forward", "web", "changed",
            "nat: jump missing, filter: flushed");
    assert_stable(w);
}

static void test_the_family_where_it_tells_something(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, HOME LAN);
    assert_line(w, NSH_REPORT_ADDED, "share", "home", "start", "");
    assert_line(w, NSH_REPORT_ADDED, "masquerade", "lan", "start", "");
    assert_state(w, "share", "home (ipv4)", NSH_OBJECT_HELD);
    assert_state(w, "share", "home (ipv6)", NSH_OBJECT_HELD);
    forget(w);
    all_gone(w, "iptables");
    poll_tables(w);
    assert_told(w, 2);
    assert_line(w, NSH_REPORT_RESTORED, "share", "home (ipv4)", "missing", "");
    assert_line(w, NSH_REPORT_RESTORED, "masquerade", "lan", "missing", "");

    w->now += 60 * SECOND;
    forget(w);
    all_gone(w, "iptables");
    all_gone(w, "ip6tables");
    poll_tables(w);
    assert_told(w, 2);
    assert_line(w, NSH_REPORT_RESTORED, "share", "home", "missing", "");

    w->now += 60 * SECOND;
    forget(w);
    somebody(w, "iptables -t filter -F NETSHARED-home");
    somebody(w, "ip6tables -t mangle -F NETSHARED-home");
    poll_tables(w);
    assert_line(w, NSH_REPORT_RESTORED, "share", "home (ipv6)", "flushed", "mangle");

    forget(w);
    reload(w, LAN);
    assert_line(w, NSH_REPORT_REMOVED, "share", "home", "reload", "");
    assert_stable(w);
}

static void test_a_fight_is_one_line(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, HOME);
    forget(w);
    for (int i = 0; i < 200 && count_told(w, NSH_REPORT_FIGHT) == 0; i++) {
        forget(w);
        all_gone(w, "iptables");
        all_gone(w, "ip6tables");
        w->now += SECOND / 10;
        poll_tables(w);
    }
    assert_int_equal(count_told(w, NSH_REPORT_FIGHT), 1);
    assert_string_equal(the_told(w, NSH_REPORT_FIGHT, "share", "home")->name, "home");
    assert_state(w, "share", "home (ipv4)", NSH_OBJECT_WRONG);
}

/* Found by the resync is what nothing had told of; and then nobody can be named for it. */
static void test_the_occasion(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, LAN);
    forget(w);
    nsh_firewall_fake_culprit(w->tables, 4194303, "iptables-legacy");
    somebody(w, "iptables -t nat -F NETSHARED-lan");
    nsh_reconciler_resync(w->r);
    run(w);
    assert_line(w, NSH_REPORT_RESTORED, "masquerade", "lan", "flushed", "resync");
    assert_int_equal(the_told(w, NSH_REPORT_RESTORED, "masquerade", "lan")->culprit_pid, 0);

    /* It was due, and a look came first. */
    w->now += 60 * SECOND;
    forget(w);
    nsh_reconciler_resync(w->r);
    somebody(w, "iptables -t nat -F NETSHARED-lan");
    poll_tables(w);
    assert_line(w, NSH_REPORT_RESTORED, "masquerade", "lan", "flushed", "");

    /* An event of a route that came after it. */
    w->now += 60 * SECOND;
    reload(w, "routes:\n  - {to: 10.20.0.0/16, via: 192.168.1.1, dev: eth0}\n" LAN);
    forget(w);
    nsh_reconciler_resync(w->r);
    somebody(w, "ip link set eth0 down");
    somebody(w, "ip link set eth0 up");
    run(w);
    assert_string_equal(the_told(w, NSH_REPORT_RESTORED, "route", "10.20.0.0/16")->detail,
            "an address was removed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            rw_test(test_one_line_for_several_chains),
            rw_test(test_the_family_where_it_tells_something),
            rw_test(test_a_fight_is_one_line),
            rw_test(test_the_occasion),
    };

    rw_leave_the_network();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
