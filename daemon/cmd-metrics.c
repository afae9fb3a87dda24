/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `metrics`: what the daemon counts, on stdout or into a file that node_exporter collects.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "common.h"
#include "control.h"
#include "lock.h"
#include "options.h"

#define TIMEOUT_USEC 10000000ULL

int nsh_command_metrics(const struct nsh_options *o)
{
    nsh_autofree char *text = NULL;
    char path[108];
    int e = nsh_control_path(o->runtime_directory, path);

    if (e == 0)
        e = nsh_control_call_ask(path, TIMEOUT_USEC,
                o->openmetrics ? NSH_CONTROL_OPENMETRICS : NSH_CONTROL_METRICS, &text);
    if (e < 0)
        return nsh_no_answer(o, e);
    if (o->output)
        return nsh_write_output(o->output, text);
    fputs(text, stdout);
    return NSH_EXIT_OK;
}
