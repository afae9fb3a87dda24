/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "diag-text.h"
#include "diag.h"
#include "source.h"

struct entry {
    struct nsh_diag diag;
    int caret; /* cells before it in `source`; -1: none */
};

struct nsh_diags {
    /* Errors and warnings each have their own limit, so that neither hides the other. */
    struct entry *entries[2 * NSH_DIAG_MAX];
    size_t n_entries;
    size_t seen[2]; /* by severity */
    size_t kept[2];
};

struct nsh_diags *nsh_diags_new(void)
{
    return calloc(1, sizeof(struct nsh_diags));
}

static void entry_free(struct entry *e)
{
    free(e->diag.path);
    free(e->diag.text);
    free(e->diag.hint);
    free(e->diag.source);
    free(e);
}

NSH_DEFINE_CLEANUP(struct entry *, entry_free)

void nsh_diags_free(struct nsh_diags *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < d->n_entries; i++)
        entry_free(d->entries[i]);
    free(d);
}

/* Behind those of its file that are no further down; else at the end. */
static void insert(struct nsh_diags *d, struct entry *e)
{
    size_t at = d->n_entries;

    for (size_t i = 0; e->diag.path && i < d->n_entries; i++) {
        const struct nsh_diag *other = &d->entries[i]->diag;

        if (!other->path || strcmp(other->path, e->diag.path) != 0)
            continue;
        if (other->line > e->diag.line) {
            at = i;
            break;
        }
        at = i + 1;
    }
    memmove(&d->entries[at + 1], &d->entries[at], (d->n_entries - at) * sizeof(struct entry *));
    d->entries[at] = e;
    d->n_entries++;
}

/* What concerns all of a file comes before what one of very many lines has: the last such goes. */
static bool make_room(struct nsh_diags *d, enum nsh_severity severity, uint32_t line)
{
    if (d->kept[severity] < NSH_DIAG_MAX)
        return true;
    for (size_t i = d->n_entries; line == 0 && i-- > 0;) {
        if (d->entries[i]->diag.severity != severity || d->entries[i]->diag.line == 0)
            continue;
        entry_free(d->entries[i]);
        d->n_entries--;
        d->kept[severity]--;
        memmove(&d->entries[i], &d->entries[i + 1], (d->n_entries - i) * sizeof(struct entry *));
        return true;
    }
    return false;
}

void nsh_diag_add(struct nsh_diags *d, enum nsh_severity severity, const char *path, uint32_t line,
        uint32_t column, const char *hint, const char *format, ...)
{
    NSH_CLEANUP(entry_freep) struct entry *e = NULL;
    va_list args;
    int r;

    d->seen[severity]++;
    if (!make_room(d, severity, line))
        return;
    e = calloc(1, sizeof(*e));
    if (!e)
        return;
    e->caret = -1;
    e->diag.severity = severity;
    e->diag.line = line;
    e->diag.column = column;
    va_start(args, format);
    r = vasprintf(&e->diag.text, format, args);
    va_end(args);
    if (r < 0) {
        e->diag.text = NULL;
        return;
    }
    if (path && !(e->diag.path = strdup(path)))
        return;
    if (hint && !(e->diag.hint = strdup(hint)))
        return;
    d->kept[severity]++;
    insert(d, NSH_TAKE_PTR(e));
}

size_t nsh_diags_errors(const struct nsh_diags *d)
{
    return d->seen[NSH_DIAG_ERROR];
}

size_t nsh_diags_warnings(const struct nsh_diags *d)
{
    return d->seen[NSH_DIAG_WARNING];
}

size_t nsh_diags_count(const struct nsh_diags *d)
{
    return d->n_entries;
}

const struct nsh_diag *nsh_diags_get(const struct nsh_diags *d, size_t i)
{
    return i < d->n_entries ? &d->entries[i]->diag : NULL;
}

struct attach {
    struct nsh_diags *diags;
    const char *path;
    uint32_t next; /* the next line some diagnosis is about; 0: none */
};

static bool lacks_source(const struct entry *e, const char *path)
{
    return !e->diag.source && e->diag.line > 0 && e->diag.path && strcmp(e->diag.path, path) == 0;
}

static void find_next(struct attach *a, uint32_t after)
{
    a->next = 0;
    for (size_t i = 0; i < a->diags->n_entries; i++) {
        const struct entry *e = a->diags->entries[i];

        if (lacks_source(e, a->path) && e->diag.line > after &&
                (a->next == 0 || e->diag.line < a->next))
            a->next = e->diag.line;
    }
}

/* Where a line is known but no place in it: the first thing it says, behind blanks and dashes. */
static uint32_t first_word(const char *text, size_t n)
{
    size_t i = 0;

    while (i < n && (text[i] == ' ' || text[i] == '-'))
        i++;
    return i < n ? (uint32_t)i + 1 : 0;
}

/* A character that looks like another is seen by nobody, and the rest follows from it. */
static void explain(struct nsh_diag *d, const char *text, size_t n)
{
    char hint[96];
    char *copy;

    if (d->severity != NSH_DIAG_ERROR || !nsh_diag_lookalike(text, n, hint, sizeof(hint)) ||
            !(copy = strdup(hint)))
        return;
    free(d->hint);
    d->hint = copy;
}

static bool attach_line(void *userdata, uint32_t line, const char *text, size_t n)
{
    struct attach *a = userdata;

    if (line < a->next)
        return true;
    for (size_t i = 0; i < a->diags->n_entries; i++) {
        struct entry *e = a->diags->entries[i];

        if (!lacks_source(e, a->path) || e->diag.line != line)
            continue;
        if (e->diag.column == 0)
            e->diag.column = first_word(text, n);
        explain(&e->diag, text, n);
        e->diag.source = nsh_diag_render(text, n, e->diag.column, &e->caret);
    }
    find_next(a, line);
    return a->next != 0;
}

void nsh_diags_attach_range(struct nsh_diags *d, const char *path, const struct nsh_source *source)
{
    struct attach a = {.diags = d, .path = path};

    find_next(&a, 0);
    if (a.next != 0)
        (void)nsh_source_lines(source, attach_line, &a);
}

void nsh_diags_attach_source(struct nsh_diags *d, const char *path, int fd)
{
    nsh_diags_attach_range(d, path, &(struct nsh_source){.fd = fd, .length = NSH_SOURCE_TO_END});
}

static void print_place(const struct nsh_diag *d, FILE *to)
{
    char path[512];

    if (!d->path)
        return;
    fputs(nsh_printable(d->path, strlen(d->path), path, sizeof(path)), to);
    if (d->line > 0)
        fprintf(to, ":%u", d->line);
    if (d->line > 0 && d->column > 0)
        fprintf(to, ":%u", d->column);
    fputs(": ", to);
}

static void print_entry(const struct entry *e, FILE *to)
{
    const struct nsh_diag *d = &e->diag;

    print_place(d, to);
    fprintf(to, "%s: %s\n", d->severity == NSH_DIAG_ERROR ? "error" : "warning", d->text);
    if (d->source) {
        fprintf(to, "%5u |%s%s\n", d->line, d->source[0] ? " " : "", d->source);
        if (e->caret >= 0)
            fprintf(to, "      | %*s^\n", e->caret, "");
    }
    if (d->hint)
        fprintf(to, "  hint: %s\n", d->hint);
}

static void print_more(const struct nsh_diags *d, enum nsh_severity severity, FILE *to)
{
    size_t more = d->seen[severity] - d->kept[severity];

    if (more > 0)
        fprintf(to, "and %zu more %s%s\n", more, severity == NSH_DIAG_ERROR ? "error" : "warning",
                more == 1 ? "" : "s");
}

void nsh_diags_print(const struct nsh_diags *d, FILE *to)
{
    for (size_t i = 0; i < d->n_entries; i++)
        print_entry(d->entries[i], to);
    print_more(d, NSH_DIAG_ERROR, to);
    print_more(d, NSH_DIAG_WARNING, to);
}

char *nsh_diags_format(const struct nsh_diags *d)
{
    nsh_autofree char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    bool failed;

    if (!f)
        return NULL;
    nsh_diags_print(d, f);
    failed = ferror(f) != 0;
    failed = fclose(f) != 0 || failed;
    return failed ? NULL : NSH_TAKE_PTR(text);
}
