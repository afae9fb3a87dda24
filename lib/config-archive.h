/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The archive of an accepted configuration: the bytes of its files as they were read, and what the
 * names of routing tables meant then.
 *
 *     netshared-archive 1
 *     file SIZE PATHSIZE PATH      SIZE with 20 digits, written when it is known; then the bytes
 *     list SIZE PATHSIZE PATH      the same for a file of prefixes, behind the file that names it
 *     table NUMBER NAME
 *     end
 *
 * Files come in the order in which they were read, the main file first. An archive that was cut
 * short has no end, or a file without a size.
 */
#pragma once

#include <limits.h>

#include "config-names.h"
#include "source.h"

enum nsh_archive_kind {
    NSH_ARCHIVE_CONFIG, /* the main file, a drop-in */
    NSH_ARCHIVE_LIST,   /* prefixes */
};

struct nsh_archive_file {
    enum nsh_archive_kind kind;
    struct nsh_source source;
    char *path;
};

struct nsh_archive {
    struct nsh_archive_file *files;
    size_t n_files, room;
    struct nsh_names tables;
};

/* Writing, in this order; 0 or negative errno. The bytes are written between begin and end. */
int nsh_archive_begin(int fd);
int nsh_archive_begin_file(int fd, enum nsh_archive_kind kind, const char *path, off_t *ret_at);
int nsh_archive_write(int fd, const void *data, size_t size);
int nsh_archive_end_file(int fd, off_t at, uint64_t size);
int nsh_archive_end(int fd, const struct nsh_names *tables);

/* Reads and checks all but the files' bytes: 0, -EBADMSG if it is damaged, or negative errno. */
int nsh_archive_read(int fd, struct nsh_archive *ret);
void nsh_archive_free(struct nsh_archive *a);
