/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "absent.h"

#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "nearest.h"

#define TOLD_MAX 16 /* each once; who has more of them reads `netshared check` */

/* ---- what may have been meant ---- */

static const char *next_link(void *userdata, size_t i)
{
    const struct nsh_survey *s = userdata;

    return i < s->n_links ? s->links[i].name : NULL;
}

/* It is there already, or would be an error, or is a LAN that one share has. */
static bool is_taken(
        const struct nsh_config *c, const struct nsh_absent_place *in, const char *name)
{
    if ((in->list && nsh_device_list_has(in->list, name)) ||
            (in->other && nsh_device_list_has(in->other, name)))
        return true;
    for (size_t i = 0; in->other && i < c->n_shares; i++)
        if (nsh_device_list_has(&c->shares[i].lan, name))
            return true;
    return false;
}

/* The one that is most like it; NULL: none is. */
static const char *find_near(
        const struct nsh_survey *s, const char *name, const struct nsh_absent_place *in)
{
    const char *near = nsh_nearest(name, next_link, (void *)s);
    const struct nsh_survey_link *l = near ? nsh_survey_link(s, near) : NULL;

    if (l && l->alias && in->list)
        l = nsh_survey_link_at(s, l->ifindex); /* the first of its names is its own */
    return l ? l->name : NULL;
}

const char *nsh_absent_hint(const struct nsh_survey *s, const struct nsh_config *c,
        const char *name, const struct nsh_absent_place *in, char *buf, size_t size)
{
    const char *near = find_near(s, name, in);
    size_t n = 0;

    if (near && !is_taken(c, in, near)) {
        snprintf(buf, size, "write '%s', if that is the one", near);
        return buf;
    }
    snprintf(buf, size, "there is no other");
    for (size_t i = 0; i < s->n_links && n + IFNAMSIZ + 8 < size; i++)
        if (!s->links[i].alias && strcmp(s->links[i].name, "lo") != 0 &&
                !is_taken(c, in, s->links[i].name))
            n += (size_t)snprintf(buf + n, size - n, "%s%s",
                    n == 0 ? "write one that there is: " : ", ", s->links[i].name);
    return buf;
}

/* ---- a warning for each ---- */

struct absent {
    const struct nsh_desired *d;
    struct nsh_fib *fib;
    struct nsh_diags *to;
    struct nsh_survey links;
    int looked; /* 1: at these; 0: not yet; -errno: that was not possible */
    const char *told[TOLD_MAX];
    size_t n_told;
};

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

static const char *hint(struct absent *a, const char *name, const struct nsh_absent_place *in,
        char *buf, size_t size)
{
    if (a->looked == 0) {
        int q = nsh_survey_take_links(a->fib, &a->links);

        a->looked = q < 0 ? q : 1;
    }
    return a->looked < 0 ? "'ip -brief link' shows what there is"
                         : nsh_absent_hint(&a->links, a->d->config, name, in, buf, size);
}

static void tell(struct absent *a, const struct nsh_policy *p, const char *name,
        const struct nsh_absent_place *in, bool all)
{
    uint32_t line;
    const char *path = nsh_origins_resolve(a->d->config->origins, p->origin, &line);
    char buf[256];

    nsh_diag_add(a->to, NSH_DIAG_WARNING, path, line, 0, hint(a, name, in, buf, sizeof buf),
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
    const struct nsh_absent_place in = {.list = list, .other = other};

    if (p->disabled || p->when != NSH_NO_GATE)
        return;
    for (uint32_t i = 0; i < list->n; i++) {
        const char *name = list->items[i];

        if (!nsh_device_is_pattern(name) && !is_there(name) && !was_told(a, name))
            tell(a, p, name, &in, !any_is_there(list));
    }
}

void nsh_advise_absent_devices(
        const struct nsh_desired *d, struct nsh_fib *fib, struct nsh_diags *to)
{
    const struct nsh_config *c = d->config;
    struct absent a = {.d = d, .fib = fib, .to = to};

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
    nsh_survey_done(&a.links);
}
