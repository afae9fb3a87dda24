/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ipsec.h"

#include <errno.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/netlink.h>
#include <linux/xfrm.h>

#include "cleanup.h"
#include "netlink.h"

/* The kernel's own socket of that protocol stands in the table while its module is there. */
static int has_protocol(uint32_t wanted)
{
    NSH_CLEANUP(fclosep) FILE *table = fopen("/proc/self/net/netlink", "re");
    char line[512];
    unsigned protocol;

    if (!table)
        return -errno;
    while (fgets(line, sizeof line, table))
        if (sscanf(line, "%*s %u", &protocol) == 1 && protocol == wanted)
            return 1;
    return 0;
}

/* The number of policies on the way out; negative errno. */
static int64_t count_policies(void)
{
    struct {
        struct nlmsghdr h;
        uint32_t flags;
    } request = {.h = {.nlmsg_len = sizeof request,
                         .nlmsg_type = XFRM_MSG_GETSPDINFO,
                         .nlmsg_flags = NLM_F_REQUEST}};
    alignas(struct nlmsghdr) char answer[1024];
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    nsh_autoclose int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_XFRM);
    const size_t at = NLMSG_HDRLEN + sizeof request.flags;
    struct xfrmu_spdinfo info;
    struct nlattr attr;
    struct nlmsghdr h;
    ssize_t n;

    if (fd < 0 || nsh_netlink_connect(fd) < 0 ||
            sendto(fd, &request, sizeof request, 0, (struct sockaddr *)&kernel, sizeof kernel) < 0)
        return -errno;
    /* The answer is there when the request was sent. */
    n = nsh_netlink_receive(fd, answer, sizeof answer, MSG_DONTWAIT);
    if (n < 0)
        return n;
    if (n < (ssize_t)(at + sizeof attr + sizeof info))
        return -EPROTO;
    memcpy(&h, answer, sizeof h);
    memcpy(&attr, answer + at, sizeof attr);
    if (h.nlmsg_type != XFRM_MSG_NEWSPDINFO || attr.nla_type != XFRMA_SPD_INFO)
        return -EPROTO;
    memcpy(&info, answer + at + sizeof attr, sizeof info);
    return info.outcnt;
}

bool nsh_ipsec_unused(void)
{
    int netlink = has_protocol(NETLINK_XFRM);

    /* The other way to bring policies in, of long ago. */
    if (netlink < 0 || access("/proc/self/net/pfkey", F_OK) == 0)
        return false;
    return netlink == 0 || count_policies() == 0;
}
