/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sets of the nftables adapter, against the kernel and nft; and packets, which alone show that
 * what stands there does what it says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nft-world.h"

#define NAME "netshared-lan_f4"
#define MANY 100000

static struct nsh_prefix prefix(const char *text)
{
    struct nsh_prefix p;

    assert_int_equal(nsh_prefix_parse(text, &p), NSH_PREFIX_OK);
    return p;
}

static int try_write(const struct nsh_set_op *op, const char *words)
{
    char why[256] = "";
    int r;

    open_write();
    do
        r = fw->ops->set_write(fw, op, why, sizeof why);
    while (r == -EINPROGRESS);
    fw->ops->close(fw);
    if (r < 0 && !words)
        fail_msg("%s", why);
    if (words && !strstr(why, words))
        fail_msg("\"%s\" is not in \"%s\"", words, why);
    return r;
}

static void fill(enum nsh_set_verb verb, const struct nsh_prefix *prefixes, size_t n)
{
    struct nsh_set want = {.family = prefixes[0].family, .prefixes = prefixes, .n = n};
    struct nsh_set_op op = {.verb = verb, .family = want.family, .name = NAME, .want = &want};

    assert_int_equal(try_write(&op, NULL), 0);
}

static int destroy(const char *words)
{
    struct nsh_set_op op = {.verb = NSH_SET_DESTROY, .family = AF_INET, .name = NAME};

    return try_write(&op, words);
}

static struct nsh_prefix seen[MANY + 1];
static size_t n_seen;

static int see(void *userdata, const struct nsh_prefix *element)
{
    (void)userdata;
    assert_true(n_seen < NSH_ARRAY_SIZE(seen));
    seen[n_seen++] = *element;
    return 0;
}

static int cmp(const void *a, const void *b)
{
    return nsh_prefix_cmp(a, b);
}

static int try_read(enum nsh_firewall_mode mode, int family)
{
    int r;

    n_seen = 0;
    assert_int_equal(fw->ops->open(fw, mode), NSH_FIREWALL_OK);
    do
        r = fw->ops->set_read(fw, family, NAME, see, NULL);
    while (r == -EINPROGRESS);
    fw->ops->close(fw);
    qsort(seen, n_seen, sizeof *seen, cmp);
    return r;
}

/* In the order of nsh_prefix_cmp. */
static void assert_holds(int family, const char *const *prefixes, size_t n)
{
    char buf[NSH_PREFIX_TEXT];

    assert_int_equal(try_read(NSH_FIREWALL_WRITE, family), 0);
    for (size_t i = 0; i < n && i < n_seen; i++)
        assert_string_equal(nsh_prefix_format(&seen[i], buf), prefixes[i]);
    assert_int_equal(n_seen, n);
}

#define ASSERT_HOLDS(family, ...)                            \
    assert_holds(family, (const char *const[]){__VA_ARGS__}, \
            sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static bool changed(void)
{
    int r = fw->ops->set_changed(fw, AF_INET, NAME);

    assert_true(r >= 0);
    return r;
}

static char listed[256];

static int count_one(void *userdata, const struct nsh_prefix *element)
{
    (void)element;
    (*(unsigned int *)userdata)++;
    return 0;
}

static char names[8][NSH_SET_NAME];
static size_t n_names;

static int note_name(void *userdata, const char *name)
{
    (void)userdata;
    assert_true(n_names < 8);
    snprintf(names[n_names++], NSH_SET_NAME, "%s", name);
    return 0;
}

/* One look at a time: the sets are read when all are named. One of another kind holds nothing. */
static const char *list(int family)
{
    size_t at = 0;

    listed[0] = '\0';
    n_names = 0;
    assert_int_equal(fw->ops->open(fw, NSH_FIREWALL_READ), NSH_FIREWALL_OK);
    assert_int_equal(fw->ops->sets(fw, family, note_name, NULL), 0);
    for (size_t i = 0; i < n_names; i++) {
        unsigned int n = 0;
        int r = fw->ops->set_read(fw, family, names[i], count_one, &n);

        assert_true(r == 0 || r == -ENOENT);
        at += (size_t)snprintf(listed + at, sizeof listed - at, "%s=%u ", names[i], n);
    }
    fw->ops->close(fw);
    return listed;
}

static struct nsh_prefix three[3];

static int fresh(void **state)
{
    three[0] = prefix("10.0.0.0/8");
    three[1] = prefix("172.16.0.0/12");
    three[2] = prefix("192.0.2.1");
    return world_fresh(state);
}

/* ---- sets ---- */

static void test_create(void **state)
{
    struct nsh_prefix six[] = {prefix("8000::/1"), prefix("fd00::/8"), prefix("2001:db8::1")};
    const char *said;

    (void)state;
    fill(NSH_SET_CREATE, three, 3);
    assert_string_equal(listing("list ruleset"), "table ip netshared {\n"
                                                 "\tset " NAME " {\n"
                                                 "\t\ttype ipv4_addr\n"
                                                 "\t\tflags interval\n"
                                                 "\t\telements = { 10.0.0.0/8, 172.16.0.0/12,\n"
                                                 "\t\t\t     192.0.2.1 }\n"
                                                 "\t}\n"
                                                 "}\n");
    ASSERT_HOLDS(AF_INET, "10.0.0.0/8", "172.16.0.0/12", "192.0.2.1");
    assert_string_equal(list(AF_INET), NAME "=3 ");
    fill(NSH_SET_CREATE, six, 1);
    /* nft 0.9.8 lists as a range what ends with the last address. */
    said = listing("list table ip6 netshared");
    assert_true(strstr(said, "elements = { 8000::/1 }") ||
                strstr(said, "elements = { 8000::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff }"));
    ASSERT_HOLDS(AF_INET6, "8000::/1");
    fill(NSH_SET_REPLACE, six + 1, 2);
    assert_lists("list table ip6 netshared", "elements = { 2001:db8::1,\n\t\t\t     fd00::/8 }");
    ASSERT_HOLDS(AF_INET6, "fd00::/8", "2001:db8::1");
    assert_string_equal(list(AF_INET6), NAME "=2 ");
}

/* At the ends of the address space, and beside each other. */
static void test_edges(void **state)
{
    struct nsh_prefix edges[] = {prefix("0.0.0.0/8"), prefix("128.0.0.0/9"),
            prefix("128.128.0.0/9"), prefix("224.0.0.0/3")};
    struct nsh_set_op op = {.verb = NSH_SET_UPDATE, .family = AF_INET, .name = NAME};

    (void)state;
    fill(NSH_SET_CREATE, edges, 4);
    ASSERT_HOLDS(AF_INET, "224.0.0.0/3", "0.0.0.0/8", "128.0.0.0/9", "128.128.0.0/9");
    assert_lists("list ruleset", "0.0.0.0/8, 128.0.0.0/9");
    op.remove = edges;
    op.n_remove = 4;
    assert_int_equal(try_write(&op, NULL), 0);
    assert_int_equal(try_read(NSH_FIREWALL_WRITE, AF_INET), 0);
    assert_int_equal(n_seen, 0);
}

static void test_update(void **state)
{
    struct nsh_prefix add[] = {prefix("10.0.0.0/9"), prefix("198.51.100.0/24")};
    struct nsh_set_op op = {.verb = NSH_SET_UPDATE,
            .family = AF_INET,
            .name = NAME,
            .add = add,
            .n_add = 2,
            .remove = three,
            .n_remove = 1};

    (void)state;
    fill(NSH_SET_CREATE, three, 3);
    assert_int_equal(try_write(&op, NULL), 0);
    ASSERT_HOLDS(AF_INET, "10.0.0.0/9", "172.16.0.0/12", "198.51.100.0/24", "192.0.2.1");
    /* What is not there can't go, and then nothing is done. */
    op.add = three + 2;
    op.n_add = 1;
    assert_int_equal(try_write(&op, "is not there"), -ENOENT);
    ASSERT_HOLDS(AF_INET, "10.0.0.0/9", "172.16.0.0/12", "198.51.100.0/24", "192.0.2.1");
    assert_true(changed() == false);
}

static void test_replace_and_destroy(void **state)
{
    struct nsh_prefix other = prefix("203.0.113.0/24");
    struct nsh_packet_rule rule = {.action = NSH_PACKET_MASQUERADE, .from_set = NAME};
    struct nsh_firewall_op ops[] = {
            op_of(NSH_JUMP_DELETE, AF_INET, NSH_TABLE_NAT, "NETSHARED-home"),
            op_of(NSH_CHAIN_DELETE, AF_INET, NSH_TABLE_NAT, "NETSHARED-home")};

    (void)state;
    assert_int_equal(destroy("is not there"), -ENOENT);
    fill(NSH_SET_CREATE, three, 3);
    install(&rule, 1);
    fill(NSH_SET_REPLACE, &other, 1);
    ASSERT_HOLDS(AF_INET, "203.0.113.0/24");
    assert_int_equal(destroy("a rule refers to it"), -EBUSY);
    ops[0].index = 0;
    open_write();
    commit_in(AF_INET, NSH_TABLE_NAT, ops, 2, NSH_FIREWALL_OK);
    fw->ops->close(fw);
    assert_int_equal(destroy(NULL), 0);
    assert_string_equal(listing("list ruleset"), "");
    assert_int_equal(try_read(NSH_FIREWALL_READ, AF_INET), -ENOENT);
    assert_string_equal(list(AF_INET), "");
}

static void test_refused(void **state)
{
    struct nsh_prefix any = {.family = AF_INET}, six = prefix("fd00::/8");
    struct nsh_set_op op = {.verb = NSH_SET_UPDATE, .family = AF_INET, .name = "foreign"};

    (void)state;
    assert_int_equal(try_write(&op, "not a set of netshared"), -EINVAL);
    strcpy(op.name, NAME);
    op.add = &any;
    op.n_add = 1;
    assert_int_equal(try_write(&op, "a prefix that can't be in it"), -EINVAL);
    op.add = &six;
    assert_int_equal(try_write(&op, "a prefix that can't be in it"), -EINVAL);
    op.verb = NSH_SET_CREATE;
    assert_int_equal(try_write(&op, "nothing to fill it with"), -EINVAL);
    assert_string_equal(listing("list ruleset"), "");
    fill(NSH_SET_CREATE, three, 3);
    op = (struct nsh_set_op){.verb = NSH_SET_CREATE,
            .family = AF_INET,
            .name = NAME,
            .want = &(struct nsh_set){.family = AF_INET, .prefixes = three, .n = 1}};
    assert_int_equal(try_write(&op, "there already"), -EEXIST);
    ASSERT_HOLDS(AF_INET, "10.0.0.0/8", "172.16.0.0/12", "192.0.2.1");
}

/* A set of our name and another kind is none, and gives way. */
static void test_another_kind(void **state)
{
    (void)state;
    nft("add table ip netshared");
    nft("add set ip netshared " NAME " { type ipv4_addr; elements = { 10.0.0.1 }; }");
    assert_int_equal(try_read(NSH_FIREWALL_WRITE, AF_INET), -ENOENT);
    fill(NSH_SET_CREATE, three, 3);
    ASSERT_HOLDS(AF_INET, "10.0.0.0/8", "172.16.0.0/12", "192.0.2.1");
    nft("delete set ip netshared " NAME);
    nft("add set ip netshared " NAME " { type ether_addr; }");
    fill(NSH_SET_REPLACE, three, 3);
    ASSERT_HOLDS(AF_INET, "10.0.0.0/8", "172.16.0.0/12", "192.0.2.1");
}

/* What somebody put in need not be a prefix. */
static void test_intervals(void **state)
{
    (void)state;
    fill(NSH_SET_CREATE, three, 1);
    nft("add element ip netshared " NAME
        " { 192.0.2.1-192.0.2.6, 255.255.255.254-255.255.255.255 }");
    ASSERT_HOLDS(AF_INET, "10.0.0.0/8", "192.0.2.2/31", "192.0.2.4/31", "255.255.255.254/31",
            "192.0.2.1", "192.0.2.6");
}

static void test_changes_are_noticed(void **state)
{
    static const struct {
        const char *command;
        bool changed;
    } cases[] = {
            {"add element ip netshared " NAME " { 192.0.2.7 }", true},
            {"delete element ip netshared " NAME " { 192.0.2.1 }", true},
            {"flush set ip netshared " NAME, true},
            {"delete set ip netshared " NAME, true},
            {"delete table ip netshared", true},
            {"flush ruleset", true},
            {"add element ip netshared netshared-x { 192.0.2.7 }", false},
            {"add element ip foreign " NAME " { 192.0.2.7 }", false},
            {"add element ip6 netshared " NAME " { fd00::1 }", false},
    };

    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(cases); i++) {
        struct nsh_firewall_culprit culprit;

        nft("add table ip foreign; add table ip6 netshared; add table ip netshared");
        nft("add set ip foreign " NAME " { type ipv4_addr; }");
        nft("add set ip6 netshared " NAME " { type ipv6_addr; flags interval; }");
        nft("add set ip netshared netshared-x { type ipv4_addr; flags interval; }");
        assert_true(changed());
        fill(NSH_SET_CREATE, three, 3);
        assert_false(changed());
        nft("%s", cases[i].command);
        assert_true(hinted());
        fw->ops->hint_take(fw);
        if (changed() != cases[i].changed)
            fail_msg("%s: %d", cases[i].command, changed());
        assert_true(!cases[i].changed || fw->ops->culprit(fw, &culprit));
        if (try_read(NSH_FIREWALL_WRITE, AF_INET) == 0)
            assert_false(changed());
        nft("flush ruleset");
    }
}

/* A change between a look and an update is still a change. */
static void test_update_does_not_hide(void **state)
{
    struct nsh_prefix more = prefix("198.51.100.0/24");
    struct nsh_set_op op = {
            .verb = NSH_SET_UPDATE, .family = AF_INET, .name = NAME, .add = &more, .n_add = 1};

    (void)state;
    fill(NSH_SET_CREATE, three, 3);
    nft("delete element ip netshared " NAME " { 192.0.2.1 }");
    assert_int_equal(try_write(&op, NULL), 0);
    assert_true(changed());
}

static void test_foreign_sets(void **state)
{
    nsh_autofree char *before = NULL;

    (void)state;
    nft("add table ip foreign");
    nft("add set ip foreign " NAME
        " { type ipv4_addr; flags interval; elements = { 10.0.0.0/8 }; }");
    before = strdup(listing("-a list ruleset"));
    fill(NSH_SET_CREATE, three, 3);
    nft("add set ip netshared other { type ipv4_addr; }");
    assert_string_equal(list(AF_INET), NAME "=3 ");
    fill(NSH_SET_REPLACE, three, 1);
    assert_int_equal(destroy(NULL), 0);
    nft("delete table ip netshared");
    assert_string_equal(listing("-a list ruleset"), before);
}

static void assert_all_seen(const struct nsh_prefix *many)
{
    assert_int_equal(n_seen, MANY);
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(nsh_prefix_cmp(&seen[i], &many[i]), 0);
}

static void fill_many(struct nsh_prefix many[static MANY])
{
    for (uint32_t i = 0; i < MANY; i++) {
        uint32_t a = htonl(0x0a000000U + i * 16);

        many[i] = (struct nsh_prefix){.family = AF_INET, .length = 28};
        memcpy(many[i].addr.bytes, &a, sizeof a);
    }
}

static void test_many(void **state)
{
    static struct nsh_prefix many[MANY];
    struct nsh_set_op op = {
            .verb = NSH_SET_UPDATE, .family = AF_INET, .name = NAME, .n_add = 1, .n_remove = 1};

    (void)state;
    fill_many(many);
    fill(NSH_SET_CREATE, many, MANY);
    assert_int_equal(try_read(NSH_FIREWALL_WRITE, AF_INET), 0);
    assert_all_seen(many);
    op.add = &three[2];
    op.remove = &many[5];
    assert_int_equal(try_write(&op, NULL), 0);
    assert_int_equal(try_read(NSH_FIREWALL_WRITE, AF_INET), 0);
    assert_int_equal(n_seen, MANY);
    assert_int_equal(nsh_prefix_cmp(&seen[MANY - 1], &three[2]), 0);
    nft("delete element ip netshared " NAME " { 192.0.2.1 }");
    assert_true(changed());
    fill(NSH_SET_REPLACE, many, MANY);
    assert_int_equal(try_read(NSH_FIREWALL_WRITE, AF_INET), 0);
    assert_all_seen(many);
    nft("flush set ip netshared " NAME);
    assert_true(changed());
    assert_int_equal(try_read(NSH_FIREWALL_WRITE, AF_INET), 0);
    assert_int_equal(n_seen, 0);
}

/* Nobody waits for it any more: it comes to its end, and before that nothing else begins. */
static void test_dropped(void **state)
{
    struct nsh_prefix *many = test_calloc(MANY, sizeof *many);
    struct nsh_set want = {.family = AF_INET, .prefixes = many, .n = MANY};
    struct nsh_set_op op = {.verb = NSH_SET_CREATE, .family = AF_INET, .name = NAME, .want = &want};
    int r;

    (void)state;
    fill_many(many);
    assert_int_equal(fw->ops->open(fw, NSH_FIREWALL_WRITE), NSH_FIREWALL_OK);
    assert_int_equal(fw->ops->set_write(fw, &op, NULL, 0), -EINPROGRESS);
    assert_int_equal(fw->ops->sets(fw, AF_INET, note_name, NULL), -EINPROGRESS);
    fw->ops->set_drop(fw);
    test_free(many);
    n_names = 0;
    do
        r = fw->ops->sets(fw, AF_INET, note_name, NULL);
    while (r == -EINPROGRESS);
    fw->ops->close(fw);
    assert_int_equal(r, 0);
    assert_int_equal(n_names, 1);
    assert_int_equal(try_read(NSH_FIREWALL_READ, AF_INET), 0);
    assert_int_equal(n_seen, MANY);
    assert_int_equal(fw->ops->open(fw, NSH_FIREWALL_WRITE), NSH_FIREWALL_OK);
    assert_int_equal(fw->ops->set_read(fw, AF_INET, NAME, see, NULL), -EINPROGRESS);
    fw->ops->set_drop(fw);
    fw->ops->close(fw);
    assert_int_equal(destroy(NULL), 0);
    assert_string_equal(list(AF_INET), "");
}

/* ---- packets ---- */

/* Loopback addresses stand for the hosts; each is heard by the address it shows. */
static void ip(const char *words)
{
    assert_int_equal(run("ip", words, NULL, 0), 0);
}

static int udp(const char *address, uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    const struct timeval patience = {.tv_sec = 10};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert_int_equal(inet_pton(AF_INET, address, &a.sin_addr), 1);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    return fd;
}

/* From one to another; which source the other hears. */
static const char *heard(const char *from, const char *to, uint16_t to_port, int listener)
{
    static char text[32];
    nsh_autoclose int fd = udp(from, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(to_port)};
    socklen_t size = sizeof a;
    char byte = 'x';

    assert_int_equal(inet_pton(AF_INET, to, &a.sin_addr), 1);
    assert_int_equal(sendto(fd, &byte, 1, 0, (const struct sockaddr *)&a, sizeof a), 1);
    assert_int_equal(recvfrom(listener, &byte, 1, 0, (struct sockaddr *)&a, &size), 1);
    snprintf(text, sizeof text, "%s", inet_ntoa(a.sin_addr));
    return text;
}

static void test_packets_leave_by(void **state)
{
    struct nsh_packet_rule rules[] = {
            {.action = NSH_PACKET_RETURN, .to = prefix("10.9.0.3")},
            {.action = NSH_PACKET_SNAT, .from_set = NAME, .out = "lo"},
    };
    nsh_autoclose int two = -1, other = -1;

    (void)state;
    for (int i = 1; i <= 4; i++) {
        char words[64];

        snprintf(words, sizeof words, "addr add 10.9.0.%d/32 dev lo", i);
        ip(words);
    }
    assert_true(nsh_addr_parse("10.9.0.4", &rules[1].nat.family, &rules[1].nat.first));
    rules[1].nat.last = rules[1].nat.first;
    three[0] = prefix("10.9.0.1");
    fill(NSH_SET_CREATE, three, 3);
    install(rules, 2);
    two = udp("10.9.0.2", 5000);
    other = udp("10.9.0.3", 5000);
    assert_string_equal(heard("10.9.0.1", "10.9.0.2", 5000, two), "10.9.0.4");
    assert_string_equal(heard("10.9.0.1", "10.9.0.3", 5000, other), "10.9.0.1");
    assert_string_equal(heard("10.9.0.3", "10.9.0.2", 5000, two), "10.9.0.3");
    assert_lists("list ruleset", "ip saddr @" NAME " counter packets 1 bytes 29 snat to 10.9.0.4");
}

static void test_packets_masquerade(void **state)
{
    struct nsh_packet_rule rule = {.action = NSH_PACKET_MASQUERADE, .out = "lo"};
    nsh_autoclose int listener = -1;

    (void)state;
    ip("addr add 10.9.0.1/32 dev lo");
    ip("addr add 10.9.0.2/32 dev lo");
    listener = udp("127.0.0.9", 5000);
    assert_string_equal(heard("10.9.0.2", "127.0.0.9", 5000, listener), "10.9.0.2");
    install(&rule, 1);
    assert_string_equal(heard("10.9.0.2", "127.0.0.9", 5000, listener), "10.9.0.1");
}

static void test_packets_forwarded(void **state)
{
    struct nsh_packet_rule rule = {.action = NSH_PACKET_DNAT,
            .to = prefix("10.9.0.1"),
            .protocol = IPPROTO_UDP,
            .destination_port = {80, 80},
            .nat.ports = {8080, 8080}};
    nsh_autoclose int two = -1;

    (void)state;
    ip("addr add 10.9.0.1/32 dev lo");
    ip("addr add 10.9.0.2/32 dev lo");
    assert_true(nsh_addr_parse("10.9.0.2", &rule.nat.family, &rule.nat.first));
    rule.nat.last = rule.nat.first;
    install_in(AF_INET, NSH_TABLE_NAT, "OUTPUT", "NETSHARED-web", &rule, 1);
    two = udp("10.9.0.2", 8080);
    assert_string_equal(heard("127.0.0.1", "10.9.0.1", 80, two), "127.0.0.1");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fresh, world_done)

int main(void)
{
    const struct CMUnitTest tests[] = {
            TEST(test_create),
            TEST(test_edges),
            TEST(test_update),
            TEST(test_replace_and_destroy),
            TEST(test_refused),
            TEST(test_another_kind),
            TEST(test_intervals),
            TEST(test_changes_are_noticed),
            TEST(test_update_does_not_hide),
            TEST(test_foreign_sets),
            TEST(test_many),
            TEST(test_dropped),
            TEST(test_packets_leave_by),
            TEST(test_packets_masquerade),
            TEST(test_packets_forwarded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
