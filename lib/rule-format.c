/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules as text, in the words and the order of ip-rule(8), so that what is shown can be typed.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "rule.h"

struct text {
    char *buf;
    size_t size, n;
};

__attribute__((format(printf, 2, 3))) static void put(struct text *t, const char *format, ...)
{
    va_list args;
    int n;

    if (t->n + 1 >= t->size)
        return;
    if (t->n > 0)
        t->buf[t->n++] = ' ';
    va_start(args, format);
    n = vsnprintf(t->buf + t->n, t->size - t->n, format, args);
    va_end(args);
    if (n > 0)
        t->n += (size_t)n;
}

static void put_prefix(struct text *t, const char *word, const struct nsh_prefix *p)
{
    char shown[NSH_PREFIX_TEXT];

    put(t, "%s %s", word, nsh_prefix_format(p, shown));
}

/* A source is always said, as `ip rule` does. */
static void put_addresses(struct text *t, const struct nsh_rule *r)
{
    if (r->from.family != AF_UNSPEC)
        put_prefix(t, "from", &r->from);
    else
        put(t, "from all");
    if (r->to.family != AF_UNSPEC)
        put_prefix(t, "to", &r->to);
}

static void put_range(struct text *t, const char *word, const struct nsh_range *r, bool always)
{
    if (r->first != r->last || always)
        put(t, "%s %u-%u", word, r->first, r->last);
    else
        put(t, "%s %u", word, r->first);
}

static void put_packet(struct text *t, const struct nsh_rule *r)
{
    if (r->tos != 0)
        put(t, "tos 0x%02x", r->tos);
    if (r->mark.mask == UINT32_MAX && r->mark.value != 0)
        put(t, "fwmark 0x%x", r->mark.value);
    else if (r->mark.mask != 0)
        put(t, "fwmark 0x%x/0x%x", r->mark.value, r->mark.mask);
    if (r->iif[0] != '\0')
        put(t, "iif %s", r->iif);
    if (r->oif[0] != '\0')
        put(t, "oif %s", r->oif);
    if (r->uids.first != 0 || r->uids.last != NSH_UID_ANY_LAST)
        put_range(t, "uidrange", &r->uids, true);
    if (r->ip_protocol != 0)
        put(t, "ipproto %u", r->ip_protocol);
    if (r->source_port.last != 0)
        put_range(t, "sport", &r->source_port, false);
    if (r->destination_port.last != 0)
        put_range(t, "dport", &r->destination_port, false);
}

static void put_table(struct text *t, uint32_t table)
{
    static const struct {
        uint32_t number;
        const char *name;
    } names[] = {{RT_TABLE_DEFAULT, "default"}, {RT_TABLE_MAIN, "main"}, {RT_TABLE_LOCAL, "local"}};

    for (size_t i = 0; i < NSH_ARRAY_SIZE(names); i++)
        if (names[i].number == table) {
            put(t, "lookup %s", names[i].name);
            return;
        }
    put(t, "lookup %u", table);
}

static void put_outcome(struct text *t, const struct nsh_rule *r)
{
    static const char *const words[] = {
            [FR_ACT_NOP] = "nop",
            [FR_ACT_BLACKHOLE] = "blackhole",
            [FR_ACT_UNREACHABLE] = "unreachable",
            [FR_ACT_PROHIBIT] = "prohibit",
    };

    if (r->l3mdev)
        put(t, "l3mdev");
    else if (r->action == FR_ACT_TO_TBL)
        put_table(t, r->table);
    if (r->suppress_length != NSH_SUPPRESS_NONE)
        put(t, "suppress_prefixlength %d", r->suppress_length);
    if (r->suppress_group != NSH_SUPPRESS_NONE)
        put(t, "suppress_ifgroup %d", r->suppress_group);
    if (r->action == FR_ACT_GOTO)
        put(t, "goto %u", r->target);
    else if (r->action != FR_ACT_TO_TBL && r->action < NSH_ARRAY_SIZE(words) && words[r->action])
        put(t, "%s", words[r->action]);
    else if (r->action != FR_ACT_TO_TBL)
        put(t, "type %u", r->action);
}

const char *nsh_rule_format(const struct nsh_rule *r, char *buf, size_t size)
{
    struct text t = {.buf = buf, .size = size};

    if (size > 0)
        buf[0] = '\0';
    if (r->invert)
        put(&t, "not");
    put_addresses(&t, r);
    put_packet(&t, r);
    put_outcome(&t, r);
    put(&t, "priority %u", r->priority);
    return buf;
}

const char *nsh_rule_format_name(const struct nsh_rule *r, char *buf, size_t size)
{
    size_t n;

    nsh_rule_format(r, buf, size);
    n = strlen(buf);
    if (r->from.family == AF_UNSPEC && r->to.family == AF_UNSPEC && n < size)
        snprintf(buf + n, size - n, " (%s)", r->family == AF_INET6 ? "ipv6" : "ipv4");
    return buf;
}
