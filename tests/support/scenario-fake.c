/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The world of the fakes.
 */
#include "scenario.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fib-fake.h"
#include "firewall-fake.h"

struct fake_world {
    struct nsh_world world; /* first: handed out */
    struct nsh_fib_fake *kernel;
    struct nsh_firewall_fake *tables;
};

static struct fake_world *of(struct nsh_world *w)
{
    return (struct fake_world *)w;
}

static void fake_free(struct nsh_world *w)
{
    nsh_fib_free(w->fib);
    nsh_firewall_free(w->firewall);
    nsh_fib_fake_free(of(w)->kernel);
    nsh_firewall_fake_free(of(w)->tables);
    free(w);
}

static void fake_freep(struct fake_world **w)
{
    if (*w)
        fake_free(&(*w)->world);
}

static int fake_run(struct nsh_world *w, const char *command)
{
    char key[96];
    int value;

    if (strncmp(command, "ip ", 3) == 0)
        return nsh_fib_fake_ip(of(w)->kernel, command + 3);
    if (sscanf(command, "sysctl %95[^=]=%d", key, &value) == 2)
        return nsh_fib_fake_sysctl_set(of(w)->kernel, key, value);
    return nsh_firewall_fake_iptables(of(w)->tables, command);
}

static char *fake_routes(struct nsh_world *w, int family)
{
    return nsh_fib_fake_show(of(w)->kernel, family);
}

static char *fake_rules(struct nsh_world *w, int family, enum nsh_table table, bool counters)
{
    return nsh_firewall_fake_save(of(w)->tables, family, table, counters);
}

static size_t fake_writes(struct nsh_world *w)
{
    return nsh_fib_fake_counts(of(w)->kernel)->writes +
           nsh_fib_fake_counts(of(w)->kernel)->calls[NSH_FIB_FAKE_WRITE] +
           nsh_firewall_fake_counts(of(w)->tables)->commits;
}

static const struct nsh_world_ops fake_ops = {
        .free = fake_free,
        .run = fake_run,
        .routes = fake_routes,
        .rules = fake_rules,
        .writes = fake_writes,
};

int nsh_world_fake_new(struct nsh_world **ret)
{
    NSH_CLEANUP(fake_freep) struct fake_world *w = calloc(1, sizeof(*w));
    int rc;

    if (!w)
        return -ENOMEM;
    w->world.ops = &fake_ops;
    rc = nsh_fib_fake_new(&w->kernel);
    if (rc == 0)
        rc = nsh_firewall_fake_new(&w->tables);
    if (rc == 0)
        rc = nsh_fib_fake_open(w->kernel, &w->world.fib);
    if (rc == 0)
        rc = nsh_firewall_fake_open(w->tables, &w->world.firewall);
    if (rc < 0)
        return rc;
    *ret = &NSH_TAKE_PTR(w)->world;
    return 0;
}
