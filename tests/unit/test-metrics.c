/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What reports add up to. The texts are read by their parsers in tests/netns/metrics.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cleanup.h"
#include "metrics.h"

enum { ROUTE, RULE, MASQUERADE, OTHER = NSH_METRICS_OBJECTS - 1 };
enum { REMOVED, REPLACED, CHANGED, FLUSHED, MISSING, OFF, ORDER, JUMP, LINK, UNKNOWN };

static void test_causes(void **state)
{
    static const struct {
        const char *cause, *detail;
        int counted;
    } cases[] = {
            {"removed", NULL, REMOVED},
            {"deleted", NULL, REMOVED},
            {"replaced", "10.0.0.0/8 dev lo", REPLACED},
            {"poll", "flushed", FLUSHED},
            {"resync", "2 of 5 rules changed", CHANGED},
            {"resync", "jump doubled", JUMP},
            {"poll", "lacked 3 elements", CHANGED},
            {"link eth0 went down", NULL, LINK},
            {"start", "missing", MISSING},
            {"switched off", NULL, OFF},
            {"poll", "out of order", ORDER},
            {"something new", NULL, UNKNOWN},
            {NULL, NULL, UNKNOWN},
    };

    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(cases); i++) {
        struct nsh_metrics m = {.started = 1};
        const struct nsh_report r = {.kind = NSH_REPORT_RESTORED,
                .object = "masquerade",
                .cause = cases[i].cause,
                .detail = cases[i].detail};

        nsh_metrics_report(&m, &r);
        assert_int_equal(m.repairs[MASQUERADE][cases[i].counted], 1);
    }
}

/* Twenty got a line each, the others are in the sum. */
static void test_sums(void **state)
{
    struct nsh_metrics m = {.started = 1};
    struct nsh_report r = {.kind = NSH_REPORT_RESTORED,
            .object = "route",
            .cause = "removed",
            .duration_usec = 100};

    (void)state;
    for (int i = 0; i < 20; i++)
        nsh_metrics_report(&m, &r);
    r = (struct nsh_report){.kind = NSH_REPORT_SUMMARY,
            .object = "route",
            .detail = "restored",
            .count = 120,
            .untold = 100,
            .duration_usec = 20000000};
    nsh_metrics_report(&m, &r);
    r.detail = "added";
    nsh_metrics_report(&m, &r);
    assert_int_equal(m.repairs[ROUTE][REMOVED], 20);
    assert_int_equal(m.repairs[ROUTE][UNKNOWN], 100);
    assert_int_equal(m.buckets[0], 20);
    assert_int_equal(m.buckets[NSH_METRICS_BUCKETS], 100);
    assert_int_equal(m.repair_usec, 20 * 100 + 100ULL * 20000000);
}

static void test_loads(void **state)
{
    struct nsh_metrics m = {.started = 1};
    const struct nsh_report bad = {.kind = NSH_REPORT_RELOAD_BAD},
                            good = {.kind = NSH_REPORT_RELOADED};
    const struct nsh_report bad_start = {.kind = NSH_REPORT_START_BAD};
    const struct nsh_report fight = {.kind = NSH_REPORT_FIGHT, .object = "neighbour"};

    (void)state;
    nsh_metrics_report(&m, &bad);
    assert_true(m.last_bad);
    nsh_metrics_report(&m, &good);
    assert_false(m.last_bad);
    nsh_metrics_report(&m, &bad_start);
    assert_true(m.last_bad);
    assert_int_equal(m.reloads_good, 1);
    assert_int_equal(m.reloads_bad, 1);
    nsh_metrics_report(&m, &fight);
    assert_int_equal(m.fights[OTHER], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_causes),
            cmocka_unit_test(test_sums),
            cmocka_unit_test(test_loads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
