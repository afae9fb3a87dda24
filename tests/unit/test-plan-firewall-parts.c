/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The firewall plan, beside its steps: the words for what is wrong, foreign rules ahead of a jump
 * in several hooks, and one plan used again.
 */
#include "cleanup.h"
#include "plan.h"
#include "route-text.h"

static struct nsh_packet_rule from(const char *prefix, enum nsh_packet_action action)
{
    struct nsh_packet_rule r = {.action = action};

    assert_int_equal(nsh_prefix_parse(prefix, &r.from), NSH_PREFIX_OK);
    return r;
}

/* Letters: each a rule of its own. */
static size_t read_rules(const char *letters, struct nsh_packet_rule *ret)
{
    size_t n = 0;

    for (; letters[n]; n++) {
        ret[n] = from("10.0.0.0/16", NSH_PACKET_MASQUERADE);
        ret[n].from.addr.bytes[1] = (uint8_t)letters[n];
    }
    return n;
}

static struct nsh_packet_rule rules[2][8];
static struct nsh_chain chains[] = {
        {.family = AF_INET,
                .table = NSH_TABLE_NAT,
                .name = "NETSHARED-a",
                .hook = "POSTROUTING",
                .position = NSH_POSITION_LAST,
                .rules = rules[0]},
        {.family = AF_INET,
                .table = NSH_TABLE_NAT,
                .name = "NETSHARED-b",
                .hook = "PREROUTING",
                .position = NSH_POSITION_LAST,
                .rules = rules[1]},
};
static const struct nsh_desired desired = {.chains = chains, .n_chains = 2};

static struct nsh_firewall_plan *begin(void)
{
    struct nsh_firewall_plan *p = NULL;

    assert_int_equal(nsh_firewall_plan_new(&desired, AF_INET, NSH_TABLE_NAT, &p), 0);
    nsh_firewall_plan_begin(p);
    return p;
}

static void observe_chain(struct nsh_firewall_plan *p, const char *name, const char *letters)
{
    struct nsh_packet_rule seen[8];
    struct nsh_chain_seen c = {
            .family = AF_INET, .table = NSH_TABLE_NAT, .name = name, .rules = seen};

    c.n_rules = read_rules(letters, seen);
    assert_int_equal(nsh_firewall_plan_observe(p, &c), 0);
}

/* A foreign rule that takes from that prefix, and behind it the jump, if there is one. */
static void observe_hook(
        struct nsh_firewall_plan *p, const char *hook, const char *takes, const char *jump)
{
    struct nsh_ahead_seen ahead = {.index = 0, .needs = from(takes, NSH_PACKET_MASQUERADE)};
    struct nsh_jump_seen j = {.index = 1, .plain = true};
    const struct nsh_chain_seen c = {.family = AF_INET,
            .table = NSH_TABLE_NAT,
            .name = hook,
            .builtin = true,
            .jumps = &j,
            .n_jumps = jump != NULL,
            .n_total = 1 + (jump != NULL),
            .ahead = &ahead,
            .n_ahead = 1};

    snprintf(ahead.text, sizeof ahead.text, "%s", takes);
    snprintf(j.target, sizeof j.target, "%s", jump ? jump : "");
    assert_int_equal(nsh_firewall_plan_observe(p, &c), 0);
}

static void test_words(void **state)
{
    static const struct {
        const char *want, *seen, *reason;
    } cases[] = {
            {"ab", "ab", ""},
            {"ab", "", "flushed"},
            {"ab", "ba", "out of order"},
            {"abc", "cab", "out of order"},
            {"abcd", "acbd", "out of order"},
            {"abc", "bad", "3 of 3 rules changed"},
            {"ab", "bc", "2 of 2 rules changed"},
            {"ab", "ca", "2 of 2 rules changed"},
            {"abc", "acc", "1 of 3 rules changed"},
            {"ab", "ac", "1 of 2 rules changed"},
            {"ab", "aab", "1 of 3 rules changed"},
            {"abc", "ac", "1 of 3 rules changed"},
            {"ab", NULL, "missing"},
    };

    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(cases); i++) {
        struct nsh_firewall_plan *p;

        chains[0].n_rules = read_rules(cases[i].want, rules[0]);
        p = begin();
        if (cases[i].seen)
            observe_chain(p, "NETSHARED-a", cases[i].seen);
        observe_hook(p, "POSTROUTING", "10.250.0.0/16", "NETSHARED-a");
        assert_int_equal(nsh_firewall_plan_finish(p, NSH_PHASE_UP), 0);
        if (strcmp(nsh_firewall_plan_reason(p, 0), cases[i].reason) != 0)
            fail_msg("%s, and seen is %s: %s", cases[i].want, cases[i].seen,
                    nsh_firewall_plan_reason(p, 0));
        assert_true(nsh_firewall_plan_touches(p, 0) == (cases[i].reason[0] != '\0'));
        nsh_firewall_plan_free(p);
    }
}

static void test_ahead_in_several_hooks(void **state)
{
    struct nsh_firewall_plan *p;

    (void)state;
    chains[0].n_rules = chains[1].n_rules = 1;
    rules[0][0] = from("10.1.0.0/16", NSH_PACKET_MASQUERADE);
    rules[1][0] = from("10.2.0.0/16", NSH_PACKET_DNAT);
    p = begin();
    observe_hook(p, "PREROUTING", "10.2.0.0/24", "NETSHARED-b");
    observe_hook(p, "POSTROUTING", "10.1.0.0/24", NULL);
    observe_hook(p, "INPUT", "10.1.1.0/24", NULL);
    assert_string_equal(nsh_firewall_plan_ahead(p, 0)->text, "10.1.0.0/24");
    assert_string_equal(nsh_firewall_plan_ahead(p, 1)->text, "10.2.0.0/24");
    /* Of another's prefix, and behind the jump. */
    nsh_firewall_plan_begin(p);
    observe_hook(p, "POSTROUTING", "10.2.0.0/24", "NETSHARED-a");
    assert_null(nsh_firewall_plan_ahead(p, 0));
    assert_null(nsh_firewall_plan_ahead(p, 1));
    nsh_firewall_plan_free(p);
}

/* What was seen before is forgotten. */
static void test_used_again(void **state)
{
    struct nsh_firewall_plan *p;
    const struct nsh_firewall_op *ops;
    size_t n;

    (void)state;
    chains[0].n_rules = read_rules("ab", rules[0]);
    chains[1].n_rules = read_rules("c", rules[1]);
    p = begin();
    observe_chain(p, "NETSHARED-a", "ab");
    observe_chain(p, "NETSHARED-b", "c");
    observe_chain(p, "NETSHARED-x", "d");
    observe_hook(p, "POSTROUTING", "10.250.0.0/16", "NETSHARED-a");
    observe_hook(p, "PREROUTING", "10.250.0.0/16", "NETSHARED-b");
    assert_int_equal(nsh_firewall_plan_finish(p, NSH_PHASE_UP), 0);
    nsh_firewall_plan_steps(p, &n);
    assert_int_equal(n, 0);
    assert_int_equal(nsh_firewall_plan_finish(p, NSH_PHASE_DOWN), 0);
    ops = nsh_firewall_plan_steps(p, &n);
    assert_int_equal(n, 1);
    assert_string_equal(ops[0].chain, "NETSHARED-x");

    nsh_firewall_plan_begin(p);
    assert_int_equal(nsh_firewall_plan_finish(p, NSH_PHASE_DOWN), 0);
    nsh_firewall_plan_steps(p, &n);
    assert_int_equal(n, 0);
    assert_int_equal(nsh_firewall_plan_finish(p, NSH_PHASE_UP), 0);
    ops = nsh_firewall_plan_steps(p, &n);
    assert_int_equal(n, 4);
    assert_int_equal(ops[0].verb, NSH_CHAIN_ADD);
    assert_int_equal(ops[1].verb, NSH_CHAIN_ADD);
    assert_int_equal(ops[2].verb, NSH_JUMP_ADD);
    assert_int_equal(ops[3].verb, NSH_JUMP_ADD);
    nsh_firewall_plan_free(p);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_words),
            cmocka_unit_test(test_ahead_in_several_hooks),
            cmocka_unit_test(test_used_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
