/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sets have names, but the kernel's rules refer to them by number: the `set` match holds the place
 * of its set in the kernel's table. A set that rules refer to keeps its number; swapping two sets
 * swaps what is behind their names, not the names.
 */
#include "firewall-iptc-xt.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/netfilter/ipset/ip_set.h>

#include "cleanup.h"

_Static_assert(IPSET_MAXNAMELEN == NSH_SET_NAME, "names of sets have another size");

void nsh_xt_names_init(struct nsh_xt_names *n)
{
    n->fd = -1;
}

void nsh_xt_names_done(struct nsh_xt_names *n)
{
    nsh_closep(&n->fd);
    nsh_xt_names_init(n);
}

static int ask(struct nsh_xt_names *n, void *request, socklen_t expected)
{
    socklen_t size = expected;

    if (n->fd < 0)
        n->fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
    if (n->fd < 0)
        return -errno;
    if (getsockopt(n->fd, SOL_IP, SO_IP_SET, request, &size) < 0)
        return -errno;
    return size == expected ? 0 : -EPROTO;
}

int nsh_xt_sets_exist(struct nsh_xt_names *n)
{
    struct ip_set_req_version request = {.op = IP_SET_OP_VERSION, .version = IPSET_PROTOCOL};
    int r = ask(n, &request, sizeof request);

    return r == -ENOPROTOOPT ? 0 : r < 0 ? r : 1;
}

/* Where there are no sets at all, there is none of that name or number. */
static int ask_set(struct nsh_xt_names *n, struct ip_set_req_get_set *request)
{
    int r;

    request->version = IPSET_PROTOCOL;
    r = ask(n, request, sizeof *request);
    return r == -ENOPROTOOPT ? -ENOENT : r;
}

int nsh_xt_set_index(struct nsh_xt_names *n, const char *name, uint16_t *ret)
{
    struct ip_set_req_get_set request = {.op = IP_SET_OP_GET_BYNAME};
    size_t length = strnlen(name, sizeof request.set.name);
    int r;

    if (length == sizeof request.set.name)
        return -EINVAL;
    memcpy(request.set.name, name, length);
    r = ask_set(n, &request);
    if (r < 0)
        return r;
    if (request.set.index == IPSET_INVALID_ID)
        return -ENOENT;
    *ret = request.set.index;
    return 0;
}

int nsh_xt_set_name(struct nsh_xt_names *n, uint16_t index, char ret[static NSH_SET_NAME])
{
    struct ip_set_req_get_set request = {.op = IP_SET_OP_GET_BYINDEX, .set.index = index};
    int r = ask_set(n, &request);

    if (r < 0)
        return r;
    if (request.set.name[0] == '\0')
        return -ENOENT;
    memcpy(ret, request.set.name, strnlen(request.set.name, NSH_SET_NAME - 1));
    return 0;
}
