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

#include <string.h>

#include "cleanup.h"
#include "passage.h"

#define POLICIES 64
#define SOURCES 4 /* of each */

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

static const struct nsh_fib_ops ops = {.lookup = look_up, .link_name = name_of};

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

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_many_sources),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
