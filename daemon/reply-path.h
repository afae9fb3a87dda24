/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether a configuration that is about to come into force would change the way back to those who
 * are connected to this machine by SSH: to whoever types `netshared try`, first of all.
 */
#pragma once

#include <stdio.h>

#include "desired.h"
#include "options.h"

/*
 * Says so on `to`, for each peer of an established connection to TCP port 22 or to the port of
 * $SSH_CONNECTION. Only looks; `desired` is judged and resolved by it. Where the kernel can't be
 * asked that is said. Returns how many ways would change.
 */
size_t nsh_reply_paths_tell(struct nsh_desired *desired, const struct nsh_options *o, FILE *to);
