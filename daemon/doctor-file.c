/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What of the file's devices, gateways and routes does not fit this machine.
 */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "absent.h"
#include "cleanup.h"
#include "control.h"
#include "doctor.h"
#include "resolve.h"
#include "state.h"
#include "text.h"

NSH_DEFINE_CLEANUP(struct nsh_state *, nsh_state_free)

/* ---- interfaces ---- */

#define TOLD_MAX 256
#define STATUS_TIMEOUT_USEC 3000000ULL

struct naming {
    struct doctor *d;
    char told[TOLD_MAX][IFNAMSIZ]; /* each is told of once */
    size_t n_told;
    bool looked; /* what follows is known */
    bool forwarded[NSH_FAMILIES];
    json_t *status;
};

static void naming_done(struct naming *n)
{
    json_decref(n->status);
}

/* A list that lacks a device. */
struct lacking {
    struct nsh_absent_place at;
    const struct nsh_share *share; /* whose it is; NULL: nobody's */
};

static bool was_told(struct naming *n, const char *name)
{
    for (size_t i = 0; i < n->n_told; i++)
        if (strcmp(n->told[i], name) == 0)
            return true;
    if (n->n_told == TOLD_MAX)
        return true;
    snprintf(n->told[n->n_told++], IFNAMSIZ, "%s", name);
    return false;
}

/* Netshared has noted that it did; where only root may read that it is taken for so. */
static bool is_switched_on_by_us(const struct doctor *d, int family)
{
    NSH_CLEANUP(nsh_state_freep) struct nsh_state *state = NULL;
    nsh_autofree struct nsh_sysctl_before *before = NULL;
    size_t n = 0;
    int q = nsh_state_open_reader(d->options->state_directory, &state);

    if (q == 0)
        q = nsh_state_sysctls_load(state, &before, &n);
    for (size_t i = 0; i < n; i++)
        if (strcmp(before[i].key, nsh_forwarding_key(family)) == 0)
            return true;
    return q < 0 && q != -ENOENT;
}

/* A daemon gives back what it has switched on; where none runs it stays. */
static void look_at_forwarding(struct naming *n)
{
    const struct doctor *d = n->d;
    int q = d->status_error;

    n->status = d->status ? json_incref(d->status) : NULL;
    if (!n->status && q == 0)
        q = nsh_control_call_status(d->options->runtime_directory, STATUS_TIMEOUT_USEC, &n->status);
    for (int f = 0; f < NSH_FAMILIES; f++) {
        int family = nsh_family_of(f);
        bool ours = q != -ENOENT && q != -ECONNREFUSED && is_switched_on_by_us(d, family);

        n->forwarded[f] =
                !d->desired->lacks[f] && nsh_desired_is_forwarded(d->fib, d->desired, family, ours);
    }
    n->looked = true;
}

static bool tells_of(const char *reason, const char *name)
{
    const char *at = strstr(reason, name);
    size_t n = strlen(name);

    return at && at > reason && at[-1] == ' ' && (at[n] == ',' || at[n] == ' ' || at[n] == ';');
}

/* What came and went again is the daemon's to know: it goes on forwarding for it. */
static bool daemon_says(const struct naming *n, const struct nsh_share *share, const char *name)
{
    const json_t *o;
    size_t i;

    json_array_foreach(json_object_get(n->status, "objects"), i, o)
    {
        const char *reason = doctor_text_of(o, "reason");

        if (strcmp(doctor_text_of(o, "policy"), share->policy.name) == 0 &&
                strstr(reason, NSH_UNFILTERED_TEXT) && tells_of(reason, name))
            return true;
    }
    return false;
}

/* As the reason in status: what has another name than the file says is open to all. */
static const char *unfiltered(struct naming *n, const struct nsh_share *share, const char *name)
{
    bool open = false;

    if (!share)
        return "";
    if (!n->looked)
        look_at_forwarding(n);
    for (int f = 0; f < NSH_FAMILIES; f++)
        open = open ||
               (n->forwarded[f] && (share->policy.families &
                                           (f == NSH_V6 ? NSH_FAMILY_IPV6 : NSH_FAMILY_IPV4)) != 0);
    return open || daemon_says(n, share, name) ? "; " NSH_UNFILTERED_TEXT : "";
}

static void look_for(struct naming *n, const char *name, nsh_origin at, nsh_gate_id when,
        const struct lacking *in)
{
    const struct nsh_survey *s = &n->d->survey;
    const struct nsh_survey_link *l = nsh_survey_link(s, name);
    char fix[256], word[64];

    if (l && l->alias && in->at.list) /* packet rules know no alternative names */
        l = NULL;
    if (nsh_device_is_pattern(name) || (l && l->up) || !nsh_desired_is_open(n->d->desired, when) ||
            was_told(n, name))
        return;
    if (!l) {
        doctor_find(n->d, at,
                nsh_absent_hint(s, n->d->desired->config, name, &in->at, fix, sizeof fix),
                "there is no interface '%s' now%s", name, unfiltered(n, in->share, name));
        return;
    }
    snprintf(fix, sizeof fix, "run: ip link set %s up", nsh_text_word(name, word, sizeof word));
    doctor_find(n->d, at, fix, "the interface '%s' is switched off", name);
}

static void look_for_all(struct naming *n, const struct nsh_device_list *list,
        const struct nsh_device_list *other, const struct nsh_policy *p,
        const struct nsh_share *share)
{
    const struct lacking in = {.at = {list, other}, .share = share};

    for (uint32_t i = 0; i < list->n && !p->disabled; i++)
        look_for(n, list->items[i], p->origin, p->when, &in);
}

static void look_for_links(struct naming *n)
{
    const struct nsh_desired *d = n->d->desired;
    nsh_autofree bool *seen = calloc(d->n_links + 1, sizeof *seen);

    for (size_t i = 0; seen && i < d->n_routes; i++) {
        const struct nsh_route_props *p = d->routes[i].props;

        for (uint32_t k = 0; k < p->n_nexthops; k++) {
            uint32_t link = p->nexthops[k].link;

            if (link == NSH_NO_LINK || seen[link])
                continue;
            seen[link] = nsh_desired_is_open(d, p->when);
            look_for(n, d->links[link].name, d->routes[i].origin, p->when, &(struct lacking){0});
        }
    }
}

void doctor_interfaces(struct doctor *d)
{
    nsh_autofree struct naming *n = calloc(1, sizeof *n);
    const struct nsh_config *c;

    if (!n || !doctor_can_judge(d))
        return;
    n->d = d;
    c = d->desired->config;
    for (size_t i = 0; i < c->n_shares; i++) { /* first: of these there is most to tell */
        const struct nsh_share *s = &c->shares[i];

        look_for_all(n, &s->lan, &s->wan, &s->policy, s);
        look_for_all(n, &s->wan, &s->lan, &s->policy, s);
    }
    look_for_links(n);
    for (size_t i = 0; i < d->desired->n_rules; i++) {
        const struct nsh_rule *r = &d->desired->rules[i];

        look_for(n, r->iif, r->origin, r->when, &(struct lacking){0});
        look_for(n, r->oif, r->origin, r->when, &(struct lacking){0});
    }
    for (size_t i = 0; i < c->n_masquerades; i++)
        look_for_all(n, &c->masquerades[i].out, NULL, &c->masquerades[i].policy, NULL);
    for (size_t i = 0; i < c->n_port_forwards; i++)
        look_for_all(n, &c->port_forwards[i].in, NULL, &c->port_forwards[i].policy, NULL);
    for (size_t i = 0; i < c->n_network_maps; i++)
        look_for_all(n, &c->network_maps[i].devices, NULL, &c->network_maps[i].policy, NULL);
    naming_done(n);
}

/* ---- gateways ---- */

#define GATEWAYS_MAX 1024

struct gateways {
    struct doctor *d;
    const struct nsh_nexthop *asked[GATEWAYS_MAX]; /* each once */
    size_t n;
};

static bool was_asked(struct gateways *g, const struct nsh_nexthop *nh)
{
    if (g->n == GATEWAYS_MAX)
        return true;
    for (size_t i = 0; i < g->n; i++)
        if (g->asked[i]->link == nh->link && g->asked[i]->via_family == nh->via_family &&
                nsh_addr_cmp(&g->asked[i]->via, &nh->via) == 0)
            return true;
    g->asked[g->n++] = nh;
    return false;
}

/* A wanted route without a gateway leads there. */
static bool will_be_on_link(const struct nsh_desired *d, const struct nsh_nexthop *nh)
{
    for (size_t i = 0; i < d->n_routes; i++) {
        const struct nsh_route *r = &d->routes[i];
        struct nsh_prefix p = {.addr = r->dst, .family = r->family, .length = r->dst_length};

        if (r->props->n_nexthops > 0 && r->props->nexthops[0].via_family == AF_UNSPEC &&
                r->props->type == RTN_UNICAST && nsh_prefix_contains(&p, nh->via_family, &nh->via))
            return true;
    }
    return false;
}

/* "write a gateway in 192.0.2.0/24, or on-link: true": of the device's subnets the first. */
static const char *nearer_gateway(
        const struct nsh_survey *s, uint32_t ifindex, int family, char *buf, size_t size)
{
    char text[NSH_PREFIX_TEXT];

    snprintf(buf, size,
            "give this machine an address in the gateway's subnet, or write "
            "'on-link: true' if it is there all the same");
    for (size_t i = 0; i < s->n_subnets; i++)
        if (s->subnets[i].ifindex == ifindex && s->subnets[i].prefix.family == family) {
            snprintf(buf, size,
                    "write a gateway in %s, or 'on-link: true' if it is there all the same",
                    nsh_prefix_format(&s->subnets[i].prefix, text));
            return buf;
        }
    return buf;
}

static void look_for_gateway(
        struct gateways *g, const struct nsh_route *r, const struct nsh_nexthop *nh)
{
    const struct nsh_desired *d = g->d->desired;
    const struct nsh_link *link = nh->link == NSH_NO_LINK ? NULL : &d->links[nh->link];
    bool named = link && link->gateway_family == AF_UNSPEC;
    char via[NSH_ADDR_TEXT], text[128], fix[256];
    struct nsh_fib_path path;

    if (nh->via_family == AF_UNSPEC || nh->learned || (nh->flags & RTNH_F_ONLINK) != 0 ||
            nsh_addr_is_link_local(nh->via_family, &nh->via) || was_asked(g, nh))
        return;
    if (named) {
        const struct nsh_survey_link *l = nsh_survey_link(&g->d->survey, link->name);

        if (!l || !l->up) /* said already */
            return;
    }
    if (nsh_desired_look_up(g->d->fib, d, r->props->vrf, nh->via_family, &nh->via, &path) == 0 &&
            path.on_link && (!named || link->ifindex == path.ifindex))
        return;
    if (will_be_on_link(d, nh))
        return;
    doctor_find(g->d, r->origin,
            nearer_gateway(
                    &g->d->survey, named ? link->ifindex : 0, nh->via_family, fix, sizeof fix),
            "the gateway %s of %s is not on %s%s", nsh_addr_format(nh->via_family, &nh->via, via),
            nsh_route_format_key(r, text, sizeof text), named ? "the link of " : "any link",
            named ? link->name : "");
}

void doctor_gateways(struct doctor *d)
{
    nsh_autofree struct gateways *g = calloc(1, sizeof *g);
    const struct nsh_route_props *last = NULL;

    if (!g || !doctor_can_judge(d))
        return;
    g->d = d;
    for (size_t i = 0; i < d->desired->n_routes; i++) {
        const struct nsh_route *r = &d->desired->routes[i];

        if (r->props == last || !nsh_desired_is_open(d->desired, r->props->when))
            continue;
        last = r->props;
        for (uint32_t k = 0; k < last->n_nexthops; k++)
            look_for_gateway(g, r, &last->nexthops[k]);
    }
}

/* ---- routes of others ---- */

/* Whether it is to stand in when the other one goes, only its owner knows: no culprit for certain.
 */
static void tell_shadow(struct doctor *d, const struct nsh_survey_rival *rival, const char *who)
{
    const struct nsh_route *r = &d->desired->routes[rival->wanted];
    char key[128];

    doctor_note_at(d, r->origin,
            "give this one a lower 'metric', or take that route from its program; if this is to "
            "stand in for it, all is well",
            "the route %s has no traffic: a route of protocol %s comes before it, %s",
            nsh_route_format_key(r, key, sizeof key), who, rival->text);
}

/* The last default route is one of ours, and goes with the file that is about to be in force. */
static void look_for_last_default(struct doctor *d)
{
    for (int f = 0; f < NSH_FAMILIES; f++) {
        char buf[512];
        const char *text = nsh_default_routes_lost(
                &d->survey.defaults, d->desired, nsh_family_of(f), buf, sizeof buf);

        if (text)
            doctor_find_at(d, d->options->config, 0, NSH_DEFAULT_ROUTE_FIX, "%s", text);
    }
}

void doctor_rivals(struct doctor *d)
{
    if (!doctor_can_judge(d))
        return;
    look_for_last_default(d);
    for (size_t i = 0; i < d->survey.n_rivals; i++) {
        const struct nsh_survey_rival *rival = &d->survey.rivals[i];
        const struct nsh_route *r = &d->desired->routes[rival->wanted];
        const char *who = nsh_route_protocol_name(rival->protocol);
        char number[16], key[128];

        snprintf(number, sizeof number, "%u", rival->protocol);
        if (rival->shadows)
            tell_shadow(d, rival, who ? who : number);
        else if (r->props->on_conflict != NSH_CONFLICT_REPLACE)
            doctor_find(d, r->origin,
                    "take that route from its program, give this one another 'metric', or write "
                    "'on-conflict: replace'",
                    "the place of %s has a route of protocol %s: %s",
                    nsh_route_format_key(r, key, sizeof key), who ? who : number, rival->text);
    }
}
