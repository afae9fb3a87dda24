/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is in a set of others, one field wide, as ranges.
 */
#include "firewall-nft.h"

#include <errno.h>
#include <libnftnl/set.h>
#include <stdlib.h>
#include <string.h>

NSH_DEFINE_CLEANUP(struct nftnl_set *, nftnl_set_free)
NSH_DEFINE_CLEANUP(struct nftnl_set_elems_iter *, nftnl_set_elems_iter_destroy)

static int take_elements(const struct nlmsghdr *answer, void *userdata)
{
    return nftnl_set_elems_nlmsg_parse(answer, userdata) < 0 ? -EPROTO : 0;
}

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

int nsh_nft_set_ranges(struct nsh_nft_channel *c, uint32_t family, const char *table,
        const char *set, struct nsh_nft_range *ret)
{
    NSH_CLEANUP(nftnl_set_freep) struct nftnl_set *s = nftnl_set_alloc();
    nsh_autofree void *buf = malloc((size_t)MNL_SOCKET_BUFFER_SIZE);
    struct end ends[ENDS_MAX];
    struct nlmsghdr *m;
    int r;

    if (!s || !buf)
        return -ENOMEM;
    m = nsh_nft_request(c, buf, (int)family, NFT_MSG_GETSETELEM, NLM_F_DUMP);
    mnl_attr_put_strz(m, NFTA_SET_ELEM_LIST_TABLE, table);
    mnl_attr_put_strz(m, NFTA_SET_ELEM_LIST_SET, set);
    r = nsh_nft_ask(c, m, take_elements, s);
    if (r == -EINTR || r == -ENOENT)
        r = 0; /* what changes meanwhile makes another generation */
    if (r == 0)
        r = read_ends(s, ends);
    return r < 0 ? r : make_ranges(ends, r, ret);
}
