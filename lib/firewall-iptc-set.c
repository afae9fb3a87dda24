/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sets for the `set` match. Nothing tells of a change to a set, and its elements are many: what is
 * looked at often is its header, where the number of elements shows what was added, deleted or
 * flushed, and the seed of the hash that another set has taken its place (`ipset swap`). As many
 * added as deleted can't be seen there; that is found by reading.
 *
 * A set is replaced by filling another one and swapping the two: rules keep referring to the name,
 * and a packet sees either the old or the new. A set left over from a replacement that was cut
 * short has a name no policy gives; it is ours, and goes as one that is not wanted.
 *
 * Where the machine has no sets at all yet, looking must not load the kernel's module.
 */
#include "firewall-iptc-xt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

#define SPARE NSH_SET_PREFIX "~new"

void nsh_xt_sets_init(struct nsh_xt_sets *s)
{
    *s = (struct nsh_xt_sets){0};
    nsh_ipset_init(&s->ipset);
}

void nsh_xt_sets_done(struct nsh_xt_sets *s)
{
    nsh_ipset_done(&s->ipset);
    free(s->marks);
    nsh_xt_sets_init(s);
}

/* ---- what sets looked like ---- */

/* Where the mark of the name is, or would be. */
static size_t place_of(const struct nsh_xt_sets *s, const char *name, bool *ret_found)
{
    size_t low = 0, high = s->n_marks;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int q = strcmp(s->marks[middle].name, name);

        if (q == 0) {
            *ret_found = true;
            return middle;
        }
        if (q < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_found = false;
    return low;
}

static void forget(struct nsh_xt_sets *s, const char *name)
{
    bool found;
    size_t i = place_of(s, name, &found);

    if (!found)
        return;
    s->n_marks--;
    memmove(&s->marks[i], &s->marks[i + 1], (s->n_marks - i) * sizeof *s->marks);
}

static int remember(struct nsh_xt_sets *s, const struct nsh_ipset_header *header)
{
    bool found;
    size_t i = place_of(s, header->name, &found);

    if (!found && s->n_marks == s->marks_size) {
        size_t size = s->marks_size ? s->marks_size * 2 : 8;
        void *grown = reallocarray(s->marks, size, sizeof *s->marks);

        if (!grown)
            return -ENOMEM;
        s->marks = grown;
        s->marks_size = size;
    }
    if (!found) {
        memmove(&s->marks[i + 1], &s->marks[i], (s->n_marks - i) * sizeof *s->marks);
        s->n_marks++;
    }
    s->marks[i] = *header;
    return 0;
}

static int keep_header(void *userdata, const struct nsh_ipset_header *header)
{
    memcpy(userdata, header, sizeof *header);
    return 0;
}

static int read_header(struct nsh_xt_sets *s, struct nsh_xt_names *names, const char *name,
        struct nsh_ipset_header *ret)
{
    uint16_t index;
    int r = nsh_xt_set_index(names, name, &index);

    *ret = (struct nsh_ipset_header){0};
    if (r >= 0)
        r = nsh_ipset_headers(&s->ipset, name, keep_header, ret);
    if (r < 0)
        return nsh_ipset_errno(r);
    return strcmp(ret->name, name) == 0 ? 0 : -ENOENT;
}

static int mark(struct nsh_xt_sets *s, struct nsh_xt_names *names, const char *name)
{
    struct nsh_ipset_header header;
    int r = read_header(s, names, name, &header);

    if (r >= 0)
        r = remember(s, &header);
    if (r < 0)
        forget(s, name);
    return r;
}

static bool header_equal(const struct nsh_ipset_header *a, const struct nsh_ipset_header *b)
{
    return a->family == b->family && a->plain == b->plain && a->n_elements == b->n_elements &&
           a->memory == b->memory && a->hash_size == b->hash_size && a->maximum == b->maximum &&
           a->seed == b->seed;
}

int nsh_xt_set_compare(
        struct nsh_xt_sets *s, struct nsh_xt_names *names, int family, const char *name)
{
    struct nsh_ipset_header header;
    bool found;
    size_t i = place_of(s, name, &found);
    int r;

    if (!found)
        return 1;
    r = read_header(s, names, name, &header);
    if (r == -ENOENT)
        return 1;
    if (r < 0)
        return r;
    return header.family != family || !header_equal(&header, &s->marks[i]);
}

/* ---- looking ---- */

struct listing {
    int family;
    nsh_set_observed *observed;
    void *userdata;
};

static int list_ours(void *userdata, const struct nsh_ipset_header *header)
{
    struct listing *l = userdata;

    if (header->family != l->family || !nsh_set_is_ours(header->name))
        return 0;
    return l->observed(l->userdata, header->name);
}

int nsh_xt_sets_list(struct nsh_xt_sets *s, struct nsh_xt_names *names, int family,
        nsh_set_observed *observed, void *userdata)
{
    struct listing l = {.family = family, .observed = observed, .userdata = userdata};
    int r = nsh_xt_sets_exist(names);

    if (r <= 0)
        return r;
    r = nsh_ipset_headers(&s->ipset, NULL, list_ours, &l);
    return r < 0 ? nsh_ipset_errno(r) : r;
}

/* The header before the elements: what changes in between makes a difference later. */
int nsh_xt_set_read(struct nsh_xt_sets *s, struct nsh_xt_names *names, int family, const char *name,
        bool remembered, nsh_set_element_observed *observed, void *userdata)
{
    struct nsh_ipset_header header;
    int r = read_header(s, names, name, &header);

    if (r >= 0 && header.family != family)
        r = -ENOENT;
    if (remembered)
        forget(s, name);
    if (r < 0)
        return r;
    r = nsh_ipset_elements(&s->ipset, name, observed, userdata);
    if (r == 0 && remembered)
        r = remember(s, &header);
    return r < 0 ? nsh_ipset_errno(r) : r;
}

/* ---- writing ---- */

/* A set with all that is wanted in it, or none. */
static int create(struct nsh_xt_sets *s, const char *name, const struct nsh_set *want)
{
    int r = nsh_ipset_create(&s->ipset, want->family, name, want->n);

    if (r < 0)
        return r;
    r = nsh_ipset_add(&s->ipset, name, want->prefixes, want->n);
    if (r < 0)
        (void)nsh_ipset_destroy(&s->ipset, name);
    return r;
}

/* One of another type can't be swapped, but no rule of ours works with it either. */
static int replace(struct nsh_xt_sets *s, const char *name, const struct nsh_set *want)
{
    int r;

    (void)nsh_ipset_destroy(&s->ipset, SPARE);
    r = create(s, SPARE, want);
    if (r < 0)
        return r;
    r = nsh_ipset_swap(&s->ipset, SPARE, name);
    (void)nsh_ipset_destroy(&s->ipset, SPARE);
    return r;
}

static int run_create(struct nsh_xt_sets *s, const struct nsh_set_op *op)
{
    return create(s, op->name, op->want);
}

static int run_replace(struct nsh_xt_sets *s, const struct nsh_set_op *op)
{
    return replace(s, op->name, op->want);
}

/* What is no longer wanted goes after what is has come. */
static int run_update(struct nsh_xt_sets *s, const struct nsh_set_op *op)
{
    int r = nsh_ipset_add(&s->ipset, op->name, op->add, op->n_add);

    return r < 0 ? r : nsh_ipset_remove(&s->ipset, op->name, op->remove, op->n_remove);
}

static int run_destroy(struct nsh_xt_sets *s, const struct nsh_set_op *op)
{
    return nsh_ipset_destroy(&s->ipset, op->name);
}

static const struct {
    int (*run)(struct nsh_xt_sets *s, const struct nsh_set_op *op);
    bool wants; /* op->want */
} verbs[] = {
        [NSH_SET_CREATE] = {run_create, true},
        [NSH_SET_UPDATE] = {run_update, false},
        [NSH_SET_REPLACE] = {run_replace, true},
        [NSH_SET_DESTROY] = {run_destroy, false},
};

static bool are_of(const struct nsh_prefix *prefixes, size_t n, uint8_t family)
{
    for (size_t i = 0; i < n; i++)
        if (prefixes[i].family != family || prefixes[i].length == 0)
            return false;
    return true;
}

static const char *check(const struct nsh_set_op *op)
{
    if ((unsigned int)op->verb >= NSH_ARRAY_SIZE(verbs) ||
            strnlen(op->name, NSH_SET_NAME) == NSH_SET_NAME || !nsh_set_is_ours(op->name))
        return "not a set of netshared";
    if (verbs[op->verb].wants && (!op->want || op->want->family != op->family))
        return "nothing to fill it with";
    if ((verbs[op->verb].wants && !are_of(op->want->prefixes, op->want->n, op->family)) ||
            !are_of(op->add, op->n_add, op->family) ||
            !are_of(op->remove, op->n_remove, op->family))
        return "a prefix that can't be in it";
    return NULL;
}

int nsh_xt_set_write(struct nsh_xt_sets *s, struct nsh_xt_names *names, const struct nsh_set_op *op,
        char *ret_why, size_t size)
{
    const char *words = check(op);
    int r = words ? -EINVAL : verbs[op->verb].run(s, op);

    if (ret_why && size > 0)
        ret_why[0] = '\0';
    if (r < 0) {
        if (!words)
            words = nsh_ipset_words(r);
        if (ret_why && size > 0)
            snprintf(ret_why, size, "set %.31s: %s", op->name, words);
        if (nsh_set_is_ours(op->name))
            forget(s, op->name);
        return nsh_ipset_errno(r);
    }
    if (op->verb == NSH_SET_DESTROY)
        forget(s, op->name);
    else
        (void)mark(s, names, op->name); /* unmarked, it counts as changed */
    return 0;
}
