/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A world for tests of the iptables adapter: a fresh network namespace and a lock file of its own
 * for every test, and iptables itself beside it.
 */
#pragma once

#include <stddef.h>

#include "firewall.h"

extern struct nsh_firewall *fw;
extern char lock_file[64];

/* Group fixtures: the directory with the lock files. Test fixtures: namespace and adapter. */
int make_dir(void **state);
int remove_dir(void **state);
int fresh(void **state);
int done(void **state);

/*
 * Runs a program with words separated by spaces, in which double quotes hold words together; its
 * standard output into `out` if given. The exit status.
 */
int run(const char *program, const char *words, char *out, size_t size);
/* "iptables-legacy", "ip6tables-legacy". */
const char *program(int family);
/* iptables, which has to succeed but in the first. */
int try_ipt(int family, const char *words);
void ipt(const char *words);
/* A program that does not know the lock. */
void ipt_unlocked(const char *words);
/* iptables' output, without touching the lock; static. */
const char *listing(int family, const char *words);
/* IPv4. */
void assert_lists(const char *words, const char *line);
void assert_lists_not(const char *words, const char *line);
