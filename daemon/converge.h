/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The reconciler without an event loop: run until all is compared and written. What holds it up is
 * waited for, each for a time by the clock that begins anew with everything that gets done; a
 * machine that is slow is not one that stands still.
 */
#pragma once

#include "reconcile.h"

#define NSH_PATIENCE_LOCK_USEC 20000000ULL
#define NSH_PATIENCE_CHANGES_USEC 20000000ULL
#define NSH_PATIENCE_REFUSED_USEC 3000000ULL /* what may be had by the next try */

struct nsh_converge_hooks {
    void *userdata;
    uint64_t (*now)(void *userdata); /* microseconds */
    void (*wait)(void *userdata);    /* a moment: what it waits for may send no event */
};

/*
 * 0; 1, and in *ret_why what held it up for too long (NSH_OBSTACLE_NONE: something is refused, as
 * was told); negative errno when the kernel could not be asked at all.
 */
int nsh_converge(struct nsh_reconciler *r, const struct nsh_converge_hooks *hooks,
        enum nsh_obstacle *ret_why);
