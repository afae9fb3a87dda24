/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "firewall-iptc-xt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "cleanup.h"

const char *nsh_xt_lock_path(void)
{
    const char *path = secure_getenv("XTABLES_LOCKFILE");

    return path && *path ? path : "/run/xtables.lock";
}

/* Opened as every iptables program does it: for reading, created 0600. */
int nsh_xt_lock_file(void)
{
    int fd = open(
            nsh_xt_lock_path(), O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);

    return fd < 0 ? -errno : fd;
}

int nsh_firewall_iptc_lockable(void)
{
    return access(nsh_xt_lock_path(), R_OK) < 0 ? -errno : 0;
}

/* The lock goes with the descriptor, whatever way the process ends. */
int nsh_xt_lock(void)
{
    nsh_autoclose int fd = nsh_xt_lock_file();

    if (fd < 0)
        return fd;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return -errno;
    return NSH_TAKE_FD(fd);
}
