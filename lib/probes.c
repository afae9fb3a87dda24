/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probes.h"

static bool within(uint32_t number, uint32_t first)
{
    return number >= first && number - first < NSH_GATES_MAX;
}

bool nsh_probes_table(const struct nsh_settings *s, uint32_t table)
{
    return within(table, s->check_table);
}

struct nsh_rule nsh_probes_rule(const struct nsh_check *c, const struct nsh_settings *s)
{
    struct nsh_rule r = {
            .priority = s->check_priority,
            .table = c->table,
            .mark = {c->mark, UINT32_MAX},
            .uids = {0, NSH_UID_ANY_LAST},
            .suppress_length = NSH_SUPPRESS_NONE,
            .suppress_group = NSH_SUPPRESS_NONE,
            .family = c->family,
            .action = FR_ACT_TO_TBL,
    };

    nsh_rule_normalize(&r);
    return r;
}

/* Without a check the numbers are anybody's; but what is removed may be left from one. */
static bool may_be(const struct nsh_config *c, nsh_origin origin)
{
    return c->n_ways > 0 || origin == NSH_ORIGIN_NONE;
}

bool nsh_probes_route_is(const struct nsh_config *c, const struct nsh_route *route)
{
    return may_be(c, route->origin) && nsh_probes_table(&c->settings, route->table);
}

bool nsh_probes_rule_is(const struct nsh_config *c, const struct nsh_rule *rule)
{
    const struct nsh_settings *s = &c->settings;

    return may_be(c, rule->origin) && rule->priority == s->check_priority &&
           rule->action == FR_ACT_TO_TBL && nsh_probes_table(s, rule->table) &&
           within(rule->mark.value, s->check_mark);
}
