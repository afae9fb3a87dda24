/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two masquerade policies and a route, for tests of a reconciler.
 */
#pragma once

#include "reconcile-internal.h"
#include "reconcile-world.h"

#define LAN "{name: lan, out: [eth0], from: [10.0.0.0/24], ipsec: include}"
#define GUEST "{name: guest, out: [eth0], from: [10.0.1.0/24], ipsec: include}"
#define POLICIES "masquerade: [" LAN ", " GUEST "]\n"
#define ROUTE "routes:\n  - {to: 10.20.0.0/16, via: 192.168.1.1, dev: eth0}\n"
#define FORWARD "net/ipv4/ip_forward"

static const char nat_text[] = "-A POSTROUTING -j NETSHARED-lan\n"
                               "-A POSTROUTING -j NETSHARED-guest\n"
                               "-A NETSHARED-lan -s 10.0.0.0/24 -o eth0 -j MASQUERADE\n"
                               "-A NETSHARED-guest -s 10.0.1.0/24 -o eth0 -j MASQUERADE\n";

static inline void assert_nat(struct world *w, const char *rules)
{
    nsh_autofree char *found = rw_lines(table_text(w, AF_INET, NSH_TABLE_NAT), "-A", "");

    if (strcmp(found, rules) != 0) {
        print_told(w);
        fail_msg("the table is\n%sinstead of\n%s", found, rules);
    }
}
