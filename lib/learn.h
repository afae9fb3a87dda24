/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which gateway others have learned on a device: that of the default routes which DHCP, PPP, router
 * advertisements or an administrator have put there. Pure: it is told what is seen.
 *
 * All foreign default routes are kept, of whatever table and device: they are few, and a device may
 * be waited for that is not there yet. Events keep the list in step; one look at all routes begins
 * it, and mends it where the kernel removes without a word.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "route.h"

/* More default routes than this are not looked at. */
#define NSH_LEARNED_MAX 16384

struct nsh_learner;

int nsh_learner_new(struct nsh_learner **ret);
void nsh_learner_free(struct nsh_learner *l);

/* A look at all routes begins; what is neither seen nor told of before it ends is forgotten then.
 */
void nsh_learner_begin(struct nsh_learner *l);
/* A route in it. Those that are no default routes do not matter. 0 or -ENOMEM. */
int nsh_learner_see(struct nsh_learner *l, const struct nsh_route *seen);
/* True if one went meanwhile: the look may have seen it before, and has to be taken again. */
bool nsh_learner_end(struct nsh_learner *l);
/* At least one look was taken. */
bool nsh_learner_has_looked(const struct nsh_learner *l);
/* Forgets everything, the looks too. */
void nsh_learner_clear(struct nsh_learner *l);

/* Somebody added a route (`replaced`: in the place of another), or removed it. */
int nsh_learner_added(struct nsh_learner *l, const struct nsh_route *route, bool replaced);
void nsh_learner_removed(struct nsh_learner *l, const struct nsh_route *route);
/* Ours stands on its key now, of which no event tells. True if something was learned from there. */
bool nsh_learner_taken(struct nsh_learner *l, const struct nsh_route *ours);
/* The device is down or gone, and all that led over it with it. */
void nsh_learner_device_down(struct nsh_learner *l, uint32_t ifindex);
/* True if a default route of the family leads over the device. */
bool nsh_learner_uses(const struct nsh_learner *l, int family, uint32_t ifindex);

/*
 * Fills in what the link has learned now. Of several default routes the one with the lowest metric
 * counts, then the preferred one, then that of the table main.
 */
void nsh_learner_choose(const struct nsh_learner *l, struct nsh_link *link);
