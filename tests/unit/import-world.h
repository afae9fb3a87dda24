/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What there is to be imported, by chance, and what is made of it.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cleanup.h"
#include "fib-netlink.h"
#include "import.h"

NSH_DEFINE_CLEANUP(struct nsh_desired *, nsh_desired_free)

#define ROUNDS 150
#define LINKS 3

static uint32_t seed;

static uint32_t below(uint32_t n)
{
    seed = seed * 1664525U + 1013904223U;
    return (uint32_t)(((uint64_t)seed * n) >> 32);
}

static bool one_in(uint32_t n)
{
    return below(n) == 0;
}

/* ---- what there is, and what is made of it ---- */

static const char *const devices[LINKS] = {"eth0", "true", "we\"ird\\x"};

/* Into an array. */
#define put(to, text) (void)snprintf(to, sizeof(to), "%s", text)

static void put_device(char to[static IFNAMSIZ])
{
    (void)snprintf(to, IFNAMSIZ, "%s", devices[below(LINKS)]);
}

static void begin(struct nsh_import *m)
{
    static struct nsh_link links[LINKS];

    *m = (struct nsh_import){.arena = nsh_arena_new(),
            .forwarding = {1, 1},
            .ours = NSH_ROUTE_PROTOCOL_DEFAULT,
            .no_ipsec = true};
    for (uint32_t i = 0; i < LINKS; i++) {
        links[i] = (struct nsh_link){.ifindex = i + 2};
        put(links[i].name, devices[i]);
    }
    m->links = calloc(LINKS, sizeof *m->links);
    assert_non_null(m->links);
    memcpy(m->links, links, sizeof links);
    m->n_links = LINKS;
}

/* Inline, GCC 12 takes what it returns for the address of its variable. */
static __attribute__((noinline)) char *written(const struct nsh_import *m)
{
    char *text = NULL, *why = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);

    assert_non_null(to);
    if (nsh_import_write(m, to, &why) != 0)
        fail_msg("refused: %s", why ? why : "?");
    assert_int_equal(fclose(to), 0);
    return text;
}

static struct nsh_config *judged(const struct nsh_import *m, const char *text)
{
    struct nsh_config *c = NULL;
    char *why = NULL;
    const char *body = strstr(text, "version: 1\n");

    assert_non_null(body);
    if (nsh_import_judge(m, body + strlen("version: 1\n"), &c, &why) != 0)
        fail_msg("%s: in\n%s", why, text);
    return c;
}

static struct nsh_foreign_rule *add_foreign(struct nsh_import *m)
{
    void *items = m->foreign;
    struct nsh_foreign_rule *room =
            nsh_import_add(&items, &m->n_foreign, &m->foreign_max, sizeof *room);

    m->foreign = items;
    assert_non_null(room);
    *room = (struct nsh_foreign_rule){.family = AF_INET, .hook = "POSTROUTING"};
    return room;
}

static size_t count(const char *text, const char *word)
{
    size_t n = 0;

    for (const char *at = strstr(text, word); at; at = strstr(at + 1, word))
        n++;
    return n;
}
