/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One connection of the control channel.
 *
 * A peer lives until it hangs up, breaks the rules, or gets no answer for too long: only a
 * finished call counts, so that one who sends a byte now and then gains nothing. While a call is
 * under way it is we who are silent. The rules: it only calls, few answers may wait to be read,
 * few calls may be under way. One who watches may be silent, but there is not room for many, and
 * what it is sent has to be read. sd-bus itself bounds a message to 128 MiB and takes no more
 * memory for it than has arrived.
 *
 * A peer never frees itself: it is marked done, and the listener takes it away when none of its
 * callbacks is running.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "control-internal.h"
#include "text.h"
#include "version.h"

struct nsh_control_reply {
    struct nsh_control_peer *peer; /* NULL: the client is gone */
    struct nsh_control_reply *next;
    sd_bus_message *call;
};

NSH_DEFINE_CLEANUP(struct nsh_control_peer *, nsh_control_peer_free)

static uint64_t now_of(struct nsh_control_peer *p)
{
    uint64_t now = 0;

    (void)sd_event_now(p->control->event, CLOCK_MONOTONIC, &now);
    return now;
}

static void finish(struct nsh_control_peer *p)
{
    p->done = true;
    nsh_control_reap_later(p->control);
}

/* It got an answer: its time runs anew. */
static void answered(struct nsh_control_peer *p)
{
    p->since = now_of(p);
    if (sd_event_source_set_time(p->silence, p->since + p->control->silent_usec) < 0 ||
            sd_event_source_set_enabled(p->silence, SD_EVENT_ONESHOT) < 0)
        finish(p);
}

static int on_silence(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct nsh_control_peer *p = userdata;

    (void)source;
    (void)usec;
    if (p->n_replies == 0 && !p->watching)
        finish(p);
    return 0;
}

/* ---- replies ---- */

static void unlink_reply(struct nsh_control_peer *p, struct nsh_control_reply *reply)
{
    struct nsh_control_reply **at = &p->replies;

    while (*at != reply)
        at = &(*at)->next;
    *at = reply->next;
    p->n_replies--;
}

static int send_verdict(sd_bus_message *call, bool accepted, const char *text)
{
    nsh_autofree char *cut =
            strndup(text ? text : "", NSH_CONTROL_TEXT_MAX); /* half a character at the end goes */
    nsh_autofree char *clean = cut ? nsh_text_utf8(cut) : NULL;

    return sd_bus_reply_method_return(call, "bs", (int)accepted, clean ? clean : "");
}

static int send_text(sd_bus_message *call, const char *text)
{
    nsh_autofree char *clean =
            text && strlen(text) <= NSH_CONTROL_TEXT_MAX ? nsh_text_utf8(text) : NULL;

    if (!clean)
        return sd_bus_reply_method_errno(
                call, text && strlen(text) > NSH_CONTROL_TEXT_MAX ? EMSGSIZE : ENOMEM, NULL);
    return sd_bus_reply_method_return(call, "s", clean);
}

/* `sent`: what sending the answer came to. */
static void end_reply(struct nsh_control_reply *reply, int sent)
{
    struct nsh_control_peer *p = reply->peer;

    if (p) {
        unlink_reply(p, reply);
        if (sent < 0)
            finish(p);
        else
            answered(p);
        sd_bus_message_unref(reply->call);
    }
    free(reply);
}

void nsh_control_reply_reload(struct nsh_control_reply *reply, bool accepted, const char *text)
{
    end_reply(reply, reply->peer ? send_verdict(reply->call, accepted, text) : 0);
}

void nsh_control_reply_text(struct nsh_control_reply *reply, const char *text)
{
    end_reply(reply, reply->peer ? send_text(reply->call, text) : 0);
}

/* ---- what a client may say ---- */

static int refuse(sd_bus_error *error)
{
    return sd_bus_error_set(error, SD_BUS_ERROR_ACCESS_DENIED,
            "this needs root; members of the socket's group may only read");
}

/*
 * The first call of every client that takes us for a message bus, as busctl does: it wants to know
 * its own name. We give one and ignore whom a message is addressed to.
 */
static int on_hello(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    (void)userdata;
    (void)error;
    return sd_bus_reply_method_return(m, "s", ":1.1");
}

static int get_version(sd_bus *bus, const char *path, const char *interface, const char *property,
        sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    (void)bus;
    (void)path;
    (void)interface;
    (void)property;
    (void)userdata;
    (void)error;
    return sd_bus_message_append(reply, "s", NSH_VERSION);
}

/* A call that is answered later. */
static int new_reply(struct nsh_control_peer *p, sd_bus_message *m, sd_bus_error *error,
        struct nsh_control_reply **ret)
{
    struct nsh_control_reply *reply = NULL;

    if (p->n_replies >= NSH_CONTROL_PENDING_MAX)
        return sd_bus_error_set(
                error, SD_BUS_ERROR_LIMITS_EXCEEDED, "too many calls are under way");
    reply = calloc(1, sizeof(*reply));
    if (!reply)
        return -ENOMEM;
    reply->peer = p;
    reply->call = sd_bus_message_ref(m);
    reply->next = p->replies;
    p->replies = reply;
    p->n_replies++;
    *ret = reply;
    return 1;
}

static int on_change(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct nsh_control_peer *p = userdata;
    const struct nsh_control_handler *h = &p->control->handler;
    struct nsh_control_reply *reply = NULL;

    if (p->access < NSH_LOCAL_CHANGE)
        return refuse(error);
    int e = new_reply(p, m, error, &reply);
    if (e <= 0)
        return e;
    if (sd_bus_message_is_method_call(m, NULL, "Confirm") > 0)
        h->confirm(h->userdata, reply);
    else if (sd_bus_message_is_method_call(m, NULL, "Revert") > 0)
        h->revert(h->userdata, reply);
    else
        h->reload(h->userdata, reply);
    return 1;
}

static int on_try(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct nsh_control_peer *p = userdata;
    const struct nsh_control_handler *h = &p->control->handler;
    struct nsh_control_reply *reply = NULL;
    uint64_t timeout;
    int fd;

    if (p->access < NSH_LOCAL_CHANGE)
        return refuse(error);
    int e = sd_bus_message_read(m, "ht", &fd, &timeout);
    if (e < 0)
        return e;
    nsh_autoclose int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3); /* the message has its own */
    if (copy < 0)
        return -errno;
    e = new_reply(p, m, error, &reply);
    if (e > 0)
        h->try(h->userdata, NSH_TAKE_FD(copy), timeout, reply);
    return e;
}

static int on_question(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct nsh_control_peer *p = userdata;
    struct nsh_control_reply *reply = NULL;
    int e = new_reply(p, m, error, &reply);

    for (size_t i = 0; e > 0 && i < NSH_CONTROL_QUESTIONS; i++)
        if (sd_bus_message_is_method_call(m, NULL, nsh_control_questions[i]) > 0)
            p->control->handler.ask(
                    p->control->handler.userdata, (enum nsh_control_question)i, reply);
    return e;
}

static int on_watch(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct nsh_control_peer *p = userdata;

    if (!p->watching && nsh_control_watchers(p->control) >= NSH_CONTROL_WATCHERS_MAX)
        return sd_bus_error_set(error, SD_BUS_ERROR_LIMITS_EXCEEDED, "too many are watching");
    p->watching = true;
    return sd_bus_reply_method_return(m, "");
}

void nsh_control_peer_tell(struct nsh_control_peer *p, const char *json)
{
    nsh_autofree char *clean = nsh_text_utf8(json);
    uint64_t waiting = 0;

    if (!clean || sd_bus_get_n_queued_write(p->bus, &waiting) < 0 ||
            waiting >= NSH_CONTROL_EVENTS_MAX ||
            sd_bus_emit_signal(
                    p->bus, NSH_CONTROL_OBJECT, NSH_CONTROL_INTERFACE, "Event", "s", clean) < 0)
        finish(p);
}

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Reload", SD_BUS_NO_ARGS, SD_BUS_RESULT("b", accepted, "s", text),
                on_change, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Try", SD_BUS_ARGS("h", archive, "t", timeout_usec),
                SD_BUS_RESULT("b", accepted, "s", text), on_try, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Confirm", SD_BUS_NO_ARGS, SD_BUS_RESULT("b", accepted, "s", text),
                on_change, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Revert", SD_BUS_NO_ARGS, SD_BUS_RESULT("b", accepted, "s", text),
                on_change, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Status", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", json), on_question,
                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Metrics", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", text), on_question,
                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("OpenMetrics", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", text),
                on_question, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS(
                "Watch", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, on_watch, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_SIGNAL_WITH_ARGS("Event", SD_BUS_ARGS("s", json), 0),
        SD_BUS_PROPERTY("Version", "s", get_version, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_VTABLE_END,
};

static const sd_bus_vtable bus_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Hello", "", "s", on_hello, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

/* Sees every message before anything else does. 1: it goes no further. */
static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct nsh_control_peer *p = userdata;
    uint64_t waiting = 0;

    (void)error;
    if (p->done)
        return 1;
    if (sd_bus_message_is_method_call(m, NULL, p->watching ? "Watch" : NULL) <=
                    0 || /* also: Disconnected */
            sd_bus_get_n_queued_write(p->bus, &waiting) < 0 ||
            waiting >= (p->watching ? NSH_CONTROL_EVENTS_MAX : NSH_CONTROL_QUEUE_MAX)) {
        finish(p);
        return 1;
    }
    return 0;
}

/* ---- making and ending it ---- */

static int no_nodes(
        sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes, sd_bus_error *error)
{
    (void)bus;
    (void)prefix;
    (void)userdata;
    (void)error;
    *ret_nodes = NULL;
    return 0;
}

/*
 * One after the other: an object whose parents sd-bus makes by itself leaves those behind when
 * memory ends in the middle, and then to free the bus ends the process.
 */
static int add_parents(sd_bus *bus)
{
    static const char *const paths[] = {"/", "/io", "/io/netshared", "/org", "/org/freedesktop"};
    int e = 0;

    for (size_t i = 0; i < NSH_ARRAY_SIZE(paths) && e >= 0; i++)
        e = sd_bus_add_node_enumerator(bus, NULL, paths[i], no_nodes, NULL);
    return e;
}

/* Who the peer is was asked of its socket; each method looks at that itself. */
static int set_up_bus(struct nsh_control_peer *p)
{
    sd_id128_t id;
    int e = sd_id128_randomize(&id);

    if (e >= 0)
        e = sd_bus_set_server(p->bus, true, id);
    if (e >= 0)
        e = sd_bus_set_anonymous(p->bus, false);
    if (e >= 0)
        e = sd_bus_set_trusted(p->bus, true);
    if (e >= 0)
        e = sd_bus_negotiate_fds(p->bus, true);
    /* At the end of the event loop sd-bus would wait for slow readers otherwise. */
    if (e >= 0)
        e = sd_bus_set_close_on_exit(p->bus, false);
    if (e >= 0)
        e = sd_bus_add_filter(p->bus, NULL, on_message, p);
    if (e >= 0)
        e = add_parents(p->bus);
    if (e >= 0)
        e = sd_bus_add_object_vtable(
                p->bus, NULL, NSH_CONTROL_OBJECT, NSH_CONTROL_INTERFACE, vtable, p);
    if (e >= 0)
        e = sd_bus_add_object_vtable(
                p->bus, NULL, "/org/freedesktop/DBus", "org.freedesktop.DBus", bus_vtable, p);
    return e;
}

static int add_silence(struct nsh_control_peer *p)
{
    sd_event *event = p->control->event;
    int e = sd_event_add_time(event, &p->silence, CLOCK_MONOTONIC,
            p->since + p->control->silent_usec, 0, on_silence, p);

    if (e >= 0)
        e = sd_event_source_set_priority(p->silence, NSH_CONTROL_PRIORITY);
    return e;
}

int nsh_control_peer_new(
        struct nsh_control *c, int *fd, enum nsh_local_access access, struct nsh_control_peer **ret)
{
    NSH_CLEANUP(nsh_control_peer_freep) struct nsh_control_peer *p = calloc(1, sizeof(*p));

    if (!p)
        return -ENOMEM;
    p->control = c;
    p->access = access;
    p->since = now_of(p);
    int e = add_silence(p);
    if (e >= 0)
        e = sd_bus_new(&p->bus);
    if (e >= 0)
        e = set_up_bus(p);
    if (e < 0)
        return e;
    e = sd_bus_set_fd(p->bus, *fd, *fd);
    if (e < 0)
        return e;
    *fd = -1; /* the bus closes it, whatever follows */
    e = sd_bus_start(p->bus);
    if (e >= 0)
        e = sd_bus_attach_event(p->bus, c->event, NSH_CONTROL_PRIORITY);
    if (e < 0)
        return e;
    *ret = NSH_TAKE_PTR(p);
    return 0;
}

void nsh_control_peer_free(struct nsh_control_peer *p)
{
    if (!p)
        return;
    for (struct nsh_control_reply *reply = p->replies; reply; reply = reply->next) {
        reply->peer = NULL;
        reply->call = sd_bus_message_unref(reply->call);
    }
    sd_event_source_disable_unref(p->silence);
    sd_bus_close_unref(p->bus);
    free(p);
}
