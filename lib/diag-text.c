/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "diag-text.h"
#include "diag.h"

/* Bytes of the UTF-8 character at `p`, its value in *ret; 0: not one. */
static size_t decode(const unsigned char *p, size_t n, uint32_t *ret)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = p[0] < 0x80                   ? 1
                    : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
                    : p[0] >= 0xe0 && p[0] < 0xf0 ? 3
                    : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
                                                  : 0;
    uint32_t value;

    if (length == 0 || length > n)
        return 0;
    value = length == 1 ? p[0] : p[0] & (0x7fU >> length);
    for (size_t i = 1; i < length; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (p[i] & 0x3fU);
    }
    if (value < least[length] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
        return 0;
    *ret = value;
    return length;
}

/* Controls, and what turns the direction of text or has no width: it could hide what is said. */
static bool is_harmless(uint32_t c)
{
    static const struct {
        uint32_t first, last;
    } harmful[] = {
            {0x00, 0x1f},
            {0x7f, 0x9f},
            {0x61c, 0x61c},
            {0x200b, 0x200f},
            {0x2028, 0x202e},
            {0x2060, 0x206f},
            {0xfeff, 0xfeff},
            {0xfff9, 0xfffb},
    };

    for (size_t i = 0; i < NSH_ARRAY_SIZE(harmful); i++)
        if (c >= harmful[i].first && c <= harmful[i].last)
            return false;
    return true;
}

/*
 * Writes the next character of `text` as it is shown to `out` (at least 17 bytes); returns how
 * many bytes it took from the text, and how many it wrote and their cells.
 */
static size_t show_one(const char *text, size_t n, char *out, size_t *ret_bytes, size_t *ret_cells)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *p = (const unsigned char *)text;
    uint32_t value = 0;
    size_t length = decode(p, n, &value), wrote = 0;

    if (length > 0 && is_harmless(value)) {
        memcpy(out, text, length);
        *ret_bytes = length;
        *ret_cells = 1;
        return length;
    }
    if (length == 0)
        length = 1;
    for (size_t i = 0; i < length; i++) {
        out[wrote++] = '\\';
        out[wrote++] = 'x';
        out[wrote++] = digits[p[i] >> 4];
        out[wrote++] = digits[p[i] & 0xf];
    }
    *ret_bytes = *ret_cells = wrote;
    return length;
}

const char *nsh_printable(const char *text, size_t n, char *buf, size_t size)
{
    size_t used = 0, fits = 0; /* fits: how much may stand before a "..." */
    char one[17];

    if (size == 0)
        return buf;
    for (size_t i = 0; i < n;) {
        size_t bytes, cells;

        i += show_one(text + i, n - i, one, &bytes, &cells);
        if (used + bytes > size - 1) {
            used = fits;
            for (size_t dots = 0; dots < 3 && used < size - 1; dots++)
                buf[used++] = '.';
            break;
        }
        memcpy(buf + used, one, bytes);
        used += bytes;
        if (used + 3 <= size - 1)
            fits = used;
    }
    buf[used] = '\0';
    return buf;
}

/* What word processors, web pages and some keyboards put in the place of plain characters. */
static const struct {
    uint32_t first, last;
    const char *plain; /* NULL: it has no width */
} lookalikes[] = {
        {0xa0, 0xa0, "a space"},
        {0xab, 0xab, "a quote"},
        {0xad, 0xad, NULL},
        {0xbb, 0xbb, "a quote"},
        {0x2000, 0x200a, "a space"},
        {0x200b, 0x200f, NULL},
        {0x2010, 0x2015, "'-'"},
        {0x2018, 0x201f, "a quote"},
        {0x202f, 0x202f, "a space"},
        {0x2060, 0x2060, NULL},
        {0x2212, 0x2212, "'-'"},
        {0x3000, 0x3000, "a space"},
        {0xff0c, 0xff0c, "','"},
        {0xff1a, 0xff1a, "':'"},
};

bool nsh_diag_lookalike(const char *text, size_t n, char *buf, size_t size)
{
    for (size_t i = 0, length; i < n; i += length) {
        uint32_t c = 0;

        if (text[i] == '#' && (i == 0 || text[i - 1] == ' ' || text[i - 1] == '\t'))
            break;
        length = decode((const unsigned char *)text + i, n - i, &c);
        length = length > 0 ? length : 1;
        for (size_t k = 0; k < NSH_ARRAY_SIZE(lookalikes); k++) {
            const char *plain = lookalikes[k].plain;

            if (c < lookalikes[k].first || c > lookalikes[k].last)
                continue;
            if (plain)
                (void)snprintf(buf, size, "U+%04X in this line looks like %s and is not: type %s",
                        c, plain, plain);
            else
                (void)snprintf(buf, size, "U+%04X in this line can't be seen: delete it", c);
            return true;
        }
    }
    return false;
}

/* As show_one, but a tab is \t: it is the one control character that is common in files. */
static size_t show_source(
        const char *text, size_t n, char *out, size_t *ret_bytes, size_t *ret_cells)
{
    if (text[0] != '\t')
        return show_one(text, n, out, ret_bytes, ret_cells);
    out[0] = '\\';
    out[1] = 't';
    *ret_bytes = *ret_cells = 2;
    return 1;
}

/* Cells in front of the character `column`. */
static size_t cells_before(const char *text, size_t n, uint32_t column)
{
    size_t sum = 0, bytes, cells;
    char one[17];

    for (size_t i = 0; i < n && column > 1; column--) {
        i += show_source(text + i, n - i, one, &bytes, &cells);
        sum += cells;
    }
    return sum;
}

char *nsh_diag_render(const char *text, size_t n, uint32_t column, int *ret_caret)
{
    size_t caret = column ? cells_before(text, n, column) : 0;
    /* Far right: what stands around the caret is worth more than the beginning. */
    size_t skip = caret > NSH_DIAG_SOURCE_CELLS * 3 / 4 ? caret - NSH_DIAG_SOURCE_CELLS / 2 : 0;
    char *out = malloc((NSH_DIAG_SOURCE_CELLS + 8) * 4 + 17), one[17];
    size_t used = 0, at = 0, shown = 0, before = 0;

    if (!out)
        return NULL;
    if (skip > 0) {
        memcpy(out, "...", 3);
        used = 3;
    }
    for (size_t i = 0; i < n;) {
        size_t bytes, cells;

        i += show_source(text + i, n - i, one, &bytes, &cells);
        at += cells;
        if (at <= skip)
            continue;
        if (shown + cells > NSH_DIAG_SOURCE_CELLS) {
            memcpy(out + used, "...", 3);
            used += 3;
            break;
        }
        if (at <= caret)
            before += cells;
        memcpy(out + used, one, bytes);
        used += bytes;
        shown += cells;
    }
    while (used > 0 && out[used - 1] == ' ')
        used--;
    out[used] = '\0';
    *ret_caret = column ? (int)(before + (skip > 0 ? 3 : 0)) : -1;
    return out;
}
