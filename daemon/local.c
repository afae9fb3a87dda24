/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "local.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cleanup.h"

#define BACKLOG 128

/* ---- the name by which other programs find it ---- */

static bool beside(const char *path, const char *alias, char ret[static PATH_MAX])
{
    const char *slash = strrchr(path, '/');

    return slash && snprintf(ret, PATH_MAX, "%.*s/%s", (int)(slash - path), path, alias) < PATH_MAX;
}

static void add_alias(const char *path, const char *alias)
{
    char link[PATH_MAX];
    struct stat st;

    if (!beside(path, alias, link) || stat(link, &st) == 0)
        return;
    if (lstat(link, &st) == 0 && S_ISLNK(st.st_mode))
        (void)unlink(link); /* of one that has ended */
    (void)!symlink(strrchr(path, '/') + 1, link);
}

static void remove_alias(const char *path, const char *alias)
{
    char link[PATH_MAX], target[PATH_MAX];
    ssize_t n;

    if (!beside(path, alias, link) || (n = readlink(link, target, sizeof(target) - 1)) < 0)
        return;
    target[n] = '\0';
    if (strcmp(target, strrchr(path, '/') + 1) == 0)
        (void)unlink(link);
}

/* ---- the socket ---- */

static int remove_stale(const char *path)
{
    struct stat st;

    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(st.st_mode))
        return -EEXIST;
    return unlink(path) < 0 ? -errno : 0;
}

int nsh_local_listen(const char *path, const char *alias)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);

    if (length >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, length + 1);
    nsh_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    /* bind(2) gives the file the mode of the socket: it is private before it has a name. */
    if (fchmod(fd, 0600) < 0)
        return -errno;
    int e = remove_stale(path);
    if (e < 0)
        return e;
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        return -errno;
    /* The file's group is ours: any other than root's was given to the service for its readers. */
    if ((getegid() != 0 && chmod(path, 0660) < 0) || listen(fd, BACKLOG) < 0) {
        e = -errno;
        (void)unlink(path);
        return e;
    }
    add_alias(path, alias);
    return NSH_TAKE_FD(fd);
}

void nsh_local_unlink(const char *path, const char *alias)
{
    (void)unlink(path);
    remove_alias(path, alias);
}

/* ---- who asks ---- */

/* SO_PEERGROUPS: the groups that the peer had when it connected, beside its main one. */
static bool is_member(int fd, gid_t group)
{
    socklen_t size = NGROUPS_MAX * sizeof(gid_t);
    nsh_autofree gid_t *groups = malloc(size);

    if (!groups || getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
        return false;
    for (size_t i = 0; i < size / sizeof(gid_t); i++)
        if (groups[i] == group)
            return true;
    return false;
}

enum nsh_local_access nsh_local_access(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);
    gid_t group = getegid();

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return NSH_LOCAL_NONE;
    if (peer.uid == 0 || peer.uid == geteuid())
        return NSH_LOCAL_CHANGE;
    return group != 0 && (peer.gid == group || is_member(fd, group)) ? NSH_LOCAL_READ
                                                                     : NSH_LOCAL_NONE;
}
