/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "reload.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cleanup.h"

struct nsh_loader {
    const char *path;
    struct nsh_state *state;
    nsh_loaded_ready *ready;
    void *userdata;
    sd_event_source *source;
    int wake_fd;
    pthread_t thread;
    bool running;
    struct nsh_loaded result; /* the thread's until it has written to wake_fd */
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

/* One try; `archive` -1: what is read is not kept. */
static void load_once(
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

/*
 * A file counts even where it can't be stored; only a later start with a bad one suffers. A full
 * disk shows while it is read, as an error that is not of the file: then it is read once more.
 */
void nsh_load_now(const char *path, enum nsh_config_trust trust, struct nsh_state *state,
        struct nsh_loaded *ret)
{
    nsh_autoclose int archive = state ? nsh_state_archive_begin(state) : -1;
    int store_error = state && archive < 0 ? archive : 0;

    load_once(path, trust, archive >= 0 ? archive : -1, ret);
    if (archive >= 0 && ret->error < 0 && ret->error != -EINVAL) {
        store_error = ret->error;
        nsh_loaded_done(ret);
        load_once(path, trust, -1, ret);
    } else if (archive >= 0 && ret->error == 0) {
        store_error = nsh_state_archive_accept(state, archive);
    }
    ret->store_error = ret->error == 0 ? store_error : 0;
}

void nsh_load_accepted(struct nsh_state *state, struct nsh_loaded *ret)
{
    nsh_autoclose int fd = -1;
    struct nsh_config *config = NULL;

    *ret = (struct nsh_loaded){.error = -ENOENT};
    if (!state)
        return;
    fd = nsh_state_archive_open(state);
    if (fd < 0) {
        ret->error = fd;
        return;
    }
    ret->diags = nsh_diags_new();
    ret->error = ret->diags ? nsh_config_load_archive(fd, ret->diags, &config) : -ENOMEM;
    if (ret->error == 0)
        ret->error = to_desired(config, ret);
}

static void *load_thread(void *userdata)
{
    struct nsh_loader *l = userdata;
    uint64_t one = 1;

    nsh_load_now(l->path, NSH_TRUST_REQUIRED, l->state, &l->result);
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

int nsh_loader_start(struct nsh_loader *l)
{
    int q;

    if (l->running)
        return -EBUSY;
    q = pthread_create(&l->thread, NULL, load_thread, l);
    if (q != 0)
        return -q;
    l->running = true;
    return 0;
}
