/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of `plan` share: cmd-plan.c, cmd-plan-firewall.c cmd-plan-drops.c and
 * cmd-plan-output.c.
 */
#pragma once

#include <jansson.h>

#include "default-routes.h"
#include "judge.h"
#include "plan-rule.h"
#include "plan.h"
#include "reload.h"
#include "state.h"

struct plan_output {
    bool colour, failed;
    json_t *changes, *remarks; /* NULL: lines for people */
};

struct planner {
    struct plan_output output;
    struct nsh_fib *fib;
    struct nsh_firewall *firewall, *other; /* other: NULL: there is none */
    struct nsh_state *state;               /* NULL: nothing is known of before */
    struct nsh_desired *desired;
    struct nsh_desired *held; /* by another file, which stands for the kernel; NULL: the kernel */
    /* What was in force, for the kinds of policies that go: what was accepted, and what is tried.
     */
    struct nsh_loaded before[2];
    bool on_trial;
    struct nsh_default_routes defaults; /* as plan_compare_routes() has seen them */
    size_t changes;
    bool *altered;                    /* each chain, with which something is to be done */
    char (*reasons)[NSH_JUDGED_TEXT]; /* why each gate is closed */
};

/* Each 0 or negative errno; what has begun needs plan_output_done(). JSON is written at the end. */
int plan_output_begin(struct plan_output *out, bool json);
int plan_output_end(struct plan_output *out);
void plan_output_done(struct plan_output *out);

/* A change: "+ object", "- object" or "~ object". */
__attribute__((format(printf, 2, 3))) void plan_line(struct planner *p, const char *format, ...);
/* What is no change: "# ...". */
__attribute__((format(printf, 2, 3))) void plan_remark(struct planner *p, const char *format, ...);

void plan_standby(struct planner *p, const char *kind, const char *name, nsh_gate_id gate);
const char *plan_family(int family);

/* VRFs and links as they are, then which conditions hold, then the gateways that others learned. */
int plan_resolve(struct nsh_fib *fib, struct nsh_desired *d);
int plan_judge(struct planner *p);
int plan_learn(struct planner *p);
/*
 * What is to be done about routes and rules; flags (NSH_ROUTE_*, NSH_RULE_*) and plan become the
 * caller's. 0 or negative errno.
 */
int plan_compare_routes(struct planner *p, uint8_t **ret_flags, struct nsh_route_plan **ret);
int plan_compare_rules(struct planner *p, uint8_t **ret_flags, struct nsh_rule_plan **ret);
/* The gateway that the kernel would refuse now, or NULL: what a daemon calls pending. */
const struct nsh_nexthop *plan_unreachable(struct planner *p, const struct nsh_route_step *s,
        const struct nsh_route_step *steps, size_t n);
/* What is to be done, told. */
int plan_routes(struct planner *p);
int plan_rules(struct planner *p);
/* Policies that lack an interface, or IPv6. */
void plan_lacks(struct planner *p);
/* Policies that wait for something. */
void plan_standby_chains(struct planner *p);
/* Policies that rules of others drop: what is pending so is not wanted. 0 or negative errno. */
int plan_drops(struct planner *p);
/* What is left of ours in the other firewall, but for jumps and their chains that are wanted. */
int plan_other(struct planner *p, const struct nsh_desired *guests);
/* Jumps in chains of others, and what else of ours stands beside them. */
int plan_guests(struct planner *p);
/* 0 or negative errno. */
int plan_firewall(struct planner *p, enum nsh_firewall_phase phase);
