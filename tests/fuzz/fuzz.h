/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz targets: a program each. With -Dfuzz=true libFuzzer drives it; else it runs the inputs it is
 * given (corpus.c), which is how a build of any kind goes through the corpus.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold whatever the input is. */
#define FUZZ_MUST(what)                                                                    \
    do {                                                                                   \
        if (!(what)) {                                                                     \
            fprintf(stderr, "%s:%d: this does not hold: %s\n", __FILE__, __LINE__, #what); \
            abort();                                                                       \
        }                                                                                  \
    } while (0)

/* An input that is taken piece by piece. */
struct fuzz_input {
    const uint8_t *data;
    size_t size;
};

/* Zeroes when there is nothing left. */
void fuzz_take(struct fuzz_input *in, void *ret, size_t size);
uint8_t fuzz_byte(struct fuzz_input *in);
/* A copy with a NUL behind it, the caller's to free. */
char *fuzz_text(const struct fuzz_input *in);
/* A file without a name that holds these bytes; read from its start. */
int fuzz_file(const void *data, size_t size);
