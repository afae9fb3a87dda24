/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a scenario is run: one reconcile as the daemon does it, but straight through, and the
 * comparing of worlds as text.
 */
#include "scenario.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "apply.h"
#include "config.h"
#include "plan.h"
#include "resolve.h"

#define RACE_TRIES 3

static const struct {
    int family;
    enum nsh_table table;
} tables[] = {
        /* conntrack stays in use before and after anything else */
        {AF_INET, NSH_TABLE_RAW},
        {AF_INET6, NSH_TABLE_RAW},
        {AF_INET, NSH_TABLE_NAT},
        {AF_INET6, NSH_TABLE_NAT},
        {AF_INET, NSH_TABLE_MANGLE},
        {AF_INET6, NSH_TABLE_MANGLE},
};

/* ---- wanting ---- */

void nsh_run(struct nsh_scenario_run *s, const char *command)
{
    int rc = s->world->ops->run(s->world, command);

    if (rc != 0)
        fail_msg("%s: failed with %d", command, rc);
}

void nsh_run_all(struct nsh_scenario_run *s, const char *const *commands)
{
    for (; *commands; commands++)
        nsh_run(s, *commands);
}

static struct nsh_config *load(const char *yaml)
{
    char path[] = "/tmp/nsh-scenario-XXXXXX";
    struct nsh_config_source source = {.path = path, .trust = NSH_TRUST_WARN, .archive_fd = -1};
    struct nsh_diags *diags = nsh_diags_new();
    struct nsh_config *config = NULL;
    int fd = mkstemp(path), rc;

    assert_non_null(diags);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, yaml, strlen(yaml)), (ssize_t)strlen(yaml));
    close(fd);
    rc = nsh_config_load(&source, diags, &config);
    unlink(path);
    if (rc < 0) {
        nsh_diags_print(diags, stderr);
        fail_msg("the scenario's own configuration does not load: %d", rc);
    }
    nsh_diags_free(diags);
    return config;
}

/* What was held stays held, as far as it is still wanted. */
static uint8_t *carry_flags(const struct nsh_scenario_run *s, const struct nsh_desired *want)
{
    uint8_t *flags = calloc(want->n_routes + 1, 1);

    assert_non_null(flags);
    for (size_t i = 0; s->want && i < s->want->n_routes; i++) {
        size_t now = nsh_desired_find_route(want, &s->want->routes[i]);

        if (now != SIZE_MAX)
            flags[now] = s->flags[i];
    }
    return flags;
}

static void take_want(struct nsh_scenario_run *s, struct nsh_desired *want)
{
    uint8_t *flags = carry_flags(s, want);

    nsh_desired_free(s->want);
    free(s->flags);
    s->want = want;
    s->flags = flags;
}

void nsh_want(struct nsh_scenario_run *s, const char *yaml)
{
    struct nsh_desired *want = NULL;

    assert_int_equal(nsh_desired_new(load(yaml), &want), 0);
    take_want(s, want);
}

/* ---- one reconcile ---- */

static void converge_table(
        struct nsh_scenario_run *s, int family, enum nsh_table table, enum nsh_firewall_phase phase)
{
    struct nsh_firewall *fw = s->world->firewall;
    struct nsh_firewall_plan *plan = NULL;
    char why[160] = "";
    size_t n;
    int rc;

    assert_int_equal(fw->ops->open(fw, NSH_FIREWALL_WRITE), NSH_FIREWALL_OK);
    assert_int_equal(nsh_firewall_plan_new(s->want, family, table, &plan), 0);
    rc = nsh_apply_firewall(fw, plan, family, table, phase, RACE_TRIES, why, sizeof(why));
    if (rc != NSH_FIREWALL_OK)
        fail_msg("%s table of family %d: %d %s", nsh_table_name(table), family, rc, why);
    nsh_firewall_plan_steps(plan, &n);
    s->done.firewall_steps += n;
    nsh_firewall_plan_free(plan);
    fw->ops->close(fw);
}

static void converge_firewall(struct nsh_scenario_run *s, enum nsh_firewall_phase phase)
{
    for (size_t i = 0; i < NSH_ARRAY_SIZE(tables); i++)
        converge_table(s, tables[i].family, tables[i].table, phase);
}

static void converge_forwarding(struct nsh_scenario_run *s)
{
    static const char *const keys[NSH_FAMILIES] = {
            [NSH_V4] = "net/ipv4/ip_forward",
            [NSH_V6] = "net/ipv6/conf/all/forwarding",
    };
    struct nsh_fib *fib = s->world->fib;

    for (int i = 0; i < NSH_FAMILIES; i++) {
        int value = 0;

        assert_int_equal(fib->ops->sysctl_get(fib, keys[i], &value), 0);
        if (!s->want->forwarding[i] || value == 1)
            continue;
        assert_int_equal(fib->ops->sysctl_set(fib, keys[i], 1), 0);
        s->done.sysctls++;
    }
}

static void note_written(void *userdata, const struct nsh_route_step *step,
        enum nsh_route_outcome outcome, int error, const char *why)
{
    struct nsh_scenario_run *s = userdata;

    (void)error;
    nsh_route_format(&step->route, step->wanted == SIZE_MAX ? NULL : s->want->links, s->done.last,
            sizeof(s->done.last));
    if (outcome == NSH_WRITE_DONE) {
        s->done.route_steps++;
        if (step->wanted != SIZE_MAX && step->action != NSH_ROUTE_DELETE)
            s->flags[step->wanted] |= NSH_ROUTE_WAS_HELD;
    } else if (outcome == NSH_WRITE_PENDING) {
        s->done.pending++;
        snprintf(s->done.why, sizeof(s->done.why), "%s", why);
    } else {
        s->done.refused++;
    }
}

static int feed(void *userdata, const struct nsh_route *route)
{
    return nsh_route_plan_observe(userdata, route);
}

static void skip_absent(struct nsh_scenario_run *s)
{
    for (size_t i = 0; i < s->want->n_routes; i++) {
        const char *missing = nsh_desired_missing_link(s->want, &s->want->routes[i]);

        s->flags[i] &= (uint8_t) ~(NSH_ROUTE_SKIP | NSH_ROUTE_WITHDRAWN);
        if (s->want->routes[i].table == NSH_NO_TABLE) {
            s->flags[i] |= NSH_ROUTE_WITHDRAWN;
            s->done.pending++;
            nsh_desired_unplaced(s->want, &s->want->routes[i], s->done.why, sizeof(s->done.why));
            continue;
        }
        if (!missing)
            continue;
        s->flags[i] |= NSH_ROUTE_SKIP;
        s->done.pending++;
        snprintf(s->done.why, sizeof(s->done.why), "no device %s", missing);
    }
}

static void converge_vrfs(struct nsh_scenario_run *s)
{
    struct nsh_desired *again;
    bool changed;

    assert_int_equal(nsh_desired_resolve_vrfs(s->world->fib, s->want, &changed), 0);
    if (!changed)
        return;
    assert_int_equal(nsh_desired_again(s->want, &again), 0);
    take_want(s, again);
}

static void converge_routes(struct nsh_scenario_run *s)
{
    struct nsh_fib *fib = s->world->fib;
    struct nsh_fib_filter all = {0};
    struct nsh_route_plan *plan = NULL;
    bool changed;

    converge_vrfs(s);
    assert_int_equal(nsh_desired_resolve(fib, s->want, &changed), 0);
    skip_absent(s);
    assert_int_equal(nsh_route_plan_new(s->want, s->flags, 0, &plan), 0);
    assert_int_equal(nsh_route_plan_begin(plan, NSH_SCOPE_ALL, NULL, 0), 0);
    assert_int_equal(nsh_fib_dump(fib, &all, feed, plan), 0);
    assert_int_equal(nsh_route_plan_finish(plan), 0);
    for (size_t i = 0; i < s->want->n_routes; i++) {
        enum nsh_route_verdict verdict = nsh_route_plan_verdict(plan, i);

        s->done.conflicts += verdict == NSH_ROUTE_CONFLICT;
        if (verdict == NSH_ROUTE_RIGHT)
            s->flags[i] |= NSH_ROUTE_WAS_HELD;
    }
    assert_int_equal(nsh_apply_routes(fib, s->want, plan, note_written, s), 0);
    nsh_route_plan_free(plan);
}

void nsh_scenario_converge(struct nsh_scenario_run *s)
{
    s->done = (struct nsh_converged){0};
    converge_firewall(s, NSH_PHASE_UP);
    converge_forwarding(s);
    converge_routes(s);
    converge_firewall(s, NSH_PHASE_DOWN);
}

void nsh_assert_complete(struct nsh_scenario_run *s)
{
    if (s->done.pending || s->done.conflicts || s->done.refused)
        fail_msg("%zu pending (%s), %zu conflicts, %zu refused", s->done.pending, s->done.why,
                s->done.conflicts, s->done.refused);
}

/* ---- worlds as text ---- */

/* Removes every occurrence of `part`. */
static void cut(char *line, const char *part)
{
    size_t n = strlen(part);

    for (char *at = strstr(line, part); at; at = strstr(at, part))
        memmove(at, at + n, strlen(at + n) + 1);
}

/*
 * A line as it is compared: without what `ip` adds and netshared has no hand in. Left out are those
 * of the far ends of links ("x-p"), the anycast addresses (type 4) every IPv6 router has, and the
 * IPv6 addresses of this host themselves: the kernel puts them in the table local when it likes.
 */
static bool tidy_route(char *line)
{
    static const char *const parts[] = {" pref medium", " linkdown", " dead"};
    size_t n;

    for (size_t i = 0; i < NSH_ARRAY_SIZE(parts); i++)
        cut(line, parts[i]);
    for (n = strlen(line); n > 0 && line[n - 1] == ' '; n--)
        line[n - 1] = '\0';
    return n > 0 && !strstr(line, "-p ") && strncmp(line, "4 ", 2) != 0 &&
           !(strchr(line, ':') && strstr(line, " table 255 "));
}

static int cmp_line(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

typedef bool line_wanted(const char *line, const char *arg);

static bool route_is_ours(const char *line, const char *arg)
{
    (void)arg;
    return strstr(line, " proto 110 ") || strstr(line, " proto 110\n");
}

/* Whole lines, their newline put back for the judging. */
static void print_sorted(FILE *to, char *text, bool (*tidy)(char *), line_wanted *wanted,
        const char *arg, bool yes, bool sort)
{
    char *lines[512];
    char *save = NULL;
    size_t n = 0;

    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char whole[512];

        assert_true(n < NSH_ARRAY_SIZE(lines));
        if (!tidy(line))
            continue;
        snprintf(whole, sizeof(whole), "%s\n", line);
        if (wanted(whole, arg) == yes)
            lines[n++] = line;
    }
    if (sort)
        qsort(lines, n, sizeof(*lines), cmp_line);
    for (size_t i = 0; i < n; i++)
        fprintf(to, "%s\n", lines[i]);
}

/* Comments, table names and the policies of built-in chains say nothing. */
static bool tidy_rule(char *line)
{
    if (line[0] == ':') {
        char *space = strchr(line, ' ');
        bool ours = strncmp(line + 1, NSH_CHAIN_PREFIX, strlen(NSH_CHAIN_PREFIX)) == 0;

        if (space)
            *space = '\0';
        return ours || (space && space[1] == '-');
    }
    return line[0] == '-' || line[0] == '[';
}

static bool rule_is_ours(const char *line, const char *arg)
{
    (void)arg;
    return strstr(line, NSH_CHAIN_PREFIX) != NULL;
}

static void print_world(FILE *to, struct nsh_scenario_run *s, bool ours)
{
    struct nsh_world *w = s->world;

    for (int i = 0; i < NSH_FAMILIES; i++) {
        nsh_autofree char *routes = w->ops->routes(w, nsh_family_of(i));

        assert_non_null(routes);
        print_sorted(to, routes, tidy_route, route_is_ours, NULL, ours, true);
    }
    for (size_t i = 0; i < NSH_ARRAY_SIZE(tables); i++) {
        nsh_autofree char *rules = w->ops->rules(w, tables[i].family, tables[i].table, !ours);

        assert_non_null(rules);
        print_sorted(to, rules, tidy_rule, rule_is_ours, NULL, ours, false);
    }
}

static void print_forwarding(FILE *to, struct nsh_scenario_run *s)
{
    struct nsh_fib *fib = s->world->fib;
    int v4 = -1, v6 = -1;

    fib->ops->sysctl_get(fib, "net/ipv4/ip_forward", &v4);
    fib->ops->sysctl_get(fib, "net/ipv6/conf/all/forwarding", &v6);
    fprintf(to, "forwarding %d %d\n", v4, v6);
}

static char *world_text(struct nsh_scenario_run *s, bool ours)
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);

    assert_non_null(to);
    print_world(to, s, ours);
    if (ours)
        print_forwarding(to, s);
    fclose(to);
    return text;
}

char *nsh_ours(struct nsh_scenario_run *s)
{
    return world_text(s, true);
}

char *nsh_foreign(struct nsh_scenario_run *s)
{
    return world_text(s, false);
}

/* Length of the first line, its newline included. */
static size_t line_length(const char *text)
{
    const char *end = strchr(text, '\n');

    return end ? (size_t)(end - text) + 1 : strlen(text);
}

void nsh_assert_same(const char *now, const char *before, const char *what)
{
    size_t a = line_length(now), b = line_length(before);

    while (a > 0 && a == b && strncmp(now, before, a) == 0) {
        now += a;
        before += b;
        a = line_length(now);
        b = line_length(before);
    }
    if (a > 0 || b > 0)
        fail_msg("%s: from here on it differs.\n was: %.300s\n is: %.300s", what, before, now);
}

static bool starts_with(const char *line, const char *start)
{
    return strncmp(line, start, strlen(start)) == 0;
}

/* The destination, after a type if there is one. */
static bool leads_to(const char *line, const char *dst)
{
    size_t n = strlen(dst);

    if (line[1] == ' ')
        line += 2;
    return starts_with(line, dst) && (line[n] == ' ' || line[n] == '\n');
}

void nsh_assert_route(struct nsh_scenario_run *s, int family, const char *dst, const char *lines)
{
    nsh_autofree char *routes = s->world->ops->routes(s->world, family);
    nsh_autofree char *found = NULL;
    size_t size;
    FILE *to = open_memstream(&found, &size);

    assert_non_null(routes);
    assert_non_null(to);
    print_sorted(to, routes, tidy_route, leads_to, dst, true, false);
    fclose(to);
    assert_string_equal(found, lines);
}

void nsh_assert_chain(struct nsh_scenario_run *s, int family, enum nsh_table table,
        const char *chain, const char *rules)
{
    nsh_autofree char *all = s->world->ops->rules(s->world, family, table, false);
    nsh_autofree char *found = NULL;
    char start[64];
    size_t size;
    FILE *to = open_memstream(&found, &size);

    assert_non_null(all);
    assert_non_null(to);
    snprintf(start, sizeof(start), "-A %s ", chain);
    print_sorted(to, all, tidy_rule, starts_with, start, true, false);
    fclose(to);
    cut(found, start);
    assert_string_equal(found, rules);
}

/* Rules of every table with their counters, and all routes: what a write would leave a trace in. */
static char *everything(struct nsh_scenario_run *s)
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);
    struct nsh_world *w = s->world;

    assert_non_null(to);
    for (int i = 0; i < NSH_FAMILIES; i++) {
        nsh_autofree char *routes = w->ops->routes(w, nsh_family_of(i));

        print_sorted(to, routes, tidy_route, starts_with, "", true, true);
    }
    for (size_t i = 0; i < NSH_ARRAY_SIZE(tables); i++) {
        nsh_autofree char *rules = w->ops->rules(w, tables[i].family, tables[i].table, true);

        print_sorted(to, rules, tidy_rule, starts_with, "", true, false);
    }
    fclose(to);
    return text;
}

void nsh_assert_stable(struct nsh_scenario_run *s)
{
    nsh_autofree char *before = everything(s);
    nsh_autofree char *after = NULL;
    size_t writes = s->world->ops->writes(s->world);

    nsh_scenario_converge(s);
    if (s->done.route_steps || s->done.firewall_steps || s->done.sysctls || s->done.refused)
        fail_msg(
                "a second run makes %zu route steps (%s), %zu rule steps, %zu sysctls, %zu refused",
                s->done.route_steps, s->done.last, s->done.firewall_steps, s->done.sysctls,
                s->done.refused);
    assert_int_equal(s->world->ops->writes(s->world), writes);
    after = everything(s);
    nsh_assert_same(after, before, "the world after a second run");
}

/* ---- running them ---- */

static int (*make_world)(struct nsh_world **ret);

/* Outside of the test, so that a failed one is cleaned up too: it may hold a lock. */
static struct nsh_scenario_run current;

static void run_one(void **state)
{
    const struct nsh_scenario *scenario = *state;

    current = (struct nsh_scenario_run){.words = scenario->words};
    assert_int_equal(make_world(&current.world), 0);
    scenario->run(&current);
}

static int clean_up(void **state)
{
    (void)state;
    nsh_world_free(current.world);
    nsh_desired_free(current.want);
    free(current.flags);
    current = (struct nsh_scenario_run){0};
    return 0;
}

static size_t count(const struct nsh_scenario *list)
{
    size_t n = 0;

    while (list[n].name)
        n++;
    return n;
}

int nsh_scenarios_main(int (*world_new)(struct nsh_world **ret))
{
    static const struct nsh_scenario *const lists[] = {
            nsh_scenarios_drift, nsh_scenarios_routes, nsh_scenarios_rules};
    struct CMUnitTest *tests;
    size_t n = 0, all = 0;
    int rc;

    for (size_t i = 0; i < NSH_ARRAY_SIZE(lists); i++)
        all += count(lists[i]);
    tests = calloc(all, sizeof(*tests));
    if (!tests)
        return 1;
    make_world = world_new;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(lists); i++)
        for (const struct nsh_scenario *each = lists[i]; each->name; each++)
            tests[n++] = (struct CMUnitTest){.name = each->name,
                    .test_func = run_one,
                    .teardown_func = clean_up,
                    .initial_state = (void *)(uintptr_t)each};
    rc = _cmocka_run_group_tests("scenarios", tests, n, NULL, NULL);
    free(tests);
    return rc;
}
