/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sockets on which the kernel alone is listened to.
 *
 * Whoever has CAP_NET_ADMIN in the network namespace may send to every netlink socket in it, by the
 * port id that /proc/net/netlink shows, or to a group that the socket is in. What a message says
 * about its sender is the sender's choice; the address that it came from is not.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Bound already or not: the kernel refuses messages of others to it, but for those to a group. */
int nsh_netlink_connect(int fd);

/*
 * One receive: its size; 0 for what is not the kernel's; -EMSGSIZE for what did not fit; -errno.
 * `flags` are those of recvmsg(2).
 */
ssize_t nsh_netlink_receive(int fd, void *buf, size_t size, int flags);

/* The next answer to the request of this number, whatever else comes before: its size; -errno. */
ssize_t nsh_netlink_answer(int fd, void *buf, size_t size, uint32_t seq);
