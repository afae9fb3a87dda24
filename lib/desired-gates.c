/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What of the wanted is in force now: all of it but for what names a closed gate or a gateway that
 * nobody has learned. Policies whose interfaces are not there stand, so that nothing passes by them
 * when these come; but nothing is forwarded for them.
 *
 * Such a route is made anew whenever it is compared or written: its properties with the nexthops
 * that are left and the gateways as they are known. All other routes are wanted as they stand in
 * the configuration, and a look at `varies` is all that it costs them.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "desired.h"

bool nsh_desired_is_open(const struct nsh_desired *d, nsh_gate_id gate)
{
    return gate == NSH_NO_GATE || d->gate_states[gate].open;
}

/* ---- routes ---- */

static const struct nsh_link *learned_by(const struct nsh_desired *d, const struct nsh_nexthop *n)
{
    return n->learned && n->link != NSH_NO_LINK ? &d->links[n->link] : NULL;
}

/* Why a nexthop is left out, for another reason than that its device is not there. */
static enum nsh_standing nexthop_standing(const struct nsh_desired *d, const struct nsh_nexthop *n)
{
    const struct nsh_link *link = learned_by(d, n);

    if (!nsh_desired_is_open(d, n->check))
        return NSH_STANDING_STANDBY;
    if (!link || link->learned >= NSH_LEARNED_DEVICE)
        return NSH_STANDING_WANTED;
    return link->learned == NSH_LEARNED_UNKNOWN ? NSH_STANDING_UNDECIDED : NSH_STANDING_UNLEARNED;
}

static enum nsh_standing standby(struct nsh_hold *ret, nsh_gate_id gate)
{
    if (ret)
        *ret = (struct nsh_hold){.gate = gate, .link = NSH_NO_LINK};
    return NSH_STANDING_STANDBY;
}

/* One nexthop that can be used is enough; with none, the first that is missing is why. */
static enum nsh_standing nexthops_standing(
        const struct nsh_desired *d, const struct nsh_route_props *p, struct nsh_hold *ret)
{
    enum nsh_standing why = NSH_STANDING_WANTED;
    struct nsh_hold hold = {.link = NSH_NO_LINK};
    bool usable = false;

    for (uint32_t i = 0; i < p->n_nexthops; i++) {
        const struct nsh_nexthop *n = &p->nexthops[i];
        enum nsh_standing s = nexthop_standing(d, n);

        if (s == NSH_STANDING_UNDECIDED)
            return s;
        if (s == NSH_STANDING_WANTED && !nsh_nexthop_is_absent(n, d->links))
            usable = true;
        if (s == NSH_STANDING_WANTED || why != NSH_STANDING_WANTED)
            continue;
        why = s;
        hold.gate = s == NSH_STANDING_STANDBY ? n->check : NSH_NO_GATE;
        hold.link = n->link;
    }
    if (usable || why == NSH_STANDING_WANTED)
        return NSH_STANDING_WANTED;
    if (ret)
        *ret = hold;
    return why;
}

enum nsh_standing nsh_desired_standing(
        const struct nsh_desired *d, const struct nsh_route *route, struct nsh_hold *ret)
{
    const struct nsh_route_props *p = route->props;

    if (p->varies == 0)
        return route->table == NSH_NO_TABLE ? NSH_STANDING_UNPLACED : NSH_STANDING_WANTED;
    if (!nsh_desired_is_open(d, p->when))
        return standby(ret, p->when);
    if (route->table == NSH_NO_TABLE)
        return NSH_STANDING_UNPLACED;
    return nexthops_standing(d, p, ret);
}

/* The nexthop as it is to be now. */
static struct nsh_nexthop effective_nexthop(
        const struct nsh_desired *d, const struct nsh_nexthop *n)
{
    const struct nsh_link *link = learned_by(d, n);
    struct nsh_nexthop now = *n;

    now.check = NSH_NO_GATE;
    now.learned = 0;
    if (link && link->learned == NSH_LEARNED_GATEWAY) {
        now.via_family = link->via_family;
        now.via = link->via;
        now.flags |= link->via_flags;
    } else if (link) {
        now.flags = 0; /* on-link is about a gateway */
    }
    return now;
}

struct nsh_route nsh_desired_effective(
        const struct nsh_desired *d, const struct nsh_route *route, union nsh_route_room *room)
{
    const struct nsh_route_props *want = route->props;
    struct nsh_route_props *now = &room->props;
    struct nsh_route made = *route;

    if (want->varies == 0)
        return made;
    memcpy(now, want, nsh_route_props_size(0));
    now->n_nexthops = 0;
    for (uint32_t i = 0; i < want->n_nexthops; i++)
        if (nexthop_standing(d, &want->nexthops[i]) == NSH_STANDING_WANTED)
            now->nexthops[now->n_nexthops++] = effective_nexthop(d, &want->nexthops[i]);
    now->when = NSH_NO_GATE;
    now->varies = 0;
    if (want->varies & NSH_VARIES_SCOPE)
        now->scope = nsh_route_default_scope(route->family, now);
    made.props = now;
    return made;
}

bool nsh_desired_equal(
        const struct nsh_desired *d, const struct nsh_route *want, const struct nsh_route *seen)
{
    union nsh_route_room room;
    struct nsh_route now;

    if (want->props->varies == 0)
        return nsh_route_equal(want, seen, d->links);
    now = nsh_desired_effective(d, want, &room);
    return nsh_route_equal(&now, seen, d->links);
}

/* ---- policies ---- */

static bool any_policy(const struct nsh_desired *d, int family)
{
    for (size_t i = 0; i < d->n_chains; i++)
        if (d->chains[i].family == family && d->chains[i].policy[0] != '\0' &&
                !d->chains[i].standby && !d->chains[i].blocked)
            return true;
    return false;
}

/* What is to be forwarded for. */
static bool any_at_work(const struct nsh_desired *d, int family)
{
    for (size_t i = 0; i < d->n_chains; i++)
        if (d->chains[i].family == family && d->chains[i].policy[0] != '\0' &&
                !d->chains[i].standby && !d->chains[i].blocked &&
                (!d->chains[i].absent || d->chains[i].came))
            return true;
    return false;
}

static void settle_chain(const struct nsh_desired *d, struct nsh_chain *c)
{
    bool guards = c->guard && c->blocked && !c->bare;
    char why[NSH_LACK_TEXT];

    if (c->guard)
        c->rules = guards ? c->guard : c->whole;
    c->standby = (c->blocked && !guards) || !nsh_desired_is_open(d, c->when) ||
                 d->lacks[nsh_family_index(c->family)];
    c->absent = nsh_desired_lack(d, c, why, sizeof why) != NULL;
    if (d->devices_known)
        c->came = !c->absent || (c->came && !nsh_desired_was_renamed(d, c));
    c->guarded = c->guarded && !c->bare && !c->standby;
}

void nsh_desired_settle(struct nsh_desired *d)
{
    for (size_t i = 0; i < d->n_chains; i++)
        if (d->chains[i].policy[0] != '\0')
            settle_chain(d, &d->chains[i]);
    for (size_t i = 0; i < d->n_chains; i++)
        if (d->chains[i].policy[0] == '\0')
            d->chains[i].standby = !any_policy(d, d->chains[i].family);
    for (size_t i = 0; i < d->n_sets; i++)
        d->sets[i].standby = !nsh_desired_is_open(d, d->sets[i].when) ||
                             d->lacks[nsh_family_index(d->sets[i].family)];
    for (int f = 0; f < NSH_FAMILIES; f++)
        d->forwarding[f] = d->config->settings.forwarding == NSH_FORWARDING_AUTO &&
                           any_at_work(d, nsh_family_of(f));
}

/* ---- who depends on what ---- */

static size_t of_link(const struct nsh_desired *d, uint32_t link)
{
    return d->n_gates + link;
}

/*
 * Calls `each` for every condition the route names; the same may come more than once.
 */
static void each_condition(const struct nsh_desired *d, const struct nsh_route_props *p,
        void (*each)(void *userdata, size_t condition), void *userdata)
{
    if (p->when != NSH_NO_GATE)
        each(userdata, p->when);
    for (uint32_t i = 0; i < p->n_nexthops; i++) {
        if (p->nexthops[i].check != NSH_NO_GATE)
            each(userdata, p->nexthops[i].check);
        if (p->nexthops[i].learned)
            each(userdata, of_link(d, p->nexthops[i].link));
    }
}

static void count_one(void *userdata, size_t condition)
{
    uint32_t *first = userdata;

    first[condition + 1]++;
}

struct filling {
    struct nsh_dependents *dependents;
    uint32_t *used;
    uint32_t route;
};

static void fill_one(void *userdata, size_t condition)
{
    struct filling *f = userdata;
    uint32_t *routes = f->dependents->routes + f->dependents->first[condition];
    uint32_t *used = &f->used[condition];

    /* Routes come one after the other: one that names it twice has just been put there. */
    if (*used == 0 || routes[*used - 1] != f->route)
        routes[(*used)++] = f->route;
}

static bool anything_varies(const struct nsh_desired *d)
{
    for (size_t i = 0; i < d->n_links; i++)
        if (d->links[i].learns != AF_UNSPEC)
            return true;
    return d->n_gates > 0;
}

static void each_varying(
        const struct nsh_desired *d, void (*each)(void *userdata, size_t condition), void *userdata)
{
    for (size_t i = 0; i < d->n_routes; i++)
        if (d->routes[i].props->varies != 0) {
            if (each == fill_one)
                ((struct filling *)userdata)->route = (uint32_t)i;
            each_condition(d, d->routes[i].props, each, userdata);
        }
}

int nsh_desired_index(struct nsh_desired *d)
{
    struct nsh_dependents *deps = &d->dependents;
    size_t n = d->n_gates + d->n_links;
    struct filling f = {.dependents = deps};

    free(deps->first);
    free(deps->n);
    free(deps->routes);
    *deps = (struct nsh_dependents){0};
    if (!anything_varies(d))
        return 0;
    deps->first = calloc(n + 2, sizeof(*deps->first));
    deps->n = calloc(n + 1, sizeof(*deps->n));
    if (!deps->first || !deps->n)
        return -ENOMEM;
    each_varying(d, count_one, deps->first);
    for (size_t i = 0; i < n; i++)
        deps->first[i + 1] += deps->first[i];
    deps->routes = calloc((size_t)deps->first[n] + 1, sizeof(*deps->routes));
    if (!deps->routes)
        return -ENOMEM;
    f.used = deps->n;
    each_varying(d, fill_one, &f);
    return 0;
}

static const uint32_t *dependents(const struct nsh_desired *d, size_t condition, size_t *ret_n)
{
    const struct nsh_dependents *deps = &d->dependents;

    *ret_n = deps->first ? deps->n[condition] : 0;
    return deps->first ? deps->routes + deps->first[condition] : NULL;
}

const uint32_t *nsh_desired_of_gate(const struct nsh_desired *d, nsh_gate_id gate, size_t *ret_n)
{
    return dependents(d, gate, ret_n);
}

const uint32_t *nsh_desired_of_link(const struct nsh_desired *d, size_t link, size_t *ret_n)
{
    return dependents(d, of_link(d, (uint32_t)link), ret_n);
}
