/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The exact sentences, the structured fields as they would be sent, and that the catalog speaks of
 * every kind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "cleanup.h"
#include "journal-internal.h"
#include "journal.h"
#include "report-json.h"
#include "text.h"

#define ROUTE .object = "route", .name = "10.20.0.0/16 via 192.168.1.1"
#define POLICY \
    .object = "masquerade", .name = "lan-out", .policy = "lan-out", .families = NSH_REPORT_IPV4
#define PLACE .path = "/etc/netshared.yaml", .line = 12

static const struct {
    struct nsh_report report;
    const char *text;
} sentences[] = {
        /* restored: what, by whom, how fast */
        {{.kind = NSH_REPORT_RESTORED,
                 ROUTE,
                 .cause = "removed",
                 .culprit = "ip",
                 .culprit_pid = 4455,
                 .duration_usec = 400},
                "route 10.20.0.0/16 via 192.168.1.1 was removed by ip[4455]; restored in 0.4 ms"},
        {{.kind = NSH_REPORT_RESTORED,
                 ROUTE,
                 .cause = "replaced",
                 .sender = 4294963199U,
                 .duration_usec = 38,
                 PLACE},
                "route 10.20.0.0/16 via 192.168.1.1 was replaced by an unknown process (netlink "
                "port 4294963199); restored in 0.03 ms"},
        {{.kind = NSH_REPORT_RESTORED,
                 ROUTE,
                 .cause = "replaced",
                 .culprit = "ip",
                 .culprit_pid = 7,
                 .detail = "10.20.0.0/16 dev lo"},
                "route 10.20.0.0/16 via 192.168.1.1 was replaced by ip[7] (10.20.0.0/16 dev lo); "
                "restored"},
        {{.kind = NSH_REPORT_RESTORED,
                 ROUTE,
                 .cause = "link eth0 went down",
                 .duration_usec = 1500000},
                "route 10.20.0.0/16 via 192.168.1.1 was lost (link eth0 went down); restored in "
                "1.5 s"},
        {{.kind = NSH_REPORT_RESTORED, ROUTE, .cause = "resync"},
                "route 10.20.0.0/16 via 192.168.1.1 was not as wanted (found by the resync); "
                "restored"},
        {{.kind = NSH_REPORT_RESTORED, ROUTE, .cause = "something new"},
                "route 10.20.0.0/16 via 192.168.1.1 was wrong (something new); restored"},
        {{.kind = NSH_REPORT_RESTORED, POLICY, .cause = "missing", .duration_usec = 950},
                "masquerade lan-out was missing; restored in 0.9 ms"},
        {{.kind = NSH_REPORT_RESTORED,
                 POLICY,
                 .cause = "poll",
                 .detail = "missing",
                 .duration_usec = 12345},
                "masquerade lan-out was missing; restored in 12 ms"},
        {{.kind = NSH_REPORT_RESTORED, POLICY, .cause = "resync", .detail = "2 of 5 rules changed"},
                "masquerade lan-out had 2 of 5 rules changed (found by the resync); "
                "restored"},
        {{.kind = NSH_REPORT_RESTORED, .object = "conntrack", .name = "ipv4", .cause = "missing"},
                "the rule that keeps connection tracking in use (ipv4) was missing; restored"},
        {{.kind = NSH_REPORT_RESTORED, POLICY, .cause = "missing", .detail = "poll"},
                "masquerade lan-out was missing; restored"},
        {{.kind = NSH_REPORT_RESTORED, ROUTE, .cause = "missing", .detail = "resync"},
                "route 10.20.0.0/16 via 192.168.1.1 was missing (found by the resync); restored"},
        {{.kind = NSH_REPORT_RESTORED, ROUTE, .cause = "missing", .detail = "link eth0 went down"},
                "route 10.20.0.0/16 via 192.168.1.1 was missing (link eth0 went down); restored"},
        {{.kind = NSH_REPORT_RESTORED, POLICY, .cause = "jump missing", .sender = 9},
                "masquerade lan-out had lost its jump (by an unknown process (netlink port 9)); "
                "restored"},
        {{.kind = NSH_REPORT_RESTORED,
                 POLICY,
                 .cause = "jump behind a rule of others",
                 .culprit = "nft",
                 .culprit_pid = 7},
                "masquerade lan-out had a rule of others put before its jump by nft[7]; restored"},
        {{.kind = NSH_REPORT_RESTORED, POLICY, .cause = "base chain changed"},
                "masquerade lan-out had the base chain of its jump changed; restored"},
        {{.kind = NSH_REPORT_RESTORED,
                 POLICY,
                 .cause = "out of order",
                 .culprit = "nft",
                 .culprit_pid = 7},
                "masquerade lan-out was out of order (by nft[7]); restored"},
        {{.kind = NSH_REPORT_RESTORED,
                 .object = "forwarding",
                 .name = "ipv6",
                 .cause = "switched off"},
                "forwarding ipv6 was switched off; restored"},
        /* what can't be */
        {{.kind = NSH_REPORT_PENDING,
                 .object = "route",
                 .name = "10.0.0.0/8 via 192.0.2.1",
                 .detail = "Nexthop has invalid gateway"},
                "route 10.0.0.0/8 via 192.0.2.1 is pending: Nexthop has invalid gateway"},
        {{.kind = NSH_REPORT_PENDING, ROUTE, .cause = "device eth7 does not exist", PLACE},
                "route 10.20.0.0/16 via 192.168.1.1 is pending: device eth7 does not exist "
                "(/etc/netshared.yaml:12)"},
        {{.kind = NSH_REPORT_CONFLICT,
                 ROUTE,
                 .detail = "10.20.0.0/16 dev eth1 proto static",
                 PLACE},
                "route 10.20.0.0/16 via 192.168.1.1 is held by another: 10.20.0.0/16 dev eth1 "
                "proto static; left alone (on-conflict: replace takes it) "
                "(/etc/netshared.yaml:12)"},
        {{.kind = NSH_REPORT_SHADOWED,
                 ROUTE,
                 .detail = "10.20.0.0/16 dev eth1 proto static",
                 PLACE},
                "route 10.20.0.0/16 via 192.168.1.1 is held, but another comes before it: "
                "10.20.0.0/16 dev eth1 proto static; left alone (/etc/netshared.yaml:12)"},
        {{.kind = NSH_REPORT_BEHIND,
                 POLICY,
                 .detail = "-A POSTROUTING -j ACCEPT; left alone",
                 PLACE},
                "masquerade lan-out is held, but a rule of others takes packets before it: "
                "-A POSTROUTING -j ACCEPT; left alone (/etc/netshared.yaml:12)"},
        {{.kind = NSH_REPORT_FIGHT,
                 ROUTE,
                 .culprit = "bird",
                 .culprit_pid = 31,
                 .detail = "8 times in 2 s"},
                "route 10.20.0.0/16 via 192.168.1.1 keeps being undone by bird[31]: 8 times in 2 "
                "s; repairs wait longer from now on"},
        {{.kind = NSH_REPORT_FAILED, ROUTE, .detail = "Operation not permitted", PLACE},
                "route 10.20.0.0/16 via 192.168.1.1 could not be applied: Operation not "
                "permitted (/etc/netshared.yaml:12)"},
        /* what was done as asked */
        {{.kind = NSH_REPORT_ADDED, ROUTE, .cause = "reload", .duration_usec = 99},
                "route 10.20.0.0/16 via 192.168.1.1 added in 0.09 ms"},
        {{.kind = NSH_REPORT_ADDED, ROUTE, .cause = "link eth0 came up"},
                "route 10.20.0.0/16 via 192.168.1.1 added (link eth0 came up)"},
        {{.kind = NSH_REPORT_REMOVED, POLICY}, "masquerade lan-out removed"},
        {{.kind = NSH_REPORT_CHANGED, POLICY, .detail = "2 of 5 rules changed"},
                "masquerade lan-out changed (2 of 5 rules changed)"},
        {{.kind = NSH_REPORT_ADOPTED, ROUTE},
                "route 10.20.0.0/16 via 192.168.1.1 adopted: it was there and carries our mark "
                "now"},
        {{.kind = NSH_REPORT_SUMMARY, .object = "route", .count = 1000, .detail = "added"},
                "1000 routes added"},
        {{.kind = NSH_REPORT_SUMMARY,
                 .object = "masquerade",
                 .count = 1,
                 .detail = "restored",
                 .duration_usec = 2000000},
                "1 masquerade policy restored in 2.0 s"},
        {{.kind = NSH_REPORT_FLOWS, POLICY, .count = 2},
                "2 untranslated flows deleted after masquerade lan-out was restored"},
        {{.kind = NSH_REPORT_DROPPED, POLICY, .count = 1},
                "1 flow of masquerade lan-out dropped from conntrack, to be translated "
                "otherwise from now on"},
        {{.kind = NSH_REPORT_SUMMARY,
                 .object = "flow",
                 .count = 300,
                 .detail = "dropped from conntrack for 2 more policies"},
                "300 flows dropped from conntrack for 2 more policies"},
        /* the daemon itself */
        {{.kind = NSH_REPORT_STARTED, .detail = "3 routes and 1 policy hold"},
                "started: 3 routes and 1 policy hold"},
        {{.kind = NSH_REPORT_STOPPED}, "stopped"},
        {{.kind = NSH_REPORT_RELOADED, .detail = "3 routes", .duration_usec = 61000000},
                "reloaded in 1 min 1 s: 3 routes"},
        {{.kind = NSH_REPORT_RELOAD_BAD,
                 .detail = "/etc/netshared.yaml:3:9: error: no\n  hint: yes\n\n"},
                "reload refused, the configuration in force stays:\n"
                "/etc/netshared.yaml:3:9: error: no\n  hint: yes"},
        {{.kind = NSH_REPORT_START_BAD, .detail = "a: error: b"},
                "the configuration is bad, the last accepted one runs: a: error: b"},
        {{.kind = NSH_REPORT_OVERRUN},
                "netlink events were lost; everything is compared with the kernel"},
        {{.kind = NSH_REPORT_WARNING,
                 .object = "configuration",
                 .detail = "nothing matches",
                 PLACE},
                "nothing matches (/etc/netshared.yaml:12)"},
        {{.kind = NSH_REPORT_WARNING, ROUTE, .detail = "is shadowed", .path = "/x"},
                "route 10.20.0.0/16 via 192.168.1.1: is shadowed (/x)"},
        /* nothing known, nothing trusted */
        {{.kind = NSH_REPORT_PENDING}, "something is pending"},
        {{.kind = NSH_REPORT_RESTORED,
                 .object = "route",
                 .name = "a\x1b[31m\nb",
                 .cause = "removed",
                 .culprit = "e\x07vil",
                 .culprit_pid = 2},
                "route a\\x1b[31m\\x0ab was removed by e\\x07vil[2]; restored"},
        {{.kind = NSH_REPORT_RELOAD_BAD, .detail = "one\x1b\ntwo\r\xff"},
                "reload refused, the configuration in force stays:\none\\x1b\ntwo\\x0d\\xff"},
};

static void test_sentences(void **state)
{
    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(sentences); i++) {
        nsh_autofree char *text = nsh_report_text(&sentences[i].report);

        assert_non_null(text);
        assert_string_equal(text, sentences[i].text);
    }
}

/* Every kind says something, whatever is set or missing. */
static void test_all_kinds_speak(void **state)
{
    (void)state;
    for (int kind = 0; kind < NSH_REPORT_KINDS; kind++) {
        struct nsh_report bare = {.kind = (enum nsh_report_kind)kind};
        nsh_autofree char *text = nsh_report_text(&bare);
        int priority = nsh_report_priority(bare.kind);

        assert_non_null(text);
        assert_true(strlen(text) > 5);
        assert_non_null(nsh_report_action(bare.kind));
        assert_true(priority >= LOG_ERR && priority <= LOG_INFO);
        assert_int_equal(strlen(nsh_report_message_id(bare.kind)), 32);
        for (int other = 0; other < kind; other++) {
            assert_string_not_equal(nsh_report_message_id(bare.kind),
                    nsh_report_message_id((enum nsh_report_kind)other));
            assert_string_not_equal(
                    nsh_report_action(bare.kind), nsh_report_action((enum nsh_report_kind)other));
        }
    }
}

static void test_priorities(void **state)
{
    (void)state;
    assert_int_equal(nsh_report_priority(NSH_REPORT_RESTORED), LOG_NOTICE);
    assert_int_equal(nsh_report_priority(NSH_REPORT_PENDING), LOG_WARNING);
    assert_int_equal(nsh_report_priority(NSH_REPORT_CONFLICT), LOG_WARNING);
    assert_int_equal(nsh_report_priority(NSH_REPORT_FIGHT), LOG_ERR);
    assert_int_equal(nsh_report_priority(NSH_REPORT_FAILED), LOG_ERR);
    assert_int_equal(nsh_report_priority(NSH_REPORT_RELOAD_BAD), LOG_ERR);
    assert_int_equal(nsh_report_priority(NSH_REPORT_START_BAD), LOG_ERR);
    assert_int_equal(nsh_report_priority(NSH_REPORT_ADDED), LOG_INFO);
}

static void assert_fields(const struct nsh_report *r, const char *const *expected, int n)
{
    NSH_CLEANUP(nsh_journal_fields_free) struct nsh_journal_fields f = {.n = 0};

    assert_int_equal(nsh_journal_fields_build(r, &f), 0);
    assert_int_equal(f.n, n);
    for (int i = 0; i < n; i++) {
        assert_int_equal(f.fields[i].iov_len, strlen(expected[i]));
        assert_memory_equal(f.fields[i].iov_base, expected[i], f.fields[i].iov_len);
    }
}

static void test_fields_all(void **state)
{
    const struct nsh_report all = {.kind = NSH_REPORT_RESTORED,
            .object = "masquerade",
            .name = "lan-out",
            .policy = "lan-out",
            .families = NSH_REPORT_IPV4 | NSH_REPORT_IPV6,
            PLACE,
            .cause = "removed",
            .detail = "a\nb",
            .culprit = "ip",
            .culprit_pid = 4455,
            .sender = 4455,
            .duration_usec = 431,
            .count = 3};
    static const char *const expected[] = {
            "MESSAGE=masquerade lan-out was removed by ip[4455] (a\\x0ab); restored in 0.4 ms",
            "MESSAGE_ID=45f998b229a44e098aa43c6e983e2fc4",
            "PRIORITY=5",
            "NETSHARED_ACTION=restored",
            "NETSHARED_OBJECT=masquerade",
            "NETSHARED_NAME=lan-out",
            "NETSHARED_POLICY=lan-out",
            "NETSHARED_FAMILY=ipv4",
            "NETSHARED_FAMILY=ipv6",
            "NETSHARED_CAUSE=removed",
            "NETSHARED_DETAIL=a\nb",
            "NETSHARED_CULPRIT=ip",
            "NETSHARED_CULPRIT_PID=4455",
            "NETSHARED_SENDER=4455",
            "NETSHARED_DURATION_USEC=431",
            "NETSHARED_COUNT=3",
            "NETSHARED_CONFIG_FILE=/etc/netshared.yaml",
            "NETSHARED_CONFIG_LINE=12",
    };

    (void)state;
    _Static_assert(NSH_ARRAY_SIZE(expected) == NSH_JOURNAL_FIELDS_MAX, "all of them");
    assert_fields(&all, expected, NSH_ARRAY_SIZE(expected));
}

static void test_fields_few(void **state)
{
    const struct nsh_report few = {.kind = NSH_REPORT_PENDING, .object = "route", .name = "a\x1b"};
    static const char *const expected[] = {
            "MESSAGE=route a\\x1b is pending",
            "MESSAGE_ID=01678e2d964a468c825aa1d92f1b1990",
            "PRIORITY=4",
            "NETSHARED_ACTION=pending",
            "NETSHARED_OBJECT=route",
            "NETSHARED_NAME=a\\x1b",
    };

    (void)state;
    assert_fields(&few, expected, NSH_ARRAY_SIZE(expected));
}

static void test_plain(void **state)
{
    const struct nsh_report bad = {
            .kind = NSH_REPORT_RELOAD_BAD, .detail = "a:1: error: x\n    1 | y\n      | ^\n"};
    const struct nsh_report fine = {.kind = NSH_REPORT_ADDED, ROUTE};
    nsh_autofree char *one = nsh_journal_plain(&bad);
    nsh_autofree char *two = nsh_journal_plain(&fine);

    (void)state;
    assert_string_equal(one, "netshared: error: reload refused, the configuration in force stays:\n"
                             "    a:1: error: x\n"
                             "        1 | y\n"
                             "          | ^\n");
    assert_string_equal(two, "netshared: info: route 10.20.0.0/16 via 192.168.1.1 added\n");
}

/* Sends for real, to a stderr of ours: once as it is, once claiming a journal that is another. */
static void test_report_to_stderr(void **state)
{
    static const char expected[] =
            "netshared: notice: route 10.20.0.0/16 via 192.168.1.1 was removed; restored\n";
    const struct nsh_report r = {.kind = NSH_REPORT_RESTORED, ROUTE, .cause = "removed"};
    char text[512] = "";
    int ends[2], keep = dup(STDERR_FILENO);
    struct nsh_journal *j;

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    setenv("JOURNAL_STREAM", "1:2", 1);
    int e = nsh_journal_new(&j);
    if (e == 0)
        nsh_journal_report(j, &r);
    unsetenv("JOURNAL_STREAM");
    assert_true(dup2(keep, STDERR_FILENO) >= 0);
    close(keep);
    close(ends[1]);
    assert_int_equal(e, 0);
    nsh_journal_free(j);
    nsh_journal_free(NULL);
    assert_int_equal(read(ends[0], text, sizeof(text) - 1), sizeof(expected) - 1);
    assert_string_equal(text, expected);
    close(ends[0]);
}

static void test_stream(void **state)
{
    char good[64], more[80], other[64];
    struct stat st;
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(fstat(ends[0], &st), 0);
    snprintf(good, sizeof(good), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    snprintf(more, sizeof(more), "%s:1", good);
    assert_true(nsh_journal_stream_is(good, ends[0]));
    snprintf(other, sizeof(other), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino + 1);
    assert_false(nsh_journal_stream_is(other, ends[0]));
    assert_false(nsh_journal_stream_is(more, ends[0]));
    assert_false(nsh_journal_stream_is("1:2", ends[0]));
    assert_false(nsh_journal_stream_is("-1:2", ends[0]));
    assert_false(nsh_journal_stream_is("", ends[0]));
    assert_false(nsh_journal_stream_is(NULL, ends[0]));
    close(ends[0]);
    close(ends[1]);
}

static void test_durations(void **state)
{
    static const struct {
        uint64_t usec;
        const char *text;
    } cases[] = {
            {1, "0.01 ms"},
            {99, "0.09 ms"},
            {100, "0.1 ms"},
            {999, "0.9 ms"},
            {9999, "9.9 ms"},
            {10000, "10 ms"},
            {999999, "999 ms"},
            {1000000, "1.0 s"},
            {9999999, "9.9 s"},
            {59999999, "59 s"},
            {60000000, "1 min"},
            {125000000, "2 min 5 s"},
            {11400000000, "3 h 10 min"},
            {352800000000, "4 d 2 h"},
            {UINT64_MAX, "213503982 d 8 h"},
    };
    char text[NSH_DURATION_TEXT];

    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(cases); i++)
        assert_string_equal(nsh_duration_format(cases[i].usec, text), cases[i].text);
}

static void test_utf8(void **state)
{
#define BAD "\xef\xbf\xbd"
    static const char *const cases[][2] = {
            {"", ""},
            {"plain\n\t", "plain\n\t"},
            {"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"},
            {"a\xff", "a" BAD},
            {"\xc3", BAD},
            {"\xe2\x82", BAD BAD},
            {"\xc0\xaf", BAD BAD},
            {"\xed\xa0\x80", BAD BAD BAD},         /* a surrogate */
            {"\xef\xb7\x90", BAD BAD BAD},         /* U+FDD0 */
            {"\xef\xbf\xbf", BAD BAD BAD},         /* U+FFFF */
            {"\xf4\x90\x80\x80", BAD BAD BAD BAD}, /* U+110000 */
            {"\xf8\x88\x80\x80\x80x", BAD BAD BAD BAD BAD "x"},
    };

    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(cases); i++) {
        nsh_autofree char *clean = nsh_text_utf8(cases[i][0]);

        assert_string_equal(clean, cases[i][1]);
    }
}

/* One entry for each id, a subject in each, and no entry that is nobody's. */
static void test_catalog(void **state)
{
    const char *data = getenv("NSH_TEST_DATA");
    char path[4096], line[256];
    int entries = 0, subjects = 0;
    bool seen[NSH_REPORT_KINDS] = {false};

    (void)state;
    snprintf(path, sizeof(path), "%s/../../systemd/netshared.catalog", data ? data : "tests/data");
    NSH_CLEANUP(fclosep) FILE *f = fopen(path, "re");
    assert_non_null(f);
    while (fgets(line, sizeof(line), f)) {
        int kind = 0;

        line[strcspn(line, "\n")] = '\0';
        subjects += strncmp(line, "Subject: ", 9) == 0;
        if (strncmp(line, "-- ", 3) != 0)
            continue;
        while (kind < NSH_REPORT_KINDS &&
                strcmp(line + 3, nsh_report_message_id((enum nsh_report_kind)kind)) != 0)
            kind++;
        assert_true(kind < NSH_REPORT_KINDS);
        assert_false(seen[kind]);
        seen[kind] = true;
        entries++;
    }
    assert_int_equal(entries, NSH_REPORT_KINDS);
    assert_int_equal(subjects, NSH_REPORT_KINDS);
}

static void test_json(void **state)
{
    const struct nsh_report full = {.kind = NSH_REPORT_RESTORED,
            POLICY,
            PLACE,
            .cause = "removed",
            .culprit = "iptables\x1b",
            .culprit_pid = 12,
            .duration_usec = 400,
            .count = 3};
    const struct nsh_report bare = {.kind = NSH_REPORT_OVERRUN, .line = 7};
    nsh_autofree char *of_full = nsh_report_json(&full, 1795750188330368);
    nsh_autofree char *of_bare = nsh_report_json(&bare, 1);

    (void)state;
    assert_string_equal(of_full,
            "{\"time_usec\":1795750188330368,\"priority\":\"notice\",\"message\":\"masquerade "
            "lan-out was removed by iptables\\\\x1b[12]; restored in 0.4 ms\","
            "\"action\":\"restored\",\"kind\":\"masquerade\",\"name\":\"lan-out\","
            "\"policy\":\"lan-out\",\"families\":[\"ipv4\"],\"cause\":\"removed\",\"culprit\":"
            "\"iptables\\u001B\","
            "\"culprit_pid\":12,\"duration_usec\":400,\"count\":3,"
            "\"file\":\"/etc/netshared.yaml\",\"line\":12}");
    assert_string_equal(of_bare,
            "{\"time_usec\":1,\"priority\":\"warning\",\"message\":\"netlink events were lost; "
            "everything is compared with the kernel\",\"action\":\"overrun\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_sentences),
            cmocka_unit_test(test_all_kinds_speak),
            cmocka_unit_test(test_priorities),
            cmocka_unit_test(test_fields_all),
            cmocka_unit_test(test_fields_few),
            cmocka_unit_test(test_plain),
            cmocka_unit_test(test_report_to_stderr),
            cmocka_unit_test(test_stream),
            cmocka_unit_test(test_durations),
            cmocka_unit_test(test_utf8),
            cmocka_unit_test(test_catalog),
            cmocka_unit_test(test_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
