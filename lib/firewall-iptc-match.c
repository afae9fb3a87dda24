/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Matches: those a rule may need, in the order in which netshared writes them, which is that of
 * nsh_packet_rule_format. Some stand in the table twice, since a rule may need them twice.
 */
#include "firewall-iptc-part.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include <linux/netfilter/xt_addrtype.h>
#include <linux/netfilter/xt_conntrack.h>
#include <linux/netfilter/xt_dccp.h>
#include <linux/netfilter/xt_limit.h>
#include <linux/netfilter/xt_mark.h>
#include <linux/netfilter/xt_multiport.h>
#include <linux/netfilter/xt_policy.h>
#include <linux/netfilter/xt_sctp.h>
#include <linux/netfilter/xt_set.h>
#include <linux/netfilter/xt_tcpudp.h>

#include "cleanup.h"

#define PORT_MAX 65535U
/* Bits of TCP's flags, as xt_tcp has them. */
#define TCP_SYN 0x02U
#define TCP_RST 0x04U

static bool is_said(const struct nsh_range *ports)
{
    return ports->last > 0;
}

static bool has_ports(const struct nsh_packet_rule *r)
{
    return is_said(&r->source_port) || is_said(&r->destination_port);
}

/* ---- ports ---- */

static void put_ports(uint16_t at[2], const struct nsh_range *ports)
{
    at[0] = (uint16_t)ports->first;
    at[1] = is_said(ports) ? (uint16_t)ports->last : PORT_MAX;
}

static void get_ports(const uint16_t at[2], struct nsh_range *ret)
{
    if (at[0] != 0 || at[1] != PORT_MAX)
        *ret = (struct nsh_range){at[0], at[1]};
}

static bool needs_tcp(const struct nsh_packet_rule *r)
{
    return r->protocol == IPPROTO_TCP && (r->syn || has_ports(r));
}

static void put_tcp(const struct nsh_packet_rule *r, void *data)
{
    struct xt_tcp *m = data;

    put_ports(m->spts, &r->source_port);
    put_ports(m->dpts, &r->destination_port);
    if (r->syn) {
        m->flg_mask = TCP_SYN | TCP_RST;
        m->flg_cmp = TCP_SYN;
    }
}

static void get_tcp(const void *data, struct nsh_packet_rule *ret)
{
    const struct xt_tcp *m = data;

    get_ports(m->spts, &ret->source_port);
    get_ports(m->dpts, &ret->destination_port);
    ret->syn = m->flg_mask != 0;
}

static bool needs_udp(const struct nsh_packet_rule *r)
{
    return r->protocol == IPPROTO_UDP && has_ports(r);
}

static void put_udp(const struct nsh_packet_rule *r, void *data)
{
    struct xt_udp *m = data;

    put_ports(m->spts, &r->source_port);
    put_ports(m->dpts, &r->destination_port);
}

static void get_udp(const void *data, struct nsh_packet_rule *ret)
{
    const struct xt_udp *m = data;

    get_ports(m->spts, &ret->source_port);
    get_ports(m->dpts, &ret->destination_port);
}

static bool needs_sctp(const struct nsh_packet_rule *r)
{
    return r->protocol == IPPROTO_SCTP && has_ports(r);
}

/* A side that is not said is left zero, and so are the chunks but for their types. */
static void put_sctp(const struct nsh_packet_rule *r, void *data)
{
    struct xt_sctp_info *m = data;

    for (size_t i = 0; i < XT_NUM_SCTP_FLAGS; i++)
        m->flag_info[i].chunktype = UINT8_MAX;
    if (is_said(&r->source_port)) {
        m->flags |= XT_SCTP_SRC_PORTS;
        put_ports(m->spts, &r->source_port);
    }
    if (is_said(&r->destination_port)) {
        m->flags |= XT_SCTP_DEST_PORTS;
        put_ports(m->dpts, &r->destination_port);
    }
}

static void get_sctp(const void *data, struct nsh_packet_rule *ret)
{
    const struct xt_sctp_info *m = data;

    get_ports(m->spts, &ret->source_port);
    get_ports(m->dpts, &ret->destination_port);
}

static bool needs_dccp(const struct nsh_packet_rule *r)
{
    return r->protocol == IPPROTO_DCCP && has_ports(r);
}

static void put_dccp(const struct nsh_packet_rule *r, void *data)
{
    struct xt_dccp_info *m = data;

    if (is_said(&r->source_port)) {
        m->flags |= XT_DCCP_SRC_PORTS;
        put_ports(m->spts, &r->source_port);
    }
    if (is_said(&r->destination_port)) {
        m->flags |= XT_DCCP_DEST_PORTS;
        put_ports(m->dpts, &r->destination_port);
    }
}

static void get_dccp(const void *data, struct nsh_packet_rule *ret)
{
    const struct xt_dccp_info *m = data;

    get_ports(m->spts, &ret->source_port);
    get_ports(m->dpts, &ret->destination_port);
}

/* UDP-Lite has no match of its own. */
static bool needs_source_ports(const struct nsh_packet_rule *r)
{
    return r->protocol == IPPROTO_UDPLITE && is_said(&r->source_port);
}

static bool needs_destination_ports(const struct nsh_packet_rule *r)
{
    return r->protocol == IPPROTO_UDPLITE && is_said(&r->destination_port);
}

static void put_multiport(struct xt_multiport_v1 *m, uint8_t side, const struct nsh_range *ports)
{
    m->flags = side;
    m->count = ports->first == ports->last ? 1 : 2;
    m->ports[0] = (uint16_t)ports->first;
    if (m->count == 2) {
        m->pflags[0] = 1;
        m->ports[1] = (uint16_t)ports->last;
    }
}

static void put_source_ports(const struct nsh_packet_rule *r, void *data)
{
    put_multiport(data, XT_MULTIPORT_SOURCE, &r->source_port);
}

static void put_destination_ports(const struct nsh_packet_rule *r, void *data)
{
    put_multiport(data, XT_MULTIPORT_DESTINATION, &r->destination_port);
}

static void get_multiport(const void *data, struct nsh_packet_rule *ret)
{
    const struct xt_multiport_v1 *m = data;
    struct nsh_range ports = {m->ports[0], m->ports[m->count == 2]};

    if (m->flags == XT_MULTIPORT_SOURCE)
        ret->source_port = ports;
    else
        ret->destination_port = ports;
}

/* ---- the packet ---- */

static bool needs_mark(const struct nsh_packet_rule *r)
{
    return r->mark.mask != 0;
}

static void put_mark(const struct nsh_packet_rule *r, void *data)
{
    struct xt_mark_mtinfo1 *m = data;

    m->mark = r->mark.value;
    m->mask = r->mark.mask;
}

static void get_mark(const void *data, struct nsh_packet_rule *ret)
{
    const struct xt_mark_mtinfo1 *m = data;

    ret->mark = (struct nsh_mark){m->mark, m->mask};
}

static bool needs_ipsec(const struct nsh_packet_rule *r)
{
    return r->ipsec;
}

/* One element that asks for nothing: any policy. */
static void put_ipsec(const struct nsh_packet_rule *r, void *data)
{
    struct xt_policy_info *m = data;

    (void)r;
    m->flags = XT_POLICY_MATCH_OUT;
    m->len = 1;
}

static void get_ipsec(const void *data, struct nsh_packet_rule *ret)
{
    (void)data;
    ret->ipsec = true;
}

static bool needs_local(const struct nsh_packet_rule *r)
{
    return r->local == NSH_LOCAL_YES || r->local == NSH_LOCAL_FAR;
}

static void put_local(const struct nsh_packet_rule *r, void *data)
{
    struct xt_addrtype_info_v1 *m = data;

    (void)r;
    m->dest = XT_ADDRTYPE_LOCAL;
}

static bool needs_far(const struct nsh_packet_rule *r)
{
    return r->local == NSH_LOCAL_FAR;
}

static void put_far(const struct nsh_packet_rule *r, void *data)
{
    struct xt_addrtype_info_v1 *m = data;

    put_local(r, data);
    m->flags = XT_ADDRTYPE_INVERT_DEST | XT_ADDRTYPE_LIMIT_IFACE_IN;
}

static void get_local(const void *data, struct nsh_packet_rule *ret)
{
    const struct xt_addrtype_info_v1 *m = data;

    ret->local = m->flags ? NSH_LOCAL_FAR : NSH_LOCAL_YES;
}

/* ---- the connection ---- */

static const struct {
    uint8_t ours;
    uint16_t state;
} states[] = {
        {NSH_STATE_INVALID, XT_CONNTRACK_STATE_INVALID},
        {NSH_STATE_ESTABLISHED, XT_CONNTRACK_STATE_BIT(IP_CT_ESTABLISHED)},
        {NSH_STATE_RELATED, XT_CONNTRACK_STATE_BIT(IP_CT_RELATED)},
        {NSH_STATE_NEW, XT_CONNTRACK_STATE_BIT(IP_CT_NEW)},
};

static bool needs_states(const struct nsh_packet_rule *r)
{
    return r->states != 0;
}

static void put_states(const struct nsh_packet_rule *r, void *data)
{
    struct xt_conntrack_mtinfo3 *m = data;

    m->match_flags = XT_CONNTRACK_STATE;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(states); i++)
        if (r->states & states[i].ours)
            m->state_mask |= states[i].state;
}

/* Of the states one must hold; this one must hold beside them. */
static bool needs_translated(const struct nsh_packet_rule *r)
{
    return r->translated;
}

static void put_translated(const struct nsh_packet_rule *r, void *data)
{
    struct xt_conntrack_mtinfo3 *m = data;

    (void)r;
    m->match_flags = XT_CONNTRACK_STATE;
    m->state_mask = XT_CONNTRACK_STATE_DNAT;
}

static void get_conntrack(const void *data, struct nsh_packet_rule *ret)
{
    const struct xt_conntrack_mtinfo3 *m = data;

    if (m->state_mask == XT_CONNTRACK_STATE_DNAT)
        ret->translated = true;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(states); i++)
        if (m->state_mask & states[i].state)
            ret->states |= states[i].ours;
}

/* ---- the rate of logging ---- */

static bool needs_limit(const struct nsh_packet_rule *r)
{
    return r->action == NSH_PACKET_LOG;
}

/* What follows these two is the kernel's own, which it keeps to itself. */
static void put_limit(const struct nsh_packet_rule *r, void *data)
{
    struct xt_rateinfo *m = data;

    (void)r;
    m->avg = XT_LIMIT_SCALE * 60 / NSH_PACKET_LOG_RATE;
    m->burst = NSH_PACKET_LOG_BURST;
}

static void get_limit(const void *data, struct nsh_packet_rule *ret)
{
    (void)data;
    (void)ret;
}

/* ---- sets ---- */

#define SET_REVISION 4

static int put_set(
        struct nsh_xt_names *names, const char *name, uint8_t flags, struct nsh_xt_entry *e)
{
    struct xt_set_info_match_v4 *m;
    uint16_t index;
    int r;

    if (name[0] == '\0')
        return 0;
    r = nsh_xt_set_index(names, name, &index);
    if (r < 0)
        return r;
    m = nsh_xt_put_part(e, "set", SET_REVISION, sizeof *m);
    m->match_set = (struct xt_set_info){.index = index, .dim = IPSET_DIM_ONE, .flags = flags};
    return 0;
}

static int put_sets(
        struct nsh_xt_names *names, const struct nsh_packet_rule *rule, struct nsh_xt_entry *e)
{
    int r = put_set(names, rule->from_set, IPSET_DIM_ONE_SRC, e);

    return r < 0 ? r : put_set(names, rule->to_set, 0, e);
}

/* A set whose name can't be had leaves the rule without one, and so different. */
static void get_set(struct nsh_xt_names *names, const void *data, struct nsh_packet_rule *ret)
{
    const struct xt_set_info_match_v4 *m = data;
    bool from = m->match_set.flags & IPSET_DIM_ONE_SRC;

    (void)nsh_xt_set_name(names, m->match_set.index, from ? ret->from_set : ret->to_set);
}

/* ---- all of them ---- */

static const struct match {
    const char *name;
    uint8_t revision;
    size_t size;
    bool (*needs)(const struct nsh_packet_rule *r);
    void (*put)(const struct nsh_packet_rule *r, void *data);
    void (*get)(const void *data, struct nsh_packet_rule *ret);
} matches[] = {
        {"tcp", 0, sizeof(struct xt_tcp), needs_tcp, put_tcp, get_tcp},
        {"udp", 0, sizeof(struct xt_udp), needs_udp, put_udp, get_udp},
        {"sctp", 0, sizeof(struct xt_sctp_info), needs_sctp, put_sctp, get_sctp},
        {"dccp", 0, sizeof(struct xt_dccp_info), needs_dccp, put_dccp, get_dccp},
        {"multiport", 1, sizeof(struct xt_multiport_v1), needs_source_ports, put_source_ports,
                get_multiport},
        {"multiport", 1, sizeof(struct xt_multiport_v1), needs_destination_ports,
                put_destination_ports, get_multiport},
        {"mark", 1, sizeof(struct xt_mark_mtinfo1), needs_mark, put_mark, get_mark},
        {"set", SET_REVISION, sizeof(struct xt_set_info_match_v4), NULL, NULL, NULL},
        {"policy", 0, sizeof(struct xt_policy_info), needs_ipsec, put_ipsec, get_ipsec},
        {"addrtype", 1, sizeof(struct xt_addrtype_info_v1), needs_local, put_local, get_local},
        {"addrtype", 1, sizeof(struct xt_addrtype_info_v1), needs_far, put_far, get_local},
        {"conntrack", 3, sizeof(struct xt_conntrack_mtinfo3), needs_states, put_states,
                get_conntrack},
        {"conntrack", 3, sizeof(struct xt_conntrack_mtinfo3), needs_translated, put_translated,
                get_conntrack},
        {"limit", 0, sizeof(struct xt_rateinfo), needs_limit, put_limit, get_limit},
};

/* The most that one rule can need: TCP's match, all that follow multiport, and the largest NAT. */
#define HEADER sizeof(struct xt_entry_match)
#define PART(type) (HEADER + XT_ALIGN(sizeof(type)))
_Static_assert(sizeof(struct ip6t_entry) + PART(struct xt_sctp_info) +
                               PART(struct xt_mark_mtinfo1) +
                               2 * PART(struct xt_set_info_match_v4) + PART(struct xt_policy_info) +
                               2 * PART(struct xt_addrtype_info_v1) +
                               2 * PART(struct xt_conntrack_mtinfo3) + PART(struct xt_rateinfo) +
                               HEADER + 64 <=
                       NSH_XT_ENTRY_MAX,
        "entry buffer too small");
_Static_assert(PART(struct xt_sctp_info) >= 2 * PART(struct xt_multiport_v1) &&
                       PART(struct xt_sctp_info) >= PART(struct xt_tcp),
        "not the largest match for ports");

static bool can_be_said(const struct nsh_packet_rule *r)
{
    if (has_ports(r) && !nsh_protocol_has_ports(r->protocol))
        return false;
    if (r->source_port.first > r->source_port.last || r->source_port.last > PORT_MAX ||
            r->destination_port.first > r->destination_port.last ||
            r->destination_port.last > PORT_MAX)
        return false;
    return !r->syn || r->protocol == IPPROTO_TCP;
}

int nsh_xt_put_matches(const struct nsh_xt *xt, struct nsh_xt_names *names,
        const struct nsh_packet_rule *rule, struct nsh_xt_entry *e)
{
    int r = 0;

    (void)xt;
    if (!can_be_said(rule))
        return -EINVAL;
    for (size_t i = 0; r == 0 && i < NSH_ARRAY_SIZE(matches); i++) {
        const struct match *m = &matches[i];

        if (!m->needs)
            r = put_sets(names, rule, e);
        else if (m->needs(rule))
            m->put(rule, nsh_xt_put_part(e, m->name, m->revision, m->size));
    }
    return r;
}

void nsh_xt_get_match(
        struct nsh_xt_names *names, const struct xt_entry_match *match, struct nsh_packet_rule *ret)
{
    for (size_t i = 0; i < NSH_ARRAY_SIZE(matches); i++) {
        const struct match *m = &matches[i];

        if (strncmp(match->u.user.name, m->name, sizeof match->u.user.name) != 0 ||
                match->u.user.revision != m->revision ||
                match->u.match_size < HEADER + XT_ALIGN(m->size))
            continue;
        if (m->get)
            m->get(match->data, ret);
        else
            get_set(names, match->data, ret);
        return;
    }
}
