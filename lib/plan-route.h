/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the two halves of the route plan share: plan-route.c (what is seen) and plan-route-steps.c
 * (what is to be done about it).
 */
#pragma once

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

/* Whether it carries no mark of ours. */
static inline bool nsh_entry_is_foreign(enum entry_kind kind)
{
    return kind == ENTRY_FOREIGN || kind == ENTRY_ADOPT;
}

/* Room for `need` elements. 0 or -ENOMEM. */
int nsh_route_plan_grow(void **array, size_t *size, size_t need, size_t element);
/* The plan's own copy of a route's properties; NULL: no memory. */
const struct nsh_route_props *nsh_route_plan_keep(
        struct nsh_route_plan *p, const struct nsh_route *route);
/* When all is seen: entries by key, each key's in the kernel's order, the unwanted behind them. */
void nsh_route_plan_sort(struct nsh_route_plan *p);
/* The first entry of a wanted key, or n_entries. */
size_t nsh_route_plan_first(const struct nsh_route_plan *p, size_t wanted);
