/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What can happen to a router whose routes and rules are as wanted, and that one reconcile puts
 * it back: the same as before, nothing foreign touched, and nothing left to do.
 */
#include "scenario.h"

#include <setjmp.h>
#include <stdarg.h>
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
        "ip addr add 2001:db8:5::1/128 dev lan0",
        /* what others have here */
        "ip route add 198.51.100.0/24 via 203.0.113.9 proto 4",
        "ip route add blackhole 10.98.0.0/16 proto 12",
        "ip -6 route add 2001:db8:98::/48 via 2001:db8:1::9 proto 4",
        "iptables -t nat -A POSTROUTING -s 10.5.0.0/16 -j ACCEPT -c 7 700",
        "iptables -t nat -A PREROUTING -p tcp -j ACCEPT",
        "iptables -t raw -A PREROUTING -p udp -j ACCEPT",
        "iptables -t nat -N DOCKER",
        "iptables -t nat -A DOCKER -s 10.7.0.0/16 -j ACCEPT",
        "ip6tables -t nat -A POSTROUTING -s fd00:5::/64 -j ACCEPT",
        NULL,
};

static const char wanted[] =
        "version: 1\n"
        "routes:\n"
        "  - {to: default, via: 203.0.113.1, dev: wan0, metric: 100}\n"
        "  - {to: 10.20.0.0/16, via: 192.168.1.2}\n"
        "  - {to: 10.21.0.0/16, dev: lan0, mtu: 1400}\n"
        "  - {to: 10.22.0.0/16, via: 192.168.1.3, table: 100, source: 192.168.1.1}\n"
        "  - {to: 10.23.0.0/16, via: 192.168.1.3, source: 192.168.1.1}\n"
        "  - {to: 192.0.2.0/24, type: blackhole}\n"
        "  - {to: \"2001:db8:20::/48\", via: \"2001:db8:1::2\", dev: wan0}\n"
        "  - {to: \"2001:db8:21::/48\", via: \"fe80::1\", dev: lan0, metric: 5}\n"
        "  - {to: \"2001:db8:22::/48\", via: \"2001:db8:1::2\", source: \"2001:db8:5::1\"}\n"
        "  - {to: \"2001:db8:24::/48\", dev: lan0}\n"
        "  - {to: \"2001:db8:bad::/48\", type: unreachable}\n"
        "masquerade:\n"
        "  - {name: lan-out, from: [192.168.1.0/24], except-to: [10.0.0.0/8], out: [wan0], "
        "ipsec: include}\n"
        "  - {name: guest, from: [192.168.2.0/24], out: [wan+], position: first, ipsec: include}\n"
        "  - {name: six, from: [\"fd00:1::/64\"], out: [wan0], ipsec: include}\n";

static void begin(struct nsh_scenario_run *s)
{
    nsh_autofree char *foreign = NULL;
    nsh_autofree char *still = NULL;

    nsh_run_all(s, router);
    foreign = nsh_foreign(s);
    nsh_want(s, wanted);
    nsh_scenario_converge(s);
    nsh_assert_complete(s);
    still = nsh_foreign(s);
    nsh_assert_same(still, foreign, "what is foreign");
    nsh_assert_stable(s);
}

static void run_begin(struct nsh_scenario_run *s)
{
    begin(s);
    nsh_assert_route(
            s, AF_INET, "default", "default via 203.0.113.1 dev wan0 proto 110 metric 100\n");
    nsh_assert_route(
            s, AF_INET, "10.20.0.0/16", "10.20.0.0/16 via 192.168.1.2 dev lan0 proto 110\n");
    nsh_assert_route(
            s, AF_INET, "10.21.0.0/16", "10.21.0.0/16 dev lan0 proto 110 scope 253 mtu 1400\n");
    nsh_assert_route(s, AF_INET, "10.22.0.0/16",
            "10.22.0.0/16 via 192.168.1.3 dev lan0 table 100 proto 110 src 192.168.1.1\n");
    nsh_assert_route(s, AF_INET, "192.0.2.0/24", "6 192.0.2.0/24 proto 110\n");
    nsh_assert_route(s, AF_INET6, "2001:db8:21::/48",
            "2001:db8:21::/48 via fe80::1 dev lan0 proto 110 metric 5\n");
    nsh_assert_route(s, AF_INET6, "2001:db8:22::/48",
            "2001:db8:22::/48 via 2001:db8:1::2 dev wan0 proto 110 src 2001:db8:5::1"
            " metric 1024\n");
    nsh_assert_route(
            s, AF_INET6, "2001:db8:bad::/48", "7 2001:db8:bad::/48 dev lo proto 110 metric 1024\n");
    nsh_assert_chain(s, AF_INET, NSH_TABLE_NAT, "NETSHARED-lan-out",
            "-d 10.0.0.0/8 -j RETURN\n"
            "-s 192.168.1.0/24 -o wan0 -j MASQUERADE\n");
    nsh_assert_chain(s, AF_INET, NSH_TABLE_NAT, "POSTROUTING",
            "-j NETSHARED-guest\n"
            "-s 10.5.0.0/16 -j ACCEPT\n"
            "-j NETSHARED-lan-out\n");
    nsh_assert_chain(
            s, AF_INET6, NSH_TABLE_NAT, "NETSHARED-six", "-s fd00:1::/64 -o wan0 -j MASQUERADE\n");
    nsh_assert_chain(s, AF_INET, NSH_TABLE_RAW, "NETSHARED-conntrack",
            "-m conntrack --ctstate INVALID -j RETURN\n");
}

static void damage_and_repair(struct nsh_scenario_run *s, bool on_our_keys)
{
    nsh_autofree char *ours = NULL;
    nsh_autofree char *foreign = NULL;
    nsh_autofree char *damaged = NULL;
    nsh_autofree char *repaired = NULL;
    nsh_autofree char *still = NULL;

    begin(s);
    ours = nsh_ours(s);
    if (on_our_keys)
        foreign = nsh_foreign(s);
    nsh_run_all(s, s->words);
    damaged = nsh_ours(s);
    if (!on_our_keys)
        foreign = nsh_foreign(s);
    nsh_scenario_converge(s);
    nsh_assert_complete(s);
    repaired = nsh_ours(s);
    nsh_assert_same(repaired, ours, "what is ours");
    still = nsh_foreign(s);
    nsh_assert_same(still, foreign, "what is foreign");
    /* What stands on our key and shadows it is foreign, so that ours may look untouched. */
    if (!on_our_keys)
        assert_string_not_equal(damaged, ours);
    assert_true(s->done.route_steps + s->done.firewall_steps + s->done.sysctls > 0);
    nsh_assert_stable(s);
}

/* Ours was damaged. What is foreign stays as the damage left it. */
static void run_damage(struct nsh_scenario_run *s)
{
    damage_and_repair(s, false);
}

/* What one kernel takes for damage (6.18), another does not (6.1). */
static void run_perhaps_damage(struct nsh_scenario_run *s)
{
    nsh_autofree char *ours = NULL;
    nsh_autofree char *damaged = NULL;
    nsh_autofree char *repaired = NULL;

    begin(s);
    ours = nsh_ours(s);
    nsh_run_all(s, s->words);
    damaged = nsh_ours(s);
    nsh_scenario_converge(s);
    nsh_assert_complete(s);
    repaired = nsh_ours(s);
    nsh_assert_same(repaired, ours, "what is ours");
    assert_int_equal(s->done.route_steps > 0, strcmp(damaged, ours) != 0);
    nsh_assert_stable(s);
}

/* Somebody put a route of his own on our key: it goes. */
static void run_theft(struct nsh_scenario_run *s)
{
    damage_and_repair(s, true);
}

/* Nothing of ours was touched: nothing is to be done. */
static void run_untouched(struct nsh_scenario_run *s)
{
    nsh_autofree char *ours = NULL;
    nsh_autofree char *still = NULL;

    begin(s);
    ours = nsh_ours(s);
    nsh_run_all(s, s->words);
    nsh_assert_stable(s);
    still = nsh_ours(s);
    nsh_assert_same(still, ours, "what is ours");
}

/* A new process knows nothing of what was held, and finds nothing to do. */
static void run_restart(struct nsh_scenario_run *s)
{
    begin(s);
    memset(s->flags, 0, s->want->n_routes);
    nsh_assert_stable(s);
}

/* While the link is down its routes are pending, the rest stands. */
static void run_link_down(struct nsh_scenario_run *s)
{
    nsh_autofree char *ours = NULL;
    nsh_autofree char *repaired = NULL;

    begin(s);
    ours = nsh_ours(s);
    nsh_run(s, "ip link set lan0 down");
    nsh_scenario_converge(s);
    assert_int_equal(s->done.pending, 6); /* those on lan0 */
    nsh_assert_route(
            s, AF_INET, "default", "default via 203.0.113.1 dev wan0 proto 110 metric 100\n");
    nsh_run(s, "ip link set lan0 up");
    nsh_run(s, "ip addr add 2001:db8:5::1/128 dev lan0");
    nsh_scenario_converge(s);
    nsh_assert_complete(s);
    repaired = nsh_ours(s);
    nsh_assert_same(repaired, ours, "what is ours");
    nsh_assert_stable(s);
}

/* The device is away, under another name, and back. */
static void run_link_away(struct nsh_scenario_run *s)
{
    nsh_autofree char *ours = NULL;
    nsh_autofree char *repaired = NULL;

    begin(s);
    ours = nsh_ours(s);
    nsh_run(s, "ip link set wan0 down");
    nsh_run(s, "ip link set wan0 name up0");
    nsh_run(s, "ip link set up0 up");
    nsh_scenario_converge(s);
    assert_true(s->done.pending > 0);
    nsh_assert_route(s, AF_INET, "default", "");
    nsh_run(s, "ip link set up0 down");
    nsh_run(s, "ip link set up0 name wan0");
    nsh_run(s, "ip link set wan0 up");
    nsh_run(s, "ip addr add 2001:db8:1::1/64 dev wan0");
    nsh_scenario_converge(s);
    nsh_assert_complete(s);
    repaired = nsh_ours(s);
    nsh_assert_same(repaired, ours, "what is ours");
    nsh_assert_stable(s);
}

/* Two were put in front: the first makes room for ours, the other is left behind it. */
static void run_two_prepended(struct nsh_scenario_run *s)
{
    begin(s);
    nsh_run(s, "ip route prepend 10.20.0.0/16 via 192.168.1.8 proto 4");
    nsh_run(s, "ip route prepend 10.20.0.0/16 via 192.168.1.9 proto 4");
    nsh_scenario_converge(s);
    nsh_assert_complete(s);
    nsh_assert_route(s, AF_INET, "10.20.0.0/16",
            "10.20.0.0/16 via 192.168.1.2 dev lan0 proto 110\n"
            "10.20.0.0/16 via 192.168.1.8 dev lan0 proto 4\n");
    nsh_assert_stable(s);
}

#define WORDS(...)        \
    (const char *const[]) \
    {                     \
        __VA_ARGS__, NULL \
    }
#define DAMAGE(name_, ...)                               \
    {                                                    \
        "damage: " name_, run_damage, WORDS(__VA_ARGS__) \
    }
#define THEFT(name_, ...)                              \
    {                                                  \
        "theft: " name_, run_theft, WORDS(__VA_ARGS__) \
    }
#define UNTOUCHED(name_, ...)                                  \
    {                                                          \
        "untouched: " name_, run_untouched, WORDS(__VA_ARGS__) \
    }

const struct nsh_scenario nsh_scenarios_drift[] = {
        {"everything stands as wanted", run_begin, NULL},
        {"a restart finds nothing to do", run_restart, NULL},
        {"link down and up", run_link_down, NULL},
        {"link renamed and back", run_link_away, NULL},
        {"two foreign ones prepended", run_two_prepended, NULL},

        DAMAGE("route deleted", "ip route del 10.20.0.0/16"),
        DAMAGE("route of another table deleted", "ip route del 10.22.0.0/16 table 100"),
        DAMAGE("blackhole deleted", "ip route del 192.0.2.0/24"),
        DAMAGE("IPv6 route deleted", "ip -6 route del 2001:db8:20::/48"),
        DAMAGE("IPv6 unreachable deleted", "ip -6 route del unreachable 2001:db8:bad::/48"),
        DAMAGE("several at once", "ip route del 10.20.0.0/16", "ip route del default metric 100",
                "ip -6 route del 2001:db8:21::/48", "iptables -t nat -F"),
        DAMAGE("metrics of a route altered",
                "ip route replace 10.21.0.0/16 dev lan0 mtu 1300 proto 110"),
        DAMAGE("gateway altered under our mark",
                "ip route replace 10.20.0.0/16 via 192.168.1.9 proto 110"),
        DAMAGE("link flaps", "ip link set lan0 down", "ip link set lan0 up",
                "ip addr add 2001:db8:5::1/128 dev lan0"),
        DAMAGE("both links flap", "ip link set lan0 down", "ip link set wan0 down",
                "ip link set lan0 up", "ip link set wan0 up",
                "ip addr add 2001:db8:5::1/128 dev lan0", "ip addr add 2001:db8:1::1/64 dev wan0"),
        DAMAGE("last address removed and added", "ip addr del 192.168.1.1/24 dev lan0",
                "ip addr add 192.168.1.1/24 dev lan0"),
        {"preferred source of another interface removed and added, IPv6", run_perhaps_damage,
                WORDS("ip addr del 2001:db8:5::1/128 dev lan0",
                        "ip addr add 2001:db8:5::1/128 dev lan0")},
        DAMAGE("preferred source removed and added, IPv4", "ip addr add 192.168.1.8/32 dev lan0",
                "ip addr del 192.168.1.1/24 dev lan0", "ip addr add 192.168.1.1/24 dev lan0"),
        DAMAGE("link deleted and made again", "ip link del wan0", "ip link add wan0",
                "ip link set wan0 up", "ip addr add 203.0.113.2/24 dev wan0",
                "ip addr add 2001:db8:1::1/64 dev wan0"),

        THEFT("route replaced", "ip route replace 10.20.0.0/16 via 192.168.1.9 proto 4"),
        THEFT("route replaced by an equal one",
                "ip route replace 10.20.0.0/16 via 192.168.1.2 proto 4"),
        THEFT("route replaced by a blackhole", "ip route replace blackhole 10.20.0.0/16 proto 4"),
        THEFT("default replaced", "ip route replace default via 203.0.113.77 metric 100 proto 16"),
        THEFT("route replaced by a multipath one",
                "ip route replace 10.20.0.0/16 proto 4 nexthop via 192.168.1.8"
                " nexthop via 192.168.1.9"),
        THEFT("a foreign one prepended", "ip route prepend 10.20.0.0/16 via 192.168.1.9 proto 4"),
        THEFT("an equal foreign one prepended",
                "ip route prepend 10.20.0.0/16 via 192.168.1.2 proto 4"),
        THEFT("deleted, and another added in its place", "ip route del 10.20.0.0/16",
                "ip route add 10.20.0.0/16 via 192.168.1.9 proto 4"),
        THEFT("IPv6 route replaced",
                "ip -6 route replace 2001:db8:20::/48 via 2001:db8:1::9 proto 4"),
        THEFT("IPv6 route without a gateway replaced by one with",
                "ip -6 route replace 2001:db8:24::/48 via 2001:db8:1::9 proto 4"),
        THEFT("IPv6 unreachable replaced by a unicast",
                "ip -6 route del unreachable 2001:db8:bad::/48",
                "ip -6 route add 2001:db8:bad::/48 via 2001:db8:1::9 proto 4"),
        THEFT("IPv6 route replaced by an equal one",
                "ip -6 route replace 2001:db8:20::/48 via 2001:db8:1::2 proto 4"),
        THEFT("IPv6 route replaced by one without a gateway",
                "ip -6 route replace 2001:db8:20::/48 dev wan0 proto 4"),
        THEFT("a gateway merged into an IPv6 route",
                "ip -6 route append 2001:db8:20::/48 via 2001:db8:1::3 proto 4"),
        THEFT("siblings deleted by their protocol",
                "ip -6 route append 2001:db8:20::/48 via 2001:db8:1::3 proto 4",
                "ip -6 route del 2001:db8:20::/48 proto 4"),
        THEFT("IPv6 deleted, and a multipath one in its place", "ip -6 route del 2001:db8:20::/48",
                "ip -6 route add 2001:db8:20::/48 proto 4 nexthop via 2001:db8:1::3"
                " nexthop via 2001:db8:1::2"),

        DAMAGE("nat flushed", "iptables -t nat -F"),
        DAMAGE("nat flushed, chains deleted", "iptables -t nat -F", "iptables -t nat -X"),
        DAMAGE("raw flushed, chains deleted", "iptables -t raw -F", "iptables -t raw -X"),
        DAMAGE("IPv6 nat flushed, chains deleted", "ip6tables -t nat -F", "ip6tables -t nat -X"),
        DAMAGE("our chain flushed", "iptables -t nat -F NETSHARED-lan-out"),
        DAMAGE("a rule deleted", "iptables -t nat -D NETSHARED-lan-out 1"),
        DAMAGE("the last rule deleted", "iptables -t nat -D NETSHARED-lan-out 2"),
        DAMAGE("a rule replaced", "iptables -t nat -R NETSHARED-lan-out 2 -o wan0 -j MASQUERADE"),
        DAMAGE("a rule replaced by something else",
                "iptables -t nat -R NETSHARED-lan-out 1 -p tcp -j ACCEPT"),
        DAMAGE("a foreign rule inserted into our chain",
                "iptables -t nat -I NETSHARED-lan-out 2 -p tcp -j ACCEPT"),
        DAMAGE("rules reordered", "iptables -t nat -D NETSHARED-lan-out 1",
                "iptables -t nat -A NETSHARED-lan-out -d 10.0.0.0/8 -j RETURN"),
        DAMAGE("the jump deleted", "iptables -t nat -D POSTROUTING -j NETSHARED-lan-out"),
        DAMAGE("the jump doubled", "iptables -t nat -A POSTROUTING -j NETSHARED-lan-out"),
        DAMAGE("the jump doubled before it",
                "iptables -t nat -I POSTROUTING 1 -j NETSHARED-lan-out"),
        DAMAGE("the jump altered",
                "iptables -t nat -R POSTROUTING 3 -s 10.0.0.0/8 -j NETSHARED-lan-out"),
        DAMAGE("the jump replaced by a foreign rule",
                "iptables -t nat -R POSTROUTING 3 -s 10.0.0.0/8 -j ACCEPT"),
        DAMAGE("a jump from a chain where none belongs",
                "iptables -t raw -A PREROUTING -j NETSHARED-conntrack"),
        DAMAGE("jumps in the wrong order", "iptables -t nat -D POSTROUTING -j NETSHARED-guest",
                "iptables -t nat -A POSTROUTING -j NETSHARED-guest"),
        DAMAGE("an unwanted chain with our mark", "iptables -t nat -N NETSHARED-old",
                "iptables -t nat -A NETSHARED-old -j MASQUERADE",
                "iptables -t nat -A POSTROUTING -j NETSHARED-old"),
        THEFT("nothing, but forwarding is off", "sysctl net/ipv4/ip_forward=0"),
        DAMAGE("forwarding off, both", "sysctl net/ipv4/ip_forward=0",
                "sysctl net/ipv6/conf/all/forwarding=0"),

        UNTOUCHED("a foreign route appended behind ours",
                "ip route append 10.20.0.0/16 via 192.168.1.9 proto 4"),
        UNTOUCHED("a foreign route with another metric",
                "ip route add 10.20.0.0/16 via 192.168.1.9 metric 7 proto 4"),
        UNTOUCHED("a foreign IPv6 route of another kind behind ours",
                "ip -6 route append 2001:db8:20::/48 dev wan0 proto 4"),
        UNTOUCHED("a foreign gateway behind our IPv6 route without one",
                "ip -6 route append 2001:db8:24::/48 via 2001:db8:1::9 proto 4"),
        UNTOUCHED("a foreign rule ahead of a jump that is last",
                "iptables -t nat -I POSTROUTING 2 -s 10.6.0.0/16 -j ACCEPT"),
        UNTOUCHED("a foreign rule at the end",
                "iptables -t nat -A POSTROUTING -s 10.6.0.0/16 -j ACCEPT"),
        UNTOUCHED("an equal rule with counters",
                "iptables -t nat -R NETSHARED-lan-out 1 -d 10.0.0.0/8 -j RETURN -c 5 700"),
        UNTOUCHED("a further link and address", "ip link add new0", "ip link set new0 up",
                "ip addr add 10.77.0.1/24 dev new0"),
        {NULL, NULL, NULL},
};
