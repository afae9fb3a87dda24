/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Events: what is told, what is not, and what happens when there is too much of it.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "fib-world.h"

#define WAIT_MS 20000

/* ---- events ---- */

struct log {
    size_t n;
    struct nsh_fib_event events[64];
};

/* The kernel's own routes come a little after a link is up: now or in the midst of a test. */
static bool is_kernels(const struct nsh_fib_event *event)
{
    return (event->type == NSH_FIB_ROUTE_NEW || event->type == NSH_FIB_ROUTE_GONE) &&
           event->route.protocol == RTPROT_KERNEL;
}

static void log_event(void *userdata, const struct nsh_fib_event *event)
{
    struct log *l = userdata;

    if (!is_kernels(event) && l->n < NSH_ARRAY_SIZE(l->events))
        l->events[l->n++] = *event;
}

static void read_events(struct world *w, struct log *l)
{
    int r;

    l->n = 0;
    do
        r = w->fib->ops->events_read(w->fib, log_event, l);
    while (r > 0);
    assert_int_equal(r, 0);
}

static const struct nsh_fib_event *find_event(
        const struct log *l, enum nsh_fib_event_type type, uint32_t ifindex, bool gone)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->events[i].type == type && l->events[i].ifindex == ifindex &&
                l->events[i].gone == gone)
            return &l->events[i];
    return NULL;
}

/* Until the link is told to be so; a change of carrier may be told before, as it pleases. */
static void wait_for_link(struct world *w, int fd, uint32_t ifindex, const char *name, bool up)
{
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        struct log l;

        assert_int_equal(poll(&p, 1, WAIT_MS), 1);
        read_events(w, &l);
        for (size_t i = 0; i < l.n; i++)
            if (l.events[i].type == NSH_FIB_LINK && l.events[i].ifindex == ifindex &&
                    l.events[i].up == up && !l.events[i].gone &&
                    strcmp(l.events[i].name, name) == 0)
                return;
    }
}

/* For what the kernel tells a little later. */
static void wait_for(struct world *w, int fd, struct log *l, enum nsh_fib_event_type type,
        uint32_t ifindex, bool gone)
{
    do {
        struct pollfd p = {.fd = fd, .events = POLLIN};

        assert_int_equal(poll(&p, 1, WAIT_MS), 1);
        read_events(w, l);
    } while (!find_event(l, type, ifindex, gone));
}

static size_t count_events(const struct log *l, enum nsh_fib_event_type type)
{
    size_t n = 0;

    for (size_t i = 0; i < l->n; i++)
        n += l->events[i].type == type;
    return n;
}

static int open_events(struct world *w)
{
    struct log l;
    int fd = w->fib->ops->events_open(w->fib, OURS);

    assert_true(fd >= 0);
    read_events(w, &l);
    return fd;
}

static size_t count_route_events(const struct log *l)
{
    return count_events(l, NSH_FIB_ROUTE_NEW) + count_events(l, NSH_FIB_ROUTE_GONE);
}

/* One route event of the command, and nothing else about routes. */
static const struct nsh_fib_event *expect_route_event(
        struct world *w, struct log *l, enum nsh_fib_event_type type, const char *text)
{
    world_command("%s", text);
    read_events(w, l);
    assert_int_equal(count_route_events(l), 1);
    for (size_t i = 0; i < l->n; i++)
        if (l->events[i].type == type)
            return &l->events[i];
    fail_msg("no such event: %s", text);
    return NULL;
}

static void expect_no_route_event(struct world *w, const char *text)
{
    struct log l;

    world_command("%s", text);
    read_events(w, &l);
    assert_int_equal(count_events(&l, NSH_FIB_ROUTE_NEW) + count_events(&l, NSH_FIB_ROUTE_GONE), 0);
}

static void test_route_events(void **state)
{
    struct world *w = *state;
    struct spec v4 = {"10.1.0.0/16", .hops = {{.via = "192.0.2.9", .link = V0 + 1}}};
    struct spec v6 = {"2001:db8:9::/48", .hops = {{.via = "fe80::1", .link = V0 + 1}}};
    const struct nsh_fib_event *e;
    struct log l;

    open_events(w);
    world_expect_written(world_submit_spec(w, NSH_FIB_ADD, &v4));
    world_expect_written(world_submit_spec(w, NSH_FIB_ADD, &v6));
    world_expect_written(world_submit_spec(w, NSH_FIB_REPLACE, &v6));
    world_expect_written(world_submit_spec(w, NSH_FIB_DELETE, &v6));
    world_expect_written(world_submit_spec(w, NSH_FIB_ADD, &v6));
    read_events(w, &l);
    assert_int_equal(count_route_events(&l), 0);

    e = expect_route_event(w, &l, NSH_FIB_ROUTE_GONE, "ip route del 10.1.0.0/16");
    assert_int_equal(e->family, AF_INET);
    assert_int_equal(e->route.protocol, OURS);
    assert_int_equal(e->route.dst_length, 16);
    assert_int_equal(e->route.dst.bytes[0], 10);
    assert_true(e->sender != 0);

    world_expect_written(world_submit_spec(w, NSH_FIB_ADD, &v4));
    e = expect_route_event(
            w, &l, NSH_FIB_ROUTE_NEW, "ip route replace 10.1.0.0/16 via 192.0.2.8 proto 4");
    assert_int_equal(e->route.protocol, FOREIGN);
    assert_int_equal(e->route_flags & NLM_F_REPLACE, NLM_F_REPLACE);
    assert_int_equal(e->route_flags & NLM_F_EXCL, 0);
    world_expect_written(world_submit_spec(w, NSH_FIB_REPLACE, &v4));
    expect_route_event(
            w, &l, NSH_FIB_ROUTE_NEW, "ip route prepend 10.1.0.0/16 via 192.0.2.8 proto 4");
    expect_route_event(
            w, &l, NSH_FIB_ROUTE_NEW, "ip route append 10.1.0.0/16 via 192.0.2.7 proto 4");

    e = expect_route_event(
            w, &l, NSH_FIB_ROUTE_NEW, "ip route append 2001:db8:9::/48 via fe80::2 dev v1 proto 4");
    assert_int_equal(e->route.props->n_nexthops, 2);
    e = expect_route_event(
            w, &l, NSH_FIB_ROUTE_GONE, "ip route del 2001:db8:9::/48 proto 110 dev v0 via fe80::1");
    assert_int_equal(e->route.protocol, OURS);
    world_expect_written(world_submit_spec(w, NSH_FIB_ADD,
            &(struct spec){"2001:db8:8::/48", .hops = {{.via = "fe80::1", .link = V0 + 1}}}));
    IP("route append 2001:db8:8::/48 via fe80::2 dev v1 proto 4");
    read_events(w, &l);
    /* A foreign deletion, by its own protocol, that takes ours with it. */
    e = expect_route_event(w, &l, NSH_FIB_ROUTE_GONE, "ip route del 2001:db8:8::/48 proto 4");
    assert_int_equal(e->route.protocol, FOREIGN);
    assert_int_equal(world_count(w, (struct nsh_fib_filter){AF_INET6, OURS, 0}), 0);
}

/* Foreign routes wake nobody, unless they are asked for. */
static void test_foreign_events(void **state)
{
    struct world *w = *state;
    const struct nsh_fib_event *e;
    struct log l;

    open_events(w);
    expect_no_route_event(w, "ip route add 10.5.0.0/16 via 192.0.2.9 proto 4");
    expect_no_route_event(w, "ip route del 10.5.0.0/16");
    expect_no_route_event(w, "ip route replace 10.5.0.0/16 via 192.0.2.9 proto 4");
    expect_no_route_event(w, "ip route del 10.5.0.0/16");
    expect_no_route_event(w, "ip route add 2001:db8:7::/64 via fe80::1 dev v0 proto 4");
    expect_no_route_event(w, "ip route del 2001:db8:7::/64");
    assert_int_equal(w->fib->ops->events_foreign(w->fib, NSH_FIB_FOREIGN_ALL), 0);
    e = expect_route_event(
            w, &l, NSH_FIB_ROUTE_NEW, "ip route add 10.5.0.0/16 via 192.0.2.9 proto 4");
    assert_int_equal(e->route.protocol, FOREIGN);
    assert_int_equal(e->route_flags, NLM_F_CREATE | NLM_F_EXCL);
    world_expect_written(world_submit_spec(w, NSH_FIB_ADD,
            &(struct spec){"10.6.0.0/16", .hops = {{.via = "192.0.2.9", .link = V0 + 1}}}));
    expect_route_event(w, &l, NSH_FIB_ROUTE_GONE, "ip route del 10.5.0.0/16");
    assert_int_equal(w->fib->ops->events_foreign(w->fib, NSH_FIB_FOREIGN_NONE), 0);
    expect_no_route_event(w, "ip route add 10.5.0.0/16 via 192.0.2.9 proto 4");
    expect_route_event(
            w, &l, NSH_FIB_ROUTE_NEW, "ip route add 10.7.0.0/16 via 192.0.2.9 proto 110");
}

/* Default routes alone, that come or go. */
static void test_foreign_defaults(void **state)
{
    struct world *w = *state;
    const struct nsh_fib_event *e;
    struct log l;

    open_events(w);
    expect_no_route_event(w, "ip route add default via 192.0.2.9 proto 16");
    expect_no_route_event(w, "ip route del default");
    assert_int_equal(w->fib->ops->events_foreign(w->fib, NSH_FIB_FOREIGN_DEFAULTS), 0);
    e = expect_route_event(w, &l, NSH_FIB_ROUTE_NEW, "ip route add default via 192.0.2.9 proto 16");
    assert_int_equal(e->route.dst_length, 0);
    assert_int_equal(e->route.protocol, 16);
    assert_int_equal(e->route_flags & NLM_F_REPLACE, 0);
    e = expect_route_event(
            w, &l, NSH_FIB_ROUTE_NEW, "ip route replace default via 192.0.2.8 proto 16");
    assert_int_equal(e->route_flags & NLM_F_REPLACE, NLM_F_REPLACE);
    expect_route_event(w, &l, NSH_FIB_ROUTE_GONE, "ip route del default");
    expect_route_event(
            w, &l, NSH_FIB_ROUTE_NEW, "ip route add default via fe80::1 dev v0 proto 9 table 1000");
    expect_route_event(w, &l, NSH_FIB_ROUTE_GONE, "ip -6 route del default table 1000");
    expect_no_route_event(w, "ip route add 10.5.0.0/16 via 192.0.2.9 proto 4");
    expect_no_route_event(w, "ip route del 10.5.0.0/16");
    expect_no_route_event(w, "ip route add 2001:db8:7::/64 via fe80::1 dev v0 proto 4");
    expect_no_route_event(w, "ip route del 2001:db8:7::/64");
    /* Ours pass as ever, and so do foreign ones that join others. */
    expect_route_event(
            w, &l, NSH_FIB_ROUTE_NEW, "ip route add 10.7.0.0/16 via 192.0.2.9 proto 110");
    expect_route_event(
            w, &l, NSH_FIB_ROUTE_NEW, "ip route replace 10.7.0.0/16 via 192.0.2.8 proto 4");
    expect_route_event(
            w, &l, NSH_FIB_ROUTE_NEW, "ip route add 2001:db8:9::/48 via fe80::1 dev v0 proto 110");
    expect_route_event(
            w, &l, NSH_FIB_ROUTE_NEW, "ip route append 2001:db8:9::/48 via fe80::2 dev v1 proto 4");
    expect_route_event(w, &l, NSH_FIB_ROUTE_GONE, "ip route del 2001:db8:9::/48 proto 4");
}

/* What removes a route without a word shows as a link or an address. */
static void test_link_events(void **state)
{
    struct world *w = *state;
    uint32_t v0 = w->links[V0].ifindex, v1 = w->links[V1].ifindex, v2 = w->links[V2].ifindex;
    int fd = open_events(w);
    struct log l;

    IP("link set v0 down");
    wait_for_link(w, fd, v0, "v0", false);
    IP("link set v0 up");
    wait_for_link(w, fd, v0, "v0", true);

    IP("addr del 192.0.2.1/24 dev v0");
    wait_for(w, fd, &l, NSH_FIB_ADDRESS, v0, true);
    assert_int_equal(find_event(&l, NSH_FIB_ADDRESS, v0, true)->family, AF_INET);
    IP("addr add 2001:db8:3::1/64 dev v0 nodad");
    wait_for(w, fd, &l, NSH_FIB_ADDRESS, v0, false);
    assert_int_equal(find_event(&l, NSH_FIB_ADDRESS, v0, false)->family, AF_INET6);

    IP("link set v1 down"); /* before 6.2 one that is up keeps its name */
    IP("link set v1 name other");
    IP("link set other up");
    wait_for_link(w, fd, v1, "other", true);
    IP("link del v2");
    wait_for(w, fd, &l, NSH_FIB_LINK, v2, true);
    IP("link add v2 type veth peer name p2");
    read_events(w, &l);
    assert_true(count_events(&l, NSH_FIB_LINK) >= 1);
}

/* A port that leaves its bridge is not deleted. */
static void test_bridge_events(void **state)
{
    struct world *w = *state;
    uint32_t v0 = w->links[V0].ifindex;
    struct log l;

    IP("link add br0 type bridge");
    open_events(w);
    IP("link set v0 master br0");
    IP("link set v0 nomaster");
    read_events(w, &l);
    assert_non_null(find_event(&l, NSH_FIB_LINK, v0, false));
    assert_null(find_event(&l, NSH_FIB_LINK, v0, true));
}

static uint8_t forwarding_family(const struct log *l)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->events[i].type == NSH_FIB_FORWARDING)
            return l->events[i].family;
    return AF_UNSPEC;
}

static void test_forwarding_events(void **state)
{
    static const char *const keys[] = {"net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"};
    struct world *w = *state;
    const struct nsh_fib_ops *ops = w->fib->ops;
    struct log l;

    open_events(w);
    for (size_t i = 0; i < 2; i++) {
        char path[64];

        snprintf(path, sizeof(path), "/proc/sys/%s", keys[i]);
        world_write_sysctl(path, "1");
        read_events(w, &l);
        assert_int_equal(count_events(&l, NSH_FIB_FORWARDING), 1);
        assert_int_equal(forwarding_family(&l), i == 0 ? AF_INET : AF_INET6);
        world_write_sysctl(path, "0");
        read_events(w, &l);
        assert_int_equal(count_events(&l, NSH_FIB_FORWARDING), 1);
        assert_int_equal(ops->sysctl_set(w->fib, keys[i], 1), 0);
        read_events(w, &l);
        assert_int_equal(count_events(&l, NSH_FIB_FORWARDING), 0);
        world_write_sysctl(path, "0");
        read_events(w, &l);
        assert_int_equal(count_events(&l, NSH_FIB_FORWARDING), 1);
    }
    world_write_sysctl("/proc/sys/net/ipv4/conf/v0/forwarding", "1");
    world_write_sysctl("/proc/sys/net/ipv4/conf/v0/rp_filter", "1");
    read_events(w, &l);
    assert_int_equal(count_events(&l, NSH_FIB_FORWARDING), 0);
}

static void test_overrun(void **state)
{
    struct world *w = *state;
    struct log l;

    open_events(w);
    assert_int_equal(nsh_fibnl_test_events_buffer(w->fib, 8192), 0);
    world_command(
            "for i in 1 2 3 4 5 6 7 8 9; do for j in 1 2 3 4 5 6 7 8 9; do "
            "echo \"route add 10.$i.$j.0/24 via 192.0.2.9 proto 110\"; done; done | ip -batch -");
    read_events(w, &l);
    assert_int_equal(count_events(&l, NSH_FIB_OVERRUN), 1);
    assert_true(count_events(&l, NSH_FIB_ROUTE_NEW) >= 1);
    /* And goes on. */
    expect_route_event(
            w, &l, NSH_FIB_ROUTE_NEW, "ip route add 10.77.0.0/16 via 192.0.2.9 proto 110");

    /* What is dropped by the filter takes no room. */
    world_command("seq 0 999 | awk '{printf \"route add 10.%%d.%%d.0/24 via 192.0.2.9 proto 4\\n\","
                  " 100 + $1 / 256, $1 %% 256}' | ip -batch -");
    read_events(w, &l);
    assert_int_equal(count_events(&l, NSH_FIB_OVERRUN) + count_route_events(&l), 0);
}

/* What did not fit is as lost as what there was no room for: a comparison follows. */
static void test_truncated(void **state)
{
    struct world *w = *state;
    struct nsh_fibnl_channel *channel;
    struct log l;
    size_t size;

    open_events(w);
    channel = &nsh_fibnl_of(w->fib)->events;
    size = channel->rx_size;
    channel->rx_size = NLMSG_HDRLEN;
    IP("route add 10.1.0.0/16 via 192.0.2.9 proto 110");
    read_events(w, &l);
    channel->rx_size = size;
    assert_int_equal(count_events(&l, NSH_FIB_OVERRUN), 1);
    assert_int_equal(count_events(&l, NSH_FIB_ROUTE_NEW), 0);
    expect_route_event(
            w, &l, NSH_FIB_ROUTE_NEW, "ip route add 10.2.0.0/16 via 192.0.2.9 proto 110");
}

static void tally_new(void *userdata, const struct nsh_fib_event *event)
{
    size_t *n = userdata;

    *n += event->type == NSH_FIB_ROUTE_NEW && !is_kernels(event);
}

static void tally_overruns(void *userdata, const struct nsh_fib_event *event)
{
    struct log *l = userdata;

    l->n += event->type == NSH_FIB_OVERRUN;
}

/* Bounded, with the rest left for the next call. */
static void test_events_bounded(void **state)
{
    struct world *w = *state;
    size_t n = 0;

    open_events(w);
    world_command(
            "seq 0 1499 | awk '{printf \"route add 10.%%d.%%d.0/24 via 192.0.2.9 proto 110\\n\","
            " $1 / 256, $1 %% 256}' | ip -batch -");
    assert_int_equal(w->fib->ops->events_read(w->fib, tally_new, &n), 1024);
    assert_true(n <= 1024);
    assert_true(w->fib->ops->events_read(w->fib, tally_new, &n) >= 476);
    assert_int_equal(n, 1500);
}

/* Between the loss and the end of what is queued nothing is heard; what is done then is told of. */
static void test_overrun_goes_on(void **state)
{
    struct world *w = *state;
    struct log l = {0};

    open_events(w);
    world_command("seq 0 19999 | awk '{printf \"route add 10.%%d.%%d.0/24 via 192.0.2.9 proto "
                  "110\\n\", $1 / 256, $1 %% 256}' | ip -batch -");
    assert_int_equal(w->fib->ops->events_read(w->fib, tally_overruns, &l), 1024);
    assert_int_equal(l.n, 1);
    IP("route add 10.200.0.0/16 via 192.0.2.9 proto 110");
    while (w->fib->ops->events_read(w->fib, tally_overruns, &l) == 1024)
        l.n = 0;
    assert_int_equal(l.n, 1);
    expect_route_event(
            w, &l, NSH_FIB_ROUTE_NEW, "ip route add 10.201.0.0/16 via 192.0.2.9 proto 110");
}

static void act_in_callback(void *userdata, const struct nsh_fib_event *event)
{
    struct world *w = userdata;
    struct nsh_fib_op op = {.verb = NSH_FIB_REPLACE, .route = event->route};
    struct nsh_fib_filter ours = {.protocol = OURS};
    uint32_t ifindex;
    size_t n = 0;

    if (event->type != NSH_FIB_ROUTE_GONE)
        return;
    assert_int_equal(w->fib->ops->link_index(w->fib, "v0", &ifindex), 0);
    assert_int_equal(nsh_fib_dump(w->fib, &ours, world_tally, &n), 0);
    assert_int_equal(w->fib->ops->submit(w->fib, NULL, &op, 1, NULL, NULL), 0);
}

/* What an event tells stays whole while the callback uses the fib; here it puts it back. */
static void test_act_on_event(void **state)
{
    struct world *w = *state;

    IP("route add 10.1.0.0/16 via 192.0.2.9 proto 110");
    IP("route add 10.2.0.0/16 via 192.0.2.8 proto 110");
    open_events(w);
    IP("route flush proto 110");
    assert_true(w->fib->ops->events_read(w->fib, act_in_callback, w) >= 2);
    world_command("ip route show 10.1.0.0/16 proto 110 | grep -q 'via 192.0.2.9 dev v0'");
    world_command("ip route show 10.2.0.0/16 proto 110 | grep -q 'via 192.0.2.8 dev v0'");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            TEST(test_route_events),
            TEST(test_foreign_events),
            TEST(test_foreign_defaults),
            TEST(test_link_events),
            TEST(test_bridge_events),
            TEST(test_forwarding_events),
            TEST(test_overrun),
            TEST(test_truncated),
            TEST(test_events_bounded),
            TEST(test_overrun_goes_on),
            TEST(test_act_on_event),
    };

    return world_run(tests, NSH_ARRAY_SIZE(tests));
}
