/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a configuration comes into force: loaded aside, taken whole or not at all, accepted into the
 * state directory, and reported once the first pass over it is through.
 */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "absent.h"
#include "cleanup.h"
#include "common.h"
#include "default-routes.h"
#include "manager.h"
#include "status.h"

static void reply_all(struct reply_list *to, bool accepted, const char *text)
{
    for (size_t i = 0; i < to->n; i++)
        nsh_control_reply_reload(to->items[i], accepted, text);
    to->n = 0;
}

static void move_all(struct reply_list *from, struct reply_list *to)
{
    *to = *from;
    from->n = 0;
}

void manager_applied(struct manager *m)
{
    char counts[128];

    m->applying = m->applying_tried = false;
    nsh_prober_go(m->prober);
    nsh_status_counts(m->reconciler, counts, sizeof counts);
    if (m->ready) {
        manager_report(m, NSH_REPORT_RELOADED, counts);
    } else {
        manager_report(m, NSH_REPORT_STARTED, counts);
        m->ready = true;
    }
    reply_all(&m->applying_replies, true, m->warnings ? m->warnings : "");
    free(NSH_TAKE_PTR(m->warnings));
    manager_notify(m, m->loading ? "" : "READY=1\n");
    malloc_trim(0); /* what loading needed goes back to the system */
}

void manager_set_problem(struct manager *m, const char *text)
{
    free(m->problem);
    m->problem = text ? strdup(text) : NULL;
}

static void advise_unstored(const struct manager *m, const struct nsh_loaded *l)
{
    if (l->store_error < 0)
        nsh_diag_add(l->diags, NSH_DIAG_WARNING, m->options->config, 0, 0,
                "see to it that it can be written to, and has room; then reload",
                "it could not be stored in %s (%s): a start with a bad file would run what was "
                "stored before, if anything was",
                m->options->state_directory, strerror(-l->store_error));
}

static int take(struct manager *m, struct nsh_loaded *l, enum nsh_occasion why)
{
    uint8_t protocol = l->desired->protocol;
    int q;

    /* Subscribed before the first look, so that nothing is missed between the two. */
    q = manager_watch_kernel(m, protocol);
    if (q == 0) {
        manager_choose_firewall(m, l->desired);
        q = nsh_reconciler_set(m->reconciler, l->desired, why);
    }
    if (q < 0)
        return q;
    l->desired = NULL;
    if (nsh_prober_set(m->prober, nsh_reconciler_desired(m->reconciler)) < 0)
        manager_report(m, NSH_REPORT_WARNING, "out of memory: nothing is checked");
    /* Who waits for a configuration that this one replaces was right: it had been accepted. But
     * what was tried is on trial no more. */
    if (m->applying_tried)
        reply_all(&m->applying_replies, false, "another configuration took its place at once");
    else
        reply_all(&m->applying_replies, true, m->warnings ? m->warnings : "");
    m->applying_tried = l->what == NSH_LOAD_TRIED;
    m->taken_at = nsh_realtime();
    move_all(&m->loading_replies, &m->applying_replies);
    m->applying = true;
    m->applied_mark = manager_passes_finished(m);
    advise_unstored(m, l);
    free(m->warnings);
    m->warnings = nsh_diags_warnings(l->diags) > 0 ? nsh_diags_format(l->diags) : NULL;
    if (m->resync) {
        uint64_t period = manager_resync_period(m);

        sd_event_source_set_time(m->resync, nsh_clock(NULL) + period);
        sd_event_source_set_time_accuracy(m->resync, period / 20);
        sd_event_source_set_enabled(m->resync, SD_EVENT_ON);
    }
    return 0;
}

static void report_warnings(struct manager *m, const struct nsh_loaded *l)
{
    nsh_autofree char *text = NULL;

    if (nsh_diags_warnings(l->diags) == 0)
        return;
    text = nsh_diags_format(l->diags);
    manager_report(m, NSH_REPORT_WARNING, text);
}

static char *errors_of(const struct nsh_loaded *l)
{
    char *text = l->diags && nsh_diags_errors(l->diags) > 0 ? nsh_diags_format(l->diags) : NULL;

    return text ? text : strdup(strerror(-l->error));
}

static void load_file(struct manager *m);

/* Who asked for a reload is told that it is a trial, behind the warnings. */
static void tell_of_trial(struct manager *m, const struct nsh_trial *trial)
{
    char text[NSH_TRIAL_TEXT], *both = NULL;

    if (asprintf(&both, "%s%s: on trial: %s\n", m->warnings ? m->warnings : "", m->options->config,
                nsh_trial_text(nsh_trial_left(trial), text)) < 0)
        return;
    free(m->warnings);
    m->warnings = both;
}

/* What was taken is on trial, or ends one. */
static void settle_trial(struct manager *m, const struct nsh_loaded *l)
{
    if (l->what == NSH_LOAD_ACCEPTED) {
        manager_trial_reverted(m, NULL);
        return;
    }
    if (l->trial.timeout == 0) {
        manager_set_problem(m, NULL);
        manager_trial_superseded(m);
        return;
    }
    if (l->what == NSH_LOAD_FILE)
        tell_of_trial(m, &l->trial);
    manager_trial_begin(m, &l->trial);
}

/* The first error with its place, in a line; NULL: no memory. */
static char *first_error(const struct nsh_loaded *l)
{
    char *text = NULL;

    for (size_t i = 0; l->diags && i < nsh_diags_count(l->diags); i++) {
        const struct nsh_diag *d = nsh_diags_get(l->diags, i);

        if (d->severity != NSH_DIAG_ERROR)
            continue;
        if (!d->path || d->line == 0)
            return asprintf(&text, "%s%s%s", d->path ? d->path : "", d->path ? ": " : "", d->text) <
                                   0
                           ? NULL
                           : text;
        return asprintf(&text, "%s:%u: %s", d->path, d->line, d->text) < 0 ? NULL : text;
    }
    return strdup(strerror(-l->error));
}

/* What `status` says until the file is taken. */
static void set_refusal(struct manager *m, char *why)
{
    m->refused_at = nsh_realtime();
    m->refused_at_start = false;
    free(m->refused);
    m->refused = why;
}

void manager_clear_refusal(struct manager *m)
{
    set_refusal(m, NULL);
    m->refused_at = 0;
}

static void note_verdict(struct manager *m, const struct nsh_loaded *l)
{
    if (l->what != NSH_LOAD_FILE)
        return;
    if (l->error == 0)
        manager_clear_refusal(m);
    else
        set_refusal(m, first_error(l));
}

void manager_loaded(void *userdata, struct nsh_loaded *l)
{
    struct manager *m = userdata;
    int q = l->error;

    m->loading = false;
    /* At a start they may be yet to come. */
    if (q == 0)
        nsh_advise_absent_devices(l->desired, m->fib, l->diags);
    if (q == 0)
        q = l->error = take(m, l, NSH_OCCASION_RELOAD);
    note_verdict(m, l);
    if (q == 0) {
        report_warnings(m, l);
        settle_trial(m, l);
    } else {
        nsh_autofree char *text = errors_of(l);

        manager_report(m, NSH_REPORT_RELOAD_BAD, text);
        reply_all(&m->loading_replies, false, text ? text : "out of memory");
        manager_notify(m, m->applying ? "" : "READY=1\n");
        manager_trial_failed(m, l);
    }
    if (l->what == NSH_LOAD_FILE)
        manager_watch_files(m);
    nsh_loaded_done(l);
    if (m->load_again)
        load_file(m);
    malloc_trim(0);
    manager_schedule(m);
}

static void notify_reloading(void)
{
    struct timespec t;

    /* sd_notify(3): systemd 253 and later want the time, older ones ignore it. */
    clock_gettime(CLOCK_MONOTONIC, &t);
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu",
            (unsigned long long)t.tv_sec * 1000000 + (unsigned long long)t.tv_nsec / 1000);
}

/* What it is to be compared with. */
static void tell_what_runs(const struct manager *m, struct nsh_load_request *request)
{
    const struct nsh_desired *d = nsh_reconciler_desired(m->reconciler);

    if (!d)
        return;
    request->protocol = d->protocol;
    for (int f = 0; f < NSH_FAMILIES; f++)
        request->has_default[f] = nsh_default_route_wanted(d, nsh_family_of(f));
}

int manager_begin_load(struct manager *m, const struct nsh_load_request *what)
{
    struct nsh_load_request request = *what;

    notify_reloading();
    tell_what_runs(m, &request);
    int q = nsh_loader_start(m->loader, &request);
    if (q < 0) {
        if (request.what == NSH_LOAD_FILE)
            set_refusal(m, strdup(strerror(-q)));
        manager_report(m, NSH_REPORT_RELOAD_BAD, strerror(-q));
        reply_all(&m->loading_replies, false, strerror(-q));
        manager_notify(m, m->applying ? "" : "READY=1\n");
        return q;
    }
    m->loading = true;
    return 0;
}

/* In a container a volume's folder may be open to all, and yet nobody there to write to it. */
static enum nsh_config_trust trust_of(const struct manager *m)
{
    return m->options->trust_files ? NSH_TRUST_WARN : NSH_TRUST_REQUIRED;
}

/* The file on disk; the configuration that runs may want a change to be confirmed. */
static void load_file(struct manager *m)
{
    const struct nsh_desired *d = nsh_reconciler_desired(m->reconciler);
    const struct nsh_load_request request = {.what = NSH_LOAD_FILE,
            .trust = trust_of(m),
            .fd = -1,
            .trial = d ? d->config->settings.confirm_reload_usec : 0};

    move_all(&m->waiting_replies, &m->loading_replies);
    m->load_again = false;
    m->load_began = nsh_realtime();
    (void)manager_begin_load(m, &request);
}

void manager_request_load(struct manager *m, struct nsh_control_reply *reply)
{
    struct reply_list *waiting = &m->waiting_replies;

    if (reply && waiting->n == REPLIES_MAX) {
        nsh_control_reply_reload(reply, false, "too many reloads at once; try again");
        return;
    }
    if (reply)
        waiting->items[waiting->n++] = reply;
    if (m->loading)
        m->load_again = true;
    else
        load_file(m);
}

/* The file on disk does not count: the last accepted configuration runs, and `problem` says why. */
static int run_accepted(struct manager *m, struct nsh_loaded *accepted)
{
    nsh_load_archive(m->state, NSH_ARCHIVE_ACCEPTED, accepted);
    return accepted->error == 0 ? take(m, accepted, NSH_OCCASION_START) : accepted->error;
}

/* 1: nothing of a trial is left. */
static int resume_trial(struct manager *m)
{
    struct nsh_loaded loaded = {0};
    struct nsh_trial trial;

    if (nsh_trial_at_start(m->state, &loaded, &trial) == 0)
        return 1;
    int q = take(m, &loaded, NSH_OCCASION_START);
    nsh_loaded_done(&loaded);
    if (q == 0 && trial.timeout > 0)
        manager_trial_begin(m, &trial);
    else if (q == 0)
        manager_trial_reverted(m, "its time was over when netshared started");
    return q;
}

static void refuse_start(struct manager *m, const struct nsh_loaded *accepted, const char *errors)
{
    fprintf(stderr, "%s\n", errors ? errors : "out of memory");
    if (accepted->error != 0 && accepted->error != -ENOENT)
        nsh_complain("the last accepted configuration, %s/accepted, can't be used: %s",
                m->options->state_directory,
                accepted->error == -EBADMSG ? "it is damaged" : strerror(-accepted->error));
    nsh_complain(
            "there is nothing good to run: correct %s; nothing was changed", m->options->config);
}

int manager_load_first(struct manager *m)
{
    struct nsh_loaded loaded, accepted = {0};
    nsh_autofree char *errors = NULL, *first = NULL;
    int q = resume_trial(m);

    if (q <= 0)
        return q;
    m->load_began = nsh_realtime();
    nsh_load_now(m->options->config, trust_of(m), m->state, &loaded);
    q = loaded.error;
    if (q == 0) {
        q = take(m, &loaded, NSH_OCCASION_START);
        if (q == 0)
            report_warnings(m, &loaded);
        nsh_loaded_done(&loaded);
        return q;
    }
    bool rejected = q == -EKEYREJECTED;
    errors = errors_of(&loaded);
    first = first_error(&loaded);
    nsh_loaded_done(&loaded);
    q = run_accepted(m, &accepted);
    if (q == 0 && rejected) {
        manager_trial_reverted(m, "the file on disk is what was tried; a reload takes it");
    } else if (q == 0) {
        manager_report(m, NSH_REPORT_START_BAD, errors);
        manager_set_problem(m, "error: the file is bad, the last accepted configuration runs");
        set_refusal(m, NSH_TAKE_PTR(first));
        m->refused_at_start = true;
    } else {
        refuse_start(m, &accepted, errors);
        q = -EINVAL;
    }
    nsh_loaded_done(&accepted);
    return q;
}
