/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tables, chains and rules of the fake firewall.
 */
#include "firewall-fake-table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

int fake_table_use(struct fake_table *t, enum nsh_table table)
{
    static const char *const builtin[NSH_TABLE_COUNT][6] = {
            [NSH_TABLE_NAT] = {"PREROUTING", "INPUT", "OUTPUT", "POSTROUTING", NULL},
            [NSH_TABLE_RAW] = {"PREROUTING", "OUTPUT", NULL},
            [NSH_TABLE_FILTER] = {"INPUT", "FORWARD", "OUTPUT", NULL},
            [NSH_TABLE_MANGLE] = {"PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"},
    };

    for (size_t i = 0; !t->used && builtin[table][i]; i++) {
        int rc = fake_chain_add(t, builtin[table][i], true);

        if (rc < 0) {
            fake_table_clear(t);
            return rc;
        }
    }
    t->used = true;
    return 0;
}

void fake_chain_flush(struct fake_chain *c)
{
    free(c->rules);
    c->rules = NULL;
    c->n_rules = 0;
}

void fake_table_clear(struct fake_table *t)
{
    for (size_t i = 0; i < t->n_chains; i++)
        fake_chain_flush(&t->chains[i]);
    free(t->chains);
    *t = (struct fake_table){0};
}

int fake_table_copy(const struct fake_table *from, struct fake_table *ret)
{
    NSH_CLEANUP(fake_table_clear) struct fake_table t = {.used = from->used};

    for (size_t i = 0; i < from->n_chains; i++) {
        const struct fake_chain *c = &from->chains[i];
        int rc = fake_chain_add(&t, c->name, c->builtin);

        for (size_t n = 0; rc == 0 && n < c->n_rules; n++)
            rc = fake_rule_insert(&t.chains[i], n, &c->rules[n]);
        if (rc < 0)
            return rc;
    }
    *ret = t;
    t = (struct fake_table){0};
    return 0;
}

struct fake_chain *fake_table_find(const struct fake_table *t, const char *name)
{
    for (size_t i = 0; i < t->n_chains; i++)
        if (strcmp(t->chains[i].name, name) == 0)
            return &t->chains[i];
    return NULL;
}

int fake_chain_add(struct fake_table *t, const char *name, bool builtin)
{
    struct fake_chain *grown;

    if (strlen(name) >= NSH_CHAIN_NAME)
        return -EINVAL;
    if (fake_table_find(t, name))
        return -EEXIST;
    grown = realloc(t->chains, (t->n_chains + 1) * sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    t->chains = grown;
    t->chains[t->n_chains] = (struct fake_chain){.builtin = builtin};
    snprintf(t->chains[t->n_chains].name, NSH_CHAIN_NAME, "%s", name);
    t->n_chains++;
    return 0;
}

/* True if a rule of another chain leads there. */
static bool is_target(const struct fake_table *t, const struct fake_chain *target)
{
    for (size_t i = 0; i < t->n_chains; i++)
        for (size_t n = 0; &t->chains[i] != target && n < t->chains[i].n_rules; n++) {
            const struct nsh_packet_rule *r = &t->chains[i].rules[n].rule;

            if (r->action == NSH_PACKET_JUMP && strcmp(r->target, target->name) == 0)
                return true;
        }
    return false;
}

int fake_chain_remove(struct fake_table *t, const char *name)
{
    struct fake_chain *c = fake_table_find(t, name);

    if (!c)
        return -ENOENT;
    if (c->builtin)
        return -EINVAL;
    if (is_target(t, c))
        return -EMLINK;
    fake_chain_flush(c);
    memmove(c, c + 1, (size_t)(&t->chains[t->n_chains] - c - 1) * sizeof(*c));
    t->n_chains--;
    return 0;
}

int fake_rule_insert(struct fake_chain *c, size_t at, const struct fake_rule *rule)
{
    struct fake_rule *grown;

    if (at > c->n_rules)
        return -E2BIG;
    grown = realloc(c->rules, (c->n_rules + 1) * sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    c->rules = grown;
    memmove(&c->rules[at + 1], &c->rules[at], (c->n_rules - at) * sizeof(*c->rules));
    c->rules[at] = *rule;
    c->n_rules++;
    return 0;
}

int fake_rule_remove(struct fake_chain *c, size_t at)
{
    if (at >= c->n_rules)
        return -E2BIG;
    memmove(&c->rules[at], &c->rules[at + 1], (c->n_rules - at - 1) * sizeof(*c->rules));
    c->n_rules--;
    return 0;
}

int fake_rule_check(
        const struct nsh_firewall_fake *f, const struct fake_table *t, const struct fake_rule *rule)
{
    const struct nsh_packet_rule *r = &rule->rule;

    if (r->action == NSH_PACKET_JUMP && !fake_table_find(t, r->target))
        return -ENOENT;
    if ((r->from_set[0] && !fake_set_find(f, r->from_set)) ||
            (r->to_set[0] && !fake_set_find(f, r->to_set)))
        return -ENOENT;
    return 0;
}

bool fake_rule_same(const struct fake_rule *a, const struct fake_rule *b)
{
    return strcmp(a->text, b->text) == 0;
}

void fake_rule_set(struct fake_rule *ret, const struct nsh_packet_rule *rule)
{
    *ret = (struct fake_rule){.rule = *rule};
    nsh_packet_rule_format(rule, ret->text, sizeof(ret->text));
}

static void save_rules(FILE *to, const struct fake_chain *c, bool counters)
{
    for (size_t n = 0; n < c->n_rules; n++) {
        if (counters)
            fprintf(to, "[%" PRIu64 ":%" PRIu64 "] ", c->rules[n].packets, c->rules[n].bytes);
        fprintf(to, "-A %s %s\n", c->name, c->rules[n].text);
    }
}

char *fake_table_save(const struct fake_table *t, bool counters)
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);

    if (!to)
        return NULL;
    for (size_t i = 0; i < t->n_chains; i++)
        fprintf(to, ":%s %s\n", t->chains[i].name, t->chains[i].builtin ? "ACCEPT" : "-");
    for (size_t i = 0; i < t->n_chains; i++)
        save_rules(to, &t->chains[i], counters);
    fclose(to);
    return text;
}
