/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether others translate addresses with nftables: whether a base chain of type nat that is not
 * ours holds a rule. iptables-nft makes such chains, empty, only by looking.
 *
 * That they begin is heard: when such a chain comes about, and while one is empty, when a rule
 * comes into it (firewall-nft-others-filter.c lets nothing else through). Their end is looked for.
 */
#include "firewall-nft.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>

#include "netlink.h"

/* So often others may write while their chains are looked at. */
#define TRIES 4
/* Messages; the rest keeps the socket readable. */
#define AT_ONCE 256

void nsh_nft_others_init(struct nsh_nft_others *o)
{
    *o = (struct nsh_nft_others){.fd = -1};
}

void nsh_nft_others_done(struct nsh_nft_others *o)
{
    nsh_closep(&o->fd);
    nsh_nft_others_init(o);
}

/* ---- a look ---- */

static bool is_of_others(const char *table)
{
    return strcmp(table, NSH_NFT_TABLE) != 0 && strcmp(table, NSH_NFT_HOLD_TABLE) != 0;
}

static void note_empty(struct nsh_nft_others *o, const char *table, const char *chain)
{
    uint32_t key = nsh_nft_others_key(table, chain);

    for (size_t i = 0; i < o->n_empty && i < NSH_NFT_OTHERS_KEYS; i++)
        if (o->empty[i] == key)
            return;
    if (o->n_empty < NSH_NFT_OTHERS_KEYS)
        o->empty[o->n_empty] = key;
    o->n_empty++;
}

static int take_chain(const struct nlmsghdr *answer, void *userdata)
{
    struct nsh_nft_others *o = userdata;
    NSH_CLEANUP(nftnl_chain_freep) struct nftnl_chain *c = nftnl_chain_alloc();
    const char *type, *table, *name;

    if (!c)
        return -ENOMEM;
    if (nftnl_chain_nlmsg_parse(answer, c) < 0)
        return 0;
    type = nftnl_chain_get_str(c, NFTNL_CHAIN_TYPE);
    table = nftnl_chain_get_str(c, NFTNL_CHAIN_TABLE);
    name = nftnl_chain_get_str(c, NFTNL_CHAIN_NAME);
    if (!type || !table || !name || strcmp(type, "nat") != 0 || !is_of_others(table))
        return 0;
    if (nftnl_chain_get_u32(c, NFTNL_CHAIN_USE) > 0)
        o->found = true;
    else
        note_empty(o, table, name);
    return 0;
}

static int look(struct nsh_nft_others *o, struct nsh_nft_channel *c)
{
    static const int families[] = {NFPROTO_IPV4, NFPROTO_IPV6, NFPROTO_INET};
    nsh_autofree void *buf = malloc((size_t)MNL_SOCKET_BUFFER_SIZE);
    int r = buf ? 0 : -ENOMEM;

    o->found = false;
    o->n_empty = 0;
    memset(o->empty, 0, sizeof o->empty);
    for (size_t i = 0; r == 0 && i < NSH_ARRAY_SIZE(families); i++) {
        const struct nlmsghdr *m =
                nsh_nft_request(c, buf, families[i], NFT_MSG_GETCHAIN, NLM_F_DUMP);

        r = nsh_nft_ask(c, m, take_chain, o);
        if (r == -EINTR || r == -EOPNOTSUPP || r == -EAFNOSUPPORT)
            r = 0; /* changed meanwhile: what was found counts; or there is no such family */
    }
    return r;
}

/* That something came is all that counts, and so does what was lost. */
static void take(struct nsh_nft_others *o)
{
    char byte;

    for (int i = 0; o->fd >= 0 && i < AT_ONCE; i++) {
        ssize_t n = nsh_netlink_receive(o->fd, &byte, sizeof byte, 0);

        if (n < 0 && n != -ENOBUFS && n != -EMSGSIZE) {
            o->heard = o->heard || o->lost;
            o->lost = false;
            return;
        }
        o->lost = o->lost || n < 0;
        o->heard = o->heard || n != 0;
    }
}

/* To hear of the chains that are empty now. */
static int ask_for(struct nsh_nft_others *o)
{
    int r;

    if (o->fd < 0 || (o->n_asked == o->n_empty && memcmp(o->asked, o->empty, sizeof o->asked) == 0))
        return 0;
    r = nsh_nft_others_filter(o->fd, o);
    if (r == 0) {
        memcpy(o->asked, o->empty, sizeof o->asked);
        o->n_asked = o->n_empty;
    }
    return r;
}

/* What came between the look and the filter that it asks for was not heard. */
int nsh_nft_others_translate(struct nsh_nft_others *o, struct nsh_nft_channel *c)
{
    uint32_t before = 0, after = 1;
    int r = nsh_nft_channel_open(c);

    take(o);
    o->heard = false;
    o->judged = 0;
    for (int i = 0; r == 0 && before != after && i < TRIES; i++) {
        r = nsh_nft_generation(c, &before);
        if (r == 0)
            r = look(o, c);
        if (r == 0)
            r = ask_for(o);
        if (r == 0)
            r = nsh_nft_generation(c, &after);
    }
    if (r < 0)
        return r;
    o->judged = after;
    return o->found;
}

/* ---- what is heard ---- */

static int subscribe(struct nsh_nft_others *o)
{
    const int group = NFNLGRP_NFTABLES;
    uint32_t port;
    nsh_autoclose int fd = nsh_nft_socket(SOCK_NONBLOCK, &port);
    int r = fd < 0 ? fd : nsh_nft_others_filter(fd, o);

    if (r < 0)
        return r;
    if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) < 0)
        return -errno;
    memcpy(o->asked, o->empty, sizeof o->asked);
    o->n_asked = o->n_empty;
    o->fd = NSH_TAKE_FD(fd);
    return 0;
}

/* What came since they were looked at was not heard. */
int nsh_nft_others_fd(struct nsh_nft_others *o, struct nsh_nft_channel *c)
{
    uint32_t generation = 0;
    int r;

    if (o->fd >= 0)
        return o->fd;
    r = subscribe(o);
    if (r == 0)
        r = nsh_nft_channel_open(c);
    if (r == 0)
        r = nsh_nft_generation(c, &generation);
    o->heard = r < 0 || generation != o->judged;
    return o->fd >= 0 ? o->fd : r;
}

int nsh_nft_others_changed(struct nsh_nft_others *o, struct nsh_nft_channel *c)
{
    uint32_t generation = 0;
    int r;

    take(o);
    if (o->heard || !o->found)
        return o->heard;
    r = nsh_nft_channel_open(c);
    if (r == 0)
        r = nsh_nft_generation(c, &generation);
    return r < 0 ? r : generation != o->judged;
}
