/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of the fake kernel share. Tests include fib-fake.h.
 */
#pragma once

#include "fib-fake.h"

#define FAKE_TABLE_MAIN 254U
#define FAKE_TABLE_LOCAL 255U

struct fake_link {
    uint32_t ifindex;
    char name[IFNAMSIZ];
    bool up;
    bool unplugged; /* no carrier */
    bool small;     /* its MTU is below what IPv6 needs */
    uint32_t table; /* of a VRF; 0: it is none */
};

struct fake_address {
    uint32_t ifindex;
    uint8_t family;
    uint8_t length;
    bool tentative;
    union nsh_addr addr;
};

/*
 * An entry of a table. IPv4: a whole route; those of one key are neighbours, first alias first.
 * IPv6: one nexthop; those that merge are shown as one route.
 */
struct fake_route {
    struct nsh_route r;
    struct nsh_route_props *props; /* owned; what r.props points to */
};

struct fake_sysctl {
    char key[96];
    int value;
};

struct fake_handle; /* one opened contract */

struct nsh_fib_fake {
    struct fake_link *links;
    size_t n_links;
    struct fake_address *addresses;
    size_t n_addresses;
    struct fake_route *routes;
    size_t n_routes;
    struct nsh_rule *rules; /* by family, then as they are tried */
    size_t n_rules;
    struct fake_sysctl *sysctls;
    size_t n_sysctls;
    struct fake_handle *handles;
    uint32_t next_ifindex;
    uint32_t next_port;
    size_t queue_limit;
    enum nsh_fib_fake_telling telling;
    size_t chunk;
    unsigned fail_nth[NSH_FIB_FAKE_CALLS];
    int fail_error[NSH_FIB_FAKE_CALLS];
    nsh_fib_fake_judge *judge;
    void *judge_userdata;
    int judge_error;
    struct nsh_fib_fake_counts counts;
};

/* Who made a change: a contract (`handle`), or somebody else by this port id. */
struct fake_author {
    const struct fake_handle *handle;
    uint32_t port;
};

/* Tells everybody but the author. The route of the event is copied. */
void fake_emit(struct nsh_fib_fake *k, const struct fake_author *author,
        const struct nsh_fib_event *event);
void fake_emit_route(struct nsh_fib_fake *k, const struct fake_author *author,
        enum nsh_fib_event_type type, const struct nsh_route *route, uint16_t flags);

struct fake_link *fake_link_by_index(const struct nsh_fib_fake *k, uint32_t ifindex);
struct fake_link *fake_link_by_name(const struct nsh_fib_fake *k, const char *name);
/* True if the address is one of this host's. */
bool fake_address_is_local(const struct nsh_fib_fake *k, int family, const union nsh_addr *addr);
/* Room for one more at the end of an array; NULL: no memory. */
void *fake_grow(void **array, size_t n, size_t size);

/* Those that are there at boot. */
int fake_sysctls_init(struct nsh_fib_fake *k);
/* Of a device; what a new one begins with. */
int fake_sysctl_add(struct nsh_fib_fake *k, const char *dev, const char *leaf, int value);
int fake_sysctl_default(const struct nsh_fib_fake *k, const char *leaf, int otherwise);
int fake_sysctls_put(struct nsh_fib_fake *k, const char *dev);
void fake_sysctls_drop(struct nsh_fib_fake *k, const char *dev);
void fake_sysctls_rename(struct nsh_fib_fake *k, const char *name, const char *new_name);
int fake_sysctl_write(
        struct nsh_fib_fake *k, const struct fake_author *author, const char *key, int value);

/* The write and delete of one route by `author`; the nexthops carry an ifindex. */
int fake_route_write(struct nsh_fib_fake *k, const struct nsh_route *route, uint16_t flags,
        const struct fake_author *author, const char **ret_why);
int fake_route_delete(
        struct nsh_fib_fake *k, const struct nsh_route *route, const struct fake_author *author);
/* Removes entry i, telling nobody. */
void fake_route_drop(struct nsh_fib_fake *k, size_t i);
/* Puts an entry in before position i. The route's nexthops are copied. */
int fake_route_put(struct nsh_fib_fake *k, size_t i, const struct nsh_route *route);
/* Where a new entry of this key goes: behind all that are of lower or equal key. */
size_t fake_route_end_of_key(const struct nsh_fib_fake *k, const struct nsh_route *key);
/*
 * The route that begins at entry i as a dump shows it, in a malloc'd copy; *i moves behind it.
 */
int fake_route_next(const struct nsh_fib_fake *k, size_t *i, struct fake_route *ret);
struct nsh_route_props *fake_props_copy(const struct nsh_route_props *props);
void fake_route_clear(struct fake_route *r);

/* Which entry leads to `addr`: local table, then main. oif 0: any device. SIZE_MAX: none. */
struct fake_query {
    int family;
    const union nsh_addr *addr;
    uint32_t oif;
    uint8_t min_scope; /* IPv4: entries of a wider scope do not count */
    uint32_t table;    /* looked into first; 0: none */
};
size_t fake_lookup(const struct nsh_fib_fake *k, const struct fake_query *q, uint32_t *ret_ifindex);

/* The kernel's own rules. */
int fake_rules_init(struct nsh_fib_fake *k);
int fake_rule_write(struct nsh_fib_fake *k, const struct nsh_rule *rule,
        enum nsh_fib_rule_verb verb, const struct fake_author *author, const char **ret_why);
