/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Firewall rules: equality as a packet would see it, and their text as `iptables -S` writes it.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "nat.h"

/* A prefix of length 0 and the device "+" match everything: the same as nothing said. */
static bool prefix_is_any(const struct nsh_prefix *p)
{
    return p->family == AF_UNSPEC || p->length == 0;
}

static bool out_is_any(const char *out)
{
    return out[0] == '\0' || strcmp(out, "+") == 0;
}

static bool prefix_equal(const struct nsh_prefix *a, const struct nsh_prefix *b)
{
    if (prefix_is_any(a) || prefix_is_any(b))
        return prefix_is_any(a) && prefix_is_any(b);
    return nsh_prefix_cmp(a, b) == 0;
}

static bool out_equal(const char *a, const char *b)
{
    if (out_is_any(a) || out_is_any(b))
        return out_is_any(a) && out_is_any(b);
    return strcmp(a, b) == 0;
}

bool nsh_nat_rule_equal(const struct nsh_nat_rule *a, const struct nsh_nat_rule *b)
{
    if (a->action == NSH_NAT_OTHER || a->action != b->action)
        return false;
    if (a->action == NSH_NAT_JUMP && strcmp(a->target, b->target) != 0)
        return false;
    return prefix_equal(&a->from, &b->from) && prefix_equal(&a->to, &b->to) &&
           out_equal(a->out, b->out);
}

/* Appends at *at, which never passes size. */
__attribute__((format(printf, 4, 5))) static void add(
        char *buf, size_t size, size_t *at, const char *format, ...)
{
    va_list ap;
    int n;

    if (*at >= size)
        return;
    va_start(ap, format);
    n = vsnprintf(buf + *at, size - *at, format, ap);
    va_end(ap);
    if (n > 0)
        *at = (size_t)n < size - *at ? *at + (size_t)n : size;
}

static void add_prefix(
        char *buf, size_t size, size_t *at, const char *option, const struct nsh_prefix *p)
{
    char text[NSH_ADDR_TEXT];

    if (!prefix_is_any(p))
        add(buf, size, at, "%s %s/%u ", option, nsh_addr_format(p->family, &p->addr, text),
                p->length);
}

const char *nsh_nat_rule_format(const struct nsh_nat_rule *r, char *buf, size_t size)
{
    size_t at = 0;

    if (size > 0)
        buf[0] = '\0';
    add_prefix(buf, size, &at, "-s", &r->from);
    add_prefix(buf, size, &at, "-d", &r->to);
    if (!out_is_any(r->out))
        add(buf, size, &at, "-o %s ", r->out);
    switch (r->action) {
    case NSH_NAT_RETURN:
        add(buf, size, &at, "-j RETURN");
        break;
    case NSH_NAT_MASQUERADE:
        add(buf, size, &at, "-j MASQUERADE");
        break;
    case NSH_NAT_JUMP:
        add(buf, size, &at, "-j %s", r->target);
        break;
    case NSH_NAT_TRACK:
        add(buf, size, &at, "-m conntrack --ctstate INVALID -j RETURN");
        break;
    case NSH_NAT_OTHER:
        add(buf, size, &at, "(another rule)");
        break;
    }
    return buf;
}

const char *nsh_table_name(enum nsh_table t)
{
    static const char *const names[NSH_TABLE_COUNT] = {
            [NSH_TABLE_NAT] = "nat",
            [NSH_TABLE_RAW] = "raw",
    };

    return t < NSH_TABLE_COUNT ? names[t] : "?";
}

bool nsh_chain_is_ours(const char *name)
{
    return strncmp(name, NSH_CHAIN_PREFIX, strlen(NSH_CHAIN_PREFIX)) == 0;
}
