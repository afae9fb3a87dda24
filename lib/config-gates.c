/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The key `when`, and the gates that objects of all files name, each distinct one once.
 */
#include <string.h>

#include "cleanup.h"
#include "config-loader.h"

/* They are few, and most are named again by the object that follows: the newest comes first. */
static size_t find_gate(const struct nsh_loader *l, const struct nsh_gate *gate)
{
    for (size_t i = l->n_gates; i-- > 1;)
        if (nsh_gate_equal(&l->gates[i], gate))
            return i;
    return 0;
}

nsh_gate_id nsh_loader_gate(
        struct nsh_loader *l, struct nsh_yaml_mark at, const struct nsh_gate *gate)
{
    size_t known = find_gate(l, gate);

    if (known != 0)
        return (nsh_gate_id)known;
    if (l->n_gates == NSH_GATES_MAX) {
        nsh_loader_error(l, at, "name one that was named before",
                "more than %d different conditions and checks", NSH_GATES_MAX - 1);
        return NSH_NO_GATE;
    }
    if (!nsh_loader_grow(l, &l->gates, l->n_gates + 1, &l->gates_room, sizeof(*l->gates)))
        return NSH_NO_GATE;
    if (l->n_gates == 0)
        l->gates[l->n_gates++] = (struct nsh_gate){0};
    l->gates[l->n_gates] = *gate;
    return (nsh_gate_id)l->n_gates++;
}

void nsh_finish_gates(struct nsh_loader *l)
{
    struct nsh_config *c = l->config;

    if (l->n_gates == 0)
        return;
    c->gates = nsh_arena_alloc(c->arena, l->n_gates * sizeof(*c->gates));
    if (!c->gates) {
        nsh_loader_no_memory(l);
        return;
    }
    memcpy(c->gates, l->gates, l->n_gates * sizeof(*c->gates));
    c->n_gates = l->n_gates;
}

/* ---- conditions ---- */

enum when_key {
    KEY_ADDRESS,
    KEY_DEV_UP,
};

struct when_draft {
    struct nsh_draft draft;
    struct nsh_prefix address;
    char dev_up[IFNAMSIZ];
};

#define FIELD(member) .offset = offsetof(struct when_draft, member)

static const struct nsh_key when_keys[] = {
        [KEY_ADDRESS] = {"address", &nsh_type_address, FIELD(address), .known_as = "ip addr vip",
                .help = "while this machine has the address"},
        [KEY_DEV_UP] = {"dev-up", &nsh_type_device, FIELD(dev_up),
                .known_as = "dev device interface link link-up up",
                .help = "while the device is there, switched on and has its carrier"},
};

static void finish_when(struct nsh_loader *l, void *draft)
{
    const struct when_draft *d = draft;
    struct nsh_gate gate = {.kind = NSH_GATE_WHEN};

    if (nsh_absent(&d->draft, KEY_ADDRESS) && nsh_absent(&d->draft, KEY_DEV_UP)) {
        nsh_loader_error(l, d->draft.at,
                "write when: {address: 10.0.0.254}, when: {dev-up: eth1} or both keys",
                "the condition says nothing");
        return;
    }
    if (d->draft.bad != 0)
        return;
    gate.when.has_address = nsh_given(&d->draft, KEY_ADDRESS);
    gate.when.family = d->address.family;
    gate.when.address = d->address.addr;
    memcpy(gate.when.dev_up, d->dev_up, sizeof(gate.when.dev_up));
    gate.origin = nsh_origins_at(l->config->origins, d->draft.at.line);
    l->when = nsh_loader_gate(l, d->draft.at, &gate);
}

const struct nsh_object nsh_object_when = {
        .noun = "condition",
        .keys = when_keys,
        .n_keys = NSH_ARRAY_SIZE(when_keys),
        .size = sizeof(struct when_draft),
        .finish = finish_when,
};

const struct nsh_key_type nsh_type_when = {.shape = NSH_SHAPE_MAPPING,
        .what = "a condition",
        .hint = "write when: {address: 10.0.0.254} or when: {dev-up: eth1}",
        .object = &nsh_object_when};
