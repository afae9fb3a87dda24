/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bans: what an administrator, or a program such as fail2ban for him, puts at the beginning of
 * FORWARD to keep some packets out, "-I FORWARD -s 192.0.2.7 -j DROP", or a jump to a chain of such
 * rules. A ban takes less than what our policies let through, and it would mean nothing behind
 * them: so it stays before them. A rule that drops without a name for what it drops, and one that
 * may accept, is no ban. "All but these" is no name: that may be all that our policies are for.
 *
 * A chain that has nothing in it yet but a RETURN is one of bans too: these are to come.
 */
#include "firewall-iptc-chain.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

/* Chains that lead to chains, and rules in all: with more than that it is not taken for bans. */
#define DEPTH 4
#define RULES_MAX 65536U

enum kind {
    OTHER,
    NEUTRAL, /* lets everything go on, and may belong to the ban behind it */
    BAN,
};

struct look {
    const struct nsh_xt *xt;
    struct xtc_handle *h;
    size_t n; /* rules seen */
    int error;
};

/* ---- what a rule names ---- */

static bool is_set(const uint8_t *mask, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (mask[i] != 0)
            return true;
    return false;
}

static bool has_ports(uint8_t protocol)
{
    return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP;
}

static bool head_names(const struct nsh_xt *xt, const struct nsh_xt_head *head)
{
    size_t size = nsh_addr_size(xt->family);

    return (is_set(head->from_mask, size) && !(head->inverted & IPT_INV_SRCIP)) ||
           (is_set(head->to_mask, size) && !(head->inverted & IPT_INV_DSTIP)) ||
           (head->protocol != 0 && !has_ports((uint8_t)head->protocol) &&
                   !(head->inverted & IPT_INV_PROTO));
}

static bool names_something(
        const struct nsh_xt *xt, const void *rule, const struct nsh_xt_head *head)
{
    size_t at = xt->entry_size, end = nsh_xt_target_offset(xt, rule);

    if (head_names(xt, head))
        return true;
    while (at + sizeof(struct xt_entry_match) <= end) {
        const struct xt_entry_match *m =
                (const struct xt_entry_match *)((const uint8_t *)rule + at);

        if (m->u.match_size < sizeof *m || m->u.match_size > end - at)
            return false;
        if (nsh_forward_xt_names(
                    m->u.user.name, m->u.user.revision, m->data, m->u.match_size - sizeof *m))
            return true;
        at += m->u.match_size;
    }
    return false;
}

/* ---- what it is ---- */

/* "": it only counts. */
static bool is_neutral(const char *target)
{
    static const char *const names[] = {"", "LOG", "NFLOG"};

    for (size_t i = 0; i < NSH_ARRAY_SIZE(names); i++)
        if (strcmp(target, names[i]) == 0)
            return true;
    return false;
}

static bool has_only_bans(struct look *l, const char *chain, bool named, unsigned int depth);

/* `named`: what leads here has named something already. */
static enum kind kind_of(struct look *l, const void *rule, bool named, unsigned int depth)
{
    const struct nsh_xt_head head = nsh_xt_head_of(l->xt, rule);
    const char *target = l->xt->target(rule, l->h);

    if (++l->n > RULES_MAX || !target)
        return OTHER;
    if (is_neutral(target))
        return NEUTRAL;
    named = named || names_something(l->xt, rule, &head);
    if (nsh_forward_xt_drops(target))
        return named ? BAN : OTHER;
    if (head.leaves || nsh_chain_is_ours(target) || !l->xt->is_chain(target, l->h))
        return OTHER;
    return has_only_bans(l, target, named, depth + 1) ? BAN : OTHER;
}

static bool has_only_bans(struct look *l, const char *chain, bool named, unsigned int depth)
{
    size_t n = 0;
    nsh_autofree const void **rules = NULL;

    if (depth > DEPTH)
        return false;
    rules = nsh_xt_rules(l->xt, l->h, chain, &n);
    if (!rules) {
        l->error = -ENOMEM;
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        const char *target = l->xt->target(rules[i], l->h);

        if (target && strcmp(target, "RETURN") == 0)
            continue;
        if (kind_of(l, rules[i], named, depth) == OTHER)
            return false;
    }
    return true;
}

int nsh_xt_bans(const struct nsh_xt *xt, struct xtc_handle *h, const char *hook, uint32_t *ret)
{
    struct look l = {.xt = xt, .h = h};
    size_t n = 0;
    nsh_autofree const void **rules = nsh_xt_rules(xt, h, hook, &n);
    uint32_t behind = 0;

    if (!rules)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const char *target = xt->target(rules[i], h);
        enum kind kind =
                target && nsh_chain_is_ours(target) ? NEUTRAL : kind_of(&l, rules[i], false, 0);

        if (kind == OTHER)
            break;
        if (kind == BAN)
            behind = (uint32_t)i + 1;
    }
    *ret = behind;
    return l.error;
}
