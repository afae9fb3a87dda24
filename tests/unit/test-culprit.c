/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who is named, and above all who is not. Each suspect is a child of ours that holds a routing
 * socket under its own pid, as every program that does not choose a port id itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/capability.h>
#include <linux/netlink.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "culprit.h"

static uint64_t now_usec(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_BOOTTIME, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* A routing socket bound to `port`. */
static int open_socket(uint32_t port)
{
    const struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_pid = port};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    close(fd);
    return -1;
}

struct suspect {
    pid_t pid;
    int leash; /* it lives until this is closed */
};

/* Forks one that calls `prepare` and says when it is done. False where `prepare` may not. */
static bool start_suspect(bool (*prepare)(void), struct suspect *ret)
{
    int ready[2], leash[2];
    char done = 0;

    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(leash), 0);
    ret->pid = fork();
    assert_true(ret->pid >= 0);
    if (ret->pid == 0) {
        close(ready[0]);
        close(leash[1]);
        if (!prepare() || write(ready[1], "!", 1) != 1)
            _exit(1);
        (void)!read(leash[0], &done, 1);
        _exit(0);
    }
    close(ready[1]);
    close(leash[0]);
    ssize_t n = read(ready[0], &done, 1);
    close(ready[0]);
    ret->leash = leash[1];
    return n == 1;
}

static void end_suspect(struct suspect *s)
{
    close(s->leash);
    waitpid(s->pid, NULL, 0);
}

static bool find(pid_t pid, uint64_t at_usec)
{
    char comm[NSH_COMM_LEN * 4] = "untouched";
    pid_t found = -1;

    if (nsh_culprit_find((uint32_t)pid, at_usec, comm, &found))
        return found == pid;
    assert_string_equal(comm, "untouched");
    assert_int_equal(found, -1);
    return false;
}

static bool prepare_plain(void)
{
    return open_socket((uint32_t)getpid()) >= 0;
}

static bool prepare_strange_name(void)
{
    return prctl(PR_SET_NAME, "a) R (1\n\x1b\xff") == 0 && prepare_plain();
}

static bool prepare_without_socket(void)
{
    return true;
}

static bool prepare_other_protocol(void)
{
    const struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_pid = (uint32_t)getpid()};
    int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC);

    return fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
}

static bool prepare_own_network(void)
{
    return unshare(CLONE_NEWNET) == 0 && prepare_plain();
}

/* Its socket stays in our network. */
static bool prepare_socket_before_own_network(void)
{
    return prepare_plain() && unshare(CLONE_NEWNET) == 0;
}

/* Under the pid that the rest of the machine knows it by, whatever it is to itself. */
static bool prepare_outer_pid(void)
{
    char pid[16] = "";

    return readlink("/proc/self", pid, sizeof(pid) - 1) > 0 &&
           open_socket((uint32_t)strtoul(pid, NULL, 10)) >= 0;
}

static void test_certain(void **state)
{
    char comm[NSH_COMM_LEN * 4];
    struct suspect s;
    pid_t pid;

    (void)state;
    assert_true(start_suspect(prepare_strange_name, &s));
    assert_true(nsh_culprit_find((uint32_t)s.pid, now_usec(), comm, &pid));
    assert_int_equal(pid, s.pid);
    assert_string_equal(comm, "a) R (1\\x0a\\x1b\\xff");
    end_suspect(&s);
    assert_false(find(s.pid, now_usec()));
}

static void test_started_later(void **state)
{
    struct suspect s;
    uint64_t before = now_usec() - 1000000;

    (void)state;
    assert_true(start_suspect(prepare_plain, &s));
    assert_true(find(s.pid, now_usec()));
    assert_false(find(s.pid, before));
    end_suspect(&s);
}

static void test_no_such_socket(void **state)
{
    struct suspect s;

    (void)state;
    assert_true(start_suspect(prepare_without_socket, &s));
    assert_false(find(s.pid, now_usec()));
    end_suspect(&s);
    assert_true(start_suspect(prepare_other_protocol, &s));
    assert_false(find(s.pid, now_usec()));
    end_suspect(&s);
}

/* The port id is the suspect's pid, but another process holds the socket. */
static void test_socket_of_another(void **state)
{
    struct suspect s;

    (void)state;
    assert_true(start_suspect(prepare_without_socket, &s));
    int fd = open_socket((uint32_t)s.pid);
    assert_true(fd >= 0);
    assert_false(find(s.pid, now_usec()));
    close(fd);
    end_suspect(&s);
}

/* A dead child that nobody has waited for is not looked at. */
static void test_zombie(void **state)
{
    struct suspect s;
    siginfo_t info;

    (void)state;
    assert_true(start_suspect(prepare_plain, &s));
    close(s.leash);
    assert_int_equal(waitid(P_PID, (id_t)s.pid, &info, WEXITED | WNOWAIT), 0);
    assert_false(find(s.pid, now_usec()));
    waitpid(s.pid, NULL, 0);
}

static void test_impossible_ports(void **state)
{
    static const uint32_t ports[] = {0, 4194305, INT32_MAX, UINT32_MAX - 4096, UINT32_MAX};

    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(ports); i++) {
        char comm[NSH_COMM_LEN * 4];
        pid_t pid;
        int fd = ports[i] ? open_socket(ports[i]) : -1;

        assert_false(nsh_culprit_find(ports[i], now_usec(), comm, &pid));
        if (fd >= 0)
            close(fd);
    }
}

/* The kernel's own threads (the parent of them all has pid 2) and our init. */
static void test_kernel_thread_and_init(void **state)
{
    (void)state;
    for (pid_t pid = 1; pid <= 2; pid++) {
        int fd = open_socket((uint32_t)pid);

        assert_false(find(pid, now_usec()));
        if (fd >= 0)
            close(fd);
    }
}

static void test_other_network(void **state)
{
    struct suspect s;

    (void)state;
    if (geteuid() != 0)
        return; /* namespaces are root's */
    assert_true(start_suspect(prepare_own_network, &s));
    assert_false(find(s.pid, now_usec()));
    end_suspect(&s);
    assert_true(start_suspect(prepare_socket_before_own_network, &s));
    assert_false(find(s.pid, now_usec()));
    end_suspect(&s);
}

/* A child in a pid namespace of its own, holding a socket named by the pid that we know it by. */
static void test_other_pids(void **state)
{
    struct suspect s;

    (void)state;
    if (geteuid() != 0)
        return;
    NSH_CLEANUP(fclosep) FILE *ours = fopen("/proc/self/ns/pid", "re");
    assert_non_null(ours);
    assert_int_equal(unshare(CLONE_NEWPID), 0);
    bool started = start_suspect(prepare_outer_pid, &s);
    assert_int_equal(setns(fileno(ours), CLONE_NEWPID), 0);
    assert_true(started);
    /* It is 1 to itself: what it would send bears port id 1, which must not be our init's. */
    int fd = open_socket(1);
    assert_false(find(1, now_usec()));
    assert_false(find(s.pid, now_usec()));
    if (fd >= 0)
        close(fd);
    end_suspect(&s);
}

/* Becomes another user with this right alone; 0: with none. */
static bool become_another(int capability)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {0};

    data[0].permitted = data[0].effective = capability ? 1U << capability : 0;
    return prctl(PR_SET_KEEPCAPS, 1) == 0 && setgid(65534) == 0 && setuid(65534) == 0 &&
           syscall(SYS_capset, &header, data) == 0;
}

static bool find_as_another(pid_t suspect, int capability)
{
    int status = 0;
    pid_t asker = fork();

    if (asker == 0)
        _exit(!become_another(capability) ? 2 : find(suspect, now_usec()) ? 0 : 1);
    assert_int_equal(waitpid(asker, &status, 0), asker);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 2);
    return WEXITSTATUS(status) == 0;
}

/* Without CAP_SYS_PTRACE a process of another user is never certain. */
static void test_not_privileged(void **state)
{
    struct suspect s, other;

    (void)state;
    if (geteuid() != 0)
        return;
    assert_true(start_suspect(prepare_plain, &s));
    assert_true(start_suspect(prepare_without_socket, &other));
    assert_true(find(s.pid, now_usec()));
    assert_false(find_as_another(s.pid, 0));
    assert_true(find_as_another(s.pid, CAP_SYS_PTRACE));
    nsh_autoclose int ours = open_socket((uint32_t)other.pid);
    assert_true(ours >= 0);
    assert_false(find_as_another(other.pid, CAP_SYS_PTRACE));
    end_suspect(&other);
    end_suspect(&s);
}

/* ---- what the kernel told itself ---- */

static bool confirm(pid_t pid, const char *name)
{
    char comm[NSH_COMM_LEN * 4] = "untouched";

    if (nsh_culprit_confirm((uint32_t)pid, name, comm)) {
        assert_string_equal(comm, name);
        return true;
    }
    assert_string_equal(comm, "untouched");
    return false;
}

/* The service has no right to look into root's processes, and need not. */
static bool confirm_as_another(pid_t pid, const char *name)
{
    int status = 0;
    pid_t asker = fork();

    if (asker == 0) {
        if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
            _exit(2);
        _exit(confirm(pid, name) ? 0 : 1);
    }
    assert_int_equal(waitpid(asker, &status, 0), asker);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 2);
    return WEXITSTATUS(status) == 0;
}

static bool prepare_named(void)
{
    return prctl(PR_SET_NAME, "iptables-legacy") == 0;
}

static void test_what_the_kernel_told(void **state)
{
    char link[64] = "";
    struct suspect s;
    siginfo_t info;

    (void)state;
    if (readlink("/proc/self/ns/pid", link, sizeof(link) - 1) < 0 ||
            strcmp(link, "pid:[4026531836]") != 0) {
        print_message("# not in the initial pid namespace: nobody can be named\n");
        assert_false(confirm(getpid(), "test-culprit"));
        return; /* skip() counts as a failure in TAP */
    }
    assert_true(start_suspect(prepare_named, &s));
    assert_true(confirm(s.pid, "iptables-legacy"));
    assert_true(confirm_as_another(s.pid, "iptables-legacy"));
    assert_false(confirm_as_another(s.pid, "nft"));
    assert_false(confirm(s.pid, "nft")); /* somebody else's number by now */
    assert_false(confirm(0, "iptables-legacy"));
    assert_false(confirm(s.pid, ""));
    /* It has ended, and nobody has waited for it yet. */
    close(s.leash);
    assert_int_equal(waitid(P_PID, (id_t)s.pid, &info, WEXITED | WNOWAIT), 0);
    assert_true(confirm(s.pid, "iptables-legacy"));
    assert_false(confirm(s.pid, "nft"));
    waitpid(s.pid, NULL, 0);
    assert_true(confirm(s.pid, "iptables-legacy")); /* it is gone: it was that one */
}

static bool prepare_other_network(void)
{
    return prepare_named() &&
           (unshare(CLONE_NEWNET) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0);
}

static void test_told_of_one_that_is_elsewhere(void **state)
{
    struct suspect s;

    (void)state;
    if (!start_suspect(prepare_other_network, &s)) {
        print_message("# no network namespace can be made here\n");
        return;
    }
    assert_false(confirm(s.pid, "iptables-legacy"));
    assert_false(confirm_as_another(s.pid, "iptables-legacy"));
    end_suspect(&s);
}

/* In a container the kernel's numbers are other processes', or nobody's. */
static void test_told_in_a_container(void **state)
{
    int status = 0;
    pid_t outer;

    (void)state;
    outer = fork();
    assert_true(outer >= 0);
    if (outer == 0) {
        char comm[NSH_COMM_LEN * 4];
        pid_t inner;

        if (unshare(CLONE_NEWPID) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWPID) < 0)
            _exit(77);
        inner = fork();
        if (inner == 0)
            _exit(nsh_culprit_confirm((uint32_t)getpid(), "test-culprit", comm) ||
                    nsh_culprit_confirm(4194303, "iptables-legacy", comm));
        if (inner < 0 || waitpid(inner, &status, 0) < 0)
            _exit(2);
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 3);
    }
    assert_int_equal(waitpid(outer, &status, 0), outer);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) {
        print_message("# no pid namespace can be made here\n");
        return;
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_certain),
            cmocka_unit_test(test_started_later),
            cmocka_unit_test(test_no_such_socket),
            cmocka_unit_test(test_socket_of_another),
            cmocka_unit_test(test_zombie),
            cmocka_unit_test(test_impossible_ports),
            cmocka_unit_test(test_kernel_thread_and_init),
            cmocka_unit_test(test_other_network),
            cmocka_unit_test(test_other_pids),
            cmocka_unit_test(test_not_privileged),
            cmocka_unit_test(test_what_the_kernel_told),
            cmocka_unit_test(test_told_of_one_that_is_elsewhere),
            cmocka_unit_test(test_told_in_a_container),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
