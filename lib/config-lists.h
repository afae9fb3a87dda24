/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Prefixes in files of their own (config-lists.c).
 */
#pragma once

#include "config-loader.h"

/* What becomes of the prefixes of one family in a list. */
struct nsh_list_use {
    struct nsh_route route; /* all but the destination and the origin; props NULL: not taken */
    const char *why;        /* it is an error that one is there; NULL: it is left out in silence */
};

/*
 * A file of prefixes that a route leads to, or that belong to a policy's list; it is read when the
 * file that names it has been.
 */
struct nsh_list_entry {
    const char *path;
    const char *named_in;
    uint32_t named_at;             /* line */
    void *field;                   /* of the draft, while that is being read */
    struct nsh_list_use use[2];    /* IPv4, IPv6: of a route */
    struct nsh_prefixes *prefixes; /* of a policy: where they go; NULL: they are a route's */
    unsigned families; /* of a policy: NSH_FAMILY_* bits; the others are left out in silence */
};

extern const struct nsh_object nsh_object_list;

static inline unsigned nsh_family_bit(int family)
{
    return family == AF_INET6 ? NSH_FAMILY_IPV6 : family == AF_INET ? NSH_FAMILY_IPV4 : 0;
}

static inline const char *nsh_family_name(int family)
{
    return family == AF_INET6 ? "IPv6" : "IPv4";
}
