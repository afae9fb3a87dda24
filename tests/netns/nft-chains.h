/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tests of chains in nftables share: the chain of a policy, and one step of a commit.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nft-world.h"

#define CHAIN "NETSHARED-home"
#define NAT AF_INET, NSH_TABLE_NAT

static const struct nsh_packet_rule masquerade_all = {.action = NSH_PACKET_MASQUERADE};

static inline struct nsh_packet_rule to_device(enum nsh_packet_action action, const char *out)
{
    struct nsh_packet_rule r = {.action = action};

    snprintf(r.out, sizeof r.out, "%s", out);
    return r;
}

static inline struct nsh_firewall_op step(enum nsh_firewall_verb verb, const char *chain)
{
    return op_of(verb, AF_INET, NSH_TABLE_NAT, chain);
}

static inline bool changed(int family, enum nsh_table table)
{
    int r = fw->ops->changed(fw, family, table);

    assert_true(r >= 0);
    return r;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_fresh, world_done)
