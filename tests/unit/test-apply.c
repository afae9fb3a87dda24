/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>

#include "apply.h"
#include "route-text.h"

/* ---- routes ---- */

#define MANY 700 /* more than one send */

/* A fib that answers what the test says. */
struct fib {
    struct nsh_fib fib;
    int error; /* of the operations below */
    const char *why;
    size_t every; /* each such operation fails; 0: none */
    int broken;   /* of the socket */
    size_t n_ops, n_sends;
    enum nsh_fib_verb verbs[MANY];
};

static int submit(struct nsh_fib *fib, const struct nsh_link *links, const struct nsh_fib_op *ops,
        size_t n, nsh_fib_failed *failed, void *userdata)
{
    struct fib *f = (struct fib *)fib;

    (void)links;
    f->n_sends++;
    for (size_t i = 0; i < n; i++) {
        size_t op = f->n_ops++;

        f->verbs[op] = ops[i].verb;
        if (f->every != 0 && op % f->every == 0)
            failed(userdata, i, f->error, f->why);
    }
    return f->broken;
}

static const struct nsh_fib_ops fib_ops = {.submit = submit};

struct told {
    size_t n;
    enum nsh_route_outcome outcomes[MANY];
    int errors[MANY];
    char why[64]; /* of the last that failed */
    struct nsh_route_step steps[MANY];
};

static void written(void *userdata, const struct nsh_route_step *step,
        enum nsh_route_outcome outcome, int error, const char *why)
{
    struct told *t = userdata;

    assert_true(t->n < MANY);
    t->steps[t->n] = *step;
    t->outcomes[t->n] = outcome;
    t->errors[t->n++] = error;
    if (outcome != NSH_WRITE_DONE)
        snprintf(t->why, sizeof(t->why), "%s", why);
}

struct world {
    struct nsh_arena *arena;
    struct nsh_desired *want;
    struct nsh_route_plan *plan;
    uint8_t flags[MANY];
};

static void begin(
        struct world *w, const char *const *want, size_t n_want, const char *const *seen, size_t n)
{
    struct nsh_route routes[8];

    memset(w, 0, sizeof(*w));
    w->arena = nsh_arena_new();
    for (size_t i = 0; i < n_want; i++)
        routes[i] = rt(w->arena, want[i]);
    w->want = rt_desired(routes, n_want, NULL, 0);
    assert_int_equal(nsh_route_plan_new(w->want, w->flags, 0, &w->plan), 0);
    assert_int_equal(nsh_route_plan_begin(w->plan, NSH_SCOPE_ALL, NULL, 0), 0);
    for (size_t i = 0; i < n; i++) {
        struct nsh_route r = rt(w->arena, seen[i]);

        assert_int_equal(nsh_route_plan_observe(w->plan, &r), 0);
    }
    assert_int_equal(nsh_route_plan_finish(w->plan), 0);
}

static void end(struct world *w)
{
    nsh_route_plan_free(w->plan);
    nsh_desired_free(w->want);
    nsh_arena_free(w->arena);
}

/* An addition, an adoption, a replacement and a deletion, in this order. */
static const char *const want[] = {
        "10.1.0.0/16 dev #1", "10.2.0.0/16 dev #1", "10.3.0.0/16 dev #1"};
static const char *const seen[] = {
        "10.2.0.0/16 dev #1 proto 4", "10.3.0.0/16 dev #2", "10.4.0.0/16 dev #1"};

static void test_verbs(void **state)
{
    struct fib fib = {.fib.ops = &fib_ops};
    struct told told = {.n = 0};
    struct world w;

    (void)state;
    begin(&w, want, 3, seen, 3);
    assert_int_equal(nsh_apply_routes(&fib.fib, w.want, w.plan, written, &told), 0);
    assert_int_equal(told.n, 4);
    assert_int_equal(fib.verbs[0], NSH_FIB_ADD);
    assert_int_equal(fib.verbs[1], NSH_FIB_REPLACE);
    assert_int_equal(fib.verbs[2], NSH_FIB_REPLACE);
    assert_int_equal(fib.verbs[3], NSH_FIB_DELETE);
    assert_int_equal(told.steps[1].action, NSH_ROUTE_ADOPT);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(told.outcomes[i], NSH_WRITE_DONE);
    end(&w);
}

#define D NSH_WRITE_DONE
#define O NSH_WRITE_OCCUPIED
#define P NSH_WRITE_PENDING
#define R NSH_WRITE_REFUSED

static const struct {
    int error;
    enum nsh_route_outcome add, adopt, replace, erase;
} outcomes[] = {
        {-EEXIST, O, P, P, P},
        {-ESRCH, P, P, P, D},
        {-ENODEV, P, P, P, D},
        {-ENETUNREACH, P, P, P, P},
        {-ENETDOWN, P, P, P, P},
        {-EINVAL, P, P, P, P},
        {-EPERM, R, R, R, R},
        {-EACCES, R, R, R, R},
        {-ENOMEM, R, R, R, R},
        {-ENOBUFS, R, R, R, R},
        {-EOPNOTSUPP, R, R, R, R},
        {-EAFNOSUPPORT, R, R, R, R},
};

static void test_outcomes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++) {
        const enum nsh_route_outcome expected[4] = {
                outcomes[i].add, outcomes[i].adopt, outcomes[i].replace, outcomes[i].erase};
        struct fib fib = {.fib.ops = &fib_ops, .error = outcomes[i].error, .why = "", .every = 1};
        struct told told = {.n = 0};
        struct world w;

        begin(&w, want, 3, seen, 3);
        assert_int_equal(nsh_apply_routes(&fib.fib, w.want, w.plan, written, &told), 0);
        for (size_t k = 0; k < 4; k++) {
            assert_int_equal(told.outcomes[k], expected[k]);
            assert_int_equal(told.errors[k], expected[k] == D ? 0 : outcomes[i].error);
        }
        assert_string_equal(told.why, nsh_route_errno_text(outcomes[i].error));
        end(&w);
    }
}

static void test_kernel_words(void **state)
{
    struct fib fib = {.fib.ops = &fib_ops,
            .error = -ENETUNREACH,
            .why = "Nexthop has invalid gateway",
            .every = 2};
    struct told told = {.n = 0};
    struct world w;

    (void)state;
    begin(&w, want, 3, seen, 3);
    assert_int_equal(nsh_apply_routes(&fib.fib, w.want, w.plan, written, &told), 0);
    assert_string_equal(told.why, "Nexthop has invalid gateway");
    assert_int_equal(told.outcomes[0], P);
    assert_int_equal(told.outcomes[1], D);
    assert_int_equal(told.outcomes[2], P);
    assert_int_equal(told.outcomes[3], D);
    end(&w);
}

/* Each step is told once and in order, over all sends. */
static void test_many(void **state)
{
    static struct told told;
    struct fib fib = {.fib.ops = &fib_ops, .error = -EINVAL, .why = "no", .every = 3};
    struct world w;
    size_t n;

    (void)state;
    begin(&w, NULL, 0, NULL, 0);
    assert_int_equal(nsh_route_plan_begin(w.plan, NSH_SCOPE_ALL, NULL, 0), 0);
    for (unsigned i = 0; i < MANY; i++) {
        char text[64];
        struct nsh_route r;

        snprintf(text, sizeof(text), "10.%u.%u.0/24 dev #3", i / 250, i % 250);
        r = rt(w.arena, text);
        assert_int_equal(nsh_route_plan_observe(w.plan, &r), 0);
    }
    assert_int_equal(nsh_route_plan_finish(w.plan), 0);
    nsh_route_plan_steps(w.plan, &n);
    assert_int_equal(n, MANY);
    assert_int_equal(nsh_apply_routes(&fib.fib, w.want, w.plan, written, &told), 0);
    assert_int_equal(told.n, MANY);
    assert_true(fib.n_sends > 1 && fib.n_sends < 10);
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(told.outcomes[i], i % 3 == 0 ? P : D);
        assert_int_equal(told.steps[i].route.dst.bytes[2], i % 250);
    }
    end(&w);
}

static void test_broken_socket(void **state)
{
    struct fib fib = {.fib.ops = &fib_ops, .broken = -EIO};
    struct told told = {.n = 0};
    struct world w;

    (void)state;
    begin(&w, want, 3, seen, 3);
    assert_int_equal(nsh_apply_routes(&fib.fib, w.want, w.plan, written, &told), -EIO);
    assert_int_equal(told.n, 0);
    end(&w);
}

static void test_errno_text(void **state)
{
    (void)state;
    assert_string_equal(nsh_route_errno_text(ENODEV), nsh_route_errno_text(-ENODEV));
    assert_string_equal(nsh_route_errno_text(-EXDEV), "Invalid cross-device link");
    assert_string_equal(nsh_route_errno_text(-9999), "Unknown error 9999");
}

/* ---- firewall ---- */

struct firewall {
    struct nsh_firewall fw;
    int races; /* commits that another writer gets in before */
    int observe_error, commit_error;
    unsigned observed, committed;
    bool there; /* the conntrack chain */
};

static int observe(struct nsh_firewall *fw, int family, enum nsh_table table,
        nsh_chain_observed *observed, void *userdata)
{
    static const struct nsh_packet_rule track = {
            .states = NSH_STATE_INVALID, .action = NSH_PACKET_RETURN};
    const struct nsh_chain_seen chain = {.family = (uint8_t)family,
            .table = table,
            .name = NSH_CHAIN_CONNTRACK,
            .rules = &track,
            .n_rules = 1};
    struct firewall *f = (struct firewall *)fw;

    f->observed++;
    if (f->observe_error < 0)
        return f->observe_error;
    return f->there ? observed(userdata, &chain) : 0;
}

static int commit(struct nsh_firewall *fw, int family, enum nsh_table table,
        const struct nsh_firewall_op *ops, size_t n, char *ret_why, size_t size)
{
    struct firewall *f = (struct firewall *)fw;

    (void)ops;
    assert_int_equal(family, AF_INET);
    assert_int_equal(table, NSH_TABLE_RAW);
    assert_int_equal(n, 1);
    f->committed++;
    if (f->races-- > 0)
        return NSH_FIREWALL_RACED;
    if (f->commit_error < 0)
        snprintf(ret_why, size, "%s", "the words of the tool");
    return f->commit_error;
}

static const struct nsh_firewall_ops firewall_ops = {.observe = observe, .commit = commit};

static int apply(struct firewall *f, enum nsh_firewall_phase phase, size_t n_policies, char *why)
{
    static const char out[1][IFNAMSIZ] = {"eth0"};
    struct nsh_masquerade policy = {
            .policy = {.name = "a", .families = NSH_FAMILY_IPV4}, .out = {out, 1}};
    struct nsh_settings settings;
    struct nsh_config *c = NULL;
    struct nsh_desired *d = NULL;
    struct nsh_firewall_plan *p = NULL;
    int r;

    nsh_settings_default(&settings);
    assert_int_equal(nsh_config_new_empty(&settings, &c), 0);
    c->masquerades = &policy;
    c->n_masquerades = n_policies;
    assert_int_equal(nsh_desired_new(c, &d), 0);
    assert_int_equal(nsh_firewall_plan_new(d, AF_INET, NSH_TABLE_RAW, &p), 0);
    f->fw.ops = &firewall_ops;
    r = nsh_apply_firewall(&f->fw, p, AF_INET, NSH_TABLE_RAW, phase, 3, why, 64);
    nsh_firewall_plan_free(p);
    nsh_desired_free(d);
    return r;
}

static void test_firewall(void **state)
{
    struct firewall missing = {.there = false}, there = {.there = true}, raced = {.races = 2};
    struct firewall lost = {.races = 9}, down = {.there = true};
    char why[64] = "";

    (void)state;
    assert_int_equal(apply(&missing, NSH_PHASE_UP, 1, why), NSH_FIREWALL_OK);
    assert_int_equal(missing.committed, 1);
    assert_int_equal(apply(&there, NSH_PHASE_UP, 1, why), NSH_FIREWALL_OK);
    assert_int_equal(there.committed, 0);
    assert_int_equal(apply(&raced, NSH_PHASE_UP, 1, why), NSH_FIREWALL_OK);
    assert_int_equal(raced.observed, 3);
    assert_int_equal(apply(&lost, NSH_PHASE_UP, 1, why), NSH_FIREWALL_RACED);
    assert_int_equal(lost.committed, 3);
    assert_int_equal(apply(&down, NSH_PHASE_DOWN, 0, why), NSH_FIREWALL_OK);
    assert_int_equal(down.committed, 1);
    assert_string_equal(why, "");
}

static void test_firewall_errors(void **state)
{
    struct firewall observe_fails = {.observe_error = -EPERM},
                    commit_fails = {.commit_error = -EINVAL};
    char why[64] = "";

    (void)state;
    assert_int_equal(apply(&observe_fails, NSH_PHASE_UP, 1, why), -EPERM);
    assert_string_equal(why, "Operation not permitted");
    assert_int_equal(apply(&commit_fails, NSH_PHASE_UP, 1, why), -EINVAL);
    assert_string_equal(why, "the words of the tool");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_verbs),
            cmocka_unit_test(test_outcomes),
            cmocka_unit_test(test_kernel_words),
            cmocka_unit_test(test_many),
            cmocka_unit_test(test_broken_socket),
            cmocka_unit_test(test_errno_text),
            cmocka_unit_test(test_firewall),
            cmocka_unit_test(test_firewall_errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
