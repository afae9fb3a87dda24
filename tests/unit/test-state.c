/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-event.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "reload.h"
#include "state.h"

static char base[64], directory[80];

static const char *path_of(const char *name)
{
    static char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    return path;
}

static void write_file(const char *name, const char *text)
{
    NSH_CLEANUP(fclosep) FILE *f = fopen(path_of(name), "we");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
}

/* The content of a file, "(none)" when there is none. */
static const char *content(const char *name)
{
    static char text[4096];
    NSH_CLEANUP(fclosep) FILE *f = fopen(path_of(name), "re");

    if (!f)
        return "(none)";
    text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
    return text;
}

/* The list of sysctls without its first line, which has to be of this boot and namespace. */
static const char *sysctls(void)
{
    const char *text = content("sysctls"), *end = strchr(text, '\n');

    assert_memory_equal(text, "boot ", 5);
    assert_non_null(end);
    return end + 1;
}

static const char *head(void)
{
    static char line[160];
    char boot[64] = "";
    struct stat st;
    NSH_CLEANUP(fclosep) FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

    assert_non_null(f);
    assert_non_null(fgets(boot, sizeof(boot), f));
    boot[strcspn(boot, "\n")] = '\0';
    assert_int_equal(stat("/proc/self/ns/net", &st), 0);
    snprintf(line, sizeof(line), "boot %s at 1 netns %ju\n", boot, (uintmax_t)st.st_ino);
    return line;
}

static int count_files(void)
{
    NSH_CLEANUP(closedirp) DIR *d = opendir(directory);
    int n = 0;

    for (const struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    return n;
}

static int set_up(void **state)
{
    strcpy(base, "/tmp/nsh-state-XXXXXX");
    if (!mkdtemp(base))
        return -1;
    snprintf(directory, sizeof(directory), "%s/state", base);
    return nsh_state_open(directory, (struct nsh_state **)state);
}

static int tear_down(void **state)
{
    DIR *d = opendir(directory);

    nsh_state_free(*state);
    for (const struct dirent *e; d && (e = readdir(d));)
        (void)unlinkat(dirfd(d), e->d_name, 0);
    if (d)
        closedir(d);
    (void)rmdir(directory);
    return rmdir(base);
}

/* ---- the directory ---- */

static void test_directory_is_private(void **state)
{
    struct stat st;
    struct nsh_state *s = NULL;

    (void)state;
    assert_int_equal(stat(directory, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    static const mode_t unsafe[] = {0720, 0702, 0777};
    for (size_t i = 0; i < NSH_ARRAY_SIZE(unsafe); i++) {
        assert_int_equal(chmod(directory, unsafe[i]), 0);
        assert_int_equal(nsh_state_open(directory, &s), -EPERM);
    }
    assert_int_equal(chmod(directory, 0700), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(directory, 65534, 65534), 0);
        assert_int_equal(nsh_state_open(directory, &s), -EPERM);
        assert_int_equal(chown(directory, 0, 0), 0);
    }
    assert_null(s);
    nsh_state_free(NULL);
}

static void test_directory_errors(void **state)
{
    struct nsh_state *s = NULL;
    char path[128];

    (void)state;
    snprintf(path, sizeof(path), "%s/no/such", base);
    assert_int_equal(nsh_state_open(path, &s), -ENOENT);
    write_file("plain", "x");
    assert_int_equal(nsh_state_open(path_of("plain"), &s), -ENOTDIR);
    assert_null(s);
}

/* Leftovers go when nobody else writes there; else they may be another's work. */
static void test_leftovers(void **state)
{
    struct nsh_state *second = NULL;

    write_file("accepted.1.0.tmp", "half");
    write_file("sysctls", "");
    write_file("tmp", "no leftover");
    assert_int_equal(nsh_state_open(directory, &second), -EBUSY);
    assert_null(second);
    assert_int_equal(nsh_state_open_reader(directory, &second), 0);
    assert_string_equal(content("accepted.1.0.tmp"), "half");
    nsh_state_free(second);
    nsh_state_free(*state);
    *state = NULL;
    assert_int_equal(nsh_state_open(directory, (struct nsh_state **)state), 0);
    assert_string_equal(content("accepted.1.0.tmp"), "(none)");
    assert_string_equal(content("tmp"), "no leftover");
    assert_string_equal(content("sysctls"), "");
}

/* ---- the archive ---- */

static void archive(struct nsh_state *s, const char *text)
{
    nsh_autoclose int fd = nsh_state_archive_begin(s);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(nsh_state_archive_store(s, NSH_ARCHIVE_ACCEPTED, fd), 0);
}

static void test_archive(void **state)
{
    struct nsh_state *s = *state;
    char text[32] = "";
    struct stat st;

    assert_int_equal(nsh_state_archive_open(s, NSH_ARCHIVE_ACCEPTED), -ENOENT);
    archive(s, "the first");
    archive(s, "the second");
    assert_string_equal(content("accepted"), "the second");
    assert_int_equal(count_files(), 1);
    assert_int_equal(stat(path_of("accepted"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    nsh_autoclose int fd = nsh_state_archive_open(s, NSH_ARCHIVE_ACCEPTED);
    assert_true(fd >= 0);
    archive(s, "the third"); /* the reader keeps what it has opened */
    assert_int_equal(read(fd, text, sizeof(text)), 10);
    assert_string_equal(text, "the second");
}

static void test_archive_dropped(void **state)
{
    struct nsh_state *s = *state;
    int fd;

    archive(s, "kept");
    fd = nsh_state_archive_begin(s);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "bad", 3), 3);
    close(fd);
    assert_string_equal(content("accepted"), "kept");
    assert_int_equal(count_files(), 1);
}

/* A file that can get no name again, as where O_TMPFILE does not exist: its content is copied. */
static void test_archive_copied(void **state)
{
    struct nsh_state *s = *state;
    int fd = open(path_of("x"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(unlink(path_of("x")), 0);
    assert_int_equal(write(fd, "copied", 6), 6);
    assert_int_equal(nsh_state_archive_store(s, NSH_ARCHIVE_ACCEPTED, fd), 0);
    close(fd);
    assert_string_equal(content("accepted"), "copied");
    assert_int_equal(count_files(), 1);
}

static void test_archive_not_a_file(void **state)
{
    struct nsh_state *s = *state;

    assert_int_equal(mkfifo(path_of("accepted"), 0600), 0);
    assert_int_equal(nsh_state_archive_open(s, NSH_ARCHIVE_ACCEPTED), -EBADMSG);
    assert_int_equal(unlink(path_of("accepted")), 0);
    assert_int_equal(symlink("/etc/passwd", path_of("accepted")), 0);
    assert_int_equal(nsh_state_archive_open(s, NSH_ARCHIVE_ACCEPTED), -EBADMSG);
    archive(s, "replaces the link, not what it leads to");
    assert_string_equal(content("accepted"), "replaces the link, not what it leads to");
}

static void *save_archives(void *s)
{
    for (int i = 0; i < 100; i++) {
        nsh_autoclose int fd = nsh_state_archive_begin(s);

        if (fd < 0 || write(fd, "threaded", 8) != 8 ||
                nsh_state_archive_store(s, NSH_ARCHIVE_ACCEPTED, fd) < 0)
            return (void *)1;
    }
    return NULL;
}

/* All at once, as when a reload runs in its thread. */
static void test_threads(void **state)
{
    const struct nsh_sysctl_before one = {.key = "net/a", .before = 1, .ours = 2};
    struct nsh_state *s = *state;
    pthread_t threads[2];

    for (size_t i = 0; i < NSH_ARRAY_SIZE(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, save_archives, s), 0);
    for (int i = 0; i < 20; i++)
        assert_int_equal(nsh_state_sysctls_save(s, &one, 1), 0);
    for (size_t i = 0; i < NSH_ARRAY_SIZE(threads); i++) {
        void *failed;

        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    assert_string_equal(content("accepted"), "threaded");
    assert_string_equal(sysctls(), "net/a 1 2\n");
    assert_int_equal(count_files(), 2);
}

/* ---- sysctls ---- */

static void test_sysctls(void **state)
{
    static const struct nsh_sysctl_before list[] = {
            {"net/ipv4/ip_forward", 0, 1},
            {"net/ipv6/conf/eth0.100/accept_ra", -1, 2},
            {"net/ipv6/conf/\xc3\xa9/forwarding", INT_MIN, INT_MAX},
    };
    struct nsh_state *s = *state;
    struct nsh_sysctl_before *got = NULL;
    size_t n = 99;

    assert_int_equal(nsh_state_sysctls_load(s, &got, &n), 0);
    assert_int_equal(n, 0);
    free(got);
    assert_int_equal(nsh_state_sysctls_save(s, list, NSH_ARRAY_SIZE(list)), 0);
    assert_string_equal(sysctls(), "net/ipv4/ip_forward 0 1\n"
                                   "net/ipv6/conf/eth0.100/accept_ra -1 2\n"
                                   "net/ipv6/conf/\xc3\xa9/forwarding -2147483648 "
                                   "2147483647\n");
    assert_int_equal(nsh_state_sysctls_load(s, &got, &n), 0);
    assert_int_equal(n, NSH_ARRAY_SIZE(list));
    assert_memory_equal(got, list, sizeof(list));
    free(got);
    assert_int_equal(nsh_state_sysctls_save(s, NULL, 0), 0);
    assert_int_equal(nsh_state_sysctls_load(s, &got, &n), 0);
    assert_int_equal(n, 0);
    free(got);
}

static void test_sysctls_most(void **state)
{
    struct nsh_state *s = *state;
    nsh_autofree struct nsh_sysctl_before *list = calloc(NSH_SYSCTLS_MAX + 1, sizeof(*list));
    struct nsh_sysctl_before *got = NULL;
    size_t n = 0;

    assert_non_null(list);
    for (size_t i = 0; i <= NSH_SYSCTLS_MAX; i++) {
        list[i].before = list[i].ours = INT_MIN;
        snprintf(list[i].key, sizeof(list[i].key), "net/%0123zu", i); /* 127, the longest */
    }
    assert_int_equal(nsh_state_sysctls_save(s, list, NSH_SYSCTLS_MAX + 1), -E2BIG);
    assert_int_equal(nsh_state_sysctls_save(s, list, NSH_SYSCTLS_MAX), 0);
    assert_int_equal(nsh_state_sysctls_load(s, &got, &n), 0);
    assert_int_equal(n, NSH_SYSCTLS_MAX);
    assert_memory_equal(got, list, n * sizeof(*got));
    free(got);
}

static void test_sysctls_rubbish(void **state)
{
    static const char *const bad[] = {
            "net/a 1",
            "net/a 1 2",
            "net/a 1 2\n\n",
            "\n",
            "net/a  1 2\n",
            "net/a 1 2 \n",
            "net/a 1 2 3\n",
            "net/a 01 2\n",
            "net/a +1 2\n",
            "net/a -0 2\n",
            "net/a - 2\n",
            "net/a 0x1 2\n",
            "net/a 2147483648 2\n",
            "net/a 99999999999999999999 2\n",
            "net/a 1 2\r\n",
            "kernel/core_pattern 1 2\n",
            "net/../kernel/x 1 2\n",
            "net/./x 1 2\n",
            "net//x 1 2\n",
            "net/x/ 1 2\n",
            "net/x/.. 1 2\n",
            "net/ 1 2\n",
            "/net/x 1 2\n",
            "net/a\x1b 1 2\n",
            "net/"
            "0123456789012345678901234567890123456789012345678901234567890123456789"
            "0123456789012345678901234567890123456789012345678901234 1 2\n",
    };
    struct nsh_state *s = *state;
    struct nsh_sysctl_before *got = NULL;
    size_t n = 7;

    for (size_t i = 0; i < NSH_ARRAY_SIZE(bad); i++) {
        char text[512];
        snprintf(text, sizeof(text), "%s%s", head(), bad[i]);
        write_file("sysctls", text);
        int e = nsh_state_sysctls_load(s, &got, &n);
        if (e != -EBADMSG)
            fail_msg("%s: %d", bad[i], e);
    }
    assert_null(got);
    assert_int_equal(n, 7);
}

/* What was switched before a reboot, or elsewhere, is not ours to give back. */
static void test_sysctls_of_another_boot(void **state)
{
    static const char other_id[] = "00000000-0000-0000-0000-000000000000";
    const char *netns = strstr(head(), "netns ");
    struct nsh_state *s = *state;
    struct timespec real, up;
    char texts[4][256];

    assert_int_equal(clock_gettime(CLOCK_REALTIME, &real), 0);
    assert_int_equal(clock_gettime(CLOCK_BOOTTIME, &up), 0);
    snprintf(texts[0], sizeof(texts[0]), "boot %s at 1 %snet/a 1 2\n", other_id, netns);
    snprintf(texts[1], sizeof(texts[1]), "%.*snetns 1\nnet/a 1 2\n", (int)(netns - head()), head());
    snprintf(texts[2], sizeof(texts[2]), "boot %s at 1 %srubbish\n", other_id, netns);
    /* Another id, but the very same time: a container's sandbox. */
    snprintf(texts[3], sizeof(texts[3]), "boot %s at %jd %snet/a 1 2\n", other_id,
            (intmax_t)(real.tv_sec - up.tv_sec + 2), netns);
    for (size_t i = 0; i < NSH_ARRAY_SIZE(texts); i++) {
        struct nsh_sysctl_before *got = NULL;
        size_t n = 7;

        write_file("sysctls", texts[i]);
        assert_int_equal(nsh_state_sysctls_load(s, &got, &n), 0);
        assert_int_equal(n, i == 3 && access("/run/systemd/container", F_OK) == 0);
        free(got);
    }
    write_file("sysctls", "net/a 1 2\n"); /* no first line at all */
    assert_int_equal(
            nsh_state_sysctls_load(s, &(struct nsh_sysctl_before *){NULL}, &(size_t){0}), -EBADMSG);
}

/* A NUL would hide what follows it; a huge file would fill memory. */
static void test_sysctls_hostile(void **state)
{
    static const char nul[] = "net/a 1 2\n\0net/b";
    struct nsh_state *s = *state;
    struct nsh_sysctl_before *got = NULL;
    size_t n;
    int fd = open(path_of("sysctls"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    assert_int_equal(write(fd, nul, sizeof(nul)), sizeof(nul));
    assert_int_equal(nsh_state_sysctls_load(s, &got, &n), -EBADMSG);
    assert_int_equal(ftruncate(fd, 1LL << 40), 0);
    assert_int_equal(nsh_state_sysctls_load(s, &got, &n), -EBADMSG);
    close(fd);
    assert_null(got);
}

static void test_sysctls_not_saved(void **state)
{
    static const struct nsh_sysctl_before good = {"net/a", 1, 2}, bad = {"net/a b", 1, 2};
    struct nsh_state *s = *state;

    assert_int_equal(nsh_state_sysctls_save(s, &good, 1), 0);
    assert_int_equal(nsh_state_sysctls_save(s, &bad, 1), -EINVAL);
    assert_string_equal(sysctls(), "net/a 1 2\n");
    assert_int_equal(count_files(), 1);
}

/* ---- the protocol ---- */

static void test_protocol(void **state)
{
    static const char *const bad[] = {"", "110", "0\n", "256\n", "-1\n", "110\n\n", "x\n", "110 \n",
            "0110\n", "11000000000\n"};
    struct nsh_state *s = *state;
    uint8_t protocol = 7;

    assert_int_equal(nsh_state_protocol_load(s, &protocol), -ENOENT);
    assert_int_equal(nsh_state_protocol_save(s, 0), -EINVAL);
    for (size_t i = 0; i < NSH_ARRAY_SIZE(bad); i++) {
        write_file("protocol", bad[i]);
        assert_int_equal(nsh_state_protocol_load(s, &protocol), -EBADMSG);
    }
    assert_int_equal(protocol, 7);
    assert_int_equal(nsh_state_protocol_save(s, 255), 0);
    assert_int_equal(nsh_state_protocol_load(s, &protocol), 0);
    assert_int_equal(protocol, 255);
    assert_string_equal(content("protocol"), "255\n");
}

/* ---- trials ---- */

static void store_tried(struct nsh_state *s, const char *text)
{
    nsh_autoclose int fd = nsh_state_archive_begin(s);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_false(nsh_state_archive_same(s, NSH_ARCHIVE_TRIED_A, fd));
    assert_int_equal(nsh_state_archive_store(s, NSH_ARCHIVE_TRIED_A, fd), 0);
    assert_true(nsh_state_archive_same(s, NSH_ARCHIVE_TRIED_A, fd));
    assert_int_equal(write(fd, "x", 1), 1);
    assert_int_equal(ftruncate(fd, (off_t)strlen(text)), 0);
}

static void test_trial(void **state)
{
    const struct nsh_trial running = {
            .until = 1795753683657108, .timeout = 3000000, .archive = NSH_ARCHIVE_TRIED_A};
    const struct nsh_trial over = {
            .reverted = true, .until = 7, .timeout = 8, .archive = NSH_ARCHIVE_TRIED_A};
    struct nsh_trial t = {.until = 1};
    struct nsh_state *s = *state;

    assert_int_equal(nsh_state_trial_load(s, &t), -ENOENT);
    assert_int_equal(nsh_state_trial_save(s, &running), 0);
    assert_int_equal(nsh_state_trial_load(s, &t), -ENOENT); /* of what? */
    assert_int_equal(t.until, 1);
    archive(s, "before");
    store_tried(s, "tried");
    assert_int_equal(nsh_state_trial_load(s, &t), 0);
    assert_false(t.reverted);
    assert_int_equal(t.until, running.until);
    assert_int_equal(t.timeout, running.timeout);
    assert_int_equal(nsh_state_trial_save(s, &over), 0);
    assert_int_equal(nsh_state_trial_load(s, &t), 0);
    assert_true(t.reverted);
    assert_string_equal(content("accepted"), "before");
    assert_int_equal(nsh_state_trial_confirm(s, &running), 0);
    assert_string_equal(content("accepted"), "tried");
    assert_int_equal(count_files(), 1);
    assert_int_equal(nsh_state_trial_confirm(s, &running), -ENOENT);
    assert_string_equal(content("accepted"), "tried");
    store_tried(s, "another");
    assert_int_equal(nsh_state_trial_save(s, &running), 0);
    assert_int_equal(nsh_state_trial_forget(s), 0);
    assert_int_equal(nsh_state_trial_forget(s), 0);
    assert_int_equal(count_files(), 1);
}

static void test_trial_rubbish(void **state)
{
    static const char *const texts[] = {"", "running", "running 1", "running 1 2", "perhaps 1 2\n",
            "running 1 2 tried-a", "running 1 2 tried-a\nmore", "running x 2 tried-a\n",
            "reverted 1 2 accepted\n"};
    struct nsh_trial t;

    store_tried(*state, "tried");
    for (size_t i = 0; i < NSH_ARRAY_SIZE(texts); i++) {
        write_file("trial", texts[i]);
        assert_int_equal(nsh_state_trial_load(*state, &t), -EBADMSG);
    }
    write_file("trial", "reverted 1 2 tried-a\n");
    assert_int_equal(nsh_state_trial_load(*state, &t), 0);
}

/* ---- what is to be tried ---- */

static void take_verdict(void *userdata, struct nsh_loaded *l)
{
    *(char **)userdata = l->diags ? nsh_diags_format(l->diags) : strdup("");
    nsh_loaded_done(l);
}

/* A device has no end. */
static void test_tried_is_regular(void **state)
{
    NSH_CLEANUP(sd_event_unrefp) sd_event *event = NULL;
    struct nsh_load_request request = {.what = NSH_LOAD_TRIED, .trial = 60000000};
    struct nsh_loader *loader = NULL;
    nsh_autofree char *told = NULL;

    request.fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    assert_true(sd_event_new(&event) >= 0);
    assert_int_equal(
            nsh_loader_new(event, path_of("none.yaml"), *state, take_verdict, &told, &loader), 0);
    assert_int_equal(nsh_loader_start(loader, &request), 0);
    while (!told)
        assert_true(sd_event_run(event, UINT64_MAX) >= 0);
    assert_non_null(strstr(told, "no regular file"));
    nsh_loader_free(loader);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
            TEST(test_directory_is_private),
            TEST(test_directory_errors),
            TEST(test_leftovers),
            TEST(test_archive),
            TEST(test_archive_dropped),
            TEST(test_archive_copied),
            TEST(test_archive_not_a_file),
            TEST(test_threads),
            TEST(test_sysctls),
            TEST(test_sysctls_most),
            TEST(test_sysctls_rubbish),
            TEST(test_sysctls_of_another_boot),
            TEST(test_sysctls_hostile),
            TEST(test_sysctls_not_saved),
            TEST(test_protocol),
            TEST(test_trial),
            TEST(test_trial_rubbish),
            TEST(test_tried_is_regular),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
