/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The base chains of others that translate, and their rules one after the other, in the order of
 * packets (firewall-nft-ahead.c).
 */
#include "firewall-nft.h"

#include <errno.h>
#include <inttypes.h>
#include <libnftnl/table.h>
#include <linux/netfilter.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "foreign.h"

#define NAME NFT_NAME_MAXLEN

NSH_DEFINE_CLEANUP(struct nftnl_table *, nftnl_table_free)

struct place {
    uint32_t family; /* NFPROTO_*, of its table */
    char table[NAME], chain[NAME];
    const struct nsh_nft_hook *hook;
    int32_t priority;
    uint64_t handle; /* of the table */
};

struct list {
    void *items;
    size_t n, max;
};

struct looking {
    struct nsh_nft_channel channel;
    void *buf; /* of a request */
    int family;
    struct list tables, chains; /* struct place */
    struct list rules; /* struct nftnl_rule *, of the chain `at`; NULL: libnftnl can't read it */
    const struct place *at;
};

static void forget_rules(struct looking *l)
{
    struct nftnl_rule *const *rules = l->rules.items;

    for (size_t i = 0; i < l->rules.n; i++)
        if (rules[i])
            nftnl_rule_free(rules[i]);
    l->rules.n = 0;
}

static void looking_done(struct looking *l)
{
    forget_rules(l);
    free(l->rules.items);
    free(l->tables.items);
    free(l->chains.items);
    free(l->buf);
    nsh_nft_channel_done(&l->channel);
}

/* Room for one more, which counts already; NULL: no memory. */
static void *add(struct list *l, size_t size)
{
    if (l->n == l->max) {
        size_t max = l->max ? l->max * 2 : 16;
        void *items = reallocarray(l->items, max, size);

        if (!items)
            return NULL;
        l->items = items;
        l->max = max;
    }
    return (char *)l->items + l->n++ * size;
}

/* ---- what there is ---- */

static int take_table(const struct nlmsghdr *answer, void *userdata)
{
    struct looking *l = userdata;
    NSH_CLEANUP(nftnl_table_freep) struct nftnl_table *t = nftnl_table_alloc();
    struct place *one;
    const char *name;

    if (!t)
        return -ENOMEM;
    if (nftnl_table_nlmsg_parse(answer, t) < 0)
        return 0;
    name = nftnl_table_get_str(t, NFTNL_TABLE_NAME);
    if (!name || strcmp(name, NSH_NFT_TABLE) == 0 || strcmp(name, NSH_NFT_HOLD_TABLE) == 0 ||
            nftnl_table_get_u32(t, NFTNL_TABLE_FLAGS) & NFT_TABLE_F_DORMANT)
        return 0;
    one = add(&l->tables, sizeof *one);
    if (!one)
        return -ENOMEM;
    *one = (struct place){.family = nftnl_table_get_u32(t, NFTNL_TABLE_FAMILY),
            .handle = nftnl_table_get_u64(t, NFTNL_TABLE_HANDLE)};
    (void)snprintf(one->table, sizeof one->table, "%s", name);
    return 0;
}

static const struct place *find_table(const struct looking *l, uint32_t family, const char *name)
{
    const struct place *tables = l->tables.items;

    for (size_t i = 0; i < l->tables.n; i++)
        if (tables[i].family == family && strcmp(tables[i].table, name) == 0)
            return &tables[i];
    return NULL;
}

static const struct nsh_nft_hook *find_hook(uint32_t number)
{
    for (size_t i = 0; i < nsh_nft_n_hooks; i++)
        if (nsh_nft_hooks[i].table == NSH_TABLE_NAT && nsh_nft_hooks[i].number == number)
            return &nsh_nft_hooks[i];
    return NULL;
}

static int take_chain(const struct nlmsghdr *answer, void *userdata)
{
    struct looking *l = userdata;
    NSH_CLEANUP(nftnl_chain_freep) struct nftnl_chain *c = nftnl_chain_alloc();
    const struct nsh_nft_hook *hook;
    const struct place *table;
    struct place *one;
    const char *type, *name;

    if (!c)
        return -ENOMEM;
    if (nftnl_chain_nlmsg_parse(answer, c) < 0)
        return 0;
    type = nftnl_chain_get_str(c, NFTNL_CHAIN_TYPE);
    name = nftnl_chain_get_str(c, NFTNL_CHAIN_TABLE);
    if (!type || !name || strcmp(type, "nat") != 0)
        return 0;
    hook = find_hook(nftnl_chain_get_u32(c, NFTNL_CHAIN_HOOKNUM));
    table = find_table(l, nftnl_chain_get_u32(c, NFTNL_CHAIN_FAMILY), name);
    if (!hook || !table)
        return 0;
    one = add(&l->chains, sizeof *one);
    if (!one)
        return -ENOMEM;
    *one = *table;
    one->hook = hook;
    one->priority = nftnl_chain_get_s32(c, NFTNL_CHAIN_PRIO);
    (void)snprintf(one->chain, sizeof one->chain, "%s", nftnl_chain_get_str(c, NFTNL_CHAIN_NAME));
    return 0;
}

static int in_order(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    if (x->hook != y->hook)
        return x->hook < y->hook ? -1 : 1;
    if (x->priority != y->priority)
        return x->priority < y->priority ? -1 : 1;
    return (x->handle < y->handle) - (x->handle > y->handle);
}

static int take_rule(const struct nlmsghdr *answer, void *userdata)
{
    struct looking *l = userdata;
    NSH_CLEANUP(nftnl_rule_freep) struct nftnl_rule *rule = nftnl_rule_alloc();
    struct nftnl_rule **one;

    if (!rule)
        return -ENOMEM;
    one = add(&l->rules, sizeof(struct nftnl_rule *));
    if (!one)
        return -ENOMEM;
    *one = nsh_nft_parse_rule(answer, rule) < 0 ? NULL : NSH_TAKE_PTR(rule);
    return 0;
}

/* ---- rules ---- */

static const char *family_word(uint32_t family)
{
    return family == NFPROTO_INET ? "inet" : family == NFPROTO_IPV6 ? "ip6" : "ip";
}

static int read_set(void *userdata, const char *set, struct nsh_nft_range *ret)
{
    struct looking *l = userdata;

    return nsh_nft_set_ranges(l->at->family, l->at->table, set, ret);
}

static int tell(struct looking *l, const struct nftnl_rule *rule, uint32_t chain,
        nsh_foreign_seen *seen, void *userdata)
{
    struct nsh_foreign_rule f = {.family = (uint8_t)l->family,
            .hook = l->at->hook->name,
            .chain = chain,
            .needs.action = NSH_PACKET_OTHER};
    const char *family = family_word(l->at->family);

    (void)snprintf(
            f.place, sizeof f.place, "nft chain %s %s %s", family, l->at->table, l->at->chain);
    if (!rule) {
        nsh_foreign_doubt(&f, "all of it");
        nsh_foreign_say(&f, "...");
        return seen(userdata, &f);
    }
    if (nsh_forward_is_plain(l->at->table) && nsh_forward_is_plain(l->at->chain))
        (void)snprintf(f.remove, sizeof f.remove, "nft delete rule %s %s %s handle %" PRIu64,
                family, l->at->table, l->at->chain, nftnl_rule_get_u64(rule, NFTNL_RULE_HANDLE));
    return nsh_nft_foreign_rule(rule, read_set, l, &f) ? seen(userdata, &f) : 0;
}

static int ask(struct looking *l, uint16_t type, int family,
        int (*take)(const struct nlmsghdr *answer, void *userdata))
{
    struct nlmsghdr *m = nsh_nft_request(&l->channel, l->buf, family, type, NLM_F_DUMP);
    int r;

    if (l->at) {
        mnl_attr_put_strz(m, NFTA_RULE_TABLE, l->at->table);
        mnl_attr_put_strz(m, NFTA_RULE_CHAIN, l->at->chain);
    }
    r = nsh_nft_ask(&l->channel, m, take, l);
    if (r == -EOPNOTSUPP || r == -EAFNOSUPPORT)
        return 0; /* there is no such family */
    return r == -EINTR || r == -ENOENT ? -EAGAIN : r;
}

static int tell_chain(struct looking *l, uint32_t chain, nsh_foreign_seen *seen, void *userdata)
{
    struct nftnl_rule *const *rules;
    int r;

    forget_rules(l);
    r = ask(l, NFT_MSG_GETRULE, (int)l->at->family, take_rule);
    rules = l->rules.items;
    for (size_t i = 0; r == 0 && i < l->rules.n; i++)
        r = tell(l, rules[i], chain, seen, userdata);
    return r;
}

int nsh_nft_foreign(struct nsh_firewall *fw, int family, nsh_foreign_seen *seen, void *userdata)
{
    const int families[] = {family == AF_INET6 ? NFPROTO_IPV6 : NFPROTO_IPV4, NFPROTO_INET};
    NSH_CLEANUP(looking_done) struct looking l = {.family = family};
    int r = 0;

    (void)fw;
    nsh_nft_channel_init(&l.channel);
    if (!nsh_nft_in_use())
        return 0;
    l.buf = malloc((size_t)MNL_SOCKET_BUFFER_SIZE);
    r = l.buf ? nsh_nft_channel_open(&l.channel) : -ENOMEM;
    for (size_t i = 0; r == 0 && i < NSH_ARRAY_SIZE(families); i++)
        r = ask(&l, NFT_MSG_GETTABLE, families[i], take_table);
    for (size_t i = 0; r == 0 && i < NSH_ARRAY_SIZE(families); i++)
        r = ask(&l, NFT_MSG_GETCHAIN, families[i], take_chain);
    if (l.chains.n > 1)
        qsort(l.chains.items, l.chains.n, sizeof(struct place), in_order);
    for (size_t i = 0; r == 0 && i < l.chains.n; i++) {
        l.at = (const struct place *)l.chains.items + i;
        r = tell_chain(&l, (uint32_t)i, seen, userdata);
    }
    return r;
}
