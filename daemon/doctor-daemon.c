/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon: whether it runs and with which file, and what it says of itself.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "backoff.h"
#include "cleanup.h"
#include "doctor.h"
#include "lock.h"
#include "state.h"
#include "text.h"
#include "user.h"

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

/* What is to be done before there is one. */
static const char *how_to_begin(const struct doctor *d, char *buf, size_t size)
{
    char run[1024];
    const char *start = has_unit(d) ? "run: systemctl enable --now netshared"
                                    : doctor_command(d, "run", run, sizeof run);

    if (d->desired)
        snprintf(buf, size, "%s", start);
    else
        snprintf(buf, size, "%s the file (see below), then %s",
                d->loaded && d->loaded->error != -ENOENT ? "mend" : "write", start);
    return buf;
}

static void tell_of_none(struct doctor *d)
{
    char fix[1200], idle[1280];

    how_to_begin(d, fix, sizeof fix);
    if (!d->desired || wants_anything(d->desired)) {
        doctor_find(d, NSH_ORIGIN_NONE, fix,
                "no daemon runs for this network namespace: nothing is kept");
        return;
    }
    snprintf(idle, sizeof idle, "none runs, and the file wants nothing; to have one, %s", fix);
    doctor_idle(d, idle);
}

void doctor_daemon(struct doctor *d)
{
    bool unheard = d->status_error == -ENOENT || d->status_error == -ECONNREFUSED;
    pid_t holder = unheard ? nsh_lock_holder() : 0;

    if (holder > 0) {
        doctor_find(d, NSH_ORIGIN_NONE,
                "wait, if it is starting, or a command at work; else give the "
                "--runtime-directory it was started with; or restart it, if somebody removed that",
                "netshared (process %d) runs, but its socket is not in %s", (int)holder,
                d->options->runtime_directory);
    } else if (d->status_error == -EACCES || d->status_error == -EPERM) {
        doctor_unseen(d, "it answers root only");
    } else if (unheard) {
        tell_of_none(d);
    } else if (d->status_error < 0) {
        doctor_find(d, NSH_ORIGIN_NONE, "run: journalctl -u netshared -e",
                "the daemon does not answer: %s", strerror(-d->status_error));
    } else if (has_unit(d) && !exists(d, "/etc/systemd/system/multi-user.target.wants/" UNIT)) {
        doctor_find(d, NSH_ORIGIN_NONE, "run: systemctl enable netshared",
                "the daemon runs, and nothing starts it at the next boot");
    }
}

/* ---- the file ---- */

static void tell_errors(struct doctor *d, const struct nsh_loaded *loaded)
{
    static const char absent[] = "write into it what is to be kept, as netshared.yaml(5) tells, or "
                                 "name another one with --config";
    const struct nsh_diags *diags = loaded->diags;
    const struct nsh_diag *diag;

    for (size_t i = 0; diags && (diag = nsh_diags_get(diags, i)); i++)
        if (diag->severity == NSH_DIAG_ERROR)
            doctor_find_at(d, diag->path, diag->line,
                    !diag->hint && loaded->error == -ENOENT ? absent : diag->hint, "%s",
                    diag->text);
    if (!diags || nsh_diags_errors(diags) == 0)
        doctor_find_at(
                d, d->options->config, 0, NULL, "it can't be read: %s", strerror(-loaded->error));
}

static bool is_of_the_service(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && st.st_uid != 0 && st.st_uid != geteuid() &&
           nsh_user_is_trusted(st.st_uid);
}

/*
 * The daemon relies on what is its own user's; we, who are root, would not. Where that is so, who
 * else could write to it stays unsaid.
 */
static enum nsh_config_trust daemons_trust(const struct doctor *d)
{
    const char *path = d->options->config, *slash = strrchr(path, '/');
    nsh_autofree char *directory = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");

    return json_is_false(json_object_get(d->status, "trust_files")) && directory &&
                           !is_of_the_service(path) && !is_of_the_service(directory)
                   ? NSH_TRUST_REQUIRED
                   : NSH_TRUST_WARN;
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
    nsh_load_into(d->options->config, daemons_trust(d), archive, &again);
    if (again.error < 0)
        tell_errors(d, &again);
    else if (!nsh_state_archive_same(state, NSH_ARCHIVE_ACCEPTED, archive))
        doctor_find_at(d, d->options->config, 0, doctor_command(d, "reload", fix, sizeof fix),
                "it was changed, and is not what is in force");
}

void doctor_file(struct doctor *d)
{
    if (*doctor_text_of(d->status, "reload_refused"))
        doctor_note(d, "%s", doctor_text_of(d->status, "reload_refused"));
    if (!d->loaded)
        doctor_unseen(d, "no memory");
    else if (d->loaded->error < 0)
        tell_errors(d, d->loaded);
    else if (*doctor_text_of(d->status, "other_file"))
        doctor_find(d, NSH_ORIGIN_NONE, NULL, "%s", doctor_text_of(d->status, "other_file"));
    else if (d->status && doctor_number_of(d->status, "trial_left_usec") == 0)
        compare(d);
}

void doctor_trial(struct doctor *d)
{
    char left[NSH_DURATION_TEXT], fix[1024];
    uint64_t usec;

    if (!doctor_has_status(d))
        return;
    usec = doctor_number_of(d->status, "trial_left_usec");
    if (usec > 0)
        doctor_find(d, NSH_ORIGIN_NONE, doctor_command(d, "confirm", fix, sizeof fix),
                "a configuration is on trial, and goes back in %s unless it is confirmed",
                nsh_duration_format(usec, left));
}

/* ---- what it holds ---- */

#define OBJECTS_MAX 20 /* are told of one by one */

/*
 * The command that helps stands behind a reason, if one is known; NULL: none is. Only a reason that
 * begins with a chain has one: the chain is told of in plain words (struct nsh_forward_drop). In
 * any other reason there may be names of others, which may hold all that looks like a command.
 */
static const char *command_of(const char *reason)
{
    static const char *const heads[] = {"nftables chain ", "the legacy "};

    for (size_t i = 0; i < NSH_ARRAY_SIZE(heads); i++)
        if (strncmp(reason, heads[i], strlen(heads[i])) == 0)
            return strstr(reason, "; run: ");
    return NULL;
}

static void tell_object(struct doctor *d, const json_t *o)
{
    const char *reason = doctor_text_of(o, "reason"), *run = command_of(reason);
    int n = run ? (int)(run - reason) : (int)strlen(reason);

    doctor_find_at(d, json_string_value(json_object_get(o, "file")),
            (uint32_t)doctor_number_of(o, "line"), run ? run + strlen("; ") : NULL,
            "%s %s is %s%s%.*s", doctor_text_of(o, "kind"), doctor_text_of(o, "name"),
            doctor_text_of(o, "state"), n > 0 ? ": " : "", n, reason);
}

void doctor_objects(struct doctor *d)
{
    static const char *const bad[] = {"pending", "conflicting", "wrong"};
    const json_t *o;
    size_t i, told = 0;

    if (!doctor_has_status(d))
        return;
    if (*doctor_text_of(d->status, "problem"))
        doctor_find(d, NSH_ORIGIN_NONE, NULL, "the daemon has a problem: %s",
                doctor_text_of(d->status, "problem"));
    json_array_foreach(json_object_get(d->status, "objects"), i, o)
    {
        for (size_t k = 0; k < NSH_ARRAY_SIZE(bad); k++)
            if (strcmp(doctor_text_of(o, "state"), bad[k]) == 0 && !doctor_is_undone(o) &&
                    told++ < OBJECTS_MAX)
                tell_object(d, o);
    }
    if (told > OBJECTS_MAX)
        doctor_find(
                d, NSH_ORIGIN_NONE, "run: netshared status", "and %zu more", told - OBJECTS_MAX);
}

/* ---- fights ---- */

#define FIGHT_REPAIRS NSH_BACKOFF_FREE
#define FIGHT_USEC (60ULL * 1000000)        /* since the last repair: it goes on */
#define FIGHT_PAST_USEC (3600ULL * 1000000) /* it may come again */

static void tell_fight(struct doctor *d, const json_t *o, bool goes_on)
{
    unsigned long long repairs = doctor_number_of(o, "repairs");
    const char *who = doctor_text_of(o, "culprit");
    char duration[NSH_DURATION_TEXT], fix[256];

    nsh_duration_format(doctor_number_of(o, "last_repair_ago_usec"), duration);
    snprintf(fix, sizeof fix,
            "%s, and stop that program from changing it, or take it out of the file",
            *who ? "see what starts it"
                 : "find out who it is ('netshared watch' says it where that is certain)");
    if (goes_on)
        doctor_find_at(d, json_string_value(json_object_get(o, "file")),
                (uint32_t)doctor_number_of(o, "line"), fix,
                "%s %s was repaired %llu times, the last time %s ago, and %s undoes it again",
                doctor_text_of(o, "kind"), doctor_text_of(o, "name"), repairs, duration,
                *who ? who : "something");
    else
        doctor_note(d, "%s %s was repaired %llu times, the last time %s ago; it stands since",
                doctor_text_of(o, "kind"), doctor_text_of(o, "name"), repairs, duration);
}

void doctor_fights(struct doctor *d)
{
    const json_t *o;
    size_t i;

    if (!doctor_has_status(d))
        return;
    json_array_foreach(json_object_get(d->status, "objects"), i, o)
    {
        uint64_t ago = doctor_number_of(o, "last_repair_ago_usec");
        bool often = doctor_number_of(o, "repairs") >= FIGHT_REPAIRS;

        if (doctor_is_undone(o) || (often && ago <= FIGHT_USEC))
            tell_fight(d, o, true);
        else if (often && ago <= FIGHT_PAST_USEC && strcmp(doctor_text_of(o, "state"), "held") == 0)
            tell_fight(d, o, false);
    }
}
