/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "older-words.h"
#include "xtables-world.h"

extern char **environ;

static char dir[] = "/tmp/nsh-firewall-XXXXXX";
char lock_file[64];
static char other_lock[64];
struct nsh_firewall *fw;

/* ---- iptables ---- */

static char *next_word(char **at)
{
    char *word = *at + strspn(*at, " "), *end;
    bool quoted = *word == '"';

    if (*word == '\0')
        return NULL;
    word += quoted;
    end = word + strcspn(word, quoted ? "\"" : " ");
    *at = *end ? end + 1 : end;
    *end = '\0';
    return word;
}

int run(const char *program, const char *words, char *out, size_t size)
{
    char copy[1024], *argv[80] = {(char *)(uintptr_t)program}, *save = copy;
    posix_spawn_file_actions_t actions;
    int pipes[2], status, argc = 1;
    size_t at = 0;
    pid_t pid;

    snprintf(copy, sizeof copy, "%s", words);
    while (argc < 79 && (argv[argc] = next_word(&save)))
        argc++;
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pipes[1], STDOUT_FILENO);
    if (!out)
        posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
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

const char *program(int family)
{
    return family == AF_INET ? "iptables-legacy" : "ip6tables-legacy";
}

int try_ipt(int family, const char *words)
{
    return run(program(family), words, NULL, 0);
}

void ipt(const char *words)
{
    char out[64];

    if (run("iptables-legacy", words, out, sizeof out) != 0)
        fail_msg("iptables-legacy %s", words);
}

void ipt_unlocked(const char *words)
{
    setenv("XTABLES_LOCKFILE", other_lock, 1);
    ipt(words);
    setenv("XTABLES_LOCKFILE", lock_file, 1);
}

const char *listing(int family, const char *words)
{
    static char out[1 << 18];

    setenv("XTABLES_LOCKFILE", other_lock, 1);
    assert_int_equal(run(program(family), words, out, sizeof out), 0);
    setenv("XTABLES_LOCKFILE", lock_file, 1);
    older_words(out, sizeof out);
    return out;
}

void assert_lists(const char *words, const char *line)
{
    const char *out = listing(AF_INET, words);

    if (!strstr(out, line))
        fail_msg("\"%s\" is missing in:\n%s", line, out);
}

void assert_lists_not(const char *words, const char *line)
{
    const char *out = listing(AF_INET, words);

    if (strstr(out, line))
        fail_msg("\"%s\" stands in:\n%s", line, out);
}

/* ---- surroundings ---- */

int make_dir(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    snprintf(lock_file, sizeof lock_file, "%s/lock", dir);
    snprintf(other_lock, sizeof other_lock, "%s/other", dir);
    return 0;
}

int remove_dir(void **state)
{
    (void)state;
    unlink(lock_file);
    unlink(other_lock);
    return rmdir(dir);
}

int fresh(void **state)
{
    (void)state;
    setenv("XTABLES_LOCKFILE", lock_file, 1);
    if (unshare(CLONE_NEWNET) < 0)
        return -1;
    return nsh_firewall_iptc_new(&fw);
}

int done(void **state)
{
    (void)state;
    nsh_firewall_free(fw);
    fw = NULL;
    return 0;
}
