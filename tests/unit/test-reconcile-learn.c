/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The reconciler and gateways that others learn: followed as they change, at no cost but their own
 * events.
 */
#include "reconcile-world.h"

#define UPLINK                                                                        \
    "routes:\n  - {to: default, via: {learned-on: eth0}, family: ipv4, table: 100}\n" \
    "rules:\n  - {from: 10.1.0.0/16, table: 100, priority: 1000}\n"
#define DHCP "ip route add default via 192.168.1.1 dev eth0 proto 16 metric 100"
#define NAME "default"

/* The default route of table 100, "" for none. */
static void assert_default(struct world *w, int family, const char *line)
{
    nsh_autofree char *found =
            rw_lines(nsh_fib_fake_show(w->kernel, family), "default ", "table 100");

    if (strcmp(found, line) != 0) {
        print_told(w);
        fail_msg("table 100 has\n%sinstead of\n%s", found, line);
    }
}

static void assert_gateway(struct world *w, const char *via)
{
    char line[128];

    snprintf(line, sizeof(line), "default via %s dev eth0 table 100 proto 110\n", via);
    assert_default(w, AF_INET, line);
}

static void test_it_is_followed(void **state)
{
    struct world *w = world_new();
    const struct told *t;

    (void)state;
    somebody(w, DHCP);
    start(w, UPLINK);
    assert_gateway(w, "192.168.1.1");
    assert_log(w, "add default table 100\nadd rule from 10.1.0.0/16 lookup 100 priority 1000\n");
    the_told(w, NSH_REPORT_ADDED, "route", "default via 192.168.1.1 dev eth0 table 100");
    assert_told(w, 2);
    assert_stable(w);

    forget(w);
    somebody(w, "ip route replace default via 192.168.1.7 dev eth0 proto 16 metric 100");
    run(w);
    assert_log(w, "replace default table 100\n");
    assert_gateway(w, "192.168.1.7");
    t = the_told(w, NSH_REPORT_LEARNED, "gateway", "on eth0 (ipv4)");
    assert_string_equal(t->detail, "192.168.1.7; 1 route follows");
    assert_told(w, 1);
    assert_int_equal(repairs_of(w, "route", NAME), 0);
    assert_stable(w);

    forget(w);
    somebody(w, "ip route del default via 192.168.1.7 dev eth0 metric 100");
    run(w);
    assert_log(w, "delete default table 100\n");
    assert_default(w, AF_INET, "");
    assert_state(w, "route", NAME, NSH_OBJECT_PENDING);
    assert_reason(w, "route", NAME, "no default route of others over eth0 tells its gateway");
    t = the_told(w, NSH_REPORT_LEARNED, "gateway", "on eth0 (ipv4)");
    assert_string_equal(t->detail, "gone; 1 route withdrawn");
    assert_told(w, 1);
    assert_stable(w);

    forget(w);
    somebody(w, DHCP);
    run(w);
    assert_log(w, "add default table 100\n");
    assert_gateway(w, "192.168.1.1");
    t = the_told(w, NSH_REPORT_LEARNED, "gateway", "on eth0 (ipv4)");
    assert_string_equal(t->detail, "192.168.1.1; 1 route back");
    assert_told(w, 1);
    assert_stable(w);

    /* Drift is drift still. */
    somebody(w, "ip route del default table 100");
    run(w);
    assert_gateway(w, "192.168.1.1");
    assert_int_equal(count_told(w, NSH_REPORT_RESTORED), 1);
}

static void test_not_learned_yet(void **state)
{
    struct world *w = world_new();
    const struct told *t;

    (void)state;
    start(w, UPLINK);
    assert_true(nsh_reconciler_complete(w->r));
    assert_state(w, "route", "default via learned-on eth0 table 100", NSH_OBJECT_PENDING);
    t = the_told(w, NSH_REPORT_PENDING, "route", "default via learned-on eth0 table 100");
    assert_string_equal(t->detail, "no default route of others over eth0 tells its gateway");
    assert_stable(w);
    /* Over another device it does not count. */
    forget(w);
    somebody(w, "ip route add default via 10.0.0.9 dev eth1 proto 16");
    run(w);
    assert_log(w, "");
    assert_told(w, 0);
    somebody(w, DHCP);
    run(w);
    assert_gateway(w, "192.168.1.1");
    assert_stable(w);
}

static void test_a_restart_touches_nothing(void **state)
{
    struct world *w = world_new();

    (void)state;
    somebody(w, DHCP);
    start(w, UPLINK);
    world_restart(w);
    forget(w);
    start(w, UPLINK);
    assert_log(w, "");
    assert_told(w, 0);
    assert_state(w, "route", NAME, NSH_OBJECT_HELD);
    /* What changed meanwhile is followed. */
    somebody(w, "ip route replace default via 192.168.1.7 dev eth0 proto 16 metric 100");
    world_restart(w);
    forget(w);
    start(w, UPLINK);
    assert_log(w, "replace default table 100\n");
    assert_gateway(w, "192.168.1.7");
    somebody(w, "ip route del default via 192.168.1.7 dev eth0 metric 100");
    world_restart(w);
    forget(w);
    start(w, UPLINK);
    assert_log(w, "delete default table 100\n");
    assert_state(w, "route", NAME, NSH_OBJECT_PENDING);
    assert_stable(w);
}

static void test_a_reload_touches_nothing(void **state)
{
    struct world *w = world_new();

    (void)state;
    somebody(w, DHCP);
    start(w, UPLINK);
    forget(w);
    reload(w, UPLINK);
    assert_log(w, "");
    assert_told(w, 0);
    assert_gateway(w, "192.168.1.1");
    /* What is learned for the first time. */
    reload(w, "");
    forget(w);
    reload(w, UPLINK);
    assert_gateway(w, "192.168.1.1");
    assert_int_equal(count_told(w, NSH_REPORT_LEARNED), 0);
    assert_stable(w);
    forget(w);
    /* From a fixed gateway to the same learned, and back. */
    reload(w, "routes:\n  - {to: default, via: 192.168.1.1, dev: eth0, table: 100}\n"
              "rules:\n  - {from: 10.1.0.0/16, table: 100, priority: 1000}\n");
    assert_log(w, "");
    reload(w, UPLINK);
    assert_log(w, "");
    assert_told(w, 0);
    assert_stable(w);
}

static void test_a_device_without_gateway(void **state)
{
    struct world *w = world_new();

    (void)state;
    somebody(w, "ip route add default dev eth0 proto 3");
    start(w, UPLINK);
    assert_default(w, AF_INET, "default dev eth0 table 100 proto 110 scope 253\n");
    assert_stable(w);
    forget(w);
    somebody(w, "ip route replace default via 192.168.1.1 dev eth0");
    run(w);
    assert_gateway(w, "192.168.1.1");
    assert_log(w, "replace default table 100\n");
    somebody(w, "ip route replace default dev eth0");
    run(w);
    assert_default(w, AF_INET, "default dev eth0 table 100 proto 110 scope 253\n");
    assert_stable(w);
}

static void test_ipv6(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, "routes:\n  - {to: default, via: {learned-on: eth0}, family: [ipv4, ipv6], "
             "table: 100}\n");
    somebody(w, "ip -6 route add default via fe80::1 dev eth0 proto 9");
    run(w);
    assert_default(w, AF_INET6, "default via fe80::1 dev eth0 table 100 proto 110 metric 1024\n");
    assert_default(w, AF_INET, "");
    assert_stable(w);
    somebody(w, "ip -6 route del default via fe80::1 dev eth0");
    run(w);
    assert_default(w, AF_INET6, "");
    assert_stable(w);
}

/* The kernel tells of none of this. */
static void test_silent_removals(void **state)
{
    struct world *w = world_new();

    (void)state;
    somebody(w, DHCP);
    start(w, UPLINK);
    somebody(w, "ip link set eth0 down");
    run(w);
    assert_default(w, AF_INET, "");
    assert_state(w, "route", NAME, NSH_OBJECT_PENDING);
    assert_stable(w);
    somebody(w, "ip link set eth0 up");
    run(w);
    assert_state(w, "route", NAME, NSH_OBJECT_PENDING);
    somebody(w, DHCP);
    run(w);
    assert_gateway(w, "192.168.1.1");
    assert_stable(w);

    somebody(w, "ip addr del 192.168.1.2/24 dev eth0");
    run(w);
    assert_default(w, AF_INET, "");
    assert_state(w, "route", NAME, NSH_OBJECT_PENDING);
    assert_stable(w);
    somebody(w, "ip addr add 192.168.1.3/24 dev eth0");
    somebody(w, DHCP);
    run(w);
    assert_gateway(w, "192.168.1.1");

    nsh_fib_fake_set_queue(w->kernel, 0);
    somebody(w, "ip route replace default via 192.168.1.7 dev eth0 proto 16 metric 100");
    run(w);
    nsh_fib_fake_set_queue(w->kernel, 1000);
    assert_gateway(w, "192.168.1.7");
    assert_int_equal(count_told(w, NSH_REPORT_RESTORED), 0);
    assert_stable(w);
}

static void test_a_device_that_comes_and_goes(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, "routes:\n  - {to: 10.20.0.0/16, via: {learned-on: ppp0}}\n");
    assert_reason(w, "route", "10.20.0.0/16", "interface ppp0 does not exist");
    for (int i = 0; i < 3; i++) {
        somebody(w, "ip link add ppp0");
        somebody(w, "ip link set ppp0 up");
        somebody(w, "ip route add default dev ppp0");
        run(w);
        assert_route(w, "10.20.0.0/16", "10.20.0.0/16 dev ppp0 proto 110 scope 253\n");
        assert_stable(w);
        somebody(w, "ip link del ppp0");
        run(w);
        assert_route(w, "10.20.0.0/16", "");
        assert_reason(w, "route", "10.20.0.0/16", "interface ppp0 does not exist");
        assert_stable(w);
    }
}

/* Of several nexthops the one without a gateway is left out. */
static void test_multipath(void **state)
{
    struct world *w = world_new();

    (void)state;
    somebody(w, DHCP);
    start(w, "routes:\n  - to: 10.20.0.0/16\n    nexthops: [{via: {learned-on: eth0}}, "
             "{via: {learned-on: eth1}}]\n");
    assert_route(w, "10.20.0.0/16", "10.20.0.0/16 via 192.168.1.1 dev eth0 proto 110\n");
    assert_stable(w);
    forget(w);
    somebody(w, "ip route add default via 10.0.0.9 dev eth1 metric 200");
    run(w);
    assert_log(w, "replace 10.20.0.0/16\n");
    assert_told(w, 1);
    somebody(w, "ip route del default dev eth0 metric 100");
    run(w);
    assert_route(w, "10.20.0.0/16", "10.20.0.0/16 via 10.0.0.9 dev eth1 proto 110\n");
    assert_state(w, "route", "10.20.0.0/16", NSH_OBJECT_HELD);
    assert_stable(w);
}

/* Its own source is never taken, whatever the key says. */
static void test_it_does_not_eat_what_it_feeds_on(void **state)
{
    struct world *w = world_new();

    (void)state;
    somebody(w, DHCP);
    start(w, "routes:\n  - {to: default, via: {learned-on: eth0}, family: ipv4, metric: 100, "
             "on-conflict: replace}\n");
    assert_route(w, "default", "default via 192.168.1.1 dev eth0 proto 16 metric 100\n");
    assert_state(w, "route", NAME, NSH_OBJECT_CONFLICTING);
    assert_stable(w);
    somebody(w, "ip route replace default via 192.168.1.7 dev eth0 proto 16 metric 100");
    run(w);
    resync(w);
    assert_state(w, "route", NAME, NSH_OBJECT_CONFLICTING);
    assert_route(w, "default", "default via 192.168.1.7 dev eth0 proto 16 metric 100\n");
    assert_stable(w);
}

/* A routing daemon's churn neither wakes it nor makes it look at all routes. */
static void test_it_costs_its_own_events(void **state)
{
    struct world *w = world_new();
    const struct nsh_fib_fake_counts *counts = nsh_fib_fake_counts(w->kernel);
    size_t events, dumps;
    char command[64];

    (void)state;
    start(w, UPLINK);
    events = counts->events;
    dumps = counts->calls[NSH_FIB_FAKE_DUMP_BEGIN];
    for (int i = 0; i < 100; i++) {
        snprintf(command, sizeof(command), "ip route add 10.99.%d.0/24 dev eth1 proto 12", i);
        somebody(w, command);
    }
    for (int i = 0; i < 100; i++) {
        snprintf(command, sizeof(command), "ip route del 10.99.%d.0/24 dev eth1 proto 12", i);
        somebody(w, command);
    }
    run(w);
    assert_int_equal(counts->events, events);
    for (int i = 0; i < 10; i++) {
        somebody(w, DHCP);
        run(w);
        somebody(w, "ip route replace default via 192.168.1.7 dev eth0 proto 16 metric 100");
        run(w);
        somebody(w, "ip route del default via 192.168.1.7 dev eth0 metric 100");
        run(w);
    }
    assert_int_equal(counts->events, events + 30);
    assert_int_equal(counts->calls[NSH_FIB_FAKE_DUMP_BEGIN], dumps);
    assert_stable(w);
}

/* What stands where ours belongs is replaced, and nothing is learned from it. */
static void test_what_is_replaced_is_forgotten(void **state)
{
    static const char text[] =
            "routes:\n  - {to: default, via: {learned-on: eth0}, family: ipv4, table: 100}\n"
            "  - {to: default, via: 192.168.1.1, dev: eth0, table: 101, on-conflict: replace}\n";
    struct world *w = world_new();

    (void)state;
    somebody(w, "ip route add default via 192.168.1.9 dev eth0 table 101");
    start(w, text);
    assert_default(w, AF_INET, "");
    assert_stable(w);
    forget(w);
    somebody(w, "ip route replace default via 192.168.1.9 dev eth0 table 101");
    run(w);
    assert_log(w, "replace default table 101\n");
    assert_default(w, AF_INET, "");
    assert_int_equal(count_told(w, NSH_REPORT_LEARNED), 0);
    assert_stable(w);
    /* Unseen, until a look at all routes shows it. */
    nsh_fib_fake_set_queue(w->kernel, 0);
    somebody(w, "ip route replace default via 192.168.1.9 dev eth0 table 101");
    nsh_fib_fake_set_queue(w->kernel, 1000);
    run(w);
    resync(w);
    assert_default(w, AF_INET, "");
    assert_stable(w);
}

/* Its gateway and who held its key went unseen, and it can't be written by the new one. */
static void test_a_conflict_that_went_unseen(void **state)
{
    struct world *w = world_new();

    (void)state;
    somebody(w, DHCP);
    somebody(w, "ip addr add 172.16.5.2/24 dev eth0");
    somebody(w, "ip route add default via 10.0.0.9 dev eth1 table 100");
    start(w, UPLINK);
    assert_state(w, "route", NAME, NSH_OBJECT_CONFLICTING);
    nsh_fib_fake_set_queue(w->kernel, 0);
    somebody(w, "ip route del default table 100");
    somebody(w, "ip route add default via 172.16.5.1 dev eth0 proto 16 metric 50");
    somebody(w, "ip addr del 172.16.5.2/24 dev eth0");
    run(w);
    nsh_fib_fake_set_queue(w->kernel, 1000);
    assert_state(w, "route", NAME, NSH_OBJECT_PENDING);
    assert_reason(w, "route", NAME, "Nexthop has invalid gateway");
    somebody(w, "ip addr add 172.16.5.2/24 dev eth0");
    run(w);
    assert_gateway(w, "172.16.5.1");
    assert_stable(w);
}

#define BEHIND "behind default via 192.168.1.7 dev eth0 metric 20"

/* Another program's route before ours comes, or goes; and is seen to. */
static void before_ours(struct world *w, const char *verb, bool seen)
{
    char command[96];

    snprintf(command, sizeof(command), "ip route %s default via 192.168.1.7 dev eth0 metric 20",
            verb);
    somebody(w, command);
    run(w);
    assert_reason(w, "route", "default via 192.168.1.2 metric 50", seen ? BEHIND : "");
}

/* Where default routes are listened to, it is told at once; not where very many are to be read. */
static void test_one_before_ours(void **state)
{
    struct world *w = world_new();
    char command[96];

    (void)state;
    start(w, "routes:\n  - {to: default, via: 192.168.1.2, metric: 50}\n"
             "  - {to: default, via: {learned-on: eth1}, family: ipv4, table: 100}\n");
    before_ours(w, "add", true);
    before_ours(w, "del", false);
    for (unsigned i = 0; i < 10000; i++) {
        snprintf(command, sizeof(command), "ip route add 10.77.%u.%u dev eth0 proto 186", i / 250,
                i % 250);
        somebody(w, command);
    }
    resync(w);
    before_ours(w, "add", false);
    for (int i = 0; i < 10; i++)
        resync(w);
    assert_reason(w, "route", "default via 192.168.1.2 metric 50", BEHIND);
}

/* The look that it takes comes behind what a reload writes, whatever else that brings. */
static void test_a_reload_that_begins_it(void **state)
{
    struct world *w = world_new();

    (void)state;
    somebody(w, DHCP);
    start(w, "routes:\n  - {to: 10.9.0.0/16, via: 192.168.1.2}\n");
    reload(w, "routes:\n  - {to: 10.9.0.0/16, via: 192.168.1.2}\n"
              "  - {to: 10.1.0.0/24, dev: eth1}\n  - {to: 10.2.0.0/16, via: 10.1.0.5}\n"
              "  - {to: default, via: {learned-on: eth0}, family: ipv4, table: 100}\n");
    assert_route(w, "10.2.0.0/16", "10.2.0.0/16 via 10.1.0.5 dev eth1 proto 110\n");
    assert_gateway(w, "192.168.1.1");
    assert_stable(w);
}

/* So many slices, unless it comes to rest before. */
static void slices(struct world *w, unsigned n)
{
    for (; n > 0 && nsh_reconciler_due(w->r); n--)
        nsh_reconciler_run(w->r);
}

/* UPLINK, and more rules than one pass writes. */
static char *uplink_of_many(unsigned first)
{
    enum { RULES = 300, LINE = 64 };
    size_t size = strlen(UPLINK) + (size_t)RULES * LINE, n;
    char *text = malloc(size);

    assert_non_null(text);
    n = (size_t)snprintf(text, size, "%s", UPLINK);
    for (unsigned i = first; i < first + RULES; i++)
        n += (size_t)snprintf(text + n, size - n,
                "  - {from: 10.2.%u.%u, table: 100, priority: 1001}\n", i / 250, i % 250);
    return text;
}

/* What was lost before two reloads, the second in the middle of the first, is looked for still. */
static void test_two_reloads_behind_a_loss(void **state)
{
    nsh_autofree char *first = uplink_of_many(0), *second = uplink_of_many(300);

    (void)state;
    for (unsigned place = 0; place < 30; place++) {
        struct world *w = world_new();

        somebody(w, DHCP);
        start(w, UPLINK);
        w->tick = 2000;
        nsh_fib_fake_set_queue(w->kernel, 0);
        somebody(w, "ip route replace default via 192.168.1.7 dev eth0 proto 16 metric 100");
        nsh_fib_fake_set_queue(w->kernel, 1000);
        read_events(w);
        want(w, first, NSH_OCCASION_RELOAD);
        slices(w, place);
        reload(w, second);
        assert_gateway(w, "192.168.1.7");
        assert_stable(w);
        rw_free(w);
    }
}

static struct {
    struct world *w;
    int (*real)(struct nsh_fib *fib, const struct nsh_fib_filter *filter);
    unsigned n;
} moving;

/* Before each look at the kernel another gateway comes that is better. */
static int move_and_dump(struct nsh_fib *fib, const struct nsh_fib_filter *filter)
{
    char command[128];

    if (moving.n < 4) {
        moving.n++;
        snprintf(command, sizeof(command),
                "ip route add default via 192.168.1.%u dev eth0 proto 16 metric %u", 10 + moving.n,
                90 - moving.n);
        somebody(moving.w, command);
    }
    return moving.real(fib, filter);
}

/* A job has an end, and what the last of its looks has changed is written all the same. */
static void test_it_changes_with_each_look(void **state)
{
    static struct nsh_fib_ops ops;
    struct world *w = world_new();

    (void)state;
    ops = *w->fib->ops;
    somebody(w, DHCP);
    somebody(w, "ip route add default via 10.0.0.9 dev eth1 table 101");
    start(w, UPLINK);
    reload(w, "routes:\n  - {to: default, via: {learned-on: eth0}, family: ipv4, table: 100}\n"
              "  - {to: default, via: {learned-on: eth0}, family: ipv4, table: 101}\n");
    assert_gateway(w, "192.168.1.1");
    moving.w = w;
    moving.real = ops.dump_begin;
    moving.n = 0;
    ops.dump_begin = move_and_dump;
    w->fib->ops = &ops;
    nsh_reconciler_resync(w->r);
    while (nsh_reconciler_due(w->r))
        nsh_reconciler_run(w->r); /* what events would tell is not read */
    assert_int_equal(moving.n, 4);
    assert_gateway(w, "192.168.1.14");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            rw_test(test_it_is_followed),
            rw_test(test_not_learned_yet),
            rw_test(test_a_restart_touches_nothing),
            rw_test(test_a_reload_touches_nothing),
            rw_test(test_a_device_without_gateway),
            rw_test(test_ipv6),
            rw_test(test_silent_removals),
            rw_test(test_a_device_that_comes_and_goes),
            rw_test(test_multipath),
            rw_test(test_it_does_not_eat_what_it_feeds_on),
            rw_test(test_it_costs_its_own_events),
            rw_test(test_what_is_replaced_is_forgotten),
            rw_test(test_a_conflict_that_went_unseen),
            rw_test(test_one_before_ours),
            rw_test(test_a_reload_that_begins_it),
            rw_test(test_two_reloads_behind_a_loss),
            rw_test(test_it_changes_with_each_look),
    };

    rw_leave_the_network();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
