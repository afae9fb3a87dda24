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
