/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loads the configuration in a thread of its own, so that a large file does not hold up the event
 * loop, and hands over a finished one. One load runs at a time; a request that comes meanwhile
 * waits for a load begun after it.
 */
#pragma once

#include <systemd/sd-event.h>

#include "desired.h"
#include "diag.h"
#include "state.h"

struct nsh_loader;

enum nsh_load_what {
    NSH_LOAD_FILE,     /* the one on disk */
    NSH_LOAD_TRIED,    /* the archive in `fd` */
    NSH_LOAD_ACCEPTED, /* the last accepted one, in place of one that was tried */
};

/* What a load came to. The receiver owns all of it. */
struct nsh_loaded {
    enum nsh_load_what what;
    struct nsh_desired *desired; /* NULL: the file is bad */
    struct nsh_diags *diags;     /* NULL: no memory */
    int error;                   /* 0 or negative errno */
    int store_error;        /* why it is not in the state directory; 0: it is, or was not to be */
    struct nsh_trial trial; /* it is on trial, and stored as such; timeout 0: it is not */
};

struct nsh_load_request {
    enum nsh_load_what what;
    enum nsh_config_trust trust; /* of NSH_LOAD_FILE */
    int fd;                      /* the loader's to close, whatever happens */
    /* A trial of so long, microseconds; 0: none. The file itself may ask for a longer one. */
    uint64_t trial;
    /* What runs: marks its routes, and wants a default route of the family. */
    uint8_t protocol;
    bool has_default[NSH_FAMILIES];
};
void nsh_loaded_done(struct nsh_loaded *l);

/* Called on the event loop. */
typedef void nsh_loaded_ready(void *userdata, struct nsh_loaded *loaded);

/* `state` (may be NULL) and `path` outlive it. */
int nsh_loader_new(sd_event *event, const char *path, struct nsh_state *state,
        nsh_loaded_ready *ready, void *userdata, struct nsh_loader **ret);
/* Waits for a running load. */
void nsh_loader_free(struct nsh_loader *l);
/* True while a load runs: freeing it then waits for whatever the file lies on. */
bool nsh_loader_busy(const struct nsh_loader *l);
/* Begins a load; -EBUSY while one runs, -errno. */
int nsh_loader_start(struct nsh_loader *l, const struct nsh_load_request *request);
/*
 * The same in the caller's thread, for the start and for commands. With a `state` a good file
 * becomes the last accepted configuration, synced to the disk: not a thing to do on the loop.
 * -EKEYREJECTED: it is what was tried last and not confirmed.
 */
void nsh_load_now(const char *path, enum nsh_config_trust trust, struct nsh_state *state,
        struct nsh_loaded *ret);
/* The same with the bytes of `fd` in place of the main file's. */
void nsh_load_text(const char *path, int fd, enum nsh_config_trust trust, struct nsh_loaded *ret);
/* The same, and what is read is written to `archive`, from which it can be loaded again. */
void nsh_load_into(
        const char *path, enum nsh_config_trust trust, int archive, struct nsh_loaded *ret);
/* An archive of the state directory; error -ENOENT: there is none. */
void nsh_load_archive(struct nsh_state *state, enum nsh_archive_name name, struct nsh_loaded *ret);
