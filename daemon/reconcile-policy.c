/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Policies as wholes. A policy may need chains in several tables, and in each family it is judged
 * by itself: its chains there are one object in journal and status.
 *
 * One that needs more than a chain to mean what it says (a share: filter, NAT, MSS, forwarding) is
 * there as a whole or not at all. When a step of its way up fails, it is blocked: none of it is
 * wanted until the next try, so that the way down takes the earlier steps back, and it forwards
 * nothing. What held before and has only to be repaired is not taken down for that.
 */
#include "reconcile-internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resolve.h"

static bool same_policy(const struct nsh_chain *a, const struct nsh_chain *b)
{
    return strcmp(a->policy, b->policy) == 0;
}

/* What is for all of them is by itself in each family. */
size_t reconcile_policy_end(const struct nsh_reconciler *r, size_t chain)
{
    const struct nsh_chain *chains = r->desired->chains, *c = &chains[chain];
    size_t end = chain + 1;

    while (end < r->desired->n_chains && same_policy(&chains[end], c) &&
            (c->policy[0] != '\0' || chains[end].family == c->family))
        end++;
    return end;
}

/* The first chain of the same policy and family. */
size_t reconcile_lead(const struct nsh_reconciler *r, size_t chain)
{
    const struct nsh_chain *chains = r->desired->chains;
    size_t lead = chain;

    for (size_t i = chain; i-- > 0 && same_policy(&chains[i], &chains[chain]);)
        if (chains[i].family == chains[chain].family)
            lead = i;
    return lead;
}

bool reconcile_is_lead(const struct nsh_reconciler *r, size_t chain)
{
    return reconcile_lead(r, chain) == chain;
}

size_t reconcile_next_of_policy(const struct nsh_reconciler *r, size_t chain)
{
    const struct nsh_desired *d = r->desired;

    for (size_t i = chain + 1; i < d->n_chains && same_policy(&d->chains[i], &d->chains[chain]);
            i++)
        if (d->chains[i].family == d->chains[chain].family)
            return i;
    return SIZE_MAX;
}

/* Rules of others that drop what it is for leave it as it is. */
static bool is_only_told(const struct nsh_reconciler *r, size_t lead)
{
    return r->desired->chains[lead].kind == NSH_POLICY_MASQUERADE;
}

/* From the worst on. */
static const uint8_t order[NSH_OBJECT_STATES] = {
        [NSH_OBJECT_WRONG] = 0,
        [NSH_OBJECT_CONFLICTING] = 1,
        [NSH_OBJECT_PENDING] = 2,
        [NSH_OBJECT_UNKNOWN] = 3,
        [NSH_OBJECT_STANDBY] = 4,
        [NSH_OBJECT_HELD] = 5,
};

/* Nothing is wrong with its chains, as far as there are any. */
static bool is_absent(const struct nsh_reconciler *r, size_t lead, size_t why)
{
    uint8_t state = r->chain_states[why];

    return reconcile_lack(r, lead) && (state == NSH_OBJECT_HELD || state == NSH_OBJECT_STANDBY);
}

enum nsh_object_state reconcile_policy_state(
        const struct nsh_reconciler *r, size_t lead, size_t *ret_why)
{
    *ret_why = lead;
    for (size_t i = lead; i != SIZE_MAX; i = reconcile_next_of_policy(r, i))
        if (order[r->chain_states[i]] < order[r->chain_states[*ret_why]])
            *ret_why = i;
    if (is_absent(r, lead, *ret_why))
        return NSH_OBJECT_PENDING;
    if (r->chain_states[*ret_why] == NSH_OBJECT_HELD && !is_only_told(r, lead) &&
            reconcile_drop_reason(r, lead))
        return NSH_OBJECT_PENDING;
    if (r->chain_states[*ret_why] == NSH_OBJECT_HELD && reconcile_guest_reason(r, lead))
        return NSH_OBJECT_WRONG;
    return r->chain_states[*ret_why];
}

bool reconcile_whole_state(const struct nsh_reconciler *r, size_t chain, enum nsh_object_state *ret)
{
    const struct nsh_chain *chains = r->desired->chains;
    enum nsh_object_state worst = NSH_OBJECT_HELD;
    size_t why;

    if (chains[chain].policy[0] == '\0' ||
            (chain > 0 && same_policy(&chains[chain], &chains[chain - 1])))
        return false;
    for (size_t i = chain; i < r->desired->n_chains && same_policy(&chains[i], &chains[chain]);
            i++) {
        enum nsh_object_state state =
                reconcile_is_lead(r, i) ? reconcile_policy_state(r, i, &why) : worst;

        worst = order[state] < order[worst] ? state : worst;
    }
    *ret = worst;
    return true;
}

static nsh_object_id first_note(
        const struct nsh_reconciler *r, size_t lead, size_t why, enum nsh_object_state state)
{
    if (is_absent(r, lead, why))
        return NSH_OBJECT_ABSENT + lead;
    if (r->chain_states[why] != state && state == NSH_OBJECT_WRONG)
        return NSH_OBJECT_UNHOSTED + lead;
    if (r->chain_states[why] != state ||
            (state == NSH_OBJECT_HELD && is_only_told(r, lead) && reconcile_drop_reason(r, lead)))
        return NSH_OBJECT_DROP + lead;
    return NSH_OBJECT_CHAIN + why;
}

/* Once: its chains may say the same. */
static void add_remark(char *buf, size_t size, const char *remark)
{
    size_t used = strlen(buf);

    if (remark && !strstr(buf, remark))
        snprintf(buf + used, size - used, "%s%s", used > 0 ? "; " : "", remark);
}

/* The family of a policy that is held: for it, if that was not left to others. */
static bool is_forwarded(const struct nsh_reconciler *r, const struct nsh_chain *c)
{
    return nsh_desired_is_forwarded(r->fib, r->desired, c->family, true);
}

const char *reconcile_policy_remarks(const struct nsh_reconciler *r, size_t lead, size_t why,
        enum nsh_object_state state, char *buf, size_t size)
{
    const struct nsh_chain *c = &r->desired->chains[lead];
    char absent[NSH_LACK_TEXT];

    buf[0] = '\0';
    add_remark(buf, size, nsh_notes_reason(r->notes, first_note(r, lead, why, state)));
    if (state == NSH_OBJECT_HELD) {
        add_remark(buf, size,
                nsh_desired_partly(r->desired, c, is_forwarded(r, c), absent, sizeof absent));
        add_remark(buf, size, nsh_notes_reason(r->notes, NSH_OBJECT_BAN + lead));
    }
    for (size_t i = lead; state == NSH_OBJECT_HELD && i != SIZE_MAX;
            i = reconcile_next_of_policy(r, i))
        add_remark(buf, size, reconcile_ahead_reason(r, i));
    return buf[0] ? buf : NULL;
}

struct nsh_repairs reconcile_policy_repairs(const struct nsh_reconciler *r, size_t lead)
{
    struct nsh_repairs all = {0};

    for (size_t i = lead; i != SIZE_MAX; i = reconcile_next_of_policy(r, i)) {
        const struct nsh_repairs *one = nsh_notes_find_repairs(r->notes, NSH_OBJECT_CHAIN + i);

        if (!one)
            continue;
        if (one->culprit[0] != '\0' && (one->last >= all.last || all.culprit[0] == '\0'))
            memcpy(all.culprit, one->culprit, sizeof all.culprit);
        all.backoff = one->last >= all.last ? one->backoff : all.backoff;
        all.last = one->last > all.last ? one->last : all.last;
        all.count += one->count;
    }
    return all;
}

/* ---- all of it or none ---- */

bool reconcile_was_complete(const struct nsh_reconciler *r, size_t chain)
{
    for (size_t i = reconcile_lead(r, chain); i != SIZE_MAX; i = reconcile_next_of_policy(r, i))
        if (r->chain_states[i] != NSH_OBJECT_HELD && r->chain_states[i] != NSH_OBJECT_WRONG)
            return false;
    return true;
}

bool reconcile_may_block(const struct nsh_reconciler *r, size_t chain)
{
    return r->desired->chains[chain].kind > NSH_POLICY_MASQUERADE &&
           !r->desired->chains[chain].standby && !r->desired->chains[chain].blocked &&
           (r->settling || !reconcile_was_complete(r, chain));
}

static void set_bare(struct nsh_reconciler *r, size_t chain, bool bare)
{
    for (size_t i = reconcile_lead(r, chain); i != SIZE_MAX; i = reconcile_next_of_policy(r, i))
        r->desired->chains[i].bare = bare;
}

void reconcile_strip(struct nsh_reconciler *r, size_t chain)
{
    set_bare(r, chain, true);
    nsh_desired_settle(r->desired);
}

void reconcile_set_blocked(struct nsh_reconciler *r, size_t chain, bool blocked)
{
    for (size_t i = reconcile_lead(r, chain); i != SIZE_MAX; i = reconcile_next_of_policy(r, i))
        r->desired->chains[i].blocked = blocked;
    set_bare(r, chain, false);
    nsh_desired_settle(r->desired);
    memset(r->tidy, 0, sizeof r->tidy);
    r->forwarding_dirty = r->unwanted_dirty = true;
}

/* What serves all policies goes with the last of them, and it is netshared that takes it away. */
static void settle_what_serves(struct nsh_reconciler *r)
{
    for (size_t i = 0; i < r->desired->n_chains; i++)
        if (r->desired->chains[i].policy[0] == '\0' && r->desired->chains[i].standby &&
                r->chain_states[i] == NSH_OBJECT_HELD)
            r->chain_states[i] = NSH_OBJECT_STANDBY;
}

void reconcile_block(struct nsh_reconciler *r, size_t chain, const char *why)
{
    struct report_args args = {.kind = NSH_REPORT_PENDING, .detail = why};
    size_t lead = reconcile_lead(r, chain);
    bool known = r->chain_states[lead] == NSH_OBJECT_PENDING ||
                 (r->chain_news[lead] & CHAIN_RETRIED) != 0;
    bool news = nsh_notes_set_reason(r->notes, NSH_OBJECT_CHAIN + lead, why) != 0 || !known;

    reconcile_set_blocked(r, chain, true);
    settle_what_serves(r);
    r->guards_dirty[nsh_family_index(r->desired->chains[chain].family)] = true;
    for (size_t i = lead; i != SIZE_MAX; i = reconcile_next_of_policy(r, i)) {
        r->chain_states[i] = NSH_OBJECT_PENDING;
        r->chain_news[i] = 0;
        if (i != lead)
            nsh_notes_set_reason(r->notes, NSH_OBJECT_CHAIN + i, why);
    }
    if (news)
        report_chain(r, &r->desired->chains[lead], &args);
}

bool reconcile_unblock(struct nsh_reconciler *r, int family)
{
    bool any = false;

    for (size_t i = 0; i < r->desired->n_chains; i++) {
        struct nsh_chain *c = &r->desired->chains[i];

        if (c->family != family || !c->blocked)
            continue;
        c->bare = false;
        /* What others drop waits for them. */
        if (reconcile_drop_reason(r, reconcile_lead(r, i)))
            continue;
        c->blocked = false;
        r->chain_news[i] |= CHAIN_RETRIED;
        any = true;
    }
    if (!any)
        return false;
    nsh_desired_settle(r->desired);
    memset(r->tidy, 0, sizeof r->tidy);
    r->forwarding_dirty = r->news = true;
    return true;
}

void reconcile_admit(struct nsh_reconciler *r, size_t chain)
{
    reconcile_set_blocked(r, chain, false);
    for (size_t i = reconcile_lead(r, chain); i != SIZE_MAX; i = reconcile_next_of_policy(r, i))
        r->chain_news[i] |= CHAIN_RETRIED;
    r->firewall_dirty[nsh_family_index(r->desired->chains[chain].family)] = true;
    r->guests_dirty = r->news = true;
}

/* The last step of a share: it is tried again with it. False: there is none. */
bool reconcile_forwarding_failed(struct nsh_reconciler *r, int f, const char *why)
{
    bool any = false;

    for (size_t i = 0; i < r->desired->n_chains; i++) {
        const struct nsh_chain *c = &r->desired->chains[i];

        if (c->family != nsh_family_of(f) || c->kind != NSH_POLICY_SHARE || c->standby ||
                !reconcile_is_lead(r, i))
            continue;
        reconcile_block(r, i, why);
        reconcile_failed(r, f);
        any = true;
    }
    return any;
}

/* ---- kinds ---- */

static int compare_known(const void *a, const void *b)
{
    const struct known_policy *x = a, *y = b;

    return strcmp(x->name, y->name);
}

enum nsh_policy_kind reconcile_kind_before(const struct nsh_reconciler *r, const char *policy)
{
    struct known_policy key = {0};
    const struct known_policy *found;

    snprintf(key.name, sizeof key.name, "%s", policy);
    found = r->n_known > 0 ? bsearch(&key, r->known, r->n_known, sizeof *r->known, compare_known)
                           : NULL;
    return found ? found->kind : NSH_POLICY_NONE;
}

int reconcile_remember_kinds(struct nsh_reconciler *r)
{
    size_t n = 0;

    free(r->known);
    r->n_known = 0;
    r->known = calloc(r->desired->n_chains + 1, sizeof *r->known);
    if (!r->known)
        return -ENOMEM;
    for (size_t i = 0; i < r->desired->n_chains; i++) {
        const struct nsh_chain *c = &r->desired->chains[i];

        if (c->policy[0] == '\0' || !reconcile_is_lead(r, i))
            continue;
        memcpy(r->known[n].name, c->policy, sizeof c->policy);
        r->known[n++].kind = c->kind;
    }
    r->n_known = n;
    if (n > 1)
        qsort(r->known, n, sizeof *r->known, compare_known);
    return 0;
}
