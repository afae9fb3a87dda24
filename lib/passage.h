/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the wanted policies let through, to be asked of both firewalls; and the chain that stands as
 * a guest in iptables, where the policies stand in nftables and FORWARD drops their packets.
 */
#pragma once

#include "desired.h"
#include "fib.h"
#include "firewall.h"

struct nsh_passages {
    struct nsh_passage *items;
    size_t *chains; /* for each, its index among the wanted */
    size_t n;
    struct nsh_forward_path *paths;
};

/*
 * Of every filter chain that accepts; what is on standby is barred. Behind that of a share which is
 * not, and nowhere else, comes the one of the bans on it, of the same chain: both firewalls look
 * there for the share it belongs to. And of the first masquerade policies that nothing of ours lets
 * through, with the devices that `fib` knows to lead to their addresses; NULL: without. 0 or
 * -ENOMEM.
 */
int nsh_passages_new(const struct nsh_desired *d, struct nsh_fib *fib, struct nsh_passages *ret);
void nsh_passages_done(struct nsh_passages *p);
/*
 * Asks both, either of which may be NULL, as pass() of the contract does. A passage that a chain
 * of ours in iptables' own FORWARD would take through is not dropped, but `by_firewall`.
 */
int nsh_passages_ask(struct nsh_passages *p, struct nsh_firewall *holds, struct nsh_firewall *other,
        enum nsh_firewall_mode mode, nsh_guest_told *told, void *userdata);

/* ---- the ways out of masquerade policies (passage-exit.c) ---- */

/* Whom a masquerade policy that takes what leaves so is for. False: anybody, or none is.
 */
bool nsh_exit_net(const struct nsh_desired *d, int family, const union nsh_addr *from,
        const char *out, struct nsh_prefix *ret);
/* Two and two alike but for the protocol, of `left` sources at most, which are then less. Returns
 * how many. */
size_t nsh_exit_paths(const struct nsh_desired *d, struct nsh_fib *fib,
        const struct nsh_chain *chain, size_t *left, struct nsh_forward_path *ret, size_t max);

/* ---- bans that take all of a share's LAN (passage-ban.c) ---- */

/* The networks of this machine, by the devices that they are at. */
struct nsh_ban_nets {
    struct nsh_ban_link *links; /* by name */
    struct nsh_ban_net *nets;   /* by device */
    size_t n_links, n_nets;
    size_t left; /* networks that may be looked at yet, each way for itself */
    int error;
};

/* 0 or -ENOMEM; what else goes wrong makes it empty, as `fib` NULL does. */
int nsh_ban_nets_new(struct nsh_fib *fib, size_t left, struct nsh_ban_nets *ret);
void nsh_ban_nets_done(struct nsh_ban_nets *b);
/* Two and two alike but for the protocol, for the networks at the devices of the LANs. Returns how
 * many. */
size_t nsh_ban_paths(struct nsh_ban_nets *b, const struct nsh_passage *share,
        struct nsh_forward_path *ret, size_t max);

/* ---- guests ---- */

/* What is wanted of the firewall that does not hold the policies: a chain a family, or nothing. */
struct nsh_guests {
    struct nsh_desired desired; /* chains alone */
    struct nsh_chain chains[NSH_FAMILIES];
    struct nsh_packet_rule *rules;
};

/* 0 or -ENOMEM. Not to be moved: it points into itself. */
int nsh_guests_want(struct nsh_guests *g, const struct nsh_passages *p);
void nsh_guests_done(struct nsh_guests *g);
