/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A route as a plain value, the same for what is wanted and what is observed.
 *
 * Two levels of comparison, never mixed: identity (nsh_route_id_cmp: what the kernel takes for
 * "the same entry") and semantic equality (nsh_route_equal: nothing would change by writing it).
 * Both want normalised values; nsh_route_normalize is idempotent.
 *
 * What many routes share (type, gateway, metrics) stands in nsh_route_props, interned on the
 * wanted side, so that a route itself is 40 bytes.
 */
#pragma once

#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "gate.h"
#include "origin.h"

/* The table of a route whose VRF has none now, or whose place there is another's. */
#define NSH_NO_TABLE RT_TABLE_UNSPEC
/* No reference to a link: the kernel chooses the device (wanted), or there is none. */
#define NSH_NO_LINK UINT32_MAX
/* The kernel's own limit on the nexthops that netshared writes and reads of a route. */
#define NSH_NEXTHOPS_MAX 64
/* A TCP congestion control's name, with its NUL (TCP_CA_NAME_MAX). */
#define NSH_CONGESTION_CONTROL_TEXT 16

enum nsh_on_conflict {
    NSH_CONFLICT_KEEP,    /* a foreign route on our key is left alone */
    NSH_CONFLICT_REPLACE, /* it is replaced */
};

/* What is known of the gateway that something else has learned on a device. */
enum nsh_learned {
    NSH_LEARNED_UNKNOWN, /* nobody has looked yet */
    NSH_LEARNED_NOTHING,
    NSH_LEARNED_DEVICE, /* there is none: the device is all one needs */
    NSH_LEARNED_GATEWAY,
};

/*
 * How the wanted side names a device: by name, or as "the one through which the kernel reaches
 * this gateway". `ifindex` is what the name stands for now, filled by the reconciler; 0: nothing.
 *
 * A link by name with `learns` also stands for the gateway by which the default routes of others
 * leave that device; `learned` and what follows it are filled by the reconciler, too.
 */
struct nsh_link {
    char name[IFNAMSIZ];    /* "" for a link by gateway */
    char vrf[IFNAMSIZ];     /* of a link by gateway: the VRF it is looked for in; "": none */
    uint8_t gateway_family; /* AF_UNSPEC for a link by name */
    union nsh_addr gateway;
    uint32_t ifindex;
    uint8_t learns;  /* AF_INET, AF_INET6: from the default routes of this family */
    uint8_t learned; /* enum nsh_learned */
    uint8_t via_family;
    uint8_t via_flags; /* RTNH_F_ONLINK only */
    union nsh_addr via;
};

/* A VRF that routes name: what the kernel says of it now, filled by the reconciler. */
struct nsh_vrf {
    char name[IFNAMSIZ];
    uint32_t ifindex; /* 0: there is no such device */
    uint32_t table;   /* NSH_NO_TABLE: it is no VRF */
};

struct nsh_nexthop {
    union nsh_addr via;
    uint32_t link;      /* wanted: index into the links, or NSH_NO_LINK; observed: NSH_NO_LINK */
    uint32_t ifindex;   /* observed; always 0 on the wanted side (the links hold it) */
    uint16_t weight;    /* 1..256, as `ip route` writes it (rtnh_hops + 1) */
    uint8_t via_family; /* AF_UNSPEC: no gateway; AF_INET6 for an IPv4 route is RTA_VIA */
    uint8_t flags;      /* RTNH_F_ONLINK only */
    nsh_gate_id check;  /* wanted side only: while it is closed it is left out */
    uint8_t learned;    /* wanted side only: the gateway is what the link has learned */
    uint8_t unused;
};

/*
 * What a wanted route depends on beside its devices; of most it is nothing, and they pay no more
 * than a look at this. Not compared.
 */
#define NSH_VARIES_GATE 0x01U    /* it, or one of its nexthops, names a gate */
#define NSH_VARIES_LEARNED 0x02U /* a nexthop's gateway is learned */
#define NSH_VARIES_SCOPE 0x04U   /* and the scope follows from it */

struct nsh_route_props {
    uint8_t type;                   /* RTN_UNICAST, … (rtnetlink(7)) */
    uint8_t scope;                  /* RT_SCOPE_*; always 0 for IPv6 */
    uint8_t on_conflict;            /* enum nsh_on_conflict; wanted side only, not compared */
    uint8_t has_source;             /* `source` is set */
    union nsh_addr source;          /* preferred source */
    nsh_gate_id when;               /* wanted side only, not compared: it needs it open */
    uint16_t varies;                /* wanted side only: NSH_VARIES_* */
    uint32_t metrics_set;           /* bit RTAX_x: metrics[RTAX_x] is set */
    uint32_t metrics_lock;          /* RTAX_LOCK */
    uint32_t metrics[RTAX_MAX + 1]; /* raw kernel units (RTAX_*) */
    /* RTAX_CC_ALGO, the one metric that is a name; "": none. The rest of it is zero. */
    char congestion_control[NSH_CONGESTION_CONTROL_TEXT];
    char vrf[IFNAMSIZ];  /* wanted side only: the table is that of this VRF; "": it is given */
    uint32_t preference; /* ICMPV6_ROUTER_PREF_*; always 0 (medium) for IPv4 */
    uint32_t n_nexthops; /* 0 for blackhole and its like */
    struct nsh_nexthop nexthops[];
};

struct nsh_route {
    union nsh_addr dst;
    uint32_t table;
    uint32_t metric; /* the priority; IPv6: 0 becomes 1024 */
    const struct nsh_route_props *props;
    nsh_origin origin; /* wanted side only */
    uint8_t family;    /* AF_INET, AF_INET6 */
    uint8_t dst_length;
    uint8_t tos;      /* 0 for IPv6 */
    uint8_t protocol; /* RTPROT_*, or ours; not compared */
};

/* Properties with room for all nexthops; only as much as is in use is ever touched. */
union nsh_route_room {
    struct nsh_route_props props;
    unsigned char
            bytes[sizeof(struct nsh_route_props) + NSH_NEXTHOPS_MAX * sizeof(struct nsh_nexthop)];
};

size_t nsh_route_props_size(uint32_t n_nexthops);

/* The scope `ip route` gives a route when none is said: link without a gateway, host for local. */
uint8_t nsh_route_default_scope(int family, const struct nsh_route_props *props);

/*
 * Brings route and properties to the one form in which both sides are compared: IPv6 metric 0 to
 * 1024 and scope, tos to 0; IPv6 nexthops in a fixed order (they are a set); a single nexthop's
 * weight to 1; no nexthops for the types that have none; everything unused to zero.
 */
void nsh_route_normalize(struct nsh_route *r, struct nsh_route_props *props);

/*
 * Identity: family, table, prefix, metric, tos; without a table, the VRF. Total order; the order
 * the wanted side is kept in.
 */
int nsh_route_id_cmp(const struct nsh_route *a, const struct nsh_route *b);
/* By identity, then in the order of the files. In place. */
void nsh_routes_sort(struct nsh_route *routes, size_t n);

/* True if a wanted nexthop names a device that does not exist now. */
bool nsh_nexthop_is_absent(const struct nsh_nexthop *n, const struct nsh_link *links);
/*
 * How many of the nexthops are not absent. Those that are stay out of a multipath route until
 * their device exists, as long as one is left; a route with none is not written at all.
 */
uint32_t nsh_route_count_present(const struct nsh_route_props *props, const struct nsh_link *links);

/*
 * True if writing `want` over `seen` would change nothing. Identity is not looked at, nor
 * protocol, origin, on_conflict. A nexthop whose link has ifindex 0 and is by gateway, or that
 * has no link, equals any device. Absent nexthops are left out, if others are not.
 */
bool nsh_route_equal(
        const struct nsh_route *want, const struct nsh_route *seen, const struct nsh_link *links);

/*
 * The route as `ip route` would take it: "10.20.0.0/16 via 192.168.1.1 dev eth0 metric 100".
 * The device of an observed nexthop is written as "dev #3", its ifindex; `links` may then be NULL.
 * Always terminated; returns buf.
 */
const char *nsh_route_format(
        const struct nsh_route *r, const struct nsh_link *links, char *buf, size_t size);
/* Only the key: "10.20.0.0/16 table 100 metric 5". */
const char *nsh_route_format_key(const struct nsh_route *r, char *buf, size_t size);

/* "unicast", "blackhole", … and back; NULL and -1 when unknown. */
const char *nsh_route_type_name(uint8_t type);
int nsh_route_type_parse(const char *text);
/* "kernel", "boot", "static", "dhcp", "ra", "bird", … as rt_protos names them; NULL when unknown.
 */
const char *nsh_route_protocol_name(uint8_t protocol);
