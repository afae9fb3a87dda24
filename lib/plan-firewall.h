/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the two halves of the firewall plan share: plan-firewall.c (chains) and plan-jumps.c.
 */
#pragma once

#include "plan.h"

typedef char chain_name[NSH_CHAIN_NAME];

struct unwanted_chain {
    chain_name name;
    char stray[64]; /* what it is instead; "": a chain of ours */
};

/* Of a wanted chain of this table. */
struct chain_state {
    bool present;
    bool differs;
    bool mended; /* the jumps of its hook are planned */
    uint32_t n_observed, keep_head, keep_tail;
    char reason[72]; /* "" while nothing is found wrong with it */
};

/* A built-in chain and its part of `jumps`. */
struct hook_state {
    chain_name name;
    size_t first_jump, n_jumps;
    uint32_t first_foreign, behind_bans, n_total;
    size_t first_ahead, n_ahead; /* its part of `ahead` */
    bool hidden;
};

struct nsh_firewall_plan {
    const struct nsh_desired *want;
    int family;
    enum nsh_table table;
    struct chain_state *chains; /* one for each of want->chains */
    size_t *by_name;            /* those of family and table, by their name */
    size_t n_by_name;
    struct unwanted_chain *unwanted;
    size_t n_unwanted, unwanted_size;
    struct hook_state *hooks;
    size_t n_hooks, hooks_size;
    struct nsh_jump_seen *jumps;
    size_t n_jumps, jumps_size;
    struct nsh_ahead_seen *ahead;
    size_t n_ahead, ahead_size;
    struct nsh_firewall_op *ops;
    size_t n_ops, ops_size;
};

/* One more zeroed element at the end of a growing array; NULL: no memory. */
void *nsh_plan_push(void **array, size_t *n, size_t *size, size_t element);
/* Whether a wanted chain is of the plan's family and table. */
bool nsh_plan_concerns(const struct nsh_firewall_plan *p, const struct nsh_chain *c);
/* Index of the wanted chain of that name in the plan's table; SIZE_MAX: not wanted. */
size_t nsh_plan_find_chain(const struct nsh_firewall_plan *p, const char *name);
/* A step with family, table and chain set; NULL: no memory. */
struct nsh_firewall_op *nsh_plan_add_op(
        struct nsh_firewall_plan *p, enum nsh_firewall_verb verb, const char *chain);

/* The steps of each phase that concern jumps. 0 or -ENOMEM. */
int nsh_plan_jumps_up(struct nsh_firewall_plan *p);
int nsh_plan_jumps_down(struct nsh_firewall_plan *p);
