/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "aside.h"

#include <errno.h>
#include <time.h>

#define PATIENCE_NSEC 4000000L
#define SECOND_NSEC 1000000000L

static void *run(void *userdata)
{
    struct nsh_aside *a = userdata;
    int result = a->work(a->userdata);

    pthread_mutex_lock(&a->mutex);
    a->result = result;
    a->over = true;
    pthread_cond_signal(&a->changed);
    pthread_mutex_unlock(&a->mutex);
    return NULL;
}

void nsh_aside_start(struct nsh_aside *a, int (*work)(void *userdata), void *userdata)
{
    pthread_condattr_t attr;

    *a = (struct nsh_aside){.work = work, .userdata = userdata};
    pthread_mutex_init(&a->mutex, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&a->changed, &attr);
    pthread_condattr_destroy(&attr);
    a->running = pthread_create(&a->thread, NULL, run, a) == 0;
    if (!a->running)
        a->result = work(userdata);
}

int nsh_aside_finish(struct nsh_aside *a)
{
    if (a->running) {
        pthread_join(a->thread, NULL);
        a->running = false;
    }
    pthread_cond_destroy(&a->changed);
    pthread_mutex_destroy(&a->mutex);
    return a->result;
}

int nsh_aside_wait(struct nsh_aside *a)
{
    struct timespec until;
    bool over;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += PATIENCE_NSEC;
    if (until.tv_nsec >= SECOND_NSEC) {
        until.tv_nsec -= SECOND_NSEC;
        until.tv_sec++;
    }
    pthread_mutex_lock(&a->mutex);
    while (a->running && !a->over && pthread_cond_timedwait(&a->changed, &a->mutex, &until) == 0)
        ;
    over = !a->running || a->over;
    pthread_mutex_unlock(&a->mutex);
    return over ? nsh_aside_finish(a) : -EINPROGRESS;
}
