/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "route-text.h"

#define MAX_LIST 8

/* A configuration whose policies point into the test's own arrays. */
struct fixture {
    struct nsh_config *config;
    struct nsh_prefix lists[4][MAX_LIST];
    char out[MAX_LIST][IFNAMSIZ];
};

static struct fixture fixture;

static void begin(size_t n_policies)
{
    struct nsh_settings settings;

    memset(&fixture, 0, sizeof(fixture));
    nsh_settings_default(&settings);
    assert_int_equal(nsh_config_new_empty(&settings, &fixture.config), 0);
    fixture.config->masquerades =
            nsh_arena_alloc(fixture.config->arena, n_policies * sizeof(struct nsh_masquerade));
    fixture.config->n_masquerades = n_policies;
}

static struct nsh_masquerade *policy(
        size_t i, const char *name, unsigned families, const char *const *out, uint32_t n_out)
{
    struct nsh_masquerade *m = &fixture.config->masquerades[i];

    strcpy(m->policy.name, name);
    m->policy.families = families;
    m->ipsec = true;
    for (uint32_t k = 0; k < n_out; k++)
        strcpy(fixture.out[k], out[k]);
    m->out = (struct nsh_device_list){(const char(*)[IFNAMSIZ])fixture.out, n_out};
    return m;
}

static void list(unsigned which, struct nsh_prefix_list *ret, const char *const *texts, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        assert_int_equal(nsh_prefix_parse(texts[i], &fixture.lists[which][i]), NSH_PREFIX_OK);
    *ret = (struct nsh_prefix_list){fixture.lists[which], n};
}

static struct nsh_desired *finish(void)
{
    struct nsh_desired *d = NULL;

    assert_int_equal(nsh_desired_new(fixture.config, &d), 0);
    return d;
}

static void check_chain(const struct nsh_chain *c, int family, const char *name,
        const char *const *rules, size_t n_rules)
{
    assert_int_equal(c->family, family);
    assert_string_equal(c->name, name);
    assert_int_equal(c->n_rules, n_rules);
    for (size_t i = 0; i < n_rules; i++) {
        char buf[NSH_PACKET_RULE_TEXT];

        assert_string_equal(nsh_packet_rule_format(&c->rules[i], buf, sizeof(buf)), rules[i]);
    }
}

static const char *const eth0[] = {"eth0"};
static const char *const two_out[] = {"eth0", "wan+"};

static void test_simple(void **state)
{
    static const char *const rules[] = {"-o eth0 -j MASQUERADE"};
    static const char *const track[] = {"-m conntrack --ctstate INVALID -j RETURN"};
    struct nsh_desired *d;

    (void)state;
    begin(1);
    policy(0, "lan-out", NSH_FAMILY_IPV4, eth0, 1)->position = NSH_POSITION_FIRST;
    d = finish();
    assert_int_equal(d->n_chains, 2);
    check_chain(&d->chains[0], AF_INET, "NETSHARED-lan-out", rules, 1);
    assert_string_equal(d->chains[0].policy, "lan-out");
    assert_string_equal(d->chains[0].hook, "POSTROUTING");
    assert_int_equal(d->chains[0].table, NSH_TABLE_NAT);
    assert_int_equal(d->chains[0].position, NSH_POSITION_FIRST);
    check_chain(&d->chains[1], AF_INET, NSH_CHAIN_CONNTRACK, track, 1);
    assert_int_equal(d->chains[1].table, NSH_TABLE_RAW);
    assert_string_equal(d->chains[1].policy, "");
    assert_null(d->chains[1].hook);
    assert_true(d->forwarding[NSH_V4]);
    assert_false(d->forwarding[NSH_V6]);
    assert_int_equal(d->protocol, NSH_ROUTE_PROTOCOL_DEFAULT);
    nsh_desired_free(d);
}

static const char *const from[] = {"192.168.1.0/24", "fd00:1::/64", "192.168.2.0/24"};
static const char *const to[] = {"0.0.0.0/0", "fd00:2::/64"};
static const char *const except_from[] = {"192.168.1.9"};
static const char *const except_to[] = {"10.0.0.0/8", "fd00::/8"};

static void test_combinations_of_both_families(void **state)
{
    static const char *const v4[] = {
            "-s 192.168.1.9/32 -j RETURN",
            "-d 10.0.0.0/8 -j RETURN",
            "-s 192.168.1.0/24 -o eth0 -j MASQUERADE",
            "-s 192.168.1.0/24 -o wan+ -j MASQUERADE",
            "-s 192.168.2.0/24 -o eth0 -j MASQUERADE",
            "-s 192.168.2.0/24 -o wan+ -j MASQUERADE",
    };
    static const char *const v6[] = {
            "-d fd00::/8 -j RETURN",
            "-s fd00:1::/64 -d fd00:2::/64 -o eth0 -j MASQUERADE",
            "-s fd00:1::/64 -d fd00:2::/64 -o wan+ -j MASQUERADE",
    };
    struct nsh_masquerade *m;
    struct nsh_desired *d;

    (void)state;
    begin(1);
    m = policy(0, "both", NSH_FAMILY_IPV4 | NSH_FAMILY_IPV6, two_out, 2);
    list(0, &m->from, from, 3);
    list(1, &m->to, to, 2);
    list(2, &m->except_from, except_from, 1);
    list(3, &m->except_to, except_to, 2);
    d = finish();
    assert_int_equal(d->n_chains, 4);
    check_chain(&d->chains[0], AF_INET, "NETSHARED-both", v4, 6);
    check_chain(&d->chains[1], AF_INET6, "NETSHARED-both", v6, 3);
    assert_int_equal(d->chains[0].rules[2].to.family, AF_UNSPEC);
    assert_true(d->forwarding[NSH_V4] && d->forwarding[NSH_V6]);
    nsh_desired_free(d);
}

/* A list that says nothing for a family must not come to mean everything in it. */
static void test_nothing_is_not_everything(void **state)
{
    struct nsh_masquerade *m;
    struct nsh_desired *d;

    (void)state;
    begin(2);
    m = policy(0, "one", NSH_FAMILY_IPV4 | NSH_FAMILY_IPV6, eth0, 1);
    list(0, &m->from, except_from, 1);
    m = policy(1, "none", NSH_FAMILY_IPV4, eth0, 1);
    list(1, &m->to, NULL, 0);
    d = finish();
    assert_int_equal(d->chains[0].n_rules, 1);
    assert_int_equal(d->chains[1].n_rules, 0);
    assert_int_equal(d->chains[2].n_rules, 0);
    nsh_desired_free(d);
}

static void test_file_order(void **state)
{
    struct nsh_desired *d;

    (void)state;
    begin(3);
    policy(0, "z", NSH_FAMILY_IPV6, eth0, 1);
    policy(1, "a", NSH_FAMILY_IPV4 | NSH_FAMILY_IPV6, eth0, 1);
    policy(2, "m", NSH_FAMILY_IPV4, eth0, 1);
    d = finish();
    assert_int_equal(d->n_chains, 6);
    assert_string_equal(d->chains[0].policy, "z");
    assert_string_equal(d->chains[1].policy, "a");
    assert_int_equal(d->chains[1].family, AF_INET);
    assert_string_equal(d->chains[2].policy, "a");
    assert_string_equal(d->chains[3].policy, "m");
    nsh_desired_free(d);
}

static void test_empty(void **state)
{
    struct nsh_desired *d;

    (void)state;
    begin(0);
    d = finish();
    assert_int_equal(d->n_chains, 0);
    assert_false(d->forwarding[NSH_V4] || d->forwarding[NSH_V6]);
    nsh_desired_free(d);
}

static void test_forwarding_left_alone(void **state)
{
    struct nsh_desired *d;

    (void)state;
    begin(1);
    policy(0, "a", NSH_FAMILY_IPV4, eth0, 1);
    fixture.config->settings.forwarding = NSH_FORWARDING_LEAVE;
    d = finish();
    assert_false(d->forwarding[NSH_V4]);
    nsh_desired_free(d);
}

static void test_longest_name(void **state)
{
    struct nsh_desired *d;

    (void)state;
    begin(1);
    policy(0, "abcdefghijklmnop", NSH_FAMILY_IPV4, eth0, 1);
    d = finish();
    assert_string_equal(d->chains[0].name, "NETSHARED-abcdefghijklmnop");
    nsh_desired_free(d);
}

static void test_find_route(void **state)
{
    struct nsh_arena *arena = nsh_arena_new();
    struct nsh_route routes[100], absent;
    struct nsh_desired *d;

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        char text[64];

        snprintf(text, sizeof(text), "10.%u.0.0/16 dev #1 metric %u", i / 2, i % 2);
        routes[i] = rt(arena, text);
    }
    d = rt_desired(routes, 100, NULL, 0);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(nsh_desired_find_route(d, &routes[i]), i);
    absent = rt(arena, "10.7.0.0/16 dev #1 metric 2");
    assert_true(nsh_desired_find_route(d, &absent) == SIZE_MAX);
    absent = rt(arena, "11.0.0.0/16 dev #1");
    assert_true(nsh_desired_find_route(d, &absent) == SIZE_MAX);
    absent = rt(arena, "default dev #1");
    assert_true(nsh_desired_find_route(d, &absent) == SIZE_MAX);
    nsh_desired_free(d);
    nsh_arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_simple),
            cmocka_unit_test(test_combinations_of_both_families),
            cmocka_unit_test(test_nothing_is_not_everything),
            cmocka_unit_test(test_file_order),
            cmocka_unit_test(test_empty),
            cmocka_unit_test(test_forwarding_left_alone),
            cmocka_unit_test(test_longest_name),
            cmocka_unit_test(test_find_route),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
