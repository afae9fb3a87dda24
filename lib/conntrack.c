/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "conntrack.h"

#include <string.h>

#include "conntrack-match.h"

static bool translates(enum nsh_packet_action action)
{
    return nsh_action_translates(action) && action != NSH_PACKET_DNAT;
}

static bool chain_translates(const struct nsh_translations *wanted, const struct nsh_chain *chain,
        const struct nsh_flow *flow)
{
    for (size_t i = 0; i < chain->n_rules; i++) {
        const struct nsh_packet_rule *rule = &chain->rules[i];

        if (rule->action != NSH_PACKET_RETURN && !translates(rule->action))
            continue;
        if (nsh_rule_match(wanted, rule, flow) == NSH_MATCH_YES)
            return translates(rule->action);
    }
    return false;
}

bool nsh_chains_translate(const struct nsh_translations *wanted, const struct nsh_flow *flow)
{
    for (size_t i = 0; i < wanted->n_chains; i++) {
        const struct nsh_chain *c = wanted->chains[i];

        if (c->family == flow->family && c->table == NSH_TABLE_NAT && c->hook &&
                strcmp(c->hook, "POSTROUTING") == 0 && chain_translates(wanted, c, flow))
            return true;
    }
    return false;
}
