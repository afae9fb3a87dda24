/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A world in which anything happens: routes, rules, policies and sets are damaged, links and
 * addresses come and go, events are lost, come late or twice, calls fail, the lock is held, the
 * file is reloaded, time passes. At every write: it is one that may be made; and whatever is done,
 * what is not ours is as it was. From time to time all is quiet, and after one resync what is
 * wanted stands, but for what can't. Then, at times, somebody undoes each repair, and it is made
 * ever more seldom.
 *
 * NSH_SEED and NSH_STEPS, as they are printed, repeat a run; a greater NSH_STEPS makes it longer,
 * NSH_TRACE says what is done.
 */
#include "backoff.h"
#include "reconcile-chance.h"
#include "reconcile-foreign.h"
#include "reconcile-judge.h"

#define STEPS 20000U
#define STEPS_BETWEEN_QUIET 100U
#define LONGEST_FIGHT (310 * SECOND)

/* ---- the run ---- */

static uint64_t seed_first;
static unsigned n_steps, n_done;
static bool trace;

static void say(const char *what)
{
    if (trace)
        print_message("# %s\n", what);
}

/* Pasted before the program's name it repeats the run. */
static const char *replay(void)
{
    static char text[96];

    snprintf(text, sizeof(text), "NSH_SEED=%llu NSH_STEPS=%u", (unsigned long long)seed_first,
            n_steps);
    return text;
}

/* However it failed: the end of the group asks. */
static int tell_how_to_repeat(void **state)
{
    (void)state;
    if (n_done < n_steps)
        print_error("it failed in step %u; %s repeats it\n", n_done + 1, replay());
    return rw_teardown(state);
}

/* ---- what must never be written ---- */

static void check_write(struct world *w, const struct nsh_fib_op *op)
{
    const struct nsh_desired *d = nsh_reconciler_desired(w->r);
    char key[96];

    nsh_route_format_key(&op->route, key, sizeof(key));
    if (op->verb != NSH_FIB_DELETE && (op->route.protocol != d->protocol ||
                                              nsh_desired_find_route(d, &op->route) == SIZE_MAX))
        fail_msg("%s is written and not wanted; %s repeats it", key, replay());
    if (op->verb != NSH_FIB_DELETE &&
            nsh_desired_standing(d, &d->routes[nsh_desired_find_route(d, &op->route)], NULL) !=
                    NSH_STANDING_WANTED)
        fail_msg("%s is written and on standby; %s repeats it", key, replay());
    if (op->verb == NSH_FIB_DELETE && op->route.protocol != d->protocol &&
            (w->r->also_ours == 0 || op->route.protocol != w->r->also_ours))
        fail_msg("%s is deleted and not ours; %s repeats it", key, replay());
}

/* Whatever is done, it changes nothing that is not ours. */
static void guarded(struct world *w, void (*what)(struct world *w))
{
    nsh_autofree char *before = foreign_of(w), *after = NULL;

    what(w);
    after = foreign_of(w);
    if (!foreign_stands(before, after)) {
        print_told(w);
        fail_msg("what is foreign changed; %s repeats it", replay());
    }
}

/* ---- what happens ---- */

static const char *const accidents[] = {
        "ip route del 10.20.0.0/16",
        "ip route del 10.20.0.0/16 table 100",
        "ip route del 10.30.0.0/16",
        "ip route del 10.30.1.0/24",
        "ip route del 10.40.0.0/16",
        "ip route del 172.16.0.0/24",
        "ip route replace 10.20.0.0/16 via 192.168.1.7 dev eth0",
        "ip route replace 10.20.0.0/16 via 192.168.1.1 dev eth0",
        "ip route replace 10.30.0.0/16 dev eth1",
        "ip route replace 10.20.0.0/16 via 192.168.1.1 dev eth0 table 100",
        "ip route append 10.20.0.0/16 via 192.168.1.5 dev eth0",
        "ip route prepend 10.20.0.0/16 via 192.168.1.6 dev eth0",
        "ip route prepend 10.30.1.0/24 dev eth1",
        "ip route add 10.77.0.0/16 via 192.168.1.1 dev eth0 proto 110",
        "ip route add 10.40.0.0/16 dev eth1 metric 7",
        "ip route add 10.20.0.0/16 via 192.168.1.3 dev eth0 proto 4 metric 20",
        "ip -6 route add fd00:9::/48 via fd00:1::3 dev eth0 proto 4 metric 20",
        "ip route add blackhole 10.90.0.0/16",
        "ip route del 10.90.0.0/16",
        "ip route add blackhole 10.91.0.0/16 metric 5",
        "ip route del 10.91.0.0/16",
        "ip -6 route del fd00:9::/48",
        "ip -6 route del fd00:9::/48 via fd00:1::9 dev eth0",
        "ip -6 route append fd00:9::/48 via fd00:1::7 dev eth0",
        "ip -6 route replace fd00:a::/48 via fd00:2::7 dev eth1",
        "ip -6 route append fd00:a::/48 via fd00:2::6 dev eth1",
        "ip -6 route del fd00:b::/48",
        "ip -6 route add fd00:b::/48 via fd00:1::4 dev eth0",
        "ip -6 route add fd00:c::/48 via fd00:1::4 dev eth0 proto 110",
        "ip link set eth0 down",
        "ip link set eth0 up",
        "ip link set eth0 up",
        "ip link set eth1 down",
        "ip link set eth1 up",
        "ip link set eth1 up",
        "ip link add eth1",
        "ip link add eth2",
        "ip link set eth2 up",
        "ip link del eth2",
        "ip link set eth2 name eth1",
        "ip link set eth1 name eth2",
        "ip addr add 192.168.1.2/24 dev eth0",
        "ip addr del 192.168.1.2/24 dev eth0",
        "ip addr add 10.0.0.1/24 dev eth1",
        "ip addr del 10.0.0.1/24 dev eth1",
        "ip addr add 10.0.0.1/24 dev eth2",
        "ip addr add 10.0.0.254/24 dev eth1",
        "ip addr add 10.0.0.254/24 dev eth0",
        "ip addr del 10.0.0.254/24 dev eth1",
        "ip addr del 10.0.0.254/24 dev eth0",
        "ip addr add fd00:2::fe/64 dev eth1",
        "ip addr del fd00:2::fe/64 dev eth1",
        "ip link add blue type vrf table 10",
        "ip link add blue type vrf table 11",
        "ip link add red type vrf table 11",
        "ip link del blue",
        "ip link del red",
        "ip link set blue name red",
        "ip link set red name blue",
        "ip route del 10.66.0.0/16 table 10",
        "ip route del 10.66.0.0/16 table 11",
        "ip route replace 10.66.0.0/16 via 192.168.1.9 dev eth0 table 11",
        "ip route add 10.0.0.0/24 dev eth0 table 11",
        "ip route del 10.0.0.0/24 dev eth0 table 11",
        "ip -6 route del fd00:f::/48 table 10",
        "ip route del 10.60.0.0/16",
        "ip route add 10.60.0.0/16 via 192.168.1.9 dev eth0",
        "ip route add 10.60.0.0/16 via 192.168.1.1 dev eth0 proto 110",
        "ip route add 10.61.0.0/16 dev eth1",
        "ip route del 10.62.0.0/16",
        "ip -6 route del fd00:d::/48 via fd00:1::9 dev eth0",
        "ip -6 route append fd00:d::/48 via fd00:1::7 dev eth0",
        "ip -6 route del fd00:e::/48",
        "ip rule del from 10.7.0.0/16 lookup 101 priority 1001",
        "ip rule del lookup 11000 priority 1",
        "ip route del default table 11000",
        "ip route replace default via 192.168.1.9 dev eth0 table 11000",
        "ip route add 10.90.0.0/16 via 192.168.1.9 dev eth0 table 11001 proto 110",
        "ip rule add from 10.7.0.0/16 lookup 101 priority 1001 protocol 110",
        "ip rule flush",
        "ip rule add from 10.9.0.0/16 lookup 9 priority 900",
        "ip rule del from 10.9.0.0/16 lookup 9 priority 900",
        "ip rule add from 10.7.0.0/16 lookup 100 priority 1000 protocol 4",
        "ip -6 rule add from fd00:9::/48 lookup 9 priority 1002",
        "ip route add default via 192.168.1.1 dev eth0 proto 16 metric 100",
        "ip route replace default via 192.168.1.7 dev eth0 proto 16 metric 100",
        "ip route replace default via 10.0.0.9 dev eth1 metric 100",
        "ip route add default dev eth2 metric 50",
        "ip route append default via 192.168.1.8 dev eth0 metric 100",
        "ip route del default metric 100",
        "ip route del default metric 50",
        "ip route add default via 10.0.0.9 dev eth1 table 102",
        "ip route del default table 101",
        "ip route del default table 102",
        "ip -6 route add default via fe80::1 dev eth0 proto 9",
        "ip -6 route append default via fe80::2 dev eth1 proto 9",
        "ip -6 route replace default via fe80::3 dev eth0",
        "ip -6 route del default",
        "ip -6 route del default table 101",
        "ip route del 10.64.0.0/16",
        "ip addr add 172.16.0.9/24 dev eth0",
        "ip addr del 172.16.0.9/24 dev eth0",
        "ip addr add fd00:1::2/64 dev eth0",
        "ip addr add fd00:2::1/64 dev eth1",
        "ip addr del fd00:2::1/64 dev eth1",
        "iptables -t nat -F",
        "iptables -t nat -X",
        "iptables -t nat -F NETSHARED-lan",
        "iptables -t nat -D POSTROUTING 1",
        "iptables -t nat -A POSTROUTING -j NETSHARED-guest",
        "iptables -t nat -I POSTROUTING -o ppp0 -j MASQUERADE",
        "iptables -t nat -A POSTROUTING -p tcp -j SNAT --to-source 192.168.1.2",
        "iptables -t nat -A NETSHARED-lan -j RETURN",
        "iptables -t nat -N NETSHARED-old",
        "iptables -t nat -N theirs",
        "iptables -t nat -A theirs -p tcp -j SNAT --to-source 192.168.1.3",
        "iptables -t nat -A POSTROUTING -j theirs",
        "iptables -t filter -N theirs",
        "iptables -t filter -A theirs -s 10.1.0.0/24 -j ACCEPT",
        "iptables -t filter -I FORWARD -j theirs",
        "ip6tables -t mangle -N theirs",
        "iptables -t raw -F",
        "iptables -t raw -A PREROUTING -j NOTRACK",
        "iptables -t filter -F",
        "iptables -t filter -X",
        "iptables -t filter -I FORWARD -j DROP",
        "iptables -t filter -D FORWARD 1",
        "iptables -t filter -A FORWARD -j NETSHARED-home",
        "iptables -t filter -F NETSHARED-home",
        "iptables -t filter -D NETSHARED-home 2",
        "iptables -t filter -A NETSHARED-web -j ACCEPT",
        "ip6tables -t filter -F",
        "ip6tables -t filter -D FORWARD 1",
        "iptables -t mangle -F",
        "iptables -t mangle -A FORWARD -j MARK --set-mark 7",
        "ip6tables -t mangle -D FORWARD 1",
        "iptables -t nat -D PREROUTING 1",
        "iptables -t nat -I PREROUTING -i eth7 -j ACCEPT",
        "iptables -t nat -F NETSHARED-map_o",
        "iptables -t nat -D NETSHARED-many 1",
        "iptables -t nat -I NETSHARED-turn -o eth1 -j RETURN",
        "ipset flush netshared-many_f4",
        "ipset del netshared-many_f4 10.1.0.0/24",
        "ipset add netshared-many_f4 10.99.0.0/24",
        "ipset swap netshared-many_f4 netshared-few_xt4",
        "ipset del netshared-web_f4 10.2.0.0/24",
        "ipset flush netshared-turn_t4",
        "ipset destroy netshared-many_f4",
        "ipset create netshared-many_f4 hash:net",
        "ipset create netshared-left hash:net",
        "ipset create theirs hash:net",
        "ipset add theirs 10.9.0.0/24",
        "ipset del theirs 10.9.0.0/24",
        "ip6tables -t nat -F",
        "ip6tables -t nat -I POSTROUTING -j NETSHARED-six",
        "sysctl net/ipv4/ip_forward=0",
        "sysctl net/ipv4/ip_forward=1",
        "sysctl net/ipv6/conf/all/forwarding=0",
        "sysctl net/ipv6/conf/eth0/accept_ra=1",
};

static void accident(struct world *w)
{
    const char *what = pick(accidents);

    say(what);
    try_run(w, what);
}

static void random_failure(struct world *w)
{
    static const int errors[] = {ENOBUFS, EPERM, ENOMEM, EAGAIN, ENETUNREACH, EEXIST};
    static const enum nsh_fib_fake_call calls[] = {NSH_FIB_FAKE_DUMP_BEGIN, NSH_FIB_FAKE_DUMP_READ,
            NSH_FIB_FAKE_ADDRESSES, NSH_FIB_FAKE_LINKS, NSH_FIB_FAKE_SUBMIT, NSH_FIB_FAKE_WRITE,
            NSH_FIB_FAKE_LINK_INDEX, NSH_FIB_FAKE_LOOKUP, NSH_FIB_FAKE_SYSCTL_GET,
            NSH_FIB_FAKE_SYSCTL_SET, NSH_FIB_FAKE_EVENTS_READ};

    static const char *const chains[] = {"NETSHARED-home", "NETSHARED-web", "NETSHARED-turn"};

    say("a failure");
    switch (chance(6)) {
    case 0:
        nsh_firewall_fake_busy(w->tables, chance(200));
        break;
    case 1:
        nsh_firewall_fake_race(w->tables, chance(12), NULL, NULL);
        break;
    case 2:
        nsh_firewall_fake_fail_commit(w->tables, 1 + chance(4), -pick(errors), "not now");
        break;
    case 3:
        nsh_firewall_fake_fail_set_write(w->tables, 1 + chance(4), -pick(errors), "not now");
        break;
    case 4:
        nsh_firewall_fake_fail_chain(w->tables, (enum nsh_table)chance(NSH_TABLE_COUNT),
                pick(chains), -pick(errors), "not this one");
        break;
    default:
        nsh_fib_fake_fail(w->kernel, pick(calls), 1 + chance(5), pick(errors));
        break;
    }
}

static void new_config(struct world *w)
{
    nsh_autofree char *text = random_config();

    say(text);
    want(w, text, NSH_OCCASION_RELOAD);
}

static void restart(struct world *w)
{
    nsh_autofree char *text = random_config();

    say("restart");
    world_restart(w);
    want(w, text, NSH_OCCASION_START);
}

/* One that shadows ours shows by its event alone. */
static void take_shadows(struct world *w)
{
    while (try_run(w, "ip route del 10.20.0.0/16 via 192.168.1.6 dev eth0") == 0)
        ;
    while (try_run(w, "ip route del 10.30.1.0/24 dev eth1") == 0)
        ;
}

static void random_check(struct world *w)
{
    uint8_t n = (uint8_t)(1 + chance(2));
    bool hop = chance(2), open = chance(2);

    if (trace)
        print_message(
                "# the %scheck %u %s\n", hop ? "nexthop's " : "", n, open ? "works" : "fails");
    tell_check(w, hop, n, open, open ? "after a while" : "no answer");
}

static void some_time(struct world *w)
{
    say("time");
    pass_time(w, chance(2) ? chance(20000) : chance(3) * SECOND);
}

static void once(struct world *w)
{
    say("run");
    run(w);
}

static void step(struct world *w)
{
    uint32_t what = chance(100);

    if (what < 60) {
        accident(w);
    } else if (what < 65) {
        say("events are lost");
        nsh_fib_fake_set_queue(w->kernel, chance(4));
    } else if (what < 68) {
        nsh_fib_fake_set_queue(w->kernel, 10000);
    } else if (what < 70) {
        say("events are told once, twice, or late");
        nsh_fib_fake_set_telling(w->kernel, (enum nsh_fib_fake_telling)chance(3));
    } else if (what < 74) {
        random_failure(w);
    } else if (what < 76) {
        guarded(w, new_config);
    } else if (what < 77 && chance(4) == 0) {
        /* Two changes of the mark, the first one unfinished, are more than is remembered. */
        if (w->r->also_ours == 0) {
            take_shadows(w);
            guarded(w, restart);
        }
    } else if (what < 79) {
        random_check(w);
    } else if (what < 82) {
        say("poll");
        nsh_reconciler_poll(w->r);
    } else if (what < 84) {
        say("resync");
        nsh_reconciler_resync(w->r);
    } else if (what < 92) {
        guarded(w, once);
    } else {
        guarded(w, some_time);
    }
}

/* ---- quiet ---- */

static void quieten(struct world *w)
{
    say("quiet");
    for (int call = 0; call < NSH_FIB_FAKE_CALLS; call++)
        nsh_fib_fake_fail(w->kernel, (enum nsh_fib_fake_call)call, 0, 0);
    nsh_firewall_fake_busy(w->tables, 0);
    nsh_firewall_fake_race(w->tables, 0, NULL, NULL);
    nsh_firewall_fake_fail_commit(w->tables, 0, 0, "");
    nsh_firewall_fake_fail_set_write(w->tables, 0, 0, "");
    nsh_firewall_fake_fail_chain(w->tables, NSH_TABLE_NAT, NULL, 0, "");
    nsh_fib_fake_set_queue(w->kernel, 10000);
    nsh_fib_fake_set_telling(w->kernel, NSH_FIB_FAKE_ONCE);
    run(w);
    nsh_reconciler_poll(w->r);
    pass_time(w, LONGEST_FIGHT);
    resync(w);
    poll_tables(w);
    pass_time(w, LONGEST_FIGHT);
}

static void judge(struct world *w)
{
    nsh_autofree char *foreign = foreign_of(w), *after = NULL;
    size_t writes = nsh_fib_fake_counts(w->kernel)->writes;
    size_t commits = nsh_firewall_fake_counts(w->tables)->commits;
    unsigned bad = judge_all(w);

    forget(w);
    resync(w);
    poll_tables(w);
    after = foreign_of(w);
    if (bad > 0 || writes != nsh_fib_fake_counts(w->kernel)->writes ||
            commits != nsh_firewall_fake_counts(w->tables)->commits || w->n_told > 0 ||
            nsh_reconciler_due(w->r) || !nsh_reconciler_complete(w->r) ||
            nsh_reconciler_next(w->r) != UINT64_MAX || !foreign_stands(foreign, after)) {
        print_told(w);
        fail_msg("it is not as it should be; %s repeats it", replay());
    }
}

/* ---- fights ---- */

/* Somebody undoes the same again and again. */
static const char *const undoings[] = {
        "ip route del 10.20.0.0/16",
        "ip route replace 10.20.0.0/16 via 192.168.1.9 dev eth0",
        "ip route del 10.30.1.0/24",
        "ip route del 10.63.0.0/16 table 100",
        "ip -6 route del fd00:9::/48",
        "ip -6 route del fd00:d::/48 via fd00:1::9 dev eth0",
        "ip route del default table 101",
        "ip rule flush",
        "ip rule del from 10.7.0.0/16 lookup 100 priority 1000",
        "iptables -t nat -F",
        "iptables -t nat -D POSTROUTING -j NETSHARED-lan",
        "iptables -t nat -F NETSHARED-lan",
        "iptables -t nat -D PREROUTING -j NETSHARED-web",
        "iptables -t filter -F",
        "iptables -t filter -F NETSHARED-home",
        "iptables -t filter -D FORWARD -j NETSHARED-home",
        "iptables -t raw -F",
        "iptables -t mangle -F",
        "ip6tables -t filter -F",
        "ip6tables -t nat -F",
        "ipset flush netshared-many_f4",
        "ipset add netshared-many_f4 10.99.0.0/24",
        "ipset flush netshared-turn_t4",
        "sysctl net/ipv4/ip_forward=0",
        "sysctl net/ipv6/conf/all/forwarding=0",
};

#define FIGHT_ROUND (SECOND / 2)
#define FIGHT_ROUNDS 40U

static size_t changes_of(const struct world *w)
{
    const struct nsh_firewall_fake_counts *tables = nsh_firewall_fake_counts(w->tables);

    return nsh_fib_fake_counts(w->kernel)->writes + tables->commits + tables->set_writes;
}

/* Those without waiting, and then one after each pause, which is twice as long as the last one. */
static unsigned most_repairs(uint64_t usec)
{
    unsigned n = NSH_BACKOFF_FREE + 1;

    for (uint64_t pause = NSH_BACKOFF_FIRST, sum = pause; sum <= usec; n++) {
        pause = 2 * pause < NSH_BACKOFF_MAX ? 2 * pause : NSH_BACKOFF_MAX;
        sum += pause;
    }
    return n;
}

static void repair(struct world *w)
{
    run(w);
    poll_tables(w);
    pass_time(w, FIGHT_ROUND);
}

/* Each is written once, or taken away and made anew. */
static size_t most_changes(const struct nsh_desired *d)
{
    return 2 * (d->n_routes + d->n_rules + d->n_chains + d->n_sets + NSH_FAMILIES);
}

static void fight(struct world *w)
{
    const char *what = pick(undoings);
    unsigned repairs = 0;

    say("a fight");
    say(what);
    for (unsigned i = 0; i < FIGHT_ROUNDS; i++) {
        size_t before = changes_of(w), n;

        try_run(w, what);
        guarded(w, repair);
        n = changes_of(w) - before;
        repairs += n > 0;
        if (n > most_changes(nsh_reconciler_desired(w->r)))
            fail_msg("%zu writes after '%s'; %s repeats it", n, what, replay());
    }
    if (repairs > most_repairs(FIGHT_ROUNDS * FIGHT_ROUND))
        fail_msg("%u repairs in a fight over '%s'; %s repeats it", repairs, what, replay());
}

static void test_anything_happens(void **state)
{
    struct world *w = world_with_state();

    (void)state;
    w->before_write = check_write;
    start(w, "");
    for (unsigned i = 1; i <= n_steps; n_done = i++) {
        forget(w);
        step(w);
        if (i % 10 == 0)
            guarded(w, once);
        if (i % STEPS_BETWEEN_QUIET == 0) {
            guarded(w, quieten);
            judge(w);
            if (chance(2))
                fight(w);
        }
    }

    /* And in the end nothing of it stays. */
    n_done = n_steps - 1;
    want(w, "", NSH_OCCASION_STOP);
    guarded(w, quieten);
    assert_int_equal(count_routes(w, AF_INET, "110") + count_routes(w, AF_INET6, "110"), 0);
    assert_int_equal(count_routes(w, AF_INET, "111") + count_routes(w, AF_INET6, "111"), 0);
    for (int f = 0; f < NSH_FAMILIES; f++)
        for (int t = 0; t < NSH_TABLE_COUNT; t++)
            assert_false(table_has(w, nsh_family_of(f), (enum nsh_table)t, "NETSHARED-"));
    assert_int_equal(judge_sets(w), 0);
    n_done = n_steps;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test_teardown(test_anything_happens, tell_how_to_repeat)};
    const char *given = getenv("NSH_SEED"), *steps = getenv("NSH_STEPS");

    seed_first = given ? strtoull(given, NULL, 10) : 20260101;
    seed = seed_first;
    n_steps = steps ? (unsigned)strtoul(steps, NULL, 10) : STEPS;
    trace = getenv("NSH_TRACE") != NULL;
    /* Not on stdout: the first line there has to be that of TAP. */
    (void)fprintf(stderr, "# %s repeats it\n", replay());
    (void)fflush(stderr);
    rw_leave_the_network();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
