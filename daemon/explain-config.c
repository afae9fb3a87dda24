/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The configuration that `explain` is about: while a daemon runs the one in force, whatever its
 * file has become since; else the file.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "cleanup.h"
#include "common.h"
#include "control.h"
#include "diag.h"
#include "explain.h"
#include "lock.h"
#include "running.h"
#include "state.h"

#define STATUS_TIMEOUT_USEC 3000000ULL

NSH_DEFINE_CLEANUP(struct nsh_state *, nsh_state_free)

/* ---- what is in force ---- */

static enum nsh_archive_name in_force(struct nsh_state *state, bool *ret_tried)
{
    struct nsh_trial trial;

    *ret_tried = nsh_state_trial_load(state, &trial) == 0 && !trial.reverted;
    return *ret_tried ? trial.archive : NSH_ARCHIVE_ACCEPTED;
}

static void note_bad(struct explain *e, const struct nsh_loaded *file)
{
    const struct nsh_diag *diag = NULL;

    for (size_t i = 0; file->diags && (diag = nsh_diags_get(file->diags, i)); i++)
        if (diag->severity == NSH_DIAG_ERROR)
            break;
    if (diag && diag->path)
        explain_note(e,
                "%s has an error and is not in force (%s:%u: %s): this is about what the daemon "
                "accepted last",
                e->options->config, diag->path, diag->line, diag->text);
    else
        explain_note(e, "%s can't be read (%s): this is about what the daemon accepted last",
                e->options->config, diag ? diag->text : strerror(-file->error));
}

/* What the daemon says of that; NULL: it took its own. */
static const char *other_file(const struct explain *e)
{
    return json_string_value(json_object_get(e->status, "other_file"));
}

/* Whether the file still says what is in force; what the daemon took from another, it knows. */
static void compare(
        struct explain *e, struct nsh_state *state, enum nsh_archive_name name, bool tried)
{
    const char *other = other_file(e);
    NSH_CLEANUP(nsh_loaded_done) struct nsh_loaded file = {0};
    nsh_autoclose int archive = memfd_create("netshared-explain", MFD_CLOEXEC);

    if (other)
        explain_note(e, "%s", other);
    if (archive < 0)
        return;
    nsh_load_into(e->options->config, NSH_TRUST_WARN, archive, &file);
    if (file.error < 0)
        note_bad(e, &file);
    else if (other || nsh_state_archive_same(state, name, archive))
        return;
    else if (tried)
        explain_note(
                e, "this is about what is on trial; %s says something else", e->options->config);
    else
        explain_note(e,
                "%s says something else: this is about what is in force; 'netshared reload' "
                "puts the file in force",
                e->options->config);
}

static int load_in_force(struct explain *e, struct nsh_loaded *ret)
{
    NSH_CLEANUP(nsh_state_freep) struct nsh_state *state = NULL;
    enum nsh_archive_name name;
    bool tried;
    int q = nsh_state_open_reader(e->options->state_directory, &state);

    if (q < 0)
        return q;
    name = in_force(state, &tried);
    nsh_load_archive(state, name, ret);
    if (ret->error == 0)
        compare(e, state, name, tried);
    return ret->error;
}

/* ---- which one ---- */

/* A daemon runs, and it is about another file: then this one is judged, as if it were in force. */
static bool is_another(struct explain *e)
{
    const char *config = json_string_value(json_object_get(e->status, "config"));

    if (!config || nsh_is_same_file(config, e->options->config))
        return false;
    explain_note(e, "this is about %s; the daemon that runs has %s", e->options->config, config);
    return true;
}

int explain_configure(struct explain *e, struct nsh_loaded *ret)
{
    int q = nsh_control_call_status(e->options->runtime_directory, STATUS_TIMEOUT_USEC, &e->status);

    e->idle = q == -ENOENT || q == -ECONNREFUSED;
    if (!e->idle && !is_another(e)) {
        q = e->status ? load_in_force(e, ret) : -EACCES;
        if (q == 0)
            return NSH_EXIT_OK;
        nsh_loaded_done(ret);
        if (other_file(e))
            explain_note(e, "%s", other_file(e));
        explain_note(e,
                "what is in force can't be read (%s): this is about %s, which may have been "
                "changed since",
                strerror(-q), e->options->config);
    }
    nsh_load_now(e->options->config, NSH_TRUST_WARN, NULL, ret);
    if (ret->diags && nsh_diags_errors(ret->diags) > 0)
        nsh_complain_of(ret->diags);
    return ret->error == 0 ? NSH_EXIT_OK : NSH_EXIT_FAILED;
}
