/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command line, and the subcommands it leads to.
 */
#pragma once

#include <stdbool.h>

/* Exit codes, documented in netshared(8). */
enum nsh_exit {
    NSH_EXIT_OK = 0,
    NSH_EXIT_FAILED = 1,
    NSH_EXIT_USAGE = 2,
    NSH_EXIT_CHANGES = 3, /* `plan`: there is something to do */
};

struct nsh_options {
    const char *config;
    const char *runtime_directory;
    const char *state_directory;
    bool json;
    const char *file; /* the operand of `check`; NULL: none */
};

int nsh_command_run(const struct nsh_options *o);
int nsh_command_reload(const struct nsh_options *o);
int nsh_command_check(const struct nsh_options *o);
int nsh_command_plan(const struct nsh_options *o);
int nsh_command_apply(const struct nsh_options *o);
int nsh_command_remove(const struct nsh_options *o);
int nsh_command_status(const struct nsh_options *o);
