/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gate.h"

#include <stdio.h>
#include <string.h>

static bool when_equal(const struct nsh_when *a, const struct nsh_when *b)
{
    return a->has_address == b->has_address && a->family == b->family &&
           nsh_addr_cmp(&a->address, &b->address) == 0 && strcmp(a->dev_up, b->dev_up) == 0;
}

bool nsh_check_same_way(const struct nsh_check *a, const struct nsh_check *b)
{
    return a->family == b->family && a->via_family == b->via_family &&
           nsh_addr_cmp(&a->via, &b->via) == 0 && strcmp(a->dev, b->dev) == 0 &&
           a->flags == b->flags && a->learned == b->learned && a->has_source == b->has_source &&
           nsh_addr_cmp(&a->source, &b->source) == 0;
}

static bool check_alike(const struct nsh_check *a, const struct nsh_check *b)
{
    return a->kind == b->kind && a->port == b->port && nsh_addr_cmp(&a->target, &b->target) == 0 &&
           nsh_check_same_way(a, b);
}

static bool check_equal(const struct nsh_check *a, const struct nsh_check *b)
{
    return check_alike(a, b) && a->interval_usec == b->interval_usec &&
           a->timeout_usec == b->timeout_usec && a->fail == b->fail && a->recover == b->recover;
}

bool nsh_gate_equal(const struct nsh_gate *a, const struct nsh_gate *b)
{
    if (a->kind != b->kind)
        return false;
    return a->kind == NSH_GATE_WHEN ? when_equal(&a->when, &b->when)
                                    : check_equal(&a->check, &b->check);
}

bool nsh_gate_alike(const struct nsh_gate *a, const struct nsh_gate *b)
{
    if (a->kind != b->kind)
        return false;
    return a->kind == NSH_GATE_WHEN ? when_equal(&a->when, &b->when)
                                    : check_alike(&a->check, &b->check);
}

/* ---- text ---- */

static void format_when(const struct nsh_when *w, char *buf, size_t size)
{
    char address[NSH_ADDR_TEXT];

    if (!w->has_address)
        snprintf(buf, size, "device %s up", w->dev_up);
    else if (w->dev_up[0] == '\0')
        snprintf(buf, size, "address %s", nsh_addr_format(w->family, &w->address, address));
    else
        snprintf(buf, size, "address %s with device %s up",
                nsh_addr_format(w->family, &w->address, address), w->dev_up);
}

static void format_check(const struct nsh_check *c, char *buf, size_t size)
{
    char target[NSH_ADDR_TEXT], via[NSH_ADDR_TEXT] = "", port[16] = "";
    bool gateway = c->learned || c->via_family != AF_UNSPEC, device = c->dev[0] != '\0';

    if (c->kind == NSH_CHECK_TCP)
        snprintf(port, sizeof port, " port %u", c->port);
    if (c->learned)
        snprintf(via, sizeof via, "learned-on");
    else if (gateway)
        nsh_addr_format(c->via_family, &c->via, via);
    snprintf(buf, size, "%s %s%s%s%s%s%s", c->kind == NSH_CHECK_TCP ? "tcp" : "ping",
            nsh_addr_format(c->family, &c->target, target), port, gateway ? " via " : "", via,
            !device      ? ""
            : c->learned ? " "
                         : " dev ",
            c->dev);
}

const char *nsh_gate_format(const struct nsh_gate *g, char *buf, size_t size)
{
    if (g->kind == NSH_GATE_WHEN)
        format_when(&g->when, buf, size);
    else
        format_check(&g->check, buf, size);
    return buf;
}

const char *nsh_gate_noun(const struct nsh_gate *g)
{
    return g->kind == NSH_GATE_WHEN ? "condition" : "check";
}
