/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "absent.h"

#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "nearest.h"

#define TOLD_MAX 16 /* each once; who has more of them reads `netshared check` */

struct absent {
    const struct nsh_desired *d;
    struct nsh_diags *to;
    struct if_nameindex *links; /* NULL: not asked yet, or it can't be */
    const char *told[TOLD_MAX];
    size_t n_told;
};

static const char *next_link(void *userdata, size_t i)
{
    const struct if_nameindex *links = userdata;

    return links[i].if_name;
}

static bool was_told(struct absent *a, const char *name)
{
    for (size_t i = 0; i < a->n_told; i++)
        if (strcmp(a->told[i], name) == 0)
            return true;
    if (a->n_told == TOLD_MAX)
        return true;
    a->told[a->n_told++] = name;
    return false;
}

/* `other`: the other side of a share; a name that is used there can't be meant. */
static void tell(struct absent *a, const struct nsh_policy *p, const char *name,
        const struct nsh_device_list *other, bool all)
{
    const char *near, *path;
    char hint[64] = "'ip -brief link' shows what there is";
    uint32_t line;

    if (!a->links)
        a->links = if_nameindex();
    near = a->links ? nsh_nearest(name, next_link, a->links) : NULL;
    if (near && !(other && nsh_device_list_has(other, near)))
        snprintf(hint, sizeof hint, "write '%s', if that is the one", near);
    path = nsh_origins_resolve(a->d->config->origins, p->origin, &line);
    nsh_diag_add(a->to, NSH_DIAG_WARNING, path, line, 0, hint,
            "there is no interface '%s' now: until there is, '%s' %s", name, p->name,
            all ? "is pending" : "does nothing for it");
}

/* By its very name: a packet rule knows no alternative ones. */
static bool is_there(const char *name)
{
    char now[IFNAMSIZ];
    unsigned ifindex = if_nametoindex(name);

    return ifindex != 0 && if_indextoname(ifindex, now) && strcmp(name, now) == 0;
}

static bool any_is_there(const struct nsh_device_list *list)
{
    for (uint32_t i = 0; i < list->n; i++)
        if (nsh_device_is_pattern(list->items[i]) || is_there(list->items[i]))
            return true;
    return false;
}

static void look_for(struct absent *a, const struct nsh_policy *p,
        const struct nsh_device_list *list, const struct nsh_device_list *other)
{
    if (p->disabled || p->when != NSH_NO_GATE)
        return;
    for (uint32_t i = 0; i < list->n; i++) {
        const char *name = list->items[i];

        if (!nsh_device_is_pattern(name) && !is_there(name) && !was_told(a, name))
            tell(a, p, name, other, !any_is_there(list));
    }
}

void nsh_advise_absent_devices(const struct nsh_desired *d, struct nsh_diags *to)
{
    const struct nsh_config *c = d->config;
    struct absent a = {.d = d, .to = to};

    for (size_t i = 0; i < c->n_masquerades; i++)
        look_for(&a, &c->masquerades[i].policy, &c->masquerades[i].out, NULL);
    for (size_t i = 0; i < c->n_shares; i++) {
        look_for(&a, &c->shares[i].policy, &c->shares[i].lan, &c->shares[i].wan);
        look_for(&a, &c->shares[i].policy, &c->shares[i].wan, &c->shares[i].lan);
    }
    for (size_t i = 0; i < c->n_port_forwards; i++)
        look_for(&a, &c->port_forwards[i].policy, &c->port_forwards[i].in, NULL);
    for (size_t i = 0; i < c->n_network_maps; i++)
        look_for(&a, &c->network_maps[i].policy, &c->network_maps[i].devices, NULL);
    if (a.links)
        if_freenameindex(a.links);
}
