/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common.h"
#include "options.h"
#include "reload.h"

static void print_verdict(const char *path, const struct nsh_desired *d)
{
    const struct nsh_config *c = d->config;
    size_t n = c->n_masquerades + c->n_shares + c->n_port_forwards + c->n_network_maps;

    printf("%s: ok, %zu route%s, ", path, d->n_routes, d->n_routes == 1 ? "" : "s");
    if (d->n_rules > 0)
        printf("%zu rule%s, ", d->n_rules, d->n_rules == 1 ? "" : "s");
    printf("%zu polic%s\n", n, n == 1 ? "y" : "ies");
}

int nsh_command_check(const struct nsh_options *o)
{
    const char *path = o->file ? o->file : o->config;
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
