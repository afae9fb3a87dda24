/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel contract of lib/firewall.h kept in memory, with the habits of legacy iptables: a lock
 * that may be taken, a commit that is atomic and refused when somebody wrote since the table was
 * read, chains that can't go while a rule leads to them, counters.
 *
 * A struct nsh_firewall_fake is the kernel's tables and sets. Any number of contracts are opened on
 * it, each as a process of its own.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cleanup.h"
#include "firewall.h"

struct nsh_firewall_fake_counts {
    size_t probes;     /* asked whether there is a table */
    size_t opens;      /* sessions begun */
    size_t observes;   /* tables read */
    size_t commits;    /* commits that changed something */
    size_t steps;      /* steps in them */
    size_t set_reads;  /* sets read element by element */
    size_t set_writes; /* writes of a set that were done */
    size_t elements;   /* elements in them */
};

struct nsh_firewall_fake;

int nsh_firewall_fake_new(struct nsh_firewall_fake **ret);
/* The contracts opened on it go first. */
void nsh_firewall_fake_free(struct nsh_firewall_fake *f);
NSH_DEFINE_CLEANUP(struct nsh_firewall_fake *, nsh_firewall_fake_free)
int nsh_firewall_fake_open(struct nsh_firewall_fake *f, struct nsh_firewall **ret);

/*
 * What somebody else does, in the words of iptables(8): "iptables|ip6tables [-t TABLE]" and one of
 * -A, -I [N], -D (a rule or N), -R N, -F [CHAIN], -X [CHAIN], -N CHAIN, with `-c PACKETS BYTES`
 * for the counters. A rule that no value can express is kept as the words that were said. Negative
 * errno where iptables would fail; -EINVAL for words it does not know.
 */
int nsh_firewall_fake_iptables(struct nsh_firewall_fake *f, const char *words);
/*
 * The table as iptables-save writes it, from the first chain to the last rule, policies without
 * counters; "" when nobody has used the table yet. The caller's to free.
 */
char *nsh_firewall_fake_save(
        const struct nsh_firewall_fake *f, int family, enum nsh_table table, bool counters);
/*
 * The same in the words of ipset(8): "ipset create NAME hash:net [family inet6]", "destroy NAME",
 * "flush NAME", "add NAME PREFIX", "del NAME PREFIX", "swap NAME NAME".
 */
int nsh_firewall_fake_ipset(struct nsh_firewall_fake *f, const char *words);
/* The elements of a set, a line each, sorted; NULL: there is no such set. The caller's to free. */
char *nsh_firewall_fake_set(const struct nsh_firewall_fake *f, const char *name);
/* The names of all sets, a line each. The caller's to free. */
char *nsh_firewall_fake_set_names(const struct nsh_firewall_fake *f);
/* One packet goes by each rule. */
void nsh_firewall_fake_count_packet(struct nsh_firewall_fake *f);

/* The lock is held by somebody else for the next `sessions` attempts. */
void nsh_firewall_fake_busy(struct nsh_firewall_fake *f, unsigned sessions);
/*
 * Somebody writes without the lock right before each of the next `commits`, which are RACED.
 * `meanwhile` may be NULL.
 */
void nsh_firewall_fake_race(struct nsh_firewall_fake *f, unsigned commits,
        void (*meanwhile)(void *userdata), void *userdata);
/* The nth commit from now fails with this, changing nothing. */
void nsh_firewall_fake_fail_commit(
        struct nsh_firewall_fake *f, unsigned nth, int error, const char *why);
/* Every commit that makes or changes this chain fails; NULL: none does any more. */
void nsh_firewall_fake_fail_chain(struct nsh_firewall_fake *f, enum nsh_table table,
        const char *chain, int error, const char *why);
/* The same for the nth write of a set. */
void nsh_firewall_fake_fail_set_write(
        struct nsh_firewall_fake *f, unsigned nth, int error, const char *why);
/*
 * A chain of others that drops what is forwarded; "": there is none any more.
 */
enum nsh_firewall_fake_drop {
    NSH_FAKE_DROP_HOSTS,   /* a jump can stand there */
    NSH_FAKE_DROP_REFUSES, /* none can */
    NSH_FAKE_DROP_OURS,    /* it is the chain FORWARD of this firewall's own table filter */
};
void nsh_firewall_fake_drop(
        struct nsh_firewall_fake *f, const char *where, enum nsh_firewall_fake_drop how);
/* Whom the jump there lets through, "home 4, web 6"; "": none stands. */
const char *nsh_firewall_fake_guest(const struct nsh_firewall_fake *f);
/* Somebody takes it away. */
void nsh_firewall_fake_take_guest(struct nsh_firewall_fake *f);
/* Chains that have too many rules for a look; NULL: none. The text is not copied. */
void nsh_firewall_fake_unjudged(struct nsh_firewall_fake *f, const char *one, const char *another);
/* The nth write of one from now fails. */
void nsh_firewall_fake_fail_pass(struct nsh_firewall_fake *f, unsigned nth, int error);
/* From now on each change of a set is told. */
void nsh_firewall_fake_tell_sets(struct nsh_firewall_fake *f);
/* Each step of a set, reading and writing, is in progress so many times before it is over. */
void nsh_firewall_fake_delay_sets(struct nsh_firewall_fake *f, unsigned int times);
/* Who will have made the changes from now on; "": it can't be told. */
void nsh_firewall_fake_culprit(struct nsh_firewall_fake *f, uint32_t pid, const char *name);
/* Connections would stay translated without the rules. */
bool nsh_firewall_fake_holds(const struct nsh_firewall_fake *f, int family);
/* No such table in this kernel; error 0: there is one again. */
void nsh_firewall_fake_no_table(
        struct nsh_firewall_fake *f, int family, enum nsh_table table, int error, const char *why);
/* Nor any other of the family. */
void nsh_firewall_fake_unsupported(
        struct nsh_firewall_fake *f, int family, int error, const char *why);
const struct nsh_firewall_fake_counts *nsh_firewall_fake_counts(const struct nsh_firewall_fake *f);
