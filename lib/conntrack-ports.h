/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How many source ports of a translated address are in use. The kernel gives one port to several
 * flows as long as these go to different destinations: what runs out are the ports of an address
 * towards one address and port.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "addr.h"

struct nsh_port_use {
    uint8_t family, protocol;
    uint16_t to_port;        /* host order */
    uint32_t n;              /* flows, and so ports */
    union nsh_addr from, to; /* as they appear behind the translation */
};

/* Different (from, protocol, to, to_port) that are counted; those that come later are not. */
#define NSH_PORT_USES_MAX 131072

struct nsh_port_uses {
    struct nsh_port_use *items; /* a table of `size`, those with n > 0 are in use */
    size_t n, size;
};

/*
 * Counts what conntrack has of a family. 0, -EOPNOTSUPP where the kernel can't tell without
 * loading something, -EPERM, or other negative errno.
 */
int nsh_port_uses_count(struct nsh_port_uses *u, int family);
/* One more flow. 0 or -ENOMEM. */
int nsh_port_uses_add(struct nsh_port_uses *u, const struct nsh_port_use *flow);
void nsh_port_uses_done(struct nsh_port_uses *u);
