/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What `import` makes of what a machine has: a file that says the same. Pure: values in, text out.
 *
 * The parser is the judge. What is written for a value is read again and compared with it, and what
 * is not the same becomes a comment. So no rules are needed here for what a file can say.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "config.h"
#include "desired.h"
#include "foreign.h"
#include "intern.h"

struct nsh_import {
    /* Observed, in the kernel's order; their nexthops' links are indexes into `links`, too. */
    struct nsh_route *routes;
    size_t n_routes, routes_max;
    struct nsh_link *links; /* by name, with their ifindex */
    size_t n_links, links_max;
    struct nsh_rule *rules;
    size_t n_rules, rules_max;
    struct nsh_foreign_rule *foreign; /* of each firewall and family those of each hook together */
    size_t n_foreign, foreign_max;
    struct nsh_arena *arena;      /* the routes' properties */
    int forwarding[NSH_FAMILIES]; /* 0, 1; negative: not known */
    bool kept[NSH_FAMILIES];      /* forwarding is on for policies that netshared has already */
    uint8_t ours;                 /* the protocol that marks what is netshared's already */
    bool no_ipsec;                /* nothing is transformed by IPsec here */
};

void nsh_import_done(struct nsh_import *m);
/* Room for one more in an array, which counts then; NULL: no memory. */
void *nsh_import_add(void **items, size_t *n, size_t *max, size_t size);
/* The whole file. 0 or negative errno; -EBADMSG: what was written would be refused, with words. */
int nsh_import_write(const struct nsh_import *m, FILE *to, char **ret_why);

/* ---- its sections; each 0 or negative errno ---- */

int nsh_import_routes(const struct nsh_import *m, FILE *to);
int nsh_import_rules(const struct nsh_import *m, FILE *to);
/* `families`: bits of NSH_FAMILY_*: of which there is a policy now. */
int nsh_import_policies(const struct nsh_import *m, FILE *to, unsigned *ret_families);

/* ---- pieces of a file (import-write.c) ---- */

/* A text as YAML takes it, quoted where it could be taken for something else. */
void nsh_import_text(FILE *to, const char *text);
/* A line of its own, harmless whatever is in it. */
__attribute__((format(printf, 2, 3))) void nsh_import_comment(FILE *to, const char *format, ...);
/*
 * Reads `sections` as a file. 0 and the configuration, whose links by name have the ifindex that
 * they have here; -EINVAL: it is refused, and the first reason, for the caller to free; -errno.
 */
int nsh_import_judge(
        const struct nsh_import *m, const char *sections, struct nsh_config **ret, char **ret_why);
