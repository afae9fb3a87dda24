/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A path is walked from the root, name by name. Where a name is a link it is noted with the
 * directory that it is in, and the walk goes on at its target; the last name is noted too, and one
 * that does not exist: it may come. So a ConfigMap is followed, whose files are links to
 * ..data/FILE, and ..data a link that is turned to another directory.
 *
 * A new file counts when it is closed, for until then it is half of one; a link, hard or symbolic,
 * when it is there.
 */
#include "file-watch.h"

#include <errno.h>
#include <limits.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"

/* Names in all. More files than that are no configuration that is written by hand. */
#define NAMES_MAX 1024
#define LINKS_MAX 40 /* as the kernel's */

/* Quiet for so long; but with something always happening, no later than that. */
#define QUIET_USEC 250000ULL
#define LATEST_USEC 2000000ULL
/* The clock of file systems goes by ticks. */
#define TICK_USEC 10000ULL

#define CHANGED                                                                         \
    (IN_CLOSE_WRITE | IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB | \
            IN_DELETE_SELF | IN_MOVE_SELF)

struct name {
    int watch;
    bool ending; /* `text` is the end of a name, not all of it */
    bool fresh;  /* it came in this round */
    bool kept;   /* it was said in this round */
    char *directory, *text;
};

struct nsh_file_watch {
    int fd;
    sd_event *event;
    sd_event_source *source, *timer;
    nsh_files_changed *changed;
    void *userdata;
    struct name names[NAMES_MAX];
    size_t n;
    int error;       /* of this round */
    uint64_t latest; /* CLOCK_BOOTTIME; 0: nothing changed */
    char *what;      /* changed first */
};

static uint64_t now(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* ---- what changed ---- */

static void note(struct nsh_file_watch *w, const char *directory, const char *name)
{
    uint64_t at = now(CLOCK_BOOTTIME), due;

    if (w->latest == 0) {
        w->latest = at + LATEST_USEC;
        free(w->what);
        if (asprintf(&w->what, "%s%s%s", directory, name[0] ? "/" : "", name) < 0)
            w->what = NULL;
    }
    due = at + QUIET_USEC < w->latest ? at + QUIET_USEC : w->latest;
    sd_event_source_set_time(w->timer, due);
    sd_event_source_set_enabled(w->timer, SD_EVENT_ONESHOT);
}

static bool fits(const struct name *name, const char *text)
{
    size_t n = strlen(text), ending = strlen(name->text);

    if (!name->ending)
        return strcmp(name->text, text) == 0;
    return text[0] != '.' && n > ending && strcmp(text + n - ending, name->text) == 0;
}

/* A plain file that somebody has begun to write. */
static bool is_begun(const char *directory, const char *name)
{
    char path[PATH_MAX];
    struct stat st;

    return (size_t)snprintf(path, sizeof path, "%s/%s", directory, name) < sizeof path &&
           lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1;
}

static void take(struct nsh_file_watch *w, const struct inotify_event *e, const char *text)
{
    for (size_t i = 0; i < w->n; i++) {
        const struct name *name = &w->names[i];

        if (name->watch != e->wd)
            continue;
        if (e->mask & (IN_DELETE_SELF | IN_MOVE_SELF))
            text = name->ending ? "" : name->text;
        else if (!fits(name, text) || ((e->mask & IN_CREATE) && is_begun(name->directory, text)))
            continue;
        note(w, name->directory, text);
        return;
    }
}

static int on_events(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
    struct nsh_file_watch *w = userdata;
    alignas(struct inotify_event) char buf[8192];
    ssize_t n = read(fd, buf, sizeof buf);

    (void)s;
    (void)revents;
    for (ssize_t at = 0; at < n;) {
        struct inotify_event e;

        memcpy(&e, buf + at, sizeof e);
        if (e.mask & IN_Q_OVERFLOW)
            note(w, "something", "");
        else
            take(w, &e, e.len > 0 ? buf + at + sizeof e : "");
        at += (ssize_t)(sizeof e + e.len);
    }
    return 0;
}

static int on_quiet(sd_event_source *s, uint64_t at, void *userdata)
{
    struct nsh_file_watch *w = userdata;
    nsh_autofree char *what = NSH_TAKE_PTR(w->what);

    (void)s;
    (void)at;
    w->latest = 0;
    w->changed(w->userdata, what ? what : "a file");
    return 0;
}

/* ---- what is watched ---- */

static struct name *find(
        struct nsh_file_watch *w, const char *directory, const char *text, bool ending)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->names[i].ending == ending && strcmp(w->names[i].text, text) == 0 &&
                strcmp(w->names[i].directory, directory) == 0)
            return &w->names[i];
    return NULL;
}

static bool is_used(const struct nsh_file_watch *w, int wd)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->names[i].kept && w->names[i].watch == wd)
            return true;
    return false;
}

/* Another directory has its name now, and it has another one. */
static void forget(struct nsh_file_watch *w, int watch)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->names[i].watch == watch)
            return;
    (void)inotify_rm_watch(w->fd, watch);
}

/* The directory may be another one by now, so the kernel is asked each time. */
static int add(struct nsh_file_watch *w, const char *directory, const char *text, bool ending)
{
    int watch = inotify_add_watch(w->fd, directory, CHANGED | IN_ONLYDIR);
    struct name *known = find(w, directory, text, ending);

    if (watch < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
    if (known) {
        int before = known->watch;

        known->fresh = known->fresh || before != watch;
        known->watch = watch;
        known->kept = true;
        if (before != watch)
            forget(w, before);
        return 0;
    }
    if (w->n == NAMES_MAX)
        return -E2BIG;
    struct name name = {.watch = watch,
            .ending = ending,
            .fresh = true,
            .kept = true,
            .directory = strdup(directory),
            .text = strdup(text)};
    if (!name.directory || !name.text) {
        free(name.directory);
        free(name.text);
        return -ENOMEM;
    }
    w->names[w->n++] = name;
    return 0;
}

static void watch(struct nsh_file_watch *w, const char *directory, const char *text, bool ending)
{
    int q = add(w, directory[0] ? directory : "/", text, ending);

    if (q < 0 && w->error == 0)
        w->error = q;
}

struct walk {
    char at[PATH_MAX];   /* the directory reached, without links; "": the root */
    char rest[PATH_MAX]; /* still to go */
    char part[NAME_MAX + 1];
};

static bool next_part(struct walk *k)
{
    const char *p = k->rest + strspn(k->rest, "/");
    size_t n = strcspn(p, "/");

    if (n == 0 || n > NAME_MAX)
        return false;
    memcpy(k->part, p, n);
    k->part[n] = '\0';
    memmove(k->rest, p + n, strlen(p + n) + 1);
    return true;
}

static bool join(char *to, const char *a, const char *b)
{
    char joined[PATH_MAX];
    int n = snprintf(joined, sizeof joined, "%s/%s", a, b);

    if (n < 0 || (size_t)n >= sizeof joined)
        return false;
    memcpy(to, joined, (size_t)n + 1);
    return true;
}

/* Goes on at the target of the link `path`. */
static bool follow(struct walk *k, const char *path)
{
    char target[PATH_MAX];
    ssize_t n = readlink(path, target, sizeof target - 1);

    if (n <= 0)
        return false;
    target[n] = '\0';
    if (target[0] == '/')
        k->at[0] = '\0';
    return join(k->rest, target, k->rest);
}

static void step_up(struct walk *k)
{
    char *slash = strrchr(k->at, '/');

    if (slash)
        *slash = '\0';
}

/* Notes what a change of would lead elsewhere; true: the directory at the end is in `k->at`. */
static bool walk(struct nsh_file_watch *w, struct walk *k)
{
    char path[PATH_MAX];
    int links = 0;
    struct stat st;

    while (next_part(k)) {
        bool last = k->rest[strspn(k->rest, "/")] == '\0';

        if (strcmp(k->part, ".") == 0)
            continue;
        if (strcmp(k->part, "..") == 0) {
            step_up(k);
            continue;
        }
        if (!join(path, k->at, k->part))
            return false;
        bool there = lstat(path, &st) == 0, link = there && S_ISLNK(st.st_mode);
        if (!there || link || last)
            watch(w, k->at, k->part, false);
        if (!there || (link && (++links > LINKS_MAX || !follow(k, path))))
            return false;
        if (!link)
            memcpy(k->at, path, strlen(path) + 1);
    }
    return true;
}

static bool start(struct walk *k, const char *path)
{
    char here[PATH_MAX];

    *k = (struct walk){0};
    if (path[0] == '/')
        return join(k->rest, "", path);
    return getcwd(here, sizeof here) && join(k->rest, here, path);
}

void nsh_file_watch_begin(struct nsh_file_watch *w)
{
    w->error = 0;
    for (size_t i = 0; i < w->n; i++)
        w->names[i].kept = w->names[i].fresh = false;
}

void nsh_file_watch_add(struct nsh_file_watch *w, const char *path)
{
    struct walk k;

    if (start(&k, path))
        walk(w, &k);
}

void nsh_file_watch_add_names(struct nsh_file_watch *w, const char *directory, const char *ending)
{
    struct walk k;

    if (start(&k, directory) && walk(w, &k))
        watch(w, k.at, ending, true);
}

static void drop(struct name *name)
{
    free(name->directory);
    free(name->text);
}

/* Of an ending all there is to go by is the directory. */
static bool changed_since(const struct name *name, uint64_t since)
{
    char path[PATH_MAX];
    struct stat st;
    bool fits_in = name->ending || (size_t)snprintf(path, sizeof path, "%s/%s", name->directory,
                                           name->text) < sizeof path;

    if (!fits_in || lstat(name->ending ? name->directory : path, &st) < 0)
        return false;
    return (uint64_t)st.st_ctim.tv_sec * 1000000 + (uint64_t)st.st_ctim.tv_nsec / 1000 +
                   TICK_USEC >=
           since;
}

int nsh_file_watch_end(struct nsh_file_watch *w, uint64_t since)
{
    size_t kept = 0;

    for (size_t i = 0; i < w->n; i++)
        if (!w->names[i].kept && !is_used(w, w->names[i].watch))
            (void)inotify_rm_watch(w->fd, w->names[i].watch);
    for (size_t i = 0; i < w->n; i++) {
        struct name *name = &w->names[i];

        if (!name->kept) {
            drop(name);
            continue;
        }
        if (name->fresh && changed_since(name, since))
            note(w, name->directory, name->ending ? "" : name->text);
        w->names[kept++] = *name;
    }
    w->n = kept;
    return w->error;
}

/* ---- the whole ---- */

int nsh_file_watch_new(
        sd_event *event, nsh_files_changed *changed, void *userdata, struct nsh_file_watch **ret)
{
    struct nsh_file_watch *w = calloc(1, sizeof *w);
    int q;

    if (!w)
        return -ENOMEM;
    w->event = sd_event_ref(event);
    w->changed = changed;
    w->userdata = userdata;
    w->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    q = w->fd < 0 ? -errno : sd_event_add_io(event, &w->source, w->fd, EPOLLIN, on_events, w);
    if (q >= 0)
        q = sd_event_add_time(event, &w->timer, CLOCK_BOOTTIME, 0, TICK_USEC, on_quiet, w);
    if (q >= 0)
        q = sd_event_source_set_enabled(w->timer, SD_EVENT_OFF);
    if (q < 0) {
        nsh_file_watch_free(w);
        return q;
    }
    *ret = w;
    return 0;
}

void nsh_file_watch_free(struct nsh_file_watch *w)
{
    if (!w)
        return;
    sd_event_source_disable_unref(w->source);
    sd_event_source_disable_unref(w->timer);
    sd_event_unref(w->event);
    nsh_closep(&w->fd);
    for (size_t i = 0; i < w->n; i++)
        drop(&w->names[i]);
    free(w->what);
    free(w);
}
