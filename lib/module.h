/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether the kernel has a part of it in use, found without asking that part: a question could
 * make it load the module.
 */
#pragma once

#include <stdbool.h>

/* False: a question to it now could load the module. `name` as in /sys/module: "nf_tables". */
bool nsh_module_in_use(const char *name);
