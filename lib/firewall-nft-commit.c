/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From operations to the messages of one transaction. Each step is made on the look as well, so
 * that the next one finds what stands there then; a step that does not fit the look is
 * NSH_FIREWALL_RACED, never a guess.
 *
 * Rules are addressed by their handles. One that this same transaction puts in has none yet: it is
 * appended, put before a rule that has one, or addressed by a number of the transaction's own.
 *
 * The table and base chains come with the first that needs them and go with the last. Base chains
 * that somebody altered are taken away first of all and made anew (nsh_nft_look_good).
 */
#include "firewall-nft.h"

#include <errno.h>
#include <libnftnl/common.h>
#include <linux/netfilter.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>

struct edit {
    struct nsh_nft_look *look;
    enum nsh_table table;
    struct nsh_nft_batch *batch;
    char *why;
    size_t size;
};

static int refuse(struct edit *e, const char *chain, const char *what)
{
    if (e->why && e->size > 0)
        snprintf(e->why, e->size, "%s table %s, chain %.28s: %s", nsh_nft_title(e->look->family),
                nsh_table_name(e->table), chain, what);
    return -EINVAL;
}

/* ---- messages ---- */

static int put_table(struct edit *e)
{
    struct nlmsghdr *m;

    if (e->look->table)
        return 0;
    m = nsh_nft_batch_open(
            e->batch, NFT_MSG_NEWTABLE, e->look->family, NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL);
    if (!m)
        return -ENOMEM;
    mnl_attr_put_strz(m, NFTA_TABLE_NAME, NSH_NFT_TABLE);
    nsh_nft_batch_close(e->batch, m);
    e->look->table = true;
    return 0;
}

static int put_table_delete(struct edit *e)
{
    struct nlmsghdr *m =
            nsh_nft_batch_open(e->batch, NFT_MSG_DELTABLE, e->look->family, NLM_F_REQUEST);

    if (!m)
        return -ENOMEM;
    mnl_attr_put_strz(m, NFTA_TABLE_NAME, NSH_NFT_TABLE);
    nsh_nft_batch_close(e->batch, m);
    e->look->table = false;
    return 0;
}

static int put_chain(struct edit *e, const struct nsh_nft_chain *c)
{
    struct nlmsghdr *m = nsh_nft_batch_open(
            e->batch, NFT_MSG_NEWCHAIN, e->look->family, NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL);
    struct nlattr *hook;

    if (!m)
        return -ENOMEM;
    mnl_attr_put_strz(m, NFTA_CHAIN_TABLE, NSH_NFT_TABLE);
    mnl_attr_put_strz(m, NFTA_CHAIN_NAME, c->name);
    if (c->hook) {
        int32_t priority = c->hook->priorities[c->place];

        hook = mnl_attr_nest_start(m, NFTA_CHAIN_HOOK);
        mnl_attr_put_u32(m, NFTA_HOOK_HOOKNUM, htonl(c->hook->number));
        mnl_attr_put_u32(m, NFTA_HOOK_PRIORITY, htonl((uint32_t)priority));
        mnl_attr_nest_end(m, hook);
        mnl_attr_put_u32(m, NFTA_CHAIN_POLICY, htonl(NF_ACCEPT));
        mnl_attr_put_strz(m, NFTA_CHAIN_TYPE, c->hook->type);
    }
    nsh_nft_batch_close(e->batch, m);
    return 0;
}

static int put_chain_delete(struct edit *e, struct nsh_nft_chain *c)
{
    struct nlmsghdr *m;

    if (c->thing != NSH_NFT_CHAIN) {
        c->gone = true;
        return nsh_nft_put_thing_delete(e->batch, e->look->family, c);
    }
    m = nsh_nft_batch_open(e->batch, NFT_MSG_DELCHAIN, e->look->family, NLM_F_REQUEST);
    if (!m)
        return -ENOMEM;
    mnl_attr_put_strz(m, NFTA_CHAIN_TABLE, NSH_NFT_TABLE);
    mnl_attr_put_strz(m, NFTA_CHAIN_NAME, c->name);
    nsh_nft_batch_close(e->batch, m);
    c->gone = true;
    return 0;
}

/* `handle` 0: all rules of the chain. */
static int put_rule_delete(struct edit *e, const struct nsh_nft_chain *c, uint64_t handle)
{
    struct nlmsghdr *m =
            nsh_nft_batch_open(e->batch, NFT_MSG_DELRULE, e->look->family, NLM_F_REQUEST);

    if (!m)
        return -ENOMEM;
    mnl_attr_put_strz(m, NFTA_RULE_TABLE, NSH_NFT_TABLE);
    mnl_attr_put_strz(m, NFTA_RULE_CHAIN, c->name);
    if (handle)
        mnl_attr_put_u64(m, NFTA_RULE_HANDLE, htobe64(handle));
    nsh_nft_batch_close(e->batch, m);
    return 0;
}

/* Where a rule goes that is to stand at `at`. Flags of the message. */
static uint16_t place(const struct nsh_nft_chain *c, size_t at, struct nftnl_rule *rule)
{
    const struct nsh_nft_rule *r = c->rules;

    if (at == c->n_rules)
        return NLM_F_APPEND;
    if (at == 0)
        return 0;
    if (r[at].handle)
        nftnl_rule_set_u64(rule, NFTNL_RULE_POSITION, r[at].handle);
    else if (r[at - 1].handle)
        nftnl_rule_set_u64(rule, NFTNL_RULE_POSITION, r[at - 1].handle);
    else
        nftnl_rule_set_u32(rule, NFTNL_RULE_POSITION_ID, r[at].id);
    return !r[at].handle && r[at - 1].handle ? NLM_F_APPEND : 0;
}

static int put_rule(struct edit *e, struct nsh_nft_chain *c, size_t at,
        const struct nsh_packet_rule *value, bool source, const char *comment)
{
    NSH_CLEANUP(nftnl_rule_freep) struct nftnl_rule *rule = nftnl_rule_alloc();
    struct nsh_nft_chain *target = NULL;
    struct nsh_nft_rule *entry;
    struct nlmsghdr *m;
    char name[NSH_NFT_NAME] = "";
    uint16_t flags;
    int r;

    if (!rule)
        return -ENOMEM;
    r = nsh_nft_encode(e->look->family, e->table, value, source, rule);
    if (r == -EINVAL)
        return refuse(e, c->name, "a rule that nftables can't express");
    if (r == 0 && comment)
        r = nsh_nft_set_comment(rule, comment);
    if (r < 0)
        return r;
    if (value->action == NSH_PACKET_JUMP) {
        nsh_nft_chain_name(e->table, value->target, name);
        target = nsh_nft_look_find(e->look, name);
        if (!target)
            return refuse(e, value->target, "a jump to a chain that does not exist");
        target->references++;
    }
    flags = place(c, at, rule);
    nftnl_rule_set_str(rule, NFTNL_RULE_TABLE, NSH_NFT_TABLE);
    nftnl_rule_set_str(rule, NFTNL_RULE_CHAIN, c->name);
    entry = nsh_nft_chain_insert(c, at);
    m = nsh_nft_batch_open(e->batch, NFT_MSG_NEWRULE, e->look->family,
            (uint16_t)(NLM_F_REQUEST | NLM_F_CREATE | flags));
    if (!entry || !m)
        return -ENOMEM;
    entry->id = (uint32_t)e->batch->n_messages;
    memcpy(entry->refers, name, sizeof entry->refers);
    nftnl_rule_set_u32(rule, NFTNL_RULE_ID, entry->id);
    nftnl_rule_nlmsg_build_payload(m, rule);
    nsh_nft_batch_close(e->batch, m);
    return 0;
}

/* ---- chains ---- */

static void unrefer(struct edit *e, const struct nsh_nft_rule *rule)
{
    struct nsh_nft_chain *target =
            rule->refers[0] ? nsh_nft_look_find(e->look, rule->refers) : NULL;

    if (target && target->references > 0)
        target->references--;
}

static int flush(struct edit *e, struct nsh_nft_chain *c)
{
    if (c->n_rules == 0)
        return 0;
    for (size_t i = 0; i < c->n_rules; i++)
        unrefer(e, &c->rules[i]);
    c->n_rules = 0;
    return put_rule_delete(e, c, 0);
}

static int remove_rule(struct edit *e, struct nsh_nft_chain *c, size_t at)
{
    int r;

    if (c->rules[at].handle == 0)
        return refuse(e, c->name, "a rule that is put in and taken out at once");
    r = put_rule_delete(e, c, c->rules[at].handle);
    unrefer(e, &c->rules[at]);
    nsh_nft_chain_remove(c, at);
    return r;
}

static struct nsh_nft_chain *find_ours(struct edit *e, const char *chain)
{
    char name[NSH_NFT_NAME];

    for (size_t i = 0; nsh_chain_is_stray(chain) && i < e->look->n_chains; i++)
        if (strcmp(e->look->chains[i]->contract, chain) == 0)
            return e->look->chains[i];
    nsh_nft_chain_name(e->table, chain, name);
    return nsh_nft_look_find(e->look, name);
}

static int add_chain(struct edit *e, const char *name, struct nsh_nft_chain **ret)
{
    int r = put_table(e);
    struct nsh_nft_chain *c = r == 0 ? nsh_nft_look_add(e->look, name) : NULL;

    if (r < 0)
        return r;
    if (!c)
        return -ENOMEM;
    *ret = c;
    return put_chain(e, c);
}

/* A NETMAP is of the source where packets leave. */
static bool is_source(const struct nsh_chain *want)
{
    return !want->hook || strcmp(want->hook, "POSTROUTING") == 0 ||
           strcmp(want->hook, "INPUT") == 0;
}

static int put_rules(struct edit *e, struct nsh_nft_chain *c, const struct nsh_chain *want,
        size_t first, size_t n)
{
    int r = 0;

    for (size_t i = first; r == 0 && i < first + n; i++)
        r = put_rule(e, c, i, &want->rules[i], is_source(want), NULL);
    return r;
}

static int chain_add(struct edit *e, const struct nsh_firewall_op *op)
{
    char name[NSH_NFT_NAME];
    struct nsh_nft_chain *c;
    int r;

    if (!op->want)
        return refuse(e, op->chain, "nothing to add");
    if (find_ours(e, op->chain))
        return NSH_FIREWALL_RACED;
    nsh_nft_chain_name(e->table, op->chain, name);
    r = add_chain(e, name, &c);
    return r < 0 ? r : put_rules(e, c, op->want, 0, op->want->n_rules);
}

static int chain_change(struct edit *e, const struct nsh_firewall_op *op)
{
    uint64_t kept = (uint64_t)op->keep_head + op->keep_tail;
    struct nsh_nft_chain *c = find_ours(e, op->chain);
    int r = 0;

    if (!op->want || kept > op->n_observed || kept > op->want->n_rules ||
            op->want->n_rules > UINT32_MAX)
        return refuse(e, op->chain, "a change that keeps more rules than there are");
    if (!c || c->n_rules != op->n_observed)
        return NSH_FIREWALL_RACED;
    if (kept == 0)
        r = flush(e, c);
    while (r == 0 && c->n_rules > kept)
        r = remove_rule(e, c, op->keep_head);
    if (r != 0)
        return r;
    return put_rules(e, c, op->want, op->keep_head, op->want->n_rules - (size_t)kept);
}

/* Deleted are chains at the end, when all that is to go has let go of them. */
static int chain_flush(struct edit *e, const struct nsh_firewall_op *op)
{
    struct nsh_nft_chain *c = find_ours(e, op->chain);

    return c ? flush(e, c) : 0;
}

/*
 * What else may refer to an object can't be counted: elements of a map that stays, or a rule that
 * was not understood. One refusal would undo the whole transaction.
 */
static bool may_be_held(const struct nsh_nft_look *l, const struct nsh_nft_chain *c)
{
    bool held = l->obscure;

    for (size_t i = 0; i < l->n_chains; i++)
        held = held || (l->chains[i]->thing == NSH_NFT_SET && !l->chains[i]->gone);
    return c->thing == NSH_NFT_OBJECT && held;
}

static int chain_delete(struct edit *e, const struct nsh_firewall_op *op)
{
    struct nsh_nft_chain *c = find_ours(e, op->chain);

    return c && c->references == 0 && !may_be_held(e->look, c) ? put_chain_delete(e, c) : 0;
}

/* ---- jumps ---- */

static size_t rules_in(const struct nsh_nft_chain *c)
{
    return c ? c->n_rules : 0;
}

static int jump_add(struct edit *e, const struct nsh_firewall_op *op)
{
    const struct nsh_nft_hook *hook = nsh_nft_hook_find(e->table, op->hook);
    struct nsh_packet_rule jump = {.action = NSH_PACKET_JUMP};
    struct nsh_nft_chain *bases[NSH_NFT_PLACES];
    size_t firsts, at = op->index;
    char comment[NSH_NFT_COMMENT];
    int where, r = 0;

    if (!hook)
        return refuse(e, op->hook, "a jump from a hook that the table does not have");
    nsh_nft_look_bases(e->look, hook, bases);
    firsts = rules_in(bases[0]);
    if (op->index == UINT32_MAX)
        at = firsts + rules_in(bases[1]);
    if (at > firsts + rules_in(bases[1]))
        return NSH_FIREWALL_RACED;
    where = at < firsts || (at == firsts && op->position == NSH_POSITION_FIRST) ? 0 : 1;
    if (!bases[where])
        r = add_chain(e, hook->chains[where], &bases[where]);
    memcpy(jump.target, op->chain, sizeof jump.target);
    nsh_nft_comment_make(op->kind, op->chain, comment, sizeof comment);
    return r < 0 ? r : put_rule(e, bases[where], where ? at - firsts : at, &jump, false, comment);
}

static int jump_delete(struct edit *e, const struct nsh_firewall_op *op)
{
    const struct nsh_nft_hook *hook = nsh_nft_hook_find(e->table, op->hook);
    struct nsh_nft_chain *bases[NSH_NFT_PLACES], *c;
    char name[NSH_NFT_NAME];
    size_t firsts, at = op->index;

    if (!hook)
        return refuse(e, op->hook, "a jump from a hook that the table does not have");
    nsh_nft_look_bases(e->look, hook, bases);
    firsts = rules_in(bases[0]);
    c = at < firsts ? bases[0] : bases[1];
    at -= at < firsts ? 0 : firsts;
    nsh_nft_chain_name(e->table, op->chain, name);
    if (at >= rules_in(c) || strcmp(c->rules[at].refers, name) != 0)
        return NSH_FIREWALL_RACED;
    return remove_rule(e, c, at);
}

/* ---- base chains and the table ---- */

static int remove_base(struct edit *e, struct nsh_nft_chain *c)
{
    int r = c ? flush(e, c) : 0;

    return c && r == 0 ? put_chain_delete(e, c) : r;
}

/* `altered`: those that are not as they must be; else those with nothing in them. */
static int remove_bases(struct edit *e, bool altered)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < nsh_nft_n_hooks; i++) {
        struct nsh_nft_chain *bases[NSH_NFT_PLACES];
        bool good;

        if (nsh_nft_hooks[i].table != e->table)
            continue;
        nsh_nft_look_bases(e->look, &nsh_nft_hooks[i], bases);
        good = nsh_nft_look_good(e->look, bases);
        for (int p = 0; r == 0 && p < NSH_NFT_PLACES; p++)
            if (bases[p] && (altered ? !good : bases[p]->n_rules == 0))
                r = remove_base(e, bases[p]);
    }
    return r;
}

static int remove_table(struct edit *e)
{
    for (size_t i = 0; i < e->look->n_chains; i++)
        if (!e->look->chains[i]->gone)
            return 0;
    return e->look->table && e->look->n_sets == 0 ? put_table_delete(e) : 0;
}

/* ---- all steps ---- */

static int (*const verbs[])(struct edit *e, const struct nsh_firewall_op *op) = {
        [NSH_CHAIN_ADD] = chain_add,
        [NSH_CHAIN_CHANGE] = chain_change,
        [NSH_CHAIN_DELETE] = chain_flush,
        [NSH_JUMP_ADD] = jump_add,
        [NSH_JUMP_DELETE] = jump_delete,
};

static int check(struct edit *e, const struct nsh_firewall_op *op)
{
    if ((unsigned int)op->verb >= NSH_ARRAY_SIZE(verbs) || op->family != e->look->family ||
            op->table != e->table)
        return refuse(e, op->chain, "a step for another table");
    if (strnlen(op->chain, NSH_CHAIN_NAME) == NSH_CHAIN_NAME ||
            strnlen(op->hook, NSH_CHAIN_NAME) == NSH_CHAIN_NAME || !nsh_chain_is_ours(op->chain))
        return refuse(e, op->chain, "not a chain of netshared");
    return NSH_FIREWALL_OK;
}

int nsh_nft_edit(struct nsh_nft_look *l, enum nsh_table table, const struct nsh_firewall_op *ops,
        size_t n, struct nsh_nft_batch *b, char *ret_why, size_t size)
{
    struct edit e = {.look = l, .table = table, .batch = b, .size = size};
    int r;

    e.why = ret_why;
    r = remove_bases(&e, true);
    for (size_t i = 0; r == NSH_FIREWALL_OK && i < n; i++) {
        b->step = (uint32_t)i;
        r = check(&e, &ops[i]);
        if (r == NSH_FIREWALL_OK)
            r = verbs[ops[i].verb](&e, &ops[i]);
    }
    for (size_t i = 0; r == NSH_FIREWALL_OK && i < n; i++) {
        b->step = (uint32_t)i;
        if (ops[i].verb == NSH_CHAIN_DELETE)
            r = chain_delete(&e, &ops[i]);
    }
    b->step = NSH_NFT_NO_STEP;
    if (r == NSH_FIREWALL_OK)
        r = remove_bases(&e, false);
    if (r == NSH_FIREWALL_OK)
        r = remove_table(&e);
    return r;
}
