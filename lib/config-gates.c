/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The gates that objects of all files name, each distinct one once.
 */
#include <string.h>

#include "config-loader.h"

/* They are few, and most are named again by the object that follows: the newest comes first. */
static size_t find_gate(const struct nsh_loader *l, const struct nsh_gate *gate)
{
    for (size_t i = l->n_gates; i-- > 1;)
        if (nsh_gate_equal(&l->gates[i], gate))
            return i;
    return 0;
}

nsh_gate_id nsh_loader_gate(struct nsh_loader *l, const struct nsh_gate *gate)
{
    size_t known = find_gate(l, gate);

    if (known != 0)
        return (nsh_gate_id)known;
    if (l->n_gates == NSH_GATES_MAX) {
        nsh_loader_error(l, (struct nsh_yaml_mark){0}, NULL, "more than %d different conditions",
                NSH_GATES_MAX - 1);
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
