/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fixtures: each tests/data/config/{good,bad}/X.yaml (with its X.d) is loaded, and what came of it,
 * or every error word for word, is compared with X.expected beside it. With NSH_TEST_UPDATE set
 * the expected files are written instead: look at the difference then.
 *
 * The fixtures are copied to a directory of the test's own, whose owner and mode are known.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cleanup.h"
#include "config-text.h"
#include "config.h"

static char data[PATH_MAX];    /* tests/data/config */
static char scratch[PATH_MAX]; /* the copies */

static char *read_text(const char *path)
{
    NSH_CLEANUP(fclosep) FILE *f = fopen(path, "re");
    char *text = NULL;
    size_t size = 0;

    if (!f)
        return strdup("(no such file)\n");
    if (getdelim(&text, &size, '\0', f) < 0) {
        free(text);
        return strdup("");
    }
    return text;
}

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "we");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void copy_file(const char *from, const char *to)
{
    nsh_autoclose int in = open(from, O_RDONLY | O_CLOEXEC);
    nsh_autoclose int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    char buf[4096];
    ssize_t n;

    assert_true(in >= 0 && out >= 0);
    while ((n = read(in, buf, sizeof(buf))) > 0)
        assert_int_equal(write(out, buf, (size_t)n), n);
    assert_int_equal(n, 0);
}

static void copy_directory(const char *from, const char *to)
{
    NSH_CLEANUP(closedirp) DIR *d = opendir(from);
    const struct dirent *e;

    assert_non_null(d);
    assert_int_equal(mkdir(to, 0700), 0);
    while ((e = readdir(d))) {
        char source[PATH_MAX], target[PATH_MAX];
        struct stat st;

        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        assert_true(snprintf(source, sizeof(source), "%s/%s", from, e->d_name) < PATH_MAX);
        assert_true(snprintf(target, sizeof(target), "%s/%s", to, e->d_name) < PATH_MAX);
        assert_int_equal(stat(source, &st), 0);
        if (S_ISDIR(st.st_mode))
            copy_directory(source, target);
        else
            copy_file(source, target);
    }
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

/* ---- fixtures ---- */

/* Loads `path` and gives the configuration or the errors as text. Also through an archive. */
static char *outcome(const char *path, bool good)
{
    nsh_autoclose int archive = memfd_create("archive", MFD_CLOEXEC);
    struct nsh_config_source source = {
            .path = path, .trust = NSH_TRUST_REQUIRED, .archive_fd = archive};
    struct nsh_diags *d = nsh_diags_new(), *again = nsh_diags_new();
    struct nsh_config *c = NULL, *copy = NULL;
    char *text, *second;
    int r = nsh_config_load(&source, d, &c);

    if (r < 0) {
        assert_null(c);
        text = nsh_diags_format(d);
        if (good)
            fputs(text, stderr);
        assert_int_equal(r, -EINVAL);
    } else {
        text = dump(c);
        assert_int_equal(nsh_config_load_archive(archive, again, &copy), 0);
        second = dump(copy);
        assert_string_equal(second, text);
        free(second);
    }
    assert_int_equal(r == 0, good);
    nsh_config_free(c);
    nsh_config_free(copy);
    nsh_diags_free(d);
    nsh_diags_free(again);
    return text;
}

static void compare(const char *directory, const char *name, bool good)
{
    char path[PATH_MAX], expected[PATH_MAX];
    size_t n = strlen(name) - strlen(".yaml");
    char *seen, *want;

    assert_true(snprintf(path, sizeof(path), "%s", name) < PATH_MAX);
    assert_true(snprintf(expected, sizeof(expected), "%s/%s/%.*s.expected", data, directory, (int)n,
                        name) < PATH_MAX);
    seen = outcome(path, good);
    if (getenv("NSH_TEST_UPDATE"))
        write_text(expected, seen);
    want = read_text(expected);
    if (strcmp(seen, want) != 0)
        fprintf(stderr, "# %s/%s\n", directory, name);
    assert_string_equal(seen, want);
    free(seen);
    free(want);
}

static void compare_all(const char *directory, bool good)
{
    struct dirent **entries;
    char below[PATH_MAX];
    int n, seen = 0;

    assert_true(snprintf(below, sizeof(below), "%s/%s", scratch, directory) < PATH_MAX);
    assert_int_equal(chdir(below), 0);
    n = scandir(".", &entries, NULL, alphasort);
    assert_true(n > 0);
    for (int i = 0; i < n; i++) {
        const char *name = entries[i]->d_name;
        size_t length = strlen(name);

        if (length > 5 && strcmp(name + length - 5, ".yaml") == 0) {
            compare(directory, name, good);
            seen++;
        }
        free(entries[i]);
    }
    free(entries);
    assert_true(seen > 3);
}

static void test_good(void **state)
{
    (void)state;
    compare_all("good", true);
}

static void test_bad(void **state)
{
    (void)state;
    compare_all("bad", false);
}

/* ---- warnings ---- */

/* A rule that comes before those of checks is what its author wants, or not. */
static void test_rule_before_checks(void **state)
{
    static const struct {
        const char *rule;
        size_t warnings;
    } cases[] = {
            {"{to: 198.51.100.0/24, table: main, priority: 9}", 1},
            {"{to: 198.51.100.0/24, table: main, priority: 11}", 0},
            {"{mark: 0x6e000000/0xff000000, table: 100, priority: 9, family: ipv4}", 1},
            {"{mark: 7, table: 100, priority: 9, family: ipv4}", 0},
            {"{mark: 0x6e000000/0xff000000, table: 100, priority: 9, family: ipv6}", 0},
            {"{iif: eth1, table: 100, priority: 9, family: ipv4}", 0},
            {"{iif: lo, table: 100, priority: 9, family: ipv4}", 1},
    };

    (void)state;
    assert_int_equal(chdir(scratch), 0);
    for (size_t i = 0; i < NSH_ARRAY_SIZE(cases); i++) {
        struct nsh_config_source source = {
                .path = "warned.yaml", .trust = NSH_TRUST_REQUIRED, .archive_fd = -1};
        struct nsh_diags *d = nsh_diags_new();
        struct nsh_config *c = NULL;
        nsh_autofree char *text = NULL;

        assert_true(asprintf(&text,
                            "version: 1\nsettings: {check-priority: 10}\nroutes:\n"
                            "  - {to: default, via: 192.0.2.1, check: {ping: 1.1.1.1}}\n"
                            "rules:\n  - %s\n",
                            cases[i].rule) > 0);
        write_text("warned.yaml", text);
        assert_int_equal(chmod("warned.yaml", 0600), 0);
        assert_int_equal(nsh_config_load(&source, d, &c), 0);
        assert_int_equal(nsh_diags_warnings(d), cases[i].warnings);
        nsh_config_free(c);
        nsh_diags_free(d);
    }
}

/* ---- archives ---- */

static int archive_of(const char *path)
{
    int fd = memfd_create("archive", MFD_CLOEXEC);
    struct nsh_config_source source = {.path = path, .trust = NSH_TRUST_WARN, .archive_fd = fd};
    struct nsh_diags *d = nsh_diags_new();
    struct nsh_config *c = NULL;

    assert_int_equal(nsh_config_load(&source, d, &c), 0);
    nsh_config_free(c);
    nsh_diags_free(d);
    return fd;
}

static int load_archive(int fd, char **ret_errors)
{
    struct nsh_diags *d = nsh_diags_new();
    struct nsh_config *c = NULL;
    int r = nsh_config_load_archive(fd, d, &c);

    assert_int_equal(c != NULL, r == 0);
    if (ret_errors)
        *ret_errors = nsh_diags_format(d);
    nsh_config_free(c);
    nsh_diags_free(d);
    return r;
}

/* Cut short at any byte it is refused, never half of it taken. */
static void test_archive_cut(void **state)
{
    nsh_autoclose int fd = -1;
    off_t size;

    (void)state;
    assert_int_equal(chdir(scratch), 0);
    fd = archive_of("good/lists.yaml");
    size = lseek(fd, 0, SEEK_END);
    assert_int_equal(load_archive(fd, NULL), 0);
    for (off_t n = size - 1; n >= 0; n--) {
        assert_int_equal(ftruncate(fd, n), 0);
        assert_int_equal(load_archive(fd, NULL), -EBADMSG);
    }
}

static void test_archive_rubbish(void **state)
{
    static const char *const texts[] = {
            "rubbish",
            "netshared-archive 2\nend\n",
            "netshared-archive 1\nend\n",
            "netshared-archive 1\nfile 99999999999999999999 1 x\nversion: 1\n\nend\n",
            "netshared-archive 1\nfile 00000000000268435457 1 x\nversion: 1\n\nend\n",
            "netshared-archive 1\nfile -------------------- 1 x\nversion: 1\n\nend\n",
            "netshared-archive 1\nfile 00000000000000000011 99999999 x\nversion: 1\n\nend\n",
            "netshared-archive 1\nfile 00000000000000000011 0 \nversion: 1\n\nend\n",
            "netshared-archive 1\nfile 00000000000000000010 1 x\nversion: 1\n\nend\n",
            "netshared-archive 1\nfile -0000000000000000011 1 x\nversion: 1\n\nend\n",
            "netshared-archive 1\nfile 00000000000000000011 1 x\nversion: 1\n\nend\nmore",
    };

    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(texts); i++) {
        nsh_autoclose int fd = memfd_create("archive", MFD_CLOEXEC);
        nsh_autofree char *errors = NULL;

        assert_int_equal(write(fd, texts[i], strlen(texts[i])), strlen(texts[i]));
        assert_int_equal(load_archive(fd, &errors), -EBADMSG);
        assert_string_equal(
                errors, "error: the stored configuration can't be used: it is damaged\n");
    }
}

static void put_file(int fd, const char *path, const char *text)
{
    dprintf(fd, "file %020zu %zu %s\n%s\n", strlen(text), strlen(path), path, text);
}

/* Errors in an archive name the file that was archived and show its line. */
static void test_archive_errors(void **state)
{
    nsh_autoclose int fd = memfd_create("archive", MFD_CLOEXEC);
    nsh_autofree char *errors = NULL;

    (void)state;
    dprintf(fd, "netshared-archive 1\n");
    put_file(fd, "a.yaml", "version: 1\n");
    put_file(fd, "a.d/1.yaml", "routes:\n  - {to: 10.0.0.0/8, via: nobody}\n");
    dprintf(fd, "end\n");
    assert_int_equal(load_archive(fd, &errors), -EINVAL);
    assert_string_equal(errors, "a.d/1.yaml:2:27: error: 'nobody' is not an address\n"
                                "    2 |   - {to: 10.0.0.0/8, via: nobody}\n"
                                "      |                           ^\n"
                                "  hint: write an address; names are not looked up\n");
}

/* The names of tables are kept with what they meant. */
static void test_archive_tables(void **state)
{
    nsh_autoclose int fd = memfd_create("archive", MFD_CLOEXEC);
    struct nsh_diags *d = nsh_diags_new();
    struct nsh_config *c = NULL;

    (void)state;
    dprintf(fd, "netshared-archive 1\n");
    put_file(fd, "a.yaml", "version: 1\nroutes:\n  - {to: 10.0.0.0/8, dev: eth0, table: of-old}\n");
    dprintf(fd, "table 4711 of-old\nend\n");
    assert_int_equal(nsh_config_load_archive(fd, d, &c), 0);
    assert_int_equal(c->n_routes, 1);
    assert_int_equal(c->routes[0].table, 4711);
    nsh_config_free(c);
    nsh_diags_free(d);
}

/* Prefix files are in it as they were, whatever becomes of them. */
static void test_archive_lists(void **state)
{
    struct nsh_diags *d = nsh_diags_new();
    struct nsh_config *c = NULL;
    nsh_autoclose int fd = -1;

    (void)state;
    assert_int_equal(chdir(scratch), 0);
    assert_int_equal(mkdir("lists", 0700), 0);
    write_text("lists/a.yaml", "version: 1\nroutes:\n"
                               "  - {to: {file: list}, type: blackhole}\n"
                               "  - {to: {file: list}, type: throw, table: 7}\n");
    write_text("lists/list", "10.1.0.0/16\n10.2.0.0/16\n");
    fd = archive_of("lists/a.yaml");
    write_text("lists/list", "10.3.0.0/16\nrubbish\n");
    assert_int_equal(nsh_config_load_archive(fd, d, &c), 0);
    assert_int_equal(c->n_routes, 4);
    assert_int_equal(c->routes[0].dst.bytes[1], 1);
    assert_int_equal(c->routes[3].dst.bytes[1], 2);
    nsh_config_free(c);
    nsh_diags_free(d);
}

/* As safe as the configuration itself. */
static void test_list_trust(void **state)
{
    struct nsh_config_source source = {
            .path = "trust/a.yaml", .trust = NSH_TRUST_REQUIRED, .archive_fd = -1};
    struct nsh_diags *d = nsh_diags_new();
    struct nsh_config *c = NULL;

    (void)state;
    assert_int_equal(chdir(scratch), 0);
    assert_int_equal(mkdir("trust", 0700), 0);
    write_text("trust/a.yaml", "version: 1\nroutes:\n  - {to: {file: list}, type: blackhole}\n");
    write_text("trust/list", "10.1.0.0/16\n");
    assert_int_equal(chmod("trust/list", 0666), 0);
    assert_int_equal(nsh_config_load(&source, d, &c), -EINVAL);
    assert_null(c);
    assert_int_equal(nsh_diags_errors(d), 1);
    assert_string_equal(nsh_diags_get(d, 0)->path, "trust/list");
    nsh_diags_free(d);
    d = nsh_diags_new();
    source.trust = NSH_TRUST_WARN;
    assert_int_equal(nsh_config_load(&source, d, &c), 0);
    assert_int_equal(c->n_routes, 1);
    assert_int_equal(nsh_diags_warnings(d), 1);
    nsh_config_free(c);
    nsh_diags_free(d);
}

static void test_list_empty(void **state)
{
    struct nsh_config_source source = {
            .path = "good/lists.yaml", .trust = NSH_TRUST_REQUIRED, .archive_fd = -1};
    struct nsh_diags *d = nsh_diags_new();
    nsh_autofree char *text = NULL;
    struct nsh_config *c = NULL;

    (void)state;
    assert_int_equal(chdir(scratch), 0);
    assert_int_equal(nsh_config_load(&source, d, &c), 0);
    text = nsh_diags_format(d);
    assert_string_equal(text,
            "good/lists/empty.txt: warning: the file holds no prefixes\n"
            "  hint: the route at good/lists.yaml:13 holds nothing because of that\n"
            "good/lists/v4.txt: warning: the file holds no IPv6 prefixes\n"
            "  hint: the route at good/lists.yaml:14 holds nothing because of that\n");
    nsh_config_free(c);
    nsh_diags_free(d);
}

/* What can't be archived can't be the last accepted configuration: an error. */
static void test_archive_full(void **state)
{
    nsh_autoclose int fd = open("/dev/full", O_RDWR | O_CLOEXEC);
    struct nsh_config_source source = {
            .path = "good/routes.yaml", .trust = NSH_TRUST_WARN, .archive_fd = fd};
    struct nsh_diags *d = nsh_diags_new();
    struct nsh_config *c = NULL;

    (void)state;
    assert_int_equal(chdir(scratch), 0);
    assert_int_equal(nsh_config_load(&source, d, &c), -ENOSPC);
    assert_null(c);
    assert_int_equal(nsh_diags_errors(d), 1);
    nsh_diags_free(d);
}

static void test_empty(void **state)
{
    struct nsh_settings settings;
    struct nsh_config *c = NULL;

    (void)state;
    nsh_settings_default(&settings);
    settings.route_protocol = 99;
    assert_int_equal(nsh_config_new_empty(&settings, &c), 0);
    assert_int_equal(c->settings.route_protocol, 99);
    assert_int_equal(c->n_routes + c->n_links + c->n_masquerades, 0);
    nsh_config_free(c);
    nsh_config_free(NULL);
}

static int setup(void **state)
{
    const char *where = getenv("NSH_TEST_DATA");
    char template[] = "/tmp/nsh-test-config-XXXXXX", from[PATH_MAX], to[PATH_MAX];

    (void)state;
    (void)umask(022);
    if (snprintf(from, sizeof(from), "%s/config", where ? where : "tests/data") >= PATH_MAX ||
            !realpath(from, data) || !mkdtemp(template))
        return -1;
    memcpy(scratch, template, sizeof(template));
    for (int i = 0; i < 2; i++) {
        const char *name = i ? "bad" : "good";

        if (snprintf(from, sizeof(from), "%s/%s", data, name) >= PATH_MAX ||
                snprintf(to, sizeof(to), "%s/%s", scratch, name) >= PATH_MAX)
            return -1;
        copy_directory(from, to);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return chdir("/") | nftw(scratch, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_good),
            cmocka_unit_test(test_bad),
            cmocka_unit_test(test_rule_before_checks),
            cmocka_unit_test(test_archive_cut),
            cmocka_unit_test(test_archive_rubbish),
            cmocka_unit_test(test_archive_errors),
            cmocka_unit_test(test_archive_tables),
            cmocka_unit_test(test_archive_lists),
            cmocka_unit_test(test_list_trust),
            cmocka_unit_test(test_list_empty),
            cmocka_unit_test(test_archive_full),
            cmocka_unit_test(test_empty),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
