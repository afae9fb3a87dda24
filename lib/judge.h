/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which conditions hold at this moment.
 */
#pragma once

#include "desired.h"
#include "fib.h"

#define NSH_JUDGED_TEXT 128

/* `why`: if it does not hold, in words; else "". */
typedef void nsh_judged(void *userdata, nsh_gate_id gate, bool holds, const char *why);

/*
 * Asks the kernel once for its addresses and once for its links, as far as the conditions need
 * them, and tells of each condition. Checks are left out. Nothing of `d` is changed. 0 or -errno.
 */
int nsh_desired_judge(
        struct nsh_fib *fib, const struct nsh_desired *d, nsh_judged *judged, void *userdata);
/* True if there is a condition that such an event may be about. */
bool nsh_desired_judges(const struct nsh_desired *d, const struct nsh_fib_event *event);
