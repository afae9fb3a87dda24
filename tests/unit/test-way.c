/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which rule and which route decide, of rules and routes that were observed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fib-fake.h"
#include "way.h"

/* A kernel to which the words of ip(8) were said, and a look at it. */
struct world {
    struct nsh_fib_fake *kernel;
    struct nsh_fib *fib;
    struct nsh_ways ways;
};

static void world_done(struct world *w)
{
    nsh_ways_done(&w->ways);
    nsh_fib_free(w->fib);
    nsh_fib_fake_free(w->kernel);
}

static void say(struct world *w, const char *const *words)
{
    for (; *words; words++)
        if (nsh_fib_fake_ip(w->kernel, *words) < 0)
            fail_msg("ip %s", *words);
}

static void begin(struct world *w, const char *const *words)
{
    static const char *const common[] = {"link add eth0", "link set eth0 up", "link add eth1",
            "link set eth1 up", "addr add 10.0.0.1/24 dev eth0", "addr add 192.0.2.1/24 dev eth1",
            "addr add 2001:db8:b::1/64 dev eth1", NULL};

    assert_int_equal(nsh_fib_fake_new(&w->kernel), 0);
    assert_int_equal(nsh_fib_fake_open(w->kernel, &w->fib), 0);
    say(w, common);
    say(w, words);
}

/* The rule's priority and the route, as "1000: 198.51.100.0/24 table 100"; "?" if not certain. */
static void expect(
        struct world *w, struct nsh_way_query q, const char *from, const char *to, const char *want)
{
    union nsh_addr src, dst;
    struct nsh_way way;
    char text[256], key[200] = "";
    uint8_t family;

    assert_true(nsh_addr_parse(from, &family, &src) && nsh_addr_parse(to, &q.family, &dst));
    q.from = &src;
    q.to = &dst;
    nsh_ways_done(&w->ways);
    nsh_ways_want(&w->ways, q.family, &dst);
    assert_int_equal(w->fib->ops->rules_dump(w->fib, nsh_ways_see_rule, &w->ways), 0);
    assert_int_equal(
            nsh_fib_dump(w->fib, &(struct nsh_fib_filter){0}, nsh_ways_see_route, &w->ways), 0);
    nsh_way_find(&w->ways, &q, &way);
    if (way.route)
        nsh_route_format_key(way.route, key, sizeof key);
    if (!way.rule)
        snprintf(text, sizeof text, "nowhere");
    else
        snprintf(text, sizeof text, "%u: %s%s", way.rule->priority, key, way.certain ? "" : "?");
    if (strcmp(text, want) != 0)
        fail_msg("%s > %s: got %s, wanted %s", from, to, text, want);
}

#define FROM_ETH0     \
    {                 \
        .iif = "eth0" \
    }

static void test_routes(void **state)
{
    static const char *const words[] = {"route add 198.51.0.0/16 via 192.0.2.2 dev eth1",
            "route add 198.51.100.0/24 via 192.0.2.3 dev eth1 metric 7",
            "route add 198.51.100.0/24 via 192.0.2.4 dev eth1 metric 3",
            "route add blackhole 198.51.100.128/25", NULL};
    NSH_CLEANUP(world_done) struct world w = {0};
    const struct nsh_way_query q = FROM_ETH0;

    (void)state;
    begin(&w, words);
    expect(&w, q, "10.0.0.2", "198.51.7.1", "32766: 198.51.0.0/16");
    expect(&w, q, "10.0.0.2", "198.51.100.1", "32766: 198.51.100.0/24 metric 3");
    expect(&w, q, "10.0.0.2", "198.51.100.129", "32766: 198.51.100.128/25");
    expect(&w, q, "10.0.0.2", "192.0.2.9", "32766: 192.0.2.0/24");
    expect(&w, q, "10.0.0.2", "192.0.2.1", "0: 192.0.2.1 table local");
    expect(&w, q, "10.0.0.2", "203.0.113.1", "nowhere");
    expect(&w, q, "2001:db8::2", "2001:db8:b::9", "32766: 2001:db8:b::/64 metric 256");
}

static void test_rules(void **state)
{
    static const char *const words[] = {"route add 198.51.100.0/24 via 192.0.2.2 dev eth1",
            "route add default via 192.0.2.3 dev eth1 table 100",
            "route add 198.51.100.0/24 via 192.0.2.4 dev eth1 table 101",
            "route add throw 198.51.100.0/24 table 102",
            "rule add from 10.0.0.0/24 lookup 100 priority 1000",
            "rule add fwmark 7 prohibit priority 900",
            "rule add fwmark 0x10/0xf0 iif eth0 lookup 101 priority 800",
            "rule add from 10.9.0.0/16 lookup 102 priority 700",
            "rule add from 10.8.0.0/16 goto 32766 priority 600",
            "rule add not to 198.51.0.0/16 blackhole priority 950", NULL};
    NSH_CLEANUP(world_done) struct world w = {0};
    struct nsh_way_query q = FROM_ETH0;

    (void)state;
    begin(&w, words);
    expect(&w, q, "10.0.0.2", "198.51.100.1", "1000: default table 100");
    expect(&w, q, "10.0.1.2", "198.51.100.1", "32766: 198.51.100.0/24");
    expect(&w, q, "10.9.0.2", "198.51.100.1", "32766: 198.51.100.0/24");
    expect(&w, q, "10.8.0.2", "198.51.100.1", "32766: 198.51.100.0/24");
    expect(&w, q, "10.0.0.2", "198.50.100.1", "950: ");
    q.mark = 7;
    expect(&w, q, "10.0.0.2", "198.51.100.1", "900: ");
    q.mark = 0x17;
    expect(&w, q, "10.0.0.2", "198.51.100.1", "800: 198.51.100.0/24 table 101");
    snprintf(q.iif, sizeof q.iif, "eth1");
    expect(&w, q, "10.0.0.2", "198.51.100.1", "1000: default table 100");
}

static void write_rule(struct world *w, const struct nsh_rule *rule)
{
    assert_int_equal(
            nsh_fib_fake_rule_write(w->kernel, rule, NSH_FIB_RULE_ADD, NSH_FIB_FAKE_SOMEBODY), 0);
}

static void test_what_a_rule_suppresses(void **state)
{
    static const char *const words[] = {"route add default via 192.0.2.3 dev eth1",
            "route add 198.51.100.0/24 via 192.0.2.2 dev eth1",
            "route add default via 192.0.2.4 dev eth1 table 100",
            "rule add from all lookup 100 priority 1001", NULL};
    NSH_CLEANUP(world_done) struct world w = {0};
    struct nsh_rule rule = nsh_fib_fake_rule(AF_INET, 1000, RT_TABLE_MAIN);
    const struct nsh_way_query q = FROM_ETH0;

    (void)state;
    begin(&w, words);
    rule.suppress_length = 0;
    write_rule(&w, &rule);
    expect(&w, q, "10.0.0.2", "198.51.100.1", "1000: 198.51.100.0/24");
    expect(&w, q, "10.0.0.2", "203.0.113.1", "1001: default table 100");
}

static void test_what_is_not_certain(void **state)
{
    static const char *const words[] = {"route add default via 192.0.2.3 dev eth1",
            "route add default via 192.0.2.4 dev eth1 table 100", NULL};
    NSH_CLEANUP(world_done) struct world w = {0};
    struct nsh_rule rule = nsh_fib_fake_rule(AF_INET, 1000, 100);
    struct nsh_way_query q = FROM_ETH0;

    (void)state;
    begin(&w, words);
    rule.uids = (struct nsh_range){1000, 1000};
    write_rule(&w, &rule);
    /* What is forwarded is not theirs; of this machine's own packets nobody can know. */
    expect(&w, q, "10.0.0.2", "203.0.113.1", "32766: default");
    snprintf(q.iif, sizeof q.iif, "lo");
    expect(&w, q, "192.0.2.1", "203.0.113.1", "32766: default?");
}

static void test_protocols_and_ports(void **state)
{
    static const char *const words[] = {"route add default via 192.0.2.3 dev eth1",
            "route add default via 192.0.2.4 dev eth1 table 100", NULL};
    NSH_CLEANUP(world_done) struct world w = {0};
    struct nsh_rule rule = nsh_fib_fake_rule(AF_INET, 1000, 100);
    struct nsh_way_query q = {.iif = "eth0", .protocol = IPPROTO_TCP, .destination_port = 443};

    (void)state;
    begin(&w, words);
    rule.ip_protocol = IPPROTO_TCP;
    rule.destination_port = (struct nsh_range){400, 500};
    write_rule(&w, &rule);
    expect(&w, q, "10.0.0.2", "203.0.113.1", "1000: default table 100");
    q.destination_port = 501;
    expect(&w, q, "10.0.0.2", "203.0.113.1", "32766: default");
    q.destination_port = 443;
    q.protocol = IPPROTO_UDP;
    expect(&w, q, "10.0.0.2", "203.0.113.1", "32766: default");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_routes),
            cmocka_unit_test(test_rules),
            cmocka_unit_test(test_what_a_rule_suppresses),
            cmocka_unit_test(test_what_is_not_certain),
            cmocka_unit_test(test_protocols_and_ports),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
