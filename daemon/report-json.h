/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "report.h"

/*
 * The report as a JSON object on one line; `at` is CLOCK_REALTIME in microseconds. The caller's to
 * free; NULL: no memory.
 */
char *nsh_report_json(const struct nsh_report *r, uint64_t at);
