/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fuzz.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void fuzz_take(struct fuzz_input *in, void *ret, size_t size)
{
    size_t n = size < in->size ? size : in->size;

    memset(ret, 0, size);
    if (n > 0)
        memcpy(ret, in->data, n);
    in->data += n;
    in->size -= n;
}

uint8_t fuzz_byte(struct fuzz_input *in)
{
    uint8_t byte;

    fuzz_take(in, &byte, 1);
    return byte;
}

char *fuzz_text(const struct fuzz_input *in)
{
    char *text = malloc(in->size + 1);

    FUZZ_MUST(text);
    if (in->size > 0)
        memcpy(text, in->data, in->size);
    text[in->size] = '\0';
    return text;
}

int fuzz_file(const void *data, size_t size)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);

    FUZZ_MUST(fd >= 0);
    FUZZ_MUST(size == 0 || write(fd, data, size) == (ssize_t)size);
    FUZZ_MUST(lseek(fd, 0, SEEK_SET) == 0);
    return fd;
}
