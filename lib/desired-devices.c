/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The interfaces that policies name. A policy of which a whole side is not there does nothing, and
 * its rules are about nobody: what it is to protect may be open under another name. It is no reason
 * to forward anything.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "desired.h"

static int compare(const void *a, const void *b)
{
    const struct nsh_device *x = a, *y = b;

    return strcmp(x->name, y->name);
}

/* Each once. */
static size_t unite(struct nsh_device *devices, size_t n)
{
    size_t kept = 0;

    if (n > 0)
        qsort(devices, n, sizeof(*devices), compare);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || strcmp(devices[kept - 1].name, devices[i].name) != 0)
            devices[kept++] = devices[i];
    return kept;
}

static size_t count(const struct nsh_desired *d)
{
    size_t n = 0;

    for (size_t i = 0; i < d->n_chains; i++)
        for (size_t s = 0; s < NSH_CHAIN_SIDES && d->chains[i].sides[s]; s++)
            n += d->chains[i].sides[s]->n;
    return n;
}

int nsh_desired_list_devices(struct nsh_desired *d)
{
    size_t n = 0;

    d->devices = calloc(count(d) + 1, sizeof(*d->devices));
    if (!d->devices)
        return -ENOMEM;
    for (size_t i = 0; i < d->n_chains; i++)
        for (size_t s = 0; s < NSH_CHAIN_SIDES && d->chains[i].sides[s]; s++)
            for (uint32_t k = 0; k < d->chains[i].sides[s]->n; k++)
                if (!nsh_device_is_pattern(d->chains[i].sides[s]->items[k]))
                    memcpy(d->devices[n++].name, d->chains[i].sides[s]->items[k], IFNAMSIZ);
    d->n_devices = unite(d->devices, n);
    return 0;
}

struct nsh_device *nsh_desired_device(const struct nsh_desired *d, const char *name)
{
    struct nsh_device key;

    snprintf(key.name, sizeof(key.name), "%s", name);
    return d->n_devices > 0 ? bsearch(&key, d->devices, d->n_devices, sizeof(*d->devices), compare)
                            : NULL;
}

void nsh_desired_mark_device(const struct nsh_desired *d, uint32_t ifindex, const char *name)
{
    struct nsh_device *named = name[0] ? nsh_desired_device(d, name) : NULL;

    if (named)
        named->marked = true;
    for (size_t i = 0; i < d->n_devices; i++)
        if (d->devices[i].ifindex == ifindex)
            d->devices[i].marked = true;
}

/* Of one side: NULL if something of it is there; else an interface without IPv6, or the first. */
static const struct nsh_device *missing(
        const struct nsh_desired *d, const struct nsh_device_list *side, int family)
{
    const struct nsh_device *first = NULL, *without = NULL;

    for (uint32_t i = 0; i < side->n; i++) {
        const struct nsh_device *one = nsh_desired_device(d, side->items[i]);
        bool there = !one || one->ifindex != 0;

        if (there && !(one && family == AF_INET6 && one->without_ipv6))
            return NULL;
        first = first ? first : one;
        without = !without && there ? one : without;
    }
    return without ? without : first;
}

/* ---- what is not there ---- */

#define NAMES_MAX 6 /* that are told of; of more how many */

static bool is_absent(const struct nsh_desired *d, const char *name)
{
    const struct nsh_device *one = nsh_desired_device(d, name);

    return one && one->ifindex == 0;
}

struct names {
    const char *shown[NAMES_MAX];
    size_t n;
};

static void gather_absent(
        const struct nsh_desired *d, const struct nsh_device_list *side, struct names *names)
{
    for (uint32_t i = 0; i < side->n; i++) {
        if (!is_absent(d, side->items[i]))
            continue;
        if (names->n < NAMES_MAX)
            names->shown[names->n] = side->items[i];
        names->n++;
    }
}

/* "no interface eth2, eth3 or eth4"; returns buf. */
static const char *tell_absent(const struct names *names, char *buf, size_t size)
{
    size_t shown = names->n > NAMES_MAX ? NAMES_MAX - 1 : names->n;
    size_t used = (size_t)snprintf(buf, size, "no interface ");

    for (size_t i = 0; i < shown && used < size; i++)
        used += (size_t)snprintf(buf + used, size - used, "%s%s",
                i == 0              ? ""
                : i + 1 == names->n ? " or "
                                    : ", ",
                names->shown[i]);
    if (shown < names->n && used < size)
        snprintf(buf + used, size - used, " or %zu others", names->n - shown);
    return buf;
}

/* Of the first side that has nothing. */
static const struct nsh_device *lacking(
        const struct nsh_desired *d, const struct nsh_chain *c, const struct nsh_device_list **ret)
{
    for (size_t s = 0; d->devices_known && s < NSH_CHAIN_SIDES && c->sides[s]; s++) {
        const struct nsh_device *one = missing(d, c->sides[s], c->family);

        if (!one)
            continue;
        *ret = c->sides[s];
        return one;
    }
    return NULL;
}

const char *nsh_desired_lack(
        const struct nsh_desired *d, const struct nsh_chain *c, char *buf, size_t size)
{
    const struct nsh_device_list *side;
    const struct nsh_device *one;
    struct names names = {0};

    if (!d->devices_known)
        return NULL;
    if (d->lacks[nsh_family_index(c->family)]) {
        snprintf(buf, size, "this kernel has no %s", c->family == AF_INET6 ? "IPv6" : "IPv4");
        return buf;
    }
    one = lacking(d, c, &side);
    if (!one)
        return NULL;
    if (one->ifindex == 0) {
        gather_absent(d, side, &names);
        return tell_absent(&names, buf, size);
    }
    snprintf(buf, size, "IPv6 is switched off on %s", one->name);
    return buf;
}

bool nsh_desired_lacks_name(const struct nsh_desired *d, const struct nsh_chain *c)
{
    const struct nsh_device_list *side;
    const struct nsh_device *one =
            d->lacks[nsh_family_index(c->family)] ? NULL : lacking(d, c, &side);

    return one && one->ifindex == 0;
}

bool nsh_desired_was_renamed(const struct nsh_desired *d, const struct nsh_chain *c)
{
    const struct nsh_device_list *side;

    if (!lacking(d, c, &side))
        return false;
    for (uint32_t i = 0; i < side->n; i++) {
        const struct nsh_device *one = nsh_desired_device(d, side->items[i]);

        if (one && one->renamed)
            return true;
    }
    return false;
}

const char *nsh_desired_partly(const struct nsh_desired *d, const struct nsh_chain *c,
        bool forwarded, char *buf, size_t size)
{
    struct names names = {0};
    size_t used;

    for (size_t s = 0; d->devices_known && s < NSH_CHAIN_SIDES && c->sides[s]; s++)
        gather_absent(d, c->sides[s], &names);
    if (names.n == 0)
        return NULL;
    used = strlen(tell_absent(&names, buf, size));
    snprintf(buf + used, size - used, " now: what it would cover is not yet%s",
            forwarded && c->kind == NSH_POLICY_SHARE ? "; " NSH_UNFILTERED_TEXT : "");
    return buf;
}
