/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which firewall holds the policies (design section 6).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "desired.h"
#include "firewall.h"

struct nsh_firewalls {
    struct nsh_firewall *iptables, *nftables; /* owned */
    struct nsh_firewall *chosen;              /* one of these; iptables to begin with */
    bool judged;                              /* it was chosen, and said so */
    bool both_told;
    char why[192]; /* it was chosen */
};

int nsh_firewalls_open(struct nsh_firewalls *f);
void nsh_firewalls_done(struct nsh_firewalls *f);
struct nsh_firewall *nsh_firewalls_other(const struct nsh_firewalls *f);
/*
 * Chooses for what is wanted. True: it is another one, or the first judgement, and `why` says why.
 * Where nothing of a firewall is wanted nothing is judged. A choice of `auto` moves to nftables and
 * not back. `look`: nothing is brought into use by it; for one that writes nothing.
 */
bool nsh_firewalls_choose(struct nsh_firewalls *f, const struct nsh_desired *d, bool look);
/* Others translate addresses with the firewall that was not chosen; true once. */
bool nsh_firewalls_tell_both(struct nsh_firewalls *f, char *ret_what, size_t size);
