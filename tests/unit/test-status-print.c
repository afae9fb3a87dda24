/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "status-print.h"

static const char *chosen; /* the name, NULL: all */

/* What is printed; NULL and the error when that fails. Inlined, gcc 12 sees a dangling pointer. */
static __attribute__((noinline)) char *print(const char *json, bool as_json, int *ret_error)
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);

    assert_non_null(to);
    *ret_error = nsh_status_print(
            to, json, &(struct nsh_status_view){.as_json = as_json, .name = chosen});
    fclose(to);
    return text;
}

static void assert_prints(const char *json, bool as_json, const char *expected)
{
    int e;
    nsh_autofree char *text = print(json, as_json, &e);

    assert_int_equal(e, 0);
    assert_string_equal(text, expected);
}

static void test_all(void **state)
{
    (void)state;
    assert_prints("{\"version\": \"0.1.0\", \"pid\": 123, \"config\": \"/etc/netshared.yaml\","
                  " \"firewall\": \"iptables\", \"state\": \"degraded\","
                  " \"problem\": \"the configuration is bad\", \"trial_left_usec\": 90000000,"
                  " \"last_repair\": {\"ago_usec\": 300000000, \"text\": \"route x restored\"},"
                  " \"counts\": {\"held\": 2, \"pending\": 1, \"conflicting\": 0, \"wrong\": 0},"
                  " \"objects\": ["
                  "  {\"kind\": \"route\", \"name\": \"default via 203.0.113.1 dev eth0\","
                  "   \"state\": \"held\", \"repairs\": 0, \"file\": \"/etc/netshared.yaml\","
                  "   \"line\": 12},"
                  "  {\"kind\": \"masquerade\", \"name\": \"lan-out (ipv4)\", \"state\": \"held\","
                  "   \"repairs\": 3, \"last_repair_ago_usec\": 300000000,"
                  "   \"file\": \"/etc/netshared.yaml\", \"line\": 20},"
                  "  {\"kind\": \"route\", \"name\": \"10.0.0.0/8 via 192.0.2.1\","
                  "   \"state\": \"pending\", \"reason\": \"Nexthop has invalid gateway\","
                  "   \"repairs\": 1, \"last_repair_ago_usec\": 1500000,"
                  "   \"file\": \"/etc/netshared.d/x.yaml\", \"line\": 3}],"
                  " \"truncated\": 997}",
            false,
            "netshared 0.1.0, degraded, pid 123\n"
            "on trial:    ends in 1 min 30 s, and the last accepted configuration comes back; "
            "'netshared confirm' keeps this one\n"
            "problem:     the configuration is bad\n"
            "config:      /etc/netshared.yaml\n"
            "firewall:    iptables\n"
            "objects:     2 held, 1 pending, 0 conflicting, 0 wrong\n"
            "last repair: 5 min ago: route x restored\n"
            "\n"
            "STATE    KIND        NAME                              LAST REPAIR         WHERE\n"
            "held     route       default via 203.0.113.1 dev eth0  -                   "
            "/etc/netshared.yaml:12\n"
            "held     masquerade  lan-out (ipv4)                    5 min ago, 3 times  "
            "/etc/netshared.yaml:20\n"
            "pending  route       10.0.0.0/8 via 192.0.2.1          1.5 s ago           "
            "/etc/netshared.d/x.yaml:3\n"
            "         Nexthop has invalid gateway\n"
            "and 997 more\n");
}

static void test_nothing(void **state)
{
    (void)state;
    assert_prints("{\"version\": \"1\", \"state\": \"running\", \"last_repair\": null,"
                  " \"counts\": {\"held\": 0}, \"objects\": []}",
            false, "netshared 1, running\nobjects:     0 held\n");
    assert_prints("{}", false, "netshared -, -\n");
}

/* Members of other types than ours, and others than ours. */
static void test_wrong_types(void **state)
{
    (void)state;
    assert_prints(
            "{\"version\": 1, \"pid\": \"x\", \"config\": [], \"state\": null, \"problem\": 3,"
            " \"last_repair\": \"x\", \"counts\": [1], \"truncated\": -5, \"more\": {},"
            " \"objects\": [null, 3, [], {\"kind\": {}, \"name\": 1.5, \"line\": 7,"
            " \"reason\": [], \"repairs\": -1, \"last_repair_ago_usec\": -1}]}",
            false,
            "netshared -, -\n"
            "\n"
            "STATE  KIND  NAME  LAST REPAIR  WHERE\n"
            "-      -     -     -            -\n"
            "-      -     -     -            -\n"
            "-      -     -     -            -\n"
            "-      -     -     -            -:7\n");
    assert_prints("{\"objects\": {\"a\": 1}}", false, "netshared -, -\n");
}

static void test_hostile_text(void **state)
{
    (void)state;
    assert_prints("{\"version\": \"\\u001b[31m\", \"state\": \"a\\nb\", \"objects\": ["
                  "{\"name\": \"\xc3\xa9\\u0007\", \"state\": \"x\", \"reason\": \"\\r\"}]}",
            false,
            "netshared \\x1b[31m, a\\x0ab\n"
            "\n"
            "STATE  KIND  NAME   LAST REPAIR  WHERE\n"
            "x      -     \xc3\xa9\\x07  -            -\n"
            "       \\x0d\n");
}

/* One name beyond all measure leaves the others in their column. */
static void test_wide(void **state)
{
    char json[1024], name[201];
    int e;

    (void)state;
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    snprintf(json, sizeof(json), "{\"objects\": [{\"name\": \"%s\"}, {\"name\": \"a\"}]}", name);
    nsh_autofree char *text = print(json, false, &e);
    assert_int_equal(e, 0);
    const char *last = strstr(text, "-      -     a");
    assert_non_null(last);
    assert_int_equal(strlen(last), strlen("-      -     ") + 60 + strlen("  -            -\n"));
}

static void test_json(void **state)
{
    (void)state;
    assert_prints("{\"b\":\"\xc3\xa9\\u009b\",\"a\":[1,{}]}", true,
            "{\n"
            "  \"b\": \"\\u00E9\\u009B\",\n"
            "  \"a\": [\n"
            "    1,\n"
            "    {}\n"
            "  ]\n"
            "}\n");
}

static void test_no_json(void **state)
{
    static const char *const bad[] = {"", "{", "[]", "\"x\"", "{} x", "null", "{\"a\": \"\xff\"}"};
    nsh_autofree char *deep = malloc(100001);

    (void)state;
    memset(deep, '[', 100000);
    deep[100000] = '\0';
    for (size_t i = 0; i <= NSH_ARRAY_SIZE(bad); i++) {
        for (int as_json = 0; as_json < 2; as_json++) {
            int e;
            nsh_autofree char *text =
                    print(i < NSH_ARRAY_SIZE(bad) ? bad[i] : deep, as_json != 0, &e);

            assert_int_equal(e, -EBADMSG);
            assert_string_equal(text, "");
        }
    }
}

static void test_disk_full(void **state)
{
    (void)state;
    for (int as_json = 0; as_json < 2; as_json++) {
        NSH_CLEANUP(fclosep) FILE *full = fopen("/dev/full", "we");

        assert_non_null(full);
        assert_int_equal(nsh_status_print(full, "{\"version\": \"1\"}",
                                 &(struct nsh_status_view){.as_json = as_json != 0}),
                -EIO);
    }
}

static void test_one(void **state)
{
    static const char json[] =
            "{\"version\": \"1\", \"state\": \"running\", \"truncated\": 5, \"objects\": ["
            "{\"kind\": \"share\", \"name\": \"home (ipv4)\", \"policy\": \"home\","
            " \"state\": \"held\", \"translated\": {\"packets\": 1, \"bytes\": 60},"
            " \"accepted\": {\"packets\": 2, \"bytes\": 120},"
            " \"dropped\": {\"packets\": \"x\", \"bytes\": 0}},"
            "{\"kind\": \"route\", \"name\": \"10.0.0.0/8 via 192.0.2.1\", \"state\": \"held\"},"
            "{\"kind\": \"share\", \"name\": \"homes (ipv4)\", \"policy\": \"homes\","
            " \"state\": \"held\"}]}";
    int e;

    (void)state;
    chosen = "home";
    assert_prints(json, false,
            "netshared 1, running\n"
            "\n"
            "STATE  KIND   NAME         LAST REPAIR  WHERE\n"
            "held   share  home (ipv4)  -            -\n"
            "\n"
            "home (ipv4): translated 1 packet (60 bytes), accepted 2 packets (120 bytes)\n");
    chosen = "10.0.0.0/8";
    nsh_autofree char *route = print(json, true, &e);
    assert_int_equal(e, 0);
    assert_non_null(strstr(route, "10.0.0.0/8 via"));
    assert_null(strstr(route, "home"));
    chosen = "hom";
    nsh_autofree char *none = print(json, false, &e);
    assert_int_equal(e, -ENOENT);
    assert_string_equal(none, "");
    chosen = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_all),
            cmocka_unit_test(test_one),
            cmocka_unit_test(test_nothing),
            cmocka_unit_test(test_wrong_types),
            cmocka_unit_test(test_hostile_text),
            cmocka_unit_test(test_wide),
            cmocka_unit_test(test_json),
            cmocka_unit_test(test_no_json),
            cmocka_unit_test(test_disk_full),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
