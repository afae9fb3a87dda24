/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel contract for routes, rules, links and sysctls. fib-netlink.c keeps it with libnl
 * against the kernel; tests/support/fib-fake.c keeps it in memory.
 *
 * Errors are negative errno. Values passed to callbacks are valid during the call only.
 * An implementation is used from one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "route.h"
#include "rule.h"

struct nsh_fib;

/* Which routes a dump returns. Zero: no restriction. */
struct nsh_fib_filter {
    uint8_t family;   /* AF_INET, AF_INET6; AF_UNSPEC: both */
    uint8_t protocol; /* RTPROT_*; filtered by the kernel */
    uint32_t table;
};

enum nsh_fib_verb {
    NSH_FIB_ADD,     /* CREATE|EXCL: fails with -EEXIST if the key is taken */
    NSH_FIB_REPLACE, /* CREATE|REPLACE */
    NSH_FIB_DELETE,  /* with protocol and nexthops, so that only that very route goes */
};

struct nsh_fib_op {
    enum nsh_fib_verb verb;
    struct nsh_route route; /* protocol set; its props outlive the call */
};

enum nsh_fib_rule_verb {
    NSH_FIB_RULE_ADD,    /* CREATE|EXCL: -EEXIST as nsh_rule_add_meets says */
    NSH_FIB_RULE_APPEND, /* CREATE: also beside one that is the same */
    NSH_FIB_RULE_DELETE, /* the first that nsh_rule_delete_takes */
};

struct nsh_fib_rule_op {
    enum nsh_fib_rule_verb verb;
    struct nsh_rule rule; /* protocol set */
};

/*
 * Called for each operation that failed, in order. `error` is negative errno, `why` the kernel's
 * own words (extended ack) or "".
 */
typedef void nsh_fib_failed(void *userdata, size_t op, int error, const char *why);
/* One observed route, normalised. Return 0 to go on; anything else ends the dump with it. */
typedef int nsh_fib_route_seen(void *userdata, const struct nsh_route *route);

/* One observed rule, normalised. Return 0 to go on; anything else ends the dump with it. */
typedef int nsh_fib_rule_seen(void *userdata, const struct nsh_rule *rule);

/* An address of this machine. */
struct nsh_fib_address {
    union nsh_addr address;
    uint32_t ifindex;
    uint8_t family;
    uint8_t scope;         /* RT_SCOPE_* */
    struct nsh_prefix net; /* its subnet; of a point-to-point link the other end */
    bool usable;           /* false: duplicate address detection has not let it through */
    bool secondary;        /* IPv4: behind another of its subnet, and chosen for nothing */
};
typedef void nsh_fib_address_seen(void *userdata, const struct nsh_fib_address *address);

/* A link by one of its names: its own, and after that once by each alternative one. */
struct nsh_fib_link {
    const char *name;
    uint32_t ifindex;
    uint32_t mtu;      /* 0: not known */
    bool up;           /* switched on */
    bool carrier;      /* and able to pass packets */
    bool noarp;        /* nobody asks there who has an address */
    bool without_ipv6; /* which is switched off on it */
};
typedef void nsh_fib_link_seen(void *userdata, const struct nsh_fib_link *link);

enum nsh_fib_event_type {
    NSH_FIB_ROUTE_NEW, /* added, replaced or appended: `route`, `route_flags` */
    NSH_FIB_ROUTE_GONE,
    NSH_FIB_LINK,       /* a link came, went or changed: `ifindex`, `name`, `up`, `ipv6`, `gone` */
    NSH_FIB_ADDRESS,    /* an address came, went or changed: `ifindex`, `family`, `address` */
    NSH_FIB_RULE,       /* a rule of our protocol came or went: `rule`, `gone` */
    NSH_FIB_FORWARDING, /* a forwarding sysctl changed: `family` */
    NSH_FIB_OVERRUN,    /* events were lost: compare everything */
};

/* Foreign routes that come to a key of their own, or go. */
enum nsh_fib_foreign {
    NSH_FIB_FOREIGN_NONE,
    NSH_FIB_FOREIGN_DEFAULTS, /* default routes: a gateway is learned from them */
    NSH_FIB_FOREIGN_ALL,      /* something is pending */
};

struct nsh_fib_event {
    enum nsh_fib_event_type type;
    uint32_t sender; /* port id of whoever asked for the change; 0: the kernel itself. Not proof. */
    struct nsh_route route;
    uint16_t route_flags; /* NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE, NLM_F_APPEND of the message */
    struct nsh_rule rule;
    uint8_t family;
    union nsh_addr address;
    uint32_t ifindex;
    char name[IFNAMSIZ];
    bool up;   /* IFF_UP */
    bool ipv6; /* the link speaks IPv6: it has a directory in net/ipv6/conf */
    bool gone; /* the link was deleted (or moved away), the address or rule removed */
};

typedef void nsh_fib_event_seen(void *userdata, const struct nsh_fib_event *event);

/* What `nsh_fib_lookup` found. */
struct nsh_fib_path {
    uint32_t ifindex;
    bool on_link; /* no gateway in between */
};

/* A packet whose way is asked for. */
struct nsh_fib_question {
    uint8_t family, protocol; /* `protocol` 0: any */
    bool has_from;
    union nsh_addr to, from;
    uint32_t iif; /* it came in by; 0: it is this host's own */
    uint32_t oif; /* and is bound to */
    uint32_t mark;
    uint16_t source_port, destination_port; /* 0: none */
};

struct nsh_fib_answer {
    uint8_t type; /* RTN_UNICAST, RTN_LOCAL, ... */
    uint32_t table;
    uint32_t ifindex;
    uint8_t via_family; /* AF_UNSPEC: no gateway */
    union nsh_addr via;
    bool has_source; /* of this host's own packets */
    union nsh_addr source;
};

struct nsh_sysctl_values {
    int forwarding[2]; /* net.ipv4.ip_forward, net.ipv6.conf.all.forwarding; -errno: unreadable */
};

struct nsh_fib_ops {
    void (*free)(struct nsh_fib *fib);

    /*
     * A dump in pieces, so that a caller can do other work in between. `begin` sends the request;
     * each `read` handles one receive and calls `seen` for what is in it, or for nothing when that
     * would mean to wait for long: 1 when more follows, 0 at the end. One dump at a time; `begin`
     * during a dump drops the rest of the one before.
     */
    int (*dump_begin)(struct nsh_fib *fib, const struct nsh_fib_filter *filter);
    int (*dump_read)(struct nsh_fib *fib, nsh_fib_route_seen *seen, void *userdata);

    /*
     * Writes a list of operations in as few sends as possible, and waits until the kernel has
     * answered for all. Every failure is told through `failed`. 0, or a negative errno when the
     * socket itself failed: what was written then is unknown.
     */
    int (*submit)(struct nsh_fib *fib, const struct nsh_link *links, const struct nsh_fib_op *ops,
            size_t n, nsh_fib_failed *failed, void *userdata);

    /*
     * All rules of both families, whosever they are, in the order in which they are tried. A
     * family the kernel has no rules for has none. -EAGAIN: they changed meanwhile, once more.
     */
    int (*rules_dump)(struct nsh_fib *fib, nsh_fib_rule_seen *seen, void *userdata);
    /* As submit. */
    int (*rules_submit)(struct nsh_fib *fib, const struct nsh_fib_rule_op *ops, size_t n,
            nsh_fib_failed *failed, void *userdata);

    /* All addresses of both families, all links. -EAGAIN: they changed meanwhile, once more. */
    int (*addresses)(struct nsh_fib *fib, nsh_fib_address_seen *seen, void *userdata);
    int (*links)(struct nsh_fib *fib, nsh_fib_link_seen *seen, void *userdata);
    /* Index of the link with this name or alternative name; -ENODEV. */
    int (*link_index)(struct nsh_fib *fib, const char *name, uint32_t *ret_ifindex);
    /* Its present name; -ENODEV. */
    int (*link_name)(struct nsh_fib *fib, uint32_t ifindex, char ret_name[static IFNAMSIZ]);
    /* The device of that name, and the table of the VRF it is (0: it is none); -ENODEV. */
    int (*vrf)(struct nsh_fib *fib, const char *name, uint32_t *ret_ifindex, uint32_t *ret_table);
    /*
     * The way the kernel would choose to `addr` now. `iif` 0: from this host; else as if `from`
     * had come in there. -ENETUNREACH and its like when there is none.
     */
    int (*lookup)(struct nsh_fib *fib, int family, const union nsh_addr *addr, uint32_t iif,
            const union nsh_addr *from, struct nsh_fib_path *ret);
    /* From this host, in the VRF of that index. */
    int (*vrf_lookup)(struct nsh_fib *fib, uint32_t vrf, int family, const union nsh_addr *addr,
            struct nsh_fib_path *ret);

    /*
     * The way a packet would go. An error if there is none, or if the kernel would not take it:
     * what it says of that differs between kernels.
     */
    int (*path)(struct nsh_fib *fib, const struct nsh_fib_question *q, struct nsh_fib_answer *ret);
    /* The entry of a table that decides so, to `seen`; what that returns. */
    int (*entry)(struct nsh_fib *fib, const struct nsh_fib_question *q, nsh_fib_route_seen *seen,
            void *userdata);

    /* 1: the kernel is to answer there for that address, as a proxy; 0; negative errno. */
    int (*proxied)(struct nsh_fib *fib, uint32_t ifindex, int family, const union nsh_addr *addr);

    /* NUD_* of that neighbour, as it was found a moment ago; -ENOENT: that is not known. */
    int (*neighbour)(struct nsh_fib *fib, uint32_t ifindex, int family, const union nsh_addr *addr);

    /* "net/ipv6/conf/all/forwarding", below /proc/sys; integer values. */
    int (*sysctl_get)(struct nsh_fib *fib, const char *key, int *ret);
    int (*sysctl_set)(struct nsh_fib *fib, const char *key, int value);
    /* Calls `each` with the interface directories of net/ipv6/conf, "all" and "default" included.
     */
    int (*sysctl_each_ipv6_conf)(
            struct nsh_fib *fib, void (*each)(void *userdata, const char *name), void *userdata);

    /*
     * Subscribes to events of links, addresses, routes, rules and forwarding; `protocol` marks our
     * routes and rules. Returns a descriptor to poll for input, owned by the fib. Changes made
     * through this fib itself cause no event. Again with another protocol: the same descriptor, now
     * for that.
     */
    int (*events_open)(struct nsh_fib *fib, uint8_t protocol);
    /* Reads what is queued, a thousand or so at once, without waiting. Returns the number of
     * messages read. */
    int (*events_read)(struct nsh_fib *fib, nsh_fib_event_seen *seen, void *userdata);
    /* Of which foreign routes to tell, beside those that may have to do with ours. */
    int (*events_foreign)(struct nsh_fib *fib, enum nsh_fib_foreign foreign);
};

struct nsh_fib {
    const struct nsh_fib_ops *ops;
};

/* The kernel of the network namespace the caller is in. */
int nsh_fib_netlink_new(struct nsh_fib **ret);

static inline void nsh_fib_free(struct nsh_fib *fib)
{
    if (fib)
        fib->ops->free(fib);
}

/* A whole dump in one call. */
int nsh_fib_dump(struct nsh_fib *fib, const struct nsh_fib_filter *filter, nsh_fib_route_seen *seen,
        void *userdata);
