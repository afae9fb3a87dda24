/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The contract itself, opened on fake tables. A commit works on a copy, so that an error leaves
 * the table as it was; and it is strict where a plan could do harm: a step that would delete a
 * rule which is no jump to the chain it names is refused.
 */
#include "firewall-fake.h"
#include "firewall-fake-table.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct handle {
    struct nsh_firewall fw; /* first: handed out */
    struct nsh_firewall_fake *f;
    bool open;
    enum nsh_firewall_mode mode;
    char *known[NSH_FAMILIES][NSH_TABLE_COUNT]; /* the table when last observed or committed */
};

static struct handle *of(struct nsh_firewall *fw)
{
    return (struct handle *)fw;
}

static struct fake_table *table_of(struct nsh_firewall_fake *f, int family, enum nsh_table table)
{
    return &f->tables[nsh_family_index(family)][table];
}

static void say(char *ret_why, size_t size, const char *why)
{
    if (ret_why && size > 0)
        snprintf(ret_why, size, "%s", why);
}

static int remember(struct handle *h, int family, enum nsh_table table)
{
    char **known = &h->known[nsh_family_index(family)][table];

    free(*known);
    *known = fake_table_save(table_of(h->f, family, table), false);
    return *known ? 0 : -ENOMEM;
}

/* 1: somebody wrote since it was remembered. */
static int differs(struct handle *h, int family, enum nsh_table table)
{
    const char *known = h->known[nsh_family_index(family)][table];
    nsh_autofree char *now = fake_table_save(table_of(h->f, family, table), false);

    if (!now)
        return -ENOMEM;
    return !known || strcmp(known, now) != 0;
}

/* ---- the session ---- */

static int fake_probe(
        struct nsh_firewall *fw, int family, enum nsh_table table, char *ret_why, size_t size)
{
    const struct nsh_firewall_fake *f = of(fw)->f;
    int i = nsh_family_index(family);

    (void)table;
    if (f->unsupported[i])
        say(ret_why, size, f->unsupported_why[i]);
    return f->unsupported[i];
}

static int fake_open(struct nsh_firewall *fw, enum nsh_firewall_mode mode)
{
    struct handle *h = of(fw);

    if (h->open)
        return -EALREADY;
    if (mode == NSH_FIREWALL_WRITE) {
        if (h->f->locked_by)
            return NSH_FIREWALL_BUSY;
        if (h->f->busy > 0) {
            h->f->busy--;
            return NSH_FIREWALL_BUSY;
        }
        h->f->locked_by = h;
    }
    h->open = true;
    h->mode = mode;
    h->f->counts.opens++;
    return NSH_FIREWALL_OK;
}

static void fake_close(struct nsh_firewall *fw)
{
    struct handle *h = of(fw);

    if (h->f->locked_by == h)
        h->f->locked_by = NULL;
    h->open = false;
}

/* ---- observing ---- */

static int observe_ours(const struct fake_chain *c, struct nsh_chain_seen *seen,
        nsh_chain_observed *observed, void *userdata)
{
    nsh_autofree struct nsh_packet_rule *rules = calloc(c->n_rules + 1, sizeof(*rules));

    if (!rules)
        return -ENOMEM;
    for (size_t n = 0; n < c->n_rules; n++)
        rules[n] = c->rules[n].rule;
    seen->rules = rules;
    seen->n_rules = c->n_rules;
    return observed(userdata, seen);
}

static bool is_plain(const struct nsh_packet_rule *r)
{
    return !r->from.family && !r->to.family && !r->out[0];
}

static int observe_builtin(const struct fake_chain *c, struct nsh_chain_seen *seen,
        nsh_chain_observed *observed, void *userdata)
{
    nsh_autofree struct nsh_jump_seen *jumps = calloc(c->n_rules + 1, sizeof(*jumps));

    if (!jumps)
        return -ENOMEM;
    seen->jumps = jumps;
    seen->n_total = seen->first_foreign = (uint32_t)c->n_rules;
    for (uint32_t n = 0; n < c->n_rules; n++) {
        const struct nsh_packet_rule *r = &c->rules[n].rule;
        struct nsh_jump_seen *j = &jumps[seen->n_jumps];

        if (r->action != NSH_PACKET_JUMP || !nsh_chain_is_ours(r->target)) {
            if (seen->first_foreign == seen->n_total)
                seen->first_foreign = n;
            continue;
        }
        *j = (struct nsh_jump_seen){.index = n, .plain = is_plain(r)};
        memcpy(j->target, r->target, sizeof(j->target));
        seen->n_jumps++;
    }
    return observed(userdata, seen);
}

static int observe_chain(const struct fake_chain *c, int family, enum nsh_table table,
        nsh_chain_observed *observed, void *userdata)
{
    struct nsh_chain_seen seen = {
            .family = (uint8_t)family, .table = table, .name = c->name, .builtin = c->builtin};

    if (c->builtin)
        return observe_builtin(c, &seen, observed, userdata);
    return nsh_chain_is_ours(c->name) ? observe_ours(c, &seen, observed, userdata) : 0;
}

static int fake_observe(struct nsh_firewall *fw, int family, enum nsh_table table,
        nsh_chain_observed *observed, void *userdata)
{
    struct handle *h = of(fw);
    struct fake_table *t = table_of(h->f, family, table);
    int rc;

    if (!h->open)
        return -EBADF;
    if (h->f->unsupported[nsh_family_index(family)])
        return h->f->unsupported[nsh_family_index(family)];
    h->f->counts.observes++;
    rc = h->mode == NSH_FIREWALL_WRITE ? fake_table_use(t, table) : 0;
    if (rc == 0)
        rc = remember(h, family, table);
    for (size_t i = 0; rc == 0 && i < t->n_chains; i++)
        rc = observe_chain(&t->chains[i], family, table, observed, userdata);
    return rc;
}

/* ---- committing ---- */

static int add_rules(const struct fake_table *t, struct fake_chain *c, size_t at,
        const struct nsh_packet_rule *rules, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct fake_rule rule;
        int rc;

        fake_rule_set(&rule, &rules[i]);
        rc = fake_rule_check(t, &rule);
        if (rc == 0)
            rc = fake_rule_insert(c, at + i, &rule);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int step_chain_add(struct fake_table *t, const struct nsh_firewall_op *op)
{
    int rc = fake_chain_add(t, op->chain, false);

    if (rc < 0)
        return rc;
    return add_rules(t, fake_table_find(t, op->chain), 0, op->want->rules, op->want->n_rules);
}

static int step_chain_change(struct fake_table *t, const struct nsh_firewall_op *op)
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
            t, c, op->keep_head, &op->want->rules[op->keep_head], op->want->n_rules - keep);
}

static int step_chain_delete(struct fake_table *t, const struct nsh_firewall_op *op)
{
    struct fake_chain *c = fake_table_find(t, op->chain);
    int rc = fake_chain_remove(t, op->chain);

    if (rc != -EMLINK)
        return rc;
    fake_chain_flush(c);
    return 0;
}

static int step_jump_add(struct fake_table *t, const struct nsh_firewall_op *op)
{
    struct fake_chain *c = fake_table_find(t, op->hook);
    struct nsh_packet_rule jump = {.action = NSH_PACKET_JUMP};

    if (!c || !c->builtin)
        return -ENOENT;
    memcpy(jump.target, op->chain, sizeof(jump.target));
    return add_rules(t, c, op->index == UINT32_MAX ? c->n_rules : op->index, &jump, 1);
}

static int step_jump_delete(struct fake_table *t, const struct nsh_firewall_op *op)
{
    struct fake_chain *c = fake_table_find(t, op->hook);
    const struct nsh_packet_rule *r;

    if (!c)
        return -ENOENT;
    if (op->index >= c->n_rules)
        return -E2BIG;
    r = &c->rules[op->index].rule;
    if (r->action != NSH_PACKET_JUMP || strcmp(r->target, op->chain) != 0)
        return -EPERM;
    return fake_rule_remove(c, op->index);
}

static int run_steps(struct fake_table *t, int family, enum nsh_table table,
        const struct nsh_firewall_op *ops, size_t n, char *ret_why, size_t size)
{
    static int (*const steps[])(struct fake_table *, const struct nsh_firewall_op *) = {
            [NSH_CHAIN_ADD] = step_chain_add,
            [NSH_CHAIN_CHANGE] = step_chain_change,
            [NSH_CHAIN_DELETE] = step_chain_delete,
            [NSH_JUMP_ADD] = step_jump_add,
            [NSH_JUMP_DELETE] = step_jump_delete,
    };

    for (size_t i = 0; i < n; i++) {
        int rc = -EINVAL;

        if (ops[i].family == family && ops[i].table == table && nsh_chain_is_ours(ops[i].chain))
            rc = steps[ops[i].verb](t, &ops[i]);
        if (rc < 0) {
            char why[64];

            snprintf(why, sizeof(why), "step %zu: %s", i, strerror(-rc));
            say(ret_why, size, why);
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
    if (f->fail_nth == 0 || --f->fail_nth > 0)
        return 0;
    say(ret_why, size, f->fail_why);
    return f->fail_error;
}

/* 1: the copy differs from the table, in counters too. */
static int has_changed(const struct fake_table *t, const struct fake_table *copy)
{
    nsh_autofree char *before = fake_table_save(t, true);
    nsh_autofree char *after = fake_table_save(copy, true);

    return before && after ? strcmp(before, after) != 0 : -ENOMEM;
}

static int fake_commit(struct nsh_firewall *fw, int family, enum nsh_table table,
        const struct nsh_firewall_op *ops, size_t n, char *ret_why, size_t size)
{
    struct handle *h = of(fw);
    struct fake_table *t = table_of(h->f, family, table);
    NSH_CLEANUP(fake_table_clear) struct fake_table copy = {0};
    int rc;

    if (!h->open || h->mode != NSH_FIREWALL_WRITE)
        return -EBADF;
    if (n == 0)
        return NSH_FIREWALL_OK;
    rc = arranged(h->f, ret_why, size);
    if (rc == 0)
        rc = differs(h, family, table);
    if (rc != 0)
        return rc < 0 ? rc : NSH_FIREWALL_RACED;
    rc = fake_table_copy(t, &copy);
    if (rc == 0)
        rc = run_steps(&copy, family, table, ops, n, ret_why, size);
    if (rc == 0)
        rc = has_changed(t, &copy);
    if (rc <= 0)
        return rc;
    fake_table_clear(t);
    *t = copy;
    copy = (struct fake_table){0};
    h->f->counts.commits++;
    h->f->counts.steps += n;
    rc = remember(h, family, table);
    return rc < 0 ? rc : NSH_FIREWALL_OK;
}

static int fake_changed(struct nsh_firewall *fw, int family, enum nsh_table table)
{
    return differs(of(fw), family, table);
}

/* ---- opening ---- */

static void fake_free(struct nsh_firewall *fw)
{
    struct handle *h = of(fw);

    fake_close(fw);
    for (int family = 0; family < NSH_FAMILIES; family++)
        for (int table = 0; table < NSH_TABLE_COUNT; table++)
            free(h->known[family][table]);
    free(h);
}

/* Here somebody's work is found by the look alone. */
static int fake_hint_fd(struct nsh_firewall *fw)
{
    (void)fw;
    return -1;
}

static void fake_hint_take(struct nsh_firewall *fw)
{
    (void)fw;
}

static const struct nsh_firewall_ops fake_ops = {
        .free = fake_free,
        .name = "fake",
        .probe = fake_probe,
        .open = fake_open,
        .observe = fake_observe,
        .commit = fake_commit,
        .close = fake_close,
        .changed = fake_changed,
        .hint_fd = fake_hint_fd,
        .hint_take = fake_hint_take,
};

int nsh_firewall_fake_open(struct nsh_firewall_fake *f, struct nsh_firewall **ret)
{
    struct handle *h = calloc(1, sizeof(*h));

    if (!h)
        return -ENOMEM;
    h->fw.ops = &fake_ops;
    h->f = f;
    *ret = &h->fw;
    return 0;
}

int nsh_firewall_fake_new(struct nsh_firewall_fake **ret)
{
    struct nsh_firewall_fake *f = calloc(1, sizeof(*f));

    if (!f)
        return -ENOMEM;
    *ret = f;
    return 0;
}

void nsh_firewall_fake_free(struct nsh_firewall_fake *f)
{
    if (!f)
        return;
    for (int family = 0; family < NSH_FAMILIES; family++)
        for (int table = 0; table < NSH_TABLE_COUNT; table++)
            fake_table_clear(&f->tables[family][table]);
    free(f);
}

/* ---- what tests arrange and ask ---- */

char *nsh_firewall_fake_save(
        const struct nsh_firewall_fake *f, int family, enum nsh_table table, bool counters)
{
    return fake_table_save(&f->tables[nsh_family_index(family)][table], counters);
}

void nsh_firewall_fake_count_packet(struct nsh_firewall_fake *f)
{
    for (int i = 0; i < NSH_FAMILIES * NSH_TABLE_COUNT; i++) {
        struct fake_table *t = &f->tables[i / NSH_TABLE_COUNT][i % NSH_TABLE_COUNT];

        for (size_t c = 0; c < t->n_chains; c++)
            for (size_t n = 0; n < t->chains[c].n_rules; n++) {
                t->chains[c].rules[n].packets++;
                t->chains[c].rules[n].bytes += 100;
            }
    }
}

void nsh_firewall_fake_busy(struct nsh_firewall_fake *f, unsigned sessions)
{
    f->busy = sessions;
}

void nsh_firewall_fake_race(struct nsh_firewall_fake *f, unsigned commits,
        void (*meanwhile)(void *userdata), void *userdata)
{
    f->races = commits;
    f->meanwhile = meanwhile;
    f->meanwhile_userdata = userdata;
}

void nsh_firewall_fake_fail_commit(
        struct nsh_firewall_fake *f, unsigned nth, int error, const char *why)
{
    f->fail_nth = nth;
    f->fail_error = error < 0 ? error : -error;
    snprintf(f->fail_why, sizeof(f->fail_why), "%s", why);
}

void nsh_firewall_fake_unsupported(
        struct nsh_firewall_fake *f, int family, int error, const char *why)
{
    int i = nsh_family_index(family);

    f->unsupported[i] = error < 0 ? error : -error;
    snprintf(f->unsupported_why[i], sizeof(f->unsupported_why[i]), "%s", why ? why : "");
}

const struct nsh_firewall_fake_counts *nsh_firewall_fake_counts(const struct nsh_firewall_fake *f)
{
    return &f->counts;
}
