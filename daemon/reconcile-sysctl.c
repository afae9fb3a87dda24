/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Forwarding, and the router advertisements it would silence.
 *
 * What is switched on is remembered in the state directory before it is written, and given back
 * when no policy needs it any more and nobody changed it since. Turning IPv6 forwarding on makes
 * the kernel drop the default route it learned and ignore later advertisements, unless accept_ra
 * is 2 (Documentation/networking/ip-sysctl.rst).
 */
#include "reconcile-internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "resolve.h"

static const char *const forwarding_keys[NSH_FAMILIES] = {
        [NSH_V4] = "net/ipv4/ip_forward",
        [NSH_V6] = "net/ipv6/conf/all/forwarding",
};

/* A failure is tried again after that, and each further one after twice as long, 64 s at last. */
#define FAILURE_RETRY_USEC 1000000ULL
#define FAILURES_MAX 6

#define ACCEPT_RA_HEAD "net/ipv6/conf/"
#define ACCEPT_RA_TAIL "/accept_ra"
#define ACCEPT_RA_HOST 1   /* listens while not forwarding */
#define ACCEPT_RA_ROUTER 2 /* listens even while forwarding */

/* ---- the list of what was switched ---- */

static int list_load(struct nsh_reconciler *r)
{
    struct before_list *l = &r->before;
    struct report_args args = {.kind = NSH_REPORT_WARNING};
    char why[200];
    int q;

    if (l->loaded || !r->state)
        return 0;
    q = nsh_state_sysctls_load(r->state, &l->items, &l->n);
    if (q == -ENOMEM)
        return q;
    if (q < 0) {
        /* Then there is nothing to give back; it must not keep anything else from being done. */
        snprintf(why, sizeof why, "%s: what was switched on before this start can't be given back",
                q == -EBADMSG ? "it is damaged and is begun anew" : strerror(-q));
        args.detail = why;
        report_plain(r, "the list", "'sysctls' in the state directory", &args);
    }
    /* Rubbish is written over; what only can't be read now is left as it is. */
    l->kept_from_us = q < 0 && q != -EBADMSG;
    l->changed = q == -EBADMSG;
    l->loaded = true;
    return 0;
}

static int list_save(const struct nsh_reconciler *r, struct before_list *l)
{
    bool save = r->state && l->changed && !l->kept_from_us;
    int q = save ? nsh_state_sysctls_save(r->state, l->items, l->n) : 0;

    if (q == 0)
        l->changed = false;
    return q;
}

static struct nsh_sysctl_before *list_find(const struct before_list *l, const char *key)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->items[i].key, key) == 0)
            return &l->items[i];
    return NULL;
}

static int list_add(struct before_list *l, const char *key, int before, int ours)
{
    struct nsh_sysctl_before *grown;

    if (list_find(l, key))
        return 0;
    if (l->n >= NSH_SYSCTLS_MAX || strlen(key) >= sizeof l->items->key)
        return -E2BIG;
    grown = realloc(l->items, (l->n + 1) * sizeof *grown);
    if (!grown)
        return -ENOMEM;
    l->items = grown;
    l->items[l->n] = (struct nsh_sysctl_before){.before = before, .ours = ours};
    snprintf(l->items[l->n].key, sizeof l->items->key, "%s", key);
    l->n++;
    l->changed = true;
    return 0;
}

static bool is_accept_ra(const char *key)
{
    size_t n = strlen(key), tail = strlen(ACCEPT_RA_TAIL);

    return strncmp(key, ACCEPT_RA_HEAD, strlen(ACCEPT_RA_HEAD)) == 0 && n > tail &&
           strcmp(key + n - tail, ACCEPT_RA_TAIL) == 0;
}

/* The interface of an accept_ra key, or "ipv4"/"ipv6" of a forwarding key. */
static const char *key_name(const char *key, char *buf, size_t size)
{
    if (is_accept_ra(key)) {
        size_t n = strlen(key) - strlen(ACCEPT_RA_HEAD) - strlen(ACCEPT_RA_TAIL);

        snprintf(buf, size, "%.*s", (int)n, key + strlen(ACCEPT_RA_HEAD));
    } else {
        snprintf(buf, size, "%s", strcmp(key, forwarding_keys[NSH_V4]) == 0 ? "ipv4" : "ipv6");
    }
    return buf;
}

static void report_key(
        struct nsh_reconciler *r, const char *key, enum nsh_report_kind kind, const char *detail)
{
    char name[64];
    struct report_args args = {.kind = kind, .detail = detail};

    if (is_accept_ra(key) && kind == NSH_REPORT_ADDED)
        args.detail = "2, so that forwarding does not silence router advertisements";
    report_plain(r, is_accept_ra(key) ? "accept-ra" : "forwarding",
            key_name(key, name, sizeof name), &args);
}

bool reconcile_is_forwarded(struct nsh_reconciler *r, int f)
{
    /* What can't be read is given back by nobody. */
    bool ours = list_load(r) == 0 && list_find(&r->before, forwarding_keys[f]);

    return nsh_desired_is_forwarded(r->fib, r->desired, nsh_family_of(f), ours);
}

bool reconcile_switched_on(struct nsh_reconciler *r, int f)
{
    int value;

    return list_load(r) >= 0 && list_find(&r->before, forwarding_keys[f]) &&
           r->fib->ops->sysctl_get(r->fib, forwarding_keys[f], &value) >= 0 && value != 0;
}

/* ---- on ---- */

#define GUARD_WHY 160

/* Interfaces whose accept_ra is to be raised: noted down first, then written. */
struct guard {
    struct nsh_reconciler *r;
    char (*keys)[sizeof(((struct nsh_sysctl_before *)0)->key)];
    size_t n;
    int error;
    char why[GUARD_WHY]; /* which could not be read or written; "": none */
};

static void guard_free(struct guard *g)
{
    free(g->keys);
}

static void guard_unsafe(struct nsh_reconciler *r, const char *name)
{
    struct report_args args = {.kind = NSH_REPORT_WARNING,
            .detail = "its name can't be noted in the state directory, so it is left at 1 and "
                      "hears no router while forwarding is on"};

    report_plain(r, "accept-ra", name, &args);
}

/* One that is gone meanwhile needs no guard. */
static int guard_refused(struct guard *g, const char *verb, const char *key, int q)
{
    if (q < 0 && q != -ENOENT && g->why[0] == '\0')
        snprintf(g->why, sizeof g->why, "cannot %s /proc/sys/%s: %s", verb, key, strerror(-q));
    return q == -ENOENT ? 0 : q;
}

static void guard_one(void *userdata, const char *name)
{
    struct guard *g = userdata;
    char key[sizeof *g->keys];
    uint32_t ifindex;
    void *grown;
    int value = 0, n;

    /* `all` is no interface; `lo` hears no router; `default` would open interfaces yet unknown. */
    if (g->r->fib->ops->link_index(g->r->fib, name, &ifindex) == 0 && ifindex > g->r->guarded_index)
        g->r->guarded_index = ifindex;
    if (g->error < 0 || strcmp(name, "all") == 0 || strcmp(name, "default") == 0 ||
            strcmp(name, "lo") == 0)
        return;
    n = snprintf(key, sizeof key, ACCEPT_RA_HEAD "%s" ACCEPT_RA_TAIL, name);
    if (n < 0 || (size_t)n >= sizeof key)
        return;
    g->error = guard_refused(g, "read", key, g->r->fib->ops->sysctl_get(g->r->fib, key, &value));
    if (g->error < 0 || value != ACCEPT_RA_HOST)
        return;
    if (!nsh_state_key_is_safe(key)) {
        guard_unsafe(g->r, name);
        return;
    }
    grown = realloc(g->keys, (g->n + 1) * sizeof *g->keys);
    if (!grown) {
        g->error = -ENOMEM;
        return;
    }
    g->keys = grown;
    memcpy(g->keys[g->n++], key, sizeof key);
    g->error = list_add(&g->r->before, key, ACCEPT_RA_HOST, ACCEPT_RA_ROUTER);
}

static int guard_write(struct guard *g)
{
    int q = g->error < 0 ? g->error : list_save(g->r, &g->r->before), error;

    for (size_t i = 0; q == 0 && i < g->n; i++) {
        error = g->r->fib->ops->sysctl_set(g->r->fib, g->keys[i], ACCEPT_RA_ROUTER);
        if (error == 0)
            report_key(g->r, g->keys[i], NSH_REPORT_ADDED, NULL);
        else if (guard_refused(g, "write", g->keys[i], error) < 0)
            g->error = error; /* the others are raised all the same */
    }
    return q < 0 ? q : g->error;
}

/* Before IPv6 forwarding goes on: every interface that listens goes on listening. */
static int guard_all(struct nsh_reconciler *r, char why[static GUARD_WHY])
{
    NSH_CLEANUP(guard_free) struct guard g = {.r = r};
    int q = r->fib->ops->sysctl_each_ipv6_conf(r->fib, guard_one, &g);

    r->n_new_links = 0;
    q = q == 0 ? guard_write(&g) : q;
    memcpy(why, g.why, sizeof g.why);
    return q;
}

/* Later: those that came since. What somebody set on the others meanwhile is their business. */
static int guard_new(struct nsh_reconciler *r, char why[static GUARD_WHY])
{
    NSH_CLEANUP(guard_free) struct guard g = {.r = r};
    int q;

    if (r->n_new_links > NEW_LINKS_MAX)
        return guard_all(r, why);
    for (size_t i = 0; i < r->n_new_links; i++)
        guard_one(&g, r->new_links[i]);
    r->n_new_links = 0;
    q = guard_write(&g);
    memcpy(why, g.why, sizeof g.why);
    return q;
}

/* The kernel numbers interfaces upwards: a higher number than any before is a new one. */
void reconcile_new_link(struct nsh_reconciler *r, uint32_t ifindex, const char *name)
{
    if (ifindex <= r->guarded_index || name[0] == '\0')
        return;
    r->guarded_index = ifindex;
    if (r->n_new_links < NEW_LINKS_MAX)
        snprintf(r->new_links[r->n_new_links], IFNAMSIZ, "%s", name);
    if (r->n_new_links <= NEW_LINKS_MAX)
        r->n_new_links++;
    r->forwarding_dirty = true;
}

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
    size_t known = list->n;
    char why[GUARD_WHY] = "";
    int q;

    if (drift && forwarding_fight(r, f))
        return 0;
    q = f == NSH_V6 ? guard_all(r, why) : 0;
    if (q < 0 && why[0] != '\0') {
        /* The default route that it learned would go; what was raised stays noted. */
        could_not_switch(r, f, drift, why);
        return 0;
    }
    if (q == 0)
        known = list->n;
    /* Drift: what it was before is known already, or was on before we came. */
    if (q == 0 && !drift)
        q = list_add(list, forwarding_keys[f], 0, 1);
    if (q == 0)
        q = list_save(r, list);
    if (q < 0) {
        list->n = known; /* nothing was switched yet */
        snprintf(why, sizeof why, "cannot note in the state directory what it was before: %s",
                strerror(-q));
        could_not_switch(r, f, drift, why);
        return 0;
    }
    q = r->fib->ops->sysctl_set(r->fib, forwarding_keys[f], 1);
    if (q < 0) {
        snprintf(
                why, sizeof why, "cannot write /proc/sys/%s: %s", forwarding_keys[f], strerror(-q));
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

/* IPv6 forwarding is on. By us: interfaces that came since, or while we were away, count too. */
static void guard_the_rest(struct nsh_reconciler *r, bool ours)
{
    bool start = r->settling && r->occasion == NSH_OCCASION_START;
    char why[GUARD_WHY] = "";
    int q = 0;

    if (ours)
        q = start ? guard_all(r, why) : guard_new(r, why);
    r->n_new_links = 0;
    if (q < 0) {
        struct report_args args = {
                .kind = NSH_REPORT_FAILED, .detail = why[0] != '\0' ? why : strerror(-q)};

        report_plain(r, "accept-ra", NULL, &args);
    }
}

static int forwarding_family(struct nsh_reconciler *r, int f, struct before_list *list)
{
    char why[160];
    int value;
    int q = r->fib->ops->sysctl_get(r->fib, forwarding_keys[f], &value);

    if (q < 0) {
        if (f == NSH_V6 && q == -ENOENT)
            snprintf(why, sizeof why,
                    "the kernel has no IPv6: it was built without, or started with ipv6.disable=1");
        else
            snprintf(why, sizeof why, "cannot read /proc/sys/%s: %s", forwarding_keys[f],
                    strerror(-q));
        forwarding_wrong(r, f, NSH_OBJECT_WRONG, why);
        again_later(r, f);
        return 0;
    }
    if (value != 0) {
        if (f == NSH_V6)
            guard_the_rest(r, list_find(list, forwarding_keys[f]) != NULL);
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
    q = list_load(r);
    if (q < 0)
        return q;
    for (int f = 0; f < NSH_FAMILIES && q == 0; f++)
        if (r->desired->forwarding[f] && r->forwarding_wait[f] == 0)
            q = forwarding_family(r, f, &r->before);
    return q;
}

/* ---- off ---- */

static bool still_needed(const struct nsh_reconciler *r, const char *key)
{
    int f = strcmp(key, forwarding_keys[NSH_V4]) == 0 ? NSH_V4 : NSH_V6;

    return r->desired->forwarding[f];
}

/* It is tried again at each resync, and told once. */
static void tell_kept(struct nsh_reconciler *r, struct nsh_sysctl_before *b, int error)
{
    char why[256];

    if (b->told)
        return;
    snprintf(why, sizeof why, "it stays as it is, since /proc/sys/%s can't be written: %s", b->key,
            strerror(-error));
    report_key(r, b->key, NSH_REPORT_FAILED, why);
    b->told = true;
}

/* True when the entry is settled: given back, or changed by somebody since, or its device gone. */
static bool give_back(struct nsh_reconciler *r, struct nsh_sysctl_before *b)
{
    int value, q;

    if (r->fib->ops->sysctl_get(r->fib, b->key, &value) < 0 || value != b->ours ||
            b->before == b->ours)
        return true;
    q = r->fib->ops->sysctl_set(r->fib, b->key, b->before);
    if (q < 0) {
        tell_kept(r, b, q);
        return false;
    }
    report_key(r, b->key, NSH_REPORT_REMOVED, NULL);
    return true;
}

static void give_back_those(struct nsh_reconciler *r, struct before_list *list, bool accept_ra)
{
    size_t kept = 0;

    for (size_t i = 0; i < list->n; i++) {
        struct nsh_sysctl_before *b = &list->items[i];
        bool needed = still_needed(r, b->key);

        b->told = b->told && !needed;
        if (is_accept_ra(b->key) == accept_ra && !needed && give_back(r, b)) {
            list->changed = true;
            continue;
        }
        list->items[kept++] = *b;
    }
    list->n = kept;
}

/* Forwarding is not to be touched any more: what it is now is nobody's of ours. */
static void leave(struct before_list *list)
{
    list->changed = list->changed || list->n > 0;
    list->n = 0;
}

int reconcile_forwarding_off(struct nsh_reconciler *r)
{
    int q = list_load(r);

    if (q < 0)
        return q;
    if (r->desired->config->settings.forwarding == NSH_FORWARDING_LEAVE)
        leave(&r->before);
    for (int f = 0; f < NSH_FAMILIES; f++)
        if (!r->desired->forwarding[f])
            reconcile_forwarding_forget(r, f, true);
    /* While forwarding is on, accept_ra=1 would lose the learned default route. */
    give_back_those(r, &r->before, false);
    give_back_those(r, &r->before, true);
    /* If the list can't be saved now: that these were given back shows by their values. */
    list_save(r, &r->before);
    return 0;
}
