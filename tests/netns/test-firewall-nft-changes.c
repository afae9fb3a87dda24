/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The nftables adapter against the kernel and against nft itself: transactions, what others do
 * meanwhile and how it is noticed; and looks that change nothing.
 */
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include "cleanup.h"
#include "nft-chains.h"

/* ---- transactions ---- */

static void test_all_or_nothing(void **state)
{
    struct nsh_packet_rule rules[] = {masquerade_all, to_device(NSH_PACKET_RETURN, "x")};
    struct nsh_chain want = {.rules = rules, .n_rules = 2};
    struct nsh_firewall_op ops[] = {step(NSH_CHAIN_ADD, CHAIN), step(NSH_JUMP_ADD, CHAIN)};
    char why[256];

    (void)state;
    strcpy(rules[1].from_set, "netshared-none");
    ops[0].want = &want;
    open_write();
    observe(NAT);
    assert_int_equal(fw->ops->commit(fw, NAT, ops, 2, why, sizeof why), -ENOENT);
    fw->ops->close(fw);
    assert_string_equal(
            why, "table ip netshared, chain nat-home: a set that a rule refers to is missing");
    assert_string_equal(listing("list ruleset"), "");
    assert_true(changed(NAT));
}

/* Masquerading is for chains that packets leave by. */
static void test_refused_by_the_kernel(void **state)
{
    struct nsh_chain want = {.rules = &masquerade_all, .n_rules = 1};
    struct nsh_firewall_op ops[] = {step(NSH_CHAIN_ADD, CHAIN), step(NSH_JUMP_ADD, CHAIN)};
    char why[256];

    (void)state;
    ops[0].want = &want;
    strcpy(ops[1].hook, "PREROUTING");
    open_write();
    observe(NAT);
    assert_true(fw->ops->commit(fw, NAT, ops, 2, why, sizeof why) < 0);
    fw->ops->close(fw);
    assert_non_null(strstr(why, "table ip netshared"));
    assert_string_equal(listing("list ruleset"), "");
}

static void test_raced(void **state)
{
    struct nsh_firewall_op op = step(NSH_CHAIN_DELETE, CHAIN);

    (void)state;
    install(&masquerade_all, 1);
    open_write();
    observe(NAT);
    nft("add rule ip netshared nat-home counter accept");
    commit_in(NAT, &op, 1, NSH_FIREWALL_RACED);
    assert_lists("list ruleset", " masquerade\n");
    fw->ops->close(fw);
    assert_true(changed(NAT));
}

/* Who writes to tables of his own is no reason to look again. */
static void test_foreign_writers_do_not_race(void **state)
{
    struct nsh_firewall_op op = step(NSH_CHAIN_DELETE, CHAIN);

    (void)state;
    install(&masquerade_all, 1);
    open_write();
    observe(NAT);
    nft("add table inet foreign");
    nft("add chain inet foreign netshared");
    nft("add table inet netshared"); /* not of our families */
    nft("add table ip foreign");
    nft("add chain ip foreign nat-home");
    commit_in(NAT, &op, 1, NSH_FIREWALL_OK);
    fw->ops->close(fw);
    assert_lists_not("list ruleset", " masquerade\n");
    assert_false(changed(NAT));
}

static void test_two_sessions(void **state)
{
    struct nsh_firewall *other;
    struct nsh_firewall_op op = step(NSH_CHAIN_DELETE, CHAIN);

    (void)state;
    install(&masquerade_all, 1);
    assert_int_equal(nsh_firewall_nft_new(&other), 0);
    assert_int_equal(other->ops->open(other, NSH_FIREWALL_WRITE), NSH_FIREWALL_OK);
    assert_int_equal(other->ops->commit(other, NAT, &op, 1, NULL, 0), NSH_FIREWALL_OK);
    open_write();
    assert_int_equal(fw->ops->open(fw, NSH_FIREWALL_WRITE), -EALREADY);
    observe(NAT);
    assert_int_equal(other->ops->commit(other, NAT, &op, 1, NULL, 0), NSH_FIREWALL_OK);
    fw->ops->close(fw);
    nsh_firewall_free(other);
}

/* Foreign tables are as they were, byte for byte, whatever is done to ours. */
static void test_foreign_tables(void **state)
{
    struct nsh_firewall_op ops[] = {step(NSH_JUMP_DELETE, CHAIN), step(NSH_CHAIN_DELETE, CHAIN)};
    nsh_autofree char *before = NULL;
    static const char *const commands[] = {
            "add table ip nat",
            "add chain ip nat POSTROUTING { type nat hook postrouting priority 100; }",
            "add rule ip nat POSTROUTING oifname x counter packets 3 bytes 300 masquerade",
            "add set ip nat s { type ipv4_addr; flags interval; elements = { 10.0.0.0/8 }; }",
            "add table inet netshared",
            "add chain inet netshared nat-home",
            "add rule inet netshared nat-home counter packets 1 bytes 1",
    };

    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(commands); i++)
        nft("%s", commands[i]);
    before = strdup(listing("-a list ruleset"));
    install(&masquerade_all, 1);
    nft("add rule ip netshared nat_postrouting accept");
    install_in(NAT, "POSTROUTING", "NETSHARED-web", &masquerade_all, 1);
    ops[0].index = UINT32_MAX;
    open_write();
    observe(NAT);
    ops[0].index = 0;
    strcpy(ops[0].chain, "NETSHARED-web");
    commit_in(NAT, ops, 1, NSH_FIREWALL_OK);
    strcpy(ops[1].chain, "NETSHARED-web");
    commit_in(NAT, &ops[1], 1, NSH_FIREWALL_OK);
    strcpy(ops[1].chain, CHAIN);
    commit_in(NAT, &ops[1], 1, NSH_FIREWALL_OK);
    fw->ops->close(fw);
    assert_string_equal(listing("-a list ruleset"), before);
}

/* ---- base chains that were altered ---- */

/* The base chain, made anew as another kind of chain. */
#define AGAIN(kind)                               \
    "flush chain ip netshared nat_postrouting; "  \
    "delete chain ip netshared nat_postrouting; " \
    "add chain ip netshared nat_postrouting " kind "; "
#define JUMP "add rule ip netshared nat_postrouting jump "

static const char *const damages[] = {
        "add table ip netshared { flags dormant; }",
        "insert rule ip netshared nat_postrouting accept",
        "add rule ip netshared nat_postrouting counter",
        "insert rule ip netshared nat_postrouting jump foreign",
        "chain ip netshared nat_postrouting { policy drop; }",
        AGAIN("{ type nat hook postrouting priority 7; }") JUMP "nat-home",
        AGAIN("{ type filter hook postrouting priority 100; }") JUMP "foreign",
        AGAIN("{ type nat hook input priority 100; }"),
        AGAIN("") JUMP "nat-home",
};

static void test_altered_base_chains(void **state)
{
    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(damages); i++) {
        struct nsh_firewall_op add = step(NSH_JUMP_ADD, CHAIN);
        nsh_autofree char *whole = NULL;
        const struct seen_chain *c;

        install(&masquerade_all, 1);
        nft("add chain ip netshared foreign");
        whole = strdup(listing("--stateless list ruleset"));
        look(NAT, CHAIN);
        assert_false(changed(NAT));
        nft("%s", damages[i]);
        assert_true(hinted());
        if (!changed(NAT))
            fail_msg("no change: %s", damages[i]);
        open_write();
        observe(NAT);
        c = seen_chain("POSTROUTING");
        if (!c || c->n_jumps != 0)
            fail_msg("not noticed: %s", damages[i]);
        assert_int_equal(seen_chain(CHAIN)->n_rules, 1);
        commit_in(NAT, &add, 1, NSH_FIREWALL_OK);
        fw->ops->close(fw);
        c = look(NAT, "POSTROUTING");
        assert_int_equal(c->n_jumps, 1);
        assert_int_equal(c->n_total, 1);
        assert_true(strlen(listing("--stateless list ruleset")) == strlen(whole));
        nft("flush ruleset");
    }
}

/* ---- changes, and who made them ---- */

static void test_changes_are_noticed(void **state)
{
    static const struct {
        const char *command;
        bool nat, filter, six;
    } cases[] = {
            {"flush ruleset", true, true, true},
            {"flush ruleset ip", true, true, false},
            {"delete table ip netshared", true, true, false},
            {"flush table ip netshared", true, true, false},
            {"flush chain ip netshared nat-home", true, false, false},
            {"flush chain ip netshared nat_postrouting", true, false, false},
            {"delete rule ip netshared nat-home handle 2", true, false, false},
            {"replace rule ip netshared nat-home handle 2 counter accept", true, false, false},
            {"insert rule ip netshared nat-home counter accept", true, false, false},
            {"add rule ip netshared filter-home counter accept", false, true, false},
            {"rename chain ip netshared nat-home other", true, true, false},
            {"add rule ip6 netshared nat-home counter accept", false, false, true},
            {"add table ip other", false, false, false},
            {"add chain ip foreign nat-home; add rule ip foreign nat-home accept", false, false,
                    false},
            {"add table inet netshared", false, false, false},
            {"add element ip foreign s { 10.0.0.1 }", false, false, false},
            {"add set ip netshared netshared-x { type ipv4_addr; }", false, false, false},
    };

    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(cases); i++) {
        struct nsh_firewall_culprit culprit;

        nft("add table ip foreign");
        nft("add set ip foreign s { type ipv4_addr; }");
        install(&masquerade_all, 1);
        install_in(AF_INET, NSH_TABLE_FILTER, "FORWARD", CHAIN, &masquerade_all, 0);
        install_in(AF_INET6, NSH_TABLE_NAT, "POSTROUTING", CHAIN, &masquerade_all, 1);
        if (changed(NAT) || changed(AF_INET, NSH_TABLE_FILTER) || changed(AF_INET6, NSH_TABLE_NAT))
            fail_msg("changed before %s", cases[i].command);
        nft("%s", cases[i].command);
        assert_true(hinted());
        fw->ops->hint_take(fw);
        if (changed(NAT) != cases[i].nat || changed(AF_INET, NSH_TABLE_FILTER) != cases[i].filter ||
                changed(AF_INET6, NSH_TABLE_NAT) != cases[i].six)
            fail_msg("%s: %d %d %d", cases[i].command, changed(NAT),
                    changed(AF_INET, NSH_TABLE_FILTER), changed(AF_INET6, NSH_TABLE_NAT));
        if (cases[i].nat) {
            assert_true(fw->ops->culprit(fw, &culprit));
            assert_string_equal(culprit.name, "nft");
        }
        nft("flush ruleset");
        look(NAT, CHAIN);
        look(AF_INET, NSH_TABLE_FILTER, CHAIN);
        look(AF_INET6, NSH_TABLE_NAT, CHAIN);
    }
}

/* Whose inode has a fixed number; the kernel tells ids there. */
static bool in_initial_pid_namespace(void)
{
    char link[32] = "";

    assert_true(readlink("/proc/self/ns/pid", link, sizeof link - 1) > 0);
    return strcmp(link, "pid:[4026531836]") == 0;
}

/* Its process id, and a name that can stand in the journal. */
static void test_culprit(void **state)
{
    struct nsh_firewall_culprit culprit;
    char path[] = "/tmp/nsh-nft-XXXXXX", link[64];
    int status;
    pid_t pid;

    (void)state;
    install(&masquerade_all, 1);
    assert_false(fw->ops->culprit(fw, &culprit));
    assert_non_null(mkdtemp(path));
    snprintf(link, sizeof link, "%s/a\tb\nc\xc3\xa4", path);
    assert_int_equal(symlink("/usr/sbin/nft", link), 0);
    pid = fork();
    if (pid == 0) {
        execl(link, "nft", "add rule ip netshared nat-home accept", (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    unlink(link);
    rmdir(path);
    nft("add table ip foreign");
    assert_true(hinted());
    fw->ops->hint_take(fw);
    assert_true(fw->ops->culprit(fw, &culprit));
    assert_true(in_initial_pid_namespace() ? culprit.pid == (uint32_t)pid : culprit.pid != 0);
    assert_string_equal(culprit.name, "a?b?c??");
}

/* What is ours wakes nobody. */
static void test_own_writes(void **state)
{
    (void)state;
    install(&masquerade_all, 1);
    fw->ops->hint_fd(fw);
    install_in(NAT, "POSTROUTING", "NETSHARED-web", &masquerade_all, 1);
    assert_false(changed(NAT));
    assert_false(hinted());
}

/* More than the queue holds: nothing is known, and so all has changed. */
static void test_lost_events(void **state)
{
    FILE *f;

    (void)state;
    nft("add table ip foreign");
    nft("add set ip foreign s { type ipv4_addr; }");
    install(&masquerade_all, 1);
    f = popen("nft -f -", "w");
    assert_non_null(f);
    fprintf(f, "add element ip foreign s { 10.0.0.0");
    for (unsigned i = 1; i < 250000; i++)
        fprintf(f, ", 10.%u.%u.%u", i >> 16, (i >> 8) & 255, i & 255);
    fprintf(f, " }\n");
    assert_int_equal(pclose(f), 0);
    assert_true(hinted());
    assert_true(changed(NAT));
    while (hinted())
        fw->ops->hint_take(fw);
    assert_non_null(look(NAT, CHAIN));
    assert_false(changed(NAT));
}

/* More than the queue holds, of what is passed over. */
static void overflow(void)
{
    const struct nlmsghdr m = {.nlmsg_len = sizeof m, .nlmsg_type = NFNL_SUBSYS_NFTABLES << 8};
    const struct sockaddr_nl group = {
            .nl_family = AF_NETLINK, .nl_groups = 1U << (NFNLGRP_NFTABLES - 1)};
    nsh_autoclose int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);

    assert_true(fd >= 0);
    for (int i = 0; i < 40000; i++)
        (void)sendto(fd, &m, sizeof m, 0, (const struct sockaddr *)&group, sizeof group);
}

/* Between the loss and the end of what is queued nothing is heard: each change is found. */
static void test_lost_until_all_is_read(void **state)
{
    (void)state;
    install(&masquerade_all, 1);
    assert_false(changed(NAT));
    /* In one of the two the last of it is read when it is asked for changes. */
    for (int first = 0; first < 2; first++) {
        overflow();
        for (int i = 0; i < first; i++)
            fw->ops->hint_take(fw);
        for (bool more = true; more;) {
            assert_true(changed(NAT));
            assert_non_null(look(NAT, CHAIN));
            more = hinted();
            nft("add rule ip netshared nat_postrouting accept");
        }
        assert_true(changed(NAT));
        assert_non_null(look(NAT, CHAIN));
        assert_false(changed(NAT));
    }
}

/* ---- reading, probing ---- */

static int never(void *userdata, const struct nsh_chain_seen *c)
{
    (void)userdata;
    fail_msg("saw %s", c->name);
    return 0;
}

static int end_walk(void *userdata, const struct nsh_chain_seen *c)
{
    (void)userdata;
    (void)c;
    return 42;
}

static void test_reading(void **state)
{
    struct nsh_firewall_op op = step(NSH_CHAIN_DELETE, CHAIN);

    (void)state;
    assert_int_equal(fw->ops->observe(fw, NAT, never, NULL), -EINVAL);
    assert_int_equal(fw->ops->open(fw, NSH_FIREWALL_READ), NSH_FIREWALL_OK);
    assert_int_equal(fw->ops->observe(fw, NAT, never, NULL), 0);
    assert_int_equal(fw->ops->commit(fw, NAT, &op, 1, NULL, 0), -EINVAL);
    fw->ops->close(fw);
    assert_string_equal(listing("list ruleset"), "");
    install(&masquerade_all, 1);
    nft("add rule ip netshared nat-home accept");
    assert_int_equal(fw->ops->open(fw, NSH_FIREWALL_READ), NSH_FIREWALL_OK);
    observe(NAT);
    assert_int_equal(seen_chain(CHAIN)->n_rules, 2);
    assert_int_equal(fw->ops->observe(fw, NAT, end_walk, NULL), 42);
    fw->ops->close(fw);
    /* A look is not a look under which changes are forgotten. */
    assert_true(changed(NAT));
}

static void test_probe(void **state)
{
    char why[256] = "x";

    (void)state;
    for (int t = 0; t < NSH_TABLE_COUNT; t++) {
        assert_int_equal(fw->ops->probe(fw, AF_INET, (enum nsh_table)t, why, sizeof why), 0);
        assert_int_equal(fw->ops->probe(fw, AF_INET6, (enum nsh_table)t, NULL, 0), 0);
    }
    assert_string_equal(why, "");
    assert_int_equal(fw->ops->probe(fw, AF_UNIX, NSH_TABLE_NAT, why, sizeof why), -EAFNOSUPPORT);
    /* It leaves nothing, and tells nobody. */
    assert_string_equal(listing("list ruleset"), "");
    assert_false(hinted());
}

/* Another user, with no capability. */
static void test_without_permission(void **state)
{
    int status;
    pid_t pid;

    (void)state;
    pid = fork();
    if (pid == 0) {
        struct nsh_firewall_op op = step(NSH_CHAIN_DELETE, CHAIN);
        char why[256] = "";

        if (setuid(65534) < 0)
            _exit(1);
        if (fw->ops->probe(fw, NAT, why, sizeof why) != -EPERM || !strstr(why, "CAP_NET_ADMIN"))
            _exit(2);
        (void)op;
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            TEST(test_all_or_nothing),
            TEST(test_refused_by_the_kernel),
            TEST(test_raced),
            TEST(test_foreign_writers_do_not_race),
            TEST(test_two_sessions),
            TEST(test_foreign_tables),
            TEST(test_altered_base_chains),
            TEST(test_changes_are_noticed),
            TEST(test_culprit),
            TEST(test_own_writes),
            TEST(test_lost_events),
            TEST(test_lost_until_all_is_read),
            TEST(test_reading),
            TEST(test_probe),
            TEST(test_without_permission),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
