/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One call over one connection, with one deadline for all of it: connecting to a daemon whose
 * queue is full, the handshake, the answer. A watcher stays.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <systemd/sd-bus.h>
#include <time.h>

#include "cleanup.h"
#include "control-internal.h"
#include "lock.h"

const char *const nsh_control_questions[NSH_CONTROL_QUESTIONS] = {
        [NSH_CONTROL_STATUS] = "Status",
        [NSH_CONTROL_METRICS] = "Metrics",
        [NSH_CONTROL_OPENMETRICS] = "OpenMetrics",
};

/* A method, and of Try what goes with it. */
struct request {
    const char *method;
    int archive; /* -1: nothing */
    uint64_t trial_usec;
};

struct call {
    sd_bus_message *reply;
};

static uint64_t now_usec(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static uint64_t left_usec(uint64_t deadline)
{
    uint64_t now = now_usec();

    if (deadline == UINT64_MAX)
        return UINT64_MAX;
    return now < deadline ? deadline - now : 0;
}

/* connect(2) on a full queue waits SO_SNDTIMEO long, and says EAGAIN then. */
static int connect_socket(const char *path, uint64_t deadline)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);

    if (length >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, length + 1);
    nsh_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    for (;;) {
        uint64_t left = left_usec(deadline);

        if (left == 0)
            return -ETIMEDOUT;
        if (left != UINT64_MAX) {
            struct timeval tv = {(time_t)(left / 1000000), (suseconds_t)(left % 1000000)};

            if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) < 0)
                return -errno;
        }
        if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
            return NSH_TAKE_FD(fd);
        if (errno == EAGAIN)
            return -ETIMEDOUT;
        if (errno != EINTR)
            return -errno;
    }
}

static int open_bus(const char *path, uint64_t deadline, sd_bus **ret)
{
    NSH_CLEANUP(sd_bus_close_unrefp) sd_bus *bus = NULL;
    nsh_autoclose int fd = connect_socket(path, deadline);

    if (fd < 0)
        return fd;
    int e = sd_bus_new(&bus);
    if (e < 0)
        return e;
    e = sd_bus_set_fd(bus, fd, fd);
    if (e < 0)
        return e;
    (void)NSH_TAKE_FD(fd); /* the bus closes it */
    e = sd_bus_negotiate_fds(bus, true);
    if (e >= 0)
        e = sd_bus_start(bus);
    if (e < 0)
        return e;
    *ret = NSH_TAKE_PTR(bus);
    return 0;
}

static int on_reply(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    struct call *call = userdata;

    (void)error;
    call->reply = sd_bus_message_ref(reply);
    return 0;
}

static int wait_reply(sd_bus *bus, struct call *call, uint64_t deadline)
{
    while (!call->reply) {
        int e = sd_bus_process(bus, NULL);

        if (e < 0)
            return e;
        if (e > 0)
            continue;
        uint64_t left = left_usec(deadline);
        if (left == 0)
            return -ETIMEDOUT;
        e = sd_bus_wait(bus, left);
        if (e < 0 && e != -EINTR)
            return e;
    }
    /* What sd-bus says when the other side hung up; our own time-out is not known to it. */
    if (sd_bus_message_is_method_error(call->reply, SD_BUS_ERROR_NO_REPLY) > 0)
        return -ECONNRESET;
    int e = sd_bus_message_get_errno(call->reply);
    return sd_bus_message_is_method_error(call->reply, NULL) ? -(e > 0 ? e : EIO) : 0;
}

static int call_method(const char *path, uint64_t timeout_usec, const struct request *request,
        sd_bus **ret_bus, sd_bus_message **ret)
{
    NSH_CLEANUP(sd_bus_close_unrefp) sd_bus *bus = NULL;
    uint64_t now = now_usec();
    uint64_t deadline =
            timeout_usec == 0 || timeout_usec >= UINT64_MAX - now ? UINT64_MAX : now + timeout_usec;
    struct call call = {NULL};
    int e = open_bus(path, deadline, &bus);

    if (e < 0)
        return e;
    NSH_CLEANUP(sd_bus_message_unrefp) sd_bus_message *m = NULL;
    e = sd_bus_message_new_method_call(
            bus, &m, NULL, NSH_CONTROL_OBJECT, NSH_CONTROL_INTERFACE, request->method);
    if (e >= 0 && request->archive >= 0)
        e = sd_bus_message_append(m, "ht", request->archive, request->trial_usec);
    if (e < 0)
        return e;
    e = sd_bus_call_async(bus, NULL, m, on_reply, &call, UINT64_MAX);
    if (e >= 0)
        e = wait_reply(bus, &call, deadline);
    if (e < 0) {
        sd_bus_message_unref(call.reply);
        return e;
    }
    *ret_bus = NSH_TAKE_PTR(bus);
    *ret = call.reply;
    return 0;
}

static int call_verdict(const char *path, uint64_t timeout_usec, const struct request *request,
        bool *ret_accepted, char **ret_text)
{
    NSH_CLEANUP(sd_bus_close_unrefp) sd_bus *bus = NULL;
    NSH_CLEANUP(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    const char *text;
    int accepted, e = call_method(path, timeout_usec, request, &bus, &reply);

    if (e < 0)
        return e;
    e = sd_bus_message_read(reply, "bs", &accepted, &text);
    if (e < 0)
        return e;
    char *copy = strdup(text);
    if (!copy)
        return -ENOMEM;
    *ret_accepted = accepted;
    *ret_text = copy;
    return 0;
}

int nsh_control_call_reload(
        const char *path, uint64_t timeout_usec, bool *ret_accepted, char **ret_text)
{
    return call_verdict(
            path, timeout_usec, &(struct request){"Reload", .archive = -1}, ret_accepted, ret_text);
}

int nsh_control_call_confirm(
        const char *path, uint64_t timeout_usec, bool keep, bool *ret_accepted, char **ret_text)
{
    return call_verdict(path, timeout_usec,
            &(struct request){keep ? "Confirm" : "Revert", .archive = -1}, ret_accepted, ret_text);
}

int nsh_control_call_try(const char *path, uint64_t timeout_usec, int archive, uint64_t trial_usec,
        bool *ret_accepted, char **ret_text)
{
    return call_verdict(path, timeout_usec, &(struct request){"Try", archive, trial_usec},
            ret_accepted, ret_text);
}

int nsh_control_call_ask(const char *path, uint64_t timeout_usec,
        enum nsh_control_question question, char **ret_text)
{
    NSH_CLEANUP(sd_bus_close_unrefp) sd_bus *bus = NULL;
    NSH_CLEANUP(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    const char *text;
    int e = call_method(path, timeout_usec,
            &(struct request){nsh_control_questions[question], .archive = -1}, &bus, &reply);

    if (e < 0)
        return e;
    e = sd_bus_message_read(reply, "s", &text);
    if (e < 0)
        return e;
    char *copy = strdup(text);
    if (!copy)
        return -ENOMEM;
    *ret_text = copy;
    return 0;
}

int nsh_control_call_status(const char *directory, uint64_t timeout_usec, json_t **ret)
{
    nsh_autofree char *text = NULL;
    char path[108];
    json_t *status;
    int e = nsh_control_path(directory, path);

    if (e == 0)
        e = nsh_control_call_ask(path, timeout_usec, NSH_CONTROL_STATUS, &text);
    if (e < 0)
        return e;
    status = json_loads(text, 0, NULL);
    if (!status)
        return -EPROTO;
    *ret = status;
    return 0;
}

/* ---- watching ---- */

struct watcher {
    int (*event)(void *userdata, const char *json);
    void *userdata;
    int result;
};

static int on_event(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct watcher *w = userdata;
    const char *json;

    (void)error;
    if (sd_bus_message_is_signal(m, NSH_CONTROL_INTERFACE, "Event") > 0 && w->result == 0 &&
            sd_bus_message_read(m, "s", &json) > 0)
        w->result = w->event(w->userdata, json);
    return 0;
}

int nsh_control_watch(const char *path, uint64_t timeout_usec, void (*begun)(void *userdata),
        int (*event)(void *userdata, const char *json), void *userdata)
{
    NSH_CLEANUP(sd_bus_close_unrefp) sd_bus *bus = NULL;
    NSH_CLEANUP(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    struct watcher w = {event, userdata, 0};
    int e = call_method(
            path, timeout_usec, &(struct request){"Watch", .archive = -1}, &bus, &reply);

    if (e < 0)
        return e;
    begun(userdata);
    e = sd_bus_add_filter(bus, NULL, on_event, &w);
    while (e >= 0 && w.result == 0) {
        e = sd_bus_process(bus, NULL);
        if (e == 0)
            e = sd_bus_wait(bus, UINT64_MAX);
        if (e == -EINTR)
            e = 0;
    }
    if (w.result != 0)
        return w.result;
    return e == -ENOTCONN || e == -EPIPE ? -ECONNRESET : e;
}
