/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A masquerade policy's chain: what it is not about returns first; then each combination of its
 * lists is translated.
 */
#include "desired-build.h"

/* A list that was not given exempts nothing. */
static void exempt(struct nsh_builder *b, enum nsh_end end, const struct nsh_prefix_list *list,
        const char *code)
{
    if (!list->items)
        return;
    nsh_build_rule(b, NSH_PACKET_RETURN);
    nsh_build_prefixes(b, end, list, code);
}

static void exempt_out(struct nsh_builder *b, const struct nsh_device_list *devices)
{
    nsh_build_rule(b, NSH_PACKET_RETURN);
    nsh_build_out(b, devices);
}

static void translate(struct nsh_builder *b, const struct nsh_masquerade *m)
{
    bool snat = m->to_source.family != AF_UNSPEC;
    struct nsh_packet_rule *r = nsh_build_rule(b, snat ? NSH_PACKET_SNAT : NSH_PACKET_MASQUERADE);

    r->mark = m->mark;
    r->nat = (struct nsh_packet_nat){
            .family = m->to_source.family,
            .first = m->to_source.first,
            .last = m->to_source.last,
            .ports = m->to_ports,
            .random = (uint8_t)m->random,
            .persistent = m->persistent,
    };
    nsh_build_prefixes(b, NSH_END_FROM, &m->from, "f");
    nsh_build_prefixes(b, NSH_END_TO, &m->to, "t");
    nsh_build_out(b, &m->out);
    nsh_build_protocols(b, &m->protocols);
    nsh_build_source_ports(b, &m->source_ports);
    nsh_build_destination_ports(b, &m->destination_ports);
    if (m->log)
        nsh_build_log(b);
}

void nsh_build_masquerade(struct nsh_builder *b, const struct nsh_masquerade *m)
{
    b->sides[0] = &m->out;
    b->position = m->position;
    if (!m->ipsec)
        nsh_build_ipsec(b);
    exempt(b, NSH_END_FROM, &m->except_from, "xf");
    exempt(b, NSH_END_TO, &m->except_to, "xt");
    exempt_out(b, &m->except_out);
    translate(b, m);
    nsh_build_chain(b, NSH_TABLE_NAT, 0, "POSTROUTING");
}
