/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The hint that somebody used the xtables lock, on a lock file of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "firewall-iptc-xt.h"

static char dir[] = "/tmp/nsh-hint-XXXXXX";
static char sub[64], lock_file[80], other_file[80];
static struct nsh_xt_hint hint;

/* An event is there when the call that made it returns: nothing has to be waited for. */
static bool hinted(void)
{
    struct pollfd p = {.fd = nsh_xt_hint_fd(&hint), .events = POLLIN};

    assert_true(p.fd >= 0);
    return poll(&p, 1, 0) == 1;
}

/* What a change of files leaves behind may come in several pieces, but ends. */
static void drain(void)
{
    for (int i = 0; i < 200 && hinted(); i++)
        nsh_xt_hint_take(&hint);
    assert_false(hinted());
}

static void use(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    close(fd);
}

static void assert_works(void)
{
    assert_false(hinted());
    for (int i = 0; i < 3; i++) {
        use(lock_file, O_RDONLY);
        assert_true(hinted());
        nsh_xt_hint_take(&hint);
        assert_false(hinted());
    }
}

static int fresh(void **state)
{
    (void)state;
    nsh_xt_hint_init(&hint);
    return mkdir(sub, 0700);
}

static int done(void **state)
{
    (void)state;
    nsh_xt_hint_done(&hint);
    unlink(lock_file);
    unlink(other_file);
    return rmdir(sub);
}

static void test_used_by_another_process(void **state)
{
    pid_t pid;
    int status;

    (void)state;
    assert_false(hinted());
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(nsh_xt_lock() >= 0 ? 0 : 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_true(hinted());
    nsh_xt_hint_take(&hint);
    assert_works();
}

/* Only when it is closed is somebody through. */
static void test_not_while_it_is_open(void **state)
{
    int fd;

    (void)state;
    assert_false(hinted());
    fd = nsh_xt_lock();
    assert_true(fd >= 0);
    assert_false(hinted());
    close(fd);
    assert_true(hinted());
    nsh_xt_hint_take(&hint);
    use(lock_file, O_WRONLY);
    assert_true(hinted());
}

static void test_the_file_is_made_as_the_lock_does(void **state)
{
    struct stat st;

    (void)state;
    assert_int_equal(access(lock_file, F_OK), -1);
    assert_false(hinted());
    assert_int_equal(stat(lock_file, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_works();
}

static void test_one_descriptor(void **state)
{
    int fd = nsh_xt_hint_fd(&hint);

    (void)state;
    assert_int_equal(nsh_xt_hint_fd(&hint), fd);
    nsh_xt_hint_done(&hint);
    nsh_xt_hint_take(&hint); /* of none */
}

static void test_deleted(void **state)
{
    (void)state;
    assert_false(hinted());
    assert_int_equal(unlink(lock_file), 0);
    assert_true(hinted());
    drain();
    assert_int_equal(access(lock_file, F_OK), 0);
    assert_works();
}

/* Somebody made it anew before it was noticed. */
static void test_deleted_and_made_again(void **state)
{
    (void)state;
    assert_false(hinted());
    assert_int_equal(unlink(lock_file), 0);
    use(lock_file, O_RDONLY | O_CREAT);
    drain();
    assert_works();
}

static void test_deleted_while_open(void **state)
{
    int fd;

    (void)state;
    assert_false(hinted());
    fd = open(lock_file, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(unlink(lock_file), 0);
    drain();
    assert_works();
    close(fd); /* what it was no longer matters */
    assert_works();
}

static void test_replaced(void **state)
{
    (void)state;
    assert_false(hinted());
    use(other_file, O_RDONLY | O_CREAT);
    assert_int_equal(rename(other_file, lock_file), 0);
    drain();
    assert_works();
}

static void test_moved_away(void **state)
{
    (void)state;
    assert_false(hinted());
    assert_int_equal(rename(lock_file, other_file), 0);
    drain();
    assert_works();
    use(other_file, O_RDONLY);
    assert_works();
}

/* Where no file can be made there is silence until there is one again. */
static void test_nothing_to_watch(void **state)
{
    (void)state;
    assert_false(hinted());
    assert_int_equal(unlink(lock_file), 0);
    assert_int_equal(rmdir(sub), 0);
    drain();
    nsh_xt_hint_take(&hint);
    assert_false(hinted());
    assert_int_equal(mkdir(sub, 0700), 0);
    use(lock_file, O_RDONLY | O_CREAT);
    assert_false(hinted());
    nsh_xt_hint_take(&hint);
    assert_works();
}

/* Events that fell out of the queue may have been those that the file is another. */
static void test_more_than_the_queue_holds(void **state)
{
    (void)state;
    assert_false(hinted());
    for (int i = 0; i < 20000; i++) { /* two in turn are not taken as one */
        assert_int_equal(chmod(lock_file, 0600), 0);
        use(lock_file, O_RDONLY);
    }
    assert_int_equal(unlink(lock_file), 0);
    drain();
    assert_works();
}

static int make_dir(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    snprintf(sub, sizeof sub, "%s/run", dir);
    snprintf(lock_file, sizeof lock_file, "%s/xtables.lock", sub);
    snprintf(other_file, sizeof other_file, "%s/other", sub);
    return setenv("XTABLES_LOCKFILE", lock_file, 1);
}

static int remove_dir(void **state)
{
    (void)state;
    return rmdir(dir);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fresh, done)

int main(void)
{
    const struct CMUnitTest tests[] = {
            TEST(test_used_by_another_process),
            TEST(test_not_while_it_is_open),
            TEST(test_the_file_is_made_as_the_lock_does),
            TEST(test_one_descriptor),
            TEST(test_deleted),
            TEST(test_deleted_and_made_again),
            TEST(test_deleted_while_open),
            TEST(test_replaced),
            TEST(test_moved_away),
            TEST(test_nothing_to_watch),
            TEST(test_more_than_the_queue_holds),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
