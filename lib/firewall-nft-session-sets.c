/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sets of prefixes, as the contract has them, on nftables: read in the session or in a thread,
 * written in a thread, and gone at once.
 */
#include "firewall-nft-session.h"

#include <errno.h>
#include <linux/netlink.h>
#include <stdio.h>

int nsh_nft_see_sets(
        struct nsh_firewall *fw, int family, nsh_set_observed *observed, void *userdata)
{
    struct nsh_nft *f = nsh_nft_of(fw);
    int r;

    if (!f->open || !nsh_nft_is_family(family))
        return -EINVAL;
    r = nsh_set_aside_settle(&f->aside.set);
    if (r < 0 || (f->mode == NSH_FIREWALL_READ && !nsh_nft_in_use()))
        return r;
    r = nsh_nft_channel_open(&f->channel);
    if (r == 0)
        r = nsh_nft_sets(&f->channel, family, observed, userdata);
    return nsh_nft_is_absent(r) ? 0 : r;
}

int nsh_nft_see_set(struct nsh_firewall *fw, int family, const char *name,
        nsh_set_element_observed *observed, void *userdata)
{
    struct nsh_nft *f = nsh_nft_of(fw);
    int r;

    if (!f->open || !nsh_nft_is_family(family))
        return -EINVAL;
    if (f->mode == NSH_FIREWALL_WRITE)
        return nsh_nft_aside_read(&f->aside, &f->watch, family, name, observed, userdata);
    if (!nsh_nft_in_use())
        return -ENOENT;
    r = nsh_nft_channel_open(&f->channel);
    return r < 0 ? r : nsh_nft_set_read(&f->channel, family, name, NULL, observed, userdata);
}

/* With its last set an empty table goes. */
static void remove_empty_table(struct nsh_nft *f, int family)
{
    NSH_CLEANUP(nsh_nft_batch_done) struct nsh_nft_batch b;
    struct nsh_nft_failure failure;
    struct nsh_nft_look *l;
    struct nlmsghdr *m;

    nsh_nft_batch_init(&b);
    if (nsh_nft_take_look(f, family, &l) < 0 || !l->table || l->n_sets > 0 || l->n_chains > 0)
        return;
    m = nsh_nft_batch_open(&b, NFT_MSG_DELTABLE, family, NLM_F_REQUEST);
    if (!m)
        return;
    mnl_attr_put_strz(m, NFTA_TABLE_NAME, NSH_NFT_TABLE);
    nsh_nft_batch_close(&b, m);
    (void)nsh_nft_send(f, &b, l, &failure);
}

/* This takes no time; what is being written comes first. */
static int destroy_set(
        struct nsh_nft *f, const struct nsh_set_op *op, struct nsh_nft_failure *failure)
{
    NSH_CLEANUP(nsh_nft_batch_done) struct nsh_nft_batch b;
    int r = nsh_set_aside_settle(&f->aside.set);

    nsh_nft_batch_init(&b);
    if (r < 0)
        return r;
    failure->error = r = nsh_nft_set_edit(&b, op, false);
    if (r == 0)
        r = nsh_nft_batch_send(&f->channel, &b, 0, false, failure);
    (void)nsh_nft_watch_mark_set(&f->watch, op->family, op->name, false);
    if (r == 0)
        remove_empty_table(f, op->family);
    return r;
}

static void explain_set(const struct nsh_set_op *op, const struct nsh_nft_failure *failure,
        char *ret_why, size_t size)
{
    if (!ret_why || size == 0)
        return;
    if (failure->error == -EBUSY)
        snprintf(ret_why, size, "set %.31s: a rule refers to it", op->name);
    else if (failure->error == -ENOENT)
        snprintf(ret_why, size, "set %.31s: it, or an element of it, is not there", op->name);
    else if (failure->error == -EEXIST)
        snprintf(ret_why, size, "set %.31s: it, or an element of it, is there already", op->name);
    else
        nsh_nft_words(op->family, op->name, failure, ret_why, size);
}

int nsh_nft_write_set(
        struct nsh_firewall *fw, const struct nsh_set_op *op, char *ret_why, size_t size)
{
    struct nsh_nft *f = nsh_nft_of(fw);
    struct nsh_nft_failure failure = {.step = NSH_NFT_NO_STEP};
    const char *words = nsh_nft_set_check(op);
    int r;

    if (ret_why && size > 0)
        ret_why[0] = '\0';
    if (words && ret_why && size > 0)
        snprintf(ret_why, size, "set %.31s: %s", op->name, words);
    if (words || !f->open || f->mode != NSH_FIREWALL_WRITE || !nsh_nft_is_family(op->family))
        return -EINVAL;
    r = op->verb == NSH_SET_DESTROY ? destroy_set(f, op, &failure)
                                    : nsh_nft_aside_write(&f->aside, &f->watch, op, &failure);
    if (r < 0 && r != -EINPROGRESS)
        explain_set(op, &failure, ret_why, size);
    return r;
}

void nsh_nft_drop_set(struct nsh_firewall *fw)
{
    nsh_set_aside_drop(&nsh_nft_of(fw)->aside.set);
}

int nsh_nft_changed_set(struct nsh_firewall *fw, int family, const char *name)
{
    struct nsh_nft *f = nsh_nft_of(fw);

    if (!nsh_nft_is_family(family))
        return -EINVAL;
    nsh_nft_watch_take(&f->watch);
    return nsh_nft_watch_set_changed(&f->watch, family, name);
}
