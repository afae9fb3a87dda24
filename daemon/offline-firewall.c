/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "offline.h"

struct offline_firewall {
    struct nsh_firewall base;
    const struct nsh_desired *held;
};

/* In which one of ours has its jump. */
static const char *const hooks[] = {"PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"};

static const struct nsh_desired *held_by(struct nsh_firewall *fw)
{
    return ((struct offline_firewall *)fw)->held;
}

static void offline_free(struct nsh_firewall *fw)
{
    free(fw);
}

static int offline_open(struct nsh_firewall *fw, enum nsh_firewall_mode mode)
{
    (void)fw;
    return mode == NSH_FIREWALL_READ ? NSH_FIREWALL_OK : -EROFS;
}

static void offline_close(struct nsh_firewall *fw)
{
    (void)fw;
}

/* What is asked of each of the chains of one table. */
struct table_look {
    const struct nsh_desired *held;
    int family;
    enum nsh_table table;
    nsh_chain_observed *observed;
    void *userdata;
};

static bool is_there(const struct table_look *l, const struct nsh_chain *c)
{
    return c->family == l->family && c->table == l->table && !c->standby;
}

static int show_chain(const struct table_look *l, const struct nsh_chain *c)
{
    return l->observed(l->userdata, &(struct nsh_chain_seen){
                                            .family = c->family,
                                            .table = c->table,
                                            .name = c->name,
                                            .rules = c->rules,
                                            .n_rules = c->n_rules,
                                    });
}

/* Those of position first stand before the others. */
static void collect_jumps(const struct table_look *l, const char *hook, enum nsh_position position,
        struct nsh_jump_seen *jumps, uint32_t *n)
{
    for (size_t i = 0; i < l->held->n_chains; i++) {
        const struct nsh_chain *c = &l->held->chains[i];
        struct nsh_jump_seen *j = &jumps[*n];

        if (!is_there(l, c) || !c->hook || c->position != position || strcmp(c->hook, hook) != 0)
            continue;
        *j = (struct nsh_jump_seen){
                .index = *n,
                .plain = true,
                .first = position == NSH_POSITION_FIRST,
                .kind = c->kind,
        };
        snprintf(j->target, sizeof j->target, "%s", c->name);
        ++*n;
    }
}

static int show_hook(const struct table_look *l, const char *hook, struct nsh_jump_seen *jumps)
{
    uint32_t n = 0;

    collect_jumps(l, hook, NSH_POSITION_FIRST, jumps, &n);
    collect_jumps(l, hook, NSH_POSITION_LAST, jumps, &n);
    return l->observed(l->userdata, &(struct nsh_chain_seen){
                                            .family = (uint8_t)l->family,
                                            .table = l->table,
                                            .name = hook,
                                            .builtin = true,
                                            .jumps = jumps,
                                            .n_jumps = n,
                                            .n_total = n,
                                            .first_foreign = n,
                                    });
}

static int offline_observe(struct nsh_firewall *fw, int family, enum nsh_table table,
        nsh_chain_observed *observed, void *userdata)
{
    const struct table_look l = {held_by(fw), family, table, observed, userdata};
    nsh_autofree struct nsh_jump_seen *jumps = calloc(l.held->n_chains + 1, sizeof(*jumps));
    int r = 0;

    if (!jumps)
        return -ENOMEM;
    for (size_t i = 0; i < l.held->n_chains && r == 0; i++)
        if (is_there(&l, &l.held->chains[i]))
            r = show_chain(&l, &l.held->chains[i]);
    for (size_t i = 0; i < NSH_ARRAY_SIZE(hooks) && r == 0; i++)
        r = show_hook(&l, hooks[i], jumps);
    return r;
}

static int offline_sets(
        struct nsh_firewall *fw, int family, nsh_set_observed *observed, void *userdata)
{
    const struct nsh_desired *held = held_by(fw);
    int r = 0;

    for (size_t i = 0; i < held->n_sets && r == 0; i++)
        if (held->sets[i].family == family && !held->sets[i].standby)
            r = observed(userdata, held->sets[i].name);
    return r;
}

static int offline_set_read(struct nsh_firewall *fw, int family, const char *name,
        nsh_set_element_observed *observed, void *userdata)
{
    const struct nsh_desired *held = held_by(fw);

    for (size_t i = 0; i < held->n_sets; i++) {
        const struct nsh_set *set = &held->sets[i];
        int r = 0;

        if (set->family != family || set->standby || strcmp(set->name, name) != 0)
            continue;
        for (size_t k = 0; k < set->n && r == 0; k++)
            r = observed(userdata, &set->prefixes[k]);
        return r;
    }
    return -ENOENT;
}

static const struct nsh_firewall_ops ops = {
        .free = offline_free,
        .name = "a file",
        .open = offline_open,
        .close = offline_close,
        .observe = offline_observe,
        .sets = offline_sets,
        .set_read = offline_set_read,
};

int nsh_offline_firewall_new(const struct nsh_desired *held, struct nsh_firewall **ret)
{
    struct offline_firewall *f = calloc(1, sizeof(*f));

    if (!f)
        return -ENOMEM;
    *f = (struct offline_firewall){.base.ops = &ops, .held = held};
    *ret = &f->base;
    return 0;
}
