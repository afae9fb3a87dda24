/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control channel over real sockets: the daemon's end runs an event loop in a thread of its
 * own, and obeys the test by a pipe, so that nothing here has to sleep.
 */
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

static void say(char c)
{
    (void)!write(server.answers[1], &c, 1);
}

static void reload(void *userdata, struct nsh_control_reply *reply)
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
static void try(void *userdata, int fd, uint64_t timeout, struct nsh_control_reply *reply)
{
    char text[64] = "", bytes[16] = "";

    (void)userdata;
    (void)!pread(fd, bytes, sizeof(bytes) - 1, 0);
    (void)snprintf(text, sizeof(text), "%s for %" PRIu64, bytes, timeout);
    close(fd);
    nsh_control_reply_reload(reply, true, text);
}

static void confirm(void *userdata, struct nsh_control_reply *reply)
{
    (void)userdata;
    nsh_control_reply_reload(reply, true, "confirmed");
}

static void revert(void *userdata, struct nsh_control_reply *reply)
{
    (void)userdata;
    nsh_control_reply_reload(reply, false, "reverted");
}

static void ask(void *userdata, enum nsh_control_question question, struct nsh_control_reply *reply)
{
    struct server *s = userdata;

    nsh_control_reply_text(reply, question == NSH_CONTROL_STATUS ? s->json : "another");
}

static void answer_held(void)
{
    for (size_t i = 0; i < server.n_held; i++)
        nsh_control_reply_reload(server.held[i], server.accepted, server.text);
    server.n_held = 0;
}

static int make_control(void)
{
    const struct nsh_control_handler handler = {&server, reload, try, confirm, revert, ask};

    return nsh_control_new(server.event, server.path, &handler, &server.control);
}

static void tell_three(void)
{
    for (int i = 1; i <= 3; i++) {
        char json[32];

        (void)snprintf(json, sizeof(json), "{\"n\":%d}", i);
        nsh_control_tell(server.control, json);
    }
}

/* One letter each; every one is answered, so that the test knows that it is done. */
static int on_command(sd_event_source *source, int fd, uint32_t revents, void *userdata)
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

static void *run_server(void *userdata)
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

static char next_answer(void)
{
    char c = 0;

    assert_int_equal(read(server.answers[0], &c, 1), 1);
    return c;
}

static char command(char c)
{
    assert_int_equal(write(server.commands[1], &c, 1), 1);
    return next_answer();
}

/* Waits until so many clients are known to the server. */
static void wait_for_peers(size_t n)
{
    while (command('n') != (char)('A' + n))
        sched_yield();
}

static int set_up(void **state)
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

static int tear_down(void **state)
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

static int connect_raw(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    strcpy(address.sun_path, server.path);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static bool is_hung_up(int fd)
{
    struct pollfd p = {.fd = fd};

    return poll(&p, 1, 0) == 1 && (p.revents & POLLHUP);
}

/* Waits until the other side has closed; nothing is read. */
static void wait_hangup(int fd)
{
    struct pollfd p = {.fd = fd, .events = 0};

    do
        assert_int_equal(poll(&p, 1, (int)(PATIENCE / 1000)), 1);
    while (!(p.revents & POLLHUP));
}

/* A client that has shown that it can speak. */
static sd_bus *connect_bus(void)
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

static void send_call(sd_bus *bus, const char *method)
{
    uint64_t cookie;
    NSH_CLEANUP(sd_bus_message_unrefp) sd_bus_message *m = NULL;

    assert_true(sd_bus_message_new_method_call(
                        bus, &m, NULL, NSH_CONTROL_OBJECT, NSH_CONTROL_INTERFACE, method) >= 0);
    assert_true(sd_bus_send(bus, m, &cookie) >= 0); /* without it, no answer would be wanted */
    (void)sd_bus_flush(bus);
}

static void assert_alive(void)
{
    nsh_autofree char *json = NULL;

    assert_int_equal(nsh_control_call_ask(server.path, PATIENCE, NSH_CONTROL_STATUS, &json), 0);
}

/* ---- what it is for ---- */

static void test_status(void **state)
{
    nsh_autofree char *json = NULL;
    char *untouched = NULL;

    (void)state;
    server.json = "{\"a\": \"\xc3\xa9 \xff\xef\xbf\xbf\"}";
    assert_int_equal(nsh_control_call_ask(server.path, PATIENCE, NSH_CONTROL_STATUS, &json), 0);
    assert_string_equal(
            json, "{\"a\": \"\xc3\xa9 \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"}");
    server.json = NULL;
    assert_int_equal(nsh_control_call_ask(server.path, 0, NSH_CONTROL_STATUS, &untouched), -ENOMEM);
    assert_null(untouched);
}

static void test_reload(void **state)
{
    bool accepted = false;
    char *text = NULL;

    (void)state;
    server.text = "a: warning: b\n";
    assert_int_equal(nsh_control_call_reload(server.path, PATIENCE, &accepted, &text), 0);
    assert_true(accepted);
    assert_string_equal(text, "a: warning: b\n");
    free(text);
    server.accepted = false;
    server.text = NULL;
    assert_int_equal(nsh_control_call_reload(server.path, 0, &accepted, &text), 0);
    assert_false(accepted);
    assert_string_equal(text, "");
    free(text);
}

static void test_try(void **state)
{
    nsh_autoclose int fd = memfd_create("test", MFD_CLOEXEC);
    bool accepted = false;
    char *text = NULL;

    (void)state;
    assert_int_equal(write(fd, "bytes", 5), 5);
    assert_int_equal(
            nsh_control_call_try(server.path, PATIENCE, fd, 3600000000, &accepted, &text), 0);
    assert_true(accepted);
    assert_string_equal(text, "bytes for 3600000000");
    free(text);
    assert_int_equal(nsh_control_call_confirm(server.path, PATIENCE, true, &accepted, &text), 0);
    assert_true(accepted);
    assert_string_equal(text, "confirmed");
    free(text);
    assert_int_equal(nsh_control_call_confirm(server.path, PATIENCE, false, &accepted, &text), 0);
    assert_false(accepted);
    assert_string_equal(text, "reverted");
    free(text);
}

static void test_long_text(void **state)
{
    const size_t characters = 65536 / 3, mib = 1024 * 1024;
    nsh_autofree char *much = malloc(characters * 3 + 1), *json = malloc(8 * mib + 1);
    nsh_autofree char *text = NULL, *got = NULL;
    bool accepted;

    (void)state;
    for (size_t i = 0; i < characters; i++)
        memcpy(much + i * 3, "\xe2\x82\xac", 3);
    much[characters * 3] = '\0';
    server.text = much;
    assert_int_equal(nsh_control_call_reload(server.path, PATIENCE, &accepted, &text), 0);
    assert_string_equal(text, much);
    memset(json, ' ', 8 * mib);
    json[8 * mib] = '\0';
    server.json = json;
    assert_int_equal(nsh_control_call_ask(server.path, PATIENCE, NSH_CONTROL_STATUS, &got), 0);
    assert_string_equal(got, json);
}

/* A Reload waits for its verdict, while others are served. */
static void *call_reload(void *userdata)
{
    bool accepted = false;
    char *text = NULL;

    (void)userdata;
    if (nsh_control_call_reload(server.path, PATIENCE, &accepted, &text) < 0 || !accepted)
        return NULL;
    return text;
}

static void test_reload_waits(void **state)
{
    pthread_t waiting[3];

    (void)state;
    server.hold = true;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(waiting); i++) {
        assert_int_equal(pthread_create(&waiting[i], NULL, call_reload, NULL), 0);
        assert_int_equal(next_answer(), 'r');
    }
    assert_alive();
    server.text = "done";
    assert_int_equal(command('a'), 'a');
    for (size_t i = 0; i < NSH_ARRAY_SIZE(waiting); i++) {
        void *text;

        assert_int_equal(pthread_join(waiting[i], &text), 0);
        assert_non_null(text);
        assert_string_equal(text, "done");
        free(text);
    }
}

/* ---- the socket ---- */

static void test_socket(void **state)
{
    const struct nsh_control_handler handler = {&server, reload, try, confirm, revert, ask};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct nsh_control *c = NULL;
    struct stat st;
    char path[120];
    char *json = NULL;
    sd_event *event;

    (void)state;
    assert_int_equal(stat(server.path, &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(st.st_mode & 07777, 0600);

    assert_true(sd_event_new(&event) >= 0);
    snprintf(path, sizeof(path), "%s/other", server.dir);
    assert_int_equal(nsh_control_call_ask(path, PATIENCE, NSH_CONTROL_STATUS, &json), -ENOENT);

    /* a socket that nobody listens to: refused, then replaced */
    int stale = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    strcpy(address.sun_path, path);
    assert_int_equal(bind(stale, (const struct sockaddr *)&address, sizeof(address)), 0);
    close(stale);
    assert_int_equal(
            nsh_control_call_ask(path, PATIENCE, NSH_CONTROL_STATUS, &json), -ECONNREFUSED);
    assert_int_equal(nsh_control_new(event, path, &handler, &c), 0);
    nsh_control_free(c);
    assert_int_equal(stat(path, &st), -1);

    /* what is no socket is left alone */
    assert_int_equal(mkdir(path, 0700), 0);
    c = NULL;
    assert_int_equal(nsh_control_new(event, path, &handler, &c), -EEXIST);
    assert_int_equal(rmdir(path), 0);
    memset(path, 'x', 108);
    path[108] = '\0';
    assert_int_equal(nsh_control_new(event, path, &handler, &c), -ENAMETOOLONG);
    assert_int_equal(
            nsh_control_call_ask(path, PATIENCE, NSH_CONTROL_STATUS, &json), -ENAMETOOLONG);
    assert_null(c);
    assert_null(json);
    nsh_control_free(NULL);
    sd_event_unref(event);
}

static void test_other_user(void **state)
{
    int wait_status = -1;

    (void)state;
    if (geteuid() != 0)
        return; /* only root can become another */
    /* Even if somebody opened the file's mode. */
    assert_int_equal(chmod(server.dir, 0755), 0);
    assert_int_equal(chmod(server.path, 0666), 0);
    server.hold = true;
    pid_t child = fork();
    if (child == 0) {
        char *text = NULL;
        bool accepted;

        if (setgid(65534) < 0 || setuid(65534) < 0)
            _exit(3);
        int e = nsh_control_call_reload(server.path, PATIENCE, &accepted, &text);
        _exit(e == -ECONNRESET || e == -EPIPE ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &wait_status, 0), child);
    assert_int_equal(wait_status, 0);
    assert_int_equal(command('n'), 'A');
    assert_int_equal(server.n_held, 0);
}

#define GROUP 60001

/* Exit status: 0 with an answer, 1 refused by the method, 2 not spoken to. */
static int ask_as(gid_t main_group, gid_t further_group, const char *method)
{
    int wait_status = -1;
    pid_t child = fork();

    if (child == 0) {
        sd_bus *bus = NULL;
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        strcpy(address.sun_path, server.path);
        if (setgroups(1, &further_group) < 0 || setgid(main_group) < 0 || setuid(65534) < 0 ||
                sd_bus_new(&bus) < 0)
            _exit(3);
        if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
                sd_bus_set_fd(bus, fd, fd) < 0 || sd_bus_start(bus) < 0)
            _exit(2);
        NSH_CLEANUP(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        if (sd_bus_call_method(bus, NULL, NSH_CONTROL_OBJECT, NSH_CONTROL_INTERFACE, method, &error,
                    NULL, "") >= 0)
            _exit(0);
        _exit(sd_bus_error_has_name(&error, SD_BUS_ERROR_ACCESS_DENIED) ? 1 : 2);
    }
    assert_int_equal(waitpid(child, &wait_status, 0), child);
    assert_true(WIFEXITED(wait_status));
    return WEXITSTATUS(wait_status);
}

/* The error of a reload. */
static int reload_as(gid_t group)
{
    int wait_status = -1;
    pid_t child = fork();

    if (child == 0) {
        char *text = NULL;
        bool accepted;

        if (setgid(group) < 0 || setuid(65534) < 0)
            _exit(0);
        _exit(-nsh_control_call_reload(server.path, PATIENCE, &accepted, &text));
    }
    assert_int_equal(waitpid(child, &wait_status, 0), child);
    assert_true(WIFEXITED(wait_status));
    return -WEXITSTATUS(wait_status);
}

/* The daemon's group may read, where that is not root's own; nobody else may anything. */
static void test_group(void **state)
{
    struct stat st;
    char alias[128];

    (void)state;
    if (geteuid() != 0)
        return; /* only root can become another */
    assert_int_equal(chmod(server.dir, 0755), 0);
    assert_int_equal(ask_as(65534, 0, "Status"), 2); /* even where root's group could connect */
    assert_int_equal(command('f'), 'f');
    assert_int_equal(setegid(GROUP), 0);
    assert_int_equal(command('m'), 'm');
    assert_int_equal(stat(server.path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0660);
    assert_int_equal(st.st_gid, GROUP);
    snprintf(alias, sizeof(alias), "%s/control", server.dir);
    struct stat through;
    assert_int_equal(stat(alias, &through), 0);
    assert_int_equal(through.st_ino, st.st_ino);
    assert_int_equal(ask_as(65534, GROUP, "Status"), 0);
    assert_int_equal(ask_as(GROUP, 65534, "Status"), 0);
    assert_int_equal(ask_as(65534, GROUP, "Reload"), 1);
    assert_int_equal(reload_as(GROUP), -EACCES);
    assert_int_equal(ask_as(65534, GROUP, "Confirm"), 1);
    assert_int_equal(ask_as(65534, GROUP, "Revert"), 1);
    assert_int_equal(ask_as(65534, 65534, "Status"), 2);
    assert_int_equal(setegid(0), 0);
    assert_int_equal(chmod(server.path, 0666), 0);
    assert_int_equal(ask_as(65534, 65534, "Status"), 2);
    assert_int_equal(ask_as(65534, GROUP, "Status"), 2); /* it is asked when one connects */
    assert_alive();
}

static void test_client_timeouts(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char *json = NULL;
    char path[120];

    (void)state;
    snprintf(path, sizeof(path), "%s/mute", server.dir);
    strcpy(address.sun_path, path);
    nsh_autoclose int mute = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(mute, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(mute, 0), 0);
    /* The first is queued and never greeted; it stays in the queue, and the next finds it full. */
    assert_int_equal(nsh_control_call_ask(path, 20000, NSH_CONTROL_STATUS, &json), -ETIMEDOUT);
    assert_int_equal(nsh_control_call_ask(path, 20000, NSH_CONTROL_STATUS, &json), -ETIMEDOUT);
    assert_null(json);
    assert_int_equal(unlink(path), 0);

    /* greeted, but never answered */
    bool accepted;
    server.hold = true;
    assert_int_equal(nsh_control_call_reload(server.path, 20000, &accepted, &json), -ETIMEDOUT);
    assert_null(json);
}

/* ---- rude clients ---- */

static void test_silent(void **state)
{
    (void)state;
    server.control->silent_usec = 20000;
    nsh_autoclose int fd = connect_raw();
    wait_hangup(fd);

    NSH_CLEANUP(sd_bus_close_unrefp) sd_bus *bus = connect_bus(); /* silent after a call */
    wait_hangup(sd_bus_get_fd(bus));
    wait_for_peers(0);
}

/* A byte now and then is silence too. */
static void test_dripping(void **state)
{
    (void)state;
    server.control->silent_usec = 20000;
    nsh_autoclose int fd = connect_raw();
    struct pollfd p = {.fd = fd, .events = 0};
    while (poll(&p, 1, 1) == 0)
        assert_true(send(fd, "", 1, MSG_NOSIGNAL) == 1 || errno == EPIPE);
    assert_true(p.revents & POLLHUP);
    assert_alive();
}

/* While its Reload is under way a client may be silent for as long as that takes. */
static void test_pending_is_not_silent(void **state)
{
    pthread_t waiting;
    void *text;

    (void)state;
    server.hold = true;
    server.control->silent_usec = 20000;
    assert_int_equal(pthread_create(&waiting, NULL, call_reload, NULL), 0);
    assert_int_equal(next_answer(), 'r');
    for (int i = 0; i < 3; i++) { /* others come, fall silent and go meanwhile */
        nsh_autoclose int fd = connect_raw();
        wait_hangup(fd);
    }
    assert_int_equal(command('n'), 'B');
    server.text = "at last";
    assert_int_equal(command('a'), 'a');
    assert_int_equal(pthread_join(waiting, &text), 0);
    assert_string_equal(text, "at last");
    free(text);
}

static void test_garbage(void **state)
{
    char noise[4096], answer[256];
    static const char auth[] = "\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n";
    /* little-endian header: a call, 4 GiB of body */
    static const char huge[] = "l\1\0\1\xff\xff\xff\xff\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

    (void)state;
    for (size_t i = 0; i < sizeof(noise); i++)
        noise[i] = (char)(i * 2654435761U >> 13 | 1);
    memcpy(noise + sizeof(noise) - 2, "\r\n", 2); /* without a line end only silence ends it */
    int a = connect_raw(), b = connect_raw();
    assert_true(send(a, noise, sizeof(noise), MSG_NOSIGNAL) > 0);
    assert_true(send(b, auth, sizeof(auth) - 1, MSG_NOSIGNAL) > 0);
    assert_true(recv(b, answer, sizeof(answer), 0) > 0);
    assert_true(send(b, huge, sizeof(huge) - 1, MSG_NOSIGNAL) > 0);
    wait_hangup(a);
    wait_hangup(b);
    close(a);
    close(b);
    wait_for_peers(0);
    assert_alive();
}

/* What a method does not take, and what is no call at all. */
static void test_arguments(void **state)
{
    NSH_CLEANUP(sd_bus_close_unrefp) sd_bus *bus = connect_bus();

    (void)state;
    server.hold = true;
    assert_true(sd_bus_call_method(bus, NULL, NSH_CONTROL_OBJECT, NSH_CONTROL_INTERFACE, "Nonsense",
                        NULL, NULL, "") < 0);
    assert_true(sd_bus_is_open(bus) > 0);
    assert_true(sd_bus_call_method(bus, NULL, NSH_CONTROL_OBJECT, NSH_CONTROL_INTERFACE, "Reload",
                        NULL, NULL, "s", "x") < 0);
    assert_true(sd_bus_is_open(bus) > 0);
    assert_int_equal(server.n_held, 0);
    assert_true(sd_bus_emit_signal(bus, "/a", "a.b", "C", "s", "x") >= 0);
    (void)sd_bus_flush(bus);
    wait_hangup(sd_bus_get_fd(bus));
    wait_for_peers(0);
}

/* busctl and other clients of message buses begin with Hello, and look around. */
static void test_as_a_bus(void **state)
{
    int fd = connect_raw();
    NSH_CLEANUP(sd_bus_close_unrefp) sd_bus *bus = NULL;
    NSH_CLEANUP(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    nsh_autofree char *version = NULL;
    const char *xml = NULL, *name = NULL;

    (void)state;
    assert_true(sd_bus_new(&bus) >= 0);
    assert_true(sd_bus_set_fd(bus, fd, fd) >= 0);
    assert_true(sd_bus_set_bus_client(bus, true) >= 0);
    assert_true(sd_bus_start(bus) >= 0);
    assert_true(
            sd_bus_call_method(bus, "io.netshared", NSH_CONTROL_OBJECT,
                    "org.freedesktop.DBus.Introspectable", "Introspect", NULL, &reply, "") >= 0);
    assert_true(sd_bus_message_read(reply, "s", &xml) > 0);
    assert_non_null(strstr(xml, "<method name=\"Reload\">"));
    assert_non_null(strstr(xml, "name=\"accepted\""));
    assert_true(sd_bus_get_unique_name(bus, &name) >= 0);
    assert_string_equal(name, ":1.1");
    assert_true(sd_bus_get_property_string(bus, "io.netshared", NSH_CONTROL_OBJECT,
                        NSH_CONTROL_INTERFACE, "Version", NULL, &version) >= 0);
    assert_true(version[0] >= '0' && version[0] <= '9');
}

/* Asks and asks and never reads. (A socket takes 8 MiB before anything has to wait.) */
static void test_not_reading(void **state)
{
    nsh_autofree char *json = malloc(4 * 1024 * 1024);

    (void)state;
    memset(json, ' ', 4 * 1024 * 1024);
    json[4 * 1024 * 1024 - 1] = '\0';
    server.control->silent_usec = 3600000000;
    NSH_CLEANUP(sd_bus_close_unrefp) sd_bus *bus = connect_bus();
    server.json = json;
    for (int i = 0; i < 2 * NSH_CONTROL_QUEUE_MAX && sd_bus_is_open(bus) > 0; i++)
        send_call(bus, "Status");
    wait_hangup(sd_bus_get_fd(bus));
    assert_alive();
}

/* Asks once, and does not read the answer: it goes with its silence. */
static void test_slow_reader(void **state)
{
    nsh_autofree char *json = malloc(12 * 1024 * 1024);

    (void)state;
    memset(json, ' ', 12 * 1024 * 1024);
    json[12 * 1024 * 1024 - 1] = '\0';
    NSH_CLEANUP(sd_bus_close_unrefp) sd_bus *bus = connect_bus();
    server.control->silent_usec = 100000;
    server.json = json;
    send_call(bus, "Status");
    server.json = "{}";
    wait_hangup(sd_bus_get_fd(bus));
    assert_alive();
}

static void test_many_reloads_of_one(void **state)
{
    NSH_CLEANUP(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    NSH_CLEANUP(sd_bus_close_unrefp) sd_bus *bus = connect_bus();

    (void)state;
    server.hold = true;
    for (int i = 0; i < NSH_CONTROL_PENDING_MAX; i++) {
        send_call(bus, "Reload");
        assert_int_equal(next_answer(), 'r');
    }
    assert_true(sd_bus_call_method(bus, NULL, NSH_CONTROL_OBJECT, NSH_CONTROL_INTERFACE, "Reload",
                        &error, NULL, "") < 0);
    assert_string_equal(error.name, SD_BUS_ERROR_LIMITS_EXCEEDED);
}

/* ---- comings and goings ---- */

static void test_vanishes_before_the_reply(void **state)
{
    (void)state;
    server.hold = true;
    for (int i = 0; i < 3; i++) {
        sd_bus *bus = connect_bus();

        send_call(bus, "Reload");
        assert_int_equal(next_answer(), 'r');
        sd_bus_close_unref(bus);
    }
    wait_for_peers(0);
    assert_int_equal(command('a'), 'a');
    assert_alive();
}

static void *call_reload_in_vain(void *userdata)
{
    bool accepted;
    char *text = NULL;

    *(int *)userdata = nsh_control_call_reload(server.path, PATIENCE, &accepted, &text);
    return text;
}

/* The channel ends before the load does; the reply is answered all the same. */
static void test_reply_outlives_the_channel(void **state)
{
    pthread_t waiting;
    void *text;
    int e = 0;

    (void)state;
    server.hold = true;
    assert_int_equal(pthread_create(&waiting, NULL, call_reload_in_vain, &e), 0);
    assert_int_equal(next_answer(), 'r');
    assert_int_equal(command('f'), 'f');
    assert_int_equal(pthread_join(waiting, &text), 0);
    assert_null(text);
    assert_int_equal(e, -ECONNRESET);
    assert_int_equal(command('a'), 'a');
}

static void *call_status(void *userdata)
{
    char *json = NULL;

    (void)userdata;
    return nsh_control_call_ask(server.path, PATIENCE, NSH_CONTROL_STATUS, &json) < 0 ? NULL : json;
}

static void test_hundred_at_once(void **state)
{
    pthread_t threads[100];
    int failed = 0;

    (void)state;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, call_status, NULL), 0);
    for (size_t i = 0; i < NSH_ARRAY_SIZE(threads); i++) {
        void *json;

        assert_int_equal(pthread_join(threads[i], &json), 0);
        failed += !json;
        free(json);
    }
    assert_int_equal(failed, 0);
    wait_for_peers(0);
}

/* All places are held by the idle: who wants something gets one of theirs, the oldest's first. */
static void test_crowd_of_idlers(void **state)
{
    int idle[NSH_CONTROL_PEERS_MAX];

    (void)state;
    server.control->silent_usec = 3600000000;
    server.control->crowded_usec = 0;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(idle); i++) {
        idle[i] = connect_raw();
        /* While nobody else wants a place, nobody loses one. */
        while (command('n') != (char)('A' + i + 1))
            assert_false(is_hung_up(idle[0]));
    }
    assert_alive();
    wait_hangup(idle[0]);
    for (size_t i = 0; i < NSH_ARRAY_SIZE(idle); i++)
        close(idle[i]);
}

/* All places are held by pending Reloads: none of them is given away, and the queue waits. */
static void test_crowd_of_reloads(void **state)
{
    pthread_t waiting[NSH_CONTROL_PEERS_MAX], late;
    void *text;

    (void)state;
    server.hold = true;
    server.control->crowded_usec = 1000;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(waiting); i++) {
        assert_int_equal(pthread_create(&waiting[i], NULL, call_reload, NULL), 0);
        assert_int_equal(next_answer(), 'r');
    }
    assert_int_equal(pthread_create(&late, NULL, call_status, NULL), 0);
    assert_int_equal(command('n'), 'A' + NSH_CONTROL_PEERS_MAX);
    assert_int_equal(command('a'), 'a');
    for (size_t i = 0; i < NSH_ARRAY_SIZE(waiting); i++) {
        assert_int_equal(pthread_join(waiting[i], &text), 0);
        assert_non_null(text);
        free(text);
    }
    assert_int_equal(pthread_join(late, &text), 0);
    assert_non_null(text);
    free(text);
}

/* ---- watching ---- */

/* 0 or the error's number. */
static int ask_to_watch(sd_bus *bus)
{
    return -sd_bus_call_method(
            bus, NULL, NSH_CONTROL_OBJECT, NSH_CONTROL_INTERFACE, "Watch", NULL, NULL, "");
}

static int stop_at_last(void *userdata, const char *json)
{
    strncat(userdata, json, 63);
    return strchr(json, '3') ? 7 : 0;
}

/* When one who came later has been dropped for its silence. */
static void have_three_told(void *userdata)
{
    int silent = connect_raw();

    (void)userdata;
    wait_hangup(silent);
    close(silent);
    command('t');
}

static void test_watch(void **state)
{
    char heard[256] = "";

    (void)state;
    server.control->silent_usec = 300000;
    assert_int_equal(command('t'), 't'); /* nobody watches: nothing happens */
    assert_int_equal(
            nsh_control_watch(server.path, PATIENCE, have_three_told, stop_at_last, heard), 7);
    assert_string_equal(heard, "{\"n\":1}{\"n\":2}{\"n\":3}");
}

static int hear(void *userdata, const char *json)
{
    (void)userdata;
    (void)json;
    return 0;
}

static void end_channel(void *userdata)
{
    (void)userdata;
    command('f');
}

static void test_watch_ends_with_the_daemon(void **state)
{
    (void)state;
    assert_int_equal(
            nsh_control_watch(server.path, PATIENCE, end_channel, hear, NULL), -ECONNRESET);
    assert_int_equal(nsh_control_watch(server.path, PATIENCE, end_channel, hear, NULL), -ENOENT);
}

/* They get no more than their share of the places, and keep those. */
static void test_crowd_of_watchers(void **state)
{
    sd_bus *watching[NSH_CONTROL_WATCHERS_MAX + 1];
    int idle[NSH_CONTROL_PEERS_MAX - NSH_CONTROL_WATCHERS_MAX - 1];

    (void)state;
    server.control->silent_usec = 3600000000;
    server.control->crowded_usec = 1000;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(watching); i++) {
        watching[i] = connect_bus();
        if (i < NSH_CONTROL_WATCHERS_MAX)
            assert_true(ask_to_watch(watching[i]) <= 0);
        else
            assert_true(ask_to_watch(watching[i]) > 0);
    }
    for (size_t i = 0; i < NSH_ARRAY_SIZE(idle); i++)
        idle[i] = connect_raw();
    wait_for_peers(NSH_CONTROL_PEERS_MAX);
    assert_alive();
    for (size_t i = 0; i < NSH_CONTROL_WATCHERS_MAX; i++)
        assert_true(ask_to_watch(watching[i]) <= 0); /* again is no matter */
    for (size_t i = 0; i < NSH_ARRAY_SIZE(idle); i++)
        close(idle[i]);
    for (size_t i = 0; i < NSH_ARRAY_SIZE(watching); i++)
        sd_bus_close_unref(watching[i]);
}

/* It watches and never reads. */
static void test_watcher_not_reading(void **state)
{
    NSH_CLEANUP(sd_bus_close_unrefp) sd_bus *bus = connect_bus();
    size_t told = 0;

    (void)state;
    assert_true(ask_to_watch(bus) <= 0);
    /* The socket takes many before anything has to wait. */
    for (; command('n') == 'B' && told < 1000000; told += 3)
        assert_int_equal(command('t'), 't');
    assert_true(told > NSH_CONTROL_EVENTS_MAX && told < 1000000);
    assert_alive();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
            TEST(test_status),
            TEST(test_reload),
            TEST(test_try),
            TEST(test_long_text),
            TEST(test_reload_waits),
            TEST(test_socket),
            TEST(test_other_user),
            TEST(test_client_timeouts),
            TEST(test_silent),
            TEST(test_dripping),
            TEST(test_pending_is_not_silent),
            TEST(test_garbage),
            TEST(test_arguments),
            TEST(test_as_a_bus),
            TEST(test_group),
            TEST(test_not_reading),
            TEST(test_slow_reader),
            TEST(test_many_reloads_of_one),
            TEST(test_vanishes_before_the_reply),
            TEST(test_reply_outlives_the_channel),
            TEST(test_hundred_at_once),
            TEST(test_crowd_of_idlers),
            TEST(test_crowd_of_reloads),
            TEST(test_watch),
            TEST(test_watch_ends_with_the_daemon),
            TEST(test_crowd_of_watchers),
            TEST(test_watcher_not_reading),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
