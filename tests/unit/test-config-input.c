/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Input that is no configuration at all, or that should not be trusted: a clear error each, in
 * bounded time and memory. And the small readers below the configuration.
 */
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
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cleanup.h"
#include "config-names.h"
#include "config.h"

#define ABSENT_HINT \
    "  hint: 'netshared import --output FILE' writes one from what is set up by hand\n"

/* The tests run in a directory of their own, below a sticky one. */
static char scratch[] = "/tmp/nsh-test-input-XXXXXX";

static void put(const char *path, const void *bytes, size_t n)
{
    nsh_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    while (n > 0) {
        ssize_t wrote = write(fd, bytes, n);

        assert_true(wrote > 0);
        bytes = (const char *)bytes + wrote;
        n -= (size_t)wrote;
    }
}

static void put_text(const char *path, const char *text)
{
    put(path, text, strlen(text));
}

/* Loads; the errors as text, the caller's to free. */
static char *load_as(const char *path, enum nsh_config_trust trust, int *ret_r)
{
    struct nsh_config_source source = {.path = path, .trust = trust, .archive_fd = -1};
    struct nsh_diags *d = nsh_diags_new();
    struct nsh_config *c = NULL;
    char *text;
    int r = nsh_config_load(&source, d, &c);

    assert_int_equal(c != NULL, r == 0);
    assert_int_equal(nsh_diags_errors(d) > 0, r < 0);
    text = nsh_diags_format(d);
    nsh_config_free(c);
    nsh_diags_free(d);
    *ret_r = r;
    return text;
}

static void assert_errors(const char *path, int want, const char *text)
{
    int r;
    char *errors = load_as(path, NSH_TRUST_REQUIRED, &r);

    assert_string_equal(errors, text);
    assert_int_equal(r, want);
    free(errors);
}

static void assert_contains(const char *path, int want, const char *part)
{
    int r;
    char *errors = load_as(path, NSH_TRUST_REQUIRED, &r);

    if (!strstr(errors, part))
        fprintf(stderr, "# %s", errors);
    assert_non_null(strstr(errors, part));
    assert_int_equal(r, want);
    free(errors);
}

static void test_kinds(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "socket.yaml"};
    nsh_autoclose int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    assert_int_equal(mkdir("directory.yaml", 0700), 0);
    assert_int_equal(mkfifo("fifo.yaml", 0600), 0);
    assert_int_equal(bind(s, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(symlink("/dev/zero", "device.yaml"), 0);
    assert_int_equal(symlink("loop.yaml", "loop.yaml"), 0);
    assert_int_equal(symlink("nowhere", "dangling.yaml"), 0);
    put_text("file", "version: 1\n");

    assert_errors("missing.yaml", -ENOENT,
            "missing.yaml: error: can't be opened: No such file or directory\n" ABSENT_HINT);
}

static void test_kinds_refused(void **state)
{
    (void)state;
    put_text("link.yaml", "version: 1\n");
    assert_int_equal(symlink("nowhere", "link.d"), 0);
    assert_errors(
            "link.yaml", -EINVAL, "link.d: error: can't be opened: No such file or directory\n");
    assert_errors("directory.yaml", -EISDIR,
            "directory.yaml: error: this is a directory, not a regular file\n");
    assert_errors("fifo.yaml", -EINVAL, "fifo.yaml: error: this is a FIFO, not a regular file\n");
    assert_errors(
            "socket.yaml", -EINVAL, "socket.yaml: error: this is a socket, not a regular file\n");
    assert_errors("device.yaml", -EINVAL,
            "device.yaml: error: this is a character device, not a regular file\n");
    assert_errors("loop.yaml", -ELOOP,
            "loop.yaml: error: can't be opened: Too many levels of symbolic links\n");
    assert_errors("dangling.yaml", -ENOENT,
            "dangling.yaml: error: can't be opened: No such file or directory\n" ABSENT_HINT);
    assert_errors(
            "file/x.yaml", -ENOTDIR, "file/x.yaml: error: can't be opened: Not a directory\n");
}

static void test_links(void **state)
{
    char absolute[PATH_MAX];

    (void)state;
    assert_int_equal(mkdir("a", 0700), 0);
    assert_int_equal(mkdir("a/b", 0700), 0);
    put_text("a/real.yaml", "version: 1\n");
    assert_int_equal(symlink("../real.yaml", "a/b/relative.yaml"), 0);
    assert_true(snprintf(absolute, sizeof(absolute), "%s/./a//b/../b/relative.yaml", scratch) > 0);
    assert_int_equal(symlink(absolute, "absolute.yaml"), 0);
    assert_int_equal(symlink("a", "c"), 0);
    assert_errors("a/b/relative.yaml", 0, "");
    assert_errors("absolute.yaml", 0, "");
    assert_errors("c/b/relative.yaml", 0, "");
    assert_errors(absolute, 0, "");
}

static void test_unsafe(void **state)
{
    char want[512];
    char *text;
    int r;

    (void)state;
    put_text("modes.yaml", "version: 1\n");
    assert_int_equal(chmod("modes.yaml", 0620), 0);
    assert_true(snprintf(want, sizeof(want),
                        "modes.yaml: error: the file %s/modes.yaml can be written by others (mode "
                        "0620)\n  hint: chmod go-w '%s/modes.yaml'\n",
                        scratch, scratch) > 0);
    assert_errors("modes.yaml", -EPERM, want);

    text = load_as("modes.yaml", NSH_TRUST_WARN, &r);
    assert_int_equal(r, 0);
    assert_non_null(strstr(text, "warning: the file"));
    free(text);
    assert_int_equal(chmod("modes.yaml", 0640), 0);
    assert_errors("modes.yaml", 0, "");

    assert_int_equal(mkdir("open", 0700), 0);
    assert_int_equal(mkdir("open/below", 0700), 0);
    put_text("open/below/x.yaml", "version: 1\n");
    assert_int_equal(chmod("open", 0777), 0);
    assert_contains("open/below/x.yaml", -EPERM, "open can be written by others (mode 0777)");
    assert_int_equal(chmod("open", 01777), 0);
    assert_errors("open/below/x.yaml", 0, "");

    /* Told once, though it concerns the drop-ins as well. */
    assert_int_equal(mkdir("open/below/x.d", 0700), 0);
    put_text("open/below/x.d/1.yaml", "");
    assert_int_equal(chmod("open/below", 0770), 0);
    text = load_as("open/below/x.yaml", NSH_TRUST_WARN, &r);
    assert_int_equal(r, 0);
    assert_ptr_equal(strstr(text, "warning"), strstr(text, "warning: the directory"));
    assert_null(strstr(strstr(text, "warning") + 1, "warning"));
    free(text);

    /* A drop-in is judged as the main file is. */
    assert_int_equal(chmod("open/below", 0700), 0);
    assert_int_equal(chmod("open/below/x.d/1.yaml", 0606), 0);
    assert_contains("open/below/x.yaml", -EPERM, "x.d/1.yaml can be written by others");
    assert_int_equal(chmod("open/below/x.d/1.yaml", 0600), 0);
    assert_int_equal(chmod("open/below/x.d", 0703), 0);
    assert_contains("open/below/x.yaml", -EPERM, "x.d can be written by others");
}

static void test_owner(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        print_message("# not root: owners are not tested\n");
        return;
    }
    put_text("owned.yaml", "version: 1\n");
    assert_int_equal(chown("owned.yaml", 65534, 65534), 0);
    assert_contains("owned.yaml", -EPERM, "owned.yaml belongs to user 65534");
    assert_int_equal(mkdir("theirs", 0755), 0);
    put_text("theirs/x.yaml", "version: 1\n");
    assert_int_equal(chown("theirs", 65534, 65534), 0);
    assert_contains("theirs/x.yaml", -EPERM, "theirs belongs to user 65534");
    assert_int_equal(symlink("a/real.yaml", "their-link.yaml"), 0);
    assert_int_equal(lchown("their-link.yaml", 65534, 65534), 0);
    assert_contains("their-link.yaml", -EPERM, "the link");
}

static void test_unreadable(void **state)
{
    pid_t child;
    int status;

    (void)state;
    if (geteuid() != 0) {
        print_message("# not root: reading as another user is not tested\n");
        return;
    }
    put_text("secret.yaml", "version: 1\n");
    assert_int_equal(chmod(scratch, 0711), 0);
    child = fork();
    if (child == 0) {
        int r = 0;
        char *text;

        if (setgid(65534) < 0 || setuid(65534) < 0)
            _exit(2);
        text = load_as("secret.yaml", NSH_TRUST_REQUIRED, &r);
        _exit(r == -EACCES && strcmp(text, "secret.yaml: error: can't be opened: Permission "
                                           "denied\n  hint: it is read as user 65534 and group "
                                           "65534: chgrp 65534 'secret.yaml' && chmod g+r "
                                           "'secret.yaml'\n") == 0
                        ? 0
                        : 1);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(chmod(scratch, 0700), 0);
}

static void test_drop_in_directory(void **state)
{
    (void)state;
    put_text("d.yaml", "version: 1\n");
    assert_int_equal(mkdir("d.d", 0700), 0);
    assert_errors("d.yaml", 0, "");
    assert_int_equal(mkdir("d.d/sub.yaml", 0700), 0);
    assert_errors(
            "d.yaml", -EISDIR, "d.d/sub.yaml: error: this is a directory, not a regular file\n");
    assert_int_equal(rmdir("d.d/sub.yaml"), 0);
    assert_int_equal(rmdir("d.d"), 0);
    put_text("d.d", "");
    assert_errors("d.yaml", -ENOTDIR, "d.d: error: this is a file, not a directory\n");
}

static const struct {
    const char *bytes;
    size_t n;
    const char *errors;
} texts[] = {
#define BYTES(s) (s), sizeof(s) - 1
        {BYTES("\x7f"
               "ELF\2\1\1\0\0\0"),
                "b.yaml:1:1: error: the control character U+007F is not allowed\n"
                "    1 | \\x7fELF\\x02\\x01\\x01\\x00\\x00\\x00\n"
                "      | ^\n"},
        {BYTES("version: 1\nroutes:\0\n"), "b.yaml:2:8: error: a NUL byte is not allowed\n"
                                           "    2 | routes:\\x00\n"
                                           "      |        ^\n"
                                           "  hint: is this a text file, saved as UTF-8?\n"},
        {BYTES("version: 1\n# caf\xe9\n"), "b.yaml:2:6: error: invalid UTF-8 (byte 0xe9)\n"
                                           "    2 | # caf\\xe9\n"
                                           "      |      ^\n"
                                           "  hint: save the file as UTF-8\n"},
        {BYTES("version: 1\n# \xc3\xa4 \xff\n"), "b.yaml:2:5: error: invalid UTF-8 (byte 0xff)\n"
                                                 "    2 | # \xc3\xa4 \\xff\n"
                                                 "      |     ^\n"
                                                 "  hint: save the file as UTF-8\n"},
        {BYTES("version: 1\n# \xc0\xaf\n"), "b.yaml:2:3: error: invalid UTF-8 (byte 0xc0)\n"
                                            "    2 | # \\xc0\\xaf\n"
                                            "      |   ^\n"
                                            "  hint: save the file as UTF-8\n"},
        {BYTES("version: 1\n# \xed\xa0\x80\n"), "b.yaml:2:3: error: invalid UTF-8 (byte 0xed)\n"
                                                "    2 | # \\xed\\xa0\\x80\n"
                                                "      |   ^\n"
                                                "  hint: save the file as UTF-8\n"},
        {BYTES("version: 1\n# x\xc3"),
                "b.yaml:2:4: error: the file ends inside of a UTF-8 character\n"
                "    2 | # x\\xc3\n"
                "      |    ^\n"},
        {BYTES("\xff\xfev\0e\0r\0"), "b.yaml:1:1: error: the file is UTF-16 or UTF-32, not UTF-8\n"
                                     "    1 | \\xff\\xfev\\x00e\\x00r\\x00\n"
                                     "      | ^\n"
                                     "  hint: save it as UTF-8\n"},
        {BYTES("version: 1\n# a\xe2\x80\xa8"
               "b\n"),
                "b.yaml:2:4: error: the line separator U+2028 is not allowed\n"
                "    2 | # a\\xe2\\x80\\xa8"
                "b\n"
                "      |    ^\n"
                "  hint: end lines with a line feed\n"},
        {BYTES("version: 1\nroutes:\n  - to: 10.0.0.1/8\n    dev: a\n# \x1b[2J\n"),
                "b.yaml:3:9: error: 10.0.0.1/8 has host bits set\n"
                "    3 |   - to: 10.0.0.1/8\n"
                "      |         ^\n"
                "  hint: write 10.0.0.0/8\n"
                "b.yaml:5:3: error: the control character U+001B is not allowed\n"
                "    5 | # \\x1b[2J\n"
                "      |   ^\n"},
};

static void test_bytes(void **state)
{
    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(texts); i++) {
        put("b.yaml", texts[i].bytes, texts[i].n);
        assert_errors("b.yaml", -EINVAL, texts[i].errors);
    }
    put("b.yaml", BYTES("\xef\xbb\xbf"));
    assert_contains("b.yaml", -EINVAL, "the file is empty");
    put("b.yaml", BYTES("\xef\xbb\xbfversion: 1\r\n# \xf0\x9f\x90\xa7\r"));
    assert_errors("b.yaml", 0, "");
}

/* A character may lie across the border of two reads. */
static void test_split_characters(void **state)
{
    enum { PAD = 16384 * 2 + 8 };
    static char text[PAD * 2 + 64];

    (void)state;
    for (size_t shift = 0; shift < 4; shift++) {
        size_t n = (size_t)sprintf(text, "version: 1\n%.*s", (int)shift, "####");

        while (n < PAD) {
            n += (size_t)sprintf(text + n, "#\xf0\x9f\x90\xa7\xf0\x9f\x90\xa7");
            if (n % 100 < 9)
                text[n++] = '\n';
        }
        text[n++] = '\n';
        put("b.yaml", text, n);
        assert_errors("b.yaml", 0, "");
    }
}

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

/* What is right but unwise is said by `check` alone. */
static void test_advice(void **state)
{
    static const char text[] =
            "version: 1\nmasquerade:\n- {name: off, out: eth0, enabled: false}\n"
            "- {name: a, out: eth0}\n- {name: b, out: eth1}\n"
            "port-forwards:\n- {name: c, in: eth0, protocol: tcp, port: 80, to: 10.0.0.1}\n"
            "- {name: d, in: eth0, protocol: tcp, port: 81, to: 10.0.0.1, from: 10.0.0.0/8}\n"
            "- {name: e, in: eth0, protocol: tcp, port: 82, to: 10.0.0.1, enabled: false}\n";
    static const char leave[] = "settings: {forwarding: leave}\n";
    static const char share[] = "share:\n- {name: s, lan: eth2, wan: [eth0, eth1]}\n";
    nsh_autofree char *quiet = NULL, *said = NULL, *guarded = NULL, *others = NULL, *left = NULL;
    char more[1024];
    int r;

    (void)state;
    put_text("advice.yaml", text);
    quiet = load_as("advice.yaml", NSH_TRUST_WARN, &r);
    assert_string_equal(quiet, "");
    said = load_as("advice.yaml", NSH_TRUST_ADVISE, &r);
    assert_string_equal(said,
            "advice.yaml:4:3: warning: 'a' switches forwarding on, and nothing here keeps "
            "neighbours outside from the networks inside\n"
            "    4 | - {name: a, out: eth0}\n"
            "      |   ^\n"
            "  hint: a 'share' with this device as its 'wan' keeps them out; or filter yourself\n"
            "advice.yaml:5:3: warning: 'b' switches forwarding on, and nothing here keeps "
            "neighbours outside from the networks inside\n"
            "    5 | - {name: b, out: eth1}\n"
            "      |   ^\n"
            "  hint: a 'share' with this device as its 'wan' keeps them out; or filter yourself\n"
            "advice.yaml:7:3: warning: anyone may use 'c'\n"
            "    7 | - {name: c, in: eth0, protocol: tcp, port: 80, to: 10.0.0.1}\n"
            "      |   ^\n"
            "  hint: 'from' says who may\n");
    (void)snprintf(more, sizeof(more), "%s%s", text, share);
    put_text("advice.yaml", more);
    guarded = load_as("advice.yaml", NSH_TRUST_ADVISE, &r);
    assert_null(strstr(guarded, "forwarding"));
    /* Its own LANs alone, that is. */
    (void)snprintf(more, sizeof(more),
            "version: 1\nmasquerade:\n- {name: f, out: eth0, from: "
            "10.9.0.0/16}\n%s",
            share);
    put_text("advice.yaml", more);
    others = load_as("advice.yaml", NSH_TRUST_ADVISE, &r);
    assert_string_equal(others,
            "advice.yaml:3:3: warning: 'f' switches forwarding on, and 's' keeps neighbours "
            "outside from its own LANs alone\n"
            "    3 | - {name: f, out: eth0, from: 10.9.0.0/16}\n"
            "      |   ^\n"
            "  hint: where its addresses are in others: make these a 'lan' of a 'share', or filter "
            "yourself\n");
    (void)snprintf(more, sizeof(more), "%s%s", text, leave);
    put_text("advice.yaml", more);
    left = load_as("advice.yaml", NSH_TRUST_ADVISE, &r);
    assert_null(strstr(left, "forwarding"));
}

static void test_names(void **state)
{
    static const char *const directories[] = {"etc", "absent", "usr", NULL};
    struct nsh_names names = {0};
    static char rubbish[2 << 20];

    (void)state;
    assert_int_equal(mkdir("etc", 0700) | mkdir("usr", 0700), 0);
    assert_int_equal(mkdir("etc/rt_tables.d", 0700) | mkdir("usr/rt_tables.d", 0700), 0);
    put_text("etc/rt_tables",
            "# comment\n\n255 local\n0x64\tblue # hex\n 7 padded\n-1 negative\nx y\n12\n"
            "99999999999 large\n13 #none\n200 unended");
    put_text("etc/rt_tables.d/b.conf", "101 red\n7 again\n");
    put_text("etc/rt_tables.d/b.conf.rpmsave", "102 saved\n");
    put_text("usr/rt_tables", "500 blue\n501 vendor\n");
    assert_int_equal(mkfifo("usr/rt_tables.d/fifo.conf", 0600), 0);
    memset(rubbish, '7', sizeof(rubbish));
    put("usr/rt_tables.d/large.conf", rubbish, sizeof(rubbish));
    assert_int_equal(nsh_names_read(&names, directories, "rt_tables"), 0);
    assert_int_equal(nsh_names_find(&names, "local")->number, 255);
    assert_int_equal(nsh_names_find(&names, "blue")->number, 100);
    assert_int_equal(nsh_names_find(&names, "padded")->number, 7);
    assert_int_equal(nsh_names_find(&names, "red")->number, 101);
    assert_int_equal(nsh_names_find(&names, "vendor")->number, 501);
    assert_int_equal(nsh_names_find(&names, "unended")->number, 200);
    assert_null(nsh_names_find(&names, "negative"));
    assert_null(nsh_names_find(&names, "large"));
    assert_null(nsh_names_find(&names, "saved"));
    assert_null(nsh_names_find(&names, "#none"));
    assert_string_equal(nsh_names_other(&names, 7, "padded"), "again");
    assert_null(nsh_names_other(&names, 101, "red"));
    nsh_names_free(&names);
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
            cmocka_unit_test(test_kinds),
            cmocka_unit_test(test_kinds_refused),
            cmocka_unit_test(test_links),
            cmocka_unit_test(test_unsafe),
            cmocka_unit_test(test_owner),
            cmocka_unit_test(test_unreadable),
            cmocka_unit_test(test_drop_in_directory),
            cmocka_unit_test(test_bytes),
            cmocka_unit_test(test_split_characters),
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
            cmocka_unit_test(test_advice),
            cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
