/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The events of a contract on a fake kernel: a queue that passes the same filter as the real socket
 * and overruns at a limit.
 */
#include "fib-fake-handle.h"

#include <errno.h>
#include <linux/netlink.h>
#include <sys/eventfd.h>

/* What the real socket's filter lets through. */
static bool passes(const struct fake_handle *h, const struct nsh_fib_event *e)
{
    if (e->type == NSH_FIB_RULE)
        return e->rule.protocol == h->protocol;
    if (e->type != NSH_FIB_ROUTE_NEW && e->type != NSH_FIB_ROUTE_GONE)
        return true;
    if (e->route.protocol == h->protocol)
        return true;
    if (h->foreign == NSH_FIB_FOREIGN_ALL ||
            (h->foreign == NSH_FIB_FOREIGN_DEFAULTS && e->route.dst_length == 0))
        return true;
    if (e->type == NSH_FIB_ROUTE_GONE)
        return e->route.family == AF_INET6 && e->route.props->n_nexthops > 1;
    return !(e->route_flags & NLM_F_EXCL);
}

static void wake(struct fake_handle *h)
{
    eventfd_write(h->fd, 1);
}

static void enqueue(struct fake_handle *h, const struct nsh_fib_event *event)
{
    struct queued *grown;
    struct nsh_route_props *props = NULL;

    wake(h);
    if (event->route.props)
        props = fake_props_copy(event->route.props);
    grown = h->n_queue < h->k->queue_limit ? realloc(h->queue, (h->n_queue + 1) * sizeof(*h->queue))
                                           : NULL;
    if (!grown || (event->route.props && !props)) {
        free(props);
        h->overrun = true;
        return;
    }
    h->queue = grown;
    h->queue[h->n_queue] = (struct queued){.event = *event, .props = props};
    h->queue[h->n_queue++].event.route.props = props;
    h->k->counts.events++;
}

void fake_emit(
        struct nsh_fib_fake *k, const struct fake_author *author, const struct nsh_fib_event *event)
{
    struct nsh_fib_event told = *event;

    told.sender = author->handle ? author->handle->port : author->port;
    for (struct fake_handle *h = k->handles; h; h = h->next)
        if (h->fd >= 0 && h != author->handle && passes(h, &told))
            enqueue(h, &told);
}

void fake_emit_route(struct nsh_fib_fake *k, const struct fake_author *author,
        enum nsh_fib_event_type type, const struct nsh_route *route, uint16_t flags)
{
    struct nsh_fib_event event = {
            .type = type, .route = *route, .route_flags = flags, .family = route->family};

    fake_emit(k, author, &event);
}

void fake_events_clear(struct fake_handle *h)
{
    for (size_t i = 0; i < h->n_queue; i++)
        free(h->queue[i].props);
    free(h->queue);
    h->queue = NULL;
    h->n_queue = 0;
}

int fake_events_open(struct nsh_fib *fib, uint8_t protocol)
{
    struct fake_handle *h = of(fib);
    int rc = fake_called(h->k, NSH_FIB_FAKE_EVENTS_OPEN);

    if (rc < 0)
        return rc;
    if (h->fd < 0)
        h->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (h->fd < 0)
        return -errno;
    h->protocol = protocol;
    return h->fd;
}

/* What is told late goes back into the queue, before what comes by the telling. */
static void tell_queue(
        struct fake_handle *h, struct fake_handle *taken, nsh_fib_event_seen *seen, void *userdata)
{
    enum nsh_fib_fake_telling telling = h->k->telling;
    size_t n = telling == NSH_FIB_FAKE_LATE ? (taken->n_queue + 1) / 2 : taken->n_queue;

    for (size_t i = n; i < taken->n_queue; i++)
        enqueue(h, &taken->queue[i].event);
    for (size_t i = 0; i < n; i++) {
        seen(userdata, &taken->queue[i].event);
        if (telling == NSH_FIB_FAKE_TWICE)
            seen(userdata, &taken->queue[i].event);
    }
}

int fake_events_read(struct nsh_fib *fib, nsh_fib_event_seen *seen, void *userdata)
{
    struct fake_handle *h = of(fib);
    struct fake_handle taken = *h;
    eventfd_t ignored;
    int rc = fake_called(h->k, NSH_FIB_FAKE_EVENTS_READ);

    if (rc < 0)
        return rc;
    if (h->fd < 0)
        return -EBADF;
    eventfd_read(h->fd, &ignored);
    h->queue = NULL;
    h->n_queue = 0;
    h->overrun = false;
    if (taken.overrun) {
        struct nsh_fib_event event = {.type = NSH_FIB_OVERRUN};

        seen(userdata, &event);
    }
    rc = (int)taken.n_queue + taken.overrun;
    tell_queue(h, &taken, seen, userdata);
    fake_events_clear(&taken);
    return rc;
}

int fake_events_foreign(struct nsh_fib *fib, enum nsh_fib_foreign foreign)
{
    int rc = fake_called(of(fib)->k, NSH_FIB_FAKE_EVENTS_FOREIGN);

    if (rc == 0)
        of(fib)->foreign = foreign;
    return rc;
}
