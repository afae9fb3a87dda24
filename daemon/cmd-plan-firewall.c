/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The part of `plan` about packet rules and the sets they refer to.
 */
#include "cmd-plan.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "plan.h"

NSH_DEFINE_CLEANUP(struct nsh_firewall_plan *, nsh_firewall_plan_free)
NSH_DEFINE_CLEANUP(struct nsh_set_plan *, nsh_set_plan_free)

static int observe_chain(void *userdata, const struct nsh_chain_seen *seen)
{
    return nsh_firewall_plan_observe(userdata, seen);
}

/* The first chain of a policy in the table speaks for all it has there. */
static bool is_first(const struct planner *p, const struct nsh_firewall_plan *plan, size_t chain)
{
    const struct nsh_chain *c = &p->desired->chains[chain];

    for (size_t i = chain; i-- > 0 && strcmp(p->desired->chains[i].policy, c->policy) == 0;)
        if (nsh_firewall_plan_touches(plan, i))
            return false;
    return true;
}

/* In which of its tables: of policies that have several. */
static const char *table_of(const struct nsh_chain *c, char *buf, size_t size)
{
    bool several = c->kind > NSH_POLICY_MASQUERADE;

    snprintf(buf, size, "%s%s", several ? " in " : "", several ? nsh_table_name(c->table) : "");
    return buf;
}

/* Policies are named; what serves them all (the conntrack chain) goes without saying. */
static void print_wanted_chains(struct planner *p, const struct nsh_firewall_plan *plan)
{
    for (size_t i = 0; i < p->desired->n_chains; i++) {
        const struct nsh_chain *c = &p->desired->chains[i];
        const char *reason;
        char name[64], where[16];
        bool missing;

        if (!nsh_firewall_plan_touches(plan, i) || !is_first(p, plan, i))
            continue;
        reason = nsh_firewall_plan_reason(plan, i);
        missing = strcmp(reason, "missing") == 0;
        if (c->policy[0] == '\0')
            plan_line(p, "%c conntrack %s", missing ? '+' : '~', plan_family(c->family));
        else if (nsh_chain_guards(c))
            plan_line(p, "%c what %s %s drops%s%s", missing ? '+' : '~', nsh_policy_noun(c->kind),
                    nsh_desired_policy_name(p->desired, i, name, sizeof name), missing ? "" : ": ",
                    missing ? "" : reason);
        else
            plan_line(p, "%c %s %s%s%s%s", missing ? '+' : '~', nsh_policy_noun(c->kind),
                    nsh_desired_policy_name(p->desired, i, name, sizeof name),
                    table_of(c, where, sizeof where), missing ? "" : ": ", missing ? "" : reason);
    }
}

static void note_altered(
        struct planner *p, const struct nsh_firewall_plan *plan, int family, enum nsh_table table)
{
    for (size_t i = 0; i < p->desired->n_chains; i++)
        if (p->desired->chains[i].family == family && p->desired->chains[i].table == table)
            p->altered[i] = nsh_firewall_plan_touches(plan, i);
}

/* As who looks with the firewall's own tool sees it: "nat_postrouting" and "nat-web" in nftables.
 */
static void print_jump(struct planner *p, const struct nsh_firewall *fw,
        const struct nsh_firewall_op *op, const char *where)
{
    const char *table = nsh_table_name(op->table), *family = plan_family(op->family);
    char hook[sizeof op->hook];
    size_t n = 0;

    if (strcmp(fw->ops->name, "nftables") != 0) {
        plan_line(
                p, "- jump from %s to %s in %s (%s)%s", op->hook, op->chain, table, family, where);
        return;
    }
    for (; op->hook[n] != '\0'; n++)
        hook[n] = (char)tolower((unsigned char)op->hook[n]);
    hook[n] = '\0';
    plan_line(p, "- jump from %s_%s to %s-%s (%s)%s", table, hook, table,
            op->chain + strlen(NSH_CHAIN_PREFIX), family, where);
}

static const char *noun_in(const struct nsh_desired *d, const char *policy)
{
    for (size_t i = 0; d && i < d->n_chains; i++)
        if (strcmp(d->chains[i].policy, policy) == 0)
            return nsh_policy_noun(d->chains[i].kind);
    return NULL;
}

/* A chain tells its policy's name alone; what that was, the configuration from before does. */
static const char *noun_of(const struct planner *p, const char *policy)
{
    const char *noun = noun_in(p->held, policy);

    for (size_t i = NSH_ARRAY_SIZE(p->before); !noun && i-- > 0;)
        noun = noun_in(p->before[i].desired, policy);
    return noun ? noun : "policy";
}

/* Of chains that are not wanted. `where`: words behind each line. */
static void print_unwanted_chains(struct planner *p, const struct nsh_firewall *fw,
        const struct nsh_firewall_plan *plan, enum nsh_table table, const char *where)
{
    size_t n;
    const struct nsh_firewall_op *steps = nsh_firewall_plan_steps(plan, &n);

    for (size_t i = 0; i < n; i++) {
        const char *name = steps[i].chain + strlen(NSH_CHAIN_PREFIX);
        const char *family = plan_family(steps[i].family);

        if (steps[i].verb == NSH_JUMP_DELETE)
            print_jump(p, fw, &steps[i], where);
        else if (steps[i].verb != NSH_CHAIN_DELETE)
            continue;
        else if (steps[i].stray[0] != '\0')
            plan_line(p, "- foreign %s in our table (%s)%s", steps[i].stray, family, where);
        else if (strcmp(steps[i].chain, NSH_CHAIN_CONNTRACK) == 0)
            plan_line(p, "- conntrack %s%s", family, where);
        else if (table == NSH_TABLE_NAT && !strchr(name, '_'))
            plan_line(p, "- %s %s (%s)%s", noun_of(p, name), name, family, where);
        else
            plan_line(p, "- chain %s in %s (%s)%s", steps[i].chain, nsh_table_name(table), family,
                    where);
    }
}

static int plan_table(
        struct planner *p, int family, enum nsh_table table, enum nsh_firewall_phase phase)
{
    NSH_CLEANUP(nsh_firewall_plan_freep) struct nsh_firewall_plan *plan = NULL;
    int q = nsh_firewall_plan_new(p->desired, family, table, &plan);

    if (q < 0)
        return q;
    nsh_firewall_plan_begin(plan);
    q = p->firewall->ops->observe(p->firewall, family, table, observe_chain, plan);
    if (q == 0)
        q = nsh_firewall_plan_finish(plan, phase);
    if (q < 0)
        return q;
    if (phase == NSH_PHASE_UP)
        note_altered(p, plan, family, table);
    if (phase == NSH_PHASE_UP)
        print_wanted_chains(p, plan);
    else
        print_unwanted_chains(p, p->firewall, plan, table, "");
    return 0;
}

static bool speaks_for_policy(const struct planner *p, size_t chain)
{
    const struct nsh_chain *c = &p->desired->chains[chain];

    return c->policy[0] != '\0' &&
           !(chain > 0 && c->family == c[-1].family && strcmp(c->policy, c[-1].policy) == 0);
}

void plan_lacks(struct planner *p)
{
    char name[64], why[NSH_LACK_TEXT];

    for (size_t i = 0; i < p->desired->n_chains; i++) {
        const struct nsh_chain *c = &p->desired->chains[i];

        if (!speaks_for_policy(p, i) || !nsh_desired_is_open(p->desired, c->when) ||
                !nsh_desired_lack(p->desired, c, why, sizeof why))
            continue;
        plan_remark(p, "# %s %s is pending: %s", nsh_policy_noun(c->kind),
                nsh_desired_policy_name(p->desired, i, name, sizeof name), why);
    }
}

void plan_standby_chains(struct planner *p)
{
    char name[64];

    for (size_t i = 0; i < p->desired->n_chains; i++) {
        const struct nsh_chain *c = &p->desired->chains[i];

        if (!c->standby || c->blocked || nsh_desired_is_open(p->desired, c->when) ||
                !speaks_for_policy(p, i))
            continue;
        nsh_desired_policy_name(p->desired, i, name, sizeof name);
        plan_standby(p, nsh_policy_noun(c->kind), name, c->when);
    }
}

/* ---- sets ---- */

static int observe_element(void *userdata, const struct nsh_prefix *element)
{
    return nsh_set_plan_observe(userdata, element);
}

static int plan_set(struct planner *p, const struct nsh_set *set)
{
    NSH_CLEANUP(nsh_set_plan_freep) struct nsh_set_plan *plan = NULL;
    int q = nsh_set_plan_new(set, &plan);

    if (q < 0)
        return q;
    nsh_set_plan_begin(plan, true);
    q = p->firewall->ops->set_read(p->firewall, set->family, set->name, observe_element, plan);
    if (q == -ENOENT)
        nsh_set_plan_begin(plan, false);
    else if (q < 0)
        return q;
    q = nsh_set_plan_finish(plan);
    if (q < 0 || !nsh_set_plan_op(plan))
        return q;
    if (nsh_set_plan_op(plan)->verb == NSH_SET_CREATE)
        plan_line(p, "+ set %s (%zu prefixes)", set->name, set->n);
    else
        plan_line(p, "~ set %s: %s", set->name, nsh_set_plan_reason(plan));
    return 0;
}

struct set_look {
    struct planner *p;
    int family;
};

static int see_set(void *userdata, const char *name)
{
    struct set_look *look = userdata;
    const struct nsh_desired *d = look->p->desired;

    for (size_t i = 0; i < d->n_sets; i++)
        if (d->sets[i].family == look->family && !d->sets[i].standby &&
                strcmp(d->sets[i].name, name) == 0)
            return 0;
    plan_line(look->p, "- set %s", name);
    return 0;
}

/* In a session. */
static int plan_sets(struct planner *p, enum nsh_firewall_phase phase)
{
    int q = 0;

    if (!p->firewall->ops->sets)
        return 0;
    for (size_t i = 0; phase == NSH_PHASE_UP && q == 0 && i < p->desired->n_sets; i++)
        if (!p->desired->sets[i].standby)
            q = plan_set(p, &p->desired->sets[i]);
    /* Where they can't be listed there are none of ours. */
    for (int f = 0; phase == NSH_PHASE_DOWN && f < NSH_FAMILIES; f++)
        p->firewall->ops->sets(p->firewall, nsh_family_of(f), see_set,
                &(struct set_look){.p = p, .family = nsh_family_of(f)});
    return q;
}

int plan_firewall(struct planner *p, enum nsh_firewall_phase phase)
{
    int q = p->firewall->ops->open(p->firewall, NSH_FIREWALL_READ);

    if (q < 0)
        return q;
    if (phase == NSH_PHASE_UP)
        q = plan_sets(p, phase);
    for (int f = 0; f < NSH_FAMILIES && q == 0; f++)
        for (int t = 0; t < NSH_TABLE_COUNT && q == 0; t++)
            q = plan_table(p, nsh_family_of(f), (enum nsh_table)t, phase);
    if (phase == NSH_PHASE_DOWN && q == 0)
        q = plan_sets(p, phase);
    p->firewall->ops->close(p->firewall);
    return q;
}

/* ---- the other firewall ---- */

static int clear_table(struct planner *p, const struct nsh_desired *want, int family,
        enum nsh_table table, const char *where)
{
    NSH_CLEANUP(nsh_firewall_plan_freep) struct nsh_firewall_plan *plan = NULL;
    int q = nsh_firewall_plan_new(want, family, table, &plan);

    if (q < 0)
        return q;
    nsh_firewall_plan_begin(plan);
    q = p->other->ops->observe(p->other, family, table, observe_chain, plan);
    if (q == 0)
        q = nsh_firewall_plan_finish(plan, NSH_PHASE_DOWN);
    if (q == 0)
        print_unwanted_chains(p, p->other, plan, table, where);
    return q;
}

/* What is tried may well be in force there. */
static const char *other_word(const struct planner *p)
{
    return p->on_trial ? "on trial" : "left";
}

static int see_left_set(void *userdata, const char *name)
{
    struct planner *p = userdata;

    plan_line(p, "- set %s %s in %s", name, other_word(p), p->other->ops->name);
    return 0;
}

int plan_other(struct planner *p, const struct nsh_desired *guests)
{
    char where[32];
    int q;

    if (!p->other)
        return 0;
    q = p->other->ops->open(p->other, NSH_FIREWALL_READ);
    if (q < 0)
        return q;
    snprintf(where, sizeof where, " %s in %s", other_word(p), p->other->ops->name);
    for (int f = 0; f < NSH_FAMILIES && q == 0; f++) {
        for (int t = 0; t < NSH_TABLE_COUNT && q == 0; t++)
            q = clear_table(p, guests, nsh_family_of(f), (enum nsh_table)t, where);
        if (q == 0 && p->other->ops->sets)
            p->other->ops->sets(p->other, nsh_family_of(f), see_left_set, p);
    }
    p->other->ops->close(p->other);
    return q;
}
