/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is wanted in a world in which anything happens: a configuration of chance, the same for the
 * same seed.
 */
#pragma once

#include "reconcile-world.h"

/* ---- chance ---- */

static uint64_t seed;

static uint32_t chance(uint32_t below)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)((seed >> 33) % below);
}

#define pick(array) ((array)[chance(NSH_ARRAY_SIZE(array))])

/* ---- what is wanted ---- */

static const char *const wanted_routes[] = {
        "{to: 10.20.0.0/16, via: 192.168.1.1, dev: eth0}",
        "{to: 10.20.0.0/16, via: 192.168.1.7, dev: eth0}",
        "{to: 10.30.0.0/16, via: 10.0.0.9}",
        "{to: 10.30.0.0/16, via: 172.16.0.1, on-conflict: replace}",
        "{to: 10.30.1.0/24, type: blackhole}",
        "{to: 10.66.0.0/16, via: 192.168.1.1, dev: eth0, vrf: blue}",
        "{to: 10.67.0.0/16, via: 10.0.0.9, vrf: blue}",
        "{to: 10.66.0.0/16, via: 192.168.1.7, dev: eth0, table: 10}",
        "{to: \"fd00:f::/48\", via: \"fd00:1::9\", dev: eth0, vrf: blue, when: {dev-up: check-1}}",
        "{to: 10.66.0.0/16, via: 192.168.1.6, dev: eth0, vrf: red, on-conflict: replace}",
        "{to: 10.40.0.0/16, dev: eth2}",
        "{to: 10.40.0.0/16, dev: eth1, metric: 7}",
        "{to: 172.16.0.0/24, dev: eth1}",
        "{to: 10.20.0.0/16, via: 192.168.1.1, table: 100, on-conflict: replace}",
        "{to: \"fd00:9::/48\", via: \"fd00:1::9\", dev: eth0}",
        "{to: \"fd00:9::/48\", via: \"fe80::9\", dev: eth2}",
        "{to: \"fd00:a::/48\", via: \"fd00:2::9\"}",
        "{to: \"fd00:b::/48\", dev: eth1, on-conflict: replace}",
        "{to: \"fd00:b::/48\", type: unreachable}",
        "{to: 10.60.0.0/16, via: 192.168.1.1, dev: eth0, when: {address: 10.0.0.254}}",
        "{to: 10.60.0.0/16, via: 192.168.1.7, dev: eth0, when: {dev-up: check-1}}",
        "{to: 10.61.0.0/16, type: blackhole, when: {dev-up: eth2}}",
        "{to: 10.63.0.0/16, via: {learned-on: eth0}, table: 100}",
        "{to: 10.63.0.0/16, via: {learned-on: eth2}, table: 100, when: {dev-up: check-2}}",
        "{to: default, via: {learned-on: eth0}, family: [ipv4, ipv6], table: 101}",
        "{to: default, via: {learned-on: eth1}, family: [ipv4, ipv6], table: 102, on-conflict: "
        "replace}",
        "{to: 10.64.0.0/16, nexthops: [{via: {learned-on: eth0}}, {via: {learned-on: eth1}}]}",
        "{to: 10.65.0.0/16, nexthops: [{via: {learned-on: eth0}}, {via: 10.0.0.9, dev: eth1}], "
        "when: {dev-up: hop-2}}",
        "{to: 10.62.0.0/16, nexthops: [{via: 192.168.1.1, dev: eth0}, {via: 10.0.0.9, dev: eth1}], "
        "when: {dev-up: hop-1}}",
        "{to: \"fd00:d::/48\", nexthops: [{via: \"fd00:1::9\", dev: eth0}, "
        "{via: \"fd00:2::9\", dev: eth1}], when: {dev-up: hop-2}}",
        "{to: \"fd00:e::/48\", via: \"fd00:1::9\", dev: eth0, when: {dev-up: check-2}}",
        "{to: \"fd00:e::/48\", via: \"fd00:1::9\", dev: eth0, when: {address: \"fd00:2::fe\"}}",
        "{to: 10.66.0.0/16, via: 192.168.1.1, dev: eth0, check: {ping: 198.0.0.1}}",
        "{to: 10.67.0.0/16, nexthops: [{via: {learned-on: eth0}, check: {ping: 192.0.0.2}}, "
        "{via: 10.0.0.9, dev: eth1, check: {tcp: 192.0.0.1, port: 7}}]}",
        "{to: \"fd00:f::/48\", via: \"fd00:2::9\", dev: eth1, check: {ping: \"c600:2::\"}}",
};

static const char *const wanted_rules[] = {
        "{from: 10.7.0.0/16, table: 100, priority: 1000}",
        "{from: 10.7.0.0/16, table: 101, priority: 1001, when: {address: 10.0.0.254}}",
        "{from: 10.8.0.0/16, action: unreachable, priority: 1001, when: {dev-up: check-1}}",
        "{iif: eth1, family: [ipv4, ipv6], table: 100, priority: 1002, when: {dev-up: eth2}}",
};

#define NINE                                                                         \
    "10.1.0.0/24, 10.2.0.0/24, 10.3.0.0/24, 10.4.0.0/24, 10.5.0.0/24, 10.6.0.0/24, " \
    "10.7.0.0/24, 10.8.0.0/24, 10.9.0.0/24"

static const char *const masquerades[] = {
        "{name: lan, out: [eth0], from: [10.0.0.0/24]}",
        "{name: guest, out: [eth0, eth2], from: [10.0.1.0/24], position: first}",
        "{name: six, out: [eth0], family: [ipv4, ipv6], except-to: [10.0.0.0/8]}",
        "{name: vip, out: [eth0], family: [ipv4, ipv6], when: {address: 10.0.0.254}}",
        "{name: third, out: [eth0], position: first, when: {dev-up: eth2}}",
        "{name: many, out: [eth0], from: [" NINE "]}",
        "{name: many, out: [eth0], position: first, from: [" NINE ", 10.10.0.0/24]}",
        "{name: few, out: [eth0], except-to: [" NINE "], when: {dev-up: eth2}}",
};

static const char *const shares[] = {
        "{name: home, lan: eth1, wan: eth0}",
        "{name: home, lan: [eth1, eth2], wan: eth0, isolate: true, ipv6: masquerade}",
        "{name: part, lan: eth2, wan: eth0, family: ipv4, clamp-mss: false, when: {dev-up: eth2}}",
};

static const char *const forwards[] = {
        "{name: web, in: eth0, protocol: both, port: 80, to: 10.0.0.5, hairpin: true}",
        "{name: web, in: eth0, protocol: tcp, port: 80, to: 10.0.0.5, from: [" NINE "]}",
        "{name: ssh, in: eth0, protocol: tcp, port: 22, to: \"fd00:2::5\", when: {dev-up: eth2}}",
};

static const char *const maps[] = {
        "{name: map, dev: eth0, inside: 10.5.0.0/24, outside: 10.6.0.0/24}",
        "{name: map, dev: [eth0, eth2], inside: \"fd00:5::/64\", outside: \"fd00:6::/64\"}",
};

/* And one policy that is of another kind each time. */
static const struct {
    const char *name, *changing;
    const char *const *items;
    size_t n;
} sections[] = {
        {"masquerade", "{name: turn, out: [eth0], to: [" NINE "]}", masquerades,
                NSH_ARRAY_SIZE(masquerades)},
        {"share", "{name: turn, lan: eth1, wan: eth0}", shares, NSH_ARRAY_SIZE(shares)},
        {"port-forwards", "{name: turn, in: eth0, protocol: tcp, port: 7, to: 10.0.0.7}", forwards,
                NSH_ARRAY_SIZE(forwards)},
        {"network-map", "{name: turn, dev: eth0, inside: 10.7.0.0/24, outside: 10.8.0.0/24}", maps,
                NSH_ARRAY_SIZE(maps)},
};

static void put_some(FILE *to, const char *const *items, size_t n)
{
    uint64_t chosen = chance(1U << 30) | (uint64_t)chance(1U << 30) << 30;
    const char *last = "";

    for (size_t i = 0; i < n; i++) {
        const char *end = strpbrk(items[i] + 2, ",");
        size_t same = (size_t)(end - items[i]);

        /* Two of one key may not stand in one file, so of equals the first chosen one does. */
        if (!(chosen >> i & 1) || strncmp(last, items[i], same + 1) == 0)
            continue;
        fprintf(to, "  - %s\n", items[i]);
        last = items[i];
    }
}

static void put_policies(FILE *to)
{
    uint32_t turn = chance(NSH_ARRAY_SIZE(sections));

    for (size_t i = 0; i < NSH_ARRAY_SIZE(sections); i++) {
        if (chance(4) == 0)
            continue;
        fprintf(to, "%s:\n", sections[i].name);
        put_some(to, sections[i].items, sections[i].n);
        if (i == turn)
            fprintf(to, "  - %s\n", sections[i].changing);
    }
}

static char *random_config(void)
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);

    assert_non_null(to);
    fprintf(to, "settings: {route-protocol: %u%s}\n", chance(4) ? 110 : 111,
            chance(8) ? "" : ", forwarding: leave");
    if (chance(10)) {
        fprintf(to, "routes:\n");
        put_some(to, wanted_routes, NSH_ARRAY_SIZE(wanted_routes));
    }
    if (chance(2)) {
        fprintf(to, "rules:\n");
        put_some(to, wanted_rules, NSH_ARRAY_SIZE(wanted_rules));
    }
    put_policies(to);
    fclose(to);
    return text;
}
