/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is seen of a machine, and what of a file does not fit it: on a kernel in memory. */
#include "doctor.h"
#include "reconcile-world.h"

struct machine {
    struct nsh_fib_fake *kernel;
    struct nsh_desired *desired;
    struct doctor d;
};

static void ip(struct machine *m, const char *words)
{
    assert_int_equal(nsh_fib_fake_ip(m->kernel, words), 0);
}

/* eth0 is the LAN, eth1 leads to 192.0.2.0/24. */
static void begin(struct machine *m)
{
    static const char *const words[] = {"link add eth0", "link add eth1", "link set eth0 up",
            "link set eth1 up", "addr add 10.0.0.1/24 dev eth0", "addr add 192.0.2.1/24 dev eth1"};

    *m = (struct machine){.d = {.root = "/nowhere"}};
    assert_int_equal(nsh_fib_fake_new(&m->kernel), 0);
    for (size_t i = 0; i < NSH_ARRAY_SIZE(words); i++)
        ip(m, words[i]);
    assert_int_equal(nsh_fib_fake_open(m->kernel, &m->d.fib), 0);
}

static void take(struct machine *m, const char *yaml)
{
    nsh_survey_done(&m->d.survey);
    nsh_desired_free(m->desired);
    m->d.desired = m->desired = rw_load(yaml);
    assert_int_equal(nsh_survey_take(m->d.fib, m->desired, 0, &m->d.survey), 0);
}

static void end(struct machine *m)
{
    nsh_survey_done(&m->d.survey);
    nsh_desired_free(m->desired);
    nsh_fib_free(m->d.fib);
    nsh_fib_fake_free(m->kernel);
}

/* What the check finds, all in one; "": nothing. */
static const char *find(struct machine *m, void (*look)(struct doctor *d), char *buf, size_t size)
{
    const struct doctor_check check = {.name = "it", .about = "it", .look = look};
    json_t *result = doctor_look(&m->d, &check);
    const json_t *finding;
    size_t i, n = 0;

    buf[0] = '\0';
    json_array_foreach(json_object_get(result, "findings"), i, finding) n += (size_t)snprintf(
            buf + n, size - n, "%s; %s. ", json_string_value(json_object_get(finding, "what")),
            json_string_value(json_object_get(finding, "fix")));
    json_decref(result);
    return buf;
}

/* What the first note says; NULL: there is none. */
static const char *note(struct machine *m, void (*look)(struct doctor *d), char *buf, size_t size)
{
    const struct doctor_check check = {.name = "it", .about = "it", .look = look};
    json_t *result = doctor_look(&m->d, &check);
    const json_t *first = json_array_get(json_object_get(result, "notes"), 0);

    if (first)
        (void)snprintf(buf, size, "%s", json_string_value(json_object_get(first, "what")));
    json_decref(result);
    return first ? buf : NULL;
}

/* Why it could not be seen. */
static const char *why(struct machine *m, void (*look)(struct doctor *d), char *buf, size_t size)
{
    const struct doctor_check check = {.name = "it", .about = "it", .look = look};
    json_t *result = doctor_look(&m->d, &check);

    assert_string_equal(json_string_value(json_object_get(result, "state")), "unseen");
    (void)snprintf(buf, size, "%s", json_string_value(json_object_get(result, "why")));
    json_decref(result);
    return buf;
}

static void assert_finds(struct machine *m, void (*look)(struct doctor *d), const char *part)
{
    char text[2048];

    find(m, look, text, sizeof text);
    if (!strstr(text, part))
        fail_msg("no \"%s\" in \"%s\"", part, text);
}

static void assert_well(struct machine *m, void (*look)(struct doctor *d))
{
    char text[2048];

    assert_string_equal(find(m, look, text, sizeof text), "");
}

static void test_links(void **state)
{
    struct machine m;

    (void)state;
    begin(&m);
    take(&m, "routes: [{to: 20.0.0.0/8, via: 10.0.0.9, dev: eth0}]\n");
    assert_true(nsh_survey_link(&m.d.survey, "eth0")->leads[NSH_V4]); /* once it stands */
    assert_false(nsh_survey_link(&m.d.survey, "eth0")->leads_out[NSH_V4]);
    assert_false(nsh_survey_link(&m.d.survey, "eth1")->leads[NSH_V4]);
    ip(&m, "route add default via 192.0.2.2 dev eth1");
    take(&m, "routes: [{to: 20.0.0.0/8, via: 10.0.0.9, dev: eth0}]\n");
    assert_true(nsh_survey_link(&m.d.survey, "eth1")->leads[NSH_V4]);
    assert_true(nsh_survey_link(&m.d.survey, "eth1")->leads_out[NSH_V4]);
    assert_false(nsh_survey_link(&m.d.survey, "eth1")->leads_out[NSH_V6]);
    assert_null(nsh_survey_link(&m.d.survey, "eth2"));
    assert_int_equal(m.d.survey.n_subnets, 2);
    assert_true(nsh_survey_matches("eth+", nsh_survey_link(&m.d.survey, "eth1")));
    assert_false(nsh_survey_matches("eth", nsh_survey_link(&m.d.survey, "eth1")));
    end(&m);
}

static int changing(struct nsh_fib *fib, nsh_fib_link_seen *seen, void *userdata)
{
    (void)fib;
    (void)seen;
    (void)userdata;
    return -EAGAIN;
}

/* It is looked at again, from the beginning; and that it never stands still is said. */
static void test_what_changes_meanwhile(void **state)
{
    static const char *const yaml = "routes: [{to: 20.0.0.0/8, via: 10.0.0.9, dev: eth0}]\n";
    static const enum nsh_fib_fake_call looks[] = {
            NSH_FIB_FAKE_LINKS, NSH_FIB_FAKE_ADDRESSES, NSH_FIB_FAKE_DUMP_READ};
    struct nsh_fib_ops ops;
    struct machine m;
    char text[512];

    (void)state;
    begin(&m);
    for (size_t i = 0; i < NSH_ARRAY_SIZE(looks); i++) {
        nsh_fib_fake_fail(m.kernel, looks[i], 1, -EAGAIN);
        take(&m, yaml);
        assert_int_equal(m.d.survey.n_links, 3);
        assert_int_equal(m.d.survey.n_subnets, 2);
    }
    ops = *m.d.fib->ops;
    ops.links = changing;
    m.d.fib->ops = &ops;
    m.d.survey_error = nsh_survey_take(m.d.fib, m.desired, 0, &m.d.survey);
    assert_int_equal(m.d.survey_error, -EAGAIN);
    assert_string_equal(
            why(&m, doctor_interfaces, text, sizeof text), "it changes all the time; try again");
    end(&m);
}

static void test_interfaces(void **state)
{
    struct machine m;

    (void)state;
    begin(&m);
    take(&m, "share: [{name: a, lan: [eth0, 'wlan+'], wan: eth1, family: ipv4}]\n");
    assert_well(&m, doctor_interfaces);
    take(&m, "rules: [{priority: 5, iif: eth7, table: 7, family: ipv4}]\n");
    assert_finds(&m, doctor_interfaces, "'eth7' now; write 'eth0', if that is the one");
    take(&m, "masquerade: [{name: a, out: [wlp2s0]}]\n");
    assert_finds(&m, doctor_interfaces, "'wlp2s0' now; write one that there is: eth0, eth1.");
    take(&m, "masquerade: [{name: a, out: [wlp2s0], enabled: false}]\n");
    assert_well(&m, doctor_interfaces);
    take(&m, "masquerade: [{name: a, out: [wlp2s0], when: {dev-up: wlp2s0}}]\n");
    assert_well(&m, doctor_interfaces); /* it says itself that it may be away */
    ip(&m, "link set eth1 down");
    take(&m, "masquerade: [{name: a, out: [eth1]}]\n");
    assert_finds(&m, doctor_interfaces, "'eth1' is switched off; run: ip link set eth1 up");
    end(&m);
}

static void test_gateways(void **state)
{
    struct machine m;

    (void)state;
    begin(&m);
    take(&m, "routes: [{to: default, via: 192.0.2.2}, {to: 20.0.0.0/8, via: 10.0.0.2, dev: "
             "eth0}]\n");
    assert_well(&m, doctor_gateways);
    take(&m, "routes: [{to: default, via: 10.0.0.2, dev: eth1}]\n");
    assert_finds(&m, doctor_gateways,
            "10.0.0.2 of default is not on the link of eth1; write a "
            "gateway in 192.0.2.0/24");
    take(&m, "routes: [{to: default, via: 10.9.0.2}]\n");
    assert_finds(&m, doctor_gateways, "is not on any link; give this machine an address");
    take(&m, "routes: [{to: default, via: 10.9.0.2, dev: eth1}, {to: 10.9.0.0/16, dev: eth1}]\n");
    assert_well(&m, doctor_gateways);
    take(&m, "routes: [{to: default, via: 10.9.0.2, dev: eth1, on-link: true}]\n");
    assert_well(&m, doctor_gateways);
    take(&m, "routes: [{to: '::/0', via: 'fe80::1', dev: eth1}]\n");
    assert_well(&m, doctor_gateways);
    end(&m);
}

static void test_rivals(void **state)
{
    static const char ours[] = "routes: [{to: default, via: 192.0.2.2, dev: eth1}]\n";
    struct machine m;
    char text[512];

    (void)state;
    begin(&m);
    ip(&m, "route add default via 192.0.2.2 dev eth1 proto 16");
    take(&m, ours);
    assert_well(&m, doctor_rivals); /* it is adopted */
    ip(&m, "route replace default via 192.0.2.3 dev eth1 proto 16");
    take(&m, ours);
    assert_finds(&m, doctor_rivals,
            "the place of default has a route of protocol dhcp: default via "
            "192.0.2.3 dev eth1; ");
    ip(&m, "route replace default via 192.0.2.3 dev eth1 proto 110");
    take(&m, ours);
    assert_well(&m, doctor_rivals);
    take(&m, "routes: [{to: default, via: 192.0.2.2, dev: eth1, metric: 9}]\n");
    assert_well(&m, doctor_rivals);
    assert_null(note(&m, doctor_rivals, text, sizeof text));
    ip(&m, "route add default via 192.0.2.3 dev eth1 metric 7 proto 16");
    take(&m, "routes: [{to: default, via: 192.0.2.2, dev: eth1, metric: 9}]\n");
    assert_well(&m, doctor_rivals); /* it may be there to stand in */
    assert_string_equal(note(&m, doctor_rivals, text, sizeof text),
            "the route default metric 9 has no traffic: a route of protocol dhcp comes before it, "
            "default "
            "via 192.0.2.3 dev eth1 metric 7");
    take(&m, "routes: [{to: default, via: 192.0.2.2, dev: eth1, metric: 6}]\n");
    assert_null(note(&m, doctor_rivals, text, sizeof text));
    end(&m);
}

static void test_policies(void **state)
{
    struct machine m;

    (void)state;
    begin(&m);
    take(&m, "masquerade: [{name: a, out: [eth1]}]\n");
    assert_finds(&m, doctor_ways_out, "no route but its own subnet's leaves by 'eth1'");
    take(&m, "masquerade: [{name: a, out: [eth1], to: [192.0.2.0/24]}]\n");
    assert_well(&m, doctor_ways_out);
    take(&m, "masquerade: [{name: a, out: [any, 'eth+']}]\n");
    assert_well(&m, doctor_ways_out);
    take(&m, "share: [{name: a, lan: eth0, wan: eth1}]\n");
    assert_finds(&m, doctor_ways_out, "'eth1'");
    assert_well(&m, doctor_subnets);
    ip(&m, "addr add 10.0.0.77/30 dev eth1");
    take(&m, "share: [{name: a, lan: 'eth0', wan: 'eth1'}]\n");
    assert_finds(&m, doctor_subnets, "10.0.0.0/24 at eth0 and 10.0.0.76/30 at eth1");
    end(&m);
}

static void test_network_maps(void **state)
{
    static const char map[] = "network-map: [{name: a, dev: eth1, inside: 10.0.0.0/29, outside: "
                              "192.0.2.8/29}]\n";
    static const char six[] = "network-map: [{name: a, dev: 'eth+', inside: 'fd00::/125', outside: "
                              "'2001:db8::8/125'}]\n";
    static const char private[] = "network-map: [{name: a, dev: eth1, inside: 10.0.0.0/29, "
                                  "outside: 10.99.1.0/29}]\n";
    char words[64], routed[512];
    struct machine m;

    (void)state;
    begin(&m);
    take(&m, map);
    assert_finds(&m, doctor_network_maps,
            "nobody answers for 192.0.2.8 at 'eth1': the outside addresses of 'a' are of that "
            "link's own subnet, and this machine does not have them; write the route {to: "
            "192.0.2.8/29, type: local, dev: lo}, and this machine answers");
    (void)snprintf(routed, sizeof routed, "%s%s",
            "routes: [{to: 192.0.2.8/29, type: local, dev: lo}]\n", map);
    take(&m, routed);
    assert_well(&m, doctor_network_maps);
    for (unsigned i = 8; i < 15; i++) {
        (void)snprintf(words, sizeof words, "addr add 192.0.2.%u/32 dev eth1", i);
        ip(&m, words);
    }
    take(&m, map);
    assert_finds(&m, doctor_network_maps, "nobody answers for 192.0.2.15 at 'eth1'");
    ip(&m, "addr add 192.0.2.15/32 dev eth0");
    take(&m, map);
    assert_well(&m, doctor_network_maps);
    ip(&m, "addr add 2001:db8::1/64 dev eth1");
    take(&m, six);
    assert_finds(&m, doctor_network_maps, "have the router there route 2001:db8::8/125 to this");

    take(&m, private);
    assert_well(&m, doctor_network_maps); /* who is behind eth1 may route it */
    ip(&m, "route add default via 192.0.2.2 dev eth1");
    take(&m, private);
    assert_finds(&m, doctor_network_maps,
            "'eth1' leads to the Internet, where nobody routes 10.99.1.0/29: what 'a' translates "
            "gets no answer");
    end(&m);
}

static void test_forwarding(void **state)
{
    static const char share[] = "share: [{name: a, lan: eth0, wan: eth1, family: ipv4}]\n";
    static const char leave[] = "settings: {forwarding: leave}\n"
                                "share: [{name: a, lan: eth0, wan: eth1, family: ipv4}]\n";
    static const char absent[] = "share: [{name: a, lan: eth0, wan: ppp7, family: ipv4}]\n";
    static const struct {
        const char *state, *reason, *part;
    } cases[] = {
            {"wrong", "something keeps undoing the repair; backing off",
                    "stop what switches it off"},
            {"pending", "it waits until the masquerade rules hold",
                    "it waits until the masquerade rules hold; do what is said of the policies"},
            {"wrong", "cannot write /proc/sys/net/ipv4/ip_forward: Read-only file system",
                    "Read-only file system; run: sysctl -w net.ipv4.ip_forward=1 "},
            {"held", "", "run: netshared reload"},
    };
    static const struct nsh_options options = {0};
    struct machine m;

    (void)state;
    begin(&m);
    m.d.options = &options;
    assert_int_equal(m.d.fib->ops->sysctl_set(m.d.fib, "net/ipv4/ip_forward", 0), 0);
    take(&m, share);
    assert_well(&m, doctor_forwarding); /* whoever starts a daemon has it on */
    take(&m, leave);
    assert_finds(
            &m, doctor_forwarding, "'forwarding: leave'; run: sysctl -w net.ipv4.ip_forward=1 ");
    take(&m, share);
    m.d.status = json_pack("{s:[]}", "objects");
    assert_finds(&m, doctor_forwarding, "as soon as it has this file; run: netshared reload");
    json_decref(m.d.status);
    m.d.status = json_pack("{s:[{s:s, s:s, s:s, s:s, s:s}]}", "objects", "kind", "share", "name",
            "a", "policy", "a", "family", "ipv4", "state", "pending");
    assert_finds(&m, doctor_forwarding, "waits until the policies hold; do what is said of the");
    json_decref(m.d.status);
    for (size_t i = 0; i < NSH_ARRAY_SIZE(cases); i++) {
        m.d.status = json_pack("{s:[{s:s, s:s, s:s, s:s}]}", "objects", "kind", "forwarding",
                "name", "ipv4", "state", cases[i].state, "reason", cases[i].reason);
        assert_finds(&m, doctor_forwarding, cases[i].part);
        json_decref(m.d.status);
    }

    /* Of an interface that has gone the daemon knows, and wants it all the same. */
    m.d.status = json_pack("{s:[]}", "objects");
    take(&m, absent);
    assert_well(&m, doctor_forwarding);
    json_decref(m.d.status);
    m.d.status = json_pack("{s:[{s:s, s:s, s:s, s:s}]}", "objects", "kind", "forwarding", "name",
            "ipv4", "state", "wrong", "reason", cases[0].reason);
    assert_finds(&m, doctor_forwarding, cases[0].part);
    json_decref(m.d.status);
    end(&m);
}

static void test_without(void **state)
{
    const struct doctor_check check = {.name = "it", .about = "it", .look = doctor_gateways};
    struct doctor d = {.root = ""};
    json_t *result = doctor_look(&d, &check);

    (void)state;
    assert_string_equal(json_string_value(json_object_get(result, "state")), "unseen");
    json_decref(result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_links),
            cmocka_unit_test(test_what_changes_meanwhile),
            cmocka_unit_test(test_interfaces),
            cmocka_unit_test(test_gateways),
            cmocka_unit_test(test_rivals),
            cmocka_unit_test(test_policies),
            cmocka_unit_test(test_network_maps),
            cmocka_unit_test(test_forwarding),
            cmocka_unit_test(test_without),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
