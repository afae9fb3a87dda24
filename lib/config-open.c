/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "config-open.h"

#define LINKS_MAX 40 /* as the kernel's */

struct opener {
    const char *path; /* as the user gave it */
    bool directory;   /* it is one that is wanted */
    enum nsh_config_trust trust;
    struct nsh_diags *diags;
    bool unsafe;             /* trust is required and something can't be trusted */
    int at;                  /* the directory reached, O_PATH */
    char real[PATH_MAX];     /* its path, without links */
    char rest[PATH_MAX];     /* what is still to walk */
    char part[NAME_MAX + 1]; /* the component in hand */
    unsigned links;
};

/* The same finding comes again for every file below a directory: once is enough. */
static bool already_said(const struct opener *o, const char *text)
{
    for (size_t i = 0; i < nsh_diags_count(o->diags); i++)
        if (strstr(nsh_diags_get(o->diags, i)->text, text))
            return true;
    return false;
}

static void distrust(
        struct opener *o, const char *what, const char *real, const char *why, const char *remedy)
{
    char shown[512], text[1024], hint[640];
    enum nsh_severity severity = o->trust == NSH_TRUST_REQUIRED ? NSH_DIAG_ERROR : NSH_DIAG_WARNING;

    if (o->trust == NSH_TRUST_REQUIRED)
        o->unsafe = true;
    nsh_printable(real, strlen(real), shown, sizeof(shown));
    (void)snprintf(text, sizeof(text), "%s %s %s", what, shown, why);
    (void)snprintf(hint, sizeof(hint), "%s '%s'", remedy, shown);
    if (!already_said(o, text))
        nsh_diag_add(o->diags, severity, o->path, 0, 0, hint, "%s", text);
}

/* Whether none but root and ourselves can write to it. In a sticky directory others may, but
 * not replace what is not theirs. */
static void judge(struct opener *o, const struct stat *st, const char *real)
{
    bool directory = S_ISDIR(st->st_mode);
    const char *what = directory ? "the directory" : S_ISLNK(st->st_mode) ? "the link" : "the file";
    char why[128];

    if (st->st_uid != 0 && st->st_uid != geteuid()) {
        (void)snprintf(why, sizeof(why), "belongs to user %u, who could change the configuration%s",
                (unsigned)st->st_uid,
                o->trust == NSH_TRUST_REQUIRED ? "" : "; it is taken with --trust-files only");
        distrust(o, what, real, why, S_ISLNK(st->st_mode) ? "chown -h root" : "chown root");
    }
    if (S_ISLNK(st->st_mode) || (directory && st->st_mode & S_ISVTX))
        return;
    if (st->st_mode & (S_IWGRP | S_IWOTH)) {
        (void)snprintf(why, sizeof(why), "can be written by others (mode %04o)%s",
                (unsigned)(st->st_mode & 07777),
                o->trust == NSH_TRUST_REQUIRED ? "" : ", which is taken with --trust-files only");
        distrust(o, what, real, why, "chmod go-w");
    }
}

/* The path of a component of the directory reached. */
static int join(const struct opener *o, char *buf, size_t size)
{
    int n = snprintf(buf, size, "%s%s%s", strcmp(o->real, "/") == 0 ? "" : o->real, "/", o->part);

    return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

static int go_to_root(struct opener *o)
{
    struct stat st;
    int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    if (o->at >= 0)
        close(o->at);
    o->at = fd;
    memcpy(o->real, "/", 2);
    if (fstat(fd, &st) < 0)
        return -errno;
    judge(o, &st, "/");
    return 0;
}

/* Puts `first` before what is left to walk. */
static int push(struct opener *o, const char *first)
{
    char joined[PATH_MAX];
    int n = snprintf(joined, sizeof(joined), "%s/%s", first, o->rest);

    if (n < 0 || (size_t)n >= sizeof(joined))
        return -ENAMETOOLONG;
    memcpy(o->rest, joined, (size_t)n + 1);
    return first[0] == '/' ? go_to_root(o) : 0;
}

/* Takes the next component to `part`; false: none is left. */
static bool pop(struct opener *o)
{
    const char *p = o->rest + strspn(o->rest, "/");
    size_t n = strcspn(p, "/");

    if (n == 0 || n > NAME_MAX)
        return false;
    memcpy(o->part, p, n);
    o->part[n] = '\0';
    memmove(o->rest, p + n, strlen(p + n) + 1);
    return true;
}

static bool is_last(const struct opener *o)
{
    return o->rest[strspn(o->rest, "/")] == '\0';
}

static int follow(struct opener *o, int link, const struct stat *st)
{
    char target[PATH_MAX], real[PATH_MAX];
    ssize_t n;
    int r = join(o, real, sizeof(real));

    if (r < 0)
        return r;
    if (++o->links > LINKS_MAX)
        return -ELOOP;
    judge(o, st, real);
    n = readlinkat(link, "", target, sizeof(target) - 1);
    if (n < 0)
        return -errno;
    if (n == 0)
        return -ENOENT;
    target[n] = '\0';
    return push(o, target);
}

/* Steps into the directory `fd`, which is taken over. */
static int enter(struct opener *o, int fd, const struct stat *st)
{
    char real[PATH_MAX];
    char *slash;
    int r;

    if (strcmp(o->part, "..") == 0) {
        slash = strrchr(o->real, '/');
        slash[slash == o->real] = '\0';
    } else if (strcmp(o->part, ".") != 0) {
        r = join(o, real, sizeof(real));
        if (r < 0) {
            close(fd);
            return r;
        }
        memcpy(o->real, real, strlen(real) + 1);
    }
    close(o->at);
    o->at = fd;
    judge(o, st, o->real);
    return 0;
}

static const char *kind(mode_t mode)
{
    return S_ISDIR(mode)    ? "a directory"
           : S_ISREG(mode)  ? "a file"
           : S_ISFIFO(mode) ? "a FIFO"
           : S_ISSOCK(mode) ? "a socket"
           : S_ISCHR(mode)  ? "a character device"
           : S_ISBLK(mode)  ? "a block device"
                            : "something else";
}

static int refuse_kind(struct opener *o, mode_t mode)
{
    nsh_diag_add(o->diags, NSH_DIAG_ERROR, o->path, 0, 0, NULL, "this is %s, not a %s", kind(mode),
            o->directory ? "directory" : "regular file");
    return S_ISDIR(mode) ? -EISDIR : o->directory ? -ENOTDIR : -EINVAL;
}

/* Opens the last component, whose kind was seen already; the descriptor is what counts. */
static int open_last(struct opener *o)
{
    nsh_autoclose int fd = -1;
    char real[PATH_MAX];
    struct stat st;
    int r = join(o, real, sizeof(real));

    if (r < 0)
        return r;
    fd = openat(o->at, o->part,
            O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW |
                    (o->directory ? O_DIRECTORY : 0));
    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (o->directory ? !S_ISDIR(st.st_mode) : !S_ISREG(st.st_mode))
        return refuse_kind(o, st.st_mode);
    if (!o->directory && (uint64_t)st.st_size > NSH_CONFIG_FILE_MAX) {
        nsh_diag_add(o->diags, NSH_DIAG_ERROR, o->path, 0, 0, "use several files",
                "the file is larger than 256 MiB");
        return -EINVAL;
    }
    judge(o, &st, real);
    return NSH_TAKE_FD(fd);
}

static int walk(struct opener *o)
{
    while (pop(o)) {
        nsh_autoclose int fd = openat(o->at, o->part, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        struct stat st;
        int r;

        if (fd < 0 || fstat(fd, &st) < 0)
            return -errno;
        if (S_ISLNK(st.st_mode)) {
            r = follow(o, fd, &st);
            if (r < 0)
                return r;
            continue;
        }
        if (is_last(o)) {
            if (o->directory ? !S_ISDIR(st.st_mode) : !S_ISREG(st.st_mode))
                return refuse_kind(o, st.st_mode);
            return open_last(o);
        }
        if (!S_ISDIR(st.st_mode))
            return -ENOTDIR;
        r = enter(o, NSH_TAKE_FD(fd), &st);
        if (r < 0)
            return r;
    }
    return o->rest[strspn(o->rest, "/")] ? -ENAMETOOLONG : -ENOENT;
}

static void opener_done(struct opener *o)
{
    if (o->at >= 0)
        close(o->at);
}

static int begin(struct opener *o)
{
    char here[PATH_MAX];
    int r;

    if (strlen(o->path) >= sizeof(o->rest))
        return -ENAMETOOLONG;
    memcpy(o->rest, o->path, strlen(o->path) + 1);
    if (o->path[0] == '/')
        return go_to_root(o);
    if (o->path[0] == '\0')
        return -ENOENT;
    if (!getcwd(here, sizeof(here)))
        return -errno;
    r = here[0] == '/' ? push(o, here) : -ENOENT;
    return r;
}

static bool is_link(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
}

/* The daemon need not be root, and a file of root's may be for root alone. */
static const char *readable_how(const char *path, char *buf, size_t size)
{
    char shown[512];

    nsh_printable(path, strlen(path), shown, sizeof(shown));
    (void)snprintf(buf, size, "it is read as user %u and group %u: chgrp %u '%s' && chmod g+r '%s'",
            (unsigned)geteuid(), (unsigned)getegid(), (unsigned)getegid(), shown, shown);
    return buf;
}

static int open_path(const char *path, bool directory, enum nsh_config_trust trust,
        const char *hint, struct nsh_diags *diags)
{
    NSH_CLEANUP(opener_done)
    struct opener o = {
            .path = path, .directory = directory, .trust = trust, .diags = diags, .at = -1};
    size_t errors = nsh_diags_errors(diags);
    nsh_autoclose int fd = -1;
    char let[1200];
    int r = begin(&o);

    fd = r < 0 ? -1 : walk(&o);
    r = r < 0 ? r : fd;
    /* Absent is fine for a directory; a link to what is absent is somebody's mistake. */
    if (r == -ENOENT && directory && !o.unsafe && !is_link(path))
        return r;
    if (r < 0) {
        if (nsh_diags_errors(diags) == errors)
            nsh_diag_add(diags, NSH_DIAG_ERROR, path, 0, 0,
                    r == -EACCES ? readable_how(path, let, sizeof(let)) : hint,
                    "can't be opened: %s", strerror(-r));
        return r;
    }
    return o.unsafe ? -EPERM : NSH_TAKE_FD(fd);
}

int nsh_open_file(
        const char *path, enum nsh_config_trust trust, const char *hint, struct nsh_diags *diags)
{
    return open_path(path, false, trust, hint, diags);
}

int nsh_open_directory(const char *path, enum nsh_config_trust trust, struct nsh_diags *diags)
{
    return open_path(path, true, trust, NULL, diags);
}
