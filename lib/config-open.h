/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Opens the files of a configuration, and judges whether anyone else could have written them: the
 * path is walked one opened directory at a time, through symbolic links, so that what was judged
 * is what is read.
 */
#pragma once

#include "config.h"
#include "diag.h"

/*
 * Opens a regular file for reading, or a directory. Problems go to `diags`; `hint` to the one that
 * it can't be opened, NULL: none. Returns a descriptor or negative errno: -EPERM when trust is
 * required and missing.
 */
int nsh_open_file(
        const char *path, enum nsh_config_trust trust, const char *hint, struct nsh_diags *diags);
/* The same; -ENOENT without a word when it is absent. */
int nsh_open_directory(const char *path, enum nsh_config_trust trust, struct nsh_diags *diags);
