/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether a rule matches a flow, as far as a conntrack entry shows it; internal to conntrack.
 */
#pragma once

#include "conntrack.h"

enum nsh_match {
    NSH_MATCH_NO,
    NSH_MATCH_MAYBE, /* nothing that shows speaks against it; the rest can't be known */
    NSH_MATCH_YES,
};

enum nsh_match nsh_rule_match(const struct nsh_translations *in, const struct nsh_packet_rule *rule,
        const struct nsh_flow *flow);
/* The set of that name; NULL: it is not known, and holds nothing. */
const struct nsh_set *nsh_translations_set(
        const struct nsh_translations *in, uint8_t family, const char *name);
/* True for what ends a packet's way through the chains with another address. */
bool nsh_action_translates(enum nsh_packet_action action);
