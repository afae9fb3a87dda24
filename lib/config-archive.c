/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "config-archive.h"
#include "config-loader.h"

#define MAGIC "netshared-archive 1\n"
#define SIZE_DIGITS 20
#define SIZE_UNKNOWN "--------------------"

/* ---- writing ---- */

static int write_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t wrote = write(fd, p, n);

        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return -errno;
        p += wrote;
        n -= (size_t)wrote;
    }
    return 0;
}

int nsh_archive_begin(int fd)
{
    return write_all(fd, MAGIC, strlen(MAGIC));
}

/* *ret_at is where the digits of the size stand. */
static const char *const kinds[] = {
        [NSH_ARCHIVE_CONFIG] = "file",
        [NSH_ARCHIVE_LIST] = "list",
};

int nsh_archive_begin_file(int fd, enum nsh_archive_kind kind, const char *path, off_t *ret_at)
{
    char line[PATH_MAX + 64];
    size_t n = strlen(path);
    off_t at = lseek(fd, 0, SEEK_CUR);
    int length, r;

    if (at < 0)
        return -errno;
    if (n >= PATH_MAX)
        return -ENAMETOOLONG;
    length = snprintf(line, sizeof(line), "%s " SIZE_UNKNOWN " %zu %s\n", kinds[kind], n, path);
    r = write_all(fd, line, (size_t)length);
    if (r < 0)
        return r;
    *ret_at = at + (off_t)strlen("file ");
    return 0;
}

int nsh_archive_write(int fd, const void *data, size_t size)
{
    return write_all(fd, data, size);
}

int nsh_archive_end_file(int fd, off_t at, uint64_t size)
{
    char digits[SIZE_DIGITS + 1];
    ssize_t n;

    (void)snprintf(digits, sizeof(digits), "%020" PRIu64, size);
    n = pwrite(fd, digits, SIZE_DIGITS, at);
    if (n < 0)
        return -errno;
    return n == SIZE_DIGITS ? write_all(fd, "\n", 1) : -EIO;
}

int nsh_archive_end(int fd, const struct nsh_names *tables)
{
    char line[NSH_NAME_MAX + 32];
    int r = 0;

    for (size_t i = 0; i < tables->n && r == 0; i++) {
        int n = snprintf(line, sizeof(line), "table %" PRIu32 " %s\n", tables->items[i].number,
                tables->items[i].text);

        r = write_all(fd, line, (size_t)n);
    }
    return r < 0 ? r : write_all(fd, "end\n", 4);
}

/* ---- reading ---- */

struct cursor {
    struct nsh_source source;
    uint64_t at;
};

/* Reads exactly `n` bytes. */
static int take(struct cursor *c, char *buf, size_t n)
{
    while (n > 0) {
        ssize_t r = nsh_source_read(&c->source, c->at, buf, n);

        if (r <= 0)
            return r < 0 ? (int)r : -EBADMSG;
        buf += r;
        n -= (size_t)r;
        c->at += (uint64_t)r;
    }
    return 0;
}

/* Reads up to `end`, which is taken but left out; the text is shorter than `size`. */
static int take_until(struct cursor *c, char end, char *buf, size_t size)
{
    for (size_t n = 0; n < size; n++) {
        int r = take(c, &buf[n], 1);

        if (r < 0)
            return r;
        if (buf[n] == end) {
            buf[n] = '\0';
            return 0;
        }
    }
    return -EBADMSG;
}

/* A number that is followed by a space. */
static int take_number(struct cursor *c, uint64_t max, uint64_t *ret)
{
    char digits[SIZE_DIGITS + 2], *end;
    int r = take_until(c, ' ', digits, sizeof(digits));
    unsigned long long value;

    if (r < 0)
        return r;
    if (digits[0] < '0' || digits[0] > '9')
        return -EBADMSG;
    errno = 0;
    value = strtoull(digits, &end, 10);
    if (errno != 0 || *end != '\0' || value > max)
        return -EBADMSG;
    *ret = value;
    return 0;
}

static int expect(struct cursor *c, const char *text)
{
    char buf[sizeof(MAGIC)];
    size_t n = strlen(text);
    int r = take(c, buf, n);

    if (r < 0)
        return r;
    return memcmp(buf, text, n) == 0 ? 0 : -EBADMSG;
}

/* Makes room for one more file. */
static int grow(struct nsh_archive *a)
{
    struct nsh_archive_file *files;

    if (a->n_files > NSH_DROP_INS_MAX + NSH_LIST_FILES_MAX)
        return -EBADMSG;
    if (a->n_files < a->room)
        return 0;
    files = reallocarray(a->files, a->room * 2 + 4, sizeof(*files));
    if (!files)
        return -ENOMEM;
    a->files = files;
    a->room = a->room * 2 + 4;
    return 0;
}

static int take_path(struct cursor *c, uint64_t n, char **ret)
{
    nsh_autofree char *path = calloc(1, n + 1);
    int r;

    if (!path)
        return -ENOMEM;
    r = take(c, path, n);
    if (r == 0)
        r = expect(c, "\n");
    if (r < 0)
        return r;
    if (n == 0 || strlen(path) != n)
        return -EBADMSG;
    *ret = NSH_TAKE_PTR(path);
    return 0;
}

static int take_file(struct cursor *c, enum nsh_archive_kind kind, struct nsh_archive *a)
{
    struct nsh_archive_file *file;
    uint64_t size, n;
    int r = take_number(c, NSH_CONFIG_FILE_MAX, &size);

    if (r == 0)
        r = take_number(c, PATH_MAX - 1, &n);
    if (r == 0)
        r = grow(a);
    if (r < 0)
        return r;
    file = &a->files[a->n_files];
    *file = (struct nsh_archive_file){.kind = kind, .source = {.fd = c->source.fd, .length = size}};
    r = take_path(c, n, &file->path);
    if (r < 0)
        return r;
    a->n_files++;
    file->source.start = c->at;
    c->at += size;
    return expect(c, "\n");
}

static int take_table(struct cursor *c, struct nsh_archive *a)
{
    char name[NSH_NAME_MAX];
    uint64_t number;
    int r = take_number(c, UINT32_MAX, &number);

    if (r == 0)
        r = take_until(c, '\n', name, sizeof(name));
    return r < 0 ? r : nsh_names_add(&a->tables, name, (uint32_t)number);
}

static int take_records(struct cursor *c, struct nsh_archive *a)
{
    char word[8], beyond;
    int r = expect(c, MAGIC);

    while (r == 0) {
        r = take(c, word, 4);
        if (r < 0)
            break;
        if (memcmp(word, "end\n", 4) == 0)
            return take(c, &beyond, 1) == -EBADMSG && a->n_files > 0 ? 0 : -EBADMSG;
        if (memcmp(word, "file", 4) == 0 && a->tables.n == 0)
            r = expect(c, " ") < 0 ? -EBADMSG : take_file(c, NSH_ARCHIVE_CONFIG, a);
        else if (memcmp(word, "list", 4) == 0 && a->n_files > 0 && a->tables.n == 0)
            r = expect(c, " ") < 0 ? -EBADMSG : take_file(c, NSH_ARCHIVE_LIST, a);
        else if (memcmp(word, "tabl", 4) == 0)
            r = expect(c, "e ") < 0 ? -EBADMSG : take_table(c, a);
        else
            r = -EBADMSG;
    }
    return r;
}

int nsh_archive_read(int fd, struct nsh_archive *ret)
{
    struct nsh_archive a = {0};
    struct cursor c = {.source = {.fd = fd, .length = NSH_SOURCE_TO_END}};
    int r = take_records(&c, &a);

    if (r < 0) {
        nsh_archive_free(&a);
        return r;
    }
    *ret = a;
    return 0;
}

void nsh_archive_free(struct nsh_archive *a)
{
    for (size_t i = 0; i < a->n_files; i++)
        free(a->files[i].path);
    free(a->files);
    nsh_names_free(&a->tables);
    *a = (struct nsh_archive){0};
}
