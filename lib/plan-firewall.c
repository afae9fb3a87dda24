/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The firewall plan for one table: chains are compared as they are seen; of built-in chains only
 * the jumps to ours are kept, and judged in plan-jumps.c when all has been seen.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "plan-firewall.h"

/* More rules than this between head and tail are not searched for a mere change of order. */
#define ORDER_MAX 64

NSH_DEFINE_CLEANUP(struct nsh_firewall_plan *, nsh_firewall_plan_free)

static int cmp_names(const void *a, const void *b, void *chains)
{
    const struct nsh_chain *c = chains;

    return strcmp(c[*(const size_t *)a].name, c[*(const size_t *)b].name);
}

/* There may be thousands. One that stands by now may be wanted later. */
static int index_names(struct nsh_firewall_plan *p)
{
    const struct nsh_desired *want = p->want;

    p->by_name = calloc(want->n_chains + 1, sizeof(*p->by_name));
    if (!p->by_name)
        return -ENOMEM;
    for (size_t i = 0; i < want->n_chains; i++)
        if (want->chains[i].family == p->family && want->chains[i].table == p->table)
            p->by_name[p->n_by_name++] = i;
    if (p->n_by_name > 1)
        qsort_r(p->by_name, p->n_by_name, sizeof(*p->by_name), cmp_names, want->chains);
    return 0;
}

int nsh_firewall_plan_new(const struct nsh_desired *want, int family, enum nsh_table table,
        struct nsh_firewall_plan **ret)
{
    NSH_CLEANUP(nsh_firewall_plan_freep) struct nsh_firewall_plan *p = calloc(1, sizeof(*p));

    if (!p)
        return -ENOMEM;
    p->want = want;
    p->family = family;
    p->table = table;
    p->chains = calloc(want->n_chains > 0 ? want->n_chains : 1, sizeof(*p->chains));
    if (!p->chains || index_names(p) < 0)
        return -ENOMEM;
    *ret = NSH_TAKE_PTR(p);
    return 0;
}

void nsh_firewall_plan_free(struct nsh_firewall_plan *p)
{
    if (!p)
        return;
    free(p->chains);
    free(p->by_name);
    free(p->unwanted);
    free(p->hooks);
    free(p->jumps);
    free(p->ahead);
    free(p->ops);
    free(p);
}

void nsh_firewall_plan_begin(struct nsh_firewall_plan *p)
{
    memset(p->chains, 0, p->want->n_chains * sizeof(*p->chains));
    p->n_unwanted = 0;
    p->n_hooks = 0;
    p->n_jumps = 0;
    p->n_ahead = 0;
    p->n_ops = 0;
}

void *nsh_plan_push(void **array, size_t *n, size_t *size, size_t element)
{
    if (*n == *size) {
        size_t next = *size > 0 ? *size * 2 : 8;
        void *p = reallocarray(*array, next, element);

        if (!p)
            return NULL;
        *array = p;
        *size = next;
    }
    return memset((char *)*array + (*n)++ * element, 0, element);
}

/* ---- observe ---- */

bool nsh_plan_concerns(const struct nsh_firewall_plan *p, const struct nsh_chain *c)
{
    return c->family == p->family && c->table == p->table && !c->standby;
}

size_t nsh_plan_find_chain(const struct nsh_firewall_plan *p, const char *name)
{
    size_t low = 0, high = p->n_by_name;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct nsh_chain *c = &p->want->chains[p->by_name[middle]];
        int q = strcmp(c->name, name);

        if (q == 0)
            return nsh_plan_concerns(p, c) ? p->by_name[middle] : SIZE_MAX;
        if (q < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return SIZE_MAX;
}

static bool has_rule(const struct nsh_packet_rule *rules, size_t n, const struct nsh_packet_rule *r)
{
    for (size_t i = 0; i < n; i++)
        if (nsh_packet_rule_equal(&rules[i], r))
            return true;
    return false;
}

/* True if the same rules stand on both sides, in another order. */
static bool only_moved(
        const struct nsh_packet_rule *want, const struct nsh_packet_rule *seen, size_t n)
{
    if (n > ORDER_MAX)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!has_rule(seen, n, &want[i]) || !has_rule(want, n, &seen[i]))
            return false;
    return true;
}

/* A device's name that is another one. False: it is not the one that others are. */
static bool rename_device(const char *want, const char *seen, const char **is, const char **was)
{
    if (strcmp(want, seen) == 0)
        return true;
    if (want[0] == '\0' || seen[0] == '\0' || (*is && strcmp(*is, want) != 0) ||
            (*was && strcmp(*was, seen) != 0))
        return false;
    *is = want;
    *was = seen;
    return true;
}

/* One device in place of another in all of them: that is all there is to say. */
static bool say_renamed(struct chain_state *s, const struct nsh_packet_rule *want,
        const struct nsh_packet_rule *seen, size_t n)
{
    const char *is = NULL, *was = NULL;

    for (size_t i = 0; i < n; i++) {
        struct nsh_packet_rule r = want[i];

        memcpy(r.in, seen[i].in, sizeof r.in);
        memcpy(r.out, seen[i].out, sizeof r.out);
        if (!nsh_packet_rule_equal(&r, &seen[i]) ||
                !rename_device(want[i].in, seen[i].in, &is, &was) ||
                !rename_device(want[i].out, seen[i].out, &is, &was))
            return false;
    }
    if (is)
        snprintf(s->reason, sizeof(s->reason), "%zu rule%s with device %s, not %s", n,
                n == 1 ? "" : "s", was, is);
    return is != NULL;
}

static void compare_rules(
        struct chain_state *s, const struct nsh_chain *want, const struct nsh_chain_seen *seen)
{
    size_t shorter = want->n_rules < seen->n_rules ? want->n_rules : seen->n_rules;
    size_t longer = want->n_rules > seen->n_rules ? want->n_rules : seen->n_rules;
    size_t head = 0, tail = 0, changed;

    while (head < shorter && nsh_packet_rule_equal(&want->rules[head], &seen->rules[head]))
        head++;
    while (tail < shorter - head && nsh_packet_rule_equal(&want->rules[want->n_rules - 1 - tail],
                                            &seen->rules[seen->n_rules - 1 - tail]))
        tail++;
    changed = longer - head - tail;
    s->present = true;
    s->differs = changed > 0;
    s->n_observed = (uint32_t)seen->n_rules;
    s->keep_head = (uint32_t)head;
    s->keep_tail = (uint32_t)tail;
    if (!s->differs)
        return;
    if (seen->n_rules == 0)
        snprintf(s->reason, sizeof(s->reason), "flushed");
    else if (want->n_rules == seen->n_rules &&
             only_moved(want->rules + head, seen->rules + head, changed))
        snprintf(s->reason, sizeof(s->reason), "out of order");
    else if (want->n_rules != seen->n_rules ||
             !say_renamed(s, want->rules + head, seen->rules + head, changed))
        snprintf(s->reason, sizeof(s->reason), "%zu of %zu rules changed", changed, longer);
}

static int observe_ours(struct nsh_firewall_plan *p, const struct nsh_chain_seen *seen)
{
    size_t i = nsh_plan_find_chain(p, seen->name);
    struct unwanted_chain *u;

    if (i != SIZE_MAX) {
        compare_rules(&p->chains[i], &p->want->chains[i], seen);
        return 0;
    }
    u = nsh_plan_push(
            (void **)&p->unwanted, &p->n_unwanted, &p->unwanted_size, sizeof(*p->unwanted));
    if (!u)
        return -ENOMEM;
    snprintf(u->name, sizeof(u->name), "%s", seen->name);
    snprintf(u->stray, sizeof(u->stray), "%s", seen->stray ? seen->stray : "");
    return 0;
}

static int observe_builtin(struct nsh_firewall_plan *p, const struct nsh_chain_seen *seen)
{
    size_t first_jump = p->n_jumps, first_ahead = p->n_ahead;
    struct hook_state *h;

    for (size_t i = 0; i < seen->n_jumps; i++) {
        struct nsh_jump_seen *jump =
                nsh_plan_push((void **)&p->jumps, &p->n_jumps, &p->jumps_size, sizeof(*p->jumps));

        if (!jump)
            return -ENOMEM;
        *jump = seen->jumps[i];
    }
    for (size_t i = 0; i < seen->n_ahead; i++) {
        struct nsh_ahead_seen *ahead =
                nsh_plan_push((void **)&p->ahead, &p->n_ahead, &p->ahead_size, sizeof(*p->ahead));

        if (!ahead)
            return -ENOMEM;
        *ahead = seen->ahead[i];
    }
    h = nsh_plan_push((void **)&p->hooks, &p->n_hooks, &p->hooks_size, sizeof(*p->hooks));
    if (!h)
        return -ENOMEM;
    snprintf(h->name, sizeof(h->name), "%s", seen->name);
    h->first_jump = first_jump;
    h->n_jumps = seen->n_jumps;
    h->first_ahead = first_ahead;
    h->n_ahead = seen->n_ahead;
    h->first_foreign = seen->first_foreign;
    h->behind_bans = seen->behind_bans;
    h->n_total = seen->n_total;
    h->hidden = seen->hidden;
    return 0;
}

int nsh_firewall_plan_observe(struct nsh_firewall_plan *p, const struct nsh_chain_seen *seen)
{
    if (seen->family != p->family || seen->table != p->table)
        return 0;
    if (seen->builtin)
        return observe_builtin(p, seen);
    return nsh_chain_is_ours(seen->name) ? observe_ours(p, seen) : 0;
}

/* ---- finish ---- */

struct nsh_firewall_op *nsh_plan_add_op(
        struct nsh_firewall_plan *p, enum nsh_firewall_verb verb, const char *chain)
{
    struct nsh_firewall_op *op =
            nsh_plan_push((void **)&p->ops, &p->n_ops, &p->ops_size, sizeof(*p->ops));

    if (!op)
        return NULL;
    op->verb = verb;
    op->family = (uint8_t)p->family;
    op->table = p->table;
    snprintf(op->chain, sizeof(op->chain), "%s", chain);
    return op;
}

static int finish_chain(struct nsh_firewall_plan *p, size_t i)
{
    const struct nsh_chain *want = &p->want->chains[i];
    struct chain_state *s = &p->chains[i];
    struct nsh_firewall_op *op;

    if (s->present && !s->differs)
        return 0;
    if (!s->present)
        snprintf(s->reason, sizeof(s->reason), "missing");
    op = nsh_plan_add_op(p, s->present ? NSH_CHAIN_CHANGE : NSH_CHAIN_ADD, want->name);
    if (!op)
        return -ENOMEM;
    op->want = want;
    op->n_observed = s->n_observed;
    op->keep_head = s->keep_head;
    op->keep_tail = s->keep_tail;
    return 0;
}

/* Chains before the jumps to them. */
static int finish_up(struct nsh_firewall_plan *p)
{
    for (size_t i = 0; i < p->want->n_chains; i++)
        if (nsh_plan_concerns(p, &p->want->chains[i])) {
            int r = finish_chain(p, i);

            if (r < 0)
                return r;
        }
    return nsh_plan_jumps_up(p);
}

/* Jumps before the chains they lead to. */
static int finish_down(struct nsh_firewall_plan *p)
{
    int r = nsh_plan_jumps_down(p);

    for (size_t i = 0; i < p->n_unwanted && r >= 0; i++) {
        struct nsh_firewall_op *op = nsh_plan_add_op(p, NSH_CHAIN_DELETE, p->unwanted[i].name);

        if (op)
            op->stray = p->unwanted[i].stray;
        else
            r = -ENOMEM;
    }
    return r;
}

int nsh_firewall_plan_finish(struct nsh_firewall_plan *p, enum nsh_firewall_phase phase)
{
    p->n_ops = 0;
    return phase == NSH_PHASE_UP ? finish_up(p) : finish_down(p);
}

/* ---- the result ---- */

const struct nsh_firewall_op *nsh_firewall_plan_steps(
        const struct nsh_firewall_plan *p, size_t *ret_n)
{
    *ret_n = p->n_ops;
    return p->ops;
}

bool nsh_firewall_plan_touches(const struct nsh_firewall_plan *p, size_t chain)
{
    return p->chains[chain].reason[0] != '\0';
}

const char *nsh_firewall_plan_reason(const struct nsh_firewall_plan *p, size_t chain)
{
    return p->chains[chain].reason;
}
