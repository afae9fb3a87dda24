/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "config-names.h"

#define FILE_BYTES_MAX (1024L * 1024)
#define ENTRIES_MAX 65536U

/* iproute2 6.5 had its own below /usr/lib, later ones below /usr/share. */
const char *const nsh_names_directories[] = {
        "/etc/iproute2", "/usr/share/iproute2", "/usr/lib/iproute2", NULL};

int nsh_names_add(struct nsh_names *names, const char *text, uint32_t number)
{
    struct nsh_name *items;

    if (names->n >= ENTRIES_MAX || strlen(text) >= NSH_NAME_MAX)
        return 0;
    if (names->n == names->room) {
        items = reallocarray(names->items, names->room * 2 + 16, sizeof(*items));
        if (!items)
            return -ENOMEM;
        names->items = items;
        names->room = names->room * 2 + 16;
    }
    names->items[names->n].number = number;
    memcpy(names->items[names->n++].text, text, strlen(text) + 1);
    return 0;
}

void nsh_names_free(struct nsh_names *names)
{
    free(names->items);
    *names = (struct nsh_names){0};
}

const struct nsh_name *nsh_names_find(const struct nsh_names *names, const char *text)
{
    for (size_t i = 0; i < names->n; i++)
        if (strcmp(names->items[i].text, text) == 0)
            return &names->items[i];
    return NULL;
}

const char *nsh_names_other(const struct nsh_names *names, uint32_t number, const char *but)
{
    for (size_t i = 0; i < names->n; i++)
        if (names->items[i].number == number && strcmp(names->items[i].text, but) != 0)
            return names->items[i].text;
    return NULL;
}

/* "NUMBER NAME", the number in decimal or 0x hex. */
static int read_line(struct nsh_names *names, char *line)
{
    char *save = NULL, *end;
    const char *number = strtok_r(line, " \t\n", &save);
    const char *text = strtok_r(NULL, " \t\n", &save);
    unsigned long value;

    if (!number || number[0] < '0' || number[0] > '9' || !text || text[0] == '#')
        return 0;
    errno = 0;
    value = strtoul(number, &end, number[1] == 'x' ? 16 : 10);
    if (errno != 0 || *end != '\0' || value > UINT32_MAX)
        return 0;
    return nsh_names_add(names, text, (uint32_t)value);
}

/* NULL: there is none that can be read. */
static FILE *open_file(int directory, const char *name)
{
    int fd = openat(directory, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    struct stat st;
    FILE *f = NULL;

    if (fd < 0)
        return NULL;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= FILE_BYTES_MAX)
        f = fdopen(fd, "re");
    if (!f)
        close(fd);
    return f;
}

static int read_file(struct nsh_names *names, int directory, const char *name)
{
    NSH_CLEANUP(fclosep) FILE *f = open_file(directory, name);
    char line[512];
    int r = 0;

    while (f && r == 0 && fgets(line, sizeof(line), f) && ftell(f) <= FILE_BYTES_MAX)
        r = read_line(names, line);
    return r;
}

static int is_conf(const struct dirent *e)
{
    size_t n = strlen(e->d_name);

    return e->d_name[0] != '.' && n > 5 && strcmp(e->d_name + n - 5, ".conf") == 0;
}

static int read_directory(struct nsh_names *names, int parent, const char *base)
{
    nsh_autoclose int directory = -1;
    struct dirent **entries = NULL;
    char name[NAME_MAX + 1];
    int n, r = 0;

    (void)snprintf(name, sizeof(name), "%s.d", base);
    directory = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return 0;
    n = scandirat(directory, ".", &entries, is_conf, alphasort);
    for (int i = 0; i < n; i++) {
        if (r == 0)
            r = read_file(names, directory, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return r;
}

int nsh_names_read(struct nsh_names *names, const char *const *directories, const char *base)
{
    int r = 0;

    for (; r == 0 && *directories; directories++) {
        nsh_autoclose int directory = open(*directories, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (directory < 0)
            continue;
        r = read_file(names, directory, base);
        if (r == 0)
            r = read_directory(names, directory, base);
    }
    return r;
}
