/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From the expressions of a rule of others to a value. What is not understood, to the last flag, is
 * said to be so: then the value is wider than the rule.
 */
#include "firewall-nft-foreign-rule.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_nat.h>
#include <stdio.h>
#include <string.h>

NSH_DEFINE_CLEANUP(struct nftnl_expr_iter *, nftnl_expr_iter_destroy)

/* ---- statements ---- */

static void read_verdict(struct nsh_nft_reader *r, const struct nftnl_expr *x)
{
    const char *chain = nsh_nft_text(x, NFTNL_EXPR_IMM_CHAIN);

    switch ((int)nsh_nft_number(x, NFTNL_EXPR_IMM_VERDICT)) {
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

static void read_immediate(struct nsh_nft_reader *r, const struct nftnl_expr *x)
{
    uint32_t reg = nsh_nft_number(x, NFTNL_EXPR_IMM_DREG);

    if (reg == NFT_REG_VERDICT)
        read_verdict(r, x);
    else if (reg <= NSH_NFT_REGISTERS)
        r->sizes[reg - 1] =
                nsh_nft_bytes(x, NFTNL_EXPR_IMM_DATA, r->data[reg - 1], sizeof r->data[reg - 1]);
}

/* False: it is not a fixed value. */
static bool fixed(const struct nsh_nft_reader *r, uint32_t reg, void *ret, uint32_t size)
{
    if (reg < NFT_REG_1 || reg > NSH_NFT_REGISTERS || r->sizes[reg - 1] < size)
        return false;
    memcpy(ret, r->data[reg - 1], size);
    return true;
}

static bool get_ports(struct nsh_nft_reader *r, uint32_t min, uint32_t max)
{
    uint16_t first, last;

    if (min == 0)
        return true;
    if (!fixed(r, min, &first, sizeof first) || !fixed(r, max ? max : min, &last, sizeof last))
        return false;
    r->f->needs.nat.ports = (struct nsh_range){ntohs(first), ntohs(last)};
    return true;
}

static bool get_flags(struct nsh_nft_reader *r, uint32_t flags)
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

static void read_masquerade(struct nsh_nft_reader *r, const struct nftnl_expr *x)
{
    if (!get_flags(r, nsh_nft_number(x, NFTNL_EXPR_MASQ_FLAGS)) ||
            !get_ports(r, nsh_nft_number(x, NFTNL_EXPR_MASQ_REG_PROTO_MIN),
                    nsh_nft_number(x, NFTNL_EXPR_MASQ_REG_PROTO_MAX)))
        nsh_foreign_doubt(r->f, "how it masquerades");
    r->f->needs.action = NSH_PACKET_MASQUERADE;
}

static bool get_addresses(struct nsh_nft_reader *r, const struct nftnl_expr *x)
{
    uint32_t min = nsh_nft_number(x, NFTNL_EXPR_NAT_REG_ADDR_MIN);
    uint32_t max = nsh_nft_number(x, NFTNL_EXPR_NAT_REG_ADDR_MAX);
    uint32_t size = (uint32_t)nsh_addr_size(r->f->family);
    struct nsh_packet_nat *n = &r->f->needs.nat;

    if (min == 0)
        return false;
    n->family = r->f->family;
    return fixed(r, min, n->first.bytes, size) && fixed(r, max ? max : min, n->last.bytes, size);
}

/* The whole of a prefix, and nothing else. */
static bool get_map(struct nsh_nft_reader *r)
{
    struct nsh_nft_range range = {0};

    memcpy(range.first, r->f->needs.nat.first.bytes, sizeof range.first);
    memcpy(range.last, r->f->needs.nat.last.bytes, sizeof range.last);
    r->f->needs.nat = (struct nsh_packet_nat){0};
    return nsh_nft_range_prefix(r, &range, &r->f->needs.map);
}

static void read_nat(struct nsh_nft_reader *r, const struct nftnl_expr *x)
{
    uint32_t family = nsh_nft_number(x, NFTNL_EXPR_NAT_FAMILY),
             flags = nsh_nft_number(x, NFTNL_EXPR_NAT_FLAGS);
    bool source = nsh_nft_number(x, NFTNL_EXPR_NAT_TYPE) == NFT_NAT_SNAT;
    bool understood = get_addresses(r, x) &&
                      get_ports(r, nsh_nft_number(x, NFTNL_EXPR_NAT_REG_PROTO_MIN),
                              nsh_nft_number(x, NFTNL_EXPR_NAT_REG_PROTO_MAX)) &&
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

static struct nsh_foreign_part part_of(
        const struct nftnl_expr *x, uint16_t name, uint16_t revision, uint16_t info)
{
    struct nsh_foreign_part part = {
            .name = nsh_nft_text(x, name), .revision = (uint8_t)nsh_nft_number(x, revision)};
    uint32_t size = 0;

    part.data = nftnl_expr_get(x, info, &size);
    part.size = size;
    return part;
}

static void read_match(struct nsh_nft_reader *r, const struct nftnl_expr *x)
{
    const struct nsh_foreign_part part =
            part_of(x, NFTNL_EXPR_MT_NAME, NFTNL_EXPR_MT_REV, NFTNL_EXPR_MT_INFO);

    if (part.data)
        nsh_foreign_xt_match(r->f, &part, false);
    else
        nsh_foreign_doubt(r->f, "the match '%.28s'", part.name);
}

static void read_target(struct nsh_nft_reader *r, const struct nftnl_expr *x)
{
    const struct nsh_foreign_part part =
            part_of(x, NFTNL_EXPR_TG_NAME, NFTNL_EXPR_TG_REV, NFTNL_EXPR_TG_INFO);

    if (part.data)
        nsh_foreign_xt_target(r->f, &part, false);
    else
        nsh_foreign_doubt(r->f, "the target '%.28s'", part.name);
}

/* ---- all of it ---- */

static void read_nothing(struct nsh_nft_reader *r, const struct nftnl_expr *x)
{
    (void)r;
    (void)x;
}

static const struct {
    const char *name;
    void (*read)(struct nsh_nft_reader *r, const struct nftnl_expr *x);
} expressions[] = {
        {"meta", nsh_nft_read_meta},
        {"payload", nsh_nft_read_payload},
        {"ct", nsh_nft_read_ct},
        {"fib", nsh_nft_read_load},
        {"rt", nsh_nft_read_load},
        {"socket", nsh_nft_read_load},
        {"bitwise", nsh_nft_read_bitwise},
        {"cmp", nsh_nft_read_cmp},
        {"range", nsh_nft_read_range},
        {"lookup", nsh_nft_read_lookup},
        {"immediate", read_immediate},
        {"masq", read_masquerade},
        {"nat", read_nat},
        {"match", read_match},
        {"target", read_target},
        {"counter", read_nothing},
};

static void read_expression(struct nsh_nft_reader *r, const struct nftnl_expr *x)
{
    const char *name = nsh_nft_text(x, NFTNL_EXPR_NAME);

    for (size_t i = 0; i < NSH_ARRAY_SIZE(expressions); i++)
        if (strcmp(name, expressions[i].name) == 0) {
            expressions[i].read(r, x);
            return;
        }
    nsh_foreign_doubt(r->f, "'%.32s'", name);
}

/* As it is told of elsewhere, where it translates. */
static void say(struct nsh_nft_reader *r, const struct nftnl_rule *rule)
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
    else if (action < NSH_ARRAY_SIZE(verdicts) && verdicts[action])
        nsh_foreign_say(r->f, "... %s", verdicts[action]);
    else
        nsh_foreign_say(r->f, "...");
}

bool nsh_nft_foreign_rule(const struct nftnl_rule *rule, nsh_nft_read_set *read_set, void *userdata,
        struct nsh_foreign_rule *f)
{
    NSH_CLEANUP(nftnl_expr_iter_destroyp)
    struct nftnl_expr_iter *iter = nftnl_expr_iter_create(rule);
    struct nsh_nft_reader r = {.f = f, .fits = true, .read_set = read_set, .userdata = userdata};
    const struct nftnl_expr *x;

    while (iter && r.fits && (x = nftnl_expr_iter_next(iter)))
        read_expression(&r, x);
    nsh_nft_read_end(&r);
    if (!iter)
        nsh_foreign_doubt(f, "anything of it");
    if (r.fits)
        say(&r, rule);
    return r.fits;
}
