/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The section `routes`: what has no keeper yet. Prefixes that share all else stand in one list.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "import.h"

NSH_DEFINE_CLEANUP(struct nsh_config *, nsh_config_free)

/* A list of so many stands on one line; of another keeper's routes so many are shown. */
#define FLOW_MAX 4
#define SHOWN_MAX 8
#define ROUTE_TEXT 512

/* Routes with everything but the prefix in common. */
struct group {
    const struct nsh_route **routes; /* in the order seen */
    size_t n;
    bool taken;
    char *why; /* it is not; malloc'd, NULL: it has more to it than can be said */
};

struct groups {
    const struct nsh_route **routes; /* all of them, group by group */
    struct group *items;
    size_t n;
};

static void groups_done(struct groups *g)
{
    for (size_t i = 0; i < g->n; i++)
        free(g->items[i].why);
    free(g->items);
    free(g->routes);
}

/* ---- whose they are ---- */

/* Nobody's in particular: of `ip route` by hand, of a script or of something that went away. */
static bool is_by_hand(const struct nsh_route *r)
{
    return r->protocol == RTPROT_BOOT || r->protocol == RTPROT_STATIC ||
           r->protocol == RTPROT_UNSPEC;
}

/* What the kernel does by itself for addresses and links, and what it only remembers. */
static bool is_of_kernel(const struct nsh_route *r)
{
    uint8_t type = r->props->type;

    return r->protocol == RTPROT_KERNEL || type == RTN_BROADCAST || type == RTN_ANYCAST ||
           type == RTN_MULTICAST;
}

static const char *keeper(uint8_t protocol, char buf[static 32])
{
    const char *name = nsh_route_protocol_name(protocol);

    if (name)
        return name;
    (void)snprintf(buf, 32, "protocol %u", protocol);
    return buf;
}

static bool learns(uint8_t protocol)
{
    return protocol == RTPROT_RA || protocol == RTPROT_DHCP || protocol == RTPROT_REDIRECT;
}

/* ---- groups ---- */

/* All but the prefix; properties are interned. */
static int compare_common(const struct nsh_route *a, const struct nsh_route *b)
{
    if (a->family != b->family)
        return a->family < b->family ? -1 : 1;
    if (a->table != b->table)
        return a->table < b->table ? -1 : 1;
    if (a->metric != b->metric)
        return a->metric < b->metric ? -1 : 1;
    if (a->tos != b->tos)
        return a->tos < b->tos ? -1 : 1;
    return ((uintptr_t)a->props > (uintptr_t)b->props) -
           ((uintptr_t)a->props < (uintptr_t)b->props);
}

/* Routes stand in one array: what was seen first has the lower address. */
static int by_group(const void *a, const void *b)
{
    const struct nsh_route *x = *(const struct nsh_route *const *)a;
    const struct nsh_route *y = *(const struct nsh_route *const *)b;
    int r = compare_common(x, y);

    return r != 0 ? r : (x > y) - (x < y);
}

static int by_first(const void *a, const void *b)
{
    const struct group *x = a, *y = b;

    return (x->routes[0] > y->routes[0]) - (x->routes[0] < y->routes[0]);
}

static int by_key(const void *a, const void *b)
{
    const struct nsh_route *x = *(const struct nsh_route *const *)a;
    const struct nsh_route *y = *(const struct nsh_route *const *)b;
    int r = nsh_route_id_cmp(x, y);

    return r != 0 ? r : (x > y) - (x < y);
}

/* Of several on one key the kernel uses the first. */
static size_t drop_doubles(
        const struct nsh_import *m, const struct nsh_route **routes, size_t n, FILE *notes)
{
    char text[ROUTE_TEXT];
    size_t kept = 0;

    qsort(routes, n, sizeof(struct nsh_route *), by_key);
    for (size_t i = 0; i < n; i++) {
        if (kept == 0 || nsh_route_id_cmp(routes[kept - 1], routes[i]) != 0)
            routes[kept++] = routes[i];
        else
            nsh_import_comment(notes,
                    "not taken: %s: another one with the same prefix and metric stands before it",
                    nsh_route_format(routes[i], m->links, text, sizeof text));
    }
    return kept;
}

static int make_groups(const struct nsh_import *m, struct groups *ret, FILE *notes)
{
    size_t n = 0;

    ret->routes = calloc(m->n_routes + 1, sizeof(struct nsh_route *));
    ret->items = calloc(m->n_routes + 1, sizeof(*ret->items));
    if (!ret->routes || !ret->items)
        return -ENOMEM;
    for (size_t i = 0; i < m->n_routes; i++)
        if (is_by_hand(&m->routes[i]) && !is_of_kernel(&m->routes[i]) &&
                m->routes[i].protocol != m->ours)
            ret->routes[n++] = &m->routes[i];
    n = drop_doubles(m, ret->routes, n, notes);
    qsort(ret->routes, n, sizeof(struct nsh_route *), by_group);
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || compare_common(ret->routes[i - 1], ret->routes[i]) != 0)
            ret->items[ret->n++] = (struct group){.routes = &ret->routes[i], .taken = true};
        ret->items[ret->n - 1].n++;
    }
    qsort(ret->items, ret->n, sizeof(*ret->items), by_first);
    return 0;
}

/* ---- a group as YAML ---- */

static void put_destination(FILE *to, const struct nsh_route *r)
{
    const struct nsh_prefix p = {.addr = r->dst, .family = r->family, .length = r->dst_length};
    char text[NSH_PREFIX_TEXT];

    if (r->dst_length == 0)
        (void)fputs("default", to);
    else
        (void)fprintf(to, r->family == AF_INET6 ? "\"%s\"" : "%s", nsh_prefix_format(&p, text));
}

static void put_destinations(FILE *to, const struct group *g)
{
    if (g->n == 1) {
        (void)fputs("  - to: ", to);
        put_destination(to, g->routes[0]);
    }
    for (size_t i = 0; g->n > 1 && i < g->n; i++) {
        if (g->n <= FLOW_MAX)
            (void)fputs(i == 0 ? "  - to: [" : ", ", to);
        else
            (void)fputs(i == 0 ? "  - to:\n      - " : "\n      - ", to);
        put_destination(to, g->routes[i]);
    }
    (void)fputs(g->n > 1 && g->n <= FLOW_MAX ? "]\n" : "\n", to);
}

static void put_address(FILE *to, int family, const union nsh_addr *addr)
{
    char text[NSH_ADDR_TEXT];

    (void)fprintf(to, family == AF_INET6 ? "\"%s\"" : "%s", nsh_addr_format(family, addr, text));
}

static void put_nexthops(FILE *to, const struct nsh_import *m, const struct nsh_route_props *p)
{
    bool several = p->n_nexthops > 1;

    if (several)
        (void)fputs("    nexthops:\n", to);
    for (uint32_t i = 0; i < p->n_nexthops; i++) {
        const struct nsh_nexthop *n = &p->nexthops[i];
        const char *start = several ? "      - {" : "    ", *next = several ? ", " : "\n    ";

        if (n->via_family != AF_UNSPEC) {
            (void)fprintf(to, "%svia: ", start);
            put_address(to, n->via_family, &n->via);
            start = next;
        }
        if (n->link != NSH_NO_LINK) {
            (void)fprintf(to, "%sdev: ", start);
            nsh_import_text(to, m->links[n->link].name);
            start = next;
        }
        if (several && n->weight != 1)
            (void)fprintf(to, "%sweight: %u", start, n->weight);
        if (n->flags & RTNH_F_ONLINK)
            (void)fprintf(to, "%son-link: true", start);
        (void)fputs(several ? "}\n" : "\n", to);
    }
}

/* A default route says nothing of its family unless its gateway or source does. */
static bool needs_family(const struct group *g)
{
    const struct nsh_route_props *p = g->routes[0]->props;

    for (size_t i = 0; i < g->n; i++)
        if (g->routes[i]->dst_length == 0)
            return p->n_nexthops == 0 || p->nexthops[0].via_family != g->routes[0]->family;
    return false;
}

static void put_scope(FILE *to, const struct nsh_route *r)
{
    static const struct {
        uint8_t scope;
        const char *name;
    } names[] = {{RT_SCOPE_UNIVERSE, "global"}, {RT_SCOPE_SITE, "site"}, {RT_SCOPE_LINK, "link"},
            {RT_SCOPE_HOST, "host"}, {RT_SCOPE_NOWHERE, "nowhere"}};

    if (r->family != AF_INET || r->props->scope == nsh_route_default_scope(r->family, r->props))
        return;
    for (size_t i = 0; i < NSH_ARRAY_SIZE(names); i++)
        if (names[i].scope == r->props->scope) {
            (void)fprintf(to, "    scope: %s\n", names[i].name);
            return;
        }
    (void)fprintf(to, "    scope: %u\n", r->props->scope);
}

static void put_metrics(FILE *to, const struct nsh_route_props *p)
{
    static const struct {
        unsigned metric;
        const char *key, *unit;
    } keys[] = {
            {RTAX_MTU, "mtu", ""},
            {RTAX_ADVMSS, "advertised-mss", ""},
            {RTAX_HOPLIMIT, "hoplimit", ""},
            {RTAX_INITCWND, "congestion-window", ""},
            {RTAX_INITRWND, "advertised-receive-window", ""},
            {RTAX_RTO_MIN, "rto-min", "ms"},
    };

    for (size_t i = 0; i < NSH_ARRAY_SIZE(keys); i++)
        if (p->metrics_set & 1U << keys[i].metric)
            (void)fprintf(
                    to, "    %s: %u%s\n", keys[i].key, p->metrics[keys[i].metric], keys[i].unit);
    if (p->metrics_lock & 1U << RTAX_MTU)
        (void)fputs("    mtu-lock: true\n", to);
    if (p->metrics[RTAX_QUICKACK])
        (void)fputs("    quick-ack: true\n", to);
    if (p->metrics[RTAX_FEATURES])
        (void)fputs("    features: [ecn]\n", to);
    if (p->congestion_control[0] != '\0') {
        (void)fputs("    congestion-control: ", to);
        nsh_import_text(to, p->congestion_control);
        (void)fputc('\n', to);
    }
}

static void put_group(FILE *to, const struct nsh_import *m, const struct group *g)
{
    const struct nsh_route *r = g->routes[0];
    const struct nsh_route_props *p = r->props;
    const char *type = nsh_route_type_name(p->type);

    put_destinations(to, g);
    if (p->type != RTN_UNICAST)
        (void)fprintf(to, "    type: %s\n", type ? type : "unknown");
    put_nexthops(to, m, p);
    if (needs_family(g))
        (void)fprintf(to, "    family: %s\n", r->family == AF_INET6 ? "ipv6" : "ipv4");
    if (r->metric != (r->family == AF_INET6 ? 1024U : 0U))
        (void)fprintf(to, "    metric: %u\n", r->metric);
    if (r->table != (p->type == RTN_LOCAL ? RT_TABLE_LOCAL : RT_TABLE_MAIN))
        (void)fprintf(to, "    table: %u\n", r->table);
    if (p->has_source) {
        (void)fputs("    source: ", to);
        put_address(to, r->family, &p->source);
        (void)fputc('\n', to);
    }
    put_scope(to, r);
    if (r->tos != 0)
        (void)fprintf(to, "    tos: 0x%02x\n", r->tos);
    if (p->preference != 0)
        (void)fprintf(to, "    preference: %s\n", p->preference == 1 ? "high" : "low");
    put_metrics(to, p);
}

/* ---- judged ---- */

static bool is_said(const struct nsh_config *c, const struct nsh_route *r)
{
    size_t low = 0, high = c->n_routes;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int q = nsh_route_id_cmp(&c->routes[middle], r);

        if (q == 0)
            return nsh_route_equal(&c->routes[middle], r, c->links);
        if (q < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static void check_group(const struct nsh_config *c, struct group *g)
{
    for (size_t i = 0; g->taken && i < g->n; i++)
        g->taken = is_said(c, g->routes[i]);
}

/* Which of some groups come back as they are. -EINVAL: what is written of them is refused. */
static int judge(const struct nsh_import *m, struct group *groups, size_t n, char **ret_why)
{
    NSH_CLEANUP(nsh_config_freep) struct nsh_config *c = NULL;
    nsh_autofree char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);
    int q;

    if (!to)
        return -ENOMEM;
    (void)fputs("routes:\n", to);
    for (size_t i = 0; i < n; i++)
        put_group(to, m, &groups[i]);
    if (fclose(to) != 0)
        return -ENOMEM;
    q = nsh_import_judge(m, text, &c, ret_why);
    for (size_t i = 0; q == 0 && i < n; i++)
        check_group(c, &groups[i]);
    return q;
}

/* All at once, as a rule; else one by one. */
static int judge_all(const struct nsh_import *m, struct groups *g)
{
    nsh_autofree char *why = NULL;
    int q = g->n > 0 ? judge(m, g->items, g->n, &why) : 0;

    if (q != -EINVAL)
        return q;
    q = 0;
    for (size_t i = 0; (q == 0 || q == -EINVAL) && i < g->n; i++) {
        q = judge(m, &g->items[i], 1, &g->items[i].why);
        if (q == -EINVAL)
            g->items[i].taken = false;
    }
    return q == -EINVAL ? 0 : q;
}

/* ---- comments ---- */

static void note_group(const struct nsh_import *m, const struct group *g, FILE *notes)
{
    char text[ROUTE_TEXT];

    for (size_t i = 0; i < g->n && i < SHOWN_MAX; i++)
        nsh_import_comment(notes, "not taken: %s: %s",
                nsh_route_format(g->routes[i], m->links, text, sizeof text),
                g->why ? g->why
                       : "there is more to it than this file can say (it expires, or is "
                         "encapsulated, or has options that are not known here)");
    if (g->n > SHOWN_MAX)
        nsh_import_comment(notes, "  and %zu more like it", g->n - SHOWN_MAX);
}

static void note_learned(const struct nsh_import *m, const struct nsh_route *r, FILE *notes)
{
    const struct nsh_route_props *p = r->props;

    if (r->dst_length > 0 || p->n_nexthops == 0 || p->nexthops[0].link == NSH_NO_LINK)
        return;
    nsh_import_comment(notes, "  of other prefixes the way can follow it:");
    (void)fputs("#   - {to: ", notes);
    (void)fputs(r->family == AF_INET6 ? "\"2001:db8::/32\"" : "192.0.2.0/24", notes);
    (void)fputs(", via: {learned-on: ", notes);
    nsh_import_text(notes, m->links[p->nexthops[0].link].name);
    (void)fputs("}}\n", notes);
}

/* Those that somebody keeps, a few of each keeper. */
static void note_kept(const struct nsh_import *m, FILE *notes)
{
    size_t counts[UINT8_MAX + 1] = {0};
    char text[ROUTE_TEXT], name[32];

    for (size_t i = 0; i < m->n_routes; i++) {
        const struct nsh_route *r = &m->routes[i];

        if (is_by_hand(r) || is_of_kernel(r) || r->protocol == m->ours ||
                counts[r->protocol]++ >= SHOWN_MAX)
            continue;
        nsh_import_comment(notes, "not taken: %s: %s %s",
                nsh_route_format(r, m->links, text, sizeof text), keeper(r->protocol, name),
                learns(r->protocol) ? "has learned it, and changes it" : "keeps it");
        if (learns(r->protocol))
            note_learned(m, r, notes);
    }
    for (size_t i = 0; i <= UINT8_MAX; i++)
        if (counts[i] > SHOWN_MAX)
            nsh_import_comment(
                    notes, "  and %zu more of %s", counts[i] - SHOWN_MAX, keeper((uint8_t)i, name));
}

static size_t count_ours(const struct nsh_import *m)
{
    size_t n = 0;

    for (size_t i = 0; i < m->n_routes; i++)
        n += m->routes[i].protocol == m->ours;
    return n;
}

static int write_section(
        const struct nsh_import *m, const struct groups *g, const char *notes, FILE *to)
{
    bool any = false;

    for (size_t i = 0; i < g->n; i++) {
        if (!g->items[i].taken)
            continue;
        if (!any)
            (void)fputs("\nroutes:\n", to);
        any = true;
        put_group(to, m, &g->items[i]);
    }
    if (notes[0] != '\0')
        (void)fprintf(to, "\n%s", notes);
    return ferror(to) ? -EIO : 0;
}

int nsh_import_routes(const struct nsh_import *m, FILE *to)
{
    NSH_CLEANUP(groups_done) struct groups g = {0};
    nsh_autofree char *text = NULL;
    size_t size;
    FILE *notes = open_memstream(&text, &size);
    int q = notes ? make_groups(m, &g, notes) : -ENOMEM;

    if (!notes)
        return q;
    if (q == 0)
        q = judge_all(m, &g);
    for (size_t i = 0; q == 0 && i < g.n; i++)
        if (!g.items[i].taken)
            note_group(m, &g.items[i], notes);
    if (q == 0)
        note_kept(m, notes);
    if (count_ours(m) > 0)
        nsh_import_comment(
                notes, "left out: what netshared holds already (%zu of the routes)", count_ours(m));
    if (fclose(notes) != 0 && q == 0)
        q = -ENOMEM;
    return q == 0 ? write_section(m, &g, text, to) : q;
}
