/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who is behind a netlink port id, if that is certain: a process with that pid exists in our pid
 * and network namespaces and started before the event. Otherwise nobody is named.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define NSH_COMM_LEN 16 /* TASK_COMM_LEN, with its NUL */

/* `at_usec`: CLOCK_BOOTTIME of the event. Text is made printable. */
bool nsh_culprit_find(
        uint32_t port, uint64_t at_usec, char ret_comm[static NSH_COMM_LEN * 4], pid_t *ret_pid);
