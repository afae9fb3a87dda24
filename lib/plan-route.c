/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The route plan: what is seen.
 *
 * Nearly always exactly one route stands on a wanted key, ours and as wanted. That is one bit
 * (HOLDS_FIRST), and nothing else is kept of it. Whatever else is seen of ours, or stands on a
 * wanted key, becomes an entry: a copy in the plan's own arena. When the dump is over the entries
 * are sorted by key and judged together, key by key.
 */
#include "plan-route.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

/* Arrays larger than this are given back at the next begin. */
#define KEEP_CAPACITY 256

NSH_DEFINE_CLEANUP(struct nsh_route_plan *, nsh_route_plan_free)

/* ---- memory ---- */

int nsh_route_plan_grow(void **array, size_t *size, size_t need, size_t element)
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

const struct nsh_route_props *nsh_route_plan_keep(
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
    if (nsh_route_plan_grow(
                (void **)&p->shadows, &p->shadows_size, p->n_shadows + 1, sizeof(*p->shadows)) < 0)
        return -ENOMEM;
    s = &p->shadows[p->n_shadows];
    *s = (struct nsh_route_shadow){.wanted = wanted, .by = *seen};
    s->by.props = nsh_route_plan_keep(p, seen);
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

    r = nsh_route_plan_grow(
            (void **)&p->entries, &p->entries_size, p->n_entries + 1, sizeof(*p->entries));
    if (r < 0)
        return r;
    props = nsh_route_plan_keep(p, seen);
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
            (nsh_entry_is_foreign(kind) && (*state & (HAS_FOREIGN | HOLDS_FIRST))))
        return 0;
    *state |= HAS_ENTRIES | (nsh_entry_is_foreign(kind) ? HAS_FOREIGN : 0U);
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

/* ---- in order ---- */

static int cmp_shadow(const void *a, const void *b)
{
    const struct nsh_route_shadow *x = a, *y = b;

    return (x->wanted > y->wanted) - (x->wanted < y->wanted);
}

/* As a rule the entries came in order. */
void nsh_route_plan_sort(struct nsh_route_plan *p)
{
    if (p->n_shadows > 1)
        qsort(p->shadows, p->n_shadows, sizeof(*p->shadows), cmp_shadow);
    if (!p->sorted)
        qsort(p->entries, p->n_entries, sizeof(*p->entries), cmp_entry);
    p->sorted = true;
}

size_t nsh_route_plan_first(const struct nsh_route_plan *p, size_t wanted)
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
    return &p->entries[nsh_route_plan_first(p, wanted)].route;
}

bool nsh_route_plan_stands(const struct nsh_route_plan *p, size_t wanted)
{
    for (size_t i = nsh_route_plan_first(p, wanted);
            i < p->n_entries && p->entries[i].wanted == wanted; i++)
        if (p->entries[i].kind == ENTRY_OURS)
            return true;
    return false;
}
