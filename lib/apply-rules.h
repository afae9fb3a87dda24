/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs a plan for rules through the kernel contract and tells the outcome of each step.
 */
#pragma once

#include "fib.h"
#include "plan-rule.h"

/*
 * Called once for each step that was tried, in order. `error` is 0 or negative errno; `why` are the
 * kernel's words, or plain ones when it gave none. A deletion of what is gone counts as done.
 */
typedef void nsh_rule_written(
        void *userdata, const struct nsh_rule_step *step, int error, const char *why);

/*
 * 0, or negative errno when the socket failed. Where a rule could not be written once more
 * (NSH_RULE_ADD_AGAIN), nothing is deleted: its only entry might go.
 */
int nsh_apply_rules(struct nsh_fib *fib, const struct nsh_rule_plan *plan,
        nsh_rule_written *written, void *userdata);
