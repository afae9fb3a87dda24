/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a share lets out of its LANs, by the networks that are there. A ban of others stays before
 * what is ours even if it takes all of a LAN: nothing of the share is missing then, and still it
 * lets nothing through. That is told where it is certain: by TCP as by UDP, whatever the ports.
 *
 * The kernel is asked once for all shares, however many there are.
 */
#include "passage.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#define NETS_MAX 16 /* of one device */

struct nsh_ban_link {
    char name[IFNAMSIZ];
    uint32_t ifindex;
};

struct nsh_ban_net {
    uint32_t ifindex;
    struct nsh_prefix net;
};

/* Room for one more in an array that doubles; false: there is none. */
static bool has_room(void **array, size_t n, size_t size)
{
    void *more;

    if (n & (n - 1))
        return true;
    more = reallocarray(*array, n ? 2 * n : 1, size);
    if (more)
        *array = more;
    return more;
}

static void take_link(void *userdata, const struct nsh_fib_link *l)
{
    struct nsh_ban_nets *b = userdata;

    if (strlen(l->name) >= IFNAMSIZ) /* no rule has it */
        return;
    if (!has_room((void **)&b->links, b->n_links, sizeof *b->links)) {
        b->error = -ENOMEM;
        return;
    }
    b->links[b->n_links] = (struct nsh_ban_link){.ifindex = l->ifindex};
    memcpy(b->links[b->n_links++].name, l->name, strlen(l->name) + 1);
}

static void take_address(void *userdata, const struct nsh_fib_address *a)
{
    struct nsh_ban_nets *b = userdata;

    if (a->scope >= RT_SCOPE_LINK || a->net.family != a->family)
        return;
    if (!has_room((void **)&b->nets, b->n_nets, sizeof *b->nets)) {
        b->error = -ENOMEM;
        return;
    }
    b->nets[b->n_nets++] = (struct nsh_ban_net){.ifindex = a->ifindex, .net = a->net};
}

static int compare_links(const void *a, const void *b)
{
    return strcmp(((const struct nsh_ban_link *)a)->name, ((const struct nsh_ban_link *)b)->name);
}

static int compare_nets(const void *a, const void *b)
{
    const struct nsh_ban_net *x = a, *y = b;

    if (x->ifindex != y->ifindex)
        return x->ifindex < y->ifindex ? -1 : 1;
    return nsh_prefix_cmp(&x->net, &y->net);
}

void nsh_ban_nets_done(struct nsh_ban_nets *b)
{
    free(b->links);
    free(b->nets);
    *b = (struct nsh_ban_nets){0};
}

int nsh_ban_nets_new(struct nsh_fib *fib, size_t left, struct nsh_ban_nets *ret)
{
    struct nsh_ban_nets b = {.left = left};
    int q = fib ? fib->ops->links(fib, take_link, &b) : 0;

    /* What changed meanwhile is asked about again soon, and the rest is as good as ever. */
    if (fib && (q >= 0 || q == -EAGAIN))
        q = fib->ops->addresses(fib, take_address, &b);
    if (q < 0 && q != -EAGAIN)
        b.n_nets = 0;
    if (b.error < 0) {
        q = b.error;
        nsh_ban_nets_done(&b);
        return q;
    }
    if (b.n_links > 0)
        qsort(b.links, b.n_links, sizeof *b.links, compare_links);
    if (b.n_nets > 0)
        qsort(b.nets, b.n_nets, sizeof *b.nets, compare_nets);
    *ret = b;
    return 0;
}

/* With a name, or with all that a pattern means, which are one behind the other. */
static int compare_name(const struct nsh_ban_link *l, const char *name, bool pattern)
{
    return pattern ? strncmp(l->name, name, strlen(name) - 1) : strcmp(l->name, name);
}

/* The first that is not before them. */
static size_t first_link(const struct nsh_ban_nets *b, const char *name, bool pattern)
{
    size_t at = 0, end = b->n_links;

    while (at < end) {
        size_t middle = at + (end - at) / 2;

        if (compare_name(&b->links[middle], name, pattern) < 0)
            at = middle + 1;
        else
            end = middle;
    }
    return at;
}

/* The first of a device, or where it would be. */
static size_t first_net(const struct nsh_ban_nets *b, uint32_t ifindex)
{
    size_t at = 0, end = b->n_nets;

    while (at < end) {
        size_t middle = at + (end - at) / 2;

        if (b->nets[middle].ifindex < ifindex)
            at = middle + 1;
        else
            end = middle;
    }
    return at;
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

/* What is at one device. Of those of a pattern one address alone is one machine, no LAN. */
static size_t put_device(struct nsh_ban_nets *b, const struct nsh_forward_path *way, int family,
        const struct nsh_ban_link *link, bool pattern, struct nsh_forward_path *ret, size_t max)
{
    struct nsh_forward_path here = *way;
    size_t n = 0, n_nets = 0, first = first_net(b, link->ifindex);

    memcpy(here.reply ? here.out : here.in, link->name, IFNAMSIZ);
    for (size_t i = first; i < b->n_nets && b->nets[i].ifindex == link->ifindex; i++) {
        const struct nsh_prefix *net = &b->nets[i].net;

        if (net->family != family || (pattern && net->length == nsh_addr_bits(family)) ||
                (i > first && compare_nets(&b->nets[i - 1], &b->nets[i]) == 0))
            continue;
        if (b->left == 0 || n_nets++ == NETS_MAX || n + 2 > max)
            break;
        b->left--;
        n += put_pair(&here, net, ret + n);
    }
    return n;
}

static size_t put_way(struct nsh_ban_nets *b, const struct nsh_forward_path *way, int family,
        struct nsh_forward_path *ret, size_t max)
{
    const char *name = way->reply ? way->out : way->in, *other = way->reply ? way->in : way->out;
    bool pattern = nsh_device_is_pattern(name);
    size_t n = 0;

    if (name[0] == '\0' || strcmp(name, "+") == 0) /* any */
        return 0;
    for (size_t i = first_link(b, name, pattern);
            i < b->n_links && compare_name(&b->links[i], name, pattern) == 0; i++)
        if (strcmp(b->links[i].name, other) != 0)
            n += put_device(b, way, family, &b->links[i], pattern, ret + n, max - n);
    return n;
}

size_t nsh_ban_paths(struct nsh_ban_nets *b, const struct nsh_passage *share,
        struct nsh_forward_path *ret, size_t max)
{
    size_t n = 0;

    for (size_t i = 0; i < share->n_paths; i++)
        n += put_way(b, &share->paths[i], share->chain->family, ret + n, max - n);
    return n;
}
