/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `import`: what is set up on this machine by hand, as a file that holds it. It only reads: no
 * module is loaded and no table of iptables brought into being.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "common.h"
#include "fib.h"
#include "firewall.h"
#include "import.h"
#include "ipsec.h"
#include "options.h"
#include "reload.h"
#include "state.h"

NSH_DEFINE_CLEANUP(struct nsh_fib *, nsh_fib_free)
NSH_DEFINE_CLEANUP(struct nsh_firewall *, nsh_firewall_free)
NSH_DEFINE_CLEANUP(struct nsh_state *, nsh_state_free)

/* Looks that came apart, because others wrote meanwhile, before it is given up. */
#define TRIES 5

struct reading {
    struct nsh_import *m;
    int error;
};

/* ---- links ---- */

static void see_link(void *userdata, const struct nsh_fib_link *seen)
{
    struct reading *r = userdata;
    struct nsh_import *m = r->m;
    void *items = m->links;
    struct nsh_link *link;

    /* The first name is the one it goes by. */
    for (size_t i = 0; i < m->n_links; i++)
        if (m->links[i].ifindex == seen->ifindex)
            return;
    link = nsh_import_add(&items, &m->n_links, &m->links_max, sizeof *link);
    m->links = items;
    if (!link) {
        r->error = -ENOMEM;
        return;
    }
    *link = (struct nsh_link){.ifindex = seen->ifindex};
    (void)snprintf(link->name, sizeof link->name, "%s", seen->name);
}

static int read_links(struct nsh_fib *fib, struct nsh_import *m)
{
    struct reading r = {.m = m};
    int q;

    m->n_links = 0;
    q = fib->ops->links(fib, see_link, &r);
    return q < 0 ? q : r.error;
}

/* ---- routes and rules ---- */

static uint32_t find_link(const struct nsh_import *m, uint32_t ifindex)
{
    for (size_t i = 0; i < m->n_links; i++)
        if (m->links[i].ifindex == ifindex)
            return (uint32_t)i;
    return NSH_NO_LINK;
}

static const struct nsh_route_props *keep_props(
        struct nsh_import *m, const struct nsh_route_props *seen)
{
    size_t size = nsh_route_props_size(seen->n_nexthops);
    union nsh_route_room copy;

    memcpy(copy.bytes, seen, size);
    for (uint32_t i = 0; i < seen->n_nexthops; i++)
        copy.props.nexthops[i].link = find_link(m, seen->nexthops[i].ifindex);
    return nsh_arena_intern(m->arena, &copy, size);
}

static int see_route(void *userdata, const struct nsh_route *seen)
{
    struct nsh_import *m = userdata;
    void *items = m->routes;
    struct nsh_route *route = nsh_import_add(&items, &m->n_routes, &m->routes_max, sizeof *route);

    m->routes = items;
    if (!route)
        return -ENOMEM;
    *route = *seen;
    route->props = keep_props(m, seen->props);
    return route->props ? 0 : -ENOMEM;
}

static int read_routes(struct nsh_fib *fib, struct nsh_import *m)
{
    m->n_routes = 0;
    return nsh_fib_dump(fib, &(struct nsh_fib_filter){0}, see_route, m);
}

static int see_rule(void *userdata, const struct nsh_rule *seen)
{
    struct nsh_import *m = userdata;
    void *items = m->rules;
    struct nsh_rule *rule = nsh_import_add(&items, &m->n_rules, &m->rules_max, sizeof *rule);

    m->rules = items;
    if (!rule)
        return -ENOMEM;
    *rule = *seen;
    return 0;
}

static int read_rules(struct nsh_fib *fib, struct nsh_import *m)
{
    m->n_rules = 0;
    return fib->ops->rules_dump(fib, see_rule, m);
}

static int read_routing(struct nsh_fib *fib, struct nsh_import *m)
{
    static const char *const keys[NSH_FAMILIES] = {
            "net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"};
    int (*const reads[])(struct nsh_fib *, struct nsh_import *) = {
            read_links, read_routes, read_rules};
    int q = 0;

    for (size_t i = 0; q == 0 && i < NSH_ARRAY_SIZE(reads); i++) {
        int tries = TRIES;

        do
            q = reads[i](fib, m);
        while (q == -EAGAIN && --tries > 0);
    }
    for (int f = 0; f < NSH_FAMILIES; f++)
        if (fib->ops->sysctl_get(fib, keys[f], &m->forwarding[f]) < 0)
            m->forwarding[f] = -1;
    return q;
}

/* ---- the firewalls ---- */

static int see_foreign(void *userdata, const struct nsh_foreign_rule *seen)
{
    struct nsh_import *m = userdata;
    void *items = m->foreign;
    struct nsh_foreign_rule *rule =
            nsh_import_add(&items, &m->n_foreign, &m->foreign_max, sizeof *rule);

    m->foreign = items;
    if (!rule)
        return -ENOMEM;
    *rule = *seen;
    return 0;
}

static int read_firewall(int (*open)(struct nsh_firewall **ret), struct nsh_import *m)
{
    NSH_CLEANUP(nsh_firewall_freep) struct nsh_firewall *fw = NULL;
    int q = open(&fw);

    for (int f = 0; q == 0 && f < NSH_FAMILIES; f++) {
        size_t before = m->n_foreign;
        int tries = TRIES;

        do {
            m->n_foreign = before;
            q = fw->ops->foreign(fw, nsh_family_of(f), see_foreign, m);
        } while (q == -EAGAIN && --tries > 0);
    }
    return q;
}

/* ---- the command ---- */

/* What is netshared's already, as far as it left word of that. */
static void read_own(const struct nsh_options *o, struct nsh_import *m)
{
    NSH_CLEANUP(nsh_state_freep) struct nsh_state *state = NULL;
    NSH_CLEANUP(nsh_loaded_done) struct nsh_loaded accepted = {0};

    m->ours = NSH_ROUTE_PROTOCOL_DEFAULT;
    if (nsh_state_open_reader(o->state_directory, &state) < 0)
        return;
    (void)nsh_state_protocol_load(state, &m->ours);
    nsh_load_archive(state, NSH_ARCHIVE_ACCEPTED, &accepted);
    for (int f = 0; accepted.error == 0 && f < NSH_FAMILIES; f++)
        m->kept[f] = accepted.desired->forwarding[f];
}

static int read_all(const struct nsh_options *o, struct nsh_import *m)
{
    NSH_CLEANUP(nsh_fib_freep) struct nsh_fib *fib = NULL;
    int q = nsh_fib_netlink_new(&fib);

    read_own(o, m);
    m->no_ipsec = nsh_ipsec_unused();
    m->arena = nsh_arena_new();
    if (q == 0)
        q = m->arena ? read_routing(fib, m) : -ENOMEM;
    if (q < 0)
        return nsh_unreadable("routes and rules", q);
    q = read_firewall(nsh_firewall_iptc_new, m);
    if (q < 0)
        return nsh_unreadable("the iptables rules", q);
    q = read_firewall(nsh_firewall_nft_new, m);
    if (q < 0)
        return nsh_unreadable("the nftables rules", q);
    return NSH_EXIT_OK;
}

static int write_file(const struct nsh_import *m, FILE *to)
{
    nsh_autofree char *why = NULL;
    int q = nsh_import_write(m, to, &why);

    if (q == -EBADMSG)
        return nsh_complain("cannot say it in one file: %s", why);
    if (q == -EIO && to == stdout) /* nsh_answer_end() tells of it */
        return NSH_EXIT_FAILED;
    return q < 0 ? nsh_complain("cannot write it: %s", strerror(-q)) : NSH_EXIT_OK;
}

int nsh_command_import(const struct nsh_options *o)
{
    NSH_CLEANUP(nsh_import_done) struct nsh_import m = {0};
    nsh_autofree char *text = NULL;
    size_t size;
    FILE *to;
    int code = read_all(o, &m);

    if (code != NSH_EXIT_OK)
        return code;
    if (!o->output)
        return write_file(&m, stdout);
    to = open_memstream(&text, &size);
    code = to ? write_file(&m, to) : NSH_EXIT_FAILED;
    if (!to || fclose(to) != 0)
        return nsh_complain("cannot write it: %s", strerror(ENOMEM));
    if (code != NSH_EXIT_OK)
        return code;
    return nsh_write_output(o->output, text);
}
