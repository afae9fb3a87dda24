/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What several subcommands need.
 */
#pragma once

#include <stdint.h>

#include "options.h"
#include "state.h"

/* "netshared: TEXT" on stderr; returns NSH_EXIT_FAILED. */
__attribute__((format(printf, 1, 2))) int nsh_complain(const char *format, ...);
/* CLOCK_BOOTTIME in microseconds: the reconciler's clock. `userdata` is not used. */
uint64_t nsh_clock(void *userdata);
/* Opens the state directory to write in it; NSH_EXIT_FAILED, with words, when that can't be. */
int nsh_writer_state(const struct nsh_options *o, struct nsh_state **ret);
