/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether rules of others drop a packet that is imagined: a built-in chain, FORWARD for most who
 * ask, and those it leads to, gone through as the kernel does.
 */
#include "firewall-iptc-chain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

/* More than that is taken for an accept. */
#define DEPTH 16

enum verdict {
    CONTINUE,
    ACCEPT,
    DROP,
    RETURN,
};

struct judge {
    const struct nsh_xt *xt;
    struct xtc_handle *h;
    const struct nsh_forward_path *path;
    bool ours; /* our chains have their say */
    enum nsh_mood mood;
    const char *builtin;
    /* Not NULL: of FORWARD the first `n` rules alone have theirs, and not behind a jump to that. */
    const char *until;
    size_t n;
    /* The last rule that dropped it for certain, and its chain. */
    const void *dropper;
    const char *chain;
    /* The first that may have one. */
    struct {
        const void *rule;
        const char *chain;
    } effects[NSH_EFFECT_COUNT];
};

_Static_assert(IPT_INV_VIA_IN == IP6T_INV_VIA_IN && IPT_INV_VIA_OUT == IP6T_INV_VIA_OUT &&
                       IPT_INV_SRCIP == IP6T_INV_SRCIP && IPT_INV_DSTIP == IP6T_INV_DSTIP &&
                       IPT_INV_PROTO == IP6T_INV_PROTO,
        "inversions differ");

struct nsh_xt_head nsh_xt_head_of(const struct nsh_xt *xt, const void *rule)
{
    const struct ipt_ip *v4 = &((const struct ipt_entry *)rule)->ip;
    const struct ip6t_ip6 *v6 = &((const struct ip6t_entry *)rule)->ipv6;

    if (xt->family == AF_INET)
        return (struct nsh_xt_head){
                .from = (const uint8_t *)&v4->src,
                .from_mask = (const uint8_t *)&v4->smsk,
                .to = (const uint8_t *)&v4->dst,
                .to_mask = (const uint8_t *)&v4->dmsk,
                .in = v4->iniface,
                .out = v4->outiface,
                .in_mask = v4->iniface_mask,
                .out_mask = v4->outiface_mask,
                .protocol = v4->proto,
                .inverted = v4->invflags,
                .leaves = v4->flags & IPT_F_GOTO,
        };
    return (struct nsh_xt_head){
            .from = (const uint8_t *)&v6->src,
            .from_mask = (const uint8_t *)&v6->smsk,
            .to = (const uint8_t *)&v6->dst,
            .to_mask = (const uint8_t *)&v6->dmsk,
            .in = v6->iniface,
            .out = v6->outiface,
            .in_mask = v6->iniface_mask,
            .out_mask = v6->outiface_mask,
            .protocol = v6->flags & IP6T_F_PROTO ? v6->proto : 0,
            .inverted = v6->invflags,
            .leaves = v6->flags & IP6T_F_GOTO,
    };
}

/* ---- matches ---- */

static enum nsh_certainty known(bool same, bool inverted)
{
    return same != inverted ? NSH_YES : NSH_NO;
}

static enum nsh_certainty match_device(
        const char *has, const char *name, const uint8_t *mask, bool inverted)
{
    bool any = true, same = true;

    for (size_t i = 0; i < IFNAMSIZ; i++) {
        any = any && mask[i] == 0;
        same = same && ((name[i] ^ has[i]) & mask[i]) == 0;
    }
    if (any)
        return known(true, inverted);
    return has[0] == '\0' || strcmp(has, "+") == 0 ? NSH_MAYBE : known(same, inverted);
}

/* Of a prefix, in one byte of its address. */
static uint8_t known_bits(const struct nsh_prefix *p, size_t at)
{
    size_t known = p->length > at * 8 ? p->length - at * 8 : 0;

    return known >= 8 ? UINT8_MAX : (uint8_t)(UINT8_MAX << (8 - known));
}

static enum nsh_certainty match_address(const struct nsh_xt *xt, const struct nsh_prefix *has,
        const uint8_t *address, const uint8_t *mask, bool inverted)
{
    size_t size = nsh_addr_size(xt->family);
    bool any = true, same = true, covered = has->family == xt->family;

    for (size_t i = 0; i < size; i++) {
        const uint8_t bits = known_bits(has, i);

        any = any && mask[i] == 0;
        covered = covered && (mask[i] & ~bits) == 0;
        same = same && ((has->addr.bytes[i] ^ address[i]) & mask[i] & bits) == 0;
    }
    if (any)
        return known(true, inverted);
    if (has->family != xt->family || (same && !covered))
        return NSH_MAYBE;
    return known(same, inverted);
}

static enum nsh_certainty worse(enum nsh_certainty a, enum nsh_certainty b)
{
    return a < b ? a : b;
}

static enum nsh_certainty match_head(const struct judge *j, const struct nsh_xt_head *r)
{
    const struct nsh_forward_path *p = j->path;
    enum nsh_certainty c = match_device(p->in, r->in, r->in_mask, r->inverted & IPT_INV_VIA_IN);

    c = worse(c, match_device(p->out, r->out, r->out_mask, r->inverted & IPT_INV_VIA_OUT));
    c = worse(
            c, match_address(j->xt, &p->from, r->from, r->from_mask, r->inverted & IPT_INV_SRCIP));
    c = worse(c, match_address(j->xt, &p->to, r->to, r->to_mask, r->inverted & IPT_INV_DSTIP));
    if (r->protocol != 0)
        c = worse(c, known(r->protocol == nsh_forward_protocol(p), r->inverted & IPT_INV_PROTO));
    return c;
}

static enum nsh_certainty match_rule(
        const struct judge *j, const void *rule, const struct nsh_xt_head *r)
{
    enum nsh_certainty c = match_head(j, r);
    size_t at = j->xt->entry_size, end = nsh_xt_target_offset(j->xt, rule);

    while (c != NSH_NO && at + sizeof(struct xt_entry_match) <= end) {
        const struct xt_entry_match *m =
                (const struct xt_entry_match *)((const uint8_t *)rule + at);

        if (m->u.match_size < sizeof *m || m->u.match_size > end - at)
            return NSH_MAYBE;
        c = worse(c, nsh_forward_xt_match(m->u.user.name, m->u.user.revision, m->data,
                             m->u.match_size - sizeof *m, j->path));
        at += m->u.match_size;
    }
    return c;
}

/* ---- chains ---- */

static enum verdict judge_chain(struct judge *j, const char *chain, unsigned int depth);

static enum verdict verdict_of(struct judge *j, const char *target, bool leaves, unsigned int depth)
{
    enum verdict v;

    if (strcmp(target, "ACCEPT") == 0 || nsh_forward_xt_translates(target))
        return ACCEPT;
    if (strcmp(target, "QUEUE") == 0 || strcmp(target, "NFQUEUE") == 0)
        return j->mood == NSH_MOOD_DOUBTS ? DROP : ACCEPT; /* a program gets it, which may */
    if (strcmp(target, "RETURN") == 0)
        return RETURN;
    if (nsh_forward_xt_drops(target))
        return DROP;
    if (!j->xt->is_chain(target, j->h))
        return j->mood == NSH_MOOD_DOUBTS && !nsh_forward_xt_spares(target) ? DROP : CONTINUE;
    if (!j->ours && nsh_chain_is_ours(target))
        return CONTINUE;
    v = judge_chain(j, target, depth + 1);
    return v == CONTINUE && leaves ? RETURN : v;
}

const void **nsh_xt_rules(
        const struct nsh_xt *xt, struct xtc_handle *h, const char *chain, size_t *ret_n)
{
    size_t n = 0, i = 0;
    const void **rules;

    for (const void *r = xt->first_rule(chain, h); r; r = xt->next_rule(r, h))
        n++;
    rules = calloc(n + 1, sizeof *rules);
    if (!rules)
        return NULL;
    for (const void *r = xt->first_rule(chain, h); r && i < n; r = xt->next_rule(r, h))
        rules[i++] = r;
    *ret_n = i;
    return rules;
}

/* Whether what a rule does, which may match or not, is taken to be so. */
static bool is_believed(const struct judge *j, enum nsh_certainty c, enum verdict v)
{
    if (c == NSH_YES)
        return v != CONTINUE;
    return v == (j->mood == NSH_MOOD_DOUBTS ? DROP : ACCEPT);
}

/* One that may return makes of the rest what is the better, or the worse. */
static enum verdict with_return(const struct judge *j, bool returns, enum verdict rest)
{
    enum verdict other = j->mood == NSH_MOOD_DOUBTS ? ACCEPT : DROP;

    return returns && j->mood != NSH_MOOD_BELIEVES && rest == other ? CONTINUE : rest;
}

static void note_effects(struct judge *j, const void *rule, const char *chain, const char *target)
{
    const struct xt_entry_target *t =
            (const void *)((const uint8_t *)rule + nsh_xt_target_offset(j->xt, rule));
    size_t size = t->u.target_size > sizeof *t ? t->u.target_size - sizeof *t : 0;
    unsigned int effects = nsh_forward_xt_effects(target, t->u.user.revision, t->data, size);

    for (size_t i = 0; !nsh_chain_is_ours(chain) && i < NSH_EFFECT_COUNT; i++)
        if (effects & NSH_EFFECT(i) && !j->effects[i].rule) {
            j->effects[i].rule = rule;
            j->effects[i].chain = chain;
        }
}

static void note(
        struct judge *j, const void *rule, const char *chain, const char *target, bool drops)
{
    if (j->xt->is_chain(target, j->h))
        return;
    if (drops) {
        j->dropper = rule;
        j->chain = chain;
    }
    note_effects(j, rule, chain, target);
}

/* ACCEPT, DROP, or CONTINUE behind what led to it. */
static enum verdict judge_chain(struct judge *j, const char *chain, unsigned int depth)
{
    size_t n = 0;
    nsh_autofree const void **rules = depth > DEPTH ? NULL : nsh_xt_rules(j->xt, j->h, chain, &n);
    bool returns = false;

    if (!rules)
        return j->mood == NSH_MOOD_DOUBTS ? DROP : ACCEPT;
    if (depth == 0 && j->until && n > j->n)
        n = j->n;
    for (size_t i = 0; i < n; i++) {
        const struct nsh_xt_head r = nsh_xt_head_of(j->xt, rules[i]);
        enum nsh_certainty c = match_rule(j, rules[i], &r);
        const char *target = c == NSH_NO ? NULL : j->xt->target(rules[i], j->h);
        enum verdict v = target ? verdict_of(j, target, r.leaves, depth) : CONTINUE;
        bool believed = is_believed(j, c, v);

        if (depth == 0 && target && j->until && strcmp(target, j->until) == 0)
            break;

        if (target)
            note(j, rules[i], chain, target, believed && v == DROP);
        if (believed)
            return with_return(j, returns, v == RETURN ? CONTINUE : v);
        returns = returns || v == RETURN;
    }
    return CONTINUE;
}

static bool judge(struct judge *j)
{
    struct xt_counters counters;
    enum verdict v = judge_chain(j, j->builtin, 0);
    const char *policy = v == CONTINUE ? j->xt->policy(j->builtin, &counters, j->h) : NULL;

    if (v != DROP)
        j->dropper = NULL;
    return v == DROP || (policy && strcmp(policy, "DROP") == 0);
}

bool nsh_xt_judge(
        const struct nsh_xt *xt, struct xtc_handle *h, const struct nsh_forward_path *path)
{
    return judge(&(struct judge){.xt = xt, .h = h, .path = path, .builtin = "FORWARD"});
}

bool nsh_xt_judge_bans(const struct nsh_xt *xt, struct xtc_handle *h,
        const struct nsh_forward_path *path, uint32_t n, const char *chain,
        struct nsh_forward_drop *ret)
{
    struct judge j = {.xt = xt, .h = h, .path = path, .builtin = "FORWARD", .until = chain, .n = n};

    if (judge_chain(&j, "FORWARD", 0) != DROP)
        return false;
    if (j.dropper)
        nsh_xt_rule_format(xt, h, j.chain, j.dropper, ret->rule, sizeof ret->rule);
    return true;
}

/* The same rule would not have been the one, had less been known of the packet. */
static bool is_named(const struct judge *j)
{
    struct nsh_forward_path general[2];
    struct judge wide = {
            .xt = j->xt, .h = j->h, .ours = j->ours, .mood = j->mood, .builtin = j->builtin};

    nsh_forward_general(j->path, general);
    wide.path = &general[j->path->reply];
    return j->dropper && (!judge(&wide) || wide.dropper != j->dropper);
}

bool nsh_xt_drops(const struct nsh_xt *xt, struct xtc_handle *h, const char *builtin,
        const struct nsh_forward_path *path, struct nsh_forward_drop *ret)
{
    struct judge j = {.xt = xt,
            .h = h,
            .path = path,
            .ours = true,
            .mood = NSH_MOOD_HOPES,
            .builtin = builtin};
    bool certain = judge(&j), drops = certain;

    if (!certain) {
        j.mood = NSH_MOOD_DOUBTS;
        drops = judge(&j);
    }
    *ret = (struct nsh_forward_drop){.doubtful = !certain};
    for (size_t i = 0; i < NSH_EFFECT_COUNT; i++)
        if (j.effects[i].rule)
            nsh_xt_rule_format(xt, h, j.effects[i].chain, j.effects[i].rule, ret->effects[i],
                    sizeof ret->effects[i]);
    if (!drops)
        return false;
    ret->named = is_named(&j);
    if (j.dropper)
        nsh_xt_rule_format(xt, h, j.chain, j.dropper, ret->rule, sizeof ret->rule);
    return true;
}
