/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common.h"
#include "options.h"
#include "probes.h"
#include "reload.h"

/* What is there for probes alone is not in the file. */
static size_t count_rules(const struct nsh_desired *d)
{
    size_t n = 0;

    for (size_t i = 0; i < d->n_rules; i++)
        n += !nsh_probes_rule_is(d->config, &d->rules[i]);
    return n;
}

static void print_verdict(const char *path, const struct nsh_desired *d)
{
    const struct nsh_config *c = d->config;
    size_t n = c->n_masquerades + c->n_shares + c->n_port_forwards + c->n_network_maps;
    size_t n_routes = d->n_routes - d->n_probe_routes, n_rules = count_rules(d);

    printf("%s: ok, %zu route%s, ", path, n_routes, n_routes == 1 ? "" : "s");
    if (n_rules > 0)
        printf("%zu rule%s, ", n_rules, n_rules == 1 ? "" : "s");
    printf("%zu polic%s\n", n, n == 1 ? "y" : "ies");
}

int nsh_command_check(const struct nsh_options *o)
{
    const char *path = o->operands[0] ? o->operands[0] : o->config;
    struct nsh_loaded loaded;
    int code = NSH_EXIT_OK;

    nsh_load_now(path, NSH_TRUST_ADVISE, NULL, &loaded);
    if (loaded.diags)
        nsh_diags_print(loaded.diags, stderr);
    if (loaded.error == 0)
        print_verdict(path, loaded.desired);
    else if (!loaded.diags || nsh_diags_errors(loaded.diags) == 0)
        code = nsh_complain("%s: %s", path, strerror(-loaded.error));
    else
        code = NSH_EXIT_FAILED;
    nsh_loaded_done(&loaded);
    return code;
}
