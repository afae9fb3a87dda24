/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sets of the iptables adapter against the kernel and against ipset itself.
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
#include <sys/utsname.h>
#include <unistd.h>

#include "cleanup.h"
#include "firewall.h"
#include "ipset.h"
#include "xtables-world.h"

#define NAME "netshared-home_f4"
#define MANY 100000U

static void ipset(const char *words)
{
    char out[64];

    if (run("ipset", words, out, sizeof out) != 0)
        fail_msg("ipset %s", words);
}

static const char *saved(const char *name)
{
    static char out[1 << 16];
    char words[64];

    snprintf(words, sizeof words, "save %s", name);
    assert_int_equal(run("ipset", words, out, sizeof out), 0);
    return out;
}

/* ---- the adapter ---- */

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

    assert_int_equal(fw->ops->open(fw, NSH_FIREWALL_WRITE), NSH_FIREWALL_OK);
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

static void update(const struct nsh_prefix *add, size_t n_add, const struct nsh_prefix *remove,
        size_t n_remove)
{
    struct nsh_set_op op = {.verb = NSH_SET_UPDATE,
            .family = AF_INET,
            .name = NAME,
            .add = add,
            .n_add = n_add,
            .remove = remove,
            .n_remove = n_remove};

    assert_int_equal(try_write(&op, NULL), 0);
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

static void assert_holds(const struct nsh_prefix *prefixes, size_t n)
{
    assert_int_equal(try_read(NSH_FIREWALL_READ, prefixes[0].family), 0);
    assert_int_equal(n_seen, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(nsh_prefix_cmp(&prefixes[i], &seen[i]), 0);
}

static int changed(void)
{
    return fw->ops->set_changed(fw, AF_INET, NAME);
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

static struct nsh_prefix three[3], other[3];

static int fresh_three(void **state)
{
    static const char *const texts[] = {"10.0.0.0/8", "172.16.0.0/12", "192.0.2.1", "10.0.0.0/8",
            "198.51.100.0/24", "192.0.2.2"};

    for (size_t i = 0; i < 3; i++) {
        three[i] = prefix(texts[i]);
        other[i] = prefix(texts[i + 3]);
    }
    return fresh(state);
}

/* ---- one set ---- */

static void test_create(void **state)
{
    const struct nsh_prefix six[] = {
            prefix("fd00::/8"), prefix("2001:db8::/32"), prefix("2001:db8:9::1")};

    (void)state;
    assert_string_equal(list(AF_INET), "");
    assert_int_equal(try_read(NSH_FIREWALL_READ, AF_INET), -ENOENT);
    fill(NSH_SET_CREATE, three, 3);
    assert_holds(three, 3);
    assert_string_equal(list(AF_INET), NAME "=3 ");
    assert_string_equal(list(AF_INET6), "");
    assert_non_null(strstr(saved(NAME), "create " NAME " hash:net family inet "));
    assert_non_null(strstr(saved(NAME), "add " NAME " 172.16.0.0/12\n"));
    assert_non_null(strstr(saved(NAME), "add " NAME " 192.0.2.1\n"));
    assert_int_equal(try_read(NSH_FIREWALL_READ, AF_INET6), -ENOENT);
    ipset("destroy " NAME);
    fill(NSH_SET_CREATE, six, 3);
    assert_holds(six, 3);
    assert_non_null(strstr(saved(NAME), "add " NAME " 2001:db8::/32\n"));
}

static void test_update(void **state)
{
    (void)state;
    fill(NSH_SET_CREATE, three, 3);
    update(other + 1, 2, three + 1, 2);
    assert_holds(other, 3);
    update(other, 3, three + 1, 1); /* what is so already */
    assert_holds(other, 3);
    update(NULL, 0, other, 3);
    assert_int_equal(try_read(NSH_FIREWALL_READ, AF_INET), 0);
    assert_int_equal(n_seen, 0);
}

static void test_replace(void **state)
{
    (void)state;
    ipset("create netshared-~new hash:ip"); /* left over */
    fill(NSH_SET_CREATE, three, 3);
    ipt("-N USER");
    ipt("-A USER -m set --match-set " NAME " src -j ACCEPT");
    fill(NSH_SET_REPLACE, other, 3);
    assert_holds(other, 3);
    assert_lists("-S USER", "-A USER -m set --match-set " NAME " src -j ACCEPT\n");
    assert_string_equal(list(AF_INET), NAME "=3 ");
}

static void test_destroy(void **state)
{
    const struct nsh_set_op op = {.verb = NSH_SET_DESTROY, .family = AF_INET, .name = NAME};

    (void)state;
    fill(NSH_SET_CREATE, three, 3);
    ipt("-A FORWARD -m set --match-set " NAME " src -j ACCEPT");
    assert_int_equal(try_write(&op, "set " NAME ": a rule refers to it"), -EBUSY);
    ipt("-F FORWARD");
    assert_int_equal(try_write(&op, NULL), 0);
    assert_string_equal(list(AF_INET), "");
    assert_int_equal(try_write(&op, NULL), 0); /* it is gone, which is what was wanted */
    assert_int_equal(changed(), 1);
}

static void test_refused(void **state)
{
    const struct nsh_prefix all = {.family = AF_INET}, six = prefix("fd00::/8");
    struct nsh_set want = {.family = AF_INET, .prefixes = &all, .n = 1};
    struct nsh_set_op op = {.verb = NSH_SET_CREATE, .family = AF_INET, .name = NAME, .want = &want};

    (void)state;
    assert_int_equal(try_write(&op, "a prefix that can't be in it"), -EINVAL);
    want.prefixes = &six;
    assert_int_equal(try_write(&op, "a prefix that can't be in it"), -EINVAL);
    want.prefixes = three;
    ipset("create " NAME " hash:ip");
    assert_int_equal(try_write(&op, "a set of that name"), -EEXIST);
    op.verb = NSH_SET_REPLACE;
    assert_int_equal(try_write(&op, "of another type"), -EPROTOTYPE);
    assert_string_equal(list(AF_INET), NAME "=0 ");
    op.family = want.family = AF_INET6;
    assert_int_equal(try_write(&op, "a prefix that can't be in it"), -EINVAL);
    op.family = want.family = AF_INET;
    strcpy(op.name, "foreign");
    assert_int_equal(try_write(&op, "not a set of netshared"), -EINVAL);
    strcpy(op.name, "netshared-none");
    assert_int_equal(try_write(&op, "there is no such set"), -ENOENT);
    assert_int_equal(fw->ops->set_write(fw, &op, NULL, 0), -EINVAL); /* no session */
}

static void test_foreign_sets(void **state)
{
    char before[1024];

    (void)state;
    ipset("create foreign hash:net");
    ipset("add foreign 10.0.0.0/8");
    ipset("create shared-netshared-x hash:net");
    snprintf(before, sizeof before, "%s", saved("foreign"));
    fill(NSH_SET_CREATE, three, 3);
    fill(NSH_SET_REPLACE, other, 3);
    update(three, 3, other + 1, 2);
    assert_string_equal(saved("foreign"), before);
    assert_string_equal(list(AF_INET), NAME "=3 ");
}

/*
 * An element that excepts what it names, or times out, is not the element that is wanted, nor is
 * it nothing; added, it becomes it.
 */
static void test_exceptions(void **state)
{
    (void)state;
    fill(NSH_SET_CREATE, three, 3);
    ipset("del " NAME " 172.16.0.0/12");
    ipset("add " NAME " 172.16.0.0/12 nomatch");
    assert_int_equal(try_read(NSH_FIREWALL_READ, AF_INET), 0);
    assert_int_equal(n_seen, 3);
    assert_int_equal(seen[0].length, 0);
    update(three + 1, 1, NULL, 0);
    assert_holds(three, 3);
    ipset("create swapped hash:net timeout 500");
    ipset("swap " NAME " swapped");
    ipset("add " NAME " 172.16.0.0/12");
    assert_int_equal(try_read(NSH_FIREWALL_READ, AF_INET), 0);
    assert_int_equal(n_seen, 1);
    assert_int_equal(seen[0].length, 0);
    fill(NSH_SET_REPLACE, three, 3);
    assert_holds(three, 3);
    ipset("destroy swapped");
}

/* ---- behind our back ---- */

/* What somebody does is noticed, until it is read. */
static void assert_noticed(const char *words)
{
    assert_int_equal(changed(), 0);
    ipset(words);
    if (changed() != 1)
        fail_msg("not noticed: ipset %s", words);
    assert_int_equal(try_read(NSH_FIREWALL_READ, AF_INET), 0);
    assert_int_equal(changed(), 1);
    assert_int_equal(try_read(NSH_FIREWALL_WRITE, AF_INET), 0);
}

static int note_seed(void *userdata, const struct nsh_ipset_header *header)
{
    *(uint32_t *)userdata = header->seed;
    return 0;
}

/* Linux 5.10 does not tell it, by which two sets that are alike are told apart. */
static bool tells_seed(const char *name)
{
    struct nsh_ipset s = {0};
    struct utsname kernel;
    uint32_t seed = 0;

    assert_int_equal(nsh_ipset_headers(&s, name, note_seed, &seed), 0);
    nsh_ipset_done(&s);
    assert_int_equal(uname(&kernel), 0);
    return seed != 0 || atoi(kernel.release) > 5;
}

static void test_changed(void **state)
{
    (void)state;
    assert_int_equal(changed(), 1); /* nothing is known of it */
    fill(NSH_SET_CREATE, three, 3);
    assert_noticed("add " NAME " 203.0.113.0/24");
    assert_noticed("del " NAME " 172.16.0.0/12");
    assert_noticed("flush " NAME);
    ipset("create swapped hash:net hashsize 64 maxelem 16777216");
    if (tells_seed(NAME))
        assert_noticed("swap " NAME " swapped"); /* as many elements, as much room */
    fill(NSH_SET_REPLACE, three, 3);
    assert_int_equal(changed(), 0);
    update(other, 3, NULL, 0);
    assert_int_equal(changed(), 0);
    ipset("destroy " NAME);
    assert_int_equal(changed(), 1);
}

static void test_several(void **state)
{
    struct nsh_set want = {.family = AF_INET, .prefixes = three, .n = 3};
    struct nsh_set_op op = {.verb = NSH_SET_CREATE, .family = AF_INET, .want = &want};

    (void)state;
    for (unsigned int i = 0; i < 50; i++) {
        snprintf(op.name, sizeof op.name, "netshared-%u", i * 7 % 50);
        assert_int_equal(try_write(&op, NULL), 0);
    }
    ipset("flush netshared-7");
    ipset("destroy netshared-9");
    op.verb = NSH_SET_DESTROY;
    strcpy(op.name, "netshared-11");
    assert_int_equal(try_write(&op, NULL), 0);
    for (unsigned int i = 0; i < 50; i++) {
        snprintf(op.name, sizeof op.name, "netshared-%u", i);
        assert_int_equal(fw->ops->set_changed(fw, AF_INET, op.name), i == 7 || i == 9 || i == 11);
    }
    assert_int_equal(fw->ops->set_changed(fw, AF_INET6, "netshared-1"), 1);
}

/* ---- packets ---- */

/* A packet to ourselves from `source`. */
static void send_one(const char *source)
{
    struct sockaddr_in from = {.sin_family = AF_INET},
                       to = {.sin_family = AF_INET, .sin_port = htons(9)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert_int_equal(inet_pton(AF_INET, source, &from.sin_addr), 1);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof from), 0);
    (void)sendto(fd, "", 1, 0, (struct sockaddr *)&to, sizeof to);
    close(fd);
}

static void test_packets(void **state)
{
    const struct nsh_prefix some[] = {prefix("127.1.0.0/16"), prefix("127.2.3.4")};
    const struct nsh_packet_rule r = {.action = NSH_PACKET_RETURN, .from_set = NAME};
    struct nsh_chain want = {.rules = &r, .n_rules = 1};
    struct nsh_firewall_op ops[] = {
            {.verb = NSH_CHAIN_ADD,
                    .family = AF_INET,
                    .table = NSH_TABLE_RAW,
                    .chain = "NETSHARED-home",
                    .want = &want},
            {.verb = NSH_JUMP_ADD,
                    .family = AF_INET,
                    .table = NSH_TABLE_RAW,
                    .chain = "NETSHARED-home",
                    .hook = "OUTPUT",
                    .index = UINT32_MAX},
    };

    (void)state;
    assert_int_equal(run("ip", "link set lo up", NULL, 0), 0);
    fill(NSH_SET_CREATE, some, 2);
    assert_int_equal(fw->ops->open(fw, NSH_FIREWALL_WRITE), NSH_FIREWALL_OK);
    assert_int_equal(fw->ops->commit(fw, AF_INET, NSH_TABLE_RAW, ops, 2, NULL, 0), NSH_FIREWALL_OK);
    fw->ops->close(fw);
    send_one("127.1.2.3");
    send_one("127.2.3.4");
    send_one("127.2.3.5");
    assert_lists("-t raw -v -S NETSHARED-home", "-c 2 58 -j RETURN");
    assert_int_equal(changed(), 0); /* by traffic alone */
    fill(NSH_SET_REPLACE, some + 1, 1);
    send_one("127.1.2.3");
    send_one("127.2.3.4");
    assert_lists("-t raw -v -S NETSHARED-home", "-c 3 87 -j RETURN");
    assert_int_equal(fw->ops->changed(fw, AF_INET, NSH_TABLE_RAW), 0);
}

/* ---- many elements ---- */

static void fill_many(struct nsh_prefix many[static MANY])
{
    for (uint32_t i = 0; i < MANY; i++) {
        many[i] = (struct nsh_prefix){.family = AF_INET, .length = 32};
        many[i].addr.v4.s_addr = htonl(0x0a000000U + i * 3);
    }
}

static void test_many(void **state)
{
    struct nsh_prefix *many = test_calloc(MANY, sizeof *many);
    const struct nsh_prefix one = prefix("203.0.113.0/24");

    (void)state;
    fill_many(many);
    fill(NSH_SET_CREATE, many, MANY);
    assert_holds(many, MANY);
    update(&one, 1, &many[500], 1);
    assert_string_equal(list(AF_INET), NAME "=100000 ");
    assert_int_equal(changed(), 0);
    ipset("flush " NAME);
    assert_int_equal(changed(), 1);
    fill(NSH_SET_REPLACE, many, MANY);
    assert_holds(many, MANY);
    ipset("del " NAME " 10.0.0.3");
    assert_int_equal(changed(), 1);
    test_free(many);
}

/* Nobody waits for it any more: it comes to its end, and before that nothing else begins. */
static void test_dropped(void **state)
{
    struct nsh_prefix *many = test_calloc(MANY, sizeof *many);
    struct nsh_set want = {.family = AF_INET, .prefixes = many, .n = MANY};
    struct nsh_set_op op = {.verb = NSH_SET_CREATE, .family = AF_INET, .name = NAME, .want = &want};
    struct nsh_set_op destroy = {.verb = NSH_SET_DESTROY, .family = AF_INET, .name = NAME};
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
    assert_true(changed());
    assert_int_equal(fw->ops->open(fw, NSH_FIREWALL_WRITE), NSH_FIREWALL_OK);
    assert_int_equal(fw->ops->set_read(fw, AF_INET, NAME, see, NULL), -EINPROGRESS);
    fw->ops->set_drop(fw);
    fw->ops->close(fw);
    assert_int_equal(try_write(&destroy, NULL), 0);
    assert_string_equal(list(AF_INET), "");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fresh_three, done)

int main(void)
{
    const struct CMUnitTest tests[] = {
            TEST(test_create),
            TEST(test_update),
            TEST(test_replace),
            TEST(test_destroy),
            TEST(test_refused),
            TEST(test_foreign_sets),
            TEST(test_exceptions),
            TEST(test_changed),
            TEST(test_several),
            TEST(test_packets),
            TEST(test_many),
            TEST(test_dropped),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
