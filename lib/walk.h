/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The way of one imagined packet through the chains that are wanted, as the kernel would take it.
 * Pure.
 */
#pragma once

#include "desired.h"

/* A packet at one of the hooks. */
struct nsh_packet {
    uint8_t family, protocol;
    union nsh_addr src, dst;
    uint16_t source_port, destination_port; /* 0: its protocol has none */
    uint32_t mark;
    char in[IFNAMSIZ];  /* "": it is this machine's own */
    char out[IFNAMSIZ]; /* "": it does not leave, or nobody knows yet */
    uint8_t state;      /* one of NSH_STATE_* */
    bool translated;    /* its connection's destination is */
    bool local;         /* its destination is an address of this machine */
    bool far;           /* and not one of the device it came in by */
};

enum nsh_walk_what {
    NSH_WALK_LACKS,   /* a chain that is not in force would have decided */
    NSH_WALK_EXEMPTS, /* an exception of the policy's own; others may still take it */
    NSH_WALK_LOGS,
    NSH_WALK_CLAMPS, /* TCP's segment size */
    NSH_WALK_TAKES,  /* what decides; nothing comes behind it */
};

struct nsh_walk_step {
    enum nsh_walk_what what;
    const struct nsh_chain *chain;
    const struct nsh_packet_rule *rule; /* the one that did it */
};
typedef void nsh_walk_seen(void *userdata, const struct nsh_walk_step *step);

/*
 * Goes through the chains of one table and hook in the order of their jumps. `lacks` (may be NULL)
 * has a flag for each wanted chain: it is not in force. What is on standby is not either. Returns
 * the rule that decides, and its chain; NULL: none does. No IPsec policy is taken to be about it.
 */
const struct nsh_packet_rule *nsh_walk(const struct nsh_desired *d, enum nsh_table table,
        const char *hook, const struct nsh_packet *p, const bool *lacks, nsh_walk_seen *seen,
        void *userdata, const struct nsh_chain **ret_chain);

/* Whether the rule matches, sets and all. */
bool nsh_walk_matches(const struct nsh_desired *d, const struct nsh_packet_rule *rule,
        const struct nsh_packet *p);

/*
 * What DNAT, SNAT, MASQUERADE or NETMAP makes of it. `own`: the device's address that a MASQUERADE
 * takes. Of a range the first address is taken; a port that may be another one afterwards is left
 * as it is.
 */
void nsh_walk_translate(
        const struct nsh_packet_rule *rule, const union nsh_addr *own, struct nsh_packet *p);
