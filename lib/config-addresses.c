/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The types of addresses and prefixes, and what to say when one is not right.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "config-patterns.h"
#include "config-routes.h"
#include "nearest.h"

/* The length that a mask such as 255.255.255.0 stands for; -1: it is none. */
static int mask_length(const char *text)
{
    struct in_addr mask;
    uint32_t bits;

    if (inet_pton(AF_INET, text, &mask) != 1)
        return -1;
    bits = ntohl(mask.s_addr);
    if ((~bits & (~bits + 1)) != 0)
        return -1;
    return bits == 0 ? 0 : 32 - __builtin_ctz(bits);
}

/* "address/255.255.255.0", or with a blank between: says how it is written. */
static bool hint_mask(const char *text, char *hint, size_t size)
{
    const char *slash = strpbrk(text, "/ ");
    struct nsh_prefix p = {0};
    char address[INET_ADDRSTRLEN], shown[NSH_PREFIX_TEXT];
    int length = slash ? mask_length(slash + 1 + strspn(slash + 1, " /")) : -1;

    if (length < 0 || (size_t)(slash - text) >= sizeof(address))
        return false;
    (void)snprintf(address, sizeof(address), "%.*s", (int)(slash - text), text);
    if (!nsh_addr_parse(address, &p.family, &p.addr) || p.family != AF_INET)
        return false;
    p.length = (uint8_t)length;
    nsh_prefix_mask(&p);
    (void)snprintf(hint, size, "write %s", nsh_prefix_format(&p, shown));
    return true;
}

static bool has_leading_zero(const char *text)
{
    for (const char *p = text; *p; p++)
        if (*p == '0' && p[1] >= '0' && p[1] <= '9' && (p == text || p[-1] == '.'))
            return strchr(text, ':') == NULL;
    return false;
}

/* Dots and digits, with a length or without, but too few of them: "10", "10/8", "192.168/16". */
static bool hint_short(const char *text, char *hint, size_t size)
{
    size_t n = strcspn(text, "/");
    char padded[INET_ADDRSTRLEN];
    struct in_addr addr;
    int dots = 0;

    if (n == 0 || n > 11 || strspn(text, "0123456789.") != n)
        return false;
    for (size_t i = 0; i < n; i++)
        dots += text[i] == '.';
    if (dots > 2 || text[n - 1] == '.')
        return false;
    (void)snprintf(padded, sizeof(padded), "%.*s%s", (int)n, text, &".0.0.0"[(size_t)dots * 2]);
    if (inet_pton(AF_INET, padded, &addr) != 1)
        return false;
    if (text[n] == '/')
        (void)snprintf(hint, size, "write all four numbers: %s%.8s", padded, text + n);
    else
        (void)snprintf(hint, size, "write all four numbers, as in %s/%d", padded, 8 * (dots + 1));
    return true;
}

/* Four numbers, one of which is none of a byte: "192.0.2.256". */
static bool has_large_number(const char *text)
{
    unsigned a, b, c, d;
    int n = 0;

    return sscanf(text, "%5u.%5u.%5u.%5u%n", &a, &b, &c, &d, &n) == 4 &&
           (text[n] == '\0' || text[n] == '/') && (a > 255 || b > 255 || c > 255 || d > 255);
}

/* What is meant by something that is no address. */
static void hint_address(
        const struct nsh_key *key, const char *text, const char *otherwise, char *hint, size_t size)
{
    const char *zone = strchr(text, '%');
    char shown[IFNAMSIZ + 8];

    if (nsh_hint_several(key, text, hint, size) || hint_mask(text, hint, size))
        return;
    if (has_large_number(text))
        (void)snprintf(hint, size, "each of its numbers is 0 to 255");
    else if (strchr(text, ' '))
        (void)snprintf(hint, size,
                "write the address alone; what follows it belongs to keys of their own, such as "
                "via: 192.0.2.1");
    else if (has_leading_zero(text))
        (void)snprintf(hint, size, "write its numbers without leading zeros");
    else if (hint_short(text, hint, size))
        return;
    else if (zone && strchr(text, ':'))
        (void)snprintf(hint, size, "leave out '%%%s' and write dev: %s",
                nsh_printable(zone + 1, strlen(zone + 1), shown, sizeof(shown)), shown);
    else if (text[0] != '\0' && strlen(text) < 40 && text[strlen(text) - 1] == ':' &&
             strspn(text, "0123456789abcdefABCDEF:") == strlen(text))
        (void)snprintf(hint, size, "quote it: \"%s:\"", text); /* YAML took the last colon */
    else if (text[0] == '[')
        (void)snprintf(hint, size, "leave out the brackets");
    else
        (void)snprintf(hint, size, "%s", otherwise);
}

static void refuse_bits(
        struct nsh_loader *l, const struct nsh_yaml_event *value, const struct nsh_prefix *p)
{
    char hint[NSH_HINT_TEXT], shown[NSH_PREFIX_TEXT];

    (void)snprintf(hint, sizeof(hint), "write %s", nsh_prefix_format(p, shown));
    nsh_loader_error(l, value->mark, hint, "%s has host bits set", nsh_loader_show(l, value->text));
}

static void refuse_length(
        struct nsh_loader *l, const struct nsh_key *key, const struct nsh_yaml_event *value)
{
    char hint[NSH_HINT_TEXT];

    if (nsh_hint_several(key, value->text, hint, sizeof(hint)))
        nsh_loader_error(
                l, value->mark, hint, "'%s' is not one prefix", nsh_loader_show(l, value->text));
    else if (hint_mask(value->text, hint, sizeof(hint)))
        nsh_loader_error(l, value->mark, hint, "'%s' has a mask where its length belongs",
                nsh_loader_show(l, value->text));
    else
        nsh_loader_error(l, value->mark,
                strchr(value->text, ':') ? "the length can be 0 to 128"
                                         : "the length can be 0 to 32",
                "'%s' has no valid prefix length", nsh_loader_show(l, value->text));
}

static const char *next_default(void *userdata, size_t i)
{
    (void)userdata;
    return i == 0 ? "default" : NULL;
}

static bool means_default(const char *text)
{
    static const char *const words[] = {"any", "all", "0", "0/0", "everything"};

    for (size_t i = 0; i < NSH_ARRAY_SIZE(words); i++)
        if (strcasecmp(text, words[i]) == 0)
            return true;
    return nsh_nearest(text, next_default, NULL) != NULL;
}

/*
 * Parses a prefix; false: reported, with `everything` as the hint where all addresses are meant,
 * and `example` where it can't be told what is.
 */
static bool parse_prefix(struct nsh_loader *l, const struct nsh_key *key,
        const struct nsh_yaml_event *value, const char *everything, const char *example,
        struct nsh_prefix *ret)
{
    char hint[NSH_HINT_TEXT];
    struct nsh_prefix p;

    switch (nsh_prefix_parse(value->text, &p)) {
    case NSH_PREFIX_OK:
        if (l->advise && nsh_addr_is_zero(&p.addr) && p.length == nsh_addr_bits(p.family))
            nsh_loader_warning(l, value->mark, everything, "%s is a single address that nobody has",
                    value->text);
        *ret = p;
        return true;
    case NSH_PREFIX_HOST_BITS:
        refuse_bits(l, value, &p);
        return false;
    case NSH_PREFIX_LENGTH:
        refuse_length(l, key, value);
        return false;
    case NSH_PREFIX_BAD:
    default:
        if (nsh_diags_errors(l->diags) >= NSH_DIAG_MAX)
            hint[0] = '\0';
        else if (!strchr(value->text, ' ') && means_default(value->text))
            (void)snprintf(hint, sizeof(hint), "%s", everything);
        else
            hint_address(key, value->text, example, hint, sizeof(hint));
        nsh_loader_error(l, value->mark, hint, "'%s' is not an address or prefix",
                nsh_loader_show(l, value->text));
        return false;
    }
}

static void read_to(struct nsh_loader *l, const struct nsh_key *key, void *field,
        const struct nsh_yaml_event *value)
{
    struct nsh_config *c = l->config;
    struct nsh_prefix p = {0};

    (void)field;
    if (strcmp(value->text, "default") != 0 &&
            !parse_prefix(l, key, value, "write default",
                    "write default, 10.0.0.0/8, 192.0.2.1 or \"2001:db8::/32\"", &p))
        return;
    if (!nsh_loader_grow(l, &c->routes, c->n_routes, &l->routes_room, sizeof(*c->routes)))
        return;
    /* The rest, with the family of a default route, comes when the object is complete. */
    c->routes[c->n_routes++] = (struct nsh_route){.dst = p.addr,
            .dst_length = p.length,
            .family = p.family,
            .origin = nsh_origins_at(c->origins, value->mark.line)};
}

const struct nsh_key_type nsh_type_to = {.what = "default, a prefix or an address",
        .hint = "write, say, to: default or to: 10.0.0.0/8",
        .read = read_to,
        .forms = NSH_FORM_TEXT,
        .pattern = "^(default|" NSH_PREFIX_PATTERN ")$",
        .object = &nsh_object_list};

static void read_prefix(struct nsh_loader *l, const struct nsh_key *key, void *field,
        const struct nsh_yaml_event *value)
{
    struct nsh_prefixes *list = field;
    struct nsh_prefix p;

    if (!parse_prefix(l, key, value, "leave the key out to mean any",
                "write a prefix such as 10.0.0.0/8 or \"2001:db8::/32\"", &p))
        return;
    if (list->n >= NSH_PREFIXES_MAX) {
        nsh_loader_error(
                l, value->mark, NULL, "more than %u prefixes in one list", NSH_PREFIXES_MAX);
        return;
    }
    if (nsh_loader_grow(l, &list->items, list->n, &list->room, sizeof(*list->items)))
        list->items[list->n++] = p;
}

const struct nsh_key_type nsh_type_prefix = {.what = "a prefix or an address",
        .hint = "write, say, 192.168.1.0/24",
        .read = read_prefix,
        .forms = NSH_FORM_TEXT,
        .pattern = "^" NSH_PREFIX_PATTERN "$"};

const struct nsh_key_type nsh_type_prefixes = {.what = "a prefix, an address or {file: PATH}",
        .hint = "write, say, 192.168.1.0/24",
        .read = read_prefix,
        .forms = NSH_FORM_TEXT,
        .pattern = "^" NSH_PREFIX_PATTERN "$",
        .object = &nsh_object_list};

static void read_one_prefix(struct nsh_loader *l, const struct nsh_key *key, void *field,
        const struct nsh_yaml_event *value)
{
    struct nsh_prefix p;

    if (parse_prefix(l, key, value, "write the network's prefix",
                "write a prefix such as 10.0.0.0/24 or \"2001:db8:1::/48\"", &p))
        *(struct nsh_prefix *)field = p;
}

const struct nsh_key_type nsh_type_one_prefix = {.what = "a prefix",
        .hint = "write, say, 192.168.1.0/24",
        .read = read_one_prefix,
        .forms = NSH_FORM_TEXT,
        .pattern = "^" NSH_PREFIX_PATTERN "$",
        .size = sizeof(struct nsh_prefix)};

static bool is_multicast(const struct nsh_prefix *p)
{
    return p->family == AF_INET6 ? p->addr.bytes[0] == 0xff : (p->addr.bytes[0] & 0xf0) == 0xe0;
}

static void read_address(struct nsh_loader *l, const struct nsh_key *key, void *field,
        const struct nsh_yaml_event *value)
{
    char hint[NSH_HINT_TEXT];
    struct nsh_prefix p = {0};
    const char *slash = strchr(value->text, '/');

    if (nsh_addr_parse(value->text, &p.family, &p.addr)) {
        p.length = nsh_addr_bits(p.family);
        if (nsh_addr_is_zero(&p.addr) || is_multicast(&p) ||
                (p.family == AF_INET && p.addr.words[0] == UINT32_MAX))
            nsh_loader_error(l, value->mark, NULL, "%s can't be a '%s': it is no host's address",
                    value->text, key->name);
        else
            *(struct nsh_prefix *)field = p;
        return;
    }
    if (slash && nsh_prefix_parse(value->text, &p) != NSH_PREFIX_BAD) {
        (void)snprintf(hint, sizeof(hint), "write %.*s", (int)(slash - value->text), value->text);
        nsh_loader_error(l, value->mark, hint, "'%s' wants an address without a length", key->name);
        return;
    }
    hint_address(key, value->text, "write an address; names are not looked up", hint, sizeof(hint));
    nsh_loader_error(
            l, value->mark, hint, "'%s' is not an address", nsh_loader_show(l, value->text));
}

const struct nsh_key_type nsh_type_address = {.what = "an address",
        .hint = "write, say, 192.168.1.1",
        .read = read_address,
        .forms = NSH_FORM_TEXT,
        .pattern = "^" NSH_ADDRESS_PATTERN "$",
        .size = sizeof(struct nsh_prefix)};

/* One address, or "first-last". */
static void read_address_range(struct nsh_loader *l, const struct nsh_key *key, void *field,
        const struct nsh_yaml_event *value)
{
    const char *dash = strchr(value->text, '-');
    nsh_autofree char *text =
            strndup(value->text, dash ? (size_t)(dash - value->text) : value->length);
    struct nsh_yaml_event end = *value;
    struct nsh_prefix first = {0}, last = {0};

    if (!text) {
        nsh_loader_no_memory(l);
        return;
    }
    end.text = text;
    end.length = strlen(text);
    read_address(l, key, &first, &end);
    if (first.family == AF_UNSPEC)
        return;
    last = first;
    if (dash && dash[1] != '\0') {
        last.family = AF_UNSPEC;
        end.text = dash + 1;
        end.length = strlen(end.text);
        read_address(l, key, &last, &end);
        if (last.family == AF_UNSPEC)
            return;
    }
    if (first.family != last.family || nsh_addr_cmp(&first.addr, &last.addr) > 0 ||
            (dash && dash[1] == '\0'))
        nsh_loader_error(l, value->mark, "write the lower address first, both of one family",
                "'%s' is no range of addresses", nsh_loader_show(l, value->text));
    else
        *(struct nsh_address_range *)field = (struct nsh_address_range){
                .family = first.family, .first = first.addr, .last = last.addr};
}

const struct nsh_key_type nsh_type_address_range = {.what = "an address or a range of addresses",
        .hint = "write, say, 203.0.113.5 or 203.0.113.5-203.0.113.9",
        .read = read_address_range,
        .forms = NSH_FORM_TEXT,
        .pattern = "^" NSH_ADDRESS_PATTERN "(-" NSH_ADDRESS_PATTERN ")?$",
        .size = sizeof(struct nsh_address_range)};

const struct nsh_key_type nsh_type_gateway = {.what = "an address or {learned-on: DEVICE}",
        .hint = "write, say, 192.168.1.1",
        .read = read_address,
        .forms = NSH_FORM_TEXT,
        .pattern = "^" NSH_ADDRESS_PATTERN "$",
        .size = sizeof(struct nsh_prefix),
        .object = &nsh_object_learned};
