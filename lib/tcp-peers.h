/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who is connected to a TCP port of this machine, as the kernel's socket diagnosis tells it.
 */
#pragma once

#include <net/if.h>

#include "addr.h"

struct nsh_tcp_peer {
    uint8_t family; /* AF_INET also where the socket is one of IPv6 for both */
    union nsh_addr local, remote;
    uint16_t remote_port;
    uint32_t ifindex; /* the device it is bound to, or of a link-local address; 0: none */
};

/*
 * The established connections to `port`, up to `most` of them, each pair of addresses
 * once. `ret_n`: how
 * many were put into `ret`; `ret_more`: whether there are others. 0 or negative errno: sock_diag(7)
 * can't be asked, as where the kernel has no such thing (-ENOENT).
 */
int nsh_tcp_peers(
        uint16_t port, struct nsh_tcp_peer *ret, size_t most, size_t *ret_n, bool *ret_more);
