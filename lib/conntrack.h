/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Flows that were born while a masquerade policy was missing keep their untranslated address until
 * their conntrack entry goes. After a repair, such entries are deleted, so that the next packet of
 * the flow is translated.
 *
 * Deleted is an entry of `family` that: has no source translation; comes from an address that is
 * not this host's; leaves, by the kernel's present choice of route, through a device the chain's
 * MASQUERADE rules name, and is matched by them (exemptions respected); and would not be torn by
 * it: TCP only while no connection is established.
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

int nsh_conntrack_new(struct nsh_conntrack **ret);
void nsh_conntrack_free(struct nsh_conntrack *ct);

/*
 * Looks at every entry once, in pieces of one receive: 1 while more follows, 0 at the end, or
 * negative errno (-EOPNOTSUPP: the kernel has no conntrack netlink). `chains` are the repaired
 * NAT chains of one family. `fib` answers which way a flow goes.
 */
int nsh_conntrack_begin(struct nsh_conntrack *ct, int family);
int nsh_conntrack_step(struct nsh_conntrack *ct, struct nsh_fib *fib,
        const struct nsh_chain *const *chains, size_t n_chains);
/* Entries deleted since begin. */
size_t nsh_conntrack_deleted(const struct nsh_conntrack *ct);
/* The deletions of earlier passes are long ago. */
void nsh_conntrack_forget(struct nsh_conntrack *ct, int family);

/* Pure part: does one of the chains translate a flow from `src` to `dst` leaving by `out`? */
bool nsh_chains_translate(const struct nsh_chain *const *chains, size_t n_chains, int family,
        const union nsh_addr *src, const union nsh_addr *dst, const char *out);
