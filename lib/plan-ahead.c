/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Foreign rules before a jump to ours, where both are in one built-in chain.
 */
#include <string.h>

#include "plan-firewall.h"

/* A jump that is still to be made comes behind all, or before all. */
static uint32_t index_of_jump(
        const struct nsh_firewall_plan *p, const struct hook_state *h, const struct nsh_chain *c)
{
    if (c->position == NSH_POSITION_FIRST)
        return 0;
    for (size_t i = 0; i < h->n_jumps; i++)
        if (strcmp(p->jumps[h->first_jump + i].target, c->name) == 0)
            return p->jumps[h->first_jump + i].index;
    return UINT32_MAX;
}

const struct nsh_ahead_seen *nsh_firewall_plan_ahead(
        const struct nsh_firewall_plan *p, size_t chain)
{
    const struct nsh_chain *c = &p->want->chains[chain];

    for (size_t i = 0; c->hook && i < p->n_hooks; i++) {
        const struct hook_state *h = &p->hooks[i];
        const struct nsh_ahead_seen *ahead = p->ahead + h->first_ahead;
        uint32_t index;

        if (h->n_ahead == 0 || strcmp(h->name, c->hook) != 0)
            continue;
        index = index_of_jump(p, h, c);
        for (size_t k = 0; k < h->n_ahead && ahead[k].index < index; k++)
            if (nsh_ahead_takes(&ahead[k], c, p->want))
                return &ahead[k];
    }
    return NULL;
}
