/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A configuration as text: all of its values, one a line.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "cleanup.h"
#include "config.h"

static inline void dump_prefixes(FILE *f, const char *key, const struct nsh_prefix_list *list)
{
    char text[NSH_PREFIX_TEXT];

    for (uint32_t i = 0; i < list->n; i++)
        fprintf(f, " %s %s", key, nsh_prefix_format(&list->items[i], text));
    if (list->items && list->n == 0)
        fprintf(f, " %s nothing", key);
}

static inline void dump_devices(FILE *f, const char *key, const struct nsh_device_list *list)
{
    for (uint32_t i = 0; i < list->n; i++)
        fprintf(f, " %s %s", key, list->items[i]);
}

static inline void dump_range(FILE *f, const char *key, const struct nsh_range *r)
{
    if (r->last != 0)
        fprintf(f, " %s %u-%u", key, r->first, r->last);
}

static inline void dump_ranges(FILE *f, const char *key, const struct nsh_range_list *list)
{
    for (uint32_t i = 0; i < list->n; i++)
        dump_range(f, key, &list->items[i]);
}

static inline void dump_protocols(FILE *f, const struct nsh_protocols *list)
{
    for (uint8_t i = 0; i < list->n; i++)
        fprintf(f, " protocol %u", list->items[i]);
}

static inline void dump_when(FILE *f, const struct nsh_config *c, nsh_gate_id gate)
{
    char text[NSH_GATE_TEXT];

    if (gate != NSH_NO_GATE)
        fprintf(f, " when %s", nsh_gate_format(&c->gates[gate], text, sizeof(text)));
    fputc('\n', f);
}

static inline void dump_nexthop_checks(
        FILE *f, const struct nsh_config *c, const struct nsh_route *r)
{
    char text[NSH_GATE_TEXT];

    for (uint32_t i = 0; i < r->props->n_nexthops; i++) {
        nsh_gate_id gate = r->props->nexthops[i].check;

        if (gate != NSH_NO_GATE)
            fprintf(f, " check %s", nsh_gate_format(&c->gates[gate], text, sizeof(text)));
    }
}

static inline void dump_checks(FILE *f, const struct nsh_config *c)
{
    char text[NSH_GATE_TEXT];

    if (c->n_ways > 0)
        fprintf(f, "ways %zu\n", c->n_ways);
    for (size_t i = 1; i < c->n_gates; i++) {
        const struct nsh_check *check = &c->gates[i].check;

        if (c->gates[i].kind != NSH_GATE_CHECK)
            continue;
        fprintf(f,
                "check %s: interval %llu timeout %llu us, fail %u recover %u, mark 0x%x table %u\n",
                nsh_gate_format(&c->gates[i], text, sizeof(text)),
                (unsigned long long)check->interval_usec, (unsigned long long)check->timeout_usec,
                check->fail, check->recover, check->mark, check->table);
    }
}

static inline void dump_policy(
        FILE *f, const struct nsh_config *c, const char *noun, const struct nsh_policy *p)
{
    uint32_t line;
    const char *path = nsh_origins_resolve(c->origins, p->origin, &line);

    fprintf(f, "%s %s (%s:%u)%s%s%s", noun, p->name, path, line,
            p->families & NSH_FAMILY_IPV4 ? " ipv4" : "",
            p->families & NSH_FAMILY_IPV6 ? " ipv6" : "", p->disabled ? " disabled" : "");
}

static inline void dump_source(FILE *f, const struct nsh_address_range *r)
{
    char first[NSH_ADDR_TEXT], last[NSH_ADDR_TEXT];

    if (r->family != AF_UNSPEC)
        fprintf(f, " to-source %s-%s", nsh_addr_format(r->family, &r->first, first),
                nsh_addr_format(r->family, &r->last, last));
}

static inline void dump_masquerade(
        FILE *f, const struct nsh_config *c, const struct nsh_masquerade *m)
{
    dump_policy(f, c, "masquerade", &m->policy);
    fprintf(f, "%s", m->position == NSH_POSITION_FIRST ? " first" : "");
    dump_prefixes(f, "from", &m->from);
    dump_prefixes(f, "to", &m->to);
    dump_prefixes(f, "except-from", &m->except_from);
    dump_prefixes(f, "except-to", &m->except_to);
    dump_devices(f, "out", &m->out);
    dump_devices(f, "except-out", &m->except_out);
    dump_protocols(f, &m->protocols);
    dump_ranges(f, "source-port", &m->source_ports);
    dump_ranges(f, "destination-port", &m->destination_ports);
    if (m->mark.mask != 0)
        fprintf(f, " mark %x/%x", m->mark.value, m->mark.mask);
    dump_range(f, "to-ports", &m->to_ports);
    dump_source(f, &m->to_source);
    fprintf(f, "%s%s%s", m->persistent ? " persistent" : "", m->log ? " log" : "",
            m->ipsec ? " ipsec" : "");
    if (m->random != NSH_RANDOM_NONE)
        fprintf(f, " random %u", m->random);
    dump_when(f, c, m->policy.when);
}

static inline void dump_share(FILE *f, const struct nsh_config *c, const struct nsh_share *s)
{
    dump_policy(f, c, "share", &s->policy);
    dump_devices(f, "lan", &s->lan);
    dump_devices(f, "wan", &s->wan);
    fprintf(f, "%s%s%s%s", s->masquerade_ipv6 ? " masquerade-ipv6" : "",
            s->allow_inbound ? " allow-inbound" : "", s->keep_mss ? " keep-mss" : "",
            s->isolate ? " isolate" : "");
    dump_when(f, c, s->policy.when);
}

static inline void dump_port_forward(
        FILE *f, const struct nsh_config *c, const struct nsh_port_forward *p)
{
    char to[NSH_PREFIX_TEXT];

    dump_policy(f, c, "port-forward", &p->policy);
    dump_devices(f, "in", &p->in);
    dump_protocols(f, &p->protocols);
    dump_range(f, "port", &p->port);
    fprintf(f, " to %s", nsh_prefix_format(&p->to, to));
    dump_range(f, "to-port", &p->to_port);
    dump_prefixes(f, "from", &p->from);
    dump_prefixes(f, "hairpin", &p->hairpin);
    dump_when(f, c, p->policy.when);
}

static inline void dump_network_map(
        FILE *f, const struct nsh_config *c, const struct nsh_network_map *m)
{
    char inside[NSH_PREFIX_TEXT], outside[NSH_PREFIX_TEXT];

    dump_policy(f, c, "network-map", &m->policy);
    dump_devices(f, "dev", &m->devices);
    fprintf(f, " inside %s outside %s", nsh_prefix_format(&m->inside, inside),
            nsh_prefix_format(&m->outside, outside));
    dump_when(f, c, m->policy.when);
}

static inline char *dump(const struct nsh_config *c)
{
    char *text = NULL, route[512];
    size_t size;
    FILE *f = open_memstream(&text, &size);

    assert_non_null(f);
    fprintf(f, "settings firewall %d forwarding %d on-stop %d protocol %u resync %llu us%s\n",
            c->settings.firewall, c->settings.forwarding, c->settings.on_stop,
            c->settings.route_protocol, (unsigned long long)c->settings.resync_usec,
            c->settings.flush_conntrack == NSH_FLUSH_CONNTRACK_CHANGED ? " flush-conntrack changed"
                                                                       : "");
    for (size_t i = 0; i < c->n_links; i++) {
        char via[NSH_ADDR_TEXT] = "";

        if (c->links[i].gateway_family)
            nsh_addr_format(c->links[i].gateway_family, &c->links[i].gateway, via);
        fprintf(f, "link %s%s%s\n", c->links[i].name, via,
                c->links[i].learns == AF_INET    ? " learns ipv4"
                : c->links[i].learns == AF_INET6 ? " learns ipv6"
                                                 : "");
    }
    for (size_t i = 0; i < c->n_routes; i++) {
        uint32_t line;
        const char *path = nsh_origins_resolve(c->origins, c->routes[i].origin, &line);

        fprintf(f, "route %s (%s:%u) scope %u%s",
                nsh_route_format(&c->routes[i], c->links, route, sizeof(route)), path, line,
                c->routes[i].props->scope,
                c->routes[i].props->on_conflict == NSH_CONFLICT_REPLACE ? " replace" : "");
        dump_nexthop_checks(f, c, &c->routes[i]);
        dump_when(f, c, c->routes[i].props->when);
    }
    for (size_t i = 0; i < c->n_rules; i++) {
        uint32_t line;
        const char *path = nsh_origins_resolve(c->origins, c->rules[i].origin, &line);

        fprintf(f, "rule %s (%s:%u)", nsh_rule_format_name(&c->rules[i], route, sizeof(route)),
                path, line);
        dump_when(f, c, c->rules[i].when);
    }
    for (size_t i = 0; i < c->n_masquerades; i++)
        dump_masquerade(f, c, &c->masquerades[i]);
    for (size_t i = 0; i < c->n_shares; i++)
        dump_share(f, c, &c->shares[i]);
    for (size_t i = 0; i < c->n_port_forwards; i++)
        dump_port_forward(f, c, &c->port_forwards[i]);
    for (size_t i = 0; i < c->n_network_maps; i++)
        dump_network_map(f, c, &c->network_maps[i]);
    dump_checks(f, c);
    assert_int_equal(fclose(f), 0);
    return text;
}
