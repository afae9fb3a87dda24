/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `explain`: what becomes of a packet, step by step, and which step stops it. It only reads.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "common.h"
#include "explain.h"
#include "forward-drop.h"

/* Numbers as in the file: decimal, or hexadecimal with 0x. */
static bool read_mark(const char *text, uint32_t *ret)
{
    char *end;
    unsigned long value;

    if (text[strspn(text, "0123456789abcdefABCDEFx")] != '\0' || text[0] == '\0')
        return false;
    errno = 0;
    value = strtoul(text, &end, 0);
    if (*end != '\0' || errno != 0 || value > UINT32_MAX)
        return false;
    *ret = (uint32_t)value;
    return true;
}

static uint8_t protocol_of(const struct nsh_options *o, uint8_t family)
{
    const char *name = o->protocol;

    if (!name)
        name = o->port || o->source_port ? "tcp" : "icmp";
    if (strcmp(name, "tcp") == 0)
        return IPPROTO_TCP;
    if (strcmp(name, "udp") == 0)
        return IPPROTO_UDP;
    return family == AF_INET6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
}

/* A port that was not said is one that no rule is about. */
static int read_packet(const struct nsh_options *o, struct nsh_packet *p)
{
    uint8_t family;

    if (!nsh_addr_parse(o->operands[0], &p->family, &p->src) ||
            !nsh_addr_parse(o->operands[1], &family, &p->dst))
        return nsh_complain("two addresses are wanted"), NSH_EXIT_USAGE;
    if (family != p->family)
        return nsh_complain("%s and %s are not of one family", o->operands[0], o->operands[1]),
               NSH_EXIT_USAGE;
    p->protocol = protocol_of(o, family);
    p->state = NSH_STATE_NEW;
    if (!nsh_protocol_has_ports(p->protocol) && (o->port || o->source_port))
        return nsh_complain("%s has no ports", o->protocol), NSH_EXIT_USAGE;
    if (o->mark && !read_mark(o->mark, &p->mark))
        return nsh_complain("--mark wants a number such as 16 or 0x10, not '%s'", o->mark),
               NSH_EXIT_USAGE;
    if (!nsh_protocol_has_ports(p->protocol))
        return NSH_EXIT_OK;
    p->source_port = (uint16_t)(o->source_port ? o->source_port : NSH_FORWARD_PORT);
    p->destination_port = (uint16_t)(o->port ? o->port : NSH_FORWARD_PORT);
    return NSH_EXIT_OK;
}

static void follow(struct explain *e)
{
    static void (*const steps[])(struct explain * e) = {explain_arrival, explain_destination,
            explain_route, explain_forwarding, explain_source, explain_return};

    for (size_t i = 0; !e->stop && i < NSH_ARRAY_SIZE(steps); i++)
        steps[i](e);
}

static int explain_packet(struct explain *e)
{
    if (nsh_fib_netlink_new(&e->fib) < 0 || nsh_firewalls_open(&e->firewalls) < 0)
        return nsh_complain("cannot open rtnetlink, iptables and nftables");
    e->steps = json_array();
    if (explain_look(e) < 0)
        return NSH_EXIT_FAILED;
    follow(e);
    return explain_print(e);
}

int nsh_command_explain(const struct nsh_options *o)
{
    NSH_CLEANUP(explain_done) struct explain e = {.options = o};
    NSH_CLEANUP(nsh_loaded_done) struct nsh_loaded loaded = {0};
    int code = read_packet(o, &e.first);

    if (code != NSH_EXIT_OK)
        return code;
    e.notes = json_array();
    code = explain_configure(&e, &loaded);
    if (code != NSH_EXIT_OK)
        return code;
    e.desired = loaded.desired;
    return explain_packet(&e);
}
