/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * UNIX sockets on which the daemon listens, and who may talk to it there.
 */
#pragma once

enum nsh_local_access {
    NSH_LOCAL_NONE,
    NSH_LOCAL_READ,   /* what changes nothing: a member of the socket's group */
    NSH_LOCAL_CHANGE, /* everything: root, and the daemon's own user */
};

/*
 * A stream socket that listens at `path`, in place of a stale one; with mode 0600, or 0660 where
 * the daemon's group is not root's. Its own name holds the network namespace's number; a symbolic
 * link `alias` in the same folder leads to it, or to that of the daemon which was first, where
 * several namespaces share the folder. Negative errno; -EEXIST: something else has that name.
 */
int nsh_local_listen(const char *path, const char *alias);
/* Takes the names away; the descriptor is the caller's to close. */
void nsh_local_unlink(const char *path, const char *alias);
/* Of who connected (SO_PEERCRED, SO_PEERGROUPS). */
enum nsh_local_access nsh_local_access(int fd);
