/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which policy of a file takes a packet, and what becomes of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cleanup.h"
#include "desire.h"
#include "walk.h"

static char folder[] = "/tmp/nsh-test-walk-XXXXXX";

static struct nsh_desired *settled(const char *text)
{
    struct nsh_desired *d = desire(text);

    nsh_desired_settle(d);
    return d;
}

NSH_DEFINE_CLEANUP(struct nsh_desired *, nsh_desired_free)

/* In words: "in eth0 out eth1 10.0.0.2:40000 > 192.0.2.9:443 tcp mark 7 dnat local far reply". */
static struct nsh_packet packet_of(const char *words)
{
    struct nsh_packet p = {.protocol = IPPROTO_ICMP, .state = NSH_STATE_NEW};
    nsh_autofree char *copy = strdup(words);
    char *rest = NULL, *w = strtok_r(copy, " ", &rest);
    bool source = true;

    for (; w; w = strtok_r(NULL, " ", &rest)) {
        char *port = strchr(w, '/');

        if (strcmp(w, "in") == 0)
            snprintf(p.in, sizeof p.in, "%s", strtok_r(NULL, " ", &rest));
        else if (strcmp(w, "out") == 0)
            snprintf(p.out, sizeof p.out, "%s", strtok_r(NULL, " ", &rest));
        else if (strcmp(w, "mark") == 0)
            p.mark = (uint32_t)strtoul(strtok_r(NULL, " ", &rest), NULL, 0);
        else if (strcmp(w, "tcp") == 0 || strcmp(w, "udp") == 0)
            p.protocol = w[0] == 't' ? IPPROTO_TCP : IPPROTO_UDP;
        else if (strcmp(w, "dnat") == 0)
            p.translated = true;
        else if (strcmp(w, "local") == 0)
            p.local = true;
        else if (strcmp(w, "far") == 0)
            p.far = true;
        else if (strcmp(w, "reply") == 0)
            p.state = NSH_STATE_ESTABLISHED;
        else if (strcmp(w, ">") == 0)
            source = false;
        else {
            if (port)
                *port = '\0';
            assert_true(nsh_addr_parse(w, &p.family, source ? &p.src : &p.dst));
            *(source ? &p.source_port : &p.destination_port) =
                    (uint16_t)(port ? strtoul(port + 1, NULL, 10) : 0);
        }
    }
    return p;
}

struct told {
    char text[512];
};

static void see(void *userdata, const struct nsh_walk_step *s)
{
    static const char *const words[] = {[NSH_WALK_LACKS] = "lacks",
            [NSH_WALK_EXEMPTS] = "exempts",
            [NSH_WALK_LOGS] = "logs",
            [NSH_WALK_CLAMPS] = "clamps",
            [NSH_WALK_TAKES] = "takes"};
    struct told *t = userdata;
    size_t n = strlen(t->text);

    snprintf(t->text + n, sizeof t->text - n, "%s%s %s", n ? ", " : "", s->chain->policy,
            words[s->what]);
}

/* What is told of, and behind it what becomes of it: ": drop", or the addresses that are new. */
static void expect(const struct nsh_desired *d, enum nsh_table table, const char *hook,
        const char *words, const char *want)
{
    struct nsh_packet p = packet_of(words), before = p;
    char src[NSH_ADDR_TEXT], dst[NSH_ADDR_TEXT];
    struct told t = {0};
    const struct nsh_packet_rule *rule = nsh_walk(d, table, hook, &p, NULL, see, &t, NULL);
    union nsh_addr own;
    uint8_t family;
    size_t n;

    assert_true(
            nsh_addr_parse(p.family == AF_INET6 ? "2001:db8::99" : "192.0.2.99", &family, &own));
    if (rule)
        nsh_walk_translate(rule, &own, &p);
    n = strlen(t.text);
    if (rule && (rule->action == NSH_PACKET_DROP || rule->action == NSH_PACKET_ACCEPT))
        snprintf(t.text + n, sizeof t.text - n, ": %s",
                rule->action == NSH_PACKET_DROP ? "drop" : "accept");
    else if (rule && nsh_addr_cmp(&p.src, &before.src) != 0)
        snprintf(t.text + n, sizeof t.text - n, ": from %s/%u",
                nsh_addr_format(p.family, &p.src, src), p.source_port);
    else if (rule)
        snprintf(t.text + n, sizeof t.text - n, ": to %s/%u",
                nsh_addr_format(p.family, &p.dst, dst), p.destination_port);
    if (strcmp(t.text, want) != 0)
        fail_msg("%s:\n  got    %s\n  wanted %s", words, t.text, want);
}

static void out(const struct nsh_desired *d, const char *words, const char *want)
{
    expect(d, NSH_TABLE_NAT, "POSTROUTING", words, want);
}

static void in(const struct nsh_desired *d, const char *words, const char *want)
{
    expect(d, NSH_TABLE_NAT, "PREROUTING", words, want);
}

static void across(const struct nsh_desired *d, const char *words, const char *want)
{
    expect(d, NSH_TABLE_FILTER, "FORWARD", words, want);
}

/* ---- masquerade ---- */

static void test_devices_and_addresses(void **state)
{
    NSH_CLEANUP(nsh_desired_freep)
    struct nsh_desired *d = settled("masquerade:\n"
                                    "  - {name: a, from: [10.0.0.0/24], out: [eth1]}\n"
                                    "  - {name: b, from: [10.0.0.0/8], to: [198.51.100.0/24], "
                                    "out: [wan+]}\n"
                                    "  - {name: c, out: any, mark: 0x10/0xf0, family: ipv4}\n"
                                    "  - {name: six, from: ['2001:db8:a::/64'], out: [eth1]}\n");

    (void)state;
    out(d, "in eth0 out eth1 10.0.0.2 > 192.0.2.9", "a takes: from 192.0.2.99/0");
    out(d, "out eth1 10.0.0.2 > 192.0.2.9", "a takes: from 192.0.2.99/0");
    out(d, "in eth0 out eth1 10.0.1.2 > 192.0.2.9", "");
    out(d, "in eth0 out eth10 10.0.0.2 > 192.0.2.9", "");
    out(d, "in eth0 out wan7 10.0.1.2 > 198.51.100.9", "b takes: from 192.0.2.99/0");
    out(d, "in eth0 out wan7 10.0.1.2 > 198.51.101.9", "");
    out(d, "in eth0 out wa 10.0.1.2 > 198.51.100.9", "");
    out(d, "in eth0 out eth7 172.16.0.1 > 198.51.100.9 mark 0x1f", "c takes: from 192.0.2.99/0");
    out(d, "in eth0 out eth7 172.16.0.1 > 198.51.100.9 mark 0x20", "");
    out(d, "in eth0 out eth1 2001:db8:a::2 > 2001:db8:c::1", "six takes: from 2001:db8::99/0");
    out(d, "in eth0 out eth1 2001:db8:b::2 > 2001:db8:c::1", "");
    /* Elsewhere they say nothing. */
    in(d, "in eth0 10.0.0.2 > 192.0.2.9", "");
    across(d, "in eth0 out eth1 10.0.0.2 > 192.0.2.9", "");
}

static void test_exceptions_and_order(void **state)
{
    NSH_CLEANUP(nsh_desired_freep)
    struct nsh_desired *d =
            settled("masquerade:\n"
                    "  - {name: a, out: [eth1], from: [10.0.0.0/8], except-from: [10.9.0.0/16], "
                    "except-to: [172.16.0.0/12], except-out: [eth1], enabled: false}\n"
                    "  - {name: b, out: [eth+], from: [10.0.0.0/8], except-from: [10.9.0.0/16], "
                    "except-to: [172.16.0.0/12], except-out: [eth7]}\n"
                    "  - {name: c, out: [eth1, eth7], from: [10.0.0.0/8], log: true, "
                    "to-source: 192.0.2.50-192.0.2.60}\n"
                    "  - {name: early, position: first, out: [eth1], from: [10.1.0.0/16], "
                    "to-source: 192.0.2.70}\n");

    (void)state;
    out(d, "in eth0 out eth1 10.0.0.2 > 192.0.2.9", "b takes: from 192.0.2.99/0");
    out(d, "in eth0 out eth1 10.9.0.2 > 192.0.2.9",
            "b exempts, c logs, c takes: from 192.0.2.50/0");
    out(d, "in eth0 out eth1 10.0.0.2 > 172.17.0.9",
            "b exempts, c logs, c takes: from 192.0.2.50/0");
    out(d, "in eth0 out eth7 10.0.0.2 > 192.0.2.9",
            "b exempts, c logs, c takes: from 192.0.2.50/0");
    out(d, "in eth0 out eth2 10.9.0.2 > 192.0.2.9", "b exempts");
    out(d, "in eth0 out eth1 10.1.0.2 > 192.0.2.9", "early takes: from 192.0.2.70/0");
}

static void test_protocols_and_ports(void **state)
{
    NSH_CLEANUP(nsh_desired_freep)
    struct nsh_desired *d =
            settled("masquerade:\n"
                    "  - {name: a, family: ipv4, out: [eth1], protocol: [tcp, udp], "
                    "destination-port: [80, 8000-8099], to-ports: 2000-3000}\n"
                    "  - {name: b, family: ipv4, out: [eth1], protocol: udp, source-port: 500}\n");

    (void)state;
    out(d, "out eth1 10.0.0.2/2500 > 192.0.2.9/80 tcp", "a takes: from 192.0.2.99/2500");
    out(d, "out eth1 10.0.0.2/40000 > 192.0.2.9/8099 udp", "a takes: from 192.0.2.99/2000");
    out(d, "out eth1 10.0.0.2/40000 > 192.0.2.9/8100 udp", "");
    out(d, "out eth1 10.0.0.2/500 > 192.0.2.9/8100 udp", "b takes: from 192.0.2.99/500");
    out(d, "out eth1 10.0.0.2/500 > 192.0.2.9/8100 tcp", "");
    out(d, "out eth1 10.0.0.2 > 192.0.2.9", "");
}

static void test_sets(void **state)
{
    NSH_CLEANUP(nsh_desired_freep)
    struct nsh_desired *d = settled(
            "masquerade:\n"
            "  - {name: a, out: [eth1], from: [10.1.0.0/16, 10.2.0.0/16, 10.3.0.0/16, 10.4.0.0/16, "
            "10.5.0.0/16, 10.6.0.0/16, 10.7.0.0/16, 10.8.0.0/16, 10.9.9.9, '2001:db8:1::/48'], "
            "family: [ipv4, ipv6]}\n");

    (void)state;
    assert_int_equal(d->n_sets, 1);
    out(d, "out eth1 10.8.255.2 > 192.0.2.9", "a takes: from 192.0.2.99/0");
    out(d, "out eth1 10.9.9.9 > 192.0.2.9", "a takes: from 192.0.2.99/0");
    out(d, "out eth1 10.9.9.8 > 192.0.2.9", "");
    out(d, "out eth1 2001:db8:1::7 > 2001:db8:c::1", "a takes: from 2001:db8::99/0");
    out(d, "out eth1 2001:db8:2::7 > 2001:db8:c::1", "");
}

/* ---- share ---- */

static void test_share(void **state)
{
    NSH_CLEANUP(nsh_desired_freep)
    struct nsh_desired *d =
            settled("share:\n"
                    "  - {name: s, lan: [eth0, eth2], wan: eth1, isolate: true}\n"
                    "  - {name: open, lan: eth5, wan: eth1, allow-inbound: true}\n");

    (void)state;
    across(d, "in eth0 out eth1 10.0.0.2 > 192.0.2.9", "s takes: accept");
    across(d, "in eth1 out eth0 192.0.2.9 > 10.0.0.2 reply", "s takes: accept");
    across(d, "in eth1 out eth0 192.0.2.9 > 10.0.0.2", "s takes: drop");
    across(d, "in eth1 out eth0 192.0.2.9 > 10.0.0.2 dnat", "s takes: accept");
    across(d, "in eth0 out eth2 10.0.0.2 > 10.2.0.2", "s takes: drop");
    across(d, "in eth0 out eth0 10.0.0.2 > 10.0.0.3", "s takes: accept");
    across(d, "in eth1 out eth5 192.0.2.9 > 10.5.0.2", "open takes: accept");
    across(d, "in eth0 out eth7 10.0.0.2 > 192.0.2.9", "");
    across(d, "in eth0 out eth1 2001:db8:a::2 > 2001:db8:c::1", "s takes: accept");
    out(d, "in eth0 out eth1 10.0.0.2 > 192.0.2.9", "s takes: from 192.0.2.99/0");
    out(d, "in eth0 out eth1 2001:db8:a::2 > 2001:db8:c::1", "");
    expect(d, NSH_TABLE_MANGLE, "FORWARD", "in eth0 out eth1 10.0.0.2/1 > 192.0.2.9/2 tcp",
            "s clamps, open clamps");
}

/* ---- port-forwards and network-maps ---- */

static void test_port_forward(void **state)
{
    NSH_CLEANUP(nsh_desired_freep)
    struct nsh_desired *d = settled("port-forwards:\n"
                                    "  - {name: web, in: eth1, protocol: tcp, port: 443, "
                                    "to: 192.168.1.10, to-port: 8443, hairpin: true}\n"
                                    "  - {name: many, in: eth1, protocol: both, port: 5000-5009, "
                                    "to: 192.168.1.11, to-port: 6000-6009, "
                                    "from: [203.0.113.0/24]}\n");

    (void)state;
    in(d, "in eth1 203.0.113.9/40000 > 192.0.2.1/443 tcp local", "web takes: to 192.168.1.10/8443");
    in(d, "in eth1 203.0.113.9/40000 > 192.0.2.1/443 udp local", "");
    in(d, "in eth0 192.168.1.7/40000 > 192.0.2.1/443 tcp local far",
            "web takes: to 192.168.1.10/8443");
    in(d, "in eth0 192.168.1.7/40000 > 192.168.1.1/443 tcp local", "");
    in(d, "in eth1 203.0.113.9/40000 > 192.0.2.1/5004 udp local",
            "many takes: to 192.168.1.11/6004");
    in(d, "in eth1 198.51.100.9/40000 > 192.0.2.1/5004 udp local", "");
    across(d, "in eth1 out eth0 203.0.113.9/40000 > 192.168.1.10/8443 tcp dnat",
            "web takes: accept");
    across(d, "in eth1 out eth0 203.0.113.9/40000 > 192.168.1.10/8443 tcp", "");
    across(d, "in eth0 out eth1 192.168.1.10/8443 > 203.0.113.9/40000 tcp dnat reply",
            "web takes: accept");
    out(d, "in eth0 out eth0 192.168.1.7/40000 > 192.168.1.10/8443 tcp dnat",
            "web takes: from 192.0.2.99/40000");
    out(d, "in eth0 out eth0 192.168.1.7/40000 > 192.168.1.10/8443 tcp", "");
}

static void test_network_map(void **state)
{
    NSH_CLEANUP(nsh_desired_freep)
    struct nsh_desired *d = settled(
            "network-map:\n"
            "  - {name: four, dev: eth1, inside: 10.1.0.0/20, outside: 192.168.16.0/20}\n"
            "  - {name: six, dev: eth1, inside: 'fd00:1::/48', outside: '2001:db8:7::/48'}\n");

    (void)state;
    out(d, "in eth0 out eth1 10.1.5.6 > 192.0.2.9", "four takes: from 192.168.21.6/0");
    in(d, "in eth1 192.0.2.9 > 192.168.21.6", "four takes: to 10.1.5.6/0");
    in(d, "in eth0 192.0.2.9 > 192.168.21.6", "");
    out(d, "in eth0 out eth1 fd00:1:0:2::5 > 2001:db8::1", "six takes: from 2001:db8:7:2::5/0");
    in(d, "in eth1 2001:db8::1 > 2001:db8:7:2::5", "six takes: to fd00:1:0:2::5/0");
}

/* ---- what is not in force ---- */

static void test_lacks(void **state)
{
    NSH_CLEANUP(nsh_desired_freep)
    struct nsh_desired *d = settled("masquerade:\n"
                                    "  - {name: a, family: ipv4, out: [eth1], "
                                    "when: {dev-up: eth1}}\n"
                                    "  - {name: b, family: ipv4, out: [eth1], "
                                    "to-source: 192.0.2.50}\n");
    struct nsh_packet p = packet_of("in eth0 out eth1 10.0.0.2 > 192.0.2.9");
    bool lacks[8] = {0};
    struct told t = {0};

    (void)state;
    for (size_t i = 1; i < d->n_gates; i++)
        d->gate_states[i].open = false;
    nsh_desired_settle(d);
    out(d, "in eth0 out eth1 10.0.0.2 > 192.0.2.9", "a lacks, b takes: from 192.0.2.50/0");
    for (size_t i = 1; i < d->n_gates; i++)
        d->gate_states[i].open = true;
    nsh_desired_settle(d);
    out(d, "in eth0 out eth1 10.0.0.2 > 192.0.2.9", "a takes: from 192.0.2.99/0");
    for (size_t i = 0; i < d->n_chains && i < NSH_ARRAY_SIZE(lacks); i++)
        lacks[i] = true;
    assert_null(nsh_walk(d, NSH_TABLE_NAT, "POSTROUTING", &p, lacks, see, &t, NULL));
    assert_string_equal(t.text, "a lacks, b lacks");
}

static int setup(void **state)
{
    (void)state;
    (void)umask(022);
    return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    return unlink("a.yaml") | chdir("/") | rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_devices_and_addresses),
            cmocka_unit_test(test_exceptions_and_order),
            cmocka_unit_test(test_protocols_and_ports),
            cmocka_unit_test(test_sets),
            cmocka_unit_test(test_share),
            cmocka_unit_test(test_port_forward),
            cmocka_unit_test(test_network_map),
            cmocka_unit_test(test_lacks),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
