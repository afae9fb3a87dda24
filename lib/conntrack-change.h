/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which flows a change of policies translates otherwise. Pure; internal to conntrack.
 */
#pragma once

#include "conntrack-entry.h"
#include "conntrack.h"

/* What is known of a flow beside its entry. */
struct nsh_ct_way {
    const char *out;                 /* "": it ends at this machine, or nobody knows */
    const union nsh_addr *addresses; /* of that device, which a masquerade may take */
    size_t n_addresses;
    bool plain; /* no IPsec policy transforms it */
};

/* False: whatever way it goes, it is not about this flow. */
bool nsh_change_concerns(struct nsh_change *c, const struct nsh_ct_entry *e, bool plain);
/* The policy because of which the flow is to be dropped; NULL: it is not. */
const struct nsh_chain *nsh_change_judge(
        struct nsh_change *c, const struct nsh_ct_entry *e, const struct nsh_ct_way *way);
