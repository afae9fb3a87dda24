/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where on the command line a word stands, and so what it can be. Lenient: what stands before it
 * may be wrong, or be cut into words at the '=', as bash does it.
 */
#include <string.h>

#include "cli.h"

struct walk {
    const struct nsh_cli *cli;
    struct nsh_cli_wanted *wanted;
    const struct nsh_cli_option *awaits; /* its value comes next */
    size_t operands;
    bool ended; /* by "--": there are no more options */
};

static const struct nsh_cli_option *find_option(const struct nsh_cli *cli, const char *word)
{
    bool is_long = strncmp(word, "--", 2) == 0;
    size_t n = strcspn(word, "=");

    for (size_t i = 0; i < cli->n_options; i++) {
        const struct nsh_cli_option *o = &cli->options[i];

        if (is_long ? strlen(o->name) == n - 2 && memcmp(o->name, word + 2, n - 2) == 0
                    : o->letter && word[1] == o->letter && word[2] == '\0')
            return o;
    }
    return NULL;
}

/* A word that is complete. */
static void pass(struct walk *w, const char *word)
{
    const struct nsh_cli_option *option;

    if (w->awaits && strcmp(word, "=") == 0)
        return;
    if (w->awaits) {
        w->wanted->given[w->awaits - w->cli->options] = word;
        w->awaits = NULL;
    } else if (!w->ended && strcmp(word, "--") == 0) {
        w->ended = true;
    } else if (!w->ended && word[0] == '-' && word[1] != '\0') {
        option = find_option(w->cli, word);
        if (!option)
            return;
        w->wanted->given[option - w->cli->options] = strchr(word, '=') ? strchr(word, '=') + 1 : "";
        if (option->value.kind != NSH_CLI_SWITCH && !strchr(word, '='))
            w->awaits = option;
    } else if (!w->wanted->command && w->operands == 0) {
        w->wanted->command = nsh_cli_find(w->cli, word);
        w->operands = w->wanted->command ? 0 : NSH_OPERANDS_MAX;
    } else {
        w->operands++;
    }
}

static const struct nsh_cli_value *operand_at(const struct walk *w)
{
    const struct nsh_cli_command *c = w->wanted->command;

    if (!c || w->operands >= NSH_OPERANDS_MAX || !c->operands[w->operands].value.what)
        return NULL;
    return &c->operands[w->operands].value;
}

/* "--protocol=u": the option whose value is being typed, or NULL. */
static const struct nsh_cli_option *with_value(const struct walk *w, const char *word)
{
    const struct nsh_cli_option *option;

    if (w->ended || strncmp(word, "--", 2) != 0 || !strchr(word, '='))
        return NULL;
    option = find_option(w->cli, word);
    return option && option->value.kind != NSH_CLI_SWITCH ? option : NULL;
}

static void settle(struct walk *w, const char *word)
{
    const struct nsh_cli_option *option = with_value(w, word);
    struct nsh_cli_wanted *wanted = w->wanted;

    wanted->typed = word;
    if (w->awaits) {
        wanted->value = &w->awaits->value;
        wanted->typed = strcmp(word, "=") == 0 ? "" : word;
    } else if (option) {
        wanted->value = &option->value;
        wanted->typed = strchr(word, '=') + 1;
        wanted->before = (size_t)(wanted->typed - word);
    } else if (!w->ended && word[0] == '-') {
        wanted->options = true;
    } else if (!wanted->command && w->operands == 0) {
        wanted->commands = true;
    } else {
        wanted->value = operand_at(w);
    }
}

void nsh_cli_complete(const struct nsh_cli *cli, char *const *words, struct nsh_cli_wanted *ret)
{
    struct walk w = {.cli = cli, .wanted = ret};

    *ret = (struct nsh_cli_wanted){0};
    for (; words[0] && words[1]; words++)
        pass(&w, words[0]);
    settle(&w, words[0] ? words[0] : "");
}
