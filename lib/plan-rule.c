/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A request to delete a rule is a pattern to the kernel, and takes the first of ours that fits it
 * (nsh_rule_delete_takes). To delete "lookup 100 priority 5" while "from 10.1.0.0/24 lookup 100
 * priority 5" stands before it would delete the latter. So what stands before a rule that goes and
 * fits its pattern is let go too, after it has been written once more behind: deletions are asked
 * for in the order in which the rules stand, and then each finds nothing but rules that go before
 * it. As many requests as there are rules to go leave exactly those that stay.
 *
 * NLM_F_EXCL refuses in the same loose way what is no duplicate, so it is used where it would not
 * (nsh_rule_add_meets).
 */
#include "plan-rule.h"

#include <errno.h>
#include <stdlib.h>

#include "cleanup.h"

struct seen {
    struct nsh_rule rule;
    size_t position; /* in the dump */
    size_t wanted;   /* SIZE_MAX: it is not wanted */
    bool stays;
};

struct nsh_rule_plan {
    const struct nsh_desired *want;
    const uint8_t *flags;
    uint8_t also_ours;
    bool saw_earlier;
    bool more;    /* steps were left to a further plan */
    bool *stands; /* one for each wanted rule */
    struct seen *seen;
    size_t n_seen, seen_size;
    struct nsh_rule_step *steps;
    size_t n_steps, steps_size;
};

NSH_DEFINE_CLEANUP(struct nsh_rule_plan *, nsh_rule_plan_free)

int nsh_rule_plan_new(const struct nsh_desired *want, const uint8_t *flags, uint8_t also_ours,
        struct nsh_rule_plan **ret)
{
    NSH_CLEANUP(nsh_rule_plan_freep) struct nsh_rule_plan *p = calloc(1, sizeof(*p));

    if (!p)
        return -ENOMEM;
    p->want = want;
    p->flags = flags;
    p->also_ours = also_ours;
    p->stands = calloc(want->n_rules + 1, sizeof(*p->stands));
    if (!p->stands)
        return -ENOMEM;
    *ret = NSH_TAKE_PTR(p);
    return 0;
}

void nsh_rule_plan_free(struct nsh_rule_plan *p)
{
    if (!p)
        return;
    free(p->stands);
    free(p->seen);
    free(p->steps);
    free(p);
}

void nsh_rule_plan_begin(struct nsh_rule_plan *p)
{
    p->n_seen = p->n_steps = 0;
    p->saw_earlier = p->more = false;
    for (size_t i = 0; i < p->want->n_rules; i++)
        p->stands[i] = false;
}

/* Room for one more; NULL: no memory. */
static void *grow(void *array, size_t n, size_t *size, size_t element)
{
    void *grown;

    if (n < *size)
        return array;
    grown = reallocarray(array, *size * 2 + 16, element);
    if (grown)
        *size = *size * 2 + 16;
    return grown;
}

int nsh_rule_plan_observe(struct nsh_rule_plan *p, const struct nsh_rule *seen)
{
    bool earlier = p->also_ours != 0 && seen->protocol == p->also_ours;
    struct seen *grown, *s;

    if (seen->protocol != p->want->protocol && !earlier)
        return 0;
    p->saw_earlier = p->saw_earlier || earlier;
    grown = grow(p->seen, p->n_seen, &p->seen_size, sizeof(*p->seen));
    if (!grown)
        return -ENOMEM;
    p->seen = grown;
    s = &p->seen[p->n_seen];
    *s = (struct seen){.rule = *seen, .position = p->n_seen++, .wanted = SIZE_MAX};
    /* One with the earlier mark is written anew with ours, and goes. */
    if (!earlier)
        s->wanted = nsh_desired_find_rule(p->want, seen);
    if (s->wanted != SIZE_MAX && p->flags[s->wanted] & NSH_RULE_WITHDRAWN)
        s->wanted = SIZE_MAX;
    if (s->wanted != SIZE_MAX)
        p->stands[s->wanted] = true;
    return 0;
}

/* ---- what has to go with what goes ---- */

static int compare_groups(const struct nsh_rule *a, const struct nsh_rule *b)
{
    if (a->family != b->family)
        return a->family < b->family ? -1 : 1;
    return (a->priority > b->priority) - (a->priority < b->priority);
}

static int compare_seen(const void *a, const void *b)
{
    const struct seen *x = a, *y = b;
    int r = compare_groups(&x->rule, &y->rule);

    return r != 0 ? r : (x->position > y->position) - (x->position < y->position);
}

static bool same_group(const struct nsh_rule *a, const struct nsh_rule *b)
{
    return compare_groups(a, b) == 0;
}

/* Lets go what would be taken in the place of `goes`; true if there was any. */
static bool release_before(struct nsh_rule_plan *p, size_t goes)
{
    const struct nsh_rule *asked = &p->seen[goes].rule;
    bool any = false;

    for (size_t i = goes; i-- > 0 && same_group(&p->seen[i].rule, asked);) {
        if (!p->seen[i].stays || !nsh_rule_delete_takes(asked, &p->seen[i].rule))
            continue;
        p->seen[i].stays = false;
        any = true;
    }
    return any;
}

/*
 * What is let go may itself be a pattern for others. Only of the first `most` that go: the others'
 * turn comes with a further plan.
 */
static void release(struct nsh_rule_plan *p, size_t most)
{
    bool again = true;

    while (again) {
        size_t n = 0;

        again = false;
        for (size_t i = 0; i < p->n_seen && n < most; i++) {
            if (p->seen[i].stays)
                continue;
            n++;
            if (release_before(p, i))
                again = true;
        }
    }
}

/* ---- steps ---- */

/* The first observed rule of the group that `rule` belongs to. */
static size_t find_group(const struct nsh_rule_plan *p, const struct nsh_rule *rule)
{
    size_t low = 0, high = p->n_seen;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (compare_groups(&p->seen[middle].rule, rule) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Additions so far are in the order of the wanted ones, a group's next to each other. */
static bool is_exclusive(const struct nsh_rule_plan *p, const struct nsh_rule *rule)
{
    for (size_t i = find_group(p, rule); i < p->n_seen && same_group(&p->seen[i].rule, rule); i++)
        if (nsh_rule_add_meets(rule, &p->seen[i].rule))
            return false;
    for (size_t i = p->n_steps; i-- > 0 && same_group(&p->steps[i].rule, rule);)
        if (nsh_rule_add_meets(rule, &p->steps[i].rule))
            return false;
    return true;
}

static int add_step(struct nsh_rule_plan *p, const struct nsh_rule_step *step)
{
    struct nsh_rule_step *grown = grow(p->steps, p->n_steps, &p->steps_size, sizeof(*p->steps));

    if (!grown)
        return -ENOMEM;
    p->steps = grown;
    p->steps[p->n_steps++] = *step;
    return 0;
}

static int add_missing(struct nsh_rule_plan *p, size_t wanted, bool again)
{
    struct nsh_rule_step step = {.action = again ? NSH_RULE_ADD_AGAIN : NSH_RULE_ADD,
            .wanted = wanted,
            .rule = p->want->rules[wanted]};

    step.rule.protocol = p->want->protocol;
    step.exclusive = is_exclusive(p, &step.rule);
    return add_step(p, &step);
}

/* The last of several that are the same stays: a request to delete one takes the first. */
static void choose(struct nsh_rule_plan *p, bool *released, size_t most)
{
    for (size_t i = p->n_seen; i-- > 0;) {
        struct seen *s = &p->seen[i];

        if (s->wanted == SIZE_MAX || released[s->wanted])
            continue;
        s->stays = released[s->wanted] = true;
    }
    release(p, most);
    for (size_t i = 0; i < p->n_seen; i++)
        if (p->seen[i].stays)
            released[p->seen[i].wanted] = false;
}

static int add_additions(struct nsh_rule_plan *p, const bool *released, size_t most)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < p->want->n_rules; i++) {
        if (!released[i] && (p->stands[i] || p->flags[i] & (NSH_RULE_SKIP | NSH_RULE_WITHDRAWN)))
            continue;
        if (p->n_steps == most) {
            p->more = true;
            return 0;
        }
        r = add_missing(p, i, released[i]);
    }
    return r;
}

static int add_deletions(struct nsh_rule_plan *p, size_t most)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < p->n_seen; i++) {
        const struct seen *s = &p->seen[i];
        struct nsh_rule_step step = {.wanted = s->wanted, .rule = s->rule};

        if (s->stays)
            continue;
        if (p->n_steps == most) {
            p->more = true;
            return 0;
        }
        step.action = s->wanted == SIZE_MAX ? NSH_RULE_DELETE : NSH_RULE_DELETE_DOUBLE;
        r = add_step(p, &step);
    }
    return r;
}

int nsh_rule_plan_finish(struct nsh_rule_plan *p, size_t most)
{
    /* Of the wanted rules, those that stand but are let go. */
    nsh_autofree bool *released = calloc(p->want->n_rules + 1, sizeof(*released));
    int r;

    if (!released)
        return -ENOMEM;
    if (p->n_seen > 1)
        qsort(p->seen, p->n_seen, sizeof(*p->seen), compare_seen);
    choose(p, released, most);
    r = add_additions(p, released, most);
    /* What is deleted may be in the place of what is still to be added. */
    if (r == 0 && !p->more)
        r = add_deletions(p, most);
    return r;
}

const struct nsh_rule_step *nsh_rule_plan_steps(const struct nsh_rule_plan *p, size_t *ret_n)
{
    *ret_n = p->n_steps;
    return p->steps;
}

bool nsh_rule_plan_more(const struct nsh_rule_plan *p)
{
    return p->more;
}

bool nsh_rule_plan_stands(const struct nsh_rule_plan *p, size_t wanted)
{
    return p->stands[wanted];
}

bool nsh_rule_plan_saw_earlier(const struct nsh_rule_plan *p)
{
    return p->saw_earlier;
}
