/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A rule plan's steps through the contract: in batches, each with its outcome, and no deletion when
 * what it would take could not be written again before.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "apply-rules.h"
#include "fib-fake.h"

#define OURS 110
#define MANY 300 /* more than two sends */

/* A fib that answers what the test says. */
struct fib {
    struct nsh_fib fib;
    int error; /* of the operations below */
    const char *why;
    size_t every; /* each such operation fails, the second of them first; 0: none */
    int broken;   /* of the socket */
    size_t n_ops, n_sends;
    enum nsh_fib_rule_verb verbs[MANY];
};

static int submit(struct nsh_fib *fib, const struct nsh_fib_rule_op *ops, size_t n,
        nsh_fib_failed *failed, void *userdata)
{
    struct fib *f = (struct fib *)fib;

    f->n_sends++;
    for (size_t i = 0; i < n; i++) {
        size_t op = f->n_ops++;

        f->verbs[op] = ops[i].verb;
        if (f->every != 0 && op % f->every == f->every - 1)
            failed(userdata, i, f->error, f->why);
    }
    return f->broken;
}

static const struct nsh_fib_ops fib_ops = {.rules_submit = submit};

struct told {
    size_t n, n_failed;
    struct nsh_rule_step steps[MANY];
    int errors[MANY];
    char why[96]; /* of the last */
};

static void written(void *userdata, const struct nsh_rule_step *step, int error, const char *why)
{
    struct told *t = userdata;

    assert_true(t->n < MANY);
    t->n_failed += error != 0;
    t->steps[t->n] = *step;
    t->errors[t->n++] = error;
    snprintf(t->why, sizeof t->why, "%s", why);
}

/* ---- plans ---- */

static struct nsh_rule wanted[MANY];
static uint8_t flags[MANY];
static struct nsh_desired desired;

static struct nsh_rule rule(uint32_t priority, const char *from)
{
    struct nsh_rule r = nsh_fib_fake_rule(AF_INET, priority, 100);

    if (from)
        assert_int_equal(nsh_prefix_parse(from, &r.from), NSH_PREFIX_OK);
    nsh_rule_normalize(&r);
    r.protocol = OURS;
    return r;
}

static struct nsh_rule_plan *plan(size_t n_wanted, const struct nsh_rule *seen, size_t n)
{
    struct nsh_rule_plan *p = NULL;

    desired = (struct nsh_desired){.rules = wanted, .n_rules = n_wanted, .protocol = OURS};
    assert_int_equal(nsh_rule_plan_new(&desired, flags, 0, &p), 0);
    nsh_rule_plan_begin(p);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(nsh_rule_plan_observe(p, &seen[i]), 0);
    assert_int_equal(nsh_rule_plan_finish(p, SIZE_MAX), 0);
    return p;
}

/* All are missing. */
static struct nsh_rule_plan *plan_additions(size_t n)
{
    for (size_t i = 0; i < n; i++)
        wanted[i] = rule((uint32_t)(1000 + i), NULL);
    return plan(n, NULL, 0);
}

/* None is wanted. */
static struct nsh_rule_plan *plan_deletions(size_t n)
{
    static struct nsh_rule seen[MANY];

    for (size_t i = 0; i < n; i++)
        seen[i] = rule((uint32_t)(1000 + i), NULL);
    return plan(0, seen, n);
}

/*
 * A rule that goes fits one that is to stay, so that the kernel may take that one: it is written
 * once more before.
 */
static struct nsh_rule_plan *plan_again(void)
{
    const struct nsh_rule seen[] = {rule(1000, "10.1.0.0/16"), rule(1000, NULL)};

    wanted[0] = rule(1000, "10.1.0.0/16");
    return plan(1, seen, 2);
}

/* ---- tests ---- */

static void test_batches(void **state)
{
    struct fib fib = {.fib.ops = &fib_ops, .every = 2, .error = -ENOMEM};
    struct nsh_rule_plan *p = plan_additions(MANY);
    struct told told = {.n = 0};

    (void)state;
    assert_int_equal(nsh_apply_rules(&fib.fib, p, written, &told), 0);
    assert_int_equal(fib.n_ops, MANY);
    assert_int_equal(fib.n_sends, 3);
    assert_int_equal(told.n, MANY);
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(told.steps[i].wanted, i);
        assert_int_equal(told.errors[i], i % 2 ? -ENOMEM : 0);
        assert_int_equal(fib.verbs[i], NSH_FIB_RULE_ADD);
    }
    nsh_rule_plan_free(p);
}

static void test_words(void **state)
{
    static const struct {
        int error;
        const char *why, *told;
    } cases[] = {
            {-EEXIST, NULL, "a rule that says the same stands there already"},
            {-EEXIST, "", "a rule that says the same stands there already"},
            {-EINVAL, "Unknown attribute", "Unknown attribute"},
            {-EPERM, "", "no right to change routes"},
    };

    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(cases); i++) {
        struct fib fib = {.fib.ops = &fib_ops, .every = 1};
        struct nsh_rule_plan *p = plan_additions(1);
        struct told told = {.n = 0};

        fib.error = cases[i].error;
        fib.why = cases[i].why;
        assert_int_equal(nsh_apply_rules(&fib.fib, p, written, &told), 0);
        assert_int_equal(told.errors[0], cases[i].error);
        if (cases[i].error != -EPERM)
            assert_string_equal(told.why, cases[i].told);
        else
            assert_true(told.why[0] != '\0');
        nsh_rule_plan_free(p);
    }
}

/* That it is gone already is what a deletion is for; that an addition finds nothing is not. */
static void test_gone_already(void **state)
{
    static const struct {
        bool deletes;
        int error, told;
    } cases[] = {
            {true, -ENOENT, 0},
            {true, -ESRCH, 0},
            {true, -EPERM, -EPERM},
            {false, -ENOENT, -ENOENT},
            {false, -ESRCH, -ESRCH},
    };

    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(cases); i++) {
        struct fib fib = {.fib.ops = &fib_ops, .every = 1, .error = cases[i].error};
        struct nsh_rule_plan *p = cases[i].deletes ? plan_deletions(2) : plan_additions(2);
        struct told told = {.n = 0};

        assert_int_equal(nsh_apply_rules(&fib.fib, p, written, &told), 0);
        assert_int_equal(fib.n_ops, 2);
        assert_int_equal(told.n, 2);
        assert_int_equal(told.errors[0], cases[i].told);
        assert_int_equal(told.errors[1], cases[i].told);
        assert_true((told.why[0] == '\0') == (cases[i].told == 0));
        nsh_rule_plan_free(p);
    }
}

static void test_again_before_the_deletion(void **state)
{
    struct fib fib = {.fib.ops = &fib_ops};
    struct nsh_rule_plan *p = plan_again();
    struct told told = {.n = 0};

    (void)state;
    assert_int_equal(nsh_apply_rules(&fib.fib, p, written, &told), 0);
    assert_true(told.n >= 2);
    assert_int_equal(told.steps[0].action, NSH_RULE_ADD_AGAIN);
    assert_int_equal(fib.verbs[0], NSH_FIB_RULE_APPEND);
    assert_int_equal(fib.verbs[1], NSH_FIB_RULE_DELETE);
    assert_int_equal(told.n_failed, 0);
    nsh_rule_plan_free(p);

    /* It could not be: then nothing is deleted. */
    fib = (struct fib){.fib.ops = &fib_ops, .every = 1, .error = -ENOMEM};
    p = plan_again();
    told = (struct told){.n = 0};
    assert_int_equal(nsh_apply_rules(&fib.fib, p, written, &told), 0);
    assert_int_equal(fib.n_ops, 1);
    assert_int_equal(told.n, 1);
    assert_int_equal(told.errors[0], -ENOMEM);
    nsh_rule_plan_free(p);
}

/* An addition that failed keeps no deletion of another rule from being done. */
static void test_other_deletions_go_on(void **state)
{
    const struct nsh_rule seen[] = {rule(2000, NULL)};
    struct fib fib = {.fib.ops = &fib_ops, .every = 2, .error = -EPERM};
    struct nsh_rule_plan *p;
    struct told told = {.n = 0};

    (void)state;
    wanted[0] = rule(1000, NULL);
    wanted[1] = rule(1001, NULL);
    p = plan(2, seen, 1);
    assert_int_equal(nsh_apply_rules(&fib.fib, p, written, &told), 0);
    assert_int_equal(told.n, 3);
    assert_int_equal(told.n_failed, 1);
    assert_int_equal(told.steps[2].action, NSH_RULE_DELETE);
    nsh_rule_plan_free(p);
}

static void test_broken_socket(void **state)
{
    struct fib fib = {.fib.ops = &fib_ops, .broken = -EIO};
    struct nsh_rule_plan *p = plan_additions(200);
    struct told told = {.n = 0};

    (void)state;
    assert_int_equal(nsh_apply_rules(&fib.fib, p, written, &told), -EIO);
    assert_int_equal(fib.n_sends, 1);
    assert_int_equal(told.n, 0);
    nsh_rule_plan_free(p);
}

static void test_nothing_to_do(void **state)
{
    struct fib fib = {.fib.ops = &fib_ops};
    struct nsh_rule_plan *p = plan_additions(0);
    struct told told = {.n = 0};

    (void)state;
    assert_int_equal(nsh_apply_rules(&fib.fib, p, written, &told), 0);
    assert_int_equal(fib.n_sends, 0);
    assert_int_equal(told.n, 0);
    nsh_rule_plan_free(p);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_batches),
            cmocka_unit_test(test_words),
            cmocka_unit_test(test_gone_already),
            cmocka_unit_test(test_again_before_the_deletion),
            cmocka_unit_test(test_other_deletions_go_on),
            cmocka_unit_test(test_broken_socket),
            cmocka_unit_test(test_nothing_to_do),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
