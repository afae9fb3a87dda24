/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control channel: what it is for, who may ask, and watching.
 */
#include "control-world.h"

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
    if (geteuid() != 0) {
        print_message("# not root: another user is not tested\n");
        return;
    }
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
    if (geteuid() != 0) {
        print_message("# not root: another user is not tested\n");
        return;
    }
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
            TEST(test_group),
            TEST(test_watch),
            TEST(test_watch_ends_with_the_daemon),
            TEST(test_crowd_of_watchers),
            TEST(test_watcher_not_reading),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
