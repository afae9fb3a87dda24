/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Times as systemd.time(7) writes them: "60s", "5min", "1min 30s"; a number alone is seconds.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Into microseconds; false: it is no time, or longer than can be said. */
bool nsh_duration_parse(const char *text, uint64_t *ret);
/* In the largest unit in which it is a whole number; returns `buf`. */
const char *nsh_duration_exact(uint64_t usec, char *buf, size_t size);
