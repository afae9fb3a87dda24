/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "lock.h"
#include "text.h"

#ifndef GRND_INSECURE /* glibc 2.34 */
#define GRND_INSECURE 4
#endif

/* What a program that asked for JSON is told if the command fails. */
static struct {
    bool wanted;
    char *text;
} complaint;

static void remember(char *text)
{
    free(complaint.text);
    complaint.text = text;
}

void nsh_complain_args(const char *format, va_list args)
{
    nsh_autofree char *text = NULL, *clean = NULL;

    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    if (text)
        clean = nsh_text_lines(text);
    fprintf(stderr, "netshared: %s\n", clean ? clean : strerror(ENOMEM));
    if (complaint.wanted)
        remember(NSH_TAKE_PTR(clean));
}

int nsh_complain(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    nsh_complain_args(format, args);
    va_end(args);
    return NSH_EXIT_FAILED;
}

void nsh_complain_of(const struct nsh_diags *diags)
{
    nsh_diags_print(diags, stderr);
    if (complaint.wanted && nsh_diags_errors(diags) > 0)
        remember(nsh_diags_format(diags));
}

void nsh_answer_begin(bool json)
{
    complaint.wanted = json;
}

static void print_complaint(void)
{
    nsh_autofree char *clean = nsh_text_utf8(complaint.text);
    json_t *root = clean ? json_pack("{s:s}", "error", clean) : NULL;

    if (root && json_dumpf(root, stdout, JSON_COMPACT) == 0)
        putchar('\n');
    json_decref(root);
}

int nsh_answer_end(int code)
{
    if (complaint.text && (code == NSH_EXIT_FAILED || code == NSH_EXIT_USAGE))
        print_complaint();
    complaint.wanted = false;
    remember(NULL);
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    /* Why is known if it was this last piece. */
    return nsh_complain("standard output can't be written to%s%s", errno != 0 ? ": " : "",
            errno != 0 ? strerror(errno) : "");
}

const char *nsh_unreadable_why(int error)
{
    return error == -EAGAIN ? "it changes all the time; try again" : strerror(-error);
}

int nsh_unreadable(const char *what, int error)
{
    bool forbidden = error == -EPERM || error == -EACCES;

    return nsh_complain("cannot read %s: %s%s", what, nsh_unreadable_why(error),
            forbidden && geteuid() != 0 ? "; this takes root (sudo)" : "");
}

int nsh_no_answer(const struct nsh_options *o, int error)
{
    if (error == -ENOENT || error == -ECONNREFUSED) {
        pid_t holder = nsh_lock_holder();

        return holder > 0
                       ? nsh_complain("netshared (process %d) runs, but its socket is not in %s: "
                                      "is it starting, or a command at work? Else give the "
                                      "--runtime-directory it was started with; or restart it, "
                                      "if somebody removed that",
                                 (int)holder, o->runtime_directory)
                       : nsh_complain("no daemon runs for this network namespace (no socket in "
                                      "%s)",
                                 o->runtime_directory);
    }
    if (error == -EACCES || error == -EPERM)
        return nsh_complain("not allowed: this takes root (sudo); status, metrics and watch, which "
                            "change nothing, also a member of the group netshared");
    return nsh_complain("the daemon did not answer: %s", strerror(-error));
}

uint64_t nsh_clock(void *userdata)
{
    struct timespec t;

    (void)userdata;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

uint64_t nsh_realtime(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

void nsh_random(void *ret, size_t size)
{
    uint8_t *to = ret;
    uint64_t now = nsh_clock(NULL);

    if (getrandom(to, size, GRND_INSECURE) == (ssize_t)size ||
            getrandom(to, size, GRND_NONBLOCK) == (ssize_t)size)
        return;
    for (size_t i = 0; i < size; i++) {
        now = now * 6364136223846793005ULL + 1442695040888963407ULL;
        to[i] = (uint8_t)(now >> 56);
    }
}

/* https://no-color.org: set and not empty. */
bool nsh_wants_colour(void)
{
    const char *never = getenv("NO_COLOR"), *terminal = getenv("TERM");

    return isatty(STDOUT_FILENO) && (!never || *never == '\0') && terminal &&
           strcmp(terminal, "dumb") != 0;
}

/* For a directory that others could change, and for one of somebody else's. */
static const char *reason(int error)
{
    if (error == -EACCES && geteuid() != 0)
        return "this takes root (sudo)";
    if (error == -EPERM)
        return "it can be written by others, or belongs to somebody else (chmod go-w, chown root)";
    return strerror(-error);
}

int nsh_writer_take(const struct nsh_options *o, struct nsh_writer *ret, pid_t *ret_holder)
{
    struct nsh_writer w = NSH_WRITER_NONE;

    *ret_holder = 0;
    w.lock_fd = nsh_lock_take(o->runtime_directory, ret_holder);
    if (w.lock_fd == -EBUSY)
        return -EBUSY;
    if (w.lock_fd < 0)
        return nsh_complain(
                "cannot take the lock in %s: %s", o->runtime_directory, reason(w.lock_fd));
    w.name_fd = nsh_lock_claim(ret_holder);
    if (w.name_fd == -EBUSY) {
        nsh_writer_done(&w);
        return -EBUSY;
    }
    if (w.name_fd == -EADDRINUSE)
        nsh_complain("warning: somebody who is not root holds our name in this network namespace; "
                     "only daemons with the runtime directory %s keep off each other",
                o->runtime_directory);
    *ret = w;
    return NSH_EXIT_OK;
}

void nsh_writer_done(struct nsh_writer *w)
{
    nsh_closep(&w->lock_fd);
    nsh_closep(&w->name_fd);
    *w = (struct nsh_writer)NSH_WRITER_NONE;
}

int nsh_writer_state(const struct nsh_options *o, struct nsh_state **ret)
{
    int q = nsh_state_open(o->state_directory, ret);

    if (q == -EBUSY)
        return nsh_complain("another netshared uses the state directory %s; each network namespace "
                            "needs its own: --state-directory",
                o->state_directory);
    if (q < 0)
        return nsh_complain("cannot use the state directory %s: %s", o->state_directory, reason(q));
    return NSH_EXIT_OK;
}

/* Under another name first, then in place of the old. */
static int replace_file(const char *path, mode_t mode, const char *text)
{
    nsh_autofree char *next = NULL;
    FILE *to;

    if (asprintf(&next, "%s.%d.new", path, (int)getpid()) < 0)
        return -ENOMEM;
    nsh_autoclose int fd = open(next, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0)
        return -errno;
    to = fdopen(fd, "w");
    if (!to)
        return -errno;
    (void)NSH_TAKE_FD(fd);
    int e = fputs(text, to) == EOF || fflush(to) != 0 || fchmod(fileno(to), mode) < 0 ? -errno : 0;
    if (fclose(to) != 0 && e == 0)
        e = -errno;
    if (e == 0 && rename(next, path) < 0)
        e = -errno;
    if (e < 0)
        (void)unlink(next);
    return e;
}

/* A device or a pipe in its place would be gone; who wants that says so to a shell. */
int nsh_write_output(const char *path, const char *text)
{
    struct stat st;
    bool there = lstat(path, &st) == 0;
    int e;

    if (there && !S_ISREG(st.st_mode))
        return nsh_complain("cannot write %s: it is there, and no regular file", path);
    e = replace_file(path, there ? st.st_mode & 0777 : 0644, text);
    return e < 0 ? nsh_complain("cannot write %s: %s", path, strerror(-e)) : NSH_EXIT_OK;
}
