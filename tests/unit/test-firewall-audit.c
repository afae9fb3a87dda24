/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who changed a table, from the kernel's audit records. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "firewall-iptc-xt.h"

/* Processes that are not this one. */
#define SEVEN ((uint32_t)getpid() + 7)
#define EIGHT ((uint32_t)getpid() + 8)

static struct nsh_xt_audit audit;

static int fresh(void **state)
{
    (void)state;
    nsh_xt_audit_init(&audit);
    return 0;
}

static bool parse(const char *text, struct nsh_xt_record *ret)
{
    memset(ret, 0xff, sizeof *ret);
    return nsh_xt_audit_parse(text, ret);
}

static void test_parse(void **state)
{
    struct nsh_xt_record r;

    (void)state;
    assert_true(
            parse("audit(1700000000.123:456): table=nat family=2 entries=5 op=xt_replace pid=4455 "
                  "subj=unconfined comm=\"iptables-legacy\"",
                    &r));
    assert_int_equal(r.at, 1700000000123);
    assert_int_equal(r.family, AF_INET);
    assert_int_equal(r.table, NSH_TABLE_NAT);
    assert_int_equal(r.who.pid, 4455);
    assert_string_equal(r.who.name, "iptables-legacy");
    assert_true(parse("audit(1.000:1): table=mangle family=10 entries=5 op=xt_replace pid=7 "
                      "comm=69702061220A",
            &r));
    assert_int_equal(r.family, AF_INET6);
    assert_int_equal(r.table, NSH_TABLE_MANGLE);
    assert_string_equal(r.who.name, "ip?a??");
    assert_true(parse("audit(1.000:1): table=raw family=2 entries=5 op=xt_replace pid=7", &r));
    assert_string_equal(r.who.name, "");
    assert_true(parse("audit(1.000:1): table=raw family=2 op=xt_replace pid=7 "
                      "comm=\"0123456789abcdefghi\"",
            &r));
    assert_string_equal(r.who.name, "0123456789abcde");
}

static void test_parse_others(void **state)
{
    static const char *const texts[] = {
            "",
            "audit(1.000:1): ",
            "audit(1.000:1): table=nat:3 family=2 op=nft_register_rule pid=7 comm=\"nft\"",
            "audit(1.000:1): table=security family=2 entries=5 op=xt_replace pid=7 comm=\"a\"",
            "audit(1.000:1): table=nat family=7 entries=5 op=xt_replace pid=7 comm=\"a\"",
            "audit(1.000:1): table=nat family=2 entries=5 op=xt_replace pid=0 comm=\"a\"",
            "audit(1.000:1): table=nat family=2 entries=5 op=xt_replace comm=\"a\"",
            "audit(1.000:1): table=nat family=2 entries=5 pid=7 comm=\"a\"",
            "audit(1.000:1): table=nats family=2 op=xt_replace pid=7 comm=\"a\"",
            "audit(1.000:1): table=nat family=22 op=xt_replace pid=7 comm=\"a\"",
    };
    struct nsh_xt_record r;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_false(parse(texts[i], &r));
}

/* A change by `pid`, so many milliseconds from now. */
static void change_in(int family, uint32_t pid, int64_t in)
{
    struct timespec now;
    struct nsh_xt_record r = {
            .family = family, .table = NSH_TABLE_FILTER, .who = {.pid = pid, .name = "x"}};

    clock_gettime(CLOCK_REALTIME, &now);
    r.at = (uint64_t)((int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 + in);
    nsh_xt_audit_note(&audit, &r);
}

static void change(uint32_t pid, int64_t in)
{
    change_in(AF_INET6, pid, in);
}

static uint32_t who(void)
{
    struct nsh_firewall_culprit c;

    return nsh_xt_audit_who(&audit, AF_INET6, NSH_TABLE_FILTER, &c) ? c.pid : 0;
}

static void test_one(void **state)
{
    struct nsh_firewall_culprit c;

    (void)state;
    assert_int_equal(who(), 0);
    change(SEVEN, 1000);
    change(SEVEN, 1001);
    assert_int_equal(who(), SEVEN);
    assert_false(nsh_xt_audit_who(&audit, AF_INET, NSH_TABLE_FILTER, &c));
    assert_false(nsh_xt_audit_who(&audit, AF_INET6, NSH_TABLE_NAT, &c));
    nsh_xt_audit_seen(&audit, AF_INET6, NSH_TABLE_FILTER);
    assert_int_equal(who(), 0);
    change((uint32_t)getpid(), 1000);
    assert_int_equal(who(), 0);
}

static void test_several(void **state)
{
    (void)state;
    change(SEVEN, 1000);
    change(EIGHT, 1001);
    assert_int_equal(who(), 0);
    change(EIGHT, 1002);
    assert_int_equal(who(), 0);
}

static uint32_t who_of_either(void)
{
    struct nsh_firewall_culprit c;

    return nsh_xt_audit_who_of_either(&audit, NSH_TABLE_FILTER, &c) ? c.pid : 0;
}

static void test_either(void **state)
{
    (void)state;
    assert_int_equal(who_of_either(), 0);
    change_in(AF_INET, SEVEN, 1000);
    assert_int_equal(who_of_either(), SEVEN);
    change_in(AF_INET6, SEVEN, 1001);
    assert_int_equal(who_of_either(), SEVEN);
    nsh_xt_audit_seen(&audit, AF_INET6, NSH_TABLE_FILTER);
    change_in(AF_INET6, EIGHT, 1002);
    assert_int_equal(who_of_either(), 0);
    nsh_xt_audit_seen(&audit, AF_INET, NSH_TABLE_FILTER);
    assert_int_equal(who_of_either(), EIGHT);
}

/* A record of what was seen before. */
static void test_late(void **state)
{
    (void)state;
    nsh_xt_audit_seen(&audit, AF_INET6, NSH_TABLE_FILTER);
    change(SEVEN, -1000);
    assert_int_equal(who(), 0);
    change(EIGHT, 1000);
    assert_int_equal(who(), EIGHT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_parse),
            cmocka_unit_test(test_parse_others),
            cmocka_unit_test_setup(test_one, fresh),
            cmocka_unit_test_setup(test_several, fresh),
            cmocka_unit_test_setup(test_either, fresh),
            cmocka_unit_test_setup(test_late, fresh),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
