/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The only writer of log lines. Under systemd (JOURNAL_STREAM names our stderr) native structured
 * fields through sd-journal; else readable text on stderr.
 */
#pragma once

#include "report.h"

struct nsh_journal;

int nsh_journal_new(struct nsh_journal **ret);
void nsh_journal_free(struct nsh_journal *j);

/*
 * One entry, with a field for each member that is set (the table in journal.c).
 */
void nsh_journal_report(struct nsh_journal *j, const struct nsh_report *r);
/* The MESSAGE alone, as it would be written; the caller's to free. NULL: no memory. */
char *nsh_report_text(const struct nsh_report *r);
/* "restored", "pending", …: NETSHARED_ACTION, and the word in `status`. */
const char *nsh_report_action(enum nsh_report_kind kind);
