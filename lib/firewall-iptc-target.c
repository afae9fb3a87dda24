/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Targets. Those that translate come in three layouts of the same content, by target and family:
 * here all go through the latest of them, nf_nat_range2.
 */
#include "firewall-iptc-part.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libiptc/libxtc.h>
#include <string.h>

#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/xt_LOG.h>
#include <linux/netfilter/xt_TCPMSS.h>

#include "cleanup.h"

/* What iptables logs at unless told otherwise: LOG_WARNING. */
#define LOG_LEVEL 4
/* Of TCPMSS: as the path has it. */
#define MSS_OF_PATH 0xffff

struct target {
    const char *name; /* NULL: a jump, named after its chain */
    int verdict;
    int (*put)(const struct nsh_xt *xt, const struct target *t, const struct nsh_packet_rule *rule,
            struct nsh_xt_entry *e);
    void (*get)(const struct nsh_xt *xt, const struct target *t, const void *data,
            struct nsh_packet_rule *ret);
    /* Those that translate; by nsh_xt.index. */
    uint8_t revision[2];
    size_t size[2];
};

/* ---- verdicts ---- */

static int put_verdict(const struct nsh_xt *xt, const struct target *t,
        const struct nsh_packet_rule *rule, struct nsh_xt_entry *e)
{
    (void)xt;
    (void)rule;
    *(int *)nsh_xt_put_part(e, t->name, 0, sizeof(int)) = t->verdict;
    return 0;
}

/* The verdict of a jump is the place of its chain; libiptc knows it when it sends the table. */
static int put_jump(const struct nsh_xt *xt, const struct target *t,
        const struct nsh_packet_rule *rule, struct nsh_xt_entry *e)
{
    (void)xt;
    (void)t;
    if (strnlen(rule->target, NSH_CHAIN_NAME) == NSH_CHAIN_NAME || !nsh_chain_is_ours(rule->target))
        return -EINVAL;
    nsh_xt_put_part(e, rule->target, 0, sizeof(int));
    return 0;
}

/* ---- translation ---- */

static void put_address(int family, const union nsh_addr *addr, union nf_inet_addr *ret)
{
    memcpy(ret, addr->bytes, nsh_addr_size(family));
}

static void get_address(int family, const union nf_inet_addr *addr, union nsh_addr *ret)
{
    memcpy(ret->bytes, addr, nsh_addr_size(family));
}

/* The range in the layout of the target. */
static void put_range(const struct nsh_xt *xt, const struct target *t,
        const struct nf_nat_range2 *range, struct nsh_xt_entry *e)
{
    size_t size = t->size[xt->index];
    void *data = nsh_xt_put_part(e, t->name, t->revision[xt->index], size);
    struct nf_nat_ipv4_multi_range_compat *multi = data;

    if (size != sizeof *multi) {
        memcpy(data, range, size); /* nf_nat_range is how nf_nat_range2 begins */
        return;
    }
    multi->rangesize = 1;
    multi->range[0] = (struct nf_nat_ipv4_range){
            .flags = range->flags,
            .min_ip = range->min_addr.ip,
            .max_ip = range->max_addr.ip,
            .min = range->min_proto,
            .max = range->max_proto,
    };
}

static void get_range(const struct nsh_xt *xt, const struct target *t, const void *data,
        struct nf_nat_range2 *ret)
{
    size_t size = t->size[xt->index];
    const struct nf_nat_ipv4_multi_range_compat *multi = data;
    const struct nf_nat_ipv4_range *range = &multi->range[0];

    *ret = (struct nf_nat_range2){0};
    if (size != sizeof *multi) {
        memcpy(ret, data, size);
        return;
    }
    ret->flags = range->flags;
    ret->min_addr.ip = range->min_ip;
    ret->max_addr.ip = range->max_ip;
    ret->min_proto = range->min;
    ret->max_proto = range->max;
}

_Static_assert(
        sizeof(struct nf_nat_ipv4_multi_range_compat) != sizeof(struct nf_nat_range) &&
                sizeof(struct nf_nat_ipv4_multi_range_compat) != sizeof(struct nf_nat_range2),
        "layouts are told apart by size");
_Static_assert(
        offsetof(struct nf_nat_range, max_proto) == offsetof(struct nf_nat_range2, max_proto),
        "the layouts differ before they end");

static const struct {
    enum nsh_random random;
    unsigned int flag;
} randoms[] = {
        {NSH_RANDOM_PORTS, NF_NAT_RANGE_PROTO_RANDOM},
        {NSH_RANDOM_FULLY, NF_NAT_RANGE_PROTO_RANDOM_FULLY},
};

static bool can_be_said(const struct nsh_xt *xt, const struct nsh_packet_rule *rule)
{
    const struct nsh_packet_nat *n = &rule->nat;

    if (n->ports.last > 0 && !nsh_protocol_has_ports(rule->protocol))
        return false;
    if (n->ports.first > n->ports.last || n->ports.last > UINT16_MAX)
        return false;
    return n->family == AF_UNSPEC || n->family == xt->family;
}

static int put_nat(const struct nsh_xt *xt, const struct target *t,
        const struct nsh_packet_rule *rule, struct nsh_xt_entry *e)
{
    const struct nsh_packet_nat *n = &rule->nat;
    struct nf_nat_range2 range = {0};

    if (!can_be_said(xt, rule))
        return -EINVAL;
    if (n->family != AF_UNSPEC) {
        range.flags |= NF_NAT_RANGE_MAP_IPS;
        put_address(n->family, &n->first, &range.min_addr);
        put_address(n->family, &n->last, &range.max_addr);
    }
    if (n->ports.last > 0) {
        range.flags |= NF_NAT_RANGE_PROTO_SPECIFIED;
        range.min_proto.all = htons((uint16_t)n->ports.first);
        range.max_proto.all = htons((uint16_t)n->ports.last);
    }
    for (size_t i = 0; i < NSH_ARRAY_SIZE(randoms); i++)
        if (n->random == randoms[i].random)
            range.flags |= randoms[i].flag;
    if (n->persistent)
        range.flags |= NF_NAT_RANGE_PERSISTENT;
    put_range(xt, t, &range, e);
    return 0;
}

static void get_nat(const struct nsh_xt *xt, const struct target *t, const void *data,
        struct nsh_packet_rule *ret)
{
    struct nsh_packet_nat *n = &ret->nat;
    struct nf_nat_range2 range;

    get_range(xt, t, data, &range);
    if (range.flags & NF_NAT_RANGE_MAP_IPS) {
        n->family = xt->family;
        get_address(xt->family, &range.min_addr, &n->first);
        get_address(xt->family, &range.max_addr, &n->last);
    }
    if (range.flags & NF_NAT_RANGE_PROTO_SPECIFIED)
        n->ports = (struct nsh_range){ntohs(range.min_proto.all), ntohs(range.max_proto.all)};
    for (size_t i = 0; i < NSH_ARRAY_SIZE(randoms); i++)
        if (range.flags & randoms[i].flag)
            n->random = (uint8_t)randoms[i].random;
    n->persistent = range.flags & NF_NAT_RANGE_PERSISTENT;
}

/* First and last address of the prefix. */
static int put_map(const struct nsh_xt *xt, const struct target *t,
        const struct nsh_packet_rule *rule, struct nsh_xt_entry *e)
{
    struct nf_nat_range2 range = {.flags = NF_NAT_RANGE_MAP_IPS};
    struct nsh_prefix first = rule->map, last;

    if (first.family != xt->family || first.length > nsh_addr_bits(xt->family))
        return -EINVAL;
    nsh_prefix_mask(&first);
    last = first;
    for (unsigned int bit = first.length; bit < nsh_addr_bits(xt->family); bit++)
        last.addr.bytes[bit / 8] |= (uint8_t)(0x80U >> (bit % 8));
    put_address(xt->family, &first.addr, &range.min_addr);
    put_address(xt->family, &last.addr, &range.max_addr);
    put_range(xt, t, &range, e);
    return 0;
}

static void get_map(const struct nsh_xt *xt, const struct target *t, const void *data,
        struct nsh_packet_rule *ret)
{
    struct nsh_prefix *map = &ret->map;
    struct nf_nat_range2 range;
    union nsh_addr last = {0};

    get_range(xt, t, data, &range);
    map->family = xt->family;
    get_address(xt->family, &range.min_addr, &map->addr);
    get_address(xt->family, &range.max_addr, &last);
    while (map->length < nsh_addr_bits(xt->family) &&
            !((map->addr.bytes[map->length / 8] ^ last.bytes[map->length / 8]) &
                    (0x80U >> (map->length % 8))))
        map->length++;
}

/* ---- others ---- */

static int put_log(const struct nsh_xt *xt, const struct target *t,
        const struct nsh_packet_rule *rule, struct nsh_xt_entry *e)
{
    size_t n = strnlen(rule->log, sizeof rule->log);
    struct xt_log_info *log;

    (void)xt;
    if (n == sizeof rule->log)
        return -EINVAL;
    log = nsh_xt_put_part(e, t->name, 0, sizeof *log);
    log->level = LOG_LEVEL;
    memcpy(log->prefix, rule->log, n);
    return 0;
}

static void get_log(const struct nsh_xt *xt, const struct target *t, const void *data,
        struct nsh_packet_rule *ret)
{
    const struct xt_log_info *log = data;

    (void)xt;
    (void)t;
    memcpy(ret->log, log->prefix, strnlen(log->prefix, sizeof ret->log - 1));
}

_Static_assert(sizeof((struct xt_log_info *)0)->prefix == NSH_PACKET_LOG_PREFIX,
        "the prefix has another size");

static int put_clamp(const struct nsh_xt *xt, const struct target *t,
        const struct nsh_packet_rule *rule, struct nsh_xt_entry *e)
{
    struct xt_tcpmss_info *mss;

    (void)xt;
    if (!rule->syn)
        return -EINVAL;
    mss = nsh_xt_put_part(e, t->name, 0, sizeof *mss);
    mss->mss = MSS_OF_PATH;
    return 0;
}

/* ---- all of them ---- */

#define MULTI sizeof(struct nf_nat_ipv4_multi_range_compat)
#define RANGE sizeof(struct nf_nat_range)
#define RANGE2 sizeof(struct nf_nat_range2)

static const struct target targets[NSH_PACKET_OTHER] = {
        [NSH_PACKET_RETURN] = {XTC_LABEL_RETURN, XT_RETURN, put_verdict},
        [NSH_PACKET_JUMP] = {NULL, 0, put_jump},
        [NSH_PACKET_ACCEPT] = {XTC_LABEL_ACCEPT, -NF_ACCEPT - 1, put_verdict},
        [NSH_PACKET_DROP] = {XTC_LABEL_DROP, -NF_DROP - 1, put_verdict},
        [NSH_PACKET_MASQUERADE] = {"MASQUERADE", 0, put_nat, get_nat, {0, 0}, {MULTI, RANGE}},
        [NSH_PACKET_SNAT] = {"SNAT", 0, put_nat, get_nat, {0, 1}, {MULTI, RANGE}},
        [NSH_PACKET_DNAT] = {"DNAT", 0, put_nat, get_nat, {2, 2}, {RANGE2, RANGE2}},
        [NSH_PACKET_NETMAP] = {"NETMAP", 0, put_map, get_map, {0, 0}, {MULTI, RANGE}},
        [NSH_PACKET_LOG] = {"LOG", 0, put_log, get_log, {0, 0},
                {sizeof(struct xt_log_info), sizeof(struct xt_log_info)}},
        [NSH_PACKET_CLAMP_MSS] = {"TCPMSS", 0, put_clamp},
};

_Static_assert(
        XT_ALIGN(RANGE2) <= 64, "the largest target is larger than firewall-iptc-match.c has it");

int nsh_xt_put_target(
        const struct nsh_xt *xt, const struct nsh_packet_rule *rule, struct nsh_xt_entry *e)
{
    const struct target *t = &targets[rule->action];

    if ((unsigned int)rule->action >= NSH_PACKET_OTHER)
        return -EINVAL;
    return t->put(xt, t, rule, e);
}

enum nsh_packet_action nsh_xt_guess_action(const char *target)
{
    for (unsigned int i = 0; i < NSH_PACKET_OTHER; i++)
        if (targets[i].name && strcmp(targets[i].name, target) == 0)
            return (enum nsh_packet_action)i;
    if (nsh_chain_is_ours(target) && strlen(target) < NSH_CHAIN_NAME)
        return NSH_PACKET_JUMP;
    return NSH_PACKET_OTHER;
}

bool nsh_xt_is_verdict(enum nsh_packet_action action)
{
    return action == NSH_PACKET_JUMP ||
           ((unsigned int)action < NSH_PACKET_OTHER && targets[action].put == put_verdict);
}

void nsh_xt_get_target(
        const struct nsh_xt *xt, const struct xt_entry_target *target, struct nsh_packet_rule *ret)
{
    const struct target *t = &targets[ret->action];

    if (ret->action < NSH_PACKET_OTHER && t->get &&
            target->u.target_size >= sizeof *target + XT_ALIGN(t->size[xt->index]))
        t->get(xt, t, target->data, ret);
}
