/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "status-ports.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "conntrack-ports.h"

struct address {
    uint64_t connections;
    const struct nsh_port_use *fullest;
};

static int by_address(const void *a, const void *b)
{
    const struct nsh_port_use *x = a, *y = b;

    return nsh_addr_cmp(&x->from, &y->from);
}

static int by_connections(const void *a, const void *b)
{
    const struct address *x = a, *y = b;

    return (x->connections < y->connections) - (x->connections > y->connections);
}

/* Those that count, to the front. */
static size_t gather(struct nsh_port_uses *u)
{
    size_t n = 0;

    for (size_t i = 0; i < u->size; i++)
        if (u->items[i].n > 0)
            u->items[n++] = u->items[i];
    if (n > 0)
        qsort(u->items, n, sizeof *u->items, by_address);
    return n;
}

static json_t *address_json(const struct address *a)
{
    const struct nsh_port_use *f = a->fullest;
    const char *protocol = f->protocol == IPPROTO_TCP   ? "tcp"
                           : f->protocol == IPPROTO_UDP ? "udp"
                                                        : NULL;
    char from[NSH_ADDR_TEXT], to[NSH_ADDR_TEXT], number[4];

    snprintf(number, sizeof number, "%u", f->protocol);
    return json_pack("{s:s, s:I, s:{s:s, s:s, s:i, s:I}}", "address",
            nsh_addr_format(f->family, &f->from, from), "connections", (json_int_t)a->connections,
            "fullest", "protocol", protocol ? protocol : number, "to",
            nsh_addr_format(f->family, &f->to, to), "port", f->to_port, "ports", (json_int_t)f->n);
}

static int append_family(json_t *array, int family)
{
    NSH_CLEANUP(nsh_port_uses_done) struct nsh_port_uses uses = {0};
    nsh_autofree struct address *addresses = NULL;
    size_t n_uses, n = 0;

    if (nsh_port_uses_count(&uses, family) < 0)
        return -1;
    n_uses = gather(&uses);
    addresses = calloc(n_uses + 1, sizeof *addresses);
    for (size_t i = 0; addresses && i < n_uses; i++) {
        const struct nsh_port_use *u = &uses.items[i];

        if (i == 0 || by_address(u, u - 1) != 0)
            addresses[n++].fullest = u;
        addresses[n - 1].connections += u->n;
        if (u->n > addresses[n - 1].fullest->n)
            addresses[n - 1].fullest = u;
    }
    if (n > 0)
        qsort(addresses, n, sizeof *addresses, by_connections);
    for (size_t i = 0; i < n; i++)
        if (json_array_append_new(array, address_json(&addresses[i])) < 0)
            return -1;
    return addresses ? 0 : -1;
}

static bool is_small(void)
{
    NSH_CLEANUP(fclosep) FILE *f = fopen("/proc/sys/net/netfilter/nf_conntrack_count", "re");
    unsigned long n;

    return f && fscanf(f, "%9lu", &n) == 1 && n <= NSH_STATUS_CONNECTIONS_MAX;
}

json_t *nsh_status_ports(void)
{
    json_t *array = is_small() ? json_array() : NULL;

    if (array && append_family(array, AF_INET) == 0 && append_family(array, AF_INET6) == 0)
        return array;
    json_decref(array);
    return NULL;
}
