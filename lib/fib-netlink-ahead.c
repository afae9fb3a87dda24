/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading ahead of a long dump.
 *
 * The kernel makes the next part of a dump while the one before is received, and that can take
 * long: behind the last of a million IPv4 routes it walks through all of them once more, for the
 * table `local`, which shares their trie. So a thread receives one part ahead. Whoever reads waits
 * for it a few milliseconds at the most, and has the processor to take in the part before.
 *
 * The thread begins with the first part that is asked for here and ends with the dump. Between the
 * two it alone uses the dump socket, and nothing else of the fib.
 */
#include <errno.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <stdlib.h>
#include <time.h>

#include "fib-netlink.h"

#define PATIENCE_NSEC 4000000L

static bool ends_dump(uint8_t *data, ssize_t n)
{
    struct nlmsghdr *nlh = (struct nlmsghdr *)(void *)data;
    int size = (int)n;

    for (; nlmsg_ok(nlh, size); nlh = nlmsg_next(nlh, &size))
        if (nlh->nlmsg_type == NLMSG_DONE || nlh->nlmsg_type == NLMSG_ERROR)
            return true;
    return false;
}

static void *read_ahead(void *userdata)
{
    struct nsh_fibnl_ahead *a = userdata;
    bool last = false;

    while (!last) {
        ssize_t n = nsh_fibnl_channel_receive(&a->channel, 0);

        last = n < 0 || ends_dump(a->channel.rx, n);
        pthread_mutex_lock(&a->mutex);
        a->size = n;
        a->last = last;
        a->full = true;
        pthread_cond_signal(&a->changed);
        while (a->full && !a->quit)
            pthread_cond_wait(&a->changed, &a->mutex);
        last |= a->quit;
        pthread_mutex_unlock(&a->mutex);
    }
    return NULL;
}

static int start(struct nsh_fibnl_ahead *a, const struct nsh_fibnl_channel *c)
{
    pthread_condattr_t attr;
    int r;

    *a = (struct nsh_fibnl_ahead){.channel = {.fd = c->fd, .rx_size = c->rx_size}};
    a->channel.rx = malloc(c->rx_size);
    if (!a->channel.rx)
        return -ENOMEM;
    pthread_mutex_init(&a->mutex, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&a->changed, &attr);
    pthread_condattr_destroy(&attr);
    r = pthread_create(&a->thread, NULL, read_ahead, a);
    a->running = r == 0;
    if (r != 0)
        free(NSH_TAKE_PTR(a->channel.rx));
    return -r;
}

void nsh_fibnl_ahead_stop(struct nsh_fibnl_ahead *a)
{
    if (!a->running)
        return;
    pthread_mutex_lock(&a->mutex);
    a->quit = true;
    pthread_cond_signal(&a->changed);
    pthread_mutex_unlock(&a->mutex);
    pthread_join(a->thread, NULL);
    pthread_cond_destroy(&a->changed);
    pthread_mutex_destroy(&a->mutex);
    free(a->channel.rx);
    *a = (struct nsh_fibnl_ahead){0};
}

static struct timespec patience(void)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += PATIENCE_NSEC;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_nsec -= 1000000000L;
        until.tv_sec++;
    }
    return until;
}

/* What has been received changes places with what was read. False: nothing has been yet. */
static bool take(struct nsh_fibnl_ahead *a, struct nsh_fibnl_channel *c, ssize_t *ret_size)
{
    uint8_t *read = c->rx;

    if (!a->full)
        return false;
    c->rx = a->channel.rx;
    a->channel.rx = read;
    a->full = false;
    pthread_cond_signal(&a->changed);
    *ret_size = a->size;
    return true;
}

ssize_t nsh_fibnl_ahead_receive(struct nsh_fibnl_ahead *a, struct nsh_fibnl_channel *c)
{
    const struct timespec until = patience();
    ssize_t n = -EINPROGRESS;
    bool last;

    if (!a->running && start(a, c) < 0)
        return nsh_fibnl_channel_receive(c, 0);
    pthread_mutex_lock(&a->mutex);
    while (!a->full && pthread_cond_timedwait(&a->changed, &a->mutex, &until) == 0)
        ;
    last = take(a, c, &n) && a->last;
    pthread_mutex_unlock(&a->mutex);
    if (last)
        nsh_fibnl_ahead_stop(a);
    return n;
}
