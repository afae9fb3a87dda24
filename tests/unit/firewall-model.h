/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A small model of one table for the firewall plan's tests. A built-in chain is written as words:
 * "x" is our plain jump to the chain of policy x, "!x" one that somebody altered, "~x" one that
 * says the policy is a share, "^x" one that stands where only those of position first are put, and
 * words in capitals are foreign rules, those with "-" before them bans.
 */
#pragma once

#include <ctype.h>

#include "plan.h"
#include "route-text.h"

#define RULES_MAX 128
#define CHAINS_MAX 32
#define BUILTINS 2

/* ---- the table ---- */

struct rule {
    char word[8]; /* foreign, or the policy jumped to */
    bool jump, plain, first, ban;
    enum nsh_policy_kind kind; /* that it tells; NONE: nothing */
};

struct builtin {
    const char *name;
    struct rule rules[RULES_MAX];
    uint32_t n;
};

struct chain {
    char name[NSH_CHAIN_NAME];
    struct nsh_packet_rule rules[RULES_MAX];
    size_t n;
    uint32_t kept; /* rules that no step ever touched: their counters live */
};

struct table {
    struct builtin builtins[BUILTINS];
    struct chain chains[CHAINS_MAX];
    size_t n_chains;
};

static inline void chain_name_of(const char *word, char *ret)
{
    snprintf(ret, NSH_CHAIN_NAME, "%s%s", NSH_CHAIN_PREFIX, word);
}

static inline void read_builtin(struct builtin *b, const char *words)
{
    char *copy = strdup(words), *rest = NULL;

    b->n = 0;
    for (char *w = strtok_r(copy, " ", &rest); w; w = strtok_r(NULL, " ", &rest)) {
        struct rule *r = &b->rules[b->n++];

        r->plain = w[0] != '!';
        r->kind = w[0] == '~' ? NSH_POLICY_SHARE : NSH_POLICY_NONE;
        r->first = w[0] == '^';
        r->ban = w[0] == '-';
        r->jump = !r->ban && !isupper((unsigned char)w[0]);
        snprintf(r->word, sizeof(r->word), "%s", w + (strchr("!~^-", w[0]) != NULL));
    }
    free(copy);
}

static inline void write_builtin(const struct builtin *b, char *buf, size_t size)
{
    size_t n = 0;

    buf[0] = '\0';
    for (uint32_t i = 0; i < b->n; i++)
        n += (size_t)snprintf(buf + n, size - n, "%s%s%s", i > 0 ? " " : "",
                !b->rules[i].plain                     ? "!"
                : b->rules[i].kind == NSH_POLICY_SHARE ? "~"
                : b->rules[i].ban                      ? "-"
                                                       : "",
                b->rules[i].word);
    assert_true(n < size);
}

static inline struct chain *find_chain(struct table *t, const char *name)
{
    for (size_t i = 0; i < t->n_chains; i++)
        if (strcmp(t->chains[i].name, name) == 0)
            return &t->chains[i];
    return NULL;
}

static inline struct builtin *find_builtin(struct table *t, const char *name)
{
    for (size_t i = 0; i < BUILTINS; i++)
        if (strcmp(t->builtins[i].name, name) == 0)
            return &t->builtins[i];
    return NULL;
}

static inline struct chain *add_chain(
        struct table *t, const char *name, const struct nsh_packet_rule *rules, size_t n)
{
    struct chain *c = &t->chains[t->n_chains++];

    assert_true(t->n_chains <= CHAINS_MAX && n <= RULES_MAX);
    snprintf(c->name, sizeof(c->name), "%s", name);
    if (n > 0)
        memcpy(c->rules, rules, n * sizeof(*rules));
    c->n = n;
    c->kept = 0;
    return c;
}

static inline bool referred_to(const struct table *t, const char *name)
{
    char target[NSH_CHAIN_NAME];

    for (size_t i = 0; i < BUILTINS; i++)
        for (uint32_t k = 0; k < t->builtins[i].n; k++) {
            chain_name_of(t->builtins[i].rules[k].word, target);
            if (t->builtins[i].rules[k].jump && strcmp(target, name) == 0)
                return true;
        }
    return false;
}

static inline void insert_rule(struct builtin *b, uint32_t at, const struct rule *r)
{
    assert_true(b->n < RULES_MAX && at <= b->n);
    memmove(&b->rules[at + 1], &b->rules[at], (b->n - at) * sizeof(*r));
    b->rules[at] = *r;
    b->n++;
}

static inline void remove_rule(struct builtin *b, uint32_t at)
{
    assert_true(at < b->n);
    memmove(&b->rules[at], &b->rules[at + 1], (b->n - at - 1) * sizeof(b->rules[0]));
    b->n--;
}

static inline void run_change(struct chain *c, const struct nsh_firewall_op *op)
{
    assert_int_equal(op->n_observed, c->n);
    assert_true(op->keep_head + op->keep_tail <= c->n);
    assert_true(op->keep_head + op->keep_tail <= op->want->n_rules);
    /* what is said to be kept must be right already */
    for (uint32_t i = 0; i < op->keep_head; i++)
        assert_true(nsh_packet_rule_equal(&c->rules[i], &op->want->rules[i]));
    for (uint32_t i = 1; i <= op->keep_tail; i++)
        assert_true(nsh_packet_rule_equal(
                &c->rules[c->n - i], &op->want->rules[op->want->n_rules - i]));
    memcpy(c->rules, op->want->rules, op->want->n_rules * sizeof(c->rules[0]));
    c->n = op->want->n_rules;
    c->kept = op->keep_head + op->keep_tail;
}

static inline void run_delete(struct table *t, struct chain *c)
{
    if (referred_to(t, c->name))
        c->n = 0;
    else
        *c = t->chains[--t->n_chains];
}

static inline void run_op(struct table *t, const struct nsh_firewall_op *op)
{
    struct builtin *b = find_builtin(t, op->hook);
    struct chain *c = find_chain(t, op->chain);
    struct rule jump = {.jump = true, .plain = true};

    switch (op->verb) {
    case NSH_CHAIN_ADD:
        assert_null(c);
        add_chain(t, op->chain, op->want->rules, op->want->n_rules);
        break;
    case NSH_CHAIN_CHANGE:
        assert_non_null(c);
        run_change(c, op);
        break;
    case NSH_CHAIN_DELETE:
        assert_non_null(c);
        run_delete(t, c);
        break;
    case NSH_JUMP_ADD:
        assert_true(b && c);
        jump.kind = op->kind;
        snprintf(jump.word, sizeof(jump.word), "%.7s", op->chain + strlen(NSH_CHAIN_PREFIX));
        insert_rule(b, op->index == UINT32_MAX ? b->n : op->index, &jump);
        break;
    case NSH_JUMP_DELETE:
        assert_true(b && op->index < b->n && b->rules[op->index].jump);
        remove_rule(b, op->index);
        break;
    }
}

/* ---- feeding the plan ---- */

static inline void feed_builtin(struct nsh_firewall_plan *p, const struct builtin *b)
{
    struct nsh_jump_seen jumps[RULES_MAX];
    struct nsh_chain_seen seen = {.family = AF_INET,
            .table = NSH_TABLE_NAT,
            .name = b->name,
            .builtin = true,
            .jumps = jumps,
            .n_total = b->n,
            .first_foreign = b->n};

    for (uint32_t i = 0; i < b->n && (b->rules[i].jump || b->rules[i].ban); i++)
        if (b->rules[i].ban)
            seen.behind_bans = i + 1;
    for (uint32_t i = b->n; i-- > seen.behind_bans;)
        if (!b->rules[i].jump)
            seen.first_foreign = i;
    for (uint32_t i = 0; i < b->n; i++)
        if (b->rules[i].jump) {
            struct nsh_jump_seen *j = &jumps[seen.n_jumps++];

            chain_name_of(b->rules[i].word, j->target);
            j->index = i;
            j->plain = b->rules[i].plain;
            j->first = b->rules[i].first;
            j->kind = b->rules[i].kind;
        }
    assert_int_equal(nsh_firewall_plan_observe(p, &seen), 0);
}

static inline void feed(struct nsh_firewall_plan *p, const struct table *t)
{
    nsh_firewall_plan_begin(p);
    for (size_t i = 0; i < BUILTINS; i++)
        feed_builtin(p, &t->builtins[i]);
    for (size_t i = 0; i < t->n_chains; i++) {
        const struct nsh_chain_seen seen = {.family = AF_INET,
                .table = NSH_TABLE_NAT,
                .name = t->chains[i].name,
                .rules = t->chains[i].rules,
                .n_rules = t->chains[i].n};

        assert_int_equal(nsh_firewall_plan_observe(p, &seen), 0);
    }
}

static inline size_t run_plan(
        struct nsh_firewall_plan *p, struct table *t, enum nsh_firewall_phase phase)
{
    const struct nsh_firewall_op *ops;
    size_t n;

    feed(p, t);
    assert_int_equal(nsh_firewall_plan_finish(p, phase), 0);
    ops = nsh_firewall_plan_steps(p, &n);
    for (size_t i = 0; i < n; i++)
        run_op(t, &ops[i]);
    return n;
}

/* ---- what is wanted ---- */

/* Policies as words; a leading ^ is position first. Each chain has `n_rules` different rules. */
static inline struct nsh_desired *desire(const char *words, unsigned n_rules)
{
    static const char out[1][IFNAMSIZ] = {"eth0"};
    struct nsh_settings settings;
    struct nsh_config *c = NULL;
    struct nsh_desired *d = NULL;
    struct nsh_prefix *except;
    char *copy = strdup(words), *rest = NULL;

    nsh_settings_default(&settings);
    assert_int_equal(nsh_config_new_empty(&settings, &c), 0);
    except = nsh_arena_alloc(c->arena, (n_rules + 1) * sizeof(*except));
    for (unsigned i = 0; i < n_rules; i++)
        except[i] = (struct nsh_prefix){
                .family = AF_INET, .length = 24, .addr.bytes = {10, 0, (uint8_t)i, 0}};
    c->masquerades = nsh_arena_alloc(c->arena, CHAINS_MAX * sizeof(*c->masquerades));
    for (char *w = strtok_r(copy, " ", &rest); w; w = strtok_r(NULL, " ", &rest)) {
        struct nsh_masquerade *m = &c->masquerades[c->n_masquerades++];

        m->position = w[0] == '^' ? NSH_POSITION_FIRST : NSH_POSITION_LAST;
        snprintf(m->policy.name, sizeof(m->policy.name), "%s", w + (w[0] == '^'));
        m->policy.families = NSH_FAMILY_IPV4;
        m->ipsec = true;
        m->out = (struct nsh_device_list){out, 1};
        m->except_to = (struct nsh_prefix_list){except, n_rules - 1};
    }
    free(copy);
    assert_int_equal(nsh_desired_new(c, &d), 0);
    return d;
}

/* All chains wanted and the jumps' targets exist, as wanted. */
static inline void make_table(struct table *t, const struct nsh_desired *d, const char *words)
{
    memset(t, 0, sizeof(*t));
    t->builtins[0].name = "PREROUTING";
    t->builtins[1].name = "POSTROUTING";
    read_builtin(&t->builtins[1], words);
    for (size_t i = 0; i < d->n_chains; i++)
        if (d->chains[i].table == NSH_TABLE_NAT)
            add_chain(t, d->chains[i].name, d->chains[i].rules, d->chains[i].n_rules);
    for (uint32_t i = 0; i < t->builtins[1].n; i++) {
        char name[NSH_CHAIN_NAME];

        chain_name_of(t->builtins[1].rules[i].word, name);
        if (t->builtins[1].rules[i].jump && !find_chain(t, name))
            add_chain(t, name, NULL, 0);
    }
}

/* ---- damage to the rules of a chain ---- */

static inline void move_rule(struct chain *c, size_t from, size_t to)
{
    struct nsh_packet_rule r = c->rules[from];

    memmove(&c->rules[from], &c->rules[from + 1], (c->n - from - 1) * sizeof(r));
    memmove(&c->rules[to + 1], &c->rules[to], (c->n - 1 - to) * sizeof(r));
    c->rules[to] = r;
}

static inline void insert_in_chain(struct chain *c, size_t at)
{
    memmove(&c->rules[at + 1], &c->rules[at], (c->n - at) * sizeof(c->rules[0]));
    c->rules[at] = (struct nsh_packet_rule){.action = NSH_PACKET_OTHER};
    c->n++;
}

static inline void remove_from_chain(struct chain *c, size_t at)
{
    memmove(&c->rules[at], &c->rules[at + 1], (c->n - at - 1) * sizeof(c->rules[0]));
    c->n--;
}
