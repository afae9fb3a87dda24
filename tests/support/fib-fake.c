/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The contract itself, opened on a fake kernel: dumps in pieces, lists of operations, questions.
 */
#include "fib-fake-handle.h"

#include <errno.h>
#include <linux/netlink.h>
#include <string.h>

int fake_called(struct nsh_fib_fake *k, enum nsh_fib_fake_call call)
{
    k->counts.calls[call]++;
    if (k->fail_nth[call] == 0 || --k->fail_nth[call] > 0)
        return 0;
    return k->fail_error[call];
}

/* ---- dumps ---- */

static void clear_dump(struct fake_handle *h)
{
    for (size_t i = 0; i < h->n_dump; i++)
        fake_route_clear(&h->dump[i]);
    free(h->dump);
    h->dump = NULL;
    h->n_dump = h->dumped = 0;
}

static bool filtered(const struct nsh_fib_filter *filter, const struct nsh_route *r)
{
    return (!filter->family || filter->family == r->family) &&
           (!filter->protocol || filter->protocol == r->protocol) &&
           (!filter->table || filter->table == r->table);
}

static int fake_dump_begin(struct nsh_fib *fib, const struct nsh_fib_filter *filter)
{
    struct fake_handle *h = of(fib);
    int rc = fake_called(h->k, NSH_FIB_FAKE_DUMP_BEGIN);

    clear_dump(h);
    if (rc < 0)
        return rc;
    h->dump = calloc(h->k->n_routes + 1, sizeof(*h->dump));
    if (!h->dump)
        return -ENOMEM;
    for (size_t i = 0; i < h->k->n_routes;) {
        struct fake_route r;

        rc = fake_route_next(h->k, &i, &r);
        if (rc < 0)
            return rc;
        nsh_route_normalize(&r.r, r.props);
        if (filtered(filter, &r.r))
            h->dump[h->n_dump++] = r;
        else
            fake_route_clear(&r);
    }
    return 0;
}

static int fake_dump_read(struct nsh_fib *fib, nsh_fib_route_seen *seen, void *userdata)
{
    struct fake_handle *h = of(fib);
    int rc = fake_called(h->k, NSH_FIB_FAKE_DUMP_READ);

    for (size_t n = 0; rc == 0 && n < h->k->chunk && h->dumped < h->n_dump; n++)
        rc = seen(userdata, &h->dump[h->dumped++].r);
    if (rc != 0 || h->dumped == h->n_dump) {
        clear_dump(h);
        return rc;
    }
    return 1;
}

/* ---- writing ---- */

/* Puts in the devices that the links stand for. */
static int resolve(struct nsh_route_props *props, const struct nsh_link *links)
{
    for (uint32_t n = 0; n < props->n_nexthops; n++) {
        struct nsh_nexthop *nh = &props->nexthops[n];

        if (nh->link == NSH_NO_LINK)
            continue;
        nh->ifindex = links[nh->link].ifindex;
        if (!nh->ifindex && !links[nh->link].gateway_family)
            return -ENODEV;
    }
    return 0;
}

static int run_op(struct fake_handle *h, const struct nsh_link *links, const struct nsh_fib_op *op,
        const char **ret_why)
{
    static const uint16_t flags[] = {
            [NSH_FIB_ADD] = NLM_F_CREATE | NLM_F_EXCL,
            [NSH_FIB_REPLACE] = NLM_F_CREATE | NLM_F_REPLACE,
    };
    nsh_autofree struct nsh_route_props *props = fake_props_copy(op->route.props);
    struct fake_author author = {.handle = h};
    struct nsh_route r = op->route;
    int rc = fake_called(h->k, NSH_FIB_FAKE_WRITE);

    *ret_why = "";
    if (rc < 0)
        return rc;
    if (h->k->judge && h->k->judge(h->k->judge_userdata, op))
        return h->k->judge_error;
    if (!props)
        return -ENOMEM;
    rc = resolve(props, links);
    if (rc < 0)
        return rc;
    r.props = props;
    if (op->verb == NSH_FIB_DELETE)
        return fake_route_delete(h->k, &r, &author);
    return fake_route_write(h->k, &r, flags[op->verb], &author, ret_why);
}

static int fake_submit(struct nsh_fib *fib, const struct nsh_link *links,
        const struct nsh_fib_op *ops, size_t n, nsh_fib_failed *failed, void *userdata)
{
    struct fake_handle *h = of(fib);
    int rc = fake_called(h->k, NSH_FIB_FAKE_SUBMIT);

    if (rc < 0)
        return rc;
    for (size_t i = 0; i < n; i++) {
        const char *why;

        rc = run_op(h, links, &ops[i], &why);
        if (rc == 0)
            h->k->counts.writes++;
        else if (failed)
            failed(userdata, i, rc, why);
    }
    return 0;
}

/* ---- rules ---- */

static int fake_rules_dump(struct nsh_fib *fib, nsh_fib_rule_seen *seen, void *userdata)
{
    const struct nsh_fib_fake *k = of(fib)->k;
    int rc = fake_called(of(fib)->k, NSH_FIB_FAKE_RULES_DUMP);

    for (size_t i = 0; rc == 0 && i < k->n_rules; i++)
        rc = seen(userdata, &k->rules[i]);
    return rc;
}

static int fake_rules_submit(struct nsh_fib *fib, const struct nsh_fib_rule_op *ops, size_t n,
        nsh_fib_failed *failed, void *userdata)
{
    struct fake_handle *h = of(fib);
    const struct fake_author author = {.handle = h};

    for (size_t i = 0; i < n; i++) {
        const char *why = "";
        int rc = fake_called(h->k, NSH_FIB_FAKE_RULES_WRITE);

        if (rc == 0)
            rc = fake_rule_write(h->k, &ops[i].rule, ops[i].verb, &author, &why);
        if (rc == 0)
            h->k->counts.writes++;
        else if (failed)
            failed(userdata, i, rc, why);
    }
    return 0;
}

/* ---- questions ---- */

static int fake_addresses(struct nsh_fib *fib, nsh_fib_address_seen *seen, void *userdata)
{
    struct nsh_fib_fake *k = of(fib)->k;
    int rc = fake_called(k, NSH_FIB_FAKE_ADDRESSES);

    for (size_t i = 0; rc == 0 && i < k->n_addresses; i++) {
        const struct fake_address *a = &k->addresses[i];
        struct nsh_fib_address address = {.address = a->addr,
                .ifindex = a->ifindex,
                .family = a->family,
                .net = {.addr = a->addr, .family = a->family, .length = a->length},
                .usable = !a->tentative};

        nsh_prefix_mask(&address.net);
        seen(userdata, &address);
    }
    return rc;
}

static int fake_links(struct nsh_fib *fib, nsh_fib_link_seen *seen, void *userdata)
{
    struct nsh_fib_fake *k = of(fib)->k;
    int rc = fake_called(k, NSH_FIB_FAKE_LINKS);

    for (size_t i = 0; rc == 0 && i < k->n_links; i++) {
        const struct fake_link *l = &k->links[i];
        struct nsh_fib_link link = {.name = l->name,
                .ifindex = l->ifindex,
                .mtu = 1500,
                .up = l->up,
                .carrier = l->up && !l->unplugged};
        char key[96];
        int off = 0;

        snprintf(key, sizeof(key), "net/ipv6/conf/%s/disable_ipv6", l->name);
        nsh_fib_fake_sysctl_get(k, key, &off);
        link.without_ipv6 = off != 0;
        seen(userdata, &link);
    }
    return rc;
}

static int fake_link_index(struct nsh_fib *fib, const char *name, uint32_t *ret_ifindex)
{
    struct fake_handle *h = of(fib);
    const struct fake_link *link = fake_link_by_name(h->k, name);
    int rc = fake_called(h->k, NSH_FIB_FAKE_LINK_INDEX);

    if (rc < 0)
        return rc;
    if (!link)
        return -ENODEV;
    *ret_ifindex = link->ifindex;
    return 0;
}

static int fake_link_name(struct nsh_fib *fib, uint32_t ifindex, char ret_name[static IFNAMSIZ])
{
    const struct fake_link *link = fake_link_by_index(of(fib)->k, ifindex);
    int rc = fake_called(of(fib)->k, NSH_FIB_FAKE_LINK_NAME);

    if (rc < 0)
        return rc;
    if (!link)
        return -ENODEV;
    memcpy(ret_name, link->name, IFNAMSIZ);
    return 0;
}

/* How a lookup ends at a type of route that goes nowhere. */
static int type_error(uint8_t type)
{
    switch (type) {
    case RTN_BLACKHOLE:
        return -EINVAL;
    case RTN_UNREACHABLE:
        return -EHOSTUNREACH;
    case RTN_PROHIBIT:
        return -EACCES;
    default:
        return 0;
    }
}

static int fake_vrf(
        struct nsh_fib *fib, const char *name, uint32_t *ret_ifindex, uint32_t *ret_table)
{
    const struct fake_link *link = fake_link_by_name(of(fib)->k, name);
    int rc = fake_called(of(fib)->k, NSH_FIB_FAKE_LINK_INDEX);

    if (rc < 0)
        return rc;
    if (!link)
        return -ENODEV;
    *ret_ifindex = link->ifindex;
    *ret_table = link->table;
    return 0;
}

static int look_up(struct fake_handle *h, int family, const union nsh_addr *addr, uint32_t table,
        struct nsh_fib_path *ret)
{
    struct fake_query q = {.family = family, .addr = addr, .table = table};
    const struct nsh_route_props *props;
    uint32_t ifindex;
    size_t i;
    int rc = fake_called(h->k, NSH_FIB_FAKE_LOOKUP);

    if (rc < 0)
        return rc;
    i = fake_lookup(h->k, &q, &ifindex);
    if (i == SIZE_MAX)
        return -ENETUNREACH;
    props = h->k->routes[i].props;
    rc = type_error(props->type);
    if (rc < 0)
        return rc;
    *ret = (struct nsh_fib_path){.ifindex = ifindex};
    for (uint32_t n = 0; n < props->n_nexthops; n++)
        if (props->nexthops[n].ifindex == ifindex)
            ret->on_link = !props->nexthops[n].via_family;
    return 0;
}

static int fake_nsh_lookup(struct nsh_fib *fib, int family, const union nsh_addr *addr,
        uint32_t iif, const union nsh_addr *from, struct nsh_fib_path *ret)
{
    (void)iif;
    (void)from;
    return look_up(of(fib), family, addr, 0, ret);
}

static int fake_vrf_lookup(struct nsh_fib *fib, uint32_t vrf, int family,
        const union nsh_addr *addr, struct nsh_fib_path *ret)
{
    const struct fake_link *link = fake_link_by_index(of(fib)->k, vrf);

    return link ? look_up(of(fib), family, addr, link->table, ret) : -ENODEV;
}

/* By the destination alone, as all lookups here. */
static int fake_find(
        struct nsh_fib *fib, const struct nsh_fib_question *q, uint32_t *ret_ifindex, size_t *ret)
{
    struct fake_handle *h = of(fib);
    struct fake_query query = {.family = q->family, .addr = &q->to, .oif = q->oif};
    int rc = fake_called(h->k, NSH_FIB_FAKE_LOOKUP);

    if (rc < 0)
        return rc;
    *ret = fake_lookup(h->k, &query, ret_ifindex);
    return *ret == SIZE_MAX ? -ENETUNREACH : 0;
}

/* Nobody is there to be answered. */
static int fake_proxied(
        struct nsh_fib *fib, uint32_t ifindex, int family, const union nsh_addr *addr)
{
    (void)fib;
    (void)ifindex;
    (void)family;
    (void)addr;
    return 0;
}

static int fake_neighbour(
        struct nsh_fib *fib, uint32_t ifindex, int family, const union nsh_addr *addr)
{
    (void)fib;
    (void)ifindex;
    (void)family;
    (void)addr;
    return -ENOENT;
}

static int fake_path(
        struct nsh_fib *fib, const struct nsh_fib_question *q, struct nsh_fib_answer *ret)
{
    const struct fake_route *e;
    uint32_t ifindex;
    size_t i;
    int rc = fake_find(fib, q, &ifindex, &i);

    if (rc < 0)
        return rc;
    e = &of(fib)->k->routes[i];
    if (type_error(e->props->type) < 0)
        return type_error(e->props->type);
    *ret = (struct nsh_fib_answer){
            .type = e->props->type,
            .table = e->r.table,
            .ifindex = ifindex,
            .has_source = e->props->has_source,
            .source = e->props->source,
    };
    for (uint32_t n = 0; n < e->props->n_nexthops; n++)
        if (e->props->nexthops[n].ifindex == ifindex) {
            ret->via_family = e->props->nexthops[n].via_family;
            ret->via = e->props->nexthops[n].via;
        }
    return 0;
}

static int fake_entry(struct nsh_fib *fib, const struct nsh_fib_question *q,
        nsh_fib_route_seen *seen, void *userdata)
{
    struct nsh_route route;
    uint32_t ifindex;
    size_t i;
    int rc = fake_find(fib, q, &ifindex, &i);

    if (rc < 0)
        return rc;
    route = of(fib)->k->routes[i].r;
    route.props = of(fib)->k->routes[i].props;
    return seen(userdata, &route);
}

static int fake_sysctl_get(struct nsh_fib *fib, const char *key, int *ret)
{
    int rc = fake_called(of(fib)->k, NSH_FIB_FAKE_SYSCTL_GET);

    return rc < 0 ? rc : nsh_fib_fake_sysctl_get(of(fib)->k, key, ret);
}

static int fake_sysctl_set(struct nsh_fib *fib, const char *key, int value)
{
    struct fake_author author = {.handle = of(fib)};
    int rc = fake_called(of(fib)->k, NSH_FIB_FAKE_SYSCTL_SET);

    if (rc == 0)
        rc = fake_sysctl_write(of(fib)->k, &author, key, value);
    if (rc == 0)
        of(fib)->k->counts.writes++;
    return rc;
}

static int fake_each_ipv6_conf(
        struct nsh_fib *fib, void (*each)(void *userdata, const char *name), void *userdata)
{
    const struct nsh_fib_fake *k = of(fib)->k;
    int rc = fake_called(of(fib)->k, NSH_FIB_FAKE_SYSCTL_EACH);

    if (rc < 0)
        return rc;
    each(userdata, "all");
    each(userdata, "default");
    for (size_t i = 0; i < k->n_links; i++)
        each(userdata, k->links[i].name);
    return 0;
}

/* ---- opening ---- */

static void fake_free(struct nsh_fib *fib)
{
    struct fake_handle *h = of(fib);
    struct fake_handle **at = &h->k->handles;

    while (*at != h)
        at = &(*at)->next;
    *at = h->next;
    clear_dump(h);
    fake_events_clear(h);
    nsh_closep(&h->fd);
    free(h);
}

static const struct nsh_fib_ops fake_ops = {
        .free = fake_free,
        .dump_begin = fake_dump_begin,
        .dump_read = fake_dump_read,
        .submit = fake_submit,
        .rules_dump = fake_rules_dump,
        .rules_submit = fake_rules_submit,
        .addresses = fake_addresses,
        .links = fake_links,
        .link_index = fake_link_index,
        .link_name = fake_link_name,
        .vrf = fake_vrf,
        .lookup = fake_nsh_lookup,
        .vrf_lookup = fake_vrf_lookup,
        .path = fake_path,
        .entry = fake_entry,
        .proxied = fake_proxied,
        .neighbour = fake_neighbour,
        .sysctl_get = fake_sysctl_get,
        .sysctl_set = fake_sysctl_set,
        .sysctl_each_ipv6_conf = fake_each_ipv6_conf,
        .events_open = fake_events_open,
        .events_read = fake_events_read,
        .events_foreign = fake_events_foreign,
};

int nsh_fib_fake_open(struct nsh_fib_fake *k, struct nsh_fib **ret)
{
    struct fake_handle *h = calloc(1, sizeof(*h));

    if (!h)
        return -ENOMEM;
    h->fib.ops = &fake_ops;
    h->k = k;
    h->fd = -1;
    h->port = k->next_port++;
    h->next = k->handles;
    k->handles = h;
    *ret = &h->fib;
    return 0;
}

int nsh_fib_fake_route_add(struct nsh_fib_fake *k, const struct nsh_route *route, uint16_t flags,
        uint32_t sender, const char **ret_why)
{
    struct fake_author author = {.port = sender};
    const char *why;
    int rc = fake_route_write(k, route, flags, &author, &why);

    if (ret_why)
        *ret_why = why;
    return rc;
}

int nsh_fib_fake_route_delete(
        struct nsh_fib_fake *k, const struct nsh_route *route, uint32_t sender)
{
    struct fake_author author = {.port = sender};

    return fake_route_delete(k, route, &author);
}
