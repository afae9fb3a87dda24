/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sorting routes by identity, in place. A list of a million prefixes comes in any order, and
 * qsort(3) would take a second for it and the same memory again: so it is divided by one byte of
 * the key after the other, the most significant first ("American flag sort").
 */
#include <stdlib.h>

#include "config-loader.h"

#define TABLE_BYTES 4U
#define KEY_BYTES (1U + TABLE_BYTES + sizeof(union nsh_addr)) /* family, table, address */
#define FEW 24                                                /* so many are sorted by insertion */

/* By identity, then in the order of the files. */
static int compare(const void *a, const void *b)
{
    const struct nsh_route *x = a, *y = b;
    int r = nsh_route_id_cmp(x, y);

    return r != 0 ? r : (x->origin > y->origin) - (x->origin < y->origin);
}

/* In the order in which nsh_route_id_cmp looks at them. */
static unsigned key_byte(const struct nsh_route *r, size_t i)
{
    if (i == 0)
        return r->family;
    if (i <= TABLE_BYTES)
        return r->table >> (8 * (TABLE_BYTES - i)) & 0xff;
    return r->dst.bytes[i - 1 - TABLE_BYTES];
}

static void insert_few(struct nsh_route *routes, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct nsh_route r = routes[i];
        size_t k = i;

        for (; k > 0 && compare(&routes[k - 1], &r) > 0; k--)
            routes[k] = routes[k - 1];
        routes[k] = r;
    }
}

/* Puts each into the range of its byte; `end` is where each range ends. */
static void divide(struct nsh_route *routes, size_t byte, size_t next[256], const size_t end[256])
{
    for (unsigned b = 0; b < 256; b++)
        while (next[b] < end[b]) {
            struct nsh_route *r = &routes[next[b]];
            unsigned belongs = key_byte(r, byte);
            struct nsh_route other;

            if (belongs == b) {
                next[b]++;
                continue;
            }
            other = routes[next[belongs]];
            routes[next[belongs]++] = *r;
            *r = other;
        }
}

/* At most KEY_BYTES deep. */
static void sort_from(struct nsh_route *routes, size_t n, size_t byte) // NOLINT(misc-no-recursion)
{
    size_t next[256], end[256], at = 0;

    for (;; byte++) {
        size_t count[256] = {0};

        if (n <= FEW) {
            insert_few(routes, n);
            return;
        }
        if (byte == KEY_BYTES) {
            qsort(routes, n, sizeof(*routes), compare);
            return;
        }
        for (size_t i = 0; i < n; i++)
            count[key_byte(&routes[i], byte)]++;
        if (count[key_byte(&routes[0], byte)] == n)
            continue;
        for (unsigned b = 0; b < 256; b++) {
            next[b] = at;
            end[b] = at += count[b];
        }
        break;
    }
    divide(routes, byte, next, end);
    for (unsigned b = 0; b < 256; b++) {
        size_t begin = b == 0 ? 0 : end[b - 1];

        sort_from(routes + begin, end[b] - begin, byte + 1);
    }
}

/* Large files are written by programs, as a rule in order: seeing that costs next to nothing. */
void nsh_routes_sort(struct nsh_route *routes, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (compare(&routes[i - 1], &routes[i]) > 0) {
            sort_from(routes, n, 0);
            return;
        }
}

size_t nsh_routes_unite(struct nsh_route *routes, size_t n)
{
    size_t kept = 0;

    nsh_routes_sort(routes, n);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || nsh_route_id_cmp(&routes[kept - 1], &routes[i]) != 0)
            routes[kept++] = routes[i];
    return kept;
}
