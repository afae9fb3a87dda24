/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which routing rule and which route decide the way of a packet: the kernel tells the route, but
 * not the rule, and neither of a packet that it refuses. So rules and routes that were observed are
 * gone through here as the kernel does. Pure.
 */
#pragma once

#include "route.h"
#include "rule.h"

/* Addresses whose ways are asked for. */
#define NSH_WAYS_MAX 8

/* What was observed: all rules, and those routes that lead to one of the addresses. */
struct nsh_ways {
    struct {
        uint8_t family;
        union nsh_addr to;
    } wanted[NSH_WAYS_MAX];
    size_t n_wanted;
    struct nsh_rule *rules; /* in the kernel's order */
    size_t n_rules;
    struct nsh_route *routes; /* with properties of their own */
    size_t n_routes;
};

void nsh_ways_want(struct nsh_ways *w, int family, const union nsh_addr *to);
/* 0 or -ENOMEM; made for the dumps of fib.h, with the ways as userdata. */
int nsh_ways_see_rule(void *ways, const struct nsh_rule *rule);
int nsh_ways_see_route(void *ways, const struct nsh_route *route);
void nsh_ways_done(struct nsh_ways *w);

struct nsh_way_query {
    uint8_t family, protocol;
    const union nsh_addr *to, *from; /* `from` NULL: it has none yet */
    char iif[IFNAMSIZ];              /* "lo": it is this machine's own */
    uint32_t mark;
    uint16_t source_port, destination_port;
};

struct nsh_way {
    const struct nsh_rule *rule;   /* NULL: none leads anywhere */
    const struct nsh_route *route; /* NULL: the rule itself refuses, or there is no rule */
    const struct nsh_rule *vrf;    /* a rule for VRFs that was passed over; NULL: there is none */
    bool certain;                  /* false: a rule before it may match, which can't be known */
};

void nsh_way_find(const struct nsh_ways *w, const struct nsh_way_query *q, struct nsh_way *ret);
/* Whether a rule's own keys match; not its suppressions. */
bool nsh_way_rule_matches(const struct nsh_rule *r, const struct nsh_way_query *q);
/* It leads there. */
bool nsh_way_route_covers(const struct nsh_route *r, int family, const union nsh_addr *to);
/* Of two that lead to one address in one table: the kernel takes `a` rather than `b`. */
bool nsh_way_is_better(const struct nsh_route *a, const struct nsh_route *b);
/* One of the route's nexthops leaves by the device. */
bool nsh_way_leaves_by(const struct nsh_route *r, uint32_t ifindex);
