/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "origin.h"

struct file {
    char *path;
    uint32_t first; /* the origin of line 1 */
};

struct nsh_origins {
    struct file *files; /* by ascending `first` */
    size_t n_files;
    uint32_t next; /* behind the highest number given out; 0: all are */
};

struct nsh_origins *nsh_origins_new(void)
{
    struct nsh_origins *o = calloc(1, sizeof(*o));

    if (o)
        o->next = NSH_ORIGIN_NONE + 1;
    return o;
}

void nsh_origins_free(struct nsh_origins *o)
{
    if (!o)
        return;
    for (size_t i = 0; i < o->n_files; i++)
        free(o->files[i].path);
    free(o->files);
    free(o);
}

int nsh_origins_add_file(struct nsh_origins *o, const char *path)
{
    nsh_autofree char *copy = NULL;
    struct file *files;

    if (o->next == 0)
        return -E2BIG;
    copy = strdup(path);
    if (!copy)
        return -ENOMEM;
    files = reallocarray(o->files, o->n_files + 1, sizeof(*files));
    if (!files)
        return -ENOMEM;
    o->files = files;

    files[o->n_files++] = (struct file){.path = NSH_TAKE_PTR(copy), .first = o->next};
    /* Two files never share a number, even if nothing is ever taken from the first. */
    o->next++;
    return 0;
}

nsh_origin nsh_origins_at(struct nsh_origins *o, uint32_t line)
{
    uint32_t first;

    if (o->n_files == 0 || line == 0)
        return NSH_ORIGIN_NONE;
    first = o->files[o->n_files - 1].first;
    if (line - 1 > UINT32_MAX - first)
        return NSH_ORIGIN_NONE;
    /* UINT32_MAX + 1 is 0, the mark of "none left". */
    if (o->next != 0 && first + (line - 1) >= o->next)
        o->next = first + (line - 1) + 1;
    return first + (line - 1);
}

size_t nsh_origins_files(const struct nsh_origins *o)
{
    return o->n_files;
}

const char *nsh_origins_file(const struct nsh_origins *o, size_t i)
{
    return o->files[i].path;
}

const char *nsh_origins_resolve(const struct nsh_origins *o, nsh_origin at, uint32_t *ret_line)
{
    size_t low = 0, high = o->n_files;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (o->files[middle].first <= at)
            low = middle + 1;
        else
            high = middle;
    }
    if (at == NSH_ORIGIN_NONE || low == 0) {
        *ret_line = 0;
        return NULL;
    }
    *ret_line = at - o->files[low - 1].first + 1;
    return o->files[low - 1].path;
}
