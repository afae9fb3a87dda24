/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A copy of a table as the contract tells of it: our chains with their rules, built-in chains with
 * the jumps to ours and what others have put before these.
 */
#include "firewall-iptc-xt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

/* Arrays that are filled anew for each chain. */
struct seen {
    struct nsh_packet_rule *rules;
    struct nsh_traffic *traffic;
    struct nsh_jump_seen *jumps;
    struct nsh_ahead_seen *ahead;
    size_t rules_max, traffic_max, jumps_max, ahead_max;
    struct nsh_xt_names *names;
};

static void seen_done(struct seen *s)
{
    free(s->rules);
    free(s->traffic);
    free(s->jumps);
    free(s->ahead);
}

/* Room for one more in an array of `n`; what bounds it is the size of the table. */
static void *grow(void *array, size_t n, size_t *max, size_t size)
{
    size_t more = *max ? *max * 2 : 16;
    void *p;

    if (n < *max)
        return array;
    p = reallocarray(array, more, size);
    if (p)
        *max = more;
    return p;
}

static int see_ours(
        const struct nsh_xt *xt, struct xtc_handle *h, struct seen *s, struct nsh_chain_seen *chain)
{
    for (const void *r = xt->first_rule(chain->name, h); r; r = xt->next_rule(r, h)) {
        struct nsh_packet_rule *rules =
                grow(s->rules, chain->n_rules, &s->rules_max, sizeof *s->rules);
        struct xt_counters counters;

        s->rules = rules ? rules : s->rules;
        struct nsh_traffic *traffic =
                grow(s->traffic, chain->n_rules, &s->traffic_max, sizeof *s->traffic);
        s->traffic = traffic ? traffic : s->traffic;
        if (!rules || !traffic)
            return -ENOMEM;
        memcpy(&counters, (const char *)r + xt->counters_at, sizeof counters);
        traffic[chain->n_rules] = (struct nsh_traffic){counters.pcnt, counters.bcnt};
        nsh_xt_decode(xt, s->names, r, xt->target(r, h), &rules[chain->n_rules++]);
    }
    chain->rules = s->rules;
    chain->traffic = s->traffic;
    return 0;
}

/* With no match at all. */
static bool is_plain(const struct nsh_packet_rule *r)
{
    struct nsh_packet_rule plain = {.action = NSH_PACKET_JUMP};

    memcpy(plain.target, r->target, sizeof plain.target);
    return nsh_packet_rule_equal(r, &plain);
}

static int see_jump(const struct nsh_xt *xt, const void *rule, const char *target, struct seen *s,
        struct nsh_chain_seen *chain)
{
    struct nsh_jump_seen *jumps = grow(s->jumps, chain->n_jumps, &s->jumps_max, sizeof *s->jumps);
    struct nsh_packet_rule value;
    struct nsh_jump_seen jump = {.index = chain->n_total};

    if (!jumps)
        return -ENOMEM;
    s->jumps = jumps;
    nsh_xt_decode(xt, s->names, rule, target, &value);
    jump.plain = is_plain(&value);
    memcpy(jump.target, target, strlen(target));
    jumps[chain->n_jumps++] = jump;
    return 0;
}

static int see_foreign(const struct nsh_xt *xt, const void *rule, const char *target,
        struct seen *s, struct nsh_chain_seen *chain)
{
    struct nsh_ahead_seen *ahead;

    if (!target || chain->n_ahead == NSH_AHEAD_MAX)
        return 0;
    ahead = grow(s->ahead, chain->n_ahead, &s->ahead_max, sizeof *ahead);
    if (!ahead)
        return -ENOMEM;
    s->ahead = ahead;
    ahead += chain->n_ahead;
    if (!nsh_xt_describe(xt, s->names, chain->name, rule, target, ahead))
        return 0;
    ahead->index = chain->n_total;
    chain->n_ahead++;
    return 0;
}

/* What stands among bans is left there: it is neither in our way nor to be overtaken. */
static int see_builtin(
        const struct nsh_xt *xt, struct xtc_handle *h, struct seen *s, struct nsh_chain_seen *chain)
{
    bool foreign = false;
    int e = chain->table == NSH_TABLE_FILTER && strcmp(chain->name, "FORWARD") == 0
                    ? nsh_xt_bans(xt, h, chain->name, &chain->behind_bans)
                    : 0;

    if (e < 0)
        return e;
    for (const void *r = xt->first_rule(chain->name, h); r; r = xt->next_rule(r, h)) {
        const char *target = xt->target(r, h);
        bool ours = target && nsh_chain_is_ours(target) && strlen(target) < NSH_CHAIN_NAME;
        bool other = !ours && chain->n_total >= chain->behind_bans;

        if (ours)
            e = see_jump(xt, r, target, s, chain);
        else if (other)
            e = see_foreign(xt, r, target, s, chain);
        if (e < 0)
            return e;
        if (other && !foreign)
            chain->first_foreign = chain->n_total;
        foreign = foreign || other;
        chain->n_total++;
    }
    if (!foreign)
        chain->first_foreign = chain->n_total;
    chain->jumps = s->jumps;
    chain->ahead = s->ahead;
    return 0;
}

int nsh_xt_see(const struct nsh_xt *xt, enum nsh_table table, struct xtc_handle *h,
        struct nsh_xt_names *names, nsh_chain_observed *observed, void *userdata)
{
    NSH_CLEANUP(seen_done) struct seen s = {.names = names};

    for (const char *name = xt->first_chain(h); name; name = xt->next_chain(h)) {
        struct nsh_chain_seen chain = {.family = xt->family, .table = table, .name = name};
        int r;

        chain.builtin = xt->builtin(name, h);
        if (!chain.builtin && (!nsh_chain_is_ours(name) || strlen(name) >= NSH_CHAIN_NAME))
            continue;
        r = chain.builtin ? see_builtin(xt, h, &s, &chain) : see_ours(xt, h, &s, &chain);
        if (r == 0)
            r = observed(userdata, &chain);
        if (r != 0)
            return r;
    }
    return 0;
}
