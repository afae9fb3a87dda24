/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One piece of work in a thread of its own, for what the kernel takes long over in a single call.
 * Whoever wants it comes again until it is over, and waits a few milliseconds each time.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>

struct nsh_aside {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int (*work)(void *userdata);
    void *userdata;
    int result;
    bool running, over;
};

/*
 * What `work` uses is its own until the end. Where no thread can be had it is done here. Only one
 * at a time.
 */
void nsh_aside_start(struct nsh_aside *a, int (*work)(void *userdata), void *userdata);
/* What `work` returned; -EINPROGRESS: it is not over yet. */
int nsh_aside_wait(struct nsh_aside *a);
/* The same, however long it takes. */
int nsh_aside_finish(struct nsh_aside *a);
