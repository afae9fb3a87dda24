/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The types of names: of routing tables, policies and devices.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "config-loader.h"
#include "nearest.h"

/* ---- routing tables ---- */

static const char *next_table(void *userdata, size_t i)
{
    const struct nsh_names *names = userdata;

    return i < names->n ? names->items[i].text : NULL;
}

/* The kernel's own come first, so that no file gives them other numbers. */
static bool load_tables(struct nsh_loader *l)
{
    if (l->tables_read)
        return true;
    if (nsh_names_add(&l->tables, "local", 255) < 0 || nsh_names_add(&l->tables, "main", 254) < 0 ||
            nsh_names_add(&l->tables, "default", 253) < 0 ||
            nsh_names_read(&l->tables, nsh_names_directories, "rt_tables") < 0) {
        nsh_loader_no_memory(l);
        return false;
    }
    l->tables_read = true;
    return true;
}

static const struct nsh_name *find_table(struct nsh_loader *l, const char *text)
{
    const struct nsh_name *found = nsh_names_find(&l->used_tables, text);

    if (found || !load_tables(l))
        return found;
    found = nsh_names_find(&l->tables, text);
    if (found && nsh_names_add(&l->used_tables, text, found->number) < 0)
        nsh_loader_no_memory(l);
    return found;
}

static void read_table(struct nsh_loader *l, const struct nsh_key *key, void *field,
        const struct nsh_yaml_event *value)
{
    const struct nsh_name *found;
    const char *near;
    char hint[NSH_HINT_TEXT];
    uint64_t number;

    if (isdigit((unsigned char)value->text[0]) || value->text[0] == '-') {
        if (nsh_parse_integer(l, key, value, &number))
            *(uint32_t *)field = (uint32_t)number;
        return;
    }
    found = find_table(l, value->text);
    if (found && found->number != 0) {
        *(uint32_t *)field = found->number;
        return;
    }
    if (found) {
        nsh_loader_error(l, value->mark, "leave the key out for the table 'main'",
                "table '%s' (0) holds no routes", nsh_loader_show(l, value->text));
        return;
    }
    near = nsh_nearest(value->text, next_table, &l->tables);
    if (near)
        (void)snprintf(hint, sizeof(hint), "did you mean '%s'?", near);
    else
        (void)snprintf(
                hint, sizeof(hint), "write its number, or name it in /etc/iproute2/rt_tables");
    nsh_loader_error(l, value->mark, hint, "there is no routing table named '%s'",
            nsh_loader_show(l, value->text));
}

const struct nsh_key_type nsh_type_table = {.what = "a table's number or name",
        .read = read_table,
        .forms = NSH_FORM_INTEGER | NSH_FORM_TEXT,
        .pattern = "^[^-0-9]",
        .size = sizeof(uint32_t)};

/* ---- names ---- */

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

static void read_policy(struct nsh_loader *l, const struct nsh_key *key, void *field,
        const struct nsh_yaml_event *value)
{
    char proposal[NSH_POLICY_NAME], hint[NSH_HINT_TEXT];
    bool right = value->length < NSH_POLICY_NAME && value->text[0] != '-';
    size_t n = 0;

    for (size_t i = 0; i < value->length; i++) {
        char c = (char)tolower((unsigned char)value->text[i]);

        right = right && is_name_char(value->text[i]);
        c = is_name_char(c) ? c : '-';
        if (n < NSH_POLICY_NAME - 1 && (n > 0 || c != '-'))
            proposal[n++] = c;
    }
    if (right) {
        memcpy(field, value->text, value->length + 1);
        return;
    }
    while (n > 0 && proposal[n - 1] == '-')
        n--;
    (void)snprintf(hint, sizeof(hint), "write, say, '%.*s'", (int)n, proposal);
    nsh_loader_error(l, value->mark, n > 0 ? hint : NULL,
            "'%s' can't be a name: 1 to %d of a-z, 0-9 and '-', not beginning with '-'",
            nsh_loader_show(l, value->text), NSH_POLICY_NAME - 1);
    (void)key;
}

const struct nsh_key_type nsh_type_policy = {.what = "a name",
        .hint = "write, say, name: lan-out",
        .read = read_policy,
        .forms = NSH_FORM_TEXT,
        .pattern = "^[a-z0-9][a-z0-9-]{0,15}$",
        .size = NSH_POLICY_NAME};

static void read_congestion_control(struct nsh_loader *l, const struct nsh_key *key, void *field,
        const struct nsh_yaml_event *value)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";

    if (value->length < NSH_CONGESTION_CONTROL_TEXT &&
            value->text[strspn(value->text, allowed)] == '\0')
        memcpy(field, value->text, value->length + 1);
    else
        nsh_loader_error(l, value->mark,
                "sysctl net.ipv4.tcp_available_congestion_control shows which there are",
                "'%s' can't be '%s'", key->name, nsh_loader_show(l, value->text));
}

const struct nsh_key_type nsh_type_congestion_control = {.what = "an algorithm's name",
        .hint = "write, say, congestion-control: bbr",
        .read = read_congestion_control,
        .forms = NSH_FORM_TEXT,
        .pattern = "^[a-z0-9_-]{1,15}$",
        .size = NSH_CONGESTION_CONTROL_TEXT};

/* ---- devices ---- */

/* Of a name's letters, near enough for a schema; where `+` at the end stands for any ending. */
#define NAME "[^/:\\s\\x00-\\x1f\\x7f]"
#define PART "[^/:+!\\s\\x00-\\x1f\\x7f]"

/* What stands there as one name, as the names that are meant. */
static const char *as_list(const char *text, char *buf, size_t size)
{
    static const char between[] = ", ";
    char shown[64];
    const char *p = nsh_printable(text, strlen(text), shown, sizeof(shown));
    size_t used = (size_t)snprintf(buf, size, "several devices are written as a list: [");

    for (p += strspn(p, between); *p != '\0' && used < size;) {
        size_t n = strcspn(p, between), gap = strspn(p + n, between);

        used += (size_t)snprintf(
                buf + used, size - used, "%.*s%s", (int)n, p, p[n + gap] == '\0' ? "" : between);
        p += n + gap;
    }
    if (used < size)
        (void)snprintf(buf + used, size - used, "]");
    return buf;
}

/* Why no device can have this name; NULL: one can. As the kernel judges it. */
static const char *impossible(
        const char *text, size_t n, const char **ret_hint, char *buf, size_t size)
{
    *ret_hint = NULL;
    if (n >= IFNAMSIZ) {
        *ret_hint = "'ip link' lists the names that there are";
        return "it is longer than 15 bytes";
    }
    if (strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
        return "it is a directory's name";
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c == '/')
            return "it holds a '/'";
        if (c == ':') {
            *ret_hint = "an alias such as eth0:1 is a label of an address; write the device, eth0";
            return "it holds a ':'";
        }
        if (isspace(c)) {
            *ret_hint = as_list(text, buf, size);
            return "it holds white space";
        }
        if (c < 0x20 || c == 0x7f)
            return "it holds a control character";
    }
    return NULL;
}

/* A name that a device could have, and that something else is meant by; NULL: none. */
static const char *other_meaning(
        const struct nsh_key *key, const char *text, char *buf, size_t size)
{
    bool list = key->flags & NSH_KEY_LIST;
    union nsh_addr address;
    uint8_t family;

    if (strchr(text, ','))
        return list ? as_list(text, buf, size)
                    : "it takes one device; make an entry of its own for each";
    if (strchr(text, '*'))
        return list ? "a '+' at the end stands for any ending, as in wan+"
                    : "write the whole name of the device";
    if (strcmp(text, "all") == 0)
        return key->type == &nsh_type_out ? "every device is written any"
                                          : "name the devices that are meant";
    if (nsh_addr_parse(text, &family, &address))
        return "'ip link' lists the names of devices; an address is written with another key";
    return NULL;
}

static void advise_device(
        struct nsh_loader *l, const struct nsh_key *key, const struct nsh_yaml_event *value)
{
    char hint[128];
    const char *meaning = l->advise ? other_meaning(key, value->text, hint, sizeof(hint)) : NULL;

    if (meaning)
        nsh_loader_warning(l, value->mark, meaning, "'%s' is taken for the name of one device",
                nsh_loader_show(l, value->text));
}

static bool check_device(
        struct nsh_loader *l, const struct nsh_key *key, const struct nsh_yaml_event *value)
{
    char buf[128];
    const char *hint, *why = impossible(value->text, value->length, &hint, buf, sizeof(buf));

    if (!why) {
        advise_device(l, key, value);
        return true;
    }
    if (hint && !(key->flags & NSH_KEY_LIST) && strpbrk(value->text, " \t\r\n"))
        hint = NULL;
    nsh_loader_error(l, value->mark, hint, "no device can have the name '%s': %s",
            nsh_loader_show(l, value->text), why);
    return false;
}

static void read_device(struct nsh_loader *l, const struct nsh_key *key, void *field,
        const struct nsh_yaml_event *value)
{
    if (check_device(l, key, value))
        memcpy(field, value->text, value->length + 1);
}

const struct nsh_key_type nsh_type_device = {.what = "a device's name",
        .hint = "write, say, dev: eth0",
        .read = read_device,
        .forms = NSH_FORM_TEXT,
        .pattern = "^(?!\\.\\.?$)" NAME "{1,15}$",
        .size = IFNAMSIZ};

static void read_out(struct nsh_loader *l, const struct nsh_key *key, void *field,
        const struct nsh_yaml_event *value)
{
    struct nsh_devices *d = field;
    const char *plus = strchr(value->text, '+');

    if (!check_device(l, key, value))
        return;
    if (strcmp(value->text, "+") == 0) {
        nsh_loader_error(l, value->mark, "write any", "'+' alone would match every device");
        return;
    }
    if (key->type == &nsh_type_named && strcmp(value->text, "any") == 0) {
        nsh_loader_error(l, value->mark,
                "name the devices that are meant; ppp+ is each whose name "
                "begins so",
                "'%s' can't be 'any'", key->name);
        return;
    }
    if (value->text[0] == '!') {
        nsh_loader_error(l, value->mark, "name the devices that are meant",
                "'!' is not supported: '%s'", nsh_loader_show(l, value->text));
        return;
    }
    if (plus && plus[1] != '\0') {
        nsh_loader_error(l, value->mark, "a '+' at the end stands for any ending, as in wan+",
                "'+' in the middle of '%s'", nsh_loader_show(l, value->text));
        return;
    }
    if (d->n >= NSH_LIST_MAX) {
        nsh_loader_error(l, value->mark, NULL, "more than %u devices", NSH_LIST_MAX);
        return;
    }
    if (!nsh_loader_grow(l, &d->items, d->n, &d->room, sizeof(*d->items)))
        return;
    memset(d->items[d->n], 0, IFNAMSIZ);
    (void)snprintf(
            d->items[d->n++], IFNAMSIZ, "%s", strcmp(value->text, "any") == 0 ? "+" : value->text);
}

const struct nsh_key_type nsh_type_out = {.what = "a device's name",
        .hint = "write, say, out: eth0, or out: any for every device",
        .read = read_out,
        .forms = NSH_FORM_TEXT,
        .pattern = "^(?!\\.\\.?$)" PART "{1,14}" NAME "?$"};

const struct nsh_key_type nsh_type_named = {.what = "a device's name",
        .hint = "write the device's name, say, eth0",
        .read = read_out,
        .forms = NSH_FORM_TEXT,
        .pattern = "^(?!(any|\\.\\.?)$)" PART "{1,14}" NAME "?$"};
