/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is right in policies but unwise: each may stand by itself, and together they can't be meant.
 * Said by `check` alone. One policy is told of once, with the first other that it meets.
 */
#include <stdio.h>
#include <string.h>

#include "config-policies.h"

/* Longer lists are not compared, unless they are the same. */
#define COMPARISONS_MAX (1ULL << 20)

static void warn(
        struct nsh_loader *l, const struct nsh_policy *p, const char *hint, const char *text)
{
    uint32_t line;

    l->path = nsh_origins_resolve(l->config->origins, p->origin, &line);
    nsh_loader_warning(l, (struct nsh_yaml_mark){.line = line}, hint, "%s", text);
}

/* `what`: to do about it. */
static void warn_of_two(struct nsh_loader *l, const struct nsh_policy *first,
        const struct nsh_policy *second, const char *what, const char *text)
{
    char place[NSH_PLACE_TEXT], hint[NSH_HINT_TEXT + NSH_PLACE_TEXT];

    (void)snprintf(hint, sizeof(hint), "'%s' is at %s: %s", first->name,
            nsh_loader_place(l, first->origin, place, sizeof(place)), what);
    warn(l, second, hint, text);
}

/* ---- when two are in force together ---- */

/* There is a family for which both are. */
static bool meet(const struct nsh_policy *a, const struct nsh_policy *b)
{
    return !a->disabled && !b->disabled && (a->families & b->families) != 0;
}

/* Whenever `b` is in force, `a` is: of two with conditions of their own one may stand in. */
static bool holds_with(const struct nsh_policy *a, const struct nsh_policy *b)
{
    return a->when == NSH_NO_GATE || a->when == b->when;
}

/* The narrower of two devices that overlap; NULL: none do. */
static const char *common_device(const struct nsh_device_list *a, const struct nsh_device_list *b)
{
    for (uint32_t i = 0; i < a->n; i++)
        for (uint32_t k = 0; k < b->n; k++)
            if (nsh_devices_overlap(a->items[i], b->items[k]))
                return strlen(a->items[i]) > strlen(b->items[k]) ? a->items[i] : b->items[k];
    return NULL;
}

static bool prefix_holds(const struct nsh_prefix *a, const struct nsh_prefix *b)
{
    return a->length <= b->length && nsh_prefix_contains(a, b->family, &b->addr);
}

static bool prefixes_overlap(const struct nsh_prefix *a, const struct nsh_prefix *b)
{
    return prefix_holds(a, b) || prefix_holds(b, a);
}

/* Each prefix of `b` lies in one of `a`. A list that was not given holds everything. */
static bool list_holds(const struct nsh_prefix_list *a, const struct nsh_prefix_list *b)
{
    if (!a->items || !b->items)
        return !a->items;
    if (b->n == 0)
        return false; /* it was told that it holds nothing */
    if ((uint64_t)a->n * b->n > COMPARISONS_MAX)
        return a->n == b->n && memcmp(a->items, b->items, a->n * sizeof(*a->items)) == 0;
    for (uint32_t i = 0; i < b->n; i++) {
        uint32_t k = 0;

        while (k < a->n && !prefix_holds(&a->items[k], &b->items[i]))
            k++;
        if (k == a->n)
            return false;
    }
    return true;
}

static bool lists_overlap(const struct nsh_prefix_list *a, const struct nsh_prefix_list *b)
{
    if (!a->items || !b->items)
        return true;
    if ((uint64_t)a->n * b->n > COMPARISONS_MAX)
        return false;
    for (uint32_t i = 0; i < a->n; i++)
        for (uint32_t k = 0; k < b->n; k++)
            if (prefixes_overlap(&a->items[i], &b->items[k]))
                return true;
    return false;
}

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

/* "wan+" holds wan0, and "wan0+"; an exact name holds itself. */
static bool device_holds(const char *a, const char *b)
{
    size_t n = strlen(a);

    return n > 0 && a[n - 1] == '+' ? strncmp(a, b, n - 1) == 0 : strcmp(a, b) == 0;
}

static bool devices_hold(const struct nsh_device_list *a, const struct nsh_device_list *b)
{
    for (uint32_t i = 0; i < b->n; i++) {
        uint32_t k = 0;

        while (k < a->n && !device_holds(a->items[k], b->items[i]))
            k++;
        if (k == a->n)
            return false;
    }
    return true;
}

static bool exempts(const struct nsh_masquerade *m)
{
    return m->except_from.items || m->except_to.items || m->except_out.n > 0;
}

/* `a` comes before `b` and leaves it nothing, for certain. What tells most apart is asked first. */
static bool takes_all(const struct nsh_masquerade *a, const struct nsh_masquerade *b)
{
    return list_holds(&a->from, &b->from) && !a->policy.disabled && !b->policy.disabled &&
           !(b->policy.families & ~a->policy.families) && holds_with(&a->policy, &b->policy) &&
           !exempts(a) && (a->ipsec || !b->ipsec) && devices_hold(&a->out, &b->out) &&
           protocols_hold(&a->protocols, &b->protocols) && marks_hold(&a->mark, &b->mark) &&
           range_lists_hold(&a->source_ports, &b->source_ports) &&
           range_lists_hold(&a->destination_ports, &b->destination_ports) &&
           list_holds(&a->to, &b->to);
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
        warn_of_two(l, &other->policy, &m->policy,
                "put the one for less traffic first, or leave one of them out", text);
        return;
    }
}

/* ---- share ---- */

static bool has_device(const struct nsh_device_list *list, const char *name)
{
    for (uint32_t i = 0; i < list->n; i++)
        if (strcmp(list->items[i], name) == 0 || strcmp(list->items[i], "+") == 0)
            return true;
    return false;
}

/* A share that filters at the device by which the policy's packets leave; NULL: none does. */
static const struct nsh_share *find_guard(
        const struct nsh_config *c, const struct nsh_masquerade *m, const char *out)
{
    for (size_t i = 0; i < c->n_shares; i++)
        if (!c->shares[i].policy.disabled &&
                !(m->policy.families & ~c->shares[i].policy.families) &&
                has_device(&c->shares[i].wan, out))
            return &c->shares[i];
    return NULL;
}

/*
 * Forwarding lets through what comes from outside, too. A share keeps that from its own LANs; which
 * networks a policy with sources is for, they know that have the addresses.
 */
static void advise_filter_for(struct nsh_loader *l, const struct nsh_masquerade *m)
{
    const struct nsh_share *guard = NULL;
    char text[160];

    for (uint32_t i = 0; i < m->out.n; i++) {
        guard = find_guard(l->config, m, m->out.items[i]);
        if (!guard)
            break;
    }
    if (guard && !m->from.items)
        return;
    if (guard)
        (void)snprintf(text, sizeof(text),
                "'%s' switches forwarding on, and '%s' keeps neighbours outside from its own LANs "
                "alone",
                m->policy.name, guard->policy.name);
    else
        (void)snprintf(text, sizeof(text),
                "'%s' switches forwarding on, and nothing here keeps neighbours outside from the "
                "networks inside",
                m->policy.name);
    warn(l, &m->policy,
            guard ? "where its addresses are in others: make these a 'lan' of a 'share', or filter "
                    "yourself"
                  : "a 'share' with this device as its 'wan' keeps them out; or filter yourself",
            text);
}

static void advise_filter(struct nsh_loader *l)
{
    const struct nsh_config *c = l->config;

    for (size_t i = 0; c->settings.forwarding == NSH_FORWARDING_AUTO && i < c->n_masquerades; i++)
        if (!c->masquerades[i].policy.disabled)
            advise_filter_for(l, &c->masquerades[i]);
}

/* true: told. */
static bool shares_twice(struct nsh_loader *l, const struct nsh_share *a, const struct nsh_share *b)
{
    const char *lan = common_device(&a->lan, &b->lan), *wan = common_device(&a->wan, &b->wan);
    char text[160];

    if (!lan || !wan || !holds_with(&a->policy, &b->policy))
        return false;
    (void)snprintf(text, sizeof(text), "'%s' is between %s and %s, and so is '%s'", b->policy.name,
            lan, wan, a->policy.name);
    warn_of_two(l, &a->policy, &b->policy, "it decides first for these two; leave them out of one",
            text);
    return true;
}

/* true: told. With conditions of their own they may take turns. */
static bool shares_swapped(
        struct nsh_loader *l, const struct nsh_share *a, const struct nsh_share *b)
{
    const char *lan = common_device(&a->wan, &b->lan), *wan = common_device(&a->lan, &b->wan);
    char text[160];

    if (!lan || !wan ||
            (!holds_with(&a->policy, &b->policy) && !holds_with(&b->policy, &a->policy)))
        return false;
    (void)snprintf(text, sizeof(text),
            "'%s' has %s as its 'lan' and %s as its 'wan', and '%s' the other way round",
            b->policy.name, lan, wan, a->policy.name);
    warn_of_two(l, &a->policy, &b->policy,
            "what is inside for the one is outside for the other; leave one of them out", text);
    return true;
}

static void advise_share(struct nsh_loader *l, const struct nsh_share *s)
{
    for (const struct nsh_share *other = l->config->shares; other < s; other++)
        if (meet(&other->policy, &s->policy) &&
                (shares_twice(l, other, s) || shares_swapped(l, other, s)))
            return;
}

/* ---- port-forwards ---- */

/* What is for some comes before what is for all: that can be meant. */
static bool is_exception(const struct nsh_port_forward *a, const struct nsh_port_forward *b)
{
    return list_holds(&b->from, &a->from) && !list_holds(&a->from, &b->from);
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

    if (ports.first > ports.last || protocol == 0 || !meet(&a->policy, &b->policy) ||
            !holds_with(&a->policy, &b->policy) || !(device = common_device(&a->in, &b->in)) ||
            !lists_overlap(&a->from, &b->from) || is_exception(a, b))
        return false;
    if (ports.first < ports.last)
        (void)snprintf(range, sizeof(range), "-%u", ports.last);
    (void)snprintf(text, sizeof(text), "'%s' and '%s' both take %s port %u%s of %s", a->policy.name,
            b->policy.name, protocol == IPPROTO_TCP ? "tcp" : "udp", ports.first, range, device);
    warn_of_two(l, &a->policy, &b->policy,
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

    if (!prefixes_overlap(p, q) || !meet(&a->policy, &b->policy) ||
            !holds_with(&a->policy, &b->policy) ||
            !(device = common_device(&a->devices, &b->devices)))
        return false;
    (void)snprintf(text, sizeof(text), "'%s' of '%s' on %s, %s, overlaps that of '%s', %s",
            outside ? "outside" : "inside", b->policy.name, device, nsh_prefix_format(q, shown_q),
            a->policy.name, nsh_prefix_format(p, shown_p));
    warn_of_two(l, &a->policy, &b->policy,
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
    advise_filter(l);
    for (size_t i = 0; i < c->n_masquerades; i++)
        advise_masquerade(l, &c->masquerades[i]);
    for (size_t i = 0; i < c->n_shares; i++)
        advise_share(l, &c->shares[i]);
    for (size_t i = 0; i < c->n_port_forwards; i++)
        advise_port_forward(l, &c->port_forwards[i]);
    for (size_t i = 0; i < c->n_network_maps; i++)
        advise_network_map(l, &c->network_maps[i]);
}
