/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Integer sysctls below /proc/sys. What is below net/ belongs to the network namespace of the
 * thread that opens it, so nothing is kept open.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "fib-netlink.h"

#define SYSCTL_ROOT "/proc/sys"
#define IPV6_CONF "net/ipv6/conf"

/* A key comes with interface names in it; none may lead out of the tree. */
static bool key_ok(const char *key)
{
    size_t length = 0;

    for (const char *p = key;; p += length + 1) {
        length = strcspn(p, "/");
        if (length == 0 || (length == 1 && p[0] == '.') ||
                (length == 2 && p[0] == '.' && p[1] == '.'))
            return false;
        if (p[length] == '\0')
            return true;
    }
}

static int open_key(const char *key, int flags, int *ret_fd)
{
    nsh_autoclose int root = -1;
    int fd;

    if (!key_ok(key))
        return -EINVAL;
    root = open(SYSCTL_ROOT, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return -errno;
    fd = openat(root, key, flags | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    *ret_fd = fd;
    return 0;
}

int nsh_fibnl_sysctl_get(struct nsh_fib *fib, const char *key, int *ret)
{
    nsh_autoclose int fd = -1;
    char text[32], *end;
    ssize_t n;
    long value;
    int r = open_key(key, O_RDONLY, &fd);

    (void)fib;
    if (r < 0)
        return r;
    do
        n = read(fd, text, sizeof(text) - 1);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    text[n] = '\0';
    errno = 0;
    value = strtol(text, &end, 10);
    if (end == text || (*end != '\n' && *end != '\0'))
        return -EINVAL;
    if (errno != 0 || value < INT_MIN || value > INT_MAX)
        return -ERANGE;
    *ret = (int)value;
    return 0;
}

/* The kernel tells of the change without saying who made it; events are compared with this. */
static void remember_forwarding(struct nsh_fibnl *nl, const char *key, int value)
{
    static const struct {
        const char *key;
        int family;
    } keys[] = {
            {"net/ipv4/ip_forward", 0},
            {"net/ipv4/conf/all/forwarding", 0},
            {"net/ipv6/conf/all/forwarding", 1},
    };

    for (size_t i = 0; i < NSH_ARRAY_SIZE(keys); i++)
        if (strcmp(key, keys[i].key) == 0)
            nl->forwarding_written[keys[i].family] = value;
}

int nsh_fibnl_sysctl_set(struct nsh_fib *fib, const char *key, int value)
{
    nsh_autoclose int fd = -1;
    char text[16];
    ssize_t n;
    int length, r = open_key(key, O_WRONLY, &fd);

    if (r < 0)
        return r;
    /* No newline: 5.10 does not count it among what it took (net/ipv6/conf/all/forwarding). */
    length = snprintf(text, sizeof(text), "%d", value);
    do
        n = write(fd, text, (size_t)length);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    if (n != length)
        return -EIO;
    remember_forwarding(nsh_fibnl_of(fib), key, value);
    return 0;
}

int nsh_fibnl_sysctl_each_ipv6_conf(
        struct nsh_fib *fib, void (*each)(void *userdata, const char *name), void *userdata)
{
    NSH_CLEANUP(closedirp) DIR *dir = NULL;
    nsh_autoclose int fd = -1;
    const struct dirent *entry;
    int r = open_key(IPV6_CONF, O_RDONLY | O_DIRECTORY, &fd);

    (void)fib;
    if (r < 0)
        return r;
    dir = fdopendir(fd);
    if (!dir)
        return -errno;
    (void)NSH_TAKE_FD(fd);
    for (;;) {
        errno = 0;
        entry = readdir(dir);
        if (!entry)
            return errno > 0 ? -errno : 0;
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            each(userdata, entry->d_name);
    }
}
