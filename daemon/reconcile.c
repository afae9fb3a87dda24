/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Marks, and the order of a pass.
 *
 * On the way up, packet rules come before forwarding, forwarding before routes and routes before
 * the policy routing rules that lead to them, so that nothing ever leaves untranslated or finds an
 * empty table; what is no longer wanted goes afterwards, the other way round. A pass
 * that can't get the xtables lock waits for it for a while before it goes on with the rest: the
 * order is worth more than a few seconds, but not more than the routes.
 */
#include "reconcile-internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

#define LOCK_RETRY_USEC 50000ULL
#define LOCK_PATIENCE_USEC 5000000ULL
/* What a dump with all foreign routes may take at every resync; and else, at every so manieth. */
#define ALL_CHEAP_USEC 20000ULL
#define ALL_RARELY 10U
/* How long additions of foreign routes are gathered before what waits for one is tried again. */
#define WAITING_MIN_USEC 100000ULL
#define WAITING_MAX_USEC 2000000ULL
#define FAILURE_RETRY_USEC 1000000ULL
#define DISTURBED_RETRY_USEC 100000ULL

int nsh_reconciler_new(struct nsh_fib *fib, struct nsh_firewall *firewall, struct nsh_state *state,
        const struct nsh_reconciler_hooks *hooks, struct nsh_reconciler **ret)
{
    struct nsh_reconciler *r = calloc(1, sizeof *r);

    if (!r)
        return -ENOMEM;
    r->fib = fib;
    r->firewall = firewall;
    r->state = state;
    r->hooks = *hooks;
    r->earlier_run = state && nsh_state_protocol_load(state, &(uint8_t){0}) == 0;
    r->retry = NSH_NEVER;
    r->routes_wait = NSH_NEVER;
    r->rules_wait = NSH_NEVER;
    r->flows_family = AF_UNSPEC;
    r->mark_arena = nsh_arena_new();
    if (!r->mark_arena || nsh_notes_new(&r->notes) < 0) {
        nsh_reconciler_free(r);
        return -ENOMEM;
    }
    *ret = r;
    return 0;
}

void nsh_reconciler_free(struct nsh_reconciler *r)
{
    if (!r)
        return;
    nsh_route_plan_free(r->route_plan);
    nsh_rule_plan_free(r->rule_plan);
    nsh_desired_free(r->desired);
    free(r->route_flags);
    free(r->route_states);
    free(r->rule_flags);
    free(r->rule_states);
    free(r->chain_states);
    free(r->keys);
    free(r->last_repair);
    free(r->before.items);
    nsh_notes_free(r->notes);
    nsh_arena_free(r->mark_arena);
    nsh_conntrack_free(r->conntrack);
    free(r);
}

const struct nsh_desired *nsh_reconciler_desired(const struct nsh_reconciler *r)
{
    return r->desired;
}

void reconcile_retry_at(struct nsh_reconciler *r, uint64_t when)
{
    if (when < r->retry)
        r->retry = when;
}

/* ---- marks ---- */

void reconcile_set_trigger(struct nsh_reconciler *r, uint32_t sender, const char *text)
{
    if (r->trigger.at != 0)
        return; /* the first one is what began it */
    r->trigger.at = reconcile_now(r);
    r->trigger.sender = sender;
    snprintf(r->trigger.text, sizeof r->trigger.text, "%s", text);
}

static void mark_routes(struct nsh_reconciler *r, enum route_mark scope)
{
    if (scope > r->routes_dirty)
        r->routes_dirty = scope;
}

static void mark_everything(struct nsh_reconciler *r)
{
    r->links_dirty = true;
    r->forwarding_dirty = true;
    r->unwanted_dirty = true;
    r->rules_dirty = true;
    r->firewall_dirty[NSH_V4] = r->firewall_dirty[NSH_V6] = true;
    mark_routes(r, ROUTES_OURS);
}

static size_t count_states(const uint8_t *states, size_t n, enum nsh_object_state state)
{
    size_t count = 0;

    for (size_t i = 0; i < n; i++)
        count += states[i] == state;
    return count;
}

void nsh_reconciler_resync(struct nsh_reconciler *r)
{
    mark_everything(r);
    /*
     * A foreign route that was put in front of ours shows only when foreign ones are read too.
     * Where they are so many that this takes long, it is done now and then.
     */
    if (r->all_cost < ALL_CHEAP_USEC || r->resyncs % ALL_RARELY == 0 ||
            count_states(r->route_states, r->desired->n_routes, NSH_OBJECT_CONFLICTING) > 0)
        mark_routes(r, ROUTES_ALL);
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

static void mark_key(struct nsh_reconciler *r, size_t wanted, const struct nsh_fib_event *e)
{
    struct key_mark *k;

    if (!r->keys) {
        r->keys = calloc(KEY_MARKS_MAX, sizeof *r->keys);
        if (!r->keys) {
            mark_routes(r, ROUTES_ALL);
            return;
        }
    }
    if (r->n_keys == KEY_MARKS_MAX) {
        mark_routes(r, ROUTES_OURS);
        reconcile_set_trigger(r, e->sender, "many routes changed");
        return;
    }
    k = &r->keys[r->n_keys];
    *k = (struct key_mark){
            .wanted = wanted,
            .sequence = (uint32_t)r->n_keys,
            .sender = e->sender,
            .at = reconcile_now(r),
            .gone = e->type == NSH_FIB_ROUTE_GONE,
            .seen = e->route,
    };
    if (r->n_keys < CULPRITS_MAX &&
            !nsh_culprit_find(e->sender, k->at, k->culprit, &k->culprit_pid))
        k->culprit_pid = 0;
    k->seen.props = k->gone ? NULL : copy_props(r->mark_arena, e->route.props);
    r->n_keys++;
    mark_routes(r, !k->gone && !k->seen.props ? ROUTES_ALL : ROUTES_KEYS);
}

static bool any_waiting(const struct nsh_reconciler *r)
{
    return r->events_all; /* kept in step with "something is pending or conflicting" */
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

static void take_waiting(struct nsh_reconciler *r, uint64_t now)
{
    if (r->waiting_due == 0 || r->waiting_due > now)
        return;
    r->waiting_due = 0;
    r->waiting_last = now;
    reconcile_set_trigger(r, 0, "a route appeared");
    r->links_dirty = true;
    mark_routes(r, ROUTES_OURS);
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

    if (wanted != SIZE_MAX) {
        if (e->type == NSH_FIB_ROUTE_GONE || (e->route_flags & (NLM_F_REPLACE | NLM_F_EXCL)) != 0) {
            mark_key(r, wanted, e);
        } else {
            reconcile_set_trigger(r, e->sender, "a route was added beside it");
            mark_routes(r, ROUTES_ALL);
        }
        return;
    }
    if (e->type != NSH_FIB_ROUTE_NEW)
        return;
    if (ours) {
        reconcile_set_trigger(r, e->sender, "an unknown route with our mark appeared");
        mark_routes(r, ROUTES_OURS);
        return;
    }
    if (any_waiting(r))
        a_route_appeared(r);
    if (r->all_cost < ALL_CHEAP_USEC && shadows_ours(r, &e->route)) {
        reconcile_set_trigger(r, e->sender, "a route was added before it");
        mark_routes(r, ROUTES_ALL);
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
    return any_waiting(r);
}

static void link_event(struct nsh_reconciler *r, const struct nsh_fib_event *e)
{
    char text[64];

    if (r->desired->forwarding[NSH_V6] && !e->gone)
        reconcile_new_link(r, e->ifindex, e->name);
    if (!link_in_use(r, e->ifindex, e->name))
        return;
    snprintf(text, sizeof text, "link %s %s", e->name[0] ? e->name : "?",
            e->gone ? "was deleted"
            : e->up ? "is up"
                    : "went down");
    reconcile_set_trigger(r, e->sender, text);
    r->links_dirty = true;
    mark_routes(r, ROUTES_OURS);
}

static void address_event(struct nsh_reconciler *r, const struct nsh_fib_event *e)
{
    /* An IPv6 route loses its preferred source without a word, whatever device had the address. */
    if (!(e->family == AF_INET6 && r->sources) && !link_in_use(r, e->ifindex, ""))
        return;
    reconcile_set_trigger(
            r, e->sender, e->gone ? "an address was removed" : "an address was added");
    r->links_dirty = true;
    mark_routes(r, ROUTES_OURS);
}

static void overrun_event(struct nsh_reconciler *r)
{
    struct report_args args = {.kind = NSH_REPORT_OVERRUN};

    r->work.overruns++;
    report_plain(r, "events", NULL, &args);
    mark_everything(r);
    mark_routes(r, ROUTES_ALL); /* what shadows ours shows only among the foreign ones */
    reconcile_set_trigger(r, 0, "events were lost");
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
        break;
    case NSH_FIB_OVERRUN:
        overrun_event(r);
        break;
    }
}

bool nsh_reconciler_wants_poll(const struct nsh_reconciler *r)
{
    return r->desired && r->desired->n_chains > 0;
}

void nsh_reconciler_poll(struct nsh_reconciler *r)
{
    if (!nsh_reconciler_wants_poll(r))
        return;
    for (int f = 0; f < NSH_FAMILIES; f++) {
        if (!reconcile_has_chains(r, nsh_family_of(f)))
            continue;
        for (int t = 0; t < NSH_TABLE_COUNT; t++) {
            if (r->firewall->ops->changed(r->firewall, nsh_family_of(f), (enum nsh_table)t) <= 0)
                continue;
            reconcile_set_trigger(r, 0, "");
            r->firewall_dirty[f] = true;
            r->unwanted_dirty = true;
            break;
        }
    }
}

/* ---- a new configuration ---- */

/* Both sides are sorted by identity: one merge carries over what is known. */
static int carry_routes(struct nsh_reconciler *r, const struct nsh_desired *to, uint8_t *flags,
        uint8_t *states, struct nsh_notes *notes)
{
    size_t i = 0, j = 0;

    while (r->desired && i < r->desired->n_routes && j < to->n_routes) {
        int order = nsh_route_id_cmp(&r->desired->routes[i], &to->routes[j]);

        if (order == 0) {
            flags[j] = r->route_flags[i] & (NSH_ROUTE_WAS_HELD | ROUTE_SHADOW_TOLD);
            states[j] = r->route_states[i];
            if (nsh_notes_move(r->notes, i, notes, j) < 0)
                return -ENOMEM;
        }
        i += order <= 0;
        j += order >= 0;
    }
    return 0;
}

static int carry_chains(struct nsh_reconciler *r, const struct nsh_desired *to, uint8_t *states,
        struct nsh_notes *notes)
{
    for (size_t i = 0; r->desired && i < r->desired->n_chains; i++) {
        const struct nsh_chain *a = &r->desired->chains[i];

        for (size_t j = 0; j < to->n_chains; j++) {
            const struct nsh_chain *b = &to->chains[j];

            if (a->family != b->family || a->table != b->table || strcmp(a->name, b->name) != 0)
                continue;
            states[j] = r->chain_states[i];
            if (nsh_notes_move(r->notes, NSH_OBJECT_CHAIN + i, notes, NSH_OBJECT_CHAIN + j) < 0)
                return -ENOMEM;
        }
    }
    return 0;
}

/* What has the same number in every configuration. */
static int carry_fixed(struct nsh_reconciler *r, struct nsh_notes *notes)
{
    int q = 0;

    for (unsigned i = 0; q == 0 && i < NSH_FAMILIES; i++)
        q = nsh_notes_move(r->notes, NSH_OBJECT_FORWARDING + i, notes, NSH_OBJECT_FORWARDING + i);
    for (unsigned i = 0; q == 0 && i < NSH_FAMILIES * NSH_TABLE_COUNT; i++)
        q = nsh_notes_move(r->notes, NSH_OBJECT_TABLE + i, notes, NSH_OBJECT_TABLE + i);
    return q;
}

/* Everything is compared anyhow; but that the foreign ones were to be looked at too stays. */
static void drop_marks(struct nsh_reconciler *r)
{
    r->n_keys = 0;
    nsh_arena_reset(r->mark_arena);
    if (r->routes_dirty != ROUTES_ALL)
        r->routes_dirty = ROUTES_CLEAN;
    r->n_rule_marks = 0;
    /* Flows from a gap are still there; the search that began goes by the chains as they were. */
    if (r->flows_family != AF_UNSPEC)
        r->flows_wanted[nsh_family_index(r->flows_family)] = true;
    r->flows_family = AF_UNSPEC;
    r->trigger = (struct trigger){0};
}

/* The protocol with which routes of ours are marked now, if it is another one than is to be. */
static uint8_t earlier_protocol(const struct nsh_reconciler *r, const struct nsh_desired *to)
{
    uint8_t earlier = r->also_ours != to->protocol ? r->also_ours : 0, now = 0;

    if (r->desired)
        now = r->desired->protocol;
    else if (r->state && nsh_state_protocol_load(r->state, &now) < 0)
        now = 0;
    if (now == to->protocol || now == 0)
        return earlier;
    /* Of two changes in a row the second may come before the first was carried out. */
    return r->settling && earlier != 0 ? earlier : now;
}

static bool any_ipv6_source(const struct nsh_desired *d)
{
    for (size_t i = 0; i < d->n_routes; i++)
        if (d->routes[i].family == AF_INET6 && d->routes[i].props->has_source)
            return true;
    return false;
}

/* What belongs to a configuration, made aside. */
struct fresh {
    uint8_t *route_flags, *route_states, *rule_flags, *rule_states, *chain_states;
    struct nsh_route_plan *route_plan;
    struct nsh_rule_plan *rule_plan;
    struct nsh_notes *notes;
};

static void fresh_done(struct fresh *f)
{
    free(f->route_flags);
    free(f->route_states);
    free(f->rule_flags);
    free(f->rule_states);
    free(f->chain_states);
    nsh_route_plan_free(f->route_plan);
    nsh_rule_plan_free(f->rule_plan);
    nsh_notes_free(f->notes);
}

static int fresh_init(struct fresh *f, const struct nsh_desired *d, uint8_t also_ours)
{
    f->route_flags = calloc(d->n_routes + 1, 1);
    f->route_states = calloc(d->n_routes + 1, 1);
    f->rule_flags = calloc(d->n_rules + 1, 1);
    f->rule_states = calloc(d->n_rules + 1, 1);
    f->chain_states = calloc(d->n_chains + 1, 1);
    if (!f->route_flags || !f->route_states || !f->rule_flags || !f->rule_states ||
            !f->chain_states ||
            nsh_route_plan_new(d, f->route_flags, also_ours, &f->route_plan) < 0 ||
            nsh_rule_plan_new(d, f->rule_flags, also_ours, &f->rule_plan) < 0)
        return -ENOMEM;
    return nsh_notes_new(&f->notes);
}

/* What was there goes to `f`. */
static void exchange(struct nsh_reconciler *r, struct fresh *f)
{
    struct fresh old = {.route_flags = r->route_flags,
            .route_states = r->route_states,
            .rule_flags = r->rule_flags,
            .rule_states = r->rule_states,
            .chain_states = r->chain_states,
            .route_plan = r->route_plan,
            .rule_plan = r->rule_plan,
            .notes = r->notes};

    r->route_flags = f->route_flags;
    r->route_states = f->route_states;
    r->rule_flags = f->rule_flags;
    r->rule_states = f->rule_states;
    r->chain_states = f->chain_states;
    r->route_plan = f->route_plan;
    r->rule_plan = f->rule_plan;
    r->notes = f->notes;
    *f = old;
}

int nsh_reconciler_set(struct nsh_reconciler *r, struct nsh_desired *desired, enum nsh_occasion why)
{
    NSH_CLEANUP(fresh_done) struct fresh f = {0};
    uint8_t also_ours = earlier_protocol(r, desired);

    if (fresh_init(&f, desired, also_ours) < 0 ||
            carry_routes(r, desired, f.route_flags, f.route_states, f.notes) < 0 ||
            reconcile_carry_rules(r, desired, f.rule_flags, f.rule_states, f.notes) < 0 ||
            carry_chains(r, desired, f.chain_states, f.notes) < 0 || carry_fixed(r, f.notes) < 0)
        return -ENOMEM;
    r->also_ours = also_ours;
    r->earlier_seen = r->earlier_rules = also_ours != 0;
    drop_marks(r);
    exchange(r, &f);
    nsh_desired_free(r->desired);
    r->desired = desired;
    r->routes_wait = r->rules_wait = NSH_NEVER;
    r->settling = true;
    r->occasion = why;
    r->lock_since = 0;
    r->pause = 0;
    for (int i = 0; i < NSH_FAMILIES; i++) {
        r->firewall_wait[i] = r->firewall_again[i] = r->forwarding_wait[i] = 0;
        if (!desired->forwarding[i])
            r->forwarding_states[i] = NSH_OBJECT_UNKNOWN;
    }
    r->sources = any_ipv6_source(desired);
    mark_everything(r);
    if (why == NSH_OCCASION_START)
        mark_routes(r, ROUTES_ALL);
    return 0;
}

/* ---- a pass ---- */

static int compare_keys(const void *a, const void *b)
{
    const struct key_mark *x = a, *y = b;

    if (x->wanted != y->wanted)
        return x->wanted < y->wanted ? -1 : 1;
    return x->sequence < y->sequence ? -1 : x->sequence > y->sequence;
}

/* Sorted by route; of several marks for one route the last tells what stands there now. */
static void settle_marks(struct nsh_reconciler *r)
{
    size_t n = 0;

    if (r->n_keys > 1)
        qsort(r->keys, r->n_keys, sizeof *r->keys, compare_keys);
    for (size_t i = 0; i < r->n_keys; i++) {
        if (i + 1 < r->n_keys && r->keys[i + 1].wanted == r->keys[i].wanted)
            continue;
        r->keys[n++] = r->keys[i];
    }
    r->n_keys = n;
    for (size_t i = 0; i < n; i++)
        r->keys[i].sequence = (uint32_t)i;
}

/* While something waits, additions of foreign routes matter: they may be what it waits for. */
static void follow_foreign_routes(struct nsh_reconciler *r)
{
    const struct nsh_desired *d = r->desired;
    bool all = count_states(r->route_states, d->n_routes, NSH_OBJECT_PENDING) > 0 ||
               count_states(r->route_states, d->n_routes, NSH_OBJECT_CONFLICTING) > 0;

    if (all == r->events_all)
        return;
    if (r->fib->ops->events_all_routes(r->fib, all) < 0)
        return;
    r->events_all = all;
    if (all) {
        /* What came between the failed write and this was dropped: once more. */
        r->links_dirty = true;
        mark_routes(r, ROUTES_OURS);
    }
}

/* Another program has the lock: a timer brings us back. */
static void lock_is_held(struct nsh_reconciler *r)
{
    uint64_t now = reconcile_now(r);

    if (r->lock_since == 0)
        r->lock_since = now;
    reconcile_retry_at(r, now + LOCK_RETRY_USEC);
}

/* The order of start and reload is worth waiting for the lock, for a while. */
static bool order_waits(const struct nsh_reconciler *r)
{
    return r->settling && r->lock_since != 0 &&
           reconcile_now(r) - r->lock_since < LOCK_PATIENCE_USEC;
}

static int pass_down(struct nsh_reconciler *r)
{
    int q;

    if (!r->unwanted_dirty)
        return 0;
    q = reconcile_forwarding_off(r);
    if (q < 0)
        return q;
    q = reconcile_firewall_down(r);
    if (q < 0)
        return q;
    r->unwanted_dirty = q > 0;
    if (q > 0)
        lock_is_held(r);
    return 0;
}

static bool firewall_due(const struct nsh_reconciler *r, uint64_t now)
{
    for (int f = 0; f < NSH_FAMILIES; f++)
        if (r->firewall_dirty[f] && r->firewall_wait[f] <= now)
            return true;
    return false;
}

bool nsh_reconciler_complete(const struct nsh_reconciler *r)
{
    return r->desired && r->routes_dirty == ROUTES_CLEAN && !r->links_dirty && !r->rules_dirty &&
           !r->unwanted_dirty && !firewall_due(r, reconcile_now(r)) && r->lock_since == 0;
}

static int forget_earlier_protocol(struct nsh_reconciler *r)
{
    struct nsh_rule_plan *rules;
    struct nsh_route_plan *plan;
    int q = nsh_route_plan_new(r->desired, r->route_flags, 0, &plan);

    if (q < 0)
        return q;
    q = nsh_rule_plan_new(r->desired, r->rule_flags, 0, &rules);
    if (q < 0) {
        nsh_route_plan_free(plan);
        return q;
    }
    nsh_route_plan_free(r->route_plan);
    nsh_rule_plan_free(r->rule_plan);
    r->route_plan = plan;
    r->rule_plan = rules;
    r->also_ours = 0;
    return 0;
}

/* That nothing carries the earlier protocol any more shows in a further look. */
static void settle_protocol(struct nsh_reconciler *r)
{
    bool news = r->settling;

    if (r->also_ours != 0) {
        bool seen = r->earlier_seen || r->earlier_rules;

        if (seen && r->settling) {
            mark_routes(r, ROUTES_OURS);
            r->rules_dirty = true;
        }
        if (seen || forget_earlier_protocol(r) < 0)
            return;
        news = true;
    }
    if (r->state && news)
        nsh_state_protocol_save(r->state, r->desired->protocol);
}

static void finish_pass(struct nsh_reconciler *r)
{
    r->work.finished++;
    r->failure = 0;
    r->n_keys = 0;
    r->n_rule_marks = 0;
    nsh_arena_reset(r->mark_arena);
    r->trigger = (struct trigger){0};
    if (nsh_reconciler_complete(r)) {
        settle_protocol(r);
        r->settling = false;
    }
    follow_foreign_routes(r);
}

/* Routes before the rules that lead to them, and unwanted rules before their routes. */
static int pass_routing(struct nsh_reconciler *r)
{
    int q = reconcile_routes(r);

    if (q == 0)
        q = reconcile_rules(r);
    if (q < 0 || r->rules_dirty || !r->routes_left)
        return q;
    r->routes_left = false;
    mark_routes(r, ROUTES_OURS);
    return reconcile_routes(r);
}

static int run_pass(struct nsh_reconciler *r)
{
    bool wait = false;
    int q = reconcile_firewall_up(r, &wait);

    if (q < 0)
        return q;
    if (wait)
        lock_is_held(r);
    else
        r->lock_since = 0;
    if (order_waits(r))
        return 0;
    q = reconcile_forwarding_on(r);
    if (q == 0)
        q = pass_routing(r);
    if (q == 0 && r->rules_dirty)
        return 0; /* the rest of the rules has its turn after what else is waiting */
    if (q == 0 && !wait)
        q = pass_down(r);
    if (q == 0)
        finish_pass(r);
    return q;
}

/* The marks stay, and so does everything else until the pause is over: it would fail as well. */
static void pause_until(struct nsh_reconciler *r, uint64_t when)
{
    r->pause = when;
    reconcile_retry_at(r, when);
}

static void pass_failed(struct nsh_reconciler *r, int error)
{
    struct report_args args = {.kind = NSH_REPORT_FAILED, .detail = strerror(-error)};

    if (r->failure != error)
        report_plain(r, "configuration", NULL, &args);
    r->failure = error;
    mark_everything(r);
}

int nsh_reconciler_run(struct nsh_reconciler *r)
{
    uint64_t now = reconcile_now(r);
    int q;

    if (!r->desired)
        return 0;
    take_waiting(r, now);
    r->work.passes++;
    r->noticed = r->trigger.at ? r->trigger.at : now;
    r->pause = 0;
    if (r->retry <= now)
        r->retry = NSH_NEVER;
    settle_marks(r);
    report_begin(r);
    q = run_pass(r);
    report_end(r);
    if (q == -EAGAIN) {
        /* Routes changed under every dump: again, when it is quieter. */
        pause_until(r, now + DISTURBED_RETRY_USEC);
        return 0;
    }
    if (q < 0) {
        pass_failed(r, q);
        pause_until(r, now + FAILURE_RETRY_USEC);
        return q;
    }
    reconcile_flows(r);
    return 0;
}

bool nsh_reconciler_due(const struct nsh_reconciler *r)
{
    uint64_t now = reconcile_now(r);

    if (!r->desired || now < r->pause)
        return false;
    if (nsh_reconciler_next(r) <= now || r->flows_family != AF_UNSPEC || r->flows_wanted[NSH_V4] ||
            r->flows_wanted[NSH_V6])
        return true;
    if (order_waits(r))
        return false;
    /* What needs a held lock, or was put off, comes back by the timer. */
    if (r->retry == NSH_NEVER && (r->unwanted_dirty || firewall_due(r, now)))
        return true;
    return r->routes_dirty != ROUTES_CLEAN || r->links_dirty || r->rules_dirty ||
           r->forwarding_dirty;
}

uint64_t nsh_reconciler_next(const struct nsh_reconciler *r)
{
    uint64_t next = r->retry < r->routes_wait ? r->retry : r->routes_wait;

    next = r->rules_wait < next ? r->rules_wait : next;
    for (int f = 0; f < NSH_FAMILIES; f++) {
        if (r->firewall_dirty[f] && r->firewall_wait[f] != 0 && r->lock_since == 0 &&
                r->firewall_wait[f] < next)
            next = r->firewall_wait[f];
        if (r->firewall_again[f] != 0 && r->firewall_again[f] < next)
            next = r->firewall_again[f];
        if (r->forwarding_wait[f] != 0 && r->forwarding_wait[f] < next)
            next = r->forwarding_wait[f];
        if (r->flows_again[f] != 0 && r->flows_again[f] < next)
            next = r->flows_again[f];
    }
    if (r->waiting_due != 0 && r->waiting_due < next)
        next = r->waiting_due;
    return next < r->pause ? r->pause : next;
}

/* ---- repairs and fights ---- */

bool reconcile_may_repair(
        struct nsh_reconciler *r, nsh_object_id id, uint64_t *ret_until, bool *ret_fight)
{
    struct nsh_repairs *repairs = nsh_notes_repairs(r->notes, id);

    *ret_fight = false;
    *ret_until = 0;
    if (!repairs)
        return true; /* no memory to remember by: repair */
    return nsh_backoff_may_repair(&repairs->backoff, reconcile_now(r), ret_until, ret_fight);
}

void reconcile_repaired(struct nsh_reconciler *r, nsh_object_id id)
{
    struct nsh_repairs *repairs = nsh_notes_repairs(r->notes, id);

    if (!repairs)
        return;
    nsh_backoff_repaired(&repairs->backoff, reconcile_now(r));
    repairs->last = reconcile_now(r);
    repairs->count++;
}

const char *reconcile_fight_text(
        const struct nsh_reconciler *r, nsh_object_id id, char *buf, size_t size)
{
    const struct nsh_repairs *repairs = nsh_notes_find_repairs(r->notes, id);
    const struct nsh_backoff *b = repairs ? &repairs->backoff : NULL;
    uint64_t now = reconcile_now(r);

    if (!b)
        snprintf(buf, size, "again and again");
    else
        snprintf(buf, size, "%u times in %.1f s; next try in %.0f s", b->undone,
                (double)(now - b->first) / 1e6, (double)b->delay / 1e6);
    return buf;
}
