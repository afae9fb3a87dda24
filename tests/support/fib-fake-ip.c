/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fake kernel in the words of ip(8): as much of them as tests say.
 */
#include "fib-fake-kernel.h"

#include <errno.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>

#define WORDS_MAX 64

/* The words not yet read. */
struct words {
    char *text;
    char *word[WORDS_MAX];
    size_t n, at;
};

static void words_clear(struct words *w)
{
    free(w->text);
}

static int words_split(struct words *w, const char *text)
{
    char *save = NULL;

    w->text = strdup(text);
    if (!w->text)
        return -ENOMEM;
    for (char *p = strtok_r(w->text, " ", &save); p; p = strtok_r(NULL, " ", &save)) {
        if (w->n == WORDS_MAX)
            return -E2BIG;
        w->word[w->n++] = p;
    }
    return 0;
}

/* True, and the word is read, if it is the next. */
static bool next_is(struct words *w, const char *word)
{
    if (w->at == w->n || strcmp(w->word[w->at], word) != 0)
        return false;
    w->at++;
    return true;
}

static const char *next(struct words *w)
{
    return w->at < w->n ? w->word[w->at++] : "";
}

static unsigned next_number(struct words *w)
{
    return (unsigned)strtoul(next(w), NULL, 0);
}

/* ---- routes ---- */

static struct nsh_nexthop *nexthop_at(struct nsh_route_props *p, uint32_t i)
{
    if (i >= NSH_NEXTHOPS_MAX)
        return NULL;
    if (i == p->n_nexthops) {
        p->n_nexthops++;
        p->nexthops[i] = (struct nsh_nexthop){.link = NSH_NO_LINK, .weight = 1};
    }
    return &p->nexthops[i];
}

/* What may be said of a nexthop, alone or after "nexthop". 1: the word was none of these. */
static int parse_nexthop_word(
        const struct nsh_fib_fake *k, struct words *w, struct nsh_route_props *props, uint32_t i)
{
    static const char *const known[] = {"via", "dev", "weight", "onlink"};
    const char *word = w->at < w->n ? w->word[w->at] : "";
    struct nsh_nexthop *nh;
    size_t which = 0;

    while (which < NSH_ARRAY_SIZE(known) && strcmp(word, known[which]) != 0)
        which++;
    if (which == NSH_ARRAY_SIZE(known))
        return 1;
    nh = nexthop_at(props, i);
    if (!nh)
        return -E2BIG;
    w->at++;
    switch (which) {
    case 0:
        next_is(w, "inet6");
        return nsh_addr_parse(next(w), &nh->via_family, &nh->via) ? 0 : -EINVAL;
    case 1:
        nh->ifindex = nsh_fib_fake_link_index(k, next(w));
        return nh->ifindex ? 0 : -ENODEV;
    case 2:
        nh->weight = (uint16_t)next_number(w);
        return 0;
    default:
        nh->flags = RTNH_F_ONLINK;
        return 0;
    }
}

/* What may be said of the route itself. */
static int parse_route_word(
        struct words *w, struct nsh_route *r, struct nsh_route_props *props, bool *scope_said)
{
    uint8_t family;

    if (next_is(w, "metric")) {
        r->metric = next_number(w);
    } else if (next_is(w, "table")) {
        r->table = next_number(w);
    } else if (next_is(w, "proto")) {
        r->protocol = (uint8_t)next_number(w);
    } else if (next_is(w, "tos")) {
        r->tos = (uint8_t)next_number(w);
    } else if (next_is(w, "scope")) {
        *scope_said = true;
        props->scope = (uint8_t)next_number(w);
    } else if (next_is(w, "mtu")) {
        props->metrics_set |= 1U << RTAX_MTU;
        props->metrics[RTAX_MTU] = next_number(w);
    } else if (next_is(w, "src")) {
        props->has_source = 1;
        return nsh_addr_parse(next(w), &family, &props->source) ? 0 : -EINVAL;
    } else {
        return -EINVAL;
    }
    return 0;
}

static int parse_destination(struct words *w, int family, struct nsh_route *r)
{
    struct nsh_prefix p;

    r->family = (uint8_t)(family ? family : AF_INET);
    if (next_is(w, "default"))
        return 0;
    if (nsh_prefix_parse(next(w), &p) != NSH_PREFIX_OK)
        return -EINVAL;
    r->family = p.family;
    r->dst = p.addr;
    r->dst_length = p.length;
    return 0;
}

/* As ip(8) chooses it when it is not said. */
static uint8_t default_scope(const struct nsh_route *r, const struct nsh_route_props *props)
{
    if (r->family != AF_INET)
        return 0;
    if (props->type == RTN_LOCAL)
        return RT_SCOPE_HOST;
    if (props->type == RTN_UNICAST && props->n_nexthops == 1 && !props->nexthops[0].via_family)
        return RT_SCOPE_LINK;
    return RT_SCOPE_UNIVERSE;
}

static int parse_route(const struct nsh_fib_fake *k, struct words *w, int family,
        struct nsh_route *r, struct nsh_route_props *props)
{
    int type = w->at < w->n ? nsh_route_type_parse(w->word[w->at]) : -1;
    bool scope_said = false;
    uint32_t i = 0;
    int rc;

    props->type = RTN_UNICAST;
    if (type >= 0) {
        props->type = (uint8_t)type;
        w->at++;
    }
    *r = (struct nsh_route){.table = FAKE_TABLE_MAIN, .protocol = RTPROT_BOOT, .props = props};
    rc = parse_destination(w, family, r);
    while (rc >= 0 && w->at < w->n) {
        if (next_is(w, "nexthop")) {
            i = props->n_nexthops;
            continue;
        }
        rc = parse_nexthop_word(k, w, props, i);
        if (rc > 0)
            rc = parse_route_word(w, r, props, &scope_said);
    }
    if (rc >= 0 && !scope_said)
        props->scope = default_scope(r, props);
    return rc < 0 ? rc : 0;
}

/* "ip route del" without a metric or protocol takes what it finds first. */
static void find_key(const struct nsh_fib_fake *k, struct nsh_route *r)
{
    for (size_t i = 0; i < k->n_routes; i++) {
        const struct nsh_route *e = &k->routes[i].r;

        if (e->family == r->family && e->table == r->table && e->dst_length == r->dst_length &&
                nsh_addr_cmp(&e->dst, &r->dst) == 0 && (e->tos == r->tos) &&
                (!r->protocol || r->protocol == e->protocol)) {
            r->metric = e->metric;
            return;
        }
    }
}

static int run_route(struct nsh_fib_fake *k, struct words *w, int family)
{
    static const struct {
        const char *word;
        int flags;
    } verbs[] = {
            {"add", NLM_F_CREATE | NLM_F_EXCL},
            {"replace", NLM_F_CREATE | NLM_F_REPLACE},
            {"append", NLM_F_CREATE | NLM_F_APPEND},
            {"prepend", NLM_F_CREATE},
            {"del", -1},
    };
    nsh_autofree struct nsh_route_props *props = calloc(1, nsh_route_props_size(NSH_NEXTHOPS_MAX));
    const char *verb = next(w);
    struct nsh_route r;
    size_t i = 0;
    int rc;

    if (!props)
        return -ENOMEM;
    while (i < NSH_ARRAY_SIZE(verbs) && strcmp(verb, verbs[i].word) != 0)
        i++;
    if (i == NSH_ARRAY_SIZE(verbs))
        return -EINVAL;
    rc = parse_route(k, w, family, &r, props);
    if (rc < 0)
        return rc;
    if (verbs[i].flags >= 0)
        return nsh_fib_fake_route_add(k, &r, (uint16_t)verbs[i].flags, NSH_FIB_FAKE_SOMEBODY, NULL);
    if (r.protocol == RTPROT_BOOT)
        r.protocol = 0;
    if (!r.metric)
        find_key(k, &r);
    if (props->type == RTN_UNICAST)
        props->type = RTN_UNSPEC;
    return nsh_fib_fake_route_delete(k, &r, NSH_FIB_FAKE_SOMEBODY);
}

/* ---- rules ---- */

static int parse_rule_prefix(struct words *w, struct nsh_prefix *ret)
{
    if (next_is(w, "all"))
        return 0;
    return nsh_prefix_parse(next(w), ret) == NSH_PREFIX_OK ? 0 : -EINVAL;
}

static void parse_mark(const char *text, struct nsh_mark *ret)
{
    const char *slash = strchr(text, '/');

    ret->value = (uint32_t)strtoul(text, NULL, 0);
    ret->mask = slash ? (uint32_t)strtoul(slash + 1, NULL, 0) : UINT32_MAX;
}

/* What may be said of a rule in one word. -EINVAL: the word was none of these. */
static int parse_rule_flag(struct words *w, struct nsh_rule *r)
{
    static const struct {
        const char *word;
        uint8_t action;
    } actions[] = {{"blackhole", FR_ACT_BLACKHOLE}, {"unreachable", FR_ACT_UNREACHABLE},
            {"prohibit", FR_ACT_PROHIBIT}};

    if (next_is(w, "not")) {
        r->invert = true;
        return 0;
    }
    for (size_t i = 0; i < NSH_ARRAY_SIZE(actions); i++)
        if (next_is(w, actions[i].word)) {
            r->action = actions[i].action;
            return 0;
        }
    return -EINVAL;
}

static int parse_rule_word(struct words *w, struct nsh_rule *r)
{
    if (next_is(w, "from"))
        return parse_rule_prefix(w, &r->from);
    if (next_is(w, "to"))
        return parse_rule_prefix(w, &r->to);
    if (next_is(w, "iif"))
        snprintf(r->iif, sizeof(r->iif), "%s", next(w));
    else if (next_is(w, "oif"))
        snprintf(r->oif, sizeof(r->oif), "%s", next(w));
    else if (next_is(w, "fwmark"))
        parse_mark(next(w), &r->mark);
    else if (next_is(w, "priority"))
        r->priority = next_number(w);
    else if (next_is(w, "lookup"))
        r->table = next_number(w);
    else if (next_is(w, "proto"))
        r->protocol = (uint8_t)next_number(w);
    else if (next_is(w, "goto"))
        r->action = FR_ACT_GOTO, r->target = next_number(w);
    else
        return parse_rule_flag(w, r);
    return 0;
}

static int run_rule(struct nsh_fib_fake *k, struct words *w, int family)
{
    const char *verb = next(w);
    struct nsh_rule r = nsh_fib_fake_rule(AF_INET, 0, 0);
    int rc = 0;

    if (strcmp(verb, "flush") == 0) {
        nsh_fib_fake_rule_flush(k, family == AF_INET6 ? AF_INET6 : AF_INET, NSH_FIB_FAKE_SOMEBODY);
        return 0;
    }
    if (strcmp(verb, "del") == 0)
        r.protocol = 0;
    while (rc == 0 && w->at < w->n)
        rc = parse_rule_word(w, &r);
    if (rc < 0)
        return rc;
    if (family == AF_INET6 || r.from.family == AF_INET6 || r.to.family == AF_INET6)
        r.family = AF_INET6;
    nsh_rule_normalize(&r);
    if (strcmp(verb, "add") == 0)
        return nsh_fib_fake_rule_write(k, &r, NSH_FIB_RULE_ADD, NSH_FIB_FAKE_SOMEBODY);
    if (strcmp(verb, "append") == 0)
        return nsh_fib_fake_rule_write(k, &r, NSH_FIB_RULE_APPEND, NSH_FIB_FAKE_SOMEBODY);
    if (strcmp(verb, "del") == 0)
        return nsh_fib_fake_rule_write(k, &r, NSH_FIB_RULE_DELETE, NSH_FIB_FAKE_SOMEBODY);
    return -EINVAL;
}

/* ---- links and addresses ---- */

static int run_link(struct nsh_fib_fake *k, struct words *w)
{
    const char *verb = next(w);
    const char *name = next(w);

    if (strcmp(verb, "add") == 0) {
        bool vrf = next_is(w, "type") && next_is(w, "vrf") && next_is(w, "table");
        int rc = vrf ? nsh_fib_fake_vrf_add(k, name, next_number(w))
                     : nsh_fib_fake_link_add(k, name, false);

        return rc < 0 ? rc : 0;
    }
    if (strcmp(verb, "del") == 0)
        return nsh_fib_fake_link_delete(k, name);
    if (strcmp(verb, "set") != 0)
        return -EINVAL;
    if (next_is(w, "name"))
        return nsh_fib_fake_link_rename(k, name, next(w));
    if (next_is(w, "mtu"))
        return nsh_fib_fake_link_mtu(k, name, next_number(w));
    if (next_is(w, "up"))
        return nsh_fib_fake_link_up(k, name, true);
    return next_is(w, "down") ? nsh_fib_fake_link_up(k, name, false) : -EINVAL;
}

static int run_address(struct nsh_fib_fake *k, struct words *w)
{
    const char *verb = next(w);
    const char *address = next(w);

    if (!next_is(w, "dev"))
        return -EINVAL;
    if (strcmp(verb, "add") == 0)
        return nsh_fib_fake_address_add(k, next(w), address);
    return strcmp(verb, "del") == 0 ? nsh_fib_fake_address_delete(k, next(w), address) : -EINVAL;
}

int nsh_fib_fake_ip(struct nsh_fib_fake *k, const char *text)
{
    NSH_CLEANUP(words_clear) struct words w = {0};
    int family = AF_UNSPEC;
    int rc = words_split(&w, text);

    if (rc < 0)
        return rc;
    if (next_is(&w, "-6"))
        family = AF_INET6;
    else if (next_is(&w, "-4"))
        family = AF_INET;
    if (next_is(&w, "route"))
        return run_route(k, &w, family);
    if (next_is(&w, "rule"))
        return run_rule(k, &w, family);
    if (next_is(&w, "link"))
        return run_link(k, &w);
    return next_is(&w, "addr") ? run_address(k, &w) : -EINVAL;
}

/* ---- showing ---- */

static void show_gateway(FILE *to, const struct nsh_route *r, const struct nsh_nexthop *nh)
{
    char text[NSH_ADDR_TEXT];

    if (nh->via_family)
        fprintf(to, " via %s%s", nh->via_family != r->family ? "inet6 " : "",
                nsh_addr_format(nh->via_family, &nh->via, text));
}

static void show_device(const struct nsh_fib_fake *k, FILE *to, const struct nsh_nexthop *nh)
{
    const struct fake_link *link = fake_link_by_index(k, nh->ifindex);

    fprintf(to, " dev %s", link ? link->name : "?");
}

static void show_nexthops(const struct nsh_fib_fake *k, FILE *to, const struct nsh_route *r)
{
    const struct nsh_route_props *p = r->props;

    for (uint32_t n = 0; p->n_nexthops > 1 && n < p->n_nexthops; n++) {
        fputs(" \\\tnexthop", to);
        show_gateway(to, r, &p->nexthops[n]);
        show_device(k, to, &p->nexthops[n]);
        fprintf(to, " weight %u", p->nexthops[n].weight);
        if (p->nexthops[n].flags & RTNH_F_ONLINK)
            fputs(" onlink", to);
    }
}

static void show_destination(FILE *to, const struct nsh_route *r)
{
    struct nsh_prefix dst = {.addr = r->dst, .family = r->family, .length = r->dst_length};
    char text[NSH_PREFIX_TEXT];

    if (r->props->type != RTN_UNICAST)
        fprintf(to, "%u ", r->props->type);
    fputs(r->dst_length ? nsh_prefix_format(&dst, text) : "default", to);
    if (r->tos)
        fprintf(to, " tos 0x%02x", r->tos);
}

static void show_route(const struct nsh_fib_fake *k, FILE *to, const struct nsh_route *r)
{
    const struct nsh_route_props *p = r->props;
    char text[NSH_ADDR_TEXT];

    show_destination(to, r);
    if (p->n_nexthops == 1) {
        show_gateway(to, r, &p->nexthops[0]);
        show_device(k, to, &p->nexthops[0]);
    } else if (p->n_nexthops == 0 && r->family == AF_INET6) {
        fputs(" dev lo", to);
    }
    if (r->table != FAKE_TABLE_MAIN)
        fprintf(to, " table %u", r->table);
    if (r->protocol != RTPROT_BOOT)
        fprintf(to, " proto %u", r->protocol);
    if (p->scope)
        fprintf(to, " scope %u", p->scope);
    if (p->has_source)
        fprintf(to, " src %s", nsh_addr_format(r->family, &p->source, text));
    if (r->metric || r->family == AF_INET6)
        fprintf(to, " metric %u", r->metric);
    if (p->n_nexthops == 1 && p->nexthops[0].flags & RTNH_F_ONLINK)
        fputs(" onlink", to);
    if (p->metrics_set & 1U << RTAX_MTU)
        fprintf(to, " mtu %u", p->metrics[RTAX_MTU]);
    show_nexthops(k, to, r);
    fputc('\n', to);
}

char *nsh_fib_fake_show(const struct nsh_fib_fake *k, int family)
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);

    if (!to)
        return NULL;
    for (size_t i = 0; i < k->n_routes;) {
        struct fake_route r;

        if (fake_route_next(k, &i, &r) < 0)
            break;
        if (r.r.family == family)
            show_route(k, to, &r.r);
        fake_route_clear(&r);
    }
    fclose(to);
    return text;
}
