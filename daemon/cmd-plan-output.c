/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How `plan` says what it found: lines for people, coloured on a terminal, or one JSON document.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "cmd-plan.h"
#include "common.h"
#include "diag.h"

static const struct {
    char mark;
    const char *action, *colour; /* ECMA-48's SGR */
} styles[] = {
        {'+', "add", "\x1b[32m"},
        {'-', "remove", "\x1b[31m"},
        {'~', "change", "\x1b[33m"},
        {'#', NULL, "\x1b[2m"},
};

int plan_output_begin(struct plan_output *out, bool json)
{
    *out = (struct plan_output){.colour = !json && nsh_wants_colour()};
    if (!json)
        return 0;
    out->changes = json_array();
    out->remarks = json_array();
    return out->changes && out->remarks ? 0 : -ENOMEM;
}

int plan_output_end(struct plan_output *out)
{
    json_t *document;
    int q = 0;

    if (!out->changes)
        return 0;
    document = json_pack("{s:O, s:O}", "changes", out->changes, "remarks", out->remarks);
    if (!document || out->failed)
        q = -ENOMEM;
    else if (json_dumpf(document, stdout, JSON_INDENT(2)) == 0)
        putchar('\n');
    json_decref(document);
    return q;
}

void plan_output_done(struct plan_output *out)
{
    json_decref(out->changes);
    json_decref(out->remarks);
    *out = (struct plan_output){0};
}

static size_t style_of(char mark)
{
    size_t i = 0;

    while (i + 1 < NSH_ARRAY_SIZE(styles) && styles[i].mark != mark)
        i++;
    return i;
}

/* The words that say what kind of object it is stand first: "route", "probe rule". */
static size_t kind_length(const char *object)
{
    size_t n = strcspn(object, " ");

    if (n == strlen("probe") && strncmp(object, "probe", n) == 0 && object[n] == ' ')
        n += 1 + strcspn(object + n + 1, " ");
    return n;
}

static void collect(struct plan_output *out, const char *action, const char *object)
{
    int q;

    if (action)
        q = json_array_append_new(
                out->changes, json_pack("{s:s, s:s%, s:s}", "action", action, "kind", object,
                                      kind_length(object), "object", object));
    else
        q = json_array_append_new(out->remarks, json_string(object));
    if (q < 0)
        out->failed = true;
}

/* Names of devices and chains are anybody's bytes. */
__attribute__((format(printf, 2, 0))) static void say(
        struct plan_output *out, const char *format, va_list args)
{
    char text[1536], clean[sizeof text * 4];
    const char *line;
    size_t i;

    vsnprintf(text, sizeof text, format, args);
    line = nsh_printable(text, strlen(text), clean, sizeof clean);
    i = style_of(line[0]);
    if (out->changes)
        collect(out, styles[i].action, line + strlen("+ "));
    else if (out->colour)
        printf("%s%s\x1b[0m\n", styles[i].colour, line);
    else
        puts(line);
}

void plan_line(struct planner *p, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(&p->output, format, args);
    va_end(args);
    p->changes++;
}

void plan_remark(struct planner *p, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(&p->output, format, args);
    va_end(args);
}
