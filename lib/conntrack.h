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

/*
 * The NAT chains that are wanted, in the order in which a packet comes to them, and the sets,
 * sorted by family and name, that they refer to.
 */
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
    bool led;   /* its destination is translated */
    bool plain; /* no IPsec policy transforms it, for certain */
    union nsh_addr src, dst;
    uint16_t source_port, destination_port; /* 0: its protocol has none */
    char out[IFNAMSIZ];                     /* "": not known */
};

/* ---- other policies ---- */

#define NSH_CHANGE_MAX 4

/* What the policies of one family are, and what they were, in up to so many turns until now. */
struct nsh_change {
    struct nsh_translations now, before[NSH_CHANGE_MAX];
    size_t n_before;
    /* Set by nsh_change_prepare: the chains that are the same at both ends of `now` and these. */
    struct {
        size_t head, tail;
    } same[NSH_CHANGE_MAX];
    size_t work; /* rules that were looked at */
};

/* False: no flow can be translated otherwise. */
bool nsh_change_prepare(struct nsh_change *c);

/* A flow was dropped because of that policy: the one that is to translate it, or did. */
typedef void nsh_flow_dropped(void *userdata, const struct nsh_chain *whose);

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
/*
 * The same for flows that policies of `change` translated and that would be translated otherwise
 * now, or not at all, or that would be now and were not. TCP is torn by it. A flow is kept whose
 * translation is none that one of the earlier policies can have given it (another program's rules
 * did), or one that the present ones may give it as far as its entry shows: which device it came
 * in by, its packets' mark and, where the kernel has IPsec policies, whether one transforms it, are
 * not known. So is one that another flow brought about (FTP's data). `change` NULL: only answers to
 * what an earlier pass deleted.
 */
int nsh_conntrack_begin_changed(struct nsh_conntrack *ct, int family);
int nsh_conntrack_step_changed(struct nsh_conntrack *ct, struct nsh_fib *fib,
        struct nsh_change *change, nsh_flow_dropped *dropped, void *userdata);
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
