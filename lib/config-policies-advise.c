/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Policies of one kind that can't be meant together. One is told of once, with the first other that
 * it meets.
 */
#include <stdio.h>
#include <string.h>

#include "config-advise.h"
#include "config-policies.h"

/* ---- masquerade ---- */

static bool range_lists_hold(const struct nsh_range_list *a, const struct nsh_range_list *b)
{
    for (uint32_t i = 0; i < b->n && a->n > 0; i++) {
        uint32_t k = 0;

        while (k < a->n &&
                (b->items[i].first < a->items[k].first || b->items[i].last > a->items[k].last))
            k++;
        if (k == a->n)
            return false;
    }
    return a->n == 0 || b->n > 0;
}

static bool protocols_hold(const struct nsh_protocols *a, const struct nsh_protocols *b)
{
    for (uint8_t i = 0; i < b->n && a->n > 0; i++)
        if (!memchr(a->items, b->items[i], a->n))
            return false;
    return a->n == 0 || b->n > 0;
}

static bool marks_hold(const struct nsh_mark *a, const struct nsh_mark *b)
{
    return a->mask == 0 || (a->mask == b->mask && a->value == b->value);
}

static bool exempts(const struct nsh_masquerade *m)
{
    return m->except_from.items || m->except_to.items || m->except_out.n > 0;
}

/* `a` comes before `b` and leaves it nothing, for certain. What tells most apart is asked first. */
static bool takes_all(const struct nsh_masquerade *a, const struct nsh_masquerade *b)
{
    return nsh_advise_list_holds(&a->from, &b->from) && !a->policy.disabled &&
           !b->policy.disabled && !(b->policy.families & ~a->policy.families) &&
           nsh_advise_holds_with(&a->policy, &b->policy) && !exempts(a) &&
           (a->ipsec || !b->ipsec) && nsh_advise_devices_hold(&a->out, &b->out) &&
           protocols_hold(&a->protocols, &b->protocols) && marks_hold(&a->mark, &b->mark) &&
           range_lists_hold(&a->source_ports, &b->source_ports) &&
           range_lists_hold(&a->destination_ports, &b->destination_ports) &&
           nsh_advise_list_holds(&a->to, &b->to);
}

static bool comes_before(const struct nsh_masquerade *a, const struct nsh_masquerade *b)
{
    if (a->position != b->position)
        return a->position == NSH_POSITION_FIRST;
    return a < b; /* the order of the file */
}

static void advise_masquerade(struct nsh_loader *l, const struct nsh_masquerade *m)
{
    const struct nsh_config *c = l->config;
    char text[96];

    for (size_t i = 0; i < c->n_masquerades; i++) {
        const struct nsh_masquerade *other = &c->masquerades[i];

        if (other == m || !comes_before(other, m) || !takes_all(other, m))
            continue;
        (void)snprintf(text, sizeof(text), "'%s' can never act: '%s' comes before it and takes all",
                m->policy.name, other->policy.name);
        nsh_advise_of_two(l, &other->policy, &m->policy,
                "put the one for less traffic first, or leave one of them out", text);
        return;
    }
}

/* ---- share ---- */

/* true: told. */
static bool shares_twice(struct nsh_loader *l, const struct nsh_share *a, const struct nsh_share *b)
{
    const char *lan = nsh_advise_common_device(&a->lan, &b->lan),
               *wan = nsh_advise_common_device(&a->wan, &b->wan);
    char text[160];

    if (!lan || !wan || !nsh_advise_holds_with(&a->policy, &b->policy))
        return false;
    (void)snprintf(text, sizeof(text), "'%s' is between %s and %s, and so is '%s'", b->policy.name,
            lan, wan, a->policy.name);
    nsh_advise_of_two(l, &a->policy, &b->policy,
            "it decides first for these two; leave them out of one", text);
    return true;
}

/* true: told. With conditions of their own they may take turns. */
static bool shares_swapped(
        struct nsh_loader *l, const struct nsh_share *a, const struct nsh_share *b)
{
    const char *lan = nsh_advise_common_device(&a->wan, &b->lan),
               *wan = nsh_advise_common_device(&a->lan, &b->wan);
    char text[160];

    if (!lan || !wan ||
            (!nsh_advise_holds_with(&a->policy, &b->policy) &&
                    !nsh_advise_holds_with(&b->policy, &a->policy)))
        return false;
    (void)snprintf(text, sizeof(text),
            "'%s' has %s as its 'lan' and %s as its 'wan', and '%s' the other way round",
            b->policy.name, lan, wan, a->policy.name);
    nsh_advise_of_two(l, &a->policy, &b->policy,
            "what is inside for the one is outside for the other; leave one of them out", text);
    return true;
}

static void advise_share(struct nsh_loader *l, const struct nsh_share *s)
{
    for (const struct nsh_share *other = l->config->shares; other < s; other++)
        if (nsh_advise_meet(&other->policy, &s->policy) &&
                (shares_twice(l, other, s) || shares_swapped(l, other, s)))
            return;
}

/* ---- port-forwards ---- */

/* What is for some comes before what is for all: that can be meant. */
static bool is_exception(const struct nsh_port_forward *a, const struct nsh_port_forward *b)
{
    return nsh_advise_list_holds(&b->from, &a->from) && !nsh_advise_list_holds(&a->from, &b->from);
}

static uint8_t common_protocol(const struct nsh_protocols *a, const struct nsh_protocols *b)
{
    for (uint8_t i = 0; i < a->n; i++)
        if (memchr(b->items, a->items[i], b->n))
            return a->items[i];
    return 0;
}

/* true: told. */
static bool forwards_twice(
        struct nsh_loader *l, const struct nsh_port_forward *a, const struct nsh_port_forward *b)
{
    const struct nsh_range ports = {
            .first = a->port.first > b->port.first ? a->port.first : b->port.first,
            .last = a->port.last < b->port.last ? a->port.last : b->port.last,
    };
    uint8_t protocol = common_protocol(&a->protocols, &b->protocols);
    const char *device;
    char text[160], range[16] = "";

    /* A port that could not be read is 0, which is none. */
    if (ports.first == 0 || ports.first > ports.last || protocol == 0 ||
            !nsh_advise_meet(&a->policy, &b->policy) ||
            !nsh_advise_holds_with(&a->policy, &b->policy) ||
            !(device = nsh_advise_common_device(&a->in, &b->in)) ||
            !nsh_advise_lists_overlap(&a->from, &b->from) || is_exception(a, b))
        return false;
    if (ports.first < ports.last)
        (void)snprintf(range, sizeof(range), "-%u", ports.last);
    (void)snprintf(text, sizeof(text), "'%s' and '%s' both take %s port %u%s of %s", a->policy.name,
            b->policy.name, protocol == IPPROTO_TCP ? "tcp" : "udp", ports.first, range, device);
    nsh_advise_of_two(l, &a->policy, &b->policy,
            "it comes first and has what both take; give them ports of their own, or tell them "
            "apart by 'from'",
            text);
    return true;
}

static void advise_port_forward(struct nsh_loader *l, const struct nsh_port_forward *f)
{
    for (const struct nsh_port_forward *other = l->config->port_forwards; other < f; other++)
        if (forwards_twice(l, other, f))
            return;
}

/* ---- network-map ---- */

/* true: told. */
static bool maps_twice(struct nsh_loader *l, const struct nsh_network_map *a,
        const struct nsh_network_map *b, bool outside)
{
    const struct nsh_prefix *p = outside ? &a->outside : &a->inside;
    const struct nsh_prefix *q = outside ? &b->outside : &b->inside;
    const char *device;
    char text[256], shown_p[NSH_PREFIX_TEXT], shown_q[NSH_PREFIX_TEXT];

    if (!nsh_advise_prefixes_overlap(p, q) || !nsh_advise_meet(&a->policy, &b->policy) ||
            !nsh_advise_holds_with(&a->policy, &b->policy) ||
            !(device = nsh_advise_common_device(&a->devices, &b->devices)))
        return false;
    (void)snprintf(text, sizeof(text), "'%s' of '%s' on %s, %s, overlaps that of '%s', %s",
            outside ? "outside" : "inside", b->policy.name, device, nsh_prefix_format(q, shown_q),
            a->policy.name, nsh_prefix_format(p, shown_p));
    nsh_advise_of_two(l, &a->policy, &b->policy,
            "it comes first and has what is in both; write prefixes apart from each other", text);
    return true;
}

static void advise_network_map(struct nsh_loader *l, const struct nsh_network_map *m)
{
    for (const struct nsh_network_map *other = l->config->network_maps; other < m; other++)
        if (maps_twice(l, other, m, true) || maps_twice(l, other, m, false))
            return;
}

/* ---- all of them ---- */

void nsh_policies_advise(struct nsh_loader *l)
{
    const struct nsh_config *c = l->config;

    if (!l->advise)
        return;
    nsh_advise_sides(l);
    for (size_t i = 0; i < c->n_masquerades; i++)
        advise_masquerade(l, &c->masquerades[i]);
    for (size_t i = 0; i < c->n_shares; i++)
        advise_share(l, &c->shares[i]);
    for (size_t i = 0; i < c->n_port_forwards; i++)
        advise_port_forward(l, &c->port_forwards[i]);
    for (size_t i = 0; i < c->n_network_maps; i++)
        advise_network_map(l, &c->network_maps[i]);
}
