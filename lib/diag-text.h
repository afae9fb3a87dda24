/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Text from a file, made fit for a terminal.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Cells of a source line that are shown. */
#define NSH_DIAG_SOURCE_CELLS 96

/*
 * The part of a source line around `column` (in characters from 1; 0: its beginning) that fits,
 * with what is left out marked by "..."; and the cells before the caret, or -1 without a column.
 * malloc'd; NULL when memory is out.
 */
char *nsh_diag_render(const char *text, size_t n, uint32_t column, int *ret_caret);
/*
 * What to do about the line's first character that looks like a plain one and is another, or that
 * can't be seen; what stands in a comment does not count. false: there is none.
 */
bool nsh_diag_lookalike(const char *text, size_t n, char *buf, size_t size);
