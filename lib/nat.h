/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Firewall rules as plain values: what netshared wants, and what it recognises of what stands
 * there. A rule that says anything this cannot express is NSH_NAT_OTHER and equals nothing.
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "gate.h"
#include "origin.h"

/* Names of the chains netshared owns begin so; xtables allows 28 characters (kernel-side 29). */
#define NSH_CHAIN_PREFIX "NETSHARED-"
#define NSH_CHAIN_NAME 29  /* with its NUL (XT_EXTENSION_MAXNAMELEN) */
#define NSH_POLICY_NAME 17 /* with its NUL: [a-z0-9][a-z0-9-]{0,15} */
/* The chain in `raw` that keeps conntrack in use while a policy is wanted. */
#define NSH_CHAIN_CONNTRACK NSH_CHAIN_PREFIX "conntrack"

enum nsh_table {
    NSH_TABLE_NAT,
    NSH_TABLE_RAW,
    NSH_TABLE_COUNT,
};

enum nsh_nat_action {
    NSH_NAT_RETURN,
    NSH_NAT_MASQUERADE,
    NSH_NAT_JUMP,  /* to one of our chains */
    NSH_NAT_TRACK, /* `-m conntrack --ctstate INVALID -j RETURN`: matches nothing that matters */
    NSH_NAT_OTHER, /* observed only: not one of these, or with more to it */
};

struct nsh_nat_rule {
    struct nsh_prefix from; /* AF_UNSPEC: any */
    struct nsh_prefix to;
    char out[IFNAMSIZ]; /* "" any; "wan+" matches by prefix; "+" any, said explicitly */
    enum nsh_nat_action action;
    char target[NSH_CHAIN_NAME]; /* of NSH_NAT_JUMP */
};

enum nsh_position {
    NSH_POSITION_LAST,  /* the jump is appended */
    NSH_POSITION_FIRST, /* the jump stands before every foreign rule */
};

/* A chain that is wanted. `hook` NULL: no jump leads to it (the inert conntrack chain). */
struct nsh_chain {
    uint8_t family; /* AF_INET, AF_INET6 */
    enum nsh_table table;
    char name[NSH_CHAIN_NAME];
    char policy[NSH_POLICY_NAME]; /* "" for the conntrack chain */
    const char *hook;             /* built-in chain with the jump: "POSTROUTING"; a literal */
    enum nsh_position position;
    nsh_origin origin;
    nsh_gate_id when;
    bool standby; /* changes: `when` is closed, and it is not wanted now */
    const struct nsh_nat_rule *rules;
    size_t n_rules;
};

bool nsh_nat_rule_equal(const struct nsh_nat_rule *a, const struct nsh_nat_rule *b);
/* As iptables -S would write it, without the chain: "-s 10.0.0.0/8 -o eth0 -j MASQUERADE". */
const char *nsh_nat_rule_format(const struct nsh_nat_rule *r, char *buf, size_t size);
/* "nat", "raw". */
const char *nsh_table_name(enum nsh_table t);
/* True for names that begin with NSH_CHAIN_PREFIX. */
bool nsh_chain_is_ours(const char *name);
