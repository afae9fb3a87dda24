/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The listener. At most NSH_CONTROL_PEERS_MAX connections are served at a time; who comes later
 * waits in the socket's queue, so that a crowd of honest clients is served one after the other,
 * while a peer that only holds its place loses it as soon as somebody waits for it.
 */
#include "control.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cleanup.h"
#include "control-internal.h"

#define SILENT_USEC 10000000ULL
#define CROWDED_USEC 1000000ULL
#define ALIAS "control"

NSH_DEFINE_CLEANUP(struct nsh_control *, nsh_control_free)

/* ---- accepting ---- */

static uint64_t now_of(struct nsh_control *c)
{
    uint64_t now = 0;

    (void)sd_event_now(c->event, CLOCK_MONOTONIC, &now);
    return now;
}

static void unlink_peer(struct nsh_control *c, struct nsh_control_peer *p)
{
    struct nsh_control_peer **at = &c->peers;

    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    c->n_peers--;
}

/* Drops the one that has been idle longest, if that is long enough. */
static bool make_room(struct nsh_control *c)
{
    struct nsh_control_peer *oldest = NULL;

    for (struct nsh_control_peer *p = c->peers; p; p = p->next)
        if (p->n_replies == 0 && !p->watching && (!oldest || p->since < oldest->since))
            oldest = p;
    if (!oldest || now_of(c) < oldest->since + c->crowded_usec)
        return false;
    unlink_peer(c, oldest);
    nsh_control_peer_free(oldest);
    return true;
}

/* No place, or no descriptors: looks away from the queue for a while instead of spinning. */
static void pause_accepting(struct nsh_control *c)
{
    (void)sd_event_source_set_enabled(c->listen, SD_EVENT_OFF);
    (void)sd_event_source_set_time(c->again, now_of(c) + c->crowded_usec);
    (void)sd_event_source_set_enabled(c->again, SD_EVENT_ONESHOT);
}

static void resume_accepting(struct nsh_control *c)
{
    (void)sd_event_source_set_enabled(c->again, SD_EVENT_OFF);
    (void)sd_event_source_set_enabled(c->listen, SD_EVENT_ON);
}

static size_t count_readers(const struct nsh_control *c)
{
    size_t n = 0;

    for (const struct nsh_control_peer *p = c->peers; p; p = p->next)
        n += p->access == NSH_LOCAL_READ;
    return n;
}

static void add_peer(struct nsh_control *c, int accepted)
{
    nsh_autoclose int fd = accepted;
    enum nsh_local_access access = nsh_local_access(fd);
    struct nsh_control_peer *p;

    if (access == NSH_LOCAL_NONE ||
            (access == NSH_LOCAL_READ && count_readers(c) >= NSH_CONTROL_READERS_MAX) ||
            nsh_control_peer_new(c, &fd, access, &p) < 0)
        return;
    p->next = c->peers;
    c->peers = p;
    c->n_peers++;
}

static int on_listen(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    struct nsh_control *c = userdata;

    (void)source;
    (void)revents;
    for (int i = 0; i < NSH_CONTROL_PEERS_MAX; i++) {
        /* Room is made for somebody who waits; after the first one, who does wakes us again. */
        if (i > 0 && c->n_peers >= NSH_CONTROL_PEERS_MAX)
            return 0;
        if (c->n_peers >= NSH_CONTROL_PEERS_MAX && !make_room(c)) {
            pause_accepting(c);
            return 0;
        }
        int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (client >= 0)
            add_peer(c, client);
        else if (errno == EAGAIN)
            return 0;
        else if (errno != EINTR && errno != ECONNABORTED) {
            pause_accepting(c);
            return 0;
        }
    }
    return 0;
}

static int on_again(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source;
    (void)usec;
    resume_accepting(userdata);
    return 0;
}

static int on_reap(sd_event_source *source, void *userdata)
{
    struct nsh_control *c = userdata;

    (void)source;
    for (struct nsh_control_peer *p = c->peers, *next; p; p = next) {
        next = p->next;
        if (p->done) {
            unlink_peer(c, p);
            nsh_control_peer_free(p);
        }
    }
    resume_accepting(c);
    return 0;
}

void nsh_control_reap_later(struct nsh_control *c)
{
    (void)sd_event_source_set_enabled(c->reap, SD_EVENT_ONESHOT);
}

/* ---- making and ending it ---- */

static int add_sources(struct nsh_control *c)
{
    sd_event_source *const *sources[] = {&c->listen, &c->again, &c->reap};
    int e = sd_event_add_io(c->event, &c->listen, c->fd, EPOLLIN, on_listen, c);

    if (e >= 0)
        e = sd_event_add_time(c->event, &c->again, CLOCK_MONOTONIC, 0, 0, on_again, c);
    if (e >= 0)
        e = sd_event_source_set_enabled(c->again, SD_EVENT_OFF);
    if (e >= 0)
        e = sd_event_add_defer(c->event, &c->reap, on_reap, c);
    if (e >= 0)
        e = sd_event_source_set_enabled(c->reap, SD_EVENT_OFF);
    for (size_t i = 0; i < NSH_ARRAY_SIZE(sources) && e >= 0; i++)
        e = sd_event_source_set_priority(*sources[i], NSH_CONTROL_PRIORITY);
    return e < 0 ? e : 0;
}

int nsh_control_new(sd_event *event, const char *path, const struct nsh_control_handler *handler,
        struct nsh_control **ret)
{
    NSH_CLEANUP(nsh_control_freep) struct nsh_control *c = calloc(1, sizeof(*c));

    if (!c)
        return -ENOMEM;
    c->fd = nsh_local_listen(path, ALIAS);
    if (c->fd < 0)
        return c->fd;
    snprintf(c->path, sizeof(c->path), "%s", path);
    c->event = sd_event_ref(event);
    c->handler = *handler;
    c->silent_usec = SILENT_USEC;
    c->crowded_usec = CROWDED_USEC;
    int e = add_sources(c);
    if (e < 0)
        return e;
    *ret = NSH_TAKE_PTR(c);
    return 0;
}

size_t nsh_control_watchers(const struct nsh_control *c)
{
    size_t n = 0;

    for (const struct nsh_control_peer *p = c->peers; p; p = p->next)
        n += p->watching && !p->done;
    return n;
}

bool nsh_control_watched(const struct nsh_control *c)
{
    return nsh_control_watchers(c) > 0;
}

void nsh_control_tell(struct nsh_control *c, const char *json)
{
    for (struct nsh_control_peer *p = c->peers; p; p = p->next)
        if (p->watching && !p->done)
            nsh_control_peer_tell(p, json);
}

void nsh_control_free(struct nsh_control *c)
{
    if (!c)
        return;
    while (c->peers) {
        struct nsh_control_peer *p = c->peers;

        c->peers = p->next;
        nsh_control_peer_free(p);
    }
    sd_event_source_disable_unref(c->listen);
    sd_event_source_disable_unref(c->again);
    sd_event_source_disable_unref(c->reap);
    sd_event_unref(c->event);
    if (c->fd >= 0) {
        nsh_local_unlink(c->path, ALIAS);
        close(c->fd);
    }
    free(c);
}
