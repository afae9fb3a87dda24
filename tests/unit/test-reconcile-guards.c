/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a share drops, it drops also while it can't be: its guard.
 */
#include "reconcile-internal.h"
#include "reconcile-policies.h"

#define FORWARD "net/ipv4/ip_forward"
#define CHAIN "nftables chain ip filter FORWARD"

static bool has(struct world *w, enum nsh_table table)
{
    return table_has(w, AF_INET, table, "NETSHARED-home");
}

static void assert_all_of_it(struct world *w)
{
    assert_true(has(w, NSH_TABLE_FILTER));
    assert_true(has(w, NSH_TABLE_NAT));
    assert_true(has(w, NSH_TABLE_MANGLE));
    assert_int_equal(sysctl_value(w, FORWARD), 1);
}

static void drop(struct world *w, const char *where, enum nsh_firewall_fake_drop how)
{
    nsh_firewall_fake_drop(w->tables, where, how);
}

static struct nsh_desired *guarded_share(void)
{
    struct nsh_desired *d = rw_load("");
    struct nsh_packet_rule *guard;

    rp_add_share(d, "home", AF_INET);
    for (size_t i = 0; i < d->n_chains; i++) {
        struct nsh_chain *c = &d->chains[i];

        if (c->table != NSH_TABLE_FILTER)
            continue;
        guard = nsh_arena_alloc(d->arena, c->n_rules * sizeof(*guard));
        memcpy(guard, c->rules, c->n_rules * sizeof(*guard));
        for (size_t k = 0; k < c->n_rules; k++)
            if (guard[k].action == NSH_PACKET_ACCEPT)
                guard[k].action = NSH_PACKET_RETURN;
        c->whole = c->rules;
        c->guard = guard;
    }
    return d;
}

static void assert_guard_alone(struct world *w)
{
    nsh_autofree char *text = nsh_firewall_fake_save(w->tables, AF_INET, NSH_TABLE_FILTER, false);

    assert_non_null(strstr(text, "-A FORWARD -j NETSHARED-home"));
    assert_non_null(strstr(text, "-j DROP"));
    assert_null(strstr(text, "-j ACCEPT"));
    assert_false(has(w, NSH_TABLE_NAT));
    assert_false(has(w, NSH_TABLE_MANGLE));
    assert_int_equal(sysctl_value(w, FORWARD), 0);
    assert_state(w, "share", "home", NSH_OBJECT_PENDING);
}

static void test_a_guard(void **state)
{
    struct world *w = world_new();

    (void)state;
    drop(w, CHAIN, NSH_FAKE_DROP_REFUSES);
    want_desired(w, guarded_share(), NSH_OCCASION_START);
    run(w);
    assert_guard_alone(w);
    assert_stable(w);
    /* Also when another run finds it. */
    want_desired(w, guarded_share(), NSH_OCCASION_RELOAD);
    run(w);
    assert_guard_alone(w);
    resync(w);
    assert_guard_alone(w);
    forget(w);
    drop(w, "", NSH_FAKE_DROP_HOSTS);
    poll_tables(w);
    assert_all_of_it(w);
    assert_state(w, "share", "home", NSH_OBJECT_HELD);
    the_told(w, NSH_REPORT_ADDED, "share", "home");
    assert_told(w, 3); /* with conntrack and forwarding */
    assert_stable(w);
}

/* Damage to it is drift like any other, though the share is pending before and after. */
static void test_a_guard_is_damaged(void **state)
{
    struct world *w = world_new();

    (void)state;
    drop(w, CHAIN, NSH_FAKE_DROP_REFUSES);
    want_desired(w, guarded_share(), NSH_OCCASION_START);
    run(w);
    assert_int_equal(count_told(w, NSH_REPORT_RESTORED), 0);
    resync(w);
    assert_int_equal(count_told(w, NSH_REPORT_RESTORED), 0);
    forget(w);
    somebody(w, "iptables -t filter -F NETSHARED-home");
    poll_tables(w);
    assert_string_equal(the_told(w, NSH_REPORT_RESTORED, "share", "home")->cause, "flushed");
    assert_told(w, 1);
    assert_guard_alone(w);
    for (int i = 0; i < 12 && count_told(w, NSH_REPORT_FIGHT) == 0; i++) {
        somebody(w, "iptables -t filter -F NETSHARED-home");
        poll_tables(w);
    }
    the_told(w, NSH_REPORT_FIGHT, "share", "home");
    assert_state(w, "share", "home", NSH_OBJECT_PENDING);
    /* It has to wait, and then it is there again. */
    forget(w);
    poll_tables(w);
    assert_told(w, 0);
    pass_time(w, 2 * SECOND);
    assert_guard_alone(w);
    the_told(w, NSH_REPORT_RESTORED, "share", "home");
}

/* One of its steps fails, the last one too; and when not even the guard can be, nothing else waits
 * for it. */
static void test_a_guard_after_a_failure(void **state)
{
    struct world *w = world_new();

    (void)state;
    nsh_firewall_fake_no_table(w->tables, AF_INET, NSH_TABLE_MANGLE, ENOENT, "no mangle here");
    want_desired(w, guarded_share(), NSH_OCCASION_START);
    run(w);
    assert_guard_alone(w);
    pass_time(w, 10 * SECOND);
    assert_guard_alone(w);
    nsh_firewall_fake_no_table(w->tables, AF_INET, NSH_TABLE_MANGLE, 0, NULL);
    pass_time(w, 600 * SECOND);
    assert_all_of_it(w);
    assert_state(w, "share", "home", NSH_OBJECT_HELD);
    assert_stable(w);
    nsh_firewall_fake_no_table(w->tables, AF_INET, NSH_TABLE_FILTER, ENOENT, "no filter here");
    drop(w, CHAIN, NSH_FAKE_DROP_REFUSES);
    want_desired(w, guarded_share(), NSH_OCCASION_RELOAD);
    run(w);
    pass_time(w, 600 * SECOND);
    assert_state(w, "share", "home", NSH_OBJECT_PENDING);
}

static void refused(struct world *w)
{
    drop(w, CHAIN, NSH_FAKE_DROP_REFUSES);
}

static void no_mangle(struct world *w)
{
    nsh_firewall_fake_no_table(w->tables, AF_INET, NSH_TABLE_MANGLE, ENOENT, "no mangle here");
}

static void nat_fails(struct world *w)
{
    nsh_firewall_fake_fail_chain(w->tables, NSH_TABLE_NAT, "NETSHARED-home", EINVAL, "refused");
}

/* Nothing told of it, and each comparison tries the share anew. */
static void test_a_resync_finds_it(void **state)
{
    static void (*const whys[])(struct world * w) = {refused, no_mangle, nat_fails};
    static const struct {
        const char *damage, *cause;
    } cases[] = {
            {"iptables -t filter -F NETSHARED-home", "flushed"},
            {"iptables -t filter -D FORWARD -j NETSHARED-home", "jump missing"},
            {"iptables -t filter -I FORWARD -j RETURN", "jump behind a rule of others"},
    };

    for (size_t i = 0; i < NSH_ARRAY_SIZE(whys) * NSH_ARRAY_SIZE(cases); i++) {
        struct world *w = world_new();
        const size_t k = i % NSH_ARRAY_SIZE(cases);

        whys[i / NSH_ARRAY_SIZE(cases)](w);
        want_desired(w, guarded_share(), NSH_OCCASION_START);
        run(w);
        pass_time(w, 600 * SECOND);
        resync(w);
        forget(w);
        somebody(w, cases[k].damage);
        resync(w);
        assert_guard_alone(w);
        assert_string_equal(
                the_told(w, NSH_REPORT_RESTORED, "share", "home")->cause, cases[k].cause);
        assert_told(w, 1);
        resync(w);
        assert_told(w, 1);
        rw_teardown(state);
    }
}

/* What it guards comes about in the same look: that is told. */
static void test_what_it_guards_comes(void **state)
{
    struct world *w = world_new();

    (void)state;
    no_mangle(w);
    want_desired(w, guarded_share(), NSH_OCCASION_START);
    run(w);
    forget(w);
    somebody(w, "iptables -t filter -F NETSHARED-home");
    nsh_firewall_fake_no_table(w->tables, AF_INET, NSH_TABLE_MANGLE, 0, NULL);
    resync(w);
    assert_all_of_it(w);
    the_told(w, NSH_REPORT_ADDED, "share", "home");
    assert_int_equal(count_told(w, NSH_REPORT_RESTORED), 0);
    forget(w);
    somebody(w, "iptables -t filter -F NETSHARED-home");
    resync(w);
    the_told(w, NSH_REPORT_RESTORED, "share", "home");
    assert_told(w, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            rw_test(test_a_guard),
            rw_test(test_a_guard_is_damaged),
            rw_test(test_a_guard_after_a_failure),
            rw_test(test_a_resync_finds_it),
            rw_test(test_what_it_guards_comes),
    };

    rw_leave_the_network();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
