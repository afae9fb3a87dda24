/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "duration.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

static const struct {
    const char *name;
    uint64_t usec;
} units[] = {
        {"us", 1},
        {"usec", 1},
        {"\xc2\xb5s", 1},
        {"\xce\xbcs", 1},
        {"ms", 1000},
        {"msec", 1000},
        {"s", 1000000},
        {"sec", 1000000},
        {"second", 1000000},
        {"seconds", 1000000},
        {"", 1000000},
        {"m", 60000000},
        {"min", 60000000},
        {"minute", 60000000},
        {"minutes", 60000000},
        {"h", 3600000000},
        {"hr", 3600000000},
        {"hour", 3600000000},
        {"hours", 3600000000},
        {"d", 86400000000},
        {"day", 86400000000},
        {"days", 86400000000},
        {"w", 604800000000},
        {"week", 604800000000},
        {"weeks", 604800000000},
};

static uint64_t unit_of(const char *text, size_t n)
{
    for (size_t i = 0; i < NSH_ARRAY_SIZE(units); i++)
        if (strlen(units[i].name) == n && memcmp(units[i].name, text, n) == 0)
            return units[i].usec;
    return 0;
}

/* One "1.5min" of a time; moves *p behind it. */
static bool parse_term(const char **p, uint64_t *sum)
{
    const char *text = *p;
    size_t whole = strspn(text, "0123456789"), part = 0, unit;
    uint64_t number, usec, rest = 0, scale;

    if (whole == 0 || (text[0] == '0' && whole > 1))
        return false;
    number = strtoull(text, NULL, 10);
    text += whole;
    if (text[0] == '.') {
        part = strspn(++text, "0123456789");
        if (part == 0)
            return false;
    }
    unit = strcspn(text + part + strspn(text + part, " "), " 0123456789.");
    usec = unit_of(text + part + strspn(text + part, " "), unit);
    if (usec == 0 || number > UINT64_MAX / usec)
        return false;
    scale = usec;
    for (size_t i = 0; i < part; i++) {
        scale /= 10;
        rest += scale * (uint64_t)(text[i] - '0');
    }
    if (number * usec > UINT64_MAX - rest || number * usec + rest > UINT64_MAX - *sum)
        return false;
    *sum += number * usec + rest;
    *p = text + part + strspn(text + part, " ") + unit;
    return true;
}

bool nsh_duration_parse(const char *text, uint64_t *ret)
{
    uint64_t sum = 0;

    do {
        if (!parse_term(&text, &sum))
            return false;
        text += strspn(text, " ");
    } while (*text);
    *ret = sum;
    return true;
}

const char *nsh_duration_exact(uint64_t usec, char *buf, size_t size)
{
    static const struct {
        const char *name;
        uint64_t usec;
    } shown[] = {{"d", 86400000000}, {"s", 1000000}, {"ms", 1000}, {"us", 1}};
    size_t i = 0;

    while (usec % shown[i].usec != 0)
        i++;
    (void)snprintf(buf, size, "%" PRIu64 "%s", usec / shown[i].usec, shown[i].name);
    return buf;
}
