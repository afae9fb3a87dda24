/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A kernel that fails: at each call in turn, for a while, or under every dump. Whatever it was,
 * nothing is lost, nothing turns into a busy loop, and in the end all is as wanted.
 */
#include "reconcile-internal.h"
#include "reconcile-world.h"

/* Somebody's routes may stand there before ours ever did. */
static const char yaml[] = "routes:\n"
                           "  - {to: 10.20.0.0/16, via: 192.168.1.1, dev: eth0}\n"
                           "  - {to: 10.30.0.0/16, via: 192.168.1.1, on-conflict: replace}\n"
                           "  - to: \"fd00:9::/48\"\n"
                           "    via: \"fd00:1::9\"\n"
                           "    dev: eth0\n"
                           "    on-conflict: replace\n"
                           "masquerade:\n"
                           "  - {name: out, out: [eth0], family: [ipv4, ipv6]}\n";

#define ONE "routes:\n  - {to: 10.20.0.0/16, via: 192.168.1.1, dev: eth0}\n"
#define ONE_LINE "10.20.0.0/16 via 192.168.1.1 dev eth0 proto 110\n"

static void assert_all_is_well(struct world *w)
{
    assert_route(w, "10.20.0.0/16", ONE_LINE);
    assert_route(w, "10.30.0.0/16", "10.30.0.0/16 via 192.168.1.1 dev eth0 proto 110\n");
    assert_route(w, "fd00:9::/48", "fd00:9::/48 via fd00:1::9 dev eth0 proto 110 metric 1024\n");
    assert_int_equal(count_routes(w, AF_INET, "110"), 2);
    assert_int_equal(sysctl_value(w, "net/ipv4/ip_forward"), 1);
    assert_int_equal(sysctl_value(w, "net/ipv6/conf/all/forwarding"), 1);
    assert_true(table_has(w, AF_INET, NSH_TABLE_NAT, "-A NETSHARED-out -o eth0 -j MASQUERADE"));
    assert_stable(w);
}

/* ---- each call in turn ---- */

/* Of what stands there; a failure may have kept some of it away. */
static void damage(struct world *w)
{
    static const char *const commands[] = {
            "ip route del 10.20.0.0/16",
            "ip route replace 10.30.0.0/16 via 192.168.1.7 dev eth0",
            "ip -6 route append fd00:9::/48 via fd00:1::7 dev eth0",
            "ip route add 10.77.0.0/16 via 192.168.1.1 dev eth0 proto 110",
            "ip addr add 10.0.9.1/24 dev eth1",
            "sysctl net/ipv4/ip_forward=0",
            "sysctl net/ipv6/conf/all/forwarding=0",
            "iptables -t nat -F",
    };

    for (size_t i = 0; i < NSH_ARRAY_SIZE(commands); i++)
        try_run(w, commands[i]);
}

static size_t calls_of(const struct world *w, int call)
{
    return nsh_fib_fake_counts(w->kernel)->calls[call];
}

/* The nth call of a kind fails. Returns false when there are not so many. */
static bool fail_once(int call, unsigned nth, int error, bool with_state)
{
    struct world *w = with_state ? world_with_state() : world_new();
    size_t before = calls_of(w, call);
    bool enough;

    nsh_fib_fake_fail(w->kernel, (enum nsh_fib_fake_call)call, nth, error);
    want(w, yaml, NSH_OCCASION_START);
    run(w);
    damage(w);
    nsh_reconciler_poll(w->r);
    run(w);
    reload(w, yaml);
    enough = calls_of(w, call) - before >= nth;
    nsh_fib_fake_fail(w->kernel, (enum nsh_fib_fake_call)call, 0, 0);
    pass_time(w, 2 * SECOND);
    resync(w);
    poll_tables(w);
    assert_all_is_well(w);
    rw_free(w);
    return enough;
}

static void test_every_call_fails_once(void **state)
{
    static const int calls[] = {NSH_FIB_FAKE_DUMP_BEGIN, NSH_FIB_FAKE_DUMP_READ,
            NSH_FIB_FAKE_SUBMIT, NSH_FIB_FAKE_WRITE, NSH_FIB_FAKE_LINK_INDEX, NSH_FIB_FAKE_LOOKUP,
            NSH_FIB_FAKE_SYSCTL_GET, NSH_FIB_FAKE_SYSCTL_SET, NSH_FIB_FAKE_EVENTS_READ};
    static const int errors[] = {ENOBUFS, EPERM, ENOMEM, EAGAIN, ENETUNREACH, EEXIST};

    (void)state;
    for (size_t c = 0; c < NSH_ARRAY_SIZE(calls); c++)
        for (size_t e = 0; e < NSH_ARRAY_SIZE(errors); e++)
            for (unsigned nth = 1; nth < 40 && fail_once(calls[c], nth, -errors[e], e == 0); nth++)
                ;
}

/* ---- failing for a while ---- */

static int submit_error;

static int failing_submit(struct nsh_fib *fib, const struct nsh_link *links,
        const struct nsh_fib_op *ops, size_t n, nsh_fib_failed *failed, void *userdata)
{
    return submit_error ? submit_error : rw_submit(fib, links, ops, n, failed, userdata);
}

static void test_a_failing_socket_is_told_once_and_tried_each_second(void **state)
{
    struct world *w = world_new();
    struct nsh_work before, after;

    (void)state;
    start(w, ONE);
    w->fib_ops.submit = failing_submit;
    submit_error = -ENOBUFS;
    forget(w);
    somebody(w, "ip route del 10.20.0.0/16");
    assert_int_equal(run(w), 1);
    assert_told(w, 1);
    assert_string_equal(the_told(w, NSH_REPORT_FAILED, "configuration", "")->detail,
            "No buffer space available");
    assert_int_equal(nsh_reconciler_next(w->r), w->now + SECOND);
    nsh_reconciler_work(w->r, &before);
    pass_time(w, 60 * SECOND);
    nsh_reconciler_work(w->r, &after);
    assert_int_equal(after.passes - before.passes, 60);
    /* Events do not hasten it. */
    somebody(w, "ip route add 10.77.0.0/16 via 192.168.1.1 dev eth0 proto 110");
    assert_int_equal(run(w), 0);
    assert_told(w, 1);

    /* Another reason is news; and so is the same one after it worked. */
    submit_error = -EPERM;
    pass_time(w, 2 * SECOND);
    assert_told(w, 2);
    submit_error = 0;
    pass_time(w, SECOND);
    assert_route(w, "10.20.0.0/16", ONE_LINE);
    assert_route(w, "10.77.0.0/16", "");
    assert_stable(w);
    submit_error = -EPERM;
    somebody(w, "ip route del 10.20.0.0/16");
    run(w);
    assert_int_equal(count_told(w, NSH_REPORT_FAILED), 3);

    /* A new configuration is tried at once. */
    submit_error = 0;
    reload(w, ONE);
    assert_route(w, "10.20.0.0/16", ONE_LINE);
}

static unsigned disturbed;

static int disturbed_dump(struct nsh_fib *fib, nsh_fib_route_seen *seen, void *userdata)
{
    if (disturbed > 0) {
        disturbed--;
        return -EAGAIN;
    }
    return rw_current->real_fib->dump_read(fib, seen, userdata);
}

static void test_a_dump_that_is_disturbed_is_begun_again(void **state)
{
    struct world *w = world_new();

    (void)state;
    w->fib_ops.dump_read = disturbed_dump;
    disturbed = 2;
    start(w, ONE);
    assert_true(nsh_reconciler_complete(w->r));
    assert_route(w, "10.20.0.0/16", ONE_LINE);

    /* When it is too much, it waits until it is quieter. */
    forget(w);
    disturbed = 4;
    somebody(w, "ip route add 10.77.0.0/16 via 192.168.1.1 dev eth0 proto 110");
    assert_int_equal(run(w), 1);
    assert_told(w, 0);
    assert_int_equal(nsh_reconciler_next(w->r), w->now + 100000);
    pass_time(w, 100000);
    assert_route(w, "10.77.0.0/16", "");
    assert_stable(w);
}

/* ---- single routes refused ---- */

static bool is_one(void *userdata, const struct nsh_fib_op *op)
{
    (void)userdata;
    return op->route.dst.bytes[1] == 20;
}

static void test_a_refused_route_is_wrong_and_a_possible_one_waits(void **state)
{
    static const struct {
        int error;
        enum nsh_object_state state;
        const char *reason;
    } cases[] = {
            {-EPERM, NSH_OBJECT_WRONG, "CAP_NET_ADMIN"},
            {-ENOBUFS, NSH_OBJECT_WRONG, "out of memory"},
            {-ENETUNREACH, NSH_OBJECT_PENDING, "the gateway cannot be reached now"},
            {-EINVAL, NSH_OBJECT_PENDING, "the kernel refuses it in this form"},
            {-ENODEV, NSH_OBJECT_PENDING, "the device is not there"},
            {-ERANGE, NSH_OBJECT_PENDING, "result out of range"},
    };

    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(cases); i++) {
        struct world *w = world_new();

        nsh_fib_fake_fail_if(w->kernel, is_one, NULL, cases[i].error);
        start(w, ONE "  - {to: 10.30.0.0/16, via: 192.168.1.1, dev: eth0}\n");
        assert_state(w, "route", "10.20.0.0/16", cases[i].state);
        if (cases[i].error != -ERANGE)
            assert_reason(w, "route", "10.20.0.0/16", cases[i].reason);
        assert_state(w, "route", "10.30.0.0/16", NSH_OBJECT_HELD);
        assert_true(nsh_reconciler_complete(w->r));
        resync(w);
        resync(w);
        assert_told(w, 2);
        nsh_fib_fake_fail_if(w->kernel, NULL, NULL, 0);
        resync(w);
        assert_state(w, "route", "10.20.0.0/16", NSH_OBJECT_HELD);
        assert_route(w, "10.20.0.0/16", ONE_LINE);
        rw_free(w);
    }
}

static void test_a_refused_deletion_is_told_and_tried_again(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, ONE);
    nsh_fib_fake_fail_if(w->kernel, is_one, NULL, -EPERM);
    forget(w);
    reload(w, "");
    /* By the comparison with what was wanted before, and the one with the kernel behind it. */
    assert_int_equal(count_told(w, NSH_REPORT_FAILED), 2);
    nsh_fib_fake_fail_if(w->kernel, NULL, NULL, 0);
    resync(w);
    assert_route(w, "10.20.0.0/16", "");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            rw_test(test_every_call_fails_once),
            rw_test(test_a_failing_socket_is_told_once_and_tried_each_second),
            rw_test(test_a_dump_that_is_disturbed_is_begun_again),
            rw_test(test_a_refused_route_is_wrong_and_a_possible_one_waits),
            rw_test(test_a_refused_deletion_is_told_and_tried_again),
    };

    rw_leave_the_network();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
