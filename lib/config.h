/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The configuration: immutable once loaded, built aside and swapped in whole.
 *
 * Loading reads the main file and its drop-ins as streams of YAML events against tables of keys,
 * and reports every error of all of them. It may run in any thread; it touches no global state
 * and not the kernel.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "diag.h"
#include "gate.h"
#include "origin.h"
#include "packet.h"
#include "route.h"
#include "rule.h"

#define NSH_ROUTE_PROTOCOL_DEFAULT 110
#define NSH_CONFIG_FILE_MAX (256ULL * 1024 * 1024) /* bytes */
#define NSH_CONFIG_LINE_MAX (64U * 1024)           /* bytes */
#define NSH_CONFIG_DEPTH_MAX 32
/* Prefixes of one list of a policy, those in its files included. */
#define NSH_PREFIXES_MAX 1000000
/* More prefixes than this in one list are a set, not a rule each. */
#define NSH_POLICY_LIST_MAX 8
/* Rules of one chain of a policy. */
#define NSH_POLICY_RULES_MAX 4096
/* Policy routing rules in all: the kernel goes through them one by one, for each packet. */
#define NSH_RULES_MAX 16384
/* How long a configuration may be on trial, microseconds. */
#define NSH_TRIAL_MIN 1000000ULL
#define NSH_TRIAL_MAX (24ULL * 3600 * 1000000)
#define NSH_CHECK_MARK_DEFAULT 0x6e000000U
#define NSH_CHECK_TABLE_DEFAULT 11000
#define NSH_CHECK_PRIORITY_DEFAULT 1

enum nsh_firewall_choice { NSH_FIREWALL_AUTO, NSH_FIREWALL_IPTABLES, NSH_FIREWALL_NFTABLES };
enum nsh_forwarding_choice { NSH_FORWARDING_AUTO, NSH_FORWARDING_LEAVE };
enum nsh_on_stop { NSH_ON_STOP_KEEP, NSH_ON_STOP_REMOVE };
enum nsh_flush_conntrack { NSH_FLUSH_CONNTRACK_NEVER, NSH_FLUSH_CONNTRACK_CHANGED };

struct nsh_settings {
    enum nsh_firewall_choice firewall;
    enum nsh_forwarding_choice forwarding;
    enum nsh_on_stop on_stop;
    enum nsh_flush_conntrack flush_conntrack;
    uint8_t route_protocol; /* 5..255 but none that rt_protos lists under another name */
    uint64_t resync_usec;   /* at least 1 s */
    /* Of checks: NSH_GATES_MAX marks and tables from these on are theirs, and one priority. */
    uint32_t check_mark, check_table, check_priority;
    uint64_t confirm_reload_usec; /* 0: a reload needs no confirmation */
    bool watch;                   /* the files are followed */
};

#define NSH_FAMILY_IPV4 1U
#define NSH_FAMILY_IPV6 2U

/* Prefixes of both families; `items` NULL: the key was not there. Empty, they match nothing. */
struct nsh_prefix_list {
    const struct nsh_prefix *items;
    uint32_t n;
};

/* Devices as packet rules name them: "any" is "+". */
struct nsh_device_list {
    const char (*items)[IFNAMSIZ];
    uint32_t n;
};

/* Whether the name stands for any that begins so, or for all. */
bool nsh_device_is_pattern(const char *name);
/* By its very name. */
bool nsh_device_list_has(const struct nsh_device_list *list, const char *name);

/* Ports; none: any. */
struct nsh_range_list {
    const struct nsh_range *items;
    uint32_t n;
};

struct nsh_address_range {
    uint8_t family; /* AF_UNSPEC: none */
    union nsh_addr first, last;
};

#define NSH_PROTOCOLS_MAX 8
struct nsh_protocols {
    uint8_t items[NSH_PROTOCOLS_MAX];
    uint8_t n; /* none: any */
};

/* What every kind of policy has. */
struct nsh_policy {
    char name[NSH_POLICY_NAME]; /* no two policies of a configuration have one name */
    unsigned families;          /* NSH_FAMILY_* bits */
    bool disabled;              /* as if it were not there, but for its name */
    nsh_origin origin;
    nsh_gate_id when;
};

struct nsh_masquerade {
    struct nsh_policy policy;
    enum nsh_position position;
    struct nsh_prefix_list from, to, except_from, except_to;
    struct nsh_device_list out, except_out; /* `out`: at least one */
    struct nsh_protocols protocols;
    struct nsh_range_list source_ports, destination_ports;
    struct nsh_mark mark;
    struct nsh_range to_ports;          /* 0-0: as they are */
    struct nsh_address_range to_source; /* AF_UNSPEC: the device's own address */
    enum nsh_random random;
    bool persistent, log;
    bool ipsec; /* what IPsec will transform is masqueraded too */
};

/* Internet sharing: all that it takes for the LANs to reach the world by the WANs. */
struct nsh_share {
    struct nsh_policy policy;
    struct nsh_device_list lan, wan; /* at least one of each, no device in both */
    bool masquerade_ipv6;            /* IPv4 always is */
    bool allow_inbound;              /* new connections from a WAN to a LAN */
    bool keep_mss;                   /* TCP's segment size is not clamped to the path's MTU */
    bool isolate;                    /* the LANs don't reach each other */
};

/* Connections to a port of this machine go to another one. */
struct nsh_port_forward {
    struct nsh_policy policy;
    struct nsh_device_list in; /* at least one */
    struct nsh_protocols protocols;
    struct nsh_range port;
    struct nsh_prefix to;     /* an address, of the policy's family */
    struct nsh_range to_port; /* one port, or as many as `port` has */
    struct nsh_prefix_list from;
    struct nsh_prefix_list hairpin; /* who reaches it by a public address too; NULL: nobody */
};

/* Each address of one prefix is known outside by that of another, and the other way round. */
struct nsh_network_map {
    struct nsh_policy policy;
    struct nsh_device_list devices;    /* outside; at least one */
    struct nsh_prefix inside, outside; /* of the policy's family and of one length */
};

struct nsh_config {
    struct nsh_settings settings;
    nsh_origin forwarding_at; /* where they say what becomes of it; NSH_ORIGIN_NONE: nowhere */
    struct nsh_origins *origins;
    struct nsh_arena *arena; /* owns everything below but the routes */
    /* Normalised, sorted by nsh_route_id_cmp, no two with one identity; malloc'd. */
    struct nsh_route *routes;
    size_t n_routes;
    struct nsh_link *links; /* what the routes' nexthops refer to; each distinct one once */
    size_t n_links;
    struct nsh_rule *rules; /* normalised, sorted by nsh_rule_cmp, no two that say the same */
    size_t n_rules;
    struct nsh_masquerade *masquerades; /* policies of each kind in file order */
    size_t n_masquerades;
    struct nsh_share *shares;
    size_t n_shares;
    struct nsh_port_forward *port_forwards;
    size_t n_port_forwards;
    struct nsh_network_map *network_maps;
    size_t n_network_maps;
    struct nsh_gate *gates; /* each distinct one once; the first is NSH_NO_GATE's */
    size_t n_gates;         /* 0: nothing names one */
    struct nsh_vrf *vrfs;   /* those that routes name; each once */
    size_t n_vrfs;
    unsigned others; /* owners beside the first */
    size_t n_ways;   /* nexthops that are checked: the tables and marks in use for that */
};

enum nsh_config_trust {
    NSH_TRUST_REQUIRED, /* an unsafe owner or mode is an error: what the daemon does */
    NSH_TRUST_WARN,     /* a warning: what commands do that only look */
    NSH_TRUST_ADVISE,   /* the same, and so is what is right but unwise: what `check` does */
};

struct nsh_config_source {
    const char
            *path; /* the main file X.yaml; its drop-ins are the *.yaml below X.d, in byte order */
    enum nsh_config_trust trust;
    bool is_open; /* `fd` is read in place of what is at `path` */
    int fd;
    /*
     * Where the bytes that were read are written as they are read (-1: nowhere): an archive from
     * which nsh_config_load_archive makes the very same configuration. Open for writing at its
     * start, private to the caller.
     */
    int archive_fd;
};

/* The directory of drop-ins of a main file, "X.d" for "X.yaml"; malloc'd, NULL: no memory. */
char *nsh_config_drop_ins(const char *path);
/*
 * Loads. Returns 0 and a configuration, warnings in `diags`; or a negative errno with errors in
 * `diags` and *ret untouched: -EINVAL for errors in a file, else why it could not be read.
 */
int nsh_config_load(
        const struct nsh_config_source *source, struct nsh_diags *diags, struct nsh_config **ret);
/* Loads what an earlier nsh_config_load wrote to its archive_fd; `fd` is read from its start. */
int nsh_config_load_archive(int fd, struct nsh_diags *diags, struct nsh_config **ret);
typedef void nsh_config_policy(
        void *userdata, enum nsh_policy_kind kind, const struct nsh_policy *policy);
/* Policies of all kinds, those that are disabled included. */
void nsh_config_each_policy(const struct nsh_config *c, nsh_config_policy *each, void *userdata);
/* A configuration that wants nothing, as `remove` does: settings as given. */
int nsh_config_new_empty(const struct nsh_settings *settings, struct nsh_config **ret);
/* It ends with its last owner. */
void nsh_config_free(struct nsh_config *c);
/* A further owner, in the same thread. Returns `c`. */
struct nsh_config *nsh_config_share(struct nsh_config *c);
/* The defaults of design and manual. */
void nsh_settings_default(struct nsh_settings *ret);
