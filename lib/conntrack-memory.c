/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "conntrack-memory.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define FIRST 64

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct nsh_ct_tuple)); /* every byte of a tuple is set */
}

void nsh_ct_memory_add(struct nsh_ct_memory *m, const struct nsh_ct_tuple *answer)
{
    /* No answer of these is taken for a new flow. */
    if (answer->protocol == IPPROTO_ICMP || answer->protocol == IPPROTO_ICMPV6)
        return;
    if (m->n == m->room) {
        size_t room = m->room ? m->room * 2 : FIRST;
        struct nsh_ct_tuple *items;

        if (room > NSH_CT_MEMORY_MAX)
            return;
        items = reallocarray(m->items, room, sizeof *items);
        if (!items)
            return;
        m->items = items;
        m->room = room;
    }
    m->items[m->n++] = *answer;
}

void nsh_ct_memory_settle(struct nsh_ct_memory *m)
{
    if (m->n > 1)
        qsort(m->items, m->n, sizeof *m->items, compare);
    m->n_settled = m->n;
}

bool nsh_ct_memory_has(const struct nsh_ct_memory *m, const struct nsh_ct_tuple *tuple)
{
    return m->n_settled > 0 &&
           bsearch(tuple, m->items, m->n_settled, sizeof *m->items, compare) != NULL;
}

void nsh_ct_memory_done(struct nsh_ct_memory *m)
{
    free(m->items);
    *m = (struct nsh_ct_memory){0};
}
