/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether sets of others hold what a rule looks for in them. They may be large: the kernel looks it
 * up, as it does for a packet. What it has answered is kept, since rules ask for the same devices
 * again and again; and it is asked only so often, since rules may be many, each with a set.
 */
#include "firewall-nft.h"

#include <errno.h>
#include <libnftnl/set.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "newer.h"

#define KEY_MAX 64U /* bytes, as many as a rule can look for */

NSH_DEFINE_CLEANUP(struct nftnl_set *, nftnl_set_free)
NSH_DEFINE_CLEANUP(struct nftnl_set_elem *, nftnl_set_elem_free)
NSH_DEFINE_CLEANUP(struct nftnl_set_elems_iter *, nftnl_set_elems_iter_destroy)

/* A set, by its name alone, or what it has of a key. */
struct answer {
    char set[NFT_NAME_MAXLEN];
    uint8_t key[KEY_MAX];
    size_t size;         /* of the key; 0: the set */
    uint32_t key_length; /* of the set, bytes; 0: not known */
    struct nsh_nft_judgement verdict;
};

/* ---- asking ---- */

static void take_verdict(struct nftnl_set_elem *e, struct nsh_nft_judgement *j)
{
    const char *chain = NULL;

    if (nftnl_set_elem_is_set(e, NFTNL_SET_ELEM_VERDICT))
        j->verdict = nsh_nft_verdict_of((int)nftnl_set_elem_get_u32(e, NFTNL_SET_ELEM_VERDICT));
    if (nftnl_set_elem_is_set(e, NFTNL_SET_ELEM_CHAIN))
        chain = nftnl_set_elem_get_str(e, NFTNL_SET_ELEM_CHAIN);
    if (chain)
        snprintf(j->chain, sizeof(j->chain), "%s", chain);
}

static int take_set(const struct nlmsghdr *answer, void *userdata)
{
    NSH_CLEANUP(nftnl_set_freep) struct nftnl_set *s = nftnl_set_alloc();

    if (!s)
        return -ENOMEM;
    if (nsh_nft_parse_set(answer, s) == 0 && nftnl_set_is_set(s, NFTNL_SET_KEY_LEN))
        *(uint32_t *)userdata = nftnl_set_get_u32(s, NFTNL_SET_KEY_LEN);
    return 0;
}

/* Of its keys, in bytes; 0: that can't be known. */
static int ask_key_length(struct nsh_nft_finder *f, const char *name, uint32_t *ret)
{
    struct nlmsghdr *m;
    int r = nsh_nft_channel_open(f->channel);

    *ret = 0;
    if (r < 0)
        return r;
    m = nsh_nft_request(
            f->channel, f->buf, (int)f->base->family, NFT_MSG_GETSET, NLM_F_REQUEST | NLM_F_ACK);
    mnl_attr_put_strz(m, NFTA_SET_TABLE, f->base->table);
    mnl_attr_put_strz(m, NFTA_SET_NAME, name);
    return nsh_nft_ask(f->channel, m, take_set, ret);
}

/* What an answer to the question for one element holds. */
struct element {
    bool there;
    struct nsh_nft_judgement *verdict; /* NULL: it is not asked for */
};

static int take_element(const struct nlmsghdr *answer, void *userdata)
{
    NSH_CLEANUP(nftnl_set_freep) struct nftnl_set *s = nftnl_set_alloc();
    NSH_CLEANUP(nftnl_set_elems_iter_destroyp) struct nftnl_set_elems_iter *iter = NULL;
    struct element *element = userdata;
    struct nftnl_set_elem *e;

    element->there = true;
    if (!element->verdict)
        return 0;
    if (!s || nsh_nft_parse_elements(answer, s) < 0)
        return s ? -EPROTO : -ENOMEM;
    iter = nftnl_set_elems_iter_create(s);
    e = iter ? nftnl_set_elems_iter_next(iter) : NULL;
    if (e)
        take_verdict(e, element->verdict);
    return 0;
}

/* `key` NULL: what is there for all other keys. 1: it is there, 0, negative errno. */
static int ask_element(struct nsh_nft_finder *f, const char *name, const uint8_t *key,
        uint32_t length, struct nsh_nft_judgement *ret_verdict)
{
    NSH_CLEANUP(nftnl_set_freep) struct nftnl_set *s = nftnl_set_alloc();
    NSH_CLEANUP(nftnl_set_elem_freep) struct nftnl_set_elem *e = nftnl_set_elem_alloc();
    struct element element = {.verdict = ret_verdict};
    struct nlmsghdr *m;
    int r = nsh_nft_channel_open(f->channel);

    if (r < 0 || !s || !e)
        return r < 0 ? r : -ENOMEM;
    if (key)
        nftnl_set_elem_set(e, NFTNL_SET_ELEM_KEY, key, length);
    else
        nftnl_set_elem_set_u32(e, NFTNL_SET_ELEM_FLAGS, NSH_NFT_SET_ELEM_CATCHALL);
    nftnl_set_elem_add(s, NSH_TAKE_PTR(e));
    nftnl_set_set_str(s, NFTNL_SET_TABLE, f->base->table);
    nftnl_set_set_str(s, NFTNL_SET_NAME, name);
    m = nsh_nft_request(f->channel, f->buf, (int)f->base->family, NFT_MSG_GETSETELEM,
            NLM_F_REQUEST | NLM_F_ACK);
    nftnl_set_elems_nlmsg_build_payload(m, s);
    r = nsh_nft_ask(f->channel, m, take_element, &element);
    if (r == -EINVAL && !key)
        return 0; /* before Linux 5.13 no set has such an element, and none is asked for */
    return r == -ENOENT ? 0 : r < 0 ? r : element.there;
}

static int ask(struct nsh_nft_finder *f, struct answer *a, bool map)
{
    struct nsh_nft_judgement *verdict = map ? &a->verdict : NULL;
    int r = ask_element(f, a->set, a->key, (uint32_t)a->size, verdict);

    if (r == 0)
        r = ask_element(f, a->set, NULL, 0, verdict);
    a->verdict.matches = r < 0 ? NSH_MAYBE : r > 0 ? NSH_YES : NSH_NO;
    return r == -ENOMEM || r == -ETIMEDOUT ? r : 0; /* else it can't tell: it may */
}

/* ---- what is known ---- */

static int by_key(const void *a, const void *b)
{
    const struct answer *x = a, *y = b;
    int difference = strcmp(x->set, y->set);

    if (difference == 0)
        difference = (x->size > y->size) - (x->size < y->size);
    return difference ? difference : memcmp(x->key, y->key, x->size);
}

/* NULL: nothing is known of it. */
static const struct answer *known(const struct nsh_nft_finder *f, const struct answer *key)
{
    struct answer *const *found = tfind(key, &f->answers, by_key);

    return found ? *found : NULL;
}

static int keep(struct nsh_nft_finder *f, const struct answer *a, const struct answer **ret)
{
    struct answer *copy = malloc(sizeof *copy);

    if (!copy)
        return -ENOMEM;
    *copy = *a;
    if (!tsearch(copy, &f->answers, by_key)) {
        free(copy);
        return -ENOMEM;
    }
    *ret = copy;
    return 0;
}

/* False: it has been asked often enough. */
static bool may_ask(struct nsh_nft_finder *f)
{
    f->cut = f->cut || f->work->questions == 0;
    if (f->work->questions > 0)
        f->work->questions--;
    return !f->cut;
}

/* Its `verdict` too, where something is to be found; 1: that is not to be asked any more. */
static int look_up(
        struct nsh_nft_finder *f, struct answer *wanted, bool map, const struct answer **ret)
{
    int r;

    *ret = known(f, wanted);
    if (*ret)
        return 0;
    if (!may_ask(f))
        return 1;
    r = wanted->size > 0 ? ask(f, wanted, map)
                         : ask_key_length(f, wanted->set, &wanted->key_length);
    return r < 0 ? r : keep(f, wanted, ret);
}

void nsh_nft_finder_done(struct nsh_nft_finder *f)
{
    tdestroy(f->answers, free);
    f->answers = NULL;
}

int nsh_nft_find_element(void *userdata, const char *set, bool map, const uint8_t *key, size_t size,
        struct nsh_nft_judgement *ret)
{
    struct nsh_nft_finder *f = userdata;
    struct answer wanted = {.size = 0};
    const struct answer *a;
    int r;

    ret->matches = NSH_MAYBE;
    snprintf(wanted.set, sizeof wanted.set, "%s", set);
    r = look_up(f, &wanted, false, &a);
    if (r != 0 || a->key_length == 0 || a->key_length > size || a->key_length > KEY_MAX)
        return r < 0 ? r : 0;
    wanted.size = a->key_length;
    memcpy(wanted.key, key, wanted.size);
    r = look_up(f, &wanted, map, &a);
    if (r == 0)
        *ret = a->verdict;
    return r < 0 ? r : 0;
}
