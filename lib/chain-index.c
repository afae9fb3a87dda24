/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "chain-index.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static int compare_policy(const struct nsh_chain *c, int family, const char *policy)
{
    return c->family != family ? (int)c->family - family : strcmp(c->policy, policy);
}

static int compare(const void *a, const void *b, void *chains)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    const struct nsh_chain *all = chains;
    int r = compare_policy(&all[x], all[y].family, all[y].policy);

    return r != 0 ? r : (x > y) - (x < y);
}

int nsh_chain_index_make(const struct nsh_chain *chains, size_t n, struct nsh_chain_index *ret)
{
    size_t *order = calloc(n + 1, sizeof(*order));

    if (!order)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        order[i] = i;
    if (n > 1)
        qsort_r(order, n, sizeof(*order), compare, (void *)(uintptr_t)chains);
    *ret = (struct nsh_chain_index){.chains = chains, .order = order, .n = n};
    return 0;
}

void nsh_chain_index_done(struct nsh_chain_index *x)
{
    free(x->order);
    *x = (struct nsh_chain_index){0};
}

/* Where the policy's chains begin in `order`, or would. */
static size_t lower_bound(const struct nsh_chain_index *x, int family, const char *policy)
{
    size_t low = 0, high = x->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (compare_policy(&x->chains[x->order[middle]], family, policy) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t nsh_chain_index_find(
        const struct nsh_chain_index *x, int family, enum nsh_table table, const char *name)
{
    char policy[NSH_POLICY_NAME] = "";

    if (table != NSH_TABLE_RAW || strcmp(name, NSH_CHAIN_CONNTRACK) != 0)
        nsh_chain_policy(name, policy);
    for (size_t i = lower_bound(x, family, policy); i < x->n; i++) {
        const struct nsh_chain *c = &x->chains[x->order[i]];

        if (compare_policy(c, family, policy) != 0)
            break;
        if (c->table == table && strcmp(c->name, name) == 0)
            return x->order[i];
    }
    return SIZE_MAX;
}

size_t nsh_chain_index_policy(const struct nsh_chain_index *x, int family, const char *policy)
{
    size_t i = lower_bound(x, family, policy);

    return i < x->n && compare_policy(&x->chains[x->order[i]], family, policy) == 0 ? x->order[i]
                                                                                    : SIZE_MAX;
}
