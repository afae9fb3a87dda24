/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel contract of lib/fib.h kept in memory, with the habits of a real kernel: aliases of an
 * IPv4 route, the merging of IPv6 nexthops, removals that tell nobody, gateways that must be
 * reachable, and the words that go with a refusal.
 *
 * A struct nsh_fib_fake is the kernel. Any number of contracts are opened on it, each as a process
 * of its own: it hears of what the others do and not of what it does itself. Everything else here
 * is what somebody else does, and what a test wants to know.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cleanup.h"
#include "fib.h"

/* The port id of nsh_fib_fake_ip and of those who have none of their own. */
#define NSH_FIB_FAKE_SOMEBODY 4242U

enum nsh_fib_fake_call {
    NSH_FIB_FAKE_DUMP_BEGIN,
    NSH_FIB_FAKE_DUMP_READ,
    NSH_FIB_FAKE_SUBMIT, /* the whole list: the socket fails */
    NSH_FIB_FAKE_WRITE,  /* one operation of a list */
    NSH_FIB_FAKE_RULES_DUMP,
    NSH_FIB_FAKE_RULES_WRITE, /* one operation of a list */
    NSH_FIB_FAKE_ADDRESSES,
    NSH_FIB_FAKE_LINKS,
    NSH_FIB_FAKE_LINK_INDEX,
    NSH_FIB_FAKE_LINK_NAME,
    NSH_FIB_FAKE_LOOKUP,
    NSH_FIB_FAKE_SYSCTL_GET,
    NSH_FIB_FAKE_SYSCTL_SET,
    NSH_FIB_FAKE_SYSCTL_EACH,
    NSH_FIB_FAKE_EVENTS_OPEN,
    NSH_FIB_FAKE_EVENTS_READ,
    NSH_FIB_FAKE_EVENTS_FOREIGN,
    NSH_FIB_FAKE_CALLS,
};

/* What was asked of the kernel through all contracts opened on it. */
struct nsh_fib_fake_counts {
    size_t calls[NSH_FIB_FAKE_CALLS];
    size_t writes; /* operations and sysctl writes that were accepted */
    size_t events; /* queued for somebody */
};

typedef bool nsh_fib_fake_judge(void *userdata, const struct nsh_fib_op *op);

struct nsh_fib_fake;

/* A kernel with `lo` up, forwarding off and accept_ra on. 0 or -ENOMEM. */
int nsh_fib_fake_new(struct nsh_fib_fake **ret);
/* The contracts opened on it go first. */
void nsh_fib_fake_free(struct nsh_fib_fake *k);
NSH_DEFINE_CLEANUP(struct nsh_fib_fake *, nsh_fib_fake_free)
int nsh_fib_fake_open(struct nsh_fib_fake *k, struct nsh_fib **ret);

/* Links. Index of the new one, or negative errno. */
int nsh_fib_fake_link_add(struct nsh_fib_fake *k, const char *name, bool up);
/* A VRF with this table: a link on which nothing is. */
int nsh_fib_fake_vrf_add(struct nsh_fib_fake *k, const char *name, uint32_t table);
/* Also what those left behind see of a link that moves to another namespace. */
int nsh_fib_fake_link_delete(struct nsh_fib_fake *k, const char *name);
int nsh_fib_fake_link_rename(struct nsh_fib_fake *k, const char *name, const char *new_name);
int nsh_fib_fake_link_up(struct nsh_fib_fake *k, const char *name, bool up);
/* Below 1280 bytes it loses its IPv6, which begins anew when it has them again. */
int nsh_fib_fake_link_mtu(struct nsh_fib_fake *k, const char *name, uint32_t mtu);
int nsh_fib_fake_link_carrier(struct nsh_fib_fake *k, const char *name, bool carrier);
/* 0: there is none. */
uint32_t nsh_fib_fake_link_index(const struct nsh_fib_fake *k, const char *name);

/* Addresses as "10.0.0.1/24"; the kernel's own routes come and go with them. */
int nsh_fib_fake_address_add(struct nsh_fib_fake *k, const char *dev, const char *address);
int nsh_fib_fake_address_delete(struct nsh_fib_fake *k, const char *dev, const char *address);
/* Whether duplicate address detection goes on; the routes are left as they are. */
int nsh_fib_fake_address_tentative(struct nsh_fib_fake *k, const char *address, bool tentative);

/*
 * Routes. The nexthops' devices stand in `ifindex` (0: the kernel chooses), whose change it is in
 * `sender`. `flags` are NLM_F_CREATE with EXCL (add), REPLACE, APPEND or nothing else (prepend).
 * The kernel's words, or "", come in ret_why, which may be NULL.
 */
int nsh_fib_fake_route_add(struct nsh_fib_fake *k, const struct nsh_route *route, uint16_t flags,
        uint32_t sender, const char **ret_why);
/* Protocol 0 and no nexthops: the first on the key. */
int nsh_fib_fake_route_delete(
        struct nsh_fib_fake *k, const struct nsh_route *route, uint32_t sender);

/* "lookup TABLE" for everything, protocol boot: a start to fill in. */
struct nsh_rule nsh_fib_fake_rule(uint8_t family, uint32_t priority, uint32_t table);
/* Deletion with protocol 0: whosever it is. */
int nsh_fib_fake_rule_write(struct nsh_fib_fake *k, const struct nsh_rule *rule,
        enum nsh_fib_rule_verb verb, uint32_t sender);
/* All but those at 0, as `ip rule flush`. */
void nsh_fib_fake_rule_flush(struct nsh_fib_fake *k, int family, uint32_t sender);
/* One a line as nsh_rule_format has it, and "proto N". The caller's to free. */
char *nsh_fib_fake_show_rules(const struct nsh_fib_fake *k, int family);

int nsh_fib_fake_sysctl_set(struct nsh_fib_fake *k, const char *key, int value);
int nsh_fib_fake_sysctl_get(const struct nsh_fib_fake *k, const char *key, int *ret);

/*
 * The same and more in the words of ip(8): "link add X", "link del X", "link set X up|down|name
 * Y", "addr add|del P dev X", "[-6] route add|replace|append|prepend|del …", "[-6] rule
 * add|append|del|flush …" (append: without NLM_F_EXCL). -EINVAL for words it does not know.
 */
int nsh_fib_fake_ip(struct nsh_fib_fake *k, const char *words);
/*
 * All routes of a family as `ip -N -o route show table all` writes them, but for spaces at the end
 * of a line and "pref medium". The caller's to free.
 */
char *nsh_fib_fake_show(const struct nsh_fib_fake *k, int family);

/* The nth call of this kind from now (1: the next) fails, and does nothing. */
void nsh_fib_fake_fail(
        struct nsh_fib_fake *k, enum nsh_fib_fake_call call, unsigned nth, int error);
/* Every operation the judge says true to fails with `error`. NULL: none any more. */
void nsh_fib_fake_fail_if(
        struct nsh_fib_fake *k, nsh_fib_fake_judge *judge, void *userdata, int error);
/* Events a queue holds before they are lost. */
void nsh_fib_fake_set_queue(struct nsh_fib_fake *k, size_t limit);
/*
 * How a read of the events tells them, all in their order: each once, each twice, or only half of
 * what is queued, and the others, late, with the next read.
 */
enum nsh_fib_fake_telling { NSH_FIB_FAKE_ONCE, NSH_FIB_FAKE_TWICE, NSH_FIB_FAKE_LATE };
void nsh_fib_fake_set_telling(struct nsh_fib_fake *k, enum nsh_fib_fake_telling telling);
/* Routes that one read of a dump tells of. */
void nsh_fib_fake_set_chunk(struct nsh_fib_fake *k, size_t routes);
const struct nsh_fib_fake_counts *nsh_fib_fake_counts(const struct nsh_fib_fake *k);
