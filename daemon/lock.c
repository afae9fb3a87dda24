/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cleanup.h"
#include "user.h"

static int netns_inode(uintmax_t *ret)
{
    struct stat st;

    if (stat("/proc/self/ns/net", &st) < 0)
        return -errno;
    *ret = st.st_ino;
    return 0;
}

/* Who may write here could give us another's lock, or take the socket's place. */
static int open_directory(const char *path)
{
    struct stat st;

    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        return -errno;
    nsh_autoclose int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0 || fstat(dir, &st) < 0)
        return -errno;
    int e = nsh_user_check_directory(&st);
    return e < 0 ? e : NSH_TAKE_FD(dir);
}

/* The pid in the file, 0 if there is none that lives: its owner may not have written it yet. */
static pid_t read_holder(int fd)
{
    char text[16] = "", *end;
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

    if (n <= 0 || *text < '1' || *text > '9')
        return 0;
    long pid = strtol(text, &end, 10);
    if (*end != '\n' || pid > INT_MAX || (kill((pid_t)pid, 0) < 0 && errno == ESRCH))
        return 0;
    return (pid_t)pid;
}

/* For others to name us by. Where there is no room for that, the lock is held all the same. */
static void write_holder(int fd)
{
    char text[16];
    int n = snprintf(text, sizeof(text), "%d\n", (int)getpid());

    if (ftruncate(fd, 0) == 0)
        (void)!pwrite(fd, text, (size_t)n, 0);
}

/* Whoever owns the directory may have put anything there: it is not to be written to by us. */
static int check_file(int fd)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return -errno;
    return S_ISREG(st.st_mode) && st.st_nlink <= 1 ? 0 : -EPERM;
}

int nsh_lock_take(const char *runtime_directory, pid_t *ret_holder)
{
    uintmax_t inode = 0;
    char name[64];
    int e = netns_inode(&inode);

    if (e < 0)
        return e;
    nsh_autoclose int dir = open_directory(runtime_directory);
    if (dir < 0)
        return dir;
    snprintf(name, sizeof(name), "netns-%ju.lock", inode);
    /* 0600: to read is enough to lock. */
    nsh_autoclose int fd =
            openat(dir, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (fd < 0)
        return -errno;
    e = check_file(fd);
    if (e == 0)
        e = nsh_user_hand_over(fd, dir);
    if (e < 0)
        return e;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK)
            return -errno;
        *ret_holder = read_holder(fd);
        return -EBUSY;
    }
    write_holder(fd);
    return NSH_TAKE_FD(fd);
}

/* Who listens there; -EAGAIN: nobody that answers. */
static int name_holder(const struct sockaddr_un *name, socklen_t length, struct ucred *ret)
{
    nsh_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    socklen_t size = sizeof(*ret);

    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)name, length) < 0)
        return -EAGAIN;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ret, &size) < 0 ? -errno : 0;
}

/* sun_path[0] stays NUL: abstract. */
static socklen_t make_name(struct sockaddr_un *ret)
{
    static const char text[] = "netshared";

    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(ret->sun_path + 1, text, sizeof(text) - 1);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + sizeof(text));
}

int nsh_lock_claim(pid_t *ret_holder)
{
    struct sockaddr_un name;
    socklen_t length = make_name(&name);
    struct ucred holder = {0};

    nsh_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (bind(fd, (const struct sockaddr *)&name, length) == 0)
        return listen(fd, SOMAXCONN) < 0 ? -errno : NSH_TAKE_FD(fd);
    if (errno != EADDRINUSE)
        return -errno;
    if (name_holder(&name, length, &holder) < 0 || !nsh_user_is_trusted(holder.uid))
        return -EADDRINUSE;
    *ret_holder = holder.pid;
    return -EBUSY;
}

bool nsh_lock_answer(int name_fd)
{
    enum { AT_ONCE = 64 };

    for (int i = 0; i < AT_ONCE; i++) {
        nsh_autoclose int fd = accept4(name_fd, NULL, NULL, SOCK_CLOEXEC);

        if (fd < 0)
            return errno == EAGAIN || errno == EINTR || errno == ECONNABORTED;
    }
    return true;
}

pid_t nsh_lock_holder(void)
{
    struct sockaddr_un name;
    socklen_t length = make_name(&name);
    struct ucred holder = {0};

    return name_holder(&name, length, &holder) == 0 && nsh_user_is_trusted(holder.uid) ? holder.pid
                                                                                       : 0;
}

/* "RUNTIME/netns-INODE.END" */
static int make_path(const char *runtime_directory, const char *end, char ret[static 108])
{
    char path[108];
    uintmax_t inode = 0;
    int e = netns_inode(&inode);

    if (e < 0)
        return e;
    int n = snprintf(path, sizeof(path), "%s/netns-%ju.%s", runtime_directory, inode, end);
    if (n < 0 || (size_t)n >= sizeof(path))
        return -ENAMETOOLONG;
    snprintf(ret, sizeof(path), "%s", path);
    return 0;
}

int nsh_control_path(const char *runtime_directory, char ret[static 108])
{
    return make_path(runtime_directory, "sock", ret);
}

int nsh_metrics_path(const char *runtime_directory, char ret[static 108])
{
    return make_path(runtime_directory, "metrics", ret);
}
