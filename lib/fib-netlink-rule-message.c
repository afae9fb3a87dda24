/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rule messages, to the kernel and from it.
 *
 * A deletion says all there is to say of the rule, for the kernel takes the first one that fits
 * what is said.
 */
#include <errno.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <string.h>

#include "fib-netlink.h"

/* Newer than the headers this may be built with (Linux 6.14). */
#define FRA_SPORT_MASK_ 28
#define FRA_DPORT_MASK_ 29
#define ATTR_MAX 63

/* ---- to the kernel ---- */

static int put_u32(struct nl_msg *msg, int type, uint32_t value)
{
    return nla_put_u32(msg, type, value) < 0 ? -EMSGSIZE : 0;
}

static int put_prefix(struct nl_msg *msg, int type, const struct nsh_prefix *p)
{
    if (p->family == AF_UNSPEC)
        return 0;
    return nla_put(msg, type, (int)nsh_addr_size(p->family), p->addr.bytes) < 0 ? -EMSGSIZE : 0;
}

static int put_name(struct nl_msg *msg, int type, const char *name)
{
    return name[0] != '\0' && nla_put_string(msg, type, name) < 0 ? -EMSGSIZE : 0;
}

static int put_byte(struct nl_msg *msg, int type, uint8_t value)
{
    return value != 0 && nla_put_u8(msg, type, value) < 0 ? -EMSGSIZE : 0;
}

static int put_ports(struct nl_msg *msg, int type, const struct nsh_range *r)
{
    const struct fib_rule_port_range range = {(uint16_t)r->first, (uint16_t)r->last};

    return r->last != 0 && nla_put(msg, type, sizeof(range), &range) < 0 ? -EMSGSIZE : 0;
}

static int put_header(struct nl_msg *msg, const struct nsh_rule *r)
{
    struct fib_rule_hdr header = {
            .family = r->family,
            .dst_len = r->to.length,
            .src_len = r->from.length,
            .tos = r->tos,
            .table = r->table < 256 ? (uint8_t)r->table : RT_TABLE_COMPAT,
            .action = r->action,
            .flags = r->invert ? FIB_RULE_INVERT : 0,
    };

    return nlmsg_append(msg, &header, sizeof(header), NLMSG_ALIGNTO) < 0 ? -EMSGSIZE : 0;
}

static int put_packet(struct nl_msg *msg, const struct nsh_rule *r)
{
    const struct fib_rule_uid_range uids = {r->uids.first, r->uids.last};
    int q = put_prefix(msg, FRA_SRC, &r->from);

    if (q == 0)
        q = put_prefix(msg, FRA_DST, &r->to);
    if (q == 0)
        q = put_name(msg, FRA_IIFNAME, r->iif);
    if (q == 0)
        q = put_name(msg, FRA_OIFNAME, r->oif);
    if (q == 0 && r->mark.mask != 0)
        q = put_u32(msg, FRA_FWMARK, r->mark.value);
    if (q == 0 && r->mark.mask != 0)
        q = put_u32(msg, FRA_FWMASK, r->mark.mask);
    if (q == 0 && (r->uids.first != 0 || r->uids.last != NSH_UID_ANY_LAST))
        q = nla_put(msg, FRA_UID_RANGE, sizeof(uids), &uids) < 0 ? -EMSGSIZE : 0;
    if (q == 0)
        q = put_byte(msg, FRA_IP_PROTO, r->ip_protocol);
    if (q == 0)
        q = put_ports(msg, FRA_SPORT_RANGE, &r->source_port);
    if (q == 0)
        q = put_ports(msg, FRA_DPORT_RANGE, &r->destination_port);
    return q;
}

static int put_outcome(struct nl_msg *msg, const struct nsh_rule *r)
{
    int q = put_u32(msg, FRA_PRIORITY, r->priority);

    if (q == 0)
        q = put_byte(msg, FRA_PROTOCOL, r->protocol);
    if (q == 0 && r->table != 0)
        q = put_u32(msg, FRA_TABLE, r->table);
    if (q == 0 && r->action == FR_ACT_GOTO)
        q = put_u32(msg, FRA_GOTO, r->target);
    if (q == 0)
        q = put_byte(msg, FRA_L3MDEV, r->l3mdev);
    if (q == 0 && r->suppress_length != NSH_SUPPRESS_NONE)
        q = put_u32(msg, FRA_SUPPRESS_PREFIXLEN, (uint32_t)r->suppress_length);
    if (q == 0 && r->suppress_group != NSH_SUPPRESS_NONE)
        q = put_u32(msg, FRA_SUPPRESS_IFGROUP, (uint32_t)r->suppress_group);
    return q;
}

int nsh_fibnl_build_rule(struct nsh_fibnl *nl, const struct nsh_fib_rule_op *op)
{
    static const struct {
        int type, flags;
    } verbs[] = {
            [NSH_FIB_RULE_ADD] = {RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL},
            [NSH_FIB_RULE_APPEND] = {RTM_NEWRULE, NLM_F_CREATE},
            [NSH_FIB_RULE_DELETE] = {RTM_DELRULE, 0},
    };
    const struct nsh_rule *r = &op->rule;
    int q;

    if (r->family != AF_INET && r->family != AF_INET6)
        return -EINVAL;
    q = nsh_fibnl_message_begin(nl, verbs[op->verb].type, verbs[op->verb].flags);
    if (q == 0)
        q = put_header(nl->msg, r);
    if (q == 0)
        q = put_packet(nl->msg, r);
    if (q == 0)
        q = put_outcome(nl->msg, r);
    return q;
}

/* ---- from the kernel ---- */

static bool has(const struct nlattr *attr, size_t size)
{
    return attr && nla_len(attr) >= (int)size;
}

static uint32_t get_u32(const struct nlattr *attr, uint32_t otherwise)
{
    return has(attr, sizeof(uint32_t)) ? nla_get_u32(attr) : otherwise;
}

static uint8_t get_byte(const struct nlattr *attr)
{
    return has(attr, 1) ? nla_get_u8(attr) : 0;
}

static bool get_prefix(
        const struct nlattr *attr, uint8_t family, uint8_t length, struct nsh_prefix *ret)
{
    size_t size = nsh_addr_size(family);

    *ret = (struct nsh_prefix){0};
    if (length == 0)
        return true;
    if (!has(attr, size) || length > nsh_addr_bits(family))
        return false;
    memcpy(ret->addr.bytes, nla_data(attr), size);
    ret->family = family;
    ret->length = length;
    return true;
}

static void get_name(const struct nlattr *attr, char name[static IFNAMSIZ])
{
    if (has(attr, 1))
        nla_strlcpy(name, attr, IFNAMSIZ);
}

static struct nsh_range get_ports(const struct nlattr *attr)
{
    struct fib_rule_port_range range = {0};

    if (has(attr, sizeof(range)))
        memcpy(&range, nla_data(attr), sizeof(range));
    return (struct nsh_range){range.start, range.end};
}

static struct nsh_range get_uids(const struct nlattr *attr)
{
    struct fib_rule_uid_range range = {0, NSH_UID_ANY_LAST};

    if (has(attr, sizeof(range)))
        memcpy(&range, nla_data(attr), sizeof(range));
    return (struct nsh_range){range.start, range.end};
}

/* A whole port is what a port alone means. */
static bool is_whole_port(const struct nlattr *mask)
{
    return has(mask, sizeof(uint16_t)) && nla_get_u16(mask) == UINT16_MAX;
}

/* Whether there is something in it that struct nsh_rule has no word for. */
static bool says_more(struct nlattr *tb[], const struct fib_rule_hdr *header)
{
    static const uint64_t known = 1ULL << FRA_DST | 1ULL << FRA_SRC | 1ULL << FRA_IIFNAME |
                                  1ULL << FRA_GOTO | 1ULL << FRA_PRIORITY | 1ULL << FRA_FWMARK |
                                  1ULL << FRA_SUPPRESS_IFGROUP | 1ULL << FRA_SUPPRESS_PREFIXLEN |
                                  1ULL << FRA_TABLE | 1ULL << FRA_FWMASK | 1ULL << FRA_OIFNAME |
                                  1ULL << FRA_PAD | 1ULL << FRA_L3MDEV | 1ULL << FRA_UID_RANGE |
                                  1ULL << FRA_PROTOCOL | 1ULL << FRA_IP_PROTO |
                                  1ULL << FRA_SPORT_RANGE | 1ULL << FRA_DPORT_RANGE;
    static const uint32_t states = FIB_RULE_PERMANENT | FIB_RULE_INVERT | FIB_RULE_UNRESOLVED |
                                   FIB_RULE_IIF_DETACHED | FIB_RULE_OIF_DETACHED;

    for (unsigned i = 1; i <= ATTR_MAX; i++) {
        bool port_mask = i == FRA_SPORT_MASK_ || i == FRA_DPORT_MASK_;

        if (tb[i] && !(known >> i & 1) && !(port_mask && is_whole_port(tb[i])))
            return true;
    }
    return (header->flags & ~states) != 0;
}

static void take_outcome(struct nlattr *tb[], const struct fib_rule_hdr *header, struct nsh_rule *r)
{
    r->action = header->action;
    r->table = get_u32(tb[FRA_TABLE], header->table);
    r->target = get_u32(tb[FRA_GOTO], 0);
    r->priority = get_u32(tb[FRA_PRIORITY], 0);
    r->protocol = get_byte(tb[FRA_PROTOCOL]);
    r->l3mdev = get_byte(tb[FRA_L3MDEV]) != 0;
    r->suppress_length = (int32_t)get_u32(tb[FRA_SUPPRESS_PREFIXLEN], (uint32_t)NSH_SUPPRESS_NONE);
    r->suppress_group = (int32_t)get_u32(tb[FRA_SUPPRESS_IFGROUP], (uint32_t)NSH_SUPPRESS_NONE);
}

static void take_packet(struct nlattr *tb[], const struct fib_rule_hdr *header, struct nsh_rule *r)
{
    r->invert = (header->flags & FIB_RULE_INVERT) != 0;
    r->tos = header->tos;
    r->mark.value = get_u32(tb[FRA_FWMARK], 0);
    r->mark.mask = get_u32(tb[FRA_FWMASK], r->mark.value != 0 ? UINT32_MAX : 0);
    r->ip_protocol = get_byte(tb[FRA_IP_PROTO]);
    r->source_port = get_ports(tb[FRA_SPORT_RANGE]);
    r->destination_port = get_ports(tb[FRA_DPORT_RANGE]);
    r->uids = get_uids(tb[FRA_UID_RANGE]);
    get_name(tb[FRA_IIFNAME], r->iif);
    get_name(tb[FRA_OIFNAME], r->oif);
}

int nsh_fibnl_parse_rule(struct nlmsghdr *nlh, struct nsh_rule *ret)
{
    struct nlattr *tb[ATTR_MAX + 1];
    struct fib_rule_hdr header;
    struct nsh_rule r = {0};

    if (nlmsg_parse(nlh, sizeof(header), tb, ATTR_MAX, NULL) < 0)
        return -EBADMSG;
    memcpy(&header, nlmsg_data(nlh), sizeof(header));
    /* The kernel's multicast routing has rules as well, of families of its own. */
    if (header.family != AF_INET && header.family != AF_INET6)
        return 0;
    r.family = header.family;
    if (!get_prefix(tb[FRA_SRC], r.family, header.src_len, &r.from) ||
            !get_prefix(tb[FRA_DST], r.family, header.dst_len, &r.to))
        return -EBADMSG;
    take_packet(tb, &header, &r);
    take_outcome(tb, &header, &r);
    r.inexact = says_more(tb, &header);
    nsh_rule_normalize(&r);
    *ret = r;
    return 1;
}
