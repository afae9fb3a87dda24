/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From the kernel's expressions to a rule's value. As on iptables there are no rules here for what
 * may be overlooked: the value is guessed, encoded, and compared. Whatever netshared would not have
 * written makes the rule NSH_PACKET_OTHER.
 *
 * Compared are the expressions' attributes by their values. The kernel fills in what was left out:
 * zero, mostly; the other cases are few, and listed below. Counters count, and are not compared.
 */
#include "firewall-nft.h"

#include <arpa/inet.h>
#include <libnftnl/expr.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_nat.h>
#include <stdio.h>
#include <string.h>

/* More than any expression has. */
#define ATTRIBUTES 16
#define REGISTERS 4
#define LOG_LEVEL_WARNING 4 /* the kernel's own */

NSH_DEFINE_CLEANUP(struct nftnl_expr_iter *, nftnl_expr_iter_destroy)

static const char *name_of(const struct nftnl_expr *x)
{
    const char *name = nftnl_expr_get_str(x, NFTNL_EXPR_NAME);

    return name ? name : "";
}

static bool is(const struct nftnl_expr *x, const char *name)
{
    return strcmp(name_of(x), name) == 0;
}

static uint32_t number(const struct nftnl_expr *x, uint16_t attr)
{
    return nftnl_expr_is_set(x, attr) ? nftnl_expr_get_u32(x, attr) : 0;
}

/* ---- comparing ---- */

/* What an attribute is when it was not written, where that is neither 0 nor nothing. */
static const struct {
    const char *expression;
    uint16_t attr;
    uint16_t same_as; /* another attribute; 0: `value` */
    uint32_t value;
} unwritten[] = {
        {"nat", NFTNL_EXPR_NAT_REG_ADDR_MAX, NFTNL_EXPR_NAT_REG_ADDR_MIN, 0},
        {"nat", NFTNL_EXPR_NAT_REG_PROTO_MAX, NFTNL_EXPR_NAT_REG_PROTO_MIN, 0},
        {"masq", NFTNL_EXPR_MASQ_REG_PROTO_MAX, NFTNL_EXPR_MASQ_REG_PROTO_MIN, 0},
        {"log", NFTNL_EXPR_LOG_LEVEL, 0, LOG_LEVEL_WARNING},
};

/* Flags that say no more than which registers are used. */
static const struct {
    const char *expression;
    uint16_t attr;
    uint32_t bits;
} implied[] = {
        {"nat", NFTNL_EXPR_NAT_FLAGS, NF_NAT_RANGE_MAP_IPS | NF_NAT_RANGE_PROTO_SPECIFIED},
        {"masq", NFTNL_EXPR_MASQ_FLAGS, NF_NAT_RANGE_PROTO_SPECIFIED},
};

static const void *attribute(
        const struct nftnl_expr *x, uint16_t attr, uint32_t *ret_length, uint32_t *store)
{
    const void *data = nftnl_expr_is_set(x, attr) ? nftnl_expr_get(x, attr, ret_length) : NULL;

    for (size_t i = 0; !data && i < NSH_ARRAY_SIZE(unwritten); i++) {
        if (unwritten[i].attr != attr || !is(x, unwritten[i].expression))
            continue;
        if (unwritten[i].same_as && nftnl_expr_is_set(x, unwritten[i].same_as))
            return nftnl_expr_get(x, unwritten[i].same_as, ret_length);
        *store = unwritten[i].value;
        *ret_length = sizeof *store;
        return store;
    }
    for (size_t i = 0; data && i < NSH_ARRAY_SIZE(implied); i++)
        if (implied[i].attr == attr && *ret_length == sizeof *store &&
                is(x, implied[i].expression)) {
            memcpy(store, data, sizeof *store);
            *store &= ~implied[i].bits;
            return store;
        }
    if (!data)
        *ret_length = 0;
    return data;
}

static bool is_zero(const uint8_t *data, uint32_t length)
{
    while (length > 0 && data[length - 1] == 0)
        length--;
    return length == 0;
}

static bool same_attribute(const struct nftnl_expr *a, const struct nftnl_expr *b, uint16_t attr)
{
    uint32_t a_length = 0, b_length = 0, a_store = 0, b_store = 0;
    const void *a_data = attribute(a, attr, &a_length, &a_store);
    const void *b_data = attribute(b, attr, &b_length, &b_store);

    if (a_data && b_data)
        return a_length == b_length && memcmp(a_data, b_data, a_length) == 0;
    return is_zero(a_data, a_length) && is_zero(b_data, b_length);
}

static bool same_expression(const struct nftnl_expr *a, const struct nftnl_expr *b)
{
    if (strcmp(name_of(a), name_of(b)) != 0)
        return false;
    if (is(a, "counter"))
        return true;
    for (uint16_t attr = NFTNL_EXPR_BASE; attr < ATTRIBUTES; attr++)
        if (!same_attribute(a, b, attr))
            return false;
    return true;
}

/* An end of a range is a comparison with one. */
static bool is_end(const struct nftnl_expr *x, const struct nftnl_expr *range, uint32_t operation,
        uint16_t attr)
{
    uint32_t length = 0, end_length = 0;
    const void *data, *end = nftnl_expr_get(range, attr, &end_length);

    if (!x || !is(x, "cmp") || number(x, NFTNL_EXPR_CMP_OP) != operation ||
            number(x, NFTNL_EXPR_CMP_SREG) != number(range, NFTNL_EXPR_RANGE_SREG))
        return false;
    data = nftnl_expr_get(x, NFTNL_EXPR_CMP_DATA, &length);
    return data && end && length == end_length && memcmp(data, end, length) == 0;
}

/* What is two comparisons here, and in older versions of nft, is one expression in 1.1.3. */
static bool same_range(
        const struct nftnl_expr *range, const struct nftnl_expr *x, struct nftnl_expr_iter *rest)
{
    return number(range, NFTNL_EXPR_RANGE_OP) == NFT_RANGE_EQ &&
           is_end(x, range, NFT_CMP_GTE, NFTNL_EXPR_RANGE_FROM_DATA) &&
           is_end(nftnl_expr_iter_next(rest), range, NFT_CMP_LTE, NFTNL_EXPR_RANGE_TO_DATA);
}

/* The first as it was seen, the second as it would have been written. */
static bool same_expressions(const struct nftnl_rule *a, const struct nftnl_rule *b)
{
    NSH_CLEANUP(nftnl_expr_iter_destroyp) struct nftnl_expr_iter *ia = nftnl_expr_iter_create(a);
    NSH_CLEANUP(nftnl_expr_iter_destroyp) struct nftnl_expr_iter *ib = nftnl_expr_iter_create(b);

    if (!ia || !ib)
        return false;
    for (;;) {
        const struct nftnl_expr *xa = nftnl_expr_iter_next(ia), *xb = nftnl_expr_iter_next(ib);

        if (!xa || !xb)
            return !xa && !xb;
        if (is(xa, "range") ? !same_range(xa, xb, ib) : !same_expression(xa, xb))
            return false;
    }
}

/* ---- guessing ---- */

struct guess {
    int family;
    enum nsh_table table;
    struct nsh_packet_rule rule;
    const struct nftnl_expr *loaded; /* what the first register holds */
    uint8_t mask[16];                /* of it */
    uint32_t mask_length;            /* 0: all of it */
    uint8_t data[REGISTERS][16];     /* immediate, by register - 1 */
    uint32_t data_length[REGISTERS];
    bool source; /* of a NETMAP */
    char refers[NSH_NFT_NAME];
};

static uint32_t bytes(const struct nftnl_expr *x, uint16_t attr, void *ret, uint32_t size)
{
    uint32_t length = 0;
    const void *data = nftnl_expr_is_set(x, attr) ? nftnl_expr_get(x, attr, &length) : NULL;

    if (!data)
        return 0;
    length = length < size ? length : size;
    memcpy(ret, data, length);
    return length;
}

static void guess_load(struct guess *g, const struct nftnl_expr *x)
{
    g->loaded = x;
    g->mask_length = 0;
    if (is(x, "rt") && number(x, NFTNL_EXPR_RT_KEY) == NFT_RT_TCPMSS)
        g->rule.action = NSH_PACKET_CLAMP_MSS;
}

static void guess_bitwise(struct guess *g, const struct nftnl_expr *x)
{
    g->mask_length = bytes(x, NFTNL_EXPR_BITWISE_MASK, g->mask, sizeof g->mask);
}

static void guess_device(char ret[static IFNAMSIZ], const uint8_t *data, uint32_t length)
{
    memset(ret, 0, IFNAMSIZ);
    memcpy(ret, data, length < IFNAMSIZ ? length : IFNAMSIZ - 1);
    if (length < IFNAMSIZ - 1)
        ret[length] = '+';
    else if (length == IFNAMSIZ - 1)
        ret[0] = '\0';
}

static void guess_meta(struct guess *g, const uint8_t *data, uint32_t length)
{
    struct nsh_packet_rule *r = &g->rule;

    switch (number(g->loaded, NFTNL_EXPR_META_KEY)) {
    case NFT_META_IIFNAME:
        guess_device(r->in, data, length);
        break;
    case NFT_META_OIFNAME:
        guess_device(r->out, data, length);
        break;
    case NFT_META_L4PROTO:
        r->protocol = data[0];
        break;
    case NFT_META_MARK:
        memcpy(&r->mark.value, data, sizeof r->mark.value);
        r->mark.mask = UINT32_MAX;
        if (g->mask_length > 0)
            memcpy(&r->mark.mask, g->mask, sizeof r->mark.mask);
        break;
    default:
        break;
    }
}

/* False: neither of the two addresses. */
static bool is_address(const struct guess *g, bool *ret_destination)
{
    uint32_t offset = number(g->loaded, NFTNL_EXPR_PAYLOAD_OFFSET);

    *ret_destination = offset == (g->family == AF_INET6 ? 24 : 16);
    return number(g->loaded, NFTNL_EXPR_PAYLOAD_BASE) == NFT_PAYLOAD_NETWORK_HEADER &&
           (*ret_destination || offset == (g->family == AF_INET6 ? 8 : 12));
}

static void guess_prefix(struct guess *g, const uint8_t *data, uint32_t length)
{
    struct nsh_prefix p = {.family = (uint8_t)g->family};
    bool destination;

    if (!is_address(g, &destination) || length > nsh_addr_size(g->family))
        return;
    memcpy(p.addr.bytes, data, length);
    p.length = (uint8_t)(length * 8);
    if (g->mask_length > 0)
        for (p.length = 0; p.length < g->mask_length * 8; p.length++)
            if (!(g->mask[p.length / 8] & (0x80U >> (p.length % 8))))
                break;
    *(destination ? &g->rule.to : &g->rule.from) = p;
}

static void guess_transport(struct guess *g, uint32_t operation, const uint8_t *data)
{
    uint32_t offset = number(g->loaded, NFTNL_EXPR_PAYLOAD_OFFSET);
    struct nsh_range *r = offset == 0 ? &g->rule.source_port : &g->rule.destination_port;
    uint16_t port;

    if (offset == 13)
        g->rule.syn = true;
    if (offset != 0 && offset != 2)
        return;
    memcpy(&port, data, sizeof port);
    if (operation != NFT_CMP_LTE)
        r->first = ntohs(port);
    if (operation != NFT_CMP_GTE)
        r->last = ntohs(port);
}

static void guess_conntrack(struct guess *g)
{
    uint32_t bits;

    memcpy(&bits, g->mask, sizeof bits);
    if (number(g->loaded, NFTNL_EXPR_CT_KEY) == NFT_CT_STATE)
        g->rule.states = (uint8_t)bits;
    else
        g->rule.translated = true;
}

static void guess_compare(struct guess *g, const struct nftnl_expr *x)
{
    uint8_t data[16] = {0};
    uint32_t length = bytes(x, NFTNL_EXPR_CMP_DATA, data, sizeof data);

    if (!g->loaded)
        return;
    if (is(g->loaded, "meta"))
        guess_meta(g, data, length);
    else if (is(g->loaded, "ct"))
        guess_conntrack(g);
    else if (is(g->loaded, "rt"))
        g->rule.ipsec = true;
    else if (is(g->loaded, "fib"))
        g->rule.local = number(g->loaded, NFTNL_EXPR_FIB_FLAGS) & NFTA_FIB_F_IIF ? NSH_LOCAL_FAR
                                                                                 : NSH_LOCAL_YES;
    else if (number(g->loaded, NFTNL_EXPR_PAYLOAD_BASE) == NFT_PAYLOAD_TRANSPORT_HEADER)
        guess_transport(g, number(x, NFTNL_EXPR_CMP_OP), data);
    else
        guess_prefix(g, data, length);
}

static bool is_transport(const struct guess *g)
{
    return g->loaded && is(g->loaded, "payload") &&
           number(g->loaded, NFTNL_EXPR_PAYLOAD_BASE) == NFT_PAYLOAD_TRANSPORT_HEADER;
}

static void guess_range(struct guess *g, const struct nftnl_expr *x)
{
    uint8_t from[16] = {0}, to[16] = {0};

    (void)bytes(x, NFTNL_EXPR_RANGE_FROM_DATA, from, sizeof from);
    (void)bytes(x, NFTNL_EXPR_RANGE_TO_DATA, to, sizeof to);
    if (!is_transport(g))
        return;
    guess_transport(g, NFT_CMP_GTE, from);
    guess_transport(g, NFT_CMP_LTE, to);
}

static void guess_lookup(struct guess *g, const struct nftnl_expr *x)
{
    const char *name = nftnl_expr_get_str(x, NFTNL_EXPR_LOOKUP_SET);
    bool destination;

    if (g->loaded && is(g->loaded, "payload") && is_address(g, &destination) && name &&
            strncmp(name, NSH_SET_PREFIX, strlen(NSH_SET_PREFIX)) == 0)
        snprintf(destination ? g->rule.to_set : g->rule.from_set, NSH_SET_NAME, "%s", name);
}

static void guess_verdict(struct guess *g, const struct nftnl_expr *x)
{
    const char *chain = nftnl_expr_is_set(x, NFTNL_EXPR_IMM_CHAIN)
                                ? nftnl_expr_get_str(x, NFTNL_EXPR_IMM_CHAIN)
                                : NULL;
    enum nsh_table table;

    if (chain && strlen(chain) < sizeof g->refers)
        snprintf(g->refers, sizeof g->refers, "%s", chain);
    switch ((int)number(x, NFTNL_EXPR_IMM_VERDICT)) {
    case NFT_RETURN:
        g->rule.action = NSH_PACKET_RETURN;
        break;
    case NF_ACCEPT:
        g->rule.action = NSH_PACKET_ACCEPT;
        break;
    case NF_DROP:
        g->rule.action = NSH_PACKET_DROP;
        break;
    case NFT_JUMP:
        if (chain && nsh_nft_chain_parse(chain, &table, g->rule.target) && table == g->table)
            g->rule.action = NSH_PACKET_JUMP;
        break;
    default:
        break;
    }
}

static void guess_immediate(struct guess *g, const struct nftnl_expr *x)
{
    uint32_t r = number(x, NFTNL_EXPR_IMM_DREG);

    if (r == NFT_REG_VERDICT)
        guess_verdict(g, x);
    else if (r <= REGISTERS)
        g->data_length[r - 1] =
                bytes(x, NFTNL_EXPR_IMM_DATA, g->data[r - 1], sizeof g->data[r - 1]);
}

static const uint8_t *register_data(const struct guess *g, uint32_t r)
{
    static const uint8_t none[16];

    return r >= 1 && r <= REGISTERS ? g->data[r - 1] : none;
}

static void guess_nat_values(
        struct guess *g, uint32_t flags, uint32_t first_port, uint32_t last_port)
{
    struct nsh_packet_nat *n = &g->rule.nat;
    uint16_t first, last;

    memcpy(&first, register_data(g, first_port), sizeof first);
    memcpy(&last, register_data(g, last_port ? last_port : first_port), sizeof last);
    n->ports = (struct nsh_range){.first = ntohs(first), .last = ntohs(last)};
    if (flags & NF_NAT_RANGE_PROTO_RANDOM)
        n->random = NSH_RANDOM_PORTS;
    if (flags & NF_NAT_RANGE_PROTO_RANDOM_FULLY)
        n->random = NSH_RANDOM_FULLY;
    n->persistent = flags & NF_NAT_RANGE_PERSISTENT;
}

static void guess_masquerade(struct guess *g, const struct nftnl_expr *x)
{
    g->rule.action = NSH_PACKET_MASQUERADE;
    guess_nat_values(g, number(x, NFTNL_EXPR_MASQ_FLAGS), number(x, NFTNL_EXPR_MASQ_REG_PROTO_MIN),
            number(x, NFTNL_EXPR_MASQ_REG_PROTO_MAX));
}

/* The bits in which the ends of a prefix are the same. */
static void guess_map(struct guess *g, const uint8_t *first, const uint8_t *last)
{
    struct nsh_prefix p = {.family = (uint8_t)g->family};
    uint8_t bits = nsh_addr_bits(g->family);

    memcpy(p.addr.bytes, first, nsh_addr_size(g->family));
    while (p.length < bits &&
            !((first[p.length / 8] ^ last[p.length / 8]) & (0x80U >> (p.length % 8))))
        p.length++;
    g->rule.action = NSH_PACKET_NETMAP;
    g->rule.map = p;
}

static void guess_nat(struct guess *g, const struct nftnl_expr *x)
{
    uint32_t flags = number(x, NFTNL_EXPR_NAT_FLAGS);
    uint32_t min = number(x, NFTNL_EXPR_NAT_REG_ADDR_MIN);
    uint32_t max = number(x, NFTNL_EXPR_NAT_REG_ADDR_MAX);
    const uint8_t *first = register_data(g, min), *last = register_data(g, max ? max : min);
    size_t size = nsh_addr_size(g->family);

    g->source = number(x, NFTNL_EXPR_NAT_TYPE) == NFT_NAT_SNAT;
    if (flags & NF_NAT_RANGE_NETMAP) {
        guess_map(g, first, last);
        return;
    }
    g->rule.action = g->source ? NSH_PACKET_SNAT : NSH_PACKET_DNAT;
    if (min) {
        g->rule.nat.family = (uint8_t)g->family;
        memcpy(g->rule.nat.first.bytes, first, size);
        memcpy(g->rule.nat.last.bytes, last, size);
    }
    guess_nat_values(g, flags, number(x, NFTNL_EXPR_NAT_REG_PROTO_MIN),
            number(x, NFTNL_EXPR_NAT_REG_PROTO_MAX));
}

static void guess_log(struct guess *g, const struct nftnl_expr *x)
{
    const char *prefix = nftnl_expr_is_set(x, NFTNL_EXPR_LOG_PREFIX)
                                 ? nftnl_expr_get_str(x, NFTNL_EXPR_LOG_PREFIX)
                                 : NULL;

    g->rule.action = NSH_PACKET_LOG;
    snprintf(g->rule.log, sizeof g->rule.log, "%s", prefix ? prefix : "");
}

static const struct {
    const char *name;
    void (*guess)(struct guess *g, const struct nftnl_expr *x);
} guesses[] = {
        {"meta", guess_load},
        {"payload", guess_load},
        {"ct", guess_load},
        {"rt", guess_load},
        {"fib", guess_load},
        {"bitwise", guess_bitwise},
        {"cmp", guess_compare},
        {"range", guess_range},
        {"lookup", guess_lookup},
        {"immediate", guess_immediate},
        {"masq", guess_masquerade},
        {"nat", guess_nat},
        {"log", guess_log},
};

static void guess_expression(struct guess *g, const struct nftnl_expr *x)
{
    for (size_t i = 0; i < NSH_ARRAY_SIZE(guesses); i++)
        if (is(x, guesses[i].name))
            guesses[i].guess(g, x);
}

static bool guess_rule(struct guess *g, const struct nftnl_rule *seen)
{
    NSH_CLEANUP(nftnl_expr_iter_destroyp) struct nftnl_expr_iter *i = nftnl_expr_iter_create(seen);
    NSH_CLEANUP(nftnl_rule_freep) struct nftnl_rule *again = nftnl_rule_alloc();

    if (!i || !again)
        return false;
    for (const struct nftnl_expr *x = nftnl_expr_iter_next(i); x; x = nftnl_expr_iter_next(i))
        guess_expression(g, x);
    return nsh_nft_encode(g->family, g->table, &g->rule, g->source, again) == 0 &&
           same_expressions(seen, again);
}

void nsh_nft_decode(int family, enum nsh_table table, const struct nftnl_rule *seen,
        struct nsh_packet_rule *ret, char ret_refers[static NSH_NFT_NAME])
{
    struct guess g = {.family = family, .table = table, .rule.action = NSH_PACKET_OTHER};

    *ret = (struct nsh_packet_rule){.action = NSH_PACKET_OTHER};
    if (guess_rule(&g, seen))
        *ret = g.rule;
    memcpy(ret_refers, g.refers, sizeof g.refers);
}
