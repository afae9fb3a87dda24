/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules of others that translate before ours do. Of the base chains of type nat at one hook the
 * one with the lowest priority is asked first, and of several with the same the one registered
 * last; the first that translates has it, and an accept in one of them does not end the way. When
 * a chain was registered the kernel does not say. Tables have handles that count up, and mostly
 * come with their chains: a later table is taken for later chains.
 *
 * What a jump leads to may come back, so it is not told of.
 */
#include "firewall-nft.h"

#include <errno.h>
#include <inttypes.h>
#include <libnftnl/table.h>
#include <linux/netfilter.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME NFT_NAME_MAXLEN

NSH_DEFINE_CLEANUP(struct nftnl_table *, nftnl_table_free)

/* A table, or a base chain in one. */
struct place {
    uint32_t family; /* NFPROTO_* */
    char table[NAME], chain[NAME];
    int32_t priority;
    uint64_t handle; /* of the table */
};

struct places {
    struct place *items;
    size_t n, max;
};

struct asking {
    int family;
    const struct nsh_nft_hook *hook;
    uint64_t ours; /* our table's handle */
    struct places tables, chains;
    const struct place *at;
    struct nftnl_rule **rules; /* of that chain */
    size_t n_rules, max_rules;
    struct nsh_nft_channel *channel;
    void *buf; /* of a request */
    struct nsh_ahead_seen *ret;
    size_t n;
};

static void forget_rules(struct asking *a)
{
    for (size_t i = 0; i < a->n_rules; i++)
        nftnl_rule_free(a->rules[i]);
    a->n_rules = 0;
}

static void asking_done(struct asking *a)
{
    forget_rules(a);
    free(a->rules);
    free(a->tables.items);
    free(a->chains.items);
}

static int add(struct places *p, const struct place *one)
{
    if (p->n == p->max) {
        size_t max = p->max ? p->max * 2 : 16;
        struct place *items = reallocarray(p->items, max, sizeof *items);

        if (!items)
            return -ENOMEM;
        p->items = items;
        p->max = max;
    }
    p->items[p->n++] = *one;
    return 0;
}

static bool is_ours(const struct asking *a, const struct place *p)
{
    return strcmp(p->table, NSH_NFT_TABLE) == 0 &&
           p->family == (uint32_t)(a->family == AF_INET6 ? NFPROTO_IPV6 : NFPROTO_IPV4);
}

/* ---- what there is ---- */

static int take_table(const struct nlmsghdr *answer, void *userdata)
{
    struct asking *a = userdata;
    NSH_CLEANUP(nftnl_table_freep) struct nftnl_table *t = nftnl_table_alloc();
    struct place one = {0};

    if (!t)
        return -ENOMEM;
    if (nftnl_table_nlmsg_parse(answer, t) < 0)
        return 0;
    one.family = nftnl_table_get_u32(t, NFTNL_TABLE_FAMILY);
    one.handle = nftnl_table_get_u64(t, NFTNL_TABLE_HANDLE);
    snprintf(one.table, sizeof one.table, "%s", nftnl_table_get_str(t, NFTNL_TABLE_NAME));
    if (is_ours(a, &one))
        a->ours = one.handle;
    else if (!(nftnl_table_get_u32(t, NFTNL_TABLE_FLAGS) & NFT_TABLE_F_DORMANT))
        return add(&a->tables, &one);
    return 0;
}

static const struct place *find_table(const struct asking *a, const struct place *chain)
{
    for (size_t i = 0; i < a->tables.n; i++)
        if (a->tables.items[i].family == chain->family &&
                strcmp(a->tables.items[i].table, chain->table) == 0)
            return &a->tables.items[i];
    return NULL;
}

static bool is_before(const struct asking *a, const struct place *p, bool first)
{
    int32_t ours = a->hook->priorities[first ? 0 : 1];

    return p->priority < ours || (p->priority == ours && p->handle > a->ours);
}

static int take_chain(const struct nlmsghdr *answer, void *userdata)
{
    struct asking *a = userdata;
    NSH_CLEANUP(nftnl_chain_freep) struct nftnl_chain *c = nftnl_chain_alloc();
    const struct place *table;
    struct place one = {0};
    const char *type;

    if (!c)
        return -ENOMEM;
    if (nftnl_chain_nlmsg_parse(answer, c) < 0)
        return 0;
    type = nftnl_chain_get_str(c, NFTNL_CHAIN_TYPE);
    if (!type || strcmp(type, "nat") != 0 || nftnl_chain_get_u32(c, NFTNL_CHAIN_USE) == 0 ||
            nftnl_chain_get_u32(c, NFTNL_CHAIN_HOOKNUM) != a->hook->number)
        return 0;
    one.family = nftnl_chain_get_u32(c, NFTNL_CHAIN_FAMILY);
    one.priority = nftnl_chain_get_s32(c, NFTNL_CHAIN_PRIO);
    snprintf(one.table, sizeof one.table, "%s", nftnl_chain_get_str(c, NFTNL_CHAIN_TABLE));
    snprintf(one.chain, sizeof one.chain, "%s", nftnl_chain_get_str(c, NFTNL_CHAIN_NAME));
    table = find_table(a, &one);
    if (!table)
        return 0;
    one.handle = table->handle;
    return is_before(a, &one, false) ? add(&a->chains, &one) : 0;
}

static int in_order(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    if (x->priority != y->priority)
        return x->priority < y->priority ? -1 : 1;
    return (x->handle < y->handle) - (x->handle > y->handle);
}

/* ---- rules ---- */

static const char *family_word(uint32_t family)
{
    return family == NFPROTO_INET ? "inet" : family == NFPROTO_IPV6 ? "ip6" : "ip";
}

static int take_rule(const struct nlmsghdr *answer, void *userdata)
{
    struct asking *a = userdata;
    NSH_CLEANUP(nftnl_rule_freep) struct nftnl_rule *rule = nftnl_rule_alloc();

    if (rule && a->n_rules == a->max_rules) {
        size_t max = a->max_rules ? a->max_rules * 2 : 16;
        struct nftnl_rule **rules = reallocarray(a->rules, max, sizeof(struct nftnl_rule *));

        if (rules) {
            a->rules = rules;
            a->max_rules = max;
        }
    }
    if (!rule || a->n_rules == a->max_rules)
        return -ENOMEM;
    if (nftnl_rule_nlmsg_parse(answer, rule) == 0)
        a->rules[a->n_rules++] = NSH_TAKE_PTR(rule);
    return 0;
}

/* What changes meanwhile makes another generation; and there may be no such family. */
static int ask(struct asking *a, const struct nlmsghdr *request,
        int (*take)(const struct nlmsghdr *answer, void *userdata), void *userdata)
{
    int r = nsh_nft_ask(a->channel, request, take, userdata);

    return r == -EINTR || r == -ENOENT || r == -EOPNOTSUPP || r == -EAFNOSUPPORT ? 0 : r;
}

static struct nlmsghdr *request_dump(struct asking *a, int family, uint16_t type)
{
    return nsh_nft_request(a->channel, a->buf, family, type, NLM_F_REQUEST | NLM_F_DUMP);
}

static int read_set(void *userdata, const char *set, struct nsh_nft_range *ret)
{
    const struct asking *a = userdata;

    return nsh_nft_set_ranges(a->channel, a->at->family, a->at->table, set, ret);
}

/* ---- all of it ---- */

static void describe(struct asking *a, const struct nftnl_rule *rule)
{
    struct nsh_ahead_seen *seen = &a->ret[a->n];
    size_t n = nsh_nft_describe(rule, a->family, read_set, a, seen, NSH_AHEAD_MAX - a->n);
    char words[NSH_AHEAD_TEXT];

    memcpy(words, seen->text, sizeof words);
    for (size_t i = 0; i < n; i++) {
        seen[i].first_helps = !is_before(a, a->at, true);
        snprintf(seen[i].text, sizeof seen[i].text, "%.200s (%s %.32s %.32s, handle %" PRIu64 ")",
                words, family_word(a->at->family), a->at->table, a->at->chain,
                nftnl_rule_get_u64(rule, NFTNL_RULE_HANDLE));
    }
    a->n += n;
}

static int describe_chain(struct asking *a)
{
    struct nlmsghdr *m = request_dump(a, (int)a->at->family, NFT_MSG_GETRULE);
    int r;

    mnl_attr_put_strz(m, NFTA_RULE_TABLE, a->at->table);
    mnl_attr_put_strz(m, NFTA_RULE_CHAIN, a->at->chain);
    forget_rules(a);
    r = ask(a, m, take_rule, a);
    for (size_t i = 0; r == 0 && i < a->n_rules && a->n < NSH_AHEAD_MAX; i++)
        describe(a, a->rules[i]);
    return r;
}

int nsh_nft_ahead(struct nsh_nft_channel *c, int family, const struct nsh_nft_hook *hook,
        struct nsh_ahead_seen *ret)
{
    const int families[] = {family == AF_INET6 ? NFPROTO_IPV6 : NFPROTO_IPV4, NFPROTO_INET};
    nsh_autofree void *buf = malloc((size_t)MNL_SOCKET_BUFFER_SIZE);
    NSH_CLEANUP(asking_done)
    struct asking a = {.family = family,
            .hook = hook,
            .ours = UINT64_MAX,
            .channel = c,
            .buf = buf,
            .ret = ret};
    int r = buf ? 0 : -ENOMEM;

    for (size_t i = 0; r == 0 && i < NSH_ARRAY_SIZE(families); i++)
        r = ask(&a, request_dump(&a, families[i], NFT_MSG_GETTABLE), take_table, &a);
    for (size_t i = 0; r == 0 && i < NSH_ARRAY_SIZE(families); i++)
        r = ask(&a, request_dump(&a, families[i], NFT_MSG_GETCHAIN), take_chain, &a);
    if (a.chains.n > 1)
        qsort(a.chains.items, a.chains.n, sizeof *a.chains.items, in_order);
    for (size_t i = 0; r == 0 && i < a.chains.n; i++) {
        a.at = &a.chains.items[i];
        r = describe_chain(&a);
    }
    return r < 0 ? r : (int)a.n;
}
