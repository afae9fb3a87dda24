/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the reconciler switches on for what it holds: forwarding, and accept_ra, which forwarding
 * would otherwise silence. Private to daemon/reconcile*.c.
 */
#pragma once

#include "reconcile-internal.h"
#include "resolve.h"

#define NSH_ACCEPT_RA_HEAD "net/ipv6/conf/"
#define NSH_ACCEPT_RA_TAIL "/accept_ra"

static inline const char *reconcile_forwarding_key(int f)
{
    return nsh_forwarding_key(nsh_family_of(f));
}

/* reconcile-before.c: what was switched on, and what it was before. */

/* From the state directory, once. 0, -ENOMEM; what can't be read is told, and nothing is known. */
int reconcile_before_load(struct nsh_reconciler *r);
/* If it has changed. 0, negative errno. */
int reconcile_before_save(const struct nsh_reconciler *r, struct before_list *l);
/* NULL: it is not in it. Valid until one is added or dropped. */
struct nsh_sysctl_before *reconcile_before_find(const struct before_list *l, const char *key);
/* 1: added; 0: it is there, and stays as it is; -E2BIG, -ENOMEM. */
int reconcile_before_add(struct before_list *l, const char *key, int before, int ours);
void reconcile_before_drop(struct before_list *l, struct nsh_sysctl_before *item);
bool reconcile_is_accept_ra(const char *key);
void reconcile_report_sysctl(
        struct nsh_reconciler *r, const char *key, enum nsh_report_kind kind, const char *detail);

/* reconcile-accept-ra.c */

/*
 * Before IPv6 forwarding goes on, and at a start: every interface that listens to router
 * advertisements goes on listening. `why`: which could not be read or written, "" for none. 0 or
 * negative errno: of what can be raised, all is.
 */
int reconcile_guard_all(struct nsh_reconciler *r, char why[static GUARD_WHY]);
/* IPv6 forwarding is on. By us: interfaces that came since, or while we were away, count too. */
void reconcile_guard_the_rest(struct nsh_reconciler *r, bool ours);
