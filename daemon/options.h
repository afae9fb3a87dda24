/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the command line said, and the subcommands it leads to. Which of them takes what is in the
 * tables of cli-table.c.
 */
#pragma once

#include <stdbool.h>

#include "version.h"

#define NSH_DEFAULT_CONFIG NSH_SYSCONFDIR "/netshared.yaml"
#define NSH_DEFAULT_RUNTIME_DIRECTORY "/run/netshared"
#define NSH_DEFAULT_STATE_DIRECTORY NSH_STATEDIR "/netshared"
#define NSH_OPERANDS_MAX 2

/* Exit codes, documented in netshared(8). */
enum nsh_exit {
    NSH_EXIT_OK = 0,
    NSH_EXIT_FAILED = 1,
    NSH_EXIT_USAGE = 2,
    NSH_EXIT_CHANGES = 3, /* `plan`, `doctor`: there is something to do */
    NSH_EXIT_STOPPED = 3, /* `explain`: the packet is stopped */
};

struct nsh_options {
    bool help, version; /* seen to before a command runs */
    const char *config;
    const char *runtime_directory;
    const char *state_directory;
    bool json;
    bool strict;
    uint64_t timeout; /* microseconds */
    bool openmetrics;
    const char *output;
    const char *offline;
    const char *in; /* a device; what follows is of a packet, too */
    const char *protocol;
    uint32_t port, source_port; /* 0: not said */
    const char *mark;
    bool trust_files;
    const char *operands[NSH_OPERANDS_MAX]; /* in the order of the table; NULL: left out */
    char *const *rest; /* all operands, up to NULL, where a command wants that */
};

int nsh_command_run(const struct nsh_options *o);
int nsh_command_reload(const struct nsh_options *o);
int nsh_command_check(const struct nsh_options *o);
int nsh_command_plan(const struct nsh_options *o);
int nsh_command_apply(const struct nsh_options *o);
int nsh_command_remove(const struct nsh_options *o);
int nsh_command_status(const struct nsh_options *o);
int nsh_command_explain(const struct nsh_options *o);
int nsh_command_watch(const struct nsh_options *o);
int nsh_command_metrics(const struct nsh_options *o);
int nsh_command_doctor(const struct nsh_options *o);
int nsh_command_import(const struct nsh_options *o);
int nsh_command_complete(const struct nsh_options *o);
int nsh_command_try(const struct nsh_options *o);
int nsh_command_confirm(const struct nsh_options *o);
int nsh_command_revert(const struct nsh_options *o);
