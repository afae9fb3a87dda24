/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the policies' rules have counted, by what they do with a packet. It is read when somebody
 * asks, in a thread with a firewall handle of its own, since ten thousand rules take the kernel
 * longer than the event loop may be held.
 */
#pragma once

#include <systemd/sd-event.h>

#include "firewall.h"

enum nsh_traffic_kind {
    NSH_TRAFFIC_TRANSLATED, /* tables count only the first packet of a connection here */
    NSH_TRAFFIC_ACCEPTED,
    NSH_TRAFFIC_DROPPED,
    NSH_TRAFFIC_KINDS,
};

struct nsh_policy_traffic {
    char policy[NSH_POLICY_NAME];
    uint8_t family;
    struct nsh_traffic by[NSH_TRAFFIC_KINDS];
};

struct nsh_traffic_table {
    struct nsh_policy_traffic *items; /* sorted by policy and family */
    size_t n;
};

/* "translated", "accepted", "dropped". */
const char *nsh_traffic_kind_name(enum nsh_traffic_kind kind);
/* Reads all tables of the firewall in a session of its own; no table comes into being by it. */
int nsh_traffic_read(struct nsh_firewall *fw, struct nsh_traffic_table *ret);
void nsh_traffic_table_done(struct nsh_traffic_table *t);
/* NULL: it has no rules there. */
const struct nsh_policy_traffic *nsh_traffic_find(
        const struct nsh_traffic_table *t, const char *policy, int family);

struct nsh_traffic_reader;

/* Called on the event loop; the table stays the reader's, and is empty where it could not be read.
 */
typedef void nsh_traffic_ready(void *userdata, const struct nsh_traffic_table *table);

int nsh_traffic_reader_new(
        sd_event *event, nsh_traffic_ready *ready, void *userdata, struct nsh_traffic_reader **ret);
/* Waits for a reading under way. */
void nsh_traffic_reader_free(struct nsh_traffic_reader *r);
/* Reads the firewall that `make` opens. -EBUSY: a reading is under way; -errno. */
int nsh_traffic_reader_start(struct nsh_traffic_reader *r, int (*make)(struct nsh_firewall **ret));
