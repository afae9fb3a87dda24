/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Routes for tests, read from text near to what `ip route` takes:
 *     [TYPE] PREFIX|default|default6 [via [inet6] ADDRESS] [dev #IFINDEX | dev @LINK] [weight N]
 *     [onlink] [table N] [metric N] [tos N] [proto N] [scope N] [src ADDRESS] [mtu [lock] N]
 *     [replace] [nexthop …]…
 * "@0" is the first of the wanted side's links. What can't be read ends the test.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config.h"
#include "desired.h"
#include "intern.h"
#include "route.h"

struct route_reader {
    struct nsh_route r;
    struct nsh_nexthop *now; /* the nexthop that via, dev and so on belong to */
    bool scope_said;
    char *rest;
    struct nsh_route_props *props;
};

static inline char *rt_word(struct route_reader *x)
{
    return strtok_r(NULL, " ", &x->rest);
}

static inline uint32_t rt_number(struct route_reader *x)
{
    const char *word = rt_word(x);

    assert_non_null(word);
    return (uint32_t)strtoul(word, NULL, 0);
}

static inline void rt_destination(struct route_reader *x, const char *word)
{
    struct nsh_prefix p = {.family = AF_INET};

    if (strcmp(word, "default6") == 0)
        p.family = AF_INET6;
    else if (strcmp(word, "default") != 0)
        assert_int_equal(nsh_prefix_parse(word, &p), NSH_PREFIX_OK);
    x->r.family = p.family;
    x->r.dst = p.addr;
    x->r.dst_length = p.length;
}

static inline struct nsh_nexthop *rt_nexthop(struct route_reader *x)
{
    if (!x->now) {
        x->now = &x->props->nexthops[x->props->n_nexthops++];
        *x->now = (struct nsh_nexthop){.link = NSH_NO_LINK, .weight = 1};
    }
    return x->now;
}

static inline void rt_via(struct route_reader *x)
{
    const char *word = rt_word(x);
    struct nsh_nexthop *n = rt_nexthop(x);

    if (strcmp(word, "inet6") == 0)
        word = rt_word(x);
    assert_true(nsh_addr_parse(word, &n->via_family, &n->via));
}

static inline void rt_dev(struct route_reader *x)
{
    const char *word = rt_word(x);
    uint32_t number = (uint32_t)strtoul(word + 1, NULL, 10);

    if (word[0] == '@')
        rt_nexthop(x)->link = number;
    else
        rt_nexthop(x)->ifindex = number;
}

static inline void rt_metric(struct route_reader *x, unsigned metric)
{
    const char *word = rt_word(x);

    if (strcmp(word, "lock") == 0) {
        x->props->metrics_lock |= 1U << metric;
        word = rt_word(x);
    }
    x->props->metrics_set |= 1U << metric;
    x->props->metrics[metric] = (uint32_t)strtoul(word, NULL, 0);
}

static inline void rt_option(struct route_reader *x, const char *word)
{
    uint8_t family;

    if (strcmp(word, "via") == 0)
        rt_via(x);
    else if (strcmp(word, "dev") == 0)
        rt_dev(x);
    else if (strcmp(word, "weight") == 0)
        rt_nexthop(x)->weight = (uint16_t)rt_number(x);
    else if (strcmp(word, "onlink") == 0)
        rt_nexthop(x)->flags |= RTNH_F_ONLINK;
    else if (strcmp(word, "nexthop") == 0)
        x->now = NULL;
    else if (strcmp(word, "table") == 0)
        x->r.table = rt_number(x);
    else if (strcmp(word, "metric") == 0)
        x->r.metric = rt_number(x);
    else if (strcmp(word, "tos") == 0)
        x->r.tos = (uint8_t)rt_number(x);
    else if (strcmp(word, "proto") == 0)
        x->r.protocol = (uint8_t)rt_number(x);
    else if (strcmp(word, "mtu") == 0)
        rt_metric(x, RTAX_MTU);
    else if (strcmp(word, "advmss") == 0)
        rt_metric(x, RTAX_ADVMSS);
    else if (strcmp(word, "replace") == 0)
        x->props->on_conflict = NSH_CONFLICT_REPLACE;
    else if (strcmp(word, "scope") == 0) {
        x->props->scope = (uint8_t)rt_number(x);
        x->scope_said = true;
    } else if (strcmp(word, "src") == 0) {
        x->props->has_source = 1;
        assert_true(nsh_addr_parse(rt_word(x), &family, &x->props->source));
    } else {
        fail_msg("no such word in a test's route: %s", word);
    }
}

/* Not normalised; protocol NSH_ROUTE_PROTOCOL_DEFAULT unless said. Lives as long as the arena. */
static inline struct nsh_route rt_raw(
        struct nsh_arena *arena, const char *text, struct nsh_route_props **ret_props)
{
    struct route_reader x = {.r = {.table = RT_TABLE_MAIN, .protocol = NSH_ROUTE_PROTOCOL_DEFAULT}};
    char *copy = nsh_arena_strdup(arena, text), *word;

    assert_non_null(copy);
    x.props = nsh_arena_alloc(arena, nsh_route_props_size(NSH_NEXTHOPS_MAX));
    assert_non_null(x.props);
    x.r.props = x.props;
    x.props->type = RTN_UNICAST;
    word = strtok_r(copy, " ", &x.rest);
    if (nsh_route_type_parse(word) >= 0) {
        x.props->type = (uint8_t)nsh_route_type_parse(word);
        word = rt_word(&x);
    }
    rt_destination(&x, word);
    for (const char *option; (option = rt_word(&x));)
        rt_option(&x, option);
    if (!x.scope_said)
        x.props->scope = nsh_route_default_scope(x.r.family, x.props);
    *ret_props = x.props;
    return x.r;
}

static inline struct nsh_route rt(struct nsh_arena *arena, const char *text)
{
    struct nsh_route_props *props;
    struct nsh_route r = rt_raw(arena, text, &props);

    nsh_route_normalize(&r, props);
    return r;
}

static inline int rt_cmp_qsort(const void *a, const void *b)
{
    return nsh_route_id_cmp(a, b);
}

/*
 * What a configuration with these routes and links wants. The routes may live in an arena of the
 * test's that outlives it; `routes` is copied and sorted.
 */
static inline struct nsh_desired *rt_desired(const struct nsh_route *routes, size_t n_routes,
        const struct nsh_link *links, size_t n_links)
{
    struct nsh_settings settings;
    struct nsh_config *c = NULL;
    struct nsh_desired *d = NULL;

    nsh_settings_default(&settings);
    assert_int_equal(nsh_config_new_empty(&settings, &c), 0);
    c->routes = calloc(n_routes + 1, sizeof(*routes));
    c->links = nsh_arena_alloc(c->arena, (n_links + 1) * sizeof(*links));
    assert_true(c->routes && c->links);
    if (n_routes > 0)
        memcpy(c->routes, routes, n_routes * sizeof(*routes));
    if (n_links > 0)
        memcpy(c->links, links, n_links * sizeof(*links));
    c->n_routes = n_routes;
    c->n_links = n_links;
    qsort(c->routes, n_routes, sizeof(*routes), rt_cmp_qsort);
    assert_int_equal(nsh_desired_new(c, &d), 0);
    return d;
}

/* xorshift64: the same numbers everywhere for one seed. */
static inline uint32_t rt_random(uint64_t *state, uint32_t below)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (uint32_t)((*state >> 32) % below);
}

/* NSH_SEED, or one that is always the same; it is printed, so that a failure can be repeated. */
static inline uint64_t rt_seed(void)
{
    const char *text = getenv("NSH_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : 20240229;

    print_message("# NSH_SEED=%llu\n", (unsigned long long)seed);
    return seed != 0 ? seed : 1;
}
