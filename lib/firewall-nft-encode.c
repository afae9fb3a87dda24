/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a rule's value to the expressions nft itself makes of its text, so that `nft list` shows it
 * as text again: matches in the order in which people type them, then `counter`, then what is done.
 * Registers are used as nft uses them: each match loads into the first.
 */
#include "firewall-nft.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libnftnl/expr.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/x_tables.h>
#include <linux/netfilter/xt_conntrack.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TCP_OPTION_MSS 2
#define TCP_SYN_RST 0x06
#define TCP_SYN 0x02
#define STATES (NSH_STATE_INVALID | NSH_STATE_ESTABLISHED | NSH_STATE_RELATED | NSH_STATE_NEW)

struct encoder {
    int family;
    enum nsh_table table;
    bool source;
    const struct nsh_nft_guest_style *guest; /* NULL: in our own table */
    struct nftnl_rule *rule;
    int error;
};

static struct nftnl_expr *add(struct encoder *e, const char *name)
{
    struct nftnl_expr *x = e->error == 0 ? nftnl_expr_alloc(name) : NULL;

    if (x)
        nftnl_rule_add_expr(e->rule, x);
    else if (e->error == 0)
        e->error = -ENOMEM;
    return x;
}

static void refuse(struct encoder *e)
{
    if (e->error == 0)
        e->error = -EINVAL;
}

/* ---- loading and comparing ---- */

static void load(struct encoder *e, const char *name, uint16_t key_attr, uint32_t key,
        uint16_t register_attr)
{
    struct nftnl_expr *x = add(e, name);

    if (!x)
        return;
    nftnl_expr_set_u32(x, key_attr, key);
    nftnl_expr_set_u32(x, register_attr, NFT_REG_1);
}

static void load_meta(struct encoder *e, uint32_t key)
{
    load(e, "meta", NFTNL_EXPR_META_KEY, key, NFTNL_EXPR_META_DREG);
}

static void load_conntrack(struct encoder *e, uint32_t key)
{
    load(e, "ct", NFTNL_EXPR_CT_KEY, key, NFTNL_EXPR_CT_DREG);
}

static void load_route(struct encoder *e, uint32_t key)
{
    load(e, "rt", NFTNL_EXPR_RT_KEY, key, NFTNL_EXPR_RT_DREG);
}

static void load_payload(struct encoder *e, uint32_t base, uint32_t offset, uint32_t length)
{
    struct nftnl_expr *x = add(e, "payload");

    if (!x)
        return;
    nftnl_expr_set_u32(x, NFTNL_EXPR_PAYLOAD_BASE, base);
    nftnl_expr_set_u32(x, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
    nftnl_expr_set_u32(x, NFTNL_EXPR_PAYLOAD_LEN, length);
    nftnl_expr_set_u32(x, NFTNL_EXPR_PAYLOAD_DREG, NFT_REG_1);
}

static void mask(struct encoder *e, const void *bits, uint32_t length)
{
    static const uint8_t none[16];
    struct nftnl_expr *x = add(e, "bitwise");

    if (!x)
        return;
    nftnl_expr_set_u32(x, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
    nftnl_expr_set_u32(x, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
    nftnl_expr_set_u32(x, NFTNL_EXPR_BITWISE_OP, NFT_BITWISE_BOOL);
    nftnl_expr_set_u32(x, NFTNL_EXPR_BITWISE_LEN, length);
    nftnl_expr_set(x, NFTNL_EXPR_BITWISE_MASK, bits, length);
    nftnl_expr_set(x, NFTNL_EXPR_BITWISE_XOR, none, length);
}

static void compare(struct encoder *e, uint32_t operation, const void *data, uint32_t length)
{
    struct nftnl_expr *x = add(e, "cmp");

    if (!x)
        return;
    nftnl_expr_set_u32(x, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
    nftnl_expr_set_u32(x, NFTNL_EXPR_CMP_OP, operation);
    nftnl_expr_set(x, NFTNL_EXPR_CMP_DATA, data, length);
}

static void compare_u32(struct encoder *e, uint32_t operation, uint32_t value)
{
    compare(e, operation, &value, sizeof value);
}

/* ---- matches ---- */

/* "wan+" is compared without its NUL, "eth0" with all of it. */
static void add_device(struct encoder *e, uint32_t key, const char *device)
{
    char name[IFNAMSIZ] = "";
    size_t n = strnlen(device, IFNAMSIZ);

    if (n == IFNAMSIZ)
        refuse(e);
    if (n == 0 || n == IFNAMSIZ || strcmp(device, "+") == 0)
        return;
    memcpy(name, device, n);
    load_meta(e, key);
    compare(e, NFT_CMP_EQ, name, device[n - 1] == '+' ? (uint32_t)n - 1 : IFNAMSIZ);
}

static uint32_t address_offset(int family, bool destination)
{
    if (family == AF_INET6)
        return destination ? 24 : 8;
    return destination ? 16 : 12;
}

/* Whole bytes of a prefix are loaded alone. */
static void add_prefix(struct encoder *e, const struct nsh_prefix *p, bool destination)
{
    uint32_t size = (uint32_t)nsh_addr_size(e->family);
    struct nsh_prefix masked = *p;
    uint8_t bits[16] = {0};

    if (p->family == AF_UNSPEC || p->length == 0)
        return;
    if (p->family != e->family || p->length > size * 8) {
        refuse(e);
        return;
    }
    nsh_prefix_mask(&masked);
    if (p->length % 8 == 0)
        size = p->length / 8;
    load_payload(e, NFT_PAYLOAD_NETWORK_HEADER, address_offset(e->family, destination), size);
    if (p->length % 8 != 0) {
        memset(bits, 0xff, p->length / 8);
        bits[p->length / 8] = (uint8_t)(0xff00U >> (p->length % 8));
        mask(e, bits, size);
    }
    compare(e, NFT_CMP_EQ, masked.addr.bytes, size);
}

static void add_set(struct encoder *e, const char *set, bool destination)
{
    struct nftnl_expr *x;

    if (set[0] == '\0')
        return;
    if (strnlen(set, NSH_SET_NAME) == NSH_SET_NAME) {
        refuse(e);
        return;
    }
    load_payload(e, NFT_PAYLOAD_NETWORK_HEADER, address_offset(e->family, destination),
            (uint32_t)nsh_addr_size(e->family));
    x = add(e, "lookup");
    if (!x)
        return;
    nftnl_expr_set_u32(x, NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
    nftnl_expr_set_str(x, NFTNL_EXPR_LOOKUP_SET, set);
}

static bool is_range(const struct encoder *e, const struct nsh_range *r)
{
    (void)e;
    return r->first != 0 || r->last != 0;
}

static void add_ports(struct encoder *e, const struct nsh_range *r, bool destination)
{
    uint16_t first = htons((uint16_t)r->first), last = htons((uint16_t)r->last);

    if (!is_range(e, r))
        return;
    load_payload(e, NFT_PAYLOAD_TRANSPORT_HEADER, destination ? 2 : 0, sizeof first);
    if (first == last) {
        compare(e, NFT_CMP_EQ, &first, sizeof first);
        return;
    }
    compare(e, NFT_CMP_GTE, &first, sizeof first);
    compare(e, NFT_CMP_LTE, &last, sizeof last);
}

static void add_protocol(struct encoder *e, const struct nsh_packet_rule *r)
{
    static const uint8_t flags = TCP_SYN_RST, syn = TCP_SYN;

    if ((is_range(e, &r->source_port) || is_range(e, &r->destination_port)) &&
            !nsh_protocol_has_ports(r->protocol))
        refuse(e);
    if (r->syn && r->protocol != IPPROTO_TCP)
        refuse(e);
    if (r->protocol != 0) {
        load_meta(e, NFT_META_L4PROTO);
        compare(e, NFT_CMP_EQ, &r->protocol, sizeof r->protocol);
    }
    add_ports(e, &r->source_port, false);
    add_ports(e, &r->destination_port, true);
    if (r->syn) {
        load_payload(e, NFT_PAYLOAD_TRANSPORT_HEADER, 13, sizeof flags);
        mask(e, &flags, sizeof flags);
        compare(e, NFT_CMP_EQ, &syn, sizeof syn);
    }
}

static void add_mark(struct encoder *e, const struct nsh_mark *m)
{
    if (m->mask == 0)
        return;
    load_meta(e, NFT_META_MARK);
    if (m->mask != UINT32_MAX)
        mask(e, &m->mask, sizeof m->mask);
    compare_u32(e, NFT_CMP_EQ, m->value);
}

_Static_assert(NSH_STATE_INVALID == XT_CONNTRACK_STATE_INVALID, "states differ");
_Static_assert(NSH_STATE_ESTABLISHED == XT_CONNTRACK_STATE_BIT(IP_CT_ESTABLISHED), "states differ");
_Static_assert(NSH_STATE_RELATED == XT_CONNTRACK_STATE_BIT(IP_CT_RELATED), "states differ");
_Static_assert(NSH_STATE_NEW == XT_CONNTRACK_STATE_BIT(IP_CT_NEW), "states differ");

/* What iptables-nft makes of `-m conntrack --ctstate`. */
static void add_conntrack_match(struct encoder *e, uint32_t states)
{
    size_t size = XT_ALIGN(sizeof(struct xt_conntrack_mtinfo3));
    struct xt_conntrack_mtinfo3 *info = calloc(1, size);
    struct nftnl_expr *x = add(e, "match");

    if (!info || !x) {
        free(info);
        e->error = e->error == 0 ? -ENOMEM : e->error;
        return;
    }
    info->match_flags = XT_CONNTRACK_STATE;
    info->state_mask = (uint16_t)states;
    nftnl_expr_set_str(x, NFTNL_EXPR_MT_NAME, "conntrack");
    nftnl_expr_set_u32(x, NFTNL_EXPR_MT_REV, 3);
    nftnl_expr_set(x, NFTNL_EXPR_MT_INFO, info, (uint32_t)size); /* it is the rule's now */
}

/* True wherever a bit of the key is one of these. */
static void add_conntrack_bits(struct encoder *e, uint32_t key, uint32_t bits)
{
    if (bits == 0)
        return;
    if (e->guest && e->guest->iptables) {
        add_conntrack_match(e, key == NFT_CT_STATUS ? XT_CONNTRACK_STATE_DNAT : bits);
        return;
    }
    load_conntrack(e, key);
    mask(e, &bits, sizeof bits);
    compare_u32(e, NFT_CMP_NEQ, 0);
}

_Static_assert(NSH_STATE_INVALID == NF_CT_STATE_INVALID_BIT, "states differ");
_Static_assert(NSH_STATE_ESTABLISHED == NF_CT_STATE_BIT(IP_CT_ESTABLISHED), "states differ");
_Static_assert(NSH_STATE_RELATED == NF_CT_STATE_BIT(IP_CT_RELATED), "states differ");
_Static_assert(NSH_STATE_NEW == NF_CT_STATE_BIT(IP_CT_NEW), "states differ");

static void add_destination_type(struct encoder *e, uint32_t flags, uint32_t operation)
{
    struct nftnl_expr *x = add(e, "fib");

    if (!x)
        return;
    nftnl_expr_set_u32(x, NFTNL_EXPR_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
    nftnl_expr_set_u32(x, NFTNL_EXPR_FIB_FLAGS, NFTA_FIB_F_DADDR | flags);
    nftnl_expr_set_u32(x, NFTNL_EXPR_FIB_DREG, NFT_REG_1);
    compare_u32(e, operation, RTN_LOCAL);
}

static void add_matches(struct encoder *e, const struct nsh_packet_rule *r)
{
    static const uint8_t exists = 1, ipv4 = NFPROTO_IPV4, ipv6 = NFPROTO_IPV6;

    if (r->states & ~STATES)
        refuse(e);
    if (e->guest && e->guest->table == NFPROTO_INET && e->family != AF_UNSPEC) {
        load_meta(e, NFT_META_NFPROTO);
        compare(e, NFT_CMP_EQ, e->family == AF_INET6 ? &ipv6 : &ipv4, sizeof ipv4);
    }
    add_device(e, NFT_META_IIFNAME, r->in);
    add_device(e, NFT_META_OIFNAME, r->out);
    add_prefix(e, &r->from, false);
    add_prefix(e, &r->to, true);
    add_set(e, r->from_set, false);
    add_set(e, r->to_set, true);
    add_protocol(e, r);
    add_mark(e, &r->mark);
    if (r->ipsec) {
        load_route(e, NFT_RT_XFRM);
        compare(e, NFT_CMP_EQ, &exists, sizeof exists);
    }
    if (r->local != NSH_LOCAL_ANY)
        add_destination_type(e, 0, NFT_CMP_EQ);
    if (r->local == NSH_LOCAL_FAR)
        add_destination_type(e, NFTA_FIB_F_IIF, NFT_CMP_NEQ);
    add_conntrack_bits(e, NFT_CT_STATE, r->states);
    add_conntrack_bits(e, NFT_CT_STATUS, r->translated ? IPS_DST_NAT : 0);
}

/* ---- actions ---- */

static void add_verdict(struct encoder *e, int verdict, const char *chain)
{
    struct nftnl_expr *x = add(e, "immediate");

    if (!x)
        return;
    nftnl_expr_set_u32(x, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
    nftnl_expr_set_u32(x, NFTNL_EXPR_IMM_VERDICT, (uint32_t)verdict);
    if (chain)
        nftnl_expr_set_str(x, NFTNL_EXPR_IMM_CHAIN, chain);
}

static void put_return(struct encoder *e, const struct nsh_packet_rule *r)
{
    (void)r;
    add_verdict(e, NFT_RETURN, NULL);
}

static void put_accept(struct encoder *e, const struct nsh_packet_rule *r)
{
    (void)r;
    add_verdict(e, NF_ACCEPT, NULL);
}

static void put_drop(struct encoder *e, const struct nsh_packet_rule *r)
{
    (void)r;
    add_verdict(e, NF_DROP, NULL);
}

static void put_jump(struct encoder *e, const struct nsh_packet_rule *r)
{
    char name[NSH_NFT_NAME];

    if (!nsh_chain_is_ours(r->target) || strnlen(r->target, NSH_CHAIN_NAME) == NSH_CHAIN_NAME) {
        refuse(e);
        return;
    }
    nsh_nft_chain_name(e->table, r->target, name);
    add_verdict(e, NFT_JUMP, e->guest ? r->target : name);
}

/* Into the next register, whose number is returned. */
static uint32_t put_data(struct encoder *e, uint32_t *next, const void *data, size_t length)
{
    struct nftnl_expr *x = add(e, "immediate");
    uint32_t r = (*next)++;

    if (!x)
        return r;
    nftnl_expr_set_u32(x, NFTNL_EXPR_IMM_DREG, r);
    nftnl_expr_set(x, NFTNL_EXPR_IMM_DATA, data, (uint32_t)length);
    return r;
}

/* Registers with the ports; 0: none. */
static void put_ports(
        struct encoder *e, uint32_t *next, const struct nsh_range *r, uint32_t ret[static 2])
{
    uint16_t first = htons((uint16_t)r->first), last = htons((uint16_t)r->last);

    ret[0] = ret[1] = 0;
    if (!is_range(e, r))
        return;
    ret[0] = put_data(e, next, &first, sizeof first);
    if (last != first)
        ret[1] = put_data(e, next, &last, sizeof last);
}

static uint32_t nat_flags(const struct nsh_packet_nat *n)
{
    uint32_t flags = n->ports.last > 0 ? NF_NAT_RANGE_PROTO_SPECIFIED : 0;

    if (n->random == NSH_RANDOM_PORTS)
        flags |= NF_NAT_RANGE_PROTO_RANDOM;
    if (n->random == NSH_RANDOM_FULLY)
        flags |= NF_NAT_RANGE_PROTO_RANDOM_FULLY;
    return n->persistent ? flags | NF_NAT_RANGE_PERSISTENT : flags;
}

static void set_if(struct nftnl_expr *x, uint16_t attr, uint32_t value)
{
    if (value != 0)
        nftnl_expr_set_u32(x, attr, value);
}

static void put_masquerade(struct encoder *e, const struct nsh_packet_rule *r)
{
    uint32_t next = NFT_REG_1, ports[2];
    struct nftnl_expr *x;

    if (r->nat.family != AF_UNSPEC)
        refuse(e);
    put_ports(e, &next, &r->nat.ports, ports);
    x = add(e, "masq");
    if (!x)
        return;
    set_if(x, NFTNL_EXPR_MASQ_FLAGS, nat_flags(&r->nat));
    set_if(x, NFTNL_EXPR_MASQ_REG_PROTO_MIN, ports[0]);
    set_if(x, NFTNL_EXPR_MASQ_REG_PROTO_MAX, ports[1]);
}

static struct nftnl_expr *add_nat(struct encoder *e, uint32_t type,
        const uint32_t address[static 2], const uint32_t ports[static 2], uint32_t flags)
{
    struct nftnl_expr *x = add(e, "nat");

    if (!x)
        return NULL;
    nftnl_expr_set_u32(x, NFTNL_EXPR_NAT_TYPE, type);
    nftnl_expr_set_u32(
            x, NFTNL_EXPR_NAT_FAMILY, e->family == AF_INET6 ? NFPROTO_IPV6 : NFPROTO_IPV4);
    set_if(x, NFTNL_EXPR_NAT_REG_ADDR_MIN, address[0]);
    set_if(x, NFTNL_EXPR_NAT_REG_ADDR_MAX, address[1]);
    set_if(x, NFTNL_EXPR_NAT_REG_PROTO_MIN, ports[0]);
    set_if(x, NFTNL_EXPR_NAT_REG_PROTO_MAX, ports[1]);
    set_if(x, NFTNL_EXPR_NAT_FLAGS, flags);
    return x;
}

static void put_nat(struct encoder *e, const struct nsh_packet_rule *r)
{
    uint32_t next = NFT_REG_1, address[2] = {0}, ports[2];
    size_t size = nsh_addr_size(e->family);
    const struct nsh_packet_nat *n = &r->nat;

    if (n->family != AF_UNSPEC && n->family != e->family)
        refuse(e);
    if (n->family == AF_UNSPEC && !is_range(e, &n->ports))
        refuse(e);
    if (n->family != AF_UNSPEC) {
        address[0] = put_data(e, &next, n->first.bytes, size);
        if (nsh_addr_cmp(&n->first, &n->last) != 0)
            address[1] = put_data(e, &next, n->last.bytes, size);
    }
    put_ports(e, &next, &n->ports, ports);
    add_nat(e, r->action == NSH_PACKET_SNAT ? NFT_NAT_SNAT : NFT_NAT_DNAT, address, ports,
            nat_flags(n));
}

/* The kernel finds the mask by the bits in which the two ends differ. */
static void put_netmap(struct encoder *e, const struct nsh_packet_rule *r)
{
    static const uint32_t no_ports[2];
    uint32_t next = NFT_REG_1, address[2];
    size_t size = nsh_addr_size(e->family);
    struct nsh_prefix map = r->map;
    union nsh_addr last;

    if (map.family != e->family || map.length > nsh_addr_bits(e->family)) {
        refuse(e);
        return;
    }
    nsh_prefix_mask(&map);
    last = map.addr;
    for (size_t bit = map.length; bit < size * 8; bit++)
        last.bytes[bit / 8] |= (uint8_t)(0x80U >> (bit % 8));
    address[0] = put_data(e, &next, map.addr.bytes, size);
    address[1] = put_data(e, &next, last.bytes, size);
    add_nat(e, e->source ? NFT_NAT_SNAT : NFT_NAT_DNAT, address, no_ports, NF_NAT_RANGE_NETMAP);
}

static void put_log(struct encoder *e, const struct nsh_packet_rule *r)
{
    struct nftnl_expr *x;

    if (strnlen(r->log, sizeof r->log) == sizeof r->log) {
        refuse(e);
        return;
    }
    x = add(e, "log");
    if (x && r->log[0] != '\0')
        nftnl_expr_set_str(x, NFTNL_EXPR_LOG_PREFIX, r->log);
}

static void put_clamp(struct encoder *e, const struct nsh_packet_rule *r)
{
    struct nftnl_expr *x;

    if (r->protocol != IPPROTO_TCP || !r->syn)
        refuse(e);
    load_route(e, NFT_RT_TCPMSS);
    x = add(e, "byteorder");
    if (x) {
        nftnl_expr_set_u32(x, NFTNL_EXPR_BYTEORDER_SREG, NFT_REG_1);
        nftnl_expr_set_u32(x, NFTNL_EXPR_BYTEORDER_DREG, NFT_REG_1);
        nftnl_expr_set_u32(x, NFTNL_EXPR_BYTEORDER_OP, NFT_BYTEORDER_HTON);
        nftnl_expr_set_u32(x, NFTNL_EXPR_BYTEORDER_LEN, 2);
        nftnl_expr_set_u32(x, NFTNL_EXPR_BYTEORDER_SIZE, 2);
    }
    x = add(e, "exthdr");
    if (x) {
        nftnl_expr_set_u32(x, NFTNL_EXPR_EXTHDR_SREG, NFT_REG_1);
        nftnl_expr_set_u8(x, NFTNL_EXPR_EXTHDR_TYPE, TCP_OPTION_MSS);
        nftnl_expr_set_u32(x, NFTNL_EXPR_EXTHDR_OFFSET, 2);
        nftnl_expr_set_u32(x, NFTNL_EXPR_EXTHDR_LEN, 2);
        nftnl_expr_set_u32(x, NFTNL_EXPR_EXTHDR_OP, NFT_EXTHDR_OP_TCPOPT);
    }
}

static void (*const actions[])(struct encoder *e, const struct nsh_packet_rule *r) = {
        [NSH_PACKET_RETURN] = put_return,
        [NSH_PACKET_JUMP] = put_jump,
        [NSH_PACKET_ACCEPT] = put_accept,
        [NSH_PACKET_DROP] = put_drop,
        [NSH_PACKET_MASQUERADE] = put_masquerade,
        [NSH_PACKET_SNAT] = put_nat,
        [NSH_PACKET_DNAT] = put_nat,
        [NSH_PACKET_NETMAP] = put_netmap,
        [NSH_PACKET_LOG] = put_log,
        [NSH_PACKET_CLAMP_MSS] = put_clamp,
};

/* nft's way of writing packets a minute: by the largest unit that divides it. */
static void put_limit(struct encoder *e)
{
    struct nftnl_expr *x = add(e, "limit");

    if (!x)
        return;
    nftnl_expr_set_u64(x, NFTNL_EXPR_LIMIT_RATE, NSH_PACKET_LOG_RATE / 60);
    nftnl_expr_set_u64(x, NFTNL_EXPR_LIMIT_UNIT, 1);
    nftnl_expr_set_u32(x, NFTNL_EXPR_LIMIT_BURST, NSH_PACKET_LOG_BURST);
    nftnl_expr_set_u32(x, NFTNL_EXPR_LIMIT_TYPE, NFT_LIMIT_PKTS);
    nftnl_expr_set_u32(x, NFTNL_EXPR_LIMIT_FLAGS, 0);
}

_Static_assert(NSH_PACKET_LOG_RATE % 60 == 0, "a rate per second");

static int encode(struct encoder *e, const struct nsh_packet_rule *rule)
{
    struct nftnl_expr *counter;

    if ((unsigned int)rule->action >= NSH_ARRAY_SIZE(actions) || !actions[rule->action])
        return -EINVAL;
    add_matches(e, rule);
    if (rule->action == NSH_PACKET_LOG)
        put_limit(e);
    counter = add(e, "counter");
    if (counter) {
        nftnl_expr_set_u64(counter, NFTNL_EXPR_CTR_PACKETS, 0);
        nftnl_expr_set_u64(counter, NFTNL_EXPR_CTR_BYTES, 0);
    }
    actions[rule->action](e, rule);
    return e->error;
}

int nsh_nft_encode(int family, enum nsh_table table, const struct nsh_packet_rule *rule,
        bool source, struct nftnl_rule *into)
{
    struct encoder e = {.family = family, .table = table, .source = source, .rule = into};

    return encode(&e, rule);
}

int nsh_nft_encode_guest(const struct nsh_nft_guest_style *style, int family,
        const struct nsh_packet_rule *rule, struct nftnl_rule *into)
{
    struct encoder e = {.family = family, .table = NSH_TABLE_FILTER, .guest = style, .rule = into};

    /* Sets are in our own table. */
    if (rule->from_set[0] != '\0' || rule->to_set[0] != '\0')
        return -EINVAL;
    return encode(&e, rule);
}
