/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of `plan` share: cmd-plan.c, cmd-plan-firewall.c and cmd-plan-drops.c.
 */
#pragma once

#include "judge.h"
#include "plan.h"
#include "state.h"

struct planner {
    struct nsh_fib *fib;
    struct nsh_firewall *firewall, *other;
    struct nsh_state *state; /* NULL: nothing is known of before */
    struct nsh_desired *desired;
    size_t changes;
    char (*reasons)[NSH_JUDGED_TEXT]; /* why each gate is closed */
};

/* A change. */
__attribute__((format(printf, 2, 3))) void plan_line(struct planner *p, const char *format, ...);
void plan_standby(const struct planner *p, const char *kind, const char *name, nsh_gate_id gate);
const char *plan_family(int family);

/* What is no change. */
__attribute__((format(printf, 1, 2))) void plan_remark(const char *format, ...);
/* Policies that wait for something. */
void plan_standby_chains(const struct planner *p);
/* Policies that rules of others drop: what is pending so is not wanted. 0 or negative errno. */
int plan_drops(struct planner *p);
/* Jumps in chains of others. */
int plan_guests(struct planner *p);
/* 0 or negative errno. */
int plan_firewall(struct planner *p, enum nsh_firewall_phase phase);
