/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Flows that were born while a policy was missing keep their untranslated address until
 * their conntrack entry goes. After a repair, such entries are deleted, so that the next packet of
 * the flow is translated.
 *
 * Deleted is an entry of `family` that: has no source translation; comes from an address that is
 * not this host's; leaves, by the kernel's present choice of route, through a device that the
 * chains' MASQUERADE, SNAT or NETMAP rules name, and is matched by them (exemptions respected); and
 * would not be torn by it: TCP only while no connection is established.
 *
 * And, from a flow's deletion until it is forgotten, an entry that began with an answer to it: a
 * packet that was under way just then. One pass can't find those, so a pass that deleted something
 * is to be followed by others.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fib.h"
#include "packet.h"

struct nsh_conntrack;

/* The NAT chains that are wanted, and the sets, sorted by family and name, that they refer to. */
struct nsh_translations {
    const struct nsh_chain *const *chains;
    size_t n_chains;
    const struct nsh_set *sets;
    size_t n_sets;
};

/* What an entry shows of a flow, as packets of its first direction are when they leave. */
struct nsh_flow {
    uint8_t family;
    uint8_t protocol;
    bool led; /* its destination is translated */
    union nsh_addr src, dst;
    uint16_t source_port, destination_port; /* 0: its protocol has none */
    char out[IFNAMSIZ];
};

int nsh_conntrack_new(struct nsh_conntrack **ret);
void nsh_conntrack_free(struct nsh_conntrack *ct);

/*
 * Looks at every entry once, in pieces of one receive: 1 while more follows, 0 at the end, or
 * negative errno (-EOPNOTSUPP: the kernel has no conntrack netlink). `wanted` are the repaired
 * chains. `fib` answers which way a flow goes.
 */
int nsh_conntrack_begin(struct nsh_conntrack *ct, int family);
int nsh_conntrack_step(
        struct nsh_conntrack *ct, struct nsh_fib *fib, const struct nsh_translations *wanted);
/* Entries deleted since begin. */
size_t nsh_conntrack_deleted(const struct nsh_conntrack *ct);
/* The deletions of earlier passes are long ago. */
void nsh_conntrack_forget(struct nsh_conntrack *ct, int family);

/*
 * Pure part: does one of the chains translate the flow's source? What an entry does not show, such
 * as a packet's mark, says no: the flow is left alone. That IPsec exempts it says nothing, since
 * then the flow begins again as it was.
 */
bool nsh_chains_translate(const struct nsh_translations *wanted, const struct nsh_flow *flow);
