/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel is asked of one packet: the way it would go, the entry that decides so, who
 * answers for an address, and who was seen at it.
 */
#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "fib-world.h"

static struct nsh_fib_question about(const char *to)
{
    struct nsh_fib_question q = {0};

    assert_true(nsh_addr_parse(to, &q.family, &q.to));
    return q;
}

static int keep(void *userdata, const struct nsh_route *route)
{
    *(uint8_t *)userdata = route->dst_length;
    return 0;
}

static void test_ways(void **state)
{
    static const struct {
        const char *route, *to, *via;
        int error;
        uint32_t table;
    } cases[] = {
            {"route add 10.50.0.0/16 via 192.0.2.9 dev v0 onlink", "10.50.0.1", "192.0.2.9", 0,
                    RT_TABLE_MAIN},
            {"route add 10.51.0.0/16 via inet6 2001:db8:9::9 dev v0 onlink", "10.51.0.1",
                    "2001:db8:9::9", 0, RT_TABLE_MAIN},
            {"route add 10.52.0.0/16 dev v0", "10.52.0.1", NULL, 0, RT_TABLE_MAIN},
            {"route add blackhole 10.53.0.0/16", "10.53.0.1", NULL, -EINVAL, 0},
            {"route add prohibit 10.54.0.0/16", "10.54.0.1", NULL, -EACCES, 0},
            {"route add unreachable 10.55.0.0/16", "10.55.0.1", NULL, -EHOSTUNREACH, 0},
            {"-6 route add fd50::/16 via 2001:db8:9::9 dev v0 onlink", "fd50::1", "2001:db8:9::9",
                    0, RT_TABLE_MAIN},
            {"-6 route add blackhole fd53::/16", "fd53::1", NULL, -EINVAL, 0},
            {"-6 route add prohibit fd54::/16", "fd54::1", NULL, -EACCES, 0},
            {"-6 route add unreachable fd55::/16", "fd55::1", NULL, -EHOSTUNREACH, 0},
            {"-6 route add throw fd56::/16", "fd56::1", NULL, -ENETUNREACH, 0},
            {"route add 10.57.0.0/16 dev v0 table 57", "10.57.0.1", NULL, -ENETUNREACH, 0},
    };
    struct world *w = *state;

    for (size_t i = 0; i < NSH_ARRAY_SIZE(cases); i++) {
        struct nsh_fib_question q = about(cases[i].to);
        struct nsh_fib_answer answer = {0};
        uint8_t length = 0;
        char via[NSH_ADDR_TEXT];

        IP("%s", cases[i].route);
        if (w->fib->ops->path(w->fib, &q, &answer) != cases[i].error)
            fail_msg("%s: another error", cases[i].route);
        if (cases[i].error < 0)
            continue;
        assert_int_equal(answer.table, cases[i].table);
        assert_int_equal(answer.ifindex, world_index_of(w, "v0"));
        assert_int_equal(answer.via_family != AF_UNSPEC, cases[i].via != NULL);
        if (cases[i].via)
            assert_string_equal(nsh_addr_format(answer.via_family, &answer.via, via), cases[i].via);
        assert_int_equal(w->fib->ops->entry(w->fib, &q, keep, &length), 0);
        assert_int_equal(length, 16);
    }
}

/* As a packet with all there is to it. */
static void test_ways_of_a_packet(void **state)
{
    struct world *w = *state;
    struct nsh_fib_question q = about("10.58.0.1");
    struct nsh_fib_answer answer = {0};

    IP("route add 10.58.0.0/16 dev v0 table 58");
    IP("rule add fwmark 0x58 ipproto tcp dport 443 lookup 58");
    assert_int_equal(w->fib->ops->path(w->fib, &q, &answer), -ENETUNREACH);
    q.mark = 0x58;
    q.protocol = IPPROTO_TCP;
    q.source_port = 1024;
    q.destination_port = 443;
    assert_int_equal(w->fib->ops->path(w->fib, &q, &answer), 0);
    assert_int_equal(answer.table, 58);
    assert_true(answer.has_source);
    q.destination_port = 80;
    assert_int_equal(w->fib->ops->path(w->fib, &q, &answer), -ENETUNREACH);
    q.family = AF_UNIX;
    assert_true(w->fib->ops->path(w->fib, &q, &answer) < 0);
}

static void test_neighbours(void **state)
{
    struct world *w = *state;
    struct nsh_fib_question q = about("192.0.2.9");
    uint32_t v0 = world_index_of(w, "v0");

    assert_int_equal(w->fib->ops->neighbour(w->fib, v0, AF_INET, &q.to), -ENOENT);
    IP("neigh add 192.0.2.9 lladdr 02:00:00:00:00:01 nud reachable dev v0");
    assert_int_equal(w->fib->ops->neighbour(w->fib, v0, AF_INET, &q.to), NUD_REACHABLE);
    assert_int_equal(w->fib->ops->proxied(w->fib, v0, AF_INET, &q.to), 0);
    IP("neigh add proxy 192.0.2.9 dev v0");
    assert_int_equal(w->fib->ops->proxied(w->fib, v0, AF_INET, &q.to), 1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            TEST(test_ways),
            TEST(test_ways_of_a_packet),
            TEST(test_neighbours),
    };

    return world_run(tests, NSH_ARRAY_SIZE(tests));
}
