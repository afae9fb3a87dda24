/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "traffic.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cleanup.h"

/* ---- adding up ---- */

struct sums {
    struct nsh_traffic_table table;
    size_t max;
};

static const int kinds[] = {
        [NSH_PACKET_ACCEPT] = NSH_TRAFFIC_ACCEPTED,
        [NSH_PACKET_DROP] = NSH_TRAFFIC_DROPPED,
        [NSH_PACKET_MASQUERADE] = NSH_TRAFFIC_TRANSLATED,
        [NSH_PACKET_SNAT] = NSH_TRAFFIC_TRANSLATED,
        [NSH_PACKET_DNAT] = NSH_TRAFFIC_TRANSLATED,
        [NSH_PACKET_NETMAP] = NSH_TRAFFIC_TRANSLATED,
        [NSH_PACKET_RETURN] = -1,
        [NSH_PACKET_JUMP] = -1,
        [NSH_PACKET_LOG] = -1,
        [NSH_PACKET_CLAMP_MSS] = -1,
        [NSH_PACKET_OTHER] = -1,
};

static int add_item(struct sums *s, struct nsh_policy_traffic **ret)
{
    if (s->table.n == s->max) {
        size_t more = s->max ? s->max * 2 : 16;
        void *items = reallocarray(s->table.items, more, sizeof(*s->table.items));

        if (!items)
            return -ENOMEM;
        s->table.items = items;
        s->max = more;
    }
    *ret = &s->table.items[s->table.n++];
    memset(*ret, 0, sizeof(**ret));
    return 0;
}

static int add_chain(void *userdata, const struct nsh_chain_seen *c)
{
    struct nsh_policy_traffic *item;

    if (c->builtin || !c->traffic || strcmp(c->name, NSH_CHAIN_CONNTRACK) == 0)
        return 0;
    int e = add_item(userdata, &item);
    if (e < 0)
        return e;
    nsh_chain_policy(c->name, item->policy);
    item->family = c->family;
    for (size_t i = 0; i < c->n_rules; i++) {
        int kind = kinds[c->rules[i].action];

        if (kind < 0)
            continue;
        item->by[kind].packets += c->traffic[i].packets;
        item->by[kind].bytes += c->traffic[i].bytes;
    }
    return 0;
}

static int compare(const void *a, const void *b)
{
    const struct nsh_policy_traffic *x = a, *y = b;
    int c = strcmp(x->policy, y->policy);

    return c != 0 ? c : (x->family > y->family) - (x->family < y->family);
}

/* One item for all chains of a policy. */
static void merge(struct nsh_traffic_table *t)
{
    size_t n = 0;

    if (t->n == 0)
        return;
    qsort(t->items, t->n, sizeof(*t->items), compare);
    for (size_t i = 1; i < t->n; i++) {
        if (compare(&t->items[n], &t->items[i]) != 0) {
            t->items[++n] = t->items[i];
            continue;
        }
        for (int k = 0; k < NSH_TRAFFIC_KINDS; k++) {
            t->items[n].by[k].packets += t->items[i].by[k].packets;
            t->items[n].by[k].bytes += t->items[i].by[k].bytes;
        }
    }
    t->n = n + 1;
}

int nsh_traffic_read(struct nsh_firewall *fw, struct nsh_traffic_table *ret)
{
    static const int families[] = {AF_INET, AF_INET6};
    struct sums s = {.max = 0};
    int e = fw->ops->open(fw, NSH_FIREWALL_READ);

    if (e != NSH_FIREWALL_OK)
        return e < 0 ? e : -EBUSY;
    for (size_t f = 0; f < NSH_ARRAY_SIZE(families); f++)
        for (int t = 0; t < NSH_TABLE_COUNT && e == 0; t++)
            e = fw->ops->observe(fw, families[f], (enum nsh_table)t, add_chain, &s);
    fw->ops->close(fw);
    if (e != 0) {
        nsh_traffic_table_done(&s.table);
        return e < 0 ? e : -EBUSY;
    }
    merge(&s.table);
    *ret = s.table;
    return 0;
}

void nsh_traffic_table_done(struct nsh_traffic_table *t)
{
    free(t->items);
    *t = (struct nsh_traffic_table){0};
}

const struct nsh_policy_traffic *nsh_traffic_find(
        const struct nsh_traffic_table *t, const char *policy, int family)
{
    struct nsh_policy_traffic key = {.family = (uint8_t)family};

    if (strlen(policy) >= sizeof(key.policy) || t->n == 0)
        return NULL;
    memcpy(key.policy, policy, strlen(policy) + 1);
    return bsearch(&key, t->items, t->n, sizeof(*t->items), compare);
}

const char *nsh_traffic_kind_name(enum nsh_traffic_kind kind)
{
    static const char *const names[NSH_TRAFFIC_KINDS] = {"translated", "accepted", "dropped"};

    return names[kind];
}

/* ---- in a thread ---- */

struct nsh_traffic_reader {
    sd_event_source *source;
    nsh_traffic_ready *ready;
    void *userdata;
    int (*make)(struct nsh_firewall **ret);
    struct nsh_traffic_table table;
    pthread_t thread;
    int wake_fd;
    bool running;
};

static void *read_thread(void *userdata)
{
    struct nsh_traffic_reader *r = userdata;
    struct nsh_firewall *fw = NULL;
    uint64_t one = 1;

    nsh_traffic_table_done(&r->table);
    if (r->make(&fw) == 0)
        (void)nsh_traffic_read(fw, &r->table);
    nsh_firewall_free(fw);
    while (write(r->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
    return NULL;
}

static int on_wake(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    struct nsh_traffic_reader *r = userdata;
    uint64_t count;

    (void)source;
    (void)revents;
    if (read(fd, &count, sizeof(count)) < 0 || !r->running)
        return 0;
    pthread_join(r->thread, NULL);
    r->running = false;
    r->ready(r->userdata, &r->table);
    return 0;
}

int nsh_traffic_reader_new(
        sd_event *event, nsh_traffic_ready *ready, void *userdata, struct nsh_traffic_reader **ret)
{
    struct nsh_traffic_reader *r = calloc(1, sizeof(*r));

    if (!r)
        return -ENOMEM;
    r->ready = ready;
    r->userdata = userdata;
    r->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int e = r->wake_fd < 0 ? -errno
                           : sd_event_add_io(event, &r->source, r->wake_fd, EPOLLIN, on_wake, r);
    if (e < 0) {
        nsh_traffic_reader_free(r);
        return e;
    }
    *ret = r;
    return 0;
}

void nsh_traffic_reader_free(struct nsh_traffic_reader *r)
{
    if (!r)
        return;
    if (r->running)
        pthread_join(r->thread, NULL);
    sd_event_source_disable_unref(r->source);
    nsh_traffic_table_done(&r->table);
    nsh_closep(&r->wake_fd);
    free(r);
}

int nsh_traffic_reader_start(struct nsh_traffic_reader *r, int (*make)(struct nsh_firewall **ret))
{
    if (r->running)
        return -EBUSY;
    r->make = make;
    int e = pthread_create(&r->thread, NULL, read_thread, r);
    if (e != 0)
        return -e;
    r->running = true;
    return 0;
}
