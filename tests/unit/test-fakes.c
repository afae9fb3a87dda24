/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fakes have the habits of the real thing: each test is a fact about a kernel, seen there
 * first. Scenarios run against both are in test-scenarios.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/netlink.h>
#include <poll.h>
#include <string.h>

#include "fib-fake.h"

#define OURS 110

/* ---- routes ---- */

#define EVENTS_MAX 64

struct heard {
    enum nsh_fib_event_type type;
    uint16_t flags;
    uint8_t protocol;
    uint32_t n_nexthops;
    uint32_t sender;
};

struct rig {
    struct nsh_fib_fake *k;
    struct nsh_fib *fib;
    int fd;
    struct heard heard[EVENTS_MAX];
    size_t n_heard;
};

static void hear(void *userdata, const struct nsh_fib_event *event)
{
    struct rig *rig = userdata;

    assert_true(rig->n_heard < EVENTS_MAX);
    rig->heard[rig->n_heard++] = (struct heard){
            .type = event->type,
            .flags = event->route_flags,
            .protocol = event->route.protocol,
            .n_nexthops = event->route.props ? event->route.props->n_nexthops : 0,
            .sender = event->sender,
    };
}

/* Reads the events; returns how many are of routes, which are moved to the front. */
static size_t listen_routes(struct rig *rig)
{
    size_t n = 0;

    rig->n_heard = 0;
    assert_true(rig->fib->ops->events_read(rig->fib, hear, rig) >= 0);
    for (size_t i = 0; i < rig->n_heard; i++)
        if (rig->heard[i].type == NSH_FIB_ROUTE_NEW || rig->heard[i].type == NSH_FIB_ROUTE_GONE)
            rig->heard[n++] = rig->heard[i];
    return n;
}

static void ip(struct rig *rig, const char *words)
{
    int rc = nsh_fib_fake_ip(rig->k, words);

    if (rc != 0)
        fail_msg("ip %s: %s", words, strerror(-rc));
}

static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));

    assert_non_null(rig);
    assert_int_equal(nsh_fib_fake_new(&rig->k), 0);
    assert_int_equal(nsh_fib_fake_open(rig->k, &rig->fib), 0);
    ip(rig, "link add lan0");
    ip(rig, "link add wan0");
    ip(rig, "link set lan0 up");
    ip(rig, "link set wan0 up");
    ip(rig, "addr add 192.168.1.1/24 dev lan0");
    ip(rig, "addr add 203.0.113.2/24 dev wan0");
    ip(rig, "addr add 2001:db8:1::1/64 dev wan0");
    rig->fd = rig->fib->ops->events_open(rig->fib, OURS);
    assert_true(rig->fd >= 0);
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    nsh_fib_free(rig->fib);
    nsh_fib_fake_free(rig->k);
    free(rig);
    return 0;
}

/* The lines of `show` that speak of this destination, in their order. */
static void assert_shown(struct rig *rig, int family, const char *dst, const char *expected)
{
    nsh_autofree char *all = nsh_fib_fake_show(rig->k, family);
    nsh_autofree char *found = NULL;
    char *save = NULL;
    size_t size;
    FILE *to = open_memstream(&found, &size);

    assert_non_null(all);
    assert_non_null(to);
    for (char *line = strtok_r(all, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        if (strncmp(line, dst, strlen(dst)) == 0)
            fprintf(to, "%s\n", line);
    fclose(to);
    assert_string_equal(found, expected);
}

static void test_connected_routes(void **state)
{
    struct rig *rig = *state;

    assert_shown(rig, AF_INET, "192.168.1.",
            "192.168.1.0/24 dev lan0 proto 2 scope 253 src 192.168.1.1\n");
    assert_shown(rig, AF_INET6, "2001:db8:1::/64", "2001:db8:1::/64 dev wan0 proto 2 metric 256\n");
    ip(rig, "addr add 192.168.1.9/24 dev lan0");
    ip(rig, "addr del 192.168.1.1/24 dev lan0");
    assert_shown(rig, AF_INET, "192.168.1.", "");
    assert_int_equal(nsh_fib_fake_ip(rig->k, "addr del 192.168.1.9/24 dev lan0"), -EADDRNOTAVAIL);
}

static void test_aliases(void **state)
{
    struct rig *rig = *state;

    ip(rig, "route add 10.20.0.0/16 via 192.168.1.2 proto 110");
    assert_int_equal(nsh_fib_fake_ip(rig->k, "route add 10.20.0.0/16 via 192.168.1.3"), -EEXIST);
    ip(rig, "route append 10.20.0.0/16 via 192.168.1.3 proto 4");
    ip(rig, "route prepend 10.20.0.0/16 via 192.168.1.2 proto 5");
    assert_shown(rig, AF_INET, "10.20.",
            "10.20.0.0/16 via 192.168.1.2 dev lan0 proto 5\n"
            "10.20.0.0/16 via 192.168.1.2 dev lan0 proto 110\n"
            "10.20.0.0/16 via 192.168.1.3 dev lan0 proto 4\n");
    /* The first is replaced, unless an equal one stands further back. */
    assert_int_equal(
            nsh_fib_fake_ip(rig->k, "route replace 10.20.0.0/16 via 192.168.1.2 proto 110"),
            -EEXIST);
    ip(rig, "route replace 10.20.0.0/16 via 192.168.1.4 proto 5");
    ip(rig, "route del 10.20.0.0/16 proto 4");
    assert_int_equal(nsh_fib_fake_ip(rig->k, "route del 10.20.0.0/16 proto 99"), -ESRCH);
    assert_shown(rig, AF_INET, "10.20.",
            "10.20.0.0/16 via 192.168.1.4 dev lan0 proto 5\n"
            "10.20.0.0/16 via 192.168.1.2 dev lan0 proto 110\n");
}

static void test_events_v4(void **state)
{
    struct rig *rig = *state;

    ip(rig, "route add 10.20.0.0/16 via 192.168.1.2 proto 4");
    assert_int_equal(listen_routes(rig), 0); /* foreign and new: of no interest */
    ip(rig, "route replace 10.20.0.0/16 via 192.168.1.2 proto 4");
    assert_int_equal(listen_routes(rig), 0); /* identical */
    ip(rig, "route replace 10.20.0.0/16 via 192.168.1.3 proto 4");
    ip(rig, "route append 10.20.0.0/16 via 192.168.1.4 proto 4");
    ip(rig, "route prepend 10.20.0.0/16 via 192.168.1.5 proto 4");
    ip(rig, "route del 10.20.0.0/16 proto 4");
    ip(rig, "route replace 10.21.0.0/16 via 192.168.1.3 proto 110");
    ip(rig, "route del 10.21.0.0/16 proto 110");
    assert_int_equal(listen_routes(rig), 5);
    assert_int_equal(rig->heard[0].flags, NLM_F_REPLACE);
    assert_int_equal(rig->heard[0].sender, NSH_FIB_FAKE_SOMEBODY);
    assert_int_equal(rig->heard[1].flags, NLM_F_CREATE | NLM_F_APPEND);
    assert_int_equal(rig->heard[2].flags, NLM_F_CREATE);
    assert_int_equal(rig->heard[3].flags, NLM_F_CREATE | NLM_F_EXCL);
    assert_int_equal(rig->heard[3].protocol, OURS);
    assert_int_equal(rig->heard[4].type, NSH_FIB_ROUTE_GONE);
    rig->fib->ops->events_foreign(rig->fib, NSH_FIB_FOREIGN_ALL);
    ip(rig, "route add 10.22.0.0/16 via 192.168.1.2 proto 4");
    assert_int_equal(listen_routes(rig), 1);
}

static void test_silent_removals(void **state)
{
    struct rig *rig = *state;

    ip(rig, "route add 10.20.0.0/16 via 192.168.1.2 proto 110");
    ip(rig, "route add 10.21.0.0/16 via 203.0.113.9 proto 110");
    ip(rig, "route add 10.22.0.0/16 proto 110 nexthop via 192.168.1.2 nexthop via 203.0.113.9");
    ip(rig, "route add 10.23.0.0/16 via 203.0.113.9 src 192.168.1.1 proto 110");
    ip(rig, "route add blackhole 10.24.0.0/16 proto 110");
    listen_routes(rig);
    ip(rig, "link set wan0 down");
    ip(rig, "link set wan0 up");
    assert_int_equal(listen_routes(rig), 0);
    assert_shown(rig, AF_INET, "10.21.", "");
    assert_shown(rig, AF_INET, "203.0.113.0",
            "203.0.113.0/24 dev wan0 proto 2 scope 253 src 203.0.113.2\n");
    assert_shown(rig, AF_INET, "10.22.",
            "10.22.0.0/16 proto 110 \\\tnexthop via 192.168.1.2 dev lan0 weight 1"
            " \\\tnexthop via 203.0.113.9 dev wan0 weight 1\n");
    ip(rig, "route add 10.23.0.0/16 via 203.0.113.9 src 192.168.1.1 proto 110");
    listen_routes(rig);
    ip(rig, "addr del 192.168.1.1/24 dev lan0");
    /* The preferred source is told; the last address on the device takes the rest silently. */
    assert_int_equal(listen_routes(rig), 1);
    assert_int_equal(rig->heard[0].type, NSH_FIB_ROUTE_GONE);
    assert_shown(rig, AF_INET, "10.2",
            "10.22.0.0/16 proto 110 \\\tnexthop via 192.168.1.2"
            " dev lan0 weight 1 \\\tnexthop via 203.0.113.9 dev wan0"
            " weight 1\n");
    ip(rig, "link del wan0");
    assert_int_equal(listen_routes(rig), 0);
    assert_shown(rig, AF_INET, "10.2", "");
    assert_shown(rig, AF_INET, "6 10.2", "6 10.24.0.0/16 proto 110\n");
}

/* Each sibling keeps its own, though none is a route of several nexthops. */
static void test_weights_v6(void **state)
{
    struct rig *rig = *state;

    ip(rig, "-6 route add 2001:db8:9::/48 proto 110 nexthop via 2001:db8:1::2 weight 2 "
            "nexthop via 2001:db8:1::3 weight 3");
    assert_shown(rig, AF_INET6, "2001:db8:9:",
            "2001:db8:9::/48 proto 110 metric 1024"
            " \\\tnexthop via 2001:db8:1::2 dev wan0 weight 2"
            " \\\tnexthop via 2001:db8:1::3 dev wan0 weight 3\n");
}

static void test_multipath_v6(void **state)
{
    struct rig *rig = *state;

    ip(rig, "-6 route add 2001:db8:8::/48 via 2001:db8:1::2 proto 110");
    ip(rig, "-6 route append 2001:db8:8::/48 via 2001:db8:1::3 proto 4");
    assert_int_equal(listen_routes(rig), 2);
    assert_int_equal(rig->heard[1].protocol, 4);
    assert_int_equal(rig->heard[1].n_nexthops, 2);
    assert_int_equal(rig->heard[1].flags & NLM_F_EXCL, 0);
    assert_shown(rig, AF_INET6, "2001:db8:8:",
            "2001:db8:8::/48 proto 110 metric 1024"
            " \\\tnexthop via 2001:db8:1::2 dev wan0 weight 1"
            " \\\tnexthop via 2001:db8:1::3 dev wan0 weight 1\n");
    assert_int_equal(
            nsh_fib_fake_ip(rig->k, "-6 route append 2001:db8:8::/48 via 2001:db8:1::3 proto 5"),
            -EEXIST);
    /* Naming a gateway takes one, naming none takes all siblings, ours too. */
    ip(rig, "-6 route append 2001:db8:8::/48 via 2001:db8:1::4 proto 4");
    ip(rig, "-6 route del 2001:db8:8::/48 via 2001:db8:1::4");
    ip(rig, "-6 route del 2001:db8:8::/48 proto 4");
    assert_shown(rig, AF_INET6, "2001:db8:8:", "");
    ip(rig, "-6 route add 2001:db8:8::/48 via 2001:db8:1::2 proto 110");
    listen_routes(rig);
    ip(rig, "-6 route replace 2001:db8:8::/48 via 2001:db8:1::2 proto 110");
    assert_int_equal(listen_routes(rig), 1); /* identical, and told all the same */
    ip(rig, "-6 route append 2001:db8:8::/48 via 2001:db8:1::3 proto 4");
    ip(rig, "-6 route replace 2001:db8:8::/48 via 2001:db8:1::2 proto 110");
    assert_shown(rig, AF_INET6,
            "2001:db8:8:", "2001:db8:8::/48 via 2001:db8:1::2 dev wan0 proto 110 metric 1024\n");
    listen_routes(rig);
    ip(rig, "link set wan0 down");
    assert_int_equal(listen_routes(rig), 1);
    assert_int_equal(rig->heard[0].type, NSH_FIB_ROUTE_GONE);
}

static void test_source_v6(void **state)
{
    struct rig *rig = *state;

    ip(rig, "addr add 2001:db8:5::1/128 dev lan0");
    ip(rig, "-6 route add 2001:db8:9::/48 via 2001:db8:1::2 src 2001:db8:5::1 proto 110");
    ip(rig, "link set lan0 down"); /* takes the address, and leaves it as a source */
    ip(rig, "link set lan0 up");
    assert_shown(rig, AF_INET6, "2001:db8:9:",
            "2001:db8:9::/48 via 2001:db8:1::2 dev wan0 proto 110 src 2001:db8:5::1"
            " metric 1024\n");
    ip(rig, "addr add 2001:db8:5::1/128 dev lan0");
    ip(rig, "-6 route add 2001:db8:8::/48 via 2001:db8:1::2 src 2001:db8:5::1 proto 110");
    listen_routes(rig);
    ip(rig, "addr del 2001:db8:5::1/128 dev lan0");
    assert_int_equal(listen_routes(rig), 0);
    assert_shown(rig, AF_INET6,
            "2001:db8:8:", "2001:db8:8::/48 via 2001:db8:1::2 dev wan0 proto 110 metric 1024\n");
}

static void assert_refused(struct rig *rig, const char *dst, const char *via, uint32_t ifindex,
        int error, const char *words)
{
    nsh_autofree struct nsh_route_props *props = calloc(1, nsh_route_props_size(1));
    struct nsh_prefix p;
    struct nsh_route r = {.table = 254, .protocol = 4, .props = props};
    const char *why;

    assert_int_equal(nsh_prefix_parse(dst, &p), NSH_PREFIX_OK);
    r.dst = p.addr;
    r.dst_length = p.length;
    r.family = p.family;
    props->type = RTN_UNICAST;
    props->n_nexthops = 1;
    props->nexthops[0] = (struct nsh_nexthop){.ifindex = ifindex, .weight = 1, .link = NSH_NO_LINK};
    if (via)
        assert_true(nsh_addr_parse(via, &props->nexthops[0].via_family, &props->nexthops[0].via));
    assert_int_equal(nsh_fib_fake_route_add(rig->k, &r, NLM_F_CREATE | NLM_F_EXCL, 1, &why), error);
    assert_string_equal(why, words);
}

static void test_refusals(void **state)
{
    struct rig *rig = *state;
    uint32_t down = (uint32_t)nsh_fib_fake_link_add(rig->k, "down0", false);
    uint32_t wan = nsh_fib_fake_link_index(rig->k, "wan0");

    assert_refused(rig, "10.9.0.0/16", "10.77.0.1", 0, -ENETUNREACH, "Nexthop has invalid gateway");
    assert_refused(
            rig, "10.9.0.0/16", "192.168.1.2", wan, -ENETUNREACH, "Nexthop has invalid gateway");
    assert_refused(rig, "10.9.0.0/16", NULL, down, -ENETDOWN, "Device for nexthop is not up");
    assert_refused(rig, "10.9.0.0/16", NULL, 99, -ENODEV, "");
    assert_refused(rig, "2001:db8:9::/48", "2001:db8:77::1", 0, -EHOSTUNREACH, "");
    assert_refused(rig, "2001:db8:9::/48", "2001:db8:1::1", 0, -EINVAL,
            "Gateway can not be a local address");
    assert_refused(rig, "2001:db8:9::/48", "fe80::1", 0, -EINVAL, "Egress device not specified");
    assert_refused(rig, "2001:db8:9::/48", NULL, down, -ENETDOWN, "Nexthop device is not up");
    /* A gateway behind a gateway is none. */
    ip(rig, "route add default via 203.0.113.1");
    assert_refused(rig, "10.9.0.0/16", "10.77.0.1", 0, -ENETUNREACH, "Nexthop has invalid gateway");
    ip(rig, "route add 10.77.0.1 dev lan0");
    ip(rig, "route add 10.9.0.0/16 via 10.77.0.1");
    assert_shown(rig, AF_INET, "10.9.", "10.9.0.0/16 via 10.77.0.1 dev lan0\n");
}

static void test_overrun(void **state)
{
    struct rig *rig = *state;
    struct pollfd ready = {.fd = rig->fd, .events = POLLIN};

    assert_int_equal(poll(&ready, 1, 0), 0);
    nsh_fib_fake_set_queue(rig->k, 1);
    ip(rig, "link add a0");
    ip(rig, "link add b0");
    assert_int_equal(poll(&ready, 1, 0), 1);
    assert_int_equal(rig->fib->ops->events_read(rig->fib, hear, rig), 2);
    assert_int_equal(rig->heard[0].type, NSH_FIB_OVERRUN);
    assert_int_equal(rig->heard[1].type, NSH_FIB_LINK);
    assert_int_equal(poll(&ready, 1, 0), 0);
}

static int count_route(void *userdata, const struct nsh_route *route)
{
    size_t *n = userdata;

    (void)route;
    ++*n;
    return 0;
}

static size_t dumped(struct nsh_fib *fib, const struct nsh_fib_filter *filter)
{
    size_t n = 0;
    int rc;

    assert_int_equal(fib->ops->dump_begin(fib, filter), 0);
    do
        rc = fib->ops->dump_read(fib, count_route, &n);
    while (rc == 1);
    assert_int_equal(rc, 0);
    return n;
}

static void note_failure(void *userdata, size_t op, int error, const char *why)
{
    (void)op;
    assert_string_equal(why, "");
    *(int *)userdata = error;
}

static bool is_delete(void *userdata, const struct nsh_fib_op *op)
{
    (void)userdata;
    return op->verb == NSH_FIB_DELETE;
}

static void test_contract(void **state)
{
    struct rig *rig = *state;
    nsh_autofree struct nsh_route_props *props = calloc(1, nsh_route_props_size(1));
    struct nsh_link link = {.name = "wan0", .ifindex = nsh_fib_fake_link_index(rig->k, "wan0")};
    struct nsh_fib_op op = {.verb = NSH_FIB_ADD};
    struct nsh_fib_filter ours = {.protocol = OURS};
    int error = 0;

    op.route = (struct nsh_route){
            .family = AF_INET, .dst_length = 8, .table = 254, .protocol = OURS, .props = props};
    op.route.dst.bytes[0] = 10;
    props->type = RTN_UNICAST;
    props->scope = RT_SCOPE_LINK;
    props->n_nexthops = 1;
    props->nexthops[0].weight = 1;
    assert_int_equal(rig->fib->ops->submit(rig->fib, &link, &op, 1, note_failure, &error), 0);
    assert_int_equal(error, 0);
    assert_shown(rig, AF_INET, "10.", "10.0.0.0/8 dev wan0 proto 110 scope 253\n");
    assert_int_equal(listen_routes(rig), 0); /* our own doing */
    assert_int_equal(dumped(rig->fib, &ours), 1);
    assert_true(dumped(rig->fib, &(struct nsh_fib_filter){0}) > 3);
    rig->fib->ops->submit(rig->fib, &link, &op, 1, note_failure, &error);
    assert_int_equal(error, -EEXIST);
    op.verb = NSH_FIB_DELETE;
    nsh_fib_fake_fail_if(rig->k, is_delete, NULL, EPERM);
    rig->fib->ops->submit(rig->fib, &link, &op, 1, note_failure, &error);
    assert_int_equal(error, -EPERM);
    nsh_fib_fake_fail_if(rig->k, NULL, NULL, 0);
    nsh_fib_fake_fail(rig->k, NSH_FIB_FAKE_SUBMIT, 2, ENOBUFS);
    error = 0;
    assert_int_equal(rig->fib->ops->submit(rig->fib, &link, &op, 1, note_failure, &error), 0);
    assert_int_equal(error, 0);
    assert_int_equal(
            rig->fib->ops->submit(rig->fib, &link, &op, 1, note_failure, &error), -ENOBUFS);
    assert_int_equal(nsh_fib_fake_counts(rig->k)->writes, 2);
}

static void test_lookup(void **state)
{
    struct rig *rig = *state;
    struct nsh_fib_path path;
    union nsh_addr to;
    uint8_t family;

    assert_true(nsh_addr_parse("198.51.100.1", &family, &to));
    assert_int_equal(rig->fib->ops->lookup(rig->fib, family, &to, 0, NULL, &path), -ENETUNREACH);
    ip(rig, "route add default via 203.0.113.1");
    assert_int_equal(rig->fib->ops->lookup(rig->fib, family, &to, 0, NULL, &path), 0);
    assert_int_equal(path.ifindex, nsh_fib_fake_link_index(rig->k, "wan0"));
    assert_false(path.on_link);
    ip(rig, "route add unreachable 198.51.100.0/24");
    assert_int_equal(rig->fib->ops->lookup(rig->fib, family, &to, 0, NULL, &path), -EHOSTUNREACH);
}

static void test_forwarding(void **state)
{
    struct rig *rig = *state;
    int value = -1;

    ip(rig, "-6 route add default via fe80::1 dev wan0 proto 9");
    rig->n_heard = 0;
    rig->fib->ops->events_read(rig->fib, hear, rig);
    nsh_fib_fake_sysctl_set(rig->k, "net/ipv4/ip_forward", 0); /* as it was: no event */
    nsh_fib_fake_sysctl_set(rig->k, "net/ipv4/ip_forward", 1);
    rig->n_heard = 0;
    assert_int_equal(rig->fib->ops->events_read(rig->fib, hear, rig), 1);
    assert_int_equal(rig->heard[0].type, NSH_FIB_FORWARDING);
    /* With accept_ra=2 the learned route stays. */
    rig->fib->ops->sysctl_set(rig->fib, "net/ipv6/conf/wan0/accept_ra", 2);
    rig->fib->ops->sysctl_set(rig->fib, "net/ipv6/conf/all/forwarding", 1);
    assert_shown(rig, AF_INET6, "default", "default via fe80::1 dev wan0 proto 9 metric 1024\n");
    nsh_fib_fake_sysctl_get(rig->k, "net/ipv6/conf/lan0/forwarding", &value);
    assert_int_equal(value, 1);
    rig->fib->ops->sysctl_set(rig->fib, "net/ipv6/conf/all/forwarding", 0);
    rig->fib->ops->sysctl_set(rig->fib, "net/ipv6/conf/wan0/accept_ra", 1);
    rig->fib->ops->sysctl_set(rig->fib, "net/ipv6/conf/all/forwarding", 1);
    assert_shown(rig, AF_INET6, "default", "");
    ip(rig, "link set wan0 name up0");
    assert_int_equal(rig->fib->ops->sysctl_get(rig->fib, "net/ipv6/conf/up0/accept_ra", &value), 0);
    assert_int_equal(
            rig->fib->ops->sysctl_get(rig->fib, "net/ipv6/conf/wan0/accept_ra", &value), -ENOENT);
}

#define FIB_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
            FIB_TEST(test_connected_routes),
            FIB_TEST(test_aliases),
            FIB_TEST(test_events_v4),
            FIB_TEST(test_silent_removals),
            FIB_TEST(test_weights_v6),
            FIB_TEST(test_multipath_v6),
            FIB_TEST(test_source_v6),
            FIB_TEST(test_refusals),
            FIB_TEST(test_overrun),
            FIB_TEST(test_contract),
            FIB_TEST(test_lookup),
            FIB_TEST(test_forwarding),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
