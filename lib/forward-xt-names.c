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

/* Both begin with two ranges of ports. */
static const struct ports_match {
    const char *name;
    size_t size, inverted_at;
} ports_matches[] = {
        {"tcp", sizeof(struct xt_tcp), offsetof(struct xt_tcp, invflags)},
        {"udp", sizeof(struct xt_udp), offsetof(struct xt_udp, invflags)},
};

_Static_assert(offsetof(struct xt_tcp, spts) == offsetof(struct xt_udp, spts) &&
                       offsetof(struct xt_tcp, dpts) == offsetof(struct xt_udp, dpts) &&
                       XT_TCP_INV_SRCPT == XT_UDP_INV_SRCPT && XT_TCP_INV_DSTPT == XT_UDP_INV_DSTPT,
        "ports differ");

static bool ports_name(const char *name, const uint8_t *info, size_t size)
{
    uint16_t from[2], to[2];

    for (size_t i = 0; i < NSH_ARRAY_SIZE(ports_matches); i++) {
        const struct ports_match *m = &ports_matches[i];

        if (strcmp(name, m->name) != 0 || size < m->size)
            continue;
        memcpy(from, info + offsetof(struct xt_tcp, spts), sizeof from);
        memcpy(to, info + offsetof(struct xt_tcp, dpts), sizeof to);
        return range_names(from, info[m->inverted_at] & XT_TCP_INV_SRCPT) ||
               range_names(to, info[m->inverted_at] & XT_TCP_INV_DSTPT);
    }
    return false;
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
    return ports_name(name, info, size);
}
