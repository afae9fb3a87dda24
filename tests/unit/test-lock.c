/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "lock.h"
#include "user.h"

static char base[64], runtime[80];

static const char *lock_path(void)
{
    static char path[PATH_MAX];
    struct stat st;

    assert_int_equal(stat("/proc/self/ns/net", &st), 0);
    snprintf(path, sizeof(path), "%s/netns-%ju.lock", runtime, (uintmax_t)st.st_ino);
    return path;
}

static void write_pid(const char *text)
{
    NSH_CLEANUP(fclosep) FILE *f = fopen(lock_path(), "r+e");

    assert_non_null(f);
    assert_int_equal(ftruncate(fileno(f), 0), 0);
    assert_true(fputs(text, f) >= 0);
}

static int set_up(void **state)
{
    (void)state;
    strcpy(base, "/tmp/nsh-lock-XXXXXX");
    if (!mkdtemp(base))
        return -1;
    snprintf(runtime, sizeof(runtime), "%s/run", base);
    return 0;
}

static int tear_down(void **state)
{
    DIR *d = opendir(runtime);

    (void)state;
    for (const struct dirent *e; d && (e = readdir(d));)
        (void)unlinkat(dirfd(d), e->d_name, 0);
    if (d)
        closedir(d);
    (void)rmdir(runtime);
    return rmdir(base);
}

static void test_taken_and_given_back(void **state)
{
    struct stat st;
    pid_t holder = -1;

    (void)state;
    for (int i = 0; i < 2; i++) {
        char text[16] = "", pid[16];
        int fd = nsh_lock_take(runtime, &holder);

        assert_true(fd >= 0);
        assert_int_equal(holder, -1);
        snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
        assert_true(pread(fd, text, sizeof(text) - 1, 0) > 0);
        assert_string_equal(text, pid);
        close(fd);
    }
    assert_int_equal(stat(runtime, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0755);
    assert_int_equal(stat(lock_path(), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

static void test_second_is_refused(void **state)
{
    static const char *const unknown[] = {"", "0\n", "-5\n", "x\n", "12", "99999999999\n",
            "4194304\n" /* beyond the largest pid */};
    pid_t holder = -1;

    (void)state;
    nsh_autoclose int fd = nsh_lock_take(runtime, &holder);
    assert_true(fd >= 0);
    assert_int_equal(nsh_lock_take(runtime, &holder), -EBUSY);
    assert_int_equal(holder, getpid());
    for (size_t i = 0; i < NSH_ARRAY_SIZE(unknown); i++) {
        write_pid(unknown[i]);
        holder = -1;
        assert_int_equal(nsh_lock_take(runtime, &holder), -EBUSY);
        assert_int_equal(holder, 0);
    }
}

/* Who owns the directory could have us write to a file of somebody else's. */
static void test_file_of_another_name(void **state)
{
    char other[PATH_MAX];
    pid_t holder;

    (void)state;
    nsh_autoclose int fd = nsh_lock_take(runtime, &holder);
    assert_true(fd >= 0);
    close(NSH_TAKE_FD(fd));
    snprintf(other, sizeof(other), "%s/other", runtime);
    assert_int_equal(link(lock_path(), other), 0);
    assert_int_equal(nsh_lock_take(runtime, &holder), -EPERM);
    assert_int_equal(unlink(other), 0);
    fd = nsh_lock_take(runtime, &holder);
    assert_true(fd >= 0);
}

/* What root makes in a directory of the service's user is that user's. */
static void test_handed_over(void **state)
{
    struct stat st;

    (void)state;
    if (geteuid() != 0)
        return;
    assert_int_equal(mkdir(runtime, 0755), 0);
    nsh_autoclose int dir = open(runtime, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    nsh_autoclose int fd = openat(dir, "file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(dir >= 0 && fd >= 0);
    assert_int_equal(nsh_user_hand_over(fd, dir), 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_uid, 0);
    assert_int_equal(chown(runtime, 65534, 65533), 0);
    assert_int_equal(nsh_user_hand_over(fd, dir), 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_uid, 65534);
    assert_int_equal(st.st_gid, 65533);
    assert_true(nsh_user_is_trusted(0));
    assert_false(nsh_user_is_trusted(65534));
}

/* It goes with its holder, however that ends. */
static void test_dies_with_its_holder(void **state)
{
    pid_t holder = -1;
    int ready[2], leash[2];
    char c;

    (void)state;
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(leash), 0);
    pid_t child = fork();
    if (child == 0) {
        close(leash[1]);
        if (nsh_lock_take(runtime, &holder) < 0 || write(ready[1], "!", 1) != 1)
            _exit(1);
        (void)!read(leash[0], &c, 1);
        abort();
    }
    close(leash[0]);
    close(ready[1]);
    assert_int_equal(read(ready[0], &c, 1), 1);
    assert_int_equal(nsh_lock_take(runtime, &holder), -EBUSY);
    assert_int_equal(holder, child);
    close(leash[1]);
    waitpid(child, NULL, 0);
    nsh_autoclose int fd = nsh_lock_take(runtime, &holder);
    assert_true(fd >= 0);
    close(ready[0]);
}

/* Each network namespace has its own lock and socket. */
static void test_one_per_namespace(void **state)
{
    char ours[108], theirs[108];
    pid_t holder = -1;
    int status = 1, ends[2];

    (void)state;
    if (geteuid() != 0)
        return; /* namespaces are root's */
    nsh_autoclose int fd = nsh_lock_take(runtime, &holder);
    assert_true(fd >= 0);
    assert_int_equal(nsh_control_path(runtime, ours), 0);
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        if (unshare(CLONE_NEWNET) < 0 || nsh_lock_take(runtime, &holder) < 0 ||
                nsh_control_path(runtime, theirs) < 0 ||
                write(ends[1], theirs, sizeof(theirs)) != sizeof(theirs))
            _exit(1);
        _exit(0);
    }
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    assert_int_equal(read(ends[0], theirs, sizeof(theirs)), sizeof(theirs));
    assert_string_not_equal(ours, theirs);
    close(ends[0]);
    close(ends[1]);
}

static void test_unsafe_directory(void **state)
{
    pid_t holder = -1;
    char path[128];

    (void)state;
    assert_int_equal(mkdir(runtime, 0700), 0);
    assert_int_equal(chmod(runtime, 0777), 0);
    assert_int_equal(nsh_lock_take(runtime, &holder), -EPERM);
    assert_int_equal(chmod(runtime, 0755), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(runtime, 65534, 0), 0);
        assert_int_equal(nsh_lock_take(runtime, &holder), -EPERM);
        assert_int_equal(chown(runtime, 0, 0), 0);
    }
    assert_int_equal(symlink("/dev/null", lock_path()), 0);
    assert_int_equal(nsh_lock_take(runtime, &holder), -ELOOP);
    snprintf(path, sizeof(path), "%s/no/such", base);
    assert_int_equal(nsh_lock_take(path, &holder), -ENOENT);
}

static void test_control_path(void **state)
{
    char path[108] = "untouched", expected[128], longer[128];
    struct stat st;

    (void)state;
    assert_int_equal(stat("/proc/self/ns/net", &st), 0);
    assert_int_equal(nsh_control_path("/run/netshared", path), 0);
    snprintf(expected, sizeof(expected), "/run/netshared/netns-%ju.sock", (uintmax_t)st.st_ino);
    assert_string_equal(path, expected);

    size_t name = strlen(expected) - strlen("/run/netshared");
    memset(longer, 'x', sizeof(longer));
    longer[107 - name] = '\0'; /* 107 and the NUL just fit */
    assert_int_equal(nsh_control_path(longer, path), 0);
    assert_int_equal(strlen(path), 107);
    strcpy(path, "untouched");
    longer[107 - name] = 'x';
    longer[108 - name] = '\0';
    assert_int_equal(nsh_control_path(longer, path), -ENAMETOOLONG);
    assert_string_equal(path, "untouched");
}

/* Whatever the runtime directories: one in a namespace. Another user's socket keeps nobody off. */
static void test_claim(void **state)
{
    pid_t holder = 0, child;
    int fd, status;

    (void)state;
    if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0) {
        print_message("# no network namespace can be made here: claims are not tested\n");
        return;
    }
    fd = nsh_lock_claim(&holder);
    assert_true(fd >= 0);
    assert_int_equal(nsh_lock_claim(&holder), -EBUSY);
    assert_int_equal(holder, getpid());
    close(fd);
    child = fork();
    if (child == 0) {
        if (setgid(65534) < 0 || setuid(65534) < 0 || nsh_lock_claim(&holder) < 0)
            _exit(1);
        raise(SIGSTOP); /* it holds the name while the parent looks */
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, WUNTRACED), child);
    assert_true(WIFSTOPPED(status));
    holder = 0;
    assert_int_equal(nsh_lock_claim(&holder), -EADDRINUSE);
    assert_int_equal(holder, 0);
    assert_int_equal(kill(child, SIGCONT), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    fd = nsh_lock_claim(&holder);
    assert_true(fd >= 0);
    close(fd);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
            TEST(test_taken_and_given_back), TEST(test_second_is_refused),
            TEST(test_file_of_another_name), TEST(test_handed_over),
            TEST(test_dies_with_its_holder), TEST(test_one_per_namespace),
            TEST(test_unsafe_directory), TEST(test_control_path),
            TEST(test_claim), /* the last: it changes the namespace */
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
