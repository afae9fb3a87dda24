/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Text on its way out: to a terminal, to the journal, over D-Bus. Each result is the caller's to
 * free, NULL when memory is out.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define NSH_DURATION_TEXT 32

/* Harmless to a terminal, line ends and all: one line (lib/diag.h, nsh_printable). */
char *nsh_text_line(const char *text);
/* The same for each line of a text; the line ends stay, those at the very end are dropped. */
char *nsh_text_lines(const char *text);
/* Only what a D-Bus string may hold (UTF-8 without noncharacters); the rest becomes U+FFFD. */
char *nsh_text_utf8(const char *text);

#define NSH_TEXT_DEVICE 72 /* of a device's name as a word, at most */
/* As a word of a shell's; returns buf. */
const char *nsh_text_word(const char *text, char *buf, size_t size);

/* "0.04 ms", "0.4 ms", "12 ms", "1.5 s", "2 min 5 s", "3 h 10 min", "4 d 2 h"; returns buf. */
const char *nsh_duration_format(uint64_t usec, char buf[static NSH_DURATION_TEXT]);

#define NSH_CLOCK_TEXT 24
/* CLOCK_REALTIME in microseconds as the clock on the wall: "14:02", of another day than today with
 * its date; returns buf. */
const char *nsh_clock_format(uint64_t usec, char buf[static NSH_CLOCK_TEXT]);
