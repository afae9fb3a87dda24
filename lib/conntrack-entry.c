/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "conntrack-entry.h"

#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_sctp.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <string.h>

#include "cleanup.h"

/*
 * Protocols with connections: an entry may go only in the states before one is established, since
 * its two ends would not know the flow by another address.
 */
static const struct {
    uint8_t protocol;
    int info, state; /* attributes */
    uint32_t early;  /* bits of the states */
} connected[] = {
        {IPPROTO_TCP, CTA_PROTOINFO_TCP, CTA_PROTOINFO_TCP_STATE,
                1U << TCP_CONNTRACK_SYN_SENT | 1U << TCP_CONNTRACK_SYN_RECV |
                        1U << TCP_CONNTRACK_SYN_SENT2},
        {IPPROTO_SCTP, CTA_PROTOINFO_SCTP, CTA_PROTOINFO_SCTP_STATE,
                1U << SCTP_CONNTRACK_CLOSED | 1U << SCTP_CONNTRACK_COOKIE_WAIT |
                        1U << SCTP_CONNTRACK_COOKIE_ECHOED},
        {IPPROTO_DCCP, CTA_PROTOINFO_DCCP, CTA_PROTOINFO_DCCP_STATE, 0},
};

/* libnl takes a maximum and an array of one more. */
static int nested(struct nlattr **tb, int max, struct nlattr *in, const struct nla_policy *policy)
{
    if (!in)
        return -EINVAL;
    return nla_parse_nested(tb, max, in, (struct nla_policy *)policy); /* const since libnl 3.5 */
}

static bool is_torn(uint8_t protocol, struct nlattr *protoinfo)
{
    struct nlattr *info[CTA_PROTOINFO_MAX + 1], *state[8];
    static const struct nla_policy one_byte[8] = {[1] = {.type = NLA_U8}};

    for (size_t i = 0; i < NSH_ARRAY_SIZE(connected); i++) {
        uint8_t s;

        if (connected[i].protocol != protocol)
            continue;
        if (nested(info, CTA_PROTOINFO_MAX, protoinfo, NULL) < 0 ||
                nested(state, (int)NSH_ARRAY_SIZE(state) - 1, info[connected[i].info], one_byte) <
                        0 ||
                !state[connected[i].state])
            return true;
        s = nla_get_u8(state[connected[i].state]);
        return s >= 32 || !(connected[i].early & 1U << s);
    }
    return false;
}

static const struct nla_policy ip_policy[CTA_IP_MAX + 1] = {
        [CTA_IP_V4_SRC] = {.minlen = 4},
        [CTA_IP_V4_DST] = {.minlen = 4},
        [CTA_IP_V6_SRC] = {.minlen = 16},
        [CTA_IP_V6_DST] = {.minlen = 16},
};
static const struct nla_policy proto_policy[CTA_PROTO_MAX + 1] = {
        [CTA_PROTO_NUM] = {.type = NLA_U8},
        [CTA_PROTO_SRC_PORT] = {.type = NLA_U16},
        [CTA_PROTO_DST_PORT] = {.type = NLA_U16},
};

static uint16_t number(struct nlattr *attr)
{
    return attr ? nla_get_u16(attr) : 0;
}

static bool parse_tuple(struct nlattr *attr, int family, struct nsh_ct_tuple *ret)
{
    struct nlattr *tb[CTA_TUPLE_MAX + 1], *ip[CTA_IP_MAX + 1], *proto[CTA_PROTO_MAX + 1];
    bool v4 = family == AF_INET;
    struct nlattr *src, *dst;

    if (nested(tb, CTA_TUPLE_MAX, attr, NULL) < 0 ||
            nested(ip, CTA_IP_MAX, tb[CTA_TUPLE_IP], ip_policy) < 0 ||
            nested(proto, CTA_PROTO_MAX, tb[CTA_TUPLE_PROTO], proto_policy) < 0)
        return false;
    src = ip[v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC];
    dst = ip[v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST];
    if (!src || !dst || !proto[CTA_PROTO_NUM])
        return false;
    memset(ret, 0, sizeof *ret);
    memcpy(ret->src.bytes, nla_data(src), nsh_addr_size(family));
    memcpy(ret->dst.bytes, nla_data(dst), nsh_addr_size(family));
    ret->protocol = nla_get_u8(proto[CTA_PROTO_NUM]);
    ret->src_port = number(proto[CTA_PROTO_SRC_PORT]);
    ret->dst_port = number(proto[CTA_PROTO_DST_PORT]);
    return true;
}

bool nsh_ct_entry_parse(struct nlmsghdr *h, int family, struct nsh_ct_entry *ret)
{
    static const struct nla_policy policy[CTA_MAX + 1] = {
            [CTA_STATUS] = {.minlen = 4},
            [CTA_ZONE] = {.minlen = 2},
            [CTA_ID] = {.minlen = 4},
    };
    struct nlattr *tb[CTA_MAX + 1];
    struct nsh_ct_tuple orig, reply;
    const struct nfgenmsg *nf;
    uint32_t status;

    if (!nlmsg_valid_hdr(h, sizeof *nf))
        return false;
    nf = nlmsg_data(h);
    if (nf->nfgen_family != family ||
            nlmsg_parse(h, sizeof *nf, tb, CTA_MAX, (struct nla_policy *)policy) < 0 ||
            !tb[CTA_STATUS] || !tb[CTA_ID] || !parse_tuple(tb[CTA_TUPLE_ORIG], family, &orig) ||
            !parse_tuple(tb[CTA_TUPLE_REPLY], family, &reply))
        return false;
    orig.zone = reply.zone = number(tb[CTA_ZONE]);
    status = ntohl(nla_get_u32(tb[CTA_STATUS]));
    *ret = (struct nsh_ct_entry){
            .family = (uint8_t)family,
            .src = orig.src,
            .dst = reply.src,
            .began = orig,
            .answers = reply,
            .translated =
                    status & (IPS_SRC_NAT | IPS_DYING) || nsh_addr_cmp(&orig.src, &reply.dst) != 0,
            .torn = is_torn((uint8_t)orig.protocol, tb[CTA_PROTOINFO]),
            .dying = (status & IPS_DYING) != 0,
            .related = tb[CTA_TUPLE_MASTER] != NULL,
            .orig = tb[CTA_TUPLE_ORIG],
            .zone = tb[CTA_ZONE],
            .id = tb[CTA_ID],
    };
    return true;
}

size_t nsh_ct_entry_put_delete(const struct nsh_ct_entry *e, uint32_t seq, void *buf, size_t room)
{
    const struct nlattr *attrs[] = {e->orig, e->zone, e->id};
    struct nfgenmsg nf = {.nfgen_family = e->family, .version = NFNETLINK_V0};
    struct nlmsghdr h = {
            .nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE,
            .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK,
            .nlmsg_seq = seq,
    };
    size_t size = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof nf), at = size;

    for (size_t i = 0; i < NSH_ARRAY_SIZE(attrs); i++)
        if (attrs[i])
            size += NLA_ALIGN(attrs[i]->nla_len);
    if (size > room)
        return 0;
    h.nlmsg_len = (uint32_t)size;
    memset(buf, 0, size);
    memcpy(buf, &h, sizeof h);
    memcpy((char *)buf + NLMSG_HDRLEN, &nf, sizeof nf);
    for (size_t i = 0; i < NSH_ARRAY_SIZE(attrs); i++) {
        if (!attrs[i])
            continue;
        memcpy((char *)buf + at, attrs[i], attrs[i]->nla_len);
        at += NLA_ALIGN(attrs[i]->nla_len);
    }
    return size;
}

bool nsh_ct_addr_stays(int family, const union nsh_addr *addr)
{
    if (nsh_addr_is_zero(addr) || nsh_addr_is_link_local(family, addr))
        return true;
    if (family == AF_INET)
        return addr->bytes[0] == 127 || addr->bytes[0] >= 224; /* loopback; multicast and up */
    return IN6_IS_ADDR_LOOPBACK(&addr->v6) || IN6_IS_ADDR_MULTICAST(&addr->v6);
}
