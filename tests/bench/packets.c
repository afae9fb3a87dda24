/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sends small UDP packets as fast as it can, for policies.py to see how many get through a router:
 *
 *     packets DEVICE ROUTER-MAC SOURCE DESTINATION MILLISECONDS one|new
 *
 * "one": all are of one flow; "new": each is of a flow of its own. Whole frames are handed to the
 * device, so that the sender is not what limits. Prints the seconds it took and the packets sent.
 */
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ether.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define BATCH 64U
#define PAYLOAD 18 /* a frame of the smallest size with it */
#define PORTS 60000U
#define FIRST_PORT 1024U

static uint8_t frames[BATCH][128];
static size_t udp_at; /* in each of them */
static struct iovec pieces[BATCH];
static struct mmsghdr messages[BATCH];

static _Noreturn void die(const char *what)
{
    perror(what);
    exit(1);
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Adds words in the way of the Internet checksum. */
static uint32_t sum(uint32_t s, const void *data, size_t size)
{
    for (size_t i = 0; i + 1 < size; i += 2) {
        uint16_t word;

        memcpy(&word, (const char *)data + i, sizeof(word));
        s += word;
    }
    while (s > 0xffff)
        s = (s & 0xffff) + (s >> 16);
    return s;
}

/* The IP header, and the sum of what UDP's checksum takes from it; false: no such addresses. */
static bool fill_ipv4(uint8_t *at, const char *source, const char *destination, uint32_t *ret_sum)
{
    struct iphdr ip = {.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP};

    ip.tot_len = htons(sizeof(ip) + sizeof(struct udphdr) + PAYLOAD);
    if (inet_pton(AF_INET, source, &ip.saddr) != 1 ||
            inet_pton(AF_INET, destination, &ip.daddr) != 1)
        return false;
    ip.check = (uint16_t)~sum(0, &ip, sizeof(ip));
    *ret_sum = sum(sum(0, &ip.saddr, sizeof(ip.saddr)), &ip.daddr, sizeof(ip.daddr));
    memcpy(at, &ip, sizeof(ip));
    return true;
}

static bool fill_ipv6(uint8_t *at, const char *source, const char *destination, uint32_t *ret_sum)
{
    struct ip6_hdr ip = {.ip6_nxt = IPPROTO_UDP};

    ip.ip6_flow = htonl(6U << 28);
    ip.ip6_hlim = 64;
    ip.ip6_plen = htons(sizeof(struct udphdr) + PAYLOAD);
    if (inet_pton(AF_INET6, source, &ip.ip6_src) != 1 ||
            inet_pton(AF_INET6, destination, &ip.ip6_dst) != 1)
        return false;
    *ret_sum = sum(sum(0, &ip.ip6_src, sizeof(ip.ip6_src)), &ip.ip6_dst, sizeof(ip.ip6_dst));
    memcpy(at, &ip, sizeof(ip));
    return true;
}

/* Ports are zero. Returns the size of the frame. */
static size_t fill(uint8_t *frame, const char *mac, const char *source, const char *destination)
{
    bool six = strchr(source, ':') != NULL;
    struct ether_header ethernet = {.ether_shost = {2}};
    struct udphdr udp = {.len = htons(sizeof(udp) + PAYLOAD)};
    const uint16_t pseudo[] = {htons(IPPROTO_UDP), udp.len, udp.len};
    const struct ether_addr *to = ether_aton(mac);
    uint32_t of_addresses;

    ethernet.ether_type = htons(six ? ETHERTYPE_IPV6 : ETHERTYPE_IP);
    udp_at = sizeof(ethernet) + (six ? sizeof(struct ip6_hdr) : sizeof(struct iphdr));
    if (!to || !(six ? fill_ipv6 : fill_ipv4)(
                       frame + sizeof(ethernet), source, destination, &of_addresses))
        die("addresses");
    memcpy(ethernet.ether_dhost, to, ETH_ALEN);
    udp.check = (uint16_t)~sum(of_addresses, pseudo, sizeof(pseudo));
    memcpy(frame, &ethernet, sizeof(ethernet));
    memcpy(frame + udp_at, &udp, sizeof(udp));
    return udp_at + sizeof(udp) + PAYLOAD;
}

/* The checksum stays right: a word of the payload takes back what the ports add to it. */
static void set_ports(uint8_t *frame, uint32_t flow)
{
    uint16_t ports[2] = {htons((uint16_t)(FIRST_PORT + flow / PORTS % PORTS)),
            htons((uint16_t)(FIRST_PORT + flow % PORTS))};
    uint16_t back = (uint16_t)~sum(0, ports, sizeof(ports));

    memcpy(frame + udp_at, ports, sizeof(ports));
    memcpy(frame + udp_at + sizeof(struct udphdr), &back, sizeof(back));
}

static int open_socket(const char *device)
{
    struct sockaddr_ll name = {.sll_family = AF_PACKET};
    int on = 1, fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

    name.sll_ifindex = (int)if_nametoindex(device);
    if (fd < 0 || name.sll_ifindex == 0 || bind(fd, (struct sockaddr *)&name, sizeof(name)) < 0 ||
            setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on)) < 0)
        die(device);
    return fd;
}

int main(int argc, char **argv)
{
    double begun, until, end;
    uint64_t sent = 0;
    uint32_t flow = 0;
    bool new;
    int fd;

    if (argc != 7 || (strcmp(argv[6], "one") != 0 && strcmp(argv[6], "new") != 0)) {
        fprintf(stderr, "see the top of packets.c\n");
        return 2;
    }
    new = strcmp(argv[6], "new") == 0;
    fd = open_socket(argv[1]);
    for (unsigned int i = 0; i < BATCH; i++) {
        pieces[i].iov_base = frames[i];
        pieces[i].iov_len = fill(frames[i], argv[2], argv[3], argv[4]);
        messages[i].msg_hdr.msg_iov = &pieces[i];
        messages[i].msg_hdr.msg_iovlen = 1;
        set_ports(frames[i], 0);
    }
    begun = end = now();
    until = begun + strtod(argv[5], NULL) / 1000;
    while (end < until) {
        int n;

        for (unsigned int i = 0; new &&i < BATCH; i++)
            set_ports(frames[i], flow++);
        n = sendmmsg(fd, messages, BATCH, 0);
        sent += n > 0 ? (uint64_t)n : 0;
        end = now();
    }
    printf("%.6f %llu\n", end - begun, (unsigned long long)sent);
    return 0;
}
