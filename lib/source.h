/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The bytes of one file: a range of a descriptor, read without moving its position, so that a file
 * of its own and a file inside an archive are the same thing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#define NSH_SOURCE_TO_END UINT64_MAX
/* Longest part of a line that nsh_source_lines shows. */
#define NSH_SOURCE_LINE_SHOWN (64UL * 1024)

struct nsh_source {
    int fd;
    uint64_t start;
    uint64_t length; /* NSH_SOURCE_TO_END: all there is */
};

/* What of a file is another when somebody has written to it. */
struct nsh_stamp {
    int64_t size, links;
    struct timespec written, changed;
};

/* 0 or negative errno. */
int nsh_stamp_take(int fd, struct nsh_stamp *ret);
/* True if nobody has written to it since, as far as is known. */
bool nsh_stamp_holds(const struct nsh_stamp *stamp, int fd);

/* Reads at `offset` of the range: bytes, 0 at its end, or negative errno. */
ssize_t nsh_source_read(const struct nsh_source *s, uint64_t offset, void *buf, size_t size);

/* One line without its end; return false to end the walk. */
typedef bool nsh_source_line(void *userdata, uint32_t line, const char *text, size_t n);
/*
 * Walks the lines as YAML counts them: ended by LF, CR LF or CR. A byte order mark at the start is
 * left out. Returns 0 or negative errno.
 */
int nsh_source_lines(const struct nsh_source *s, nsh_source_line *seen, void *userdata);
