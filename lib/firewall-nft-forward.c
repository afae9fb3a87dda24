/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether base chains of others drop what is forwarded. Each one at the hook has its say, whatever
 * the others accept, so each is gone through by itself, with the chains it leads to. Our own jump
 * in one is looked through, to see what would be without it, taken for the accept it leads to, or
 * followed as any other.
 */
#include "firewall-nft.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The kernel's own limit of jumps, and what a look is worth: more is taken for an accept. */
#define DEPTH 16
#define CHAINS_MAX 256

/* A chain that has been read, or `cut`, the first part of it. */
struct chain {
    char *name;
    struct nftnl_rule **rules;
    size_t n, max;
    bool cut;
    bool unknown;      /* among them is one that says nothing to us, */
    size_t unknown_at; /* the first of which stands before this one */
    size_t *left;      /* rules that may be read yet */
};

struct nsh_nft_judge {
    struct nsh_nft_channel channel; /* for these rules alone */
    struct nsh_nft_work *work;
    bool cut;  /* there is more than that */
    void *buf; /* of a request */
    const struct nsh_nft_base *base;
    int family;
    const struct nsh_forward_path *path;
    enum nsh_nft_guest_view guest; /* what our jump is taken for */
    bool behind_bans;
    enum nsh_mood mood;
    bool met, ended;                  /* by the path: our jump; the end of what was looked at */
    const struct nftnl_rule *dropper; /* the last that dropped it for certain, or in doubt */
    const struct nftnl_rule *effects[NSH_EFFECT_COUNT]; /* the first that may have one */
    struct chain *chains;
    size_t n_chains;
    struct nsh_nft_finder finder;
    enum nsh_nft_ban *bans; /* NULL: they have not been looked at */
    size_t n_bans;
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
    nsh_nft_finder_done(&j->finder);
    nsh_nft_channel_done(&j->channel);
    free(j->chains);
    free(j->bans);
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
    j->finder = (struct nsh_nft_finder){
            .channel = &j->channel, .base = base, .work = work, .buf = j->buf};
    *ret = NSH_TAKE_PTR(j);
    return 0;
}

bool nsh_nft_judge_is_cut(const struct nsh_nft_judge *j)
{
    return j->cut || j->finder.cut;
}

/* ---- reading ---- */

static int take_rule(const struct nlmsghdr *answer, void *userdata)
{
    struct chain *c = userdata;
    NSH_CLEANUP(nftnl_rule_freep) struct nftnl_rule *rule = NULL;

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
    if (!rule || c->n == c->max)
        return -ENOMEM;
    if (nsh_nft_parse_rule(answer, rule) < 0) {
        /* Of a newer nftables: nothing is known of it but that it is there. */
        c->unknown_at = c->unknown ? c->unknown_at : c->n;
        c->unknown = true;
        return 0;
    }
    c->rules[c->n++] = NSH_TAKE_PTR(rule);
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

/* Whether what a rule does, which may match or not, is taken to be so. */
static bool is_believed(const struct nsh_nft_judge *j, bool sure, enum nsh_nft_verdict v)
{
    return sure || v == (j->mood == NSH_MOOD_DOUBTS ? NSH_NFT_DROP : NSH_NFT_ACCEPT);
}

/* What can't be known of it is the worst. */
static void note(
        struct nsh_nft_judge *j, const struct nftnl_rule *rule, struct nsh_nft_judgement *judgement)
{
    if (j->mood == NSH_MOOD_DOUBTS && judgement->any)
        judgement->verdict = NSH_NFT_DROP;
    if (judgement->verdict == NSH_NFT_DROP &&
            is_believed(j, judgement->matches == NSH_YES, NSH_NFT_DROP))
        j->dropper = rule;
    for (size_t i = 0; i < NSH_EFFECT_COUNT; i++)
        if (judgement->effects & NSH_EFFECT(i) && !j->effects[i])
            j->effects[i] = rule;
}

/*
 * CONTINUE: on to the next. `ret_returns`: it may return, which makes of what comes then the
 * better, or the worse.
 */
static int judge_rule(struct nsh_nft_judge *j, const struct nftnl_rule *rule, unsigned depth,
        enum nsh_nft_verdict *ret, bool *ret_returns)
{
    struct nsh_nft_judgement judgement;
    int r = nsh_nft_judge(rule, j->family, j->path, nsh_nft_find_element, &j->finder, &judgement);
    bool sure = judgement.matches == NSH_YES && !judgement.any;
    bool leaves = judgement.verdict == NSH_NFT_GOTO;

    *ret = NSH_NFT_CONTINUE;
    j->ended = j->ended || j->finder.cut;
    if (r < 0 || judgement.matches == NSH_NO)
        return r;
    if ((judgement.verdict == NSH_NFT_JUMP || leaves) && j->guest != NSH_NFT_GUEST_STANDS &&
            strcmp(judgement.chain, NSH_CHAIN_GUEST) == 0) {
        j->met = j->met || sure;
        *ret = sure && j->guest == NSH_NFT_GUEST_ACCEPTS ? NSH_NFT_ACCEPT : NSH_NFT_CONTINUE;
        return 0;
    }
    note(j, rule, &judgement);
    if (judgement.verdict == NSH_NFT_JUMP || leaves) {
        r = judge_chain(j, judgement.chain, depth + 1, &judgement.verdict);
        if (r == 0 && judgement.verdict == NSH_NFT_CONTINUE && leaves)
            judgement.verdict = NSH_NFT_RETURN;
    }
    if (is_believed(j, sure, judgement.verdict))
        *ret = judgement.verdict;
    else if (judgement.verdict == NSH_NFT_RETURN)
        *ret_returns = true;
    return r;
}

static enum nsh_nft_verdict with_return(
        const struct nsh_nft_judge *j, bool returns, enum nsh_nft_verdict rest)
{
    enum nsh_nft_verdict other = j->mood == NSH_MOOD_DOUBTS ? NSH_NFT_ACCEPT : NSH_NFT_DROP;

    return returns && j->mood != NSH_MOOD_BELIEVES && rest == other ? NSH_NFT_CONTINUE : rest;
}

/* What nothing is known of may drop all: who doubts does not ask what comes behind it. */
static bool is_doubted(const struct nsh_nft_judge *j, const struct chain *c)
{
    return c->unknown && j->mood == NSH_MOOD_DOUBTS;
}

/* ACCEPT, DROP, or CONTINUE behind what led to it. */
static int judge_chain(
        struct nsh_nft_judge *j, const char *name, unsigned depth, enum nsh_nft_verdict *ret)
{
    int at = depth > DEPTH ? -E2BIG : find_chain(j, name), r = 0;
    enum nsh_nft_verdict unread = j->mood == NSH_MOOD_DOUBTS ? NSH_NFT_DROP : NSH_NFT_ACCEPT;
    bool stopped = false, returns = false, doubted;
    size_t n;

    *ret = at == -E2BIG ? unread : NSH_NFT_CONTINUE;
    j->cut = j->cut || at == -E2BIG;
    if (at < 0)
        return at == -E2BIG ? 0 : at;
    doubted = is_doubted(j, &j->chains[at]);
    n = doubted ? j->chains[at].unknown_at : j->chains[at].n;
    for (size_t i = 0; r == 0 && *ret == NSH_NFT_CONTINUE && i < n && !stopped; i++) {
        if (depth == 0 && j->behind_bans && i < j->n_bans && j->bans[i] == NSH_NFT_NAMED_BAN)
            continue;
        stopped = is_out_of_work(j);
        r = stopped ? 0 : judge_rule(j, j->chains[at].rules[i], depth, ret, &returns);
    }
    if (*ret == NSH_NFT_CONTINUE && (j->chains[at].cut || doubted || stopped)) {
        *ret = unread;
        j->ended = true;
    }
    *ret = with_return(j, returns, *ret);
    if (*ret == NSH_NFT_RETURN)
        *ret = NSH_NFT_CONTINUE;
    return r;
}

int nsh_nft_judge_bans(struct nsh_nft_judge *j, const enum nsh_nft_ban **ret, size_t *ret_n)
{
    size_t n, left = NSH_NFT_WORK.steps;
    struct nftnl_rule *const *rules;
    int r = nsh_nft_judge_rules(j, j->base->name, &rules, &n); /* among those that were read */

    if (r >= 0 && !j->bans) {
        j->bans = calloc(n + 1, sizeof(*j->bans));
        if (!j->bans)
            return -ENOMEM;
        while (j->n_bans < n) {
            enum nsh_nft_ban kind = nsh_nft_ban_of(j, rules[j->n_bans], &left);

            if (kind == NSH_NFT_NO_BAN)
                break;
            j->bans[j->n_bans++] = kind;
        }
    }
    *ret = j->bans;
    *ret_n = j->n_bans;
    return r < 0 ? r : 0;
}

int nsh_nft_judge_path(struct nsh_nft_judge *j, int family, const struct nsh_forward_path *path,
        enum nsh_nft_guest_view guest, bool behind_bans)
{
    enum nsh_nft_verdict v = NSH_NFT_CONTINUE;
    const enum nsh_nft_ban *bans;
    size_t n;
    int r = behind_bans ? nsh_nft_judge_bans(j, &bans, &n) : 0;

    j->family = family;
    j->path = path;
    j->guest = guest;
    j->behind_bans = behind_bans;
    j->met = j->ended = false;
    j->dropper = NULL;
    j->cut = nsh_nft_judge_is_cut(j);
    j->finder.cut = false;
    if (r == 0)
        r = judge_chain(j, j->base->name, 0, &v);
    if (r < 0)
        return r;
    if (v != NSH_NFT_DROP)
        j->dropper = NULL;
    /* A jump that stands was needed once; that it is so no more nobody knows. */
    return v == NSH_NFT_DROP || (v == NSH_NFT_CONTINUE && j->base->drops) ||
           (j->ended && j->met && guest != NSH_NFT_GUEST_ACCEPTS);
}

bool nsh_nft_judge_met(const struct nsh_nft_judge *j)
{
    return j->met;
}

const struct nftnl_rule *nsh_nft_judge_dropper(const struct nsh_nft_judge *j)
{
    return j->dropper;
}

void nsh_nft_judge_set_mood(struct nsh_nft_judge *j, enum nsh_mood mood)
{
    j->mood = mood;
}

const struct nftnl_rule *nsh_nft_judge_effect(const struct nsh_nft_judge *j, enum nsh_effect effect)
{
    return j->effects[effect];
}

int nsh_nft_judge_rule(struct nsh_nft_judge *j, int family, const struct nsh_forward_path *path,
        const struct nftnl_rule *rule)
{
    enum nsh_nft_verdict v = NSH_NFT_CONTINUE;
    bool returns = false;
    int r;

    j->family = family;
    j->path = path;
    j->guest = NSH_NFT_GUEST_ABSENT;
    j->met = false;
    r = judge_rule(j, rule, 0, &v, &returns);
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
