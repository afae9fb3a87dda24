/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The plan of one set. What is wanted is sorted, what is observed comes in any order: a bit for
 * each wanted prefix tells whether it was seen. What was wanted before may be observed in place of
 * what stands there; it is sorted too, and then hardly anything is searched for.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "plan.h"

#define WORD_BITS 64U

struct nsh_set_plan {
    const struct nsh_set *want;
    uint64_t *seen; /* a bit for each wanted prefix */
    size_t n_seen;
    size_t next; /* behind the wanted prefix that was seen last */
    bool present;
    struct nsh_prefix *extra; /* not wanted; as many as may be taken out one by one */
    size_t n_extra;           /* all of them */
    size_t extra_size;
    struct nsh_prefix *missing;
    bool odd; /* something else than prefixes is in it */
    bool differs;
    struct nsh_set_op op;
    char reason[80];
};

NSH_DEFINE_CLEANUP(struct nsh_set_plan *, nsh_set_plan_free)

static size_t n_words(const struct nsh_set *want)
{
    return want->n / WORD_BITS + 1;
}

int nsh_set_plan_new(const struct nsh_set *want, struct nsh_set_plan **ret)
{
    NSH_CLEANUP(nsh_set_plan_freep) struct nsh_set_plan *p = calloc(1, sizeof(*p));

    if (!p)
        return -ENOMEM;
    p->want = want;
    p->seen = calloc(n_words(want), sizeof(*p->seen));
    if (!p->seen)
        return -ENOMEM;
    *ret = NSH_TAKE_PTR(p);
    return 0;
}

void nsh_set_plan_free(struct nsh_set_plan *p)
{
    if (!p)
        return;
    free(p->seen);
    free(p->extra);
    free(p->missing);
    free(p);
}

void nsh_set_plan_begin(struct nsh_set_plan *p, bool present)
{
    memset(p->seen, 0, n_words(p->want) * sizeof(*p->seen));
    p->n_seen = p->next = p->n_extra = 0;
    p->present = present;
    p->differs = p->odd = false;
    p->reason[0] = '\0';
}

/* ---- observe ---- */

/* So many single writes are cheaper than all of it. */
static size_t most_writes(const struct nsh_set_plan *p)
{
    return p->want->n / 2;
}

/* Index of the wanted prefix, or SIZE_MAX. */
static size_t find(const struct nsh_set_plan *p, const struct nsh_prefix *element)
{
    size_t low = 0, high = p->want->n;

    if (p->next < high && nsh_prefix_cmp(&p->want->prefixes[p->next], element) == 0)
        return p->next;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int q = nsh_prefix_cmp(&p->want->prefixes[middle], element);

        if (q == 0)
            return middle;
        if (q < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return SIZE_MAX;
}

static int observe_extra(struct nsh_set_plan *p, const struct nsh_prefix *element)
{
    if (p->n_extra++ >= most_writes(p))
        return 0; /* it will be replaced as a whole */
    if (p->n_extra > p->extra_size) {
        size_t size = p->extra_size > 0 ? p->extra_size * 2 : 8;
        void *grown = reallocarray(p->extra, size, sizeof(*p->extra));

        if (!grown)
            return -ENOMEM;
        p->extra = grown;
        p->extra_size = size;
    }
    p->extra[p->n_extra - 1] = *element;
    return 0;
}

int nsh_set_plan_observe(struct nsh_set_plan *p, const struct nsh_prefix *element)
{
    size_t i = find(p, element);
    uint64_t bit = 1ULL << (i % WORD_BITS);

    p->odd = p->odd || element->length == 0;
    if (i == SIZE_MAX)
        return observe_extra(p, element);
    p->next = i + 1;
    if (p->seen[i / WORD_BITS] & bit)
        return 0;
    p->seen[i / WORD_BITS] |= bit;
    p->n_seen++;
    return 0;
}

/* ---- finish ---- */

static int list_missing(struct nsh_set_plan *p, size_t n)
{
    size_t at = 0;

    free(p->missing);
    p->missing = calloc(n + 1, sizeof(*p->missing));
    if (!p->missing)
        return -ENOMEM;
    for (size_t i = 0; i < p->want->n && at < n; i++)
        if (!(p->seen[i / WORD_BITS] & 1ULL << (i % WORD_BITS)))
            p->missing[at++] = p->want->prefixes[i];
    return 0;
}

static void say_why(struct nsh_set_plan *p, size_t n_missing)
{
    size_t at = 0;

    if (!p->present) {
        snprintf(p->reason, sizeof(p->reason), "missing");
        return;
    }
    if (n_missing > 0)
        at = (size_t)snprintf(p->reason, sizeof(p->reason), "lacked %zu of %zu prefixes%s",
                n_missing, p->want->n, p->n_extra > 0 ? " and " : "");
    if (p->n_extra > 0)
        snprintf(p->reason + at, sizeof(p->reason) - at, "held %zu%s too many", p->n_extra,
                n_missing > 0     ? ""
                : p->n_extra == 1 ? " prefix"
                                  : " prefixes");
}

int nsh_set_plan_finish(struct nsh_set_plan *p)
{
    size_t n_missing = p->want->n - p->n_seen;
    bool whole = p->odd || n_missing + p->n_extra > most_writes(p);

    p->differs = !p->present || n_missing + p->n_extra > 0;
    if (!p->differs)
        return 0;
    say_why(p, n_missing);
    p->op = (struct nsh_set_op){.family = p->want->family, .want = p->want};
    memcpy(p->op.name, p->want->name, sizeof(p->op.name));
    if (!p->present || whole) {
        p->op.verb = p->present ? NSH_SET_REPLACE : NSH_SET_CREATE;
        return 0;
    }
    if (list_missing(p, n_missing) < 0)
        return -ENOMEM;
    p->op.verb = NSH_SET_UPDATE;
    p->op.want = NULL;
    p->op.add = p->missing;
    p->op.n_add = n_missing;
    p->op.remove = p->extra;
    p->op.n_remove = p->n_extra;
    return 0;
}

const struct nsh_set_op *nsh_set_plan_op(const struct nsh_set_plan *p)
{
    return p->differs ? &p->op : NULL;
}

const char *nsh_set_plan_reason(const struct nsh_set_plan *p)
{
    return p->reason;
}
