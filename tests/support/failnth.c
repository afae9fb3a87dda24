/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Preloaded into a program (LD_PRELOAD): the NSH_FAIL_AT-th allocation fails, and with
 * NSH_FAIL_ALL=1 each one after it. At the end it says how many there were.
 *
 * The C library allocates by these, too, as strdup and fopen do.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* What glibc's own are called besides. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t size);

#pragma GCC visibility push(default)
void *malloc(size_t size);
void *calloc(size_t n, size_t size);
void *realloc(void *p, size_t size);
#pragma GCC visibility pop

static unsigned long at; /* 0: none fails */
static bool all;
static atomic_ulong count;

__attribute__((constructor)) static void arrange(void)
{
    const char *text = getenv("NSH_FAIL_AT");

    count = 0;
    at = text ? strtoul(text, NULL, 10) : 0;
    all = getenv("NSH_FAIL_ALL") != NULL;
}

__attribute__((destructor)) static void tell(void)
{
    fprintf(stderr, "allocations: %lu\n", (unsigned long)count);
}

static bool fails(void)
{
    unsigned long n = ++count;

    if (at == 0 || n < at || (n > at && !all))
        return false;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    return fails() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
    return fails() ? NULL : __libc_realloc(p, size);
}
