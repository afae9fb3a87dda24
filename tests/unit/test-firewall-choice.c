/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which firewall is chosen, and that the policies move from one to the other without a gap: the two
 * are fakes of their own.
 */
#include "firewall-choice.h"
#include "reconcile-internal.h"
#include "reconcile-policies.h"

#define LAN "masquerade: [{name: lan, out: [eth0], from: [10.0.0.0/24]}]\n"
#define FOREIGN "iptables -t nat -A POSTROUTING -o eth1 -j MASQUERADE"

static const char *const names[] = {"iptables", "nftables"};

struct pair {
    struct nsh_firewall_fake *fakes[2];
    struct nsh_firewall_ops ops[2];
    struct nsh_firewalls f;
};

static void open_pair(struct pair *p)
{
    struct nsh_firewall **to[2] = {&p->f.iptables, &p->f.nftables};

    *p = (struct pair){0};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(nsh_firewall_fake_new(&p->fakes[i]), 0);
        assert_int_equal(nsh_firewall_fake_open(p->fakes[i], to[i]), 0);
        p->ops[i] = *(*to[i])->ops;
        p->ops[i].name = names[i];
        (*to[i])->ops = &p->ops[i];
    }
    p->f.chosen = p->f.iptables;
}

static void close_pair(struct pair *p)
{
    nsh_firewalls_done(&p->f);
    nsh_firewall_fake_free(p->fakes[0]);
    nsh_firewall_fake_free(p->fakes[1]);
}

static void foreign(struct pair *p, int which, const char *words)
{
    assert_int_equal(nsh_firewall_fake_iptables(p->fakes[which], words), 0);
}

static const char *choose(struct pair *p, const char *yaml)
{
    struct nsh_desired *d = rw_load(yaml);

    nsh_firewalls_choose(&p->f, d, false);
    nsh_desired_free(d);
    return p->f.chosen->ops->name;
}

static size_t probes(const struct pair *p, int which)
{
    return nsh_firewall_fake_counts(p->fakes[which])->probes;
}

static void test_the_rule(void **state)
{
    static const struct {
        bool foreign_iptables, foreign_nftables, no_iptables, no_nftables;
        const char *setting, *chosen, *why;
    } cases[] = {
            {false, false, false, false, "auto", "iptables", "nobody else"},
            {true, false, false, false, "auto", "iptables", "nobody else"},
            {false, true, false, false, "auto", "nftables", "others keep their NAT there"},
            {true, true, false, false, "auto", "iptables", ""},
            {false, false, true, false, "auto", "nftables", "can't be had: not in this kernel"},
            {false, false, true, true, "auto", "iptables", ""},
            {false, true, false, false, "iptables", "iptables", "as the configuration says"},
            {false, false, false, false, "nftables", "nftables", "as the configuration says"},
    };

    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(cases); i++) {
        struct pair p;
        char yaml[256];

        open_pair(&p);
        if (cases[i].foreign_iptables)
            foreign(&p, 0, FOREIGN);
        if (cases[i].foreign_nftables)
            foreign(&p, 1, FOREIGN);
        if (cases[i].no_iptables)
            nsh_firewall_fake_unsupported(p.fakes[0], AF_INET, ENOPROTOOPT, "not in this kernel");
        if (cases[i].no_nftables)
            nsh_firewall_fake_unsupported(p.fakes[1], AF_INET, ENOPROTOOPT, "nor this");
        snprintf(yaml, sizeof(yaml), "settings: {firewall: %s}\n" LAN, cases[i].setting);
        assert_string_equal(choose(&p, yaml), cases[i].chosen);
        assert_non_null(strstr(p.f.why, cases[i].why));
        close_pair(&p);
    }
}

/* Where the answer is known without, nobody is asked whether there are legacy tables. */
static void test_nothing_comes_into_use_by_judging(void **state)
{
    struct pair p;

    (void)state;
    open_pair(&p);
    assert_string_equal(choose(&p, ""), "iptables");
    assert_int_equal(probes(&p, 0) + probes(&p, 1), 0);
    assert_false(p.f.judged);
    foreign(&p, 1, FOREIGN);
    assert_string_equal(choose(&p, LAN), "nftables");
    assert_int_equal(probes(&p, 0), 0);
    close_pair(&p);
}

/* It moves to nftables when others do, and not back while it runs. */
static void test_one_way(void **state)
{
    struct pair p;

    (void)state;
    open_pair(&p);
    assert_string_equal(choose(&p, LAN), "iptables");
    foreign(&p, 1, FOREIGN);
    assert_string_equal(choose(&p, LAN), "nftables");
    foreign(&p, 1, "iptables -t nat -F");
    foreign(&p, 0, FOREIGN);
    assert_string_equal(choose(&p, LAN), "nftables");
    assert_string_equal(choose(&p, "settings: {firewall: iptables}\n" LAN), "iptables");
    close_pair(&p);
}

static void test_news_once(void **state)
{
    struct nsh_desired *d = rw_load(LAN);
    struct pair p;

    (void)state;
    open_pair(&p);
    assert_true(nsh_firewalls_choose(&p.f, d, false));
    assert_false(nsh_firewalls_choose(&p.f, d, false));
    nsh_desired_free(d);
    close_pair(&p);
}

/* It begins once and ends once, and is not told while nothing is wanted. */
static void test_nat_in_both(void **state)
{
    struct nsh_desired *d = rw_load(LAN), *nothing = rw_load("");
    struct pair p;

    (void)state;
    open_pair(&p);
    foreign(&p, 0, FOREIGN);
    foreign(&p, 1, FOREIGN);
    assert_int_equal(nsh_firewalls_look_at_both(&p.f), NSH_BOTH_AS_BEFORE);
    nsh_firewalls_choose(&p.f, d, false);
    assert_int_equal(nsh_firewalls_look_at_both(&p.f), NSH_BOTH_BEGUN);
    assert_non_null(strstr(p.f.both, "in nftables, and netshared's in iptables"));
    assert_non_null(strstr(p.f.both, "'firewall: nftables' in the settings"));
    assert_int_equal(nsh_firewalls_look_at_both(&p.f), NSH_BOTH_AS_BEFORE);
    foreign(&p, 1, "iptables -t nat -F");
    assert_int_equal(nsh_firewalls_look_at_both(&p.f), NSH_BOTH_ENDED);
    assert_string_equal(p.f.both, "");
    assert_int_equal(nsh_firewalls_look_at_both(&p.f), NSH_BOTH_AS_BEFORE);
    foreign(&p, 1, FOREIGN);
    assert_int_equal(nsh_firewalls_look_at_both(&p.f), NSH_BOTH_BEGUN);
    /* Moved there, it is the other way round. */
    nsh_desired_free(d);
    d = rw_load("settings: {firewall: nftables}\n" LAN);
    nsh_firewalls_choose(&p.f, d, false);
    assert_int_equal(nsh_firewalls_look_at_both(&p.f), NSH_BOTH_BEGUN);
    assert_non_null(strstr(p.f.both, "in iptables, and netshared's in nftables"));
    /* That nothing is wanted any more is no end of theirs. */
    nsh_desired_free(d);
    nsh_firewalls_choose(&p.f, nothing, false);
    assert_int_equal(nsh_firewalls_look_at_both(&p.f), NSH_BOTH_AS_BEFORE);
    assert_null(p.f.both_in);
    nsh_desired_free(nothing);
    close_pair(&p);
}

/* `plan` looks where the policies stand. */
static void test_only_a_look(void **state)
{
    struct nsh_desired *d = rw_load(LAN);
    struct pair p;

    (void)state;
    open_pair(&p);
    nsh_firewall_fake_unsupported(p.fakes[0], AF_INET, ENOPROTOOPT, "not in this kernel");
    foreign(&p, 1, "iptables -t nat -N NETSHARED-lan");
    nsh_firewalls_choose(&p.f, d, true);
    assert_string_equal(p.f.chosen->ops->name, "nftables");
    assert_int_equal(probes(&p, 0) + probes(&p, 1), 0);
    nsh_desired_free(d);
    close_pair(&p);
}

/* ---- moving ---- */

static bool stands(const struct nsh_firewall_fake *f, enum nsh_table table, const char *words)
{
    nsh_autofree char *text = nsh_firewall_fake_save(f, AF_INET, table, false);

    return strstr(text, words) != NULL;
}

struct movers {
    struct world *w;
    struct nsh_firewall_fake *new_fake;
    struct nsh_firewall *new_one;
};

static struct movers with_two(void)
{
    struct movers m = {.w = world_new()};

    assert_int_equal(nsh_firewall_fake_new(&m.new_fake), 0);
    assert_int_equal(nsh_firewall_fake_open(m.new_fake, &m.new_one), 0);
    nsh_reconciler_use(m.w->r, m.w->firewall, m.new_one);
    return m;
}

static void movers_done(struct movers *m)
{
    rw_free(m->w);
    nsh_firewall_free(m->new_one);
    nsh_firewall_fake_free(m->new_fake);
}

static void test_the_new_one_holds_before_the_old_one_goes(void **state)
{
    struct movers m = with_two();
    struct nsh_desired *d = rw_load(LAN);

    (void)state;
    rp_add_set(d, "home", AF_INET, 0, 20);
    rp_add_share(d, "share", AF_INET);
    somebody(m.w, FOREIGN);
    want_desired(m.w, d, NSH_OCCASION_START);
    run(m.w);
    forget(m.w);

    /* While the new one can't, the old one stays. */
    nsh_firewall_fake_fail_chain(m.new_fake, NSH_TABLE_NAT, "NETSHARED-lan", EIO, "not now");
    nsh_reconciler_use(m.w->r, m.new_one, m.w->firewall);
    run(m.w);
    assert_true(nsh_firewall_fake_holds(m.w->tables, AF_INET));
    assert_true(stands(m.w->tables, NSH_TABLE_NAT, "NETSHARED-lan"));
    assert_true(stands(m.w->tables, NSH_TABLE_FILTER, "NETSHARED-share"));
    nsh_firewall_fake_fail_chain(m.new_fake, NSH_TABLE_NAT, NULL, 0, NULL);
    resync(m.w);
    pass_time(m.w, 5 * SECOND);
    assert_true(stands(m.new_fake, NSH_TABLE_NAT, "NETSHARED-lan"));
    assert_true(stands(m.new_fake, NSH_TABLE_FILTER, "NETSHARED-share"));
    assert_true(stands(m.new_fake, NSH_TABLE_NAT, "--match-set netshared-home_f4"));
    assert_true(nsh_firewall_fake_holds(m.new_fake, AF_INET));
    assert_false(nsh_firewall_fake_holds(m.w->tables, AF_INET));
    for (int t = 0; t < NSH_TABLE_COUNT; t++)
        assert_false(stands(m.w->tables, (enum nsh_table)t, "NETSHARED"));
    assert_null(nsh_firewall_fake_set(m.w->tables, "netshared-home_f4"));
    assert_true(stands(m.w->tables, NSH_TABLE_NAT, "-A POSTROUTING -o eth1 -j MASQUERADE"));
    the_told(m.w, NSH_REPORT_REMOVED, "rules of netshared in", "fake");
    assert_int_equal(sysctl_value(m.w, "net/ipv4/ip_forward"), 1);
    forget(m.w);
    resync(m.w);
    poll_tables(m.w);
    assert_told(m.w, 0);
    movers_done(&m);
}

/* What an earlier run left in the other one goes at a start, and with a stop. */
static void test_leftovers_in_the_other_one(void **state)
{
    struct movers m = with_two();

    (void)state;
    assert_int_equal(nsh_firewall_fake_iptables(m.new_fake, "iptables -t nat -N NETSHARED-lan"), 0);
    assert_int_equal(nsh_firewall_fake_iptables(
                             m.new_fake, "iptables -t nat -A POSTROUTING -j NETSHARED-lan"),
            0);
    start(m.w, LAN);
    assert_false(stands(m.new_fake, NSH_TABLE_NAT, "NETSHARED"));
    assert_true(stands(m.w->tables, NSH_TABLE_NAT, "NETSHARED-lan"));
    assert_int_equal(nsh_firewall_fake_iptables(m.new_fake, "iptables -t nat -N NETSHARED-lan"), 0);
    want(m.w, "", NSH_OCCASION_STOP);
    run(m.w);
    assert_false(stands(m.new_fake, NSH_TABLE_NAT, "NETSHARED"));
    assert_false(stands(m.w->tables, NSH_TABLE_NAT, "NETSHARED"));
    movers_done(&m);
}

/* A jump for what no policy needs any more is told as what it is, and where it stood. */
static void test_a_jump_alone_is_left(void **state)
{
    struct movers m = with_two();

    (void)state;
    assert_int_equal(
            nsh_firewall_fake_iptables(m.new_fake, "iptables -t filter -N NETSHARED-forward"), 0);
    assert_int_equal(nsh_firewall_fake_iptables(
                             m.new_fake, "iptables -t filter -A FORWARD -j NETSHARED-forward"),
            0);
    start(m.w, LAN);
    assert_false(stands(m.new_fake, NSH_TABLE_FILTER, "NETSHARED"));
    assert_string_equal(
            the_told(m.w, NSH_REPORT_REMOVED, "jump in", "the legacy iptables chain FORWARD")
                    ->detail,
            "no policy needs it");
    movers_done(&m);
}

static void test_the_other_lock_is_held(void **state)
{
    struct movers m = with_two();

    (void)state;
    assert_int_equal(nsh_firewall_fake_iptables(m.new_fake, "iptables -t nat -N NETSHARED-lan"), 0);
    nsh_firewall_fake_busy(m.new_fake, 3);
    start(m.w, LAN);
    assert_true(stands(m.new_fake, NSH_TABLE_NAT, "NETSHARED"));
    assert_false(nsh_reconciler_complete(m.w->r));
    pass_time(m.w, SECOND);
    assert_false(stands(m.new_fake, NSH_TABLE_NAT, "NETSHARED"));
    assert_true(nsh_reconciler_complete(m.w->r));
    movers_done(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_the_rule),
            cmocka_unit_test(test_nothing_comes_into_use_by_judging),
            cmocka_unit_test(test_one_way),
            cmocka_unit_test(test_news_once),
            cmocka_unit_test(test_nat_in_both),
            cmocka_unit_test(test_only_a_look),
            cmocka_unit_test(test_the_new_one_holds_before_the_old_one_goes),
            cmocka_unit_test(test_leftovers_in_the_other_one),
            cmocka_unit_test(test_a_jump_alone_is_left),
            cmocka_unit_test(test_the_other_lock_is_held),
    };

    rw_leave_the_network();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
