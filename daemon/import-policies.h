/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of import's policies share: import-policies.c (which rules become one) and
 * import-policy.c (how it is written).
 */
#pragma once

#include "import.h"

/* What a rule can say, as bits. */
#define SAYS_FROM 0x0001U
#define SAYS_TO 0x0002U
#define SAYS_IN 0x0004U
#define SAYS_OUT 0x0008U
#define SAYS_NOT_FROM 0x0010U
#define SAYS_NOT_TO 0x0020U
#define SAYS_NOT_IN 0x0040U
#define SAYS_NOT_OUT 0x0080U
#define SAYS_PROTOCOL 0x0100U
#define SAYS_SOURCE_PORT 0x0200U
#define SAYS_DESTINATION_PORT 0x0400U
#define SAYS_MARK 0x0800U
#define SAYS_NO_IPSEC 0x1000U
#define SAYS_MORE 0x2000U /* of the connection, or the kind of address */

unsigned import_says(const struct nsh_foreign_rule *f);
/* Why a rule can't be a policy of that kind; NULL: it can. Always one of the literals in there. */
const char *import_refusal(const struct nsh_foreign_rule *f, enum nsh_policy_kind kind);
/* A port-forward for one address, without that: what `ret` says can be one. */
bool import_widen(const struct nsh_foreign_rule *f, struct nsh_foreign_rule *ret);

/* Rules that spare packets from those behind them, for one of these. */
struct import_exempts {
    const struct nsh_foreign_rule **items;
    size_t n, max;
};
/* True if a policy can have it among its exceptions. */
bool import_can_exempt(const struct nsh_foreign_rule *f);

/* Names of policies, each once. */
struct import_name {
    char text[NSH_POLICY_NAME];
    unsigned next; /* the number behind it that was not tried yet */
};

struct import_names {
    struct import_name *items;
    size_t n, max;
};

/* What becomes policies, as objects of a section. 0 or -ENOMEM; -EIO with a full file. */
int import_put_masquerade(FILE *to, const struct nsh_import *m, struct import_names *names,
        const struct nsh_foreign_rule *f, const struct import_exempts *exempts);
int import_put_port_forwards(
        FILE *to, struct import_names *names, const struct nsh_foreign_rule *f);
/* `source`: of POSTROUTING. */
int import_put_network_map(
        FILE *to, struct import_names *names, const struct nsh_foreign_rule *source);
/* They are the two directions of one. */
bool import_is_map(
        const struct nsh_foreign_rule *source, const struct nsh_foreign_rule *destination);
