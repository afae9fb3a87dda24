/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The difference between what is wanted and what is observed, as ordered operations. Pure: no
 * I/O, no clock, no log. It is fed what is observed one value at a time (begin, observe…, finish)
 * and keeps a byte for each wanted route, never the observed set.
 *
 * Nothing foreign is touched: an observed route or chain without our mark is left out of account,
 * but for a route on a wanted key. Such a route is adopted if it is otherwise equal, and else
 * conflicting, unless `on_conflict` says replace or the key was held before.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "desired.h"
#include "fib.h"
#include "firewall.h"

/* ---- routes ---- */

/* What is known of a wanted route from before; one byte each, kept by the caller. */
#define NSH_ROUTE_WAS_HELD 0x01U /* netshared held this key: a replacement is drift */
#define NSH_ROUTE_SKIP 0x02U     /* not to be written now (backing off, or its device is absent) */
/* Not wanted now: it is not written, and if ours stands there, that goes as what is not wanted. */
#define NSH_ROUTE_WITHDRAWN 0x04U

enum nsh_route_action {
    NSH_ROUTE_ADD,     /* nothing stands on the key */
    NSH_ROUTE_REPLACE, /* ours differs, or a foreign one is to go */
    NSH_ROUTE_ADOPT,   /* a foreign one that is otherwise equal gets our mark */
    NSH_ROUTE_DELETE,  /* carries our mark and is not wanted, or stands beside what is */
};

struct nsh_route_step {
    enum nsh_route_action action;
    size_t wanted; /* index into the wanted routes; SIZE_MAX for DELETE of an unwanted one */
    struct nsh_route route; /* what is written or deleted; protocol set */
};

enum nsh_route_verdict {
    NSH_ROUTE_UNKNOWN,  /* not looked at in this scope */
    NSH_ROUTE_RIGHT,    /* stands as wanted; no step */
    NSH_ROUTE_WRONG,    /* a step mends it, or would but for SKIP */
    NSH_ROUTE_CONFLICT, /* a foreign route holds the key */
};

enum nsh_route_scope {
    /* Every route of our protocol was fed, foreign ones were not: a missing route may be taken. */
    NSH_SCOPE_OURS,
    /* Every route on the wanted keys was fed, ours or not, and every route of our protocol. */
    NSH_SCOPE_ALL,
    /* Only the keys given to begin are judged; all that stands on them was fed. */
    NSH_SCOPE_KEYS,
};

struct nsh_route_plan;

/*
 * `flags` has one byte for each wanted route (NSH_ROUTE_*), both outlive the plan. `also_ours` is
 * a second protocol that marks ours (the one used before a reload changed it), 0: none.
 */
int nsh_route_plan_new(const struct nsh_desired *want, const uint8_t *flags, uint8_t also_ours,
        struct nsh_route_plan **ret);
void nsh_route_plan_free(struct nsh_route_plan *p);

/* Starts anew. `keys` are indexes of wanted routes, for NSH_SCOPE_KEYS. 0 or -ENOMEM. */
int nsh_route_plan_begin(
        struct nsh_route_plan *p, enum nsh_route_scope scope, const size_t *keys, size_t n_keys);
/* One observed route, normalised, in the order of the kernel's dump. 0 or -ENOMEM. */
int nsh_route_plan_observe(struct nsh_route_plan *p, const struct nsh_route *seen);
/*
 * Without a look at the kernel: the wanted route itself counts as observed.
 */
void nsh_route_plan_hold(struct nsh_route_plan *p, size_t wanted);
/*
 * What stands on the key is known from elsewhere and seen to there, whenever that comes between
 * begin and the last step: this comparison has no verdict and no further step for it.
 */
void nsh_route_plan_settle(struct nsh_route_plan *p, size_t wanted);
/*
 * Closes the comparison. Steps are ordered so that they can be written one after the other:
 * additions and replacements before deletions; routes without a gateway before those that may
 * resolve through them; deletions the other way round. The exception are deletions of ours on a
 * wanted key (`wanted` is set), each right before the write of that key: the kernel replaces the
 * first of a key and refuses a second equal one, and may take a deletion to mean the right one.
 */
int nsh_route_plan_finish(struct nsh_route_plan *p);
/*
 * The same in pieces, for a caller with other work in between. First judge, until it returns 0:
 * each call gives the verdicts of up to `most` further wanted routes, those from *ret_from up to
 * *ret_to in the scopes OURS and ALL. Then writes, until it returns 0: each call makes the steps of
 * up to `most` further keys the plan's steps, about `steps` at a time. And in the same way
 * deletions, of what is not wanted at all. NSH_ROUTE_SKIP may still be set in between. 1: there is
 * more; -ENOMEM.
 */
int nsh_route_plan_judge(struct nsh_route_plan *p, size_t most, size_t *ret_from, size_t *ret_to);
int nsh_route_plan_writes(struct nsh_route_plan *p, size_t most, size_t steps);
int nsh_route_plan_deletions(struct nsh_route_plan *p, size_t most, size_t steps);
/* Routes of ours on no wanted key that were observed. */
size_t nsh_route_plan_unwanted(const struct nsh_route_plan *p);

const struct nsh_route_step *nsh_route_plan_steps(const struct nsh_route_plan *p, size_t *ret_n);
enum nsh_route_verdict nsh_route_plan_verdict(const struct nsh_route_plan *p, size_t wanted);
/* A foreign route that takes traffic from a wanted one and leaves its key alone. */
struct nsh_route_shadow {
    size_t wanted;
    struct nsh_route by;
};
/*
 * Those seen in NSH_SCOPE_ALL, one for a wanted route at most, in the order of these; valid until
 * the next begin.
 */
const struct nsh_route_shadow *nsh_route_plan_shadows(
        const struct nsh_route_plan *p, size_t *ret_n);
/* The foreign route in a CONFLICT, valid until the next begin; NULL for other verdicts. */
const struct nsh_route *nsh_route_plan_conflict(const struct nsh_route_plan *p, size_t wanted);

/* True if a route of ours stands on the key that is not the wanted one: from before, as yet. */
bool nsh_route_plan_stands(const struct nsh_route_plan *p, size_t wanted);

/* ---- firewall ---- */

enum nsh_firewall_phase {
    NSH_PHASE_UP,   /* what is missing or wrong; unwanted chains stay */
    NSH_PHASE_DOWN, /* what is not wanted goes */
};

struct nsh_firewall_plan;

/* For one family and table; `want` outlives the plan. */
int nsh_firewall_plan_new(const struct nsh_desired *want, int family, enum nsh_table table,
        struct nsh_firewall_plan **ret);
void nsh_firewall_plan_free(struct nsh_firewall_plan *p);
void nsh_firewall_plan_begin(struct nsh_firewall_plan *p);
/*
 * One observed chain. For ours the common head and tail are kept and what is between is replaced,
 * so that the counters of unchanged rules survive. 0 or -ENOMEM.
 */
int nsh_firewall_plan_observe(struct nsh_firewall_plan *p, const struct nsh_chain_seen *seen);
/*
 * Steps of the phase, in an order in which each step's index holds when it runs. UP leaves exactly
 * one plain jump to each wanted chain, in file order (position first before every foreign rule),
 * keeping jumps that are right already. DOWN removes other jumps to ours, and unwanted chains.
 */
int nsh_firewall_plan_finish(struct nsh_firewall_plan *p, enum nsh_firewall_phase phase);
const struct nsh_firewall_op *nsh_firewall_plan_steps(
        const struct nsh_firewall_plan *p, size_t *ret_n);
/* True if the wanted chain of this index (into want->chains) needs a step of phase UP. */
bool nsh_firewall_plan_touches(const struct nsh_firewall_plan *p, size_t chain);
/*
 * What is wrong with it, in a word for journal and `plan`: "missing", "flushed",
 * "2 of 5 rules changed", "2 rules with device eth0, not eth1", "jump missing", "jump doubled",
 * "jump altered", "out of order"; "" when nothing is.
 */
const char *nsh_firewall_plan_reason(const struct nsh_firewall_plan *p, size_t chain);
/*
 * The first foreign rule before the jump to the wanted chain that could take what the chain is for,
 * of those that were observed with the built-in chain; NULL: there is none. Until the next begin.
 */
const struct nsh_ahead_seen *nsh_firewall_plan_ahead(
        const struct nsh_firewall_plan *p, size_t chain);

/* ---- sets ---- */

struct nsh_set_plan;

/* Of one wanted set, which outlives the plan. */
int nsh_set_plan_new(const struct nsh_set *want, struct nsh_set_plan **ret);
void nsh_set_plan_free(struct nsh_set_plan *p);
/* Starts anew; `present`: there is such a set. */
void nsh_set_plan_begin(struct nsh_set_plan *p, bool present);
/*
 * One element of it, in any order; the wanted order costs least. Those that are not wanted are kept
 * only as long as they may be taken out one by one. 0 or -ENOMEM.
 */
int nsh_set_plan_observe(struct nsh_set_plan *p, const struct nsh_prefix *element);
/* 0 or -ENOMEM. */
int nsh_set_plan_finish(struct nsh_set_plan *p);
/*
 * NULL: it stands as wanted. CREATE where there is none; REPLACE when more than half of it would
 * have to be written, counted by what is wanted, or something else than prefixes is in it; else
 * UPDATE. Valid until the next begin.
 */
const struct nsh_set_op *nsh_set_plan_op(const struct nsh_set_plan *p);
/* "missing", "lacked 3 of 100000 prefixes", "held 2 prefixes too many", or both; "": nothing. */
const char *nsh_set_plan_reason(const struct nsh_set_plan *p);
