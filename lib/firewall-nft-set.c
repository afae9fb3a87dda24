/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sets are interval sets as nft makes them (`type ipv4_addr; flags interval`): an element for the
 * first address of each prefix, and one, marked as an end, for the first behind it. What comes
 * together is written in one transaction, in messages of as many elements as an attribute holds.
 */
#include "firewall-nft.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libnftnl/common.h>
#include <libnftnl/udata.h>
#include <linux/netlink.h>
#include <string.h>

/* Both elements of an IPv6 prefix take 64 bytes; an attribute has up to 65535. */
#define PREFIXES_IN_MESSAGE 900
/* nft's numbers for the types of keys. */
#define TYPE_IPV4 7
#define TYPE_IPV6 8
#define BYTEORDER_BIG 2

NSH_DEFINE_CLEANUP(struct nftnl_udata_buf *, nftnl_udata_buf_free)

/* ---- messages ---- */

static int put_table(struct nsh_nft_batch *b, int family)
{
    struct nlmsghdr *m =
            nsh_nft_batch_open(b, NFT_MSG_NEWTABLE, family, NLM_F_REQUEST | NLM_F_CREATE);

    if (!m)
        return -ENOMEM;
    mnl_attr_put_strz(m, NFTA_TABLE_NAME, NSH_NFT_TABLE);
    nsh_nft_batch_close(b, m);
    return 0;
}

/* What nft itself notes about a set, to list it. */
static int put_notes(struct nlmsghdr *m)
{
    NSH_CLEANUP(nftnl_udata_buf_freep) struct nftnl_udata_buf *u = nftnl_udata_buf_alloc(64);

    if (!u || !nftnl_udata_put_u32(u, NFTNL_UDATA_SET_KEYBYTEORDER, BYTEORDER_BIG) ||
            !nftnl_udata_put_u32(u, NFTNL_UDATA_SET_MERGE_ELEMENTS, 0))
        return -ENOMEM;
    mnl_attr_put(m, NFTA_SET_USERDATA, nftnl_udata_buf_len(u), nftnl_udata_buf_data(u));
    return 0;
}

static int put_set(struct nsh_nft_batch *b, const struct nsh_set_op *op)
{
    struct nlmsghdr *m = nsh_nft_batch_open(
            b, NFT_MSG_NEWSET, op->family, NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL);
    int r;

    if (!m)
        return -ENOMEM;
    mnl_attr_put_strz(m, NFTA_SET_TABLE, NSH_NFT_TABLE);
    mnl_attr_put_strz(m, NFTA_SET_NAME, op->name);
    mnl_attr_put_u32(m, NFTA_SET_ID, htonl((uint32_t)b->n_messages));
    mnl_attr_put_u32(m, NFTA_SET_FLAGS, htonl(NFT_SET_INTERVAL));
    mnl_attr_put_u32(m, NFTA_SET_KEY_TYPE, htonl(op->family == AF_INET6 ? TYPE_IPV6 : TYPE_IPV4));
    mnl_attr_put_u32(m, NFTA_SET_KEY_LEN, htonl((uint32_t)nsh_addr_size(op->family)));
    r = put_notes(m);
    nsh_nft_batch_close(b, m);
    return r;
}

static int put_set_delete(struct nsh_nft_batch *b, const struct nsh_set_op *op)
{
    struct nlmsghdr *m = nsh_nft_batch_open(b, NFT_MSG_DELSET, op->family, NLM_F_REQUEST);

    if (!m)
        return -ENOMEM;
    mnl_attr_put_strz(m, NFTA_SET_TABLE, NSH_NFT_TABLE);
    mnl_attr_put_strz(m, NFTA_SET_NAME, op->name);
    nsh_nft_batch_close(b, m);
    return 0;
}

/* ---- elements ---- */

/* The first address behind a prefix; false: there is none. */
static bool behind(const struct nsh_prefix *p, union nsh_addr *ret)
{
    size_t bit = p->length;

    *ret = p->addr;
    while (bit-- > 0) {
        uint8_t *byte = &ret->bytes[bit / 8], one = (uint8_t)(0x80U >> (bit % 8));

        *byte ^= one;
        if (*byte & one)
            return true;
    }
    return false;
}

static void put_element(
        struct nlmsghdr *m, const union nsh_addr *key, size_t size, uint32_t flags, bool open_ended)
{
    /* For nft: no end belongs to it (NFTNL_UDATA_SET_ELEM_FLAGS, of four bytes). */
    static const uint8_t open_note[] = {
            NFTNL_UDATA_SET_ELEM_FLAGS, 4, NFTNL_SET_ELEM_F_INTERVAL_OPEN, 0, 0, 0};
    struct nlattr *element = mnl_attr_nest_start(m, NFTA_LIST_ELEM);
    struct nlattr *value = mnl_attr_nest_start(m, NFTA_SET_ELEM_KEY);

    mnl_attr_put(m, NFTA_DATA_VALUE, size, key->bytes);
    mnl_attr_nest_end(m, value);
    if (flags)
        mnl_attr_put_u32(m, NFTA_SET_ELEM_FLAGS, htonl(flags));
    if (open_ended)
        mnl_attr_put(m, NFTA_SET_ELEM_USERDATA, sizeof open_note, open_note);
    mnl_attr_nest_end(m, element);
}

static void put_prefix(struct nlmsghdr *m, const struct nsh_prefix *p)
{
    size_t size = nsh_addr_size(p->family);
    union nsh_addr end;
    bool has_end = behind(p, &end);

    put_element(m, &p->addr, size, 0, !has_end);
    if (has_end)
        put_element(m, &end, size, NFT_SET_ELEM_INTERVAL_END, false);
}

static struct nlmsghdr *open_elements(
        struct nsh_nft_batch *b, uint16_t type, const struct nsh_set_op *op)
{
    struct nlmsghdr *m = nsh_nft_batch_open(b, type, op->family,
            (uint16_t)(NLM_F_REQUEST | (type == NFT_MSG_NEWSETELEM ? NLM_F_CREATE : 0)));

    if (!m)
        return NULL;
    mnl_attr_put_strz(m, NFTA_SET_ELEM_LIST_TABLE, NSH_NFT_TABLE);
    mnl_attr_put_strz(m, NFTA_SET_ELEM_LIST_SET, op->name);
    return m;
}

static int put_elements(struct nsh_nft_batch *b, uint16_t type, const struct nsh_set_op *op,
        const struct nsh_prefix *prefixes, size_t n)
{
    for (size_t i = 0; i < n;) {
        struct nlmsghdr *m = open_elements(b, type, op);
        struct nlattr *list;

        if (!m)
            return -ENOMEM;
        list = mnl_attr_nest_start(m, NFTA_SET_ELEM_LIST_ELEMENTS);
        for (size_t last = i + PREFIXES_IN_MESSAGE; i < n && i < last; i++)
            put_prefix(m, &prefixes[i]);
        mnl_attr_nest_end(m, list);
        nsh_nft_batch_close(b, m);
    }
    return 0;
}

/* A deletion that names no element is of all. */
static int put_flush(struct nsh_nft_batch *b, const struct nsh_set_op *op)
{
    const struct nlmsghdr *m = open_elements(b, NFT_MSG_DELSETELEM, op);

    if (!m)
        return -ENOMEM;
    nsh_nft_batch_close(b, m);
    return 0;
}

/* ---- steps ---- */

static int edit_create(struct nsh_nft_batch *b, const struct nsh_set_op *op, bool another)
{
    int r = put_table(b, op->family);

    if (r == 0 && another)
        r = put_set_delete(b, op);
    if (r == 0)
        r = put_set(b, op);
    return r < 0 ? r : put_elements(b, NFT_MSG_NEWSETELEM, op, op->want->prefixes, op->want->n);
}

static int edit_replace(struct nsh_nft_batch *b, const struct nsh_set_op *op, bool another)
{
    int r;

    if (another)
        return edit_create(b, op, another);
    r = put_flush(b, op);
    return r < 0 ? r : put_elements(b, NFT_MSG_NEWSETELEM, op, op->want->prefixes, op->want->n);
}

/* What goes makes room for what comes and would overlap it. */
static int edit_update(struct nsh_nft_batch *b, const struct nsh_set_op *op, bool another)
{
    int r = another ? -ENOENT : put_elements(b, NFT_MSG_DELSETELEM, op, op->remove, op->n_remove);

    return r < 0 ? r : put_elements(b, NFT_MSG_NEWSETELEM, op, op->add, op->n_add);
}

static int edit_destroy(struct nsh_nft_batch *b, const struct nsh_set_op *op, bool another)
{
    (void)another;
    return put_set_delete(b, op);
}

static const struct {
    int (*edit)(struct nsh_nft_batch *b, const struct nsh_set_op *op, bool another);
    bool wants; /* op->want */
} verbs[] = {
        [NSH_SET_CREATE] = {edit_create, true},
        [NSH_SET_UPDATE] = {edit_update, false},
        [NSH_SET_REPLACE] = {edit_replace, true},
        [NSH_SET_DESTROY] = {edit_destroy, false},
};

static bool are_of(const struct nsh_prefix *prefixes, size_t n, uint8_t family)
{
    for (size_t i = 0; i < n; i++)
        if (prefixes[i].family != family || prefixes[i].length == 0 ||
                prefixes[i].length > nsh_addr_bits(family))
            return false;
    return true;
}

const char *nsh_nft_set_check(const struct nsh_set_op *op)
{
    if ((unsigned int)op->verb >= NSH_ARRAY_SIZE(verbs) ||
            strnlen(op->name, NSH_SET_NAME) == NSH_SET_NAME || !nsh_set_is_ours(op->name))
        return "not a set of netshared";
    if (verbs[op->verb].wants && (!op->want || op->want->family != op->family))
        return "nothing to fill it with";
    if ((verbs[op->verb].wants && !are_of(op->want->prefixes, op->want->n, op->family)) ||
            !are_of(op->add, op->n_add, op->family) ||
            !are_of(op->remove, op->n_remove, op->family))
        return "a prefix that can't be in it";
    return NULL;
}

int nsh_nft_set_edit(struct nsh_nft_batch *b, const struct nsh_set_op *op, bool another)
{
    return verbs[op->verb].edit(b, op, another);
}
