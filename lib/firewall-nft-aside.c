/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sets are read and written in a thread. For 100,000 prefixes the kernel takes two seconds to list
 * them, since it goes through the set from its beginning for each part of the answer, half a second
 * to take them in, and fifty milliseconds to take in one more. A transaction stays what it was: a
 * set that is being filled is not there until it is full.
 */
#include "firewall-nft.h"

#include <errno.h>

#define TRIES 20
#define CATCH_UP 64 /* reads of the queue of news, for what came while it was read */

void nsh_nft_aside_init(struct nsh_nft_aside *a)
{
    *a = (struct nsh_nft_aside){0};
    nsh_nft_channel_init(&a->channel);
}

void nsh_nft_aside_done(struct nsh_nft_aside *a)
{
    nsh_set_aside_done(&a->set);
    nsh_nft_channel_done(&a->channel);
}

/* ---- reading ---- */

static int read_all(void *userdata)
{
    struct nsh_nft_aside *a = userdata;
    int r = nsh_nft_set_read(&a->channel, a->set.op.family, a->set.op.name, &a->torn,
            nsh_set_aside_collect, &a->set);

    nsh_set_aside_sort(&a->set);
    return r;
}

/* If somebody wrote while it was read, but not to this set, it is as it was read. */
static int tell(struct nsh_nft_aside *a, struct nsh_nft_watch *w,
        nsh_set_element_observed *observed, void *userdata)
{
    bool heard_all = nsh_nft_watch_take(w);

    for (int i = 0; i < CATCH_UP && a->torn && !heard_all; i++)
        heard_all = nsh_nft_watch_take(w);
    if (a->torn && (!heard_all || nsh_nft_watch_set_changed(w, a->set.op.family, a->set.op.name)))
        return ++a->n_torn < TRIES ? -EINPROGRESS : -EAGAIN;
    a->n_torn = 0;
    return nsh_set_aside_tell(&a->set, observed, userdata);
}

int nsh_nft_aside_read(struct nsh_nft_aside *a, struct nsh_nft_watch *w, int family,
        const char *name, nsh_set_element_observed *observed, void *userdata)
{
    int r = 0;

    nsh_nft_watch_take(w);
    /* The mark before the look: what changes in between makes a difference later. */
    if (!nsh_set_aside_is(&a->set, NSH_SET_ASIDE_READ, family, name))
        r = nsh_nft_watch_mark_set(w, family, name, true);
    if (r == 0)
        r = nsh_set_aside_go_on(&a->set, NSH_SET_ASIDE_READ, family, name);
    if (r > 0) {
        a->torn = false;
        r = nsh_set_aside_begin_read(&a->set, family, name, read_all, a);
    }
    if (r == -EINPROGRESS)
        return r;
    if (r == 0)
        r = tell(a, w, observed, userdata);
    if (r != 0)
        (void)nsh_nft_watch_mark_set(w, family, name, false);
    nsh_set_aside_clear(&a->set);
    return r;
}

/* ---- writing ---- */

/* What it is made from does not matter: each step names all that it needs. */
static int write_all(void *userdata)
{
    NSH_CLEANUP(nsh_nft_batch_done) struct nsh_nft_batch b;
    struct nsh_nft_aside *a = userdata;
    const struct nsh_set_op *op = &a->set.op;
    bool another = false;
    int r = nsh_nft_set_find(&a->channel, op->family, op->name, &another);

    nsh_nft_batch_init(&b);
    if (r == 0 || r == -ENOENT)
        r = nsh_nft_set_edit(&b, op, another);
    a->failure.error = r;
    return r < 0 ? r : nsh_nft_batch_send(&a->channel, &b, 0, false, &a->failure);
}

int nsh_nft_aside_write(struct nsh_nft_aside *a, struct nsh_nft_watch *w,
        const struct nsh_set_op *op, struct nsh_nft_failure *failure)
{
    bool whole = op->verb == NSH_SET_CREATE || op->verb == NSH_SET_REPLACE;
    int r = 0;

    nsh_nft_watch_take(w);
    if (whole && !nsh_set_aside_is(&a->set, NSH_SET_ASIDE_WRITE, op->family, op->name))
        r = nsh_nft_watch_mark_set(w, op->family, op->name, true);
    if (r == 0)
        r = nsh_set_aside_go_on(&a->set, NSH_SET_ASIDE_WRITE, op->family, op->name);
    if (r > 0) {
        a->failure = (struct nsh_nft_failure){.step = NSH_NFT_NO_STEP, .error = -ENOMEM};
        r = nsh_set_aside_begin_write(&a->set, op, write_all, a);
    }
    if (r == -EINPROGRESS)
        return r;
    *failure = a->failure;
    nsh_set_aside_clear(&a->set);
    if (r < 0)
        (void)nsh_nft_watch_mark_set(w, op->family, op->name, false);
    return r;
}
