/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The iptables adapter against the kernel and against iptables itself: rules, chains and jumps.
 * Every test runs in a fresh
 * network namespace and under a lock file of its own.
 */
#include "xtables-chains.h"

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
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
