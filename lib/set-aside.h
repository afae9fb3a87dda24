/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A set that is read or written in a thread, whichever firewall holds it: what is going on, what
 * was read, and a copy of what is written, which whoever asked for it may forget meanwhile.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "aside.h"
#include "firewall.h"

enum nsh_set_aside_what { NSH_SET_ASIDE_NOTHING, NSH_SET_ASIDE_READ, NSH_SET_ASIDE_WRITE };

struct nsh_set_aside {
    struct nsh_aside aside;
    enum nsh_set_aside_what what;
    bool dropped; /* nobody wants to know what comes of it */
    /* The thread's own until it ends. */
    struct nsh_set_op op; /* of reading: family and name alone */
    struct nsh_set want;
    struct nsh_prefix *prefixes; /* all that op refers to */
    struct nsh_prefix *seen;
    size_t n_seen, max_seen;
};

bool nsh_set_aside_is(
        const struct nsh_set_aside *a, enum nsh_set_aside_what what, int family, const char *name);
/*
 * 1: it is to be begun; -EINPROGRESS: this, or what has to end before it, is not over; else what
 * came of it, and then nsh_set_aside_clear.
 */
int nsh_set_aside_go_on(
        struct nsh_set_aside *a, enum nsh_set_aside_what what, int family, const char *name);
/* `work` is to leave in nsh_set_aside_collect what it sees. Returns as nsh_aside_wait. */
int nsh_set_aside_begin_read(struct nsh_set_aside *a, int family, const char *name,
        int (*work)(void *userdata), void *userdata);
int nsh_set_aside_begin_write(struct nsh_set_aside *a, const struct nsh_set_op *op,
        int (*work)(void *userdata), void *userdata);
/* In the thread; an nsh_set_element_observed. */
int nsh_set_aside_collect(void *userdata, const struct nsh_prefix *element);
/* In the thread, when all is read: wanted prefixes are found the quicker in their own order. */
void nsh_set_aside_sort(struct nsh_set_aside *a);
/* Tells what was read. */
int nsh_set_aside_tell(
        const struct nsh_set_aside *a, nsh_set_element_observed *observed, void *userdata);
/* The thread has ended. */
void nsh_set_aside_clear(struct nsh_set_aside *a);

/* What is going on ends, and is forgotten. */
void nsh_set_aside_drop(struct nsh_set_aside *a);
/*
 * 0: nothing is being written, and what was dropped is over: a set that is being read can't be
 * destroyed. Else -EINPROGRESS.
 */
int nsh_set_aside_settle(struct nsh_set_aside *a);
/* Waits for the end, however long it takes. */
void nsh_set_aside_done(struct nsh_set_aside *a);
