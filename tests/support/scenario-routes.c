/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Routes: whose key it is, in which order they go in, and what they wait for.
 */
#include "scenario.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char *const router[] = {
        "ip link add lan0",
        "ip link add wan0",
        "ip link set lan0 up",
        "ip link set wan0 up",
        "ip addr add 192.168.1.1/24 dev lan0",
        "ip addr add 203.0.113.2/24 dev wan0",
        "ip addr add 2001:db8:1::1/64 dev wan0",
        NULL,
};

#define ROUTES "version: 1\nroutes:\n"

static void start(struct nsh_scenario_run *s)
{
    nsh_run_all(s, router);
}

static void want_all(struct nsh_scenario_run *s, const char *yaml)
{
    nsh_want(s, yaml);
    nsh_scenario_converge(s);
    nsh_assert_complete(s);
    nsh_assert_stable(s);
}

/* ---- claimed keys ---- */

static void run_adopt(struct nsh_scenario_run *s)
{
    start(s);
    nsh_run(s, "ip route add 10.20.0.0/16 via 192.168.1.2 proto 4");
    nsh_run(s, "ip -6 route add 2001:db8:20::/48 via 2001:db8:1::2 proto 4");
    nsh_run(s, "ip -6 route add unreachable 2001:db8:21::/48 proto 4");
    nsh_want(s, ROUTES "  - {to: 10.20.0.0/16, via: 192.168.1.2}\n"
                       "  - {to: \"2001:db8:20::/48\", via: \"2001:db8:1::2\"}\n"
                       "  - {to: \"2001:db8:21::/48\", type: unreachable}\n");
    nsh_scenario_converge(s);
    nsh_assert_complete(s);
    assert_int_equal(s->done.route_steps, 3);
    nsh_assert_route(
            s, AF_INET, "10.20.0.0/16", "10.20.0.0/16 via 192.168.1.2 dev lan0 proto 110\n");
    nsh_assert_route(s, AF_INET6, "2001:db8:20::/48",
            "2001:db8:20::/48 via 2001:db8:1::2 dev wan0 proto 110 metric 1024\n");
    nsh_assert_route(
            s, AF_INET6, "2001:db8:21::/48", "7 2001:db8:21::/48 dev lo proto 110 metric 1024\n");
    nsh_assert_stable(s);
}

static void run_conflict(struct nsh_scenario_run *s)
{
    static const char foreign4[] = "10.20.0.0/16 via 192.168.1.9 dev lan0 proto 4\n";
    static const char foreign6[] =
            "2001:db8:20::/48 via 2001:db8:1::9 dev wan0 proto 4 metric 1024\n";

    start(s);
    nsh_run(s, "ip route add 10.20.0.0/16 via 192.168.1.9 proto 4");
    nsh_run(s, "ip -6 route add 2001:db8:20::/48 via 2001:db8:1::9 proto 4");
    nsh_want(s, ROUTES "  - {to: 10.20.0.0/16, via: 192.168.1.2}\n"
                       "  - {to: \"2001:db8:20::/48\", via: \"2001:db8:1::2\"}\n");
    nsh_scenario_converge(s);
    assert_int_equal(s->done.conflicts, 2);
    nsh_assert_stable(s);
    nsh_assert_route(s, AF_INET, "10.20.0.0/16", foreign4);
    nsh_assert_route(s, AF_INET6, "2001:db8:20::/48", foreign6);
    /* The conflict ends when the other one goes; from then on the key is held. */
    nsh_run(s, "ip route del 10.20.0.0/16");
    nsh_run(s, "ip -6 route del 2001:db8:20::/48");
    nsh_scenario_converge(s);
    nsh_assert_complete(s);
    nsh_run(s, "ip route replace 10.20.0.0/16 via 192.168.1.9 proto 4");
    nsh_run(s, "ip -6 route replace 2001:db8:20::/48 via 2001:db8:1::9 proto 4");
    nsh_scenario_converge(s);
    nsh_assert_complete(s);
    nsh_assert_route(
            s, AF_INET, "10.20.0.0/16", "10.20.0.0/16 via 192.168.1.2 dev lan0 proto 110\n");
    nsh_assert_route(s, AF_INET6, "2001:db8:20::/48",
            "2001:db8:20::/48 via 2001:db8:1::2 dev wan0 proto 110 metric 1024\n");
}

static void run_conflict_replace(struct nsh_scenario_run *s)
{
    start(s);
    nsh_run(s, "ip route add 10.20.0.0/16 via 192.168.1.9 proto 4");
    nsh_run(s, "ip -6 route add 2001:db8:20::/48 proto 4 nexthop via 2001:db8:1::9"
               " nexthop via 2001:db8:1::8");
    want_all(s, ROUTES "  - {to: 10.20.0.0/16, via: 192.168.1.2, on-conflict: replace}\n"
                       "  - {to: \"2001:db8:20::/48\", via: \"2001:db8:1::2\","
                       " on-conflict: replace}\n");
    nsh_assert_route(
            s, AF_INET, "10.20.0.0/16", "10.20.0.0/16 via 192.168.1.2 dev lan0 proto 110\n");
    nsh_assert_route(s, AF_INET6, "2001:db8:20::/48",
            "2001:db8:20::/48 via 2001:db8:1::2 dev wan0 proto 110 metric 1024\n");
}

/* A foreign route elsewhere is none of our business: not another table, tos or metric. */
static void run_other_keys(struct nsh_scenario_run *s)
{
    nsh_autofree char *foreign = NULL;
    nsh_autofree char *still = NULL;

    start(s);
    nsh_run(s, "ip route add 10.20.0.0/16 via 192.168.1.9 table 100 proto 4");
    nsh_run(s, "ip route add 10.20.0.0/16 via 192.168.1.9 tos 4 proto 4");
    nsh_run(s, "ip route add 10.20.0.0/16 via 192.168.1.9 metric 3 proto 4");
    nsh_run(s, "ip -6 route add 2001:db8:20::/48 via 2001:db8:1::9 metric 3 proto 4");
    foreign = nsh_foreign(s);
    want_all(s, ROUTES "  - {to: 10.20.0.0/16, via: 192.168.1.2}\n"
                       "  - {to: \"2001:db8:20::/48\", via: \"2001:db8:1::2\"}\n");
    want_all(s, ROUTES "  - {to: 10.21.0.0/16, via: 192.168.1.2}\n");
    still = nsh_foreign(s);
    nsh_assert_same(still, foreign, "what is foreign");
}

/* ---- order and waiting ---- */

static void run_on_link_first(struct nsh_scenario_run *s)
{
    start(s);
    want_all(s, ROUTES "  - {to: default, via: 172.16.0.1}\n"
                       "  - {to: 172.16.0.1, dev: wan0}\n"
                       "  - {to: 10.3.0.0/16, via: 172.16.9.1}\n"
                       "  - {to: 172.16.9.0/24, dev: lan0}\n"
                       "  - {to: \"2001:db8::/48\", via: \"2001:db8:ff::1\"}\n"
                       "  - {to: \"2001:db8:ff::1\", dev: wan0}\n");
    nsh_assert_route(s, AF_INET, "default", "default via 172.16.0.1 dev wan0 proto 110\n");
    nsh_assert_route(s, AF_INET, "10.3.0.0/16", "10.3.0.0/16 via 172.16.9.1 dev lan0 proto 110\n");
    nsh_assert_route(s, AF_INET6, "2001:db8::/48",
            "2001:db8::/48 via 2001:db8:ff::1 dev wan0 proto 110 metric 1024\n");
    /* All of it goes in one run too, and comes back. */
    nsh_want(s, "version: 1\nroutes: []\n");
    nsh_scenario_converge(s);
    nsh_assert_complete(s);
    assert_int_equal(s->done.route_steps, 6);
    nsh_assert_route(s, AF_INET, "default", "");
    nsh_assert_stable(s);
}

static void run_pending_gateway(struct nsh_scenario_run *s)
{
    start(s);
    nsh_want(s, ROUTES "  - {to: 10.20.0.0/16, via: 10.50.0.1}\n"
                       "  - {to: 10.21.0.0/16, via: 192.168.1.2}\n");
    nsh_scenario_converge(s);
    assert_int_equal(s->done.pending, 1);
    assert_string_equal(s->done.why, "Nexthop has invalid gateway");
    nsh_assert_route(
            s, AF_INET, "10.21.0.0/16", "10.21.0.0/16 via 192.168.1.2 dev lan0 proto 110\n");
    nsh_run(s, "ip addr add 10.50.0.2/24 dev wan0");
    nsh_scenario_converge(s);
    nsh_assert_complete(s);
    nsh_assert_route(s, AF_INET, "10.20.0.0/16", "10.20.0.0/16 via 10.50.0.1 dev wan0 proto 110\n");
    nsh_assert_stable(s);
}

static void run_pending_gateway_v6(struct nsh_scenario_run *s)
{
    start(s);
    nsh_want(s, ROUTES "  - {to: \"2001:db8:20::/48\", via: \"2001:db8:50::1\"}\n");
    nsh_scenario_converge(s);
    assert_int_equal(s->done.pending, 1);
    assert_string_equal(s->done.why, "the gateway cannot be reached");
    nsh_run(s, "ip addr add 2001:db8:50::2/64 dev lan0");
    nsh_scenario_converge(s);
    nsh_assert_complete(s);
    nsh_assert_route(s, AF_INET6, "2001:db8:20::/48",
            "2001:db8:20::/48 via 2001:db8:50::1 dev lan0 proto 110 metric 1024\n");
}

static void run_pending_device(struct nsh_scenario_run *s)
{
    start(s);
    nsh_want(s, ROUTES "  - {to: 10.20.0.0/16, dev: late0}\n"
                       "  - {to: \"2001:db8:20::/48\", via: \"fe80::1\", dev: late0}\n");
    nsh_scenario_converge(s);
    assert_int_equal(s->done.pending, 2);
    assert_string_equal(s->done.why, "no device late0");
    nsh_run(s, "ip link add late0");
    nsh_scenario_converge(s);
    assert_int_equal(s->done.pending, 2);
    assert_string_equal(s->done.why, "Nexthop device is not up");
    nsh_run(s, "ip link set late0 up");
    nsh_scenario_converge(s);
    nsh_assert_complete(s);
    nsh_assert_route(s, AF_INET, "10.20.0.0/16", "10.20.0.0/16 dev late0 proto 110 scope 253\n");
    nsh_assert_route(s, AF_INET6, "2001:db8:20::/48",
            "2001:db8:20::/48 via fe80::1 dev late0 proto 110 metric 1024\n");
    nsh_assert_stable(s);
}

static void run_pending_source(struct nsh_scenario_run *s)
{
    start(s);
    nsh_want(s, ROUTES "  - {to: 10.20.0.0/16, via: 192.168.1.2, source: 10.60.0.1}\n");
    nsh_scenario_converge(s);
    assert_int_equal(s->done.pending, 1);
    assert_string_equal(s->done.why, "Invalid prefsrc address");
    nsh_run(s, "ip addr add 10.60.0.1/32 dev lan0");
    nsh_scenario_converge(s);
    nsh_assert_complete(s);
    nsh_assert_route(s, AF_INET, "10.20.0.0/16",
            "10.20.0.0/16 via 192.168.1.2 dev lan0 proto 110 src 10.60.0.1\n");
}

/* The route still stands on the old device, but the kernel would choose another one now. */
static void run_resolved_again(struct nsh_scenario_run *s)
{
    start(s);
    nsh_run(s, "ip addr add 10.77.0.1/24 dev lan0"); /* so that it is not the last */
    nsh_run(s, "ip addr add 2001:db8:6::1/64 dev lan0");
    want_all(s, ROUTES "  - {to: 10.20.0.0/16, via: 192.168.1.2}\n"
                       "  - {to: \"2001:db8:20::/48\", via: \"2001:db8:6::2\"}\n");
    nsh_run(s, "ip addr del 192.168.1.1/24 dev lan0");
    nsh_run(s, "ip addr add 192.168.1.1/24 dev wan0");
    nsh_run(s, "ip addr del 2001:db8:6::1/64 dev lan0");
    nsh_run(s, "ip addr add 2001:db8:6::1/64 dev wan0");
    nsh_assert_route(
            s, AF_INET, "10.20.0.0/16", "10.20.0.0/16 via 192.168.1.2 dev lan0 proto 110\n");
    nsh_scenario_converge(s);
    nsh_assert_complete(s);
    assert_int_equal(s->done.route_steps, 2);
    nsh_assert_route(
            s, AF_INET, "10.20.0.0/16", "10.20.0.0/16 via 192.168.1.2 dev wan0 proto 110\n");
    nsh_assert_route(s, AF_INET6, "2001:db8:20::/48",
            "2001:db8:20::/48 via 2001:db8:6::2 dev wan0 proto 110 metric 1024\n");
    nsh_assert_stable(s);
}

/* ---- what is no longer wanted ---- */

static void run_leftovers(struct nsh_scenario_run *s)
{
    nsh_autofree char *foreign = NULL;
    nsh_autofree char *still = NULL;

    start(s);
    nsh_run(s, "ip route add 10.98.0.0/16 via 192.168.1.9 proto 4");
    nsh_run(s, "ip -6 route add 2001:db8:99::/48 via 2001:db8:1::8 metric 7 proto 4");
    foreign = nsh_foreign(s);
    nsh_run(s, "ip route add 10.99.0.0/16 via 192.168.1.2 proto 110");
    nsh_run(s, "ip route add 10.99.0.0/16 via 192.168.1.2 table 100 metric 5 proto 110");
    nsh_run(s, "ip route add blackhole 10.97.0.0/16 proto 110");
    nsh_run(s, "ip -6 route add 2001:db8:99::/48 via 2001:db8:1::9 proto 110");
    nsh_run(s, "ip -6 route add 2001:db8:97::/48 proto 110 nexthop via 2001:db8:1::9"
               " nexthop via 2001:db8:1::8");
    nsh_run(s, "ip -6 route add unreachable 2001:db8:96::/48 proto 110");
    nsh_run(s, "ip -6 route add 2001:db8:95::/48 dev lan0 proto 110");
    /* and beside a wanted one */
    nsh_run(s, "ip route add 10.20.0.0/16 via 192.168.1.2 proto 110");
    nsh_run(s, "ip route append 10.20.0.0/16 via 192.168.1.3 proto 110");
    nsh_run(s, "ip route append 10.20.0.0/16 via 192.168.1.4 proto 110");
    want_all(s, ROUTES "  - {to: 10.20.0.0/16, via: 192.168.1.2}\n");
    nsh_assert_route(
            s, AF_INET, "10.20.0.0/16", "10.20.0.0/16 via 192.168.1.2 dev lan0 proto 110\n");
    want_all(s, "version: 1\nroutes: []\n");
    still = nsh_foreign(s);
    nsh_assert_same(still, foreign, "what is foreign");
    nsh_assert_route(s, AF_INET, "10.20.0.0/16", "");
    nsh_assert_route(s, AF_INET6, "2001:db8:97::/48", "");
}

/* The wanted one stands behind others, or not at all among several. */
static void run_own_aliases(struct nsh_scenario_run *s)
{
    static const char *const dsts[] = {
            "10.20.0.0/16", "10.21.0.0/16", "10.22.0.0/16", "10.23.0.0/16"};

    start(s);
    nsh_run(s, "ip route add 10.20.0.0/16 via 192.168.1.3 proto 110");
    nsh_run(s, "ip route append 10.20.0.0/16 via 192.168.1.2 proto 110");
    nsh_run(s, "ip route add 10.21.0.0/16 via 192.168.1.9 proto 4");
    nsh_run(s, "ip route append 10.21.0.0/16 via 192.168.1.2 proto 110");
    nsh_run(s, "ip route add 10.22.0.0/16 via 192.168.1.3 proto 110");
    nsh_run(s, "ip route append 10.22.0.0/16 via 192.168.1.4 proto 110");
    nsh_run(s, "ip route add 10.23.0.0/16 via 192.168.1.9 proto 4");
    nsh_run(s, "ip route append 10.23.0.0/16 via 192.168.1.3 proto 110");
    want_all(s, ROUTES "  - {to: [10.20.0.0/16, 10.21.0.0/16, 10.22.0.0/16, 10.23.0.0/16],"
                       " via: 192.168.1.2}\n");
    for (size_t i = 0; i < NSH_ARRAY_SIZE(dsts); i++) {
        char line[96];

        snprintf(line, sizeof(line), "%s via 192.168.1.2 dev lan0 proto 110\n", dsts[i]);
        nsh_assert_route(s, AF_INET, dsts[i], line);
    }
}

/* A reload touches only what differs. */
static void run_reload(struct nsh_scenario_run *s)
{
    start(s);
    want_all(s, ROUTES "  - {to: 10.20.0.0/16, via: 192.168.1.2}\n"
                       "  - {to: 10.21.0.0/16, via: 192.168.1.2}\n"
                       "  - {to: 10.22.0.0/16, via: 192.168.1.2, metric: 5}\n"
                       "  - {to: \"2001:db8:20::/48\", via: \"2001:db8:1::2\"}\n"
                       "  - {to: \"2001:db8:21::/48\", via: \"2001:db8:1::2\"}\n");
    nsh_want(s, ROUTES "  - {to: 10.20.0.0/16, via: 192.168.1.2}\n"
                       "  - {to: 10.21.0.0/16, via: 192.168.1.3}\n"
                       "  - {to: 10.22.0.0/16, via: 192.168.1.2, metric: 6}\n"
                       "  - {to: \"2001:db8:20::/48\", via: \"2001:db8:1::2\"}\n"
                       "  - {to: \"2001:db8:21::/48\", type: blackhole}\n");
    nsh_scenario_converge(s);
    nsh_assert_complete(s);
    assert_true(s->done.route_steps >= 4);
    nsh_assert_route(
            s, AF_INET, "10.21.0.0/16", "10.21.0.0/16 via 192.168.1.3 dev lan0 proto 110\n");
    nsh_assert_route(s, AF_INET, "10.22.0.0/16",
            "10.22.0.0/16 via 192.168.1.2 dev lan0 proto 110 metric 6\n");
    /* IPv6 replaces by kind: what the blackhole did not replace goes when it is seen. */
    nsh_scenario_converge(s);
    nsh_assert_route(
            s, AF_INET6, "2001:db8:21::/48", "6 2001:db8:21::/48 dev lo proto 110 metric 1024\n");
    nsh_assert_stable(s);
}

/* The default of one family says nothing about the other's. */
static void run_both_defaults(struct nsh_scenario_run *s)
{
    start(s);
    want_all(s, ROUTES "  - {to: default, via: 203.0.113.1}\n"
                       "  - {to: default, via: \"2001:db8:1::2\"}\n"
                       "  - {to: default, type: prohibit, family: ipv4, metric: 900}\n");
    nsh_assert_route(s, AF_INET, "default",
            "default via 203.0.113.1 dev wan0 proto 110\n8 default proto 110 metric 900\n");
    nsh_assert_route(
            s, AF_INET6, "default", "default via 2001:db8:1::2 dev wan0 proto 110 metric 1024\n");
}

/* The table is the one that the VRF has now; not every kernel has VRFs. */
static void run_vrf(struct nsh_scenario_run *s)
{
    start(s);
    nsh_want(s, ROUTES "  - {to: 10.20.0.0/16, via: 192.168.1.2, vrf: blue}\n"
                       "  - {to: [10.21.0.0/16, \"2001:db8:21::/48\"], type: blackhole,"
                       " vrf: blue}\n"
                       "  - {to: 10.21.0.0/16, via: 192.168.1.2, table: 11}\n");
    nsh_scenario_converge(s);
    assert_int_equal(s->done.pending, 3);
    assert_string_equal(s->done.why, "VRF blue does not exist");
    nsh_assert_stable(s);
    if (s->world->ops->run(s->world, "ip link add blue type vrf table 10") != 0) {
        print_message("# no VRFs here\n");
        return;
    }
    nsh_scenario_converge(s);
    nsh_assert_complete(s);
    nsh_assert_route(s, AF_INET, "10.20.0.0/16",
            "10.20.0.0/16 via 192.168.1.2 dev lan0 table 10 proto 110\n");
    nsh_assert_route(s, AF_INET6, "2001:db8:21::/48",
            "6 2001:db8:21::/48 dev lo table 10 proto 110 metric 1024\n");
    nsh_assert_stable(s);
    nsh_run(s, "ip link del blue");
    nsh_scenario_converge(s);
    assert_int_equal(s->done.pending, 3);
    nsh_assert_route(s, AF_INET, "10.20.0.0/16", "");
    nsh_assert_route(s, AF_INET, "10.21.0.0/16",
            "10.21.0.0/16 via 192.168.1.2 dev lan0 table 11 proto 110\n");
    nsh_assert_stable(s);
    nsh_run(s, "ip link add blue type vrf table 11");
    nsh_scenario_converge(s);
    assert_int_equal(s->done.pending, 1);
    nsh_assert_route(s, AF_INET, "10.20.0.0/16",
            "10.20.0.0/16 via 192.168.1.2 dev lan0 table 11 proto 110\n");
    nsh_assert_route(s, AF_INET, "10.21.0.0/16",
            "10.21.0.0/16 via 192.168.1.2 dev lan0 table 11 proto 110\n");
    nsh_assert_stable(s);
}

const struct nsh_scenario nsh_scenarios_routes[] = {
        {"an equal foreign route is adopted", run_adopt, NULL},
        {"a different foreign route is a conflict", run_conflict, NULL},
        {"on-conflict: replace", run_conflict_replace, NULL},
        {"other tables, metrics and tos are other keys", run_other_keys, NULL},
        {"routes that others resolve through go first", run_on_link_first, NULL},
        {"pending until the gateway can be reached", run_pending_gateway, NULL},
        {"pending until the gateway can be reached, IPv6", run_pending_gateway_v6, NULL},
        {"pending until the device is there and up", run_pending_device, NULL},
        {"pending until the source address is there", run_pending_source, NULL},
        {"a route without a device is resolved again", run_resolved_again, NULL},
        {"what is ours and not wanted goes, foreign ones stay", run_leftovers, NULL},
        {"the wanted one behind others", run_own_aliases, NULL},
        {"a reload touches only what differs", run_reload, NULL},
        {"routes in a VRF that comes, goes and comes back elsewhere", run_vrf, NULL},
        {"defaults of both families", run_both_defaults, NULL},
        {NULL, NULL, NULL},
};
