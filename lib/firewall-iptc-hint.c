/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hint that somebody worked on legacy iptables, of which the kernel tells nobody: iptables, its
 * restore and its save open the lock file and close it when they are through. It is no more than a
 * hint. Who only looked, and we ourselves, close the file too; who skips the lock, or has another
 * /run, is not seen. So it brings the next look forward and replaces none.
 *
 * A watch is on a file, not on a name. When the file goes or is replaced, the watch moves to what
 * has the name then, which is made anew as the lock would do it. Where that can't be done, it is
 * tried again whenever events are taken.
 *
 * Beside it the kernel's audit records, which say who it was (firewall-iptc-audit.c).
 */
#include "firewall-iptc-xt.h"

#include <errno.h>
#include <stdalign.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "cleanup.h"

/* The last three: another file may have the name now. */
#define USED (IN_CLOSE_WRITE | IN_CLOSE_NOWRITE)
#define LOST (IN_ATTRIB | IN_MOVE_SELF | IN_DELETE_SELF)

void nsh_xt_hint_init(struct nsh_xt_hint *h)
{
    *h = (struct nsh_xt_hint){.fd = -1, .watch = -1, .both = -1};
    nsh_xt_audit_init(&h->audit);
}

void nsh_xt_hint_done(struct nsh_xt_hint *h)
{
    nsh_closep(&h->both);
    nsh_closep(&h->fd);
    nsh_xt_audit_done(&h->audit);
    nsh_xt_hint_init(h);
}

static int add_watch(const struct nsh_xt_hint *h)
{
    return inotify_add_watch(h->fd, nsh_xt_lock_path(), USED | LOST | IN_DONT_FOLLOW);
}

/* On the file that is watched already this changes nothing. */
static void follow(struct nsh_xt_hint *h)
{
    int watch = add_watch(h);

    if (watch < 0 && errno == ENOENT) {
        int made = nsh_xt_lock_file();

        nsh_closep(&made);
        watch = add_watch(h);
    }
    if (h->watch >= 0 && h->watch != watch)
        inotify_rm_watch(h->fd, h->watch);
    h->watch = watch;
}

static int watch_lock(struct nsh_xt_hint *h)
{
    if (h->fd >= 0)
        return h->fd;
    h->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (h->fd < 0)
        return -errno;
    follow(h);
    return h->fd;
}

static bool join(const struct nsh_xt_hint *h, int fd)
{
    struct epoll_event event = {.events = EPOLLIN};

    return fd >= 0 && epoll_ctl(h->both, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* Either of the two will do. */
int nsh_xt_hint_fd(struct nsh_xt_hint *h)
{
    bool lock, audit;

    if (h->both >= 0)
        return h->both;
    h->both = epoll_create1(EPOLL_CLOEXEC);
    if (h->both < 0)
        return -errno;
    lock = join(h, watch_lock(h));
    audit = join(h, nsh_xt_audit_fd(&h->audit));
    if (lock || audit)
        return h->both;
    nsh_closep(&h->both);
    h->both = -1;
    return -EOPNOTSUPP;
}

static bool is_lost(const struct nsh_xt_hint *h, const struct inotify_event *e)
{
    if (e->mask & IN_Q_OVERFLOW)
        return true;
    return e->wd == h->watch && (e->mask & (LOST | IN_IGNORED));
}

/* One piece: what is left keeps the descriptor readable. */
void nsh_xt_hint_take(struct nsh_xt_hint *h)
{
    alignas(struct inotify_event) char buf[4096];
    bool lost = h->watch < 0;
    ssize_t n;

    nsh_xt_audit_take(&h->audit);
    if (h->fd < 0)
        return;
    n = read(h->fd, buf, sizeof buf);
    for (ssize_t at = 0; at < n;) {
        struct inotify_event e;

        memcpy(&e, buf + at, sizeof e);
        lost = lost || is_lost(h, &e);
        at += (ssize_t)(sizeof e + e.len);
    }
    if (lost)
        follow(h);
}
