/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How it is found which interfaces of policies are there: with few questions, however many they
 * are, and without believing an answer that was disturbed.
 */
#include "reconcile-world.h"

#define V4 "net/ipv4/ip_forward"
#define SHARE(lan, wan) "share: [{name: home, lan: " lan ", wan: " wan ", family: ipv4}]\n"
#define OUT(out) "masquerade: [{name: out, out: " out "}]\n"

static void assert_pending(struct world *w, const char *kind, const char *name, const char *why)
{
    assert_state(w, kind, name, NSH_OBJECT_PENDING);
    assert_reason(w, kind, name, why);
}

/* An event costs no look at those that it is not about. */
static void test_only_the_one_is_asked_for(void **state)
{
    struct world *w = world_with_state();
    size_t before;

    (void)state;
    start(w, SHARE("[eth11, eth12, eth13, eth14, eth15]", "ppp0") OUT("[ppp1, ppp2, ppp3, ppp4]"));
    before = nsh_fib_fake_counts(w->kernel)->calls[NSH_FIB_FAKE_LINK_INDEX];
    somebody(w, "ip link add eth11");
    run(w);
    assert_in_range(nsh_fib_fake_counts(w->kernel)->calls[NSH_FIB_FAKE_LINK_INDEX] - before, 1, 4);
    assert_pending(w, "share", "home", "no interface ppp0");
    rw_free(w);
}

#define MANY 100

static char *policy_of_many(const char *more)
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);

    fputs("masquerade: [{name: out, out: [", to);
    for (int i = 0; i < MANY; i++)
        fprintf(to, "%swan%d", i ? ", " : "", i);
    fprintf(to, "]%s}]\n", more);
    fclose(to);
    return text;
}

static void many(struct world *w, const char *head, const char *tail)
{
    for (int i = 0; i < MANY; i++) {
        char line[64];

        snprintf(line, sizeof(line), "%swan%d%s", head, i, tail);
        somebody(w, line);
    }
}

/* However many there are, and come at once. */
static void test_many_cost_one_request(void **state)
{
    struct world *w = world_with_state();
    const size_t *calls = nsh_fib_fake_counts(w->kernel)->calls;
    nsh_autofree char *yaml = policy_of_many("");
    size_t one, all;

    (void)state;
    start(w, yaml);
    assert_pending(
            w, "masquerade", "out", "no interface wan0, wan1, wan2, wan3, wan4 or 95 others");
    one = calls[NSH_FIB_FAKE_LINK_INDEX];
    all = calls[NSH_FIB_FAKE_LINKS];
    resync(w);
    assert_int_equal(calls[NSH_FIB_FAKE_LINKS] - all, 1);
    many(w, "ip link add ", "");
    run(w);
    assert_state(w, "masquerade", "out", NSH_OBJECT_HELD);
    assert_reason(w, "masquerade", "out", "");
    assert_int_equal(calls[NSH_FIB_FAKE_LINKS] - all, 2);
    assert_int_equal(calls[NSH_FIB_FAKE_LINK_INDEX] - one, 0);

    /* A look that is disturbed is none. */
    somebody(w, "ip link del wan7");
    nsh_fib_fake_fail(w->kernel, NSH_FIB_FAKE_LINKS, 1, -EAGAIN);
    resync(w);
    assert_reason(w, "masquerade", "out", "no interface wan7 now");
    assert_stable(w);
    assert_int_equal(calls[NSH_FIB_FAKE_LINK_INDEX] - one, 0);
    rw_free(w);
}

static unsigned disturbed;

/* It has told of some of them by then. */
static int disturbed_links(struct nsh_fib *fib, nsh_fib_link_seen *seen, void *userdata)
{
    int q = rw_current->real_fib->links(fib, seen, userdata);

    if (q < 0 || disturbed == 0)
        return q;
    disturbed--;
    if (nsh_fib_fake_link_index(rw_current->kernel, "wan42") != 0)
        somebody(rw_current, "ip link del wan42");
    return -EAGAIN;
}

/* They are not asked for one by one, and what was seen in a look that is none is not believed. */
static void test_many_that_change_all_the_time(void **state)
{
    struct world *w = world_with_state();
    const size_t *calls = nsh_fib_fake_counts(w->kernel)->calls;
    nsh_autofree char *yaml = policy_of_many("");
    size_t one, all;

    (void)state;
    many(w, "ip link add ", "");
    w->fib_ops.links = disturbed_links;
    disturbed = 1;
    all = calls[NSH_FIB_FAKE_LINKS];
    start(w, yaml);
    assert_reason(w, "masquerade", "out", "no interface wan42 now");
    assert_int_equal(calls[NSH_FIB_FAKE_LINKS] - all, 2);

    /* When it is too much, everything stays until it is quieter. */
    somebody(w, "ip link add wan42");
    run(w);
    assert_reason(w, "masquerade", "out", "");
    forget(w);
    disturbed = 3;
    one = calls[NSH_FIB_FAKE_LINK_INDEX];
    all = calls[NSH_FIB_FAKE_LINKS];
    nsh_reconciler_resync(w->r);
    nsh_reconciler_run(w->r);
    assert_int_equal(nsh_reconciler_obstacle(w->r), NSH_OBSTACLE_CHANGES);
    assert_int_equal(nsh_reconciler_next(w->r), w->now + 100000);
    assert_false(nsh_reconciler_complete(w->r));
    assert_reason(w, "masquerade", "out", "");
    assert_log(w, "");
    assert_told(w, 0);
    assert_int_equal(calls[NSH_FIB_FAKE_LINKS] - all, 3);
    assert_int_equal(calls[NSH_FIB_FAKE_LINK_INDEX] - one, 0);
    pass_time(w, 100000);
    assert_reason(w, "masquerade", "out", "no interface wan42 now");
    assert_stable(w);

    /* Nor does what an earlier look has seen stay: no event has told of it yet. */
    somebody(w, "ip link add wan42");
    run(w);
    disturbed = 1;
    nsh_reconciler_resync(w->r);
    nsh_reconciler_run(w->r);
    assert_reason(w, "masquerade", "out", "no interface wan42 now");
    rw_free(w);
}

/* Nor at a start is anything done for what nobody has seen yet. */
static void test_many_that_change_at_a_start(void **state)
{
    struct world *w = world_with_state();
    nsh_autofree char *yaml = policy_of_many("");

    (void)state;
    many(w, "ip link add ", "");
    w->fib_ops.links = disturbed_links;
    disturbed = 5;
    start(w, yaml);
    assert_log(w, "");
    assert_told(w, 0);
    pass_time(w, 100000);
    assert_int_equal(sysctl_value(w, V4), 1);
    assert_reason(w, "masquerade", "out", "no interface wan42 now");
    assert_stable(w);
    rw_free(w);
}

static void test_ipv6_is_switched_off_on_many(void **state)
{
    struct world *w = world_with_state();
    nsh_autofree char *yaml = policy_of_many(", family: ipv6");

    (void)state;
    many(w, "ip link add ", "");
    many(w, "sysctl net/ipv6/conf/", "/disable_ipv6=1");
    start(w, yaml);
    assert_pending(w, "masquerade", "out", "IPv6 is switched off on wan0");
    somebody(w, "sysctl net/ipv6/conf/wan42/disable_ipv6=0");
    resync(w);
    assert_state(w, "masquerade", "out", NSH_OBJECT_HELD);
    assert_stable(w);
    rw_free(w);
}

/* What was found before the kernel failed to answer for the next one is not lost. */
static void test_an_answer_that_fails(void **state)
{
    (void)state;
    for (unsigned int nth = 1; nth < 4; nth++) {
        struct world *w = world_with_state();

        start(w, SHARE("eth11", "ppp0"));
        somebody(w, "ip link add ppp0");
        run(w);
        nsh_fib_fake_fail(w->kernel, NSH_FIB_FAKE_LINK_INDEX, nth, -ENOBUFS);
        somebody(w, "ip link add eth11");
        w->fib->ops->events_read(w->fib, rw_event, w);
        (void)nsh_reconciler_run(w->r);
        nsh_fib_fake_fail(w->kernel, NSH_FIB_FAKE_LINK_INDEX, 0, 0);
        pass_time(w, 120 * SECOND);
        assert_state(w, "share", "home", NSH_OBJECT_HELD);
        assert_int_equal(sysctl_value(w, V4), 1);
        assert_stable(w);
        rw_free(w);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            rw_test(test_only_the_one_is_asked_for),
            rw_test(test_many_cost_one_request),
            rw_test(test_many_that_change_all_the_time),
            rw_test(test_many_that_change_at_a_start),
            rw_test(test_ipv6_is_switched_off_on_many),
            rw_test(test_an_answer_that_fails),
    };

    rw_leave_the_network();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
