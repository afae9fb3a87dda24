/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon: owns the event loop, the adapters and the reconciler, and wires them together.
 *
 * Sources of work only mark, at normal priority; the one source that reconciles runs at a lower
 * one, so that what happened at once is mended at once. By turns with it come what is heard sooner
 * than it can be read, and answers.
 */
#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "common.h"
#include "lock.h"
#include "manager.h"
#include "report-json.h"
#include "status.h"

#define POLL_ACCURACY_USEC 1000
#define RETRY_ACCURACY_USEC 1000
#define WORK_ACCURACY_USEC 1
/* How long taking everything away at the end may wait for the xtables lock. */
#define STOP_PATIENCE_USEC 10000000ULL

void manager_tell(struct manager *m, const struct nsh_report *report)
{
    nsh_journal_report(m->journal, report);
    nsh_metrics_report(&m->metrics, report);
    if (!m->control || !nsh_control_watched(m->control))
        return;
    nsh_autofree char *json = nsh_report_json(report, nsh_realtime());
    if (json)
        nsh_control_tell(m->control, json);
}

static void on_report(void *userdata, const struct nsh_report *report)
{
    manager_tell(userdata, report);
}

void manager_report_of(
        struct manager *m, enum nsh_report_kind kind, const char *file, const char *detail)
{
    struct nsh_report report = {
            .kind = kind,
            .object = "configuration",
            .name = file,
            .detail = detail,
    };

    manager_tell(m, &report);
}

void manager_report(struct manager *m, enum nsh_report_kind kind, const char *detail)
{
    manager_report_of(m, kind, m->options->config, detail);
}

/* ---- status ---- */

void manager_notify(struct manager *m, const char *state)
{
    struct nsh_status status = manager_status(m);
    char line[sizeof m->status_line];

    m->notified = manager_passes_finished(m);
    nsh_status_line(&status, line, sizeof line);
    if (state[0] == '\0' && strcmp(line, m->status_line) == 0)
        return;
    memcpy(m->status_line, line, sizeof line);
    sd_notifyf(0, "%sSTATUS=%s", state, line);
}

/* ---- work ---- */

uint64_t manager_passes_finished(const struct manager *m)
{
    struct nsh_work work;

    nsh_reconciler_work(m->reconciler, &work);
    return work.finished;
}

static int on_work(sd_event_source *s, uint64_t at, void *userdata)
{
    struct manager *m = userdata;

    (void)s;
    (void)at;
    nsh_reconciler_run(m->reconciler);
    if (m->applying && manager_passes_finished(m) > m->applied_mark)
        manager_applied(m);
    else if (m->ready && manager_passes_finished(m) > m->notified)
        manager_notify(m, "");
    return manager_schedule(m);
}

static int on_retry(sd_event_source *s, uint64_t at, void *userdata)
{
    (void)s;
    (void)at;
    return manager_schedule(userdata);
}

/*
 * A timer whose time has come takes turns with others of its priority, the longest waiting first,
 * so it is left alone while it waits. A deferred source never does: it would be the first always.
 */
static int arm_work(struct manager *m, bool due)
{
    int enabled, q = sd_event_source_get_enabled(m->work, &enabled);

    if (q < 0 || due == (enabled != SD_EVENT_OFF))
        return q < 0 ? q : 0;
    q = due ? sd_event_source_set_time(m->work, 0) : 0;
    return q < 0 ? q : sd_event_source_set_enabled(m->work, due ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

int manager_schedule(struct manager *m)
{
    uint64_t next = nsh_reconciler_next(m->reconciler);
    bool due = nsh_reconciler_due(m->reconciler);
    int q;

    q = arm_work(m, due);
    if (q >= 0 && next != UINT64_MAX)
        q = sd_event_source_set_time(m->retry, next);
    if (q >= 0)
        q = sd_event_source_set_enabled(
                m->retry, next != UINT64_MAX && !due ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
    return q < 0 ? q : manager_start_or_stop_poll(m);
}

uint64_t manager_resync_period(const struct manager *m)
{
    return nsh_reconciler_desired(m->reconciler)->config->settings.resync_usec;
}

static void tell_both(struct manager *m)
{
    const struct nsh_report end = {
            .kind = NSH_REPORT_CHANGED,
            .object = "NAT of others in",
            .name = nsh_firewalls_other(&m->firewalls)->ops->name,
    };

    switch (nsh_firewalls_look_at_both(&m->firewalls)) {
    case NSH_BOTH_AS_BEFORE:
        return;
    case NSH_BOTH_BEGUN:
        manager_report(m, NSH_REPORT_WARNING, m->firewalls.both);
        return;
    case NSH_BOTH_ENDED:
        manager_tell(m, &end);
        return;
    }
}

void manager_choose_firewall(struct manager *m, const struct nsh_desired *d)
{
    bool news = nsh_firewalls_choose(&m->firewalls, d, false);
    struct nsh_report report = {
            .kind = NSH_REPORT_CHANGED,
            .object = "firewall",
            .name = m->firewalls.chosen->ops->name,
            .detail = m->firewalls.why,
    };

    if (news)
        manager_tell(m, &report);
    if (m->firewall != m->firewalls.chosen) {
        m->firewall = m->firewalls.chosen;
        nsh_reconciler_use(m->reconciler, m->firewall, nsh_firewalls_other(&m->firewalls));
        if (m->hint || nsh_reconciler_wants_poll(m->reconciler))
            manager_listen_for_hints(m);
    }
    tell_both(m);
}

static int on_resync(sd_event_source *s, uint64_t at, void *userdata)
{
    struct manager *m = userdata;

    (void)at;
    /* Others may have begun to keep their NAT in nftables. */
    if (nsh_reconciler_desired(m->reconciler))
        manager_choose_firewall(m, nsh_reconciler_desired(m->reconciler));
    /* What a look can see is not the resync's finding, and may have a culprit. */
    if (nsh_reconciler_wants_poll(m->reconciler))
        manager_look(m);
    nsh_reconciler_resync(m->reconciler);
    if (m->name)
        sd_event_source_set_enabled(m->name, SD_EVENT_ON);
    sd_event_source_set_time(s, nsh_clock(NULL) + manager_resync_period(m));
    return manager_schedule(m);
}

static void on_event(void *userdata, const struct nsh_fib_event *event)
{
    struct manager *m = userdata;

    nsh_reconciler_event(m->reconciler, event);
}

int manager_queue_up(sd_event_source *s, int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    bool more = poll(&p, 1, 0) > 0;

    return sd_event_source_set_priority(s, more ? MANAGER_PRIORITY_WORK : SD_EVENT_PRIORITY_NORMAL);
}

static int on_kernel(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
    struct manager *m = userdata;
    int q;

    (void)revents;
    m->fib->ops->events_read(m->fib, on_event, m);
    q = manager_queue_up(s, fd);
    return q < 0 ? q : manager_schedule(m); /* also for what is not due yet but soon */
}

int manager_watch_kernel(struct manager *m, uint8_t protocol)
{
    int fd;

    if (m->kernel && m->events_protocol == protocol)
        return 0;
    fd = m->fib->ops->events_open(m->fib, protocol);
    if (fd < 0)
        return fd;
    m->events_protocol = protocol;
    /* With another protocol the descriptor is the same. */
    return m->kernel ? 0 : sd_event_add_io(m->event, &m->kernel, fd, EPOLLIN, on_kernel, m);
}

/* ---- checks ---- */

static void on_turn(void *userdata, nsh_gate_id gate, bool works, const char *reason)
{
    struct manager *m = userdata;

    nsh_reconciler_gate(m->reconciler, gate, works, reason);
    manager_schedule(m);
}

static bool leads_probes(void *userdata, nsh_gate_id gate)
{
    return nsh_reconciler_leads_probes(((const struct manager *)userdata)->reconciler, gate);
}

static void on_probe_warning(void *userdata, const char *text)
{
    manager_report(userdata, NSH_REPORT_WARNING, text);
}

/* ---- start ---- */

static int on_signal(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata)
{
    struct manager *m = userdata;

    (void)s;
    if (si->ssi_signo == SIGHUP) {
        manager_request_load(m, NULL);
        return 0;
    }
    return sd_event_exit(m->event, 0);
}

static int add_timer(struct manager *m, sd_event_source **ret, uint64_t accuracy,
        sd_event_time_handler_t handler)
{
    int q = sd_event_add_time(m->event, ret, CLOCK_BOOTTIME, nsh_clock(NULL), accuracy, handler, m);

    return q < 0 ? q : sd_event_source_set_enabled(*ret, SD_EVENT_OFF);
}

static int open_event_loop(struct manager *m)
{
    const struct nsh_prober_hooks hooks = {
            .userdata = m, .turn = on_turn, .leads = leads_probes, .warn = on_probe_warning};
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
    sigset_t set;
    int q;

    sigemptyset(&set);
    for (size_t i = 0; i < NSH_ARRAY_SIZE(signals); i++)
        sigaddset(&set, signals[i]);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return -errno;
    signal(SIGPIPE, SIG_IGN);
    q = sd_event_default(&m->event);
    for (size_t i = 0; q >= 0 && i < NSH_ARRAY_SIZE(signals); i++)
        q = sd_event_add_signal(m->event, NULL, signals[i], on_signal, m);
    if (q >= 0)
        q = add_timer(m, &m->work, WORK_ACCURACY_USEC, on_work);
    if (q >= 0)
        q = sd_event_source_set_priority(m->work, MANAGER_PRIORITY_WORK);
    if (q >= 0)
        q = add_timer(m, &m->retry, RETRY_ACCURACY_USEC, on_retry);
    if (q >= 0)
        q = add_timer(m, &m->poll, POLL_ACCURACY_USEC, manager_on_poll);
    if (q >= 0)
        q = add_timer(m, &m->resync, 0, on_resync);
    if (q >= 0)
        q = nsh_prober_new(m->event, m->fib, &hooks, &m->prober);
    if (q >= 0)
        q = sd_event_set_watchdog(m->event, true);
    return q < 0 ? q : 0;
}

static int open_adapters(struct manager *m)
{
    struct nsh_reconciler_hooks hooks = {.userdata = m, .now = nsh_clock, .report = on_report};
    int q = nsh_journal_new(&m->journal);

    if (q < 0)
        return nsh_complain("cannot open the journal: %s", strerror(-q));
    if (nsh_writer_state(m->options, &m->state) != 0)
        return NSH_EXIT_FAILED;
    q = nsh_fib_netlink_new(&m->fib);
    if (q < 0)
        return nsh_complain("cannot open rtnetlink: %s", strerror(-q));
    q = nsh_firewalls_open(&m->firewalls);
    if (q < 0)
        return nsh_complain("cannot open iptables and nftables: %s", strerror(-q));
    m->firewall = m->firewalls.chosen;
    q = nsh_reconciler_new(m->fib, m->firewall, m->state, &hooks, &m->reconciler);
    if (q < 0)
        return nsh_complain("%s", strerror(-q));
    nsh_reconciler_use(m->reconciler, m->firewall, nsh_firewalls_other(&m->firewalls));
    return 0;
}

static void on_reload(void *userdata, struct nsh_control_reply *reply)
{
    manager_request_load(userdata, reply);
}

static int on_name(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
    (void)revents;
    (void)userdata;
    /* The queue has room for thousands: what waits in it has until the next resync. */
    return nsh_lock_answer(fd) ? 0 : sd_event_source_set_enabled(s, SD_EVENT_OFF);
}

static int open_control(struct manager *m)
{
    struct nsh_control_handler handler = {.userdata = m,
            .reload = on_reload,
            .ask = manager_asked,
            .try = manager_try,
            .confirm = manager_confirm,
            .revert = manager_revert};
    char path[108];
    int q = nsh_control_path(m->options->runtime_directory, path);

    if (q == 0 && m->writer.name_fd >= 0)
        q = sd_event_add_io(m->event, &m->name, m->writer.name_fd, EPOLLIN, on_name, m);
    if (q >= 0)
        q = nsh_traffic_reader_new(m->event, manager_traffic_read, m, &m->traffic_reader);
    if (q == 0)
        q = nsh_control_new(m->event, path, &handler, &m->control);
    if (q == 0)
        q = nsh_metrics_path(m->options->runtime_directory, path);
    if (q == 0)
        q = nsh_metrics_socket_new(m->event, path, manager_scraped, m, &m->metrics_socket);
    if (q < 0)
        return nsh_complain("cannot listen in %s: %s", m->options->runtime_directory, strerror(-q));
    q = nsh_loader_new(m->event, m->options->config, m->state, manager_loaded, m, &m->loader);
    return q < 0 ? nsh_complain("%s", strerror(-q)) : 0;
}

static int take_lock(struct manager *m)
{
    pid_t holder;
    int q = nsh_writer_take(m->options, &m->writer, &holder);

    if (q == -EBUSY && holder > 0)
        return nsh_complain(
                "process %d keeps this network namespace already; stop it first", (int)holder);
    if (q == -EBUSY)
        return nsh_complain("another process keeps this network namespace already");
    return q;
}

/* ---- end ---- */

/* False when something is left, which may be since somebody holds the xtables lock. */
static bool take_everything_away(struct manager *m)
{
    struct nsh_settings settings = nsh_reconciler_desired(m->reconciler)->config->settings;
    uint64_t deadline = nsh_clock(NULL) + STOP_PATIENCE_USEC;
    struct nsh_config *config = NULL;
    struct nsh_desired *empty = NULL;

    if (nsh_config_new_empty(&settings, &config) < 0)
        return false;
    if (nsh_desired_new(config, &empty) < 0) {
        nsh_config_free(config);
        return false;
    }
    if (nsh_reconciler_set(m->reconciler, empty, NSH_OCCASION_STOP) < 0) {
        nsh_desired_free(empty);
        return false;
    }
    while (!nsh_reconciler_complete(m->reconciler)) {
        nsh_reconciler_run(m->reconciler);
        if (nsh_reconciler_due(m->reconciler) || nsh_reconciler_complete(m->reconciler))
            continue; /* one slice of many */
        if (nsh_clock(NULL) > deadline)
            return false;
        usleep(20000);
    }
    return nsh_reconciler_gave_back(m->reconciler);
}

static void stop(struct manager *m)
{
    const char *what = "what it held stays in the kernel";

    sd_notify(0, "STOPPING=1");
    if (nsh_reconciler_desired(m->reconciler)->config->settings.on_stop == NSH_ON_STOP_REMOVE)
        what = take_everything_away(m) ? "what it held was removed"
                                       : "not all that it held could be removed";
    manager_report(m, NSH_REPORT_STOPPED, what);
}

static void manager_done(struct manager *m)
{
    nsh_metrics_socket_free(m->metrics_socket);
    m->metrics_socket = NULL;
    nsh_control_free(m->control);
    nsh_traffic_reader_free(m->traffic_reader);
    m->traffic = NULL;
    manager_answer_all(m);
    nsh_loader_free(m->loader);
    nsh_file_watch_free(m->files);
    nsh_prober_free(m->prober);
    sd_event_source_unref(m->work);
    sd_event_source_unref(m->retry);
    sd_event_source_unref(m->poll);
    sd_event_source_unref(m->hint);
    sd_event_source_unref(m->other_hint);
    sd_event_source_unref(m->others);
    sd_event_source_unref(m->resync);
    sd_event_source_unref(m->kernel);
    sd_event_source_unref(m->name);
    sd_event_source_disable_unref(m->trial_timer);
    nsh_reconciler_free(m->reconciler);
    nsh_firewalls_done(&m->firewalls);
    nsh_fib_free(m->fib);
    nsh_state_free(m->state);
    nsh_journal_free(m->journal);
    sd_event_unref(m->event);
    free(m->problem);
    free(m->trial_file);
    free(m->trial_over);
    free(m->problem_before);
    free(m->refused);
    free(m->warnings);
    nsh_writer_done(&m->writer);
}

static uint64_t processor_clock(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static int dispatch(struct manager *m)
{
    uint64_t begun = nsh_clock(NULL), begun_cpu = processor_clock(), took, took_cpu;
    int q = sd_event_dispatch(m->event);

    took = nsh_clock(NULL) - begun;
    took_cpu = processor_clock() - begun_cpu;
    if (took > m->longest)
        m->longest = took;
    if (took_cpu > m->longest_cpu)
        m->longest_cpu = took_cpu;
    return q;
}

/* As sd_event_loop does it, with an eye on how long one of the callbacks takes. */
static int loop(struct manager *m)
{
    while (sd_event_get_state(m->event) != SD_EVENT_FINISHED) {
        int q = sd_event_prepare(m->event);

        if (q == 0)
            q = sd_event_wait(m->event, UINT64_MAX);
        if (q > 0)
            q = dispatch(m);
        if (q < 0)
            return q;
    }
    return 0;
}

static int run(struct manager *m)
{
    int q;

    if (take_lock(m) != 0 || open_adapters(m) != 0)
        return NSH_EXIT_FAILED;
    q = open_event_loop(m);
    if (q < 0)
        return nsh_complain("cannot set up the event loop: %s", strerror(-q));
    q = manager_load_first(m);
    if (q == -EINVAL)
        return NSH_EXIT_FAILED;
    if (q < 0)
        return nsh_complain("cannot start: %s", strerror(-q));
    if (open_control(m) != 0)
        return NSH_EXIT_FAILED;
    manager_watch_files(m);
    q = manager_schedule(m);
    if (q >= 0)
        q = loop(m);
    if (q < 0)
        return nsh_complain("the event loop failed: %s", strerror(-q));
    if (m->starts_anew)
        return NSH_EXIT_FAILED;
    stop(m);
    return NSH_EXIT_OK;
}

int nsh_command_run(const struct nsh_options *o)
{
    struct manager m = {
            .options = o, .writer = NSH_WRITER_NONE, .metrics = {.started = nsh_realtime()}};
    int code;

    mallopt(M_ARENA_MAX, 1); /* the loading thread leaves nothing behind in an arena of its own */
    code = run(&m);
    if (nsh_loader_busy(m.loader)) {
        /* It may hang on a file system that is gone; the kernel frees the rest. */
        nsh_metrics_socket_free(m.metrics_socket);
        nsh_control_free(m.control);
        fflush(stderr);
        _exit(code);
    }
    manager_done(&m);
    return code;
}
