/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Prints a JSON Schema of the configuration file, made from the tables that parse it: run when the
 * program is built. It knows what a table says: which keys there are, how each value is written,
 * which are required. What keys have to do with each other only `netshared check` knows. A file
 * that `check` takes is right by the schema too, but for words and numbers in quotes that YAML
 * would read as something else without them.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "config-keys.h"

#define USEC 1000000.0

static json_t *object_schema(const struct nsh_object *object);

/* ---- scalars ---- */

static void add_type(json_t *types, json_t *schema, const char *type)
{
    json_array_append_new(types, json_string(type));
    if (json_array_size(types) == 1)
        json_object_set_new(schema, "type", json_string(type));
    else
        json_object_set(schema, "type", types);
}

static void add_range(json_t *schema, const struct nsh_key *key)
{
    bool seconds = key->type->forms & NSH_FORM_SECONDS;

    if (key->min == key->max && key->max != 0) {
        json_object_set_new(schema, "const", json_integer((json_int_t)key->min));
        return;
    }
    json_object_set_new(schema, "minimum",
            seconds ? json_real((double)key->min / USEC) : json_integer((json_int_t)key->min));
    if (key->max != 0)
        json_object_set_new(schema, "maximum",
                seconds ? json_real((double)key->max / USEC) : json_integer((json_int_t)key->max));
}

static void add_pattern(json_t *schema, const struct nsh_key_type *type)
{
    char text[256];

    if (!type->pattern)
        return;
    json_object_set_new(schema, "pattern", json_string(type->pattern));
    /* What an editor says in place of the pattern; others don't know the word. */
    (void)snprintf(text, sizeof(text), "%s is wanted%s%s", type->what, type->hint ? ": " : "",
            type->hint ? type->hint : "");
    json_object_set_new(schema, "patternErrorMessage", json_string(text));
}

/* All but words: the limits of one form say nothing about another. NULL: there is none. */
static json_t *plain_schema(const struct nsh_key *key)
{
    unsigned forms = key->type->forms;
    json_t *schema = json_object(), *types = json_array();

    if (forms & NSH_FORM_BOOL)
        add_type(types, schema, "boolean");
    if (forms & NSH_FORM_INTEGER)
        add_type(types, schema, "integer");
    if (forms & NSH_FORM_SECONDS)
        add_type(types, schema, "number");
    if (forms & (NSH_FORM_INTEGER | NSH_FORM_SECONDS))
        add_range(schema, key);
    if (forms & NSH_FORM_TEXT) {
        add_type(types, schema, "string");
        add_pattern(schema, key->type);
    }
    json_decref(types);
    return schema;
}

static json_t *words_schema(const struct nsh_key *key)
{
    const struct nsh_word *words = key->words ? key->words : key->type->words;
    json_t *schema = json_object(), *list = json_array();

    for (; words && words->text; words++)
        json_array_append_new(list, json_string(words->text));
    json_object_set_new(schema, "enum", list);
    return schema;
}

/* The one of them, or any of them. */
static json_t *any_of(json_t *list)
{
    json_t *schema;

    if (json_array_size(list) == 1) {
        schema = json_incref(json_array_get(list, 0));
        json_decref(list);
        return schema;
    }
    schema = json_object();
    json_object_set_new(schema, "anyOf", list);
    return schema;
}

static json_t *scalar_schema(const struct nsh_key *key)
{
    json_t *list = json_array();

    if (key->type->forms & NSH_FORM_WORD)
        json_array_append_new(list, words_schema(key));
    if (key->type->forms & ~(unsigned)NSH_FORM_WORD)
        json_array_append_new(list, plain_schema(key));
    if (key->type->object)
        json_array_append_new(list, object_schema(key->type->object));
    return any_of(list);
}

static json_t *one_or_list(json_t *item)
{
    json_t *list = json_array(), *array = json_object();

    json_object_set_new(array, "type", json_string("array"));
    json_object_set(array, "items", item);
    json_object_set_new(array, "minItems", json_integer(1));
    json_array_append_new(list, item);
    json_array_append_new(list, array);
    return any_of(list);
}

/* ---- mappings and lists of them ---- */

static void or_null(json_t *schema, const char *type)
{
    json_object_set_new(schema, "type", json_pack("[ss]", type, "null"));
}

static json_t *compound_schema(const struct nsh_key *key)
{
    bool empty = key->flags & NSH_KEY_EMPTY, list = key->type->shape == NSH_SHAPE_OBJECTS;
    json_t *schema = list ? json_object() : object_schema(key->type->object);

    if (list) {
        json_object_set_new(schema, "type", json_string("array"));
        json_object_set_new(schema, "items", object_schema(key->type->object));
    }
    if (empty)
        or_null(schema, list ? "array" : "object");
    else if (list)
        json_object_set_new(schema, "minItems", json_integer(1));
    return schema;
}

/* ---- keys ---- */

/* As YAML would read it. */
static json_t *otherwise_json(const struct nsh_key *key)
{
    const char *text = key->otherwise;
    char *end;
    long long number = strtoll(text, &end, 0);

    if (key->type->forms & NSH_FORM_BOOL)
        return json_boolean(strcmp(text, "true") == 0);
    if (key->type->forms & NSH_FORM_INTEGER && *end == '\0')
        return json_integer(number);
    return json_string(text);
}

static json_t *key_schema(const struct nsh_object *object, const struct nsh_key *key)
{
    const struct nsh_key *meant = key->flags & NSH_KEY_ALIAS ? &object->keys[key->same_as] : key;
    json_t *schema, *described = json_object();
    char text[256];

    if (meant->type->shape != NSH_SHAPE_SCALAR)
        schema = compound_schema(meant);
    else
        schema = scalar_schema(meant);
    if (meant->flags & NSH_KEY_LIST)
        schema = one_or_list(schema);
    (void)snprintf(text, sizeof(text), "%s%s%s%s", meant->help, meant == key ? "" : " (as '",
            meant == key ? "" : meant->name, meant == key ? "" : "')");
    json_object_set_new(described, "description", json_string(text));
    if (meant->otherwise)
        json_object_set_new(described, "default", otherwise_json(meant));
    json_object_update(described, schema);
    json_decref(schema);
    return described;
}

static json_t *object_schema(const struct nsh_object *object)
{
    json_t *schema = json_object(), *keys = json_object(), *required = json_array();

    for (size_t i = 0; i < object->n_keys; i++) {
        const struct nsh_key *key = &object->keys[i];

        json_object_set_new(keys, key->name, key_schema(object, key));
        if (key->flags & NSH_KEY_REQUIRED)
            json_array_append_new(required, json_string(key->name));
    }
    json_object_set_new(schema, "type", json_string("object"));
    json_object_set_new(schema, "properties", keys);
    json_object_set_new(schema, "additionalProperties", json_false());
    if (json_array_size(required) > 0)
        json_object_set(schema, "required", required);
    json_decref(required);
    return schema;
}

int main(void)
{
    json_t *schema = json_object(), *root = object_schema(&nsh_config_root);
    int q;

    json_object_set_new(schema, "$schema", json_string("http://json-schema.org/draft-07/schema#"));
    json_object_set_new(schema, "title", json_string("netshared.yaml"));
    json_object_set_new(schema, "description",
            json_string("What netshared keeps true on this machine. See netshared.yaml(5)."));
    json_object_update(schema, root);
    json_decref(root);
    q = json_dumpf(schema, stdout, JSON_INDENT(1) | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(15));
    json_decref(schema);
    return q != 0 || putchar('\n') == EOF || fflush(stdout) != 0;
}
