/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What packets are told apart by, in policy routing rules and packet rules alike.
 */
#pragma once

#include <stdint.h>

/* Numbers from first to last; ports: both 0 is any. */
struct nsh_range {
    uint32_t first, last;
};

/* Matches where (packet's mark & mask) == value. A mask of 0: any. */
struct nsh_mark {
    uint32_t value, mask;
};
