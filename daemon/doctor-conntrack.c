/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What runs out: entries of conntrack, and source ports of an address that flows are translated to.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "doctor.h"

#define MUCH_PERCENT 80

static bool is_much(uint64_t n, uint64_t max)
{
    return max > 0 && n * 100 >= max * MUCH_PERCENT;
}

void doctor_conntrack(struct doctor *d)
{
    static const char max_key[] = "net/netfilter/nf_conntrack_max";
    int n = doctor_sysctl(d, "net/netfilter/nf_conntrack_count");
    int max = doctor_sysctl(d, max_key);
    char fix[256];

    if (n < 0 || max <= 0 || !is_much((uint64_t)n, (uint64_t)max))
        return;
    doctor_find(d, NSH_ORIGIN_NONE,
            doctor_sysctl_fix(max_key, max < INT32_MAX / 2 ? max * 2 : INT32_MAX, fix, sizeof fix),
            "conntrack has %d connections of at most %d: packets of new ones are dropped when it "
            "is full",
            n, max);
}

/* ---- ports ---- */

/* What the kernel takes for ports from 1024 on. */
#define PORTS_FIRST 1024U
#define PORTS_LAST 65535U

static bool has_address(const struct nsh_survey *s, const struct nsh_device_list *out,
        const struct nsh_port_use *use)
{
    for (size_t i = 0; i < s->n_addresses; i++) {
        if (s->addresses[i].family != use->family ||
                nsh_addr_cmp(&s->addresses[i].address, &use->from) != 0)
            continue;
        for (size_t k = 0; k < s->n_links; k++)
            for (uint32_t j = 0; s->links[k].ifindex == s->addresses[i].ifindex && j < out->n; j++)
                if (nsh_survey_matches(out->items[j], &s->links[k]))
                    return true;
    }
    return false;
}

static bool gives(
        const struct nsh_masquerade *m, const struct nsh_survey *s, const struct nsh_port_use *use)
{
    const struct nsh_address_range *r = &m->to_source;

    if (m->policy.disabled)
        return false;
    if (r->family == AF_UNSPEC)
        return has_address(s, &m->out, use);
    return r->family == use->family && nsh_addr_cmp(&r->first, &use->from) <= 0 &&
           nsh_addr_cmp(&r->last, &use->from) >= 0;
}

const struct nsh_masquerade *doctor_port_range(const struct nsh_config *c,
        const struct nsh_survey *s, const struct nsh_port_use *use, uint32_t *ret)
{
    const struct nsh_masquerade *found = NULL;
    uint32_t most = 0;

    for (size_t i = 0; i < c->n_masquerades; i++) {
        const struct nsh_masquerade *m = &c->masquerades[i];
        uint32_t n = m->to_ports.last == 0 ? PORTS_LAST - PORTS_FIRST + 1
                                           : m->to_ports.last - m->to_ports.first + 1;

        if (!gives(m, s, use) || n <= most)
            continue;
        found = m;
        most = n;
    }
    *ret = found ? most : PORTS_LAST - PORTS_FIRST + 1;
    return found;
}

static void look_at_use(struct doctor *d, const struct nsh_port_use *use)
{
    static const struct nsh_config none;
    const struct nsh_config *c = d->desired ? d->desired->config : &none;
    char from[NSH_ADDR_TEXT], to[NSH_ADDR_TEXT];
    const char *fix = "translate to several addresses: 'to-source: FIRST-LAST' in a masquerade";
    const struct nsh_masquerade *m;
    uint32_t most;

    m = doctor_port_range(c, &d->survey, use, &most);
    if (!is_much(use->n, most))
        return;
    if (m && m->to_ports.last > 0)
        fix = "leave 'to-ports' out, or widen it";
    doctor_find(d, m ? m->policy.origin : NSH_ORIGIN_NONE, fix,
            "%u of %u source ports of %s are in use towards %s port %u (protocol %u): when all "
            "are, new connections there fail",
            use->n, most, nsh_addr_format(use->family, &use->from, from),
            nsh_addr_format(use->family, &use->to, to), use->to_port, use->protocol);
}

static void look_at_family(struct doctor *d, int family)
{
    NSH_CLEANUP(nsh_port_uses_done) struct nsh_port_uses uses = {0};
    int q = nsh_port_uses_count(&uses, family);

    if (q == -EOPNOTSUPP)
        doctor_unseen(d, "the kernel's conntrack tells nothing: load nf_conntrack_netlink");
    else if (q < 0)
        doctor_unseen_error(d, q);
    for (size_t i = 0; q == 0 && i < uses.size; i++)
        if (uses.items[i].n > 0)
            look_at_use(d, &uses.items[i]);
}

void doctor_ports(struct doctor *d)
{
    look_at_family(d, AF_INET);
    look_at_family(d, AF_INET6);
}
