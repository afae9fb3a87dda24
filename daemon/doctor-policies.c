/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Policies that do not fit where this machine's devices lead.
 */
#include <stdio.h>
#include <string.h>

#include "doctor.h"

/* ---- the way out ---- */

static const struct {
    unsigned bit;
    const char *word;
} families[NSH_FAMILIES] = {{NSH_FAMILY_IPV4, "IPv4 "}, {NSH_FAMILY_IPV6, "IPv6 "}};

/* One of that side, in one of the families. */
static bool side_leads(
        const struct nsh_survey *s, const struct nsh_device_list *side, unsigned bits)
{
    for (size_t i = 0; i < s->n_links; i++)
        for (int f = 0; f < NSH_FAMILIES; f++)
            if ((bits & families[f].bit) != 0 && s->links[i].leads[f] &&
                    doctor_is_side(s, side, s->links[i].ifindex))
                return true;
    return false;
}

/* Which family is missed out there: "" all that it leads in, NULL none. */
static const char *missed(const struct nsh_survey *s, const struct nsh_survey_link *l,
        const struct nsh_device_list *out, unsigned wanted, unsigned needed)
{
    bool any = false;

    for (int f = 0; f < NSH_FAMILIES; f++)
        any = any || ((wanted & families[f].bit) != 0 && l->leads[f]);
    for (int f = 0; f < NSH_FAMILIES; f++)
        if (!l->leads[f] &&
                (any ? (needed & families[f].bit) != 0 && !side_leads(s, out, families[f].bit)
                     : wanted == families[f].bit && l->leads[!f]))
            return families[f].word;
    return any ? NULL : "";
}

/*
 * Routing decides the path: what no route sends out of the device is never masqueraded. With its
 * own subnet alone only its neighbours are reached; who says 'to' may mean just these. `needed`:
 * families of which each has to have a way, by one of them.
 */
static void look_out(struct doctor *d, const struct nsh_policy *p,
        const struct nsh_device_list *out, unsigned needed)
{
    char fix[160];

    for (uint32_t i = 0; i < out->n; i++) {
        const struct nsh_survey_link *l = nsh_survey_link(&d->survey, out->items[i]);
        const char *family = l && l->up ? missed(&d->survey, l, out, p->families, needed) : NULL;

        if (!family)
            continue;
        snprintf(fix, sizeof fix,
                "write the device of the default route ('ip route show default'), or a route "
                "with 'dev: %s'",
                l->name);
        doctor_find(d, p->origin, fix,
                "no %sroute but its own subnet's leaves by '%s': what goes elsewhere is not "
                "masqueraded by '%s'",
                family, l->name, p->name);
    }
}

/* ---- the default route on the wrong side ---- */

/* The first of that side that a default route leaves by. */
static const struct nsh_survey_link *way_out(
        const struct nsh_survey *s, const struct nsh_device_list *side, unsigned bits)
{
    for (size_t i = 0; i < s->n_links; i++)
        for (int f = 0; f < NSH_FAMILIES; f++)
            if ((bits & families[f].bit) != 0 && s->links[i].leads_out[f] &&
                    doctor_is_side(s, side, s->links[i].ifindex))
                return &s->links[i];
    return NULL;
}

/* As a VPN's, of which a LAN may well be given a share. */
static bool is_link_without_arp(const struct nsh_survey *s, const struct nsh_device_list *side)
{
    for (size_t i = 0; i < s->n_links; i++)
        if (s->links[i].noarp && doctor_is_side(s, side, s->links[i].ifindex))
            return true;
    return false;
}

/*
 * True: it was told. Where something is behind the WAN it may be just that which the LAN is to
 * reach, and nobody else knows.
 */
static bool look_for_swap(struct doctor *d, const struct nsh_share *share)
{
    static const char what[] =
            "the default route leaves by '%s', which is in the 'lan' of '%s', and "
            "none by its 'wan': the two may be the wrong way round";
    const struct nsh_survey *s = &d->survey;
    unsigned bits = share->policy.families;
    const struct nsh_survey_link *lan = way_out(s, &share->lan, bits);
    char fix[256];

    if (!lan || way_out(s, &share->wan, bits))
        return false;
    if (!side_leads(s, &share->wan, bits)) {
        snprintf(fix, sizeof fix,
                "if the Internet is behind '%s', write it in 'wan', and in 'lan' "
                "those who share it",
                lan->name);
        doctor_find(d, share->policy.origin, fix, what, lan->name, share->policy.name);
        return true;
    }
    if (is_link_without_arp(s, &share->wan))
        return false;
    snprintf(fix, sizeof fix,
            "if the Internet is behind '%s', write it in 'wan'; if its LAN is "
            "to reach only what the 'wan' leads to, all is well",
            lan->name);
    doctor_note_at(d, share->policy.origin, fix, what, lan->name, share->policy.name);
    return false;
}

/* IPv6 is shared where there is any, but is not missed where there is none. */
static unsigned needed_of(const struct nsh_survey *s, const struct nsh_share *share)
{
    unsigned needed = share->masquerade_ipv6 ? NSH_FAMILY_IPV6 : 0;

    for (size_t i = 0; i < s->n_subnets; i++)
        if (s->subnets[i].prefix.family == AF_INET &&
                doctor_is_side(s, &share->lan, s->subnets[i].ifindex))
            needed |= NSH_FAMILY_IPV4;
    return needed & share->policy.families;
}

static void look_at_ways_of(struct doctor *d, const struct nsh_share *share)
{
    if (!look_for_swap(d, share))
        look_out(d, &share->policy, &share->wan, needed_of(&d->survey, share));
}

bool doctor_in_force(const struct doctor *d, const struct nsh_policy *p)
{
    return !p->disabled && nsh_desired_is_open(d->desired, p->when);
}

void doctor_ways_out(struct doctor *d)
{
    const struct nsh_config *c;

    if (!doctor_can_judge(d))
        return;
    c = d->desired->config;
    for (size_t i = 0; i < c->n_masquerades; i++)
        if (doctor_in_force(d, &c->masquerades[i].policy) && !c->masquerades[i].to.items)
            look_out(d, &c->masquerades[i].policy, &c->masquerades[i].out,
                    c->masquerades[i].policy.families);
    for (size_t i = 0; i < c->n_shares; i++)
        if (doctor_in_force(d, &c->shares[i].policy))
            look_at_ways_of(d, &c->shares[i]);
}

/* ---- two sides with one subnet ---- */

bool doctor_overlap(const struct nsh_prefix *a, const struct nsh_prefix *b)
{
    return a->family == b->family &&
           (a->length <= b->length ? nsh_prefix_contains(a, b->family, &b->addr)
                                   : nsh_prefix_contains(b, a->family, &a->addr));
}

bool doctor_is_side(
        const struct nsh_survey *s, const struct nsh_device_list *side, uint32_t ifindex)
{
    for (size_t i = 0; i < s->n_links; i++)
        for (uint32_t k = 0; s->links[i].ifindex == ifindex && k < side->n; k++)
            if (nsh_survey_matches(side->items[k], &s->links[i]))
                return true;
    return false;
}

static void look_at_share(struct doctor *d, const struct nsh_share *share)
{
    const struct nsh_survey *s = &d->survey;
    char a[NSH_PREFIX_TEXT], b[NSH_PREFIX_TEXT];

    for (size_t i = 0; i < s->n_subnets; i++)
        for (size_t k = 0; k < s->n_subnets; k++) {
            const struct nsh_survey_subnet *lan = &s->subnets[i], *wan = &s->subnets[k];

            if (lan->ifindex == wan->ifindex || !doctor_overlap(&lan->prefix, &wan->prefix) ||
                    !doctor_is_side(s, &share->lan, lan->ifindex) ||
                    !doctor_is_side(s, &share->wan, wan->ifindex))
                continue;
            doctor_find(d, share->policy.origin,
                    "give one side another subnet: the LAN's is the one that is yours to choose",
                    "both sides of share '%s' have the same addresses, %s at %s and %s at %s: "
                    "replies leave by the wrong one",
                    share->policy.name, nsh_prefix_format(&lan->prefix, a),
                    nsh_survey_link_at(s, lan->ifindex)->name, nsh_prefix_format(&wan->prefix, b),
                    nsh_survey_link_at(s, wan->ifindex)->name);
            return;
        }
}

void doctor_subnets(struct doctor *d)
{
    if (!doctor_can_judge(d))
        return;
    for (size_t i = 0; i < d->desired->config->n_shares; i++)
        if (doctor_in_force(d, &d->desired->config->shares[i].policy))
            look_at_share(d, &d->desired->config->shares[i]);
}

/* ---- segments that don't fit ---- */

#define ETHERNET_MTU 1500U

/* The smallest of the devices on one side; 0: none is there. */
static const struct nsh_survey_link *smallest(
        const struct nsh_survey *s, const struct nsh_device_list *side)
{
    const struct nsh_survey_link *found = NULL;

    for (size_t i = 0; i < s->n_links; i++)
        if (s->links[i].mtu > 0 && doctor_is_side(s, side, s->links[i].ifindex) &&
                (!found || s->links[i].mtu < found->mtu))
            found = &s->links[i];
    return found;
}

void doctor_segments(struct doctor *d)
{
    if (!doctor_can_judge(d))
        return;
    for (size_t i = 0; i < d->desired->config->n_shares; i++) {
        const struct nsh_share *share = &d->desired->config->shares[i];
        const struct nsh_survey_link *wan = smallest(&d->survey, &share->wan);

        if (!share->keep_mss || !wan || wan->mtu >= ETHERNET_MTU ||
                !doctor_in_force(d, &share->policy))
            continue;
        doctor_find(d, share->policy.origin, "leave 'clamp-mss: false' out",
                "packets of at most %u bytes fit through '%s', and share '%s' does not clamp TCP's "
                "segments to that: connections may hang once they send much",
                wan->mtu, wan->name, share->policy.name);
    }
}
