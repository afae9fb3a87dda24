/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A start, a repair and a reload of a configuration with something of every kind, while one call of
 * the kernel or the firewall fails, each in turn and with each error it can have; and events that
 * come twice, the wrong way round, or not at all. Afterwards, with nothing wrong any more, all is
 * as wanted, and what is somebody else's is as it was.
 *
 * Of each call the first and the last one fail, and each sixteenth in between; with NSH_STRIDE=1
 * each does, with every error.
 *
 * What the reconciler never calls is left out: others_translate() and its like are asked for when a
 * firewall is chosen, drops() when something is explained.
 */
#include <stdalign.h>

#include "reconcile-foreign.h"
#include "reconcile-judge.h"

static const char yaml[] =
        "routes:\n"
        "  - {to: 10.20.0.0/16, via: 192.168.1.1, dev: eth0, when: {address: 10.0.0.1}}\n"
        "  - {to: 10.30.0.0/16, via: {learned-on: eth0}, table: 100}\n"
        "  - {to: 10.40.0.0/16, via: 10.0.0.9}\n"
        "rules:\n"
        "  - {from: 10.7.0.0/16, table: 100, priority: 1000, when: {dev-up: eth1}}\n"
        "masquerade:\n"
        "  - name: many\n"
        "    out: [eth0]\n"
        "    from: [10.1.0.0/24, 10.2.0.0/24, 10.3.0.0/24, 10.4.0.0/24, 10.5.0.0/24,\n"
        "           10.6.0.0/24, 10.7.0.0/24, 10.8.0.0/24, 10.9.0.0/24]\n"
        "share:\n"
        "  - {name: home, lan: eth1, wan: eth0}\n";

static const char *const foreign[] = {
        "ip route add default via 192.168.1.1 dev eth0 proto 16 metric 100",
        "ip route add 10.90.0.0/16 via 192.168.1.3 dev eth0 proto 4",
        "ip rule add from 10.9.0.0/16 lookup 9 priority 900",
        "iptables -t nat -A POSTROUTING -o eth7 -j MASQUERADE",
        "ipset create others hash:net",
};

static const char *const damages[] = {
        "ip route del 10.20.0.0/16",
        "ip route add 10.77.0.0/16 via 192.168.1.1 dev eth0 proto 110",
        "ip rule del from 10.7.0.0/16 lookup 100 priority 1000",
        "iptables -t nat -F NETSHARED-many",
        "iptables -t filter -D FORWARD -j NETSHARED-home",
        "ipset flush netshared-many_f4",
        "sysctl net/ipv4/ip_forward=0",
        "ip link set eth1 down",
        "ip link set eth1 up",
        "ip addr add fd00:2::1/64 dev eth1",
};

static unsigned int stride(void)
{
    const char *text = getenv("NSH_STRIDE");
    unsigned long n = text ? strtoul(text, NULL, 10) : 16;

    return n > 0 ? (unsigned int)n : 1;
}

/* The first failure and the last one are tried whatever the stride: errors are left out as well. */
static size_t errors_apart(void)
{
    return stride() > 5 ? 5 : stride();
}

/* ---- looks of the firewall that fail ---- */

enum look_call {
    PROBE,
    OPEN,
    OBSERVE,
    CHANGED,
    SETS,
    SET_READ,
    SET_CHANGED,
    HOLD,
    PASS,
    PASS_CHANGED,
    AHEAD,
    AHEAD_CHANGED,
    LOOKS
};

static struct {
    struct nsh_firewall_ops real;
    size_t calls[LOOKS];
    enum look_call which; /* the nth from now fails; 0: none does */
    unsigned int nth;
    int error;
} looks;

/* 0, or how this call ends. */
static int look_fails(enum look_call which)
{
    looks.calls[which]++;
    return looks.nth > 0 && looks.which == which && --looks.nth == 0 ? looks.error : 0;
}

/* A call that does as the fake's does, if it does not fail. */
#define FAILING(which, op, params, ...)                   \
    static int failing_##op params                        \
    {                                                     \
        int rc = look_fails(which);                       \
                                                          \
        return rc != 0 ? rc : looks.real.op(__VA_ARGS__); \
    }

FAILING(OPEN, open, (struct nsh_firewall * fw, enum nsh_firewall_mode mode), fw, mode)
FAILING(OBSERVE, observe,
        (struct nsh_firewall * fw, int family, enum nsh_table table, nsh_chain_observed *observed,
                void *userdata),
        fw, family, table, observed, userdata)
FAILING(CHANGED, changed, (struct nsh_firewall * fw, int family, enum nsh_table table), fw, family,
        table)
FAILING(SETS, sets,
        (struct nsh_firewall * fw, int family, nsh_set_observed *observed, void *userdata), fw,
        family, observed, userdata)
FAILING(SET_READ, set_read,
        (struct nsh_firewall * fw, int family, const char *name, nsh_set_element_observed *observed,
                void *userdata),
        fw, family, name, observed, userdata)
FAILING(SET_CHANGED, set_changed, (struct nsh_firewall * fw, int family, const char *name), fw,
        family, name)
FAILING(HOLD, hold, (struct nsh_firewall * fw, int family, bool on), fw, family, on)
FAILING(PASS, pass,
        (struct nsh_firewall * fw, enum nsh_firewall_mode mode, bool holds,
                struct nsh_passage *passages, size_t n, nsh_guest_told *told, void *userdata),
        fw, mode, holds, passages, n, told, userdata)
FAILING(PASS_CHANGED, pass_changed, (struct nsh_firewall * fw), fw)

static int failing_probe(
        struct nsh_firewall *fw, int family, enum nsh_table table, char *ret_why, size_t size)
{
    int rc = look_fails(PROBE);

    if (rc == 0)
        return looks.real.probe(fw, family, table, ret_why, size);
    if (ret_why)
        snprintf(ret_why, size, "arranged");
    return rc;
}

/* Others' rules are in the built-in chains here: there is nothing else to tell. */
static int failing_ahead(struct nsh_firewall *fw, int family, enum nsh_table table,
        const char *hook, struct nsh_ahead_seen *ret)
{
    (void)fw;
    (void)family;
    (void)table;
    (void)hook;
    (void)ret;
    return look_fails(AHEAD);
}

static int failing_ahead_changed(struct nsh_firewall *fw)
{
    (void)fw;
    return look_fails(AHEAD_CHANGED);
}

static void watch_looks(struct world *w)
{
    memset(&looks, 0, sizeof(looks));
    looks.real = w->firewall_ops;
    w->firewall_ops.probe = failing_probe;
    w->firewall_ops.open = failing_open;
    w->firewall_ops.observe = failing_observe;
    w->firewall_ops.changed = failing_changed;
    w->firewall_ops.sets = failing_sets;
    w->firewall_ops.set_read = failing_set_read;
    w->firewall_ops.set_changed = failing_set_changed;
    w->firewall_ops.hold = failing_hold;
    w->firewall_ops.pass = failing_pass;
    w->firewall_ops.pass_changed = failing_pass_changed;
    w->firewall_ops.ahead = failing_ahead;
    w->firewall_ops.ahead_changed = failing_ahead_changed;
}

/* ---- the world ---- */

static struct world *world_with_others(void)
{
    struct world *w = world_new();

    for (size_t i = 0; i < NSH_ARRAY_SIZE(foreign); i++)
        somebody(w, foreign[i]);
    nsh_firewall_fake_drop(w->tables, "their chain", NSH_FAKE_DROP_HOSTS);
    watch_looks(w);
    return w;
}

static void damage(struct world *w)
{
    for (size_t i = 0; i < NSH_ARRAY_SIZE(damages); i++)
        (void)try_run(w, damages[i]);
    nsh_firewall_fake_take_guest(w->tables);
}

/* Asked of the fakes, and of nothing that the reconciler believes. */
static void assert_all_is_well(struct world *w)
{
    if (judge_all(w) > 0) {
        print_told(w);
        fail_msg("it is not as it should be");
    }
    assert_string_equal(nsh_firewall_fake_guest(w->tables), "home 4, home 6");
    assert_stable(w);
}

/* ---- calls that fail ---- */

enum target { FIB, LOOK, COMMIT, SET_WRITE, BUSY };

static void arrange(struct world *w, enum target target, int call, unsigned int nth, int error)
{
    switch (target) {
    case FIB:
        nsh_fib_fake_fail(w->kernel, (enum nsh_fib_fake_call)call, nth, error);
        break;
    case LOOK:
        looks.which = (enum look_call)call;
        looks.nth = nth;
        looks.error = error;
        break;
    case COMMIT:
        nsh_firewall_fake_fail_commit(w->tables, nth, error, "arranged");
        break;
    case SET_WRITE:
        nsh_firewall_fake_fail_set_write(w->tables, nth, error, "arranged");
        break;
    case BUSY:
        nsh_firewall_fake_busy(w->tables, nth);
        break;
    }
}

static size_t calls_of(const struct world *w, enum target target, int call)
{
    const struct nsh_firewall_fake_counts *counts = nsh_firewall_fake_counts(w->tables);

    switch (target) {
    case FIB:
        return nsh_fib_fake_counts(w->kernel)->calls[call];
    case LOOK:
        return looks.calls[call];
    case COMMIT:
        return counts->commits;
    case SET_WRITE:
        return counts->set_writes;
    case BUSY:
        break;
    }
    return counts->opens;
}

/* What is foreign at these moments when nothing fails; it never is anything else. */
enum moment { STARTED, REPAIRED, ENDED, MOMENTS };
static char *foreign_at[MOMENTS];

static void see_foreign(struct world *w, enum moment moment)
{
    char *now = foreign_of(w);

    if (!foreign_at[moment]) {
        foreign_at[moment] = now;
        return;
    }
    if (!foreign_stands(foreign_at[moment], now))
        fail_msg("what is foreign is not as it was");
    free(now);
}

/* Without events there is no daemon, and no reload: it is tried again. */
static void want_again(struct world *w, enum nsh_occasion why)
{
    struct nsh_desired *d = rw_load(yaml);

    if (w->fib->ops->events_open(w->fib, d->protocol) < 0)
        assert_true(w->fib->ops->events_open(w->fib, d->protocol) >= 0);
    assert_int_equal(nsh_reconciler_set(w->r, d, why), 0);
    run(w);
}

/* The nth call fails (0: none). Returns how many there were. */
static size_t live_through(enum target target, int call, size_t nth, int error)
{
    struct world *w = world_with_others();
    size_t n = calls_of(w, target, call);

    arrange(w, target, call, (unsigned int)nth, error);
    want_again(w, NSH_OCCASION_START);
    see_foreign(w, STARTED);
    damage(w);
    run(w);
    poll_tables(w);
    want_again(w, NSH_OCCASION_RELOAD);
    see_foreign(w, REPAIRED);
    n = calls_of(w, target, call) - n;
    arrange(w, target, call, 0, 0);
    pass_time(w, 60 * SECOND);
    resync(w);
    poll_tables(w);
    see_foreign(w, ENDED);
    assert_all_is_well(w);
    rw_free(w);
    return n;
}

/* None of the calls before it fails, so the nth is made as it was when nothing failed. */
static void fail_once(enum target target, int call, size_t nth, int error)
{
    if (live_through(target, call, nth, -error) < nth)
        fail_msg("call %d of %d was not made %zu times", call, (int)target, nth);
}

static void fail_each(enum target target, int call, const int *errors, size_t n_errors)
{
    size_t n = live_through(target, call, 0, 0);

    if (n == 0)
        fail_msg("call %d of %d is never made", call, (int)target);
    for (size_t e = (size_t)call % errors_apart(); e < n_errors; e += errors_apart()) {
        fail_once(target, call, 1, errors[e]);
        for (size_t nth = 2 + e % stride(); nth < n; nth += stride())
            fail_once(target, call, nth, errors[e]);
        fail_once(target, call, n, errors[e]);
    }
}

static void test_each_call_of_the_kernel_fails(void **state)
{
    static const int errors[] = {EPERM, EACCES, ENOMEM, ENOBUFS, EAGAIN, EBUSY, EINVAL, EEXIST,
            ENOENT, ESRCH, ENODEV, ENETUNREACH, EHOSTUNREACH, EOPNOTSUPP, EAFNOSUPPORT, EIO, EROFS,
            ENETDOWN, EMSGSIZE, ETIMEDOUT};

    (void)state;
    for (int call = 0; call < NSH_FIB_FAKE_CALLS; call++)
        fail_each(FIB, call, errors, NSH_ARRAY_SIZE(errors));
}

static void test_each_look_of_the_firewall_fails(void **state)
{
    static const int errors[] = {
            EPERM, ENOMEM, ENOENT, EINVAL, EBUSY, ENOBUFS, EOPNOTSUPP, EAGAIN, EIO, EINTR};

    (void)state;
    for (int call = 0; call < LOOKS; call++)
        fail_each(LOOK, call, errors, NSH_ARRAY_SIZE(errors));
}

static void test_each_call_of_the_firewall_fails(void **state)
{
    static const int errors[] = {
            EPERM, ENOMEM, ENOENT, EINVAL, EBUSY, ENOSPC, E2BIG, EOPNOTSUPP, ELOOP, EAGAIN};

    (void)state;
    fail_each(COMMIT, 0, errors, NSH_ARRAY_SIZE(errors));
    fail_each(SET_WRITE, 0, errors, NSH_ARRAY_SIZE(errors));
}

/* Somebody else has it for so many attempts. */
static void test_the_lock_is_held(void **state)
{
    (void)state;
    for (unsigned int sessions = 1; sessions < 20; sessions += stride())
        live_through(BUSY, 0, sessions, 0);
}

/* ---- events ---- */

#define EVENTS_MAX 64

static struct nsh_fib_event held[EVENTS_MAX];
static alignas(8) uint8_t rooms[EVENTS_MAX][sizeof(union nsh_route_room)];
static size_t n_held;

static void hold_event(void *userdata, const struct nsh_fib_event *event)
{
    struct nsh_fib_event *e = &held[n_held];

    (void)userdata;
    assert_true(n_held < EVENTS_MAX);
    *e = *event;
    if (event->route.props) {
        memcpy(rooms[n_held], event->route.props,
                nsh_route_props_size(event->route.props->n_nexthops));
        e->route.props = (const void *)rooms[n_held];
    }
    n_held++;
}

enum disorder { LOST, TWICE, REVERSED, EACH_SECOND_LOST };

static void disturb(struct world *w, enum disorder how)
{
    n_held = 0;
    w->fib->ops->events_read(w->fib, hold_event, NULL);
    for (size_t i = 0; i < n_held && how != LOST; i++) {
        const struct nsh_fib_event *e = &held[how == REVERSED ? n_held - 1 - i : i];

        if (how == EACH_SECOND_LOST && i % 2)
            continue;
        nsh_reconciler_event(w->r, e);
        if (how == TWICE)
            nsh_reconciler_event(w->r, e);
    }
}

/* What tells nobody is found by its own look; the rest by what was told, in whatever order. */
static void assert_repaired(struct world *w, enum disorder how)
{
    if (how == LOST || how == EACH_SECOND_LOST)
        resync(w);
    poll_tables(w);
    if (judge_all(w) > 0) {
        print_told(w);
        fail_msg("it is not repaired, in disorder %d", (int)how);
    }
}

static void test_events_in_disorder(void **state)
{
    (void)state;
    for (int how = LOST; how <= EACH_SECOND_LOST; how++) {
        struct world *w = world_with_others();

        start(w, yaml);
        for (int round = 0; round < 3; round++) {
            for (size_t i = 0; i < NSH_ARRAY_SIZE(damages); i++) {
                (void)try_run(w, damages[i]);
                if (i % 3 == (size_t)round)
                    disturb(w, (enum disorder)how);
            }
            disturb(w, (enum disorder)how);
            run(w);
            assert_repaired(w, (enum disorder)how);
            pass_time(w, 60 * SECOND);
            assert_stable(w);
        }
        rw_free(w);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            rw_test(test_each_call_of_the_kernel_fails),
            rw_test(test_each_look_of_the_firewall_fails),
            rw_test(test_each_call_of_the_firewall_fails),
            rw_test(test_the_lock_is_held),
            rw_test(test_events_in_disorder),
    };

    rw_leave_the_network();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
