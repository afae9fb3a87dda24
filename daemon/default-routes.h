/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The default routes of the main table, which are a machine's way out: whether a file takes away
 * the last one of a family. That of a table of a VRF, or of a rule, is not the machine's.
 */
#pragma once

#include "desired.h"
#include "diag.h"
#include "fib.h"

/* What stands of each family. */
struct nsh_default_routes {
    char goes[NSH_FAMILIES][256]; /* one of ours that is no longer wanted; "": there is none */
    bool stays[NSH_FAMILIES];     /* one of others */
};

#define NSH_DEFAULT_ROUTE_FIX "write it in 'routes', or have another program put one there"

/* One is wanted, even if its time is not now. */
bool nsh_default_route_wanted(const struct nsh_desired *d, int family);
/* A route that stands, whichever it is. `before` (may be 0) marked ours earlier. */
void nsh_default_routes_see(struct nsh_default_routes *all, struct nsh_fib *fib,
        const struct nsh_desired *d, uint8_t before, const struct nsh_route *seen);
/* That `d` takes the last one of the family away, in words; NULL: it does not. Else buf. */
const char *nsh_default_routes_lost(const struct nsh_default_routes *all,
        const struct nsh_desired *d, int family, char *buf, size_t size);

/*
 * The same as a warning for each family of which `had` says that one may have been wanted, and `d`
 * wants none. Only then the kernel is asked, for all routes of the main table: not a thing to do on
 * the loop. Where it does not answer there is none.
 */
void nsh_advise_default_routes(const struct nsh_desired *d, const bool had[static NSH_FAMILIES],
        uint8_t before, struct nsh_diags *to);
