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

#define LOOPBACK 1 /* net/core/dev.c: LOOPBACK_IFINDEX */

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

/* ---- renamed ---- */

/*
 * It keeps what was set on it; what it was before is to be found under its new name. Two may change
 * names with each other: all are taken out first, then put in.
 */
static void take_out(struct nsh_reconciler *r, struct guarded *renamed)
{
    struct nsh_sysctl_before *item = NULL;
    accept_ra_key key;

    if (key_of(renamed->name, key))
        item = reconcile_before_find(&r->before, key);
    renamed->raised = item != NULL;
    if (item)
        reconcile_before_drop(&r->before, item);
}

static void put_in(struct nsh_reconciler *r, struct guarded *renamed)
{
    accept_ra_key key;

    memcpy(renamed->name, renamed->next, sizeof renamed->name);
    renamed->next[0] = '\0';
    if (!renamed->raised || !key_of(renamed->name, key) || !nsh_state_key_is_safe(key))
        return;
    reconcile_before_drop(&r->before, reconcile_before_find(&r->before, key));
    /* There is room: one was taken out. */
    (void)reconcile_before_add(&r->before, key, ACCEPT_RA_HOST, ACCEPT_RA_ROUTER);
    r->forwarding_dirty = true; /* it is saved */
}

/* ---- events ---- */

/* We forward IPv6. Else all that comes is looked at when we begin to. */
static bool is_on_guard(struct nsh_reconciler *r)
{
    bool on = r->desired->forwarding[NSH_V6] &&
              reconcile_before_find(&r->before, reconcile_forwarding_key(NSH_V6));

    r->guards.sweep = r->guards.sweep || !on;
    return on;
}

static void to_be_looked_at(struct nsh_reconciler *r, uint32_t ifindex)
{
    struct guards *g = &r->guards;

    if (ifindex == LOOPBACK)
        return;
    for (size_t i = 0; i < g->n_fresh; i++)
        if (g->fresh[i] == ifindex)
            return;
    if (g->n_fresh < NEW_LINKS_MAX)
        g->fresh[g->n_fresh++] = ifindex;
    else
        g->sweep = true;
    r->forwarding_dirty = true;
}

void reconcile_guard_link(struct nsh_reconciler *r, const struct nsh_fib_event *e)
{
    struct guarded *seen = find_seen(&r->guards, e->ifindex);

    if (!is_on_guard(r))
        return;
    if (seen && (e->gone || !e->ipv6)) {
        forget(r, seen);
        seen = NULL;
    }
    /* When it has its IPv6 again the kernel says this before it is made; it may be by now. */
    if (!seen && !e->gone)
        to_be_looked_at(r, e->ifindex);
    if (!seen || e->name[0] == '\0' || strcmp(seen->name, e->name) == 0)
        return;
    memcpy(seen->next, e->name, sizeof seen->next);
    take_out(r, seen);
    put_in(r, seen);
}

void reconcile_guard_address(struct nsh_reconciler *r, const struct nsh_fib_event *e)
{
    if (e->family == AF_INET6 && !e->gone && is_on_guard(r) && !find_seen(&r->guards, e->ifindex))
        to_be_looked_at(r, e->ifindex);
}

void reconcile_guards_begin(struct guards *g)
{
    g->n = 0;
    g->sweep = true;
    g->told[0] = '\0';
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

static void note_error(struct look *l, int q)
{
    if (q < 0 && l->error == 0)
        l->error = q;
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

/* `all` is no interface; `lo` hears no router; `default` would open interfaces yet unknown. */
static bool is_none(const char *name)
{
    return strcmp(name, "all") == 0 || strcmp(name, "default") == 0 || strcmp(name, "lo") == 0;
}

static void look_at(struct look *l, uint32_t ifindex, const char *name)
{
    accept_ra_key key;
    int value = 0, q;

    if (is_none(name) || !key_of(name, key))
        return;
    q = l->r->fib->ops->sysctl_get(l->r->fib, key, &value);
    if (q < 0) {
        note_error(l, refused(l, "read", key, q));
        return;
    }
    if (value == ACCEPT_RA_HOST && nsh_state_key_is_safe(key)) {
        note_error(l, to_raise(l, ifindex, name, key));
        return;
    }
    if (value == ACCEPT_RA_HOST)
        tell_unsafe(l->r, name);
    note_error(l, add_seen(&l->r->guards, ifindex, name));
}

/* It was not written: who sets it to 2 then is not us. */
static void take_back(struct look *l, const struct raise *item)
{
    if (item->added)
        reconcile_before_drop(&l->r->before, reconcile_before_find(&l->r->before, item->key));
}

static int raise_one(struct look *l, const struct raise *item)
{
    int q = l->r->fib->ops->sysctl_set(l->r->fib, item->key, ACCEPT_RA_ROUTER);

    if (q < 0) {
        take_back(l, item);
        return refused(l, "write", item->key, q);
    }
    reconcile_report_sysctl(l->r, item->key, NSH_REPORT_ADDED, NULL);
    return add_seen(&l->r->guards, item->ifindex, item->name);
}

/* All that can be; the first error of them. */
static int raise_them(struct look *l)
{
    int q = reconcile_before_save(l->r, &l->r->before);

    if (q < 0) {
        for (size_t i = 0; i < l->n; i++)
            take_back(l, &l->raise[i]);
        return q;
    }
    for (size_t i = 0; i < l->n; i++)
        note_error(l, raise_one(l, &l->raise[i]));
    (void)reconcile_before_save(l->r, &l->r->before); /* for what was taken back */
    return l->error;
}

/* ---- all of them, and those that came since ---- */

/* Its number, 0 when it has gone; false, with l->error, when that can't be told. */
static bool number_of(struct look *l, const char *name, uint32_t *ret)
{
    int q = l->r->fib->ops->link_index(l->r->fib, name, ret);

    if (q < 0)
        *ret = 0;
    if (q == -ENODEV)
        q = 0;
    if (q < 0 && l->why[0] == '\0')
        snprintf(l->why, GUARD_WHY, "cannot ask for interface %s: %s", name, strerror(-q));
    note_error(l, q);
    return q >= 0;
}

static void find_one(void *userdata, const char *name)
{
    struct look *l = userdata;
    struct guarded *seen;
    uint32_t ifindex;

    if (is_none(name) || !number_of(l, name, &ifindex))
        return;
    seen = find_seen(&l->r->guards, ifindex);
    if (!seen)
        return;
    seen->there = true;
    if (strcmp(seen->name, name) != 0)
        snprintf(seen->next, sizeof seen->next, "%s", name);
}

static void sweep_one(void *userdata, const char *name)
{
    struct look *l = userdata;
    uint32_t ifindex;

    if (!is_none(name) && number_of(l, name, &ifindex) && !find_seen(&l->r->guards, ifindex))
        look_at(l, ifindex, name);
}

static void rename_all(struct nsh_reconciler *r)
{
    struct guards *g = &r->guards;

    for (size_t i = 0; i < g->n; i++)
        if (g->seen[i].next[0] != '\0')
            take_out(r, &g->seen[i]);
    for (size_t i = 0; i < g->n; i++)
        if (g->seen[i].next[0] != '\0')
            put_in(r, &g->seen[i]);
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
    q = l->r->fib->ops->sysctl_each_ipv6_conf(l->r->fib, find_one, l);
    if (q < 0 || l->error < 0)
        return q < 0 ? q : l->error;
    rename_all(l->r);
    prune(l->r);
    return l->r->fib->ops->sysctl_each_ipv6_conf(l->r->fib, sweep_one, l);
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
    for (size_t i = 0; !g->sweep && i < g->n_fresh; i++) {
        if (find_seen(g, g->fresh[i]))
            continue;
        int error = r->fib->ops->link_name(r->fib, g->fresh[i], name);

        if (error >= 0)
            look_at(&l, g->fresh[i], name);
        else if (error != -ENODEV)
            note_error(&l, error);
    }
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
