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
    bool wanted;                              /* something is to stand there */
    char why[192];                            /* it was chosen */
    struct nsh_firewall *both_in; /* in which others translate, beside the chosen one; NULL: none */
    char both[520];               /* the same in words, with what to do; "": none */
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

enum nsh_both {
    NSH_BOTH_AS_BEFORE,
    NSH_BOTH_BEGUN,
    NSH_BOTH_ENDED,
};

/*
 * Whether others translate addresses with the firewall that was not chosen, while something is
 * wanted of the one that was. Nothing comes into use by it.
 */
enum nsh_both nsh_firewalls_look_at_both(struct nsh_firewalls *f);
/* The two parts of `both`: what is so, and what to do. Each returns buf. */
const char *nsh_firewalls_both_what(const struct nsh_firewalls *f, char *buf, size_t size);
const char *nsh_firewalls_both_fix(const struct nsh_firewalls *f, char *buf, size_t size);
