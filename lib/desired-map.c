/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A network-map's chains, one for each direction.
 */
#include "desired-build.h"

void nsh_build_network_map(struct nsh_builder *b, const struct nsh_network_map *m)
{
    struct nsh_packet_rule *r;

    b->sides[0] = &m->devices;
    b->position = NSH_POSITION_LAST;
    r = nsh_build_rule(b, NSH_PACKET_NETMAP);
    r->to = m->outside;
    r->map = m->inside;
    nsh_build_in(b, &m->devices);
    nsh_build_chain(b, NSH_TABLE_NAT, 0, "PREROUTING");

    r = nsh_build_rule(b, NSH_PACKET_NETMAP);
    r->from = m->inside;
    r->map = m->outside;
    nsh_build_out(b, &m->devices);
    nsh_build_chain(b, NSH_TABLE_NAT, 'o', "POSTROUTING");
}
