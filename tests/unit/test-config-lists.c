/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Prefix files as they are found in the world: with any line ends, lines without end, bytes that
 * are no text; and files that somebody writes to while they are read.
 */
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "cleanup.h"
#include "config.h"
#include "source.h"

#define MANY 60000
#define LONG 10000000
#define MAIN "version: 1\nroutes:\n  - {to: {file: list}, type: blackhole}\n"

/* The tests run in a directory of their own, below a sticky one. */
static char scratch[] = "/tmp/nsh-test-lists-XXXXXX";

static FILE *create(const char *path)
{
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    return file;
}

static void put(const char *path, const void *bytes, size_t n)
{
    FILE *file = create(path);

    assert_int_equal(fwrite(bytes, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
}

#define PUT(path, literal) put((path), literal, sizeof(literal) - 1)

static void fill(FILE *file, char c, size_t n)
{
    nsh_autofree char *block = malloc(n);

    assert_non_null(block);
    memset(block, c, n);
    assert_int_equal(fwrite(block, 1, n, file), n);
}

/* The number of routes; or SIZE_MAX, and the errors in *ret_text, the caller's to free. */
static size_t load(int archive, char **ret_text)
{
    struct nsh_config_source source = {
            .path = "main.yaml", .trust = NSH_TRUST_REQUIRED, .archive_fd = archive};
    struct nsh_diags *d = nsh_diags_new();
    struct nsh_config *c = NULL;
    size_t n = SIZE_MAX;

    if (nsh_config_load(&source, d, &c) == 0)
        n = c->n_routes;
    *ret_text = nsh_diags_format(d);
    nsh_config_free(c);
    nsh_diags_free(d);
    return n;
}

/* With an archive the list is copied first, and read from there. */
static void assert_load(size_t n, const char *words)
{
    nsh_autoclose int archive = open("archive", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int archives[] = {-1, archive};

    for (size_t i = 0; i < NSH_ARRAY_SIZE(archives); i++) {
        nsh_autofree char *text = NULL;
        size_t found = load(archives[i], &text);

        if (found != n || !strstr(text, words))
            fail_msg("%zd routes instead of %zd, and not \"%s\" in:\n%s", (ssize_t)found,
                    (ssize_t)n, words, text);
    }
}

static void test_line_ends(void **state)
{
    (void)state;
    PUT("main.yaml", MAIN);
    PUT("list", "\xef\xbb\xbf"
                "10.0.0.0/8\r\n# c\r\n192.0.2.0/24\r\n\r\n2001:db8::/32");
    assert_load(3, "");
    PUT("list", "10.0.0.0/8\r192.0.2.0/24\r");
    assert_load(2, "");
    PUT("list", "10.0.0.0/8\n\xef\xbb\xbf"
                "192.0.2.0/24\n");
    assert_load(SIZE_MAX, "list:2:1: error: this is not an address or prefix");
    PUT("list", "\n\r\n\r # nothing\n;\n");
    assert_load(0, "the file holds no prefixes");
    PUT("list", "");
    assert_load(0, "the file holds no prefixes");
}

static void test_no_text(void **state)
{
    (void)state;
    PUT("main.yaml", MAIN);
    PUT("list", "10.0.0.0/8\n192.0.2.0/24\0\n");
    assert_load(SIZE_MAX, "list:2:1: error: this is not an address or prefix");
    PUT("list", "1\0000.0.0.0/8\n");
    assert_load(SIZE_MAX, "list:1:1: error: this is not an address or prefix");
    PUT("list", "\xff\xfe"
                "1\0000\0.\0000\0\n\0");
    assert_load(SIZE_MAX, "list:1:1: error: this is not an address or prefix");
    PUT("list", "10.0.0.0/8 10.1.0.0/16\n");
    assert_load(SIZE_MAX, "list:1:1: error: this is not an address or prefix");
}

static void test_long_lines(void **state)
{
    FILE *file;

    (void)state;
    PUT("main.yaml", MAIN);
    file = create("list");
    fputs("10.0.0.0/8\n#", file);
    fill(file, 'x', LONG);
    fputs("\n192.0.2.0/24 ; ", file);
    fill(file, 'y', LONG);
    assert_int_equal(fclose(file), 0);
    assert_load(2, "");
    file = create("list");
    fputs("10.0.0.0/8\n", file);
    fill(file, '1', LONG);
    assert_int_equal(fclose(file), 0);
    assert_load(SIZE_MAX, "list:2:1: error: this is not an address or prefix");
}

/* ---- written to while it is read ---- */

static int appended_fd = -1;

static void append(int signal)
{
    (void)signal;
    if (write(appended_fd, "# more\n", 7) != 7)
        abort();
}

/* Each millisecond somebody adds a line. */
static void begin_appending(const char *path)
{
    struct sigaction action = {.sa_handler = append, .sa_flags = SA_RESTART};
    struct itimerval every = {{0, 1000}, {0, 1000}};

    appended_fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_true(appended_fd >= 0);
    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &every, NULL), 0);
}

static void end_appending(void)
{
    struct itimerval never = {0};

    assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
    signal(SIGALRM, SIG_IGN);
    close(appended_fd);
}

static void put_many(const char *path, const char *head, const char *line_start, const char *end)
{
    FILE *file = create(path);

    fputs(head, file);
    for (unsigned i = 0; i < MANY; i++)
        fprintf(file, "%s10.%u.%u.%u/32%s\n", line_start, i >> 16, i >> 8 & 0xff, i & 0xff, end);
    assert_int_equal(fclose(file), 0);
}

static void test_written_to(void **state)
{
    static const char changed[] = "error: the file was changed while it was read";

    (void)state;
    PUT("main.yaml", MAIN);
    put_many("list", "", "", "");
    begin_appending("list");
    assert_load(SIZE_MAX, changed);
    end_appending();
    assert_load(MANY, "");

    put_many("main.yaml", "version: 1\nroutes:\n", "  - {type: blackhole, to: ", "}");
    begin_appending("main.yaml");
    assert_load(SIZE_MAX, changed);
    end_appending();
    assert_load(MANY, "");
}

/* Another file in its place is no change of this one. */
static void test_replaced(void **state)
{
    nsh_autoclose int fd = -1;
    struct nsh_stamp stamp;

    (void)state;
    PUT("one", "10.0.0.0/8\n");
    PUT("other", "10.0.0.0/9\n");
    fd = open("one", O_RDONLY | O_CLOEXEC);
    assert_int_equal(nsh_stamp_take(fd, &stamp), 0);
    assert_int_equal(rename("other", "one"), 0);
    assert_true(nsh_stamp_holds(&stamp, fd));
}

static int setup(void **state)
{
    (void)state;
    (void)umask(022);
    return mkdtemp(scratch) && chdir(scratch) == 0 ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static int teardown(void **state)
{
    (void)state;
    return chdir("/") | nftw(scratch, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_line_ends),
            cmocka_unit_test(test_no_text),
            cmocka_unit_test(test_long_lines),
            cmocka_unit_test(test_written_to),
            cmocka_unit_test(test_replaced),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
