/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interfaces that policies name and this machine does not have. Rules for them hold, and nothing
 * ever passes them: a name that is mistyped looks the same as one that is yet to come.
 */
#pragma once

#include "desired.h"
#include "diag.h"

/*
 * A warning for each name, with the one that may have been meant. What waits for a condition, or is
 * disabled, is left out, and so are names that end in '+'. Asks the kernel, in this thread's
 * network namespace.
 */
void nsh_advise_absent_devices(const struct nsh_desired *d, struct nsh_diags *to);
