/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs a plan through a kernel contract and tells the outcome of each step.
 */
#pragma once

#include "plan.h"

enum nsh_route_outcome {
    NSH_WRITE_DONE,
    NSH_WRITE_OCCUPIED, /* ADD: the key is taken by a route that was not observed */
    NSH_WRITE_PENDING,  /* the kernel can't take it now; `why` is its own word */
    NSH_WRITE_REFUSED,  /* it will never take it in this process: permission, memory */
};

/*
 * Called once for each step, in order. `error` is 0 or negative errno; `why` are the kernel's
 * words, or a plain one for the errno when it gave none.
 */
typedef void nsh_route_written(void *userdata, const struct nsh_route_step *step,
        enum nsh_route_outcome outcome, int error, const char *why);

/*
 * 0, or negative errno when the socket failed. A deletion of what is gone already counts as done.
 */
int nsh_apply_routes(struct nsh_fib *fib, const struct nsh_desired *want,
        const struct nsh_route_plan *plan, nsh_route_written *written, void *userdata);

/*
 * One session's worth for one table: observe, plan, commit, again on RACED up to `tries` times.
 * The session is open. Steps made are in `plan` afterwards (none: nothing was to do). Returns an
 * enum nsh_firewall_outcome or negative errno with words in `ret_why`.
 */
int nsh_apply_firewall(struct nsh_firewall *fw, struct nsh_firewall_plan *plan, int family,
        enum nsh_table table, enum nsh_firewall_phase phase, int tries, char *ret_why, size_t size);
/* The same for a plan that was finished in this session: its steps come before another look. */
int nsh_apply_firewall_planned(struct nsh_firewall *fw, struct nsh_firewall_plan *plan, int family,
        enum nsh_table table, enum nsh_firewall_phase phase, int tries, char *ret_why, size_t size);

/* A plain sentence for an errno of a route operation: "Network is unreachable", … */
const char *nsh_route_errno_text(int error);
