/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules of others that translate before ours do. Of the base chains of type nat at one hook the
 * one with the lowest priority is asked first, and of several with the same the one registered
 * last; the first that translates has it, and an accept in one of them does not end the way. When
 * a chain was registered the kernel does not say. Tables have handles that count up, and mostly
 * come with their chains: a later table is taken for later chains.
 *
 * What a rule leads to by a jump or goto is gone through as well, as often as packets may come by
 * there. Where a verdict map leads depends on the packet, and is not told of. Nobody knows how many
 * rules others have: so many are looked at, which takes some milliseconds, and then it says so.
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
/* The kernel's own limit of jumps; and what a look is worth. */
#define DEPTH 16
#define PARSED_MAX 1024U
#define CHAINS_MAX 256U
#define SETS_MAX 64U

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
    struct nsh_nft_channel channel; /* for this look alone */
    void *buf;                      /* of a request */
    size_t n_rules, n_parsed, n_chains, n_sets;
    bool too_many;
    struct nsh_ahead_seen *ret;
    size_t n;
};

static void asking_done(struct asking *a)
{
    nsh_nft_channel_done(&a->channel);
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

/* ---- asking ---- */

/* What changes meanwhile makes another generation; and there may be no such family. */
static int ask(struct asking *a, const struct nlmsghdr *request,
        int (*take)(const struct nlmsghdr *answer, void *userdata), void *userdata)
{
    int r = nsh_nft_ask(&a->channel, request, take, userdata);

    return r == -EINTR || r == -ENOENT || r == -EOPNOTSUPP || r == -EAFNOSUPPORT ? 0 : r;
}

static struct nlmsghdr *request_dump(struct asking *a, int family, uint16_t type)
{
    return nsh_nft_request(&a->channel, a->buf, family, type, NLM_F_REQUEST | NLM_F_DUMP);
}

/* ---- rules ---- */

/* Of one chain: those that translate, or lead on. */
struct rules {
    struct asking *asking;
    struct nftnl_rule **items;
    size_t n, max;
};

static void rules_done(struct rules *r)
{
    for (size_t i = 0; i < r->n; i++)
        nftnl_rule_free(r->items[i]);
    free(r->items);
}

static int take_rule(const struct nlmsghdr *answer, void *userdata)
{
    struct rules *r = userdata;
    NSH_CLEANUP(nftnl_rule_freep) struct nftnl_rule *rule = NULL;

    if (r->asking->n_rules++ == NSH_NFT_RULES_MAX)
        return -E2BIG;
    if (!nsh_nft_may_translate(answer))
        return 0;
    if (r->asking->n_parsed++ == PARSED_MAX)
        return -E2BIG;
    rule = nftnl_rule_alloc();
    if (rule && r->n == r->max) {
        size_t max = r->max ? r->max * 2 : 16;
        struct nftnl_rule **items = reallocarray(r->items, max, sizeof(struct nftnl_rule *));

        if (items) {
            r->items = items;
            r->max = max;
        }
    }
    if (!rule || r->n == r->max)
        return -ENOMEM;
    if (nsh_nft_parse_rule(answer, rule) == 0)
        r->items[r->n++] = NSH_TAKE_PTR(rule);
    return 0;
}

/* E2BIG: those that came count. */
static int read_chain(struct asking *a, const char *chain, struct rules *ret)
{
    struct nlmsghdr *m;
    int r = nsh_nft_channel_open(&a->channel);

    if (r < 0)
        return r;
    m = request_dump(a, (int)a->at->family, NFT_MSG_GETRULE);
    mnl_attr_put_strz(m, NFTA_RULE_TABLE, a->at->table);
    mnl_attr_put_strz(m, NFTA_RULE_CHAIN, chain);
    r = ask(a, m, take_rule, ret);
    a->too_many = a->too_many || r == -E2BIG;
    return r == -E2BIG ? 0 : r;
}

static int read_set(void *userdata, const char *set, struct nsh_nft_range *ret)
{
    struct asking *a = userdata;

    if (a->n_sets++ >= SETS_MAX)
        return -1;
    return nsh_nft_set_ranges(a->at->family, a->at->table, set, ret);
}

/* ---- all of it ---- */

static const char *family_word(uint32_t family)
{
    return family == NFPROTO_INET ? "inet" : family == NFPROTO_IPV6 ? "ip6" : "ip";
}

/* The ways into a rule, as far as the way to its chain leads there. */
static void tell(
        struct asking *a, const struct nftnl_rule *rule, size_t n, const struct nsh_ahead_seen *way)
{
    struct nsh_ahead_seen *seen = &a->ret[a->n];
    const char *chain = nftnl_rule_get_str(rule, NFTNL_RULE_CHAIN);
    char words[NSH_AHEAD_TEXT];
    size_t kept = 0;

    memcpy(words, seen->text, sizeof words);
    for (size_t i = 0; i < n; i++) {
        if (!nsh_ahead_narrow(&seen[i], way))
            continue;
        seen[i].first_helps = !is_before(a, a->at, true);
        snprintf(seen[i].text, sizeof seen[i].text, "%.200s (%s %.32s %.32s, handle %" PRIu64 ")",
                words, family_word(a->at->family), a->at->table, chain ? chain : a->at->chain,
                nftnl_rule_get_u64(rule, NFTNL_RULE_HANDLE));
        seen[kept++] = seen[i];
    }
    a->n += kept;
}

static int look_into(
        struct asking *a, const char *chain, const struct nsh_ahead_seen *way, unsigned int depth)
{
    NSH_CLEANUP(rules_done) struct rules rules = {.asking = a};
    int r = 0;

    if (depth > DEPTH || a->n_chains++ == CHAINS_MAX)
        a->too_many = true;
    if (!a->too_many)
        r = read_chain(a, chain, &rules);
    for (size_t i = 0; r == 0 && i < rules.n && a->n < NSH_AHEAD_MAX; i++) {
        struct nsh_ahead_seen next;
        char to[NFT_NAME_MAXLEN];
        size_t n = nsh_nft_describe(
                rules.items[i], a->family, read_set, a, &a->ret[a->n], NSH_AHEAD_MAX - a->n, to);

        if (to[0] == '\0') {
            tell(a, rules.items[i], n, way);
            continue;
        }
        next = a->ret[a->n];
        if (nsh_ahead_narrow(&next, way))
            r = look_into(a, to, &next, depth + 1);
    }
    return r;
}

/* Behind what was told. */
static void tell_rest(struct asking *a)
{
    struct nsh_ahead_seen *seen = &a->ret[a->n < NSH_AHEAD_MAX ? a->n++ : NSH_AHEAD_MAX - 1];

    *seen = (struct nsh_ahead_seen){.unjudged = true};
    snprintf(seen->text, sizeof seen->text, "more than %zu rules", a->n_rules - 1);
}

static int look_at_all(struct asking *a)
{
    static const struct nsh_ahead_seen any;
    const int families[] = {a->family == AF_INET6 ? NFPROTO_IPV6 : NFPROTO_IPV4, NFPROTO_INET};
    int r = nsh_nft_channel_open(&a->channel);

    for (size_t i = 0; r == 0 && i < NSH_ARRAY_SIZE(families); i++)
        r = ask(a, request_dump(a, families[i], NFT_MSG_GETTABLE), take_table, a);
    for (size_t i = 0; r == 0 && i < NSH_ARRAY_SIZE(families); i++)
        r = ask(a, request_dump(a, families[i], NFT_MSG_GETCHAIN), take_chain, a);
    if (a->chains.n > 1)
        qsort(a->chains.items, a->chains.n, sizeof *a->chains.items, in_order);
    for (size_t i = 0; r == 0 && i < a->chains.n; i++) {
        a->at = &a->chains.items[i];
        r = look_into(a, a->at->chain, &any, 0);
    }
    if (r == 0 && a->too_many)
        tell_rest(a);
    return r;
}

int nsh_nft_ahead(int family, const struct nsh_nft_hook *hook, struct nsh_ahead_seen *ret)
{
    nsh_autofree void *buf = malloc((size_t)MNL_SOCKET_BUFFER_SIZE);
    NSH_CLEANUP(asking_done)
    struct asking a = {.family = family, .hook = hook, .ours = UINT64_MAX, .buf = buf, .ret = ret};
    int r;

    nsh_nft_channel_init(&a.channel);
    a.channel.stops = true;
    r = buf ? look_at_all(&a) : -ENOMEM;
    return r < 0 ? r : (int)a.n;
}
