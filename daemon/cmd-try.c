/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `try`: a configuration for a while, and `confirm` and `revert`, by which it stays or goes. What
 * is tried goes to the daemon as the bytes that were read here, drop-ins and prefix files with it:
 * no path that could lead elsewhere by the time it is read.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cleanup.h"
#include "common.h"
#include "control.h"
#include "lock.h"
#include "options.h"
#include "reload.h"
#include "reply-path.h"
#include "running.h"
#include "text.h"

/* Taking it is not waited for without end: the trial's own end comes after that. */
#define TRY_TIMEOUT_USEC 120000000ULL
#define CONFIRM_TIMEOUT_USEC 60000000ULL
#define STATUS_TIMEOUT_USEC 10000000ULL

static int print_verdict(bool accepted, const char *text, const char *refused)
{
    size_t n = text ? strlen(text) : 0;

    if (n > 0)
        fprintf(stderr, "%s%s", text, text[n - 1] == '\n' ? "" : "\n");
    return accepted ? NSH_EXIT_OK : nsh_complain("%s", refused);
}

/* The archive of the file with all that it names; errors are printed. Negative: it is bad. */
static int make_archive(const char *path, const struct nsh_options *o)
{
    NSH_CLEANUP(nsh_loaded_done) struct nsh_loaded loaded = {0};
    nsh_autoclose int fd = memfd_create("netshared-try", MFD_CLOEXEC);

    if (fd < 0)
        return -errno;
    nsh_load_into(path, o->trust_files ? NSH_TRUST_WARN : NSH_TRUST_REQUIRED, fd, &loaded);
    if (!loaded.diags)
        return -ENOMEM;
    nsh_diags_print(loaded.diags, stderr);
    if (loaded.error < 0)
        return loaded.error;
    nsh_reply_paths_tell(loaded.desired, o, stderr);
    return NSH_TAKE_FD(fd);
}

/* The daemon names it to others, who are elsewhere. */
static char *absolute(const char *path)
{
    nsh_autofree char *here = path[0] == '/' ? NULL : getcwd(NULL, 0);
    char *text = NULL;

    if (!here)
        return strdup(path);
    return asprintf(&text, "%s/%s", here, path + (strncmp(path, "./", 2) == 0 ? 2 : 0)) < 0 ? NULL
                                                                                            : text;
}

/* The daemon's own file, which may be another than that of this command; NULL: it does not say. */
static char *ask_own_file(const struct nsh_options *o)
{
    json_t *status = NULL;
    const char *config;
    char *text;

    if (nsh_control_call_status(o->runtime_directory, STATUS_TIMEOUT_USEC, &status) < 0)
        return NULL;
    config = json_string_value(json_object_get(status, "config"));
    text = config ? strdup(config) : NULL;
    json_decref(status);
    return text;
}

static void tell_how_to_keep(const struct nsh_options *o, const char *path, int archive)
{
    nsh_autofree char *said = ask_own_file(o), *shown = nsh_text_line(path);
    const char *own = said ? said : o->config;
    nsh_autofree char *copy = nsh_running_copy(archive, own);
    nsh_autofree char *command = copy ? nsh_text_line(copy) : NULL;
    char duration[NSH_DURATION_TEXT];

    printf("%s is in force for %s, then the last accepted configuration comes back.\n"
           "  keep it:        netshared confirm\n"
           "  go back now:    netshared revert\n",
            shown ? shown : "it", nsh_duration_format(o->timeout, duration));
    if (command)
        printf("  and then, since a restart and a reload read %s:\n"
               "                  %s\n",
                own, command);
}

int nsh_command_try(const struct nsh_options *o)
{
    nsh_autofree char *path = absolute(o->operands[0] ? o->operands[0] : o->config);
    nsh_autofree char *text = NULL;
    bool accepted = false;
    char socket[108];
    int e = nsh_control_path(o->runtime_directory, socket);

    if (e < 0)
        return nsh_no_answer(o, e);
    if (!path)
        return nsh_complain("%s", strerror(ENOMEM));
    nsh_autoclose int archive = make_archive(path, o);
    if (archive == -EINVAL)
        return nsh_complain("nothing is tried: %s has errors", path);
    if (archive < 0)
        return nsh_complain("cannot read %s: %s", path, strerror(-archive));
    e = nsh_control_call_try(socket, TRY_TIMEOUT_USEC, archive, o->timeout, &accepted, &text);
    if (e < 0)
        return nsh_no_answer(o, e);
    int code =
            print_verdict(accepted, text, "refused; the configuration from before stays in force");
    if (code == NSH_EXIT_OK)
        tell_how_to_keep(o, path, archive);
    return code;
}

static int decide(const struct nsh_options *o, bool keep)
{
    nsh_autofree char *text = NULL;
    bool accepted = false;
    char socket[108];
    int e = nsh_control_path(o->runtime_directory, socket);

    if (e == 0)
        e = nsh_control_call_confirm(socket, CONFIRM_TIMEOUT_USEC, keep, &accepted, &text);
    if (e < 0)
        return nsh_no_answer(o, e);
    return print_verdict(accepted, text, keep ? "nothing was confirmed" : "nothing was changed");
}

int nsh_command_confirm(const struct nsh_options *o)
{
    return decide(o, true);
}

int nsh_command_revert(const struct nsh_options *o)
{
    return decide(o, false);
}
