/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What conntrack-netlink reads of the kernel's messages; internal to it.
 */
#pragma once

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"

struct nlattr;

/* Packets of one direction. Compared byte by byte: what a protocol has not is 0. */
struct nsh_ct_tuple {
    union nsh_addr src, dst;
    uint16_t src_port, dst_port; /* network order */
    uint16_t zone;               /* network order */
    uint16_t protocol;
};
_Static_assert(sizeof(struct nsh_ct_tuple) == 2 * sizeof(union nsh_addr) + 8, "no padding");

/* One tracked flow. The attributes point into the message. */
struct nsh_ct_entry {
    uint8_t family;
    union nsh_addr src;
    union nsh_addr dst;          /* where it really goes: behind a destination translation */
    struct nsh_ct_tuple began;   /* the direction of its first packet */
    struct nsh_ct_tuple answers; /* the other one */
    bool translated;             /* its source is, or is about to be gone */
    bool torn;                   /* deleting it would break a connection that stands */
    bool dying;                  /* it is about to be gone */
    bool related; /* another flow brought it about, and decided how it is translated */
    const struct nlattr *orig, *zone, *id;
};

/* false: not an entry of `family` that can be understood. */
bool nsh_ct_entry_parse(struct nlmsghdr *h, int family, struct nsh_ct_entry *ret);
/* Appends a request that deletes the entry: its size, or 0 if there is no room. */
size_t nsh_ct_entry_put_delete(const struct nsh_ct_entry *e, uint32_t seq, void *buf, size_t room);
/* True for an address that no router forwards from or to. */
bool nsh_ct_addr_stays(int family, const union nsh_addr *addr);
