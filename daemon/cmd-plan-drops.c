/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The part of `plan` about rules of others that drop what policies let through.
 */
#include "cmd-plan.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "passage.h"
#include "plan.h"

NSH_DEFINE_CLEANUP(struct nsh_firewall_plan *, nsh_firewall_plan_free)

static int observe_chain(void *userdata, const struct nsh_chain_seen *seen)
{
    return nsh_firewall_plan_observe(userdata, seen);
}

/* What is to be done in a table so that `want` stands there; 0 or negative errno. */
static int look(struct nsh_firewall *fw, const struct nsh_desired *want, int family,
        enum nsh_table table, struct nsh_firewall_plan **ret)
{
    NSH_CLEANUP(nsh_firewall_plan_freep) struct nsh_firewall_plan *plan = NULL;
    int q = nsh_firewall_plan_new(want, family, table, &plan);

    if (q == 0)
        q = fw->ops->open(fw, NSH_FIREWALL_READ);
    if (q < 0)
        return q;
    nsh_firewall_plan_begin(plan);
    q = fw->ops->observe(fw, family, table, observe_chain, plan);
    if (q == 0)
        q = nsh_firewall_plan_finish(plan, NSH_PHASE_UP);
    fw->ops->close(fw);
    if (q == 0)
        *ret = NSH_TAKE_PTR(plan);
    return q;
}

/* Whether the chain is there with rules that are, or were, `c->rules`; 1, 0 or negative errno. */
static int is_there(struct planner *p, size_t chain, bool *ret_same)
{
    NSH_CLEANUP(nsh_firewall_plan_freep) struct nsh_firewall_plan *plan = NULL;
    const struct nsh_chain *c = &p->desired->chains[chain];
    int q = look(p->firewall, p->desired, c->family, c->table, &plan);

    if (q < 0)
        return q;
    *ret_same = nsh_firewall_plan_reason(plan, chain)[0] == '\0';
    return strcmp(nsh_firewall_plan_reason(plan, chain), "missing") != 0;
}

/* What stands, and is more than a guard, goes on, as in the daemon. */
static int take_out(struct planner *p, size_t chain)
{
    struct nsh_chain *c = &p->desired->chains[chain];
    bool same = false, guards = false;
    int q = is_there(p, chain, &same);

    if (q > 0 && !same && c->guard) {
        c->rules = c->guard;
        q = is_there(p, chain, &guards);
        c->rules = c->whole;
    }
    if (q < 0)
        return q;
    for (size_t i = 0; (q == 0 || guards) && i < p->desired->n_chains; i++)
        if (p->desired->chains[i].family == c->family &&
                strcmp(p->desired->chains[i].policy, c->policy) == 0)
            p->desired->chains[i].blocked = true;
    return 0;
}

int plan_drops(struct planner *p)
{
    NSH_CLEANUP(nsh_passages_done) struct nsh_passages passages = {0};
    char text[sizeof(struct nsh_forward_drop) + 64];
    int q = nsh_passages_new(p->desired, p->fib, &passages);

    if (q == 0)
        q = nsh_passages_ask(&passages, p->firewall, p->other, NSH_FIREWALL_READ, NULL, NULL);
    for (size_t i = 0; q == 0 && i < passages.n; i++) {
        const struct nsh_passage *one = &passages.items[i];
        char name[64];

        nsh_desired_policy_name(p->desired, passages.chains[i], name, sizeof name);
        if (one->exit && one->dropped)
            plan_remark(p, "# %s %s: %s", nsh_policy_noun(one->chain->kind), name,
                    nsh_forward_exit_text(&one->drop, one->ban, text, sizeof text));
        if (!one->dropped || one->barred)
            continue;
        plan_remark(p, "# %s %s is pending: %s drops forwarded packets; %s",
                nsh_policy_noun(one->chain->kind), name, one->drop.what, one->drop.fix);
        q = take_out(p, passages.chains[i]);
    }
    nsh_desired_settle(p->desired);
    return q;
}

static void print_guest(void *userdata, const struct nsh_guest_seen *seen)
{
    switch (seen->verb) {
    case NSH_GUEST_STANDS:
        return;
    case NSH_GUEST_ADD:
        plan_line(userdata, "+ jump in %s", seen->where);
        return;
    case NSH_GUEST_CHANGE:
        plan_line(userdata, "~ jump in %s: %s", seen->where, seen->reason);
        return;
    case NSH_GUEST_REMOVE:
        plan_line(userdata, "- jump in %s", seen->where);
        return;
    case NSH_GUEST_UNJUDGED:
        plan_remark(userdata, "# %s is not all judged: %s", seen->where, seen->reason);
        return;
    }
}

static int plan_in_iptables(struct planner *p, const struct nsh_guests *guests, size_t i)
{
    NSH_CLEANUP(nsh_firewall_plan_freep) struct nsh_firewall_plan *plan = NULL;
    int family = guests->chains[i].family;
    int q = look(p->other, &guests->desired, family, NSH_TABLE_FILTER, &plan);
    size_t n = 0;

    if (q < 0)
        return q;
    nsh_firewall_plan_steps(plan, &n);
    if (n > 0) {
        const char *reason = nsh_firewall_plan_reason(plan, i);
        bool missing = strcmp(reason, "missing") == 0;

        plan_line(p, "%c jump in the legacy %s chain FORWARD%s%s", missing ? '+' : '~',
                family == AF_INET6 ? "ip6tables" : "iptables", missing ? "" : ": ",
                missing ? "" : reason);
    }
    return 0;
}

int plan_guests(struct planner *p)
{
    NSH_CLEANUP(nsh_passages_done) struct nsh_passages passages = {0};
    NSH_CLEANUP(nsh_guests_done) struct nsh_guests guests = {0};
    int q = nsh_passages_new(p->desired, NULL, &passages);

    if (q == 0)
        q = nsh_passages_ask(&passages, p->firewall, p->other, NSH_FIREWALL_READ, print_guest, p);
    if (q == 0)
        q = nsh_guests_want(&guests, &passages);
    for (size_t i = 0; q == 0 && i < guests.desired.n_chains; i++)
        q = plan_in_iptables(p, &guests, i);
    return q < 0 ? q : plan_other(p, &guests.desired);
}
