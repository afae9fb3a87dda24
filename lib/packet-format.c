/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A packet rule's text, as `iptables -S` writes it.
 */
#include "packet.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"

struct text {
    char *buf;
    size_t size, at; /* at never passes size */
};

__attribute__((format(printf, 2, 3))) static void add(struct text *t, const char *format, ...)
{
    va_list ap;
    int n;

    if (t->at >= t->size)
        return;
    va_start(ap, format);
    n = vsnprintf(t->buf + t->at, t->size - t->at, format, ap);
    va_end(ap);
    if (n > 0)
        t->at = (size_t)n < t->size - t->at ? t->at + (size_t)n : t->size;
}

/* ---- matches ---- */

static void add_prefix(struct text *t, const char *option, const struct nsh_prefix *p)
{
    char addr[NSH_ADDR_TEXT];

    if (p->family != AF_UNSPEC && p->length > 0)
        add(t, "%s %s/%u ", option, nsh_addr_format(p->family, &p->addr, addr), p->length);
}

static void add_device(struct text *t, const char *option, const char *device)
{
    if (device[0] != '\0' && strcmp(device, "+") != 0)
        add(t, "%s %s ", option, device);
}

static void add_range(
        struct text *t, const char *option, const struct nsh_range *r, const char *between)
{
    if (r->first == 0 && r->last == 0)
        return;
    if (r->first == r->last)
        add(t, "%s %u ", option, r->first);
    else
        add(t, "%s %u%s%u ", option, r->first, between, r->last);
}

static const struct {
    uint8_t number;
    const char *name, *match; /* of `-m`; NULL: the protocol has none of its own */
} protocols[] = {
        {IPPROTO_ICMP, "icmp", NULL},
        {IPPROTO_TCP, "tcp", "tcp"},
        {IPPROTO_UDP, "udp", "udp"},
        {IPPROTO_DCCP, "dccp", "dccp"},
        {IPPROTO_GRE, "gre", NULL},
        {IPPROTO_ESP, "esp", NULL},
        {IPPROTO_AH, "ah", NULL},
        {IPPROTO_ICMPV6, "ipv6-icmp", NULL},
        {IPPROTO_SCTP, "sctp", "sctp"},
        {IPPROTO_UDPLITE, "udplite", NULL},
};

static void add_protocol(struct text *t, const struct nsh_packet_rule *r)
{
    const char *match = NULL;
    size_t i = 0;

    if (r->protocol == 0)
        return;
    while (i < NSH_ARRAY_SIZE(protocols) && protocols[i].number != r->protocol)
        i++;
    if (i < NSH_ARRAY_SIZE(protocols)) {
        add(t, "-p %s ", protocols[i].name);
        match = protocols[i].match;
    } else {
        add(t, "-p %u ", r->protocol);
    }
    if (r->protocol == IPPROTO_UDPLITE) {
        add_range(t, "-m multiport --sports", &r->source_port, ":");
        add_range(t, "-m multiport --dports", &r->destination_port, ":");
        return;
    }
    if (match && (r->syn || r->source_port.last > 0 || r->destination_port.last > 0))
        add(t, "-m %s ", match);
    add_range(t, "--sport", &r->source_port, ":");
    add_range(t, "--dport", &r->destination_port, ":");
    if (r->syn)
        add(t, "--tcp-flags SYN,RST SYN ");
}

static void add_states(struct text *t, const struct nsh_packet_rule *r)
{
    static const struct {
        uint8_t bit;
        const char *name;
    } states[] = {
            {NSH_STATE_INVALID, "INVALID"},
            {NSH_STATE_NEW, "NEW"},
            {NSH_STATE_RELATED, "RELATED"},
            {NSH_STATE_ESTABLISHED, "ESTABLISHED"},
    };
    const char *between = "";

    if (r->states != 0)
        add(t, "-m conntrack --ctstate ");
    for (size_t i = 0; i < NSH_ARRAY_SIZE(states); i++)
        if (r->states & states[i].bit) {
            add(t, "%s%s", between, states[i].name);
            between = ",";
        }
    /* Of the states one must hold, and this one beside them. */
    add(t, "%s%s", r->states ? " " : "", r->translated ? "-m conntrack --ctstate DNAT " : "");
}

static void add_local(struct text *t, const struct nsh_packet_rule *r)
{
    if (r->local != NSH_LOCAL_ANY)
        add(t, "-m addrtype --dst-type LOCAL ");
    if (r->local == NSH_LOCAL_FAR)
        add(t, "-m addrtype ! --dst-type LOCAL --limit-iface-in ");
}

static void add_matches(struct text *t, const struct nsh_packet_rule *r)
{
    add_prefix(t, "-s", &r->from);
    add_prefix(t, "-d", &r->to);
    add_device(t, "-i", r->in);
    add_device(t, "-o", r->out);
    add_protocol(t, r);
    if (r->mark.mask != 0 && r->mark.mask == UINT32_MAX)
        add(t, "-m mark --mark 0x%x ", r->mark.value);
    else if (r->mark.mask != 0)
        add(t, "-m mark --mark 0x%x/0x%x ", r->mark.value, r->mark.mask);
    if (r->from_set[0] != '\0')
        add(t, "-m set --match-set %s src ", r->from_set);
    if (r->to_set[0] != '\0')
        add(t, "-m set --match-set %s dst ", r->to_set);
    if (r->ipsec)
        add(t, "-m policy --dir out --pol ipsec ");
    add_local(t, r);
    add_states(t, r);
}

/* ---- targets ---- */

static void add_address(struct text *t, const struct nsh_packet_nat *n, bool brackets)
{
    char first[NSH_ADDR_TEXT], last[NSH_ADDR_TEXT];

    if (n->family == AF_UNSPEC)
        return;
    add(t, "%s%s", brackets ? "[" : "", nsh_addr_format(n->family, &n->first, first));
    if (nsh_addr_cmp(&n->first, &n->last) != 0)
        add(t, "-%s", nsh_addr_format(n->family, &n->last, last));
    add(t, "%s", brackets ? "]" : "");
}

static void add_nat(
        struct text *t, const char *target, const char *option, const struct nsh_packet_nat *n)
{
    bool ports = n->ports.last > 0;

    add(t, "-j %s", target);
    if (n->family != AF_UNSPEC || ports)
        add(t, " %s ", option);
    add_address(t, n, ports && n->family == AF_INET6);
    if (ports && strcmp(option, "--to-ports") != 0)
        add(t, ":");
    if (ports && n->ports.first == n->ports.last)
        add(t, "%u", n->ports.first);
    else if (ports)
        add(t, "%u-%u", n->ports.first, n->ports.last);
    if (n->random != NSH_RANDOM_NONE)
        add(t, " %s", n->random == NSH_RANDOM_FULLY ? "--random-fully" : "--random");
    if (n->persistent)
        add(t, " --persistent");
}

_Static_assert(NSH_PACKET_LOG_RATE % 60 == 0, "iptables writes the rate by the minute");

/* Quoted where a shell would need it. */
static void add_log(struct text *t, const char *prefix)
{
    size_t plain = strspn(prefix, "_-0123456789"
                                  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");

    add(t, "-m limit --limit %u/sec --limit-burst %u -j LOG", NSH_PACKET_LOG_RATE / 60,
            NSH_PACKET_LOG_BURST);
    if (*prefix == '\0')
        return;
    if (prefix[plain] == '\0') {
        add(t, " --log-prefix %s", prefix);
        return;
    }
    add(t, " --log-prefix \"");
    for (; *prefix; prefix++)
        add(t, "%s%c", strchr("\"\\'", *prefix) ? "\\" : "", *prefix);
    add(t, "\"");
}

static void add_action(struct text *t, const struct nsh_packet_rule *r)
{
    char prefix[NSH_ADDR_TEXT];

    switch (r->action) {
    case NSH_PACKET_RETURN:
        add(t, "-j RETURN");
        break;
    case NSH_PACKET_JUMP:
        add(t, "-j %s", r->target);
        break;
    case NSH_PACKET_ACCEPT:
        add(t, "-j ACCEPT");
        break;
    case NSH_PACKET_DROP:
        add(t, "-j DROP");
        break;
    case NSH_PACKET_MASQUERADE:
        add_nat(t, "MASQUERADE", "--to-ports", &r->nat);
        break;
    case NSH_PACKET_SNAT:
        add_nat(t, "SNAT", "--to-source", &r->nat);
        break;
    case NSH_PACKET_DNAT:
        add_nat(t, "DNAT", "--to-destination", &r->nat);
        break;
    case NSH_PACKET_NETMAP:
        add(t, "-j NETMAP --to %s/%u", nsh_addr_format(r->map.family, &r->map.addr, prefix),
                r->map.length);
        break;
    case NSH_PACKET_LOG:
        add_log(t, r->log);
        break;
    case NSH_PACKET_CLAMP_MSS:
        add(t, "-j TCPMSS --clamp-mss-to-pmtu");
        break;
    case NSH_PACKET_OTHER:
        add(t, "(another rule)");
        break;
    }
}

const char *nsh_packet_rule_format(const struct nsh_packet_rule *r, char *buf, size_t size)
{
    struct text t = {.buf = buf, .size = size};

    if (size > 0)
        buf[0] = '\0';
    add_matches(&t, r);
    add_action(&t, r);
    return buf;
}
