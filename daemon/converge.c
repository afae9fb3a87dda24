/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "converge.h"

#include <string.h>

static const uint64_t patience[] = {
        [NSH_OBSTACLE_NONE] = NSH_PATIENCE_REFUSED_USEC,
        [NSH_OBSTACLE_LOCK] = NSH_PATIENCE_LOCK_USEC,
        [NSH_OBSTACLE_CHANGES] = NSH_PATIENCE_CHANGES_USEC,
};

struct waiting {
    uint64_t since[NSH_OBSTACLES]; /* it was met, and nothing was done after that; 0: it was not */
    uint64_t done;                 /* how much was done by then */
};

static uint64_t count_done(const struct nsh_reconciler *r)
{
    struct nsh_work w;

    nsh_reconciler_work(r, &w);
    return w.writes + w.rules + w.commits + w.sets_written;
}

/*
 * True if this has held it up for too long: by the clock, whatever a pass or a moment's wait takes.
 * What goes on in slices is held up by nobody; and a lock that was to be had in between, and is
 * held again, is waited for anew.
 */
static bool is_over(
        struct waiting *w, const struct nsh_reconciler *r, enum nsh_obstacle why, uint64_t now)
{
    uint64_t done = count_done(r);

    if (done != w->done)
        memset(w->since, 0, sizeof w->since);
    w->done = done;
    if (why != NSH_OBSTACLE_LOCK)
        w->since[NSH_OBSTACLE_LOCK] = 0;
    if (why == NSH_OBSTACLE_NONE && nsh_reconciler_due(r))
        return false;
    if (w->since[why] == 0)
        w->since[why] = now;
    return now - w->since[why] > patience[why];
}

int nsh_converge(struct nsh_reconciler *r, const struct nsh_converge_hooks *hooks,
        enum nsh_obstacle *ret_why)
{
    struct waiting w = {.done = count_done(r)};

    for (;;) {
        int q = nsh_reconciler_run(r);
        enum nsh_obstacle why = nsh_reconciler_obstacle(r);

        if (q < 0)
            return q;
        if (nsh_reconciler_complete(r))
            return 0;
        if (is_over(&w, r, why, hooks->now(hooks->userdata))) {
            *ret_why = why;
            return 1;
        }
        if (!nsh_reconciler_due(r))
            hooks->wait(hooks->userdata);
    }
}
