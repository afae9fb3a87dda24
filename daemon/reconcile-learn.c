/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Gateways that others learn: what a route with `via: {learned-on: DEVICE}` leads to follows the
 * default routes that others put there.
 *
 * It must not cost a look at all routes whenever one of them changes: the kernel can't be asked for
 * default routes alone, and where a routing daemon keeps a million routes a look takes half a
 * second. So they are learned from their own events, for which the filter is opened; a look is
 * taken with the comparisons that read foreign routes anyhow, at the start, at a resync and when
 * events were lost, and once more when an IPv4 address leaves a device that is learned on: what
 * goes with the last address goes without a word. So does what led over a device that is
 * switched off, but that says enough by itself.
 */
#include "reconcile-internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"

/* ---- events ---- */

static bool is_ours(const struct nsh_reconciler *r, const struct nsh_route *route)
{
    return route->protocol == r->desired->protocol ||
           (r->also_ours != 0 && route->protocol == r->also_ours);
}

/* What stands where ours stood is on its way out again. */
static bool is_drift(const struct nsh_reconciler *r, const struct nsh_fib_event *e)
{
    size_t wanted = nsh_desired_find_route(r->desired, &e->route);

    return e->type == NSH_FIB_ROUTE_NEW && e->route_flags & NLM_F_REPLACE && wanted != SIZE_MAX &&
           r->route_states[wanted] == NSH_OBJECT_HELD;
}

void reconcile_learn_written(struct nsh_reconciler *r, const struct nsh_route *ours)
{
    if (r->learns && nsh_learner_taken(r->learner, ours))
        r->learned_dirty = true;
}

void reconcile_learn_route(struct nsh_reconciler *r, const struct nsh_fib_event *e)
{
    if (!r->learns || e->route.dst_length != 0 || is_ours(r, &e->route))
        return;
    if (is_drift(r, e))
        return;
    if (e->type == NSH_FIB_ROUTE_GONE)
        nsh_learner_removed(r->learner, &e->route);
    else if (nsh_learner_added(r->learner, &e->route, e->route_flags & NLM_F_REPLACE) < 0)
        reconcile_mark_routes(r, ROUTES_ALL);
    r->learned_dirty = true;
    reconcile_set_trigger(r, e->sender,
            e->type == NSH_FIB_ROUTE_GONE ? "a default route was removed"
                                          : "a default route was added");
}

void reconcile_learn_link(struct nsh_reconciler *r, const struct nsh_fib_event *e)
{
    if (!r->learns || (e->up && !e->gone))
        return;
    nsh_learner_device_down(r->learner, e->ifindex);
    r->learned_dirty = true;
}

static bool learns_on(const struct nsh_reconciler *r, uint32_t ifindex)
{
    for (size_t i = 0; i < r->desired->n_links; i++)
        if (r->desired->links[i].learns == AF_INET && r->desired->links[i].ifindex == ifindex)
            return true;
    return false;
}

void reconcile_learn_address(struct nsh_reconciler *r, const struct nsh_fib_event *e)
{
    if (r->learns && e->gone && e->family == AF_INET && learns_on(r, e->ifindex) &&
            nsh_learner_uses(r->learner, AF_INET, e->ifindex))
        reconcile_mark_routes(r, ROUTES_ALL);
}

/* ---- what was learned ---- */

static void effect_text(const struct gate_effect *e, char *buf, size_t size)
{
    const struct {
        size_t n;
        const char *one, *many;
    } parts[] = {
            {e->back, "route back", "routes back"},
            {e->changed, "route follows", "routes follow"},
            {e->withdrawn, "route withdrawn", "routes withdrawn"},
    };
    size_t used = 0;

    buf[0] = '\0';
    for (size_t i = 0; i < NSH_ARRAY_SIZE(parts) && used < size; i++)
        if (parts[i].n > 0)
            used += (size_t)snprintf(buf + used, size - used, "; %zu %s", parts[i].n,
                    parts[i].n == 1 ? parts[i].one : parts[i].many);
}

static void tell_learned(
        struct nsh_reconciler *r, const struct nsh_link *link, const struct gate_effect *e)
{
    char name[64], via[NSH_ADDR_TEXT] = "", effect[128], detail[256];
    struct report_args args = {.kind = NSH_REPORT_LEARNED, .detail = detail};

    args.count = e->withdrawn + e->back + e->changed;
    if (link->learned == NSH_LEARNED_GATEWAY)
        nsh_addr_format(link->via_family, &link->via, via);
    effect_text(e, effect, sizeof effect);
    snprintf(name, sizeof name, "on %s (%s)", link->name,
            link->learns == AF_INET6 ? "ipv6" : "ipv4");
    snprintf(detail, sizeof detail, "%s%s",
            link->learned == NSH_LEARNED_GATEWAY  ? via
            : link->learned == NSH_LEARNED_DEVICE ? "not needed, the device is enough"
                                                  : "gone",
            effect);
    report_plain(r, "gateway", name, &args);
}

static bool same_choice(const struct nsh_link *a, const struct nsh_link *b)
{
    return a->learned == b->learned && a->via_family == b->via_family &&
           a->via_flags == b->via_flags && nsh_addr_cmp(&a->via, &b->via) == 0;
}

/* Who holds its key, if anyone still does, is to be seen once more: among all of them. */
static bool may_be_held(const struct nsh_reconciler *r, size_t wanted)
{
    return r->route_states[wanted] == NSH_OBJECT_CONFLICTING &&
           nsh_desired_standing(r->desired, &r->desired->routes[wanted], NULL) ==
                   NSH_STANDING_WANTED;
}

/* That nothing was known before is no news: the routes themselves are told of. */
static void change_link(struct nsh_reconciler *r, size_t i, const struct nsh_link *now, bool in_job)
{
    struct nsh_link *link = &r->desired->links[i];
    bool first = link->learned == NSH_LEARNED_UNKNOWN;
    struct gate_effect e = {0};
    size_t n;
    const uint32_t *routes = nsh_desired_of_link(r->desired, i, &n);

    for (size_t k = 0; k < n; k++)
        reconcile_prepare(r, routes[k], !first, in_job);
    *link = *now;
    for (size_t k = 0; k < n; k++) {
        reconcile_changed(r, routes[k], &e);
        if (in_job && may_be_held(r, routes[k]))
            r->job.occupied = true;
    }
    if (!first)
        tell_learned(r, link, &e);
}

static void choose_all(struct nsh_reconciler *r, bool in_job)
{
    for (size_t i = 0; i < r->desired->n_links; i++) {
        struct nsh_link now = r->desired->links[i];

        if (now.learns == AF_UNSPEC)
            continue;
        nsh_learner_choose(r->learner, &now);
        if (!same_choice(&now, &r->desired->links[i]))
            change_link(r, i, &now, in_job);
    }
}

int reconcile_learned(struct nsh_reconciler *r)
{
    int q = 0;

    if (!r->learns || (!r->learned_dirty && !r->links_dirty))
        return 0;
    if (r->links_dirty)
        q = reconcile_resolve(r);
    if (q < 0)
        return q;
    choose_all(r, false);
    r->learned_dirty = false;
    return 0;
}

/* ---- looks ---- */

bool reconcile_wants_look(const struct nsh_reconciler *r)
{
    return r->learns && !nsh_learner_has_looked(r->learner);
}

void reconcile_look_begin(struct nsh_reconciler *r)
{
    if (r->learns)
        nsh_learner_begin(r->learner);
}

int reconcile_look_see(struct nsh_reconciler *r, const struct nsh_route *seen)
{
    return r->learns && !is_ours(r, seen) ? nsh_learner_see(r->learner, seen) : 0;
}

void reconcile_look_end(struct nsh_reconciler *r)
{
    if (!r->learns)
        return;
    if (nsh_learner_end(r->learner))
        reconcile_mark_routes(r, ROUTES_ALL);
    choose_all(r, true);
}

void reconcile_learn_what(struct nsh_reconciler *r)
{
    r->learns = false;
    for (size_t i = 0; i < r->desired->n_links; i++)
        r->learns = r->learns || r->desired->links[i].learns != AF_UNSPEC;
    r->learned_dirty = r->learns;
    if (!r->learns)
        nsh_learner_clear(r->learner);
    else if (reconcile_wants_look(r))
        reconcile_mark_routes(r, ROUTES_ALL);
}
