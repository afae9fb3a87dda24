/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a chain lets through, as packets that others may drop; what their matches say of these; and
 * the commands that help.
 */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/xt_CT.h>
#include <linux/netfilter/xt_conntrack.h>
#include <linux/netfilter/xt_iprange.h>
#include <linux/netfilter/xt_mark.h>
#include <linux/netfilter/xt_rpfilter.h>
#include <linux/netfilter/xt_set.h>
#include <linux/netfilter/xt_tcpudp.h>

#include "cleanup.h"
#include "firewall-nft.h"
#include "forward-drop.h"

static const struct nsh_forward_path out_of_lan = {.in = "eth1", .out = "eth0"};
static const struct nsh_forward_path back_in = {.in = "eth0", .out = "eth1", .reply = true};

static struct nsh_prefix prefix(const char *text)
{
    struct nsh_prefix p;

    assert_int_equal(nsh_prefix_parse(text, &p), NSH_PREFIX_OK);
    return p;
}

static struct nsh_forward_path to_server(const char *device)
{
    struct nsh_forward_path p = {.translated = true,
            .to = prefix("192.168.1.10"),
            .protocol = IPPROTO_TCP,
            .to_port = {8443, 8443}};

    memcpy(p.in, device, strlen(device));
    return p;
}

static void assert_fix(enum nsh_forward_tool tool, const char *where,
        const struct nsh_forward_path *paths, size_t n, const char *text)
{
    char buf[sizeof((struct nsh_forward_drop){0}.fix)];

    nsh_forward_fix(tool, where, paths, n, buf, sizeof buf);
    assert_string_equal(buf, text);
}

static void test_what_helps_a_share(void **state)
{
    const struct nsh_forward_path paths[] = {out_of_lan, back_in};

    (void)state;
    assert_fix(NSH_FORWARD_NFT, "inet mine passing", paths, 2,
            "run: nft 'insert rule inet mine passing iifname \"eth1\" oifname \"eth0\" accept' && "
            "nft 'insert rule inet mine passing iifname \"eth0\" oifname \"eth1\" ct state "
            "established,related accept'");
    assert_fix(NSH_FORWARD_IPTABLES, "iptables-nft -I FORWARD", paths, 2,
            "run: iptables-nft -I FORWARD -i eth1 -o eth0 -j ACCEPT && iptables-nft -I FORWARD -i "
            "eth0 -o eth1 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT");
    assert_fix(NSH_FORWARD_FIREWALLD, "", paths, 2,
            "run: firewall-cmd --permanent --zone=trusted --add-interface=eth1 && firewall-cmd "
            "--reload");
    assert_fix(NSH_FORWARD_OWNER, "process 7", paths, 1,
            "only process 7 can change it, which has to add 'iifname \"eth1\" oifname \"eth0\" "
            "accept'");
}

/* Names are anybody's bytes, and somebody is told to run it as root. */
static void test_what_does_not_belong_in_a_command(void **state)
{
    static const char *const names[] = {
            "a;b", "$(a)", "a'b", "a b", "-a", "`a`", "a\nb", "\xc3\xa4"};
    static const char by_hand[] =
            "accept it there by hand: a name has characters that do not belong in a command";

    (void)state;
    assert_fix(NSH_FORWARD_BY_HAND, "", &out_of_lan, 1, by_hand);
    for (size_t i = 0; i < NSH_ARRAY_SIZE(names); i++)
        for (int tool = NSH_FORWARD_FIREWALLD; tool <= NSH_FORWARD_OWNER; tool++) {
            struct nsh_forward_path paths[] = {out_of_lan, back_in};

            assert_false(nsh_forward_is_plain(names[i]));
            memset(paths[1].out, 0, sizeof paths[1].out);
            memcpy(paths[1].out, names[i], strlen(names[i]));
            assert_fix((enum nsh_forward_tool)tool, "x", paths, 2, by_hand);
        }
    assert_true(nsh_forward_is_plain("br-lan.7"));
    assert_true(nsh_forward_is_plain("wan+"));
}

static void test_chains_of_any_name(void **state)
{
    static const struct {
        struct nsh_nft_base base;
        const char *what;
    } cases[] = {
            {{.family = NFPROTO_INET, .table = "a", .name = "b"}, "nftables chain inet a b"},
            {{.family = NFPROTO_INET, .table = "a", .name = "x; run: id #"}, NULL},
            {{.family = NFPROTO_INET, .table = "firewalld", .name = "x; run: id #"}, NULL},
            {{.family = NFPROTO_INET, .table = "x; run: id #", .name = "b", .owner = 7}, NULL},
    };
    struct nsh_forward_drop drop;

    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(cases); i++) {
        nsh_nft_base_explain(&cases[i].base, &out_of_lan, 1, &drop);
        assert_string_equal(drop.what,
                cases[i].what ? cases[i].what
                              : "nftables chain of family inet, whose name is no plain word,");
        assert_null(strstr(drop.fix, "id #"));
    }
}

/* The devices by which it comes in are no part of what helps, and not to be trusted. */
static void test_what_helps_a_port_forward(void **state)
{
    const struct nsh_forward_path paths[] = {to_server("eth0"), to_server("ppp0")};

    (void)state;
    assert_fix(NSH_FORWARD_NFT, "ip mine passing", paths, 2,
            "run: nft 'insert rule ip mine passing ip daddr 192.168.1.10 tcp dport 8443 ct status "
            "dnat accept'");
    assert_fix(NSH_FORWARD_IPTABLES, "iptables-legacy -w -I FORWARD", paths, 2,
            "run: iptables-legacy -w -I FORWARD -d 192.168.1.10/32 -p tcp -m tcp --dport 8443 -m "
            "conntrack --ctstate DNAT -j ACCEPT");
    assert_fix(NSH_FORWARD_FIREWALLD, "", paths, 2,
            "run: firewall-cmd --permanent --new-policy netshared && firewall-cmd --permanent "
            "--policy netshared --add-ingress-zone ANY --add-egress-zone ANY --add-rich-rule 'rule "
            "family=ipv4 destination address=192.168.1.10 port port=8443 protocol=tcp accept' && "
            "firewall-cmd --reload");
}

/* No room for a word is no room for a part of it. */
static void test_there_is_no_room(void **state)
{
    const struct nsh_forward_path paths[] = {out_of_lan, back_in};
    char whole[640], buf[640];

    (void)state;
    nsh_forward_fix(NSH_FORWARD_NFT, "ip a b", paths, 2, whole, sizeof whole);
    for (size_t size = 16; size < sizeof buf; size++) {
        nsh_forward_fix(NSH_FORWARD_NFT, "ip a b", paths, 2, buf, size);
        assert_true(strlen(buf) < size);
        assert_memory_equal(buf, whole, strlen(buf));
        assert_true(strlen(buf) <= 5 || buf[strlen(buf) - 1] == '\'');
    }
}

static void test_paths_of_a_port_forward(void **state)
{
    const struct nsh_packet_rule entries[] = {
            {.in = "eth0", .destination_port = {443, 443}, .action = NSH_PACKET_DNAT},
            {.in = "eth0", .destination_port = {444, 444}, .action = NSH_PACKET_DNAT},
            {.in = "ppp0", .destination_port = {443, 443}, .action = NSH_PACKET_DNAT},
            {.destination_port = {443, 443}, .action = NSH_PACKET_DNAT}, /* from inside */
    };
    const struct nsh_packet_rule accepts[] = {
            {.to = prefix("192.168.1.10"),
                    .protocol = IPPROTO_TCP,
                    .destination_port = {8443, 8443},
                    .translated = true,
                    .action = NSH_PACKET_ACCEPT},
            {.from = prefix("192.168.1.10"),
                    .protocol = IPPROTO_TCP,
                    .source_port = {8443, 8443},
                    .translated = true,
                    .action = NSH_PACKET_ACCEPT},
    };
    const struct nsh_chain entry = {.kind = NSH_POLICY_PORT_FORWARD,
                                   .rules = entries,
                                   .n_rules = 4},
                           chain = {
                                   .kind = NSH_POLICY_PORT_FORWARD, .rules = accepts, .n_rules = 2};
    struct nsh_forward_path paths[8];

    (void)state;
    assert_int_equal(nsh_forward_paths(&chain, NULL, paths, 8), 0);
    assert_int_equal(nsh_forward_paths(&chain, &entry, paths, 3), 3);
    assert_int_equal(nsh_forward_paths(&chain, &entry, paths, 8), 4);
    assert_string_equal(paths[0].in, "eth0");
    assert_string_equal(paths[0].out, "");
    assert_false(paths[0].reply);
    assert_int_equal(nsh_forward_port(&paths[0].to_port), 8443);
    assert_string_equal(paths[1].out, "eth0");
    assert_true(paths[1].reply);
    assert_string_equal(paths[2].in, "ppp0");
}

static enum nsh_certainty conntrack(
        uint16_t states, bool inverted, uint16_t more, const struct nsh_forward_path *p)
{
    struct xt_conntrack_mtinfo3 m = {
            .match_flags = (uint16_t)(XT_CONNTRACK_STATE | more), .state_mask = states};

    if (inverted)
        m.invert_flags = XT_CONNTRACK_STATE;
    return nsh_forward_xt_match("conntrack", 3, &m, sizeof m, p);
}

static void test_conntrack(void **state)
{
    const uint16_t old = XT_CONNTRACK_STATE_BIT(IP_CT_ESTABLISHED),
                   new = XT_CONNTRACK_STATE_BIT(IP_CT_NEW);
    const struct nsh_forward_path led = to_server("eth0");

    (void)state;
    assert_int_equal(conntrack(old, false, 0, &out_of_lan), NSH_NO);
    assert_int_equal(conntrack(old, false, 0, &back_in), NSH_YES);
    assert_int_equal(conntrack(new, false, 0, &out_of_lan), NSH_YES);
    assert_int_equal(conntrack(new, true, 0, &out_of_lan), NSH_NO);
    assert_int_equal(conntrack(XT_CONNTRACK_STATE_DNAT, false, 0, &out_of_lan), NSH_NO);
    assert_int_equal(conntrack(XT_CONNTRACK_STATE_DNAT, false, 0, &led), NSH_YES);
    assert_int_equal(conntrack(new, false, XT_CONNTRACK_ORIGSRC, &out_of_lan), NSH_MAYBE);
    assert_int_equal(nsh_forward_xt_match("conntrack", 1, NULL, 0, &out_of_lan), NSH_MAYBE);
}

static enum nsh_certainty tcp(uint16_t first, uint16_t last, uint8_t inverted, uint8_t flags,
        const struct nsh_forward_path *p)
{
    struct xt_tcp m = {.spts = {0, UINT16_MAX},
            .dpts = {first, last},
            .invflags = inverted,
            .flg_mask = flags};

    return nsh_forward_xt_match("tcp", 0, &m, sizeof m, p);
}

static void test_ports(void **state)
{
    const struct nsh_forward_path led = to_server("eth0");
    struct nsh_forward_path by_udp = led;

    (void)state;
    assert_int_equal(tcp(0, UINT16_MAX, 0, 0, &out_of_lan), NSH_YES);
    assert_int_equal(tcp(22, 80, 0, 0, &out_of_lan), NSH_NO);
    assert_int_equal(tcp(22, 80, XT_TCP_INV_DSTPT, 0, &out_of_lan), NSH_YES);
    assert_int_equal(tcp(8443, 8443, 0, 0, &led), NSH_YES);
    assert_int_equal(tcp(8443, 8443, XT_TCP_INV_DSTPT, 0, &led), NSH_NO);
    assert_int_equal(tcp(0, UINT16_MAX, 0, 2, &led), NSH_MAYBE);
    by_udp.protocol = IPPROTO_UDP;
    assert_int_equal(tcp(8443, 8443, 0, 0, &by_udp), NSH_NO);
}

/* What is known of a packet that somebody asks about, and of no other. */
static void test_opening(void **state)
{
    struct nsh_forward_path p = to_server("eth0");
    struct xt_tcp syn = {.spts = {0, UINT16_MAX},
            .dpts = {0, UINT16_MAX},
            .flg_mask = TH_SYN | TH_ACK,
            .flg_cmp = TH_SYN};

    (void)state;
    p.opening = true;
    assert_int_equal(nsh_forward_xt_match("tcp", 0, &syn, sizeof syn, &p), NSH_YES);
    syn.invflags = XT_TCP_INV_FLAGS;
    assert_int_equal(nsh_forward_xt_match("tcp", 0, &syn, sizeof syn, &p), NSH_NO);
    p.reply = true;
    assert_int_equal(nsh_forward_xt_match("tcp", 0, &syn, sizeof syn, &p), NSH_YES);
    p.untracked = true;
    assert_int_equal(conntrack(XT_CONNTRACK_STATE_INVALID, false, 0, &p), NSH_YES);
    assert_int_equal(conntrack(XT_CONNTRACK_STATE_BIT(IP_CT_ESTABLISHED), false, 0, &p), NSH_NO);
}

static void test_pings(void **state)
{
    struct nsh_forward_path p = {.protocol = IPPROTO_ICMP};
    struct {
        uint8_t type, first, last,
                inverted; /* struct ipt_icmp, whose header is at odds with others */
    } m = {ICMP_ECHO, 0, UINT8_MAX, false};

    (void)state;
    assert_int_equal(nsh_forward_xt_match("icmp", 0, &m, sizeof m, &p), NSH_YES);
    m.inverted = true;
    assert_int_equal(nsh_forward_xt_match("icmp", 0, &m, sizeof m, &p), NSH_NO);
    p.reply = true;
    assert_int_equal(nsh_forward_xt_match("icmp", 0, &m, sizeof m, &p), NSH_YES);
    p.protocol = IPPROTO_ICMPV6;
    m.type = ICMP6_ECHO_REPLY;
    m.inverted = false;
    assert_int_equal(nsh_forward_xt_match("icmp6", 0, &m, sizeof m, &p), NSH_YES);
}

static void test_mark_and_way_back(void **state)
{
    struct nsh_forward_path p = {.marked = true, .mark = 0x17};
    struct xt_mark_mtinfo1 mark = {.mark = 7, .mask = 0xf};
    struct xt_rpfilter_info back = {.flags = XT_RPFILTER_INVERT};

    (void)state;
    assert_int_equal(nsh_forward_xt_match("mark", 1, &mark, sizeof mark, &p), NSH_YES);
    mark.invert = 1;
    assert_int_equal(nsh_forward_xt_match("mark", 1, &mark, sizeof mark, &p), NSH_NO);
    p.marked = false;
    assert_int_equal(nsh_forward_xt_match("mark", 1, &mark, sizeof mark, &p), NSH_MAYBE);
    assert_int_equal(nsh_forward_xt_match("rpfilter", 0, &back, sizeof back, &p), NSH_MAYBE);
    p.back_known = true;
    assert_int_equal(nsh_forward_xt_match("rpfilter", 0, &back, sizeof back, &p), NSH_YES);
    back.flags |= XT_RPFILTER_LOOSE; /* another way back may do */
    assert_int_equal(nsh_forward_xt_match("rpfilter", 0, &back, sizeof back, &p), NSH_MAYBE);
    p.back = true;
    assert_int_equal(nsh_forward_xt_match("rpfilter", 0, &back, sizeof back, &p), NSH_NO);
}

static void test_targets(void **state)
{
    uint16_t ct = XT_CT_NOTRACK;
    struct xt_set_info_target_v3 set = {.flags = IPSET_FLAG_MAP_SKBPRIO, .add_set.dim = 1};

    (void)state;
    assert_true(nsh_forward_xt_spares("MARK"));
    assert_true(nsh_forward_xt_spares(""));
    assert_false(nsh_forward_xt_spares("TARPIT"));
    assert_int_equal(nsh_forward_xt_effects("CONNMARK", 0, "", 0), NSH_EFFECT(NSH_EFFECT_MARKS));
    assert_int_equal(nsh_forward_xt_effects("DNAT", 0, "", 0), NSH_EFFECT(NSH_EFFECT_LEADS));
    assert_int_equal(
            nsh_forward_xt_effects("CT", 0, &ct, sizeof ct), NSH_EFFECT(NSH_EFFECT_UNTRACKS));
    ct = 0;
    assert_int_equal(nsh_forward_xt_effects("CT", 0, &ct, sizeof ct), 0);
    assert_int_equal(nsh_forward_xt_effects("LOG", 0, "", 0), 0);
    assert_int_equal(nsh_forward_xt_effects("SET", 3, &set, sizeof set), 0);
    assert_int_equal(nsh_forward_xt_effects("SET", 2, "", 0), 0);
    set.flags |= IPSET_FLAG_MAP_SKBMARK;
    assert_int_equal(
            nsh_forward_xt_effects("SET", 3, &set, sizeof set), NSH_EFFECT(NSH_EFFECT_MARKS));
    assert_int_equal(nsh_forward_xt_effects("SET", 3, &set, 4), NSH_EFFECT(NSH_EFFECT_MARKS));
    assert_int_equal(
            nsh_forward_xt_effects("SET", 4, &set, sizeof set), NSH_EFFECT(NSH_EFFECT_MARKS));
}

/* One that drops for certain is told of rather than one that may, and who marks is kept. */
static void test_found(void **state)
{
    struct nsh_forward_drop all = {0}, may = {.doubtful = true, .rule = "may"},
                            does = {.rule = "does"}, marks = {.effects = {"marks"}};

    (void)state;
    assert_false(nsh_forward_found(&all, true, &may));
    assert_false(nsh_forward_found(&all, false, &marks));
    assert_true(all.doubtful);
    assert_string_equal(all.rule, "may");
    assert_true(nsh_forward_found(&all, true, &does));
    assert_string_equal(all.rule, "does");
    assert_string_equal(all.effects[NSH_EFFECT_MARKS], "marks");
}

static void test_other_matches(void **state)
{
    static const struct {
        const char *name;
        enum nsh_certainty share, led;
    } cases[] = {
            {"comment", NSH_YES, NSH_YES},
            {"icmp", NSH_NO, NSH_NO},
            {"multiport", NSH_NO, NSH_MAYBE},
            {"limit", NSH_MAYBE, NSH_MAYBE},
            {"set", NSH_MAYBE, NSH_MAYBE},
    };
    const struct nsh_forward_path led = to_server("eth0");

    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(cases); i++) {
        assert_int_equal(
                nsh_forward_xt_match(cases[i].name, 0, "", 0, &out_of_lan), cases[i].share);
        assert_int_equal(nsh_forward_xt_match(cases[i].name, 0, "", 0, &led), cases[i].led);
    }
    assert_true(nsh_forward_xt_drops("DROP"));
    assert_true(nsh_forward_xt_drops("REJECT"));
    assert_false(nsh_forward_xt_drops("LOG"));
}

/* Of a net all is known but where in it. */
static void test_ranges(void **state)
{
    static const struct {
        const char *first, *last, *net;
        enum nsh_certainty is;
    } cases[] = {
            {"10.0.0.0", "10.0.0.255", "10.0.0.0/24", NSH_YES},
            {"9.0.0.1", "10.0.1.0", "10.0.0.0/24", NSH_YES},
            {"10.0.0.1", "10.0.0.255", "10.0.0.0/24", NSH_MAYBE},
            {"10.0.0.0", "10.0.0.254", "10.0.0.0/24", NSH_MAYBE},
            {"10.0.0.7", "10.0.0.9", "10.0.0.0/24", NSH_MAYBE},
            {"10.0.1.0", "10.0.2.0", "10.0.0.0/24", NSH_NO},
            {"9.0.0.0", "9.255.255.255", "10.0.0.0/24", NSH_NO},
            {"10.0.0.7", "10.0.0.9", "10.0.0.8", NSH_YES},
            {"2001:db8:a::", "2001:db8:a:0:ffff:ffff:ffff:ffff", "2001:db8:a::/64", NSH_YES},
            {"2001:db8:a::1", "2001:db8:a:1::", "2001:db8:a::/64", NSH_MAYBE},
            {"2001:db8:b::1", "2001:db8:c::", "2001:db8:a::/64", NSH_NO},
    };

    (void)state;
    for (size_t i = 0; i < 4 * NSH_ARRAY_SIZE(cases); i++) {
        bool to = i % 4 >= 2, inverted = i % 2;
        struct xt_iprange_mtinfo info = {0};
        struct nsh_forward_path path = {.protocol = IPPROTO_TCP}, other = path;
        enum nsh_certainty is = cases[i / 4].is;
        uint8_t family;

        assert_true(nsh_addr_parse(cases[i / 4].first, &family,
                (union nsh_addr *)(to ? &info.dst_min : &info.src_min)));
        assert_true(nsh_addr_parse(cases[i / 4].last, &family,
                (union nsh_addr *)(to ? &info.dst_max : &info.src_max)));
        assert_int_equal(nsh_prefix_parse(cases[i / 4].net, to ? &path.to : &path.from), 0);
        info.flags = (uint8_t)((to ? IPRANGE_DST : IPRANGE_SRC) |
                               (inverted ? IPRANGE_SRC_INV | IPRANGE_DST_INV : 0));
        assert_int_equal(nsh_forward_xt_match("iprange", 1, &info, sizeof(info), &path),
                inverted ? NSH_YES - is : is);
        assert_int_equal(
                nsh_forward_xt_match("iprange", 1, &info, sizeof(info), &other), NSH_MAYBE);
        assert_int_equal(nsh_forward_xt_match("iprange", 1, &info, 4, &path), NSH_MAYBE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_what_helps_a_share),
            cmocka_unit_test(test_what_does_not_belong_in_a_command),
            cmocka_unit_test(test_chains_of_any_name),
            cmocka_unit_test(test_what_helps_a_port_forward),
            cmocka_unit_test(test_there_is_no_room),
            cmocka_unit_test(test_paths_of_a_port_forward),
            cmocka_unit_test(test_conntrack),
            cmocka_unit_test(test_ports),
            cmocka_unit_test(test_other_matches),
            cmocka_unit_test(test_ranges),
            cmocka_unit_test(test_opening),
            cmocka_unit_test(test_pings),
            cmocka_unit_test(test_mark_and_way_back),
            cmocka_unit_test(test_targets),
            cmocka_unit_test(test_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
