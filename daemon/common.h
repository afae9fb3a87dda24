/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What several subcommands need.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "diag.h"
#include "options.h"
#include "state.h"

/* "netshared: TEXT" on stderr, harmless to a terminal; returns NSH_EXIT_FAILED. */
__attribute__((format(printf, 1, 2))) int nsh_complain(const char *format, ...);
__attribute__((format(printf, 1, 0))) void nsh_complain_args(const char *format, va_list args);
/* All of a file's diagnoses on stderr; its errors count as a complaint. */
void nsh_complain_of(const struct nsh_diags *diags);
/*
 * Around a command. With `json` what was complained of last is an object {"error": TEXT} on
 * standard output too, when the command fails. Output that could not be written is a failure,
 * whatever it was of; commands need not look. Returns the exit code.
 */
void nsh_answer_begin(bool json);
int nsh_answer_end(int code);
/* Complains that the daemon could not be asked; `error` is what a call of control.h returned. */
int nsh_no_answer(const struct nsh_options *o, int error);
/* Why the kernel gave no answer, in words. */
const char *nsh_unreadable_why(int error);
/* Complains that the kernel could not be asked for something, and who may. */
int nsh_unreadable(const char *what, int error);
/* Standard output is a terminal that has colours, and they are not unwanted. */
bool nsh_wants_colour(void);
/* CLOCK_BOOTTIME in microseconds: the reconciler's clock. `userdata` is not used. */
uint64_t nsh_clock(void *userdata);
/* CLOCK_REALTIME in microseconds. */
uint64_t nsh_realtime(void);
/* Fills it with what nobody can guess. Never waits: early at boot it may be guessed after all. */
void nsh_random(void *ret, size_t size);
/*
 * The text as a file, of which nobody ever sees half. One that is there is replaced and keeps its
 * mode; what is no regular file is refused. The command's exit code, after telling what is wrong.
 */
int nsh_write_output(const char *path, const char *text);
/* The right to write in this network namespace; -1: not taken. */
struct nsh_writer {
    int lock_fd;
    int name_fd;
};
#define NSH_WRITER_NONE              \
    {                                \
        .lock_fd = -1, .name_fd = -1 \
    }

/*
 * Takes it: NSH_EXIT_OK; -EBUSY when another process has it, its pid in *ret_holder (0: unknown);
 * NSH_EXIT_FAILED, with words, when that can't be told.
 */
int nsh_writer_take(const struct nsh_options *o, struct nsh_writer *ret, pid_t *ret_holder);
void nsh_writer_done(struct nsh_writer *w);
/* Opens the state directory to write in it; NSH_EXIT_FAILED, with words, when that can't be. */
int nsh_writer_state(const struct nsh_options *o, struct nsh_state **ret);
