/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether somebody on the link of an address is told that it is here: nobody is said to be told
 * that only where proxies could be seen.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "cleanup.h"
#include "explain.h"
#include "fib-fake.h"

static int proxied; /* what the kernel answers */

static int answer_proxied(
        struct nsh_fib *fib, uint32_t ifindex, int family, const union nsh_addr *addr)
{
    (void)fib;
    (void)ifindex;
    (void)family;
    (void)addr;
    return proxied;
}

/* It forwards, and answers for nothing of itself. */
static int answer_sysctl(struct nsh_fib *fib, const char *key, int *ret)
{
    (void)fib;
    *ret = strstr(key, "forwarding") != NULL;
    return 0;
}

/* From a neighbour to an address of its subnet that is routed elsewhere. */
static bool never_comes(struct nsh_fib *fib, uint32_t in)
{
    static const struct nsh_packet_rule rule = {.action = NSH_PACKET_ACCEPT};
    struct nsh_fib_address address = {.family = AF_INET, .ifindex = in, .usable = true};
    struct explain e = {.fib = fib, .in = in, .led_by = &rule, .n_addresses = 1};
    struct nsh_prefix from, to;
    bool never;

    e.addresses = &address;
    e.steps = json_array();
    e.first.family = AF_INET;
    strcpy(e.first.in, "eth0");
    assert_int_equal(nsh_prefix_parse("10.0.0.0/24", &address.net), NSH_PREFIX_OK);
    assert_int_equal(nsh_prefix_parse("10.0.0.2", &from), NSH_PREFIX_OK);
    assert_int_equal(nsh_prefix_parse("10.0.0.99", &to), NSH_PREFIX_OK);
    e.first.src = from.addr;
    e.first.dst = to.addr;
    explain_step(&e, "arrival");
    never = explain_never_comes(&e);
    assert_int_equal(e.stop != NULL, never);
    json_decref(e.steps);
    json_decref(e.stop);
    json_decref(e.doubt);
    return never;
}

static void test_proxies_that_can_not_be_seen(void **state)
{
    NSH_CLEANUP(nsh_fib_fake_freep) struct nsh_fib_fake *k = NULL;
    struct nsh_fib_ops ops;
    struct nsh_fib *fib;

    (void)state;
    assert_int_equal(nsh_fib_fake_new(&k), 0);
    assert_int_equal(nsh_fib_fake_open(k, &fib), 0);
    ops = *fib->ops;
    ops.proxied = answer_proxied;
    ops.sysctl_get = answer_sysctl;
    fib->ops = &ops;
    assert_true(nsh_fib_fake_link_add(k, "eth0", true) > 0);
    assert_true(nsh_fib_fake_link_add(k, "eth1", true) > 0);
    assert_int_equal(nsh_fib_fake_ip(k, "route add 10.0.0.99/32 dev eth1"), 0);
    assert_true(never_comes(fib, nsh_fib_fake_link_index(k, "eth0")));
    proxied = 1;
    assert_false(never_comes(fib, nsh_fib_fake_link_index(k, "eth0")));
    proxied = -EOPNOTSUPP; /* before Linux 5.0 */
    assert_false(never_comes(fib, nsh_fib_fake_link_index(k, "eth0")));
    nsh_fib_free(fib);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_proxies_that_can_not_be_seen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
