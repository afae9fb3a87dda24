/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What policies do to each other across their kinds: who is outside of a share can't be inside as
 * well, forwarding needs a filter, and of two that translate the first has the packet.
 */
#include <stdio.h>
#include <string.h>

#include "config-advise.h"

/* ---- forwarding without a filter ---- */

static bool has_device(const struct nsh_device_list *list, const char *name)
{
    for (uint32_t i = 0; i < list->n; i++)
        if (strcmp(list->items[i], name) == 0 || strcmp(list->items[i], "+") == 0)
            return true;
    return false;
}

/* A share that filters at the device by which the policy's packets leave; NULL: none does. */
static const struct nsh_share *find_guard(
        const struct nsh_config *c, const struct nsh_policy *p, const char *out)
{
    for (size_t i = 0; i < c->n_shares; i++)
        if (!c->shares[i].policy.disabled && !(p->families & ~c->shares[i].policy.families) &&
                has_device(&c->shares[i].wan, out))
            return &c->shares[i];
    return NULL;
}

/*
 * Forwarding lets through what comes from outside, too. A share keeps that from its own LANs; which
 * networks a policy with sources is for, they know that have the addresses.
 */
static void advise_filter_for(struct nsh_loader *l, const struct nsh_policy *p,
        const struct nsh_device_list *out, bool has_sources)
{
    const struct nsh_share *guard = NULL;
    char text[160];

    for (uint32_t i = 0; i < out->n; i++) {
        guard = find_guard(l->config, p, out->items[i]);
        if (!guard)
            break;
    }
    if (p->disabled || (guard && !has_sources))
        return;
    if (guard)
        (void)snprintf(text, sizeof(text),
                "'%s' switches forwarding on, and '%s' keeps neighbours outside from its own LANs "
                "alone",
                p->name, guard->policy.name);
    else
        (void)snprintf(text, sizeof(text),
                "'%s' switches forwarding on, and nothing here keeps neighbours outside from the "
                "networks inside",
                p->name);
    nsh_advise(l, p,
            guard ? "where its addresses are in others: make these a 'lan' of a 'share', or filter "
                    "yourself"
                  : "a 'share' with this device as its 'wan' keeps them out; or filter yourself",
            text);
}

static void advise_filter(struct nsh_loader *l)
{
    const struct nsh_config *c = l->config;

    if (c->settings.forwarding != NSH_FORWARDING_AUTO)
        return;
    for (size_t i = 0; i < c->n_masquerades; i++)
        advise_filter_for(l, &c->masquerades[i].policy, &c->masquerades[i].out,
                c->masquerades[i].from.items != NULL);
    for (size_t i = 0; i < c->n_network_maps; i++)
        advise_filter_for(l, &c->network_maps[i].policy, &c->network_maps[i].devices, false);
}

/* ---- on the wrong side of a share ---- */

/* The first share in force with the policy that has a device of the list as a LAN; NULL: none. */
static const struct nsh_share *find_inside(const struct nsh_config *c, const struct nsh_policy *p,
        const struct nsh_device_list *devices, const char **ret_device)
{
    for (size_t i = 0; i < c->n_shares; i++) {
        const struct nsh_share *s = &c->shares[i];

        for (uint32_t k = 0; nsh_advise_meet(&s->policy, p) && k < devices->n; k++) {
            const struct nsh_device_list one = {.items = &devices->items[k], .n = 1};

            if (!nsh_advise_devices_hold(&s->lan, &one))
                continue;
            *ret_device = devices->items[k];
            return s;
        }
    }
    return NULL;
}

static void advise_in(struct nsh_loader *l, const struct nsh_port_forward *f)
{
    const char *device;
    const struct nsh_share *s = find_inside(l->config, &f->policy, &f->in, &device);
    char text[160];

    if (!s)
        return;
    (void)snprintf(text, sizeof(text), "'%s' takes what comes in by %s, the 'lan' of '%s'",
            f->policy.name, device, s->policy.name);
    nsh_advise_of_two(l, &s->policy, &f->policy,
            f->hairpin.items
                    ? "with 'hairpin' they reach it from inside already; 'in' is where "
                      "the others come from"
                    : "'in' is where they come from outside; was 'hairpin: true' meant, by "
                      "which they reach it from inside, too?",
            text);
}

/*
 * Every way out that it has leads into LANs, which nothing new gets into; but where that is let in,
 * or where it says to whom, it may be meant.
 */
static void advise_out(struct nsh_loader *l, const struct nsh_masquerade *m)
{
    const char *device = NULL;
    const struct nsh_share *s = NULL;
    char text[200];

    for (uint32_t i = 0; i < m->out.n && !m->to.items; i++) {
        const struct nsh_device_list one = {.items = &m->out.items[i], .n = 1};

        s = find_inside(l->config, &m->policy, &one, &device);
        if (!s || s->allow_inbound)
            return;
    }
    if (!s)
        return;
    (void)snprintf(text, sizeof(text),
            "'%s' is for what leaves by %s, the 'lan' of '%s': for nothing that goes out to the "
            "world",
            m->policy.name, device, s->policy.name);
    nsh_advise_of_two(l, &s->policy, &m->policy,
            "'out' is the side of its 'wan'; of what comes in by that it lets nothing new through",
            text);
}

static void advise_map_side(struct nsh_loader *l, const struct nsh_network_map *m)
{
    const char *device;
    const struct nsh_share *s = find_inside(l->config, &m->policy, &m->devices, &device);
    char text[160];

    if (!s)
        return;
    (void)snprintf(text, sizeof(text),
            "'%s' is known by its outside addresses at %s, the 'lan' of "
            "'%s'",
            m->policy.name, device, s->policy.name);
    nsh_advise_of_two(l, &s->policy, &m->policy,
            "'dev' is the interface outside: was the 'wan' meant?", text);
}

/* Packets that go back by the device they came from are not told apart. */
static void advise_isolate(struct nsh_loader *l, const struct nsh_share *s)
{
    char text[160];

    /* Of a name that is wrong nothing is there. */
    if (!s->isolate || s->policy.disabled || s->lan.n != 1 ||
            nsh_device_is_pattern(s->lan.items[0]))
        return;
    (void)snprintf(text, sizeof(text), "'%s' has one 'lan', and nothing to isolate it from",
            s->policy.name);
    nsh_advise(l, &s->policy,
            "machines at one interface reach each other without this one; leave 'isolate' out, or "
            "name the other LANs, too",
            text);
}

/* ---- network-map and masquerade ---- */

/* Network-maps come before masquerade, but for what has position first. */
static bool map_takes_all(const struct nsh_network_map *map, const struct nsh_masquerade *m)
{
    const struct nsh_prefix_list inside = {.items = &map->inside, .n = 1};

    return nsh_advise_meet(&map->policy, &m->policy) && m->position == NSH_POSITION_LAST &&
           !(m->policy.families & ~map->policy.families) &&
           nsh_advise_holds_with(&map->policy, &m->policy) &&
           nsh_advise_list_holds(&inside, &m->from) &&
           nsh_advise_devices_hold(&map->devices, &m->out);
}

static void advise_mapped(struct nsh_loader *l, const struct nsh_masquerade *m)
{
    const struct nsh_config *c = l->config;
    char text[160];

    for (size_t i = 0; i < c->n_network_maps; i++) {
        const struct nsh_network_map *map = &c->network_maps[i];

        if (!map_takes_all(map, m))
            continue;
        (void)snprintf(text, sizeof(text),
                "'%s' can never act: the network-map '%s' comes before it and takes all",
                m->policy.name, map->policy.name);
        nsh_advise_of_two(l, &map->policy, &m->policy,
                "leave one of them out, or say 'position: first' here", text);
        return;
    }
}

void nsh_advise_sides(struct nsh_loader *l)
{
    const struct nsh_config *c = l->config;

    advise_filter(l);
    for (size_t i = 0; i < c->n_masquerades; i++) {
        advise_out(l, &c->masquerades[i]);
        advise_mapped(l, &c->masquerades[i]);
    }
    for (size_t i = 0; i < c->n_port_forwards; i++)
        advise_in(l, &c->port_forwards[i]);
    for (size_t i = 0; i < c->n_network_maps; i++)
        advise_map_side(l, &c->network_maps[i]);
    for (size_t i = 0; i < c->n_shares; i++)
        advise_isolate(l, &c->shares[i]);
}
