/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a check found, as JSON from the beginning: both outputs are made of it. Names of devices,
 * chains and files are anybody's bytes, and go through text.h.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "common.h"
#include "doctor.h"
#include "text-json.h"
#include "text.h"

static json_t *json_text(const char *text)
{
    nsh_autofree char *line = nsh_text_line(text);

    return nsh_text_json(line);
}

static void set_text(json_t *o, const char *key, const char *text)
{
    if (text)
        json_object_set_new(o, key, json_text(text));
}

/* The command alone, for programs. */
static void set_fix(json_t *o, const char *fix)
{
    static const char run[] = "run: ";

    set_text(o, "fix", fix);
    if (fix && strncmp(fix, run, strlen(run)) == 0)
        set_text(o, "command", fix + strlen(run));
}

__attribute__((format(printf, 6, 0))) static void tell(struct doctor *d, const char *list,
        const char *path, uint32_t line, const char *fix, const char *format, va_list args)
{
    json_t *o = json_object();
    char text[1024];

    vsnprintf(text, sizeof text, format, args);
    set_text(o, "what", text);
    set_fix(o, fix);
    set_text(o, "file", path);
    if (path && line > 0)
        json_object_set_new(o, "line", json_integer(line));
    json_array_append_new(json_object_get(d->result, list), o);
}

__attribute__((format(printf, 5, 0))) static void find(struct doctor *d, const char *path,
        uint32_t line, const char *fix, const char *format, va_list args)
{
    json_object_set_new(d->result, "state", json_string("found"));
    tell(d, "findings", path, line, fix, format, args);
}

static const char *place_of(const struct doctor *d, nsh_origin at, uint32_t *ret_line)
{
    return d->desired ? nsh_origins_resolve(d->desired->config->origins, at, ret_line) : NULL;
}

void doctor_find(struct doctor *d, nsh_origin at, const char *fix, const char *format, ...)
{
    uint32_t line = 0;
    const char *path = place_of(d, at, &line);
    va_list args;

    va_start(args, format);
    find(d, path, line, fix, format, args);
    va_end(args);
}

void doctor_find_at(
        struct doctor *d, const char *path, uint32_t line, const char *fix, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    find(d, path, line, fix, format, args);
    va_end(args);
}

void doctor_note(struct doctor *d, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    tell(d, "notes", NULL, 0, NULL, format, args);
    va_end(args);
}

void doctor_note_at(struct doctor *d, nsh_origin at, const char *fix, const char *format, ...)
{
    uint32_t line = 0;
    const char *path = place_of(d, at, &line);
    va_list args;

    va_start(args, format);
    tell(d, "notes", path, line, fix, format, args);
    va_end(args);
}

void doctor_unseen(struct doctor *d, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    set_text(d->result, "why", text);
    if (strcmp(json_string_value(json_object_get(d->result, "state")), "ok") == 0)
        json_object_set_new(d->result, "state", json_string("unseen"));
}

void doctor_idle(struct doctor *d, const char *why)
{
    json_object_set_new(d->result, "state", json_string("idle"));
    set_text(d->result, "why", why);
}

void doctor_unseen_error(struct doctor *d, int error)
{
    if (error == -EPERM || error == -EACCES)
        doctor_unseen(d, "only root may see it");
    else
        doctor_unseen(d, "%s", nsh_unreadable_why(error));
}

bool doctor_can_judge(struct doctor *d)
{
    if (!d->desired)
        doctor_unseen(d, d->loaded && d->loaded->error == -ENOENT ? "there is no file"
                                                                  : "the file is not right");
    else if (d->survey_error < 0)
        doctor_unseen_error(d, d->survey_error);
    else
        return true;
    return false;
}

bool doctor_has_status(struct doctor *d)
{
    if (d->status_error == -ENOENT || d->status_error == -ECONNREFUSED)
        doctor_idle(d, "no daemon runs");
    else if (d->status_error == -EACCES || d->status_error == -EPERM)
        doctor_unseen(d, "the daemon answers root only");
    else if (!d->status)
        doctor_unseen(d, "the daemon does not answer");
    return d->status != NULL;
}

json_t *doctor_look(struct doctor *d, const struct doctor_check *check)
{
    json_t *result = json_pack("{s:s, s:s, s:s, s:[], s:[]}", "name", check->name, "about",
            check->about, "state", "ok", "findings", "notes");

    if (!result)
        return NULL;
    d->result = result;
    check->look(d);
    d->result = NULL;
    return result;
}

/* ---- what the daemon says ---- */

const char *doctor_text_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));

    return text ? text : "";
}

uint64_t doctor_number_of(const json_t *o, const char *key)
{
    const json_t *value = json_object_get(o, key);

    return json_is_integer(value) && json_integer_value(value) > 0
                   ? (uint64_t)json_integer_value(value)
                   : 0;
}

const json_t *doctor_object(const struct doctor *d, const char *kind, const char *name)
{
    const json_t *o;
    size_t i;

    json_array_foreach(json_object_get(d->status, "objects"), i, o)
    {
        if (strcmp(doctor_text_of(o, "kind"), kind) == 0 &&
                strcmp(doctor_text_of(o, "name"), name) == 0)
            return o;
    }
    return NULL;
}

bool doctor_is_undone(const json_t *object)
{
    return strstr(doctor_text_of(object, "reason"), "keeps undoing") != NULL;
}

/* ---- commands ---- */

const char *doctor_command(const struct doctor *d, const char *words, char *buf, size_t size)
{
    const struct nsh_options *o = d->options;
    const struct {
        const char *option, *value, *otherwise;
    } options[] = {
            {"config", o->config, NSH_DEFAULT_CONFIG},
            {"runtime-directory", o->runtime_directory, NSH_DEFAULT_RUNTIME_DIRECTORY},
            {"state-directory", o->state_directory, NSH_DEFAULT_STATE_DIRECTORY},
    };
    size_t n = (size_t)snprintf(buf, size, "run: netshared %s", words);
    char word[512];

    for (size_t i = 0; i < NSH_ARRAY_SIZE(options) && n < size; i++)
        if (options[i].value && strcmp(options[i].value, options[i].otherwise) != 0)
            n += (size_t)snprintf(buf + n, size - n, " --%s %s", options[i].option,
                    nsh_text_word(options[i].value, word, sizeof word));
    return buf;
}

/* ---- sysctls ---- */

const char *doctor_key(int family, const char *dev, const char *leaf, char *buf, size_t size)
{
    snprintf(buf, size, "net/%s/conf/%s/%s", family == AF_INET6 ? "ipv6" : "ipv4", dev, leaf);
    return buf;
}

int doctor_sysctl(const struct doctor *d, const char *key)
{
    int value;

    return d->fib->ops->sysctl_get(d->fib, key, &value) == 0 ? value : -1;
}

int doctor_sysctl_of(const struct doctor *d, int family, const char *dev, const char *leaf)
{
    char key[DOCTOR_KEY];

    return doctor_sysctl(d, doctor_key(family, dev, leaf, key, sizeof key));
}

/* With slashes it stays readable that a '.' is part of a device's name. */
const char *doctor_sysctl_fix(const char *key, int value, char *buf, size_t size)
{
    char name[DOCTOR_KEY + 16], word[2 * sizeof name];

    snprintf(name, sizeof name, "%s=%d", key, value);
    for (char *p = name; !strchr(key, '.') && *p; p++)
        if (*p == '/')
            *p = '.';
    snprintf(buf, size, "run: sysctl -w %s  # to keep it: a line in /etc/sysctl.d/60-local.conf",
            nsh_text_word(name, word, sizeof word));
    return buf;
}
