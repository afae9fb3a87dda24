/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules as values: how they are written, compared, and what the kernel's loose questions answer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cleanup.h"
#include "rule.h"

static struct nsh_rule base(void)
{
    return (struct nsh_rule){.family = AF_INET,
            .priority = 1000,
            .table = 100,
            .action = FR_ACT_TO_TBL,
            .uids = {0, NSH_UID_ANY_LAST},
            .suppress_length = NSH_SUPPRESS_NONE,
            .suppress_group = NSH_SUPPRESS_NONE,
            .protocol = 110};
}

static struct nsh_prefix prefix(const char *text)
{
    struct nsh_prefix p;

    assert_int_equal(nsh_prefix_parse(text, &p), NSH_PREFIX_OK);
    return p;
}

static void expect_text(const struct nsh_rule *r, const char *text)
{
    char buf[NSH_RULE_TEXT];

    assert_string_equal(nsh_rule_format(r, buf, sizeof(buf)), text);
}

static void test_format(void **state)
{
    struct nsh_rule r = base();

    (void)state;
    expect_text(&r, "from all lookup 100 priority 1000");
    r.from = prefix("10.1.0.0/24");
    expect_text(&r, "from 10.1.0.0/24 lookup 100 priority 1000");
    r.to = prefix("192.0.2.1");
    r.invert = true;
    r.tos = 8;
    r.mark = (struct nsh_mark){1, 0xff};
    strcpy(r.iif, "eth0");
    strcpy(r.oif, "eth1");
    r.uids = (struct nsh_range){1000, 1000};
    r.ip_protocol = 6;
    r.source_port = (struct nsh_range){80, 80};
    r.destination_port = (struct nsh_range){1000, 2000};
    r.suppress_length = 0;
    r.suppress_group = 3;
    r.table = 254;
    expect_text(&r, "not from 10.1.0.0/24 to 192.0.2.1 tos 0x08 fwmark 0x1/0xff iif eth0 oif eth1 "
                    "uidrange 1000-1000 ipproto 6 sport 80 dport 1000-2000 lookup main "
                    "suppress_prefixlength 0 suppress_ifgroup 3 priority 1000");
}

static void test_format_outcomes(void **state)
{
    struct nsh_rule r = base();
    char buf[NSH_RULE_TEXT], small[8];

    (void)state;
    r.action = FR_ACT_GOTO;
    r.target = 2000;
    expect_text(&r, "from all goto 2000 priority 1000");
    r.action = FR_ACT_BLACKHOLE;
    expect_text(&r, "from all blackhole priority 1000");
    r.action = FR_ACT_UNREACHABLE;
    expect_text(&r, "from all unreachable priority 1000");
    r.action = FR_ACT_PROHIBIT;
    r.mark = (struct nsh_mark){16, UINT32_MAX};
    expect_text(&r, "from all fwmark 0x10 prohibit priority 1000");
    r.mark = (struct nsh_mark){0, UINT32_MAX};
    expect_text(&r, "from all fwmark 0x0/0xffffffff prohibit priority 1000");
    r = base();
    r.l3mdev = true;
    nsh_rule_normalize(&r);
    expect_text(&r, "from all l3mdev priority 1000");
    r.family = AF_INET6;
    assert_string_equal(
            nsh_rule_format_name(&r, buf, sizeof(buf)), "from all l3mdev priority 1000 (ipv6)");
    r.to = prefix("2001:db8::/32");
    assert_string_equal(nsh_rule_format_name(&r, buf, sizeof(buf)),
            "from all to 2001:db8::/32 l3mdev priority 1000");
    assert_string_equal(nsh_rule_format_name(&r, small, sizeof(small)), "from al");
}

static void test_normalize(void **state)
{
    struct nsh_rule r = base(), again;

    (void)state;
    r.from = prefix("0.0.0.0/0");
    strcpy(r.iif, "a");
    r.iif[5] = 'x';
    r.action = FR_ACT_BLACKHOLE;
    r.target = 5;
    nsh_rule_normalize(&r);
    assert_int_equal(r.from.family, AF_UNSPEC);
    assert_int_equal(r.iif[5], 0);
    assert_int_equal(r.table, 0);
    assert_int_equal(r.target, 0);
    again = r;
    nsh_rule_normalize(&again);
    assert_true(nsh_rule_equal(&r, &again));
}

/* Each of them alone makes another rule of it. */
static void change(struct nsh_rule *r, unsigned i)
{
    switch (i) {
    case 0:
        r->from = prefix("10.0.0.0/8");
        break;
    case 1:
        r->to = prefix("10.0.0.0/8");
        break;
    case 2:
        strcpy(r->iif, "a");
        break;
    case 3:
        strcpy(r->oif, "a");
        break;
    case 4:
        r->mark = (struct nsh_mark){1, 1};
        break;
    case 5:
        r->mark = (struct nsh_mark){0, 1};
        break;
    case 6:
        r->uids.last = 7;
        break;
    case 7:
        r->source_port = (struct nsh_range){1, 2};
        break;
    case 8:
        r->destination_port = (struct nsh_range){1, 2};
        break;
    case 9:
        r->tos = 4;
        break;
    case 10:
        r->ip_protocol = 6;
        break;
    case 11:
        r->invert = true;
        break;
    case 12:
        r->action = FR_ACT_PROHIBIT;
        break;
    case 13:
        r->table = 101;
        break;
    case 14:
        r->target = 9;
        break;
    case 15:
        r->l3mdev = true;
        break;
    case 16:
        r->suppress_length = 0;
        break;
    case 17:
        r->suppress_group = 0;
        break;
    case 18:
        r->priority++;
        break;
    case 19:
        r->family = AF_INET6;
        break;
    default:
        r->inexact = true;
        break;
    }
}

#define CHANGES 21U
#define SELECTORS 11U

static void test_cmp(void **state)
{
    (void)state;
    for (unsigned i = 0; i < CHANGES; i++)
        for (unsigned j = 0; j < CHANGES; j++) {
            struct nsh_rule a = base(), b = base();

            change(&a, i);
            change(&b, j);
            assert_int_equal(nsh_rule_cmp(&a, &b) == 0, i == j);
            assert_int_equal(nsh_rule_cmp(&a, &b) < 0, nsh_rule_cmp(&b, &a) > 0);
            assert_int_equal(nsh_rule_equal(&a, &b), i == j);
        }
    for (unsigned i = 0; i < CHANGES; i++) {
        struct nsh_rule a = base(), b = base();

        change(&a, i);
        assert_int_equal(nsh_rule_matches_all(&a), i >= SELECTORS);
        assert_int_equal(nsh_rule_same_outcome(&a, &b), i < 12 || i > 17);
    }
}

static void test_overlap(void **state)
{
    struct nsh_rule a = base(), b = base();

    (void)state;
    assert_true(nsh_rule_may_overlap(&a, &b));
    a.from = prefix("10.1.0.0/16");
    b.from = prefix("10.0.0.0/8");
    assert_true(nsh_rule_may_overlap(&a, &b));
    assert_true(nsh_rule_may_overlap(&b, &a));
    b.from = prefix("10.2.0.0/16");
    assert_false(nsh_rule_may_overlap(&a, &b));
    a.invert = b.invert = true;
    assert_true(nsh_rule_may_overlap(&a, &b));
    b = a;
    b.invert = false;
    assert_false(nsh_rule_may_overlap(&a, &b));
    a = b = base();
    a.mark = (struct nsh_mark){1, 0xf};
    b.mark = (struct nsh_mark){0x10, 0xf0};
    assert_true(nsh_rule_may_overlap(&a, &b));
    b.mark = (struct nsh_mark){2, 0xf};
    assert_false(nsh_rule_may_overlap(&a, &b));
    a = b = base();
    a.destination_port = (struct nsh_range){1, 100};
    b.destination_port = (struct nsh_range){100, 200};
    assert_true(nsh_rule_may_overlap(&a, &b));
    b.destination_port.first = 101;
    assert_false(nsh_rule_may_overlap(&a, &b));
    a = b = base();
    strcpy(a.iif, "a");
    assert_true(nsh_rule_may_overlap(&a, &b));
    strcpy(b.iif, "b");
    assert_false(nsh_rule_may_overlap(&a, &b));
}

static void test_kernel_questions(void **state)
{
    struct nsh_rule narrow = base(), wide = base(), other;

    (void)state;
    narrow.from = prefix("10.0.0.0/8");
    assert_true(nsh_rule_delete_takes(&wide, &narrow));
    assert_false(nsh_rule_delete_takes(&narrow, &wide));
    assert_true(nsh_rule_add_meets(&wide, &narrow));
    assert_false(nsh_rule_add_meets(&narrow, &wide));
    other = narrow;
    other.invert = true;
    assert_true(nsh_rule_delete_takes(&narrow, &other));
    assert_true(nsh_rule_add_meets(&narrow, &other));
    other = narrow;
    other.protocol = 4;
    assert_false(nsh_rule_delete_takes(&narrow, &other));
    assert_false(nsh_rule_add_meets(&narrow, &other));
    /* A device is what a deletion may leave out, and an addition not. */
    other = base();
    strcpy(other.iif, "a");
    assert_true(nsh_rule_delete_takes(&wide, &other));
    assert_false(nsh_rule_add_meets(&wide, &other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_format),
            cmocka_unit_test(test_format_outcomes),
            cmocka_unit_test(test_normalize),
            cmocka_unit_test(test_cmp),
            cmocka_unit_test(test_overlap),
            cmocka_unit_test(test_kernel_questions),
    };

    return cmocka_run_group_tests_name("rule", tests, NULL, NULL);
}
