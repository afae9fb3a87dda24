/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What there is on this machine that a configuration has to fit: its devices and their subnets,
 * where they lead, and routes of others in the places of ours. What judges it is pure.
 */
#pragma once

#include "default-routes.h"
#include "desired.h"
#include "fib.h"

struct nsh_survey_link {
    char name[IFNAMSIZ];
    uint32_t ifindex, mtu;
    bool alias; /* another name of one that has its own entry */
    bool up;
    bool noarp;                   /* as the link of a VPN */
    bool leads[NSH_FAMILIES];     /* a route leaves by it that is more than its own subnet's */
    bool leads_out[NSH_FAMILIES]; /* a default route does */
};

struct nsh_survey_subnet {
    uint32_t ifindex;
    struct nsh_prefix prefix;
};

struct nsh_survey_address {
    uint32_t ifindex;
    uint8_t family;
    union nsh_addr address;
};

/* A route of others on a key of ours that is another one, or that takes the traffic of ours. */
struct nsh_survey_rival {
    size_t wanted; /* index into the wanted routes */
    bool shadows;  /* it is on a key of its own, which comes first */
    uint8_t protocol;
    char text[256];
};

struct nsh_survey {
    struct nsh_survey_link *links;
    struct nsh_survey_subnet *subnets;
    struct nsh_survey_address *addresses;
    struct nsh_survey_rival *rivals;
    size_t n_links, n_subnets, n_addresses, n_rivals;
    struct nsh_default_routes defaults;
};

/* Of one kind no more than this is kept. */
#define NSH_SURVEY_MAX 4096

/*
 * Looks at the kernel, and gives `d` what it says of its devices, VRFs, conditions and gateways.
 * Checks count as working. `before` (may be 0) marked ours earlier. 0 or negative errno.
 */
int nsh_survey_take(
        struct nsh_fib *fib, struct nsh_desired *d, uint8_t before, struct nsh_survey *ret);
/* Its links alone. */
int nsh_survey_take_links(struct nsh_fib *fib, struct nsh_survey *ret);
void nsh_survey_done(struct nsh_survey *s);

/* NULL: there is none of this name, or index. */
const struct nsh_survey_link *nsh_survey_link(const struct nsh_survey *s, const char *name);
const struct nsh_survey_link *nsh_survey_link_at(const struct nsh_survey *s, uint32_t ifindex);
/* True if a packet rule's device, "wan+" among them, stands for that link. */
bool nsh_survey_matches(const char *pattern, const struct nsh_survey_link *link);
