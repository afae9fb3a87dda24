/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What matches of iptables say of a packet that is imagined.
 */
#include "forward-drop.h"

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/xt_CT.h>
#include <linux/netfilter/xt_conntrack.h>
#include <linux/netfilter/xt_iprange.h>
#include <linux/netfilter/xt_mark.h>
#include <linux/netfilter/xt_rpfilter.h>
#include <linux/netfilter/xt_set.h>
#include <linux/netfilter/xt_tcpudp.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netfilter_ipv6/ip6_tables.h>
#include <netinet/in.h>
#include <string.h>

#include "cleanup.h"

#define ANY_TYPE 0xff /* of ICMP */

/* Of a connection that is not known the kernel says INVALID. */
static uint16_t state_bits(const struct nsh_forward_path *p)
{
    uint16_t bits = p->reply ? XT_CONNTRACK_STATE_BIT(IP_CT_ESTABLISHED)
                             : XT_CONNTRACK_STATE_BIT(IP_CT_NEW);

    if (p->untracked)
        return XT_CONNTRACK_STATE_INVALID;
    return p->translated ? bits | XT_CONNTRACK_STATE_DNAT : bits;
}

static uint16_t status_bits(const struct nsh_forward_path *p)
{
    uint16_t bits = p->reply ? IPS_SEEN_REPLY | IPS_ASSURED | IPS_CONFIRMED : 0;

    return p->translated ? bits | IPS_DST_NAT : bits;
}

static enum nsh_certainty match_conntrack(
        const void *info, size_t size, const struct nsh_forward_path *p)
{
    struct xt_conntrack_mtinfo2 c; /* the third revision has more behind it */
    const uint16_t known = XT_CONNTRACK_STATE | XT_CONNTRACK_STATUS;
    bool state, status;

    if (size < sizeof c)
        return NSH_MAYBE;
    memcpy(&c, info, sizeof c);
    state = (c.state_mask & state_bits(p)) != 0;
    status = (c.status_mask & status_bits(p)) != 0;
    if (c.match_flags & XT_CONNTRACK_STATE && state == !!(c.invert_flags & XT_CONNTRACK_STATE))
        return NSH_NO;
    if (p->untracked)
        return c.match_flags & XT_CONNTRACK_STATE ? NSH_YES : NSH_NO;
    if (c.match_flags & XT_CONNTRACK_STATUS && status == !!(c.invert_flags & XT_CONNTRACK_STATUS))
        return NSH_NO;
    return c.match_flags & ~known ? NSH_MAYBE : NSH_YES;
}

static bool is_inside(uint16_t port, const uint16_t range[2])
{
    return port >= range[0] && port <= range[1];
}

static bool is_any(const uint16_t range[2])
{
    return range[0] == 0 && range[1] == UINT16_MAX;
}

/* By ports alone; `more`: it asks for something else as well. */
static enum nsh_certainty match_ports(const struct nsh_forward_path *p, const uint16_t from[2],
        const uint16_t to[2], uint8_t inverted, bool more)
{
    bool from_known = p->from_port.last > 0 || is_any(from), from_in, to_in;

    if (p->vague)
        return more || !is_any(from) || !is_any(to) ? NSH_MAYBE : NSH_YES;
    from_in = is_inside(nsh_forward_port(&p->from_port), from);
    to_in = is_inside(nsh_forward_port(&p->to_port), to);
    if (to_in == !!(inverted & XT_TCP_INV_DSTPT))
        return NSH_NO;
    if (from_known && from_in == !!(inverted & XT_TCP_INV_SRCPT))
        return NSH_NO;
    return more || !from_known ? NSH_MAYBE : NSH_YES;
}

static enum nsh_certainty match_tcp(const void *info, size_t size, const struct nsh_forward_path *p)
{
    struct xt_tcp t;

    if (nsh_forward_protocol(p) != IPPROTO_TCP)
        return NSH_NO;
    if (size < sizeof t)
        return NSH_MAYBE;
    memcpy(&t, info, sizeof t);
    if (p->opening && ((nsh_forward_tcp_flags(p) & t.flg_mask) == t.flg_cmp) ==
                              !!(t.invflags & XT_TCP_INV_FLAGS))
        return NSH_NO;
    return match_ports(
            p, t.spts, t.dpts, t.invflags, (t.flg_mask != 0 && !p->opening) || t.option != 0);
}

static enum nsh_certainty match_udp(const void *info, size_t size, const struct nsh_forward_path *p)
{
    struct xt_udp u;

    if (nsh_forward_protocol(p) != IPPROTO_UDP)
        return NSH_NO;
    if (size < sizeof u)
        return NSH_MAYBE;
    memcpy(&u, info, sizeof u);
    return match_ports(p, u.spts, u.dpts, u.invflags, false);
}

_Static_assert(XT_UDP_INV_SRCPT == XT_TCP_INV_SRCPT && XT_UDP_INV_DSTPT == XT_TCP_INV_DSTPT,
        "inversions differ");

/* What ping sends, and its answer. */
static enum nsh_certainty match_icmp(
        const void *info, size_t size, const struct nsh_forward_path *p)
{
    const uint8_t type = nsh_forward_icmp_type(p);
    struct ipt_icmp i; /* IPv6 has the same */
    bool same;

    if (size < sizeof i)
        return NSH_MAYBE;
    memcpy(&i, info, sizeof i);
    same = i.type == ANY_TYPE || (i.type == type && i.code[0] == 0);
    return same != !!(i.invflags & IPT_ICMP_INV) ? NSH_YES : NSH_NO;
}

_Static_assert(sizeof(struct ipt_icmp) == sizeof(struct ip6t_icmp) && IPT_ICMP_INV == IP6T_ICMP_INV,
        "ICMP differs");

static enum nsh_certainty match_mark(
        const void *info, size_t size, const struct nsh_forward_path *p)
{
    struct xt_mark_mtinfo1 m;

    if (size < sizeof m || !p->marked)
        return NSH_MAYBE;
    memcpy(&m, info, sizeof m);
    return ((p->mark & m.mask) == m.mark) != (m.invert != 0) ? NSH_YES : NSH_NO;
}

static enum nsh_certainty match_rpfilter(
        const void *info, size_t size, const struct nsh_forward_path *p)
{
    struct xt_rpfilter_info r;

    if (size < sizeof r || !p->back_known)
        return NSH_MAYBE;
    memcpy(&r, info, sizeof r);
    if (r.flags & XT_RPFILTER_LOOSE && !p->back)
        return NSH_MAYBE;
    return p->back != !!(r.flags & XT_RPFILTER_INVERT) ? NSH_YES : NSH_NO;
}

/* Of a net the rule may take a part. */
static enum nsh_certainty is_in_range(const struct nsh_prefix *p, const union nf_inet_addr *min,
        const union nf_inet_addr *max, bool inverted)
{
    size_t size = nsh_addr_size(p->family);
    union nsh_addr low = p->addr, high = p->addr;

    if (p->family == AF_UNSPEC)
        return NSH_MAYBE;
    for (size_t bit = p->length; bit < size * 8; bit++) {
        low.bytes[bit / 8] &= (uint8_t) ~(0x80U >> bit % 8);
        high.bytes[bit / 8] |= (uint8_t)(0x80U >> bit % 8);
    }
    if (memcmp(high.bytes, min, size) < 0 || memcmp(low.bytes, max, size) > 0)
        return inverted ? NSH_YES : NSH_NO;
    if (memcmp(low.bytes, min, size) < 0 || memcmp(high.bytes, max, size) > 0)
        return NSH_MAYBE;
    return inverted ? NSH_NO : NSH_YES;
}

static enum nsh_certainty match_iprange(
        const void *info, size_t size, const struct nsh_forward_path *p)
{
    enum nsh_certainty from = NSH_YES, to = NSH_YES;
    struct xt_iprange_mtinfo r;

    if (size < sizeof r)
        return NSH_MAYBE;
    memcpy(&r, info, sizeof r);
    if (r.flags & IPRANGE_SRC)
        from = is_in_range(&p->from, &r.src_min, &r.src_max, r.flags & IPRANGE_SRC_INV);
    if (r.flags & IPRANGE_DST)
        to = is_in_range(&p->to, &r.dst_min, &r.dst_max, r.flags & IPRANGE_DST_INV);
    return from < to ? from : to;
}

/* Those of protocols that no path has, and of ports that no rule is about. */
static bool is_of_others(const char *name, const struct nsh_forward_path *p)
{
    static const char *const others[] = {"icmp", "icmp6", "sctp", "dccp"};

    for (size_t i = 0; i < NSH_ARRAY_SIZE(others); i++)
        if (strcmp(name, others[i]) == 0)
            return p->protocol == 0 || nsh_forward_protocol(p) == IPPROTO_TCP ||
                   p->protocol == IPPROTO_UDP;
    return strcmp(name, "multiport") == 0 && !p->vague && p->to_port.last == 0 &&
           p->from_port.last == 0;
}

enum nsh_certainty nsh_forward_xt_match(const char *name, unsigned revision, const void *info,
        size_t size, const struct nsh_forward_path *path)
{
    if (strcmp(name, "comment") == 0)
        return NSH_YES;
    if (is_of_others(name, path))
        return NSH_NO;
    if (strcmp(name, "conntrack") == 0 && revision >= 2)
        return match_conntrack(info, size, path);
    if (strcmp(name, "tcp") == 0)
        return match_tcp(info, size, path);
    if (strcmp(name, "udp") == 0)
        return match_udp(info, size, path);
    if (strcmp(name, "icmp") == 0 || strcmp(name, "icmp6") == 0)
        return match_icmp(info, size, path);
    if (strcmp(name, "mark") == 0 && revision == 1)
        return match_mark(info, size, path);
    if (strcmp(name, "iprange") == 0 && revision == 1)
        return match_iprange(info, size, path);
    if (strcmp(name, "rpfilter") == 0 && revision == 0)
        return match_rpfilter(info, size, path);
    return NSH_MAYBE;
}

bool nsh_forward_xt_drops(const char *target)
{
    return strcmp(target, "DROP") == 0 || strcmp(target, "REJECT") == 0;
}

static bool is_among(const char *const *names, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

bool nsh_forward_xt_spares(const char *target)
{
    static const char *const names[] = {"", "LOG", "NFLOG", "ULOG", "MARK", "CONNMARK", "CLASSIFY",
            "TOS", "DSCP", "TTL", "HL", "TCPMSS", "TCPOPTSTRIP", "SET", "AUDIT", "CHECKSUM", "CT",
            "NOTRACK", "ECN", "HMARK", "IDLETIMER", "LED", "RATEEST", "SECMARK", "CONNSECMARK",
            "TEE", "TRACE"};

    return is_among(names, NSH_ARRAY_SIZE(names), target);
}

bool nsh_forward_xt_translates(const char *target)
{
    static const char *const names[] = {"DNAT", "SNAT", "MASQUERADE", "NETMAP", "REDIRECT"};

    return is_among(names, NSH_ARRAY_SIZE(names), target);
}

/* CT does many things; the first of its flags is that. */
static bool is_untracking(const char *target, const void *info, size_t size)
{
    uint16_t flags = 0;

    if (strcmp(target, "CT") != 0 || size < sizeof flags)
        return strcmp(target, "NOTRACK") == 0;
    memcpy(&flags, info, sizeof flags);
    return flags & XT_CT_NOTRACK;
}

/* SET puts addresses into sets; it marks what it finds in a set of marks, if it is told to. */
static bool is_marking_set(const char *target, unsigned int revision, const void *info, size_t size)
{
    struct xt_set_info_target_v3 s;

    if (strcmp(target, "SET") != 0 || revision < 3)
        return false;
    if (revision > 3 || size < sizeof s)
        return true;
    memcpy(&s, info, sizeof s);
    return s.flags & IPSET_FLAG_MAP_SKBMARK;
}

unsigned int nsh_forward_xt_effects(
        const char *target, unsigned int revision, const void *info, size_t size)
{
    static const char *const marks[] = {"MARK", "CONNMARK", "HMARK"};
    static const char *const leads[] = {"DNAT", "REDIRECT", "NETMAP", "TPROXY"};
    unsigned int effects = 0;

    if (is_among(marks, NSH_ARRAY_SIZE(marks), target) ||
            is_marking_set(target, revision, info, size))
        effects |= NSH_EFFECT(NSH_EFFECT_MARKS);
    if (is_among(leads, NSH_ARRAY_SIZE(leads), target))
        effects |= NSH_EFFECT(NSH_EFFECT_LEADS);
    if (is_untracking(target, info, size))
        effects |= NSH_EFFECT(NSH_EFFECT_UNTRACKS);
    return effects;
}
