/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The rules of all files together: sorted, none given twice, and none whose turn would be left to
 * chance.
 *
 * Of two rules with one priority the kernel tries the older first. One that was put back is the
 * newest, so their order in the file can't be kept; where it would matter they have to have two
 * priorities.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config-loader.h"

/* As they are kept, then in the order of the files. */
static int compare(const void *a, const void *b)
{
    const struct nsh_rule *x = a, *y = b;
    int r = nsh_rule_cmp(x, y);

    return r != 0 ? r : (x->origin > y->origin) - (x->origin < y->origin);
}

static void report(
        struct nsh_loader *l, const struct nsh_rule *rule, const char *hint, const char *text)
{
    char shown[NSH_RULE_TEXT];
    uint32_t line;

    l->path = nsh_origins_resolve(l->config->origins, rule->origin, &line);
    nsh_loader_error(l, (struct nsh_yaml_mark){.line = line}, hint, "the rule %s %s",
            nsh_rule_format_name(rule, shown, sizeof(shown)), text);
}

static void report_double(
        struct nsh_loader *l, const struct nsh_rule *first, const struct nsh_rule *second)
{
    char place[NSH_PLACE_TEXT], hint[NSH_HINT_TEXT];

    if (first->origin == second->origin)
        (void)snprintf(hint, sizeof(hint), "both are on this line");
    else
        (void)snprintf(hint, sizeof(hint), "the first is at %s",
                nsh_loader_place(l, first->origin, place, sizeof(place)));
    report(l, second, hint, "is given twice");
}

static void report_overlap(struct nsh_loader *l, const struct nsh_rule *a, const struct nsh_rule *b)
{
    const struct nsh_rule *first = a->origin <= b->origin ? a : b;
    char place[NSH_PLACE_TEXT], hint[NSH_HINT_TEXT + NSH_PLACE_TEXT];

    (void)snprintf(hint, sizeof(hint),
            "the other is at %s; give the one that is to be tried first a lower priority",
            nsh_loader_place(l, first->origin, place, sizeof(place)));
    report(l, first == a ? b : a, hint,
            "and another of this priority can match one packet, and do different things with it");
}

static bool same_turn(const struct nsh_rule *a, const struct nsh_rule *b)
{
    return a->family == b->family && a->priority == b->priority;
}

/* The first thing that is wrong with it and one of those before it. */
static void check_with_earlier(struct nsh_loader *l, size_t at)
{
    const struct nsh_rule *rules = l->rules, *r = &rules[at];

    if (at > 0 && nsh_rule_equal(&rules[at - 1], r)) {
        report_double(l, &rules[at - 1], r);
        return;
    }
    for (size_t i = at; i-- > 0 && same_turn(&rules[i], r);)
        if (!nsh_rule_same_outcome(&rules[i], r) && nsh_rule_may_overlap(&rules[i], r)) {
            report_overlap(l, &rules[i], r);
            return;
        }
}

void nsh_finish_rules(struct nsh_loader *l)
{
    struct nsh_config *c = l->config;
    uint32_t line;

    if (l->n_rules > NSH_RULES_MAX) {
        l->path = nsh_origins_resolve(c->origins, l->rules[NSH_RULES_MAX].origin, &line);
        nsh_loader_error(l, (struct nsh_yaml_mark){.line = line},
                "mark the packets with one set in the firewall, and match the mark",
                "more than %u rules", NSH_RULES_MAX);
        return;
    }
    if (l->n_rules == 0)
        return;
    qsort(l->rules, l->n_rules, sizeof(*l->rules), compare);
    for (size_t i = 0; i < l->n_rules; i++)
        check_with_earlier(l, i);
    c->rules = nsh_arena_alloc(c->arena, l->n_rules * sizeof(*c->rules));
    if (!c->rules) {
        nsh_loader_no_memory(l);
        return;
    }
    memcpy(c->rules, l->rules, l->n_rules * sizeof(*c->rules));
    c->n_rules = l->n_rules;
}
