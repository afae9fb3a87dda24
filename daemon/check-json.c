/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "check-json.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

#include "cleanup.h"
#include "text-json.h"

static void set_place(json_t *o, const struct nsh_diag *d)
{
    nsh_text_put(o, "file", d->path);
    if (d->line > 0)
        json_object_set_new(o, "line", json_integer(d->line));
    if (d->line > 0 && d->column > 0)
        json_object_set_new(o, "column", json_integer(d->column));
}

static json_t *diag_json(const struct nsh_diag *d)
{
    json_t *o = json_object();

    nsh_text_put(o, "severity", d->severity == NSH_DIAG_ERROR ? "error" : "warning");
    set_place(o, d);
    nsh_text_put(o, "message", d->text);
    nsh_text_put(o, "hint", d->hint);
    nsh_text_put(o, "source", d->source);
    return o;
}

int nsh_check_json(FILE *to, const char *path, const struct nsh_diags *diags, bool ok)
{
    json_t *root = json_object(), *list = json_array();
    int q;

    nsh_text_put(root, "file", path);
    json_object_set_new(root, "ok", json_boolean(ok));
    json_object_set_new(root, "errors", json_integer((json_int_t)nsh_diags_errors(diags)));
    json_object_set_new(root, "warnings", json_integer((json_int_t)nsh_diags_warnings(diags)));
    for (size_t i = 0; i < nsh_diags_count(diags); i++)
        json_array_append_new(list, diag_json(nsh_diags_get(diags, i)));
    json_object_set_new(root, "diagnostics", list);
    q = json_dumpf(root, to, JSON_INDENT(2));
    json_decref(root);
    return q != 0 || fputc('\n', to) == EOF ? -EIO : 0;
}
