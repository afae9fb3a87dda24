/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A rule of others that takes packets before they come to a chain of ours: as a value, and whether
 * it could take what the chain is for.
 */
#pragma once

#include "packet.h"

struct nsh_desired;

#define NSH_AHEAD_TEXT 320

struct nsh_ahead_seen {
    uint32_t
            index; /* where chains of ours are among foreign rules: in the built-in chain, from 0 */
    bool first_helps; /* with position first, a chain of ours comes before it */
    bool unjudged;    /* the last one: what comes then was not looked at; `text` says why */
    /* What a packet must be to be taken; there may be more to it. */
    struct nsh_packet_rule needs;
    /* By source, destination or device: what is not taken. */
    struct nsh_packet_rule spares;
    char text[NSH_AHEAD_TEXT]; /* as the firewall's own program shows it, as far as is known */
};
/* Only so many of a hook, the first ones, are looked at. */
#define NSH_AHEAD_MAX 64U

/*
 * False: by addresses, devices, protocol, ports and mark no packet that the chain is for could be
 * taken by it. `d` holds the sets that the chain refers to.
 */
bool nsh_ahead_takes(const struct nsh_ahead_seen *ahead, const struct nsh_chain *chain,
        const struct nsh_desired *d);
/* Whether a device may have both names; "": any. */
bool nsh_devices_meet(const char *a, const char *b);
/* What it takes of that which has come by `way` before; false: nothing. */
bool nsh_ahead_narrow(struct nsh_ahead_seen *ahead, const struct nsh_ahead_seen *way);
/* Whether what needs `narrow` is all among what needs `wide`, of which nothing else is needed. */
bool nsh_ahead_covers(const struct nsh_packet_rule *wide, const struct nsh_packet_rule *narrow);
