/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nft-world.h"
#include "older-words.h"

#define WHY 256

extern char **environ;

struct nsh_firewall *fw;

static struct seen_chain seen[16];
static size_t n_seen;

/* ---- surroundings ---- */

int world_fresh(void **state)
{
    (void)state;
    if (unshare(CLONE_NEWNET) < 0)
        return -1;
    return run("ip", "link set lo up", NULL, 0) == 0 ? nsh_firewall_nft_new(&fw) : -1;
}

int world_done(void **state)
{
    (void)state;
    nsh_firewall_free(fw);
    fw = NULL;
    return 0;
}

/* ---- nft ---- */

static int run_argv(const char *program, char *const argv[], char *out, size_t size)
{
    posix_spawn_file_actions_t actions;
    int pipes[2], status;
    size_t at = 0;
    pid_t pid;

    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pipes[1], STDOUT_FILENO);
    assert_int_equal(posix_spawnp(&pid, program, &actions, NULL, argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(pipes[1]);
    for (;;) {
        char rest[256];
        ssize_t n = out && at + 1 < size ? read(pipes[0], out + at, size - 1 - at)
                                         : read(pipes[0], rest, sizeof rest);

        if (n <= 0)
            break;
        if (out && at + 1 < size)
            at += (size_t)n;
    }
    close(pipes[0]);
    if (out)
        out[at] = '\0';
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

int run(const char *program, const char *words, char *out, size_t size)
{
    char copy[512], *argv[48] = {(char *)(uintptr_t)program}, *save = NULL;
    int argc = 1;

    snprintf(copy, sizeof copy, "%s", words);
    for (char *w = strtok_r(copy, " ", &save); w && argc < 47; w = strtok_r(NULL, " ", &save))
        argv[argc++] = w;
    return run_argv(program, argv, out, size);
}

int try_nft(const char *command)
{
    char *const argv[] = {"nft", (char *)(uintptr_t)command, NULL};

    return run_argv("nft", argv, NULL, 0);
}

void nft(const char *format, ...)
{
    char command[2048];
    va_list ap;

    va_start(ap, format);
    vsnprintf(command, sizeof command, format, ap);
    va_end(ap);
    if (try_nft(command) != 0)
        fail_msg("nft %s", command);
}

/* An option before the command is a word of its own. */
const char *listing(const char *command)
{
    static char out[1 << 16];
    char copy[128], *rest = copy;
    const char *option = NULL;

    snprintf(copy, sizeof copy, "%s", command);
    if (command[0] == '-')
        option = strsep(&rest, " ");
    assert_int_equal(run_argv("nft",
                             (char *[]){"nft", (char *)(uintptr_t)(option ? option : rest),
                                     option ? rest : NULL, NULL},
                             out, sizeof out),
            0);
    older_words(out, sizeof out);
    return out;
}

void assert_lists(const char *command, const char *text)
{
    const char *out = listing(command);

    if (!strstr(out, text))
        fail_msg("\"%s\" is missing in:\n%s", text, out);
}

void assert_lists_not(const char *command, const char *text)
{
    const char *out = listing(command);

    if (strstr(out, text))
        fail_msg("\"%s\" stands in:\n%s", text, out);
}

/* ---- the adapter ---- */

void open_write(void)
{
    assert_int_equal(fw->ops->open(fw, NSH_FIREWALL_WRITE), NSH_FIREWALL_OK);
}

static int collect(void *userdata, const struct nsh_chain_seen *c)
{
    struct seen_chain *s = &seen[n_seen++];

    (void)userdata;
    assert_true(n_seen <= NSH_ARRAY_SIZE(seen));
    assert_true(c->n_rules <= NSH_ARRAY_SIZE(s->rules));
    assert_true(c->n_jumps <= NSH_ARRAY_SIZE(s->jumps));
    memset(s, 0, sizeof *s);
    snprintf(s->name, sizeof s->name, "%s", c->name);
    s->builtin = c->builtin;
    s->n_rules = c->n_rules;
    s->n_jumps = c->n_jumps;
    s->n_total = c->n_total;
    s->first_foreign = c->first_foreign;
    for (size_t i = 0; i < c->n_rules; i++)
        s->rules[i] = c->rules[i];
    for (size_t i = 0; i < c->n_jumps; i++)
        s->jumps[i] = c->jumps[i];
    return 0;
}

void observe(int family, enum nsh_table table)
{
    n_seen = 0;
    assert_int_equal(fw->ops->observe(fw, family, table, collect, NULL), 0);
}

const struct seen_chain *seen_chain(const char *name)
{
    for (size_t i = 0; i < n_seen; i++)
        if (strcmp(seen[i].name, name) == 0)
            return &seen[i];
    return NULL;
}

const struct seen_chain *look(int family, enum nsh_table table, const char *chain)
{
    open_write();
    observe(family, table);
    fw->ops->close(fw);
    return seen_chain(chain);
}

void commit_in(
        int family, enum nsh_table table, const struct nsh_firewall_op *ops, size_t n, int expected)
{
    char why[WHY] = "";
    int r = fw->ops->commit(fw, family, table, ops, n, why, sizeof why);

    if (r != expected)
        fail_msg("commit gave %d (%s), not %d", r, why, expected);
}

struct nsh_firewall_op op_of(
        enum nsh_firewall_verb verb, int family, enum nsh_table table, const char *chain)
{
    struct nsh_firewall_op op = {.verb = verb,
            .family = (uint8_t)family,
            .table = table,
            .index = UINT32_MAX,
            .kind = NSH_POLICY_MASQUERADE};

    snprintf(op.chain, sizeof op.chain, "%s", chain);
    if (verb == NSH_JUMP_ADD || verb == NSH_JUMP_DELETE)
        snprintf(op.hook, sizeof op.hook, "POSTROUTING");
    return op;
}

void install_in(int family, enum nsh_table table, const char *hook, const char *chain,
        const struct nsh_packet_rule *rules, size_t n)
{
    struct nsh_chain want = {.family = (uint8_t)family, .hook = hook, .rules = rules, .n_rules = n};
    struct nsh_firewall_op ops[] = {
            op_of(NSH_CHAIN_ADD, family, table, chain), op_of(NSH_JUMP_ADD, family, table, chain)};

    ops[0].want = &want;
    if (hook)
        snprintf(ops[1].hook, sizeof ops[1].hook, "%s", hook);
    open_write();
    observe(family, table);
    commit_in(family, table, ops, hook ? 2 : 1, NSH_FIREWALL_OK);
    fw->ops->close(fw);
}

void install(const struct nsh_packet_rule *rules, size_t n)
{
    install_in(AF_INET, NSH_TABLE_NAT, "POSTROUTING", "NETSHARED-home", rules, n);
}

bool hinted(void)
{
    struct pollfd p = {.fd = fw->ops->hint_fd(fw), .events = POLLIN};

    assert_true(p.fd >= 0);
    return poll(&p, 1, 1000) == 1;
}
