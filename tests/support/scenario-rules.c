/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Masquerade policies: chains, the jumps to them and their order, and what a change of the
 * configuration leaves untouched.
 */
#include "scenario.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* What a policy leaves alone by default comes first. */
#define IPSEC "-m policy --dir out --pol ipsec -j RETURN\n"
#define POLICIES "version: 1\nmasquerade:\n"
#define NAT AF_INET, NSH_TABLE_NAT

static void want_all(struct nsh_scenario_run *s, const char *yaml)
{
    nsh_want(s, yaml);
    nsh_scenario_converge(s);
    nsh_assert_complete(s);
    nsh_assert_stable(s);
}

static void run_position(struct nsh_scenario_run *s)
{
    nsh_run(s, "iptables -t nat -A POSTROUTING -s 10.5.0.0/16 -j ACCEPT");
    want_all(s, POLICIES "  - {name: a, out: [wan0]}\n"
                         "  - {name: b, out: [wan0], position: first}\n"
                         "  - {name: c, out: [wan0]}\n"
                         "  - {name: d, out: [wan0], position: first}\n");
    nsh_assert_chain(s, NAT, "POSTROUTING",
            "-j NETSHARED-b\n-j NETSHARED-d\n-s 10.5.0.0/16 -j ACCEPT\n"
            "-j NETSHARED-a\n-j NETSHARED-c\n");
    /* Somebody pushes in front of those that are first. */
    nsh_run(s, "iptables -t nat -I POSTROUTING 1 -s 10.6.0.0/16 -j ACCEPT");
    nsh_scenario_converge(s);
    nsh_assert_chain(s, NAT, "POSTROUTING",
            "-j NETSHARED-b\n-j NETSHARED-d\n-s 10.6.0.0/16 -j ACCEPT\n"
            "-s 10.5.0.0/16 -j ACCEPT\n-j NETSHARED-a\n-j NETSHARED-c\n");
    nsh_assert_stable(s);
    /* And between two of them. */
    nsh_run(s, "iptables -t nat -I POSTROUTING 2 -s 10.8.0.0/16 -j ACCEPT");
    nsh_scenario_converge(s);
    nsh_assert_chain(s, NAT, "POSTROUTING",
            "-j NETSHARED-b\n-j NETSHARED-d\n-s 10.8.0.0/16 -j ACCEPT\n-s 10.6.0.0/16 -j ACCEPT\n"
            "-s 10.5.0.0/16 -j ACCEPT\n-j NETSHARED-a\n-j NETSHARED-c\n");
    nsh_assert_stable(s);
}

/* Counters of rules that did not change survive a reload, and those of foreign rules always. */
static void run_counters(struct nsh_scenario_run *s)
{
    nsh_autofree char *rules = NULL;

    nsh_run(s, "iptables -t nat -A POSTROUTING -s 10.5.0.0/16 -j ACCEPT -c 9 900");
    want_all(s, POLICIES "  - {name: a, except-to: [10.0.0.0/8, 172.16.0.0/12], out: [wan0], "
                         "ipsec: include}\n"
                         "  - {name: b, out: [wan1], ipsec: include}\n");
    nsh_run(s, "iptables -t nat -R NETSHARED-a 1 -d 10.0.0.0/8 -j RETURN -c 1 100");
    nsh_run(s, "iptables -t nat -R NETSHARED-a 2 -d 172.16.0.0/12 -j RETURN -c 2 200");
    nsh_run(s, "iptables -t nat -R NETSHARED-a 3 -o wan0 -j MASQUERADE -c 3 300");
    nsh_run(s, "iptables -t nat -R NETSHARED-b 1 -o wan1 -j MASQUERADE -c 4 400");
    nsh_run(s, "iptables -t nat -R POSTROUTING 2 -j NETSHARED-a -c 5 500");
    want_all(s, POLICIES "  - {name: a, except-to: [10.0.0.0/8, 192.168.0.0/16], out: [wan0], "
                         "ipsec: include}\n"
                         "  - {name: b, out: [wan1], ipsec: include}\n"
                         "  - {name: c, out: [wan2]}\n");
    rules = s->world->ops->rules(s->world, NAT, true);
    assert_non_null(rules);
    assert_non_null(strstr(rules, "[9:900] -A POSTROUTING -s 10.5.0.0/16 -j ACCEPT\n"
                                  "[5:500] -A POSTROUTING -j NETSHARED-a\n"
                                  "[0:0] -A POSTROUTING -j NETSHARED-b\n"
                                  "[0:0] -A POSTROUTING -j NETSHARED-c\n"));
    assert_non_null(strstr(rules, "[1:100] -A NETSHARED-a -d 10.0.0.0/8 -j RETURN\n"
                                  "[0:0] -A NETSHARED-a -d 192.168.0.0/16 -j RETURN\n"
                                  "[3:300] -A NETSHARED-a -o wan0 -j MASQUERADE\n"));
    assert_non_null(strstr(rules, "[4:400] -A NETSHARED-b -o wan1 -j MASQUERADE\n"));
}

/* A policy goes: its chain, its jump, and at last the conntrack chain. */
static void run_removed(struct nsh_scenario_run *s)
{
    nsh_autofree char *foreign = NULL;
    nsh_autofree char *still = NULL;
    nsh_autofree char *ours = NULL;

    nsh_run(s, "iptables -t nat -A POSTROUTING -s 10.5.0.0/16 -j ACCEPT -c 9 900");
    nsh_run(s, "iptables -t nat -N MINE");
    foreign = nsh_foreign(s);
    want_all(s, POLICIES "  - {name: a, out: [wan0]}\n"
                         "  - {name: b, out: [wan0], family: [ipv4, ipv6]}\n");
    want_all(s, POLICIES "  - {name: b, out: [wan0]}\n");
    nsh_assert_chain(s, NAT, "POSTROUTING", "-s 10.5.0.0/16 -j ACCEPT\n-j NETSHARED-b\n");
    nsh_assert_chain(s, AF_INET6, NSH_TABLE_NAT, "POSTROUTING", "");
    want_all(s, "version: 1\nmasquerade: []\n");
    ours = nsh_ours(s);
    assert_null(strstr(ours, "NETSHARED"));
    still = nsh_foreign(s);
    nsh_assert_same(still, foreign, "what is foreign");
}

/* A chain that a foreign rule leads to can't go, but it is emptied. */
static void run_referred(struct nsh_scenario_run *s)
{
    size_t writes;

    want_all(s, POLICIES "  - {name: a, out: [wan0]}\n");
    nsh_run(s, "iptables -t nat -N MINE");
    nsh_run(s, "iptables -t nat -A MINE -j NETSHARED-a");
    nsh_want(s, "version: 1\nmasquerade: []\n");
    nsh_scenario_converge(s);
    nsh_assert_chain(s, NAT, "NETSHARED-a", "");
    nsh_assert_chain(s, NAT, "POSTROUTING", "");
    if (strcmp(s->world->firewall->ops->name, "nftables") == 0) {
        /* Only a chain in our own table can lead to one of ours, and it is not wanted either. */
        nsh_scenario_converge(s);
        nsh_assert_chain(s, NAT, "MINE", "");
        nsh_assert_stable(s);
        return;
    }
    nsh_assert_chain(s, NAT, "MINE", "-j NETSHARED-a\n");
    /* It is tried again and again, but nothing is written for it. */
    writes = s->world->ops->writes(s->world);
    nsh_scenario_converge(s);
    assert_int_equal(s->world->ops->writes(s->world), writes);
    nsh_run(s, "iptables -t nat -F MINE");
    nsh_scenario_converge(s);
    nsh_assert_stable(s);
}

/* Every prefix with every device; both families from one policy; exemptions first. */
static void run_combinations(struct nsh_scenario_run *s)
{
    want_all(s, POLICIES "  - name: mixed\n"
                         "    from: [192.168.1.0/24, 192.168.2.7, \"fd00:1::/64\"]\n"
                         "    to: [198.51.100.0/24, \"2001:db8::/32\"]\n"
                         "    except-from: [192.168.1.9]\n"
                         "    out: [wan0, ppp+]\n"
                         "  - {name: every, out: any}\n");
    nsh_assert_chain(s, NAT, "NETSHARED-mixed",
            IPSEC "-s 192.168.1.9/32 -j RETURN\n"
                  "-s 192.168.1.0/24 -d 198.51.100.0/24 -o wan0 -j MASQUERADE\n"
                  "-s 192.168.1.0/24 -d 198.51.100.0/24 -o ppp+ -j MASQUERADE\n"
                  "-s 192.168.2.7/32 -d 198.51.100.0/24 -o wan0 -j MASQUERADE\n"
                  "-s 192.168.2.7/32 -d 198.51.100.0/24 -o ppp+ -j MASQUERADE\n");
    nsh_assert_chain(s, AF_INET6, NSH_TABLE_NAT, "NETSHARED-mixed",
            IPSEC "-s fd00:1::/64 -d 2001:db8::/32 -o wan0 -j MASQUERADE\n"
                  "-s fd00:1::/64 -d 2001:db8::/32 -o ppp+ -j MASQUERADE\n");
    nsh_assert_chain(s, NAT, "NETSHARED-every", IPSEC "-j MASQUERADE\n");
    nsh_assert_chain(s, NAT, "POSTROUTING", "-j NETSHARED-mixed\n-j NETSHARED-every\n");
}

#define MANY 60

static char *many_policies(int from, int step)
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);

    assert_non_null(to);
    fputs(POLICIES, to);
    for (int i = from; i < MANY; i += step)
        fprintf(to,
                "  - {name: p%d, from: [10.%d.0.0/16], out: [wan0], family: ipv4,"
                " position: %s}\n",
                i, i, i % 3 ? "last" : "first");
    fclose(to);
    return text;
}

static void assert_jumps(struct nsh_scenario_run *s, int from, int step)
{
    nsh_autofree char *expected = NULL;
    size_t size;
    FILE *to = open_memstream(&expected, &size);

    assert_non_null(to);
    for (int i = from; i < MANY; i += step)
        if (i % 3 == 0)
            fprintf(to, "-j NETSHARED-p%d\n", i);
    fputs("-s 10.5.0.0/16 -j ACCEPT\n", to);
    for (int i = from; i < MANY; i += step)
        if (i % 3)
            fprintf(to, "-j NETSHARED-p%d\n", i);
    fclose(to);
    nsh_assert_chain(s, NAT, "POSTROUTING", expected);
}

static void run_many(struct nsh_scenario_run *s)
{
    nsh_autofree char *all = many_policies(0, 1);
    nsh_autofree char *even = many_policies(0, 2);
    nsh_autofree char *odd = many_policies(1, 2);

    nsh_run(s, "iptables -t nat -A POSTROUTING -s 10.5.0.0/16 -j ACCEPT");
    want_all(s, all);
    assert_jumps(s, 0, 1);
    nsh_run(s, "iptables -t nat -D POSTROUTING -j NETSHARED-p7");
    nsh_run(s, "iptables -t nat -D POSTROUTING -j NETSHARED-p9");
    nsh_run(s, "iptables -t nat -A POSTROUTING -j NETSHARED-p9");
    nsh_run(s, "iptables -t nat -I POSTROUTING 1 -j NETSHARED-p59");
    nsh_run(s, "iptables -t nat -D NETSHARED-p30 1");
    nsh_run(s, "iptables -t nat -A NETSHARED-p31 -p tcp -j ACCEPT");
    nsh_scenario_converge(s);
    assert_jumps(s, 0, 1);
    nsh_assert_stable(s);
    want_all(s, even);
    assert_jumps(s, 0, 2);
    want_all(s, odd);
    assert_jumps(s, 1, 2);
    want_all(s, all);
    assert_jumps(s, 0, 1);
}

/* Forwarding goes on with the first policy of a family. */
static void run_forwarding(struct nsh_scenario_run *s)
{
    int v4 = 0, v6 = 0;

    want_all(s, POLICIES "  - {name: a, out: [wan0]}\n");
    s->world->fib->ops->sysctl_get(s->world->fib, "net/ipv4/ip_forward", &v4);
    s->world->fib->ops->sysctl_get(s->world->fib, "net/ipv6/conf/all/forwarding", &v6);
    assert_int_equal(v4, 1);
    assert_int_equal(v6, 0);
}

const struct nsh_scenario nsh_scenarios_rules[] = {
        {"position first and last", run_position, NULL},
        {"counters survive a reload", run_counters, NULL},
        {"policies are removed", run_removed, NULL},
        {"a chain that a foreign rule leads to", run_referred, NULL},
        {"combinations of prefixes and devices", run_combinations, NULL},
        {"many policies", run_many, NULL},
        {"forwarding of the families in use", run_forwarding, NULL},
        {NULL, NULL, NULL},
};
