/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A configuration on trial: in force until somebody confirms it, else the last accepted one comes
 * back. The state directory knows of it, so that neither a restart nor the way to the machine that
 * it cut off is in the way of going back.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "config-archive.h"
#include "manager.h"
#include "running.h"
#include "text.h"

#define REVERT_AGAIN_USEC 1000000ULL

uint64_t nsh_trial_left(const struct nsh_trial *t)
{
    uint64_t now = nsh_realtime(), left = t->until > now ? t->until - now : 0;

    /* A clock that was set back would let it run on and on. */
    return left < t->timeout ? left : t->timeout;
}

const char *nsh_trial_text(uint64_t left, char buf[static NSH_TRIAL_TEXT])
{
    char duration[NSH_DURATION_TEXT];

    (void)snprintf(buf, NSH_TRIAL_TEXT, "'netshared confirm' keeps it; without it, it ends in %s",
            nsh_duration_format(left, duration));
    return buf;
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source;
    (void)usec;
    struct manager *m = userdata;
    char duration[NSH_DURATION_TEXT], why[sizeof m->trial_why];

    (void)snprintf(why, sizeof(why), "its time of %s was over",
            nsh_duration_format(m->trial.timeout, duration));
    manager_trial_revert(m, why);
    return 0;
}

static int arm(struct manager *m, uint64_t usec)
{
    uint64_t at = nsh_clock(NULL) + usec;

    if (!m->trial_timer)
        return sd_event_add_time(m->event, &m->trial_timer, CLOCK_BOOTTIME, at, 1, on_deadline, m);
    int e = sd_event_source_set_time(m->trial_timer, at);
    return e < 0 ? e : sd_event_source_set_enabled(m->trial_timer, SD_EVENT_ONESHOT);
}

static void forget_why(struct manager *m)
{
    m->trial_unwanted = false;
    m->trial_why[0] = '\0';
}

static void tell_superseded(struct manager *m, const char *how)
{
    if (m->trial_runs)
        manager_report_of(m, NSH_REPORT_SUPERSEDED, m->trial_file, how);
}

void manager_trial_superseded(struct manager *m)
{
    static const char how[] = "a reload took its place";

    tell_superseded(m, how);
    manager_trial_end(m, how);
}

void manager_trial_begin(struct manager *m, const struct nsh_trial *trial)
{
    uint64_t left = nsh_trial_left(trial);
    const struct nsh_origins *origins = nsh_reconciler_desired(m->reconciler)->config->origins;
    char text[NSH_TRIAL_TEXT];

    /* Read once more it is the same. */
    if (trial->archive != m->trial.archive || trial->until != m->trial.until)
        tell_superseded(m, "another trial took its place");
    if (!m->trial_runs) { /* else it is that of before the first of them */
        free(m->problem_before);
        m->problem_before = NSH_TAKE_PTR(m->problem);
    }
    manager_set_problem(m, NULL);
    free(m->trial_file);
    m->trial_file = strdup(
            nsh_origins_files(origins) > 0 ? nsh_origins_file(origins, 0) : m->options->config);
    m->trial = *trial;
    forget_why(m);
    m->trial_runs = true;
    m->trial_ends = nsh_clock(NULL) + left;
    manager_report_of(m, NSH_REPORT_TRIAL, m->trial_file, nsh_trial_text(left, text));
    if (arm(m, left) < 0)
        manager_trial_revert(m, "no timer could be had");
}

/* For who confirms it too late. */
static void note_end(struct manager *m, const char *how)
{
    char at[NSH_CLOCK_TEXT], *text = NULL;

    if (asprintf(&text, "%s was, until %s: %s", m->trial_file ? m->trial_file : "another one",
                nsh_clock_format(nsh_realtime(), at), how) < 0)
        text = NULL;
    free(m->trial_over);
    m->trial_over = text;
}

void manager_trial_end(struct manager *m, const char *how)
{
    if (m->trial_runs)
        note_end(m, how);
    m->trial_runs = false;
    forget_why(m);
    if (m->trial_timer)
        (void)sd_event_source_set_enabled(m->trial_timer, SD_EVENT_OFF);
}

void manager_trial_revert(struct manager *m, const char *why)
{
    const struct nsh_load_request request = {.what = NSH_LOAD_ACCEPTED, .fd = -1};

    if (!m->trial_runs)
        return;
    if (!why)
        m->trial_unwanted = true;
    else
        (void)snprintf(m->trial_why, sizeof(m->trial_why), "%s", why);
    if (!m->loader || m->loading || manager_begin_load(m, &request) < 0)
        (void)arm(m, REVERT_AGAIN_USEC);
}

void manager_trial_failed(struct manager *m, const struct nsh_loaded *l)
{
    if (l->what == NSH_LOAD_ACCEPTED)
        (void)arm(m, REVERT_AGAIN_USEC);
    else if (l->trial.timeout > 0 && m->trial_runs)
        (void)nsh_state_trial_save(m->state, &m->trial);
    else if (l->trial.timeout > 0)
        (void)nsh_state_trial_forget(m->state);
}

/* The name of what an earlier run tried, as it stored it; NULL: that can't be read. */
static char *stored_file(struct nsh_state *state)
{
    NSH_CLEANUP(nsh_archive_free) struct nsh_archive archive = {0};
    struct nsh_trial trial;

    if (!state || nsh_state_trial_load(state, &trial) < 0)
        return NULL;
    nsh_autoclose int fd = nsh_state_archive_open(state, trial.archive);
    if (fd < 0 || nsh_archive_read(fd, &archive) < 0)
        return NULL;
    return strdup(archive.files[0].path);
}

static void reverted(struct manager *m, enum nsh_report_kind kind, const char *why)
{
    nsh_autofree char *stored = m->trial_file ? NULL : stored_file(m->state);
    const char *file = m->trial_file ? m->trial_file : stored ? stored : m->options->config;
    char word[512], *problem = NULL;
    bool is_main = nsh_is_same_file(file, m->options->config);

    manager_report_of(m, kind, file, why);
    manager_trial_end(m, why ? why : "somebody asked to go back");
    if (kind == NSH_REPORT_WITHDRAWN ||
            asprintf(&problem,
                    "error: %s was not confirmed, the last accepted configuration runs; to try it "
                    "again: netshared try%s%s; a reload takes %s",
                    file, is_main ? "" : " ", is_main ? "" : nsh_text_word(file, word, sizeof word),
                    is_main ? "it unconfirmed" : m->options->config) < 0)
        problem = NULL;
    manager_set_problem(m, kind == NSH_REPORT_WITHDRAWN ? m->problem_before : problem);
    free(problem);
}

/* The accepted one has come back. Who asked for that has no problem that was not there before. */
void manager_trial_reverted(struct manager *m, const char *why)
{
    if (m->trial_unwanted) {
        reverted(m, NSH_REPORT_WITHDRAWN, NULL);
        return;
    }
    reverted(m, NSH_REPORT_REVERTED, why ? why : m->trial_why);
}

/* ---- what clients ask ---- */

/* False: it was answered that there is none, or not now. */
static bool is_to_decide(struct manager *m, struct nsh_control_reply *reply)
{
    nsh_autofree char *text = NULL;

    if (m->trial_runs && !m->loading)
        return true;
    if (!m->trial_runs && m->trial_over &&
            asprintf(&text, "no configuration is on trial; %s", m->trial_over) < 0)
        text = NULL;
    nsh_control_reply_reload(reply, false,
            text            ? text
            : m->trial_runs ? "another configuration is being loaded; try again"
                            : "no configuration is on trial");
    return false;
}

void manager_try(void *userdata, int fd, uint64_t timeout, struct nsh_control_reply *reply)
{
    struct manager *m = userdata;
    const struct nsh_load_request request = {.what = NSH_LOAD_TRIED, .fd = fd, .trial = timeout};

    if (timeout < NSH_TRIAL_MIN || timeout > NSH_TRIAL_MAX || m->loading) {
        nsh_control_reply_reload(reply, false,
                m->loading ? "another configuration is being loaded; try again"
                           : "a trial lasts from 1 s to 24 h");
        nsh_closep(&fd);
        return;
    }
    m->loading_replies.items[m->loading_replies.n++] = reply;
    (void)manager_begin_load(m, &request);
}

void manager_confirm(void *userdata, struct nsh_control_reply *reply)
{
    struct manager *m = userdata;

    if (!is_to_decide(m, reply))
        return;
    int e = nsh_state_trial_confirm(m->state, &m->trial);
    if (e < 0) {
        nsh_control_reply_reload(reply, false, strerror(-e));
        return;
    }
    manager_trial_end(m, "it was confirmed");
    m->applying_tried = false; /* what takes its place from now on does not undo it */
    /* The file on disk is what runs, unless it was read once more since, and refused. */
    if (m->trial_file && nsh_is_same_file(m->trial_file, m->options->config) &&
            m->refused_at <= m->taken_at)
        manager_clear_refusal(m);
    manager_report_of(m, NSH_REPORT_CONFIRMED, m->trial_file, NULL);
    manager_notify(m, "");
    nsh_control_reply_reload(reply, true, "");
}

void manager_revert(void *userdata, struct nsh_control_reply *reply)
{
    struct manager *m = userdata;

    if (!is_to_decide(m, reply))
        return;
    m->loading_replies.items[m->loading_replies.n++] = reply;
    manager_trial_revert(m, NULL);
}

/* ---- at start ---- */

/*
 * What a trial has to do with this start. 1: `ret` is to run instead of the file on disk, and
 * *ret_trial (timeout 0: none) is the trial that goes on with it. 0: nothing.
 */
int nsh_trial_at_start(struct nsh_state *state, struct nsh_loaded *ret, struct nsh_trial *ret_trial)
{
    struct nsh_trial trial;
    int e = state ? nsh_state_trial_load(state, &trial) : -ENOENT;

    *ret_trial = (struct nsh_trial){0};
    if (e < 0 || trial.reverted)
        return 0;
    if (nsh_trial_left(&trial) > 0) {
        nsh_load_archive(state, trial.archive, ret);
        if (ret->error == 0) {
            *ret_trial = trial;
            return 1;
        }
        nsh_loaded_done(ret);
    }
    trial.reverted = true; /* also where there is nothing to go back to: it was not confirmed */
    (void)nsh_state_trial_save(state, &trial);
    nsh_load_archive(state, NSH_ARCHIVE_ACCEPTED, ret);
    if (ret->error < 0) {
        nsh_loaded_done(ret);
        return 0;
    }
    return 1;
}
