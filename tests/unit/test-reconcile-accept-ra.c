/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Router advertisements go on being heard while we forward, on whatever interface comes, and are
 * given back as they were; what somebody else sets stays.
 */
#include "reconcile-world.h"

#define V6 "net/ipv6/conf/all/forwarding"
#define RA(dev) "net/ipv6/conf/" dev "/accept_ra"
#define BOTH "masquerade: [{name: out, out: [eth0], family: [ipv4, ipv6]}]\n"
#define V4_ONLY "masquerade: [{name: out, out: [eth0]}]\n"

static size_t remembered(struct world *w, const char *key)
{
    nsh_autofree struct nsh_sysctl_before *list = NULL;
    size_t n = 0, found = 0;

    assert_int_equal(nsh_state_sysctls_load(w->state, &list, &n), 0);
    for (size_t i = 0; i < n; i++)
        found += !key || strcmp(list[i].key, key) == 0;
    return found;
}

static struct world *forwarding_world(void)
{
    struct world *w = world_with_state();

    start(w, BOTH);
    assert_int_equal(sysctl_value(w, RA("eth0")), 2);
    assert_int_equal(sysctl_value(w, RA("eth1")), 2);
    somebody(w, "sysctl " RA("eth1") "=1"); /* and that is their business */
    return w;
}

static void test_ipv6_of_an_interface_begins_anew(void **state)
{
    struct world *w = forwarding_world();

    (void)state;
    somebody(w, "ip link set eth0 mtu 1200");
    run(w);
    somebody(w, "ip link set eth0 mtu 1500");
    assert_int_equal(sysctl_value(w, RA("eth0")), 1);
    run(w);
    assert_int_equal(sysctl_value(w, RA("eth0")), 2);
    assert_int_equal(sysctl_value(w, RA("eth1")), 1);
    assert_int_equal(remembered(w, RA("eth0")), 1);
    assert_stable(w);
    /* With something else in between, which says that it has none. */
    somebody(w, "ip link set eth0 mtu 1200");
    somebody(w, "ip link set eth0 down");
    somebody(w, "ip link set eth0 up");
    run(w);
    somebody(w, "ip link set eth0 mtu 1500");
    run(w);
    assert_int_equal(sysctl_value(w, RA("eth0")), 2);
}

/* As udev does it with what is plugged in. */
static void test_it_is_renamed_at_once(void **state)
{
    struct world *w = forwarding_world();

    (void)state;
    somebody(w, "ip link add usb0");
    somebody(w, "ip link set usb0 name lan7");
    forget(w);
    run(w);
    assert_int_equal(sysctl_value(w, RA("lan7")), 2);
    assert_int_equal(remembered(w, RA("lan7")), 1);
    assert_int_equal(remembered(w, RA("usb0")), 0);
    the_told(w, NSH_REPORT_ADDED, "accept-ra", "lan7");
    assert_told(w, 1);
}

/* Two change names with each other, unseen; one of them was as it is before we came. */
static void test_names_are_exchanged(void **state)
{
    (void)state;
    for (int both = 0; both < 2; both++) {
        struct world *w = world_with_state();

        if (!both)
            somebody(w, "sysctl " RA("eth0") "=2");
        start(w, BOTH);
        nsh_fib_fake_set_queue(w->kernel, 0);
        somebody(w, "ip link set eth0 name x");
        somebody(w, "ip link set eth1 name eth0");
        somebody(w, "ip link set x name eth1");
        nsh_fib_fake_set_queue(w->kernel, 1000);
        run(w);
        assert_int_equal(remembered(w, RA("eth0")), 1);
        assert_int_equal(remembered(w, RA("eth1")), (size_t)both);
        want(w, "", NSH_OCCASION_STOP);
        run(w);
        assert_int_equal(sysctl_value(w, RA("eth0")), 1);
        assert_int_equal(sysctl_value(w, RA("eth1")), both ? 1 : 2);
        rw_free(w);
    }
}

/* Where others forward, what comes is nothing to us. */
static void test_others_forward(void **state)
{
    struct world *w = world_with_state();
    struct nsh_work before, after;

    (void)state;
    somebody(w, "sysctl net/ipv6/conf/all/forwarding=1");
    start(w, BOTH);
    nsh_reconciler_work(w->r, &before);
    somebody(w, "ip link add usb0");
    somebody(w, "ip link set usb0 up");
    run(w);
    nsh_reconciler_work(w->r, &after);
    assert_int_equal(after.finished, before.finished);
    assert_int_equal(sysctl_value(w, RA("usb0")), 1);
    /* Then it is for us to do. */
    somebody(w, "sysctl net/ipv6/conf/all/forwarding=0");
    run(w);
    assert_int_equal(sysctl_value(w, V6), 1);
    assert_int_equal(sysctl_value(w, RA("usb0")), 2);
}

/* A condition that a reload brings is judged first: forwarding was never off. */
static void test_a_reload_with_a_condition(void **state)
{
    struct world *w = forwarding_world();

    (void)state;
    reload(w,
            "masquerade: [{name: out, out: [eth0], family: [ipv4, ipv6], when: {dev-up: eth0}}]\n");
    assert_int_equal(sysctl_value(w, V6), 1);
    assert_int_equal(sysctl_value(w, RA("eth0")), 2);
    assert_int_equal(sysctl_value(w, RA("eth1")), 1);
    assert_stable(w);
}

/* What could not be written was not ours, whoever writes it then. */
static void test_somebody_raises_what_we_could_not(void **state)
{
    struct world *w = forwarding_world();

    (void)state;
    w->sysctl_refused = "usb0/accept_ra";
    w->sysctl_error = -EROFS;
    somebody(w, "ip link add usb0");
    run(w);
    assert_int_equal(remembered(w, RA("usb0")), 0);
    w->sysctl_refused = NULL;
    somebody(w, "sysctl " RA("usb0") "=2");
    resync(w);
    want(w, "", NSH_OCCASION_STOP);
    run(w);
    assert_int_equal(sysctl_value(w, RA("usb0")), 2);
}

static void test_it_is_renamed_later(void **state)
{
    struct world *w = forwarding_world();

    (void)state;
    somebody(w, "ip link add usb0");
    run(w);
    assert_int_equal(sysctl_value(w, RA("usb0")), 2);
    somebody(w, "ip link set usb0 name lan7");
    run(w);
    assert_int_equal(remembered(w, RA("lan7")), 1);
    assert_int_equal(remembered(w, RA("usb0")), 0);
    /* Another one of the first name, on which somebody sets what we had set. */
    somebody(w, "sysctl net/ipv6/conf/default/accept_ra=2");
    somebody(w, "ip link add usb0");
    run(w);
    want(w, "", NSH_OCCASION_STOP);
    run(w);
    assert_int_equal(sysctl_value(w, RA("lan7")), 1);
    assert_int_equal(sysctl_value(w, RA("usb0")), 2);
    assert_int_equal(remembered(w, NULL), 0);
}

static void test_its_event_is_lost(void **state)
{
    struct world *w = forwarding_world();

    (void)state;
    nsh_fib_fake_set_queue(w->kernel, 0);
    somebody(w, "ip link add usb0");
    nsh_fib_fake_set_queue(w->kernel, 1000);
    somebody(w, "ip link add usb1");
    run(w);
    assert_int_equal(sysctl_value(w, RA("usb0")), 2);
    assert_int_equal(sysctl_value(w, RA("usb1")), 2);
    assert_int_equal(sysctl_value(w, RA("eth1")), 1);
    assert_stable(w);
}

static void test_it_is_refused_for_a_while(void **state)
{
    struct world *w = forwarding_world();
    const struct told *t;

    (void)state;
    forget(w);
    w->sysctl_refused = "usb0/accept_ra";
    w->sysctl_error = -EROFS;
    somebody(w, "ip link add usb0");
    somebody(w, "ip link add usb1");
    run(w);
    assert_int_equal(sysctl_value(w, RA("usb1")), 2);
    t = the_told(w, NSH_REPORT_FAILED, "accept-ra", "");
    assert_string_equal(t->detail,
            "cannot write /proc/sys/net/ipv6/conf/usb0/accept_ra: Read-only file system");
    for (int i = 0; i < 3; i++)
        resync(w);
    assert_int_equal(count_told(w, NSH_REPORT_FAILED), 1);
    w->sysctl_refused = NULL;
    resync(w);
    assert_int_equal(sysctl_value(w, RA("usb0")), 2);
    assert_int_equal(sysctl_value(w, RA("eth1")), 1);
    assert_stable(w);
}

/* Containers: what has gone is not remembered for ever. */
static void test_many_come_and_go(void **state)
{
    struct world *w = forwarding_world();
    size_t before = remembered(w, NULL);
    char command[64];

    (void)state;
    for (unsigned i = 0; i < NSH_SYSCTLS_MAX + 10; i++) {
        snprintf(command, sizeof(command), "ip link add veth%u", i);
        somebody(w, command);
        run(w);
        snprintf(command, sizeof(command), "ip link del veth%u", i);
        somebody(w, command);
        run(w);
        forget(w);
    }
    assert_true(remembered(w, NULL) <= before + 1);
    somebody(w, "ip link add usb0");
    run(w);
    assert_int_equal(sysctl_value(w, RA("usb0")), 2);
}

/* With accept_ra=1 what stays a router would lose the route that it learned. */
static void test_forwarding_can_not_be_given_back(void **state)
{
    struct world *w = forwarding_world();

    (void)state;
    w->sysctl_refused = V6;
    w->sysctl_error = -EACCES;
    reload(w, V4_ONLY);
    assert_int_equal(sysctl_value(w, V6), 1);
    assert_int_equal(sysctl_value(w, RA("eth0")), 2);
    w->sysctl_refused = NULL;
    resync(w);
    assert_int_equal(sysctl_value(w, V6), 0);
    assert_int_equal(sysctl_value(w, RA("eth0")), 1);
    assert_int_equal(remembered(w, RA("eth0")), 0);
}

/* That it can't be read now does not say that it is gone. */
static void test_it_can_not_be_read_when_it_is_given_back(void **state)
{
    struct world *w = world_with_state();

    (void)state;
    start(w, V4_ONLY);
    forget(w);
    want(w, "", NSH_OCCASION_RELOAD);
    nsh_fib_fake_fail(w->kernel, NSH_FIB_FAKE_SYSCTL_GET, 1, -EMFILE);
    run(w);
    assert_int_equal(sysctl_value(w, "net/ipv4/ip_forward"), 1);
    assert_string_equal(the_told(w, NSH_REPORT_FAILED, "forwarding", "ipv4")->detail,
            "it stays as it is, since /proc/sys/net/ipv4/ip_forward can't be read: "
            "Too many open files");
    resync(w);
    assert_int_equal(sysctl_value(w, "net/ipv4/ip_forward"), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            rw_test(test_ipv6_of_an_interface_begins_anew),
            rw_test(test_it_is_renamed_at_once),
            rw_test(test_names_are_exchanged),
            rw_test(test_others_forward),
            rw_test(test_a_reload_with_a_condition),
            rw_test(test_somebody_raises_what_we_could_not),
            rw_test(test_it_is_renamed_later),
            rw_test(test_its_event_is_lost),
            rw_test(test_it_is_refused_for_a_while),
            rw_test(test_many_come_and_go),
            rw_test(test_forwarding_can_not_be_given_back),
            rw_test(test_it_can_not_be_read_when_it_is_given_back),
    };

    rw_leave_the_network();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
