/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Flows that began untranslated while a policy was missing: their entries are deleted after the
 * repair, so that the next packet is translated. In pieces, one in each pass.
 *
 * An answer that is under way while its flow's entry is deleted becomes the first packet of a flow
 * in the other direction, untranslated again. That shows only afterwards. So a look that found
 * something is followed by others, and since one of those may meet an answer as well, so is each
 * of them that found something.
 */
#include "reconcile-internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

static const uint64_t again_after[] = {100000, 400000};
#define LOOKS_MAX 20

/* Where it can't be had, a gap is as it would be without. */
void reconcile_hold(struct nsh_firewall *fw, int family, bool on)
{
    if (fw->ops->hold)
        (void)fw->ops->hold(fw, family, on);
}

void reconcile_flows_want(struct nsh_reconciler *r, int f)
{
    r->flows_wanted[f] = true;
    r->flows_again[f].looks = 0;
}

static int begin(struct nsh_reconciler *r)
{
    int f = r->flows_wanted[NSH_V4] ? NSH_V4 : NSH_V6;
    int q;

    r->flows_wanted[f] = false;
    r->flows_again[f].at = 0;
    if (!r->conntrack) {
        q = nsh_conntrack_new(&r->conntrack);
        if (q < 0)
            return q;
    }
    q = nsh_conntrack_begin(r->conntrack, nsh_family_of(f));
    if (q == 0)
        r->flows_family = nsh_family_of(f);
    return q;
}

static int step(struct nsh_reconciler *r)
{
    nsh_autofree const struct nsh_chain **chains = NULL;
    size_t n = 0;

    chains = calloc(r->desired->n_chains + 1, sizeof(struct nsh_chain *));
    if (!chains)
        return -ENOMEM;
    for (size_t i = 0; i < r->desired->n_chains; i++) {
        const struct nsh_chain *c = &r->desired->chains[i];

        if (c->family == r->flows_family && c->table == NSH_TABLE_NAT && !c->standby)
            chains[n++] = c;
    }
    return nsh_conntrack_step(r->conntrack, r->fib,
            &(struct nsh_translations){chains, n, r->desired->sets, r->desired->n_sets});
}

bool reconcile_follow_up(const struct nsh_reconciler *r, struct follow_up *f, bool found)
{
    size_t n = NSH_ARRAY_SIZE(again_after);

    if (found)
        f->left = (uint8_t)n;
    if (f->left == 0 || f->looks >= LOOKS_MAX) {
        f->left = 0;
        return false;
    }
    f->at = reconcile_now(r) + again_after[n - f->left];
    f->left--;
    f->looks++;
    return true;
}

static void end(struct nsh_reconciler *r)
{
    struct report_args args = {
            .kind = NSH_REPORT_FLOWS, .count = nsh_conntrack_deleted(r->conntrack)};

    int f = nsh_family_index(r->flows_family);

    /* What a later look deletes are the same flows once more. */
    if (args.count > 0 && r->flows_again[f].looks == 0)
        report_plain(r, "masquerade", r->flows_family == AF_INET6 ? "ipv6" : "ipv4", &args);
    if (!reconcile_follow_up(r, &r->flows_again[f], args.count > 0))
        nsh_conntrack_forget(r->conntrack, r->flows_family);
    r->flows_family = AF_UNSPEC;
}

static void give_up(struct nsh_reconciler *r, int error)
{
    struct report_args args = {.kind = NSH_REPORT_FAILED, .detail = strerror(-error)};

    if (error != -EOPNOTSUPP)
        report_plain(r, "search for untranslated flows", NULL, &args);
    r->flows_family = AF_UNSPEC;
    for (int f = 0; f < NSH_FAMILIES; f++) {
        r->flows_again[f] = (struct follow_up){0};
        if (r->conntrack)
            nsh_conntrack_forget(r->conntrack, nsh_family_of(f));
    }
}

void reconcile_flows(struct nsh_reconciler *r)
{
    int q = 0;

    for (int f = 0; f < NSH_FAMILIES; f++)
        if (r->flows_again[f].at != 0 && r->flows_again[f].at <= reconcile_now(r))
            r->flows_wanted[f] = true;
    if (r->flows_family == AF_UNSPEC) {
        if (!r->flows_wanted[NSH_V4] && !r->flows_wanted[NSH_V6])
            return;
        q = begin(r);
    }
    if (q == 0)
        q = step(r);
    if (q == 0)
        end(r);
    else if (q < 0)
        give_up(r, q);
}
