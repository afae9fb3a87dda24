/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The firewall plan, case by case. test-plan-firewall-random.c does the same with random damage.
 */
#include "firewall-model.h"

/* ---- jumps, case by case ---- */

static const struct {
    const char *want, *seen, *up;
    size_t n_up;
    const char *down;
    size_t n_down; /* chains deleted included */
} jumps[] = {
        {"a", "", "a", 1, "a", 0},
        {"a", "a", "a", 0, "a", 0},
        {"a", "F a G", "F a G", 0, "F a G", 0},
        {"a b", "F", "F a b", 2, "F a b", 0},
        /* a policy more, a policy less: one step */
        {"a b c", "F a b", "F a b c", 1, "F a b c", 0},
        {"a b c", "F a G c", "F a G b c", 1, "F a G b c", 0},
        {"a b c", "F b c", "F a b c", 1, "F a b c", 0},
        {"a c", "F a b c", "F a b c", 0, "F a c", 2},
        /* doubled, altered, moved */
        {"a", "a F a", "a F", 1, "a F", 0},
        {"a b", "a b a b", "a b", 2, "a b", 0},
        {"a", "F !a", "F a", 2, "F a", 0},
        {"a", "!a F a", "F a", 1, "F a", 0},
        {"a b", "F b a G", "F a G b", 2, "F a G b", 0},
        {"a b c", "c a b", "a b c", 2, "a b c", 0},
        {"a b c", "F !b G c", "F G a b c", 3, "F G a b c", 0},
        /* of another kind since, where jumps tell it */
        {"a", "F ~a", "F a", 2, "F a", 0},
        {"a b", "F ~a b", "F a b", 2, "F a b", 0},
        /* of another position since */
        {"a", "^a F", "F a", 2, "F a", 0},
        {"a b", "^a F b", "F a b", 2, "F a b", 0},
        /* first */
        {"^a", "F G", "a F G", 1, "a F G", 0},
        {"^a", "F a G", "a F G", 2, "a F G", 0},
        {"^a", "a F G", "a F G", 0, "a F G", 0},
        {"a ^b ^c", "F", "b c F a", 3, "b c F a", 0},
        {"a ^b ^c", "c F a", "b c F a", 1, "b c F a", 0},
        {"a ^b ^c", "b F a", "b c F a", 1, "b c F a", 0},
        {"a ^b", "a b F", "b F a", 2, "b F a", 0},
        {"^b", "x b F", "x b F", 0, "b F", 2},
        {"^b ^c", "x F b", "b c x F", 3, "b c F", 2},
        /* bans stay before what is first, or between */
        {"^a", "-F G", "-F a G", 1, "-F a G", 0},
        {"^a", "-F a -G H", "-F a -G H", 0, "-F a -G H", 0},
        {"^a", "a -F G", "a -F G", 0, "a -F G", 0},
        {"^a", "-F -G H a", "-F -G a H", 2, "-F -G a H", 0},
        {"^a", "-F !a -G H", "-F -G a H", 2, "-F -G a H", 0},
        {"^a", "G -F a", "a G -F", 2, "a G -F", 0},
        {"^a ^b ^c", "-F G", "-F a b c G", 3, "-F a b c G", 0},
        {"^a ^b ^c", "-F b -G H", "-F a b -G c H", 2, "-F a b -G c H", 0},
        {"^a ^b ^c", "a -F c -G H", "a -F b c -G H", 1, "a -F b c -G H", 0},
        {"a ^b", "a -F G", "b a -F G", 1, "b a -F G", 0},
        {"a ^b", "-F a G", "-F b a G", 1, "-F b a G", 0},
        {"^a ^b", "b -F a -G H", "-F a -G b H", 2, "-F a -G b H", 0},
        {"^b", "-F x -G b H", "-F x -G b H", 0, "-F -G b H", 2},
        /* nothing wanted */
        {"", "F x G !x x", "F x G !x x", 0, "F G", 4},
};

static void test_jumps(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(jumps) / sizeof(jumps[0]); i++) {
        struct nsh_desired *d = desire(jumps[i].want, 1);
        struct nsh_firewall_plan *p = NULL;
        struct table t;
        char buf[256];
        size_t n;

        make_table(&t, d, jumps[i].seen);
        assert_int_equal(nsh_firewall_plan_new(d, AF_INET, NSH_TABLE_NAT, &p), 0);
        n = run_plan(p, &t, NSH_PHASE_UP);
        write_builtin(&t.builtins[1], buf, sizeof(buf));
        assert_string_equal(buf, jumps[i].up);
        assert_int_equal(n, jumps[i].n_up);
        assert_int_equal(run_plan(p, &t, NSH_PHASE_DOWN), jumps[i].n_down);
        write_builtin(&t.builtins[1], buf, sizeof(buf));
        assert_string_equal(buf, jumps[i].down);
        nsh_firewall_plan_free(p);
        nsh_desired_free(d);
    }
}

/* Policies that were first until now: what stands before foreign rules for that is moved. */
static void test_no_longer_first(void **state)
{
    static const struct {
        const char *want, *were, *seen, *up;
        size_t n_up;
    } cases[] = {
            {"a", "a", "a F G", "F G a", 2},
            {"a b", "a", "a F b G", "F a b G", 2},
            {"a b", "a b", "a b F", "F a b", 4},
            {"a ^b", "a", "b a F", "b F a", 2},
            {"a", "a", "F a G", "F a G", 0},
            {"a", "a", "a", "a", 0},
            {"a b", "a b", "a b", "a b", 0},
            {"a", "", "a F", "a F", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct nsh_desired *d = desire(cases[i].want, 1);
        struct nsh_firewall_plan *p = NULL;
        struct table t;
        char buf[256];

        for (size_t k = 0; k < d->n_chains; k++)
            d->chains[k].was_first =
                    d->chains[k].policy[0] && strstr(cases[i].were, d->chains[k].policy);
        make_table(&t, d, cases[i].seen);
        assert_int_equal(nsh_firewall_plan_new(d, AF_INET, NSH_TABLE_NAT, &p), 0);
        assert_int_equal(run_plan(p, &t, NSH_PHASE_UP), cases[i].n_up);
        write_builtin(&t.builtins[1], buf, sizeof(buf));
        assert_string_equal(buf, cases[i].up);
        nsh_firewall_plan_free(p);
        nsh_desired_free(d);
    }
}

/* A jump of ours in a built-in chain where none is wanted goes, in the second phase. */
static void test_wrong_hook(void **state)
{
    struct nsh_desired *d = desire("a", 1);
    struct nsh_firewall_plan *p = NULL;
    struct table t;

    (void)state;
    make_table(&t, d, "a");
    read_builtin(&t.builtins[0], "a F !a");
    assert_int_equal(nsh_firewall_plan_new(d, AF_INET, NSH_TABLE_NAT, &p), 0);
    assert_int_equal(run_plan(p, &t, NSH_PHASE_UP), 0);
    assert_int_equal(run_plan(p, &t, NSH_PHASE_DOWN), 2);
    assert_int_equal(t.builtins[0].n, 1);
    assert_int_equal(t.builtins[1].n, 1);
    nsh_firewall_plan_free(p);
    nsh_desired_free(d);
}

static void test_other_tables_do_not_count(void **state)
{
    struct nsh_desired *d = desire("a", 1);
    const struct nsh_chain_seen seen = {
            .family = AF_INET6, .table = NSH_TABLE_NAT, .name = "NETSHARED-x"};
    const struct nsh_chain_seen foreign = {
            .family = AF_INET, .table = NSH_TABLE_RAW, .name = "DOCKER"};
    struct nsh_firewall_plan *p = NULL;
    const struct nsh_firewall_op *ops;
    size_t n;

    (void)state;
    assert_int_equal(nsh_firewall_plan_new(d, AF_INET, NSH_TABLE_RAW, &p), 0);
    nsh_firewall_plan_begin(p);
    assert_int_equal(nsh_firewall_plan_observe(p, &seen), 0);
    assert_int_equal(nsh_firewall_plan_observe(p, &foreign), 0);
    assert_int_equal(nsh_firewall_plan_finish(p, NSH_PHASE_DOWN), 0);
    nsh_firewall_plan_steps(p, &n);
    assert_int_equal(n, 0);
    /* the conntrack chain: no jump */
    assert_int_equal(nsh_firewall_plan_finish(p, NSH_PHASE_UP), 0);
    ops = nsh_firewall_plan_steps(p, &n);
    assert_int_equal(n, 1);
    assert_int_equal(ops[0].verb, NSH_CHAIN_ADD);
    assert_string_equal(ops[0].chain, NSH_CHAIN_CONNTRACK);
    nsh_firewall_plan_free(p);
    nsh_desired_free(d);
}

/* The chains of a policy have one name in both families. */
static void test_families(void **state)
{
    struct nsh_desired *d = desire("a", 1);
    struct nsh_chain_seen seen = {
            .family = AF_INET6, .table = NSH_TABLE_NAT, .name = "NETSHARED-a"};
    struct nsh_firewall_plan *p = NULL;
    size_t n;

    (void)state;
    d->chains[1] = d->chains[0];
    d->chains[1].family = AF_INET6;
    seen.rules = d->chains[1].rules;
    seen.n_rules = d->chains[1].n_rules;
    assert_int_equal(nsh_firewall_plan_new(d, AF_INET6, NSH_TABLE_NAT, &p), 0);
    nsh_firewall_plan_begin(p);
    assert_int_equal(nsh_firewall_plan_observe(p, &seen), 0);
    assert_int_equal(nsh_firewall_plan_finish(p, NSH_PHASE_UP), 0);
    nsh_firewall_plan_steps(p, &n);
    assert_int_equal(n, 1);
    assert_string_equal(nsh_firewall_plan_reason(p, 1), "jump missing");
    nsh_firewall_plan_free(p);
    nsh_desired_free(d);
}

/* ---- rules ---- */

static void drop_all(struct chain *c)
{
    c->n = 0;
}

static void drop_middle(struct chain *c)
{
    remove_from_chain(c, 2);
}

static void drop_head(struct chain *c)
{
    remove_from_chain(c, 0);
}

static void alter_two(struct chain *c)
{
    c->rules[1].action = NSH_PACKET_OTHER;
    c->rules[2].action = NSH_PACKET_MASQUERADE;
}

static void swap(struct chain *c)
{
    move_rule(c, 1, 3);
}

static void add_at_end(struct chain *c)
{
    insert_in_chain(c, c->n);
}

static void repeat_last(struct chain *c)
{
    c->rules[c->n] = c->rules[c->n - 1];
    c->n++;
}

static const struct {
    void (*damage)(struct chain *c);
    const char *reason;
    uint32_t kept;
} damages[] = {
        {drop_all, "flushed", 0},
        {drop_middle, "1 of 5 rules changed", 4},
        {drop_head, "1 of 5 rules changed", 4},
        {alter_two, "2 of 5 rules changed", 3},
        {swap, "out of order", 2},
        {add_at_end, "1 of 6 rules changed", 5},
        {repeat_last, "1 of 6 rules changed", 5},
};

static void test_rules(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
        struct nsh_desired *d = desire("a b", 5);
        struct nsh_firewall_plan *p = NULL;
        struct table t;

        make_table(&t, d, "a b");
        damages[i].damage(&t.chains[1]);
        assert_int_equal(nsh_firewall_plan_new(d, AF_INET, NSH_TABLE_NAT, &p), 0);
        assert_int_equal(run_plan(p, &t, NSH_PHASE_UP), 1);
        assert_string_equal(nsh_firewall_plan_reason(p, 0), "");
        assert_false(nsh_firewall_plan_touches(p, 0));
        assert_string_equal(nsh_firewall_plan_reason(p, 1), damages[i].reason);
        assert_true(nsh_firewall_plan_touches(p, 1));
        assert_int_equal(t.chains[1].kept, damages[i].kept);
        assert_int_equal(run_plan(p, &t, NSH_PHASE_UP), 0);
        nsh_firewall_plan_free(p);
        nsh_desired_free(d);
    }
}

static void test_reasons_of_jumps(void **state)
{
    struct nsh_desired *d = desire("a b c d ^e f", 1);
    static const char *const reasons[] = {"jump doubled", "", "jump altered", "jump missing",
            "jump behind a rule of others", "missing"};
    struct nsh_firewall_plan *p = NULL;
    struct table t;

    (void)state;
    make_table(&t, d, "F e a a b !c");
    t.n_chains--; /* f */
    assert_int_equal(nsh_firewall_plan_new(d, AF_INET, NSH_TABLE_NAT, &p), 0);
    run_plan(p, &t, NSH_PHASE_UP);
    for (size_t i = 0; i < 6; i++)
        assert_string_equal(nsh_firewall_plan_reason(p, i), reasons[i]);
    nsh_firewall_plan_free(p);
    nsh_desired_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_jumps),
            cmocka_unit_test(test_no_longer_first),
            cmocka_unit_test(test_wrong_hook),
            cmocka_unit_test(test_other_tables_do_not_count),
            cmocka_unit_test(test_families),
            cmocka_unit_test(test_rules),
            cmocka_unit_test(test_reasons_of_jumps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
