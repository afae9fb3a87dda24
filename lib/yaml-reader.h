/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Feeds libyaml with the bytes of a file that have passed the limits: size, line length, and
 * nothing but UTF-8 text. The first byte that does not pass ends the file there, so that what
 * stands before it is still read.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "source.h"

/* A single value, or comments without a value, larger than this are an error: memory. */
#define NSH_YAML_GAP_MAX (16ULL * 1024 * 1024)

struct nsh_yaml_reader {
    struct nsh_source source;
    int archive_fd; /* -1: none */
    uint64_t offset;
    uint64_t gap; /* bytes since the last event; the owner sets it to 0 */
    uint32_t line;
    uint32_t line_bytes;
    uint32_t line_inner; /* of them, bytes inside of characters */
    bool after_cr;
    /* the UTF-8 character under way */
    uint8_t wanted;
    uint8_t length;
    uint8_t lead; /* its first byte */
    uint32_t value;
    /* what went wrong; text is "" while nothing has */
    int error; /* negative errno: could not be read or archived */
    char text[96];
    const char *hint;
    uint32_t column; /* of `line` */
};

/* A yaml_read_handler_t; `data` is the reader. */
int nsh_yaml_reader_read(void *data, unsigned char *buffer, size_t size, size_t *ret_size);
