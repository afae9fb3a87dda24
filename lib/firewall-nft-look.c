/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A look at our table of one family: all its chains of ours and their rules, as of one generation
 * of the kernel's. The table is ours, and so a chain with a name that we give to none is one of
 * ours that nobody wants: the contract calls it by its handle.
 *
 * A dump is torn when somebody writes meanwhile, in whatever table, and is then taken again.
 */
#include "firewall-nft.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libnftnl/common.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRIES 20

static void free_chain(struct nsh_nft_chain *c)
{
    if (!c)
        return;
    free(c->name);
    free(c->rules);
    free(c);
}

NSH_DEFINE_CLEANUP(struct nsh_nft_chain *, free_chain)

static void free_nothing(void *node)
{
    (void)node;
}

void nsh_nft_look_done(struct nsh_nft_look *l)
{
    tdestroy(l->index, free_nothing);
    for (size_t i = 0; i < l->n_chains; i++)
        free_chain(l->chains[i]);
    free(l->chains);
    *l = (struct nsh_nft_look){0};
}

/* ---- chains and rules in memory ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct nsh_nft_chain *)a)->name, ((const struct nsh_nft_chain *)b)->name);
}

struct nsh_nft_chain *nsh_nft_look_find(const struct nsh_nft_look *l, const char *name)
{
    struct nsh_nft_chain key = {.name = (char *)(uintptr_t)name};
    struct nsh_nft_chain *const *found = tfind(&key, &l->index, by_name);

    return found && !(*found)->gone ? *found : NULL;
}

/* Room for one more in an array of `n`; what bounds it is the size of the table. */
static void *grow(void *array, size_t n, size_t *max, size_t size)
{
    size_t more = *max ? *max * 2 : 4;
    void *p;

    if (n < *max)
        return array;
    p = reallocarray(array, more, size);
    if (p)
        *max = more;
    return p;
}

/* One that is gone is made anew in its place. */
static struct nsh_nft_chain *revive(const struct nsh_nft_look *l, const char *name)
{
    struct nsh_nft_chain key = {.name = (char *)(uintptr_t)name};
    struct nsh_nft_chain *const *found = tfind(&key, &l->index, by_name);

    if (!found)
        return NULL;
    (*found)->gone = false;
    (*found)->whole = true;
    (*found)->n_rules = 0;
    (*found)->references = 0;
    return *found;
}

struct nsh_nft_chain *nsh_nft_look_add(struct nsh_nft_look *l, const char *name)
{
    NSH_CLEANUP(free_chainp) struct nsh_nft_chain *c = revive(l, name);
    struct nsh_nft_chain **chains;

    if (c)
        return NSH_TAKE_PTR(c);
    c = calloc(1, sizeof *c);
    chains = grow(l->chains, l->n_chains, &l->max_chains, sizeof(void *));
    if (chains)
        l->chains = chains;
    if (!c || !chains)
        return NULL;
    c->whole = true;
    c->hook = nsh_nft_hook_of_chain(name, &c->place);
    if (c->hook)
        c->table = c->hook->table;
    else
        nsh_nft_chain_parse(name, &c->table, c->contract);
    c->name = strdup(name);
    if (!c->name || !tsearch(c, &l->index, by_name))
        return NULL;
    l->chains[l->n_chains++] = c;
    return NSH_TAKE_PTR(c);
}

/* In the table that is cleared first, so that it lets go of chains in the others. */
static void name_stray(struct nsh_nft_chain *c, uint64_t handle)
{
    c->table = NSH_TABLE_MANGLE;
    snprintf(c->contract, sizeof c->contract, NSH_CHAIN_STRAY "%llx", (unsigned long long)handle);
}

struct nsh_nft_chain *nsh_nft_look_add_thing(
        struct nsh_nft_look *l, enum nsh_nft_thing thing, const char *name, uint64_t handle)
{
    NSH_CLEANUP(free_chainp) struct nsh_nft_chain *c = calloc(1, sizeof *c);
    struct nsh_nft_chain **chains = grow(l->chains, l->n_chains, &l->max_chains, sizeof(void *));

    if (chains)
        l->chains = chains;
    if (c)
        c->name = strdup(name);
    if (!c || !c->name || !chains)
        return NULL;
    c->whole = true;
    c->thing = thing;
    name_stray(c, handle);
    l->chains[l->n_chains++] = c;
    return NSH_TAKE_PTR(c);
}

struct nsh_nft_rule *nsh_nft_chain_insert(struct nsh_nft_chain *c, size_t at)
{
    struct nsh_nft_rule *rules = grow(c->rules, c->n_rules, &c->max_rules, sizeof *c->rules);

    if (!rules)
        return NULL;
    c->rules = rules;
    memmove(&rules[at + 1], &rules[at], (c->n_rules - at) * sizeof *rules);
    c->n_rules++;
    rules[at] = (struct nsh_nft_rule){0};
    return &rules[at];
}

void nsh_nft_chain_remove(struct nsh_nft_chain *c, size_t at)
{
    c->n_rules--;
    memmove(&c->rules[at], &c->rules[at + 1], (c->n_rules - at) * sizeof *c->rules);
}

static bool only_jumps(const struct nsh_nft_chain *c)
{
    char contract[NSH_CHAIN_NAME];
    enum nsh_table table;

    for (size_t i = 0; i < c->n_rules; i++)
        if (!nsh_nft_chain_parse(c->rules[i].refers, &table, contract) || table != c->table)
            return false;
    return true;
}

void nsh_nft_look_bases(const struct nsh_nft_look *l, const struct nsh_nft_hook *hook,
        struct nsh_nft_chain *ret[static NSH_NFT_PLACES])
{
    for (int place = 0; place < NSH_NFT_PLACES; place++)
        ret[place] = nsh_nft_look_find(l, hook->chains[place]);
}

bool nsh_nft_look_good(
        const struct nsh_nft_look *l, struct nsh_nft_chain *const bases[static NSH_NFT_PLACES])
{
    bool good = !l->dormant;

    for (int place = 0; place < NSH_NFT_PLACES; place++)
        good = good && (!bases[place] || (bases[place]->whole && only_jumps(bases[place])));
    return good;
}

/* ---- asking the kernel ---- */

struct taking {
    struct nsh_nft_look *look;
    struct nsh_nft_chain *last; /* rules come chain by chain */
};

static int take_table(const struct nlmsghdr *m, void *userdata)
{
    struct nsh_nft_look *l = ((struct taking *)userdata)->look;
    const struct nlattr *attr;

    l->table = true;
    mnl_attr_for_each(attr, m,
            sizeof(struct nfgenmsg)) if (mnl_attr_get_type(attr) == NFTA_TABLE_FLAGS &&
                                         mnl_attr_validate(attr, MNL_TYPE_U32) == 0) l->dormant =
            ntohl(mnl_attr_get_u32(attr)) & NFT_TABLE_F_DORMANT;
    return 0;
}

static bool is_text(const struct nftnl_chain *c, uint16_t attr, const char *text)
{
    const char *s = nftnl_chain_is_set(c, attr) ? nftnl_chain_get_str(c, attr) : NULL;

    return s && strcmp(s, text) == 0;
}

static bool is_whole(const struct nsh_nft_chain *c, const struct nftnl_chain *seen)
{
    if (!c->hook)
        return !nftnl_chain_is_set(seen, NFTNL_CHAIN_HOOKNUM);
    return nftnl_chain_is_set(seen, NFTNL_CHAIN_HOOKNUM) &&
           nftnl_chain_get_u32(seen, NFTNL_CHAIN_HOOKNUM) == c->hook->number &&
           nftnl_chain_get_s32(seen, NFTNL_CHAIN_PRIO) == c->hook->priorities[c->place] &&
           nftnl_chain_get_u32(seen, NFTNL_CHAIN_POLICY) == NF_ACCEPT &&
           is_text(seen, NFTNL_CHAIN_TYPE, c->hook->type);
}

static int take_chain(const struct nlmsghdr *m, void *userdata)
{
    struct nsh_nft_look *l = ((struct taking *)userdata)->look;
    NSH_CLEANUP(nftnl_chain_freep) struct nftnl_chain *seen = nftnl_chain_alloc();
    struct nsh_nft_chain *c;
    const char *name;

    if (!seen)
        return -ENOMEM;
    if (nftnl_chain_nlmsg_parse(m, seen) < 0 || !is_text(seen, NFTNL_CHAIN_TABLE, NSH_NFT_TABLE))
        return 0;
    name = nftnl_chain_get_str(seen, NFTNL_CHAIN_NAME);
    if (!name)
        return 0;
    c = nsh_nft_look_add(l, name);
    if (!c)
        return -ENOMEM;
    if (!c->hook && c->contract[0] == '\0')
        name_stray(c, nftnl_chain_get_u64(seen, NFTNL_CHAIN_HANDLE));
    c->whole = is_whole(c, seen);
    c->references = nftnl_chain_get_u32(seen, NFTNL_CHAIN_USE);
    return 0;
}

static struct nsh_nft_chain *chain_of_rule(struct taking *t, const char *name)
{
    if (!t->last || strcmp(t->last->name, name) != 0)
        t->last = nsh_nft_look_find(t->look, name);
    return t->last;
}

static int take_comment(const struct nftnl_udata *attr, void *userdata)
{
    if (nftnl_udata_type(attr) == NFTNL_UDATA_RULE_COMMENT)
        *(const struct nftnl_udata **)userdata = attr;
    return 0;
}

/* The comment is a jump's name; one that was put back by hand mostly lacks it. */
static enum nsh_policy_kind kind_named(const struct nftnl_rule *seen, const char *refers)
{
    const struct nftnl_udata *comment = NULL;
    char chain[NSH_CHAIN_NAME], text[NSH_NFT_COMMENT];
    enum nsh_table table;
    uint32_t size = 0;
    const void *data = nftnl_rule_get_data(seen, NFTNL_RULE_USERDATA, &size);

    if (!data || nftnl_udata_parse(data, size, take_comment, &comment) < 0 || !comment ||
            !nsh_nft_chain_parse(refers, &table, chain))
        return NSH_POLICY_NONE;
    snprintf(text, sizeof text, "%.*s", (int)nftnl_udata_len(comment),
            (const char *)nftnl_udata_get(comment));
    return nsh_nft_comment_parse(text, chain);
}

static int add_counter(struct nftnl_expr *e, void *userdata)
{
    struct nsh_traffic *traffic = userdata;
    const char *name = nftnl_expr_get_str(e, NFTNL_EXPR_NAME);

    if (name && strcmp(name, "counter") == 0) {
        traffic->packets += nftnl_expr_get_u64(e, NFTNL_EXPR_CTR_PACKETS);
        traffic->bytes += nftnl_expr_get_u64(e, NFTNL_EXPR_CTR_BYTES);
    }
    return 0;
}

/* A rule that libnftnl doesn't understand is a rule all the same. */
static int take_rule(const struct nlmsghdr *m, void *userdata)
{
    struct taking *t = userdata;
    NSH_CLEANUP(nftnl_rule_freep) struct nftnl_rule *seen = nftnl_rule_alloc();
    const char *name = NULL;
    struct nsh_nft_chain *c;
    struct nsh_nft_rule *rule;
    const struct nlattr *attr;
    uint64_t handle = 0;

    if (!seen)
        return -ENOMEM;
    mnl_attr_for_each(attr, m, sizeof(struct nfgenmsg))
    {
        uint16_t type = mnl_attr_get_type(attr);

        if (type == NFTA_RULE_CHAIN && mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) == 0)
            name = mnl_attr_get_str(attr);
        if (type == NFTA_RULE_HANDLE && mnl_attr_validate(attr, MNL_TYPE_U64) == 0)
            handle = be64toh(mnl_attr_get_u64(attr));
    }
    c = name ? chain_of_rule(t, name) : NULL;
    if (!c || handle == 0)
        return 0;
    rule = nsh_nft_chain_insert(c, c->n_rules);
    if (!rule)
        return -ENOMEM;
    rule->handle = handle;
    rule->value.action = NSH_PACKET_OTHER;
    if (nsh_nft_parse_rule(m, seen) == 0) {
        nsh_nft_decode(t->look->family, c->table, seen, &rule->value, rule->refers);
        (void)nftnl_expr_foreach(seen, add_counter, &rule->traffic);
        if (!nsh_chain_is_stray(c->contract))
            (void)nftnl_expr_foreach(seen, nsh_nft_look_refer, t->look);
    } else {
        t->look->obscure = true;
    }
    rule->kind = c->hook ? kind_named(seen, rule->refers) : NSH_POLICY_NONE;
    return 0;
}

static int ask_table(struct nsh_nft_channel *c, struct taking *t)
{
    char buf[256];
    struct nlmsghdr *m =
            nsh_nft_request(c, buf, t->look->family, NFT_MSG_GETTABLE, NLM_F_REQUEST | NLM_F_ACK);
    int r;

    mnl_attr_put_strz(m, NFTA_TABLE_NAME, NSH_NFT_TABLE);
    r = nsh_nft_ask(c, m, take_table, t);
    return r == -ENOENT ? 0 : r;
}

static int ask_all(struct nsh_nft_channel *c, struct taking *t, uint16_t type, uint16_t table_attr,
        int (*take)(const struct nlmsghdr *m, void *userdata))
{
    char buf[256];
    struct nlmsghdr *m = nsh_nft_request(c, buf, t->look->family, type, NLM_F_REQUEST | NLM_F_DUMP);

    /* Older kernels dump the chains of all tables. */
    mnl_attr_put_strz(m, table_attr, NSH_NFT_TABLE);
    return nsh_nft_ask(c, m, take, t);
}

/* What the kernel counts as uses of a chain are its rules too. */
static void settle_references(struct nsh_nft_look *l)
{
    for (size_t i = 0; i < l->n_chains; i++) {
        struct nsh_nft_chain *c = l->chains[i];

        c->references -= c->references < c->n_rules ? c->references : (uint32_t)c->n_rules;
    }
}

static int take_once(struct nsh_nft_channel *c, struct nsh_nft_look *l)
{
    struct taking t = {.look = l};
    uint32_t after = 0;
    int r = nsh_nft_generation(c, &l->generation);

    if (r == 0)
        r = ask_table(c, &t);
    if (r == 0 && l->table)
        r = ask_all(c, &t, NFT_MSG_GETCHAIN, NFTA_CHAIN_TABLE, take_chain);
    if (r == 0 && l->table)
        r = nsh_nft_look_take_things(c, l);
    if (r == 0 && l->table)
        r = ask_all(c, &t, NFT_MSG_GETRULE, NFTA_RULE_TABLE, take_rule);
    if (r == 0)
        r = nsh_nft_generation(c, &after);
    if (r != 0)
        return r;
    settle_references(l);
    l->valid = true;
    return after == l->generation ? 0 : -EINTR;
}

int nsh_nft_look_take(struct nsh_nft_channel *c, int family, struct nsh_nft_look *ret)
{
    int r = -EINTR;

    nsh_nft_look_done(ret);
    for (int i = 0; i < TRIES && r == -EINTR; i++) {
        nsh_nft_look_done(ret);
        ret->family = family;
        r = take_once(c, ret);
    }
    if (r != 0)
        nsh_nft_look_done(ret);
    return r == -EINTR ? -EAGAIN : r;
}
