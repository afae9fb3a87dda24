/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "Did you mean": the nearest of the words that would have been right, or all of them.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "cleanup.h"
#include "config-lists.h"
#include "config-loader.h"
#include "nearest.h"

static const char *next_key(void *userdata, size_t i)
{
    const struct nsh_object *object = userdata;

    return i < object->n_keys ? object->keys[i].name : NULL;
}

static bool has_word(const char *list, const char *text)
{
    size_t n = strlen(text);

    for (const char *p = list; p && n > 0; p = strchr(p, ' ')) {
        p += *p == ' ';
        if (strncasecmp(p, text, n) == 0 && (p[n] == ' ' || p[n] == '\0'))
            return true;
    }
    return false;
}

/* Words of a list, one after the other; they are compared in place. */
struct words {
    const char *list;
    char word[40];
};

static const char *next_word(void *userdata, size_t i)
{
    struct words *w = userdata;
    const char *p = w->list;

    for (; p && i > 0; i--)
        p = (p = strchr(p, ' ')) ? p + 1 : NULL;
    if (!p)
        return NULL;
    (void)snprintf(w->word, sizeof(w->word), "%.*s", (int)strcspn(p, " "), p);
    return w->word;
}

/* The key with a colon behind it, but no space, or the other way round: "to:default", "to default".
 */
size_t nsh_hint_glued(const struct nsh_object *object, const char *text, char between)
{
    for (size_t i = 0; i < object->n_keys; i++) {
        size_t n = strlen(object->keys[i].name);

        if (strncmp(text, object->keys[i].name, n) == 0 && text[n] == between)
            return object->keys[i].flags & NSH_KEY_ALIAS ? object->keys[i].same_as : i;
    }
    return object->n_keys;
}

/* The key that `text` may have been meant to be, or n_keys. */
static size_t guess_key(const struct nsh_object *object, const char *text)
{
    const char *near;

    for (size_t i = 0; i < object->n_keys; i++)
        if (has_word(object->keys[i].known_as, text))
            return i;
    near = nsh_nearest(text, next_key, (void *)object);
    for (size_t i = 0; near && i < object->n_keys; i++)
        if (object->keys[i].name == near)
            return i;
    for (size_t i = 0; i < object->n_keys; i++) {
        struct words words = {.list = object->keys[i].known_as};

        if (nsh_nearest(text, next_word, &words))
            return i;
    }
    return object->n_keys;
}

/* What other programs' files have. */
static const char *hint_foreign(const struct nsh_object *object, const char *text)
{
    static const struct {
        const char *word, *hint;
    } words[] = {
            {"netmask", "the length stands behind the prefix: 10.0.0.0/24"},
            {"network", "netplan's file is another one: this has 'routes', 'share' and so on at "
                        "the top"},
    };

    for (size_t i = 0; i < NSH_ARRAY_SIZE(words); i++)
        if (strcmp(text, words[i].word) == 0)
            return words[i].hint;
    if (object == &nsh_object_list)
        return "a file of prefixes is written {file: PATH}; or is a closing ']' missing before "
               "this?";
    for (size_t i = 0; object == &nsh_config_root && i < nsh_object_settings.n_keys; i++)
        if (strcmp(text, nsh_object_settings.keys[i].name) == 0)
            return "it is a key of 'settings', and stands below that, indented";
    return NULL;
}

size_t nsh_hint_key(const struct nsh_object *object, const char *text, char *buf, size_t size)
{
    size_t guess = nsh_hint_glued(object, text, ':'), used;
    const char *foreign;

    if (guess < object->n_keys) {
        (void)snprintf(buf, size, "put a space behind the colon");
        return guess;
    }
    foreign = hint_foreign(object, text);
    if (foreign) {
        (void)snprintf(buf, size, "%s", foreign);
        return guess;
    }
    guess = guess_key(object, text);
    if (guess < object->n_keys) {
        (void)snprintf(buf, size, "did you mean '%s'?", object->keys[guess].name);
        return object->keys[guess].flags & NSH_KEY_ALIAS ? object->keys[guess].same_as : guess;
    }
    used = (size_t)snprintf(buf, size, "the keys are");
    for (size_t i = 0; i < object->n_keys && used < size; i++)
        if (!(object->keys[i].flags & NSH_KEY_ALIAS))
            used += (size_t)snprintf(
                    buf + used, size - used, "%s %s", i ? "," : "", object->keys[i].name);
    return guess;
}

bool nsh_hint_several(const struct nsh_key *key, const char *text, char *buf, size_t size)
{
    const char *comma = strchr(text, ',');
    char shown[128];

    if (!comma)
        return false;
    if (comma[1 + strspn(comma + 1, ", ")] == '\0')
        (void)snprintf(buf, size, "leave out the comma");
    else if (key->flags & NSH_KEY_LIST)
        (void)snprintf(buf, size, "several are written as a list: [%s]",
                nsh_printable(text, strlen(text), shown, sizeof(shown)));
    else
        (void)snprintf(buf, size, "'%s' takes one; make an entry of its own for each", key->name);
    return true;
}

static const char *next_in_words(void *userdata, size_t i)
{
    const struct nsh_word *words = userdata;

    return words[i].text;
}

void nsh_hint_word(const struct nsh_word *words, const char *text, char *buf, size_t size)
{
    const char *near = nsh_nearest(text, next_in_words, (void *)words);
    size_t used;

    if (near) {
        (void)snprintf(buf, size, "did you mean '%s'?", near);
        return;
    }
    used = (size_t)snprintf(buf, size, "write");
    for (size_t i = 0; words[i].text && used < size; i++)
        used += (size_t)snprintf(buf + used, size - used, "%s %s",
                i == 0              ? ""
                : words[i + 1].text ? ","
                                    : " or",
                words[i].text);
}
