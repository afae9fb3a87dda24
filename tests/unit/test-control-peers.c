/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control channel among clients that are rude, many, or gone before they are answered.
 */
#include "control-world.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
            TEST(test_silent),
            TEST(test_dripping),
            TEST(test_pending_is_not_silent),
            TEST(test_garbage),
            TEST(test_arguments),
            TEST(test_as_a_bus),
            TEST(test_not_reading),
            TEST(test_slow_reader),
            TEST(test_many_reloads_of_one),
            TEST(test_vanishes_before_the_reply),
            TEST(test_reply_outlives_the_channel),
            TEST(test_hundred_at_once),
            TEST(test_crowd_of_idlers),
            TEST(test_crowd_of_reloads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
