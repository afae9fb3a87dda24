/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `metrics`: what the daemon counts, on stdout or into a file that node_exporter collects.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "common.h"
#include "control.h"
#include "lock.h"
#include "options.h"

#define TIMEOUT_USEC 10000000ULL

/* A collector must never see half of it: under another name first, then in place of the old. */
static int write_file(const char *path, const char *text)
{
    nsh_autofree char *next = NULL;
    FILE *to;

    if (asprintf(&next, "%s.%d.new", path, (int)getpid()) < 0)
        return -ENOMEM;
    nsh_autoclose int fd = open(next, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return -errno;
    to = fdopen(fd, "w");
    if (!to)
        return -errno;
    (void)NSH_TAKE_FD(fd);
    int e = fputs(text, to) == EOF || fflush(to) != 0 || fchmod(fileno(to), 0644) < 0 ? -errno : 0;
    if (fclose(to) != 0 && e == 0)
        e = -errno;
    if (e == 0 && rename(next, path) < 0)
        e = -errno;
    if (e < 0)
        (void)unlink(next);
    return e;
}

int nsh_command_metrics(const struct nsh_options *o)
{
    nsh_autofree char *text = NULL;
    char path[108];
    int e = nsh_control_path(o->runtime_directory, path);

    if (e == 0)
        e = nsh_control_call_ask(path, TIMEOUT_USEC,
                o->openmetrics ? NSH_CONTROL_OPENMETRICS : NSH_CONTROL_METRICS, &text);
    if (e < 0)
        return nsh_no_answer(o, e);
    if (o->output) {
        e = write_file(o->output, text);
        return e < 0 ? nsh_complain("cannot write %s: %s", o->output, strerror(-e)) : NSH_EXIT_OK;
    }
    return fputs(text, stdout) == EOF || fflush(stdout) != 0 ? NSH_EXIT_FAILED : NSH_EXIT_OK;
}
