/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe-packet.h"

#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <string.h>

#define ICMP_HEADER 8U
#define IPV4_HEADER 20U
#define IPV6_HEADER 40U

/* The rest of a packet. */
struct bytes {
    const uint8_t *at;
    size_t left;
};

static uint16_t number_at(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static void put_number(uint8_t *p, uint16_t number)
{
    p[0] = (uint8_t)(number >> 8);
    p[1] = (uint8_t)number;
}

/* RFC 1071: of a packet with its checksum in it, 0. */
static uint16_t checksum(const uint8_t *p, size_t n)
{
    uint32_t sum = 0;

    for (; n > 1; p += 2, n -= 2)
        sum += number_at(p);
    if (n > 0)
        sum += (uint32_t)*p << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

void nsh_echo_build(const struct nsh_echo *e, uint8_t ret[static NSH_ECHO_SIZE])
{
    memset(ret, 0, ICMP_HEADER);
    ret[0] = e->family == AF_INET6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO;
    put_number(ret + 4, e->id);
    put_number(ret + 6, e->sequence);
    memcpy(ret + ICMP_HEADER, e->cookie, NSH_ECHO_COOKIE);
    /* In IPv6 the kernel does it: the addresses are part of it. */
    if (e->family == AF_INET)
        put_number(ret + 2, checksum(ret, NSH_ECHO_SIZE));
}

/* ---- what comes back ---- */

static void skip(struct bytes *b, size_t n)
{
    b->at += n;
    b->left -= n;
}

/* Goes behind an IPv4 header of a whole ICMP message, and tells an address in it. */
static bool skip_ipv4(struct bytes *b, size_t address, union nsh_addr *ret)
{
    size_t header;

    if (b->left < IPV4_HEADER || b->at[0] >> 4 != 4)
        return false;
    header = (size_t)(b->at[0] & 0xf) * 4;
    /* A fragment but the first has no ICMP header. */
    if (header < IPV4_HEADER || b->left < header || b->at[9] != IPPROTO_ICMP ||
            (number_at(b->at + 6) & 0x1fff) != 0)
        return false;
    *ret = (union nsh_addr){0};
    memcpy(ret->bytes, b->at + address, 4);
    skip(b, header);
    return true;
}

/* The same for IPv6; our requests have no extension headers. */
static bool skip_ipv6(struct bytes *b, size_t address, union nsh_addr *ret)
{
    if (b->left < IPV6_HEADER || b->at[0] >> 4 != 6 || b->at[6] != IPPROTO_ICMPV6)
        return false;
    memcpy(ret->bytes, b->at + address, 16);
    skip(b, IPV6_HEADER);
    return true;
}

/* An echo header of that type and what follows it. */
static bool take_echo(const struct bytes *b, uint8_t type, struct nsh_echo_seen *ret)
{
    if (b->left < ICMP_HEADER || b->at[0] != type || b->at[1] != 0)
        return false;
    ret->id = number_at(b->at + 4);
    ret->sequence = number_at(b->at + 6);
    ret->cookie = b->at + ICMP_HEADER;
    ret->cookie_length = b->left - ICMP_HEADER;
    return true;
}

static bool refuses_ipv4(uint8_t type, uint8_t code)
{
    return (type == ICMP_DEST_UNREACH && code != ICMP_FRAG_NEEDED) || type == ICMP_TIME_EXCEEDED;
}

static bool parse_ipv4(struct bytes b, struct nsh_echo_seen *ret)
{
    /* The kernel gives it to raw sockets before it looks at the checksum. */
    if (!skip_ipv4(&b, 12, &ret->from) || b.left < ICMP_HEADER || checksum(b.at, b.left) != 0)
        return false;
    if (!refuses_ipv4(b.at[0], b.at[1]))
        return take_echo(&b, ICMP_ECHOREPLY, ret);
    ret->refused = true;
    skip(&b, ICMP_HEADER);
    return skip_ipv4(&b, 16, &ret->from) && take_echo(&b, ICMP_ECHO, ret);
}

static bool parse_ipv6(struct bytes b, const union nsh_addr *from, struct nsh_echo_seen *ret)
{
    ret->from = *from;
    if (b.left < ICMP_HEADER)
        return false;
    if (b.at[0] != ICMP6_DST_UNREACH && b.at[0] != ICMP6_TIME_EXCEEDED)
        return take_echo(&b, ICMP6_ECHO_REPLY, ret);
    ret->refused = true;
    skip(&b, ICMP_HEADER);
    return skip_ipv6(&b, 24, &ret->from) && take_echo(&b, ICMP6_ECHO_REQUEST, ret);
}

bool nsh_echo_parse(int family, const uint8_t *packet, size_t length, const union nsh_addr *from,
        struct nsh_echo_seen *ret)
{
    struct bytes b = {packet, length};
    struct nsh_echo_seen seen = {0};

    if (!(family == AF_INET6 ? parse_ipv6(b, from, &seen) : parse_ipv4(b, &seen)))
        return false;
    *ret = seen;
    return true;
}

/* A refusal holds as much of the request as its sender saw fit: eight bytes at least. */
static bool cookie_matches(const struct nsh_echo *e, const struct nsh_echo_seen *seen)
{
    size_t n = seen->cookie_length;

    if (!seen->refused)
        return n == NSH_ECHO_COOKIE && memcmp(seen->cookie, e->cookie, n) == 0;
    n = n < NSH_ECHO_COOKIE ? n : NSH_ECHO_COOKIE;
    return memcmp(seen->cookie, e->cookie, n) == 0;
}

bool nsh_echo_matches(const struct nsh_echo *e, const struct nsh_echo_seen *seen)
{
    return seen->id == e->id && seen->sequence == e->sequence &&
           nsh_addr_cmp(&seen->from, &e->target) == 0 && cookie_matches(e, seen);
}
