/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of `plan` share: cmd-plan.c and cmd-plan-firewall.c.
 */
#pragma once

#include "judge.h"
#include "plan.h"
#include "state.h"

struct planner {
    struct nsh_fib *fib;
    struct nsh_firewall *firewall;
    struct nsh_state *state; /* NULL: nothing is known of before */
    struct nsh_desired *desired;
    size_t changes;
    char (*reasons)[NSH_JUDGED_TEXT]; /* why each gate is closed */
};

/* A change. */
__attribute__((format(printf, 2, 3))) void plan_line(struct planner *p, const char *format, ...);
void plan_standby(const struct planner *p, const char *kind, const char *name, nsh_gate_id gate);
const char *plan_family(int family);

/* Policies that wait for something. */
void plan_standby_chains(const struct planner *p);
/* 0 or negative errno. */
int plan_firewall(struct planner *p, enum nsh_firewall_phase phase);
