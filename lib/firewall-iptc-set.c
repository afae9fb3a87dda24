/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sets for the `set` match. Nothing tells of a change to a set, and its elements are many: what is
 * looked at often is its header, where the number of elements shows what was added, deleted or
 * flushed, and the seed of the hash that another set has taken its place (`ipset swap`). As many
 * added as deleted can't be seen there; that is found by reading.
 *
 * Reading and writing take a tenth of a second for 100,000 prefixes, and go on in a thread with a
 * socket of its own. What is written there is marked as it was left.
 *
 * Where the machine has no sets at all yet, looking must not load the kernel's module.
 */
#include "firewall-iptc-xt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

void nsh_xt_sets_init(struct nsh_xt_sets *s)
{
    *s = (struct nsh_xt_sets){0};
    nsh_ipset_init(&s->ipset);
    nsh_ipset_init(&s->apart);
}

void nsh_xt_sets_done(struct nsh_xt_sets *s)
{
    nsh_set_aside_done(&s->aside);
    nsh_ipset_done(&s->apart);
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

    if (nsh_set_aside_is(&s->aside, NSH_SET_ASIDE_WRITE, family, name))
        return 0; /* how it is left will be marked */
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
    int r = nsh_set_aside_settle(&s->aside);

    if (r == 0)
        r = nsh_xt_sets_exist(names);
    if (r <= 0)
        return r;
    r = nsh_ipset_headers(&s->ipset, NULL, list_ours, &l);
    return r < 0 ? nsh_ipset_errno(r) : r;
}

/* ---- reading ---- */

static int find(struct nsh_xt_sets *s, struct nsh_xt_names *names, int family, const char *name,
        struct nsh_ipset_header *ret)
{
    int r = read_header(s, names, name, ret);

    return r == 0 && ret->family != family ? -ENOENT : r;
}

static int read_all(void *userdata)
{
    struct nsh_xt_sets *s = userdata;
    int r = nsh_ipset_elements(&s->apart, s->aside.op.name, nsh_set_aside_collect, &s->aside);

    nsh_set_aside_sort(&s->aside);
    return r;
}

/* The header before the elements: what changes in between makes a difference later. */
static int begin_read(
        struct nsh_xt_sets *s, struct nsh_xt_names *names, int family, const char *name)
{
    struct nsh_ipset_header header;
    int r = find(s, names, family, name, &header);

    if (r == 0)
        r = remember(s, &header);
    return r < 0 ? r : nsh_set_aside_begin_read(&s->aside, family, name, read_all, s);
}

static int read_aside(struct nsh_xt_sets *s, struct nsh_xt_names *names, int family,
        const char *name, nsh_set_element_observed *observed, void *userdata)
{
    int r = nsh_set_aside_go_on(&s->aside, NSH_SET_ASIDE_READ, family, name);

    if (r > 0)
        r = begin_read(s, names, family, name);
    if (r == -EINPROGRESS)
        return r;
    if (r == 0)
        r = nsh_set_aside_tell(&s->aside, observed, userdata);
    if (r != 0)
        forget(s, name);
    nsh_set_aside_clear(&s->aside);
    return r < 0 ? nsh_ipset_errno(r) : r;
}

int nsh_xt_set_read(struct nsh_xt_sets *s, struct nsh_xt_names *names, int family, const char *name,
        bool remembered, nsh_set_element_observed *observed, void *userdata)
{
    struct nsh_ipset_header header;
    int r;

    if (remembered)
        return read_aside(s, names, family, name, observed, userdata);
    r = find(s, names, family, name, &header);
    if (r == 0)
        r = nsh_ipset_elements(&s->ipset, name, observed, userdata);
    return r < 0 ? nsh_ipset_errno(r) : r;
}

/* ---- writing ---- */

static int write_all(void *userdata)
{
    struct nsh_xt_sets *s = userdata;
    const struct nsh_set_op *op = &s->aside.op;
    int r = nsh_xt_set_run(&s->apart, op);

    s->left = (struct nsh_ipset_header){0};
    if (r == 0)
        (void)nsh_ipset_headers(&s->apart, op->name, keep_header, &s->left);
    return r;
}

/* Unmarked, it counts as changed. */
static int write_aside(struct nsh_xt_sets *s, const struct nsh_set_op *op)
{
    int r = nsh_set_aside_go_on(&s->aside, NSH_SET_ASIDE_WRITE, op->family, op->name);

    if (r > 0)
        r = nsh_set_aside_begin_write(&s->aside, op, write_all, s);
    if (r == -EINPROGRESS)
        return r;
    nsh_set_aside_clear(&s->aside);
    if (r < 0 || strcmp(s->left.name, op->name) != 0 || remember(s, &s->left) < 0)
        forget(s, op->name);
    return r;
}

/* This takes no time; what is being written comes first. */
static int destroy(struct nsh_xt_sets *s, const struct nsh_set_op *op)
{
    int r = nsh_set_aside_settle(&s->aside);

    if (r == 0) {
        r = nsh_xt_set_run(&s->ipset, op);
        forget(s, op->name);
    }
    return r;
}

int nsh_xt_set_write(struct nsh_xt_sets *s, const struct nsh_set_op *op, char *ret_why, size_t size)
{
    const char *words = nsh_xt_set_check(op);
    int r = words ? -EINVAL : op->verb == NSH_SET_DESTROY ? destroy(s, op) : write_aside(s, op);

    if (ret_why && size > 0)
        ret_why[0] = '\0';
    if (r >= 0 || r == -EINPROGRESS)
        return r;
    if (ret_why && size > 0)
        snprintf(ret_why, size, "set %.31s: %s", op->name, words ? words : nsh_ipset_words(r));
    return nsh_ipset_errno(r);
}
