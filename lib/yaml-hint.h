/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Says in an administrator's words what libyaml's parser stumbled over, from the line it did so.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "source.h"

struct nsh_yaml_problem {
    const char *text; /* libyaml's words */
    uint32_t line, column;
    uint32_t context_line, context_column; /* where what it was reading began; 0: unknown */
};

struct nsh_yaml_hint {
    const char *problem;   /* replaces libyaml's own words; NULL: they are good enough */
    uint32_t line, column; /* where it really is */
    char text[128];        /* "": none */
};

void nsh_yaml_find_hint(const struct nsh_source *source, const struct nsh_yaml_problem *problem,
        struct nsh_yaml_hint *ret);
