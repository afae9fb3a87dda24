/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A rule of others as nft(8) lists it, without its counters, and what a packet needs for it. What
 * is not understood stays out of both: three dots in the text, and nothing that is needed.
 *
 * A set stands for several rules, one for each range in it, as long as these are few.
 */
#include "firewall-nft-describe.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_nat.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

NSH_DEFINE_CLEANUP(struct nftnl_expr_iter *, nftnl_expr_iter_destroy)

void nsh_nft_put(struct nsh_nft_teller *t, const char *format, ...)
{
    size_t room = sizeof t->ret->text - t->at;
    va_list ap;
    int n;

    va_start(ap, format);
    n = vsnprintf(t->ret->text + t->at, room, format, ap);
    va_end(ap);
    t->at = n > 0 && (size_t)n < room ? t->at + (size_t)n : sizeof t->ret->text - 1;
}

static bool loaded(const struct nsh_nft_teller *t, const char *what)
{
    return t->loaded && strcmp(nsh_nft_text(t->loaded, NFTNL_EXPR_NAME), what) == 0;
}

static void put_unknown(struct nsh_nft_teller *t)
{
    nsh_nft_put(t, "... ");
}

/* ---- the protocol ---- */

static const char *protocol_name(uint8_t protocol, char buf[static 8])
{
    static const struct {
        uint8_t number;
        const char *name;
    } names[] = {{IPPROTO_TCP, "tcp"}, {IPPROTO_UDP, "udp"}, {IPPROTO_ICMP, "icmp"},
            {IPPROTO_ICMPV6, "ipv6-icmp"}, {IPPROTO_SCTP, "sctp"}, {IPPROTO_DCCP, "dccp"},
            {IPPROTO_UDPLITE, "udplite"}};

    for (size_t i = 0; i < NSH_ARRAY_SIZE(names); i++)
        if (names[i].number == protocol)
            return names[i].name;
    snprintf(buf, 8, "%u", protocol);
    return buf;
}

static void tell_protocol(struct nsh_nft_teller *t)
{
    char buf[8];

    if (t->protocol_untold)
        nsh_nft_put(t, "meta l4proto %s ", protocol_name(t->ret->needs.protocol, buf));
    t->protocol_untold = false;
}

/* ---- comparisons ---- */

static const char *negation(bool equal)
{
    return equal ? "" : "!= ";
}

/* As nft writes it: a star at the end stands for any ending, unless a backslash takes that away. */
static void put_device(struct nsh_nft_teller *t, const char *name, bool pattern)
{
    size_t n = strnlen(name, IFNAMSIZ);
    bool star = !pattern && n > 0 && name[n - 1] == '*';

    nsh_nft_put(t, "\"%.*s%s\"", (int)(star ? n - 1 : n), name, pattern ? "*" : star ? "\\*" : "");
}

static void compare_device(
        struct nsh_nft_teller *t, const char *word, const uint8_t *data, uint32_t size, bool equal)
{
    bool in = word[0] == 'i';
    struct nsh_packet_rule *r = equal ? &t->ret->needs : &t->ret->spares;
    bool whole = memchr(data, '\0', size); /* with its NUL; iptables-nft compares no more */
    char name[IFNAMSIZ] = "";

    memcpy(name, data, size < IFNAMSIZ ? size : IFNAMSIZ - 1);
    nsh_nft_put(t, "%s %s", word, negation(equal));
    put_device(t, name, !whole);
    nsh_nft_put(t, " ");
    if (!whole && size < IFNAMSIZ - 1)
        name[size] = '+';
    memcpy(in ? r->in : r->out, name, IFNAMSIZ);
}

static void compare_index(
        struct nsh_nft_teller *t, const char *word, const uint8_t *data, bool equal)
{
    char name[IFNAMSIZ] = "";
    uint32_t index;

    memcpy(&index, data, sizeof index);
    if (if_indextoname(index, name))
        compare_device(t, word, (const uint8_t *)name, IFNAMSIZ, equal);
    else
        nsh_nft_put(t, "%s %s%u ", word, negation(equal), index);
}

static void compare_mark(struct nsh_nft_teller *t, const uint8_t *data, bool equal)
{
    struct nsh_mark mark = {.mask = UINT32_MAX};

    memcpy(&mark.value, data, sizeof mark.value);
    if (t->mask_size == sizeof mark.mask)
        memcpy(&mark.mask, t->mask, sizeof mark.mask);
    if (t->mask_size > 0)
        nsh_nft_put(t, "meta mark & 0x%08x %s 0x%08x ", mark.mask, equal ? "==" : "!=", mark.value);
    else
        nsh_nft_put(t, "meta mark %s0x%08x ", negation(equal), mark.value);
    if (equal)
        t->ret->needs.mark = mark;
}

static void compare_meta(struct nsh_nft_teller *t, const uint8_t *data, uint32_t size, bool equal)
{
    switch (nsh_nft_number(t->loaded, NFTNL_EXPR_META_KEY)) {
    case NFT_META_IIFNAME:
        compare_device(t, "iifname", data, size, equal);
        break;
    case NFT_META_OIFNAME:
        compare_device(t, "oifname", data, size, equal);
        break;
    case NFT_META_IIF:
        compare_index(t, "iif", data, equal);
        break;
    case NFT_META_OIF:
        compare_index(t, "oif", data, equal);
        break;
    case NFT_META_MARK:
        compare_mark(t, data, equal);
        break;
    case NFT_META_NFPROTO: /* said with an address, mostly */
        t->fits = t->fits &&
                  (data[0] == (t->family == AF_INET6 ? NFPROTO_IPV6 : NFPROTO_IPV4)) == equal;
        break;
    case NFT_META_L4PROTO:
        if (equal)
            t->ret->needs.protocol = data[0];
        t->protocol_untold = equal;
        if (!equal)
            put_unknown(t);
        break;
    default:
        put_unknown(t);
        break;
    }
}

/* How many of the bits, from the first on, are compared; false: others are too. */
static bool prefix_length(const struct nsh_nft_teller *t, uint32_t size, uint8_t *ret)
{
    uint8_t n = 0;

    *ret = (uint8_t)(size * 8);
    if (t->mask_size == 0)
        return true;
    while (n < t->mask_size * 8 && t->mask[n / 8] & (0x80U >> (n % 8)))
        n++;
    *ret = n;
    for (uint32_t i = n; i < t->mask_size * 8; i++)
        if (t->mask[i / 8] & (0x80U >> (i % 8)))
            return false;
    return true;
}

static void compare_network(
        struct nsh_nft_teller *t, const uint8_t *data, uint32_t size, bool equal)
{
    uint32_t offset = nsh_nft_number(t->loaded, NFTNL_EXPR_PAYLOAD_OFFSET);
    bool six = t->family == AF_INET6, source = offset == (six ? 8U : 12U);
    struct nsh_packet_rule *r = equal ? &t->ret->needs : &t->ret->spares;
    struct nsh_prefix p = {.family = (uint8_t)t->family};
    char buf[NSH_PREFIX_TEXT];

    if (size > nsh_addr_size(t->family) || (!source && offset != (six ? 24U : 16U)) ||
            !prefix_length(t, size, &p.length)) {
        put_unknown(t);
        return;
    }
    memcpy(p.addr.bytes, data, size);
    nsh_nft_put(t, "%s %s %s%s ", six ? "ip6" : "ip", source ? "saddr" : "daddr", negation(equal),
            nsh_prefix_format(&p, buf));
    *(source ? &r->from : &r->to) = p;
}

static void put_ports(
        struct nsh_nft_teller *t, bool source, bool equal, uint16_t first, uint16_t last)
{
    char buf[8];

    nsh_nft_put(t, "%s %s %s%u",
            t->protocol_untold ? protocol_name(t->ret->needs.protocol, buf) : "th",
            source ? "sport" : "dport", negation(equal), first);
    if (last != first)
        nsh_nft_put(t, "-%u", last);
    nsh_nft_put(t, " ");
    t->protocol_untold = false;
    if (equal)
        *(source ? &t->ret->needs.source_port : &t->ret->needs.destination_port) =
                (struct nsh_range){.first = first, .last = last};
}

static bool is_port(const struct nsh_nft_teller *t, bool *ret_source)
{
    uint32_t offset;

    if (!loaded(t, "payload") ||
            nsh_nft_number(t->loaded, NFTNL_EXPR_PAYLOAD_BASE) != NFT_PAYLOAD_TRANSPORT_HEADER)
        return false;
    offset = nsh_nft_number(t->loaded, NFTNL_EXPR_PAYLOAD_OFFSET);
    *ret_source = offset == 0;
    return (offset == 0 || offset == 2) && nsh_nft_number(t->loaded, NFTNL_EXPR_PAYLOAD_LEN) == 2;
}

static bool is_network(const struct nsh_nft_teller *t)
{
    return loaded(t, "payload") &&
           nsh_nft_number(t->loaded, NFTNL_EXPR_PAYLOAD_BASE) == NFT_PAYLOAD_NETWORK_HEADER;
}

/* A range is two comparisons, the lower end first. */
static void compare_port(struct nsh_nft_teller *t, uint32_t op, bool source, uint16_t port)
{
    switch (op) {
    case NFT_CMP_EQ:
    case NFT_CMP_NEQ:
        put_ports(t, source, op == NFT_CMP_EQ, port, port);
        break;
    case NFT_CMP_GTE:
        t->low = port;
        break;
    case NFT_CMP_LTE:
        put_ports(t, source, true, t->low, port);
        break;
    default:
        put_unknown(t);
        break;
    }
}

static void tell_cmp(struct nsh_nft_teller *t, const struct nftnl_expr *x)
{
    uint8_t data[16] = {0};
    uint32_t size = nsh_nft_bytes(x, NFTNL_EXPR_CMP_DATA, data, sizeof data);
    uint32_t op = nsh_nft_number(x, NFTNL_EXPR_CMP_OP);
    uint16_t port;
    bool source;

    if (is_port(t, &source)) {
        memcpy(&port, data, sizeof port);
        compare_port(t, op, source, ntohs(port));
        return;
    }
    tell_protocol(t);
    if (op <= NFT_CMP_NEQ && loaded(t, "meta"))
        compare_meta(t, data, size, op == NFT_CMP_EQ);
    else if (op <= NFT_CMP_NEQ && is_network(t))
        compare_network(t, data, size, op == NFT_CMP_EQ);
    else
        put_unknown(t);
}

static void tell_range(struct nsh_nft_teller *t, const struct nftnl_expr *x)
{
    uint16_t first = 0, last = 0;
    bool source;

    if (is_port(t, &source) &&
            nsh_nft_bytes(x, NFTNL_EXPR_RANGE_FROM_DATA, &first, sizeof first) == sizeof first &&
            nsh_nft_bytes(x, NFTNL_EXPR_RANGE_TO_DATA, &last, sizeof last) == sizeof last) {
        put_ports(t, source, nsh_nft_number(x, NFTNL_EXPR_RANGE_OP) == NFT_RANGE_EQ, ntohs(first),
                ntohs(last));
        return;
    }
    tell_protocol(t);
    put_unknown(t);
}

/* ---- sets ---- */

static const char *field_word(const struct nsh_nft_teller *t)
{
    bool source, six = t->family == AF_INET6;
    uint32_t offset, key;

    if (is_network(t)) {
        offset = nsh_nft_number(t->loaded, NFTNL_EXPR_PAYLOAD_OFFSET);
        if (nsh_nft_number(t->loaded, NFTNL_EXPR_PAYLOAD_LEN) != nsh_addr_size(t->family))
            return NULL;
        return offset == (six ? 8U : 12U)    ? six ? "ip6 saddr" : "ip saddr"
               : offset == (six ? 24U : 16U) ? six ? "ip6 daddr" : "ip daddr"
                                             : NULL;
    }
    if (is_port(t, &source))
        return source ? "th sport" : "th dport";
    key = loaded(t, "meta") ? nsh_nft_number(t->loaded, NFTNL_EXPR_META_KEY) : UINT32_MAX;
    return key == NFT_META_IIFNAME ? "iifname" : key == NFT_META_OIFNAME ? "oifname" : NULL;
}

/* The bits in which the ends are the same. */
static struct nsh_prefix range_prefix(const struct nsh_nft_teller *t, const struct nsh_nft_range *r)
{
    struct nsh_prefix p = {.family = (uint8_t)t->family};
    uint8_t bits = nsh_addr_bits(t->family);

    memcpy(p.addr.bytes, r->first, nsh_addr_size(t->family));
    while (p.length < bits &&
            !((r->first[p.length / 8] ^ r->last[p.length / 8]) & (0x80U >> (p.length % 8))))
        p.length++;
    nsh_prefix_mask(&p);
    return p;
}

static uint16_t port_at(const uint8_t *data)
{
    return (uint16_t)(data[0] << 8 | data[1]);
}

static void need_range(const struct nsh_nft_teller *t, const struct nsh_nft_range *r,
        struct nsh_packet_rule *needs)
{
    const char *word = field_word(t);
    bool source = strstr(word, "saddr") || strstr(word, "sport");

    if (strstr(word, "name"))
        (void)nsh_nft_range_device(r, word[0] == 'i' ? needs->in : needs->out);
    else if (strstr(word, "port"))
        *(source ? &needs->source_port : &needs->destination_port) =
                (struct nsh_range){.first = port_at(r->first), .last = port_at(r->last)};
    else
        *(source ? &needs->from : &needs->to) = range_prefix(t, r);
}

/* The range that is needed then, in words. */
static void put_range(struct nsh_nft_teller *t, const struct nsh_nft_range *r)
{
    struct nsh_packet_rule one = {0};
    char buf[NSH_PREFIX_TEXT];

    need_range(t, r, &one);
    if (strstr(field_word(t), "name"))
        put_device(t, (const char *)r->first, memcmp(r->first, r->last, IFNAMSIZ) != 0);
    else if (one.from.family != AF_UNSPEC || one.to.family != AF_UNSPEC)
        nsh_nft_put(
                t, "%s", nsh_prefix_format(one.to.family == AF_UNSPEC ? &one.from : &one.to, buf));
    else if (port_at(r->first) == port_at(r->last))
        nsh_nft_put(t, "%u", port_at(r->first));
    else
        nsh_nft_put(t, "%u-%u", port_at(r->first), port_at(r->last));
}

static void tell_lookup(struct nsh_nft_teller *t, const struct nftnl_expr *x)
{
    const char *word = t->mask_size == 0 ? field_word(t) : NULL;
    const char *set = nsh_nft_text(x, NFTNL_EXPR_LOOKUP_SET);
    bool inverted = nsh_nft_number(x, NFTNL_EXPR_LOOKUP_FLAGS) & NFT_LOOKUP_F_INV;
    bool anonymous = strncmp(set, "__", 2) == 0;
    int n = -1;

    tell_protocol(t);
    if (!word || nftnl_expr_is_set(x, NFTNL_EXPR_LOOKUP_DREG) ||
            !nsh_nft_is_whole_key(t->loaded, x)) {
        put_unknown(t);
        return;
    }
    nsh_nft_put(t, "%s %s", word, negation(!inverted));
    if (!inverted && !t->ranged && t->read_set)
        n = t->read_set(t->userdata, set, t->ranges);
    for (int i = 0; i < n && anonymous; i++) {
        nsh_nft_put(t, i == 0 ? "{ " : ", ");
        put_range(t, &t->ranges[i]);
    }
    if (!anonymous)
        nsh_nft_put(t, "@%.64s ", set);
    else
        nsh_nft_put(t, "%s", n > 0 ? " } " : "{ ... } ");
    if (n > 0) {
        t->ranged = t->loaded;
        t->n_ranges = (size_t)n;
    }
}

/* One for each range of the set. */
static size_t spread(struct nsh_nft_teller *t, size_t max)
{
    struct nsh_ahead_seen *ret = t->ret;
    size_t n = t->n_ranges < max ? t->n_ranges : max;

    t->loaded = t->ranged;
    for (size_t i = 1; i < n; i++)
        ret[i] = ret[0];
    for (size_t i = 0; i < n; i++)
        need_range(t, &t->ranges[i], &ret[i].needs);
    return n > 0 ? n : 1;
}

static void tell_load(struct nsh_nft_teller *t, const struct nftnl_expr *x)
{
    t->loaded = x;
    t->mask_size = 0;
    t->low = 0;
}

static void tell_bitwise(struct nsh_nft_teller *t, const struct nftnl_expr *x)
{
    t->mask_size = nsh_nft_bytes(x, NFTNL_EXPR_BITWISE_MASK, t->mask, sizeof t->mask);
}

static void tell_match(struct nsh_nft_teller *t, const struct nftnl_expr *x)
{
    const char *name = nsh_nft_text(x, NFTNL_EXPR_MT_NAME);

    tell_protocol(t);
    if (strcmp(name, "comment") != 0)
        nsh_nft_put(t, "xt match \"%.28s\" ", name);
}

/* ---- all of it ---- */

static void tell_nothing(struct nsh_nft_teller *t, const struct nftnl_expr *x)
{
    (void)t;
    (void)x;
}

static void tell_reject(struct nsh_nft_teller *t, const struct nftnl_expr *x)
{
    (void)x;
    tell_protocol(t);
    nsh_nft_put(t, "reject ");
}

static const struct {
    const char *name;
    bool statement; /* what was untold of the matches is told before */
    void (*tell)(struct nsh_nft_teller *t, const struct nftnl_expr *x);
} expressions[] = {
        {"meta", false, tell_load},
        {"payload", false, tell_load},
        {"ct", false, tell_load},
        {"fib", false, tell_load},
        {"rt", false, tell_load},
        {"bitwise", false, tell_bitwise},
        {"cmp", false, tell_cmp},
        {"range", false, tell_range},
        {"match", false, tell_match},
        {"lookup", false, tell_lookup},
        {"immediate", false, nsh_nft_tell_immediate},
        {"counter", false, tell_nothing},
        {"reject", false, tell_reject},
        {"masq", true, nsh_nft_tell_masquerade},
        {"nat", true, nsh_nft_tell_nat},
        {"redir", true, nsh_nft_tell_redirect},
        {"target", true, nsh_nft_tell_target},
};

static void tell(struct nsh_nft_teller *t, const struct nftnl_expr *x)
{
    const char *name = nsh_nft_text(x, NFTNL_EXPR_NAME);

    for (size_t i = 0; i < NSH_ARRAY_SIZE(expressions); i++) {
        if (strcmp(name, expressions[i].name) != 0)
            continue;
        if (expressions[i].statement)
            tell_protocol(t);
        expressions[i].tell(t, x);
        return;
    }
    tell_protocol(t);
    put_unknown(t);
}

static bool translates(const struct nftnl_rule *rule)
{
    NSH_CLEANUP(nftnl_expr_iter_destroyp)
    struct nftnl_expr_iter *iter = nftnl_expr_iter_create(rule);
    const struct nftnl_expr *x;

    while (iter && (x = nftnl_expr_iter_next(iter)))
        for (size_t i = 0; i < NSH_ARRAY_SIZE(expressions); i++)
            if (expressions[i].statement &&
                    strcmp(nsh_nft_text(x, NFTNL_EXPR_NAME), expressions[i].name) == 0)
                return true;
    return false;
}

void nsh_nft_rule_format(const struct nftnl_rule *rule, int family, char *buf, size_t size)
{
    NSH_CLEANUP(nftnl_expr_iter_destroyp)
    struct nftnl_expr_iter *iter = nftnl_expr_iter_create(rule);
    struct nsh_ahead_seen seen = {0};
    char chain[NFT_NAME_MAXLEN] = "";
    struct nsh_nft_teller t = {
            .family = family, .ret = &seen, .fits = true, .chain = chain, .verdicts = true};
    const struct nftnl_expr *x;

    while (iter && (x = nftnl_expr_iter_next(iter))) {
        if (nftnl_expr_is_set(x, NFTNL_EXPR_IMM_VERDICT) &&
                strcmp(nsh_nft_text(x, NFTNL_EXPR_NAME), "immediate") == 0)
            tell_protocol(&t);
        tell(&t, x);
    }
    if (t.at > 0 && seen.text[t.at - 1] == ' ')
        seen.text[t.at - 1] = '\0';
    snprintf(buf, size, "%s", seen.text);
}

size_t nsh_nft_describe(const struct nftnl_rule *rule, int family, nsh_nft_read_set *read_set,
        void *userdata, struct nsh_ahead_seen *ret, size_t max,
        char ret_chain[static NFT_NAME_MAXLEN])
{
    NSH_CLEANUP(nftnl_expr_iter_destroyp)
    struct nftnl_expr_iter *iter = nftnl_expr_iter_create(rule);
    struct nsh_nft_teller t = {
            .family = family,
            .inet = nftnl_rule_get_u32(rule, NFTNL_RULE_FAMILY) == NFPROTO_INET,
            .ret = ret,
            .fits = true,
            .chain = ret_chain,
            .read_set = translates(rule) ? read_set : NULL,
            .userdata = userdata,
    };
    const struct nftnl_expr *x;

    ret_chain[0] = '\0';
    *ret = (struct nsh_ahead_seen){.needs.action = NSH_PACKET_OTHER};
    while (iter && t.fits && (x = nftnl_expr_iter_next(iter)))
        tell(&t, x);
    if (t.takes || !t.fits)
        ret_chain[0] = '\0';
    if (!t.takes || !t.fits)
        return 0;
    if (t.at > 0 && ret->text[t.at - 1] == ' ')
        ret->text[t.at - 1] = '\0';
    return spread(&t, max);
}
