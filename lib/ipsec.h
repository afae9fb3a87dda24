/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether IPsec is in use, in the caller's network namespace.
 */
#pragma once

#include <stdbool.h>

/* True if no IPsec policy can transform a packet on its way out. Loads no module by asking. */
bool nsh_ipsec_unused(void);
