/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The filter of the event socket, run by the kernel before a message takes room in the socket's
 * buffer: a routing daemon that changes thousands of routes neither wakes this process nor makes
 * it lose an event of its own. In every route notification one datagram is one message.
 *
 * What passes:
 *   - what is about neither routes nor rules;
 *   - routes and rules that carry our protocol;
 *   - a foreign route that joined or took the place of another (EXCL is not set: its key existed);
 *   - a foreign IPv6 deletion of several nexthops, which can take ours with it;
 *   - while a gateway is learned from them, foreign default routes that come or go;
 *   - while everything is asked for, foreign routes that are new, and foreign ones that go: what
 *     is pending may wait for the one, what is in conflict for the other.
 * What we asked for ourselves never does.
 *
 * Words are loaded from the message as big-endian, hence the htons/htonl of host-order fields.
 * The accepted length is "all of it": a shorter one would truncate.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/filter.h>
#include <stddef.h>
#include <sys/socket.h>

#include "fib-netlink.h"

#define ROUTE_OFFSET(field) (NLMSG_HDRLEN + offsetof(struct rtmsg, field))

#define LOAD_BYTE(offset) BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (uint32_t)(offset))
#define LOAD_HALF(offset) BPF_STMT(BPF_LD | BPF_H | BPF_ABS, (uint32_t)(offset))
#define LOAD_WORD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(offset))
/* How many instructions to skip if it is so, if it is not. */
#define IF_EQUAL(k, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(k), yes, no)
#define IF_SET(k, yes, no) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (uint32_t)(k), yes, no)
#define PASS BPF_STMT(BPF_RET | BPF_K, UINT32_MAX)
#define DROP BPF_STMT(BPF_RET | BPF_K, 0)

static int attach(int fd, struct sock_filter *code, size_t n)
{
    const struct sock_fprog program = {.len = (unsigned short)n, .filter = code};

    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0)
        return -errno;
    return 0;
}

/* No length of a prefix, which is a byte. */
#define NO_LENGTH 0x100U

int nsh_fibnl_events_filter(
        int fd, uint32_t own_port, uint8_t protocol, enum nsh_fib_foreign foreign)
{
    uint32_t length = foreign == NSH_FIB_FOREIGN_DEFAULTS ? 0 : NO_LENGTH;
    struct sock_filter everything[] = {
            LOAD_WORD(offsetof(struct nlmsghdr, nlmsg_pid)),
            IF_EQUAL(htonl(own_port), 0, 1),
            DROP,
            PASS,
    };
    struct sock_filter ours[] = {
            LOAD_WORD(offsetof(struct nlmsghdr, nlmsg_pid)),
            IF_EQUAL(htonl(own_port), 0, 1),
            DROP,

            LOAD_HALF(offsetof(struct nlmsghdr, nlmsg_type)),
            IF_EQUAL(htons(RTM_NEWROUTE), 4, 0),
            IF_EQUAL(htons(RTM_DELROUTE), 10, 0),
            IF_EQUAL(htons(RTM_NEWRULE), 21, 0),
            IF_EQUAL(htons(RTM_DELRULE), 20, 0),
            PASS,

            /* NEWROUTE, seven instructions. */
            LOAD_BYTE(ROUTE_OFFSET(rtm_protocol)),
            IF_EQUAL(protocol, 4, 0),
            LOAD_BYTE(ROUTE_OFFSET(rtm_dst_len)),
            IF_EQUAL(length, 2, 0),
            LOAD_HALF(offsetof(struct nlmsghdr, nlmsg_flags)),
            IF_SET(htons(NLM_F_EXCL), 11, 0),
            PASS,

            /* DELROUTE: the accumulator is where the attributes begin, the result where it is. */
            LOAD_BYTE(ROUTE_OFFSET(rtm_protocol)),
            IF_EQUAL(protocol, 9, 0),
            LOAD_BYTE(ROUTE_OFFSET(rtm_dst_len)),
            IF_EQUAL(length, 7, 0),
            LOAD_BYTE(ROUTE_OFFSET(rtm_family)),
            IF_EQUAL(AF_INET6, 0, 4),
            BPF_STMT(BPF_LD | BPF_IMM, NLMSG_HDRLEN + sizeof(struct rtmsg)),
            BPF_STMT(BPF_LDX | BPF_IMM, RTA_MULTIPATH),
            LOAD_WORD(SKF_AD_OFF + SKF_AD_NLATTR),
            IF_EQUAL(0, 0, 1),
            DROP,
            PASS,

            /* A rule: the byte behind the header of the attribute, if there is one. */
            BPF_STMT(BPF_LD | BPF_IMM, NLMSG_HDRLEN + sizeof(struct fib_rule_hdr)),
            BPF_STMT(BPF_LDX | BPF_IMM, FRA_PROTOCOL),
            LOAD_WORD(SKF_AD_OFF + SKF_AD_NLATTR),
            IF_EQUAL(0, 4, 0),
            BPF_STMT(BPF_MISC | BPF_TAX, 0),
            BPF_STMT(BPF_LD | BPF_B | BPF_IND, NLA_HDRLEN),
            IF_EQUAL(protocol, 0, 1),
            PASS,
            DROP,
    };

    return foreign == NSH_FIB_FOREIGN_ALL ? attach(fd, everything, NSH_ARRAY_SIZE(everything))
                                          : attach(fd, ours, NSH_ARRAY_SIZE(ours));
}
