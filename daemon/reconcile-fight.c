/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When drift of packet rules may be repaired. The object of a fight is a chain: what keeps undoing
 * one policy holds the repair of no other. But a table is committed as a whole, so a repair of
 * another takes the one that waits along.
 */
#include <stdio.h>
#include <string.h>

#include "reconcile-internal.h"

nsh_object_id reconcile_table_id(int family, enum nsh_table table)
{
    return NSH_OBJECT_TABLE + (unsigned)nsh_family_index(family) * NSH_TABLE_COUNT + table;
}

bool reconcile_touches(const struct nsh_reconciler *r, const struct nsh_firewall_plan *plan,
        int family, enum nsh_table table, size_t i)
{
    const struct nsh_chain *c = &r->desired->chains[i];

    return c->family == family && c->table == table && !c->standby && (!c->blocked || c->guarded) &&
           nsh_firewall_plan_touches(plan, i);
}

bool reconcile_touches_some(const struct nsh_reconciler *r, const struct nsh_firewall_plan *plan,
        int family, enum nsh_table table)
{
    for (size_t i = 0; i < r->desired->n_chains; i++)
        if (reconcile_touches(r, plan, family, table, i))
            return true;
    return false;
}

static const char backing_off[] = "something keeps undoing the repair; backing off";

/* It has been told of the policy in another table, and there is no end to it yet. */
static bool fight_is_known(const struct nsh_reconciler *r, size_t chain)
{
    for (size_t i = reconcile_lead(r, chain); i != SIZE_MAX; i = reconcile_next_of_policy(r, i)) {
        const char *reason = nsh_notes_reason(r->notes, NSH_OBJECT_CHAIN + i);

        if (r->desired->chains[i].table != r->desired->chains[chain].table &&
                r->chain_states[i] == NSH_OBJECT_WRONG && reason &&
                strcmp(reason, backing_off) == 0)
            return true;
    }
    return false;
}

/* Asked of each once in a look: a repair is undone only once. False: not before `until`. */
static bool may_mend(struct nsh_reconciler *r, size_t i, uint64_t *until, bool *asked)
{
    uint64_t its;
    bool fight, may;
    char text[96];

    /* What is back from standby, or was blocked, is no drift. */
    if (r->chain_states[i] == NSH_OBJECT_STANDBY ||
            (r->chain_states[i] == NSH_OBJECT_PENDING && !r->desired->chains[i].blocked))
        return true;
    may = reconcile_may_repair(r, NSH_OBJECT_CHAIN + i, &its, &fight);
    if (!may && its < *until)
        *until = its;
    if (fight && !fight_is_known(r, i)) {
        if (!*asked) /* who did it to one did it to all that this look shows */
            reconcile_look_for_culprit(r, r->desired->chains[i].family);
        *asked = true;
        reconcile_note_drift(r, i, NSH_REPORT_FIGHT,
                reconcile_fight_text(r, NSH_OBJECT_CHAIN + i, text, sizeof text));
    }
    return may;
}

/* What somebody puts into a table of ours, and no wanted chain is touched by, goes by the table. */
static bool may_clear(
        struct nsh_reconciler *r, int family, enum nsh_table table, uint64_t *ret_until)
{
    bool fight, may = reconcile_may_repair(r, reconcile_table_id(family, table), ret_until, &fight);
    char text[96], name[64];
    struct report_args args = {.kind = NSH_REPORT_FIGHT, .detail = text};

    if (!fight)
        return may;
    reconcile_look_for_culprit(r, family);
    args.culprit = r->firewall_culprit_pid != 0 ? r->firewall_culprit : NULL;
    args.culprit_pid = r->firewall_culprit_pid;
    reconcile_fight_text(r, reconcile_table_id(family, table), text, sizeof text);
    snprintf(name, sizeof name, "%s %s chains", family == AF_INET6 ? "ipv6" : "ipv4",
            nsh_table_name(table));
    report_plain(r, "clearing of our", name, &args);
    return may;
}

bool reconcile_hold_back(struct nsh_reconciler *r, const struct nsh_firewall_plan *plan, int family,
        enum nsh_table table)
{
    uint64_t until = UINT64_MAX, *wait = &r->firewall_wait[nsh_family_index(family)];
    bool may = false, asked = false;

    if (r->settling)
        return false;
    for (size_t i = 0; i < r->desired->n_chains; i++)
        if (reconcile_touches(r, plan, family, table, i))
            may = may_mend(r, i, &until, &asked) || may;
    if (!reconcile_touches_some(r, plan, family, table))
        may = may_clear(r, family, table, &until);
    if (may)
        return false;
    if (*wait == 0 || until < *wait)
        *wait = until;
    for (size_t i = 0; i < r->desired->n_chains; i++) {
        if (!reconcile_touches(r, plan, family, table, i) || r->desired->chains[i].blocked)
            continue;
        r->chain_states[i] = NSH_OBJECT_WRONG;
        nsh_notes_set_reason(r->notes, NSH_OBJECT_CHAIN + i, backing_off);
    }
    return true;
}
