/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Commits of the fake firewall. One works on a copy, so that an error leaves the table as it was;
 * and it is strict where a plan could do harm: a step that would delete a rule which is no jump to
 * the chain it names is refused.
 */
#include "firewall-fake-table.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int add_rules(const struct nsh_firewall_fake *f, const struct fake_table *t,
        struct fake_chain *c, size_t at, const struct nsh_packet_rule *rules, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct fake_rule rule;
        int rc;

        fake_rule_set(&rule, &rules[i]);
        rc = fake_rule_check(f, t, &rule);
        if (rc == 0)
            rc = fake_rule_insert(c, at + i, &rule);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int step_chain_add(
        const struct nsh_firewall_fake *f, struct fake_table *t, const struct nsh_firewall_op *op)
{
    int rc = fake_chain_add(t, op->chain, false);

    if (rc < 0)
        return rc;
    return add_rules(f, t, fake_table_find(t, op->chain), 0, op->want->rules, op->want->n_rules);
}

static int step_chain_change(
        const struct nsh_firewall_fake *f, struct fake_table *t, const struct nsh_firewall_op *op)
{
    struct fake_chain *c = fake_table_find(t, op->chain);
    size_t keep = (size_t)op->keep_head + op->keep_tail;

    if (!c)
        return -ENOENT;
    if (c->n_rules != op->n_observed || keep > c->n_rules || keep > op->want->n_rules)
        return -EINVAL;
    for (size_t n = c->n_rules - keep; n > 0; n--)
        fake_rule_remove(c, op->keep_head);
    return add_rules(
            f, t, c, op->keep_head, &op->want->rules[op->keep_head], op->want->n_rules - keep);
}

static int step_chain_delete(
        const struct nsh_firewall_fake *f, struct fake_table *t, const struct nsh_firewall_op *op)
{
    struct fake_chain *c = fake_table_find(t, op->chain);
    int rc = fake_chain_remove(t, op->chain);

    (void)f;
    if (rc != -EMLINK)
        return rc;
    fake_chain_flush(c);
    return 0;
}

static int step_jump_add(
        const struct nsh_firewall_fake *f, struct fake_table *t, const struct nsh_firewall_op *op)
{
    struct fake_chain *c = fake_table_find(t, op->hook);
    struct nsh_packet_rule jump = {.action = NSH_PACKET_JUMP};

    if (!c || !c->builtin)
        return -ENOENT;
    memcpy(jump.target, op->chain, sizeof(jump.target));
    return add_rules(f, t, c, op->index == UINT32_MAX ? c->n_rules : op->index, &jump, 1);
}

static int step_jump_delete(
        const struct nsh_firewall_fake *f, struct fake_table *t, const struct nsh_firewall_op *op)
{
    struct fake_chain *c = fake_table_find(t, op->hook);
    const struct nsh_packet_rule *r;

    (void)f;
    if (!c)
        return -ENOENT;
    if (op->index >= c->n_rules)
        return -E2BIG;
    r = &c->rules[op->index].rule;
    if (r->action != NSH_PACKET_JUMP || strcmp(r->target, op->chain) != 0)
        return -EPERM;
    return fake_rule_remove(c, op->index);
}

static int run_steps(const struct nsh_firewall_fake *f, struct fake_table *t, int family,
        enum nsh_table table, const struct nsh_firewall_op *ops, size_t n, char *ret_why,
        size_t size)
{
    static int (*const steps[])(const struct nsh_firewall_fake *, struct fake_table *,
            const struct nsh_firewall_op *) = {
            [NSH_CHAIN_ADD] = step_chain_add,
            [NSH_CHAIN_CHANGE] = step_chain_change,
            [NSH_CHAIN_DELETE] = step_chain_delete,
            [NSH_JUMP_ADD] = step_jump_add,
            [NSH_JUMP_DELETE] = step_jump_delete,
    };

    for (size_t i = 0; i < n; i++) {
        int rc = -EINVAL;

        if (ops[i].family == family && ops[i].table == table && nsh_chain_is_ours(ops[i].chain))
            rc = steps[ops[i].verb](f, t, &ops[i]);
        if (rc < 0) {
            char why[64];

            snprintf(why, sizeof(why), "step %zu: %s", i, strerror(-rc));
            fake_say(ret_why, size, why);
            return rc;
        }
    }
    return 0;
}

/* What was asked for beforehand: 0, or how this commit ends. */
static int arranged(struct nsh_firewall_fake *f, char *ret_why, size_t size)
{
    if (f->races > 0) {
        f->races--;
        if (f->meanwhile)
            f->meanwhile(f->meanwhile_userdata);
        return NSH_FIREWALL_RACED;
    }
    return fake_fail(&f->commit_failure, ret_why, size);
}

/* What a test said of single chains. */
static int refused(const struct nsh_firewall_fake *f, enum nsh_table table,
        const struct nsh_firewall_op *ops, size_t n, char *ret_why, size_t size)
{
    for (size_t i = 0; i < n; i++)
        if (table == f->refused_table && strcmp(ops[i].chain, f->refused_chain) == 0 &&
                (ops[i].verb == NSH_CHAIN_ADD || ops[i].verb == NSH_CHAIN_CHANGE)) {
            fake_say(ret_why, size, f->refusal.why);
            return f->refusal.error;
        }
    return 0;
}

/* 1: the copy differs from the table, in counters too. */
static int has_changed(const struct fake_table *t, const struct fake_table *copy)
{
    nsh_autofree char *before = fake_table_save(t, true);
    nsh_autofree char *after = fake_table_save(copy, true);

    return before && after ? strcmp(before, after) != 0 : -ENOMEM;
}

int fake_commit(struct nsh_firewall *fw, int family, enum nsh_table table,
        const struct nsh_firewall_op *ops, size_t n, char *ret_why, size_t size)
{
    struct fake_handle *h = fake_handle_of(fw);
    struct fake_table *t = fake_table_of(h->f, family, table);
    NSH_CLEANUP(fake_table_clear) struct fake_table copy = {0};
    int rc;

    if (!h->open || h->mode != NSH_FIREWALL_WRITE)
        return -EBADF;
    if (n == 0)
        return NSH_FIREWALL_OK;
    rc = arranged(h->f, ret_why, size);
    if (rc == 0)
        rc = refused(h->f, table, ops, n, ret_why, size);
    if (rc == 0)
        rc = fake_differs(h, family, table);
    if (rc != 0)
        return rc < 0 ? rc : NSH_FIREWALL_RACED;
    rc = fake_table_copy(t, &copy);
    if (rc == 0)
        rc = run_steps(h->f, &copy, family, table, ops, n, ret_why, size);
    if (rc == 0)
        rc = has_changed(t, &copy);
    if (rc <= 0)
        return rc;
    fake_table_clear(t);
    *t = copy;
    copy = (struct fake_table){0};
    h->f->counts.commits++;
    h->f->counts.steps += n;
    (void)fake_remember(h, family, table); /* without memory for that it counts as changed */
    return NSH_FIREWALL_OK;
}
