/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Input that is no configuration at all, or that should not be trusted: a clear error each. And the
 * small readers below the configuration.
 */
#include "config-input.h"

#define ABSENT_HINT \
    "  hint: 'netshared import --output FILE' writes one from what is set up by hand\n"

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
    assert_non_null(strstr(text, "(mode 0620), which is taken with --trust-files only\n"));
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
            cmocka_unit_test(test_advice),
            cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
