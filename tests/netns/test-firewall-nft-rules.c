/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules between their value, nftables' expressions and nft's text: what is written lists as the
 * expected line, and what nft makes of that line is read as the value.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "nft-world.h"

struct form {
    const char *text; /* as nft lists it, without the counter's numbers */
    enum nsh_packet_action action;
    const char *from, *to; /* prefixes */
    const char *nat_first, *nat_last, *map;
    struct nsh_packet_rule rest;
    enum nsh_table table;
    const char *hook; /* NULL: no base chain leads there */
};

#define RULE(...) .rest = {__VA_ARGS__}
#define TCP .protocol = IPPROTO_TCP
#define UDP .protocol = IPPROTO_UDP

static const struct form forms4[] = {
        {"counter masquerade", NSH_PACKET_MASQUERADE},
        {"counter return", NSH_PACKET_RETURN},
        {"counter accept", NSH_PACKET_ACCEPT},
        {"counter drop", NSH_PACKET_DROP},
        {"counter jump nat-sub", NSH_PACKET_JUMP, RULE(.target = "NETSHARED-sub")},
        {"iifname \"lan0\" oifname \"wan*\" counter masquerade", NSH_PACKET_MASQUERADE,
                RULE(.in = "lan0", .out = "wan+")},
        {"oifname \"abcdefghijklmno\" counter return", NSH_PACKET_RETURN,
                RULE(.out = "abcdefghijklmno")},
        {"oifname \"abcdefghijklmn*\" counter return", NSH_PACKET_RETURN,
                RULE(.out = "abcdefghijklmn+")},
        {"ip saddr 10.0.0.0/8 ip daddr 198.51.100.7 counter return", NSH_PACKET_RETURN,
                "10.0.0.0/8", "198.51.100.7"},
        {"ip saddr 192.168.1.0/25 ip daddr 198.51.100.0/23 counter return", NSH_PACKET_RETURN,
                "192.168.1.0/25", "198.51.100.0/23"},
        {"ip saddr 128.0.0.0/1 counter return", NSH_PACKET_RETURN, "128.0.0.0/1"},
        {"ip saddr 172.16.0.0/16 counter return", NSH_PACKET_RETURN, "172.16.0.0/16"},
        {"ip saddr 10.1.2.0/24 counter return", NSH_PACKET_RETURN, "10.1.2.0/24"},
        {"ip saddr @netshared-in ip daddr @netshared-to counter return", NSH_PACKET_RETURN,
                RULE(.from_set = "netshared-in", .to_set = "netshared-to")},
        {"meta l4proto udp counter return", NSH_PACKET_RETURN, RULE(UDP)},
        {"meta l4proto gre counter return", NSH_PACKET_RETURN, RULE(.protocol = IPPROTO_GRE)},
        {"meta l4proto 200 counter return", NSH_PACKET_RETURN, RULE(.protocol = 200)},
        {"tcp dport 443 counter return", NSH_PACKET_RETURN,
                RULE(TCP, .destination_port = {443, 443})},
        {"udp sport 53 udp dport 1024-65535 counter return", NSH_PACKET_RETURN,
                RULE(UDP, .source_port = {53, 53}, .destination_port = {1024, 65535})},
        {"sctp sport 1-2 counter return", NSH_PACKET_RETURN,
                RULE(.protocol = IPPROTO_SCTP, .source_port = {1, 2})},
        {"dccp dport 7 counter return", NSH_PACKET_RETURN,
                RULE(.protocol = IPPROTO_DCCP, .destination_port = {7, 7})},
        {"udplite dport 7 counter return", NSH_PACKET_RETURN,
                RULE(.protocol = IPPROTO_UDPLITE, .destination_port = {7, 7})},
        {"meta mark 0x0000007b counter return", NSH_PACKET_RETURN,
                RULE(.mark = {0x7b, UINT32_MAX})},
        {"meta mark & 0x000000ff == 0x00000001 counter return", NSH_PACKET_RETURN,
                RULE(.mark = {1, 0xff})},
        {"rt ipsec exists counter return", NSH_PACKET_RETURN, RULE(.ipsec = true)},
        {"ct state invalid counter drop", NSH_PACKET_DROP, RULE(.states = NSH_STATE_INVALID)},
        {"ct state established,related counter accept", NSH_PACKET_ACCEPT,
                RULE(.states = NSH_STATE_ESTABLISHED | NSH_STATE_RELATED)},
        {"ct status dnat counter accept", NSH_PACKET_ACCEPT, RULE(.translated = true)},
        {"ct state new ct status dnat counter accept", NSH_PACKET_ACCEPT,
                RULE(.states = NSH_STATE_NEW, .translated = true)},
        {"fib daddr type local counter return", NSH_PACKET_RETURN, RULE(.local = NSH_LOCAL_YES)},
        {"fib daddr type local fib daddr . iif type != local counter return", NSH_PACKET_RETURN,
                RULE(.local = NSH_LOCAL_FAR)},
        {"tcp flags syn / syn,rst counter return", NSH_PACKET_RETURN, RULE(TCP, .syn = true)},
        {"oifname \"wan0\" tcp flags syn / syn,rst counter tcp option maxseg size set rt mtu",
                NSH_PACKET_CLAMP_MSS, RULE(.out = "wan0", TCP, .syn = true),
                .table = NSH_TABLE_MANGLE},
        {"ip saddr 10.0.0.0/8 limit rate 1/second burst 10 packets counter log prefix \"home: \"",
                NSH_PACKET_LOG, "10.0.0.0/8", RULE(.log = "home: ")},
        {"meta l4proto tcp counter masquerade to :1000-2000", NSH_PACKET_MASQUERADE,
                RULE(TCP, .nat.ports = {1000, 2000})},
        {"meta l4proto tcp counter masquerade to :1000 random", NSH_PACKET_MASQUERADE,
                RULE(TCP, .nat = {.ports = {1000, 1000}, .random = NSH_RANDOM_PORTS})},
        {"counter masquerade fully-random", NSH_PACKET_MASQUERADE,
                RULE(.nat.random = NSH_RANDOM_FULLY)},
        {"counter snat to 192.0.2.1", NSH_PACKET_SNAT, .nat_first = "192.0.2.1"},
        {"counter snat to 192.0.2.1-192.0.2.9 persistent", NSH_PACKET_SNAT,
                .nat_first = "192.0.2.1", .nat_last = "192.0.2.9", RULE(.nat.persistent = true)},
        {"meta l4proto udp counter snat to 192.0.2.1:1000-2000 random", NSH_PACKET_SNAT,
                .nat_first = "192.0.2.1",
                RULE(UDP, .nat = {.ports = {1000, 2000}, .random = NSH_RANDOM_PORTS})},
        {"meta l4proto udp counter snat to 192.0.2.1-192.0.2.2:7", NSH_PACKET_SNAT,
                .nat_first = "192.0.2.1", .nat_last = "192.0.2.2", RULE(UDP, .nat.ports = {7, 7})},
        {"meta l4proto tcp counter snat to :1000-2000", NSH_PACKET_SNAT,
                RULE(TCP, .nat.ports = {1000, 2000})},
        {"iifname \"wan0\" tcp dport 443 counter dnat to 192.168.1.10:8443", NSH_PACKET_DNAT,
                .nat_first = "192.168.1.10",
                RULE(.in = "wan0", TCP, .destination_port = {443, 443}, .nat.ports = {8443, 8443}),
                .hook = "PREROUTING"},
        {"counter dnat to 192.168.1.10", NSH_PACKET_DNAT, .nat_first = "192.168.1.10",
                .hook = "PREROUTING"},
        {"iifname \"wan0\" ip daddr 192.0.2.0/24 counter dnat prefix to 10.1.2.0/24",
                NSH_PACKET_NETMAP, .to = "192.0.2.0/24", .map = "10.1.2.0/24", RULE(.in = "wan0"),
                .hook = "PREROUTING"},
        {"oifname \"wan0\" ip saddr 10.1.2.0/24 counter snat prefix to 192.0.2.0/24",
                NSH_PACKET_NETMAP, "10.1.2.0/24", .map = "192.0.2.0/24", RULE(.out = "wan0"),
                .hook = "POSTROUTING"},
};

static const struct form forms6[] = {
        {"counter masquerade", NSH_PACKET_MASQUERADE},
        {"ip6 saddr fd00::/8 ip6 daddr 2001:db8::1 counter return", NSH_PACKET_RETURN, "fd00::/8",
                "2001:db8::1"},
        {"ip6 saddr fd00:1:2::/61 ip6 daddr 2001:db8::/32 counter return", NSH_PACKET_RETURN,
                "fd00:1:2::/61", "2001:db8::/32"},
        {"ip6 saddr @netshared-in ip6 daddr @netshared-to counter return", NSH_PACKET_RETURN,
                RULE(.from_set = "netshared-in", .to_set = "netshared-to")},
        {"oifname \"wan*\" tcp dport 1-2 counter return", NSH_PACKET_RETURN,
                RULE(.out = "wan+", TCP, .destination_port = {1, 2})},
        {"meta l4proto ipv6-icmp counter return", NSH_PACKET_RETURN,
                RULE(.protocol = IPPROTO_ICMPV6)},
        {"rt ipsec exists counter return", NSH_PACKET_RETURN, RULE(.ipsec = true)},
        {"fib daddr type local fib daddr . iif type != local counter return", NSH_PACKET_RETURN,
                RULE(.local = NSH_LOCAL_FAR)},
        {"ct state invalid ct status dnat counter drop", NSH_PACKET_DROP,
                RULE(.states = NSH_STATE_INVALID, .translated = true)},
        {"tcp flags syn / syn,rst counter tcp option maxseg size set rt mtu", NSH_PACKET_CLAMP_MSS,
                RULE(TCP, .syn = true), .table = NSH_TABLE_MANGLE},
        {"limit rate 1/second burst 10 packets counter log prefix \"x\"", NSH_PACKET_LOG,
                RULE(.log = "x")},
        {"meta l4proto udp counter masquerade to :1-2 fully-random", NSH_PACKET_MASQUERADE,
                RULE(UDP, .nat = {.ports = {1, 2}, .random = NSH_RANDOM_FULLY})},
        {"counter snat to 2001:db8::1", NSH_PACKET_SNAT, .nat_first = "2001:db8::1"},
        {"meta l4proto udp counter snat to [2001:db8::1]-[2001:db8::9]:1-2", NSH_PACKET_SNAT,
                .nat_first = "2001:db8::1", .nat_last = "2001:db8::9",
                RULE(UDP, .nat.ports = {1, 2})},
        {"tcp dport 443 counter dnat to [fd00::a]:8443", NSH_PACKET_DNAT, .nat_first = "fd00::a",
                RULE(TCP, .destination_port = {443, 443}, .nat.ports = {8443, 8443}),
                .hook = "PREROUTING"},
        {"counter snat prefix to 2001:db8:1::/48", NSH_PACKET_NETMAP, .map = "2001:db8:1::/48",
                .hook = "POSTROUTING"},
        {"counter dnat prefix to fd00:1::/48", NSH_PACKET_NETMAP, .map = "fd00:1::/48",
                .hook = "PREROUTING"},
};

static struct nsh_packet_rule of_form(const struct form *f)
{
    struct nsh_packet_rule r = f->rest;

    r.action = f->action;
    if (f->from)
        assert_int_equal(nsh_prefix_parse(f->from, &r.from), NSH_PREFIX_OK);
    if (f->to)
        assert_int_equal(nsh_prefix_parse(f->to, &r.to), NSH_PREFIX_OK);
    if (f->map)
        assert_int_equal(nsh_prefix_parse(f->map, &r.map), NSH_PREFIX_OK);
    if (f->nat_first) {
        const char *last = f->nat_last ? f->nat_last : f->nat_first;

        assert_true(nsh_addr_parse(f->nat_first, &r.nat.family, &r.nat.first));
        assert_true(nsh_addr_parse(last, &r.nat.family, &r.nat.last));
    }
    return r;
}

static const char *family_name(int family)
{
    return family == AF_INET6 ? "ip6" : "ip";
}

static void make_sets(int family)
{
    static const char *const names[] = {"netshared-in", "netshared-to"};

    nft("add table %s netshared", family_name(family));
    for (size_t i = 0; i < NSH_ARRAY_SIZE(names); i++)
        nft("add set %s netshared %s { type %s; flags interval; }", family_name(family), names[i],
                family == AF_INET6 ? "ipv6_addr" : "ipv4_addr");
}

static void assert_same(const struct nsh_packet_rule *a, const struct nsh_packet_rule *want)
{
    char text[NSH_PACKET_RULE_TEXT], want_text[NSH_PACKET_RULE_TEXT];

    if (!nsh_packet_rule_equal(a, want))
        fail_msg("read as %s, not %s", nsh_packet_rule_format(a, text, sizeof text),
                nsh_packet_rule_format(want, want_text, sizeof want_text));
}

/* What nft 0.9.8 lists otherwise: the one it can't read in the new words, the other it gets wrong.
 */
static const char *in_words_before(const char *text)
{
    static const char *const words[][2] = {
            {"tcp flags syn / syn,rst", "tcp flags & (syn | rst) == syn"},
            {"192.0.2.1-192.0.2.2", "192.0.2.1/30"},
    };
    static char before[256];

    for (size_t i = 0; i < NSH_ARRAY_SIZE(words); i++) {
        const char *at = strstr(text, words[i][0]);

        if (!at)
            continue;
        snprintf(before, sizeof before, "%.*s%s%s", (int)(at - text), text, words[i][1],
                at + strlen(words[i][0]));
        return before;
    }
    return text;
}

/* Each in a chain of its own, so that it can be of the hook it is for. */
static void check_written(int family, const struct form *f)
{
    struct nsh_packet_rule r = of_form(f);
    const struct seen_chain *c;
    char command[96], line[256];
    const char *out;

    install_in(family, f->table, f->hook, "NETSHARED-w", &r, 1);
    snprintf(command, sizeof command, "--stateless list chain %s netshared %s-w",
            family_name(family), nsh_table_name(f->table));
    snprintf(line, sizeof line, "\t\t%s\n", f->text);
    out = listing(command);
    if (!strstr(out, line) && !strstr(out, in_words_before(line)))
        fail_msg("%s is listed as:\n%s", f->text, out);
    c = look(family, f->table, "NETSHARED-w");
    assert_non_null(c);
    assert_int_equal(c->n_rules, 1);
    assert_same(&c->rules[0], &r);
}

static void check_read(int family, const struct form *f)
{
    char rule[64], command[512];
    struct nsh_packet_rule r = of_form(f);
    const struct seen_chain *c;

    nft("add chain %s netshared %s-r", family_name(family), nsh_table_name(f->table));
    snprintf(rule, sizeof rule, "add rule %s netshared %s-r ", family_name(family),
            nsh_table_name(f->table));
    snprintf(command, sizeof command, "%s%s", rule, f->text);
    if (try_nft(command) != 0)
        nft("%s%s", rule, in_words_before(f->text));
    c = look(family, f->table, "NETSHARED-r");
    assert_non_null(c);
    assert_int_equal(c->n_rules, 1);
    assert_same(&c->rules[0], &r);
}

static void check_forms(int family, const struct form *forms, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        make_sets(family);
        nft("add chain %s netshared nat-sub", family_name(family));
        check_written(family, &forms[i]);
        check_read(family, &forms[i]);
        nft("flush ruleset");
    }
}

static void test_ipv4(void **state)
{
    (void)state;
    check_forms(AF_INET, forms4, NSH_ARRAY_SIZE(forms4));
}

static void test_ipv6(void **state)
{
    (void)state;
    check_forms(AF_INET6, forms6, NSH_ARRAY_SIZE(forms6));
}

/* Whatever has more to it than netshared writes is another rule. */
static void test_other_rules(void **state)
{
    static const char *const rules[] = {
            "masquerade",
            "counter",
            "counter counter masquerade",
            "ip saddr != 10.0.0.0/8 counter masquerade",
            "oifname != eth0 counter masquerade",
            "oif lo counter masquerade",
            "ip saddr & 255.0.255.0 == 10.0.1.0 counter masquerade",
            "ip saddr { 10.0.0.0/8, 192.0.2.1 } counter masquerade",
            "ip saddr 10.0.0.1-10.0.0.9 counter masquerade",
            "ip saddr != @netshared-in counter masquerade",
            "counter goto nat-sub",
            "counter jump foreign",
            "counter continue",
            "counter redirect",
            "ip protocol tcp counter masquerade",
            "tcp dport != 80 counter masquerade",
            "tcp flags syn counter masquerade",
            "tcp flags & (syn|ack) == syn counter masquerade",
            "ct state untracked counter return",
            "ct state != new counter return",
            "ct status snat counter return",
            "ct status != dnat counter return",
            "ct mark 1 counter return",
            "rt ipsec missing counter return",
            "fib saddr type local counter return",
            "fib daddr type != local counter return",
            "fib daddr . iif type local counter return",
            "limit rate 2/second burst 10 packets counter log prefix \"x\"",
            "limit rate 1/second burst 5 packets counter log prefix \"x\"",
            "limit rate over 1/second burst 10 packets counter log prefix \"x\"",
            "limit rate 1/second burst 10 packets counter log prefix \"x\" level debug",
            "limit rate 1/second burst 10 packets counter log prefix \"x\" group 2",
            "counter log prefix \"x\"",
            "counter log prefix \"x\" accept",
            "tcp flags & (syn | rst) == syn counter tcp option maxseg size set 1400",
            "meta length 1000 counter return",
            "ip dscp 4 counter return",
            "counter return comment \"a comment does nothing\"",
    };
    const struct seen_chain *c;
    size_t n = NSH_ARRAY_SIZE(rules);

    (void)state;
    make_sets(AF_INET);
    nft("add chain ip netshared nat-sub");
    nft("add chain ip netshared foreign");
    nft("add chain ip netshared nat-home");
    for (size_t i = 0; i < n; i++)
        nft("add rule ip netshared nat-home %s", rules[i]);
    c = look(AF_INET, NSH_TABLE_NAT, "NETSHARED-home");
    assert_int_equal(c->n_rules, n);
    for (size_t i = 0; i < n - 1; i++)
        if (c->rules[i].action != NSH_PACKET_OTHER)
            fail_msg("taken for one of ours: %s", rules[i]);
    assert_int_equal(c->rules[n - 1].action, NSH_PACKET_RETURN);
    assert_null(seen_chain("foreign"));
}

/* What can't be written is refused before the kernel sees it, in words. */
static void test_refused_rules(void **state)
{
    static const struct nsh_packet_rule rules[] = {
            {.action = NSH_PACKET_OTHER},
            {.action = NSH_PACKET_CLAMP_MSS},
            {.action = NSH_PACKET_SNAT},
            {.action = NSH_PACKET_NETMAP},
            {.action = NSH_PACKET_RETURN, .destination_port = {80, 80}},
            {.action = NSH_PACKET_RETURN, .protocol = IPPROTO_UDP, .syn = true},
            {.action = NSH_PACKET_RETURN, .from = {.family = AF_INET6, .length = 8}},
            {.action = NSH_PACKET_RETURN, .from = {.family = AF_INET, .length = 33}},
            {.action = NSH_PACKET_JUMP, .target = "FOREIGN"},
    };

    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(rules); i++) {
        struct nsh_chain want = {.rules = &rules[i], .n_rules = 1};
        struct nsh_firewall_op op = op_of(NSH_CHAIN_ADD, AF_INET, NSH_TABLE_NAT, "NETSHARED-home");
        char why[256] = "";

        op.want = &want;
        open_write();
        assert_int_equal(
                fw->ops->commit(fw, AF_INET, NSH_TABLE_NAT, &op, 1, why, sizeof why), -EINVAL);
        assert_non_null(strstr(why, "a rule that nftables can't express"));
        fw->ops->close(fw);
    }
    assert_string_equal(listing("list ruleset"), "");
}

/* ---- random rules ---- */

static uint32_t seed = 1;

static uint32_t any(uint32_t n)
{
    seed = seed * 1103515245U + 12345U;
    return (seed >> 8) % n;
}

static void any_prefix(int family, struct nsh_prefix *p)
{
    if (any(2))
        return;
    p->family = (uint8_t)family;
    p->length = (uint8_t)(1 + any(nsh_addr_bits(family)));
    for (size_t i = 0; i < nsh_addr_size(family); i++)
        p->addr.bytes[i] = (uint8_t)any(256);
    nsh_prefix_mask(p);
}

static void any_ports(struct nsh_range *r)
{
    if (any(2))
        return;
    r->first = 1 + any(30000);
    r->last = r->first + any(2) * any(30000);
}

static void any_nat(int family, struct nsh_packet_rule *r, bool address)
{
    struct nsh_prefix p = {.family = AF_UNSPEC};

    if (nsh_protocol_has_ports(r->protocol))
        any_ports(&r->nat.ports);
    while (address && p.family == AF_UNSPEC)
        any_prefix(family, &p);
    r->nat.family = p.family;
    r->nat.first = r->nat.last = p.addr;
    if (address && any(2))
        r->nat.last.bytes[3] |= 1;
    r->nat.random = (uint8_t)any(3);
    r->nat.persistent = address && any(2);
}

static struct nsh_packet_rule any_rule(int family)
{
    static const enum nsh_packet_action actions[] = {NSH_PACKET_RETURN, NSH_PACKET_ACCEPT,
            NSH_PACKET_MASQUERADE, NSH_PACKET_SNAT, NSH_PACKET_LOG, NSH_PACKET_JUMP};
    static const char *const devices[] = {"", "eth0", "wan+", "a", "abcdefghijklmno"};
    static const uint8_t protocols[] = {0, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_GRE, IPPROTO_SCTP};
    struct nsh_packet_rule r = {.action = actions[any(NSH_ARRAY_SIZE(actions))]};

    any_prefix(family, &r.from);
    any_prefix(family, &r.to);
    snprintf(r.in, sizeof r.in, "%s", devices[any(NSH_ARRAY_SIZE(devices))]);
    snprintf(r.out, sizeof r.out, "%s", devices[any(NSH_ARRAY_SIZE(devices))]);
    snprintf(r.from_set, sizeof r.from_set, "%s", any(4) ? "" : "netshared-in");
    snprintf(r.to_set, sizeof r.to_set, "%s", any(4) ? "" : "netshared-to");
    r.protocol = protocols[any(NSH_ARRAY_SIZE(protocols))];
    if (nsh_protocol_has_ports(r.protocol)) {
        any_ports(&r.source_port);
        any_ports(&r.destination_port);
    }
    r.syn = r.protocol == IPPROTO_TCP && any(2);
    if (any(2))
        r.mark = (struct nsh_mark){.value = any(256), .mask = any(2) ? UINT32_MAX : 0xff};
    r.states = (uint8_t)(any(2) * any(16));
    r.translated = any(2);
    r.ipsec = any(2);
    r.local = (uint8_t)any(3);
    if (r.action == NSH_PACKET_MASQUERADE || r.action == NSH_PACKET_SNAT)
        any_nat(family, &r, r.action == NSH_PACKET_SNAT);
    if (r.action == NSH_PACKET_LOG)
        snprintf(r.log, sizeof r.log, "%s", "a log: ");
    if (r.action == NSH_PACKET_JUMP)
        snprintf(r.target, sizeof r.target, "%s", "NETSHARED-sub");
    return r;
}

static void check_random(int family)
{
    make_sets(family);
    nft("add chain %s netshared nat-sub", family_name(family));
    for (int round = 0; round < 20; round++) {
        static struct nsh_packet_rule rules[SEEN_RULES];
        const struct seen_chain *c;

        for (size_t i = 0; i < SEEN_RULES; i++)
            rules[i] = any_rule(family);
        install_in(family, NSH_TABLE_NAT, NULL, "NETSHARED-home", rules, SEEN_RULES);
        c = look(family, NSH_TABLE_NAT, "NETSHARED-home");
        assert_int_equal(c->n_rules, SEEN_RULES);
        for (size_t i = 0; i < SEEN_RULES; i++)
            assert_same(&c->rules[i], &rules[i]);
        nft("delete chain %s netshared nat-home", family_name(family));
    }
}

static void test_random(void **state)
{
    (void)state;
    check_random(AF_INET);
    check_random(AF_INET6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_ipv4, world_fresh, world_done),
            cmocka_unit_test_setup_teardown(test_ipv6, world_fresh, world_done),
            cmocka_unit_test_setup_teardown(test_other_rules, world_fresh, world_done),
            cmocka_unit_test_setup_teardown(test_refused_rules, world_fresh, world_done),
            cmocka_unit_test_setup_teardown(test_random, world_fresh, world_done),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
