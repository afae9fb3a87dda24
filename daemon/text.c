/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "text.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "diag.h"

/* A byte becomes four at most ("\x1b"); what is over is for the NUL and the mark of a cut. */
#define PRINTABLE_SIZE(n) ((n)*4 + 8)

char *nsh_text_line(const char *text)
{
    size_t n = strlen(text);
    char *line = malloc(PRINTABLE_SIZE(n));

    if (!line)
        return NULL;
    nsh_printable(text, n, line, PRINTABLE_SIZE(n));
    return line;
}

char *nsh_text_lines(const char *text)
{
    size_t n = strlen(text);

    while (n > 0 && text[n - 1] == '\n')
        n--;
    size_t size = PRINTABLE_SIZE(n);
    char *all = malloc(size);
    if (!all)
        return NULL;

    char *at = all;
    for (const char *line = text, *end = text + n;;) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        size_t length = (size_t)((stop ? stop : end) - line);

        nsh_printable(line, length, at, size - (size_t)(at - all));
        at += strlen(at);
        if (!stop)
            return all;
        *at++ = '\n';
        line = stop + 1;
    }
}

/* Length of the valid character at `p`, 0 if there is none. The NUL at the end stops it. */
static size_t utf8_length(const unsigned char *p)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = p[0] < 0x80 ? 1 : p[0] < 0xc0 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;

    if (n <= 1)
        return n;
    if (p[0] >= 0xf8)
        return 0;
    uint32_t c = p[0] & (0xffU >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3fU);
    }
    bool surrogate = c >= 0xd800 && c <= 0xdfff;
    /* sd-bus refuses them, although Unicode allows their interchange. */
    bool noncharacter = (c >= 0xfdd0 && c <= 0xfdef) || (c & 0xfffe) == 0xfffe;
    return c < least[n] || c > 0x10ffff || surrogate || noncharacter ? 0 : n;
}

char *nsh_text_utf8(const char *text)
{
    static const char replacement[] = "\xef\xbf\xbd";
    char *clean = malloc(strlen(text) * (sizeof(replacement) - 1) + 1);

    if (!clean)
        return NULL;
    char *at = clean;
    for (const char *p = text; *p;) {
        size_t n = utf8_length((const unsigned char *)p);

        if (n > 0)
            at = mempcpy(at, p, n);
        else
            at = mempcpy(at, replacement, sizeof(replacement) - 1);
        p += n > 0 ? n : 1;
    }
    *at = '\0';
    return clean;
}

const char *nsh_duration_format(uint64_t usec, char buf[static NSH_DURATION_TEXT])
{
    static const struct {
        const char *unit, *small;
        uint64_t unit_s, small_s;
    } scales[] = {
            {"d", "h", 86400, 3600},
            {"h", "min", 3600, 60},
            {"min", "s", 60, 1},
    };
    uint64_t s = usec / 1000000;

    for (size_t i = 0; i < NSH_ARRAY_SIZE(scales); i++) {
        uint64_t whole = s / scales[i].unit_s, rest = s % scales[i].unit_s / scales[i].small_s;

        if (whole > 0 && rest > 0)
            snprintf(buf, NSH_DURATION_TEXT, "%" PRIu64 " %s %" PRIu64 " %s", whole, scales[i].unit,
                    rest, scales[i].small);
        else if (whole > 0)
            snprintf(buf, NSH_DURATION_TEXT, "%" PRIu64 " %s", whole, scales[i].unit);
        if (whole > 0)
            return buf;
    }
    /* Digits are cut, not rounded: 999.9 ms must not become "1000 ms". */
    if (s >= 10)
        snprintf(buf, NSH_DURATION_TEXT, "%" PRIu64 " s", s);
    else if (s > 0)
        snprintf(buf, NSH_DURATION_TEXT, "%" PRIu64 ".%" PRIu64 " s", s, usec / 100000 % 10);
    else if (usec >= 10000)
        snprintf(buf, NSH_DURATION_TEXT, "%" PRIu64 " ms", usec / 1000);
    else if (usec >= 100)
        snprintf(
                buf, NSH_DURATION_TEXT, "%" PRIu64 ".%" PRIu64 " ms", usec / 1000, usec / 100 % 10);
    else
        snprintf(buf, NSH_DURATION_TEXT, "0.%02" PRIu64 " ms", usec >= 10 ? usec / 10 : 1);
    return buf;
}

const char *nsh_text_word(const char *text, char *buf, size_t size)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_-+=./:,@%";
    size_t n = 0;

    if (*text != '\0' && text[strspn(text, plain)] == '\0') {
        snprintf(buf, size, "%s", text);
        return buf;
    }
    n = (size_t)snprintf(buf, size, "'");
    for (; *text && n + 6 < size; text++)
        n += *text == '\'' ? (size_t)snprintf(buf + n, size - n, "'\\''")
                           : (size_t)snprintf(buf + n, size - n, "%c", *text);
    snprintf(buf + n, size - n, "'");
    return buf;
}

const char *nsh_clock_format(uint64_t usec, char buf[static NSH_CLOCK_TEXT])
{
    time_t when = (time_t)(usec / 1000000), now = time(NULL);
    struct tm tm, today;

    buf[0] = '\0';
    if (!localtime_r(&when, &tm) || !localtime_r(&now, &today))
        return buf;
    bool is_today = tm.tm_year == today.tm_year && tm.tm_yday == today.tm_yday;
    (void)strftime(buf, NSH_CLOCK_TEXT, is_today ? "%H:%M" : "%Y-%m-%d %H:%M", &tm);
    return buf;
}
