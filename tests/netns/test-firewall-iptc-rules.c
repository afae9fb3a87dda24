/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every match and action against iptables itself: what netshared writes is listed as its text, and
 * found by it; what iptables writes for that text is read as the value.
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
#include <time.h>

#include "cleanup.h"
#include "firewall.h"
#include "xtables-world.h"

#define CHAIN "NETSHARED-home"
#define HAND "NETSHARED-hand"
#define RULES_MAX 512
#define SET4 "netshared-a4"
#define SET6 "netshared-a6"

static struct nsh_packet_rule seen_rules[RULES_MAX];
static size_t n_seen;

static int collect(void *userdata, const struct nsh_chain_seen *c)
{
    if (strcmp(c->name, userdata) != 0)
        return 0;
    assert_true(c->n_rules <= RULES_MAX);
    n_seen = c->n_rules;
    if (c->n_rules > 0)
        memcpy(seen_rules, c->rules, c->n_rules * sizeof *c->rules);
    return 0;
}

/* Empties the table and puts the rules into a chain with a jump from `hook`. */
static void write_rules(int family, enum nsh_table table, const char *hook,
        const struct nsh_packet_rule *rules, size_t n)
{
    struct nsh_chain want = {.rules = rules, .n_rules = n}, none = {0};
    struct nsh_firewall_op ops[3] = {0};
    char words[64], why[256] = "";
    int r;

    for (size_t i = 0; i < 2; i++) {
        snprintf(words, sizeof words, "-t %s -%c", nsh_table_name(table), "FX"[i]);
        assert_int_equal(try_ipt(family, words), 0);
    }
    for (size_t i = 0; i < 3; i++) {
        ops[i].verb = i < 2 ? NSH_CHAIN_ADD : NSH_JUMP_ADD;
        ops[i].family = (uint8_t)family;
        ops[i].table = table;
        ops[i].index = UINT32_MAX;
        ops[i].want = i == 0 ? &none : &want;
        snprintf(ops[i].chain, sizeof ops[i].chain, "%s", i == 0 ? "NETSHARED-sub" : CHAIN);
        snprintf(ops[i].hook, sizeof ops[i].hook, "%s", hook);
    }
    assert_int_equal(fw->ops->open(fw, NSH_FIREWALL_WRITE), NSH_FIREWALL_OK);
    r = fw->ops->commit(fw, family, table, ops, 3, why, sizeof why);
    fw->ops->close(fw);
    if (r != NSH_FIREWALL_OK)
        fail_msg("commit: %d %s", r, why);
}

static void assert_read(int family, enum nsh_table table, const char *chain,
        const struct nsh_packet_rule *rules, size_t n)
{
    char text[NSH_PACKET_RULE_TEXT], other[NSH_PACKET_RULE_TEXT];

    n_seen = SIZE_MAX;
    assert_int_equal(fw->ops->open(fw, NSH_FIREWALL_READ), NSH_FIREWALL_OK);
    assert_int_equal(fw->ops->observe(fw, family, table, collect, (char *)(uintptr_t)chain), 0);
    fw->ops->close(fw);
    assert_int_equal(n_seen, n);
    for (size_t i = 0; i < n; i++)
        if (!nsh_packet_rule_equal(&rules[i], &seen_rules[i]))
            fail_msg("%s: \"%s\" is read as \"%s\"", chain,
                    nsh_packet_rule_format(&rules[i], text, sizeof text),
                    nsh_packet_rule_format(&seen_rules[i], other, sizeof other));
}

/* Both ways, and what iptables thinks of it. */
static void check(int family, enum nsh_table table, const char *hook,
        const struct nsh_packet_rule *rules, size_t n)
{
    const char *name = nsh_table_name(table), *line;
    char words[1024], text[NSH_PACKET_RULE_TEXT];

    write_rules(family, table, hook, rules, n);
    snprintf(words, sizeof words, "-t %s -S " CHAIN, name);
    line = strchr(listing(family, words), '\n') + 1; /* -N */
    for (size_t i = 0; i < n; i++, line = strchr(line, '\n') + 1) {
        nsh_packet_rule_format(&rules[i], text, sizeof text);
        snprintf(words, sizeof words, "-A " CHAIN " %s\n", text);
        if (strncmp(line, words, strlen(words)) != 0)
            fail_msg("\"%s\" is listed as \"%.400s\"", text, line);
    }
    assert_read(family, table, CHAIN, rules, n);
    snprintf(words, sizeof words, "-t %s -N " HAND, name);
    assert_int_equal(try_ipt(family, words), 0);
    for (size_t i = 0; i < n; i++) {
        nsh_packet_rule_format(&rules[i], text, sizeof text);
        snprintf(words, sizeof words, "-t %s -C " CHAIN " %s", name, text);
        if (try_ipt(family, words) != 0)
            fail_msg("iptables does not find \"%s\"", text);
        snprintf(words, sizeof words, "-t %s -A " HAND " %s", name, text);
        if (try_ipt(family, words) != 0)
            fail_msg("iptables does not take \"%s\"", text);
    }
    assert_read(family, table, HAND, rules, n);
}

/* ---- one by one ---- */

static struct nsh_packet_nat nat(const char *first, const char *last, uint32_t low, uint32_t high,
        enum nsh_random random, bool persistent)
{
    struct nsh_packet_nat n = {
            .ports = {low, high}, .random = (uint8_t)random, .persistent = persistent};

    if (first) {
        assert_true(nsh_addr_parse(first, &n.family, &n.first));
        assert_true(nsh_addr_parse(last, &n.family, &n.last));
    }
    return n;
}

static struct nsh_prefix prefix(const char *text)
{
    struct nsh_prefix p;

    assert_int_equal(nsh_prefix_parse(text, &p), NSH_PREFIX_OK);
    return p;
}

static const struct {
    const char *first, *last, *other, *net, *map, *host, *set;
} addresses[] = {
        {"192.0.2.1", "192.0.2.9", "198.51.100.7", "10.0.0.0/8", "10.1.2.0/23", "10.1.2.3", SET4},
        {"2001:db8::1", "2001:db8::9", "2001:db8:1::7", "fd00::/8", "2001:db8:2:4::/62",
                "2001:db8::77", SET6},
};

static size_t add(struct nsh_packet_rule *rules, size_t n, struct nsh_packet_rule rule)
{
    assert_true(n < RULES_MAX);
    rules[n] = rule;
    return n + 1;
}

/* Each match alone, with an action that takes any. */
static size_t all_matches(bool v6, bool forward, struct nsh_packet_rule *rules)
{
    static const uint8_t with_ports[] = {
            IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, IPPROTO_DCCP, IPPROTO_UDPLITE};
    static const uint8_t others[] = {
            IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_ESP, IPPROTO_AH, IPPROTO_GRE, 99};
    const enum nsh_packet_action a = NSH_PACKET_RETURN;
    size_t n = 0;

#define ADD(...) n = add(rules, n, (struct nsh_packet_rule){.action = a, __VA_ARGS__})
    ADD(.from = prefix(addresses[v6].net));
    ADD(.to = prefix(addresses[v6].host));
    ADD(.in = "eth0", .out = "wan+");
    ADD(.in = "lan+");
    for (size_t i = 0; i < NSH_ARRAY_SIZE(with_ports); i++) {
        ADD(.protocol = with_ports[i]);
        ADD(.protocol = with_ports[i], .source_port = {1000, 2000});
        ADD(.protocol = with_ports[i], .destination_port = {443, 443});
        ADD(.protocol = with_ports[i], .source_port = {7, 7}, .destination_port = {1, 65535});
    }
    for (size_t i = 0; i < NSH_ARRAY_SIZE(others); i++)
        ADD(.protocol = others[i]);
    ADD(.protocol = IPPROTO_TCP, .syn = true);
    ADD(.protocol = IPPROTO_TCP, .syn = true, .destination_port = {80, 81});
    ADD(.mark = {0x10, 0xff});
    ADD(.mark = {0x10, UINT32_MAX});
    ADD(.mark = {0, UINT32_MAX});
    for (uint8_t states = 1; states < 16; states++)
        ADD(.states = states);
    ADD(.translated = true);
    ADD(.translated = true, .states = NSH_STATE_NEW | NSH_STATE_ESTABLISHED);
    ADD(.local = NSH_LOCAL_YES);
    if (forward) {
        ADD(.ipsec = true);
    } else {
        ADD(.local = NSH_LOCAL_FAR);
    }
    n = add(rules, n, (struct nsh_packet_rule){.action = a});
    memcpy(rules[n - 1].from_set, addresses[v6].set, strlen(addresses[v6].set));
    n = add(rules, n, rules[n - 1]);
    memcpy(rules[n - 1].to_set, addresses[v6].set, strlen(addresses[v6].set));
    n = add(rules, n, (struct nsh_packet_rule){.action = a});
    memcpy(rules[n - 1].to_set, addresses[v6].set, strlen(addresses[v6].set));
#undef ADD
    return n;
}

/* Sources are translated on the way out, destinations on the way in. */
static size_t all_translations(bool v6, bool out, struct nsh_packet_rule *rules)
{
    const char *first = addresses[v6].first, *last = addresses[v6].last;
    const enum nsh_packet_action a = out ? NSH_PACKET_SNAT : NSH_PACKET_DNAT;
    size_t n = 0;

#define ADD(...) n = add(rules, n, (struct nsh_packet_rule){__VA_ARGS__})
    ADD(.action = a, .nat = nat(first, first, 0, 0, NSH_RANDOM_NONE, false));
    ADD(.action = a, .nat = nat(first, last, 0, 0, NSH_RANDOM_NONE, false));
    ADD(.action = a, .nat = nat(first, first, 0, 0, NSH_RANDOM_PORTS, false));
    ADD(.action = a, .nat = nat(first, last, 0, 0, NSH_RANDOM_NONE, true));
    ADD(.action = a, .protocol = IPPROTO_TCP,
            .nat = nat(first, first, 8080, 8080, NSH_RANDOM_NONE, false));
    ADD(.action = a, .protocol = IPPROTO_UDP,
            .nat = nat(first, last, 1000, 2000, NSH_RANDOM_PORTS, true));
    ADD(.action = a, .protocol = IPPROTO_TCP,
            .nat = nat(NULL, NULL, 8080, 8080, NSH_RANDOM_NONE, false));
    ADD(.action = NSH_PACKET_NETMAP, .map = prefix(addresses[v6].map));
    ADD(.action = NSH_PACKET_NETMAP, .map = prefix(addresses[v6].host));
    ADD(.action = NSH_PACKET_RETURN);
    ADD(.action = NSH_PACKET_ACCEPT);
    ADD(.action = NSH_PACKET_JUMP, .target = "NETSHARED-sub");
    if (!out)
        return n;
    ADD(.action = a, .nat = nat(first, first, 0, 0, NSH_RANDOM_FULLY, false));
    ADD(.action = NSH_PACKET_MASQUERADE);
    ADD(.action = NSH_PACKET_MASQUERADE, .nat = nat(NULL, NULL, 0, 0, NSH_RANDOM_PORTS, false));
    ADD(.action = NSH_PACKET_MASQUERADE, .nat = nat(NULL, NULL, 0, 0, NSH_RANDOM_FULLY, false));
    ADD(.action = NSH_PACKET_MASQUERADE, .protocol = IPPROTO_UDP,
            .nat = nat(NULL, NULL, 1024, 65535, NSH_RANDOM_NONE, false));
    ADD(.action = NSH_PACKET_MASQUERADE, .protocol = IPPROTO_TCP,
            .nat = nat(NULL, NULL, 5, 5, NSH_RANDOM_FULLY, false));
#undef ADD
    return n;
}

static void make_sets(void)
{
    assert_int_equal(run("ipset", "create " SET4 " hash:net", NULL, 0), 0);
    assert_int_equal(run("ipset", "create " SET6 " hash:net family inet6", NULL, 0), 0);
}

static void test_matches(void **state)
{
    struct nsh_packet_rule *rules = test_malloc(RULES_MAX * sizeof *rules);

    (void)state;
    make_sets();
    for (int v6 = 0; v6 < 2; v6++) {
        int family = v6 ? AF_INET6 : AF_INET;

        check(family, NSH_TABLE_FILTER, "FORWARD", rules, all_matches(v6, true, rules));
        check(family, NSH_TABLE_MANGLE, "FORWARD", rules, all_matches(v6, true, rules));
        check(family, NSH_TABLE_NAT, "PREROUTING", rules, all_matches(v6, false, rules));
    }
    test_free(rules);
}

static void test_translations(void **state)
{
    struct nsh_packet_rule *rules = test_malloc(RULES_MAX * sizeof *rules);

    (void)state;
    for (int v6 = 0; v6 < 2; v6++) {
        int family = v6 ? AF_INET6 : AF_INET;

        check(family, NSH_TABLE_NAT, "POSTROUTING", rules, all_translations(v6, true, rules));
        check(family, NSH_TABLE_NAT, "PREROUTING", rules, all_translations(v6, false, rules));
    }
    test_free(rules);
}

static void test_filtering(void **state)
{
    const struct nsh_packet_rule rules[] = {
            {.action = NSH_PACKET_ACCEPT},
            {.action = NSH_PACKET_DROP},
            {.action = NSH_PACKET_ACCEPT, .in = "lan", .out = "wan"},
            {.action = NSH_PACKET_DROP, .in = "lan", .states = NSH_STATE_INVALID},
            {.action = NSH_PACKET_LOG, .log = ""},
            {.action = NSH_PACKET_LOG, .log = "home"},
            {.action = NSH_PACKET_LOG, .log = "home: "},
            {.action = NSH_PACKET_LOG, .log = "0123456789012345678901234567 "},
            {.action = NSH_PACKET_LOG, .out = "wan", .log = "x"},
    };

    (void)state;
    check(AF_INET, NSH_TABLE_FILTER, "FORWARD", rules, NSH_ARRAY_SIZE(rules));
    check(AF_INET6, NSH_TABLE_FILTER, "FORWARD", rules, NSH_ARRAY_SIZE(rules));
}

static void test_clamping(void **state)
{
    const struct nsh_packet_rule rules[] = {
            {.action = NSH_PACKET_CLAMP_MSS, .protocol = IPPROTO_TCP, .syn = true, .out = "wan"},
            {.action = NSH_PACKET_CLAMP_MSS, .protocol = IPPROTO_TCP, .syn = true, .in = "wan"},
    };

    (void)state;
    check(AF_INET, NSH_TABLE_MANGLE, "FORWARD", rules, NSH_ARRAY_SIZE(rules));
    check(AF_INET6, NSH_TABLE_MANGLE, "FORWARD", rules, NSH_ARRAY_SIZE(rules));
}

/* All a rule can say at once fits. */
static void test_largest(void **state)
{
    (void)state;
    make_sets();
    for (int v6 = 0; v6 < 2; v6++) {
        struct nsh_packet_rule r = {.action = NSH_PACKET_LOG,
                .from = prefix(addresses[v6].net),
                .to = prefix(addresses[v6].map),
                .in = "abcdefghijklmno",
                .out = "abcdefghijklmn+",
                .protocol = IPPROTO_SCTP,
                .source_port = {1000, 2000},
                .destination_port = {3000, 4000},
                .mark = {0x10, 0xff},
                .states = NSH_STATE_NEW | NSH_STATE_RELATED,
                .translated = true,
                .ipsec = true,
                .local = NSH_LOCAL_YES,
                .log = "0123456789012345678901234567:"};

        memcpy(r.from_set, addresses[v6].set, strlen(addresses[v6].set));
        memcpy(r.to_set, addresses[v6].set, strlen(addresses[v6].set));
        check(v6 ? AF_INET6 : AF_INET, NSH_TABLE_FILTER, "FORWARD", &r, 1);
    }
}

/* ---- at random ---- */

static unsigned int pick(unsigned int n)
{
    return (unsigned int)rand() % n;
}

static struct nsh_range random_ports(void)
{
    uint32_t first = pick(65535) + 1;

    return pick(2) ? (struct nsh_range){first, first}
                   : (struct nsh_range){first, first + pick(65536 - first)};
}

/* No address that stands for something else in text, and none near the end of a byte's range. */
static union nsh_addr random_address(int family)
{
    union nsh_addr a = {0};

    for (size_t i = 0; i < nsh_addr_size(family); i++)
        a.bytes[i] = (uint8_t)(1 + pick(250));
    a.bytes[0] = 0x20;
    return a;
}

static struct nsh_prefix random_prefix(int family)
{
    struct nsh_prefix p = {.family = (uint8_t)family, .addr = random_address(family)};

    p.length = (uint8_t)(1 + pick(nsh_addr_bits(family)));
    nsh_prefix_mask(&p);
    return p;
}

static void random_action(int family, struct nsh_packet_rule *r)
{
    static const enum nsh_packet_action actions[] = {NSH_PACKET_RETURN, NSH_PACKET_ACCEPT,
            NSH_PACKET_JUMP, NSH_PACKET_MASQUERADE, NSH_PACKET_SNAT, NSH_PACKET_NETMAP,
            NSH_PACKET_LOG};

    r->action = actions[pick(NSH_ARRAY_SIZE(actions))];
    if (r->action == NSH_PACKET_JUMP)
        strcpy(r->target, "NETSHARED-sub");
    if (r->action == NSH_PACKET_NETMAP)
        r->map = random_prefix(family);
    if (r->action == NSH_PACKET_LOG)
        snprintf(r->log, sizeof r->log, "%u: ", pick(1000));
    if (r->action != NSH_PACKET_MASQUERADE && r->action != NSH_PACKET_SNAT)
        return;
    if (r->action == NSH_PACKET_SNAT) {
        r->nat.family = (uint8_t)family;
        r->nat.first = r->nat.last = random_address(family);
        if (pick(2))
            r->nat.last.bytes[3]++;
        r->nat.persistent = pick(2);
    }
    /* The kernel translates ports of UDP-Lite, but iptables doesn't take it. */
    if (nsh_protocol_has_ports(r->protocol) && r->protocol != IPPROTO_UDPLITE && pick(2))
        r->nat.ports = random_ports();
    r->nat.random = (uint8_t)pick(3);
}

static struct nsh_packet_rule random_rule(bool v6)
{
    static const uint8_t protocols[] = {0, 0, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, IPPROTO_DCCP,
            IPPROTO_UDPLITE, IPPROTO_ESP};
    static const char *const devices[] = {"", "", "eth0", "wan+", "a", "abcdefghijklmno"};
    int family = v6 ? AF_INET6 : AF_INET;
    struct nsh_packet_rule r = {.protocol = protocols[pick(NSH_ARRAY_SIZE(protocols))]};

    if (pick(2))
        r.from = random_prefix(family);
    if (pick(2))
        r.to = random_prefix(family);
    snprintf(r.in, sizeof r.in, "%s", devices[pick(NSH_ARRAY_SIZE(devices))]);
    snprintf(r.out, sizeof r.out, "%s", devices[pick(NSH_ARRAY_SIZE(devices))]);
    if (nsh_protocol_has_ports(r.protocol) && pick(2))
        r.source_port = random_ports();
    if (nsh_protocol_has_ports(r.protocol) && pick(2))
        r.destination_port = random_ports();
    if (pick(4) == 0) {
        r.mark.mask = pick(2) ? UINT32_MAX : 1 + pick(0xffff);
        r.mark.value = pick(0x10000) & r.mark.mask;
    }
    r.states = (uint8_t)(pick(2) ? pick(16) : 0);
    r.translated = pick(4) == 0;
    r.ipsec = pick(4) == 0;
    r.syn = r.protocol == IPPROTO_TCP && pick(2);
    r.local = pick(4) == 0 ? NSH_LOCAL_YES : NSH_LOCAL_ANY;
    if (pick(4) == 0)
        snprintf(r.from_set, sizeof r.from_set, "%s", addresses[v6].set);
    if (pick(4) == 0)
        snprintf(r.to_set, sizeof r.to_set, "%s", addresses[v6].set);
    random_action(family, &r);
    return r;
}

static void test_random(void **state)
{
    const char *given = getenv("NSH_SEED");
    unsigned int seed = given ? (unsigned int)strtoul(given, NULL, 0) : (unsigned int)time(NULL);
    struct nsh_packet_rule *rules = test_malloc(RULES_MAX * sizeof *rules);

    (void)state;
    print_message("# NSH_SEED=%u\n", seed);
    srand(seed);
    make_sets();
    for (int v6 = 0; v6 < 2; v6++) {
        for (size_t i = 0; i < 100; i++)
            rules[i] = random_rule(v6);
        check(v6 ? AF_INET6 : AF_INET, NSH_TABLE_NAT, "POSTROUTING", rules, 100);
    }
    test_free(rules);
}

/* ---- what can't be said ---- */

static void test_refused(void **state)
{
    const struct nsh_packet_rule rules[] = {
            {.action = NSH_PACKET_OTHER},
            {.action = NSH_PACKET_RETURN, .protocol = IPPROTO_ICMP, .source_port = {1, 1}},
            {.action = NSH_PACKET_RETURN, .destination_port = {1, 1}},
            {.action = NSH_PACKET_RETURN, .protocol = IPPROTO_TCP, .source_port = {2, 1}},
            {.action = NSH_PACKET_RETURN, .protocol = IPPROTO_UDP, .syn = true},
            {.action = NSH_PACKET_MASQUERADE, .nat.ports = {1, 2}},
            {.action = NSH_PACKET_SNAT, .nat.family = AF_INET6},
            {.action = NSH_PACKET_NETMAP},
            {.action = NSH_PACKET_CLAMP_MSS, .protocol = IPPROTO_TCP},
            {.action = NSH_PACKET_RETURN, .from_set = "netshared-none"},
    };
    struct nsh_firewall_op op = {.verb = NSH_CHAIN_ADD, .family = AF_INET, .chain = CHAIN};
    char why[256];

    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(rules); i++) {
        struct nsh_chain want = {.rules = &rules[i], .n_rules = 1};

        op.want = &want;
        assert_int_equal(fw->ops->open(fw, NSH_FIREWALL_WRITE), NSH_FIREWALL_OK);
        if (fw->ops->commit(fw, AF_INET, NSH_TABLE_NAT, &op, 1, why, sizeof why) != -EINVAL)
            fail_msg("rule %zu was taken", i);
        fw->ops->close(fw);
        assert_non_null(
                strstr(why, rules[i].from_set[0] ? "set that does not exist" : "can't express"));
    }
}

/* Whatever has more to it than netshared writes is another rule. */
static void test_other_rules(void **state)
{
    static const char *const rules[] = {
            "-p tcp -m tcp -j RETURN",
            "-p tcp -m tcp --tcp-flags ALL SYN -j RETURN",
            "-p tcp -m tcp ! --dport 80 -j RETURN",
            "-p tcp -m tcp --dport 80 --tcp-option 3 -j RETURN",
            "! -p tcp -j RETURN",
            "! -i eth0 -j RETURN",
            "-p tcp -m multiport --dports 80,81 -j RETURN",
            "-p udplite -m multiport --ports 80 -j RETURN",
            "-p udplite -m multiport --dports 80,81,82 -j RETURN",
            "-p udplite -m multiport --dports 80,81 -j RETURN",
            "-p sctp -m sctp --dport 80 --chunk-types any INIT -j RETURN",
            "-m mark ! --mark 1 -j RETURN",
            "-m set ! --match-set netshared-a4 src -j RETURN",
            "-m set --match-set netshared-a4 src --return-nomatch -j RETURN",
            "-m set --match-set netshared-a4 src,dst -j RETURN",
            "-m set --match-set netshared-a4 dst -m set --match-set netshared-a4 src -j RETURN",
            "-m conntrack --ctstate NEW,DNAT -j RETURN",
            "-m conntrack --ctstate UNTRACKED -j RETURN",
            "-m conntrack --ctstate NEW --ctdir ORIGINAL -j RETURN",
            "-m conntrack --ctstate NEW -m mark --mark 1 -j RETURN",
            "-m addrtype --src-type LOCAL -j RETURN",
            "-m addrtype ! --dst-type LOCAL -j RETURN",
            "-m addrtype --dst-type LOCAL,UNICAST -j RETURN",
            "-m limit --limit 2/sec -j LOG",
            "-j LOG",
            "-m limit --limit 1/sec --limit-burst 10 -j LOG --log-level 5",
            "-m limit --limit 1/sec --limit-burst 10 -j RETURN",
            "-m comment --comment x -j RETURN",
            "-m comment --comment x -p tcp -m tcp --dport 1 -j RETURN",
    };

    (void)state;
    make_sets();
    ipt("-t nat -N " CHAIN);
    for (size_t i = 0; i < NSH_ARRAY_SIZE(rules); i++) {
        char words[256];

        snprintf(words, sizeof words, "-t nat -A " CHAIN " %s", rules[i]);
        ipt(words);
    }
    assert_int_equal(fw->ops->open(fw, NSH_FIREWALL_READ), NSH_FIREWALL_OK);
    assert_int_equal(fw->ops->observe(fw, AF_INET, NSH_TABLE_NAT, collect, (char[]){CHAIN}), 0);
    fw->ops->close(fw);
    assert_int_equal(n_seen, NSH_ARRAY_SIZE(rules));
    for (size_t i = 0; i < n_seen; i++)
        if (seen_rules[i].action != NSH_PACKET_OTHER)
            fail_msg("taken for one of ours: %s", rules[i]);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fresh, done)

int main(void)
{
    const struct CMUnitTest tests[] = {
            TEST(test_matches),
            TEST(test_translations),
            TEST(test_filtering),
            TEST(test_clamping),
            TEST(test_largest),
            TEST(test_random),
            TEST(test_refused),
            TEST(test_other_rules),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
