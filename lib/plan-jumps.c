/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The jumps from built-in chains.
 *
 * Wanted in a hook is a sequence: the chains with position first in file order, before every
 * foreign rule, then the others in file order, wherever they stand. Seen is a sequence too. What
 * is kept of it is a longest part that is in the wanted order already, so that moving one policy
 * in the file moves one jump; the rest of ours is deleted and what is missing put in. Jumps to
 * chains that are not wanted at all do not count here: they go in the other phase.
 *
 * A missing jump of position last goes before the next one that is kept, or to the end: as late
 * as the order allows, for that is where an administrator expects what was appended.
 *
 * Where a hook begins with bans (rules of others that only drop what they name) these may stand
 * before what is first, or between: they are meant to take from it. A missing jump of position
 * first goes behind them, again as late as the order allows.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "plan-firewall.h"

#define NO_RANK SIZE_MAX

/* One place in the wanted sequence. */
struct place {
    size_t chain;  /* index into want->chains */
    size_t n_seen; /* jumps to it in this hook */
    bool altered;  /* one of them does not match everything */
    bool behind;   /* one of them, of position first, is behind a foreign rule */
    bool kept;
    uint32_t index; /* of the kept one */
};

/* One jump seen in the hook, and its place in the longest ordered part. */
struct candidate {
    size_t rank; /* into places; NO_RANK: to a chain not wanted in this hook */
    bool fits;   /* could be kept, if the order allows */
    bool keep;
    size_t before; /* the candidate that precedes it in the best part ending with it */
};

struct work {
    struct nsh_firewall_plan *plan;
    const char *hook;
    const struct nsh_jump_seen *jumps;
    size_t n_jumps;
    uint32_t first_foreign, n_total;
    uint32_t behind_bans; /* once the jumps that are not kept are gone */
    bool hidden;
    struct place *places;
    size_t n_places;
    size_t *ranks; /* of a chain, its place plus 1; 0: none */
    struct candidate *candidates;
    size_t *ends; /* ends[k]: candidate with the lowest rank that ends an ordered part of k + 1 */
};

static void work_done(struct work *w)
{
    free(w->places);
    free(w->ranks);
    free(w->candidates);
    free(w->ends);
}

static bool is_first(const struct work *w, size_t rank)
{
    return w->plan->want->chains[w->places[rank].chain].position == NSH_POSITION_FIRST;
}

static void add_places(struct work *w, enum nsh_position position)
{
    const struct nsh_desired *want = w->plan->want;

    for (size_t i = 0; i < want->n_chains; i++) {
        const struct nsh_chain *c = &want->chains[i];

        if (nsh_plan_concerns(w->plan, c) && c->hook && c->position == position &&
                strcmp(c->hook, w->hook) == 0) {
            w->places[w->n_places++] = (struct place){.chain = i};
            w->ranks[i] = w->n_places;
        }
    }
}

static size_t rank_of(const struct work *w, const char *target)
{
    size_t i = nsh_plan_find_chain(w->plan, target);

    return i != SIZE_MAX && w->ranks[i] > 0 ? w->ranks[i] - 1 : NO_RANK;
}

static int cmp_jump(const void *a, const void *b)
{
    const struct nsh_jump_seen *x = a, *y = b;

    return (x->index > y->index) - (x->index < y->index);
}

static int work_begin(struct work *w, struct nsh_firewall_plan *p, const char *hook)
{
    *w = (struct work){.plan = p, .hook = hook};
    for (size_t i = 0; i < p->n_hooks; i++) {
        struct hook_state *h = &p->hooks[i];

        if (strcmp(h->name, hook) != 0)
            continue;
        if (h->n_jumps > 1)
            qsort(p->jumps + h->first_jump, h->n_jumps, sizeof(*p->jumps), cmp_jump);
        w->jumps = p->jumps + h->first_jump;
        w->n_jumps = h->n_jumps;
        w->first_foreign = h->first_foreign;
        w->behind_bans = h->behind_bans;
        w->n_total = h->n_total;
        w->hidden = h->hidden;
    }
    w->places = calloc(p->want->n_chains, sizeof(*w->places));
    w->ranks = calloc(p->want->n_chains, sizeof(*w->ranks));
    w->candidates = calloc(w->n_jumps + 1, sizeof(*w->candidates));
    w->ends = calloc(w->n_jumps + 1, sizeof(*w->ends));
    if (!w->places || !w->ranks || !w->candidates || !w->ends)
        return -ENOMEM;
    add_places(w, NSH_POSITION_FIRST);
    add_places(w, NSH_POSITION_LAST);
    return 0;
}

/* A policy may have become one of another kind or position, which some jumps tell. */
static bool is_right(const struct work *w, const struct place *place, const struct nsh_jump_seen *j)
{
    const struct nsh_chain *c = &w->plan->want->chains[place->chain];

    return j->plain && (j->kind == NSH_POLICY_NONE || j->kind == c->kind) &&
           (!j->first || c->position == NSH_POSITION_FIRST);
}

/*
 * Before every foreign rule, if its chain is first. Where foreign rules came behind a jump later,
 * it may stand before them: what was first is moved when that is said, and not by what is seen.
 */
static bool is_in_place(const struct work *w, size_t rank, const struct nsh_jump_seen *j)
{
    const struct nsh_chain *c = &w->plan->want->chains[w->places[rank].chain];

    if (c->position == NSH_POSITION_FIRST)
        return j->index < w->first_foreign;
    return !c->was_first || j->index >= w->first_foreign || w->first_foreign >= w->n_total;
}

static void look_at_jumps(struct work *w)
{
    for (size_t i = 0; i < w->n_jumps; i++) {
        struct candidate *c = &w->candidates[i];
        struct place *place;
        bool right, in_place;

        c->rank = rank_of(w, w->jumps[i].target);
        if (c->rank == NO_RANK)
            continue;
        place = &w->places[c->rank];
        right = is_right(w, place, &w->jumps[i]);
        place->n_seen++;
        place->altered = place->altered || !right;
        in_place = is_in_place(w, c->rank, &w->jumps[i]);
        place->behind = place->behind || (!in_place && is_first(w, c->rank));
        c->fits = right && in_place;
    }
}

/* How many of the `n` ordered parts end with a rank below `rank`. */
static size_t parts_below(const struct work *w, size_t n, size_t rank)
{
    size_t low = 0, high = n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (w->candidates[w->ends[middle]].rank < rank)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The longest strictly increasing subsequence of the ranks, by patience sorting. */
static void choose_kept(struct work *w)
{
    size_t n = 0, at;

    for (size_t i = 0; i < w->n_jumps; i++) {
        struct candidate *c = &w->candidates[i];
        size_t k;

        if (!c->fits)
            continue;
        k = parts_below(w, n, c->rank);
        if (k < n && w->candidates[w->ends[k]].rank == c->rank)
            continue; /* of two to the same chain, the earlier */
        c->before = k > 0 ? w->ends[k - 1] : SIZE_MAX;
        w->ends[k] = i;
        if (k == n)
            n++;
    }
    for (at = n > 0 ? w->ends[n - 1] : SIZE_MAX; at != SIZE_MAX; at = w->candidates[at].before)
        w->candidates[at].keep = true;
}

static int delete_jump(struct nsh_firewall_plan *p, const char *hook, const struct nsh_jump_seen *j)
{
    struct nsh_firewall_op *op = nsh_plan_add_op(p, NSH_JUMP_DELETE, j->target);

    if (!op)
        return -ENOMEM;
    snprintf(op->hook, sizeof(op->hook), "%s", hook);
    op->index = j->index;
    return 0;
}

/* From the highest index down, so that the lower ones hold. */
static int delete_others(struct work *w)
{
    uint32_t gone = 0, before_bans = 0;

    for (size_t i = w->n_jumps; i-- > 0;) {
        const struct candidate *c = &w->candidates[i];
        int r;

        if (c->rank == NO_RANK || c->keep)
            continue;
        r = delete_jump(w->plan, w->hook, &w->jumps[i]);
        if (r < 0)
            return r;
    }
    for (size_t i = 0; i < w->n_jumps; i++) {
        const struct candidate *c = &w->candidates[i];

        if (c->keep) {
            w->places[c->rank].kept = true;
            w->places[c->rank].index = w->jumps[i].index - gone;
        } else if (c->rank != NO_RANK) {
            gone++;
            before_bans += w->jumps[i].index < w->behind_bans;
        }
    }
    w->behind_bans -= before_bans;
    return 0;
}

/*
 * Where the missing jump of `rank` goes: `behind` is the index behind the one before it, `next` the
 * rank of the next one that is kept.
 */
static uint32_t missing_index(
        const struct work *w, size_t rank, size_t next, uint32_t behind, uint32_t added)
{
    uint32_t latest = next < w->n_places ? w->places[next].index + added : UINT32_MAX;
    uint32_t late = w->behind_bans + added;

    if (!is_first(w, rank) || (next < w->n_places && is_first(w, next)))
        return latest;
    late = behind > late ? behind : late;
    return late < latest ? late : latest;
}

static int add_missing(struct work *w)
{
    uint32_t added = 0, behind = 0;
    size_t next = 0;

    for (size_t rank = 0; rank < w->n_places; rank++) {
        const struct place *place = &w->places[rank];
        const struct nsh_chain *chain = &w->plan->want->chains[place->chain];
        struct nsh_firewall_op *op;

        if (place->kept) {
            behind = place->index + added + 1;
            continue;
        }
        next = next > rank ? next : rank;
        while (next < w->n_places && !w->places[next].kept)
            next++;
        op = nsh_plan_add_op(w->plan, NSH_JUMP_ADD, chain->name);
        if (!op)
            return -ENOMEM;
        snprintf(op->hook, sizeof(op->hook), "%s", w->hook);
        op->position = chain->position;
        op->kind = chain->kind;
        op->index = missing_index(w, rank, next, behind, added);
        if (op->index != UINT32_MAX)
            behind = op->index + 1;
        added++;
    }
    return 0;
}

static void set_reasons(struct work *w)
{
    for (size_t i = 0; i < w->n_places; i++) {
        const struct place *place = &w->places[i];
        struct chain_state *s = &w->plan->chains[place->chain];
        const char *reason = "";

        s->mended = true;
        if (place->n_seen == 0)
            reason = w->hidden ? "base chain changed" : "jump missing";
        else if (place->n_seen > 1)
            reason = "jump doubled";
        else if (place->altered)
            reason = "jump altered";
        else if (!place->kept)
            reason = place->behind ? "jump behind a rule of others" : "out of order";
        if (s->reason[0] == '\0')
            snprintf(s->reason, sizeof(s->reason), "%s", reason);
    }
}

static int mend_hook(struct nsh_firewall_plan *p, const char *hook)
{
    NSH_CLEANUP(work_done) struct work w;
    int r = work_begin(&w, p, hook);

    if (r < 0)
        return r;
    look_at_jumps(&w);
    choose_kept(&w);
    r = delete_others(&w);
    if (r >= 0)
        r = add_missing(&w);
    set_reasons(&w);
    return r;
}

/* Where it stands once the steps so far are through. */
static uint32_t index_by_then(
        const struct nsh_firewall_plan *p, const char *hook, const struct nsh_jump_seen *j)
{
    uint32_t index = j->index;

    for (size_t i = 0; i < p->n_ops; i++) {
        const struct nsh_firewall_op *op = &p->ops[i];

        if (strcmp(op->hook, hook) != 0)
            continue;
        if (op->verb == NSH_JUMP_DELETE && op->index < index)
            index--;
        else if (op->verb == NSH_JUMP_ADD && op->index <= index)
            index++;
    }
    return index;
}

/* To a chain whose rules become others, from where these could not be: a policy that is of another
 * kind now. */
static bool leads_astray(
        const struct nsh_firewall_plan *p, const char *hook, const struct nsh_jump_seen *j)
{
    size_t i = nsh_plan_find_chain(p, j->target);

    return i != SIZE_MAX && p->chains[i].present && p->chains[i].differs &&
           p->want->chains[i].hook && strcmp(p->want->chains[i].hook, hook) != 0;
}

/* The kernel takes no such rules as long as such a jump is there: it goes in the same commit. */
static int delete_astray(struct nsh_firewall_plan *p)
{
    for (size_t i = 0; i < p->n_hooks; i++) {
        const struct hook_state *h = &p->hooks[i];

        for (size_t k = h->n_jumps; k-- > 0;) {
            struct nsh_jump_seen jump = p->jumps[h->first_jump + k];
            int r;

            if (!leads_astray(p, h->name, &jump))
                continue;
            jump.index = index_by_then(p, h->name, &jump);
            r = delete_jump(p, h->name, &jump);
            if (r < 0)
                return r;
        }
    }
    return 0;
}

int nsh_plan_jumps_up(struct nsh_firewall_plan *p)
{
    for (size_t i = 0; i < p->want->n_chains; i++)
        p->chains[i].mended = false;
    for (size_t i = 0; i < p->want->n_chains; i++) {
        const struct nsh_chain *c = &p->want->chains[i];
        int r;

        /* All chains with one hook are mended with the first of them. */
        if (!nsh_plan_concerns(p, c) || !c->hook || p->chains[i].mended)
            continue;
        r = mend_hook(p, c->hook);
        if (r < 0)
            return r;
    }
    return delete_astray(p);
}

/* A jump that leads to a chain not wanted, or from where none is wanted. */
static bool jump_unwanted(
        const struct nsh_firewall_plan *p, const char *hook, const struct nsh_jump_seen *j)
{
    size_t i = nsh_plan_find_chain(p, j->target);

    return i == SIZE_MAX || !p->want->chains[i].hook || strcmp(p->want->chains[i].hook, hook) != 0;
}

int nsh_plan_jumps_down(struct nsh_firewall_plan *p)
{
    for (size_t i = 0; i < p->n_hooks; i++) {
        const struct hook_state *h = &p->hooks[i];
        struct nsh_jump_seen *jumps = p->jumps + h->first_jump;

        if (h->n_jumps > 1)
            qsort(jumps, h->n_jumps, sizeof(*jumps), cmp_jump);
        for (size_t k = h->n_jumps; k-- > 0;) {
            int r;

            if (!jump_unwanted(p, h->name, &jumps[k]))
                continue;
            r = delete_jump(p, h->name, &jumps[k]);
            if (r < 0)
                return r;
        }
    }
    return 0;
}
