/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `watch`: the daemon's reports as they come, a line each, until interrupted.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "common.h"
#include "control.h"
#include "lock.h"
#include "options.h"
#include "text.h"

#define BEGIN_TIMEOUT_USEC 10000000ULL
#define OUTPUT_FAILED 1

/* What to do, where the sentence does not say it. */
static const struct {
    const char *action, *advice;
} advices[] = {
        {"fight", "let that program leave it alone, or take the object out of the file"},
        {"overrun", "if it comes often: something floods netlink; see 'ip monitor'"},
};

static const char *advice_on(const char *action)
{
    for (size_t i = 0; i < NSH_ARRAY_SIZE(advices); i++)
        if (action && strcmp(action, advices[i].action) == 0)
            return advices[i].advice;
    return NULL;
}

static const char *text_of(const json_t *event, const char *key)
{
    return json_string_value(json_object_get(event, key));
}

static void print_time(const json_t *event)
{
    time_t when = (time_t)(json_integer_value(json_object_get(event, "time_usec")) / 1000000);
    char clock[16] = "";
    struct tm tm;

    if (localtime_r(&when, &tm))
        strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
    printf("%s ", clock);
}

/* One line an event, with what to do about it; but what lies on further lines of a message (a bad
 * file's errors) follows indented. */
static void print_event(const json_t *event)
{
    const char *message = text_of(event, "message"), *action = text_of(event, "action");
    const char *file = text_of(event, "file"), *advice = advice_on(action);
    nsh_autofree char *clean = nsh_text_lines(message ? message : "");
    json_int_t line = json_integer_value(json_object_get(event, "line"));

    print_time(event);
    for (const char *p = clean ? clean : ""; *p; p++) {
        putchar(*p);
        if (*p == '\n')
            fputs("         ", stdout);
    }
    if (file && line > 0 && (!clean || !strstr(clean, file))) {
        nsh_autofree char *shown = nsh_text_line(file);

        printf(" (%s:%lld)", shown ? shown : "", (long long)line);
    }
    if (advice)
        printf("; what to do: %s", advice);
    putchar('\n');
}

static int on_event(void *userdata, const char *json)
{
    const struct nsh_options *o = userdata;
    json_t *event = json_loads(json, 0, NULL);

    if (o->json)
        puts(json);
    else if (event)
        print_event(event);
    json_decref(event);
    return fflush(stdout) != 0 ? OUTPUT_FAILED : 0;
}

/* On stderr: what is on stdout is events alone. */
static void on_begun(void *userdata)
{
    (void)userdata;
    fputs("watching; Ctrl-C ends it\n", stderr);
}

int nsh_command_watch(const struct nsh_options *o)
{
    char path[108];
    int q = nsh_control_path(o->runtime_directory, path);

    if (q == 0)
        q = nsh_control_watch(path, BEGIN_TIMEOUT_USEC, on_begun, on_event, (void *)o);
    if (q == OUTPUT_FAILED) /* nsh_answer_end() tells of it */
        return NSH_EXIT_FAILED;
    if (q == -ECONNRESET)
        return nsh_complain("the daemon has ended the connection");
    return nsh_no_answer(o, q);
}
