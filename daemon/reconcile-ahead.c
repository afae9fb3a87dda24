/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules of others that take packets before they come to ours. What ours say stands, so the policy
 * is held; but part of what it is for, or all of it, does not happen. It is told when it begins
 * and when it ends, and not fought: what comes first is for the administrator to say, who has
 * position: first for it.
 *
 * On iptables such rules are seen with the built-in chains that ours are in, on nftables they are
 * asked for.
 */
#include "reconcile-internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

const char *reconcile_ahead_reason(const struct nsh_reconciler *r, size_t chain)
{
    return nsh_notes_reason(r->notes, NSH_OBJECT_AHEAD + chain);
}

static void tell_end(struct nsh_reconciler *r, size_t chain)
{
    struct report_args args = {
            .kind = NSH_REPORT_CHANGED, .cause = "no rule of others comes first any more"};

    nsh_notes_set_reason(r->notes, NSH_OBJECT_AHEAD + chain, NULL);
    report_chain(r, &r->desired->chains[chain], &args);
}

/* Only a masquerade policy can be told to come first. */
static bool can_overtake(const struct nsh_chain *c, const struct nsh_ahead_seen *ahead)
{
    return c->kind == NSH_POLICY_MASQUERADE && c->position == NSH_POSITION_LAST &&
           ahead->first_helps;
}

void reconcile_ahead_take(
        struct nsh_reconciler *r, size_t chain, const struct nsh_ahead_seen *ahead)
{
    const struct nsh_chain *c = &r->desired->chains[chain];
    bool known = reconcile_ahead_reason(r, chain) != NULL;
    char reason[NSH_AHEAD_TEXT + 16], detail[NSH_AHEAD_TEXT + 80];
    struct report_args args = {.kind = NSH_REPORT_BEHIND, .detail = detail};

    if (c->policy[0] == '\0' || (!ahead && !known))
        return;
    if (!ahead) {
        tell_end(r, chain);
        return;
    }
    snprintf(reason, sizeof reason, "behind %s", ahead->text);
    nsh_notes_set_reason(r->notes, NSH_OBJECT_AHEAD + chain, reason);
    if (known)
        return; /* by another rule than before, perhaps: status has the one it is now */
    snprintf(detail, sizeof detail, "%s; left alone%s", ahead->text,
            can_overtake(c, ahead) ? " (position: first goes before it)" : "");
    report_chain(r, c, &args);
}

/* ---- where they are asked for ---- */

static bool is_judged(const struct nsh_reconciler *r, size_t chain)
{
    const struct nsh_chain *c = &r->desired->chains[chain];

    return c->hook && c->policy[0] != '\0' && !c->standby &&
           r->chain_states[chain] == NSH_OBJECT_HELD;
}

void reconcile_poll_ahead(struct nsh_reconciler *r)
{
    const struct nsh_firewall_ops *ops = r->firewall->ops;

    if (ops->ahead_changed && ops->ahead_changed(r->firewall) > 0)
        r->ahead_dirty = true;
}

static const struct nsh_ahead_seen *find(
        const struct nsh_reconciler *r, size_t chain, const struct nsh_ahead_seen *seen, size_t n)
{
    const struct nsh_chain *c = &r->desired->chains[chain];

    for (size_t i = 0; i < n; i++)
        if (!(c->position == NSH_POSITION_FIRST && seen[i].first_helps) &&
                nsh_ahead_takes(&seen[i], c, r->desired))
            return &seen[i];
    return NULL;
}

static bool has_same_place(const struct nsh_chain *a, const struct nsh_chain *b)
{
    return a->hook && b->hook && a->family == b->family && a->table == b->table &&
           strcmp(a->hook, b->hook) == 0;
}

/* Once, until they can be again. */
static void tell_unjudged(
        struct nsh_reconciler *r, const struct nsh_chain *c, const struct nsh_ahead_seen *rest)
{
    uint8_t *told = &r->unjudged[nsh_family_index(c->family)];
    uint8_t bit = (uint8_t)(1U << (strcmp(c->hook, "PREROUTING") == 0));
    struct report_args args = {.kind = NSH_REPORT_WARNING};
    char place[NSH_CHAIN_NAME + 8], text[NSH_AHEAD_TEXT + 32];

    if (rest && !(*told & bit)) {
        snprintf(place, sizeof place, "%s (%s)", c->hook, c->family == AF_INET6 ? "ipv6" : "ipv4");
        snprintf(text, sizeof text, "not all judged: %s", rest->text);
        args.detail = text;
        report_plain(r, "rules of others before netshared's in", place, &args);
    }
    *told = (uint8_t)(rest ? *told | bit : *told & ~bit);
}

/* All that are in the hook of the first of them. Where it can't be seen, what was known stays. */
static void judge_hook(struct nsh_reconciler *r, size_t first, struct nsh_ahead_seen *seen)
{
    const struct nsh_chain *chains = r->desired->chains, *c = &chains[first];
    int n = r->firewall->ops->ahead(r->firewall, c->family, c->table, c->hook, seen);

    if (n >= 0)
        tell_unjudged(r, c, n > 0 && seen[n - 1].unjudged ? &seen[n - 1] : NULL);
    for (size_t i = first; n >= 0 && i < r->desired->n_chains; i++)
        if (has_same_place(&chains[i], c) && is_judged(r, i))
            reconcile_ahead_take(r, i, find(r, i, seen, (size_t)n));
}

/* There are a handful of places; more than fit are not judged. */
#define PLACES_MAX 16

void reconcile_ahead(struct nsh_reconciler *r)
{
    const struct nsh_chain *chains = r->desired->chains;
    nsh_autofree struct nsh_ahead_seen *seen = NULL;
    size_t places[PLACES_MAX], n = 0, k;

    r->ahead_dirty = false;
    if (!r->firewall->ops->ahead)
        return;
    seen = calloc(NSH_AHEAD_MAX, sizeof *seen);
    for (size_t i = 0; seen && i < r->desired->n_chains && n < PLACES_MAX; i++) {
        if (!is_judged(r, i))
            continue;
        for (k = 0; k < n && !has_same_place(&chains[places[k]], &chains[i]); k++)
            ;
        if (k < n)
            continue;
        places[n++] = i;
        judge_hook(r, i, seen);
    }
}
