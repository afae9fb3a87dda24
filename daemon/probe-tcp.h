/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A connection that is begun to see whether it comes about.
 */
#pragma once

#include "gate.h"

/*
 * Begins one, with the check's mark; `scope` is the interface of a link-local target, else 0. The
 * descriptor becomes writable when it is settled. 0; or a negative errno, as a fault of our own in
 * *ret_own.
 */
int nsh_tcp_begin(const struct nsh_check *check, uint32_t scope, int *ret_fd, bool *ret_own);
/* 0: it came about; -EINPROGRESS: it is not settled; else why not. */
int nsh_tcp_verdict(int fd);
