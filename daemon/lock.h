/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One writer per network namespace: a lock file in the runtime directory, named by the inode of
 * the namespace we are in; and the place of the control socket beside it.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/*
 * Takes the lock (making `runtime_directory`, 0755, if need be). A descriptor that holds it until
 * it is closed; -EBUSY when another process has it, its pid in *ret_holder (0: unknown); -errno.
 */
int nsh_lock_take(const char *runtime_directory, pid_t *ret_holder);
/*
 * The same whatever the runtime directory: an abstract socket (unix(7)), whose name belongs to the
 * network namespace. A descriptor that holds it; -EBUSY when a process of root, of our own user or
 * (for root) of the service's has it, its pid in *ret_holder. Another user can take the name but
 * not keep us from working: then -EADDRINUSE, and the lock file has to do.
 */
int nsh_lock_claim(pid_t *ret_holder);
/*
 * Who asks for the name's holder connects, and has the answer with that. For who holds it, whenever
 * the descriptor can be read: else the queue is full some day, and nobody gets an answer. False
 * when it can't be done now (EMFILE): to ask again at once is of no use.
 */
bool nsh_lock_answer(int name_fd);
/* Who has that name, without taking it: one whose socket is elsewhere, or is gone. 0: nobody. */
pid_t nsh_lock_holder(void);
/*
 * Path of the control socket for our network namespace: RUNTIME/netns-INODE.sock. 0, -ENAMETOOLONG
 * (108 bytes, unix(7)) or -errno.
 */
int nsh_control_path(const char *runtime_directory, char ret[static 108]);
/* The same of the socket for metrics: RUNTIME/netns-INODE.metrics. */
int nsh_metrics_path(const char *runtime_directory, char ret[static 108]);
