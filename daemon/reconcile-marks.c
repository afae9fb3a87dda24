/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Marks: what an event, a timer or a new configuration leaves for the next pass to compare.
 */
#include "reconcile-internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * So many routes of all, ours and foreign, are read at every resync and for an event, which takes
 * some 10 ms; more, at every so manieth. A number, since what a look takes is longer on a busy
 * machine too, and it is there that one wants to know.
 */
#define ALL_CHEAP 10000U
#define ALL_RARELY 10U
/* How long additions of foreign routes are gathered before what waits for one is tried again. */
#define WAITING_MIN_USEC 100000ULL
#define WAITING_MAX_USEC 2000000ULL
/* Who changes that much may go on: that events are lost is told again after so long. */
#define OVERRUN_QUIET_USEC 10000000ULL

void reconcile_set_trigger(struct nsh_reconciler *r, uint32_t sender, const char *text)
{
    /* The first one is what began it; but a resync gives way to what it did not know of. */
    if (r->trigger.at != 0 && strcmp(r->trigger.text, "resync") != 0)
        return;
    if (r->trigger.at != 0 && strcmp(text, "resync") == 0)
        return;
    r->trigger.at = reconcile_now(r);
    r->trigger.sender = sender;
    r->trigger.ifindex = 0;
    snprintf(r->trigger.text, sizeof r->trigger.text, "%s", text);
}

void reconcile_mark_everything(struct nsh_reconciler *r)
{
    r->links_dirty = true;
    r->gates_dirty = true;
    r->devices_dirty = DEVICES_ALL;
    r->forwarding_dirty = true;
    r->unwanted_dirty = true;
    r->rules_dirty = true;
    r->firewall_dirty[NSH_V4] = r->firewall_dirty[NSH_V6] = true;
    r->drops_dirty = true;
    r->ahead_dirty = true;
    reconcile_mark_sets(r);
    reconcile_mark_routes(r, ROUTES_OURS);
}

void nsh_reconciler_resync(struct nsh_reconciler *r)
{
    reconcile_mark_everything(r);
    /*
     * A foreign route that was put in front of ours shows only when foreign ones are read too.
     * Where they are so many that this takes long, it is done now and then.
     */
    if (r->all_seen < ALL_CHEAP || r->resyncs % ALL_RARELY == 0 ||
            r->route_counts[NSH_OBJECT_CONFLICTING] > 0 || reconcile_wants_look(r))
        reconcile_mark_routes(r, ROUTES_ALL);
    /* The kernel takes seconds to list a large set of nf_tables, and tells of each change. */
    if (r->resyncs % ALL_RARELY != 0)
        reconcile_spare_sets(r);
    r->resyncs++;
    reconcile_set_trigger(r, 0, "resync");
}

static struct nsh_route_props *copy_props(struct nsh_arena *arena, const struct nsh_route_props *p)
{
    size_t size = nsh_route_props_size(p->n_nexthops);
    struct nsh_route_props *copy = nsh_arena_alloc(arena, size);

    if (copy)
        memcpy(copy, p, size);
    return copy;
}

/* A further mark, not counted yet; NULL: there is no room, and a wider one was made. */
static struct key_mark *new_mark(struct nsh_reconciler *r, size_t wanted, uint32_t sender)
{
    struct key_mark *k;

    if (!r->keys) {
        r->keys = calloc(KEY_MARKS_MAX, sizeof *r->keys);
        if (!r->keys) {
            reconcile_mark_routes(r, ROUTES_ALL);
            return NULL;
        }
    }
    if (r->n_keys == KEY_MARKS_MAX) {
        /* The comparison sees what they are about, too. */
        reconcile_drop_keys(r, r->n_keys);
        reconcile_mark_routes(r, ROUTES_OURS);
        reconcile_set_trigger(r, sender, "many routes changed");
        return NULL;
    }
    k = &r->keys[r->n_keys];
    *k = (struct key_mark){
            .wanted = wanted,
            .sequence = (uint32_t)r->n_keys,
            .sender = sender,
            .at = reconcile_now(r),
    };
    return k;
}

static void mark_key(struct nsh_reconciler *r, size_t wanted, const struct nsh_fib_event *e)
{
    struct key_mark *k = new_mark(r, wanted, e->sender);

    if (!k)
        return;
    k->gone = e->type == NSH_FIB_ROUTE_GONE;
    k->seen = e->route;
    if (r->n_keys < CULPRITS_MAX &&
            !nsh_culprit_find(e->sender, k->at, k->culprit, &k->culprit_pid))
        k->culprit_pid = 0;
    k->seen.props = k->gone ? NULL : copy_props(r->mark_arena, e->route.props);
    r->n_keys++;
    reconcile_mark_routes(r, !k->gone && !k->seen.props ? ROUTES_ALL : ROUTES_KEYS);
}

void reconcile_mark_own(struct nsh_reconciler *r, size_t wanted)
{
    struct key_mark *k = new_mark(r, wanted, 0);
    union nsh_route_room room;

    if (!k)
        return;
    k->gone = r->route_states[wanted] != NSH_OBJECT_HELD;
    if (!k->gone) {
        k->seen = reconcile_seen_as(r->desired, wanted, &room);
        k->seen.props = copy_props(r->mark_arena, k->seen.props);
    }
    r->n_keys++;
    reconcile_mark_routes(r, !k->gone && !k->seen.props ? ROUTES_ALL : ROUTES_KEYS);
}

static bool any_waiting(const struct nsh_reconciler *r)
{
    return r->foreign == NSH_FIB_FOREIGN_ALL; /* something is pending or conflicting */
}

/*
 * What waits may wait for this one: it is tried again, at once for the first of them, and less and
 * less often while a routing daemon goes on adding thousands.
 */
static void a_route_appeared(struct nsh_reconciler *r)
{
    uint64_t now = reconcile_now(r);

    if (r->waiting_due != 0)
        return;
    if (now - r->waiting_last > 2 * WAITING_MAX_USEC)
        r->waiting_delay = 0;
    r->waiting_due = now + r->waiting_delay;
    r->waiting_delay = r->waiting_delay == 0 ? WAITING_MIN_USEC : r->waiting_delay * 2;
    if (r->waiting_delay > WAITING_MAX_USEC)
        r->waiting_delay = WAITING_MAX_USEC;
}

void reconcile_take_waiting(struct nsh_reconciler *r, uint64_t now)
{
    if (r->waiting_due == 0 || r->waiting_due > now)
        return;
    r->waiting_due = 0;
    r->waiting_last = now;
    reconcile_set_trigger(r, 0, "a route appeared");
    r->links_dirty = true;
    reconcile_mark_routes(r, ROUTES_OURS);
}

static bool shadows_ours(const struct nsh_reconciler *r, const struct nsh_route *foreign)
{
    size_t at = nsh_desired_lower_bound(r->desired, foreign);

    return nsh_desired_find_shadowed(r->desired, foreign, at) != SIZE_MAX;
}

/*
 * An event says exactly what stands on the key only when it names the one entry there: a removal,
 * or an addition to an empty key, or a replacement. An append or a prepend leaves others beside
 * it, and an IPv6 message of those kinds may have merged with ours.
 */
static void route_event(struct nsh_reconciler *r, const struct nsh_fib_event *e)
{
    size_t wanted = nsh_desired_find_route(r->desired, &e->route);
    bool ours = e->route.protocol == r->desired->protocol ||
                (r->also_ours != 0 && e->route.protocol == r->also_ours);

    reconcile_learn_route(r, e);
    if (wanted != SIZE_MAX) {
        if (e->type == NSH_FIB_ROUTE_GONE || (e->route_flags & (NLM_F_REPLACE | NLM_F_EXCL)) != 0) {
            mark_key(r, wanted, e);
        } else {
            reconcile_set_trigger(r, e->sender, "a route was added beside it");
            reconcile_mark_routes(r, ROUTES_ALL);
        }
        return;
    }
    if (ours && e->type == NSH_FIB_ROUTE_NEW) {
        reconcile_set_trigger(r, e->sender, "an unknown route with our mark appeared");
        reconcile_mark_routes(r, ROUTES_OURS);
    }
    if (ours)
        return;
    if (e->type == NSH_FIB_ROUTE_NEW && any_waiting(r))
        a_route_appeared(r);
    if (r->all_seen < ALL_CHEAP && shadows_ours(r, &e->route)) {
        reconcile_set_trigger(r, e->sender,
                e->type == NSH_FIB_ROUTE_NEW ? "a route was added before it"
                                             : "a route before it was removed");
        reconcile_mark_routes(r, ROUTES_ALL);
    }
}

static bool link_in_use(const struct nsh_reconciler *r, uint32_t ifindex, const char *name)
{
    for (size_t i = 0; i < r->desired->n_links; i++) {
        const struct nsh_link *l = &r->desired->links[i];

        if (l->gateway_family != AF_UNSPEC)
            return true; /* any change may open another way to a gateway */
        if (l->ifindex == ifindex || (name[0] != '\0' && strcmp(l->name, name) == 0))
            return true;
        if (l->ifindex == 0)
            return true; /* it may be an alternative name of this one */
    }
    return reconcile_names_vrf(r, ifindex, name) || any_waiting(r);
}

/* What it may have changed of what is wanted, or of what stands. */
static void mark_link(struct nsh_reconciler *r, const struct nsh_fib_event *e, const char *text)
{
    reconcile_gate_event(r, e, text);
    reconcile_device_event(r, e, text);
    reconcile_learn_link(r, e);
    if (!link_in_use(r, e->ifindex, e->name))
        return;
    reconcile_set_trigger(r, e->sender, text);
    r->links_dirty = true;
    reconcile_mark_routes(r, ROUTES_OURS);
}

/* It is known by that name, which is no alternative one of the link that has another name now. */
static bool was(const struct nsh_reconciler *r, const struct nsh_fib_event *e, uint32_t ifindex,
        const char *name)
{
    uint32_t now;

    return ifindex == e->ifindex && name[0] != '\0' && strcmp(name, e->name) != 0 &&
           (r->fib->ops->link_index(r->fib, name, &now) < 0 || now != ifindex);
}

/* The name that it had; NULL: the one that it has, as far as is known. */
static const char *name_before(const struct nsh_reconciler *r, const struct nsh_fib_event *e)
{
    const struct nsh_desired *d = r->desired;

    if (e->gone || e->name[0] == '\0')
        return NULL;
    if (r->told_link == e->ifindex)
        return strcmp(r->told_name, e->name) != 0 ? r->told_name : NULL;
    for (size_t i = 0; d->devices_known && i < d->n_devices; i++)
        if (was(r, e, d->devices[i].ifindex, d->devices[i].name))
            return d->devices[i].name;
    for (size_t i = 0; i < d->n_links; i++)
        if (was(r, e, d->links[i].ifindex, d->links[i].name))
            return d->links[i].name;
    return NULL;
}

/* The file names it, and it was not there before. */
static bool has_come(const struct nsh_desired *d, const struct nsh_fib_event *e)
{
    const struct nsh_device *named = e->name[0] ? nsh_desired_device(d, e->name) : NULL;

    if (named && d->devices_known)
        return named->ifindex != e->ifindex;
    for (size_t i = 0; e->name[0] && i < d->n_links; i++)
        if (strcmp(d->links[i].name, e->name) == 0)
            return d->links[i].ifindex != e->ifindex;
    return false;
}

static void tell_link(const struct nsh_reconciler *r, const struct nsh_fib_event *e,
        const char *before, char *buf, size_t size)
{
    const char *name = e->name[0] ? e->name : "?";

    if (before)
        snprintf(buf, size, "link %s was renamed to %s", before, name);
    else
        snprintf(buf, size, "link %s %s", name,
                e->gone                   ? "was deleted"
                : e->up                   ? "is up"
                : has_come(r->desired, e) ? "was added"
                                          : "went down");
}

/*
 * A link is switched off to be renamed. What the events of it begin is then for its name, not
 * because it went down.
 */
static void set_link_trigger(
        struct nsh_reconciler *r, const struct nsh_fib_event *e, const char *text, bool renamed)
{
    if (renamed && r->trigger.at != 0 && r->trigger.ifindex == e->ifindex)
        snprintf(r->trigger.text, sizeof r->trigger.text, "%s", text);
    else if (strcmp(r->trigger.text, text) == 0)
        r->trigger.ifindex = e->ifindex;
}

static void link_event(struct nsh_reconciler *r, const struct nsh_fib_event *e)
{
    const char *before = name_before(r, e);
    char text[64];

    reconcile_guard_link(r, e);
    tell_link(r, e, before, text, sizeof text);
    r->told_link = e->gone ? 0 : e->ifindex;
    snprintf(r->told_name, sizeof r->told_name, "%s", e->name);
    mark_link(r, e, text);
    set_link_trigger(r, e, text, before != NULL);
}

static void address_event(struct nsh_reconciler *r, const struct nsh_fib_event *e)
{
    const char *text = e->gone ? "an address was removed" : "an address was added";

    reconcile_guard_address(r, e);
    reconcile_gate_event(r, e, text);
    reconcile_device_event(r, e, text);
    reconcile_learn_address(r, e);
    /* An IPv6 route loses its preferred source without a word, whatever device had the address. */
    if (!(e->family == AF_INET6 && r->sources) && !link_in_use(r, e->ifindex, ""))
        return;
    reconcile_set_trigger(r, e->sender, text);
    r->links_dirty = true;
    reconcile_mark_routes(r, ROUTES_OURS);
}

static void overrun_event(struct nsh_reconciler *r)
{
    struct report_args args = {.kind = NSH_REPORT_OVERRUN};
    uint64_t began = r->trigger.at;

    r->work.overruns++;
    if (reconcile_now(r) >= r->overrun_quiet) {
        report_plain(r, "events", NULL, &args);
        r->overrun_quiet = reconcile_now(r) + OVERRUN_QUIET_USEC;
    }
    reconcile_mark_everything(r);
    r->guards.sweep = true;
    reconcile_mark_routes(r, ROUTES_ALL); /* what shadows ours shows only among the foreign ones */
    /* What was heard of before is no more likely than what was lost. */
    r->trigger.at = 0;
    reconcile_set_trigger(r, 0, "events were lost");
    if (began != 0)
        r->trigger.at = began;
}

void nsh_reconciler_event(struct nsh_reconciler *r, const struct nsh_fib_event *e)
{
    if (!r->desired)
        return;
    switch (e->type) {
    case NSH_FIB_ROUTE_NEW:
    case NSH_FIB_ROUTE_GONE:
        route_event(r, e);
        break;
    case NSH_FIB_LINK:
        link_event(r, e);
        break;
    case NSH_FIB_ADDRESS:
        address_event(r, e);
        break;
    case NSH_FIB_RULE:
        reconcile_rule_event(r, e);
        break;
    case NSH_FIB_FORWARDING:
        reconcile_set_trigger(r, e->sender, "forwarding changed");
        r->forwarding_dirty = true;
        reconcile_mark_devices(r, DEVICES_TELL);
        break;
    case NSH_FIB_OVERRUN:
        overrun_event(r);
        break;
    }
}
