/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts that read the section `routes` share: config-routes.c (keys),
 * config-routes-hop.c (nexthops), config-checks.c (their checks), config-routes-check.c (judging an
 * object), config-lists.c (prefixes in files of their own, which policies have as well).
 */
#pragma once

#include "config-lists.h"

enum route_key {
    KEY_TO,
    KEY_VIA,
    KEY_DEV,
    KEY_NEXTHOPS,
    KEY_METRIC,
    KEY_TABLE,
    KEY_VRF,
    KEY_TYPE,
    KEY_SOURCE,
    KEY_FROM,
    KEY_SCOPE,
    KEY_TOS,
    KEY_PREFERENCE,
    KEY_ON_LINK,
    KEY_MTU,
    KEY_MTU_LOCK,
    KEY_ADVERTISED_MSS,
    KEY_CONGESTION_WINDOW,
    KEY_ADVERTISED_RECEIVE_WINDOW,
    KEY_HOPLIMIT,
    KEY_RTO_MIN,
    KEY_QUICK_ACK,
    KEY_FEATURES,
    KEY_CONGESTION_CONTROL,
    KEY_FAMILY,
    KEY_ON_CONFLICT,
    KEY_WHEN,
    KEY_CHECK,
};

struct route_draft {
    struct nsh_draft draft;
    size_t first; /* index of its first route */
    struct nsh_prefix via, source;
    char dev[IFNAMSIZ], vrf[IFNAMSIZ];
    char congestion_control[NSH_CONGESTION_CONTROL_TEXT];
    uint32_t metric, table, scope, tos;
    uint32_t mtu, advertised_mss, congestion_window, advertised_receive_window, hoplimit;
    uint64_t rto_min; /* microseconds */
    unsigned type, preference, features, on_conflict, families;
    bool on_link, mtu_lock, quick_ack;
};

/* A nexthop as it is written, by itself or as the route's own `via` and `dev`. */
struct nsh_hop {
    struct nsh_prefix via; /* AF_UNSPEC: none */
    char dev[IFNAMSIZ];    /* "": none */
    bool learned;          /* the gateway is learned on `dev` */
    uint32_t weight;
    bool on_link;
    struct nsh_yaml_mark at, via_at;
    bool checked;
    struct nsh_written_check check;
};

static inline bool nsh_hop_has_via(const struct nsh_hop *h)
{
    return h->via.family != AF_UNSPEC || h->learned;
}

extern const struct nsh_object nsh_object_hop;
extern const struct nsh_object nsh_object_learned;

/* ---- config-routes-hop.c ---- */

/* Makes the one nexthop of `via` and `dev`, if there is one. */
void nsh_route_single_hop(struct nsh_loader *l, const struct route_draft *d);
/* A family of which one of the gateways is: 0 if there is none. IPv4 comes first. */
int nsh_route_gateway_family(const struct nsh_loader *l);
/* The first nexthop without a gateway; NULL: each has one. */
const struct nsh_hop *nsh_route_bare_hop(const struct nsh_loader *l);

/* ---- config-routes-check.c ---- */

/* Judges the object, and settles the families of its default routes. */
void nsh_route_check(struct nsh_loader *l, struct route_draft *d);
/* Why prefixes of this family in a list can't be taken; NULL: they can. */
const char *nsh_route_list_refusal(
        const struct nsh_loader *l, const struct route_draft *d, int family);
/* The first of the object's routes that is of `family`; NULL: none. */
const struct nsh_route *nsh_route_find_family(
        const struct nsh_loader *l, const struct route_draft *d, int family);

/* ---- config-checks.c ---- */

/* The gate of the nexthop's check, or NSH_NO_GATE; `link` is the nexthop's. */
nsh_gate_id nsh_route_check_gate(struct nsh_loader *l, const struct route_draft *d,
        const struct nsh_hop *h, int family, uint32_t link);

/* ---- config-routes.c ---- */

const char *nsh_route_draft_type(const struct route_draft *d);
