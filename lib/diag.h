/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is wrong with a file, for the person who reads it: place, source line with a caret, text
 * and hint. A list keeps the first NSH_DIAG_MAX errors and counts the rest; what concerns all of a
 * file, and is of no line, has a place all the same.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define NSH_DIAG_MAX 50 /* shown at most; "and N more" follows */

enum nsh_severity {
    NSH_DIAG_ERROR,
    NSH_DIAG_WARNING,
};

struct nsh_diag {
    enum nsh_severity severity;
    char *path;      /* as the user gave it; NULL: no file */
    uint32_t line;   /* from 1; 0: the file as a whole */
    uint32_t column; /* from 1, in characters; 0: unknown, then the line's first word */
    char *text;      /* one sentence, lower case first, no full stop */
    char *hint;      /* what to do; NULL: none */
    char *source;    /* the source line without its end; NULL: not shown */
};

struct nsh_diags;
struct nsh_source;

struct nsh_diags *nsh_diags_new(void);
void nsh_diags_free(struct nsh_diags *d);

/*
 * Adds one. `hint` may be NULL. Text that comes from a file must have gone through nsh_printable.
 * Never fails: when memory is out, the diagnosis is counted all the same.
 */
__attribute__((format(printf, 7, 8))) void nsh_diag_add(struct nsh_diags *d,
        enum nsh_severity severity, const char *path, uint32_t line, uint32_t column,
        const char *hint, const char *format, ...);

/* Counts, those beyond NSH_DIAG_MAX included. */
size_t nsh_diags_errors(const struct nsh_diags *d);
size_t nsh_diags_warnings(const struct nsh_diags *d);
/* The ones that are kept, files as they came, each in the order of its lines. */
size_t nsh_diags_count(const struct nsh_diags *d);
const struct nsh_diag *nsh_diags_get(const struct nsh_diags *d, size_t i);

/*
 * Attaches the source lines of `path` to the diagnoses of that path that lack one, reading `fd`
 * once from its start. Lines are cut at a length that fits a terminal; a prefix file's content is
 * never shown (the caller does not call this for it).
 */
void nsh_diags_attach_source(struct nsh_diags *d, const char *path, int fd);
/* The same for a file that is a range of a descriptor. */
void nsh_diags_attach_range(struct nsh_diags *d, const char *path, const struct nsh_source *source);

/*
 * Writes all of it:
 *     /etc/netshared.yaml:3:9: error: 10.0.0.1/24 has host bits set
 *         3 |   - to: 10.0.0.1/24
 *           |         ^
 *       hint: write 10.0.0.0/24
 * and at the end, if any are not shown, "and N more errors".
 */
void nsh_diags_print(const struct nsh_diags *d, FILE *to);
/* The same as a string; the caller's to free. NULL when memory is out. */
char *nsh_diags_format(const struct nsh_diags *d);

/*
 * Copies at most size-1 bytes of `text` (length `n`) so that a terminal shows them harmlessly:
 * control characters and bytes that are not UTF-8 become \xNN, a cut is marked with "...".
 * Returns buf.
 */
const char *nsh_printable(const char *text, size_t n, char *buf, size_t size);
