/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe-tcp.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "cleanup.h"

int nsh_tcp_begin(const struct nsh_check *check, uint32_t scope, int *ret_fd, bool *ret_own)
{
    struct sockaddr_in v4 = {
            .sin_family = AF_INET, .sin_addr = check->target.v4, .sin_port = htons(check->port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6,
            .sin6_addr = check->target.v6,
            .sin6_port = htons(check->port),
            .sin6_scope_id = scope};
    bool is_v4 = check->family == AF_INET;
    nsh_autoclose int fd =
            socket(check->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);

    *ret_own = true;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_MARK, &check->mark, sizeof check->mark) < 0)
        return -errno;
    *ret_own = false;
    if (connect(fd, is_v4 ? (const void *)&v4 : (const void *)&v6, is_v4 ? sizeof v4 : sizeof v6) <
                    0 &&
            errno != EINPROGRESS)
        return -errno;
    *ret_fd = NSH_TAKE_FD(fd);
    return 0;
}

int nsh_tcp_verdict(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    int error = 0;
    socklen_t size = sizeof error;

    if (poll(&p, 1, 0) <= 0)
        return -EINPROGRESS;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        return -errno;
    return -error;
}
