/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From the expressions of a rule of others to a value. What is not understood, to the last flag, is
 * said to be so: then the value is wider than the rule.
 */
#include "firewall-nft.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_nat.h>
#include <stdio.h>
#include <string.h>

#include "foreign.h"

#define REGISTERS 4

NSH_DEFINE_CLEANUP(struct nftnl_expr_iter *, nftnl_expr_iter_destroy)

/* What a register can hold that is understood. */
enum field { OTHER, IN, OUT, IN_INDEX, OUT_INDEX, MARK, FAMILY, PROTOCOL, FROM, TO, SPORT, DPORT };

struct reader {
    struct nsh_foreign_rule *f;
    bool fits; /* it is for the family */
    enum field field;
    uint32_t size; /* of the field, bytes */
    char what[32]; /* of OTHER: what it is called */
    uint8_t mask[16];
    uint32_t mask_size; /* 0: all of it */
    uint16_t low;       /* end of a range of ports */
    bool has_low;
    uint8_t data[REGISTERS][16];
    uint32_t sizes[REGISTERS];
    nsh_nft_read_set *read_set;
    void *userdata;
};

static uint32_t number(const struct nftnl_expr *x, uint16_t attr)
{
    return nftnl_expr_is_set(x, attr) ? nftnl_expr_get_u32(x, attr) : 0;
}

static const char *text(const struct nftnl_expr *x, uint16_t attr)
{
    const char *s = nftnl_expr_is_set(x, attr) ? nftnl_expr_get_str(x, attr) : NULL;

    return s ? s : "";
}

static uint32_t bytes(const struct nftnl_expr *x, uint16_t attr, void *ret, uint32_t size)
{
    uint32_t length = 0;
    const void *data = nftnl_expr_is_set(x, attr) ? nftnl_expr_get(x, attr, &length) : NULL;

    length = !data ? 0 : length < size ? length : size;
    if (length > 0)
        memcpy(ret, data, length);
    return length;
}

/* ---- loads ---- */

/* A lower end whose upper end did not come. */
static void end_range(struct reader *r)
{
    if (r->has_low)
        nsh_foreign_doubt(r->f, "its ports");
    r->has_low = false;
}

static void load(struct reader *r, enum field field, uint32_t size)
{
    end_range(r);
    r->field = field;
    r->size = size;
    r->mask_size = 0;
}

static void read_load(struct reader *r, const struct nftnl_expr *x)
{
    load(r, OTHER, 0);
    (void)snprintf(r->what, sizeof r->what, "%s", text(x, NFTNL_EXPR_NAME));
}

static void read_ct(struct reader *r, const struct nftnl_expr *x)
{
    read_load(r, x);
    if (!nftnl_expr_is_set(x, NFTNL_EXPR_CT_DREG))
        nsh_foreign_doubt(r->f, "the statement 'ct ... set'");
}

static void read_meta(struct reader *r, const struct nftnl_expr *x)
{
    static const struct {
        uint32_t key;
        enum field field;
        uint32_t size;
    } keys[] = {
            {NFT_META_IIFNAME, IN, IFNAMSIZ},
            {NFT_META_OIFNAME, OUT, IFNAMSIZ},
            {NFT_META_IIF, IN_INDEX, 4},
            {NFT_META_OIF, OUT_INDEX, 4},
            {NFT_META_MARK, MARK, 4},
            {NFT_META_NFPROTO, FAMILY, 1},
            {NFT_META_L4PROTO, PROTOCOL, 1},
    };

    read_load(r, x);
    if (!nftnl_expr_is_set(x, NFTNL_EXPR_META_DREG)) {
        nsh_foreign_doubt(r->f, "the statement 'meta ... set'");
        return;
    }
    for (size_t i = 0; i < NSH_ARRAY_SIZE(keys); i++)
        if (keys[i].key == number(x, NFTNL_EXPR_META_KEY))
            load(r, keys[i].field, keys[i].size);
}

static void read_payload(struct reader *r, const struct nftnl_expr *x)
{
    uint32_t base = number(x, NFTNL_EXPR_PAYLOAD_BASE), size = number(x, NFTNL_EXPR_PAYLOAD_LEN);
    uint32_t offset = number(x, NFTNL_EXPR_PAYLOAD_OFFSET);
    bool six = r->f->family == AF_INET6;

    read_load(r, x);
    if (!nftnl_expr_is_set(x, NFTNL_EXPR_PAYLOAD_DREG))
        nsh_foreign_doubt(r->f, "what it writes into the packet");
    else if (base == NFT_PAYLOAD_TRANSPORT_HEADER && size == 2 && (offset == 0 || offset == 2))
        load(r, offset == 0 ? SPORT : DPORT, 2);
    else if (base == NFT_PAYLOAD_NETWORK_HEADER && size <= nsh_addr_size(r->f->family) &&
             (offset == (six ? 8U : 12U) || offset == (six ? 24U : 16U)))
        load(r, offset == (six ? 8U : 12U) ? FROM : TO, size);
    else if (base == NFT_PAYLOAD_NETWORK_HEADER && !six && offset == 9 && size == 1)
        load(r, PROTOCOL, 1);
}

static void read_bitwise(struct reader *r, const struct nftnl_expr *x)
{
    uint8_t flip[16] = {0};
    static const uint8_t none[16];

    r->mask_size = bytes(x, NFTNL_EXPR_BITWISE_MASK, r->mask, sizeof r->mask);
    (void)bytes(x, NFTNL_EXPR_BITWISE_XOR, flip, sizeof flip);
    if (r->mask_size != r->size || memcmp(flip, none, sizeof flip) != 0 || r->mask_size == 0 ||
            nftnl_expr_is_set(x, NFTNL_EXPR_BITWISE_DATA)) {
        (void)snprintf(r->what, sizeof r->what, "bitwise");
        r->field = OTHER;
    }
}

/* ---- what is compared ---- */

static void doubt_field(struct reader *r)
{
    nsh_foreign_doubt(r->f, "the match '%s'", r->field == OTHER ? r->what : "of a device or port");
}

static void put_device(struct reader *r, const char *name, bool pattern, bool equal)
{
    struct nsh_packet_rule *into = equal ? &r->f->needs : &r->f->spares;
    bool in = r->field == IN || r->field == IN_INDEX;
    size_t n = strnlen(name, IFNAMSIZ - 1);
    char *field = in ? into->in : into->out;

    /* Here a '+' is a character like any other. */
    if (field[0] != '\0' || n == 0 || name[n - 1] == '+' || (pattern && n + 1 >= IFNAMSIZ)) {
        nsh_foreign_doubt(r->f, "a device's name");
        return;
    }
    (void)snprintf(field, IFNAMSIZ, "%.*s%s", (int)n, name, pattern ? "+" : "");
}

static void compare_device(struct reader *r, const uint8_t *data, uint32_t size, bool equal)
{
    char name[IFNAMSIZ + 1] = "";
    uint32_t index;

    if (r->field == IN || r->field == OUT) {
        memcpy(name, data, size < IFNAMSIZ ? size : IFNAMSIZ);
        put_device(r, name, !memchr(data, '\0', size), equal); /* with a NUL it is the whole */
        return;
    }
    memcpy(&index, data, sizeof index);
    if (if_indextoname(index, name))
        put_device(r, name, false, equal);
    else
        nsh_foreign_doubt(r->f, "the device number %u, which is not there", index);
}

static void compare_address(struct reader *r, const uint8_t *data, uint32_t size, bool equal)
{
    struct nsh_packet_rule *into = equal ? &r->f->needs : &r->f->spares;
    struct nsh_prefix *field = r->field == FROM ? &into->from : &into->to, masked;
    struct nsh_prefix p = {.family = r->f->family, .length = (uint8_t)(size * 8)};
    uint32_t bits = r->mask_size * 8;

    if (bits > 0)
        for (p.length = 0; p.length < bits; p.length++)
            if (!(r->mask[p.length / 8] & (0x80U >> (p.length % 8))))
                break;
    for (uint32_t i = p.length; i < bits; i++)
        if (r->mask[i / 8] & (0x80U >> (i % 8)))
            field = NULL;
    memcpy(p.addr.bytes, data, size);
    masked = p;
    nsh_prefix_mask(&masked);
    if (!field || field->family != AF_UNSPEC || nsh_prefix_cmp(&masked, &p) != 0)
        nsh_foreign_doubt(r->f, "an address");
    else
        *field = p;
}

static void put_ports(struct reader *r, uint16_t first, uint16_t last)
{
    struct nsh_range *field =
            r->field == SPORT ? &r->f->needs.source_port : &r->f->needs.destination_port;

    if (field->last > 0 || first > last)
        nsh_foreign_doubt(r->f, "its ports");
    else
        *field = (struct nsh_range){first, last};
}

/* A range is two comparisons, the lower end first. */
static void compare_port(struct reader *r, uint32_t op, uint16_t port)
{
    if (op == NFT_CMP_EQ) {
        put_ports(r, port, port);
    } else if (op == NFT_CMP_GTE && !r->has_low) {
        r->low = port;
        r->has_low = true;
    } else if (op == NFT_CMP_LTE && r->has_low) {
        put_ports(r, r->low, port);
        r->has_low = false;
    } else {
        nsh_foreign_doubt(r->f, "its ports");
    }
}

static void compare_mark(struct reader *r, const uint8_t *data)
{
    struct nsh_mark m = {.mask = UINT32_MAX};

    memcpy(&m.value, data, sizeof m.value);
    if (r->mask_size > 0)
        memcpy(&m.mask, r->mask, sizeof m.mask);
    if (r->f->needs.mark.mask != 0)
        nsh_foreign_doubt(r->f, "its second mark");
    r->f->needs.mark = m;
}

static void compare_protocol(struct reader *r, uint8_t protocol)
{
    if (r->f->needs.protocol != 0 && r->f->needs.protocol != protocol)
        nsh_foreign_doubt(r->f, "its second protocol");
    r->f->needs.protocol = protocol;
}

static void compare(struct reader *r, uint32_t op, const uint8_t *data, uint32_t size)
{
    bool equal = op == NFT_CMP_EQ, plain = equal && r->mask_size == 0;

    if (r->field == FAMILY && op <= NFT_CMP_NEQ)
        r->fits = r->fits &&
                  (data[0] == (r->f->family == AF_INET6 ? NFPROTO_IPV6 : NFPROTO_IPV4)) == equal;
    else if (r->field >= IN && r->field <= OUT_INDEX && op <= NFT_CMP_NEQ && r->mask_size == 0)
        compare_device(r, data, size, equal);
    else if ((r->field == FROM || r->field == TO) && op <= NFT_CMP_NEQ && size == r->size)
        compare_address(r, data, size, equal);
    else if ((r->field == SPORT || r->field == DPORT) && size == 2 && r->mask_size == 0)
        compare_port(r, op, (uint16_t)(data[0] << 8 | data[1]));
    else if (r->field == MARK && equal)
        compare_mark(r, data);
    else if (r->field == PROTOCOL && plain)
        compare_protocol(r, data[0]);
    else
        doubt_field(r);
}

static void read_cmp(struct reader *r, const struct nftnl_expr *x)
{
    uint8_t data[16] = {0};
    uint32_t size = bytes(x, NFTNL_EXPR_CMP_DATA, data, sizeof data);

    compare(r, number(x, NFTNL_EXPR_CMP_OP), data, size);
}

static void read_range(struct reader *r, const struct nftnl_expr *x)
{
    uint16_t first = 0, last = 0;

    if ((r->field == SPORT || r->field == DPORT) && r->mask_size == 0 &&
            number(x, NFTNL_EXPR_RANGE_OP) == NFT_RANGE_EQ &&
            bytes(x, NFTNL_EXPR_RANGE_FROM_DATA, &first, sizeof first) == sizeof first &&
            bytes(x, NFTNL_EXPR_RANGE_TO_DATA, &last, sizeof last) == sizeof last)
        put_ports(r, ntohs(first), ntohs(last));
    else
        doubt_field(r);
}

/* ---- sets ---- */

/* False: it is no prefix. */
static bool to_prefix(
        const struct reader *r, const struct nsh_nft_range *range, struct nsh_prefix *ret)
{
    struct nsh_prefix p = {.family = r->f->family};
    uint8_t bits = nsh_addr_bits(r->f->family);
    union nsh_addr end = {0};

    memcpy(p.addr.bytes, range->first, nsh_addr_size(r->f->family));
    memcpy(end.bytes, range->last, nsh_addr_size(r->f->family));
    while (p.length < bits &&
            !((p.addr.bytes[p.length / 8] ^ end.bytes[p.length / 8]) & (0x80U >> (p.length % 8))))
        p.length++;
    *ret = p;
    nsh_prefix_mask(ret);
    for (uint8_t i = p.length; i < bits; i++)
        p.addr.bytes[i / 8] |= (uint8_t)(0x80U >> (i % 8));
    return nsh_addr_cmp(&p.addr, &end) == 0 && memcmp(ret->addr.bytes, range->first, bits / 8) == 0;
}

static bool add_prefixes(struct reader *r, const struct nsh_nft_range *ranges, int n, bool inverted)
{
    struct nsh_foreign_rule *f = r->f;
    struct nsh_foreign_prefixes *into = r->field == FROM ? inverted ? &f->except_from : &f->from
                                        : inverted       ? &f->except_to
                                                         : &f->to;

    if (into->n > 0)
        return false;
    for (int i = 0; i < n; i++)
        if (!to_prefix(r, &ranges[i], &into->items[into->n++]))
            return false;
    return true;
}

static bool add_ports(struct reader *r, const struct nsh_nft_range *ranges, int n)
{
    struct nsh_foreign_ports *into =
            r->field == SPORT ? &r->f->source_ports : &r->f->destination_ports;

    if (into->n > 0)
        return false;
    for (int i = 0; i < n; i++)
        into->items[into->n++] =
                (struct nsh_range){(uint32_t)(ranges[i].first[0] << 8 | ranges[i].first[1]),
                        (uint32_t)(ranges[i].last[0] << 8 | ranges[i].last[1])};
    return true;
}

static bool add_devices(struct reader *r, const struct nsh_nft_range *ranges, int n, bool inverted)
{
    struct nsh_foreign_devices *into = r->field == IN ? &r->f->in
                                       : inverted     ? &r->f->except_out
                                                      : &r->f->out;

    if (into->n > 0 || (inverted && r->field == IN))
        return false;
    for (int i = 0; i < n; i++) {
        size_t length = strnlen((const char *)ranges[i].first, IFNAMSIZ);

        if (memcmp(ranges[i].first, ranges[i].last, IFNAMSIZ) != 0 || length == 0 ||
                length == IFNAMSIZ || ranges[i].first[length - 1] == '+')
            return false;
        memcpy(into->items[into->n++], ranges[i].first, IFNAMSIZ);
    }
    return true;
}

static void read_lookup(struct reader *r, const struct nftnl_expr *x)
{
    const char *set = text(x, NFTNL_EXPR_LOOKUP_SET);
    bool inverted = number(x, NFTNL_EXPR_LOOKUP_FLAGS) & NFT_LOOKUP_F_INV;
    struct nsh_nft_range ranges[NSH_NFT_RANGES_MAX];
    bool taken = false;
    int n;

    if (nftnl_expr_is_set(x, NFTNL_EXPR_LOOKUP_DREG) || r->mask_size > 0 || r->field == OTHER) {
        nsh_foreign_doubt(r->f, "a map, or a set of several fields");
        return;
    }
    if (strncmp(set, "__set", 5) != 0) {
        nsh_foreign_doubt(r->f, "the set '@%.64s'", set);
        return;
    }
    n = r->read_set(r->userdata, set, ranges);
    if (n > 0 && (r->field == FROM || r->field == TO) && r->size == nsh_addr_size(r->f->family))
        taken = add_prefixes(r, ranges, n, inverted);
    else if (n > 0 && (r->field == SPORT || r->field == DPORT) && !inverted)
        taken = add_ports(r, ranges, n);
    else if (n > 0 && (r->field == IN || r->field == OUT))
        taken = add_devices(r, ranges, n, inverted);
    if (!taken)
        nsh_foreign_doubt(r->f, "what is in a set");
}

/* ---- statements ---- */

static void read_verdict(struct reader *r, const struct nftnl_expr *x)
{
    const char *chain = text(x, NFTNL_EXPR_IMM_CHAIN);

    switch ((int)number(x, NFTNL_EXPR_IMM_VERDICT)) {
    case NF_ACCEPT:
        r->f->needs.action = NSH_PACKET_ACCEPT;
        return;
    case NF_DROP:
        r->f->needs.action = NSH_PACKET_DROP;
        return;
    case NFT_RETURN:
        r->f->needs.action = NSH_PACKET_RETURN;
        return;
    case NFT_JUMP:
    case NFT_GOTO:
        (void)snprintf(r->f->leads, sizeof r->f->leads, "%s", chain);
        nsh_foreign_doubt(r->f, "the chain that it leads to");
        return;
    default:
        nsh_foreign_doubt(r->f, "its verdict");
        return;
    }
}

static void read_immediate(struct reader *r, const struct nftnl_expr *x)
{
    uint32_t reg = number(x, NFTNL_EXPR_IMM_DREG);

    if (reg == NFT_REG_VERDICT)
        read_verdict(r, x);
    else if (reg <= REGISTERS)
        r->sizes[reg - 1] =
                bytes(x, NFTNL_EXPR_IMM_DATA, r->data[reg - 1], sizeof r->data[reg - 1]);
}

/* False: it is not a fixed value. */
static bool fixed(const struct reader *r, uint32_t reg, void *ret, uint32_t size)
{
    if (reg < NFT_REG_1 || reg > REGISTERS || r->sizes[reg - 1] < size)
        return false;
    memcpy(ret, r->data[reg - 1], size);
    return true;
}

static bool get_ports(struct reader *r, uint32_t min, uint32_t max)
{
    uint16_t first, last;

    if (min == 0)
        return true;
    if (!fixed(r, min, &first, sizeof first) || !fixed(r, max ? max : min, &last, sizeof last))
        return false;
    r->f->needs.nat.ports = (struct nsh_range){ntohs(first), ntohs(last)};
    return true;
}

static bool get_flags(struct reader *r, uint32_t flags)
{
    struct nsh_packet_nat *n = &r->f->needs.nat;
    const uint32_t known = NF_NAT_RANGE_MAP_IPS | NF_NAT_RANGE_PROTO_SPECIFIED |
                           NF_NAT_RANGE_PROTO_RANDOM | NF_NAT_RANGE_PROTO_RANDOM_FULLY |
                           NF_NAT_RANGE_PERSISTENT;

    if (flags & NF_NAT_RANGE_PROTO_RANDOM)
        n->random = NSH_RANDOM_PORTS;
    if (flags & NF_NAT_RANGE_PROTO_RANDOM_FULLY)
        n->random = NSH_RANDOM_FULLY;
    n->persistent = flags & NF_NAT_RANGE_PERSISTENT;
    return (flags & ~known) == 0;
}

static void read_masquerade(struct reader *r, const struct nftnl_expr *x)
{
    if (!get_flags(r, number(x, NFTNL_EXPR_MASQ_FLAGS)) ||
            !get_ports(r, number(x, NFTNL_EXPR_MASQ_REG_PROTO_MIN),
                    number(x, NFTNL_EXPR_MASQ_REG_PROTO_MAX)))
        nsh_foreign_doubt(r->f, "how it masquerades");
    r->f->needs.action = NSH_PACKET_MASQUERADE;
}

static bool get_addresses(struct reader *r, const struct nftnl_expr *x)
{
    uint32_t min = number(x, NFTNL_EXPR_NAT_REG_ADDR_MIN);
    uint32_t max = number(x, NFTNL_EXPR_NAT_REG_ADDR_MAX);
    uint32_t size = (uint32_t)nsh_addr_size(r->f->family);
    struct nsh_packet_nat *n = &r->f->needs.nat;

    if (min == 0)
        return false;
    n->family = r->f->family;
    return fixed(r, min, n->first.bytes, size) && fixed(r, max ? max : min, n->last.bytes, size);
}

/* The whole of a prefix, and nothing else. */
static bool get_map(struct reader *r)
{
    struct nsh_nft_range range = {0};

    memcpy(range.first, r->f->needs.nat.first.bytes, sizeof range.first);
    memcpy(range.last, r->f->needs.nat.last.bytes, sizeof range.last);
    r->f->needs.nat = (struct nsh_packet_nat){0};
    return to_prefix(r, &range, &r->f->needs.map);
}

static void read_nat(struct reader *r, const struct nftnl_expr *x)
{
    uint32_t family = number(x, NFTNL_EXPR_NAT_FAMILY), flags = number(x, NFTNL_EXPR_NAT_FLAGS);
    bool source = number(x, NFTNL_EXPR_NAT_TYPE) == NFT_NAT_SNAT;
    bool understood = get_addresses(r, x) &&
                      get_ports(r, number(x, NFTNL_EXPR_NAT_REG_PROTO_MIN),
                              number(x, NFTNL_EXPR_NAT_REG_PROTO_MAX)) &&
                      get_flags(r, flags & ~NF_NAT_RANGE_NETMAP);

    if (family != NFPROTO_UNSPEC && family != NFPROTO_INET)
        r->fits = r->fits && (family == NFPROTO_IPV6) == (r->f->family == AF_INET6);
    r->f->needs.action = source ? NSH_PACKET_SNAT : NSH_PACKET_DNAT;
    if (understood && flags & NF_NAT_RANGE_NETMAP) {
        understood = get_map(r);
        r->f->needs.action = NSH_PACKET_NETMAP;
    }
    if (!understood)
        nsh_foreign_doubt(r->f, "how it translates");
}

/* ---- iptables-nft ---- */

static void read_match(struct reader *r, const struct nftnl_expr *x)
{
    struct nsh_foreign_part part = {
            .name = text(x, NFTNL_EXPR_MT_NAME), .revision = (uint8_t)number(x, NFTNL_EXPR_MT_REV)};
    uint32_t size = 0;

    part.data = nftnl_expr_get(x, NFTNL_EXPR_MT_INFO, &size);
    part.size = size;
    if (part.data)
        nsh_foreign_xt_match(r->f, &part, false);
    else
        nsh_foreign_doubt(r->f, "the match '%.28s'", part.name);
}

static void read_target(struct reader *r, const struct nftnl_expr *x)
{
    struct nsh_foreign_part part = {
            .name = text(x, NFTNL_EXPR_TG_NAME), .revision = (uint8_t)number(x, NFTNL_EXPR_TG_REV)};
    uint32_t size = 0;

    part.data = nftnl_expr_get(x, NFTNL_EXPR_TG_INFO, &size);
    part.size = size;
    if (part.data)
        nsh_foreign_xt_target(r->f, &part, false);
    else
        nsh_foreign_doubt(r->f, "the target '%.28s'", part.name);
}

/* ---- all of it ---- */

static void read_nothing(struct reader *r, const struct nftnl_expr *x)
{
    (void)r;
    (void)x;
}

static const struct {
    const char *name;
    void (*read)(struct reader *r, const struct nftnl_expr *x);
} expressions[] = {
        {"meta", read_meta},
        {"payload", read_payload},
        {"ct", read_ct},
        {"fib", read_load},
        {"rt", read_load},
        {"socket", read_load},
        {"bitwise", read_bitwise},
        {"cmp", read_cmp},
        {"range", read_range},
        {"lookup", read_lookup},
        {"immediate", read_immediate},
        {"masq", read_masquerade},
        {"nat", read_nat},
        {"match", read_match},
        {"target", read_target},
        {"counter", read_nothing},
};

static void read_expression(struct reader *r, const struct nftnl_expr *x)
{
    const char *name = text(x, NFTNL_EXPR_NAME);

    for (size_t i = 0; i < NSH_ARRAY_SIZE(expressions); i++)
        if (strcmp(name, expressions[i].name) == 0) {
            expressions[i].read(r, x);
            return;
        }
    nsh_foreign_doubt(r->f, "'%.32s'", name);
}

/* As it is told of elsewhere, where it translates. */
static void say(struct reader *r, const struct nftnl_rule *rule)
{
    struct nsh_ahead_seen seen[1];
    char chain[NFT_NAME_MAXLEN];
    static const char *const verdicts[] = {[NSH_PACKET_RETURN] = "return",
            [NSH_PACKET_ACCEPT] = "accept",
            [NSH_PACKET_DROP] = "drop"};
    enum nsh_packet_action action = r->f->needs.action;

    if (nsh_nft_describe(rule, r->f->family, r->read_set, r->userdata, seen, 1, chain) > 0)
        nsh_foreign_say(r->f, "%s", seen->text);
    else if (r->f->leads[0] != '\0')
        nsh_foreign_say(r->f, "... jump %s", r->f->leads);
    else
        nsh_foreign_say(r->f, "... %s",
                action < NSH_ARRAY_SIZE(verdicts) && verdicts[action] ? verdicts[action] : "");
}

bool nsh_nft_foreign_rule(const struct nftnl_rule *rule, nsh_nft_read_set *read_set, void *userdata,
        struct nsh_foreign_rule *f)
{
    NSH_CLEANUP(nftnl_expr_iter_destroyp)
    struct nftnl_expr_iter *iter = nftnl_expr_iter_create(rule);
    struct reader r = {.f = f, .fits = true, .read_set = read_set, .userdata = userdata};
    const struct nftnl_expr *x;

    while (iter && r.fits && (x = nftnl_expr_iter_next(iter)))
        read_expression(&r, x);
    end_range(&r);
    if (!iter)
        nsh_foreign_doubt(f, "anything of it");
    if (r.fits)
        say(&r, rule);
    return r.fits;
}
