/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A gate: a condition on which something wanted depends. What names it is in force only while the
 * gate is open; while it is closed it is not wanted, and goes as what is not wanted does.
 *
 * Gates are part of the configuration, each distinct one once, and are named by an index. Whether
 * one is open is no part of it: nsh_desired keeps that, and the reconciler changes it.
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "origin.h"

/*
 * Index into the configuration's gates. The first of them stands for "none" and is always open, so
 * that what was zeroed names no gate.
 */
typedef uint16_t nsh_gate_id;
#define NSH_NO_GATE 0
/* Gates of a configuration, the first included. */
#define NSH_GATES_MAX 1024
/* Longest text of a gate, with its NUL. */
#define NSH_GATE_TEXT 160

enum nsh_gate_kind {
    NSH_GATE_WHEN,  /* something holds on this machine; judged from links and addresses */
    NSH_GATE_CHECK, /* something answers; judged by probes */
};

/* Both that are given must hold. */
struct nsh_when {
    bool has_address; /* `address` is one of this machine's */
    uint8_t family;
    union nsh_addr address;
    char dev_up[IFNAMSIZ]; /* the device is there, switched on and has its carrier; "": any way */
};

enum nsh_check_kind { NSH_CHECK_PING, NSH_CHECK_TCP };

struct nsh_check {
    enum nsh_check_kind kind;
    uint8_t family; /* of the target */
    union nsh_addr target;
    uint16_t port; /* of NSH_CHECK_TCP */
    uint64_t interval_usec, timeout_usec;
    uint32_t fail, recover; /* so many misses close it, so many answers open it again */
    /* The nexthop it checks, by which the probes leave. */
    uint8_t via_family; /* AF_UNSPEC: no gateway */
    union nsh_addr via;
    char dev[IFNAMSIZ]; /* "": the kernel chooses */
    uint8_t flags;      /* RTNH_F_ONLINK only */
    bool learned;       /* the gateway is what others have learned on `dev` */
    bool has_source;
    union nsh_addr source; /* the route's preferred one, which the probes have as well */
    uint32_t link;         /* the device, as a nexthop names it; not compared */
    /*
     * What the probes are marked with, and the table into which a rule leads that mark: the same
     * for all checks of one nexthop, given out when all files were read.
     */
    uint32_t mark, table;
};

struct nsh_gate {
    enum nsh_gate_kind kind;
    union {
        struct nsh_when when;
        struct nsh_check check;
    };
    nsh_origin origin; /* where it is written first; not compared */
};

/* Whether a gate is open now. */
struct nsh_gate_state {
    bool open;
    bool judged; /* a condition: it was looked at */
};

/* The same condition; what is given out for a check's probes and the origin are not looked at. */
bool nsh_gate_equal(const struct nsh_gate *a, const struct nsh_gate *b);
/* The same, or checks that ask the same by the same nexthop, however often. */
bool nsh_gate_alike(const struct nsh_gate *a, const struct nsh_gate *b);
/* Their probes leave by the same nexthop. */
bool nsh_check_same_way(const struct nsh_check *a, const struct nsh_check *b);
/*
 * "address 10.0.0.254", "address 10.0.0.254 with device eth1 up", "ping 1.1.1.1 via 192.0.2.1 dev
 * eth0", "tcp 1.1.1.1 port 443". Always terminated; returns buf.
 */
const char *nsh_gate_format(const struct nsh_gate *g, char *buf, size_t size);
/* "condition" or "check": what a text about one begins with. */
const char *nsh_gate_noun(const struct nsh_gate *g);
