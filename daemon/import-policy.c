/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A rule of a firewall as a policy: whether it can be one, and its YAML.
 */
#include "import-policies.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

#define SPARES (SAYS_NOT_FROM | SAYS_NOT_TO | SAYS_NOT_IN | SAYS_NOT_OUT)

/* ---- what a rule says ---- */

static bool is_any_device(const char *device)
{
    return device[0] == '\0' || strcmp(device, "+") == 0;
}

unsigned import_says(const struct nsh_foreign_rule *f)
{
    const struct nsh_packet_rule *n = &f->needs, *s = &f->spares;
    unsigned says = 0;

    says |= n->from.family != AF_UNSPEC || f->from.n > 0 ? SAYS_FROM : 0;
    says |= n->to.family != AF_UNSPEC || f->to.n > 0 ? SAYS_TO : 0;
    says |= !is_any_device(n->in) || f->in.n > 0 ? SAYS_IN : 0;
    says |= !is_any_device(n->out) || f->out.n > 0 ? SAYS_OUT : 0;
    says |= s->from.family != AF_UNSPEC || f->except_from.n > 0 ? SAYS_NOT_FROM : 0;
    says |= s->to.family != AF_UNSPEC || f->except_to.n > 0 ? SAYS_NOT_TO : 0;
    says |= s->in[0] != '\0' ? SAYS_NOT_IN : 0;
    says |= s->out[0] != '\0' || f->except_out.n > 0 ? SAYS_NOT_OUT : 0;
    says |= n->protocol != 0 ? SAYS_PROTOCOL : 0;
    says |= n->source_port.last > 0 || f->source_ports.n > 0 ? SAYS_SOURCE_PORT : 0;
    says |= n->destination_port.last > 0 || f->destination_ports.n > 0 ? SAYS_DESTINATION_PORT : 0;
    says |= n->mark.mask != 0 ? SAYS_MARK : 0;
    says |= f->spares_ipsec ? SAYS_NO_IPSEC : 0;
    says |= n->states || n->translated || n->syn || n->ipsec || n->local ? SAYS_MORE : 0;
    return says;
}

/* A condition and a list of the same thing would both have to hold. */
static bool says_twice(const struct nsh_foreign_rule *f)
{
    const struct nsh_packet_rule *n = &f->needs;

    return (n->from.family != AF_UNSPEC && f->from.n > 0) ||
           (n->to.family != AF_UNSPEC && f->to.n > 0) || (!is_any_device(n->in) && f->in.n > 0) ||
           (!is_any_device(n->out) && f->out.n > 0) ||
           (n->source_port.last > 0 && f->source_ports.n > 0) ||
           (n->destination_port.last > 0 && f->destination_ports.n > 0);
}

static const struct {
    unsigned bit;
    const char *why;
} words[] = {
        {SAYS_FROM, "such a policy does not ask for the source"},
        {SAYS_TO, "such a policy does not ask for the destination"},
        {SAYS_IN, "such a policy does not ask by which device a packet came"},
        {SAYS_OUT, "such a policy does not ask by which device a packet leaves"},
        {SPARES, "such a policy has no exceptions of that kind"},
        {SAYS_PROTOCOL, "such a policy does not ask for the protocol"},
        {SAYS_SOURCE_PORT, "such a policy does not ask for the source port"},
        {SAYS_DESTINATION_PORT, "such a policy does not ask for the destination port"},
        {SAYS_MARK, "such a policy does not ask for the mark"},
        {SAYS_NO_IPSEC, "such a policy does not ask about IPsec"},
        {SAYS_MORE, "no policy asks for the state of a connection or the kind of an address"},
};

static const struct {
    unsigned may, must;
} kinds[NSH_POLICY_KINDS] = {
        [NSH_POLICY_MASQUERADE] = {SAYS_FROM | SAYS_TO | SAYS_OUT | SAYS_NOT_FROM | SAYS_NOT_TO |
                                           SAYS_NOT_OUT | SAYS_PROTOCOL | SAYS_SOURCE_PORT |
                                           SAYS_DESTINATION_PORT | SAYS_MARK | SAYS_NO_IPSEC,
                0},
        [NSH_POLICY_PORT_FORWARD] = {SAYS_FROM | SAYS_IN | SAYS_PROTOCOL | SAYS_DESTINATION_PORT,
                SAYS_IN | SAYS_PROTOCOL | SAYS_DESTINATION_PORT},
        [NSH_POLICY_NETWORK_MAP] = {SAYS_FROM | SAYS_TO | SAYS_IN | SAYS_OUT, 0},
};

static const char *refuse_masquerade(const struct nsh_foreign_rule *f)
{
    const struct nsh_packet_nat *n = &f->needs.nat;

    if (f->needs.action == NSH_PACKET_SNAT && n->family == AF_UNSPEC)
        return "it changes the port alone";
    return NULL;
}

static bool same_range(const struct nsh_range *a, const struct nsh_range *b)
{
    return a->first == b->first && a->last == b->last;
}

static const char *refuse_forward(const struct nsh_foreign_rule *f)
{
    const struct nsh_packet_nat *n = &f->needs.nat;

    if (f->needs.protocol != IPPROTO_TCP && f->needs.protocol != IPPROTO_UDP)
        return "a port-forward is of tcp or udp";
    if (n->family == AF_UNSPEC || nsh_addr_cmp(&n->first, &n->last) != 0)
        return "a port-forward leads to one address";
    if (n->random != NSH_RANDOM_NONE || n->persistent)
        return "a port-forward has no random ports";
    if (n->ports.first != n->ports.last &&
            (f->destination_ports.n > 0 || !same_range(&n->ports, &f->needs.destination_port)))
        return "a port-forward leads each port to one of its own, and this rule to any of several";
    return NULL;
}

const char *import_refusal(const struct nsh_foreign_rule *f, enum nsh_policy_kind kind)
{
    unsigned says = import_says(f), more = says & ~kinds[kind].may;
    unsigned missing = kinds[kind].must & ~says;

    for (size_t i = 0; i < NSH_ARRAY_SIZE(words); i++)
        if (more & words[i].bit)
            return words[i].why;
    if (missing & SAYS_IN)
        return "a port-forward wants the device by which connections come";
    if (missing)
        return "a port-forward is of a protocol and a port";
    if (says_twice(f))
        return "it asks twice for the same thing";
    return kind == NSH_POLICY_MASQUERADE     ? refuse_masquerade(f)
           : kind == NSH_POLICY_PORT_FORWARD ? refuse_forward(f)
                                             : NULL;
}

bool import_widen(const struct nsh_foreign_rule *f, struct nsh_foreign_rule *ret)
{
    unsigned says = import_says(f);

    if (!(says & SAYS_TO) || says & SAYS_MORE || f->why[0] != '\0')
        return false;
    *ret = *f;
    ret->needs.to = (struct nsh_prefix){0};
    ret->to.n = 0;
    return import_refusal(ret, NSH_POLICY_PORT_FORWARD) == NULL;
}

bool import_can_exempt(const struct nsh_foreign_rule *f)
{
    unsigned says = import_says(f);

    return f->why[0] == '\0' && !says_twice(f) &&
           (says == SAYS_FROM || says == SAYS_TO || says == SAYS_OUT);
}

/* ---- names ---- */

/* NULL: it is free. */
static struct import_name *find_name(const struct import_names *names, const char *name)
{
    for (size_t i = 0; i < names->n; i++)
        if (strcmp(names->items[i].text, name) == 0)
            return &names->items[i];
    return NULL;
}

/* "[a-z0-9][a-z0-9-]{0,15}", without a '-' at the end. */
static void make_valid(const char *wish, char ret[static NSH_POLICY_NAME], size_t most)
{
    size_t n = 0;

    for (; *wish && n < most; wish++) {
        int c = tolower((unsigned char)*wish);

        if (c < 0x80 && isalnum(c))
            ret[n++] = (char)c;
        else if (n > 0 && ret[n - 1] != '-')
            ret[n++] = '-';
    }
    while (n > 0 && ret[n - 1] == '-')
        n--;
    ret[n] = '\0';
}

/* The wish with a number behind it. */
static void make_numbered(const char *wish, unsigned number, char ret[static NSH_POLICY_NAME])
{
    char text[12];
    int n = snprintf(text, sizeof text, "-%u", number);
    size_t at;

    make_valid(wish, ret, NSH_POLICY_NAME - 1 - (size_t)n);
    at = strlen(ret);
    (void)snprintf(ret + at, NSH_POLICY_NAME - at, "%s", at == 0 ? text + 1 : text);
}

static int put_name(FILE *to, struct import_names *names, const char *wish)
{
    char name[NSH_POLICY_NAME];
    void *items = names->items;
    struct import_name *same, *room;
    unsigned number = 2;

    make_valid(wish, name, NSH_POLICY_NAME - 1);
    same = find_name(names, name);
    while (name[0] == '\0' || find_name(names, name))
        make_numbered(wish, same ? same->next++ : number++, name);
    room = nsh_import_add(&items, &names->n, &names->max, sizeof *room);
    names->items = items;
    if (!room)
        return -ENOMEM;
    *room = (struct import_name){.next = 2};
    memcpy(room->text, name, sizeof name);
    (void)fprintf(to, "  - name: %s\n", name);
    return 0;
}

/* ---- lists ---- */

/* Entries of one key, each once: one stands alone, several in brackets. */
struct list {
    FILE *to;
    const char *key;
    char **items; /* malloc'd, and each of them */
    size_t n, max;
};

static void list_add(struct list *l, const char *text)
{
    void *items = l->items;
    char *copy, **room;

    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->items[i], text) == 0)
            return;
    copy = strdup(text);
    room = copy ? nsh_import_add(&items, &l->n, &l->max, sizeof(char *)) : NULL;
    l->items = items;
    if (room) {
        *room = copy;
        return;
    }
    /* Without memory it must not go on as if it were shorter: no parser takes this. */
    free(copy);
    (void)fputs("    no-memory: true\n", l->to);
}

static void list_end(struct list *l)
{
    for (size_t i = 0; i < l->n; i++) {
        if (i == 0)
            (void)fprintf(l->to, "    %s: %s", l->key, l->n > 1 ? "[" : "");
        (void)fprintf(l->to, "%s%s", i > 0 ? ", " : "", l->items[i]);
        free(l->items[i]);
    }
    if (l->n > 0)
        (void)fputs(l->n > 1 ? "]\n" : "\n", l->to);
    free(l->items);
}

static void add_prefix(struct list *l, const struct nsh_prefix *p)
{
    char text[NSH_PREFIX_TEXT], quoted[NSH_PREFIX_TEXT + 2];

    if (p->family == AF_UNSPEC)
        return;
    (void)snprintf(quoted, sizeof quoted, p->family == AF_INET6 ? "\"%s\"" : "%s",
            nsh_prefix_format(p, text));
    list_add(l, quoted);
}

static void add_prefixes(struct list *l, const struct nsh_foreign_prefixes *list)
{
    for (size_t i = 0; i < list->n; i++)
        add_prefix(l, &list->items[i]);
}

static void add_device(struct list *l, const char *device)
{
    nsh_autofree char *text = NULL;
    size_t size;
    FILE *to = is_any_device(device) ? NULL : open_memstream(&text, &size);

    if (!to)
        return;
    nsh_import_text(to, device);
    if (fclose(to) == 0)
        list_add(l, text);
}

static void add_devices(struct list *l, const struct nsh_foreign_devices *list)
{
    for (size_t i = 0; i < list->n; i++)
        add_device(l, list->items[i]);
}

static void add_range(struct list *l, const struct nsh_range *r)
{
    char text[32];

    if (r->last == 0)
        return;
    (void)snprintf(text, sizeof text, r->first == r->last ? "%u" : "%u-%u", r->first, r->last);
    list_add(l, text);
}

static void add_ranges(struct list *l, const struct nsh_foreign_ports *list)
{
    for (size_t i = 0; i < list->n; i++)
        add_range(l, &list->items[i]);
}

static void put_prefixes(FILE *to, const char *key, const struct nsh_prefix *one,
        const struct nsh_foreign_prefixes *more)
{
    struct list l = {.to = to, .key = key};

    add_prefix(&l, one);
    add_prefixes(&l, more);
    list_end(&l);
}

static void put_devices(
        FILE *to, const char *key, const char *one, const struct nsh_foreign_devices *more)
{
    struct list l = {.to = to, .key = key};

    add_device(&l, one);
    add_devices(&l, more);
    list_end(&l);
}

static void put_ports(FILE *to, const char *key, const struct nsh_range *one,
        const struct nsh_foreign_ports *more)
{
    struct list l = {.to = to, .key = key};

    add_range(&l, one);
    add_ranges(&l, more);
    list_end(&l);
}

/* ---- masquerade ---- */

/* Those of the rule itself, and of rules that stand before it. */
static void put_exceptions(
        FILE *to, const struct nsh_foreign_rule *f, const struct import_exempts *exempts)
{
    struct list from = {.to = to, .key = "except-from"}, dst = {.to = to, .key = "except-to"};
    struct list out = {.to = to, .key = "except-out"};

    add_prefix(&from, &f->spares.from);
    add_prefixes(&from, &f->except_from);
    for (size_t i = 0; i < exempts->n; i++) {
        add_prefix(&from, &exempts->items[i]->needs.from);
        add_prefixes(&from, &exempts->items[i]->from);
    }
    list_end(&from);
    add_prefix(&dst, &f->spares.to);
    add_prefixes(&dst, &f->except_to);
    for (size_t i = 0; i < exempts->n; i++) {
        add_prefix(&dst, &exempts->items[i]->needs.to);
        add_prefixes(&dst, &exempts->items[i]->to);
    }
    list_end(&dst);
    add_device(&out, f->spares.out);
    add_devices(&out, &f->except_out);
    for (size_t i = 0; i < exempts->n; i++) {
        add_device(&out, exempts->items[i]->needs.out);
        add_devices(&out, &exempts->items[i]->out);
    }
    list_end(&out);
}

static void put_protocol(FILE *to, uint8_t protocol)
{
    static const struct {
        uint8_t number;
        const char *name;
    } names[] = {{IPPROTO_ICMP, "icmp"}, {IPPROTO_TCP, "tcp"}, {IPPROTO_UDP, "udp"},
            {IPPROTO_GRE, "gre"}, {IPPROTO_ESP, "esp"}, {IPPROTO_ICMPV6, "icmpv6"},
            {IPPROTO_SCTP, "sctp"}};

    for (size_t i = 0; i < NSH_ARRAY_SIZE(names); i++)
        if (names[i].number == protocol) {
            (void)fprintf(to, "    protocol: %s\n", names[i].name);
            return;
        }
    if (protocol != 0)
        (void)fprintf(to, "    protocol: %u\n", protocol);
}

static void put_mark(FILE *to, const struct nsh_mark *m)
{
    if (m->mask == UINT32_MAX)
        (void)fprintf(to, "    mark: 0x%x\n", m->value);
    else if (m->mask != 0)
        (void)fprintf(to, "    mark: 0x%x/0x%x\n", m->value, m->mask);
}

static void put_source(FILE *to, const struct nsh_packet_nat *n)
{
    char first[NSH_ADDR_TEXT], last[NSH_ADDR_TEXT];
    const char *quote = n->family == AF_INET6 ? "\"" : "";

    if (n->family == AF_UNSPEC)
        return;
    nsh_addr_format(n->family, &n->first, first);
    nsh_addr_format(n->family, &n->last, last);
    if (strcmp(first, last) == 0)
        (void)fprintf(to, "    to-source: %s%s%s\n", quote, first, quote);
    else
        (void)fprintf(to, "    to-source: %s%s-%s%s\n", quote, first, last, quote);
}

static void put_nat(FILE *to, const struct nsh_packet_nat *n)
{
    static const char *const randoms[] = {
            [NSH_RANDOM_PORTS] = "ports", [NSH_RANDOM_FULLY] = "fully"};

    put_source(to, n);
    if (n->persistent)
        (void)fputs("    persistent: true\n", to);
    if (n->ports.last > 0)
        (void)fprintf(to,
                n->ports.first == n->ports.last ? "    to-ports: %u\n" : "    to-ports: %u-%u\n",
                n->ports.first, n->ports.last);
    if (n->random != NSH_RANDOM_NONE)
        (void)fprintf(to, "    random: %s\n", randoms[n->random]);
}

static const char *first_device(const char *one, const struct nsh_foreign_devices *more)
{
    return !is_any_device(one) ? one : more->n > 0 ? more->items[0] : "any";
}

static void put_origin(FILE *to, const struct nsh_foreign_rule *f)
{
    (void)fputs("  ", to);
    nsh_import_comment(to, "%s: %s", f->place, f->text);
}

int import_put_masquerade(FILE *to, const struct nsh_import *m, struct import_names *names,
        const struct nsh_foreign_rule *f, const struct import_exempts *exempts)
{
    const struct nsh_packet_rule *n = &f->needs;
    char wish[IFNAMSIZ + 8];
    int q;

    (void)snprintf(wish, sizeof wish, "%s-%s", n->nat.family == AF_UNSPEC ? "out" : "snat",
            first_device(n->out, &f->out));
    put_origin(to, f);
    q = put_name(to, names, wish);
    if (f->family == AF_INET6)
        (void)fputs("    family: ipv6\n", to);
    put_prefixes(to, "from", &n->from, &f->from);
    put_prefixes(to, "to", &n->to, &f->to);
    if (import_says(f) & SAYS_OUT)
        put_devices(to, "out", n->out, &f->out);
    else
        (void)fputs("    out: any\n", to);
    put_exceptions(to, f, exempts);
    put_protocol(to, n->protocol);
    put_ports(to, "source-port", &n->source_port, &f->source_ports);
    put_ports(to, "destination-port", &n->destination_port, &f->destination_ports);
    put_mark(to, &n->mark);
    put_nat(to, &n->nat);
    if (!f->spares_ipsec && !m->no_ipsec)
        (void)fputs("    ipsec: include\n", to);
    return q;
}

/* ---- port-forwards ---- */

static int put_forward(FILE *to, struct import_names *names, const struct nsh_foreign_rule *f,
        const struct nsh_range *port)
{
    const struct nsh_packet_rule *n = &f->needs;
    const char *protocol = n->protocol == IPPROTO_TCP ? "tcp" : "udp";
    const struct nsh_range *led = &n->nat.ports;
    char text[NSH_ADDR_TEXT], wish[32];
    int q;

    (void)snprintf(wish, sizeof wish, "%s-%u", protocol, port->first);
    q = put_name(to, names, wish);
    put_devices(to, "in", n->in, &f->in);
    put_prefixes(to, "from", &n->from, &f->from);
    (void)fprintf(to, "    protocol: %s\n", protocol);
    put_ports(to, "port", port, &(struct nsh_foreign_ports){.n = 0});
    (void)fprintf(to, f->family == AF_INET6 ? "    to: \"%s\"\n" : "    to: %s\n",
            nsh_addr_format(f->family, &n->nat.first, text));
    if (led->last > 0 && !same_range(led, port))
        (void)fprintf(to, "    to-port: %u\n", led->first);
    return q;
}

int import_put_port_forwards(FILE *to, struct import_names *names, const struct nsh_foreign_rule *f)
{
    int q = 0;

    put_origin(to, f);
    if (f->destination_ports.n == 0)
        return put_forward(to, names, f, &f->needs.destination_port);
    for (size_t i = 0; q == 0 && i < f->destination_ports.n; i++)
        q = put_forward(to, names, f, &f->destination_ports.items[i]);
    return q;
}

/* ---- network-map ---- */

bool import_is_map(
        const struct nsh_foreign_rule *source, const struct nsh_foreign_rule *destination)
{
    return source->family == destination->family && import_says(source) == (SAYS_FROM | SAYS_OUT) &&
           import_says(destination) == (SAYS_TO | SAYS_IN) && source->from.n == 0 &&
           source->out.n == 0 && destination->to.n == 0 && destination->in.n == 0 &&
           strcmp(source->needs.out, destination->needs.in) == 0 &&
           nsh_prefix_cmp(&source->needs.from, &destination->needs.map) == 0 &&
           nsh_prefix_cmp(&source->needs.map, &destination->needs.to) == 0;
}

int import_put_network_map(
        FILE *to, struct import_names *names, const struct nsh_foreign_rule *source)
{
    const struct nsh_packet_rule *n = &source->needs;
    const char *quote = source->family == AF_INET6 ? "\"" : "";
    char wish[IFNAMSIZ + 8], inside[NSH_PREFIX_TEXT], outside[NSH_PREFIX_TEXT];
    int q;

    (void)snprintf(wish, sizeof wish, "map-%s", n->out);
    put_origin(to, source);
    q = put_name(to, names, wish);
    put_devices(to, "dev", n->out, &source->out);
    (void)fprintf(to, "    inside: %s%s%s\n    outside: %s%s%s\n", quote,
            nsh_prefix_format(&n->from, inside), quote, quote, nsh_prefix_format(&n->map, outside),
            quote);
    return q;
}
