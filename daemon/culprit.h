/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who is behind a netlink port id, if that is certain: a process with that pid exists in our pid
 * and network namespaces and started before the event. Otherwise nobody is named.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define NSH_COMM_LEN 16                          /* TASK_COMM_LEN, with its NUL */
#define NSH_CULPRIT_TEXT (NSH_COMM_LEN * 4 + 16) /* "ip[4455]" */

/* `at_usec`: CLOCK_BOOTTIME of the event. Text is made printable. */
bool nsh_culprit_find(
        uint32_t port, uint64_t at_usec, char ret_comm[static NSH_COMM_LEN * 4], pid_t *ret_pid);
/*
 * The kernel itself told pid, as the initial pid namespace counts, and name of who made a change.
 * True if that can be said here: this is that namespace, and the process has ended since or still
 * is the one of that name, in our network namespace. Text is made printable.
 */
bool nsh_culprit_confirm(uint32_t pid, const char *name, char ret_comm[static NSH_COMM_LEN * 4]);
