/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * That others begin to translate addresses with nftables is heard, and nothing else of what they do
 * is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "nft-world.h"

/* Events are queued before the program that made the change hears that it was made. */
static bool heard(void)
{
    struct pollfd p = {.fd = fw->ops->others_fd(fw), .events = POLLIN};

    assert_true(p.fd >= 0);
    return poll(&p, 1, 0) > 0;
}

/* Looked at once, and listening from now on. */
static void listen_from_here(bool translate)
{
    assert_int_equal(fw->ops->others_translate(fw), translate);
    assert_true(fw->ops->others_fd(fw) >= 0);
    assert_int_equal(fw->ops->others_changed(fw), 0);
    assert_false(heard());
}

static void assert_begins(void)
{
    assert_true(heard());
    assert_int_equal(fw->ops->others_changed(fw), 1);
    assert_int_equal(fw->ops->others_translate(fw), 1);
    assert_false(heard());
    assert_int_equal(fw->ops->others_changed(fw), 0);
}

static void test_chain_and_rule_at_once(void **state)
{
    static const char *const families[] = {"ip", "ip6", "inet"};

    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(families); i++) {
        listen_from_here(false);
        nft("add table %s x { chain post { type nat hook postrouting priority 100; masquerade; }; "
            "}",
                families[i]);
        assert_begins();
        nft("delete table %s x", families[i]);
        assert_int_equal(fw->ops->others_changed(fw), 1);
    }
}

/* An empty one translates nothing; it is the rule that counts. */
static void test_rule_in_an_empty_chain(void **state)
{
    (void)state;
    listen_from_here(false);
    nft("add table ip x");
    assert_false(heard());
    nft("add chain ip x post { type nat hook postrouting priority 100; }");
    assert_true(heard());
    assert_int_equal(fw->ops->others_changed(fw), 1);
    listen_from_here(false);
    nft("add chain ip x postrout");
    nft("add rule ip x postrout accept");
    nft("add table ip y { chain post { accept; }; }");
    assert_false(heard());
    nft("add rule ip x post masquerade");
    assert_begins();
}

/* Names of one letter and of many; more chains than are told apart. */
static void test_many_empty_chains(void **state)
{
    static const char *const names[] = {"a", "ab", "abc", "abcd", "postrouting", "POSTROUTING",
            "PREROUTING", "p", "q", "r", "s", "t"};
    char table[64];

    (void)state;
    for (size_t n = 1; n <= NSH_ARRAY_SIZE(names); n++) {
        for (size_t i = 0; i < n; i++)
            nft("add table ip %s { chain %s { type nat hook postrouting priority 100; }; }",
                    names[n - 1 - i], names[i]);
        listen_from_here(false);
        (void)snprintf(table, sizeof(table), "%s %s", names[0], names[n - 1]);
        nft("add rule ip %s masquerade", table);
        assert_begins();
        nft("flush ruleset");
        assert_int_equal(fw->ops->others_translate(fw), 0);
    }
}

/* For filters, as kernels before 6.7 have it; there, a namespace does not see the limit. */
#define LITTLE_ROOM 20480

static void set_little_room(void)
{
    FILE *f = fopen("/proc/sys/net/core/optmem_max", "we");

    if (f) {
        (void)fprintf(f, "%d", LITTLE_ROOM);
        (void)fclose(f);
    }
}

static bool has_little_room(void)
{
    FILE *f = fopen("/proc/sys/net/core/optmem_max", "re");
    long room = 0;

    if (f && fscanf(f, "%ld", &room) != 1)
        room = 0;
    if (f)
        (void)fclose(f);
    return room <= LITTLE_ROOM;
}

/* So many at once pass where the filter can't look at all of them. */
static void pass_over_much(void)
{
    if (has_little_room() && heard())
        listen_from_here(false);
}

static void test_what_is_not_heard(void **state)
{
    static char batch[64 * 1024];
    size_t n = 0;

    (void)state;
    nft("add table ip x { set s { type ipv4_addr; }; map m { type ipv4_addr : verdict; }; "
        "chain forward { type filter hook forward priority 0; }; "
        "chain leaving { type route hook output priority 0; }; }");
    nft("add table ip nat { chain POSTROUTING { type nat hook postrouting priority 100; }; }");
    listen_from_here(false);
    for (unsigned i = 0; i < 200; i++)
        n += (size_t)snprintf(batch + n, sizeof(batch) - n,
                "add rule ip x forward ip saddr 192.0.2.%u tcp dport %u counter drop; "
                "add element ip x s { 198.51.100.%u };",
                i, i + 1, i);
    assert_int_equal(try_nft(batch), 0);
    pass_over_much();
    nft("add chain ip x more");
    nft("add chain ip x late { type filter hook postrouting priority 100; }");
    nft("add rule ip x leaving meta mark set 1");
    nft("add rule ip x late accept");
    nft("flush set ip x s");
    nft("delete table ip x");
    pass_over_much();
    assert_int_equal(run("iptables-nft", "-A FORWARD -j ACCEPT", NULL, 0), 0);
    assert_int_equal(run("iptables-nft", "-F FORWARD", NULL, 0), 0);
    assert_false(heard());
    assert_int_equal(fw->ops->others_changed(fw), 0);
    assert_int_equal(run("iptables-nft", "-t nat -A POSTROUTING -o lo -j MASQUERADE", NULL, 0), 0);
    assert_begins();
}

static void test_what_is_not_heard_with_little_room(void **state)
{
    set_little_room();
    test_what_is_not_heard(state);
}

/* Behind so many other messages of one transaction that they fill several receives. */
static void test_at_the_end_of_much(void **state)
{
    static char batch[64 * 1024];

    (void)state;
    nft("add table ip x { set s { type ipv4_addr; }; chain forward { type filter hook forward "
        "priority 0; }; }");
    for (unsigned count = 0; count < 100; count += 7) {
        size_t n = 0;

        listen_from_here(false);
        for (unsigned i = 0; i < count; i++)
            n += (size_t)snprintf(batch + n, sizeof(batch) - n,
                    "add rule ip x forward ip saddr 192.0.2.%u drop; add element ip x s "
                    "{ 192.0.2.%u };",
                    i, i);
        (void)snprintf(batch + n, sizeof(batch) - n,
                "add table ip y { chain post { type nat hook postrouting priority 100; "
                "masquerade; }; }");
        assert_int_equal(try_nft(batch), 0);
        assert_begins();
        nft("delete table ip y; flush chain ip x forward; flush set ip x s");
        assert_int_equal(fw->ops->others_translate(fw), 0);
    }
}

static void test_little_room(void **state)
{
    (void)state;
    set_little_room();
    nft("add table ip nat { chain POSTROUTING { type nat hook postrouting priority 100; }; }");
    listen_from_here(false);
    nft("add table ip x { chain forward { type filter hook forward priority 0; accept; }; }");
    assert_false(heard());
    nft("add chain ip nat PREROUTING { type nat hook prerouting priority 100; }");
    assert_true(heard());
    listen_from_here(false);
    nft("add rule ip x forward drop");
    assert_false(heard());
    nft("add rule ip nat PREROUTING redirect");
    assert_begins();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_chain_and_rule_at_once, world_fresh, world_done),
            cmocka_unit_test_setup_teardown(test_rule_in_an_empty_chain, world_fresh, world_done),
            cmocka_unit_test_setup_teardown(test_many_empty_chains, world_fresh, world_done),
            cmocka_unit_test_setup_teardown(test_what_is_not_heard, world_fresh, world_done),
            cmocka_unit_test_setup_teardown(
                    test_what_is_not_heard_with_little_room, world_fresh, world_done),
            cmocka_unit_test_setup_teardown(test_at_the_end_of_much, world_fresh, world_done),
            cmocka_unit_test_setup_teardown(test_little_room, world_fresh, world_done),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
