/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "judge.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

#define DUMP_TRIES 3

/* What was seen of a condition's address and device. */
struct evidence {
    bool address, address_usable;
    bool link, link_up, link_carrier;
};

struct look {
    const struct nsh_desired *d;
    struct evidence *evidence; /* one for each gate */
};

/* The condition, or NULL for other gates. */
static const struct nsh_when *when_at(const struct nsh_desired *d, size_t i)
{
    return i != NSH_NO_GATE && d->gates[i].kind == NSH_GATE_WHEN ? &d->gates[i].when : NULL;
}

static void see_address(void *userdata, const struct nsh_fib_address *a)
{
    const struct look *look = userdata;

    for (size_t i = 0; i < look->d->n_gates; i++) {
        const struct nsh_when *w = when_at(look->d, i);

        if (!w || !w->has_address || w->family != a->family ||
                nsh_addr_cmp(&w->address, &a->address) != 0)
            continue;
        look->evidence[i].address = true;
        /* A link-local one may be on several devices. */
        look->evidence[i].address_usable |= a->usable;
    }
}

static void see_link(void *userdata, const struct nsh_fib_link *l)
{
    const struct look *look = userdata;

    for (size_t i = 0; i < look->d->n_gates; i++) {
        const struct nsh_when *w = when_at(look->d, i);

        if (!w || w->dev_up[0] == '\0' || strcmp(w->dev_up, l->name) != 0)
            continue;
        look->evidence[i].link = true;
        look->evidence[i].link_up = l->up;
        look->evidence[i].link_carrier = l->carrier;
    }
}

static bool needs(const struct nsh_desired *d, bool addresses)
{
    for (size_t i = 0; i < d->n_gates; i++) {
        const struct nsh_when *w = when_at(d, i);

        if (w && (addresses ? w->has_address : w->dev_up[0] != '\0'))
            return true;
    }
    return false;
}

static int look_at(struct nsh_fib *fib, struct look *look)
{
    int q = 0;

    memset(look->evidence, 0, look->d->n_gates * sizeof(*look->evidence));
    if (needs(look->d, true))
        q = fib->ops->addresses(fib, see_address, look);
    if (q == 0 && needs(look->d, false))
        q = fib->ops->links(fib, see_link, look);
    return q;
}

static bool address_holds(
        const struct nsh_when *w, const struct evidence *e, char *why, size_t size)
{
    char text[NSH_ADDR_TEXT];

    if (!w->has_address || e->address_usable)
        return true;
    snprintf(why, size, "%s is %s", nsh_addr_format(w->family, &w->address, text),
            e->address ? "not confirmed by duplicate address detection"
                       : "not an address of this machine");
    return false;
}

static bool device_holds(const struct nsh_when *w, const struct evidence *e, char *why, size_t size)
{
    if (w->dev_up[0] == '\0' || (e->link_up && e->link_carrier))
        return true;
    if (!e->link)
        snprintf(why, size, "interface %s does not exist", w->dev_up);
    else
        snprintf(why, size, "%s %s", w->dev_up, e->link_up ? "has no carrier" : "is down");
    return false;
}

int nsh_desired_judge(
        struct nsh_fib *fib, const struct nsh_desired *d, nsh_judged *judged, void *userdata)
{
    nsh_autofree struct evidence *evidence = calloc(d->n_gates + 1, sizeof(*evidence));
    struct look look = {.d = d, .evidence = evidence};
    int q = -EAGAIN;

    if (!evidence)
        return -ENOMEM;
    for (int i = 0; i < DUMP_TRIES && q == -EAGAIN; i++)
        q = look_at(fib, &look);
    /* Changed under each look: what changes brings an event, and is looked at again. */
    if (q < 0 && q != -EAGAIN)
        return q;
    for (size_t i = 0; i < d->n_gates; i++) {
        const struct nsh_when *w = when_at(d, i);
        char why[NSH_JUDGED_TEXT] = "";

        if (w)
            judged(userdata, (nsh_gate_id)i,
                    address_holds(w, &evidence[i], why, sizeof why) &&
                            device_holds(w, &evidence[i], why, sizeof why),
                    why);
    }
    return 0;
}

/* A link may be meant by an alternative name, which the event does not tell: any may be it. */
static bool concerns(const struct nsh_when *w, const struct nsh_fib_event *e)
{
    if (e->type == NSH_FIB_ADDRESS)
        return w->has_address && w->family == e->family &&
               nsh_addr_cmp(&w->address, &e->address) == 0;
    return e->type == NSH_FIB_LINK && w->dev_up[0] != '\0';
}

bool nsh_desired_judges(const struct nsh_desired *d, const struct nsh_fib_event *event)
{
    for (size_t i = 0; i < d->n_gates; i++) {
        const struct nsh_when *w = when_at(d, i);

        if (w && concerns(w, event))
            return true;
    }
    return false;
}
