/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether others translate addresses with nftables: whether a base chain of type nat that is not
 * ours holds a rule. iptables-nft makes such chains, empty, only by looking.
 */
#include "firewall-nft.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <stdlib.h>
#include <string.h>

struct finding {
    bool found;
};

static int take_chain(const struct nlmsghdr *answer, void *userdata)
{
    struct finding *f = userdata;
    NSH_CLEANUP(nftnl_chain_freep) struct nftnl_chain *c = nftnl_chain_alloc();
    const char *type, *table;

    if (!c)
        return -ENOMEM;
    if (nftnl_chain_nlmsg_parse(answer, c) < 0)
        return 0;
    type = nftnl_chain_get_str(c, NFTNL_CHAIN_TYPE);
    table = nftnl_chain_get_str(c, NFTNL_CHAIN_TABLE);
    if (type && table && strcmp(type, "nat") == 0 && strcmp(table, NSH_NFT_TABLE) != 0 &&
            strcmp(table, NSH_NFT_HOLD_TABLE) != 0 && nftnl_chain_get_u32(c, NFTNL_CHAIN_USE) > 0)
        f->found = true;
    return 0;
}

int nsh_nft_others_translate(struct nsh_nft_channel *c)
{
    static const int families[] = {NFPROTO_IPV4, NFPROTO_IPV6, NFPROTO_INET};
    nsh_autofree void *buf = malloc((size_t)MNL_SOCKET_BUFFER_SIZE);
    struct finding f = {0};
    int r = buf ? nsh_nft_channel_open(c) : -ENOMEM;

    for (size_t i = 0; r == 0 && !f.found && i < NSH_ARRAY_SIZE(families); i++) {
        const struct nlmsghdr *m =
                nsh_nft_request(c, buf, families[i], NFT_MSG_GETCHAIN, NLM_F_DUMP);

        r = nsh_nft_ask(c, m, take_chain, &f);
        if (r == -EINTR || r == -EOPNOTSUPP || r == -EAFNOSUPPORT)
            r = 0; /* changed meanwhile: what was found counts; or there is no such family */
    }
    return r < 0 ? r : f.found;
}
