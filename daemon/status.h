/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the daemon says of itself: the JSON of `status`, and the line for systemd.
 */
#pragma once

#include <stddef.h>

#include "reconcile.h"
#include "traffic.h"

struct nsh_status {
    const struct nsh_reconciler *reconciler;
    const char *config;   /* path */
    const char *running;  /* the file that runs, where it is another (running.h); else NULL */
    const char *other;    /* it was confirmed: what there is to know of that; else NULL */
    const char *firewall; /* its name */
    const char *both;     /* others translate in the other one, and what to do; NULL: they do not */
    const char *problem;  /* NULL: none */
    uint64_t taken_at;    /* CLOCK_REALTIME, as the next: what runs was loaded */
    uint64_t refused_at;  /* a reload was refused; 0: none was since one was taken */
    const char *refused;  /* its first error */
    bool refused_at_start;
    bool trust_files;     /* a file that others could change is taken with a warning */
    uint64_t now;         /* CLOCK_BOOTTIME, microseconds */
    uint64_t longest;     /* the event loop was held at the most, microseconds */
    uint64_t longest_cpu; /* the same of the processor's time: without waiting for the kernel */
    uint64_t trial_left;  /* microseconds until what is tried ends; 0: nothing is */
    const struct nsh_traffic_table *traffic; /* NULL: it was not read */
};

/* Up to so many objects are listed; those not held come first. */
#define NSH_STATUS_OBJECTS_MAX 2000

/* The JSON text, the caller's to free; NULL: no memory. */
char *nsh_status_json(const struct nsh_status *s);
/* "12 routes and 2 policies held, 1 pending; last repair: …": returns buf. */
const char *nsh_status_line(const struct nsh_status *s, char *buf, size_t size);
/* "12 routes and 2 policies held, 1 pending, 1 conflicting": returns buf. */
const char *nsh_status_counts(const struct nsh_reconciler *r, char *buf, size_t size);
