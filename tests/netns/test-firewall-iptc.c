/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The iptables adapter against the kernel and against iptables itself. Every test runs in a fresh
 * network namespace and under a lock file of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "firewall.h"
#include "xtables-world.h"

#define CHAIN "NETSHARED-home"
#define WHY 256

/* ---- the adapter ---- */

struct seen_chain {
    char name[32];
    bool builtin;
    struct nsh_packet_rule rules[64];
    size_t n_rules;
    struct nsh_jump_seen jumps[16];
    size_t n_jumps;
    uint32_t n_total, first_foreign;
};

static struct seen_chain seen[16];
static size_t n_seen;

static int collect(void *userdata, const struct nsh_chain_seen *c)
{
    struct seen_chain *s = &seen[n_seen++];

    (void)userdata;
    assert_true(n_seen <= NSH_ARRAY_SIZE(seen));
    assert_true(c->n_rules <= NSH_ARRAY_SIZE(s->rules));
    assert_true(c->n_jumps <= NSH_ARRAY_SIZE(s->jumps));
    memset(s, 0, sizeof *s);
    snprintf(s->name, sizeof s->name, "%s", c->name);
    s->builtin = c->builtin;
    s->n_rules = c->n_rules;
    s->n_jumps = c->n_jumps;
    s->n_total = c->n_total;
    s->first_foreign = c->first_foreign;
    if (c->n_rules)
        memcpy(s->rules, c->rules, c->n_rules * sizeof *c->rules);
    if (c->n_jumps)
        memcpy(s->jumps, c->jumps, c->n_jumps * sizeof *c->jumps);
    return 0;
}

static void observe(int family, enum nsh_table table)
{
    n_seen = 0;
    assert_int_equal(fw->ops->observe(fw, family, table, collect, NULL), 0);
}

static const struct seen_chain *seen_chain(const char *name)
{
    for (size_t i = 0; i < n_seen; i++)
        if (strcmp(seen[i].name, name) == 0)
            return &seen[i];
    return NULL;
}

/* A look of its own, in a session of its own. */
static const struct seen_chain *look(int family, enum nsh_table table, const char *name)
{
    assert_int_equal(fw->ops->open(fw, NSH_FIREWALL_WRITE), NSH_FIREWALL_OK);
    observe(family, table);
    fw->ops->close(fw);
    return seen_chain(name);
}

static void open_write(void)
{
    assert_int_equal(fw->ops->open(fw, NSH_FIREWALL_WRITE), NSH_FIREWALL_OK);
}

static void commit_in(
        int family, enum nsh_table table, const struct nsh_firewall_op *ops, size_t n, int expected)
{
    char why[WHY] = "";
    int r = fw->ops->commit(fw, family, table, ops, n, why, sizeof why);

    if (r != expected)
        fail_msg("commit gave %d (%s), not %d", r, why, expected);
}

static void commit(const struct nsh_firewall_op *ops, size_t n, int expected)
{
    commit_in(AF_INET, NSH_TABLE_NAT, ops, n, expected);
}

static struct nsh_firewall_op op_of(enum nsh_firewall_verb verb, const char *chain)
{
    struct nsh_firewall_op op = {
            .verb = verb, .family = AF_INET, .table = NSH_TABLE_NAT, .index = UINT32_MAX};

    snprintf(op.chain, sizeof op.chain, "%s", chain);
    if (verb == NSH_JUMP_ADD || verb == NSH_JUMP_DELETE)
        snprintf(op.hook, sizeof op.hook, "POSTROUTING");
    return op;
}

static struct nsh_packet_rule rule(
        enum nsh_packet_action action, const char *from, const char *to, const char *out)
{
    struct nsh_packet_rule r = {.action = action};

    if (from)
        assert_int_equal(nsh_prefix_parse(from, &r.from), NSH_PREFIX_OK);
    if (to)
        assert_int_equal(nsh_prefix_parse(to, &r.to), NSH_PREFIX_OK);
    memcpy(r.out, out, strlen(out));
    if (action == NSH_PACKET_JUMP)
        strcpy(r.target, "NETSHARED-sub");
    return r;
}

/* Adds a chain with a jump from POSTROUTING, in one commit, and closes the session. */
static void install(const struct nsh_packet_rule *rules, size_t n)
{
    struct nsh_chain want = {.family = AF_INET, .rules = rules, .n_rules = n};
    struct nsh_firewall_op ops[] = {op_of(NSH_CHAIN_ADD, CHAIN), op_of(NSH_JUMP_ADD, CHAIN)};

    ops[0].want = &want;
    open_write();
    observe(AF_INET, NSH_TABLE_NAT);
    commit(ops, 2, NSH_FIREWALL_OK);
    fw->ops->close(fw);
}

static const struct nsh_packet_rule masquerade_all = {.action = NSH_PACKET_MASQUERADE};

/* ---- rules ---- */

struct form {
    enum nsh_packet_action action;
    const char *from, *to, *out;
    const char *text; /* as -S and -A have it */
    uint8_t states;
};

static const struct form forms4[] = {
        {NSH_PACKET_MASQUERADE, NULL, NULL, "", "-j MASQUERADE"},
        {NSH_PACKET_MASQUERADE, NULL, NULL, "eth0", "-o eth0 -j MASQUERADE"},
        {NSH_PACKET_MASQUERADE, "10.0.0.0/8", NULL, "wan+", "-s 10.0.0.0/8 -o wan+ -j MASQUERADE"},
        {NSH_PACKET_MASQUERADE, "192.168.1.0/25", "198.51.100.0/23", "eth0",
                "-s 192.168.1.0/25 -d 198.51.100.0/23 -o eth0 -j MASQUERADE"},
        {NSH_PACKET_MASQUERADE, "10.1.2.3", NULL, "abcdefghijklmno",
                "-s 10.1.2.3/32 -o abcdefghijklmno -j MASQUERADE"},
        {NSH_PACKET_MASQUERADE, NULL, NULL, "abcdefghijklmn+", "-o abcdefghijklmn+ -j MASQUERADE"},
        {NSH_PACKET_MASQUERADE, "128.0.0.0/1", NULL, "a", "-s 128.0.0.0/1 -o a -j MASQUERADE"},
        {NSH_PACKET_RETURN, NULL, "10.0.0.0/8", "", "-d 10.0.0.0/8 -j RETURN"},
        {NSH_PACKET_RETURN, "172.16.0.0/12", NULL, "", "-s 172.16.0.0/12 -j RETURN"},
        {NSH_PACKET_RETURN, NULL, NULL, "tun0", "-o tun0 -j RETURN"},
        {NSH_PACKET_RETURN, NULL, NULL, "", "-j RETURN"},
        {NSH_PACKET_JUMP, NULL, NULL, "", "-j NETSHARED-sub"},
        {NSH_PACKET_JUMP, "10.9.0.0/16", NULL, "x", "-s 10.9.0.0/16 -o x -j NETSHARED-sub"},
        {NSH_PACKET_RETURN, NULL, NULL, "", "-m conntrack --ctstate INVALID -j RETURN",
                NSH_STATE_INVALID},
};

static const struct form forms6[] = {
        {NSH_PACKET_MASQUERADE, NULL, NULL, "", "-j MASQUERADE"},
        {NSH_PACKET_MASQUERADE, "fd00::/8", NULL, "wan+", "-s fd00::/8 -o wan+ -j MASQUERADE"},
        {NSH_PACKET_MASQUERADE, "fd00:1:2:3::/61", "2001:db8::1", "eth0",
                "-s fd00:1:2::/61 -d 2001:db8::1/128 -o eth0 -j MASQUERADE"},
        {NSH_PACKET_RETURN, NULL, "2001:db8::/32", "", "-d 2001:db8::/32 -j RETURN"},
        {NSH_PACKET_RETURN, NULL, NULL, "tun0", "-o tun0 -j RETURN"},
        {NSH_PACKET_JUMP, NULL, NULL, "", "-j NETSHARED-sub"},
        {NSH_PACKET_RETURN, NULL, NULL, "", "-m conntrack --ctstate INVALID -j RETURN",
                NSH_STATE_INVALID},
};

static struct nsh_packet_rule of_form(const struct form *f)
{
    const char *from = f->from;
    struct nsh_packet_rule r;

    if (from && strcmp(from, "fd00:1:2:3::/61") == 0)
        from = "fd00:1:2::/61";
    r = rule(f->action, from, f->to, f->out);
    r.states = f->states;
    return r;
}

static void assert_same_rules(const struct seen_chain *c, const struct form *forms, size_t n)
{
    assert_non_null(c);
    assert_int_equal(c->n_rules, n);
    for (size_t i = 0; i < n; i++) {
        struct nsh_packet_rule want = of_form(&forms[i]);

        if (!nsh_packet_rule_equal(&c->rules[i], &want) || strcmp(c->rules[i].out, want.out) != 0)
            fail_msg("not decoded to what it is: %s", forms[i].text);
    }
}

/* Written by netshared, read by iptables. */
static void check_written(int family, const struct form *forms, size_t n)
{
    struct nsh_packet_rule rules[32];
    struct nsh_chain want = {.rules = rules, .n_rules = n}, none = {0};
    struct nsh_firewall_op ops[] = {
            op_of(NSH_CHAIN_ADD, "NETSHARED-sub"), op_of(NSH_CHAIN_ADD, CHAIN)};
    const char *text;

    for (size_t i = 0; i < n; i++)
        rules[i] = of_form(&forms[i]);
    ops[0].want = &none;
    ops[1].want = &want;
    ops[0].family = ops[1].family = (uint8_t)family;
    open_write();
    observe(family, NSH_TABLE_NAT);
    commit_in(family, NSH_TABLE_NAT, ops, 2, NSH_FIREWALL_OK);
    fw->ops->close(fw);
    text = listing(family, "-t nat -S " CHAIN);
    text = strchr(text, '\n') + 1; /* -N */
    for (size_t i = 0; i < n; i++) {
        char line[256], words[256];
        size_t length = (size_t)snprintf(line, sizeof line, "-A " CHAIN " %s\n", forms[i].text);

        if (strncmp(text, line, length) != 0)
            fail_msg("%s is listed as %.100s", forms[i].text, text);
        text += length;
        snprintf(words, sizeof words, "-t nat -C " CHAIN " %s", forms[i].text);
        assert_int_equal(try_ipt(family, words), 0);
    }
    assert_same_rules(look(family, NSH_TABLE_NAT, CHAIN), forms, n);
}

/* Written by iptables, read by netshared. */
static void check_read(int family, const struct form *forms, size_t n)
{
    assert_int_equal(try_ipt(family, "-t nat -N NETSHARED-hand"), 0);
    for (size_t i = 0; i < n; i++) {
        char words[256];

        snprintf(words, sizeof words, "-t nat -A NETSHARED-hand %s", forms[i].text);
        assert_int_equal(try_ipt(family, words), 0);
    }
    assert_same_rules(look(family, NSH_TABLE_NAT, "NETSHARED-hand"), forms, n);
}

static void test_rules_ipv4(void **state)
{
    (void)state;
    check_written(AF_INET, forms4, NSH_ARRAY_SIZE(forms4));
    check_read(AF_INET, forms4, NSH_ARRAY_SIZE(forms4));
}

static void test_rules_ipv6(void **state)
{
    (void)state;
    check_written(AF_INET6, forms6, NSH_ARRAY_SIZE(forms6));
    check_read(AF_INET6, forms6, NSH_ARRAY_SIZE(forms6));
}

/* "-o +" is a name with an empty mask; iptables does not list it, but finds it. */
static void test_any_device(void **state)
{
    struct nsh_packet_rule r = rule(NSH_PACKET_MASQUERADE, NULL, NULL, "+");
    const struct seen_chain *c;

    (void)state;
    install(&r, 1);
    assert_int_equal(try_ipt(AF_INET, "-t nat -C " CHAIN " -o + -j MASQUERADE"), 0);
    ipt("-t nat -A " CHAIN " -o + -j MASQUERADE");
    c = look(AF_INET, NSH_TABLE_NAT, CHAIN);
    assert_int_equal(c->n_rules, 2);
    assert_memory_equal(&c->rules[0], &r, sizeof r);
    assert_memory_equal(&c->rules[1], &r, sizeof r);
}

/* Whatever has more to it than netshared writes is another rule. */
static void test_other_rules(void **state)
{
    static const char *const rules[] = {
            "-m comment --comment x -j MASQUERADE",
            "! -s 10.0.0.0/8 -j MASQUERADE",
            "! -o eth0 -j MASQUERADE",
            "-s 10.0.0.1/255.0.255.0 -j MASQUERADE",
            "-g NETSHARED-sub",
            "-f -j NETSHARED-sub",
            "-j FOREIGN",
            "-m conntrack ! --ctstate INVALID -j RETURN",
            "-s 10.0.0.0/8",
    };
    const struct seen_chain *c;

    (void)state;
    ipt("-t nat -N NETSHARED-sub");
    ipt("-t nat -N FOREIGN");
    ipt("-t nat -N " CHAIN);
    for (size_t i = 0; i < NSH_ARRAY_SIZE(rules); i++) {
        char words[256];

        snprintf(words, sizeof words, "-t nat -A " CHAIN " %s", rules[i]);
        ipt(words);
    }
    c = look(AF_INET, NSH_TABLE_NAT, CHAIN);
    assert_int_equal(c->n_rules, NSH_ARRAY_SIZE(rules));
    for (size_t i = 0; i < c->n_rules; i++)
        if (c->rules[i].action != NSH_PACKET_OTHER)
            fail_msg("taken for one of ours: %s", rules[i]);
    assert_null(seen_chain("FOREIGN"));
}

/* ---- operations ---- */

static void test_jumps_are_seen(void **state)
{
    const struct seen_chain *c;

    (void)state;
    install(&masquerade_all, 1);
    ipt("-t nat -A POSTROUTING -s 10.0.0.0/8 -j " CHAIN);
    ipt("-t nat -A POSTROUTING -j ACCEPT");
    ipt("-t nat -A POSTROUTING -g " CHAIN);
    ipt("-t nat -A POSTROUTING -j " CHAIN);
    c = look(AF_INET, NSH_TABLE_NAT, "POSTROUTING");
    assert_true(c->builtin);
    assert_int_equal(c->n_total, 5);
    assert_int_equal(c->first_foreign, 2);
    assert_int_equal(c->n_jumps, 4);
    for (size_t i = 0; i < 4; i++) {
        static const uint32_t index[] = {0, 1, 3, 4};
        static const bool plain[] = {true, false, false, true};

        assert_string_equal(c->jumps[i].target, CHAIN);
        assert_int_equal(c->jumps[i].index, index[i]);
        assert_int_equal(c->jumps[i].plain, plain[i]);
    }
    c = seen_chain("PREROUTING");
    assert_int_equal(c->n_total, 0);
    assert_int_equal(c->first_foreign, 0);
    assert_false(seen_chain(CHAIN)->builtin);
}

static void test_jump_place(void **state)
{
    struct nsh_firewall_op add = op_of(NSH_JUMP_ADD, CHAIN), del = op_of(NSH_JUMP_DELETE, CHAIN);

    (void)state;
    ipt("-t nat -A POSTROUTING -s 10.0.0.1 -j ACCEPT");
    ipt("-t nat -A POSTROUTING -s 10.0.0.2 -j ACCEPT");
    install(&masquerade_all, 1); /* at the end */
    open_write();
    observe(AF_INET, NSH_TABLE_NAT);
    add.index = 1;
    commit(&add, 1, NSH_FIREWALL_OK);
    assert_lists("-t nat -S POSTROUTING",
            "-A POSTROUTING -s 10.0.0.1/32 -j ACCEPT\n-A POSTROUTING -j " CHAIN
            "\n-A POSTROUTING -s 10.0.0.2/32 -j ACCEPT\n-A POSTROUTING -j " CHAIN "\n");
    /* Only a jump to the chain that is named goes; and no index is guessed. */
    del.index = 0;
    commit(&del, 1, NSH_FIREWALL_RACED);
    del.index = 4;
    commit(&del, 1, NSH_FIREWALL_RACED);
    add.index = 5;
    commit(&add, 1, NSH_FIREWALL_RACED);
    del.index = 3;
    commit(&del, 1, NSH_FIREWALL_OK);
    fw->ops->close(fw);
    assert_lists("-t nat -S POSTROUTING",
            "-A POSTROUTING -s 10.0.0.1/32 -j ACCEPT\n-A POSTROUTING -j " CHAIN
            "\n-A POSTROUTING -s 10.0.0.2/32 -j ACCEPT\n");
}

/* Puts five numbered rules with counters into the chain and changes it to `to`. */
static void change(const char *to, uint32_t head, uint32_t tail, const char *expected)
{
    struct nsh_packet_rule rules[16];
    struct nsh_chain want = {.rules = rules, .n_rules = strlen(to)};
    struct nsh_firewall_op op = op_of(NSH_CHAIN_CHANGE, CHAIN);
    char words[128];

    (void)try_ipt(AF_INET, "-t nat -N " CHAIN);
    ipt("-t nat -F " CHAIN);
    for (int i = 1; i <= 5; i++) {
        snprintf(words, sizeof words, "-t nat -A " CHAIN " -s 10.0.0.%d -c %d %d -j RETURN", i,
                i * 11, i * 100);
        ipt(words);
    }
    for (size_t i = 0; i < want.n_rules; i++) {
        snprintf(words, sizeof words, "10.0.0.%d", to[i] - '0');
        rules[i] = rule(NSH_PACKET_RETURN, words, NULL, "");
    }
    op.want = &want;
    op.keep_head = head;
    op.keep_tail = tail;
    op.n_observed = 5;
    open_write();
    observe(AF_INET, NSH_TABLE_NAT);
    commit(&op, 1, NSH_FIREWALL_OK);
    observe(AF_INET, NSH_TABLE_NAT);
    fw->ops->close(fw);
    assert_int_equal(seen_chain(CHAIN)->n_rules, want.n_rules);
    for (size_t i = 0; i < want.n_rules; i++)
        assert_memory_equal(&seen_chain(CHAIN)->rules[i], &rules[i], sizeof rules[i]);
    /* The packet counters, one after the other. */
    char counters[128] = "";
    char *text = strdup(listing(AF_INET, "-t nat -v -S " CHAIN));
    for (char *p = text; (p = strstr(p, "-c "));) {
        size_t n = strlen(counters);

        p += 3;
        snprintf(counters + n, sizeof counters - n, "%ld ", strtol(p, NULL, 10));
    }
    free(text);
    assert_string_equal(counters, expected);
}

static void test_change_keeps_counters(void **state)
{
    (void)state;
    change("12945", 2, 2, "11 22 0 44 55 ");
    change("12945", 2, 1, "11 22 0 0 55 ");
    change("1678945", 1, 2, "11 0 0 0 0 44 55 ");
    change("1236785", 3, 1, "11 22 33 0 0 0 55 ");
    change("15", 1, 1, "11 55 ");
    change("678", 0, 0, "0 0 0 ");
    change("1234567", 5, 0, "11 22 33 44 55 0 0 ");
    change("6712345", 0, 5, "0 0 11 22 33 44 55 ");
    change("", 0, 0, "");
    change("12345", 5, 0, "11 22 33 44 55 ");
}

static void test_stale_steps_are_refused(void **state)
{
    struct nsh_chain want = {.rules = &masquerade_all, .n_rules = 1};
    struct nsh_firewall_op add = op_of(NSH_CHAIN_ADD, CHAIN),
                           other = op_of(NSH_CHAIN_CHANGE, CHAIN),
                           gone = op_of(NSH_CHAIN_CHANGE, "NETSHARED-gone");

    (void)state;
    install(&masquerade_all, 1);
    add.want = other.want = gone.want = &want;
    other.n_observed = 2;
    open_write();
    commit(&add, 1, NSH_FIREWALL_RACED);
    commit(&other, 1, NSH_FIREWALL_RACED);
    commit(&gone, 1, NSH_FIREWALL_RACED);
    /* Deleting what is gone already is no error. */
    gone.verb = NSH_CHAIN_DELETE;
    commit(&gone, 1, NSH_FIREWALL_OK);
    /* More kept than there is. */
    other.n_observed = 1;
    other.keep_head = other.keep_tail = 1;
    commit(&other, 1, -EINVAL);
    fw->ops->close(fw);
}

static void test_foreign_is_never_touched(void **state)
{
    struct nsh_firewall_op del = op_of(NSH_CHAIN_DELETE, "FOREIGN"),
                           jump = op_of(NSH_JUMP_ADD, CHAIN);
    char *before, why[WHY];

    (void)state;
    ipt("-t nat -N FOREIGN");
    ipt("-t nat -A FOREIGN -s 10.0.0.0/8 -c 7 8 -m comment --comment x -j ACCEPT");
    ipt("-t nat -A POSTROUTING -c 9 10 -j FOREIGN");
    before = strdup(listing(AF_INET, "-t nat -v -S"));
    open_write();
    commit(&del, 1, -EINVAL);
    snprintf(jump.hook, sizeof jump.hook, "FOREIGN");
    commit(&jump, 1, -EINVAL);
    snprintf(jump.hook, sizeof jump.hook, "POSTROUTING");
    assert_int_equal(
            fw->ops->commit(fw, AF_INET, NSH_TABLE_NAT, &jump, 1, why, sizeof why), -EINVAL);
    assert_string_equal(
            why, "IPv4 table nat, chain " CHAIN ": a jump to a chain that does not exist");
    fw->ops->close(fw);
    assert_string_equal(before, listing(AF_INET, "-t nat -v -S"));
    free(before);
    /* Nor by writing and taking away what is ours. */
    before = strdup(listing(AF_INET, "-t nat -v -S"));
    install(&masquerade_all, 1);
    struct nsh_firewall_op down[] = {op_of(NSH_JUMP_DELETE, CHAIN), op_of(NSH_CHAIN_DELETE, CHAIN)};
    down[0].index = 1;
    open_write();
    commit(down, 2, NSH_FIREWALL_OK);
    fw->ops->close(fw);
    assert_string_equal(before, listing(AF_INET, "-t nat -v -S"));
    free(before);
}

static void test_delete_while_referenced(void **state)
{
    struct nsh_firewall_op ops[] = {op_of(NSH_JUMP_DELETE, CHAIN), op_of(NSH_CHAIN_DELETE, CHAIN)};

    (void)state;
    install(&masquerade_all, 1);
    ipt("-t nat -N FOREIGN");
    ipt("-t nat -A FOREIGN -j " CHAIN);
    ops[0].index = 0;
    open_write();
    commit(ops, 2, NSH_FIREWALL_OK);
    assert_lists("-t nat -S", "-A FOREIGN -j " CHAIN "\n");
    assert_lists("-t nat -S", "-N " CHAIN "\n");
    assert_lists_not("-t nat -S", "MASQUERADE");
    assert_lists_not("-t nat -S", "-A POSTROUTING");
    /* Again: nothing to do, so nothing is sent (the lock-free writer would make it EAGAIN). */
    observe(AF_INET, NSH_TABLE_NAT);
    commit(&ops[1], 1, NSH_FIREWALL_OK);
    ipt_unlocked("-t nat -F FOREIGN");
    observe(AF_INET, NSH_TABLE_NAT);
    commit(&ops[1], 1, NSH_FIREWALL_OK);
    fw->ops->close(fw);
    assert_lists_not("-t nat -S", CHAIN);
}

/* Chains that refer to each other go in one commit, in any order. */
static void test_delete_in_any_order(void **state)
{
    struct nsh_firewall_op ops[] = {
            op_of(NSH_CHAIN_DELETE, "NETSHARED-sub"), op_of(NSH_CHAIN_DELETE, CHAIN)};

    (void)state;
    ipt("-t nat -N NETSHARED-sub");
    ipt("-t nat -N " CHAIN);
    ipt("-t nat -A " CHAIN " -j NETSHARED-sub");
    open_write();
    commit(ops, 2, NSH_FIREWALL_OK);
    fw->ops->close(fw);
    assert_lists_not("-t nat -S", "NETSHARED");
}

static void test_longest_name(void **state)
{
    struct nsh_chain want = {.rules = &masquerade_all, .n_rules = 1};
    static const char name[] = "NETSHARED-abcdefghijklmnopqr"; /* 28 */
    struct nsh_firewall_op ops[] = {op_of(NSH_CHAIN_ADD, name), op_of(NSH_JUMP_ADD, name)};

    (void)state;
    assert_int_equal(strlen(name), 28);
    ops[0].want = &want;
    open_write();
    commit(ops, 2, NSH_FIREWALL_OK);
    fw->ops->close(fw);
    assert_lists("-t nat -S", "-A POSTROUTING -j NETSHARED-abcdefghijklmnopqr\n");
    assert_int_equal(look(AF_INET, NSH_TABLE_NAT, name)->n_rules, 1);
}

/* ---- the lock, and those without it ---- */

static void test_lock(void **state)
{
    int fd;

    (void)state;
    ipt("-t nat -S");
    fd = open(lock_file, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
    assert_int_equal(fw->ops->open(fw, NSH_FIREWALL_WRITE), NSH_FIREWALL_BUSY);
    assert_int_equal(fw->ops->open(fw, NSH_FIREWALL_READ), NSH_FIREWALL_OK);
    fw->ops->close(fw);
    assert_int_equal(flock(fd, LOCK_UN), 0);
    open_write();
    assert_int_equal(fw->ops->open(fw, NSH_FIREWALL_WRITE), -EALREADY);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), -1);
    assert_int_equal(errno, EWOULDBLOCK);
    fw->ops->close(fw);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
    close(fd);
    setenv("XTABLES_LOCKFILE", "/nonexistent/lock", 1);
    assert_int_equal(fw->ops->open(fw, NSH_FIREWALL_WRITE), -ENOENT);
}

static void test_reader_writes_nothing(void **state)
{
    struct nsh_firewall_op del = op_of(NSH_CHAIN_DELETE, CHAIN);

    (void)state;
    install(&masquerade_all, 1);
    assert_int_equal(fw->ops->open(fw, NSH_FIREWALL_READ), NSH_FIREWALL_OK);
    observe(AF_INET, NSH_TABLE_NAT);
    commit(&del, 1, -EINVAL);
    fw->ops->close(fw);
    commit(&del, 1, -EINVAL);
    assert_lists("-t nat -S", "-N " CHAIN);
}

static void race(const char *foreign, const char *line)
{
    struct nsh_chain want = {.rules = &masquerade_all, .n_rules = 1};
    struct nsh_firewall_op add = op_of(NSH_CHAIN_ADD, CHAIN);

    add.want = &want;
    open_write();
    observe(AF_INET, NSH_TABLE_NAT);
    ipt_unlocked(foreign);
    commit(&add, 1, NSH_FIREWALL_RACED);
    fw->ops->close(fw);
    assert_lists("-t nat -S", line);
    assert_lists_not("-t nat -S", CHAIN);
}

static void test_race(void **state)
{
    (void)state;
    ipt("-t nat -A POSTROUTING -s 10.0.0.1 -j ACCEPT");
    race("-t nat -A POSTROUTING -s 10.0.0.2 -j ACCEPT", "10.0.0.2");
    /* libiptc itself would not notice this one: the number of entries is the same. */
    race("-t nat -R POSTROUTING 1 -s 10.0.0.3 -j ACCEPT", "10.0.0.3");
    /* The whole again succeeds. */
    install(&masquerade_all, 1);
    assert_lists("-t nat -S", "-s 10.0.0.3/32 -j ACCEPT");
}

/* ---- the cheap check ---- */

static size_t tables_in_being(void)
{
    FILE *f = fopen("/proc/thread-self/net/ip_tables_names", "re");
    char line[64];
    size_t n = 0;

    assert_non_null(f);
    while (fgets(line, sizeof line, f))
        n++;
    fclose(f);
    return n;
}

static void test_reading_brings_nothing_into_being(void **state)
{
    (void)state;
    assert_int_equal(fw->ops->open(fw, NSH_FIREWALL_READ), NSH_FIREWALL_OK);
    for (int t = 0; t < NSH_TABLE_COUNT; t++) {
        observe(AF_INET, (enum nsh_table)t);
        assert_int_equal(n_seen, 0);
        observe(AF_INET6, (enum nsh_table)t);
        assert_int_equal(n_seen, 0);
    }
    fw->ops->close(fw);
    assert_int_equal(fw->ops->changed(fw, AF_INET, NSH_TABLE_NAT), 1); /* a look tells nothing */
    assert_int_equal(fw->ops->changed(fw, AF_INET6, NSH_TABLE_RAW), 1);
    assert_int_equal(tables_in_being(), 0);
    ipt("-t nat -S");
    assert_int_equal(fw->ops->changed(fw, AF_INET, NSH_TABLE_NAT), 1);
    assert_int_equal(fw->ops->changed(fw, AF_INET, NSH_TABLE_RAW), 1);
    assert_int_equal(tables_in_being(), 1);
}

/* Packets through the loopback, so that counters move. */
static void traffic(void)
{
    struct sockaddr_in to = {
            .sin_family = AF_INET, .sin_port = htons(9), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct ifreq ifr = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_LOOPBACK};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &ifr), 0);
    for (int i = 0; i < 20; i++)
        assert_int_equal(sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof to), 1);
    close(fd);
}

static int changed(enum nsh_table table)
{
    return fw->ops->changed(fw, AF_INET, table);
}

/* `words` makes a change that is seen, once. */
static void assert_noticed(const char *words)
{
    (void)look(AF_INET, NSH_TABLE_RAW, "OUTPUT");
    assert_int_equal(changed(NSH_TABLE_RAW), 0);
    ipt(words);
    if (changed(NSH_TABLE_RAW) != 1)
        fail_msg("not noticed: %s", words);
    (void)look(AF_INET, NSH_TABLE_RAW, "OUTPUT");
    assert_int_equal(changed(NSH_TABLE_RAW), 0);
}

static void test_changed(void **state)
{
    (void)state;
    assert_int_equal(changed(NSH_TABLE_RAW), 1); /* never looked at */
    ipt("-t raw -A OUTPUT -d 127.0.0.0/8 -j ACCEPT");
    ipt("-t raw -A OUTPUT -m limit --limit 5/s -j ACCEPT");
    ipt("-t raw -A PREROUTING -m statistic --mode nth --every 3 --packet 0 -j ACCEPT");
    ipt("-t raw -A PREROUTING -m quota --quota 1000 -j ACCEPT");
    (void)look(AF_INET, NSH_TABLE_RAW, "OUTPUT");
    assert_int_equal(changed(NSH_TABLE_RAW), 0);
    assert_lists("-t raw -v -S OUTPUT", "-d 127.0.0.0/8 -c 0 0 -j ACCEPT");
    traffic();
    assert_lists_not("-t raw -v -S OUTPUT", "-d 127.0.0.0/8 -c 0 0 -j ACCEPT");
    assert_int_equal(changed(NSH_TABLE_RAW), 0);
    assert_noticed("-t raw -R OUTPUT 1 -d 127.0.0.0/9 -j ACCEPT");
    assert_noticed("-t raw -R OUTPUT 1 -d 127.0.0.0/9 -j DROP");
    assert_noticed("-t raw -A OUTPUT -s 10.0.0.1 -j ACCEPT");
    assert_noticed("-t raw -D OUTPUT 1");
    assert_noticed("-t raw -P PREROUTING DROP");
    assert_noticed("-t raw -N A");
    assert_noticed("-t raw -E A B");
    assert_noticed("-t raw -F");
    assert_noticed("-t raw -X");
}

/* Two rules change places: the same entries, the same sizes. */
static void test_changed_by_order(void **state)
{
    (void)state;
    ipt("-t raw -A OUTPUT -s 10.0.0.1 -j ACCEPT");
    ipt("-t raw -A OUTPUT -s 10.0.0.2 -j ACCEPT");
    (void)look(AF_INET, NSH_TABLE_RAW, "OUTPUT");
    ipt("-t raw -D OUTPUT 1");
    ipt("-t raw -A OUTPUT -s 10.0.0.1 -j ACCEPT");
    assert_int_equal(changed(NSH_TABLE_RAW), 1);
    ipt("-t raw -D OUTPUT 1");
    ipt("-t raw -A OUTPUT -s 10.0.0.2 -j ACCEPT");
    assert_int_equal(changed(NSH_TABLE_RAW), 0); /* as it was */
}

/* To look without the lock is not to have judged: the change is still to be found. */
static void test_a_look_hides_no_change(void **state)
{
    (void)state;
    (void)look(AF_INET, NSH_TABLE_RAW, "OUTPUT");
    assert_int_equal(changed(NSH_TABLE_RAW), 0);
    ipt("-t raw -A OUTPUT -s 10.0.0.1 -j ACCEPT");
    assert_int_equal(fw->ops->open(fw, NSH_FIREWALL_READ), NSH_FIREWALL_OK);
    observe(AF_INET, NSH_TABLE_RAW);
    fw->ops->close(fw);
    assert_int_equal(changed(NSH_TABLE_RAW), 1);
}

/*
 * The kernel leaves bytes behind a name unwritten; what another table left there in the buffer is
 * no change.
 */
static void test_changed_of_two_tables(void **state)
{
    static const char comment[] = "-m comment --comment "
                                  "abcdefghijklmnopqrstuvwxyz-abcdefghijklmnopqrstuvwxyz-"
                                  "abcdefghijklmnopqrstuvwxyz-abcdefghijklmnopqrstuvwxyz-"
                                  "abcdefghijklmnopqrstuvwxyz-abcdefghijklmnopqrstuvwxyz-"
                                  "abcdefghijklmnopqrstuvwxyz-abcdefghijklmnopqrstuvwxyz";
    char words[384];

    (void)state;
    for (int i = 0; i < 8; i++) {
        snprintf(words, sizeof words, "-t nat -A PREROUTING %s -j ACCEPT", comment);
        ipt(words);
        ipt("-t raw -A PREROUTING -m conntrack --ctstate INVALID -j CT --notrack");
    }
    (void)look(AF_INET, NSH_TABLE_RAW, "OUTPUT");
    (void)look(AF_INET, NSH_TABLE_NAT, "OUTPUT");
    assert_int_equal(changed(NSH_TABLE_RAW), 0);
    assert_int_equal(changed(NSH_TABLE_RAW), 0);
    assert_int_equal(changed(NSH_TABLE_NAT), 0);
}

static void test_changed_after_commit(void **state)
{
    struct nsh_firewall_op jump = op_of(NSH_JUMP_ADD, CHAIN);

    (void)state;
    install(&masquerade_all, 1);
    assert_int_equal(changed(NSH_TABLE_NAT), 0);
    ipt("-t nat -F " CHAIN);
    assert_int_equal(changed(NSH_TABLE_NAT), 1);
    /* Also within a session, and other tables are apart. */
    open_write();
    observe(AF_INET, NSH_TABLE_NAT);
    assert_int_equal(changed(NSH_TABLE_NAT), 0);
    assert_int_equal(changed(NSH_TABLE_RAW), 1);
    commit(&jump, 1, NSH_FIREWALL_OK);
    assert_int_equal(changed(NSH_TABLE_NAT), 0);
    fw->ops->close(fw);
    ipt("-t nat -F");
    assert_int_equal(changed(NSH_TABLE_NAT), 1);
}

/* ---- what the kernel allows ---- */

static void test_probe(void **state)
{
    char why[WHY];
    int status;
    pid_t pid;

    (void)state;
    assert_int_equal(fw->ops->probe(fw, AF_INET, NSH_TABLE_NAT, why, sizeof why), 0);
    assert_int_equal(fw->ops->probe(fw, AF_INET6, NSH_TABLE_NAT, NULL, 0), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) { /* without capabilities */
        bool ok = setresuid(65534, 65534, 65534) == 0;

        nsh_firewall_free(fw);
        ok = ok && nsh_firewall_iptc_new(&fw) == 0 &&
             fw->ops->probe(fw, AF_INET, NSH_TABLE_NAT, why, sizeof why) == -EPERM &&
             strstr(why, "CAP_NET_RAW");
        nsh_firewall_free(fw);
        _exit(ok ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* MASQUERADE outside nat: the kernel refuses the table as a whole, and it is as it was. */
static void test_refused_by_kernel(void **state)
{
    struct nsh_chain want = {.rules = &masquerade_all, .n_rules = 1};
    struct nsh_firewall_op ops[] = {op_of(NSH_CHAIN_ADD, CHAIN), op_of(NSH_JUMP_ADD, CHAIN)};
    char why[WHY];

    (void)state;
    ops[0].want = &want;
    ops[0].table = ops[1].table = NSH_TABLE_RAW;
    snprintf(ops[1].hook, sizeof ops[1].hook, "OUTPUT");
    open_write();
    observe(AF_INET, NSH_TABLE_RAW);
    assert_int_equal(fw->ops->commit(fw, AF_INET, NSH_TABLE_RAW, ops, 2, why, sizeof why), -EINVAL);
    assert_ptr_equal(strstr(why, "IPv4 table raw: "), why);
    assert_int_equal(fw->ops->changed(fw, AF_INET, NSH_TABLE_RAW), 1);
    fw->ops->close(fw);
    assert_lists_not("-t raw -S", "NETSHARED");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fresh, done)

int main(void)
{
    const struct CMUnitTest tests[] = {
            TEST(test_rules_ipv4),
            TEST(test_rules_ipv6),
            TEST(test_any_device),
            TEST(test_other_rules),
            TEST(test_jumps_are_seen),
            TEST(test_jump_place),
            TEST(test_change_keeps_counters),
            TEST(test_stale_steps_are_refused),
            TEST(test_foreign_is_never_touched),
            TEST(test_delete_while_referenced),
            TEST(test_delete_in_any_order),
            TEST(test_longest_name),
            TEST(test_lock),
            TEST(test_reader_writes_nothing),
            TEST(test_race),
            TEST(test_reading_brings_nothing_into_being),
            TEST(test_changed),
            TEST(test_changed_by_order),
            TEST(test_a_look_hides_no_change),
            TEST(test_changed_of_two_tables),
            TEST(test_changed_after_commit),
            TEST(test_probe),
            TEST(test_refused_by_kernel),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
