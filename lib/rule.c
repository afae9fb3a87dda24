/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rule.h"

#include <string.h>

/* ---- one form ---- */

static void normalize_prefix(struct nsh_prefix *p)
{
    if (p->family != AF_UNSPEC && p->length > 0)
        nsh_prefix_mask(p);
    else
        *p = (struct nsh_prefix){0};
}

/* No byte behind the NUL, so that names are compared as bytes. */
static void normalize_name(char name[static IFNAMSIZ])
{
    size_t n = strnlen(name, IFNAMSIZ - 1);

    memset(name + n, 0, IFNAMSIZ - n);
}

void nsh_rule_normalize(struct nsh_rule *r)
{
    normalize_prefix(&r->from);
    normalize_prefix(&r->to);
    normalize_name(r->iif);
    normalize_name(r->oif);
    if (r->action != FR_ACT_TO_TBL || r->l3mdev)
        r->table = 0;
    if (r->action != FR_ACT_GOTO)
        r->target = 0;
}

/* ---- comparing ---- */

static int order(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static uint64_t both(const struct nsh_range *r)
{
    return (uint64_t)r->first << 32 | r->last;
}

static int compare_selector(const struct nsh_rule *a, const struct nsh_rule *b)
{
    int q = nsh_prefix_cmp(&a->from, &b->from);

    if (q == 0)
        q = nsh_prefix_cmp(&a->to, &b->to);
    if (q == 0)
        q = memcmp(a->iif, b->iif, sizeof(a->iif));
    if (q == 0)
        q = memcmp(a->oif, b->oif, sizeof(a->oif));
    if (q == 0)
        q = order(a->mark.value, b->mark.value);
    if (q == 0)
        q = order(a->mark.mask, b->mark.mask);
    if (q == 0)
        q = order(both(&a->uids), both(&b->uids));
    if (q == 0)
        q = order(both(&a->source_port), both(&b->source_port));
    if (q == 0)
        q = order(both(&a->destination_port), both(&b->destination_port));
    if (q == 0)
        q = order(a->tos, b->tos);
    if (q == 0)
        q = order(a->ip_protocol, b->ip_protocol);
    return q;
}

static int compare_outcome(const struct nsh_rule *a, const struct nsh_rule *b)
{
    int q = order(a->action, b->action);

    if (q == 0)
        q = order(a->table, b->table);
    if (q == 0)
        q = order(a->target, b->target);
    if (q == 0)
        q = order(a->l3mdev, b->l3mdev);
    if (q == 0)
        q = order((uint32_t)a->suppress_length, (uint32_t)b->suppress_length);
    if (q == 0)
        q = order((uint32_t)a->suppress_group, (uint32_t)b->suppress_group);
    return q;
}

int nsh_rule_cmp(const struct nsh_rule *a, const struct nsh_rule *b)
{
    int q = order(a->family, b->family);

    if (q == 0)
        q = order(a->priority, b->priority);
    if (q == 0)
        q = compare_selector(a, b);
    if (q == 0)
        q = order(a->invert, b->invert);
    if (q == 0)
        q = compare_outcome(a, b);
    return q == 0 ? order(a->inexact, b->inexact) : q;
}

bool nsh_rule_equal(const struct nsh_rule *a, const struct nsh_rule *b)
{
    return nsh_rule_cmp(a, b) == 0;
}

bool nsh_rule_matches_all(const struct nsh_rule *r)
{
    static const struct nsh_rule all = {.uids = {0, NSH_UID_ANY_LAST}};

    return compare_selector(r, &all) == 0;
}

bool nsh_rule_same_outcome(const struct nsh_rule *a, const struct nsh_rule *b)
{
    return compare_outcome(a, b) == 0;
}

/* ---- overlap ---- */

static bool prefixes_meet(const struct nsh_prefix *a, const struct nsh_prefix *b)
{
    return a->family == AF_UNSPEC || b->family == AF_UNSPEC ||
           nsh_prefix_contains(a, b->family, &b->addr) ||
           nsh_prefix_contains(b, a->family, &a->addr);
}

static bool names_meet(const char *a, const char *b)
{
    return a[0] == '\0' || b[0] == '\0' || strcmp(a, b) == 0;
}

static bool ports_meet(const struct nsh_range *a, const struct nsh_range *b)
{
    return a->last == 0 || b->last == 0 || (a->first <= b->last && b->first <= a->last);
}

static bool numbers_meet(uint8_t a, uint8_t b)
{
    return a == 0 || b == 0 || a == b;
}

static bool marks_meet(const struct nsh_mark *a, const struct nsh_mark *b)
{
    return ((a->value ^ b->value) & a->mask & b->mask) == 0;
}

static bool selectors_meet(const struct nsh_rule *a, const struct nsh_rule *b)
{
    return prefixes_meet(&a->from, &b->from) && prefixes_meet(&a->to, &b->to) &&
           names_meet(a->iif, b->iif) && names_meet(a->oif, b->oif) &&
           marks_meet(&a->mark, &b->mark) && a->uids.first <= b->uids.last &&
           b->uids.first <= a->uids.last && ports_meet(&a->source_port, &b->source_port) &&
           ports_meet(&a->destination_port, &b->destination_port) && numbers_meet(a->tos, b->tos) &&
           numbers_meet(a->ip_protocol, b->ip_protocol);
}

bool nsh_rule_may_overlap(const struct nsh_rule *a, const struct nsh_rule *b)
{
    if (a->family != b->family)
        return false;
    if (a->invert != b->invert)
        return compare_selector(a, b) != 0;
    return a->invert || selectors_meet(a, b);
}

/* ---- what the kernel looks at (net/core/fib_rules.c: rule_find, rule_exists) ---- */

/* fib4_rule_compare, fib6_rule_compare: what is not said fits all. */
static bool addresses_fit(const struct nsh_rule *said, const struct nsh_rule *there)
{
    return (said->from.family == AF_UNSPEC || nsh_prefix_cmp(&said->from, &there->from) == 0) &&
           (said->to.family == AF_UNSPEC || nsh_prefix_cmp(&said->to, &there->to) == 0) &&
           (said->tos == 0 || said->tos == there->tos);
}

static bool number_fits(uint64_t said, uint64_t unsaid, uint64_t there)
{
    return said == unsaid || said == there;
}

static bool names_fit(const struct nsh_rule *said, const struct nsh_rule *there)
{
    return (said->iif[0] == '\0' || strcmp(said->iif, there->iif) == 0) &&
           (said->oif[0] == '\0' || strcmp(said->oif, there->oif) == 0);
}

bool nsh_rule_delete_takes(const struct nsh_rule *asked, const struct nsh_rule *there)
{
    static const struct nsh_range everybody = {0, NSH_UID_ANY_LAST};

    return asked->family == there->family && asked->priority == there->priority &&
           asked->action == there->action && number_fits(asked->table, 0, there->table) &&
           number_fits(asked->mark.value, 0, there->mark.value) &&
           number_fits(asked->mark.mask, 0, there->mark.mask) &&
           number_fits((uint32_t)asked->suppress_length, (uint32_t)NSH_SUPPRESS_NONE,
                   (uint32_t)there->suppress_length) &&
           number_fits((uint32_t)asked->suppress_group, (uint32_t)NSH_SUPPRESS_NONE,
                   (uint32_t)there->suppress_group) &&
           number_fits(asked->l3mdev, 0, there->l3mdev) &&
           number_fits(asked->ip_protocol, 0, there->ip_protocol) &&
           number_fits(both(&asked->uids), both(&everybody), both(&there->uids)) &&
           number_fits(both(&asked->source_port), 0, both(&there->source_port)) &&
           number_fits(both(&asked->destination_port), 0, both(&there->destination_port)) &&
           asked->protocol == there->protocol && names_fit(asked, there) &&
           addresses_fit(asked, there);
}

bool nsh_rule_add_meets(const struct nsh_rule *rule, const struct nsh_rule *there)
{
    return rule->family == there->family && rule->priority == there->priority &&
           rule->action == there->action && rule->table == there->table &&
           rule->mark.value == there->mark.value && rule->mark.mask == there->mark.mask &&
           rule->suppress_length == there->suppress_length &&
           rule->suppress_group == there->suppress_group && rule->l3mdev == there->l3mdev &&
           rule->ip_protocol == there->ip_protocol && both(&rule->uids) == both(&there->uids) &&
           both(&rule->source_port) == both(&there->source_port) &&
           both(&rule->destination_port) == both(&there->destination_port) &&
           rule->protocol == there->protocol && strcmp(rule->iif, there->iif) == 0 &&
           strcmp(rule->oif, there->oif) == 0 && addresses_fit(rule, there);
}
