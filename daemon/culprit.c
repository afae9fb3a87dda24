/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A port id is only a number its sender chose; by custom, and when the kernel chooses, it is the
 * sender's pid as its own pid namespace counts. So a process of that pid is named only if
 *
 *   - it is in our pid and network namespaces (a container's pid 1 is not our init),
 *   - it started before the event (the pid was not given away anew),
 *   - and it still holds the very routing socket with that port id, as the kernel's table of
 *     sockets says. Without that a container that shares our network, but not our pids, would
 *     have its doings blamed on whatever process bears the same number here.
 *
 * All of it is asked below one directory descriptor of /proc/PID, which speaks of that one process
 * even when its number is reused. What may not be looked at (another user's process, without
 * CAP_SYS_PTRACE) or is gone is not certain.
 */
#include "culprit.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "diag.h"

/* What one process may have open before we stop looking. */
#define FDS_MAX 4096
/* The kernel gives out no larger pid (PID_MAX_LIMIT). */
#define PID_LIMIT 4194304U

/* The whole of a small file, terminated. */
static bool read_small(int dir, const char *name, char *buf, size_t size)
{
    nsh_autoclose int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    size_t n = 0;

    while (fd >= 0 && n < size - 1) {
        ssize_t got = read(fd, buf + n, size - 1 - n);

        if (got < 0)
            return false;
        if (got == 0)
            break;
        n += (size_t)got;
    }
    buf[n] = '\0';
    return n > 0;
}

/* A /proc of another pid namespace would make us look at other people's numbers. */
static bool proc_is_ours(void)
{
    char link[16], self[16];
    ssize_t n = readlink("/proc/self", link, sizeof(link));

    snprintf(self, sizeof(self), "%d", (int)getpid());
    return n > 0 && (size_t)n == strlen(self) && memcmp(link, self, (size_t)n) == 0;
}

/*
 * ns/net may be looked at by few. But every network namespace has a /proc/net of its own, whose
 * files anyone may see, and no two of them have an inode in common. 1, 0; -errno: it is ending.
 */
static int in_our_network(int process)
{
    struct stat a, b;

    if (fstatat(process, "net/netlink", &b, 0) < 0 || stat("/proc/self/net/netlink", &a) < 0)
        return -errno;
    return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* Its numbers in all pid namespaces from that of this /proc, ours, to its own: one alone. */
static bool in_our_pids(int process)
{
    char status[4096], *at;

    if (!read_small(process, "status", status, sizeof(status)))
        return false;
    at = strstr(status, "\nNSpid:");
    if (!at)
        return false;
    at += strlen("\nNSpid:");
    at += strspn(at, " \t");
    at += strspn(at, "0123456789");
    return *at == '\n';
}

/* proc(5): "PID (comm) S ppid …"; comm may hold anything, spaces and parentheses too. */
static bool parse_stat(char *stat, char **ret_comm, uint64_t *ret_start_ticks)
{
    char *open = strchr(stat, '('), *close = strrchr(stat, ')');
    char *at = close;

    if (!open || !close || close < open)
        return false;
    for (int field = 2; field < 22; field++) {
        at = strchr(at + 1, ' ');
        if (!at)
            return false;
    }
    if (!isdigit((unsigned char)at[1]))
        return false;
    *close = '\0';
    *ret_comm = open + 1;
    *ret_start_ticks = strtoull(at + 1, NULL, 10);
    return true;
}

/*
 * The start is told in whole ticks (10 ms), cut off: a program that lives for two milliseconds
 * starts and acts within one.
 */
static bool started_before(uint64_t start_ticks, uint64_t at_usec)
{
    long per_second = sysconf(_SC_CLK_TCK);

    return per_second > 0 &&
           start_ticks <= at_usec / (1000000 / (uint64_t)per_second) /* both in ticks */;
}

/* The inode of the routing socket with this port id in our network namespace. */
static bool socket_inode(uint32_t port, uint64_t *ret)
{
    NSH_CLEANUP(fclosep) FILE *table = fopen("/proc/self/net/netlink", "re");
    char line[512];

    while (table && fgets(line, sizeof(line), table)) {
        uint32_t protocol, portid;
        uint64_t inode;

        if (sscanf(line, "%*s %" SCNu32 " %" SCNu32 " %*s %*s %*s %*s %*s %*s %" SCNu64, &protocol,
                    &portid, &inode) == 3 &&
                protocol == NETLINK_ROUTE && portid == port) {
            *ret = inode;
            return true;
        }
    }
    return false;
}

/* Whether what a process holds as descriptor `name`, below `dir`, is the socket with this inode. */
typedef bool is_socket(int dir, const char *name, uint64_t inode);

static bool links_to_socket(int fd_dir, const char *name, uint64_t inode)
{
    char wanted[40], link[40];
    int length = snprintf(wanted, sizeof(wanted), "socket:[%" PRIu64 "]", inode);

    return readlinkat(fd_dir, name, link, sizeof(link)) == length &&
           memcmp(link, wanted, (size_t)length) == 0;
}

/* The value of "key:" in a file of fdinfo. */
static bool info(int fdinfo_dir, const char *name, const char *key, uint64_t *ret)
{
    char text[1024];
    const char *at;

    if (!read_small(fdinfo_dir, name, text, sizeof(text)))
        return false;
    at = strstr(text, key);
    if (!at || at == text || at[-1] != '\n')
        return false;
    *ret = strtoull(at + strlen(key), NULL, 10);
    return true;
}

/* All sockets are on one mount that nothing else is on; ours shows which. */
static bool socket_mount(uint64_t *ret)
{
    nsh_autoclose int dir = open("/proc/self/fdinfo", O_PATH | O_DIRECTORY | O_CLOEXEC);
    nsh_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char name[16];

    snprintf(name, sizeof(name), "%d", fd);
    return fd >= 0 && dir >= 0 && info(dir, name, "mnt_id:", ret);
}

/* From Linux 5.14 on; "ino:" is not there before. */
static bool informs_of_socket(int fdinfo_dir, const char *name, uint64_t inode)
{
    uint64_t mount, of_sockets, found;

    return info(fdinfo_dir, name, "ino:", &found) && found == inode &&
           info(fdinfo_dir, name, "mnt_id:", &mount) && socket_mount(&of_sockets) &&
           mount == of_sockets;
}

static bool any_is_socket(int fds_dir, is_socket *is, uint64_t inode)
{
    NSH_CLEANUP(closedirp) DIR *fds = fdopendir(fds_dir);

    if (!fds)
        close(fds_dir);
    for (int i = 0; fds && i < FDS_MAX; i++) {
        const struct dirent *e = readdir(fds);

        if (!e)
            return false;
        if (e->d_name[0] != '.' && is(dirfd(fds), e->d_name, inode))
            return true;
    }
    return false;
}

/*
 * The links in fd are for the process's own user; the same is in fdinfo, for whoever has
 * CAP_SYS_PTRACE.
 */
static bool holds_socket(int process, uint64_t inode)
{
    int fds = openat(process, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fds >= 0)
        return any_is_socket(fds, links_to_socket, inode);
    fds = openat(process, "fdinfo", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fds >= 0 && any_is_socket(fds, informs_of_socket, inode);
}

bool nsh_culprit_find(
        uint32_t port, uint64_t at_usec, char ret_comm[static NSH_COMM_LEN * 4], pid_t *ret_pid)
{
    char path[32], stat[1024], *comm;
    uint64_t start, inode = 0;

    if (port == 0 || port > PID_LIMIT || !proc_is_ours() || !socket_inode(port, &inode))
        return false;
    snprintf(path, sizeof(path), "/proc/%" PRIu32, port);
    nsh_autoclose int process = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (process < 0 || in_our_network(process) <= 0 || !in_our_pids(process))
        return false;
    if (!read_small(process, "stat", stat, sizeof(stat)) || !parse_stat(stat, &comm, &start) ||
            !started_before(start, at_usec) || !holds_socket(process, inode))
        return false;
    nsh_printable(comm, strlen(comm), ret_comm, (size_t)NSH_COMM_LEN * 4);
    *ret_pid = (pid_t)port;
    return true;
}

/* There is one such namespace, and its inode number is fixed (PROC_PID_INIT_INO). */
#define INITIAL_PID_NAMESPACE 0xEFFFFFFCU

static bool in_initial_pid_namespace(void)
{
    struct stat s;

    return stat("/proc/self/ns/pid", &s) == 0 && s.st_ino == INITIAL_PID_NAMESPACE;
}

/* One that is ending has no namespaces any more, and is nowhere else. */
static bool is_elsewhere(int process)
{
    int in = in_our_network(process);

    return in < 0 ? in != -ENOENT && in != -ESRCH && in != -EINVAL : !in;
}

/* What the kernel says of it holds as far as can be seen: also of one that has ended meanwhile. */
static bool may_be(int process, const char *name)
{
    char stat[1024], *comm;
    uint64_t start;

    if (is_elsewhere(process))
        return false;
    if (!read_small(process, "stat", stat, sizeof(stat)))
        return errno == ENOENT || errno == ESRCH;
    return parse_stat(stat, &comm, &start) && strncmp(comm, name, NSH_COMM_LEN - 1) == 0;
}

bool nsh_culprit_confirm(uint32_t pid, const char *name, char ret_comm[static NSH_COMM_LEN * 4])
{
    char path[32];

    if (pid == 0 || name[0] == '\0' || !proc_is_ours() || !in_initial_pid_namespace())
        return false;
    snprintf(path, sizeof(path), "/proc/%" PRIu32, pid);
    nsh_autoclose int process = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    /* Another may have got its number. */
    if (process < 0 ? errno != ENOENT : !may_be(process, name))
        return false;
    nsh_printable(name, strlen(name), ret_comm, (size_t)NSH_COMM_LEN * 4);
    return true;
}
