/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Metrics for a scraper on this machine: HTTP/1.0 on a UNIX socket "metrics" in the runtime
 * directory, for who may read the control socket. Whatever is asked for gets the same answer.
 *     curl --unix-socket /run/netshared/metrics http://localhost/metrics
 * The same limits hold as for the control channel: few at a time, none for long, nothing queued.
 */
#pragma once

#include <systemd/sd-event.h>

struct nsh_metrics_socket;
struct nsh_scrape; /* one that waits for its answer */

/* Later exactly one nsh_scrape_reply. */
typedef void nsh_scrape_asked(void *userdata, struct nsh_scrape *scrape);

int nsh_metrics_socket_new(sd_event *event, const char *path, nsh_scrape_asked *asked,
        void *userdata, struct nsh_metrics_socket **ret);
/* Scrapes that wait stay valid until they get their reply. */
void nsh_metrics_socket_free(struct nsh_metrics_socket *s);
/* OpenMetrics; NULL: no memory for it. */
void nsh_scrape_reply(struct nsh_scrape *scrape, const char *text);
