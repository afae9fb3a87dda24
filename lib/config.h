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
/* from x to x out of one policy: more rules than this want a set, not a list. */
#define NSH_POLICY_RULES_MAX 4096
/* Policy routing rules in all: the kernel goes through them one by one, for each packet. */
#define NSH_RULES_MAX 16384
#define NSH_CHECK_MARK_DEFAULT 0x6e000000U
#define NSH_CHECK_TABLE_DEFAULT 11000
#define NSH_CHECK_PRIORITY_DEFAULT 1

enum nsh_firewall_choice { NSH_FIREWALL_AUTO, NSH_FIREWALL_IPTABLES, NSH_FIREWALL_NFTABLES };
enum nsh_forwarding_choice { NSH_FORWARDING_AUTO, NSH_FORWARDING_LEAVE };
enum nsh_on_stop { NSH_ON_STOP_KEEP, NSH_ON_STOP_REMOVE };

struct nsh_settings {
    enum nsh_firewall_choice firewall;
    enum nsh_forwarding_choice forwarding;
    enum nsh_on_stop on_stop;
    uint8_t route_protocol; /* 5..255 but none that rt_protos lists under another name */
    uint64_t resync_usec;   /* at least 1 s */
    /* Of checks: NSH_GATES_MAX marks and tables from these on are theirs, and one priority. */
    uint32_t check_mark, check_table, check_priority;
};

#define NSH_FAMILY_IPV4 1U
#define NSH_FAMILY_IPV6 2U

/* A masquerade policy as written; lists hold both families' prefixes in file order. */
struct nsh_masquerade {
    char name[NSH_POLICY_NAME];
    unsigned families; /* NSH_FAMILY_* bits */
    enum nsh_position position;
    nsh_origin origin;
    nsh_gate_id when;
    const struct nsh_prefix *from;
    const struct nsh_prefix *to;
    const struct nsh_prefix *except_from;
    const struct nsh_prefix *except_to;
    const char (*out)[IFNAMSIZ]; /* at least one; "any" is stored as "+" */
    uint32_t n_from, n_to, n_except_from, n_except_to, n_out;
};

struct nsh_config {
    struct nsh_settings settings;
    struct nsh_origins *origins;
    struct nsh_arena *arena; /* owns everything below but the routes */
    /* Normalised, sorted by nsh_route_id_cmp, no two with one identity; malloc'd. */
    struct nsh_route *routes;
    size_t n_routes;
    struct nsh_link *links; /* what the routes' nexthops refer to; each distinct one once */
    size_t n_links;
    struct nsh_rule *rules; /* normalised, sorted by nsh_rule_cmp, no two that say the same */
    size_t n_rules;
    struct nsh_masquerade *masquerades; /* in file order */
    size_t n_masquerades;
    struct nsh_gate *gates; /* each distinct one once; the first is NSH_NO_GATE's */
    size_t n_gates;         /* 0: nothing names one */
    struct nsh_vrf *vrfs;   /* those that routes name; each once */
    size_t n_vrfs;
    unsigned others; /* owners beside the first */
    size_t n_ways;   /* nexthops that are checked: the tables and marks in use for that */
};

enum nsh_config_trust {
    NSH_TRUST_REQUIRED, /* an unsafe owner or mode is an error: what the daemon does */
    NSH_TRUST_WARN,     /* a warning: what `check` does */
};

struct nsh_config_source {
    const char
            *path; /* the main file X.yaml; its drop-ins are the *.yaml below X.d, in byte order */
    enum nsh_config_trust trust;
    /*
     * Where the bytes that were read are written as they are read (-1: nowhere): an archive from
     * which nsh_config_load_archive makes the very same configuration. Open for writing at its
     * start, private to the caller.
     */
    int archive_fd;
};

/*
 * Loads. Returns 0 and a configuration, warnings in `diags`; or a negative errno with errors in
 * `diags` and *ret untouched: -EINVAL for errors in a file, else why it could not be read.
 */
int nsh_config_load(
        const struct nsh_config_source *source, struct nsh_diags *diags, struct nsh_config **ret);
/* Loads what an earlier nsh_config_load wrote to its archive_fd; `fd` is read from its start. */
int nsh_config_load_archive(int fd, struct nsh_diags *diags, struct nsh_config **ret);
/* A configuration that wants nothing, as `remove` does: settings as given. */
int nsh_config_new_empty(const struct nsh_settings *settings, struct nsh_config **ret);
/* It ends with its last owner. */
void nsh_config_free(struct nsh_config *c);
/* A further owner, in the same thread. Returns `c`. */
struct nsh_config *nsh_config_share(struct nsh_config *c);
/* The defaults of design and manual. */
void nsh_settings_default(struct nsh_settings *ret);
