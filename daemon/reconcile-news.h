/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the chains of a policy have to tell together: a line a policy, however many tables it has
 * chains in, and one for both families where both have the same to tell.
 */
#pragma once

#include "culprit.h"
#include "report.h"

/* What was found wrong with a wanted chain, and was mended or has to wait. */
struct drift {
    size_t chain;
    enum nsh_report_kind kind; /* RESTORED or FIGHT */
    bool guard;                /* of what a pending policy drops */
    bool resync;               /* nothing had told of it before */
    pid_t culprit_pid;         /* 0: not certain */
    char culprit[NSH_COMM_LEN * 4];
    char text[96]; /* in the plan's words; FIGHT: how often */
};

/* Of one session. */
struct drifts {
    struct drift *items;
    size_t n, size;
};

struct nsh_reconciler;

void reconcile_note_drift(
        struct nsh_reconciler *r, size_t chain, enum nsh_report_kind kind, const char *text);
void reconcile_tell_drifts(struct nsh_reconciler *r);
void reconcile_drop_drifts(struct nsh_reconciler *r);

/* A chain was written: that is told when the whole policy is done. */
void reconcile_note_news(struct nsh_reconciler *r, size_t chain, enum nsh_report_kind kind);
void reconcile_tell_news(struct nsh_reconciler *r);
