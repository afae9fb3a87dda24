/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "diag.h"
#include "yaml-hint.h"

static bool is_address_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == ':' ||
           c == '.' || c == '/';
}

/* Where quoted text that begins at `i` ends; `i` itself when none begins there. */
static size_t skip_quoted(const char *text, size_t n, size_t i)
{
    const char *end;

    if (text[i] != '"' && text[i] != '\'')
        return i;
    end = memchr(text + i + 1, text[i], n - i - 1);
    return end ? (size_t)(end - text) : n;
}

/*
 * An IPv6 address outside of quotes whose colons YAML can take for its own: with two of them in a
 * row. The colon behind a key ("to: ::1", "{to: ::1}") is not part of it.
 */
static bool find_bare_ipv6(const char *text, size_t n, size_t *ret_at, size_t *ret_length)
{
    for (size_t i = 0; i < n; i++) {
        size_t end, colons = 0;

        i = skip_quoted(text, n, i);
        if (i >= n || text[i] == '#')
            return false;
        if (!is_address_char(text[i]) || (i > 0 && !strchr(" \t{[,", text[i - 1])))
            continue;
        for (end = i; end < n && is_address_char(text[end]); end++)
            if (text[end] == ':' && end + 1 < n && text[end + 1] == ':')
                colons++;
        if (colons > 0) {
            *ret_at = i;
            *ret_length = end - i;
            return true;
        }
        i = end - 1;
    }
    return false;
}

/* The first tab of the indentation, or SIZE_MAX. */
static size_t find_tab(const char *text, size_t n)
{
    for (size_t i = 0; i < n && (text[i] == ' ' || text[i] == '\t' || text[i] == '-'); i++)
        if (text[i] == '\t')
            return i;
    return SIZE_MAX;
}

struct look {
    const struct nsh_yaml_problem *problem;
    uint32_t first, last;
    bool found; /* there is such a line */
    struct nsh_yaml_hint *hint;
};

/* Where none can be closed: the parser does not wait for the end of one. */
static bool is_stray_bracket(const struct nsh_yaml_problem *p, const char *text, size_t n)
{
    size_t at = p->column - 1;

    return p->column > 0 && at < n && (text[at] == '}' || text[at] == ']') &&
           !strstr(p->text, "expected ','");
}

static bool look_at(void *userdata, uint32_t line, const char *text, size_t n)
{
    struct look *look = userdata;
    size_t at, length;

    if (line < look->first)
        return true;
    look->found = true;
    if (line == look->problem->line && is_stray_bracket(look->problem, text, n)) {
        *look->hint = (struct nsh_yaml_hint){.problem = "a bracket is closed that was never opened",
                .line = line,
                .column = look->problem->column,
                .text = "leave it out"};
        return false;
    }
    at = find_tab(text, n);
    if (at != SIZE_MAX) {
        *look->hint = (struct nsh_yaml_hint){.problem = "a tab where YAML wants spaces",
                .line = line,
                .column = (uint32_t)at + 1,
                .text = "use spaces, not tabs"};
        return false;
    }
    if (find_bare_ipv6(text, n, &at, &length)) {
        struct nsh_yaml_hint *h = look->hint;
        char shown[64];

        *h = (struct nsh_yaml_hint){
                .problem = "an IPv6 address that YAML reads as something else", .line = line};
        h->column = 1;
        for (size_t i = 0; i < at; i++)
            h->column += ((unsigned char)text[i] & 0xc0) != 0x80;
        (void)snprintf(h->text, sizeof(h->text), "quote it: \"%s\"",
                nsh_printable(text + at, length, shown, sizeof(shown)));
        return false;
    }
    return line < look->last;
}

static const struct {
    const char *problem; /* part of libyaml's words */
    const char *better;  /* NULL: those are good enough */
    const char *hint;
    bool at_context; /* it is wrong where it began, not where it was noticed */
} known[] = {
        {"could not find expected ':'", "this is no key with its value",
                "a key is followed by a colon and a space", true},
        {"found unexpected end of stream", "a quote that is never closed", "close it", true},
        {"mapping values are not allowed", "a colon where no key can be",
                "is a quote missing, are two keys in one line, or is it indented too far?", false},
        {"did not find expected key", "this line belongs to no block above it",
                "the keys of one block stand at the same column", false},
        {"did not find expected '-' indicator",
                "this line belongs neither to the list above it nor to an entry of that",
                "the keys of one entry, and the entries of one list, stand at the same column",
                false},
        {"did not find expected <document start>", "the file's keys have ended before this",
                "they are one block, as 'routes:', at the left margin, without '...' or brackets",
                false},
        {"did not find expected ',' or ']'", NULL, "is a comma or the closing ']' missing?", false},
        {"did not find expected ',' or '}'", NULL, "is a comma or the closing '}' missing?", false},
        {"block sequence entries are not allowed", NULL, "a list begins on the line below its key",
                false},
        {"cannot start any token", "a value can't begin with this character", "quote the value",
                false},
};

static void use_known(const char *problem, uint32_t context_line, uint32_t context_column,
        struct nsh_yaml_hint *hint)
{
    for (size_t i = 0; i < NSH_ARRAY_SIZE(known); i++) {
        if (!strstr(problem, known[i].problem))
            continue;
        hint->problem = known[i].better;
        if (known[i].at_context && context_line > 0) {
            hint->line = context_line;
            hint->column = context_column;
        }
        (void)snprintf(hint->text, sizeof(hint->text), "%s", known[i].hint);
        return;
    }
}

void nsh_yaml_find_hint(const struct nsh_source *source, const struct nsh_yaml_problem *problem,
        struct nsh_yaml_hint *ret)
{
    uint32_t line = problem->line, from = problem->context_line;
    struct nsh_yaml_hint hint = {0};
    struct look look = {.problem = problem, .first = line, .last = line, .hint = &hint};

    /* A quote that is not closed takes all that follows it, whatever that is. */
    if (!strstr(problem->text, "unexpected end of stream"))
        (void)nsh_source_lines(source, look_at, &look);
    /* Nothing there: where it began, if that is near. A block's beginning tells nothing. */
    if (!hint.problem && look.found && from > 0 && from < line && line - from <= 2) {
        look.first = from;
        (void)nsh_source_lines(source, look_at, &look);
    }
    if (!hint.problem)
        use_known(problem->text, from, problem->context_column, &hint);
    if (hint.line == 0 && !look.found && from > 0) { /* behind the end: where it began */
        hint.line = from;
        hint.column = problem->context_column;
    }
    if (hint.line == 0) {
        hint.line = line;
        hint.column = problem->column;
    }
    *ret = hint;
}
