/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "firewall-iptc-xt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>

#include "cleanup.h"

/*
 * The file every iptables program locks, opened as they do: for reading, created 0600. The lock
 * goes with the descriptor, whatever way the process ends.
 */
int nsh_xt_lock(void)
{
    const char *path = secure_getenv("XTABLES_LOCKFILE");
    nsh_autoclose int fd = -1;

    fd = open(path && *path ? path : "/run/xtables.lock",
            O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (fd < 0)
        return -errno;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return -errno;
    return NSH_TAKE_FD(fd);
}
