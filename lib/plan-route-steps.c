/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The route plan: what is to be done about what was seen.
 *
 * What the kernel does with several routes on one key shapes the judgement. IPv4 keeps them in a
 * list; the first one counts, a replacement acts on the first, and fails if a route equal to the
 * new one stands later in the list. So ours behind a foreign one is deleted and then put in the
 * foreign one's place, and ours beside the one to be replaced go before it is. IPv6 has no such
 * list and replaces by kind (with a gateway or without), so that what a replacement leaves over is
 * only known, and deleted, when it is seen again.
 */
#include <errno.h>
#include <stdlib.h>

#include "plan-route.h"

/* How the routes on one key are mended. */
struct judgement {
    enum nsh_route_verdict verdict;
    enum nsh_route_action action; /* WRONG: how the wanted route itself is written */
    bool delete_before;           /* the doomed go before it is written, else in another round */
    bool doom_right;              /* the right one goes too: it is written anew */
    size_t spared;                /* the entry the write replaces; SIZE_MAX: none */
};

/* ---- judge ---- */

/* The place of the first entry of that kind, or SIZE_MAX. */
static size_t first_of(const struct entry *e, size_t n, enum entry_kind kind)
{
    for (size_t i = 0; i < n; i++)
        if (e[i].kind == kind)
            return i;
    return SIZE_MAX;
}

static bool any_foreign(const struct entry *e, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (nsh_entry_is_foreign(e[i].kind))
            return true;
    return false;
}

static bool any_ours_wrong(const struct entry *e, size_t n)
{
    return first_of(e, n, ENTRY_OURS) != SIZE_MAX || first_of(e, n, ENTRY_OLD) != SIZE_MAX;
}

/*
 * A default route with a gateway that is learned from others' default routes: one on its very key
 * may be where it is learned, and is never taken.
 */
static bool feeds_on_others(const struct nsh_route *want)
{
    return want->dst_length == 0 && want->props->varies & NSH_VARIES_LEARNED;
}

/* One of ours is right, but others stand on the key too. */
static struct judgement judge_held(
        const struct nsh_route *want, const struct entry *e, size_t n, size_t right)
{
    struct judgement j = {.verdict = NSH_ROUTE_RIGHT, .spared = SIZE_MAX};

    if (want->family == AF_INET && right != SIZE_MAX && any_foreign(e, right)) {
        if (feeds_on_others(want))
            return j;
        /* Shadowed: something was prepended. That we have the key means that we held it. */
        j.verdict = NSH_ROUTE_WRONG;
        j.delete_before = j.doom_right = true;
        j.action = NSH_ROUTE_REPLACE;
    } else if (any_ours_wrong(e, n)) {
        /*
         * The others go. A deletion names nexthops, and the kernel may find the right one to fit
         * too (a multipath route by its first nexthop), so that is written once more behind it:
         * where it still stands, nothing changes.
         */
        j.verdict = NSH_ROUTE_WRONG;
        j.delete_before = true;
        j.action = NSH_ROUTE_REPLACE;
    }
    return j;
}

/* None is right, but something stands there. */
static struct judgement judge_others(
        const struct nsh_route_plan *p, size_t wanted, const struct entry *e, size_t n)
{
    const struct nsh_route *want = &p->want->routes[wanted];
    struct judgement j = {.verdict = NSH_ROUTE_WRONG, .spared = SIZE_MAX};

    j.action = NSH_ROUTE_REPLACE;
    if (feeds_on_others(want) && nsh_entry_is_foreign(e[0].kind)) {
        j.verdict = NSH_ROUTE_CONFLICT;
        return j;
    }
    if (any_ours_wrong(e, n)) {
        j.delete_before = want->family == AF_INET;
        if (!nsh_entry_is_foreign(e[0].kind))
            j.spared = 0;
        if (e[0].kind == ENTRY_OLD)
            j.action = NSH_ROUTE_ADOPT;
        return j;
    }
    if (e[0].kind == ENTRY_ADOPT) {
        j.action = NSH_ROUTE_ADOPT;
    } else if (!(p->flags[wanted] & NSH_ROUTE_WAS_HELD) &&
               want->props->on_conflict != NSH_CONFLICT_REPLACE) {
        j.verdict = NSH_ROUTE_CONFLICT;
    }
    return j;
}

static struct judgement judge(
        const struct nsh_route_plan *p, size_t wanted, const struct entry *e, size_t n)
{
    size_t right = first_of(e, n, ENTRY_RIGHT);
    struct judgement j = {.verdict = NSH_ROUTE_WRONG, .spared = SIZE_MAX};

    j.action = NSH_ROUTE_ADD;
    if (right != SIZE_MAX || (p->state[wanted] & HOLDS_FIRST))
        return judge_held(&p->want->routes[wanted], e, n, right);
    return n == 0 ? j : judge_others(p, wanted, e, n);
}

/* ---- finish ---- */

/*
 * What others may resolve through goes in first and out last. Two tiers are enough: the kernel
 * does not resolve a gateway through a route that has one itself.
 */
enum { TIER_DIRECT, TIER_GATEWAY, TIERS };

static int tier_of(const struct nsh_route *r)
{
    for (uint32_t i = 0; i < r->props->n_nexthops; i++)
        if (r->props->nexthops[i].via_family != AF_UNSPEC || r->props->nexthops[i].learned)
            return TIER_GATEWAY;
    return TIER_DIRECT;
}

static int add_step(struct nsh_route_plan *p, enum nsh_route_action action, size_t wanted,
        const struct nsh_route *route)
{
    int r = nsh_route_plan_grow(
            (void **)&p->steps, &p->steps_size, p->n_steps + 1, sizeof(*p->steps));

    if (r < 0)
        return r;
    p->steps[p->n_steps++] = (struct nsh_route_step){action, wanted, *route};
    return 0;
}

static bool doomed(const struct entry *e, size_t i, const struct judgement *j)
{
    return i != j->spared && !nsh_entry_is_foreign(e[i].kind) &&
           (e[i].kind != ENTRY_RIGHT || j->doom_right);
}

static int add_deletions(
        struct nsh_route_plan *p, const struct entry *e, size_t n, const struct judgement *j)
{
    for (size_t i = 0; i < n; i++)
        if (doomed(e, i, j)) {
            int r = add_step(p, NSH_ROUTE_DELETE, e[i].wanted, &e[i].route);

            if (r < 0)
                return r;
        }
    return 0;
}

/* Entries of one key, from `at`. */
static size_t count_entries(const struct nsh_route_plan *p, size_t at, size_t wanted)
{
    size_t n = 0;

    while (at + n < p->n_entries && p->entries[at + n].wanted == wanted)
        n++;
    return n;
}

/* The keys that are judged, by position. */
static size_t count_keys(const struct nsh_route_plan *p)
{
    return p->scope == NSH_SCOPE_KEYS ? p->n_keys : p->want->n_routes;
}

static size_t key_at(const struct nsh_route_plan *p, size_t i)
{
    return p->scope == NSH_SCOPE_KEYS ? p->keys[i] : i;
}

static void set_verdict(struct nsh_route_plan *p, size_t wanted, enum nsh_route_verdict verdict)
{
    p->state[wanted] = (uint8_t)((p->state[wanted] & ~VERDICT_MASK) | (verdict << VERDICT_SHIFT));
}

int nsh_route_plan_judge(struct nsh_route_plan *p, size_t most, size_t *ret_from, size_t *ret_to)
{
    struct cursor *c = &p->judged;
    size_t n_keys = count_keys(p);

    if (c->key == 0)
        nsh_route_plan_sort(p);
    *ret_from = c->key;
    for (; c->key < n_keys && most > 0; c->key++, most--) {
        size_t wanted = key_at(p, c->key), n = count_entries(p, c->entry, wanted);

        if (p->state[wanted] & SETTLED)
            set_verdict(p, wanted, NSH_ROUTE_UNKNOWN);
        else if (p->flags[wanted] & NSH_ROUTE_WITHDRAWN)
            set_verdict(p, wanted, NSH_ROUTE_RIGHT);
        else
            set_verdict(p, wanted, judge(p, wanted, p->entries + c->entry, n).verdict);
        c->entry += n;
    }
    *ret_to = c->key;
    return c->key < n_keys;
}

/* The steps that write a wanted route and remove what is beside it. */
static int write_key(struct nsh_route_plan *p, size_t wanted, const struct entry *e, size_t n)
{
    struct judgement j = judge(p, wanted, e, n);
    struct nsh_route route = p->want->routes[wanted];
    union nsh_route_room room;
    int r = 0;

    if (j.verdict != NSH_ROUTE_WRONG)
        return 0; /* its flags changed since it was judged */
    if (j.delete_before)
        r = add_deletions(p, e, n, &j);
    if (route.props->varies != 0) {
        route = nsh_desired_effective(p->want, &route, &room);
        route.props = nsh_route_plan_keep(p, &route);
        if (!route.props)
            return -ENOMEM;
    }
    route.protocol = p->want->protocol;
    return r < 0 ? r : add_step(p, j.action, wanted, &route);
}

/*
 * Many routes are not written from the beginning of the set to its end but level by level: the one
 * in the middle, those in the middle of the halves, of the quarters and so on. The kernel's trie
 * (fib_trie.c) then takes on its final shape early. Filled in order it is rebuilt again and again
 * at its growing edge: a million routes take it twice as long, and single messages ten times.
 */
#define LEVELS_MIN 4096U

/* How many times the set is halved; 0: it is written in order. */
static unsigned levels_of(size_t n)
{
    return n >= LEVELS_MIN ? 64U - (unsigned)__builtin_clzll(n - 1) : 0;
}

static size_t count_positions(size_t n)
{
    unsigned levels = levels_of(n);

    return levels > 0 ? (size_t)1 << levels : n;
}

/* The key written at this position, or one from `n` on: there is none. */
static size_t key_written_at(size_t n, size_t position)
{
    unsigned levels = levels_of(n), level;
    size_t first;

    if (levels == 0 || position == 0)
        return position;
    level = 63U - (unsigned)__builtin_clzll(position);
    first = (size_t)1 << level;
    return (2 * (position - first) + 1) << (levels - level - 1);
}

static int make_write(struct nsh_route_plan *p, int tier, size_t wanted)
{
    size_t first;

    if (nsh_route_plan_verdict(p, wanted) != NSH_ROUTE_WRONG ||
            (p->flags[wanted] & (NSH_ROUTE_SKIP | NSH_ROUTE_WITHDRAWN)) ||
            tier_of(&p->want->routes[wanted]) != tier)
        return 0;
    first = p->state[wanted] & HAS_ENTRIES ? nsh_route_plan_first(p, wanted) : p->n_entries;
    return write_key(p, wanted, p->entries + first, count_entries(p, first, wanted));
}

static int make_writes(struct nsh_route_plan *p, int tier, size_t *most, size_t steps)
{
    size_t n = count_keys(p), end = count_positions(n);
    struct cursor *c = &p->made;

    for (; c->key < end && *most != 0 && p->n_steps < steps; c->key++, --*most) {
        size_t key = key_written_at(n, c->key);
        int r = key < n ? make_write(p, tier, key_at(p, key)) : 0;

        if (r < 0)
            return r;
    }
    return c->key < end;
}

/* What was withdrawn when it was seen may have been wanted again since, or been seen to. */
static bool still_goes(const struct nsh_route_plan *p, const struct entry *e)
{
    size_t wanted;

    if (e->kind != ENTRY_WITHDRAWN)
        return true;
    wanted = nsh_desired_find_route(p->want, &e->route);
    return wanted == SIZE_MAX ||
           (p->flags[wanted] & NSH_ROUTE_WITHDRAWN && !(p->state[wanted] & SETTLED));
}

/* What is not wanted at all: it stands behind all other entries. */
static int make_deletions(struct nsh_route_plan *p, int tier, size_t *most, size_t steps)
{
    struct cursor *c = &p->made;
    size_t first = p->n_entries - p->n_unwanted;

    for (; c->key < p->n_unwanted && *most != 0 && p->n_steps < steps; c->key++, --*most) {
        const struct entry *e = &p->entries[first + c->key];
        const struct nsh_route *route = &e->route;
        int r = tier_of(route) == tier && still_goes(p, e)
                        ? add_step(p, NSH_ROUTE_DELETE, SIZE_MAX, route)
                        : 0;

        if (r < 0)
            return r;
    }
    return c->key < p->n_unwanted;
}

static int make_stage(struct nsh_route_plan *p, size_t *most, size_t steps)
{
    switch (p->made.stage) {
    case STAGE_WRITE_DIRECT:
        return make_writes(p, TIER_DIRECT, most, steps);
    case STAGE_WRITE_GATEWAY:
        return make_writes(p, TIER_GATEWAY, most, steps);
    case STAGE_DELETE_GATEWAY:
        return make_deletions(p, TIER_GATEWAY, most, steps);
    case STAGE_DELETE_DIRECT:
        return make_deletions(p, TIER_DIRECT, most, steps);
    case STAGES:
        break;
    }
    return 0;
}

static int make_stages(struct nsh_route_plan *p, enum stage end, size_t most, size_t steps)
{
    while (p->made.stage < end) {
        int r = make_stage(p, &most, steps);

        if (r != 0)
            return r;
        p->made = (struct cursor){.stage = p->made.stage + 1};
    }
    return 0;
}

int nsh_route_plan_writes(struct nsh_route_plan *p, size_t most, size_t steps)
{
    p->n_steps = 0;
    return make_stages(p, STAGE_DELETE_GATEWAY, most, steps);
}

int nsh_route_plan_deletions(struct nsh_route_plan *p, size_t most, size_t steps)
{
    p->n_steps = 0;
    return make_stages(p, STAGES, most, steps);
}

int nsh_route_plan_finish(struct nsh_route_plan *p)
{
    size_t from, to;

    p->judged = p->made = (struct cursor){0};
    nsh_route_plan_judge(p, SIZE_MAX, &from, &to);
    p->n_steps = 0;
    return make_stages(p, STAGES, SIZE_MAX, SIZE_MAX);
}

size_t nsh_route_plan_unwanted(const struct nsh_route_plan *p)
{
    return p->n_unwanted;
}
