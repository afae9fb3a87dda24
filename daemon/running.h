/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which file runs. It is the daemon's own but after a trial of another one: confirmed, that one
 * runs, and each reload and start reads the daemon's own file all the same.
 */
#pragma once

#include <stdbool.h>

#include "config.h"
#include "state.h"

bool nsh_is_same_file(const char *a, const char *b);
/* What `c` was read from, if that is not the file `path`; NULL: it is. */
const char *nsh_running_file(const struct nsh_config *c, const char *path);
/*
 * That in a sentence, to be told when it was confirmed, with what makes the file `path` say the
 * same: by the files that were read if they are still so, else by the archive in the directory of
 * `state` (NULL: there is none). The caller's to free, as the next; NULL: no memory, or it is that
 * file.
 */
char *nsh_running_text(const struct nsh_config *c, const char *path, struct nsh_state *state,
        const char *state_directory);

/* ---- running-copy.c ---- */

/*
 * What makes the file `path` say what the archive `fd` does: "cp OTHER PATH", and what is to be
 * done about drop-ins and files of prefixes. It goes by the files as they are now.
 */
char *nsh_running_copy(int fd, const char *path);
/*
 * The first file of the archive that is not what it was, and why that is thought, as in "x.yaml has
 * changed since"; the caller's to free. 0 and NULL: all are as they were.
 */
int nsh_running_changed(int fd, char **ret);
/* The same as nsh_running_copy by the archive's own bytes, which is the file `archive`. */
char *nsh_running_restore(int fd, const char *archive, const char *path);
