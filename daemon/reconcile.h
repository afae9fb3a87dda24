/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one place that makes the kernel so.
 *
 * Everything else only marks: an event, a timer, a new configuration leave a note of what may be
 * wrong, and nsh_reconciler_run compares just that and mends it. It knows no event loop: time
 * comes through a hook, and it says when it wants to be run again. It works on the two kernel
 * contracts alone, so that it runs against the fakes as well.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "desired.h"
#include "fib.h"
#include "firewall.h"
#include "objects.h"
#include "report.h"
#include "state.h"

struct nsh_reconciler;

struct nsh_reconciler_hooks {
    void *userdata;
    uint64_t (*now)(void *userdata); /* CLOCK_BOOTTIME, microseconds */
    void (*report)(void *userdata, const struct nsh_report *report);
};

/* Why a configuration comes into force. */
enum nsh_occasion {
    NSH_OCCASION_START,
    NSH_OCCASION_RELOAD,
    NSH_OCCASION_STOP, /* all of ours is taken away */
};

/* What others do that held up the last pass; what is to be written waits for it. */
enum nsh_obstacle {
    NSH_OBSTACLE_NONE,
    NSH_OBSTACLE_LOCK,    /* another program holds the xtables lock */
    NSH_OBSTACLE_CHANGES, /* what was looked at changed meanwhile */
    NSH_OBSTACLES,
};

struct nsh_counts {
    size_t routes[NSH_OBJECT_STATES];
    size_t rules[NSH_OBJECT_STATES];
    size_t policies[NSH_OBJECT_STATES]; /* a policy of both families counts once, as the worse one
                                         */
    size_t sets[NSH_OBJECT_STATES];
    size_t forwarding[NSH_OBJECT_STATES];
    size_t probes[NSH_OBJECT_STATES]; /* routes and rules by which probes of checks leave */
};

/* One object as `status` shows it. Strings are valid during the call. */
struct nsh_object_view {
    const char *kind; /* "route", "rule", "set", "forwarding", "probe route", "probe rule"; or the
                         noun of a policy */
    const char *name;
    const char *policy; /* its name alone; NULL: this is none */
    uint8_t family;     /* of a policy */
    enum nsh_object_state state;
    const char *reason;                /* NULL: none */
    const struct nsh_repairs *repairs; /* NULL: none */
    const char *path;                  /* NULL: not from a file */
    uint32_t line;
};

/*
 * `fib`, `firewall` and `state` stay the caller's and outlive it; `state` may be NULL (nothing is
 * remembered). `hooks` is copied.
 */
int nsh_reconciler_new(struct nsh_fib *fib, struct nsh_firewall *firewall, struct nsh_state *state,
        const struct nsh_reconciler_hooks *hooks, struct nsh_reconciler **ret);
void nsh_reconciler_free(struct nsh_reconciler *r);
/*
 * From now on the policies are to be in `firewall`, and nothing of ours in `other`: it goes when
 * they hold. Both stay the caller's and outlive it; `other` may be NULL.
 */
void nsh_reconciler_use(
        struct nsh_reconciler *r, struct nsh_firewall *firewall, struct nsh_firewall *other);

/*
 * Takes what is wanted from now on, on success only. What is known of objects that stay wanted is
 * carried over. Everything is marked.
 */
int nsh_reconciler_set(
        struct nsh_reconciler *r, struct nsh_desired *desired, enum nsh_occasion why);
const struct nsh_desired *nsh_reconciler_desired(const struct nsh_reconciler *r);

/* Marks. */
void nsh_reconciler_event(struct nsh_reconciler *r, const struct nsh_fib_event *event);
void nsh_reconciler_resync(struct nsh_reconciler *r);
/*
 * A check's gate of the present configuration is open or closed from now on; `reason` is why ("no
 * answer 3 times", "after 14 s"). That it is so already is no news. Conditions the reconciler
 * judges itself.
 */
void nsh_reconciler_gate(struct nsh_reconciler *r, nsh_gate_id gate, bool open, const char *reason);
/* The rule stands by which the probes of a check find their nexthop. */
bool nsh_reconciler_leads_probes(const struct nsh_reconciler *r, nsh_gate_id gate);

/* Looks at what sends no events, cheaply, and marks what changed. */
void nsh_reconciler_poll(struct nsh_reconciler *r);
/* True while there is something to poll for. */
bool nsh_reconciler_wants_poll(const struct nsh_reconciler *r);
/* Whether what changes in the firewall that does not hold the policies matters to it as well. */
bool nsh_reconciler_wants_other(const struct nsh_reconciler *r);

/*
 * One pass over what is marked. 0; or a negative errno when the kernel could not be asked at all:
 * the marks then stay, and nsh_reconciler_next says when to try again.
 */
int nsh_reconciler_run(struct nsh_reconciler *r);
/* True when run has something to do now. */
bool nsh_reconciler_due(const struct nsh_reconciler *r);
/* When run should be called without a new mark (backing off, a held lock); UINT64_MAX: never. */
uint64_t nsh_reconciler_next(const struct nsh_reconciler *r);
/* True once everything that is wanted has been compared and, where possible, written. */
bool nsh_reconciler_complete(const struct nsh_reconciler *r);
/* False when something that was switched on was not given back and should be, which was told. */
bool nsh_reconciler_gave_back(const struct nsh_reconciler *r);
enum nsh_obstacle nsh_reconciler_obstacle(const struct nsh_reconciler *r);

void nsh_reconciler_count(const struct nsh_reconciler *r, struct nsh_counts *ret);
/* Calls `each` for up to `limit` objects, those not held first. Returns how many there are. */
size_t nsh_reconciler_each(const struct nsh_reconciler *r, size_t limit,
        void (*each)(void *userdata, const struct nsh_object_view *view), void *userdata);
/* Text of the last repair and its time; NULL: none yet. */
const char *nsh_reconciler_last_repair(const struct nsh_reconciler *r, uint64_t *ret_at);
/* Counters since start. */
struct nsh_work {
    uint64_t passes;       /* calls of run */
    uint64_t finished;     /* passes that went through to the end */
    uint64_t full;         /* dumps compared */
    uint64_t writes;       /* route messages written */
    uint64_t rules;        /* rule messages written */
    uint64_t commits;      /* tables committed */
    uint64_t sets_read;    /* sets compared element by element */
    uint64_t sets_written; /* sets written, or taken away */
    uint64_t overruns;     /* times events were lost */
    uint64_t failures;     /* reports of what the kernel refused */
};
void nsh_reconciler_work(const struct nsh_reconciler *r, struct nsh_work *ret);
