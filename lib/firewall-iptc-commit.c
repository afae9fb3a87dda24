/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Operations on libiptc's copy of a table, which is then sent as one. Every step makes sure that
 * the copy is what the plan was made from (the chain's length, the rule under an index), since a
 * program without the lock may have written in between: what does not fit is NSH_FIREWALL_RACED,
 * never a guess. Only chains of ours and jumps to them are ever edited.
 */
#include "firewall-iptc-xt.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"

struct edit {
    const struct nsh_xt *xt;
    enum nsh_table table;
    struct xtc_handle *h;
    struct nsh_xt_names *names;
    bool changed;
    char *why;
    size_t size;
};

/* libiptc compares and copies chain names at their full size of 32. */
static void to_label(const char *name, xt_chainlabel ret)
{
    memset(ret, 0, sizeof(xt_chainlabel));
    memcpy(ret, name, strnlen(name, NSH_CHAIN_NAME - 1));
}

/* libiptc returns 0 and sets errno. `ok` is its result. */
static int edited(struct edit *e, int ok, const char *chain)
{
    int r = errno > 0 ? -errno : -EIO;

    if (ok) {
        e->changed = true;
        return NSH_FIREWALL_OK;
    }
    nsh_xt_words(e->xt, e->table, chain, NSH_XT_EDITING, r, e->why, e->size);
    return r;
}

static int refuse(struct edit *e, const struct nsh_firewall_op *op, const char *what)
{
    if (e->why && e->size > 0)
        snprintf(e->why, e->size, "%s table %s, chain %.28s: %s", e->xt->title,
                nsh_table_name(e->table), op->chain, what);
    return -EINVAL;
}

static uint32_t count_rules(struct edit *e, const char *chain)
{
    uint32_t n = 0;

    for (const void *r = e->xt->first_rule(chain, e->h); r; r = e->xt->next_rule(r, e->h))
        n++;
    return n;
}

/* `index` UINT32_MAX: appended. */
static int put_rule(struct edit *e, const struct nsh_firewall_op *op, const char *chain,
        const struct nsh_packet_rule *rule, uint32_t index)
{
    struct nsh_xt_entry entry;
    xt_chainlabel label;
    int ok, r;

    to_label(chain, label);
    r = nsh_xt_encode(e->xt, e->names, rule, &entry);
    if (r == -ENOENT)
        return refuse(e, op, "a rule with a set that does not exist");
    if (r < 0)
        return refuse(e, op, "a rule that iptables can't express");
    /* Without the chain libiptc would take its name for that of a target. */
    if (rule->action == NSH_PACKET_JUMP && !e->xt->is_chain(rule->target, e->h))
        return refuse(e, op, "a jump to a chain that does not exist");
    errno = 0;
    ok = index == UINT32_MAX ? e->xt->append(label, entry.bytes, e->h)
                             : e->xt->insert(label, entry.bytes, index, e->h);
    return edited(e, ok, chain);
}

static int chain_add(struct edit *e, const struct nsh_firewall_op *op)
{
    xt_chainlabel label;
    int r;

    if (!op->want)
        return refuse(e, op, "nothing to add");
    if (e->xt->is_chain(op->chain, e->h))
        return NSH_FIREWALL_RACED;
    to_label(op->chain, label);
    errno = 0;
    r = edited(e, e->xt->create_chain(label, e->h), op->chain);
    for (size_t i = 0; r == NSH_FIREWALL_OK && i < op->want->n_rules; i++)
        r = put_rule(e, op, op->chain, &op->want->rules[i], UINT32_MAX);
    return r;
}

/*
 * The rules between head and tail. libiptc finds a place by walking from the nearer end, so they
 * are put in from there: forwards before the tail, or backwards behind the head.
 */
static int put_middle(struct edit *e, const struct nsh_firewall_op *op, size_t middle)
{
    const struct nsh_packet_rule *rules = op->want->rules + op->keep_head;
    bool forwards = op->keep_tail <= op->keep_head;
    int r = NSH_FIREWALL_OK;

    for (size_t i = 0; r == NSH_FIREWALL_OK && i < middle; i++) {
        size_t which = forwards ? i : middle - 1 - i;
        uint32_t index = op->keep_head + (uint32_t)(forwards ? i : 0);

        r = put_rule(e, op, op->chain, &rules[which], op->keep_tail == 0 ? UINT32_MAX : index);
    }
    return r;
}

static int chain_change(struct edit *e, const struct nsh_firewall_op *op)
{
    uint64_t kept = (uint64_t)op->keep_head + op->keep_tail;
    xt_chainlabel label;
    int r = NSH_FIREWALL_OK;

    if (!op->want || kept > op->n_observed || kept > op->want->n_rules ||
            op->want->n_rules > UINT32_MAX)
        return refuse(e, op, "a change that keeps more rules than there are");
    if (!e->xt->is_chain(op->chain, e->h) || count_rules(e, op->chain) != op->n_observed)
        return NSH_FIREWALL_RACED;
    to_label(op->chain, label);
    for (uint64_t i = kept; r == NSH_FIREWALL_OK && i < op->n_observed; i++) {
        errno = 0;
        r = edited(e, e->xt->delete_rule(label, op->keep_head, e->h), op->chain);
    }
    if (r != NSH_FIREWALL_OK)
        return r;
    return put_middle(e, op, op->want->n_rules - (size_t)kept);
}

/* Deleted are chains at the end, when all that is to go has let go of them. */
static int chain_flush(struct edit *e, const struct nsh_firewall_op *op)
{
    xt_chainlabel label;

    if (!e->xt->is_chain(op->chain, e->h) || !e->xt->first_rule(op->chain, e->h))
        return NSH_FIREWALL_OK;
    to_label(op->chain, label);
    errno = 0;
    return edited(e, e->xt->flush(label, e->h), op->chain);
}

static int chain_delete(struct edit *e, const struct nsh_firewall_op *op)
{
    unsigned int references = 0;
    xt_chainlabel label;

    if (!e->xt->is_chain(op->chain, e->h))
        return NSH_FIREWALL_OK;
    to_label(op->chain, label);
    errno = 0;
    if (!e->xt->references(&references, label, e->h))
        return edited(e, 0, op->chain);
    if (references > 0)
        return NSH_FIREWALL_OK;
    errno = 0;
    return edited(e, e->xt->delete_chain(label, e->h), op->chain);
}

static int jump_add(struct edit *e, const struct nsh_firewall_op *op)
{
    struct nsh_packet_rule jump = {.action = NSH_PACKET_JUMP};
    int r;

    if (!e->xt->builtin(op->hook, e->h))
        return refuse(e, op, "a jump from a chain that is not built in");
    memcpy(jump.target, op->chain, sizeof jump.target);
    r = put_rule(e, op, op->hook, &jump, op->index);
    return r == -E2BIG ? NSH_FIREWALL_RACED : r; /* the chain became shorter than the index */
}

static int jump_delete(struct edit *e, const struct nsh_firewall_op *op)
{
    const void *rule;
    xt_chainlabel label;

    if (!e->xt->builtin(op->hook, e->h))
        return refuse(e, op, "a jump from a chain that is not built in");
    rule = e->xt->first_rule(op->hook, e->h);
    for (uint32_t i = 0; rule && i < op->index; i++)
        rule = e->xt->next_rule(rule, e->h);
    if (!rule || strcmp(e->xt->target(rule, e->h), op->chain) != 0)
        return NSH_FIREWALL_RACED;
    to_label(op->hook, label);
    errno = 0;
    return edited(e, e->xt->delete_rule(label, op->index, e->h), op->hook);
}

static int (*const verbs[])(struct edit *e, const struct nsh_firewall_op *op) = {
        [NSH_CHAIN_ADD] = chain_add,
        [NSH_CHAIN_CHANGE] = chain_change,
        [NSH_CHAIN_DELETE] = chain_flush,
        [NSH_JUMP_ADD] = jump_add,
        [NSH_JUMP_DELETE] = jump_delete,
};

static int check(struct edit *e, const struct nsh_firewall_op *op)
{
    if ((unsigned int)op->verb >= NSH_ARRAY_SIZE(verbs) || op->family != e->xt->family ||
            op->table != e->table)
        return refuse(e, op, "a step for another table");
    if (strnlen(op->chain, NSH_CHAIN_NAME) == NSH_CHAIN_NAME ||
            strnlen(op->hook, NSH_CHAIN_NAME) == NSH_CHAIN_NAME || !nsh_chain_is_ours(op->chain))
        return refuse(e, op, "not a chain of netshared");
    return NSH_FIREWALL_OK;
}

int nsh_xt_edit(const struct nsh_xt *xt, enum nsh_table table, struct xtc_handle *h,
        struct nsh_xt_names *names, const struct nsh_firewall_op *ops, size_t n, bool *ret_changed,
        char *ret_why, size_t size)
{
    struct edit e = {.xt = xt, .table = table, .h = h, .names = names, .size = size};
    int r = NSH_FIREWALL_OK;

    e.why = ret_why;
    for (size_t i = 0; r == NSH_FIREWALL_OK && i < n; i++) {
        r = check(&e, &ops[i]);
        if (r == NSH_FIREWALL_OK)
            r = verbs[ops[i].verb](&e, &ops[i]);
    }
    for (size_t i = 0; r == NSH_FIREWALL_OK && i < n; i++)
        if (ops[i].verb == NSH_CHAIN_DELETE)
            r = chain_delete(&e, &ops[i]);
    if (r == NSH_FIREWALL_OK)
        *ret_changed = e.changed;
    return r;
}
