/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "text-json.h"

#include <stdlib.h>

#include "cleanup.h"
#include "text.h"

json_t *nsh_text_json(const char *text)
{
    nsh_autofree char *clean = text ? nsh_text_utf8(text) : NULL;

    return clean ? json_string(clean) : NULL;
}

void nsh_text_put(json_t *object, const char *key, const char *text)
{
    json_t *value = nsh_text_json(text);

    if (value)
        json_object_set_new(object, key, value);
}
