/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VRF devices.
 */
#include <linux/if_link.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <string.h>

#include "fib-netlink.h"

/* 0: it is no VRF. */
static uint32_t table_of(struct nlmsghdr *nlh)
{
    struct nlattr *info = nlmsg_find_attr(nlh, sizeof(struct ifinfomsg), IFLA_LINKINFO);
    struct nlattr *tb[IFLA_INFO_MAX + 1], *data[IFLA_VRF_MAX + 1];

    if (!info || nla_parse_nested(tb, IFLA_INFO_MAX, info, NULL) < 0 || !tb[IFLA_INFO_KIND] ||
            !tb[IFLA_INFO_DATA] || nla_strcmp(tb[IFLA_INFO_KIND], "vrf") != 0 ||
            nla_parse_nested(data, IFLA_VRF_MAX, tb[IFLA_INFO_DATA], NULL) < 0 ||
            !data[IFLA_VRF_TABLE] || nla_len(data[IFLA_VRF_TABLE]) < (int)sizeof(uint32_t))
        return 0;
    return nla_get_u32(data[IFLA_VRF_TABLE]);
}

int nsh_fibnl_vrf(struct nsh_fib *fib, const char *name, uint32_t *ret_ifindex, uint32_t *ret_table)
{
    const struct ifinfomsg *info;
    struct nlmsghdr *nlh;
    int r = nsh_fibnl_ask_link(nsh_fibnl_of(fib), name, &nlh);

    if (r < 0)
        return r;
    info = nlmsg_data(nlh);
    *ret_ifindex = (uint32_t)info->ifi_index;
    *ret_table = table_of(nlh);
    return 0;
}
