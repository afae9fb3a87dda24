/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The nftables adapter against the kernel and against nft itself: chains, jumps, transactions,
 * what others do to them and how it is noticed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nft-world.h"

#define CHAIN "NETSHARED-home"
#define NAT AF_INET, NSH_TABLE_NAT

static const struct nsh_packet_rule masquerade_all = {.action = NSH_PACKET_MASQUERADE};

static struct nsh_packet_rule to_device(enum nsh_packet_action action, const char *out)
{
    struct nsh_packet_rule r = {.action = action};

    snprintf(r.out, sizeof r.out, "%s", out);
    return r;
}

static struct nsh_firewall_op step(enum nsh_firewall_verb verb, const char *chain)
{
    return op_of(verb, AF_INET, NSH_TABLE_NAT, chain);
}

static bool changed(int family, enum nsh_table table)
{
    int r = fw->ops->changed(fw, family, table);

    assert_true(r >= 0);
    return r;
}

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

/* ---- transactions ---- */

static void test_all_or_nothing(void **state)
{
    struct nsh_packet_rule rules[] = {masquerade_all, to_device(NSH_PACKET_RETURN, "x")};
    struct nsh_chain want = {.rules = rules, .n_rules = 2};
    struct nsh_firewall_op ops[] = {step(NSH_CHAIN_ADD, CHAIN), step(NSH_JUMP_ADD, CHAIN)};
    char why[256];

    (void)state;
    strcpy(rules[1].from_set, "netshared-none");
    ops[0].want = &want;
    open_write();
    observe(NAT);
    assert_int_equal(fw->ops->commit(fw, NAT, ops, 2, why, sizeof why), -ENOENT);
    fw->ops->close(fw);
    assert_string_equal(
            why, "table ip netshared, chain nat-home: a set that a rule refers to is missing");
    assert_string_equal(listing("list ruleset"), "");
    assert_true(changed(NAT));
}

/* Masquerading is for chains that packets leave by. */
static void test_refused_by_the_kernel(void **state)
{
    struct nsh_chain want = {.rules = &masquerade_all, .n_rules = 1};
    struct nsh_firewall_op ops[] = {step(NSH_CHAIN_ADD, CHAIN), step(NSH_JUMP_ADD, CHAIN)};
    char why[256];

    (void)state;
    ops[0].want = &want;
    strcpy(ops[1].hook, "PREROUTING");
    open_write();
    observe(NAT);
    assert_true(fw->ops->commit(fw, NAT, ops, 2, why, sizeof why) < 0);
    fw->ops->close(fw);
    assert_non_null(strstr(why, "table ip netshared"));
    assert_string_equal(listing("list ruleset"), "");
}

static void test_raced(void **state)
{
    struct nsh_firewall_op op = step(NSH_CHAIN_DELETE, CHAIN);

    (void)state;
    install(&masquerade_all, 1);
    open_write();
    observe(NAT);
    nft("add rule ip netshared nat-home counter accept");
    commit_in(NAT, &op, 1, NSH_FIREWALL_RACED);
    assert_lists("list ruleset", " masquerade\n");
    fw->ops->close(fw);
    assert_true(changed(NAT));
}

/* Who writes to tables of his own is no reason to look again. */
static void test_foreign_writers_do_not_race(void **state)
{
    struct nsh_firewall_op op = step(NSH_CHAIN_DELETE, CHAIN);

    (void)state;
    install(&masquerade_all, 1);
    open_write();
    observe(NAT);
    nft("add table inet foreign");
    nft("add chain inet foreign netshared");
    nft("add table inet netshared"); /* not of our families */
    nft("add table ip foreign");
    nft("add chain ip foreign nat-home");
    commit_in(NAT, &op, 1, NSH_FIREWALL_OK);
    fw->ops->close(fw);
    assert_lists_not("list ruleset", " masquerade\n");
    assert_false(changed(NAT));
}

static void test_two_sessions(void **state)
{
    struct nsh_firewall *other;
    struct nsh_firewall_op op = step(NSH_CHAIN_DELETE, CHAIN);

    (void)state;
    install(&masquerade_all, 1);
    assert_int_equal(nsh_firewall_nft_new(&other), 0);
    assert_int_equal(other->ops->open(other, NSH_FIREWALL_WRITE), NSH_FIREWALL_OK);
    assert_int_equal(other->ops->commit(other, NAT, &op, 1, NULL, 0), NSH_FIREWALL_OK);
    open_write();
    assert_int_equal(fw->ops->open(fw, NSH_FIREWALL_WRITE), -EALREADY);
    observe(NAT);
    assert_int_equal(other->ops->commit(other, NAT, &op, 1, NULL, 0), NSH_FIREWALL_OK);
    fw->ops->close(fw);
    nsh_firewall_free(other);
}

/* Foreign tables are as they were, byte for byte, whatever is done to ours. */
static void test_foreign_tables(void **state)
{
    struct nsh_firewall_op ops[] = {step(NSH_JUMP_DELETE, CHAIN), step(NSH_CHAIN_DELETE, CHAIN)};
    nsh_autofree char *before = NULL;
    static const char *const commands[] = {
            "add table ip nat",
            "add chain ip nat POSTROUTING { type nat hook postrouting priority 100; }",
            "add rule ip nat POSTROUTING oifname x counter packets 3 bytes 300 masquerade",
            "add set ip nat s { type ipv4_addr; flags interval; elements = { 10.0.0.0/8 }; }",
            "add table inet netshared",
            "add chain inet netshared nat-home",
            "add rule inet netshared nat-home counter packets 1 bytes 1",
    };

    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(commands); i++)
        nft("%s", commands[i]);
    before = strdup(listing("-a list ruleset"));
    install(&masquerade_all, 1);
    nft("add rule ip netshared nat_postrouting accept");
    install_in(NAT, "POSTROUTING", "NETSHARED-web", &masquerade_all, 1);
    ops[0].index = UINT32_MAX;
    open_write();
    observe(NAT);
    ops[0].index = 0;
    strcpy(ops[0].chain, "NETSHARED-web");
    commit_in(NAT, ops, 1, NSH_FIREWALL_OK);
    strcpy(ops[1].chain, "NETSHARED-web");
    commit_in(NAT, &ops[1], 1, NSH_FIREWALL_OK);
    strcpy(ops[1].chain, CHAIN);
    commit_in(NAT, &ops[1], 1, NSH_FIREWALL_OK);
    fw->ops->close(fw);
    assert_string_equal(listing("-a list ruleset"), before);
}

/* ---- base chains that were altered ---- */

/* The base chain, made anew as another kind of chain. */
#define AGAIN(kind)                               \
    "flush chain ip netshared nat_postrouting; "  \
    "delete chain ip netshared nat_postrouting; " \
    "add chain ip netshared nat_postrouting " kind "; "
#define JUMP "add rule ip netshared nat_postrouting jump "

static const char *const damages[] = {
        "add table ip netshared { flags dormant; }",
        "insert rule ip netshared nat_postrouting accept",
        "add rule ip netshared nat_postrouting counter",
        "insert rule ip netshared nat_postrouting jump foreign",
        "chain ip netshared nat_postrouting { policy drop; }",
        AGAIN("{ type nat hook postrouting priority 7; }") JUMP "nat-home",
        AGAIN("{ type filter hook postrouting priority 100; }") JUMP "foreign",
        AGAIN("{ type nat hook input priority 100; }"),
        AGAIN("") JUMP "nat-home",
};

static void test_altered_base_chains(void **state)
{
    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(damages); i++) {
        struct nsh_firewall_op add = step(NSH_JUMP_ADD, CHAIN);
        nsh_autofree char *whole = NULL;
        const struct seen_chain *c;

        install(&masquerade_all, 1);
        nft("add chain ip netshared foreign");
        whole = strdup(listing("--stateless list ruleset"));
        look(NAT, CHAIN);
        assert_false(changed(NAT));
        nft("%s", damages[i]);
        assert_true(hinted());
        if (!changed(NAT))
            fail_msg("no change: %s", damages[i]);
        open_write();
        observe(NAT);
        c = seen_chain("POSTROUTING");
        if (!c || c->n_jumps != 0)
            fail_msg("not noticed: %s", damages[i]);
        assert_int_equal(seen_chain(CHAIN)->n_rules, 1);
        commit_in(NAT, &add, 1, NSH_FIREWALL_OK);
        fw->ops->close(fw);
        c = look(NAT, "POSTROUTING");
        assert_int_equal(c->n_jumps, 1);
        assert_int_equal(c->n_total, 1);
        assert_true(strlen(listing("--stateless list ruleset")) == strlen(whole));
        nft("flush ruleset");
    }
}

/* ---- changes, and who made them ---- */

static void test_changes_are_noticed(void **state)
{
    static const struct {
        const char *command;
        bool nat, filter, six;
    } cases[] = {
            {"flush ruleset", true, true, true},
            {"flush ruleset ip", true, true, false},
            {"delete table ip netshared", true, true, false},
            {"flush table ip netshared", true, true, false},
            {"flush chain ip netshared nat-home", true, false, false},
            {"flush chain ip netshared nat_postrouting", true, false, false},
            {"delete rule ip netshared nat-home handle 2", true, false, false},
            {"replace rule ip netshared nat-home handle 2 counter accept", true, false, false},
            {"insert rule ip netshared nat-home counter accept", true, false, false},
            {"add rule ip netshared filter-home counter accept", false, true, false},
            {"rename chain ip netshared nat-home other", true, true, false},
            {"add rule ip6 netshared nat-home counter accept", false, false, true},
            {"add table ip other", false, false, false},
            {"add chain ip foreign nat-home; add rule ip foreign nat-home accept", false, false,
                    false},
            {"add table inet netshared", false, false, false},
            {"add element ip foreign s { 10.0.0.1 }", false, false, false},
            {"add set ip netshared netshared-x { type ipv4_addr; }", false, false, false},
    };

    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(cases); i++) {
        struct nsh_firewall_culprit culprit;

        nft("add table ip foreign");
        nft("add set ip foreign s { type ipv4_addr; }");
        install(&masquerade_all, 1);
        install_in(AF_INET, NSH_TABLE_FILTER, "FORWARD", CHAIN, &masquerade_all, 0);
        install_in(AF_INET6, NSH_TABLE_NAT, "POSTROUTING", CHAIN, &masquerade_all, 1);
        if (changed(NAT) || changed(AF_INET, NSH_TABLE_FILTER) || changed(AF_INET6, NSH_TABLE_NAT))
            fail_msg("changed before %s", cases[i].command);
        nft("%s", cases[i].command);
        assert_true(hinted());
        fw->ops->hint_take(fw);
        if (changed(NAT) != cases[i].nat || changed(AF_INET, NSH_TABLE_FILTER) != cases[i].filter ||
                changed(AF_INET6, NSH_TABLE_NAT) != cases[i].six)
            fail_msg("%s: %d %d %d", cases[i].command, changed(NAT),
                    changed(AF_INET, NSH_TABLE_FILTER), changed(AF_INET6, NSH_TABLE_NAT));
        if (cases[i].nat) {
            assert_true(fw->ops->culprit(fw, &culprit));
            assert_string_equal(culprit.name, "nft");
        }
        nft("flush ruleset");
        look(NAT, CHAIN);
        look(AF_INET, NSH_TABLE_FILTER, CHAIN);
        look(AF_INET6, NSH_TABLE_NAT, CHAIN);
    }
}

/* Whose inode has a fixed number; the kernel tells ids there. */
static bool in_initial_pid_namespace(void)
{
    char link[32] = "";

    assert_true(readlink("/proc/self/ns/pid", link, sizeof link - 1) > 0);
    return strcmp(link, "pid:[4026531836]") == 0;
}

/* Its process id, and a name that can stand in the journal. */
static void test_culprit(void **state)
{
    struct nsh_firewall_culprit culprit;
    char path[] = "/tmp/nsh-nft-XXXXXX", link[64];
    int status;
    pid_t pid;

    (void)state;
    install(&masquerade_all, 1);
    assert_false(fw->ops->culprit(fw, &culprit));
    assert_non_null(mkdtemp(path));
    snprintf(link, sizeof link, "%s/a\tb\nc\xc3\xa4", path);
    assert_int_equal(symlink("/usr/sbin/nft", link), 0);
    pid = fork();
    if (pid == 0) {
        execl(link, "nft", "add rule ip netshared nat-home accept", (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    unlink(link);
    rmdir(path);
    nft("add table ip foreign");
    assert_true(hinted());
    fw->ops->hint_take(fw);
    assert_true(fw->ops->culprit(fw, &culprit));
    assert_true(in_initial_pid_namespace() ? culprit.pid == (uint32_t)pid : culprit.pid != 0);
    assert_string_equal(culprit.name, "a?b?c??");
}

/* What is ours wakes nobody. */
static void test_own_writes(void **state)
{
    (void)state;
    install(&masquerade_all, 1);
    fw->ops->hint_fd(fw);
    install_in(NAT, "POSTROUTING", "NETSHARED-web", &masquerade_all, 1);
    assert_false(changed(NAT));
    assert_false(hinted());
}

/* More than the queue holds: nothing is known, and so all has changed. */
static void test_lost_events(void **state)
{
    FILE *f;

    (void)state;
    nft("add table ip foreign");
    nft("add set ip foreign s { type ipv4_addr; }");
    install(&masquerade_all, 1);
    f = popen("nft -f -", "w");
    assert_non_null(f);
    fprintf(f, "add element ip foreign s { 10.0.0.0");
    for (unsigned i = 1; i < 250000; i++)
        fprintf(f, ", 10.%u.%u.%u", i >> 16, (i >> 8) & 255, i & 255);
    fprintf(f, " }\n");
    assert_int_equal(pclose(f), 0);
    assert_true(hinted());
    assert_true(changed(NAT));
    assert_non_null(look(NAT, CHAIN));
    assert_false(changed(NAT));
}

/* ---- reading, probing ---- */

static int never(void *userdata, const struct nsh_chain_seen *c)
{
    (void)userdata;
    fail_msg("saw %s", c->name);
    return 0;
}

static int end_walk(void *userdata, const struct nsh_chain_seen *c)
{
    (void)userdata;
    (void)c;
    return 42;
}

static void test_reading(void **state)
{
    struct nsh_firewall_op op = step(NSH_CHAIN_DELETE, CHAIN);

    (void)state;
    assert_int_equal(fw->ops->observe(fw, NAT, never, NULL), -EINVAL);
    assert_int_equal(fw->ops->open(fw, NSH_FIREWALL_READ), NSH_FIREWALL_OK);
    assert_int_equal(fw->ops->observe(fw, NAT, never, NULL), 0);
    assert_int_equal(fw->ops->commit(fw, NAT, &op, 1, NULL, 0), -EINVAL);
    fw->ops->close(fw);
    assert_string_equal(listing("list ruleset"), "");
    install(&masquerade_all, 1);
    nft("add rule ip netshared nat-home accept");
    assert_int_equal(fw->ops->open(fw, NSH_FIREWALL_READ), NSH_FIREWALL_OK);
    observe(NAT);
    assert_int_equal(seen_chain(CHAIN)->n_rules, 2);
    assert_int_equal(fw->ops->observe(fw, NAT, end_walk, NULL), 42);
    fw->ops->close(fw);
    /* A look is not a look under which changes are forgotten. */
    assert_true(changed(NAT));
}

static void test_probe(void **state)
{
    char why[256] = "x";

    (void)state;
    for (int t = 0; t < NSH_TABLE_COUNT; t++) {
        assert_int_equal(fw->ops->probe(fw, AF_INET, (enum nsh_table)t, why, sizeof why), 0);
        assert_int_equal(fw->ops->probe(fw, AF_INET6, (enum nsh_table)t, NULL, 0), 0);
    }
    assert_string_equal(why, "");
    assert_int_equal(fw->ops->probe(fw, AF_UNIX, NSH_TABLE_NAT, why, sizeof why), -EAFNOSUPPORT);
    /* It leaves nothing, and tells nobody. */
    assert_string_equal(listing("list ruleset"), "");
    assert_false(hinted());
}

/* Another user, with no capability. */
static void test_without_permission(void **state)
{
    int status;
    pid_t pid;

    (void)state;
    pid = fork();
    if (pid == 0) {
        struct nsh_firewall_op op = step(NSH_CHAIN_DELETE, CHAIN);
        char why[256] = "";

        if (setuid(65534) < 0)
            _exit(1);
        if (fw->ops->probe(fw, NAT, why, sizeof why) != -EPERM || !strstr(why, "CAP_NET_ADMIN"))
            _exit(2);
        (void)op;
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_fresh, world_done)

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
            TEST(test_all_or_nothing),
            TEST(test_refused_by_the_kernel),
            TEST(test_raced),
            TEST(test_foreign_writers_do_not_race),
            TEST(test_two_sessions),
            TEST(test_foreign_tables),
            TEST(test_altered_base_chains),
            TEST(test_changes_are_noticed),
            TEST(test_culprit),
            TEST(test_own_writes),
            TEST(test_lost_events),
            TEST(test_reading),
            TEST(test_probe),
            TEST(test_without_permission),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
