/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules against the real kernel: random ones of every attribute written, dumped and compared; the
 * kernel's loose questions answered as rule.h says; events; and what is foreign left as it is.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "fib-world.h"

#define ROUNDS 400U
#define RULES_MAX 128

static uint64_t seed;

static uint32_t any(uint32_t below)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(seed >> 33) % below;
}

static void begin_random(void)
{
    const char *given = getenv("NSH_SEED");

    seed = given ? strtoull(given, NULL, 0) : 20240229;
    print_message("# NSH_SEED=%" PRIu64 "\n", seed);
}

/* ---- rules ---- */

static struct nsh_rule plain(uint8_t family, uint32_t priority, uint32_t table)
{
    return (struct nsh_rule){.family = family,
            .priority = priority,
            .table = table,
            .action = FR_ACT_TO_TBL,
            .uids = {0, NSH_UID_ANY_LAST},
            .suppress_length = NSH_SUPPRESS_NONE,
            .suppress_group = NSH_SUPPRESS_NONE,
            .protocol = OURS};
}

static struct nsh_prefix random_prefix(int family)
{
    struct nsh_prefix p = {.family = (uint8_t)family};

    p.length = (uint8_t)any(nsh_addr_bits(family) + 1U);
    for (size_t i = 0; i < nsh_addr_size(family); i++)
        p.addr.bytes[i] = (uint8_t)any(256);
    nsh_prefix_mask(&p);
    return p;
}

static struct nsh_range random_range(uint32_t max)
{
    uint32_t a = 1 + any(max), b = any(2) ? a : 1 + any(max);

    return (struct nsh_range){a < b ? a : b, a < b ? b : a};
}

static void random_packet(struct nsh_rule *r)
{
    static const char *const devices[] = {"v0", "v1", "lo", "absent0", "fifteen-letters"};

    if (any(2))
        r->from = random_prefix(r->family);
    if (any(2))
        r->to = random_prefix(r->family);
    if (any(3) == 0)
        strcpy(r->iif, devices[any(NSH_ARRAY_SIZE(devices))]);
    if (any(3) == 0)
        strcpy(r->oif, devices[any(NSH_ARRAY_SIZE(devices))]);
    if (any(3) == 0) {
        r->mark.mask = any(3) ? UINT32_MAX : 1 + any(0x7fffffff);
        r->mark.value = any(0x7fffffff) * 2 & r->mark.mask;
    }
    if (any(4) == 0)
        r->tos = (uint8_t)(4 + 4 * any(r->family == AF_INET ? 7 : 62));
    if (any(3) == 0)
        r->ip_protocol = (uint8_t)(1 + any(255));
    if (any(3) == 0)
        r->source_port = random_range(65534);
    if (any(3) == 0)
        r->destination_port = random_range(65534);
    if (any(4) == 0)
        r->uids = random_range(100000);
    r->invert = any(5) == 0;
}

static void random_outcome(struct nsh_rule *r)
{
    static const uint8_t actions[] = {FR_ACT_TO_TBL, FR_ACT_TO_TBL, FR_ACT_TO_TBL, FR_ACT_GOTO,
            FR_ACT_BLACKHOLE, FR_ACT_UNREACHABLE, FR_ACT_PROHIBIT};

    r->action = actions[any(NSH_ARRAY_SIZE(actions))];
    r->target = r->priority + 1 + any(1000);
    if (any(4) == 0)
        r->table = 253 + any(1000000);
    if (r->action == FR_ACT_TO_TBL && any(3) == 0)
        r->suppress_length = (int32_t)any(33);
    if (r->action == FR_ACT_TO_TBL && any(4) == 0)
        r->suppress_group = (int32_t)any(0x7fffffff);
}

static struct nsh_rule random_rule(void)
{
    struct nsh_rule r =
            plain(any(2) ? AF_INET : AF_INET6, any(3) ? any(40000) : any(0x7fffffff), 1 + any(252));

    random_packet(&r);
    random_outcome(&r);
    nsh_rule_normalize(&r);
    return r;
}

/* ---- what is observed ---- */

struct rules {
    size_t n;
    struct nsh_rule items[RULES_MAX];
};

static int collect(void *userdata, const struct nsh_rule *r)
{
    struct rules *all = userdata;

    if (r->protocol != OURS)
        return 0;
    assert_true(all->n < RULES_MAX);
    all->items[all->n++] = *r;
    return 0;
}

static void dump(struct world *w, struct rules *ret)
{
    ret->n = 0;
    assert_int_equal(w->fib->ops->rules_dump(w->fib, collect, ret), 0);
}

static void expect_rules(struct world *w, size_t n)
{
    struct rules all;

    dump(w, &all);
    assert_int_equal(all.n, n);
}

struct error {
    int error;
    char why[NSH_FIBNL_WHY_MAX];
};

static void note(void *userdata, size_t op, int error, const char *why)
{
    struct error *e = userdata;

    (void)op;
    e->error = error;
    snprintf(e->why, sizeof(e->why), "%s", why);
}

static struct error write_rule(
        struct world *w, enum nsh_fib_rule_verb verb, const struct nsh_rule *r)
{
    const struct nsh_fib_rule_op op = {.verb = verb, .rule = *r};
    struct error e = {0};

    assert_int_equal(w->fib->ops->rules_submit(w->fib, &op, 1, note, &e), 0);
    return e;
}

static void expect_written(struct world *w, enum nsh_fib_rule_verb verb, const struct nsh_rule *r)
{
    struct error e = write_rule(w, verb, r);
    char text[NSH_RULE_TEXT];

    if (e.error)
        fail_msg("%s: error %d %s", nsh_rule_format_name(r, text, sizeof(text)), e.error, e.why);
}

/* ---- tests ---- */

static void expect_only(struct world *w, const struct nsh_rule *r)
{
    struct rules all;
    char a[NSH_RULE_TEXT], b[NSH_RULE_TEXT];

    dump(w, &all);
    assert_int_equal(all.n, 1);
    if (!nsh_rule_equal(r, &all.items[0]))
        fail_msg("written %s\nseen    %s", nsh_rule_format_name(r, a, sizeof(a)),
                nsh_rule_format_name(&all.items[0], b, sizeof(b)));
    assert_int_equal(all.items[0].protocol, OURS);
}

static void test_random(void **state)
{
    struct world *w = *state;

    begin_random();
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct nsh_rule r = random_rule();

        expect_written(w, NSH_FIB_RULE_ADD, &r);
        expect_only(w, &r);
        assert_int_equal(write_rule(w, NSH_FIB_RULE_ADD, &r).error, -EEXIST);
        expect_written(w, NSH_FIB_RULE_DELETE, &r);
        expect_rules(w, 0);
        assert_int_equal(write_rule(w, NSH_FIB_RULE_DELETE, &r).error, -ENOENT);
    }
}

/* What is shown can be typed: `ip rule add` makes the same rule of it. */
static void test_format_is_ip(void **state)
{
    struct world *w = *state;

    begin_random();
    for (unsigned i = 0; i < 60; i++) {
        struct nsh_rule r = random_rule();
        char text[NSH_RULE_TEXT];

        IP("-%d rule add %s protocol %d", r.family == AF_INET ? 4 : 6,
                nsh_rule_format(&r, text, sizeof(text)), OURS);
        expect_only(w, &r);
        expect_written(w, NSH_FIB_RULE_DELETE, &r);
    }
}

/* Few values, so that they meet. */
static struct nsh_rule small_rule(void)
{
    static const char *const prefixes[] = {"10.1.0.0/16", "10.2.0.0/16"};
    struct nsh_rule r = plain(AF_INET, 5, 100 + any(2));

    if (any(2))
        nsh_prefix_parse(prefixes[any(2)], &r.from);
    if (any(4) == 0)
        nsh_prefix_parse(prefixes[any(2)], &r.to);
    if (any(4) == 0)
        strcpy(r.iif, "v0");
    if (any(4) == 0)
        r.mark = (struct nsh_mark){any(2), any(2) ? 0xf : 0xff};
    if (any(6) == 0)
        r.tos = 8;
    if (any(6) == 0)
        r.ip_protocol = 6;
    if (any(6) == 0)
        r.uids = (struct nsh_range){5, 6};
    if (any(6) == 0)
        r.destination_port = (struct nsh_range){5, 5 + any(2)};
    if (any(6) == 0)
        r.suppress_length = 0;
    if (any(5) == 0)
        r.action = any(2) ? FR_ACT_BLACKHOLE : FR_ACT_GOTO;
    r.target = 20 + any(2);
    r.invert = any(5) == 0;
    nsh_rule_normalize(&r);
    return r;
}

/* The first rule that a request to delete takes, as rule.h has it; SIZE_MAX: none. */
static size_t first_taken(const struct rules *all, const struct nsh_rule *asked)
{
    for (size_t i = 0; i < all->n; i++)
        if (nsh_rule_delete_takes(asked, &all->items[i]))
            return i;
    return SIZE_MAX;
}

static void expect_deleted(struct world *w, const struct rules *before, const struct nsh_rule *r)
{
    size_t taken = first_taken(before, r);
    int error = write_rule(w, NSH_FIB_RULE_DELETE, r).error;
    struct rules after;

    assert_int_equal(error, taken == SIZE_MAX ? -ENOENT : 0);
    dump(w, &after);
    assert_int_equal(after.n, before->n - (taken != SIZE_MAX));
    for (size_t i = 0; i < after.n; i++)
        assert_true(nsh_rule_equal(&after.items[i], &before->items[i + (i >= taken)]));
}

static void expect_added(struct world *w, const struct rules *before, const struct nsh_rule *r)
{
    bool meets = false;
    struct rules after;

    for (size_t i = 0; i < before->n; i++)
        meets = meets || nsh_rule_add_meets(r, &before->items[i]);
    assert_int_equal(write_rule(w, NSH_FIB_RULE_ADD, r).error, meets ? -EEXIST : 0);
    if (meets)
        expect_written(w, NSH_FIB_RULE_APPEND, r);
    dump(w, &after);
    assert_int_equal(after.n, before->n + 1);
    assert_true(nsh_rule_equal(&after.items[before->n], r));
}

static void test_questions(void **state)
{
    struct world *w = *state;

    begin_random();
    for (unsigned i = 0; i < 3000; i++) {
        struct nsh_rule r = small_rule();
        struct rules before;

        dump(w, &before);
        if (before.n < RULES_MAX / 4 && any(2))
            expect_added(w, &before, &r);
        else
            expect_deleted(w, &before, &r);
    }
}

static void test_inexact(void **state)
{
    static const char *const said[] = {"tun_id 5", "from 10.0.0.0/8 realms 3"};
    struct world *w = *state;
    struct rules all;

    for (size_t i = 0; i < NSH_ARRAY_SIZE(said); i++) {
        IP("rule add %s lookup 100 priority 9 protocol %d", said[i], OURS);
        dump(w, &all);
        assert_int_equal(all.n, 1);
        assert_true(all.items[0].inexact);
        expect_written(w, NSH_FIB_RULE_DELETE, &all.items[0]);
        expect_rules(w, 0);
    }
}

static void test_l3mdev(void **state)
{
    struct world *w = *state;
    struct nsh_rule r = plain(AF_INET6, 7, 0);
    struct error e;

    r.l3mdev = true;
    e = write_rule(w, NSH_FIB_RULE_ADD, &r);
    if (e.error) {
        assert_true(e.why[0] != '\0');
        return; /* a kernel without VRF says so */
    }
    expect_only(w, &r);
    expect_written(w, NSH_FIB_RULE_DELETE, &r);
    expect_rules(w, 0);
}

static void test_words(void **state)
{
    struct world *w = *state;
    struct nsh_rule r = plain(AF_INET, 7, 0);
    struct error e;

    r.action = FR_ACT_GOTO;
    r.target = 6;
    e = write_rule(w, NSH_FIB_RULE_ADD, &r);
    assert_int_equal(e.error, -EINVAL);
    assert_string_equal(e.why, "Backward goto not supported");
}

/* A dump of routes that is under way is not disturbed. */
static void test_during_route_dump(void **state)
{
    struct world *w = *state;
    struct nsh_rule r = plain(AF_INET, 7, 100);
    size_t routes = 0;
    int rc;

    expect_written(w, NSH_FIB_RULE_ADD, &r);
    assert_int_equal(w->fib->ops->dump_begin(w->fib, NULL), 0);
    expect_rules(w, 1);
    while ((rc = w->fib->ops->dump_read(w->fib, world_tally, &routes)) == 1)
        ;
    assert_int_equal(rc, 0);
    assert_true(routes > 0);
}

static int give_up(void *userdata, const struct nsh_rule *r)
{
    (void)userdata;
    (void)r;
    return -ECANCELED;
}

static void test_dump_given_up(void **state)
{
    struct world *w = *state;
    struct nsh_rule r = plain(AF_INET6, 7, 100);

    expect_written(w, NSH_FIB_RULE_ADD, &r);
    assert_int_equal(w->fib->ops->rules_dump(w->fib, give_up, NULL), -ECANCELED);
    expect_rules(w, 1);
}

/* ---- events ---- */

struct events {
    size_t n;
    struct nsh_fib_event items[16];
    int strangers; /* of links and addresses that settle, with the routes of the kernel for them */
};

static void keep(void *userdata, const struct nsh_fib_event *e)
{
    struct events *all = userdata;

    all->strangers += e->type == NSH_FIB_LINK || e->type == NSH_FIB_ADDRESS ||
                      (e->type == NSH_FIB_ROUTE_NEW && e->route.protocol == RTPROT_KERNEL);
    if (e->type == NSH_FIB_RULE && all->n < NSH_ARRAY_SIZE(all->items))
        all->items[all->n++] = *e;
}

/* Returns how many messages of rules and routes came through the filter. */
static int take(struct world *w, struct events *ret)
{
    int n, all = 0;

    ret->n = 0;
    ret->strangers = 0;
    while ((n = w->fib->ops->events_read(w->fib, keep, ret)) > 0)
        all += n;
    return all - ret->strangers;
}

static void test_events(void **state)
{
    struct world *w = *state;
    static const enum nsh_fib_foreign foreign[] = {
            NSH_FIB_FOREIGN_NONE, NSH_FIB_FOREIGN_DEFAULTS, NSH_FIB_FOREIGN_ALL};
    struct nsh_rule r = plain(AF_INET6, 7, 100);
    struct events seen;

    assert_true(w->fib->ops->events_open(w->fib, OURS) >= 0);
    for (int all = 0; all < 3; all++) {
        assert_int_equal(w->fib->ops->events_foreign(w->fib, foreign[all]), 0);
        take(w, &seen);
        /* Neither what we do ourselves, nor what is foreign. */
        expect_written(w, NSH_FIB_RULE_ADD, &r);
        IP("rule add priority 9 lookup 5\n");
        IP("rule add priority 9 lookup 6 protocol %d\n", FOREIGN);
        IP("rule del priority 9 lookup 6\n");
        IP("rule del priority 9 lookup 5\n");
        assert_int_equal(take(w, &seen), foreign[all] == NSH_FIB_FOREIGN_ALL ? 4 : 0);
        assert_int_equal(seen.n, 0);
        IP("-6 rule del priority 7\n");
        IP("rule add from 10.0.0.0/8 priority 8 lookup 5 protocol %d\n", OURS);
        IP("rule del priority 8\n");
        take(w, &seen);
        assert_int_equal(seen.n, 3);
        assert_true(seen.items[0].gone && nsh_rule_equal(&seen.items[0].rule, &r));
        assert_true(seen.items[0].sender != 0);
        assert_true(!seen.items[1].gone && seen.items[1].rule.from.length == 8);
        assert_true(seen.items[2].gone && seen.items[2].rule.priority == 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            TEST(test_random),
            TEST(test_format_is_ip),
            TEST(test_questions),
            TEST(test_inexact),
            TEST(test_l3mdev),
            TEST(test_words),
            TEST(test_during_route_dump),
            TEST(test_dump_given_up),
            TEST(test_events),
    };

    return world_run(tests, NSH_ARRAY_SIZE(tests));
}
