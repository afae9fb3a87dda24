/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "addr.h"
#include "cleanup.h"

static const struct {
    const char *text;
    enum nsh_prefix_error error;
    const char *shown; /* when OK or HOST_BITS */
} prefixes[] = {
        {"10.0.0.0/8", NSH_PREFIX_OK, "10.0.0.0/8"},
        {"192.0.2.1", NSH_PREFIX_OK, "192.0.2.1"},
        {"192.0.2.1/32", NSH_PREFIX_OK, "192.0.2.1"},
        {"0.0.0.0/0", NSH_PREFIX_OK, "0.0.0.0/0"},
        {"10.0.0.1/24", NSH_PREFIX_HOST_BITS, "10.0.0.0/24"},
        {"255.255.255.255/1", NSH_PREFIX_HOST_BITS, "128.0.0.0/1"},
        {"10.0.0.1/0", NSH_PREFIX_HOST_BITS, "0.0.0.0/0"},
        {"::/0", NSH_PREFIX_OK, "::/0"},
        {"2001:DB8:0:0::/32", NSH_PREFIX_OK, "2001:db8::/32"},
        {"2001:db8::1/128", NSH_PREFIX_OK, "2001:db8::1"},
        {"2001:db8::1", NSH_PREFIX_OK, "2001:db8::1"},
        {"2001:db8::1/127", NSH_PREFIX_HOST_BITS, "2001:db8::/127"},
        {"2001:db8:8000::/33", NSH_PREFIX_OK, "2001:db8:8000::/33"},
        {"10.0.0.0/33", NSH_PREFIX_LENGTH, NULL},
        {"10.0.0.0/", NSH_PREFIX_LENGTH, NULL},
        {"10.0.0.0/08", NSH_PREFIX_LENGTH, NULL},
        {"10.0.0.0/-1", NSH_PREFIX_LENGTH, NULL},
        {"10.0.0.0/+8", NSH_PREFIX_LENGTH, NULL},
        {"10.0.0.0/8 ", NSH_PREFIX_LENGTH, NULL},
        {"10.0.0.0/8/8", NSH_PREFIX_LENGTH, NULL},
        {"10.0.0.0/4294967304", NSH_PREFIX_LENGTH, NULL},
        {"10.0.0.0/255.0.0.0", NSH_PREFIX_LENGTH, NULL},
        {"::/129", NSH_PREFIX_LENGTH, NULL},
        {"", NSH_PREFIX_BAD, NULL},
        {"/8", NSH_PREFIX_BAD, NULL},
        {"10", NSH_PREFIX_BAD, NULL},
        {"10.0.0", NSH_PREFIX_BAD, NULL},
        {"010.0.0.0/8", NSH_PREFIX_BAD, NULL},
        {"10.0.0.256", NSH_PREFIX_BAD, NULL},
        {" 10.0.0.0/8", NSH_PREFIX_BAD, NULL},
        {"fe80::1%eth0", NSH_PREFIX_BAD, NULL},
        {"1::2::3", NSH_PREFIX_BAD, NULL},
        {"default", NSH_PREFIX_BAD, NULL},
        {"00000000000000000000000000000000000000000000000000000::/8", NSH_PREFIX_BAD, NULL},
};

static void test_prefixes(void **state)
{
    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(prefixes); i++) {
        struct nsh_prefix p;
        char shown[NSH_PREFIX_TEXT];

        memset(&p, 0xff, sizeof(p));
        assert_int_equal(nsh_prefix_parse(prefixes[i].text, &p), prefixes[i].error);
        if (prefixes[i].shown)
            assert_string_equal(nsh_prefix_format(&p, shown), prefixes[i].shown);
        else
            assert_int_equal(p.length, 0xff); /* untouched */
    }
}

static struct nsh_prefix prefix(const char *text)
{
    struct nsh_prefix p;

    assert_int_equal(nsh_prefix_parse(text, &p), NSH_PREFIX_OK);
    return p;
}

static bool contains(const char *p, const char *address)
{
    struct nsh_prefix outer = prefix(p), inner = prefix(address);

    return nsh_prefix_contains(&outer, inner.family, &inner.addr);
}

static void test_contains(void **state)
{
    struct nsh_prefix any = {0}, one = prefix("192.0.2.1");

    (void)state;
    assert_true(contains("10.0.0.0/8", "10.255.255.255"));
    assert_false(contains("10.0.0.0/8", "11.0.0.0"));
    assert_true(contains("0.0.0.0/0", "192.0.2.1"));
    assert_false(contains("0.0.0.0/0", "::1"));
    assert_true(contains("192.0.2.1", "192.0.2.1"));
    assert_false(contains("192.0.2.1", "192.0.2.0"));
    assert_true(contains("2001:db8::/33", "2001:db8:7fff::1"));
    assert_false(contains("2001:db8::/33", "2001:db8:8000::"));
    assert_true(nsh_prefix_contains(&any, AF_INET, &one.addr));
}

static void test_order(void **state)
{
    static const char *const ascending[] = {
            "0.0.0.0/0", "10.0.0.0/8", "11.0.0.0/8", "10.0.0.0/9", "192.0.2.1", "::/0", "::1"};

    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(ascending); i++)
        for (size_t j = 0; j < NSH_ARRAY_SIZE(ascending); j++) {
            struct nsh_prefix a = prefix(ascending[i]), b = prefix(ascending[j]);
            int r = nsh_prefix_cmp(&a, &b);

            assert_int_equal((r > 0) - (r < 0), (i > j) - (i < j));
        }
}

static void test_private(void **state)
{
    static const struct {
        const char *text;
        bool is_private;
    } cases[] = {
            {"10.0.0.1", true},
            {"172.31.255.255", true},
            {"172.32.0.0", false},
            {"192.168.9.9", true},
            {"100.64.0.1", true},
            {"100.128.0.0", false},
            {"192.0.2.1", false},
            {"fd00::1", true},
            {"2001:db8::1", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct nsh_prefix p = prefix(cases[i].text);

        assert_int_equal(nsh_addr_is_private(p.family, &p.addr), cases[i].is_private);
    }
}

static void test_addresses(void **state)
{
    struct nsh_prefix any = {0};
    union nsh_addr addr;
    uint8_t family;
    char text[NSH_ADDR_TEXT], shown[NSH_PREFIX_TEXT];

    (void)state;
    assert_true(nsh_addr_parse("fe80::1", &family, &addr));
    assert_int_equal(family, AF_INET6);
    assert_true(nsh_addr_is_link_local(family, &addr));
    assert_string_equal(nsh_addr_format(family, &addr, text), "fe80::1");
    assert_true(nsh_addr_parse("febf::1", &family, &addr));
    assert_true(nsh_addr_is_link_local(family, &addr));
    assert_true(nsh_addr_parse("fec0::1", &family, &addr));
    assert_false(nsh_addr_is_link_local(family, &addr));
    assert_true(nsh_addr_parse("254.128.0.1", &family, &addr));
    assert_int_equal(family, AF_INET);
    assert_false(nsh_addr_is_link_local(family, &addr));
    assert_false(nsh_addr_is_zero(&addr));
    assert_int_equal(addr.words[1] | addr.words[2] | addr.words[3], 0);
    assert_false(nsh_addr_parse("10.0.0.0/8", &family, &addr));
    assert_true(nsh_addr_parse("::", &family, &addr));
    assert_true(nsh_addr_is_zero(&addr));
    assert_int_equal(nsh_addr_size(AF_INET), 4);
    assert_int_equal(nsh_addr_size(AF_INET6), 16);
    assert_int_equal(nsh_addr_bits(AF_INET), 32);
    assert_int_equal(nsh_addr_bits(AF_INET6), 128);
    assert_string_equal(nsh_prefix_format(&any, shown), "any");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_prefixes),
            cmocka_unit_test(test_contains),
            cmocka_unit_test(test_order),
            cmocka_unit_test(test_private),
            cmocka_unit_test(test_addresses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
