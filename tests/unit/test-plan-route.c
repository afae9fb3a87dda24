/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The route plan, case by case: what is wanted, what is seen, the verdicts and the steps.
 * test-plan-route-random.c does the same with random ones.
 */
#include "cleanup.h"
#include "plan.h"
#include "route-text.h"

#define MAX 8

static const struct nsh_link links[] = {
        {.name = "eth0", .ifindex = 3},
        {.gateway_family = AF_INET, .ifindex = 0},
        {.name = "gone", .ifindex = 0},
};

struct example {
    const char *name;
    bool only_ours;      /* NSH_SCOPE_OURS */
    bool only_first_key; /* NSH_SCOPE_KEYS */
    uint8_t also_ours;
    uint8_t flags; /* of every wanted route */
    const char *want[MAX];
    const char *seen[MAX];
    const char *expect; /* verdicts, a letter each, in order of the keys; then the steps */
};

/*
 * Verdicts: r right, w wrong, c conflict, u unknown. Steps: + add, = replace, ~ adopt, - delete.
 * "^" and a wanted route's number: what shadows it.
 */
static const struct example examples[] = {
        {.name = "nothing stands there",
                .want = {"10.1.0.0/16 via 192.0.2.1"},
                .expect = "w; + 10.1.0.0/16 via 192.0.2.1"},
        {.name = "right",
                .want = {"10.1.0.0/16 via 192.0.2.1 dev @0"},
                .seen = {"10.1.0.0/16 via 192.0.2.1 dev #3"},
                .expect = "r;"},
        {.name = "ours but different",
                .want = {"10.1.0.0/16 via 192.0.2.1 dev @0"},
                .seen = {"10.1.0.0/16 via 192.0.2.2 dev #3"},
                .expect = "w; = 10.1.0.0/16 via 192.0.2.1 dev eth0"},
        {.name = "other keys do not matter",
                .want = {"10.1.0.0/16 via 192.0.2.1"},
                .seen = {"10.1.0.0/16 via 192.0.2.9 metric 5 proto 4",
                        "10.1.0.0/24 via 192.0.2.9 proto 4",
                        "10.1.0.0/16 via 192.0.2.9 table 9 proto 4"},
                .expect = "w; + 10.1.0.0/16 via 192.0.2.1"},
        {.name = "not wanted any more, and a foreign one beside",
                .seen = {"10.1.0.0/16 via 192.0.2.1 dev #3", "10.1.0.0/16 dev #3 proto 2"},
                .expect = "; - 10.1.0.0/16 via 192.0.2.1 dev #3"},
        {.name = "order of steps",
                .want = {"default via 192.0.2.1", "192.0.2.0/24 dev @0", "10.0.0.0/8 via 192.0.2.1",
                        "blackhole 198.51.100.0/24"},
                .seen = {"10.0.0.0/8 via 192.0.2.9 dev #3", "203.0.113.0/24 dev #3",
                        "10.9.0.0/16 via 203.0.113.1 dev #3"},
                .expect = "wwww; + 192.0.2.0/24 dev eth0; + blackhole 198.51.100.0/24;"
                          " + default via 192.0.2.1; = 10.0.0.0/8 via 192.0.2.1;"
                          " - 10.9.0.0/16 via 203.0.113.1 dev #3; - 203.0.113.0/24 dev #3"},
        {.name = "shadowed by a lower metric, the first is told",
                .want = {"10.1.0.0/16 via 192.0.2.1 metric 9", "10.2.0.0/16 via 192.0.2.1",
                        "2001:db8::/32 via fe80::1"},
                .seen = {"10.1.0.0/16 via 192.0.2.1 dev #3 metric 9",
                        "10.2.0.0/16 via 192.0.2.1 dev #3",
                        "10.1.0.0/16 via 192.0.2.8 metric 10 proto 4",
                        "10.1.0.0/16 via 192.0.2.8 metric 8 proto 4",
                        "10.1.0.0/16 via 192.0.2.9 metric 7 proto 4",
                        "10.1.0.0/24 via 192.0.2.9 proto 4", "2001:db8::/32 via fe80::1 dev #3",
                        "2001:db8::/32 via fe80::2 dev #3 metric 20 proto 9"},
                .expect = "rrr; ^0 10.1.0.0/16 via 192.0.2.8 metric 8;"
                          " ^2 2001:db8::/32 via fe80::2 dev #3 metric 20"},
        {.name = "shadowed by a tos of its own, whatever the metric",
                .want = {"10.1.0.0/16 via 192.0.2.1", "10.1.0.0/16 via 192.0.2.1 tos 16"},
                .seen = {"10.1.0.0/16 via 192.0.2.1 dev #3",
                        "10.1.0.0/16 via 192.0.2.1 dev #3 tos 16",
                        "10.1.0.0/16 via 192.0.2.9 metric 5 tos 8 proto 4",
                        "10.1.0.0/16 via 192.0.2.9 metric 5 tos 16 proto 4"},
                .expect = "rr; ^0 10.1.0.0/16 tos 0x08 via 192.0.2.9 metric 5"},
        {.name = "our own do not shadow",
                .want = {"10.1.0.0/16 via 192.0.2.1 metric 9", "10.1.0.0/16 via 192.0.2.2"},
                .seen = {"10.1.0.0/16 via 192.0.2.1 dev #3 metric 9",
                        "10.1.0.0/16 via 192.0.2.2 dev #3"},
                .expect = "rr;"},
        /* claimed keys */
        {.name = "foreign and different",
                .want = {"default via 192.0.2.1"},
                .seen = {"default via 192.0.2.9 dev #3 proto 16"},
                .expect = "c; ! default via 192.0.2.9 dev #3"},
        {.name = "foreign and equal",
                .want = {"default via 192.0.2.1"},
                .seen = {"default via 192.0.2.1 dev #3 proto 16"},
                .expect = "w; ~ default via 192.0.2.1"},
        {.name = "foreign, on-conflict: replace",
                .want = {"default via 192.0.2.1 replace"},
                .seen = {"default via 192.0.2.9 dev #3 proto 16"},
                .expect = "w; = default via 192.0.2.1"},
        {.name = "foreign where ours was",
                .flags = NSH_ROUTE_WAS_HELD,
                .want = {"default via 192.0.2.1"},
                .seen = {"default via 192.0.2.9 dev #3 proto 16"},
                .expect = "w; = default via 192.0.2.1"},
        /* not wanted now */
        {.name = "withdrawn",
                .flags = NSH_ROUTE_WITHDRAWN,
                .want = {"10.1.0.0/16 via 192.0.2.1 dev @0", "192.0.2.0/24 dev @0"},
                .seen = {"10.1.0.0/16 via 192.0.2.1 dev #3", "192.0.2.0/24 dev #3"},
                .expect = "rr; - 10.1.0.0/16 via 192.0.2.1 dev #3; - 192.0.2.0/24 dev #3"},
        {.name = "withdrawn, and another than was wanted stands there",
                .flags = NSH_ROUTE_WITHDRAWN | NSH_ROUTE_WAS_HELD,
                .only_ours = true,
                .want = {"10.1.0.0/16 via 192.0.2.1 dev @0"},
                .seen = {"10.1.0.0/16 via 192.0.2.9 dev #3"},
                .expect = "r; - 10.1.0.0/16 via 192.0.2.9 dev #3"},
        {.name = "withdrawn, of single keys",
                .flags = NSH_ROUTE_WITHDRAWN,
                .only_first_key = true,
                .want = {"10.1.0.0/16 via 192.0.2.1 dev @0", "10.2.0.0/16 via 192.0.2.1 dev @0"},
                .seen = {"10.1.0.0/16 via 192.0.2.1 dev #3", "10.2.0.0/16 via 192.0.2.1 dev #3"},
                .expect = "ru; - 10.1.0.0/16 via 192.0.2.1 dev #3"},
        {.name = "withdrawn, and a foreign one stands there",
                .flags = NSH_ROUTE_WITHDRAWN | NSH_ROUTE_WAS_HELD,
                .want = {"10.1.0.0/16 via 192.0.2.1 dev @0 replace"},
                .seen = {"10.1.0.0/16 via 192.0.2.9 dev #3 proto 4",
                        "10.1.0.0/16 via 192.0.2.1 dev #3"},
                .expect = "r; - 10.1.0.0/16 via 192.0.2.1 dev #3"},
        {.name = "of several foreign ones the first counts",
                .want = {"default via 192.0.2.1"},
                .seen = {"default via 192.0.2.9 dev #3 proto 16",
                        "default via 192.0.2.1 dev #3 proto 4"},
                .expect = "c; ! default via 192.0.2.9 dev #3"},
        {.name = "the kernel's own is foreign",
                .want = {"192.0.2.0/24 dev @0"},
                .seen = {"192.0.2.0/24 dev #3 src 192.0.2.7 proto 2"},
                .expect = "c; ! 192.0.2.0/24 dev #3 src 192.0.2.7"},
        /* several on one key, IPv4 */
        {.name = "a foreign one appended behind ours",
                .want = {"10.1.0.0/16 via 192.0.2.1"},
                .seen = {"10.1.0.0/16 via 192.0.2.1 dev #3", "10.1.0.0/16 via 192.0.2.9 proto 4"},
                .expect = "r;"},
        {.name = "a foreign one prepended",
                .want = {"10.1.0.0/16 via 192.0.2.1"},
                .seen = {"10.1.0.0/16 via 192.0.2.9 proto 4", "10.1.0.0/16 via 192.0.2.1 dev #3"},
                .expect = "w; - 10.1.0.0/16 via 192.0.2.1 dev #3; = 10.1.0.0/16 via 192.0.2.1"},
        {.name = "an equal foreign one prepended",
                .want = {"10.1.0.0/16 via 192.0.2.1"},
                .seen = {"10.1.0.0/16 via 192.0.2.1 dev #3 proto 4",
                        "10.1.0.0/16 via 192.0.2.1 dev #3"},
                .expect = "w; - 10.1.0.0/16 via 192.0.2.1 dev #3; = 10.1.0.0/16 via 192.0.2.1"},
        {.name = "another of ours beside the right one",
                .want = {"10.1.0.0/16 via 192.0.2.1"},
                .seen = {"10.1.0.0/16 via 192.0.2.1 dev #3", "10.1.0.0/16 via 192.0.2.9 dev #3"},
                .expect = "w; - 10.1.0.0/16 via 192.0.2.9 dev #3; = 10.1.0.0/16 via 192.0.2.1"},
        {.name = "another of ours before the right one",
                .want = {"10.1.0.0/16 via 192.0.2.1"},
                .seen = {"10.1.0.0/16 via 192.0.2.9 dev #3", "10.1.0.0/16 via 192.0.2.1 dev #3"},
                .expect = "w; - 10.1.0.0/16 via 192.0.2.9 dev #3; = 10.1.0.0/16 via 192.0.2.1"},
        {.name = "two of ours, none right",
                .want = {"10.1.0.0/16 via 192.0.2.1"},
                .seen = {"10.1.0.0/16 via 192.0.2.8 dev #3", "10.1.0.0/16 via 192.0.2.9 dev #3"},
                .expect = "w; - 10.1.0.0/16 via 192.0.2.9 dev #3; = 10.1.0.0/16 via 192.0.2.1"},
        {.name = "the same route twice in one dump",
                .want = {"10.1.0.0/16 via 192.0.2.1"},
                .seen = {"10.1.0.0/16 via 192.0.2.1 dev #3", "10.1.0.0/16 via 192.0.2.1 dev #3"},
                .expect = "r;"},
        /* IPv6 */
        {.name = "merged into a foreign multipath",
                .flags = NSH_ROUTE_WAS_HELD,
                .want = {"2001:db8::/32 via fe80::1 dev @0"},
                .seen = {"2001:db8::/32 proto 4 nexthop via fe80::1 dev #3 nexthop via fe80::2 dev "
                         "#3"},
                .expect = "w; = 2001:db8::/32 via fe80::1 dev eth0"},
        {.name = "ours grew a nexthop",
                .want = {"2001:db8::/32 via fe80::1 dev @0"},
                .seen = {"2001:db8::/32 nexthop via fe80::1 dev #3 nexthop via fe80::2 dev #3"},
                .expect = "w; = 2001:db8::/32 via fe80::1 dev eth0"},
        {.name = "a foreign one before ours is no shadow in IPv6",
                .want = {"2001:db8::/32 via fe80::1 dev @0"},
                .seen = {"2001:db8::/32 dev #3 proto 2", "2001:db8::/32 via fe80::1 dev #3"},
                .expect = "r;"},
        {.name = "what a replacement leaves over waits for the next round in IPv6",
                .want = {"2001:db8::/32 via fe80::1 dev @0"},
                .seen = {"2001:db8::/32 dev #3", "2001:db8::/32 via fe80::2 dev #3"},
                .expect = "w; = 2001:db8::/32 via fe80::1 dev eth0"},
        {.name = "and goes then",
                .want = {"2001:db8::/32 via fe80::1 dev @0"},
                .seen = {"2001:db8::/32 dev #3", "2001:db8::/32 via fe80::1 dev #3"},
                .expect = "w; - 2001:db8::/32 dev #3; = 2001:db8::/32 via fe80::1 dev eth0"},
        /* the mark from before a reload */
        {.name = "old mark, equal",
                .also_ours = 111,
                .want = {"10.1.0.0/16 via 192.0.2.1"},
                .seen = {"10.1.0.0/16 via 192.0.2.1 dev #3 proto 111"},
                .expect = "w; ~ 10.1.0.0/16 via 192.0.2.1"},
        {.name = "old mark, different",
                .also_ours = 111,
                .want = {"10.1.0.0/16 via 192.0.2.1"},
                .seen = {"10.1.0.0/16 via 192.0.2.9 dev #3 proto 111"},
                .expect = "w; = 10.1.0.0/16 via 192.0.2.1"},
        {.name = "old mark, not wanted",
                .also_ours = 111,
                .seen = {"10.1.0.0/16 via 192.0.2.9 dev #3 proto 111"},
                .expect = "; - 10.1.0.0/16 via 192.0.2.9 dev #3"},
        {.name = "old mark beside the new one",
                .also_ours = 111,
                .want = {"10.1.0.0/16 via 192.0.2.1"},
                .seen = {"10.1.0.0/16 via 192.0.2.1 dev #3 proto 111",
                        "10.1.0.0/16 via 192.0.2.1 dev #3"},
                .expect = "w; - 10.1.0.0/16 via 192.0.2.1 dev #3; = 10.1.0.0/16 via 192.0.2.1"},
        /* not now */
        {.name = "skip what is missing",
                .flags = NSH_ROUTE_SKIP,
                .want = {"10.1.0.0/16 dev @2"},
                .expect = "w;"},
        {.name = "skip what has company",
                .flags = NSH_ROUTE_SKIP,
                .want = {"10.1.0.0/16 via 192.0.2.1"},
                .seen = {"10.1.0.0/16 via 192.0.2.1 dev #3", "10.1.0.0/16 via 192.0.2.9 dev #3"},
                .expect = "w;"},
        {.name = "skip says right and conflict all the same",
                .flags = NSH_ROUTE_SKIP,
                .want = {"10.1.0.0/16 via 192.0.2.1", "10.2.0.0/16 via 192.0.2.1"},
                .seen = {"10.1.0.0/16 via 192.0.2.1 dev #3", "10.2.0.0/16 dev #3 proto 4"},
                .expect = "rc; ! 10.2.0.0/16 dev #3"},
        /* scopes */
        {.name = "only ours were asked for",
                .only_ours = true,
                .want = {"10.1.0.0/16 via 192.0.2.1", "10.2.0.0/16 via 192.0.2.1"},
                .seen = {"10.2.0.0/16 via 192.0.2.9 proto 4", "10.3.0.0/16 dev #3"},
                .expect = "ww; + 10.1.0.0/16 via 192.0.2.1; + 10.2.0.0/16 via 192.0.2.1;"
                          " - 10.3.0.0/16 dev #3"},
        {.name = "only one key, the first",
                .only_first_key = true,
                .want = {"10.1.0.0/16 via 192.0.2.1", "10.2.0.0/16 via 192.0.2.1"},
                .seen = {"10.2.0.0/16 via 192.0.2.9 dev #3", "10.3.0.0/16 dev #3"},
                .expect = "wu; + 10.1.0.0/16 via 192.0.2.1"},
        {.name = "only one key, with company",
                .only_first_key = true,
                .want = {"10.1.0.0/16 via 192.0.2.1", "10.2.0.0/16 via 192.0.2.1"},
                .seen = {"10.1.0.0/16 via 192.0.2.1 dev #3", "10.1.0.0/16 via 192.0.2.9 dev #3"},
                .expect = "wu; - 10.1.0.0/16 via 192.0.2.9 dev #3; = 10.1.0.0/16 via 192.0.2.1"},
};

struct text {
    char buf[1024];
    size_t at;
};

__attribute__((format(printf, 2, 3))) static void say(struct text *t, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    t->at += (size_t)vsnprintf(t->buf + t->at, sizeof(t->buf) - t->at, format, ap);
    va_end(ap);
    assert_true(t->at < sizeof(t->buf));
}

static void describe(const struct nsh_route_plan *p, size_t n_wanted, struct text *t)
{
    const struct nsh_route_shadow *shadows;
    const struct nsh_route_step *steps;
    char buf[256];
    size_t n;

    *t = (struct text){.at = 0};
    for (size_t i = 0; i < n_wanted; i++)
        say(t, "%c", "urwc"[nsh_route_plan_verdict(p, i)]);
    say(t, ";");
    for (size_t i = 0; i < n_wanted; i++) {
        const struct nsh_route *foreign = nsh_route_plan_conflict(p, i);

        if (foreign)
            say(t, " ! %s;", nsh_route_format(foreign, NULL, buf, sizeof(buf)));
    }
    steps = nsh_route_plan_steps(p, &n);
    for (size_t i = 0; i < n; i++)
        say(t, " %c %s;", "+=~-"[steps[i].action],
                nsh_route_format(&steps[i].route, links, buf, sizeof(buf)));
    shadows = nsh_route_plan_shadows(p, &n);
    for (size_t i = 0; i < n; i++)
        say(t, " ^%zu %s;", shadows[i].wanted,
                nsh_route_format(&shadows[i].by, NULL, buf, sizeof(buf)));
    if (t->at > n_wanted + 1)
        t->buf[--t->at] = '\0';
}

static void feed(struct nsh_route_plan *p, const char *const *seen)
{
    for (size_t i = 0; i < MAX && seen[i]; i++) {
        /* what is observed is valid during the call only */
        struct nsh_arena *arena = nsh_arena_new();
        struct nsh_route r = rt(arena, seen[i]);

        assert_int_equal(nsh_route_plan_observe(p, &r), 0);
        nsh_arena_free(arena);
    }
}

static struct nsh_desired *desire(struct nsh_arena *arena, const char *const *texts)
{
    struct nsh_route routes[MAX];
    size_t n = 0;

    for (; n < MAX && texts[n]; n++)
        routes[n] = rt(arena, texts[n]);
    return rt_desired(routes, n, links, sizeof(links) / sizeof(links[0]));
}

static void run_example(const struct example *x)
{
    enum nsh_route_scope scope = x->only_ours        ? NSH_SCOPE_OURS
                                 : x->only_first_key ? NSH_SCOPE_KEYS
                                                     : NSH_SCOPE_ALL;
    struct nsh_arena *arena = nsh_arena_new();
    struct nsh_desired *d = desire(arena, x->want);
    struct nsh_route_plan *p = NULL;
    const size_t first = 0;
    uint8_t flags[MAX];
    struct text t;

    memset(flags, x->flags, sizeof(flags));
    assert_int_equal(nsh_route_plan_new(d, flags, x->also_ours, &p), 0);
    /* twice with one plan: nothing is left over from before */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(nsh_route_plan_begin(p, scope, &first, 1), 0);
        feed(p, x->seen);
        assert_int_equal(nsh_route_plan_finish(p), 0);
        describe(p, d->n_routes, &t);
        if (strcmp(t.buf, x->expect) != 0)
            fail_msg("%s:\n  expected  %s\n  got       %s", x->name, x->expect, t.buf);
    }
    nsh_route_plan_free(p);
    nsh_desired_free(d);
    nsh_arena_free(arena);
}

static void test_examples(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++)
        run_example(&examples[i]);
}

static void test_steps_carry_the_mark(void **state)
{
    static const char *const want[MAX] = {"10.1.0.0/16 via 192.0.2.1 proto 7"};
    static const char *const seen[MAX] = {
            "10.1.0.0/16 via 192.0.2.9 proto 111", "10.2.0.0/16 dev #3 proto 111"};
    struct nsh_arena *arena = nsh_arena_new();
    struct nsh_desired *d = desire(arena, want);
    struct nsh_route_plan *p = NULL;
    const struct nsh_route_step *steps;
    const uint8_t flags = 0;
    size_t n;

    (void)state;
    assert_int_equal(nsh_route_plan_new(d, &flags, 111, &p), 0);
    assert_int_equal(nsh_route_plan_begin(p, NSH_SCOPE_ALL, NULL, 0), 0);
    feed(p, seen);
    assert_int_equal(nsh_route_plan_finish(p), 0);
    steps = nsh_route_plan_steps(p, &n);
    assert_int_equal(n, 2);
    assert_int_equal(steps[0].route.protocol, NSH_ROUTE_PROTOCOL_DEFAULT);
    assert_int_equal(steps[0].wanted, 0);
    assert_int_equal(steps[1].route.protocol, 111);
    assert_true(steps[1].wanted == SIZE_MAX);
    nsh_route_plan_free(p);
    nsh_desired_free(d);
    nsh_arena_free(arena);
}

/* After another scope nothing of it is left. */
static void test_scopes_in_turn(void **state)
{
    static const char *const want[MAX] = {"10.1.0.0/16 dev @0", "10.2.0.0/16 dev @0"};
    static const char *const none[MAX] = {NULL};
    struct nsh_arena *arena = nsh_arena_new();
    struct nsh_desired *d = desire(arena, want);
    struct nsh_route_plan *p = NULL;
    const uint8_t flags[2] = {0};
    const size_t keys[] = {1, 1, 77};
    size_t n;

    (void)state;
    assert_int_equal(nsh_route_plan_new(d, flags, 0, &p), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(nsh_route_plan_begin(p, NSH_SCOPE_ALL, NULL, 0), 0);
        feed(p, want);
        assert_int_equal(nsh_route_plan_finish(p), 0);
        assert_int_equal(nsh_route_plan_begin(p, NSH_SCOPE_KEYS, keys, 3), 0);
        assert_int_equal(nsh_route_plan_verdict(p, 0), NSH_ROUTE_UNKNOWN);
        feed(p, none);
        assert_int_equal(nsh_route_plan_finish(p), 0);
        nsh_route_plan_steps(p, &n);
        assert_int_equal(n, 1);
        assert_int_equal(nsh_route_plan_verdict(p, 0), NSH_ROUTE_UNKNOWN);
        assert_int_equal(nsh_route_plan_verdict(p, 1), NSH_ROUTE_WRONG);
    }
    nsh_route_plan_free(p);
    nsh_desired_free(d);
    nsh_arena_free(arena);
}

/* Many routes, so that the arrays grow, in the order of a dump and against it. */
static void test_many(void **state)
{
    enum { N = 3000 };
    struct nsh_arena *arena = nsh_arena_new();
    struct nsh_route *routes = calloc(N, sizeof(*routes));
    uint8_t *flags = calloc(N, 1);
    struct nsh_route_plan *p = NULL;
    struct nsh_desired *d;
    size_t n;

    (void)state;
    for (unsigned i = 0; i < N; i++) {
        char text[64];

        snprintf(text, sizeof(text), "10.%u.%u.0/24 via 192.0.2.1 dev #3", i / 250, i % 250);
        routes[i] = rt(arena, text);
    }
    d = rt_desired(routes, N, NULL, 0);
    assert_int_equal(nsh_route_plan_new(d, flags, 0, &p), 0);
    for (unsigned backwards = 0; backwards < 2; backwards++) {
        assert_int_equal(nsh_route_plan_begin(p, NSH_SCOPE_ALL, NULL, 0), 0);
        for (size_t i = 0; i < N; i++) {
            struct nsh_route r = routes[backwards ? N - 1 - i : i];

            r.metric = i % 3 == 0;
            assert_int_equal(nsh_route_plan_observe(p, &r), 0);
        }
        assert_int_equal(nsh_route_plan_finish(p), 0);
        nsh_route_plan_steps(p, &n);
        assert_int_equal(n, 2 * N / 3);
    }
    nsh_route_plan_free(p);
    nsh_desired_free(d);
    nsh_arena_free(arena);
    free(routes);
    free(flags);
}

/* So many that they are written level by level: each one still once, with what is beside. */
static void test_levels(void **state)
{
    enum { N = 70001 }; /* no power of two */
    struct nsh_arena *arena = nsh_arena_new();
    struct nsh_route *routes = calloc(N, sizeof(*routes));
    const struct nsh_route other = rt(arena, "10.0.0.0/8 via 192.0.2.9 dev #3");
    uint8_t *flags = calloc(N, 1), *written = calloc(N, 1);
    struct nsh_route_plan *p = NULL;
    const struct nsh_route_step *steps;
    struct nsh_desired *d;
    size_t n;

    (void)state;
    routes[0] = rt(arena, "10.0.0.0/24 via 192.0.2.1 dev @0");
    for (unsigned i = 1; i < N; i++) {
        routes[i] = routes[0];
        routes[i].dst.bytes[0] = (uint8_t)(10 + (i >> 16));
        routes[i].dst.bytes[1] = (uint8_t)(i >> 8);
        routes[i].dst.bytes[2] = (uint8_t)i;
    }
    d = rt_desired(routes, N, links, NSH_ARRAY_SIZE(links));
    assert_int_equal(nsh_route_plan_new(d, flags, 0, &p), 0);
    assert_int_equal(nsh_route_plan_begin(p, NSH_SCOPE_OURS, NULL, 0), 0);
    for (size_t i = 0; i < N; i += 7) {
        struct nsh_route seen = routes[i];

        seen.props = other.props;
        seen.protocol = d->protocol;
        assert_int_equal(nsh_route_plan_observe(p, &seen), 0);
    }
    assert_int_equal(nsh_route_plan_finish(p), 0);
    steps = nsh_route_plan_steps(p, &n);
    assert_int_equal(n, N);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(
                steps[i].action, steps[i].wanted % 7 == 0 ? NSH_ROUTE_REPLACE : NSH_ROUTE_ADD);
        assert_int_equal(written[steps[i].wanted]++, 0);
    }
    assert_int_equal(steps[0].wanted, 0);
    assert_int_equal(steps[1].wanted, 65536);
    assert_int_equal(steps[2].wanted, 32768);
    assert_int_equal(steps[3].wanted, 16384);
    assert_int_equal(steps[4].wanted, 49152);
    assert_int_equal(steps[5].wanted, 8192);
    nsh_route_plan_free(p);
    nsh_desired_free(d);
    nsh_arena_free(arena);
    free(routes);
    free(flags);
    free(written);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_examples),
            cmocka_unit_test(test_steps_carry_the_mark),
            cmocka_unit_test(test_scopes_in_turn),
            cmocka_unit_test(test_many),
            cmocka_unit_test(test_levels),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
