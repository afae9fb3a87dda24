/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The world of the real kernel: a network namespace of its own, and the administrator's tools.
 *
 * Links are veth pairs whose far ends ("x-p") stay up, so that they have a carrier. Link-local
 * addresses and duplicate address detection are off: they would come and go by themselves.
 */
#include "scenario-kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

extern char **environ;

#define ARGS_MAX 48

struct kernel_world {
    struct nsh_world world; /* first: handed out */
};

/* A lock file of our own, one for all worlds: other tests may hold the machine's. */
static char lock_path[32];

struct args {
    char *text;
    char *argv[ARGS_MAX + 1];
    size_t n;
};

static void args_clear(struct args *a)
{
    free(a->text);
}

static int args_split(struct args *a, const char *command)
{
    char *save = NULL;

    a->text = strdup(command);
    if (!a->text)
        return -ENOMEM;
    for (char *p = strtok_r(a->text, " ", &save); p; p = strtok_r(NULL, " ", &save)) {
        if (a->n == ARGS_MAX)
            return -E2BIG;
        a->argv[a->n++] = p;
    }
    return a->n ? 0 : -EINVAL;
}

/* Runs a program with its standard output at `fd`. 0, or 1000 and its exit code, or -errno. */
static int spawn(char *const argv[], int fd)
{
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int status, rc;

    posix_spawn_file_actions_init(&actions);
    if (fd >= 0)
        posix_spawn_file_actions_adddup2(&actions, fd, STDOUT_FILENO);
    rc = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (rc != 0)
        return -rc;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    return status ? 1000 + WEXITSTATUS(status) : 0;
}

int nsh_kernel_run(const char *start, const char *rest)
{
    NSH_CLEANUP(args_clear) struct args a = {0};
    char command[256];
    int rc;

    rc = snprintf(command, sizeof(command), "%s%s", start, rest);
    if (rc < 0 || (size_t)rc >= sizeof(command))
        return -E2BIG;
    rc = args_split(&a, command);
    return rc < 0 ? rc : spawn(a.argv, -1);
}

char *nsh_kernel_capture(const char *command)
{
    NSH_CLEANUP(args_clear) struct args a = {0};
    NSH_CLEANUP(fclosep) FILE *file = tmpfile();
    char *text;
    long size;

    if (!file || args_split(&a, command) < 0 || spawn(a.argv, fileno(file)) != 0)
        return NULL;
    if (fseek(file, 0, SEEK_END) < 0 || (size = ftell(file)) < 0)
        return NULL;
    rewind(file);
    text = calloc(1, (size_t)size + 1);
    if (text && fread(text, 1, (size_t)size, file) != (size_t)size) {
        free(text);
        return NULL;
    }
    return text;
}

static int write_sysctl(const char *key, int value)
{
    char path[128], text[16];
    nsh_autoclose int fd = -1;
    int n = snprintf(text, sizeof(text), "%d", value);

    snprintf(path, sizeof(path), "/proc/sys/%s", key);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    return write(fd, text, (size_t)n) == n ? 0 : -errno;
}

static int add_link(const char *name)
{
    char command[128];
    int rc;

    snprintf(command, sizeof(command), "ip link add %s type veth peer name %s-p", name, name);
    rc = nsh_kernel_run(command, "");
    if (rc != 0)
        return rc;
    snprintf(command, sizeof(command), "ip link set %s-p up", name);
    return nsh_kernel_run(command, "");
}

/* Addresses are usable at once. */
static bool needs_nodad(const char *command)
{
    return strncmp(command, "ip addr add ", 12) == 0 && strchr(command, ':');
}

static int kernel_run(struct nsh_world *w, const char *command)
{
    static const char add[] = "ip link add ";
    char key[96];
    int value;

    (void)w;
    if (strncmp(command, add, strlen(add)) == 0 && !strstr(command, " type "))
        return add_link(command + strlen(add));
    if (sscanf(command, "sysctl %95[^=]=%d", key, &value) == 2)
        return write_sysctl(key, value);
    if (strncmp(command, "iptables ", 9) == 0)
        return nsh_kernel_run("iptables-legacy ", command + 9);
    if (strncmp(command, "ip6tables ", 10) == 0)
        return nsh_kernel_run("ip6tables-legacy ", command + 10);
    return nsh_kernel_run(command, needs_nodad(command) ? " nodad" : "");
}

static char *kernel_routes(struct nsh_world *w, int family)
{
    (void)w;
    return nsh_kernel_capture(family == AF_INET6 ? "ip -6 -N -o route show table all"
                                                 : "ip -4 -N -o route show table all");
}

static char *kernel_rules(struct nsh_world *w, int family, enum nsh_table table, bool counters)
{
    char command[96];

    (void)w;
    snprintf(command, sizeof(command), "%s -t %s%s",
            family == AF_INET6 ? "ip6tables-legacy-save" : "iptables-legacy-save",
            nsh_table_name(table), counters ? " -c" : "");
    return nsh_kernel_capture(command);
}

/* Nobody counts here: that nothing changed is seen in what stands there. */
static size_t kernel_writes(struct nsh_world *w)
{
    (void)w;
    return 0;
}

static void kernel_free(struct nsh_world *w)
{
    struct kernel_world *k = (struct kernel_world *)w;

    nsh_fib_free(w->fib);
    nsh_firewall_free(w->firewall);
    free(k);
}

static void kernel_freep(struct kernel_world **w)
{
    if (*w)
        kernel_free(&(*w)->world);
}

static const struct nsh_world_ops kernel_ops = {
        .free = kernel_free,
        .run = kernel_run,
        .routes = kernel_routes,
        .rules = kernel_rules,
        .writes = kernel_writes,
};

static void remove_lock(void)
{
    unlink(lock_path);
}

static int make_lock(void)
{
    char path[] = "/tmp/nsh-lock-XXXXXX";
    int fd;

    if (lock_path[0])
        return 0;
    fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    close(fd);
    memcpy(lock_path, path, sizeof(path));
    atexit(remove_lock);
    return setenv("XTABLES_LOCKFILE", lock_path, 1) < 0 ? -errno : 0;
}

static int enter(void)
{
    int rc = make_lock();

    if (rc < 0)
        return rc;
    if (unshare(CLONE_NEWNET) < 0)
        return -errno;
    write_sysctl("net/ipv6/conf/default/addr_gen_mode", 1);
    write_sysctl("net/ipv6/conf/default/router_solicitations", 0);
    return nsh_kernel_run("ip link set lo up", "");
}

int nsh_world_kernel_new(struct nsh_world **ret)
{
    NSH_CLEANUP(kernel_freep) struct kernel_world *w = calloc(1, sizeof(*w));
    int rc;

    if (!w)
        return -ENOMEM;
    w->world.ops = &kernel_ops;
    rc = enter();
    if (rc == 0)
        rc = nsh_fib_netlink_new(&w->world.fib);
    if (rc == 0)
        rc = nsh_firewall_iptc_new(&w->world.firewall);
    if (rc != 0)
        return rc;
    *ret = &NSH_TAKE_PTR(w)->world;
    return 0;
}
