/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The difference between the policy routing rules that are wanted and those observed, as ordered
 * steps. Pure. It is fed what is observed one rule at a time and keeps only ours: rules of another
 * protocol are never touched, even those that say the same.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "desired.h"

#define NSH_RULE_SKIP 0x01U /* not to be written now: backing off */
/* Not wanted now: it is not written, and if it stands there, it goes as what is not wanted. */
#define NSH_RULE_WITHDRAWN 0x08U

enum nsh_rule_action {
    NSH_RULE_ADD, /* it is missing */
    /* It stands, and is written once more behind, since a deletion that follows would take it. */
    NSH_RULE_ADD_AGAIN,
    NSH_RULE_DELETE,        /* carries our mark and is not wanted */
    NSH_RULE_DELETE_DOUBLE, /* it is wanted, and stands more often than once */
};

struct nsh_rule_step {
    enum nsh_rule_action action;
    size_t wanted;        /* index into the wanted rules; SIZE_MAX for DELETE */
    bool exclusive;       /* of an addition: nothing that stands there makes NLM_F_EXCL refuse it */
    struct nsh_rule rule; /* protocol set */
};

struct nsh_rule_plan;

/*
 * `flags` has one byte for each wanted rule (NSH_RULE_SKIP), both outlive the plan. `also_ours` is
 * a second protocol that marks ours (the one used before a reload changed it), 0: none.
 */
int nsh_rule_plan_new(const struct nsh_desired *want, const uint8_t *flags, uint8_t also_ours,
        struct nsh_rule_plan **ret);
void nsh_rule_plan_free(struct nsh_rule_plan *p);
/* Starts anew. */
void nsh_rule_plan_begin(struct nsh_rule_plan *p);
/* One observed rule, normalised, in the order of the kernel's dump. 0 or -ENOMEM. */
int nsh_rule_plan_observe(struct nsh_rule_plan *p, const struct nsh_rule *seen);
/*
 * Closes the comparison. Additions come before deletions. With more than `most` steps to do, the
 * rest is left to a further plan, made when these are done. 0 or -ENOMEM.
 */
int nsh_rule_plan_finish(struct nsh_rule_plan *p, size_t most);

const struct nsh_rule_step *nsh_rule_plan_steps(const struct nsh_rule_plan *p, size_t *ret_n);
/* True if something was left. */
bool nsh_rule_plan_more(const struct nsh_rule_plan *p);
/* True if the wanted rule stands already. */
bool nsh_rule_plan_stands(const struct nsh_rule_plan *p, size_t wanted);
/* True if a rule with the second protocol was observed. */
bool nsh_rule_plan_saw_earlier(const struct nsh_rule_plan *p);
