/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What masquerade policies are for, to be asked of the firewalls: where it comes from is asked of
 * the kernel, but only so often.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "passage.h"

#define POLICIES 64
#define SOURCES 4 /* of each */
#define SHARES 200U

static size_t lookups;

static int look_up(struct nsh_fib *fib, int family, const union nsh_addr *addr, uint32_t iif,
        const union nsh_addr *from, struct nsh_fib_path *ret)
{
    (void)fib;
    (void)family;
    (void)addr;
    (void)iif;
    (void)from;
    lookups++;
    *ret = (struct nsh_fib_path){.ifindex = 7};
    return 0;
}

static int name_of(struct nsh_fib *fib, uint32_t ifindex, char name[static IFNAMSIZ])
{
    (void)fib;
    (void)ifindex;
    memcpy(name, "lan", sizeof "lan");
    return 0;
}

static size_t dumps;

/* lan0 to lan199, each with a network of its own, and one network twice. */
static int tell_links(struct nsh_fib *fib, nsh_fib_link_seen *seen, void *userdata)
{
    (void)fib;
    dumps++;
    for (uint32_t i = 0; i < SHARES; i++) {
        char name[IFNAMSIZ];

        snprintf(name, sizeof name, "lan%u", i);
        seen(userdata, &(struct nsh_fib_link){.name = name, .ifindex = SHARES - i});
    }
    return 0;
}

static int tell_addresses(struct nsh_fib *fib, nsh_fib_address_seen *seen, void *userdata)
{
    (void)fib;
    dumps++;
    for (uint32_t i = 0; i < 2 * SHARES; i++) {
        struct nsh_fib_address a = {.family = AF_INET,
                .ifindex = SHARES - i % SHARES,
                .net = {.family = AF_INET, .length = 24, .addr.bytes = {10, 0, (uint8_t)i}}};

        a.net.addr.bytes[2] = (uint8_t)(i % SHARES);
        seen(userdata, &a);
    }
    return 0;
}

static const struct nsh_fib_ops ops = {
        .lookup = look_up, .link_name = name_of, .links = tell_links, .addresses = tell_addresses};

static void test_many_sources(void **state)
{
    struct nsh_fib fib = {.ops = &ops};
    struct nsh_packet_rule rules[SOURCES];
    struct nsh_chain chains[POLICIES];
    struct nsh_desired d = {.chains = chains};
    NSH_CLEANUP(nsh_passages_done) struct nsh_passages p = {0};

    (void)state;
    for (uint8_t i = 0; i < SOURCES; i++) {
        rules[i] = (struct nsh_packet_rule){.action = NSH_PACKET_MASQUERADE,
                .from = {.family = AF_INET, .length = 24, .addr.bytes = {10, 0, i}},
                .out = "wan"};
    }
    for (size_t i = 0; i < POLICIES; i++)
        chains[i] = (struct nsh_chain){.family = AF_INET,
                .table = NSH_TABLE_NAT,
                .kind = NSH_POLICY_MASQUERADE,
                .rules = rules,
                .n_rules = SOURCES};
    d.n_chains = 1;
    assert_int_equal(nsh_passages_new(&d, &fib, &p), 0);
    assert_int_equal(lookups, SOURCES);
    assert_int_equal(p.items[0].n_paths, 4 * SOURCES);
    assert_string_equal(p.paths[0].in, "lan");
    nsh_passages_done(&p);
    lookups = 0;
    d.n_chains = POLICIES;
    assert_int_equal(nsh_passages_new(&d, &fib, &p), 0);
    assert_int_equal(lookups, 128);
    assert_int_equal(p.n, POLICIES);
    assert_int_equal(p.items[31].n_paths, 4 * SOURCES);
    assert_int_equal(p.items[32].n_paths, 0);
}

/* However many there are, the kernel is asked once, and no more is judged than is worth it. */
static void test_many_shares(void **state)
{
    static struct nsh_packet_rule rules[SHARES];
    static struct nsh_chain chains[SHARES];
    struct nsh_fib fib = {.ops = &ops};
    struct nsh_desired d = {.chains = chains, .n_chains = SHARES};
    NSH_CLEANUP(nsh_passages_done) struct nsh_passages p = {0};

    (void)state;
    for (uint32_t i = 0; i < SHARES; i++) {
        rules[i] = (struct nsh_packet_rule){.action = NSH_PACKET_ACCEPT, .out = "wan"};
        snprintf(rules[i].in, sizeof rules[i].in, "lan%u", i);
        chains[i] = (struct nsh_chain){.family = AF_INET,
                .table = NSH_TABLE_FILTER,
                .kind = NSH_POLICY_SHARE,
                .rules = &rules[i],
                .n_rules = 1};
    }
    assert_int_equal(nsh_passages_new(&d, &fib, &p), 0);
    assert_int_equal(dumps, 2);
    assert_int_equal(p.n, 2 * SHARES);
    for (size_t i = 0; i < SHARES; i++) {
        const struct nsh_passage *ban = &p.items[2 * i + 1];

        assert_true(ban->ban);
        assert_ptr_equal(ban->chain, p.items[2 * i].chain);
        assert_int_equal(ban->n_paths, i < 128 ? 2 : 0);
        for (size_t k = 0; k < ban->n_paths; k++) {
            assert_string_equal(ban->paths[k].in, rules[i].in);
            assert_int_equal(ban->paths[k].from.addr.bytes[2], i);
        }
    }
}

/* The networks at each of the devices that it means, but nothing of the other side. */
static void test_a_pattern(void **state)
{
    static const struct {
        const char *in, *out;
        size_t n;
    } cases[] = {
            {"lan19+", "wan", 11},
            {"lan19+", "lan190", 10},
            {"lan199+", "wan", 1},
            {"lan", "wan", 0},
            {"lan7", "wan", 1},
            {"+", "wan", 0},
            {"", "wan", 0},
            {"vlan+", "wan", 0},
    };
    struct nsh_fib fib = {.ops = &ops};

    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(cases); i++) {
        struct nsh_packet_rule rule = {.action = NSH_PACKET_ACCEPT};
        struct nsh_chain chain = {.family = AF_INET,
                .table = NSH_TABLE_FILTER,
                .kind = NSH_POLICY_SHARE,
                .rules = &rule,
                .n_rules = 1};
        struct nsh_desired d = {.chains = &chain, .n_chains = 1};
        NSH_CLEANUP(nsh_passages_done) struct nsh_passages p = {0};

        snprintf(rule.in, sizeof rule.in, "%s", cases[i].in);
        snprintf(rule.out, sizeof rule.out, "%s", cases[i].out);
        assert_int_equal(nsh_passages_new(&d, &fib, &p), 0);
        assert_int_equal(p.items[1].n_paths, 2 * cases[i].n);
        for (size_t k = 0; k < p.items[1].n_paths; k++)
            assert_int_equal(strncmp(p.items[1].paths[k].in, cases[i].in, 4), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_many_sources),
            cmocka_unit_test(test_many_shares),
            cmocka_unit_test(test_a_pattern),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
