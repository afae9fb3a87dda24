/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules of xtables as the kernel gives them: a header, matches and a target whose sizes add up,
 * for the kernel has seen to that, and anything in them. And the audit records that name a table.
 *
 * A rule that is understood is written again as the same.
 */
#include "fuzz.h"

#include <string.h>

#include "firewall-iptc-part.h"

#define RULE_MAX 4096

static const char *const matches[] = {"tcp", "udp", "sctp", "dccp", "multiport", "conntrack",
        "state", "mark", "connmark", "set", "addrtype", "policy", "comment", "limit", "iprange",
        "mac", "physdev", "owner"};
/* Verdicts and jumps, for which the kernel gives no name, come first. */
#define N_NAMELESS 5
static const char *const targets[] = {"ACCEPT", "DROP", "RETURN", "NETSHARED-a", "others",
        "MASQUERADE", "SNAT", "DNAT", "NETMAP", "REDIRECT", "TCPMSS", "LOG", "REJECT", "MARK", "CT",
        "NFQUEUE"};
static const char *const nameless[] = {""};

struct rule {
    alignas(8) uint8_t bytes[RULE_MAX];
    size_t size;
};

/* Sets by number are a question to the kernel: each has the same name here. */
int __wrap_nsh_xt_set_index(struct nsh_xt_names *n, const char *name, uint16_t *ret);
int __wrap_nsh_xt_set_name(struct nsh_xt_names *n, uint16_t index, char ret[static NSH_SET_NAME]);

int __wrap_nsh_xt_set_index(struct nsh_xt_names *n, const char *name, uint16_t *ret)
{
    FUZZ_MUST(n);
    *ret = 7;
    return strcmp(name, "netshared-a") == 0 ? 0 : -2;
}

int __wrap_nsh_xt_set_name(struct nsh_xt_names *n, uint16_t index, char ret[static NSH_SET_NAME])
{
    FUZZ_MUST(n);
    memset(ret, 0, NSH_SET_NAME);
    strcpy(ret, "netshared-a");
    return index == 7 ? 0 : -2;
}

/* A match or a target: name, revision, and as much data as the next byte says. */
static void put_part(
        struct rule *rule, struct fuzz_input *in, const char *const *names, size_t n_names)
{
    struct xt_entry_target *t = (struct xt_entry_target *)(void *)(rule->bytes + rule->size);
    const char *name = names[fuzz_byte(in) % n_names];
    uint8_t revision = fuzz_byte(in);
    size_t data = fuzz_byte(in) * 2U, size = XT_ALIGN(sizeof(*t)) + XT_ALIGN(data);

    t->u.user.target_size = (uint16_t)size;
    t->u.user.revision = revision % 5;
    snprintf(t->u.user.name, sizeof(t->u.user.name), "%s", name);
    fuzz_take(in, t->data, XT_ALIGN(data));
    rule->size += size;
}

static const char *make_rule(const struct nsh_xt *xt, struct fuzz_input *in, struct rule *rule)
{
    uint8_t n_matches = fuzz_byte(in) % 4, which = fuzz_byte(in) % NSH_ARRAY_SIZE(targets);
    uint16_t target_at, next_at;

    memset(rule, 0, sizeof(*rule));
    fuzz_take(in, rule->bytes, xt->entry_size);
    rule->size = xt->entry_size;
    for (uint8_t i = 0; i < n_matches; i++)
        put_part(rule, in, matches, NSH_ARRAY_SIZE(matches));
    target_at = (uint16_t)rule->size;
    put_part(rule, in, which < N_NAMELESS ? nameless : &targets[which], 1);
    next_at = (uint16_t)rule->size;
    memcpy(rule->bytes + xt->target_offset_at, &target_at, sizeof(target_at));
    memcpy(rule->bytes + xt->next_offset_at, &next_at, sizeof(next_at));
    return targets[which];
}

/* Exactly as long as it is: what reads on behind it is seen. */
static void check_rule(const struct nsh_xt *xt, const struct rule *rule, const char *target)
{
    struct nsh_xt_names names = {.fd = -1};
    nsh_autofree uint8_t *exact = malloc(rule->size);
    struct nsh_packet_rule value, again;
    static struct nsh_ahead_seen seen;
    struct nsh_xt_entry entry;
    char text[NSH_PACKET_RULE_TEXT];

    FUZZ_MUST(exact);
    memcpy(exact, rule->bytes, rule->size);
    nsh_xt_decode(xt, &names, exact, target, &value);
    (void)nsh_packet_rule_format(&value, text, sizeof(text));
    if (value.action != NSH_PACKET_OTHER) {
        FUZZ_MUST(nsh_xt_encode(xt, &names, &value, &entry) == 0);
        nsh_xt_decode(xt, &names, entry.bytes, target, &again);
        FUZZ_MUST(nsh_packet_rule_equal(&value, &again));
    }
    if (nsh_xt_describe(xt, &names, "POSTROUTING", exact, target, &seen))
        FUZZ_MUST(strnlen(seen.text, sizeof(seen.text)) < sizeof(seen.text));
}

/* As the adapter for nftables asks, which has the parts of iptables-nft one by one. */
static void check_foreign(int family, const struct rule *rule, const struct nsh_xt *xt)
{
    const struct xt_entry_target *t =
            (const struct xt_entry_target *)(const void *)(rule->bytes + xt->entry_size);
    size_t size = t->u.user.target_size - XT_ALIGN(sizeof(*t));
    nsh_autofree uint8_t *data = malloc(size);
    struct nsh_foreign_part part = {
            .name = t->u.user.name, .revision = t->u.user.revision, .data = data, .size = size};
    static struct nsh_foreign_rule f;

    FUZZ_MUST(data || size == 0);
    memcpy(data, t->data, size);
    f = (struct nsh_foreign_rule){.family = (uint8_t)family, .needs = {.protocol = 6}};
    nsh_foreign_xt_match(&f, &part, true);
    nsh_foreign_xt_target(&f, &part, true);
    FUZZ_MUST(strnlen(f.text, sizeof(f.text)) < sizeof(f.text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    uint8_t first = fuzz_byte(&in);
    int family = first & 1U ? AF_INET6 : AF_INET;
    const struct nsh_xt *xt = nsh_xt_of(family);
    static struct rule rule;

    if (first & 2U) {
        nsh_autofree char *text = fuzz_text(&in);
        struct nsh_xt_record record;

        (void)nsh_xt_audit_parse(text, &record);
        return 0;
    }
    check_rule(xt, &rule, make_rule(xt, &in, &rule));
    check_foreign(family, &rule, xt);
    return 0;
}
