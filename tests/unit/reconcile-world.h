/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A reconciler between the two fakes, for tests: a clock that moves when it is told to, a list of
 * what was reported, and a log of what was written, in the order in which it was.
 *
 * The search for untranslated flows is the one part that asks the real kernel, so each test
 * program enters a network namespace of its own where it may.
 */
#pragma once

#include "reconcile-told.h"

/* ---- the world ---- */

static inline void rw_free(struct world *w)
{
    char command[128];

    nsh_reconciler_free(w->r);
    nsh_state_free(w->state);
    nsh_fib_free(w->fib);
    nsh_firewall_free(w->firewall);
    nsh_fib_fake_free(w->kernel);
    nsh_firewall_fake_free(w->tables);
    if (w->dir) {
        static const char *const files[] = {"accepted", "sysctls", "protocol"};

        for (size_t i = 0; i < NSH_ARRAY_SIZE(files); i++) {
            snprintf(command, sizeof(command), "%s/%s", w->dir, files[i]);
            unlink(command);
        }
        rmdir(w->dir);
    }
    free(w->dir);
    free(w);
    rw_current = NULL;
}

/* The process: contracts, reconciler, state read anew. What is in the kernel stays. */
static inline void world_restart(struct world *w)
{
    struct nsh_reconciler_hooks hooks = {.userdata = w, .now = rw_now, .report = rw_report};

    nsh_reconciler_free(w->r);
    nsh_state_free(w->state);
    nsh_fib_free(w->fib);
    nsh_firewall_free(w->firewall);
    w->r = NULL;
    w->state = NULL;
    w->fib = NULL;
    w->firewall = NULL;
    assert_int_equal(nsh_fib_fake_open(w->kernel, &w->fib), 0);
    assert_int_equal(nsh_firewall_fake_open(w->tables, &w->firewall), 0);
    w->real_fib = w->fib->ops;
    w->fib_ops = *w->real_fib;
    w->fib_ops.submit = rw_submit;
    w->fib_ops.rules_submit = rw_rules_submit;
    w->fib_ops.sysctl_set = rw_sysctl_set;
    w->fib->ops = &w->fib_ops;
    w->real_firewall = w->firewall->ops;
    w->firewall_ops = *w->real_firewall;
    w->firewall_ops.commit = rw_commit;
    w->firewall_ops.pass = rw_pass;
    w->firewall_ops.set_write = rw_set_write;
    w->firewall->ops = &w->firewall_ops;
    if (w->dir)
        assert_int_equal(nsh_state_open(w->dir, &w->state), 0);
    assert_int_equal(nsh_reconciler_new(w->fib, w->firewall, w->state, &hooks, &w->r), 0);
}

/* "ip …", "iptables …", "ip6tables …", "ipset …", "sysctl KEY=VALUE": somebody else does it. */
static inline int try_run(struct world *w, const char *command)
{
    char key[96];
    int value;

    if (strncmp(command, "ip ", 3) == 0)
        return nsh_fib_fake_ip(w->kernel, command + 3);
    if (sscanf(command, "sysctl %95[^=]=%d", key, &value) == 2)
        return nsh_fib_fake_sysctl_set(w->kernel, key, value);
    if (strncmp(command, "ipset ", 6) == 0)
        return nsh_firewall_fake_ipset(w->tables, command);
    return nsh_firewall_fake_iptables(w->tables, command);
}

static inline void somebody(struct world *w, const char *command)
{
    int rc = try_run(w, command);

    if (rc != 0)
        fail_msg("%s: %d", command, rc);
}

/* Two links that are up, with addresses of both families. */
static inline struct world *world_new(void)
{
    static const char *const commands[] = {"ip link add eth0", "ip link set eth0 up",
            "ip link add eth1", "ip link set eth1 up", "ip addr add 192.168.1.2/24 dev eth0",
            "ip addr add fd00:1::2/64 dev eth0", "ip addr add 10.0.0.1/24 dev eth1",
            "ip addr add fd00:2::1/64 dev eth1"};
    struct world *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    w->now = RW_START;
    assert_int_equal(nsh_fib_fake_new(&w->kernel), 0);
    assert_int_equal(nsh_firewall_fake_new(&w->tables), 0);
    for (size_t i = 0; i < NSH_ARRAY_SIZE(commands); i++)
        somebody(w, commands[i]);
    rw_current = w;
    world_restart(w);
    return w;
}

/* The same with a state directory. */
static inline struct world *world_with_state(void)
{
    struct world *w = world_new();
    char path[] = "/tmp/nsh-reconcile-XXXXXX";

    w->dir = strdup(mkdtemp(path));
    assert_non_null(w->dir);
    world_restart(w);
    return w;
}

/* ---- wanting ---- */

/*
 * Checks without a key of their own: `when: {dev-up: check-1}` is one, and `{dev-up: hop-1}` one of
 * the last nexthop.
 */
static inline void rw_make_checks(struct nsh_desired *d)
{
    for (size_t g = 1; g < d->n_gates; g++) {
        struct nsh_gate *gate = &d->config->gates[g];
        bool hop = strncmp(gate->when.dev_up, "hop-", 4) == 0;
        uint8_t n;
        size_t length = strlen(gate->when.dev_up);

        if (!hop && strncmp(gate->when.dev_up, "check-", 6) != 0)
            continue;
        n = (uint8_t)(gate->when.dev_up[length - 1] - '0');
        *gate = (struct nsh_gate){
                .kind = NSH_GATE_CHECK, .check = {.family = AF_INET}, .origin = gate->origin};
        gate->check.target.bytes[0] = hop ? 192 : 198;
        gate->check.target.bytes[3] = n;
        d->gate_states[g].open = true;
        for (size_t i = 0; hop && i < d->n_routes; i++) {
            struct nsh_route_props *p = (struct nsh_route_props *)(uintptr_t)d->routes[i].props;

            if (p->when != g)
                continue;
            p->when = NSH_NO_GATE;
            p->nexthops[p->n_nexthops - 1].check = (nsh_gate_id)g;
        }
    }
    free(d->dependents.first);
    free(d->dependents.n);
    free(d->dependents.routes);
    d->dependents = (struct nsh_dependents){0};
    assert_int_equal(nsh_desired_index(d), 0);
    nsh_desired_settle(d);
}

/* A probe tells of the check with this target's last number; `hop`: of a nexthop's. */
static inline void tell_check(struct world *w, bool hop, uint8_t n, bool open, const char *reason)
{
    const struct nsh_desired *d = nsh_reconciler_desired(w->r);

    for (size_t g = 1; g < d->n_gates; g++)
        if (d->gates[g].kind == NSH_GATE_CHECK && d->gates[g].check.target.bytes[3] == n &&
                d->gates[g].check.target.bytes[0] == (hop ? 192 : 198))
            nsh_reconciler_gate(w->r, (nsh_gate_id)g, open, reason);
}

static inline struct nsh_desired *rw_load(const char *yaml)
{
    char path[] = "/tmp/nsh-reconcile-XXXXXX";
    struct nsh_config_source source = {.path = path, .trust = NSH_TRUST_WARN, .archive_fd = -1};
    struct nsh_diags *diags = nsh_diags_new();
    struct nsh_config *config = NULL;
    struct nsh_desired *d = NULL;
    FILE *file = fdopen(mkstemp(path), "w");

    assert_true(diags && file);
    fprintf(file, "version: 1\n%s", yaml);
    fclose(file);
    if (nsh_config_load(&source, diags, &config) < 0) {
        nsh_diags_print(diags, stderr);
        fail_msg("the test's own configuration does not load:\n%s", yaml);
    }
    unlink(path);
    nsh_diags_free(diags);
    assert_int_equal(nsh_desired_new(config, &d), 0);
    rw_make_checks(d);
    return d;
}

static inline void want_desired(struct world *w, struct nsh_desired *d, enum nsh_occasion why)
{
    assert_true(w->fib->ops->events_open(w->fib, d->protocol) >= 0);
    assert_int_equal(nsh_reconciler_set(w->r, d, why), 0);
}

/* `yaml` without its first line, the version. */
static inline void want(struct world *w, const char *yaml, enum nsh_occasion why)
{
    want_desired(w, rw_load(yaml), why);
}

/* ---- running ---- */

static inline void rw_event(void *userdata, const struct nsh_fib_event *event)
{
    nsh_reconciler_event(((struct world *)userdata)->r, event);
}

static inline void read_events(struct world *w)
{
    w->fib->ops->events_read(w->fib, rw_event, w);
}

/* What the event loop does until it would sleep; the time stands still. Returns the passes. */
static inline unsigned run(struct world *w)
{
    unsigned n = 0;

    for (read_events(w); nsh_reconciler_due(w->r); n++) {
        if (n == RW_RUNS_MAX) {
            print_told(w);
            fail_msg("it never comes to rest");
        }
        nsh_reconciler_run(w->r);
        read_events(w);
    }
    return n;
}

/* The clock moves on, and each time it is asked to, the reconciler runs. */
static inline void pass_time(struct world *w, uint64_t usec)
{
    uint64_t end = w->now + usec;

    run(w);
    for (unsigned n = 0; nsh_reconciler_next(w->r) <= end; n++) {
        if (n == RW_RUNS_MAX)
            fail_msg("it wants to be run again and again");
        assert_true(nsh_reconciler_next(w->r) > w->now);
        w->now = nsh_reconciler_next(w->r);
        assert_true(nsh_reconciler_due(w->r));
        run(w);
    }
    w->now = end;
    run(w);
}

static inline void start(struct world *w, const char *yaml)
{
    want(w, yaml, NSH_OCCASION_START);
    run(w);
}

static inline void reload(struct world *w, const char *yaml)
{
    want(w, yaml, NSH_OCCASION_RELOAD);
    run(w);
}

static inline void resync(struct world *w)
{
    nsh_reconciler_resync(w->r);
    run(w);
}

static inline void poll_tables(struct world *w)
{
    nsh_reconciler_poll(w->r);
    run(w);
}

/* A further comparison finds everything right. */
static inline void assert_stable(struct world *w)
{
    size_t told = w->n_told;

    w->n_log = 0;
    w->log[0] = '\0';
    resync(w);
    poll_tables(w);
    assert_log(w, "");
    assert_told(w, told);
    assert_true(nsh_reconciler_complete(w->r));
    assert_false(nsh_reconciler_due(w->r));
}

/* ---- what stands there ---- */

/* The lines of a text that begin with `start` and hold `with`, to be freed. */
static inline char *rw_lines(char *text, const char *start, const char *with)
{
    char *out = calloc(1, strlen(text) + 1), *rest = text;

    assert_non_null(out);
    for (char *line; (line = strsep(&rest, "\n"));)
        if (line[0] && strncmp(line, start, strlen(start)) == 0 && strstr(line, with))
            strcat(strcat(out, line), "\n");
    free(text);
    return out;
}

/* The routes to a destination, "" if there are none. */
static inline void assert_route(struct world *w, const char *dst, const char *lines)
{
    char start[96];
    nsh_autofree char *found = NULL;

    snprintf(start, sizeof(start), "%s ", dst);
    found = rw_lines(
            nsh_fib_fake_show(w->kernel, strchr(dst, ':') ? AF_INET6 : AF_INET), start, "");
    if (strcmp(found, lines) != 0) {
        print_told(w);
        fail_msg("%s: stands as\n%sinstead of\n%s", dst, found, lines);
    }
}

/* The rules of a family but the kernel's own, "" if there are none. */
static inline void assert_rules(struct world *w, int family, const char *lines)
{
    nsh_autofree char *text = nsh_fib_fake_show_rules(w->kernel, family);
    nsh_autofree char *found = calloc(1, strlen(text) + 1);
    char *rest = text;

    assert_non_null(found);
    for (char *line; (line = strsep(&rest, "\n"));)
        if (line[0] && !strstr(line, " proto 2"))
            strcat(strcat(found, line), "\n");
    if (strcmp(found, lines) != 0) {
        print_told(w);
        fail_msg("the rules are\n%sinstead of\n%s", found, lines);
    }
}

/* How many routes of a family have this protocol. */
static inline size_t count_routes(struct world *w, int family, const char *protocol)
{
    char with[24];
    nsh_autofree char *found = NULL;
    size_t n = 0;

    snprintf(with, sizeof(with), " proto %s", protocol);
    found = rw_lines(nsh_fib_fake_show(w->kernel, family), "", with);
    for (char *at = found; (at = strchr(at, '\n')); at++)
        n++;
    return n;
}

static inline int sysctl_value(struct world *w, const char *key)
{
    int value = -1;

    nsh_fib_fake_sysctl_get(w->kernel, key, &value);
    return value;
}

/* The whole table of a family, to be freed. */
static inline char *table_text(struct world *w, int family, enum nsh_table table)
{
    char *text = nsh_firewall_fake_save(w->tables, family, table, false);

    assert_non_null(text);
    return text;
}

static inline bool table_has(struct world *w, int family, enum nsh_table table, const char *words)
{
    nsh_autofree char *text = table_text(w, family, table);

    return strstr(text, words) != NULL;
}

struct rw_search {
    const char *kind, *name;
    bool found;
    enum nsh_object_state state;
    char *reason;
    size_t reason_size;
    uint64_t repairs;
};

static inline void rw_view(void *userdata, const struct nsh_object_view *view)
{
    struct rw_search *s = userdata;

    if (strcmp(view->kind, s->kind) != 0 || strncmp(view->name, s->name, strlen(s->name)) != 0)
        return;
    s->found = true;
    s->state = view->state;
    s->repairs = view->repairs ? view->repairs->count : 0;
    rw_copy(s->reason, s->reason_size, view->reason);
}

/* As `status` shows the object whose name begins so; its reason, "" if none, is in `reason`. */
static inline enum nsh_object_state state_of(struct world *w, const char *kind, const char *name,
        char *reason, size_t size, uint64_t *ret_repairs)
{
    char unused[256];
    struct rw_search s = {.kind = kind,
            .name = name,
            .reason = reason ? reason : unused,
            .reason_size = reason ? size : sizeof(unused)};

    nsh_reconciler_each(w->r, SIZE_MAX, rw_view, &s);
    if (!s.found)
        fail_msg("there is no %s %s", kind, name);
    if (ret_repairs)
        *ret_repairs = s.repairs;
    return s.state;
}

static inline void assert_state(
        struct world *w, const char *kind, const char *name, enum nsh_object_state state)
{
    char reason[256];
    enum nsh_object_state is = state_of(w, kind, name, reason, sizeof(reason), NULL);

    if (is != state) {
        print_told(w);
        fail_msg("%s %s is %s (%s), not %s", kind, name, nsh_object_state_name(is), reason,
                nsh_object_state_name(state));
    }
}

static inline void assert_reason(
        struct world *w, const char *kind, const char *name, const char *words)
{
    char reason[256];

    state_of(w, kind, name, reason, sizeof(reason), NULL);
    if (words[0] ? !strstr(reason, words) : reason[0])
        fail_msg("%s %s: the reason is '%s', not '%s'", kind, name, reason, words);
}

static inline uint64_t repairs_of(struct world *w, const char *kind, const char *name)
{
    uint64_t n;

    state_of(w, kind, name, NULL, 0, &n);
    return n;
}

/* ---- the program ---- */

static inline int rw_teardown(void **state)
{
    (void)state;
    if (rw_current)
        rw_free(rw_current);
    return 0;
}

/* Flows are looked for where nobody has any. */
static inline void rw_leave_the_network(void)
{
    if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
        print_message("# no network namespace of its own: %s\n", strerror(errno));
}

#define rw_test(f) cmocka_unit_test_teardown(f, rw_teardown)
