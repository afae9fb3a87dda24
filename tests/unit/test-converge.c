/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How long `apply` and `remove` wait for what others hold up: by the clock, however long a step
 * takes, and anew after everything that gets done.
 */
#include "reconcile-world.h"

#include "converge.h"

#define MSEC 1000ULL
#define ROUTE "routes:\n  - {to: 10.20.0.0/16, via: 192.168.1.1}\n"
#define RULE "rules:\n  - {from: 10.1.0.0/24, table: 100, priority: 1000}\n"
#define POLICY "masquerade:\n  - {name: lan, from: [10.0.0.0/8], out: [eth0]}\n"
#define SHARE "share:\n  - {name: home, lan: eth1, wan: eth0, family: ipv4}\n"

struct machine {
    struct world *w;
    uint64_t moment; /* what a moment's wait takes */
    uint64_t begun;
    uint64_t free_at; /* the lock is free from then on; 0: never */
    uint64_t every;   /* or for a moment now and then */
    uint64_t freed;
};

/* `look`: what it takes to look at the clock, which a pass does several times. */
static struct machine machine_new(uint64_t moment, uint64_t look)
{
    struct machine m = {.w = world_new(), .moment = moment};

    m.w->tick = look;
    return m;
}

static void wait_a_moment(void *userdata)
{
    struct machine *m = userdata;

    m->w->now += m->moment;
    if (m->w->now - m->begun > 1000 * SECOND)
        fail_msg("it waits for ever");
    if (m->free_at != 0 && m->w->now - m->begun >= m->free_at)
        nsh_firewall_fake_busy(m->w->tables, 0);
    if (m->every == 0)
        return;
    nsh_firewall_fake_busy(m->w->tables, m->w->now - m->freed < m->every ? 1000000 : 0);
    if (m->w->now - m->freed >= m->every)
        m->freed = m->w->now;
}

static uint64_t now(void *userdata)
{
    return rw_now(((struct machine *)userdata)->w);
}

/* How long it took; what held it up is in *ret_why, NSH_OBSTACLES: nothing did. */
static uint64_t converge(struct machine *m, const char *yaml, enum nsh_obstacle *ret_why)
{
    struct nsh_converge_hooks hooks = {.userdata = m, .now = now, .wait = wait_a_moment};
    int q;

    want(m->w, yaml, NSH_OCCASION_START);
    m->begun = m->freed = m->w->now;
    q = nsh_converge(m->w->r, &hooks, ret_why);
    assert_true(q == 0 || q == 1);
    assert_int_equal(q == 0, nsh_reconciler_complete(m->w->r));
    if (q == 0)
        *ret_why = NSH_OBSTACLES;
    return m->w->now - m->begun;
}

static void assert_between(uint64_t took, uint64_t least, uint64_t most)
{
    if (took < least || took > most)
        fail_msg("it took %.2f s, not %.2f to %.2f s", (double)took / 1e6, (double)least / 1e6,
                (double)most / 1e6);
}

static void test_nothing_holds_it_up(void **state)
{
    struct machine m = machine_new(20 * MSEC, 0);
    enum nsh_obstacle why;

    (void)state;
    assert_int_equal(converge(&m, ROUTE POLICY SHARE, &why), 0);
    assert_int_equal(why, NSH_OBSTACLES);
    assert_state(m.w, "route", "10.20.0.0/16", NSH_OBJECT_HELD);
}

static const struct {
    uint64_t moment, look;
} paces[] = {{20 * MSEC, 0}, {45 * MSEC, 0}, {20 * MSEC, 3 * MSEC}, {200 * MSEC, 5 * MSEC}};

static void test_a_lock_that_is_held(void **state)
{
    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(paces); i++) {
        struct machine m = machine_new(paces[i].moment, paces[i].look);
        enum nsh_obstacle why;

        nsh_firewall_fake_busy(m.w->tables, 1000000);
        assert_between(converge(&m, POLICY, &why), NSH_PATIENCE_LOCK_USEC,
                NSH_PATIENCE_LOCK_USEC + 3 * SECOND);
        assert_int_equal(why, NSH_OBSTACLE_LOCK);
        rw_free(m.w);
    }
}

/* After 5 seconds the routes do not wait any longer: from then on it counts anew. */
static void test_what_gets_done_is_a_reason_to_wait_on(void **state)
{
    struct machine m = machine_new(45 * MSEC, 0);
    enum nsh_obstacle why;

    (void)state;
    nsh_firewall_fake_busy(m.w->tables, 1000000);
    assert_between(converge(&m, ROUTE POLICY, &why), NSH_PATIENCE_LOCK_USEC + 5 * SECOND,
            NSH_PATIENCE_LOCK_USEC + 6 * SECOND);
    assert_int_equal(why, NSH_OBSTACLE_LOCK);
    assert_state(m.w, "route", "10.20.0.0/16", NSH_OBJECT_HELD);
    rw_free(m.w);

    m = machine_new(45 * MSEC, 0);
    m.free_at = NSH_PATIENCE_LOCK_USEC + 4 * SECOND;
    nsh_firewall_fake_busy(m.w->tables, 1000000);
    assert_between(converge(&m, ROUTE POLICY, &why), m.free_at, m.free_at + SECOND);
    assert_int_equal(why, NSH_OBSTACLES);
}

/* A commit that is raced gets nothing done, however often it is tried. */
static void test_others_write_all_the_time(void **state)
{
    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(paces); i++) {
        struct machine m = machine_new(paces[i].moment, paces[i].look);
        enum nsh_obstacle why;

        nsh_firewall_fake_race(m.w->tables, 1000000000, NULL, NULL);
        assert_between(converge(&m, POLICY, &why), NSH_PATIENCE_CHANGES_USEC,
                NSH_PATIENCE_CHANGES_USEC + 5 * SECOND);
        assert_int_equal(why, NSH_OBSTACLE_CHANGES);
        rw_free(m.w);
    }
}

/* The lock is to be had now and then; what is never done is another thing. */
static void test_a_lock_that_changes_hands(void **state)
{
    struct machine m = machine_new(45 * MSEC, 0);
    enum nsh_obstacle why;

    (void)state;
    m.every = 12 * SECOND;
    nsh_firewall_fake_busy(m.w->tables, 1000000);
    nsh_firewall_fake_race(m.w->tables, 1000000000, NULL, NULL);
    assert_between(
            converge(&m, POLICY, &why), 2 * m.every + NSH_PATIENCE_CHANGES_USEC / 2, 4 * m.every);
    assert_int_equal(why, NSH_OBSTACLE_CHANGES);
}

static int disturbed_rules(struct nsh_fib *fib, nsh_fib_rule_seen *seen, void *userdata)
{
    (void)fib;
    (void)seen;
    (void)userdata;
    return -EAGAIN;
}

static int disturbed_dump(struct nsh_fib *fib, nsh_fib_route_seen *seen, void *userdata)
{
    (void)fib;
    (void)seen;
    (void)userdata;
    return -EAGAIN;
}

static void assert_disturbed(const char *yaml, uint64_t moment, uint64_t look, bool rules)
{
    struct machine m = machine_new(moment, look);
    enum nsh_obstacle why;

    if (rules)
        m.w->fib_ops.rules_dump = disturbed_rules;
    else
        m.w->fib_ops.dump_read = disturbed_dump;
    assert_between(converge(&m, yaml, &why), NSH_PATIENCE_CHANGES_USEC,
            NSH_PATIENCE_CHANGES_USEC + 5 * SECOND);
    assert_int_equal(why, NSH_OBSTACLE_CHANGES);
    rw_free(m.w);
}

static void test_every_dump_is_disturbed(void **state)
{
    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(paces); i++) {
        assert_disturbed(ROUTE, paces[i].moment, paces[i].look, false);
        assert_disturbed(RULE, paces[i].moment, paces[i].look, true);
    }
}

static int guest_error;

static int refused_pass(struct nsh_firewall *fw, enum nsh_firewall_mode mode, bool holds,
        struct nsh_passage *passages, size_t n, nsh_guest_told *told, void *userdata)
{
    return mode == NSH_FIREWALL_WRITE ? guest_error
                                      : rw_pass(fw, mode, holds, passages, n, told, userdata);
}

static void test_what_is_refused_is_tried_again_for_a_while(void **state)
{
    static const struct {
        int error;
        enum nsh_obstacle why;
        uint64_t patience;
    } cases[] = {
            {-EPERM, NSH_OBSTACLE_NONE, NSH_PATIENCE_REFUSED_USEC},
            {-EAGAIN, NSH_OBSTACLE_CHANGES, NSH_PATIENCE_CHANGES_USEC},
    };

    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(cases); i++) {
        struct machine m = machine_new(45 * MSEC, 0);
        enum nsh_obstacle why;

        nsh_firewall_fake_drop(m.w->tables, "chain FORWARD", NSH_FAKE_DROP_HOSTS);
        guest_error = cases[i].error;
        m.w->firewall_ops.pass = refused_pass;
        nsh_firewall_fake_race(m.w->tables, 20, NULL, NULL); /* which is soon over */
        assert_between(converge(&m, SHARE, &why), cases[i].patience, cases[i].patience + SECOND);
        assert_int_equal(why, cases[i].why);
        rw_free(m.w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            rw_test(test_nothing_holds_it_up),
            rw_test(test_a_lock_that_is_held),
            rw_test(test_what_gets_done_is_a_reason_to_wait_on),
            rw_test(test_others_write_all_the_time),
            rw_test(test_a_lock_that_changes_hands),
            rw_test(test_every_dump_is_disturbed),
            rw_test(test_what_is_refused_is_tried_again_for_a_while),
    };

    rw_leave_the_network();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
