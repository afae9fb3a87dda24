/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Addresses and prefixes of both families as plain values.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Network byte order. An IPv4 address fills the first four bytes, the rest is zero. */
union nsh_addr {
    uint8_t bytes[16];
    uint32_t words[4];
    struct in_addr v4;
    struct in6_addr v6;
};

/* family AF_UNSPEC: no prefix was given (any). Host bits are zero. */
struct nsh_prefix {
    union nsh_addr addr;
    uint8_t family; /* AF_INET, AF_INET6, AF_UNSPEC */
    uint8_t length; /* 0..32, 0..128 */
};

/* Longest text of an address or prefix, with its NUL: INET6_ADDRSTRLEN and "/128". */
#define NSH_ADDR_TEXT 46
#define NSH_PREFIX_TEXT 50

enum nsh_prefix_error {
    NSH_PREFIX_OK = 0,
    NSH_PREFIX_BAD,       /* not an address at all */
    NSH_PREFIX_LENGTH,    /* the length is missing, no number or too large */
    NSH_PREFIX_HOST_BITS, /* bits behind the length are set */
};

/* Bytes of an address of `family`: 4 or 16. */
size_t nsh_addr_size(int family);
/* Bits of an address of `family`: 32 or 128. */
uint8_t nsh_addr_bits(int family);
/* Parses one address as inet_pton(3) does, and nothing else. false: not an address. */
bool nsh_addr_parse(const char *text, uint8_t *ret_family, union nsh_addr *ret);
/* Writes the address in inet_ntop(3) form (RFC 5952 for IPv6); returns `buf`. */
const char *nsh_addr_format(int family, const union nsh_addr *addr, char buf[static NSH_ADDR_TEXT]);
/* <0, 0, >0 in byte order. */
int nsh_addr_cmp(const union nsh_addr *a, const union nsh_addr *b);
bool nsh_addr_is_zero(const union nsh_addr *addr);
/* fe80::/10 (RFC 4291 section 2.5.6). */
bool nsh_addr_is_link_local(int family, const union nsh_addr *addr);
/* Nobody's on the Internet: of RFC 1918, 6598 and 4193. */
bool nsh_addr_is_private(int family, const union nsh_addr *addr);

/*
 * Parses "ADDRESS" or "ADDRESS/LENGTH"; an address alone is a prefix of full length. With
 * NSH_PREFIX_HOST_BITS the result is filled all the same, with the bits cleared: the hint.
 */
enum nsh_prefix_error nsh_prefix_parse(const char *text, struct nsh_prefix *ret);
/* "10.0.0.0/8"; a full-length prefix is written as an address; "any" for AF_UNSPEC. */
const char *nsh_prefix_format(const struct nsh_prefix *p, char buf[static NSH_PREFIX_TEXT]);
/* Family, then length, then address. */
int nsh_prefix_cmp(const struct nsh_prefix *a, const struct nsh_prefix *b);
/* True if addr, of `family`, lies in p. AF_UNSPEC holds everything. */
bool nsh_prefix_contains(const struct nsh_prefix *p, int family, const union nsh_addr *addr);
/* Zeroes the bits behind the length. */
void nsh_prefix_mask(struct nsh_prefix *p);
