/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading sets. The kernel lists the ends of intervals in an order of its own; they are sorted and
 * made prefixes again. An interval that somebody else put in need not be one prefix: it is told as
 * those it is made of.
 */
#include "firewall-nft.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>

#define TRIES 20

struct end {
    union nsh_addr key;
    bool is_end; /* the first address behind an interval */
};

struct ends {
    size_t size; /* of an address */
    struct end *ends;
    size_t n, max;
};

static void ends_done(struct ends *e)
{
    free(e->ends);
}

/* ---- the kernel's list ---- */

static bool take_key(const struct nlattr *key, size_t size, union nsh_addr *ret)
{
    const struct nlattr *attr;

    mnl_attr_for_each_nested(attr, key) if (mnl_attr_get_type(attr) == NFTA_DATA_VALUE &&
                                            mnl_attr_get_payload_len(attr) == size)
    {
        memcpy(ret->bytes, mnl_attr_get_payload(attr), size);
        return true;
    }
    return false;
}

static int take_element(struct ends *e, const struct nlattr *element)
{
    const struct nlattr *attr;
    struct end end = {0};
    bool found = false;

    mnl_attr_for_each_nested(attr, element)
    {
        uint16_t type = mnl_attr_get_type(attr);

        if (type == NFTA_SET_ELEM_KEY)
            found = take_key(attr, e->size, &end.key);
        if (type == NFTA_SET_ELEM_FLAGS && mnl_attr_validate(attr, MNL_TYPE_U32) == 0)
            end.is_end = ntohl(mnl_attr_get_u32(attr)) & NFT_SET_ELEM_INTERVAL_END;
    }
    if (!found)
        return 0;
    if (e->n == e->max) {
        size_t max = e->max ? e->max * 2 : 64;
        struct end *ends = reallocarray(e->ends, max, sizeof *ends);

        if (!ends)
            return -ENOMEM;
        e->ends = ends;
        e->max = max;
    }
    e->ends[e->n++] = end;
    return 0;
}

static int take_elements(const struct nlmsghdr *m, void *userdata)
{
    const struct nlattr *attr, *element;
    int r = 0;

    mnl_attr_for_each(attr, m, sizeof(struct nfgenmsg))
    {
        if (mnl_attr_get_type(attr) != NFTA_SET_ELEM_LIST_ELEMENTS)
            continue;
        mnl_attr_for_each_nested(element, attr)
        {
            r = take_element(userdata, element);
            if (r < 0)
                return r;
        }
    }
    return 0;
}

static int ask_elements(
        struct nsh_nft_channel *c, int family, const char *name, bool *ret_torn, struct ends *ret)
{
    char buf[256];
    int r = -EINTR;

    for (int i = 0; i < TRIES && r == -EINTR; i++) {
        struct nlmsghdr *m =
                nsh_nft_request(c, buf, family, NFT_MSG_GETSETELEM, NLM_F_REQUEST | NLM_F_DUMP);

        mnl_attr_put_strz(m, NFTA_SET_ELEM_LIST_TABLE, NSH_NFT_TABLE);
        mnl_attr_put_strz(m, NFTA_SET_ELEM_LIST_SET, name);
        ret->n = 0;
        r = nsh_nft_ask(c, m, take_elements, ret);
        if (r == -EINTR && ret_torn) {
            *ret_torn = true;
            return 0;
        }
    }
    return r == -EINTR ? -EAGAIN : r;
}

/* ---- prefixes ---- */

/* Where one interval ends and the next begins, the end comes first. */
static int by_key(const void *a, const void *b)
{
    const struct end *x = a, *y = b;
    int d = nsh_addr_cmp(&x->key, &y->key);

    return d != 0 ? d : (int)y->is_end - (int)x->is_end;
}

/* The last address of the prefix. */
static union nsh_addr last_of(const struct nsh_prefix *p)
{
    union nsh_addr last = p->addr;

    for (size_t bit = p->length; bit < nsh_addr_bits(p->family); bit++)
        last.bytes[bit / 8] |= (uint8_t)(0x80U >> (bit % 8));
    return last;
}

/* The address after (or before) this one; false: there is none. */
static bool move_by_one(union nsh_addr *addr, size_t size, bool forwards)
{
    for (size_t i = size; i-- > 0;) {
        uint8_t full = forwards ? 0xff : 0;

        if (addr->bytes[i] != full) {
            addr->bytes[i] = (uint8_t)(addr->bytes[i] + (forwards ? 1 : -1));
            return true;
        }
        addr->bytes[i] = (uint8_t)~full;
    }
    return false;
}

/* From `first` to `last`, in as few prefixes as can be, none of which is everything. */
static int tell_interval(int family, union nsh_addr first, const union nsh_addr *last,
        nsh_set_element_observed *observed, void *userdata)
{
    size_t size = nsh_addr_size(family);
    int r = 0;

    for (bool more = true; more && r == 0 && nsh_addr_cmp(&first, last) <= 0;) {
        struct nsh_prefix p = {.family = (uint8_t)family, .length = 1, .addr = first};
        struct nsh_prefix masked = p;
        union nsh_addr end;

        for (;; p.length++) {
            masked = p;
            nsh_prefix_mask(&masked);
            end = last_of(&p);
            if (nsh_addr_cmp(&masked.addr, &first) == 0 && nsh_addr_cmp(&end, last) <= 0)
                break;
        }
        r = observed(userdata, &p);
        first = end;
        more = move_by_one(&first, size, true);
    }
    return r;
}

static int tell_all(
        int family, const struct ends *e, nsh_set_element_observed *observed, void *userdata)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < e->n; i++) {
        union nsh_addr last;

        if (e->ends[i].is_end)
            continue;
        memset(&last, 0, sizeof last);
        memset(last.bytes, 0xff, e->size);
        if (i + 1 < e->n) {
            last = e->ends[i + 1].key;
            move_by_one(&last, e->size, false);
        }
        r = tell_interval(family, e->ends[i].key, &last, observed, userdata);
    }
    return r;
}

int nsh_nft_set_read(struct nsh_nft_channel *c, int family, const char *name, bool *ret_torn,
        nsh_set_element_observed *observed, void *userdata)
{
    NSH_CLEANUP(ends_done) struct ends e = {.size = nsh_addr_size(family)};
    bool another;
    int r = nsh_nft_set_find(c, family, name, &another);

    if (r == 0)
        r = another ? -ENOENT : ask_elements(c, family, name, ret_torn, &e);
    if (r != 0)
        return r;
    if (e.n > 0)
        qsort(e.ends, e.n, sizeof *e.ends, by_key);
    return tell_all(family, &e, observed, userdata);
}

/* ---- sets ---- */

struct set_seen {
    char name[NSH_SET_NAME];
    bool ours; /* of the kind netshared makes */
};

struct sets_seen {
    int family;
    struct set_seen *sets;
    size_t n, max;
};

static void sets_done(struct sets_seen *s)
{
    free(s->sets);
}

static bool is_number(const struct nlattr *attr, uint32_t number)
{
    return mnl_attr_validate(attr, MNL_TYPE_U32) == 0 && ntohl(mnl_attr_get_u32(attr)) == number;
}

static bool parse_set(const struct nlmsghdr *m, int family, struct set_seen *ret)
{
    const struct nlattr *attr;
    bool interval = false, length = false;

    *ret = (struct set_seen){0};
    mnl_attr_for_each(attr, m, sizeof(struct nfgenmsg))
    {
        uint16_t type = mnl_attr_get_type(attr);

        if (type == NFTA_SET_NAME && mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) == 0 &&
                strlen(mnl_attr_get_str(attr)) < sizeof ret->name)
            memcpy(ret->name, mnl_attr_get_str(attr), strlen(mnl_attr_get_str(attr)));
        if (type == NFTA_SET_FLAGS)
            interval = is_number(attr, NFT_SET_INTERVAL);
        if (type == NFTA_SET_KEY_LEN)
            length = is_number(attr, (uint32_t)nsh_addr_size(family));
    }
    ret->ours = interval && length;
    return nsh_set_is_ours(ret->name);
}

static int take_set(const struct nlmsghdr *m, void *userdata)
{
    struct sets_seen *s = userdata;
    struct set_seen seen;

    if (!parse_set(m, s->family, &seen))
        return 0;
    if (s->n == s->max) {
        size_t max = s->max ? s->max * 2 : 16;
        struct set_seen *sets = reallocarray(s->sets, max, sizeof *sets);

        if (!sets)
            return -ENOMEM;
        s->sets = sets;
        s->max = max;
    }
    s->sets[s->n++] = seen;
    return 0;
}

int nsh_nft_set_find(struct nsh_nft_channel *c, int family, const char *name, bool *ret_another)
{
    NSH_CLEANUP(sets_done) struct sets_seen s = {.family = family};
    char buf[256];
    struct nlmsghdr *m = nsh_nft_request(c, buf, family, NFT_MSG_GETSET, NLM_F_REQUEST | NLM_F_ACK);
    int r;

    mnl_attr_put_strz(m, NFTA_SET_TABLE, NSH_NFT_TABLE);
    mnl_attr_put_strz(m, NFTA_SET_NAME, name);
    r = nsh_nft_ask(c, m, take_set, &s);
    if (r == 0 && s.n == 0)
        r = -ENOENT;
    if (r == 0)
        *ret_another = !s.sets[0].ours;
    return r;
}

int nsh_nft_sets(struct nsh_nft_channel *c, int family, nsh_set_observed *observed, void *userdata)
{
    NSH_CLEANUP(sets_done) struct sets_seen s = {.family = family};
    char buf[256];
    int r = -EINTR;

    for (int i = 0; i < TRIES && r == -EINTR; i++) {
        struct nlmsghdr *m =
                nsh_nft_request(c, buf, family, NFT_MSG_GETSET, NLM_F_REQUEST | NLM_F_DUMP);

        mnl_attr_put_strz(m, NFTA_SET_TABLE, NSH_NFT_TABLE);
        s.n = 0;
        r = nsh_nft_ask(c, m, take_set, &s);
    }
    if (r == -ENOENT)
        return 0; /* not even the table */
    for (size_t i = 0; r == 0 && i < s.n; i++)
        r = observed(userdata, s.sets[i].name);
    return r == -EINTR ? -EAGAIN : r;
}
