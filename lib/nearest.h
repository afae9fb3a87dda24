/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Of many words the one that a mistyped word was meant to be.
 */
#pragma once

#include <stddef.h>

/* The word most like `text` among those that `next` gives until NULL; NULL: none is like it. */
typedef const char *nsh_next_word(void *userdata, size_t i);
const char *nsh_nearest(const char *text, nsh_next_word *next, void *userdata);
