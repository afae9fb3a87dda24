/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One probe, and what comes of it.
 *
 * A miss is the lack of an answer in time, and at once: a refusal by somebody on the way, a
 * connection refused (the way works, but what was asked for does not), no way to send it. What is
 * the fault of this process alone (memory, descriptors, rights) is neither miss nor answer.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "common.h"
#include "probe-internal.h"
#include "probe-tcp.h"
#include "text.h"

#define REASON_TEXT 320

void probe_drop(struct probe *p)
{
    p->io = sd_event_source_unref(p->io);
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
    p->deadline = 0;
}

/* It is through: answered, or missed with `error`. */
static void settle(struct probe *p, bool answered, int error, bool sent)
{
    const struct nsh_prober_hooks *hooks = &p->prober->hooks;
    uint64_t now = nsh_clock(NULL), since = p->state.since;
    char reason[REASON_TEXT], duration[NSH_DURATION_TEXT];

    probe_drop(p);
    switch (nsh_probe_state_take(&p->state, &p->gate.check, answered, now)) {
    case NSH_PROBE_FAILS:
        hooks->turn(
                hooks->userdata, p->id, false, probe_reason(p, error, sent, reason, sizeof reason));
        break;
    case NSH_PROBE_RECOVERS:
        snprintf(reason, sizeof reason, "after %s", nsh_duration_format(now - since, duration));
        hooks->turn(hooks->userdata, p->id, true, reason);
        break;
    case NSH_PROBE_STAYS:
        break;
    }
}

static void complain(struct nsh_prober *p, int error)
{
    char text[160];

    if (p->complaint == error)
        return;
    p->complaint = error;
    snprintf(text, sizeof text, "checks can't ask: %s; what depends on them stays as it is",
            strerror(-error));
    p->hooks.warn(p->hooks.userdata, text);
}

/* ---- pings ---- */

static struct nsh_ping *ping_of(const struct probe *p)
{
    return &p->prober->pings[nsh_family_index(p->gate.check.family)];
}

static void on_answer(void *userdata, int family, const struct nsh_echo_seen *answer)
{
    struct nsh_prober *prober = userdata;

    for (size_t i = 0; i < prober->n; i++) {
        struct probe *p = prober->probes[i];

        if (!probe_is_under_way(p) || p->gate.check.kind != NSH_CHECK_PING ||
                p->gate.check.family != family || !nsh_echo_matches(&p->echo, answer))
            continue;
        settle(p, !answer->refused, answer->refused ? -EHOSTUNREACH : 0, true);
        return;
    }
}

void probe_read_pings(struct nsh_prober *p)
{
    for (int f = 0; f < NSH_FAMILIES; f++)
        nsh_ping_read(&p->pings[f], on_answer, p);
}

static int on_ping(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
    (void)s;
    (void)fd;
    (void)revents;
    probe_read_pings(userdata);
    probe_arm(userdata);
    return 0;
}

static bool needs_ping(const struct nsh_prober *p, int family)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->probes[i]->gate.check.kind == NSH_CHECK_PING &&
                p->probes[i]->gate.check.family == family)
            return true;
    return false;
}

static void close_ping(struct nsh_prober *p, int f)
{
    p->ping_io[f] = sd_event_source_unref(p->ping_io[f]);
    nsh_ping_close(&p->pings[f]);
}

void probe_open_pings(struct nsh_prober *p)
{
    for (int f = 0; f < NSH_FAMILIES; f++) {
        bool needed = needs_ping(p, nsh_family_of(f));
        int q;

        if (!needed)
            close_ping(p, f);
        if (!needed || p->pings[f].fd >= 0)
            continue;
        q = nsh_ping_open(&p->pings[f], nsh_family_of(f));
        if (q == 0)
            q = sd_event_add_io(p->event, &p->ping_io[f], p->pings[f].fd, EPOLLIN, on_ping, p);
        if (q >= 0)
            continue;
        close_ping(p, f);
        complain(p, q);
    }
}

static int send_ping(struct probe *p, uint32_t scope, bool *ret_own)
{
    const struct nsh_check *c = &p->gate.check;
    struct nsh_ping *ping = ping_of(p);

    *ret_own = ping->fd < 0;
    if (*ret_own)
        return -EBADF;
    p->echo = (struct nsh_echo){.family = c->family, .id = ping->id, .target = c->target};
    nsh_random(&p->echo.sequence, sizeof p->echo.sequence);
    nsh_random(p->echo.cookie, sizeof p->echo.cookie);
    return nsh_ping_send(ping, &p->echo, c->mark, scope);
}

/* ---- connections ---- */

static int on_tcp(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
    struct probe *p = userdata;
    int q = nsh_tcp_verdict(fd);

    (void)s;
    (void)revents;
    if (q == -EINPROGRESS)
        return 0;
    settle(p, q == 0, q, true);
    probe_arm(p->prober);
    return 0;
}

static int begin_tcp(struct probe *p, uint32_t scope, bool *ret_own)
{
    int q = nsh_tcp_begin(&p->gate.check, scope, &p->fd, ret_own);

    if (q < 0)
        return q;
    q = sd_event_add_io(p->prober->event, &p->io, p->fd, EPOLLOUT, on_tcp, p);
    *ret_own = q < 0;
    return q < 0 ? q : 0;
}

/* ---- any ---- */

/* The interface that a link-local target is meant on. */
static uint32_t scope_of(const struct probe *p)
{
    const struct nsh_check *c = &p->gate.check;

    if (!nsh_addr_is_link_local(c->family, &c->target) || c->link >= p->prober->n_links)
        return 0;
    return p->prober->links[c->link].ifindex;
}

static bool is_own_fault(int error)
{
    return error == -ENOBUFS || error == -ENOMEM || error == -EAGAIN || error == -EMFILE ||
           error == -ENFILE;
}

void probe_ask(struct probe *p, uint64_t now)
{
    const struct nsh_check *c = &p->gate.check;
    const struct nsh_prober_hooks *hooks = &p->prober->hooks;
    bool own = false;
    int q;

    if (!hooks->leads(hooks->userdata, p->id)) {
        settle(p, false, -ENOLINK, false);
        return;
    }
    p->deadline = now + c->timeout_usec;
    q = c->kind == NSH_CHECK_TCP ? begin_tcp(p, scope_of(p), &own)
                                 : send_ping(p, scope_of(p), &own);
    if (q == 0) {
        p->prober->complaint = 0;
        return;
    }
    if (!own && !is_own_fault(q)) {
        settle(p, false, q, false);
        return;
    }
    probe_drop(p);
    if (q != -EBADF) /* that was told when the socket could not be opened */
        complain(p->prober, q);
}

void probe_give_up(struct probe *p)
{
    int q = p->fd >= 0 ? nsh_tcp_verdict(p->fd) : -EINPROGRESS;

    if (q == 0)
        settle(p, true, 0, true);
    else
        settle(p, false, q == -EINPROGRESS ? 0 : q, true);
}
