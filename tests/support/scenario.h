/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Scenarios: what is wanted, what somebody does to it, and what must stand there afterwards;
 * written once and run against the fakes and against the real kernel.
 *
 * A world is a machine with links, routes and rules, spoken to in the words an administrator
 * uses. What it holds is read back as text, in the kernel world by the administrator's own tools,
 * so that a wrong reading and a wrong writing can't cancel out.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cleanup.h"
#include "desired.h"
#include "fib.h"
#include "firewall.h"

struct nsh_world;

struct nsh_world_ops {
    void (*free)(struct nsh_world *w);
    /*
     * "ip …", "iptables …", "ip6tables …", or "sysctl KEY=VALUE" with slashes in the key. Links
     * are made by "ip link add NAME" alone. 0, or anything else on failure.
     */
    int (*run)(struct nsh_world *w, const char *command);
    /* As `ip -N -o route show table all`. The caller's to free. */
    char *(*routes)(struct nsh_world *w, int family);
    /* As iptables-save for one table, "" if there is none. The caller's to free. */
    char *(*rules)(struct nsh_world *w, int family, enum nsh_table table, bool counters);
    /* Writes that reached it through the contracts; always 0 where that can't be counted. */
    size_t (*writes)(struct nsh_world *w);
};

struct nsh_world {
    const struct nsh_world_ops *ops;
    struct nsh_fib *fib;
    struct nsh_firewall *firewall;
};

int nsh_world_fake_new(struct nsh_world **ret);
/* A network namespace of its own, which the calling process enters. -EPERM without the right. */
int nsh_world_kernel_new(struct nsh_world **ret);
/* The same, with what is ours on nftables. */
int nsh_world_nft_new(struct nsh_world **ret);

static inline void nsh_world_free(struct nsh_world *w)
{
    if (w)
        w->ops->free(w);
}

/* What one reconcile did. */
struct nsh_converged {
    size_t route_steps;
    size_t firewall_steps;
    size_t sysctls;
    size_t pending;
    size_t conflicts;
    size_t refused; /* occupied ones too */
    char why[160];  /* the kernel's words for the last that is pending */
    char last[160]; /* the last route step, for messages */
};

struct nsh_scenario_run {
    struct nsh_world *world;
    struct nsh_desired *want;
    uint8_t *flags; /* one byte for each wanted route: NSH_ROUTE_WAS_HELD */
    struct nsh_converged done;
    const char *const *words; /* of the scenario's table entry */
};

struct nsh_scenario {
    const char *name;
    void (*run)(struct nsh_scenario_run *s);
    const char *const *words;
};

/* Each ends with a NULL name. */
extern const struct nsh_scenario nsh_scenarios_drift[];
extern const struct nsh_scenario nsh_scenarios_routes[];
extern const struct nsh_scenario nsh_scenarios_rules[];

/* Runs them all, each in a world of its own. The number of failures. */
int nsh_scenarios_main(int (*world_new)(struct nsh_world **ret));

/* ---- for the scenarios; each fails the test with words when it does not hold ---- */

/* Runs one command, which must succeed. */
void nsh_run(struct nsh_scenario_run *s, const char *command);
/* Several, up to NULL. */
void nsh_run_all(struct nsh_scenario_run *s, const char *const *commands);
/* What is wanted from now on, as a configuration file. */
void nsh_want(struct nsh_scenario_run *s, const char *yaml);
/* One reconcile: firewall up, forwarding, routes, firewall down. What it did is in s->done. */
void nsh_scenario_converge(struct nsh_scenario_run *s);
/* It did no less than everything: nothing pending, conflicting or refused. */
void nsh_assert_complete(struct nsh_scenario_run *s);
/* A further reconcile does nothing, and nothing changes by it, counters included. */
void nsh_assert_stable(struct nsh_scenario_run *s);

/* What carries our mark: routes of both families, rules, chains, forwarding. */
char *nsh_ours(struct nsh_scenario_run *s);
/* Everything else, with the counters of the rules. */
char *nsh_foreign(struct nsh_scenario_run *s);
/* Fails with the first lines that differ. */
void nsh_assert_same(const char *now, const char *before, const char *what);
/* The routes to these destinations, in the order of ip's own words, each with its newline. */
void nsh_assert_route(struct nsh_scenario_run *s, int family, const char *dst, const char *lines);
/* The rules of one chain, without "-A CHAIN ". */
void nsh_assert_chain(struct nsh_scenario_run *s, int family, enum nsh_table table,
        const char *chain, const char *rules);
