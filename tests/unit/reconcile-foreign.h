/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What of the fakes is not ours, as a text: routes and rules of other protocols, chains of others
 * and their rules, sets. A route on a key that is wanted is claimed, and may change.
 */
#pragma once

#include "desired.h"
#include "fib-fake-kernel.h"
#include "reconcile-internal.h"
#include "reconcile-world.h"

/* Both that the file may name: which of them is meant changes with it. */
static inline bool foreign_protocol(uint8_t protocol)
{
    return protocol != 110 && protocol != 111;
}

/*
 * "route KEY | TEXT" for what is foreign, "claimed KEY | TEXT" for what is on a wanted key, and in
 * IPv6 for ours: nexthops of others are part of it, and come to be seen when it goes.
 */
static inline void put_foreign_routes(struct world *w, int family, FILE *to)
{
    const struct nsh_desired *d = nsh_reconciler_desired(w->r);
    nsh_autofree char *text = nsh_fib_fake_show(w->kernel, family);
    char *rest = text;

    for (size_t i = 0; i < w->kernel->n_routes;) {
        struct fake_route r;
        char key[96];

        assert_int_equal(fake_route_next(w->kernel, &i, &r), 0);
        if (r.r.family == family) {
            const char *line = strsep(&rest, "\n");
            bool claimed;

            nsh_route_normalize(&r.r, r.props);
            r.props->vrf[0] = '\0'; /* the kernel has no word of it */
            claimed = (family == AF_INET6 && !foreign_protocol(r.r.protocol)) ||
                      (d && nsh_desired_find_route(d, &r.r) != SIZE_MAX);
            if (claimed || foreign_protocol(r.r.protocol))
                fprintf(to, "%s %d %s | %s\n", claimed ? "claimed" : "route", family,
                        nsh_route_format_key(&r.r, key, sizeof(key)), line);
        }
        fake_route_clear(&r);
    }
}

static inline void put_foreign_rules(struct world *w, FILE *to)
{
    char text[NSH_RULE_TEXT];

    for (size_t i = 0; i < w->kernel->n_rules; i++) {
        const struct nsh_rule *r = &w->kernel->rules[i];

        if (foreign_protocol(r->protocol))
            fprintf(to, "rule %d %s proto %u\n", r->family, nsh_rule_format(r, text, sizeof(text)),
                    r->protocol);
    }
}

/* A table that comes into use has nothing but its built-in chains. */
static inline void put_foreign_chains(struct world *w, int family, enum nsh_table table, FILE *to)
{
    nsh_autofree char *text = table_text(w, family, table);
    char *rest = text;

    for (char *line; (line = strsep(&rest, "\n"));) {
        const char *policy = line[0] == ':' ? strrchr(line, ' ') : NULL;

        if (line[0] && !strstr(line, "NETSHARED-") && (!policy || strcmp(policy, " ACCEPT") != 0))
            fprintf(to, "table %d %d %s\n", family, (int)table, line);
    }
}

static inline void put_foreign_sets(struct world *w, FILE *to)
{
    nsh_autofree char *names = nsh_firewall_fake_set_names(w->tables);
    char *rest = names;

    for (char *name; (name = strsep(&rest, "\n"));) {
        nsh_autofree char *elements = NULL;

        if (name[0] == '\0' || nsh_set_is_ours(name))
            continue;
        elements = nsh_firewall_fake_set(w->tables, name);
        fprintf(to, "set %s\n%s", name, elements);
    }
}

static inline char *foreign_of(struct world *w)
{
    char *all = NULL;
    size_t size;
    FILE *to = open_memstream(&all, &size);

    assert_non_null(to);
    for (int f = 0; f < NSH_FAMILIES; f++) {
        put_foreign_routes(w, nsh_family_of(f), to);
        for (int t = 0; t < NSH_TABLE_COUNT; t++)
            put_foreign_chains(w, nsh_family_of(f), (enum nsh_table)t, to);
    }
    put_foreign_rules(w, to);
    put_foreign_sets(w, to);
    fclose(to);
    return all;
}

/* The lines of `text` but for routes on keys that are claimed here or there. */
static inline char *unclaimed(const char *text, const char *other)
{
    nsh_autofree char *copy = strdup(text);
    char *out = calloc(1, strlen(text) + 1), *rest = copy, claimed[128];

    assert_true(copy && out);
    for (char *line; (line = strsep(&rest, "\n"));) {
        const char *end = strchr(line, '|');

        if (strncmp(line, "claimed ", 8) == 0 || line[0] == '\0')
            continue;
        if (strncmp(line, "route ", 6) == 0 && end) {
            snprintf(claimed, sizeof(claimed), "claimed %.*s", (int)(end - line - 5), line + 6);
            if (strstr(text, claimed) || strstr(other, claimed))
                continue;
        }
        strcat(strcat(out, line), "\n");
    }
    return out;
}

/* What is not ours is as it was; if not, both are shown. */
static inline bool foreign_stands(const char *before, const char *after)
{
    nsh_autofree char *then = NULL, *now = NULL;

    if (strcmp(before, after) == 0)
        return true;
    then = unclaimed(before, after);
    now = unclaimed(after, before);
    if (strcmp(then, now) == 0)
        return true;
    (void)fprintf(stderr, "what is foreign was\n%sand is\n%s", then, now);
    return false;
}
