/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parts of a log entry before it is sent, for the journal and for its test.
 */
#pragma once

#include <stdbool.h>
#include <sys/uio.h>

#include "report.h"

#define NSH_JOURNAL_FIELDS_MAX 18

/* "KEY=value" each, malloc'd. */
struct nsh_journal_fields {
    struct iovec fields[NSH_JOURNAL_FIELDS_MAX];
    int n;
};

/* 0 or -ENOMEM; then nothing is held. */
int nsh_journal_fields_build(const struct nsh_report *r, struct nsh_journal_fields *ret);
void nsh_journal_fields_free(struct nsh_journal_fields *f);

/* The text for stderr: "netshared: warning: …", further lines indented, a line end. NULL: no
 * memory. */
char *nsh_journal_plain(const struct nsh_report *r);

/* True if JOURNAL_STREAM's value (may be NULL) names what `fd` is. */
bool nsh_journal_stream_is(const char *stream, int fd);

/* syslog(3)'s number, and the MESSAGE_ID. */
int nsh_report_priority(enum nsh_report_kind kind);
const char *nsh_report_message_id(enum nsh_report_kind kind);
