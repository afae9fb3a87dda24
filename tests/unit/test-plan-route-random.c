/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The route plan's promises, with random wanted and observed routes and a small model of the
 * kernel: what the plan says is done, and then what is wanted stands, what is foreign is as it
 * was but for claimed keys, and a new plan has nothing to do.
 */
#include <errno.h>

#include "cleanup.h"
#include "plan.h"
#include "route-text.h"

#define OURS NSH_ROUTE_PROTOCOL_DEFAULT
#define OLD 111
#define KERNEL_MAX 256
#define WANTED_MAX 24
/*
 * Nearly always one. Where several of ours stand on one key a deletion may mean another than the
 * one that was seen, but each round takes one away.
 */
#define ROUNDS_MAX 8

static const struct nsh_link links[] = {
        {.name = "eth0", .ifindex = 3},
        {.name = "eth1", .ifindex = 2},
        {.gateway_family = AF_INET, .ifindex = 4},
};

static const char *const keys[] = {
        "default", "10.0.0.0/8", "10.0.0.0/16", "192.0.2.1",    /* IPv4 */
        "default6", "2001:db8::/32", "2001:db8::/48", "fd00::1" /* IPv6 */
};

/* By family: in `ip route`'s words, behind the key. A device of its own is seen on both sides. */
static const char *const ways[2][7] = {
        {"via 192.0.2.1 dev %s", "via 192.0.2.2 dev %s", "dev %s", "via 192.0.2.1 dev %s mtu 1400",
                "via 192.0.2.1 dev %s src 192.0.2.9",
                "nexthop via 192.0.2.1 dev %s nexthop via 192.0.2.2 dev %s", "blackhole"},
        {"via fe80::1 dev %s", "via fe80::2 dev %s", "dev %s", "via fe80::1 dev %s mtu 1400",
                "via fe80::1 dev %s src fd00::9",
                "nexthop via fe80::1 dev %s nexthop via fe80::2 dev %s", "blackhole"},
};

/* ---- the model ---- */

struct kernel {
    struct nsh_route routes[KERNEL_MAX];
    size_t n;
};

static bool same_id(const struct nsh_route *a, const struct nsh_route *b)
{
    return nsh_route_id_cmp(a, b) == 0;
}

/* Both as the kernel has them. */
static bool same(const struct nsh_route *a, const struct nsh_route *b)
{
    return same_id(a, b) && a->protocol == b->protocol && nsh_route_equal(a, b, NULL);
}

static bool has_gateway(const struct nsh_route *r)
{
    return r->props->n_nexthops > 0 && r->props->nexthops[0].via_family != AF_UNSPEC;
}

/* The wanted route as the kernel shows it: with devices by index. */
static struct nsh_route as_seen(struct nsh_arena *arena, const struct nsh_route *r)
{
    size_t size = nsh_route_props_size(r->props->n_nexthops);
    struct nsh_route_props *props = nsh_arena_alloc(arena, size);
    struct nsh_route seen = *r;

    assert_non_null(props);
    memcpy(props, r->props, size);
    props->on_conflict = 0;
    for (uint32_t i = 0; i < props->n_nexthops; i++)
        if (props->nexthops[i].link != NSH_NO_LINK) {
            props->nexthops[i].ifindex = links[props->nexthops[i].link].ifindex;
            props->nexthops[i].link = NSH_NO_LINK;
        }
    seen.props = props;
    nsh_route_normalize(&seen, props);
    return seen;
}

static size_t first_on_key(const struct kernel *k, const struct nsh_route *r)
{
    size_t i = 0;

    while (i < k->n && !same_id(&k->routes[i], r))
        i++;
    return i;
}

static void append(struct kernel *k, const struct nsh_route *r)
{
    assert_true(k->n < KERNEL_MAX);
    k->routes[k->n++] = *r;
}

static int replace(struct kernel *k, const struct nsh_route *r)
{
    size_t first = first_on_key(k, r), at = first;

    if (r->family == AF_INET) {
        for (size_t i = first + 1; i < k->n; i++)
            if (same(&k->routes[i], r))
                return -EEXIST;
    } else {
        while (at < k->n &&
                (!same_id(&k->routes[at], r) || has_gateway(&k->routes[at]) != has_gateway(r)))
            at++;
        at = at < k->n ? at : first;
    }
    if (at == k->n)
        append(k, r);
    else
        k->routes[at] = *r;
    return 0;
}

/*
 * The kernel's idea of the route that a deletion means is wider than equality: a multipath route
 * is found by its first nexthop, one with a metric or source without saying so, and in IPv6 any of
 * that device, gateway or not, when none is said.
 */
static bool meant(const struct nsh_route *have, const struct nsh_route *said)
{
    const struct nsh_route_props *h = have->props, *s = said->props;

    if (!same_id(have, said) || have->protocol != said->protocol)
        return false;
    if (h->n_nexthops == 0 || s->n_nexthops != 1)
        return same(have, said);
    if (h->nexthops[0].ifindex != s->nexthops[0].ifindex || (s->metrics_set & ~h->metrics_set) ||
            (s->has_source && !h->has_source))
        return false;
    return nsh_addr_cmp(&h->nexthops[0].via, &s->nexthops[0].via) == 0 ||
           (have->family == AF_INET6 && s->nexthops[0].via_family == AF_UNSPEC);
}

static int erase(struct kernel *k, const struct nsh_route *r)
{
    for (size_t i = 0; i < k->n; i++)
        if (meant(&k->routes[i], r)) {
            memmove(&k->routes[i], &k->routes[i + 1], (k->n - i - 1) * sizeof(*r));
            k->n--;
            return 0;
        }
    return -ESRCH;
}

static int write_step(struct kernel *k, struct nsh_arena *arena, const struct nsh_route_step *step)
{
    struct nsh_route r = as_seen(arena, &step->route);

    switch (step->action) {
    case NSH_ROUTE_ADD:
        if (first_on_key(k, &r) < k->n)
            return -EEXIST;
        append(k, &r);
        return 0;
    case NSH_ROUTE_REPLACE:
    case NSH_ROUTE_ADOPT:
        return replace(k, &r);
    case NSH_ROUTE_DELETE:
        assert_true(r.protocol == OURS || r.protocol == OLD);
        return erase(k, &r);
    }
    return -EINVAL;
}

/* ---- one random case ---- */

struct world {
    struct nsh_arena *arena;
    struct nsh_desired *want;
    struct nsh_route_plan *plan;
    uint8_t flags[WANTED_MAX];
    uint8_t also_ours;
    struct kernel kernel, before;
};

static struct nsh_route random_route(struct nsh_arena *arena, uint64_t *seed, bool wanted)
{
    static const char *const devs[2][3] = {{"#3", "#2", "#4"}, {"@0", "@1", "@2"}};
    uint32_t key = rt_random(seed, 8), way = rt_random(seed, 7);
    const char *dev = devs[wanted][rt_random(seed, key < 4 ? 3 : 2)];
    char text[256];
    int n;

    n = snprintf(text, sizeof(text), "%s%s ", way == 6 ? "blackhole " : "", keys[key]);
    for (const char *p = way == 6 ? "" : ways[key / 4][way]; *p; p++) {
        if (p[0] == '%' && p[1] == 's') {
            n += snprintf(text + n, sizeof(text) - (size_t)n, "%s", dev);
            p++;
        } else {
            text[n++] = *p;
        }
    }
    snprintf(text + n, sizeof(text) - (size_t)n, "%s%s%s", rt_random(seed, 3) ? "" : " metric 5",
            rt_random(seed, 4) ? "" : " table 100",
            wanted && rt_random(seed, 4) == 0 ? " replace" : "");
    return rt(arena, text);
}

static void make_wanted(struct world *w, uint64_t *seed)
{
    struct nsh_route routes[WANTED_MAX];
    size_t n = 0, tries = rt_random(seed, WANTED_MAX);

    for (size_t i = 0; i < tries; i++) {
        size_t k = 0;

        routes[n] = random_route(w->arena, seed, true);
        while (k < n && !same_id(&routes[k], &routes[n]))
            k++;
        n += k == n;
    }
    w->want = rt_desired(routes, n, links, sizeof(links) / sizeof(links[0]));
    for (size_t i = 0; i < n; i++)
        w->flags[i] = (rt_random(seed, 3) == 0 ? NSH_ROUTE_WAS_HELD : 0U) |
                      (rt_random(seed, 8) == 0 ? NSH_ROUTE_SKIP : 0U);
}

/* The kernel never has two equal ones, and merges IPv6 routes with gateways into one. */
static bool possible(const struct kernel *k, const struct nsh_route *r)
{
    for (size_t i = 0; i < k->n; i++)
        if (same(&k->routes[i], r) || (r->family == AF_INET6 && same_id(&k->routes[i], r) &&
                                              has_gateway(&k->routes[i]) == has_gateway(r)))
            return false;
    return true;
}

static void make_kernel(struct world *w, uint64_t *seed)
{
    static const uint8_t protocols[] = {OURS, OURS, OURS, OLD, 2, 4, 16};
    uint32_t n = rt_random(seed, 60);

    for (uint32_t i = 0; i < n; i++) {
        struct nsh_route r = random_route(w->arena, seed, false);

        /* every other one is right, or nearly */
        if (w->want->n_routes > 0 && rt_random(seed, 2))
            r = as_seen(w->arena, &w->want->routes[rt_random(seed, (uint32_t)w->want->n_routes)]);
        r.protocol = protocols[rt_random(seed, 7)];
        if (possible(&w->kernel, &r))
            append(&w->kernel, &r);
    }
    w->before = w->kernel;
}

static void feed(struct world *w, enum nsh_route_scope scope, const size_t *some, size_t n_some)
{
    assert_int_equal(nsh_route_plan_begin(w->plan, scope, some, n_some), 0);
    for (size_t i = 0; i < w->kernel.n; i++)
        assert_int_equal(nsh_route_plan_observe(w->plan, &w->kernel.routes[i]), 0);
}

/* Made in pieces, the steps are those, in that order, and the verdicts are the same. */
static void check_pieces(const struct world *w, const struct nsh_route_step *whole, size_t n,
        const enum nsh_route_verdict *verdicts)
{
    size_t from, to, seen = 0, at = 0, n_steps;
    bool writes = true;
    int more;

    do {
        more = nsh_route_plan_judge(w->plan, 3, &from, &to);
        assert_int_equal(from, seen);
        seen = to;
    } while (more == 1);
    assert_int_equal(more, 0);
    for (size_t i = 0; i < w->want->n_routes; i++)
        assert_int_equal(nsh_route_plan_verdict(w->plan, i), verdicts[i]);
    do {
        const struct nsh_route_step *steps;

        more = writes ? nsh_route_plan_writes(w->plan, 5, 2)
                      : nsh_route_plan_deletions(w->plan, 5, 2);
        steps = nsh_route_plan_steps(w->plan, &n_steps);
        for (size_t i = 0; i < n_steps; i++, at++) {
            assert_true(at < n);
            assert_int_equal(steps[i].action, whole[at].action);
            assert_int_equal(steps[i].wanted, whole[at].wanted);
            assert_int_equal(nsh_route_id_cmp(&steps[i].route, &whole[at].route), 0);
            assert_int_equal(steps[i].route.protocol, whole[at].route.protocol);
            assert_int_equal(
                    writes, steps[i].wanted != SIZE_MAX || steps[i].action != NSH_ROUTE_DELETE);
        }
        assert_true(more >= 0);
        if (more == 0 && writes) {
            writes = false;
            more = 1;
        }
    } while (more == 1);
    assert_int_equal(at, n);
}

static void compare(struct world *w, enum nsh_route_scope scope, const size_t *some, size_t n_some)
{
    nsh_autofree enum nsh_route_verdict *verdicts =
            calloc(w->want->n_routes + 1, sizeof(*verdicts));
    nsh_autofree struct nsh_route_step *whole = NULL;
    size_t n;

    feed(w, scope, some, n_some);
    assert_int_equal(nsh_route_plan_finish(w->plan), 0);
    nsh_route_plan_steps(w->plan, &n);
    whole = calloc(n + 1, sizeof(*whole));
    assert_true(verdicts && whole);
    if (n > 0)
        memcpy(whole, nsh_route_plan_steps(w->plan, &n), n * sizeof(*whole));
    for (size_t i = 0; i < w->want->n_routes; i++)
        verdicts[i] = nsh_route_plan_verdict(w->plan, i);
    feed(w, scope, some, n_some);
    check_pieces(w, whole, n, verdicts);
    feed(w, scope, some, n_some);
    assert_int_equal(nsh_route_plan_finish(w->plan), 0);
}

static bool is_ours(const struct world *w, const struct nsh_route *r)
{
    return r->protocol == OURS || (w->also_ours != 0 && r->protocol == w->also_ours);
}

/* Additions before deletions, and what others resolve through first in and last out. */
static void check_order(const struct nsh_route_step *steps, size_t n)
{
    int stage = 0;

    for (size_t i = 0; i < n; i++) {
        bool gateway = has_gateway(&steps[i].route);
        int now = steps[i].action == NSH_ROUTE_DELETE ? 3 - gateway : gateway;

        /* ours that is deleted to be written anew, or stands beside what is replaced */
        if (steps[i].action == NSH_ROUTE_DELETE && steps[i].wanted != SIZE_MAX)
            continue;
        assert_true(now >= stage);
        stage = now;
    }
}

static size_t run_plan(struct world *w)
{
    const struct nsh_route_step *steps;
    size_t n;

    steps = nsh_route_plan_steps(w->plan, &n);
    check_order(steps, n);
    for (size_t i = 0; i < n; i++) {
        int r = write_step(&w->kernel, w->arena, &steps[i]);

        assert_true(r == 0 || (steps[i].action == NSH_ROUTE_DELETE && r == -ESRCH));
    }
    return n;
}

/* ---- what must hold afterwards ---- */

static void check_wanted(const struct world *w, size_t i)
{
    const struct nsh_route *want = &w->want->routes[i];
    enum nsh_route_verdict verdict = nsh_route_plan_verdict(w->plan, i);
    size_t first = first_on_key(&w->kernel, want), right = first, ours = 0;

    if (verdict != NSH_ROUTE_RIGHT) {
        assert_true(verdict == NSH_ROUTE_CONFLICT || (w->flags[i] & NSH_ROUTE_SKIP));
        return;
    }
    for (size_t k = 0; k < w->kernel.n; k++)
        ours += same_id(&w->kernel.routes[k], want) && is_ours(w, &w->kernel.routes[k]);
    assert_int_equal(ours, 1);
    while (right < w->kernel.n &&
            (!same_id(&w->kernel.routes[right], want) || !is_ours(w, &w->kernel.routes[right])))
        right++;
    assert_true(want->family == AF_INET6 || right == first);
    assert_int_equal(w->kernel.routes[right].protocol, OURS);
    assert_true(nsh_route_equal(want, &w->kernel.routes[right], links));
}

/* Whether a foreign route on the key of wanted route i may have been taken. */
static bool may_be_taken(const struct world *w, size_t i)
{
    const struct nsh_route *want = &w->want->routes[i];
    size_t first = first_on_key(&w->before, want);

    if (w->flags[i] & NSH_ROUTE_SKIP)
        return false;
    if ((w->flags[i] & NSH_ROUTE_WAS_HELD) || want->props->on_conflict == NSH_CONFLICT_REPLACE)
        return true;
    for (size_t k = 0; k < w->before.n; k++)
        if (same_id(&w->before.routes[k], want) && is_ours(w, &w->before.routes[k]))
            return true;
    return nsh_route_equal(want, &w->before.routes[first], links);
}

static void check_foreign(const struct world *w)
{
    size_t at = 0;

    for (size_t i = 0; i < w->before.n; i++) {
        const struct nsh_route *r = &w->before.routes[i];
        size_t wanted = nsh_desired_find_route(w->want, r);

        if (is_ours(w, r) || (wanted != SIZE_MAX && may_be_taken(w, wanted)))
            continue;
        /* still there, and in the same order */
        while (at < w->kernel.n && !same(&w->kernel.routes[at], r))
            at++;
        assert_true(at < w->kernel.n);
    }
}

static void check_nothing_unwanted(const struct world *w)
{
    for (size_t i = 0; i < w->kernel.n; i++)
        if (is_ours(w, &w->kernel.routes[i]))
            assert_true(nsh_desired_find_route(w->want, &w->kernel.routes[i]) != SIZE_MAX);
}

/* ---- tests ---- */

static void world_begin(struct world *w, uint64_t *seed)
{
    *w = (struct world){.arena = nsh_arena_new()};
    w->also_ours = rt_random(seed, 2) ? OLD : 0;
    make_wanted(w, seed);
    make_kernel(w, seed);
    assert_int_equal(nsh_route_plan_new(w->want, w->flags, w->also_ours, &w->plan), 0);
}

static void world_end(struct world *w)
{
    nsh_route_plan_free(w->plan);
    nsh_desired_free(w->want);
    nsh_arena_free(w->arena);
}

static void test_converges(void **state)
{
    uint64_t seed = rt_seed();

    (void)state;
    for (int i = 0; i < 3000; i++) {
        struct world w;
        int rounds = 0;

        world_begin(&w, &seed);
        for (compare(&w, NSH_SCOPE_ALL, NULL, 0); run_plan(&w) > 0;
                compare(&w, NSH_SCOPE_ALL, NULL, 0))
            assert_true(++rounds <= ROUNDS_MAX);
        for (size_t k = 0; k < w.want->n_routes; k++)
            check_wanted(&w, k);
        check_foreign(&w);
        check_nothing_unwanted(&w);
        world_end(&w);
    }
}

/* A few keys: no other object is touched, and what is judged is judged as in a full comparison. */
static void test_keys(void **state)
{
    uint64_t seed = rt_seed();

    (void)state;
    for (int i = 0; i < 1500; i++) {
        struct world w;
        const struct nsh_route_step *steps;
        size_t n_keys = 0, some[WANTED_MAX], n_steps;
        enum nsh_route_verdict verdicts[WANTED_MAX];

        world_begin(&w, &seed);
        compare(&w, NSH_SCOPE_ALL, NULL, 0);
        for (size_t k = 0; k < w.want->n_routes; k++)
            verdicts[k] = nsh_route_plan_verdict(w.plan, k);
        for (size_t k = 0; k < w.want->n_routes; k++)
            if (rt_random(&seed, 3) == 0)
                some[n_keys++] = k;
        compare(&w, NSH_SCOPE_KEYS, some, n_keys);
        for (size_t k = 0, at = 0; k < w.want->n_routes; k++)
            assert_int_equal(nsh_route_plan_verdict(w.plan, k),
                    at < n_keys && some[at] == k ? verdicts[some[at++]] : NSH_ROUTE_UNKNOWN);
        steps = nsh_route_plan_steps(w.plan, &n_steps);
        for (size_t k = 0; k < n_steps; k++) {
            assert_true(steps[k].wanted < w.want->n_routes);
            assert_int_equal(verdicts[steps[k].wanted], NSH_ROUTE_WRONG);
        }
        world_end(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_converges),
            cmocka_unit_test(test_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
