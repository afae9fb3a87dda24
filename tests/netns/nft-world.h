/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tests of the nftables adapter share: a fresh network namespace for each, nft(8), and the
 * contract's calls with what must come of them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cleanup.h"
#include "firewall.h"

#define SEEN_RULES 128

struct seen_chain {
    char name[32];
    bool builtin;
    struct nsh_packet_rule rules[SEEN_RULES];
    size_t n_rules;
    struct nsh_jump_seen jumps[16];
    size_t n_jumps;
    uint32_t n_total, first_foreign;
};

extern struct nsh_firewall *fw;

/* For cmocka: a network namespace and an adapter of the test's own. */
int world_fresh(void **state);
int world_done(void **state);

/* A program with words separated by spaces; its exit code, its output into `out` if given. */
int run(const char *program, const char *words, char *out, size_t size);
/* nft with one command as it is; it must succeed. */
void nft(const char *format, ...) __attribute__((format(printf, 1, 2)));
int try_nft(const char *command);
/* What an nft command prints, in older words (older-words.h). Static. */
const char *listing(const char *command);
void assert_lists(const char *command, const char *text);
void assert_lists_not(const char *command, const char *text);

void open_write(void);
void observe(int family, enum nsh_table table);
const struct seen_chain *seen_chain(const char *name);
/* A session of its own. */
const struct seen_chain *look(int family, enum nsh_table table, const char *chain);
void commit_in(int family, enum nsh_table table, const struct nsh_firewall_op *ops, size_t n,
        int expected);
/* Adds a chain with a jump from the hook, in one commit, in a session of its own. */
void install_in(int family, enum nsh_table table, const char *hook, const char *chain,
        const struct nsh_packet_rule *rules, size_t n);
/* NETSHARED-home from POSTROUTING, IPv4. */
void install(const struct nsh_packet_rule *rules, size_t n);
struct nsh_firewall_op op_of(
        enum nsh_firewall_verb verb, int family, enum nsh_table table, const char *chain);
/* Whether the hint's descriptor is readable within a second. */
bool hinted(void);
