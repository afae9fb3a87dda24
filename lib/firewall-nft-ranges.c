/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is in a set of others, as long as that are a few ranges. How many there are the kernel does
 * not say; a set may have a million, and so it is asked on a socket of its own, which is closed
 * after the first answer that is too many: on one that lives on, the rest would have to be read.
 */
#include "firewall-nft.h"

#include <errno.h>
#include <libnftnl/set.h>
#include <stdlib.h>
#include <string.h>

NSH_DEFINE_CLEANUP(struct nftnl_set *, nftnl_set_free)
NSH_DEFINE_CLEANUP(struct nftnl_set_elems_iter *, nftnl_set_elems_iter_destroy)

/* What an element is: a value, or with it a range begins, or the range before it has ended. */
struct end {
    uint8_t key[16];
    uint32_t size;
    bool ends;
};

#define ENDS_MAX (2 * NSH_NFT_RANGES_MAX + 1)

static int by_key(const void *a, const void *b)
{
    const struct end *x = a, *y = b;
    int q = memcmp(x->key, y->key, sizeof x->key);

    return q != 0 ? q : y->ends - x->ends;
}

/* -1: there are too many, or of another kind. */
static int read_ends(struct nftnl_set *s, struct end *ret)
{
    NSH_CLEANUP(nftnl_set_elems_iter_destroyp)
    struct nftnl_set_elems_iter *iter = nftnl_set_elems_iter_create(s);
    struct nftnl_set_elem *e;
    int n = 0;

    while (iter && (e = nftnl_set_elems_iter_next(iter))) {
        uint32_t size = 0, flags = 0;
        const void *key = nftnl_set_elem_get(e, NFTNL_SET_ELEM_KEY, &size);

        if (nftnl_set_elem_is_set(e, NFTNL_SET_ELEM_FLAGS))
            flags = nftnl_set_elem_get_u32(e, NFTNL_SET_ELEM_FLAGS);
        if (n == ENDS_MAX || !key || size > sizeof ret->key ||
                nftnl_set_elem_is_set(e, NFTNL_SET_ELEM_KEY_END))
            return -1;
        ret[n] = (struct end){.size = size, .ends = flags & NFT_SET_ELEM_INTERVAL_END};
        memcpy(ret[n++].key, key, size);
    }
    return iter ? n : -1;
}

/* The value before; of 0 there is none. */
static void step_back(uint8_t *key, uint32_t size)
{
    for (uint32_t i = size; i-- > 0 && key[i]-- == 0;)
        ;
}

static int make_ranges(struct end *ends, int n, struct nsh_nft_range *ret)
{
    bool intervals = false;
    int made = 0;

    qsort(ends, (size_t)n, sizeof *ends, by_key);
    for (int i = 0; i < n; i++)
        intervals = intervals || ends[i].ends;
    for (int i = 0; i < n; i++) {
        struct nsh_nft_range *r = &ret[made];

        if (ends[i].ends)
            continue;
        if (made++ == NSH_NFT_RANGES_MAX)
            return -1;
        memcpy(r->first, ends[i].key, sizeof r->first);
        memcpy(r->last, ends[i].key, sizeof r->last);
        if (!intervals)
            continue;
        memset(r->last, 0xff, ends[i].size);
        if (i + 1 < n) { /* else up to the very last */
            memcpy(r->last, ends[i + 1].key, sizeof r->last);
            step_back(r->last, ends[i].size);
        }
    }
    return made;
}

bool nsh_nft_range_device(const struct nsh_nft_range *r, char ret[static IFNAMSIZ])
{
    size_t n = strnlen((const char *)r->first, IFNAMSIZ);
    bool pattern = memcmp(r->first, r->last, IFNAMSIZ) != 0;

    if (n == 0 || n == IFNAMSIZ || r->first[n - 1] == '+')
        return false;
    for (size_t i = 0; pattern && i < IFNAMSIZ; i++)
        if (r->last[i] != (i < n ? r->first[i] : 0xff))
            return false;
    if (pattern && n + 1 >= IFNAMSIZ)
        return false;
    memset(ret, 0, IFNAMSIZ);
    memcpy(ret, r->first, n);
    if (pattern)
        ret[n] = '+';
    return true;
}

/* One answer has some hundred of them. */
static int take_elements(const struct nlmsghdr *answer, void *userdata)
{
    struct nftnl_set *s = userdata;
    struct end ends[ENDS_MAX];

    if (nsh_nft_parse_elements(answer, s) < 0)
        return -EPROTO;
    return read_ends(s, ends) < 0 ? -E2BIG : 0;
}

int nsh_nft_set_ranges(
        uint32_t family, const char *table, const char *set, struct nsh_nft_range *ret)
{
    NSH_CLEANUP(nftnl_set_freep) struct nftnl_set *s = nftnl_set_alloc();
    NSH_CLEANUP(nsh_nft_channel_done) struct nsh_nft_channel c;
    struct end ends[ENDS_MAX];
    struct nlmsghdr *m;
    char buf[512];
    int n;

    nsh_nft_channel_init(&c);
    c.stops = true;
    if (!s || nsh_nft_channel_open(&c) < 0)
        return -1;
    m = nsh_nft_request(&c, buf, (int)family, NFT_MSG_GETSETELEM, NLM_F_REQUEST | NLM_F_DUMP);
    mnl_attr_put_strz(m, NFTA_SET_ELEM_LIST_TABLE, table);
    mnl_attr_put_strz(m, NFTA_SET_ELEM_LIST_SET, set);
    if (nsh_nft_ask(&c, m, take_elements, s) < 0)
        return -1;
    n = read_ends(s, ends);
    return n < 0 ? n : make_ranges(ends, n, ret);
}
