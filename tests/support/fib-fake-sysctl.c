/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sysctls of the fake kernel: they come and go with links, and forwarding is more than a number.
 */
#include "fib-fake-kernel.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct fake_author kernel_itself = {.handle = NULL, .port = 0};
static const struct fake_author somebody = {.handle = NULL, .port = NSH_FIB_FAKE_SOMEBODY};

/* ---- which there are ---- */

int fake_sysctl_add(struct nsh_fib_fake *k, const char *dev, const char *leaf, int value)
{
    struct fake_sysctl *s = fake_grow((void **)&k->sysctls, k->n_sysctls, sizeof(*s));

    if (!s)
        return -ENOMEM;
    snprintf(s->key, sizeof(s->key), "net/ipv6/conf/%s/%s", dev, leaf);
    s->value = value;
    k->n_sysctls++;
    return 0;
}

int fake_sysctl_default(const struct nsh_fib_fake *k, const char *leaf, int otherwise)
{
    char key[96];

    snprintf(key, sizeof(key), "net/ipv6/conf/default/%s", leaf);
    nsh_fib_fake_sysctl_get(k, key, &otherwise);
    return otherwise;
}

int fake_sysctls_init(struct nsh_fib_fake *k)
{
    struct fake_sysctl *s = fake_grow((void **)&k->sysctls, k->n_sysctls, sizeof(*s));

    if (!s)
        return -ENOMEM;
    snprintf(s->key, sizeof(s->key), "net/ipv4/ip_forward");
    k->n_sysctls++;
    if (fake_sysctl_add(k, "all", "forwarding", 0) < 0 ||
            fake_sysctl_add(k, "all", "accept_ra", 1) < 0 ||
            fake_sysctl_add(k, "default", "forwarding", 0) < 0 ||
            fake_sysctl_add(k, "default", "accept_ra", 1) < 0)
        return -ENOMEM;
    return 0;
}

int fake_sysctls_put(struct nsh_fib_fake *k, const char *dev)
{
    bool failed =
            fake_sysctl_add(k, dev, "accept_ra", fake_sysctl_default(k, "accept_ra", 1)) < 0 ||
            fake_sysctl_add(k, dev, "forwarding", fake_sysctl_default(k, "forwarding", 0)) < 0 ||
            fake_sysctl_add(k, dev, "disable_ipv6", 0) < 0;

    return failed ? -ENOMEM : 0;
}

void fake_sysctls_drop(struct nsh_fib_fake *k, const char *dev)
{
    char start[64];
    int n = snprintf(start, sizeof(start), "net/ipv6/conf/%s/", dev);

    for (size_t i = k->n_sysctls; i-- > 0;)
        if (strncmp(k->sysctls[i].key, start, (size_t)n) == 0)
            k->sysctls[i] = k->sysctls[--k->n_sysctls];
}

void fake_sysctls_rename(struct nsh_fib_fake *k, const char *name, const char *new_name)
{
    for (size_t i = 0; i < k->n_sysctls; i++) {
        char leaf[32], dev[IFNAMSIZ];

        if (sscanf(k->sysctls[i].key, "net/ipv6/conf/%15[^/]/%31s", dev, leaf) == 2 &&
                strcmp(dev, name) == 0)
            snprintf(k->sysctls[i].key, sizeof(k->sysctls[i].key), "net/ipv6/conf/%s/%s", new_name,
                    leaf);
    }
}

/* ---- reading and writing ---- */

static struct fake_sysctl *find_sysctl(const struct nsh_fib_fake *k, const char *key)
{
    for (size_t i = 0; i < k->n_sysctls; i++)
        if (strcmp(k->sysctls[i].key, key) == 0)
            return &k->sysctls[i];
    return NULL;
}

int nsh_fib_fake_sysctl_get(const struct nsh_fib_fake *k, const char *key, int *ret)
{
    const struct fake_sysctl *s = find_sysctl(k, key);

    if (!s)
        return -ENOENT;
    *ret = s->value;
    return 0;
}

static bool listens_when_forwarding(const struct nsh_fib_fake *k, uint32_t ifindex)
{
    const struct fake_link *link = fake_link_by_index(k, ifindex);
    char key[96];
    int value = 0;

    snprintf(key, sizeof(key), "net/ipv6/conf/%s/accept_ra", link ? link->name : "");
    nsh_fib_fake_sysctl_get(k, key, &value);
    return value == 2;
}

/* A router that does not listen to advertisements forgets the default routes it learned. */
static void forget_learned_routes(struct nsh_fib_fake *k)
{
    for (size_t i = k->n_routes; i-- > 0;) {
        struct fake_route *e = &k->routes[i];

        if (e->r.family != AF_INET6 || e->r.protocol != RTPROT_RA || e->r.dst_length > 0 ||
                listens_when_forwarding(k, e->props->nexthops[0].ifindex))
            continue;
        fake_emit_route(k, &kernel_itself, NSH_FIB_ROUTE_GONE, &e->r, 0);
        fake_route_drop(k, i);
    }
}

static void forwarding_changed(
        struct nsh_fib_fake *k, const struct fake_author *author, int family, int value)
{
    struct nsh_fib_event event = {.type = NSH_FIB_FORWARDING, .family = (uint8_t)family};

    for (size_t i = 0; family == AF_INET6 && i < k->n_sysctls; i++) {
        const char *leaf = strrchr(k->sysctls[i].key, '/');

        if (leaf && strcmp(leaf, "/forwarding") == 0)
            k->sysctls[i].value = value;
    }
    if (family == AF_INET6 && value)
        forget_learned_routes(k);
    fake_emit(k, author, &event);
}

int fake_sysctl_write(
        struct nsh_fib_fake *k, const struct fake_author *author, const char *key, int value)
{
    struct fake_sysctl *s = find_sysctl(k, key);

    if (!s)
        return -ENOENT;
    if (s->value == value)
        return 0;
    s->value = value;
    if (strcmp(key, "net/ipv4/ip_forward") == 0)
        forwarding_changed(k, author, AF_INET, value);
    else if (strcmp(key, "net/ipv6/conf/all/forwarding") == 0)
        forwarding_changed(k, author, AF_INET6, value);
    return 0;
}

int nsh_fib_fake_sysctl_set(struct nsh_fib_fake *k, const char *key, int value)
{
    return fake_sysctl_write(k, &somebody, key, value);
}
