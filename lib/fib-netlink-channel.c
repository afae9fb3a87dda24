/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A netlink socket and its receive buffer.
 *
 * libnl opens the socket and builds messages; receiving is done here. Its own receive loop takes
 * the end of a dump for success whatever error code it carries, folds several errnos into one, and
 * makes an object of every message.
 */
#include <errno.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "fib-netlink.h"
#include "netlink.h"

/* The kernel answers a request before its send returns; this is for what nobody foresaw. */
#define ANSWER_TIMEOUT_SECONDS 10

int nsh_fibnl_channel_open(struct nsh_fibnl_channel *c, size_t rx_size)
{
    const struct timeval timeout = {.tv_sec = ANSWER_TIMEOUT_SECONDS};
    int r;

    if (!c->rx) {
        c->rx = malloc(rx_size);
        c->rx_size = rx_size;
    }
    if (!c->props)
        c->props = calloc(1, nsh_route_props_size(NSH_NEXTHOPS_MAX));
    c->sock = nl_socket_alloc();
    if (!c->rx || !c->props || !c->sock)
        return -ENOMEM;

    errno = 0;
    if (nl_connect(c->sock, NETLINK_ROUTE) < 0)
        return errno > 0 ? -errno : -EIO;
    c->fd = nl_socket_get_fd(c->sock);
    c->port = nl_socket_get_local_port(c->sock);
    r = nsh_netlink_connect(c->fd);
    if (r < 0)
        return r;
    if (setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0)
        return -errno;
    return 0;
}

void nsh_fibnl_channel_close(struct nsh_fibnl_channel *c)
{
    if (c->sock)
        nl_socket_free(c->sock);
    free(c->rx);
    free(c->props);
    *c = (struct nsh_fibnl_channel){.fd = -1};
}

void nsh_fibnl_channel_set_buffer(struct nsh_fibnl_channel *c, int bytes)
{
    /* FORCE wants the capability in the initial user namespace. */
    if (setsockopt(c->fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0)
        (void)setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}

bool nsh_fibnl_channel_set_option(struct nsh_fibnl_channel *c, int option)
{
    const int on = 1;

    return setsockopt(c->fd, SOL_NETLINK, option, &on, sizeof(on)) == 0;
}

int nsh_fibnl_channel_send(struct nsh_fibnl_channel *c, const void *data, size_t size)
{
    const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    ssize_t n;

    do
        n = sendto(c->fd, data, size, 0, (const struct sockaddr *)&kernel, sizeof(kernel));
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    return (size_t)n == size ? 0 : -EIO;
}

ssize_t nsh_fibnl_channel_receive(struct nsh_fibnl_channel *c, int flags)
{
    return nsh_netlink_receive(c->fd, c->rx, c->rx_size, flags);
}
