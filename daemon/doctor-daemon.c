/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon: whether it runs and with which file, and what it says of itself.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "backoff.h"
#include "cleanup.h"
#include "doctor.h"
#include "state.h"
#include "text.h"

NSH_DEFINE_CLEANUP(struct nsh_state *, nsh_state_free)

#define UNIT "netshared.service"

/* ---- whether it runs ---- */

static bool exists(const struct doctor *d, const char *path)
{
    char full[512];

    snprintf(full, sizeof full, "%s%s", d->root, path);
    return access(full, F_OK) == 0;
}

/* systemd runs this machine, and the unit is installed; this is not about another daemon. */
static bool has_unit(const struct doctor *d)
{
    return strcmp(d->options->runtime_directory, NSH_DEFAULT_RUNTIME_DIRECTORY) == 0 &&
           exists(d, "/run/systemd/system") &&
           (exists(d, "/etc/systemd/system/" UNIT) || exists(d, "/usr/lib/systemd/system/" UNIT) ||
                   exists(d, "/lib/systemd/system/" UNIT) ||
                   exists(d, "/usr/local/lib/systemd/system/" UNIT));
}

static bool wants_anything(const struct nsh_desired *d)
{
    return d && d->n_routes + d->n_rules + d->n_chains > 0;
}

void doctor_daemon(struct doctor *d)
{
    char fix[1024];

    if (d->status_error == -EACCES || d->status_error == -EPERM) {
        doctor_unseen(d, "it answers root only");
    } else if (d->status_error == -ENOENT || d->status_error == -ECONNREFUSED) {
        if (wants_anything(d->desired))
            doctor_find(d, NSH_ORIGIN_NONE,
                    has_unit(d) ? "run: systemctl enable --now netshared"
                                : doctor_command(d, "run", fix, sizeof fix),
                    "no daemon runs for this network namespace: nothing is kept");
    } else if (d->status_error < 0) {
        doctor_find(d, NSH_ORIGIN_NONE, "run: journalctl -u netshared -e",
                "the daemon does not answer: %s", strerror(-d->status_error));
    } else if (has_unit(d) && !exists(d, "/etc/systemd/system/multi-user.target.wants/" UNIT)) {
        doctor_find(d, NSH_ORIGIN_NONE, "run: systemctl enable netshared",
                "the daemon runs, and nothing starts it at the next boot");
    }
}

static uint64_t number_of(const json_t *o, const char *key)
{
    const json_t *value = json_object_get(o, key);

    return json_is_integer(value) && json_integer_value(value) > 0
                   ? (uint64_t)json_integer_value(value)
                   : 0;
}

static const char *text_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));

    return text ? text : "";
}

/* ---- the file ---- */

static void tell_errors(struct doctor *d)
{
    const struct nsh_diags *diags = d->loaded->diags;
    const struct nsh_diag *diag;

    for (size_t i = 0; diags && (diag = nsh_diags_get(diags, i)); i++)
        if (diag->severity == NSH_DIAG_ERROR)
            doctor_find_at(d, diag->path, diag->line, diag->hint, "%s", diag->text);
    if (!diags || nsh_diags_errors(diags) == 0)
        doctor_find_at(d, d->options->config, 0, NULL, "it can't be read: %s",
                strerror(-d->loaded->error));
}

/* Whether the archive of the file is that of what was accepted last. */
static void compare(struct doctor *d)
{
    NSH_CLEANUP(nsh_loaded_done) struct nsh_loaded again = {0};
    NSH_CLEANUP(nsh_state_freep) struct nsh_state *state = NULL;
    nsh_autoclose int archive = memfd_create("netshared-doctor", MFD_CLOEXEC), accepted = -1;
    char fix[1024];
    int q = archive < 0 ? -errno : nsh_state_open_reader(d->options->state_directory, &state);

    if (q == 0) {
        accepted = nsh_state_archive_open(state, NSH_ARCHIVE_ACCEPTED);
        q = accepted < 0 ? accepted : 0;
    }
    if (q < 0) {
        doctor_unseen(d, "what is in force can't be read: %s", strerror(-q));
        return;
    }
    nsh_load_into(d->options->config, NSH_TRUST_WARN, archive, &again);
    if (again.error == 0 && !nsh_state_archive_same(state, NSH_ARCHIVE_ACCEPTED, archive))
        doctor_find_at(d, d->options->config, 0, doctor_command(d, "reload", fix, sizeof fix),
                "it was changed, and is not what is in force");
}

void doctor_file(struct doctor *d)
{
    if (!d->loaded)
        doctor_unseen(d, "no memory");
    else if (d->loaded->error < 0)
        tell_errors(d);
    else if (d->status && number_of(d->status, "trial_left_usec") == 0)
        compare(d);
}

void doctor_trial(struct doctor *d)
{
    char left[NSH_DURATION_TEXT], fix[1024];
    uint64_t usec;

    if (!doctor_has_status(d))
        return;
    usec = number_of(d->status, "trial_left_usec");
    if (usec > 0)
        doctor_find(d, NSH_ORIGIN_NONE, doctor_command(d, "confirm", fix, sizeof fix),
                "a configuration is on trial, and goes back in %s unless it is confirmed",
                nsh_duration_format(usec, left));
}

/* ---- what it holds ---- */

#define OBJECTS_MAX 20 /* are told of one by one */

static bool is_undone(const json_t *object)
{
    return strstr(text_of(object, "reason"), "keeps undoing") != NULL;
}

/* A reason has the command that helps behind it, if one is known. */
static void tell_object(struct doctor *d, const json_t *o)
{
    const char *reason = text_of(o, "reason"), *run = strstr(reason, "; run: ");
    int n = run ? (int)(run - reason) : (int)strlen(reason);

    doctor_find_at(d, json_string_value(json_object_get(o, "file")), (uint32_t)number_of(o, "line"),
            run ? run + strlen("; ") : NULL, "%s %s is %s%s%.*s", text_of(o, "kind"),
            text_of(o, "name"), text_of(o, "state"), n > 0 ? ": " : "", n, reason);
}

void doctor_objects(struct doctor *d)
{
    static const char *const bad[] = {"pending", "conflicting", "wrong"};
    const json_t *o;
    size_t i, told = 0;

    if (!doctor_has_status(d))
        return;
    if (*text_of(d->status, "problem"))
        doctor_find(d, NSH_ORIGIN_NONE, NULL, "the daemon has a problem: %s",
                text_of(d->status, "problem"));
    json_array_foreach(json_object_get(d->status, "objects"), i, o)
    {
        for (size_t k = 0; k < NSH_ARRAY_SIZE(bad); k++)
            if (strcmp(text_of(o, "state"), bad[k]) == 0 && !is_undone(o) && told++ < OBJECTS_MAX)
                tell_object(d, o);
    }
    if (told > OBJECTS_MAX)
        doctor_find(
                d, NSH_ORIGIN_NONE, "run: netshared status", "and %zu more", told - OBJECTS_MAX);
}

/* ---- fights ---- */

#define FIGHT_REPAIRS NSH_BACKOFF_FREE /* so many, the last one not long ago */
#define FIGHT_USEC (5ULL * 60 * 1000000)

void doctor_fights(struct doctor *d)
{
    const json_t *o;
    size_t i;

    if (!doctor_has_status(d))
        return;
    json_array_foreach(json_object_get(d->status, "objects"), i, o)
    {
        uint64_t repairs = number_of(o, "repairs"), ago = number_of(o, "last_repair_ago_usec");
        char duration[NSH_DURATION_TEXT];

        if (!is_undone(o) && (repairs < FIGHT_REPAIRS || ago > FIGHT_USEC))
            continue;
        doctor_find_at(d, json_string_value(json_object_get(o, "file")),
                (uint32_t)number_of(o, "line"),
                "find out who it is ('netshared watch' says it where that is certain), and stop "
                "that program from changing it, or take it out of the file",
                "%s %s was repaired %llu times, %s ago last, and something undoes it again",
                text_of(o, "kind"), text_of(o, "name"), (unsigned long long)repairs,
                nsh_duration_format(ago, duration));
    }
}
