/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "packet.h"

static struct nsh_prefix prefix(const char *text)
{
    struct nsh_prefix p = {.family = AF_UNSPEC};

    if (text[0] != '\0')
        assert_int_equal(nsh_prefix_parse(text, &p), NSH_PREFIX_OK);
    return p;
}

static struct nsh_packet_rule rule(
        const char *from, const char *to, const char *out, enum nsh_packet_action action)
{
    struct nsh_packet_rule r = {.from = prefix(from), .to = prefix(to), .action = action};

    memcpy(r.out, out, strlen(out) + 1);
    return r;
}

static void check(struct nsh_packet_rule r, const char *text)
{
    char buf[128], small[8];

    assert_string_equal(nsh_packet_rule_format(&r, buf, sizeof(buf)), text);
    nsh_packet_rule_format(&r, small, sizeof(small));
    assert_memory_equal(small, buf, strlen(small));
}

static void test_format(void **state)
{
    struct nsh_packet_rule jump = rule("", "", "", NSH_PACKET_JUMP);

    (void)state;
    strcpy(jump.target, "NETSHARED-lan-out");
    check(rule("10.0.0.0/8", "", "eth0", NSH_PACKET_MASQUERADE),
            "-s 10.0.0.0/8 -o eth0 -j MASQUERADE");
    check(rule("10.0.0.1", "192.0.2.0/24", "wan+", NSH_PACKET_MASQUERADE),
            "-s 10.0.0.1/32 -d 192.0.2.0/24 -o wan+ -j MASQUERADE");
    check(rule("", "", "+", NSH_PACKET_MASQUERADE), "-j MASQUERADE");
    check(rule("", "fd00::/8", "", NSH_PACKET_RETURN), "-d fd00::/8 -j RETURN");
    check((struct nsh_packet_rule){.states = NSH_STATE_INVALID, .action = NSH_PACKET_RETURN},
            "-m conntrack --ctstate INVALID -j RETURN");
    check(jump, "-j NETSHARED-lan-out");
}

static void test_equal(void **state)
{
    struct nsh_packet_rule a = rule("10.0.0.0/8", "", "eth0", NSH_PACKET_MASQUERADE), b = a;

    (void)state;
    assert_true(nsh_packet_rule_equal(&a, &b));
    b = rule("10.0.0.0/9", "", "eth0", NSH_PACKET_MASQUERADE);
    assert_false(nsh_packet_rule_equal(&a, &b));
    b = rule("10.0.0.0/8", "10.0.0.0/8", "eth0", NSH_PACKET_MASQUERADE);
    assert_false(nsh_packet_rule_equal(&a, &b));
    b = rule("10.0.0.0/8", "", "eth0+", NSH_PACKET_MASQUERADE);
    assert_false(nsh_packet_rule_equal(&a, &b));
    b = rule("10.0.0.0/8", "", "", NSH_PACKET_MASQUERADE);
    assert_false(nsh_packet_rule_equal(&a, &b));
    b = rule("10.0.0.0/8", "", "eth0", NSH_PACKET_RETURN);
    assert_false(nsh_packet_rule_equal(&a, &b));
}

static void test_equal_any(void **state)
{
    struct nsh_packet_rule a = rule("0.0.0.0/0", "::/0", "+", NSH_PACKET_MASQUERADE);
    struct nsh_packet_rule b = rule("", "", "", NSH_PACKET_MASQUERADE);

    (void)state;
    assert_true(nsh_packet_rule_equal(&a, &b));
    assert_true(nsh_packet_rule_equal(&b, &a));
}

static void test_equal_other(void **state)
{
    struct nsh_packet_rule a = rule("", "", "", NSH_PACKET_OTHER);

    (void)state;
    assert_false(nsh_packet_rule_equal(&a, &a));
}

static void test_equal_jump(void **state)
{
    struct nsh_packet_rule a = rule("", "", "", NSH_PACKET_JUMP), b = a;

    (void)state;
    strcpy(a.target, "NETSHARED-a");
    strcpy(b.target, "NETSHARED-b");
    assert_false(nsh_packet_rule_equal(&a, &b));
    assert_true(nsh_packet_rule_equal(&a, &a));
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(nsh_table_name(NSH_TABLE_NAT), "nat");
    assert_string_equal(nsh_table_name(NSH_TABLE_RAW), "raw");
    assert_true(nsh_chain_is_ours("NETSHARED-lan"));
    assert_false(nsh_chain_is_ours("NETSHARED"));
    assert_false(nsh_chain_is_ours("MY-NETSHARED-lan"));
    assert_false(nsh_chain_is_ours("POSTROUTING"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_format),
            cmocka_unit_test(test_equal),
            cmocka_unit_test(test_equal_any),
            cmocka_unit_test(test_equal_other),
            cmocka_unit_test(test_equal_jump),
            cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
