/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon's answers to questions: status and metrics. What the rules have counted is read in a
 * thread meanwhile; who asks soon after another gets what was read for that one.
 */
#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "manager.h"
#include "running.h"
#include "status.h"

/* A reading serves for so long. */
#define FRESH_USEC 500000ULL

struct nsh_status manager_status(const struct manager *m)
{
    const struct nsh_desired *d = nsh_reconciler_desired(m->reconciler);
    uint64_t now = nsh_clock(NULL);

    return (struct nsh_status){
            .reconciler = m->reconciler,
            .config = m->options->config,
            .running = d ? nsh_running_file(d->config, m->options->config) : NULL,
            .firewall = m->firewall->ops->name,
            .both = m->firewalls.both_in ? m->firewalls.both : NULL,
            .problem = m->problem,
            .taken_at = m->taken_at,
            .refused_at = m->refused_at,
            .refused = m->refused,
            .refused_at_start = m->refused_at_start,
            .trust_files = m->options->trust_files,
            .now = now,
            .longest = m->longest,
            .longest_cpu = m->longest_cpu,
            .traffic = m->traffic,
            .trial_left = m->trial_runs && m->trial_ends > now ? m->trial_ends - now : 0,
    };
}

static char *status_text(const struct manager *m)
{
    struct nsh_status status = manager_status(m);
    nsh_autofree char *other = NULL;

    if (status.running && !m->trial_runs)
        other = nsh_running_text(nsh_reconciler_desired(m->reconciler)->config, m->options->config,
                m->state, m->options->state_directory);
    status.other = other;
    return nsh_status_json(&status);
}

static char *text_of(struct manager *m, enum nsh_control_question question)
{
    struct nsh_status status;

    if (question == NSH_CONTROL_STATUS)
        return status_text(m);
    status = manager_status(m);
    return nsh_metrics_text(&m->metrics, &status,
            question == NSH_CONTROL_METRICS ? NSH_METRICS_PROMETHEUS : NSH_METRICS_OPENMETRICS);
}

static void answer(struct manager *m, const struct asked *a)
{
    nsh_autofree char *text = text_of(m, a->question);

    if (a->scrape)
        nsh_scrape_reply(a->scrape, text);
    else
        nsh_control_reply_text(a->reply, text);
}

void manager_answer_all(struct manager *m)
{
    size_t n = m->n_asked;

    m->n_asked = 0;
    for (size_t i = 0; i < n; i++)
        answer(m, &m->asked[i]);
}

/* Called when a reading is through. */
void manager_traffic_read(void *userdata, const struct nsh_traffic_table *table)
{
    struct manager *m = userdata;

    m->traffic = table;
    m->traffic_at = nsh_clock(NULL);
    manager_answer_all(m);
}

static bool must_read(struct manager *m)
{
    int e;

    if (m->traffic && nsh_clock(NULL) - m->traffic_at < FRESH_USEC)
        return false;
    m->traffic = NULL; /* it is the reader's, which fills it anew */
    e = nsh_traffic_reader_start(m->traffic_reader,
            m->firewall == m->firewalls.nftables ? nsh_firewall_nft_new : nsh_firewall_iptc_new);
    return e == 0 || e == -EBUSY;
}

static void ask(struct manager *m, const struct asked *a)
{
    if (m->n_asked == ASKED_MAX || !must_read(m)) {
        answer(m, a);
        return;
    }
    m->asked[m->n_asked++] = *a;
}

void manager_asked(
        void *userdata, enum nsh_control_question question, struct nsh_control_reply *reply)
{
    ask(userdata, &(struct asked){.question = question, .reply = reply});
}

void manager_scraped(void *userdata, struct nsh_scrape *scrape)
{
    ask(userdata, &(struct asked){.question = NSH_CONTROL_OPENMETRICS, .scrape = scrape});
}
