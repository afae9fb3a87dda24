/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A comparison of many routes is done in slices: what happens between two of them. Every test goes
 * through all places where it can be interrupted, one after the other.
 */
#include "reconcile-world.h"

#define MANY 600 /* more than are written at once */
#define TEXT_SIZE ((size_t)MANY * 64)
#define PREFIX_SIZE 32

static const char *prefix(unsigned n, char buf[static PREFIX_SIZE])
{
    snprintf(buf, PREFIX_SIZE, "10.%u.%u.0/24", 100 + n / 200, n % 200);
    return buf;
}

/* MANY routes from `first` on; `changed` has another gateway. */
static char *many(unsigned first, unsigned changed)
{
    char *text = malloc(TEXT_SIZE), dst[PREFIX_SIZE];
    size_t n = (size_t)snprintf(text, TEXT_SIZE, "routes:\n");

    assert_non_null(text);
    for (unsigned i = first; i < first + MANY; i++)
        n += (size_t)snprintf(text + n, TEXT_SIZE - n,
                "  - {to: %s, via: 192.168.1.%u, dev: eth0}\n", prefix(i, dst),
                i == changed ? 7 : 1);
    return text;
}

#define UNCHANGED UINT32_MAX

/* A world that holds MANY routes and whose slices end after every other step. */
static struct world *world_of_many(void)
{
    nsh_autofree char *text = many(0, UNCHANGED);
    struct world *w = world_new();

    start(w, text);
    assert_int_equal(count_routes(w, AF_INET, "110"), MANY);
    nsh_fib_fake_set_chunk(w->kernel, 100);
    forget(w);
    w->tick = 2000;
    return w;
}

/* As many slices as that; false when it came to rest before. */
static bool slices(struct world *w, unsigned n)
{
    read_events(w);
    for (unsigned i = 0; i < n; i++) {
        if (!nsh_reconciler_due(w->r))
            return false;
        nsh_reconciler_run(w->r);
    }
    return true;
}

static uint64_t full_comparisons(const struct world *w)
{
    struct nsh_work work;

    nsh_reconciler_work(w->r, &work);
    return work.full;
}

static uint64_t finished(const struct world *w)
{
    struct nsh_work work;

    nsh_reconciler_work(w->r, &work);
    return work.finished;
}

static bool all_held(struct world *w, size_t n)
{
    struct nsh_counts c;

    nsh_reconciler_count(w->r, &c);
    return c.routes[NSH_OBJECT_HELD] == n && count_routes(w, AF_INET, "110") == n;
}

/* ---- events ---- */

static void test_a_deletion_meanwhile_is_mended_once_and_soon(void **state)
{
    static const unsigned routes[] = {0, MANY / 2, MANY - 1};
    bool more = true;

    (void)state;
    for (unsigned place = 0; more; place++) {
        for (size_t i = 0; i < NSH_ARRAY_SIZE(routes); i++) {
            struct world *w = world_of_many();
            char dst[PREFIX_SIZE], command[96], line[64];

            prefix(routes[i], dst);
            nsh_reconciler_resync(w->r);
            more = slices(w, place);
            snprintf(command, sizeof(command), "ip route del %s", dst);
            somebody(w, command);
            snprintf(line, sizeof(line), "add %s\n", dst);
            slices(w, 2);
            assert_log(w, line);
            run(w);
            assert_log(w, line);
            assert_told(w, 1);
            the_told(w, NSH_REPORT_RESTORED, "route", dst);
            assert_true(all_held(w, MANY));
            assert_int_equal(full_comparisons(w), 2);
            rw_free(w);
        }
    }
}

static void test_a_replacement_meanwhile_is_mended_once(void **state)
{
    bool more = true;

    (void)state;
    for (unsigned place = 0; more; place++) {
        struct world *w = world_of_many();

        nsh_reconciler_resync(w->r);
        more = slices(w, place);
        somebody(w, "ip route replace 10.101.7.0/24 via 192.168.1.9 dev eth0");
        run(w);
        assert_log(w, "replace 10.101.7.0/24\n");
        assert_told(w, 1);
        assert_true(all_held(w, MANY));
        rw_free(w);
    }
}

/* Drift without an event of its own, while the comparison that began for it is under way. */
static void test_a_link_flap_meanwhile_is_seen(void **state)
{
    bool more = true;

    (void)state;
    for (unsigned place = 0; more; place++) {
        struct world *w = world_of_many();

        nsh_reconciler_resync(w->r);
        more = slices(w, place);
        somebody(w, "ip link set eth0 down");
        slices(w, 3);
        somebody(w, "ip link set eth0 up");
        w->tick = 0;
        run(w);
        assert_true(all_held(w, MANY));
        rw_free(w);
    }
}

static void test_an_unwanted_one_meanwhile_goes(void **state)
{
    bool more = true;

    (void)state;
    for (unsigned place = 0; more; place++) {
        struct world *w = world_of_many();

        nsh_reconciler_resync(w->r);
        more = slices(w, place);
        somebody(w, "ip route add 10.99.0.0/16 via 192.168.1.1 dev eth0 proto 110");
        run(w);
        assert_log(w, "delete 10.99.0.0/16\n");
        assert_true(all_held(w, MANY));
        rw_free(w);
    }
}

/* `command` about each of the first `n` routes. */
static void of_each(struct world *w, unsigned n, const char *command, const char *rest)
{
    for (unsigned i = 0; i < n; i++) {
        char dst[PREFIX_SIZE], text[128];

        snprintf(text, sizeof(text), "%s %s%s", command, prefix(i, dst), rest);
        try_run(w, text);
    }
}

/* What was last done to a route that waits for its turn counts, and no comparison is needed. */
static void test_many_changes_are_mended_a_part_at_a_time(void **state)
{
    bool more = true;

    (void)state;
    for (unsigned place = 0; more; place++) {
        struct world *w = world_of_many();

        of_each(w, 200, "ip route replace", " via 192.168.1.9 dev eth0");
        more = slices(w, place);
        assert_true(place != 1 || more);
        assert_int_equal(try_run(w, "ip route del 10.100.199.0/24"), 0);
        run(w);
        assert_true(all_held(w, MANY));
        assert_int_equal(full_comparisons(w), 1);
        assert_int_equal(count_told(w, NSH_REPORT_FIGHT), 0);
        rw_free(w);
    }
}

/* More than are kept one by one: those are left to the comparison. */
static void test_too_many_changes_are_compared(void **state)
{
    struct world *w = world_of_many();

    (void)state;
    of_each(w, MANY, "ip route replace", " via 192.168.1.9 dev eth0 proto 110");
    of_each(w, MANY, "ip route replace", " via 192.168.1.8 dev eth0 proto 110");
    w->tick = 0;
    run(w);
    assert_true(all_held(w, MANY));
    assert_int_equal(full_comparisons(w), 2);
    assert_told(w, 1);
    assert_stable(w);
    rw_free(w);
}

/* Everything flushed while it is being put back. */
static void test_a_flush_meanwhile(void **state)
{
    bool more = true;

    (void)state;
    for (unsigned place = 0; more; place++) {
        struct world *w = world_of_many();

        somebody(w, "ip link set eth0 down");
        somebody(w, "ip link set eth0 up");
        more = slices(w, place);
        of_each(w, MANY, "ip route del", "");
        w->tick = 0;
        run(w);
        assert_true(all_held(w, MANY));
        assert_stable(w);
        rw_free(w);
    }
}

/* ---- reload and stop ---- */

static void test_a_reload_writes_the_difference_without_a_look(void **state)
{
    struct world *w = world_of_many();
    nsh_autofree char *text = many(0, 300);
    uint64_t before = finished(w), looks = full_comparisons(w);

    (void)state;
    want(w, text, NSH_OCCASION_RELOAD);
    while (finished(w) == before)
        assert_true(slices(w, 1));
    assert_log(w, "replace 10.101.100.0/24\n");
    assert_int_equal(full_comparisons(w), looks);
    assert_true(all_held(w, MANY));
    run(w);
    assert_log(w, "replace 10.101.100.0/24\n");
    assert_int_equal(full_comparisons(w), looks + 1);
}

/* What the difference takes to be there is not: it is found by the look behind it. */
static void test_a_reload_finds_what_had_gone_in_silence(void **state)
{
    struct world *w = world_of_many();
    nsh_autofree char *text = many(0, 300);

    (void)state;
    somebody(w, "ip link set eth0 down");
    somebody(w, "ip link set eth0 up");
    want(w, text, NSH_OCCASION_RELOAD);
    run(w);
    assert_true(all_held(w, MANY));
    assert_int_equal(count_told(w, NSH_REPORT_FAILED), 0);
}

/* The key of a new route is taken: said so, as by any other comparison. */
static void test_a_reload_meets_a_foreign_route(void **state)
{
    struct world *w = world_of_many();
    nsh_autofree char *text = many(1, UNCHANGED);

    (void)state;
    somebody(w, "ip route add 10.103.0.0/24 via 192.168.1.9 dev eth0");
    want(w, text, NSH_OCCASION_RELOAD);
    run(w);
    the_told(w, NSH_REPORT_CONFLICT, "route", "10.103.0.0/24");
    assert_state(w, "route", "10.103.0.0/24", NSH_OBJECT_CONFLICTING);
    assert_route(w, "10.100.0.0/24", "");
    assert_true(all_held(w, MANY - 1));
}

static void test_a_reload_meanwhile(void **state)
{
    bool more = true;

    (void)state;
    for (unsigned place = 0; more; place++) {
        struct world *w = world_of_many();
        nsh_autofree char *text = many(20, 300), *first = many(10, 200);

        /* A reload whose routes are not written yet, or not compared yet, is followed by another.
         */
        want(w, first, NSH_OCCASION_RELOAD);
        more = slices(w, place);
        somebody(w, "ip route del 10.100.150.0/24");
        want(w, text, NSH_OCCASION_RELOAD);
        run(w);
        assert_true(all_held(w, MANY));
        assert_route(w, "10.101.100.0/24", "10.101.100.0/24 via 192.168.1.7 dev eth0 proto 110\n");
        assert_route(w, "10.101.0.0/24", "10.101.0.0/24 via 192.168.1.1 dev eth0 proto 110\n");
        assert_null(strstr(w->log, "delete 10.100.50.0/24"));
        w->tick = 0;
        assert_stable(w);
        rw_free(w);
    }
}

/* An event about a route whose past is still to be carried over: it was held, so it is restored. */
static void test_an_event_during_a_reload(void **state)
{
    nsh_autofree char *text = many(0, 300);
    bool more = true;

    (void)state;
    for (unsigned place = 0; more; place++) {
        struct world *w = world_of_many();

        want(w, text, NSH_OCCASION_RELOAD);
        more = slices(w, place);
        somebody(w, "ip route del 10.102.1.0/24");
        run(w);
        the_told(w, NSH_REPORT_RESTORED, "route", "10.102.1.0/24");
        the_told(w, NSH_REPORT_CHANGED, "route", "10.101.100.0/24");
        assert_told(w, 2);
        assert_true(all_held(w, MANY));
        rw_free(w);
    }
}

static void test_a_stop_meanwhile(void **state)
{
    nsh_autofree char *text = many(20, 300);
    bool more = true;

    (void)state;
    for (unsigned place = 0; more; place++) {
        struct world *w = world_of_many();

        somebody(w, "ip route add 10.98.0.0/16 via 192.168.1.9 dev eth0");
        want(w, text, NSH_OCCASION_RELOAD);
        more = slices(w, place);
        want(w, "", NSH_OCCASION_STOP);
        while (!nsh_reconciler_complete(w->r))
            assert_true(slices(w, 1));
        assert_int_equal(count_routes(w, AF_INET, "110"), 0);
        assert_route(w, "10.98.0.0/16", "10.98.0.0/16 via 192.168.1.9 dev eth0\n");
        rw_free(w);
    }
}

/* The rule leads to the routes: it comes after the last and goes before the first of them. */
static void test_rules_keep_their_place(void **state)
{
    static const char rule[] = "rules:\n  - {from: 10.1.0.0/24, table: 100, priority: 1000}\n";
    nsh_autofree char *text = many(0, UNCHANGED), *other = many(300, UNCHANGED), *both = NULL;
    struct world *w = world_new();

    (void)state;
    assert_true(asprintf(&both, "%s%s", text, rule) > 0);
    w->tick = 2000;
    start(w, both);
    assert_true(all_held(w, MANY));
    assert_null(strstr(strstr(w->log, "add rule"), "add 10."));
    forget(w);
    reload(w, other);
    assert_true(all_held(w, MANY));
    assert_rules(w, AF_INET, "");
    assert_non_null(strstr(w->log, "delete rule"));
    assert_null(strstr(strstr(w->log, "delete rule"), "add 10."));
    assert_true(strstr(w->log, "delete rule") < strstr(w->log, "delete 10."));
}

/* ---- trouble ---- */

static void test_a_comparison_that_fails_is_begun_again(void **state)
{
    (void)state;
    for (unsigned nth = 1; nth < 20; nth++) {
        struct world *w = world_of_many();
        nsh_autofree char *text = many(20, 300);

        want(w, text, NSH_OCCASION_RELOAD);
        nsh_fib_fake_fail(w->kernel, NSH_FIB_FAKE_DUMP_READ, nth, -EAGAIN);
        nsh_fib_fake_fail(w->kernel, NSH_FIB_FAKE_SUBMIT, nth, -ENOBUFS);
        w->tick = 10;
        pass_time(w, 5 * SECOND);
        assert_true(all_held(w, MANY));
        w->tick = 0;
        assert_stable(w);
        rw_free(w);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            rw_test(test_a_deletion_meanwhile_is_mended_once_and_soon),
            rw_test(test_a_replacement_meanwhile_is_mended_once),
            rw_test(test_a_link_flap_meanwhile_is_seen),
            rw_test(test_an_unwanted_one_meanwhile_goes),
            rw_test(test_many_changes_are_mended_a_part_at_a_time),
            rw_test(test_too_many_changes_are_compared),
            rw_test(test_a_flush_meanwhile),
            rw_test(test_a_reload_writes_the_difference_without_a_look),
            rw_test(test_a_reload_finds_what_had_gone_in_silence),
            rw_test(test_a_reload_meets_a_foreign_route),
            rw_test(test_a_reload_meanwhile),
            rw_test(test_an_event_during_a_reload),
            rw_test(test_a_stop_meanwhile),
            rw_test(test_rules_keep_their_place),
            rw_test(test_a_comparison_that_fails_is_begun_again),
    };

    rw_leave_the_network();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
