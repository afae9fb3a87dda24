/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a share lets out of its LANs, by the networks that are there. A ban of others stays before
 * what is ours even if it takes all of a LAN: nothing of the share is missing then, and still it
 * lets nothing through. That is told where it is certain: by TCP as by UDP, whatever the ports.
 */
#include "passage.h"

#include <linux/rtnetlink.h>
#include <string.h>

#define NETS_MAX 16 /* of one device */

struct search {
    uint32_t ifindex;
    uint8_t family;
    struct nsh_prefix nets[NETS_MAX];
    size_t n;
};

static void take_address(void *userdata, const struct nsh_fib_address *a)
{
    struct search *s = userdata;

    if (a->ifindex != s->ifindex || a->family != s->family || a->scope >= RT_SCOPE_LINK ||
            a->net.family != s->family || s->n == NETS_MAX)
        return;
    for (size_t i = 0; i < s->n; i++)
        if (nsh_prefix_cmp(&s->nets[i], &a->net) == 0)
            return;
    s->nets[s->n++] = a->net;
}

static size_t put_pair(const struct nsh_forward_path *way, const struct nsh_prefix *net,
        struct nsh_forward_path *ret)
{
    static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP};

    for (size_t i = 0; i < 2; i++) {
        ret[i] = *way;
        ret[i].protocol = protocols[i];
        ret[i].vague = true;
        *(way->reply ? &ret[i].to : &ret[i].from) = *net;
    }
    return 2;
}

size_t nsh_ban_paths(struct nsh_fib *fib, const struct nsh_passage *share,
        struct nsh_forward_path *ret, size_t max)
{
    size_t n = 0;

    for (size_t i = 0; fib && i < share->n_paths; i++) {
        const struct nsh_forward_path *way = &share->paths[i];
        struct search s = {.family = share->chain->family};

        if (fib->ops->link_index(fib, way->reply ? way->out : way->in, &s.ifindex) < 0 ||
                fib->ops->addresses(fib, take_address, &s) < 0)
            continue;
        for (size_t k = 0; k < s.n && n + 2 <= max; k++)
            n += put_pair(way, &s.nets[k], ret + n);
    }
    return n;
}
