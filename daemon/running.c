/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "running.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"

bool nsh_is_same_file(const char *a, const char *b)
{
    struct stat one, other;

    return strcmp(a, b) == 0 || (stat(a, &one) == 0 && stat(b, &other) == 0 &&
                                        one.st_dev == other.st_dev && one.st_ino == other.st_ino);
}

const char *nsh_running_file(const struct nsh_config *c, const char *path)
{
    const char *file = nsh_origins_files(c->origins) > 0 ? nsh_origins_file(c->origins, 0) : NULL;

    return file && !nsh_is_same_file(file, path) ? file : NULL;
}

/* What makes the file `path` say the same; *ret_changed: why a copy would not. NULL: nothing. */
static char *keep(
        const char *path, struct nsh_state *state, const char *state_directory, char **ret_changed)
{
    nsh_autoclose int fd = state ? nsh_state_archive_open(state, NSH_ARCHIVE_ACCEPTED) : -ENOENT;
    nsh_autofree char *archive = NULL;

    if (fd < 0 || nsh_running_changed(fd, ret_changed) < 0)
        return NULL;
    if (!*ret_changed)
        return nsh_running_copy(fd, path);
    return asprintf(&archive, "%s/accepted", state_directory) < 0
                   ? NULL
                   : nsh_running_restore(fd, archive, path);
}

char *nsh_running_text(const struct nsh_config *c, const char *path, struct nsh_state *state,
        const char *state_directory)
{
    const char *file = nsh_running_file(c, path);
    nsh_autofree char *changed = NULL;
    nsh_autofree char *command = file ? keep(path, state, state_directory, &changed) : NULL;
    char *text = NULL;

    if (!file || asprintf(&text,
                         "what runs is %s as it was tried and confirmed, not %s, which a reload or "
                         "a restart takes%s%s%s%s%s",
                         file, path, changed ? "; " : "", changed ? changed : "",
                         command ? "; to keep what runs: " : "", command ? command : "",
                         command ? "; then netshared reload" : "") < 0)
        return NULL;
    return text;
}
