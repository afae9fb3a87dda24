/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of the prober share: probe.c (which checks there are, and when), probe-ask.c (one
 * probe and what comes of it), probe-reason.c (a miss in words).
 */
#pragma once

#include "probe-ping.h"
#include "probe-state.h"
#include "probe.h"

struct probe {
    struct nsh_prober *prober;
    struct nsh_gate gate; /* a copy: its configuration may be gone before it is */
    nsh_gate_id id;
    struct nsh_probe_state state;
    uint64_t due;         /* the next one is sent then */
    uint64_t deadline;    /* the one under way is given up then; 0: none is */
    struct nsh_echo echo; /* of a ping under way */
    int fd;               /* of a connection under way; -1 */
    sd_event_source *io;
};

struct nsh_prober {
    sd_event *event;
    struct nsh_fib *fib;
    struct nsh_prober_hooks hooks;
    const struct nsh_link *links; /* the configuration's */
    size_t n_links;
    struct probe **probes;
    size_t n;
    bool going;
    struct nsh_ping pings[NSH_FAMILIES];
    sd_event_source *ping_io[NSH_FAMILIES];
    sd_event_source *timer;
    int complaint; /* errno of what was warned of last; 0: nothing */
};

static inline bool probe_is_under_way(const struct probe *p)
{
    return p->deadline != 0;
}

/* ---- probe.c ---- */

/* Sets the timer to what comes next: one was settled. */
void probe_arm(struct nsh_prober *p);

/* ---- probe-ask.c ---- */

/* Sends one; it may be settled at once. */
void probe_ask(struct probe *p, uint64_t now);
/* The time is up, unless an answer is there that nobody has read yet. */
void probe_give_up(struct probe *p);
/* Forgets one that is under way. */
void probe_drop(struct probe *p);
/* Takes the answers that have come. */
void probe_read_pings(struct nsh_prober *p);
/* Opens the sockets that the checks need, and closes the others. */
void probe_open_pings(struct nsh_prober *p);

/* ---- probe-reason.c ---- */

/* One probe's miss: 0: no answer came; else a negative errno, of a probe that was `sent` or not. */
const char *probe_reason(const struct probe *p, int error, bool sent, char *buf, size_t size);
