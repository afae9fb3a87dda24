/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Chains found by name and by policy: what a search through all of them finds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "chain-index.h"
#include "cleanup.h"

#define POLICIES 400
#define CHAINS_MAX (POLICIES * 4 + 2)

static struct nsh_chain chains[CHAINS_MAX];
static size_t n_chains;

static void add(int family, enum nsh_table table, const char *policy, char suffix)
{
    struct nsh_chain *c = &chains[n_chains++];

    *c = (struct nsh_chain){.family = (uint8_t)family, .table = table};
    snprintf(c->policy, sizeof(c->policy), "%s", policy);
    if (policy[0] != '\0')
        nsh_chain_make_name(c->name, policy, suffix);
    else
        memcpy(c->name, NSH_CHAIN_CONNTRACK, sizeof(NSH_CHAIN_CONNTRACK));
}

/* Policies whose names begin alike, with one to four chains of either family. */
static void fill(void)
{
    n_chains = 0;
    srand(1);
    for (unsigned i = 0; i < POLICIES; i++) {
        char policy[NSH_POLICY_NAME];
        unsigned kind = (unsigned)rand() % 4;

        snprintf(policy, sizeof(policy), i % 3 ? "lan-%u" : "%u-lan", i * 7919 % POLICIES);
        if (kind != 1)
            add(AF_INET, NSH_TABLE_NAT, policy, '\0');
        if (kind > 1)
            add(AF_INET, NSH_TABLE_FILTER, policy, '\0');
        if (kind > 2)
            add(AF_INET, NSH_TABLE_NAT, policy, 'h');
        if (kind == 1)
            add(AF_INET6, NSH_TABLE_NAT, policy, '\0');
    }
    add(AF_INET, NSH_TABLE_RAW, "", '\0');
    add(AF_INET6, NSH_TABLE_RAW, "", '\0');
}

static size_t search(int family, enum nsh_table table, const char *name)
{
    size_t i = 0;

    while (i < n_chains && (chains[i].family != family || chains[i].table != table ||
                                   strcmp(chains[i].name, name) != 0))
        i++;
    return i < n_chains ? i : SIZE_MAX;
}

static size_t search_policy(int family, const char *policy)
{
    size_t i = 0;

    while (i < n_chains && (chains[i].family != family || strcmp(chains[i].policy, policy) != 0))
        i++;
    return i < n_chains ? i : SIZE_MAX;
}

static void test_all_are_found(void **state)
{
    static const int families[] = {AF_INET, AF_INET6};
    NSH_CLEANUP(nsh_chain_index_done) struct nsh_chain_index x = {0};

    (void)state;
    fill();
    assert_int_equal(nsh_chain_index_make(chains, n_chains, &x), 0);
    for (size_t i = 0; i < n_chains; i++)
        for (size_t f = 0; f < NSH_ARRAY_SIZE(families); f++) {
            for (unsigned t = 0; t < NSH_TABLE_COUNT; t++)
                assert_int_equal(
                        nsh_chain_index_find(&x, families[f], (enum nsh_table)t, chains[i].name),
                        search(families[f], (enum nsh_table)t, chains[i].name));
            assert_int_equal(nsh_chain_index_policy(&x, families[f], chains[i].policy),
                    search_policy(families[f], chains[i].policy));
        }
}

static void test_others_are_not(void **state)
{
    static const char *const names[] = {"NETSHARED-", "NETSHARED-lan", "NETSHARED-lan-",
            "NETSHARED-zzz", "NETSHARED-lan-1_x", "lan-1", "", "POSTROUTING"};
    NSH_CLEANUP(nsh_chain_index_done) struct nsh_chain_index x = {0};

    (void)state;
    fill();
    assert_int_equal(nsh_chain_index_make(chains, n_chains, &x), 0);
    for (size_t i = 0; i < NSH_ARRAY_SIZE(names); i++)
        assert_int_equal(nsh_chain_index_find(&x, AF_INET, NSH_TABLE_NAT, names[i]), SIZE_MAX);
    assert_int_equal(nsh_chain_index_policy(&x, AF_INET, "lan"), SIZE_MAX);
}

static void test_none(void **state)
{
    NSH_CLEANUP(nsh_chain_index_done) struct nsh_chain_index x = {0};

    (void)state;
    assert_int_equal(nsh_chain_index_make(NULL, 0, &x), 0);
    assert_int_equal(nsh_chain_index_find(&x, AF_INET, NSH_TABLE_NAT, "NETSHARED-a"), SIZE_MAX);
    assert_int_equal(nsh_chain_index_policy(&x, AF_INET, ""), SIZE_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_all_are_found),
            cmocka_unit_test(test_others_are_not),
            cmocka_unit_test(test_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
