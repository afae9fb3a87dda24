/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "walk.h"

#include <string.h>

#include "cleanup.h"
#include "conntrack-match.h"

/* ---- one rule ---- */

/* As xtables does: a '+' at the end stands for any rest, and no name for any device. */
static bool is_device(const char *pattern, const char *name)
{
    size_t n = strnlen(pattern, IFNAMSIZ);

    if (n == 0)
        return true;
    if (pattern[n - 1] == '+')
        return name[0] != '\0' && strncmp(pattern, name, n - 1) == 0;
    return strcmp(pattern, name) == 0;
}

static bool is_local(uint8_t wanted, const struct nsh_packet *p)
{
    switch ((enum nsh_local)wanted) {
    case NSH_LOCAL_ANY:
        return true;
    case NSH_LOCAL_YES:
        return p->local;
    case NSH_LOCAL_FAR:
        return p->local && p->far;
    }
    return false;
}

bool nsh_walk_matches(
        const struct nsh_desired *d, const struct nsh_packet_rule *rule, const struct nsh_packet *p)
{
    const struct nsh_translations in = {.sets = d->sets, .n_sets = d->n_sets};
    struct nsh_flow flow = {
            .family = p->family,
            .protocol = p->protocol,
            .led = p->translated,
            .plain = true,
            .src = p->src,
            .dst = p->dst,
            .source_port = p->source_port,
            .destination_port = p->destination_port,
    };

    memcpy(flow.out, p->out, sizeof flow.out);
    return nsh_rule_match(&in, rule, &flow) != NSH_MATCH_NO && is_device(rule->in, p->in) &&
           is_device(rule->out, p->out) && (p->mark & rule->mark.mask) == rule->mark.value &&
           (rule->states == 0 || (rule->states & p->state) != 0) && is_local(rule->local, p) &&
           (!rule->syn || p->state == NSH_STATE_NEW);
}

/* ---- one chain ---- */

static void tell(nsh_walk_seen *seen, void *userdata, enum nsh_walk_what what,
        const struct nsh_chain *chain, const struct nsh_packet_rule *rule)
{
    const struct nsh_walk_step step = {.what = what, .chain = chain, .rule = rule};

    if (seen)
        seen(userdata, &step);
}

static const struct nsh_packet_rule *go_through(const struct nsh_desired *d,
        const struct nsh_chain *c, const struct nsh_packet *p, nsh_walk_seen *seen, void *userdata)
{
    for (size_t i = 0; i < c->n_rules; i++) {
        const struct nsh_packet_rule *rule = &c->rules[i];

        if (!nsh_walk_matches(d, rule, p))
            continue;
        switch (rule->action) {
        case NSH_PACKET_RETURN:
            tell(seen, userdata, NSH_WALK_EXEMPTS, c, rule);
            return NULL;
        case NSH_PACKET_LOG:
            tell(seen, userdata, NSH_WALK_LOGS, c, rule);
            break;
        case NSH_PACKET_CLAMP_MSS:
            tell(seen, userdata, NSH_WALK_CLAMPS, c, rule);
            break;
        case NSH_PACKET_JUMP:
        case NSH_PACKET_OTHER:
            break;
        case NSH_PACKET_ACCEPT:
        case NSH_PACKET_DROP:
        case NSH_PACKET_MASQUERADE:
        case NSH_PACKET_SNAT:
        case NSH_PACKET_DNAT:
        case NSH_PACKET_NETMAP:
            return rule;
        }
    }
    return NULL;
}

/* ---- a hook ---- */

static bool stands_at(const struct nsh_chain *c, int family, enum nsh_table table, const char *hook,
        enum nsh_position position)
{
    return c->family == family && c->table == table && c->hook && strcmp(c->hook, hook) == 0 &&
           c->position == position;
}

const struct nsh_packet_rule *nsh_walk(const struct nsh_desired *d, enum nsh_table table,
        const char *hook, const struct nsh_packet *p, const bool *lacks, nsh_walk_seen *seen,
        void *userdata, const struct nsh_chain **ret_chain)
{
    static const enum nsh_position turns[] = {NSH_POSITION_FIRST, NSH_POSITION_LAST};

    for (size_t turn = 0; turn < NSH_ARRAY_SIZE(turns); turn++)
        for (size_t i = 0; i < d->n_chains; i++) {
            const struct nsh_chain *c = &d->chains[i];
            bool absent = c->standby || c->blocked || (lacks && lacks[i]);
            const struct nsh_packet_rule *rule;

            if (!stands_at(c, p->family, table, hook, turns[turn]))
                continue;
            rule = go_through(d, c, p, absent ? NULL : seen, userdata);
            if (!rule)
                continue;
            tell(seen, userdata, absent ? NSH_WALK_LACKS : NSH_WALK_TAKES, c, rule);
            if (absent)
                continue;
            if (ret_chain)
                *ret_chain = c;
            return rule;
        }
    return NULL;
}

/* ---- translation ---- */

/* The network's bits of `map`, the host's of `addr`. */
static union nsh_addr mapped(const struct nsh_prefix *map, const union nsh_addr *addr)
{
    struct nsh_prefix network = {.addr = *addr, .family = map->family, .length = map->length};
    union nsh_addr r = *addr;

    nsh_prefix_mask(&network);
    for (size_t i = 0; i < sizeof r.bytes; i++)
        r.bytes[i] = (uint8_t)(r.bytes[i] ^ network.addr.bytes[i] ^ map->addr.bytes[i]);
    return r;
}

static void move_port(const struct nsh_range *ports, uint16_t *port)
{
    if (ports->last == 0 || (*port >= ports->first && *port <= ports->last))
        return;
    *port = (uint16_t)ports->first;
}

void nsh_walk_translate(
        const struct nsh_packet_rule *rule, const union nsh_addr *own, struct nsh_packet *p)
{
    bool led = rule->to.family != AF_UNSPEC;

    switch (rule->action) {
    case NSH_PACKET_DNAT:
        if (rule->nat.family != AF_UNSPEC)
            p->dst = rule->nat.first;
        move_port(&rule->nat.ports, &p->destination_port);
        p->translated = true;
        return;
    case NSH_PACKET_SNAT:
        if (rule->nat.family != AF_UNSPEC)
            p->src = rule->nat.first;
        move_port(&rule->nat.ports, &p->source_port);
        return;
    case NSH_PACKET_MASQUERADE:
        if (own)
            p->src = *own;
        move_port(&rule->nat.ports, &p->source_port);
        return;
    case NSH_PACKET_NETMAP:
        if (led)
            p->dst = mapped(&rule->map, &p->dst);
        else
            p->src = mapped(&rule->map, &p->src);
        p->translated = p->translated || led;
        return;
    case NSH_PACKET_RETURN:
    case NSH_PACKET_JUMP:
    case NSH_PACKET_ACCEPT:
    case NSH_PACKET_DROP:
    case NSH_PACKET_LOG:
    case NSH_PACKET_CLAMP_MSS:
    case NSH_PACKET_OTHER:
        return;
    }
}
