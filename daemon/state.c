/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All goes through one descriptor of the directory, and each file through a temporary one that is
 * synced and renamed, and then the directory is synced. Nothing here is shared between threads
 * but that descriptor and a counter, so every function may be called from any.
 *
 * One process at a time writes: it holds a lock on the directory itself. What a crash leaves behind
 * ends in ".tmp" and is swept at the next open.
 */
#include "state.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "state-internal.h"
#include "user.h"

#define SYSCTLS "sysctls"
#define PROTOCOL "protocol"
#define TMP_SUFFIX ".tmp"
#define TMP_NAME 64

/* A line is key, two numbers of at most 11 characters, two blanks and the line end. */
#define SYSCTLS_SIZE_MAX \
    (128 + (size_t)NSH_SYSCTLS_MAX * (sizeof(((struct nsh_sysctl_before *)0)->key) + 25))

const char *const nsh_state_archives[] = {
        [NSH_ARCHIVE_ACCEPTED] = NSH_STATE_ACCEPTED_NAME,
        [NSH_ARCHIVE_TRIED_A] = "tried-a",
        [NSH_ARCHIVE_TRIED_B] = "tried-b",
};

/* ---- the directory ---- */

static bool is_leftover(const char *name)
{
    size_t n = strlen(name), suffix = strlen(TMP_SUFFIX);

    return n > suffix && strcmp(name + n - suffix, TMP_SUFFIX) == 0;
}

static void sweep(int dir)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    NSH_CLEANUP(closedirp) DIR *names = fd >= 0 ? fdopendir(fd) : NULL;
    if (!names && fd >= 0)
        close(fd);
    for (const struct dirent *e; names && (e = readdir(names));)
        if (is_leftover(e->d_name))
            (void)unlinkat(dir, e->d_name, 0);
}

static int check_directory(int dir)
{
    struct stat st;

    if (fstat(dir, &st) < 0)
        return -errno;
    return nsh_user_check_directory(&st);
}

static int open_directory(const char *directory, struct nsh_state **ret)
{
    nsh_autoclose int dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return -errno;
    int e = check_directory(dir);
    if (e < 0)
        return e;
    struct nsh_state *s = malloc(sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->dir = NSH_TAKE_FD(dir);
    atomic_init(&s->counter, 0);
    *ret = s;
    return 0;
}

int nsh_state_open(const char *directory, struct nsh_state **ret)
{
    struct nsh_state *s = NULL;

    if (mkdir(directory, 0700) < 0 && errno != EEXIST)
        return -errno;
    int e = open_directory(directory, &s);
    if (e < 0 || !s)
        return e < 0 ? e : -EIO;
    if (flock(s->dir, LOCK_EX | LOCK_NB) < 0) {
        e = errno == EWOULDBLOCK ? -EBUSY : -errno;
        nsh_state_free(s);
        return e;
    }
    sweep(s->dir);
    *ret = s;
    return 0;
}

int nsh_state_open_reader(const char *directory, struct nsh_state **ret)
{
    return open_directory(directory, ret);
}

void nsh_state_free(struct nsh_state *s)
{
    if (!s)
        return;
    close(s->dir);
    free(s);
}

/* ---- files, written aside and renamed ---- */

static void tmp_name(struct nsh_state *s, const char *name, char buf[static TMP_NAME])
{
    snprintf(buf, TMP_NAME, "%s.%d.%u" TMP_SUFFIX, name, (int)getpid(),
            atomic_fetch_add(&s->counter, 1));
}

/* An empty file of a new temporary name. */
static int create_tmp(struct nsh_state *s, const char *name, char ret_tmp[static TMP_NAME])
{
    tmp_name(s, name, ret_tmp);
    nsh_autoclose int fd =
            openat(s->dir, ret_tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    int e = nsh_user_hand_over(fd, s->dir);
    if (e < 0) {
        (void)unlinkat(s->dir, ret_tmp, 0);
        return e;
    }
    return NSH_TAKE_FD(fd);
}

/* Puts the synced `tmp` in the place of `name`, or removes it. */
static int install(struct nsh_state *s, const char *tmp, const char *name)
{
    if (renameat(s->dir, tmp, s->dir, name) < 0) {
        int e = -errno;

        (void)unlinkat(s->dir, tmp, 0);
        return e;
    }
    return fsync(s->dir) < 0 ? -errno : 0;
}

static int write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        data += n;
        size -= (size_t)n;
    }
    return fsync(fd) < 0 ? -errno : 0;
}

int nsh_state_replace(struct nsh_state *s, const char *name, const char *data, size_t size)
{
    char tmp[TMP_NAME];
    nsh_autoclose int fd = create_tmp(s, name, tmp);

    if (fd < 0)
        return fd;
    int e = write_all(fd, data, size);
    if (e < 0) {
        (void)unlinkat(s->dir, tmp, 0);
        return e;
    }
    return install(s, tmp, name);
}

/* Opens a regular file for reading; a FIFO or a link put there by hand is -EBADMSG. */
static int open_file(struct nsh_state *s, const char *name, off_t *ret_size)
{
    struct stat st;
    nsh_autoclose int fd =
            openat(s->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);

    if (fd < 0)
        return errno == ELOOP || errno == ENXIO ? -EBADMSG : -errno;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EBADMSG;
    *ret_size = st.st_size;
    return NSH_TAKE_FD(fd);
}

/* The whole file, terminated; -EBADMSG when it is larger than `limit` or holds a NUL. */
int nsh_state_read(struct nsh_state *s, const char *name, size_t limit, char **ret)
{
    off_t size = 0;
    nsh_autoclose int fd = open_file(s, name, &size);

    if (fd < 0)
        return fd;
    if ((uintmax_t)size > limit)
        return -EBADMSG;
    nsh_autofree char *text = malloc((size_t)size + 1);
    if (!text)
        return -ENOMEM;
    size_t n = 0;
    while (n < (size_t)size) {
        ssize_t got = read(fd, text + n, (size_t)size - n);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return errno > 0 ? -errno : -EIO;
        if (got == 0)
            break;
        n += (size_t)got;
    }
    text[n] = '\0';
    if (strlen(text) != n)
        return -EBADMSG;
    *ret = NSH_TAKE_PTR(text);
    return 0;
}

/* ---- the archive ---- */

int nsh_state_archive_begin(struct nsh_state *s)
{
    int fd = openat(s->dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd >= 0 && nsh_user_hand_over(fd, s->dir) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    if (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT)
        return -errno;
    /* A file system that has no nameless files: take the name away, accept copies it then. */
    char tmp[TMP_NAME];
    fd = create_tmp(s, NSH_STATE_ACCEPTED_NAME, tmp);
    if (fd >= 0)
        (void)unlinkat(s->dir, tmp, 0);
    return fd;
}

static int copy_to(struct nsh_state *s, int from, char tmp[static TMP_NAME])
{
    nsh_autoclose int to = create_tmp(s, NSH_STATE_ACCEPTED_NAME, tmp);
    struct stat st;
    off_t at = 0;

    if (to < 0)
        return to;
    int e = fstat(from, &st) < 0 ? -errno : 0;
    while (e == 0 && at < st.st_size) {
        ssize_t n = sendfile(to, from, &at, (size_t)(st.st_size - at));

        if (n < 0 && errno != EINTR)
            e = -errno;
        else if (n == 0)
            e = -EIO; /* it got shorter under our hands */
    }
    if (e == 0 && fsync(to) < 0)
        e = -errno;
    if (e < 0)
        (void)unlinkat(s->dir, tmp, 0);
    return e;
}

int nsh_state_archive_store(struct nsh_state *s, enum nsh_archive_name name, int fd)
{
    char path[32], tmp[TMP_NAME];

    if (fsync(fd) < 0)
        return -errno;
    tmp_name(s, nsh_state_archives[name], tmp);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (linkat(AT_FDCWD, path, s->dir, tmp, AT_SYMLINK_FOLLOW) < 0) {
        /* No name can be given to it (begin's second way), or /proc is not there. */
        int e = copy_to(s, fd, tmp);

        if (e < 0)
            return e;
    }
    return install(s, tmp, nsh_state_archives[name]);
}

int nsh_state_archive_open(struct nsh_state *s, enum nsh_archive_name name)
{
    off_t size = 0;

    return open_file(s, nsh_state_archives[name], &size);
}

static bool same_bytes(int a, int b, off_t size)
{
    char of_a[16384], of_b[sizeof(of_a)];

    for (off_t at = 0; at < size;) {
        ssize_t n = pread(a, of_a, sizeof(of_a), at);

        if (n <= 0 || pread(b, of_b, (size_t)n, at) != n || memcmp(of_a, of_b, (size_t)n) != 0)
            return false;
        at += n;
    }
    return true;
}

bool nsh_state_archive_same(struct nsh_state *s, enum nsh_archive_name name, int fd)
{
    off_t size = 0;
    struct stat st;
    nsh_autoclose int named = open_file(s, nsh_state_archives[name], &size);

    return named >= 0 && fstat(fd, &st) == 0 && st.st_size == size && same_bytes(named, fd, size);
}

/* ---- sysctls ---- */

/* It will be written to below /proc/sys: only a plain path in net/, with no way up in it. */
static bool key_is_safe_n(const char *key, size_t n)
{
    if (n >= sizeof(((struct nsh_sysctl_before *)0)->key) || n < 5 || strncmp(key, "net/", 4) != 0)
        return false;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)key[i] <= ' ' || key[i] == 0x7f)
            return false;
    for (size_t start = 0, i = 0; i <= n; i++) {
        if (i < n && key[i] != '/')
            continue;
        size_t length = i - start;
        if (length == 0 || (length == 1 && key[start] == '.') ||
                (length == 2 && key[start] == '.' && key[start + 1] == '.'))
            return false;
        start = i + 1;
    }
    return true;
}

bool nsh_state_key_is_safe(const char *key)
{
    return key_is_safe_n(key, strnlen(key, sizeof(((struct nsh_sysctl_before *)0)->key)));
}

/* A decimal as printf writes it, no other form; it ends at `end`. */
static bool parse_int(const char *text, char end, int *ret, const char **ret_after)
{
    const char *digits = text + (*text == '-');
    char *after;

    if (!isdigit((unsigned char)*digits) || (*digits == '0' && isdigit((unsigned char)digits[1])) ||
            (*text == '-' && *digits == '0'))
        return false;
    errno = 0;
    long n = strtol(text, &after, 10);
    if (errno != 0 || n < INT_MIN || n > INT_MAX || *after != end)
        return false;
    *ret = (int)n;
    *ret_after = after + 1;
    return true;
}

/*
 * The first line: the boot and the network namespace in which the values were switched. In any
 * other they are not ours, whatever they are. A boot is known by its id; in a container also by
 * when it was, since some have an id of their own that a sandboxed service in them does not see.
 */
struct head {
    char boot[64];
    intmax_t began; /* seconds since the epoch */
    uintmax_t netns;
};
#define BOOT_TOLERANCE 5 /* seconds: clocks are slewed */

static int head_now(struct head *ret)
{
    struct head h = {0};
    struct timespec real, up;
    struct stat st;
    NSH_CLEANUP(fclosep) FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

    *ret = h;
    if (!f || !fgets(h.boot, sizeof(h.boot), f))
        return -EIO;
    h.boot[strcspn(h.boot, "\n")] = '\0';
    if (stat("/proc/self/ns/net", &st) < 0 || clock_gettime(CLOCK_REALTIME, &real) < 0 ||
            clock_gettime(CLOCK_BOOTTIME, &up) < 0)
        return -errno;
    h.netns = st.st_ino;
    h.began = (intmax_t)real.tv_sec - (intmax_t)up.tv_sec;
    *ret = h;
    return 0;
}

/* -EBADMSG: no such line. */
static int head_parse(const char *text, struct head *ret, size_t *ret_length)
{
    int length = 0;

    if (sscanf(text, "boot %63[0-9a-f-] at %jd netns %ju%n", ret->boot, &ret->began, &ret->netns,
                &length) != 3 ||
            length == 0 || text[length] != '\n')
        return -EBADMSG;
    *ret_length = (size_t)length + 1;
    return 0;
}

static bool head_same(const struct head *a, const struct head *b)
{
    intmax_t apart = a->began > b->began ? a->began - b->began : b->began - a->began;
    /* systemd's own mark; elsewhere a clock without a battery begins at one time at every boot. */
    bool in_container = access("/run/systemd/container", F_OK) == 0;

    return a->netns == b->netns &&
           (strcmp(a->boot, b->boot) == 0 || (in_container && apart <= BOOT_TOLERANCE));
}

/* One line; true with `at` behind it. */
static bool parse_sysctl(const char **at, struct nsh_sysctl_before *ret)
{
    size_t n = strcspn(*at, " \n");

    if ((*at)[n] != ' ' || !key_is_safe_n(*at, n))
        return false;
    memset(ret, 0, sizeof(*ret));
    memcpy(ret->key, *at, n);
    return parse_int(*at + n + 1, ' ', &ret->before, at) && parse_int(*at, '\n', &ret->ours, at);
}

static int parse_sysctls(const char *text, struct nsh_sysctl_before **ret, size_t *ret_n)
{
    size_t n = 0, lines = 0;

    for (const char *p = text; *p; p++)
        lines += *p == '\n';
    if (lines > NSH_SYSCTLS_MAX)
        return -EBADMSG;
    nsh_autofree struct nsh_sysctl_before *list = calloc(lines + 1, sizeof(*list));
    if (!list)
        return -ENOMEM;
    for (const char *at = text; *at; n++)
        if (n == lines || !parse_sysctl(&at, &list[n]))
            return -EBADMSG;
    *ret = NSH_TAKE_PTR(list);
    *ret_n = n;
    return 0;
}

int nsh_state_sysctls_load(struct nsh_state *s, struct nsh_sysctl_before **ret, size_t *ret_n)
{
    nsh_autofree char *text = NULL;
    struct head now, then;
    size_t length;
    int e = nsh_state_read(s, SYSCTLS, SYSCTLS_SIZE_MAX, &text);

    if (e < 0 && e != -ENOENT)
        return e;
    if (!text || *text == '\0')
        return parse_sysctls("", ret, ret_n);
    e = head_parse(text, &then, &length);
    if (e == 0)
        e = head_now(&now);
    if (e < 0)
        return e;
    return parse_sysctls(head_same(&now, &then) ? text + length : "", ret, ret_n);
}

int nsh_state_sysctls_save(struct nsh_state *s, const struct nsh_sysctl_before *list, size_t n)
{
    nsh_autofree char *text = NULL;
    size_t size = 0;
    struct head head;

    if (n > NSH_SYSCTLS_MAX)
        return -E2BIG;
    int e = head_now(&head);
    if (e < 0)
        return e;
    FILE *to = open_memstream(&text, &size);
    if (!to)
        return -ENOMEM;
    bool safe = true;
    fprintf(to, "boot %s at %jd netns %ju\n", head.boot, head.began, head.netns);
    for (size_t i = 0; i < n && safe; i++) {
        safe = nsh_state_key_is_safe(list[i].key);
        if (safe)
            fprintf(to, "%s %d %d\n", list[i].key, list[i].before, list[i].ours);
    }
    int failed = ferror(to);
    if (fclose(to) != 0 || failed)
        return -ENOMEM;
    return safe ? nsh_state_replace(s, SYSCTLS, text, size) : -EINVAL;
}

/* ---- the protocol ---- */

int nsh_state_protocol_load(struct nsh_state *s, uint8_t *ret)
{
    nsh_autofree char *text = NULL;
    const char *after;
    int value, e = nsh_state_read(s, PROTOCOL, 16, &text);

    if (e < 0)
        return e;
    if (!text || !parse_int(text, '\n', &value, &after) || *after != '\0' || value < 1 ||
            value > UINT8_MAX)
        return -EBADMSG;
    *ret = (uint8_t)value;
    return 0;
}

int nsh_state_protocol_save(struct nsh_state *s, uint8_t protocol)
{
    char text[16];
    int n = snprintf(text, sizeof(text), "%u\n", protocol);

    return protocol == 0 ? -EINVAL : nsh_state_replace(s, PROTOCOL, text, (size_t)n);
}
