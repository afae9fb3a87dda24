/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads the arguments by the tables. Options may stand before and behind the command and its
 * operands, so what is wrong with one is told only when the command is known, and with it which
 * options were possible.
 */
#include "cli.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "common.h"
#include "duration.h"
#include "nearest.h"

#define LONG_OPTION 256 /* what getopt_long returns: this and the index, or the letter */

struct reader {
    const struct nsh_cli *cli;
    const struct nsh_cli_command *command; /* NULL: not known yet, or wrong */
    struct nsh_options *options;
    const char *values[NSH_CLI_OPTIONS_MAX]; /* of the options; "" of a switch; NULL: not given */
    char unknown[64];
    const struct nsh_cli_option *without, *with; /* a value, and it should be the other way */
};

/* ---- what is wrong ---- */

__attribute__((format(printf, 2, 3))) static bool usage(
        const struct reader *r, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    nsh_complain_args(format, args);
    va_end(args);
    fprintf(stderr, "Try 'netshared %s%s--help'.\n", r->command ? r->command->name : "",
            r->command ? " " : "");
    return false;
}

static const char *next_command(void *userdata, size_t i)
{
    const struct nsh_cli *cli = userdata;

    if (i >= cli->n_commands)
        return NULL;
    return cli->commands[i].help ? cli->commands[i].name : "";
}

static const char *next_option(void *userdata, size_t i)
{
    const struct reader *r = userdata;

    if (i >= r->cli->n_options)
        return NULL;
    return !r->command || nsh_cli_takes(r->command, &r->cli->options[i]) ? r->cli->options[i].name
                                                                         : "";
}

static bool refuse_command(const struct reader *r, const char *name)
{
    const char *near = nsh_nearest(name, next_command, (void *)r->cli);

    if (near)
        return usage(r, "'%s' is no command; did you mean '%s'?", name, near);
    return usage(r, "'%s' is no command", name);
}

static bool refuse_option(const struct reader *r)
{
    char name[sizeof(r->unknown)];
    const char *near;

    (void)snprintf(name, sizeof(name), "%s", r->unknown + strspn(r->unknown, "-"));
    name[strcspn(name, "=")] = '\0';
    near = nsh_nearest(name, next_option, (void *)r);
    if (near)
        return usage(r, "there is no option '%s'; did you mean '--%s'?", r->unknown, near);
    return usage(r, "there is no option '%s'", r->unknown);
}

static bool miss_command(const struct reader *r)
{
    char list[256] = "";
    size_t used = 0;

    for (size_t i = 0; i < r->cli->n_commands && used < sizeof(list); i++)
        if (r->cli->commands[i].help)
            used += (size_t)snprintf(list + used, sizeof(list) - used, "%s %s", used ? "," : "",
                    r->cli->commands[i].name);
    return usage(r, "a command is missing, one of%s", list);
}

/* ---- values ---- */

static const char *next_word(void *userdata, size_t i)
{
    const char *const *words = userdata;

    return words[i];
}

static bool check_word(
        const struct reader *r, const char *name, const struct nsh_cli_value *v, const char *text)
{
    const char *near;

    for (size_t i = 0; v->words[i]; i++)
        if (strcmp(v->words[i], text) == 0)
            return true;
    near = nsh_nearest(text, next_word, (void *)v->words);
    return usage(r, "%s can't be '%s'; did you mean '%s'?", name, text, near ? near : v->words[0]);
}

static bool read_number(const struct reader *r, const char *name, const struct nsh_cli_value *v,
        const char *text, uint32_t *ret)
{
    size_t n = strspn(text, "0123456789");
    unsigned long long value = strtoull(text, NULL, 10);

    if (n == 0 || text[n] != '\0' || value < v->min || value > v->max)
        return usage(r, "%s wants a number from %" PRIu64 " to %" PRIu64 ", not '%s'", name, v->min,
                v->max, text);
    *ret = (uint32_t)value;
    return true;
}

static bool read_time(const struct reader *r, const char *name, const struct nsh_cli_value *v,
        const char *text, uint64_t *ret)
{
    char min[32], max[32];
    uint64_t usec;

    if (!nsh_duration_parse(text, &usec))
        return usage(r, "%s wants a time such as 90s or 5min, not '%s'", name, text);
    if (usec < v->min || usec > v->max)
        return usage(r, "%s can be %s to %s, not '%s'", name,
                nsh_duration_exact(v->min, min, sizeof(min)),
                nsh_duration_exact(v->max, max, sizeof(max)), text);
    *ret = usec;
    return true;
}

/* Judges the text of an option or operand, and puts what it says into the field. */
static bool read_value(const struct reader *r, const char *name, const struct nsh_cli_value *v,
        const char *text, void *field)
{
    union nsh_addr addr;
    uint8_t family;

    switch (v->kind) {
    case NSH_CLI_SWITCH:
        *(bool *)field = true;
        return true;
    case NSH_CLI_NUMBER:
        return read_number(r, name, v, text, field);
    case NSH_CLI_TIME:
        return read_time(r, name, v, text, field);
    case NSH_CLI_ADDRESS:
        if (!nsh_addr_parse(text, &family, &addr))
            return usage(r, "%s wants an address, not '%s'", name, text);
        break;
    case NSH_CLI_WORD:
        if (!check_word(r, name, v, text))
            return false;
        break;
    case NSH_CLI_FILE:
    case NSH_CLI_DIRECTORY:
    case NSH_CLI_POLICY:
    case NSH_CLI_DEVICE:
    case NSH_CLI_TEXT:
    case NSH_CLI_REST:
        break;
    }
    if (text[0] == '\0')
        return usage(r, "%s is empty", name);
    *(const char **)field = text;
    return true;
}

/* ---- options ---- */

bool nsh_cli_takes(const struct nsh_cli_command *command, const struct nsh_cli_option *option)
{
    size_t n = strlen(option->name);

    if (option->common)
        return true;
    for (const char *p = command->options; p && *p; p += strspn(p, " ")) {
        size_t word = strcspn(p, " ");

        if (word == n && memcmp(p, option->name, n) == 0)
            return true;
        p += word;
    }
    return false;
}

static const struct nsh_cli_option *find_option(const struct nsh_cli *cli, int c)
{
    if (c >= LONG_OPTION)
        return &cli->options[c - LONG_OPTION];
    for (size_t i = 0; c != 0 && i < cli->n_options; i++)
        if (cli->options[i].letter == c)
            return &cli->options[i];
    return NULL;
}

struct getopt_tables {
    struct option longs[NSH_CLI_OPTIONS_MAX + 1];
    char letters[2 * NSH_CLI_OPTIONS_MAX + 2];
};

static void fill_tables(const struct nsh_cli *cli, struct getopt_tables *t)
{
    size_t n = 0;

    *t = (struct getopt_tables){0};
    t->letters[n++] = ':'; /* a missing value is told apart from an unknown option */
    for (size_t i = 0; i < cli->n_options; i++) {
        const struct nsh_cli_option *o = &cli->options[i];
        bool takes_value = o->value.kind != NSH_CLI_SWITCH;

        t->longs[i] = (struct option){.name = o->name,
                .has_arg = takes_value ? required_argument : no_argument,
                .val = LONG_OPTION + (int)i};
        if (o->letter)
            t->letters[n++] = o->letter;
        if (o->letter && takes_value)
            t->letters[n++] = ':';
    }
}

/* Goes through all options; the first mistake of a kind is remembered. */
static void collect_options(struct reader *r, int argc, char **argv)
{
    struct getopt_tables tables;
    int c;

    fill_tables(r->cli, &tables);
    opterr = 0;
    while ((c = getopt_long(argc, argv, tables.letters, tables.longs, NULL)) != -1) {
        const struct nsh_cli_option *o = find_option(r->cli, c == '?' || c == ':' ? optopt : c);

        if (!o && r->unknown[0] == '\0' && optopt != 0)
            (void)snprintf(r->unknown, sizeof(r->unknown), "-%c", optopt);
        else if (!o && r->unknown[0] == '\0')
            (void)snprintf(r->unknown, sizeof(r->unknown), "%s", argv[optind - 1]);
        else if (c == ':' && !r->without)
            r->without = o;
        else if (c == '?' && o && !r->with)
            r->with = o;
        if (!o || c == '?' || c == ':')
            continue;
        r->values[o - r->cli->options] = optarg ? optarg : "";
    }
}

/* Also what is told before the options are read is told so. */
static bool wants_json(const struct reader *r)
{
    for (size_t i = 0; i < r->cli->n_options; i++)
        if (r->cli->options[i].offset == offsetof(struct nsh_options, json))
            return r->values[i] != NULL;
    return false;
}

static bool read_options(struct reader *r)
{
    if (r->unknown[0] != '\0')
        return refuse_option(r);
    if (r->without)
        return usage(r, "--%s wants its %s", r->without->name, r->without->value.what);
    if (r->with)
        return usage(r, "--%s takes no value", r->with->name);
    for (size_t i = 0; i < r->cli->n_options; i++) {
        const struct nsh_cli_option *o = &r->cli->options[i];
        char name[64];

        if (!r->values[i])
            continue;
        (void)snprintf(name, sizeof(name), "--%s", o->name);
        if (r->command && !nsh_cli_takes(r->command, o))
            return usage(r, "'%s' has no %s", r->command->name, name);
        if (!read_value(r, name, &o->value, r->values[i], (char *)r->options + o->offset))
            return false;
    }
    return true;
}

/* ---- the command and its operands ---- */

const struct nsh_cli_command *nsh_cli_find(const struct nsh_cli *cli, const char *name)
{
    for (size_t i = 0; name && i < cli->n_commands; i++)
        if (strcmp(cli->commands[i].name, name) == 0)
            return &cli->commands[i];
    return NULL;
}

static bool read_operands(struct reader *r, char **operands)
{
    const struct nsh_cli_command *c = r->command;
    size_t i;

    for (i = 0; i < NSH_OPERANDS_MAX && c->operands[i].value.what; i++) {
        const struct nsh_cli_operand *operand = &c->operands[i];

        if (!operands[i] && operand->optional)
            return true;
        if (operands[i] && operand->value.kind == NSH_CLI_REST) {
            r->options->rest = operands + i;
            return true;
        }
        if (!operands[i])
            return usage(r, "'%s' wants its %s", c->name, operand->value.what);
        if (!read_value(
                    r, operand->value.what, &operand->value, operands[i], &r->options->operands[i]))
            return false;
    }
    if (operands[i])
        return usage(r, "'%s' takes no further argument: '%s'", c->name, operands[i]);
    return true;
}

const struct nsh_cli_command *nsh_cli_parse(
        const struct nsh_cli *cli, int argc, char **argv, struct nsh_options *o, int *ret_exit)
{
    struct reader r = {.cli = cli, .options = o};

    *ret_exit = NSH_EXIT_USAGE;
    collect_options(&r, argc, argv);
    nsh_answer_begin(wants_json(&r));
    r.command = nsh_cli_find(cli, argv[optind]);
    if (!read_options(&r))
        return NULL;
    if (o->version) {
        printf("netshared %s\n", NSH_VERSION);
        *ret_exit = NSH_EXIT_OK;
    } else if (argv[optind] && !r.command) {
        refuse_command(&r, argv[optind]);
    } else if (o->help) {
        nsh_cli_help(cli, r.command);
        *ret_exit = NSH_EXIT_OK;
    } else if (!argv[optind]) {
        miss_command(&r);
    } else if (read_operands(&r, argv + optind + 1)) {
        *ret_exit = NSH_EXIT_OK;
        return r.command;
    }
    return NULL;
}
