/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A trial in the state directory. What is tried is stored before the line that says so, and renamed
 * before that line goes: after a crash in between there is a trial without an archive, which is
 * none.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "state-internal.h"

#define TRIAL "trial"
#define TRIAL_MAX 128

int nsh_state_trial_load(struct nsh_state *s, struct nsh_trial *ret)
{
    nsh_autofree char *text = NULL;
    char word[16], archive[16];
    struct nsh_trial t = {0};
    int length = 0, e = nsh_state_read(s, TRIAL, TRIAL_MAX, &text);

    if (e < 0)
        return e;
    if (!text ||
            sscanf(text, "%15s %" SCNu64 " %" SCNu64 " %15s\n%n", word, &t.until, &t.timeout,
                    archive, &length) != 4 ||
            length == 0 || text[length - 1] != '\n' || text[length] != '\0')
        return -EBADMSG;
    t.reverted = strcmp(word, "reverted") == 0;
    if (!t.reverted && strcmp(word, "running") != 0)
        return -EBADMSG;
    t.archive = strcmp(archive, nsh_state_archives[NSH_ARCHIVE_TRIED_A]) == 0 ? NSH_ARCHIVE_TRIED_A
                                                                              : NSH_ARCHIVE_TRIED_B;
    if (strcmp(archive, nsh_state_archives[t.archive]) != 0)
        return -EBADMSG;
    if (faccessat(s->dir, archive, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    *ret = t;
    return 0;
}

int nsh_state_trial_save(struct nsh_state *s, const struct nsh_trial *t)
{
    char text[TRIAL_MAX];
    int n = snprintf(text, sizeof(text), "%s %" PRIu64 " %" PRIu64 " %s\n",
            t->reverted ? "reverted" : "running", t->until, t->timeout,
            nsh_state_archives[t->archive]);

    return nsh_state_replace(s, TRIAL, text, (size_t)n);
}

static int take_away(struct nsh_state *s, const char *name)
{
    return unlinkat(s->dir, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

/* The renaming decides: what follows can be made up for at the next start. */
int nsh_state_trial_confirm(struct nsh_state *s, const struct nsh_trial *trial)
{
    if (renameat(s->dir, nsh_state_archives[trial->archive], s->dir, NSH_STATE_ACCEPTED_NAME) < 0)
        return -errno;
    (void)fsync(s->dir);
    (void)nsh_state_trial_forget(s);
    return 0;
}

int nsh_state_trial_forget(struct nsh_state *s)
{
    int e = take_away(s, TRIAL);

    for (int i = NSH_ARCHIVE_TRIED_A; e == 0 && i <= NSH_ARCHIVE_TRIED_B; i++)
        e = take_away(s, nsh_state_archives[i]);
    return e == 0 && fsync(s->dir) < 0 ? -errno : e;
}
