/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control channel: sd-bus, peer to peer, over a socket in the runtime directory. Root and the
 * daemon's own user may say everything; where the daemon runs with another group than root's, the
 * socket's mode is 0660 and members of that group may read (SO_PEERCRED, SO_PEERGROUPS); nobody
 * else is answered. Each client is a connection of its own on the event loop, with a limit on
 * their number, on how long one may stay silent, and on what is queued for one that does not
 * read, so that none can hold up the daemon or the others.
 *
 * Object /io/netshared/Control, interface io.netshared.Control:
 *     Reload() -> (b accepted, s text)   answers when a load begun after the call has been judged;
 *                                        text: the errors or warnings, as `check` prints them
 *     Try(h archive, t timeout_usec) -> (b accepted, s text)
 *                                        as Reload, of what config.h wrote to `archive`; the last
 *                                        accepted configuration comes back unless
 *     Confirm() -> (b accepted, s text)  is called in time
 *     Revert() -> (b accepted, s text)   goes back at once
 *     Status() -> (s json)
 *     Metrics() -> (s text), OpenMetrics() -> (s text)
 *     Watch() -> ()                      from now on the signal
 *     Event(s json)                      for everything that the journal is told, as
 *                                        report-json.h writes it
 *     Version, a property                as `netshared --version`
 *
 * With introspection, and org.freedesktop.DBus.Hello, so that busctl(1) can be the client:
 *     busctl --address=unix:path=/run/netshared/control introspect io.netshared
 * /io/netshared/Control
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

struct nsh_control;
struct nsh_control_reply; /* a pending call */

/* Questions that change nothing. */
enum nsh_control_question {
    NSH_CONTROL_STATUS,
    NSH_CONTROL_METRICS, /* Prometheus' text format */
    NSH_CONTROL_OPENMETRICS,
    NSH_CONTROL_QUESTIONS,
};

struct nsh_control_handler {
    void *userdata;
    /*
     * Begin a load. Later exactly one nsh_control_reply_reload with `reply`, which stays valid
     * until then, whether or not the client is still there.
     */
    void (*reload)(void *userdata, struct nsh_control_reply *reply);
    /* The same for these. `fd` is the receiver's; `timeout` is in microseconds. */
    void (*try)(void *userdata, int fd, uint64_t timeout, struct nsh_control_reply *reply);
    void (*confirm)(void *userdata, struct nsh_control_reply *reply);
    void (*revert)(void *userdata, struct nsh_control_reply *reply);
    /* Later exactly one nsh_control_reply_text with `reply`. */
    void (*ask)(
            void *userdata, enum nsh_control_question question, struct nsh_control_reply *reply);
};

/*
 * Listens at `path`, replacing a stale socket (the lock is held), with a symbolic link "control" to
 * it in the same folder unless that leads to another one. `handler` is copied.
 */
int nsh_control_new(sd_event *event, const char *path, const struct nsh_control_handler *handler,
        struct nsh_control **ret);
/* Closes all, unlinks the socket. */
void nsh_control_free(struct nsh_control *c);
void nsh_control_reply_reload(struct nsh_control_reply *reply, bool accepted, const char *text);
/* `text` NULL: no memory for it. */
void nsh_control_reply_text(struct nsh_control_reply *reply, const char *text);
/* True while somebody watches. */
bool nsh_control_watched(const struct nsh_control *c);
/* Sends an Event to all who watch; one who does not keep up is dropped. */
void nsh_control_tell(struct nsh_control *c, const char *json);

/*
 * The client's side. 0; -ENOENT or -ECONNREFUSED: no daemon runs; -errno. `ret_text` and `ret_json`
 * are the caller's to free. Waits at most `timeout_usec` (0: no limit) for the answer.
 */
int nsh_control_call_reload(
        const char *path, uint64_t timeout_usec, bool *ret_accepted, char **ret_text);
/* Confirm, or Revert. */
int nsh_control_call_confirm(
        const char *path, uint64_t timeout_usec, bool keep, bool *ret_accepted, char **ret_text);
/* `trial_usec`: how long it is to hold unconfirmed. */
int nsh_control_call_try(const char *path, uint64_t timeout_usec, int archive, uint64_t trial_usec,
        bool *ret_accepted, char **ret_text);
int nsh_control_call_ask(const char *path, uint64_t timeout_usec,
        enum nsh_control_question question, char **ret_text);
/* What the daemon with that runtime directory says, parsed. */
int nsh_control_call_status(const char *directory, uint64_t timeout_usec, json_t **ret);
/*
 * Calls `begun` once events come, and `event` for each until that returns non-zero, which is the
 * result then, or the connection ends: -ECONNRESET. `timeout_usec` is for the beginning.
 */
int nsh_control_watch(const char *path, uint64_t timeout_usec, void (*begun)(void *userdata),
        int (*event)(void *userdata, const char *json), void *userdata);
