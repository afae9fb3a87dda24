/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a file says, as the chains and sets that it becomes, in iptables' words.
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

static char folder[] = "/tmp/nsh-test-desired-XXXXXX";

static void print_chain(FILE *f, const struct nsh_chain *c)
{
    char rule[NSH_PACKET_RULE_TEXT];

    fprintf(f, "%s%s %s %s%s%s\n", nsh_table_name(c->table), c->family == AF_INET6 ? "6" : "",
            c->name, c->hook ? c->hook : "-", c->position == NSH_POSITION_FIRST ? " first" : "",
            c->standby ? " standby" : "");
    for (size_t i = 0; i < c->n_rules; i++)
        fprintf(f, "  %s\n", nsh_packet_rule_format(&c->rules[i], rule, sizeof(rule)));
}

/* Without the conntrack chain, which is the same for all. */
static char *describe(const struct nsh_desired *d)
{
    char *text = NULL, prefix[NSH_PREFIX_TEXT];
    size_t size;
    FILE *f = open_memstream(&text, &size);

    assert_non_null(f);
    for (size_t i = 0; i < d->n_chains; i++)
        if (d->chains[i].table != NSH_TABLE_RAW)
            print_chain(f, &d->chains[i]);
    for (size_t i = 0; i < d->n_sets; i++) {
        fprintf(f, "set%s %s%s:", d->sets[i].family == AF_INET6 ? "6" : "", d->sets[i].name,
                d->sets[i].standby ? " standby" : "");
        for (size_t k = 0; k < d->sets[i].n; k++)
            fprintf(f, " %s", nsh_prefix_format(&d->sets[i].prefixes[k], prefix));
        fputc('\n', f);
    }
    assert_int_equal(fclose(f), 0);
    return text;
}

static void check(const char *yaml, const char *chains)
{
    struct nsh_desired *d = desire(yaml);
    nsh_autofree char *text = describe(d);

    assert_string_equal(text, chains);
    nsh_desired_free(d);
}

#define IPSEC "  -m policy --dir out --pol ipsec -j RETURN\n"

/* ---- masquerade ---- */

static void test_masquerade(void **state)
{
    (void)state;
    check("masquerade: [{name: a, out: eth0}]",
            "nat NETSHARED-a POSTROUTING\n" IPSEC "  -o eth0 -j MASQUERADE\n");
    check("masquerade: [{name: a, out: eth0, enabled: false}]", "");
    check("masquerade: [{name: a, out: eth0, ipsec: include, position: first}]",
            "nat NETSHARED-a POSTROUTING first\n  -o eth0 -j MASQUERADE\n");
    check("masquerade: [{name: a, out: eth0, ipsec: include, except-out: [eth1, tun+],"
          " except-from: 10.0.0.9, except-to: 172.16.0.0/12}]",
            "nat NETSHARED-a POSTROUTING\n"
            "  -s 10.0.0.9/32 -j RETURN\n"
            "  -d 172.16.0.0/12 -j RETURN\n"
            "  -o eth1 -j RETURN\n"
            "  -o tun+ -j RETURN\n"
            "  -o eth0 -j MASQUERADE\n");
}

static void test_masquerade_ports(void **state)
{
    (void)state;
    check("masquerade: [{name: a, out: [eth0, eth1], ipsec: include, protocol: [tcp, udp],"
          " source-port: 1024-65535, destination-port: [53, 80-90], mark: 0x1/0xff,"
          " to-ports: 2000-3000, random: ports}]",
            "nat NETSHARED-a POSTROUTING\n"
#define RULE(out, proto, port)                                                \
    "  -o " out " -p " proto " -m " proto " --sport 1024:65535 --dport " port \
    " -m mark --mark 0x1/0xff -j MASQUERADE --to-ports 2000-3000 --random\n"
            RULE("eth0", "tcp", "53") RULE("eth0", "tcp", "80:90") RULE("eth0", "udp", "53") RULE(
                    "eth0", "udp", "80:90") RULE("eth1", "tcp", "53") RULE("eth1", "tcp", "80:90")
                    RULE("eth1", "udp", "53") RULE("eth1", "udp", "80:90"));
#undef RULE
}

static void test_to_source(void **state)
{
    (void)state;
    check("masquerade:\n"
          "- {name: a, out: eth0, ipsec: include, to-source: 203.0.113.5, random: fully}\n"
          "- {name: b, out: eth0, ipsec: include, to-source: 203.0.113.5-203.0.113.9,"
          " persistent: true}\n"
          "- {name: c, out: eth0, ipsec: include, to-source: \"2001:db8::5\", protocol: tcp,"
          " to-ports: 1000}\n",
            "nat NETSHARED-a POSTROUTING\n"
            "  -o eth0 -j SNAT --to-source 203.0.113.5 --random-fully\n"
            "nat NETSHARED-b POSTROUTING\n"
            "  -o eth0 -j SNAT --to-source 203.0.113.5-203.0.113.9 --persistent\n"
            "nat6 NETSHARED-c POSTROUTING\n"
            "  -o eth0 -p tcp -j SNAT --to-source [2001:db8::5]:1000\n");
}

static void test_log(void **state)
{
    (void)state;
    check("masquerade: [{name: sixteen-letters-, out: [a, b], ipsec: include, log: true,"
          " except-to: 10.0.0.0/8}]",
            "nat NETSHARED-sixteen-letters- POSTROUTING\n"
            "  -d 10.0.0.0/8 -j RETURN\n"
#define LOG "-m limit --limit 1/sec --limit-burst 10 -j LOG --log-prefix "
            "  -o a " LOG "\"netshared sixteen-letters-: \"\n"
            "  -o a -j MASQUERADE\n"
            "  -o b " LOG "\"netshared sixteen-letters-: \"\n"
            "  -o b -j MASQUERADE\n");
}

/* ---- sets ---- */

static void test_sets(void **state)
{
    (void)state;
    check("masquerade:\n"
          "- name: sixteen-letters-\n"
          "  out: eth0\n"
          "  ipsec: include\n"
          "  from: [10.9.0.0/16, 10.3.0.1, 10.3.0.0/24, 10.1.0.0/16, 10.1.2.0/24, 10.2.0.0/16,\n"
          "    10.5.0.0/16, 10.6.0.0/16, 10.7.0.0/16, \"fd00::/8\"]\n"
          "  except-to: [1.0.0.0/8, 2.0.0.0/8, 3.0.0.0/8, 4.0.0.0/8, 5.0.0.0/8, 6.0.0.0/8,\n"
          "    7.0.0.0/8, 8.0.0.0/8]\n"
          "- {name: b, out: eth0, ipsec: include, from: {file: many}, except-to: {file: many},\n"
          "   family: ipv6, when: {dev-up: eth0}}\n",
            "nat NETSHARED-sixteen-letters- POSTROUTING\n"
            "  -d 1.0.0.0/8 -j RETURN\n"
            "  -d 2.0.0.0/8 -j RETURN\n"
            "  -d 3.0.0.0/8 -j RETURN\n"
            "  -d 4.0.0.0/8 -j RETURN\n"
            "  -d 5.0.0.0/8 -j RETURN\n"
            "  -d 6.0.0.0/8 -j RETURN\n"
            "  -d 7.0.0.0/8 -j RETURN\n"
            "  -d 8.0.0.0/8 -j RETURN\n"
            "  -o eth0 -m set --match-set netshared-sixteen-letters-_f4 src -j MASQUERADE\n"
            "nat6 NETSHARED-sixteen-letters- POSTROUTING\n"
            "  -s fd00::/8 -o eth0 -j MASQUERADE\n"
            "nat6 NETSHARED-b POSTROUTING standby\n"
            "  -m set --match-set netshared-b_xt6 dst -j RETURN\n"
            "  -o eth0 -m set --match-set netshared-b_f6 src -j MASQUERADE\n"
            "set netshared-sixteen-letters-_f4: 10.1.0.0/16 10.2.0.0/16 10.5.0.0/16 10.6.0.0/16"
            " 10.7.0.0/16 10.9.0.0/16 10.3.0.0/24\n"
            "set6 netshared-b_f6 standby: 2001:db8:1::/48 2001:db8:2::/48 2001:db8:3::/48"
            " 2001:db8:4::/48 2001:db8:5::/48 2001:db8:6::/48 2001:db8:7::/48 2001:db8:8::/48"
            " 2001:db8:9::/48\n"
            "set6 netshared-b_xt6 standby: 2001:db8:1::/48 2001:db8:2::/48 2001:db8:3::/48"
            " 2001:db8:4::/48 2001:db8:5::/48 2001:db8:6::/48 2001:db8:7::/48 2001:db8:8::/48"
            " 2001:db8:9::/48\n");
}

/* All there is in a list makes it any; nothing makes it nothing. */
static void test_everything_and_nothing(void **state)
{
    (void)state;
    check("masquerade:\n"
          "- {name: all, out: eth0, ipsec: include, from: [{file: many}, 0.0.0.0/0],"
          " family: ipv4}\n"
          "- {name: none, out: eth0, ipsec: include, from: {file: empty}}\n"
          "- {name: exempt, out: eth0, ipsec: include, except-from: {file: empty}}\n"
          "- {name: but-all, out: eth0, ipsec: include, except-from: 0.0.0.0/0}\n",
            "nat NETSHARED-all POSTROUTING\n"
            "  -o eth0 -j MASQUERADE\n"
            "nat NETSHARED-none POSTROUTING\n"
            "nat NETSHARED-exempt POSTROUTING\n"
            "  -o eth0 -j MASQUERADE\n"
            "nat NETSHARED-but-all POSTROUTING\n"
            "  -j RETURN\n"
            "  -o eth0 -j MASQUERADE\n");
}

/* ---- share ---- */

#define CLAMP(option, dev) \
    "  " option " " dev " -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu\n"

static void test_share(void **state)
{
    static const char filter[] = "  -i eth1 -o eth1 -j ACCEPT\n"
                                 "  -i eth1 -o eth0 -m conntrack --ctstate INVALID -j DROP\n"
                                 "  -i eth1 -o eth0 -j ACCEPT\n"
                                 "  -i eth0 -o eth1 -m conntrack --ctstate RELATED,ESTABLISHED"
                                 " -j ACCEPT\n"
                                 "  -i eth0 -o eth1 -m conntrack --ctstate INVALID -j DROP\n"
                                 "  -i eth0 -o eth1 -m conntrack --ctstate DNAT -j ACCEPT\n"
                                 "  -i eth0 -o eth1 -j DROP\n";
    char *want = NULL;

    (void)state;
    assert_true(asprintf(&want,
                        "filter NETSHARED-home FORWARD first\n%s"
                        "nat NETSHARED-home POSTROUTING\n" IPSEC "  -o eth0 -j MASQUERADE\n"
                        "mangle NETSHARED-home FORWARD\n" CLAMP("-o", "eth0") CLAMP(
                                "-i", "eth0") "filter6 NETSHARED-home FORWARD first\n%s"
                                              "mangle6 NETSHARED-home FORWARD\n" CLAMP("-o", "eth0")
                                                      CLAMP("-i", "eth0"),
                        filter, filter) > 0);
    check("share: [{name: home, lan: eth1, wan: eth0}]", want);
    free(want);
}

static void test_share_keys(void **state)
{
    (void)state;
    check("share: [{name: s, lan: [br0, v+], wan: [p0, p1], family: ipv6, ipv6: masquerade,"
          " allow-inbound: true, clamp-mss: false, isolate: true}]",
            "filter6 NETSHARED-s FORWARD first\n"
            "  -i br0 -o br0 -j ACCEPT\n"
            "  -i br0 -o v+ -j DROP\n"
            "  -i v+ -o br0 -j DROP\n"
            "  -i v+ -o v+ -j DROP\n"
            "  -i br0 -o p0 -m conntrack --ctstate INVALID -j DROP\n"
            "  -i br0 -o p1 -m conntrack --ctstate INVALID -j DROP\n"
            "  -i v+ -o p0 -m conntrack --ctstate INVALID -j DROP\n"
            "  -i v+ -o p1 -m conntrack --ctstate INVALID -j DROP\n"
            "  -i br0 -o p0 -j ACCEPT\n"
            "  -i br0 -o p1 -j ACCEPT\n"
            "  -i v+ -o p0 -j ACCEPT\n"
            "  -i v+ -o p1 -j ACCEPT\n"
            "  -i p0 -o br0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"
            "  -i p0 -o v+ -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"
            "  -i p1 -o br0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"
            "  -i p1 -o v+ -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"
            "  -i p0 -o br0 -m conntrack --ctstate INVALID -j DROP\n"
            "  -i p0 -o v+ -m conntrack --ctstate INVALID -j DROP\n"
            "  -i p1 -o br0 -m conntrack --ctstate INVALID -j DROP\n"
            "  -i p1 -o v+ -m conntrack --ctstate INVALID -j DROP\n"
            "  -i p0 -o br0 -m conntrack --ctstate DNAT -j ACCEPT\n"
            "  -i p0 -o v+ -m conntrack --ctstate DNAT -j ACCEPT\n"
            "  -i p1 -o br0 -m conntrack --ctstate DNAT -j ACCEPT\n"
            "  -i p1 -o v+ -m conntrack --ctstate DNAT -j ACCEPT\n"
            "  -i p0 -o br0 -j ACCEPT\n"
            "  -i p0 -o v+ -j ACCEPT\n"
            "  -i p1 -o br0 -j ACCEPT\n"
            "  -i p1 -o v+ -j ACCEPT\n"
            "nat6 NETSHARED-s POSTROUTING\n" IPSEC "  -o p0 -j MASQUERADE\n"
            "  -o p1 -j MASQUERADE\n");
}

/* ---- port-forwards ---- */

static void test_port_forward(void **state)
{
    (void)state;
    check("port-forwards: [{name: web, in: [eth0, ppp+], protocol: tcp, port: 443,"
          " to: 192.168.1.10, to-port: 8443, from: 198.51.100.0/24}]",
            "nat NETSHARED-web PREROUTING\n"
            "  -s 198.51.100.0/24 -i eth0 -p tcp -m tcp --dport 443"
            " -j DNAT --to-destination 192.168.1.10:8443\n"
            "  -s 198.51.100.0/24 -i ppp+ -p tcp -m tcp --dport 443"
            " -j DNAT --to-destination 192.168.1.10:8443\n"
            "filter NETSHARED-web FORWARD first\n"
            "  -d 192.168.1.10/32 -p tcp -m tcp --dport 8443 -m conntrack --ctstate DNAT"
            " -j ACCEPT\n"
            "  -s 192.168.1.10/32 -p tcp -m tcp --sport 8443 -m conntrack --ctstate DNAT"
            " -j ACCEPT\n");
}

static void test_hairpin(void **state)
{
    (void)state;
    check("port-forwards: [{name: dns, in: eth0, protocol: both, port: 53, to: 172.20.0.5,"
          " hairpin: true}]",
            "nat NETSHARED-dns PREROUTING\n"
            "  -i eth0 -p tcp -m tcp --dport 53 -j DNAT --to-destination 172.20.0.5\n"
            "  -i eth0 -p udp -m udp --dport 53 -j DNAT --to-destination 172.20.0.5\n"
#define FAR "-m addrtype --dst-type LOCAL -m addrtype ! --dst-type LOCAL --limit-iface-in"
            "  -s 172.16.0.0/12 -p tcp -m tcp --dport 53 " FAR
            " -j DNAT --to-destination 172.20.0.5\n"
            "  -s 172.16.0.0/12 -p udp -m udp --dport 53 " FAR
            " -j DNAT --to-destination 172.20.0.5\n"
            "nat NETSHARED-dns_h POSTROUTING\n"
            "  -s 172.16.0.0/12 -d 172.20.0.5/32 -p tcp -m tcp --dport 53"
            " -m conntrack --ctstate DNAT -j MASQUERADE\n"
            "  -s 172.16.0.0/12 -d 172.20.0.5/32 -p udp -m udp --dport 53"
            " -m conntrack --ctstate DNAT -j MASQUERADE\n"
            "filter NETSHARED-dns FORWARD first\n"
            "  -d 172.20.0.5/32 -p tcp -m tcp --dport 53 -m conntrack --ctstate DNAT -j ACCEPT\n"
            "  -d 172.20.0.5/32 -p udp -m udp --dport 53 -m conntrack --ctstate DNAT -j ACCEPT\n"
            "  -s 172.20.0.5/32 -p tcp -m tcp --sport 53 -m conntrack --ctstate DNAT -j ACCEPT\n"
            "  -s 172.20.0.5/32 -p udp -m udp --sport 53 -m conntrack --ctstate DNAT"
            " -j ACCEPT\n");
}

#define LET(proto, ports)                                       \
    "filter6 NETSHARED-a FORWARD first\n"                       \
    "  -d fd00::5/128 -p " proto " -m " proto " --dport " ports \
    " -m conntrack --ctstate DNAT -j ACCEPT\n"                  \
    "  -s fd00::5/128 -p " proto " -m " proto " --sport " ports \
    " -m conntrack --ctstate DNAT -j ACCEPT\n"

/* Ports stay as they are, or all become one, or each becomes its own. */
static void test_port_ranges(void **state)
{
    (void)state;
#define FORWARD(rest) \
    "port-forwards: [{name: a, in: eth0, protocol: udp, port: 10-12, to: \"fd00::5\"" rest "}]"
#define LEAD(port, to) "  -i eth0 -p udp -m udp --dport " port " -j DNAT --to-destination " to "\n"
#define PRE "nat6 NETSHARED-a PREROUTING\n"
    check(FORWARD(""), PRE LEAD("10:12", "fd00::5") LET("udp", "10:12"));
    check(FORWARD(", to-port: 10-12"), PRE LEAD("10:12", "fd00::5") LET("udp", "10:12"));
    check(FORWARD(", to-port: 7"), PRE LEAD("10:12", "[fd00::5]:7") LET("udp", "7"));
    check(FORWARD(", to-port: 20-22"), PRE LEAD("10", "[fd00::5]:20") LEAD("11", "[fd00::5]:21")
                                               LEAD("12", "[fd00::5]:22") LET("udp", "20:22"));
}

/* ---- network-map ---- */

static void test_network_map(void **state)
{
    (void)state;
    check("network-map:\n"
          "- {name: office, dev: eth0, inside: 192.168.1.0/24, outside: 10.99.1.0/24}\n"
          "- {name: npt, dev: [a, b+], inside: \"fd00:1::/48\", outside: \"2001:db8:1::/48\"}\n",
            "nat NETSHARED-office PREROUTING\n"
            "  -d 10.99.1.0/24 -i eth0 -j NETMAP --to 192.168.1.0/24\n"
            "nat NETSHARED-office_o POSTROUTING\n"
            "  -s 192.168.1.0/24 -o eth0 -j NETMAP --to 10.99.1.0/24\n"
            "nat6 NETSHARED-npt PREROUTING\n"
            "  -d 2001:db8:1::/48 -i a -j NETMAP --to fd00:1::/48\n"
            "  -d 2001:db8:1::/48 -i b+ -j NETMAP --to fd00:1::/48\n"
            "nat6 NETSHARED-npt_o POSTROUTING\n"
            "  -s fd00:1::/48 -o a -j NETMAP --to 2001:db8:1::/48\n"
            "  -s fd00:1::/48 -o b+ -j NETMAP --to 2001:db8:1::/48\n");
}

/* ---- all together ---- */

/* From the special to the general, whatever the order of the sections. */
static void test_order(void **state)
{
    static const char *const order[] = {"pf", "pf", "nm", "nm", "m2", "m1", "s", "s", "s"};
    struct nsh_desired *d = desire(
            "share: [{name: s, lan: eth1, wan: eth0, family: ipv4}]\n"
            "masquerade: [{name: m2, out: eth0}, {name: m1, out: eth0}]\n"
            "network-map: [{name: nm, dev: eth0, inside: 10.0.0.0/24, outside: 10.1.0.0/24}]\n"
            "port-forwards: [{name: pf, in: eth0, protocol: tcp, port: 1, to: 10.0.0.1}]\n");

    (void)state;
    assert_int_equal(d->n_chains, NSH_ARRAY_SIZE(order) + 1);
    for (size_t i = 0; i < NSH_ARRAY_SIZE(order); i++)
        assert_string_equal(d->chains[i].policy, order[i]);
    assert_string_equal(d->chains[d->n_chains - 1].name, NSH_CHAIN_CONNTRACK);
    assert_int_equal(d->chains[0].kind, NSH_POLICY_PORT_FORWARD);
    assert_int_equal(d->chains[2].kind, NSH_POLICY_NETWORK_MAP);
    assert_int_equal(d->chains[4].kind, NSH_POLICY_MASQUERADE);
    assert_int_equal(d->chains[6].kind, NSH_POLICY_SHARE);
    nsh_desired_free(d);
}

/* Every kind of policy needs it, in the families it is for. */
static void test_forwarding(void **state)
{
    static const char *const four[] = {
            "share: [{name: a, lan: eth1, wan: eth0, family: ipv4}]",
            "port-forwards: [{name: a, in: eth0, protocol: tcp, port: 1, to: 10.0.0.1}]",
            "network-map: [{name: a, dev: eth0, inside: 10.0.0.0/24, outside: 10.1.0.0/24}]",
    };
    struct nsh_desired *d;

    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(four); i++) {
        d = desire(four[i]);
        assert_true(d->forwarding[NSH_V4] && !d->forwarding[NSH_V6]);
        nsh_desired_free(d);
    }
    d = desire("share: [{name: a, lan: eth1, wan: eth0, when: {dev-up: eth0}}]");
    assert_false(d->forwarding[NSH_V4] || d->forwarding[NSH_V6]);
    for (size_t i = 0; i < d->n_chains; i++)
        assert_true(d->chains[i].standby);
    d->gate_states[1].open = true;
    nsh_desired_settle(d);
    assert_true(d->forwarding[NSH_V4] && d->forwarding[NSH_V6]);
    for (size_t i = 0; i < d->n_chains; i++)
        assert_false(d->chains[i].standby);
    nsh_desired_free(d);
}

static int setup(void **state)
{
    FILE *f;

    (void)state;
    (void)umask(022);
    if (!mkdtemp(folder) || chdir(folder) < 0 || !(f = fopen("many", "we")))
        return -1;
    for (int i = 9; i > 0; i--)
        fprintf(f, "2001:db8:%d::/48\n10.%d.0.0/16\n", i, i);
    if (fclose(f) != 0 || !(f = fopen("empty", "we")))
        return -1;
    return fclose(f);
}

static int teardown(void **state)
{
    (void)state;
    return unlink("a.yaml") | unlink("many") | unlink("empty") | chdir("/") | rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_masquerade),
            cmocka_unit_test(test_masquerade_ports),
            cmocka_unit_test(test_to_source),
            cmocka_unit_test(test_log),
            cmocka_unit_test(test_sets),
            cmocka_unit_test(test_everything_and_nothing),
            cmocka_unit_test(test_share),
            cmocka_unit_test(test_share_keys),
            cmocka_unit_test(test_port_forward),
            cmocka_unit_test(test_hairpin),
            cmocka_unit_test(test_port_ranges),
            cmocka_unit_test(test_network_map),
            cmocka_unit_test(test_order),
            cmocka_unit_test(test_forwarding),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
