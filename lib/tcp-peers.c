/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tcp-peers.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#include "cleanup.h"
#include "netlink.h"

static void close_socket(struct mnl_socket **s)
{
    if (*s)
        mnl_socket_close(*s);
}

struct look {
    struct nsh_tcp_peer *peers;
    size_t n, most;
    bool more;
    uint16_t port;
};

static bool is_known(const struct look *l, const struct nsh_tcp_peer *p)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->peers[i].family == p->family && nsh_addr_cmp(&l->peers[i].local, &p->local) == 0 &&
                nsh_addr_cmp(&l->peers[i].remote, &p->remote) == 0)
            return true;
    return false;
}

/* An address of IPv4 in a socket for both. RFC 4291, 2.5.5.2. */
static void unmap(struct nsh_tcp_peer *p)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    union nsh_addr *both[] = {&p->local, &p->remote};

    if (p->family != AF_INET6 || memcmp(&p->remote, mapped, sizeof mapped) != 0)
        return;
    p->family = AF_INET;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(both); i++) {
        union nsh_addr v4 = {0};

        memcpy(&v4, (const uint8_t *)both[i] + sizeof mapped, 4);
        *both[i] = v4;
    }
}

static int see(const struct nlmsghdr *m, void *userdata)
{
    struct look *l = userdata;
    const struct inet_diag_msg *seen = mnl_nlmsg_get_payload(m);
    struct nsh_tcp_peer p = {0};
    size_t size;

    if (mnl_nlmsg_get_payload_len(m) < sizeof *seen || ntohs(seen->id.idiag_sport) != l->port)
        return MNL_CB_OK;
    size = nsh_addr_size(seen->idiag_family);
    p.family = seen->idiag_family;
    p.remote_port = ntohs(seen->id.idiag_dport);
    p.ifindex = seen->id.idiag_if;
    memcpy(&p.local, seen->id.idiag_src, size);
    memcpy(&p.remote, seen->id.idiag_dst, size);
    unmap(&p);
    if (is_known(l, &p))
        return MNL_CB_OK;
    if (l->n == l->most)
        l->more = true;
    else
        l->peers[l->n++] = p;
    return MNL_CB_OK;
}

static int ask(struct mnl_socket *s, uint8_t family, struct look *l)
{
    char buf[32768];
    struct nlmsghdr *m = mnl_nlmsg_put_header(buf);
    struct inet_diag_req_v2 *request;
    int r = MNL_CB_OK;

    m->nlmsg_type = SOCK_DIAG_BY_FAMILY;
    m->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    m->nlmsg_seq = family;
    request = mnl_nlmsg_put_extra_header(m, sizeof *request);
    request->sdiag_family = family;
    request->sdiag_protocol = IPPROTO_TCP;
    request->idiag_states = 1U << TCP_ESTABLISHED;
    request->id.idiag_sport = htons(l->port);
    if (mnl_socket_sendto(s, m, m->nlmsg_len) < 0)
        return -errno;
    while (r == MNL_CB_OK) {
        ssize_t n = nsh_netlink_answer(mnl_socket_get_fd(s), buf, sizeof buf, family);

        if (n < 0)
            return (int)n;
        r = mnl_cb_run(buf, (size_t)n, family, mnl_socket_get_portid(s), see, l);
    }
    return r < 0 ? -errno : 0;
}

int nsh_tcp_peers(
        uint16_t port, struct nsh_tcp_peer *ret, size_t most, size_t *ret_n, bool *ret_more)
{
    static const uint8_t families[] = {AF_INET, AF_INET6};
    NSH_CLEANUP(close_socket)
    struct mnl_socket *s = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
    struct look l = {.peers = ret, .most = most, .port = port};
    int r;

    if (!s || mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0)
        return -errno;
    r = nsh_netlink_connect(mnl_socket_get_fd(s));
    if (r < 0)
        return r;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(families); i++) {
        int q = ask(s, families[i], &l);

        if (q < 0 && (q != -ENOENT || families[i] == AF_INET))
            return q;
    }
    *ret_n = l.n;
    *ret_more = l.more;
    return 0;
}
