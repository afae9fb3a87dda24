/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "Did you mean": the nearest of the words that would have been right, or all of them.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "config-loader.h"
#include "nearest.h"

static const char *next_key(void *userdata, size_t i)
{
    const struct nsh_object *object = userdata;

    if (i >= object->n_keys)
        return NULL;
    return object->keys[i].flags & NSH_KEY_LATER ? "" : object->keys[i].name;
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
    return object->n_keys;
}

size_t nsh_hint_key(const struct nsh_object *object, const char *text, char *buf, size_t size)
{
    size_t guess = guess_key(object, text), used;

    if (guess < object->n_keys) {
        (void)snprintf(buf, size, "did you mean '%s'?", object->keys[guess].name);
        return object->keys[guess].flags & NSH_KEY_ALIAS ? object->keys[guess].same_as : guess;
    }
    used = (size_t)snprintf(buf, size, "the keys are");
    for (size_t i = 0; i < object->n_keys && used < size; i++)
        if (!(object->keys[i].flags & (NSH_KEY_LATER | NSH_KEY_ALIAS)))
            used += (size_t)snprintf(
                    buf + used, size - used, "%s %s", i ? "," : "", object->keys[i].name);
    return guess;
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
