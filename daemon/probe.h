/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Asks what checks say is to be asked, and tells when a check fails and when it works again.
 *
 * All of it is asynchronous, on one timer and one socket for the pings of each family; without
 * checks there is neither. The way by which probes leave is the reconciler's to keep.
 */
#pragma once

#include <systemd/sd-event.h>

#include "desired.h"
#include "fib.h"

struct nsh_prober;

struct nsh_prober_hooks {
    void *userdata;
    /* A check works from now on, or fails; `reason` as nsh_reconciler_gate takes it. */
    void (*turn)(void *userdata, nsh_gate_id gate, bool works, const char *reason);
    /* The rule stands that leads the check's probes; without it they would go anywhere. */
    bool (*leads)(void *userdata, nsh_gate_id gate);
    /* Probes can't be sent for a reason of our own: nothing is concluded from that. */
    void (*warn)(void *userdata, const char *text);
};

/* `fib` outlives it, and is asked why answers may not come. `hooks` is copied. */
int nsh_prober_new(sd_event *event, struct nsh_fib *fib, const struct nsh_prober_hooks *hooks,
        struct nsh_prober **ret);
void nsh_prober_free(struct nsh_prober *p);
/*
 * The checks from now on; the configuration stays valid until the next call. Those that stay go on
 * where they were. Nothing is sent before nsh_prober_go. 0 or -ENOMEM: then there are none.
 */
int nsh_prober_set(struct nsh_prober *p, const struct nsh_desired *desired);
/* The ways by which probes leave are there. */
void nsh_prober_go(struct nsh_prober *p);
