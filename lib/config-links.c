/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The links that routes refer to, each distinct one once. A million routes with one gateway ask
 * for the same link a million times, so the last answer is looked at first, then a hash.
 */
#include <stdlib.h>
#include <string.h>

#include "config-loader.h"

static bool same_link(const struct nsh_link *a, const struct nsh_link *b)
{
    return a->gateway_family == b->gateway_family && a->learns == b->learns &&
           strcmp(a->name, b->name) == 0 && strcmp(a->vrf, b->vrf) == 0 &&
           nsh_addr_cmp(&a->gateway, &b->gateway) == 0;
}

static size_t hash_link(const struct nsh_link *link)
{
    uint64_t h = link->gateway_family + 256U * link->learns;

    for (const char *p = link->name[0] ? link->name : link->vrf; *p; p++)
        h = (h ^ (unsigned char)*p) * 0x9e3779b97f4a7c15ULL;
    for (size_t i = 0; i < 4; i++)
        h = (h ^ link->gateway.words[i]) * 0x9e3779b97f4a7c15ULL;
    return (size_t)(h ^ (h >> 32));
}

/* The slot of the link, or the free one where it belongs. */
static uint32_t *find_slot(const struct nsh_link_table *t, const struct nsh_link *link)
{
    for (size_t i = hash_link(link) & (t->n_slots - 1);; i = (i + 1) & (t->n_slots - 1))
        if (t->slots[i] == 0 || same_link(&t->links[t->slots[i] - 1], link))
            return &t->slots[i];
}

static bool grow_slots(struct nsh_loader *l)
{
    struct nsh_link_table *t = &l->links;
    size_t n = t->n_slots ? t->n_slots * 2 : 32;
    uint32_t *slots = calloc(n, sizeof(*slots));

    if (!slots) {
        nsh_loader_no_memory(l);
        return false;
    }
    free(t->slots);
    t->slots = slots;
    t->n_slots = n;
    for (size_t i = 0; i < t->n; i++)
        *find_slot(t, &t->links[i]) = (uint32_t)i + 1;
    return true;
}

uint32_t nsh_loader_link(struct nsh_loader *l, const struct nsh_link *link)
{
    struct nsh_link_table *t = &l->links;
    uint32_t *slot;

    if (t->n > 0 && same_link(&t->links[t->n - 1], link))
        return (uint32_t)t->n - 1;
    if (t->n * 2 >= t->n_slots && !grow_slots(l))
        return NSH_NO_LINK;
    slot = find_slot(t, link);
    if (*slot == 0) {
        if (!nsh_loader_grow(l, &t->links, t->n, &t->room, sizeof(*t->links)))
            return NSH_NO_LINK;
        t->links[t->n++] = *link;
        *slot = (uint32_t)t->n;
    }
    return *slot - 1;
}
