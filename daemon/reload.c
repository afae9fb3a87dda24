/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "reload.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "common.h"
#include "default-routes.h"

/* Of what a client sends to be tried: some files of the largest size. */
#define ARCHIVE_MAX (2 * NSH_CONFIG_FILE_MAX)

struct nsh_loader {
    const char *path;
    struct nsh_state *state;
    nsh_loaded_ready *ready;
    void *userdata;
    sd_event_source *source;
    int wake_fd;
    pthread_t thread;
    bool running;
    struct nsh_load_request request; /* the thread's, as is this, */
    struct nsh_loaded result;        /* until it has written to wake_fd */
};

void nsh_loaded_done(struct nsh_loaded *l)
{
    nsh_desired_free(l->desired);
    nsh_diags_free(l->diags);
    *l = (struct nsh_loaded){0};
}

static int to_desired(struct nsh_config *config, struct nsh_loaded *l)
{
    int q = nsh_desired_new(config, &l->desired);

    if (q < 0)
        nsh_config_free(config);
    return q;
}

static void load_source(const struct nsh_config_source *source, struct nsh_loaded *ret)
{
    struct nsh_config *config = NULL;

    *ret = (struct nsh_loaded){.error = -ENOMEM};
    ret->diags = nsh_diags_new();
    if (!ret->diags)
        return;
    ret->error = nsh_config_load(source, ret->diags, &config);
    if (ret->error == 0)
        ret->error = to_desired(config, ret);
}

void nsh_load_into(
        const char *path, enum nsh_config_trust trust, int archive, struct nsh_loaded *ret)
{
    struct nsh_config_source source = {.path = path, .trust = trust, .archive_fd = archive};

    load_source(&source, ret);
}

void nsh_load_text(const char *path, int fd, enum nsh_config_trust trust, struct nsh_loaded *ret)
{
    struct nsh_config_source source = {
            .path = path, .trust = trust, .archive_fd = -1, .is_open = true, .fd = fd};

    load_source(&source, ret);
}

/* ---- in the state directory ---- */

static void load_from(int fd, struct nsh_loaded *ret);

/* There has to be something to go back to, and not only a file of that name. */
static int check_accepted(struct nsh_state *state)
{
    NSH_CLEANUP(nsh_loaded_done) struct nsh_loaded accepted = {.error = -ENOENT};

    nsh_load_archive(state, NSH_ARCHIVE_ACCEPTED, &accepted);
    return accepted.error;
}

/* The line in the state directory decides; until then another trial has all that it had. */
static int begin_trial(
        struct nsh_state *state, int archive, uint64_t timeout, struct nsh_trial *ret)
{
    struct nsh_trial before, trial = {.until = nsh_realtime() + timeout,
                                     .timeout = timeout,
                                     .archive = NSH_ARCHIVE_TRIED_A};

    if (!state)
        return -ENOENT;
    if (nsh_state_trial_load(state, &before) == 0 && before.archive == trial.archive)
        trial.archive = NSH_ARCHIVE_TRIED_B;
    int e = check_accepted(state);
    if (e == 0)
        e = nsh_state_archive_store(state, trial.archive, archive);
    if (e == 0)
        e = nsh_state_trial_save(state, &trial);
    if (e == 0)
        *ret = trial;
    return e;
}

/* A good file that is not on trial ends any other trial, also where it can't be stored. */
static int accept_file(struct nsh_state *state, int archive)
{
    int e = nsh_state_archive_store(state, NSH_ARCHIVE_ACCEPTED, archive);

    (void)nsh_state_trial_forget(state);
    return e;
}

/* It is the very one that is on trial: read once more, it has not been confirmed by that. */
static bool is_on_trial(struct nsh_state *state, int archive, struct nsh_trial *ret)
{
    struct nsh_trial trial;

    if (nsh_state_trial_load(state, &trial) < 0 || trial.reverted ||
            !nsh_state_archive_same(state, trial.archive, archive))
        return false;
    *ret = trial;
    return true;
}

static uint64_t longer(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* `error`: why there is no archive; 0: there is. */
static void store(struct nsh_state *state, int archive, int error,
        const struct nsh_load_request *request, struct nsh_loaded *l)
{
    uint64_t timeout =
            l->desired ? longer(request->trial, l->desired->config->settings.confirm_reload_usec)
                       : 0;

    if (timeout == 0 && error == 0 && is_on_trial(state, archive, &l->trial))
        return;
    if (timeout == 0) {
        l->store_error = error < 0 ? error : state ? accept_file(state, archive) : 0;
        if (error < 0 && state)
            (void)nsh_state_trial_forget(state);
        return;
    }
    l->error = error < 0 ? error : begin_trial(state, archive, timeout, &l->trial);
    if (l->error < 0)
        nsh_diag_add(l->diags, NSH_DIAG_ERROR, NULL, 0, 0, NULL,
                "it has to be confirmed, but can't be tried: %s",
                l->error == -ENOENT ? "no configuration was ever accepted to go back to"
                                    : strerror(-l->error));
}

static bool is_rejected(struct nsh_state *state, int archive)
{
    struct nsh_trial trial;

    return nsh_state_trial_load(state, &trial) == 0 && trial.reverted &&
           nsh_state_archive_same(state, trial.archive, archive);
}

/*
 * A file counts even where it can't be stored; only a later start with a bad one suffers. A full
 * disk shows while it is read, as an error that is not of the file: then it is read once more.
 * `request` NULL: it is a start, which needs no confirmation, but takes nothing that lacked one.
 */
static void load_file(const char *path, enum nsh_config_trust trust, struct nsh_state *state,
        const struct nsh_load_request *request, struct nsh_loaded *ret)
{
    nsh_autoclose int archive = state ? nsh_state_archive_begin(state) : -1;
    int store_error = state && archive < 0 ? archive : 0;

    nsh_load_into(path, trust, archive >= 0 ? archive : -1, ret);
    if (archive >= 0 && ret->error < 0 && ret->error != -EINVAL) {
        store_error = ret->error;
        nsh_loaded_done(ret);
        nsh_load_into(path, trust, -1, ret);
    }
    if (ret->error < 0)
        return;
    if (request) {
        store(state, archive, store_error, request, ret);
    } else if (archive < 0 || store_error < 0) {
        ret->store_error = store_error;
    } else if (is_rejected(state, archive)) {
        ret->error = -EKEYREJECTED;
        nsh_diag_add(ret->diags, NSH_DIAG_ERROR, path, 0, 0,
                "a reload by the daemon takes it all the same",
                "this is what was tried last, and it was not confirmed");
    } else {
        ret->store_error = accept_file(state, archive);
    }
}

void nsh_load_now(const char *path, enum nsh_config_trust trust, struct nsh_state *state,
        struct nsh_loaded *ret)
{
    load_file(path, trust, state, NULL, ret);
}

/* From `fd`, which is read from its start. */
static void load_from(int fd, struct nsh_loaded *ret)
{
    struct nsh_config *config = NULL;

    *ret = (struct nsh_loaded){.diags = nsh_diags_new()};
    ret->error = ret->diags ? nsh_config_load_archive(fd, ret->diags, &config) : -ENOMEM;
    if (ret->error == 0)
        ret->error = to_desired(config, ret);
}

void nsh_load_archive(struct nsh_state *state, enum nsh_archive_name name, struct nsh_loaded *ret)
{
    nsh_autoclose int fd = -1;

    *ret = (struct nsh_loaded){.error = -ENOENT};
    if (!state)
        return;
    fd = nsh_state_archive_open(state, name);
    if (fd < 0)
        ret->error = fd;
    else
        load_from(fd, ret);
}

/* ---- a trial ---- */

/* A device has no end, and a pipe may never come to it. */
static int check_regular(int fd)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return -errno;
    return S_ISREG(st.st_mode) ? 0 : -EINVAL;
}

/* The client's file may change under our hands: a copy is judged, and no larger one than may be. */
static int copy_archive(int from, int to)
{
    char buf[65536];
    uint64_t total = 0;

    for (;;) {
        ssize_t n = pread(from, buf, sizeof(buf), (off_t)total);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : 0;
        total += (uint64_t)n;
        if (total > ARCHIVE_MAX)
            return -EFBIG;
        for (ssize_t done = 0; done < n;) {
            ssize_t put = write(to, buf + done, (size_t)(n - done));

            if (put < 0 && errno != EINTR)
                return -errno;
            done += put > 0 ? put : 0;
        }
    }
}

static void load_tried(
        struct nsh_state *state, const struct nsh_load_request *request, struct nsh_loaded *ret)
{
    nsh_autoclose int archive = state ? nsh_state_archive_begin(state) : -ENOENT;
    int e = archive < 0 ? archive : check_regular(request->fd);

    if (e == 0)
        e = copy_archive(request->fd, archive);
    *ret = (struct nsh_loaded){.error = e};
    if (e == -EINVAL)
        ret->diags = nsh_diags_new();
    if (ret->diags)
        nsh_diag_add(ret->diags, NSH_DIAG_ERROR, NULL, 0, 0, NULL,
                "what is to be tried is no regular file");
    if (e < 0)
        return;
    load_from(archive, ret);
    if (ret->error == 0)
        store(state, archive, 0, request, ret);
}

/* What ran on trial is over before the accepted one runs, whatever happens in between. */
static void load_accepted(struct nsh_state *state, struct nsh_loaded *ret)
{
    struct nsh_trial trial;

    nsh_load_archive(state, NSH_ARCHIVE_ACCEPTED, ret);
    if (ret->error < 0 || nsh_state_trial_load(state, &trial) < 0)
        return;
    trial.reverted = true;
    ret->store_error = nsh_state_trial_save(state, &trial);
}

/* ---- the thread ---- */

static void *load_thread(void *userdata)
{
    struct nsh_loader *l = userdata;
    uint64_t one = 1;

    switch (l->request.what) {
    case NSH_LOAD_FILE:
        load_file(l->path, l->request.trust, l->state, &l->request, &l->result);
        break;
    case NSH_LOAD_TRIED:
        load_tried(l->state, &l->request, &l->result);
        break;
    case NSH_LOAD_ACCEPTED:
        load_accepted(l->state, &l->result);
        break;
    }
    if (l->result.error == 0)
        nsh_advise_default_routes(
                l->result.desired, l->request.has_default, l->request.protocol, l->result.diags);
    nsh_closep(&l->request.fd);
    l->request.fd = -1;
    /* An eventfd write of 1 can't fail while nobody else counts on it. */
    while (write(l->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
    return NULL;
}

static int on_wake(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
    struct nsh_loader *l = userdata;
    struct nsh_loaded result;
    uint64_t count;

    (void)s;
    (void)revents;
    if (read(fd, &count, sizeof count) < 0 || !l->running)
        return 0;
    pthread_join(l->thread, NULL);
    l->running = false;
    result = l->result;
    result.what = l->request.what;
    l->result = (struct nsh_loaded){0};
    l->ready(l->userdata, &result);
    return 0;
}

int nsh_loader_new(sd_event *event, const char *path, struct nsh_state *state,
        nsh_loaded_ready *ready, void *userdata, struct nsh_loader **ret)
{
    struct nsh_loader *l = calloc(1, sizeof *l);
    int q;

    if (!l)
        return -ENOMEM;
    *l = (struct nsh_loader){
            .path = path,
            .state = state,
            .ready = ready,
            .userdata = userdata,
            .wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
    };
    q = l->wake_fd < 0 ? -errno
                       : sd_event_add_io(event, &l->source, l->wake_fd, EPOLLIN, on_wake, l);
    if (q < 0) {
        nsh_loader_free(l);
        return q;
    }
    *ret = l;
    return 0;
}

void nsh_loader_free(struct nsh_loader *l)
{
    if (!l)
        return;
    if (l->running)
        pthread_join(l->thread, NULL);
    sd_event_source_unref(l->source);
    nsh_loaded_done(&l->result);
    if (l->wake_fd >= 0)
        close(l->wake_fd);
    free(l);
}

bool nsh_loader_busy(const struct nsh_loader *l)
{
    return l && l->running;
}

int nsh_loader_start(struct nsh_loader *l, const struct nsh_load_request *request)
{
    nsh_autoclose int fd = request->fd;
    int q;

    if (l->running)
        return -EBUSY;
    l->request = *request;
    q = pthread_create(&l->thread, NULL, load_thread, l);
    if (q != 0)
        return -q;
    (void)NSH_TAKE_FD(fd);
    l->running = true;
    return 0;
}
