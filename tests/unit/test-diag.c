/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "diag.h"

static int file_with(const char *text, size_t n)
{
    int fd = memfd_create("test", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, n), n);
    return fd;
}

static void assert_format(const struct nsh_diags *d, const char *want)
{
    char *text = nsh_diags_format(d);

    assert_string_equal(text, want);
    free(text);
}

static void attach(struct nsh_diags *d, const char *path, const char *text)
{
    int fd = file_with(text, strlen(text));

    nsh_diags_attach_source(d, path, fd);
    close(fd);
}

static void test_print(void **state)
{
    struct nsh_diags *d = nsh_diags_new();

    (void)state;
    nsh_diag_add(d, NSH_DIAG_ERROR, "/etc/netshared.yaml", 3, 9, "write 10.0.0.0/24",
            "%s has host bits set", "10.0.0.1/24");
    nsh_diag_add(d, NSH_DIAG_WARNING, "/etc/netshared.yaml", 0, 0, NULL, "all of it");
    nsh_diag_add(d, NSH_DIAG_ERROR, NULL, 0, 0, NULL, "no file");
    nsh_diag_add(d, NSH_DIAG_ERROR, "/etc/netshared.yaml", 2, 0, NULL, "the line");
    attach(d, "/etc/other.yaml", "a\nb\nc\n");
    attach(d, "/etc/netshared.yaml", "version: 1\r\nroutes:\n  - to: 10.0.0.1/24");
    assert_format(d, "/etc/netshared.yaml: warning: all of it\n"
                     "/etc/netshared.yaml:2:1: error: the line\n"
                     "    2 | routes:\n"
                     "      | ^\n"
                     "/etc/netshared.yaml:3:9: error: 10.0.0.1/24 has host bits set\n"
                     "    3 |   - to: 10.0.0.1/24\n"
                     "      |         ^\n"
                     "  hint: write 10.0.0.0/24\n"
                     "error: no file\n");
    assert_int_equal(nsh_diags_errors(d), 3);
    assert_int_equal(nsh_diags_warnings(d), 1);
    assert_int_equal(nsh_diags_count(d), 4);
    assert_null(nsh_diags_get(d, 4));
    nsh_diags_free(d);
    nsh_diags_free(NULL);
}

/* The caret stands below the character that is meant, whatever is shown in front of it. */
static void test_caret(void **state)
{
    struct nsh_diags *d = nsh_diags_new();

    (void)state;
    nsh_diag_add(d, NSH_DIAG_ERROR, "f", 1, 4, NULL, "tab");
    nsh_diag_add(d, NSH_DIAG_ERROR, "f", 2, 4, NULL, "umlaut");
    nsh_diag_add(d, NSH_DIAG_ERROR, "f", 3, 3, NULL, "escape");
    nsh_diag_add(d, NSH_DIAG_ERROR, "f", 4, 3, NULL, "end");
    nsh_diag_add(d, NSH_DIAG_ERROR, "f", 5, 1, NULL, "empty");
    attach(d, "f", "\t\txyz\n\xc3\xa4\xc3\xb6\xc3\xbcx\n\x1b[x\nab\n\nz\n");
    assert_format(d, "f:1:4: error: tab\n    1 | \\t\\txyz\n      |      ^\n"
                     "f:2:4: error: umlaut\n    2 | \xc3\xa4\xc3\xb6\xc3\xbcx\n      |    ^\n"
                     "f:3:3: error: escape\n    3 | \\x1b[x\n      |      ^\n"
                     "f:4:3: error: end\n    4 | ab\n      |   ^\n"
                     "f:5:1: error: empty\n    5 |\n      | ^\n");
    nsh_diags_free(d);
}

static void test_long_line(void **state)
{
    struct nsh_diags *d = nsh_diags_new();
    char line[1000];
    const struct nsh_diag *diag;
    char *text, *caret;

    (void)state;
    memset(line, 'a', sizeof(line));
    line[499] = 'B';
    line[sizeof(line) - 1] = '\0';
    nsh_diag_add(d, NSH_DIAG_ERROR, "f", 1, 500, NULL, "far");
    nsh_diag_add(d, NSH_DIAG_ERROR, "f", 1, 1, NULL, "near");
    attach(d, "f", line);
    for (size_t i = 0; i < 2; i++) {
        diag = nsh_diags_get(d, i);
        assert_in_range(strlen(diag->source), 50, 110);
    }
    /* The B is still there, with the caret below. */
    text = nsh_diags_format(d);
    caret = strchr(text, '^');
    assert_non_null(strstr(text, "..."));
    assert_int_equal(
            strcspn(strchr(text, '\n') + 1, "B"), (size_t)(caret - (strstr(text, "      |"))));
    free(text);
    nsh_diags_free(d);
}

static void test_limit(void **state)
{
    struct nsh_diags *d = nsh_diags_new();
    char *text;

    (void)state;
    for (uint32_t i = 0; i < 60; i++)
        nsh_diag_add(d, NSH_DIAG_ERROR, "f", i + 1, 0, NULL, "e%u.", i);
    nsh_diag_add(d, NSH_DIAG_WARNING, "f", 1, 0, NULL, "still seen");
    assert_int_equal(nsh_diags_errors(d), 60);
    assert_int_equal(nsh_diags_count(d), NSH_DIAG_MAX + 1);
    text = nsh_diags_format(d);
    assert_non_null(strstr(text, "e49.\n"));
    assert_null(strstr(text, "e50.\n"));
    assert_non_null(strstr(text, "still seen\n"));
    assert_non_null(strstr(text, "and 10 more errors\n"));
    free(text);
    nsh_diag_add(d, NSH_DIAG_ERROR, "f", 0, 0, NULL, "all of it");
    assert_int_equal(nsh_diags_count(d), NSH_DIAG_MAX + 1);
    text = nsh_diags_format(d);
    assert_non_null(strstr(text, "f: error: all of it\n"));
    assert_null(strstr(text, "e49.\n"));
    assert_non_null(strstr(text, "and 11 more errors\n"));
    free(text);
    nsh_diags_free(d);
}

static const struct {
    const char *text;
    size_t size;
    const char *shown;
} printables[] = {
        {"plain", 32, "plain"},
        {"\x1b[31mred", 32, "\\x1b[31mred"},
        {"a\nb\tc\x7f", 32, "a\\x0ab\\x09c\\x7f"},
        {"\xc3\xa4", 32, "\xc3\xa4"},
        {"\xc3", 32, "\\xc3"},
        {"\xff\xfe", 32, "\\xff\\xfe"},
        {"\xc0\xaf", 32, "\\xc0\\xaf"},          /* overlong */
        {"\xed\xa0\x80", 32, "\\xed\\xa0\\x80"}, /* a surrogate */
        {"\xe2\x80\xae", 32, "\\xe2\\x80\\xae"}, /* turns the direction of text */
        {"\xc2\x9b", 32, "\\xc2\\x9b"},          /* CSI */
        {"1234567", 8, "1234567"},
        {"12345678", 8, "1234..."},
        {"1234\x1b", 8, "1234..."},
        {"12\xe2\x82\xac\xe2\x82\xac", 8, "12..."},
        {"1234", 3, ".."},
        {"1", 1, ""},
};

static void test_printable(void **state)
{
    char buf[32];

    (void)state;
    for (size_t i = 0; i < sizeof(printables) / sizeof(printables[0]); i++)
        assert_string_equal(nsh_printable(printables[i].text, strlen(printables[i].text), buf,
                                    printables[i].size),
                printables[i].shown);
    assert_string_equal(nsh_printable("a\0b", 3, buf, sizeof(buf)), "a\\x00b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_print),
            cmocka_unit_test(test_caret),
            cmocka_unit_test(test_long_line),
            cmocka_unit_test(test_limit),
            cmocka_unit_test(test_printable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
