/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packet rules: equality as a packet would see it, and names. Their text is in packet-format.c.
 */
#include "packet.h"

#include <stdio.h>
#include <string.h>

#include "cleanup.h"

/* A prefix of length 0 and the device "+" match everything: the same as nothing said. */
static bool prefix_is_any(const struct nsh_prefix *p)
{
    return p->family == AF_UNSPEC || p->length == 0;
}

static bool device_is_any(const char *device)
{
    return device[0] == '\0' || strcmp(device, "+") == 0;
}

static bool prefix_equal(const struct nsh_prefix *a, const struct nsh_prefix *b)
{
    if (prefix_is_any(a) || prefix_is_any(b))
        return prefix_is_any(a) && prefix_is_any(b);
    return nsh_prefix_cmp(a, b) == 0;
}

static bool device_equal(const char *a, const char *b)
{
    if (device_is_any(a) || device_is_any(b))
        return device_is_any(a) && device_is_any(b);
    return strcmp(a, b) == 0;
}

static bool range_equal(const struct nsh_range *a, const struct nsh_range *b)
{
    return a->first == b->first && a->last == b->last;
}

static bool matches_equal(const struct nsh_packet_rule *a, const struct nsh_packet_rule *b)
{
    return prefix_equal(&a->from, &b->from) && prefix_equal(&a->to, &b->to) &&
           strcmp(a->from_set, b->from_set) == 0 && strcmp(a->to_set, b->to_set) == 0 &&
           device_equal(a->in, b->in) && device_equal(a->out, b->out) &&
           range_equal(&a->source_port, &b->source_port) &&
           range_equal(&a->destination_port, &b->destination_port) &&
           a->mark.value == b->mark.value && a->mark.mask == b->mark.mask &&
           a->protocol == b->protocol && a->states == b->states && a->translated == b->translated &&
           a->ipsec == b->ipsec && a->syn == b->syn && a->local == b->local;
}

static bool nat_equal(const struct nsh_packet_nat *a, const struct nsh_packet_nat *b)
{
    return a->family == b->family && nsh_addr_cmp(&a->first, &b->first) == 0 &&
           nsh_addr_cmp(&a->last, &b->last) == 0 && range_equal(&a->ports, &b->ports) &&
           a->random == b->random && a->persistent == b->persistent;
}

bool nsh_packet_rule_equal(const struct nsh_packet_rule *a, const struct nsh_packet_rule *b)
{
    if (a->action != b->action || !matches_equal(a, b))
        return false;
    switch (a->action) {
    case NSH_PACKET_JUMP:
        return strcmp(a->target, b->target) == 0;
    case NSH_PACKET_MASQUERADE:
    case NSH_PACKET_SNAT:
    case NSH_PACKET_DNAT:
        return nat_equal(&a->nat, &b->nat);
    case NSH_PACKET_NETMAP:
        return prefix_equal(&a->map, &b->map);
    case NSH_PACKET_LOG:
        return strcmp(a->log, b->log) == 0;
    case NSH_PACKET_OTHER:
        return false;
    default:
        return true;
    }
}

bool nsh_protocol_has_ports(uint8_t protocol)
{
    return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP ||
           protocol == IPPROTO_DCCP || protocol == IPPROTO_UDPLITE;
}

const char *nsh_table_name(enum nsh_table t)
{
    static const char *const names[NSH_TABLE_COUNT] = {
            [NSH_TABLE_NAT] = "nat",
            [NSH_TABLE_RAW] = "raw",
            [NSH_TABLE_FILTER] = "filter",
            [NSH_TABLE_MANGLE] = "mangle",
    };

    return t < NSH_TABLE_COUNT ? names[t] : "?";
}

const char *nsh_policy_noun(enum nsh_policy_kind kind)
{
    static const char *const nouns[NSH_POLICY_KINDS] = {
            [NSH_POLICY_NONE] = "conntrack",
            [NSH_POLICY_MASQUERADE] = "masquerade",
            [NSH_POLICY_SHARE] = "share",
            [NSH_POLICY_PORT_FORWARD] = "port-forward",
            [NSH_POLICY_NETWORK_MAP] = "network-map",
    };

    return kind < NSH_POLICY_KINDS ? nouns[kind] : "?";
}

bool nsh_chain_is_ours(const char *name)
{
    return strncmp(name, NSH_CHAIN_PREFIX, strlen(NSH_CHAIN_PREFIX)) == 0;
}

bool nsh_chain_is_stray(const char *name)
{
    return strncmp(name, NSH_CHAIN_STRAY, strlen(NSH_CHAIN_STRAY)) == 0;
}

bool nsh_set_is_ours(const char *name)
{
    return strncmp(name, NSH_SET_PREFIX, strlen(NSH_SET_PREFIX)) == 0;
}

void nsh_chain_make_name(char ret[static NSH_CHAIN_NAME], const char *policy, char suffix)
{
    (void)snprintf(ret, NSH_CHAIN_NAME, "%s%.16s%s%.1s", NSH_CHAIN_PREFIX, policy,
            suffix ? "_" : "", &suffix);
}

void nsh_chain_policy(const char *chain, char ret[static NSH_POLICY_NAME])
{
    const char *name = chain + (nsh_chain_is_ours(chain) ? strlen(NSH_CHAIN_PREFIX) : 0);
    size_t n = strcspn(name, "_");

    n = n < NSH_POLICY_NAME ? n : NSH_POLICY_NAME - 1;
    memcpy(ret, name, n);
    ret[n] = '\0';
}
