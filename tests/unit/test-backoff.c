/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backoff.h"

#define MS 1000ULL
#define S 1000000ULL

/* Something undoes each repair 10 ms later. True if the repair came at once. */
static bool undo_and_repair(
        struct nsh_backoff *b, uint64_t *now, uint64_t *ret_wait, bool *ret_fight)
{
    uint64_t until = 0;
    bool again;

    *now += 10 * MS;
    *ret_wait = 0;
    if (!nsh_backoff_may_repair(b, *now, &until, ret_fight)) {
        *ret_wait = until - *now;
        /* asked again before its time: the same answer, and nothing is counted */
        assert_false(nsh_backoff_may_repair(b, *now + *ret_wait - 1, &until, &again));
        assert_false(again);
        assert_int_equal(until, *now + *ret_wait);
        *now = until;
        assert_true(nsh_backoff_may_repair(b, *now, &until, &again));
    }
    nsh_backoff_repaired(b, *now);
    return *ret_wait == 0;
}

static void test_fight(void **state)
{
    struct nsh_backoff b = {0};
    uint64_t now = 5 * S, wait, until, expected = NSH_BACKOFF_FIRST;
    bool fight;

    (void)state;
    assert_true(nsh_backoff_may_repair(&b, now, &until, &fight));
    nsh_backoff_repaired(&b, now);
    for (unsigned i = 1; i < NSH_BACKOFF_FREE; i++) {
        assert_true(undo_and_repair(&b, &now, &wait, &fight));
        assert_false(fight);
    }
    for (unsigned i = 0; i < 14; i++) {
        assert_false(undo_and_repair(&b, &now, &wait, &fight));
        assert_int_equal(fight, i == 0);
        assert_int_equal(wait, expected);
        expected = expected * 2 < NSH_BACKOFF_MAX ? expected * 2 : NSH_BACKOFF_MAX;
    }
    assert_int_equal(wait, NSH_BACKOFF_MAX);
    assert_int_equal(b.undone, NSH_BACKOFF_FREE + 13);
    assert_int_equal(b.first, 5 * S);
}

static void test_lasting_repair_ends_it(void **state)
{
    struct nsh_backoff b = {0};
    uint64_t now = 5 * S, wait, until;
    bool fight;

    (void)state;
    nsh_backoff_repaired(&b, now);
    for (unsigned i = 0; i < NSH_BACKOFF_FREE; i++)
        undo_and_repair(&b, &now, &wait, &fight);
    assert_true(fight);
    now += NSH_BACKOFF_WINDOW;
    assert_true(nsh_backoff_settled(&b, now));
    assert_true(nsh_backoff_may_repair(&b, now, &until, &fight));
    assert_false(fight);
    assert_int_equal(b.undone, 0);
    /* a new fight is told anew */
    nsh_backoff_repaired(&b, now);
    for (unsigned i = 0; i < NSH_BACKOFF_FREE; i++)
        undo_and_repair(&b, &now, &wait, &fight);
    assert_true(fight);
}

/* Somebody who changes it every two seconds is drift each time, no fight. */
static void test_slow_drift_is_no_fight(void **state)
{
    struct nsh_backoff b = {0};
    uint64_t until;
    bool fight;

    (void)state;
    for (uint64_t now = 5 * S; now < 100 * S; now += 2 * S) {
        assert_true(nsh_backoff_may_repair(&b, now, &until, &fight));
        assert_false(fight);
        nsh_backoff_repaired(&b, now);
    }
}

static void test_settled(void **state)
{
    struct nsh_backoff b = {0};
    uint64_t now = 5 * S, until;
    bool fight;

    (void)state;
    assert_true(nsh_backoff_settled(&b, now));
    nsh_backoff_repaired(&b, now);
    assert_false(nsh_backoff_settled(&b, now + NSH_BACKOFF_WINDOW - 1));
    assert_true(nsh_backoff_settled(&b, now + NSH_BACKOFF_WINDOW));
    for (unsigned i = 0; i < NSH_BACKOFF_FREE; i++) {
        assert_int_equal(nsh_backoff_may_repair(&b, now, &until, &fight), i + 1 < NSH_BACKOFF_FREE);
        if (i + 1 < NSH_BACKOFF_FREE)
            nsh_backoff_repaired(&b, now);
    }
    /* it waits; put right by somebody else meanwhile it is settled long after its turn only */
    assert_false(nsh_backoff_settled(&b, now + NSH_BACKOFF_WINDOW));
    assert_true(nsh_backoff_settled(&b, until + NSH_BACKOFF_WINDOW));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_fight),
            cmocka_unit_test(test_lasting_repair_ends_it),
            cmocka_unit_test(test_slow_drift_is_no_fight),
            cmocka_unit_test(test_settled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
