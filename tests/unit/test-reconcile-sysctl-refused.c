/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Forwarding where the kernel or the state directory refuses: what is said, what waits, and what is
 * not taken for ours.
 */
#include "reconcile-world.h"

#define V4 "net/ipv4/ip_forward"
#define V6 "net/ipv6/conf/all/forwarding"
#define RA(dev) "net/ipv6/conf/" dev "/accept_ra"
#define ONE_V4 "masquerade: [{name: out, out: [eth0]}]\n"
#define BOTH "masquerade: [{name: out, out: [eth0], family: [ipv4, ipv6]}]\n"

static void test_a_read_only_proc_sys_is_said_in_words(void **state)
{
    struct world *w = world_with_state();

    (void)state;
    w->sysctl_refused = "ip_forward";
    w->sysctl_error = -EROFS;
    start(w, BOTH "routes: [{to: 10.20.0.0/16, via: 192.168.1.1, dev: eth0}]\n");
    assert_true(nsh_reconciler_complete(w->r));
    assert_state(w, "forwarding", "ipv4", NSH_OBJECT_WRONG);
    assert_reason(w, "forwarding", "ipv4",
            "cannot write /proc/sys/net/ipv4/ip_forward: Read-only file system");
    assert_state(w, "forwarding", "ipv6", NSH_OBJECT_HELD);
    assert_state(w, "route", "10.20.0.0/16", NSH_OBJECT_HELD);
    assert_int_equal(count_told(w, NSH_REPORT_FAILED), 1);
    resync(w);
    resync(w);
    for (int i = 0; i < 100; i++)
        pass_time(w, SECOND);
    assert_int_equal(count_told(w, NSH_REPORT_FAILED), 1);
    w->sysctl_refused = NULL;
    pass_time(w, 64 * SECOND);
    assert_state(w, "forwarding", "ipv4", NSH_OBJECT_HELD);
    assert_reason(w, "forwarding", "ipv4", "");
    assert_int_equal(count_told(w, NSH_REPORT_RESTORED), 0);
    assert_stable(w);
    want(w, "", NSH_OCCASION_STOP);
    run(w);
    assert_int_equal(sysctl_value(w, V4), 0);
}

/* The share comes and goes with each try, of which nothing is told. */
static void test_what_is_refused_for_long_is_quiet(void **state)
{
    struct world *w = world_with_state();

    (void)state;
    w->sysctl_refused = "net/ipv6";
    w->sysctl_error = -EROFS;
    start(w, ONE_V4 "share: [{name: home, lan: eth1, wan: eth0, family: [ipv4, ipv6]}]\n");
    for (int i = 0; i < 100; i++)
        pass_time(w, SECOND);
    forget(w);
    for (int i = 0; i < 5; i++) {
        resync(w);
        for (int k = 0; k < 10; k++)
            pass_time(w, SECOND);
    }
    assert_told(w, 0);
    w->sysctl_refused = NULL;
    resync(w);
    assert_state(w, "forwarding", "ipv6", NSH_OBJECT_HELD);
    assert_state(w, "share", "home", NSH_OBJECT_HELD);
}

/* What can't be switched off again is told, once, and tried on. */
static void test_it_can_not_be_given_back(void **state)
{
    struct world *w = world_with_state();
    const struct told *t;

    (void)state;
    start(w, ONE_V4);
    assert_int_equal(sysctl_value(w, V4), 1);
    forget(w);
    w->sysctl_refused = "ip_forward";
    w->sysctl_error = -EROFS;
    reload(w, "");
    t = the_told(w, NSH_REPORT_FAILED, "forwarding", "ipv4");
    assert_string_equal(t->detail,
            "it stays as it is, since /proc/sys/net/ipv4/ip_forward can't be written: Read-only "
            "file system");
    resync(w);
    resync(w);
    assert_int_equal(count_told(w, NSH_REPORT_FAILED), 1);
    assert_false(nsh_reconciler_gave_back(w->r));
    reload(w, ONE_V4); /* wanted again, and then not: that is news */
    reload(w, "");
    assert_int_equal(count_told(w, NSH_REPORT_FAILED), 2);
    w->sysctl_refused = NULL;
    resync(w);
    assert_int_equal(sysctl_value(w, V4), 0);
    assert_true(nsh_reconciler_gave_back(w->r));
}

/* Then it is on: what a share would filter there is open. */
static void test_what_is_open_since_it_can_not_be_given_back(void **state)
{
    struct world *w = world_with_state();
    char why[256];

    (void)state;
    start(w, "share: [{name: home, lan: eth1, wan: eth0, family: ipv4}]\n");
    assert_int_equal(sysctl_value(w, V4), 1);
    w->sysctl_refused = "ip_forward";
    w->sysctl_error = -EROFS;
    somebody(w, "ip link set eth1 name lan0");
    run(w);
    pass_time(w, 60 * SECOND);
    assert_int_equal(sysctl_value(w, V4), 1);
    assert_reason(w, "share", "home", "is there under another name has no filter");
    w->sysctl_refused = NULL;
    resync(w);
    assert_int_equal(sysctl_value(w, V4), 0);
    assert_true(nsh_reconciler_gave_back(w->r));
    state_of(w, "share", "home", why, sizeof(why), NULL);
    assert_string_equal(why, "no interface eth1");
}

/* It would lose the default route that it learned: forwarding waits, and says for what. */
static void test_an_interface_that_can_not_be_guarded(void **state)
{
    struct world *w = world_with_state();

    (void)state;
    w->sysctl_refused = "eth0/accept_ra";
    w->sysctl_error = -EACCES;
    start(w, BOTH);
    assert_int_equal(sysctl_value(w, RA("eth1")), 2);
    assert_int_equal(sysctl_value(w, V6), 0);
    assert_reason(w, "forwarding", "ipv6",
            "cannot write /proc/sys/net/ipv6/conf/eth0/accept_ra: Permission denied");
    assert_state(w, "forwarding", "ipv4", NSH_OBJECT_HELD);
    w->sysctl_refused = NULL;
    pass_time(w, 64 * SECOND);
    assert_int_equal(sysctl_value(w, RA("eth0")), 2);
    assert_state(w, "forwarding", "ipv6", NSH_OBJECT_HELD);
    assert_stable(w);
    want(w, "", NSH_OCCASION_STOP);
    run(w);
    assert_int_equal(sysctl_value(w, RA("eth0")), 1);
    assert_int_equal(sysctl_value(w, RA("eth1")), 1);
    assert_int_equal(sysctl_value(w, V6), 0);
}

/* It waits, and somebody else does not: then it is theirs. */
static void test_switched_on_by_somebody_while_it_waits(void **state)
{
    struct world *w = world_with_state();

    (void)state;
    w->sysctl_refused = "eth0/accept_ra";
    w->sysctl_error = -EACCES;
    start(w, BOTH);
    assert_int_equal(sysctl_value(w, V6), 0);
    somebody(w, "sysctl net/ipv6/conf/all/forwarding=1");
    run(w);
    assert_state(w, "forwarding", "ipv6", NSH_OBJECT_HELD);
    want(w, "", NSH_OCCASION_STOP);
    run(w);
    assert_int_equal(sysctl_value(w, V6), 1);
    assert_int_equal(sysctl_value(w, RA("eth1")), 1);
}

static void test_it_can_not_be_read(void **state)
{
    struct world *w = world_with_state();

    (void)state;
    nsh_fib_fake_fail(w->kernel, NSH_FIB_FAKE_SYSCTL_GET, 1, -EACCES);
    start(w, ONE_V4);
    assert_reason(w, "forwarding", "ipv4", "cannot read /proc/sys/net/ipv4/ip_forward: Permission");
    resync(w);
    assert_state(w, "forwarding", "ipv4", NSH_OBJECT_HELD);
    assert_stable(w);
}

/* It was seen before; where it is missing from the start the policies wait for it. */
static void test_ipv6_is_gone(void **state)
{
    struct world *w = world_with_state();

    (void)state;
    nsh_fib_fake_fail(w->kernel, NSH_FIB_FAKE_SYSCTL_GET, 4, -ENOENT);
    start(w, BOTH);
    assert_state(w, "forwarding", "ipv4", NSH_OBJECT_HELD);
    assert_state(w, "forwarding", "ipv6", NSH_OBJECT_WRONG);
    assert_reason(w, "forwarding", "ipv6", "the kernel has no IPv6: it was built without");
}

/* What can't be remembered is not switched: nobody could give it back. */
static void test_a_state_directory_that_can_not_be_written(void **state)
{
    struct world *w = world_with_state();

    (void)state;
    assert_int_equal(rmdir(w->dir), 0);
    start(w, BOTH "routes: [{to: 10.20.0.0/16, via: 192.168.1.1, dev: eth0}]\n");
    assert_true(nsh_reconciler_complete(w->r));
    assert_reason(w, "forwarding", "ipv4", "cannot note in the state directory");
    assert_state(w, "forwarding", "ipv6", NSH_OBJECT_WRONG);
    assert_null(strstr(w->log, "sysctl"));
    assert_state(w, "route", "10.20.0.0/16", NSH_OBJECT_HELD);
    assert_int_equal(count_told(w, NSH_REPORT_FAILED), 2);
    resync(w);
    assert_int_equal(count_told(w, NSH_REPORT_FAILED), 2);

    /* Who switched it on then was not us. */
    somebody(w, "sysctl " V4 "=1");
    run(w);
    assert_state(w, "forwarding", "ipv4", NSH_OBJECT_HELD);
    want(w, "", NSH_OCCASION_STOP);
    run(w);
    assert_int_equal(sysctl_value(w, V4), 1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            rw_test(test_a_read_only_proc_sys_is_said_in_words),
            rw_test(test_what_is_refused_for_long_is_quiet),
            rw_test(test_it_can_not_be_given_back),
            rw_test(test_what_is_open_since_it_can_not_be_given_back),
            rw_test(test_an_interface_that_can_not_be_guarded),
            rw_test(test_switched_on_by_somebody_while_it_waits),
            rw_test(test_it_can_not_be_read),
            rw_test(test_ipv6_is_gone),
            rw_test(test_a_state_directory_that_can_not_be_written),
    };

    rw_leave_the_network();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
