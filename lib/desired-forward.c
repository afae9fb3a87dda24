/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A port-forward's chains: connections are led to another machine as they come in, and let through
 * where FORWARD would drop them. Of those that come from inside by a public address the source is
 * translated as well, so that the answers come back this way.
 */
#include "desired-build.h"

/* Where one port leads; of a range, as a rule, each to the same or all to one. */
static void lead(struct nsh_builder *b, const struct nsh_port_forward *f, struct nsh_range port,
        struct nsh_range to_port)
{
    bool same = port.first == to_port.first && port.last == to_port.last;
    struct nsh_packet_rule r = {
            .destination_port = port,
            .action = NSH_PACKET_DNAT,
            .nat = {.family = f->to.family, .first = f->to.addr, .last = f->to.addr},
    };

    if (!same)
        r.nat.ports = to_port;
    *nsh_build_rule(b, r.action) = r;
    nsh_build_in(b, &f->in);
    nsh_build_protocols(b, &f->protocols);
    nsh_build_prefixes(b, NSH_END_FROM, &f->from, "f");
    if (!f->hairpin.items)
        return;
    r.local = NSH_LOCAL_FAR;
    *nsh_build_rule(b, r.action) = r;
    nsh_build_protocols(b, &f->protocols);
    nsh_build_prefixes(b, NSH_END_FROM, &f->hairpin, "h");
}

static void lead_all(struct nsh_builder *b, const struct nsh_port_forward *f)
{
    bool moved = f->to_port.first != f->to_port.last && f->to_port.first != f->port.first;

    if (!moved)
        lead(b, f, f->port, f->to_port);
    /* The kernel would choose among a range of ports. */
    for (uint32_t i = 0; moved && i <= f->port.last - f->port.first; i++)
        lead(b, f, (struct nsh_range){f->port.first + i, f->port.first + i},
                (struct nsh_range){f->to_port.first + i, f->to_port.first + i});
    nsh_build_chain(b, NSH_TABLE_NAT, 0, "PREROUTING");
}

/* A rule for what was led there. */
static struct nsh_packet_rule *led(
        struct nsh_builder *b, const struct nsh_port_forward *f, enum nsh_packet_action action)
{
    struct nsh_packet_rule *r = nsh_build_rule(b, action);

    r->translated = true;
    r->to = f->to;
    r->destination_port = f->to_port;
    return r;
}

static void hairpin(struct nsh_builder *b, const struct nsh_port_forward *f)
{
    led(b, f, NSH_PACKET_MASQUERADE);
    nsh_build_protocols(b, &f->protocols);
    nsh_build_prefixes(b, NSH_END_FROM, &f->hairpin, "h");
    nsh_build_chain(b, NSH_TABLE_NAT, 'h', "POSTROUTING");
}

static void let_through(struct nsh_builder *b, const struct nsh_port_forward *f)
{
    struct nsh_packet_rule *r;

    led(b, f, NSH_PACKET_ACCEPT);
    nsh_build_protocols(b, &f->protocols);
    r = nsh_build_rule(b, NSH_PACKET_ACCEPT);
    r->translated = true;
    r->from = f->to;
    r->source_port = f->to_port;
    nsh_build_protocols(b, &f->protocols);
    b->position = NSH_POSITION_FIRST;
    nsh_build_chain(b, NSH_TABLE_FILTER, 0, "FORWARD");
}

void nsh_build_port_forward(struct nsh_builder *b, const struct nsh_port_forward *f)
{
    b->sides[0] = &f->in;
    b->position = NSH_POSITION_LAST;
    lead_all(b, f);
    if (f->hairpin.items)
        hairpin(b, f);
    let_through(b, f);
}
