/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packet rules, sets of prefixes and the chains that hold the rules, as plain values: what
 * netshared wants, and what it recognises of what stands there. One value means the same on every
 * firewall. A rule that says anything this cannot express is NSH_PACKET_OTHER and equals nothing.
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "gate.h"
#include "match.h"
#include "origin.h"

/* Names of the chains netshared owns begin so; xtables allows 28 characters (kernel-side 29). */
#define NSH_CHAIN_PREFIX "NETSHARED-"
#define NSH_CHAIN_NAME 29  /* with its NUL (XT_EXTENSION_MAXNAMELEN) */
#define NSH_POLICY_NAME 17 /* with its NUL: [a-z0-9][a-z0-9-]{0,15} */
/* The chain in `raw` that keeps conntrack in use while a policy is wanted. */
#define NSH_CHAIN_CONNTRACK NSH_CHAIN_PREFIX "conntrack"
/* What somebody put beside ours, where all is ours: this and a number; no policy is called so. */
#define NSH_CHAIN_STRAY NSH_CHAIN_PREFIX "#"
/* The chain in a table of others, which drops what our policies let through, that accepts it. */
#define NSH_CHAIN_GUEST NSH_CHAIN_PREFIX "forward"
/* Names of the sets netshared owns begin so; with its NUL (IPSET_MAXNAMELEN). */
#define NSH_SET_PREFIX "netshared-"
#define NSH_SET_NAME 32

/* iptables' tables; on nftables, base chains of the same hooks and priorities. */
enum nsh_table {
    NSH_TABLE_NAT,
    NSH_TABLE_RAW,
    NSH_TABLE_FILTER,
    NSH_TABLE_MANGLE,
    NSH_TABLE_COUNT,
};

enum nsh_packet_action {
    NSH_PACKET_RETURN,
    NSH_PACKET_JUMP, /* to one of our chains: `target` */
    NSH_PACKET_ACCEPT,
    NSH_PACKET_DROP,
    NSH_PACKET_MASQUERADE, /* `nat`: ports, random */
    NSH_PACKET_SNAT,       /* `nat`: addresses, ports, random, persistent */
    NSH_PACKET_DNAT,       /* the same, of the destination */
    NSH_PACKET_NETMAP,    /* `map`: the prefix into which the address is mapped, host bits kept; the
                             source in POSTROUTING, the destination in PREROUTING */
    NSH_PACKET_LOG,       /* `log`: the prefix; at most NSH_PACKET_LOG_RATE a minute */
    NSH_PACKET_CLAMP_MSS, /* TCP MSS to the path MTU; the rule has protocol TCP and `syn` */
    NSH_PACKET_OTHER,     /* observed only: not one of these, or with more to it */
};

/* Packets logged per minute, and at once (iptables' limit match; nft's `limit rate`). */
#define NSH_PACKET_LOG_RATE 60U
#define NSH_PACKET_LOG_BURST 10U
/* Of a LOG rule, with its NUL: XT_LOG's own limit is 30. */
#define NSH_PACKET_LOG_PREFIX 30

/* What conntrack says of the packet's connection; bits of `states`, of which one must hold. */
#define NSH_STATE_INVALID 0x01U
#define NSH_STATE_ESTABLISHED 0x02U
#define NSH_STATE_RELATED 0x04U
#define NSH_STATE_NEW 0x08U

enum nsh_random {
    NSH_RANDOM_NONE,
    NSH_RANDOM_PORTS, /* iptables' --random */
    NSH_RANDOM_FULLY, /* --random-fully */
};

enum nsh_local {
    NSH_LOCAL_ANY,
    NSH_LOCAL_YES, /* to an address of this machine */
    NSH_LOCAL_FAR, /* to one of this machine's addresses, which is not of the device it came in by
                    */
};

/* What an address and a port are translated to. */
struct nsh_packet_nat {
    uint8_t family;             /* AF_UNSPEC: the address stays, or is the device's own */
    union nsh_addr first, last; /* equal: one address */
    struct nsh_range ports;     /* needs a protocol with ports; 0-0: as it is, if that is free */
    uint8_t random;             /* enum nsh_random */
    bool persistent;
};

struct nsh_packet_rule {
    struct nsh_prefix from, to;  /* AF_UNSPEC: any */
    char from_set[NSH_SET_NAME]; /* beside, or instead: in this set; "": none */
    char to_set[NSH_SET_NAME];
    char in[IFNAMSIZ],
            out[IFNAMSIZ]; /* "" any; "wan+" matches by prefix; "+" any, said explicitly */
    struct nsh_range source_port, destination_port; /* 0-0: any; else protocol has ports */
    struct nsh_mark mark;
    uint8_t protocol; /* IPPROTO_*; 0: any */
    uint8_t states;   /* NSH_STATE_*; 0: any */
    bool translated;  /* its connection's destination is translated (conntrack's status DNAT) */
    bool ipsec;       /* an IPsec policy will transform it on its way out (POSTROUTING, FORWARD) */
    bool syn;         /* TCP: of SYN and RST, SYN alone */
    uint8_t local;    /* enum nsh_local, of the destination */
    enum nsh_packet_action action;
    char target[NSH_CHAIN_NAME]; /* of JUMP */
    struct nsh_packet_nat nat;
    struct nsh_prefix map;
    char log[NSH_PACKET_LOG_PREFIX];
};

enum nsh_position {
    NSH_POSITION_LAST,  /* the jump is appended */
    NSH_POSITION_FIRST, /* the jump stands before every foreign rule */
};

/* What a chain is for; its noun in journal and status. */
enum nsh_policy_kind {
    NSH_POLICY_NONE, /* the inert conntrack chain */
    NSH_POLICY_MASQUERADE,
    NSH_POLICY_SHARE,
    NSH_POLICY_PORT_FORWARD,
    NSH_POLICY_NETWORK_MAP,
    NSH_POLICY_KINDS,
};

struct nsh_device_list;
/* Of each side a policy needs an interface: of a share's LANs and of its WANs. */
#define NSH_CHAIN_SIDES 2

/* A chain that is wanted. `hook` NULL: no jump leads to it (the inert conntrack chain). */
struct nsh_chain {
    uint8_t family; /* AF_INET, AF_INET6 */
    enum nsh_table table;
    enum nsh_policy_kind kind;
    char name[NSH_CHAIN_NAME];
    char policy[NSH_POLICY_NAME]; /* "" for the conntrack chain */
    const char *hook;             /* built-in chain with the jump: "POSTROUTING"; a literal */
    enum nsh_position position;
    bool was_first; /* changes: it was first before, and its jump may stand there yet */
    bool altered;   /* changes: it did not stand as it is wanted when the daemon started */
    nsh_origin origin;
    nsh_gate_id when;
    bool standby;   /* changes: it is not wanted now, because `when` is closed or it is blocked */
    bool blocked;   /* changes: a step of its policy failed, and none of it is until the next try */
    bool bare;      /* changes: blocked, and not even its guard can be */
    bool guarded;   /* changes: its guard has come to stand, and what it guards not since */
    bool absent;    /* changes: an interface that its policy needs is not there, or its family */
    bool open_told; /* changes: that it may be open is told, since it is absent */
    bool came; /* changes: it was there since the policy says so: what is forwarded for it stays */
    const struct nsh_device_list *sides[NSH_CHAIN_SIDES]; /* of its policy; NULL: no more */
    const struct nsh_packet_rule *rules; /* changes: `whole`, or while it is blocked its guard */
    size_t n_rules;
    /*
     * Of a share's filter, else NULL: all its rules, and as many that only drop what it drops.
     * These stand while the policy is wanted, also when it can't be.
     */
    const struct nsh_packet_rule *whole, *guard;
};

/* Its rules are those that only drop. */
static inline bool nsh_chain_guards(const struct nsh_chain *c)
{
    return c->guard && c->rules == c->guard;
}

/*
 * A set of prefixes that is wanted: of one family, none of them holding another, sorted by
 * nsh_prefix_cmp, none of length 0.
 */
struct nsh_set {
    uint8_t family;
    char name[NSH_SET_NAME];
    char policy[NSH_POLICY_NAME]; /* whose chains refer to it */
    nsh_gate_id when;
    const struct nsh_prefix *prefixes;
    size_t n;
    bool standby; /* changes: no rule that is wanted now refers to it */
};

bool nsh_packet_rule_equal(const struct nsh_packet_rule *a, const struct nsh_packet_rule *b);
/* As iptables -S would write it, without the chain: "-s 10.0.0.0/8 -o eth0 -j MASQUERADE". */
const char *nsh_packet_rule_format(const struct nsh_packet_rule *r, char *buf, size_t size);
/* Longest text of a rule, with its NUL. */
#define NSH_PACKET_RULE_TEXT 640
/* TCP, UDP and their like. */
bool nsh_protocol_has_ports(uint8_t protocol);
/* "nat", "raw", "filter", "mangle". */
const char *nsh_table_name(enum nsh_table t);
/* "masquerade", "share", "port-forward", "network-map"; "conntrack" for NSH_POLICY_NONE. */
const char *nsh_policy_noun(enum nsh_policy_kind kind);
/* True for names that begin with NSH_CHAIN_PREFIX. */
bool nsh_chain_is_ours(const char *name);
/* True for those that begin with NSH_CHAIN_STRAY. */
bool nsh_chain_is_stray(const char *name);
/* True for names that begin with NSH_SET_PREFIX. */
bool nsh_set_is_ours(const char *name);
/*
 * "NETSHARED-web", or "NETSHARED-web_h" with a suffix of one character, for a further chain of the
 * policy in the same table; no policy's name has a '_'.
 */
void nsh_chain_make_name(char ret[static NSH_CHAIN_NAME], const char *policy, char suffix);
/* The policy a chain of ours is named after. */
void nsh_chain_policy(const char *chain, char ret[static NSH_POLICY_NAME]);
