/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "forward-drop.h"

/* The same connection's packets in the other direction. */
static struct nsh_forward_path turned(const struct nsh_forward_path *p)
{
    struct nsh_forward_path r = *p;

    memcpy(r.in, p->out, sizeof r.in);
    memcpy(r.out, p->in, sizeof r.out);
    r.reply = !p->reply;
    r.from = p->to;
    r.to = p->from;
    r.from_port = p->to_port;
    r.to_port = p->from_port;
    return r;
}

size_t nsh_forward_general(const struct nsh_forward_path *path, struct nsh_forward_path ret[2])
{
    struct nsh_forward_path p = path->reply ? turned(path) : *path;

    p.from = (struct nsh_prefix){.family = AF_UNSPEC};
    p.from_port = (struct nsh_range){0};
    if (!p.translated) {
        p.to = p.from;
        p.to_port = p.from_port;
        p.protocol = 0;
    }
    ret[0] = p;
    ret[1] = turned(&p);
    return 2;
}

size_t nsh_forward_like(const struct nsh_forward_path *path, struct nsh_forward_path ret[2])
{
    size_t n = nsh_forward_general(path, ret);

    ret[0].from = path->net;
    ret[1].to = path->net;
    return n;
}

const char *nsh_forward_hook_name(enum nsh_hook hook)
{
    static const char *const names[] = {
            [NSH_HOOK_FORWARD] = "FORWARD",
            [NSH_HOOK_PREROUTING] = "PREROUTING",
            [NSH_HOOK_INPUT] = "INPUT",
            [NSH_HOOK_OUTPUT] = "OUTPUT",
            [NSH_HOOK_POSTROUTING] = "POSTROUTING",
    };

    return names[hook];
}

/* By its addresses: ports of it nobody may have said, and states are not known everywhere. */
struct nsh_forward_path nsh_forward_alone(const struct nsh_forward_path *path)
{
    struct nsh_forward_path r = {.hook = path->hook, .from = path->from, .to = path->to};

    if (path->hook != NSH_HOOK_OUTPUT && path->hook != NSH_HOOK_POSTROUTING)
        memcpy(r.in, path->in, sizeof r.in);
    if (path->hook != NSH_HOOK_PREROUTING && path->hook != NSH_HOOK_INPUT)
        memcpy(r.out, path->out, sizeof r.out);
    return r;
}

bool nsh_forward_found(struct nsh_forward_drop *all, bool found, const struct nsh_forward_drop *one)
{
    struct nsh_forward_drop kept = *all;

    if (found && (!one->doubtful || !all->doubtful))
        *all = *one;
    for (size_t i = 0; i < NSH_EFFECT_COUNT; i++) {
        bool had = kept.effects[i][0] != '\0';

        memcpy(all->effects[i], had ? kept.effects[i] : one->effects[i], sizeof all->effects[i]);
    }
    return found && !one->doubtful;
}
