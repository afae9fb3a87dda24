/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "conntrack.h"

static struct nsh_prefix prefix(const char *text)
{
    struct nsh_prefix p = {0};

    if (text)
        assert_int_equal(nsh_prefix_parse(text, &p), NSH_PREFIX_OK);
    return p;
}

static struct nsh_packet_rule rule(
        enum nsh_packet_action action, const char *from, const char *to, const char *out)
{
    struct nsh_packet_rule r = {.action = action, .from = prefix(from), .to = prefix(to)};

    memcpy(r.out, out, strlen(out));
    return r;
}

static bool translated(const struct nsh_packet_rule *rules, size_t n, const char *src,
        const char *dst, const char *out)
{
    struct nsh_prefix s = prefix(src), d = prefix(dst);
    struct nsh_chain chain = {.family = s.family, .rules = rules, .n_rules = n};
    const struct nsh_chain *chains[] = {&chain};

    return nsh_chains_translate(chains, 1, s.family, &s.addr, &d.addr, out);
}

static void test_device(void **state)
{
    struct nsh_packet_rule eth0 = rule(NSH_PACKET_MASQUERADE, NULL, NULL, "eth0");
    struct nsh_packet_rule wan = rule(NSH_PACKET_MASQUERADE, NULL, NULL, "wan+");
    struct nsh_packet_rule plus = rule(NSH_PACKET_MASQUERADE, NULL, NULL, "+");
    struct nsh_packet_rule any = rule(NSH_PACKET_MASQUERADE, NULL, NULL, "");

    (void)state;
    assert_true(translated(&eth0, 1, "10.0.0.2", "192.0.2.1", "eth0"));
    assert_false(translated(&eth0, 1, "10.0.0.2", "192.0.2.1", "eth01"));
    assert_false(translated(&eth0, 1, "10.0.0.2", "192.0.2.1", "eth"));
    assert_true(translated(&wan, 1, "10.0.0.2", "192.0.2.1", "wan"));
    assert_true(translated(&wan, 1, "10.0.0.2", "192.0.2.1", "wan17"));
    assert_false(translated(&wan, 1, "10.0.0.2", "192.0.2.1", "wa"));
    assert_true(translated(&plus, 1, "10.0.0.2", "192.0.2.1", "x"));
    assert_true(translated(&any, 1, "10.0.0.2", "192.0.2.1", "x"));
}

static void test_prefixes(void **state)
{
    struct nsh_packet_rule r = rule(NSH_PACKET_MASQUERADE, "10.0.0.0/24", "192.0.2.0/25", "");
    struct nsh_packet_rule r6 = rule(NSH_PACKET_MASQUERADE, "fd00::/64", NULL, "");

    (void)state;
    assert_true(translated(&r, 1, "10.0.0.255", "192.0.2.127", "x"));
    assert_false(translated(&r, 1, "10.0.1.0", "192.0.2.127", "x"));
    assert_false(translated(&r, 1, "10.0.0.255", "192.0.2.128", "x"));
    assert_true(translated(&r6, 1, "fd00::1", "2001:db8::1", "x"));
    assert_false(translated(&r6, 1, "fd00:0:0:1::1", "2001:db8::1", "x"));
}

/* The first rule that matches decides in its chain. */
static void test_exemption(void **state)
{
    struct nsh_packet_rule r[] = {
            rule(NSH_PACKET_RETURN, NULL, "192.0.2.0/24", ""),
            rule(NSH_PACKET_MASQUERADE, "10.0.0.0/8", NULL, ""),
            rule(NSH_PACKET_RETURN, "10.0.0.0/8", NULL, ""),
    };

    (void)state;
    assert_false(translated(r, 3, "10.0.0.1", "192.0.2.7", "x"));
    assert_true(translated(r, 3, "10.0.0.1", "198.51.100.7", "x"));
    assert_false(translated(r, 3, "172.16.0.1", "198.51.100.7", "x"));
}

/* An exemption leaves its own chain alone: the next may still translate. */
static void test_chain_by_chain(void **state)
{
    struct nsh_packet_rule exempt[] = {
            rule(NSH_PACKET_RETURN, NULL, "192.0.2.0/24", ""),
            rule(NSH_PACKET_MASQUERADE, NULL, NULL, "a"),
    };
    struct nsh_packet_rule second = rule(NSH_PACKET_MASQUERADE, NULL, NULL, "b");
    struct nsh_chain one = {.family = AF_INET, .rules = exempt, .n_rules = 2};
    struct nsh_chain two = {.family = AF_INET, .rules = &second, .n_rules = 1};
    const struct nsh_chain *chains[] = {&one, &two};
    struct nsh_prefix src = prefix("10.0.0.1"), dst = prefix("192.0.2.7");

    (void)state;
    assert_true(nsh_chains_translate(chains, 2, AF_INET, &src.addr, &dst.addr, "b"));
    assert_false(nsh_chains_translate(chains, 2, AF_INET, &src.addr, &dst.addr, "a"));
    assert_false(nsh_chains_translate(chains, 1, AF_INET, &src.addr, &dst.addr, "b"));
    assert_false(nsh_chains_translate(chains, 0, AF_INET, &src.addr, &dst.addr, "b"));
    /* Chains of another family or table say nothing. */
    two.family = AF_INET6;
    assert_false(nsh_chains_translate(chains, 2, AF_INET, &src.addr, &dst.addr, "b"));
    two.family = AF_INET;
    two.table = NSH_TABLE_RAW;
    assert_false(nsh_chains_translate(chains, 2, AF_INET, &src.addr, &dst.addr, "b"));
}

static void test_other_actions(void **state)
{
    struct nsh_packet_rule r[] = {
            rule(NSH_PACKET_ACCEPT, NULL, NULL, ""),
            rule(NSH_PACKET_OTHER, NULL, NULL, ""),
            rule(NSH_PACKET_JUMP, NULL, NULL, ""),
            rule(NSH_PACKET_MASQUERADE, NULL, NULL, ""),
    };

    (void)state;
    assert_true(translated(r, 4, "10.0.0.1", "192.0.2.7", "x"));
    assert_false(translated(r, 3, "10.0.0.1", "192.0.2.7", "x"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_device),
            cmocka_unit_test(test_prefixes),
            cmocka_unit_test(test_exemption),
            cmocka_unit_test(test_chain_by_chain),
            cmocka_unit_test(test_other_actions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
