/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A set is replaced by filling another one and swapping the two: rules keep referring to the name,
 * and a packet sees either the old or the new. A set left over from a replacement that was cut
 * short has a name no policy gives; it is ours, and goes as one that is not wanted.
 */
#include "firewall-iptc-xt.h"

#include <string.h>

#include "cleanup.h"

#define SPARE NSH_SET_PREFIX "~new"

/* A set with all that is wanted in it, or none. */
static int create(struct nsh_ipset *s, const char *name, const struct nsh_set *want)
{
    int r = nsh_ipset_create(s, want->family, name, want->n);

    if (r < 0)
        return r;
    r = nsh_ipset_add(s, name, want->prefixes, want->n);
    if (r < 0)
        (void)nsh_ipset_destroy(s, name);
    return r;
}

/* One of another type can't be swapped, but no rule of ours works with it either. */
static int replace(struct nsh_ipset *s, const char *name, const struct nsh_set *want)
{
    int r;

    (void)nsh_ipset_destroy(s, SPARE);
    r = create(s, SPARE, want);
    if (r < 0)
        return r;
    r = nsh_ipset_swap(s, SPARE, name);
    (void)nsh_ipset_destroy(s, SPARE);
    return r;
}

static int run_create(struct nsh_ipset *s, const struct nsh_set_op *op)
{
    return create(s, op->name, op->want);
}

static int run_replace(struct nsh_ipset *s, const struct nsh_set_op *op)
{
    return replace(s, op->name, op->want);
}

/* What is no longer wanted goes after what is has come. */
static int run_update(struct nsh_ipset *s, const struct nsh_set_op *op)
{
    int r = nsh_ipset_add(s, op->name, op->add, op->n_add);

    return r < 0 ? r : nsh_ipset_remove(s, op->name, op->remove, op->n_remove);
}

static int run_destroy(struct nsh_ipset *s, const struct nsh_set_op *op)
{
    return nsh_ipset_destroy(s, op->name);
}

static const struct {
    int (*run)(struct nsh_ipset *s, const struct nsh_set_op *op);
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

const char *nsh_xt_set_check(const struct nsh_set_op *op)
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

int nsh_xt_set_run(struct nsh_ipset *s, const struct nsh_set_op *op)
{
    return verbs[op->verb].run(s, op);
}
