/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether a rule of others could take what a chain is for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "ahead.h"
#include "cleanup.h"
#include "desired.h"

#define P4(a, b, c, d, n)                                                     \
    {                                                                         \
        .family = AF_INET, .length = (n), .addr.bytes = {(a), (b), (c), (d) } \
    }
#define ANY      \
    {            \
        .in = "" \
    }
#define TEN P4(10, 0, 0, 0, 8)
#define HOME P4(10, 1, 0, 0, 16)
#define GUEST P4(10, 2, 0, 0, 16)
#define LET_GO                      \
    {                               \
        .action = NSH_PACKET_RETURN \
    }

static const struct {
    struct nsh_packet_rule needs, spares, first, second; /* of the chain */
    bool takes;
} cases[] = {
        /* devices */
        {ANY, ANY, {.out = "eth1"}, {.action = NSH_PACKET_LOG}, true},
        {{.out = "eth1"}, ANY, {.out = "eth1"}, LET_GO, true},
        {{.out = "eth1"}, ANY, {.out = "eth10"}, LET_GO, false},
        {{.out = "eth1"}, ANY, {.out = "eth+"}, LET_GO, true},
        {{.out = "eth+"}, ANY, {.out = "eth1"}, LET_GO, true},
        {{.out = "wan+"}, ANY, {.out = "eth+"}, LET_GO, false},
        {{.out = "e+"}, ANY, {.out = "eth+"}, LET_GO, true},
        {{.out = "+"}, ANY, {.out = "eth1"}, LET_GO, true},
        {{.in = "eth0"}, ANY, {.in = "eth1"}, LET_GO, false},
        {ANY, {.out = "eth1"}, {.out = "eth1"}, LET_GO, false},
        {ANY, {.out = "eth+"}, {.out = "eth1"}, LET_GO, false},
        {ANY, {.out = "eth1"}, {.out = "eth+"}, LET_GO, true},
        {ANY, {.in = "eth1"}, ANY, LET_GO, true},
        /* addresses */
        {{.from = HOME}, ANY, {.from = TEN}, LET_GO, true},
        {{.from = TEN}, ANY, {.from = HOME}, LET_GO, true},
        {{.from = HOME}, ANY, {.from = GUEST}, LET_GO, false},
        {{.to = HOME}, ANY, {.from = GUEST}, LET_GO, true},
        {ANY, {.from = TEN}, {.from = HOME}, LET_GO, false},
        {ANY, {.from = HOME}, {.from = TEN}, LET_GO, true},
        {ANY, {.to = TEN}, {.from = HOME}, LET_GO, true},
        /* protocol, ports, mark */
        {{.protocol = 6}, ANY, {.protocol = 17}, LET_GO, false},
        {{.protocol = 6}, ANY, ANY, LET_GO, true},
        {{.protocol = 6, .destination_port = {80, 90}}, ANY,
                {.protocol = 6, .destination_port = {90, 90}}, LET_GO, true},
        {{.protocol = 6, .destination_port = {80, 90}}, ANY,
                {.protocol = 6, .destination_port = {91, 99}}, LET_GO, false},
        {{.source_port = {1, 9}}, ANY, {.source_port = {10, 19}}, LET_GO, false},
        {{.mark = {1, 3}}, ANY, {.mark = {2, 2}}, LET_GO, false},
        {{.mark = {1, 1}}, ANY, {.mark = {2, 2}}, LET_GO, true},
        /* what the chain lets go before; the second is what it is for */
        {{.to = HOME}, ANY, {.to = TEN, .action = NSH_PACKET_RETURN},
                {.action = NSH_PACKET_MASQUERADE}, false},
        {ANY, ANY, {.to = TEN, .action = NSH_PACKET_RETURN}, {.action = NSH_PACKET_MASQUERADE},
                true},
        {{.to = HOME}, ANY, {.to = TEN, .ipsec = true, .action = NSH_PACKET_RETURN},
                {.action = NSH_PACKET_MASQUERADE}, true},
};

static void test_takes(void **state)
{
    const struct nsh_desired none = {0};

    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(cases); i++) {
        struct nsh_packet_rule rules[] = {cases[i].first, cases[i].second};
        const struct nsh_chain chain = {.family = AF_INET, .rules = rules, .n_rules = 2};
        const struct nsh_ahead_seen ahead = {.needs = cases[i].needs, .spares = cases[i].spares};

        if (rules[1].action != NSH_PACKET_MASQUERADE)
            rules[0].action = NSH_PACKET_MASQUERADE;
        if (nsh_ahead_takes(&ahead, &chain, &none) != cases[i].takes)
            fail_msg("case %zu", i);
    }
}

static void test_sets(void **state)
{
    static const struct nsh_prefix prefixes[] = {HOME, GUEST};
    struct nsh_set set = {.family = AF_INET, .name = "lan", .prefixes = prefixes, .n = 2};
    const struct nsh_desired d = {.sets = &set, .n_sets = 1};
    struct nsh_packet_rule rule = {.from_set = "lan", .action = NSH_PACKET_MASQUERADE};
    const struct nsh_chain chain = {.family = AF_INET, .rules = &rule, .n_rules = 1};
    struct nsh_ahead_seen ahead = {.needs.from = P4(10, 2, 3, 0, 24)};

    (void)state;
    assert_true(nsh_ahead_takes(&ahead, &chain, &d));
    ahead.needs.from = (struct nsh_prefix)P4(10, 3, 0, 0, 16);
    assert_false(nsh_ahead_takes(&ahead, &chain, &d));
    memset(&ahead.needs.from, 0, sizeof ahead.needs.from);
    assert_true(nsh_ahead_takes(&ahead, &chain, &d));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_takes),
            cmocka_unit_test(test_sets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
