/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "conntrack.h"

#include <string.h>

/* As xtables does: a '+' at the end stands for any rest, and no name for any device. */
static bool out_matches(const char *pattern, const char *out)
{
    size_t n = strnlen(pattern, IFNAMSIZ);

    if (n == 0)
        return true;
    if (pattern[n - 1] == '+')
        return strncmp(pattern, out, n - 1) == 0;
    return strcmp(pattern, out) == 0;
}

static bool rule_matches(const struct nsh_packet_rule *rule, int family, const union nsh_addr *src,
        const union nsh_addr *dst, const char *out)
{
    return nsh_prefix_contains(&rule->from, family, src) &&
           nsh_prefix_contains(&rule->to, family, dst) && out_matches(rule->out, out);
}

static bool chain_translates(const struct nsh_chain *chain, int family, const union nsh_addr *src,
        const union nsh_addr *dst, const char *out)
{
    for (size_t i = 0; i < chain->n_rules; i++) {
        const struct nsh_packet_rule *rule = &chain->rules[i];

        if (rule->action != NSH_PACKET_RETURN && rule->action != NSH_PACKET_MASQUERADE)
            continue;
        if (rule_matches(rule, family, src, dst, out))
            return rule->action == NSH_PACKET_MASQUERADE;
    }
    return false;
}

bool nsh_chains_translate(const struct nsh_chain *const *chains, size_t n_chains, int family,
        const union nsh_addr *src, const union nsh_addr *dst, const char *out)
{
    for (size_t i = 0; i < n_chains; i++)
        if (chains[i]->family == family && chains[i]->table == NSH_TABLE_NAT &&
                chain_translates(chains[i], family, src, dst, out))
            return true;
    return false;
}
