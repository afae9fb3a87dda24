/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where each of many chains stands: found by name or by policy without a look at all of them. Names
 * and policies do not change under it; what may change of a chain may.
 */
#pragma once

#include <stddef.h>

#include "packet.h"

struct nsh_chain_index {
    const struct nsh_chain *chains;
    size_t *order; /* malloc'd; by family and policy, those of a policy as they stand */
    size_t n;
};

/* 0 or -ENOMEM. */
int nsh_chain_index_make(const struct nsh_chain *chains, size_t n, struct nsh_chain_index *ret);
void nsh_chain_index_done(struct nsh_chain_index *x);

/* Which chain has that name; SIZE_MAX: none. */
size_t nsh_chain_index_find(
        const struct nsh_chain_index *x, int family, enum nsh_table table, const char *name);
/* The first chain of the policy; SIZE_MAX: it has none. */
size_t nsh_chain_index_policy(const struct nsh_chain_index *x, int family, const char *policy);
