/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What stays of ours while somebody flushes all of nf_tables.
 *
 * The kernel translates packets of running connections as long as a chain of type nat is there,
 * whatever it says, and tracks them as long as a rule asks for their state. `nft flush ruleset`,
 * with which the usual /etc/nftables.conf begins, takes away both: until our table stands again,
 * packets leave as they came, and TCP is reset by who gets them. So one such chain with one such
 * rule, which do nothing to a packet, are in a table that belongs to our socket (Linux 5.12, flag
 * owner): a flush passes over it, others can't change it, and it goes with the socket. Then the
 * table of the policies, which belongs to nobody, holds on alone.
 *
 * A file that `nft list ruleset` wrote brings a table of this name that nobody owns: that one goes
 * first.
 */
#include "firewall-nft.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libnftnl/common.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netlink.h>
#include <string.h>

#include "newer.h"

#define CHAIN "hold"
#define COMMENT "keeps running connections translated over a flush; goes with netshared"

NSH_DEFINE_CLEANUP(struct nftnl_udata_buf *, nftnl_udata_buf_free)

static void put_bare_table(struct nsh_nft_batch *b, int family, uint16_t type, uint16_t flags)
{
    struct nlmsghdr *m = nsh_nft_batch_open(b, type, family, (uint16_t)(NLM_F_REQUEST | flags));

    if (!m)
        return;
    mnl_attr_put_strz(m, NFTA_TABLE_NAME, NSH_NFT_HOLD_TABLE);
    nsh_nft_batch_close(b, m);
}

static void put_owned_table(struct nsh_nft_batch *b, int family)
{
    NSH_CLEANUP(nftnl_udata_buf_freep) struct nftnl_udata_buf *u = nftnl_udata_buf_alloc(128);
    struct nlmsghdr *m =
            nsh_nft_batch_open(b, NFT_MSG_NEWTABLE, family, NLM_F_REQUEST | NLM_F_CREATE);

    if (!m)
        return;
    mnl_attr_put_strz(m, NFTA_TABLE_NAME, NSH_NFT_HOLD_TABLE);
    mnl_attr_put_u32(m, NFTA_TABLE_FLAGS, htonl(NSH_NFT_TABLE_F_OWNER));
    if (u && nftnl_udata_put_strz(u, NFTNL_UDATA_TABLE_COMMENT, COMMENT))
        mnl_attr_put(m, NFTA_TABLE_USERDATA, nftnl_udata_buf_len(u), nftnl_udata_buf_data(u));
    nsh_nft_batch_close(b, m);
}

/* At input, where the fewest pass; the translation is hooked in everywhere by any such chain. */
static void put_chain(struct nsh_nft_batch *b, int family)
{
    struct nlmsghdr *m =
            nsh_nft_batch_open(b, NFT_MSG_NEWCHAIN, family, NLM_F_REQUEST | NLM_F_CREATE);
    struct nlattr *hook;

    if (!m)
        return;
    mnl_attr_put_strz(m, NFTA_CHAIN_TABLE, NSH_NFT_HOLD_TABLE);
    mnl_attr_put_strz(m, NFTA_CHAIN_NAME, CHAIN);
    hook = mnl_attr_nest_start(m, NFTA_CHAIN_HOOK);
    mnl_attr_put_u32(m, NFTA_HOOK_HOOKNUM, htonl(NF_INET_LOCAL_IN));
    mnl_attr_put_u32(m, NFTA_HOOK_PRIORITY, htonl(NF_IP_PRI_NAT_SRC));
    mnl_attr_nest_end(m, hook);
    mnl_attr_put_u32(m, NFTA_CHAIN_POLICY, htonl(NF_ACCEPT));
    mnl_attr_put_strz(m, NFTA_CHAIN_TYPE, "nat");
    nsh_nft_batch_close(b, m);
}

static void put_rule(struct nsh_nft_batch *b, int family)
{
    static const struct nsh_packet_rule inert = {
            .action = NSH_PACKET_RETURN, .states = NSH_STATE_INVALID};
    NSH_CLEANUP(nftnl_rule_freep) struct nftnl_rule *rule = nftnl_rule_alloc();
    struct nlmsghdr *m;

    if (!rule || nsh_nft_encode(family, NSH_TABLE_NAT, &inert, false, rule) < 0) {
        b->error = -ENOMEM;
        return;
    }
    m = nsh_nft_batch_open(b, NFT_MSG_NEWRULE, family, NLM_F_REQUEST | NLM_F_CREATE | NLM_F_APPEND);
    if (!m)
        return;
    nftnl_rule_set_str(rule, NFTNL_RULE_TABLE, NSH_NFT_HOLD_TABLE);
    nftnl_rule_set_str(rule, NFTNL_RULE_CHAIN, CHAIN);
    nftnl_rule_nlmsg_build_payload(m, rule);
    nsh_nft_batch_close(b, m);
}

int nsh_nft_hold(struct nsh_nft_channel *c, int family)
{
    NSH_CLEANUP(nsh_nft_batch_done) struct nsh_nft_batch b;
    struct nsh_nft_failure f;

    nsh_nft_batch_init(&b);
    /* Made, so that it can be taken away whether it was there or not. */
    put_bare_table(&b, family, NFT_MSG_NEWTABLE, NLM_F_CREATE);
    put_bare_table(&b, family, NFT_MSG_DELTABLE, 0);
    put_owned_table(&b, family);
    put_chain(&b, family);
    put_rule(&b, family);
    return nsh_nft_batch_send(c, &b, 0, false, &f);
}

static int note_there(const struct nlmsghdr *answer, void *userdata)
{
    (void)answer;
    *(bool *)userdata = true;
    return 0;
}

int nsh_nft_let_go(struct nsh_nft_channel *c, int family)
{
    NSH_CLEANUP(nsh_nft_batch_done) struct nsh_nft_batch b;
    struct nsh_nft_failure f;
    struct nlmsghdr *m;
    char buf[256];
    bool there = false;
    int r;

    nsh_nft_batch_init(&b);
    m = nsh_nft_request(c, buf, family, NFT_MSG_GETTABLE, NLM_F_REQUEST | NLM_F_ACK);
    mnl_attr_put_strz(m, NFTA_TABLE_NAME, NSH_NFT_HOLD_TABLE);
    r = nsh_nft_ask(c, m, note_there, &there);
    if (r < 0 || !there)
        return r == -ENOENT ? 0 : r;
    put_bare_table(&b, family, NFT_MSG_DELTABLE, 0);
    return nsh_nft_batch_send(c, &b, 0, false, &f);
}
