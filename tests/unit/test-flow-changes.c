/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <string.h>

#include "cleanup.h"
#include "conntrack-change.h"

#define LAN "10.0.0.2"
#define FAR "198.51.100.1"
#define WAN "192.0.2.1"

static union nsh_addr addr(const char *text)
{
    struct nsh_prefix p;

    assert_int_equal(nsh_prefix_parse(text, &p), NSH_PREFIX_OK);
    return p.addr;
}

/* ---- policies ---- */

static struct nsh_packet_rule rule(enum nsh_packet_action action, const char *from, const char *out)
{
    struct nsh_packet_rule r = {.action = action};

    if (from)
        assert_int_equal(nsh_prefix_parse(from, &r.from), NSH_PREFIX_OK);
    memcpy(r.out, out, strlen(out));
    return r;
}

static struct nsh_packet_rule masquerade(const char *from, const char *out)
{
    return rule(NSH_PACKET_MASQUERADE, from, out);
}

static struct nsh_packet_rule snat(const char *from, const char *out, const char *to)
{
    struct nsh_packet_rule r = rule(NSH_PACKET_SNAT, from, out);

    r.nat = (struct nsh_packet_nat){.family = AF_INET, .first = addr(to), .last = addr(to)};
    return r;
}

static struct nsh_packet_rule dnat(uint16_t port, const char *in, const char *to, uint16_t to_port)
{
    struct nsh_packet_rule r = rule(NSH_PACKET_DNAT, NULL, "");

    memcpy(r.in, in, strlen(in));
    r.protocol = IPPROTO_TCP;
    r.destination_port = (struct nsh_range){port, port};
    r.nat = (struct nsh_packet_nat){
            .family = AF_INET, .first = addr(to), .last = addr(to), .ports = {to_port, to_port}};
    return r;
}

static struct nsh_packet_rule ipsec(void)
{
    struct nsh_packet_rule r = rule(NSH_PACKET_RETURN, NULL, "");

    r.ipsec = true;
    return r;
}

/* One or two policies, each of so many rules. */
struct policies {
    struct nsh_chain chains[2];
    const struct nsh_chain *pointers[2];
    struct nsh_translations t;
};

static void add(struct policies *p, const char *name, const char *hook,
        const struct nsh_packet_rule *rules, size_t n)
{
    struct nsh_chain *c = &p->chains[p->t.n_chains];

    *c = (struct nsh_chain){.family = AF_INET, .hook = hook, .rules = rules, .n_rules = n};
    memcpy(c->policy, name, strlen(name));
    p->pointers[p->t.n_chains++] = c;
    p->t.chains = p->pointers;
}

static struct policies *one(struct policies *p, const struct nsh_packet_rule *rules, size_t n)
{
    *p = (struct policies){0};
    add(p, "a", rules[0].action == NSH_PACKET_DNAT ? "PREROUTING" : "POSTROUTING", rules, n);
    return p;
}

/* ---- flows ---- */

static struct nsh_ct_tuple tuple(const char *src, uint16_t sport, const char *dst, uint16_t dport)
{
    return (struct nsh_ct_tuple){.src = addr(src),
            .dst = addr(dst),
            .src_port = htons(sport),
            .dst_port = htons(dport),
            .protocol = IPPROTO_TCP};
}

static struct nsh_ct_entry entry(struct nsh_ct_tuple began, struct nsh_ct_tuple answers)
{
    return (struct nsh_ct_entry){.family = AF_INET,
            .src = began.src,
            .dst = answers.src,
            .began = began,
            .answers = answers};
}

/* From the LAN to the far server, seen there from `as`. */
static struct nsh_ct_entry seen_as(const char *as)
{
    return entry(tuple(LAN, 4000, FAR, 80), tuple(FAR, 80, as, 4000));
}

/* Out by eth1, whose address is WAN. */
static const struct nsh_chain *judge(const struct policies *before, const struct policies *now,
        const struct nsh_ct_entry *e, bool plain)
{
    union nsh_addr own = addr(WAN);
    struct nsh_ct_way way = {"eth1", &own, 1, plain};
    struct nsh_change c = {.now = now->t, .before = {before->t}, .n_before = 1};
    const struct nsh_chain *whose;

    nsh_change_prepare(&c);
    whose = nsh_change_judge(&c, e, &way);
    /* What is not looked at closely would have stayed. */
    if (whose)
        assert_true(nsh_change_concerns(&c, e, plain));
    return whose;
}

static bool dropped(
        const struct policies *before, const struct policies *now, const struct nsh_ct_entry *e)
{
    return judge(before, now, e, true) != NULL;
}

/* ---- tests ---- */

static const struct policies none;

static void test_another_address(void **state)
{
    struct nsh_packet_rule seven = snat("10.0.0.0/24", "eth1", "192.0.2.7");
    struct nsh_packet_rule eight = snat("10.0.0.0/24", "eth1", "192.0.2.8");
    struct policies before, now;
    struct nsh_ct_entry at_seven = seen_as("192.0.2.7"), at_eight = seen_as("192.0.2.8");
    struct nsh_ct_entry at_wan = seen_as(WAN), plain = seen_as(LAN);

    (void)state;
    one(&before, &seven, 1);
    one(&now, &eight, 1);
    assert_true(dropped(&before, &now, &at_seven));
    assert_false(dropped(&before, &before, &at_seven));
    /* Not as the policy before had made them: another program's. */
    assert_false(dropped(&before, &now, &at_wan));
    assert_false(dropped(&before, &now, &plain));
    assert_false(dropped(&before, &now, &at_eight));
}

static void test_policy_comes_and_goes(void **state)
{
    struct nsh_packet_rule r[] = {ipsec(), masquerade("10.0.0.0/24", "eth1")};
    struct nsh_packet_rule other[] = {masquerade("10.0.1.0/24", "eth1")};
    struct policies p, q;
    struct nsh_ct_entry translated = seen_as(WAN), plain = seen_as(LAN);

    (void)state;
    one(&p, r, 2);
    one(&q, other, 1);
    assert_true(dropped(&p, &none, &translated));
    assert_true(dropped(&none, &p, &plain));
    assert_false(dropped(&none, &p, &translated));
    assert_false(dropped(&p, &none, &plain));
    assert_string_equal(judge(&none, &p, &plain, true)->policy, "a");
    /* An IPsec policy may be why it is as it is. */
    assert_false(judge(&none, &p, &plain, false));
    assert_true(judge(&p, &none, &translated, false));
    /* Nothing of it concerns others. */
    assert_false(dropped(&q, &none, &translated));
    assert_false(dropped(&none, &q, &plain));
}

static void test_same_in_other_words(void **state)
{
    struct nsh_packet_rule m = masquerade(NULL, "eth1"), s = snat("10.0.0.0/8", "eth1", WAN);
    struct nsh_packet_rule range = s;
    struct policies a, b, c;
    struct nsh_ct_entry e = seen_as(WAN);

    (void)state;
    range.nat.last = addr("192.0.2.9");
    one(&a, &m, 1);
    one(&b, &s, 1);
    one(&c, &range, 1);
    assert_false(dropped(&a, &b, &e));
    assert_false(dropped(&b, &a, &e));
    assert_false(dropped(&a, &c, &e));
    e = seen_as("192.0.2.9");
    assert_true(dropped(&c, &b, &e));
    assert_true(dropped(&c, &a, &e));
}

static void test_ports(void **state)
{
    struct nsh_packet_rule plain = snat(NULL, "eth1", WAN), low = plain, high = plain, rand = plain;
    struct policies p, l, h, r;
    struct nsh_ct_entry kept = seen_as(WAN);
    struct nsh_ct_entry moved = entry(tuple(LAN, 4000, FAR, 80), tuple(FAR, 80, WAN, 1025));

    (void)state;
    low.protocol = high.protocol = IPPROTO_TCP;
    low.nat.ports = (struct nsh_range){1024, 2047};
    high.nat.ports = (struct nsh_range){4000, 5000};
    rand.nat.random = NSH_RANDOM_FULLY;
    one(&p, &plain, 1);
    one(&l, &low, 1);
    one(&h, &high, 1);
    one(&r, &rand, 1);
    assert_true(dropped(&p, &l, &kept));
    assert_false(dropped(&p, &h, &kept));
    assert_true(dropped(&l, &p, &moved));
    assert_true(dropped(&l, &h, &moved));
    /* The port it came from was taken. */
    assert_false(dropped(&p, &p, &moved));
    assert_false(dropped(&p, &r, &moved));
    plain.nat.first = plain.nat.last = addr("192.0.2.8");
    assert_true(dropped(&l, &p, &moved));
}

static void test_exemptions(void **state)
{
    struct nsh_packet_rule r[] = {
            rule(NSH_PACKET_RETURN, "10.0.0.2/32", ""), masquerade("10.0.0.0/24", "eth1")};
    struct policies without, with;
    struct nsh_ct_entry translated = seen_as(WAN), plain = seen_as(LAN);

    (void)state;
    one(&without, &r[1], 1);
    one(&with, r, 2);
    assert_true(dropped(&without, &with, &translated));
    assert_true(dropped(&with, &without, &plain));
    assert_string_equal(judge(&without, &with, &translated, true)->policy, "a");
}

/* What a mark says nobody knows: the flow goes only if it can't come to the same. */
static void test_marks(void **state)
{
    struct nsh_packet_rule marked = snat(NULL, "eth1", "192.0.2.7");
    struct nsh_packet_rule eight = snat(NULL, "eth1", "192.0.2.8"), rest = masquerade(NULL, "eth1");
    struct policies before, now;
    struct nsh_ct_entry at_seven = seen_as("192.0.2.7"), at_wan = seen_as(WAN);

    (void)state;
    marked.mark = eight.mark = (struct nsh_mark){1, 1};
    one(&before, &marked, 1);
    add(&before, "b", "POSTROUTING", &rest, 1);
    one(&now, &eight, 1);
    add(&now, "b", "POSTROUTING", &rest, 1);
    assert_true(dropped(&before, &now, &at_seven));
    assert_false(dropped(&before, &now, &at_wan));
    /* Without the mark it may still be that address. */
    marked.mark.mask = 0;
    assert_false(dropped(&now, &before, &at_seven));
    assert_true(dropped(&now, &before, &at_wan));
}

static void test_order(void **state)
{
    struct nsh_packet_rule seven = snat(NULL, "eth1", "192.0.2.7");
    struct nsh_packet_rule eight = snat(NULL, "eth1", "192.0.2.8");
    struct policies before = {0}, now = {0};
    struct nsh_ct_entry e = seen_as("192.0.2.7");

    (void)state;
    add(&before, "a", "POSTROUTING", &seven, 1);
    add(&before, "b", "POSTROUTING", &eight, 1);
    add(&now, "b", "POSTROUTING", &eight, 1);
    add(&now, "a", "POSTROUTING", &seven, 1);
    assert_true(dropped(&before, &now, &e));
    assert_string_equal(judge(&before, &now, &e, true)->policy, "b");
    assert_false(dropped(&before, &before, &e));
}

/* From the world to a host behind this machine. */
static void test_port_forwards(void **state)
{
    struct nsh_packet_rule ten = dnat(443, "eth1", "10.0.0.10", 8443);
    struct nsh_packet_rule eleven = dnat(443, "eth1", "10.0.0.11", 8443);
    struct nsh_packet_rule eth2 = dnat(443, "eth2", "10.0.0.10", 8443);
    struct policies before, now, elsewhere;
    struct nsh_ct_entry led = entry(tuple(FAR, 999, WAN, 443), tuple("10.0.0.10", 8443, FAR, 999));
    struct nsh_ct_entry own = entry(tuple(FAR, 999, WAN, 443), tuple(WAN, 443, FAR, 999));

    (void)state;
    one(&before, &ten, 1);
    one(&now, &eleven, 1);
    one(&elsewhere, &eth2, 1);
    assert_true(dropped(&before, &now, &led));
    assert_true(dropped(&before, &none, &led));
    assert_false(dropped(&before, &before, &led));
    /* By which device it came in nobody knows. */
    assert_false(dropped(&before, &elsewhere, &led));
    assert_false(dropped(&none, &before, &own));
    assert_false(dropped(&before, &none, &own));
}

static void test_maps(void **state)
{
    struct nsh_packet_rule r = rule(NSH_PACKET_NETMAP, "10.0.0.0/24", "eth1"), other = r;
    struct policies before, now;
    struct nsh_ct_entry mapped = seen_as("10.99.1.2"), plain = seen_as(LAN);

    (void)state;
    assert_int_equal(nsh_prefix_parse("10.99.1.0/24", &r.map), NSH_PREFIX_OK);
    assert_int_equal(nsh_prefix_parse("10.99.2.0/24", &other.map), NSH_PREFIX_OK);
    one(&before, &r, 1);
    one(&now, &other, 1);
    assert_true(dropped(&before, &now, &mapped));
    assert_true(dropped(&before, &none, &mapped));
    assert_false(dropped(&before, &before, &mapped));
    assert_true(dropped(&none, &now, &plain));
}

static void test_unknown_way(void **state)
{
    struct nsh_packet_rule seven = snat(NULL, "", "192.0.2.7");
    struct policies before;
    struct nsh_ct_entry e = seen_as("192.0.2.7");
    struct nsh_ct_way way = {.out = "", .plain = true};

    (void)state;
    one(&before, &seven, 1);
    struct nsh_change c = {.before = {before.t}, .n_before = 1};
    assert_true(nsh_change_prepare(&c));
    assert_null(nsh_change_judge(&c, &e, &way));
    way.out = "eth1";
    assert_non_null(nsh_change_judge(&c, &e, &way));
}

/* Two changes in a row: it may be of either time. */
static void test_two_changes(void **state)
{
    struct nsh_packet_rule r[] = {snat(NULL, "eth1", "192.0.2.7"), snat(NULL, "eth1", "192.0.2.8"),
            snat(NULL, "eth1", "192.0.2.9")};
    const char *const at[] = {"192.0.2.7", "192.0.2.8", "192.0.2.9"};
    union nsh_addr own = addr(WAN);
    struct nsh_ct_way way = {"eth1", &own, 1, true};
    struct policies p[3];

    (void)state;
    for (int i = 0; i < 3; i++)
        one(&p[i], &r[i], 1);
    struct nsh_change c = {.now = p[2].t, .before = {p[0].t, p[1].t}, .n_before = 2};
    assert_true(nsh_change_prepare(&c));
    for (int i = 0; i < 3; i++) {
        struct nsh_ct_entry e = seen_as(at[i]);

        assert_int_equal(nsh_change_judge(&c, &e, &way) != NULL, i < 2);
    }
}

static void test_sets(void **state)
{
    struct nsh_prefix small[1], large[2];
    struct nsh_set s = {.family = AF_INET, .name = "netshared-a_f4", .prefixes = small, .n = 1};
    struct nsh_set l = {.family = AF_INET, .name = "netshared-a_f4", .prefixes = large, .n = 2};
    struct nsh_packet_rule r = masquerade(NULL, "eth1");
    struct policies before, now, same;
    struct nsh_ct_entry plain = seen_as(LAN), translated = seen_as(WAN);
    struct nsh_change c;

    (void)state;
    assert_int_equal(nsh_prefix_parse("10.0.1.0/24", &small[0]), NSH_PREFIX_OK);
    assert_int_equal(nsh_prefix_parse("10.0.0.0/24", &large[0]), NSH_PREFIX_OK);
    large[1] = small[0];
    memcpy(r.from_set, s.name, sizeof s.name);
    one(&before, &r, 1)->t.sets = &s;
    one(&now, &r, 1)->t.sets = &l;
    one(&same, &r, 1)->t.sets = &s;
    before.t.n_sets = now.t.n_sets = same.t.n_sets = 1;
    assert_true(dropped(&before, &now, &plain));
    assert_true(dropped(&now, &before, &translated));
    c = (struct nsh_change){.now = now.t, .before = {same.t}, .n_before = 1};
    assert_true(nsh_change_prepare(&c));
    c.now = before.t;
    assert_false(nsh_change_prepare(&c));
}

/* Of many policies only those that changed are looked at for each flow. */
static void test_little_work(void **state)
{
    enum { MANY = 2000 };
    static struct nsh_packet_rule rules[MANY], changed;
    static struct nsh_chain chains[MANY], other;
    static const struct nsh_chain *was[MANY], *is[MANY];
    struct nsh_ct_entry e = seen_as(LAN);

    (void)state;
    for (int i = 0; i < MANY; i++) {
        rules[i] = masquerade("172.16.0.0/12", "eth1");
        chains[i] = (struct nsh_chain){
                .family = AF_INET, .hook = "POSTROUTING", .rules = &rules[i], .n_rules = 1};
        was[i] = is[i] = &chains[i];
    }
    changed = masquerade("172.16.0.0/16", "eth1");
    other = chains[1000];
    other.rules = &changed;
    is[1000] = &other;
    struct nsh_change c = {.now = {is, MANY}, .before = {{was, MANY}}, .n_before = 1};
    assert_true(nsh_change_prepare(&c));
    assert_false(nsh_change_concerns(&c, &e, true));
    assert_int_equal(c.work, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_another_address),
            cmocka_unit_test(test_policy_comes_and_goes),
            cmocka_unit_test(test_same_in_other_words),
            cmocka_unit_test(test_ports),
            cmocka_unit_test(test_exemptions),
            cmocka_unit_test(test_marks),
            cmocka_unit_test(test_order),
            cmocka_unit_test(test_port_forwards),
            cmocka_unit_test(test_maps),
            cmocka_unit_test(test_unknown_way),
            cmocka_unit_test(test_two_changes),
            cmocka_unit_test(test_sets),
            cmocka_unit_test(test_little_work),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
