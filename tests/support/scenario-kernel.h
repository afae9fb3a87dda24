/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the worlds of the real kernel share.
 */
#pragma once

#include "scenario.h"

/* Words separated by spaces, `rest` behind `start`. 0, or anything else on failure. */
int nsh_kernel_run(const char *start, const char *rest);
/* Its standard output, NULL if it failed. The caller's to free. */
char *nsh_kernel_capture(const char *command);
