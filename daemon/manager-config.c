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

#include "cleanup.h"
#include "common.h"
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

    m->applying = false;
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

static void set_problem(struct manager *m, const char *text)
{
    free(m->problem);
    m->problem = text ? strdup(text) : NULL;
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
    /* Who waits for a configuration that this one replaces was right: it had been accepted. */
    reply_all(&m->applying_replies, true, m->warnings ? m->warnings : "");
    move_all(&m->loading_replies, &m->applying_replies);
    m->applying = true;
    m->applied_mark = manager_passes_finished(m);
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

static void report_unstored(struct manager *m, const struct nsh_loaded *l)
{
    nsh_autofree char *text = NULL;

    if (l->store_error < 0 &&
            asprintf(&text,
                    "the accepted configuration could not be stored in %s (%s): a start with a "
                    "bad file will have nothing to fall back on",
                    m->options->state_directory, strerror(-l->store_error)) >= 0)
        manager_report(m, NSH_REPORT_WARNING, text);
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

static int begin_load(struct manager *m);

void manager_loaded(void *userdata, struct nsh_loaded *l)
{
    struct manager *m = userdata;
    int q = l->error;

    m->loading = false;
    if (q == 0)
        q = l->error = take(m, l, NSH_OCCASION_RELOAD);
    if (q == 0) {
        report_unstored(m, l);
        report_warnings(m, l);
        set_problem(m, NULL);
    } else {
        nsh_autofree char *text = errors_of(l);

        manager_report(m, NSH_REPORT_RELOAD_BAD, text);
        reply_all(&m->loading_replies, false, text ? text : "out of memory");
        manager_notify(m, m->applying ? "" : "READY=1\n");
    }
    nsh_loaded_done(l);
    if (m->load_again)
        begin_load(m);
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

static int begin_load(struct manager *m)
{
    int q;

    move_all(&m->waiting_replies, &m->loading_replies);
    m->load_again = false;
    notify_reloading();
    q = nsh_loader_start(m->loader);
    if (q < 0) {
        manager_report(m, NSH_REPORT_RELOAD_BAD, strerror(-q));
        reply_all(&m->loading_replies, false, strerror(-q));
        manager_notify(m, m->applying ? "" : "READY=1\n");
        return q;
    }
    m->loading = true;
    return 0;
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
        begin_load(m);
}

int manager_load_first(struct manager *m)
{
    struct nsh_loaded loaded, accepted = {0};
    nsh_autofree char *errors = NULL;
    int q;

    nsh_load_now(m->options->config, NSH_TRUST_REQUIRED, m->state, &loaded);
    q = loaded.error;
    if (q == 0) {
        q = take(m, &loaded, NSH_OCCASION_START);
        if (q == 0) {
            report_unstored(m, &loaded);
            report_warnings(m, &loaded);
        }
        nsh_loaded_done(&loaded);
        return q;
    }
    errors = errors_of(&loaded);
    nsh_loaded_done(&loaded);
    nsh_load_accepted(m->state, &accepted);
    if (accepted.error == 0)
        q = take(m, &accepted, NSH_OCCASION_START);
    if (accepted.error == 0 && q == 0) {
        manager_report(m, NSH_REPORT_START_BAD, errors);
        set_problem(m, "error: the file is bad, the last accepted configuration runs");
    } else {
        fprintf(stderr, "%s\n", errors ? errors : "out of memory");
        if (accepted.error != 0 && accepted.error != -ENOENT)
            nsh_complain("the last accepted configuration, %s/accepted, can't be used: %s",
                    m->options->state_directory,
                    accepted.error == -EBADMSG ? "it is damaged" : strerror(-accepted.error));
        nsh_complain("there is nothing good to run: correct %s; nothing was changed",
                m->options->config);
        q = -EINVAL;
    }
    nsh_loaded_done(&accepted);
    return q;
}
