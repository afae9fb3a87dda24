/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of the fake firewall share. Tests include firewall-fake.h.
 */
#pragma once

#include "desired.h"
#include "firewall-fake.h"

#define FAKE_RULE_TEXT 160

/* A rule; a foreign one (NSH_PACKET_OTHER) is nothing but its words. */
struct fake_rule {
    struct nsh_packet_rule rule;
    char text[FAKE_RULE_TEXT];
    uint64_t packets, bytes;
};

struct fake_chain {
    char name[NSH_CHAIN_NAME];
    bool builtin;
    struct fake_rule *rules;
    size_t n_rules;
};

struct fake_table {
    bool used; /* instantiated */
    struct fake_chain *chains;
    size_t n_chains;
};

struct nsh_firewall_fake {
    struct fake_table tables[NSH_FAMILIES][NSH_TABLE_COUNT];
    const void *locked_by; /* the contract with a session for writing */
    unsigned busy;
    unsigned races;
    void (*meanwhile)(void *userdata);
    void *meanwhile_userdata;
    unsigned fail_nth;
    int fail_error;
    char fail_why[128];
    int unsupported[NSH_FAMILIES];
    char unsupported_why[NSH_FAMILIES][128];
    struct nsh_firewall_fake_counts counts;
};

/* Makes the built-in chains of a table, if it was not used before. */
int fake_table_use(struct fake_table *t, enum nsh_table table);
void fake_table_clear(struct fake_table *t);
int fake_table_copy(const struct fake_table *from, struct fake_table *ret);
struct fake_chain *fake_table_find(const struct fake_table *t, const char *name);
char *fake_table_save(const struct fake_table *t, bool counters);

/* 0, or -EEXIST, -ENOMEM. */
int fake_chain_add(struct fake_table *t, const char *name, bool builtin);
/* Flushes and removes it: -EMLINK while a rule leads to it, and then nothing is done. */
int fake_chain_remove(struct fake_table *t, const char *name);
void fake_chain_flush(struct fake_chain *c);
/* -E2BIG beyond the end. */
int fake_rule_insert(struct fake_chain *c, size_t at, const struct fake_rule *rule);
int fake_rule_remove(struct fake_chain *c, size_t at);
/* -ENOENT if the rule leads to a chain that is not there. */
int fake_rule_check(const struct fake_table *t, const struct fake_rule *rule);
bool fake_rule_same(const struct fake_rule *a, const struct fake_rule *b);
/* The rule as a value, and in words. */
void fake_rule_set(struct fake_rule *ret, const struct nsh_packet_rule *rule);
