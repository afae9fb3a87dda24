/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config-advise.h"

#include <stdio.h>
#include <string.h>

#include "config-policies.h"

/* Longer lists are not compared, unless they are the same. */
#define COMPARISONS_MAX (1ULL << 20)

void nsh_advise(
        struct nsh_loader *l, const struct nsh_policy *p, const char *hint, const char *text)
{
    uint32_t line;

    l->path = nsh_origins_resolve(l->config->origins, p->origin, &line);
    nsh_loader_warning(l, (struct nsh_yaml_mark){.line = line}, hint, "%s", text);
}

void nsh_advise_of_two(struct nsh_loader *l, const struct nsh_policy *first,
        const struct nsh_policy *second, const char *what, const char *text)
{
    char place[NSH_PLACE_TEXT], hint[NSH_HINT_TEXT + NSH_PLACE_TEXT];

    (void)snprintf(hint, sizeof(hint), "'%s' is at %s: %s", first->name,
            nsh_loader_place(l, first->origin, place, sizeof(place)), what);
    nsh_advise(l, second, hint, text);
}

bool nsh_advise_meet(const struct nsh_policy *a, const struct nsh_policy *b)
{
    return !a->disabled && !b->disabled && (a->families & b->families) != 0;
}

bool nsh_advise_holds_with(const struct nsh_policy *a, const struct nsh_policy *b)
{
    return a->when == NSH_NO_GATE || a->when == b->when;
}

/* ---- devices ---- */

const char *nsh_advise_common_device(
        const struct nsh_device_list *a, const struct nsh_device_list *b)
{
    for (uint32_t i = 0; i < a->n; i++)
        for (uint32_t k = 0; k < b->n; k++)
            if (nsh_devices_overlap(a->items[i], b->items[k]))
                return strlen(a->items[i]) > strlen(b->items[k]) ? a->items[i] : b->items[k];
    return NULL;
}

static bool device_holds(const char *a, const char *b)
{
    size_t n = strlen(a);

    return n > 0 && a[n - 1] == '+' ? strncmp(a, b, n - 1) == 0 : strcmp(a, b) == 0;
}

bool nsh_advise_devices_hold(const struct nsh_device_list *a, const struct nsh_device_list *b)
{
    for (uint32_t i = 0; i < b->n; i++) {
        uint32_t k = 0;

        while (k < a->n && !device_holds(a->items[k], b->items[i]))
            k++;
        if (k == a->n)
            return false;
    }
    return true;
}

/* ---- prefixes ---- */

static bool prefix_holds(const struct nsh_prefix *a, const struct nsh_prefix *b)
{
    return a->length <= b->length && nsh_prefix_contains(a, b->family, &b->addr);
}

bool nsh_advise_prefixes_overlap(const struct nsh_prefix *a, const struct nsh_prefix *b)
{
    return prefix_holds(a, b) || prefix_holds(b, a);
}

bool nsh_advise_list_holds(const struct nsh_prefix_list *a, const struct nsh_prefix_list *b)
{
    if (!a->items || !b->items)
        return !a->items;
    if (b->n == 0)
        return false; /* it was told that it holds nothing */
    if ((uint64_t)a->n * b->n > COMPARISONS_MAX)
        return a->n == b->n && memcmp(a->items, b->items, a->n * sizeof(*a->items)) == 0;
    for (uint32_t i = 0; i < b->n; i++) {
        uint32_t k = 0;

        while (k < a->n && !prefix_holds(&a->items[k], &b->items[i]))
            k++;
        if (k == a->n)
            return false;
    }
    return true;
}

bool nsh_advise_lists_overlap(const struct nsh_prefix_list *a, const struct nsh_prefix_list *b)
{
    if (!a->items || !b->items)
        return true;
    if ((uint64_t)a->n * b->n > COMPARISONS_MAX)
        return false;
    for (uint32_t i = 0; i < a->n; i++)
        for (uint32_t k = 0; k < b->n; k++)
            if (nsh_advise_prefixes_overlap(&a->items[i], &b->items[k]))
                return true;
    return false;
}
