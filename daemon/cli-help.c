/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What --help prints.
 */
#include <stdio.h>
#include <string.h>

#include "cli.h"

#define COMMAND_WIDTH 18 /* name and operands */
#define OPTION_WIDTH 28

const char *nsh_cli_operands(const struct nsh_cli_command *command, char *buf, size_t size)
{
    size_t used = 0;

    buf[0] = '\0';
    for (size_t i = 0; i < NSH_OPERANDS_MAX && command->operands[i].value.what; i++) {
        const struct nsh_cli_operand *operand = &command->operands[i];
        int n = snprintf(
                buf + used, size - used, operand->optional ? " [%s]" : " %s", operand->value.what);

        used += (size_t)n < size - used ? (size_t)n : 0;
    }
    return buf;
}

/* The lines of `help` beside each other with what they are about. */
static void print_entry(const char *head, int width, const char *help)
{
    printf("  %-*s", width, head);
    if (strlen(head) >= (size_t)width)
        printf("\n  %-*s", width, "");
    for (;;) {
        size_t n = strcspn(help, "\n");

        printf("%.*s\n", (int)n, help);
        if (help[n] == '\0')
            return;
        help += n + 1;
        printf("  %-*s", width, "");
    }
}

static void print_options(const struct nsh_cli *cli, const struct nsh_cli_command *command)
{
    for (size_t i = 0; i < cli->n_options; i++) {
        const struct nsh_cli_option *o = &cli->options[i];
        char head[64], letter[8] = "   ";

        if (command ? !nsh_cli_takes(command, o) : !o->common)
            continue;
        if (o->letter)
            (void)snprintf(letter, sizeof(letter), "-%c,", o->letter);
        (void)snprintf(head, sizeof(head), "%s --%s%s%s", letter, o->name, o->value.what ? " " : "",
                o->value.what ? o->value.what : "");
        print_entry(head, OPTION_WIDTH, o->help);
    }
}

static void print_program(const struct nsh_cli *cli)
{
    char head[128], operands[96];

    printf("netshared - keeps routes and masquerading as " NSH_DEFAULT_CONFIG " says\n\n"
           "Usage: netshared COMMAND [OPTION...]\n\nCommands:\n");
    for (size_t i = 0; i < cli->n_commands; i++) {
        const struct nsh_cli_command *c = &cli->commands[i];

        if (!c->help)
            continue;
        (void)snprintf(head, sizeof(head), "%s%s", c->name,
                nsh_cli_operands(c, operands, sizeof(operands)));
        print_entry(head, COMMAND_WIDTH, c->help);
    }
    printf("\nOptions of every command ('netshared COMMAND --help' tells its own):\n");
    print_options(cli, NULL);
    printf("\nExit status: 0 ok, 1 failed, 2 usage");
    for (size_t i = 0; i < cli->n_commands; i++)
        if (cli->commands[i].exit_3)
            printf(",\n  3 of %s: %s", cli->commands[i].name, cli->commands[i].exit_3);
    printf(".\nSee netshared(8) and netshared.yaml(5).\n");
}

void nsh_cli_help(const struct nsh_cli *cli, const struct nsh_cli_command *command)
{
    char operands[96];

    if (!command) {
        print_program(cli);
        return;
    }
    printf("netshared %s - %s\n\nUsage: netshared %s [OPTION...]%s\n\nOptions:\n", command->name,
            command->help ? command->help : "for netshared itself", command->name,
            nsh_cli_operands(command, operands, sizeof(operands)));
    print_options(cli, command);
    printf("\nExit status: 0 ok, 1 failed, 2 usage%s%s.\n", command->exit_3 ? ", 3 " : "",
            command->exit_3 ? command->exit_3 : "");
}
