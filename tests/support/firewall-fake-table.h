/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of the fake firewall share. Tests include firewall-fake.h.
 */
#pragma once

#include "desired.h"
#include "firewall-fake.h"

#define FAKE_RULE_TEXT NSH_PACKET_RULE_TEXT

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

/* Sorted by nsh_prefix_cmp. */
struct fake_set {
    char name[NSH_SET_NAME];
    uint8_t family;
    struct nsh_prefix *elements;
    size_t n;
};

/* The nth from now fails; 0: none does. */
struct fake_failure {
    unsigned nth;
    int error;
    char why[128];
};

struct fake_refusal {
    int error; /* 0: it is not refused */
    char why[128];
};

struct nsh_firewall_fake {
    struct fake_table tables[NSH_FAMILIES][NSH_TABLE_COUNT];
    struct fake_set *sets;
    size_t n_sets;
    const void *locked_by; /* the contract with a session for writing */
    unsigned busy;
    unsigned races;
    void (*meanwhile)(void *userdata);
    void *meanwhile_userdata;
    struct fake_failure commit_failure, set_failure, pass_failure;
    char dropper[64]; /* the chain of others; "": none */
    enum nsh_firewall_fake_drop drop;
    char guest[256];                    /* whom the jump there lets through */
    const char *unjudged[2];            /* others' chains that are not all judged; NULL: none */
    unsigned drops;                     /* changes of these three by others */
    unsigned int set_delay, set_delays; /* how often a step of a set is not over yet */
    bool set_writing, set_dropped, sets_told;
    int set_result; /* of what is being written */
    char set_why[256];
    struct fake_refusal refusal; /* of refused_chain in refused_table */
    enum nsh_table refused_table;
    char refused_chain[NSH_CHAIN_NAME];
    struct fake_refusal unsupported[NSH_FAMILIES][NSH_TABLE_COUNT];
    struct nsh_firewall_culprit culprit;
    bool holds[NSH_FAMILIES];
    struct nsh_firewall_fake_counts counts;
};

/* How a set looked when it was last read or written under the lock: as an ipset's header tells. */
struct fake_known_set {
    char name[NSH_SET_NAME];
    size_t n;
};

/* An open contract. */
struct fake_handle {
    struct nsh_firewall fw; /* first: handed out */
    struct nsh_firewall_fake *f;
    bool open;
    enum nsh_firewall_mode mode;
    char *known[NSH_FAMILIES][NSH_TABLE_COUNT]; /* the table when last observed or committed */
    struct fake_known_set *known_sets;
    size_t n_known_sets;
    unsigned drops_known;
};

static inline struct fake_handle *fake_handle_of(struct nsh_firewall *fw)
{
    return (struct fake_handle *)fw;
}

static inline struct fake_table *fake_table_of(
        struct nsh_firewall_fake *f, int family, enum nsh_table table)
{
    return &f->tables[nsh_family_index(family)][table];
}

void fake_say(char *ret_why, size_t size, const char *why);
/* What a test arranged for this one: 0, or how it ends. */
int fake_fail(struct fake_failure *f, char *ret_why, size_t size);
int fake_remember(struct fake_handle *h, int family, enum nsh_table table);
/* 1: somebody wrote since it was remembered. */
int fake_differs(struct fake_handle *h, int family, enum nsh_table table);

/* firewall-fake-commit.c */
int fake_commit(struct nsh_firewall *fw, int family, enum nsh_table table,
        const struct nsh_firewall_op *ops, size_t n, char *ret_why, size_t size);

/* firewall-fake-set.c */
struct fake_set *fake_set_find(const struct nsh_firewall_fake *f, const char *name);
void fake_sets_clear(struct nsh_firewall_fake *f);
int fake_sets(struct nsh_firewall *fw, int family, nsh_set_observed *observed, void *userdata);
int fake_set_read(struct nsh_firewall *fw, int family, const char *name,
        nsh_set_element_observed *observed, void *userdata);
void fake_set_drop(struct nsh_firewall *fw);
int fake_set_write(
        struct nsh_firewall *fw, const struct nsh_set_op *op, char *ret_why, size_t size);
int fake_set_changed(struct nsh_firewall *fw, int family, const char *name);

/* firewall-fake-pass.c */
int fake_pass(struct nsh_firewall *fw, enum nsh_firewall_mode mode, bool holds,
        struct nsh_passage *passages, size_t n, nsh_guest_told *told, void *userdata);
int fake_pass_changed(struct nsh_firewall *fw);

/* firewall-fake-words.c */
/* The words of a rule as a value; -EINVAL if they say anything a value can't. */
int fake_rule_parse(
        const struct fake_table *t, char *const *words, size_t n, struct nsh_packet_rule *ret);

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
/* -ENOENT if the rule leads to a chain, or refers to a set, that is not there. */
int fake_rule_check(const struct nsh_firewall_fake *f, const struct fake_table *t,
        const struct fake_rule *rule);
bool fake_rule_same(const struct fake_rule *a, const struct fake_rule *b);
/* The rule as a value, and in words. */
void fake_rule_set(struct fake_rule *ret, const struct nsh_packet_rule *rule);
