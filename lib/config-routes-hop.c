/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The nexthops of a route. A route's own `via` and `dev` are one as well, so that everything
 * further is written once.
 */
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "config-routes.h"

enum hop_key {
    KEY_HOP_VIA,
    KEY_HOP_DEV,
    KEY_HOP_WEIGHT,
    KEY_HOP_ON_LINK,
    KEY_HOP_CHECK,
};

struct hop_draft {
    struct nsh_draft draft;
    struct nsh_prefix via;
    char dev[IFNAMSIZ];
    uint32_t weight;
    bool on_link;
};

#define FIELD(member) .offset = offsetof(struct hop_draft, member)

static const struct nsh_key keys[] = {
        [KEY_HOP_VIA] = {"via", &nsh_type_gateway, FIELD(via),
                .known_as = "gateway gw nexthop router",
                .help = "the gateway, or {learned-on: DEVICE}"},
        [KEY_HOP_DEV] = {"dev", &nsh_type_device, FIELD(dev),
                .known_as = "device interface iface oif out oifname",
                .help = "the device; without it the kernel takes the one the gateway is behind"},
        [KEY_HOP_WEIGHT] = {"weight", &nsh_type_integer, FIELD(weight), .min = 1, .max = 256,
                .known_as = "hops share", .otherwise = "1",
                .help = "its share of the traffic, next to the others'"},
        [KEY_HOP_ON_LINK] = {"on-link", &nsh_type_bool, FIELD(on_link),
                .known_as = "onlink on_link", .otherwise = "false",
                .help = "the gateway is on the link, whatever the addresses say"},
        [KEY_HOP_CHECK] = {"check", &nsh_type_check, .known_as = "health probe monitor track",
                .help = "only while something answers by this nexthop"},
};

/* ---- {learned-on: DEVICE} ---- */

enum learned_key {
    KEY_LEARNED_ON,
};

struct learned_draft {
    struct nsh_draft draft;
    char dev[IFNAMSIZ];
};

static const struct nsh_key learned_keys[] = {
        [KEY_LEARNED_ON] = {"learned-on", &nsh_type_device,
                .offset = offsetof(struct learned_draft, dev), .flags = NSH_KEY_REQUIRED,
                .missing = "write {learned-on: DEVICE}: the gateway that DHCP, PPP or router "
                           "advertisements put there",
                .known_as = "learned dev device interface dhcp ra",
                .help = "the device on which others learn the gateway"},
};

static void finish_learned(struct nsh_loader *l, void *draft)
{
    const struct learned_draft *d = draft;

    if (nsh_given(&d->draft, KEY_LEARNED_ON))
        memcpy(l->learned_on, d->dev, sizeof(l->learned_on));
}

const struct nsh_object nsh_object_learned = {
        .noun = "learned gateway",
        .keys = learned_keys,
        .n_keys = NSH_ARRAY_SIZE(learned_keys),
        .size = sizeof(struct learned_draft),
        .finish = finish_learned,
};

/* ---- a nexthop ---- */

static void begin_hop(struct nsh_loader *l, void *draft)
{
    struct hop_draft *d = draft;

    l->learned_on[0] = '\0';
    d->weight = 1;
}

/* A gateway that is learned is behind the device it is learned on. */
static void take_learned(struct nsh_loader *l, const struct nsh_draft *head, struct nsh_hop *h,
        unsigned key_via, unsigned key_dev)
{
    if (!nsh_given(head, key_via) || l->learned_on[0] == '\0')
        return;
    if (nsh_given(head, key_dev) && strcmp(h->dev, l->learned_on) != 0)
        nsh_loader_error(l, head->marks[key_dev], "leave out 'dev', or name the same device",
                "the gateway is learned on %s, and the device is another", l->learned_on);
    memcpy(h->dev, l->learned_on, sizeof(h->dev));
    h->learned = true;
}

/* What is wrong with via, dev and on-link by themselves; the marks are those of the keys. */
static void check_hop(struct nsh_loader *l, const struct nsh_draft *head, struct nsh_hop *h,
        unsigned key_via, unsigned key_dev, unsigned key_on_link)
{
    char shown[NSH_PREFIX_TEXT];

    take_learned(l, head, h, key_via, key_dev);
    if (nsh_given(head, key_via) && nsh_absent(head, key_dev) &&
            nsh_addr_is_link_local(h->via.family, &h->via.addr))
        nsh_loader_error(l, h->via_at, "add 'dev' with the device it is behind",
                "the link-local gateway %s needs a 'dev'", nsh_prefix_format(&h->via, shown));
    if (!nsh_given(head, key_on_link) || !h->on_link)
        return;
    if (nsh_absent(head, key_via))
        nsh_loader_error(l, head->marks[key_on_link], "add 'via', or leave it out",
                "'on-link' is about a gateway, and the %s has none",
                key_on_link == KEY_ON_LINK ? "route" : "nexthop");
    else if (nsh_absent(head, key_dev) && !h->learned)
        nsh_loader_error(l, head->marks[key_on_link], "add 'dev' with the device of that link",
                "'on-link' needs a 'dev'");
}

/* Probes leave by what they are about. */
static void take_check(
        struct nsh_loader *l, const struct nsh_draft *head, struct nsh_hop *h, unsigned key)
{
    const struct nsh_check *c = &l->check.check;
    char shown[NSH_ADDR_TEXT];

    if (!nsh_given(head, key))
        return;
    h->checked = true;
    h->check = l->check;
    if (c->dev[0] != '\0' && h->dev[0] != '\0' && strcmp(c->dev, h->dev) != 0)
        nsh_loader_error(l, l->check.dev_at, "leave out the check's 'dev'",
                "probes leave by the nexthop they are about, and its device is %s", h->dev);
    if (c->dev[0] == '\0' && h->dev[0] == '\0' && nsh_addr_is_link_local(c->family, &c->target))
        nsh_loader_error(l, l->check.target_at, "add 'dev' with the device it is behind",
                "the link-local target %s needs a 'dev'",
                nsh_addr_format(c->family, &c->target, shown));
}

static bool same_hop(const struct nsh_hop *a, const struct nsh_hop *b)
{
    return nsh_prefix_cmp(&a->via, &b->via) == 0 && a->learned == b->learned &&
           strcmp(a->dev, b->dev) == 0;
}

static void add_hop(struct nsh_loader *l, const struct nsh_hop *h)
{
    struct nsh_hops *hops = &l->hops;

    for (size_t i = 0; i < hops->n; i++)
        if (same_hop(&hops->items[i], h)) {
            nsh_loader_error(l, h->at, "give the first one more weight",
                    "the route has this nexthop already");
            return;
        }
    if (hops->n == NSH_NEXTHOPS_MAX) {
        nsh_loader_error(l, h->at, NULL, "more than %d nexthops", NSH_NEXTHOPS_MAX);
        return;
    }
    if (nsh_loader_grow(l, &hops->items, hops->n, &hops->room, sizeof(*hops->items)))
        hops->items[hops->n++] = *h;
}

static void finish_hop(struct nsh_loader *l, void *draft)
{
    const struct hop_draft *d = draft;
    struct nsh_hop h = {.weight = d->weight, .on_link = d->on_link, .at = d->draft.at};

    if (nsh_absent(&d->draft, KEY_HOP_VIA) && nsh_absent(&d->draft, KEY_HOP_DEV)) {
        nsh_loader_error(l, d->draft.at,
                "say where it is: 'via' and the gateway, 'dev' and the device, or both",
                "the nexthop has neither 'via' nor 'dev'");
        return;
    }
    h.via = d->via;
    h.via_at = d->draft.marks[KEY_HOP_VIA];
    memcpy(h.dev, d->dev, sizeof(h.dev));
    check_hop(l, &d->draft, &h, KEY_HOP_VIA, KEY_HOP_DEV, KEY_HOP_ON_LINK);
    take_check(l, &d->draft, &h, KEY_HOP_CHECK);
    /* Half of one says nothing, and might be taken for the same as another. */
    if (!(d->draft.bad & (1ULL << KEY_HOP_VIA | 1ULL << KEY_HOP_DEV)))
        add_hop(l, &h);
}

const struct nsh_object nsh_object_hop = {
        .noun = "nexthop",
        .keys = keys,
        .n_keys = NSH_ARRAY_SIZE(keys),
        .size = sizeof(struct hop_draft),
        .begin = begin_hop,
        .finish = finish_hop,
};

void nsh_route_single_hop(struct nsh_loader *l, const struct route_draft *d)
{
    struct nsh_hop h = {.weight = 1, .on_link = d->on_link, .at = d->draft.at};

    if (!nsh_absent(&d->draft, KEY_NEXTHOPS))
        return;
    h.via = d->via;
    h.via_at = d->draft.marks[KEY_VIA];
    memcpy(h.dev, d->dev, sizeof(h.dev));
    check_hop(l, &d->draft, &h, KEY_VIA, KEY_DEV, KEY_ON_LINK);
    take_check(l, &d->draft, &h, KEY_CHECK);
    if (nsh_given(&d->draft, KEY_VIA) || nsh_given(&d->draft, KEY_DEV))
        add_hop(l, &h);
}

int nsh_route_gateway_family(const struct nsh_loader *l)
{
    int family = 0;

    for (size_t i = 0; i < l->hops.n; i++)
        if (l->hops.items[i].via.family != AF_UNSPEC && family != AF_INET)
            family = l->hops.items[i].via.family;
    return family;
}

const struct nsh_hop *nsh_route_bare_hop(const struct nsh_loader *l)
{
    for (size_t i = 0; i < l->hops.n; i++)
        if (!nsh_hop_has_via(&l->hops.items[i]))
            return &l->hops.items[i];
    return NULL;
}
