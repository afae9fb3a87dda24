/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

int nsh_complain(const char *format, ...)
{
    va_list args;

    fputs("netshared: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return NSH_EXIT_FAILED;
}

uint64_t nsh_clock(void *userdata)
{
    struct timespec t;

    (void)userdata;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

int nsh_writer_state(const struct nsh_options *o, struct nsh_state **ret)
{
    int q = nsh_state_open(o->state_directory, ret);

    if (q == -EBUSY)
        return nsh_complain("another netshared uses the state directory %s; each network namespace "
                            "needs its own: --state-directory",
                o->state_directory);
    if (q < 0)
        return nsh_complain(
                "cannot use the state directory %s: %s", o->state_directory, strerror(-q));
    return NSH_EXIT_OK;
}
