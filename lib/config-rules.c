/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The section `rules`. An object becomes a rule for each of its families and each pair of its
 * `from` and `to`.
 *
 * A priority is required. The kernel would choose one that depends on what is there already, and
 * one counted from the place in the file would move when a line is added above it: rules that
 * nobody touched would be written anew, and be found under another number in `ip rule`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "config-loader.h"

enum rule_key {
    KEY_FROM,
    KEY_TO,
    KEY_NOT,
    KEY_IIF,
    KEY_OIF,
    KEY_PRIORITY,
    KEY_TABLE,
    KEY_MARK,
    KEY_TOS,
    KEY_PROTOCOL,
    KEY_SOURCE_PORT,
    KEY_DESTINATION_PORT,
    KEY_UID_RANGE,
    KEY_SUPPRESS_PREFIX_LENGTH,
    KEY_SUPPRESS_INTERFACE_GROUP,
    KEY_L3MDEV,
    KEY_ACTION,
    KEY_TARGET,
    KEY_FAMILY,
    KEY_WHEN,
};

#define BOTH (NSH_FAMILY_IPV4 | NSH_FAMILY_IPV6)
#define BIT(key) (1ULL << (key))
/* Of the tos the two lowest bits belong to ECN, and the kernel takes less of it for IPv4. */
#define TOS_ECN 3U
#define TOS_MAX_IPV4 28U
#define PRIORITY_LOCAL 0U
#define PRIORITY_MAIN 32766U
#define PRIORITY_DEFAULT 32767U

struct rule_draft {
    struct nsh_draft draft;
    struct nsh_prefixes from, to;
    char iif[IFNAMSIZ], oif[IFNAMSIZ];
    struct nsh_mark mark;
    struct nsh_range source_port, destination_port, uids;
    uint32_t priority, table, tos, protocol, suppress_length, suppress_group, target;
    unsigned action, families;
    bool invert, l3mdev;
};

static const struct nsh_word actions[] = {
        {"lookup", FR_ACT_TO_TBL},
        {"goto", FR_ACT_GOTO},
        {"blackhole", FR_ACT_BLACKHOLE},
        {"unreachable", FR_ACT_UNREACHABLE},
        {"prohibit", FR_ACT_PROHIBIT},
        {NULL, 0},
};

#define FIELD(member) .offset = offsetof(struct rule_draft, member)

static const struct nsh_key keys[] = {
        [KEY_FROM] = {"from", &nsh_type_prefix, FIELD(from), .flags = NSH_KEY_LIST,
                .known_as = "source src saddr", .help = "source prefixes; without it any"},
        [KEY_TO] = {"to", &nsh_type_prefix, FIELD(to), .flags = NSH_KEY_LIST,
                .known_as = "destination dst daddr",
                .help = "destination prefixes; without it any"},
        [KEY_NOT] = {"not", &nsh_type_bool, FIELD(invert), .known_as = "invert invert-rule except",
                .otherwise = "false", .help = "all that the other keys do not match"},
        [KEY_IIF] = {"iif", &nsh_type_device, FIELD(iif),
                .known_as = "in dev incoming-interface iifname in-interface",
                .help = "the device the packet came in by; lo: sent by this machine"},
        [KEY_OIF] = {"oif", &nsh_type_device, FIELD(oif),
                .known_as = "out outgoing-interface oifname out-interface",
                .help = "the device that a socket of this machine is bound to"},
        [KEY_PRIORITY] = {"priority", &nsh_type_integer, FIELD(priority), .flags = NSH_KEY_REQUIRED,
                .max = UINT32_MAX,
                .missing = "write, say, priority: 1000; rules are tried from the lowest number up, "
                           "and the table 'main' is at 32766",
                .known_as = "pref preference prio order metric",
                .help = "its place among the rules; the lowest is tried first"},
        [KEY_TABLE] = {"table", &nsh_type_table, FIELD(table), .min = 1, .max = UINT32_MAX,
                .known_as = "routing-table lookup",
                .help = "the routing table in which the packet's way is looked up"},
        [KEY_MARK] = {"mark", &nsh_type_mark, FIELD(mark), .known_as = "fwmark firewall-mark",
                .help = "the packet's firewall mark, or mark/mask"},
        [KEY_TOS] = {"tos", &nsh_type_tos, FIELD(tos), .min = 4, .max = 252,
                .known_as = "type-of-service dsfield", .help = "the packet's type of service"},
        [KEY_PROTOCOL] = {"protocol", &nsh_type_ip_protocol, FIELD(protocol), .min = 1, .max = 255,
                .known_as = "ipproto ip-protocol proto", .help = "the packet's protocol"},
        [KEY_SOURCE_PORT] = {"source-port", &nsh_type_range, FIELD(source_port), .min = 1,
                .max = 65535, .known_as = "sport", .help = "its source port, or a range"},
        [KEY_DESTINATION_PORT] = {"destination-port", &nsh_type_range, FIELD(destination_port),
                .min = 1, .max = 65535, .known_as = "dport port",
                .help = "its destination port, or a range"},
        [KEY_UID_RANGE] = {"uid-range", &nsh_type_range, FIELD(uids), .max = UINT32_MAX - 1,
                .known_as = "uidrange user uid",
                .help = "users of this machine whose packet it is"},
        [KEY_SUPPRESS_PREFIX_LENGTH] = {"suppress-prefix-length", &nsh_type_integer,
                FIELD(suppress_length), .max = 128, .known_as = "suppress_prefixlength",
                .help = "passes over routes with a prefix that is not longer"},
        [KEY_SUPPRESS_INTERFACE_GROUP] = {"suppress-interface-group", &nsh_type_integer,
                FIELD(suppress_group), .max = INT32_MAX, .known_as = "suppress_ifgroup",
                .help = "passes over routes by a device of this group"},
        [KEY_L3MDEV] = {"l3mdev", &nsh_type_bool, FIELD(l3mdev), .known_as = "vrf",
                .otherwise = "false", .help = "the table of the VRF that the device belongs to"},
        [KEY_ACTION] = {"action", &nsh_type_word, FIELD(action), .words = actions,
                .known_as = "type", .otherwise = "lookup", .help = "what becomes of the packet"},
        [KEY_TARGET] = {"target", &nsh_type_integer, FIELD(target), .min = 1, .max = UINT32_MAX,
                .known_as = "goto", .help = "of action goto: the priority to go on from"},
        [KEY_FAMILY] = {"family", &nsh_type_families, FIELD(families), .flags = NSH_KEY_LIST,
                .help = "ipv4, ipv6 or both; needed where no address tells"},
        [KEY_WHEN] = {"when", &nsh_type_when, .known_as = "if condition only-if",
                .help = "only while an address is this machine's, or a device is up"},
};

/* What a rule matches by, beside addresses. */
static const uint64_t selectors = BIT(KEY_IIF) | BIT(KEY_OIF) | BIT(KEY_MARK) | BIT(KEY_TOS) |
                                  BIT(KEY_PROTOCOL) | BIT(KEY_SOURCE_PORT) |
                                  BIT(KEY_DESTINATION_PORT) | BIT(KEY_UID_RANGE);

static const char *family_name(unsigned family)
{
    return family == NSH_FAMILY_IPV6 ? "IPv6" : "IPv4";
}

static unsigned family_bit(const struct nsh_prefix *p)
{
    return p->family == AF_INET6 ? NSH_FAMILY_IPV6 : NSH_FAMILY_IPV4;
}

static unsigned families_of(const struct nsh_prefixes *list)
{
    unsigned families = 0;

    for (size_t i = 0; i < list->n; i++)
        families |= family_bit(&list->items[i]);
    return families;
}

static const char *action_name(const struct rule_draft *d)
{
    for (const struct nsh_word *w = actions; w->text; w++)
        if (w->value == d->action)
            return w->text;
    return "";
}

static bool has_error(const struct rule_draft *d, unsigned key)
{
    return (d->draft.bad >> key & 1) != 0;
}

/* Not given, or all there is. */
static bool is_any(const struct rule_draft *d, unsigned key)
{
    const struct nsh_prefixes *list = key == KEY_FROM ? &d->from : &d->to;

    for (size_t i = 0; i < list->n; i++)
        if (list->items[i].length == 0)
            return true;
    return nsh_absent(&d->draft, key);
}

static bool matches_all(const struct rule_draft *d)
{
    return !(d->draft.seen & selectors) && is_any(d, KEY_FROM) && is_any(d, KEY_TO);
}

static void begin_rule(struct nsh_loader *l, void *draft)
{
    struct rule_draft *d = draft;

    d->action = FR_ACT_TO_TBL;
    l->when = NSH_NO_GATE;
}

/* ---- judging the object ---- */

/* Every check sees a key only when that is right by itself, so that one mistake is told once. */
typedef void check(struct nsh_loader *l, struct rule_draft *d);

static void check_lookup(struct nsh_loader *l, struct rule_draft *d)
{
    const struct nsh_draft *head = &d->draft;

    if (d->l3mdev && nsh_given(head, KEY_TABLE))
        nsh_loader_error(l, head->marks[KEY_TABLE], "leave one of them out",
                "'l3mdev' takes the table of the packet's VRF, and 'table' is another");
    if (nsh_absent(head, KEY_TABLE) && !d->l3mdev && !has_error(d, KEY_L3MDEV))
        nsh_loader_error(l, head->at,
                "add 'table', or an action: goto, blackhole, unreachable or prohibit",
                "the rule has no 'table' to look in");
}

static void check_no_lookup(struct nsh_loader *l, struct rule_draft *d)
{
    static const unsigned of_lookup[] = {
            KEY_TABLE, KEY_L3MDEV, KEY_SUPPRESS_PREFIX_LENGTH, KEY_SUPPRESS_INTERFACE_GROUP};

    for (size_t i = 0; i < NSH_ARRAY_SIZE(of_lookup); i++)
        if (nsh_given(&d->draft, of_lookup[i]))
            nsh_loader_error(l, d->draft.marks[of_lookup[i]], "leave it out, or the action",
                    "'%s' is about a lookup, and the action is '%s'", keys[of_lookup[i]].name,
                    action_name(d));
}

static void check_action(struct nsh_loader *l, struct rule_draft *d)
{
    if (has_error(d, KEY_ACTION))
        return;
    if (d->action == FR_ACT_TO_TBL)
        check_lookup(l, d);
    else
        check_no_lookup(l, d);
}

static void check_target(struct nsh_loader *l, struct rule_draft *d)
{
    const struct nsh_draft *head = &d->draft;

    if (has_error(d, KEY_ACTION))
        return;
    if (d->action != FR_ACT_GOTO && nsh_given(head, KEY_TARGET))
        nsh_loader_error(l, head->marks[KEY_TARGET], "add action: goto, or leave it out",
                "'target' is where a goto leads, and the action is '%s'", action_name(d));
    if (d->action != FR_ACT_GOTO)
        return;
    if (nsh_absent(head, KEY_TARGET))
        nsh_loader_error(l, head->marks[KEY_ACTION],
                "add 'target' with the priority of the rule to go on from",
                "the action 'goto' needs a 'target'");
    else if (nsh_given(head, KEY_TARGET) && nsh_given(head, KEY_PRIORITY) &&
             d->target <= d->priority)
        nsh_loader_error(l, head->marks[KEY_TARGET], "write a number above the rule's own priority",
                "a goto leads forward: from %u to %u it would go back", d->priority, d->target);
}

static void check_not(struct nsh_loader *l, struct rule_draft *d)
{
    struct nsh_yaml_mark at = d->draft.marks[KEY_NOT];

    if (!d->invert)
        return;
    if (matches_all(d))
        nsh_loader_error(l, at, "say what the rule is not to match",
                "'not' alone leaves nothing that the rule could match");
    else if (d->from.n > 1 || d->to.n > 1)
        nsh_loader_error(l, at,
                "send what is to be left out elsewhere, by rules without 'not' and with a lower "
                "priority",
                "'not' with a list would match everything: each prefix becomes a rule of its own");
}

static void check_tos(struct nsh_loader *l, struct rule_draft *d)
{
    char hint[NSH_HINT_TEXT];

    if (!nsh_given(&d->draft, KEY_TOS) || !(d->tos & TOS_ECN))
        return;
    (void)snprintf(hint, sizeof(hint), "write %u", d->tos & ~TOS_ECN);
    nsh_loader_error(l, d->draft.marks[KEY_TOS], hint,
            "'tos' is a multiple of 4, since its lowest two bits are those of ECN: %u", d->tos);
}

static void check_ports(struct nsh_loader *l, struct rule_draft *d)
{
    static const uint32_t with_ports[] = {
            IPPROTO_TCP, IPPROTO_UDP, IPPROTO_DCCP, IPPROTO_SCTP, IPPROTO_UDPLITE};
    unsigned key = nsh_given(&d->draft, KEY_SOURCE_PORT) ? KEY_SOURCE_PORT : KEY_DESTINATION_PORT;

    if (!nsh_given(&d->draft, key) || !nsh_given(&d->draft, KEY_PROTOCOL))
        return;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(with_ports); i++)
        if (with_ports[i] == d->protocol)
            return;
    nsh_loader_error(l, d->draft.marks[key], "leave it out, or write protocol: tcp or udp",
            "protocol %u has no ports", d->protocol);
}

static void check_default_rules(struct nsh_loader *l, struct rule_draft *d)
{
    if (!nsh_given(&d->draft, KEY_PRIORITY) || !matches_all(d) ||
            (d->priority != PRIORITY_LOCAL && d->priority != PRIORITY_MAIN &&
                    d->priority != PRIORITY_DEFAULT))
        return;
    nsh_loader_error(l, d->draft.marks[KEY_PRIORITY], "choose another priority",
            "the rule for everything at priority %u is the kernel's own", d->priority);
}

/* ---- families ---- */

/* Both lists have prefixes of each of the rule's families, or are not given. */
static bool check_list(struct nsh_loader *l, struct rule_draft *d, unsigned key)
{
    const struct nsh_prefixes *list = key == KEY_FROM ? &d->from : &d->to;
    unsigned here = families_of(list), missing = d->families & ~here, more = here & ~d->families;

    if (list->n == 0 || (missing == 0 && more == 0))
        return true;
    if (more != 0)
        nsh_loader_error(l, d->draft.marks[key], "leave it out, or say family: [ipv4, ipv6]",
                "the rule is for %s, and '%s' has an %s prefix", family_name(d->families),
                keys[key].name, family_name(more));
    else
        nsh_loader_error(l, d->draft.marks[key],
                "add a prefix of this family, or make it two rules",
                "the rule is for %s too, and '%s' has no %s prefix", family_name(missing),
                keys[key].name, family_name(missing));
    return false;
}

static void settle_families(struct nsh_loader *l, struct rule_draft *d)
{
    unsigned from = families_of(&d->from), to = families_of(&d->to);

    if (d->draft.bad & (BIT(KEY_FROM) | BIT(KEY_TO) | BIT(KEY_FAMILY)))
        return;
    if (from && to && !(from & to)) {
        nsh_loader_error(l, d->draft.marks[KEY_TO], "both want prefixes of one family",
                "'from' is %s and 'to' is %s: nothing can match both", family_name(from),
                family_name(to));
        return;
    }
    if (!nsh_given(&d->draft, KEY_FAMILY))
        d->families = from | to;
    if (d->families == 0) {
        nsh_loader_error(l, d->draft.at, "add family: ipv4, family: ipv6 or family: [ipv4, ipv6]",
                "nothing tells the family of the rule");
        return;
    }
    if (check_list(l, d, KEY_FROM) && check_list(l, d, KEY_TO))
        return;
    d->draft.bad |= BIT(KEY_FAMILY); /* no rules of it */
}

static void check_ipv4(struct nsh_loader *l, struct rule_draft *d)
{
    if (!(d->families & NSH_FAMILY_IPV4) || d->draft.bad & BIT(KEY_FAMILY))
        return;
    if (nsh_given(&d->draft, KEY_SUPPRESS_PREFIX_LENGTH) && d->suppress_length > 32)
        nsh_loader_error(l, d->draft.marks[KEY_SUPPRESS_PREFIX_LENGTH], "it can be 0 to 32",
                "'suppress-prefix-length' is out of range for IPv4: %u", d->suppress_length);
    if (nsh_given(&d->draft, KEY_TOS) && !(d->tos & TOS_ECN) && d->tos > TOS_MAX_IPV4)
        nsh_loader_error(l, d->draft.marks[KEY_TOS], "it can be 4 to 28",
                "'tos' is out of range for an IPv4 rule: %u", d->tos);
}

static check *const checks[] = {
        check_action,
        check_target,
        check_not,
        check_tos,
        check_ports,
        check_default_rules,
        settle_families,
        check_ipv4,
};

/* ---- making the rules ---- */

static void add_rule(struct nsh_loader *l, const struct nsh_rule *rule)
{
    if (l->n_rules == NSH_RULES_MAX + 1)
        return; /* one too many, which the end reports */
    if (nsh_loader_grow(l, &l->rules, l->n_rules, &l->rules_room, sizeof(*l->rules))) {
        l->rules[l->n_rules] = *rule;
        nsh_rule_normalize(&l->rules[l->n_rules++]);
    }
}

static struct nsh_rule make_rule(struct nsh_loader *l, const struct rule_draft *d, unsigned family)
{
    struct nsh_rule r = {
            .priority = d->priority,
            .table = d->table,
            .target = d->target,
            .mark = d->mark,
            .uids = {0, NSH_UID_ANY_LAST},
            .source_port = d->source_port,
            .destination_port = d->destination_port,
            .suppress_length = NSH_SUPPRESS_NONE,
            .suppress_group = NSH_SUPPRESS_NONE,
            .origin = nsh_origins_at(l->config->origins, d->draft.at.line),
            .when = l->when,
            .family = family == NSH_FAMILY_IPV6 ? AF_INET6 : AF_INET,
            .action = (uint8_t)d->action,
            .tos = (uint8_t)d->tos,
            .ip_protocol = (uint8_t)d->protocol,
            .l3mdev = d->l3mdev,
            .invert = d->invert,
    };

    memcpy(r.iif, d->iif, sizeof(r.iif));
    memcpy(r.oif, d->oif, sizeof(r.oif));
    if (nsh_given(&d->draft, KEY_UID_RANGE))
        r.uids = d->uids;
    if (nsh_given(&d->draft, KEY_SUPPRESS_PREFIX_LENGTH))
        r.suppress_length = (int32_t)d->suppress_length;
    if (nsh_given(&d->draft, KEY_SUPPRESS_INTERFACE_GROUP))
        r.suppress_group = (int32_t)d->suppress_group;
    return r;
}

/* The prefix at or behind *at that is of the family; an empty list is one that means any. */
static bool next_prefix(
        const struct nsh_prefixes *list, unsigned family, size_t *at, struct nsh_prefix *ret)
{
    if (list->n == 0) {
        *ret = (struct nsh_prefix){0};
        return (*at)++ == 0;
    }
    while (*at < list->n) {
        *ret = list->items[(*at)++];
        if (family_bit(ret) == family)
            return true;
    }
    return false;
}

static void make_rules(struct nsh_loader *l, const struct rule_draft *d, unsigned family)
{
    struct nsh_rule r = make_rule(l, d, family);

    for (size_t i = 0; l->n_rules <= NSH_RULES_MAX && next_prefix(&d->from, family, &i, &r.from);)
        for (size_t k = 0; l->n_rules <= NSH_RULES_MAX && next_prefix(&d->to, family, &k, &r.to);)
            add_rule(l, &r);
}

static void finish_rule(struct nsh_loader *l, void *draft)
{
    struct rule_draft *d = draft;

    for (size_t i = 0; i < NSH_ARRAY_SIZE(checks); i++)
        checks[i](l, d);
    /* Compared with the others only if all is known that they are compared by. */
    if (l->failure != 0 || d->draft.bad != 0 || nsh_absent(&d->draft, KEY_PRIORITY))
        return;
    for (unsigned family = NSH_FAMILY_IPV4; family <= NSH_FAMILY_IPV6; family <<= 1)
        if (d->families & family)
            make_rules(l, d, family);
}

static void clear_rule(void *draft)
{
    struct rule_draft *d = draft;

    free(d->from.items);
    free(d->to.items);
}

_Static_assert(NSH_ARRAY_SIZE(keys) <= NSH_KEYS_MAX, "a draft has room for every key");
_Static_assert(sizeof(struct rule_draft) <= NSH_DRAFT_MAX, "the draft fits");

const struct nsh_object nsh_object_rule = {
        .noun = "rule",
        .keys = keys,
        .n_keys = NSH_ARRAY_SIZE(keys),
        .size = sizeof(struct rule_draft),
        .begin = begin_rule,
        .finish = finish_rule,
        .clear = clear_rule,
};
