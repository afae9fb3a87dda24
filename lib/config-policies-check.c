/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Judging what policies of every kind have: families, lists of prefixes and devices, ports. Every
 * check sees a key only when that is right by itself, so that one mistake is told once.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "config-policies.h"

static unsigned family_bit(const struct nsh_prefix *p)
{
    return p->family == AF_INET6 ? NSH_FAMILY_IPV6 : NSH_FAMILY_IPV4;
}

static const struct nsh_prefix *find_family(const struct nsh_prefixes *list, unsigned family)
{
    for (size_t i = 0; i < list->n; i++)
        if (family_bit(&list->items[i]) & family)
            return &list->items[i];
    return NULL;
}

static unsigned families_of(const struct nsh_prefixes *list)
{
    return (find_family(list, NSH_FAMILY_IPV4) ? NSH_FAMILY_IPV4 : 0) |
           (find_family(list, NSH_FAMILY_IPV6) ? NSH_FAMILY_IPV6 : 0);
}

/* ---- families ---- */

static bool lists_are_right(const struct policy_draft *d, const struct policy_list *lists, size_t n)
{
    uint64_t looked_at = 1ULL << KEY_FAMILY;
    bool wrong = false;

    for (size_t i = 0; i < n; i++) {
        looked_at |= 1ULL << lists[i].key;
        wrong = wrong || lists[i].prefixes->wrong;
    }
    return !wrong && !(d->draft.bad & looked_at);
}

/*
 * Where two that a packet has to match have no family in common, none can. But what a file holds
 * may change, and where the family is said that is no reason to refuse all there is.
 */
static bool check_common(
        struct nsh_loader *l, struct policy_draft *d, const struct policy_list *lists, size_t n)
{
    const struct policy_list *first = NULL;

    for (size_t i = 0; i < n; i++) {
        const struct policy_list *list = &lists[i];

        if (list->exempts || list->prefixes->n == 0 ||
                (list->prefixes->in_files && d->policy.families != 0))
            continue;
        if (first && !(families_of(first->prefixes) & families_of(list->prefixes))) {
            nsh_loader_error(l, d->draft.marks[list->key], "both want addresses of one family",
                    "'%s' is %s and '%s' is %s: nothing can match both", first->name,
                    nsh_families_name(families_of(first->prefixes)), list->name,
                    nsh_families_name(families_of(list->prefixes)));
            return false;
        }
        first = first ? first : list;
    }
    return true;
}

/*
 * What the addresses say where `family` does not: all families that are mentioned, if anything is
 * from or to somewhere; exemptions alone say nothing of what they are exempt from, but `fallback`.
 */
static unsigned choose_families(
        const struct policy_draft *d, const struct policy_list *lists, size_t n, unsigned fallback)
{
    unsigned families = 0, exempt = 0;

    if (d->policy.families != 0)
        return d->policy.families;
    for (size_t i = 0; i < n; i++)
        *(lists[i].exempts ? &exempt : &families) |= families_of(lists[i].prefixes);
    if (families == 0)
        families = exempt;
    return families ? families : fallback;
}

static const char *hint_covered(const struct policy_list *lists, size_t n, bool single)
{
    for (size_t i = 0; i < n; i++)
        if (lists[i].prefixes->in_files)
            return "say 'family', and what a file holds of the other one is left out";
    return single ? "make it two policies" : "add a prefix of this family, or make it two policies";
}

/* What a packet has to match has prefixes of each of the policy's families. */
static void check_covered(struct nsh_loader *l, struct policy_draft *d,
        const struct policy_list *list, const char *hint)
{
    for (unsigned family = NSH_FAMILY_IPV4; family <= NSH_FAMILY_IPV6; family <<= 1) {
        const char *name = nsh_families_name(family);

        if (list->exempts || nsh_absent(&d->draft, list->key) || !(d->policy.families & family) ||
                find_family(list->prefixes, family))
            continue;
        if (list->prefixes->in_files && (d->draft.seen >> KEY_FAMILY & 1 || list->prefixes->n == 0))
            nsh_loader_warning(l, d->draft.marks[list->key], NULL,
                    "'%s' has no %s prefix: the policy matches no %s packet", list->name, name,
                    name);
        else
            nsh_loader_error(l, d->draft.marks[list->key], hint,
                    "the policy is for %s%s, and '%s' %s %s %s", name,
                    d->policy.families == BOTH_FAMILIES ? " too" : "", list->name,
                    list->single ? "is no" : "has no", name, list->single ? "one" : "prefix");
    }
}

/* No list has a prefix of a family the policy is not for. */
static bool check_reachable(
        struct nsh_loader *l, struct policy_draft *d, const struct policy_list *list)
{
    const struct nsh_prefix *p = find_family(list->prefixes, BOTH_FAMILIES & ~d->policy.families);
    char shown[NSH_PREFIX_TEXT];

    if (!p || (list->exempts && list->prefixes->in_files))
        return true;
    nsh_loader_error(l, d->draft.marks[list->key],
            list->single ? "leave 'family' out: the address tells it"
                         : "leave it out, or say family: [ipv4, ipv6]",
            "the policy is for %s, and %s is %s", nsh_families_name(d->policy.families),
            nsh_prefix_format(p, shown), nsh_families_name(family_bit(p)));
    return false;
}

bool nsh_policy_families(struct nsh_loader *l, struct policy_draft *d,
        const struct policy_list *lists, size_t n, unsigned fallback)
{
    size_t errors = nsh_diags_errors(l->diags);

    if (!lists_are_right(d, lists, n) || !check_common(l, d, lists, n))
        return false;
    d->policy.families = choose_families(d, lists, n, fallback);
    for (size_t i = 0; i < n; i++)
        if (check_reachable(l, d, &lists[i]))
            check_covered(l, d, &lists[i], hint_covered(lists, n, lists[i].single));
    return nsh_diags_errors(l->diags) == errors;
}

/* ---- doubles ---- */

static int compare_prefixes(const void *a, const void *b)
{
    return nsh_prefix_cmp(a, b);
}

void nsh_policy_check_prefixes(
        struct nsh_loader *l, struct policy_draft *d, const struct policy_list *list)
{
    const struct nsh_prefixes *p = list->prefixes;
    nsh_autofree struct nsh_prefix *sorted = NULL;
    char shown[NSH_PREFIX_TEXT];

    if (p->n < 2)
        return;
    sorted = reallocarray(NULL, p->n, sizeof(*sorted));
    if (!sorted) {
        nsh_loader_no_memory(l);
        return;
    }
    memcpy(sorted, p->items, p->n * sizeof(*sorted));
    qsort(sorted, p->n, sizeof(*sorted), compare_prefixes);
    for (size_t i = 1; i < p->n; i++)
        if (nsh_prefix_cmp(&sorted[i - 1], &sorted[i]) == 0) {
            nsh_loader_error(l, d->draft.marks[list->key], "leave one of them out",
                    "%s is twice in '%s'", nsh_prefix_format(&sorted[i], shown), list->name);
            return;
        }
}

static const char *show_device(struct nsh_loader *l, const char *name)
{
    return strcmp(name, "+") == 0 ? "any" : nsh_loader_show(l, name);
}

void nsh_policy_check_devices(struct nsh_loader *l, struct policy_draft *d, unsigned key,
        const char *name, const struct nsh_devices *devices)
{
    for (size_t i = 1; i < devices->n && devices->n <= NSH_POLICY_RULES_MAX; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(devices->items[i], devices->items[j]) == 0) {
                nsh_loader_error(l, d->draft.marks[key], "leave one of them out",
                        "'%s' is twice in '%s'", show_device(l, devices->items[i]), name);
                return;
            }
}

bool nsh_devices_overlap(const char *a, const char *b)
{
    size_t n_a = strlen(a), n_b = strlen(b);
    bool open_a = n_a > 0 && a[n_a - 1] == '+', open_b = n_b > 0 && b[n_b - 1] == '+';

    n_a -= open_a;
    n_b -= open_b;
    if ((n_a < n_b && !open_a) || (n_b < n_a && !open_b))
        return false;
    if (n_a == n_b && !open_a && !open_b)
        return strcmp(a, b) == 0;
    return strncmp(a, b, n_a < n_b ? n_a : n_b) == 0;
}

void nsh_policy_check_apart(struct nsh_loader *l, struct policy_draft *d, unsigned key,
        const struct nsh_devices *a, const char *name_a, const struct nsh_devices *b,
        const char *name_b)
{
    for (size_t i = 0; i < a->n; i++)
        for (size_t j = 0; j < b->n && a->n * b->n <= NSH_POLICY_RULES_MAX; j++)
            if (nsh_devices_overlap(a->items[i], b->items[j])) {
                nsh_loader_error(l, d->draft.marks[key], "a device is on one side",
                        "'%s' is in '%s' and in '%s'", show_device(l, b->items[j]), name_a, name_b);
                return;
            }
}

/* ---- how many rules it takes ---- */

uint64_t nsh_policy_count(const struct nsh_prefixes *list, unsigned family)
{
    uint64_t n = 0;

    for (size_t i = 0; i < list->n; i++)
        n += family_bit(&list->items[i]) == family;
    return n > NSH_POLICY_LIST_MAX ? 1 : n;
}

void nsh_policy_check_size(
        struct nsh_loader *l, struct policy_draft *d, unsigned family, uint64_t rules)
{
    if (!(d->policy.families & family) || rules <= NSH_POLICY_RULES_MAX)
        return;
    nsh_loader_error(l, d->draft.at,
            "use ranges of ports or 'wan+', or make several policies of it",
            "the policy would need %llu %s rules, more than %u", (unsigned long long)rules,
            nsh_families_name(family), NSH_POLICY_RULES_MAX);
}

/* ---- ports ---- */

void nsh_policy_check_ports(struct nsh_loader *l, struct policy_draft *d,
        const struct nsh_protocols *protocols, unsigned protocol_key, unsigned key,
        const char *name)
{
    if (!nsh_given(&d->draft, key) || d->draft.bad >> protocol_key & 1)
        return;
    if (protocols->n == 0)
        nsh_loader_error(l, d->draft.marks[key], "add protocol: tcp, or protocol: [tcp, udp]",
                "'%s' needs a 'protocol' that has ports", name);
    for (size_t i = 0; i < protocols->n; i++)
        if (!nsh_protocol_has_ports(protocols->items[i])) {
            nsh_loader_error(l, d->draft.marks[key], "leave it out, or write protocol: tcp or udp",
                    "protocol %u has no ports", protocols->items[i]);
            return;
        }
}
