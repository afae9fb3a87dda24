/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Policies of all kinds: how they come from drafts into the configuration, and what no single one
 * of them shows.
 */
#include "config-policies.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "config-lists.h"

/* ---- from draft to configuration ---- */

void nsh_policy_begin(struct nsh_loader *l, void *draft)
{
    struct policy_draft *d = draft;

    d->enabled = true;
    d->policy.origin = nsh_origins_at(l->config->origins, d->draft.at.line);
    l->when = NSH_NO_GATE;
    l->n_object_lists = 0;
}

struct nsh_waiting {
    void *draft; /* malloc'd */
    const struct nsh_object *object;
    nsh_policy_complete *complete;
    const char *path;
};

/* A copy that stays where it is: the prefixes of its files will be appended to its lists. */
static void wait_for_lists(struct nsh_loader *l, const struct nsh_object *object, void *draft,
        nsh_policy_complete *complete)
{
    const struct policy_draft *d = draft;
    char *copy;

    if (!nsh_loader_grow(l, &l->waiting, l->n_waiting, &l->waiting_room, sizeof(*l->waiting)))
        return;
    copy = malloc(object->size);
    if (!copy) {
        nsh_loader_no_memory(l);
        return;
    }
    memcpy(copy, draft, object->size);
    l->waiting[l->n_waiting++] = (struct nsh_waiting){
            .draft = copy, .object = object, .complete = complete, .path = l->path};
    for (size_t i = l->lists.n_entries - l->n_object_lists; i < l->lists.n_entries; i++) {
        struct nsh_list_entry *e = &l->lists.entries[i];

        e->prefixes = (struct nsh_prefixes *)(copy + ((char *)e->field - (char *)draft));
        e->prefixes->in_files = true;
        e->families = d->policy.families ? d->policy.families : BOTH_FAMILIES;
    }
    memset(draft, 0, object->size);
}

void nsh_policy_finish(struct nsh_loader *l, const struct nsh_object *object, void *draft,
        nsh_policy_complete *complete)
{
    struct policy_draft *d = draft;

    d->policy.when = l->when;
    d->policy.disabled = !d->enabled;
    /* With the first that waits, the others behind it do: they stay in the order of the file. */
    if (l->n_object_lists > 0 || l->n_waiting > 0)
        wait_for_lists(l, object, draft, complete);
    else
        complete(l, draft);
}

void nsh_policies_complete(struct nsh_loader *l)
{
    for (size_t i = 0; i < l->n_waiting; i++) {
        const struct nsh_waiting *w = &l->waiting[i];

        l->path = w->path;
        if (l->failure == 0)
            w->complete(l, w->draft);
        w->object->clear(w->draft);
        free(w->draft);
    }
    l->path = NULL;
    l->n_waiting = 0;
}

bool nsh_policy_is_kept(const struct nsh_loader *l, const struct policy_draft *d)
{
    return l->failure == 0 && nsh_given(&d->draft, KEY_NAME);
}

static const size_t sizes[NSH_POLICY_KINDS] = {
        [NSH_POLICY_MASQUERADE] = sizeof(struct nsh_masquerade),
        [NSH_POLICY_SHARE] = sizeof(struct nsh_share),
        [NSH_POLICY_PORT_FORWARD] = sizeof(struct nsh_port_forward),
        [NSH_POLICY_NETWORK_MAP] = sizeof(struct nsh_network_map),
};

void nsh_policy_keep(struct nsh_loader *l, enum nsh_policy_kind kind, const void *policy)
{
    struct nsh_policies *p = &l->policies[kind];

    if (nsh_loader_grow(l, &p->items, p->n, &p->room, sizes[kind]))
        memcpy((char *)p->items + p->n++ * sizes[kind], policy, sizes[kind]);
}

static void *keep(struct nsh_loader *l, const void *items, size_t n, size_t size)
{
    void *copy = nsh_arena_alloc(l->config->arena, n > 0 ? n * size : 1);

    if (!copy)
        nsh_loader_no_memory(l);
    else if (n > 0)
        memcpy(copy, items, n * size);
    return copy;
}

struct nsh_prefix_list nsh_keep_prefixes(struct nsh_loader *l, const struct nsh_draft *d,
        unsigned key, const struct nsh_prefixes *from)
{
    struct nsh_prefix_list list = {0};

    if (nsh_absent(d, key))
        return list;
    list.items = keep(l, from->items, from->n, sizeof(*list.items));
    list.n = list.items ? (uint32_t)from->n : 0;
    return list;
}

struct nsh_device_list nsh_keep_devices(struct nsh_loader *l, const struct nsh_devices *from)
{
    struct nsh_device_list list = {0};

    list.items = keep(l, from->items, from->n, sizeof(*list.items));
    list.n = list.items ? (uint32_t)from->n : 0;
    return list;
}

struct nsh_range_list nsh_keep_ranges(struct nsh_loader *l, const struct nsh_ranges *from)
{
    struct nsh_range_list list = {0};

    list.items = keep(l, from->items, from->n, sizeof(*list.items));
    list.n = list.items ? (uint32_t)from->n : 0;
    return list;
}

/* ---- the policies of all files together ---- */

/* In the order of the files where the names are one. */
static int compare_names(const void *a, const void *b)
{
    const struct nsh_policy *const *x = a, *const *y = b;
    int r = strcmp((*x)->name, (*y)->name);

    if (r == 0)
        r = ((*x)->origin > (*y)->origin) - ((*x)->origin < (*y)->origin);
    return r != 0 ? r : (*x > *y) - (*x < *y);
}

static size_t count_all(const struct nsh_loader *l)
{
    size_t n = 0;

    for (size_t kind = 0; kind < NSH_POLICY_KINDS; kind++)
        n += l->policies[kind].n;
    return n;
}

static const struct nsh_policy **sort_by_name(struct nsh_loader *l)
{
    const struct nsh_policy **byname = calloc(count_all(l), sizeof(const struct nsh_policy *));
    size_t n = 0;

    if (!byname) {
        nsh_loader_no_memory(l);
        return NULL;
    }
    for (size_t kind = 0; kind < NSH_POLICY_KINDS; kind++)
        for (size_t i = 0; i < l->policies[kind].n; i++)
            byname[n++] = (const struct nsh_policy *)((const char *)l->policies[kind].items +
                                                      i * sizes[kind]);
    qsort(byname, n, sizeof(const struct nsh_policy *), compare_names);
    return byname;
}

/* False: there are some, and what else is to be said of them would be noise. */
static bool are_single(struct nsh_loader *l)
{
    nsh_autofree const struct nsh_policy **byname = NULL;
    const struct nsh_policy *first;
    char place[NSH_PLACE_TEXT], hint[NSH_HINT_TEXT];
    size_t n = count_all(l);
    bool single = true;
    uint32_t line;

    if (n < 2 || !(byname = sort_by_name(l)))
        return true;
    first = byname[0];
    for (size_t i = 1; i < n; i++) {
        if (strcmp(first->name, byname[i]->name) != 0) {
            first = byname[i];
            continue;
        }
        l->path = nsh_origins_resolve(l->config->origins, byname[i]->origin, &line);
        (void)snprintf(hint, sizeof(hint), "the first is at %s",
                nsh_loader_place(l, first->origin, place, sizeof(place)));
        nsh_loader_error(l, (struct nsh_yaml_mark){.line = line}, hint,
                "two policies have the name '%s'", first->name);
        single = false;
    }
    return single;
}

/* ---- the end ---- */

static void *keep_policies(struct nsh_loader *l, enum nsh_policy_kind kind, size_t *ret_n)
{
    const struct nsh_policies *p = &l->policies[kind];
    void *kept = p->n > 0 ? keep(l, p->items, p->n, sizes[kind]) : NULL;

    *ret_n = kept ? p->n : 0;
    return kept;
}

void nsh_finish_policies(struct nsh_loader *l)
{
    struct nsh_config *c = l->config;

    bool single = are_single(l);

    c->masquerades = keep_policies(l, NSH_POLICY_MASQUERADE, &c->n_masquerades);
    c->shares = keep_policies(l, NSH_POLICY_SHARE, &c->n_shares);
    c->port_forwards = keep_policies(l, NSH_POLICY_PORT_FORWARD, &c->n_port_forwards);
    c->network_maps = keep_policies(l, NSH_POLICY_NETWORK_MAP, &c->n_network_maps);
    if (l->failure == 0 && single)
        nsh_policies_advise(l);
}

void nsh_policies_done(struct nsh_loader *l)
{
    for (size_t i = 0; i < l->n_waiting; i++) {
        l->waiting[i].object->clear(l->waiting[i].draft);
        free(l->waiting[i].draft);
    }
    free(l->waiting);
    for (size_t kind = 0; kind < NSH_POLICY_KINDS; kind++)
        free(l->policies[kind].items);
}
