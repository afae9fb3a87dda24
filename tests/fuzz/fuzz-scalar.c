/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every scalar parser: the first byte says of which key the text is the value, and whether it is in
 * quotes. What is understood can be written down, and is understood again as the same.
 */
#include "fuzz.h"

#include <string.h>
#include <unistd.h>

#include "config.h"
#include "diag.h"
#include "duration.h"

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
        "rules: [{from: 10.0.0.0/8, table: 7, uid: @}]",
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
};

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    uint8_t first = fuzz_byte(&in);
    nsh_autofree char *text = fuzz_text(&in);
    size_t n = 0;
    nsh_autofree char *yaml =
            make_yaml(places[(first & 0x7fU) % NSH_ARRAY_SIZE(places)], text, first & 0x80U, &n);
    nsh_autoclose int file = fuzz_file(yaml, n);
    struct nsh_config_source source = {.path = "/nonexistent/fuzz.yaml",
            .trust = NSH_TRUST_WARN,
            .is_open = true,
            .fd = file,
            .archive_fd = -1};
    struct nsh_diags *diags = nsh_diags_new();
    struct nsh_config *config = NULL;

    check_prefix(text);
    check_duration(text);
    if (diags)
        (void)nsh_config_load(&source, diags, &config);
    nsh_config_free(config);
    nsh_diags_free(diags);
    return 0;
}
