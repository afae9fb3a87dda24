/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every scalar parser: the first byte says of which key the text is the value, and whether it is in
 * quotes. What is understood can be written down, and is understood again as the same: addresses
 * and durations as text, a whole configuration as its archive.
 */
#include "fuzz.h"

#include <string.h>
#include <unistd.h>

#include "config.h"
#include "diag.h"
#include "duration.h"

#define TEXT_MAX 4096 /* of a route */

/* The value stands at the '@'. */
static const char *const places[] = {
        "routes: [{to: @, via: 192.0.2.1}]",
        "routes: [{to: 10.0.0.0/8, via: @}]",
        "routes: [{to: 10.0.0.0/8, via: 192.0.2.1, dev: @}]",
        "routes: [{to: 10.0.0.0/8, via: 192.0.2.1, metric: @}]",
        "routes: [{to: 10.0.0.0/8, via: 192.0.2.1, table: @}]",
        "routes: [{to: 10.0.0.0/8, type: @}]",
        "routes: [{to: 10.0.0.0/8, dev: eth0, scope: @}]",
        "routes: [{to: 10.0.0.0/8, dev: eth0, mtu: @}]",
        "routes: [{to: 10.0.0.0/8, dev: eth0, on-link: @}]",
        "routes: [{to: 10.0.0.0/8, dev: eth0, source: @}]",
        "routes: [{to: 10.0.0.0/8, dev: eth0, vrf: @}]",
        "routes: [{to: 10.0.0.0/8, via: 192.0.2.1, check: {ping: @}}]",
        "routes: [{to: 10.0.0.0/8, via: 192.0.2.1, check: {ping: 192.0.2.7, interval: @}}]",
        "routes: [{to: 10.0.0.0/8, dev: eth0, when: {dev-up: @}}]",
        "routes: [{to: 10.0.0.0/8, dev: eth0, when: {address: @}}]",
        "routes: [{to: 10.0.0.0/8, nexthops: [{via: 192.0.2.1, weight: @}]}]",
        "rules: [{from: @, table: 7}]",
        "rules: [{from: 10.0.0.0/8, table: 7, priority: @}]",
        "rules: [{from: 10.0.0.0/8, table: 7, mark: @}]",
        "rules: [{from: 10.0.0.0/8, table: 7, uid-range: @}]",
        "rules: [{from: 10.0.0.0/8, table: 7, protocol: @}]",
        "rules: [{from: 10.0.0.0/8, table: 7, protocol: tcp, source-port: @}]",
        "rules: [{from: 10.0.0.0/8, iif: @, table: 7}]",
        "masquerade: [{name: @, out: eth0}]",
        "masquerade: [{name: a, out: @}]",
        "masquerade: [{name: a, out: eth0, from: @}]",
        "masquerade: [{name: a, out: eth0, protocol: @}]",
        "masquerade: [{name: a, out: eth0, protocol: tcp, destination-port: @}]",
        "masquerade: [{name: a, out: eth0, protocol: tcp, to-ports: @}]",
        "masquerade: [{name: a, out: eth0, to-source: @}]",
        "masquerade: [{name: a, out: eth0, mark: @}]",
        "port-forwards: [{name: a, in: eth0, protocol: tcp, port: @, to: 10.0.0.7}]",
        "port-forwards: [{name: a, in: eth0, protocol: tcp, port: 80, to: @}]",
        "port-forwards: [{name: a, in: eth0, protocol: tcp, port: 80, to: 10.0.0.7, hairpin: @}]",
        "network-map: [{name: a, dev: eth0, inside: @, outside: 10.0.0.0/24}]",
        "settings: {resync: @}",
        "settings: {confirm-reload: @}",
        "settings: {route-protocol: @}",
        "settings: {firewall: @}",
        "settings: {check-mark: @}",
        "routes: [{to: 10.0.0.0/8, dev: eth0, tos: @}]",
        "routes: [{to: 10.0.0.0/8, dev: eth0, rto-min: @}]",
        "routes: [{to: 10.0.0.0/8, dev: eth0, features: @}]",
        "routes: [{to: 10.0.0.0/8, dev: eth0, congestion-control: @}]",
        "routes: [{to: \"fd00:9::/64\", dev: eth0, preference: @}]",
        "routes: [{to: default, dev: eth0, family: @}]",
        "routes: [{to: 10.0.0.0/8, via: {learned-on: @}}]",
        "routes: [{to: 10.0.0.0/8, via: 192.0.2.1, check: {tcp: @, port: 80}}]",
        "routes: [{to: 10.0.0.0/8, via: 192.0.2.1, check: {tcp: 192.0.2.7, port: @}}]",
        "routes: [{to: 10.0.0.0/8, via: 192.0.2.1, check: {ping: 192.0.2.7, fail: @}}]",
        "rules: [{from: 10.0.0.0/8, table: 7, tos: @}]",
};

static void check_address(const char *text)
{
    union nsh_addr addr, again;
    char written[NSH_ADDR_TEXT];
    uint8_t family, as;

    if (!nsh_addr_parse(text, &family, &addr))
        return;
    FUZZ_MUST(nsh_addr_parse(nsh_addr_format(family, &addr, written), &as, &again));
    FUZZ_MUST(as == family && nsh_addr_cmp(&addr, &again) == 0);
}

static void check_prefix(const char *text)
{
    struct nsh_prefix p, again;
    char written[NSH_PREFIX_TEXT];

    if (nsh_prefix_parse(text, &p) != NSH_PREFIX_OK)
        return;
    FUZZ_MUST(p.length <= nsh_addr_bits(p.family));
    FUZZ_MUST(nsh_prefix_parse(nsh_prefix_format(&p, written), &again) == NSH_PREFIX_OK);
    FUZZ_MUST(nsh_prefix_cmp(&p, &again) == 0);
}

static void check_duration(const char *text)
{
    uint64_t usec, again;
    char written[64];

    if (!nsh_duration_parse(text, &usec))
        return;
    FUZZ_MUST(nsh_duration_parse(nsh_duration_exact(usec, written, sizeof(written)), &again));
    FUZZ_MUST(usec == again);
}

/* In single quotes, in which a quote is written twice. */
static void put_quoted(FILE *to, const char *text)
{
    (void)fputc('\'', to);
    for (const char *c = text; *c; c++)
        (void)fprintf(to, *c == '\'' ? "''" : "%c", *c);
    (void)fputc('\'', to);
}

static char *make_yaml(const char *place, const char *text, bool quoted, size_t *ret_size)
{
    const char *at = strchr(place, '@');
    char *yaml = NULL;
    FILE *to = open_memstream(&yaml, ret_size);

    FUZZ_MUST(to);
    (void)fprintf(to, "version: 1\n%.*s", (int)(at - place), place);
    if (quoted)
        put_quoted(to, text);
    else
        (void)fputs(text, to);
    (void)fprintf(to, "%s\n", at + 1);
    (void)fclose(to);
    return yaml;
}

static void must_be_same_routes(const struct nsh_config *a, const struct nsh_config *b)
{
    char one[TEXT_MAX], other[TEXT_MAX];

    FUZZ_MUST(a->n_routes == b->n_routes);
    for (size_t i = 0; i < a->n_routes; i++) {
        nsh_route_format(&a->routes[i], a->links, one, sizeof(one));
        nsh_route_format(&b->routes[i], b->links, other, sizeof(other));
        FUZZ_MUST(strcmp(one, other) == 0);
    }
}

static void must_be_same(const struct nsh_config *a, const struct nsh_config *b)
{
    must_be_same_routes(a, b);
    FUZZ_MUST(a->n_rules == b->n_rules && a->n_gates == b->n_gates);
    for (size_t i = 0; i < a->n_rules; i++)
        FUZZ_MUST(nsh_rule_cmp(&a->rules[i], &b->rules[i]) == 0);
    for (size_t i = 1; i < a->n_gates; i++)
        FUZZ_MUST(nsh_gate_equal(&a->gates[i], &b->gates[i]));
    FUZZ_MUST(a->n_masquerades == b->n_masquerades && a->n_shares == b->n_shares);
    FUZZ_MUST(a->n_port_forwards == b->n_port_forwards && a->n_network_maps == b->n_network_maps);
}

static void check_archive(const struct nsh_config *config, int archive)
{
    struct nsh_diags *diags = nsh_diags_new();
    struct nsh_config *again = NULL;

    FUZZ_MUST(diags && nsh_config_load_archive(archive, diags, &again) == 0);
    must_be_same(config, again);
    nsh_config_free(again);
    nsh_diags_free(diags);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    uint8_t first = fuzz_byte(&in);
    nsh_autofree char *text = fuzz_text(&in);
    size_t n = 0;
    nsh_autofree char *yaml =
            make_yaml(places[(first & 0x7fU) % NSH_ARRAY_SIZE(places)], text, first & 0x80U, &n);
    nsh_autoclose int file = fuzz_file(yaml, n), archive = fuzz_file("", 0);
    struct nsh_config_source source = {.path = "/nonexistent/fuzz.yaml",
            .trust = NSH_TRUST_WARN,
            .is_open = true,
            .fd = file,
            .archive_fd = archive};
    struct nsh_diags *diags = nsh_diags_new();
    struct nsh_config *config = NULL;

    FUZZ_MUST(diags);
    check_address(text);
    check_prefix(text);
    check_duration(text);
    if (nsh_config_load(&source, diags, &config) == 0)
        check_archive(config, archive);
    nsh_config_free(config);
    nsh_diags_free(diags);
    return 0;
}
