/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A strict reverse-path filter drops what comes in by a device while the kernel would send the
 * answer out by another one. It looks that up without the packet's mark and without the device it
 * came in by; so rules for marks, devices and ports lead packets out by a way on which the replies
 * are dropped, and so are the probes of checks, and connections that come in by a second uplink.
 */
#include <stdio.h>
#include <string.h>

#include "doctor.h"
#include "probes.h"

/* Somebody far away, for a route to everywhere. */
static const union nsh_addr far_away = {.bytes = {1, 1, 1, 1}};

/* An address that a route leads to. */
static union nsh_addr beyond(const struct nsh_route *r)
{
    union nsh_addr a = r->dst_length == 0 ? far_away : r->dst;

    if (r->dst_length > 0 && r->dst_length < 31)
        a.bytes[3] |= 1;
    return a;
}

/* The larger of the two switches counts; 1 is strict. */
static bool is_strict(const struct doctor *d, const struct nsh_survey_link *l)
{
    int all = doctor_sysctl_of(d, AF_INET, "all", "rp_filter");
    int own = doctor_sysctl_of(d, AF_INET, l->name, "rp_filter");

    return (all > own ? all : own) == 1;
}

/* The way back to `to`: 0 and the device, or there is none. `here`: where its packets are for. */
static int way_back(
        struct doctor *d, const union nsh_addr *to, const union nsh_addr *here, uint32_t *ret)
{
    struct nsh_fib_path inside = {0}, path;
    int q = here ? d->fib->ops->lookup(d->fib, AF_INET, here, 0, NULL, &inside) : 0;

    if (q == 0)
        q = d->fib->ops->lookup(d->fib, AF_INET, to, inside.ifindex, here, &path);
    if (q == 0)
        *ret = path.ifindex;
    return q;
}

struct packets {
    const struct nsh_survey_link *in;
    union nsh_addr from;
    const union nsh_addr *to; /* behind the router; NULL: this machine */
    const char *what;         /* "replies to what rule 100 sends out" */
    nsh_origin origin;
};

static void judge(struct doctor *d, const struct packets *p)
{
    const struct nsh_survey_link *other = NULL;
    char key[DOCTOR_KEY], fix[256];
    uint32_t back;

    if (!p->in->up || !is_strict(d, p->in))
        return;
    if (way_back(d, &p->from, p->to, &back) == 0) {
        other = nsh_survey_link_at(&d->survey, back);
        if (!other || other->ifindex == p->in->ifindex)
            return;
    }
    doctor_key(AF_INET, p->in->name, "rp_filter", key, sizeof key);
    doctor_find(d, p->origin, doctor_sysctl_fix(key, 2, fix, sizeof fix),
            "the reverse-path filter of '%s' is strict and drops %s: the way back %s%s",
            p->in->name, p->what, other ? "is by " : "does not exist", other ? other->name : "");
}

/* ---- what comes in so ---- */

/* The device that a link stands for; NULL: it is not there. */
static const struct nsh_survey_link *device_of(const struct doctor *d, uint32_t link)
{
    uint32_t ifindex = link == NSH_NO_LINK ? 0 : d->desired->links[link].ifindex;

    return ifindex ? nsh_survey_link_at(&d->survey, ifindex) : NULL;
}

/* Replies to a packet that such a rule led there are looked up otherwise. */
static bool leads_astray(const struct nsh_rule *r)
{
    return r->family == AF_INET && r->action == FR_ACT_TO_TBL && !r->invert && !r->l3mdev &&
           r->from.family == AF_UNSPEC &&
           (r->mark.mask != 0 || r->iif[0] != '\0' || r->ip_protocol != 0);
}

#define TABLE_ROUTES_MAX 64 /* of one table are looked at */

static void look_at_rule(struct doctor *d, const struct nsh_rule *rule)
{
    const struct nsh_desired *want = d->desired;
    size_t left = TABLE_ROUTES_MAX;
    char what[96];

    snprintf(what, sizeof what, "replies to what rule %u sends out there", rule->priority);
    for (size_t i = 0; i < want->n_routes && left > 0; i++) {
        const struct nsh_route *r = &want->routes[i];

        if (r->family != AF_INET || r->table != rule->table || r->props->type != RTN_UNICAST)
            continue;
        left--;
        for (uint32_t k = 0; k < r->props->n_nexthops; k++) {
            const struct packets p = {.in = device_of(d, r->props->nexthops[k].link),
                    .from = beyond(r),
                    .what = what,
                    .origin = rule->origin};

            if (p.in)
                judge(d, &p);
        }
    }
}

static void look_at_check(struct doctor *d, const struct nsh_gate *gate)
{
    const struct packets p = {.in = device_of(d, gate->check.link),
            .from = gate->check.target,
            .what = "the answers to a check",
            .origin = gate->origin};

    if (gate->check.family == AF_INET && p.in)
        judge(d, &p);
}

/* Connections come in from everywhere by a device that has a way out of its own. */
static void look_at_port_forward(struct doctor *d, const struct nsh_port_forward *f)
{
    char what[96];

    if (f->policy.disabled || f->to.family != AF_INET ||
            !nsh_desired_is_open(d->desired, f->policy.when))
        return;
    snprintf(what, sizeof what, "what comes for port-forward '%s'", f->policy.name);
    for (uint32_t i = 0; i < f->in.n; i++) {
        const struct packets p = {.in = nsh_survey_link(&d->survey, f->in.items[i]),
                .from = f->from.items && f->from.n > 0 ? f->from.items[0].addr : far_away,
                .to = &f->to.addr,
                .what = what,
                .origin = f->policy.origin};

        if (p.in && p.in->leads_out[NSH_V4])
            judge(d, &p);
    }
}

void doctor_reverse_path(struct doctor *d)
{
    const struct nsh_desired *want = d->desired;

    if (!doctor_can_judge(d))
        return;
    for (size_t i = 0; i < want->n_rules; i++)
        if (leads_astray(&want->rules[i]) && nsh_desired_is_open(want, want->rules[i].when) &&
                !nsh_probes_rule_is(want->config, &want->rules[i]))
            look_at_rule(d, &want->rules[i]);
    for (size_t i = 1; i < want->n_gates; i++)
        if (want->gates[i].kind == NSH_GATE_CHECK)
            look_at_check(d, &want->gates[i]);
    for (size_t i = 0; i < want->config->n_port_forwards; i++)
        look_at_port_forward(d, &want->config->port_forwards[i]);
}
