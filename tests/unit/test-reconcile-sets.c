/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sets of prefixes through the reconciler: their place in the order, what a reload writes, repairs,
 * fights, and what can't be written.
 */
#include "reconcile-internal.h"
#include "reconcile-policies.h"

#define HOME "netshared-home_f4"
#define OF "of masquerade home"
#define LARGE 100000U

static struct nsh_desired *home(unsigned from, size_t n)
{
    struct nsh_desired *d = rw_load("");

    rp_add_set(d, "home", AF_INET, from, n);
    return d;
}

static struct world *with_home(size_t n)
{
    struct world *w = world_new();

    want_desired(w, home(0, n), NSH_OCCASION_START);
    run(w);
    assert_state(w, "set", HOME, NSH_OBJECT_HELD);
    forget(w);
    return w;
}

static size_t count_elements(struct world *w, const char *name)
{
    nsh_autofree char *text = nsh_firewall_fake_set(w->tables, name);
    size_t n = 0;

    for (const char *at = text; at && (at = strchr(at, '\n')); at++)
        n++;
    return n;
}

static const struct nsh_firewall_fake_counts *counts(struct world *w)
{
    return nsh_firewall_fake_counts(w->tables);
}

static void test_before_the_rules_and_after_them(void **state)
{
    struct world *w = world_new();
    nsh_autofree char *names = NULL;

    (void)state;
    want_desired(w, home(0, 20), NSH_OCCASION_START);
    run(w);
    assert_log(w, "create set " HOME "\ncommit ipv4 raw\ncommit ipv4 nat\n"
                  "sysctl net/ipv4/ip_forward=1\n");
    assert_int_equal(count_elements(w, HOME), 20);
    assert_true(table_has(w, AF_INET, NSH_TABLE_NAT, "--match-set " HOME " src"));
    assert_int_equal(count_told(w, NSH_REPORT_ADDED), 3); /* the set goes without saying */
    assert_stable(w);
    forget(w);
    reload(w, "");
    assert_log(w, "sysctl net/ipv4/ip_forward=0\ncommit ipv4 nat\ncommit ipv4 raw\n"
                  "destroy set " HOME "\n");
    names = nsh_firewall_fake_set_names(w->tables);
    assert_string_equal(names, "");
    assert_stable(w);
}

static void test_a_start_adopts_what_stands(void **state)
{
    struct world *w = with_home(20);

    (void)state;
    world_restart(w);
    want_desired(w, home(0, 20), NSH_OCCASION_START);
    run(w);
    assert_log(w, "");
    /* What somebody did meanwhile is no repair, but the difference is all that is written. */
    somebody(w, "ipset add " HOME " 192.0.2.0/24");
    world_restart(w);
    want_desired(w, home(0, 20), NSH_OCCASION_START);
    run(w);
    assert_log(w, "update set " HOME "\n");
    assert_int_equal(count_elements(w, HOME), 20);
}

/* One changed prefix of a hundred thousand is one that is written; then the set is looked at. */
static void test_a_reload_writes_the_difference(void **state)
{
    struct world *w = with_home(LARGE);
    size_t written = counts(w)->elements, read = counts(w)->set_reads;
    const struct told *t;

    (void)state;
    want_desired(w, home(1, LARGE), NSH_OCCASION_RELOAD);
    nsh_reconciler_run(w->r);
    assert_log(w, "update set " HOME "\n");
    assert_int_equal(counts(w)->elements, written + 2); /* one in, one out */
    assert_int_equal(counts(w)->set_reads, read);
    t = the_told(w, NSH_REPORT_CHANGED, "set", HOME " " OF);
    assert_string_equal(t->detail, "1 in, 1 out");
    run(w);
    assert_int_equal(counts(w)->set_reads, read + 1);
    assert_int_equal(counts(w)->elements, written + 2);
    assert_told(w, 1);
    assert_stable(w);
}

/* What somebody had done before the reload shows when the set is read behind it. */
static void test_drift_behind_a_reload(void **state)
{
    struct world *w = with_home(100);
    const struct told *t;

    (void)state;
    somebody(w, "ipset del " HOME " 10.0.0.16/30");
    want_desired(w, home(1, 100), NSH_OCCASION_RELOAD);
    run(w);
    assert_log(w, "update set " HOME "\nupdate set " HOME "\n");
    t = the_told(w, NSH_REPORT_RESTORED, "set", HOME " " OF);
    assert_string_equal(t->cause, "lacked 1 of 100 prefixes");
    assert_int_equal(count_elements(w, HOME), 100);

    /* Also when the difference can't be written because of it. */
    forget(w);
    somebody(w, "ipset del " HOME " 10.0.0.4/30");
    want_desired(w, home(2, 100), NSH_OCCASION_RELOAD);
    run(w);
    assert_int_equal(count_elements(w, HOME), 100);
    assert_int_equal(count_told(w, NSH_REPORT_FAILED), 0);
    assert_stable(w);
}

static void test_a_poll_finds_what_the_header_tells(void **state)
{
    static const struct {
        const char *command, *cause, *log;
    } cases[] = {
            {"ipset flush " HOME, "lacked 20 of 20 prefixes", "replace set " HOME "\n"},
            {"ipset del " HOME " 10.0.0.16/30", "lacked 1 of 20 prefixes", "update set " HOME "\n"},
            {"ipset add " HOME " 192.0.2.0/24", "held 1 prefix too many", "update set " HOME "\n"},
    };
    struct world *w = with_home(20);

    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(cases); i++) {
        w->now += 5 * SECOND;
        forget(w);
        somebody(w, cases[i].command);
        poll_tables(w);
        assert_log(w, cases[i].log);
        assert_string_equal(
                the_told(w, NSH_REPORT_RESTORED, "set", HOME " " OF)->cause, cases[i].cause);
        assert_told(w, 1);
        assert_int_equal(count_elements(w, HOME), 20);
        assert_int_equal(repairs_of(w, "set", HOME), i + 1);
        assert_stable(w);
    }
}

/* An exchange of the same size shows when the set is read. */
static void test_a_resync_finds_the_rest(void **state)
{
    struct world *w = with_home(20);
    const struct told *t;

    (void)state;
    somebody(w, "ipset create other hash:net");
    for (int i = 0; i < 20; i++) {
        char command[64];

        snprintf(command, sizeof(command), "ipset add other 192.0.2.%d", i);
        somebody(w, command);
    }
    somebody(w, "ipset swap " HOME " other");
    poll_tables(w);
    assert_log(w, "");
    resync(w);
    assert_log(w, "replace set " HOME "\n");
    t = the_told(w, NSH_REPORT_RESTORED, "set", HOME);
    assert_string_equal(t->cause, "lacked 20 of 20 prefixes and held 20 too many");
    assert_string_equal(t->detail, "resync");
    assert_int_equal(count_elements(w, "other"), 20); /* what is not ours stays */
    assert_stable(w);
}

/* All of it is gone, the rules too: the set is there before they are. */
static void test_all_is_gone(void **state)
{
    struct world *w = with_home(20);

    (void)state;
    somebody(w, "iptables -t nat -F");
    somebody(w, "iptables -t nat -X");
    somebody(w, "ipset destroy " HOME);
    poll_tables(w);
    assert_log(w, "create set " HOME "\ncommit ipv4 nat\n");
    assert_string_equal(the_told(w, NSH_REPORT_RESTORED, "set", HOME)->cause, "missing");
    assert_stable(w);
}

static void test_a_fight_over_a_set(void **state)
{
    struct world *w = with_home(20);

    (void)state;
    for (int i = 0; i < 8; i++) {
        somebody(w, "ipset flush " HOME);
        poll_tables(w);
        assert_int_equal(count_elements(w, HOME), 20);
        w->now += 500000;
    }
    forget(w);
    somebody(w, "ipset flush " HOME);
    poll_tables(w);
    assert_log(w, "");
    the_told(w, NSH_REPORT_FIGHT, "set", HOME);
    assert_state(w, "set", HOME, NSH_OBJECT_WRONG);
    assert_int_equal(nsh_reconciler_next(w->r), w->now + SECOND);
    poll_tables(w);
    assert_log(w, "");
    pass_time(w, SECOND);
    assert_log(w, "replace set " HOME "\n");
    assert_state(w, "set", HOME, NSH_OBJECT_HELD);
    assert_stable(w);
}

/* Without its set a policy waits; the others do not. */
static void test_a_set_can_not_be_made(void **state)
{
    struct world *w = world_new();
    struct nsh_desired *d = home(0, 20);

    (void)state;
    rp_add_set(d, "guest", AF_INET, 0, 20);
    nsh_firewall_fake_fail_set_write(w->tables, 2, EOPNOTSUPP, "no sets here");
    want_desired(w, d, NSH_OCCASION_START);
    run(w);
    assert_state(w, "masquerade", "guest", NSH_OBJECT_HELD);
    assert_state(w, "masquerade", "home", NSH_OBJECT_PENDING);
    assert_reason(w, "masquerade", "home", "its set " HOME ": no sets here");
    assert_state(w, "set", HOME, NSH_OBJECT_WRONG);
    assert_true(nsh_reconciler_complete(w->r));
    pass_time(w, SECOND);
    assert_state(w, "masquerade", "home", NSH_OBJECT_HELD);
    assert_state(w, "set", HOME, NSH_OBJECT_HELD);
    assert_stable(w);
}

static void test_a_set_can_not_be_repaired(void **state)
{
    struct world *w = with_home(20);

    (void)state;
    somebody(w, "ipset flush " HOME);
    nsh_firewall_fake_fail_set_write(w->tables, 1, ENOMEM, "not now");
    poll_tables(w);
    assert_state(w, "set", HOME, NSH_OBJECT_WRONG);
    assert_reason(w, "set", HOME, "not now");
    assert_state(w, "masquerade", "home", NSH_OBJECT_HELD);
    assert_int_equal(count_told(w, NSH_REPORT_FAILED), 1);
    pass_time(w, SECOND);
    assert_int_equal(count_elements(w, HOME), 20);
    assert_state(w, "set", HOME, NSH_OBJECT_HELD);
    assert_stable(w);
}

/* A set that a foreign rule refers to can't go; that is said once. */
static void test_a_foreign_rule_refers_to_it(void **state)
{
    struct world *w = with_home(20);

    (void)state;
    somebody(w, "iptables -t filter -A FORWARD -m set --match-set " HOME " src -j ACCEPT");
    reload(w, "");
    the_told(w, NSH_REPORT_FAILED, "set", HOME);
    assert_int_equal(count_elements(w, HOME), 20);
    forget(w);
    w->n_told = 0;
    resync(w);
    assert_told(w, 0);
    somebody(w, "iptables -t filter -F");
    resync(w);
    assert_int_equal(count_elements(w, HOME), 0);
}

/* All of a name like ours goes, whoever left it there. */
static void test_leftovers_go(void **state)
{
    struct world *w = world_new();
    nsh_autofree char *names = NULL;

    (void)state;
    somebody(w, "ipset create netshared-old_f4 hash:net");
    somebody(w, "ipset create netshared-old_f6 hash:net family inet6");
    somebody(w, "ipset create blocklist hash:net");
    start(w, "");
    names = nsh_firewall_fake_set_names(w->tables);
    assert_string_equal(names, "blocklist\n");
}

/* Many large sets are made in pieces, and nothing else happens before they are there. */
static void test_many_sets_in_slices(void **state)
{
    struct world *w = world_new();
    struct nsh_desired *d =
            rw_load("routes:\n  - {to: 10.20.0.0/16, via: 192.168.1.1, dev: eth0}\n");
    char name[NSH_POLICY_NAME];
    unsigned passes = 0;

    (void)state;
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof(name), "p%02d", i);
        rp_add_set(d, name, AF_INET, 0, 10);
    }
    w->tick = 1000; /* each look at the clock is a millisecond */
    want_desired(w, d, NSH_OCCASION_START);
    while (!strstr(w->log, "commit")) {
        assert_true(passes++ < 50);
        nsh_reconciler_run(w->r);
    }
    assert_true(passes > 2);
    assert_int_equal(counts(w)->set_writes, 20);
    w->tick = 0;
    run(w);
    assert_true(strstr(w->log, "commit") < strstr(w->log, "add 10.20.0.0/16"));
    assert_stable(w);
}

/* Where each change is told, a set without one is read now and then, and not after a reload. */
static void test_sets_that_are_told_of(void **state)
{
    struct world *w = with_home(100);
    size_t read = counts(w)->set_reads;

    (void)state;
    nsh_firewall_fake_tell_sets(w->tables);
    want_desired(w, home(1, 100), NSH_OCCASION_RELOAD);
    run(w);
    assert_log(w, "update set " HOME "\n");
    assert_int_equal(counts(w)->set_reads, read);
    for (int i = 0; i < 32; i++)
        resync(w);
    assert_in_range(counts(w)->set_reads, read + 1, read + 8);
    read = counts(w)->set_reads;
    somebody(w, "ipset del " HOME " 10.0.0.16/30");
    poll_tables(w);
    assert_int_equal(counts(w)->set_reads, read + 1);
    assert_int_equal(count_elements(w, HOME), 100);
}

static void test_the_culprit_is_named(void **state)
{
    struct world *w = with_home(100);
    const struct told *t;

    (void)state;
    /* A process that has ended, as far as anybody can tell. */
    nsh_firewall_fake_culprit(w->tables, 4194303, "nft");
    somebody(w, "ipset flush " HOME);
    poll_tables(w);
    t = the_told(w, NSH_REPORT_RESTORED, "set", HOME " " OF);
    assert_string_equal(t->cause, "lacked 100 of 100 prefixes");
    if (t->culprit_pid == 0) {
        print_message("# not in the initial pid namespace: nobody is named\n");
        assert_string_equal(t->culprit, "");
        return;
    }
    assert_string_equal(t->culprit, "nft");
    assert_int_equal(t->culprit_pid, 4194303);

    /* What the resync finds was done by nobody knows whom. */
    forget(w);
    somebody(w, "ipset del " HOME " 10.0.0.16/30");
    somebody(w, "ipset add " HOME " 192.0.2.0/24");
    resync(w);
    assert_string_equal(the_told(w, NSH_REPORT_RESTORED, "set", HOME " " OF)->culprit, "");
}

/* A set that takes the kernel long: nobody waits for it, and its rules come when it is full. */
static void test_a_set_takes_long(void **state)
{
    struct world *w = world_new();
    const struct told *t;

    (void)state;
    nsh_firewall_fake_delay_sets(w->tables, 3);
    want_desired(w, home(0, 100), NSH_OCCASION_START);
    for (int i = 0; i < 3; i++) {
        nsh_reconciler_run(w->r);
        assert_log(w, "");
        assert_false(nsh_reconciler_complete(w->r));
        assert_true(nsh_reconciler_due(w->r));
    }
    run(w);
    assert_log(w, "create set " HOME "\ncommit ipv4 raw\ncommit ipv4 nat\n"
                  "sysctl net/ipv4/ip_forward=1\n");
    assert_state(w, "set", HOME, NSH_OBJECT_HELD);
    assert_stable(w);

    /* A repair is told as what it was noticed by, and took since then. */
    forget(w);
    somebody(w, "ipset del " HOME " 10.0.0.16/30");
    nsh_reconciler_poll(w->r);
    for (; nsh_reconciler_due(w->r); w->now += 1000)
        nsh_reconciler_run(w->r);
    t = the_told(w, NSH_REPORT_RESTORED, "set", HOME " " OF);
    assert_string_equal(t->detail, "");
    assert_int_equal(t->duration, 6000);
    assert_stable(w);

    /* A reload while it is mended: what was under way is forgotten, and the set is read again. */
    forget(w);
    somebody(w, "ipset del " HOME " 10.0.0.16/30");
    nsh_reconciler_poll(w->r);
    for (int i = 0; i < 5; i++)
        nsh_reconciler_run(w->r);
    assert_log(w, "");
    want_desired(w, home(1, 100), NSH_OCCASION_RELOAD);
    run(w);
    assert_log(w, "update set " HOME "\n");
    assert_int_equal(count_elements(w, HOME), 100);
    assert_state(w, "set", HOME, NSH_OBJECT_HELD);
    assert_stable(w);
}

/* Nothing of it stays, though it comes to be after nobody wants it any more. */
static void test_a_set_comes_too_late(void **state)
{
    struct world *w = world_new();
    nsh_autofree char *names = NULL;

    (void)state;
    nsh_firewall_fake_delay_sets(w->tables, 3);
    want_desired(w, home(0, 100), NSH_OCCASION_START);
    nsh_reconciler_run(w->r);
    assert_false(nsh_reconciler_complete(w->r));
    reload(w, "");
    for (int i = 0; i < 5 && !nsh_reconciler_complete(w->r); i++)
        pass_time(w, SECOND);
    assert_log(w, "destroy set " HOME "\n");
    names = nsh_firewall_fake_set_names(w->tables);
    assert_string_equal(names, "");
    assert_stable(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            rw_test(test_before_the_rules_and_after_them),
            rw_test(test_a_start_adopts_what_stands),
            rw_test(test_a_reload_writes_the_difference),
            rw_test(test_drift_behind_a_reload),
            rw_test(test_a_poll_finds_what_the_header_tells),
            rw_test(test_a_resync_finds_the_rest),
            rw_test(test_all_is_gone),
            rw_test(test_a_fight_over_a_set),
            rw_test(test_a_set_can_not_be_made),
            rw_test(test_a_set_can_not_be_repaired),
            rw_test(test_a_foreign_rule_refers_to_it),
            rw_test(test_leftovers_go),
            rw_test(test_many_sets_in_slices),
            rw_test(test_sets_that_are_told_of),
            rw_test(test_the_culprit_is_named),
            rw_test(test_a_set_takes_long),
            rw_test(test_a_set_comes_too_late),
    };

    rw_leave_the_network();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
