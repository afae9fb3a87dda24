/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "netlink.h"

#include <errno.h>
#include <linux/netlink.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

int nsh_netlink_connect(int fd)
{
    const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};

    return connect(fd, (const struct sockaddr *)&kernel, sizeof kernel) < 0 ? -errno : 0;
}

ssize_t nsh_netlink_receive(int fd, void *buf, size_t size, int flags)
{
    struct sockaddr_nl from = {0};
    struct iovec iov = {.iov_base = buf, .iov_len = size};
    struct msghdr msg = {
            .msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &iov, .msg_iovlen = 1};
    ssize_t n;

    do
        n = recvmsg(fd, &msg, flags);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    if (msg.msg_namelen != sizeof from || from.nl_pid != 0)
        return 0;
    return msg.msg_flags & MSG_TRUNC ? -EMSGSIZE : n;
}

/* In one receive are answers to one request only. */
static bool is_answer(const void *buf, ssize_t n, uint32_t seq)
{
    struct nlmsghdr h;

    if (n < (ssize_t)sizeof h)
        return false;
    memcpy(&h, buf, sizeof h);
    return h.nlmsg_seq == seq;
}

ssize_t nsh_netlink_answer(int fd, void *buf, size_t size, uint32_t seq)
{
    ssize_t n;

    do
        n = nsh_netlink_receive(fd, buf, size, 0);
    while (n >= 0 && !is_answer(buf, n, seq));
    return n;
}
