/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether base chains of others drop what is forwarded. Each one at the hook has its say, whatever
 * the others accept, so each is gone through by itself, with the chains it leads to. Our own jump
 * in one is looked through, to see what would be without it, taken for the accept it leads to, or
 * followed as any other.
 */
#include "firewall-nft.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libnftnl/set.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The kernel's own limit of jumps, and what a look is worth: more is taken for an accept. */
#define DEPTH 16
#define CHAINS_MAX 256

NSH_DEFINE_CLEANUP(struct nftnl_set *, nftnl_set_free)
NSH_DEFINE_CLEANUP(struct nftnl_set_elems_iter *, nftnl_set_elems_iter_destroy)

/* A chain that has been read, or `cut`, the first part of it. */
struct chain {
    char *name;
    struct nftnl_rule **rules;
    size_t n, max;
    bool cut;
    size_t *left; /* rules that may be read yet */
};

/* A set that a rule looks into. */
struct set {
    char name[NFT_NAME_MAXLEN];
    uint32_t key_length; /* bytes; 0: not known */
};

struct nsh_nft_judge {
    struct nsh_nft_channel channel; /* for these rules alone */
    struct nsh_nft_work *work;
    bool cut;  /* there is more than that */
    void *buf; /* of a request */
    const struct nsh_nft_base *base;
    int family;
    const struct nsh_forward_path *path;
    enum nsh_nft_guest_view guest;    /* what our jump is taken for */
    bool met, ended;                  /* by the path: our jump; the end of what was looked at */
    const struct nftnl_rule *dropper; /* the last that dropped it for certain */
    struct chain *chains;
    size_t n_chains;
    struct set *sets;
    size_t n_sets;
};

void nsh_nft_judge_free(struct nsh_nft_judge *j)
{
    if (!j)
        return;
    for (size_t i = 0; i < j->n_chains; i++) {
        for (size_t k = 0; k < j->chains[i].n; k++)
            nftnl_rule_free(j->chains[i].rules[k]);
        free(j->chains[i].rules);
        free(j->chains[i].name);
    }
    nsh_nft_channel_done(&j->channel);
    free(j->chains);
    free(j->sets);
    free(j->buf);
    free(j);
}

int nsh_nft_judge_new(
        const struct nsh_nft_base *base, struct nsh_nft_work *work, struct nsh_nft_judge **ret)
{
    NSH_CLEANUP(nsh_nft_judge_freep) struct nsh_nft_judge *j = calloc(1, sizeof(*j));

    if (!j)
        return -ENOMEM;
    nsh_nft_channel_init(&j->channel);
    j->channel.stops = true;
    j->work = work;
    j->base = base;
    j->buf = malloc((size_t)MNL_SOCKET_BUFFER_SIZE);
    if (!j->buf)
        return -ENOMEM;
    *ret = NSH_TAKE_PTR(j);
    return 0;
}

bool nsh_nft_judge_is_cut(const struct nsh_nft_judge *j)
{
    return j->cut;
}

/* ---- reading ---- */

static int take_rule(const struct nlmsghdr *answer, void *userdata)
{
    struct chain *c = userdata;
    struct nftnl_rule *rule;

    if (*c->left == 0)
        return -E2BIG;
    --*c->left;
    rule = nftnl_rule_alloc();
    if (rule && c->n == c->max) {
        size_t max = c->max ? c->max * 2 : 16;
        struct nftnl_rule **rules = reallocarray(c->rules, max, sizeof(struct nftnl_rule *));

        if (rules) {
            c->rules = rules;
            c->max = max;
        }
    }
    if (!rule || c->n == c->max) {
        nftnl_rule_free(rule);
        return -ENOMEM;
    }
    if (nftnl_rule_nlmsg_parse(answer, rule) < 0) {
        nftnl_rule_free(
                rule); /* of a newer nftables: nothing is known of it but that it is there */
        return 0;
    }
    c->rules[c->n++] = rule;
    return 0;
}

static int read_chain(struct nsh_nft_judge *j, const char *name, struct chain *c)
{
    int r = nsh_nft_channel_open(&j->channel);
    struct nlmsghdr *m;

    c->left = &j->work->rules;
    c->name = strdup(name);
    if (!c->name || r < 0)
        return c->name ? r : -ENOMEM;
    m = nsh_nft_request(&j->channel, j->buf, (int)j->base->family, NFT_MSG_GETRULE, NLM_F_DUMP);
    mnl_attr_put_strz(m, NFTA_RULE_TABLE, j->base->table);
    mnl_attr_put_strz(m, NFTA_RULE_CHAIN, name);
    r = nsh_nft_ask(&j->channel, m, take_rule, c);
    c->cut = r == -E2BIG;
    j->cut = j->cut || c->cut;
    return c->cut ? 0 : r;
}

/* The chain's number; -E2BIG: there are too many. */
static int find_chain(struct nsh_nft_judge *j, const char *name)
{
    struct chain *chains;
    int r;

    for (size_t i = 0; i < j->n_chains; i++)
        if (strcmp(j->chains[i].name, name) == 0)
            return (int)i;
    if (j->n_chains == CHAINS_MAX)
        return -E2BIG;
    chains = reallocarray(j->chains, j->n_chains + 1, sizeof(*chains));
    if (!chains)
        return -ENOMEM;
    j->chains = chains;
    chains[j->n_chains] = (struct chain){0};
    r = read_chain(j, name, &chains[j->n_chains++]);
    return r < 0 ? r : (int)j->n_chains - 1;
}

/* ---- sets ---- */

static void take_verdict(struct nftnl_set_elem *e, struct nsh_nft_judgement *j)
{
    const char *chain = NULL;

    if (nftnl_set_elem_is_set(e, NFTNL_SET_ELEM_VERDICT))
        j->verdict = nsh_nft_verdict_of((int)nftnl_set_elem_get_u32(e, NFTNL_SET_ELEM_VERDICT));
    if (nftnl_set_elem_is_set(e, NFTNL_SET_ELEM_CHAIN))
        chain = nftnl_set_elem_get_str(e, NFTNL_SET_ELEM_CHAIN);
    if (chain)
        snprintf(j->chain, sizeof(j->chain), "%s", chain);
}

static int take_set(const struct nlmsghdr *answer, void *userdata)
{
    NSH_CLEANUP(nftnl_set_freep) struct nftnl_set *s = nftnl_set_alloc();

    if (!s)
        return -ENOMEM;
    if (nftnl_set_nlmsg_parse(answer, s) == 0 && nftnl_set_is_set(s, NFTNL_SET_KEY_LEN))
        *(uint32_t *)userdata = nftnl_set_get_u32(s, NFTNL_SET_KEY_LEN);
    return 0;
}

/* Of its keys, in bytes; 0: that can't be known. */
static int key_length(struct nsh_nft_judge *j, const char *name, uint32_t *ret)
{
    struct set *sets, one = {.key_length = 0};
    struct nlmsghdr *m;
    int r;

    for (size_t i = 0; i < j->n_sets; i++) {
        if (strcmp(j->sets[i].name, name) == 0) {
            *ret = j->sets[i].key_length;
            return 0;
        }
    }
    r = nsh_nft_channel_open(&j->channel);
    if (r < 0)
        return r;
    m = nsh_nft_request(
            &j->channel, j->buf, (int)j->base->family, NFT_MSG_GETSET, NLM_F_REQUEST | NLM_F_ACK);
    mnl_attr_put_strz(m, NFTA_SET_TABLE, j->base->table);
    mnl_attr_put_strz(m, NFTA_SET_NAME, name);
    r = nsh_nft_ask(&j->channel, m, take_set, &one.key_length);
    if (r < 0)
        return r;
    sets = reallocarray(j->sets, j->n_sets + 1, sizeof(*sets));
    if (!sets)
        return -ENOMEM;
    snprintf(one.name, sizeof(one.name), "%s", name);
    j->sets = sets;
    sets[j->n_sets++] = one;
    *ret = one.key_length;
    return 0;
}

/* What an answer to the question for one element holds. */
struct element {
    bool there;
    struct nsh_nft_judgement *verdict; /* NULL: it is not asked for */
};

static int take_element(const struct nlmsghdr *answer, void *userdata)
{
    NSH_CLEANUP(nftnl_set_freep) struct nftnl_set *s = nftnl_set_alloc();
    NSH_CLEANUP(nftnl_set_elems_iter_destroyp) struct nftnl_set_elems_iter *iter = NULL;
    struct element *element = userdata;
    struct nftnl_set_elem *e;

    element->there = true;
    if (!element->verdict)
        return 0;
    if (!s || nftnl_set_elems_nlmsg_parse(answer, s) < 0)
        return s ? -EPROTO : -ENOMEM;
    iter = nftnl_set_elems_iter_create(s);
    e = iter ? nftnl_set_elems_iter_next(iter) : NULL;
    if (e)
        take_verdict(e, element->verdict);
    return 0;
}

/* `key` NULL: what is there for all other keys. 1: it is there, 0, negative errno. */
static int ask_element(struct nsh_nft_judge *j, const char *name, const uint8_t *key,
        uint32_t length, struct nsh_nft_judgement *ret_verdict)
{
    NSH_CLEANUP(nftnl_set_freep) struct nftnl_set *s = nftnl_set_alloc();
    struct nftnl_set_elem *e = nftnl_set_elem_alloc();
    struct element element = {.verdict = ret_verdict};
    struct nlmsghdr *m;
    int r = nsh_nft_channel_open(&j->channel);

    if (r < 0 || !s || !e) {
        nftnl_set_elem_free(e);
        return r < 0 ? r : -ENOMEM;
    }
    if (key)
        nftnl_set_elem_set(e, NFTNL_SET_ELEM_KEY, key, length);
    else
        nftnl_set_elem_set_u32(e, NFTNL_SET_ELEM_FLAGS, NFT_SET_ELEM_CATCHALL);
    nftnl_set_elem_add(s, e);
    nftnl_set_set_str(s, NFTNL_SET_TABLE, j->base->table);
    nftnl_set_set_str(s, NFTNL_SET_NAME, name);
    m = nsh_nft_request(&j->channel, j->buf, (int)j->base->family, NFT_MSG_GETSETELEM,
            NLM_F_REQUEST | NLM_F_ACK);
    nftnl_set_elems_nlmsg_build_payload(m, s);
    r = nsh_nft_ask(&j->channel, m, take_element, &element);
    return r == -ENOENT ? 0 : r < 0 ? r : element.there;
}

/*
 * Whether it holds an element, and of a map the verdict. It may be large: the kernel looks it up,
 * as it does for a packet.
 */
static int find_element(void *userdata, const char *set, bool map, const uint8_t *key, size_t size,
        struct nsh_nft_judgement *ret)
{
    struct nsh_nft_judge *j = userdata;
    uint32_t length = 0;
    int r = key_length(j, set, &length);

    ret->matches = NSH_MAYBE;
    if (r < 0 || length == 0 || length > size)
        return r;
    r = ask_element(j, set, key, length, map ? ret : NULL);
    if (r == 0)
        r = ask_element(j, set, NULL, 0, map ? ret : NULL);
    if (r >= 0)
        ret->matches = r > 0 ? NSH_YES : NSH_NO;
    return r == -ENOMEM || r == -ETIMEDOUT ? r : 0; /* else it can't tell: it may */
}

/* ---- judging ---- */

static int judge_chain(
        struct nsh_nft_judge *j, const char *name, unsigned depth, enum nsh_nft_verdict *ret);

static bool is_out_of_work(struct nsh_nft_judge *j)
{
    if (j->work->steps > 0)
        j->work->steps--;
    j->cut = j->cut || j->work->steps == 0;
    return j->work->steps == 0;
}

/* A rule that may match is only believed to accept. CONTINUE: on to the next. */
static int judge_rule(struct nsh_nft_judge *j, const struct nftnl_rule *rule, unsigned depth,
        enum nsh_nft_verdict *ret)
{
    struct nsh_nft_judgement judgement;
    int r = nsh_nft_judge(rule, j->family, j->path, find_element, j, &judgement);
    bool sure = judgement.matches == NSH_YES, leaves = judgement.verdict == NSH_NFT_GOTO;

    *ret = NSH_NFT_CONTINUE;
    if (r < 0 || judgement.matches == NSH_NO)
        return r;
    if ((judgement.verdict == NSH_NFT_JUMP || leaves) && j->guest != NSH_NFT_GUEST_STANDS &&
            strcmp(judgement.chain, NSH_CHAIN_GUEST) == 0) {
        j->met = j->met || sure;
        *ret = sure && j->guest == NSH_NFT_GUEST_ACCEPTS ? NSH_NFT_ACCEPT : NSH_NFT_CONTINUE;
        return 0;
    }
    if (sure && judgement.verdict == NSH_NFT_DROP)
        j->dropper = rule;
    if (judgement.verdict == NSH_NFT_JUMP || leaves) {
        r = judge_chain(j, judgement.chain, depth + 1, &judgement.verdict);
        if (r == 0 && judgement.verdict == NSH_NFT_CONTINUE && leaves)
            judgement.verdict = NSH_NFT_RETURN;
    }
    if (sure || judgement.verdict == NSH_NFT_ACCEPT)
        *ret = judgement.verdict;
    return r;
}

/* ACCEPT, DROP, or CONTINUE behind what led to it. */
static int judge_chain(
        struct nsh_nft_judge *j, const char *name, unsigned depth, enum nsh_nft_verdict *ret)
{
    int at = depth > DEPTH ? -E2BIG : find_chain(j, name), r = 0;
    bool stopped = false;

    *ret = at == -E2BIG ? NSH_NFT_ACCEPT : NSH_NFT_CONTINUE;
    j->cut = j->cut || at == -E2BIG;
    if (at < 0)
        return at == -E2BIG ? 0 : at;
    for (size_t i = 0; r == 0 && *ret == NSH_NFT_CONTINUE && i < j->chains[at].n && !stopped; i++) {
        stopped = is_out_of_work(j);
        r = stopped ? 0 : judge_rule(j, j->chains[at].rules[i], depth, ret);
    }
    if (*ret == NSH_NFT_CONTINUE && (j->chains[at].cut || stopped)) {
        *ret = NSH_NFT_ACCEPT;
        j->ended = true;
    }
    if (*ret == NSH_NFT_RETURN)
        *ret = NSH_NFT_CONTINUE;
    return r;
}

int nsh_nft_judge_path(struct nsh_nft_judge *j, int family, const struct nsh_forward_path *path,
        enum nsh_nft_guest_view guest)
{
    enum nsh_nft_verdict v = NSH_NFT_CONTINUE;
    int r;

    j->family = family;
    j->path = path;
    j->guest = guest;
    j->met = j->ended = false;
    j->dropper = NULL;
    r = judge_chain(j, j->base->name, 0, &v);
    if (r < 0)
        return r;
    if (v != NSH_NFT_DROP)
        j->dropper = NULL;
    /* A jump that stands was needed once; that it is so no more nobody knows. */
    return v == NSH_NFT_DROP || (v == NSH_NFT_CONTINUE && j->base->drops) || (j->ended && j->met);
}

const struct nftnl_rule *nsh_nft_judge_dropper(const struct nsh_nft_judge *j)
{
    return j->dropper;
}

int nsh_nft_judge_rule(struct nsh_nft_judge *j, int family, const struct nsh_forward_path *path,
        const struct nftnl_rule *rule)
{
    enum nsh_nft_verdict v = NSH_NFT_CONTINUE;
    int r;

    j->family = family;
    j->path = path;
    j->guest = NSH_NFT_GUEST_ABSENT;
    r = judge_rule(j, rule, 0, &v);
    return r < 0 ? r : v == NSH_NFT_DROP;
}

int nsh_nft_judge_rules(
        struct nsh_nft_judge *j, const char *chain, struct nftnl_rule *const **ret, size_t *ret_n)
{
    int at = find_chain(j, chain);

    if (at < 0)
        return at;
    *ret = j->chains[at].rules;
    *ret_n = j->chains[at].n;
    return j->chains[at].cut;
}

/* ---- base chains ---- */

void nsh_nft_bases_done(struct nsh_nft_bases *b)
{
    free(b->items);
    free(b->guests);
    *b = (struct nsh_nft_bases){0};
}

static const char *text_of(const struct nftnl_chain *c, uint16_t attr)
{
    const char *s = nftnl_chain_is_set(c, attr) ? nftnl_chain_get_str(c, attr) : NULL;

    return s ? s : "";
}

static int push(struct nsh_nft_base **array, size_t *n, const struct nsh_nft_base *one)
{
    struct nsh_nft_base *items = reallocarray(*array, *n + 1, sizeof(*items));

    if (!items)
        return -ENOMEM;
    *array = items;
    items[(*n)++] = *one;
    return 0;
}

static int take_chain(const struct nlmsghdr *answer, void *userdata)
{
    struct nsh_nft_bases *b = userdata;
    NSH_CLEANUP(nftnl_chain_freep) struct nftnl_chain *c = nftnl_chain_alloc();
    struct nsh_nft_base one = {0};

    if (!c)
        return -ENOMEM;
    if (nftnl_chain_nlmsg_parse(answer, c) < 0)
        return 0;
    one.family = nftnl_chain_get_u32(c, NFTNL_CHAIN_FAMILY);
    if (strcmp(text_of(c, NFTNL_CHAIN_TABLE), NSH_NFT_TABLE) == 0 && one.family != NFPROTO_INET)
        return 0;
    snprintf(one.table, sizeof one.table, "%s", text_of(c, NFTNL_CHAIN_TABLE));
    snprintf(one.name, sizeof one.name, "%s", text_of(c, NFTNL_CHAIN_NAME));
    if (!nftnl_chain_is_set(c, NFTNL_CHAIN_HOOKNUM))
        return strcmp(one.name, NSH_CHAIN_GUEST) == 0 ? push(&b->guests, &b->n_guests, &one) : 0;
    one.drops = nftnl_chain_get_u32(c, NFTNL_CHAIN_POLICY) == NF_DROP;
    if (nftnl_chain_get_u32(c, NFTNL_CHAIN_HOOKNUM) != NF_INET_FORWARD ||
            (!one.drops && nftnl_chain_get_u32(c, NFTNL_CHAIN_USE) == 0))
        return 0;
    return push(&b->items, &b->n, &one);
}

struct table_flags {
    uint32_t flags, owner;
};

static int take_flags(const struct nlmsghdr *answer, void *userdata)
{
    struct table_flags *f = userdata;
    const struct nlattr *attr;

    mnl_attr_for_each(attr, answer, sizeof(struct nfgenmsg))
    {
        if (mnl_attr_validate(attr, MNL_TYPE_U32) < 0)
            continue;
        if (mnl_attr_get_type(attr) == NFTA_TABLE_FLAGS)
            f->flags = ntohl(mnl_attr_get_u32(attr));
        if (mnl_attr_get_type(attr) == NFTA_TABLE_OWNER)
            f->owner = ntohl(mnl_attr_get_u32(attr));
    }
    return 0;
}

/* A table that is switched off drops nothing; one that has an owner is changed by nobody else. */
static int look_at_table(struct nsh_nft_channel *channel, struct nsh_nft_base *b)
{
    struct table_flags f = {0};
    char buf[512];
    struct nlmsghdr *m = nsh_nft_request(
            channel, buf, (int)b->family, NFT_MSG_GETTABLE, NLM_F_REQUEST | NLM_F_ACK);
    int r;

    mnl_attr_put_strz(m, NFTA_TABLE_NAME, b->table);
    r = nsh_nft_ask(channel, m, take_flags, &f);
    b->dormant = f.flags & NFT_TABLE_F_DORMANT;
    b->owner = f.flags & NFT_TABLE_F_OWNER ? f.owner : 0;
    return r;
}

int nsh_nft_bases_take(struct nsh_nft_channel *channel, struct nsh_nft_bases *ret)
{
    static const int families[] = {NFPROTO_IPV4, NFPROTO_IPV6, NFPROTO_INET};
    struct nsh_nft_bases b = {0};
    char buf[256];
    int r = 0;

    for (size_t i = 0; r == 0 && i < NSH_ARRAY_SIZE(families); i++) {
        r = nsh_nft_ask(channel,
                nsh_nft_request(channel, buf, families[i], NFT_MSG_GETCHAIN, NLM_F_DUMP),
                take_chain, &b);
        if (r == -EOPNOTSUPP || r == -EAFNOSUPPORT)
            r = 0;
    }
    for (size_t i = 0; r == 0 && i < b.n; i++)
        r = look_at_table(channel, &b.items[i]);
    if (r < 0)
        nsh_nft_bases_done(&b);
    else
        *ret = b;
    return r;
}

/* ---- words ---- */

static const char *family_name(const struct nsh_nft_base *b)
{
    return b->family == NFPROTO_INET ? "inet" : b->family == NFPROTO_IPV6 ? "ip6" : "ip";
}

const char *nsh_nft_base_format(const struct nsh_nft_base *b, char *buf, size_t size)
{
    snprintf(buf, size, "nftables chain %s %s %s", family_name(b), b->table, b->name);
    return buf;
}

bool nsh_nft_base_is_iptables(const struct nsh_nft_base *b)
{
    return b->family != NFPROTO_INET && strcmp(b->table, "filter") == 0 &&
           strcmp(b->name, "FORWARD") == 0;
}

bool nsh_nft_base_is_firewalld(const struct nsh_nft_base *b)
{
    return strcmp(b->table, "firewalld") == 0;
}

void nsh_nft_base_explain(const struct nsh_nft_base *b, const struct nsh_forward_path *paths,
        size_t n, struct nsh_forward_drop *ret)
{
    enum nsh_forward_tool tool = NSH_FORWARD_NFT;
    char where[NSH_GUEST_WHERE];

    /* To be read: as much of it as is enough for that. The commands have all of it. */
    snprintf(ret->what, sizeof ret->what, "nftables chain %s %.60s %.60s", family_name(b), b->table,
            b->name);
    snprintf(where, sizeof where, "%s %s %s", family_name(b), b->table, b->name);
    if (nsh_nft_base_is_firewalld(b)) {
        tool = NSH_FORWARD_FIREWALLD;
    } else if (b->owner != 0) {
        tool = NSH_FORWARD_OWNER;
        snprintf(where, sizeof where, "the program that owns the table, with the port id %u,",
                b->owner);
    } else if (nsh_nft_base_is_iptables(b)) {
        /* What iptables writes it also has to read. */
        tool = NSH_FORWARD_IPTABLES;
        snprintf(where, sizeof where, "%s -I FORWARD",
                b->family == NFPROTO_IPV6 ? "ip6tables-nft" : "iptables-nft");
    } else if (!nsh_forward_is_plain(b->table) || !nsh_forward_is_plain(b->name)) {
        tool = NSH_FORWARD_BY_HAND;
    }
    nsh_forward_fix(tool, where, paths, n, ret->fix, sizeof ret->fix);
}
