/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "conntrack-ports.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netlink/msg.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "conntrack-netlink.h"
#include "module.h"
#include "packet.h"

NSH_DEFINE_CLEANUP(struct nsh_conntrack *, nsh_conntrack_free)

#define SIZE_FIRST 256U /* a power of two, as all sizes are */

/* ---- the table ---- */

/* FNV-1a. */
static uint32_t hash_bytes(uint32_t hash, const void *data, size_t n)
{
    const uint8_t *p = data;

    for (size_t i = 0; i < n; i++)
        hash = (hash ^ p[i]) * 16777619U;
    return hash;
}

static uint32_t hash_of(const struct nsh_port_use *u)
{
    uint32_t hash = hash_bytes(2166136261U, &u->from, sizeof u->from);

    hash = hash_bytes(hash, &u->to, sizeof u->to);
    hash = hash_bytes(hash, &u->to_port, sizeof u->to_port);
    return hash_bytes(hash, &u->protocol, sizeof u->protocol);
}

static bool same(const struct nsh_port_use *a, const struct nsh_port_use *b)
{
    return a->family == b->family && a->protocol == b->protocol && a->to_port == b->to_port &&
           nsh_addr_cmp(&a->from, &b->from) == 0 && nsh_addr_cmp(&a->to, &b->to) == 0;
}

/* Its place, or the free one where it is to be. */
static struct nsh_port_use *find(
        struct nsh_port_use *items, size_t size, const struct nsh_port_use *key)
{
    size_t i = hash_of(key) & (size - 1);

    while (items[i].n > 0 && !same(&items[i], key))
        i = (i + 1) & (size - 1);
    return &items[i];
}

/* A third of it stays free. */
static int make_room(struct nsh_port_uses *u)
{
    size_t size = u->size ? u->size * 2 : SIZE_FIRST;
    struct nsh_port_use *items;

    if (u->n * 3 < u->size * 2)
        return 0;
    items = calloc(size, sizeof *items);
    if (!items)
        return -ENOMEM;
    for (size_t i = 0; i < u->size; i++)
        if (u->items[i].n > 0)
            *find(items, size, &u->items[i]) = u->items[i];
    free(u->items);
    u->items = items;
    u->size = size;
    return 0;
}

int nsh_port_uses_add(struct nsh_port_uses *u, const struct nsh_port_use *flow)
{
    int q = make_room(u);
    struct nsh_port_use *place;

    if (q < 0)
        return q;
    place = find(u->items, u->size, flow);
    if (place->n > 0) {
        place->n++;
    } else if (u->n < NSH_PORT_USES_MAX) {
        *place = *flow;
        place->n = 1;
        u->n++;
    }
    return 0;
}

void nsh_port_uses_done(struct nsh_port_uses *u)
{
    free(u->items);
    *u = (struct nsh_port_uses){0};
}

/* ---- what conntrack has ---- */

static int look_at(struct nsh_port_uses *u, int family, struct nlmsghdr *h)
{
    struct nsh_port_use flow = {.family = (uint8_t)family};
    struct nsh_ct_entry e;
    int r = nsh_ct_message(h);

    if (r <= 0)
        return r;
    if (!nsh_ct_entry_parse(h, family, &e) ||
            !nsh_protocol_has_ports((uint8_t)e.answers.protocol) ||
            nsh_addr_cmp(&e.began.src, &e.answers.dst) == 0)
        return 1;
    flow.protocol = (uint8_t)e.answers.protocol;
    flow.from = e.answers.dst;
    flow.to = e.answers.src;
    flow.to_port = ntohs(e.answers.src_port);
    r = nsh_port_uses_add(u, &flow);
    return r < 0 ? r : 1;
}

int nsh_port_uses_count(struct nsh_port_uses *u, int family)
{
    NSH_CLEANUP(nsh_conntrack_freep) struct nsh_conntrack *ct = NULL;
    struct nlmsghdr *h;
    int r;

    if (!nsh_module_in_use("nf_conntrack_netlink"))
        return -EOPNOTSUPP;
    r = nsh_conntrack_new(&ct);
    if (r == 0)
        r = nsh_ct_begin(ct, family, true);
    if (r < 0)
        return r;
    do {
        int n = nsh_ct_receive(ct);

        r = n < 0 ? n : 1;
        for (h = (struct nlmsghdr *)ct->piece; r == 1 && nlmsg_ok(h, n); h = nlmsg_next(h, &n))
            if (h->nlmsg_seq == ct->dump_seq)
                r = look_at(u, family, h);
    } while (r == 1);
    return nsh_ct_finish(ct, r);
}
