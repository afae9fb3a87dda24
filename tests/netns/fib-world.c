/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "fib-world.h"

void world_command(const char *format, ...)
{
    char text[1024];
    va_list ap;

    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    if (system(text) != 0)
        fail_msg("failed: %s", text);
}

void world_write_sysctl(const char *path, const char *value)
{
    FILE *f = fopen(path, "we");

    assert_non_null(f);
    assert_true(fputs(value, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

uint32_t world_index_of(struct world *w, const char *name)
{
    uint32_t ifindex = 0;

    assert_int_equal(w->fib->ops->link_index(w->fib, name, &ifindex), 0);
    return ifindex;
}

int world_set_up(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    if (!w || unshare(CLONE_NEWNET) < 0)
        return -1;
    /* Addresses are there at once, and none comes later by itself. */
    world_write_sysctl("/proc/sys/net/ipv6/conf/default/accept_dad", "0");
    world_command("ip -batch - <<'END'\n"
                  "link set lo up\n"
                  "link add v0 type veth peer name p0\n"
                  "link add v1 type veth peer name p1\n"
                  "link add v2 type veth peer name p2\n"
                  "link set v0 addrgenmode none up\nlink set p0 addrgenmode none up\n"
                  "link set v1 addrgenmode none up\nlink set p1 addrgenmode none up\n"
                  "link set v2 addrgenmode none up\nlink set p2 addrgenmode none up\n"
                  "addr add 192.0.2.1/24 dev v0\naddr add 192.0.2.2/24 dev v0\n"
                  "addr add 198.51.100.1/24 dev v1\n"
                  "addr add 203.0.113.1/24 dev v2\n"
                  "addr add 2001:db8:1::1/64 dev v0 nodad\n"
                  "addr add 2001:db8:2::1/64 dev v1 nodad\n"
                  "END\n");
    assert_int_equal(nsh_fib_netlink_new(&w->fib), 0);
    w->links[V0] = (struct nsh_link){.name = "v0", .ifindex = world_index_of(w, "v0")};
    w->links[V1] = (struct nsh_link){.name = "v1", .ifindex = world_index_of(w, "v1")};
    w->links[V2] = (struct nsh_link){.name = "v2", .ifindex = world_index_of(w, "v2")};
    w->links[ABSENT] = (struct nsh_link){.name = "nowhere"};
    w->links[GATEWAY] = (struct nsh_link){.gateway_family = AF_INET};
    *state = w;
    return 0;
}

int world_tear_down(void **state)
{
    struct world *w = *state;

    nsh_fib_free(w->fib);
    free(w);
    return 0;
}

/* ---- routes by hand ---- */

static void set_metrics(const struct spec *s, struct nsh_route_props *props)
{
    props->metrics_lock = s->metrics_lock;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(s->metrics) && s->metrics[i].metric; i++) {
        props->metrics_set |= 1U << s->metrics[i].metric;
        props->metrics[s->metrics[i].metric] = s->metrics[i].value;
    }
}

struct nsh_route world_make(const struct spec *s, struct nsh_route_props **ret_props)
{
    struct nsh_route_props *props = calloc(1, nsh_route_props_size(NSH_ARRAY_SIZE(s->hops)));
    struct nsh_prefix to;
    struct nsh_route r;
    uint8_t family;

    assert_non_null(props);
    assert_int_equal(nsh_prefix_parse(s->to, &to), NSH_PREFIX_OK);
    props->type = s->type ? s->type : RTN_UNICAST;
    props->scope = s->scope;
    props->has_source = s->source != NULL;
    if (s->source)
        assert_true(nsh_addr_parse(s->source, &family, &props->source));
    set_metrics(s, props);
    for (size_t i = 0; i < NSH_ARRAY_SIZE(s->hops); i++) {
        const struct hop *h = &s->hops[i];
        struct nsh_nexthop *n = &props->nexthops[i];

        if (!h->via && !h->link)
            break;
        n->link = h->link ? h->link - 1 : NSH_NO_LINK;
        n->weight = h->weight ? h->weight : 1;
        n->flags = h->flags;
        if (h->via)
            assert_true(nsh_addr_parse(h->via, &n->via_family, &n->via));
        props->n_nexthops++;
    }
    r = (struct nsh_route){.dst = to.addr,
            .table = s->table ? s->table : RT_TABLE_MAIN,
            .metric = s->metric,
            .props = props,
            .family = to.family,
            .dst_length = to.length,
            .tos = s->tos,
            .protocol = OURS};
    nsh_route_normalize(&r, props);
    *ret_props = props;
    return r;
}

/* ---- what is observed ---- */

static void keep(struct seen *s, const struct nsh_route *r)
{
    size_t size = nsh_route_props_size(r->props->n_nexthops);
    void *props = malloc(size);

    assert_non_null(props);
    assert_true(s->n < NSH_ARRAY_SIZE(s->routes));
    memcpy(props, r->props, size);
    s->routes[s->n] = *r;
    s->routes[s->n++].props = props;
}

void world_forget(struct seen *s)
{
    for (size_t i = 0; i < s->n; i++)
        free((void *)s->routes[i].props);
    s->n = 0;
}

static int collect(void *userdata, const struct nsh_route *r)
{
    keep(userdata, r);
    return 0;
}

void world_dump(struct world *w, struct nsh_fib_filter filter, struct seen *s)
{
    world_forget(s);
    assert_int_equal(nsh_fib_dump(w->fib, &filter, collect, s), 0);
}

size_t world_count(struct world *w, struct nsh_fib_filter filter)
{
    struct seen s = {0};
    size_t n;

    world_dump(w, filter, &s);
    n = s.n;
    world_forget(&s);
    return n;
}

/* ---- writing ---- */

static void note_failure(void *userdata, size_t op, int error, const char *why)
{
    struct failure *f = userdata;

    f->n++;
    f->op = op;
    f->error = error;
    snprintf(f->why, sizeof(f->why), "%s", why);
}

struct failure world_submit_one(
        struct world *w, enum nsh_fib_verb verb, const struct nsh_route *route)
{
    const struct nsh_fib_op op = {.verb = verb, .route = *route};
    struct failure f = {0};

    assert_int_equal(w->fib->ops->submit(w->fib, w->links, &op, 1, note_failure, &f), 0);
    assert_true(f.n <= 1);
    return f;
}

struct failure world_submit_spec(struct world *w, enum nsh_fib_verb verb, const struct spec *s)
{
    nsh_autofree struct nsh_route_props *props = NULL;
    struct nsh_route r = world_make(s, &props);

    return world_submit_one(w, verb, &r);
}

void world_expect_written(struct failure f)
{
    if (f.n)
        fail_msg("error %d %s", f.error, f.why);
}

void world_expect_failure(struct failure f, int error, const char *why)
{
    assert_int_equal(f.n, 1);
    assert_int_equal(f.error, error);
    assert_string_equal(f.why, why);
}

void world_expect_same(struct world *w, const struct nsh_route *want, struct seen *s)
{
    char a[512], b[512];

    world_dump(w, (struct nsh_fib_filter){.family = want->family, .protocol = OURS}, s);
    assert_int_equal(s->n, 1);
    if (!nsh_route_equal(want, &s->routes[0], w->links))
        fail_msg("wanted %s, seen %s", nsh_route_format(want, w->links, a, sizeof(a)),
                nsh_route_format(&s->routes[0], NULL, b, sizeof(b)));
    assert_int_equal(nsh_route_id_cmp(want, &s->routes[0]), 0);
    assert_int_equal(s->routes[0].protocol, OURS);
}

int world_tally(void *userdata, const struct nsh_route *r)
{
    size_t *n = userdata;

    (void)r;
    ++*n;
    return 0;
}

void world_count_failure(void *userdata, size_t op, int error, const char *why)
{
    size_t *n = userdata;

    (void)why;
    assert_int_equal(op, *n);
    assert_int_equal(error, -ENETUNREACH);
    ++*n;
}

/* cmocka's own function wants an array, not a pointer and a number. */
int world_run(const struct CMUnitTest *tests, size_t n)
{
    if (unshare(CLONE_NEWNET) < 0) {
        puts("1..0 # SKIP no permission to make a network namespace");
        return 0;
    }
    return _cmocka_run_group_tests("fib", tests, n, NULL, NULL);
}
