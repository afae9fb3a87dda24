/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a reconciler of the tests wrote and reported, in order: the fakes are asked by way of it.
 */
#pragma once

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cleanup.h"
#include "config.h"
#include "fib-fake.h"
#include "firewall-fake.h"
#include "reconcile.h"

#define SECOND 1000000ULL
#define RW_START (1000 * SECOND)
#define RW_TOLD_MAX 512
#define RW_LOG_SIZE 65536
#define RW_RUNS_MAX 2000 /* more without the clock moving is a busy loop */

struct told {
    enum nsh_report_kind kind;
    uint32_t sender;
    uint64_t count, duration, at;
    char object[32], name[128], cause[96], detail[192], culprit[32];
    pid_t culprit_pid;
};

struct world {
    struct nsh_fib_fake *kernel;
    struct nsh_firewall_fake *tables;
    struct nsh_fib *fib;
    struct nsh_firewall *firewall;
    struct nsh_state *state;
    struct nsh_reconciler *r;
    char *dir; /* of the state */
    uint64_t now;
    uint64_t tick; /* the clock moves on by so much whenever it is looked at */
    /* The fakes' own functions, behind those that keep the log. */
    const struct nsh_fib_ops *real_fib;
    struct nsh_fib_ops fib_ops;
    const struct nsh_firewall_ops *real_firewall;
    struct nsh_firewall_ops firewall_ops;
    void (*before_sysctl)(struct world *w, const char *key, int value);
    const char *sysctl_refused; /* keys with these words in them can't be written */
    int sysctl_error;
    void (*before_write)(struct world *w, const struct nsh_fib_op *op);
    char log[RW_LOG_SIZE];
    size_t n_log;
    struct told told[RW_TOLD_MAX];
    size_t n_told;
};

static struct world *rw_current;

/* ---- the log ---- */

static inline __attribute__((format(printf, 2, 3))) void rw_log(
        struct world *w, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(w->log + w->n_log, sizeof(w->log) - w->n_log, format, args);
    va_end(args);
    if (n > 0 && w->n_log + (size_t)n < sizeof(w->log))
        w->n_log += (size_t)n;
    else
        w->log[w->n_log] = '\0';
}

static inline int rw_submit(struct nsh_fib *fib, const struct nsh_link *links,
        const struct nsh_fib_op *ops, size_t n, nsh_fib_failed *failed, void *userdata)
{
    static const char *const verbs[] = {
            [NSH_FIB_ADD] = "add", [NSH_FIB_REPLACE] = "replace", [NSH_FIB_DELETE] = "delete"};
    struct world *w = rw_current;
    char key[96];

    for (size_t i = 0; i < n; i++) {
        if (w->before_write)
            w->before_write(w, &ops[i]);
        nsh_route_format_key(&ops[i].route, key, sizeof(key));
        rw_log(w, "%s %s\n", verbs[ops[i].verb], key);
    }
    return w->real_fib->submit(fib, links, ops, n, failed, userdata);
}

static inline int rw_rules_submit(struct nsh_fib *fib, const struct nsh_fib_rule_op *ops, size_t n,
        nsh_fib_failed *failed, void *userdata)
{
    static const char *const verbs[] = {[NSH_FIB_RULE_ADD] = "add",
            [NSH_FIB_RULE_APPEND] = "append",
            [NSH_FIB_RULE_DELETE] = "delete"};
    struct world *w = rw_current;
    char text[NSH_RULE_TEXT];

    for (size_t i = 0; i < n; i++)
        rw_log(w, "%s rule %s\n", verbs[ops[i].verb],
                nsh_rule_format_name(&ops[i].rule, text, sizeof(text)));
    return w->real_fib->rules_submit(fib, ops, n, failed, userdata);
}

static inline int rw_sysctl_set(struct nsh_fib *fib, const char *key, int value)
{
    struct world *w = rw_current;

    if (w->before_sysctl)
        w->before_sysctl(w, key, value);
    rw_log(w, "sysctl %s=%d\n", key, value);
    if (w->sysctl_refused && strstr(key, w->sysctl_refused))
        return w->sysctl_error;
    return w->real_fib->sysctl_set(fib, key, value);
}

static inline int rw_set_write(
        struct nsh_firewall *fw, const struct nsh_set_op *op, char *ret_why, size_t size)
{
    static const char *const verbs[] = {[NSH_SET_CREATE] = "create",
            [NSH_SET_UPDATE] = "update",
            [NSH_SET_REPLACE] = "replace",
            [NSH_SET_DESTROY] = "destroy"};
    struct world *w = rw_current;
    int r = w->real_firewall->set_write(fw, op, ret_why, size);

    if (r != -EINPROGRESS)
        rw_log(w, "%s set %s\n", verbs[op->verb], op->name);
    return r;
}

static inline int rw_commit(struct nsh_firewall *fw, int family, enum nsh_table table,
        const struct nsh_firewall_op *ops, size_t n, char *ret_why, size_t size)
{
    struct world *w = rw_current;

    rw_log(w, "commit ipv%d %s\n", family == AF_INET6 ? 6 : 4, nsh_table_name(table));
    return w->real_firewall->commit(fw, family, table, ops, n, ret_why, size);
}

static inline int rw_pass(struct nsh_firewall *fw, enum nsh_firewall_mode mode, bool holds,
        struct nsh_passage *passages, size_t n, nsh_guest_told *told, void *userdata)
{
    if (mode == NSH_FIREWALL_WRITE)
        rw_log(rw_current, "jumps\n");
    return rw_current->real_firewall->pass(fw, mode, holds, passages, n, told, userdata);
}

/* ---- what is reported ---- */

static inline void rw_copy(char *to, size_t size, const char *from)
{
    snprintf(to, size, "%s", from ? from : "");
}

static inline void rw_report(void *userdata, const struct nsh_report *report)
{
    struct world *w = userdata;
    struct told *t = &w->told[w->n_told];

    /* Without the right to look at flows there are none to forget. */
    if (report->kind == NSH_REPORT_FAILED && strstr(report->object, "untranslated flows"))
        return;
    if (w->n_told == RW_TOLD_MAX)
        return;
    *t = (struct told){.kind = report->kind,
            .sender = report->sender,
            .count = report->count,
            .duration = report->duration_usec,
            .at = w->now};
    rw_copy(t->object, sizeof(t->object), report->object);
    rw_copy(t->name, sizeof(t->name), report->name);
    rw_copy(t->cause, sizeof(t->cause), report->cause);
    rw_copy(t->detail, sizeof(t->detail), report->detail);
    rw_copy(t->culprit, sizeof(t->culprit), report->culprit);
    t->culprit_pid = report->culprit_pid;
    w->n_told++;
}

static inline uint64_t rw_now(void *userdata)
{
    struct world *w = userdata;

    return w->now += w->tick;
}

/* Nothing was reported or written so far. */
static inline void forget(struct world *w)
{
    w->n_told = 0;
    w->n_log = 0;
    w->log[0] = '\0';
}

static inline size_t count_told(const struct world *w, enum nsh_report_kind kind)
{
    size_t n = 0;

    for (size_t i = 0; i < w->n_told; i++)
        n += w->told[i].kind == kind;
    return n;
}

static inline void print_told(const struct world *w)
{
    for (size_t i = 0; i < w->n_told; i++)
        print_error("  told %d %s '%s' cause '%s' detail '%s' sender %u count %u\n",
                w->told[i].kind, w->told[i].object, w->told[i].name, w->told[i].cause,
                w->told[i].detail, w->told[i].sender, (unsigned)w->told[i].count);
    print_error("log:\n%s", w->log);
}

/* The only report of this kind; it is about `name`, by its beginning. */
static inline const struct told *the_told(
        const struct world *w, enum nsh_report_kind kind, const char *object, const char *name)
{
    const struct told *found = NULL;

    for (size_t i = 0; i < w->n_told; i++)
        if (w->told[i].kind == kind && strcmp(w->told[i].object, object) == 0 &&
                strncmp(w->told[i].name, name, strlen(name)) == 0) {
            if (found) {
                print_told(w);
                fail_msg("told twice: kind %d, %s %s", kind, object, name);
            }
            found = &w->told[i];
        }
    if (!found) {
        print_told(w);
        fail_msg("not told: kind %d, %s %s", kind, object, name);
    }
    return found;
}

static inline void assert_told(const struct world *w, size_t n)
{
    if (w->n_told == n)
        return;
    print_told(w);
    fail_msg("%zu reports instead of %zu", w->n_told, n);
}

static inline void assert_log(const struct world *w, const char *expected)
{
    if (strcmp(w->log, expected) == 0)
        return;
    print_told(w);
    fail_msg("the log is not\n%s", expected);
}
