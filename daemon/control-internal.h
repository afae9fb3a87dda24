/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parts of the control channel among themselves: what both ends agree on, and on the daemon's
 * side the listener (control.c) and its peers, one for each connection (control-peer.c).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#include "control.h"
#include "local.h"

#define NSH_CONTROL_OBJECT "/io/netshared/Control"
#define NSH_CONTROL_INTERFACE "io.netshared.Control"

#define NSH_CONTROL_PEERS_MAX 16
/* Places that who may only read can hold: there is always one for who may do more. */
#define NSH_CONTROL_READERS_MAX 12
/* Calls that one peer may have under way at once. */
#define NSH_CONTROL_PENDING_MAX 4
/* Answers that may wait for a peer to read them. */
#define NSH_CONTROL_QUEUE_MAX 4
/* Places that watchers may hold, and events that may wait for one to read them. */
#define NSH_CONTROL_WATCHERS_MAX 8
#define NSH_CONTROL_EVENTS_MAX 1024
/* Text sent in one answer, bytes. */
#define NSH_CONTROL_TEXT_MAX ((size_t)16 * 1024 * 1024)
/* By turns with the work on the network: neither keeps the other from its turn. */
#define NSH_CONTROL_PRIORITY (SD_EVENT_PRIORITY_NORMAL + 100)

/* The methods of questions. */
extern const char *const nsh_control_questions[NSH_CONTROL_QUESTIONS];

struct nsh_control_peer {
    struct nsh_control *control;
    enum nsh_local_access access;
    struct nsh_control_peer *next;
    sd_bus *bus;
    sd_event_source *silence;
    struct nsh_control_reply *replies; /* pending */
    size_t n_replies;
    uint64_t since; /* CLOCK_MONOTONIC of the last answer, or of the connection */
    bool watching;
    bool done; /* to be freed by the listener, outside its own callbacks */
};

struct nsh_control {
    sd_event *event;
    sd_event_source *listen;
    sd_event_source *again; /* when accepting is off: when to look again */
    sd_event_source *reap;
    struct nsh_control_handler handler;
    struct nsh_control_peer *peers; /* newest first */
    size_t n_peers;
    uint64_t silent_usec;  /* a peer that gets no answer for so long is dropped */
    uint64_t crowded_usec; /* the same while others wait for its place */
    int fd;
    char path[108];
};

/* Takes *fd, which is -1 then; on failure it may be taken or not. */
int nsh_control_peer_new(struct nsh_control *c, int *fd, enum nsh_local_access access,
        struct nsh_control_peer **ret);
void nsh_control_peer_free(struct nsh_control_peer *p);
void nsh_control_peer_tell(struct nsh_control_peer *p, const char *json);
size_t nsh_control_watchers(const struct nsh_control *c);
/* Has finished peers freed soon. */
void nsh_control_reap_later(struct nsh_control *c);
