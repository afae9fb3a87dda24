/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe-ping.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/icmp.h>
#include <netinet/icmp6.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cleanup.h"
#include "common.h"

/* So many are read before others have their turn. */
#define READS_MAX 64
/* The checksum is over all of it; who refuses sends no more than this. */
#define PACKET_MAX 1280
#define PASS 0xffffffffU
/*
 * What is sent to a gateway that does not say where it is waits for that some seconds in the
 * kernel, and counts. The socket has room for that of all checks: dead gateways must not keep the
 * others from being asked about.
 */
#define SEND_BYTES (8 << 20)

/*
 * Passes answers and refusals with our id. IPv4: behind the IP header, whose length comes first;
 * the request in a refusal has one of 20 bytes, since ours have no options.
 */
static int filter_ipv4(int fd, uint16_t id)
{
    struct sock_filter code[] = {
            BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
            BPF_STMT(BPF_LD | BPF_B | BPF_IND, 0),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ICMP_ECHOREPLY, 0, 2),
            BPF_STMT(BPF_LD | BPF_H | BPF_IND, 4),
            BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0),
            BPF_STMT(BPF_LD | BPF_H | BPF_IND, 8 + 20 + 4),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, id, 0, 1),
            BPF_STMT(BPF_RET | BPF_K, PASS),
            BPF_STMT(BPF_RET | BPF_K, 0),
    };
    struct sock_fprog program = {NSH_ARRAY_SIZE(code), code};

    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

static int filter_ipv6(int fd, uint16_t id)
{
    struct sock_filter code[] = {
            BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ICMP6_ECHO_REPLY, 0, 2),
            BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 4),
            BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0),
            BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 8 + 40 + 4),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, id, 0, 1),
            BPF_STMT(BPF_RET | BPF_K, PASS),
            BPF_STMT(BPF_RET | BPF_K, 0),
    };
    struct sock_fprog program = {NSH_ARRAY_SIZE(code), code};

    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

/* Types that do not matter never reach the filter. */
static int pass_types(int fd, int family)
{
    struct icmp_filter v4 = {
            ~(1U << ICMP_ECHOREPLY | 1U << ICMP_DEST_UNREACH | 1U << ICMP_TIME_EXCEEDED)};
    struct icmp6_filter v6;

    if (family == AF_INET)
        return setsockopt(fd, SOL_RAW, ICMP_FILTER, &v4, sizeof v4);
    ICMP6_FILTER_SETBLOCKALL(&v6);
    ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &v6);
    ICMP6_FILTER_SETPASS(ICMP6_DST_UNREACH, &v6);
    ICMP6_FILTER_SETPASS(ICMP6_TIME_EXCEEDED, &v6);
    return setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &v6, sizeof v6);
}

static void make_room(int fd)
{
    int bytes = SEND_BYTES;

    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) < 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

int nsh_ping_open(struct nsh_ping *p, int family)
{
    bool v4 = family == AF_INET;
    nsh_autoclose int fd = socket(
            family, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
    uint16_t id;

    nsh_random(&id, sizeof id);
    if (fd < 0 || pass_types(fd, family) < 0 ||
            (v4 ? filter_ipv4(fd, id) : filter_ipv6(fd, id)) < 0)
        return -errno;
    make_room(fd);
    *p = (struct nsh_ping){.fd = NSH_TAKE_FD(fd), .family = (uint8_t)family, .id = id};
    return 0;
}

void nsh_ping_close(struct nsh_ping *p)
{
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
}

int nsh_ping_send(struct nsh_ping *p, const struct nsh_echo *e, uint32_t mark, uint32_t scope)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr = e->target.v4};
    struct sockaddr_in6 v6 = {
            .sin6_family = AF_INET6, .sin6_addr = e->target.v6, .sin6_scope_id = scope};
    bool is_v4 = p->family == AF_INET;
    uint8_t packet[NSH_ECHO_SIZE];
    ssize_t n;

    nsh_echo_build(e, packet);
    if (setsockopt(p->fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark) < 0)
        return -errno;
    n = sendto(p->fd, packet, sizeof packet, MSG_DONTWAIT | MSG_NOSIGNAL,
            is_v4 ? (const void *)&v4 : (const void *)&v6, is_v4 ? sizeof v4 : sizeof v6);
    return n < 0 ? -errno : 0;
}

void nsh_ping_read(struct nsh_ping *p,
        void (*seen)(void *userdata, int family, const struct nsh_echo_seen *answer),
        void *userdata)
{
    for (int i = 0; i < READS_MAX && p->fd >= 0; i++) {
        uint8_t packet[PACKET_MAX];
        struct sockaddr_storage sender = {0};
        socklen_t size = sizeof sender;
        struct nsh_echo_seen answer;
        union nsh_addr from = {0};
        ssize_t n = recvfrom(
                p->fd, packet, sizeof packet, MSG_DONTWAIT, (struct sockaddr *)&sender, &size);

        if (n < 0 && errno != EINTR)
            return; /* nothing is there; an error of a probe before this is no news either */
        if (n < 0)
            continue;
        if (sender.ss_family == AF_INET6)
            from.v6 = ((const struct sockaddr_in6 *)(const void *)&sender)->sin6_addr;
        if (nsh_echo_parse(p->family, packet, (size_t)n, &from, &answer))
            seen(userdata, p->family, &answer);
    }
}
