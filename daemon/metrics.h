/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Figures for monitoring: what was reported since the start, added up, and how things stand now.
 * OpenMetrics (openmetrics.io, version 1.0.0), or Prometheus' older text format, which differs in
 * what a counter is called in its own description, and which node_exporter reads from files.
 */
#pragma once

#include "status.h"

enum nsh_metrics_format {
    NSH_METRICS_OPENMETRICS,
    NSH_METRICS_PROMETHEUS,
};

/* "repair seconds" up to these, and what takes longer. */
#define NSH_METRICS_BUCKETS 12
#define NSH_METRICS_OBJECTS 9
#define NSH_METRICS_CAUSES 10

/* All zero: nothing happened yet. */
struct nsh_metrics {
    uint64_t repairs[NSH_METRICS_OBJECTS][NSH_METRICS_CAUSES];
    uint64_t fights[NSH_METRICS_OBJECTS];
    uint64_t buckets[NSH_METRICS_BUCKETS + 1];
    uint64_t repair_usec; /* sum of all that have a duration */
    uint64_t reloads_good, reloads_bad;
    uint64_t flows;   /* untranslated ones deleted */
    bool last_bad;    /* the last load was refused */
    uint64_t started; /* CLOCK_REALTIME, microseconds */
};

void nsh_metrics_report(struct nsh_metrics *m, const struct nsh_report *r);
/* The text, the caller's to free; NULL: no memory. */
char *nsh_metrics_text(
        const struct nsh_metrics *m, const struct nsh_status *s, enum nsh_metrics_format format);
