/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Questions to the kernel: links, addresses, paths, sysctls.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fib-world.h"

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
            TEST(test_links),
            TEST(test_all_links),
            TEST(test_addresses),
            TEST(test_lookup),
            TEST(test_sysctls),
    };

    return world_run(tests, NSH_ARRAY_SIZE(tests));
}
