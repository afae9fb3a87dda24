/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which gateway is learned from which default routes: told of in a look and by events.
 */
#include "learn.h"
#include "route-text.h"

/* What is learned on the device with index 3: "" nothing, "-" the device alone, "?" unknown. */
static const char *learned(const struct nsh_learner *l, int family)
{
    static char text[NSH_ADDR_TEXT];
    struct nsh_link link = {.name = "eth0", .ifindex = 3, .learns = (uint8_t)family};

    nsh_learner_choose(l, &link);
    switch (link.learned) {
    case NSH_LEARNED_UNKNOWN:
        return "?";
    case NSH_LEARNED_NOTHING:
        return "";
    case NSH_LEARNED_DEVICE:
        assert_int_equal(link.via_family, AF_UNSPEC);
        return "-";
    default:
        return nsh_addr_format(link.via_family, &link.via, text);
    }
}

enum what { SEE, ADD, REPLACE, REMOVE };

static void tell(struct nsh_learner *l, enum what what, const char *text)
{
    struct nsh_arena *arena = nsh_arena_new();
    struct nsh_route r = rt(arena, text);

    switch (what) {
    case SEE:
        assert_int_equal(nsh_learner_see(l, &r), 0);
        break;
    case ADD:
    case REPLACE:
        assert_int_equal(nsh_learner_added(l, &r, what == REPLACE), 0);
        break;
    case REMOVE:
        nsh_learner_removed(l, &r);
        break;
    }
    nsh_arena_free(arena);
}

static void look(struct nsh_learner *l, const char *const *routes)
{
    nsh_learner_begin(l);
    for (; *routes; routes++)
        tell(l, SEE, *routes);
    assert_false(nsh_learner_end(l));
}

#define LOOK(l, ...) look(l, (const char *const[]){__VA_ARGS__, NULL})

static int setup(void **state)
{
    return nsh_learner_new((struct nsh_learner **)state);
}

static int teardown(void **state)
{
    nsh_learner_free(*state);
    return 0;
}

static void test_a_look(void **state)
{
    struct nsh_learner *l = *state;

    assert_string_equal(learned(l, AF_INET), "?");
    tell(l, ADD, "default via 192.0.2.1 dev #3 proto 16");
    assert_string_equal(learned(l, AF_INET), "?");
    LOOK(l, "10.0.0.0/8 via 192.0.2.9 dev #3", "default via 192.0.2.8 dev #4 proto 16");
    assert_string_equal(learned(l, AF_INET), "");
    LOOK(l, "default via 192.0.2.1 dev #3 proto 16");
    assert_string_equal(learned(l, AF_INET), "192.0.2.1");
    assert_string_equal(learned(l, AF_INET6), "");
    LOOK(l, "default6 via fe80::1 dev #3 proto 9");
    assert_string_equal(learned(l, AF_INET), "");
    assert_string_equal(learned(l, AF_INET6), "fe80::1");
    nsh_learner_clear(l);
    assert_string_equal(learned(l, AF_INET6), "?");
}

static void test_the_best_counts(void **state)
{
    struct nsh_learner *l = *state;

    LOOK(l, "default via 192.0.2.3 dev #3 metric 9",
            "default via 192.0.2.5 dev #3 metric 5 table 7",
            "default via 192.0.2.4 dev #3 metric 5 table 9", "default via 192.0.2.1 dev #4");
    assert_string_equal(learned(l, AF_INET), "192.0.2.5");
    tell(l, ADD, "default via 192.0.2.6 dev #3 metric 5");
    assert_string_equal(learned(l, AF_INET), "192.0.2.6");
    tell(l, ADD, "default dev #3 metric 1");
    assert_string_equal(learned(l, AF_INET), "-");
    tell(l, REMOVE, "default dev #3 metric 1");
    tell(l, REMOVE, "default via 192.0.2.6 dev #3 metric 5");
    assert_string_equal(learned(l, AF_INET), "192.0.2.5");
    tell(l, ADD, "blackhole default");
    tell(l, ADD, "0.0.0.0/1 via 192.0.2.7 dev #3");
    assert_string_equal(learned(l, AF_INET), "192.0.2.5");
}

static void test_replaced(void **state)
{
    struct nsh_learner *l = *state;

    LOOK(l, "default via 192.0.2.1 dev #3 proto 16");
    tell(l, REPLACE, "default via 192.0.2.2 dev #3 proto 16");
    assert_string_equal(learned(l, AF_INET), "192.0.2.2");
    /* By one over another device. */
    tell(l, REPLACE, "default via 192.0.2.9 dev #4 proto 16");
    assert_string_equal(learned(l, AF_INET), "");
    tell(l, REPLACE, "default nexthop via 192.0.2.9 dev #4 nexthop via 192.0.2.7 dev #3");
    assert_string_equal(learned(l, AF_INET), "192.0.2.7");
    tell(l, REPLACE, "blackhole default");
    assert_string_equal(learned(l, AF_INET), "");
}

/* Routers that each advertise themselves have a route each, on one key. */
static void test_two_routers(void **state)
{
    struct nsh_learner *l = *state;

    LOOK(l, "default6 via fe80::2 dev #3 proto 9");
    tell(l, ADD, "default6 via fe80::1 dev #3 proto 9");
    assert_string_equal(learned(l, AF_INET6), "fe80::1");
    tell(l, REMOVE, "default6 via fe80::1 dev #3 proto 9");
    assert_string_equal(learned(l, AF_INET6), "fe80::2");
    /* A message of several has all there are. */
    tell(l, ADD, "default6 nexthop via fe80::8 dev #3 nexthop via fe80::9 dev #4");
    assert_string_equal(learned(l, AF_INET6), "fe80::8");
}

static void test_a_device_goes_down(void **state)
{
    struct nsh_learner *l = *state;

    LOOK(l, "default via 192.0.2.1 dev #3", "default6 via fe80::1 dev #3", "default dev #4");
    assert_true(nsh_learner_uses(l, AF_INET, 3));
    nsh_learner_device_down(l, 3);
    assert_string_equal(learned(l, AF_INET), "");
    assert_string_equal(learned(l, AF_INET6), "");
    assert_false(nsh_learner_uses(l, AF_INET, 3));
    assert_true(nsh_learner_uses(l, AF_INET, 4));
}

/* What comes while a look is taken counts; what goes may have been seen before. */
static void test_events_in_a_look(void **state)
{
    struct nsh_learner *l = *state;

    nsh_learner_begin(l);
    tell(l, ADD, "default via 192.0.2.1 dev #3");
    assert_false(nsh_learner_end(l));
    assert_string_equal(learned(l, AF_INET), "192.0.2.1");

    nsh_learner_begin(l);
    tell(l, REMOVE, "default via 192.0.2.1 dev #3");
    tell(l, SEE, "default via 192.0.2.1 dev #3");
    assert_true(nsh_learner_end(l));
    LOOK(l, "default via 192.0.2.2 dev #4");
    assert_string_equal(learned(l, AF_INET), "");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_a_look, setup, teardown),
            cmocka_unit_test_setup_teardown(test_the_best_counts, setup, teardown),
            cmocka_unit_test_setup_teardown(test_replaced, setup, teardown),
            cmocka_unit_test_setup_teardown(test_two_routers, setup, teardown),
            cmocka_unit_test_setup_teardown(test_a_device_goes_down, setup, teardown),
            cmocka_unit_test_setup_teardown(test_events_in_a_look, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
