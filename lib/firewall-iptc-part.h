/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Between a rule as a whole (firewall-iptc-entry.c, firewall-iptc-ahead.c) and its parts:
 * firewall-iptc-match.c and firewall-iptc-target.c; nothing else includes this.
 *
 * `put` functions write what iptables 1.8.9 would; they are the one description of the bytes. `get`
 * functions only guess: they look at the fields that can vary, and what they make of a part that
 * netshared would have written otherwise is found out by comparing.
 */
#pragma once

#include "firewall-iptc-xt.h"

/* A match or target at the end of the entry: they share their header. Returns its data, zeroed. */
void *nsh_xt_put_part(struct nsh_xt_entry *e, const char *name, uint8_t revision, size_t data);

/* All matches of the rule, in iptables' order. -EINVAL: it can't be said; -ENOENT: no such set. */
int nsh_xt_put_matches(const struct nsh_xt *xt, struct nsh_xt_names *names,
        const struct nsh_packet_rule *rule, struct nsh_xt_entry *e);
void nsh_xt_get_match(struct nsh_xt_names *names, const struct xt_entry_match *match,
        struct nsh_packet_rule *ret);

int nsh_xt_put_target(
        const struct nsh_xt *xt, const struct nsh_packet_rule *rule, struct nsh_xt_entry *e);
/* NSH_PACKET_OTHER for a target that netshared never writes. */
enum nsh_packet_action nsh_xt_guess_action(const char *target);
/* The kernel gives verdicts and jumps no name. */
bool nsh_xt_is_verdict(enum nsh_packet_action action);
void nsh_xt_get_target(
        const struct nsh_xt *xt, const struct xt_entry_target *target, struct nsh_packet_rule *ret);

/* The match at `at`; NULL: there is none, the target begins there or comes too soon. */
struct xt_entry_match *nsh_xt_match_at(struct nsh_xt_entry *e, size_t at, size_t end);
/*
 * Addresses, devices and protocol, whatever else the entry says. Returns which of them are
 * inverted: IPT_INV_*, which are the same for IPv6.
 */
uint8_t nsh_xt_get_header(
        const struct nsh_xt *xt, struct nsh_xt_entry *e, struct nsh_packet_rule *ret);
