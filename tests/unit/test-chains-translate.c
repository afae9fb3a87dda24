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

static struct nsh_flow flow(const char *src, const char *dst, const char *out)
{
    struct nsh_prefix s = prefix(src), d = prefix(dst);
    struct nsh_flow f = {.family = s.family, .src = s.addr, .dst = d.addr};

    memcpy(f.out, out, strlen(out));
    return f;
}

static struct nsh_chain chain(const struct nsh_packet_rule *rules, size_t n, uint8_t family)
{
    return (struct nsh_chain){
            .family = family, .hook = "POSTROUTING", .rules = rules, .n_rules = n};
}

static bool flow_translated(const struct nsh_packet_rule *rules, size_t n, const struct nsh_flow *f)
{
    struct nsh_chain c = chain(rules, n, f->family);
    const struct nsh_chain *chains[] = {&c};

    return nsh_chains_translate(&(struct nsh_translations){.chains = chains, .n_chains = 1}, f);
}

static bool translated(const struct nsh_packet_rule *rules, size_t n, const char *src,
        const char *dst, const char *out)
{
    struct nsh_flow f = flow(src, dst, out);

    return flow_translated(rules, n, &f);
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
    struct nsh_chain one = chain(exempt, 2, AF_INET), two = chain(&second, 1, AF_INET);
    const struct nsh_chain *chains[] = {&one, &two};
    struct nsh_translations both = {.chains = chains, .n_chains = 2};
    struct nsh_translations first = {.chains = chains, .n_chains = 1}, none = {0};
    struct nsh_flow a = flow("10.0.0.1", "192.0.2.7", "a"), b = flow("10.0.0.1", "192.0.2.7", "b");

    (void)state;
    assert_true(nsh_chains_translate(&both, &b));
    assert_false(nsh_chains_translate(&both, &a));
    assert_false(nsh_chains_translate(&first, &b));
    assert_false(nsh_chains_translate(&none, &b));
    /* Chains of another family, table or hook say nothing. */
    two.family = AF_INET6;
    assert_false(nsh_chains_translate(&both, &b));
    two.family = AF_INET;
    two.table = NSH_TABLE_RAW;
    assert_false(nsh_chains_translate(&both, &b));
    two.table = NSH_TABLE_NAT;
    two.hook = "PREROUTING";
    assert_false(nsh_chains_translate(&both, &b));
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

static void test_kinds_of_translation(void **state)
{
    struct nsh_packet_rule snat = rule(NSH_PACKET_SNAT, NULL, NULL, "x");
    struct nsh_packet_rule netmap = rule(NSH_PACKET_NETMAP, "10.0.0.0/24", NULL, "x");
    struct nsh_packet_rule dnat = rule(NSH_PACKET_DNAT, NULL, NULL, "x");

    (void)state;
    assert_true(translated(&snat, 1, "10.0.0.1", "192.0.2.7", "x"));
    assert_true(translated(&netmap, 1, "10.0.0.1", "192.0.2.7", "x"));
    assert_false(translated(&netmap, 1, "10.0.1.1", "192.0.2.7", "x"));
    assert_false(translated(&dnat, 1, "10.0.0.1", "192.0.2.7", "x"));
}

static void test_ports(void **state)
{
    struct nsh_packet_rule r = rule(NSH_PACKET_MASQUERADE, NULL, NULL, "x");
    struct nsh_flow f = flow("10.0.0.1", "192.0.2.7", "x");

    (void)state;
    r.protocol = f.protocol = IPPROTO_TCP;
    r.source_port = (struct nsh_range){1024, 2000};
    r.destination_port = (struct nsh_range){80, 80};
    f.source_port = 1024;
    f.destination_port = 80;
    assert_true(flow_translated(&r, 1, &f));
    f.source_port = 2001;
    assert_false(flow_translated(&r, 1, &f));
    f.source_port = 2000;
    f.destination_port = 81;
    assert_false(flow_translated(&r, 1, &f));
    f.destination_port = 80;
    f.protocol = IPPROTO_UDP;
    assert_false(flow_translated(&r, 1, &f));
}

/* A packet's mark is not known, so the flow is left alone; IPsec is taken for the exception. */
static void test_what_is_not_shown(void **state)
{
    struct nsh_packet_rule r[] = {
            rule(NSH_PACKET_RETURN, NULL, NULL, ""),
            rule(NSH_PACKET_MASQUERADE, NULL, NULL, "x"),
    };

    (void)state;
    r[0].ipsec = true;
    assert_true(translated(r, 2, "10.0.0.1", "192.0.2.7", "x"));
    r[1].mark = (struct nsh_mark){1, 1};
    assert_false(translated(r, 2, "10.0.0.1", "192.0.2.7", "x"));
}

static void test_led(void **state)
{
    struct nsh_packet_rule r = rule(NSH_PACKET_MASQUERADE, NULL, NULL, "");
    struct nsh_flow f = flow("10.0.0.1", "10.0.0.2", "x");

    (void)state;
    r.translated = true;
    assert_false(flow_translated(&r, 1, &f));
    f.led = true;
    assert_true(flow_translated(&r, 1, &f));
}

static bool in_set(const struct nsh_set *sets, size_t n, const char *name, const char *src)
{
    struct nsh_packet_rule r = rule(NSH_PACKET_MASQUERADE, NULL, NULL, "");
    struct nsh_flow f = flow(src, strchr(src, ':') ? "2001:db8::1" : "192.0.2.1", "x");
    struct nsh_chain c = chain(&r, 1, f.family);
    const struct nsh_chain *chains[] = {&c};

    memcpy(r.from_set, name, strlen(name));
    return nsh_chains_translate(&(struct nsh_translations){chains, 1, sets, n}, &f);
}

static void test_sets(void **state)
{
    const struct nsh_prefix four[] = {prefix("10.0.0.0/8"), prefix("172.16.0.0/16"),
            prefix("172.18.0.0/16"), prefix("192.168.7.0/24"), prefix("203.0.113.9")};
    const struct nsh_prefix six[] = {prefix("fd00::/8"), prefix("2001:db8::7")};
    const struct nsh_set sets[] = {
            {.family = AF_INET, .name = "a", .prefixes = four, .n = 5},
            {.family = AF_INET, .name = "b", .prefixes = four, .n = 0},
            {.family = AF_INET6, .name = "a", .prefixes = six, .n = 2},
    };
    static const struct {
        const char *name, *address;
        bool in;
    } cases[] = {
            {"a", "10.255.255.255", true},
            {"a", "11.0.0.0", false},
            {"a", "172.16.0.0", true},
            {"a", "172.17.0.1", false},
            {"a", "172.18.255.255", true},
            {"a", "192.168.7.9", true},
            {"a", "192.168.8.0", false},
            {"a", "203.0.113.9", true},
            {"a", "203.0.113.10", false},
            {"a", "255.255.255.255", false},
            {"a", "fd12::1", true},
            {"a", "fe00::1", false},
            {"a", "2001:db8::7", true},
            {"a", "2001:db8::8", false},
            {"b", "10.0.0.1", false},
            {"c", "10.0.0.1", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(in_set(sets, 3, cases[i].name, cases[i].address), cases[i].in);
    assert_false(in_set(NULL, 0, "a", "10.0.0.1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_device),
            cmocka_unit_test(test_prefixes),
            cmocka_unit_test(test_exemption),
            cmocka_unit_test(test_chain_by_chain),
            cmocka_unit_test(test_other_actions),
            cmocka_unit_test(test_kinds_of_translation),
            cmocka_unit_test(test_ports),
            cmocka_unit_test(test_what_is_not_shown),
            cmocka_unit_test(test_led),
            cmocka_unit_test(test_sets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
