/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apply.h"
#include "cleanup.h"

#define BATCH 256
#define WHY_TEXT 160

static const struct {
    int error;
    const char *text;
} errno_texts[] = {
        {EEXIST, "another route stands there already"},
        {EHOSTUNREACH, "the gateway cannot be reached"},
        {EINVAL, "the kernel refuses it in this form"},
        {ENETDOWN, "the device is down"},
        {ENETUNREACH, "the gateway cannot be reached now"},
        {ENODEV, "the device is not there"},
        {ENOENT, "it is not there"},
        {ESRCH, "it is not there"},
        {EPERM, "this needs the right to administer the network (CAP_NET_ADMIN)"},
        {EACCES, "this needs the right to administer the network (CAP_NET_ADMIN)"},
        {ENOMEM, "the kernel is out of memory"},
        {ENOBUFS, "the kernel is out of memory"},
        /* What it says of IPv6 with ipv6.disable=1: of routes the one, of rules the other. */
        {EOPNOTSUPP, "the kernel was built without it, or runs without IPv6"},
        {EAFNOSUPPORT, "the kernel was built without it, or runs without IPv6"},
        {EADDRNOTAVAIL, "the source address is not an address of this host now"},
};

const char *nsh_route_errno_text(int error)
{
    error = error < 0 ? -error : error;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(errno_texts); i++)
        if (errno_texts[i].error == error)
            return errno_texts[i].text;
    return strerror(error);
}

/* ---- routes ---- */

struct failure {
    size_t op;
    int error;
    char why[WHY_TEXT];
};

/*
 * Failures are noted down and told when the batch is over, so that whoever is told may use the
 * fib.
 */
struct batch {
    struct nsh_fib_op ops[BATCH];
    struct failure failures[BATCH];
    size_t n_failures;
};

static void note_failure(void *userdata, size_t op, int error, const char *why)
{
    struct batch *b = userdata;
    struct failure *f;

    if (b->n_failures >= BATCH)
        return;
    f = &b->failures[b->n_failures++];
    f->op = op;
    f->error = error;
    snprintf(f->why, sizeof(f->why), "%s",
            why && why[0] != '\0' ? why : nsh_route_errno_text(error));
}

static enum nsh_fib_verb verb_of(enum nsh_route_action action)
{
    switch (action) {
    case NSH_ROUTE_ADD:
        return NSH_FIB_ADD;
    case NSH_ROUTE_DELETE:
        return NSH_FIB_DELETE;
    case NSH_ROUTE_REPLACE:
    case NSH_ROUTE_ADOPT:
        break;
    }
    return NSH_FIB_REPLACE;
}

static enum nsh_route_outcome outcome_of(enum nsh_route_action action, int error)
{
    switch (-error) {
    case ESRCH:
    case ENOENT:
    case ENODEV:
    case ENXIO:
        return action == NSH_ROUTE_DELETE ? NSH_WRITE_DONE : NSH_WRITE_PENDING;
    case EEXIST:
        return action == NSH_ROUTE_ADD ? NSH_WRITE_OCCUPIED : NSH_WRITE_PENDING;
    case EPERM:
    case EACCES:
    case ENOMEM:
    case ENOBUFS:
    case EOPNOTSUPP:
    case EAFNOSUPPORT:
        return NSH_WRITE_REFUSED;
    default:
        return NSH_WRITE_PENDING;
    }
}

static void tell(const struct batch *b, const struct nsh_route_step *steps, size_t n,
        nsh_route_written *written, void *userdata)
{
    for (size_t i = 0, f = 0; i < n; i++) {
        enum nsh_route_outcome outcome = NSH_WRITE_DONE;
        const struct failure *failure = NULL;

        if (f < b->n_failures && b->failures[f].op == i) {
            failure = &b->failures[f++];
            outcome = outcome_of(steps[i].action, failure->error);
        }
        if (outcome == NSH_WRITE_DONE)
            written(userdata, &steps[i], outcome, 0, "");
        else
            written(userdata, &steps[i], outcome, failure->error, failure->why);
    }
}

int nsh_apply_routes(struct nsh_fib *fib, const struct nsh_desired *want,
        const struct nsh_route_plan *plan, nsh_route_written *written, void *userdata)
{
    nsh_autofree struct batch *b = NULL;
    const struct nsh_route_step *steps;
    size_t n_steps;

    steps = nsh_route_plan_steps(plan, &n_steps);
    if (n_steps == 0)
        return 0;
    b = malloc(sizeof(*b));
    if (!b)
        return -ENOMEM;
    for (size_t at = 0; at < n_steps;) {
        size_t n = n_steps - at < BATCH ? n_steps - at : BATCH;
        int r;

        for (size_t i = 0; i < n; i++)
            b->ops[i] = (struct nsh_fib_op){verb_of(steps[at + i].action), steps[at + i].route};
        b->n_failures = 0;
        r = fib->ops->submit(fib, want->links, b->ops, n, note_failure, b);
        if (r < 0)
            return r;
        tell(b, steps + at, n, written, userdata);
        at += n;
    }
    return 0;
}

/* ---- firewall ---- */

static int observe_chain(void *userdata, const struct nsh_chain_seen *chain)
{
    return nsh_firewall_plan_observe(userdata, chain);
}

static int commit(struct nsh_firewall *fw, const struct nsh_firewall_plan *plan, int family,
        enum nsh_table table, char *ret_why, size_t size)
{
    size_t n;
    const struct nsh_firewall_op *steps = nsh_firewall_plan_steps(plan, &n);

    return n == 0 ? NSH_FIREWALL_OK : fw->ops->commit(fw, family, table, steps, n, ret_why, size);
}

static int one_try(struct nsh_firewall *fw, struct nsh_firewall_plan *plan, int family,
        enum nsh_table table, enum nsh_firewall_phase phase, char *ret_why, size_t size)
{
    int r;

    nsh_firewall_plan_begin(plan);
    r = fw->ops->observe(fw, family, table, observe_chain, plan);
    if (r >= 0)
        r = nsh_firewall_plan_finish(plan, phase);
    if (r < 0) {
        snprintf(ret_why, size, "%s", strerror(-r));
        return r;
    }
    return commit(fw, plan, family, table, ret_why, size);
}

int nsh_apply_firewall(struct nsh_firewall *fw, struct nsh_firewall_plan *plan, int family,
        enum nsh_table table, enum nsh_firewall_phase phase, int tries, char *ret_why, size_t size)
{
    int r;

    do
        r = one_try(fw, plan, family, table, phase, ret_why, size);
    while (r == NSH_FIREWALL_RACED && --tries > 0);
    return r;
}

int nsh_apply_firewall_planned(struct nsh_firewall *fw, struct nsh_firewall_plan *plan, int family,
        enum nsh_table table, enum nsh_firewall_phase phase, int tries, char *ret_why, size_t size)
{
    int r = commit(fw, plan, family, table, ret_why, size);

    if (r != NSH_FIREWALL_RACED || tries <= 1)
        return r;
    return nsh_apply_firewall(fw, plan, family, table, phase, tries - 1, ret_why, size);
}
