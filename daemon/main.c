/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "common.h"

/*
 * systemd sets these for a unit; a list of several directories (systemd.exec(5)) is not what our
 * unit asks for, so the first one is meant.
 */
static const char *directory(const char *variable, const char *otherwise)
{
    const char *value = getenv(variable);
    static char first[2][4096];
    char *buf = first[strcmp(variable, "STATE_DIRECTORY") == 0];

    if (!value || value[0] != '/')
        return otherwise;
    snprintf(buf, sizeof first[0], "%.*s", (int)strcspn(value, ":"), value);
    return buf;
}

int main(int argc, char **argv)
{
    struct nsh_options o = {
            .config = NSH_DEFAULT_CONFIG,
            .runtime_directory = directory("RUNTIME_DIRECTORY", NSH_DEFAULT_RUNTIME_DIRECTORY),
            .state_directory = directory("STATE_DIRECTORY", NSH_DEFAULT_STATE_DIRECTORY),
            .timeout = 120000000,
    };
    const struct nsh_cli_command *command;
    int code;

    setlocale(LC_CTYPE, "C.UTF-8");
    command = nsh_cli_parse(&nsh_cli, argc, argv, &o, &code);
    return nsh_answer_end(command ? command->run(&o) : code);
}
