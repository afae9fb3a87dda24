/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The rule plan's promises, with random wanted and observed rules and a kernel with the habits of
 * the real one: what the plan says is done, step by step; then each wanted rule stands exactly
 * once, what is foreign is as it was, and a new plan has nothing to do. No wanted rule that stood
 * is missing at any moment in between.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cleanup.h"
#include "fib-fake.h"
#include "plan-rule.h"

#define OURS 110
#define OLD 111
#define FOREIGN 4
#define WANTED_MAX 16
#define ROUNDS 20000U

struct world {
    struct nsh_fib_fake *kernel;
    struct nsh_fib *fib;
    struct nsh_rule_plan *plan;
    struct nsh_rule wanted[WANTED_MAX];
    uint8_t flags[WANTED_MAX];
    struct nsh_desired desired;
};

static uint64_t seed;

static uint32_t any(uint32_t below)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(seed >> 33) % below;
}

/* Few values, so that they meet: patterns that fit others, inversions, doubles. */
static struct nsh_rule random_rule(void)
{
    static const char *const prefixes[] = {"10.1.0.0/16", "10.2.0.0/16"};
    struct nsh_rule r = nsh_fib_fake_rule(any(4) ? AF_INET : AF_INET6, 5 + any(2), 100 + any(2));

    if (any(2) && r.family == AF_INET)
        nsh_prefix_parse(prefixes[any(2)], &r.from);
    if (any(4) == 0)
        strcpy(r.iif, "eth0");
    if (any(4) == 0)
        r.mark = (struct nsh_mark){any(2), 0xf};
    if (any(5) == 0)
        r.action = any(2) ? FR_ACT_BLACKHOLE : FR_ACT_GOTO;
    r.target = 20 + any(2);
    r.invert = any(5) == 0;
    nsh_rule_normalize(&r);
    return r;
}

static int compare(const void *a, const void *b)
{
    return nsh_rule_cmp(a, b);
}

static void make_wanted(struct world *w)
{
    size_t n = any(WANTED_MAX + 1), kept = 0;

    for (size_t i = 0; i < n; i++)
        w->wanted[i] = random_rule();
    qsort(w->wanted, n, sizeof(w->wanted[0]), compare);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || !nsh_rule_equal(&w->wanted[kept - 1], &w->wanted[i]))
            w->wanted[kept++] = w->wanted[i];
    w->desired = (struct nsh_desired){.rules = w->wanted, .n_rules = kept, .protocol = OURS};
    for (size_t i = 0; i < kept; i++)
        w->flags[i] = any(8) == 0 ? NSH_RULE_SKIP : 0;
}

static void make_observed(struct world *w)
{
    static const uint8_t protocols[] = {OURS, OURS, OURS, OLD, FOREIGN};

    for (uint32_t n = any(24); n > 0; n--) {
        struct nsh_rule r = random_rule();

        if (w->desired.n_rules > 0 && any(3))
            r = w->wanted[any((uint32_t)w->desired.n_rules)];
        r.protocol = protocols[any(NSH_ARRAY_SIZE(protocols))];
        r.inexact = any(12) == 0;
        assert_int_equal(nsh_fib_fake_rule_write(w->kernel, &r, NSH_FIB_RULE_APPEND, 0), 0);
    }
}

/* ---- what stands there ---- */

struct look {
    const struct nsh_rule *rule;
    size_t n, ours;
};

static int count(void *userdata, const struct nsh_rule *seen)
{
    struct look *look = userdata;

    look->ours += seen->protocol == OURS || seen->protocol == OLD;
    look->n += look->rule && seen->protocol == OURS && nsh_rule_equal(look->rule, seen);
    return 0;
}

static size_t times(struct world *w, const struct nsh_rule *rule)
{
    struct look look = {.rule = rule};

    w->fib->ops->rules_dump(w->fib, count, &look);
    return look.n;
}

static size_t ours(struct world *w)
{
    struct look look = {0};

    w->fib->ops->rules_dump(w->fib, count, &look);
    return look.ours;
}

struct text {
    char *buf;
    size_t n;
};

static int collect_foreign(void *userdata, const struct nsh_rule *seen)
{
    struct text *t = userdata;
    char one[NSH_RULE_TEXT];

    if (seen->protocol != OURS && seen->protocol != OLD)
        t->n += (size_t)snprintf(t->buf + t->n, 65536 - t->n, "%u %s\n", seen->protocol,
                nsh_rule_format_name(seen, one, sizeof(one)));
    return 0;
}

static char *foreign(struct world *w)
{
    struct text t = {.buf = calloc(1, 65536)};

    assert_non_null(t.buf);
    w->fib->ops->rules_dump(w->fib, collect_foreign, &t);
    return t.buf;
}

/* ---- the plan, done ---- */

static int observe(void *userdata, const struct nsh_rule *seen)
{
    return nsh_rule_plan_observe(userdata, seen);
}

static const struct nsh_rule_step *make_plan(struct world *w, size_t most, size_t *ret_n)
{
    nsh_rule_plan_begin(w->plan);
    assert_int_equal(w->fib->ops->rules_dump(w->fib, observe, w->plan), 0);
    assert_int_equal(nsh_rule_plan_finish(w->plan, most), 0);
    return nsh_rule_plan_steps(w->plan, ret_n);
}

static void refused(void *userdata, size_t op, int error, const char *why)
{
    (void)op;
    fail_msg("refused: %d %s (seed %" PRIu64 ")", error, why, *(const uint64_t *)userdata);
}

static void do_step(struct world *w, const struct nsh_rule_step *s, uint64_t begun)
{
    struct nsh_fib_rule_op op = {.verb = NSH_FIB_RULE_DELETE, .rule = s->rule};

    if (s->action == NSH_RULE_ADD || s->action == NSH_RULE_ADD_AGAIN)
        op.verb = s->exclusive ? NSH_FIB_RULE_ADD : NSH_FIB_RULE_APPEND;
    assert_int_equal(w->fib->ops->rules_submit(w->fib, &op, 1, refused, &begun), 0);
}

static void one_round(struct world *w, uint64_t begun)
{
    bool stood[WANTED_MAX];
    nsh_autofree char *before = foreign(w), *after = NULL;
    const struct nsh_rule_step *steps;
    size_t n, expected = 0, rounds = 0, most = any(2) ? SIZE_MAX : 1 + any(8);

    for (size_t i = 0; i < w->desired.n_rules; i++)
        stood[i] = times(w, &w->wanted[i]) > 0;
    do {
        steps = make_plan(w, most, &n);
        assert_true(n <= most);
        for (size_t i = 0; i < w->desired.n_rules; i++)
            assert_int_equal(nsh_rule_plan_stands(w->plan, i), times(w, &w->wanted[i]) > 0);
        for (size_t s = 0; s < n; s++) {
            do_step(w, &steps[s], begun);
            for (size_t i = 0; i < w->desired.n_rules; i++)
                if (stood[i] && times(w, &w->wanted[i]) == 0)
                    fail_msg("a gap (seed %" PRIu64 ")", begun);
        }
        assert_true(++rounds < 1000);
    } while (nsh_rule_plan_more(w->plan));
    for (size_t i = 0; i < w->desired.n_rules; i++) {
        size_t want = stood[i] || !(w->flags[i] & NSH_RULE_SKIP);

        expected += want;
        if (times(w, &w->wanted[i]) != want)
            fail_msg("stands %zu times (seed %" PRIu64 ")", times(w, &w->wanted[i]), begun);
    }
    assert_int_equal(ours(w), expected);
    after = foreign(w);
    assert_string_equal(before, after);
    make_plan(w, SIZE_MAX, &n);
    assert_int_equal(n, 0);
    assert_false(nsh_rule_plan_saw_earlier(w->plan));
}

static void test_random(void **state)
{
    const char *given = getenv("NSH_SEED");

    (void)state;
    seed = given ? strtoull(given, NULL, 10) : 20240229;
    print_message("# NSH_SEED=%" PRIu64 "\n", seed);
    for (unsigned i = 0; i < (given ? 1 : ROUNDS); i++) {
        struct world w = {0};
        uint64_t begun = seed;

        assert_int_equal(nsh_fib_fake_new(&w.kernel), 0);
        assert_int_equal(nsh_fib_fake_open(w.kernel, &w.fib), 0);
        make_wanted(&w);
        make_observed(&w);
        assert_int_equal(nsh_rule_plan_new(&w.desired, w.flags, OLD, &w.plan), 0);
        one_round(&w, begun);
        nsh_rule_plan_free(w.plan);
        nsh_fib_free(w.fib);
        nsh_fib_fake_free(w.kernel);
    }
}

/* ---- single cases ---- */

static void expect_steps(struct nsh_rule_plan *p, const char *expected)
{
    static const char *const words[] = {[NSH_RULE_ADD] = "add",
            [NSH_RULE_ADD_AGAIN] = "again",
            [NSH_RULE_DELETE] = "delete",
            [NSH_RULE_DELETE_DOUBLE] = "double"};
    char text[1024] = "", one[NSH_RULE_TEXT];
    const struct nsh_rule_step *steps;
    size_t n, at = 0;

    assert_int_equal(nsh_rule_plan_finish(p, SIZE_MAX), 0);
    steps = nsh_rule_plan_steps(p, &n);
    for (size_t i = 0; i < n; i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s %s proto %u\n",
                words[steps[i].action], steps[i].exclusive ? " excl" : "",
                nsh_rule_format(&steps[i].rule, one, sizeof(one)), steps[i].rule.protocol);
    assert_string_equal(text, expected);
}

static struct nsh_rule_plan *new_plan(struct nsh_desired *d, const uint8_t *flags)
{
    struct nsh_rule_plan *p;

    assert_int_equal(nsh_rule_plan_new(d, flags, 0, &p), 0);
    nsh_rule_plan_begin(p);
    return p;
}

/* A foreign rule that says the same is no reason to leave ours out, and is not adopted. */
static void test_foreign_equal(void **state)
{
    struct nsh_rule rule = nsh_fib_fake_rule(AF_INET, 1000, 100), other = rule;
    struct nsh_desired d = {.rules = &rule, .n_rules = 1, .protocol = OURS};
    const uint8_t flags[1] = {0};
    struct nsh_rule_plan *p = new_plan(&d, flags);

    (void)state;
    other.protocol = FOREIGN;
    assert_int_equal(nsh_rule_plan_observe(p, &other), 0);
    expect_steps(p, "add excl from all lookup 100 priority 1000 proto 110\n");
    nsh_rule_plan_free(p);
}

static void test_double(void **state)
{
    struct nsh_rule rule = nsh_fib_fake_rule(AF_INET, 1000, 100), seen = rule;
    struct nsh_desired d = {.rules = &rule, .n_rules = 1, .protocol = OURS};
    const uint8_t flags[1] = {0};
    struct nsh_rule_plan *p = new_plan(&d, flags);

    (void)state;
    seen.protocol = OURS;
    assert_int_equal(nsh_rule_plan_observe(p, &seen), 0);
    assert_int_equal(nsh_rule_plan_observe(p, &seen), 0);
    expect_steps(p, "double from all lookup 100 priority 1000 proto 110\n");
    nsh_rule_plan_free(p);
}

static void test_wide_goes_narrow_stays(void **state)
{
    struct nsh_rule narrow = nsh_fib_fake_rule(AF_INET, 5, 100), wide = narrow, seen;
    struct nsh_desired d = {.rules = &narrow, .n_rules = 1, .protocol = OURS};
    const uint8_t flags[1] = {0};
    struct nsh_rule_plan *p = new_plan(&d, flags);

    (void)state;
    nsh_prefix_parse("10.1.0.0/24", &narrow.from);
    seen = narrow;
    seen.protocol = wide.protocol = OURS;
    assert_int_equal(nsh_rule_plan_observe(p, &seen), 0);
    assert_int_equal(nsh_rule_plan_observe(p, &wide), 0);
    expect_steps(p, "again from 10.1.0.0/24 lookup 100 priority 5 proto 110\n"
                    "double from 10.1.0.0/24 lookup 100 priority 5 proto 110\n"
                    "delete from all lookup 100 priority 5 proto 110\n");
    nsh_rule_plan_begin(p);
    assert_int_equal(nsh_rule_plan_observe(p, &wide), 0);
    assert_int_equal(nsh_rule_plan_observe(p, &seen), 0);
    expect_steps(p, "delete from all lookup 100 priority 5 proto 110\n");
    nsh_rule_plan_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_foreign_equal),
            cmocka_unit_test(test_double),
            cmocka_unit_test(test_wide_goes_narrow_stays),
            cmocka_unit_test(test_random),
    };

    return cmocka_run_group_tests_name("plan-rule", tests, NULL, NULL);
}
