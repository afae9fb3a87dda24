/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel can do: tables, and the matches and targets in the revisions that are written.
 * These are the latest ones iptables 1.8.9 knows; every kernel since 4.18 has them, unless it was
 * built without.
 */
#include "firewall-iptc-xt.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"

#define IN(table) (1U << NSH_TABLE_##table)

/* These options alone have different numbers in the two families. */
static const struct kind {
    int options[2]; /* by nsh_xt.index */
    const char *name;
} target = {{IPT_SO_GET_REVISION_TARGET, IP6T_SO_GET_REVISION_TARGET}, "target"},
  match = {{IPT_SO_GET_REVISION_MATCH, IP6T_SO_GET_REVISION_MATCH}, "match"};

static const struct extension {
    const struct kind *kind;
    const char *name, *module;
    uint8_t revision[2]; /* by nsh_xt.index */
    unsigned int needed; /* tables in which nearly all of netshared's rules want it */
} extensions[] = {
        {&target, "MASQUERADE", "xt_MASQUERADE", {0, 0}, IN(NAT)},
        {&match, "conntrack", "xt_conntrack", {3, 3}, IN(NAT) | IN(RAW) | IN(FILTER)},
        {&target, "TCPMSS", "xt_TCPMSS", {0, 0}, IN(MANGLE)},
        {&match, "tcp", "xt_tcpudp", {0, 0}, IN(MANGLE)},
        {&target, "SNAT", "xt_nat", {0, 1}, 0},
        {&target, "DNAT", "xt_nat", {2, 2}, 0},
        {&target, "NETMAP", "xt_NETMAP", {0, 0}, 0},
        {&target, "LOG", "xt_LOG", {0, 0}, 0},
        {&match, "udp", "xt_tcpudp", {0, 0}, 0},
        {&match, "sctp", "xt_sctp", {0, 0}, 0},
        {&match, "dccp", "xt_dccp", {0, 0}, 0},
        {&match, "multiport", "xt_multiport", {1, 1}, 0},
        {&match, "mark", "xt_mark", {1, 1}, 0},
        {&match, "set", "xt_set", {4, 4}, 0},
        {&match, "policy", "xt_policy", {0, 0}, 0},
        {&match, "addrtype", "xt_addrtype", {1, 1}, 0},
        {&match, "limit", "xt_limit", {0, 0}, 0},
};

static int probe_extension(
        struct nsh_xt_poll *p, const struct nsh_xt *xt, const struct extension *e)
{
    struct xt_get_revision rev = {.revision = e->revision[xt->index]};

    snprintf(rev.name, sizeof rev.name, "%s", e->name);
    return nsh_xt_ask(p, xt, e->kind->options[xt->index], &rev, sizeof rev);
}

int nsh_xt_probe(struct nsh_xt_poll *p, const struct nsh_xt *xt, enum nsh_table table,
        char *ret_why, size_t size)
{
    struct ipt_getinfo info;
    int r = nsh_xt_get_info(p, xt, table, &info);

    if (r < 0) {
        nsh_xt_words(xt, table, NULL, NSH_XT_OPENING, r, ret_why, size);
        return r;
    }
    for (size_t i = 0; i < NSH_ARRAY_SIZE(extensions); i++) {
        const struct extension *e = &extensions[i];

        r = e->needed & (1U << table) ? probe_extension(p, xt, e) : 0;
        if (r < 0) {
            if (ret_why && size > 0)
                snprintf(ret_why, size, "the kernel lacks the %s %s %s (revision %u): %s; load %s",
                        xt->title, e->kind->name, e->name, e->revision[xt->index], strerror(-r),
                        e->module);
            return r;
        }
    }
    return 0;
}

void nsh_xt_missing(struct nsh_xt_poll *p, const struct nsh_xt *xt, enum nsh_table table, char *buf,
        size_t size)
{
    size_t at;

    if (!buf || size == 0)
        return;
    at = (size_t)snprintf(
            buf, size, "%s table %s: the kernel lacks", xt->title, nsh_table_name(table));
    for (size_t i = 0, n = 0; i < NSH_ARRAY_SIZE(extensions) && at < size; i++) {
        const struct extension *e = &extensions[i];

        if (probe_extension(p, xt, e) < 0)
            at += (size_t)snprintf(buf + at, size - at, "%s the %s %s (revision %u; load %s)",
                    n++ > 0 ? "," : "", e->kind->name, e->name, e->revision[xt->index], e->module);
        else if (i + 1 == NSH_ARRAY_SIZE(extensions) && n == 0)
            snprintf(buf + at, size - at, " a match or target that the rules use");
    }
}
