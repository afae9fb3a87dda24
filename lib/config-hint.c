/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "Did you mean": the nearest of the words that would have been right.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "config-loader.h"

#define WORD_MAX 40 /* longer words are like nothing */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/*
 * How many letters are to be changed, added, left out or swapped with their neighbour to make one
 * word of the other. Upper and lower case are the same letter.
 */
static size_t distance(const char *a, size_t n_a, const char *b, size_t n_b)
{
    size_t rows[3][WORD_MAX + 1], *before = rows[0], *last = rows[1], *now = rows[2];

    for (size_t j = 0; j <= n_b; j++)
        last[j] = j;
    for (size_t i = 1; i <= n_a; i++) {
        size_t *spare = before;

        now[0] = i;
        for (size_t j = 1; j <= n_b; j++) {
            bool same = strncasecmp(&a[i - 1], &b[j - 1], 1) == 0;

            now[j] = least(last[j - 1] + !same, least(last[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], before[j - 2] + 1);
        }
        before = last;
        last = now;
        now = spare;
    }
    return last[n_b];
}

const char *nsh_nearest(const char *text, nsh_next_word *next, void *userdata)
{
    size_t n = strlen(text), best = n < 5 ? 1 : (n + 1) / 3;
    const char *found = NULL, *word;

    if (n == 0 || n > WORD_MAX)
        return NULL;
    for (size_t i = 0; (word = next(userdata, i)); i++) {
        size_t n_word = strlen(word), d;

        if (n_word > WORD_MAX)
            continue;
        d = distance(text, n, word, n_word);
        /* A word of which nothing is left is not like the other. */
        if (d <= best && d < n_word && d < n && (!found || d < best)) {
            found = word;
            best = d;
        }
    }
    return found;
}

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
