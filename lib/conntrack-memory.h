/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which flows were deleted, by how their answers look; internal to conntrack-netlink. Bounded:
 * what finds no room is not remembered.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "conntrack-entry.h"

#define NSH_CT_MEMORY_MAX 4096

struct nsh_ct_memory {
    struct nsh_ct_tuple *items;
    size_t n, room;
    size_t n_settled; /* the first so many are sorted, and can be found */
};

void nsh_ct_memory_add(struct nsh_ct_memory *m, const struct nsh_ct_tuple *answer);
/* From now on all that was added can be found. */
void nsh_ct_memory_settle(struct nsh_ct_memory *m);
bool nsh_ct_memory_has(const struct nsh_ct_memory *m, const struct nsh_ct_tuple *tuple);
void nsh_ct_memory_done(struct nsh_ct_memory *m);
