/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The configuration file: any bytes. One that is accepted can be stored, and loads again from there
 * as the same; and it can be wanted.
 */
#include "fuzz.h"

#include <unistd.h>

#include "config.h"
#include "desired.h"

NSH_DEFINE_CLEANUP(struct nsh_config *, nsh_config_free)
NSH_DEFINE_CLEANUP(struct nsh_diags *, nsh_diags_free)

static void must_be_same(const struct nsh_config *a, const struct nsh_config *b)
{
    FUZZ_MUST(a->n_routes == b->n_routes && a->n_rules == b->n_rules);
    FUZZ_MUST(a->n_masquerades == b->n_masquerades && a->n_shares == b->n_shares);
    FUZZ_MUST(a->n_port_forwards == b->n_port_forwards);
    FUZZ_MUST(a->n_network_maps == b->n_network_maps && a->n_gates == b->n_gates);
    for (size_t i = 0; i < a->n_routes; i++)
        FUZZ_MUST(nsh_route_id_cmp(&a->routes[i], &b->routes[i]) == 0);
    for (size_t i = 0; i < a->n_rules; i++)
        FUZZ_MUST(nsh_rule_cmp(&a->rules[i], &b->rules[i]) == 0);
}

static void print_diags(const struct nsh_diags *diags)
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);

    FUZZ_MUST(to);
    nsh_diags_print(diags, to);
    (void)fclose(to);
    free(text);
}

static void load_again(int archive, const struct nsh_config *first)
{
    NSH_CLEANUP(nsh_diags_freep) struct nsh_diags *diags = nsh_diags_new();
    NSH_CLEANUP(nsh_config_freep) struct nsh_config *again = NULL;

    FUZZ_MUST(lseek(archive, 0, SEEK_SET) == 0);
    FUZZ_MUST(diags && nsh_config_load_archive(archive, diags, &again) == 0);
    must_be_same(first, again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    nsh_autoclose int file = fuzz_file(data, size), archive = fuzz_file(NULL, 0);
    NSH_CLEANUP(nsh_diags_freep) struct nsh_diags *diags = nsh_diags_new();
    struct nsh_config_source source = {
            .path = "/nonexistent/fuzz.yaml",
            .trust = NSH_TRUST_ADVISE,
            .is_open = true,
            .fd = file,
            .archive_fd = archive,
    };
    struct nsh_config *config = NULL;
    struct nsh_desired *desired = NULL;
    int r = diags ? nsh_config_load(&source, diags, &config) : -1;

    print_diags(diags);
    if (r < 0) {
        FUZZ_MUST(!config);
        return 0;
    }
    load_again(archive, config);
    FUZZ_MUST(nsh_desired_new(config, &desired) == 0);
    nsh_desired_free(desired);
    return 0;
}
