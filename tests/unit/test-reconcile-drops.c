/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules of others that drop what is let through: a jump of ours among them, the last to come and
 * the first to go; where none can stand, none of the policy.
 */
#include "reconcile-internal.h"
#include "reconcile-policies.h"

#define FORWARD "net/ipv4/ip_forward"
#define CHAIN "nftables chain ip filter FORWARD"

static struct nsh_desired *share(void)
{
    struct nsh_desired *d = rw_load("");

    rp_add_share(d, "home", AF_INET);
    return d;
}

static bool has(struct world *w, enum nsh_table table)
{
    return table_has(w, AF_INET, table, "NETSHARED-home");
}

static void assert_none_of_it(struct world *w)
{
    assert_false(has(w, NSH_TABLE_FILTER));
    assert_false(has(w, NSH_TABLE_NAT));
    assert_false(has(w, NSH_TABLE_MANGLE));
    assert_int_equal(sysctl_value(w, FORWARD), 0);
}

static void assert_all_of_it(struct world *w)
{
    assert_true(has(w, NSH_TABLE_FILTER));
    assert_true(has(w, NSH_TABLE_NAT));
    assert_true(has(w, NSH_TABLE_MANGLE));
    assert_int_equal(sysctl_value(w, FORWARD), 1);
}

static void assert_guest(struct world *w, const char *whom)
{
    assert_string_equal(nsh_firewall_fake_guest(w->tables), whom);
}

static void drop(struct world *w, const char *where, enum nsh_firewall_fake_drop how)
{
    nsh_firewall_fake_drop(w->tables, where, how);
}

static void test_the_jump_in_its_order(void **state)
{
    struct world *w = world_with_state();

    (void)state;
    drop(w, CHAIN, NSH_FAKE_DROP_HOSTS);
    want_desired(w, share(), NSH_OCCASION_START);
    run(w);
    assert_log(w, "commit ipv4 raw\ncommit ipv4 filter\ncommit ipv4 nat\ncommit ipv4 mangle\n"
                  "jumps\nsysctl net/ipv4/ip_forward=1\n");
    the_told(w, NSH_REPORT_ADDED, "jump in", CHAIN);
    assert_state(w, "share", "home", NSH_OBJECT_HELD);
    assert_guest(w, "home 4");
    assert_stable(w);
    forget(w);
    reload(w, "");
    assert_log(w, "jumps\nsysctl net/ipv4/ip_forward=0\ncommit ipv4 mangle\ncommit ipv4 nat\n"
                  "commit ipv4 filter\ncommit ipv4 raw\n");
    the_told(w, NSH_REPORT_REMOVED, "jump in", CHAIN);
    assert_guest(w, "");
    assert_stable(w);
}

/* It follows what is wanted, a family and a policy at a time. */
static void test_whom_it_is_for(void **state)
{
    struct world *w = world_new();
    struct nsh_desired *d = share();

    (void)state;
    rp_add_share(d, "home", AF_INET6);
    rp_add_share(d, "office", AF_INET);
    drop(w, CHAIN, NSH_FAKE_DROP_HOSTS);
    want_desired(w, d, NSH_OCCASION_START);
    run(w);
    assert_guest(w, "home 4, home 6, office 4");
    want_desired(w, share(), NSH_OCCASION_RELOAD);
    run(w);
    assert_guest(w, "home 4");
    the_told(w, NSH_REPORT_CHANGED, "jump in", CHAIN);
    assert_stable(w);
}

static void test_the_others_come_later(void **state)
{
    struct world *w = world_new();

    (void)state;
    want_desired(w, share(), NSH_OCCASION_START);
    run(w);
    for (int i = 0; i < 2; i++) {
        forget(w);
        drop(w, CHAIN, NSH_FAKE_DROP_HOSTS);
        poll_tables(w);
        the_told(w, NSH_REPORT_ADDED, "jump in", CHAIN);
        assert_told(w, 1);
        assert_guest(w, "home 4");
        assert_stable(w);
        forget(w);
        drop(w, "", NSH_FAKE_DROP_HOSTS);
        poll_tables(w);
        assert_told(w, 0);
        assert_state(w, "share", "home", NSH_OBJECT_HELD);
    }
}

static void test_somebody_takes_it_away(void **state)
{
    struct world *w = world_new();

    (void)state;
    drop(w, CHAIN, NSH_FAKE_DROP_HOSTS);
    want_desired(w, share(), NSH_OCCASION_START);
    run(w);
    forget(w);
    nsh_firewall_fake_take_guest(w->tables);
    poll_tables(w);
    the_told(w, NSH_REPORT_RESTORED, "jump in", CHAIN);
    assert_guest(w, "home 4");
    /* Again and again: once it is told, and then it takes its time. */
    for (int i = 0; i < 40 && count_told(w, NSH_REPORT_FIGHT) == 0; i++) {
        nsh_firewall_fake_take_guest(w->tables);
        poll_tables(w);
    }
    the_told(w, NSH_REPORT_FIGHT, "jump in", CHAIN);
    assert_guest(w, "");
    assert_state(w, "share", "home", NSH_OBJECT_WRONG);
    assert_reason(w, "share", "home",
            "not in force: " CHAIN " drops what it forwards, and something "
            "keeps removing our jump there; backing off until ");
    pass_time(w, 600 * SECOND);
    assert_guest(w, "home 4");
    assert_state(w, "share", "home", NSH_OBJECT_HELD);
    assert_stable(w);
}

static void take_it_away(struct world *w, uint32_t pid, const char *name)
{
    nsh_firewall_fake_culprit(w->tables, pid, name);
    nsh_firewall_fake_take_guest(w->tables);
    poll_tables(w);
}

/* What is wrong for longer is not laid at the door of whoever is seen there next. */
static void test_who_takes_it_away(void **state)
{
    static const uint32_t gone = 4194303; /* ended, as far as anybody can tell */
    struct world *w = world_new();
    const struct told *t;

    (void)state;
    drop(w, CHAIN, NSH_FAKE_DROP_HOSTS);
    want_desired(w, share(), NSH_OCCASION_START);
    run(w);
    forget(w);
    take_it_away(w, gone, "nft");
    t = the_told(w, NSH_REPORT_RESTORED, "jump in", CHAIN);
    if (t->culprit_pid == 0)
        print_message("# not in the initial pid namespace: nobody is named\n");
    else
        assert_string_equal(t->culprit, "nft");
    for (int i = 0; i < 40 && count_told(w, NSH_REPORT_FIGHT) == 0; i++)
        take_it_away(w, 0, "");
    assert_string_equal(the_told(w, NSH_REPORT_FIGHT, "jump in", CHAIN)->culprit, "");
    forget(w);
    take_it_away(w, gone, "other"); /* it is gone already, and waits */
    assert_told(w, 0);
    pass_time(w, 600 * SECOND);
    assert_string_equal(the_told(w, NSH_REPORT_RESTORED, "jump in", CHAIN)->culprit, "");
    assert_guest(w, "home 4");
}

/* Of each once, however often they are looked at, and again when it was all judged meanwhile. */
static void test_too_many_rules(void **state)
{
    struct world *w = world_new();
    const char *a = "nftables chain ip a passing", *b = "nftables chain ip b passing";

    (void)state;
    want_desired(w, share(), NSH_OCCASION_START);
    run(w);
    forget(w);
    nsh_firewall_fake_unjudged(w->tables, a, b);
    for (int i = 0; i < 3; i++) {
        poll_tables(w);
        the_told(w, NSH_REPORT_WARNING, "the", a);
        the_told(w, NSH_REPORT_WARNING, "the", b);
        assert_told(w, 2);
        nsh_firewall_fake_unjudged(w->tables, a, b);
    }
    nsh_firewall_fake_unjudged(w->tables, b, NULL);
    poll_tables(w);
    assert_told(w, 2);
    forget(w);
    nsh_firewall_fake_unjudged(w->tables, a, b);
    poll_tables(w);
    the_told(w, NSH_REPORT_WARNING, "the", a);
    assert_told(w, 1);
}

static void test_none_can_stand(void **state)
{
    struct world *w = world_new();

    (void)state;
    drop(w, CHAIN, NSH_FAKE_DROP_REFUSES);
    want_desired(w, share(), NSH_OCCASION_START);
    run(w);
    assert_none_of_it(w);
    assert_state(w, "share", "home", NSH_OBJECT_PENDING);
    assert_reason(w, "share", "home", CHAIN " drops forwarded packets; run: let-through home");
    the_told(w, NSH_REPORT_PENDING, "share", "home");
    assert_log(w, ""); /* not even for a moment */
    assert_true(nsh_reconciler_wants_poll(w->r));
    assert_stable(w);
    /* Nothing but the others' rules can change that. */
    forget(w);
    resync(w);
    pass_time(w, 600 * SECOND);
    assert_told(w, 0);
    assert_none_of_it(w);
    drop(w, "", NSH_FAKE_DROP_HOSTS);
    poll_tables(w);
    assert_all_of_it(w);
    assert_state(w, "share", "home", NSH_OBJECT_HELD);
    the_told(w, NSH_REPORT_ADDED, "share", "home");
    assert_stable(w);
}

/* Another failure's next try does not let in what others drop. */
static void test_beside_another_failure(void **state)
{
    struct world *w = world_new();
    struct nsh_desired *d = share();

    (void)state;
    rp_add_share(d, "home", AF_INET6);
    nsh_firewall_fake_no_table(w->tables, AF_INET, NSH_TABLE_MANGLE, ENOENT, "no mangle here");
    want_desired(w, d, NSH_OCCASION_START);
    run(w);
    assert_state(w, "share", "home (ipv4)", NSH_OBJECT_PENDING);
    drop(w, CHAIN, NSH_FAKE_DROP_REFUSES);
    poll_tables(w);
    nsh_firewall_fake_no_table(w->tables, AF_INET, NSH_TABLE_MANGLE, 0, NULL);
    pass_time(w, 600 * SECOND);
    assert_none_of_it(w);
    assert_reason(w, "share", "home (ipv4)", CHAIN " drops");
    drop(w, "", NSH_FAKE_DROP_HOSTS);
    poll_tables(w);
    assert_all_of_it(w);
    assert_stable(w);
}

/* Connections that the others let through go on by what stands. */
static void test_what_stood_stays(void **state)
{
    struct world *w = world_with_state();

    (void)state;
    want_desired(w, share(), NSH_OCCASION_START);
    run(w);
    forget(w);
    drop(w, CHAIN, NSH_FAKE_DROP_REFUSES);
    poll_tables(w);
    assert_state(w, "share", "home", NSH_OBJECT_PENDING);
    the_told(w, NSH_REPORT_PENDING, "share", "home");
    assert_all_of_it(w);
    want_desired(w, share(), NSH_OCCASION_RELOAD);
    run(w);
    assert_all_of_it(w);
    assert_state(w, "share", "home", NSH_OBJECT_PENDING);
    world_restart(w);
    forget(w);
    want_desired(w, share(), NSH_OCCASION_START);
    run(w);
    assert_all_of_it(w);
    assert_log(w, "");
    assert_state(w, "share", "home", NSH_OBJECT_PENDING);
    forget(w);
    drop(w, "", NSH_FAKE_DROP_HOSTS);
    poll_tables(w);
    assert_string_equal(the_told(w, NSH_REPORT_CHANGED, "share", "home")->cause,
            "nothing drops what it forwards any more");
    assert_state(w, "share", "home", NSH_OBJECT_HELD);
    assert_stable(w);
}

/* What is known is of a policy, and is told once. */
static void test_of_each_its_own(void **state)
{
    struct world *w = world_new();
    struct nsh_desired *d = share();

    (void)state;
    rp_add_share(d, "office", AF_INET);
    want_desired(w, d, NSH_OCCASION_START);
    run(w);
    drop(w, CHAIN, NSH_FAKE_DROP_REFUSES);
    poll_tables(w);
    assert_reason(w, "share", "home", CHAIN " drops forwarded packets; run: let-through home");
    assert_reason(w, "share", "office", CHAIN " drops forwarded packets; run: let-through office");
    forget(w);
    drop(w, CHAIN, NSH_FAKE_DROP_REFUSES);
    poll_tables(w);
    assert_told(w, 0);
    drop(w, "", NSH_FAKE_DROP_HOSTS);
    poll_tables(w);
    the_told(w, NSH_REPORT_CHANGED, "share", "home");
    the_told(w, NSH_REPORT_CHANGED, "share", "office");
    assert_told(w, 2);
}

/* A gate that closes while it is pending, and opens when it is not any more. */
static void test_a_gate_meanwhile(void **state)
{
    struct world *w = world_new();
    struct nsh_desired *d = rw_load("routes: [{to: 10.9.0.0/16, dev: eth0, when: {dev-up: "
                                    "check-1}}]\n");

    (void)state;
    rp_add_share(d, "home", AF_INET);
    for (size_t i = 0; i < d->n_chains; i++)
        if (d->chains[i].policy[0] != '\0')
            d->chains[i].when = 1;
    drop(w, CHAIN, NSH_FAKE_DROP_REFUSES);
    want_desired(w, d, NSH_OCCASION_START);
    run(w);
    assert_state(w, "share", "home", NSH_OBJECT_PENDING);
    tell_check(w, false, 1, false, "no answer");
    run(w);
    assert_state(w, "share", "home", NSH_OBJECT_STANDBY);
    drop(w, "", NSH_FAKE_DROP_HOSTS);
    poll_tables(w);
    assert_none_of_it(w);
    assert_state(w, "share", "home", NSH_OBJECT_STANDBY);
    drop(w, CHAIN, NSH_FAKE_DROP_HOSTS);
    tell_check(w, false, 1, true, "");
    run(w);
    assert_all_of_it(w);
    assert_guest(w, "home 4");
    tell_check(w, false, 1, false, "no answer");
    run(w);
    assert_guest(w, "");
    assert_none_of_it(w);
}

static void test_it_can_not_be_written(void **state)
{
    struct world *w = world_new();
    size_t told;

    (void)state;
    drop(w, CHAIN, NSH_FAKE_DROP_HOSTS);
    nsh_firewall_fake_fail_pass(w->tables, 1, ENOBUFS);
    want_desired(w, share(), NSH_OCCASION_START);
    run(w);
    the_told(w, NSH_REPORT_FAILED, "jump in", "chains of others");
    assert_guest(w, "");
    assert_state(w, "share", "home", NSH_OBJECT_WRONG);
    assert_reason(w, "share", "home", "not in force: our jump in chains of others: ");
    told = w->n_told;
    /* It is tried less and less often. */
    nsh_firewall_fake_fail_pass(w->tables, 1, ENOBUFS);
    pass_time(w, SECOND);
    pass_time(w, SECOND);
    assert_guest(w, "");
    pass_time(w, SECOND);
    assert_guest(w, "home 4");
    assert_state(w, "share", "home", NSH_OBJECT_HELD);
    assert_told(w, told + 1); /* that it stands now, and not each try */
    assert_stable(w);
}

/* ---- a masquerade policy is held all the same, and it is told ---- */

#define MASQUERADE "masquerade: [{name: m, out: eth1, family: ipv4}]\n"

static void test_what_is_masqueraded(void **state)
{
    struct world *w = world_new();

    (void)state;
    drop(w, CHAIN, NSH_FAKE_DROP_HOSTS);
    want(w, MASQUERADE, NSH_OCCASION_START);
    run(w);
    assert_state(w, "masquerade", "m", NSH_OBJECT_HELD);
    assert_reason(w, "masquerade", "m", CHAIN " drops what is to be masqueraded; make it a share");
    the_told(w, NSH_REPORT_WARNING, "masquerade", "m");
    assert_guest(w, "");
    assert_stable(w);
    /* Once. */
    forget(w);
    drop(w, CHAIN, NSH_FAKE_DROP_REFUSES);
    poll_tables(w);
    assert_reason(w, "masquerade", "m", CHAIN " drops what is to be masqueraded; run: ");
    reload(w, MASQUERADE);
    resync(w);
    assert_told(w, 0);
    assert_reason(w, "masquerade", "m", CHAIN " drops");
    drop(w, "", NSH_FAKE_DROP_HOSTS);
    poll_tables(w);
    assert_string_equal(the_told(w, NSH_REPORT_CHANGED, "masquerade", "m")->cause,
            "nothing drops what it masquerades any more");
    assert_state(w, "masquerade", "m", NSH_OBJECT_HELD);
    assert_told(w, 1);
    assert_stable(w);
}

#define TWO "masquerade: [{name: a, out: eth2, family: ipv4}, {name: m, out: eth1, family: ipv4}]\n"

/* It goes along when a reload moves the policy. */
static void test_one_of_two_is_masqueraded(void **state)
{
    struct world *w = world_new();

    (void)state;
    drop(w, CHAIN, NSH_FAKE_DROP_HOSTS);
    want(w, TWO, NSH_OCCASION_START);
    run(w);
    the_told(w, NSH_REPORT_WARNING, "masquerade", "a");
    the_told(w, NSH_REPORT_WARNING, "masquerade", "m");
    forget(w);
    reload(w, MASQUERADE);
    assert_int_equal(count_told(w, NSH_REPORT_WARNING), 0);
    assert_reason(w, "masquerade", "m", CHAIN " drops what is to be masqueraded");
    reload(w, TWO);
    the_told(w, NSH_REPORT_WARNING, "masquerade", "a");
    assert_int_equal(count_told(w, NSH_REPORT_WARNING), 1);
}

/* ---- in iptables, beside policies in nftables ---- */

static void test_in_the_other_firewall(void **state)
{
    struct world *w = world_new();
    struct nsh_firewall_fake *tables;
    struct nsh_firewall *other;
    nsh_autofree char *text = NULL, *gone = NULL;

    (void)state;
    assert_int_equal(nsh_firewall_fake_new(&tables), 0);
    assert_int_equal(nsh_firewall_fake_open(tables, &other), 0);
    assert_int_equal(
            nsh_firewall_fake_iptables(tables, "iptables -t filter -A FORWARD -j DROP"), 0);
    nsh_firewall_fake_drop(tables, "the chain FORWARD", NSH_FAKE_DROP_OURS);
    nsh_reconciler_use(w->r, w->firewall, other);
    want_desired(w, share(), NSH_OCCASION_START);
    run(w);
    assert_state(w, "share", "home", NSH_OBJECT_HELD);
    the_told(w, NSH_REPORT_ADDED, "jump in", "the legacy iptables chain FORWARD");
    text = nsh_firewall_fake_save(tables, AF_INET, NSH_TABLE_FILTER, false);
    assert_non_null(strstr(text, "-A FORWARD -j NETSHARED-forward\n-A FORWARD -j DROP\n"));
    assert_non_null(strstr(text, "-A NETSHARED-forward -i eth1 -o eth0 -j ACCEPT\n"));
    assert_null(strstr(text, "-A NETSHARED-forward -i eth0 -o eth1 -j DROP"));
    assert_stable(w);
    /* Somebody has the lock, and it is put back later. */
    forget(w);
    assert_int_equal(nsh_firewall_fake_iptables(tables, "iptables -t filter -D FORWARD 1"), 0);
    nsh_firewall_fake_drop(tables, "the chain FORWARD", NSH_FAKE_DROP_OURS);
    nsh_firewall_fake_busy(tables, 3);
    poll_tables(w);
    pass_time(w, SECOND);
    the_told(w, NSH_REPORT_RESTORED, "jump in", "the legacy iptables chain FORWARD");
    /* It goes when it is not needed, and is not taken for a policy. */
    forget(w);
    nsh_firewall_fake_drop(tables, "", NSH_FAKE_DROP_OURS);
    poll_tables(w);
    the_told(w, NSH_REPORT_REMOVED, "jump in", "the legacy iptables chain FORWARD");
    assert_told(w, 1);
    gone = nsh_firewall_fake_save(tables, AF_INET, NSH_TABLE_FILTER, false);
    assert_null(strstr(gone, "NETSHARED"));
    assert_stable(w);
    nsh_reconciler_use(w->r, w->firewall, NULL);
    nsh_firewall_free(other);
    nsh_firewall_fake_free(tables);
}

/* Of a run whose policies stood in nftables: it goes, and was no policy named "forward". */
static void test_another_run_left_it(void **state)
{
    struct world *w = world_new();

    (void)state;
    somebody(w, "iptables -t filter -N NETSHARED-forward");
    want(w, MASQUERADE, NSH_OCCASION_START);
    run(w);
    assert_false(table_has(w, AF_INET, NSH_TABLE_FILTER, "NETSHARED"));
    assert_int_equal(count_told(w, NSH_REPORT_REMOVED), 0);
    assert_stable(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            rw_test(test_the_jump_in_its_order),
            rw_test(test_whom_it_is_for),
            rw_test(test_the_others_come_later),
            rw_test(test_somebody_takes_it_away),
            rw_test(test_who_takes_it_away),
            rw_test(test_too_many_rules),
            rw_test(test_none_can_stand),
            rw_test(test_beside_another_failure),
            rw_test(test_what_stood_stays),
            rw_test(test_of_each_its_own),
            rw_test(test_a_gate_meanwhile),
            rw_test(test_it_can_not_be_written),
            rw_test(test_what_is_masqueraded),
            rw_test(test_one_of_two_is_masqueraded),
            rw_test(test_in_the_other_firewall),
            rw_test(test_another_run_left_it),
    };

    rw_leave_the_network();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
