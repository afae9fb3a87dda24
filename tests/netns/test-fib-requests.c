/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Batches and dumps of routes, and who may ask for them.
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
    };

    return world_run(tests, NSH_ARRAY_SIZE(tests));
}
