/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The route plan.
 *
 * Nearly always exactly one route stands on a wanted key, ours and as wanted. That is one bit
 * (HOLDS_FIRST), and nothing else is kept of it. Whatever else is seen of ours, or stands on a
 * wanted key, becomes an entry: a copy in the plan's own arena. When the dump is over the entries
 * are sorted by key and judged together, key by key.
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
#include <string.h>

#include "cleanup.h"
#include "intern.h"
#include "plan.h"

/* Bits of `state` for each wanted route, while the observed ones come in. */
#define JUDGED 0x01U      /* in scope (NSH_SCOPE_KEYS) */
#define HOLDS_FIRST 0x02U /* the first on the key is ours and right: it has no entry */
#define HAS_ENTRIES 0x04U /* entries were kept */
#define HAS_FOREIGN 0x08U /* one of them is foreign; further ones do not matter */
#define IS_SHADOWED 0x40U
#define SETTLED 0x80U   /* seen to elsewhere */
#define VERDICT_SHIFT 4 /* after finish: enum nsh_route_verdict */
#define VERDICT_MASK 0x30U

/* Arrays larger than this are given back at the next begin. */
#define KEEP_CAPACITY 256

enum entry_kind {
    ENTRY_OURS,      /* our mark, not as wanted */
    ENTRY_RIGHT,     /* our mark, as wanted */
    ENTRY_OLD,       /* the mark from before the reload, else as wanted */
    ENTRY_FOREIGN,   /* no mark of ours, not as wanted */
    ENTRY_ADOPT,     /* no mark of ours, else as wanted */
    ENTRY_WITHDRAWN, /* ours, on a key that is not wanted now; kept with what is not wanted at all
                      */
};

struct entry {
    size_t wanted; /* SIZE_MAX: ours, on no wanted key */
    uint32_t order;
    enum entry_kind kind;
    struct nsh_route route;
};

/* How the routes on one key are mended. */
struct judgement {
    enum nsh_route_verdict verdict;
    bool write;                   /* a step for the wanted route itself */
    enum nsh_route_action action; /* of that */
    bool delete_before;           /* the doomed go before it is written, else in another round */
    bool doom_right;              /* the right one goes too: it is written anew */
    size_t spared;                /* the entry the write replaces; SIZE_MAX: none */
};

/* How far the making of steps has come. */
enum stage {
    STAGE_WRITE_DIRECT,
    STAGE_WRITE_GATEWAY,
    STAGE_DELETE_GATEWAY,
    STAGE_DELETE_DIRECT,
    STAGES
};

struct cursor {
    enum stage stage;
    size_t key;   /* of the wanted, or of the keys in NSH_SCOPE_KEYS; the position of a write */
    size_t entry; /* judging: the first of that key */
};

struct nsh_route_plan {
    const struct nsh_desired *want;
    const uint8_t *flags;
    uint8_t also_ours;
    enum nsh_route_scope scope;
    uint8_t *state;
    size_t hint; /* index of the wanted route found last: dumps are nearly in order */
    struct nsh_arena *arena;
    size_t *keys; /* NSH_SCOPE_KEYS: sorted, each once */
    size_t n_keys;
    struct entry *entries;
    size_t n_entries, entries_size;
    size_t n_unwanted; /* of them; once sorted, those at the end */
    bool sorted;
    struct cursor judged, made;
    struct nsh_route_step *steps;
    size_t n_steps, steps_size;
    struct nsh_route_shadow *shadows;
    size_t n_shadows, shadows_size;
};

NSH_DEFINE_CLEANUP(struct nsh_route_plan *, nsh_route_plan_free)

/* ---- memory ---- */

static int grow(void **array, size_t *size, size_t need, size_t element)
{
    size_t next = *size > 0 ? *size + *size / 2 : 16, bytes;
    void *p;

    if (need <= *size)
        return 0;
    if (next < need)
        next = need;
    if (__builtin_mul_overflow(next, element, &bytes))
        return -ENOMEM;
    p = realloc(*array, bytes);
    if (!p)
        return -ENOMEM;
    *array = p;
    *size = next;
    return 0;
}

static void empty(void **array, size_t *n, size_t *size)
{
    *n = 0;
    if (*size <= KEEP_CAPACITY)
        return;
    free(*array);
    *array = NULL;
    *size = 0;
}

int nsh_route_plan_new(const struct nsh_desired *want, const uint8_t *flags, uint8_t also_ours,
        struct nsh_route_plan **ret)
{
    NSH_CLEANUP(nsh_route_plan_freep) struct nsh_route_plan *p = calloc(1, sizeof(*p));

    if (!p)
        return -ENOMEM;
    p->want = want;
    p->flags = flags;
    p->also_ours = also_ours;
    p->scope = NSH_SCOPE_KEYS; /* nothing is judged until begin */
    p->state = calloc(want->n_routes > 0 ? want->n_routes : 1, 1);
    p->arena = nsh_arena_new();
    if (!p->state || !p->arena)
        return -ENOMEM;
    *ret = NSH_TAKE_PTR(p);
    return 0;
}

void nsh_route_plan_free(struct nsh_route_plan *p)
{
    if (!p)
        return;
    nsh_arena_free(p->arena);
    free(p->state);
    free(p->keys);
    free(p->entries);
    free(p->steps);
    free(p->shadows);
    free(p);
}

/* ---- begin ---- */

static int cmp_index(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;

    return (x > y) - (x < y);
}

static int set_keys(struct nsh_route_plan *p, const size_t *keys, size_t n_keys)
{
    size_t *copy, n = 0;

    copy = calloc(n_keys > 0 ? n_keys : 1, sizeof(*copy));
    if (!copy)
        return -ENOMEM;
    for (size_t i = 0; i < n_keys; i++)
        if (keys[i] < p->want->n_routes && !(p->state[keys[i]] & JUDGED)) {
            p->state[keys[i]] |= JUDGED;
            copy[n++] = keys[i];
        }
    qsort(copy, n, sizeof(*copy), cmp_index);
    p->keys = copy;
    p->n_keys = n;
    return 0;
}

int nsh_route_plan_begin(
        struct nsh_route_plan *p, enum nsh_route_scope scope, const size_t *keys, size_t n_keys)
{
    /* After a few keys only these are to be forgotten, not a byte for each of a million routes. */
    if (p->scope == NSH_SCOPE_KEYS)
        for (size_t i = 0; i < p->n_keys; i++)
            p->state[p->keys[i]] = 0;
    else
        memset(p->state, 0, p->want->n_routes);
    free(p->keys);
    p->keys = NULL;
    p->n_keys = 0;
    p->hint = 0;
    empty((void **)&p->entries, &p->n_entries, &p->entries_size);
    empty((void **)&p->steps, &p->n_steps, &p->steps_size);
    empty((void **)&p->shadows, &p->n_shadows, &p->shadows_size);
    nsh_arena_reset(p->arena);
    p->n_unwanted = 0;
    p->sorted = true;
    p->judged = p->made = (struct cursor){0};
    p->scope = scope;
    return scope == NSH_SCOPE_KEYS ? set_keys(p, keys, n_keys) : 0;
}

/* ---- observe ---- */

/* Its index, or SIZE_MAX and in *ret_at where it would be. */
static size_t find_wanted(struct nsh_route_plan *p, const struct nsh_route *seen, size_t *ret_at)
{
    const struct nsh_desired *want = p->want;
    size_t at;

    for (size_t i = p->hint; i < want->n_routes && i < p->hint + 2; i++)
        if (nsh_route_id_cmp(&want->routes[i], seen) == 0)
            return p->hint = i;
    at = nsh_desired_lower_bound(want, seen);
    if (at < want->n_routes && nsh_route_id_cmp(&want->routes[at], seen) == 0)
        return p->hint = at;
    *ret_at = at;
    return SIZE_MAX;
}

static const struct nsh_route_props *keep_props(
        struct nsh_route_plan *p, const struct nsh_route *seen)
{
    return nsh_arena_intern(p->arena, seen->props, nsh_route_props_size(seen->props->n_nexthops));
}

/* A foreign route on no wanted key; `at` is where its own would be. */
static int note_shadow(struct nsh_route_plan *p, const struct nsh_route *seen, size_t at)
{
    size_t wanted = nsh_desired_find_shadowed(p->want, seen, at);
    struct nsh_route_shadow *s;

    if (wanted == SIZE_MAX || (p->state[wanted] & IS_SHADOWED))
        return 0;
    if (grow((void **)&p->shadows, &p->shadows_size, p->n_shadows + 1, sizeof(*p->shadows)) < 0)
        return -ENOMEM;
    s = &p->shadows[p->n_shadows];
    *s = (struct nsh_route_shadow){.wanted = wanted, .by = *seen};
    s->by.props = keep_props(p, seen);
    if (!s->by.props)
        return -ENOMEM;
    p->n_shadows++;
    p->state[wanted] |= IS_SHADOWED;
    return 0;
}

/* By key, and on one key in the order in which the kernel has them; what is not wanted comes last.
 */
static int cmp_entry(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int r = (x->wanted > y->wanted) - (x->wanted < y->wanted);

    if (r == 0 && x->wanted == SIZE_MAX)
        r = nsh_route_id_cmp(&x->route, &y->route);
    return r != 0 ? r : (x->order > y->order) - (x->order < y->order);
}

static int keep_entry(
        struct nsh_route_plan *p, size_t wanted, enum entry_kind kind, const struct nsh_route *seen)
{
    const struct nsh_route_props *props;
    int r;

    r = grow((void **)&p->entries, &p->entries_size, p->n_entries + 1, sizeof(*p->entries));
    if (r < 0)
        return r;
    props = keep_props(p, seen);
    if (!props)
        return -ENOMEM;
    p->entries[p->n_entries] = (struct entry){wanted, (uint32_t)p->n_entries, kind, *seen};
    p->entries[p->n_entries].route.props = props;
    p->n_unwanted += wanted == SIZE_MAX;
    if (p->n_entries > 0 && cmp_entry(&p->entries[p->n_entries - 1], &p->entries[p->n_entries]) > 0)
        p->sorted = false;
    p->n_entries++;
    return 0;
}

static enum entry_kind classify(
        const struct nsh_route_plan *p, size_t wanted, const struct nsh_route *seen)
{
    bool equal = nsh_desired_equal(p->want, &p->want->routes[wanted], seen);

    if (seen->protocol == p->want->protocol)
        return equal ? ENTRY_RIGHT : ENTRY_OURS;
    if (p->also_ours != 0 && seen->protocol == p->also_ours)
        return equal ? ENTRY_OLD : ENTRY_OURS;
    return equal ? ENTRY_ADOPT : ENTRY_FOREIGN;
}

static bool is_foreign(enum entry_kind kind)
{
    return kind == ENTRY_FOREIGN || kind == ENTRY_ADOPT;
}

int nsh_route_plan_observe(struct nsh_route_plan *p, const struct nsh_route *seen)
{
    bool ours = seen->protocol == p->want->protocol ||
                (p->also_ours != 0 && seen->protocol == p->also_ours);
    enum entry_kind kind;
    size_t wanted, at = 0;
    uint8_t *state;

    if (!ours && p->scope == NSH_SCOPE_OURS)
        return 0;
    wanted = find_wanted(p, seen, &at);
    if (wanted == SIZE_MAX && !ours)
        return p->scope == NSH_SCOPE_ALL ? note_shadow(p, seen, at) : 0;
    if (wanted == SIZE_MAX)
        return p->scope != NSH_SCOPE_KEYS ? keep_entry(p, SIZE_MAX, ENTRY_OURS, seen) : 0;
    state = &p->state[wanted];
    if ((*state & SETTLED) || (p->scope == NSH_SCOPE_KEYS && !(*state & JUDGED)))
        return 0;

    if (p->flags[wanted] & NSH_ROUTE_WITHDRAWN)
        return ours ? keep_entry(p, SIZE_MAX, ENTRY_WITHDRAWN, seen) : 0;
    kind = classify(p, wanted, seen);
    if (kind == ENTRY_RIGHT && !(*state & (HAS_ENTRIES | HOLDS_FIRST))) {
        *state |= HOLDS_FIRST;
        return 0;
    }
    /*
     * The same one again: a dump that ran while routes changed. And behind ours, a foreign one has
     * no effect and is none of our business.
     */
    if ((kind == ENTRY_RIGHT && (*state & HOLDS_FIRST)) ||
            (is_foreign(kind) && (*state & (HAS_FOREIGN | HOLDS_FIRST))))
        return 0;
    *state |= HAS_ENTRIES | (is_foreign(kind) ? HAS_FOREIGN : 0U);
    return keep_entry(p, wanted, kind, seen);
}

void nsh_route_plan_hold(struct nsh_route_plan *p, size_t wanted)
{
    p->state[wanted] |= HOLDS_FIRST;
}

void nsh_route_plan_settle(struct nsh_route_plan *p, size_t wanted)
{
    p->state[wanted] = (uint8_t)((p->state[wanted] & ~VERDICT_MASK) | SETTLED);
}

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
        if (is_foreign(e[i].kind))
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
        j.write = j.delete_before = j.doom_right = true;
        j.action = NSH_ROUTE_REPLACE;
    } else if (any_ours_wrong(e, n)) {
        /*
         * The others go. A deletion names nexthops, and the kernel may find the right one to fit
         * too (a multipath route by its first nexthop), so that is written once more behind it:
         * where it still stands, nothing changes.
         */
        j.verdict = NSH_ROUTE_WRONG;
        j.write = j.delete_before = true;
        j.action = NSH_ROUTE_REPLACE;
    }
    return j;
}

/* None is right, but something stands there. */
static struct judgement judge_others(
        const struct nsh_route_plan *p, size_t wanted, const struct entry *e, size_t n)
{
    const struct nsh_route *want = &p->want->routes[wanted];
    struct judgement j = {.verdict = NSH_ROUTE_WRONG, .write = true, .spared = SIZE_MAX};

    j.action = NSH_ROUTE_REPLACE;
    if (feeds_on_others(want) && is_foreign(e[0].kind)) {
        j.verdict = NSH_ROUTE_CONFLICT;
        j.write = false;
        return j;
    }
    if (any_ours_wrong(e, n)) {
        j.delete_before = want->family == AF_INET;
        if (!is_foreign(e[0].kind))
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
        j.write = false;
    }
    return j;
}

static struct judgement judge(
        const struct nsh_route_plan *p, size_t wanted, const struct entry *e, size_t n)
{
    size_t right = first_of(e, n, ENTRY_RIGHT);
    struct judgement j = {.verdict = NSH_ROUTE_WRONG, .write = true, .spared = SIZE_MAX};

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
    int r = grow((void **)&p->steps, &p->steps_size, p->n_steps + 1, sizeof(*p->steps));

    if (r < 0)
        return r;
    p->steps[p->n_steps++] = (struct nsh_route_step){action, wanted, *route};
    return 0;
}

static bool doomed(const struct entry *e, size_t i, const struct judgement *j)
{
    return i != j->spared && !is_foreign(e[i].kind) && (e[i].kind != ENTRY_RIGHT || j->doom_right);
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

/* The first entry of a wanted key, or n_entries. */
static size_t first_entry(const struct nsh_route_plan *p, size_t wanted)
{
    size_t low = 0, high = p->n_entries;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (p->entries[middle].wanted < wanted)
            low = middle + 1;
        else
            high = middle;
    }
    return low < p->n_entries && p->entries[low].wanted == wanted ? low : p->n_entries;
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

static int cmp_shadow(const void *a, const void *b)
{
    const struct nsh_route_shadow *x = a, *y = b;

    return (x->wanted > y->wanted) - (x->wanted < y->wanted);
}

/* As a rule the entries came in order. */
static void sort_seen(struct nsh_route_plan *p)
{
    if (p->n_shadows > 1)
        qsort(p->shadows, p->n_shadows, sizeof(*p->shadows), cmp_shadow);
    if (!p->sorted)
        qsort(p->entries, p->n_entries, sizeof(*p->entries), cmp_entry);
    p->sorted = true;
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
        sort_seen(p);
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

    if (!j.write)
        return 0;
    if (j.delete_before)
        r = add_deletions(p, e, n, &j);
    if (route.props->varies != 0) {
        route = nsh_desired_effective(p->want, &route, &room);
        route.props = keep_props(p, &route);
        if (!route.props)
            return -ENOMEM;
    }
    route.protocol = p->want->protocol;
    return r < 0 ? r : add_step(p, j.action, wanted, &route);
}

/*
 * Many routes are written from all over the set instead of from its beginning to its end: each
 * STRIDEth key, then the ones behind these. The kernel's trie (fib_trie.c) then takes on its final
 * shape early. Filled in order it is rebuilt again and again at its growing edge: a million routes
 * take it a fifth longer, and single messages three times as long.
 */
#define STRIDES 1024U
#define SPREAD_MIN 65536U

struct spread {
    size_t n, stride, positions;
};

static struct spread spread_over(size_t n)
{
    size_t stride = n >= SPREAD_MIN ? (n + STRIDES - 1) / STRIDES : 1;

    return (struct spread){n, stride, stride > 1 ? stride * STRIDES : n};
}

/* The key written at this position, or one from `n` on: there is none. */
static size_t spread_key(const struct spread *s, size_t position)
{
    return s->stride > 1 ? position % STRIDES * s->stride + position / STRIDES : position;
}

static int make_write(struct nsh_route_plan *p, int tier, size_t wanted)
{
    size_t first;

    if (nsh_route_plan_verdict(p, wanted) != NSH_ROUTE_WRONG ||
            (p->flags[wanted] & (NSH_ROUTE_SKIP | NSH_ROUTE_WITHDRAWN)) ||
            tier_of(&p->want->routes[wanted]) != tier)
        return 0;
    first = p->state[wanted] & HAS_ENTRIES ? first_entry(p, wanted) : p->n_entries;
    return write_key(p, wanted, p->entries + first, count_entries(p, first, wanted));
}

static int make_writes(struct nsh_route_plan *p, int tier, size_t *most, size_t steps)
{
    const struct spread s = spread_over(count_keys(p));
    struct cursor *c = &p->made;

    for (; c->key<s.positions && * most> 0 && p->n_steps < steps; c->key++, --*most) {
        size_t key = spread_key(&s, c->key);
        int r = key < s.n ? make_write(p, tier, key_at(p, key)) : 0;

        if (r < 0)
            return r;
    }
    return c->key < s.positions;
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

    for (; c->key<p->n_unwanted && * most> 0 && p->n_steps < steps; c->key++, --*most) {
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

/* ---- the result ---- */

const struct nsh_route_step *nsh_route_plan_steps(const struct nsh_route_plan *p, size_t *ret_n)
{
    *ret_n = p->n_steps;
    return p->steps;
}

enum nsh_route_verdict nsh_route_plan_verdict(const struct nsh_route_plan *p, size_t wanted)
{
    return (enum nsh_route_verdict)((p->state[wanted] & VERDICT_MASK) >> VERDICT_SHIFT);
}

const struct nsh_route_shadow *nsh_route_plan_shadows(const struct nsh_route_plan *p, size_t *ret_n)
{
    *ret_n = p->n_shadows;
    return p->shadows;
}

const struct nsh_route *nsh_route_plan_conflict(const struct nsh_route_plan *p, size_t wanted)
{
    if (nsh_route_plan_verdict(p, wanted) != NSH_ROUTE_CONFLICT)
        return NULL;
    /* Only foreign ones stand there, and only the first is kept. */
    return &p->entries[first_entry(p, wanted)].route;
}

bool nsh_route_plan_stands(const struct nsh_route_plan *p, size_t wanted)
{
    for (size_t i = first_entry(p, wanted); i < p->n_entries && p->entries[i].wanted == wanted; i++)
        if (p->entries[i].kind == ENTRY_OURS)
            return true;
    return false;
}
