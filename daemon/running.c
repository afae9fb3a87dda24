/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "running.h"

#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "text.h"

#define WORD (2 * PATH_MAX)

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

/* Of those that were read with it. */
static bool has_drop_ins(const struct nsh_config *c, const char *directory)
{
    size_t n = strlen(directory);

    for (size_t i = 1; i < nsh_origins_files(c->origins); i++)
        if (strncmp(nsh_origins_file(c->origins, i), directory, n) == 0 &&
                nsh_origins_file(c->origins, i)[n] == '/')
            return true;
    return false;
}

static bool holds_drop_ins(const char *directory)
{
    nsh_autofree char *pattern = NULL;
    glob_t found = {0};
    bool holds;

    if (asprintf(&pattern, "%s/*.yaml", directory) < 0)
        return false;
    holds = glob(pattern, GLOB_NOSORT, NULL, &found) == 0;
    globfree(&found);
    return holds;
}

char *nsh_running_copy(const struct nsh_config *c, const char *path)
{
    const char *file = nsh_running_file(c, path);
    nsh_autofree char *from = file ? nsh_config_drop_ins(file) : NULL;
    nsh_autofree char *to = nsh_config_drop_ins(path);
    nsh_autofree char *one = malloc(WORD), *other = malloc(WORD);
    char *text = NULL;

    if (!from || !to || !one || !other)
        return NULL;
    bool has = has_drop_ins(c, from), holds = holds_drop_ins(to);
    int n = asprintf(&text, "cp %s %s%s%s%s%s%s", nsh_text_word(file, one, WORD),
            nsh_text_word(path, other, WORD),
            has     ? ", and its drop-ins, which are in "
            : holds ? ", and away with the drop-ins in "
                    : "",
            has     ? from
            : holds ? to
                    : "",
            has ? ", into " : "", has ? to : "", has && holds ? " in place of those there" : "");
    return n < 0 ? NULL : text;
}

char *nsh_running_text(const struct nsh_config *c, const char *path)
{
    const char *file = nsh_running_file(c, path);
    nsh_autofree char *copy = nsh_running_copy(c, path);
    char *text = NULL;

    if (!file || !copy ||
            asprintf(&text,
                    "what runs is %s as it was tried and confirmed, not %s, which a reload or a "
                    "restart takes; to keep what runs: %s; then netshared reload",
                    file, path, copy) < 0)
        return NULL;
    return text;
}
