/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Chains of others that drop what is forwarded. An accept holds only in the rule set, and on
 * nftables in the base chain, in which it stands: a packet that a share lets through may be dropped
 * elsewhere.
 *
 * What can't be judged, such as a match of addresses, is taken to be in the share's favour: nothing
 * is said unless it is certain that connections can't come about.
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>

#include "packet.h"

/* A connection's packets in one direction; a name that ends in '+' stands for several devices. */
struct nsh_forward_path {
    char in[IFNAMSIZ], out[IFNAMSIZ];
    bool reply; /* of a connection that the other side began */
};

struct nsh_forward_drop {
    char what[160]; /* "nftables chain ip filter FORWARD" */
    char fix[512];  /* the commands that let it through */
};

/* How the commands that accept a path are written. */
enum nsh_forward_tool {
    NSH_FORWARD_FIREWALLD,
    NSH_FORWARD_NFT,
    NSH_FORWARD_IPTABLES,
};

/*
 * The commands for all the paths, as many as there is room for. `where`: for nft family, table and
 * chain, for iptables program and chain, as "iptables-nft -I FORWARD".
 */
void nsh_forward_fix(enum nsh_forward_tool tool, const char *where,
        const struct nsh_forward_path *paths, size_t n, char *buf, size_t size);
/*
 * What a share's filter chain accepts, as paths, `max` at most: of its rules those that let all
 * through between two devices, without what may be begun from outside. Returns how many.
 */
size_t nsh_forward_paths(const struct nsh_chain *chain, struct nsh_forward_path *ret, size_t max);
