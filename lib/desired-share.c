/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A share's chains. Its filter stands before all other rules of FORWARD, and decides for every
 * packet between its devices: an accept behind a foreign drop, or a drop behind a foreign accept,
 * would be none.
 */
#include <errno.h>
#include <string.h>

#include "desired-build.h"
#include "intern.h"

static void between_lans(struct nsh_builder *b, const struct nsh_share *s)
{
    for (uint32_t i = 0; i < s->lan.n; i++)
        for (uint32_t k = 0; k < s->lan.n; k++) {
            /* What is between those of a pattern is isolated too. */
            bool drop = s->isolate && !(i == k && !nsh_device_is_pattern(s->lan.items[i]));
            struct nsh_packet_rule *r =
                    nsh_build_rule(b, drop ? NSH_PACKET_DROP : NSH_PACKET_ACCEPT);

            memcpy(r->in, s->lan.items[i], sizeof(r->in));
            memcpy(r->out, s->lan.items[k], sizeof(r->out));
        }
}

static void between(struct nsh_builder *b, const struct nsh_device_list *in,
        const struct nsh_device_list *out, uint8_t states, enum nsh_packet_action action)
{
    nsh_build_rule(b, action)->states = states;
    nsh_build_in(b, in);
    nsh_build_out(b, out);
}

static void from_wan(struct nsh_builder *b, const struct nsh_share *s)
{
    between(b, &s->wan, &s->lan, NSH_STATE_ESTABLISHED | NSH_STATE_RELATED, NSH_PACKET_ACCEPT);
    between(b, &s->wan, &s->lan, NSH_STATE_INVALID, NSH_PACKET_DROP);
    /* What a port-forward or a network-map leads here was asked for. */
    nsh_build_rule(b, NSH_PACKET_ACCEPT)->translated = true;
    nsh_build_in(b, &s->wan);
    nsh_build_out(b, &s->lan);
    between(b, &s->wan, &s->lan, 0, s->allow_inbound ? NSH_PACKET_ACCEPT : NSH_PACKET_DROP);
}

/*
 * What is accepted is left to other rules then. So while a share can't be, the world stays out of
 * its LANs, whatever switches forwarding on.
 */
static void add_guard(struct nsh_builder *b)
{
    struct nsh_chain *c = b->error == 0 ? &b->d->chains[b->d->n_chains - 1] : NULL;
    struct nsh_packet_rule *guard =
            c ? nsh_arena_alloc(b->d->arena, c->n_rules * sizeof(*guard)) : NULL;

    if (!guard) {
        b->error = b->error < 0 ? b->error : -ENOMEM;
        return;
    }
    memcpy(guard, c->rules, c->n_rules * sizeof(*guard));
    for (size_t i = 0; i < c->n_rules; i++)
        if (guard[i].action == NSH_PACKET_ACCEPT)
            guard[i].action = NSH_PACKET_RETURN;
    c->whole = c->rules;
    c->guard = guard;
}

static void filter(struct nsh_builder *b, const struct nsh_share *s)
{
    b->position = NSH_POSITION_FIRST;
    between_lans(b, s);
    /* What conntrack does not understand would leave untranslated. */
    between(b, &s->lan, &s->wan, NSH_STATE_INVALID, NSH_PACKET_DROP);
    between(b, &s->lan, &s->wan, 0, NSH_PACKET_ACCEPT);
    from_wan(b, s);
    nsh_build_chain(b, NSH_TABLE_FILTER, 0, "FORWARD");
    add_guard(b);
}

static void translate(struct nsh_builder *b, const struct nsh_share *s)
{
    nsh_build_ipsec(b);
    nsh_build_rule(b, NSH_PACKET_MASQUERADE);
    nsh_build_out(b, &s->wan);
    nsh_build_chain(b, NSH_TABLE_NAT, 0, "POSTROUTING");
}

static struct nsh_packet_rule *clamp(struct nsh_builder *b)
{
    struct nsh_packet_rule *r = nsh_build_rule(b, NSH_PACKET_CLAMP_MSS);

    r->protocol = IPPROTO_TCP;
    r->syn = true;
    return r;
}

static void clamp_mss(struct nsh_builder *b, const struct nsh_share *s)
{
    clamp(b);
    nsh_build_out(b, &s->wan);
    clamp(b);
    nsh_build_in(b, &s->wan);
    nsh_build_chain(b, NSH_TABLE_MANGLE, 0, "FORWARD");
}

void nsh_build_share(struct nsh_builder *b, const struct nsh_share *s)
{
    b->sides[0] = &s->lan;
    b->sides[1] = &s->wan;
    filter(b, s);
    b->position = NSH_POSITION_LAST;
    if (b->family == AF_INET || s->masquerade_ipv6)
        translate(b, s);
    if (!s->keep_mss)
        clamp_mss(b, s);
}
