/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The plan of a set: what it writes, and that what it writes makes the set as wanted, whatever
 * somebody did to it.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cleanup.h"
#include "plan.h"

NSH_DEFINE_CLEANUP(struct nsh_set_plan *, nsh_set_plan_free)

#define SET_MAX 512

static int compare(const void *a, const void *b)
{
    return nsh_prefix_cmp(a, b);
}

/* A model: the elements in any order. */
struct model {
    bool present;
    struct nsh_prefix elements[SET_MAX * 2];
    size_t n;
};

static struct nsh_prefix number(unsigned i)
{
    struct nsh_prefix p = {.family = AF_INET, .length = 32};

    p.addr.bytes[0] = 10;
    p.addr.bytes[1] = (uint8_t)(i >> 8);
    p.addr.bytes[2] = (uint8_t)i;
    return p;
}

static size_t find(const struct model *m, const struct nsh_prefix *p)
{
    size_t i = 0;

    while (i < m->n && nsh_prefix_cmp(&m->elements[i], p) != 0)
        i++;
    return i;
}

static void add(struct model *m, const struct nsh_prefix *p)
{
    assert_int_equal(find(m, p), m->n);
    m->elements[m->n++] = *p;
}

static void take(struct model *m, const struct nsh_prefix *p)
{
    size_t i = find(m, p);

    assert_true(i < m->n);
    m->elements[i] = m->elements[--m->n];
}

static const struct nsh_set_op *plan(struct nsh_set_plan *p, const struct model *m)
{
    nsh_set_plan_begin(p, m->present);
    for (size_t i = 0; i < m->n; i++)
        assert_int_equal(nsh_set_plan_observe(p, &m->elements[i]), 0);
    assert_int_equal(nsh_set_plan_finish(p), 0);
    return nsh_set_plan_op(p);
}

static void write_op(struct model *m, const struct nsh_set_op *op)
{
    assert_int_equal(op->verb == NSH_SET_CREATE, !m->present);
    m->present = true;
    if (op->verb != NSH_SET_UPDATE) {
        memcpy(m->elements, op->want->prefixes, op->want->n * sizeof(m->elements[0]));
        m->n = op->want->n;
        return;
    }
    assert_null(op->want);
    assert_true(op->n_add + op->n_remove > 0);
    for (size_t i = 0; i < op->n_remove; i++)
        take(m, &op->remove[i]);
    for (size_t i = 0; i < op->n_add; i++)
        add(m, &op->add[i]);
}

static struct nsh_prefix wanted[SET_MAX];

/* Every second number, so that between two there is room for one too many. */
static struct nsh_set want(size_t n)
{
    struct nsh_set s = {.family = AF_INET, .name = "netshared-home_f4", .prefixes = wanted, .n = n};

    for (size_t i = 0; i < n; i++)
        wanted[i] = number((unsigned)i * 2);
    qsort(wanted, n, sizeof(wanted[0]), compare);
    return s;
}

static struct model as_wanted(const struct nsh_set *s)
{
    struct model m = {.present = true, .n = s->n};

    memcpy(m.elements, s->prefixes, s->n * sizeof(m.elements[0]));
    return m;
}

static void test_what_is_written(void **state)
{
    const struct nsh_set s = want(100);
    NSH_CLEANUP(nsh_set_plan_freep) struct nsh_set_plan *p = NULL;
    struct model m = {0};
    struct nsh_prefix odd = number(7), other = number(9);

    (void)state;
    assert_int_equal(nsh_set_plan_new(&s, &p), 0);
    assert_int_equal(plan(p, &m)->verb, NSH_SET_CREATE);
    assert_string_equal(nsh_set_plan_reason(p), "missing");
    m = as_wanted(&s);
    assert_null(plan(p, &m));
    assert_string_equal(nsh_set_plan_reason(p), "");

    take(&m, &wanted[3]);
    assert_int_equal(plan(p, &m)->verb, NSH_SET_UPDATE);
    assert_int_equal(plan(p, &m)->n_add, 1);
    assert_int_equal(plan(p, &m)->n_remove, 0);
    assert_string_equal(nsh_set_plan_reason(p), "lacked 1 of 100 prefixes");
    add(&m, &odd);
    assert_string_equal(
            (plan(p, &m), nsh_set_plan_reason(p)), "lacked 1 of 100 prefixes and held 1 too many");
    add(&m, &wanted[3]);
    assert_string_equal((plan(p, &m), nsh_set_plan_reason(p)), "held 1 prefix too many");
    add(&m, &other);
    assert_string_equal((plan(p, &m), nsh_set_plan_reason(p)), "held 2 prefixes too many");

    m = (struct model){.present = true};
    assert_int_equal(plan(p, &m)->verb, NSH_SET_REPLACE);
    assert_string_equal(nsh_set_plan_reason(p), "lacked 100 of 100 prefixes");
    for (size_t i = 0; i < 49; i++)
        add(&m, &wanted[i]);
    assert_int_equal(plan(p, &m)->verb, NSH_SET_REPLACE); /* 51 to be added */
    add(&m, &wanted[49]);
    assert_int_equal(plan(p, &m)->verb, NSH_SET_UPDATE); /* 50 */
    add(&m, &odd);
    assert_int_equal(plan(p, &m)->verb, NSH_SET_REPLACE);
}

/* A set that holds something else altogether is not kept in memory, and replaced. */
static void test_something_else_altogether(void **state)
{
    const struct nsh_set s = want(4);
    NSH_CLEANUP(nsh_set_plan_freep) struct nsh_set_plan *p = NULL;
    struct nsh_prefix odd;

    (void)state;
    assert_int_equal(nsh_set_plan_new(&s, &p), 0);
    nsh_set_plan_begin(p, true);
    for (unsigned i = 0; i < 30000; i++) {
        odd = number(2 * i + 1);
        assert_int_equal(nsh_set_plan_observe(p, &odd), 0);
    }
    assert_int_equal(nsh_set_plan_finish(p), 0);
    assert_int_equal(nsh_set_plan_op(p)->verb, NSH_SET_REPLACE);
    assert_string_equal(nsh_set_plan_reason(p), "lacked 4 of 4 prefixes and held 30000 too many");
}

/* What is no prefix can't be taken out by one. */
static void test_no_prefix(void **state)
{
    const struct nsh_set s = want(10);
    NSH_CLEANUP(nsh_set_plan_freep) struct nsh_set_plan *p = NULL;
    struct model m = as_wanted(&s);

    (void)state;
    assert_int_equal(nsh_set_plan_new(&s, &p), 0);
    add(&m, &(struct nsh_prefix){0});
    assert_int_equal(plan(p, &m)->verb, NSH_SET_REPLACE);
    assert_string_equal(nsh_set_plan_reason(p), "held 1 prefix too many");
    m = as_wanted(&s);
    assert_null(plan(p, &m));
}

/* An element that is told twice counts once. */
static void test_told_twice(void **state)
{
    const struct nsh_set s = want(10);
    NSH_CLEANUP(nsh_set_plan_freep) struct nsh_set_plan *p = NULL;

    (void)state;
    assert_int_equal(nsh_set_plan_new(&s, &p), 0);
    nsh_set_plan_begin(p, true);
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(nsh_set_plan_observe(p, &wanted[i == 9 ? 0 : i]), 0);
    assert_int_equal(nsh_set_plan_finish(p), 0);
    assert_int_equal(nsh_set_plan_op(p)->n_add, 1);
    assert_memory_equal(nsh_set_plan_op(p)->add, &wanted[9], sizeof(wanted[9]));
}

static unsigned long seed;

static unsigned chance(unsigned n)
{
    seed = seed * 6364136223846793005UL + 1442695040888963407UL;
    return (unsigned)(seed >> 33) % n;
}

static void damage(struct model *m, size_t most)
{
    for (unsigned n = chance((unsigned)most); n > 0; n--) {
        struct nsh_prefix p = number(chance(SET_MAX * 2));
        size_t i = find(m, &p);

        if (i < m->n)
            take(m, &p);
        else if (m->n < NSH_ARRAY_SIZE(m->elements))
            add(m, &p);
    }
    for (size_t i = m->n; i > 1; i--) {
        size_t k = chance((unsigned)i);
        struct nsh_prefix p = m->elements[k];

        m->elements[k] = m->elements[i - 1];
        m->elements[i - 1] = p;
    }
}

static void test_random(void **state)
{
    const char *given = getenv("NSH_SEED");

    (void)state;
    seed = given ? strtoul(given, NULL, 10) : 20260101;
    print_message("# NSH_SEED=%lu\n", seed);
    for (int round = 0; round < 400; round++) {
        const struct nsh_set s = want(1 + chance(SET_MAX - 1));
        NSH_CLEANUP(nsh_set_plan_freep) struct nsh_set_plan *p = NULL;
        struct model m = as_wanted(&s);
        const struct nsh_set_op *op;

        assert_int_equal(nsh_set_plan_new(&s, &p), 0);
        m.present = chance(10) > 0;
        m.n = m.present ? m.n : 0;
        if (m.present)
            damage(&m, chance(2) ? 8 : SET_MAX);
        op = plan(p, &m);
        if (op) {
            assert_string_not_equal(nsh_set_plan_reason(p), "");
            assert_true(op->n_add + op->n_remove <= s.n / 2);
            write_op(&m, op);
        }
        assert_null(plan(p, &m));
        qsort(m.elements, m.n, sizeof(m.elements[0]), compare);
        assert_int_equal(m.n, s.n);
        assert_memory_equal(m.elements, wanted, s.n * sizeof(wanted[0]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_what_is_written),
            cmocka_unit_test(test_something_else_altogether),
            cmocka_unit_test(test_no_prefix),
            cmocka_unit_test(test_told_twice),
            cmocka_unit_test(test_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
