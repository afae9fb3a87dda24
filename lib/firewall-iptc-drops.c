/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether one packet is dropped by rules in the tables of legacy iptables, as they stand, at the
 * hooks that it passes.
 */
#include "firewall-iptc-xt.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"

/* In the order in which the kernel asks. */
static const struct stage {
    enum nsh_hook hook;
    const char *table;
    bool untracked; /* nothing is known of the connection yet */
    bool begins;    /* only the first packet of a connection comes here */
} stages[] = {
        {NSH_HOOK_PREROUTING, "raw", .untracked = true},
        {NSH_HOOK_PREROUTING, "mangle"},
        {NSH_HOOK_PREROUTING, "nat", .begins = true},
        {NSH_HOOK_INPUT, "mangle"},
        {NSH_HOOK_INPUT, "filter"},
        {NSH_HOOK_INPUT, "security"},
        {NSH_HOOK_INPUT, "nat", .begins = true},
        {NSH_HOOK_FORWARD, "mangle"},
        {NSH_HOOK_FORWARD, "filter"},
        {NSH_HOOK_FORWARD, "security"},
        {NSH_HOOK_OUTPUT, "raw", .untracked = true},
        {NSH_HOOK_OUTPUT, "mangle"},
        {NSH_HOOK_OUTPUT, "nat", .begins = true},
        {NSH_HOOK_OUTPUT, "filter"},
        {NSH_HOOK_OUTPUT, "security"},
        {NSH_HOOK_POSTROUTING, "mangle"},
        {NSH_HOOK_POSTROUTING, "nat", .begins = true},
};

/* ---- words ---- */

static const char *program(const struct nsh_xt *xt)
{
    return xt->family == AF_INET6 ? "ip6tables" : "iptables";
}

void nsh_xt_explain_drop(const struct nsh_xt *xt, const struct nsh_forward_path *paths, size_t n,
        struct nsh_forward_drop *ret)
{
    char where[64];

    snprintf(ret->what, sizeof ret->what, "the legacy %s chain FORWARD", program(xt));
    snprintf(where, sizeof where, "%s-legacy -w -I FORWARD", program(xt));
    nsh_forward_fix(NSH_FORWARD_IPTABLES, where, paths, n, ret->fix, sizeof ret->fix);
}

static void explain_elsewhere(const struct nsh_xt *xt, const struct stage *s,
        const struct nsh_forward_path *path, struct nsh_forward_drop *ret)
{
    const struct nsh_forward_path alone = nsh_forward_alone(path);
    const char *chain = nsh_forward_hook_name(s->hook);
    char where[64];

    snprintf(ret->what, sizeof ret->what, "the legacy %s chain %s of the table %s", program(xt),
            chain, s->table);
    snprintf(where, sizeof where, "%s-legacy -w -t %s -I %s", program(xt), s->table, chain);
    nsh_forward_fix(NSH_FORWARD_IPTABLES, where, &alone, 1, ret->fix, sizeof ret->fix);
}

/* ---- asking ---- */

static int ask(const struct nsh_xt *xt, const struct stage *s, const struct nsh_forward_path *path,
        struct nsh_forward_drop *ret)
{
    const char *chain = nsh_forward_hook_name(s->hook);
    struct nsh_forward_path seen = *path, like[2];
    struct xtc_handle *h;
    int r = nsh_xt_name_listed(xt, s->table);

    if (r <= 0)
        return r;
    errno = 0;
    h = xt->init(s->table);
    if (!h)
        return errno > 0 ? -errno : -EIO;
    seen.untracked = s->untracked;
    r = nsh_xt_drops(xt, h, chain, &seen, ret);
    if (r > 0 && s->hook == NSH_HOOK_FORWARD && strcmp(s->table, "filter") == 0) {
        nsh_xt_explain_drop(xt, like, nsh_forward_like(path, like), ret);
        ret->hosts = true;
    } else if (r > 0) {
        explain_elsewhere(xt, s, path, ret);
    }
    xt->free(h);
    return r;
}

int nsh_xt_drops_anywhere(
        int family, const struct nsh_forward_path *path, struct nsh_forward_drop *ret)
{
    const struct nsh_xt *xt = nsh_xt_of(family);
    int r = 0;

    *ret = (struct nsh_forward_drop){0};
    if (!xt)
        return -EAFNOSUPPORT;
    for (size_t i = 0; r >= 0 && i < NSH_ARRAY_SIZE(stages); i++) {
        struct nsh_forward_drop one = {0};

        if (stages[i].hook != path->hook || (stages[i].begins && path->reply))
            continue;
        r = ask(xt, &stages[i], path, &one);
        if (r >= 0 && nsh_forward_found(ret, r, &one))
            return 1;
    }
    return r < 0 ? r : ret->doubtful;
}
