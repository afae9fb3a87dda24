/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All tables of both families: chains with jumps from their built-in chains, beside rules of
 * others, which stay byte for byte with their counters; and what somebody does to ours is noticed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "firewall.h"
#include "xtables-world.h"

#define CHAIN "NETSHARED-home"

static const struct place {
    enum nsh_table table;
    const char *hook;
} places[] = {
        {NSH_TABLE_NAT, "POSTROUTING"},
        {NSH_TABLE_NAT, "PREROUTING"},
        {NSH_TABLE_RAW, "PREROUTING"},
        {NSH_TABLE_FILTER, "FORWARD"},
        {NSH_TABLE_MANGLE, "FORWARD"},
};

static const int families[] = {AF_INET, AF_INET6};

static const struct nsh_packet_rule rules[] = {
        {.action = NSH_PACKET_RETURN, .in = "lan0", .states = NSH_STATE_INVALID},
        {.action = NSH_PACKET_ACCEPT, .protocol = IPPROTO_TCP, .destination_port = {443, 443}},
        {.action = NSH_PACKET_ACCEPT, .protocol = IPPROTO_UDP, .destination_port = {443, 443}},
        {.action = NSH_PACKET_RETURN, .mark = {0x10, 0xff}},
};

/* ---- iptables ---- */

__attribute__((format(printf, 3, 4))) static int table_words(
        int family, enum nsh_table table, const char *format, ...)
{
    char words[512];
    size_t at = (size_t)snprintf(words, sizeof words, "-t %s ", nsh_table_name(table));
    va_list ap;

    va_start(ap, format);
    vsnprintf(words + at, sizeof words - at, format, ap);
    va_end(ap);
    return try_ipt(family, words);
}

static void copy_listing(int family, enum nsh_table table, char *buf, size_t size)
{
    char words[64];

    snprintf(words, sizeof words, "-t %s -v -S", nsh_table_name(table));
    snprintf(buf, size, "%s", listing(family, words));
}

static void put_foreign(int family, enum nsh_table table, const char *hook)
{
    const char *net = family == AF_INET ? "10.9.0.0/16" : "fd09::/16";

    assert_int_equal(table_words(family, table, "-N FOREIGN"), 0);
    assert_int_equal(
            table_words(family, table, "-A FOREIGN -s %s -m comment --comment \"not ours\"", net),
            0);
    assert_int_equal(
            table_words(family, table, "-A %s -p tcp -m tcp ! --dport 80 -c 7 900", hook), 0);
    assert_int_equal(table_words(family, table, "-A %s -d %s -j FOREIGN -c 5 600", hook, net), 0);
}

/* ---- the adapter ---- */

static struct nsh_firewall_op op(enum nsh_firewall_verb verb, int family, const struct place *p,
        const struct nsh_chain *want)
{
    struct nsh_firewall_op o = {.verb = verb,
            .family = (uint8_t)family,
            .table = p->table,
            .chain = CHAIN,
            .index = UINT32_MAX,
            .want = want};

    if (verb == NSH_JUMP_ADD || verb == NSH_JUMP_DELETE)
        snprintf(o.hook, sizeof o.hook, "%s", p->hook);
    return o;
}

static void commit(int family, const struct place *p, const struct nsh_firewall_op *ops, size_t n)
{
    char why[256] = "";
    int r;

    assert_int_equal(fw->ops->open(fw, NSH_FIREWALL_WRITE), NSH_FIREWALL_OK);
    r = fw->ops->commit(fw, family, p->table, ops, n, why, sizeof why);
    fw->ops->close(fw);
    if (r != NSH_FIREWALL_OK)
        fail_msg("%s: %s", p->hook, why);
}

static void install(int family, const struct place *p, uint32_t index)
{
    struct nsh_chain want = {.rules = rules, .n_rules = NSH_ARRAY_SIZE(rules)};
    struct nsh_firewall_op ops[] = {
            op(NSH_CHAIN_ADD, family, p, &want), op(NSH_JUMP_ADD, family, p, NULL)};

    ops[1].index = index;
    commit(family, p, ops, 2);
}

static int nothing(void *userdata, const struct nsh_chain_seen *chain)
{
    (void)userdata;
    (void)chain;
    return 0;
}

static void look(int family, const struct place *p)
{
    assert_int_equal(fw->ops->open(fw, NSH_FIREWALL_WRITE), NSH_FIREWALL_OK);
    assert_int_equal(fw->ops->observe(fw, family, p->table, nothing, NULL), 0);
    fw->ops->close(fw);
}

/* ---- tests ---- */

static void each(void (*test)(int family, const struct place *p))
{
    for (size_t f = 0; f < NSH_ARRAY_SIZE(families); f++)
        for (size_t i = 0; i < NSH_ARRAY_SIZE(places); i++) {
            const char *table = nsh_table_name(places[i].table);
            char words[64];

            test(families[f], &places[i]);
            for (const char *letter = "FX"; *letter; letter++) {
                snprintf(words, sizeof words, "-t %s -%c", table, *letter);
                assert_int_equal(try_ipt(families[f], words), 0);
            }
        }
}

static void check_foreign(int family, const struct place *p)
{
    struct nsh_chain want = {.rules = rules + 1, .n_rules = 2};
    struct nsh_firewall_op change = op(NSH_CHAIN_CHANGE, family, p, &want),
                           down[] = {op(NSH_JUMP_DELETE, family, p, NULL),
                                   op(NSH_CHAIN_DELETE, family, p, NULL)};
    char before[8192], after[8192];

    put_foreign(family, p->table, p->hook);
    copy_listing(family, p->table, before, sizeof before);
    install(family, p, 1);
    assert_int_equal(table_words(family, p->table, "-C %s -j " CHAIN, p->hook), 0);
    change.n_observed = NSH_ARRAY_SIZE(rules);
    commit(family, p, &change, 1);
    assert_int_equal(
            table_words(family, p->table, "-C " CHAIN " -p tcp -m tcp --dport 443 -j ACCEPT"), 0);
    down[0].index = 1;
    commit(family, p, down, 2);
    copy_listing(family, p->table, after, sizeof after);
    assert_string_equal(after, before);
}

static void test_foreign(void **state)
{
    (void)state;
    each(check_foreign);
}

/* Rules that stay keep their counters, whatever changes around them. */
static void check_counters(int family, const struct place *p)
{
    struct nsh_chain want = {.rules = rules + 1, .n_rules = 3};
    struct nsh_firewall_op change = op(NSH_CHAIN_CHANGE, family, p, &want);
    char text[8192];

    install(family, p, UINT32_MAX);
    assert_int_equal(table_words(family, p->table,
                             "-R " CHAIN " 3 -p udp -m udp --dport 443 -j ACCEPT -c 11 1200"),
            0);
    change.n_observed = NSH_ARRAY_SIZE(rules);
    change.keep_tail = 3;
    commit(family, p, &change, 1);
    copy_listing(family, p->table, text, sizeof text);
    assert_non_null(strstr(text, "-A " CHAIN " -p udp -m udp --dport 443 -c 11 1200 -j ACCEPT\n"));
    assert_null(strstr(text, "INVALID"));
}

static void test_counters(void **state)
{
    (void)state;
    each(check_counters);
}

static void check_noticed(int family, const struct place *p)
{
    static const char *const changes[] = {
            "-R " CHAIN " 4 -m mark --mark 0x11/0xff -j RETURN", /* of the same size */
            "-R " CHAIN " 2 -p tcp -m tcp --dport 443 -j RETURN",
            "-D " CHAIN " 1",
            "-Z " CHAIN,
            "-F " CHAIN,
    };

    install(family, p, UINT32_MAX);
    for (size_t i = 0; i < NSH_ARRAY_SIZE(changes); i++) {
        bool counters = strncmp(changes[i], "-Z", 2) == 0;

        look(family, p);
        assert_int_equal(fw->ops->changed(fw, family, p->table), 0);
        assert_int_equal(table_words(family, p->table, "%s", changes[i]), 0);
        assert_int_equal(fw->ops->changed(fw, family, p->table), !counters);
    }
}

static void test_noticed(void **state)
{
    (void)state;
    each(check_noticed);
}

/* The same rules, two of them in each other's place: the table has the same size. */
static void check_reordered(int family, const struct place *p)
{
    install(family, p, UINT32_MAX);
    look(family, p);
    assert_int_equal(
            table_words(family, p->table, "-R " CHAIN " 2 -p udp -m udp --dport 443 -j ACCEPT"), 0);
    assert_int_equal(fw->ops->changed(fw, family, p->table), 1);
    assert_int_equal(
            table_words(family, p->table, "-R " CHAIN " 3 -p tcp -m tcp --dport 443 -j ACCEPT"), 0);
    assert_int_equal(fw->ops->changed(fw, family, p->table), 1);
}

static void test_reordered(void **state)
{
    (void)state;
    each(check_reordered);
}

static void test_probe(void **state)
{
    char why[256];

    (void)state;
    for (size_t f = 0; f < NSH_ARRAY_SIZE(families); f++)
        for (int t = 0; t < NSH_TABLE_COUNT; t++)
            if (fw->ops->probe(fw, families[f], (enum nsh_table)t, why, sizeof why) != 0)
                fail_msg("%s", why);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fresh, done)

int main(void)
{
    const struct CMUnitTest tests[] = {
            TEST(test_foreign),
            TEST(test_counters),
            TEST(test_noticed),
            TEST(test_reordered),
            TEST(test_probe),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
