/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "survey.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "judge.h"
#include "learn.h"
#include "resolve.h"

#define TRIES 3

NSH_DEFINE_CLEANUP(struct nsh_learner *, nsh_learner_free)

struct taking {
    struct nsh_fib *fib;
    struct nsh_desired *desired;
    struct nsh_survey *survey;
    struct nsh_learner *learner;
    uint8_t before;
    uint32_t noted[NSH_FAMILIES]; /* the last device that leads somewhere */
    bool no_memory;
};

/* Room for one more of `size` bytes; NULL: there are enough of them, or no memory is left. */
static void *grow(struct taking *t, void *items, size_t *n, size_t size)
{
    void **list = items;
    void *grown;

    if (*n == NSH_SURVEY_MAX)
        return NULL;
    grown = reallocarray(*list, *n + 1, size);
    if (!grown) {
        t->no_memory = true;
        return NULL;
    }
    *list = grown;
    return memset((char *)grown + (*n)++ * size, 0, size);
}

#define GROW(t, list) grow(t, &(t)->survey->list, &(t)->survey->n_##list, sizeof *(t)->survey->list)

/* ---- links and addresses ---- */

static void see_link(void *userdata, const struct nsh_fib_link *link)
{
    struct taking *t = userdata;
    bool alias = nsh_survey_link_at(t->survey, link->ifindex) != NULL;
    struct nsh_survey_link *l;

    /* An alternative name can be longer than any that a file may have. */
    if (strlen(link->name) >= sizeof l->name || !(l = GROW(t, links)))
        return;
    memcpy(l->name, link->name, strlen(link->name));
    l->ifindex = link->ifindex;
    l->mtu = link->mtu;
    l->alias = alias;
    l->up = link->up;
    l->noarp = link->noarp;
}

static void see_address(void *userdata, const struct nsh_fib_address *address)
{
    struct taking *t = userdata;
    struct nsh_survey_address *a = GROW(t, addresses);

    if (!a)
        return;
    a->ifindex = address->ifindex;
    a->family = address->family;
    a->address = address->address;
}

/* ---- routes ---- */

static bool is_subnet(const struct nsh_route *r)
{
    return r->protocol == RTPROT_KERNEL && r->props->type == RTN_UNICAST &&
           r->props->n_nexthops == 1 && r->props->nexthops[0].via_family == AF_UNSPEC;
}

static void note_subnet(struct taking *t, const struct nsh_route *r)
{
    struct nsh_survey_subnet *s;

    if (nsh_addr_is_link_local(r->family, &r->dst) || (r->family == AF_INET6 && r->dst_length < 16))
        return;
    s = GROW(t, subnets);
    if (!s)
        return;
    s->ifindex = r->props->nexthops[0].ifindex;
    s->prefix = (struct nsh_prefix){.family = r->family, .length = r->dst_length, .addr = r->dst};
}

/* A device leads somewhere, under all of its names. */
static void note_way(struct nsh_survey *s, uint32_t ifindex, int family, bool out)
{
    for (size_t i = 0; i < s->n_links; i++) {
        struct nsh_survey_link *l = &s->links[i];

        if (l->ifindex != ifindex)
            continue;
        l->leads[nsh_family_index(family)] = true;
        if (out)
            l->leads_out[nsh_family_index(family)] = true;
    }
}

/* Many routes in a row lead to the same device. */
static void note_ways(struct taking *t, const struct nsh_route *r)
{
    uint32_t *noted = &t->noted[nsh_family_index(r->family)];

    for (uint32_t i = 0; i < r->props->n_nexthops; i++) {
        uint32_t ifindex = r->props->nexthops[i].ifindex;

        if (ifindex == *noted && r->dst_length > 0)
            continue;
        note_way(t->survey, ifindex, r->family, r->dst_length == 0);
        *noted = ifindex;
    }
}

/* The kernel's own routes of a family: to itself and to groups. */
static bool is_way(const struct nsh_route *r)
{
    return r->props->type == RTN_UNICAST && r->table != RT_TABLE_LOCAL;
}

static bool is_ours(const struct taking *t, const struct nsh_route *r)
{
    return r->protocol == t->desired->protocol || (t->before != 0 && r->protocol == t->before);
}

static int see_route(void *userdata, const struct nsh_route *r)
{
    struct taking *t = userdata;

    nsh_default_routes_see(&t->survey->defaults, t->fib, t->desired, t->before, r);
    if (is_subnet(r))
        note_subnet(t, r);
    else if (is_way(r))
        note_ways(t, r);
    if (!is_ours(t, r) && t->learner)
        return nsh_learner_see(t->learner, r);
    return 0;
}

static bool learns(const struct nsh_desired *d)
{
    for (size_t i = 0; i < d->n_links; i++)
        if (d->links[i].learns != AF_UNSPEC)
            return true;
    return false;
}

static int take_routes(struct taking *t)
{
    NSH_CLEANUP(nsh_learner_freep) struct nsh_learner *learner = NULL;
    int q = learns(t->desired) ? nsh_learner_new(&learner) : 0;

    if (q < 0)
        return q;
    t->learner = learner;
    if (learner)
        nsh_learner_begin(learner);
    q = nsh_fib_dump(t->fib, &(struct nsh_fib_filter){0}, see_route, t);
    t->learner = NULL;
    if (q < 0 || !learner)
        return q;
    nsh_learner_end(learner);
    for (size_t i = 0; i < t->desired->n_links; i++)
        if (t->desired->links[i].learns != AF_UNSPEC)
            nsh_learner_choose(learner, &t->desired->links[i]);
    return 0;
}

/* The wanted ones lead somewhere as well, once they stand. */
static void note_wanted(struct taking *t, const struct nsh_route *r)
{
    uint32_t *noted = &t->noted[nsh_family_index(r->family)];
    const struct nsh_desired *d = t->desired;

    for (uint32_t i = 0; i < r->props->n_nexthops; i++) {
        uint32_t link = r->props->nexthops[i].link;
        uint32_t ifindex = link == NSH_NO_LINK ? 0 : d->links[link].ifindex;

        if (ifindex == 0 || (ifindex == *noted && r->dst_length > 0))
            continue;
        note_way(t->survey, ifindex, r->family, r->dst_length == 0);
        *noted = ifindex;
    }
}

static int see_rival(void *userdata, const struct nsh_route *seen)
{
    struct taking *t = userdata;
    const struct nsh_desired *d = t->desired;
    size_t wanted = is_ours(t, seen) ? SIZE_MAX : nsh_desired_find_route(d, seen);
    bool on_key = wanted != SIZE_MAX;
    struct nsh_survey_rival *rival;

    if (!on_key && !is_ours(t, seen))
        wanted = nsh_desired_find_shadowed(d, seen, nsh_desired_lower_bound(d, seen));
    if (wanted == SIZE_MAX ||
            nsh_desired_standing(d, &d->routes[wanted], NULL) != NSH_STANDING_WANTED ||
            (on_key && nsh_desired_equal(d, &d->routes[wanted], seen)))
        return 0;
    rival = GROW(t, rivals);
    if (!rival)
        return 0;
    rival->wanted = wanted;
    rival->shadows = !on_key;
    rival->protocol = seen->protocol;
    nsh_route_format_seen(t->fib, seen, rival->text, sizeof rival->text);
    return 0;
}

/* ---- all of it ---- */

static void take_judged(void *userdata, nsh_gate_id gate, bool holds, const char *why)
{
    struct nsh_desired *d = userdata;

    (void)why;
    d->gate_states[gate].open = holds;
}

/* What the configuration means on this machine now. */
static int settle(struct nsh_fib *fib, struct nsh_desired *d)
{
    bool changed;
    int q = nsh_desired_resolve_vrfs(fib, d, &changed);

    if (q == 0 && changed)
        q = nsh_desired_place(d);
    if (q == 0)
        q = nsh_desired_resolve(fib, d, &changed);
    if (q == 0)
        q = nsh_desired_judge(fib, d, take_judged, d);
    if (q == 0)
        q = nsh_desired_resolve_devices(fib, d, &(bool){false});
    if (q == 0)
        nsh_desired_settle(d);
    return q;
}

static int hand_over(struct taking *t, struct nsh_survey *ret)
{
    if (t->no_memory)
        return -ENOMEM;
    *ret = *t->survey;
    *t->survey = (struct nsh_survey){0};
    return 0;
}

static int take_once(
        struct nsh_fib *fib, struct nsh_desired *d, uint8_t before, struct nsh_survey *ret)
{
    NSH_CLEANUP(nsh_survey_done) struct nsh_survey s = {0};
    struct taking t = {.fib = fib, .desired = d, .survey = &s, .before = before};
    int q = settle(fib, d);

    if (q == 0)
        q = fib->ops->links(fib, see_link, &t);
    if (q == 0)
        q = fib->ops->addresses(fib, see_address, &t);
    if (q == 0)
        q = take_routes(&t);
    for (size_t i = 0; q == 0 && i < d->n_routes; i++)
        note_wanted(&t, &d->routes[i]);
    if (q == 0 && d->n_routes > 0)
        q = nsh_fib_dump(fib, &(struct nsh_fib_filter){0}, see_rival, &t);
    return q < 0 ? q : hand_over(&t, ret);
}

int nsh_survey_take_links(struct nsh_fib *fib, struct nsh_survey *ret)
{
    NSH_CLEANUP(nsh_survey_done) struct nsh_survey s = {0};
    struct taking t = {.fib = fib, .survey = &s};
    int q = fib->ops->links(fib, see_link, &t);

    return q < 0 ? q : hand_over(&t, ret);
}

/* What changed while it was looked at is looked at again, and all the rest that goes with it. */
int nsh_survey_take(
        struct nsh_fib *fib, struct nsh_desired *d, uint8_t before, struct nsh_survey *ret)
{
    int q = -EAGAIN;

    for (int i = 0; i < TRIES && q == -EAGAIN; i++)
        q = take_once(fib, d, before, ret);
    return q;
}

void nsh_survey_done(struct nsh_survey *s)
{
    free(s->links);
    free(s->subnets);
    free(s->addresses);
    free(s->rivals);
    *s = (struct nsh_survey){0};
}

const struct nsh_survey_link *nsh_survey_link(const struct nsh_survey *s, const char *name)
{
    for (size_t i = 0; i < s->n_links; i++)
        if (strcmp(s->links[i].name, name) == 0)
            return &s->links[i];
    return NULL;
}

const struct nsh_survey_link *nsh_survey_link_at(const struct nsh_survey *s, uint32_t ifindex)
{
    for (size_t i = 0; i < s->n_links; i++)
        if (s->links[i].ifindex == ifindex)
            return &s->links[i];
    return NULL;
}

bool nsh_survey_matches(const char *pattern, const struct nsh_survey_link *link)
{
    size_t n = strlen(pattern);

    return n > 0 && pattern[n - 1] == '+' ? strncmp(pattern, link->name, n - 1) == 0
                                          : strcmp(pattern, link->name) == 0;
}
