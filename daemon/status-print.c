/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "status-print.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "text.h"

/* A column is as wide as its widest cell, but one absurd cell does not push the others away. */
#define WIDTH_MAX 60
/* Addresses whose ports are shown; JSON has all. */
#define PORTS_MAX 8

enum column {
    STATE,
    KIND,
    NAME,
    REPAIR,
    WHERE,
    COLUMNS,
};

struct row {
    char *cells[COLUMNS];
    char *reason; /* "" when there is none */
};

struct table {
    struct row *rows;
    size_t n;
    size_t width[COLUMNS];
};

/* ---- reading ---- */

/* A printable copy of a string member; of `otherwise` when it is none. NULL: no memory. */
static char *text_of(const json_t *object, const char *key, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(object, key));

    return nsh_text_line(text ? text : otherwise);
}

/* A member that is a number from 0 on. */
static bool number_of(const json_t *object, const char *key, uint64_t *ret)
{
    const json_t *value = json_object_get(object, key);

    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *ret = (uint64_t)json_integer_value(value);
    return true;
}

/* "5 min ago", "5 min ago, 3 times"; "-" when it never was. */
static char *repair_of(const json_t *object)
{
    char duration[NSH_DURATION_TEXT], *text = NULL;
    uint64_t ago, repairs = 0;

    (void)number_of(object, "repairs", &repairs);
    if (!number_of(object, "last_repair_ago_usec", &ago))
        return strdup("-");
    nsh_duration_format(ago, duration);
    int n = repairs > 1 ? asprintf(&text, "%s ago, %" PRIu64 " times", duration, repairs)
                        : asprintf(&text, "%s ago", duration);
    return n < 0 ? NULL : text;
}

static char *where_of(const json_t *object)
{
    nsh_autofree char *file = text_of(object, "file", "-");
    char *text = NULL;
    uint64_t line;

    if (!file || !number_of(object, "line", &line) || line == 0)
        return NSH_TAKE_PTR(file);
    return asprintf(&text, "%s:%" PRIu64, file, line) < 0 ? NULL : text;
}

/* Cells on a terminal, near enough: characters. */
static size_t width_of(const char *text)
{
    size_t n = 0;

    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static int read_row(const json_t *object, struct row *row, size_t width[static COLUMNS])
{
    row->cells[STATE] = text_of(object, "state", "-");
    row->cells[KIND] = text_of(object, "kind", "-");
    row->cells[NAME] = text_of(object, "name", "-");
    row->cells[REPAIR] = repair_of(object);
    row->cells[WHERE] = where_of(object);
    row->reason = text_of(object, "reason", "");
    for (size_t i = 0; i < COLUMNS; i++) {
        if (!row->cells[i])
            return -ENOMEM;
        size_t w = width_of(row->cells[i]);
        if (w > width[i])
            width[i] = w < WIDTH_MAX ? w : WIDTH_MAX;
    }
    return row->reason ? 0 : -ENOMEM;
}

static void free_table(struct table *t)
{
    for (size_t i = 0; i < t->n; i++) {
        for (size_t j = 0; j < COLUMNS; j++)
            free(t->rows[i].cells[j]);
        free(t->rows[i].reason);
    }
    free(t->rows);
}

/* ---- writing ---- */

static const char *const titles[COLUMNS] = {
        [STATE] = "STATE",
        [KIND] = "KIND",
        [NAME] = "NAME",
        [REPAIR] = "LAST REPAIR",
        [WHERE] = "WHERE",
};

static void print_cells(FILE *to, const char *const cells[static COLUMNS], const size_t *width)
{
    for (size_t i = 0; i < COLUMNS; i++) {
        size_t w = width_of(cells[i]);
        bool last = i == COLUMNS - 1;

        fprintf(to, "%s%*s", cells[i], last || w >= width[i] ? 0 : (int)(width[i] - w), "");
        fputs(last ? "\n" : "  ", to);
    }
}

static int print_table(FILE *to, const json_t *objects)
{
    NSH_CLEANUP(free_table) struct table t = {0};
    size_t n = json_array_size(objects);

    if (n == 0)
        return 0;
    t.rows = calloc(n, sizeof(*t.rows));
    if (!t.rows)
        return -ENOMEM;
    t.n = n;
    for (size_t i = 0; i < COLUMNS; i++)
        t.width[i] = strlen(titles[i]);
    for (size_t i = 0; i < n; i++) {
        int e = read_row(json_array_get(objects, i), &t.rows[i], t.width);
        if (e < 0)
            return e;
    }
    fputc('\n', to);
    print_cells(to, titles, t.width);
    for (size_t i = 0; i < n; i++) {
        print_cells(to, (const char *const *)t.rows[i].cells, t.width);
        if (*t.rows[i].reason)
            fprintf(to, "%*s  %s\n", (int)t.width[STATE], "", t.rows[i].reason);
    }
    return 0;
}

/* "name: text", when there is text. */
static int print_line(FILE *to, const json_t *object, const char *key, const char *title)
{
    nsh_autofree char *text = text_of(object, key, "");

    if (!text)
        return -ENOMEM;
    if (*text)
        fprintf(to, "%-13s%s\n", title, text);
    return 0;
}

static void print_trial(FILE *to, const json_t *status)
{
    nsh_autofree char *file = text_of(status, "running_file", "");
    char duration[NSH_DURATION_TEXT];
    uint64_t left;

    if (number_of(status, "trial_left_usec", &left))
        fprintf(to,
                "on trial:    %s%sends in %s, and the last accepted configuration comes back; "
                "'netshared "
                "confirm' keeps this one\n",
                file ? file : "", file && *file ? ", " : "", nsh_duration_format(left, duration));
}

static int print_heading(FILE *to, const json_t *status)
{
    nsh_autofree char *version = text_of(status, "version", "-");
    nsh_autofree char *state = text_of(status, "state", "-");
    uint64_t pid;

    if (!version || !state)
        return -ENOMEM;
    fprintf(to, "netshared %s, %s", version, state);
    if (number_of(status, "pid", &pid))
        fprintf(to, ", pid %" PRIu64, pid);
    fputc('\n', to);
    print_trial(to, status);
    int e = print_line(to, status, "problem", "problem:");
    if (e == 0)
        e = print_line(to, status, "reload_refused", "reload:");
    if (e == 0)
        e = print_line(to, status, "config", "config:");
    if (e == 0)
        e = print_line(to, status, "other_file", "warning:");
    if (e == 0)
        e = print_line(to, status, "firewall", "firewall:");
    if (e == 0)
        e = print_line(to, status, "both_firewalls", "warning:");
    return e;
}

static void print_counts(FILE *to, const json_t *counts)
{
    static const char *const words[] = {
            "held", "standby", "pending", "conflicting", "wrong", "disabled"};
    const char *between = "objects:     ";

    for (size_t i = 0; i < NSH_ARRAY_SIZE(words); i++) {
        uint64_t n;

        if (!number_of(counts, words[i], &n))
            continue;
        fprintf(to, "%s%" PRIu64 " %s", between, n, words[i]);
        between = ", ";
    }
    if (*between == ',')
        fputc('\n', to);
}

static int print_last_repair(FILE *to, const json_t *last)
{
    char duration[NSH_DURATION_TEXT];
    nsh_autofree char *text = text_of(last, "text", "-");
    uint64_t ago;

    if (!text)
        return -ENOMEM;
    if (number_of(last, "ago_usec", &ago))
        fprintf(to, "last repair: %s ago: %s\n", nsh_duration_format(ago, duration), text);
    return 0;
}

/* Of addresses that are translated to; those with most first. */
static int print_ports(FILE *to, const json_t *ports)
{
    for (size_t i = 0; i < json_array_size(ports) && i < PORTS_MAX; i++) {
        const json_t *one = json_array_get(ports, i), *fullest = json_object_get(one, "fullest");
        nsh_autofree char *address = text_of(one, "address", "-");
        nsh_autofree char *peer = text_of(fullest, "to", "-");
        nsh_autofree char *protocol = text_of(fullest, "protocol", "-");
        uint64_t all = 0, most = 0, port = 0;

        if (!address || !peer || !protocol)
            return -ENOMEM;
        (void)(number_of(one, "connections", &all) && number_of(fullest, "ports", &most) &&
                number_of(fullest, "port", &port));
        fprintf(to,
                "ports:       %s has %" PRIu64 " in use, at most %" PRIu64
                " of them towards one place: %s, %s port %" PRIu64 "\n",
                address, all, most, peer, protocol, port);
    }
    return 0;
}

/* "home (ipv4): translated 3 packets (252 bytes), …": what its rules have counted. */
static int print_traffic(FILE *to, const json_t *object)
{
    static const char *const words[] = {"translated", "accepted", "dropped"};
    nsh_autofree char *name = text_of(object, "name", "-");
    const char *between = ": ";

    if (!name)
        return -ENOMEM;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(words); i++) {
        const json_t *counted = json_object_get(object, words[i]);
        uint64_t packets, bytes;

        if (!number_of(counted, "packets", &packets) || !number_of(counted, "bytes", &bytes))
            continue;
        fprintf(to, "%s%s%s %" PRIu64 " packet%s (%" PRIu64 " bytes)", *between == ':' ? name : "",
                between, words[i], packets, packets == 1 ? "" : "s", bytes);
        between = ", ";
    }
    if (*between == ',')
        fputc('\n', to);
    return 0;
}

static int print_all_traffic(FILE *to, const json_t *objects)
{
    int e = 0;

    fputc('\n', to);
    for (size_t i = 0; e == 0 && i < json_array_size(objects); i++)
        e = print_traffic(to, json_array_get(objects, i));
    return e;
}

/* Leaves only what has the name. -ENOENT: nothing. */
static int choose(json_t *status, const char *name)
{
    json_t *objects = json_object_get(status, "objects");
    size_t length = strlen(name);

    for (size_t i = json_array_size(objects); i > 0; i--) {
        const json_t *o = json_array_get(objects, i - 1);
        const char *policy = json_string_value(json_object_get(o, "policy"));
        const char *whole = json_string_value(json_object_get(o, "name"));
        bool is = (policy && strcmp(policy, name) == 0) ||
                  (whole && strncmp(whole, name, length) == 0 &&
                          (whole[length] == '\0' || whole[length] == ' '));

        if (!is)
            (void)json_array_remove(objects, i - 1);
    }
    return json_array_size(objects) > 0 ? 0 : -ENOENT;
}

static int print_text(FILE *to, const json_t *status, bool chosen)
{
    uint64_t truncated;
    int e = print_heading(to, status);

    if (e < 0)
        return e;
    print_counts(to, json_object_get(status, "counts"));
    e = print_last_repair(to, json_object_get(status, "last_repair"));
    if (e == 0)
        e = print_ports(to, json_object_get(status, "ports"));
    if (e == 0)
        e = print_table(to, json_object_get(status, "objects"));
    if (e == 0 && chosen)
        return print_all_traffic(to, json_object_get(status, "objects"));
    if (e == 0 && number_of(status, "truncated", &truncated) && truncated > 0)
        fprintf(to, "and %" PRIu64 " more\n", truncated);
    return e;
}

/* ASCII, so that no character can do anything to a terminal. */
static int print_json(FILE *to, const json_t *status)
{
    if (json_dumpf(status, to, JSON_INDENT(2) | JSON_ENSURE_ASCII) < 0)
        return ferror(to) ? -EIO : -ENOMEM;
    fputc('\n', to);
    return 0;
}

int nsh_status_print(FILE *to, const char *json, const struct nsh_status_view *view)
{
    json_error_t error;
    NSH_CLEANUP(json_decrefp) json_t *status = json_loads(json, 0, &error);

    if (!status)
        return json_error_code(&error) == json_error_out_of_memory ? -ENOMEM : -EBADMSG;
    if (!json_is_object(status))
        return -EBADMSG;
    int e = view->name ? choose(status, view->name) : 0;
    if (e < 0)
        return e;
    if (view->ports && !view->name && json_object_set(status, "ports", view->ports) < 0)
        return -ENOMEM;
    e = view->as_json ? print_json(to, status) : print_text(to, status, view->name != NULL);
    if (e == 0 && (fflush(to) != 0 || ferror(to)))
        e = -EIO;
    return e;
}
