/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The route plan in parts: keys in any order, one comparison after the other, a dump in no order,
 * and what changes between the judgement and the writing.
 */
#include "plan.h"
#include "route-text.h"

#define MAX 8

static const struct nsh_link links[] = {{.name = "eth0", .ifindex = 3}};

static struct nsh_arena *arena;
static struct nsh_desired *want;
static struct nsh_route_plan *plan;
static uint8_t flags[MAX];

static void begin(const char *const *text)
{
    struct nsh_route routes[MAX];
    size_t n = 0;

    memset(flags, 0, sizeof(flags));
    arena = nsh_arena_new();
    for (; text[n]; n++)
        routes[n] = rt(arena, text[n]);
    want = rt_desired(routes, n, links, 1);
    assert_int_equal(nsh_route_plan_new(want, flags, 0, &plan), 0);
}

static int end(void **state)
{
    (void)state;
    nsh_route_plan_free(plan);
    nsh_desired_free(want);
    nsh_arena_free(arena);
    return 0;
}

static void observe(const char *text)
{
    struct nsh_route r = rt(arena, text);

    assert_int_equal(nsh_route_plan_observe(plan, &r), 0);
}

static void assert_steps(const char *expected)
{
    size_t n;
    const struct nsh_route_step *steps = nsh_route_plan_steps(plan, &n);
    char text[1024] = "";

    for (size_t i = 0; i < n; i++) {
        size_t at = strlen(text);

        at += (size_t)snprintf(
                text + at, sizeof text - at, "%s%c ", i > 0 ? "; " : "", "+=~-"[steps[i].action]);
        nsh_route_format_key(&steps[i].route, text + at, sizeof text - at);
    }
    assert_string_equal(text, expected);
}

static const char *const three[] = {
        "10.1.0.0/16 dev @0", "10.2.0.0/16 dev @0", "10.3.0.0/16 dev @0", NULL};

static void test_keys_in_any_order(void **state)
{
    static const size_t keys[] = {2, 0, 2, 7};

    (void)state;
    begin(three);
    assert_int_equal(nsh_route_plan_begin(plan, NSH_SCOPE_KEYS, keys, 4), 0);
    assert_int_equal(nsh_route_plan_finish(plan), 0);
    assert_steps("+ 10.1.0.0/16; + 10.3.0.0/16");
    assert_int_equal(nsh_route_plan_verdict(plan, 1), NSH_ROUTE_UNKNOWN);
}

static void test_one_after_the_other(void **state)
{
    static const size_t first[] = {0}, second[] = {1, 2};

    (void)state;
    begin(three);
    assert_int_equal(nsh_route_plan_begin(plan, NSH_SCOPE_KEYS, first, 1), 0);
    observe("10.1.0.0/16 dev #4");
    observe("10.2.0.0/16 dev #4");
    assert_int_equal(nsh_route_plan_finish(plan), 0);
    assert_steps("= 10.1.0.0/16");
    assert_int_equal(nsh_route_plan_begin(plan, NSH_SCOPE_KEYS, second, 2), 0);
    observe("10.1.0.0/16 dev #4");
    observe("10.2.0.0/16 dev #3");
    assert_int_equal(nsh_route_plan_finish(plan), 0);
    assert_steps("+ 10.3.0.0/16");
    assert_int_equal(nsh_route_plan_verdict(plan, 0), NSH_ROUTE_UNKNOWN);
    assert_int_equal(nsh_route_plan_verdict(plan, 1), NSH_ROUTE_RIGHT);
    assert_int_equal(nsh_route_plan_begin(plan, NSH_SCOPE_ALL, NULL, 0), 0);
    observe("10.9.0.0/16 dev #3");
    assert_int_equal(nsh_route_plan_finish(plan), 0);
    assert_steps("+ 10.1.0.0/16; + 10.2.0.0/16; + 10.3.0.0/16; - 10.9.0.0/16");
    /* Nothing is left of that. */
    assert_int_equal(nsh_route_plan_begin(plan, NSH_SCOPE_ALL, NULL, 0), 0);
    for (size_t i = 0; three[i]; i++)
        observe(three[i]);
    assert_int_equal(nsh_route_plan_unwanted(plan), 0);
}

/* What stands on one key in which order decides, whatever else came in between. */
static void test_a_dump_in_no_order(void **state)
{
    (void)state;
    begin(three);
    flags[0] = NSH_ROUTE_WAS_HELD;
    assert_int_equal(nsh_route_plan_begin(plan, NSH_SCOPE_ALL, NULL, 0), 0);
    observe("10.9.0.0/16 dev #3");
    observe("10.3.0.0/16 dev #4");
    observe("10.1.0.0/16 dev #9 proto 4");
    observe("10.2.0.0/16 dev #4");
    observe("10.8.0.0/16 dev #3");
    observe("10.1.0.0/16 dev #4");
    observe("10.1.0.0/16 dev #5");
    assert_int_equal(nsh_route_plan_finish(plan), 0);
    /* A foreign one is first: ours go, and its place is taken. */
    assert_steps("- 10.1.0.0/16; - 10.1.0.0/16; = 10.1.0.0/16; = 10.2.0.0/16; = 10.3.0.0/16;"
                 " - 10.8.0.0/16; - 10.9.0.0/16");
    assert_true(nsh_route_plan_stands(plan, 0));
    assert_int_equal(nsh_route_plan_unwanted(plan), 2);
}

static void test_a_flag_that_changes_meanwhile(void **state)
{
    size_t from, to;

    (void)state;
    begin(three);
    flags[0] = flags[1] = flags[2] = NSH_ROUTE_WAS_HELD;
    assert_int_equal(nsh_route_plan_begin(plan, NSH_SCOPE_ALL, NULL, 0), 0);
    observe("10.1.0.0/16 dev #9 proto 4");
    observe("10.2.0.0/16 dev #9 proto 4");
    observe("10.3.0.0/16 dev #9 proto 4");
    assert_int_equal(nsh_route_plan_judge(plan, SIZE_MAX, &from, &to), 0);
    assert_int_equal(nsh_route_plan_verdict(plan, 0), NSH_ROUTE_WRONG);
    flags[0] = 0; /* it is not ours to take any more */
    flags[1] = NSH_ROUTE_SKIP | NSH_ROUTE_WAS_HELD;
    assert_int_equal(nsh_route_plan_writes(plan, SIZE_MAX, SIZE_MAX), 0);
    assert_steps("= 10.3.0.0/16");
}

/* However small the parts are, the steps are the same. */
static void test_in_parts(void **state)
{
    size_t from, to, n, steps = 0;
    const struct nsh_route_step *part;
    int r;

    (void)state;
    begin((const char *const[]){"10.1.0.0/16 via 192.0.2.1", "10.2.0.0/16 dev @0",
            "10.3.0.0/16 via 192.0.2.1", "10.4.0.0/16 dev @0", NULL});
    assert_int_equal(nsh_route_plan_begin(plan, NSH_SCOPE_ALL, NULL, 0), 0);
    observe("10.8.0.0/16 via 192.0.2.1 dev #3");
    observe("10.9.0.0/16 dev #3");
    for (size_t key = 0; nsh_route_plan_judge(plan, 1, &from, &to) > 0; key++) {
        assert_int_equal(from, key);
        assert_int_equal(to, key + 1);
    }
    do {
        static const char *const order[] = {
                "10.2.0.0/16", "10.4.0.0/16", "10.1.0.0/16", "10.3.0.0/16"};
        char key[64];

        r = nsh_route_plan_writes(plan, 1, SIZE_MAX);
        part = nsh_route_plan_steps(plan, &n);
        assert_true(n <= 1);
        if (n == 0)
            continue;
        nsh_route_format_key(&part->route, key, sizeof key);
        assert_true(steps < 4);
        assert_string_equal(key, order[steps++]);
    } while (r > 0);
    assert_int_equal(r, 0);
    assert_int_equal(steps, 4);
    assert_int_equal(nsh_route_plan_deletions(plan, SIZE_MAX, 1), 1);
    assert_steps("- 10.8.0.0/16");
    assert_int_equal(nsh_route_plan_deletions(plan, SIZE_MAX, SIZE_MAX), 0);
    assert_steps("- 10.9.0.0/16");
    assert_int_equal(nsh_route_plan_deletions(plan, SIZE_MAX, SIZE_MAX), 0);
    assert_steps("");
}

/* One for each route, in the order of these; and none where only keys are asked about. */
static void test_shadows(void **state)
{
    static const size_t keys[] = {0};
    const struct nsh_route_shadow *shadows;
    size_t n;

    (void)state;
    begin((const char *const[]){"10.1.0.0/16 dev @0 metric 9", "10.2.0.0/16 dev @0 metric 9",
            "10.3.0.0/16 dev @0 metric 9", NULL});
    assert_int_equal(nsh_route_plan_begin(plan, NSH_SCOPE_ALL, NULL, 0), 0);
    observe("10.3.0.0/16 dev #4 metric 5 proto 4");
    observe("10.1.0.0/16 dev #4 metric 5 proto 4");
    observe("10.1.0.0/16 dev #4 metric 6 proto 4");
    assert_int_equal(nsh_route_plan_finish(plan), 0);
    shadows = nsh_route_plan_shadows(plan, &n);
    assert_int_equal(n, 2);
    assert_int_equal(shadows[0].wanted, 0);
    assert_int_equal(shadows[0].by.metric, 5);
    assert_int_equal(shadows[1].wanted, 2);
    assert_int_equal(nsh_route_plan_begin(plan, NSH_SCOPE_KEYS, keys, 1), 0);
    observe("10.1.0.0/16 dev #4 metric 5 proto 4");
    assert_int_equal(nsh_route_plan_finish(plan), 0);
    nsh_route_plan_shadows(plan, &n);
    assert_int_equal(n, 0);
}

/* Held without a look: right; and seen to elsewhere: none of this plan's business. */
static void test_held_and_settled(void **state)
{
    static const size_t keys[] = {0, 1, 2};

    (void)state;
    begin(three);
    assert_int_equal(nsh_route_plan_begin(plan, NSH_SCOPE_KEYS, keys, 3), 0);
    nsh_route_plan_hold(plan, 0);
    nsh_route_plan_settle(plan, 1);
    observe("10.1.0.0/16 dev #4 proto 4");
    observe("10.2.0.0/16 dev #4");
    assert_int_equal(nsh_route_plan_finish(plan), 0);
    assert_steps("+ 10.3.0.0/16");
    assert_int_equal(nsh_route_plan_verdict(plan, 0), NSH_ROUTE_RIGHT);
    assert_int_equal(nsh_route_plan_verdict(plan, 1), NSH_ROUTE_UNKNOWN);
    /* Held, and yet another one of ours stands there: that goes. */
    assert_int_equal(nsh_route_plan_begin(plan, NSH_SCOPE_KEYS, keys, 1), 0);
    nsh_route_plan_hold(plan, 0);
    observe("10.1.0.0/16 dev #4");
    assert_int_equal(nsh_route_plan_finish(plan), 0);
    assert_steps("- 10.1.0.0/16; = 10.1.0.0/16");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test_teardown(test_keys_in_any_order, end),
            cmocka_unit_test_teardown(test_one_after_the_other, end),
            cmocka_unit_test_teardown(test_a_dump_in_no_order, end),
            cmocka_unit_test_teardown(test_a_flag_that_changes_meanwhile, end),
            cmocka_unit_test_teardown(test_in_parts, end),
            cmocka_unit_test_teardown(test_shadows, end),
            cmocka_unit_test_teardown(test_held_and_settled, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
