/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control channel over real sockets: the daemon's end runs an event loop in a thread of its
 * own, and obeys the test by a pipe, so that nothing here has to sleep.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "control-internal.h"

#define PATIENCE 60000000ULL /* for what must succeed: only a broken build waits so long */
#define HELD_MAX 32

static struct server {
    char dir[64], path[80];
    pthread_t thread;
    struct nsh_control *control;
    sd_event *event;
    int commands[2], answers[2];
    bool hold; /* a Reload is not answered until the test says so */
    bool accepted;
    const char *text;
    const char *json; /* NULL: no memory */
    struct nsh_control_reply *held[HELD_MAX];
    size_t n_held;
} server;

/* ---- the daemon's end ---- */

static inline void say(char c)
{
    (void)!write(server.answers[1], &c, 1);
}

static inline void reload(void *userdata, struct nsh_control_reply *reply)
{
    struct server *s = userdata;

    if (!s->hold) {
        nsh_control_reply_reload(reply, s->accepted, s->text);
        return;
    }
    s->held[s->n_held++] = reply;
    say('r');
}

/* The verdict says what came. */
static inline void try(void *userdata, int fd, uint64_t timeout, struct nsh_control_reply *reply)
{
    char text[64] = "", bytes[16] = "";

    (void)userdata;
    (void)!pread(fd, bytes, sizeof(bytes) - 1, 0);
    (void)snprintf(text, sizeof(text), "%s for %" PRIu64, bytes, timeout);
    close(fd);
    nsh_control_reply_reload(reply, true, text);
}

static inline void confirm(void *userdata, struct nsh_control_reply *reply)
{
    (void)userdata;
    nsh_control_reply_reload(reply, true, "confirmed");
}

static inline void revert(void *userdata, struct nsh_control_reply *reply)
{
    (void)userdata;
    nsh_control_reply_reload(reply, false, "reverted");
}

static inline void ask(
        void *userdata, enum nsh_control_question question, struct nsh_control_reply *reply)
{
    struct server *s = userdata;

    nsh_control_reply_text(reply, question == NSH_CONTROL_STATUS ? s->json : "another");
}

static inline void answer_held(void)
{
    for (size_t i = 0; i < server.n_held; i++)
        nsh_control_reply_reload(server.held[i], server.accepted, server.text);
    server.n_held = 0;
}

static inline int make_control(void)
{
    const struct nsh_control_handler handler = {&server, reload, try, confirm, revert, ask};

    return nsh_control_new(server.event, server.path, &handler, &server.control);
}

static inline void tell_three(void)
{
    for (int i = 1; i <= 3; i++) {
        char json[32];

        (void)snprintf(json, sizeof(json), "{\"n\":%d}", i);
        nsh_control_tell(server.control, json);
    }
}

/* One letter each; every one is answered, so that the test knows that it is done. */
static inline int on_command(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    char c = 0;

    (void)source;
    (void)revents;
    (void)userdata;
    if (read(fd, &c, 1) != 1 || c == 'q')
        return sd_event_exit(server.event, 0);
    if (c == 'a')
        answer_held();
    else if (c == 'f')
        server.control = (nsh_control_free(server.control), NULL);
    else if (c == 't')
        tell_three();
    else if (c == 'm' && make_control() < 0)
        c = '!';
    say(c == 'n' ? (char)('A' + server.control->n_peers) : c);
    return 0;
}

static inline void *run_server(void *userdata)
{
    sd_event_source *source = NULL;

    (void)userdata;
    if (sd_event_new(&server.event) < 0 ||
            sd_event_add_io(server.event, &source, server.commands[0], EPOLLIN, on_command, NULL) <
                    0 ||
            make_control() < 0) {
        say('!');
    } else {
        say('s');
        (void)sd_event_loop(server.event);
    }
    nsh_control_free(server.control);
    answer_held();
    sd_event_source_disable_unref(source);
    sd_event_unref(server.event);
    return NULL;
}

/* ---- the test's end ---- */

static inline char next_answer(void)
{
    char c = 0;

    assert_int_equal(read(server.answers[0], &c, 1), 1);
    return c;
}

static inline char command(char c)
{
    assert_int_equal(write(server.commands[1], &c, 1), 1);
    return next_answer();
}

/* Waits until so many clients are known to the server. */
static inline void wait_for_peers(size_t n)
{
    while (command('n') != (char)('A' + n))
        sched_yield();
}

static inline int set_up(void **state)
{
    (void)state;
    memset(&server, 0, sizeof(server));
    server.text = "";
    server.json = "{}";
    server.accepted = true;
    strcpy(server.dir, "/tmp/nsh-control-XXXXXX");
    if (!mkdtemp(server.dir) || pipe2(server.commands, O_CLOEXEC) < 0 ||
            pipe2(server.answers, O_CLOEXEC) < 0)
        return -1;
    snprintf(server.path, sizeof(server.path), "%s/a b=%%.sock", server.dir);
    return pthread_create(&server.thread, NULL, run_server, NULL) != 0 || next_answer() != 's';
}

static inline int tear_down(void **state)
{
    (void)state;
    if (write(server.commands[1], "q", 1) != 1 || pthread_join(server.thread, NULL) != 0)
        return -1;
    for (int i = 0; i < 2; i++) {
        close(server.commands[i]);
        close(server.answers[i]);
    }
    return rmdir(server.dir);
}

static inline int connect_raw(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    strcpy(address.sun_path, server.path);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static inline bool is_hung_up(int fd)
{
    struct pollfd p = {.fd = fd};

    return poll(&p, 1, 0) == 1 && (p.revents & POLLHUP);
}

/* Waits until the other side has closed; nothing is read. */
static inline void wait_hangup(int fd)
{
    struct pollfd p = {.fd = fd, .events = 0};

    do
        assert_int_equal(poll(&p, 1, (int)(PATIENCE / 1000)), 1);
    while (!(p.revents & POLLHUP));
}

/* A client that has shown that it can speak. */
static inline sd_bus *connect_bus(void)
{
    int fd = connect_raw();
    sd_bus *bus = NULL;

    assert_true(sd_bus_new(&bus) >= 0);
    assert_true(sd_bus_set_fd(bus, fd, fd) >= 0);
    assert_true(sd_bus_start(bus) >= 0);
    assert_true(sd_bus_call_method(bus, NULL, NSH_CONTROL_OBJECT, NSH_CONTROL_INTERFACE, "Status",
                        NULL, NULL, "") >= 0);
    return bus;
}

static inline void send_call(sd_bus *bus, const char *method)
{
    uint64_t cookie;
    NSH_CLEANUP(sd_bus_message_unrefp) sd_bus_message *m = NULL;

    assert_true(sd_bus_message_new_method_call(
                        bus, &m, NULL, NSH_CONTROL_OBJECT, NSH_CONTROL_INTERFACE, method) >= 0);
    assert_true(sd_bus_send(bus, m, &cookie) >= 0); /* without it, no answer would be wanted */
    (void)sd_bus_flush(bus);
}

static inline void assert_alive(void)
{
    nsh_autofree char *json = NULL;

    assert_int_equal(nsh_control_call_ask(server.path, PATIENCE, NSH_CONTROL_STATUS, &json), 0);
}

/* ---- calls in threads of their own ---- */

/* A Reload waits for its verdict, while others are served. */
static inline void *call_reload(void *userdata)
{
    bool accepted = false;
    char *text = NULL;

    (void)userdata;
    if (nsh_control_call_reload(server.path, PATIENCE, &accepted, &text) < 0 || !accepted)
        return NULL;
    return text;
}

static inline void *call_status(void *userdata)
{
    char *json = NULL;

    (void)userdata;
    return nsh_control_call_ask(server.path, PATIENCE, NSH_CONTROL_STATUS, &json) < 0 ? NULL : json;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
