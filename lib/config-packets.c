/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The types of what packets are told apart by: marks, ports, protocols, users.
 */
#include <ctype.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "config-loader.h"
#include "config-patterns.h"

/* ---- marks ---- */

/* Decimal, or hexadecimal after 0x; no leading zeros else. */
static bool parse_mark_number(const char *text, size_t n, uint32_t *ret)
{
    bool hex = n > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    const char *digits = hex ? text + 2 : text;
    size_t length = hex ? n - 2 : n;
    char copy[12];
    unsigned long long value;

    if (length == 0 || length > 10 || (!hex && text[0] == '0' && n > 1))
        return false;
    for (size_t i = 0; i < length; i++)
        if (hex ? !isxdigit((unsigned char)digits[i]) : !isdigit((unsigned char)digits[i]))
            return false;
    memcpy(copy, digits, length);
    copy[length] = '\0';
    value = strtoull(copy, NULL, hex ? 16 : 10);
    if (value > UINT32_MAX)
        return false;
    *ret = (uint32_t)value;
    return true;
}

static void read_mark(struct nsh_loader *l, const struct nsh_key *key, void *field,
        const struct nsh_yaml_event *value)
{
    const char *slash = strchr(value->text, '/');
    size_t n = slash ? (size_t)(slash - value->text) : value->length;
    struct nsh_mark m = {.mask = UINT32_MAX};
    char hint[NSH_HINT_TEXT];

    if (!parse_mark_number(value->text, n, &m.value) ||
            (slash && !parse_mark_number(slash + 1, value->length - n - 1, &m.mask))) {
        nsh_loader_error(l, value->mark, "write a mark such as 0x10, or with a mask, 0x10/0xff",
                "'%s' wants a mark, not '%s'", key->name, nsh_loader_show(l, value->text));
        return;
    }
    if (m.mask == 0) {
        nsh_loader_error(l, value->mark, "leave the key out to mean any mark",
                "a mask of 0 looks at no bit of the mark");
        return;
    }
    if (m.value & ~m.mask) {
        (void)snprintf(
                hint, sizeof(hint), "write 0x%x/0x%x, or a wider mask", m.value & m.mask, m.mask);
        nsh_loader_error(l, value->mark, hint,
                "nothing can match '%s': the mark has bits that the mask leaves out",
                nsh_loader_show(l, value->text));
        return;
    }
    *(struct nsh_mark *)field = m;
}

#define MARK "(0[xX][0-9A-Fa-f]{1,8}|0|[1-9][0-9]{0,9})"

const struct nsh_key_type nsh_type_mark = {.what = "a mark",
        .hint = "write, say, 0x10 or 0x10/0xff",
        .read = read_mark,
        .forms = NSH_FORM_INTEGER | NSH_FORM_TEXT,
        .pattern = "^" MARK "(/" MARK ")?$",
        .size = sizeof(struct nsh_mark)};

/* ---- ranges ---- */

/* One end of a range, judged as any other number. */
static bool parse_end(struct nsh_loader *l, const struct nsh_key *key,
        const struct nsh_yaml_event *value, const char *text, size_t n, uint32_t *ret)
{
    struct nsh_yaml_event end = *value;
    nsh_autofree char *copy = strndup(text, n);
    uint64_t number;

    if (!copy) {
        nsh_loader_no_memory(l);
        return false;
    }
    end.text = copy;
    end.length = n;
    if (!nsh_parse_integer(l, key, &end, &number))
        return false;
    *ret = (uint32_t)number;
    return true;
}

/* "1000:2000" and its like, of other programs. */
static bool refuse_separator(
        struct nsh_loader *l, const struct nsh_key *key, const struct nsh_yaml_event *value)
{
    size_t first = strspn(value->text, "0123456789");
    size_t between = strspn(value->text + first, ":.- ");
    const char *rest = value->text + first + between;
    char hint[NSH_HINT_TEXT];

    if (first == 0 || first > 10 || between == 0 || rest[0] == '\0' || strlen(rest) > 10 ||
            rest[strspn(rest, "0123456789")] != '\0' || (between == 1 && value->text[first] == '-'))
        return false;
    (void)snprintf(hint, sizeof(hint), "write %.*s-%s", (int)first, value->text, rest);
    nsh_loader_error(l, value->mark, hint, "'%s' wants a range with a '-', not '%s'", key->name,
            nsh_loader_show(l, value->text));
    return true;
}

static void read_range(struct nsh_loader *l, const struct nsh_key *key, void *field,
        const struct nsh_yaml_event *value)
{
    const char *dash = strchr(value->text + (value->length > 0), '-');
    size_t n = dash ? (size_t)(dash - value->text) : value->length;
    struct nsh_range r;
    char hint[NSH_HINT_TEXT];

    if (refuse_separator(l, key, value) || !parse_end(l, key, value, value->text, n, &r.first))
        return;
    r.last = r.first;
    if (dash && !parse_end(l, key, value, dash + 1, value->length - n - 1, &r.last))
        return;
    if (r.last < r.first) {
        (void)snprintf(hint, sizeof(hint), "write %u-%u", r.last, r.first);
        nsh_loader_error(l, value->mark, hint, "the range '%s' ends before it begins",
                nsh_loader_show(l, value->text));
        return;
    }
    *(struct nsh_range *)field = r;
}

const struct nsh_key_type nsh_type_range = {.what = "a number or a range",
        .hint = "write, say, 80 or 1000-2000",
        .read = read_range,
        .forms = NSH_FORM_INTEGER | NSH_FORM_TEXT,
        .pattern = NSH_RANGE_PATTERN,
        .size = sizeof(struct nsh_range)};

static void read_ranges(struct nsh_loader *l, const struct nsh_key *key, void *field,
        const struct nsh_yaml_event *value)
{
    struct nsh_ranges *list = field;
    struct nsh_range r = {0};

    read_range(l, key, &r, value);
    if (r.last == 0)
        return;
    for (size_t i = 0; i < list->n; i++)
        if (list->items[i].first <= r.last && r.first <= list->items[i].last) {
            nsh_loader_error(l, value->mark, "leave one of them out, or write one range for both",
                    "'%s' is twice in '%s'", nsh_loader_show(l, value->text), key->name);
            return;
        }
    if (list->n >= NSH_RANGES_MAX)
        nsh_loader_error(l, value->mark, "write ranges", "more than %u entries in '%s'",
                NSH_RANGES_MAX, key->name);
    else if (nsh_loader_grow(l, &list->items, list->n, &list->room, sizeof(*list->items)))
        list->items[list->n++] = r;
}

const struct nsh_key_type nsh_type_ranges = {.what = "a number or a range",
        .hint = "write, say, 80 or 1000-2000",
        .read = read_ranges,
        .forms = NSH_FORM_INTEGER | NSH_FORM_TEXT,
        .pattern = NSH_RANGE_PATTERN};

/* ---- protocols ---- */

/* A table of our own: what a file means must not hang on /etc/protocols. */
static const struct nsh_word protocols[] = {
        {"icmp", IPPROTO_ICMP},
        {"igmp", IPPROTO_IGMP},
        {"ipip", IPPROTO_IPIP},
        {"tcp", IPPROTO_TCP},
        {"udp", IPPROTO_UDP},
        {"dccp", IPPROTO_DCCP},
        {"ipv6", IPPROTO_IPV6},
        {"gre", IPPROTO_GRE},
        {"esp", IPPROTO_ESP},
        {"ah", IPPROTO_AH},
        {"icmpv6", IPPROTO_ICMPV6},
        {"ospf", 89},
        {"pim", IPPROTO_PIM},
        {"vrrp", 112},
        {"l2tp", 115},
        {"sctp", IPPROTO_SCTP},
        {"udplite", IPPROTO_UDPLITE},
        {NULL, 0},
};

static void read_ip_protocol(struct nsh_loader *l, const struct nsh_key *key, void *field,
        const struct nsh_yaml_event *value)
{
    char hint[NSH_HINT_TEXT];
    uint64_t number;

    if (isdigit((unsigned char)value->text[0]) || value->text[0] == '-') {
        if (nsh_parse_integer(l, key, value, &number))
            *(uint32_t *)field = (uint32_t)number;
        return;
    }
    for (const struct nsh_word *w = protocols; w->text; w++)
        if (strcmp(w->text, value->text) == 0) {
            *(uint32_t *)field = w->value;
            return;
        }
    if (strcmp(value->text, "any") == 0 || strcmp(value->text, "all") == 0)
        (void)snprintf(hint, sizeof(hint), "leave the key out to mean any");
    else if (strcmp(value->text, "ipv6-icmp") == 0)
        (void)snprintf(hint, sizeof(hint), "write icmpv6");
    else
        nsh_hint_word(protocols, value->text, hint, sizeof(hint));
    nsh_loader_error(l, value->mark, hint, "'%s' is not the name of a protocol",
            nsh_loader_show(l, value->text));
}

const struct nsh_key_type nsh_type_ip_protocol = {.what = "a protocol's name or number",
        .hint = "write, say, tcp or 6",
        .read = read_ip_protocol,
        .forms = NSH_FORM_INTEGER | NSH_FORM_WORD,
        .words = protocols,
        .size = sizeof(uint32_t)};

static void read_protocols(struct nsh_loader *l, const struct nsh_key *key, void *field,
        const struct nsh_yaml_event *value)
{
    struct nsh_protocols *list = field;
    uint32_t protocol = 0;

    read_ip_protocol(l, key, &protocol, value);
    if (protocol == 0)
        return;
    for (size_t i = 0; i < list->n; i++)
        if (list->items[i] == protocol) {
            nsh_loader_error(l, value->mark, "leave one of them out", "'%s' is twice in '%s'",
                    nsh_loader_show(l, value->text), key->name);
            return;
        }
    if (list->n >= NSH_PROTOCOLS_MAX)
        nsh_loader_error(l, value->mark, "make several policies of it",
                "more than %u entries in '%s'", NSH_PROTOCOLS_MAX, key->name);
    else
        list->items[list->n++] = (uint8_t)protocol;
}

const struct nsh_key_type nsh_type_protocols = {.what = "a protocol's name or number",
        .hint = "write, say, tcp or [tcp, udp]",
        .read = read_protocols,
        .forms = NSH_FORM_INTEGER | NSH_FORM_WORD,
        .words = protocols};
