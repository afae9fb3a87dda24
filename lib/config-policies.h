/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the sections of policies share: config-masquerade.c, config-share.c, config-port-forward.c
 * and config-network-map.c.
 */
#pragma once

#include "config-loader.h"

/* The keys that every policy has come first in its table. */
enum policy_key {
    KEY_NAME,
    KEY_FAMILY,
    KEY_ENABLED,
    KEY_WHEN,
    POLICY_KEYS,
};

#define BOTH_FAMILIES (NSH_FAMILY_IPV4 | NSH_FAMILY_IPV6)

/* The head of every policy's draft. */
struct policy_draft {
    struct nsh_draft draft;
    struct nsh_policy policy;
    bool enabled;
};

#define POLICY_KEY_NAME                                                                   \
    {                                                                                     \
        "name", &nsh_type_policy, offsetof(struct policy_draft, policy.name),             \
                .flags = NSH_KEY_REQUIRED, .missing = "write, say, name: lan-out",        \
                .known_as = "id label", .help = "what the journal and the status call it" \
    }
#define POLICY_KEY_FAMILY                                                                        \
    {                                                                                            \
        "family", &nsh_type_families, offsetof(struct policy_draft, policy.families),            \
                .flags = NSH_KEY_LIST, .help = "ipv4, ipv6 or both; without it as the addresses" \
    }
#define POLICY_KEY_ENABLED                                                 \
    {                                                                      \
        "enabled", &nsh_type_bool, offsetof(struct policy_draft, enabled), \
                .known_as = "enable active", .otherwise = "true",          \
                .help = "false: judged, but not put in force"              \
    }
#define POLICY_KEY_WHEN                                                              \
    {                                                                                \
        "when", &nsh_type_when,                                                      \
                .known_as = "if condition only-if",                                  \
                .help = "only while an address is this machine's, or a device is up" \
    }

/* One of a policy's lists of prefixes, or an address that stands by itself. */
struct policy_list {
    unsigned key;
    const char *name;
    const struct nsh_prefixes *prefixes;
    bool exempts; /* says what the policy is not about */
    bool single;  /* is no list, but one address or prefix */
};

static inline const char *nsh_families_name(unsigned family)
{
    return family == NSH_FAMILY_IPV6 ? "IPv6" : "IPv4";
}

/* ---- config-policies.c ---- */

/* Of nsh_object: `begin`. */
void nsh_policy_begin(struct nsh_loader *l, void *draft);
/*
 * To be called by `finish`: `complete` judges and keeps the policy, now, or when the prefixes that
 * stand in its files have been read. Then it is a copy of the draft, and the draft is empty.
 */
typedef void nsh_policy_complete(struct nsh_loader *l, void *draft);
void nsh_policy_finish(struct nsh_loader *l, const struct nsh_object *object, void *draft,
        nsh_policy_complete *complete);
/* Whether there is enough of it to be kept: if only to find its name given twice. */
bool nsh_policy_is_kept(const struct nsh_loader *l, const struct policy_draft *d);
/* Appends a policy of the kind, whose struct begins with struct nsh_policy. */
void nsh_policy_keep(struct nsh_loader *l, enum nsh_policy_kind kind, const void *policy);
/* Copies of what a draft holds, in the configuration. */
struct nsh_prefix_list nsh_keep_prefixes(struct nsh_loader *l, const struct nsh_draft *d,
        unsigned key, const struct nsh_prefixes *from);
struct nsh_device_list nsh_keep_devices(struct nsh_loader *l, const struct nsh_devices *from);
struct nsh_range_list nsh_keep_ranges(struct nsh_loader *l, const struct nsh_ranges *from);

/* ---- config-policies-check.c ---- */

/*
 * Settles which families the policy is for: as `family` says, or as the addresses, or `fallback`.
 * A list that was given but holds nothing of such a family would match everything of it, which
 * nobody wrote: an error. false: they are not known.
 */
bool nsh_policy_families(struct nsh_loader *l, struct policy_draft *d,
        const struct policy_list *lists, size_t n, unsigned fallback);
/* A prefix, or a device, twice in a list would make a rule that nothing reaches. */
void nsh_policy_check_prefixes(
        struct nsh_loader *l, struct policy_draft *d, const struct policy_list *list);
void nsh_policy_check_devices(struct nsh_loader *l, struct policy_draft *d, unsigned key,
        const char *name, const struct nsh_devices *devices);
/* Whether some device can match both: a '+' at the end stands for any rest. */
bool nsh_devices_overlap(const char *a, const char *b);
/* No device in both; a name that ends in '+' is all that it matches. */
void nsh_policy_check_apart(struct nsh_loader *l, struct policy_draft *d, unsigned key,
        const struct nsh_devices *a, const char *name_a, const struct nsh_devices *b,
        const char *name_b);
/* How many rules a list becomes in one family. */
uint64_t nsh_policy_count(const struct nsh_prefixes *list, unsigned family);
/* That the rules of one chain are not too many. */
void nsh_policy_check_size(
        struct nsh_loader *l, struct policy_draft *d, unsigned family, uint64_t rules);
/* Ports are those of protocols that have some; `name` is the key with the ports. */
void nsh_policy_check_ports(struct nsh_loader *l, struct policy_draft *d,
        const struct nsh_protocols *protocols, unsigned protocol_key, unsigned key,
        const char *name);

/* ---- config-policies-advise.c ---- */

/* Warns of what is right but unwise, if that is asked for; when all policies are there. */
void nsh_policies_advise(struct nsh_loader *l);
