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
    if (!r->mark_arena || nsh_notes_new(&r->notes) < 0 || nsh_learner_new(&r->learner) < 0) {
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
    reconcile_previous_done(r);
    nsh_route_plan_free(r->route_plan);
    nsh_route_plan_free(r->key_plan);
    nsh_rule_plan_free(r->rule_plan);
    nsh_desired_free(r->desired);
    free(r->route_flags);
    free(r->route_states);
    free(r->rule_flags);
    free(r->rule_states);
    free(r->chain_states);
    free(r->keys);
    free(r->gate_marks);
    free(r->last_repair);
    free(r->before.items);
    nsh_notes_free(r->notes);
    nsh_arena_free(r->mark_arena);
    nsh_learner_free(r->learner);
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

void reconcile_mark_everything(struct nsh_reconciler *r)
{
    r->links_dirty = true;
    r->gates_dirty = true;
    r->forwarding_dirty = true;
    r->unwanted_dirty = true;
    r->rules_dirty = true;
    r->firewall_dirty[NSH_V4] = r->firewall_dirty[NSH_V6] = true;
    reconcile_mark_routes(r, ROUTES_OURS);
}

void nsh_reconciler_resync(struct nsh_reconciler *r)
{
    reconcile_mark_everything(r);
    /*
     * A foreign route that was put in front of ours shows only when foreign ones are read too.
     * Where they are so many that this takes long, it is done now and then.
     */
    if (r->all_cost < ALL_CHEAP_USEC || r->resyncs % ALL_RARELY == 0 ||
            r->route_counts[NSH_OBJECT_CONFLICTING] > 0)
        reconcile_mark_routes(r, ROUTES_ALL);
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

static void take_waiting(struct nsh_reconciler *r, uint64_t now)
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
    if (e->type != NSH_FIB_ROUTE_NEW)
        return;
    if (ours) {
        reconcile_set_trigger(r, e->sender, "an unknown route with our mark appeared");
        reconcile_mark_routes(r, ROUTES_OURS);
        return;
    }
    if (any_waiting(r))
        a_route_appeared(r);
    if (r->all_cost < ALL_CHEAP_USEC && shadows_ours(r, &e->route)) {
        reconcile_set_trigger(r, e->sender, "a route was added before it");
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
    return any_waiting(r);
}

static void link_event(struct nsh_reconciler *r, const struct nsh_fib_event *e)
{
    char text[64];

    if (r->desired->forwarding[NSH_V6] && !e->gone)
        reconcile_new_link(r, e->ifindex, e->name);
    snprintf(text, sizeof text, "link %s %s", e->name[0] ? e->name : "?",
            e->gone ? "was deleted"
            : e->up ? "is up"
                    : "went down");
    reconcile_gate_event(r, e, text);
    reconcile_learn_link(r, e);
    if (!link_in_use(r, e->ifindex, e->name))
        return;
    reconcile_set_trigger(r, e->sender, text);
    r->links_dirty = true;
    reconcile_mark_routes(r, ROUTES_OURS);
}

static void address_event(struct nsh_reconciler *r, const struct nsh_fib_event *e)
{
    const char *text = e->gone ? "an address was removed" : "an address was added";

    reconcile_gate_event(r, e, text);
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

    r->work.overruns++;
    report_plain(r, "events", NULL, &args);
    reconcile_mark_everything(r);
    reconcile_mark_routes(r, ROUTES_ALL); /* what shadows ours shows only among the foreign ones */
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
    return r->desired && (reconcile_has_chains(r, AF_INET) || reconcile_has_chains(r, AF_INET6));
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

/*
 * While something waits, additions of foreign routes matter: they may be what it waits for. One
 * that nobody has learned a gateway for waits for a default route alone.
 */
static enum nsh_fib_foreign foreign_that_matter(const struct nsh_reconciler *r)
{
    if (r->route_counts[NSH_OBJECT_PENDING] > r->n_unlearned ||
            r->route_counts[NSH_OBJECT_CONFLICTING] > 0)
        return NSH_FIB_FOREIGN_ALL;
    return r->learns ? NSH_FIB_FOREIGN_DEFAULTS : NSH_FIB_FOREIGN_NONE;
}

void reconcile_follow_foreign(struct nsh_reconciler *r)
{
    enum nsh_fib_foreign foreign = foreign_that_matter(r);

    if (foreign == r->foreign || r->fib->ops->events_foreign(r->fib, foreign) < 0)
        return;
    r->foreign = foreign;
    if (foreign == NSH_FIB_FOREIGN_ALL) {
        /* What came between the failed write and this was dropped: once more. */
        r->links_dirty = true;
        reconcile_mark_routes(r, ROUTES_OURS);
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
           r->job.phase == JOB_NONE && !r->gates_dirty && !r->gates_marked && !r->learned_dirty &&
           !r->unwanted_dirty && !firewall_due(r, reconcile_now(r)) && r->lock_since == 0;
}

static int forget_earlier_protocol(struct nsh_reconciler *r)
{
    struct nsh_route_plan *plan = NULL, *key_plan = NULL;
    struct nsh_rule_plan *rules = NULL;

    if (nsh_route_plan_new(r->desired, r->route_flags, 0, &plan) < 0 ||
            nsh_route_plan_new(r->desired, r->route_flags, 0, &key_plan) < 0 ||
            nsh_rule_plan_new(r->desired, r->rule_flags, 0, &rules) < 0) {
        nsh_route_plan_free(plan);
        nsh_route_plan_free(key_plan);
        return -ENOMEM;
    }
    nsh_route_plan_free(r->route_plan);
    nsh_route_plan_free(r->key_plan);
    nsh_rule_plan_free(r->rule_plan);
    r->route_plan = plan;
    r->key_plan = key_plan;
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
            reconcile_mark_routes(r, ROUTES_OURS);
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
    nsh_notes_trim(r->notes, reconcile_now(r));
    r->failure = 0;
    r->n_rule_marks = 0;
    r->trigger = (struct trigger){0};
    if (nsh_reconciler_complete(r)) {
        settle_protocol(r);
        r->settling = false;
    }
    if (r->behind != ROUTES_CLEAN) {
        /* The difference is written; now for what the kernel really holds. */
        reconcile_mark_routes(r, r->behind);
        reconcile_set_trigger(r, 0, "resync");
        r->behind = ROUTES_CLEAN;
    }
    reconcile_follow_foreign(r);
}

/*
 * Routes before the rules that lead to them, and unwanted rules before their routes. Once the order
 * is made, a rule does not wait for a comparison of many routes. 1: there is more to do.
 */
static int pass_routing(struct nsh_reconciler *r)
{
    int more = reconcile_routes(r), q;

    if (more < 0 || (more > 0 && r->settling))
        return more;
    q = reconcile_rules(r);
    if (q == 0 && !r->rules_dirty && reconcile_job_waits(r))
        more = reconcile_routes(r);
    return q < 0 || more < 0 ? (q < 0 ? q : more) : more > 0 || r->rules_dirty;
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
    if (q > 0) {
        /* The rest has its turn after what else is waiting, and knows what it is about. */
        if (!r->rules_dirty)
            r->trigger = (struct trigger){0};
        reconcile_follow_foreign(r);
        return 0;
    }
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
    reconcile_mark_everything(r);
}

int nsh_reconciler_run(struct nsh_reconciler *r)
{
    uint64_t now = reconcile_now(r);
    int q;

    if (!r->desired)
        return 0;
    take_waiting(r, now);
    r->work.passes++;
    r->pause = 0;
    if (r->retry <= now)
        r->retry = NSH_NEVER;
    report_begin(r);
    q = reconcile_gates(r);
    if (q == 0)
        q = reconcile_learned(r);
    settle_marks(r);
    if (q == 0)
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
    return r->routes_dirty != ROUTES_CLEAN || r->job.phase != JOB_NONE || r->links_dirty ||
           r->rules_dirty || r->forwarding_dirty || r->gates_dirty || r->gates_marked ||
           r->learned_dirty;
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
    struct nsh_repairs *repairs = nsh_notes_find_repairs(r->notes, id);

    *ret_fight = false;
    *ret_until = 0;
    if (!repairs)
        return true; /* the first time */
    return nsh_backoff_may_repair(&repairs->backoff, reconcile_now(r), ret_until, ret_fight);
}

void reconcile_repaired(struct nsh_reconciler *r, nsh_object_id id)
{
    struct nsh_repairs *repairs;

    nsh_notes_trim(r->notes, reconcile_now(r));
    repairs = nsh_notes_repairs(r->notes, id);
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
