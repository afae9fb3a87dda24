/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A directory of the test's own, and what is said of a file that is put there.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cleanup.h"
#include "config-names.h"
#include "config.h"

/* The tests run in a directory of their own, below a sticky one. */
static char scratch[] = "/tmp/nsh-test-input-XXXXXX";

static inline void put(const char *path, const void *bytes, size_t n)
{
    nsh_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    while (n > 0) {
        ssize_t wrote = write(fd, bytes, n);

        assert_true(wrote > 0);
        bytes = (const char *)bytes + wrote;
        n -= (size_t)wrote;
    }
}

static inline void put_text(const char *path, const char *text)
{
    put(path, text, strlen(text));
}

/* Loads; the errors as text, the caller's to free. */
static inline char *load_as(const char *path, enum nsh_config_trust trust, int *ret_r)
{
    struct nsh_config_source source = {.path = path, .trust = trust, .archive_fd = -1};
    struct nsh_diags *d = nsh_diags_new();
    struct nsh_config *c = NULL;
    char *text;
    int r = nsh_config_load(&source, d, &c);

    assert_int_equal(c != NULL, r == 0);
    assert_int_equal(nsh_diags_errors(d) > 0, r < 0);
    text = nsh_diags_format(d);
    nsh_config_free(c);
    nsh_diags_free(d);
    *ret_r = r;
    return text;
}

static inline void assert_errors(const char *path, int want, const char *text)
{
    int r;
    char *errors = load_as(path, NSH_TRUST_REQUIRED, &r);

    assert_string_equal(errors, text);
    assert_int_equal(r, want);
    free(errors);
}

static inline void assert_contains(const char *path, int want, const char *part)
{
    int r;
    char *errors = load_as(path, NSH_TRUST_REQUIRED, &r);

    if (!strstr(errors, part))
        fprintf(stderr, "# %s", errors);
    assert_non_null(strstr(errors, part));
    assert_int_equal(r, want);
    free(errors);
}

static inline int setup(void **state)
{
    (void)state;
    (void)umask(022);
    return mkdtemp(scratch) && chdir(scratch) == 0 ? 0 : -1;
}

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline int teardown(void **state)
{
    (void)state;
    return chdir("/") | nftw(scratch, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
