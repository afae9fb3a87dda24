/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Dumps of rules, one family after the other.
 */
#include <errno.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <string.h>

#include "fib-netlink.h"

struct rule_dump {
    nsh_fib_rule_seen *seen;
    void *userdata;
    uint8_t family;
};

static int take_rule(void *userdata, struct nlmsghdr *nlh)
{
    const struct rule_dump *d = userdata;
    struct nsh_rule rule;
    int r = nsh_fibnl_parse_rule(nlh, &rule);

    return r == 1 && rule.family == d->family ? d->seen(d->userdata, &rule) : r == 1 ? 0 : r;
}

int nsh_fibnl_rules_dump(struct nsh_fib *fib, nsh_fib_rule_seen *seen, void *userdata)
{
    static const uint8_t families[] = {AF_INET, AF_INET6};
    int r = 0;

    for (size_t i = 0; r == 0 && i < NSH_ARRAY_SIZE(families); i++) {
        struct rule_dump d = {.seen = seen, .userdata = userdata, .family = families[i]};
        struct fib_rule_hdr header = {.family = families[i]};

        r = nsh_fibnl_short_dump(nsh_fibnl_of(fib), RTM_GETRULE, &header, sizeof(header),
                RTM_NEWRULE, take_rule, &d);
        /* A kernel without policy routing, or without IPv6, has none. */
        if (r == -EAFNOSUPPORT || r == -EOPNOTSUPP)
            r = 0;
    }
    return r;
}
