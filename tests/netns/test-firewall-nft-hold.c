/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What of the nftables adapter's stays while somebody flushes everything: as nft lists it, against
 * whoever wants it away, and how it goes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>

#include "nft-world.h"
#include "older-words.h"

#define TEXT(family)                                                                         \
    "table " family " netshared-hold { # progname test-firewall-n\n"                         \
    "\tflags owner\n"                                                                        \
    "\tcomment \"keeps running connections translated over a flush; goes with netshared\"\n" \
    "\n"                                                                                     \
    "\tchain hold {\n"                                                                       \
    "\t\ttype nat hook input priority 100; policy accept;\n"                                 \
    "\t\tct state invalid counter return\n"                                                  \
    "\t}\n"                                                                                  \
    "}\n"

/* nft 0.9.8 does not say whose a table is, and has no word for the flag. */
static const char *in_words_before(const char *text)
{
    static const char *const words[][2] = {{"owner", ","}, {" # progname test-firewall-n", ""}};
    static char before[1024];

    snprintf(before, sizeof before, "%s", text);
    for (size_t i = 0; i < NSH_ARRAY_SIZE(words); i++)
        replace_all(before, sizeof before, words[i][0], words[i][1]);
    return before;
}

static void assert_holds(const char *text)
{
    const char *out = listing("--stateless list ruleset");

    assert_string_equal(out, strstr(out, "flags ,") ? in_words_before(text) : text);
}

static void hold(int family, bool on)
{
    assert_int_equal(fw->ops->hold(fw, family, on), 0);
}

static void test_it_stays_over_a_flush(void **state)
{
    static const char *const commands[] = {
            "flush ruleset",
            "delete table ip netshared-hold",
            "flush table ip netshared-hold",
            "delete chain ip netshared-hold hold",
            "add rule ip netshared-hold hold accept",
            "add table ip netshared-hold { flags dormant; }",
    };

    (void)state;
    hold(AF_INET, true);
    nft("add table ip mine");
    for (size_t i = 0; i < NSH_ARRAY_SIZE(commands); i++) {
        assert_int_equal(try_nft(commands[i]) != 0, i > 0);
        assert_holds(TEXT("ip"));
    }
    hold(AF_INET6, true);
    nft("flush ruleset");
    assert_holds(TEXT("ip") TEXT("ip6"));
}

static void test_it_goes(void **state)
{
    (void)state;
    hold(AF_INET, false);
    hold(AF_INET, true);
    hold(AF_INET6, true);
    hold(AF_INET, false);
    assert_holds(TEXT("ip6"));
    hold(AF_INET, false);
    hold(AF_INET, true);
    nsh_firewall_free(fw);
    fw = NULL;
    assert_string_equal(listing("list ruleset"), "");
}

/* Once it is there, nothing is written any more. */
static void test_it_is_made_once(void **state)
{
    nsh_autofree char *before = NULL;

    (void)state;
    hold(AF_INET, true);
    before = strdup(listing("-a list ruleset"));
    assert_non_null(strstr(before, "# handle 1"));
    hold(AF_INET, true);
    assert_string_equal(listing("-a list ruleset"), before);
}

/* A file with all rules brings one that is nobody's. */
static void test_one_that_is_nobodys(void **state)
{
    (void)state;
    nft("add table ip netshared-hold");
    nft("add chain ip netshared-hold other");
    hold(AF_INET, true);
    assert_holds(TEXT("ip"));
    hold(AF_INET, false);
    nft("add table ip netshared-hold");
    hold(AF_INET, false);
    assert_string_equal(listing("list ruleset"), "");
}

static void test_one_that_is_somebodys(void **state)
{
    struct nsh_firewall *other;

    (void)state;
    assert_int_equal(nsh_firewall_nft_new(&other), 0);
    assert_int_equal(other->ops->hold(other, AF_INET, true), 0);
    assert_int_equal(fw->ops->hold(fw, AF_INET, true), -EPERM);
    assert_int_equal(fw->ops->hold(fw, AF_INET, false), -EPERM);
    hold(AF_INET6, true);
    nsh_firewall_free(other);
    hold(AF_INET, true);
    assert_holds(TEXT("ip6") TEXT("ip"));
}

/* It is ours, and no NAT of others. */
static void test_it_is_not_of_others(void **state)
{
    struct nsh_firewall *other;

    (void)state;
    assert_int_equal(nsh_firewall_nft_new(&other), 0);
    hold(AF_INET, true);
    assert_int_equal(fw->ops->others_translate(fw), 0);
    assert_int_equal(other->ops->others_translate(other), 0);
    nsh_firewall_free(other);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_fresh, world_done)

int main(void)
{
    const struct CMUnitTest tests[] = {
            TEST(test_it_stays_over_a_flush),
            TEST(test_it_goes),
            TEST(test_it_is_made_once),
            TEST(test_one_that_is_nobodys),
            TEST(test_one_that_is_somebodys),
            TEST(test_it_is_not_of_others),
    };
    unsigned int major, minor;
    struct utsname kernel;

    assert_int_equal(uname(&kernel), 0);
    if (sscanf(kernel.release, "%u.%u", &major, &minor) == 2 && major * 1000 + minor < 5012) {
        puts("1..0 # SKIP before Linux 5.12 nobody can own a table");
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
