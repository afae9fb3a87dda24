/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a foreign rule does with a packet that is imagined: the first or a later one of a
 * connection between two devices. As in the kernel, expressions
 * load pieces of the packet into registers and compare them; what is not known of the packet is not
 * known of the register. An expression that is not known may match or not.
 */
#include "firewall-nft.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define WORDS 16
#define WORD 4U
#define FLAGS_AT 13U /* of TCP */

struct machine {
    int family;
    const struct nsh_forward_path *path;
    uint8_t bytes[WORDS * WORD];
    uint8_t known[WORDS * WORD]; /* which bits of them */
    nsh_nft_find *find;
    void *userdata;
    struct nsh_nft_judgement *j;
};

NSH_DEFINE_CLEANUP(struct nftnl_expr_iter *, nftnl_expr_iter_destroy)

/* ---- registers ---- */

/* The older numbers are of 16 bytes, the newer of 4; WORDS: it is none for data. */
static size_t word_of(uint32_t reg)
{
    if (reg >= NFT_REG_1 && reg <= NFT_REG_4)
        return (reg - NFT_REG_1) * 4;
    return reg >= NFT_REG32_00 && reg < NFT_REG32_00 + WORDS ? reg - NFT_REG32_00 : WORDS;
}

static void set(struct machine *m, uint32_t reg, const void *data, size_t size)
{
    size_t at = word_of(reg), words = (size + WORD - 1) / WORD;

    if (at + words > WORDS)
        return;
    memset(&m->bytes[at * WORD], 0, words * WORD);
    memcpy(&m->bytes[at * WORD], data, size);
    memset(&m->known[at * WORD], UINT8_MAX, words * WORD);
}

static void set_unknown(struct machine *m, uint32_t reg)
{
    size_t at = word_of(reg);

    for (size_t i = at * WORD; i < (at + 4) * WORD && i < sizeof m->known; i++)
        m->known[i] = 0;
}

/* Of the data the first `bits` are known. */
static void set_first(struct machine *m, uint32_t reg, const void *data, size_t size, uint32_t bits)
{
    size_t at = word_of(reg) * WORD;

    set(m, reg, data, size);
    for (size_t i = 0; i < size && at + i < sizeof m->known; i++) {
        size_t rest = bits > i * 8 ? bits - i * 8 : 0;

        m->known[at + i] = rest >= 8 ? UINT8_MAX : (uint8_t)(UINT8_MAX << (8 - rest));
    }
}

/* NULL: not known. */
static uint8_t *get(struct machine *m, uint32_t reg, size_t size)
{
    size_t at = word_of(reg), words = (size + WORD - 1) / WORD;

    if (at + words > WORDS)
        return NULL;
    for (size_t i = at * WORD; i < (at + words) * WORD; i++)
        if (m->known[i] != UINT8_MAX)
            return NULL;
    return &m->bytes[at * WORD];
}

static void narrow(struct machine *m, enum nsh_certainty c)
{
    if (c < m->j->matches)
        m->j->matches = c;
}

/* ---- loads ---- */

static uint32_t state_bits(const struct machine *m)
{
    if (m->path->untracked)
        return NSH_STATE_INVALID;
    return m->path->reply ? NSH_STATE_ESTABLISHED : NSH_STATE_NEW;
}

static uint32_t status_bits(const struct machine *m)
{
    uint32_t bits = m->path->reply ? IPS_SEEN_REPLY | IPS_ASSURED | IPS_CONFIRMED : 0;

    return m->path->translated ? bits | IPS_DST_NAT : bits;
}

/* "": not known. */
static bool is_device(const char *name)
{
    return name[0] != '\0' && strcmp(name, "+") != 0;
}

static void load_name(struct machine *m, uint32_t reg, const char *name)
{
    if (is_device(name))
        set(m, reg, name, IFNAMSIZ);
    else
        set_unknown(m, reg);
}

static void load_index(struct machine *m, uint32_t reg, const char *name)
{
    if (is_device(name))
        set(m, reg, &(uint32_t){if_nametoindex(name)}, sizeof(uint32_t));
    else
        set_unknown(m, reg);
}

static void load_mark(struct machine *m, uint32_t reg)
{
    if (m->path->marked)
        set(m, reg, &m->path->mark, sizeof m->path->mark);
    else
        set_unknown(m, reg);
}

static void load_meta(struct machine *m, const struct nftnl_expr *x)
{
    uint32_t reg = nftnl_expr_get_u32(x, NFTNL_EXPR_META_DREG);
    const char *in = m->path->in, *out = m->path->out;
    uint8_t byte = nsh_forward_protocol(m->path);

    if (nftnl_expr_is_set(x, NFTNL_EXPR_META_SREG)) {
        if (nftnl_expr_get_u32(x, NFTNL_EXPR_META_KEY) == NFT_META_MARK)
            m->j->effects |= NSH_EFFECT(NSH_EFFECT_MARKS);
        return;
    }
    switch (nftnl_expr_get_u32(x, NFTNL_EXPR_META_KEY)) {
    case NFT_META_IIFNAME:
        load_name(m, reg, in);
        break;
    case NFT_META_OIFNAME:
        load_name(m, reg, out);
        break;
    case NFT_META_IIF:
        load_index(m, reg, in);
        break;
    case NFT_META_OIF:
        load_index(m, reg, out);
        break;
    case NFT_META_NFPROTO:
        byte = m->family == AF_INET6 ? NFPROTO_IPV6 : NFPROTO_IPV4;
        set(m, reg, &byte, 1);
        break;
    case NFT_META_L4PROTO:
        set(m, reg, &byte, 1);
        break;
    case NFT_META_PROTOCOL:
        set(m, reg, &(uint16_t){htons(m->family == AF_INET6 ? ETH_P_IPV6 : ETH_P_IP)},
                sizeof(uint16_t));
        break;
    case NFT_META_MARK:
        load_mark(m, reg);
        break;
    default:
        set_unknown(m, reg);
        break;
    }
}

static void load_ct(struct machine *m, const struct nftnl_expr *x)
{
    uint32_t reg = nftnl_expr_get_u32(x, NFTNL_EXPR_CT_DREG), value;

    if (nftnl_expr_is_set(x, NFTNL_EXPR_CT_SREG))
        return;
    if (m->path->untracked && nftnl_expr_get_u32(x, NFTNL_EXPR_CT_KEY) != NFT_CT_STATE)
        narrow(m, NSH_NO);
    switch (nftnl_expr_get_u32(x, NFTNL_EXPR_CT_KEY)) {
    case NFT_CT_STATE:
        value = state_bits(m);
        set(m, reg, &value, sizeof value);
        break;
    case NFT_CT_STATUS:
        value = status_bits(m);
        set(m, reg, &value, sizeof value);
        break;
    default:
        set_unknown(m, reg);
        break;
    }
}

/*
 * The bytes of an address of the path that a load at this place takes; NULL: not known. Of a prefix
 * the first bits are, `ret_known` in all.
 */
static const uint8_t *address_at(
        const struct machine *m, uint32_t at, uint32_t size, uint32_t *ret_known)
{
    uint32_t length = (uint32_t)nsh_addr_size(m->family);
    uint32_t from = m->family == AF_INET6 ? 8 : 12, to = from + length;
    const struct nsh_prefix *p = at >= to ? &m->path->to : &m->path->from;

    at -= at >= to ? to : from;
    if (p->family != m->family || at >= length || size > length - at || p->length <= at * 8)
        return NULL;
    *ret_known = p->length - at * 8;
    return &p->addr.bytes[at];
}

static void load_network(struct machine *m, uint32_t reg, uint32_t at, uint32_t size)
{
    uint32_t known = 0;
    const uint8_t protocol = nsh_forward_protocol(m->path);
    const uint8_t *address = address_at(m, at, size, &known);

    if (address)
        set_first(m, reg, address, size, known);
    else if (size == 1 && m->family == AF_INET && at == 9)
        set(m, reg, &protocol, 1);
    else
        set_unknown(m, reg);
}

static void load_payload(struct machine *m, const struct nftnl_expr *x)
{
    uint32_t reg = nftnl_expr_get_u32(x, NFTNL_EXPR_PAYLOAD_DREG),
             base = nftnl_expr_get_u32(x, NFTNL_EXPR_PAYLOAD_BASE),
             at = nftnl_expr_get_u32(x, NFTNL_EXPR_PAYLOAD_OFFSET),
             size = nftnl_expr_get_u32(x, NFTNL_EXPR_PAYLOAD_LEN);
    const uint16_t ports[2] = {htons(nsh_forward_port(&m->path->from_port)),
            htons(nsh_forward_port(&m->path->to_port))};
    const uint8_t flags = nsh_forward_tcp_flags(m->path);
    const uint8_t icmp[2] = {nsh_forward_icmp_type(m->path), 0};
    bool pings = m->path->protocol == IPPROTO_ICMP || m->path->protocol == IPPROTO_ICMPV6;

    if (nftnl_expr_is_set(x, NFTNL_EXPR_PAYLOAD_SREG))
        return;
    if (base == NFT_PAYLOAD_TRANSPORT_HEADER && at == FLAGS_AT && size == sizeof flags &&
            m->path->opening && m->path->protocol == IPPROTO_TCP)
        set(m, reg, &flags, sizeof flags);
    else if (base == NFT_PAYLOAD_TRANSPORT_HEADER && pings && at + size <= sizeof icmp)
        set(m, reg, icmp + at, size);
    else if (base == NFT_PAYLOAD_TRANSPORT_HEADER && !pings && at + size <= sizeof ports &&
             !m->path->vague)
        set(m, reg, (const uint8_t *)ports + at, size);
    else if (base == NFT_PAYLOAD_NETWORK_HEADER)
        load_network(m, reg, at, size);
    else
        set_unknown(m, reg);
}

/* ---- comparisons ---- */

/* From `first` to `last`; NULL: without an end. Of an address no more than its net may be known. */
static enum nsh_certainty is_within(
        const struct machine *m, uint32_t reg, const void *first, const void *last, size_t size)
{
    uint8_t low[WORDS * WORD], high[WORDS * WORD];
    size_t at = word_of(reg) * WORD;

    if (at + size > sizeof m->bytes)
        return NSH_MAYBE;
    for (size_t i = 0; i < size; i++) {
        low[i] = m->bytes[at + i] & m->known[at + i];
        high[i] = (uint8_t)(low[i] | ~m->known[at + i]);
    }
    if ((first && memcmp(high, first, size) < 0) || (last && memcmp(low, last, size) > 0))
        return NSH_NO;
    return (!first || memcmp(low, first, size) >= 0) && (!last || memcmp(high, last, size) <= 0)
                   ? NSH_YES
                   : NSH_MAYBE;
}

static void run_cmp(struct machine *m, const struct nftnl_expr *x)
{
    uint32_t size = 0, op = nftnl_expr_get_u32(x, NFTNL_EXPR_CMP_OP);
    const void *data = nftnl_expr_get(x, NFTNL_EXPR_CMP_DATA, &size);
    const void *first = op == NFT_CMP_LTE || op == NFT_CMP_GT ? NULL : data;
    const void *last = op == NFT_CMP_GTE || op == NFT_CMP_LT ? NULL : data;
    enum nsh_certainty c =
            data ? is_within(m, nftnl_expr_get_u32(x, NFTNL_EXPR_CMP_SREG), first, last, size)
                 : NSH_MAYBE;

    narrow(m, op == NFT_CMP_NEQ || op == NFT_CMP_LT || op == NFT_CMP_GT ? NSH_YES - c : c);
}

static void run_range(struct machine *m, const struct nftnl_expr *x)
{
    uint32_t size = 0, high_size = 0;
    const void *low = nftnl_expr_get(x, NFTNL_EXPR_RANGE_FROM_DATA, &size);
    const void *high = nftnl_expr_get(x, NFTNL_EXPR_RANGE_TO_DATA, &high_size);
    enum nsh_certainty c = NSH_MAYBE;

    if (low && high && size == high_size)
        c = is_within(m, nftnl_expr_get_u32(x, NFTNL_EXPR_RANGE_SREG), low, high, size);
    narrow(m, nftnl_expr_get_u32(x, NFTNL_EXPR_RANGE_OP) == NFT_RANGE_EQ ? c : NSH_YES - c);
}

static void run_bitwise(struct machine *m, const struct nftnl_expr *x)
{
    uint32_t size = nftnl_expr_get_u32(x, NFTNL_EXPR_BITWISE_LEN), to, mask_size = 0, xor_size = 0;
    const uint8_t *mask = nftnl_expr_get(x, NFTNL_EXPR_BITWISE_MASK, &mask_size);
    const uint8_t * xor = nftnl_expr_get(x, NFTNL_EXPR_BITWISE_XOR, &xor_size);
    size_t at = word_of(nftnl_expr_get_u32(x, NFTNL_EXPR_BITWISE_SREG)) * WORD;
    uint8_t value[16], known[16];

    to = nftnl_expr_get_u32(x, NFTNL_EXPR_BITWISE_DREG);
    if (!mask || !xor || size > sizeof value || at + size > sizeof m->bytes || mask_size < size ||
            xor_size < size) {
        set_unknown(m, to);
        return;
    }
    for (uint32_t i = 0; i < size; i++) {
        value[i] = (uint8_t)((m->bytes[at + i] & mask[i]) ^ xor[i]);
        known[i] = (uint8_t)(m->known[at + i] | ~mask[i]); /* what is masked out is 0 */
    }
    set(m, to, value, size);
    if (word_of(to) * WORD + size <= sizeof m->known)
        memcpy(&m->known[word_of(to) * WORD], known, size);
}

static int run_lookup(struct machine *m, const struct nftnl_expr *x)
{
    const char *name = nftnl_expr_get_str(x, NFTNL_EXPR_LOOKUP_SET);
    bool map = nftnl_expr_is_set(x, NFTNL_EXPR_LOOKUP_DREG);
    bool verdicts = map && nftnl_expr_get_u32(x, NFTNL_EXPR_LOOKUP_DREG) == NFT_REG_VERDICT;
    struct nsh_nft_judgement found = {.matches = NSH_MAYBE};
    uint32_t reg = nftnl_expr_get_u32(x, NFTNL_EXPR_LOOKUP_SREG);
    size_t words = 0;
    int r = 0;

    while (words < 4 && get(m, reg, (words + 1) * WORD))
        words++;
    if (words > 0 && name)
        r = m->find(m->userdata, name, map, get(m, reg, words * WORD), words * WORD, &found);
    if (map && !verdicts)
        set_unknown(m, nftnl_expr_get_u32(x, NFTNL_EXPR_LOOKUP_DREG));
    if (!map && nftnl_expr_get_u32(x, NFTNL_EXPR_LOOKUP_FLAGS) & NFT_LOOKUP_F_INV)
        found.matches = NSH_YES - found.matches;
    narrow(m, found.matches);
    if (verdicts && found.matches == NSH_YES) {
        m->j->verdict = found.verdict;
        memcpy(m->j->chain, found.chain, sizeof found.chain);
    } else if (verdicts && found.matches == NSH_MAYBE) {
        m->j->verdict = NSH_NFT_ACCEPT;
        m->j->any = true;
    }
    return r;
}

/* Only of the way back, which is what a reverse-path filter asks for. */
static void run_fib(struct machine *m, const struct nftnl_expr *x)
{
    uint32_t reg = nftnl_expr_get_u32(x, NFTNL_EXPR_FIB_DREG);
    uint32_t flags = nftnl_expr_get_u32(x, NFTNL_EXPR_FIB_FLAGS);
    bool back = flags & NFTA_FIB_F_SADDR && flags & NFTA_FIB_F_IIF &&
                nftnl_expr_get_u32(x, NFTNL_EXPR_FIB_RESULT) == NFT_FIB_RESULT_OIF;
    uint32_t found = m->path->back ? if_nametoindex(m->path->in) : 0;

    if (!back || !m->path->back_known)
        set_unknown(m, reg);
    else if (flags & NFTA_FIB_F_PRESENT)
        set(m, reg, &(uint8_t){m->path->back}, 1);
    else
        set(m, reg, &found, sizeof found);
}

/* ---- those of iptables ---- */

static void run_match(struct machine *m, const struct nftnl_expr *x)
{
    const char *name = nftnl_expr_get_str(x, NFTNL_EXPR_MT_NAME);
    uint32_t size = 0;
    const void *info = nftnl_expr_get(x, NFTNL_EXPR_MT_INFO, &size);

    narrow(m, name && info ? nsh_forward_xt_match(name, nftnl_expr_get_u32(x, NFTNL_EXPR_MT_REV),
                                     info, size, m->path)
                           : NSH_MAYBE);
}

static void run_target(struct machine *m, const struct nftnl_expr *x)
{
    const char *name = nftnl_expr_get_str(x, NFTNL_EXPR_TG_NAME);
    uint32_t size = 0;
    const void *info = nftnl_expr_get(x, NFTNL_EXPR_TG_INFO, &size);

    if (name && nsh_forward_xt_drops(name))
        m->j->verdict = NSH_NFT_DROP;
    else if (name && nsh_forward_xt_translates(name))
        m->j->verdict = NSH_NFT_ACCEPT;
    else
        m->j->any = !name || !nsh_forward_xt_spares(name);
    if (name)
        m->j->effects |=
                nsh_forward_xt_effects(name, nftnl_expr_get_u32(x, NFTNL_EXPR_TG_REV), info, size);
}

/* ---- a rule ---- */

static void run_immediate(struct machine *m, const struct nftnl_expr *x)
{
    const char *chain = nftnl_expr_get_str(x, NFTNL_EXPR_IMM_CHAIN);
    const int verdict = (int)nftnl_expr_get_u32(x, NFTNL_EXPR_IMM_VERDICT);
    uint32_t size = 0;
    const void *data;

    if (!nftnl_expr_is_set(x, NFTNL_EXPR_IMM_VERDICT)) {
        data = nftnl_expr_get(x, NFTNL_EXPR_IMM_DATA, &size);
        if (data && size <= 16)
            set(m, nftnl_expr_get_u32(x, NFTNL_EXPR_IMM_DREG), data, size);
        return;
    }
    m->j->verdict = nsh_nft_verdict_of(verdict);
    if (chain)
        snprintf(m->j->chain, sizeof m->j->chain, "%s", chain);
}

enum nsh_nft_verdict nsh_nft_verdict_of(int code)
{
    switch (code) {
    case NF_DROP:
        return NSH_NFT_DROP;
    case NFT_RETURN:
        return NSH_NFT_RETURN;
    case NFT_JUMP:
        return NSH_NFT_JUMP;
    case NFT_GOTO:
        return NSH_NFT_GOTO;
    case NFT_CONTINUE:
    case NFT_BREAK:
        return NSH_NFT_CONTINUE;
    default:
        return NSH_NFT_ACCEPT; /* or a program gets it, which may */
    }
}

static void run_reject(struct machine *m, const struct nftnl_expr *x)
{
    (void)x;
    m->j->verdict = NSH_NFT_DROP;
}

/* It ends the way through the chain. */
static void run_translation(struct machine *m, const struct nftnl_expr *x)
{
    (void)x;
    m->j->verdict = NSH_NFT_ACCEPT;
}

static void run_redir(struct machine *m, const struct nftnl_expr *x)
{
    run_translation(m, x);
    m->j->effects |= NSH_EFFECT(NSH_EFFECT_LEADS);
}

static void run_nat(struct machine *m, const struct nftnl_expr *x)
{
    if (nftnl_expr_get_u32(x, NFTNL_EXPR_NAT_TYPE) == NFT_NAT_DNAT)
        run_redir(m, x);
    else
        run_translation(m, x);
}

static void run_notrack(struct machine *m, const struct nftnl_expr *x)
{
    (void)x;
    m->j->effects |= NSH_EFFECT(NSH_EFFECT_UNTRACKS);
}

/* A program gets it, or the kernel answers itself. */
static void run_taken(struct machine *m, const struct nftnl_expr *x)
{
    (void)x;
    narrow(m, NSH_MAYBE);
    m->j->any = true;
}

static void run_nothing(struct machine *m, const struct nftnl_expr *x)
{
    (void)m;
    (void)x;
}

/* Below 0: more than counting. */
static int count(struct nftnl_expr *x, void *userdata)
{
    const char *name = nftnl_expr_get_str(x, NFTNL_EXPR_NAME);

    (void)userdata;
    return name && (strcmp(name, "counter") == 0 || strcmp(name, "last") == 0) ? 0 : -1;
}

/* What is put into a set ends the rule by what goes with it alone, or if it is told to. */
static void run_dynset(struct machine *m, const struct nftnl_expr *x)
{
    uint32_t flags = nftnl_expr_is_set(x, NFTNL_EXPR_DYNSET_FLAGS)
                             ? nftnl_expr_get_u32(x, NFTNL_EXPR_DYNSET_FLAGS)
                             : 0;

    if (flags & NFT_DYNSET_F_INV || nftnl_expr_expr_foreach(x, count, NULL) < 0)
        narrow(m, NSH_MAYBE);
}

static const struct {
    const char *name;
    void (*run)(struct machine *m, const struct nftnl_expr *x);
} expressions[] = {
        {"meta", load_meta},
        {"ct", load_ct},
        {"payload", load_payload},
        {"cmp", run_cmp},
        {"range", run_range},
        {"bitwise", run_bitwise},
        {"match", run_match},
        {"target", run_target},
        {"immediate", run_immediate},
        {"reject", run_reject},
        {"dynset", run_dynset},
        {"fib", run_fib},
        {"nat", run_nat},
        {"masq", run_translation},
        {"redir", run_redir},
        {"queue", run_taken},
        {"synproxy", run_taken},
        {"tproxy", run_taken},
        {"counter", run_nothing},
        {"log", run_nothing},
        {"last", run_nothing},
        {"notrack", run_notrack},
        {"flow_offload", run_nothing},
};

static int run(struct machine *m, const struct nftnl_expr *x)
{
    const char *name = nftnl_expr_get_str(x, NFTNL_EXPR_NAME);

    if (name && strcmp(name, "lookup") == 0)
        return run_lookup(m, x);
    for (size_t i = 0; name && i < NSH_ARRAY_SIZE(expressions); i++)
        if (strcmp(name, expressions[i].name) == 0) {
            expressions[i].run(m, x);
            return 0;
        }
    narrow(m, NSH_MAYBE);
    memset(m->known, 0, sizeof m->known); /* it may have loaded something anywhere */
    return 0;
}

int nsh_nft_judge(const struct nftnl_rule *rule, int family, const struct nsh_forward_path *path,
        nsh_nft_find *find, void *userdata, struct nsh_nft_judgement *ret)
{
    NSH_CLEANUP(nftnl_expr_iter_destroyp)
    struct nftnl_expr_iter *iter = nftnl_expr_iter_create(rule);
    struct machine m = {
            .family = family, .path = path, .find = find, .userdata = userdata, .j = ret};
    struct nftnl_expr *x;
    int r = 0;

    *ret = (struct nsh_nft_judgement){.matches = NSH_YES};
    if (!iter)
        return -ENOMEM;
    while (r == 0 && ret->matches != NSH_NO && (x = nftnl_expr_iter_next(iter)))
        r = run(&m, x);
    return r;
}
