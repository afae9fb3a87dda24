/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command line as tables: which commands there are, and which operands and options each takes.
 * What reads arguments, prints --help, completes words in a shell and checks the manual goes by
 * them alone. A new command is a line in cli-table.c and a file with its function; a new option is
 * a line there and a field of struct nsh_options.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "options.h"

#define NSH_CLI_OPTIONS_MAX 40

/* What a value is. Its field, of an option: */
enum nsh_cli_kind {
    NSH_CLI_SWITCH, /* bool: no value; given or not */
    NSH_CLI_FILE,   /* const char *, as all that follow but where it says so */
    NSH_CLI_DIRECTORY,
    NSH_CLI_POLICY, /* a name from the file */
    NSH_CLI_DEVICE,
    NSH_CLI_ADDRESS,
    NSH_CLI_TEXT,   /* whatever it is; `words` are proposals */
    NSH_CLI_WORD,   /* one of `words` */
    NSH_CLI_NUMBER, /* uint32_t, min..max */
    NSH_CLI_TIME,   /* uint64_t, microseconds, min..max */
    NSH_CLI_REST,   /* of an operand: all words that follow, which go to `rest` */
};

struct nsh_cli_value {
    enum nsh_cli_kind kind;
    const char *what; /* "FILE": what it is called in the help; NULL: none is taken */
    const char *const *words;
    uint64_t min, max;
};

struct nsh_cli_operand {
    struct nsh_cli_value value;
    bool optional; /* and so are those behind it */
};

struct nsh_cli_option {
    const char *name;
    size_t offset; /* of its field in struct nsh_options */
    char letter;   /* 0: it has none */
    bool common;   /* every command takes it */
    struct nsh_cli_value value;
    const char *help; /* may have several lines */
};

struct nsh_cli_command {
    const char *name;
    int (*run)(const struct nsh_options *o);
    const char *help; /* NULL: it is not shown */
    struct nsh_cli_operand operands[NSH_OPERANDS_MAX];
    const char *options; /* names, separated by spaces, of those it takes that are not common */
    const char *exit_3;  /* what exit status 3 says; NULL: there is none */
};

struct nsh_cli {
    const struct nsh_cli_command *commands;
    size_t n_commands;
    const struct nsh_cli_option *options;
    size_t n_options;
};

extern const struct nsh_cli nsh_cli;

/*
 * Reads the arguments into *o, which holds the defaults. The command to run; NULL: it ends here,
 * with help on stdout or what is wrong on stderr, and *ret_exit says how. From here on complaints
 * are remembered where JSON is wanted (nsh_answer_begin).
 */
const struct nsh_cli_command *nsh_cli_parse(
        const struct nsh_cli *cli, int argc, char **argv, struct nsh_options *o, int *ret_exit);
bool nsh_cli_takes(const struct nsh_cli_command *command, const struct nsh_cli_option *option);
/* NULL: there is none of this name. */
const struct nsh_cli_command *nsh_cli_find(const struct nsh_cli *cli, const char *name);

/* ---- cli-complete.c ---- */

/* What may stand where a word of the command line is being typed. */
struct nsh_cli_wanted {
    const struct nsh_cli_command *command; /* NULL: not known yet */
    bool commands, options;                /* a command; an option of it, or one of every command */
    /* Of the options that stand there already the values; "" where there is none. */
    const char *given[NSH_CLI_OPTIONS_MAX];
    const struct nsh_cli_value *value; /* NULL: none */
    const char *typed;                 /* of the word, what is to be completed */
    size_t before;                     /* how much of the word stands before that */
};

/* The words behind the program's name up to NULL; the last one is being typed. */
void nsh_cli_complete(const struct nsh_cli *cli, char *const *words, struct nsh_cli_wanted *ret);

/* ---- cli-help.c ---- */

/* Of the command; NULL: of the program. */
void nsh_cli_help(const struct nsh_cli *cli, const struct nsh_cli_command *command);
/* " [FILE]": how the operands are written, each behind a space; returns `buf`. */
const char *nsh_cli_operands(const struct nsh_cli_command *command, char *buf, size_t size);
