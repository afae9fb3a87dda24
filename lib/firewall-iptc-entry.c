/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules between their value and the bytes of xtables: an entry (addresses, interfaces), matches,
 * a target, each a header and its data padded to xtables' alignment.
 *
 * Decoding has no rules of its own for what may be left out of account: it guesses the value from
 * the few fields that can vary, encodes that, and compares the bytes. A single bit netshared would
 * not have written makes the rule NSH_PACKET_OTHER.
 */
#include "firewall-iptc-part.h"

#include <errno.h>
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

/* ---- what the two families have in common ---- */

/* Where things stand in an entry. */
struct places {
    uint8_t *from, *from_mask, *to, *to_mask;
    char *in, *out;
    uint8_t *in_mask, *out_mask;
    uint16_t *protocol;
    uint8_t *flags; /* of IPv6; NULL: a protocol alone says it all */
    uint8_t inverted;
};

#define PLACES(ip, flags_at)                                                               \
    {                                                                                      \
        (uint8_t *)&(ip)->src, (uint8_t *)&(ip)->smsk, (uint8_t *)&(ip)->dst,              \
                (uint8_t *)&(ip)->dmsk, (ip)->iniface, (ip)->outiface, (ip)->iniface_mask, \
                (ip)->outiface_mask, &(ip)->proto, flags_at, (ip)->invflags                \
    }

static struct places places_of(const struct nsh_xt *xt, void *entry)
{
    struct ipt_ip *ip4 = &((struct ipt_entry *)entry)->ip;
    struct ip6t_ip6 *ip6 = &((struct ip6t_entry *)entry)->ipv6;

    if (xt->family == AF_INET)
        return (struct places)PLACES(ip4, NULL);
    return (struct places)PLACES(ip6, &ip6->flags);
}

/* ---- encoding ---- */

/*
 * "eth0" is compared with its NUL, "wan+" without the '+', and "+" not at all; the name keeps its
 * '+' in each case.
 */
static int put_device(char *name, uint8_t *mask, const char *device)
{
    size_t n = strnlen(device, IFNAMSIZ);

    if (n == IFNAMSIZ)
        return -EINVAL;
    if (n == 0)
        return 0;
    memcpy(name, device, n);
    memset(mask, 0xff, device[n - 1] == '+' ? n - 1 : n + 1);
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
    struct places at = places_of(xt, e->bytes);
    int r = put_prefix(xt, &rule->from, at.from, at.from_mask);

    if (r >= 0)
        r = put_prefix(xt, &rule->to, at.to, at.to_mask);
    if (r >= 0)
        r = put_device(at.in, at.in_mask, rule->in);
    if (r >= 0)
        r = put_device(at.out, at.out_mask, rule->out);
    if (r < 0 || rule->protocol == 0)
        return r;
    *at.protocol = rule->protocol;
    if (at.flags)
        *at.flags |= IP6T_F_PROTO;
    return 0;
}

static size_t part_size(size_t data)
{
    return XT_ALIGN(sizeof(struct xt_entry_target)) + XT_ALIGN(data);
}

_Static_assert(sizeof(struct xt_entry_match) == sizeof(struct xt_entry_target), "headers differ");

void *nsh_xt_put_part(struct nsh_xt_entry *e, const char *name, uint8_t revision, size_t data)
{
    struct xt_entry_target *t = (struct xt_entry_target *)(e->bytes + e->size);

    memset(t, 0, part_size(data));
    t->u.user.target_size = (uint16_t)part_size(data);
    t->u.user.revision = revision;
    memcpy(t->u.user.name, name, strnlen(name, sizeof t->u.user.name - 1));
    e->size += t->u.user.target_size;
    return t->data;
}

int nsh_xt_encode(const struct nsh_xt *xt, struct nsh_xt_names *names,
        const struct nsh_packet_rule *rule, struct nsh_xt_entry *ret)
{
    uint16_t target_at, next_at;
    int r;

    memset(ret->bytes, 0, xt->entry_size);
    ret->size = xt->entry_size;
    r = put_header(xt, rule, ret);
    if (r >= 0)
        r = nsh_xt_put_matches(xt, names, rule, ret);
    target_at = (uint16_t)ret->size;
    if (r >= 0)
        r = nsh_xt_put_target(xt, rule, ret);
    if (r < 0)
        return r;
    next_at = (uint16_t)ret->size;
    memcpy(ret->bytes + xt->target_offset_at, &target_at, sizeof target_at);
    memcpy(ret->bytes + xt->next_offset_at, &next_at, sizeof next_at);
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

static void get_device(const char *device, char ret[static IFNAMSIZ])
{
    memcpy(ret, device, strnlen(device, IFNAMSIZ - 1));
}

uint8_t nsh_xt_get_header(
        const struct nsh_xt *xt, struct nsh_xt_entry *e, struct nsh_packet_rule *ret)
{
    struct places at = places_of(xt, e->bytes);

    get_prefix(xt, at.from, at.from_mask, &ret->from);
    get_prefix(xt, at.to, at.to_mask, &ret->to);
    get_device(at.in, ret->in);
    get_device(at.out, ret->out);
    ret->protocol = (uint8_t)*at.protocol;
    return at.inverted;
}

/* The kernel writes a name up to its NUL, and leaves behind it what was in the buffer. */
static void clean_name(struct nsh_xt_entry *e, size_t at)
{
    struct xt_entry_target *t = (struct xt_entry_target *)(e->bytes + at);
    size_t n = strnlen(t->u.user.name, sizeof t->u.user.name);

    memset(t->u.user.name + n, 0, sizeof t->u.user.name - n);
}

struct xt_entry_match *nsh_xt_match_at(struct nsh_xt_entry *e, size_t at, size_t end)
{
    struct xt_entry_match *m = (struct xt_entry_match *)(e->bytes + at);

    if (end - at < sizeof *m || m->u.match_size < sizeof *m || m->u.match_size > end - at)
        return NULL;
    return m;
}

/*
 * The kernel's copy without what traffic changes in it and what differs in its way of writing. What
 * matches and targets keep for themselves the kernel shows as zero.
 */
static bool copy_seen(const struct nsh_xt *xt, const void *rule, struct nsh_xt_entry *ret)
{
    size_t target_at = nsh_xt_target_offset(xt, rule), size = nsh_xt_next_offset(xt, rule), at;
    const struct xt_entry_match *m;

    if (size > sizeof ret->bytes || target_at < xt->entry_size ||
            target_at + sizeof(struct xt_entry_target) > size)
        return false;
    memcpy(ret->bytes, rule, size);
    ret->size = size;
    memset(ret->bytes + xt->nfcache_at, 0, sizeof(unsigned int));
    memset(ret->bytes + xt->comefrom_at, 0, sizeof(unsigned int));
    memset(ret->bytes + xt->counters_at, 0, sizeof(struct xt_counters));
    for (at = xt->entry_size; (m = nsh_xt_match_at(ret, at, target_at)); at += m->u.match_size)
        clean_name(ret, at);
    clean_name(ret, target_at);
    return at == target_at;
}

static void guess(const struct nsh_xt *xt, struct nsh_xt_names *names, struct nsh_xt_entry *seen,
        const char *target, struct nsh_packet_rule *ret)
{
    size_t target_at = nsh_xt_target_offset(xt, seen->bytes), at;
    const struct xt_entry_match *m;

    nsh_xt_get_header(xt, seen, ret);
    for (at = xt->entry_size; (m = nsh_xt_match_at(seen, at, target_at)); at += m->u.match_size)
        nsh_xt_get_match(names, m, ret);
    if (ret->action == NSH_PACKET_JUMP)
        memcpy(ret->target, target, strlen(target));
    nsh_xt_get_target(xt, (const struct xt_entry_target *)(seen->bytes + target_at), ret);
}

/*
 * Of a verdict or a jump the kernel gives no name, and a jump's verdict is the place of its chain:
 * nsh_xt_guess_action had what libiptc makes of them.
 */
static bool same_bytes(const struct nsh_xt *xt, struct nsh_xt_entry *seen,
        struct nsh_xt_entry *ours, enum nsh_packet_action action)
{
    uint16_t at = nsh_xt_target_offset(xt, seen->bytes);
    struct xt_standard_target *s = (struct xt_standard_target *)(seen->bytes + at);
    struct xt_standard_target *w = (struct xt_standard_target *)(ours->bytes + at);

    if (seen->size != ours->size || at != nsh_xt_target_offset(xt, ours->bytes))
        return false;
    if (nsh_xt_is_verdict(action))
        memset(w->target.u.user.name, 0, sizeof w->target.u.user.name);
    if (action == NSH_PACKET_JUMP)
        s->verdict = w->verdict;
    return memcmp(seen->bytes, ours->bytes, ours->size) == 0;
}

void nsh_xt_decode(const struct nsh_xt *xt, struct nsh_xt_names *names, const void *rule,
        const char *target, struct nsh_packet_rule *ret)
{
    struct nsh_xt_entry seen, ours;

    *ret = (struct nsh_packet_rule){.action = nsh_xt_guess_action(target)};
    if (ret->action != NSH_PACKET_OTHER && copy_seen(xt, rule, &seen)) {
        guess(xt, names, &seen, target, ret);
        if (nsh_xt_encode(xt, names, ret, &ours) >= 0 && same_bytes(xt, &seen, &ours, ret->action))
            return;
    }
    *ret = (struct nsh_packet_rule){.action = NSH_PACKET_OTHER};
}
