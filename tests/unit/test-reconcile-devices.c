/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Policies whose interfaces are not there: what stands, what is told, and that nothing is forwarded
 * for a name that is nobody's.
 */
#include "reconcile-world.h"

#define V4 "net/ipv4/ip_forward"
#define V6 "net/ipv6/conf/all/forwarding"
#define SHARE(lan, wan) "share: [{name: home, lan: " lan ", wan: " wan ", family: ipv4}]\n"
#define BOTH(lan, wan) "share: [{name: home, lan: " lan ", wan: " wan "}]\n"
#define OUT(out) "masquerade: [{name: out, out: " out "}]\n"

static void assert_pending(struct world *w, const char *kind, const char *name, const char *why)
{
    assert_state(w, kind, name, NSH_OBJECT_PENDING);
    assert_reason(w, kind, name, why);
}

/* It is not said of what has its filter, or is there. */
static void assert_not_open(struct world *w, const char *name)
{
    char reason[256];

    state_of(w, "share", name, reason, sizeof(reason), NULL);
    assert_null(strstr(reason, "has no filter"));
}

/* The rules that drop are there for when it comes; forwarding is not. */
static void test_a_name_that_is_nobodys_opens_nothing(void **state)
{
    struct world *w = world_with_state();

    (void)state;
    start(w, SHARE("eth11", "eth0"));
    assert_int_equal(sysctl_value(w, V4), 0);
    assert_pending(w, "share", "home", "no interface eth11");
    assert_string_equal(
            the_told(w, NSH_REPORT_PENDING, "share", "home")->detail, "no interface eth11");
    for (size_t i = 0; i < w->n_told; i++)
        assert_false(w->told[i].kind == NSH_REPORT_ADDED && strcmp(w->told[i].name, "home") == 0);
    assert_true(table_has(w, AF_INET, NSH_TABLE_FILTER, "-i eth0 -o eth11 -j DROP"));
    assert_stable(w);

    /* Held with the event by which it comes, and nothing but forwarding is left to do. */
    forget(w);
    somebody(w, "ip link add eth11");
    run(w);
    assert_log(w, "sysctl " V4 "=1\n");
    assert_state(w, "share", "home", NSH_OBJECT_HELD);
    the_told(w, NSH_REPORT_CHANGED, "share", "home");
    the_told(w, NSH_REPORT_ADDED, "forwarding", "ipv4");
    assert_told(w, 2);
    assert_stable(w);
    rw_free(w);
}

static void test_other_kinds_too(void **state)
{
    static const struct {
        const char *yaml, *kind, *name;
    } cases[] = {
            {OUT("ppp0"), "masquerade", "out"},
            {"port-forwards: [{name: web, in: ppp0, protocol: tcp, port: 80, to: 10.0.0.5}]\n",
                    "port-forward", "web"},
            {"network-map: [{name: map, dev: ppp0, outside: 172.16.0.0/24, "
             "inside: 10.0.0.0/24}]\n",
                    "network-map", "map"},
            {SHARE("eth1", "ppp0"), "share", "home"},
    };

    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(cases); i++) {
        struct world *w = world_with_state();

        start(w, cases[i].yaml);
        assert_int_equal(sysctl_value(w, V4), 0);
        assert_pending(w, cases[i].kind, cases[i].name, "no interface ppp0");
        somebody(w, "ip link add ppp0");
        run(w);
        assert_int_equal(sysctl_value(w, V4), 1);
        assert_state(w, cases[i].kind, cases[i].name, NSH_OBJECT_HELD);
        assert_stable(w);
        rw_free(w);
    }
}

/* A line that is lost and found again leaves everything as it is, for who uses the other side. */
static void test_one_that_goes_and_comes_flaps_nothing(void **state)
{
    struct world *w = world_with_state();

    (void)state;
    start(w, SHARE("eth1", "eth0"));
    assert_int_equal(sysctl_value(w, V4), 1);
    forget(w);
    somebody(w, "ip link del eth0");
    run(w);
    assert_pending(w, "share", "home", "no interface eth0");
    the_told(w, NSH_REPORT_PENDING, "share", "home");
    assert_state(w, "forwarding", "ipv4", NSH_OBJECT_HELD);
    reload(w, SHARE("eth1", "eth0"));
    assert_told(w, 1);
    somebody(w, "sysctl " V4 "=0");
    run(w);
    assert_log(w, "sysctl " V4 "=1\n");
    forget(w);
    somebody(w, "ip link add eth0");
    run(w);
    assert_log(w, "");
    assert_state(w, "share", "home", NSH_OBJECT_HELD);
    assert_told(w, 1);
    assert_int_equal(sysctl_value(w, V4), 1);

    rw_free(w);
}

/* It has not gone: it is there, and has no filter. That is a slip of the pen, whoever's it is. */
static void test_one_that_is_renamed(void **state)
{
    struct world *w = world_with_state();

    (void)state;
    start(w, SHARE("eth1", "eth0"));
    forget(w);
    somebody(w, "ip link set eth1 name lan0");
    run(w);
    assert_pending(w, "share", "home", "no interface eth1");
    assert_string_equal(the_told(w, NSH_REPORT_PENDING, "share", "home")->cause,
            "link eth1 was renamed to lan0");
    assert_int_equal(sysctl_value(w, V4), 0);
    assert_not_open(w, "home");
    assert_stable(w);
    somebody(w, "ip link set lan0 name eth1");
    run(w);
    assert_state(w, "share", "home", NSH_OBJECT_HELD);
    assert_int_equal(sysctl_value(w, V4), 1);

    /* Nor does it help that the file is read once more, or that it goes later. */
    somebody(w, "ip link set eth1 name lan0");
    reload(w, SHARE("eth1", "eth0"));
    assert_int_equal(sysctl_value(w, V4), 0);
    somebody(w, "ip link del lan0");
    run(w);
    assert_int_equal(sysctl_value(w, V4), 0);
    assert_stable(w);

    /* What another policy needs stays, and what is open is told of. */
    reload(w, SHARE("eth2", "eth0") OUT("eth0"));
    somebody(w, "ip link add eth2");
    run(w);
    assert_state(w, "share", "home", NSH_OBJECT_HELD);
    somebody(w, "ip link set eth2 name lan0");
    run(w);
    assert_int_equal(sysctl_value(w, V4), 1);
    assert_pending(w, "share", "home", "no interface eth2; forwarding is on: what is there");
    rw_free(w);
}

/* Each time it is true status says it; the journal does once. */
static void test_what_is_open_is_told_once(void **state)
{
    struct world *w = world_with_state();

    (void)state;
    start(w, "settings: {forwarding: leave}\n" SHARE("eth11", "eth0"));
    forget(w);
    for (int round = 0; round < 3; round++) {
        somebody(w, "sysctl " V4 "=1");
        run(w);
        assert_pending(w, "share", "home", "no interface eth11; forwarding is on");
        somebody(w, "sysctl " V4 "=0");
        run(w);
        assert_not_open(w, "home");
    }
    assert_int_equal(count_told(w, NSH_REPORT_PENDING), 1);
    rw_free(w);
}

static void test_the_order_of_names_is_nothing(void **state)
{
    struct world *w = world_with_state();

    (void)state;
    start(w, SHARE("eth1", "[eth0, eth7]"));
    somebody(w, "ip link del eth0");
    run(w);
    forget(w);
    reload(w, SHARE("eth1", "[eth7, eth0]"));
    assert_null(strstr(w->log, "sysctl"));
    assert_int_equal(sysctl_value(w, V4), 1);
    reload(w, SHARE("eth1", "[eth7, eth8]"));
    assert_int_equal(sysctl_value(w, V4), 0);
    rw_free(w);
}

static void test_a_restart_meanwhile_flaps_nothing(void **state)
{
    struct world *w = world_with_state();

    (void)state;
    start(w, SHARE("eth1", "eth0"));
    somebody(w, "ip link del eth0");
    world_restart(w);
    forget(w);
    start(w, SHARE("eth1", "eth0"));
    assert_log(w, "");
    assert_pending(w, "share", "home", "no interface eth0");
    assert_int_equal(sysctl_value(w, V4), 1);
    assert_stable(w);
    rw_free(w);
}

/* What was switched on for eth1 is not there for a slip of the pen. */
static void test_a_slip_in_a_reload_gives_forwarding_back(void **state)
{
    struct world *w = world_with_state();

    (void)state;
    start(w, SHARE("eth1", "eth0"));
    assert_int_equal(sysctl_value(w, V4), 1);
    reload(w, SHARE("eth11", "eth0"));
    assert_int_equal(sysctl_value(w, V4), 0);
    assert_pending(w, "share", "home", "no interface eth11");
    assert_true(table_has(w, AF_INET, NSH_TABLE_FILTER, "-i eth0 -o eth11 -j DROP"));
    assert_stable(w);
    world_restart(w);
    start(w, SHARE("eth11", "eth0"));
    assert_int_equal(sysctl_value(w, V4), 0);
    reload(w, SHARE("eth1", "eth0"));
    assert_int_equal(sysctl_value(w, V4), 1);
    assert_state(w, "share", "home", NSH_OBJECT_HELD);
    rw_free(w);
}

/* Nor if the daemon did not run when the pen slipped: its other chains are as they were. */
static void test_a_slip_before_a_start_gives_forwarding_back(void **state)
{
    struct world *w = world_with_state();

    (void)state;
    start(w, SHARE("eth1", "eth0"));
    assert_int_equal(sysctl_value(w, V4), 1);
    world_restart(w);
    start(w, SHARE("eth11", "eth0"));
    assert_int_equal(sysctl_value(w, V4), 0);
    assert_pending(w, "share", "home", "no interface eth11");
    reload(w, SHARE("eth11", "eth0"));
    assert_int_equal(sysctl_value(w, V4), 0);
    assert_stable(w);
    rw_free(w);
}

static void test_what_others_need_stays(void **state)
{
    struct world *w = world_with_state();

    (void)state;
    start(w, SHARE("eth11", "eth0") OUT("eth0"));
    assert_int_equal(sysctl_value(w, V4), 1);
    assert_pending(w, "share", "home", "no interface eth11; forwarding is on");
    assert_non_null(
            strstr(the_told(w, NSH_REPORT_PENDING, "share", "home")->detail, "has no filter"));
    assert_state(w, "masquerade", "out", NSH_OBJECT_HELD);
    reload(w, SHARE("eth11", "eth0"));
    assert_pending(w, "share", "home", "no interface eth11");
    assert_not_open(w, "home");
    rw_free(w);

    w = world_with_state();
    start(w, SHARE("eth1", "eth0") OUT("eth0"));
    somebody(w, "ip link del eth1");
    run(w);
    assert_pending(w, "share", "home", "no interface eth1; forwarding is on: what is there");
    rw_free(w);

    w = world_with_state();
    somebody(w, "sysctl " V4 "=1");
    start(w, SHARE("eth1", "eth0"));
    reload(w, SHARE("eth11", "eth0"));
    assert_int_equal(sysctl_value(w, V4), 1);
    assert_pending(w, "share", "home", "no interface eth11; forwarding is on");
    rw_free(w);
}

/* Whom it is on for is not known, and that it stays is. */
static void test_forwarding_that_somebody_switched_on(void **state)
{
    struct world *w = world_with_state();

    (void)state;
    start(w, SHARE("eth11", "eth0"));
    assert_pending(w, "share", "home", "no interface eth11");
    assert_not_open(w, "home");
    forget(w);
    somebody(w, "sysctl " V4 "=1");
    run(w);
    assert_pending(w, "share", "home",
            "no interface eth11; forwarding is on: what is there under another name has no "
            "filter");
    the_told(w, NSH_REPORT_PENDING, "share", "home");
    assert_told(w, 1);
    world_restart(w);
    start(w, SHARE("eth11", "eth0"));
    assert_pending(w, "share", "home", "no interface eth11; forwarding is on");
    assert_int_equal(sysctl_value(w, V4), 1);
    somebody(w, "sysctl " V4 "=0");
    run(w);
    assert_pending(w, "share", "home", "no interface eth11");
    assert_not_open(w, "home");
    assert_int_equal(sysctl_value(w, V4), 0);
    assert_stable(w);
    rw_free(w);
}

/* Of each side one is enough, and a pattern is about whatever there will be. */
static void test_one_of_each_side_is_enough(void **state)
{
    static const char *const held[] = {SHARE("[eth1, wg0]", "[ppp0, eth0]"), SHARE("eth1", "ppp+"),
            SHARE("[tun0, tap+]", "eth0"), OUT("any")};
    struct world *w;

    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(held); i++) {
        w = world_with_state();
        start(w, held[i]);
        assert_int_equal(sysctl_value(w, V4), 1);
        assert_int_equal(count_told(w, NSH_REPORT_PENDING), 0);
        rw_free(w);
    }
    w = world_with_state();
    start(w, SHARE("[eth2, eth3, eth4]", "eth0"));
    assert_pending(w, "share", "home", "no interface eth2, eth3 or eth4");
    rw_free(w);
}

/* Of one that is held: which interfaces are not there, in one line for both families. */
static void assert_lacks(struct world *w, const char *kind, const char *name, const char *which)
{
    const struct told *t = the_told(w, NSH_REPORT_WARNING, kind, name);
    char text[64];

    snprintf(text, sizeof(text), "no interface %s now: ", which);
    assert_memory_equal(t->detail, text, strlen(text));
}

/* So often, and nothing is pending. */
static void assert_warned(struct world *w, size_t n)
{
    assert_int_equal(count_told(w, NSH_REPORT_WARNING), n);
    assert_int_equal(count_told(w, NSH_REPORT_PENDING), 0);
    forget(w);
}

/* Held all the same; the others of a side are told of until they come. */
static void test_some_of_a_side(void **state)
{
    struct world *w = world_with_state();
    char why[256];

    (void)state;
    start(w, BOTH("[eth1, eth9, eth8]", "[eth0, ppp+]") OUT("[eth0, ppp0]"));
    assert_reason(w, "share", "home (ipv4)",
            "no interface eth9 or eth8 now: what it would cover is not yet; forwarding is on: what "
            "is there under another name has no filter");
    assert_non_null(
            strstr(the_told(w, NSH_REPORT_WARNING, "share", "home")->detail, "has no filter"));
    state_of(w, "masquerade", "out", why, sizeof(why), NULL);
    assert_null(strstr(why, "filter"));
    assert_warned(w, 2);
    reload(w, BOTH("[eth1, eth9, eth8]", "[eth0, ppp+]") OUT("[eth0, ppp0]"));
    assert_told(w, 0);
    for (int round = 0; round < 2; round++) {
        assert_state(w, "share", "home (ipv4)", NSH_OBJECT_HELD);
        assert_reason(w, "share", "home (ipv4)",
                "no interface eth9 or eth8 now: what it would cover is not yet");
        assert_reason(w, "share", "home (ipv6)", "no interface eth9 or eth8 now");
        assert_reason(w, "masquerade", "out", "no interface ppp0 now: what it would");
        assert_stable(w);
        somebody(w, "ip link add eth8");
        run(w);
        assert_lacks(w, "share", "home", "eth9");
        assert_warned(w, 1);
        assert_reason(w, "share", "home (ipv4)", "no interface eth9 now: what it would");
        somebody(w, "ip link add eth9");
        somebody(w, "ip link add ppp0");
        run(w);
        assert_reason(w, "share", "home (ipv4)", "");
        assert_reason(w, "share", "home (ipv6)", "");
        assert_reason(w, "masquerade", "out", "");
        the_told(w, NSH_REPORT_CHANGED, "share", "home");
        the_told(w, NSH_REPORT_CHANGED, "masquerade", "out");
        assert_int_equal(count_told(w, NSH_REPORT_CHANGED), 2);
        assert_warned(w, 0);
        somebody(w, "ip link del eth8");
        somebody(w, "ip link del eth9");
        somebody(w, "ip link del ppp0");
        run(w);
        assert_lacks(w, "share", "home", "eth9 or eth8");
        assert_lacks(w, "masquerade", "out", "ppp0");
        assert_warned(w, 2);
    }
    assert_int_equal(count_told(w, NSH_REPORT_PENDING), 0);
    somebody(w, "ip link del eth0");
    run(w);
    assert_pending(w, "masquerade", "out", "no interface eth0 or ppp0");
    state_of(w, "masquerade", "out", why, sizeof(why), NULL);
    assert_null(strstr(why, "cover"));
    rw_free(w);

    /* Beside a pattern, too. Left to others who have not switched it on, it is open to nobody. */
    w = world_with_state();
    start(w, SHARE("[eht1, wlan+]", "eth0"));
    assert_reason(w, "share", "home", "no interface eht1 now");
    assert_reason(w, "share", "home", "has no filter");
    reload(w, "settings: {forwarding: leave}\n" SHARE("[eht1, wlan+]", "eth0"));
    assert_reason(w, "share", "home", "no interface eht1 now");
    somebody(w, "sysctl " V4 "=0");
    run(w);
    assert_not_open(w, "home");
    rw_free(w);

    w = world_with_state();
    start(w, SHARE("[a1, a2, a3, a4, a5, a6, a7, a8]", "eth0"));
    assert_pending(w, "share", "home", "no interface a1, a2, a3, a4, a5 or 3 others");
    rw_free(w);
}

/* Of each it is told once: what a reload has warned of already, and what is lacking as before. */
static void test_some_of_a_side_is_told_once(void **state)
{
    struct world *w = world_with_state();

    (void)state;
    start(w, OUT("[eth0, ppp0]"));
    assert_lacks(w, "masquerade", "out", "ppp0");
    forget(w);
    somebody(w, "ip link del eth0");
    run(w);
    the_told(w, NSH_REPORT_PENDING, "masquerade", "out");
    somebody(w, "ip link add eth0");
    run(w);
    the_told(w, NSH_REPORT_CHANGED, "masquerade", "out");
    assert_told(w, 2);
    somebody(w, "ip link del eth0");
    somebody(w, "ip link add ppp0");
    run(w);
    assert_lacks(w, "masquerade", "out", "eth0");
    forget(w);
    reload(w, OUT("[eth1, eth9]"));
    assert_warned(w, 0);
    somebody(w, "ip link add eth9");
    run(w);
    the_told(w, NSH_REPORT_CHANGED, "masquerade", "out");
    forget(w);
    reload(w, "masquerade: [{name: out, out: [eth1, eth8], when: {dev-up: eth1}}]\n");
    assert_lacks(w, "masquerade", "out", "eth8"); /* the reload leaves that out */
    forget(w);
    reload(w, "masquerade: [{name: out, out: [eth1, eth8], when: {dev-up: eth1}}]\n");
    assert_told(w, 0);
    rw_free(w);
}

static void test_a_condition_comes_first(void **state)
{
    struct world *w = world_with_state();

    (void)state;
    start(w, "share: [{name: home, lan: eth11, wan: eth0, family: ipv4, "
             "when: {address: 192.0.2.7}}]\n");
    assert_state(w, "share", "home", NSH_OBJECT_STANDBY);
    assert_int_equal(count_told(w, NSH_REPORT_PENDING), 0);
    somebody(w, "ip addr add 192.0.2.7/24 dev eth0");
    run(w);
    assert_pending(w, "share", "home", "no interface eth11");
    assert_int_equal(count_told(w, NSH_REPORT_PENDING), 1);
    assert_int_equal(sysctl_value(w, V4), 0);
    somebody(w, "ip addr del 192.0.2.7/24 dev eth0");
    run(w);
    assert_state(w, "share", "home", NSH_OBJECT_STANDBY);
    assert_stable(w);
    rw_free(w);
}

/* ---- IPv6 ---- */

static bool ipv6_lacks, ipv6_is_off;

static int sysctl_get(struct nsh_fib *fib, const char *key, int *ret)
{
    if (ipv6_lacks && strncmp(key, "net/ipv6/", 9) == 0)
        return -ENOENT;
    if (strcmp(key, "net/ipv6/conf/eth1/disable_ipv6") == 0) {
        *ret = ipv6_is_off;
        return 0;
    }
    return rw_current->real_fib->sysctl_get(fib, key, ret);
}

static void test_a_kernel_without_ipv6(void **state)
{
    struct world *w = world_with_state();

    (void)state;
    ipv6_lacks = true;
    w->fib_ops.sysctl_get = sysctl_get;
    start(w, BOTH("eth1", "eth0"));
    assert_pending(w, "share", "home (ipv6)", "this kernel has no IPv6");
    assert_state(w, "share", "home (ipv4)", NSH_OBJECT_HELD);
    the_told(w, NSH_REPORT_PENDING, "share", "home (ipv6)");
    assert_int_equal(count_told(w, NSH_REPORT_FAILED), 0);
    assert_int_equal(sysctl_value(w, V4), 1);
    assert_null(strstr(w->log, "ipv6"));
    assert_stable(w);

    /* A module that is loaded later says nothing: the comparison finds it. */
    ipv6_lacks = false;
    resync(w);
    assert_state(w, "share", "home (ipv6)", NSH_OBJECT_HELD);
    assert_int_equal(sysctl_value(w, V6), 1);
    assert_stable(w);
    rw_free(w);
}

static void test_ipv6_is_switched_off_on_an_interface(void **state)
{
    struct world *w = world_with_state();

    (void)state;
    ipv6_is_off = true;
    w->fib_ops.sysctl_get = sysctl_get;
    start(w, BOTH("eth1", "eth0"));
    assert_pending(w, "share", "home (ipv6)", "IPv6 is switched off on eth1");
    assert_state(w, "share", "home (ipv4)", NSH_OBJECT_HELD);
    assert_int_equal(sysctl_value(w, V6), 0);
    assert_stable(w);
    somebody(w, "sysctl " V6 "=1");
    run(w);
    assert_not_open(w, "home (ipv6)");
    somebody(w, "sysctl " V6 "=0");
    ipv6_is_off = false;
    somebody(w, "ip addr add fd00:3::1/64 dev eth1");
    run(w);
    assert_state(w, "share", "home (ipv6)", NSH_OBJECT_HELD);
    assert_int_equal(sysctl_value(w, V6), 1);
    assert_stable(w);
    ipv6_is_off = true;
    somebody(w, "ip addr del fd00:3::1/64 dev eth1");
    run(w);
    assert_pending(w, "share", "home (ipv6)", "IPv6 is switched off on eth1");
    assert_int_equal(sysctl_value(w, V6), 1);
    rw_free(w);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            rw_test(test_a_name_that_is_nobodys_opens_nothing),
            rw_test(test_other_kinds_too),
            rw_test(test_one_that_goes_and_comes_flaps_nothing),
            rw_test(test_one_that_is_renamed),
            rw_test(test_what_is_open_is_told_once),
            rw_test(test_the_order_of_names_is_nothing),
            rw_test(test_a_restart_meanwhile_flaps_nothing),
            rw_test(test_a_slip_in_a_reload_gives_forwarding_back),
            rw_test(test_a_slip_before_a_start_gives_forwarding_back),
            rw_test(test_what_others_need_stays),
            rw_test(test_forwarding_that_somebody_switched_on),
            rw_test(test_one_of_each_side_is_enough),
            rw_test(test_some_of_a_side),
            rw_test(test_some_of_a_side_is_told_once),
            rw_test(test_a_condition_comes_first),
            rw_test(test_a_kernel_without_ipv6),
            rw_test(test_ipv6_is_switched_off_on_an_interface),
    };

    rw_leave_the_network();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
