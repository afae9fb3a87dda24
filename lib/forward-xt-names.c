/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Matches of iptables that name something, an address, a port or a mark, in its own tables or in
 * nftables'. "All but these" is no name.
 */
#include "forward-drop.h"

#include <linux/netfilter/ipset/ip_set.h>
#include <linux/netfilter/xt_connmark.h>
#include <linux/netfilter/xt_iprange.h>
#include <linux/netfilter/xt_mac.h>
#include <linux/netfilter/xt_mark.h>
#include <linux/netfilter/xt_multiport.h>
#include <linux/netfilter/xt_recent.h>
#include <linux/netfilter/xt_set.h>
#include <linux/netfilter/xt_tcpudp.h>
#include <string.h>

#include "cleanup.h"

static bool is_any(const uint16_t ports[2])
{
    return ports[0] == 0 && ports[1] == UINT16_MAX;
}

static bool range_names(const uint16_t ports[2], bool inverted)
{
    return !inverted && !is_any(ports);
}

static bool tcp_names(const void *info, size_t size)
{
    struct xt_tcp t;

    if (size < sizeof t)
        return false;
    memcpy(&t, info, sizeof t);
    return range_names(t.spts, t.invflags & XT_TCP_INV_SRCPT) ||
           range_names(t.dpts, t.invflags & XT_TCP_INV_DSTPT);
}

static bool udp_names(const void *info, size_t size)
{
    struct xt_udp u;

    if (size < sizeof u)
        return false;
    memcpy(&u, info, sizeof u);
    return range_names(u.spts, u.invflags & XT_UDP_INV_SRCPT) ||
           range_names(u.dpts, u.invflags & XT_UDP_INV_DSTPT);
}

/* Where a match says that it is meant the other way round. */
struct inversion {
    const char *name;
    uint8_t first, last; /* revisions that have it there */
    uint8_t mask;
    size_t at, size;
};

#define FIELD(type, field) offsetof(type, field), sizeof(((type *)0)->field)

#define GEOIP_INVERTED 0x04 /* of xtables-addons; its flags come first */

static const struct inversion inversions[] = {
        {"set", 1, 4, IPSET_INV_MATCH, FIELD(struct xt_set_info, flags)},
        {"iprange", 1, 1, IPRANGE_SRC_INV | IPRANGE_DST_INV,
                FIELD(struct xt_iprange_mtinfo, flags)},
        {"mac", 0, 0, UINT8_MAX, FIELD(struct xt_mac_info, invert)},
        {"recent", 0, 1, UINT8_MAX, FIELD(struct xt_recent_mtinfo, invert)},
        {"geoip", 0, UINT8_MAX, GEOIP_INVERTED, 0, 1},
        {"multiport", 1, 1, UINT8_MAX, FIELD(struct xt_multiport_v1, invert)},
        {"mark", 1, 1, UINT8_MAX, FIELD(struct xt_mark_mtinfo1, invert)},
        {"connmark", 1, 1, UINT8_MAX, FIELD(struct xt_connmark_mtinfo1, invert)},
};

static bool is_inverted(const struct inversion *v, const uint8_t *info)
{
    for (size_t i = 0; i < v->size; i++)
        if (info[v->at + i] & v->mask)
            return true;
    return false;
}

bool nsh_forward_xt_names(const char *name, unsigned revision, const void *info, size_t size)
{
    for (size_t i = 0; i < NSH_ARRAY_SIZE(inversions); i++) {
        const struct inversion *v = &inversions[i];

        if (strcmp(name, v->name) == 0)
            return revision >= v->first && revision <= v->last && size >= v->at + v->size &&
                   !is_inverted(v, info);
    }
    return (strcmp(name, "tcp") == 0 && tcp_names(info, size)) ||
           (strcmp(name, "udp") == 0 && udp_names(info, size));
}
