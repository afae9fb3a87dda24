/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel should hold, made from a configuration. Pure.
 *
 * Routes are the configuration's own array; policies become chains of rules and the sets these
 * refer to, a policy's for IPv4 before those for IPv6, in the order: port-forwards, network-maps,
 * masquerades, shares, each kind in file order. A list of a policy that is NULL means any; one that
 * is there and holds nothing of a family matches nothing in it, never everything. And, for each
 * family with a chain, the inert conntrack chain in `raw`.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"

/* Index of a family in two-element arrays. */
enum { NSH_V4 = 0, NSH_V6 = 1, NSH_FAMILIES = 2 };
static inline int nsh_family_index(int family)
{
    return family == AF_INET6 ? NSH_V6 : NSH_V4;
}
static inline int nsh_family_of(int index)
{
    return index == NSH_V6 ? AF_INET6 : AF_INET;
}

/* Which routes name a gate or a learned gateway; nothing if none does. */
struct nsh_dependents {
    uint32_t *first;  /* where those of a condition begin: gates, then links */
    uint32_t *n;      /* how many they are */
    uint32_t *routes; /* ascending */
};

/* An interface that a policy names; not a pattern, which may stand for none. */
struct nsh_device {
    char name[IFNAMSIZ];
    uint32_t ifindex;  /* changes: 0: it is not there */
    bool without_ipv6; /* changes: IPv6 is switched off on it */
    bool marked;       /* changes: an event was about it */
    bool renamed;      /* changes: what had the name is there under another one */
};

struct nsh_desired {
    struct nsh_config *config; /* owned */
    const struct nsh_route *routes;
    size_t n_routes;
    struct nsh_link *links; /* changes: ifindex and what was learned, set by the reconciler */
    size_t n_links;
    struct nsh_route *placed; /* owned: with the tables of their VRFs; NULL: no route names one */
    struct nsh_vrf *vrfs;     /* changes: what they are, set by the reconciler */
    size_t n_vrfs;
    uint32_t *vrf_tables; /* by which the routes are arranged; one for each VRF */
    const struct nsh_gate *gates;
    struct nsh_gate_state *gate_states; /* changes: which are open, set by the reconciler */
    size_t n_gates;
    struct nsh_dependents dependents;
    size_t *probe_routes; /* which of the routes are there for probes; malloc'd */
    size_t n_probe_routes;
    const struct nsh_rule *rules; /* sorted by nsh_rule_cmp */
    size_t n_rules;
    struct nsh_chain *chains; /* malloc'd; in each built-in chain the jumps are in this order */
    size_t n_chains;
    struct nsh_set *sets; /* malloc'd; which the chains' rules refer to; sorted by family, name */
    size_t n_sets;
    struct nsh_device *devices; /* malloc'd, sorted by name; changes: set by the reconciler */
    size_t n_devices;
    bool devices_known;       /* changes: somebody has looked: until then all of them are there */
    bool lacks[NSH_FAMILIES]; /* changes: the kernel does not have the family */
    struct nsh_arena *arena;  /* the chains' rules */
    bool forwarding[NSH_FAMILIES]; /* changes: to be on; false: not needed by netshared now */
    uint8_t protocol;              /* marks our routes and rules */
    unsigned others;               /* owners beside the first */
};

/* Takes the configuration, on success only. 0 or -ENOMEM. */
int nsh_desired_new(struct nsh_config *config, struct nsh_desired **ret);
/* It ends with its last owner. */
void nsh_desired_free(struct nsh_desired *d);
/* A further owner, in the same thread. Returns `d`. */
struct nsh_desired *nsh_desired_share(struct nsh_desired *d);

/* ---- VRFs (desired-vrfs.c) ---- */

/*
 * Gives the routes that name a VRF the table that it has now. Of two that come to one key so, the
 * one that names the table stays, or the first in the file. Before anybody has an index into the
 * routes. 0 or -ENOMEM.
 */
int nsh_desired_place(struct nsh_desired *d);
/* The same configuration with the VRFs as they are now. 0 or -ENOMEM. */
int nsh_desired_again(const struct nsh_desired *d, struct nsh_desired **ret);
/* NULL: it names none. */
const struct nsh_vrf *nsh_desired_vrf(const struct nsh_desired *d, const char *name);
/* Why the route has no table; always terminated, returns buf. */
const char *nsh_desired_unplaced(
        const struct nsh_desired *d, const struct nsh_route *route, char *buf, size_t size);

/* ---- interfaces of policies (desired-devices.c) ---- */

/* Finds out which these are. 0 or -ENOMEM. */
int nsh_desired_list_devices(struct nsh_desired *d);
/* NULL: no policy names it. */
struct nsh_device *nsh_desired_device(const struct nsh_desired *d, const char *name);
/* Those of this number or name are to be looked for. */
void nsh_desired_mark_device(const struct nsh_desired *d, uint32_t ifindex, const char *name);
/* Longest reason, with its NUL. */
#define NSH_LACK_TEXT 256
/*
 * What the policy of a chain needs and is not there: "no interface eth11". Of each side one
 * interface is enough. NULL: nothing; else buf.
 */
const char *nsh_desired_lack(
        const struct nsh_desired *d, const struct nsh_chain *c, char *buf, size_t size);
/* That is an interface which is not there, and no switch. */
bool nsh_desired_lacks_name(const struct nsh_desired *d, const struct nsh_chain *c);
/* Of a share an interface of which is not there, where nsh_desired_is_forwarded. */
#define NSH_UNFILTERED_TEXT "forwarding is on: what is there under another name has no filter"
/*
 * Which of the interfaces are not there, of a policy that lacks nothing. `forwarded`: its family
 * is. NULL: all are; else buf.
 */
const char *nsh_desired_partly(const struct nsh_desired *d, const struct nsh_chain *c,
        bool forwarded, char *buf, size_t size);
/* What it lacks has only another name now: that is as if the file had named it wrongly. */
bool nsh_desired_was_renamed(const struct nsh_desired *d, const struct nsh_chain *c);

/* ---- looking for one ---- */

/* Index of the route with the identity of `key`, or SIZE_MAX. Binary search. */
size_t nsh_desired_find_route(const struct nsh_desired *d, const struct nsh_route *key);
/* Where a route with the identity of `key` stands, or would stand: 0..n_routes. */
size_t nsh_desired_lower_bound(const struct nsh_desired *d, const struct nsh_route *key);
/*
 * Index of a wanted route from which `seen`, which stands on another key, takes traffic: same
 * table and prefix, and a lower metric, or a tos of its own. `at` is the lower bound of `seen`.
 * SIZE_MAX: there is none.
 */
size_t nsh_desired_find_shadowed(
        const struct nsh_desired *d, const struct nsh_route *seen, size_t at);
/*
 * The name of a chain's policy, as it is shown: "home"; "home (ipv6)" where the policy has chains
 * in both families. Returns buf.
 */
const char *nsh_desired_policy_name(
        const struct nsh_desired *d, size_t chain, char *buf, size_t size);
/* ---- what is in force now (desired-gates.c) ---- */

/* True for NSH_NO_GATE as well. */
bool nsh_desired_is_open(const struct nsh_desired *d, nsh_gate_id gate);

enum nsh_standing {
    NSH_STANDING_WANTED,
    NSH_STANDING_STANDBY,   /* a gate is closed: it is not wanted now */
    NSH_STANDING_UNLEARNED, /* no gateway is known that it could lead to: nor is it */
    NSH_STANDING_UNPLACED,  /* it has no table: its VRF is not there, or its key is another's */
    NSH_STANDING_UNDECIDED, /* nobody has looked for its gateway: what stands there stays */
};

struct nsh_hold {
    nsh_gate_id gate; /* of NSH_STANDING_STANDBY */
    uint32_t link;    /* of NSH_STANDING_UNLEARNED */
};

/* ret: why it is not wanted; may be NULL. Untouched for WANTED and UNDECIDED. */
enum nsh_standing nsh_desired_standing(
        const struct nsh_desired *d, const struct nsh_route *route, struct nsh_hold *ret);
/*
 * The route as it is to be now: without the nexthops that are left out, with the gateways that were
 * learned. Its properties are its own, or stand in `room`.
 */
struct nsh_route nsh_desired_effective(
        const struct nsh_desired *d, const struct nsh_route *route, union nsh_route_room *room);
/* As nsh_route_equal, for the route as it is to be now. */
bool nsh_desired_equal(
        const struct nsh_desired *d, const struct nsh_route *want, const struct nsh_route *seen);
/*
 * After gates or interfaces have changed: which chains are on standby and which family is forwarded
 * follows. A family's connections are tracked only while one of its policies is in force, and it is
 * forwarded only for one whose interfaces are there, or have been since it says so.
 */
void nsh_desired_settle(struct nsh_desired *d);
/* The routes, in order, that name the gate or the link's gateway. */
const uint32_t *nsh_desired_of_gate(const struct nsh_desired *d, nsh_gate_id gate, size_t *ret_n);
const uint32_t *nsh_desired_of_link(const struct nsh_desired *d, size_t link, size_t *ret_n);
/* Finds out which these are: whenever the routes were placed. 0 or -ENOMEM. */
int nsh_desired_index(struct nsh_desired *d);
/* Index of the wanted rule that says the same, or SIZE_MAX. Binary search. */
size_t nsh_desired_find_rule(const struct nsh_desired *d, const struct nsh_rule *rule);
