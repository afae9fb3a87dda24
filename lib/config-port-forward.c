/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The section `port-forwards`.
 *
 * Who reaches the port by a public address from inside has to be translated as well, else the
 * answers would go to him directly, from an address he never asked: `hairpin`. Inside is the
 * private block that `to` belongs to, unless the file says it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "config-patterns.h"
#include "config-policies.h"

enum forward_key {
    KEY_IN = POLICY_KEYS,
    KEY_PROTOCOL,
    KEY_PORT,
    KEY_TO,
    KEY_TO_PORT,
    KEY_FROM,
    KEY_HAIRPIN,
    KEY_HAIRPIN_FROM,
};

enum { LISTS = 3 };

struct forward_draft {
    struct policy_draft head;
    struct nsh_devices in;
    unsigned protocols; /* bits */
    struct nsh_range port, to_port;
    struct nsh_prefix to;
    struct nsh_prefixes from, hairpin_from;
    bool hairpin;
};

enum { TCP = 1, UDP = 2 };

static const struct nsh_word protocols[] = {
        {"tcp", TCP},
        {"udp", UDP},
        {"both", TCP | UDP},
        {NULL, 0},
};

/* ---- what other programs write as host:port ---- */

/* The ':' of 192.0.2.1:80 or [2001:db8::1]:80; NULL: it is no such thing. */
static const char *find_port(const char *text)
{
    const char *colon = strrchr(text, ':');

    if (!colon || colon[1] == '\0' || colon[1 + strspn(colon + 1, "0123456789-")] != '\0')
        return NULL;
    return strchr(text, ':') == colon || (text[0] == '[' && colon[-1] == ']') ? colon : NULL;
}

static void read_to(struct nsh_loader *l, const struct nsh_key *key, void *field,
        const struct nsh_yaml_event *value)
{
    const char *colon = find_port(value->text);
    const char *host = value->text + (value->text[0] == '[');
    char hint[NSH_HINT_TEXT];

    if (!colon) {
        nsh_type_address.read(l, key, field, value);
        return;
    }
    (void)snprintf(hint, sizeof(hint), "write to: %.*s and to-port: %.16s",
            (int)strcspn(host, host > value->text ? "]" : ":"), host, colon + 1);
    nsh_loader_error(l, value->mark, hint, "'to' is an address alone, not '%s'",
            nsh_loader_show(l, value->text));
}

static const struct nsh_key_type type_to = {.what = "an address",
        .hint = "write, say, to: 192.168.1.10",
        .read = read_to,
        .forms = NSH_FORM_TEXT,
        .pattern = "^" NSH_ADDRESS_PATTERN "$",
        .size = sizeof(struct nsh_prefix)};

/* "8080:80" is two ports to some, and a range to others. */
static void read_port(struct nsh_loader *l, const struct nsh_key *key, void *field,
        const struct nsh_yaml_event *value)
{
    const char *colon = find_port(value->text);
    char hint[NSH_HINT_TEXT];
    int n;

    if (!colon) {
        nsh_type_range.read(l, key, field, value);
        return;
    }
    n = (int)(colon - value->text);
    (void)snprintf(hint, sizeof(hint),
            "a range is written %.*s-%.16s; one port that leads to another port: %.*s and "
            "to-port: %.16s",
            n, value->text, colon + 1, n, value->text, colon + 1);
    nsh_loader_error(l, value->mark, hint, "'%s' wants one port or a range, not '%s'", key->name,
            nsh_loader_show(l, value->text));
}

static const struct nsh_key_type type_port = {.what = "a port or a range",
        .hint = "write, say, 80 or 8000-8010",
        .read = read_port,
        .forms = NSH_FORM_INTEGER | NSH_FORM_TEXT,
        .pattern = NSH_RANGE_PATTERN,
        .size = sizeof(struct nsh_range)};

#define FIELD(member) .offset = offsetof(struct forward_draft, member)

static const struct nsh_key keys[] = {
        [KEY_NAME] = POLICY_KEY_NAME,
        [KEY_FAMILY] = POLICY_KEY_FAMILY,
        [KEY_ENABLED] = POLICY_KEY_ENABLED,
        [KEY_WHEN] = POLICY_KEY_WHEN,
        [KEY_IN] = {"in", &nsh_type_named, FIELD(in), .flags = NSH_KEY_REQUIRED | NSH_KEY_LIST,
                .missing = "write, say, in: eth0: the device by which they come",
                .known_as = "dev wan device interface iif", .help = "devices by which they come"},
        [KEY_PROTOCOL] = {"protocol", &nsh_type_word, FIELD(protocols), .words = protocols,
                .flags = NSH_KEY_REQUIRED, .missing = "write protocol: tcp, udp or both",
                .known_as = "proto", .help = "tcp, udp or both"},
        [KEY_PORT] = {"port", &type_port, FIELD(port), .flags = NSH_KEY_REQUIRED, .min = 1,
                .max = 65535, .missing = "write, say, port: 443",
                .known_as = "ports dport destination-port", .help = "the port, or a range"},
        [KEY_TO] = {"to", &type_to, FIELD(to), .flags = NSH_KEY_REQUIRED,
                .missing = "write, say, to: 192.168.1.10",
                .known_as = "destination host to-destination target",
                .help = "the machine to which they lead"},
        [KEY_TO_PORT] = {"to-port", &type_port, FIELD(to_port), .min = 1, .max = 65535,
                .known_as = "to-ports target-port",
                .help = "its port, or a range as long as 'port'; without it the same"},
        [KEY_FROM] = {"from", &nsh_type_prefixes, FIELD(from), .flags = NSH_KEY_LIST,
                .known_as = "source src saddr allow", .help = "who may; without it anyone"},
        [KEY_HAIRPIN] = {"hairpin", &nsh_type_bool, FIELD(hairpin),
                .known_as = "loopback nat-reflection reflection", .otherwise = "false",
                .help = "true: from inside it is reached by the public address, too"},
        [KEY_HAIRPIN_FROM] = {"hairpin-from", &nsh_type_prefixes, FIELD(hairpin_from),
                .flags = NSH_KEY_LIST,
                .help = "who is inside; without it the private block that 'to' is in"},
};

/* ---- judging the policy ---- */

static void list_lists(const struct forward_draft *d, struct nsh_prefixes *to,
        struct policy_list ret[static LISTS])
{
    *to = (struct nsh_prefixes){
            .items = (struct nsh_prefix *)&d->to, .n = d->to.family != AF_UNSPEC};
    ret[0] = (struct policy_list){KEY_TO, "to", to, .single = true};
    ret[1] = (struct policy_list){KEY_FROM, "from", &d->from};
    ret[2] = (struct policy_list){KEY_HAIRPIN_FROM, "hairpin-from", &d->hairpin_from};
}

static void check_to(struct nsh_loader *l, struct forward_draft *d)
{
    bool loopback = d->to.family == AF_INET6 ? IN6_IS_ADDR_LOOPBACK(&d->to.addr.v6)
                                             : d->to.addr.bytes[0] == 127;

    if (!nsh_given(&d->head.draft, KEY_TO))
        return;
    if (loopback)
        nsh_loader_error(l, d->head.draft.marks[KEY_TO], "write the address of another machine",
                "'to' can't be this machine's loopback");
    else if (nsh_addr_is_link_local(d->to.family, &d->to.addr))
        nsh_loader_error(l, d->head.draft.marks[KEY_TO], "write an address of wider scope",
                "'to' can't be link-local: nothing is forwarded there");
}

static uint32_t length(const struct nsh_range *r)
{
    return r->last - r->first + 1;
}

static void check_ports(struct nsh_loader *l, struct forward_draft *d)
{
    char hint[NSH_HINT_TEXT];
    uint64_t last;

    if (!nsh_given(&d->head.draft, KEY_PORT) || !nsh_given(&d->head.draft, KEY_TO_PORT) ||
            length(&d->to_port) == 1 || length(&d->to_port) == length(&d->port))
        return;
    last = (uint64_t)d->to_port.first + length(&d->port) - 1;
    if (length(&d->port) == 1 || last > 65535)
        (void)snprintf(hint, sizeof(hint), "write one port");
    else
        (void)snprintf(
                hint, sizeof(hint), "write %u-%u, or one port", d->to_port.first, (unsigned)last);
    nsh_loader_error(l, d->head.draft.marks[KEY_TO_PORT], hint,
            "'to-port' has %u ports, and 'port' has %u", length(&d->to_port), length(&d->port));
}

static const char *const private_blocks[] = {
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"};

/* The private block that `to` is in. */
static bool find_block(const struct nsh_prefix *to, struct nsh_prefix *ret)
{
    for (size_t i = 0; i < NSH_ARRAY_SIZE(private_blocks); i++)
        if (nsh_prefix_parse(private_blocks[i], ret) == NSH_PREFIX_OK &&
                nsh_prefix_contains(ret, to->family, &to->addr))
            return true;
    return false;
}

static void check_hairpin(struct nsh_loader *l, struct forward_draft *d)
{
    const struct nsh_draft *head = &d->head.draft;
    struct nsh_prefix block;

    if (head->bad >> KEY_HAIRPIN & 1)
        return;
    if (!d->hairpin && !nsh_absent(head, KEY_HAIRPIN_FROM))
        nsh_loader_error(l, head->marks[KEY_HAIRPIN_FROM], "add hairpin: true, or leave it out",
                "'hairpin-from' says for whom, and there is no 'hairpin'");
    else if (d->hairpin && nsh_absent(head, KEY_HAIRPIN_FROM) && nsh_given(head, KEY_TO) &&
             !find_block(&d->to, &block))
        nsh_loader_error(l, head->marks[KEY_HAIRPIN],
                "add 'hairpin-from' with the prefix of the network inside",
                "'to' is in no private block, which would tell who is inside");
}

/* A range that goes to another needs a rule for each port. */
static uint64_t count_ports(const struct forward_draft *d)
{
    bool moved = length(&d->to_port) > 1 && d->to_port.first != d->port.first;

    return moved ? length(&d->port) : 1;
}

static void check_size(struct nsh_loader *l, struct forward_draft *d)
{
    for (unsigned family = NSH_FAMILY_IPV4; family <= NSH_FAMILY_IPV6; family <<= 1) {
        uint64_t from = nsh_policy_count(&d->from, family);
        uint64_t hairpin = nsh_policy_count(&d->hairpin_from, family);

        nsh_policy_check_size(l, &d->head, family,
                2 * count_ports(d) * ((from ? from : 1) * d->in.n + (hairpin ? hairpin : 1)));
    }
}

static void advise_from(struct nsh_loader *l, struct forward_draft *d)
{
    if (l->advise && nsh_absent(&d->head.draft, KEY_FROM) && nsh_given(&d->head.draft, KEY_NAME) &&
            d->head.enabled)
        nsh_loader_warning(l, d->head.draft.at, "'from' says who may", "anyone may use '%s'",
                d->head.policy.name);
}

/* ---- from draft to policy ---- */

static void keep_protocols(const struct forward_draft *d, struct nsh_protocols *ret)
{
    if (d->protocols & TCP)
        ret->items[ret->n++] = IPPROTO_TCP;
    if (d->protocols & UDP)
        ret->items[ret->n++] = IPPROTO_UDP;
}

static struct nsh_prefix_list keep_hairpin(struct nsh_loader *l, const struct forward_draft *d)
{
    struct nsh_prefixes block = {.n = 1};
    struct nsh_prefix prefix;

    if (!d->hairpin)
        return (struct nsh_prefix_list){0};
    if (!nsh_absent(&d->head.draft, KEY_HAIRPIN_FROM))
        return nsh_keep_prefixes(l, &d->head.draft, KEY_HAIRPIN_FROM, &d->hairpin_from);
    if (!find_block(&d->to, &prefix))
        return (struct nsh_prefix_list){0};
    block.items = &prefix;
    return nsh_keep_prefixes(l, &d->head.draft, KEY_HAIRPIN, &block);
}

static void keep(struct nsh_loader *l, const struct forward_draft *d)
{
    struct nsh_port_forward f = {
            .policy = d->head.policy,
            .in = nsh_keep_devices(l, &d->in),
            .port = d->port,
            .to = d->to,
            .to_port = nsh_given(&d->head.draft, KEY_TO_PORT) ? d->to_port : d->port,
            .from = nsh_keep_prefixes(l, &d->head.draft, KEY_FROM, &d->from),
            .hairpin = keep_hairpin(l, d),
    };

    keep_protocols(d, &f.protocols);
    nsh_policy_keep(l, NSH_POLICY_PORT_FORWARD, &f);
}

static void complete_forward(struct nsh_loader *l, void *draft)
{
    struct forward_draft *d = draft;
    struct policy_list lists[LISTS];
    struct nsh_prefixes to;

    list_lists(d, &to, lists);
    if (nsh_given(&d->head.draft, KEY_TO))
        (void)nsh_policy_families(l, &d->head, lists, LISTS, 0);
    check_size(l, d);
    if (nsh_policy_is_kept(l, &d->head))
        keep(l, d);
}

static void finish_forward(struct nsh_loader *l, void *draft)
{
    struct forward_draft *d = draft;
    struct policy_list lists[LISTS];
    struct nsh_prefixes to;

    list_lists(d, &to, lists);
    for (size_t i = 0; i < LISTS; i++)
        nsh_policy_check_prefixes(l, &d->head, &lists[i]);
    nsh_policy_check_devices(l, &d->head, KEY_IN, "in", &d->in);
    check_to(l, d);
    check_ports(l, d);
    check_hairpin(l, d);
    advise_from(l, d);
    nsh_policy_finish(l, &nsh_object_port_forward, draft, complete_forward);
}

static void clear_forward(void *draft)
{
    struct forward_draft *d = draft;

    free(d->in.items);
    free(d->from.items);
    free(d->hairpin_from.items);
}

_Static_assert(sizeof(struct forward_draft) <= NSH_DRAFT_MAX, "the draft fits");

const struct nsh_object nsh_object_port_forward = {
        .noun = "port-forward",
        .keys = keys,
        .n_keys = NSH_ARRAY_SIZE(keys),
        .size = sizeof(struct forward_draft),
        .begin = nsh_policy_begin,
        .finish = finish_forward,
        .clear = clear_forward,
};
