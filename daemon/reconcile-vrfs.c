/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VRFs: routes that name one are in the table that it has now.
 *
 * When that changes they are other routes, elsewhere in the order of what is wanted. So the
 * configuration comes into force once more, as in a reload that has changed the table; but nothing
 * that stands from before is told of as new.
 */
#include "reconcile-internal.h"

#include <string.h>

#include "resolve.h"

bool reconcile_names_vrf(const struct nsh_reconciler *r, uint32_t ifindex, const char *name)
{
    for (size_t i = 0; i < r->desired->n_vrfs; i++) {
        const struct nsh_vrf *vrf = &r->desired->vrfs[i];

        /* One that is not there may be an alternative name of this one. */
        if (vrf->ifindex == ifindex || vrf->ifindex == 0 || strncmp(vrf->name, name, IFNAMSIZ) == 0)
            return true;
    }
    return false;
}

static int arrange(struct nsh_reconciler *r)
{
    bool settling = r->settling;
    enum nsh_occasion occasion = r->occasion;
    struct nsh_desired *again;
    int q = nsh_desired_again(r->desired, &again);

    if (q < 0)
        return q;
    q = reconcile_set(r, again, settling ? occasion : NSH_OCCASION_RELOAD);
    if (q < 0) {
        nsh_desired_free(again);
        return q;
    }
    r->settling = settling;
    r->occasion = occasion;
    return 0;
}

int reconcile_vrfs(struct nsh_reconciler *r)
{
    bool changed;
    int q;

    if (r->desired->n_vrfs == 0 || !r->links_dirty)
        return 0;
    q = nsh_desired_resolve_vrfs(r->fib, r->desired, &changed);
    return q < 0 || !changed ? q : arrange(r);
}
