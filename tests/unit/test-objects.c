/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Notes on objects: reasons and repairs, kept sparsely, moved by a reload.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cleanup.h"
#include "objects.h"

NSH_DEFINE_CLEANUP(struct nsh_notes *, nsh_notes_free)

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(nsh_object_state_name(NSH_OBJECT_UNKNOWN), "unknown");
    assert_string_equal(nsh_object_state_name(NSH_OBJECT_HELD), "held");
    assert_string_equal(nsh_object_state_name(NSH_OBJECT_PENDING), "pending");
    assert_string_equal(nsh_object_state_name(NSH_OBJECT_CONFLICTING), "conflicting");
    assert_string_equal(nsh_object_state_name(NSH_OBJECT_WRONG), "wrong");
    assert_string_equal(nsh_object_state_name(NSH_OBJECT_STATES), "unknown");
}

static void test_reasons(void **state)
{
    NSH_CLEANUP(nsh_notes_freep) struct nsh_notes *n = NULL;
    char text[] = "no such device";

    (void)state;
    assert_int_equal(nsh_notes_new(&n), 0);
    assert_null(nsh_notes_reason(n, 0));
    assert_int_equal(nsh_notes_set_reason(n, 0, NULL), 0);
    assert_int_equal(nsh_notes_set_reason(n, 0, text), 1);
    assert_int_equal(nsh_notes_set_reason(n, 0, "no such device"), 0);
    text[0] = 'X'; /* the copy is the notes' own */
    assert_string_equal(nsh_notes_reason(n, 0), "no such device");
    assert_int_equal(nsh_notes_set_reason(n, 0, "another"), 1);
    assert_int_equal(nsh_notes_set_reason(n, 1, "another"), 1);
    assert_ptr_equal(nsh_notes_reason(n, 0), nsh_notes_reason(n, 1));
    assert_int_equal(nsh_notes_set_reason(n, 0, NULL), 1);
    assert_int_equal(nsh_notes_set_reason(n, 0, NULL), 0);
    assert_null(nsh_notes_reason(n, 0));
    assert_string_equal(nsh_notes_reason(n, 1), "another");
    nsh_notes_free(NULL);
}

static void test_repairs(void **state)
{
    NSH_CLEANUP(nsh_notes_freep) struct nsh_notes *n = NULL;

    (void)state;
    assert_int_equal(nsh_notes_new(&n), 0);
    assert_null(nsh_notes_find_repairs(n, 3));
    assert_int_equal(nsh_notes_set_reason(n, 3, "why"), 1);
    assert_null(nsh_notes_find_repairs(n, 3));
    assert_non_null(nsh_notes_repairs(n, 3));
    assert_int_equal(nsh_notes_repairs(n, 3)->count, 0);
    nsh_notes_repairs(n, 3)->count = 7;
    assert_int_equal(nsh_notes_find_repairs(n, 3)->count, 7);
    assert_string_equal(nsh_notes_reason(n, 3), "why");
}

/* Neighbours, far apart, and the bases of the other kinds: none is taken for another. */
static nsh_object_id id_of(size_t i)
{
    switch (i % 4) {
    case 0:
        return i;
    case 1:
        return NSH_OBJECT_CHAIN + i;
    case 2:
        return NSH_OBJECT_FORWARDING + i;
    default:
        return i << 40;
    }
}

#define MANY 20000U

struct visit {
    size_t n;
    uint64_t counts;
};

static void on_note(
        void *userdata, nsh_object_id id, const char *reason, const struct nsh_repairs *repairs)
{
    struct visit *v = userdata;

    v->n++;
    v->counts += repairs ? repairs->count : 0;
    if (reason)
        assert_int_equal(strtoull(reason, NULL, 10), id);
}

static void test_many(void **state)
{
    NSH_CLEANUP(nsh_notes_freep) struct nsh_notes *n = NULL;
    struct visit v = {0};
    char text[32];

    (void)state;
    assert_int_equal(nsh_notes_new(&n), 0);
    nsh_notes_each(n, on_note, &v);
    assert_int_equal(v.n, 0);
    for (size_t i = 0; i < MANY; i++) {
        snprintf(text, sizeof(text), "%llu", (unsigned long long)id_of(i));
        assert_int_equal(nsh_notes_set_reason(n, id_of(i), text), 1);
        if (i % 3 == 0)
            nsh_notes_repairs(n, id_of(i))->count = 1;
    }
    for (size_t i = 0; i < MANY; i++) {
        snprintf(text, sizeof(text), "%llu", (unsigned long long)id_of(i));
        assert_string_equal(nsh_notes_reason(n, id_of(i)), text);
        assert_int_equal(nsh_notes_find_repairs(n, id_of(i)) != NULL, i % 3 == 0);
        assert_null(nsh_notes_reason(n, id_of(i) + (1ULL << 59)));
    }
    nsh_notes_each(n, on_note, &v);
    assert_int_equal(v.n, MANY);
    assert_int_equal(v.counts, (MANY + 2) / 3);
}

static void test_move(void **state)
{
    NSH_CLEANUP(nsh_notes_freep) struct nsh_notes *from = NULL, *to = NULL;

    (void)state;
    assert_int_equal(nsh_notes_new(&from), 0);
    assert_int_equal(nsh_notes_new(&to), 0);
    assert_int_equal(nsh_notes_move(from, 1, to, 2), 0);
    assert_null(nsh_notes_find_repairs(to, 2));

    nsh_notes_set_reason(from, 1, "why");
    nsh_notes_repairs(from, 1)->count = 5;
    nsh_notes_repairs(to, 2)->count = 9;
    assert_int_equal(nsh_notes_move(from, 1, to, 2), 0);
    assert_int_equal(nsh_notes_find_repairs(to, 2)->count, 5);
    assert_string_equal(nsh_notes_reason(to, 2), "why");
    assert_null(nsh_notes_find_repairs(from, 1));

    /* One that is there and says nothing any more. */
    nsh_notes_set_reason(from, 1, NULL);
    assert_int_equal(nsh_notes_move(from, 1, to, 3), 0);
    assert_null(nsh_notes_reason(to, 3));
    /* A reason alone. */
    nsh_notes_set_reason(from, 4, "only");
    assert_int_equal(nsh_notes_move(from, 4, to, 4), 0);
    assert_string_equal(nsh_notes_reason(to, 4), "only");
    assert_null(nsh_notes_find_repairs(to, 4));
}

/* What nothing has undone is forgotten when there is too much of it, and nothing else. */
static void test_trim(void **state)
{
    NSH_CLEANUP(nsh_notes_freep) struct nsh_notes *n = NULL;
    const nsh_object_id many = 100000;
    uint64_t now = 1000000, until;
    bool fight;
    size_t left = 0;

    (void)state;
    assert_int_equal(nsh_notes_new(&n), 0);
    for (nsh_object_id id = 0; id < many; id++, now += 20) {
        nsh_notes_trim(n, now);
        nsh_backoff_repaired(&nsh_notes_repairs(n, id)->backoff, now);
    }
    assert_int_equal(nsh_notes_set_reason(n, 7, "a reason"), 1);
    for (unsigned i = 0; i < 20; i++) {
        struct nsh_backoff *b = &nsh_notes_repairs(n, 3)->backoff;

        /* In the end it waits, for longer than the others take to settle. */
        if (!nsh_backoff_may_repair(b, now, &until, &fight) && i < 16)
            now = until;
        if (i < 16)
            nsh_backoff_repaired(b, now);
    }
    now += 2 * NSH_BACKOFF_WINDOW;
    for (nsh_object_id id = 0; id < many; id++)
        nsh_backoff_repaired(&nsh_notes_repairs(n, many + id)->backoff, now);
    nsh_notes_trim(n, now);
    for (nsh_object_id id = 0; id < many; id++) {
        left += nsh_notes_find_repairs(n, id) != NULL;
        assert_non_null(nsh_notes_find_repairs(n, many + id));
    }
    assert_int_equal(left, 1); /* of those of before, the one that is fought over */
    assert_non_null(nsh_notes_find_repairs(n, 3));
    assert_string_equal(nsh_notes_reason(n, 7), "a reason");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_names),
            cmocka_unit_test(test_reasons),
            cmocka_unit_test(test_repairs),
            cmocka_unit_test(test_many),
            cmocka_unit_test(test_move),
            cmocka_unit_test(test_trim),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
