/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `reload` and `status`: questions to the running daemon.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "common.h"
#include "control.h"
#include "lock.h"
#include "options.h"
#include "status-ports.h"
#include "status-print.h"

#define STATUS_TIMEOUT_USEC 10000000ULL

int nsh_command_reload(const struct nsh_options *o)
{
    nsh_autofree char *text = NULL;
    bool accepted = false;
    char path[108];
    int q = nsh_control_path(o->runtime_directory, path);

    if (q == 0)
        q = nsh_control_call_reload(path, 0, &accepted, &text);
    if (q < 0)
        return nsh_no_answer(o, q);
    if (text && text[0] != '\0')
        fprintf(stderr, "%s%s", text, text[strlen(text) - 1] == '\n' ? "" : "\n");
    if (accepted)
        return NSH_EXIT_OK;
    return nsh_complain("reload refused; the configuration from before stays in force");
}

int nsh_command_status(const struct nsh_options *o)
{
    nsh_autofree char *json = NULL;
    json_t *ports;
    char path[108];
    int q = nsh_control_path(o->runtime_directory, path);

    if (q == 0)
        q = nsh_control_call_ask(path, STATUS_TIMEOUT_USEC, NSH_CONTROL_STATUS, &json);
    if (q < 0)
        return nsh_no_answer(o, q);
    ports = o->operands[0] ? NULL : nsh_status_ports();
    q = nsh_status_print(stdout, json,
            &(struct nsh_status_view){o->json, .name = o->operands[0], .ports = ports});
    json_decref(ports);
    if (q == -ENOENT)
        return nsh_complain("nothing in the status is named '%s'", o->operands[0]);
    if (q == -EIO) /* standard output, which nsh_answer_end() tells of */
        return NSH_EXIT_FAILED;
    return q < 0 ? nsh_complain("the daemon's answer can't be read: %s", strerror(-q))
                 : NSH_EXIT_OK;
}
