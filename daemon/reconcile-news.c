/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Chains are mended a table at a time, and told of a policy at a time. The chains of a policy are
 * next to each other, those of IPv4 first; what serves all policies has no name, and each family
 * speaks for itself.
 */
#include "reconcile-internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what was put right ---- */

void reconcile_note_drift(
        struct nsh_reconciler *r, size_t chain, enum nsh_report_kind kind, const char *text)
{
    struct drifts *all = &r->drifts;
    int f = nsh_family_index(r->desired->chains[chain].family);
    struct drift *d;

    if (all->n == all->size) {
        size_t size = all->size > 0 ? all->size * 2 : 16;

        d = reallocarray(all->items, size, sizeof *d);
        if (!d)
            return; /* it is put right all the same */
        all->items = d;
        all->size = size;
    }
    d = &all->items[all->n++];
    *d = (struct drift){.chain = chain, .kind = kind, .culprit_pid = r->firewall_culprit_pid};
    d->guard = r->desired->chains[chain].guarded;
    d->resync = strcmp(r->account.trigger.text, "resync") == 0 && !r->firewall_told[f];
    memcpy(d->culprit, r->firewall_culprit, sizeof d->culprit);
    snprintf(d->text, sizeof d->text, "%s", text);
}

void reconcile_drop_drifts(struct nsh_reconciler *r)
{
    free(r->drifts.items);
    r->drifts = (struct drifts){0};
}

/* What one family's chains of a policy have to tell of one kind. */
struct story {
    const struct drift *first; /* NULL: nothing */
    size_t n;
    bool resync;       /* all of it */
    bool certain;      /* it was one culprit */
    bool alike;        /* the same is wrong with all */
    const char *cause; /* as in the journal; NULL: none */
    char detail[96 * 4 + 64];
};

/* What its policy was tried again for has come about: then that is told, and no guard is needed. */
static bool belongs(const struct nsh_reconciler *r, const struct drift *d, int family,
        enum nsh_report_kind kind)
{
    const struct nsh_chain *c = &r->desired->chains[d->chain];

    return c->family == family && d->kind == kind && (c->blocked || !d->guard);
}

static const char *table_of(const struct nsh_reconciler *r, const struct drift *d)
{
    return nsh_table_name(r->desired->chains[d->chain].table);
}

/* All that is wanted of the policy is in it. */
static bool is_whole(const struct nsh_reconciler *r, const struct story *s)
{
    size_t n = 0;

    for (size_t i = reconcile_lead(r, s->first->chain); i != SIZE_MAX;
            i = reconcile_next_of_policy(r, i))
        n += !r->desired->chains[i].standby;
    return s->n == n;
}

static void add_words(struct story *s, const char *between, const char *words)
{
    size_t used = strlen(s->detail);

    snprintf(s->detail + used, sizeof s->detail - used, "%s%s", used > 0 ? between : "", words);
}

/* "nat, filter", or "nat: missing, filter: jump missing" where it is not the same in all. */
static void say_where(
        const struct nsh_reconciler *r, struct story *s, const struct drift *d, size_t n)
{
    const char *last = NULL;
    char words[128];

    for (size_t i = 0; i < n; i++) {
        if (!belongs(r, &d[i], r->desired->chains[s->first->chain].family, s->first->kind) ||
                (s->alike && last == table_of(r, &d[i])))
            continue;
        last = table_of(r, &d[i]);
        snprintf(words, sizeof words, "%s%s%s", last, s->alike ? "" : ": ",
                s->alike ? "" : d[i].text);
        add_words(s, ", ", words);
    }
}

static void take_story(const struct nsh_reconciler *r, const struct drift *d, size_t n, int family,
        enum nsh_report_kind kind, struct story *s)
{
    *s = (struct story){.resync = true, .certain = true, .alike = true};
    for (size_t i = 0; i < n; i++) {
        if (!belongs(r, &d[i], family, kind))
            continue;
        s->first = s->first ? s->first : &d[i];
        s->n++;
        s->resync = s->resync && d[i].resync;
        s->certain = s->certain && d[i].culprit_pid == s->first->culprit_pid;
        s->alike = s->alike && strcmp(d[i].text, s->first->text) == 0;
    }
}

/* In the journal's words; a policy that is gone was removed by somebody. */
static void finish_repair(
        const struct nsh_reconciler *r, struct story *s, const struct drift *d, size_t n)
{
    bool gone = s->alike && strcmp(s->first->text, "missing") == 0;
    const struct nsh_chain *c = &r->desired->chains[s->first->chain];
    bool several = c->kind > NSH_POLICY_MASQUERADE && !c->blocked;

    s->cause = !s->alike ? "changed" : s->first->text;
    if (gone && s->certain && s->first->culprit_pid != 0)
        s->cause = "removed";
    if (several && !(gone && is_whole(r, s)))
        say_where(r, s, d, n);
    if (s->resync)
        add_words(s, "; found by the ", "resync");
}

static bool same_story(const struct story *a, const struct story *b)
{
    if (!a->first || !b->first || a->certain != b->certain ||
            a->first->culprit_pid != b->first->culprit_pid)
        return false;
    /* Of a fight it is the same if how often differs by one. */
    return a->first->kind == NSH_REPORT_FIGHT ||
           (strcmp(a->cause, b->cause) == 0 && strcmp(a->detail, b->detail) == 0);
}

static void tell_story(struct nsh_reconciler *r, const struct story *s, bool both)
{
    struct report_args args = {
            .kind = s->first->kind,
            .cause = s->cause,
            .detail = s->detail[0] ? s->detail : NULL,
            .both = both,
            .drops = r->desired->chains[s->first->chain].blocked,
            .culprit = s->certain && s->first->culprit_pid != 0 ? s->first->culprit : NULL,
            .culprit_pid = s->certain ? s->first->culprit_pid : 0,
    };

    report_chain(r, &r->desired->chains[s->first->chain], &args);
}

static void tell_kind(
        struct nsh_reconciler *r, const struct drift *d, size_t n, enum nsh_report_kind kind)
{
    struct story stories[NSH_FAMILIES];
    bool both;

    for (int f = 0; f < NSH_FAMILIES; f++) {
        take_story(r, d, n, nsh_family_of(f), kind, &stories[f]);
        if (stories[f].first && kind == NSH_REPORT_RESTORED)
            finish_repair(r, &stories[f], d, n);
        else if (stories[f].first)
            add_words(&stories[f], "", stories[f].first->text);
    }
    both = same_story(&stories[NSH_V4], &stories[NSH_V6]);
    for (int f = 0; f < NSH_FAMILIES; f++)
        if (stories[f].first && !(both && f == NSH_V6))
            tell_story(r, &stories[f], both);
}

static int compare_drifts(const void *a, const void *b)
{
    const struct drift *x = a, *y = b;

    return x->chain < y->chain ? -1 : x->chain > y->chain;
}

void reconcile_tell_drifts(struct nsh_reconciler *r)
{
    struct drift *d = r->drifts.items;
    size_t n;

    if (r->drifts.n > 1)
        qsort(d, r->drifts.n, sizeof *d, compare_drifts);
    for (size_t i = 0; i < r->drifts.n; i += n) {
        size_t end = reconcile_policy_end(r, d[i].chain);

        n = 1;
        while (i + n < r->drifts.n && d[i + n].chain < end)
            n++;
        tell_kind(r, &d[i], n, NSH_REPORT_RESTORED);
        tell_kind(r, &d[i], n, NSH_REPORT_FIGHT);
    }
    reconcile_drop_drifts(r);
}

/* ---- what is new ---- */

void reconcile_note_news(struct nsh_reconciler *r, size_t chain, enum nsh_report_kind kind)
{
    r->chain_news[chain] = (uint8_t)(kind | (r->chain_news[chain] & CHAIN_RETRIED));
    r->news = true;
}

/* Of one family: ADDED only if all its chains were; 0: nothing. */
static int take_news(struct nsh_reconciler *r, size_t lead)
{
    int told = NSH_REPORT_ADDED;
    bool news = false;

    for (size_t i = lead; i != SIZE_MAX; i = reconcile_next_of_policy(r, i)) {
        uint8_t kind = r->chain_news[i] & (uint8_t)~CHAIN_RETRIED;

        if (kind != NSH_REPORT_ADDED)
            told = NSH_REPORT_CHANGED;
        if (r->chain_states[i] == NSH_OBJECT_HELD)
            nsh_notes_set_reason(r->notes, NSH_OBJECT_CHAIN + i, NULL);
        news = news || kind != 0;
        r->chain_news[i] = 0;
    }
    return news ? told : 0;
}

/* The chains from `first` to before `end` are those of a policy. */
static void tell_policy(struct nsh_reconciler *r, size_t first, size_t end)
{
    size_t leads[NSH_FAMILIES] = {SIZE_MAX, SIZE_MAX};
    int told[NSH_FAMILIES] = {0};
    bool both;

    for (size_t i = end; i-- > first;)
        leads[nsh_family_index(r->desired->chains[i].family)] = i;
    for (int f = 0; f < NSH_FAMILIES; f++)
        told[f] = leads[f] != SIZE_MAX ? take_news(r, leads[f]) : 0;
    /* What serves all may have come for a try alone. */
    for (int f = 0; f < NSH_FAMILIES; f++)
        if (r->desired->chains[first].policy[0] == '\0' && r->firewall_retried[f])
            told[f] = 0;
    /* Of one that is pending yet it has been told. */
    for (int f = 0; f < NSH_FAMILIES; f++)
        told[f] = told[f] != 0 && reconcile_lack(r, leads[f]) ? 0 : told[f];
    both = told[NSH_V4] != 0 && told[NSH_V4] == told[NSH_V6];
    for (int f = 0; f < NSH_FAMILIES; f++) {
        struct report_args args = {.kind = (enum nsh_report_kind)told[f], .both = both};

        if (told[f] != 0 && !(both && f == NSH_V6))
            report_chain(r, &r->desired->chains[leads[f]], &args);
    }
}

void reconcile_tell_news(struct nsh_reconciler *r)
{
    size_t end;

    for (size_t i = 0; r->news && i < r->desired->n_chains; i = end) {
        end = reconcile_policy_end(r, i);
        tell_policy(r, i, end);
    }
    r->news = false;
}
