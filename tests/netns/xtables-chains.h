/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tests of chains in iptables share: looks, and commits of a policy's chain.
 */
#pragma once

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

static inline int collect(void *userdata, const struct nsh_chain_seen *c)
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

static inline void observe(int family, enum nsh_table table)
{
    n_seen = 0;
    assert_int_equal(fw->ops->observe(fw, family, table, collect, NULL), 0);
}

static inline const struct seen_chain *seen_chain(const char *name)
{
    for (size_t i = 0; i < n_seen; i++)
        if (strcmp(seen[i].name, name) == 0)
            return &seen[i];
    return NULL;
}

/* A look of its own, in a session of its own. */
static inline const struct seen_chain *look(int family, enum nsh_table table, const char *name)
{
    assert_int_equal(fw->ops->open(fw, NSH_FIREWALL_WRITE), NSH_FIREWALL_OK);
    observe(family, table);
    fw->ops->close(fw);
    return seen_chain(name);
}

static inline void open_write(void)
{
    assert_int_equal(fw->ops->open(fw, NSH_FIREWALL_WRITE), NSH_FIREWALL_OK);
}

static inline void commit_in(
        int family, enum nsh_table table, const struct nsh_firewall_op *ops, size_t n, int expected)
{
    char why[WHY] = "";
    int r = fw->ops->commit(fw, family, table, ops, n, why, sizeof why);

    if (r != expected)
        fail_msg("commit gave %d (%s), not %d", r, why, expected);
}

static inline void commit(const struct nsh_firewall_op *ops, size_t n, int expected)
{
    commit_in(AF_INET, NSH_TABLE_NAT, ops, n, expected);
}

static inline struct nsh_firewall_op op_of(enum nsh_firewall_verb verb, const char *chain)
{
    struct nsh_firewall_op op = {
            .verb = verb, .family = AF_INET, .table = NSH_TABLE_NAT, .index = UINT32_MAX};

    snprintf(op.chain, sizeof op.chain, "%s", chain);
    if (verb == NSH_JUMP_ADD || verb == NSH_JUMP_DELETE)
        snprintf(op.hook, sizeof op.hook, "POSTROUTING");
    return op;
}

static inline struct nsh_packet_rule rule(
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
static inline void install(const struct nsh_packet_rule *rules, size_t n)
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

#define TEST(f) cmocka_unit_test_setup_teardown(f, fresh, done)
