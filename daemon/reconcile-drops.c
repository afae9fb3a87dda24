/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Policies whose packets rules of others drop. Where a jump of ours in the chain that drops them
 * helps, there is to be one (reconcile-guests.c). Where none can stand such a policy is pending,
 * with the chain's name and what helps; and it is judged before anything is put up for it, so that
 * none of it comes about. What stood before stays: connections that the other rules let through go
 * on by it.
 *
 * A masquerade policy lets nothing through by itself, and is held whatever others drop; but where
 * it is certain that they drop what it is for, that is told. And so is a ban of all that comes from
 * a share's LAN, which stays before what the share says.
 */
#include "reconcile-internal.h"

#include <stdio.h>
#include <string.h>

#include "cleanup.h"

#define REASON_SIZE (sizeof(struct nsh_forward_drop) + 64)

NSH_DEFINE_CLEANUP(struct nsh_firewall_plan *, nsh_firewall_plan_free)

const char *reconcile_drop_reason(const struct nsh_reconciler *r, size_t lead)
{
    return nsh_notes_reason(r->notes, NSH_OBJECT_DROP + lead);
}

static bool may_have_changed(struct nsh_firewall *fw)
{
    return fw && fw->ops->pass_changed && fw->ops->pass_changed(fw) > 0;
}

bool nsh_reconciler_wants_other(const struct nsh_reconciler *r)
{
    for (size_t i = 0; r->desired && i < r->desired->n_chains; i++)
        if (r->desired->chains[i].kind == NSH_POLICY_SHARE ||
                r->desired->chains[i].kind == NSH_POLICY_PORT_FORWARD)
            return true;
    return false;
}

/* What is only told can wait for a look. */
static bool tells(const struct nsh_reconciler *r)
{
    for (size_t i = 0; r->desired && i < r->desired->n_chains; i++)
        if (r->desired->chains[i].kind == NSH_POLICY_MASQUERADE)
            return true;
    return nsh_reconciler_wants_other(r);
}

void reconcile_poll_drops(struct nsh_reconciler *r)
{
    if (tells(r) && (may_have_changed(r->firewall) || may_have_changed(r->other)))
        r->drops_dirty = true;
}

/* What is wrong with the chain as it is wanted; "missing" also where it can't be seen. */
static void look_at(struct nsh_reconciler *r, size_t chain, char *ret, size_t size)
{
    NSH_CLEANUP(nsh_firewall_plan_freep) struct nsh_firewall_plan *plan = NULL;
    const struct nsh_chain *c = &r->desired->chains[chain];

    snprintf(ret, size, "missing");
    if (nsh_firewall_plan_new(r->desired, c->family, c->table, &plan) < 0 ||
            r->firewall->ops->open(r->firewall, NSH_FIREWALL_READ) != NSH_FIREWALL_OK)
        return;
    if (reconcile_look(r, plan, c->family, c->table, NSH_PHASE_UP) >= 0)
        snprintf(ret, size, "%s", nsh_firewall_plan_reason(plan, chain));
    r->firewall->ops->close(r->firewall);
}

/* Only a look, at what another run may have left: more than a guard. */
static bool stands(struct nsh_reconciler *r, size_t chain)
{
    struct nsh_chain *c = &r->desired->chains[chain];
    char found[64];

    if (c->standby)
        return false;
    look_at(r, chain, found, sizeof found);
    if (found[0] == '\0' || strcmp(found, "missing") == 0 || !c->guard)
        return strcmp(found, "missing") != 0;
    c->rules = c->guard;
    look_at(r, chain, found, sizeof found);
    c->rules = c->whole;
    return found[0] != '\0';
}

/* A gate is closed: that is why it is not there. */
static void forget(struct nsh_reconciler *r, size_t lead)
{
    if (!reconcile_drop_reason(r, lead))
        return;
    nsh_notes_set_reason(r->notes, NSH_OBJECT_DROP + lead, NULL);
    if (r->desired->chains[lead].blocked)
        reconcile_set_blocked(r, lead, false);
    reconcile_settle_chains(r);
}

static void passes(struct nsh_reconciler *r, size_t lead)
{
    struct report_args args = {
            .kind = NSH_REPORT_CHANGED, .cause = "nothing drops what it forwards any more"};

    if (!reconcile_drop_reason(r, lead))
        return;
    nsh_notes_set_reason(r->notes, NSH_OBJECT_DROP + lead, NULL);
    if (r->desired->chains[lead].blocked)
        reconcile_admit(r, lead);
    else
        report_chain(r, &r->desired->chains[lead], &args);
}

static void is_dropped(struct nsh_reconciler *r, size_t lead, const struct nsh_passage *p)
{
    size_t chain = (size_t)(p->chain - r->desired->chains);
    char reason[REASON_SIZE];
    struct report_args args = {.kind = NSH_REPORT_PENDING, .detail = reason};
    bool news;

    snprintf(reason, sizeof reason, "%s drops forwarded packets; %s", p->drop.what, p->drop.fix);
    news = nsh_notes_set_reason(r->notes, NSH_OBJECT_DROP + lead, reason) > 0;
    if (r->desired->chains[lead].blocked || (!reconcile_was_complete(r, lead) && !stands(r, chain)))
        reconcile_block(r, lead, reason);
    else if (news)
        report_chain(r, &r->desired->chains[lead], &args);
}

/* Once; which rule it is may change. */
static void take_exit(struct nsh_reconciler *r, const struct nsh_passage *p, size_t lead)
{
    nsh_object_id note = (p->ban ? NSH_OBJECT_BAN : NSH_OBJECT_DROP) + lead;
    const char *known = nsh_notes_reason(r->notes, note);
    struct report_args args = {.kind = NSH_REPORT_CHANGED,
            .cause = p->ban ? "nothing drops all of a LAN any more"
                            : "nothing drops what it masquerades any more"};
    char reason[REASON_SIZE];

    if (!known && !p->dropped)
        return;
    if (p->dropped)
        args = (struct report_args){.kind = NSH_REPORT_WARNING,
                .detail = nsh_forward_exit_text(&p->drop, p->ban, reason, sizeof reason)};
    nsh_notes_set_reason(r->notes, note, p->dropped ? reason : NULL);
    if (!known || !p->dropped)
        report_chain(r, &r->desired->chains[lead], &args);
}

static void take_verdict(struct nsh_reconciler *r, const struct nsh_passage *p, size_t lead)
{
    if (p->exit)
        take_exit(r, p, lead);
    else if (!nsh_desired_is_open(r->desired, p->chain->when))
        forget(r, lead);
    else if (p->dropped)
        is_dropped(r, lead, p);
    else
        passes(r, lead);
}

/* Where it can't be seen, what was known stays. */
void reconcile_drops(struct nsh_reconciler *r)
{
    NSH_CLEANUP(nsh_passages_done) struct nsh_passages p = {0};

    r->drops_dirty = false;
    if (nsh_passages_new(r->desired, r->fib, &p) < 0 || reconcile_guests_look(r, &p) < 0)
        return;
    for (size_t i = 0; i < p.n; i++)
        take_verdict(r, &p.items[i], reconcile_lead(r, p.chains[i]));
}
