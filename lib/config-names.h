/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * iproute2's files that give numbers names: rt_tables, rt_protos. A damaged file or line is passed
 * over, as iproute2 does.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NSH_NAME_MAX 64 /* bytes of a name, with its NUL */

struct nsh_name {
    char text[NSH_NAME_MAX];
    uint32_t number;
};

struct nsh_names {
    struct nsh_name *items;
    size_t n, room;
};

/* Where they are, the directory that overrides first; ends with NULL. */
extern const char *const nsh_names_directories[];

/*
 * Adds what BASE and BASE.d/ *.conf in each of the directories say, in that order. 0 or -ENOMEM.
 */
int nsh_names_read(struct nsh_names *names, const char *const *directories, const char *base);
int nsh_names_add(struct nsh_names *names, const char *text, uint32_t number);
void nsh_names_free(struct nsh_names *names);
/* The first entry of that name; NULL: none. */
const struct nsh_name *nsh_names_find(const struct nsh_names *names, const char *text);
/* A name of `number` that is not `but`; NULL: there is none. */
const char *nsh_names_other(const struct nsh_names *names, uint32_t number, const char *but);
