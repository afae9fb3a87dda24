/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What import writes, read again by the real parser: routes and rules come back as they were; and
 * what it says of names, and of what can go.
 */
#include "import-world.h"

/* ---- routes ---- */

static void add_route(struct nsh_import *m, const struct nsh_route *r)
{
    void *items = m->routes;
    struct nsh_route *room = nsh_import_add(&items, &m->n_routes, &m->routes_max, sizeof *room);

    m->routes = items;
    assert_non_null(room);
    *room = *r;
}

static void add_rule(struct nsh_import *m, const struct nsh_rule *r)
{
    void *items = m->rules;
    struct nsh_rule *room = nsh_import_add(&items, &m->n_rules, &m->rules_max, sizeof *room);

    m->rules = items;
    assert_non_null(room);
    *room = *r;
}

static struct nsh_prefix random_prefix(int family)
{
    struct nsh_prefix p = {.family = (uint8_t)family};

    p.length = (uint8_t)(one_in(6) ? 0 : 8 + below(nsh_addr_bits(family) - 7U));
    for (size_t i = 0; i < nsh_addr_size(family); i++)
        p.addr.bytes[i] = (uint8_t)below(256);
    p.addr.bytes[0] = family == AF_INET ? 10 : 0x20;
    nsh_prefix_mask(&p);
    return p;
}

static void random_nexthops(int family, struct nsh_route_props *p)
{
    p->n_nexthops = one_in(4) ? 2 + below(2) : 1;
    for (uint32_t i = 0; i < p->n_nexthops; i++) {
        struct nsh_nexthop *n = &p->nexthops[i];

        *n = (struct nsh_nexthop){.weight = (uint16_t)(1 + below(3)), .link = below(LINKS)};
        n->ifindex = n->link + 2;
        if (p->n_nexthops == 1 && one_in(3))
            continue;
        n->via_family = (uint8_t)(family == AF_INET && one_in(5) ? AF_INET6 : family);
        n->via.bytes[0] = n->via_family == AF_INET ? 192 : 0xfe;
        n->via.bytes[1] = n->via_family == AF_INET ? 0 : 0x80;
        n->via.bytes[nsh_addr_size(n->via_family) - 1] = (uint8_t)(1 + i + 4 * below(30));
        n->flags = one_in(4) ? RTNH_F_ONLINK : 0;
    }
}

static void random_metrics(struct nsh_route_props *p)
{
    static const unsigned metrics[] = {RTAX_MTU, RTAX_ADVMSS, RTAX_HOPLIMIT, RTAX_INITCWND,
            RTAX_INITRWND, RTAX_RTO_MIN, RTAX_QUICKACK, RTAX_FEATURES};

    for (size_t i = 0; i < NSH_ARRAY_SIZE(metrics); i++) {
        unsigned k = metrics[i];

        if (!one_in(6))
            continue;
        p->metrics_set |= 1U << k;
        p->metrics[k] = k == RTAX_MTU                              ? 1280 + below(200)
                        : k == RTAX_QUICKACK || k == RTAX_FEATURES ? 1
                                                                   : 1 + below(200);
        if (k == RTAX_RTO_MIN || (k == RTAX_MTU && one_in(2)))
            p->metrics_lock |= 1U << k;
    }
    if (one_in(8))
        put(p->congestion_control, "bbr");
}

static struct nsh_route random_route(struct nsh_import *m, uint32_t metric)
{
    static const uint8_t types[] = {
            RTN_UNICAST, RTN_UNICAST, RTN_BLACKHOLE, RTN_UNREACHABLE, RTN_PROHIBIT, RTN_THROW};
    int family = one_in(2) ? AF_INET : AF_INET6;
    struct nsh_prefix dst = random_prefix(family);
    struct nsh_route r = {.dst = dst.addr,
            .dst_length = dst.length,
            .family = (uint8_t)family,
            .table = one_in(3) ? 100 : RT_TABLE_MAIN,
            .metric = metric,
            .protocol = one_in(2) ? RTPROT_BOOT : RTPROT_STATIC};
    union nsh_route_room room = {0};

    room.props.type = types[below(NSH_ARRAY_SIZE(types))];
    if (room.props.type == RTN_UNICAST)
        random_nexthops(family, &room.props);
    random_metrics(&room.props);
    if (family == AF_INET) {
        r.tos = one_in(8) ? 0x10 : 0;
        room.props.scope = nsh_route_default_scope(family, &room.props);
    } else if (one_in(5)) {
        room.props.preference = one_in(2) ? 1 : 3;
    }
    if (one_in(4)) {
        room.props.has_source = 1;
        room.props.source = dst.addr;
        room.props.source.bytes[3] |= 1;
    }
    nsh_route_normalize(&r, &room.props);
    r.props = nsh_arena_intern(m->arena, &room, nsh_route_props_size(room.props.n_nexthops));
    assert_non_null(r.props);
    return r;
}

static const struct nsh_route *find(const struct nsh_config *c, const struct nsh_route *r)
{
    for (size_t i = 0; i < c->n_routes; i++)
        if (nsh_route_id_cmp(&c->routes[i], r) == 0)
            return &c->routes[i];
    return NULL;
}

static void test_routes_random(void **state)
{
    (void)state;
    for (seed = 1; seed < ROUNDS; seed++) {
        uint32_t start = seed;
        struct nsh_import m;
        struct nsh_config *c;
        char *text;

        begin(&m);
        for (uint32_t i = 0; i < 12; i++) {
            struct nsh_route r = random_route(&m, 10 + i / 3);

            add_route(&m, &r);
            /* Some more that have all else in common. */
            for (uint32_t k = below(7); r.dst_length >= 16 && k > 0; k--) {
                r.dst.bytes[1]++;
                add_route(&m, &r);
            }
        }
        text = written(&m);
        c = judged(&m, text);
        assert_int_equal(c->n_routes + count(text, "# not taken: "), m.n_routes);
        assert_int_equal(
                count(text, "# not taken: "), count(text, "same prefix and metric stands before"));
        for (size_t i = 0; i < m.n_routes; i++) {
            const struct nsh_route *said = find(c, &m.routes[i]);
            bool first = true;

            for (size_t k = 0; k < i; k++)
                first = first && nsh_route_id_cmp(&m.routes[k], &m.routes[i]) != 0;
            if (!said || (first && !nsh_route_equal(said, &m.routes[i], c->links)))
                fail_msg("route %zu of seed %u is not the same in\n%s", i, start, text);
        }
        seed = start;
        nsh_config_free(c);
        free(text);
        nsh_import_done(&m);
    }
}

static void add_plain(struct nsh_import *m, uint8_t protocol, uint8_t length, uint32_t more)
{
    union nsh_route_room room = {.props = {.type = RTN_UNICAST, .n_nexthops = 1}};
    struct nsh_route r = {
            .family = AF_INET, .table = RT_TABLE_MAIN, .protocol = protocol, .dst_length = length};

    room.props.metrics_set = more;
    room.props.nexthops[0] =
            (struct nsh_nexthop){.link = 0, .ifindex = 2, .weight = 1, .via_family = AF_INET};
    room.props.nexthops[0].via.bytes[0] = 192;
    r.dst.bytes[0] = length > 0 ? protocol : 0;
    r.props = nsh_arena_intern(m->arena, &room, nsh_route_props_size(1));
    add_route(m, &r);
}

/* What somebody keeps, what is learned, what is ours, what can't be said. */
static void test_routes_of_others(void **state)
{
    struct nsh_import m;
    char *text;

    (void)state;
    begin(&m);
    add_plain(&m, RTPROT_KERNEL, 8, 0);
    add_plain(&m, RTPROT_BIRD, 8, 0);
    add_plain(&m, RTPROT_DHCP, 0, 0);
    add_plain(&m, NSH_ROUTE_PROTOCOL_DEFAULT, 8, 0);
    add_plain(&m, RTPROT_STATIC, 8, NSH_FIBNL_INEXACT);
    add_plain(&m, 77, 8, 0);
    text = written(&m);
    assert_null(strstr(text, "\nroutes:"));
    assert_null(strstr(text, " 2.0.0.0/8"));
    assert_non_null(
            strstr(text, "\n# not taken: 12.0.0.0/8 via 192.0.0.0 dev eth0: bird keeps it"));
    assert_non_null(
            strstr(text, "\n# not taken: default via 192.0.0.0 dev eth0: dhcp has learned"));
    assert_non_null(strstr(text, "\n#   - {to: 192.0.2.0/24, via: {learned-on: eth0}}\n"));
    assert_non_null(strstr(text, "\n# left out: what netshared holds already (1 of the routes)\n"));
    assert_non_null(strstr(text, "\n# not taken: 4.0.0.0/8 via 192.0.0.0 dev eth0: there is more"));
    assert_non_null(strstr(text, "\n# not taken: 77.0.0.0/8 via 192.0.0.0 dev eth0: protocol 77"));
    free(text);
    nsh_import_done(&m);
}

/* ---- rules ---- */

static struct nsh_rule random_rule(uint32_t priority)
{
    struct nsh_rule r = {.family = one_in(2) ? AF_INET : AF_INET6,
            .priority = priority,
            .action = FR_ACT_TO_TBL,
            .table = 100 + below(3),
            .uids = {0, NSH_UID_ANY_LAST},
            .suppress_length = NSH_SUPPRESS_NONE,
            .suppress_group = NSH_SUPPRESS_NONE};

    if (one_in(2))
        r.from = random_prefix(r.family);
    if (one_in(3))
        r.to = random_prefix(r.family);
    if (one_in(4))
        put_device(r.iif);
    if (one_in(4))
        put_device(r.oif);
    if (one_in(3))
        r.mark = (struct nsh_mark){below(16), one_in(2) ? UINT32_MAX : 0xff};
    if (one_in(5))
        r.tos = 0x10;
    if (one_in(3))
        r.ip_protocol = IPPROTO_UDP;
    if (one_in(4))
        r.destination_port = (struct nsh_range){53, 53 + below(2)};
    if (one_in(5))
        r.uids = (struct nsh_range){0, 1000};
    if (one_in(5))
        r.suppress_length = (int32_t)below(20);
    if (one_in(6)) {
        r.action = one_in(2) ? FR_ACT_GOTO : FR_ACT_PROHIBIT;
        r.target = r.action == FR_ACT_GOTO ? 32766 : 0;
        r.table = 0;
        r.suppress_length = NSH_SUPPRESS_NONE;
    }
    r.invert = (r.iif[0] || r.from.length > 0) && one_in(4);
    nsh_rule_normalize(&r);
    return r;
}

static void test_rules_random(void **state)
{
    (void)state;
    for (uint32_t round = 1; round < ROUNDS; round++) {
        struct nsh_import m;
        struct nsh_config *c;
        char *text;

        seed = round;
        begin(&m);
        for (uint32_t i = 0; i < 10; i++) {
            struct nsh_rule r = random_rule(1000 + i);

            add_rule(&m, &r);
        }
        text = written(&m);
        c = judged(&m, text);
        if (c->n_rules != m.n_rules)
            fail_msg("%zu of %zu rules in\n%s", c->n_rules, m.n_rules, text);
        assert_int_equal(count(text, " rule del "), m.n_rules);
        for (size_t i = 0; i < m.n_rules; i++) {
            bool said = false;

            for (size_t k = 0; k < c->n_rules; k++)
                said = said || nsh_rule_equal(&c->rules[k], &m.rules[i]);
            assert_true(said);
        }
        nsh_config_free(c);
        free(text);
        nsh_import_done(&m);
    }
}

/* The kernel's own, a daemon's, one that stands twice, two whose order a file can't keep. */
static void test_rules_of_others(void **state)
{
    struct nsh_rule r = {.family = AF_INET,
            .priority = 32766,
            .action = FR_ACT_TO_TBL,
            .table = RT_TABLE_MAIN,
            .uids = {0, NSH_UID_ANY_LAST},
            .suppress_length = NSH_SUPPRESS_NONE,
            .suppress_group = NSH_SUPPRESS_NONE};
    struct nsh_import m;
    char *text;

    (void)state;
    begin(&m);
    add_rule(&m, &r);
    r.priority = 5;
    r.protocol = RTPROT_ZEBRA;
    add_rule(&m, &r);
    r.protocol = RTPROT_STATIC;
    r.priority = 6;
    add_rule(&m, &r);
    add_rule(&m, &r);
    r.table = 100;
    add_rule(&m, &r);
    text = written(&m);
    assert_int_equal(count(text, "\n  - {"), 1);
    assert_non_null(strstr(text, "\n  - {table: main, priority: 6, family: ipv4}\n"));
    assert_non_null(
            strstr(text, "\n#   ip -4 rule del from all lookup main priority 6 protocol 4\n"));
    assert_null(strstr(text, "32766"));
    assert_non_null(strstr(text, "zebra keeps it"));
    assert_non_null(strstr(text, "it stands twice"));
    assert_non_null(strstr(text, "another one of its priority"));
    free(text);
    nsh_import_done(&m);
}

/* ---- what is said of all ---- */

static void test_forwarding(void **state)
{
    static const char said[] = "no policy below keeps it on";

    (void)state;
    for (int kept = 0; kept < 2; kept++) {
        struct nsh_import m;
        char *text;

        begin(&m);
        m.kept[NSH_V4] = m.kept[NSH_V6] = kept;
        text = written(&m);
        assert_int_equal(strstr(text, said) == NULL, kept);
        free(text);
        nsh_import_done(&m);
    }
}

/* A shared place of names: valid, each once. */
static void test_names(void **state)
{
    static const char *const out[] = {"eth0", "eth0", "a.very.long.name", "\xc3\xa4-Z"};
    struct nsh_import m;
    char *text;

    (void)state;
    begin(&m);
    m.forwarding[0] = 0;
    m.no_ipsec = false;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(out); i++) {
        struct nsh_foreign_rule *f = add_foreign(&m);

        (void)snprintf(f->needs.out, sizeof f->needs.out, "%s", out[i]);
        f->needs.action = NSH_PACKET_MASQUERADE;
        f->spares_ipsec = i == 0;
        f->needs.mark = (struct nsh_mark){(uint32_t)i, UINT32_MAX};
        (void)snprintf(f->remove, sizeof f->remove, "rm %zu", i);
        put(f->text, "evil\n  - name: x\x1b\xe2\x80\xa8\xff");
    }
    text = written(&m);
    assert_non_null(strstr(text, "\n  - name: out-eth0\n    out: eth0\n    mark: 0x0\n  # "));
    assert_non_null(strstr(text, "\n  - name: out-eth0-2\n    out: eth0\n    mark: 0x1\n"
                                 "    ipsec: include\n"));
    assert_non_null(strstr(text, "\n  - name: out-a-very-long\n"));
    assert_non_null(strstr(text, "\n  - name: out-z\n    out: \"\xc3\xa4-Z\"\n"));
    assert_non_null(strstr(text, "\n  forwarding: leave\n"));
    assert_null(strstr(text, "\n  - name: x"));
    assert_null(strchr(text, '\x1b'));
    assert_null(strchr(text, '\xff'));
    free(text);
    nsh_import_done(&m);
}

/* ---- what goes ---- */

static struct nsh_foreign_rule *add_out(struct nsh_import *m, uint8_t family, const char *remove)
{
    struct nsh_foreign_rule *f = add_foreign(m);

    f->family = family;
    f->needs.action = NSH_PACKET_MASQUERADE;
    put(f->needs.out, "eth0");
    (void)snprintf(f->remove, sizeof f->remove, "%s", remove);
    put(f->place, "nft chain inet a post");
    return f;
}

/* A rule of an inet table goes for both families, and is told once. */
static void test_rule_of_two_families(void **state)
{
    for (int odd = 0; odd < 2; odd++) {
        struct nsh_import m;
        char *text;

        (void)state;
        begin(&m);
        (void)add_out(&m, AF_INET, "rm 1");
        if (odd)
            put(add_out(&m, AF_INET6, "rm 1")->why, "something");
        else
            (void)add_out(&m, AF_INET6, "rm 1");
        text = written(&m);
        assert_int_equal(count(text, "\n#   rm 1\n"), odd ? 0 : 1);
        assert_int_equal(count(text, "# to stay for now: "), odd);
        free(text);
        nsh_import_done(&m);
    }
}

/* No command, where a name in it would not be one word. */
static void test_rule_without_a_command(void **state)
{
    struct nsh_import m;
    char *text;

    (void)state;
    begin(&m);
    (void)add_out(&m, AF_INET, "");
    text = written(&m);
    assert_null(strstr(text, "in this order"));
    assert_non_null(strstr(text, "does not belong in a command; delete it by hand"));
    free(text);
    nsh_import_done(&m);
}

/* What a program keeps takes packets, too. */
static void test_exemption_before_a_program(void **state)
{
    for (int docker = 0; docker < 2; docker++) {
        struct nsh_foreign_rule *f;
        struct nsh_import m;
        char *text;

        (void)state;
        begin(&m);
        f = add_foreign(&m);
        f->legacy = true;
        f->needs.action = NSH_PACKET_ACCEPT;
        f->needs.to = (struct nsh_prefix){.family = AF_INET, .length = 8, .addr.bytes = {10}};
        put(f->remove, "rm 1");
        f = add_foreign(&m);
        f->legacy = true;
        f->needs.from =
                (struct nsh_prefix){.family = AF_INET, .length = 16, .addr.bytes = {172, 17}};
        f->needs.action = NSH_PACKET_MASQUERADE;
        put(f->spares.out, docker ? "docker0" : "other0");
        put(f->remove, "rm 2");
        f = add_out(&m, AF_INET, "rm 3");
        f->legacy = true;
        text = written(&m);
        assert_int_equal(count(text, "\n#   rm 1\n"), docker ? 0 : 1);
        assert_int_equal(count(text, "\n#   rm 3\n"), 1);
        free(text);
        nsh_import_done(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_routes_random),
            cmocka_unit_test(test_routes_of_others),
            cmocka_unit_test(test_rules_random),
            cmocka_unit_test(test_rules_of_others),
            cmocka_unit_test(test_forwarding),
            cmocka_unit_test(test_names),
            cmocka_unit_test(test_rule_of_two_families),
            cmocka_unit_test(test_rule_without_a_command),
            cmocka_unit_test(test_exemption_before_a_program),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
