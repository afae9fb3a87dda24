/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The section `share`: all that it takes to share a connection, as one.
 */
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "config-policies.h"

enum share_key {
    KEY_LAN = POLICY_KEYS,
    KEY_WAN,
    KEY_IPV6,
    KEY_ALLOW_INBOUND,
    KEY_CLAMP_MSS,
    KEY_ISOLATE,
};

struct share_draft {
    struct policy_draft head;
    struct nsh_devices lan, wan;
    unsigned masquerade_ipv6;
    bool allow_inbound, clamp_mss, isolate;
};

static const struct nsh_word ipv6_words[] = {
        {"forward", false},
        {"masquerade", true},
        {NULL, 0},
};

#define FIELD(member) .offset = offsetof(struct share_draft, member)

static const struct nsh_key keys[] = {
        [KEY_NAME] = POLICY_KEY_NAME,
        [KEY_FAMILY] = POLICY_KEY_FAMILY,
        [KEY_ENABLED] = POLICY_KEY_ENABLED,
        [KEY_WHEN] = POLICY_KEY_WHEN,
        [KEY_LAN] = {"lan", &nsh_type_named, FIELD(lan), .flags = NSH_KEY_REQUIRED | NSH_KEY_LIST,
                .missing = "write, say, lan: eth1: the device towards those who share",
                .known_as = "in inside from lans internal",
                .help = "devices towards those who share the connection"},
        [KEY_WAN] = {"wan", &nsh_type_named, FIELD(wan), .flags = NSH_KEY_REQUIRED | NSH_KEY_LIST,
                .missing = "write, say, wan: eth0: the device towards the Internet",
                .known_as = "out outside to wans uplink external",
                .help = "devices towards what is shared"},
        [KEY_IPV6] = {"ipv6", &nsh_type_word, FIELD(masquerade_ipv6), .words = ipv6_words,
                .otherwise = "forward",
                .help = "forward: with the LAN's own addresses; masquerade: as IPv4"},
        [KEY_ALLOW_INBOUND] = {"allow-inbound", &nsh_type_bool, FIELD(allow_inbound),
                .known_as = "inbound", .otherwise = "false",
                .help = "true: new connections from the WAN get through"},
        [KEY_CLAMP_MSS] = {"clamp-mss", &nsh_type_bool, FIELD(clamp_mss), .known_as = "mss clamp",
                .otherwise = "true", .help = "false: TCP's segment size is left as it is"},
        [KEY_ISOLATE] = {"isolate", &nsh_type_bool, FIELD(isolate), .known_as = "isolated",
                .otherwise = "false", .help = "true: the LANs don't reach each other"},
};

static void begin_share(struct nsh_loader *l, void *draft)
{
    struct share_draft *d = draft;

    nsh_policy_begin(l, draft);
    d->clamp_mss = true;
}

static void check_ipv6(struct nsh_loader *l, struct share_draft *d)
{
    if (nsh_given(&d->head.draft, KEY_IPV6) && !(d->head.draft.bad >> KEY_FAMILY & 1) &&
            !(d->head.policy.families & NSH_FAMILY_IPV6))
        nsh_loader_error(l, d->head.draft.marks[KEY_IPV6], "leave it out, or the family",
                "the share is for IPv4, and 'ipv6' says what becomes of IPv6");
}

static void check_size(struct nsh_loader *l, struct share_draft *d)
{
    uint64_t lan = d->lan.n, wan = d->wan.n, rules = lan * lan + 6 * lan * wan;

    for (unsigned family = NSH_FAMILY_IPV4; family <= NSH_FAMILY_IPV6; family <<= 1)
        nsh_policy_check_size(l, &d->head, family, rules);
}

static void complete_share(struct nsh_loader *l, void *draft)
{
    const struct share_draft *d = draft;
    struct nsh_share share = {
            .policy = d->head.policy,
            .lan = nsh_keep_devices(l, &d->lan),
            .wan = nsh_keep_devices(l, &d->wan),
            .masquerade_ipv6 = d->masquerade_ipv6,
            .allow_inbound = d->allow_inbound,
            .keep_mss = !d->clamp_mss,
            .isolate = d->isolate,
    };

    if (nsh_policy_is_kept(l, &d->head))
        nsh_policy_keep(l, NSH_POLICY_SHARE, &share);
}

static void finish_share(struct nsh_loader *l, void *draft)
{
    struct share_draft *d = draft;

    (void)nsh_policy_families(l, &d->head, NULL, 0, BOTH_FAMILIES);
    nsh_policy_check_devices(l, &d->head, KEY_LAN, "lan", &d->lan);
    nsh_policy_check_devices(l, &d->head, KEY_WAN, "wan", &d->wan);
    nsh_policy_check_apart(l, &d->head, KEY_WAN, &d->lan, "lan", &d->wan, "wan");
    check_ipv6(l, d);
    check_size(l, d);
    nsh_policy_finish(l, &nsh_object_share, draft, complete_share);
}

static void clear_share(void *draft)
{
    struct share_draft *d = draft;

    free(d->lan.items);
    free(d->wan.items);
}

_Static_assert(sizeof(struct share_draft) <= NSH_DRAFT_MAX, "the draft fits");

const struct nsh_object nsh_object_share = {
        .noun = "share",
        .keys = keys,
        .n_keys = NSH_ARRAY_SIZE(keys),
        .size = sizeof(struct share_draft),
        .begin = begin_share,
        .finish = finish_share,
        .clear = clear_share,
};
