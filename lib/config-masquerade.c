/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The section `masquerade`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "config-policies.h"

enum masquerade_key {
    KEY_FROM = POLICY_KEYS,
    KEY_TO,
    KEY_EXCEPT_FROM,
    KEY_EXCEPT_TO,
    KEY_OUT,
    KEY_EXCEPT_OUT,
    KEY_PROTOCOL,
    KEY_SOURCE_PORT,
    KEY_DESTINATION_PORT,
    KEY_MARK,
    KEY_TO_PORTS,
    KEY_TO_SOURCE,
    KEY_PERSISTENT,
    KEY_RANDOM,
    KEY_POSITION,
    KEY_IPSEC,
    KEY_LOG,
};

enum { LISTS = 5 };

struct masquerade_draft {
    struct policy_draft head;
    struct nsh_prefixes from, to, except_from, except_to;
    struct nsh_devices out, except_out;
    struct nsh_protocols protocols;
    struct nsh_ranges source_ports, destination_ports;
    struct nsh_mark mark;
    struct nsh_range to_ports;
    struct nsh_address_range to_source;
    struct nsh_prefix source; /* its first address */
    unsigned position, random, ipsec;
    bool persistent, log;
};

static const struct nsh_word positions[] = {
        {"last", NSH_POSITION_LAST},
        {"first", NSH_POSITION_FIRST},
        {NULL, 0},
};

static const struct nsh_word randoms[] = {
        {"none", NSH_RANDOM_NONE},
        {"ports", NSH_RANDOM_PORTS},
        {"fully", NSH_RANDOM_FULLY},
        {NULL, 0},
};

static const struct nsh_word ipsec_words[] = {
        {"exclude", false},
        {"include", true},
        {NULL, 0},
};

#define FIELD(member) .offset = offsetof(struct masquerade_draft, member)

static const struct nsh_key keys[] = {
        [KEY_NAME] = POLICY_KEY_NAME,
        [KEY_FAMILY] = POLICY_KEY_FAMILY,
        [KEY_ENABLED] = POLICY_KEY_ENABLED,
        [KEY_WHEN] = POLICY_KEY_WHEN,
        [KEY_FROM] = {"from", &nsh_type_prefixes, FIELD(from), .flags = NSH_KEY_LIST,
                .known_as = "source src saddr", .help = "source prefixes; without it any"},
        [KEY_TO] = {"to", &nsh_type_prefixes, FIELD(to), .flags = NSH_KEY_LIST,
                .known_as = "destination dst daddr",
                .help = "destination prefixes; without it any"},
        [KEY_EXCEPT_FROM] = {"except-from", &nsh_type_prefixes, FIELD(except_from),
                .flags = NSH_KEY_LIST, .known_as = "not-from exclude-from",
                .help = "sources this policy leaves alone"},
        [KEY_EXCEPT_TO] = {"except-to", &nsh_type_prefixes, FIELD(except_to), .flags = NSH_KEY_LIST,
                .known_as = "not-to exclude-to exclude except",
                .help = "destinations this policy leaves alone"},
        [KEY_OUT] = {"out", &nsh_type_out, FIELD(out), .flags = NSH_KEY_REQUIRED | NSH_KEY_LIST,
                .missing = "write, say, out: eth0, or out: any for every device",
                .known_as = "dev device interface iface out-interface oif oifname wan",
                .help = "devices the packet leaves by; wan+ is each that begins so, any is all"},
        [KEY_EXCEPT_OUT] = {"except-out", &nsh_type_named, FIELD(except_out), .flags = NSH_KEY_LIST,
                .known_as = "not-out exclude-out except-dev",
                .help = "devices this policy leaves alone"},
        [KEY_PROTOCOL] = {"protocol", &nsh_type_protocols, FIELD(protocols), .flags = NSH_KEY_LIST,
                .min = 1, .max = 255, .known_as = "proto ip-protocol ipproto",
                .help = "the packet's protocol; without it any"},
        [KEY_SOURCE_PORT] = {"source-port", &nsh_type_ranges, FIELD(source_ports),
                .flags = NSH_KEY_LIST, .min = 1, .max = 65535, .known_as = "sport source-ports",
                .help = "its source port, ranges, or a list of these"},
        [KEY_DESTINATION_PORT] = {"destination-port", &nsh_type_ranges, FIELD(destination_ports),
                .flags = NSH_KEY_LIST, .min = 1, .max = 65535,
                .known_as = "dport port destination-ports",
                .help = "its destination port, ranges, or a list of these"},
        [KEY_MARK] = {"mark", &nsh_type_mark, FIELD(mark), .known_as = "fwmark firewall-mark",
                .help = "the packet's firewall mark, or mark/mask"},
        [KEY_TO_PORTS] = {"to-ports", &nsh_type_range, FIELD(to_ports), .min = 1, .max = 65535,
                .known_as = "to-port", .help = "source ports to choose from"},
        [KEY_TO_SOURCE] = {"to-source", &nsh_type_address_range, FIELD(to_source),
                .known_as = "snat to-address",
                .help = "a fixed address, or a range of them, in place of the device's own"},
        [KEY_PERSISTENT] = {"persistent", &nsh_type_bool, FIELD(persistent), .otherwise = "false",
                .help = "of a range of addresses, each client always has the same"},
        [KEY_RANDOM] = {"random", &nsh_type_word, FIELD(random), .words = randoms,
                .known_as = "randomize random-fully", .otherwise = "none",
                .help = "how a source port is chosen that is taken already, or always"},
        [KEY_POSITION] = {"position", &nsh_type_word, FIELD(position), .words = positions,
                .otherwise = "last", .help = "after the rules of others, or before them"},
        [KEY_IPSEC] = {"ipsec", &nsh_type_word, FIELD(ipsec), .words = ipsec_words,
                .otherwise = "exclude", .help = "whether to masquerade what IPsec will transform"},
        [KEY_LOG] = {"log", &nsh_type_bool, FIELD(log), .known_as = "logging", .otherwise = "false",
                .help = "the kernel logs each new connection, 60 a minute at most"},
};

/* ---- judging the policy ---- */

static void list_lists(const struct masquerade_draft *d, struct nsh_prefixes *source,
        struct policy_list ret[static LISTS])
{
    *source = (struct nsh_prefixes){
            .items = (struct nsh_prefix *)&d->source, .n = d->source.family != AF_UNSPEC};
    ret[0] = (struct policy_list){KEY_FROM, "from", &d->from};
    ret[1] = (struct policy_list){KEY_TO, "to", &d->to};
    ret[2] = (struct policy_list){KEY_TO_SOURCE, "to-source", source, .single = true};
    ret[3] = (struct policy_list){KEY_EXCEPT_FROM, "except-from", &d->except_from, .exempts = true};
    ret[4] = (struct policy_list){KEY_EXCEPT_TO, "except-to", &d->except_to, .exempts = true};
}

static void check_ports(struct nsh_loader *l, struct masquerade_draft *d)
{
    static const unsigned with_ports[] = {KEY_SOURCE_PORT, KEY_DESTINATION_PORT, KEY_TO_PORTS};

    for (size_t i = 0; i < NSH_ARRAY_SIZE(with_ports); i++)
        nsh_policy_check_ports(
                l, &d->head, &d->protocols, KEY_PROTOCOL, with_ports[i], keys[with_ports[i]].name);
}

/* What each family calls ICMP the other has not. */
static void check_icmp(struct nsh_loader *l, struct masquerade_draft *d)
{
    for (size_t i = 0; i < d->protocols.n; i++) {
        uint8_t p = d->protocols.items[i];

        if ((p == IPPROTO_ICMP && d->head.policy.families & NSH_FAMILY_IPV6) ||
                (p == IPPROTO_ICMPV6 && d->head.policy.families & NSH_FAMILY_IPV4))
            nsh_loader_error(l, d->head.draft.marks[KEY_PROTOCOL],
                    "icmp is for IPv4 and icmpv6 for IPv6; make it two policies",
                    "the policy is for %s, which has no protocol '%s'",
                    p == IPPROTO_ICMP ? "IPv6" : "IPv4", p == IPPROTO_ICMP ? "icmp" : "icmpv6");
    }
}

static void check_persistent(struct nsh_loader *l, struct masquerade_draft *d)
{
    if (d->persistent && nsh_absent(&d->head.draft, KEY_TO_SOURCE))
        nsh_loader_error(l, d->head.draft.marks[KEY_PERSISTENT],
                "add to-source: FIRST-LAST, or leave it out",
                "'persistent' is about a range of addresses in 'to-source'");
}

static uint64_t at_least_one(uint64_t n)
{
    return n ? n : 1;
}

/* Each factor is at most NSH_LIST_MAX, so that the sum of their bits can't overflow. */
static void check_size(struct nsh_loader *l, struct masquerade_draft *d)
{
    for (unsigned family = NSH_FAMILY_IPV4; family <= NSH_FAMILY_IPV6; family <<= 1) {
        uint64_t rules = at_least_one(nsh_policy_count(&d->from, family)) *
                         at_least_one(nsh_policy_count(&d->to, family)) * at_least_one(d->out.n) *
                         at_least_one(d->protocols.n) * at_least_one(d->source_ports.n) *
                         at_least_one(d->destination_ports.n) * (d->log ? 2 : 1);

        rules += nsh_policy_count(&d->except_from, family) +
                 nsh_policy_count(&d->except_to, family) + d->except_out.n;
        nsh_policy_check_size(l, &d->head, family, rules);
    }
}

/* ---- from draft to policy ---- */

static void keep(struct nsh_loader *l, const struct masquerade_draft *d)
{
    const struct nsh_draft *head = &d->head.draft;
    struct nsh_masquerade m = {
            .policy = d->head.policy,
            .position = d->position,
            .from = nsh_keep_prefixes(l, head, KEY_FROM, &d->from),
            .to = nsh_keep_prefixes(l, head, KEY_TO, &d->to),
            .except_from = nsh_keep_prefixes(l, head, KEY_EXCEPT_FROM, &d->except_from),
            .except_to = nsh_keep_prefixes(l, head, KEY_EXCEPT_TO, &d->except_to),
            .out = nsh_keep_devices(l, &d->out),
            .except_out = nsh_keep_devices(l, &d->except_out),
            .protocols = d->protocols,
            .source_ports = nsh_keep_ranges(l, &d->source_ports),
            .destination_ports = nsh_keep_ranges(l, &d->destination_ports),
            .mark = d->mark,
            .to_ports = d->to_ports,
            .to_source = d->to_source,
            .random = d->random,
            .persistent = d->persistent,
            .log = d->log,
            .ipsec = d->ipsec,
    };

    nsh_policy_keep(l, NSH_POLICY_MASQUERADE, &m);
}

static void complete_masquerade(struct nsh_loader *l, void *draft)
{
    struct masquerade_draft *d = draft;
    struct policy_list lists[LISTS];
    struct nsh_prefixes source;

    list_lists(d, &source, lists);
    if (nsh_policy_families(l, &d->head, lists, LISTS, NSH_FAMILY_IPV4))
        check_icmp(l, d);
    check_size(l, d);
    if (nsh_policy_is_kept(l, &d->head))
        keep(l, d);
}

static void finish_masquerade(struct nsh_loader *l, void *draft)
{
    struct masquerade_draft *d = draft;
    struct policy_list lists[LISTS];
    struct nsh_prefixes source;

    if (d->to_source.family != AF_UNSPEC)
        d->source = (struct nsh_prefix){.addr = d->to_source.first,
                .family = d->to_source.family,
                .length = nsh_addr_bits(d->to_source.family)};
    list_lists(d, &source, lists);
    for (size_t i = 0; i < LISTS; i++)
        nsh_policy_check_prefixes(l, &d->head, &lists[i]);
    nsh_policy_check_devices(l, &d->head, KEY_OUT, "out", &d->out);
    nsh_policy_check_devices(l, &d->head, KEY_EXCEPT_OUT, "except-out", &d->except_out);
    check_ports(l, d);
    check_persistent(l, d);
    nsh_policy_finish(l, &nsh_object_masquerade, draft, complete_masquerade);
}

static void clear_masquerade(void *draft)
{
    struct masquerade_draft *d = draft;

    free(d->from.items);
    free(d->to.items);
    free(d->except_from.items);
    free(d->except_to.items);
    free(d->out.items);
    free(d->except_out.items);
    free(d->source_ports.items);
    free(d->destination_ports.items);
}

_Static_assert(NSH_ARRAY_SIZE(keys) <= NSH_KEYS_MAX, "a draft has room for every key");
_Static_assert(sizeof(struct masquerade_draft) <= NSH_DRAFT_MAX, "the draft fits");

const struct nsh_object nsh_object_masquerade = {
        .noun = "policy",
        .keys = keys,
        .n_keys = NSH_ARRAY_SIZE(keys),
        .size = sizeof(struct masquerade_draft),
        .begin = nsh_policy_begin,
        .finish = finish_masquerade,
        .clear = clear_masquerade,
};
