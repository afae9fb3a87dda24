/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether there can be somebody where port-forwards lead. A packet that leaves by the device it
 * came in by gets no answer that its sender knows, unless that comes back through this machine: a
 * masquerade out of the device sees to that.
 */
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "doctor.h"

/* By its very name: what stands for any device stands for the right one as well. */
static bool comes_in_by(const struct doctor *d, const struct nsh_port_forward *f, uint32_t ifindex)
{
    for (uint32_t i = 0; i < f->in.n; i++) {
        const struct nsh_survey_link *l = nsh_survey_link(&d->survey, f->in.items[i]);

        if (l && l->ifindex == ifindex)
            return true;
    }
    return false;
}

static bool is_masqueraded(
        const struct doctor *d, const struct nsh_port_forward *f, uint32_t ifindex)
{
    const struct nsh_config *c = d->desired->config;

    for (size_t i = 0; i < c->n_masquerades; i++) {
        const struct nsh_masquerade *m = &c->masquerades[i];

        if (doctor_in_force(d, &m->policy) && (m->policy.families & f->policy.families) != 0 &&
                doctor_is_side(&d->survey, &m->out, ifindex))
            return true;
    }
    return false;
}

/* A wanted route leads there, which need not stand yet. */
static bool will_lead_elsewhere(const struct nsh_desired *d, const struct nsh_port_forward *f)
{
    for (size_t i = 0; i < d->n_routes; i++) {
        const struct nsh_route *r = &d->routes[i];
        const struct nsh_prefix p = {.addr = r->dst, .family = r->family, .length = r->dst_length};

        if (p.length > 0 && nsh_desired_is_open(d, r->props->when) &&
                nsh_prefix_contains(&p, f->to.family, &f->to.addr))
            return true;
    }
    return false;
}

static void look_at_way(struct doctor *d, const struct nsh_port_forward *f,
        const struct nsh_fib_answer *a, const char *to)
{
    static const char fix[] = "write the address of a machine behind another interface; or give "
                              "this machine an address or a route there";
    const struct nsh_survey_link *l = nsh_survey_link_at(&d->survey, a->ifindex);
    char via[NSH_ADDR_TEXT], more[sizeof fix + 96];

    if (!l || !comes_in_by(d, f, a->ifindex) || is_masqueraded(d, f, a->ifindex) ||
            will_lead_elsewhere(d->desired, f))
        return;
    if (a->via_family != AF_UNSPEC) {
        doctor_find(d, f->policy.origin, fix,
                "the way to '%s' leaves by %s to the gateway %s, and by %s comes what '%s' "
                "forwards there: it would go back out",
                to, l->name, nsh_addr_format(a->via_family, &a->via, via), l->name, f->policy.name);
        return;
    }
    snprintf(more, sizeof more, "%s; if its answers come back through this machine, all is well",
            fix);
    doctor_note_at(d, f->policy.origin, more,
            "the way to '%s' leaves by %s, by which comes what '%s' forwards there: it would go "
            "back out",
            to, l->name, f->policy.name);
}

static void look_at(struct doctor *d, const struct nsh_port_forward *f)
{
    const struct nsh_fib_question q = {.family = f->to.family, .to = f->to.addr};
    struct nsh_fib_answer a;
    char to[NSH_ADDR_TEXT];

    if (d->fib->ops->path(d->fib, &q, &a) < 0)
        return;
    nsh_addr_format(f->to.family, &f->to.addr, to);
    if (a.type == RTN_LOCAL)
        doctor_note_at(d, f->policy.origin,
                "write the address of the machine that is to answer; if that is a program on this "
                "one, all is well",
                "'%s', to which '%s' forwards, is an address of this machine", to, f->policy.name);
    else if (a.type == RTN_BROADCAST)
        doctor_find(d, f->policy.origin, "write the address of the machine that is to answer",
                "'%s', to which '%s' forwards, is the broadcast address of a subnet", to,
                f->policy.name);
    else if (a.type == RTN_UNICAST)
        look_at_way(d, f, &a, to);
}

void doctor_port_forwards(struct doctor *d)
{
    const struct nsh_config *c;

    if (!doctor_can_judge(d))
        return;
    c = d->desired->config;
    for (size_t i = 0; i < c->n_port_forwards; i++)
        if (doctor_in_force(d, &c->port_forwards[i].policy))
            look_at(d, &c->port_forwards[i]);
}
