/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a value comes from: a file and a line in four bytes.
 *
 * Each file read for a configuration is given a range of numbers, one for each of its lines; an
 * origin is such a number. A million routes so carry their place for four bytes each.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef uint32_t nsh_origin;

/* No place: a value that does not come from a file. */
#define NSH_ORIGIN_NONE 0

struct nsh_origins;

/* Ownership: the caller's; free with nsh_origins_free. NULL when memory is out. */
struct nsh_origins *nsh_origins_new(void);
void nsh_origins_free(struct nsh_origins *o);

/*
 * Starts the next file; its lines follow those of the one before. `path` is copied.
 * Returns 0, -ENOMEM, or -E2BIG when the numbers are used up.
 */
int nsh_origins_add_file(struct nsh_origins *o, const char *path);
/* The files so far, in the order in which they were read. */
size_t nsh_origins_files(const struct nsh_origins *o);
const char *nsh_origins_file(const struct nsh_origins *o, size_t i);
/* The origin of `line` (from 1) in the newest file; NSH_ORIGIN_NONE when there is none. */
nsh_origin nsh_origins_at(struct nsh_origins *o, uint32_t line);
/*
 * The file and line of an origin. The path belongs to `o`. For NSH_ORIGIN_NONE: NULL and 0.
 */
const char *nsh_origins_resolve(const struct nsh_origins *o, nsh_origin at, uint32_t *ret_line);
