/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tells when files were changed: written, replaced, removed, made, or another one by a link on the
 * way to them having been turned. What is watched is directories, and there only the names that
 * matter, so that a rename into place is seen as well as a write.
 */
#pragma once

#include <stdint.h>
#include <systemd/sd-event.h>

struct nsh_file_watch;

/* `path` is one that changed, as far as it is known; valid during the call. */
typedef void nsh_files_changed(void *userdata, const char *path);

/* Called once things are quiet again. */
int nsh_file_watch_new(
        sd_event *event, nsh_files_changed *changed, void *userdata, struct nsh_file_watch **ret);
void nsh_file_watch_free(struct nsh_file_watch *w);

/*
 * Sets what is watched: between begin and end all of it is said anew. What came to be watched for
 * the first time, and was changed after `since` (CLOCK_REALTIME, microseconds), counts as changed.
 */
void nsh_file_watch_begin(struct nsh_file_watch *w);
/* A file, or a directory's own name. Relative paths begin at the working directory. */
void nsh_file_watch_add(struct nsh_file_watch *w, const char *path);
/* All names with this ending in a directory. */
void nsh_file_watch_add_names(struct nsh_file_watch *w, const char *directory, const char *ending);
/* 0, or -E2BIG, -ENOSPC (no more watches in the kernel), -errno: not all of it is watched. */
int nsh_file_watch_end(struct nsh_file_watch *w, uint64_t since);
