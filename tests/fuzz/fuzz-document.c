/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Documents by choice: each byte chooses what comes next. An object that is found wrong, such as
 * two that exclude each other, is left out, so that what is left is valid. That goes all the way:
 * it is wanted, planned and written to the two fakes, and then there is nothing left to do, as the
 * judge of the model check finds too; when nothing is wanted any more, nothing of it is left.
 */
#include "fuzz.h"

#include "reconcile-judge.h"

#define NINE                                                                          \
    "[10.1.0.0/24, 10.2.0.0/24, 10.3.0.0/24, 10.4.0.0/24, 10.5.0.0/24, 10.6.0.0/24, " \
    "10.7.0.0/24, 10.8.0.0/24, 10.9.0.0/24]"

/* A capital letter stands for a choice of its list, '#' for a number that counts on. */
static const char *const prefixes[] = {"10.20.0.0/16", "10.30.0.0/16", "10.30.1.0/24", "default",
        "192.0.2.7", "198.51.100.0/24", "\"fd00:9::/48\"", "\"fd00:a::/64\"", "\"fd00:a::7\"",
        "[10.40.0.0/16, 10.41.0.0/16, 10.42.1.0/24]", "[10.50.0.0/16, \"fd00:c::/48\"]", NINE,
        "{file: list.txt}"};
static const char *const gateways[] = {"192.168.1.1", "192.168.1.7", "10.0.0.9", "172.16.0.1",
        "\"fd00:1::9\"", "\"fd00:2::9\"", "\"fe80::9\"", "{learned-on: eth0}"};
static const char *const devices[] = {"eth0", "eth1", "eth2", "wan+", "any"};
static const char *const lists[] = {"eth0", "[eth0]", "[eth0, eth2]", "[eth2, \"wan+\"]", "any"};
static const char *const families[] = {"ipv4", "ipv6", "[ipv4, ipv6]"};
static const char *const conditions[] = {
        "{dev-up: eth0}", "{dev-up: eth2}", "{address: 10.0.0.1}", "{address: \"fd00:2::fe\"}"};
static const char *const checks[] = {"ping: 198.51.100.7", "ping: \"fd00:9::7\", recover: 1",
        "tcp: 198.51.100.8, port: 80", "ping: 192.168.1.1, dev: eth0, fail: 2"};
static const char *const types[] = {"unicast", "blackhole", "unreachable", "prohibit", "throw"};
static const char *const protocols[] = {"tcp", "udp", "both", "icmp"};
static const char *const effects[] = {
        "table: main", "table: 100", "table: 10", "action: unreachable", "action: blackhole"};
static const char *const ports[] = {"80", "443", "[80, 443]", "8000-8010", "[1-9, 53]"};
static const char *const numbers[] = {"0", "1", "7", "100", "1000", "4294967295"};
static const char *const tables[] = {"main", "10", "100", "4000000000"};
static const char *const hosts[] = {"10.0.0.5", "10.0.0.6", "\"fd00:2::5\"", "192.168.1.9"};
static const char *const bools[] = {"true", "false"};
static const char *const keeps[] = {"on-conflict: replace", "on-conflict: keep"};
static const char *const nets[] = {
        "10.5.0.0/24", "10.6.0.0/24", "10.7.1.0/24", "\"fd00:5::/64\"", "\"fd00:6::/64\""};

#define LIST(letter, list) [(letter) - 'A'] = {list, NSH_ARRAY_SIZE(list)}
static const struct {
    const char *const *items;
    size_t n;
} choices[26] = {
        LIST('A', gateways),
        LIST('B', bools),
        LIST('C', conditions),
        LIST('D', devices),
        LIST('E', effects),
        LIST('F', families),
        LIST('G', checks),
        LIST('H', hosts),
        LIST('K', keeps),
        LIST('L', lists),
        LIST('M', nets),
        LIST('N', numbers),
        LIST('O', ports),
        LIST('P', prefixes),
        LIST('R', protocols),
        LIST('T', tables),
        LIST('Y', types),
};

/* An object: what it must have, and what it may have. */
static const struct section {
    const char *name, *needs;
    const char *may[16];
} sections[] = {
        {"routes", "to: P",
                {"via: A", "dev: D", "metric: N", "table: T", "type: Y", "when: C", "K",
                        "mtu: 1400", "on-link: B", "source: H", "family: F", "vrf: blue",
                        "scope: link", "nexthops: [{via: A, weight: 2}, {via: A, dev: D}]",
                        "check: {G}"}},
        {"rules", "priority: 1#, E",
                {"from: P", "to: P", "iif: D", "oif: D", "mark: N", "family: F", "when: C",
                        "not: B", "protocol: R, source-port: O", "suppress-prefix-length: 0"}},
        {"masquerade", "name: m#, out: L",
                {"from: P", "to: P", "except-from: P", "except-to: P", "except-out: D", "family: F",
                        "protocol: R, destination-port: O", "mark: N", "position: first", "when: C",
                        "random: fully", "to-source: H", "protocol: R, to-ports: 1024-2047"}},
        {"share", "name: s#, lan: L, wan: L",
                {"family: F", "isolate: B", "allow-inbound: B", "clamp-mss: B", "when: C",
                        "ipv6: masquerade"}},
        {"port-forwards", "name: p#, in: L, protocol: R, port: O, to: H",
                {"to-port: 8080", "from: P", "hairpin: B", "when: C"}},
        {"network-map", "name: n#, dev: L, inside: M, outside: M", {"when: C"}},
};

#define TRIES_MAX 4

static void put(FILE *to, struct fuzz_input *in, const char *text, unsigned int number)
{
    for (const char *c = text; *c; c++) {
        size_t list = (size_t)(*c - 'A');

        if (*c == '#')
            (void)fprintf(to, "%u", number);
        else if (*c >= 'A' && *c <= 'Z' && choices[list].n > 0)
            (void)fputs(choices[list].items[fuzz_byte(in) % choices[list].n], to);
        else
            (void)fputc(*c, to);
    }
}

static void put_object(FILE *to, struct fuzz_input *in, const struct section *s, unsigned int n)
{
    uint16_t chosen[2];

    fuzz_take(in, chosen, sizeof(chosen));
    (void)fputs("  - {", to);
    put(to, in, s->needs, n);
    for (size_t i = 0; i < NSH_ARRAY_SIZE(s->may) && s->may[i]; i++) {
        if (!((chosen[0] & chosen[1]) >> i & 1))
            continue;
        (void)fputs(", ", to);
        put(to, in, s->may[i], n);
    }
    (void)fputs("}\n", to);
}

static char *make_document(struct fuzz_input *in)
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);

    FUZZ_MUST(to);
    (void)fputs("version: 1\n", to);
    for (size_t i = 0; i < NSH_ARRAY_SIZE(sections); i++) {
        unsigned int n = fuzz_byte(in) % 4;

        if (n > 0)
            (void)fprintf(to, "%s:\n", sections[i].name);
        for (unsigned int k = 0; k < n; k++)
            put_object(to, in, &sections[i], k);
    }
    if (fuzz_byte(in) & 1)
        (void)fputs("settings: {forwarding: leave, check-mark: 0x10/0xf0}\n", to);
    (void)fclose(to);
    return text;
}

/* Turns the line, from 1, into a comment. */
static void leave_out(char *text, uint32_t line)
{
    for (char *at = text; at && *at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL)
        if (--line == 0)
            *at = '#';
}

static int try_load(const char *text, enum nsh_config_trust trust, struct nsh_diags *diags,
        struct nsh_config **ret)
{
    nsh_autoclose int file = fuzz_file(text, strlen(text));
    const struct nsh_config_source source = {.path = FUZZ_SOURCE "/none.yaml",
            .trust = trust,
            .is_open = true,
            .fd = file,
            .archive_fd = -1};

    return nsh_config_load(&source, diags, ret);
}

/* Advice is no more than that: what is right stays right. */
static void must_be_advised(const char *text)
{
    struct nsh_diags *diags = nsh_diags_new();
    struct nsh_config *config = NULL;

    FUZZ_MUST(diags && try_load(text, NSH_TRUST_ADVISE, diags, &config) == 0);
    nsh_config_free(config);
    nsh_diags_free(diags);
}

/* NULL: it is still wrong after all. */
static struct nsh_desired *load(char *text)
{
    struct nsh_config *config = NULL;
    struct nsh_desired *d = NULL;

    for (int i = 0; i < TRIES_MAX && !config; i++) {
        struct nsh_diags *diags = nsh_diags_new();

        FUZZ_MUST(diags);
        if (try_load(text, NSH_TRUST_WARN, diags, &config) < 0)
            for (size_t k = 0; k < nsh_diags_count(diags); k++)
                if (nsh_diags_get(diags, k)->severity == NSH_DIAG_ERROR)
                    leave_out(text, nsh_diags_get(diags, k)->line);
        nsh_diags_free(diags);
    }
    if (!config)
        return NULL;
    must_be_advised(text);
    FUZZ_MUST(nsh_desired_new(config, &d) == 0);
    return d;
}

static struct nsh_desired *nothing(void)
{
    struct nsh_settings settings;
    struct nsh_config *config = NULL;
    struct nsh_desired *d = NULL;

    nsh_settings_default(&settings);
    FUZZ_MUST(nsh_config_new_empty(&settings, &config) == 0);
    FUZZ_MUST(nsh_desired_new(config, &d) == 0);
    return d;
}

/* All that stands there. */
static char *snapshot(struct world *w)
{
    nsh_autofree char *sets = nsh_firewall_fake_set_names(w->tables);
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);

    FUZZ_MUST(to);
    for (int f = 0; f < NSH_FAMILIES; f++) {
        nsh_autofree char *routes = nsh_fib_fake_show(w->kernel, nsh_family_of(f));
        nsh_autofree char *rules = nsh_fib_fake_show_rules(w->kernel, nsh_family_of(f));

        (void)fprintf(to, "%s%s", routes, rules);
        for (int t = 0; t < NSH_TABLE_COUNT; t++) {
            nsh_autofree char *table =
                    nsh_firewall_fake_save(w->tables, nsh_family_of(f), (enum nsh_table)t, false);

            (void)fputs(table, to);
        }
    }
    (void)fputs(sets, to);
    (void)fclose(to);
    return text;
}

/*
 * A further comparison changes nothing, and finds nothing that is worth a word; what can't be, such
 * as a gateway out of reach, it may have tried again.
 */
static void must_be_at_rest(struct world *w)
{
    nsh_autofree char *before = snapshot(w), *after = NULL;
    size_t told = w->n_told;

    resync(w);
    poll_tables(w);
    after = snapshot(w);
    if (strcmp(before, after) != 0 || w->n_told != told) {
        print_told(w);
        (void)fprintf(stderr, "before:\n%safter:\n%s", before, after);
    }
    FUZZ_MUST(strcmp(before, after) == 0 && w->n_told == told);
    FUZZ_MUST(nsh_reconciler_complete(w->r) && !nsh_reconciler_due(w->r));
    FUZZ_MUST(judge_all(w) == 0);
}

/* Nothing with our protocol, and no chain or set of ours. */
static void must_be_bare(struct world *w)
{
    nsh_autofree char *all = snapshot(w);

    FUZZ_MUST(!strstr(all, "proto 110") && !strstr(all, "protocol 110"));
    FUZZ_MUST(!strstr(all, "NETSHARED-") && !strstr(all, "netshared-"));
}

static void run_to_rest(struct world *w)
{
    run(w);
    pass_time(w, 5 * SECOND);
}

/* All checks succeed. */
static void tell_checks(struct world *w)
{
    const struct nsh_desired *d = nsh_reconciler_desired(w->r);

    for (size_t g = 1; g < d->n_gates; g++)
        if (d->gates[g].kind == NSH_GATE_CHECK)
            nsh_reconciler_gate(w->r, (nsh_gate_id)g, true, "");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    nsh_autofree char *text = make_document(&in);
    struct nsh_desired *d = load(text);
    struct world *w;

    if (getenv("NSH_TRACE"))
        (void)fprintf(stderr, "%s%s", d ? "" : "not accepted:\n", text);
    (void)setenv("CMOCKA_TEST_ABORT", "1", 1);
    if (!d)
        return 0;
    w = world_new();
    want_desired(w, d, NSH_OCCASION_START);
    run_to_rest(w);
    must_be_at_rest(w);
    tell_checks(w);
    run_to_rest(w);
    must_be_at_rest(w);
    want_desired(w, nothing(), NSH_OCCASION_RELOAD);
    run_to_rest(w);
    must_be_at_rest(w);
    must_be_bare(w);
    rw_free(w);
    return 0;
}
