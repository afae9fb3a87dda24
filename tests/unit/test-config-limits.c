/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Input that is too much of anything: a clear error each, in bounded time and memory.
 */
#include "config-input.h"

/* Peak memory of this process, in KiB. AddressSanitizer keeps what was freed: not measured then. */
static long peak(void)
{
#if defined(__SANITIZE_ADDRESS__)
    return 0;
#endif
    struct rusage usage;

    assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
    return usage.ru_maxrss;
}

/* A file of `size` bytes: `head`, then holes or a byte again and again. */
static void put_large(const char *path, const char *head, size_t size, char fill)
{
    static char chunk[1 << 20];
    nsh_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, head, strlen(head)), strlen(head));
    memset(chunk, fill, sizeof(chunk));
    for (size_t n = strlen(head); n < size; n += sizeof(chunk))
        assert_int_equal(write(fd, chunk, sizeof(chunk)), sizeof(chunk));
}

static void test_long_line(void **state)
{
    char *errors;
    long before = peak();
    int r;

    (void)state;
    put_large("long.yaml", "version: 1\nroutes: ", 100UL << 20, 'x');
    errors = load_as("long.yaml", NSH_TRUST_REQUIRED, &r);
    assert_int_equal(r, -EINVAL);
    assert_non_null(strstr(errors, "long.yaml:2:1: error: the line is longer than 65536 bytes\n"));
    assert_true(strlen(errors) < 400);
    free(errors);
    assert_true(peak() - before < 32L * 1024);
    assert_int_equal(unlink("long.yaml"), 0);
}

static void test_line_limit(void **state)
{
    static char text[NSH_CONFIG_LINE_MAX + 32];
    size_t n = (size_t)sprintf(text, "version: 1\n");

    (void)state;
    memset(text + n, '#', NSH_CONFIG_LINE_MAX);
    text[n + NSH_CONFIG_LINE_MAX] = '\n';
    put("line.yaml", text, n + NSH_CONFIG_LINE_MAX + 1);
    assert_errors("line.yaml", 0, "");
    text[n + NSH_CONFIG_LINE_MAX] = '#';
    put("line.yaml", text, n + NSH_CONFIG_LINE_MAX + 1);
    assert_contains("line.yaml", -EINVAL, "line.yaml:2:1: error: the line is longer than");
}

static void test_large_file(void **state)
{
    (void)state;
    /* Refused at the end of the limit, of which nothing is kept: a hole of NULs is refused at once.
     */
    put_text("large.yaml", "version: 1\n");
    assert_int_equal(truncate("large.yaml", (off_t)NSH_CONFIG_FILE_MAX + 1), 0);
    assert_contains("large.yaml", -EINVAL, "large.yaml: error: the file is larger than 256 MiB");
}

/* A value over many lines grows in memory until it ends. */
static void test_large_value(void **state)
{
    char *text = malloc(40UL << 20);
    size_t n;
    long before = peak();

    (void)state;
    assert_non_null(text);
    n = (size_t)sprintf(text, "version: 1\nroutes: |\n");
    while (n < (39UL << 20))
        n += (size_t)sprintf(text + n, "  %0100d\n", 0);
    put("value.yaml", text, n);
    free(text);
    assert_contains("value.yaml", -EINVAL, "16 MiB without the end of a value");
    assert_true(peak() - before < 160L * 1024);
    assert_int_equal(unlink("value.yaml"), 0);
}

static void test_depth(void **state)
{
    static char text[2 << 20];
    size_t n;

    (void)state;
    n = (size_t)sprintf(text, "version: 1\nroutes: ");
    for (int i = 1; i < 500000; i++)
        n += (size_t)sprintf(text + n, "[%s", i % 1000 ? "" : "\n ");
    put("deep.yaml", text, n);
    assert_contains("deep.yaml", -EINVAL, "nested deeper than 32 levels");

    n = (size_t)sprintf(text, "version: 1\n");
    for (int i = 0; i < 1000; i++)
        n += (size_t)sprintf(text + n, "%*s- \n", i, "");
    put("deep.yaml", text, n);
    assert_contains("deep.yaml", -EINVAL, "error: ");
}

/* Nothing is ever expanded. */
static void test_alias_bomb(void **state)
{
    static char text[1 << 20];
    size_t n = (size_t)sprintf(text, "version: 1\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    long before = peak();

    (void)state;
    for (int i = 1; i < 40; i++) {
        n += (size_t)sprintf(text + n, "a%d: &a%d [", i, i);
        for (int j = 0; j < 10; j++)
            n += (size_t)sprintf(text + n, "%s*a%d", j ? ", " : "", i - 1);
        n += (size_t)sprintf(text + n, "]\n");
    }
    n += (size_t)sprintf(text + n, "routes: *a39\n");
    put("bomb.yaml", text, n);
    assert_contains("bomb.yaml", -EINVAL, "anchors ('&a0') are not allowed");
    assert_contains("bomb.yaml", -EINVAL, "aliases ('*a0') are not allowed");
    assert_true(peak() - before < 16L * 1024);
}

/* As many errors as lines: fifty are shown, all are counted, and memory stays as it is. */
static void test_many_errors(void **state)
{
    nsh_autofree char *text = malloc(16UL << 20);
    size_t n;
    char *errors;
    long before;
    int r;

    (void)state;
    assert_non_null(text);
    n = (size_t)sprintf(text, "version: 1\n");
    for (int i = 0; i < 200000; i++)
        n += (size_t)sprintf(text + n, "unknown-key-%d: x\n", i);
    put("many.yaml", text, n);
    before = peak();
    errors = load_as("many.yaml", NSH_TRUST_REQUIRED, &r);
    assert_int_equal(r, -EINVAL);
    assert_non_null(strstr(errors, "many.yaml:51:1: error: unknown key 'unknown-key-49'"));
    assert_null(strstr(errors, "many.yaml:52"));
    assert_non_null(strstr(errors, "and 199950 more errors\n"));
    free(errors);
    assert_true(peak() - before < 16L * 1024);
}

/* Many routes: sorted, properties and links shared, places kept. */
static void test_many_routes(void **state)
{
    enum { N = 20000 };
    struct nsh_config_source source = {
            .path = "routes.yaml", .trust = NSH_TRUST_REQUIRED, .archive_fd = -1};
    nsh_autofree char *text = malloc(2UL << 20);
    struct nsh_diags *d = nsh_diags_new();
    struct nsh_config *c = NULL;
    uint32_t line;
    size_t n;

    (void)state;
    assert_non_null(text);
    n = (size_t)sprintf(text, "version: 1\nroutes:\n");
    for (unsigned i = 0; i < N; i++) {
        /* In another order than that of the prefixes. */
        unsigned k = i * 7919 % N;

        n += (size_t)sprintf(
                text + n, "- to: 10.%u.%u.0/24\n  via: 192.0.2.%u\n", k >> 8, k & 255, 1 + k % 5);
    }
    put("routes.yaml", text, n);
    assert_int_equal(nsh_config_load(&source, d, &c), 0);
    assert_int_equal(c->n_routes, N);
    assert_int_equal(c->n_links, 5);
    for (unsigned k = 0; k < N; k++) {
        const struct nsh_route *r = &c->routes[k];

        assert_int_equal(r->dst.bytes[1] << 8 | r->dst.bytes[2], k);
        assert_ptr_equal(r->props, c->routes[k % 5].props);
        assert_int_equal(c->links[r->props->nexthops[0].link].gateway.bytes[3],
                r->props->nexthops[0].via.bytes[3]);
        assert_string_equal(nsh_origins_resolve(c->origins, r->origin, &line), "routes.yaml");
        assert_int_equal((line - 3) / 2 * 7919 % N, k);
    }
    nsh_config_free(c);
    nsh_diags_free(d);
}

static void test_policy_size(void **state)
{
    static char text[1 << 20];
    size_t n;

    (void)state;
    for (unsigned extra = 0; extra < 2; extra++) {
        n = (size_t)sprintf(text, "version: 1\nmasquerade:\n- name: big\n  protocol: [tcp, udp]\n"
                                  "  destination-port: [1, 3, 5, 7]\n  log: true\n  out:\n");
        for (unsigned i = 0; i < NSH_POLICY_RULES_MAX / 16 + extra; i++)
            n += (size_t)sprintf(text + n, "  - eth%u\n", i);
        put("big.yaml", text, n);
        if (extra)
            assert_contains(
                    "big.yaml", -EINVAL, "the policy would need 4112 IPv4 rules, more than 4096");
        else
            assert_errors("big.yaml", 0, "");
    }
}

/* A long list is a set, and no matter of rules. */
static void test_list_size(void **state)
{
    const size_t size = 32UL * NSH_PREFIXES_MAX;
    char *text = malloc(size);
    struct nsh_config_source source = {
            .path = "million.yaml", .trust = NSH_TRUST_REQUIRED, .archive_fd = -1};
    struct nsh_diags *d = nsh_diags_new();
    struct nsh_config *c = NULL;
    size_t n = 0;

    (void)state;
    for (unsigned i = 0; i < NSH_PREFIXES_MAX; i++)
        n += (size_t)sprintf(text + n, "10.%u.%u.%u\n", i >> 16, i >> 8 & 255, i & 255);
    put("million.txt", text, n);
    put_text("million.yaml", "version: 1\nmasquerade:\n"
                             "- {name: big, out: a, from: {file: million.txt}}\n");
    assert_int_equal(nsh_config_load(&source, d, &c), 0);
    assert_int_equal(c->masquerades[0].from.n, NSH_PREFIXES_MAX);
    nsh_config_free(c);
    nsh_diags_free(d);
    n += (size_t)sprintf(text + n, "192.0.2.1\n");
    put("million.txt", text, n);
    assert_contains("million.yaml", -EINVAL, "more than 1000000 prefixes in one list");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_long_line),
            cmocka_unit_test(test_line_limit),
            cmocka_unit_test(test_large_file),
            cmocka_unit_test(test_large_value),
            cmocka_unit_test(test_depth),
            cmocka_unit_test(test_alias_bomb),
            cmocka_unit_test(test_many_errors),
            cmocka_unit_test(test_many_routes),
            cmocka_unit_test(test_policy_size),
            cmocka_unit_test(test_list_size),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
