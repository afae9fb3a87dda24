/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A network namespace to test the netlink implementation of fib.h in, and shorthand for what the
 * tests do there. `ip` plays the part of everybody else.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fib-netlink.h"

#define OURS 110
#define FOREIGN 4

struct world {
    struct nsh_fib *fib;
    struct nsh_link links[5];
};

/* Indexes into world.links. */
enum { V0, V1, ABSENT, GATEWAY, V2 };

struct hop {
    const char *via;
    uint32_t link; /* plus 1; 0: none */
    uint16_t weight;
    uint8_t flags;
};

struct spec {
    const char *to;
    uint32_t metric, table;
    uint8_t tos, type, scope;
    const char *source;
    uint32_t metrics_lock;
    struct {
        uint8_t metric;
        uint32_t value;
    } metrics[4];
    struct hop hops[3];
};

struct seen {
    size_t n;
    struct nsh_route routes[64];
};

struct failure {
    size_t n, op;
    int error;
    char why[NSH_FIBNL_WHY_MAX];
};

/* Runs it in a shell; the test fails if it does. */
__attribute__((format(printf, 1, 2))) void world_command(const char *format, ...);
void world_write_sysctl(const char *path, const char *value);
uint32_t world_index_of(struct world *w, const char *name);
/* For each test: a network namespace with v0, v1, v2, their addresses, and a fib. */
int world_set_up(void **state);
int world_tear_down(void **state);
/* Normalised, of protocol OURS; `ret_props` are the caller's to free. */
struct nsh_route world_make(const struct spec *s, struct nsh_route_props **ret_props);

/* Empties it. */
void world_forget(struct seen *s);
/* Empties it and fills it again. */
void world_dump(struct world *w, struct nsh_fib_filter filter, struct seen *s);
size_t world_count(struct world *w, struct nsh_fib_filter filter);

struct failure world_submit_one(
        struct world *w, enum nsh_fib_verb verb, const struct nsh_route *route);
struct failure world_submit_spec(struct world *w, enum nsh_fib_verb verb, const struct spec *s);
void world_expect_written(struct failure f);
void world_expect_failure(struct failure f, int error, const char *why);
/* The one route of ours there is, as wanted; `s` holds it then. */
void world_expect_same(struct world *w, const struct nsh_route *want, struct seen *s);

/* A nsh_fib_route_seen that counts in a size_t. */
int world_tally(void *userdata, const struct nsh_route *r);
/* A nsh_fib_failed for operations that all fail with -ENETUNREACH; counts in a size_t. */
void world_count_failure(void *userdata, size_t op, int error, const char *why);

/* A whole test program: skipped where no network namespace can be made. */
int world_run(const struct CMUnitTest *tests, size_t n);

#define IP(...) world_command("ip " __VA_ARGS__)
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_set_up, world_tear_down)
