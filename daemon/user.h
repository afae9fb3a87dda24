/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The service may run as a user of its own, and commands as root beside it: they share the runtime
 * and the state directory.
 */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

/*
 * Whether what belongs to this user can be relied on: root and ourselves; for root also the user of
 * the service, whose directories they are.
 */
bool nsh_user_is_trusted(uid_t uid);
/*
 * Of a directory of theirs. 0; -EACCES: it is somebody else's, which root may use; -EPERM: it can
 * be written by others, or (for root) is of somebody who can't be relied on.
 */
int nsh_user_check_directory(const struct stat *st);
/* A file that root has made belongs to the owner of its directory, who is to go on with it. 0 or
 * negative errno. */
int nsh_user_hand_over(int fd, int dir);
