/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The nftables adapter against the kernel and against nft itself: what is written of chains and
 * jumps, and what others put there.
 */
#include "nft-chains.h"

/* ---- what stands there ---- */

static void test_what_is_written(void **state)
{
    struct nsh_packet_rule rules[] = {
            to_device(NSH_PACKET_RETURN, "tun0"), to_device(NSH_PACKET_MASQUERADE, "wan0")};

    (void)state;
    install(rules, 2);
    assert_string_equal(listing("--stateless list ruleset"),
            "table ip netshared {\n"
            "\tchain nat-home {\n"
            "\t\toifname \"tun0\" counter return\n"
            "\t\toifname \"wan0\" counter masquerade\n"
            "\t}\n"
            "\n"
            "\tchain nat_postrouting {\n"
            "\t\ttype nat hook postrouting priority srcnat + 1; policy accept;\n"
            "\t\tcounter jump nat-home comment \"masquerade home\"\n"
            "\t}\n"
            "}\n");
}

static void test_every_hook(void **state)
{
    static const struct {
        enum nsh_table table;
        const char *hook, *line, *first;
    } hooks[] = {
            {NSH_TABLE_NAT, "PREROUTING", "type nat hook prerouting priority dstnat + 1;",
                    "priority dstnat - 1;"},
            {NSH_TABLE_NAT, "INPUT", "type nat hook input priority 101;", "priority 99;"},
            {NSH_TABLE_NAT, "OUTPUT", "type nat hook output priority -99;", "priority -101;"},
            {NSH_TABLE_NAT, "POSTROUTING", "type nat hook postrouting priority srcnat + 1;",
                    "priority srcnat - 1;"},
            {NSH_TABLE_RAW, "PREROUTING", "type filter hook prerouting priority raw;",
                    "priority raw - 1;"},
            {NSH_TABLE_RAW, "OUTPUT", "type filter hook output priority raw;", "priority raw - 1;"},
            {NSH_TABLE_FILTER, "INPUT", "type filter hook input priority filter;",
                    "priority filter - 1;"},
            {NSH_TABLE_FILTER, "FORWARD", "type filter hook forward priority filter;",
                    "priority filter - 1;"},
            {NSH_TABLE_FILTER, "OUTPUT", "type filter hook output priority filter;",
                    "priority filter - 1;"},
            {NSH_TABLE_MANGLE, "PREROUTING", "type filter hook prerouting priority mangle;",
                    "priority mangle - 1;"},
            {NSH_TABLE_MANGLE, "INPUT", "type filter hook input priority mangle;",
                    "priority mangle - 1;"},
            {NSH_TABLE_MANGLE, "FORWARD", "type filter hook forward priority mangle;",
                    "priority mangle - 1;"},
            {NSH_TABLE_MANGLE, "OUTPUT", "type route hook output priority mangle;",
                    "priority mangle - 1;"},
            {NSH_TABLE_MANGLE, "POSTROUTING", "type filter hook postrouting priority mangle;",
                    "priority mangle - 1;"},
    };
    static const int families[] = {AF_INET, AF_INET6};

    (void)state;
    for (size_t f = 0; f < 2; f++)
        for (size_t i = 0; i < NSH_ARRAY_SIZE(hooks); i++) {
            struct nsh_packet_rule rule = {.action = NSH_PACKET_RETURN};
            struct nsh_firewall_op op = op_of(NSH_JUMP_ADD, families[f], hooks[i].table, CHAIN);
            const struct seen_chain *c;
            char command[64];

            install_in(families[f], hooks[i].table, hooks[i].hook, CHAIN, &rule, 1);
            snprintf(op.hook, sizeof op.hook, "%s", hooks[i].hook);
            op.position = NSH_POSITION_FIRST;
            op.index = 0;
            open_write();
            commit_in(families[f], hooks[i].table, &op, 1, NSH_FIREWALL_OK);
            fw->ops->close(fw);
            snprintf(command, sizeof command, "list table %s netshared", f ? "ip6" : "ip");
            assert_lists(command, hooks[i].line);
            assert_lists(command, hooks[i].first);
            c = look(families[f], hooks[i].table, hooks[i].hook);
            assert_non_null(c);
            assert_true(c->builtin);
            assert_int_equal(c->n_jumps, 2);
            assert_int_equal(c->n_total, 2);
            assert_int_equal(c->first_foreign, 1);
            nft("flush ruleset");
        }
}

/* Chains, base chains and the table come with the first that needs them and go with the last. */
static void test_coming_and_going(void **state)
{
    struct nsh_firewall_op ops[] = {step(NSH_JUMP_DELETE, CHAIN), step(NSH_CHAIN_DELETE, CHAIN)};

    (void)state;
    install(&masquerade_all, 1);
    install_in(AF_INET, NSH_TABLE_FILTER, "FORWARD", CHAIN, &masquerade_all, 0);
    ops[0].index = 0;
    open_write();
    observe(NAT);
    commit_in(NAT, ops, 2, NSH_FIREWALL_OK);
    assert_lists_not("list ruleset", "nat");
    assert_lists("list ruleset", "chain filter_forward");
    observe(AF_INET, NSH_TABLE_FILTER);
    ops[0].table = ops[1].table = NSH_TABLE_FILTER;
    strcpy(ops[0].hook, "FORWARD");
    commit_in(AF_INET, NSH_TABLE_FILTER, ops, 2, NSH_FIREWALL_OK);
    fw->ops->close(fw);
    assert_string_equal(listing("list ruleset"), "");
}

/* A table that holds a set stays. */
static void test_sets_keep_the_table(void **state)
{
    struct nsh_firewall_op ops[] = {step(NSH_JUMP_DELETE, CHAIN), step(NSH_CHAIN_DELETE, CHAIN)};

    (void)state;
    install(&masquerade_all, 1);
    nft("add set ip netshared netshared-a { type ipv4_addr; flags interval; }");
    ops[0].index = 0;
    open_write();
    observe(NAT);
    commit_in(NAT, ops, 2, NSH_FIREWALL_OK);
    fw->ops->close(fw);
    assert_lists("list ruleset", "set netshared-a");
}

/* ---- jumps ---- */

static void assert_jumps(const char *const *chains, size_t n)
{
    const struct seen_chain *c = look(NAT, "POSTROUTING");

    assert_non_null(c);
    assert_int_equal(c->n_jumps, n);
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(c->jumps[i].target, chains[i]);
        assert_int_equal(c->jumps[i].index, i);
        assert_true(c->jumps[i].plain);
    }
}

static void test_places_of_jumps(void **state)
{
    static const char *const order[] = {"NETSHARED-e", "NETSHARED-d", "NETSHARED-a", "NETSHARED-c",
            "NETSHARED-f", "NETSHARED-b"};
    struct nsh_chain none = {0};
    struct nsh_firewall_op ops[12];
    static const struct {
        const char *chain;
        uint32_t index;
        enum nsh_position position;
    } jumps[] = {
            {"NETSHARED-a", UINT32_MAX, NSH_POSITION_LAST},
            {"NETSHARED-b", UINT32_MAX, NSH_POSITION_LAST}, {"NETSHARED-c", 1, NSH_POSITION_LAST},
            {"NETSHARED-d", 0, NSH_POSITION_FIRST}, {"NETSHARED-e", 0, NSH_POSITION_FIRST},
            {"NETSHARED-f", 4, NSH_POSITION_LAST}, /* between two of this same transaction */
    };

    (void)state;
    for (size_t i = 0; i < 6; i++) {
        ops[i] = step(NSH_CHAIN_ADD, jumps[i].chain);
        ops[i].want = &none;
        ops[6 + i] = step(NSH_JUMP_ADD, jumps[i].chain);
        ops[6 + i].index = jumps[i].index;
        ops[6 + i].position = jumps[i].position;
    }
    open_write();
    commit_in(NAT, ops, 12, NSH_FIREWALL_OK);
    fw->ops->close(fw);
    assert_jumps(order, 6);
    /* The same when each finds what stands there already. */
    nft("flush ruleset");
    for (size_t i = 0; i < 6; i++) {
        open_write();
        commit_in(NAT, &ops[i], 1, NSH_FIREWALL_OK);
        commit_in(NAT, &ops[6 + i], 1, NSH_FIREWALL_OK);
        fw->ops->close(fw);
    }
    assert_jumps(order, 6);
    assert_int_equal(seen_chain("POSTROUTING")->first_foreign, 2);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(seen_chain("POSTROUTING")->jumps[i].first, i < 2);
}

static void test_jumps_are_seen(void **state)
{
    const struct seen_chain *c;

    (void)state;
    install(&masquerade_all, 1);
    nft("add rule ip netshared nat_postrouting ip saddr 10.0.0.0/8 jump nat-home");
    nft("add rule ip netshared nat_postrouting goto nat-home");
    nft("add rule ip netshared nat_postrouting counter jump nat-home");
    nft("add rule ip netshared nat_postrouting counter jump nat-home comment \"share web\"");
    nft("add rule ip netshared nat_postrouting counter jump nat-home comment \"share home\"");
    c = look(NAT, "POSTROUTING");
    assert_int_equal(c->n_jumps, 6);
    for (size_t i = 0; i < c->n_jumps; i++)
        assert_int_equal(c->jumps[i].plain, i == 0 || i == 5);
    assert_int_equal(c->jumps[0].kind, NSH_POLICY_MASQUERADE);
    assert_int_equal(c->jumps[5].kind, NSH_POLICY_SHARE);
    assert_false(seen_chain(CHAIN)->builtin);
    assert_null(seen_chain("PREROUTING"));
}

static void test_deleting_the_wrong_rule(void **state)
{
    struct nsh_firewall_op del = step(NSH_JUMP_DELETE, CHAIN);

    (void)state;
    install(&masquerade_all, 1);
    install_in(NAT, "POSTROUTING", "NETSHARED-web", &masquerade_all, 1);
    open_write();
    observe(NAT);
    del.index = 1;
    commit_in(NAT, &del, 1, NSH_FIREWALL_RACED);
    observe(NAT);
    del.index = 2;
    commit_in(NAT, &del, 1, NSH_FIREWALL_RACED);
    observe(NAT);
    del.index = 0;
    commit_in(NAT, &del, 1, NSH_FIREWALL_OK);
    fw->ops->close(fw);
    assert_lists("list ruleset", "jump nat-web comment \"masquerade web\"");
    assert_lists_not("list ruleset", "jump nat-home");
}

/* ---- chains ---- */

/* Rules by their device's number, in the order of the text. */
static size_t make_rules(const char *order, struct nsh_packet_rule *ret)
{
    size_t n = strlen(order);

    for (size_t i = 0; i < n; i++)
        ret[i] = to_device(NSH_PACKET_RETURN, (const char[]){order[i], '\0'});
    return n;
}

static void assert_order(const char *order)
{
    const struct seen_chain *c = look(NAT, CHAIN);

    assert_non_null(c);
    assert_int_equal(c->n_rules, strlen(order));
    for (size_t i = 0; i < c->n_rules; i++)
        assert_int_equal(c->rules[i].out[0], order[i]);
}

static void test_change(void **state)
{
    static const struct {
        const char *before, *after;
    } changes[] = {
            {"abc", "axc"},
            {"abc", "axyzc"},
            {"abc", "ac"},
            {"abc", "abcd"},
            {"abc", "xabc"},
            {"abc", "xyzabc"},
            {"abc", "c"},
            {"abc", "a"},
            {"abc", "xyz"},
            {"abc", ""},
            {"", "abc"},
            {"abcdef", "axf"},
            {"a", "xay"},
    };

    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(changes); i++) {
        struct nsh_packet_rule before[8], after[8];
        size_t n = make_rules(changes[i].before, before), m = make_rules(changes[i].after, after);
        struct nsh_chain want = {.rules = after, .n_rules = m};
        struct nsh_firewall_op op = step(NSH_CHAIN_CHANGE, CHAIN);

        install(before, n);
        while (op.keep_head < n && op.keep_head < m &&
                changes[i].before[op.keep_head] == changes[i].after[op.keep_head])
            op.keep_head++;
        while (op.keep_tail < n - op.keep_head && op.keep_tail < m - op.keep_head &&
                changes[i].before[n - 1 - op.keep_tail] == changes[i].after[m - 1 - op.keep_tail])
            op.keep_tail++;
        op.n_observed = (uint32_t)n;
        op.want = &want;
        open_write();
        observe(NAT);
        commit_in(NAT, &op, 1, NSH_FIREWALL_OK);
        fw->ops->close(fw);
        assert_order(changes[i].after);
        nft("flush ruleset");
    }
}

/* What is kept is the same rule, with its counter. */
static void test_counters_survive(void **state)
{
    struct nsh_packet_rule rules[3];
    size_t n = make_rules("axc", rules);
    struct nsh_chain want = {.rules = rules, .n_rules = n};
    struct nsh_firewall_op op = step(NSH_CHAIN_CHANGE, CHAIN);

    (void)state;
    install(rules, 3);
    nft("replace rule ip netshared nat-home handle 2 oifname a counter packets 7 bytes 700 return");
    nft("replace rule ip netshared nat-home handle 4 oifname c counter packets 9 bytes 900 return");
    assert_order("axc");
    make_rules("ayc", rules);
    op.want = &want;
    op.n_observed = 3;
    op.keep_head = op.keep_tail = 1;
    open_write();
    observe(NAT);
    commit_in(NAT, &op, 1, NSH_FIREWALL_OK);
    fw->ops->close(fw);
    assert_order("ayc");
    assert_lists("list ruleset", "oifname \"a\" counter packets 7 bytes 700 return");
    assert_lists("list ruleset", "oifname \"c\" counter packets 9 bytes 900 return");
}

/* A chain that somebody's rule leads to is emptied, and stays. */
static void test_chain_in_use(void **state)
{
    struct nsh_firewall_op ops[] = {step(NSH_JUMP_DELETE, CHAIN), step(NSH_CHAIN_DELETE, CHAIN)};

    (void)state;
    install(&masquerade_all, 1);
    nft("add chain ip netshared foreign");
    nft("add rule ip netshared foreign jump nat-home");
    ops[0].index = 0;
    open_write();
    observe(NAT);
    commit_in(NAT, ops, 2, NSH_FIREWALL_OK);
    fw->ops->close(fw);
    assert_lists("list ruleset", "chain nat-home {\n\t}");
    assert_lists_not("list ruleset", "postrouting");
}

/* One with a name that we give to none is called by its handle, and goes with what is in it. */
static void test_strays(void **state)
{
    nsh_autofree char *whole = NULL;
    const struct seen_chain *stray = NULL;
    struct nsh_firewall_op del;

    (void)state;
    install(&masquerade_all, 1);
    whole = strdup(listing("--stateless list ruleset"));
    nft("add chain ip netshared rest { type nat hook postrouting priority 90; policy drop; }");
    nft("add rule ip netshared rest jump nat-home");
    open_write();
    observe(AF_INET, NSH_TABLE_MANGLE);
    for (unsigned handle = 1; !stray && handle < 32; handle++) {
        char name[32];

        snprintf(name, sizeof name, "NETSHARED-#%x", handle);
        stray = seen_chain(name);
    }
    assert_non_null(stray);
    assert_int_equal(stray->n_rules, 1);
    del = op_of(NSH_CHAIN_DELETE, AF_INET, NSH_TABLE_MANGLE, stray->name);
    commit_in(AF_INET, NSH_TABLE_MANGLE, &del, 1, NSH_FIREWALL_OK);
    fw->ops->close(fw);
    assert_string_equal(listing("--stateless list ruleset"), whole);
}

/* Sets, maps and objects of others too, but not while a rule of ours refers to them. */
static void test_stray_things(void **state)
{
    struct nsh_firewall_op del[8];
    char names[8][NSH_CHAIN_NAME];
    size_t n = 0;

    (void)state;
    install(&masquerade_all, 1);
    nft("add set ip netshared banned { type ipv4_addr; }");
    nft("add map ip netshared where { type ipv4_addr : verdict; }");
    nft("add counter ip netshared seen");
    nft("add chain ip netshared rest");
    nft("add rule ip netshared rest ip saddr @banned counter name seen drop");
    nft("add set ip netshared taken { type ipv4_addr; }");
    nft("add rule ip netshared nat-home ip saddr @taken return");
    nft("add counter ip netshared held");
    nft("add map ip netshared which { type ipv4_addr : counter; "
        "elements = { 198.51.100.1 : \"held\" }; }");
    nft("add rule ip netshared nat-home counter name ip saddr map @which");
    open_write();
    observe(AF_INET, NSH_TABLE_MANGLE);
    for (unsigned handle = 1; n < 7 && handle < 64; handle++) {
        snprintf(names[n], sizeof names[n], "NETSHARED-#%x", handle);
        if (seen_chain(names[n])) {
            del[n] = op_of(NSH_CHAIN_DELETE, AF_INET, NSH_TABLE_MANGLE, names[n]);
            n++;
        }
    }
    assert_int_equal(n, 7);
    commit_in(AF_INET, NSH_TABLE_MANGLE, del, n, NSH_FIREWALL_OK);
    fw->ops->close(fw);
    assert_lists("list sets ip", "set taken {");
    assert_lists_not("list ruleset", "banned");
    nft("flush chain ip netshared nat-home");
    open_write();
    observe(AF_INET, NSH_TABLE_MANGLE);
    for (size_t i = 0; i < n; i++)
        if (seen_chain(del[i].chain))
            commit_in(AF_INET, NSH_TABLE_MANGLE, &del[i], 1, NSH_FIREWALL_OK);
    fw->ops->close(fw);
    assert_lists_not("list ruleset", "taken");
    assert_lists_not("list ruleset", "which");
}

/* Chains that lead to each other go together. */
static void test_chains_go_together(void **state)
{
    struct nsh_packet_rule jump = {.action = NSH_PACKET_JUMP, .target = CHAIN};
    struct nsh_firewall_op ops[] = {
            step(NSH_CHAIN_DELETE, CHAIN), step(NSH_CHAIN_DELETE, "NETSHARED-x")};

    (void)state;
    install_in(NAT, NULL, CHAIN, &masquerade_all, 1);
    install_in(NAT, NULL, "NETSHARED-x", &jump, 1);
    open_write();
    observe(NAT);
    commit_in(NAT, ops, 2, NSH_FIREWALL_OK);
    fw->ops->close(fw);
    assert_string_equal(listing("list ruleset"), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            TEST(test_what_is_written),
            TEST(test_every_hook),
            TEST(test_coming_and_going),
            TEST(test_sets_keep_the_table),
            TEST(test_places_of_jumps),
            TEST(test_jumps_are_seen),
            TEST(test_deleting_the_wrong_rule),
            TEST(test_change),
            TEST(test_counters_survive),
            TEST(test_chain_in_use),
            TEST(test_strays),
            TEST(test_stray_things),
            TEST(test_chains_go_together),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
