/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "set-aside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

void nsh_set_aside_clear(struct nsh_set_aside *a)
{
    free(NSH_TAKE_PTR(a->prefixes));
    free(NSH_TAKE_PTR(a->seen));
    a->n_seen = a->max_seen = 0;
    a->what = NSH_SET_ASIDE_NOTHING;
    a->dropped = false;
}

void nsh_set_aside_done(struct nsh_set_aside *a)
{
    if (a->what == NSH_SET_ASIDE_NOTHING)
        return;
    (void)nsh_aside_finish(&a->aside);
    nsh_set_aside_clear(a);
}

void nsh_set_aside_drop(struct nsh_set_aside *a)
{
    a->dropped = a->what != NSH_SET_ASIDE_NOTHING;
}

bool nsh_set_aside_is(
        const struct nsh_set_aside *a, enum nsh_set_aside_what what, int family, const char *name)
{
    return a->what == what && !a->dropped && a->op.family == family &&
           strcmp(a->op.name, name) == 0;
}

int nsh_set_aside_go_on(
        struct nsh_set_aside *a, enum nsh_set_aside_what what, int family, const char *name)
{
    int r;

    if (a->what == NSH_SET_ASIDE_NOTHING)
        return 1;
    r = nsh_aside_wait(&a->aside);
    if (r == -EINPROGRESS || nsh_set_aside_is(a, what, family, name))
        return r;
    nsh_set_aside_clear(a);
    return 1;
}

int nsh_set_aside_settle(struct nsh_set_aside *a)
{
    if (!a->dropped)
        return a->what == NSH_SET_ASIDE_WRITE ? -EINPROGRESS : 0;
    if (nsh_aside_wait(&a->aside) == -EINPROGRESS)
        return -EINPROGRESS;
    nsh_set_aside_clear(a);
    return 0;
}

static int begin(struct nsh_set_aside *a, enum nsh_set_aside_what what, int (*work)(void *userdata),
        void *userdata)
{
    a->what = what;
    nsh_aside_start(&a->aside, work, userdata);
    return nsh_aside_wait(&a->aside);
}

/* ---- reading ---- */

int nsh_set_aside_begin_read(struct nsh_set_aside *a, int family, const char *name,
        int (*work)(void *userdata), void *userdata)
{
    a->op = (struct nsh_set_op){.family = (uint8_t)family};
    memcpy(a->op.name, name, strnlen(name, sizeof a->op.name - 1));
    return begin(a, NSH_SET_ASIDE_READ, work, userdata);
}

int nsh_set_aside_collect(void *userdata, const struct nsh_prefix *element)
{
    struct nsh_set_aside *a = userdata;

    if (a->n_seen == a->max_seen) {
        size_t max = a->max_seen ? a->max_seen * 2 : 64;
        struct nsh_prefix *grown = reallocarray(a->seen, max, sizeof *grown);

        if (!grown)
            return -ENOMEM;
        a->seen = grown;
        a->max_seen = max;
    }
    a->seen[a->n_seen++] = *element;
    return 0;
}

static int compare(const void *a, const void *b)
{
    return nsh_prefix_cmp(a, b);
}

void nsh_set_aside_sort(struct nsh_set_aside *a)
{
    if (a->n_seen > 0)
        qsort(a->seen, a->n_seen, sizeof *a->seen, compare);
}

int nsh_set_aside_tell(
        const struct nsh_set_aside *a, nsh_set_element_observed *observed, void *userdata)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < a->n_seen; i++)
        r = observed(userdata, &a->seen[i]);
    return r;
}

/* ---- writing ---- */

static const struct nsh_prefix *copy(
        struct nsh_prefix **to, const struct nsh_prefix *prefixes, size_t n)
{
    const struct nsh_prefix *at = *to;

    if (n > 0)
        memcpy(*to, prefixes, n * sizeof *prefixes);
    *to += n;
    return at;
}

static int copy_op(struct nsh_set_aside *a, const struct nsh_set_op *op)
{
    size_t n_want = op->want ? op->want->n : 0;
    struct nsh_prefix *to = calloc(n_want + op->n_add + op->n_remove + 1, sizeof *to);

    if (!to)
        return -ENOMEM;
    a->prefixes = to;
    a->op = *op;
    if (op->want) {
        a->want = *op->want;
        a->want.prefixes = copy(&to, op->want->prefixes, n_want);
        a->op.want = &a->want;
    }
    a->op.add = copy(&to, op->add, op->n_add);
    a->op.remove = copy(&to, op->remove, op->n_remove);
    return 0;
}

int nsh_set_aside_begin_write(struct nsh_set_aside *a, const struct nsh_set_op *op,
        int (*work)(void *userdata), void *userdata)
{
    int r = copy_op(a, op);

    return r < 0 ? r : begin(a, NSH_SET_ASIDE_WRITE, work, userdata);
}
