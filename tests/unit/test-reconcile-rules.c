/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The reconciler and policy routing rules: held, repaired, in the right order with the routes.
 */
#include "reconcile-world.h"

#define ONE "rules:\n  - {from: 10.1.0.0/24, table: 100, priority: 1000}\n"
#define ONE_NAME "from 10.1.0.0/24 lookup 100 priority 1000"
#define ONE_LINE ONE_NAME " proto 110\n"
#define SIX "  - {to: \"2001:db8::/32\", iif: eth1, action: unreachable, priority: 7}\n"
#define SIX_NAME "from all to 2001:db8::/32 iif eth1 unreachable priority 7"

static void test_start(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, ONE SIX);
    assert_rules(w, AF_INET, ONE_LINE);
    assert_rules(w, AF_INET6, SIX_NAME " proto 110\n");
    the_told(w, NSH_REPORT_ADDED, "rule", ONE_NAME);
    the_told(w, NSH_REPORT_ADDED, "rule", SIX_NAME);
    assert_state(w, "rule", ONE_NAME, NSH_OBJECT_HELD);
    assert_stable(w);
    /* What stands there already is taken over without a word. */
    world_restart(w);
    forget(w);
    start(w, ONE SIX);
    assert_log(w, "");
    assert_told(w, 0);
}

static void test_removed(void **state)
{
    struct world *w = world_new();
    const struct told *t;

    (void)state;
    start(w, ONE);
    forget(w);
    somebody(w, "ip rule del from 10.1.0.0/24 priority 1000 lookup 100");
    run(w);
    assert_rules(w, AF_INET, ONE_LINE);
    t = the_told(w, NSH_REPORT_RESTORED, "rule", ONE_NAME);
    assert_string_equal(t->cause, "removed");
    assert_int_equal(t->sender, NSH_FIB_FAKE_SOMEBODY);
    assert_told(w, 1);
    assert_int_equal(repairs_of(w, "rule", ONE_NAME), 1);
    assert_stable(w);
}

static void test_removed_silently(void **state)
{
    struct world *w = world_new();
    const struct told *t;

    (void)state;
    start(w, ONE);
    forget(w);
    nsh_fib_fake_set_queue(w->kernel, 0);
    somebody(w, "ip rule del from 10.1.0.0/24 priority 1000 lookup 100");
    nsh_fib_fake_set_queue(w->kernel, 100);
    run(w);
    assert_rules(w, AF_INET, ONE_LINE);
    t = the_told(w, NSH_REPORT_RESTORED, "rule", ONE_NAME);
    assert_string_equal(t->cause, "missing");
}

static void test_replaced(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, ONE);
    forget(w);
    somebody(w, "ip rule del from 10.1.0.0/24 priority 1000 lookup 100");
    somebody(w, "ip rule add from 10.1.0.0/24 priority 1000 lookup 200 proto 110");
    run(w);
    assert_rules(w, AF_INET, ONE_LINE);
    the_told(w, NSH_REPORT_RESTORED, "rule", ONE_NAME);
    the_told(w, NSH_REPORT_REMOVED, "rule", "from 10.1.0.0/24 lookup 200");
    assert_stable(w);
}

static void test_doubled(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, ONE);
    forget(w);
    somebody(w, "ip rule append from 10.1.0.0/24 priority 1000 lookup 100 proto 110");
    run(w);
    assert_rules(w, AF_INET, ONE_LINE);
    assert_string_equal(
            the_told(w, NSH_REPORT_REMOVED, "rule", ONE_NAME)->detail, "it stood there twice");
    assert_told(w, 1);
    assert_stable(w);
}

static void test_flushed(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, ONE SIX);
    forget(w);
    somebody(w, "ip rule flush");
    somebody(w, "ip -6 rule flush");
    run(w);
    assert_rules(w, AF_INET, ONE_LINE);
    assert_rules(w, AF_INET6, SIX_NAME " proto 110\n");
    assert_int_equal(count_told(w, NSH_REPORT_RESTORED), 2);
    assert_stable(w);
}

static void test_foreign(void **state)
{
    struct world *w = world_new();

    (void)state;
    somebody(w, "ip rule add from 10.1.0.0/24 priority 1000 lookup 100 proto 4");
    somebody(w, "ip rule append priority 1000 lookup 100 proto 4");
    start(w, ONE);
    assert_rules(w, AF_INET,
            "from 10.1.0.0/24 lookup 100 priority 1000 proto 4\n"
            "from all lookup 100 priority 1000 proto 4\n" ONE_LINE);
    assert_stable(w);
    /* Its coming and going is none of our business. */
    forget(w);
    somebody(w, "ip rule del from 10.1.0.0/24 priority 1000 lookup 100 proto 4");
    assert_int_equal(run(w), 0);
    reload(w, "rules: []\n");
    assert_rules(w, AF_INET, "from all lookup 100 priority 1000 proto 4\n");
}

static void test_unknown_with_our_mark(void **state)
{
    struct world *w = world_new();
    const struct told *t;

    (void)state;
    start(w, ONE);
    forget(w);
    somebody(w, "ip rule add from 10.9.0.0/24 priority 5 lookup 100 proto 110");
    run(w);
    assert_rules(w, AF_INET, ONE_LINE);
    t = the_told(w, NSH_REPORT_REMOVED, "rule", "from 10.9.0.0/24");
    assert_string_equal(t->cause, "an unknown rule with our mark appeared");
    assert_told(w, 1);
}

#define ROUTE "routes:\n  - {to: default, via: 10.0.0.9, dev: eth1, table: 100}\n"
#define OTHER "routes:\n  - {to: default, via: 10.0.0.9, dev: eth1, table: 200}\n"

/* A rule never leads to a table that is not filled yet, or not any more. */
static void test_order(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, ROUTE ONE);
    assert_log(w, "add default table 100\nadd rule " ONE_NAME "\n");
    forget(w);
    reload(w, OTHER "rules:\n  - {from: 10.1.0.0/24, table: 200, priority: 1000}\n");
    assert_log(w, "add default table 200\n"
                  "add rule from 10.1.0.0/24 lookup 200 priority 1000\n"
                  "delete rule " ONE_NAME "\n"
                  "delete default table 100\n");
    assert_stable(w);
    forget(w);
    want(w, "", NSH_OCCASION_STOP);
    run(w);
    assert_log(w, "delete rule from 10.1.0.0/24 lookup 200 priority 1000\n"
                  "delete default table 200\n");
    assert_rules(w, AF_INET, "");
    assert_int_equal(count_routes(w, AF_INET, "110"), 0);
}

static void test_reload_carries(void **state)
{
    struct world *w = world_new();

    (void)state;
    start(w, ONE);
    somebody(w, "ip rule del from 10.1.0.0/24 priority 1000 lookup 100");
    run(w);
    forget(w);
    reload(w, ONE SIX);
    assert_log(w, "add rule " SIX_NAME "\n");
    assert_told(w, 1);
    assert_int_equal(repairs_of(w, "rule", ONE_NAME), 1);
    /* A repair after a reload is one still. */
    somebody(w, "ip rule del from 10.1.0.0/24 priority 1000 lookup 100");
    run(w);
    assert_int_equal(repairs_of(w, "rule", ONE_NAME), 2);
}

static void test_protocol_changes(void **state)
{
    struct world *w = world_with_state();

    (void)state;
    start(w, ROUTE ONE);
    forget(w);
    reload(w, "settings: {route-protocol: 111}\n" ROUTE ONE);
    assert_rules(w, AF_INET, ONE_NAME " proto 111\n");
    assert_int_equal(count_routes(w, AF_INET, "110"), 0);
    assert_stable(w);
    /* And across a restart, with a rule alone. */
    world_restart(w);
    start(w, ONE);
    assert_rules(w, AF_INET, ONE_LINE);
    assert_int_equal(count_routes(w, AF_INET, "111"), 0);
    assert_stable(w);
}

/* As long as a rule bears the protocol from before, that is not forgotten. */
static void test_protocol_lingers(void **state)
{
    struct world *w = world_with_state();

    (void)state;
    start(w, ONE);
    nsh_fib_fake_fail(w->kernel, NSH_FIB_FAKE_RULES_WRITE, 2, -EPERM);
    want(w, "settings: {route-protocol: 111}\n" ONE, NSH_OCCASION_RELOAD);
    nsh_reconciler_run(w->r);
    assert_rules(w, AF_INET, ONE_NAME " proto 110\n" ONE_NAME " proto 111\n");
    the_told(w, NSH_REPORT_FAILED, "rule", ONE_NAME);
    run(w);
    assert_rules(w, AF_INET, ONE_NAME " proto 111\n");
    assert_stable(w);
}

static void test_refused(void **state)
{
    struct world *w = world_new();

    (void)state;
    nsh_fib_fake_fail(w->kernel, NSH_FIB_FAKE_RULES_WRITE, 1, -EOPNOTSUPP);
    start(w, ONE);
    assert_state(w, "rule", ONE_NAME, NSH_OBJECT_WRONG);
    assert_reason(w, "rule", ONE_NAME, "the kernel was built without it");
    the_told(w, NSH_REPORT_FAILED, "rule", ONE_NAME);
    forget(w);
    resync(w);
    assert_state(w, "rule", ONE_NAME, NSH_OBJECT_HELD);
    the_told(w, NSH_REPORT_ADDED, "rule", ONE_NAME);
}

/* Somebody adds it between the look and the write. */
static bool raced;

static int race(struct nsh_fib *fib, const struct nsh_fib_rule_op *ops, size_t n,
        nsh_fib_failed *failed, void *userdata)
{
    if (!raced) {
        raced = true;
        nsh_fib_fake_rule_write(rw_current->kernel, &ops[0].rule, NSH_FIB_RULE_ADD, 5);
    }
    return rw_current->real_fib->rules_submit(fib, ops, n, failed, userdata);
}

static void test_raced(void **state)
{
    struct world *w = world_new();

    (void)state;
    raced = false;
    w->fib_ops.rules_submit = race;
    start(w, ONE);
    assert_rules(w, AF_INET, ONE_LINE);
    assert_state(w, "rule", ONE_NAME, NSH_OBJECT_HELD);
    assert_int_equal(count_told(w, NSH_REPORT_FAILED), 0);
}

static void test_fight(void **state)
{
    struct world *w = world_new();
    size_t repaired;

    (void)state;
    start(w, ONE SIX);
    forget(w);
    for (unsigned i = 0; i < 40; i++) {
        try_run(w, "ip rule del from 10.1.0.0/24 priority 1000 lookup 100");
        pass_time(w, SECOND / 10);
    }
    the_told(w, NSH_REPORT_FIGHT, "rule", ONE_NAME);
    assert_state(w, "rule", ONE_NAME, NSH_OBJECT_WRONG);
    repaired = count_told(w, NSH_REPORT_RESTORED);
    assert_true(repaired >= 8 && repaired < 20);
    /* The other is repaired at once all the same. */
    somebody(w, "ip -6 rule del to 2001:db8::/32 iif eth1 unreachable priority 7");
    run(w);
    assert_int_equal(count_told(w, NSH_REPORT_RESTORED), repaired + 1);
    pass_time(w, 60 * SECOND);
    assert_state(w, "rule", ONE_NAME, NSH_OBJECT_HELD);
}

static void test_disturbed_dump(void **state)
{
    struct world *w = world_new();

    (void)state;
    nsh_fib_fake_fail(w->kernel, NSH_FIB_FAKE_RULES_DUMP, 1, -EAGAIN);
    start(w, ONE);
    assert_rules(w, AF_INET, ONE_LINE);
    nsh_fib_fake_fail(w->kernel, NSH_FIB_FAKE_RULES_DUMP, 1, -ENOBUFS);
    nsh_reconciler_resync(w->r);
    pass_time(w, 3 * SECOND);
    assert_stable(w);
}

/* Many are told as a sum, and written in slices; all of it is one pass to whoever waits for it. */
static void test_many(void **state)
{
    struct world *w = world_new();
    nsh_autofree char *yaml = calloc(1, 65536);
    struct nsh_work work;
    size_t at;

    (void)state;
    at = (size_t)sprintf(yaml, ROUTE "rules:\n");
    for (unsigned i = 0; i < 300; i++)
        at += (size_t)sprintf(yaml + at, "  - {from: 10.%u.%u.0/24, table: 100, priority: 1000}\n",
                i / 256, i % 256);
    want(w, yaml, NSH_OCCASION_START);
    nsh_reconciler_run(w->r);
    assert_false(nsh_reconciler_complete(w->r));
    assert_true(nsh_reconciler_due(w->r));
    nsh_reconciler_work(w->r, &work);
    assert_int_equal(work.finished, 0);
    assert_int_equal(work.rules, 128);
    run(w);
    nsh_reconciler_work(w->r, &work);
    assert_int_equal(work.rules, 300);
    assert_int_equal(count_told(w, NSH_REPORT_ADDED), 1); /* the route */
    assert_int_equal(count_told(w, NSH_REPORT_SUMMARY), 3);
    assert_stable(w);
    forget(w);
    reload(w, "");
    assert_rules(w, AF_INET, "");
    /* The route they lead to goes last. */
    assert_string_equal(
            w->log + w->n_log - strlen("delete default table 100\n"), "delete default table 100\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            rw_test(test_start),
            rw_test(test_removed),
            rw_test(test_removed_silently),
            rw_test(test_replaced),
            rw_test(test_doubled),
            rw_test(test_flushed),
            rw_test(test_foreign),
            rw_test(test_unknown_with_our_mark),
            rw_test(test_order),
            rw_test(test_reload_carries),
            rw_test(test_protocol_changes),
            rw_test(test_protocol_lingers),
            rw_test(test_refused),
            rw_test(test_raced),
            rw_test(test_fight),
            rw_test(test_disturbed_dump),
            rw_test(test_many),
    };

    rw_leave_the_network();
    return cmocka_run_group_tests_name("reconcile-rules", tests, NULL, NULL);
}
