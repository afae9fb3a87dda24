/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A policy routing rule as a plain value, the same for what is wanted and what is observed.
 *
 * A rule has no key: all it says is its identity, so there is one comparison (nsh_rule_cmp). The
 * kernel itself asks looser questions, and a plan has to know the answers: which entry a deletion
 * takes (nsh_rule_delete_takes), and what stands in the way of an addition with NLM_F_EXCL
 * (nsh_rule_add_meets).
 */
#pragma once

#include <linux/fib_rules.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "gate.h"
#include "match.h"
#include "origin.h"

#define NSH_UID_ANY_LAST UINT32_MAX /* with a first of 0: whoever sends */
#define NSH_SUPPRESS_NONE (-1)
/* Longest text of a rule, with its NUL. */
#define NSH_RULE_TEXT 512

struct nsh_rule {
    struct nsh_prefix from, to; /* AF_UNSPEC: any */
    uint32_t priority;
    uint32_t table;  /* of FR_ACT_TO_TBL without l3mdev */
    uint32_t target; /* of FR_ACT_GOTO: a priority */
    struct nsh_mark mark;
    struct nsh_range uids;
    struct nsh_range source_port, destination_port;
    int32_t suppress_length, suppress_group; /* NSH_SUPPRESS_NONE */
    char iif[IFNAMSIZ], oif[IFNAMSIZ];       /* "": any */
    nsh_origin origin;                       /* wanted side only */
    nsh_gate_id when;                        /* wanted side only, not compared */
    uint8_t family;                          /* AF_INET, AF_INET6 */
    uint8_t action;                          /* FR_ACT_* */
    uint8_t tos;                             /* 0: any */
    uint8_t ip_protocol;                     /* 0: any */
    bool l3mdev;
    bool invert;      /* all that the selectors do not match */
    bool inexact;     /* observed: it says more than this can hold, and equals no wanted rule */
    uint8_t protocol; /* who put it there: RTPROT_*, or ours; not compared by nsh_rule_cmp */
};

/* Brings it to the one form in which both sides are compared. Idempotent. */
void nsh_rule_normalize(struct nsh_rule *r);
/* <0, 0, >0: family, priority, then all the rest but origin and protocol. A total order. */
int nsh_rule_cmp(const struct nsh_rule *a, const struct nsh_rule *b);
bool nsh_rule_equal(const struct nsh_rule *a, const struct nsh_rule *b);
/* True if it says nothing of the packet. */
bool nsh_rule_matches_all(const struct nsh_rule *r);
/* True if the same becomes of what either of them matches. */
bool nsh_rule_same_outcome(const struct nsh_rule *a, const struct nsh_rule *b);
/* False only if no packet can match both. */
bool nsh_rule_may_overlap(const struct nsh_rule *a, const struct nsh_rule *b);

/*
 * Would the kernel, asked to delete `asked`, take `there`? It deletes the first rule for which this
 * is so: what the request leaves out fits everything, and neither the inversion nor the target of
 * a goto is looked at.
 */
bool nsh_rule_delete_takes(const struct nsh_rule *asked, const struct nsh_rule *there);
/*
 * Would adding `rule` with NLM_F_EXCL fail with EEXIST because of `there`? Prefixes and tos that
 * `rule` leaves out fit all; inversion and target are not looked at.
 */
bool nsh_rule_add_meets(const struct nsh_rule *rule, const struct nsh_rule *there);

/*
 * As `ip rule add` takes it: "from 10.1.0.0/24 lookup 100 priority 1000". Always terminated;
 * returns buf.
 */
const char *nsh_rule_format(const struct nsh_rule *r, char *buf, size_t size);
/* The same, followed by " (ipv6)" where no address tells the family. */
const char *nsh_rule_format_name(const struct nsh_rule *r, char *buf, size_t size);
