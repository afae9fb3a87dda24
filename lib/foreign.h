/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules of others in the chains that translate, as values: all of what they say, or as much of it
 * as can be said here and why it is not all.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "packet.h"

/* Of one kind, in one rule; as many as NSH_NFT_RANGES_MAX, and as xt_multiport has ports. */
#define NSH_FOREIGN_LIST_MAX 16
#define NSH_FOREIGN_NAME 128
#define NSH_FOREIGN_PLACE 576
#define NSH_FOREIGN_TEXT 1024

struct nsh_foreign_prefixes {
    struct nsh_prefix items[NSH_FOREIGN_LIST_MAX];
    size_t n;
};

struct nsh_foreign_devices {
    char items[NSH_FOREIGN_LIST_MAX][IFNAMSIZ];
    size_t n;
};

struct nsh_foreign_ports {
    struct nsh_range items[NSH_FOREIGN_LIST_MAX];
    size_t n;
};

struct nsh_foreign_rule {
    uint8_t family;   /* that it was asked for */
    const char *hook; /* "POSTROUTING"; a literal */
    uint32_t chain;   /* counts chains: rules of one have the same number */
    bool legacy;      /* of legacy iptables: an accept there ends the way to our chains as well */
    /* What a packet must be to be taken, and what becomes of it (OTHER: not understood). */
    struct nsh_packet_rule needs;
    struct nsh_packet_rule spares; /* by source, destination or device: what is not taken */
    /* Beside: one of these each, or none of these; empty lists say nothing. */
    struct nsh_foreign_prefixes from, to, except_from, except_to;
    struct nsh_foreign_devices in, out, except_out;
    struct nsh_foreign_ports source_ports, destination_ports;
    bool spares_ipsec;             /* not what IPsec will transform */
    char why[NSH_FOREIGN_NAME];    /* what of it is not in these values; "": nothing */
    char leads[NSH_FOREIGN_NAME];  /* to this chain of others; "": to none */
    char place[NSH_FOREIGN_PLACE]; /* "iptables-legacy -t nat", "nft chain ip nat post" */
    char text[NSH_FOREIGN_TEXT];   /* as its program shows it, as far as that is known */
    char remove[NSH_FOREIGN_TEXT]; /* the command that deletes it; "": no safe one */
};

/* Non-zero ends the look with that. */
typedef int nsh_foreign_seen(void *userdata, const struct nsh_foreign_rule *rule);

/* The program that the rule, or what it leads to, belongs to; NULL: by hand, for all that is known.
 */
const char *nsh_foreign_owner(const struct nsh_foreign_rule *f);
/* False: no packet can be meant by both. */
bool nsh_foreign_meet(const struct nsh_foreign_rule *a, const struct nsh_foreign_rule *b);

/* ---- for the adapters ---- */

/* One more word of its text, behind a space. */
__attribute__((format(printf, 2, 3))) void nsh_foreign_say(
        struct nsh_foreign_rule *f, const char *format, ...);
/* What of it is not understood; the first thing counts. */
__attribute__((format(printf, 2, 3))) void nsh_foreign_doubt(
        struct nsh_foreign_rule *f, const char *format, ...);
/* `text` as one word for a shell, for the caller to free; NULL: no memory. */
char *nsh_foreign_quote(const char *text);

/*
 * What matches and targets of iptables mean, wherever they stand (firewall-iptc-foreign.c); the
 * protocol must be known before. `said` appends to the text.
 */
struct nsh_foreign_part {
    const char *name;
    uint8_t revision;
    const void *data;
    size_t size;
};
void nsh_foreign_xt_match(
        struct nsh_foreign_rule *f, const struct nsh_foreign_part *part, bool said);
void nsh_foreign_xt_target(
        struct nsh_foreign_rule *f, const struct nsh_foreign_part *part, bool said);
