/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine: reads objects by their tables of keys. It reports and goes on wherever it can, so
 * that one run shows all that is wrong; it ends early only where memory does.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "config-loader.h"

__attribute__((format(printf, 5, 0))) static void add_diag(struct nsh_loader *l,
        enum nsh_severity severity, struct nsh_yaml_mark at, const char *hint, const char *format,
        va_list args)
{
    char text[512] = "";
    size_t so_far =
            severity == NSH_DIAG_ERROR ? nsh_diags_errors(l->diags) : nsh_diags_warnings(l->diags);

    /* What will not be shown need not be written: there may be a million. */
    if (so_far < NSH_DIAG_MAX)
        (void)vsnprintf(text, sizeof(text), format, args);
    nsh_diag_add(l->diags, severity, l->path, at.line, at.column, hint, "%s", text);
}

void nsh_loader_error(
        struct nsh_loader *l, struct nsh_yaml_mark at, const char *hint, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    add_diag(l, NSH_DIAG_ERROR, at, hint, format, args);
    va_end(args);
}

void nsh_loader_warning(
        struct nsh_loader *l, struct nsh_yaml_mark at, const char *hint, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    add_diag(l, NSH_DIAG_WARNING, at, hint, format, args);
    va_end(args);
}

const char *nsh_loader_show(struct nsh_loader *l, const char *text)
{
    return nsh_printable(text, strlen(text), l->shown, sizeof(l->shown));
}

void nsh_loader_no_memory(struct nsh_loader *l)
{
    if (l->failure == 0)
        nsh_diag_add(l->diags, NSH_DIAG_ERROR, l->path, 0, 0, NULL, "out of memory");
    l->failure = -ENOMEM;
}

const char *nsh_loader_place(struct nsh_loader *l, nsh_origin at, char *buf, size_t size)
{
    uint32_t line;
    const char *path = nsh_origins_resolve(l->config->origins, at, &line);
    char shown[256];

    if (path)
        (void)snprintf(
                buf, size, "%s:%u", nsh_printable(path, strlen(path), shown, sizeof(shown)), line);
    else
        (void)snprintf(buf, size, "an unknown place");
    return buf;
}

bool nsh_loader_grow(struct nsh_loader *l, void *array, size_t n, size_t *room, size_t size)
{
    void **items = array;
    size_t more = *room + *room / 2 + 8;
    void *grown;

    if (n < *room)
        return true;
    grown = reallocarray(*items, more, size);
    if (!grown) {
        nsh_loader_no_memory(l);
        return false;
    }
    *items = grown;
    *room = more;
    return true;
}

static bool is_null(const struct nsh_yaml_event *e)
{
    return e->type == NSH_YAML_SCALAR && e->plain &&
           (e->length == 0 || strcmp(e->text, "~") == 0 || strcmp(e->text, "null") == 0 ||
                   strcmp(e->text, "Null") == 0 || strcmp(e->text, "NULL") == 0);
}

static const char *empty_hint(const struct nsh_key *key)
{
    if (key->flags & NSH_KEY_REQUIRED)
        return key->type->hint;
    if (key->flags & NSH_KEY_LIST)
        return "leave the key out to mean any; an empty list would have meant everything";
    return key->missing ? key->missing : "give it a value, or leave the key out";
}

static void read_scalar(struct nsh_loader *l, const struct nsh_key *key, void *field,
        const struct nsh_yaml_event *value)
{
    if (value->refused)
        return;
    if (value->type == NSH_YAML_MAPPING && key->type->object) {
        l->list_field = field;
        nsh_read_object(l, key->type->object, value->mark);
    } else if (value->type == NSH_YAML_MAPPING || value->type == NSH_YAML_SEQUENCE) {
        nsh_loader_error(l, value->mark, key->type->hint, "'%s' wants %s, not a %s", key->name,
                key->type->what, value->type == NSH_YAML_MAPPING ? "mapping" : "list");
        nsh_yaml_skip(l->yaml, value);
    } else if (is_null(value) || value->length == 0) {
        nsh_loader_error(l, value->mark, empty_hint(key), "'%s' has no value", key->name);
    } else {
        key->type->read(l, key, field, value);
    }
}

static void read_list(
        struct nsh_loader *l, const struct nsh_key *key, void *field, struct nsh_yaml_mark at)
{
    struct nsh_yaml_event item;
    size_t n = 0;

    for (;; n++) {
        nsh_yaml_next(l->yaml, &item);
        if (item.type == NSH_YAML_SEQUENCE_END || item.type == NSH_YAML_END)
            break;
        if (l->failure == 0)
            read_scalar(l, key, field, &item);
        else
            nsh_yaml_skip(l->yaml, &item);
    }
    if (n == 0 && item.type == NSH_YAML_SEQUENCE_END)
        nsh_loader_error(l, at, empty_hint(key), "'%s' is an empty list", key->name);
}

/* Something else where an object should be: "to:default" is one scalar. */
static void refuse_item(
        struct nsh_loader *l, const struct nsh_key *key, const struct nsh_yaml_event *item)
{
    const struct nsh_object *object = key->type->object;
    const char *hint = key->type->hint;

    if (item->refused || l->failure != 0)
        return;
    if (item->type == NSH_YAML_SCALAR && nsh_hint_glued(object, item->text, ':') < object->n_keys)
        hint = "put a space behind the colon";
    else if (item->type == NSH_YAML_SCALAR &&
             nsh_hint_glued(object, item->text, ' ') < object->n_keys)
        hint = "put a colon behind the key, as in 'to: default'";
    nsh_loader_error(l, item->mark, hint, "a %s is a mapping of keys", object->noun);
}

static void read_objects(struct nsh_loader *l, const struct nsh_key *key, struct nsh_yaml_mark at)
{
    const struct nsh_object *object = key->type->object;
    struct nsh_yaml_event item;
    size_t n = 0;

    for (;; n++) {
        nsh_yaml_next(l->yaml, &item);
        if (item.type == NSH_YAML_SEQUENCE_END || item.type == NSH_YAML_END)
            break;
        if (item.type == NSH_YAML_MAPPING && l->failure == 0) {
            l->follows = n > 0;
            nsh_read_object(l, object, item.mark);
            continue;
        }
        refuse_item(l, key, &item);
        nsh_yaml_skip(l->yaml, &item);
    }
    if (n == 0 && item.type == NSH_YAML_SEQUENCE_END && !(key->flags & NSH_KEY_EMPTY))
        nsh_loader_error(l, at, empty_hint(key), "'%s' is an empty list", key->name);
}

/* One object where a list of them is wanted: "-to: default" is a key with a dash. */
static void refuse_single(
        struct nsh_loader *l, const struct nsh_key *key, const struct nsh_yaml_event *value)
{
    const char *hint = key->type->hint;
    struct nsh_yaml_mark at = value->mark;
    struct nsh_yaml_event first;

    nsh_yaml_next(l->yaml, &first);
    if (first.type == NSH_YAML_SCALAR && first.text[0] == '-')
        hint = "put a space behind the dash";
    nsh_loader_error(l, at, hint, "'%s' wants %s", key->name, key->type->what);
    nsh_yaml_skip(l->yaml, &first);
    if (first.type != NSH_YAML_MAPPING_END && first.type != NSH_YAML_END)
        nsh_yaml_skip(l->yaml, value);
}

/* A key whose value is one object, or a list of them. */
static void read_compound(
        struct nsh_loader *l, const struct nsh_key *key, const struct nsh_yaml_event *value)
{
    bool list = key->type->shape == NSH_SHAPE_OBJECTS;

    if (value->refused)
        return;
    if (is_null(value)) {
        if (!(key->flags & NSH_KEY_EMPTY))
            nsh_loader_error(l, value->mark, empty_hint(key), "'%s' has no value", key->name);
    } else if (list && value->type == NSH_YAML_SEQUENCE) {
        read_objects(l, key, value->mark);
    } else if (!list && value->type == NSH_YAML_MAPPING) {
        nsh_read_object(l, key->type->object, value->mark);
    } else if (list && value->type == NSH_YAML_MAPPING) {
        refuse_single(l, key, value);
    } else {
        nsh_loader_error(
                l, value->mark, key->type->hint, "'%s' wants %s", key->name, key->type->what);
        nsh_yaml_skip(l->yaml, value);
    }
}

static void read_value(struct nsh_loader *l, const struct nsh_key *key, void *draft,
        const struct nsh_yaml_event *value)
{
    void *field = (char *)draft + key->offset;

    if (key->type->shape != NSH_SHAPE_SCALAR)
        read_compound(l, key, value);
    else if (key->flags & NSH_KEY_LIST && value->type == NSH_YAML_SEQUENCE)
        read_list(l, key, field, value->mark);
    else
        read_scalar(l, key, field, value);
}

/* Index of the key, or n_keys. */
static size_t find_key(const struct nsh_object *object, const char *text)
{
    size_t i;

    for (i = 0; i < object->n_keys; i++)
        if (object->keys[i].name[0] == text[0] && strcmp(object->keys[i].name, text) == 0)
            break;
    return i;
}

static const char *article(const struct nsh_object *object)
{
    return object == &nsh_config_root || object == &nsh_object_settings ? "" : "a ";
}

/* Says that a key is unknown, and adds to *guess which one was meant. */
static void refuse_key(struct nsh_loader *l, const struct nsh_object *object,
        const struct nsh_yaml_event *name, uint64_t *guess)
{
    char hint[NSH_HINT_TEXT] = "";
    size_t meant = object->n_keys;

    if (name->plain && strcmp(name->text, "<<") == 0) {
        *guess = UINT64_MAX;
        nsh_loader_error(l, name->mark, "write the keys out", "merge keys ('<<') are not allowed");
        return;
    }
    if (nsh_diags_errors(l->diags) < NSH_DIAG_MAX)
        meant = nsh_hint_key(object, name->text, hint, sizeof(hint));
    if (meant < object->n_keys)
        *guess |= 1ULL << meant;
    nsh_loader_error(l, name->mark, hint, "unknown key '%s' in %s%s",
            nsh_loader_show(l, name->text), article(object), object->noun);
}

/* The index of the key that `name` is, or n_keys after saying why it is none. */
static size_t know_key(struct nsh_loader *l, const struct nsh_object *object,
        const struct nsh_yaml_event *name, uint64_t *guess)
{
    size_t i;

    if (name->type != NSH_YAML_SCALAR) {
        nsh_loader_error(l, name->mark, NULL, "a key is a single word");
        nsh_yaml_skip(l->yaml, name);
        return object->n_keys;
    }
    if (name->refused)
        return object->n_keys;
    i = find_key(object, name->text);
    if (i == object->n_keys) {
        refuse_key(l, object, name, guess);
        return i;
    }
    return object->keys[i].flags & NSH_KEY_ALIAS ? object->keys[i].same_as : i;
}

static bool is_double(struct nsh_loader *l, const struct nsh_object *object,
        const struct nsh_draft *d, size_t key, struct nsh_yaml_mark at)
{
    char hint[NSH_HINT_TEXT], shown[256];

    if (nsh_absent(d, (unsigned)key))
        return false;
    (void)snprintf(hint, sizeof(hint), "the first is at %s:%u",
            nsh_printable(l->path, strlen(l->path), shown, sizeof(shown)), d->marks[key].line);
    nsh_loader_error(l, at, hint, "'%s' is given twice", object->keys[key].name);
    return true;
}

/* `follows`: an entry stands before it. With one key it may be meant as a part of that. */
static void check_required(struct nsh_loader *l, const struct nsh_object *object,
        const struct nsh_draft *d, bool follows)
{
    bool part = follows && d->seen != 0 && (d->seen & (d->seen - 1)) == 0;
    char hint[NSH_HINT_TEXT];

    for (size_t i = 0; i < object->n_keys; i++) {
        const struct nsh_key *key = &object->keys[i];

        if (!(key->flags & NSH_KEY_REQUIRED) || !nsh_absent(d, (unsigned)i))
            continue;
        if (part && key->missing)
            (void)snprintf(hint, sizeof(hint),
                    "%s; or, if this belongs to the %s above, without '-'", key->missing,
                    object->noun);
        nsh_loader_error(l, d->at, part && key->missing ? hint : key->missing, "the %s has no '%s'",
                object->noun, key->name);
    }
}

/* Reads keys and values; false: the file ended in the middle. */
static bool read_keys(struct nsh_loader *l, const struct nsh_object *object, struct nsh_draft *d)
{
    struct nsh_yaml_event name, value;
    uint64_t guess = 0;

    for (;;) {
        size_t key, errors;
        struct nsh_yaml_mark at;

        nsh_yaml_next(l->yaml, &name);
        if (name.type == NSH_YAML_MAPPING_END)
            break;
        if (name.type == NSH_YAML_END)
            return false;
        at = name.mark;
        key = know_key(l, object, &name, &guess);
        if (key < object->n_keys && is_double(l, object, d, key, at))
            key = object->n_keys;
        nsh_yaml_next(l->yaml, &value);
        if (value.type == NSH_YAML_END)
            return false;
        if (key == object->n_keys || l->failure != 0) {
            nsh_yaml_skip(l->yaml, &value);
            continue;
        }
        d->seen |= 1ULL << key;
        d->marks[key] = value.mark;
        errors = nsh_diags_errors(l->diags);
        read_value(l, &object->keys[key], d, &value);
        if (value.refused || nsh_diags_errors(l->diags) != errors)
            d->bad |= 1ULL << key;
    }
    /* What a mistaken key may have been is not said to be missing as well. */
    d->bad |= guess & ~d->seen;
    d->seen |= guess;
    return !nsh_yaml_breaks(l->yaml);
}

void nsh_read_object(struct nsh_loader *l, const struct nsh_object *object, struct nsh_yaml_mark at)
{
    union {
        struct nsh_draft head;
        max_align_t align;
        unsigned char bytes[NSH_DRAFT_MAX];
    } draft;

    bool follows = l->follows;

    l->follows = false;
    memset(draft.bytes, 0, object->size);
    draft.head.at = at;
    if (object->begin)
        object->begin(l, &draft);
    /* Half an object says nothing: what is missing may have stood behind the error. */
    if (read_keys(l, object, &draft.head) && l->failure == 0) {
        check_required(l, object, &draft.head, follows);
        object->finish(l, &draft);
    }
    if (object->clear)
        object->clear(&draft);
}

/* The top of a file: a mapping with the root's keys, or in a drop-in nothing at all. */
static void read_top(struct nsh_loader *l)
{
    struct nsh_yaml_event top;

    nsh_yaml_next(l->yaml, &top);
    if (nsh_yaml_failed(l->yaml))
        return;
    if (top.type == NSH_YAML_END || is_null(&top)) {
        if (l->main_file)
            nsh_loader_error(l, (struct nsh_yaml_mark){0},
                    "a file that wants nothing says 'version: 1'", "the file is empty");
        return;
    }
    if (top.type == NSH_YAML_MAPPING) {
        nsh_read_object(l, &nsh_config_root, top.mark);
    } else if (!top.refused) {
        nsh_loader_error(l, top.mark, "a configuration begins with 'version: 1'",
                "this is not a configuration: keys are expected here");
        nsh_yaml_skip(l->yaml, &top);
    }
    /* What follows is the end, or a further document, which is reported there. */
    nsh_yaml_next(l->yaml, &top);
}

NSH_DEFINE_CLEANUP(struct nsh_yaml *, nsh_yaml_free)

void nsh_loader_check_stamp(
        struct nsh_loader *l, const char *path, int fd, const struct nsh_stamp *stamp)
{
    if (!nsh_stamp_holds(stamp, fd))
        nsh_diag_add(l->diags, NSH_DIAG_ERROR, path, 0, 0,
                "write it aside and rename it into its place; then reload again",
                "the file was changed while it was read");
}

void nsh_read_file(struct nsh_loader *l, const struct nsh_source *source, const char *path,
        bool main_file, int archive_fd)
{
    NSH_CLEANUP(nsh_yaml_freep) struct nsh_yaml *y = NULL;
    int r;

    l->path = path;
    l->main_file = main_file;
    r = nsh_origins_add_file(l->config->origins, path);
    if (r == -E2BIG) {
        nsh_loader_error(l, (struct nsh_yaml_mark){0}, NULL, "too many lines in all files");
        l->failure = r;
        return;
    }
    if (r < 0 || nsh_yaml_new(source, path, archive_fd, l->diags, &y) < 0) {
        nsh_loader_no_memory(l);
        return;
    }
    l->yaml = y;
    read_top(l);
    l->yaml = NULL;
    if (l->failure == 0)
        l->failure = nsh_yaml_errno(y);
    nsh_diags_attach_range(l->diags, path, source);
    l->path = NULL;
}
