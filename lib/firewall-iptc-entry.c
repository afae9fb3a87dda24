/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules between their value and the bytes of xtables: an entry (addresses, interfaces), matches,
 * a target, each a header and its data padded to xtables' alignment.
 *
 * Decoding has no rules of its own for what may be left out of account: it guesses the value from
 * the few fields that can vary, encodes that, and compares the bytes. A single bit netshared would
 * not have written makes the rule NSH_PACKET_OTHER.
 */
#include "firewall-iptc-xt.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libiptc/libxtc.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/xt_conntrack.h>
#include <string.h>

#include "cleanup.h"

static uint16_t u16_at(const void *rule, size_t at)
{
    uint16_t v;

    memcpy(&v, (const uint8_t *)rule + at, sizeof v);
    return v;
}

uint16_t nsh_xt_target_offset(const struct nsh_xt *xt, const void *rule)
{
    return u16_at(rule, xt->target_offset_at);
}

uint16_t nsh_xt_next_offset(const struct nsh_xt *xt, const void *rule)
{
    return u16_at(rule, xt->next_offset_at);
}

/* ---- encoding ---- */

/*
 * "eth0" is compared with its NUL, "wan+" without the '+', and "+" not at all; the name keeps its
 * '+' in each case.
 */
static int put_out(char name[IFNAMSIZ], unsigned char mask[IFNAMSIZ], const char *out)
{
    size_t n = strnlen(out, IFNAMSIZ);

    if (n == IFNAMSIZ)
        return -EINVAL;
    if (n == 0)
        return 0;
    memcpy(name, out, n);
    memset(mask, 0xff, out[n - 1] == '+' ? n - 1 : n + 1);
    return 0;
}

static int put_prefix(
        const struct nsh_xt *xt, const struct nsh_prefix *p, uint8_t *addr, uint8_t *mask)
{
    struct nsh_prefix masked = *p;
    size_t size = nsh_addr_size(xt->family);

    if (p->family == AF_UNSPEC)
        return 0;
    if (p->family != xt->family || p->length > nsh_addr_bits(xt->family))
        return -EINVAL;
    nsh_prefix_mask(&masked);
    memcpy(addr, masked.addr.bytes, size);
    memset(mask, 0xff, p->length / 8);
    if (p->length % 8)
        mask[p->length / 8] = (uint8_t)(0xff00U >> (p->length % 8));
    return 0;
}

static int put_header(
        const struct nsh_xt *xt, const struct nsh_packet_rule *rule, struct nsh_xt_entry *e)
{
    int r;

    if (xt->family == AF_INET) {
        struct ipt_ip *ip = &((struct ipt_entry *)e->bytes)->ip;

        r = put_prefix(xt, &rule->from, (uint8_t *)&ip->src, (uint8_t *)&ip->smsk);
        if (r >= 0)
            r = put_prefix(xt, &rule->to, (uint8_t *)&ip->dst, (uint8_t *)&ip->dmsk);
        if (r >= 0)
            r = put_out(ip->outiface, ip->outiface_mask, rule->out);
    } else {
        struct ip6t_ip6 *ip = &((struct ip6t_entry *)e->bytes)->ipv6;

        r = put_prefix(xt, &rule->from, (uint8_t *)&ip->src, (uint8_t *)&ip->smsk);
        if (r >= 0)
            r = put_prefix(xt, &rule->to, (uint8_t *)&ip->dst, (uint8_t *)&ip->dmsk);
        if (r >= 0)
            r = put_out(ip->outiface, ip->outiface_mask, rule->out);
    }
    return r;
}

/* A match or target at the end of the entry: they share their header. Returns its data. */
static void *put_part(struct nsh_xt_entry *e, const char *name, uint8_t revision, size_t data)
{
    struct xt_entry_target *t = (struct xt_entry_target *)(e->bytes + e->size);

    t->u.user.target_size = (uint16_t)(XT_ALIGN(sizeof *t) + XT_ALIGN(data));
    t->u.user.revision = revision;
    memcpy(t->u.user.name, name, strnlen(name, sizeof t->u.user.name - 1));
    e->size += t->u.user.target_size;
    return t->data;
}

_Static_assert(sizeof(struct xt_entry_match) == sizeof(struct xt_entry_target), "headers differ");
_Static_assert(sizeof(struct ip6t_entry) + 2 * sizeof(struct xt_entry_match) +
                               sizeof(struct xt_conntrack_mtinfo3) + sizeof(struct nf_nat_range) +
                               64 <
                       NSH_XT_ENTRY_MAX,
        "entry buffer too small");

static void put_return(
        const struct nsh_xt *xt, const struct nsh_packet_rule *rule, struct nsh_xt_entry *e)
{
    (void)xt;
    (void)rule;
    *(int *)put_part(e, XTC_LABEL_RETURN, 0, sizeof(int)) = XT_RETURN;
}

/* The verdict of a jump is the place of its chain; libiptc knows it when it sends the table. */
static void put_jump(
        const struct nsh_xt *xt, const struct nsh_packet_rule *rule, struct nsh_xt_entry *e)
{
    (void)xt;
    put_part(e, rule->target, 0, sizeof(int));
}

/* The IPv6 target keeps revision 0, and with it a range without "2", for the same rule. */
static void put_masquerade(
        const struct nsh_xt *xt, const struct nsh_packet_rule *rule, struct nsh_xt_entry *e)
{
    (void)rule;
    if (xt->family == AF_INET) {
        struct nf_nat_ipv4_multi_range_compat *range = put_part(e, "MASQUERADE", 0, sizeof *range);

        range->rangesize = 1;
    } else {
        put_part(e, "MASQUERADE", 0, sizeof(struct nf_nat_range));
    }
}

static void put_conntrack_invalid(struct nsh_xt_entry *e)
{
    struct xt_conntrack_mtinfo3 *m = put_part(e, "conntrack", 3, sizeof *m);

    m->match_flags = XT_CONNTRACK_STATE;
    m->state_mask = XT_CONNTRACK_STATE_INVALID;
}

static void (*const actions[])(
        const struct nsh_xt *xt, const struct nsh_packet_rule *rule, struct nsh_xt_entry *e) = {
        [NSH_PACKET_RETURN] = put_return,
        [NSH_PACKET_JUMP] = put_jump,
        [NSH_PACKET_MASQUERADE] = put_masquerade,
};

int nsh_xt_encode(
        const struct nsh_xt *xt, const struct nsh_packet_rule *rule, struct nsh_xt_entry *ret)
{
    struct nsh_xt_entry e = {.size = xt->entry_size};
    uint16_t target_at, next_at;
    int r;

    if ((unsigned int)rule->action >= NSH_ARRAY_SIZE(actions) || !actions[rule->action])
        return -EINVAL;
    if (rule->action == NSH_PACKET_JUMP &&
            (strnlen(rule->target, NSH_CHAIN_NAME) == NSH_CHAIN_NAME ||
                    !nsh_chain_is_ours(rule->target)))
        return -EINVAL;
    r = put_header(xt, rule, &e);
    if (r < 0)
        return r;
    if (rule->states == NSH_STATE_INVALID)
        put_conntrack_invalid(&e);
    target_at = (uint16_t)e.size;
    actions[rule->action](xt, rule, &e);
    next_at = (uint16_t)e.size;
    memcpy(e.bytes + xt->target_offset_at, &target_at, sizeof target_at);
    memcpy(e.bytes + xt->next_offset_at, &next_at, sizeof next_at);
    *ret = e;
    return 0;
}

/* ---- decoding ---- */

/* A mask that is no prefix length, or bits beyond it, are caught by comparing. */
static void get_prefix(
        const struct nsh_xt *xt, const uint8_t *addr, const uint8_t *mask, struct nsh_prefix *ret)
{
    size_t size = nsh_addr_size(xt->family);
    struct nsh_prefix p = {.family = xt->family};
    size_t i = 0;

    while (i < size && mask[i] == 0xff)
        i++;
    p.length = (uint8_t)(i * 8);
    if (i < size)
        for (uint8_t m = mask[i]; m & 0x80U; m = (uint8_t)(m << 1))
            p.length++;
    if (p.length == 0)
        p.family = AF_UNSPEC;
    else
        memcpy(p.addr.bytes, addr, size);
    *ret = p;
}

static void get_header(const struct nsh_xt *xt, const void *entry, struct nsh_packet_rule *ret)
{
    const char *out;

    if (xt->family == AF_INET) {
        const struct ipt_ip *ip = &((const struct ipt_entry *)entry)->ip;

        get_prefix(xt, (const uint8_t *)&ip->src, (const uint8_t *)&ip->smsk, &ret->from);
        get_prefix(xt, (const uint8_t *)&ip->dst, (const uint8_t *)&ip->dmsk, &ret->to);
        out = ip->outiface;
    } else {
        const struct ip6t_ip6 *ip = &((const struct ip6t_entry *)entry)->ipv6;

        get_prefix(xt, (const uint8_t *)&ip->src, (const uint8_t *)&ip->smsk, &ret->from);
        get_prefix(xt, (const uint8_t *)&ip->dst, (const uint8_t *)&ip->dmsk, &ret->to);
        out = ip->outiface;
    }
    memcpy(ret->out, out, strnlen(out, IFNAMSIZ - 1));
}

static enum nsh_packet_action guess_action(const char *target)
{
    if (strcmp(target, "MASQUERADE") == 0)
        return NSH_PACKET_MASQUERADE;
    if (strcmp(target, XTC_LABEL_RETURN) == 0)
        return NSH_PACKET_RETURN;
    if (nsh_chain_is_ours(target) && strlen(target) < NSH_CHAIN_NAME)
        return NSH_PACKET_JUMP;
    return NSH_PACKET_OTHER;
}

/* The kernel writes a name up to its NUL, and leaves behind it what was in the buffer. */
static void clean_name(struct nsh_xt_entry *e, size_t at)
{
    struct xt_entry_target *t = (struct xt_entry_target *)(e->bytes + at);
    size_t n = strnlen(t->u.user.name, sizeof t->u.user.name);

    memset(t->u.user.name + n, 0, sizeof t->u.user.name - n);
}

/*
 * The kernel's copy against ours. Of a verdict or a jump the kernel gives no name, and a jump's
 * verdict is the place of its chain: guess_action had what libiptc makes of them.
 */
static bool same_bytes(const struct nsh_xt *xt, const void *rule, const struct nsh_xt_entry *ours,
        enum nsh_packet_action action)
{
    struct nsh_xt_entry seen = {.size = nsh_xt_next_offset(xt, rule)}, want;
    uint16_t at = nsh_xt_target_offset(xt, rule);

    memcpy(&want, ours, sizeof want);
    if (seen.size != want.size || at != nsh_xt_target_offset(xt, want.bytes))
        return false;
    memcpy(seen.bytes, rule, seen.size);
    memset(seen.bytes + xt->nfcache_at, 0, sizeof(unsigned int));
    memset(seen.bytes + xt->comefrom_at, 0, sizeof(unsigned int));
    memset(seen.bytes + xt->counters_at, 0, sizeof(struct xt_counters));
    clean_name(&seen, at);
    if (at > xt->entry_size)
        clean_name(&seen, xt->entry_size); /* of the one match there is room for */
    if (action != NSH_PACKET_MASQUERADE) {
        struct xt_standard_target *s = (struct xt_standard_target *)(seen.bytes + at);
        struct xt_standard_target *w = (struct xt_standard_target *)(want.bytes + at);

        memset(w->target.u.user.name, 0, sizeof w->target.u.user.name);
        if (action == NSH_PACKET_JUMP)
            s->verdict = w->verdict;
    }
    return memcmp(seen.bytes, want.bytes, want.size) == 0;
}

void nsh_xt_decode(
        const struct nsh_xt *xt, const void *rule, const char *target, struct nsh_packet_rule *ret)
{
    struct nsh_packet_rule r = {.action = guess_action(target)};
    struct nsh_xt_entry ours;

    if (r.action != NSH_PACKET_OTHER) {
        get_header(xt, rule, &r);
        if (nsh_xt_target_offset(xt, rule) > xt->entry_size)
            r.states = NSH_STATE_INVALID;
        if (r.action == NSH_PACKET_JUMP)
            memcpy(r.target, target, strlen(target));
        if (nsh_xt_encode(xt, &r, &ours) < 0 || !same_bytes(xt, rule, &ours, r.action))
            r = (struct nsh_packet_rule){.action = NSH_PACKET_OTHER};
    }
    *ret = r;
}
