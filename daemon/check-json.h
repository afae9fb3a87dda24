/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is wrong with a file, for programs.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "diag.h"

/* Writes it, of the file `path`; `ok`: that it is taken. -EIO: it could not be written. */
int nsh_check_json(FILE *to, const char *path, const struct nsh_diags *diags, bool ok);
