/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random policies: whatever a file says, each rule that comes of it can be written, belongs to the
 * family of its chain, and matches the addresses that the lists hold, and no others.
 */
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "conntrack.h"
#include "firewall-iptc-xt.h"
#include "route-text.h"

#define ROUNDS 400
#define ADDRESSES 60

static char folder[] = "/tmp/nsh-test-desired-XXXXXX";
static uint64_t seed;

static uint32_t below(uint32_t n)
{
    return rt_random(&seed, n);
}

static const char *pick(const char *const *words, size_t n)
{
    return words[below((uint32_t)n)];
}

/* ---- random text ---- */

static void put_address(FILE *f, bool six, uint32_t near)
{
    if (six)
        fprintf(f, "fd00:%x::%x", near, below(4));
    else
        fprintf(f, "10.%u.%u.%u", near, below(3), below(4) * 64);
}

/* Networks that hold each other, stand beside each other, and are far apart. */
static void put_prefix(FILE *f, bool six)
{
    static const unsigned four[] = {8, 16, 24, 26, 32}, lengths[] = {32, 48, 64, 128};
    uint32_t near = below(6);

    if (six && below(40) == 0) {
        fprintf(f, "\"::/0\"");
    } else if (six) {
        unsigned length = lengths[below(4)];

        fprintf(f, "\"fd00:%x::%s/%u\"", length > 32 ? near : 0, length == 128 ? "1" : "", length);
    } else {
        unsigned length = four[below(5)];

        fprintf(f, "10.%u.%u.%u/%u", length >= 16 ? near : 0, length >= 24 ? below(3) : 0,
                length >= 26 ? below(4) * 64 : 0, length);
    }
}

/* All in a file, in which the same may stand twice. */
static void put_file(const char *name, bool four, bool six)
{
    FILE *f = fopen(name, "we");
    uint32_t n = below(3) == 0 ? below(60) : below(6);

    assert_non_null(f);
    for (uint32_t i = 0; i < n; i++) {
        char *line = NULL, *text;
        size_t size;
        FILE *to = open_memstream(&line, &size);

        put_prefix(to, six && (!four || below(2)));
        fclose(to);
        text = line[0] == '"' ? line + 1 : line;
        text[strcspn(text, "\"")] = '\0';
        fprintf(f, "%s\n", text);
        free(line);
    }
    assert_int_equal(fclose(f), 0);
}

static void put_list(FILE *f, const char *key, const char *file, bool four, bool six)
{
    put_file(file, four, six);
    fprintf(f, ", %s: {file: %s}", key, file);
}

static void put_some(FILE *f, const char *const *words, size_t n)
{
    if (below(3) == 0)
        fprintf(f, ", %s", pick(words, n));
}

static void put_masquerade(FILE *f, bool four, bool six)
{
    static const char *const outs[] = {"eth0", "[eth0, ppp+]", "any"};
    static const char *const except[] = {"except-out: eth7", "except-out: [tun+, eth8]"};
    static const char *const ports[] = {"protocol: tcp",
            "protocol: [tcp, udp], destination-port: [53, 80-90]",
            "protocol: udp, source-port: 1000-2000, to-ports: 5-9", "protocol: 47"};
    static const char *const more[] = {"mark: 1", "mark: 0x10/0xf0"};
    static const char *const how[] = {"random: ports", "random: fully", "random: none"};
    static const char *const flags[] = {"log: true", "ipsec: include", "position: first"};
    static const char *const sources[] = {
            "to-source: 203.0.113.1", "to-source: 203.0.113.1-203.0.113.9, persistent: true"};

    fprintf(f, "- {name: m, out: %s, family: [%s%s%s]", pick(outs, 3), four ? "ipv4" : "",
            four && six ? ", " : "", six ? "ipv6" : "");
    if (below(2))
        put_list(f, "from", "from", four, six);
    if (below(3) == 0)
        put_list(f, "to", "to", four, six);
    if (below(2))
        put_list(f, "except-from", "except-from", four, six);
    if (below(3) == 0)
        put_list(f, "except-to", "except-to", four, six);
    put_some(f, except, 2);
    put_some(f, ports, 4);
    put_some(f, more, 2);
    put_some(f, how, 3);
    put_some(f, flags, 3);
    if (four && !six)
        put_some(f, sources, 2);
    fprintf(f, "}\n");
}

static void put_share(FILE *f, bool four, bool six)
{
    static const char *const lans[] = {"lan: br0", "lan: [br0, vlan+]", "lan: [a, b, c]"};
    static const char *const wans[] = {"wan: eth0", "wan: [eth0, ppp+]"};
    static const char *const more[] = {"isolate: true", "clamp-mss: false", "allow-inbound: true"};

    fprintf(f, "- {name: s, %s, %s, family: [%s%s%s]", pick(lans, 3), pick(wans, 2),
            four ? "ipv4" : "", four && six ? ", " : "", six ? "ipv6" : "");
    put_some(f, more, 3);
    if (six && below(2))
        fprintf(f, ", ipv6: masquerade");
    fprintf(f, "}\n");
}

static void put_forward(FILE *f, bool six)
{
    static const char *const ports[] = {"port: 80", "port: 80, to-port: 8080", "port: 80-89",
            "port: 80-89, to-port: 7", "port: 80-89, to-port: 180-189"};
    static const char *const protocols[] = {"tcp", "udp", "both"};

    fprintf(f, "- {name: p, in: [eth0, ppp+], protocol: %s, %s, to: %s, family: %s",
            pick(protocols, 3), pick(ports, 5), six ? "\"fd00:1::5\"" : "10.1.2.3",
            six ? "ipv6" : "ipv4");
    if (below(2))
        put_list(f, "from", "p-from", true, true);
    if (below(2))
        fprintf(f, ", hairpin: true");
    fprintf(f, "}\n");
}

static void put_map(FILE *f, bool six)
{
    fprintf(f, "- {name: n, dev: [eth0, tun+], inside: %s, outside: %s}\n",
            six ? "\"fd00:1::/48\"" : "10.1.0.0/16", six ? "\"2001:db8::/48\"" : "10.99.0.0/16");
}

static void put_config(void)
{
    FILE *f = fopen("a.yaml", "we");
    uint32_t families = below(3) + 1;
    bool four = families & 1, six = families & 2;

    assert_non_null(f);
    fprintf(f, "version: 1\nmasquerade:\n");
    put_masquerade(f, four, six);
    fprintf(f, "share:\n");
    put_share(f, four, six);
    fprintf(f, "port-forwards:\n");
    put_forward(f, six);
    fprintf(f, "network-map:\n");
    put_map(f, six);
    assert_int_equal(fclose(f), 0);
}

/* ---- what must hold ---- */

static struct nsh_desired *load(void)
{
    struct nsh_config_source source = {
            .path = "a.yaml", .trust = NSH_TRUST_REQUIRED, .archive_fd = -1};
    struct nsh_diags *diags = nsh_diags_new();
    struct nsh_config *c = NULL;
    struct nsh_desired *d = NULL;

    if (nsh_config_load(&source, diags, &c) < 0) {
        nsh_diags_print(diags, stderr);
        fail();
    }
    nsh_diags_free(diags);
    assert_int_equal(nsh_desired_new(c, &d), 0);
    return d;
}

static void assert_set_known(const struct nsh_desired *d, int family, const char *name)
{
    for (size_t i = 0; i < d->n_sets; i++)
        if (d->sets[i].family == family && strcmp(d->sets[i].name, name) == 0)
            return;
    assert_string_equal(name, "");
}

static void check_rule(const struct nsh_desired *d, const struct nsh_chain *c, size_t at)
{
    struct nsh_packet_rule r = c->rules[at];
    struct nsh_xt_names names;
    struct nsh_xt_entry entry;

    assert_true(r.from.family == AF_UNSPEC || r.from.family == c->family);
    assert_true(r.to.family == AF_UNSPEC || r.to.family == c->family);
    assert_true(r.nat.family == AF_UNSPEC || r.nat.family == c->family);
    assert_true(r.map.family == AF_UNSPEC || r.map.family == c->family);
    assert_true((r.source_port.last == 0 && r.destination_port.last == 0) ||
                nsh_protocol_has_ports(r.protocol));
    assert_set_known(d, c->family, r.from_set);
    assert_set_known(d, c->family, r.to_set);
    /* No such set stands anywhere. */
    r.from_set[0] = r.to_set[0] = '\0';
    nsh_xt_names_init(&names);
    assert_int_equal(nsh_xt_encode(nsh_xt_of(c->family), &names, &r, &entry), 0);
    nsh_xt_names_done(&names);
}

/* What a policy is not about comes first. */
static void check_chain(const struct nsh_desired *d, const struct nsh_chain *c)
{
    bool translating = false;

    for (size_t i = 0; i < c->n_rules; i++) {
        check_rule(d, c, i);
        if (c->kind == NSH_POLICY_MASQUERADE)
            assert_false(translating && c->rules[i].action == NSH_PACKET_RETURN);
        translating = translating || c->rules[i].action != NSH_PACKET_RETURN;
    }
}

static void check_set(const struct nsh_set *s)
{
    assert_true(s->n > 0);
    for (size_t i = 0; i < s->n; i++) {
        assert_int_equal(s->prefixes[i].family, s->family);
        assert_true(s->prefixes[i].length > 0);
        assert_true(i == 0 || nsh_prefix_cmp(&s->prefixes[i - 1], &s->prefixes[i]) < 0);
        for (size_t k = 0; k < i; k++)
            assert_false(nsh_prefix_contains(
                    &s->prefixes[k], s->prefixes[i].family, &s->prefixes[i].addr));
    }
}

static bool listed(const struct nsh_prefix_list *list, int family, const union nsh_addr *addr)
{
    for (uint32_t i = 0; i < list->n; i++)
        if (nsh_prefix_contains(&list->items[i], family, addr))
            return true;
    return false;
}

/* As the file says it, without looking at a rule. */
static bool is_meant(const struct nsh_masquerade *m, const struct nsh_flow *f)
{
    if (listed(&m->except_from, f->family, &f->src) || listed(&m->except_to, f->family, &f->dst))
        return false;
    return (!m->from.items || listed(&m->from, f->family, &f->src)) &&
           (!m->to.items || listed(&m->to, f->family, &f->dst));
}

static void random_address(bool six, union nsh_addr *ret)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    uint8_t family;

    put_address(f, six, below(7));
    fclose(f);
    assert_true(nsh_addr_parse(text, &family, ret));
    free(text);
}

/* The rules translate what the file says; as far as no port or mark is asked for. */
static void check_meaning(const struct nsh_desired *d)
{
    const struct nsh_masquerade *m = &d->config->masquerades[0];

    if (m->protocols.n > 0 || m->mark.mask != 0)
        return;
    for (size_t i = 0; i < d->n_chains; i++) {
        const struct nsh_chain *chain = &d->chains[i];
        struct nsh_translations wanted = {&chain, 1, d->sets, d->n_sets};

        if (chain->kind != NSH_POLICY_MASQUERADE)
            continue;
        for (int n = 0; n < ADDRESSES; n++) {
            struct nsh_flow f = {.family = chain->family, .out = "eth0"};

            random_address(chain->family == AF_INET6, &f.src);
            random_address(chain->family == AF_INET6, &f.dst);
            assert_int_equal(nsh_chains_translate(&wanted, &f), is_meant(m, &f));
        }
    }
}

static void test_random_policies(void **state)
{
    (void)state;
    seed = rt_seed();
    for (int round = 0; round < ROUNDS; round++) {
        struct nsh_desired *d;

        put_config();
        d = load();
        for (size_t i = 0; i < d->n_chains; i++)
            check_chain(d, &d->chains[i]);
        for (size_t i = 0; i < d->n_sets; i++)
            check_set(&d->sets[i]);
        for (size_t i = 1; i < d->n_sets; i++)
            assert_true(d->sets[i - 1].family < d->sets[i].family ||
                        strcmp(d->sets[i - 1].name, d->sets[i].name) < 0);
        check_meaning(d);
        nsh_desired_free(d);
    }
}

static int setup(void **state)
{
    (void)state;
    (void)umask(022);
    return !mkdtemp(folder) || chdir(folder) < 0 ? -1 : 0;
}

static int teardown(void **state)
{
    static const char *const files[] = {
            "a.yaml", "from", "to", "except-from", "except-to", "p-from"};

    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(files); i++)
        (void)unlink(files[i]);
    return chdir("/") | rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_policies)};

    return cmocka_run_group_tests(tests, setup, teardown);
}
