/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a file says, as what it makes the kernel be. It is written into the working directory.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "config.h"
#include "desired.h"
#include "diag.h"

static inline struct nsh_desired *desire(const char *text)
{
    struct nsh_config_source source = {
            .path = "a.yaml", .trust = NSH_TRUST_REQUIRED, .archive_fd = -1};
    struct nsh_diags *diags = nsh_diags_new();
    struct nsh_config *c = NULL;
    struct nsh_desired *d = NULL;
    FILE *f = fopen("a.yaml", "we");

    assert_non_null(f);
    fprintf(f, "version: 1\n%s", text);
    assert_int_equal(fclose(f), 0);
    if (nsh_config_load(&source, diags, &c) < 0) {
        nsh_diags_print(diags, stderr);
        fail();
    }
    nsh_diags_free(diags);
    assert_int_equal(nsh_desired_new(c, &d), 0);
    return d;
}
