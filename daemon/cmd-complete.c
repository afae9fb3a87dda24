/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `complete`: what the shells' completions call with the words that were typed. So there is one
 * place that knows what can follow, in the program itself, and the scripts for the shells are thin
 * and never older than it. A line for each proposal: the word, a tab, what it is. ":file" and
 * ":directory" leave it to the shell to propose paths.
 */
#include <jansson.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "cli.h"
#include "control.h"
#include "forward-drop.h"
#include "lock.h"
#include "reload.h"

#define STATUS_TIMEOUT_USEC 1000000ULL
#define FILE_MAX (1024L * 1024) /* a larger one takes longer than a key is waited for */

struct proposer {
    struct nsh_options options; /* with the paths that were typed */
    struct nsh_cli_wanted wanted;
    const char *word; /* all that was typed of it */
    char last[64];    /* the policy that was proposed last */
};

static void propose(const struct proposer *p, const char *text, const char *help)
{
    if (strncmp(text, p->wanted.typed, strlen(p->wanted.typed)) != 0)
        return;
    printf("%.*s%s%s%.*s\n", (int)p->wanted.before, p->word, text, help ? "\t" : "",
            help ? (int)strcspn(help, "\n") : 0, help ? help : "");
}

/* ---- names of policies ---- */

/* A policy is several objects, which stand together. */
static void propose_policy(struct proposer *p, const char *kind, const char *name, size_t n)
{
    char policy[sizeof(p->last)];

    (void)snprintf(policy, sizeof(policy), "%.*s", (int)n, name);
    if (strcmp(policy, p->last) == 0)
        return;
    memcpy(p->last, policy, sizeof(policy));
    propose(p, policy, kind);
}

/* "lan-out (ipv4)" is one of a policy; routes, rules and what serves policies are none. */
static void propose_object(struct proposer *p, const char *kind, const char *name)
{
    static const char *const others[] = {
            "route", "rule", "probe route", "probe rule", "set", "forwarding"};

    for (size_t i = 0; i < NSH_ARRAY_SIZE(others); i++)
        if (strcmp(kind, others[i]) == 0)
            return;
    propose_policy(p, kind, name, strcspn(name, " "));
}

/* Of what the daemon holds; false: none answers. */
static bool propose_running(struct proposer *p)
{
    json_t *root, *object;
    size_t i;

    if (nsh_control_call_status(p->options.runtime_directory, STATUS_TIMEOUT_USEC, &root) < 0)
        return false;
    json_array_foreach(json_object_get(root, "objects"), i, object)
    {
        const char *kind = json_string_value(json_object_get(object, "kind"));
        const char *name = json_string_value(json_object_get(object, "name"));

        if (kind && name)
            propose_object(p, kind, name);
    }
    json_decref(root);
    return true;
}

static void propose_chains(struct proposer *p, const struct nsh_desired *d)
{
    for (size_t i = 0; i < d->n_chains; i++)
        if (d->chains[i].policy[0] != '\0')
            propose_policy(p, nsh_policy_noun(d->chains[i].kind), d->chains[i].policy,
                    sizeof(d->chains[i].policy));
}

static void propose_policies(struct proposer *p)
{
    struct nsh_loaded loaded;
    struct stat st;

    if (propose_running(p) || stat(p->options.config, &st) < 0 || st.st_size > FILE_MAX)
        return;
    nsh_load_now(p->options.config, NSH_TRUST_WARN, NULL, &loaded);
    if (loaded.error == 0)
        propose_chains(p, loaded.desired);
    nsh_loaded_done(&loaded);
}

/* ---- the rest ---- */

/* Shells put it into the command line as it is: no name that would be more than a word there. */
static void propose_devices(const struct proposer *p)
{
    struct if_nameindex *links = if_nameindex();

    for (size_t i = 0; links && links[i].if_index != 0; i++)
        if (nsh_forward_is_plain(links[i].if_name))
            propose(p, links[i].if_name, NULL);
    if_freenameindex(links);
}

static void propose_value(struct proposer *p, const struct nsh_cli_value *v)
{
    switch (v->kind) {
    case NSH_CLI_FILE:
        puts(":file");
        break;
    case NSH_CLI_DIRECTORY:
        puts(":directory");
        break;
    case NSH_CLI_POLICY:
        propose_policies(p);
        break;
    case NSH_CLI_DEVICE:
        propose_devices(p);
        break;
    case NSH_CLI_WORD:
    case NSH_CLI_TEXT:
        for (size_t i = 0; v->words && v->words[i]; i++)
            propose(p, v->words[i], NULL);
        break;
    case NSH_CLI_SWITCH:
    case NSH_CLI_ADDRESS:
    case NSH_CLI_NUMBER:
    case NSH_CLI_TIME:
    case NSH_CLI_REST:
        break;
    }
}

static void propose_options(const struct proposer *p)
{
    for (size_t i = 0; i < nsh_cli.n_options; i++) {
        const struct nsh_cli_option *o = &nsh_cli.options[i];
        char name[64];

        if (p->wanted.given[i] ||
                (p->wanted.command ? !nsh_cli_takes(p->wanted.command, o) : !o->common))
            continue;
        (void)snprintf(name, sizeof(name), "--%s", o->name);
        propose(p, name, o->help);
    }
}

static void propose_commands(const struct proposer *p)
{
    for (size_t i = 0; i < nsh_cli.n_commands; i++)
        if (nsh_cli.commands[i].help)
            propose(p, nsh_cli.commands[i].name, nsh_cli.commands[i].help);
}

/* Names come from where the command would have them from. */
static void take_paths(struct proposer *p)
{
    for (size_t i = 0; i < nsh_cli.n_options; i++) {
        const struct nsh_cli_option *o = &nsh_cli.options[i];
        const char *given = p->wanted.given[i];

        if (given && *given &&
                (o->value.kind == NSH_CLI_FILE || o->value.kind == NSH_CLI_DIRECTORY))
            *(const char **)((char *)&p->options + o->offset) = given;
    }
}

int nsh_command_complete(const struct nsh_options *o)
{
    struct proposer p = {.options = *o, .word = ""};

    nsh_cli_complete(&nsh_cli, o->rest, &p.wanted);
    for (size_t i = 0; o->rest[i]; i++)
        p.word = o->rest[i];
    take_paths(&p);
    if (p.wanted.commands)
        propose_commands(&p);
    if (p.wanted.options)
        propose_options(&p);
    if (p.wanted.value)
        propose_value(&p, p.wanted.value);
    return NSH_EXIT_OK;
}
