/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a rule matches is not all to be seen in an entry. So for each side of a flow, its
 * destination (PREROUTING) and its source (POSTROUTING), all that may become of it is gone through:
 * the rules that translate and may match, up to the first that does for certain, or else no
 * translation. A flow is to be dropped if its translation is one that was to be had before, and
 * none that is to be had now. What is unknown thus speaks for keeping it, whichever way it would
 * turn out.
 */
#include "conntrack-change.h"

#include <arpa/inet.h>
#include <string.h>

#include "cleanup.h"
#include "conntrack-match.h"

enum side { DESTINATION, SOURCE };

/* What may become of one side of a flow; both NULL: it stays as it is. */
struct outcome {
    const struct nsh_chain *chain;
    const struct nsh_packet_rule *rule;
};

/* True ends the search with that. */
typedef bool outcome_met(void *userdata, const struct outcome *o);

struct judging {
    struct nsh_change *change;
    const struct nsh_ct_entry *e;
    const struct nsh_ct_way *way;
    enum side side;
    struct nsh_flow flow; /* as it comes to the chains of that side */
    const struct nsh_translations *before;
    struct outcome found;
};

static struct nsh_flow flow_at(
        enum side side, const struct nsh_ct_entry *e, bool plain, const char *out)
{
    struct nsh_flow f = {
            .family = e->family,
            .protocol = (uint8_t)e->began.protocol,
            .led = side == SOURCE && nsh_addr_cmp(&e->began.dst, &e->dst) != 0,
            .plain = plain,
            .src = e->src,
            .dst = side == SOURCE ? e->dst : e->began.dst,
            .source_port = ntohs(e->began.src_port),
            .destination_port = ntohs(side == SOURCE ? e->answers.src_port : e->began.dst_port),
    };

    memcpy(f.out, out, strnlen(out, sizeof f.out - 1));
    return f;
}

static bool is_at(const struct nsh_chain *c, enum side side)
{
    return c->hook && strcmp(c->hook, side == SOURCE ? "POSTROUTING" : "PREROUTING") == 0;
}

/* ---- what may become of it ---- */

enum walk { WALK_ON, WALK_ENDS, WALK_FOUND };

static enum walk walk_chain(struct judging *j, const struct nsh_translations *t,
        const struct nsh_chain *c, outcome_met *met, void *userdata)
{
    bool maybe_left = false;

    for (size_t i = 0; i < c->n_rules; i++) {
        const struct nsh_packet_rule *rule = &c->rules[i];
        bool translates = nsh_action_translates(rule->action);
        enum nsh_match match;

        if (!translates && rule->action != NSH_PACKET_RETURN)
            continue;
        j->change->work++;
        match = nsh_rule_match(t, rule, &j->flow);
        if (match == NSH_MATCH_NO)
            continue;
        if (translates && met(userdata, &(struct outcome){c, rule}))
            return WALK_FOUND;
        if (match == NSH_MATCH_YES)
            return translates && !maybe_left ? WALK_ENDS : WALK_ON;
        maybe_left = maybe_left || !translates;
    }
    return WALK_ON;
}

static bool any_outcome(
        struct judging *j, const struct nsh_translations *t, outcome_met *met, void *userdata)
{
    for (size_t i = 0; i < t->n_chains; i++) {
        enum walk w = is_at(t->chains[i], j->side) ? walk_chain(j, t, t->chains[i], met, userdata)
                                                   : WALK_ON;

        if (w != WALK_ON)
            return w == WALK_FOUND;
    }
    return met(userdata, &(struct outcome){NULL, NULL});
}

/* ---- whether that is what became of it ---- */

/* The address before and after, and the port, of the judged side. */
struct ends {
    const union nsh_addr *was, *is;
    uint16_t port_was, port_is;
};

static struct ends ends_of(const struct judging *j)
{
    const struct nsh_ct_entry *e = j->e;

    if (j->side == SOURCE)
        return (struct ends){&e->began.src, &e->answers.dst, ntohs(e->began.src_port),
                ntohs(e->answers.dst_port)};
    return (struct ends){
            &e->began.dst, &e->answers.src, ntohs(e->began.dst_port), ntohs(e->answers.src_port)};
}

static bool is_of_device(const struct judging *j, const union nsh_addr *a)
{
    for (size_t i = 0; i < j->way->n_addresses; i++)
        if (nsh_addr_cmp(&j->way->addresses[i], a) == 0)
            return true;
    return false;
}

/* The prefix of the map, with the host's bits. */
static union nsh_addr mapped(const struct nsh_prefix *map, const union nsh_addr *addr)
{
    union nsh_addr a = *addr;

    for (unsigned bit = 0; bit < map->length; bit++) {
        uint8_t mask = (uint8_t)(0x80U >> bit % 8);

        a.bytes[bit / 8] =
                (uint8_t)((a.bytes[bit / 8] & ~mask) | (map->addr.bytes[bit / 8] & mask));
    }
    return a;
}

static bool address_fits(
        const struct judging *j, const struct nsh_packet_rule *rule, const struct ends *ends)
{
    union nsh_addr expected;

    if (rule && rule->action == NSH_PACKET_MASQUERADE)
        return is_of_device(j, ends->is);
    if (rule && rule->action == NSH_PACKET_NETMAP) {
        expected = mapped(&rule->map, ends->was);
        return nsh_addr_cmp(&expected, ends->is) == 0;
    }
    if (rule && rule->nat.family != AF_UNSPEC)
        return nsh_addr_cmp(&rule->nat.first, ends->is) <= 0 &&
               nsh_addr_cmp(ends->is, &rule->nat.last) <= 0;
    return nsh_addr_cmp(ends->was, ends->is) == 0;
}

static bool has_ports(const struct nsh_packet_rule *rule)
{
    return rule->action != NSH_PACKET_NETMAP && rule->nat.ports.last != 0;
}

/* The port, where none is asked for, may have been taken: any will do then. */
static bool port_fits(const struct nsh_packet_rule *rule, const struct ends *ends)
{
    if (!rule || !has_ports(rule))
        return true;
    return ends->port_is >= rule->nat.ports.first && ends->port_is <= rule->nat.ports.last;
}

static bool explains(const struct judging *j, const struct outcome *o)
{
    struct ends ends = ends_of(j);

    return address_fits(j, o->rule, &ends) && port_fits(o->rule, &ends);
}

/* Without a doubt about the port. */
static bool port_stays(const struct judging *j, const struct nsh_packet_rule *rule)
{
    struct ends ends = ends_of(j);

    if (rule && (has_ports(rule) || rule->nat.random != NSH_RANDOM_NONE))
        return true;
    return ends.port_is == ends.port_was;
}

static bool same_effect(const struct nsh_packet_rule *a, const struct nsh_packet_rule *b)
{
    struct nsh_packet_rule x = {0}, y = {0};

    if (!a || !b)
        return a == b;
    x.action = a->action;
    x.nat = a->nat;
    x.map = a->map;
    y.action = b->action;
    y.nat = b->nat;
    y.map = b->map;
    return nsh_packet_rule_equal(&x, &y);
}

/* ---- a side ---- */

static bool find_explaining(void *userdata, const struct outcome *o)
{
    struct judging *j = userdata;

    j->found = *o;
    return explains(j, o);
}

struct alike {
    struct judging *j;
    const struct outcome *to;
};

static bool find_alike(void *userdata, const struct outcome *o)
{
    const struct alike *a = userdata;

    return explains(a->j, o) && same_effect(o->rule, a->to->rule);
}

/* It may still have what it has, port and all. */
static bool find_staying(void *userdata, const struct outcome *o)
{
    struct judging *j = userdata;

    if (!explains(j, o))
        return false;
    return port_stays(j, o->rule) || any_outcome(j, j->before, find_alike, &(struct alike){j, o});
}

static bool find_first(void *userdata, const struct outcome *o)
{
    ((struct judging *)userdata)->found = *o;
    return true;
}

/* The policy because of which; NULL: this side stays, or nobody can tell. */
static const struct nsh_chain *judge_side(struct judging *j)
{
    const struct nsh_chain *was;

    if (!any_outcome(j, j->before, find_explaining, j))
        return NULL;
    was = j->found.chain;
    if (any_outcome(j, &j->change->now, find_staying, j))
        return NULL;
    any_outcome(j, &j->change->now, find_first, j);
    return j->found.chain ? j->found.chain : was;
}

const struct nsh_chain *nsh_change_judge(
        struct nsh_change *c, const struct nsh_ct_entry *e, const struct nsh_ct_way *way)
{
    static const enum side sides[] = {DESTINATION, SOURCE};

    for (size_t i = 0; i < c->n_before; i++) {
        for (size_t s = 0; s < NSH_ARRAY_SIZE(sides); s++) {
            struct judging j = {c, e, way, sides[s], .before = &c->before[i]};
            const struct nsh_chain *whose;

            if (sides[s] == SOURCE && way->out[0] == '\0')
                continue;
            j.flow = flow_at(sides[s], e, way->plain, sides[s] == SOURCE ? way->out : "");
            whose = judge_side(&j);
            if (whose)
                return whose;
        }
    }
    return NULL;
}

/* ---- what has changed at all ---- */

static bool same_set(const struct nsh_translations *a, const struct nsh_translations *b,
        uint8_t family, const char *name)
{
    const struct nsh_set *x, *y;

    if (name[0] == '\0')
        return true;
    x = nsh_translations_set(a, family, name);
    y = nsh_translations_set(b, family, name);
    if (!x || !y || x->n != y->n)
        return !x && !y;
    for (size_t i = 0; x->prefixes != y->prefixes && i < x->n; i++)
        if (nsh_prefix_cmp(&x->prefixes[i], &y->prefixes[i]) != 0)
            return false;
    return true;
}

static bool same_chain(const struct nsh_translations *a, const struct nsh_chain *x,
        const struct nsh_translations *b, const struct nsh_chain *y)
{
    if (x->n_rules != y->n_rules || !x->hook || !y->hook || strcmp(x->hook, y->hook) != 0)
        return false;
    for (size_t i = 0; i < x->n_rules; i++)
        if (!nsh_packet_rule_equal(&x->rules[i], &y->rules[i]) ||
                !same_set(a, b, x->family, x->rules[i].from_set) ||
                !same_set(a, b, x->family, x->rules[i].to_set))
            return false;
    return true;
}

bool nsh_change_prepare(struct nsh_change *c)
{
    bool any = false;

    for (size_t i = 0; i < c->n_before; i++) {
        const struct nsh_translations *a = &c->before[i], *b = &c->now;
        size_t least = a->n_chains < b->n_chains ? a->n_chains : b->n_chains;
        size_t head = 0, tail = 0;

        while (head < least && same_chain(a, a->chains[head], b, b->chains[head]))
            head++;
        while (tail < least - head && same_chain(a, a->chains[a->n_chains - tail - 1], b,
                                              b->chains[b->n_chains - tail - 1]))
            tail++;
        c->same[i].head = head;
        c->same[i].tail = tail;
        any = any || head < a->n_chains || head < b->n_chains;
    }
    return any;
}

static bool may_match(struct nsh_change *c, const struct nsh_translations *t, size_t head,
        size_t tail, const struct nsh_flow flows[static 2])
{
    for (size_t i = head; i < t->n_chains - tail; i++) {
        const struct nsh_chain *chain = t->chains[i];

        for (size_t k = 0; k < chain->n_rules; k++) {
            c->work++;
            if (nsh_rule_match(t, &chain->rules[k], &flows[is_at(chain, SOURCE)]) != NSH_MATCH_NO)
                return true;
        }
    }
    return false;
}

bool nsh_change_concerns(struct nsh_change *c, const struct nsh_ct_entry *e, bool plain)
{
    const struct nsh_flow flows[2] = {
            [DESTINATION] = flow_at(DESTINATION, e, plain, ""),
            [SOURCE] = flow_at(SOURCE, e, plain, ""),
    };

    for (size_t i = 0; i < c->n_before; i++)
        if (may_match(c, &c->before[i], c->same[i].head, c->same[i].tail, flows) ||
                may_match(c, &c->now, c->same[i].head, c->same[i].tail, flows))
            return true;
    return false;
}
