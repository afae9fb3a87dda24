/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An arena that hands out each distinct value once: route properties shared by a million prefixes
 * stand in memory one time. Freed as a whole.
 */
#pragma once

#include <stddef.h>

struct nsh_arena;

struct nsh_arena *nsh_arena_new(void);
void nsh_arena_free(struct nsh_arena *a);
/* `size` zeroed bytes, aligned for any type, valid until the arena is freed. NULL: no memory. */
void *nsh_arena_alloc(struct nsh_arena *a, size_t size);
char *nsh_arena_strdup(struct nsh_arena *a, const char *text);
/* The one copy of these bytes (padding must be zeroed by the caller). NULL: no memory. */
const void *nsh_arena_intern(struct nsh_arena *a, const void *data, size_t size);
/* Empties it, keeping one block for what comes next. */
void nsh_arena_reset(struct nsh_arena *a);
