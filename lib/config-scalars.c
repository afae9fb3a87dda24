/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The types of plain values: numbers, words, times.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "config-loader.h"
#include "config-patterns.h"
#include "duration.h"

/* ---- numbers ---- */

static bool only_digits(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (text[i] < '0' || text[i] > '9')
            return false;
    return n > 0;
}

static bool is_hex(const char *text)
{
    return text[0] == '0' && (text[1] == 'x' || text[1] == 'X') && text[2] != '\0' &&
           text[2 + strspn(text + 2, "0123456789abcdefABCDEF")] == '\0';
}

/* Decimal digits to a number; UINT64_MAX when it is larger. */
static uint64_t to_number(const char *text, size_t n)
{
    uint64_t value = 0;

    for (size_t i = 0; i < n; i++) {
        unsigned digit = (unsigned)(text[i] - '0');

        if (value > (UINT64_MAX - digit) / 10)
            return UINT64_MAX;
        value = value * 10 + digit;
    }
    return value;
}

/* "1,000" and "1_000" are numbers to some. */
static bool has_thousands(const char *text)
{
    size_t n = strspn(text, "0123456789");

    if (n == 0 || n > 3)
        return false;
    for (text += n; *text == ',' || *text == '_'; text += 4)
        if (strspn(text + 1, "0123456789") != 3)
            return false;
    return *text == '\0';
}

static void refuse_number(
        struct nsh_loader *l, const struct nsh_key *key, const struct nsh_yaml_event *value)
{
    char hint[NSH_HINT_TEXT], digits[24];
    size_t n = 0;

    (void)snprintf(
            hint, sizeof(hint), "write a number from %" PRIu64 " to %" PRIu64, key->min, key->max);
    if (is_hex(value->text) && value->length <= 10) {
        unsigned number = 0;

        (void)sscanf(value->text + 2, "%8x", &number);
        (void)snprintf(hint, sizeof(hint), "write %u", number);
        nsh_loader_error(l, value->mark, hint, "'%s' is not written in hexadecimal", key->name);
        return;
    }
    for (const char *p = value->text; *p && n < sizeof(digits) - 1 && strchr("0123456789_,", *p);
            p++)
        if (*p >= '0' && *p <= '9')
            digits[n++] = *p;
    digits[n] = '\0';
    if (has_thousands(value->text) && to_number(digits, n) <= key->max)
        (void)snprintf(hint, sizeof(hint), "write %s", digits);
    else
        (void)nsh_hint_several(key, value->text, hint, sizeof(hint));
    nsh_loader_error(l, value->mark, hint, "'%s' wants a number, not '%s'", key->name,
            nsh_loader_show(l, value->text));
}

bool nsh_parse_integer(struct nsh_loader *l, const struct nsh_key *key,
        const struct nsh_yaml_event *value, uint64_t *ret)
{
    char hint[NSH_HINT_TEXT];
    const char *text = value->text;
    bool negative = text[0] == '-' && only_digits(text + 1, value->length - 1);
    uint64_t number;

    if (!negative && !only_digits(text, value->length)) {
        refuse_number(l, key, value);
        return false;
    }
    if (text[0] == '0' && value->length > 1) {
        size_t zeros = strspn(text, "0");

        (void)snprintf(hint, sizeof(hint), "write %.40s: some programs read a leading 0 as octal",
                text[zeros] ? text + zeros : "0");
        nsh_loader_error(
                l, value->mark, hint, "the number '%s' begins with 0", nsh_loader_show(l, text));
        return false;
    }
    number = negative ? 0 : to_number(text, value->length);
    if (negative || number < key->min || number > key->max) {
        (void)snprintf(hint, sizeof(hint), "it can be %" PRIu64 " to %" PRIu64, key->min, key->max);
        nsh_loader_error(l, value->mark, hint, "'%s' is out of range: %s", key->name,
                nsh_loader_show(l, text));
        return false;
    }
    *ret = number;
    return true;
}

static void read_integer(struct nsh_loader *l, const struct nsh_key *key, void *field,
        const struct nsh_yaml_event *value)
{
    uint64_t number;

    if (nsh_parse_integer(l, key, value, &number))
        *(uint32_t *)field = (uint32_t)number;
}

const struct nsh_key_type nsh_type_integer = {.what = "a number",
        .read = read_integer,
        .forms = NSH_FORM_INTEGER,
        .size = sizeof(uint32_t)};

/* The names of RFC 2474, 2597 and 3246, as rt_dsfield has them. */
static const struct nsh_word traffic_classes[] = {
        {"CS1", 0x20},
        {"CS2", 0x40},
        {"CS3", 0x60},
        {"CS4", 0x80},
        {"CS5", 0xa0},
        {"CS6", 0xc0},
        {"CS7", 0xe0},
        {"AF11", 0x28},
        {"AF12", 0x30},
        {"AF13", 0x38},
        {"AF21", 0x48},
        {"AF22", 0x50},
        {"AF23", 0x58},
        {"AF31", 0x68},
        {"AF32", 0x70},
        {"AF33", 0x78},
        {"AF41", 0x88},
        {"AF42", 0x90},
        {"AF43", 0x98},
        {"EF", 0xb8},
        {NULL, 0},
};

static unsigned find_traffic_class(const char *text)
{
    const struct nsh_word *w = traffic_classes;

    while (w->text && strcasecmp(w->text, text) != 0)
        w++;
    return w->value;
}

/*
 * `ip` reads every tos as hexadecimal, other programs as decimal: only what both read alike is
 * taken, unless the key has a range, which is one of decimal numbers. The kernel leaves the last
 * two bits to ECN.
 */
static void read_tos(struct nsh_loader *l, const struct nsh_key *key, void *field,
        const struct nsh_yaml_event *value)
{
    char hint[NSH_HINT_TEXT] = "write, say, 0x10";
    const char *text = value->text;
    unsigned number = 0;

    if (find_traffic_class(text) != 0) {
        *(uint32_t *)field = find_traffic_class(text);
        return;
    }
    if (is_hex(text) && value->length <= 4) {
        (void)sscanf(text + 2, "%2x", &number);
        if (number >= 4 && number % 4 == 0)
            *(uint32_t *)field = number;
        else
            nsh_loader_error(l, value->mark, "it can be 0x04 to 0xfc, in steps of four",
                    "'%s' is out of range: %s", key->name, text);
        return;
    }
    if (key->max != 0 && isdigit((unsigned char)text[0]) && !is_hex(text)) {
        read_integer(l, key, field, value);
        return;
    }
    if (only_digits(text, value->length) && value->length <= 3)
        (void)snprintf(hint, sizeof(hint), "write 0x%s if it is as in `ip route`, else 0x%02x",
                text, (unsigned)to_number(text, value->length));
    nsh_loader_error(l, value->mark, hint, "'%s' is written in hexadecimal, not '%s'", key->name,
            nsh_loader_show(l, text));
}

const struct nsh_key_type nsh_type_tos = {.what = "a number in hexadecimal",
        .read = read_tos,
        .forms = NSH_FORM_INTEGER | NSH_FORM_TEXT,
        .pattern = "^(0x[0-9A-Fa-f]{1,2}|[Cc][Ss][1-7]|[Aa][Ff][1-4][1-3]|[Ee][Ff])$",
        .size = sizeof(uint32_t)};

/* ---- true and false ---- */

static void read_bool(struct nsh_loader *l, const struct nsh_key *key, void *field,
        const struct nsh_yaml_event *value)
{
    static const char *const truths[] = {"yes", "on", "y", "true", "1"};
    static const char *const lies[] = {"no", "off", "n", "false", "0"};
    const char *hint = "write true or false";

    if (strcmp(value->text, "true") == 0 || strcmp(value->text, "false") == 0) {
        *(bool *)field = value->text[0] == 't';
        return;
    }
    for (size_t i = 0; i < NSH_ARRAY_SIZE(truths); i++)
        if (strcasecmp(value->text, truths[i]) == 0)
            hint = "write true";
    for (size_t i = 0; i < NSH_ARRAY_SIZE(lies); i++)
        if (strcasecmp(value->text, lies[i]) == 0)
            hint = "write false";
    nsh_loader_error(l, value->mark, hint, "'%s' wants true or false, not '%s'", key->name,
            nsh_loader_show(l, value->text));
}

const struct nsh_key_type nsh_type_bool = {
        .what = "true or false", .read = read_bool, .forms = NSH_FORM_BOOL, .size = sizeof(bool)};

/* ---- words ---- */

static bool find_word(const struct nsh_word *words, const char *text, unsigned *ret)
{
    for (; words->text; words++)
        if (strcmp(words->text, text) == 0) {
            *ret = words->value;
            return true;
        }
    return false;
}

static bool is_other_boolean(const char *text)
{
    static const char *const words[] = {"yes", "no", "on", "off", "true", "false"};

    for (size_t i = 0; i < NSH_ARRAY_SIZE(words); i++)
        if (strcasecmp(text, words[i]) == 0)
            return true;
    return false;
}

static void refuse_word(struct nsh_loader *l, const struct nsh_key *key,
        const struct nsh_word *words, const struct nsh_yaml_event *value)
{
    char hint[NSH_HINT_TEXT];

    /* "on" is two letters from "no", and means neither of the words that are like it. */
    nsh_hint_word(words, is_other_boolean(value->text) ? "" : value->text, hint, sizeof(hint));
    nsh_loader_error(
            l, value->mark, hint, "'%s' can't be '%s'", key->name, nsh_loader_show(l, value->text));
}

static void read_word(struct nsh_loader *l, const struct nsh_key *key, void *field,
        const struct nsh_yaml_event *value)
{
    if (!find_word(key->words, value->text, field))
        refuse_word(l, key, key->words, value);
}

const struct nsh_key_type nsh_type_word = {
        .what = "a word", .read = read_word, .forms = NSH_FORM_WORD, .size = sizeof(unsigned)};

static void read_flags(struct nsh_loader *l, const struct nsh_key *key, void *field,
        const struct nsh_yaml_event *value)
{
    unsigned bits;

    if (find_word(key->words, value->text, &bits))
        *(unsigned *)field |= bits;
    else
        refuse_word(l, key, key->words, value);
}

const struct nsh_key_type nsh_type_flags = {
        .what = "a word", .read = read_flags, .forms = NSH_FORM_WORD, .size = sizeof(unsigned)};

static const struct nsh_word families[] = {
        {"ipv4", NSH_FAMILY_IPV4},
        {"ipv6", NSH_FAMILY_IPV6},
        {NULL, 0},
};

static void read_families(struct nsh_loader *l, const struct nsh_key *key, void *field,
        const struct nsh_yaml_event *value)
{
    unsigned family;

    if (find_word(families, value->text, &family))
        *(unsigned *)field |= family;
    else if (strcmp(value->text, "both") == 0 || strcmp(value->text, "any") == 0)
        nsh_loader_error(
                l, value->mark, "write [ipv4, ipv6]", "'%s' can't be '%s'", key->name, value->text);
    else
        refuse_word(l, key, families, value);
}

const struct nsh_key_type nsh_type_families = {.what = "ipv4, ipv6 or [ipv4, ipv6]",
        .hint = "write ipv4, ipv6 or [ipv4, ipv6]",
        .read = read_families,
        .forms = NSH_FORM_WORD,
        .words = families,
        .size = sizeof(unsigned)};

static void read_scope(struct nsh_loader *l, const struct nsh_key *key, void *field,
        const struct nsh_yaml_event *value)
{
    uint64_t number;
    unsigned word;

    if (find_word(key->words, value->text, &word))
        *(uint32_t *)field = word;
    else if (!isdigit((unsigned char)value->text[0]) && value->text[0] != '-')
        refuse_word(l, key, key->words, value);
    else if (nsh_parse_integer(l, key, value, &number))
        *(uint32_t *)field = (uint32_t)number;
}

const struct nsh_key_type nsh_type_scope = {.what = "a word or a number",
        .read = read_scope,
        .forms = NSH_FORM_INTEGER | NSH_FORM_WORD,
        .size = sizeof(uint32_t)};

/* ---- times ---- */

static const char *hint_range(const struct nsh_key *key, char *hint, size_t size)
{
    char min[32], max[32];

    (void)snprintf(hint, size, "it can be %s to %s", nsh_duration_exact(key->min, min, sizeof(min)),
            nsh_duration_exact(key->max, max, sizeof(max)));
    return hint;
}

/*
 * ip-route(8) reads a bare number as milliseconds, systemd.time(7) as seconds: where both are at
 * home, a unit has to be said.
 */
static bool refuse_bare(
        struct nsh_loader *l, const struct nsh_key *key, const struct nsh_yaml_event *value)
{
    char hint[NSH_HINT_TEXT];

    if (value->length == 0 || value->length > 9 ||
            strspn(value->text, "0123456789") != value->length)
        return false;
    (void)snprintf(hint, sizeof(hint), "write %sms, or %ss", value->text, value->text);
    nsh_loader_error(l, value->mark, hint, "'%s' wants a unit behind %s", key->name, value->text);
    return true;
}

static void read_unit_duration(struct nsh_loader *l, const struct nsh_key *key, void *field,
        const struct nsh_yaml_event *value)
{
    if (!refuse_bare(l, key, value))
        nsh_type_duration.read(l, key, field, value);
}

static void read_duration(struct nsh_loader *l, const struct nsh_key *key, void *field,
        const struct nsh_yaml_event *value)
{
    char hint[NSH_HINT_TEXT];
    uint64_t usec;

    if (!nsh_duration_parse(value->text, &usec))
        nsh_loader_error(l, value->mark, "write a time such as 60s, 5min or 1min 30s",
                "'%s' wants a time, not '%s'", key->name, nsh_loader_show(l, value->text));
    else if (usec < key->min || usec > key->max)
        nsh_loader_error(l, value->mark, hint_range(key, hint, sizeof(hint)),
                "'%s' is out of range: %s", key->name, nsh_loader_show(l, value->text));
    else
        *(uint64_t *)field = usec;
}

const struct nsh_key_type nsh_type_duration = {.what = "a time",
        .hint = "write a time such as 60s, 5min or 1min 30s",
        .read = read_duration,
        .forms = NSH_FORM_SECONDS | NSH_FORM_TEXT,
        .pattern = "^" NSH_DURATION_PATTERN "$",
        .size = sizeof(uint64_t)};

const struct nsh_key_type nsh_type_unit_duration = {.what = "a time with its unit",
        .hint = "write a time such as 20ms",
        .read = read_unit_duration,
        .forms = NSH_FORM_TEXT,
        .pattern = "^(?![0-9]+$)" NSH_DURATION_PATTERN "$",
        .size = sizeof(uint64_t)};
