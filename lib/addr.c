/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

#include "addr.h"
#include "cleanup.h"

size_t nsh_addr_size(int family)
{
    return family == AF_INET6 ? 16 : 4;
}

uint8_t nsh_addr_bits(int family)
{
    return family == AF_INET6 ? 128 : 32;
}

bool nsh_addr_parse(const char *text, uint8_t *ret_family, union nsh_addr *ret)
{
    union nsh_addr addr = {0};
    uint8_t family = strchr(text, ':') ? AF_INET6 : AF_INET;

    if (inet_pton(family, text, addr.bytes) != 1)
        return false;
    *ret_family = family;
    *ret = addr;
    return true;
}

const char *nsh_addr_format(int family, const union nsh_addr *addr, char buf[static NSH_ADDR_TEXT])
{
    if (!inet_ntop(family == AF_INET6 ? AF_INET6 : AF_INET, addr->bytes, buf, NSH_ADDR_TEXT))
        buf[0] = '\0';
    return buf;
}

int nsh_addr_cmp(const union nsh_addr *a, const union nsh_addr *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

bool nsh_addr_is_zero(const union nsh_addr *addr)
{
    return (addr->words[0] | addr->words[1] | addr->words[2] | addr->words[3]) == 0;
}

bool nsh_addr_is_link_local(int family, const union nsh_addr *addr)
{
    return family == AF_INET6 && addr->bytes[0] == 0xfe && (addr->bytes[1] & 0xc0) == 0x80;
}

/* The length behind the slash: digits only, no leading 0, at most `max`. -1: not that. */
static int parse_length(const char *text, unsigned max)
{
    unsigned value = 0;
    size_t n = 0;

    if (text[0] == '0' && text[1] != '\0')
        return -1;
    for (; text[n] >= '0' && text[n] <= '9' && n < 3; n++)
        value = value * 10 + (unsigned)(text[n] - '0');
    if (n == 0 || text[n] != '\0' || value > max)
        return -1;
    return (int)value;
}

enum nsh_prefix_error nsh_prefix_parse(const char *text, struct nsh_prefix *ret)
{
    struct nsh_prefix p = {0}, masked;
    char address[NSH_ADDR_TEXT];
    const char *slash = strchr(text, '/');
    size_t n = slash ? (size_t)(slash - text) : strlen(text);
    int length;

    if (n >= sizeof(address))
        return NSH_PREFIX_BAD;
    memcpy(address, text, n);
    address[n] = '\0';
    if (!nsh_addr_parse(address, &p.family, &p.addr))
        return NSH_PREFIX_BAD;

    length = nsh_addr_bits(p.family);
    if (slash)
        length = parse_length(slash + 1, (unsigned)length);
    if (length < 0)
        return NSH_PREFIX_LENGTH;
    p.length = (uint8_t)length;

    masked = p;
    nsh_prefix_mask(&masked);
    *ret = masked;
    return nsh_addr_cmp(&p.addr, &masked.addr) == 0 ? NSH_PREFIX_OK : NSH_PREFIX_HOST_BITS;
}

const char *nsh_prefix_format(const struct nsh_prefix *p, char buf[static NSH_PREFIX_TEXT])
{
    char *end;

    if (p->family != AF_INET && p->family != AF_INET6)
        return memcpy(buf, "any", sizeof("any"));
    nsh_addr_format(p->family, &p->addr, buf);
    if (p->length >= nsh_addr_bits(p->family))
        return buf;

    end = buf + strlen(buf);
    *end++ = '/';
    if (p->length >= 100)
        *end++ = (char)('0' + p->length / 100);
    if (p->length >= 10)
        *end++ = (char)('0' + p->length / 10 % 10);
    *end++ = (char)('0' + p->length % 10);
    *end = '\0';
    return buf;
}

int nsh_prefix_cmp(const struct nsh_prefix *a, const struct nsh_prefix *b)
{
    if (a->family != b->family)
        return a->family < b->family ? -1 : 1;
    if (a->length != b->length)
        return a->length < b->length ? -1 : 1;
    return nsh_addr_cmp(&a->addr, &b->addr);
}

bool nsh_prefix_contains(const struct nsh_prefix *p, int family, const union nsh_addr *addr)
{
    struct nsh_prefix seen;

    if (p->family == AF_UNSPEC)
        return true;
    if (p->family != family)
        return false;
    seen = (struct nsh_prefix){.addr = *addr, .family = p->family, .length = p->length};
    nsh_prefix_mask(&seen);
    return nsh_addr_cmp(&seen.addr, &p->addr) == 0;
}

void nsh_prefix_mask(struct nsh_prefix *p)
{
    size_t whole = p->length / 8;

    if (whole >= sizeof(p->addr.bytes))
        return;
    p->addr.bytes[whole] &= (uint8_t)(0xff00U >> (p->length % 8));
    memset(p->addr.bytes + whole + 1, 0, sizeof(p->addr.bytes) - whole - 1);
}

bool nsh_addr_is_private(int family, const union nsh_addr *addr)
{
    static const struct nsh_prefix blocks[] = {
            {.family = AF_INET, .length = 8, .addr.bytes = {10}},
            {.family = AF_INET, .length = 12, .addr.bytes = {172, 16}},
            {.family = AF_INET, .length = 16, .addr.bytes = {192, 168}},
            {.family = AF_INET, .length = 10, .addr.bytes = {100, 64}},
            {.family = AF_INET6, .length = 7, .addr.bytes = {0xfc}},
    };

    for (size_t i = 0; i < NSH_ARRAY_SIZE(blocks); i++)
        if (nsh_prefix_contains(&blocks[i], family, addr))
            return true;
    return false;
}
