/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "apply-rules.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "apply.h"
#include "cleanup.h"

#define BATCH 128
#define WHY_TEXT 160

struct failure {
    size_t op;
    int error;
    char why[WHY_TEXT];
};

/* Failures are told when the batch is over, so that whoever is told may use the fib. */
struct batch {
    struct nsh_fib_rule_op ops[BATCH];
    struct failure failures[BATCH];
    size_t n_failures;
};

static const char *error_text(int error)
{
    return error == -EEXIST ? "a rule that says the same stands there already"
                            : nsh_route_errno_text(error);
}

static void note_failure(void *userdata, size_t op, int error, const char *why)
{
    struct batch *b = userdata;
    struct failure *f;

    if (b->n_failures >= BATCH)
        return;
    f = &b->failures[b->n_failures++];
    f->op = op;
    f->error = error;
    snprintf(f->why, sizeof(f->why), "%s", why && why[0] != '\0' ? why : error_text(error));
}

static bool is_addition(const struct nsh_rule_step *s)
{
    return s->action == NSH_RULE_ADD || s->action == NSH_RULE_ADD_AGAIN;
}

static enum nsh_fib_rule_verb verb_of(const struct nsh_rule_step *s)
{
    if (!is_addition(s))
        return NSH_FIB_RULE_DELETE;
    return s->exclusive ? NSH_FIB_RULE_ADD : NSH_FIB_RULE_APPEND;
}

/* True if what follows may be done. */
static bool tell(const struct batch *b, const struct nsh_rule_step *steps, size_t n,
        nsh_rule_written *written, void *userdata)
{
    bool go_on = true;

    for (size_t i = 0, f = 0; i < n; i++) {
        const struct failure *failure = NULL;

        if (f < b->n_failures && b->failures[f].op == i)
            failure = &b->failures[f++];
        if (failure && !is_addition(&steps[i]) &&
                (failure->error == -ENOENT || failure->error == -ESRCH))
            failure = NULL;
        written(userdata, &steps[i], failure ? failure->error : 0, failure ? failure->why : "");
        if (failure && steps[i].action == NSH_RULE_ADD_AGAIN)
            go_on = false;
    }
    return go_on;
}

/* Steps of one kind, additions or deletions; *go_on as `tell` has it. */
static int write_steps(struct nsh_fib *fib, const struct nsh_rule_step *steps, size_t n,
        nsh_rule_written *written, void *userdata, bool *go_on)
{
    nsh_autofree struct batch *b = n > 0 ? malloc(sizeof(*b)) : NULL;

    if (n > 0 && !b)
        return -ENOMEM;
    for (size_t at = 0; at < n;) {
        size_t many = n - at < BATCH ? n - at : BATCH;
        int r;

        for (size_t i = 0; i < many; i++)
            b->ops[i] = (struct nsh_fib_rule_op){verb_of(&steps[at + i]), steps[at + i].rule};
        b->n_failures = 0;
        r = fib->ops->rules_submit(fib, b->ops, many, note_failure, b);
        if (r < 0)
            return r;
        *go_on = tell(b, steps + at, many, written, userdata) && *go_on;
        at += many;
    }
    return 0;
}

int nsh_apply_rules(struct nsh_fib *fib, const struct nsh_rule_plan *plan,
        nsh_rule_written *written, void *userdata)
{
    size_t n, additions = 0;
    const struct nsh_rule_step *steps = nsh_rule_plan_steps(plan, &n);
    bool go_on = true;
    int r;

    while (additions < n && is_addition(&steps[additions]))
        additions++;
    r = write_steps(fib, steps, additions, written, userdata, &go_on);
    if (r == 0 && go_on)
        r = write_steps(fib, steps + additions, n - additions, written, userdata, &go_on);
    return r;
}
