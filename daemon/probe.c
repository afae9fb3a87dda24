/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which checks there are, and when each is asked.
 *
 * One timer serves all. Each check begins at a moment of chance and its intervals vary a little, so
 * that hundreds of them spread over the time.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "common.h"
#include "probe-internal.h"

#define TIMER_ACCURACY_USEC 5000
/* The first probes leave within this time, or one interval if that is less. */
#define SPREAD_USEC 2000000ULL
/* An interval is longer or shorter by up to this part of it. */
#define JITTER_PART 20

NSH_DEFINE_CLEANUP(struct nsh_prober *, nsh_prober_free)

/* ---- times ---- */

static uint64_t chance(uint64_t below)
{
    uint64_t number;

    nsh_random(&number, sizeof number);
    return below > 0 ? number % below : 0;
}

static uint64_t soon(const struct probe *p, uint64_t now)
{
    uint64_t interval = p->gate.check.interval_usec;

    return now + chance(interval < SPREAD_USEC ? interval : SPREAD_USEC);
}

static uint64_t after_interval(const struct probe *p, uint64_t from)
{
    uint64_t interval = p->gate.check.interval_usec, jitter = interval / JITTER_PART;

    return from + interval - jitter + chance(2 * jitter);
}

static uint64_t next_of(const struct probe *p)
{
    return probe_is_under_way(p) ? p->deadline : p->due;
}

void probe_arm(struct nsh_prober *p)
{
    uint64_t next = UINT64_MAX;

    for (size_t i = 0; p->going && i < p->n; i++)
        if (next_of(p->probes[i]) < next)
            next = next_of(p->probes[i]);
    if (next != UINT64_MAX)
        sd_event_source_set_time(p->timer, next);
    sd_event_source_set_enabled(p->timer, next != UINT64_MAX ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

static void look_at(struct probe *p, uint64_t now)
{
    if (probe_is_under_way(p)) {
        if (p->deadline > now)
            return;
        probe_give_up(p);
    }
    if (p->due > now)
        return;
    /* The machine slept, or this process did: not all of them at once now. */
    if (now - p->due > p->gate.check.interval_usec) {
        p->due = soon(p, now);
        return;
    }
    p->due = after_interval(p, p->due);
    if (p->due <= now)
        p->due = after_interval(p, now);
    probe_ask(p, now);
}

static int on_timer(sd_event_source *s, uint64_t at, void *userdata)
{
    struct nsh_prober *p = userdata;
    uint64_t now = nsh_clock(NULL);

    (void)s;
    (void)at;
    /* What is there already was in time, as far as is known. */
    probe_read_pings(p);
    for (size_t i = 0; i < p->n; i++)
        look_at(p->probes[i], now);
    probe_arm(p);
    return 0;
}

/* ---- which ones ---- */

static void free_probe(struct probe *p)
{
    if (!p)
        return;
    probe_drop(p);
    free(p);
}

static void free_probes(struct nsh_prober *p)
{
    for (size_t i = 0; i < p->n; i++)
        free_probe(p->probes[i]);
    free(NSH_TAKE_PTR(p->probes));
    p->n = 0;
}

int nsh_prober_new(sd_event *event, struct nsh_fib *fib, const struct nsh_prober_hooks *hooks,
        struct nsh_prober **ret)
{
    NSH_CLEANUP(nsh_prober_freep) struct nsh_prober *p = calloc(1, sizeof *p);
    int q;

    if (!p)
        return -ENOMEM;
    p->event = sd_event_ref(event);
    p->fib = fib;
    p->hooks = *hooks;
    for (int f = 0; f < NSH_FAMILIES; f++)
        p->pings[f].fd = -1;
    q = sd_event_add_time(event, &p->timer, CLOCK_BOOTTIME, 0, TIMER_ACCURACY_USEC, on_timer, p);
    if (q >= 0)
        q = sd_event_source_set_enabled(p->timer, SD_EVENT_OFF);
    if (q < 0)
        return q;
    *ret = NSH_TAKE_PTR(p);
    return 0;
}

void nsh_prober_free(struct nsh_prober *p)
{
    if (!p)
        return;
    free_probes(p);
    probe_open_pings(p);
    sd_event_source_unref(p->timer);
    sd_event_unref(p->event);
    free(p);
}

/* The one before of which `gate` goes on; taken from the list if it is the very same. */
static struct probe *take_earlier(struct nsh_prober *p, const struct nsh_gate *gate)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->probes[i] && nsh_gate_equal(&p->probes[i]->gate, gate))
            return NSH_TAKE_PTR(p->probes[i]);
    return NULL;
}

/* Since when it fails is known if the same was asked before, however often. */
static uint64_t since_when(const struct nsh_prober *p, const struct nsh_gate *gate, uint64_t now)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->probes[i] && !p->probes[i]->state.works && nsh_gate_alike(&p->probes[i]->gate, gate))
            return p->probes[i]->state.since;
    return now;
}

static struct probe *make_probe(
        struct nsh_prober *p, const struct nsh_gate *gate, bool works, uint64_t now)
{
    struct probe *probe = take_earlier(p, gate);

    if (!probe) {
        probe = calloc(1, sizeof *probe);
        if (!probe)
            return NULL;
        probe->prober = p;
        probe->fd = -1;
        probe->gate = *gate;
        probe->state.works = works;
        probe->state.since = since_when(p, gate, now);
        probe->due = soon(probe, now);
    }
    /* What is under way may be on another way by now. */
    probe_drop(probe);
    probe->gate = *gate;
    return probe;
}

int nsh_prober_set(struct nsh_prober *p, const struct nsh_desired *desired)
{
    struct probe **probes = calloc(desired->n_gates + 1, sizeof(struct probe *));
    uint64_t now = nsh_clock(NULL);
    size_t n = 0;
    int q = probes ? 0 : -ENOMEM;

    p->going = false;
    for (size_t i = 1; q == 0 && i < desired->n_gates; i++) {
        if (desired->gates[i].kind != NSH_GATE_CHECK)
            continue;
        probes[n] = make_probe(p, &desired->gates[i], desired->gate_states[i].open, now);
        if (!probes[n])
            q = -ENOMEM;
        else
            probes[n++]->id = (nsh_gate_id)i;
    }
    free_probes(p);
    p->links = desired->links;
    p->n_links = desired->n_links;
    p->probes = probes;
    p->n = n;
    if (q < 0)
        free_probes(p);
    probe_open_pings(p);
    probe_arm(p);
    return q;
}

void nsh_prober_go(struct nsh_prober *p)
{
    uint64_t now = nsh_clock(NULL);

    if (p->going)
        return;
    p->going = true;
    for (size_t i = 0; i < p->n; i++)
        if (p->probes[i]->due < now)
            p->probes[i]->due = soon(p->probes[i], now);
    probe_arm(p);
}
