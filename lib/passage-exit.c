/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a masquerade policy is for, on its way through FORWARD. The policy itself lets nothing
 * through; so where rules of others drop it, that can only be told. It is told where it is certain:
 * by TCP as by UDP and whatever the ports, what comes from the policy's addresses, by the device
 * that leads to them as far as one is known, is dropped on its way out, or what answers is.
 */
#include "passage.h"

#include <string.h>

#define PATHS 4 /* of one way out: there by TCP and UDP, and back */

/* The device that packets from there come in by. "": not known. */
static void find_device(
        struct nsh_fib *fib, const struct nsh_prefix *from, char ret[static IFNAMSIZ])
{
    uint8_t bits = nsh_addr_bits(from->family);
    union nsh_addr host = from->addr;
    struct nsh_fib_path path;
    size_t last = nsh_addr_size(from->family) - 1U;

    ret[0] = '\0';
    if (!fib || from->family == AF_UNSPEC || from->length == 0)
        return;
    /* One that is less likely this machine's than the first, and no address for all. */
    if (bits - from->length > 2)
        host.bytes[last] |= 5;
    if (fib->ops->lookup(fib, from->family, &host, 0, NULL, &path) < 0 ||
            fib->ops->link_name(fib, path.ifindex, ret) < 0)
        ret[0] = '\0';
}

static bool is_one(const char *device)
{
    size_t n = strlen(device);

    return n > 0 && device[n - 1] != '+';
}

static bool translates(const struct nsh_packet_rule *r)
{
    return (r->action == NSH_PACKET_MASQUERADE || r->action == NSH_PACKET_SNAT) &&
           (r->protocol == 0 || r->protocol == IPPROTO_TCP || r->protocol == IPPROTO_UDP);
}

bool nsh_exit_net(const struct nsh_desired *d, int family, const union nsh_addr *from,
        const char *out, struct nsh_prefix *ret)
{
    for (size_t i = 0; i < d->n_chains; i++)
        for (size_t k = 0; k < d->chains[i].n_rules && d->chains[i].family == family; k++) {
            const struct nsh_packet_rule *r = &d->chains[i].rules[k];

            if (r->from.family == AF_UNSPEC || !translates(r) || !nsh_devices_meet(r->out, out) ||
                    !nsh_prefix_contains(&r->from, family, from))
                continue;
            *ret = r->from;
            return true;
        }
    return false;
}

static bool has_said(const struct nsh_packet_rule *rules, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (translates(&rules[k]) && strcmp(rules[k].out, rules[i].out) == 0 &&
                nsh_prefix_cmp(&rules[k].from, &rules[i].from) == 0)
            return true;
    return false;
}

/* A filter of ours lets it through. */
static bool is_let_through(const struct nsh_desired *d, int family, const char *in, const char *out)
{
    for (size_t i = 0; i < d->n_chains; i++) {
        const struct nsh_chain *c = &d->chains[i];

        if (c->family != family || c->table != NSH_TABLE_FILTER || c->standby)
            continue;
        for (size_t k = 0; k < c->n_rules; k++) {
            const struct nsh_packet_rule *r = &c->rules[k];

            if (r->action == NSH_PACKET_ACCEPT && !r->translated && r->states == 0 &&
                    nsh_devices_meet(r->in, in) && nsh_devices_meet(r->out, out))
                return true;
        }
    }
    return false;
}

static void put_paths(const char *in, const struct nsh_packet_rule *r, struct nsh_forward_path *ret)
{
    static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP};
    const char *out = is_one(r->out) ? r->out : "";

    for (size_t i = 0; i < PATHS; i++) {
        struct nsh_forward_path *p = &ret[i];

        *p = (struct nsh_forward_path){
                .protocol = protocols[i % 2], .vague = true, .reply = i >= PATHS / 2};
        memcpy(p->reply ? p->out : p->in, in, strlen(in) + 1);
        memcpy(p->reply ? p->in : p->out, out, strlen(out) + 1);
        *(p->reply ? &p->to : &p->from) = r->from;
    }
}

size_t nsh_exit_paths(const struct nsh_desired *d, struct nsh_fib *fib,
        const struct nsh_chain *chain, size_t *left, struct nsh_forward_path *ret, size_t max)
{
    size_t n = 0;

    for (size_t i = 0; i < chain->n_rules && n + PATHS <= max && *left > 0; i++) {
        const struct nsh_packet_rule *r = &chain->rules[i];
        char in[IFNAMSIZ];

        if (!translates(r) || has_said(chain->rules, i))
            continue;
        --*left;
        find_device(fib, &r->from, in);
        if (strcmp(in, r->out) == 0) /* nothing leads there but what leads everywhere */
            in[0] = '\0';
        if (is_let_through(d, chain->family, in, r->out))
            continue;
        put_paths(in, r, ret + n);
        n += PATHS;
    }
    return n;
}

/* Of the ports and protocols nothing needs to be said. */
static size_t tell_of(const struct nsh_forward_path *path, struct nsh_forward_path *ret, size_t n)
{
    ret[n] = *path;
    ret[n].protocol = 0;
    return n + 1;
}

size_t nsh_passage_dropped(
        const struct nsh_passage *p, const bool *dropped, struct nsh_forward_path *ret)
{
    size_t n = 0;

    for (size_t i = 0; !p->exit && i < p->n_paths; i++)
        if (dropped[i])
            ret[n++] = p->paths[i];
    for (size_t i = 0; p->exit && i + 1 < p->n_paths; i += 2)
        if (dropped[i] && dropped[i + 1])
            n = tell_of(&p->paths[i], ret, n);
    return n;
}
