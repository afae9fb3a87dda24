/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What was switched on is remembered in the state directory before it is written, and given back
 * when no policy needs it any more and nobody changed it since.
 */
#include "reconcile-sysctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state.h"

/* ---- the list of what was switched ---- */

int reconcile_before_load(struct nsh_reconciler *r)
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
    l->lost = q < 0;
    /* Rubbish is written over; what only can't be read now is left as it is. */
    l->kept_from_us = q < 0 && q != -EBADMSG;
    l->changed = q == -EBADMSG;
    l->loaded = true;
    return 0;
}

int reconcile_before_save(const struct nsh_reconciler *r, struct before_list *l)
{
    bool save = r->state && l->changed && !l->kept_from_us;
    int q = save ? nsh_state_sysctls_save(r->state, l->items, l->n) : 0;

    if (q == 0)
        l->changed = false;
    return q;
}

struct nsh_sysctl_before *reconcile_before_find(const struct before_list *l, const char *key)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->items[i].key, key) == 0)
            return &l->items[i];
    return NULL;
}

int reconcile_before_add(struct before_list *l, const char *key, int before, int ours)
{
    struct nsh_sysctl_before *grown;

    if (reconcile_before_find(l, key))
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
    return 1;
}

void reconcile_before_drop(struct before_list *l, struct nsh_sysctl_before *item)
{
    if (!item)
        return;
    *item = l->items[--l->n];
    l->changed = true;
}

bool reconcile_is_accept_ra(const char *key)
{
    size_t n = strlen(key), tail = strlen(NSH_ACCEPT_RA_TAIL);

    return strncmp(key, NSH_ACCEPT_RA_HEAD, strlen(NSH_ACCEPT_RA_HEAD)) == 0 && n > tail &&
           strcmp(key + n - tail, NSH_ACCEPT_RA_TAIL) == 0;
}

/* The interface of an accept_ra key, or "ipv4"/"ipv6" of a forwarding key. */
static const char *key_name(const char *key, char *buf, size_t size)
{
    if (reconcile_is_accept_ra(key)) {
        size_t n = strlen(key) - strlen(NSH_ACCEPT_RA_HEAD) - strlen(NSH_ACCEPT_RA_TAIL);

        snprintf(buf, size, "%.*s", (int)n, key + strlen(NSH_ACCEPT_RA_HEAD));
    } else {
        snprintf(buf, size, "%s",
                strcmp(key, reconcile_forwarding_key(NSH_V4)) == 0 ? "ipv4" : "ipv6");
    }
    return buf;
}

void reconcile_report_sysctl(
        struct nsh_reconciler *r, const char *key, enum nsh_report_kind kind, const char *detail)
{
    char name[64];
    struct report_args args = {.kind = kind, .detail = detail};

    if (reconcile_is_accept_ra(key) && kind == NSH_REPORT_ADDED)
        args.detail = "2, so that forwarding does not silence router advertisements";
    report_plain(r, reconcile_is_accept_ra(key) ? "accept-ra" : "forwarding",
            key_name(key, name, sizeof name), &args);
}

/* ---- given back ---- */

static bool still_needed(const struct nsh_reconciler *r, const char *key)
{
    int f = strcmp(key, reconcile_forwarding_key(NSH_V4)) == 0 ? NSH_V4 : NSH_V6;

    return r->desired->forwarding[f];
}

/* It is tried again at each resync, and told once. */
static void tell_kept(
        struct nsh_reconciler *r, struct nsh_sysctl_before *b, const char *verb, int error)
{
    char why[256];

    if (b->told)
        return;
    snprintf(why, sizeof why, "it stays as it is, since /proc/sys/%s can't be %s: %s", b->key, verb,
            strerror(-error));
    reconcile_report_sysctl(r, b->key, NSH_REPORT_FAILED, why);
    b->told = true;
    reconcile_mark_devices(r, DEVICES_TELL); /* what has lost its interface is open now */
}

/* True when the entry is settled: given back, or changed by somebody since, or its device gone. */
static bool give_back(struct nsh_reconciler *r, struct nsh_sysctl_before *b)
{
    int value, q = r->fib->ops->sysctl_get(r->fib, b->key, &value);

    if (q == -ENOENT || (q >= 0 && (value != b->ours || b->before == b->ours)))
        return true;
    if (q < 0) {
        tell_kept(r, b, "read", q);
        return false;
    }
    q = r->fib->ops->sysctl_set(r->fib, b->key, b->before);
    if (q < 0) {
        tell_kept(r, b, "written", q);
        return false;
    }
    reconcile_report_sysctl(r, b->key, NSH_REPORT_REMOVED, NULL);
    if (b->told)
        reconcile_mark_devices(r, DEVICES_TELL); /* and now it is not */
    return true;
}

static void give_back_those(struct nsh_reconciler *r, struct before_list *list, bool accept_ra)
{
    size_t kept = 0;

    for (size_t i = 0; i < list->n; i++) {
        struct nsh_sysctl_before *b = &list->items[i];
        bool needed = still_needed(r, b->key);

        b->told = b->told && !needed;
        if (reconcile_is_accept_ra(b->key) == accept_ra && !needed && give_back(r, b)) {
            list->changed = true;
            continue;
        }
        list->items[kept++] = *b;
    }
    list->n = kept;
}

bool nsh_reconciler_gave_back(const struct nsh_reconciler *r)
{
    for (size_t i = 0; i < r->before.n; i++)
        if (r->before.items[i].told)
            return false;
    return !r->before.lost;
}

/* Forwarding is not to be touched any more: what it is now is nobody's of ours. */
static void leave(struct before_list *list)
{
    list->changed = list->changed || list->n > 0;
    list->n = 0;
}

int reconcile_forwarding_off(struct nsh_reconciler *r)
{
    int q = reconcile_before_load(r);

    if (q < 0)
        return q;
    if (r->desired->config->settings.forwarding == NSH_FORWARDING_LEAVE)
        leave(&r->before);
    for (int f = 0; f < NSH_FAMILIES; f++)
        if (!r->desired->forwarding[f])
            reconcile_forwarding_forget(r, f, true);
    /* While forwarding is on, accept_ra=1 would lose the learned default route. */
    give_back_those(r, &r->before, false);
    if (!reconcile_before_find(&r->before, reconcile_forwarding_key(NSH_V6))) {
        give_back_those(r, &r->before, true);
        if (!r->desired->forwarding[NSH_V6])
            reconcile_guards_begin(&r->guards);
    }
    /* If the list can't be saved now: that these were given back shows by their values. */
    reconcile_before_save(r, &r->before);
    return 0;
}
