/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The status, which the daemon tells as JSON, for a person to read.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

/*
 * Writes `json` as a table, or, `as_json`, as indented JSON of ASCII characters. What is missing
 * or of the wrong type in it is shown as "-" or left out; text is made printable. 0; -EBADMSG when
 * it is no JSON object, then nothing is written; -ENOMEM; -EIO when `to` could not be written.
 */
int nsh_status_print(FILE *to, const char *json, bool as_json);
