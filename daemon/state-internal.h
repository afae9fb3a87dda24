/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of the state directory share: state.c (files, archives, sysctls, the protocol) and
 * state-trial.c.
 */
#pragma once

#include <stdatomic.h>

#include "state.h"

#define NSH_STATE_ACCEPTED_NAME "accepted"

struct nsh_state {
    int dir;
    atomic_uint counter;
};

/* Their names. */
extern const char *const nsh_state_archives[];

/* The file's content, written aside, synced and renamed. */
int nsh_state_replace(struct nsh_state *s, const char *name, const char *data, size_t size);
/* The whole file, terminated; -EBADMSG when it is larger than `limit` or holds a NUL. */
int nsh_state_read(struct nsh_state *s, const char *name, size_t limit, char **ret);
