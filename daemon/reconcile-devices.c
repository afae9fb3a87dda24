/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The interfaces that policies name. One that is not there may come yet, or be a slip of the pen:
 * then the rules are about nobody, and what they should protect has another name. Such a policy
 * stands, and is pending; but forwarding is not switched on for it, and what was switched on for
 * what the file said before is given back. One that was renamed is no other case.
 *
 * An interface that goes, as ppp0 does with its line, leaves everything as it is: whoever has only
 * lost the line will have it again, and finds the rules and the forwarding of before. The kernel
 * tells when it comes. That it may have come under another name while nobody looked is said.
 *
 * Of several interfaces on one side one is enough: the policy is held. Which of them are not there
 * is told once, as long as it is the same ones.
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

/* Nothing is kept from an interface by another name, while its family is forwarded. */
static bool is_open(const struct nsh_reconciler *r, const struct nsh_chain *c, bool forwarded)
{
    return forwarded && c->kind == NSH_POLICY_SHARE && nsh_desired_lacks_name(r->desired, c);
}

static bool is_same_lack(const char *before, const char *lack)
{
    size_t n = strlen(lack);

    return before && strncmp(before, lack, n) == 0 && (before[n] == '\0' || before[n] == ';');
}

/* What is new of one family's share in a policy. */
struct news {
    int kind; /* 0: nothing */
    const char *cause;
    char detail[NSH_LACK_TEXT + 128];
};

/*
 * Of what it lacks to do anything. That something is open is new once as long as the same is
 * lacking, however often somebody switches forwarding.
 */
static void look_for_lack(struct nsh_reconciler *r, size_t lead, bool forwarded, struct news *ret)
{
    struct nsh_chain *c = &r->desired->chains[lead];
    const char *before = reconcile_lack(r, lead);
    bool known = before != NULL, judged = nsh_desired_is_open(r->desired, c->when);
    const char *lack =
            judged ? nsh_desired_lack(r->desired, c, ret->detail, sizeof ret->detail) : NULL;
    bool open = lack && is_open(r, c, forwarded), news = lack && !is_same_lack(before, lack);
    size_t used = lack ? strlen(lack) : 0;

    news = news || (open && !c->open_told);
    c->open_told = lack && (c->open_told || open);
    if (open)
        snprintf(ret->detail + used, sizeof ret->detail - used, "; " NSH_UNFILTERED_TEXT);
    nsh_notes_set_reason(r->notes, NSH_OBJECT_ABSENT + lead, lack);
    if (lack)
        ret->kind = news ? NSH_REPORT_PENDING : 0;
    else
        ret->kind = known && judged ? NSH_REPORT_CHANGED : 0;
    ret->cause = "what it needs is there now";
}

/* Of what it does without: nothing while it can't do anything. `known`: it could not until now. */
static void look_for_rest(
        struct nsh_reconciler *r, size_t lead, bool forwarded, bool known, struct news *ret)
{
    const struct nsh_chain *c = &r->desired->chains[lead];
    const char *rest;

    if (!nsh_desired_is_open(r->desired, c->when) || reconcile_lack(r, lead))
        return;
    rest = nsh_desired_partly(r->desired, c, false, ret->detail, sizeof ret->detail);
    if (nsh_notes_set_reason(r->notes, NSH_OBJECT_PARTLY + lead, rest) <= 0)
        return;
    if (rest)
        nsh_desired_partly(r->desired, c, forwarded, ret->detail, sizeof ret->detail);
    ret->kind = rest ? NSH_REPORT_WARNING : known ? 0 : NSH_REPORT_CHANGED;
    ret->cause = "all that it names is there now";
}

/* In one line if both families have the same to tell. */
static void tell_news(struct nsh_reconciler *r, const size_t leads[static NSH_FAMILIES],
        const struct news news[static NSH_FAMILIES])
{
    const struct news *v4 = &news[NSH_V4], *v6 = &news[NSH_V6];
    bool both = v4->kind != 0 && v4->kind == v6->kind &&
                (v4->kind == NSH_REPORT_CHANGED || strcmp(v4->detail, v6->detail) == 0);

    for (int f = 0; f < NSH_FAMILIES; f++) {
        struct report_args args = {.kind = (enum nsh_report_kind)news[f].kind, .both = both};

        if (news[f].kind == 0 || (both && f == NSH_V6))
            continue;
        if (news[f].kind == NSH_REPORT_CHANGED)
            args.cause = news[f].cause;
        else
            args.detail = news[f].detail;
        report_chain(r, &r->desired->chains[leads[f]], &args);
    }
}

/* What is told of every policy. */
struct telling {
    bool forwarded[NSH_FAMILIES];
    bool warned; /* the reload has told of each name already, but of what waits for a condition */
};

/* The chains from `first` to before `end` are those of a policy. */
static void tell_policy(struct nsh_reconciler *r, size_t first, size_t end, const struct telling *t)
{
    struct news lack[NSH_FAMILIES] = {0}, rest[NSH_FAMILIES] = {0};
    size_t leads[NSH_FAMILIES] = {SIZE_MAX, SIZE_MAX};

    for (size_t i = end; i-- > first;)
        leads[nsh_family_index(r->desired->chains[i].family)] = i;
    for (int f = 0; f < NSH_FAMILIES; f++) {
        if (leads[f] == SIZE_MAX)
            continue;
        look_for_lack(r, leads[f], t->forwarded[f], &lack[f]);
        look_for_rest(r, leads[f], t->forwarded[f], lack[f].kind == NSH_REPORT_CHANGED, &rest[f]);
        if (t->warned && r->desired->chains[leads[f]].when == NSH_NO_GATE)
            rest[f].kind = 0;
    }
    tell_news(r, leads, lack);
    tell_news(r, leads, rest);
}

/* What is not there of a share may be open under another name. */
static bool misses_some(const struct nsh_desired *d, int family)
{
    char buf[NSH_LACK_TEXT];

    for (size_t i = 0; i < d->n_chains; i++) {
        const struct nsh_chain *c = &d->chains[i];

        if (c->kind == NSH_POLICY_SHARE && c->family == family &&
                (c->absent || nsh_desired_partly(d, c, false, buf, sizeof buf)))
            return true;
    }
    return false;
}

static void tell_all(struct nsh_reconciler *r, bool warned)
{
    const struct nsh_chain *chains = r->desired->chains;
    struct telling t = {.warned = warned};
    size_t end;

    for (int f = 0; f < NSH_FAMILIES; f++)
        t.forwarded[f] = misses_some(r->desired, nsh_family_of(f)) && reconcile_is_forwarded(r, f);
    for (size_t i = 0; i < r->desired->n_chains; i = end) {
        end = reconcile_policy_end(r, i);
        if (chains[i].policy[0] != '\0')
            tell_policy(r, i, end, &t);
    }
}

/* ---- a pass ---- */

static void settle(struct nsh_reconciler *r)
{
    bool forwarded[NSH_FAMILIES];

    memcpy(forwarded, r->desired->forwarding, sizeof forwarded);
    nsh_desired_settle(r->desired);
    reconcile_settle_chains(r);
    r->forwarding_dirty = true;
    for (int f = 0; f < NSH_FAMILIES; f++) /* what is given back is on the way down */
        if (forwarded[f] && !r->desired->forwarding[f])
            r->unwanted_dirty = true;
    memset(r->tidy, 0, sizeof r->tidy);
}

int reconcile_devices(struct nsh_reconciler *r)
{
    bool lacked = r->desired->lacks[NSH_V6], changed = false;
    bool all = r->devices_dirty == DEVICES_ALL;
    int q = 0;

    if (r->devices_dirty == DEVICES_CLEAN)
        return 0;
    if (all)
        q = nsh_desired_resolve_devices(r->fib, r->desired, &changed);
    else if (r->devices_dirty == DEVICES_MARKED)
        q = nsh_desired_resolve_marked(r->fib, r->desired, &changed);

    if (changed)
        settle(r);
    if (q < 0)
        return q;
    r->devices_dirty = DEVICES_CLEAN;
    if (lacked != r->desired->lacks[NSH_V6])
        r->firewall_dirty[NSH_V6] = r->unwanted_dirty = true;
    tell_all(r, all && r->settling && r->occasion == NSH_OCCASION_RELOAD);
    return 0;
}

/* ---- a new configuration ---- */

void reconcile_carry_devices(const struct nsh_desired *before, struct nsh_desired *now)
{
    for (size_t i = 0; i < now->n_devices; i++) {
        const struct nsh_device *one = nsh_desired_device(before, now->devices[i].name);

        if (one)
            now->devices[i].ifindex = one->ifindex;
    }
}

static bool has_all(const struct nsh_device_list *list, const struct nsh_device_list *of)
{
    for (uint32_t i = 0; i < of->n; i++)
        if (!nsh_device_list_has(list, of->items[i]))
            return false;
    return true;
}

static bool is_in_order(const struct nsh_device_list *a, const struct nsh_device_list *b)
{
    for (uint32_t i = 0; i < a->n; i++)
        if (strcmp(a->items[i], b->items[i]) != 0)
            return false;
    return true;
}

/* In whatever order, which seldom changes. No list has a name twice. */
static bool same_side(const struct nsh_device_list *a, const struct nsh_device_list *b)
{
    if (!a || !b)
        return a == b;
    return a->n == b->n && (is_in_order(a, b) || has_all(a, b));
}

bool reconcile_came_before(const struct nsh_chain *before, const struct nsh_chain *now)
{
    for (size_t s = 0; s < NSH_CHAIN_SIDES; s++)
        if (!same_side(before->sides[s], now->sides[s]))
            return false;
    return before->came;
}

/* ---- what a run before has left ---- */

/* All chains of a policy in this family are as a run before has left them, and one has to wait. */
static bool is_left_waiting(const struct nsh_reconciler *r, size_t first, size_t end, int family)
{
    bool waits = false;

    for (size_t i = first; i < end; i++) {
        const struct nsh_chain *c = &r->desired->chains[i];

        if (c->family != family || c->standby)
            continue;
        if (c->altered || r->chain_states[i] != NSH_OBJECT_HELD)
            return false;
        waits = waits || (c->absent && !c->came);
    }
    return waits;
}

void reconcile_take_over(struct nsh_reconciler *r, int f)
{
    struct nsh_chain *chains = r->desired->chains;
    bool any = false;

    if (!r->settling || r->occasion != NSH_OCCASION_START || !reconcile_switched_on(r, f))
        return;
    for (size_t i = 0, end; i < r->desired->n_chains; i = end) {
        end = reconcile_policy_end(r, i);
        if (chains[i].policy[0] == '\0' || !is_left_waiting(r, i, end, nsh_family_of(f)))
            continue;
        for (size_t k = i; k < end; k++)
            chains[k].came = chains[k].came || chains[k].family == nsh_family_of(f);
        any = true;
    }
    if (any) {
        reconcile_mark_devices(r, DEVICES_TELL);
        nsh_desired_settle(r->desired);
    }
}
