/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "module.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "cleanup.h"

static bool line_in_file(const char *path, const char *word)
{
    NSH_CLEANUP(fclosep) FILE *f = fopen(path, "re");
    char line[256];

    while (f && fgets(line, sizeof line, f))
        if (strstr(line, word))
            return true;
    return false;
}

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

/*
 * Without a list of modules the kernel has none; what is built in is in a list beside the modules.
 * Where that list is missing too, there is nothing that could be loaded.
 */
bool nsh_module_in_use(const char *name)
{
    struct utsname u;
    char path[256], word[96];

    snprintf(path, sizeof path, "/sys/module/%.64s", name);
    if (exists(path) || !exists("/proc/modules"))
        return true;
    if (uname(&u) < 0)
        return true;
    snprintf(path, sizeof path, "/lib/modules/%.64s/modules.builtin", u.release);
    snprintf(word, sizeof word, "/%.64s.ko", name);
    return !exists(path) || line_in_file(path, word);
}
