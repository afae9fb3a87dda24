/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The part of `explain` about rules of others that translate before the file's policies do. On
 * iptables they are seen with the built-in chains that ours are in, on nftables they are asked for.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "explain.h"

void explain_ahead_see(struct explain *e, const struct nsh_chain_seen *seen)
{
    if (!seen->builtin || seen->table != NSH_TABLE_NAT)
        return;
    for (size_t i = 0; i < seen->n_ahead && e->n_ahead < NSH_AHEAD_MAX; i++) {
        struct explain_ahead *a = &e->ahead[e->n_ahead++];

        a->out = strcmp(seen->name, "POSTROUTING") == 0;
        a->rule = seen->ahead[i];
    }
    for (size_t i = 0; i < seen->n_jumps; i++)
        for (size_t k = 0; k < e->desired->n_chains; k++) {
            const struct nsh_chain *c = &e->desired->chains[k];

            if (c->hook && c->family == seen->family && c->table == seen->table &&
                    strcmp(c->hook, seen->name) == 0 && strcmp(c->name, seen->jumps[i].target) == 0)
                e->chains[k].jump = seen->jumps[i].index;
        }
}

void explain_ahead_ask(struct explain *e, const char *hook)
{
    static struct nsh_ahead_seen seen[NSH_AHEAD_MAX]; /* large */
    struct nsh_firewall *fw = e->firewalls.chosen;
    int n = fw->ops->ahead ? fw->ops->ahead(fw, e->first.family, NSH_TABLE_NAT, hook, seen) : 0;

    for (int i = 0; i < n && e->n_ahead < NSH_AHEAD_MAX; i++) {
        struct explain_ahead *a = &e->ahead[e->n_ahead++];

        a->out = strcmp(hook, "POSTROUTING") == 0;
        a->rule = seen[i];
    }
}

/* Each of what is spared is spared by itself. */
static bool is_spared(
        const struct explain *e, const struct nsh_packet_rule *spares, const struct nsh_packet *p)
{
    struct nsh_packet_rule one[4] = {0};
    bool given[4] = {spares->from.family != AF_UNSPEC, spares->to.family != AF_UNSPEC,
            spares->in[0] != '\0', spares->out[0] != '\0'};

    one[0].from = spares->from;
    one[1].to = spares->to;
    memcpy(one[2].in, spares->in, sizeof one[2].in);
    memcpy(one[3].out, spares->out, sizeof one[3].out);
    for (size_t i = 0; i < 4; i++)
        if (given[i] && nsh_walk_matches(e->desired, &one[i], p))
            return true;
    return false;
}

/* NULL: no chain of ours takes it, and whatever was seen comes before that. */
static bool is_before(
        const struct explain *e, const struct nsh_ahead_seen *rule, const struct nsh_chain *chain)
{
    if (!chain)
        return true;
    if (e->firewalls.chosen->ops->ahead)
        return chain->position == NSH_POSITION_LAST || !rule->first_helps;
    return rule->index < e->chains[chain - e->desired->chains].jump;
}

const struct nsh_ahead_seen *explain_ahead(const struct explain *e, bool out,
        const struct nsh_packet *p, const struct nsh_chain *chain)
{
    for (size_t i = 0; i < e->n_ahead; i++) {
        const struct nsh_ahead_seen *rule = &e->ahead[i].rule;

        if (e->ahead[i].out == out && is_before(e, rule, chain) &&
                nsh_walk_matches(e->desired, &rule->needs, p) && !is_spared(e, &rule->spares, p))
            return rule;
    }
    return NULL;
}
