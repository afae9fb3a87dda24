/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A commit of the contract on nftables: one transaction, made from the look at our table, and sent
 * for as long as nobody but others has written to tables of their own.
 */
#include "firewall-nft-session.h"

#include <errno.h>
#include <linux/netlink.h>
#include <string.h>

#define SENDS 8 /* of one transaction, while others write to tables of their own */

int nsh_nft_send(struct nsh_nft *f, struct nsh_nft_batch *b, const struct nsh_nft_look *l,
        struct nsh_nft_failure *failure)
{
    uint32_t generation = l->generation, touches = f->touches[nsh_nft_index(l->family)];
    int r = NSH_FIREWALL_RACED;

    for (int i = 0; i < SENDS && r == NSH_FIREWALL_RACED; i++) {
        r = nsh_nft_batch_send(&f->channel, b, generation, false, failure);
        if (r != NSH_FIREWALL_RACED)
            break;
        nsh_nft_watch_wait(&f->watch, generation);
        if (f->watch.touches != touches || (int32_t)(f->watch.generation - generation) <= 0)
            break;
        generation = f->watch.generation;
    }
    return r;
}

static void explain(int family, const struct nsh_firewall_op *ops, size_t n,
        const struct nsh_nft_failure *failure, char *ret_why, size_t size)
{
    char name[NSH_NFT_NAME] = "";

    if (failure->step < n)
        nsh_nft_chain_name(ops[failure->step].table, ops[failure->step].chain, name);
    nsh_nft_words(family, name, failure, ret_why, size);
}

/* The jump stands already. */
static bool is_done(const struct nsh_nft_look *l, const struct nsh_firewall_op *op)
{
    const struct nsh_nft_hook *hook = nsh_nft_hook_find(op->table, op->hook);
    struct nsh_nft_chain *bases[NSH_NFT_PLACES];
    char name[NSH_NFT_NAME];

    if (op->verb != NSH_JUMP_ADD || !hook)
        return false;
    nsh_nft_look_bases(l, hook, bases);
    if (!nsh_nft_look_good(l, bases))
        return false;
    nsh_nft_chain_name(op->table, op->chain, name);
    for (int place = 0; place < NSH_NFT_PLACES; place++)
        for (size_t i = 0; bases[place] && i < bases[place]->n_rules; i++)
            if (strcmp(bases[place]->rules[i].refers, name) == 0)
                return true;
    return false;
}

/* What is seen then is another thing; if nothing else was amiss, that was it. */
static int wake_table(struct nsh_nft *f, struct nsh_nft_look *l, const struct nsh_firewall_op *ops,
        size_t n, struct nsh_nft_failure *failure)
{
    NSH_CLEANUP(nsh_nft_batch_done) struct nsh_nft_batch b;
    struct nlmsghdr *m;
    int r;

    nsh_nft_batch_init(&b);
    m = nsh_nft_batch_open(&b, NFT_MSG_NEWTABLE, l->family, NLM_F_REQUEST);
    if (!m)
        return -ENOMEM;
    mnl_attr_put_strz(m, NFTA_TABLE_NAME, NSH_NFT_TABLE);
    mnl_attr_put_u32(m, NFTA_TABLE_FLAGS, 0);
    nsh_nft_batch_close(&b, m);
    r = nsh_nft_send(f, &b, l, failure);
    if (r == NSH_FIREWALL_OK)
        r = nsh_nft_take_look(f, l->family, &l);
    for (size_t i = 0; r == NSH_FIREWALL_OK && i < n; i++)
        if (!is_done(l, &ops[i]))
            r = NSH_FIREWALL_RACED;
    return r;
}

static int commit_ops(struct nsh_nft *f, struct nsh_nft_look *l, enum nsh_table table,
        const struct nsh_firewall_op *ops, size_t n, char *ret_why, size_t size)
{
    NSH_CLEANUP(nsh_nft_batch_done) struct nsh_nft_batch b;
    struct nsh_nft_failure failure = {.step = NSH_NFT_NO_STEP};
    int r = NSH_FIREWALL_OK;

    nsh_nft_batch_init(&b);
    if (l->dormant) {
        r = wake_table(f, l, ops, n, &failure);
    } else {
        r = nsh_nft_edit(l, table, ops, n, &b, ret_why, size);
        if (r != NSH_FIREWALL_OK)
            return r;
        r = nsh_nft_send(f, &b, l, &failure);
    }
    if (r < 0)
        explain(l->family, ops, n, &failure, ret_why, size);
    return r;
}

/* The look of the last observe, or one of its own. */
static int prepare(struct nsh_nft *f, int family, enum nsh_table table, char *ret_why, size_t size)
{
    struct nsh_nft_look *l = &f->looks[nsh_nft_index(family)];
    struct nsh_nft_failure failure = {.step = NSH_NFT_NO_STEP};

    if (l->valid)
        return 0;
    nsh_nft_watch_take(&f->watch);
    nsh_nft_watch_mark(&f->watch, family, table, true);
    failure.error = nsh_nft_take_look(f, family, &l);
    if (failure.error < 0)
        nsh_nft_words(family, NULL, &failure, ret_why, size);
    return failure.error;
}

int nsh_nft_commit(struct nsh_firewall *fw, int family, enum nsh_table table,
        const struct nsh_firewall_op *ops, size_t n, char *ret_why, size_t size)
{
    struct nsh_nft *f = nsh_nft_of(fw);
    struct nsh_nft_look *l;
    int r;

    if (ret_why && size > 0)
        ret_why[0] = '\0';
    if (!f->open || f->mode != NSH_FIREWALL_WRITE || !nsh_nft_is_place(family, table))
        return -EINVAL;
    if (n == 0)
        return NSH_FIREWALL_OK;
    l = &f->looks[nsh_nft_index(family)];
    r = prepare(f, family, table, ret_why, size);
    if (r == 0)
        r = commit_ops(f, l, table, ops, n, ret_why, size);
    /* Sent or spoilt, the look is of no more use. */
    nsh_nft_look_done(l);
    if (r != NSH_FIREWALL_OK)
        nsh_nft_watch_mark(&f->watch, family, table, false);
    return r;
}
