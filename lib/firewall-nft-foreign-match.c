/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a packet must be to be taken by a rule of others: expressions load pieces of it into
 * registers and compare them, or look them up in a set.
 */
#include "firewall-nft-foreign-rule.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <stdio.h>
#include <string.h>

/* ---- loads ---- */

void nsh_nft_read_end(struct nsh_nft_reader *r)
{
    if (r->has_low)
        nsh_foreign_doubt(r->f, "its ports");
    r->has_low = false;
}

static void load(struct nsh_nft_reader *r, enum nsh_nft_field field, uint32_t size)
{
    nsh_nft_read_end(r);
    r->field = field;
    r->size = size;
    r->mask_size = 0;
}

void nsh_nft_read_load(struct nsh_nft_reader *r, const struct nftnl_expr *x)
{
    load(r, NSH_NFT_OTHER, 0);
    r->loaded = x;
    (void)snprintf(r->what, sizeof r->what, "%s", nsh_nft_text(x, NFTNL_EXPR_NAME));
}

void nsh_nft_read_ct(struct nsh_nft_reader *r, const struct nftnl_expr *x)
{
    nsh_nft_read_load(r, x);
    if (!nftnl_expr_is_set(x, NFTNL_EXPR_CT_DREG))
        nsh_foreign_doubt(r->f, "the statement 'ct ... set'");
}

void nsh_nft_read_meta(struct nsh_nft_reader *r, const struct nftnl_expr *x)
{
    static const struct {
        uint32_t key;
        enum nsh_nft_field field;
        uint32_t size;
    } keys[] = {
            {NFT_META_IIFNAME, NSH_NFT_IN, IFNAMSIZ},
            {NFT_META_OIFNAME, NSH_NFT_OUT, IFNAMSIZ},
            {NFT_META_IIF, NSH_NFT_IN_INDEX, 4},
            {NFT_META_OIF, NSH_NFT_OUT_INDEX, 4},
            {NFT_META_MARK, NSH_NFT_MARK, 4},
            {NFT_META_NFPROTO, NSH_NFT_FAMILY, 1},
            {NFT_META_L4PROTO, NSH_NFT_PROTOCOL, 1},
    };

    nsh_nft_read_load(r, x);
    if (!nftnl_expr_is_set(x, NFTNL_EXPR_META_DREG)) {
        nsh_foreign_doubt(r->f, "the statement 'meta ... set'");
        return;
    }
    for (size_t i = 0; i < NSH_ARRAY_SIZE(keys); i++)
        if (keys[i].key == nsh_nft_number(x, NFTNL_EXPR_META_KEY))
            load(r, keys[i].field, keys[i].size);
}

void nsh_nft_read_payload(struct nsh_nft_reader *r, const struct nftnl_expr *x)
{
    uint32_t base = nsh_nft_number(x, NFTNL_EXPR_PAYLOAD_BASE),
             size = nsh_nft_number(x, NFTNL_EXPR_PAYLOAD_LEN);
    uint32_t offset = nsh_nft_number(x, NFTNL_EXPR_PAYLOAD_OFFSET);
    bool six = r->f->family == AF_INET6;

    nsh_nft_read_load(r, x);
    if (!nftnl_expr_is_set(x, NFTNL_EXPR_PAYLOAD_DREG))
        nsh_foreign_doubt(r->f, "what it writes into the packet");
    else if (base == NFT_PAYLOAD_TRANSPORT_HEADER && size == 2 && (offset == 0 || offset == 2))
        load(r, offset == 0 ? NSH_NFT_SPORT : NSH_NFT_DPORT, 2);
    else if (base == NFT_PAYLOAD_NETWORK_HEADER && size <= nsh_addr_size(r->f->family) &&
             (offset == (six ? 8U : 12U) || offset == (six ? 24U : 16U)))
        load(r, offset == (six ? 8U : 12U) ? NSH_NFT_FROM : NSH_NFT_TO, size);
    else if (base == NFT_PAYLOAD_NETWORK_HEADER && !six && offset == 9 && size == 1)
        load(r, NSH_NFT_PROTOCOL, 1);
}

void nsh_nft_read_bitwise(struct nsh_nft_reader *r, const struct nftnl_expr *x)
{
    uint8_t flip[16] = {0};
    static const uint8_t none[16];

    r->mask_size = nsh_nft_bytes(x, NFTNL_EXPR_BITWISE_MASK, r->mask, sizeof r->mask);
    (void)nsh_nft_bytes(x, NFTNL_EXPR_BITWISE_XOR, flip, sizeof flip);
    if (r->mask_size != r->size || memcmp(flip, none, sizeof flip) != 0 || r->mask_size == 0 ||
            nftnl_expr_is_set(x, NFTNL_EXPR_BITWISE_DATA)) {
        (void)snprintf(r->what, sizeof r->what, "bitwise");
        r->field = NSH_NFT_OTHER;
    }
}

/* ---- what is compared ---- */

static void doubt_field(struct nsh_nft_reader *r)
{
    nsh_foreign_doubt(
            r->f, "the match '%s'", r->field == NSH_NFT_OTHER ? r->what : "of a device or port");
}

static void put_device(struct nsh_nft_reader *r, const char *name, bool pattern, bool equal)
{
    struct nsh_packet_rule *into = equal ? &r->f->needs : &r->f->spares;
    bool in = r->field == NSH_NFT_IN || r->field == NSH_NFT_IN_INDEX;
    size_t n = strnlen(name, IFNAMSIZ - 1);
    char *field = in ? into->in : into->out;

    /* Here a '+' is a character like any other. */
    if (field[0] != '\0' || n == 0 || name[n - 1] == '+' || (pattern && n + 1 >= IFNAMSIZ)) {
        nsh_foreign_doubt(r->f, "a device's name");
        return;
    }
    (void)snprintf(field, IFNAMSIZ, "%.*s%s", (int)n, name, pattern ? "+" : "");
}

static void compare_device(struct nsh_nft_reader *r, const uint8_t *data, uint32_t size, bool equal)
{
    char name[IFNAMSIZ + 1] = "";
    uint32_t index;

    if (r->field == NSH_NFT_IN || r->field == NSH_NFT_OUT) {
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

static void compare_address(
        struct nsh_nft_reader *r, const uint8_t *data, uint32_t size, bool equal)
{
    struct nsh_packet_rule *into = equal ? &r->f->needs : &r->f->spares;
    struct nsh_prefix *field = r->field == NSH_NFT_FROM ? &into->from : &into->to, masked;
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

static void put_ports(struct nsh_nft_reader *r, uint16_t first, uint16_t last)
{
    struct nsh_range *field =
            r->field == NSH_NFT_SPORT ? &r->f->needs.source_port : &r->f->needs.destination_port;

    if (field->last > 0 || first > last)
        nsh_foreign_doubt(r->f, "its ports");
    else
        *field = (struct nsh_range){first, last};
}

/* A range is two comparisons, the lower end first. */
static void compare_port(struct nsh_nft_reader *r, uint32_t op, uint16_t port)
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

static void compare_mark(struct nsh_nft_reader *r, const uint8_t *data)
{
    struct nsh_mark m = {.mask = UINT32_MAX};

    memcpy(&m.value, data, sizeof m.value);
    if (r->mask_size > 0)
        memcpy(&m.mask, r->mask, sizeof m.mask);
    if (r->f->needs.mark.mask != 0)
        nsh_foreign_doubt(r->f, "its second mark");
    r->f->needs.mark = m;
}

static void compare_protocol(struct nsh_nft_reader *r, uint8_t protocol)
{
    if (r->f->needs.protocol != 0 && r->f->needs.protocol != protocol)
        nsh_foreign_doubt(r->f, "its second protocol");
    r->f->needs.protocol = protocol;
}

static void compare(struct nsh_nft_reader *r, uint32_t op, const uint8_t *data, uint32_t size)
{
    bool equal = op == NFT_CMP_EQ, plain = equal && r->mask_size == 0;

    if (r->field == NSH_NFT_FAMILY && op <= NFT_CMP_NEQ)
        r->fits = r->fits &&
                  (data[0] == (r->f->family == AF_INET6 ? NFPROTO_IPV6 : NFPROTO_IPV4)) == equal;
    else if (r->field >= NSH_NFT_IN && r->field <= NSH_NFT_OUT_INDEX && op <= NFT_CMP_NEQ &&
             r->mask_size == 0)
        compare_device(r, data, size, equal);
    else if ((r->field == NSH_NFT_FROM || r->field == NSH_NFT_TO) && op <= NFT_CMP_NEQ &&
             size == r->size)
        compare_address(r, data, size, equal);
    else if ((r->field == NSH_NFT_SPORT || r->field == NSH_NFT_DPORT) && size == 2 &&
             r->mask_size == 0)
        compare_port(r, op, (uint16_t)(data[0] << 8 | data[1]));
    else if (r->field == NSH_NFT_MARK && equal)
        compare_mark(r, data);
    else if (r->field == NSH_NFT_PROTOCOL && plain)
        compare_protocol(r, data[0]);
    else
        doubt_field(r);
}

void nsh_nft_read_cmp(struct nsh_nft_reader *r, const struct nftnl_expr *x)
{
    uint8_t data[16] = {0};
    uint32_t size = nsh_nft_bytes(x, NFTNL_EXPR_CMP_DATA, data, sizeof data);

    compare(r, nsh_nft_number(x, NFTNL_EXPR_CMP_OP), data, size);
}

void nsh_nft_read_range(struct nsh_nft_reader *r, const struct nftnl_expr *x)
{
    uint16_t first = 0, last = 0;

    if ((r->field == NSH_NFT_SPORT || r->field == NSH_NFT_DPORT) && r->mask_size == 0 &&
            nsh_nft_number(x, NFTNL_EXPR_RANGE_OP) == NFT_RANGE_EQ &&
            nsh_nft_bytes(x, NFTNL_EXPR_RANGE_FROM_DATA, &first, sizeof first) == sizeof first &&
            nsh_nft_bytes(x, NFTNL_EXPR_RANGE_TO_DATA, &last, sizeof last) == sizeof last)
        put_ports(r, ntohs(first), ntohs(last));
    else
        doubt_field(r);
}

/* ---- sets ---- */

/* False: it is no prefix. */
bool nsh_nft_range_prefix(
        const struct nsh_nft_reader *r, const struct nsh_nft_range *range, struct nsh_prefix *ret)
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

static bool add_prefixes(
        struct nsh_nft_reader *r, const struct nsh_nft_range *ranges, int n, bool inverted)
{
    struct nsh_foreign_rule *f = r->f;
    struct nsh_foreign_prefixes *into = r->field == NSH_NFT_FROM
                                                ? inverted ? &f->except_from : &f->from
                                        : inverted ? &f->except_to
                                                   : &f->to;

    if (into->n > 0)
        return false;
    for (int i = 0; i < n; i++)
        if (!nsh_nft_range_prefix(r, &ranges[i], &into->items[into->n++]))
            return false;
    return true;
}

static bool add_ports(struct nsh_nft_reader *r, const struct nsh_nft_range *ranges, int n)
{
    struct nsh_foreign_ports *into =
            r->field == NSH_NFT_SPORT ? &r->f->source_ports : &r->f->destination_ports;

    if (into->n > 0)
        return false;
    for (int i = 0; i < n; i++)
        into->items[into->n++] =
                (struct nsh_range){(uint32_t)(ranges[i].first[0] << 8 | ranges[i].first[1]),
                        (uint32_t)(ranges[i].last[0] << 8 | ranges[i].last[1])};
    return true;
}

static bool add_devices(
        struct nsh_nft_reader *r, const struct nsh_nft_range *ranges, int n, bool inverted)
{
    struct nsh_foreign_devices *into = r->field == NSH_NFT_IN ? &r->f->in
                                       : inverted             ? &r->f->except_out
                                                              : &r->f->out;

    if (into->n > 0 || (inverted && r->field == NSH_NFT_IN))
        return false;
    for (int i = 0; i < n; i++)
        if (!nsh_nft_range_device(&ranges[i], into->items[into->n++]))
            return false;
    return true;
}

void nsh_nft_read_lookup(struct nsh_nft_reader *r, const struct nftnl_expr *x)
{
    const char *set = nsh_nft_text(x, NFTNL_EXPR_LOOKUP_SET);
    bool inverted = nsh_nft_number(x, NFTNL_EXPR_LOOKUP_FLAGS) & NFT_LOOKUP_F_INV;
    struct nsh_nft_range ranges[NSH_NFT_RANGES_MAX];
    bool taken = false;
    int n;

    if (nftnl_expr_is_set(x, NFTNL_EXPR_LOOKUP_DREG) || r->mask_size > 0 ||
            r->field == NSH_NFT_OTHER || !nsh_nft_is_whole_key(r->loaded, x)) {
        nsh_foreign_doubt(r->f, "a map, or a set of several fields");
        return;
    }
    if (strncmp(set, "__set", 5) != 0) {
        nsh_foreign_doubt(r->f, "the set '@%.64s'", set);
        return;
    }
    n = r->read_set(r->userdata, set, ranges);
    if (n > 0 && (r->field == NSH_NFT_FROM || r->field == NSH_NFT_TO) &&
            r->size == nsh_addr_size(r->f->family))
        taken = add_prefixes(r, ranges, n, inverted);
    else if (n > 0 && (r->field == NSH_NFT_SPORT || r->field == NSH_NFT_DPORT) && !inverted)
        taken = add_ports(r, ranges, n);
    else if (n > 0 && (r->field == NSH_NFT_IN || r->field == NSH_NFT_OUT))
        taken = add_devices(r, ranges, n, inverted);
    if (!taken)
        nsh_foreign_doubt(r->f, "what is in a set");
}
