/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A new configuration takes over from the old one, and what is told when it is many at once.
 */
#include "reconcile-world.h"

#define ONE "routes:\n  - {to: 10.20.0.0/16, via: 192.168.1.1, dev: eth0}\n"
#define ONE_LINE "10.20.0.0/16 via 192.168.1.1 dev eth0 proto 110\n"
#define TWO "  - {to: 10.30.0.0/16, via: 192.168.1.1, dev: eth0}\n"

/* ---- reload ---- */

static void test_a_reload_carries_over_what_is_known(void **state)
{
    struct world *w = world_new();
    uint64_t at;

    (void)state;
    start(w, ONE "  - {to: 10.30.0.0/16, via: 192.168.1.1, dev: eth0}\n"
                 "  - {to: 10.40.0.0/16, via: 192.168.1.1, dev: eth9}\n"
                 "  - {to: 10.50.0.0/16, via: 192.168.1.1, dev: eth0}\n");
    assert_null(nsh_reconciler_last_repair(w->r, &at));
    for (int i = 0; i < 3; i++) {
        somebody(w, "ip route del 10.50.0.0/16");
        run(w);
    }
    assert_string_equal(
            nsh_reconciler_last_repair(w->r, &at), "route 10.50.0.0/16 via 192.168.1.1 dev eth0");
    assert_int_equal(at, w->now);
    forget(w);
    /* One changed, one new before all others, one gone. */
    reload(w, "routes:\n"
              "  - {to: 10.10.0.0/16, via: 192.168.1.1, dev: eth0}\n"
              "  - {to: 10.30.0.0/16, via: 192.168.1.7, dev: eth0}\n"
              "  - {to: 10.40.0.0/16, via: 192.168.1.1, dev: eth9}\n"
              "  - {to: 10.50.0.0/16, via: 192.168.1.1, dev: eth0}\n");
    assert_log(w, "add 10.10.0.0/16\nreplace 10.30.0.0/16\ndelete 10.20.0.0/16\n");
    assert_told(w, 3);
    assert_string_equal(the_told(w, NSH_REPORT_CHANGED, "route", "10.30.0.0/16")->cause, "reload");
    the_told(w, NSH_REPORT_ADDED, "route", "10.10.0.0/16");
    the_told(w, NSH_REPORT_REMOVED, "route", "10.20.0.0/16 via 192.168.1.1 dev eth0");
    assert_int_equal(repairs_of(w, "route", "10.50.0.0/16"), 3);
    assert_int_equal(repairs_of(w, "route", "10.30.0.0/16"), 0);
    assert_state(w, "route", "10.40.0.0/16", NSH_OBJECT_PENDING);
    assert_reason(w, "route", "10.40.0.0/16", "eth9");

    forget(w);
    reload(w, "routes:\n  - {to: 10.30.0.0/16, via: 192.168.1.8, dev: eth0}\n"
              "  - {to: 10.10.0.0/16, via: 192.168.1.1, dev: eth0}\n"
              "  - {to: 10.50.0.0/16, via: 192.168.1.1, dev: eth0}\n");
    assert_log(w, "replace 10.30.0.0/16\n");
}

static void test_events_before_a_reload_are_not_lost(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, ONE);
    somebody(w, "ip route del 10.20.0.0/16");
    read_events(w);
    reload(w, "routes:\n  - {to: 10.10.0.0/16, via: 192.168.1.1, dev: eth0}\n"
              "  - {to: 10.20.0.0/16, via: 192.168.1.1, dev: eth0}\n");
    assert_route(w, "10.20.0.0/16", ONE_LINE);
    assert_stable(w);
}

/* Nor that we held it. */
static void test_what_was_held_before_a_reload_is_drift_after_it(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, ONE);
    reload(w, ONE);
    somebody(w, "ip route replace 10.20.0.0/16 via 192.168.1.7 dev eth0");
    read_events(w);
    reload(w, ONE);
    assert_route(w, "10.20.0.0/16", ONE_LINE);
    assert_int_equal(count_told(w, NSH_REPORT_CONFLICT), 0);
}

/* Nor is it that somebody shadows one of ours. */
static void test_a_shadow_before_a_reload_is_not_lost(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, ONE);
    somebody(w, "ip route prepend 10.20.0.0/16 via 192.168.1.7 dev eth0");
    read_events(w);
    reload(w, ONE);
    assert_route(w, "10.20.0.0/16", ONE_LINE);
}

#define PROTOCOL(n) "settings: {route-protocol: " #n "}\n"

static void never_delete(struct world *w, const struct nsh_fib_op *op)
{
    (void)w;
    assert_int_not_equal(op->verb, NSH_FIB_DELETE);
}

static void test_another_protocol_marks_every_route_anew(void **state)
{
    struct world *w = world_with_state();
    uint8_t protocol = 0;

    (void)state;
    start(w, ONE TWO);
    assert_int_equal(nsh_state_protocol_load(w->state, &protocol), 0);
    assert_int_equal(protocol, 110);
    w->before_write = never_delete;
    forget(w);
    reload(w, PROTOCOL(111) ONE TWO);
    assert_log(w, "replace 10.20.0.0/16\nreplace 10.30.0.0/16\n");
    assert_int_equal(count_routes(w, AF_INET, "110"), 0);
    assert_int_equal(count_routes(w, AF_INET, "111"), 2);
    assert_stable(w);
    assert_int_equal(nsh_state_protocol_load(w->state, &protocol), 0);
    assert_int_equal(protocol, 111);

    /* And once more, and back. */
    reload(w, PROTOCOL(112) ONE TWO);
    assert_int_equal(count_routes(w, AF_INET, "112"), 2);
    w->before_write = NULL;
    reload(w, PROTOCOL(113) ONE);
    assert_int_equal(count_routes(w, AF_INET, "112"), 0);
    assert_int_equal(count_routes(w, AF_INET, "113"), 1);
    reload(w, ONE TWO);
    assert_int_equal(count_routes(w, AF_INET, "113"), 0);
    assert_int_equal(count_routes(w, AF_INET, "110"), 2);
    assert_stable(w);
}

/* Reloads in a row: what counts is the mark that the routes carry. */
static void test_protocols_that_change_faster_than_they_are_written(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, ONE TWO);
    want(w, PROTOCOL(111) ONE TWO, NSH_OCCASION_RELOAD);
    nsh_reconciler_run(w->r);
    reload(w, PROTOCOL(112) ONE);
    assert_int_equal(count_routes(w, AF_INET, "111"), 0);
    assert_int_equal(count_routes(w, AF_INET, "112"), 1);
    /* The first one was not even begun. */
    want(w, PROTOCOL(113) ONE TWO, NSH_OCCASION_RELOAD);
    reload(w, PROTOCOL(114) "routes:\n" TWO);
    assert_int_equal(count_routes(w, AF_INET, "112"), 0);
    assert_int_equal(count_routes(w, AF_INET, "114"), 1);
}

/* When nothing of ours carries it any more, the old mark is anybody's. */
static void test_the_old_protocol_is_foreign_in_the_end(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, PROTOCOL(111) ONE);
    reload(w, ONE);
    somebody(w, "ip route add 10.77.0.0/16 via 192.168.1.1 dev eth0 proto 111");
    resync(w);
    assert_route(w, "10.77.0.0/16", "10.77.0.0/16 via 192.168.1.1 dev eth0 proto 111\n");
}

static void test_the_protocol_of_the_run_before(void **state)
{
    struct world *w = world_with_state();

    (void)state;
    start(w, ONE TWO);
    world_restart(w);
    start(w, PROTOCOL(111) ONE);
    assert_int_equal(count_routes(w, AF_INET, "110"), 0);
    assert_int_equal(count_routes(w, AF_INET, "111"), 1);
}

/* ---- many ---- */

static char *many(unsigned n, const char *dev)
{
    char *yaml = NULL;
    size_t size;
    FILE *file = open_memstream(&yaml, &size);

    assert_non_null(file);
    fprintf(file, "routes:\n");
    for (unsigned i = 0; i < n; i++)
        fprintf(file, "  - {to: 172.%u.%u.0/24, via: 192.168.1.1, dev: %s}\n", 20 + i / 256,
                i % 256, dev);
    fclose(file);
    return yaml;
}

static void delete_many(struct world *w, unsigned n)
{
    char command[64];

    for (unsigned i = 0; i < n; i++) {
        snprintf(command, sizeof(command), "ip route del 172.%u.%u.0/24", 20 + i / 256, i % 256);
        somebody(w, command);
    }
}

static void test_many_are_one_line_and_more_marks_than_fit_are_a_dump(void **state)
{
    nsh_autofree char *yaml = many(1500, "eth0");
    struct world *w = world_new();
    struct nsh_work work;
    struct nsh_counts counts;
    const struct told *t;
    uint64_t full;

    (void)state;
    nsh_fib_fake_set_chunk(w->kernel, 50);
    start(w, yaml);
    assert_told(w, 1);
    t = the_told(w, NSH_REPORT_SUMMARY, "route", "");
    assert_int_equal(t->count, 1500);
    assert_string_equal(t->detail, "added");
    nsh_reconciler_work(w->r, &work);
    assert_int_equal(work.writes, 1500);
    full = work.full;

    /* Up to 1024 need no dump. */
    forget(w);
    delete_many(w, 1000);
    run(w);
    nsh_reconciler_work(w->r, &work);
    assert_int_equal(work.full, full);
    assert_int_equal(work.writes, 2500);
    assert_told(w, 1);
    assert_int_equal(the_told(w, NSH_REPORT_SUMMARY, "route", "")->count, 1000);

    forget(w);
    w->now += 2 * SECOND;
    delete_many(w, 1100);
    run(w);
    nsh_reconciler_work(w->r, &work);
    assert_int_equal(work.full, full + 1);
    assert_int_equal(work.writes, 3600);
    nsh_reconciler_count(w->r, &counts);
    assert_int_equal(counts.routes[NSH_OBJECT_HELD], 1500);
    assert_int_equal(count_routes(w, AF_INET, "110"), 1500);
    assert_told(w, 1);
    assert_int_equal(the_told(w, NSH_REPORT_SUMMARY, "route", "")->count, 1100);
}

static void test_twenty_are_told_singly(void **state)
{
    nsh_autofree char *twenty = many(20, "eth0"), *more = many(21, "eth0");
    struct world *w = world_new();

    (void)state;
    start(w, twenty);
    assert_told(w, 20);
    assert_int_equal(count_told(w, NSH_REPORT_ADDED), 20);
    rw_free(w);
    w = world_new();
    start(w, more);
    assert_told(w, 1);
    assert_int_equal(count_told(w, NSH_REPORT_SUMMARY), 1);
}

static void test_of_many_that_wait_some_are_told_as_examples(void **state)
{
    nsh_autofree char *yaml = many(100, "eth7");
    struct world *w = world_new();

    (void)state;
    start(w, yaml);
    assert_int_equal(count_told(w, NSH_REPORT_PENDING), 20);
    assert_told(w, 21);
    assert_int_equal(the_told(w, NSH_REPORT_SUMMARY, "route", "")->count, 100);
    assert_string_equal(the_told(w, NSH_REPORT_SUMMARY, "route", "")->detail, "pending");
    resync(w);
    assert_told(w, 21);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            rw_test(test_a_reload_carries_over_what_is_known),
            rw_test(test_events_before_a_reload_are_not_lost),
            rw_test(test_what_was_held_before_a_reload_is_drift_after_it),
            rw_test(test_a_shadow_before_a_reload_is_not_lost),
            rw_test(test_another_protocol_marks_every_route_anew),
            rw_test(test_protocols_that_change_faster_than_they_are_written),
            rw_test(test_the_old_protocol_is_foreign_in_the_end),
            rw_test(test_the_protocol_of_the_run_before),
            rw_test(test_many_are_one_line_and_more_marks_than_fit_are_a_dump),
            rw_test(test_twenty_are_told_singly),
            rw_test(test_of_many_that_wait_some_are_told_as_examples),
    };

    rw_leave_the_network();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
