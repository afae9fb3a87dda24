/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's refusals in words, and the question what it can do. That question is a transaction
 * without an end: the kernel judges it and takes nothing. Its table has a name of its own and is
 * switched off, so that not even for that moment a packet meets it.
 */
#include "firewall-nft.h"

#include <errno.h>
#include <libnftnl/common.h>
#include <linux/netfilter.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>

#include "module.h"

#define PROBE_TABLE "netshared-probe"

/* ---- words ---- */

static const struct {
    const char *expression, *module;
} modules[] = {
        {"ct", "nft_ct"},
        {"fib", "nft_fib_ipv4 and nft_fib_ipv6"},
        {"limit", "nft_limit"},
        {"log", "nft_log"},
        {"masq", "nft_masq"},
        {"nat", "nft_nat"},
};

static const char *module_of(const char *expression)
{
    for (size_t i = 0; i < NSH_ARRAY_SIZE(modules); i++)
        if (strcmp(modules[i].expression, expression) == 0)
            return modules[i].module;
    return "nf_tables of a newer kernel";
}

static bool is_lacking(int error)
{
    return error == -ENOENT || error == -EOPNOTSUPP || error == -EINVAL;
}

void nsh_nft_words(
        int family, const char *chain, const struct nsh_nft_failure *f, char *buf, size_t size)
{
    const char *title = nsh_nft_title(family), *name = nsh_nft_family_name(family);
    const char *said = f->said[0] ? f->said : strerror(-f->error);
    char place[64] = "";

    if (!buf || size == 0)
        return;
    if (chain && *chain)
        snprintf(place, sizeof place, ", chain %.28s", chain);
    if (f->error == -EPERM || f->error == -EACCES)
        snprintf(buf, size,
                "nftables: not permitted; netshared needs CAP_NET_ADMIN in this network namespace");
    else if (f->step == NSH_NFT_NO_STEP && f->type == 0 &&
             (f->error == -EOPNOTSUPP || f->error == -EINVAL || f->error == -ENOENT))
        snprintf(buf, size, "the kernel has no nftables for %s; load the module nf_tables", title);
    else if (f->type == NFT_MSG_NEWTABLE && f->error == -EAFNOSUPPORT)
        snprintf(buf, size, "the kernel's nftables knows no %s: load the module nf_tables_ipv%d",
                title, family == AF_INET6 ? 6 : 4);
    else if (f->type == NFT_MSG_NEWCHAIN && f->error == -ENOENT)
        snprintf(buf, size,
                "the kernel's nftables has no NAT for %s%s: load the module nft_chain_nat", title,
                place);
    else if (strcmp(f->expression, "lookup") == 0 && f->error == -ENOENT)
        snprintf(buf, size, "table %s " NSH_NFT_TABLE "%s: a set that a rule refers to is missing",
                name, place);
    else if (f->expression[0] != '\0' && is_lacking(f->error))
        snprintf(buf, size,
                "table %s " NSH_NFT_TABLE "%s: the kernel does not take the nftables expression "
                "\"%s\" there (%s); it is in the module %s",
                name, place, f->expression, said, module_of(f->expression));
    else if (f->error == -EMSGSIZE || f->error == -ENOBUFS)
        snprintf(buf, size,
                "table %s " NSH_NFT_TABLE ": too much for one transaction; raise net.core.wmem_max",
                name);
    else
        snprintf(buf, size, "table %s " NSH_NFT_TABLE "%s: %s", name, place, said);
}

/* ---- what the kernel can do ---- */

static struct nlmsghdr *open_message(struct nsh_nft_batch *b, uint16_t type, int family)
{
    return nsh_nft_batch_open(b, type, family, NLM_F_REQUEST | NLM_F_CREATE);
}

static void put_probe_table(struct nsh_nft_batch *b, int family)
{
    struct nlmsghdr *m = open_message(b, NFT_MSG_NEWTABLE, family);

    if (!m)
        return;
    mnl_attr_put_strz(m, NFTA_TABLE_NAME, PROBE_TABLE);
    mnl_attr_put_u32(m, NFTA_TABLE_FLAGS, htonl(NFT_TABLE_F_DORMANT));
    nsh_nft_batch_close(b, m);
}

static void put_probe_chain(struct nsh_nft_batch *b, int family, const struct nsh_nft_hook *hook)
{
    struct nlmsghdr *m = open_message(b, NFT_MSG_NEWCHAIN, family);
    struct nlattr *nest;

    if (!m)
        return;
    mnl_attr_put_strz(m, NFTA_CHAIN_TABLE, PROBE_TABLE);
    mnl_attr_put_strz(m, NFTA_CHAIN_NAME, hook->chains[1]);
    nest = mnl_attr_nest_start(m, NFTA_CHAIN_HOOK);
    mnl_attr_put_u32(m, NFTA_HOOK_HOOKNUM, htonl(hook->number));
    mnl_attr_put_u32(m, NFTA_HOOK_PRIORITY, htonl((uint32_t)hook->priorities[NSH_NFT_PLACES - 1]));
    mnl_attr_nest_end(m, nest);
    mnl_attr_put_strz(m, NFTA_CHAIN_TYPE, hook->type);
    nsh_nft_batch_close(b, m);
}

static void put_probe_rule(struct nsh_nft_batch *b, int family, const struct nsh_nft_hook *hook,
        const struct nsh_packet_rule *value)
{
    NSH_CLEANUP(nftnl_rule_freep) struct nftnl_rule *rule = nftnl_rule_alloc();
    struct nlmsghdr *m;

    if (!rule || nsh_nft_encode(family, hook->table, value, true, rule) < 0) {
        b->error = -ENOMEM;
        return;
    }
    m = nsh_nft_batch_open(b, NFT_MSG_NEWRULE, family, NLM_F_REQUEST | NLM_F_CREATE | NLM_F_APPEND);
    if (!m)
        return;
    nftnl_rule_set_str(rule, NFTNL_RULE_TABLE, PROBE_TABLE);
    nftnl_rule_set_str(rule, NFTNL_RULE_CHAIN, hook->chains[1]);
    nftnl_rule_nlmsg_build_payload(m, rule);
    nsh_nft_batch_close(b, m);
}

/* What nearly all rules of a table use. */
static const struct {
    enum nsh_table table;
    const char *hook;
    struct nsh_packet_rule rule;
} probes[] = {
        {NSH_TABLE_NAT, "POSTROUTING", {.action = NSH_PACKET_MASQUERADE}},
        {NSH_TABLE_RAW, "PREROUTING", {.action = NSH_PACKET_RETURN, .states = NSH_STATE_INVALID}},
        {NSH_TABLE_FILTER, "FORWARD", {.action = NSH_PACKET_ACCEPT, .translated = true}},
        {NSH_TABLE_MANGLE, "FORWARD",
                {.action = NSH_PACKET_CLAMP_MSS, .protocol = IPPROTO_TCP, .syn = true}},
};

int nsh_nft_probe(
        struct nsh_nft_channel *c, int family, enum nsh_table table, char *ret_why, size_t size)
{
    NSH_CLEANUP(nsh_nft_batch_done) struct nsh_nft_batch b;
    const struct nsh_nft_hook *hook;
    struct nsh_nft_failure f;
    size_t i = 0;
    int r;

    nsh_nft_batch_init(&b);
    while (probes[i].table != table)
        i++;
    hook = nsh_nft_hook_find(table, probes[i].hook);
    put_probe_table(&b, family);
    put_probe_chain(&b, family, hook);
    put_probe_rule(&b, family, hook, &probes[i].rule);
    r = nsh_nft_batch_send(c, &b, 0, true, &f);
    if (r < 0)
        nsh_nft_words(family, NULL, &f, ret_why, size);
    return r;
}

/* ---- whether it is there at all ---- */

bool nsh_nft_in_use(void)
{
    return nsh_module_in_use("nf_tables");
}
