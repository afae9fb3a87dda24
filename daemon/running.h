/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which file runs. It is the daemon's own but after a trial of another one: confirmed, that one
 * runs, and each reload and start reads the daemon's own file all the same.
 */
#pragma once

#include <stdbool.h>

#include "config.h"

bool nsh_is_same_file(const char *a, const char *b);
/* What `c` was read from, if that is not the file `path`; NULL: it is. */
const char *nsh_running_file(const struct nsh_config *c, const char *path);
/*
 * What makes the file `path` say the same: "cp OTHER PATH", and what is to be done about drop-ins.
 * The caller's to free, as the next; NULL: no memory, or it is that file.
 */
char *nsh_running_copy(const struct nsh_config *c, const char *path);
/* All of that in a sentence, to be told when it was confirmed. */
char *nsh_running_text(const struct nsh_config *c, const char *path);
