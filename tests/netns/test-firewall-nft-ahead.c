/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules of others that translate before ours: their text as nft shows it, what they need of a
 * packet, and which of them come first.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "firewall-nft.h"
#include "nft-world.h"

static struct nsh_ahead_seen seen[NSH_AHEAD_MAX];

static int ask(int family, const char *hook)
{
    return fw->ops->ahead(fw, family, NSH_TABLE_NAT, hook, seen);
}

/* Rules of the same text; `n` ways into it, what the last of them needs as iptables says it. */
static const struct {
    const char *rule, *needs;
    int n;
    const char *shown; /* NULL: the rule's own words */
} rules[] = {
        {"masquerade", "", 1, NULL},
        {"counter masquerade random", "", 1, "masquerade random"},
        {"oifname \"eth1\" masquerade", "-o eth1 ", 1, NULL},
        {"oifname \"wan*\" ip saddr 10.0.0.0/8 masquerade", "-s 10.0.0.0/8 -o wan+ ", 1, NULL},
        {"ip saddr 10.1.2.0/23 ip daddr != 10.0.0.0/8 snat to 192.0.2.1", "-s 10.1.2.0/23 ", 1,
                NULL},
        {"ip saddr 10.1.2.3 snat to 192.0.2.1-192.0.2.9", "-s 10.1.2.3/32 ", 1, NULL},
        {"meta l4proto udp masquerade", "-p udp ", 1, NULL},
        {"tcp dport 80 masquerade to :1024-2048", "-p tcp -m tcp --dport 80 ", 1, NULL},
        {"udp sport 1000-2000 masquerade", "-p udp -m udp --sport 1000:2000 ", 1, NULL},
        {"meta mark 0x00000007 masquerade fully-random", "-m mark --mark 0x7 ", 1, NULL},
        {"oifname { \"eth7\", \"eth8\" } masquerade", "-o eth8 ", 2, NULL},
        {"ip saddr { 10.0.4.0/23, 10.0.9.1 } masquerade", "-s 10.0.9.1/32 ", 2, NULL},
        {"ip saddr @nets masquerade", "-s 10.7.0.0/16 ", 1, NULL},
        {"ip saddr != @nets masquerade", "", 1, NULL},
        {"tcp dport { 80, 443-445 } snat to 192.0.2.1:1000", "-p tcp -m tcp --dport 443:445 ", 2,
                "meta l4proto tcp th dport { 80, 443-445 } snat to 192.0.2.1:1000"},
        {"ct state new masquerade", "", 1, "... masquerade"},
        {"limit rate 1/second masquerade", "", 1, "... masquerade"},
        /* nothing is translated */
        {"accept", "", 0, NULL},
        {"ip saddr 10.0.0.0/8 drop", "", 0, NULL},
        {"jump other", "", 0, NULL},
};

static void test_texts(void **state)
{
    (void)state;
    nft("add table ip foreign");
    nft("add chain ip foreign other");
    nft("add set ip foreign nets { type ipv4_addr; flags interval; elements = { 10.7.0.0/16 }; }");
    nft("add chain ip foreign post { type nat hook postrouting priority 7; }");
    for (size_t i = 0; i < NSH_ARRAY_SIZE(rules); i++) {
        char text[NSH_PACKET_RULE_TEXT], shown[NSH_AHEAD_TEXT], *end;
        struct nsh_packet_rule needs;
        int n;

        nft("flush chain ip foreign post");
        nft("add rule ip foreign post %s", rules[i].rule);
        n = ask(AF_INET, "POSTROUTING");
        if (n != rules[i].n)
            fail_msg("%s: %d", rules[i].rule, n);
        if (n == 0)
            continue;
        snprintf(shown, sizeof shown, "%s", seen[0].text);
        end = strstr(shown, " (ip foreign post, handle ");
        assert_non_null(end);
        *end = '\0';
        assert_string_equal(shown, rules[i].shown ? rules[i].shown : rules[i].rule);
        needs = seen[n - 1].needs;
        needs.action = NSH_PACKET_RETURN;
        nsh_packet_rule_format(&needs, text, sizeof text);
        *strstr(text, "-j RETURN") = '\0';
        assert_string_equal(text, rules[i].needs);
    }
}

static void expect(int family, const char *hook, int n, const char *first)
{
    assert_int_equal(ask(family, hook), n);
    if (n > 0 && !strstr(seen[0].text, first))
        fail_msg("\"%s\" is not in \"%s\"", first, seen[0].text);
}

/* Ours have priority 101, and 99 with position first. */
static void test_order(void **state)
{
    static const struct nsh_packet_rule masquerade = {.action = NSH_PACKET_MASQUERADE};

    (void)state;
    assert_int_not_equal(fw->ops->ahead_changed(fw), 0);
    nft("table ip earlier { chain post { type nat hook postrouting priority 101; masquerade; }; }");
    expect(AF_INET, "POSTROUTING", 0, NULL);
    install(&masquerade, 1);
    expect(AF_INET, "POSTROUTING", 0, NULL);
    assert_int_equal(fw->ops->ahead_changed(fw), 0);
    nft("table ip later { chain post { type nat hook postrouting priority 101; masquerade; }; }");
    assert_int_equal(fw->ops->ahead_changed(fw), 1);
    expect(AF_INET, "POSTROUTING", 1, "masquerade (ip later post, ");
    assert_true(seen[0].first_helps);
    nft("delete table ip earlier");
    nft("table ip usual { chain post { type nat hook postrouting priority 100; masquerade; }; }");
    expect(AF_INET, "POSTROUTING", 2, "masquerade (ip usual post, ");
    assert_true(seen[0].first_helps);
    nft("delete table ip usual");
    nft("table inet both { chain post { type nat hook postrouting priority -5; "
        "ip6 saddr fd00::/8 masquerade; snat ip to 192.0.2.1; }; }");
    expect(AF_INET, "POSTROUTING", 2, "snat ip to 192.0.2.1 (inet both post, ");
    assert_false(seen[0].first_helps);
    expect(AF_INET6, "POSTROUTING", 1, "ip6 saddr fd00::/8 masquerade (inet both post, ");
    expect(AF_INET, "PREROUTING", 0, NULL);
    nft("add table inet both { flags dormant; }");
    expect(AF_INET, "POSTROUTING", 1, "(ip later post, ");
    nft("table ip late { chain post { type nat hook postrouting priority 102; masquerade; }; }");
    nft("table ip pre { chain pre { type nat hook prerouting priority -150; "
        "tcp dport 80 redirect to :8080; tcp dport 81 dnat to 10.0.0.2:82; }; }");
    expect(AF_INET, "POSTROUTING", 1, "(ip later post, ");
    expect(AF_INET, "PREROUTING", 2, "tcp dport 80 redirect to :8080 (ip pre pre, ");
    assert_non_null(strstr(seen[1].text, "tcp dport 81 dnat to 10.0.0.2:82 (ip pre pre, "));
}

/* What others lead to by jumps, as far as the way there lets anything through that is taken then.
 */
static void test_jumps(void **state)
{
    static const struct {
        const char *jump, *rule, *needs;
    } ways[] = {
            {"jump other", "masquerade", ""},
            {"goto other", "oifname \"eth1\" masquerade", "-o eth1 "},
            {"oifname \"eth1\" jump other", "ip saddr 10.1.0.0/16 masquerade",
                    "-s 10.1.0.0/16 -o eth1 "},
            {"ip saddr 10.0.0.0/8 oifname \"eth*\" jump other",
                    "ip saddr 10.1.0.0/16 oifname \"eth1\" masquerade", "-s 10.1.0.0/16 -o eth1 "},
            {"ip saddr 10.1.2.0/24 tcp dport 80-90 jump other",
                    "ip saddr 10.1.0.0/16 tcp dport 85-95 snat to 192.0.2.1",
                    "-s 10.1.2.0/24 -p tcp -m tcp --dport 85:90 "},
            {"meta mark & 0xf0 == 0x10 jump other", "meta mark & 0x0f == 0x01 masquerade",
                    "-m mark --mark 0x11/0xff "},
            {"ip saddr { 10.1.0.0/16, 10.2.0.0/16 } jump other", "masquerade", ""},
            {"oifname \"eth1\" jump other", "oifname \"eth2\" masquerade", NULL},
            {"oifname \"eth1\" jump other", "accept", NULL},
    };

    (void)state;
    nft("add table ip foreign");
    nft("add chain ip foreign other");
    nft("add chain ip foreign post { type nat hook postrouting priority 7; }");
    for (size_t i = 0; i < NSH_ARRAY_SIZE(ways); i++) {
        char text[NSH_PACKET_RULE_TEXT];

        nft("flush chain ip foreign post");
        nft("flush chain ip foreign other");
        nft("add rule ip foreign post %s", ways[i].jump);
        nft("add rule ip foreign other %s", ways[i].rule);
        assert_int_equal(ask(AF_INET, "POSTROUTING"), ways[i].needs ? 1 : 0);
        if (!ways[i].needs)
            continue;
        assert_non_null(strstr(seen[0].text, " (ip foreign other, handle "));
        seen[0].needs.action = NSH_PACKET_RETURN;
        nsh_packet_rule_format(&seen[0].needs, text, sizeof text);
        *strstr(text, "-j RETURN") = '\0';
        assert_string_equal(text, ways[i].needs);
    }
}

/* One of any size: what is not few is not read, and not waited for. */
static void test_large_sets(void **state)
{
    (void)state;
    nft("add table ip foreign");
    nft("add chain ip foreign post { type nat hook postrouting priority 7; }");
    nft("add set ip foreign nets { type ipv4_addr; flags interval; }");
    nft("add rule ip foreign post ip saddr @nets masquerade");
    for (int i = 0; i < 20; i++) {
        char elements[4096];
        size_t at = 0;

        for (int k = 0; k < 100; k++)
            at += (size_t)snprintf(
                    elements + at, sizeof elements - at, "%s10.%d.%d.0/28", k ? "," : "", i, k);
        nft("add element ip foreign nets { %s }", elements);
    }
    assert_int_equal(ask(AF_INET, "POSTROUTING"), 1);
    assert_int_equal(seen[0].needs.from.family, AF_UNSPEC);
    assert_non_null(strstr(seen[0].text, "ip saddr @nets masquerade (ip foreign post, "));
    assert_int_equal(ask(AF_INET, "POSTROUTING"), 1);
}

static void add_many(const char *chain, const char *rule, int n)
{
    char path[] = "/tmp/nsh-rules-XXXXXX", command[64];
    nsh_autoclose int fd = mkstemp(path);
    FILE *f = fdopen(dup(fd), "w");

    assert_non_null(f);
    for (int i = 0; i < n; i++)
        fprintf(f, "add rule ip foreign %s %s\n", chain, rule);
    assert_int_equal(fclose(f), 0);
    snprintf(command, sizeof command, "-f%s", path);
    nft("%s", command);
    unlink(path);
}

/* So many are looked at, and then it is said that there are more. */
static void test_too_many(void **state)
{
    (void)state;
    nft("add table ip foreign");
    nft("add chain ip foreign other");
    nft("add chain ip foreign post { type nat hook postrouting priority 7; }");
    nft("add rule ip foreign post jump other");
    add_many("other", "oifname eth7 counter accept", NSH_NFT_RULES_MAX - 2);
    nft("add rule ip foreign other masquerade");
    expect(AF_INET, "POSTROUTING", 1, "masquerade (ip foreign other, ");
    assert_false(seen[0].unjudged);
    nft("insert rule ip foreign other accept");
    expect(AF_INET, "POSTROUTING", 1, "more than 4096 rules");
    assert_true(seen[0].unjudged);
    nft("insert rule ip foreign post masquerade");
    expect(AF_INET, "POSTROUTING", 2, "masquerade (ip foreign post, ");
    assert_true(seen[1].unjudged);
    nft("flush chain ip foreign other");
    nft("flush chain ip foreign post");
    add_many("post", "jump other", 300); /* as many ways into one chain */
    expect(AF_INET, "POSTROUTING", 1, "more than 299 rules");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_fresh, world_done)

int main(void)
{
    const struct CMUnitTest tests[] = {
            TEST(test_texts),
            TEST(test_order),
            TEST(test_jumps),
            TEST(test_large_sets),
            TEST(test_too_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
