/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When packet rules are looked at: once a second while there is something to look for, and soon
 * after a firewall hints that somebody may have changed them.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common.h"
#include "manager.h"

#define POLL_USEC 1000000ULL
/* Legacy iptables hands out a whole table to tell that it is as it was: with thousands of policies
 * looks come less often, so that they take no more than one part in so many of the time. */
#define POLL_SHARE 50
#define POLL_MAX_USEC 10000000ULL
/* The rest that a look waits for after hints comes by then: some ask iptables something all the
 * time. */
#define HINT_PATIENCE_USEC 250000ULL
/* Looks for hints come no sooner one after the other: some change nf_tables all the time. */
#define HINT_APART_USEC 10000ULL

static int arm_poll(struct manager *m, uint64_t cost)
{
    uint64_t rest = cost * POLL_SHARE;

    rest = rest < POLL_USEC ? POLL_USEC : rest > POLL_MAX_USEC ? POLL_MAX_USEC : rest;
    m->poll_due = nsh_clock(NULL) + rest;
    return sd_event_source_set_time(m->poll, m->poll_due);
}

static void take_hints(struct manager *m)
{
    struct nsh_firewall *other = nsh_firewalls_other(&m->firewalls);

    m->firewall->ops->hint_take(m->firewall);
    if (m->other_hint)
        other->ops->hint_take(other);
}

/*
 * As a user of our own we lock the file that root lets us read. If somebody replaces it, only root
 * can do that again, and does when the service starts. Who has no service is left as they are.
 */
static bool has_lost_lock(struct manager *m)
{
    int q;

    if (m->firewall != m->firewalls.iptables || !getenv("NOTIFY_SOCKET"))
        return false;
    q = nsh_firewall_iptc_lockable();
    if (q == 0)
        m->lockable = true;
    /* Root makes it anew by locking it. */
    return m->lockable && (q == -EACCES || (q == -ENOENT && geteuid() != 0));
}

static int start_anew(struct manager *m)
{
    m->starts_anew = true;
    manager_report(m, NSH_REPORT_WARNING,
            "the lock file of iptables was replaced by one that netshared may not read; it starts "
            "anew, which makes it readable");
    return sd_event_exit(m->event, 0);
}

static int listen_to_other(struct manager *m);
static int listen_to_others(struct manager *m);

/* Others may have begun to keep their NAT in the other firewall, or have ended. */
static void judge_others(struct manager *m)
{
    struct nsh_firewall *other = nsh_firewalls_other(&m->firewalls);

    if (m->others && other->ops->others_changed(other) > 0)
        manager_choose_firewall(m, nsh_reconciler_desired(m->reconciler));
}

int manager_look(struct manager *m)
{
    uint64_t began;

    take_hints(m);
    if (has_lost_lock(m))
        return start_anew(m);
    listen_to_other(m);
    listen_to_others(m);
    judge_others(m);
    m->hinted = false;
    began = nsh_clock(NULL);
    nsh_reconciler_poll(m->reconciler);
    m->looked = nsh_clock(NULL);
    arm_poll(m, m->looked - began);
    return nsh_reconciler_due(m->reconciler) ? manager_schedule(m) : 0;
}

int manager_on_poll(sd_event_source *s, uint64_t at, void *userdata)
{
    (void)s;
    (void)at;
    return manager_look(userdata);
}

/*
 * Somebody may have changed the tables: the poll comes early. But with iptables not at once, in the
 * middle of a script, where we would take the lock between two of its commands, or fill again what
 * it has just emptied to delete it.
 */
static int on_hint(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
    struct manager *m = userdata;
    uint64_t now = nsh_clock(NULL), at;
    int q;

    (void)revents;
    take_hints(m);
    q = manager_queue_up(s, fd);
    if (q < 0)
        return q;
    if (!m->hinted && m->poll_due > now + HINT_PATIENCE_USEC)
        m->poll_due = now + HINT_PATIENCE_USEC;
    m->hinted = true;
    at = now + m->firewall->ops->hint_rest_usec;
    if (at < m->looked + HINT_APART_USEC)
        at = m->looked + HINT_APART_USEC;
    if (at <= now)
        return manager_look(m);
    return sd_event_source_set_time(m->poll, at < m->poll_due ? at : m->poll_due);
}

/* While rules of the other firewall matter, and only if there are any: to ask could load its
 * module. */
static int listen_to_other(struct manager *m)
{
    struct nsh_firewall *other = nsh_firewalls_other(&m->firewalls);
    int fd;

    if (m->other_hint || !nsh_reconciler_wants_other(m->reconciler) ||
            (other->ops->in_use && !other->ops->in_use(other)))
        return 0;
    fd = other->ops->hint_fd(other);
    return fd < 0 ? 0 : sd_event_add_io(m->event, &m->other_hint, fd, EPOLLIN, on_hint, m);
}

static int on_others(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
    struct manager *m = userdata;

    (void)s;
    (void)fd;
    (void)revents;
    judge_others(m);
    return manager_schedule(m);
}

/* In the same way, to who translates there. */
static int listen_to_others(struct manager *m)
{
    struct nsh_firewall *other = nsh_firewalls_other(&m->firewalls);
    int fd, q;

    if (m->others || !other->ops->others_fd || (other->ops->in_use && !other->ops->in_use(other)))
        return 0;
    fd = other->ops->others_fd(other);
    q = fd < 0 ? 0 : sd_event_add_io(m->event, &m->others, fd, EPOLLIN, on_others, m);
    return q < 0 || !m->others ? q : sd_event_source_set_priority(m->others, MANAGER_PRIORITY_WORK);
}

static void stop_listening(struct manager *m)
{
    m->others = sd_event_source_unref(m->others);
    m->hint = sd_event_source_unref(m->hint);
    m->other_hint = sd_event_source_unref(m->other_hint);
}

int manager_listen_for_hints(struct manager *m)
{
    int fd = m->firewall->ops->hint_fd(m->firewall), q = 0;

    stop_listening(m);
    if (fd >= 0)
        q = sd_event_add_io(m->event, &m->hint, fd, EPOLLIN, on_hint, m);
    if (q >= 0)
        q = listen_to_other(m);
    return q < 0 ? q : listen_to_others(m);
}

int manager_start_or_stop_poll(struct manager *m)
{
    bool poll = nsh_reconciler_wants_poll(m->reconciler);
    int enabled, q;

    q = sd_event_source_get_enabled(m->poll, &enabled);
    if (q < 0 || poll == (enabled != SD_EVENT_OFF))
        return q;
    stop_listening(m);
    if (!poll)
        return sd_event_source_set_enabled(m->poll, SD_EVENT_OFF);
    q = manager_listen_for_hints(m);
    if (q >= 0)
        q = arm_poll(m, 0);
    return q < 0 ? q : sd_event_source_set_enabled(m->poll, SD_EVENT_ON);
}
