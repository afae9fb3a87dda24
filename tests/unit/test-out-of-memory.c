/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory that is out: each allocation of a load, a reload and a repair fails in turn, alone or with
 * all that follow. Whichever it was, nothing crashes and nothing leaks, a load that failed leaves
 * what holds in force, what is somebody else's stays as it is, and when there is memory again all
 * becomes as wanted.
 *
 * Each eighth one is tried; NSH_STRIDE=1 tries all.
 */
#include <sys/mman.h>

#include "reconcile-internal.h"
#include "reconcile-world.h"

/* ---- what fails ---- */

static bool armed, for_good;
static unsigned long countdown, failed; /* the one it is; so many did */

static bool fails(void)
{
    if (!armed || (countdown > 0 && --countdown > 0) || (failed > 0 && !for_good))
        return false;
    failed++;
    errno = ENOMEM;
    return true;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_reallocarray(void *p, size_t n, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t n);
int __real_vasprintf(char **ret, const char *format, va_list args);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t n);
int __wrap_vasprintf(char **ret, const char *format, va_list args);
__attribute__((format(printf, 2, 3))) int __wrap_asprintf(char **ret, const char *format, ...);

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
    return fails() ? NULL : __real_realloc(p, size);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
    return fails() ? NULL : __real_reallocarray(p, n, size);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t n)
{
    return fails() ? NULL : __real_strndup(text, n);
}

/* What it leaves behind when it fails is nobody's to free. */
int __wrap_vasprintf(char **ret, const char *format, va_list args)
{
    if (!fails())
        return __real_vasprintf(ret, format, args);
    *ret = NULL;
    return -1;
}

int __wrap_asprintf(char **ret, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = __wrap_vasprintf(ret, format, args);
    va_end(args);
    return n;
}

static void arm(unsigned long nth, bool and_all_after)
{
    armed = true;
    for_good = and_all_after;
    countdown = nth;
    failed = 0;
}

/* False: there were not so many. */
static bool disarm(void)
{
    armed = false;
    return failed > 0;
}

static unsigned long stride(void)
{
    const char *text = getenv("NSH_STRIDE");
    unsigned long n = text ? strtoul(text, NULL, 10) : 8;

    return n > 0 ? n : 1;
}

/* ---- loading ---- */

#define BEFORE                                              \
    "version: 1\n"                                          \
    "routes:\n"                                             \
    "  - {to: 10.20.0.0/16, via: 192.168.1.1, dev: eth0}\n" \
    "masquerade:\n"                                         \
    "  - {name: out, out: [eth0], from: [10.0.0.0/24]}\n"

#define AFTER                                                                              \
    "version: 1\n"                                                                         \
    "routes:\n"                                                                            \
    "  - {to: [10.20.0.0/16, 10.21.0.0/16], via: 192.168.1.7, dev: eth0}\n"                \
    "  - {to: \"fd00:9::/48\", via: \"fd00:1::9\", dev: eth0, when: {dev-up: eth1}}\n"     \
    "  - {to: 10.40.0.0/16, nexthops: [{via: 192.168.1.1}, {via: 10.0.0.9, dev: eth1}]}\n" \
    "rules:\n"                                                                             \
    "  - {from: 10.7.0.0/16, table: 100, priority: 1000}\n"                                \
    "masquerade:\n"                                                                        \
    "  - name: many\n"                                                                     \
    "    out: [eth0]\n"                                                                    \
    "    from: [10.1.0.0/24, 10.2.0.0/24, 10.3.0.0/24, 10.4.0.0/24, 10.5.0.0/24,\n"        \
    "           10.6.0.0/24, 10.7.0.0/24, 10.8.0.0/24, 10.9.0.0/24]\n"                     \
    "share:\n"                                                                             \
    "  - {name: home, lan: eth1, wan: eth0}\n"                                             \
    "port-forwards:\n"                                                                     \
    "  - {name: web, in: eth0, protocol: tcp, port: 80, to: 10.0.0.5}\n"

#define WRONG "version: 1\nroutes:\n  - {too: 10.0.0.0/8}\n  - {to: 10.0.0.1/8, dev: eth0}\n"

static int file_of(const char *text)
{
    int fd = memfd_create("test", MFD_CLOEXEC);

    assert_true(fd >= 0);
    if (text)
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    return fd;
}

/* All of a reload that needs memory before it is in force. 0 or negative errno. */
static int load(const char *text, struct nsh_desired **ret)
{
    nsh_autoclose int file = file_of(text), archive = file_of(NULL);
    const struct nsh_config_source source = {.path = "/nonexistent/a.yaml",
            .trust = NSH_TRUST_ADVISE,
            .is_open = true,
            .fd = file,
            .archive_fd = archive};
    struct nsh_diags *diags = nsh_diags_new();
    struct nsh_config *config = NULL;
    nsh_autofree char *said = NULL;
    int r = diags ? nsh_config_load(&source, diags, &config) : -ENOMEM;

    if (diags)
        said = nsh_diags_format(diags);
    nsh_diags_free(diags);
    if (r == 0) {
        r = nsh_desired_new(config, ret);
        if (r < 0)
            nsh_config_free(config);
    }
    return r;
}

/* Returns how many allocations it took. */
static unsigned long fail_loads(const char *text, int otherwise, bool and_all_after)
{
    unsigned long n = 1;

    for (;; n += stride()) {
        struct nsh_desired *d = NULL;
        int r;

        arm(n, and_all_after);
        r = load(text, &d);
        if (!disarm()) {
            assert_int_equal(r, otherwise);
            nsh_desired_free(d);
            return n;
        }
        /* Words about it may be what was missing. */
        if (r != otherwise)
            assert_int_equal(r, -ENOMEM);
        if (r < 0)
            assert_null(d);
        nsh_desired_free(d);
    }
}

static void test_a_load_fails(void **state)
{
    (void)state;
    for (int after = 0; after < 2; after++) {
        assert_true(fail_loads(AFTER, 0, after) > 30 / stride());
        (void)fail_loads(WRONG, -EINVAL, after);
    }
}

/* ---- a reload and a repair ---- */

static const char *const foreign[] = {
        "ip route add 10.90.0.0/16 via 192.168.1.3 dev eth0 proto 4",
        "ip rule add from 10.9.0.0/16 lookup 9 priority 900",
        "iptables -t nat -A POSTROUTING -o eth7 -j MASQUERADE",
        "ipset create others hash:net",
};

static void damage(struct world *w)
{
    static const char *const commands[] = {
            "ip route del 10.20.0.0/16",
            "ip route add 10.77.0.0/16 via 192.168.1.1 dev eth0 proto 110",
            "iptables -t nat -F NETSHARED-out",
            "sysctl net/ipv4/ip_forward=0",
    };

    for (size_t i = 0; i < NSH_ARRAY_SIZE(commands); i++)
        (void)try_run(w, commands[i]);
}

static void put(FILE *to, char *text)
{
    fputs(text, to);
    free(text);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Chains stand in the order in which they were made; and a table that somebody looked at is in use.
 */
static char *sorted(char *text)
{
    char *lines[256], *rest = text, *out = calloc(1, strlen(text) + 2);
    size_t n = 0;

    assert_non_null(out);
    for (char *line; n < NSH_ARRAY_SIZE(lines) && (line = strsep(&rest, "\n"));)
        if (line[0] != ':' || !strstr(line, " ACCEPT"))
            lines[n++] = line;
    assert_null(rest);
    qsort(lines, n, sizeof(char *), by_text);
    for (size_t i = 0; i < n; i++)
        strcat(strcat(out, lines[i]), i + 1 < n ? "\n" : "");
    free(text);
    return out;
}

/* All that stands there, in no order: that of the rules is the reconciler's to compare. */
static char *snapshot(struct world *w)
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);

    assert_non_null(to);
    for (int f = 0; f < NSH_FAMILIES; f++) {
        put(to, nsh_fib_fake_show(w->kernel, nsh_family_of(f)));
        put(to, nsh_fib_fake_show_rules(w->kernel, nsh_family_of(f)));
        for (int t = 0; t < NSH_TABLE_COUNT; t++)
            put(to, nsh_firewall_fake_save(w->tables, nsh_family_of(f), (enum nsh_table)t, false));
    }
    put(to, nsh_firewall_fake_set_names(w->tables));
    fclose(to);
    return sorted(text);
}

static void assert_foreign(struct world *w)
{
    nsh_autofree char *all = snapshot(w);

    assert_non_null(strstr(all, "10.90.0.0/16 via 192.168.1.3 dev eth0 proto 4"));
    assert_non_null(strstr(all, "from 10.9.0.0/16 lookup 9"));
    assert_non_null(strstr(all, "-A POSTROUTING -o eth7 -j MASQUERADE"));
    assert_non_null(strstr(all, "others"));
}

static struct world *world_at_work(void)
{
    struct world *w = world_new();
    struct nsh_desired *d = NULL;

    for (size_t i = 0; i < NSH_ARRAY_SIZE(foreign); i++)
        somebody(w, foreign[i]);
    assert_int_equal(load(BEFORE, &d), 0);
    want_desired(w, d, NSH_OCCASION_START);
    run(w);
    damage(w);
    return w;
}

/* As the daemon does it: what can't be loaded or taken on changes nothing. */
static void reload_once(struct world *w, const char *text)
{
    struct nsh_desired *d = NULL;

    if (load(text, &d) == 0 && nsh_reconciler_set(w->r, d, NSH_OCCASION_RELOAD) < 0)
        nsh_desired_free(d);
}

static void work(struct world *w)
{
    nsh_reconciler_poll(w->r);
    for (unsigned n = 0; n < RW_RUNS_MAX && nsh_reconciler_due(w->r); n++)
        nsh_reconciler_run(w->r);
}

static void come_to_rest(struct world *w)
{
    struct nsh_desired *d = NULL;

    assert_int_equal(load(AFTER, &d), 0);
    want_desired(w, d, NSH_OCCASION_RELOAD);
    run(w);
    pass_time(w, 60 * SECOND);
    resync(w);
    poll_tables(w);
    assert_stable(w);
    assert_foreign(w);
}

static void fail_work(const char *wanted, bool and_all_after)
{
    for (unsigned long n = 1;; n += stride()) {
        struct world *w = world_at_work();
        nsh_autofree char *end = NULL;
        bool enough;

        arm(n, and_all_after);
        reload_once(w, AFTER);
        work(w);
        enough = !disarm();
        read_events(w);
        assert_foreign(w);
        come_to_rest(w);
        end = snapshot(w);
        if (strcmp(end, wanted) != 0) {
            fprintf(stderr, "%sinstead of\n%s", end, wanted);
            fail_msg("allocation %lu%s", n, and_all_after ? " and all after it" : "");
        }
        rw_free(w);
        if (enough)
            return;
    }
}

static void test_a_reload_and_a_repair_fail(void **state)
{
    struct world *w = world_at_work();
    nsh_autofree char *wanted = NULL;

    (void)state;
    come_to_rest(w);
    wanted = snapshot(w);
    rw_free(w);
    fail_work(wanted, false);
    fail_work(wanted, true);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_a_load_fails),
            rw_test(test_a_reload_and_a_repair_fail),
    };

    rw_leave_the_network();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
