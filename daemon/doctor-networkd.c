/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * systemd-networkd takes away routes and rules that are not in its own files, whenever it
 * configures a link anew, unless networkd.conf(5) says that it is to leave them.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cleanup.h"
#include "doctor.h"

/* ---- its files ---- */

/* Of two files of one name the one in the earlier directory counts. */
static const char *const directories[] = {
        "/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd"};

/* "yes" and its like, as systemd.syntax(7) has them; `otherwise`: it is none of them. */
static bool truth(const char *text, bool otherwise)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = {{"1", true}, {"yes", true}, {"y", true}, {"true", true}, {"t", true}, {"on", true},
            {"0", false}, {"no", false}, {"n", false}, {"false", false}, {"f", false},
            {"off", false}};

    for (size_t i = 0; i < NSH_ARRAY_SIZE(words); i++)
        if (strcasecmp(words[i].word, text) == 0)
            return words[i].value;
    return otherwise;
}

static char *trim(char *text)
{
    size_t n;

    text += strspn(text, " \t");
    for (n = strlen(text); n > 0 && strchr(" \t\r\n", text[n - 1]); n--)
        text[n - 1] = '\0';
    return text;
}

/* What a file says last; an empty value is as none. */
static void read_file(const char *path, const char *key, bool otherwise, bool *value)
{
    NSH_CLEANUP(fclosep) FILE *f = fopen(path, "re");
    bool network = false;
    char line[1024];

    while (f && fgets(line, sizeof line, f)) {
        char *text = trim(line), *equals;

        if (*text == '[') {
            network = strcmp(text, "[Network]") == 0;
            continue;
        }
        equals = strchr(text, '=');
        if (!network || !equals)
            continue;
        *equals = '\0';
        if (strcmp(trim(text), key) == 0)
            *value = *trim(equals + 1) == '\0' ? otherwise : truth(trim(equals + 1), *value);
    }
}

struct drop_ins {
    char names[256][256];
    size_t n;
};

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void list_drop_ins(const char *path, struct drop_ins *list)
{
    NSH_CLEANUP(closedirp) DIR *dir = opendir(path);
    const struct dirent *e;

    while (dir && (e = readdir(dir)) && list->n < NSH_ARRAY_SIZE(list->names)) {
        size_t n = strlen(e->d_name);
        bool known = false;

        if (n <= strlen(".conf") || strcmp(e->d_name + n - strlen(".conf"), ".conf") != 0)
            continue;
        for (size_t i = 0; i < list->n; i++)
            known = known || strcmp(list->names[i], e->d_name) == 0;
        if (!known)
            snprintf(list->names[list->n++], sizeof list->names[0], "%s", e->d_name);
    }
}

/* The first of that name, and no other: one that leads to /dev/null masks the others. */
static void read_first(
        const char *root, const char *name, const char *key, bool otherwise, bool *value)
{
    for (size_t i = 0; i < NSH_ARRAY_SIZE(directories); i++) {
        char path[1024];

        snprintf(path, sizeof path, "%s%s/%s", root, directories[i], name);
        if (access(path, F_OK) != 0)
            continue;
        read_file(path, key, otherwise, value);
        return;
    }
}

bool doctor_networkd_says(const char *root, const char *key, bool otherwise)
{
    nsh_autofree struct drop_ins *list = calloc(1, sizeof *list);
    bool value = otherwise;
    char path[512];

    read_first(root, "networkd.conf", key, otherwise, &value);
    for (size_t i = 0; list && i < NSH_ARRAY_SIZE(directories); i++) {
        snprintf(path, sizeof path, "%s%s/networkd.conf.d", root, directories[i]);
        list_drop_ins(path, list);
    }
    if (list)
        qsort(list->names, list->n, sizeof list->names[0], compare_names);
    for (size_t i = 0; list && i < list->n; i++) {
        snprintf(path, sizeof path, "networkd.conf.d/%s", list->names[i]);
        read_first(root, path, key, otherwise, &value);
    }
    return value;
}

/* ---- whether it runs ---- */

#define COMM_LENGTH 15 /* the kernel keeps no more of a name */

/* In another network namespace than ours, for certain. */
static bool is_elsewhere(const char *root, const char *pid)
{
    char path[512], its[64], ours[64];
    ssize_t n, n_ours = readlink("/proc/self/ns/net", ours, sizeof ours);

    snprintf(path, sizeof path, "%s/proc/%s/ns/net", root, pid);
    n = readlink(path, its, sizeof its);
    return n > 0 && n_ours > 0 && (n != n_ours || memcmp(its, ours, (size_t)n) != 0);
}

static bool is_called(const char *root, const char *pid, const char *name)
{
    char path[512], text[32];

    snprintf(path, sizeof path, "%s/proc/%s/comm", root, pid);
    NSH_CLEANUP(fclosep) FILE *f = fopen(path, "re");
    return f && fgets(text, sizeof text, f) && strncmp(trim(text), name, COMM_LENGTH) == 0;
}

bool doctor_process_runs(const char *root, const char *name)
{
    char path[512];
    const struct dirent *e;

    snprintf(path, sizeof path, "%s/proc", root);
    NSH_CLEANUP(closedirp) DIR *dir = opendir(path);
    while (dir && (e = readdir(dir)))
        if (e->d_name[0] >= '1' && e->d_name[0] <= '9' && is_called(root, e->d_name, name) &&
                !is_elsewhere(root, e->d_name))
            return true;
    return false;
}

void doctor_networkd(struct doctor *d)
{
    static const char fix[] =
            "run: mkdir -p /etc/systemd/networkd.conf.d && "
            "printf '[Network]\\nManageForeignRoutes=no\\nManageForeignRoutingPolicyRules=no\\n' "
            ">/etc/systemd/networkd.conf.d/netshared.conf && systemctl restart systemd-networkd";
    bool routes, rules;

    if (!d->desired) {
        doctor_unseen(d, "the file is not right");
        return;
    }
    if (!doctor_process_runs(d->root, "systemd-networkd"))
        return;
    routes = d->desired->n_routes > 0 && doctor_networkd_says(d->root, "ManageForeignRoutes", true);
    rules = d->desired->n_rules > 0 &&
            doctor_networkd_says(d->root, "ManageForeignRoutingPolicyRules", true);
    if (routes || rules)
        doctor_find(d, NSH_ORIGIN_NONE, fix,
                "systemd-networkd runs, and takes away %s%s%s that are not in its own files",
                routes ? "routes" : "", routes && rules ? " and " : "", rules ? "rules" : "");
}
