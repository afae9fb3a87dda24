/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What every implementation of the kernel contract shares.
 */
#include "fib.h"

int nsh_fib_dump(struct nsh_fib *fib, const struct nsh_fib_filter *filter, nsh_fib_route_seen *seen,
        void *userdata)
{
    int r = fib->ops->dump_begin(fib, filter);

    if (r < 0)
        return r;
    do
        r = fib->ops->dump_read(fib, seen, userdata);
    while (r == 1);
    return r;
}
