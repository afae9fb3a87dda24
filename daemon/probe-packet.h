/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Echo requests and what comes back, as bytes. Pure. What comes back is anybody's: nothing of it is
 * believed but what could only be known to who has seen the request.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"

#define NSH_ECHO_COOKIE 16
/* An ICMP header and the cookie. */
#define NSH_ECHO_SIZE (8 + NSH_ECHO_COOKIE)

/* A request: what an answer has to show. */
struct nsh_echo {
    uint8_t family;
    uint16_t id, sequence;
    union nsh_addr target;
    uint8_t cookie[NSH_ECHO_COOKIE];
};

/* Something that came back and has the form of an answer. */
struct nsh_echo_seen {
    bool refused; /* somebody on the way says that the target can't be reached */
    uint16_t id, sequence;
    union nsh_addr from; /* who answers, or who was asked */
    const uint8_t *cookie;
    size_t cookie_length; /* a refusal may be cut short */
};

void nsh_echo_build(const struct nsh_echo *e, uint8_t ret[static NSH_ECHO_SIZE]);
/*
 * What a raw socket has read: with the IP header in IPv4, without one in IPv6, where `from` is who
 * sent it. False: it is no answer to any echo request. *ret refers to the packet.
 */
bool nsh_echo_parse(int family, const uint8_t *packet, size_t length, const union nsh_addr *from,
        struct nsh_echo_seen *ret);
/* True if it is about this request. */
bool nsh_echo_matches(const struct nsh_echo *e, const struct nsh_echo_seen *seen);
