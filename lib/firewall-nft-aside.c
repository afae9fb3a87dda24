/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sets are read and written in a thread. For 100,000 prefixes the kernel takes two seconds to list
 * them, since it goes through the set from its beginning for each part of the answer, half a second
 * to take them in, and fifty milliseconds to take in one more. A transaction stays what it was: a
 * set that is being filled is not there until it is full.
 */
#include "firewall-nft.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TRIES 20

void nsh_nft_aside_init(struct nsh_nft_aside *a)
{
    *a = (struct nsh_nft_aside){0};
    nsh_nft_channel_init(&a->channel);
    nsh_nft_batch_init(&a->batch);
}

/* The thread has ended. */
static void clear(struct nsh_nft_aside *a)
{
    free(NSH_TAKE_PTR(a->seen));
    a->n_seen = a->max_seen = 0;
    nsh_nft_batch_done(&a->batch);
    a->what = NSH_NFT_NOTHING;
    a->dropped = false;
}

void nsh_nft_aside_finish(struct nsh_nft_aside *a)
{
    if (a->what == NSH_NFT_NOTHING)
        return;
    (void)nsh_aside_finish(&a->aside);
    clear(a);
}

void nsh_nft_aside_settle(struct nsh_nft_aside *a)
{
    if (a->what == NSH_NFT_WRITE)
        nsh_nft_aside_finish(a);
}

void nsh_nft_aside_done(struct nsh_nft_aside *a)
{
    nsh_nft_aside_finish(a);
    nsh_nft_channel_done(&a->channel);
}

void nsh_nft_aside_drop(struct nsh_nft_aside *a)
{
    a->dropped = a->what != NSH_NFT_NOTHING;
}

static bool is_that(
        const struct nsh_nft_aside *a, enum nsh_nft_aside_what what, int family, const char *name)
{
    return a->what == what && !a->dropped && a->family == family && strcmp(a->name, name) == 0;
}

/* 1: it is to be begun; else what came of it. What else is going on has to end first. */
static int go_on(
        struct nsh_nft_aside *a, enum nsh_nft_aside_what what, int family, const char *name)
{
    int r;

    if (a->what == NSH_NFT_NOTHING)
        return 1;
    r = nsh_aside_wait(&a->aside);
    if (r == -EINPROGRESS || is_that(a, what, family, name))
        return r;
    clear(a);
    return 1;
}

static void begin(struct nsh_nft_aside *a, enum nsh_nft_aside_what what, int family,
        const char *name, int (*work)(void *userdata))
{
    a->what = what;
    a->family = family;
    memcpy(a->name, name, strnlen(name, sizeof a->name - 1) + 1);
    nsh_aside_start(&a->aside, work, a);
}

/* ---- reading ---- */

static int collect(void *userdata, const struct nsh_prefix *element)
{
    struct nsh_nft_aside *a = userdata;

    if (a->n_seen == a->max_seen) {
        size_t max = a->max_seen ? a->max_seen * 2 : 64;
        struct nsh_prefix *grown = reallocarray(a->seen, max, sizeof *grown);

        if (!grown)
            return -ENOMEM;
        a->seen = grown;
        a->max_seen = max;
    }
    a->seen[a->n_seen++] = *element;
    return 0;
}

static int read_all(void *userdata)
{
    struct nsh_nft_aside *a = userdata;

    return nsh_nft_set_read(&a->channel, a->family, a->name, &a->torn, collect, a);
}

/* If somebody wrote while it was read, but not to this set, it is as it was read. */
static int tell(struct nsh_nft_aside *a, const struct nsh_nft_watch *w,
        nsh_set_element_observed *observed, void *userdata)
{
    int r = 0;

    if (a->torn && nsh_nft_watch_set_changed(w, a->family, a->name))
        return ++a->n_torn < TRIES ? -EINPROGRESS : -EAGAIN;
    a->n_torn = 0;
    for (size_t i = 0; r == 0 && i < a->n_seen; i++)
        r = observed(userdata, &a->seen[i]);
    return r;
}

int nsh_nft_aside_read(struct nsh_nft_aside *a, struct nsh_nft_watch *w, int family,
        const char *name, nsh_set_element_observed *observed, void *userdata)
{
    int r;

    nsh_nft_watch_take(w);
    /* The mark before the look: what changes in between makes a difference later. */
    r = is_that(a, NSH_NFT_READ, family, name) ? 0 : nsh_nft_watch_mark_set(w, family, name, true);
    if (r == 0)
        r = go_on(a, NSH_NFT_READ, family, name);
    if (r > 0) {
        a->torn = false;
        begin(a, NSH_NFT_READ, family, name, read_all);
        r = nsh_aside_wait(&a->aside);
    }
    if (r == -EINPROGRESS)
        return r;
    nsh_nft_watch_take(w);
    if (r == 0)
        r = tell(a, w, observed, userdata);
    if (r != 0)
        (void)nsh_nft_watch_mark_set(w, family, name, false);
    clear(a);
    return r;
}

/* ---- writing ---- */

/* What it is made from does not matter: each step names all that it needs. */
static int send_all(void *userdata)
{
    struct nsh_nft_aside *a = userdata;

    return nsh_nft_batch_send(&a->channel, &a->batch, 0, false, &a->failure);
}

static int begin_write(struct nsh_nft_aside *a, const struct nsh_set_op *op)
{
    bool another = false;
    int r = nsh_nft_set_find(&a->channel, op->family, op->name, &another);

    a->failure = (struct nsh_nft_failure){.step = NSH_NFT_NO_STEP};
    if (r == 0 || r == -ENOENT)
        r = nsh_nft_set_edit(&a->batch, op, another);
    a->failure.error = r;
    if (r < 0) {
        nsh_nft_batch_done(&a->batch);
        return r;
    }
    begin(a, NSH_NFT_WRITE, op->family, op->name, send_all);
    return 0;
}

int nsh_nft_aside_write(struct nsh_nft_aside *a, struct nsh_nft_watch *w,
        const struct nsh_set_op *op, struct nsh_nft_failure *failure)
{
    bool whole = op->verb == NSH_SET_CREATE || op->verb == NSH_SET_REPLACE;
    int r = 0;

    nsh_nft_watch_take(w);
    if (whole && !is_that(a, NSH_NFT_WRITE, op->family, op->name))
        r = nsh_nft_watch_mark_set(w, op->family, op->name, true);
    if (r == 0)
        r = go_on(a, NSH_NFT_WRITE, op->family, op->name);
    if (r > 0) {
        r = begin_write(a, op);
        if (r == 0)
            r = nsh_aside_wait(&a->aside);
    }
    if (r == -EINPROGRESS)
        return r;
    *failure = a->failure;
    clear(a);
    if (r < 0)
        (void)nsh_nft_watch_mark_set(w, op->family, op->name, false);
    return r;
}
