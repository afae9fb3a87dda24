/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Router advertisements that forwarding would silence. Turning IPv6 forwarding on makes the kernel
 * drop the default route it learned and ignore later advertisements, unless accept_ra is 2
 * (Documentation/networking/ip-sysctl.rst).
 *
 * An interface is looked at once: what somebody sets on it after that is their business. So it is
 * remembered which were, by the numbers that the kernel tells. One whose IPv6 went (it was deleted,
 * went to another namespace, or its MTU is below what IPv6 needs) has lost what was set, and counts
 * as new when it has it again.
 */
#include "reconcile-sysctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "state.h"

#define ACCEPT_RA_HOST 1   /* listens while not forwarding */
#define ACCEPT_RA_ROUTER 2 /* listens even while forwarding */

typedef char accept_ra_key[sizeof(((struct nsh_sysctl_before *)0)->key)];

static bool key_of(const char *name, accept_ra_key key)
{
    int n = snprintf(key, sizeof(accept_ra_key), NSH_ACCEPT_RA_HEAD "%s" NSH_ACCEPT_RA_TAIL, name);

    return n > 0 && (size_t)n < sizeof(accept_ra_key);
}

/* ---- which were looked at ---- */

/* Where it is, or would be. */
static size_t place_of(const struct guards *g, uint32_t ifindex)
{
    size_t from = 0, to = g->n;

    while (from < to) {
        size_t middle = from + (to - from) / 2;

        if (g->seen[middle].ifindex < ifindex)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

static struct guarded *find_seen(const struct guards *g, uint32_t ifindex)
{
    size_t i = place_of(g, ifindex);

    return i < g->n && g->seen[i].ifindex == ifindex ? &g->seen[i] : NULL;
}

static int add_seen(struct guards *g, uint32_t ifindex, const char *name)
{
    size_t i = place_of(g, ifindex);
    struct guarded *grown;

    if (ifindex == 0 || find_seen(g, ifindex))
        return 0; /* it went meanwhile; or is shown twice, since it was renamed */
    if (g->n == g->room) {
        grown = realloc(g->seen, (g->room * 2 + 8) * sizeof *grown);
        if (!grown)
            return -ENOMEM;
        g->seen = grown;
        g->room = g->room * 2 + 8;
    }
    memmove(&g->seen[i + 1], &g->seen[i], (g->n - i) * sizeof *g->seen);
    g->seen[i] = (struct guarded){.ifindex = ifindex, .there = true};
    snprintf(g->seen[i].name, sizeof g->seen[i].name, "%s", name);
    g->n++;
    return 0;
}

static void drop_seen(struct guards *g, struct guarded *gone)
{
    size_t i = (size_t)(gone - g->seen);

    memmove(gone, gone + 1, (g->n - i - 1) * sizeof *gone);
    g->n--;
}

/* What was set on it goes with it: there is nothing to give back. */
static void forget(struct nsh_reconciler *r, struct guarded *gone)
{
    accept_ra_key key;

    if (key_of(gone->name, key))
        reconcile_before_drop(&r->before, reconcile_before_find(&r->before, key));
    drop_seen(&r->guards, gone);
}

/* It keeps what was set on it; what it was before is to be found under its new name. */
static void rename_seen(struct nsh_reconciler *r, struct guarded *renamed, const char *name)
{
    struct nsh_sysctl_before *item = NULL;
    accept_ra_key old, new;
    int before, ours;

    if (key_of(renamed->name, old))
        item = reconcile_before_find(&r->before, old);
    snprintf(renamed->name, sizeof renamed->name, "%s", name);
    if (!item)
        return;
    before = item->before;
    ours = item->ours;
    reconcile_before_drop(&r->before, item);
    if (key_of(name, new) && nsh_state_key_is_safe(new)) {
        reconcile_before_drop(&r->before, reconcile_before_find(&r->before, new));
        (void)reconcile_before_add(&r->before, new, before, ours); /* there is room: one went */
    }
    r->forwarding_dirty = true; /* it is saved */
}

static void to_be_looked_at(struct nsh_reconciler *r, uint32_t ifindex)
{
    struct guards *g = &r->guards;

    if (g->n_fresh < NEW_LINKS_MAX)
        g->fresh[g->n_fresh++] = ifindex;
    else
        g->sweep = true;
    r->forwarding_dirty = true;
}

void reconcile_guard_link(struct nsh_reconciler *r, const struct nsh_fib_event *e)
{
    struct guarded *seen = find_seen(&r->guards, e->ifindex);

    if (e->gone || !e->ipv6) {
        if (seen)
            forget(r, seen);
        /* When it has its IPv6 again the kernel says this before it is made; it may be by now. */
        if (seen && !e->gone)
            to_be_looked_at(r, e->ifindex);
        return;
    }
    if (!seen)
        to_be_looked_at(r, e->ifindex);
    else if (e->name[0] != '\0' && strcmp(seen->name, e->name) != 0)
        rename_seen(r, seen, e->name);
}

void reconcile_guard_address(struct nsh_reconciler *r, const struct nsh_fib_event *e)
{
    if (e->family == AF_INET6 && !e->gone && !find_seen(&r->guards, e->ifindex))
        to_be_looked_at(r, e->ifindex);
}

void reconcile_guards_begin(struct guards *g)
{
    g->n = 0;
    g->sweep = true;
}

void reconcile_guards_free(struct guards *g)
{
    free(g->seen);
}

/* ---- one look ---- */

struct raise {
    accept_ra_key key;
    uint32_t ifindex;
    char name[IFNAMSIZ];
    bool added; /* to what was before */
};

/* Interfaces whose accept_ra is to be raised: noted down first, then written. */
struct look {
    struct nsh_reconciler *r;
    struct raise *raise;
    size_t n;
    int error;
    char *why; /* which could not be read or written; "": none */
};

static void look_free(struct look *l)
{
    free(l->raise);
}

static void tell_unsafe(struct nsh_reconciler *r, const char *name)
{
    struct report_args args = {.kind = NSH_REPORT_WARNING,
            .detail = "its name can't be noted in the state directory, so it is left at 1 and "
                      "hears no router while forwarding is on"};

    report_plain(r, "accept-ra", name, &args);
}

/* One that is gone meanwhile needs no guard. */
static int refused(struct look *l, const char *verb, const char *key, int q)
{
    if (q < 0 && q != -ENOENT && l->why[0] == '\0')
        snprintf(l->why, GUARD_WHY, "cannot %s /proc/sys/%s: %s", verb, key, strerror(-q));
    return q == -ENOENT ? 0 : q;
}

static int to_raise(struct look *l, uint32_t ifindex, const char *name, const accept_ra_key key)
{
    struct raise *grown = realloc(l->raise, (l->n + 1) * sizeof *grown), *item;
    int q;

    if (!grown)
        return -ENOMEM;
    l->raise = grown;
    q = reconcile_before_add(&l->r->before, key, ACCEPT_RA_HOST, ACCEPT_RA_ROUTER);
    if (q < 0)
        return q;
    item = &l->raise[l->n++];
    *item = (struct raise){.ifindex = ifindex, .added = q > 0};
    memcpy(item->key, key, sizeof item->key);
    snprintf(item->name, sizeof item->name, "%s", name);
    return 0;
}

static void look_at(struct look *l, uint32_t ifindex, const char *name)
{
    accept_ra_key key;
    int value = 0, q;

    /* `all` is no interface; `lo` hears no router; `default` would open interfaces yet unknown. */
    if (l->error < 0 || strcmp(name, "all") == 0 || strcmp(name, "default") == 0 ||
            strcmp(name, "lo") == 0 || !key_of(name, key))
        return;
    q = l->r->fib->ops->sysctl_get(l->r->fib, key, &value);
    if (q < 0) {
        l->error = refused(l, "read", key, q);
        return;
    }
    if (value == ACCEPT_RA_HOST && nsh_state_key_is_safe(key)) {
        l->error = to_raise(l, ifindex, name, key);
        return;
    }
    if (value == ACCEPT_RA_HOST)
        tell_unsafe(l->r, name);
    l->error = add_seen(&l->r->guards, ifindex, name);
}

static int raise_them(struct look *l)
{
    int q = l->error < 0 ? l->error : reconcile_before_save(l->r, &l->r->before), error;

    for (size_t i = l->n; q < 0 && i-- > 0;) /* nothing was written */
        if (l->raise[i].added)
            reconcile_before_drop(
                    &l->r->before, reconcile_before_find(&l->r->before, l->raise[i].key));
    for (size_t i = 0; q == 0 && i < l->n; i++) {
        error = l->r->fib->ops->sysctl_set(l->r->fib, l->raise[i].key, ACCEPT_RA_ROUTER);
        if (error == 0) {
            reconcile_report_sysctl(l->r, l->raise[i].key, NSH_REPORT_ADDED, NULL);
            error = add_seen(&l->r->guards, l->raise[i].ifindex, l->raise[i].name);
        } else {
            error = refused(l, "write", l->raise[i].key, error);
        }
        if (error < 0)
            l->error = error; /* the others are raised all the same */
    }
    return q < 0 ? q : l->error;
}

/* ---- all of them, and those that came since ---- */

static void sweep_one(void *userdata, const char *name)
{
    struct look *l = userdata;
    struct guarded *seen;
    uint32_t ifindex = 0;

    if (l->r->fib->ops->link_index(l->r->fib, name, &ifindex) < 0)
        ifindex = 0;
    seen = find_seen(&l->r->guards, ifindex);
    if (!seen) {
        look_at(l, ifindex, name);
        return;
    }
    seen->there = true;
    if (strcmp(seen->name, name) != 0)
        rename_seen(l->r, seen, name);
}

/* Of what went unseen, nothing is to be given back. */
static void prune(struct nsh_reconciler *r)
{
    struct before_list *list = &r->before;
    int value;

    for (size_t i = r->guards.n; i-- > 0;)
        if (!r->guards.seen[i].there)
            drop_seen(&r->guards, &r->guards.seen[i]);
    for (size_t i = list->n; i-- > 0;)
        if (reconcile_is_accept_ra(list->items[i].key) &&
                r->fib->ops->sysctl_get(r->fib, list->items[i].key, &value) == -ENOENT)
            reconcile_before_drop(list, &list->items[i]);
}

static int sweep(struct look *l)
{
    struct guards *g = &l->r->guards;
    int q;

    for (size_t i = 0; i < g->n; i++)
        g->seen[i].there = false;
    q = l->r->fib->ops->sysctl_each_ipv6_conf(l->r->fib, sweep_one, l);
    if (q == 0)
        prune(l->r);
    return q;
}

/* What somebody set on those that were looked at is their business. */
static int guard_new(struct nsh_reconciler *r, char why[static GUARD_WHY])
{
    NSH_CLEANUP(look_free) struct look l = {.r = r, .why = why};
    struct guards *g = &r->guards;
    char name[IFNAMSIZ];
    int q = 0;

    if (g->sweep)
        q = sweep(&l);
    for (size_t i = 0; !g->sweep && i < g->n_fresh; i++)
        if (!find_seen(g, g->fresh[i]) && r->fib->ops->link_name(r->fib, g->fresh[i], name) >= 0)
            look_at(&l, g->fresh[i], name);
    g->n_fresh = 0;
    q = q < 0 ? q : raise_them(&l);
    g->sweep = q < 0; /* at the next resync */
    return q;
}

int reconcile_guard_all(struct nsh_reconciler *r, char why[static GUARD_WHY])
{
    reconcile_guards_begin(&r->guards);
    return guard_new(r, why);
}

void reconcile_guard_the_rest(struct nsh_reconciler *r, bool ours)
{
    bool start = r->settling && r->occasion == NSH_OCCASION_START;
    struct guards *g = &r->guards;
    char why[GUARD_WHY] = "";
    int q = 0;

    if (ours)
        q = start ? reconcile_guard_all(r, why) : guard_new(r, why);
    g->n_fresh = 0;
    if (q < 0 && why[0] == '\0')
        snprintf(why, sizeof why, "%s", strerror(-q));
    if (q < 0 && strcmp(why, g->told) != 0) {
        struct report_args args = {.kind = NSH_REPORT_FAILED, .detail = why};

        report_plain(r, "accept-ra", NULL, &args);
    }
    memcpy(g->told, why, sizeof g->told);
}
