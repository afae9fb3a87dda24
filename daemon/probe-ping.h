/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The socket by which all pings of one family leave and are answered. The kernel filters it: this
 * process wakes for answers to its own requests and for nothing else.
 */
#pragma once

#include "probe-packet.h"

struct nsh_ping {
    int fd; /* -1: closed */
    uint8_t family;
    uint16_t id; /* of all its requests */
};

/* Opens it for input that is read without waiting. 0 or a negative errno. */
int nsh_ping_open(struct nsh_ping *p, int family);
void nsh_ping_close(struct nsh_ping *p);
/*
 * Sends a request with the mark, its id and sequence filled in already. `scope` is the interface of
 * a link-local target, else 0. 0 or a negative errno.
 */
int nsh_ping_send(struct nsh_ping *p, const struct nsh_echo *e, uint32_t mark, uint32_t scope);
/* Reads some of what has come, and calls `seen` for what may be an answer. */
void nsh_ping_read(struct nsh_ping *p,
        void (*seen)(void *userdata, int family, const struct nsh_echo_seen *answer),
        void *userdata);
