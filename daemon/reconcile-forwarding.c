/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Forwarding, which waits for what it is wanted for, and is put back where somebody switches it
 * off.
 */
#include "reconcile-sysctl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* A failure is tried again after that, and each further one after twice as long, 64 s at last. */
#define FAILURE_RETRY_USEC 1000000ULL
#define FAILURES_MAX 6

bool reconcile_is_forwarded(struct nsh_reconciler *r, int f)
{
    /* What can't be read is given back by nobody; nor is what could not be. */
    const struct nsh_sysctl_before *item =
            reconcile_before_load(r) == 0
                    ? reconcile_before_find(&r->before, reconcile_forwarding_key(f))
                    : NULL;
    bool ours = item && !item->told;

    return nsh_desired_is_forwarded(r->fib, r->desired, nsh_family_of(f), ours);
}

bool reconcile_switched_on(struct nsh_reconciler *r, int f)
{
    int value;

    return reconcile_before_load(r) >= 0 &&
           reconcile_before_find(&r->before, reconcile_forwarding_key(f)) &&
           r->fib->ops->sysctl_get(r->fib, reconcile_forwarding_key(f), &value) >= 0 && value != 0;
}

/* ---- on ---- */

static void forwarding_wrong(
        struct nsh_reconciler *r, int f, enum nsh_object_state state, const char *reason)
{
    bool news = nsh_notes_set_reason(r->notes, NSH_OBJECT_FORWARDING + (unsigned)f, reason) != 0;
    struct report_args args = {
            .kind = state == NSH_OBJECT_PENDING ? NSH_REPORT_PENDING : NSH_REPORT_FAILED,
            .detail = reason,
    };

    /* Between two tries of a share nobody wants it: that is no end of it. */
    if (news || (r->forwarding_states[f] != state &&
                        (r->settling || r->forwarding_states[f] != NSH_OBJECT_UNKNOWN)))
        report_forwarding(r, nsh_family_of(f), &args);
    r->forwarding_states[f] = (uint8_t)state;
}

/* Failures; and all, once it is not wanted. */
void reconcile_forwarding_forget(struct nsh_reconciler *r, int f, bool all)
{
    r->forwarding_again[f] = 0;
    r->forwarding_failures[f] = 0;
    if (all) {
        r->forwarding_states[f] = NSH_OBJECT_UNKNOWN;
        r->forwarding_was_on[f] = r->forwarding_was_ready[f] = false;
    }
}

static void forwarding_held(struct nsh_reconciler *r, int f)
{
    r->forwarding_states[f] = NSH_OBJECT_HELD;
    r->forwarding_was_on[f] = true;
    r->forwarding_was_ready[f] = r->forwarding_was_ready[f] || r->firewall_ready[f];
    reconcile_forwarding_forget(r, f, false);
    nsh_notes_set_reason(r->notes, NSH_OBJECT_FORWARDING + (unsigned)f, NULL);
}

static bool forwarding_fight(struct nsh_reconciler *r, int f)
{
    nsh_object_id id = NSH_OBJECT_FORWARDING + (unsigned)f;
    uint64_t until;
    bool fight;
    char text[96];

    if (reconcile_may_repair(r, id, &until, &fight))
        return false;
    r->forwarding_wait[f] = until;
    r->forwarding_states[f] = NSH_OBJECT_WRONG;
    nsh_notes_set_reason(r->notes, id, "something keeps undoing the repair; backing off");
    if (fight) {
        struct report_args args = {
                .kind = NSH_REPORT_FIGHT, .detail = reconcile_fight_text(r, id, text, sizeof text)};

        report_forwarding(r, nsh_family_of(f), &args);
    }
    return true;
}

static void again_later(struct nsh_reconciler *r, int f)
{
    r->forwarding_again[f] = reconcile_now(r) + (FAILURE_RETRY_USEC << r->forwarding_failures[f]);
    if (r->forwarding_failures[f] < FAILURES_MAX)
        r->forwarding_failures[f]++;
}

/* One that was on and is only to be repaired takes nothing down with it. */
static void could_not_switch(struct nsh_reconciler *r, int f, bool drift, const char *why)
{
    forwarding_wrong(r, f, NSH_OBJECT_WRONG, why);
    if ((drift && !r->firewall_retried[f]) || !reconcile_forwarding_failed(r, f, why))
        again_later(r, f);
}

/* It was on, as we wanted it: a failure to note or to write it before is none of this. */
static bool is_drift(const struct nsh_reconciler *r, int f)
{
    uint8_t state = r->forwarding_states[f];

    return !r->settling &&
           (state == NSH_OBJECT_HELD || (state == NSH_OBJECT_WRONG && r->forwarding_was_on[f]) ||
                   (state == NSH_OBJECT_PENDING && r->forwarding_was_ready[f]));
}

/*
 * The rules have held, and what is wrong with the translation of one now goes on without forwarding
 * as well as with it: who keeps undoing one policy must not stop what all the others forward. What
 * filters is to stand all the same: without it forwarding opens what was closed.
 */
static bool is_only_to_be_put_back(const struct nsh_reconciler *r, int f)
{
    return is_drift(r, f) && r->forwarding_was_ready[f];
}

static int switch_on(struct nsh_reconciler *r, int f, struct before_list *list)
{
    bool drift = is_drift(r, f);
    struct report_args args = {
            .kind = drift ? NSH_REPORT_RESTORED : NSH_REPORT_ADDED,
            .cause = drift ? "switched off" : NULL,
    };
    size_t known;
    bool added;
    char why[GUARD_WHY] = "";
    int q;

    if (drift && forwarding_fight(r, f))
        return 0;
    q = f == NSH_V6 ? reconcile_guard_all(r, why) : 0;
    if (q < 0 && why[0] != '\0') {
        /* The default route that it learned would go; what was raised stays noted. */
        could_not_switch(r, f, drift, why);
        return 0;
    }
    known = list->n;
    /* Drift: what it was before is known already, or was on before we came. */
    if (q == 0 && !drift)
        q = reconcile_before_add(list, reconcile_forwarding_key(f), 0, 1);
    added = q > 0;
    if (q >= 0)
        q = reconcile_before_save(r, list);
    if (q < 0) {
        list->n = known; /* nothing was switched yet */
        snprintf(why, sizeof why, "cannot note in the state directory what it was before: %s",
                strerror(-q));
        could_not_switch(r, f, drift, why);
        return 0;
    }
    q = r->fib->ops->sysctl_set(r->fib, reconcile_forwarding_key(f), 1);
    if (q < 0) {
        /* Who switches it on then is not us. */
        if (added)
            reconcile_before_drop(list, reconcile_before_find(list, reconcile_forwarding_key(f)));
        (void)reconcile_before_save(r, list);
        snprintf(why, sizeof why, "cannot write /proc/sys/%s: %s", reconcile_forwarding_key(f),
                strerror(-q));
        could_not_switch(r, f, drift, why);
        return 0;
    }
    if (drift)
        reconcile_repaired(r, NSH_OBJECT_FORWARDING + (unsigned)f, NULL, 0);
    forwarding_held(r, f);
    args.sender = r->account.trigger.sender;
    report_forwarding(r, nsh_family_of(f), &args);
    return 0;
}

static int forwarding_family(struct nsh_reconciler *r, int f, struct before_list *list)
{
    char why[160];
    int value;
    int q = r->fib->ops->sysctl_get(r->fib, reconcile_forwarding_key(f), &value);

    if (q < 0) {
        if (f == NSH_V6 && q == -ENOENT)
            snprintf(why, sizeof why,
                    "the kernel has no IPv6: it was built without, or started with ipv6.disable=1");
        else
            snprintf(why, sizeof why, "cannot read /proc/sys/%s: %s", reconcile_forwarding_key(f),
                    strerror(-q));
        forwarding_wrong(r, f, NSH_OBJECT_WRONG, why);
        again_later(r, f);
        return 0;
    }
    if (value != 0) {
        if (f == NSH_V6)
            reconcile_guard_the_rest(
                    r, reconcile_before_find(list, reconcile_forwarding_key(f)) != NULL);
        forwarding_held(r, f);
        return 0;
    }
    if (!r->firewall_ready[f] && !is_only_to_be_put_back(r, f)) {
        forwarding_wrong(r, f, NSH_OBJECT_PENDING, "it waits until the masquerade rules hold");
        return 0;
    }
    if (!reconcile_filter_stands(r, f)) {
        forwarding_wrong(r, f, NSH_OBJECT_PENDING, "it waits until the filter rules hold");
        return 0;
    }
    return switch_on(r, f, list);
}

static bool is_over(uint64_t *wait, uint64_t now)
{
    if (*wait == 0 || *wait > now)
        return false;
    *wait = 0;
    return true;
}

int reconcile_forwarding_on(struct nsh_reconciler *r)
{
    uint64_t now = reconcile_now(r);
    int q = 0;

    for (int f = 0; f < NSH_FAMILIES; f++) {
        r->forwarding_dirty |= is_over(&r->forwarding_wait[f], now);
        r->forwarding_dirty |= is_over(&r->forwarding_again[f], now);
    }
    if (!r->forwarding_dirty)
        return 0;
    r->forwarding_dirty = false;
    if (!r->desired->forwarding[NSH_V4] && !r->desired->forwarding[NSH_V6])
        return 0;
    q = reconcile_before_load(r);
    if (q < 0)
        return q;
    for (int f = 0; f < NSH_FAMILIES && q == 0; f++)
        if (r->desired->forwarding[f] && r->forwarding_wait[f] == 0)
            q = forwarding_family(r, f, &r->before);
    return q;
}
