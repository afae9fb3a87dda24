/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shares whose packets rules of others drop. Such a share is pending, with the chain's name and the
 * commands that help. Its own rules stand all the same: they do no harm, connections that the other
 * rules let through go on by them, and it works the moment the other rules do.
 */
#include "reconcile-internal.h"

#include <stdio.h>
#include <string.h>

#define PATHS_MAX 64
#define REASON_SIZE (sizeof(struct nsh_forward_drop) + 64)

const char *reconcile_drop_reason(const struct nsh_reconciler *r, size_t lead)
{
    return nsh_notes_reason(r->notes, NSH_OBJECT_DROP + lead);
}

static bool is_judged(const struct nsh_reconciler *r, size_t chain)
{
    const struct nsh_chain *c = &r->desired->chains[chain];

    return c->kind == NSH_POLICY_SHARE && c->table == NSH_TABLE_FILTER &&
           reconcile_is_lead(r, chain);
}

static bool may_have_changed(struct nsh_firewall *fw)
{
    return fw && fw->ops->drops_changed && fw->ops->drops_changed(fw) > 0;
}

void reconcile_poll_drops(struct nsh_reconciler *r)
{
    bool any = false;

    for (size_t i = 0; !any && i < r->desired->n_chains; i++)
        any = is_judged(r, i);
    if (any && (may_have_changed(r->firewall) || may_have_changed(r->other)))
        r->drops_dirty = true;
}

static int ask(struct nsh_reconciler *r, struct nsh_firewall *fw, const struct nsh_chain *c,
        struct nsh_forward_drop *ret)
{
    struct nsh_forward_path paths[PATHS_MAX];
    size_t n = nsh_forward_paths(c, paths, PATHS_MAX);

    if (!fw || !fw->ops->drops || n == 0)
        return 0;
    return fw->ops->drops(fw, c->family, fw == r->firewall, paths, n, ret);
}

/* Where it can't be seen, what was known stays. */
static void judge(struct nsh_reconciler *r, size_t lead)
{
    const struct nsh_chain *c = &r->desired->chains[lead];
    struct nsh_forward_drop drop;
    char reason[REASON_SIZE];
    struct report_args args = {.kind = NSH_REPORT_PENDING, .detail = reason};
    bool was = reconcile_drop_reason(r, lead) != NULL;
    int q = c->standby ? 0 : ask(r, r->firewall, c, &drop);

    if (q == 0 && !c->standby)
        q = ask(r, r->other, c, &drop);
    if (q < 0)
        return;
    if (q == 0) {
        nsh_notes_set_reason(r->notes, NSH_OBJECT_DROP + lead, NULL);
        args = (struct report_args){
                .kind = NSH_REPORT_CHANGED, .cause = "nothing drops what it forwards any more"};
        if (was && !c->standby)
            report_chain(r, c, &args);
        return;
    }
    snprintf(reason, sizeof reason, "%s drops forwarded packets; run: %s", drop.what, drop.fix);
    if (nsh_notes_set_reason(r->notes, NSH_OBJECT_DROP + lead, reason) > 0)
        report_chain(r, c, &args);
}

void reconcile_drops(struct nsh_reconciler *r)
{
    r->drops_dirty = false;
    for (size_t i = 0; i < r->desired->n_chains; i++)
        if (is_judged(r, i))
            judge(r, i);
}
