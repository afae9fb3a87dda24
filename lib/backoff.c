/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "backoff.h"

static void count_undone(struct nsh_backoff *b, uint64_t now)
{
    if (b->undone == 0)
        b->first = b->last_repair;
    if (b->undone < UINT32_MAX)
        b->undone++;
    if (b->undone < NSH_BACKOFF_FREE)
        return;
    if (b->delay == 0)
        b->delay = NSH_BACKOFF_FIRST;
    else
        b->delay = b->delay < NSH_BACKOFF_MAX / 2 ? b->delay * 2 : NSH_BACKOFF_MAX;
    b->not_before = now + b->delay;
}

bool nsh_backoff_may_repair(
        struct nsh_backoff *b, uint64_t now, uint64_t *ret_until, bool *ret_fight)
{
    /* Asked again while it waits, last_repair is 0: a repair is undone only once. */
    if (b->last_repair != 0) {
        if (now < b->last_repair + NSH_BACKOFF_WINDOW)
            count_undone(b, now);
        else
            *b = (struct nsh_backoff){0};
        b->last_repair = 0;
    }

    *ret_fight = b->delay != 0 && !b->told;
    b->told = b->told || *ret_fight;
    if (now >= b->not_before)
        return true;
    *ret_until = b->not_before;
    return false;
}

void nsh_backoff_repaired(struct nsh_backoff *b, uint64_t now)
{
    b->last_repair = now > 0 ? now : 1;
    b->not_before = 0;
}

bool nsh_backoff_settled(const struct nsh_backoff *b, uint64_t now)
{
    uint64_t since = b->last_repair != 0 ? b->last_repair : b->not_before;

    /* While it waits for its turn it is settled only if someone else put it right long ago. */
    return since == 0 ? b->undone == 0 : now >= since + NSH_BACKOFF_WINDOW;
}
