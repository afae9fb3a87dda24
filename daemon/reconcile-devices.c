/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The interfaces that policies name. One that is not there may come yet, or be a slip of the pen:
 * then the rules are about nobody, and what they should protect has another name. Such a policy
 * stands, and is pending; but forwarding is not switched on for it, and what was switched on for
 * what the file said before is given back.
 *
 * An interface that goes, as ppp0 does with its line, leaves everything as it is: whoever has only
 * lost the line will have it again, and finds the rules and the forwarding of before. The kernel
 * tells when it comes.
 */
#include "reconcile-internal.h"

#include <stdio.h>
#include <string.h>

#include "resolve.h"

const char *reconcile_lack(const struct nsh_reconciler *r, size_t lead)
{
    return nsh_notes_reason(r->notes, NSH_OBJECT_ABSENT + lead);
}

/* ---- marks ---- */

/* It has come, has gone, or has another name. */
static bool moved(const struct nsh_desired *d, const struct nsh_fib_event *e)
{
    const struct nsh_device *named = e->name[0] ? nsh_desired_device(d, e->name) : NULL;

    if (named && (e->gone ? named->ifindex == e->ifindex : named->ifindex != e->ifindex))
        return true;
    for (size_t i = 0; i < d->n_devices; i++)
        if (d->devices[i].ifindex == e->ifindex && &d->devices[i] != named)
            return true;
    return false;
}

/* IPv6 is switched on or off: of that the addresses tell. */
static bool may_have_switched(const struct nsh_desired *d, const struct nsh_fib_event *e)
{
    for (size_t i = 0; e->family == AF_INET6 && i < d->n_devices; i++)
        if (d->devices[i].ifindex == e->ifindex)
            return d->devices[i].without_ipv6 != e->gone;
    return false;
}

void reconcile_device_event(
        struct nsh_reconciler *r, const struct nsh_fib_event *e, const char *text)
{
    const struct nsh_desired *d = r->desired;

    if (!d->devices_known || !(e->type == NSH_FIB_LINK ? moved(d, e) : may_have_switched(d, e)))
        return;
    nsh_desired_mark_device(d, e->ifindex, e->type == NSH_FIB_LINK ? e->name : "");
    reconcile_mark_devices(r, DEVICES_MARKED);
    reconcile_set_trigger(r, e->sender, text);
}

/* ---- telling ---- */

/* Nothing is kept from an interface by another name, while others are forwarded for. */
static bool is_open(const struct nsh_reconciler *r, const struct nsh_chain *c, bool others)
{
    return others && c->kind == NSH_POLICY_SHARE && !c->came &&
           nsh_desired_lacks_name(r->desired, c);
}

/* What is new of one family's share in a policy: 0: nothing. */
static int look_at(struct nsh_reconciler *r, size_t lead, bool others, char *why, size_t size)
{
    const struct nsh_chain *c = &r->desired->chains[lead];
    bool known = reconcile_lack(r, lead) != NULL, open = nsh_desired_is_open(r->desired, c->when);
    const char *lack = open ? nsh_desired_lack(r->desired, c, why, size) : NULL;
    bool news;

    if (lack && is_open(r, c, others))
        snprintf(why + strlen(why), size - strlen(why), "; " NSH_UNFILTERED_TEXT);
    news = nsh_notes_set_reason(r->notes, NSH_OBJECT_ABSENT + lead, lack) > 0;
    if (lack)
        return news ? NSH_REPORT_PENDING : 0;
    return known && open ? NSH_REPORT_CHANGED : 0;
}

/* The chains from `first` to before `end` are those of a policy. */
static void tell_policy(
        struct nsh_reconciler *r, size_t first, size_t end, const bool others[static NSH_FAMILIES])
{
    char why[NSH_FAMILIES][NSH_LACK_TEXT + 128] = {"", ""};
    size_t leads[NSH_FAMILIES] = {SIZE_MAX, SIZE_MAX};
    int told[NSH_FAMILIES] = {0};
    bool both;

    for (size_t i = end; i-- > first;)
        leads[nsh_family_index(r->desired->chains[i].family)] = i;
    for (int f = 0; f < NSH_FAMILIES; f++)
        if (leads[f] != SIZE_MAX)
            told[f] = look_at(r, leads[f], others[f], why[f], sizeof why[f]);
    both = told[NSH_V4] != 0 && told[NSH_V4] == told[NSH_V6] &&
           strcmp(why[NSH_V4], why[NSH_V6]) == 0;
    for (int f = 0; f < NSH_FAMILIES; f++) {
        struct report_args args = {.kind = (enum nsh_report_kind)told[f], .both = both};

        if (told[f] == 0 || (both && f == NSH_V6))
            continue;
        if (told[f] == NSH_REPORT_PENDING)
            args.detail = why[f];
        else
            args.cause = "what it needs is there now";
        report_chain(r, &r->desired->chains[leads[f]], &args);
    }
}

static bool lacks_share(const struct nsh_desired *d, int family)
{
    for (size_t i = 0; i < d->n_chains; i++)
        if (d->chains[i].kind == NSH_POLICY_SHARE && d->chains[i].family == family &&
                d->chains[i].absent)
            return true;
    return false;
}

static void tell_all(struct nsh_reconciler *r)
{
    const struct nsh_chain *chains = r->desired->chains;
    bool others[NSH_FAMILIES];
    size_t end;

    for (int f = 0; f < NSH_FAMILIES; f++)
        others[f] = lacks_share(r->desired, nsh_family_of(f)) && reconcile_forwards_others(r, f);
    for (size_t i = 0; i < r->desired->n_chains; i = end) {
        end = reconcile_policy_end(r, i);
        if (chains[i].policy[0] != '\0')
            tell_policy(r, i, end, others);
    }
}

/* ---- a pass ---- */

int reconcile_devices(struct nsh_reconciler *r)
{
    bool lacked = r->desired->lacks[NSH_V6], changed = false;
    int q = 0;

    if (r->devices_dirty == DEVICES_CLEAN)
        return 0;
    if (r->devices_dirty == DEVICES_ALL)
        q = nsh_desired_resolve_devices(r->fib, r->desired, &changed);
    else if (r->devices_dirty == DEVICES_MARKED)
        q = nsh_desired_resolve_marked(r->fib, r->desired, &changed);

    if (changed) {
        nsh_desired_settle(r->desired);
        reconcile_settle_chains(r);
        r->forwarding_dirty = true;
        memset(r->tidy, 0, sizeof r->tidy);
    }
    if (q < 0)
        return q;
    r->devices_dirty = DEVICES_CLEAN;
    if (lacked != r->desired->lacks[NSH_V6])
        r->firewall_dirty[NSH_V6] = r->unwanted_dirty = true;
    tell_all(r);
    return 0;
}

/* ---- a new configuration ---- */

static bool has_all(const struct nsh_device_list *list, const struct nsh_device_list *of)
{
    for (uint32_t i = 0; i < of->n; i++)
        if (!nsh_device_list_has(list, of->items[i]))
            return false;
    return true;
}

/* In whatever order. */
static bool same_side(const struct nsh_device_list *a, const struct nsh_device_list *b)
{
    return a && b ? has_all(a, b) && has_all(b, a) : a == b;
}

bool reconcile_came_before(const struct nsh_chain *before, const struct nsh_chain *now)
{
    for (size_t s = 0; s < NSH_CHAIN_SIDES; s++)
        if (!same_side(before->sides[s], now->sides[s]))
            return false;
    return before->came;
}
