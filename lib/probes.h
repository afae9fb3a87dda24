/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The routes and rules by which the probes of checks leave: wanted like those of the file, and told
 * apart from them by table, mark and priority.
 */
#pragma once

#include "config.h"

/* One of those that are set aside for checks. */
bool nsh_probes_table(const struct nsh_settings *s, uint32_t table);
/* The rule that leads the check's probes to their table. */
struct nsh_rule nsh_probes_rule(const struct nsh_check *c, const struct nsh_settings *s);

/* True of what is not in the file but there for probes; also of what is seen and carries our mark.
 */
bool nsh_probes_route_is(const struct nsh_config *c, const struct nsh_route *route);
bool nsh_probes_rule_is(const struct nsh_config *c, const struct nsh_rule *rule);
