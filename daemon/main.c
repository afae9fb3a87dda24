/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "options.h"
#include "version.h"

#define DEFAULT_CONFIG NSH_SYSCONFDIR "/netshared.yaml"
#define DEFAULT_RUNTIME_DIRECTORY "/run/netshared"
#define DEFAULT_STATE_DIRECTORY NSH_STATEDIR "/netshared"

struct command {
    const char *name;
    int (*run)(const struct nsh_options *o);
    bool takes_file;
    bool takes_json;
    const char *help;
};

static const struct command commands[] = {
        {"run", nsh_command_run, false, false, "the daemon: make it so and keep it so"},
        {"reload", nsh_command_reload, false, false,
                "have the daemon read its file again; fails, with the errors, if it is bad"},
        {"check", nsh_command_check, true, false, "say what is wrong with the file"},
        {"plan", nsh_command_plan, false, false,
                "show what would change in the kernel (exit status 3: something would)"},
        {"apply", nsh_command_apply, false, false, "make it so once (asks a running daemon)"},
        {"remove", nsh_command_remove, false, false, "take away all that netshared put there"},
        {"status", nsh_command_status, false, true, "what is held, pending or conflicting"},
};

static void print_help(void)
{
    printf("netshared - keeps routes and masquerading as " DEFAULT_CONFIG " says\n\n"
           "Usage: netshared COMMAND [OPTION...]\n\nCommands:\n");
    for (size_t i = 0; i < NSH_ARRAY_SIZE(commands); i++)
        printf("  %-8s%-8s%s\n", commands[i].name, commands[i].takes_file ? "[FILE]" : "",
                commands[i].help);
    printf("\nOptions:\n"
           "  -c, --config FILE             the file (default: " DEFAULT_CONFIG ")\n"
           "      --runtime-directory DIR   lock and control socket\n"
           "                                (default: $RUNTIME_DIRECTORY or %s)\n"
           "      --state-directory DIR     the last accepted configuration\n"
           "                                (default: $STATE_DIRECTORY or %s)\n"
           "      --json                    status: for programs\n"
           "  -h, --help\n"
           "      --version\n\n"
           "Exit status: 0 ok, 1 failed, 2 usage, 3 plan has something to do.\n"
           "See netshared(8) and netshared.yaml(5).\n",
            DEFAULT_RUNTIME_DIRECTORY, DEFAULT_STATE_DIRECTORY);
}

__attribute__((format(printf, 1, 2))) static int usage(const char *format, ...)
{
    va_list args;

    fputs("netshared: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputs("\nTry 'netshared --help'.\n", stderr);
    return NSH_EXIT_USAGE;
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < NSH_ARRAY_SIZE(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

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

enum long_option { OPTION_RUNTIME = 256, OPTION_STATE, OPTION_JSON, OPTION_VERSION };

/* 0: go on; else the exit status plus one. */
static int parse_options(int argc, char **argv, struct nsh_options *o)
{
    static const struct option options[] = {
            {"config", required_argument, NULL, 'c'},
            {"runtime-directory", required_argument, NULL, OPTION_RUNTIME},
            {"state-directory", required_argument, NULL, OPTION_STATE},
            {"json", no_argument, NULL, OPTION_JSON},
            {"help", no_argument, NULL, 'h'},
            {"version", no_argument, NULL, OPTION_VERSION},
            {0},
    };
    int c;

    while ((c = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        switch (c) {
        case 'c':
            o->config = optarg;
            break;
        case OPTION_RUNTIME:
            o->runtime_directory = optarg;
            break;
        case OPTION_STATE:
            o->state_directory = optarg;
            break;
        case OPTION_JSON:
            o->json = true;
            break;
        case 'h':
            print_help();
            return NSH_EXIT_OK + 1;
        case OPTION_VERSION:
            printf("netshared %s\n", NSH_VERSION);
            return NSH_EXIT_OK + 1;
        default:
            fputs("Try 'netshared --help'.\n", stderr);
            return NSH_EXIT_USAGE + 1;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct nsh_options o = {
            .config = DEFAULT_CONFIG,
            .runtime_directory = directory("RUNTIME_DIRECTORY", DEFAULT_RUNTIME_DIRECTORY),
            .state_directory = directory("STATE_DIRECTORY", DEFAULT_STATE_DIRECTORY),
    };
    const struct command *command;
    int q;

    setlocale(LC_CTYPE, "C.UTF-8");
    q = parse_options(argc, argv, &o);
    if (q > 0)
        return q - 1;
    if (optind >= argc)
        return usage("a command is missing: run, reload, check, plan, apply, remove or status");
    command = find_command(argv[optind]);
    if (!command)
        return usage("'%s' is no command", argv[optind]);
    optind++;
    if (optind < argc && command->takes_file)
        o.file = argv[optind++];
    if (optind < argc)
        return usage("'%s' takes no further argument: '%s'", command->name, argv[optind]);
    if (o.json && !command->takes_json)
        return usage("'%s' has no --json", command->name);
    return command->run(&o);
}
