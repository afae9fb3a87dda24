/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How the daemon's own file becomes what was tried from another: by a copy, while that is as it was
 * read; else by the bytes in the archive, which are told of as commands of the shell.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "config-archive.h"
#include "running.h"
#include "text.h"

#define WORD (2 * PATH_MAX)
/* Of a larger file the size alone is compared: others wait meanwhile. */
#define COMPARED_MAX (1UL << 20)
/* The rest is counted. */
#define NAMED_MAX 3
#define RESTORED_MAX 8

/* ---- where it belongs ---- */

/* With the slash at its end; 0: here. */
static int directory_length(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? (int)(slash - path) + 1 : 0;
}

static char *directory_of(const char *path)
{
    int n = directory_length(path);
    char *text = NULL;

    return asprintf(&text, "%.*s", n > 0 ? n : 1, n > 0 ? path : ".") < 0 ? NULL : text;
}

/* What is behind "DIRECTORY/"; NULL: it is not there. */
static const char *below(const char *path, const char *directory)
{
    size_t n = strlen(directory);

    return strncmp(path, directory, n) == 0 && path[n] == '/' ? path + n + 1 : NULL;
}

/* What a list beside the main file is named by there; NULL: it is elsewhere. */
static const char *beside(const struct nsh_archive *a, const struct nsh_archive_file *f)
{
    size_t n = (size_t)directory_length(a->files[0].path);

    return f->kind == NSH_ARCHIVE_LIST && n > 0 && strncmp(f->path, a->files[0].path, n) == 0
                   ? f->path + n
                   : NULL;
}

/* The place that a file of the archive has if `path` is the main one; NULL: no memory. */
static char *place_of(const struct nsh_archive *a, size_t i, const char *path)
{
    const struct nsh_archive_file *f = &a->files[i];
    nsh_autofree char *from = nsh_config_drop_ins(a->files[0].path);
    nsh_autofree char *to = nsh_config_drop_ins(path);
    const char *rest;
    char *place = NULL;

    if (i == 0)
        return strdup(path);
    if (!from || !to)
        return NULL;
    rest = below(f->path, from);
    if (rest)
        return asprintf(&place, "%s/%s", to, rest) < 0 ? NULL : place;
    rest = beside(a, f);
    if (rest)
        return asprintf(&place, "%.*s%s", directory_length(path), path, rest) < 0 ? NULL : place;
    return strdup(f->path);
}

/* ---- whether it is as it was ---- */

static bool are_same(const struct nsh_source *a, const struct nsh_source *b)
{
    char of_a[16384], of_b[sizeof of_a];

    if (a->length > COMPARED_MAX)
        return true;
    for (uint64_t at = 0; at < a->length;) {
        ssize_t n = nsh_source_read(a, at, of_a, sizeof of_a);

        if (n <= 0 || nsh_source_read(b, at, of_b, (size_t)n) != n ||
                memcmp(of_a, of_b, (size_t)n) != 0)
            return false;
        at += (uint64_t)n;
    }
    return true;
}

/* Whether the file at `path` holds the bytes: 0; -ESTALE: others; else why it can't be read. */
static int compare(const struct nsh_source *bytes, const char *path)
{
    nsh_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct nsh_source now = {.fd = fd, .length = bytes->length};
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != bytes->length)
        return -ESTALE;
    return are_same(bytes, &now) ? 0 : -ESTALE;
}

int nsh_running_changed(int fd, char **ret)
{
    NSH_CLEANUP(nsh_archive_free) struct nsh_archive a = {0};
    int e = nsh_archive_read(fd, &a);
    char *text = NULL;

    for (size_t i = 0; e == 0 && !text && i < a.n_files; i++) {
        const char *path = a.files[i].path;
        int q = compare(&a.files[i].source, path);

        if (q == -ESTALE)
            e = asprintf(&text, "%s has changed since", path) < 0 ? -ENOMEM : 0;
        else if (q < 0)
            e = asprintf(&text, "the daemon can't read %s now (%s)", path, strerror(-q)) < 0
                        ? -ENOMEM
                        : 0;
    }
    if (e == 0)
        *ret = text;
    return e;
}

/* ---- by a copy ---- */

static bool has_drop_ins(const struct nsh_archive *a, const char *directory)
{
    for (size_t i = 1; i < a->n_files; i++)
        if (below(a->files[i].path, directory))
            return true;
    return false;
}

static bool holds_drop_ins(const char *directory)
{
    nsh_autofree char *pattern = NULL;
    glob_t found = {0};
    bool holds;

    if (asprintf(&pattern, "%s/*.yaml", directory) < 0)
        return false;
    holds = glob(pattern, GLOB_NOSORT, NULL, &found) == 0;
    globfree(&found);
    return holds;
}

static void put_drop_ins(FILE *to, const struct nsh_archive *a, const char *path)
{
    nsh_autofree char *from = nsh_config_drop_ins(a->files[0].path);
    nsh_autofree char *into = nsh_config_drop_ins(path);

    if (!from || !into)
        return;
    bool has = has_drop_ins(a, from), holds = holds_drop_ins(into);
    if (has)
        fprintf(to, ", and its drop-ins, which are in %s, into %s%s", from, into,
                holds ? " in place of those there" : "");
    else if (holds)
        fprintf(to, ", and away with the drop-ins in %s", into);
}

/* Those that are named from where the main file is; in drop-ins they go with these. */
static void put_lists(FILE *to, const struct nsh_archive *a, const char *path)
{
    nsh_autofree char *drop_ins = nsh_config_drop_ins(a->files[0].path);
    nsh_autofree char *from = directory_of(a->files[0].path), *into = directory_of(path);
    size_t n = 0;

    if (!drop_ins || !from || !into || nsh_is_same_file(from, into))
        return;
    for (size_t i = 1; i < a->n_files; i++) {
        const char *name = beside(a, &a->files[i]);

        if (!name || below(a->files[i].path, drop_ins))
            continue;
        if (n < NAMED_MAX)
            fprintf(to, "%s %s", n == 0 ? ", and its files of prefixes:" : ",", name);
        n++;
    }
    if (n > NAMED_MAX)
        fprintf(to, " and %zu more", n - NAMED_MAX);
    if (n > 0)
        fprintf(to, ", from %s into %s", from, into);
}

static void put_copy(FILE *to, const struct nsh_archive *a, const char *path)
{
    nsh_autofree char *from = malloc(WORD), *into = malloc(WORD);

    if (!from || !into)
        return;
    fprintf(to, "cp %s %s", nsh_text_word(a->files[0].path, from, WORD),
            nsh_text_word(path, into, WORD));
    put_drop_ins(to, a, path);
    put_lists(to, a, path);
}

/* ---- by the archive ---- */

/* The directory may have to be made first. */
static void put_directory(FILE *to, const char *place)
{
    nsh_autofree char *word = malloc(WORD), *directory = directory_of(place);

    if (word && directory && access(directory, F_OK) < 0)
        fprintf(to, "mkdir -p %s && ", nsh_text_word(directory, word, WORD));
}

static void put_bytes(
        FILE *to, const struct nsh_archive_file *f, const char *archive, const char *place)
{
    nsh_autofree char *from = malloc(WORD), *into = malloc(WORD);

    if (!from || !into)
        return;
    put_directory(to, place);
    fprintf(to, "tail -c +%" PRIu64 " %s | head -c %" PRIu64 " >%s", f->source.start + 1,
            nsh_text_word(archive, from, WORD), f->source.length, nsh_text_word(place, into, WORD));
}

static void put_restore(
        FILE *to, const struct nsh_archive *a, const char *archive, const char *path)
{
    nsh_autofree char *from = nsh_config_drop_ins(a->files[0].path);
    size_t n = 0;

    for (size_t i = 0; i < a->n_files; i++) {
        nsh_autofree char *place = place_of(a, i, path);

        if (!place || (i > 0 && compare(&a->files[i].source, place) == 0))
            continue;
        if (n < RESTORED_MAX) {
            fputs(n > 0 ? " && " : "", to);
            put_bytes(to, &a->files[i], archive, place);
        }
        n++;
    }
    if (n > RESTORED_MAX)
        fprintf(to, ", and %zu more files that are in it", n - RESTORED_MAX);
    if (from && !has_drop_ins(a, from))
        put_drop_ins(to, a, path);
}

/* ---- as a text ---- */

static char *write_text(int fd, const char *archive, const char *path)
{
    NSH_CLEANUP(nsh_archive_free) struct nsh_archive a = {0};
    char *text = NULL;
    size_t size = 0;
    FILE *to = nsh_archive_read(fd, &a) == 0 ? open_memstream(&text, &size) : NULL;

    if (!to)
        return NULL;
    if (archive)
        put_restore(to, &a, archive, path);
    else if (!nsh_is_same_file(a.files[0].path, path))
        put_copy(to, &a, path);
    if (fclose(to) == 0 && size > 0)
        return text;
    free(text);
    return NULL;
}

char *nsh_running_copy(int fd, const char *path)
{
    return write_text(fd, NULL, path);
}

char *nsh_running_restore(int fd, const char *archive, const char *path)
{
    return write_text(fd, archive, path);
}
