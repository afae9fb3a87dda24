/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of the daemon share: manager.c (the event loop and what runs on it),
 * manager-hints.c (when packet rules are looked at), manager-ask.c (answers), manager-config.c (how
 * a configuration comes into force), manager-files.c (what tells that it changed) and
 * manager-trial.c (how one is tried).
 */
#pragma once

#include <systemd/sd-event.h>

#include "common.h"
#include "control.h"
#include "file-watch.h"
#include "firewall-choice.h"
#include "journal.h"
#include "metrics-socket.h"
#include "metrics.h"
#include "options.h"
#include "probe.h"
#include "reconcile.h"
#include "reload.h"
#include "status.h"
#include "traffic.h"

/* After what has happened; by turns with the answers (NSH_CONTROL_PRIORITY). */
#define MANAGER_PRIORITY_WORK (SD_EVENT_PRIORITY_NORMAL + 100)

#define REPLIES_MAX 64

/* Callers of Reload, in the order they asked. */
struct reply_list {
    struct nsh_control_reply *items[REPLIES_MAX];
    size_t n;
};

#define ASKED_MAX 64

/* A question that waits for what the rules have counted; one of the two asks. */
struct asked {
    enum nsh_control_question question;
    struct nsh_control_reply *reply;
    struct nsh_scrape *scrape;
};

struct manager {
    const struct nsh_options *options;
    struct nsh_journal *journal;
    struct nsh_state *state;
    struct nsh_fib *fib;
    struct nsh_firewalls firewalls;
    struct nsh_firewall *firewall; /* the one of these that is in use */
    struct nsh_reconciler *reconciler;
    struct nsh_prober *prober;
    struct nsh_loader *loader;
    struct nsh_file_watch *files; /* NULL: they are not followed */
    uint64_t load_began;          /* of the file on disk; CLOCK_REALTIME */
    struct nsh_control *control;
    struct nsh_metrics_socket *metrics_socket;
    struct nsh_traffic_reader *traffic_reader;
    struct nsh_writer writer;
    char *problem;         /* why the file on disk is not what runs; NULL: it is */
    uint64_t taken_at;     /* CLOCK_REALTIME: what runs was loaded */
    uint64_t refused_at;   /* the same: a reload was refused since one was taken; 0: none was */
    char *refused;         /* its first error */
    bool refused_at_start; /* that was no reload: it started with the accepted configuration */
    uint8_t events_protocol;
    char status_line[512]; /* as systemd knows it */
    uint64_t notified;     /* passes finished when it was told */
    uint64_t longest;      /* the loop was held at the most, in microseconds */
    uint64_t longest_cpu;  /* the same in time of the processor */

    struct nsh_metrics metrics;
    const struct nsh_traffic_table *traffic; /* the reader's; NULL: none was read, or it reads */
    uint64_t traffic_at;
    struct nsh_trial trial;
    bool trial_runs;
    uint64_t trial_ends;  /* CLOCK_BOOTTIME */
    char *trial_file;     /* the name of what is tried */
    char *problem_before; /* the problem that there was before it */
    bool trial_unwanted;  /* somebody asked to go back */
    char trial_why[64];   /* it is being gone back from */
    char *trial_over;     /* which one was on trial, until when, and how it ended; NULL: none */
    sd_event_source *trial_timer;
    struct asked asked[ASKED_MAX];
    size_t n_asked;

    sd_event *event;
    sd_event_source *work, *retry, *poll, *hint, *other_hint, *others, *resync, *kernel, *name;
    uint64_t poll_due; /* when the poll comes at the latest */
    uint64_t looked;   /* when the firewall was looked at last */
    bool hinted;       /* it was brought forward */
    bool lockable;     /* the lock of iptables was to be had */
    bool starts_anew;  /* ending to be started again; nothing is taken away */

    bool ready;                         /* READY was sent */
    bool loading;                       /* a load runs */
    bool load_again;                    /* and another one was asked for meanwhile */
    bool applying;                      /* a new configuration waits for its first pass */
    bool applying_tried;                /* to be tried */
    uint64_t applied_mark;              /* passes finished when it came */
    char *warnings;                     /* of the configuration being applied */
    struct reply_list waiting_replies;  /* for a load begun after they asked */
    struct reply_list loading_replies;  /* for the verdict of the load that runs */
    struct reply_list applying_replies; /* accepted; for the first pass over it */
};

/* manager.c */
/* Tells the journal, and who watches. */
void manager_tell(struct manager *m, const struct nsh_report *report);
void manager_report_of(
        struct manager *m, enum nsh_report_kind kind, const char *file, const char *detail);
/* The same of the main file. */
void manager_report(struct manager *m, enum nsh_report_kind kind, const char *detail);
/* "READY=1\n" or "" before the status line. */
void manager_notify(struct manager *m, const char *state);
/*
 * What `s` told of was read. First all that there is of it, then the work, once for all: but where
 * it comes sooner than it can be read, by turns.
 */
int manager_queue_up(sd_event_source *s, int fd);
/* Arms what brings us back: at once, at a time the reconciler named, or the poll. */
int manager_schedule(struct manager *m);
/* Subscribes to the kernel's events, once for each protocol that marks our routes. */
int manager_watch_kernel(struct manager *m, uint8_t protocol);
/* Which firewall is to hold what is wanted, from now on. */
void manager_choose_firewall(struct manager *m, const struct nsh_desired *d);
uint64_t manager_resync_period(const struct manager *m);
uint64_t manager_passes_finished(const struct manager *m);

/* manager-hints.c */
int manager_on_poll(sd_event_source *s, uint64_t at, void *userdata);
/* Now, before its time. */
int manager_look(struct manager *m);
/* To those of the firewall in use, from now on. */
int manager_listen_for_hints(struct manager *m);
/* Without a policy nothing of a firewall wakes us. */
int manager_start_or_stop_poll(struct manager *m);

/* manager-ask.c */
struct nsh_status manager_status(const struct manager *m);
void manager_asked(
        void *userdata, enum nsh_control_question question, struct nsh_control_reply *reply);
void manager_scraped(void *userdata, struct nsh_scrape *scrape);
void manager_traffic_read(void *userdata, const struct nsh_traffic_table *table);
/* Those who wait get what is known. */
void manager_answer_all(struct manager *m);

/* manager-trial.c */
/* Microseconds until it ends, by the clock on the wall. */
uint64_t nsh_trial_left(const struct nsh_trial *t);
#define NSH_TRIAL_TEXT 128
/* How it is kept, and when it ends: in `left` microseconds. Returns buf. */
const char *nsh_trial_text(uint64_t left, char buf[static NSH_TRIAL_TEXT]);
/* What was just taken is on trial, in place of what ran with m->problem. */
void manager_trial_begin(struct manager *m, const struct nsh_trial *trial);
/* Nothing is on trial any more: `how` it ended, if something was. */
void manager_trial_end(struct manager *m, const char *how);
/* The same, told: a reload was taken. */
void manager_trial_superseded(struct manager *m);
/* `why` NULL: somebody asks for it. */
void manager_trial_revert(struct manager *m, const char *why);
/* A load failed: going back is tried again; what was stored as on trial did not come into force. */
void manager_trial_failed(struct manager *m, const struct nsh_loaded *l);
/* `why` NULL: that of the trial that runs. */
void manager_trial_reverted(struct manager *m, const char *why);
void manager_try(void *userdata, int fd, uint64_t timeout, struct nsh_control_reply *reply);
void manager_confirm(void *userdata, struct nsh_control_reply *reply);
void manager_revert(void *userdata, struct nsh_control_reply *reply);
int nsh_trial_at_start(
        struct nsh_state *state, struct nsh_loaded *ret, struct nsh_trial *ret_trial);

/* manager-files.c */
/* The files as they were read last, if they are to be followed. */
void manager_watch_files(struct manager *m);

/* manager-config.c */
int manager_begin_load(struct manager *m, const struct nsh_load_request *what);
/* Why the file on disk is not what runs; NULL: it is. */
void manager_set_problem(struct manager *m, const char *text);
/* The file, or the last accepted configuration if it is bad. -EINVAL: neither, and said so. */
int manager_load_first(struct manager *m);
/* The file on disk is refused no more. */
void manager_clear_refusal(struct manager *m);
/* SIGHUP, or somebody's Reload, who gets the verdict. */
void manager_request_load(struct manager *m, struct nsh_control_reply *reply);
void manager_loaded(void *userdata, struct nsh_loaded *loaded);
/* The first pass over a new configuration is through: say so to whoever waits for it. */
void manager_applied(struct manager *m);
