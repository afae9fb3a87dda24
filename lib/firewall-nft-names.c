/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names: a chain of the contract is the same chain here, without the prefix that the table's name
 * makes needless, and with its table in front. Base chains have a '_' there, which no chain of a
 * policy has at that place: a policy may be called "postrouting".
 */
#include "firewall-nft.h"

#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <stdio.h>
#include <string.h>

/*
 * Table, hook, name there, type, and the priority of iptables, which is the same for IPv6; what is
 * first and the rest differ from it. Of base chains with the same priority the one registered last
 * is asked first, so that a repair would turn the order round. Where that makes a difference, which
 * is where addresses are translated, ours are on both sides of the usual priority.
 */
#define HOOK(table_, hook_, chain_, type_, priority_, behind_)                            \
    {                                                                                     \
        .table = NSH_TABLE_##table_, .name = #hook_, .chains = {chain_ "_first", chain_}, \
        .type = (type_), .number = NF_INET_##hook_, .priorities = {                       \
            (priority_)-1,                                                                \
            (priority_) + (behind_)                                                       \
        }                                                                                 \
    }
#define NF_INET_PREROUTING NF_INET_PRE_ROUTING
#define NF_INET_INPUT NF_INET_LOCAL_IN
#define NF_INET_OUTPUT NF_INET_LOCAL_OUT
#define NF_INET_POSTROUTING NF_INET_POST_ROUTING

const struct nsh_nft_hook nsh_nft_hooks[] = {
        HOOK(NAT, PREROUTING, "nat_prerouting", "nat", NF_IP_PRI_NAT_DST, 1),
        HOOK(NAT, INPUT, "nat_input", "nat", NF_IP_PRI_NAT_SRC, 1),
        HOOK(NAT, OUTPUT, "nat_output", "nat", NF_IP_PRI_NAT_DST, 1),
        HOOK(NAT, POSTROUTING, "nat_postrouting", "nat", NF_IP_PRI_NAT_SRC, 1),
        HOOK(RAW, PREROUTING, "raw_prerouting", "filter", NF_IP_PRI_RAW, 0),
        HOOK(RAW, OUTPUT, "raw_output", "filter", NF_IP_PRI_RAW, 0),
        HOOK(FILTER, INPUT, "filter_input", "filter", NF_IP_PRI_FILTER, 0),
        HOOK(FILTER, FORWARD, "filter_forward", "filter", NF_IP_PRI_FILTER, 0),
        HOOK(FILTER, OUTPUT, "filter_output", "filter", NF_IP_PRI_FILTER, 0),
        HOOK(MANGLE, PREROUTING, "mangle_prerouting", "filter", NF_IP_PRI_MANGLE, 0),
        HOOK(MANGLE, INPUT, "mangle_input", "filter", NF_IP_PRI_MANGLE, 0),
        HOOK(MANGLE, FORWARD, "mangle_forward", "filter", NF_IP_PRI_MANGLE, 0),
        HOOK(MANGLE, OUTPUT, "mangle_output", "route", NF_IP_PRI_MANGLE, 0),
        HOOK(MANGLE, POSTROUTING, "mangle_postrouting", "filter", NF_IP_PRI_MANGLE, 0),
};
const size_t nsh_nft_n_hooks = NSH_ARRAY_SIZE(nsh_nft_hooks);

const struct nsh_nft_hook *nsh_nft_hook_find(enum nsh_table table, const char *name)
{
    for (size_t i = 0; i < nsh_nft_n_hooks; i++)
        if (nsh_nft_hooks[i].table == table && strcmp(nsh_nft_hooks[i].name, name) == 0)
            return &nsh_nft_hooks[i];
    return NULL;
}

const struct nsh_nft_hook *nsh_nft_hook_of_chain(const char *chain, int *ret_place)
{
    for (size_t i = 0; i < nsh_nft_n_hooks; i++)
        for (int place = 0; place < NSH_NFT_PLACES; place++)
            if (strcmp(nsh_nft_hooks[i].chains[place], chain) == 0) {
                *ret_place = place;
                return &nsh_nft_hooks[i];
            }
    return NULL;
}

void nsh_nft_chain_name(enum nsh_table table, const char *chain, char ret[static NSH_NFT_NAME])
{
    snprintf(
            ret, NSH_NFT_NAME, "%s-%.18s", nsh_table_name(table), chain + strlen(NSH_CHAIN_PREFIX));
}

bool nsh_nft_chain_parse(
        const char *name, enum nsh_table *ret_table, char ret_chain[static NSH_CHAIN_NAME])
{
    for (int t = 0; t < NSH_TABLE_COUNT; t++) {
        const char *table = nsh_table_name((enum nsh_table)t);
        size_t n = strlen(table);

        if (strncmp(name, table, n) != 0 || name[n] != '-')
            continue;
        if (strlen(NSH_CHAIN_PREFIX) + strlen(name + n + 1) >= NSH_CHAIN_NAME)
            return false;
        snprintf(ret_chain, NSH_CHAIN_NAME, NSH_CHAIN_PREFIX "%.18s", name + n + 1);
        *ret_table = (enum nsh_table)t;
        return true;
    }
    return false;
}

void nsh_nft_comment_make(enum nsh_policy_kind kind, const char *chain, char *ret, size_t size)
{
    char policy[NSH_POLICY_NAME];

    nsh_chain_policy(chain, policy);
    snprintf(ret, size, "%s %s", nsh_policy_noun(kind), policy);
}

enum nsh_policy_kind nsh_nft_comment_parse(const char *comment, const char *chain)
{
    char wanted[NSH_NFT_COMMENT];

    for (int kind = NSH_POLICY_NONE + 1; kind < NSH_POLICY_KINDS; kind++) {
        nsh_nft_comment_make((enum nsh_policy_kind)kind, chain, wanted, sizeof wanted);
        if (strcmp(comment, wanted) == 0)
            return (enum nsh_policy_kind)kind;
    }
    return NSH_POLICY_NONE;
}

const char *nsh_nft_title(int family)
{
    return family == AF_INET6 ? "IPv6" : "IPv4";
}

const char *nsh_nft_family_name(int family)
{
    return family == AF_INET6 ? "ip6" : "ip";
}
