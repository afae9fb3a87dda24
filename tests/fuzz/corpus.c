/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * corpus.c - runs a fuzz target on the files of the folders given, in the order of their names, and
 * says in TAP that it came to the end.
 */
#include "fuzz.h"

#include <dirent.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

static char *read_file(const char *path, size_t *ret_size)
{
    NSH_CLEANUP(fclosep) FILE *file = fopen(path, "rb");
    struct stat st;
    char *bytes;

    if (!file || fstat(fileno(file), &st) < 0 || !S_ISREG(st.st_mode))
        return NULL;
    *ret_size = (size_t)st.st_size;
    bytes = malloc(*ret_size + 1);
    if (bytes && fread(bytes, 1, *ret_size, file) == *ret_size)
        return bytes;
    free(bytes);
    return NULL;
}

/* A copy of exactly the size: what reads on behind it is seen. */
static bool run_file(const char *path)
{
    size_t size = 0;
    nsh_autofree char *bytes = read_file(path, &size);
    nsh_autofree uint8_t *exact = bytes ? malloc(size) : NULL;

    if (!bytes || (size > 0 && !exact))
        return false;
    if (size > 0)
        memcpy(exact, bytes, size);
    printf("# %s\n", path);
    (void)fflush(stdout);
    (void)LLVMFuzzerTestOneInput(exact, size);
    return true;
}

static size_t run_folder(const char *folder)
{
    struct dirent **entries = NULL;
    int n = scandir(folder, &entries, NULL, alphasort);
    size_t ran = 0;

    for (int i = 0; i < n; i++) {
        char path[4096];

        (void)snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
        ran += run_file(path);
        free(entries[i]);
    }
    free(entries);
    return ran;
}

int main(int argc, char **argv)
{
    size_t ran = 0;

    printf("1..1\n");
    for (int i = 1; i < argc; i++)
        ran += run_file(argv[i]) ? 1 : run_folder(argv[i]);
    printf("%sok 1 - %zu inputs\n", ran > 0 ? "" : "not ", ran);
    return ran > 0 ? 0 : 1;
}
