/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The key `check` of routes and nexthops. What is asked stands in it; by which nexthop, around it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "config-routes.h"

#define MILLISECOND 1000ULL
#define SECOND 1000000ULL
#define INTERVAL_MIN (100 * MILLISECOND)
#define INTERVAL_MAX (3600 * SECOND)
#define TIMEOUT_MIN (10 * MILLISECOND)
#define INTERVAL_DEFAULT (2 * SECOND)
#define TIMEOUT_DEFAULT SECOND
#define TIMES_MAX 100
#define FAIL_DEFAULT 3
#define RECOVER_DEFAULT 2

enum check_key {
    KEY_CHECK_PING,
    KEY_CHECK_TCP,
    KEY_CHECK_PORT,
    KEY_CHECK_DEV,
    KEY_CHECK_INTERVAL,
    KEY_CHECK_TIMEOUT,
    KEY_CHECK_FAIL,
    KEY_CHECK_RECOVER,
};

struct check_draft {
    struct nsh_draft draft;
    struct nsh_prefix ping, tcp;
    char dev[IFNAMSIZ];
    uint64_t interval, timeout;
    uint32_t port, fail, recover;
};

#define FIELD(member) .offset = offsetof(struct check_draft, member)

static const struct nsh_key keys[] = {
        [KEY_CHECK_PING] = {"ping", &nsh_type_address, FIELD(ping),
                .known_as = "icmp echo target host address",
                .help = "the address that is to answer to echo requests"},
        [KEY_CHECK_TCP] = {"tcp", &nsh_type_address, FIELD(tcp), .known_as = "connect http https",
                .help = "the address that is to take connections"},
        [KEY_CHECK_PORT] = {"port", &nsh_type_integer, FIELD(port), .min = 1, .max = 65535,
                .known_as = "tcp-port destination-port dport", .help = "of tcp: the port"},
        [KEY_CHECK_DEV] = {"dev", &nsh_type_device, FIELD(dev),
                .known_as = "device interface iface oif",
                .help = "the device by which probes leave, where the nexthop names none"},
        [KEY_CHECK_INTERVAL] = {"interval", &nsh_type_duration, FIELD(interval),
                .min = INTERVAL_MIN, .max = INTERVAL_MAX, .known_as = "every period frequency",
                .otherwise = "2s", .help = "how often it is asked"},
        [KEY_CHECK_TIMEOUT] = {"timeout", &nsh_type_duration, FIELD(timeout), .min = TIMEOUT_MIN,
                .max = INTERVAL_MAX, .known_as = "wait deadline",
                .help = "how long an answer is waited for"},
        [KEY_CHECK_FAIL] = {"fail", &nsh_type_integer, FIELD(fail), .min = 1, .max = TIMES_MAX,
                .known_as = "fall failures misses down max-fail", .otherwise = "3",
                .help = "so many misses in a row, and it fails"},
        [KEY_CHECK_RECOVER] = {"recover", &nsh_type_integer, FIELD(recover), .min = 1,
                .max = TIMES_MAX, .known_as = "rise successes up", .otherwise = "2",
                .help = "so many answers in a row, and it works again"},
};

static bool is_loopback(const struct nsh_prefix *p)
{
    static const union nsh_addr v6 = {.bytes = {[15] = 1}};

    return p->family == AF_INET ? p->addr.bytes[0] == 127 : nsh_addr_cmp(&p->addr, &v6) == 0;
}

/* The key that says what is asked, or KEY_CHECK_PORT after saying what is wrong with that. */
static enum check_key judge_target(struct nsh_loader *l, const struct check_draft *d)
{
    const struct nsh_draft *head = &d->draft;
    bool ping = !nsh_absent(head, KEY_CHECK_PING), tcp = !nsh_absent(head, KEY_CHECK_TCP);
    unsigned key = tcp ? KEY_CHECK_TCP : KEY_CHECK_PING;
    const struct nsh_prefix *target = tcp ? &d->tcp : &d->ping;
    char shown[NSH_PREFIX_TEXT];

    if (!ping && !tcp) {
        nsh_loader_error(l, head->at,
                "write check: {ping: 1.1.1.1} or check: {tcp: 1.1.1.1, port: 443}",
                "the check asks nobody");
        return KEY_CHECK_PORT;
    }
    if (ping && tcp)
        nsh_loader_error(l, head->marks[KEY_CHECK_TCP], "leave one of them out",
                "'ping' and 'tcp' exclude each other");
    if (tcp && nsh_absent(head, KEY_CHECK_PORT))
        nsh_loader_error(l, head->marks[KEY_CHECK_TCP], "add 'port', as in port: 443",
                "'tcp' needs a 'port'");
    if (!tcp && !nsh_absent(head, KEY_CHECK_PORT))
        nsh_loader_error(l, head->marks[KEY_CHECK_PORT], "leave it out, or write 'tcp' for 'ping'",
                "'port' is about 'tcp', and a ping has none");
    if (nsh_given(head, key) && is_loopback(target))
        nsh_loader_error(l, head->marks[key], "ask a host beyond the gateway",
                "%s is this machine itself: it answers whatever the nexthop does",
                nsh_prefix_format(target, shown));
    return key;
}

static void judge_times(struct nsh_loader *l, struct check_draft *d)
{
    const struct nsh_draft *head = &d->draft;
    char hint[NSH_HINT_TEXT];

    if (!nsh_given(head, KEY_CHECK_INTERVAL))
        d->interval = INTERVAL_DEFAULT;
    if (nsh_absent(head, KEY_CHECK_TIMEOUT))
        d->timeout = d->interval < TIMEOUT_DEFAULT ? d->interval : TIMEOUT_DEFAULT;
    if (d->timeout <= d->interval || head->bad & (1ULL << KEY_CHECK_INTERVAL))
        return;
    (void)snprintf(hint, sizeof(hint), "write at most %" PRIu64 "ms, or a longer 'interval'",
            (uint64_t)(d->interval / MILLISECOND));
    nsh_loader_error(l, head->marks[KEY_CHECK_TIMEOUT], hint,
            "'timeout' is longer than 'interval': a probe is given up before the next one leaves");
}

static void begin_check(struct nsh_loader *l, void *draft)
{
    struct check_draft *d = draft;

    l->check = (struct nsh_written_check){0};
    d->fail = FAIL_DEFAULT;
    d->recover = RECOVER_DEFAULT;
}

static void finish_check(struct nsh_loader *l, void *draft)
{
    struct check_draft *d = draft;
    enum check_key key = judge_target(l, d);
    const struct nsh_prefix *target = key == KEY_CHECK_TCP ? &d->tcp : &d->ping;
    struct nsh_check *c = &l->check.check;

    judge_times(l, d);
    l->check.at = d->draft.at;
    l->check.target_at = d->draft.marks[key];
    l->check.dev_at = d->draft.marks[KEY_CHECK_DEV];
    c->kind = key == KEY_CHECK_TCP ? NSH_CHECK_TCP : NSH_CHECK_PING;
    c->family = target->family;
    c->target = target->addr;
    c->port = (uint16_t)d->port;
    c->interval_usec = d->interval;
    c->timeout_usec = d->timeout;
    c->fail = d->fail;
    c->recover = d->recover;
    memcpy(c->dev, d->dev, sizeof(c->dev));
}

_Static_assert(sizeof(struct check_draft) <= NSH_DRAFT_MAX, "the draft fits");

static const struct nsh_object nsh_object_check = {
        .noun = "check",
        .keys = keys,
        .n_keys = NSH_ARRAY_SIZE(keys),
        .size = sizeof(struct check_draft),
        .begin = begin_check,
        .finish = finish_check,
};

const struct nsh_key_type nsh_type_check = {.shape = NSH_SHAPE_MAPPING,
        .what = "a mapping that says whom to ask",
        .hint = "write check: {ping: 1.1.1.1} or check: {tcp: 1.1.1.1, port: 443}",
        .object = &nsh_object_check};

/* ---- with the nexthop around it ---- */

nsh_gate_id nsh_route_check_gate(struct nsh_loader *l, const struct route_draft *d,
        const struct nsh_hop *h, int family, uint32_t link)
{
    struct nsh_gate gate = {.kind = NSH_GATE_CHECK, .check = h->check.check};
    struct nsh_check *c = &gate.check;
    struct nsh_link by_name = {0};

    /* Of another family than the route it is an error, which was told. */
    if (!h->checked || c->family != family)
        return NSH_NO_GATE;
    c->link = link;
    if (h->dev[0] != '\0') {
        memcpy(c->dev, h->dev, sizeof(c->dev));
    } else if (c->dev[0] != '\0') {
        memcpy(by_name.name, c->dev, sizeof(by_name.name));
        c->link = nsh_loader_link(l, &by_name);
    }
    c->via_family = h->via.family;
    c->via = h->via.addr;
    c->learned = h->learned;
    c->flags = h->on_link ? RTNH_F_ONLINK : 0;
    c->has_source = nsh_given(&d->draft, KEY_SOURCE) && d->source.family == family;
    if (c->has_source)
        c->source = d->source.addr;
    gate.origin = nsh_origins_at(l->config->origins, h->check.at.line);
    return nsh_loader_gate(l, h->check.at, &gate);
}
