/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nearest.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

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
