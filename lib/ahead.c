/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What two rules have in common is judged by what both say of addresses, devices, protocol, ports
 * and mark. All else in a rule only narrows it, so that one which is told of may take less than
 * could be thought, but one that is not told of takes nothing.
 */
#include "ahead.h"

#include <string.h>

#include "desired.h"

/* ---- pieces ---- */

static bool same_bits(const struct nsh_prefix *a, const struct nsh_prefix *b, unsigned int length)
{
    unsigned int rest = length % 8, at = length / 8;

    return memcmp(a->addr.bytes, b->addr.bytes, at) == 0 &&
           (rest == 0 || ((a->addr.bytes[at] ^ b->addr.bytes[at]) >> (8 - rest)) == 0);
}

static bool prefixes_meet(const struct nsh_prefix *a, const struct nsh_prefix *b)
{
    return a->family == AF_UNSPEC || b->family == AF_UNSPEC ||
           same_bits(a, b, a->length < b->length ? a->length : b->length);
}

static bool prefix_covers(const struct nsh_prefix *wide, const struct nsh_prefix *narrow)
{
    if (wide->family == AF_UNSPEC || narrow->family == AF_UNSPEC)
        return wide->family == AF_UNSPEC;
    return wide->length <= narrow->length && same_bits(wide, narrow, wide->length);
}

/* How much of a device's name counts; what ends in '+' is a prefix, and of others the NUL counts.
 */
static size_t counts(const char *device)
{
    size_t n = strlen(device);

    return n > 0 && device[n - 1] == '+' ? n - 1 : n > 0 ? n + 1 : 0;
}

static bool device_covers(const char *wide, const char *narrow)
{
    return counts(wide) <= counts(narrow) && memcmp(wide, narrow, counts(wide)) == 0;
}

bool nsh_devices_meet(const char *a, const char *b)
{
    return device_covers(a, b) || device_covers(b, a);
}

static bool ranges_meet(const struct nsh_range *a, const struct nsh_range *b)
{
    return a->last == 0 || b->last == 0 || (a->first <= b->last && b->first <= a->last);
}

static bool marks_meet(const struct nsh_mark *a, const struct nsh_mark *b)
{
    return ((a->value ^ b->value) & a->mask & b->mask) == 0;
}

/* ---- rules ---- */

static bool set_meets(
        const struct nsh_desired *d, int family, const char *name, const struct nsh_prefix *prefix)
{
    if (name[0] == '\0' || prefix->family == AF_UNSPEC)
        return true;
    for (size_t i = 0; i < d->n_sets; i++) {
        const struct nsh_set *s = &d->sets[i];

        if (s->family != family || strcmp(s->name, name) != 0)
            continue;
        for (size_t k = 0; k < s->n; k++)
            if (prefixes_meet(&s->prefixes[k], prefix))
                return true;
        return false;
    }
    return true;
}

static bool rules_meet(const struct nsh_packet_rule *a, const struct nsh_packet_rule *b)
{
    return prefixes_meet(&a->from, &b->from) && prefixes_meet(&a->to, &b->to) &&
           nsh_devices_meet(a->in, b->in) && nsh_devices_meet(a->out, b->out) &&
           (a->protocol == 0 || b->protocol == 0 || a->protocol == b->protocol) &&
           ranges_meet(&a->source_port, &b->source_port) &&
           ranges_meet(&a->destination_port, &b->destination_port) &&
           marks_meet(&a->mark, &b->mark);
}

/* All that the rule is for is among what is not taken. */
static bool is_spared(const struct nsh_packet_rule *spares, const struct nsh_packet_rule *rule)
{
    return (spares->from.family != AF_UNSPEC && prefix_covers(&spares->from, &rule->from)) ||
           (spares->to.family != AF_UNSPEC && prefix_covers(&spares->to, &rule->to)) ||
           (spares->in[0] != '\0' && device_covers(spares->in, rule->in)) ||
           (spares->out[0] != '\0' && device_covers(spares->out, rule->out));
}

static bool has_only_places(const struct nsh_packet_rule *r)
{
    return r->from_set[0] == '\0' && r->to_set[0] == '\0' && r->source_port.last == 0 &&
           r->destination_port.last == 0 && r->mark.mask == 0 && r->states == 0 && !r->translated &&
           !r->ipsec && !r->syn && r->local == NSH_LOCAL_ANY;
}

/* Of two that meet, the one that says more. */
static void narrow_prefix(struct nsh_prefix *p, const struct nsh_prefix *way)
{
    if (way->family != AF_UNSPEC && (p->family == AF_UNSPEC || p->length < way->length))
        *p = *way;
}

static void narrow_device(char device[static IFNAMSIZ], const char *way)
{
    if (counts(way) > counts(device))
        memcpy(device, way, IFNAMSIZ);
}

static void narrow_range(struct nsh_range *r, const struct nsh_range *way)
{
    if (r->last == 0)
        *r = *way;
    else if (way->last != 0)
        *r = (struct nsh_range){.first = r->first > way->first ? r->first : way->first,
                .last = r->last < way->last ? r->last : way->last};
}

static void spare_also(struct nsh_packet_rule *spares, const struct nsh_packet_rule *way)
{
    if (spares->from.family == AF_UNSPEC)
        spares->from = way->from;
    if (spares->to.family == AF_UNSPEC)
        spares->to = way->to;
    if (spares->in[0] == '\0')
        memcpy(spares->in, way->in, sizeof spares->in);
    if (spares->out[0] == '\0')
        memcpy(spares->out, way->out, sizeof spares->out);
}

bool nsh_ahead_narrow(struct nsh_ahead_seen *ahead, const struct nsh_ahead_seen *way)
{
    struct nsh_packet_rule *needs = &ahead->needs;

    if (!rules_meet(needs, &way->needs))
        return false;
    narrow_prefix(&needs->from, &way->needs.from);
    narrow_prefix(&needs->to, &way->needs.to);
    narrow_device(needs->in, way->needs.in);
    narrow_device(needs->out, way->needs.out);
    if (needs->protocol == 0)
        needs->protocol = way->needs.protocol;
    narrow_range(&needs->source_port, &way->needs.source_port);
    narrow_range(&needs->destination_port, &way->needs.destination_port);
    needs->mark.value |= way->needs.mark.value;
    needs->mark.mask |= way->needs.mark.mask;
    spare_also(&ahead->spares, &way->spares);
    return true;
}

bool nsh_ahead_covers(const struct nsh_packet_rule *wide, const struct nsh_packet_rule *narrow)
{
    return has_only_places(wide) && prefix_covers(&wide->from, &narrow->from) &&
           prefix_covers(&wide->to, &narrow->to) && device_covers(wide->in, narrow->in) &&
           device_covers(wide->out, narrow->out) &&
           (wide->protocol == 0 || wide->protocol == narrow->protocol);
}

/* What the chain itself lets go before is nothing it could lose. */
bool nsh_ahead_takes(const struct nsh_ahead_seen *ahead, const struct nsh_chain *chain,
        const struct nsh_desired *d)
{
    for (size_t i = 0; !ahead->unjudged && i < chain->n_rules; i++) {
        const struct nsh_packet_rule *r = &chain->rules[i];

        if (r->action == NSH_PACKET_RETURN && nsh_ahead_covers(r, &ahead->needs))
            return false;
        if (r->action != NSH_PACKET_RETURN && r->action != NSH_PACKET_LOG &&
                rules_meet(&ahead->needs, r) && !is_spared(&ahead->spares, r) &&
                set_meets(d, chain->family, r->from_set, &ahead->needs.from) &&
                set_meets(d, chain->family, r->to_set, &ahead->needs.to))
            return true;
    }
    return false;
}
