/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Batches, dumps, and questions to the kernel.
 */
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fib-world.h"

/* ---- batches ---- */

#define BATCH 1000

struct batch_check {
    size_t next; /* smallest operation not yet told of */
    size_t n;
};

static void check_batch_failure(void *userdata, size_t op, int error, const char *why)
{
    struct batch_check *c = userdata;

    assert_true(op >= c->next && op < BATCH);
    c->next = op + 1;
    c->n++;
    assert_int_equal(op % 7, 0);
    switch (op % 3) {
    case 0:
        assert_int_equal(error, -EEXIST);
        assert_string_equal(why, "");
        break;
    case 1:
        assert_int_equal(error, -ENETUNREACH);
        assert_string_equal(why, "Nexthop has invalid gateway");
        break;
    default:
        assert_int_equal(error, -ENODEV);
        assert_string_equal(why, "");
        break;
    }
}

/* Every 7th fails: there already, a gateway out of reach, a device that is not there. */
static struct nsh_fib_op batch_op(size_t i, const struct nsh_route good[3])
{
    struct nsh_fib_op op = {.verb = NSH_FIB_ADD, .route = good[0]};

    op.route.dst.bytes[0] = 10;
    op.route.dst.bytes[1] = (uint8_t)(i / 256);
    op.route.dst.bytes[2] = (uint8_t)i;
    op.route.dst_length = 24;
    if (i % 7 == 0 && i % 3 == 0) {
        op.route.dst = (union nsh_addr){.bytes = {192, 0, 2, 0}};
        op.route.metric = 0;
    } else if (i % 7 == 0) {
        op.route.props = good[i % 3].props;
    }
    return op;
}

static void test_batch(void **state)
{
    struct world *w = *state;
    static const struct spec specs[3] = {
            {"10.0.0.0/24", .metric = 9, .hops = {{.via = "192.0.2.9", .link = V0 + 1}}},
            {"10.0.0.0/24", .metric = 9, .hops = {{.via = "172.31.0.9", .link = V0 + 1}}},
            {"10.0.0.0/24", .metric = 9, .hops = {{.via = "192.0.2.9", .link = ABSENT + 1}}},
    };
    struct nsh_route_props *props[3];
    struct nsh_route good[3];
    nsh_autofree struct nsh_fib_op *ops = calloc(BATCH, sizeof(*ops));
    struct batch_check check = {0};
    size_t expected = 0;

    assert_non_null(ops);
    for (size_t i = 0; i < 3; i++)
        good[i] = world_make(&specs[i], &props[i]);
    for (size_t i = 0; i < BATCH; i++) {
        ops[i] = batch_op(i, good);
        expected += i % 7 == 0;
    }
    assert_int_equal(
            w->fib->ops->submit(w->fib, w->links, ops, BATCH, check_batch_failure, &check), 0);
    assert_int_equal(check.n, expected);
    world_command("test $(ip route show proto 110 | wc -l) = %zu", BATCH - expected);
    for (size_t i = 0; i < 3; i++)
        free(props[i]);
}

static size_t count_standing(
        const struct world *w, const struct seen *s, const struct nsh_route *route)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n; i++)
        n += nsh_route_id_cmp(route, &s->routes[i]) == 0 &&
             route->protocol == s->routes[i].protocol &&
             nsh_route_equal(route, &s->routes[i], w->links);
    return n;
}

/* Each is like the one before but for one thing, and none is taken for the other. */
static void test_batch_of_nearly_alike(void **state)
{
    struct world *w = *state;
    static const struct spec one = {"10.0.0.0/24", .hops = {{.via = "192.0.2.9", .link = V0 + 1}}};
    static const struct spec two = {
            "10.0.0.0/24", .type = RTN_BLACKHOLE, .scope = RT_SCOPE_UNIVERSE};
    struct nsh_route_props *props[2];
    struct nsh_route r = world_make(&one, &props[0]), other = world_make(&two, &props[1]);
    struct nsh_fib_op ops[9];
    struct seen seen = {0};
    size_t n = 0, failures = 0;

    ops[n++] = (struct nsh_fib_op){NSH_FIB_ADD, r};
    r.dst.bytes[1] = 1;
    ops[n++] = (struct nsh_fib_op){NSH_FIB_ADD, r};
    r.metric = 7;
    ops[n++] = (struct nsh_fib_op){NSH_FIB_ADD, r};
    r.tos = 4;
    ops[n++] = (struct nsh_fib_op){NSH_FIB_ADD, r};
    r.table = 1000;
    ops[n++] = (struct nsh_fib_op){NSH_FIB_ADD, r};
    r.dst_length = 25;
    ops[n++] = (struct nsh_fib_op){NSH_FIB_ADD, r};
    r.dst.bytes[1] = 2;
    r.protocol = OURS + 1;
    ops[n++] = (struct nsh_fib_op){NSH_FIB_ADD, r};
    r.dst.bytes[1] = 3;
    r.props = other.props;
    ops[n++] = (struct nsh_fib_op){NSH_FIB_ADD, r};
    ops[n++] = (struct nsh_fib_op){NSH_FIB_DELETE, r};
    assert_int_equal(
            w->fib->ops->submit(w->fib, w->links, ops, n, world_count_failure, &failures), 0);
    assert_int_equal(failures, 0);
    world_dump(w, (struct nsh_fib_filter){.family = AF_INET}, &seen);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(count_standing(w, &seen, &ops[i].route), i < n - 2);
    world_forget(&seen);
    free(props[0]);
    free(props[1]);
}

/* The largest messages there are, and each of them fails: the answers fit. */
static void test_batch_all_fail(void **state)
{
    struct world *w = *state;
    nsh_autofree struct nsh_route_props *props = calloc(1, nsh_route_props_size(NSH_NEXTHOPS_MAX));
    nsh_autofree struct nsh_fib_op *ops = calloc(BATCH, sizeof(*ops));
    size_t n = 0;

    assert_non_null(props);
    assert_non_null(ops);
    props->type = RTN_UNICAST;
    props->n_nexthops = NSH_NEXTHOPS_MAX;
    for (unsigned i = 1; i <= RTAX_MAX; i++) {
        props->metrics_set |= 1U << i;
        props->metrics[i] = 1;
    }
    for (size_t i = 0; i < NSH_NEXTHOPS_MAX; i++)
        props->nexthops[i] = (struct nsh_nexthop){
                .via = {.bytes = {172, 31, 0, 9}}, .via_family = AF_INET, .link = V0, .weight = 1};
    for (size_t i = 0; i < BATCH; i++)
        ops[i] = (struct nsh_fib_op){.verb = NSH_FIB_REPLACE,
                .route = {.dst.bytes = {10, 1, (uint8_t)(i / 256), (uint8_t)i},
                        .dst_length = 32,
                        .family = AF_INET,
                        .table = RT_TABLE_MAIN,
                        .protocol = OURS,
                        .props = props}};
    assert_int_equal(w->fib->ops->submit(w->fib, w->links, ops, BATCH, world_count_failure, &n), 0);
    assert_int_equal(n, BATCH);
}

static void test_failures(void **state)
{
    struct world *w = *state;
    struct spec gateway = {"10.1.0.0/16", .hops = {{.via = "172.31.0.9", .link = GATEWAY + 1}}};
    struct spec absent = {"10.1.0.0/16", .hops = {{.via = "192.0.2.9", .link = ABSENT + 1}}};
    struct spec source = {
            "10.1.0.0/16", .source = "172.31.0.1", .hops = {{.via = "192.0.2.9", .link = V0 + 1}}};
    struct spec v6_gateway = {"2001:db8:9::/48", .hops = {{.via = "fe80::1"}}};

    world_expect_failure(world_submit_spec(w, NSH_FIB_ADD, &gateway), -ENETUNREACH,
            "Nexthop has invalid gateway");
    world_expect_failure(world_submit_spec(w, NSH_FIB_REPLACE, &absent), -ENODEV, "");
    world_expect_failure(world_submit_spec(w, NSH_FIB_DELETE, &absent), -ESRCH, "");
    world_expect_failure(
            world_submit_spec(w, NSH_FIB_ADD, &source), -EINVAL, "Invalid prefsrc address");
    assert_true(world_submit_spec(w, NSH_FIB_ADD, &v6_gateway).error < 0);
    IP("link set v0 down");
    absent.hops[0] = (struct hop){.link = V0 + 1, .flags = 0};
    absent.scope = RT_SCOPE_LINK;
    world_expect_failure(
            world_submit_spec(w, NSH_FIB_ADD, &absent), -ENETDOWN, "Device for nexthop is not up");
}

/* ---- dumps ---- */

static void test_filter(void **state)
{
    struct world *w = *state;

    IP("route add 10.1.0.0/16 via 192.0.2.9 proto 110");
    IP("route add 10.2.0.0/16 via 192.0.2.9 proto 110 table 1000");
    IP("route add 10.3.0.0/16 via 192.0.2.9 proto 4 table 1000");
    IP("route add 2001:db8:9::/48 via fe80::1 dev v0 proto 110 table 1000");
    for (int strict = 1; strict >= 0; strict--) {
        if (!strict)
            assert_int_equal(nsh_fibnl_test_dump_unfiltered(w->fib), 0);
        assert_int_equal(world_count(w, (struct nsh_fib_filter){.protocol = OURS}), 3);
        assert_int_equal(world_count(w, (struct nsh_fib_filter){.table = 1000}), 3);
        assert_int_equal(world_count(w, (struct nsh_fib_filter){AF_INET, OURS, 1000}), 1);
        assert_int_equal(world_count(w, (struct nsh_fib_filter){AF_INET6, OURS, 1000}), 1);
        assert_int_equal(world_count(w, (struct nsh_fib_filter){AF_INET6, OURS, RT_TABLE_MAIN}), 0);
        assert_int_equal(world_count(w, (struct nsh_fib_filter){AF_INET, 0, 777}), 0);
        assert_int_equal(world_count(w, (struct nsh_fib_filter){.table = 777}), 0);
        assert_int_equal(world_count(w, (struct nsh_fib_filter){AF_INET6, 0, 777}), 0);
        assert_true(world_count(w, (struct nsh_fib_filter){0}) > 15);
    }
}

static int stop_at(void *userdata, const struct nsh_route *r)
{
    size_t *left = userdata;

    (void)r;
    return --*left == 0 ? 42 : 0;
}

/* In pieces; given up and begun again; with other business in the callback. */
static void test_dump_pieces(void **state)
{
    struct world *w = *state;
    const struct nsh_fib_ops *ops = w->fib->ops;
    struct nsh_fib_filter ours = {.protocol = OURS};
    size_t n = 0, reads = 0, left = 3;
    int r;

    world_command(
            "seq 0 2999 | awk '{printf \"route add 10.%%d.%%d.0/24 via 192.0.2.9 proto 110\\n\","
            " $1 / 256, $1 %% 256}' | ip -batch -");
    IP("route add 2001:db8:9::/48 via fe80::1 dev v0 proto 110");
    assert_int_equal(ops->dump_read(w->fib, world_tally, &n), -EINVAL);
    assert_int_equal(nsh_fib_dump(w->fib, &ours, stop_at, &left), 42);
    assert_int_equal(ops->dump_begin(w->fib, &ours), 0);
    assert_int_equal(ops->dump_read(w->fib, world_tally, &n), 1);
    assert_true(n > 0 && n < 3001);
    n = 0;
    assert_int_equal(ops->dump_begin(w->fib, &ours), 0);
    do {
        r = ops->dump_read(w->fib, world_tally, &n);
        reads++;
    } while (r == 1);
    assert_int_equal(r, 0);
    assert_int_equal(n, 3001);
    assert_true(reads > 4);
}

static size_t tally(struct world *w, const struct nsh_fib_filter *filter)
{
    size_t n = 0;

    assert_int_equal(nsh_fib_dump(w->fib, filter, world_tally, &n), 0);
    return n;
}

/* So many that a thread reads ahead: whole, given up at any place, and whole again. */
static void test_long_dump(void **state)
{
    enum { MANY = 40000 };
    const struct nsh_fib_filter ours = {.protocol = OURS};
    static const unsigned places[] = {31, 32, 33, 50};
    struct world *w = *state;
    const struct nsh_fib_ops *ops = w->fib->ops;

    world_command("seq 0 39999 | awk '{printf \"route add blackhole 20.%%d.%%d.0/24 proto 110\\n\","
                  " $1 / 256, $1 %% 256}' | ip -batch -");
    IP("route add 2001:db8:9::/48 via fe80::1 dev v0 proto 110");
    assert_int_equal(tally(w, &ours), MANY + 1);
    for (size_t i = 0; i < NSH_ARRAY_SIZE(places); i++) {
        size_t n = 0;

        assert_int_equal(ops->dump_begin(w->fib, &ours), 0);
        for (unsigned reads = 0; reads < places[i]; reads++)
            assert_int_equal(ops->dump_read(w->fib, world_tally, &n), 1);
        assert_true(n > 0 && n < MANY);
        assert_int_equal(tally(w, &ours), MANY + 1);
    }
    /* One is under way when the fib goes. */
    assert_int_equal(ops->dump_begin(w->fib, &ours), 0);
    for (unsigned reads = 0; reads < 40; reads++)
        assert_int_equal(ops->dump_read(w->fib, world_tally, &(size_t){0}), 1);
}

/* ---- privileges ---- */

/* The exit status of the child, whose asserts would be lost. */
static int use_with_net_admin_only(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {
            {.effective = 1U << CAP_NET_ADMIN, .permitted = 1U << CAP_NET_ADMIN}};
    struct nsh_fib_filter ours = {.protocol = OURS};
    struct nsh_fib_op op = {.verb = NSH_FIB_ADD};
    nsh_autofree struct nsh_route_props *props = NULL;
    struct nsh_fib *fib = NULL;
    size_t failures = 0, n = 0;
    int r = 0;

    op.route = world_make(&(struct spec){"10.1.0.0/16", .type = RTN_BLACKHOLE}, &props);
    if (syscall(SYS_capset, &header, data) < 0 || nsh_fib_netlink_new(&fib) < 0)
        return 1;
    if (fib->ops->events_open(fib, OURS) < 0)
        r = 2;
    else if (fib->ops->submit(fib, NULL, &op, 1, world_count_failure, &failures) < 0 ||
             failures > 0)
        r = 3;
    else if (nsh_fib_dump(fib, &ours, world_tally, &n) < 0 || n != 1)
        r = 4;
    nsh_fib_free(fib);
    return r;
}

static void test_net_admin_only(void **state)
{
    int status;
    pid_t pid = fork();

    (void)state;
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(use_with_net_admin_only());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- links, paths, sysctls ---- */

static void test_links(void **state)
{
    struct world *w = *state;
    const struct nsh_fib_ops *ops = w->fib->ops;
    char name[IFNAMSIZ] = "untouched";
    uint32_t ifindex = 12345;

    assert_int_equal(ops->link_index(w->fib, "nowhere", &ifindex), -ENODEV);
    assert_int_equal(ops->link_index(w->fib, "", &ifindex), -ENODEV);
    assert_int_equal(ops->link_index(w->fib, "a-name-that-is-too-long", &ifindex), -ENODEV);
    assert_int_equal(ops->link_name(w->fib, 99999, name), -ENODEV);
    assert_int_equal(ops->link_name(w->fib, 0, name), -ENODEV);
    assert_int_equal(ifindex, 12345);
    assert_string_equal(name, "untouched");

    IP("link property add dev v0 altname wan");
    assert_int_equal(ops->link_index(w->fib, "wan", &ifindex), 0);
    assert_int_equal(ifindex, w->links[V0].ifindex);
    assert_int_equal(ops->link_name(w->fib, ifindex, name), 0);
    assert_string_equal(name, "v0");
}

struct sought {
    const char *name;
    union nsh_addr address;
    uint8_t family;
    uint32_t ifindex;
    size_t seen;
    struct nsh_fib_link link;
    bool usable;
};

static void seek_link(void *userdata, const struct nsh_fib_link *link)
{
    struct sought *s = userdata;

    if (strcmp(link->name, s->name) != 0)
        return;
    s->link = *link;
    s->seen++;
}

static void expect_link(struct world *w, const char *name, uint32_t ifindex, bool up, bool carrier)
{
    struct sought s = {.name = name};

    assert_int_equal(w->fib->ops->links(w->fib, seek_link, &s), 0);
    assert_int_equal(s.seen, 1);
    assert_int_equal(s.link.ifindex, ifindex);
    assert_int_equal(s.link.up, up);
    assert_int_equal(s.link.carrier, carrier);
}

static void expect_ipv6(struct world *w, const char *name, bool on)
{
    struct sought s = {.name = name};

    assert_int_equal(w->fib->ops->links(w->fib, seek_link, &s), 0);
    assert_int_equal(s.link.without_ipv6, !on);
}

/* The kernel passes on what a peer does in its own time. */
static void wait_for_carrier(struct world *w, const char *name, bool carrier)
{
    struct sought s = {.name = name};

    for (int i = 0; i < 10000; i++) {
        assert_int_equal(w->fib->ops->links(w->fib, seek_link, &s), 0);
        if (s.link.carrier == carrier)
            return;
        usleep(1000);
    }
    fail_msg("%s: its carrier did not change", name);
}

static void test_all_links(void **state)
{
    struct world *w = *state;
    uint32_t v0 = w->links[V0].ifindex;

    expect_link(w, "v0", v0, true, true);
    expect_link(w, "lo", 1, true, true);
    IP("link set p0 down");
    wait_for_carrier(w, "v0", false);
    expect_link(w, "v0", v0, true, false);
    IP("link set v0 down");
    expect_link(w, "v0", v0, false, false);
    IP("link property add dev v0 altname wan");
    expect_link(w, "v0", v0, false, false);
    expect_link(w, "wan", v0, false, false);
    expect_ipv6(w, "v0", true);
    world_command("sysctl -qw net.ipv6.conf.v0.disable_ipv6=1");
    expect_ipv6(w, "v0", false);
    expect_ipv6(w, "lo", true);
    /* More than fit one datagram. */
    world_command("seq 1 60 | sed 's/.*/link add many& type veth peer name more&/' | ip -batch -");
    for (unsigned i = 1; i <= 60; i++) {
        char name[IFNAMSIZ];
        struct sought s = {.name = name};

        snprintf(name, sizeof(name), "more%u", i);
        assert_int_equal(w->fib->ops->links(w->fib, seek_link, &s), 0);
        assert_int_equal(s.seen, 1);
    }
}

static void seek_address(void *userdata, const struct nsh_fib_address *address)
{
    struct sought *s = userdata;

    if (address->family != s->family || nsh_addr_cmp(&address->address, &s->address) != 0)
        return;
    s->ifindex = address->ifindex;
    s->usable = address->usable;
    s->seen++;
}

static struct sought find_address(struct world *w, const char *text)
{
    struct sought s = {0};

    assert_true(nsh_addr_parse(text, &s.family, &s.address));
    assert_int_equal(w->fib->ops->addresses(w->fib, seek_address, &s), 0);
    return s;
}

static void test_addresses(void **state)
{
    struct world *w = *state;
    struct sought s = find_address(w, "192.0.2.1");

    assert_int_equal(s.seen, 1);
    assert_true(s.usable);
    assert_int_equal(s.ifindex, w->links[V0].ifindex);
    assert_int_equal(find_address(w, "192.0.2.77").seen, 0);
    assert_int_equal(find_address(w, "127.0.0.1").seen, 1);
    /* With a peer it is this end's address that counts. */
    IP("addr add 10.99.0.1 peer 10.99.0.2/32 dev v1");
    assert_int_equal(find_address(w, "10.99.0.1").seen, 1);
    assert_int_equal(find_address(w, "10.99.0.2").seen, 0);
    IP("addr add 2001:db8:5::1/64 dev v1 nodad");
    assert_true(find_address(w, "2001:db8:5::1").usable);
    IP("addr add 2001:db8:5::2 peer 2001:db8:5::3/128 dev v1 nodad");
    assert_int_equal(find_address(w, "2001:db8:5::2").seen, 1);
    assert_int_equal(find_address(w, "2001:db8:5::3").seen, 0);
    world_command("echo 5 > /proc/sys/net/ipv6/conf/v1/dad_transmits; "
                  "echo 1 > /proc/sys/net/ipv6/conf/v1/accept_dad; "
                  "echo 1 > /proc/sys/net/ipv6/conf/all/accept_dad");
    IP("addr add 2001:db8:5::4/64 dev v1");
    s = find_address(w, "2001:db8:5::4");
    assert_int_equal(s.seen, 1);
    assert_false(s.usable);
}

static int lookup(struct world *w, const char *to, const char *iif, const char *from,
        struct nsh_fib_path *ret)
{
    union nsh_addr addr, source;
    uint8_t family;

    assert_true(nsh_addr_parse(to, &family, &addr));
    if (from)
        assert_true(nsh_addr_parse(from, &family, &source));
    return w->fib->ops->lookup(
            w->fib, family, &addr, iif ? world_index_of(w, iif) : 0, from ? &source : NULL, ret);
}

static void expect_path(struct world *w, const char *to, const char *iif, const char *from,
        const char *dev, bool on_link)
{
    struct nsh_fib_path path = {0};

    assert_int_equal(lookup(w, to, iif, from, &path), 0);
    assert_int_equal(path.ifindex, world_index_of(w, dev));
    assert_int_equal(path.on_link, on_link);
}

static void test_lookup(void **state)
{
    struct world *w = *state;
    struct nsh_fib_path path = {.ifindex = 12345};

    assert_int_equal(lookup(w, "10.1.0.1", NULL, NULL, &path), -ENETUNREACH);
    assert_int_equal(lookup(w, "2001:db8:9::1", NULL, NULL, &path), -ENETUNREACH);
    IP("route add unreachable 10.1.0.0/16");
    IP("route add prohibit 10.2.0.0/16");
    IP("route add blackhole 10.3.0.0/16");
    IP("route add unreachable 2001:db8:9:1::/64");
    IP("route add prohibit 2001:db8:9:2::/64");
    IP("route add blackhole 2001:db8:9:3::/64");
    assert_int_equal(lookup(w, "10.1.0.1", NULL, NULL, &path), -EHOSTUNREACH);
    assert_int_equal(lookup(w, "10.2.0.1", NULL, NULL, &path), -EACCES);
    assert_int_equal(lookup(w, "10.3.0.1", NULL, NULL, &path), -EINVAL);
    assert_int_equal(lookup(w, "2001:db8:9:1::1", NULL, NULL, &path), -EHOSTUNREACH);
    assert_int_equal(lookup(w, "2001:db8:9:2::1", NULL, NULL, &path), -EACCES);
    assert_int_equal(lookup(w, "2001:db8:9:3::1", NULL, NULL, &path), -EINVAL);
    assert_int_equal(path.ifindex, 12345);

    IP("route add 10.4.0.0/16 via 198.51.100.9");
    IP("route add 10.5.0.0/16 via inet6 fe80::1 dev v1");
    IP("route add 2001:db8:9:4::/64 via fe80::1 dev v1");
    expect_path(w, "192.0.2.9", NULL, NULL, "v0", true);
    expect_path(w, "10.4.0.1", NULL, NULL, "v1", false);
    expect_path(w, "10.5.0.1", NULL, NULL, "v1", false);
    expect_path(w, "192.0.2.1", NULL, NULL, "lo", true);
    expect_path(w, "2001:db8:1::9", NULL, NULL, "v0", true);
    expect_path(w, "2001:db8:9:4::1", NULL, NULL, "v1", false);
    expect_path(w, "2001:db8:1::1", NULL, NULL, "lo", true);

    assert_int_equal(w->fib->ops->sysctl_set(w->fib, "net/ipv4/ip_forward", 1), 0);
    assert_int_equal(w->fib->ops->sysctl_set(w->fib, "net/ipv6/conf/all/forwarding", 1), 0);
    IP("rule add iif v0 table 200");
    IP("-6 rule add iif v0 table 200");
    IP("route add 10.4.0.0/16 via 203.0.113.9 table 200");
    IP("route add 2001:db8:9:4::/64 via fe80::1 dev v2 table 200");
    expect_path(w, "10.4.0.1", "v0", "192.0.2.77", "v2", false);
    expect_path(w, "2001:db8:9:4::1", "v0", "2001:db8:1::77", "v2", false);
    expect_path(w, "10.4.0.1", NULL, NULL, "v1", false);
}

struct names {
    unsigned all, other, v0, dots;
};

static void note_name(void *userdata, const char *name)
{
    struct names *n = userdata;

    n->all += strcmp(name, "all") == 0;
    n->other += strcmp(name, "default") == 0;
    n->v0 += strcmp(name, "v.0") == 0;
    n->dots += strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static void test_sysctls(void **state)
{
    static const char *const bad[] = {"", "/net/ipv4/ip_forward", "net/../kernel/pid_max", "..",
            "net//ipv4/ip_forward", "net/ipv4/ip_forward/", "./net/ipv4/ip_forward"};
    struct world *w = *state;
    const struct nsh_fib_ops *ops = w->fib->ops;
    struct names names = {0};
    int value = 77;

    for (size_t i = 0; i < NSH_ARRAY_SIZE(bad); i++) {
        assert_int_equal(ops->sysctl_get(w->fib, bad[i], &value), -EINVAL);
        assert_int_equal(ops->sysctl_set(w->fib, bad[i], 1), -EINVAL);
    }
    assert_int_equal(ops->sysctl_get(w->fib, "net/ipv4/nothing", &value), -ENOENT);
    assert_int_equal(ops->sysctl_get(w->fib, "net/ipv4/ip_local_port_range", &value), -EINVAL);
    assert_int_equal(ops->sysctl_get(w->fib, "kernel/ostype", &value), -EINVAL);
    assert_int_equal(ops->sysctl_get(w->fib, "net/ipv4", &value), -EISDIR);
    assert_int_equal(ops->sysctl_set(w->fib, "kernel/ostype", 1), -EACCES);
    assert_int_equal(value, 77);

    IP("link set v0 down"); /* before 6.2 one that is up keeps its name */
    IP("link set v0 name v.0");
    assert_int_equal(ops->sysctl_set(w->fib, "net/ipv6/conf/v.0/accept_ra", 2), 0);
    assert_int_equal(ops->sysctl_get(w->fib, "net/ipv6/conf/v.0/accept_ra", &value), 0);
    assert_int_equal(value, 2);
    assert_int_equal(ops->sysctl_set(w->fib, "net/ipv6/conf/v.0/accept_dad", -1), 0);
    assert_int_equal(ops->sysctl_get(w->fib, "net/ipv6/conf/v.0/accept_dad", &value), 0);
    assert_int_equal(value, -1);
    assert_int_equal(ops->sysctl_each_ipv6_conf(w->fib, note_name, &names), 0);
    assert_int_equal(names.all, 1);
    assert_int_equal(names.other, 1);
    assert_int_equal(names.v0, 1);
    assert_int_equal(names.dots, 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            TEST(test_batch),
            TEST(test_batch_of_nearly_alike),
            TEST(test_batch_all_fail),
            TEST(test_failures),
            TEST(test_filter),
            TEST(test_dump_pieces),
            TEST(test_long_dump),
            TEST(test_net_admin_only),
            TEST(test_links),
            TEST(test_all_links),
            TEST(test_addresses),
            TEST(test_lookup),
            TEST(test_sysctls),
    };

    return world_run(tests, NSH_ARRAY_SIZE(tests));
}
