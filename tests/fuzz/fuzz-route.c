/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel says of routes, rules, addresses, links and flows: the first byte says what it is
 * asked, the rest are its answers.
 */
#include "answers.h"

#include <string.h>

#include "conntrack.h"
#include "fib.h"

static struct nsh_fib *fib;

static int see_route(void *userdata, const struct nsh_route *route)
{
    char text[512];

    (void)userdata;
    FUZZ_MUST(route->family == AF_INET || route->family == AF_INET6);
    FUZZ_MUST(route->dst_length <= nsh_addr_bits(route->family));
    FUZZ_MUST(route->props->n_nexthops <= NSH_NEXTHOPS_MAX);
    (void)nsh_route_format(route, NULL, text, sizeof(text));
    return 0;
}

static int see_rule(void *userdata, const struct nsh_rule *rule)
{
    char text[NSH_RULE_TEXT];

    (void)userdata;
    FUZZ_MUST(rule->from.length <= nsh_addr_bits(rule->family));
    (void)nsh_rule_format(rule, text, sizeof(text));
    return 0;
}

static void see_address(void *userdata, const struct nsh_fib_address *address)
{
    char text[NSH_PREFIX_TEXT];

    (void)userdata;
    FUZZ_MUST(address->net.length <= nsh_addr_bits(address->family));
    (void)nsh_prefix_format(&address->net, text);
}

static void see_link(void *userdata, const struct nsh_fib_link *link)
{
    (void)userdata;
    FUZZ_MUST(link->name && strlen(link->name) < 256);
}

static void see_event(void *userdata, const struct nsh_fib_event *event)
{
    (void)userdata;
    if (event->type == NSH_FIB_ROUTE_NEW || event->type == NSH_FIB_ROUTE_GONE)
        (void)see_route(NULL, &event->route);
    else if (event->type == NSH_FIB_RULE)
        (void)see_rule(NULL, &event->rule);
}

static void see_failed(void *userdata, size_t index, int error, const char *why)
{
    (void)userdata;
    FUZZ_MUST(index == 0 && error < 0 && (!why || strlen(why) < 1024));
}

/* ---- the questions ---- */

static void dump_routes(void)
{
    int r = fib->ops->dump_begin(fib, NULL);

    for (int i = 0; r >= 0 && i < 16; i++) {
        r = fib->ops->dump_read(fib, see_route, NULL);
        if (r == 0)
            break;
    }
}

static void dump_rules(void)
{
    (void)fib->ops->rules_dump(fib, see_rule, NULL);
}

static void dump_addresses(void)
{
    (void)fib->ops->addresses(fib, see_address, NULL);
}

static void dump_links(void)
{
    (void)fib->ops->links(fib, see_link, NULL);
}

static void read_events(void)
{
    if (fib->ops->events_open(fib, 110) >= 0)
        (void)fib->ops->events_read(fib, see_event, NULL);
}

static void ask_paths(void)
{
    const struct nsh_fib_question q = {.family = AF_INET6, .to.bytes[0] = 0xfd};
    struct nsh_fib_answer answer;
    struct nsh_fib_path path;

    (void)fib->ops->lookup(fib, AF_INET, &q.to, 0, NULL, &path);
    (void)fib->ops->path(fib, &q, &answer);
    (void)fib->ops->entry(fib, &q, see_route, NULL);
}

static void ask_links(void)
{
    char name[IFNAMSIZ];
    uint32_t index, table;

    (void)fib->ops->link_index(fib, "eth0", &index);
    if (fib->ops->link_name(fib, 2, name) == 0)
        FUZZ_MUST(strnlen(name, sizeof(name)) < sizeof(name));
    (void)fib->ops->vrf(fib, "blue", &index, &table);
}

static void write_some(void)
{
    union nsh_route_room room = {0};
    struct nsh_fib_op op = {.verb = NSH_FIB_REPLACE,
            .route = {.props = &room.props, .family = AF_INET, .dst_length = 8, .protocol = 110}};
    const struct nsh_fib_rule_op rule = {.verb = NSH_FIB_RULE_ADD,
            .rule = {.family = AF_INET, .table = 7, .action = 1, .protocol = 110}};

    room.props.type = 6; /* blackhole */
    op.route.dst.bytes[0] = 10;
    (void)fib->ops->submit(fib, NULL, &op, 1, see_failed, NULL);
    (void)fib->ops->rules_submit(fib, &rule, 1, see_failed, NULL);
}

static void look_at_flows(void)
{
    const struct nsh_translations none = {0};
    struct nsh_conntrack *ct = NULL;

    if (nsh_conntrack_new(&ct) < 0)
        return;
    if (nsh_conntrack_begin(ct, AF_INET) == 0)
        for (int i = 0; i < 16 && nsh_conntrack_step(ct, fib, &none) > 0; i++)
            ;
    nsh_conntrack_free(ct);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const questions[])(void) = {dump_routes, dump_rules, dump_addresses, dump_links,
            read_events, ask_paths, ask_links, write_some, look_at_flows};
    struct fuzz_input in = {data, size};
    uint8_t which = fuzz_byte(&in) % NSH_ARRAY_SIZE(questions);

    FUZZ_MUST(fib || nsh_fib_netlink_new(&fib) == 0);
    fuzz_answers(&in);
    questions[which]();
    in.size = 0;
    fuzz_answers(&in);
    return 0;
}
