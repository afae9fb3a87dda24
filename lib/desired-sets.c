/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Long lists of prefixes become sets: a packet is looked up in one, however large, in constant
 * time, where rules would be gone through one by one.
 */
#include "desired-build.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "intern.h"

/* By address, and the wider before those it holds. */
static int compare_places(const void *a, const void *b)
{
    const struct nsh_prefix *x = a, *y = b;
    int r = nsh_addr_cmp(&x->addr, &y->addr);

    return r != 0 ? r : (int)x->length - (int)y->length;
}

static int compare_prefixes(const void *a, const void *b)
{
    return nsh_prefix_cmp(a, b);
}

/* Sorts the prefixes, all of one family, and leaves out what another holds; how many are left. */
static size_t unite(struct nsh_prefix *p, size_t n)
{
    size_t kept = 0;

    if (n == 0)
        return 0;
    qsort(p, n, sizeof(*p), compare_places);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || !nsh_prefix_contains(&p[kept - 1], p[i].family, &p[i].addr))
            p[kept++] = p[i];
    qsort(p, kept, sizeof(*p), compare_prefixes);
    return kept;
}

static const struct nsh_set *find_set(const struct nsh_builder *b, const char *name)
{
    const struct nsh_desired *d = b->d;

    /* A policy's sets are the newest. */
    for (size_t i = d->n_sets; i-- > 0 && strcmp(d->sets[i].policy, b->policy->name) == 0;)
        if (d->sets[i].family == b->family && strcmp(d->sets[i].name, name) == 0)
            return &d->sets[i];
    return NULL;
}

static void add_set(struct nsh_builder *b, const struct nsh_prefix_list *list, const char *name)
{
    struct nsh_desired *d = b->d;
    struct nsh_prefix *prefixes = nsh_arena_alloc(d->arena, list->n * sizeof(*prefixes));
    struct nsh_set set = {.family = (uint8_t)b->family, .when = b->policy->when};

    if (!prefixes) {
        b->error = -ENOMEM;
        return;
    }
    if (!nsh_build_grow(b, &d->sets, d->n_sets + 1, &b->sets_room, sizeof(*d->sets)))
        return;
    for (uint32_t i = 0; i < list->n; i++)
        if (list->items[i].family == b->family)
            prefixes[set.n++] = list->items[i];
    set.n = unite(prefixes, set.n);
    set.prefixes = prefixes;
    memcpy(set.name, name, sizeof(set.name));
    memcpy(set.policy, b->policy->name, sizeof(set.policy));
    d->sets[d->n_sets++] = set;
}

struct nsh_choice nsh_build_choice(
        struct nsh_builder *b, const struct nsh_prefix_list *list, const char *code)
{
    struct nsh_choice c = {.any = !list->items};

    for (uint32_t i = 0; i < list->n && !c.any; i++) {
        const struct nsh_prefix *p = &list->items[i];

        if (p->family != b->family)
            continue;
        c.any = p->length == 0;
        if (c.n < NSH_POLICY_LIST_MAX)
            c.prefixes[c.n] = *p;
        c.n++;
    }
    if (c.any || c.n <= NSH_POLICY_LIST_MAX)
        return c;
    (void)snprintf(c.set, sizeof(c.set), "%s%s_%s%c", NSH_SET_PREFIX, b->policy->name, code,
            b->family == AF_INET6 ? '6' : '4');
    if (!find_set(b, c.set))
        add_set(b, list, c.set);
    return c;
}

static int compare_sets(const void *a, const void *b)
{
    const struct nsh_set *x = a, *y = b;
    int r = (int)x->family - (int)y->family;

    return r != 0 ? r : strcmp(x->name, y->name);
}

void nsh_build_sort_sets(struct nsh_builder *b)
{
    if (b->d->n_sets > 0)
        qsort(b->d->sets, b->d->n_sets, sizeof(*b->d->sets), compare_sets);
}
