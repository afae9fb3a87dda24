/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When to repair what something keeps undoing. Pure: the clock is passed in.
 *
 * An object may be repaired at once as long as repairs last. A repair undone within
 * NSH_BACKOFF_WINDOW counts; at NSH_BACKOFF_FREE such in a row it is a fight: the next repair
 * waits NSH_BACKOFF_FIRST, and each further one twice as long up to NSH_BACKOFF_MAX. It never
 * gives up, and a repair that lasts ends the fight.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define NSH_BACKOFF_WINDOW 1500000ULL /* all in microseconds; longer than the poll of iptables */
#define NSH_BACKOFF_FREE 8U           /* repairs without waiting */
#define NSH_BACKOFF_FIRST 1000000ULL
#define NSH_BACKOFF_MAX 300000000ULL

struct nsh_backoff {
    uint64_t last_repair; /* 0: never */
    uint64_t not_before;  /* 0: at once */
    uint64_t delay;       /* 0: no fight */
    uint64_t first;       /* of the repairs that were undone in a row */
    uint32_t undone;      /* how many in a row */
    bool told;            /* the fight was reported */
};

/*
 * The object is found wrong at `now`. True: repair it now. False: wait until ret_until. When a
 * fight begins, *ret_fight is true exactly once.
 */
bool nsh_backoff_may_repair(
        struct nsh_backoff *b, uint64_t now, uint64_t *ret_until, bool *ret_fight);
/* It was repaired at `now`. */
void nsh_backoff_repaired(struct nsh_backoff *b, uint64_t now);
/* True when nothing needs to be remembered any more: it was right for long enough. */
bool nsh_backoff_settled(const struct nsh_backoff *b, uint64_t now);
