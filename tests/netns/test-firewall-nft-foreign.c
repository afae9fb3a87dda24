/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How rules of others are read: as values where addresses are translated, and as what becomes of a
 * packet where it is forwarded. What is not understood is said to be so, and never guessed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "firewall-nft.h"
#include "newer.h"
#include "nft-world.h"

static int fresh(void **state)
{
    if (world_fresh(state) != 0)
        return -1;
    return run("ip", "link add eth0 type veth peer name eth1", NULL, 0);
}

/* ---- as values ---- */

static const struct {
    const char *chain, *rule, *text;
} readings[] = {
        {"ip foreign post", "masquerade", "-j MASQUERADE"},
        {"ip foreign post", "oif eth0 masquerade", "-o eth0 -j MASQUERADE"},
        {"ip foreign post", "oifname != eth0 masquerade", "-j MASQUERADE but-o eth0 -j RETURN"},
        {"ip foreign post", "oifname \"eth*\" masquerade", "-o eth+ -j MASQUERADE"},
        {"ip foreign post", "oifname \"a+\" masquerade",
                "-j MASQUERADE; not understood: a device's name"},
        {"ip foreign post", "oifname eth0 oifname eth1 masquerade",
                "-o eth0 -j MASQUERADE; not understood: a device's name"},
        {"ip foreign post", "oifname { eth0, eth1 } masquerade",
                "-j MASQUERADE, out eth0, out eth1"},
        {"ip foreign post", "oifname != { eth0, eth1 } masquerade",
                "-j MASQUERADE, not out eth0, not out eth1"},
        {"ip foreign pre", "iifname { eth0, eth1 } tcp dport 80 dnat to 10.0.0.1",
                "-p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.1, in eth0, in eth1"},
        {"ip foreign pre", "iifname != { eth0, eth1 } tcp dport 80 dnat to 10.0.0.1",
                "-p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.1; not understood: what "
                "is in a set"},
        {"ip foreign post", "oifname { eth0, \"a+\" } masquerade",
                "-j MASQUERADE, out ; not understood: what is in a set"},
        {"ip foreign post", "ip saddr 10.1.0.0/16 ip saddr 10.1.1.1 masquerade",
                "-s 10.1.0.0/16 -j MASQUERADE; not understood: an address"},
        {"ip foreign post", "ip saddr & 255.0.255.0 == 10.0.1.0 masquerade",
                "-j MASQUERADE; not understood: an address"},
        {"ip foreign post", "ip saddr != 10.1.0.0/16 ip daddr 10.2.0.1 masquerade",
                "-d 10.2.0.1/32 -j MASQUERADE but-s 10.1.0.0/16 -j RETURN"},
        {"ip foreign post", "ip saddr { 10.1.0.0/16, 10.2.0.1 } masquerade",
                "-j MASQUERADE, from 10.1.0.0/16, from 10.2.0.1"},
        {"ip foreign post", "ip daddr != { 10.1.0.0/16, 10.2.0.1 } masquerade",
                "-j MASQUERADE, not to 10.1.0.0/16, not to 10.2.0.1"},
        {"ip foreign post", "ip saddr { 10.1.0.1-10.1.0.2, 10.2.0.1-10.2.0.4 } masquerade",
                "-j MASQUERADE, from 10.1.0.0/30; not understood: what is in a set"},
        {"ip foreign post",
                "ip saddr { 10.1.0.0/16, 10.2.0.1 } ip saddr { 10.1.0.0/16, 10.2.0.1 } masquerade",
                "-j MASQUERADE, from 10.1.0.0/16, from 10.2.0.1; not understood: what is in a set"},
        {"ip foreign post", "ip saddr 10.1.0.1-10.1.0.2 masquerade",
                "-j MASQUERADE; not understood: the match 'of a device or port'"},
        {"ip foreign post", "ip saddr @nets masquerade",
                "-j MASQUERADE; not understood: the set '@nets'"},
        {"ip foreign post", "ip saddr . ip daddr { 10.1.0.1 . 10.1.0.2 } masquerade",
                "-j MASQUERADE; not understood: a map, or a set of several fields"},
        {"ip foreign post", "udp sport 1000-2000 masquerade to :3000-4000 random",
                "-p udp -m udp --sport 1000:2000 -j MASQUERADE --to-ports 3000-4000 --random"},
        {"ip foreign post", "udp sport != 1000-2000 masquerade fully-random",
                "-p udp -j MASQUERADE --random-fully; not understood: the match 'of a device or "
                "port'"},
        {"ip foreign post", "udp sport < 1000 masquerade",
                "-p udp -j MASQUERADE; not understood: its ports"},
        {"ip foreign post", "udp sport 1000 udp sport 1001 masquerade",
                "-p udp -m udp --sport 1000 -j MASQUERADE; not understood: its ports"},
        {"ip foreign post", "udp sport { 1000, 2000-2001 } masquerade persistent",
                "-p udp -j MASQUERADE --persistent, from port 1000-1000, from port 2000-2001"},
        {"ip foreign post", "udp dport { 1000, 2000 } udp dport { 1000, 2000 } masquerade",
                "-p udp -j MASQUERADE, to port 1000-1000, to port 2000-2000; not understood: what "
                "is in a set"},
        {"ip foreign post", "udp dport != { 1000, 2000 } masquerade",
                "-p udp -j MASQUERADE; not understood: what is in a set"},
        {"ip foreign post", "ip protocol udp masquerade", "-p udp -j MASQUERADE"},
        {"ip foreign post", "meta l4proto tcp meta l4proto udp masquerade",
                "-p udp -j MASQUERADE; not understood: its second protocol"},
        {"ip foreign post", "meta mark 0x1 masquerade", "-m mark --mark 0x1 -j MASQUERADE"},
        {"ip foreign post", "meta mark & 0xff == 0x1 meta mark 0x2 masquerade",
                "-m mark --mark 0x2 -j MASQUERADE; not understood: its second mark"},
        {"ip foreign post", "meta mark != 0x1 masquerade",
                "-j MASQUERADE; not understood: the match 'of a device or port'"},
        {"ip foreign post", "meta mark set 0x1 masquerade",
                "-j MASQUERADE; not understood: the statement 'meta ... set'"},
        {"ip foreign post", "meta skuid 0 masquerade",
                "-j MASQUERADE; not understood: the match 'meta'"},
        {"ip foreign post", "ip dscp set cs1 masquerade",
                "-j MASQUERADE; not understood: what it writes into the packet"},
        {"ip foreign post", "ct mark set 0x1 masquerade",
                "-j MASQUERADE; not understood: the statement 'ct ... set'"},
        {"ip foreign post", "ip saddr 10.1.0.0/16 drop", "-s 10.1.0.0/16 -j DROP"},
        {"ip foreign post", "ip saddr 10.1.0.0/16 return", "-s 10.1.0.0/16 -j RETURN"},
        {"ip foreign post", "ip saddr 10.1.0.0/16 accept", "-s 10.1.0.0/16 -j ACCEPT"},
        {"ip foreign post", "ip saddr 10.1.0.0/16 jump other",
                "-s 10.1.0.0/16 (another rule), leads to other; not understood: the chain that it "
                "leads to"},
        {"ip foreign post", "ip saddr 10.1.0.0/16 goto other",
                "-s 10.1.0.0/16 (another rule), leads to other; not understood: the chain that it "
                "leads to"},
        {"ip foreign post", "ip saddr 10.1.0.0/16 continue",
                "-s 10.1.0.0/16 (another rule); not understood: its verdict"},
        {"ip foreign post", "ip saddr 10.1.0.0/16 limit rate 1/second masquerade",
                "-s 10.1.0.0/16 -j MASQUERADE; not understood: 'limit'"},
        {"ip foreign post",
                "ip protocol tcp ip saddr 10.1.0.0/16 snat to 192.0.2.1-192.0.2.4:2000-3000 "
                "persistent",
                "-s 10.1.0.0/16 -p tcp -j SNAT --to-source 192.0.2.1-192.0.2.4:2000-3000 "
                "--persistent"},
        {"ip foreign post", "ip saddr 10.1.0.0/16 snat to ip saddr map { 10.1.0.1 : 192.0.2.1 }",
                "-s 10.1.0.0/16 -j SNAT --to-source 0.0.0.0; not understood: a map, or a set of "
                "several fields"},
        {"ip foreign post", "ip saddr 10.1.0.0/24 snat prefix to 192.0.2.0/24",
                "-s 10.1.0.0/24 -j NETMAP --to 192.0.2.0/24"},
        {"ip foreign post", "ip protocol tcp snat to :1000-2000",
                "-p tcp -j SNAT; not understood: how it translates"},
        {"ip foreign pre", "tcp dport 80 dnat to 10.0.0.1:8080",
                "-p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.1:8080"},
        {"ip foreign pre", "tcp dport 80 redirect to :8080",
                "-p tcp -m tcp --dport 80 (another rule); not understood: 'redir'"},
        {"inet both post", "meta nfproto ipv4 oif eth0 masquerade", "-o eth0 -j MASQUERADE"},
        {"inet both post", "meta nfproto ipv6 oif eth0 masquerade", ""},
        {"inet both post", "ip protocol tcp snat ip to 192.0.2.1",
                "-p tcp -j SNAT --to-source 192.0.2.1"},
        {"inet both post", "meta l4proto tcp snat ip6 to 2001:db8::1", ""},
};

/* What is in the lists, and what is not understood. */
static int tell(void *userdata, const struct nsh_foreign_rule *f)
{
    FILE *to = userdata;
    char text[NSH_PACKET_RULE_TEXT];
    const struct nsh_packet_rule nothing = {0};

    fprintf(to, "%s", nsh_packet_rule_format(&f->needs, text, sizeof text));
    if (!nsh_packet_rule_equal(&f->spares, &nothing))
        fprintf(to, " but%s", nsh_packet_rule_format(&f->spares, text, sizeof text));
    for (size_t i = 0; i < f->from.n; i++)
        fprintf(to, ", from %s", nsh_prefix_format(&f->from.items[i], text));
    for (size_t i = 0; i < f->to.n; i++)
        fprintf(to, ", to %s", nsh_prefix_format(&f->to.items[i], text));
    for (size_t i = 0; i < f->except_from.n; i++)
        fprintf(to, ", not from %s", nsh_prefix_format(&f->except_from.items[i], text));
    for (size_t i = 0; i < f->except_to.n; i++)
        fprintf(to, ", not to %s", nsh_prefix_format(&f->except_to.items[i], text));
    for (size_t i = 0; i < f->in.n; i++)
        fprintf(to, ", in %s", f->in.items[i]);
    for (size_t i = 0; i < f->out.n; i++)
        fprintf(to, ", out %s", f->out.items[i]);
    for (size_t i = 0; i < f->except_out.n; i++)
        fprintf(to, ", not out %s", f->except_out.items[i]);
    for (size_t i = 0; i < f->source_ports.n; i++)
        fprintf(to, ", from port %u-%u", f->source_ports.items[i].first,
                f->source_ports.items[i].last);
    for (size_t i = 0; i < f->destination_ports.n; i++)
        fprintf(to, ", to port %u-%u", f->destination_ports.items[i].first,
                f->destination_ports.items[i].last);
    if (f->leads[0])
        fprintf(to, ", leads to %s", f->leads);
    if (f->why[0])
        fprintf(to, "; not understood: %s", f->why);
    return 0;
}

static void test_each_rule_as_a_value(void **state)
{
    (void)state;
    nft("add table ip foreign");
    nft("add chain ip foreign other");
    nft("add set ip foreign nets { type ipv4_addr; flags interval; elements = { 10.7.0.0/16 }; }");
    nft("add chain ip foreign post { type nat hook postrouting priority 7; }");
    nft("add chain ip foreign pre { type nat hook prerouting priority 7; }");
    nft("add table inet both");
    nft("add chain inet both post { type nat hook postrouting priority 8; }");
    for (size_t i = 0; i < NSH_ARRAY_SIZE(readings); i++) {
        char *text = NULL;
        size_t size;
        FILE *to = open_memstream(&text, &size);

        assert_non_null(to);
        nft("add rule %s %s", readings[i].chain, readings[i].rule);
        assert_int_equal(fw->ops->foreign(fw, AF_INET, tell, to), 0);
        nft("flush chain %s", readings[i].chain);
        fclose(to);
        if (strcmp(text, readings[i].text) != 0)
            fail_msg("%s is read as '%s'", readings[i].rule, text);
        free(text);
    }
}

/* ---- as what becomes of a packet ---- */

static const struct {
    const char *rules; /* with a | between them */
    int drops, named;
} verdicts[] = {
        {"iif eth1 drop", 1, 0},
        {"iif != eth1 drop", 0, 0},
        {"oif eth0 drop", 1, 0},
        {"oif lo drop", 0, 0},
        {"iifname eth1 oifname eth0 drop", 1, 0},
        {"iifname eth1 continue | drop", 1, 0},
        {"tcp dport < 444 drop", 1, 1},
        {"tcp dport < 443 drop", 0, 0},
        {"tcp dport <= 443 drop", 1, 1},
        {"tcp dport <= 442 drop", 0, 0},
        {"tcp dport > 442 drop", 1, 0},
        {"tcp dport > 443 drop", 0, 0},
        {"tcp dport >= 443 drop", 1, 0},
        {"tcp dport >= 444 drop", 0, 0},
        {"tcp dport >= 0 drop", 1, 0},
        {"tcp dport <= 65535 drop", 1, 0},
        {"tcp dport 400-500 drop", 1, 1},
        {"tcp dport != 1-100 drop", 1, 0},
        {"tcp dport != 400-500 drop", 0, 0},
        {"tcp dport { 22, 400-500 } drop", 1, 1},
        {"tcp dport != { 22, 400-500 } drop", 0, 0},
        {"tcp dport vmap { 22 : accept, 443 : drop }", 1, 1},
        {"tcp dport vmap { 443 : accept } | drop", 0, 0},
        {"tcp dport vmap { 443 : continue } | drop", 1, 0},
        {"ip saddr 10.0.0.0-10.0.0.9 drop", 1, 1},
        {"ip saddr 10.0.0.0/8 drop", 1, 1},
        {"ip saddr & 255.0.0.255 == 10.0.0.5 drop", 1, 1},
        {"ip saddr @nets drop", 0, 0},
        {"ip protocol tcp drop", 1, 0},
        {"ip protocol udp drop", 0, 0},
        {"meta l4proto tcp drop", 1, 0},
        {"meta l4proto { icmp, tcp } drop", 1, 0},
        {"ct state new drop", 1, 0},
        {"ct state established drop", 0, 0},
        {"meta mark 1 drop", 0, 0},
        {"meta skuid 0 drop", 0, 0},
        {"jump other | drop", 1, 0},
        {"goto other | drop", 0, 0},
        {"reject", 1, 0},
        {"reject with tcp reset", 1, 0},
        {"tcp dport 443 reject with icmp type host-unreachable", 1, 1},
};

static void add_rules(const char *rules)
{
    char copy[256], *rest = copy;

    snprintf(copy, sizeof copy, "%s", rules);
    for (const char *rule; (rule = strsep(&rest, "|"));)
        nft("add rule ip foreign forward %s", rule);
}

static void test_each_rule_as_a_verdict(void **state)
{
    struct nsh_forward_path path = {
            .in = "eth1", .out = "eth0", .protocol = IPPROTO_TCP, .to_port = {443, 443}};

    (void)state;
    assert_int_equal(nsh_prefix_parse("10.0.0.5", &path.from), NSH_PREFIX_OK);
    assert_int_equal(nsh_prefix_parse("192.0.2.1", &path.to), NSH_PREFIX_OK);
    nft("add table ip foreign");
    nft("add chain ip foreign other");
    nft("add rule ip foreign other counter return");
    nft("add set ip foreign nets { type ipv4_addr; flags interval; elements = { 10.7.0.0/16 }; }");
    nft("add chain ip foreign forward { type filter hook forward priority 0; }");
    for (size_t i = 0; i < NSH_ARRAY_SIZE(verdicts); i++) {
        struct nsh_forward_drop drop = {0};
        int drops;

        add_rules(verdicts[i].rules);
        drops = fw->ops->drops(fw, AF_INET, &path, &path, &drop);
        nft("flush chain ip foreign forward");
        drops = drops > 0 && drop.doubtful ? 0 : drops; /* it only may */
        if (drops != verdicts[i].drops || drop.named != verdicts[i].named)
            fail_msg("%s: %d, named %d", verdicts[i].rules, drops, drop.named);
    }
}

/* One with a comment stands for one of a newer nftables. */
int __real_nftnl_rule_nlmsg_parse(const struct nlmsghdr *nlh, struct nftnl_rule *rule);
int __wrap_nftnl_rule_nlmsg_parse(const struct nlmsghdr *nlh, struct nftnl_rule *rule);

int __wrap_nftnl_rule_nlmsg_parse(const struct nlmsghdr *nlh, struct nftnl_rule *rule)
{
    int r = __real_nftnl_rule_nlmsg_parse(nlh, rule);

    return r >= 0 && nftnl_rule_is_set(rule, NFTNL_RULE_USERDATA) ? -1 : r;
}

/* 1: it does drop; 0: it may, of which nobody says that it passes. -1: it does not. */
static const struct {
    const char *rules;
    int outcome;
} unknowns[] = {
        {"counter comment new", 0},
        {"counter | counter comment new | accept", 0},
        {"jump newer | accept", 0},
        {"accept | counter comment new", -1},
        {"drop | counter comment new", 1},
        {"counter comment new | drop", 1},
        {"udp dport 53 counter | accept", -1},
};

static void test_rules_that_say_nothing(void **state)
{
    struct nsh_forward_path path = {
            .in = "eth1", .out = "eth0", .protocol = IPPROTO_TCP, .to_port = {443, 443}};

    (void)state;
    nft("add table ip foreign");
    nft("add chain ip foreign newer");
    nft("add rule ip foreign newer counter comment new");
    nft("add chain ip foreign forward { type filter hook forward priority 0; }");
    for (size_t i = 0; i < NSH_ARRAY_SIZE(unknowns); i++) {
        struct nsh_forward_drop drop = {0};
        int drops;

        add_rules(unknowns[i].rules);
        drops = fw->ops->drops(fw, AF_INET, &path, &path, &drop);
        nft("flush chain ip foreign forward");
        if ((drops <= 0 ? -1 : !drop.doubtful) != unknowns[i].outcome)
            fail_msg("%s: %d, doubtful %d", unknowns[i].rules, drops, drop.doubtful);
    }
}

/* ---- as older kernels answer ---- */

static bool refuses_catchall; /* as before Linux 5.13 */
static unsigned int refused;

int __real_nsh_nft_ask(struct nsh_nft_channel *c, const struct nlmsghdr *m,
        int (*take)(const struct nlmsghdr *answer, void *userdata), void *userdata);
int __wrap_nsh_nft_ask(struct nsh_nft_channel *c, const struct nlmsghdr *m,
        int (*take)(const struct nlmsghdr *answer, void *userdata), void *userdata);

static bool asks_for_catchall(const struct nlmsghdr *m)
{
    struct nftnl_set *s = nftnl_set_alloc();
    struct nftnl_set_elems_iter *iter;
    struct nftnl_set_elem *e;
    bool asks = false;

    if ((m->nlmsg_type & 0xff) == NFT_MSG_GETSETELEM && nftnl_set_elems_nlmsg_parse(m, s) == 0) {
        iter = nftnl_set_elems_iter_create(s);
        e = nftnl_set_elems_iter_next(iter);
        asks = e && nftnl_set_elem_is_set(e, NFTNL_SET_ELEM_FLAGS) &&
               (nftnl_set_elem_get_u32(e, NFTNL_SET_ELEM_FLAGS) & NSH_NFT_SET_ELEM_CATCHALL);
        nftnl_set_elems_iter_destroy(iter);
    }
    nftnl_set_free(s);
    return asks;
}

int __wrap_nsh_nft_ask(struct nsh_nft_channel *c, const struct nlmsghdr *m,
        int (*take)(const struct nlmsghdr *answer, void *userdata), void *userdata)
{
    if (!refuses_catchall || !asks_for_catchall(m))
        return __real_nsh_nft_ask(c, m, take, userdata);
    refused++;
    return -EINVAL;
}

/* A set that has no such element for certain holds what is in it, and nothing else. */
static void test_sets_without_catchall(void **state)
{
    struct nsh_forward_path path = {
            .in = "eth1", .out = "eth0", .protocol = IPPROTO_TCP, .to_port = {443, 443}};
    struct nsh_forward_drop drop = {0};

    (void)state;
    nft("add table ip foreign");
    nft("add set ip foreign wans { type ifname; elements = { eth7, eth8 }; }");
    nft("add chain ip foreign forward { type filter hook forward priority 0; }");
    nft("add rule ip foreign forward oifname @wans drop");
    refuses_catchall = true;
    assert_int_equal(fw->ops->drops(fw, AF_INET, &path, &path, &drop), 0);
    assert_true(refused > 0);
    nft("add element ip foreign wans { eth0 }");
    assert_int_equal(fw->ops->drops(fw, AF_INET, &path, &path, &drop), 1);
    assert_false(drop.doubtful);
    refuses_catchall = false;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_each_rule_as_a_value, fresh, world_done),
            cmocka_unit_test_setup_teardown(test_each_rule_as_a_verdict, fresh, world_done),
            cmocka_unit_test_setup_teardown(test_rules_that_say_nothing, fresh, world_done),
            cmocka_unit_test_setup_teardown(test_sets_without_catchall, fresh, world_done),
    };

    if (geteuid() != 0) {
        fprintf(stderr, "skipped: needs root\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
