/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A contract that is opened on a fake kernel, as its own parts see it.
 */
#pragma once

#include "fib-fake-kernel.h"
#include "fib-fake.h"

struct queued {
    struct nsh_fib_event event;
    struct nsh_route_props *props; /* owned; NULL: no route */
};

struct fake_handle {
    struct nsh_fib fib; /* first: handed out */
    struct nsh_fib_fake *k;
    struct fake_handle *next;
    uint32_t port;
    /* the dump in progress */
    struct fake_route *dump;
    size_t n_dump, dumped;
    /* events */
    int fd; /* -1: not subscribed */
    uint8_t protocol;
    enum nsh_fib_foreign foreign;
    bool overrun;
    struct queued *queue;
    size_t n_queue;
};

static inline struct fake_handle *of(struct nsh_fib *fib)
{
    return (struct fake_handle *)fib;
}

/* Counts a call; negative errno if this is the one that fails. */
int fake_called(struct nsh_fib_fake *k, enum nsh_fib_fake_call call);

/* fib-fake-events.c */
int fake_events_open(struct nsh_fib *fib, uint8_t protocol);
int fake_events_read(struct nsh_fib *fib, nsh_fib_event_seen *seen, void *userdata);
int fake_events_foreign(struct nsh_fib *fib, enum nsh_fib_foreign foreign);
/* What is queued goes. */
void fake_events_clear(struct fake_handle *h);
