/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The status, which the daemon tells as JSON, for a person to read.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/*
 * Writes `json` as a table, or, `as_json`, as indented JSON of ASCII characters. What is missing
 * or of the wrong type in it is shown as "-" or left out; text is made printable. 0; -EBADMSG when
 * it is no JSON object, then nothing is written; -ENOMEM; -EIO when `to` could not be written.
 * `name` (may be NULL): only the objects of that policy, or of that name up to a space, with what
 * they have counted; -ENOENT: there is none, and nothing is written. `ports` (may be NULL): what
 * status-ports.h says, shown where all is.
 */
struct nsh_status_view {
    bool as_json;
    const char *name;
    json_t *ports;
};
int nsh_status_print(FILE *to, const char *json, const struct nsh_status_view *view);
