/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "desired-build.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "intern.h"

bool nsh_build_grow(struct nsh_builder *b, void *array, size_t n, size_t *room, size_t size)
{
    void **items = array;
    size_t more = n + n / 2 + 8;
    void *grown;

    if (b->error < 0)
        return false;
    if (n <= *room)
        return true;
    grown = reallocarray(*items, more, size);
    if (!grown) {
        b->error = -ENOMEM;
        return false;
    }
    *items = grown;
    *room = more;
    return true;
}

/* ---- rules ---- */

struct nsh_packet_rule *nsh_build_rule(struct nsh_builder *b, enum nsh_packet_action action)
{
    struct nsh_packet_rule *r = &b->spare;

    b->first = b->n;
    if (nsh_build_grow(b, &b->rules, b->n + 1, &b->room, sizeof(*b->rules)))
        r = &b->rules[b->n++];
    *r = (struct nsh_packet_rule){.action = action};
    return r;
}

/* Makes `k` rules of each of the group; false: none is left, or no memory. */
static bool multiply(struct nsh_builder *b, size_t k)
{
    size_t n = b->n - b->first, more;

    if (__builtin_mul_overflow(n, k, &more) || __builtin_add_overflow(b->first, more, &more)) {
        b->error = -ENOMEM;
        return false;
    }
    if (!nsh_build_grow(b, &b->rules, more, &b->room, sizeof(*b->rules)))
        return false;
    /* From the end, so that none is overwritten before it was copied. */
    for (size_t i = n; i-- > 0;)
        for (size_t j = k; j-- > 0;)
            b->rules[b->first + i * k + j] = b->rules[b->first + i];
    b->n = more;
    return b->n > b->first;
}

static void put_prefix(struct nsh_packet_rule *r, enum nsh_end end, const struct nsh_prefix *p)
{
    *(end == NSH_END_FROM ? &r->from : &r->to) = *p;
}

static void put_set(struct nsh_packet_rule *r, enum nsh_end end, const char *set)
{
    memcpy(end == NSH_END_FROM ? r->from_set : r->to_set, set, NSH_SET_NAME);
}

void nsh_build_prefixes(struct nsh_builder *b, enum nsh_end end, const struct nsh_prefix_list *list,
        const char *code)
{
    struct nsh_choice choice = nsh_build_choice(b, list, code);
    size_t k = choice.n;

    if (choice.any)
        return;
    if (choice.set[0] != '\0')
        k = 1;
    if (!multiply(b, k))
        return;
    for (size_t i = b->first; i < b->n; i++)
        if (choice.set[0] != '\0')
            put_set(&b->rules[i], end, choice.set);
        else
            put_prefix(&b->rules[i], end, &choice.prefixes[(i - b->first) % k]);
}

void nsh_build_in(struct nsh_builder *b, const struct nsh_device_list *devices)
{
    if (multiply(b, devices->n))
        for (size_t i = b->first; i < b->n; i++)
            memcpy(b->rules[i].in, devices->items[(i - b->first) % devices->n], IFNAMSIZ);
}

void nsh_build_out(struct nsh_builder *b, const struct nsh_device_list *devices)
{
    if (multiply(b, devices->n))
        for (size_t i = b->first; i < b->n; i++)
            memcpy(b->rules[i].out, devices->items[(i - b->first) % devices->n], IFNAMSIZ);
}

void nsh_build_protocols(struct nsh_builder *b, const struct nsh_protocols *protocols)
{
    if (protocols->n > 0 && multiply(b, protocols->n))
        for (size_t i = b->first; i < b->n; i++)
            b->rules[i].protocol = protocols->items[(i - b->first) % protocols->n];
}

void nsh_build_source_ports(struct nsh_builder *b, const struct nsh_range_list *ports)
{
    if (ports->n > 0 && multiply(b, ports->n))
        for (size_t i = b->first; i < b->n; i++)
            b->rules[i].source_port = ports->items[(i - b->first) % ports->n];
}

void nsh_build_destination_ports(struct nsh_builder *b, const struct nsh_range_list *ports)
{
    if (ports->n > 0 && multiply(b, ports->n))
        for (size_t i = b->first; i < b->n; i++)
            b->rules[i].destination_port = ports->items[(i - b->first) % ports->n];
}

void nsh_build_log(struct nsh_builder *b)
{
    if (!multiply(b, 2))
        return;
    for (size_t i = b->first; i < b->n; i += 2) {
        struct nsh_packet_rule *r = &b->rules[i];

        r->action = NSH_PACKET_LOG;
        r->nat = (struct nsh_packet_nat){0};
        (void)snprintf(r->log, sizeof(r->log), "netshared %s: ", b->policy->name);
    }
}

void nsh_build_ipsec(struct nsh_builder *b)
{
    nsh_build_rule(b, NSH_PACKET_RETURN)->ipsec = true;
}

/* ---- chains ---- */

void nsh_build_chain(struct nsh_builder *b, enum nsh_table table, char suffix, const char *hook)
{
    struct nsh_desired *d = b->d;
    struct nsh_packet_rule *rules;
    struct nsh_chain *c;
    size_t n = b->n;

    b->n = b->first = 0;
    if (!nsh_build_grow(b, &d->chains, d->n_chains + 1, &b->chains_room, sizeof(*d->chains)))
        return;
    rules = nsh_arena_alloc(d->arena, n > 0 ? n * sizeof(*rules) : 1);
    if (!rules) {
        b->error = -ENOMEM;
        return;
    }
    if (n > 0)
        memcpy(rules, b->rules, n * sizeof(*rules));
    c = &d->chains[d->n_chains++];
    *c = (struct nsh_chain){
            .family = (uint8_t)b->family,
            .table = table,
            .kind = b->kind,
            .hook = hook,
            .position = b->position,
            .origin = b->policy->origin,
            .when = b->policy->when,
            .sides = {b->sides[0], b->sides[1]},
            .rules = rules,
            .n_rules = n,
    };
    memcpy(c->policy, b->policy->name, sizeof(c->policy));
    nsh_chain_make_name(c->name, c->policy, suffix);
}
