/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A request is what comes up to the first empty line (RFC 1945, section 5); nothing in it makes a
 * difference. The answer is written as the client takes it, and the connection closed.
 */
#include "metrics-socket.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cleanup.h"
#include "control-internal.h"
#include "local.h"

#define ALIAS "metrics"
#define SCRAPES_MAX 4
#define REQUEST_MAX 4096
/* From the connection to the end of the answer. */
#define PATIENCE_USEC 5000000ULL
#define PAUSE_USEC 1000000ULL

struct nsh_scrape {
    struct nsh_metrics_socket *socket; /* NULL: the connection is gone */
    struct nsh_scrape *next;
    sd_event_source *io, *timer;
    int fd;
    bool asked; /* a reply is owed to it */
    char request[REQUEST_MAX];
    size_t n_request;
    char *answer; /* NULL: not known yet */
    size_t n_answer, sent;
};

struct nsh_metrics_socket {
    sd_event *event;
    sd_event_source *listen;
    sd_event_source *again; /* after a pause */
    nsh_scrape_asked *asked;
    void *userdata;
    struct nsh_scrape *scrapes;
    size_t n;
    int fd;
    char path[108];
};

/* ---- one connection ---- */

/* One that waits for its reply lives on until that. */
static void close_scrape(struct nsh_scrape *s)
{
    s->socket = NULL;
    s->io = sd_event_source_disable_unref(s->io);
    s->timer = sd_event_source_disable_unref(s->timer);
    close(s->fd);
    free(s->answer);
    if (!s->asked)
        free(s);
}

/* Its place is free again. */
static void end_scrape(struct nsh_scrape *s)
{
    struct nsh_metrics_socket *m = s->socket;

    for (struct nsh_scrape **at = &m->scrapes; *at; at = &(*at)->next) {
        if (*at == s) {
            *at = s->next;
            m->n--;
            break;
        }
    }
    (void)sd_event_source_set_enabled(m->listen, SD_EVENT_ON);
    close_scrape(s);
}

static void send_answer(struct nsh_scrape *s)
{
    while (s->sent < s->n_answer) {
        ssize_t n = send(s->fd, s->answer + s->sent, s->n_answer - s->sent, MSG_NOSIGNAL);

        if (n > 0)
            s->sent += (size_t)n;
        else if (n < 0 && errno == EAGAIN)
            return; /* it is called again */
        else if (n == 0 || errno != EINTR)
            break;
    }
    (void)shutdown(s->fd, SHUT_WR);
    end_scrape(s);
}

static void read_request(struct nsh_scrape *s)
{
    ssize_t n = recv(s->fd, s->request + s->n_request, sizeof(s->request) - 1 - s->n_request, 0);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    s->n_request += n > 0 ? (size_t)n : 0;
    s->request[s->n_request] = '\0';
    if (strstr(s->request, "\r\n\r\n") || strstr(s->request, "\n\n")) {
        s->asked = true;
        (void)sd_event_source_set_io_events(s->io, 0); /* hanging up is told all the same */
        s->socket->asked(s->socket->userdata, s);
    } else if (n <= 0 || s->n_request == sizeof(s->request) - 1) {
        end_scrape(s);
    }
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    struct nsh_scrape *s = userdata;

    (void)source;
    (void)fd;
    if (s->answer)
        send_answer(s);
    else if (s->asked || (revents & EPOLLERR))
        end_scrape(s); /* it hung up */
    else
        read_request(s);
    return 0;
}

static int on_late(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source;
    (void)usec;
    end_scrape(userdata);
    return 0;
}

static char *make_answer(const char *text, size_t *ret_size)
{
    char *answer = NULL;
    int n = text ? asprintf(&answer,
                           "HTTP/1.0 200 OK\r\nContent-Type: application/openmetrics-text; "
                           "version=1.0.0; charset=utf-8\r\nContent-Length: %zu\r\n\r\n%s",
                           strlen(text), text)
                 : asprintf(&answer, "HTTP/1.0 503 No memory\r\n\r\n");

    *ret_size = n < 0 ? 0 : (size_t)n;
    return n < 0 ? NULL : answer;
}

void nsh_scrape_reply(struct nsh_scrape *s, const char *text)
{
    s->asked = false;
    if (!s->socket) {
        free(s);
        return;
    }
    s->answer = make_answer(text, &s->n_answer);
    if (!s->answer || sd_event_source_set_io_events(s->io, EPOLLOUT) < 0)
        end_scrape(s);
}

/* ---- the listener ---- */

static int add_scrape(struct nsh_metrics_socket *m, int *fd)
{
    struct nsh_scrape *s = calloc(1, sizeof(*s));
    uint64_t now = 0;

    if (!s)
        return -ENOMEM;
    *s = (struct nsh_scrape){.socket = m, .next = m->scrapes, .fd = NSH_TAKE_FD(*fd)};
    m->scrapes = s;
    m->n++;
    (void)sd_event_now(m->event, CLOCK_MONOTONIC, &now);
    int e = sd_event_add_io(m->event, &s->io, s->fd, EPOLLIN, on_io, s);
    if (e >= 0)
        e = sd_event_add_time(
                m->event, &s->timer, CLOCK_MONOTONIC, now + PATIENCE_USEC, 0, on_late, s);
    if (e >= 0)
        e = sd_event_source_set_priority(s->io, NSH_CONTROL_PRIORITY);
    if (e < 0)
        end_scrape(s);
    return e;
}

static void pause_listening(struct nsh_metrics_socket *m)
{
    uint64_t now = 0;

    (void)sd_event_now(m->event, CLOCK_MONOTONIC, &now);
    (void)sd_event_source_set_enabled(m->listen, SD_EVENT_OFF);
    (void)sd_event_source_set_time(m->again, now + PAUSE_USEC);
    (void)sd_event_source_set_enabled(m->again, SD_EVENT_ONESHOT);
}

/* With all places taken the next ones wait in the queue until one is free. */
static int on_listen(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    struct nsh_metrics_socket *m = userdata;
    nsh_autoclose int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    (void)revents;
    if (client < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
        pause_listening(m); /* no descriptors: it would be told of the same one all the time */
    if (client >= 0 && nsh_local_access(client) != NSH_LOCAL_NONE)
        (void)add_scrape(m, &client);
    if (m->n >= SCRAPES_MAX)
        (void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
    return 0;
}

static int on_again(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct nsh_metrics_socket *m = userdata;

    (void)source;
    (void)usec;
    if (m->n < SCRAPES_MAX)
        (void)sd_event_source_set_enabled(m->listen, SD_EVENT_ON);
    return 0;
}

int nsh_metrics_socket_new(sd_event *event, const char *path, nsh_scrape_asked *asked,
        void *userdata, struct nsh_metrics_socket **ret)
{
    struct nsh_metrics_socket *m = calloc(1, sizeof(*m));

    if (!m)
        return -ENOMEM;
    m->fd = nsh_local_listen(path, ALIAS);
    snprintf(m->path, sizeof(m->path), "%s", path);
    m->event = sd_event_ref(event);
    m->asked = asked;
    m->userdata = userdata;
    int e = m->fd < 0 ? m->fd : sd_event_add_io(event, &m->listen, m->fd, EPOLLIN, on_listen, m);
    if (e >= 0)
        e = sd_event_source_set_priority(m->listen, NSH_CONTROL_PRIORITY);
    if (e >= 0)
        e = sd_event_add_time(event, &m->again, CLOCK_MONOTONIC, 0, 0, on_again, m);
    if (e >= 0)
        e = sd_event_source_set_enabled(m->again, SD_EVENT_OFF);
    if (e < 0) {
        nsh_metrics_socket_free(m);
        return e;
    }
    *ret = m;
    return 0;
}

void nsh_metrics_socket_free(struct nsh_metrics_socket *m)
{
    if (!m)
        return;
    while (m->scrapes) {
        struct nsh_scrape *s = m->scrapes;

        m->scrapes = s->next;
        close_scrape(s);
    }
    sd_event_source_disable_unref(m->listen);
    sd_event_source_disable_unref(m->again);
    sd_event_unref(m->event);
    if (m->fd >= 0) {
        nsh_local_unlink(m->path, ALIAS);
        close(m->fd);
    }
    free(m);
}
