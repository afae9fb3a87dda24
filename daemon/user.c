/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "user.h"

#include <errno.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "version.h"

static bool is_service_user(uid_t uid)
{
    struct passwd entry, *found = NULL;
    char buf[4096];

    return getpwnam_r(NSH_SERVICE_USER, &entry, buf, sizeof(buf), &found) == 0 && found &&
           found->pw_uid == uid;
}

bool nsh_user_is_trusted(uid_t uid)
{
    return uid == 0 || uid == geteuid() || (geteuid() == 0 && is_service_user(uid));
}

int nsh_user_check_directory(const struct stat *st)
{
    if (!nsh_user_is_trusted(st->st_uid))
        return geteuid() == 0 ? -EPERM : -EACCES;
    return st->st_mode & (S_IWGRP | S_IWOTH) ? -EPERM : 0;
}

int nsh_user_hand_over(int fd, int dir)
{
    struct stat st;

    if (geteuid() != 0)
        return 0;
    if (fstat(dir, &st) < 0)
        return -errno;
    if (st.st_uid == 0)
        return 0;
    return fchown(fd, st.st_uid, st.st_gid) < 0 ? -errno : 0;
}
