/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Policies that are right each by itself and can't be meant together: what `check` warns of, with
 * both places, and what it has to be silent about.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cleanup.h"
#include "config.h"

struct advice {
    const char *section;
    const char *a, *b; /* two policies, without their names */
    const char *text;  /* of the warning of b; NULL: none */
};

static bool can_load(const char *text, struct nsh_diags *d)
{
    int n = (int)strlen(text);
    nsh_autoclose int fd = memfd_create("advice", MFD_CLOEXEC);
    struct nsh_config_source source = {.path = "advice.yaml",
            .trust = NSH_TRUST_ADVISE,
            .is_open = true,
            .fd = fd,
            .archive_fd = -1};
    struct nsh_config *c = NULL;

    assert_int_equal(fchmod(fd, 0600), 0);
    assert_int_equal(write(fd, text, (size_t)n), n);
    if (nsh_config_load(&source, d, &c) < 0)
        return false;
    nsh_config_free(c);
    return true;
}

static void load_text(const char *text, struct nsh_diags *d)
{
    bool loaded = can_load(text, d);

    if (!loaded)
        nsh_diags_print(d, stderr);
    assert_true(loaded);
}

/* In lines 4 and 5; what is not about two of them was judged elsewhere. */
static void load(const char *section, const char *a, const char *b, struct nsh_diags *d)
{
    char text[1024];
    int n = snprintf(text, sizeof(text),
            "version: 1\nsettings: {forwarding: leave}\n%s:\n- {name: a, %s}\n- {name: b, %s}\n",
            section, a, b);

    assert_true(n > 0 && (size_t)n < sizeof(text));
    load_text(text, d);
}

static bool is_of_one(const struct nsh_diag *diag)
{
    return strncmp(diag->text, "anyone may use", strlen("anyone may use")) == 0;
}

/* `at`: the line of the policy that is told of; the other one is named with its place. */
static void assert_advice(const struct advice *c, unsigned at)
{
    struct nsh_diags *d = nsh_diags_new();
    const struct nsh_diag *said = NULL;

    load(c->section, c->a, c->b, d);
    for (size_t i = 0; i < nsh_diags_count(d); i++) {
        const struct nsh_diag *diag = nsh_diags_get(d, i);

        if (is_of_one(diag))
            continue;
        if (said || !c->text)
            fail_msg("%s; %s: %s", c->a, c->b, diag->text);
        said = diag;
    }
    if (c->text && !said)
        fail_msg("%s; %s: nothing was said", c->a, c->b);
    if (said) {
        assert_string_equal(said->text, c->text);
        assert_int_equal(said->severity, NSH_DIAG_WARNING);
        assert_int_equal(said->line, at);
        assert_non_null(strstr(
                said->hint, at == 5 ? "'a' is at advice.yaml:4:" : "'b' is at advice.yaml:5:"));
    }
    nsh_diags_free(d);
}

static void assert_all(const struct advice *cases, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_advice(&cases[i], 5);
}

/* What could not be read is nothing that two could both take. */
static void test_bad_ports(void **state)
{
    struct nsh_diags *d = nsh_diags_new();

    (void)state;
    assert_false(can_load("version: 1\nport-forwards:\n"
                          "- {name: a, in: eth0, protocol: tcp, port: http, to: 10.0.0.1}\n"
                          "- {name: b, in: eth0, protocol: tcp, port: 80:90, to: 10.0.0.2}\n",
            d));
    for (size_t i = 0; i < nsh_diags_count(d); i++)
        assert_null(strstr(nsh_diags_get(d, i)->text, "both take"));
    assert_int_equal(nsh_diags_errors(d), 2);
    nsh_diags_free(d);
}

/* ---- port-forwards ---- */

static void test_port_forwards(void **state)
{
    static const char s[] = "port-forwards";
    static const char both[] = "'a' and 'b' both take tcp port 443 of eth0";
    static const struct advice cases[] = {
            {s, "in: eth0, protocol: tcp, port: 443, to: 10.0.0.1",
                    "in: eth0, protocol: tcp, port: 443, to: 10.0.0.2", both},
            {s, "in: eth0, protocol: both, port: 443, to: 10.0.0.1",
                    "in: [eth1, eth0], protocol: tcp, port: 443, to: 10.0.0.2", both},
            {s, "in: eth0, protocol: udp, port: 443, to: 10.0.0.1",
                    "in: eth0, protocol: both, port: 443, to: 10.0.0.2",
                    "'a' and 'b' both take udp port 443 of eth0"},
            {s, "in: eth0, protocol: tcp, port: 400-500, to: 10.0.0.1",
                    "in: eth0, protocol: tcp, port: 450-600, to: 10.0.0.2",
                    "'a' and 'b' both take tcp port 450-500 of eth0"},
            {s, "in: eth+, protocol: tcp, port: 443, to: 10.0.0.1",
                    "in: eth0, protocol: tcp, port: 443, to: 10.0.0.2", both},
            {s, "in: eth0, protocol: tcp, port: 443, to: 10.0.0.1, from: 192.0.2.0/24",
                    "in: eth0, protocol: tcp, port: 443, to: 10.0.0.2, from: 192.0.2.0/25", both},
            {s, "in: eth0, protocol: tcp, port: 443, to: 10.0.0.1",
                    "in: eth0, protocol: tcp, port: 443, to: 10.0.0.2, from: 192.0.2.0/25", both},
            {s, "in: eth0, protocol: tcp, port: 443, to: 10.0.0.1",
                    "in: eth0, protocol: tcp, port: 443, to: 10.0.0.2, when: {dev-up: eth1}", both},
            /* apart from each other */
            {s, "in: eth0, protocol: tcp, port: 443, to: 10.0.0.1",
                    "in: eth1, protocol: tcp, port: 443, to: 10.0.0.2", NULL},
            {s, "in: eth0, protocol: tcp, port: 443, to: 10.0.0.1",
                    "in: eth0, protocol: udp, port: 443, to: 10.0.0.2", NULL},
            {s, "in: eth0, protocol: tcp, port: 443, to: 10.0.0.1",
                    "in: eth0, protocol: tcp, port: 444-500, to: 10.0.0.2", NULL},
            {s, "in: eth0, protocol: tcp, port: 443, to: 10.0.0.1",
                    "in: eth0, protocol: tcp, port: 443, to: 'fd00::2'", NULL},
            {s, "in: eth0, protocol: tcp, port: 443, to: 10.0.0.1, from: 192.0.2.0/25",
                    "in: eth0, protocol: tcp, port: 443, to: 10.0.0.2, from: 192.0.2.128/25", NULL},
            {s, "in: eth0, protocol: tcp, port: 443, to: 10.0.0.1, enabled: false",
                    "in: eth0, protocol: tcp, port: 443, to: 10.0.0.2", NULL},
            /* an exception first, or one that stands in */
            {s, "in: eth0, protocol: tcp, port: 443, to: 10.0.0.1, from: 192.0.2.0/25",
                    "in: eth0, protocol: tcp, port: 443, to: 10.0.0.2", NULL},
            {s, "in: eth0, protocol: tcp, port: 443, to: 10.0.0.1, when: {dev-up: eth1}",
                    "in: eth0, protocol: tcp, port: 443, to: 10.0.0.2", NULL},
    };

    (void)state;
    assert_all(cases, NSH_ARRAY_SIZE(cases));
}

/* ---- network-map ---- */

static void test_network_maps(void **state)
{
    static const char s[] = "network-map";
    static const struct advice cases[] = {
            {s, "dev: eth0, inside: 192.168.1.0/24, outside: 10.9.1.0/24",
                    "dev: eth0, inside: 192.168.2.0/25, outside: 10.9.1.0/25",
                    "'outside' of 'b' on eth0, 10.9.1.0/25, overlaps that of 'a', 10.9.1.0/24"},
            {s, "dev: eth0, inside: 192.168.1.0/25, outside: 10.9.1.0/25",
                    "dev: [eth1, eth0], inside: 192.168.1.0/24, outside: 10.9.2.0/24",
                    "'inside' of 'b' on eth0, 192.168.1.0/24, overlaps that of 'a', "
                    "192.168.1.0/25"},
            {s, "dev: eth0, inside: 'fd00:1::/64', outside: '2001:db8:1::/64'",
                    "dev: eth0, inside: 'fd00:2::/64', outside: '2001:db8:1::/64'",
                    "'outside' of 'b' on eth0, 2001:db8:1::/64, overlaps that of 'a', "
                    "2001:db8:1::/64"},
            {s, "dev: eth0, inside: 192.168.1.0/24, outside: 10.9.1.0/24",
                    "dev: eth1, inside: 192.168.1.0/24, outside: 10.9.1.0/24", NULL},
            {s, "dev: eth0, inside: 192.168.1.0/25, outside: 10.9.1.0/25",
                    "dev: eth0, inside: 192.168.1.128/25, outside: 10.9.1.128/25", NULL},
            {s, "dev: eth0, inside: 192.168.1.0/24, outside: 10.9.1.0/24, enabled: false",
                    "dev: eth0, inside: 192.168.1.0/24, outside: 10.9.1.0/24", NULL},
    };

    (void)state;
    assert_all(cases, NSH_ARRAY_SIZE(cases));
}

/* ---- share ---- */

static void test_shares(void **state)
{
    static const char s[] = "share";
    static const char twice[] = "'b' is between eth1 and eth0, and so is 'a'";
    static const char swapped[] =
            "'b' has eth0 as its 'lan' and eth1 as its 'wan', and 'a' the other way round";
    static const struct advice cases[] = {
            {s, "lan: eth1, wan: eth0", "lan: eth1, wan: eth0", twice},
            {s, "lan: [eth1, eth2], wan: eth0", "lan: [eth3, eth1], wan: [eth4, eth0]", twice},
            {s, "lan: eth1, wan: eth0", "lan: eth1, wan: eth0, family: ipv6", twice},
            {s, "lan: eth1, wan: eth0", "lan: eth0, wan: eth1", swapped},
            {s, "lan: eth1, wan: eth0, when: {dev-up: eth2}", "lan: eth0, wan: eth1", swapped},
            {s, "lan: eth1, wan: eth0", "lan: eth2, wan: eth0", NULL},
            {s, "lan: eth1, wan: eth0", "lan: eth1, wan: eth2", NULL},
            {s, "lan: eth1, wan: eth0", "lan: eth2, wan: eth1", NULL},
            {s, "lan: eth1, wan: eth0, family: ipv4", "lan: eth1, wan: eth0, family: ipv6", NULL},
            {s, "lan: eth1, wan: eth0, enabled: false", "lan: eth0, wan: eth1", NULL},
            {s, "lan: eth1, wan: eth0, when: {dev-up: eth2}",
                    "lan: eth0, wan: eth1, when: {dev-up: eth3}", NULL},
    };

    (void)state;
    assert_all(cases, NSH_ARRAY_SIZE(cases));
}

/* ---- masquerade ---- */

static const char never[] = "'b' can never act: 'a' comes before it and takes all";

static void test_masquerades(void **state)
{
    static const char s[] = "masquerade";
    static const struct advice cases[] = {
            {s, "out: eth0", "out: eth0", never},
            {s, "out: any", "out: [eth0, eth1]", never},
            {s, "out: eth+", "out: eth1+", never},
            {s, "out: eth0", "out: eth0, from: 10.0.0.0/8, protocol: tcp, to-source: 192.0.2.1",
                    never},
            {s, "out: eth0, from: [10.0.0.0/8, 192.168.0.0/16]",
                    "out: eth0, from: [192.168.7.0/24, 10.1.0.0/16]", never},
            {s, "out: eth0, protocol: [tcp, udp], destination-port: [80, 400-500]",
                    "out: eth0, protocol: tcp, destination-port: 443", never},
            {s, "out: eth0, mark: 1", "out: eth0, mark: 1", never},
            {s, "out: eth0, family: [ipv4, ipv6]", "out: eth0, family: ipv6", never},
            {s, "out: eth0", "out: eth0, except-to: 10.0.0.0/8", never},
            {s, "out: eth0, when: {dev-up: eth1}", "out: eth0, when: {dev-up: eth1}", never},
            /* there is something left for it, or may be */
            {s, "out: eth0", "out: [eth0, eth1]", NULL},
            {s, "out: eth0", "out: eth+", NULL},
            {s, "out: eth0, from: 10.0.0.0/8", "out: eth0", NULL},
            {s, "out: eth0, from: 10.1.0.0/16", "out: eth0, from: 10.0.0.0/8", NULL},
            {s, "out: eth0, to: 192.0.2.0/24", "out: eth0", NULL},
            {s, "out: eth0, except-to: 192.0.2.0/24", "out: eth0", NULL},
            {s, "out: eth0, except-from: 10.0.0.0/8", "out: eth0", NULL},
            {s, "out: any, except-out: eth1", "out: eth0", NULL},
            {s, "out: eth0, protocol: tcp", "out: eth0", NULL},
            {s, "out: eth0, protocol: tcp, destination-port: 443",
                    "out: eth0, protocol: tcp, destination-port: 400-500", NULL},
            {s, "out: eth0, mark: 1", "out: eth0", NULL},
            {s, "out: eth0", "out: eth0, family: [ipv4, ipv6]", NULL},
            {s, "out: eth0", "out: eth0, ipsec: include", NULL},
            {s, "out: eth0, enabled: false", "out: eth0", NULL},
            {s, "out: eth0", "out: eth0, enabled: false", NULL},
            {s, "out: eth0, when: {dev-up: eth1}", "out: eth0", NULL},
    };

    (void)state;
    assert_all(cases, NSH_ARRAY_SIZE(cases));
}

/* What has position first comes before what stands earlier in the file. */
static void test_position(void **state)
{
    static const struct advice overtaken = {"masquerade", "out: eth0", "out: eth0, position: first",
            "'a' can never act: 'b' comes before it and takes all"};
    static const struct advice narrow = {
            "masquerade", "out: eth0", "out: eth0, from: 10.0.0.0/8, position: first", NULL};

    (void)state;
    assert_advice(&overtaken, 4);
    assert_advice(&narrow, 4);
}

/* ---- of different kinds ---- */

static void assert_sides(const char *yaml, unsigned line, const char *text, const char *hint);

static void test_routes(void **state)
{
    static const char hidden[] = "the route default metric 9 can never act: default metric 7 has a "
                                 "lower metric and is there whenever this is";
    static const struct {
        const char *a, *b, *text;
    } cases[] = {
            {"via: 192.0.2.1, dev: eth0, metric: 7", "via: 192.0.2.1, dev: eth0, metric: 9",
                    hidden},
            {"family: ipv4, dev: eth0, metric: 7", "via: 192.0.2.2, dev: eth0, metric: 9", hidden},
            {"via: 192.0.2.1, dev: eth0, metric: 7", "via: 192.0.2.2, dev: eth0, metric: 9", NULL},
            {"type: blackhole, family: ipv4, metric: 7", "via: 192.0.2.2, metric: 9", hidden},
            {"via: 192.0.2.1, dev: eth0, metric: 7", "via: 192.0.2.2, dev: eth1, metric: 9", NULL},
            {"via: 192.0.2.1, metric: 7", "via: 192.0.2.2, metric: 9", NULL},
            {"via: 192.0.2.1, dev: eth0, metric: 7, check: {ping: 192.0.2.9}",
                    "via: 192.0.2.2, dev: eth0, metric: 9", NULL},
            {"via: 192.0.2.1, dev: eth0, metric: 7, when: {dev-up: eth1}",
                    "via: 192.0.2.2, dev: eth0, metric: 9", NULL},
            {"via: 192.0.2.1, dev: eth0, metric: 7, tos: 0x10",
                    "via: 192.0.2.2, dev: eth0, metric: 9", NULL},
            {"via: 192.0.2.1, dev: eth0, metric: 7, table: 5",
                    "via: 192.0.2.2, dev: eth0, metric: 9", NULL},
            {"type: throw, family: ipv4, metric: 7", "via: 192.0.2.2, dev: eth0, metric: 9", NULL},
    };

    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(cases); i++) {
        char yaml[512];

        (void)snprintf(yaml, sizeof(yaml), "routes:\n- {to: default, %s}\n- {to: default, %s}\n",
                cases[i].b, cases[i].a);
        assert_sides(yaml, 3, cases[i].text, "it is at advice.yaml:4:");
    }
}

/* The text of the one warning, with its line; "": there is none. */
static void assert_sides(const char *yaml, unsigned line, const char *text, const char *hint)
{
    struct nsh_diags *d = nsh_diags_new();
    const struct nsh_diag *said = NULL;
    char all[2048];

    (void)snprintf(all, sizeof(all), "version: 1\n%s", yaml);
    load_text(all, d);
    for (size_t i = 0; i < nsh_diags_count(d); i++) {
        const struct nsh_diag *diag = nsh_diags_get(d, i);

        if (is_of_one(diag))
            continue;
        if (said || !text)
            fail_msg("%s: %s", yaml, diag->text);
        said = diag;
    }
    if (text && !said)
        fail_msg("%s: nothing was said", yaml);
    if (said) {
        assert_string_equal(said->text, text);
        assert_int_equal(said->severity, NSH_DIAG_WARNING);
        assert_int_equal(said->line, line);
        assert_non_null(strstr(said->hint, hint));
    }
    nsh_diags_free(d);
}

#define SHARE "share: [{name: home, lan: [eth1, vlan+], wan: eth0}]\n"
#define LEAVE "settings: {forwarding: leave}\n"

static void test_inside(void **state)
{
    static const char in[] =
            "port-forwards: [{name: b, protocol: tcp, port: 80, to: 10.0.0.2, %s}]";
    static const struct {
        const char *keys, *text, *hint;
    } cases[] = {
            {"in: eth0", NULL, NULL},
            {"in: eth1, enabled: false", NULL, NULL},
            {"in: eth1", "'b' takes what comes in by eth1, the 'lan' of 'home'",
                    "'home' is at advice.yaml:2: 'in' is where they come from outside; was "
                    "'hairpin: true' meant"},
            {"in: [eth0, vlan7], hairpin: true",
                    "'b' takes what comes in by vlan7, the 'lan' of 'home'", "already"},
    };

    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(cases); i++) {
        char forward[256], yaml[512];

        (void)snprintf(forward, sizeof(forward), in, cases[i].keys);
        (void)snprintf(yaml, sizeof(yaml), "%s%s", SHARE, forward);
        assert_sides(yaml, 3, cases[i].text, cases[i].hint);
    }
}

static void test_sides(void **state)
{
    static const char leads_in[] =
            "'b' is for what leaves by eth1, the 'lan' of 'home': for nothing that goes out to the "
            "world";

    (void)state;
    assert_sides(LEAVE SHARE "masquerade: [{name: b, out: eth1}]", 4, leads_in, "its 'wan'");
    assert_sides(LEAVE SHARE "masquerade: [{name: b, out: [eth1, eth0]}]", 0, NULL, NULL);
    assert_sides(LEAVE SHARE "masquerade: [{name: b, out: eth1, to: 10.0.0.7}]", 0, NULL, NULL);
    assert_sides(LEAVE "share: [{name: home, lan: eth1, wan: eth0, allow-inbound: true}]\n"
                       "masquerade: [{name: b, out: eth1}]",
            0, NULL, NULL);
    assert_sides(SHARE "network-map: [{name: b, dev: eth1, inside: 10.0.0.0/24, outside: "
                       "10.9.0.0/24}]\nsettings: {forwarding: leave}",
            3, "'b' is known by its outside addresses at eth1, the 'lan' of 'home'",
            "was the 'wan' meant?");
    assert_sides("share: [{name: b, lan: eth1, wan: eth0, isolate: true}]", 2,
            "'b' has one 'lan', and nothing to isolate it from", "leave 'isolate' out");
    assert_sides("share: [{name: b, lan: vlan+, wan: eth0, isolate: true}]", 0, NULL, NULL);
    assert_sides("share: [{name: b, lan: [eth1, eth2], wan: eth0, isolate: true}]", 0, NULL, NULL);
}

/* A list whose only name is wrong has none. */
static void test_isolate_of_nothing(void **state)
{
    struct nsh_diags *d = nsh_diags_new();

    (void)state;
    assert_false(can_load(
            "version: 1\nshare: [{name: b, lan: [\"..\"], wan: eth0, isolate: true}]\n", d));
    assert_int_equal(nsh_diags_errors(d), 1);
    assert_int_equal(nsh_diags_count(d), 1);
    nsh_diags_free(d);
}

/* What a device can be named, and what can be routed to, and nobody means. */
static void test_values(void **state)
{
    static const struct {
        const char *value, *text, *hint;
    } cases[] = {
            {"'eth0,eth1'", "'eth0,eth1' is taken for the name of one device",
                    "several devices are written as a list: [eth0, eth1]"},
            {"'ppp0,eth2'", "'ppp0,eth2' is taken for the name of one device",
                    "several devices are written as a list: [ppp0, eth2]"},
            {"[eth*]", "'eth*' is taken for the name of one device", "as in wan+"},
            {"all", "'all' is taken for the name of one device", "every device is written any"},
            {"192.0.2.1", "'192.0.2.1' is taken for the name of one device", "'ip link'"},
            {"allow0", NULL, NULL},
            {"any", NULL, NULL},
    };
    char yaml[512];

    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(cases); i++) {
        (void)snprintf(
                yaml, sizeof(yaml), LEAVE "masquerade: [{name: b, out: %s}]", cases[i].value);
        assert_sides(yaml, 3, cases[i].text, cases[i].hint);
    }
    assert_sides("routes: [{to: 0.0.0.0, via: 192.0.2.1}]", 2,
            "0.0.0.0 is a single address that nobody has", "write default");
    assert_sides(LEAVE "masquerade: [{name: b, out: eth0, from: '::'}]", 3,
            ":: is a single address that nobody has", "leave the key out to mean any");
    assert_sides("routes: [{to: 0.0.0.0/0, via: 192.0.2.1}]", 0, NULL, NULL);
}

static void test_filter(void **state)
{
    static const char map[] = "network-map: [{name: b, dev: eth0, inside: 10.0.0.0/24, outside: "
                              "10.9.0.0/24}]\n";
    static const char open[] = "'b' switches forwarding on, and nothing here keeps neighbours "
                               "outside from the networks inside";
    char yaml[512];

    (void)state;
    assert_sides(map, 2, open, "a 'share' with this device as its 'wan'");
    (void)snprintf(yaml, sizeof(yaml), "%s%s", map, SHARE);
    assert_sides(yaml, 0, NULL, NULL);
    (void)snprintf(yaml, sizeof(yaml), "%s%s", map, LEAVE);
    assert_sides(yaml, 0, NULL, NULL);
}

static void test_mapped(void **state)
{
    static const char text[] =
            "'b' can never act: the network-map 'm' comes before it and takes all";
    static const struct {
        const char *keys, *text;
    } cases[] = {
            {"from: 10.0.0.0/25, out: eth0", text},
            {"from: [10.0.0.0/25, 10.0.0.128/25], out: [eth0, eth2]", text},
            {"from: 10.0.0.0/25, out: [eth0, eth1]", NULL},
            {"from: 10.0.0.0/16, out: eth0", NULL},
            {"out: eth0", NULL},
            {"from: 10.0.0.0/25, out: eth0, position: first", NULL},
            {"from: 10.0.0.0/25, out: eth0, enabled: false", NULL},
    };

    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(cases); i++) {
        char yaml[512];

        (void)snprintf(yaml, sizeof(yaml),
                LEAVE "network-map: [{name: m, dev: [eth0, eth2], inside: 10.0.0.0/24, outside: "
                      "10.9.0.0/24}]\nmasquerade: [{name: b, %s}]",
                cases[i].keys);
        assert_sides(yaml, 4, cases[i].text, "'m' is at advice.yaml:3:");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_port_forwards),
            cmocka_unit_test(test_bad_ports),
            cmocka_unit_test(test_network_maps),
            cmocka_unit_test(test_shares),
            cmocka_unit_test(test_masquerades),
            cmocka_unit_test(test_position),
            cmocka_unit_test(test_routes),
            cmocka_unit_test(test_inside),
            cmocka_unit_test(test_sides),
            cmocka_unit_test(test_isolate_of_nothing),
            cmocka_unit_test(test_values),
            cmocka_unit_test(test_filter),
            cmocka_unit_test(test_mapped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
