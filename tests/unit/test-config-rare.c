/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is seldom written wrong: prefix files of both families for a route that can be of one, and
 * more of something than there may be.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cleanup.h"
#include "config.h"

static char scratch[] = "/tmp/nsh-test-rare-XXXXXX";

static FILE *create(const char *name)
{
    FILE *to = fopen(name, "we");

    assert_non_null(to);
    return to;
}

/* Its errors hold these words. */
static void assert_error(const char *path, const char *words)
{
    struct nsh_config_source source = {.path = path, .trust = NSH_TRUST_ADVISE, .archive_fd = -1};
    struct nsh_diags *diags = nsh_diags_new();
    struct nsh_config *config = NULL;
    nsh_autofree char *text = NULL;

    assert_int_equal(nsh_config_load(&source, diags, &config), -EINVAL);
    text = nsh_diags_format(diags);
    if (!strstr(text, words))
        fail_msg("'%s' is not in\n%s", words, text);
    nsh_diags_free(diags);
    unlink(path);
}

static void test_files_of_both_families(void **state)
{
    static const struct {
        const char *keys, *error;
    } cases[] = {
            {"dev: eth0, source: 10.0.0.1", "both:2:1: error: this prefix is IPv6, and the source"},
            {"dev: eth0, source: \"2001:db8::1\"",
                    "both:1:1: error: this prefix is IPv4, and the source is IPv6"},
            {"dev: eth0, tos: 0x08", "both:2:1: error: this prefix is IPv6, and 'tos' is for IPv4"},
            {"dev: eth0, mtu: 1000", "this prefix is IPv6, and the 'mtu' is less than 1280"},
            {"dev: eth0, via: 192.0.2.1", "this prefix is IPv6, and the gateway is IPv4"},
            {"dev: eth0, via: \"2001:db8::1\"", "this prefix is IPv4, and the gateway is IPv6"},
            {"nexthops: [{dev: eth0}, {dev: eth1}]",
                    "this prefix is IPv6, and one of several nexthops has no gateway"},
            {"nexthops: [{dev: eth0, check: {ping: 192.0.2.1}}, {dev: eth1}]",
                    "this prefix is IPv6, and the check asks an IPv4 address"},
            {"nexthops: [{via: \"2001:db8::1\", dev: eth0, check: {ping: \"2001:db8::1\"}},\n"
             "      {via: \"2001:db8::2\", dev: eth1}]",
                    "this prefix is IPv4, and the check asks an IPv6 address"},
    };
    FILE *to = create("both");

    (void)state;
    fputs("10.0.0.0/8\n2001:db8::/32\n", to);
    fclose(to);
    for (size_t i = 0; i < NSH_ARRAY_SIZE(cases); i++) {
        to = create("a.yaml");
        fprintf(to, "version: 1\nroutes:\n  - {to: {file: both}, %s}\n", cases[i].keys);
        fclose(to);
        assert_error("a.yaml", cases[i].error);
    }
    unlink("both");
}

static void test_a_name_that_says_nothing(void **state)
{
    static const struct {
        const char *text, *error;
    } cases[] = {
            {"routes:\n  - {to: 10.0.0.0/8, dev: eth0, table: unspec}\n",
                    "table 'unspec' (0) holds no routes"},
            {"masquerade:\n  - {name: a, out: [eth0], protocol: ipv6-icmp}\n",
                    "hint: write icmpv6"},
    };

    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(cases); i++) {
        FILE *to = create("a.yaml");

        fprintf(to, "version: 1\n%s", cases[i].text);
        fclose(to);
        assert_error("a.yaml", cases[i].error);
    }
}

static void test_too_many(void **state)
{
    static const struct {
        const char *start, *before, *behind, *end; /* many times: before, a number, behind */
        unsigned int n;
        const char *error;
    } cases[] = {
            {"masquerade:\n- {name: a, protocol: tcp, out: [eth0], destination-port: [", "", ", ",
                    "9999]}\n", 257, "more than 256 entries in 'destination-port'"},
            {"masquerade:\n- {name: a, out: [", "d", ", ", "last]}\n", 65537,
                    "more than 65536 devices"},
            {"routes:\n", "- {to: 10.0.0.0/8, dev: eth0, when: {dev-up: d", "}}\n", "", 1030,
                    "more than 1023 different conditions and checks"},
            {"rules:\n", "- {from: 10.0.0.0/8, table: 100, priority: ", "}\n", "", 16400,
                    "more than 16384 rules"},
    };

    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(cases); i++) {
        FILE *to = create("a.yaml");

        fprintf(to, "version: 1\n%s", cases[i].start);
        for (unsigned int n = 1; n <= cases[i].n; n++) /* a line has its limit too */
            fprintf(to, "%s%s%u%s", n % 1000 == 0 && cases[i].end[0] ? "\n  " : "", cases[i].before,
                    n, cases[i].behind);
        fputs(cases[i].end, to);
        fclose(to);
        assert_error("a.yaml", cases[i].error);
    }
}

static void test_a_path_too_long(void **state)
{
    FILE *to = create("a.yaml");

    (void)state;
    fprintf(to, "version: 1\nroutes:\n  - {to: {file: /%0*d}, dev: eth0}\n", 5000, 0);
    fclose(to);
    assert_error("a.yaml", "the path is too long");
}

static int enter(void **state)
{
    (void)state;
    return mkdtemp(scratch) && chdir(scratch) == 0 ? 0 : -1;
}

static int leave(void **state)
{
    (void)state;
    return chdir("/") == 0 && rmdir(scratch) == 0 ? 0 : -1;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_files_of_both_families),
            cmocka_unit_test(test_a_name_that_says_nothing),
            cmocka_unit_test(test_too_many),
            cmocka_unit_test(test_a_path_too_long),
    };

    return cmocka_run_group_tests(tests, enter, leave);
}
