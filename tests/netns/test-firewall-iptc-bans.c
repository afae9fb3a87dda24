/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules of others at the beginning of FORWARD that only drop what they name: which are taken for
 * that, and how far they go.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "firewall.h"
#include "xtables-world.h"

#define CHAIN "NETSHARED-home"
#define COMMANDS_MAX 8

static const int families[] = {AF_INET, AF_INET6};

/* In `commands` @ is an address. */
static const struct {
    const char *commands[COMMANDS_MAX];
    uint32_t behind_bans, first_foreign;
} cases[] = {
        /* what is named */
        {{"-A FORWARD -s @ -j DROP", "-A FORWARD -d @ -j REJECT", "-A FORWARD -j ACCEPT"}, 2, 2},
        {{"-A FORWARD -s @ ! -d @ -j DROP"}, 1, 1},
        {{"-A FORWARD -p tcp -m tcp --dport 25 ! --sport 25 -j DROP"}, 1, 1},
        {{"-A FORWARD -p tcp -m tcp --dport 25 -j DROP"}, 1, 1},
        {{"-A FORWARD -p udp -m udp --sport 53 -j DROP"}, 1, 1},
        {{"-A FORWARD -p tcp -m multiport --dports 22,23 -j REJECT"}, 1, 1},
        {{"-A FORWARD -m mark --mark 7 -j DROP"}, 1, 1},
        {{"-A FORWARD -m connmark --mark 7 -j DROP"}, 1, 1},
        {{"-A FORWARD -m iprange --src-range @-@ -j DROP"}, 1, 1},
        {{"-A FORWARD -m recent --rcheck --name seen -j DROP"}, 1, 1},
        {{"-A FORWARD -m mac --mac-source 02:00:00:00:00:01 -j DROP"}, 1, 1},
        {{"-A FORWARD -m conntrack --ctstate NEW -m mark --mark 7 -j DROP"}, 1, 1},
        {{"-A FORWARD -p 47 -j DROP"}, 1, 1},
        /* and what is not */
        {{"-A FORWARD -j DROP"}, 0, 0},
        {{"-A FORWARD -i eth0 -o eth1 -j DROP"}, 0, 0},
        {{"-A FORWARD -p tcp -j DROP"}, 0, 0},
        {{"-A FORWARD -p tcp -m tcp --syn -j DROP"}, 0, 0},
        {{"-A FORWARD ! -p 47 -j DROP"}, 0, 0},
        {{"-A FORWARD ! -s @ -i eth0 -j DROP"}, 0, 0},
        {{"-A FORWARD ! -d @ -j DROP"}, 0, 0},
        {{"-A FORWARD -p tcp -m tcp ! --dport 25 -j DROP"}, 0, 0},
        {{"-A FORWARD -p udp -m udp ! --sport 53 -j DROP"}, 0, 0},
        {{"-A FORWARD -p tcp -m multiport ! --dports 22,23 -j REJECT"}, 0, 0},
        {{"-A FORWARD -m mark ! --mark 7 -j DROP"}, 0, 0},
        {{"-A FORWARD -m connmark ! --mark 7 -j DROP"}, 0, 0},
        {{"-A FORWARD -m mac ! --mac-source 02:00:00:00:00:01 -j DROP"}, 0, 0},
        {{"-A FORWARD -m iprange ! --src-range @-@ -j DROP"}, 0, 0},
        {{"-A FORWARD -m recent ! --rcheck --name seen -j DROP"}, 0, 0},
        {{"-A FORWARD -m conntrack --ctstate INVALID -j DROP"}, 0, 0},
        {{"-A FORWARD -s @ -j ACCEPT", "-A FORWARD -s @ -j DROP"}, 0, 0},
        {{"-A FORWARD -s @ -j RETURN"}, 0, 0},
        /* what lets everything go on belongs to the ban behind it */
        {{"-A FORWARD -s @ -j LOG", "-A FORWARD -s @", "-A FORWARD -s @ -j DROP",
                 "-A FORWARD -j LOG"},
                3, 3},
        {{"-A FORWARD -j LOG"}, 0, 0},
        /* beside jumps of ours */
        {{"-A FORWARD -s @ -j DROP", "-A FORWARD -j " CHAIN, "-A FORWARD -d @ -j DROP",
                 "-A FORWARD -j ACCEPT"},
                3, 3},
        {{"-A FORWARD -j " CHAIN, "-A FORWARD -j ACCEPT", "-A FORWARD -d @ -j DROP"}, 0, 1},
        {{"-A FORWARD -s @ -j DROP", "-A FORWARD -j " CHAIN}, 1, 2},
        /* chains of them */
        {{"-N F2B", "-A FORWARD -j F2B"}, 1, 1},
        {{"-N F2B", "-A F2B -s @ -j REJECT", "-A F2B -j RETURN", "-A FORWARD -p tcp -j F2B"}, 1, 1},
        {{"-N F2B", "-A F2B -j DROP", "-A FORWARD -j F2B"}, 0, 0},
        {{"-N F2B", "-A F2B -j DROP", "-A FORWARD -s @ -j F2B"}, 1, 1},
        {{"-N F2B", "-A F2B -s @ -j DROP", "-A FORWARD -g F2B"}, 0, 0},
        {{"-N F2B", "-A F2B -s @ -j DROP", "-A F2B -d @ -j ACCEPT", "-A FORWARD -j F2B"}, 0, 0},
        {{"-N USER", "-N F2B", "-A USER -j F2B", "-A USER -j RETURN", "-A F2B -s @ -j DROP",
                 "-A FORWARD -j USER"},
                1, 1},
        {{"-N USER", "-A USER -s @ -j " CHAIN, "-A FORWARD -j USER"}, 0, 0},
        {{"-N A", "-N B", "-N C", "-N D", "-A A -j B", "-A B -j C", "-A C -j D", "-A FORWARD -j A"},
                1, 1},
};

static void do_command(int family, const char *command)
{
    const char *address = family == AF_INET ? "192.0.2.7" : "2001:db8::7";
    char words[256];
    size_t n = 0;

    for (; *command; command++)
        n += (size_t)(*command == '@' ? snprintf(words + n, sizeof words - n, "%s", address)
                                      : snprintf(words + n, sizeof words - n, "%c", *command));
    assert_int_equal(try_ipt(family, words), 0);
}

static int take_forward(void *userdata, const struct nsh_chain_seen *chain)
{
    if (strcmp(chain->name, "FORWARD") == 0)
        *(struct nsh_chain_seen *)userdata = *chain;
    return 0;
}

static struct nsh_chain_seen look(int family)
{
    struct nsh_chain_seen seen = {0};

    assert_int_equal(fw->ops->open(fw, NSH_FIREWALL_READ), NSH_FIREWALL_OK);
    assert_int_equal(fw->ops->observe(fw, family, NSH_TABLE_FILTER, take_forward, &seen), 0);
    fw->ops->close(fw);
    return seen;
}

static void test_bans(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * NSH_ARRAY_SIZE(cases); i++) {
        int family = families[i % 2];
        struct nsh_chain_seen seen;

        assert_int_equal(try_ipt(family, "-F"), 0);
        assert_int_equal(try_ipt(family, "-X"), 0);
        do_command(family, "-N " CHAIN);
        for (size_t k = 0; k < COMMANDS_MAX && cases[i / 2].commands[k]; k++)
            do_command(family, cases[i / 2].commands[k]);
        seen = look(family);
        if (seen.behind_bans != cases[i / 2].behind_bans ||
                seen.first_foreign != cases[i / 2].first_foreign)
            fail_msg("case %zu, family %d: behind bans %u, first foreign %u", i / 2, family,
                    seen.behind_bans, seen.first_foreign);
    }
}

static void test_sets(void **state)
{
    (void)state;
    assert_int_equal(run("ipset", "create banned hash:ip", NULL, 0), 0);
    ipt("-A FORWARD -m set --match-set banned src -j DROP");
    assert_int_equal(look(AF_INET).behind_bans, 1);
    ipt("-R FORWARD 1 -m set ! --match-set banned src -j DROP");
    assert_int_equal(look(AF_INET).behind_bans, 0);
}

/* What is no matter of a look at others is not told of either. */
static void test_not_ahead(void **state)
{
    (void)state;
    ipt("-A FORWARD -s 192.0.2.7 -j DROP");
    ipt("-A FORWARD -i eth0 -j DROP");
    assert_int_equal(look(AF_INET).n_ahead, 1);
    assert_int_equal(look(AF_INET).first_foreign, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fresh, done)

int main(void)
{
    const struct CMUnitTest tests[] = {
            TEST(test_bans),
            TEST(test_sets),
            TEST(test_not_ahead),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
